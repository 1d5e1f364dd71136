package server_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// authenticator gives ada an authenticator app.
func (w *world) authenticator(t testing.TB) simulator.Token {
	t.Helper()
	made := w.rest(t).want(t, 201, "POST /v1/users/"+string(w.ada(t).ID)+"/totp", nil)
	app, err := simulator.ParseToken(made["uri"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func (w *world) codeOf(t testing.TB, app simulator.Token) string {
	t.Helper()
	code, err := app.Code(w.Now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func words(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, each := range list {
		s, _ := each.(string)
		out = append(out, s)
	}
	return out
}

// TestStepUp: somebody who is signed in and is asked for more proves one more
// thing, not everything again; what was granted before goes on (RFC 9470).
func TestStepUp(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	more := c.request(url.Values{"acr_values": {authn.AAL2}})
	p := w.person(t).open(c.request(nil)).passes(w)
	_, first := c.redeem(t, p.came(c).Get("code"))

	// Without a second way there is none, and the client hears so.
	w.rest(t).want(t, 201, "POST /v1/users", map[string]any{"username": "solo", "credentials": map[string]any{"password": "wide-badger-under-7-bridges", "force_replace": false}})
	solo := w.person(t).open(more).post("", url.Values{"username": {"solo"}}).post("password", url.Values{"password": {"wide-badger-under-7-bridges"}})
	solo.sees("One more way to sign in is needed").post("", nil)
	if q := solo.came(c); q.Get("error") != "unmet_authentication_requirements" || q.Get("state") != "st-1" {
		t.Errorf("nothing more to prove: %v", q)
	}

	app := w.authenticator(t)
	w.Pass(time.Minute)
	p.open(more).sees("Confirm that it is you").sees("ada@example.org").sees("Code from your authenticator app").lacks(`name="password"`).lacks("Somebody else")
	p.post("totp", url.Values{"totp_code": {"000000"}}).sees("That did not match").sees("Confirm that it is you")
	p.post("totp", url.Values{"totp_code": {w.codeOf(t, app)}})
	status, tokens := c.redeem(t, p.came(c).Get("code"))
	if status != 200 {
		t.Fatalf("stepped up: %d %v", status, tokens)
	}
	id := claimsOf(t, tokens["id_token"].(string))
	if amr := words(id["amr"]); id["acr"] != authn.AAL2 || !slices.Equal(amr, []string{"mfa", "otp", "pwd"}) {
		t.Errorf("stepped up: %v %v", id["acr"], amr)
	}
	if before := claimsOf(t, first["id_token"].(string)); before["sid"] == id["sid"] || before["sub"] != id["sub"] {
		t.Errorf("sid %v, before %v", id["sid"], before["sid"])
	}
	if status, _ := c.refresh(t, first["refresh_token"].(string)); status != 200 {
		t.Errorf("what was granted before: %d", status)
	}
	if list := w.rest(t).list(t, "GET /v1/users/"+string(w.ada(t).ID)+"/sessions"); len(list) != 1 {
		t.Errorf("sessions: %v", list)
	}
	if q := p.open(more).came(c); q.Get("code") == "" {
		t.Errorf("asked again: %v", q)
	}

	// From nothing: both, one after the other.
	w.Pass(time.Minute)
	q := w.person(t).open(more).passes(w).sees("Confirm that it is you")
	q.post("totp", url.Values{"totp_code": {w.codeOf(t, app)}})
	if _, tokens := c.redeem(t, q.came(c).Get("code")); claimsOf(t, tokens["id_token"].(string))["acr"] != authn.AAL2 {
		t.Errorf("from nothing: %v", tokens)
	}

	// Nothing of the session counts when a new sign-in is asked for (R47, R71).
	for name, v := range map[string]string{"prompt": "login", "max_age": "5"} {
		w.Pass(time.Minute)
		q.open(c.request(url.Values{"acr_values": {authn.AAL2}, name: {v}})).passes(w).sees("Confirm that it is you")
		q.post("totp", url.Values{"totp_code": {w.codeOf(t, app)}})
		_, tokens := c.redeem(t, q.came(c).Get("code"))
		if at, _ := claimsOf(t, tokens["id_token"].(string))["auth_time"].(float64); int64(at) != w.Now().Unix() {
			t.Errorf("%s: auth_time %v, now %d", name, at, w.Now().Unix())
		}
	}
}

// TestStepUpOfAnother: whoever steps up stays who they are, and half a sign-in is
// none (R46, R71).
func TestStepUpOfAnother(t *testing.T) {
	w := newWorld(t)
	w.registered(t, "grace@example.org", 0)
	w.publish(t, `{"id": "again", "name": "Again", "kind": "client", "start": "who", "nodes": {
		"who": {"kind": "get_information", "config": {"form_id": "who", "title": "Who", "output": "who", "fields": [{"name": "username", "label": "Name", "required": true}]}, "next": {"success": "mail"}},
		"mail": {"kind": "code.email", "config": {"user": {"expr": "who.username"}}, "next": {"success": "end", "failure": "no", "cancel": "no"}},
		"end": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	w.authenticator(t)
	c := w.party(t, "demo-web", "")
	w.client(t, apps.Client{ID: "strict", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{c.back}, Journeys: map[string]string{authn.AAL2: "again"}}}, "")
	p := w.person(t).open(c.request(nil)).passes(w)
	p.came(c)
	strict := c
	strict.id = "strict"
	p.open(strict.request(url.Values{"acr_values": {authn.AAL2}})).sees("Who").post("", url.Values{"username": {"grace@example.org"}})
	for n := 1; p.at.Host != "" && n < 3 && !strings.HasPrefix(p.at.String(), c.back); n++ {
		p.post("", url.Values{"passcode": {w.sentCode(t, "mail", "grace@example.org", 1)}})
	}
	if q := p.came(c); q.Get("error") == "" || q.Get("code") != "" {
		t.Errorf("somebody else stepped up: %v", q)
	}
	q := p.open(c.request(url.Values{"prompt": {"none"}})).came(c)
	_, tokens := c.redeem(t, q.Get("code"))
	if claimsOf(t, tokens["id_token"].(string))["sub"] != string(w.ada(t).ID) {
		t.Errorf("who is signed in now: %v", tokens)
	}

	// Between the first factor and the second nobody is signed in.
	half := w.person(t).open(c.request(url.Values{"acr_values": {authn.AAL2}})).passes(w).sees("Confirm that it is you")
	if q := half.open(c.request(url.Values{"prompt": {"none"}})).came(c); q.Get("error") != "login_required" {
		t.Errorf("half signed in: %v", q)
	}
}
