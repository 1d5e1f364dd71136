package db

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/watchword-auth/watchword/internal/secret"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Taken reports whether err is a violated UNIQUE constraint. Only tests ask: whoever
// writes says ON CONFLICT.
func Taken(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "23505"
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// TableNames are the tables that are copied, in their order.
func TableNames() []string {
	var out []string
	for _, t := range tables {
		out = append(out, t.name)
	}
	return out
}

// Uncopied are the others.
func Uncopied() []string { return slices.Collect(maps.Keys(uncopied)) }

// Catalogue names all tables there are.
func Catalogue(ctx context.Context, d *DB) ([]string, error) {
	tx, err := d.read.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	return d.catalogued(ctx, tx)
}

// ColumnInfo is a column of a table.
type ColumnInfo struct {
	Name     string
	Type     string // TEXT, BIGINT, BOOLEAN or BYTEA
	Nullable bool
}

// Columns returns the columns of a table.
func Columns(ctx context.Context, d *DB, table string) ([]ColumnInfo, error) {
	query := `SELECT name, type, CASE WHEN "notnull" = 0 AND pk = 0 THEN 1 ELSE 0 END FROM pragma_table_info($1)`
	if d.catalogue == tablesOfPostgres {
		query = `SELECT column_name, CASE data_type WHEN 'text' THEN 'TEXT' WHEN 'bigint' THEN 'BIGINT' WHEN 'boolean' THEN 'BOOLEAN' WHEN 'bytea' THEN 'BYTEA' ELSE data_type END,
			CASE is_nullable WHEN 'YES' THEN 1 ELSE 0 END FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 ORDER BY column_name`
	} else {
		query += ` ORDER BY name`
	}
	rows, err := d.Query(ctx, query, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []ColumnInfo
	for rows.Next() {
		var c ColumnInfo
		var nullable int
		if err := rows.Scan(&c.Name, &c.Type, &nullable); err != nil {
			return nil, err
		}
		c.Nullable = nullable == 1
		out = append(out, c)
	}
	return out, rows.Err()
}

// Old is a database with the schema of an older program.
type Old struct {
	*sql.DB
	d *DB
}

// OpenAt makes a database with the schema of a version.
func OpenAt(ctx context.Context, url string, vault *secret.Vault, now func() time.Time, version int64) (*Old, error) {
	d := &DB{vault: vault, now: now, node: "old", target: version}
	d, err := d.with(url, func(path string) error { return d.holdSQLite(ctx, path) }, func() error { return d.holdPostgres(ctx, url) })
	if err != nil {
		return nil, err
	}
	d.read = d.write
	return &Old{d.write, d}, nil
}

// Close closes the database.
func (o *Old) Close() error { return o.d.Close() }

// BackupAt is Backup as the older program did it: of the tables that it had.
func (o *Old) BackupAt(ctx context.Context, w io.Writer) error {
	have, err := Catalogue(ctx, o.d)
	if err != nil {
		return err
	}
	all := tables
	defer func() { tables = all }()
	tables = slices.DeleteFunc(slices.Clone(all), func(t table) bool { return !slices.Contains(have, t.name) })
	_, err = o.d.Backup(ctx, w)
	return err
}
