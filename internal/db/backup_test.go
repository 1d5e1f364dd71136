package db_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/secret"
)

func vaultOf(t testing.TB, b byte) *secret.Vault {
	t.Helper()
	v, err := secret.NewVault(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// odd is text that an encoding may spoil.
const odd = "<b>&\u2028'\"\\ \U0001F511 e\u0301"

// fillAll puts three rows into every table that is copied, with values of every
// type, NULL where it may be.
func fillAll(t testing.TB, d *db.DB) {
	t.Helper()
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		for _, name := range db.TableNames() {
			columns, err := db.Columns(t.Context(), d, name)
			if err != nil {
				return err
			}
			for row := range 3 {
				var names, marks []string
				var args []any
				for i, c := range columns {
					if c.Nullable && row == 2 {
						continue
					}
					names, marks = append(names, c.Name), append(marks, fmt.Sprintf("$%d", len(marks)+1))
					args = append(args, sample(c, row, i))
				}
				if _, err := tx.Exec(t.Context(), "INSERT INTO "+name+" ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(marks, ", ")+")", args...); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func sample(c db.ColumnInfo, row, i int) any {
	switch {
	case c.Type == "BIGINT":
		return int64(1)<<60 + int64(row*100+i)
	case c.Type == "BOOLEAN":
		return row%2 == 0
	case c.Type == "BYTEA":
		return []byte{0, 0xff, byte(row), byte(i)}
	case strings.HasSuffix(c.Name, "_id") || c.Name == "id":
		return fmt.Sprint("row ", row) // so that children find their parents
	}
	return fmt.Sprint(odd, row, i)
}

// all reads everything in a database, as text.
func all(t testing.TB, address string) map[string][]string {
	t.Helper()
	d, err := db.OpenToRead(t.Context(), address, vaultOf(t, 0), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	out := map[string][]string{}
	for _, name := range db.TableNames() {
		columns, err := db.Columns(t.Context(), d, name)
		if err != nil {
			t.Fatal(err)
		}
		names := make([]string, len(columns))
		for i, c := range columns {
			names[i] = c.Name
		}
		rows, err := d.Query(t.Context(), "SELECT "+strings.Join(names, ", ")+" FROM "+name)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			row, at := make([]any, len(names)), make([]any, len(names))
			for i := range row {
				at[i] = &row[i]
			}
			if err := rows.Scan(at...); err != nil {
				t.Fatal(err)
			}
			for i, v := range row {
				if n, ok := v.(int64); ok && columns[i].Type == "BOOLEAN" {
					row[i] = n != 0
				}
			}
			out[name] = append(out[name], fmt.Sprintf("%#v", row))
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
		slices.Sort(out[name])
	}
	return out
}

// differs names the first row that is not the same.
func differs(got, want map[string][]string) string {
	for _, name := range db.TableNames() {
		for i, row := range want[name] {
			if i >= len(got[name]) || got[name][i] != row {
				return fmt.Sprintf(": %s: %.400s\nwant %.400s", name, got[name][min(i, max(0, len(got[name])-1)):], row)
			}
		}
	}
	return ""
}

func backUp(t testing.TB, address string) []byte {
	t.Helper()
	d, err := db.OpenToRead(t.Context(), address, vaultOf(t, 0), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var b bytes.Buffer
	if _, err := d.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func restore(t testing.TB, address string, b []byte, whole bool) error {
	t.Helper()
	_, err := db.Restore(t.Context(), address, vaultOf(t, 0), time.Now, bytes.NewReader(b), whole)
	return err
}

// TestTables: whoever adds a table says whether it is copied, and how.
func TestTables(t *testing.T) {
	w := kittest.New(t)
	have, err := db.Catalogue(t.Context(), w.DB)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(db.TableNames(), db.Uncopied())
	slices.Sort(have)
	have = slices.DeleteFunc(have, func(name string) bool { return name == "migration_lease" && !slices.Contains(want, name) })
	for _, name := range have {
		if !slices.Contains(want, name) {
			t.Errorf("the table %s is not in tables.go", name)
		}
	}
	for _, name := range db.TableNames() {
		if !slices.Contains(have, name) {
			t.Errorf("the table %s is in tables.go only", name)
		}
	}
}

// A backup that is taken while the database is in use and open, restored on the
// same engine and on the other, holds the same values.
func TestBackupCarriesEverything(t *testing.T) {
	w := kittest.New(t)
	fillAll(t, w.DB)
	want := all(t, w.Address)
	b := backUp(t, w.Address)
	if bytes.Contains(b, []byte("users")) || bytes.Contains(b, []byte(odd)) {
		t.Error("a backup can be read without the master key")
	}
	targets := map[string]string{"the same engine": kittest.Address(t), "SQLite": "sqlite:" + filepath.Join(t.TempDir(), "db")}
	for name, address := range targets {
		if err := restore(t, address, b, true); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := all(t, address); !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s: other values came out than went in%s", name, differs(got, want))
		}
		if err := restore(t, address, b, true); err == nil || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("%s: restored over what is there: %v", name, err)
		}
	}
	// And from SQLite to wherever the tests run.
	back := kittest.Address(t)
	if err := restore(t, back, backUp(t, targets["SQLite"]), true); err != nil {
		t.Fatal(err)
	}
	if got := all(t, back); !maps.EqualFunc(got, want, slices.Equal) {
		t.Error("what went to SQLite and back is not what it was")
	}
}

// Unless told otherwise, what was under way is not brought back.
func TestRestoreEndsWhatWasUnderWay(t *testing.T) {
	w := kittest.New(t)
	fillAll(t, w.DB)
	address := kittest.Address(t)
	if err := restore(t, address, backUp(t, w.Address), false); err != nil {
		t.Fatal(err)
	}
	got := all(t, address)
	for _, name := range []string{"sessions", "grants", "console_sessions", "challenges", "runs", "jobs", "tickets", "requests", "invitations", "phone_invitations"} {
		if len(got[name]) != 0 {
			t.Errorf("%s came back", name)
		}
	}
	for _, name := range []string{"users", "credentials", "devices", "lockouts", "audit", "used_ids", "signing_keys"} {
		if len(got[name]) != 3 {
			t.Errorf("%d of 3 rows of %s came back", len(got[name]), name)
		}
	}
}

// A backup that was changed anywhere, cut off, prolonged, or made with another
// master key is refused, and nothing of it is in the database then.
func TestDamagedBackups(t *testing.T) {
	w := kittest.New(t)
	fillAll(t, w.DB)
	b := backUp(t, w.Address)
	address := kittest.Address(t)
	bad := map[string][]byte{"prolonged": append(slices.Clone(b), 0), "cut to nothing": b[:20], "empty": nil, "something else": []byte("PK\x03\x04 a zip file\n and more")}
	for at := 0; at < len(b); at += len(b)/40 + 1 {
		changed := slices.Clone(b)
		changed[at] ^= 1
		bad[fmt.Sprintf("changed at %d", at)] = changed
		bad[fmt.Sprintf("cut off at %d", at)] = b[:at]
	}
	bad["the last byte changed"] = append(slices.Clone(b[:len(b)-1]), b[len(b)-1]^1)
	bad["the last byte cut off"] = b[:len(b)-1]
	for name, damaged := range bad {
		if _, err := db.CheckBackup(bytes.NewReader(damaged), vaultOf(t, 0)); err == nil {
			t.Errorf("%s: found good", name)
		}
	}
	for _, name := range []string{"prolonged", "the last byte changed", "the last byte cut off"} {
		if err := restore(t, address, bad[name], true); err == nil {
			t.Fatalf("%s: restored", name)
		}
	}
	if _, err := db.CheckBackup(bytes.NewReader(b), vaultOf(t, 1)); err == nil || !strings.Contains(err.Error(), "master key") {
		t.Errorf("another master key: %v", err)
	}
	if err := restore(t, address, b, true); err != nil { // nothing of the others is in it
		t.Error(err)
	}
}

// A backup of an older program is restored, and brought up to date.
func TestBackupOfAnOlderProgram(t *testing.T) {
	old := kittest.Address(t)
	d, err := db.OpenAt(t.Context(), old, vaultOf(t, 0), time.Now, 21) // before webhooks, organisations, run records
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.ExecContext(t.Context(), `INSERT INTO identifiers (tenant_id, kind, value, shown, user_id, verified_at, is_primary, created_at) VALUES ('t', 'email', 'a', 'A', 'u', 0, TRUE, 1)`); err == nil {
		t.Fatal("an identifier of nobody: the schema binds nothing")
	}
	for _, q := range []string{
		`INSERT INTO users (id, tenant_id, status, external_id, custom, rev, created_at, updated_at) VALUES ('u', 't', 'active', '', '{}', 1, 1, 1)`,
		`INSERT INTO identifiers (tenant_id, kind, value, shown, user_id, verified_at, is_primary, created_at) VALUES ('t', 'email', 'a', 'A', 'u', 0, TRUE, 1)`,
	} {
		if _, err := d.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := d.BackupAt(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	address := kittest.Address(t)
	if err := restore(t, address, b.Bytes(), false); err != nil {
		t.Fatal(err)
	}
	now, err := open(t, address)
	if err != nil {
		t.Fatal(err)
	}
	var search sql.NullString
	if err := now.QueryRow(t.Context(), `SELECT search FROM identifiers WHERE user_id = 'u'`).Scan(&search); err != nil {
		t.Error(err)
	}
}

// Whoever reads a database makes none, changes none, and takes no other schema.
func TestOpenToRead(t *testing.T) {
	address := "sqlite:" + filepath.Join(t.TempDir(), "db")
	if _, err := db.OpenToRead(context.Background(), address, vaultOf(t, 0), time.Now); err == nil || !strings.Contains(err.Error(), "there is no database") {
		t.Errorf("none: %v", err)
	}
	w := kittest.New(t)
	w.Do(t, func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE goose_db_version SET version_id = version_id + 1000 WHERE version_id > 1`)
		return err
	})
	if _, err := db.OpenToRead(t.Context(), w.Address, vaultOf(t, 0), time.Now); err == nil || !strings.Contains(err.Error(), "schema version") {
		t.Errorf("a newer schema: %v", err)
	}
}
