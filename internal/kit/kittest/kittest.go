// Package kittest gives a test the real thing: a database, a queue and a clock
// that the test moves. It mocks nothing.
package kittest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
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

// New returns a fresh world: SQLite in a temporary folder, or a new PostgreSQL
// database when TEST_POSTGRES is set to the URL of a server
// (postgres://user@host:port). It ends with the test.
func New(t testing.TB) *World {
	t.Helper()
	w := &World{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Address: Address(t)}
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
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	name := "t_" + strings.ToLower(rand.Text())
	u.Path = "/postgres"
	// Nobody connects to template0, and a template in use cannot be copied.
	admin(t, u.String(), "CREATE DATABASE "+name+" TEMPLATE template0")
	t.Cleanup(func() { admin(t, u.String(), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	own := *u
	own.Path = "/" + name
	return own.String()
}

// admin runs one statement at the PostgreSQL server itself.
func admin(t testing.TB, address, statement string) {
	t.Helper()
	d, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.ExecContext(context.Background(), statement); err != nil {
		t.Error(err)
	}
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
