package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/watchword-auth/watchword/internal/fault"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	maxBatch  = 64               // transactions that share one commit
	patience  = 30 * time.Second // for the writer
	stmtCache = 512              // prepared statements a connection keeps
)

// holdSQLite makes the file at path this process's own and brings its schema up to
// date.
func (d *DB) holdSQLite(ctx context.Context, path string) error {
	lock, err := lockFile(path)
	if err != nil {
		return err
	}
	d.closers = append(d.closers, lock) // last of all, see below
	if err := ownersOnly(path); err != nil {
		return err
	}
	d.catalogue = tablesOfSQLite
	d.rowsAtOnce = 1 // the driver looks for each parameter among all, so many rows cost their square
	d.write, err = openPool(path, sqliteBase, "cache_size(-4000)")
	if err != nil {
		return err
	}
	d.closers = append([]io.Closer{d.write}, d.closers...)
	d.write.SetMaxOpenConns(1) // one writer: SQLite has no other kind
	if err := d.write.PingContext(ctx); err != nil {
		return explain(path, err)
	}
	return explain(path, d.migrate(ctx, goose.DialectSQLite3))
}

// ownersOnly makes the file if there is none, for its owner alone. SQLite gives
// what it puts beside it the same mode.
func ownersOnly(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot write to %s: %w", path, err)
	}
	return f.Close()
}

// sqliteBase is what every connection is told that may write. synchronous=FULL is
// what makes an answer durable. The page caches (in KiB) bound what the process
// keeps in memory.
var sqliteBase = url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)",
	"journal_size_limit(67108864)", "trusted_schema(OFF)"}}

func (d *DB) openSQLite(ctx context.Context, path string) (err error) {
	if err := d.holdSQLite(ctx, path); err != nil {
		return err
	}
	d.read, err = openPool(path, sqliteBase, "cache_size(-2000)", "query_only(ON)")
	if err != nil {
		return err
	}
	d.closers = append([]io.Closer{d.read}, d.closers...)
	// A reader may need a second connection while it holds one, so the bound is
	// far above what runs at once; the idle ones are what costs memory.
	d.read.SetMaxOpenConns(64)
	d.read.SetMaxIdleConns(max(4, runtime.GOMAXPROCS(0)))
	d.read.SetConnMaxIdleTime(5 * time.Minute)

	only, err := d.write.Conn(ctx)
	if err != nil {
		return explain(path, err)
	}
	d.writer = &writer{path: path, conn: only}
	d.closers = append([]io.Closer{d.writer}, d.closers...)
	d.once, d.ping = d.onceSQLite, d.pingSQLite
	return nil
}

func openPool(path string, base url.Values, pragmas ...string) (*sql.DB, error) {
	// Not url.URL: SQLite wants the path as it is, with only ? # and % escaped.
	q := url.Values{"_pragma": append(append([]string{}, base["_pragma"]...), pragmas...)}
	inner, err := sqlite.NewConnector("file:" + escapePath(path) + "?" + q.Encode())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return sql.OpenDB(connector{inner, stmtCache}), nil
}

func escapePath(path string) string {
	return (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()
}

// explain says in an operator's words why the file cannot be used.
func explain(path string, err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%s is not a database (or it is damaged): %w", path, err)
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("cannot write to %s: the folder and the file must be writable by this user: %w", path, err)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%s is damaged; restore it from a backup: %w", path, err)
	}
	return fmt.Errorf("opening %s: %w", path, err)
}

func (d *DB) pingSQLite(ctx context.Context) error {
	var one int
	if err := d.QueryRow(ctx, `SELECT 1`).Scan(&one); err != nil {
		return fmt.Errorf("reading from the database: %w", err)
	}
	return nil
}

// writer is the one connection that writes, and the queue before it.
//
// Concurrent transactions share one fsync. Whoever holds the baton runs its
// function, in a savepoint, inside the open batch, and hands the baton to the
// next in the queue; the last one, when nobody waits any more or the batch is
// full, commits. Only then is any member of the batch answered. A function that
// fails is rolled back to its savepoint and its neighbours do not notice.
//
// There is no writer goroutine: a function runs where it was called, so a panic
// in it goes where it belongs.
type writer struct {
	path string
	conn *sql.Conn

	mu     sync.Mutex
	held   bool
	closed bool
	queue  []*waiter

	// only the holder of the baton touches these
	batch *batch
	saved bool // the running function began with a savepoint
}

type waiter struct {
	turn chan struct{} // closed when the baton, or the end, is there
	held bool          // guarded by writer.mu
}

type batch struct {
	size int
	done chan struct{}
	err  error // valid once done is closed
}

var (
	errClosed = fault.New(fault.Unavailable, "the server is shutting down").After(2 * time.Second)
	errSlow   = fault.New(fault.Unavailable, "too busy, try again").After(time.Second).
			Because(fmt.Errorf("waited %s to write: the disk hangs, or a Tx was opened inside a Tx", patience))
)

