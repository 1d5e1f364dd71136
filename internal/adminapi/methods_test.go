package adminapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/form"
)

// TestChanged: the record says what a setting was and is, of a secret that it changed
// only, wherever it stands.
func TestChanged(t *testing.T) {
	f := form.New(form.Number("tries", "Tries"), form.Secret("key", "Key"), form.Text("words", "Words"),
		form.List("engines", "Engines", form.New(form.Text("name", "Name"), form.Secret("pass", "Pass"))))
	before := map[string]any{"tries": 3, "key": "old-one", "words": "a", "engines": []any{}}
	after := map[string]any{"tries": 5, "key": "new-one", "words": strings.Repeat("ä", 300), "engines": []any{map[string]any{"name": "x", "pass": "third-one"}}}
	got := fmt.Sprint(changed(f, before, after))
	want := fmt.Sprintf(`[map[is:5 setting:tries was:3] map[setting:key] map[is:"%s… setting:words was:"a"] map[setting:engines]]`, strings.Repeat("ä", 199))
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := changed(f, before, before); len(got) != 0 {
		t.Errorf("nothing changed: %v", got)
	}
}
