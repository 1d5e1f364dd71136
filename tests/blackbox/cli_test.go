package blackbox

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// TestCommands runs the command line as an operator does. In a script, $LISTEN
// is a free address, $TAKEN one that is not, $SHOP a folder of
// configuration with tests; "exits N command…" runs the program
// and wants that status; "oneline" wants stderr to be one line; "server DATA
// ARGS…" starts a server and waits for it, "stopserver" ends it with SIGTERM;
// "tamper DATA COLUMN" changes a row of the audit record, "age DATA" makes the
// schema newer than the program; "signin" gets a token into $TOKEN, "introspect"
// asks the server about it.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "cli"),
		UpdateScripts: os.Getenv("UPDATE_GOLDEN") != "",
		Setup: func(e *testscript.Env) error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Defer(func() { l.Close() })
			e.Values["server"] = new(*node)
			e.Setenv("TAKEN", l.Addr().String())
			e.Setenv("LISTEN", address(t))
			shop, err := filepath.Abs(filepath.Join("..", "..", "examples", "shop"))
			if err != nil {
				return err
			}
			e.Setenv("SHOP", shop)
			e.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+e.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": cmdExits, "oneline": cmdOneLine, "server": cmdServer, "stopserver": cmdStopServer, "tamper": cmdTamper, "age": cmdAge,
			"signin": cmdSignIn, "introspect": cmdIntrospect,
		},
	})
}

func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec("watchword", args[1:]...)
	status := 0
	if err != nil {
		if _, e := fmt.Sscanf(err.Error(), "exit status %d", &status); e != nil {
			ts.Fatalf("%v", err)
		}
	}
	if fmt.Sprint(status) != args[0] {
		ts.Fatalf("exit status %d, want %s", status, args[0])
	}
}

func cmdOneLine(ts *testscript.TestScript, _ bool, _ []string) {
	text := ts.ReadFile("stderr")
	if n := strings.Count(text, "\n"); n != 1 || !strings.HasPrefix(text, "watchword: ") {
		ts.Fatalf("%d lines:\n%s", n, text)
	}
}

func cmdServer(ts *testscript.TestScript, _ bool, args []string) {
	verb := args[0]
	all := append([]string{verb, "--listen", ts.Getenv("LISTEN"), "--data", ts.MkAbs(args[1])}, args[2:]...)
	n, err := launchArgs(all...)
	ts.Check(err)
	ts.Defer(n.kill)
	*ts.Value("server").(**node) = n
}

func cmdStopServer(ts *testscript.TestScript, _ bool, _ []string) {
	n := *ts.Value("server").(**node)
	n.cmd.Process.Signal(os.Interrupt)
	select {
	case <-n.ended:
	case <-time.After(20 * time.Second):
		ts.Fatalf("the server does not stop")
	}
	if code := n.cmd.ProcessState.ExitCode(); code != 0 {
		ts.Fatalf("the server ended with %d: %s", code, n.log)
	}
}

// reach opens the database of a stopped server.
func reach(ts *testscript.TestScript, data string, fn func(tx *db.Tx) error) {
	d, err := place{Data: ts.MkAbs(data)}.db(context.Background())
	ts.Check(err)
	defer d.Close()
	ts.Check(d.Tx(context.Background(), fn))
}

func cmdTamper(ts *testscript.TestScript, _ bool, args []string) {
	reach(ts, args[0], func(tx *db.Tx) error {
		n, err := tx.Exec(context.Background(), `UPDATE audit SET `+args[1]+` = 'changed' WHERE seq = 2`)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d rows", n)
		}
		return err
	})
}

func cmdAge(ts *testscript.TestScript, _ bool, args []string) {
	reach(ts, args[0], func(tx *db.Tx) error {
		_, err := tx.Exec(context.Background(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, TRUE)`)
		return err
	})
}

func cmdSignIn(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	url := "http://" + ts.Getenv("LISTEN")
	ph, err := simulator.New(simulator.Options{Server: url, Client: "demo-native", Email: "cli@example.org", Now: time.Now})
	ts.Check(err)
	ts.Check(ph.Register(ctx))
	b, err := simulator.NewBrowser(simulator.BrowserOptions{Server: url, Client: "demo-web", Now: time.Now})
	ts.Check(err)
	_, err = b.Start(ctx, "web_login", nil)
	ts.Check(err)
	r, err := b.Submit(ctx, "web_to_mobile", map[string]any{"email": "cli@example.org"})
	ts.Check(err)
	list, err := ph.Pending(ctx, 5*time.Second)
	ts.Check(err)
	ts.Check(ph.Approve(ctx, list[0].ID, r.Text("number")))
	r, err = b.Wait(ctx)
	ts.Check(err)
	if r.Token == "" {
		ts.Fatalf("no token: %+v", r)
	}
	ts.Setenv("TOKEN", r.Token)
}

var backendSecret = regexp.MustCompile(`"backend":"([^"]+)"`)

func cmdIntrospect(ts *testscript.TestScript, _ bool, args []string) {
	secret := backendSecret.FindStringSubmatch(ts.ReadFile(filepath.Join(args[0], "dev.json")))[1]
	req, err := http.NewRequest("POST", "http://"+ts.Getenv("LISTEN")+"/ido/api/v2/token/introspect", strings.NewReader(`{"token":"`+ts.Getenv("TOKEN")+`"}`))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth("demo-backend", secret)
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(res.Body)
	ts.Check(err)
	if got := strings.Contains(b.String(), `"active":true`); !got {
		ts.Fatalf("introspection: %d %s", res.StatusCode, &b)
	}
}
