package hosted

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

// TestProofScreens: what a script answers has no field for people to type a key
// into, a way past it, and says what to do without a script.
func TestProofScreens(t *testing.T) {
	failure := []journey.Option{{ID: "failure", Label: "It did not work"}}
	for kind, script := range Screens {
		if script != "device" && script != "owner" && script != "face" {
			continue
		}
		p := &journey.Prompt{Kind: kind, Options: failure, Until: now.Add(time.Minute), Fields: form.New(form.Text("machine", "Machine's own"), form.Boolean("consent", "I agree", form.Required)),
			Data: map[string]any{"pin_policy": map[string]any{"min_length": 8}, "challenge": `"><script>`}}
		if script == "face" {
			p.Title = "Look at the camera" // others have none of their step's
		}
		page := draw(t, describe("en", ticket{App: "Shop", Of: "shop"}, journey.Reply{Visit: "v", Turn: "t", Prompt: p}, now))
		for _, want := range []string{`data-proof="` + script + `"`, `data-act="` + kind + `"`, `type="hidden" name="machine"`, "<noscript>", "data-go", instead[script]} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: no %s in\n%s", kind, want, page)
			}
		}
		if strings.Contains(page, "Machine") || strings.Contains(page, "<script>") || strings.Contains(page, "It did not work") || strings.Contains(page, "<h1 tabindex=\"-1\">Sign in</h1>") {
			t.Errorf("%s:\n%s", kind, page)
		}
		if consents := strings.Contains(page, `name="consent"`); consents != (script == "face") {
			t.Errorf("%s: consent is asked for: %v", kind, consents)
		}
	}
}

// TestDeviceOf: what a browser says of itself is a hash or nothing.
func TestDeviceOf(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	for id, ok := range map[string]bool{strings.Repeat("a1", 32): true, strings.Repeat("A1", 32): false, "": false, "x": false, strings.Repeat("g1", 32): false, strings.Repeat("a1", 33): false} {
		if got := deviceOf(r, id, "key"); (got.KeyID != "") != ok {
			t.Errorf("%q: %+v", id, got)
		}
	}
}
