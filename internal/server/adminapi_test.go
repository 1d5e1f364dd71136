package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/adminapi"
	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/db"
)

// admin is a browser at the console.
type admin struct {
	w      *world
	client *http.Client
}

func (w *world) admin(t testing.TB) *admin {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &admin{w, &http.Client{Jar: jar}}
}

// reply is what the API answered.
type reply struct {
	Status int
	Header http.Header
	Raw    string
	Doc    map[string]any
}

// do sends a request; in is nil for no body.
func (a *admin) do(t testing.TB, call string, in any, header ...string) reply {
	t.Helper()
	method, path, _ := strings.Cut(call, " ")
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, a.w.URL+adminapi.Base+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := a.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := reply{resp.StatusCode, resp.Header, string(b), nil}
	if json.Unmarshal(b, &out.Doc) != nil {
		out.Doc = nil
	}
	return out
}

// must is do for what must succeed.
func (a *admin) must(t testing.TB, call string, in any, header ...string) reply {
	t.Helper()
	r := a.do(t, call, in, header...)
	if r.Status >= 300 {
		t.Fatalf("%s: %d %s", call, r.Status, r.Raw)
	}
	return r
}

// owner is a browser that followed the printed link.
func (w *world) owner(t testing.TB) *admin {
	t.Helper()
	a := w.admin(t)
	_, secret, ok := strings.Cut(w.Dev.Facts.Console, "#invite=")
	if !ok {
		t.Fatalf("console: %s", w.Dev.Facts.Console)
	}
	a.must(t, "POST /session/invitation", map[string]any{"secret": secret, "name": "Grace", "email": "grace@example.org"})
	return a
}

// TestConsoleLink: the printed link opens the console, once.
func TestConsoleLink(t *testing.T) {
	w := newWorld(t)
	stranger := w.admin(t)
	if r := stranger.must(t, "GET /session", nil); r.Doc["administrator"] != nil || r.Doc["first_run"] != true {
		t.Errorf("before: %s", r.Raw)
	}
	if r := stranger.do(t, "GET /catalog", nil); r.Status != 401 || r.Doc["code"] != "signed_out" {
		t.Errorf("a stranger reads the catalog: %d %s", r.Status, r.Raw)
	}
	a := w.owner(t)
	r := a.must(t, "GET /session", nil)
	me, _ := r.Doc["administrator"].(map[string]any)
	if me["name"] != "Grace" || me["role"] != "owner" || r.Doc["first_run"] != false || r.Doc["needs_passkey"] != false || r.Doc["fresh_until"] == nil {
		t.Errorf("after: %s", r.Raw)
	}
	if tenant, _ := r.Doc["tenant"].(map[string]any); tenant["id"] != "default" {
		t.Errorf("tenant: %v", r.Doc["tenant"])
	}
	a.must(t, "GET /catalog", nil)
	a.must(t, "GET /openapi.json", nil)
	_, secret, _ := strings.Cut(w.Dev.Facts.Console, "#invite=")
	if r := stranger.do(t, "POST /session/invitation", map[string]any{"secret": secret}); r.Status != 403 {
		t.Errorf("the link is good twice: %d", r.Status)
	}
	a.must(t, "DELETE /session", nil)
	if r := a.do(t, "GET /catalog", nil); r.Status != 401 {
		t.Errorf("signed out, and reads on: %d", r.Status)
	}
}

// owner2 is a fresh browser of the owner, by a new link, for a test in which the
// first one was idle for too long.
func (w *world) owner2(t testing.TB) *admin {
	t.Helper()
	var secret string
	if err := w.Kit.DB.Tx(t.Context(), func(tx *db.Tx) error {
		id, err := administrator.FirstOwner(t.Context(), tx)
		if err == nil {
			secret, err = administrator.Invite(t.Context(), tx, id)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	a := w.admin(t)
	a.must(t, "POST /session/invitation", map[string]any{"secret": secret})
	return a
}
