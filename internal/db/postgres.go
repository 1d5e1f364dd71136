package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/watchword-auth/watchword/internal/fault"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

const (
	txLimit  = 15 * time.Second // for a whole transaction, whatever its caller does
	maxSkew  = 5 * time.Second  // between this node's clock and the database's
	poolSize = 20
)

// These are sent when a connection is made unless the url says otherwise. What
// they bound would hold locks, and other nodes, for ever.
var session = map[string]string{
	"statement_timeout":                   "10000",
	"lock_timeout":                        "5000",
	"idle_in_transaction_session_timeout": "30000",
	"application_name":                    "watchword",
}

// holdPostgres connects to a server that keeps what it answered, and brings the
// schema up to date.
func (d *DB) holdPostgres(ctx context.Context, address string) error {
	if err := d.readPostgres(address); err != nil {
		return err
	}
	d.write = d.read
	if err := d.durable(ctx); err != nil {
		return err
	}
	return d.migrate(ctx, goose.DialectPostgres)
}

func (d *DB) openPostgres(ctx context.Context, address string) error {
	if err := d.holdPostgres(ctx, address); err != nil {
		return err
	}
	d.once, d.ping = d.oncePostgres, d.pingPostgres
	d.courier = newCourier(d)
	d.closers = append([]io.Closer{d.courier}, d.closers...)
	return nil
}

// readPostgres makes the pool; it does not connect.
func (d *DB) readPostgres(address string) error {
	address, size, err := poolOf(address)
	if err != nil {
		return err
	}
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return fmt.Errorf("the database url: %w", err) // pgx leaves the password out
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	for name, value := range session {
		if _, told := config.RuntimeParams[name]; !told {
			config.RuntimeParams[name] = value
		}
	}
	pool := sql.OpenDB(connector{stdlib.GetConnector(*config), 0}) // pgx caches statements itself
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	pool.SetConnMaxLifetime(time.Hour)
	d.read, d.closers = pool, []io.Closer{pool}
	d.catalogue, d.patient, d.rowsAtOnce = tablesOfPostgres, patientPostgres, batchRows
	return nil
}

// poolOf takes pool_max_conns out of a url: the server would not know it.
func poolOf(address string) (string, int, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", 0, errors.New(`the database url must be "sqlite:PATH" or "postgres://USER@HOST:PORT/NAME"`)
	}
	q := u.Query()
	told := q.Get("pool_max_conns")
	if told == "" {
		return address, poolSize, nil
	}
	size, err := strconv.Atoi(told)
	if err != nil || size < 2 || size > 1000 {
		return "", 0, fmt.Errorf("the database url: pool_max_conns must be 2 to 1000, not %q", told)
	}
	q.Del("pool_max_conns")
	u.RawQuery = q.Encode()
	return u.String(), size, nil
}

// durable refuses a server that answers before it has written.
func (d *DB) durable(ctx context.Context) error {
	var mode string
	if err := d.read.QueryRowContext(ctx, `SHOW synchronous_commit`).Scan(&mode); err != nil {
		return fmt.Errorf("the database cannot be reached: %w", err)
	}
	if mode == "off" {
		return errors.New("PostgreSQL runs with synchronous_commit=off: it would forget answered approvals in a crash; set it to on")
	}
	return nil
}

func (d *DB) pingPostgres(ctx context.Context) error {
	var theirs int64
	before := d.Now()
	err := d.read.QueryRowContext(ctx, `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`).Scan(&theirs)
	if err != nil {
		return fmt.Errorf("reading from the database: %w", err)
	}
	after := d.Now()
	// The answer took time; only what that cannot explain counts.
	switch at := time.UnixMilli(theirs); {
	case at.Before(before.Add(-maxSkew)):
		return fmt.Errorf("this node's clock is %s ahead of the database's", before.Sub(at).Round(time.Millisecond))
	case at.After(after.Add(maxSkew)):
		return fmt.Errorf("this node's clock is %s behind the database's", at.Sub(after).Round(time.Millisecond))
	}
	return nil
}

func (d *DB) oncePostgres(caller context.Context, fn func(tx *Tx) error, _ bool, level sql.IsolationLevel) error {
	if err := caller.Err(); err != nil {
		return err
	}
	// Once begun, the caller's leaving does not count: a commit cut off half-way
	// would leave everybody guessing. The time limit counts instead.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(caller), txLimit)
	defer cancel()
	waiting := context.AfterFunc(caller, cancel)
	sqltx, err := d.write.BeginTx(ctx, &sql.TxOptions{Isolation: level})
	waiting()
	if err != nil {
		return late(caller, ctx, err)
	}
	defer sqltx.Rollback()
	t := &Tx{handle: sqltx, ctx: ctx, vault: d.vault, ran: &d.statements, now: d.Now()}
	err = fn(t)
	t.tidy()
	if err = t.verdict(err); err != nil {
		return late(caller, ctx, err)
	}
	if err := d.courier.post(t); err != nil {
		return late(caller, ctx, err)
	}
	if err := sqltx.Commit(); err != nil {
		return late(caller, ctx, err)
	}
	d.hub.wake(t.topics)
	d.hub.wake(t.here)
	d.tally(t.counts)
	return nil
}

// late tells apart who ran out of time: the caller, or our own limit.
func late(caller, ctx context.Context, err error) error {
	if caller.Err() != nil || ctx.Err() == nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault.New(fault.Unavailable, "temporarily unavailable, try again").After(2 * time.Second).Because(err)
}

const sizeOfPostgres = `SELECT pg_database_size(current_database())`

const (
	tablesOfPostgres = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'`
	// A copy of everything takes as long as it takes.
	patientPostgres = `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`
)
