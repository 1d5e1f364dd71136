// Package kittest gives a test the real thing: a database, a queue and a clock
// that the test moves. It mocks nothing.
package kittest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/secret"
)

// World is a kit with a clock. Nothing in it runs by itself: jobs run in Drain.
type World struct {
	*kit.Kit
	Address string // the database's, as db.Open takes it

	mu  sync.Mutex
	now time.Time
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// New returns a fresh world: SQLite in a temporary folder, or a new PostgreSQL
// database when TEST_POSTGRES is set to the URL of a server
// (postgres://user@host:port). It ends with the test.
func New(t testing.TB) *World {
	t.Helper()
	w := &World{now: start, Address: address(t)}
	d := w.Open(t)
	log := slog.New(slog.DiscardHandler)
	w.Kit = &kit.Kit{DB: d, Log: log, URL: "https://id.example", Jobs: jobs.NewWorker(d, log)}
	return w
}

// Node opens the world's database once more, as another node. It skips the test
// on SQLite, which knows one node only.
func (w *World) Node(t testing.TB) *db.DB {
	t.Helper()
	if !w.Shared() {
		t.Skip("an SQLite database has one node; set TEST_POSTGRES")
	}
	return w.Open(t)
}

// Shared reports whether several nodes can share the world's database.
func (w *World) Shared() bool { return !strings.HasPrefix(w.Address, "sqlite:") }

// Open opens the world's database. It is closed when the test ends.
func (w *World) Open(t testing.TB) *db.DB {
	t.Helper()
	vault, err := secret.NewVault(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(t.Context(), w.Address, vault, w.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Address makes an empty database for a test and returns its address for
// db.Open. A PostgreSQL database is dropped when the test ends.
func Address(t testing.TB) string {
	t.Helper()
	base := os.Getenv("TEST_POSTGRES")
	if base == "" {
		return "sqlite:" + filepath.Join(t.TempDir(), "watchword.db")
	}
	return create(t, base, "template0") // nobody connects to it, so it can always be copied
}

// FreeAddress is a loopback address that nobody listens on, below the ports that
// the system gives to connections: one of those could be taken before a server has
// it.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		n, err := rand.Int(rand.Reader, big.NewInt(20_000))
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.FormatInt(10_000+n.Int64(), 10))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// address is Address, of a database that may have its schema already.
func address(t testing.TB) string {
	t.Helper()
	base := os.Getenv("TEST_POSTGRES")
	if base == "" {
		return Address(t)
	}
	name, err := migrated(base)
	if err != nil {
		t.Fatal(err)
	}
	return create(t, base, name)
}

func create(t testing.TB, base, template string) string {
	t.Helper()
	name := "t_" + strings.ToLower(rand.Text())
	if err := admin(base, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin(base, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return at(base, name)
}

var (
	making sync.Mutex
	made   string
)

// migrated returns the name of a database that has the schema and nothing else:
// copying it is several times faster than migrating. Test processes share it.
func migrated(base string) (string, error) {
	making.Lock()
	defer making.Unlock()
	if made != "" {
		return made, nil
	}
	name := "template_" + db.Schema()
	d, err := sql.Open("pgx", at(base, "postgres"))
	if err != nil {
		return "", err
	}
	defer d.Close()
	var have int
	if err := d.QueryRow(`SELECT COUNT(*) FROM pg_database WHERE datname = $1`, name).Scan(&have); err != nil {
		return "", err
	}
	if have == 0 {
		if err := makeTemplate(base, name); err != nil {
			return "", err
		}
	}
	made = name
	return name, nil
}

func makeTemplate(base, name string) error {
	draft := "t_" + strings.ToLower(rand.Text())
	if err := admin(base, "CREATE DATABASE "+draft+" TEMPLATE template0"); err != nil {
		return err
	}
	vault, err := secret.NewVault(make([]byte, 32))
	if err != nil {
		return err
	}
	d, err := db.Open(context.Background(), at(base, draft), vault, func() time.Time { return start })
	if err != nil {
		return err
	}
	if err := d.Close(); err != nil {
		return err
	}
	if err := admin(base, "ALTER DATABASE "+draft+" RENAME TO "+name); err != nil {
		// Another process was faster, and its template is as good.
		return admin(base, "DROP DATABASE IF EXISTS "+draft+" WITH (FORCE)")
	}
	return nil
}

// admin runs one statement at the PostgreSQL server itself.
func admin(base, statement string) error {
	d, err := sql.Open("pgx", at(base, "postgres"))
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = d.Exec(statement)
	return err
}

// at returns the address of database name on the server of base.
func at(base, name string) string {
	u, err := url.Parse(base)
	if err != nil {
		panic("TEST_POSTGRES is no url")
	}
	u.Path = "/" + name
	return u.String()
}

// Now is the world's clock.
func (w *World) Now() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }

// Pass lets time pass.
func (w *World) Pass(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.now = w.now.Add(d) }

// Do runs fn in a transaction, which must succeed.
func (w *World) Do(t testing.TB, fn func(tx *db.Tx) error) {
	t.Helper()
	if err := w.DB.Tx(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// Drain runs every job that is due, and those that they enqueue to run at once.
// A job that fails is put off, as in the server; Pass makes it due again.
func (w *World) Drain(t testing.TB) {
	t.Helper()
	for {
		more, err := w.Jobs.RunOne(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return
		}
	}
}
