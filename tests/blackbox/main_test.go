// Package blackbox starts the program that is released and does to it what the
// world does: kills it, stops it, takes its database away, fills its folder with
// rubbish. It sees what clients, operators and their tools see, and, when the
// server is down, its database.
package blackbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/secret"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// binary is the program under test: WATCHWORD_BIN, or built here.
var binary string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	if binary = os.Getenv("WATCHWORD_BIN"); binary != "" {
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "watchword-blackbox")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "watchword")
	args := []string{"build", "-o", binary}
	if overlay := os.Getenv("WATCHWORD_OVERLAY"); overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	build := exec.Command("go", append(args, "github.com/watchword-auth/watchword/cmd/watchword")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// address is a loopback address that nobody listens on.
func address(t testing.TB) string { return kittest.FreeAddress(t) }

// place is where a server runs; it outlives the processes.
type place struct {
	Listen   string
	Data     string
	Database string // empty: SQLite in Data
	Extra    []string
}

// URL is the server's.
func (p place) URL() string { return "http://" + p.Listen }

// node is one process of the server.
type node struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone
	log   *buffer
}

// buffer keeps what a process says.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) { b.mu.Lock(); defer b.mu.Unlock(); return b.b.Write(p) }

func (b *buffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

// start runs `watchword dev` and returns when it is ready. A process that is
// left over is killed when the test ends.
func start(t testing.TB, p place) *node {
	t.Helper()
	n, err := launch(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.kill(); keep(t, n) })
	return n
}

func launch(p place) (*node, error) {
	args := []string{"dev", "--listen", p.Listen, "--data", p.Data, "--push-limit", "1000", "--log-format", "json"}
	if p.Database != "" {
		args = append(args, "--database", p.Database)
	}
	return launchArgs(append(args, p.Extra...)...)
}

func launchArgs(args ...string) (*node, error) { return launchCommand(exec.Command(binary, args...)) }

func launchCommand(cmd *exec.Cmd) (*node, error) {
	n := &node{cmd: cmd, ended: make(chan struct{}), log: &buffer{}}
	n.cmd.Stderr = n.log
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			if strings.HasPrefix(s.Text(), "watchword: ready on ") {
				close(ready)
			}
		}
		n.cmd.Wait()
		close(n.ended)
	}()
	select {
	case <-ready:
		return n, nil
	case <-n.ended:
		return nil, fmt.Errorf("the server ended before it was ready:\n%s", n.log)
	case <-time.After(30 * time.Second):
		n.kill()
		return nil, fmt.Errorf("the server was not ready within 30 s:\n%s", n.log)
	}
}

// kill is kill -9.
func (n *node) kill() {
	n.cmd.Process.Signal(syscall.SIGKILL) // it may be gone already
	<-n.ended
}

// stop asks the server to end and returns its exit status and how long it took.
func (n *node) stop(t testing.TB) (status int, took time.Duration) {
	t.Helper()
	begun := time.Now()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.ended:
	case <-time.After(20 * time.Second):
		n.kill()
		t.Fatal("the server did not end within 20 s")
	}
	return n.cmd.ProcessState.ExitCode(), time.Since(begun)
}

// keep shows what a server said if the test failed.
func keep(t testing.TB, n *node) {
	if t.Failed() && n.log.String() != "" {
		text := n.log.String()
		t.Logf("the server said:\n%s", text[max(0, len(text)-8000):])
	}
}

// tool runs a command to its end.
func tool(t testing.TB, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// open opens the database of a server that is down. Close it.
func (p place) open(t testing.TB) *db.DB {
	t.Helper()
	d, err := p.db(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (p place) db(ctx context.Context) (*db.DB, error) {
	text, err := os.ReadFile(filepath.Join(p.Data, "master.key"))
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, err
	}
	vault, err := secret.NewVault(key)
	if err != nil {
		return nil, err
	}
	url := p.Database
	if url == "" {
		url = "sqlite:" + filepath.Join(p.Data, "watchword.db")
	}
	return db.Open(ctx, url, vault, time.Now)
}

// someKeys makes keys for n phones: they take a while.
func someKeys(t testing.TB, n int) []*simulator.Keys {
	t.Helper()
	out := make([]*simulator.Keys, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	room := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range out {
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			out[i], errs[i] = simulator.NewKeys()
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// phone is a registered phone.
func (p place) phone(t testing.TB, email string, k *simulator.Keys) *simulator.Phone {
	t.Helper()
	ph, err := simulator.New(simulator.Options{Server: p.URL(), Client: "demo-native", Email: email, DeviceName: "Pixel 9", Keys: k, Now: time.Now, HTTP: client()})
	if err != nil {
		t.Fatal(err)
	}
	if err := ph.Register(t.Context()); err != nil {
		t.Fatalf("registering %s: %v", email, err)
	}
	return ph
}

func (p place) browser(t testing.TB) *simulator.Browser {
	t.Helper()
	b, err := simulator.NewBrowser(simulator.BrowserOptions{Server: p.URL(), Client: "demo-web", Now: time.Now, HTTP: client()})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// client is an HTTP client that shares no connection with another.
func client() *http.Client {
	return &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{}}
}

const waitStep = "transmit_platform_mobile_approve_authentication"
