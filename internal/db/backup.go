package db

import (
	"bufio"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/watchword-auth/watchword/internal/secret"
)

// A backup is a sealed stream (see secret.Vault.SealWriter) of gzip of lines of
// JSON: what it is, then rows, some hundreds of one table a line, then how many
// there were of each. It says nothing about the engine that it came from.
const (
	backupKind = "watchword backup 1"
	batchRows  = 200
)

// Contents is what a backup holds.
type Contents struct {
	At      time.Time        // when it was made
	Version int64            // of the schema
	Rows    map[string]int64 // of each table
}

type (
	backupHead struct {
		At      int64 `json:"at"`
		Version int64 `json:"version"`
	}
	backupRows struct {
		Table   string   `json:"t"`
		Columns []string `json:"c"`
		Rows    [][]any  `json:"r"`
	}
	// backupLine is any line: one of the three is there.
	backupLine struct {
		Head *backupHead      `json:"head,omitempty"`
		Rows *backupRows      `json:"rows,omitempty"`
		End  map[string]int64 `json:"end,omitempty"`
	}
)

// Backup writes everything that the database holds to w, as it was at one
// moment, while servers go on. Nobody can read or change it without the master
// key; with it Restore makes a database of it, on either engine.
func (d *DB) Backup(ctx context.Context, w io.Writer) (Contents, error) {
	_, version, err := d.schema(ctx)
	if err != nil {
		return Contents{}, err
	}
	c := Contents{At: d.Now(), Version: version, Rows: map[string]int64{}}
	sealed, err := d.vault.SealWriter(w, backupKind)
	if err != nil {
		return c, err
	}
	zip, err := gzip.NewWriterLevel(sealed, gzip.BestSpeed)
	if err != nil {
		return c, err
	}
	lines := json.NewEncoder(zip)
	lines.SetEscapeHTML(false)
	if err := lines.Encode(backupLine{Head: &backupHead{At: millis(c.At), Version: version}}); err != nil {
		return c, err
	}
	if err := d.snapshot(ctx, lines, c.Rows); err != nil {
		return c, err
	}
	if err := lines.Encode(backupLine{End: c.Rows}); err != nil {
		return c, err
	}
	return c, errors.Join(zip.Close(), sealed.Close())
}

