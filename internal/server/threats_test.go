package server_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	cites  = regexp.MustCompile(`\b(?:security |\()((?:[PJRKWBQ][0-9]{1,2}(?:, | and )?)+)`)
	threat = regexp.MustCompile(`\b[PJRKWBQ][0-9]{1,2}\b`)
	span   = regexp.MustCompile(`\bR([0-9]{2})-R([0-9]{2})\b`)
	named  = regexp.MustCompile("`(Test[A-Za-z0-9_]+)(…?)`")
)

// TestThreatsPage: every threat that the code cites is in docs/threats.md, and
// every test that the page names exists.
func TestThreatsPage(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "threats.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	listed := threat.FindAllString(page, -1)
	for _, m := range span.FindAllStringSubmatch(page, -1) {
		for n := m[1]; n <= m[2]; n = next(n) {
			listed = append(listed, "R"+n)
		}
	}
	tests, cited := map[string]bool{}, 0
	for path, text := range sources(t) {
		for _, m := range cites.FindAllStringSubmatch(text, -1) {
			for _, name := range threat.FindAllString(m[1], -1) {
				if cited++; !slices.Contains(listed, name) {
					t.Errorf("%s cites %s, which docs/threats.md does not have", path, name)
				}
			}
		}
		for line := range strings.Lines(text) {
			if name, is := strings.CutPrefix(line, "func "); is {
				tests[name[:strings.IndexAny(name+"(", "(")]] = true
			}
		}
	}
	if cited < 60 {
		t.Errorf("only %d citations: this test no longer sees them", cited)
	}
	for _, m := range named.FindAllStringSubmatch(page, -1) {
		if m[2] == "" && !tests[m[1]] {
			t.Errorf("docs/threats.md names %s, which is no test", m[1])
		}
	}
}

func next(n string) string {
	if n[1] == '9' {
		return string(n[0]+1) + "0"
	}
	return n[:1] + string(n[1]+1)
}

// sources are the Go files of the repository.
func sources(t testing.TB) map[string]string {
	t.Helper()
	root := filepath.Join("..", "..")
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (e.Name() == "node_modules" || strings.HasPrefix(e.Name(), ".") && path != root):
			return fs.SkipDir
		case e.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		b, err := os.ReadFile(path)
		out[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
