package server_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
)

// TestConsoleWebhookAgain: each event is listed once, with when it is tried again;
// who is told by hand is not told by itself any more.
func TestConsoleWebhookAgain(t *testing.T) {
	var mu sync.Mutex
	var got []string
	status, body := http.StatusTeapot, "a pot\x00 of tea"
	peer := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		b, _ := io.ReadAll(r.Body)
		got = append(got, string(b))
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, body)
	}))
	defer peer.Close()
	told := func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(got) }
	w := openWith(t, kittest.Address(t), slog.New(slog.DiscardHandler), peer.Client())
	a := w.owner(t)
	hook := a.must(t, "POST /webhooks", map[string]any{"url": peer.URL, "events": []string{"admin.app.*"}})
	at := "/webhooks/" + hook.Doc["id"].(string) + "/deliveries"
	a.must(t, "POST /apps", map[string]any{"name": "Told", "audience": "b2c"})
	w.caught(t)
	w.drain(t)
	w.Pass(10 * time.Second)
	w.drain(t)

	type delivery struct {
		ID, Event, Type, State, Answer string
		Attempt, Status                int
		OK                             bool
		Next                           *time.Time `json:"next_at"`
	}
	list := func(query string) []delivery {
		t.Helper()
		var page struct{ Items []delivery }
		if err := json.Unmarshal([]byte(a.must(t, "GET "+at+query, nil).Raw), &page); err != nil {
			t.Fatal(err)
		}
		return page.Items
	}
	newest := list("?newest=true")
	if len(newest) != 1 || newest[0].Attempt != 2 || newest[0].State != "waiting" || newest[0].Status != 418 || newest[0].Answer != "a pot  of tea" {
		t.Fatalf("what it was told: %+v", newest)
	}
	if next := newest[0].Next; next == nil || next.Sub(w.Now()) > 20*time.Second || !next.After(w.Now()) {
		t.Errorf("the next try: %v, and it is %v", next, w.Now())
	}
	for query, want := range map[string]int{"": 2, "?event=" + newest[0].Event: 2, "?state=waiting": 2, "?state=told": 0, "?state=given_up": 0, "?type=admin.*": 2, "?type=admin_%25": 0, "?type=admin.app.created": 2, "?limit=1": 1} {
		if found := list(query); len(found) != want {
			t.Errorf("%q: %d of %d", query, len(found), want)
		}
	}

	again := at + "/" + newest[0].ID + "/again"
	if r := a.must(t, "POST "+again, nil); r.Doc["state"] != "waiting" || r.Doc["attempt"] != 3.0 {
		t.Errorf("told by hand in vain: %s", r.Raw)
	}
	mu.Lock()
	status, body = http.StatusNoContent, ""
	mu.Unlock()
	if r := a.must(t, "POST "+again, nil); r.Doc["state"] != "told" || r.Doc["attempt"] != 4.0 || r.Doc["status"] != 204.0 {
		t.Errorf("told by hand: %s", r.Raw)
	}
	before := told()
	if len(before) != 4 || before[3] != before[0] {
		t.Errorf("what was told by hand is something else: %v", before)
	}
	w.Pass(time.Hour)
	w.drain(t)
	if after := told(); len(after) != len(before) {
		t.Errorf("it was told once more: %v", after[len(before):])
	}
	a = w.owner2(t) // the session ended meanwhile
	if r := a.must(t, "GET /audit?type=admin.webhook.retold", nil); strings.Count(r.Raw, "admin.webhook.retold") < 2 {
		t.Errorf("no trace: %s", r.Raw)
	}
	for call, want := range map[string]int{"POST " + at + "/whd_none/again": 404, "POST /webhooks/whk_none/deliveries/" + newest[0].ID + "/again": 404} {
		if r := a.do(t, call, nil); r.Status != want {
			t.Errorf("%s: %d %s", call, r.Status, r.Raw)
		}
	}
}

