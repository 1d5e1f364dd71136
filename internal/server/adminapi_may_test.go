package server_test

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/adminapi"
	"github.com/watchword-auth/watchword/internal/administrator"
)

// TestConsoleMay: a session says what its role may call, which is what the table
// says; the console, which offers what that says, names no call that is not there.
func TestConsoleMay(t *testing.T) {
	w := newWorld(t)
	table := adminapi.Table()
	for _, role := range administrator.Roles {
		var want []string
		for _, r := range table {
			if !r.Who.Open() && r.Who.May(role) {
				want = append(want, r.Name)
			}
		}
		var got []string
		may, _ := w.as(t, role).must(t, "GET /session", nil).Doc["may"].([]any)
		for _, name := range may {
			got = append(got, name.(string))
		}
		if len(got) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s may %v, and the table says %v", role, got, want)
		}
	}
	asked := regexp.MustCompile(`'((?:GET|POST|PUT|PATCH|DELETE) /[^']*)'`)
	named := 0
	err := fs.WalkDir(os.DirFS("../../ui/console/src"), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".tsx") {
			return err
		}
		text, err := os.ReadFile("../../ui/console/src/" + path)
		for _, m := range asked.FindAllStringSubmatch(string(text), -1) {
			named++
			if !slices.ContainsFunc(table, func(r adminapi.Route) bool { return r.Name == m[1] }) {
				t.Errorf("%s asks whether %s is allowed, which nobody can call", path, m[1])
			}
		}
		return err
	})
	if err != nil || named < 40 {
		t.Errorf("%d calls are named: %v", named, err)
	}
}
