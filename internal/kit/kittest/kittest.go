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
	"slices"
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

// Prompt runs try, which says how long something took, until that is no more than
// limit, three times at most: a machine that is busy is late now and then, what is
// wrong is late each time.
func Prompt(t testing.TB, limit time.Duration, what string, try func() time.Duration) {
	t.Helper()
	var took []time.Duration
	for range 3 {
		took = append(took, try())
		if took[len(took)-1] <= limit {
			return
		}
	}
	t.Errorf("%s: %s, want no more than %s", what, took, limit)
}

// Alike runs batch, which says how long the two sides of some pairs took, until all
// that it said so far tells the one side from the other by less than limit, eight
// times at most. It compares lower quartiles: what else a machine does makes some of
// the times longer, and none shorter; a side that does more is slower in all of them,
// however many there are.
func Alike(t testing.TB, limit float64, what string, batch func() [2][]time.Duration) {
	t.Helper()
	var all [2][]time.Duration
	var ratios []float64
	for range 8 {
		for side, took := range batch() {
			all[side] = append(all[side], took...)
		}
		r := float64(quartile(all[0])) / float64(quartile(all[1]))
		ratios = append(ratios, r)
		if r < limit && r > 1/limit {
			t.Logf("%s: %d pairs, ratio %.3f", what, len(all[0]), ratios)
			return
		}
	}
	t.Errorf("%s: the one takes %.3f times as long as the other, by %d pairs", what, ratios, len(all[0]))
}

// quartile is what a quarter of the times is below.
func quartile(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/4]
}

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