// TestConsoleCandidates: whoever sets up an organisation finds who could belong to
// it by the beginning of a name, and lists nobody without one.
func TestConsoleCandidates(t *testing.T) {
	w := newWorld(t)
	owner := w.owner(t)
	a := w.as(t, administrator.ApplicationAdmin)
	org := a.must(t, "POST /apps/demo/organisations", map[string]any{"name": "ACME"})
	at := "/apps/demo/organisations/" + org.Doc["id"].(string)
	one := owner.must(t, "POST /users", map[string]any{"email": "wile@acme.example"}).Doc["id"].(string)
	owner.must(t, "POST /users", map[string]any{"email": "road@runner.example"})
	if r := a.must(t, "GET "+at+"/candidates?q=wil", nil); !strings.Contains(r.Raw, `"role":""`) || strings.Contains(r.Raw, "runner") || !strings.Contains(r.Raw, one) {
		t.Errorf("candidates: %s", r.Raw)
	}
	a.must(t, "PUT "+at+"/members/"+one, map[string]any{"role": "admin"})
	if r := a.must(t, "GET "+at+"/candidates?q=wile@", nil); !strings.Contains(r.Raw, `"role":"admin"`) {
		t.Errorf("a member: %s", r.Raw)
	}
	for _, short := range []string{"", "?q=", "?q=wi"} {
		if r := a.do(t, "GET "+at+"/candidates"+short, nil); r.Status != 400 {
			t.Errorf("%q: %d %s", short, r.Status, r.Raw)
		}
	}
	if r := a.do(t, "GET /users?q=wile", nil); r.Status != 403 {
		t.Errorf("every user: %d", r.Status)
	}
}

// TestConsolePreviewOfDraft: a page is shown with what is not stored yet, and with
// nothing that could not be stored.
func TestConsolePreviewOfDraft(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	a.must(t, "PUT /apps/demo/branding", map[string]any{"signal": "#0a6640", "texts": map[string]any{"en": map[string]any{"foot": "Stored foot"}}}, "If-Match", "*")
	see := func(page string, draft any) reply {
		t.Helper()
		b, err := json.Marshal(draft)
		if err != nil {
			t.Fatal(err)
		}
		return a.must(t, "GET /apps/demo/branding/preview?lang=en&page="+page+"&draft="+base64.RawURLEncoding.EncodeToString(b), nil)
	}
	draft := map[string]any{"signal": "#5a1a8a", "texts": map[string]any{"en": map[string]any{"welcome": "Hello <b>you</b>"}}, "terms": "https://acme.example/terms", "privacy": "javascript:alert(1)"}
	r := see("sign_in", draft)
	for _, want := range []string{"Hello &lt;b&gt;you&lt;/b&gt;", "https://acme.example/terms", "/admin/v1/apps/demo/branding/preview?"} {
		if !strings.Contains(r.Raw, want) {
			t.Errorf("no %s in %s", want, r.Raw)
		}
	}
	for _, not := range []string{"javascript:", "Stored foot", "<b>you", "autofocus"} {
		if strings.Contains(r.Raw, not) {
			t.Errorf("%s is in the preview", not)
		}
	}
	style := see("style", draft)
	if !strings.Contains(style.Raw, "#5a1a8a") || !strings.Contains(style.Header.Get("Content-Type"), "text/css") {
		t.Errorf("style: %s %s", style.Header.Get("Content-Type"), style.Raw)
	}
	if s := see("style", map[string]any{"signal": "red;}*{x:url(//evil.example)}"}).Raw; !strings.Contains(s, "#0a6640") || strings.Contains(s, "evil") {
		t.Errorf("half a colour: %s", s)
	}
	if r := a.do(t, "GET /apps/demo/branding/preview?draft="+url.QueryEscape("{"), nil); r.Status != 400 {
		t.Errorf("no draft: %d", r.Status)
	}
	if stored := a.must(t, "GET /apps/demo/branding", nil).Raw; strings.Contains(stored, "Hello") || !strings.Contains(stored, "Stored foot") {
		t.Errorf("a preview was stored: %s", stored)
	}
}

// TestConsolePublishTag: whoever publishes may draw on with the tag that they get.
func TestConsolePublishTag(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	made := a.must(t, "GET /journeys/web_login", nil)
	graph := made.Doc["draft"].(map[string]any)["graph"].(map[string]any)
	graph["name"] = "Drawn"
	saved := a.must(t, "PUT /journeys/web_login/draft", map[string]any{"graph": graph}, "If-Match", made.Header.Get("ETag"))
	published := a.must(t, "POST /journeys/web_login/publish", map[string]any{"note": "one"}, "If-Match", saved.Header.Get("ETag"))
	if got, want := published.Header.Get("ETag"), a.must(t, "GET /journeys/web_login", nil).Header.Get("ETag"); got == "" || got != want {
		t.Errorf("the tag after publishing is %s, not %s", got, want)
	}
	graph["name"] = "Drawn on"
	a.must(t, "PUT /journeys/web_login/draft", map[string]any{"graph": graph}, "If-Match", published.Header.Get("ETag"))
}
