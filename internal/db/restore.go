package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/secret"
)

// Restore makes the database at url, which must hold nothing, what a backup says,
// in one transaction; a backup of an older program is brought up to date when it
// is opened next. Unless whole, it leaves out what was under way: sessions,
// tokens, runs, requests, messages to send. For some of it has ended since the
// backup, and would live again. Everything else is as it was then, a signing key
// that was revoked since included.
func Restore(ctx context.Context, url string, vault *secret.Vault, now func() time.Time, r io.Reader, whole bool) (Contents, error) {
	f := &filling{whole: whole}
	c, err := readBackup(r, vault, func(c Contents) error { return f.begin(ctx, url, now, c.Version) }, func(b backupRows) error { return f.add(ctx, b) })
	return c, f.end(err)
}

// filling is a restore under way.
type filling struct {
	d     *DB
	tx    *sql.Tx
	whole bool
}

func (f *filling) begin(ctx context.Context, url string, now func() time.Time, version int64) (err error) {
	d := &DB{now: now, node: "restore", target: version}
	f.d, err = d.with(url, func(path string) error { return d.holdSQLite(ctx, path) }, func() error { return d.holdPostgres(ctx, url) })
	if err != nil {
		return err
	}
	if f.tx, err = f.d.write.BeginTx(ctx, nil); err != nil {
		return err
	}
	if err := patient(ctx, f.d, f.tx); err != nil {
		return err
	}
	return empty(ctx, f.d, f.tx)
}

// patient lets a transaction take its time.
func patient(ctx context.Context, d *DB, tx *sql.Tx) error {
	if d.patient == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, d.patient)
	return err
}

// empty reports an error if a table has a row.
func empty(ctx context.Context, d *DB, tx *sql.Tx) error {
	names, err := d.catalogued(ctx, tx)
	if err != nil {
		return err
	}
	for _, name := range names {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM "+name+" LIMIT 1) x").Scan(&n); err != nil {
			return err
		}
		if n > 0 && !uncopied[name] {
			return errors.New("the database is not empty (there is something in " + name + "): a backup is restored into a new one")
		}
	}
	return nil
}

// catalogued returns the names of all tables.
func (d *DB) catalogued(ctx context.Context, tx *sql.Tx) ([]string, error) {
	rows, err := tx.QueryContext(ctx, d.catalogue)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

var columnName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (f *filling) add(ctx context.Context, b backupRows) error {
	t, known := tableNamed(b.Table)
	if !known {
		return fmt.Errorf("it holds a table %q that this program does not know", b.Table)
	}
	if t.passing && !f.whole {
		return nil
	}
	args, err := b.values()
	if err != nil || len(args) == 0 {
		return err
	}
	for _, name := range b.Columns {
		if !columnName.MatchString(name) {
			return fmt.Errorf("%s has a column %q", t.name, name)
		}
	}
	for rows := range slices.Chunk(args, f.d.rowsAtOnce*len(b.Columns)) {
		if _, err := f.tx.ExecContext(ctx, insertion(t.name, b.Columns, len(rows)), rows...); err != nil {
			return fmt.Errorf("filling %s: %w", t.name, err)
		}
	}
	return nil
}

// insertion is the statement that adds rows of n values altogether.
func insertion(table string, columns []string, n int) string {
	var q strings.Builder
	q.WriteString("INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES ")
	for i := range n {
		switch {
		case i == 0:
			q.WriteString("(")
		case i%len(columns) == 0:
			q.WriteString("), (")
		default:
			q.WriteString(", ")
		}
		q.WriteString("$" + strconv.Itoa(i+1))
	}
	q.WriteString(")")
	return q.String()
}

// end commits if nothing went wrong, and closes the database.
func (f *filling) end(err error) error {
	if f.tx != nil {
		if err == nil {
			err = f.tx.Commit()
		} else {
			err = errors.Join(err, f.tx.Rollback())
		}
	}
	if f.d != nil {
		err = errors.Join(err, f.d.Close())
	}
	return err
}

// values are the values of all rows, one after the other.
func (b backupRows) values() ([]any, error) {
	args := make([]any, 0, len(b.Rows)*len(b.Columns))
	for _, row := range b.Rows {
		if len(row) != len(b.Columns) {
			return nil, fmt.Errorf("a row of %s has %d values, not %d", b.Table, len(row), len(b.Columns))
		}
		for _, v := range row {
			in, err := inward(v)
			if err != nil {
				return nil, err
			}
			args = append(args, in)
		}
	}
	return args, nil
}

func tableNamed(name string) (table, bool) {
	for _, t := range tables {
		if t.name == name {
			return t, true
		}
	}
	return table{}, false
}
