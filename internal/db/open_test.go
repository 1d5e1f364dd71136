package db_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/secret"
)

func open(t testing.TB, url string) (*db.DB, error) {
	t.Helper()
	vault, err := secret.NewVault(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(t.Context(), url, vault, func() time.Time { return time.UnixMilli(1_800_000_000_000) })
	if d != nil {
		t.Cleanup(func() { d.Close() })
	}
	return d, err
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	held := filepath.Join(dir, "held")
	if _, err := open(t, "sqlite:"+held); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"sqlite:" + held: "another instance (process " + fmt.Sprint(os.Getpid()) + ") holds the database",
		"sqlite:" + write("letter", strings.Repeat("Dear Ada, ", 1000)): "is not a database",
		"sqlite:" + filepath.Join(dir, "nowhere", "db"):                 "the folder of the database",
		"sqlite:" + filepath.Join(write("file", ""), "db"):              "the folder of the database",
		"sqlite:" + dir: "cannot write to",
		"mysql://x":     "database url must be",
		"postgres://u@127.0.0.1:1/x?pool_max_conns=no": "pool_max_conns",
	} {
		_, err := open(t, url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", url, err, want)
		}
	}
}

// Nobody but the owner reads the database, nor what SQLite puts beside it.
func TestFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if _, err := open(t, "sqlite:"+path); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm", path + ".lock"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

func TestReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write anywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, "sqlite:"+filepath.Join(dir, "db")); err == nil || !strings.Contains(err.Error(), "cannot write to the folder") {
		t.Errorf("a folder that cannot be written: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	_, err := open(t, "postgres://nobody:hunter2@127.0.0.1:1/none")
	if !fault.Is(err, fault.Unavailable) || fault.Of(err).RetryAfter == 0 {
		t.Errorf("a server that does not listen: %v", err)
	}
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error holds the password: %v", err)
	}
}

func TestOddPaths(t *testing.T) {
	for _, name := range []string{"with space", "100%", "a#b", "q?mode=memory", "ü"} {
		path := filepath.Join(t.TempDir(), name)
		if _, err := open(t, "sqlite:"+path); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%q: the database is elsewhere: %v", name, err)
		}
	}
}

func TestReopenAndNewerSchema(t *testing.T) {
	w := kittest.New(t)
	w.Do(t, func(tx *db.Tx) error { return put(t.Context(), tx, "k", "") })
	if err := w.DB.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := open(t, w.Address)
	if err != nil || !has(t, d, "k") {
		t.Fatalf("opening again: %v", err)
	}
	err = d.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	if _, err := open(t, w.Address); err == nil || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("a schema from the future was opened: %v", err)
	}
}

func TestManyNodesMigrateAtOnce(t *testing.T) {
	address := kittest.Address(t)
	if strings.HasPrefix(address, "sqlite:") {
		t.Skip("an SQLite database has one node; set TEST_POSTGRES")
	}
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if _, err := open(t, address); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// A process is killed while sixteen writers are at work. Whatever it had
// acknowledged, on a pipe, is there afterwards.
func TestKilled(t *testing.T) {
	if path := os.Getenv("WATCHWORD_TEST_VICTIM"); path != "" {
		victim(t, path)
	}
	path := filepath.Join(t.TempDir(), "db")
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "WATCHWORD_TEST_VICTIM="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if key, ok := strings.CutPrefix(lines.Text(), "ack "); ok {
			keys = append(keys, key)
		}
		if len(keys) == 500 {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	if len(keys) < 500 {
		t.Fatalf("only %d acknowledged", len(keys))
	}
	d, err := open(t, "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if !has(t, d, key) {
			t.Errorf("%s was acknowledged and is lost", key)
		}
	}
}

func victim(t *testing.T, path string) {
	d, err := open(t, "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	var out sync.Mutex
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%d/%d", g, i)
				if err := d.Tx(context.Background(), func(tx *db.Tx) error { return put(context.Background(), tx, key, "") }); err != nil {
					return
				}
				out.Lock()
				fmt.Println("ack " + key)
				out.Unlock()
			}
		})
	}
	all.Wait()
}