// snapshot writes the rows of all tables, read in one transaction, and counts them.
func (d *DB) snapshot(ctx context.Context, lines *json.Encoder, counts map[string]int64) error {
	tx, err := d.read.BeginTx(ctx, &sql.TxOptions{Isolation: d.snapshotLevel(), ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := patient(ctx, d, tx); err != nil {
		return err
	}
	for _, t := range tables {
		n, err := copyTable(ctx, tx, t.name, lines)
		if err != nil {
			return fmt.Errorf("copying %s: %w", t.name, err)
		}
		counts[t.name] = n
	}
	return nil
}

// snapshotLevel is the isolation in which a transaction sees one moment.
func (d *DB) snapshotLevel() sql.IsolationLevel {
	if d.patient == "" {
		return sql.LevelDefault // SQLite knows no other
	}
	return sql.LevelRepeatableRead
}

func copyTable(ctx context.Context, tx *sql.Tx, name string, lines *json.Encoder) (int64, error) {
	rows, err := tx.QueryContext(ctx, "SELECT * FROM "+name)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return 0, err
	}
	columns := make([]string, len(types))
	for i, t := range types {
		columns[i] = t.Name()
	}
	var n int64
	batch := &backupRows{Table: name, Columns: columns}
	for rows.Next() {
		row, err := scanRow(rows, types)
		if err != nil {
			return n, err
		}
		batch.Rows = append(batch.Rows, row)
		if n++; len(batch.Rows) == batchRows {
			if err := lines.Encode(backupLine{Rows: batch}); err != nil {
				return n, err
			}
			batch.Rows = batch.Rows[:0]
		}
	}
	if len(batch.Rows) > 0 {
		if err := lines.Encode(backupLine{Rows: batch}); err != nil {
			return n, err
		}
	}
	return n, rows.Err()
}

func scanRow(rows *sql.Rows, types []*sql.ColumnType) ([]any, error) {
	row, at := make([]any, len(types)), make([]any, len(types))
	for i := range row {
		at[i] = &row[i]
	}
	if err := rows.Scan(at...); err != nil {
		return nil, err
	}
	for i, v := range row {
		if n, ok := v.(int64); ok && types[i].DatabaseTypeName() == "BOOLEAN" {
			v = n != 0 // SQLite has no other truth
		}
		var err error
		if row[i], err = outward(v); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// outward is a value as JSON holds it: bytes, and text that is no Unicode, are an
// object.
func outward(v any) (any, error) {
	switch v := v.(type) {
	case nil, int64, bool:
		return v, nil
	case []byte:
		return map[string]string{"bytes": base64.StdEncoding.EncodeToString(v)}, nil
	case string:
		if !utf8.ValidString(v) {
			return map[string]string{"text": base64.StdEncoding.EncodeToString([]byte(v))}, nil
		}
		return v, nil
	}
	return nil, fmt.Errorf("db: a value of the type %T is not copied", v)
}

// inward is the inverse of outward.
func inward(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string:
		return v, nil
	case json.Number:
		return v.Int64()
	case map[string]any:
		for kind, text := range v {
			s, _ := text.(string)
			b, err := base64.StdEncoding.DecodeString(s)
			if err != nil || len(v) != 1 {
				break
			}
			switch kind {
			case "bytes":
				return b, nil
			case "text":
				return string(b), nil
			}
		}
	}
	return nil, errors.New("db: a value of a kind that this program does not know")
}

// readBackup reads a backup to its end and hands its rows to each, which may be
// nil. It reports an error, and hands over nothing that it could not
// authenticate, if the backup was changed, cut off, made with another master key,
// or is newer than this program. begin is called first, with what is not counted
// yet.
func readBackup(r io.Reader, vault *secret.Vault, begin func(Contents) error, each func(backupRows) error) (Contents, error) {
	var c Contents
	opened, err := vault.OpenReader(bufio.NewReader(r), backupKind)
	if err != nil {
		return c, err
	}
	zip, err := gzip.NewReader(opened)
	if err != nil {
		return c, err
	}
	lines := json.NewDecoder(zip)
	lines.UseNumber()
	var first backupLine
	if err := lines.Decode(&first); err != nil || first.Head == nil {
		return c, errors.Join(errors.New("it does not begin as a backup does"), err)
	}
	c = Contents{At: time.UnixMilli(first.Head.At).UTC(), Version: first.Head.Version, Rows: map[string]int64{}}
	if known, err := newest(); err != nil || c.Version > known {
		return c, errors.Join(fmt.Errorf("it has schema version %d and this program knows only %d: use a newer program", c.Version, known), err)
	}
	if err := begin(c); err != nil {
		return c, err
	}
	for {
		var line backupLine
		if err := lines.Decode(&line); err != nil {
			return c, err
		}
		switch {
		case line.Rows != nil:
			c.Rows[line.Rows.Table] += int64(len(line.Rows.Rows))
			if err := each(*line.Rows); err != nil {
				return c, err
			}
		case line.End != nil:
			return c, finish(c, line.End, zip)
		default:
			return c, errors.New("it holds something that this program does not know")
		}
	}
}

// finish checks that as many rows came as were written, and that nothing follows.
func finish(c Contents, want map[string]int64, rest io.Reader) error {
	for name, n := range want {
		if c.Rows[name] != n {
			return fmt.Errorf("it has %d rows of %s and says %d", c.Rows[name], name, n)
		}
	}
	n, err := io.Copy(io.Discard, rest) // to the end, which is authenticated, too
	if err == nil && n > 1 {            // the line's own end
		err = errors.New("there is something behind its end")
	}
	return err
}

// CheckBackup reads a backup to its end, as Restore would, and says what it holds.
func CheckBackup(r io.Reader, vault *secret.Vault) (Contents, error) {
	return readBackup(r, vault, func(Contents) error { return nil }, func(b backupRows) error {
		_, err := b.values()
		return err
	})
}
