package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"

	"github.com/watchword-auth/watchword/internal/fault"
)

// connector wraps a driver: an error leaves it as the one that clients may see
// when the database is away, and, where cache is set, each connection keeps its
// statements prepared. (pgx has a cache of its own.) It works below database/sql
// so that *sql.Row and *sql.Rows carry the errors too.
type connector struct {
	driver.Connector
	cache int // statements a connection keeps; 0: none
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, translate(err)
	}
	return &conn{inner, c.cache, map[string]*cached{}}, nil
}

// full is what both drivers implement.
type full interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
}

type conn struct {
	driver.Conn
	cache int
	stmts map[string]*cached
}

type cached struct {
	driver.Stmt
	busy bool // its rows are open
}

func (c *conn) full() full { return c.Conn.(full) }

func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.full().BeginTx(ctx, opts)
	return tx, translate(err)
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.full().PrepareContext(ctx, query)
}

func (c *conn) Ping(ctx context.Context) error         { return c.full().Ping(ctx) }
func (c *conn) ResetSession(ctx context.Context) error { return c.full().ResetSession(ctx) }

func (c *conn) IsValid() bool {
	v, ok := c.Conn.(driver.Validator)
	return !ok || v.IsValid()
}

func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *conn) Close() error {
	for _, s := range c.stmts {
		s.Close()
	}
	clear(c.stmts)
	return c.Conn.Close()
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.stmt(ctx, query)
	if err != nil {
		return nil, translate(err)
	}
	if s == nil {
		res, err := c.full().ExecContext(ctx, query, args)
		return res, translate(err)
	}
	res, err := s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	return res, translate(err)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.stmt(ctx, query)
	if err != nil {
		return nil, translate(err)
	}
	if s == nil {
		r, err := c.full().QueryContext(ctx, query, args)
		if err != nil {
			return nil, translate(err)
		}
		return &rows{Rows: r}, nil
	}
	r, err := s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, translate(err)
	}
	s.busy = true
	return &rows{r, s}, nil
}

// stmt returns query prepared, or nil if it must be run as it is: because this
// connection keeps no statements, or this one is being read from.
func (c *conn) stmt(ctx context.Context, query string) (*cached, error) {
	if c.cache == 0 {
		return nil, nil
	}
	if s, ok := c.stmts[query]; ok {
		if s.busy {
			return nil, nil
		}
		return s, nil
	}
	inner, err := c.full().PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if len(c.stmts) >= c.cache {
		c.evict()
	}
	s := &cached{Stmt: inner}
	c.stmts[query] = s
	return s, nil
}

// evict forgets any one idle statement. Which one hardly matters: the server's
// statements are fewer than the cache, so this is about odd callers only.
func (c *conn) evict() {
	for query, s := range c.stmts {
		if !s.busy {
			s.Close()
			delete(c.stmts, query)
			return
		}
	}
}

type rows struct {
	driver.Rows
	stmt *cached
}

func (r *rows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if err == io.EOF {
		return err
	}
	return translate(err)
}

func (r *rows) Close() error {
	err := r.Rows.Close()
	if r.stmt != nil {
		r.stmt.busy = false
		r.stmt = nil
	}
	return translate(err)
}

// ColumnTypeDatabaseTypeName is what the engine calls the type of a column.
func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	t, ok := r.Rows.(driver.RowsColumnTypeDatabaseTypeName)
	if !ok {
		return ""
	}
	return t.ColumnTypeDatabaseTypeName(i)
}

// translate is outage for what leaves the driver. driver.ErrBadConn stays: with
// it the driver says that nothing was sent, and database/sql takes another
// connection. So does what asks for the transaction to be run again.
func translate(err error) error {
	if err == nil || errors.Is(err, driver.ErrBadConn) || again(err) {
		return err
	}
	if unstorable(err) {
		return fault.New(fault.Invalid, "a text holds characters that cannot be stored").Because(err)
	}
	return outage(err)
}
