package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"time"

	"github.com/watchword-auth/watchword/internal/fault"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// errRedo says that a transaction was undone because of another in its batch.
var errRedo = errors.New("undone with its batch")

// again reports whether the engine asks for the transaction to be run again. It
// is only ever the engine's word: silence is no permission.
func again(err error) bool {
	if errors.Is(err, errRedo) {
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "40001" || e.Code == "40P01" // serialization failure, deadlock
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()&0xff == sqlite3.SQLITE_BUSY
	}
	return false
}

// unseen reports a violated UNIQUE constraint of PostgreSQL: outside
// SERIALIZABLE the row in the way may have been committed after the transaction
// began, and running again shows it.
func unseen(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "23505"
}

// fatal reports whether nothing of a transaction remains after err.
func fatal(err error) bool {
	if err == nil {
		return false
	}
	if again(err) {
		return true
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		// https://sqlite.org/lang_transaction.html, "Response To Errors Within A Transaction"
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT:
			return true
		}
	}
	return false
}

// outage turns an error that says "the database cannot be used right now" into
// fault.Unavailable. Any other error is returned as it is.
func outage(err error) error {
	if err == nil {
		return nil
	}
	if _, done := errors.AsType[*fault.Error](err); done {
		return err
	}
	if !away(err) {
		return err
	}
	return fault.New(fault.Unavailable, "temporarily unavailable, try again").After(2 * time.Second).Because(err)
}

func away(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
			sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
			return true
		}
		return false
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case e.Code[:2] == "08", e.Code[:2] == "53", e.Code[:2] == "58": // connection, resources, the system
			return true
		case e.Code == "57014", e.Code == "55P03": // statement timeout, lock timeout
			return true
		case e.Code[:3] == "57P": // shutting down, crashed, starting up
			return true
		case e.Code == "25006": // read only: a standby
			return true
		}
		_, connecting := errors.AsType[*pgconn.ConnectError](err)
		return connecting // the server refused this login; an operator must act
	}
	if errors.Is(err, context.Canceled) {
		return false // the caller's own
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true // also when there was no answer within ConnectTimeout
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return false // the caller's own
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// unstorable reports whether err says that a text holds what PostgreSQL does
// not store: a NUL, or bytes that are not UTF-8.
func unstorable(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "22021" || e.Code == "22P05")
}
