package db_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	looksLikeSQL = regexp.MustCompile(`(?s)^\s*(SELECT\s.*|INSERT INTO|UPDATE\s.*\sSET\s|DELETE FROM|WITH\s.*\sAS\s|CREATE (TABLE|INDEX|UNIQUE)|ALTER TABLE|DROP (TABLE|INDEX))`)
	notPortable  = map[string]*regexp.Regexp{
		"locking clauses":                    regexp.MustCompile(`(?i)\bFOR (UPDATE|SHARE|NO KEY)\b|\bSKIP LOCKED\b|\bNOWAIT\b`),
		"ANY and ALL over arrays":            regexp.MustCompile(`(?i)=\s*(ANY|ALL)\s*\(`),
		"casts with colons":                  regexp.MustCompile(`::`),
		"operators inside JSON":              regexp.MustCompile(`->|@>|(?i)\bjsonb?_|\bjsonb?\b`),
		"the engine's clock":                 regexp.MustCompile(`(?i)\bnow\(|\bcurrent_(timestamp|date|time)\b|\bdatetime\(|\bstrftime\(|\bjulianday\(|\bunixepoch\(|\bclock_timestamp\(|\binterval '|\bEXTRACT\(`),
		"the engine's randomness":            regexp.MustCompile(`(?i)\brandom\(|\bgen_random|\brandomblob\(|\buuid_`),
		"case folding, ASCII only on SQLite": regexp.MustCompile(`(?i)\blower\(|\bupper\(|\bILIKE\b|\bCOLLATE\b|\bGLOB\b|\bSIMILAR TO\b`),
		"aggregates of one engine":           regexp.MustCompile(`(?i)\b(string_agg|array_agg|group_concat|bool_or|bool_and|total)\(`),
		"conflict clauses of SQLite":         regexp.MustCompile(`(?i)\bINSERT OR\b|\bREPLACE INTO\b|\bON DUPLICATE\b`),
		"types of one engine":                regexp.MustCompile(`(?i)\b(AUTOINCREMENT|BIGSERIAL|SERIAL|TIMESTAMPTZ|TIMESTAMP|DATETIME|BLOB|UUID|JSONB|VARCHAR|IDENTITY)\b`),
		"hidden columns":                     regexp.MustCompile(`(?i)\b(rowid|ctid|xmin|oid)\b`),
		"catalogues":                         regexp.MustCompile(`(?i)\b(pg_\w+|sqlite_\w+|information_schema)\b`),
		"PRAGMA, SHOW, NOTIFY, LISTEN":       regexp.MustCompile(`(?i)\b(PRAGMA|SHOW|NOTIFY|LISTEN|COPY|TRUNCATE|LATERAL)\b`),
		"SELECT *, RETURNING *":              regexp.MustCompile(`(?i)\b(SELECT|RETURNING)\s+\*`),
		"question mark placeholders":         regexp.MustCompile(`\?`),
		"CAST to BOOLEAN":                    regexp.MustCompile(`(?i)AS BOOLEAN\)`),
	}
)

// breaches names what in a query only one engine understands. Literals in
// quotes are data.
func breaches(query string) []string {
	query = regexp.MustCompile(`'[^']*'`).ReplaceAllString(query, "''")
	query = regexp.MustCompile(`--[^\n]*`).ReplaceAllString(query, "")
	var names []string
	for name, re := range notPortable {
		if re.MatchString(query) {
			names = append(names, name)
		}
	}
	return names
}

// TestPortableSQL reads every query of the repository. Exempt is what each
// engine's own file asks of its engine.
func TestPortableSQL(t *testing.T) {
	root := filepath.Join("..", "..")
	exempt := map[string]bool{
		filepath.Join(root, "internal", "db", "postgres.go"): true,
		filepath.Join(root, "internal", "db", "sqlite.go"):   true,
		// It copies whatever columns there are.
		filepath.Join(root, "internal", "db", "backup.go"): true,
		// It makes databases.
		filepath.Join(root, "internal", "kit", "kittest", "kittest.go"): true,
	}
	seen := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (strings.HasPrefix(e.Name(), ".") && path != root || e.Name() == "node_modules") {
			return fs.SkipDir
		}
		switch {
		case exempt[path] || strings.HasSuffix(path, "_test.go"):
		case strings.HasSuffix(path, ".go"):
			seen += checkGo(t, path)
		case strings.HasSuffix(path, ".sql"):
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, what := range breaches(string(b)) {
				t.Errorf("%s: %s", path, what)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Errorf("found only %d queries: this test no longer sees them", seen)
	}
}

func checkGo(t *testing.T, path string) int {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Logf("%s is not looked at: %v", path, err) // the compiler will say so
		return 0
	}
	seen := 0
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		s, err := strconv.Unquote(lit.Value)
		if err != nil || !looksLikeSQL.MatchString(s) {
			return true
		}
		seen++
		for _, what := range breaches(s) {
			t.Errorf("%s: %s", fset.Position(lit.Pos()), what)
		}
		return true
	})
	return seen
}

func TestPortableSQLBites(t *testing.T) {
	for _, query := range []string{
		"SELECT a FROM t WHERE id = ANY($1)", "UPDATE t SET a = now() WHERE b", "SELECT a FROM t FOR UPDATE SKIP LOCKED",
		"SELECT a::text FROM t", "SELECT d->>'x' FROM t", "INSERT OR REPLACE INTO t", "SELECT * FROM t", "SELECT lower(a) FROM t",
		"SELECT a FROM t WHERE b = ?", "CREATE TABLE t (id SERIAL)",
	} {
		if len(breaches(query)) == 0 {
			t.Errorf("allowed: %s", query)
		}
	}
	for _, query := range []string{
		"SELECT a FROM t WHERE b = 'now() ?' ORDER BY a LIMIT $1", "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET a = excluded.a RETURNING a",
	} {
		if got := breaches(query); got != nil {
			t.Errorf("%s: %v", query, got)
		}
	}
}
