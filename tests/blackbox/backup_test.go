package blackbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/kit/kittest"
)

// TestMove starts small and grows: somebody registers a phone on the embedded
// database, the server is backed up while it runs and again when it is stopped,
// and goes on from the copy on PostgreSQL (or a new SQLite file where there is
// none), where the same phone signs its owner in and the record is whole.
func TestMove(t *testing.T) {
	p := place{Listen: address(t), Data: t.TempDir()}
	n := start(t, p)
	ph := p.phone(t, "mover@example.org", someKeys(t, 1)[0])
	if err := signIn(t, p, ph, "mover@example.org", client()); err != nil {
		t.Fatal(err)
	}
	running, file := filepath.Join(t.TempDir(), "running"), filepath.Join(t.TempDir(), "stopped")
	if out, errs, code := tool(t, "backup", "--data", p.Data, running); code != 0 || !strings.Contains(out, "users: 2") {
		t.Fatalf("while it runs: %d %s %s", code, out, errs)
	}
	if err := signIn(t, p, ph, "mover@example.org", client()); err != nil {
		t.Fatalf("after the backup: %v", err)
	}
	if code, _ := n.stop(t); code != 0 {
		t.Fatalf("stopping: %d", code)
	}
	if out, errs, code := tool(t, "backup", "--data", p.Data, file); code != 0 {
		t.Fatalf("when it is stopped: %d %s %s", code, out, errs)
	}
	for _, from := range []string{running, file} {
		to := place{Listen: p.Listen, Data: t.TempDir(), Database: kittest.Address(t)}
		for _, name := range []string{"master.key", "dev.json"} { // what else a data folder has
			b, err := os.ReadFile(filepath.Join(p.Data, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(to.Data, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, errs, code := tool(t, "restore", "--data", to.Data, "--database", to.Database, "--whole", from)
		if code != 0 || !strings.Contains(out, "The audit record is whole") {
			t.Fatalf("restoring: %d %s %s", code, out, errs)
		}
		moved := start(t, to)
		if err := signIn(t, to, ph, "mover@example.org", client()); err != nil {
			t.Errorf("after the move: %v", err)
		}
		if code, _ := moved.stop(t); code != 0 {
			t.Errorf("stopping what was moved: %d", code)
		}
	}
}
