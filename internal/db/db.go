// Package db is the one door to the database.
//
// Queries are written once and run unchanged on SQLite and PostgreSQL: $1
// placeholders, ON CONFLICT, RETURNING, no functions of either engine, times as
// milliseconds (BIGINT), documents as JSON text (TEXT, never queried inside),
// no FOR UPDATE, no = ANY, no casts with colons; a list is expanded in Go. The
// test TestPortableSQL holds the line over the whole repository.
//
// What is answered is durable: a transaction of which Tx reported success
// survives a power cut. What cannot be reached right now is a fault.Unavailable
// with the time to come back; the cause is inside, for the log.
//
// The package builds no queries, maps no structs, and no correctness may rest
// on its isolation level alone: what can be used once is spent by one
// conditional UPDATE whose row count is checked.
package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/secret"

	"github.com/google/uuid"
)

// Q is what a read needs: a *DB, or a *Tx inside a transaction. A write needs a
// *Tx, and a signature says which a function does.
type Q interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
	Vault() *secret.Vault
	Now() time.Time
}

// DB is a database. The zero value is not usable; call Open. Safe for
// concurrent use.
type DB struct {
	commits     atomic.Int64 // see Commits
	statements  atomic.Int64 // see Statements
	counting    sync.Mutex
	counts      map[string]int64 // see Counts
	read, write *sql.DB
	vault       *secret.Vault
	now         func() time.Time
	node        string
	hub         hub
	once        func(ctx context.Context, fn func(tx *Tx) error, alone bool, level sql.IsolationLevel) error
	file        chan struct{} // of one: who lost often enough to go one at a time
	ping        func(ctx context.Context) error
	writer      *writer     // SQLite
	courier     *courier    // PostgreSQL
	catalogue   string      // names every table
	patient     string      // lets a transaction take its time; empty: it may
	rowsAtOnce  int         // that a restore adds by one statement
	target      int64       // the version of the schema to migrate to; 0: the newest
	closers     []io.Closer // in the order of closing
	closing     sync.Once
}

// Open opens the database at url ("sqlite:PATH" or "postgres://…") and brings
// its schema up to date. now is the server's clock. An SQLite database belongs
// to one process at a time; a PostgreSQL database may be shared by any number.
//
// In a PostgreSQL url, pool_max_conns bounds the connections of this process
// (20 unless told).
func Open(ctx context.Context, url string, vault *secret.Vault, now func() time.Time) (*DB, error) {
	d := &DB{vault: vault, now: now, node: rand.Text(), file: make(chan struct{}, 1)}
	return d.with(url, func(path string) error { return d.openSQLite(ctx, path) }, func() error { return d.openPostgres(ctx, url) })
}

// with opens d by the one of two ways that url is for.
func (d *DB) with(url string, sqlite func(path string) error, postgres func() error) (*DB, error) {
	var err error
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		err = sqlite(path)
	} else {
		err = postgres()
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// OpenToRead opens the database at url only to read it, whoever else has it open.
// It refuses a schema that is not this program's. There is no Tx on it.
func OpenToRead(ctx context.Context, url string, vault *secret.Vault, now func() time.Time) (*DB, error) {
	d := &DB{vault: vault, now: now}
	d, err := d.with(url, func(path string) error { return d.readSQLite(ctx, path) }, func() error { return d.readPostgres(url) })
	if err != nil {
		return nil, err
	}
	if err := d.sameSchema(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close lets running transactions end, refuses new ones and closes the
// database. When it returns, nothing of it runs any more. Closing twice does
// nothing.
func (d *DB) Close() error {
	var errs []error
	d.closing.Do(func() {
		for _, c := range d.closers {
			errs = append(errs, c.Close())
		}
	})
	return errors.Join(errs...)
}

// Ping reports whether this node may serve: the database answers, its schema is
// at least ours, and (on PostgreSQL, which is shared) its clock and ours differ
// by no more than five seconds.
func (d *DB) Ping(ctx context.Context) error {
	if err := d.ping(ctx); err != nil {
		return err
	}
	return d.migrated(ctx)
}

// Query reads outside of any transaction: it sees what is committed.
func (d *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	d.statements.Add(1)
	return d.read.QueryContext(ctx, query, encode(args)...)
}

// QueryRow is Query for one row; its error comes from Scan. See also None.
func (d *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	d.statements.Add(1)
	return d.read.QueryRowContext(ctx, query, encode(args)...)
}

// Vault seals and opens what is stored.
func (d *DB) Vault() *secret.Vault { return d.vault }

// Now is the server's clock, to the millisecond, in UTC.
func (d *DB) Now() time.Time { return d.now().UTC().Truncate(time.Millisecond) }

// Node names this handle among all that have the database open; it is new each
// time.
func (d *DB) Node() string { return d.node }

// NewID returns an entity id: prefix ("usr_") and a UUIDv7 in lower-case base32,
// so that ids sort by the time they were made. It is no secret; what must not
// be guessed is made with rand.Text.
func NewID(prefix string) string {
	u := uuid.Must(uuid.NewV7())
	return prefix + strings.ToLower(sortable.EncodeToString(u[:]))
}

// sortable is base32 with an alphabet in the order of its bytes, unlike the
// standard one, where digits mean more than letters (RFC 4648 section 7).
var sortable = base32.HexEncoding.WithPadding(base32.NoPadding)

// Column returns the one column that a query selects, in its order; nil if there is
// no row.
func Column[T any](ctx context.Context, q Q, query string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// None turns "no rows" into a client error about thing. Any other error is
// returned as it is, so that an outage stays fault.Unavailable.
func None(err error, thing string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "no such %s", thing)
	}
	return err
}

func encode(args []any) []any {
	for i, a := range args {
		if t, ok := a.(time.Time); ok {
			args[i] = millis(t)
		}
	}
	return args
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time scans a column of milliseconds; 0 is the zero time.
func Time(t *time.Time) sql.Scanner { return (*timeScan)(t) }

type timeScan time.Time

func (s *timeScan) Scan(v any) error {
	ms, ok := v.(int64)
	if !ok {
		return fmt.Errorf("db: cannot read a time from %T", v)
	}
	if *s = (timeScan)(time.Time{}); ms != 0 {
		*s = timeScan(time.UnixMilli(ms).UTC())
	}
	return nil
}

// JSON scans a column of JSON text into v.
func JSON(v any) sql.Scanner { return jsonScan{v} }

type jsonScan struct{ v any }

func (s jsonScan) Scan(v any) error {
	switch v := v.(type) {
	case string:
		return json.Unmarshal([]byte(v), s.v)
	case []byte:
		return json.Unmarshal(v, s.v)
	}
	return fmt.Errorf("db: cannot read JSON from %T", v)
}

// Text returns v as JSON text for a query.
func Text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("db: " + err.Error()) // a type that cannot be JSON is a bug
	}
	return string(b)
}

// Size is how large the database is, in bytes, what is free inside it included.
func (d *DB) Size(ctx context.Context) (int64, error) {
	query := sizeOfSQLite
	if d.writer == nil {
		query = sizeOfPostgres
	}
	var n int64
	err := d.read.QueryRowContext(ctx, query).Scan(&n)
	return n, err
}
