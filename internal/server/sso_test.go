package server_test

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
)

const ssoJourney = `{"id": "sso", "name": "SSO", "kind": "sso", "start": "known", "nodes": {
	"known": {"kind": "sso.has_valid_session", "next": {"yes": "more", "no": "form"}},
	"form": {"kind": "login_form", "config": {"form_id": "login", "methods": ["password"], "cancel": true, "output": "login"}, "next": {"password": "check", "cancel": "no"}},
	"check": {"kind": "password.authenticate", "config": {"user": {"expr": "login.username"}, "password": {"expr": "login.password"}}, "next": {"success": "done", "failure": "no", "password_expired": "no"}},
	"more": {"kind": "get_information", "config": {"form_id": "more", "output": "more", "fields": [{"name": "totp_code", "label": "Code", "required": true}]}, "next": {"success": "totp"}},
	"totp": {"kind": "totp.authenticate", "config": {"code": {"expr": "more.totp_code"}}, "next": {"success": "done", "failure": "no"}},
	"done": {"kind": "complete", "config": {"claims": {"shop": "north", "sub": "somebody else"}}},
	"no": {"kind": "reject"}}}`

// shopper is a client whose own page signs people in, by an SSO journey.
func (w *world) shopper(t testing.TB) party {
	t.Helper()
	c := w.party(t, "shopper", "")
	w.publish(t, ssoJourney)
	w.client(t, apps.Client{ID: "shopper", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{c.back}, LoginURI: c.back + "/login", LoopbackOrigins: true, Journey: "sso"}}, "")
	return c
}

// sso speaks as the page's SDK: it starts the journey of an interaction, and says
// things.
func (w *world) sso(t testing.TB, client, interaction string) *talk {
	t.Helper()
	_, out := w.post(t, "auth/sso", "clientId="+client+"&ssoInteractionId="+url.QueryEscape(interaction), map[string]any{
		"headers": []any{}, "data": map[string]any{"policy_request_id": "LoginWithMenu", "params": map[string]any{"login_hint": "evil"}}})
	k := &talk{client: client}
	k.read(t, out)
	return k
}

func (w *world) tells(t testing.TB, k *talk, assert, member string, what map[string]any) map[string]any {
	t.Helper()
	_, out := w.say(t, k.client, k.sid, k.visit, k.turn, map[string]any{"assert": assert, member: what})
	return out
}

// TestSSOJourney: a client's own page answers an authorization request; what its
// browser gets there is a code, and only there.
func TestSSOJourney(t *testing.T) {
	w := newWorld(t)
	c := w.shopper(t)
	p := w.person(t).open(c.request(nil))
	if !strings.HasPrefix(p.at.String(), c.back+"/login?interaction_id=") {
		t.Fatalf("sent to %s", p.at)
	}
	interaction := p.at.Query().Get("interaction_id")
	if status, out := w.post(t, "auth/sso", "clientId=demo-web&ssoInteractionId="+interaction, map[string]any{"headers": []any{}, "data": map[string]any{}}); status.StatusCode != 404 {
		t.Errorf("another client: %d %v", status.StatusCode, out)
	}
	k := w.sso(t, "shopper", interaction)
	out := w.tells(t, k, "escape", "data", map[string]any{"escape_id": "password", "escape_params": map[string]any{"username": "ada", "password": w.Dev.Facts.User.Password}})
	onward := redirectOf(out)
	if obj(out, "data")["state"] != "completed" || !strings.HasPrefix(onward, w.URL+"/authorize/continue?ticket=") {
		t.Fatalf("the end: %v", out)
	}
	if obj(out, "data")["code"] != nil || obj(out, "data")["token"] != nil {
		t.Error("the journey's own code or token beside the request's")
	}
	// Half of it gets nowhere: another browser with the ticket, this one without.
	if q := w.person(t).open(onward); q.status != 400 {
		t.Errorf("another browser with the ticket: %d %s", q.status, q.at)
	}
	for _, at := range []string{"/authorize/continue", "/authorize/continue?ticket=x", strings.TrimPrefix(onward, w.URL)[:60]} {
		if p.open(w.URL + at); p.status != 400 {
			t.Errorf("%s: %d", at, p.status)
		}
	}
	status, tokens := c.redeem(t, p.open(onward).came(c).Get("code"))
	if status != 200 {
		t.Fatalf("%d %v", status, tokens)
	}
	id := claimsOf(t, tokens["id_token"].(string))
	if id["sub"] != string(w.ada(t).ID) || id["acr"] != authn.AAL1 || id["shop"] != "north" {
		t.Errorf("identity token: %v", id)
	}
	if p.open(onward); p.status != 400 {
		t.Errorf("once more: %d", p.status)
	}
	if q := p.open(c.request(url.Values{"prompt": {"none"}})).came(c); q.Get("code") == "" {
		t.Errorf("signed in: %v", q)
	}

	// More is asked for: the journey begins on what the session proved.
	app := w.authenticator(t)
	w.Pass(time.Minute)
	p.open(c.request(url.Values{"acr_values": {authn.AAL2}}))
	k = w.sso(t, "shopper", p.at.Query().Get("interaction_id"))
	out = w.tells(t, k, "action", "input", map[string]any{"totp_code": w.codeOf(t, app)})
	if redirectOf(out) == "" {
		t.Fatalf("stepping up: %v %v", k.flow, out)
	}
	_, tokens = c.redeem(t, p.open(redirectOf(out)).came(c).Get("code"))
	if id := claimsOf(t, tokens["id_token"].(string)); id["acr"] != authn.AAL2 {
		t.Errorf("stepped up: %v", id)
	}

	// Whoever learns the name of a request that rests on a session gets nothing by
	// running it: no token, and no way on.
	w.publish(t, strings.Replace(ssoJourney, `"yes": "more"`, `"yes": "done"`, 1))
	p = w.person(t).open(c.request(nil))
	k = w.sso(t, "shopper", p.at.Query().Get("interaction_id"))
	out = w.tells(t, k, "escape", "data", map[string]any{"escape_id": "password", "escape_params": map[string]any{"username": "ada", "password": w.Dev.Facts.User.Password}})
	p.open(redirectOf(out)).came(c)
	p.open(c.request(url.Values{"acr_values": {authn.AAL2}}))
	_, out = w.post(t, "auth/sso", "clientId=shopper&ssoInteractionId="+p.at.Query().Get("interaction_id"), map[string]any{"headers": []any{}, "data": map[string]any{}})
	if d := obj(out, "data"); d["token"] != nil || d["code"] != nil {
		t.Errorf("a token of somebody's session: %v", d)
	}
	w.publish(t, ssoJourney)

	// A rejection goes back, too; and nobody runs it but for a request.
	p.open(c.request(url.Values{"prompt": {"login"}}))
	k = w.sso(t, "shopper", p.at.Query().Get("interaction_id"))
	out = w.tells(t, k, "escape", "data", map[string]any{"escape_id": "cancel"})
	if q := p.open(redirectOf(out)).came(c); q.Get("error") != "access_denied" || q.Get("state") != "st-1" {
		t.Errorf("cancelled: %v", q)
	}
	if r, out := w.post(t, "auth/anonymous_invoke", "clientId=shopper", map[string]any{"headers": []any{}, "data": map[string]any{"policy_request_id": "sso"}}); r.StatusCode != 404 {
		t.Errorf("without a request: %d %v", r.StatusCode, out)
	}
	w.Pass(time.Hour)
	if r, _ := w.post(t, "auth/sso", "clientId=shopper&ssoInteractionId="+interaction, map[string]any{"headers": []any{}, "data": map[string]any{}}); r.StatusCode != 404 {
		t.Errorf("a request of an hour ago: %d", r.StatusCode)
	}
}