func (d *DB) onceSQLite(ctx context.Context, fn func(tx *Tx) error, alone bool, _ sql.IsolationLevel) error {
	w := d.writer
	if err := w.take(ctx); err != nil {
		return err
	}
	b, err := w.begin()
	if err != nil {
		w.pass(true)
		return err
	}
	t := &Tx{handle: w.conn, ctx: context.Background(), vault: d.vault, ran: &d.statements, now: d.Now()}
	returned := false
	defer func() {
		if !returned { // fn panicked or ended its goroutine
			t.tidy()
			w.undo(t)
			w.pass(alone)
		}
	}()
	err = fn(t)
	returned = true
	t.tidy()
	if err = t.verdict(err); err == nil {
		err = w.keep()
	}
	if err != nil {
		w.undo(t)
		w.pass(alone)
		return err
	}
	b.size++
	w.pass(alone)
	<-b.done
	if b.err != nil {
		return b.err
	}
	d.hub.wake(t.topics)
	d.hub.wake(t.here)
	d.tally(t.counts)
	return nil
}

// take waits for the baton.
func (w *writer) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errClosed
	}
	if !w.held {
		w.held = true
		w.mu.Unlock()
		return nil
	}
	me := &waiter{turn: make(chan struct{})}
	w.queue = append(w.queue, me)
	w.mu.Unlock()

	limit := time.NewTimer(patience)
	defer limit.Stop()
	var why error
	select {
	case <-me.turn:
	case <-ctx.Done():
		why = ctx.Err()
	case <-limit.C:
		why = errSlow
	}
	return w.taken(me, why)
}

// taken settles a race: the baton may have come while we gave up.
func (w *writer) taken(me *waiter, why error) error {
	w.mu.Lock()
	held, closed := me.held, w.closed
	if !held {
		for i, other := range w.queue {
			if other == me {
				w.queue = append(w.queue[:i], w.queue[i+1:]...)
				break
			}
		}
	}
	w.mu.Unlock()
	switch {
	case why == nil && held:
		return nil
	case why == nil && closed:
		return errClosed
	case held:
		w.pass(false)
	}
	return why
}

// pass hands the baton on. If nobody waits for it, or the batch is full, or
// must end, the batch is committed first.
func (w *writer) pass(end bool) {
	for {
		w.mu.Lock()
		waiting := len(w.queue) > 0
		if w.batch != nil && (end || !waiting || w.batch.size >= maxBatch) {
			w.mu.Unlock()
			w.commit() // meanwhile the queue grows: that is the next batch
			continue
		}
		if waiting {
			next := w.queue[0]
			w.queue = w.queue[1:]
			next.held = true
			close(next.turn)
		} else {
			w.held = false
		}
		w.mu.Unlock()
		return
	}
}

// begin opens a batch, or a savepoint in the open one.
func (w *writer) begin() (*batch, error) {
	if w.batch == nil {
		if err := w.exec("BEGIN IMMEDIATE"); err != nil {
			w.exec("ROLLBACK") // in case that an earlier one failed
			return nil, err
		}
		w.batch, w.saved = &batch{done: make(chan struct{})}, false
		return w.batch, nil
	}
	if err := w.exec("SAVEPOINT s"); err != nil {
		w.spoil()
		return nil, errors.Join(errRedo, err)
	}
	w.saved = true
	return w.batch, nil
}

// keep makes the running function's changes part of the batch.
func (w *writer) keep() error {
	if !w.saved {
		return nil
	}
	return w.exec("RELEASE s")
}

// undo takes the running function's changes out of the batch.
func (w *writer) undo(t *Tx) {
	switch {
	case !w.saved: // it was the first: nobody else is in the batch
		w.exec("ROLLBACK")
		w.batch = nil
	case t.broken != nil || w.exec("ROLLBACK TO s") != nil || w.exec("RELEASE s") != nil:
		w.spoil() // the engine has undone all of it
	}
}

// spoil ends the batch without a commit; its members run again, each alone.
func (w *writer) spoil() {
	w.exec("ROLLBACK")
	w.batch.err = errRedo
	close(w.batch.done)
	w.batch = nil
}

func (w *writer) commit() {
	b := w.batch
	w.batch = nil
	if b.err = w.exec("COMMIT"); b.err != nil {
		w.exec("ROLLBACK")
		if again(b.err) {
			b.err = errRedo
		}
	}
	close(b.done)
}

func (w *writer) exec(query string) error {
	_, err := w.conn.ExecContext(context.Background(), query)
	return err
}

// Close waits for the baton, which comes after all who wait now, and keeps it.
func (w *writer) Close() error {
	if err := w.take(context.Background()); err != nil {
		if err == errClosed {
			return nil
		}
		return err
	}
	w.mu.Lock()
	w.closed = true
	late := w.queue
	w.queue = nil
	w.mu.Unlock()
	if w.batch != nil {
		w.commit()
	}
	for _, l := range late {
		close(l.turn)
	}
	return w.conn.Close()
}

const sizeOfSQLite = `SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()`

const tablesOfSQLite = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`

// readSQLite opens the file at path to read, whoever else has it open.
func (d *DB) readSQLite(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is no database: %w", err)
	}
	pool, err := openPool(path, url.Values{"_pragma": {"busy_timeout(10000)", "query_only(ON)", "trusted_schema(OFF)"}})
	if err != nil {
		return err
	}
	d.read, d.closers = pool, []io.Closer{pool}
	d.catalogue = tablesOfSQLite
	return explain(path, pool.PingContext(ctx))
}
