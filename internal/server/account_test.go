package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

const anaPassword = "tall-otter-crosses-4-rivers"

// home signs ana in at her account page, in a browser without JavaScript.
func (w *world) home(t testing.TB) *person {
	t.Helper()
	p := w.person(t).open(w.URL + "/account/demo-web").sees("Sign in")
	p.post("", url.Values{"username": {"ana"}}).sees("Password")
	return p.post("password", url.Values{"password": {anaPassword}}).sees("Your account")
}

func (w *world) ana(t testing.TB) rest {
	t.Helper()
	c := w.rest(t)
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false})
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "username": "ana", "credentials": map[string]any{"password": anaPassword, "force_replace": false}})
	return c
}

// TestAccount: somebody without JavaScript sees their account, adds an
// authenticator app, which counts as a second factor from then on, and removes
// what is not their last way in.
func TestAccount(t *testing.T) {
	w := newWorld(t)
	w.ana(t)
	p := w.home(t).sees("ana@example.org").sees("this browser").sees("You signed in").sees("Add an authenticator app").sees("Add a passkey").sees("Add a phone").sees("Make recovery codes")
	at := w.URL + "/account/demo-web"

	// The last way in stays.
	remove := linkOf(t, p.page, "/account/demo-web/remove")
	p.open(w.URL+remove).sees("Remove this way to sign in?").post("", nil)
	if p.status != http.StatusUnprocessableEntity || !strings.Contains(p.page, "the only way left") {
		t.Fatalf("the last way in: %d\n%s", p.status, p.page)
	}

	p.open(at+"/totp").post("", nil).sees("<svg").sees("Back to your account")
	app, err := simulator.ParseToken(uriOf(t, p.page))
	if err != nil {
		t.Fatal(err)
	}

	// Somebody with two factors proves both before anything changes.
	q := w.home(t)
	q.open(at + "/codes").sees("Confirm that it is you").lacks(`name="username"`)
	q.post("totp", url.Values{"totp_code": {w.codeOf(t, app)}}).sees("Make recovery codes").post("", nil).sees("Your recovery codes")
	if n := strings.Count(q.page, "<li><code>"); n < 8 {
		t.Errorf("%d recovery codes", n)
	}
	q.open(w.URL+remove).post("", nil).sees("It was removed.").lacks("Rename: Password")

	// After five minutes they prove themselves again, and nobody else can.
	w.Pass(6 * time.Minute)
	w.rest(t).want(t, 201, "POST /v1/users", map[string]any{"username": "eve", "credentials": map[string]any{"password": "wide-badger-under-7-bridges", "force_replace": false}})
	q.open(at+"/phone").sees(`value="ana@example.org"`).post("", url.Values{"username": {"eve"}})
	q.post("password", url.Values{"password": {"wide-badger-under-7-bridges"}}).lacks("Add a phone")
}

func linkOf(t testing.TB, page, prefix string) string {
	t.Helper()
	_, after, ok := strings.Cut(page, `href="`+prefix)
	if !ok {
		t.Fatalf("no link to %s:\n%s", prefix, page)
	}
	rest, _, _ := strings.Cut(after, `"`)
	return prefix + strings.ReplaceAll(rest, "&amp;", "&")
}

func uriOf(t testing.TB, page string) string {
	t.Helper()
	_, after, ok := strings.Cut(page, `href="otpauth:`)
	if !ok {
		t.Fatalf("no authenticator entry:\n%s", page)
	}
	rest, _, _ := strings.Cut(after, `"`)
	return "otpauth:" + strings.ReplaceAll(rest, "&amp;", "&")
}

// TestAccountSessions: the other sessions end, one by one or all, and the password
// ends them too.
func TestAccountSessions(t *testing.T) {
	w := newWorld(t)
	w.ana(t)
	p, q, r := w.home(t), w.home(t), w.home(t)
	at := w.URL + "/account/demo-web"
	p.open(at)
	if n := strings.Count(p.page, "/account/demo-web/end?id="); n != 2 {
		t.Fatalf("%d other sessions", n)
	}
	p.open(w.URL+linkOf(t, p.page, "/account/demo-web/end")).post("", nil).sees("That session was ended.")
	p.open(at+"/others").post("", nil).sees("All other sessions were ended.").lacks("/account/demo-web/end?id=")
	q.open(at).sees("Sign in").lacks("Your account")
	r.open(at).sees("Sign in").lacks("Your account")
	p.open(at+"/password").post("", url.Values{"new_password": {"short"}}).sees("at least 15 characters")
	p.post("", url.Values{"new_password": {"wide-badger-under-7-bridges"}}).sees("Sign in").lacks("Your account")
}

// TestAccountData: people get what is kept about them, and no secret; and they can
// go.
func TestAccountData(t *testing.T) {
	w := newWorld(t)
	c := w.ana(t)
	p := w.home(t)
	at := w.URL + "/account/demo-web"
	p.open(at+"/data").sees("Download your data").post("", nil)
	var got map[string]any
	if err := json.Unmarshal([]byte(p.page), &got); err != nil {
		t.Fatalf("%v:\n%s", err, p.page)
	}
	for _, part := range []string{"user", "names", "authenticators", "devices", "sessions", "events"} {
		if got[part] == nil {
			t.Errorf("%s is missing", part)
		}
	}
	for _, secret := range []string{"argon2", "sid_", "public_key", anaPassword} {
		if strings.Contains(p.page, secret) {
			t.Errorf("the file holds %s", secret)
		}
	}
	p.open(at+"/delete").post("", nil).sees("Say that you are sure.")
	p.post("", url.Values{"sure": {"yes"}}).sees("Your account is deleted")
	p.open(at).sees("Sign in").lacks("Your account")
	if status, _ := c.do(t, "POST /v1/auth/password/authenticate", map[string]any{"identifier": "ana@example.org", "password": anaPassword}); status < 400 {
		t.Errorf("a deleted account signs in: %d", status)
	}
}

// TestAccountOfOthers: no browser without a session sees anything, no other site
// acts, and an id of somebody else's is not there.
func TestAccountOfOthers(t *testing.T) {
	w := newWorld(t)
	c := w.ana(t)
	w.authenticator(t) // ada's
	list := c.want(t, 200, "GET /v1/users/"+string(w.ada(t).ID)+"/authenticators", nil)["result"].([]any)
	p := w.home(t)
	for _, each := range list {
		id, _ := each.(map[string]any)["id"].(string)
		if p.open(w.URL + "/account/demo-web/remove?id=" + url.QueryEscape(id)); p.status != http.StatusNotFound {
			t.Errorf("somebody else's authenticator: %d", p.status)
		}
		if p.read(p.client.PostForm(w.URL+"/account/demo-web/rename?id="+url.QueryEscape(id), url.Values{"label": {"mine"}})); p.status != http.StatusNotFound {
			t.Errorf("renaming somebody else's authenticator: %d", p.status)
		}
	}
	for _, path := range []string{"/account/nobody", "/account/demo-backend", "/account/demo-web/nothing"} {
		if p.open(w.URL + path); p.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, p.status)
		}
	}
	r, err := http.NewRequest(http.MethodPost, w.URL+"/account/demo-web/others", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if p.read(p.client.Do(r)); p.status != http.StatusForbidden {
		t.Errorf("a post of another site: %d", p.status)
	}
	if s := w.person(t).open(w.URL + "/account/demo-web/data"); strings.Contains(s.page, "ana@") {
		t.Error("a stranger sees an account")
	}
}
