// Package db is the one door to the database.
//
// Queries are written once and run unchanged on SQLite and PostgreSQL: $1
// placeholders, ON CONFLICT, RETURNING, no functions of either engine, times as
// milliseconds, documents as JSON text. TestPortableSQL holds the line.
package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/secret"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Q is what a read needs: a *DB, or a *Tx inside a transaction. A write needs a
// *Tx, and a signature says which a function does.
type Q interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
	Vault() *secret.Vault
	Now() time.Time
}

// DB is a database. The zero value is not usable; call Open.
type DB struct {
	read, write *sql.DB
	vault       *secret.Vault
	serial      *sql.TxOptions
	now         func() time.Time
	hub         hub
	node        string
}

// Open opens the database at url ("sqlite:PATH" or "postgres://…") and brings
// its schema up to date. now is the server's clock.
func Open(ctx context.Context, url string, vault *secret.Vault, now func() time.Time) (*DB, error) {
	d := &DB{vault: vault, now: now, node: rand.Text()}
	var err error
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		dsn := "file:" + path + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(ON)&_pragma=synchronous(FULL)"
		if d.write, err = sql.Open("sqlite", dsn+"&_txlock=immediate"); err != nil {
			return nil, err
		}
		d.write.SetMaxOpenConns(1) // one writer: SQLite has no other kind
		if d.read, err = sql.Open("sqlite", dsn+"&_pragma=query_only(ON)"); err != nil {
			return nil, err
		}
	} else {
		if d.write, err = sql.Open("pgx", url); err != nil {
			return nil, err
		}
		d.read = d.write
		d.serial = &sql.TxOptions{Isolation: sql.LevelSerializable}
	}
	return d, d.migrate(ctx)
}

// Close closes the database.
func (d *DB) Close() error { return errors.Join(d.read.Close(), d.write.Close()) }

func (d *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return d.read.QueryContext(ctx, query, encode(args)...)
}
func (d *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return d.read.QueryRowContext(ctx, query, encode(args)...)
}

// Node names this handle among all that have the database open; it is new each
// time.
func (d *DB) Node() string { return d.node }

func (d *DB) Vault() *secret.Vault { return d.vault }
func (d *DB) Now() time.Time       { return d.now().UTC().Truncate(time.Millisecond) }

// Tx is a transaction. Its clock stands still.
type Tx struct {
	tx     *sql.Tx
	vault  *secret.Vault
	now    time.Time
	topics []string
}

// Signal wakes everyone who watches topic (see DB.Watch), on every node, once
// this transaction has committed and never if it does not.
func (t *Tx) Signal(topic string) { t.topics = append(t.topics, topic) }

// SignalHere is Signal for this node alone.
func (t *Tx) SignalHere(topic string) { t.topics = append(t.topics, topic) }

func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	return affected(t.tx.ExecContext(ctx, query, encode(args)...))
}
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, query, encode(args)...)
}
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(ctx, query, encode(args)...)
}
func (t *Tx) Vault() *secret.Vault { return t.vault }
func (t *Tx) Now() time.Time       { return t.now }

// Tx runs fn in a serializable transaction and runs it again if the database
// asks for that, so fn must have no effect but through tx. No network call, no
// password hash: a transaction holds up every other writer.
func (d *DB) Tx(ctx context.Context, fn func(tx *Tx) error) error {
	for try := 0; ; try++ {
		err := d.once(ctx, fn)
		if try == 9 || !again(err) {
			return err
		}
		time.Sleep(time.Duration(try+1) * 5 * time.Millisecond)
	}
}

func (d *DB) once(ctx context.Context, fn func(tx *Tx) error) error {
	tx, err := d.write.BeginTx(ctx, d.serial)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	t := &Tx{tx: tx, vault: d.vault, now: d.Now()}
	if err := fn(t); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	d.hub.wake(t.topics)
	return nil
}

func again(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "40001" || e.Code == "40P01"
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()&0xff == 5 // SQLITE_BUSY
	}
	return false
}

// NewID returns an entity id: prefix ("usr_") and a UUIDv7 in lower-case base32,
// so that ids sort by the time they were made. It is no secret; what must not
// be guessed is made with rand.Text.
func NewID(prefix string) string {
	u := uuid.Must(uuid.NewV7())
	return prefix + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(u[:]))
}

// Taken reports whether err is a violated UNIQUE constraint.
func Taken(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "23505"
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == 2067 || e.Code() == 1555
	}
	return false
}

// None turns "no rows" into a client error about thing.
func None(err error, thing string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "no such %s", thing)
	}
	return err
}

func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
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

func (d *DB) migrate(ctx context.Context) error {
	if _, err := d.write.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, at BIGINT NOT NULL)`); err != nil {
		return err
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	for _, name := range names { // Glob sorts
		script, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		err = d.Tx(ctx, func(tx *Tx) error {
			n, err := tx.Exec(ctx, `INSERT INTO migrations (name, at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, tx.Now())
			if err != nil || n == 0 {
				return err
			}
			_, err = tx.tx.ExecContext(ctx, string(script))
			return err
		})
		if err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
	}
	return nil
}
