package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/secret"
)

const (
	// tries bounds how often a transaction runs before the caller is sent away.
	tries = 20
	// losses is how often one may lose before it goes on in single file: those who
	// fight over a row then stop fighting each other.
	losses = 4
)

// Tx is a transaction. Its clock stands still. It belongs to the function that
// was given it and ends with it; it is not safe for concurrent use.
type Tx struct {
	handle interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
	ctx    context.Context // of the transaction: a caller who leaves does not break it half-way
	vault  *secret.Vault
	ran    *atomic.Int64 // see DB.Statements
	now    time.Time
	topics []string // for every node
	here   []string // for this node
	counts []string // see Count
	failed error    // the first error of a statement
	broken error    // the first after which the engine keeps nothing of the transaction
	rows   []*sql.Rows
	row    []*sql.Row
}

// Signal wakes everyone who watches topic (see DB.Watch), on every node, once
// this transaction has committed and never if it does not.
func (t *Tx) Signal(topic string) { t.topics = append(t.topics, topic) }

// SignalHere is Signal for this node alone; it costs the database nothing.
func (t *Tx) SignalHere(topic string) { t.here = append(t.here, topic) }

// Count adds one to a counter of this process, see DB.Counts, once the
// transaction has committed and never if it does not. Names are few and not
// made of what clients say.
func (t *Tx) Count(name string) { t.counts = append(t.counts, name) }

// Exec runs a statement and returns how many rows it changed. ctx does not
// cancel it: a transaction runs to its end or not at all.
func (t *Tx) Exec(_ context.Context, query string, args ...any) (int64, error) {
	t.ran.Add(1)
	res, err := t.handle.ExecContext(t.ctx, query, encode(args)...)
	if err != nil {
		return 0, t.note(err)
	}
	return res.RowsAffected()
}

// Query reads inside the transaction. Rows left open are closed with it.
func (t *Tx) Query(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	t.ran.Add(1)
	rows, err := t.handle.QueryContext(t.ctx, query, encode(args)...)
	if err != nil {
		return nil, t.note(err)
	}
	t.rows = append(t.rows, rows)
	return rows, nil
}

// QueryRow is Query for one row; its error comes from Scan.
func (t *Tx) QueryRow(_ context.Context, query string, args ...any) *sql.Row {
	t.ran.Add(1)
	row := t.handle.QueryRowContext(t.ctx, query, encode(args)...)
	if t.note(row.Err()) == nil {
		t.row = append(t.row, row)
	}
	return row
}

// Vault seals and opens what is stored.
func (t *Tx) Vault() *secret.Vault { return t.vault }

// Now is the time of the transaction.
func (t *Tx) Now() time.Time { return t.now }

// note remembers an error for verdict.
func (t *Tx) note(err error) error {
	if t.failed == nil {
		t.failed = err
	}
	if t.broken == nil && fatal(err) {
		t.broken = err
	}
	return err
}

// verdict is what becomes of a transaction whose function returned err.
//
// If the engine dropped it, that counts, whatever the function made of it: it
// rests on statements that never ran. And no transaction goes on after a
// statement that failed. PostgreSQL refuses to, and SQLite must not be kinder.
func (t *Tx) verdict(err error) error {
	switch {
	case t.broken != nil:
		return t.broken
	case err == nil && t.failed != nil:
		return fmt.Errorf("a transaction went on after a statement had failed: %w", t.failed)
	}
	return err
}

// tidy closes what the function left open: it would hold up the commit.
func (t *Tx) tidy() {
	for _, r := range t.rows {
		r.Close()
	}
	for _, r := range t.row {
		r.Scan() // closes a row that nobody scanned, does nothing to any other
	}
	t.rows, t.row = nil, nil
}

// Tx runs fn in a serializable transaction and returns once it is durable, or
// has left no trace. It runs fn again, a bounded number of times, when the
// engine says that the transaction lost against another; so fn must have no
// effect but through tx. A statement that failed ends the transaction: fn may
// choose the error, and cannot go on. Who lost a few times goes on in single file with
// the others of this process that did. Tx never runs fn again when it is unknown whether a commit arrived: that is fault.Unavailable like any other outage.
//
// A caller whose ctx has ended gets its error before fn began; after that, fn
// and the commit run to their end. In fn: no network call, no password hash, no
// second Tx (it would wait for itself): a transaction holds up every other
// writer.
func (d *DB) Tx(ctx context.Context, fn func(tx *Tx) error) error {
	return d.try(ctx, fn, sql.LevelSerializable)
}

// Move is Tx for transactions in which everything that may happen once hangs on
// a conditional write or a unique column: on PostgreSQL it runs REPEATABLE READ,
// so that two that write the same row still exclude each other, but two that
// only read what the other writes do not. SERIALIZABLE keeps track of reads by
// the page, and of sign-ins at once that touch nothing in common a tenth had to
// run again. On SQLite it is Tx.
func (d *DB) Move(ctx context.Context, fn func(tx *Tx) error) error {
	return d.try(ctx, fn, sql.LevelRepeatableRead)
}

// collisions bounds how often a violated UNIQUE constraint is taken for a row
// that the transaction could not see yet.
const collisions = 3

func (d *DB) try(ctx context.Context, fn func(tx *Tx) error, level sql.IsolationLevel) error {
	for try := 1; ; try++ {
		if try == losses {
			leave, err := d.queue(ctx)
			if err != nil {
				return err
			}
			defer leave()
		}
		err := d.once(ctx, fn, try > 1, level)
		if err == nil {
			d.commits.Add(1)
			return nil
		}
		if !again(err) && !(level == sql.LevelRepeatableRead && try <= collisions && unseen(err)) {
			return outage(err)
		}
		if try == tries {
			return fault.New(fault.Unavailable, "too busy, try again").After(time.Second).Because(err)
		}
		if errors.Is(err, errRedo) {
			continue // a neighbour's trouble, not contention
		}
		pause := time.NewTimer(Jitter(2 * time.Millisecond << min(try, losses)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// queue waits until nobody else of this process stands in single file.
func (d *DB) queue(ctx context.Context) (leave func(), err error) {
	select {
	case d.file <- struct{}{}:
		return func() { <-d.file }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Jitter returns a random duration in [0, limit); 0 if limit is not above it.
// Whoever tries again waits so, or all would come again at once.
func Jitter(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	var b [8]byte
	rand.Read(b[:])
	return time.Duration(binary.BigEndian.Uint64(b[:]) % uint64(limit))
}

// tally keeps what a committed transaction counted.
func (d *DB) tally(names []string) {
	if len(names) == 0 {
		return
	}
	d.counting.Lock()
	defer d.counting.Unlock()
	if d.counts == nil {
		d.counts = map[string]int64{}
	}
	for _, name := range names {
		if _, known := d.counts[name]; !known && len(d.counts) >= maxCounts {
			name = "other"
		}
		d.counts[name]++
	}
}

// maxCounts bounds the names of counters, whatever a caller does.
const maxCounts = 500

// Counts is what transactions of this handle have counted, by name.
func (d *DB) Counts() map[string]int64 {
	d.counting.Lock()
	defer d.counting.Unlock()
	return maps.Clone(d.counts)
}

// Commits is how many transactions this handle has committed.
func (d *DB) Commits() int64 { return d.commits.Load() }

// Statements is how many statements this handle has run for its callers, those of
// transactions that ran again or left no trace included. Two requests that must not
// be told apart run as many.
func (d *DB) Statements() int64 { return d.statements.Load() }
