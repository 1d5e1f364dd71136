package ui

import (
	"io/fs"
	slashpath "path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// forbidden is what the pages' policy blocks or what a page of ours must not
// need: code or style in the markup, HTML made of text, anything from elsewhere.
var forbidden = []struct {
	what string
	in   []string // suffixes of file names
	re   *regexp.Regexp
}{
	{"a script in the markup", []string{".html"}, regexp.MustCompile(`<script(>|[^>]*[^>]>[^<])`)},
	{"an event handler in the markup", []string{".html"}, regexp.MustCompile(`\son[a-z]+=`)},
	{"a style in the markup", []string{".html"}, regexp.MustCompile(`<style|\sstyle=`)},
	{"HTML made of text", []string{".js"}, regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|setHTMLUnsafe`)},
	{"code made of text", []string{".js"}, regexp.MustCompile(`\beval\(|new Function\(|set(Timeout|Interval)\(\s*['"` + "`" + `]`)},
	{"an ear for other windows", []string{".js"}, regexp.MustCompile(`window\.(onmessage|addEventListener\(\s*['"]message)|(parent|opener|top)\.postMessage`)}, // R74
	{"a style attribute", []string{".js"}, regexp.MustCompile(`setAttribute\(\s*['"]style`)},
	{"something from elsewhere", []string{".html", ".css", ".js"}, regexp.MustCompile(`(src|href)="(https?:)?//|@import|url\(\s*['"]?(https?:)?//|(from |import |import\()['"](https?:)?//`)},
}

func TestPagesNeedNothingThatTheirPolicyBlocks(t *testing.T) {
	seen := 0
	err := fs.WalkDir(Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(Files, path)
		if err != nil {
			return err
		}
		seen++
		for _, f := range forbidden {
			ours := slices.ContainsFunc(f.in, func(suffix string) bool { return strings.HasSuffix(path, suffix) })
			if m := f.re.FindIndex(b); ours && m != nil {
				t.Errorf("%s:%d has %s: %s", path, 1+strings.Count(string(b[:m[0]]), "\n"), f.what, b[m[0]:m[1]])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 10 {
		t.Errorf("only %d files are embedded", seen)
	}
}

// TestReferencesExist follows every link, script, style sheet and import of the
// pages: what is served must be there.
func TestReferencesExist(t *testing.T) {
	ref := regexp.MustCompile(`(?:src|href)="([^"#?]+\.(?:js|css|svg))"|(?:from|import) '([^']+)'`)
	err := fs.WalkDir(Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".html") && !strings.HasSuffix(path, ".js") {
			return err
		}
		b, err := fs.ReadFile(Files, path)
		if err != nil {
			return err
		}
		for _, m := range ref.FindAllStringSubmatch(string(b), -1) {
			to := m[1] + m[2]
			full := strings.TrimPrefix(to, "/")
			if full == to {
				full = slashpath.Join(slashpath.Dir(path), to)
			}
			if _, err := fs.Stat(Files, full); err != nil {
				t.Errorf("%s refers to %s, which is not there", path, to)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