// redirectOf is what the SDK shows as redirectUrl.
func redirectOf(out map[string]any) string {
	s, _ := obj(out, "data", "data")["url"].(string)
	return s
}

// TestJourneyCode: the code of a journey is traded once, in its minute, by a back
// end of the application, for the tokens of whoever signed in.
func TestJourneyCode(t *testing.T) {
	w := newWorld(t)
	run := func() string {
		t.Helper()
		b := w.browser(t)
		if _, err := b.Start(t.Context(), "password_login", nil); err != nil {
			t.Fatal(err)
		}
		r, err := b.Submit(t.Context(), "password", map[string]any{"username": "ada", "password": w.Dev.Facts.User.Password})
		if err != nil {
			t.Fatal(err)
		}
		code := r.Text("code")
		if !strings.HasPrefix(code, "wwj_") {
			t.Fatalf("no code: %+v", r)
		}
		return code
	}
	w.publish(t, strings.NewReplacer(`"id": "sso"`, `"id": "password_login"`, `"kind": "sso"`, `"kind": "client"`).Replace(ssoJourney))
	back := w.party(t, "demo-backend", w.Dev.Facts.Clients["backend"].Secret)
	trade := func(c party, code string) (int, map[string]any) {
		t.Helper()
		return c.token(t, url.Values{"grant_type": {"authorization_code"}, "code": {code}})
	}
	code := run()
	for what, c := range map[string]party{"a public client": w.party(t, "demo-web", ""), "a wrong secret": w.party(t, "demo-backend", "wws_wrong")} {
		if status, out := trade(c, code); status == 200 {
			t.Errorf("%s: %v", what, out)
		}
	}
	for _, part := range []string{code[:len(code)-1], code + "A", code[:4] + code[5:], "wwj_", "wwj_" + strings.Repeat("A", 20_000)} {
		if status, out := trade(back, part); status != 400 || out["error"] != "invalid_grant" {
			t.Errorf("part of a code: %d %v", status, out)
		}
	}
	var mu sync.Mutex
	var good []map[string]any
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if status, out := trade(back, code); status == 200 {
				mu.Lock()
				good = append(good, out)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(good) != 1 {
		t.Fatalf("%d of 16 traded one code", len(good))
	}
	me := rest{w, good[0]["access_token"].(string)}
	if u := me.want(t, 200, "GET /v1/users/me", nil); u["user_id"] != string(w.ada(t).ID) {
		t.Errorf("whose tokens: %v", u)
	}
	if s := me.list(t, "GET /v1/users/me/sessions"); len(s) != 1 || s[0]["client_name"] != "Northwind web shop" || s[0]["browser"] == "unknown browser" {
		t.Errorf("its session: %v", s)
	}
	late := run()
	w.Pass(time.Minute)
	if status, out := trade(back, late); status != 400 || out["error"] != "invalid_grant" {
		t.Errorf("after a minute: %d %v", status, out)
	}
	kept := run()
	w.Pass(time.Second)
	w.rest(t).want(t, 200, "DELETE /v1/users/"+string(w.ada(t).ID)+"/sessions", nil)
	if status, out := trade(back, kept); status != 400 || out["error"] != "invalid_grant" {
		t.Errorf("after all sessions were ended: %d %v", status, out)
	}
	if status, _ := trade(back, run()); status != 200 {
		t.Errorf("one of afterwards: %d", status)
	}
	locked := run()
	w.rest(t).want(t, 204, "POST /v1/users/"+string(w.ada(t).ID)+"/suspend", nil)
	if status, _ := trade(back, locked); status != 400 {
		t.Errorf("of somebody who was suspended meanwhile: %d", status)
	}
}
