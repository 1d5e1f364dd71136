package server_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// user is somebody who signed in through the back end.
func (w *world) user(t testing.TB, attributes map[string]any) (rest, string) {
	t.Helper()
	back := w.rest(t)
	in := map[string]any{"identifier": "ada@example.org", "password": w.Dev.Facts.User.Password}
	if attributes != nil {
		in["client_attributes"] = attributes
	}
	out := back.want(t, 200, "POST /v1/auth/password/authenticate", in)
	return rest{w, out["access_token"].(string)}, out["session_id"].(string)
}

func (c rest) list(t testing.TB, route string) []map[string]any {
	t.Helper()
	status, out := c.do(t, route, nil)
	list, ok := out["result"].([]any)
	if status != 200 || !ok {
		t.Fatalf("%s: %d %v", route, status, out)
	}
	var rows []map[string]any
	for _, v := range list {
		rows = append(rows, v.(map[string]any))
	}
	return rows
}

func (w *world) ada(t testing.TB) directory.User {
	t.Helper()
	u, err := directory.Lookup(t.Context(), w.Kit.DB, "default", "ada@example.org")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestSessions: a user and a back end see where somebody is signed in, in words
// that they know, and end any of it, with what came of it.
func TestSessions(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	back := w.rest(t)
	all := "/v1/users/" + string(w.ada(t).ID) + "/sessions"
	p := w.person(t).open(c.request(nil)).passes(w)
	_, tokens := c.redeem(t, p.came(c).Get("code"))
	q := w.person(t).open(c.request(url.Values{"scope": {"openid"}})).passes(w)
	w.Pass(30 * time.Minute)
	me, _ := w.user(t, map[string]any{"ip_address": "203.0.113.9", "user_agent": "Mozilla/5.0 (iPhone) Safari/604"})

	list := me.list(t, "GET /v1/users/me/sessions")
	if len(list) != 3 || list[0]["current"] != true || list[0]["browser"] != "Safari on iPhone" || list[0]["address"] != "203.0.113.9" || list[0]["client_name"] != "Northwind back end" {
		t.Fatalf("my sessions: %v", list)
	}
	if other := list[1]; other["current"] != false || other["client_name"] != "Northwind web shop" || other["place"] != "this computer" || other["user_agent"] == "" || other["acr"] == "" || other["created_at"] == list[0]["created_at"] {
		t.Errorf("another: %v", other)
	}
	for _, row := range list {
		if row["bearer"] != nil || row["proofs"] != nil {
			t.Errorf("more than is for a list: %v", row)
		}
	}
	if got := back.list(t, "GET "+all); len(got) != 3 || got[0]["current"] != nil {
		t.Errorf("for a back end: %v", got)
	}

	// Used: to the minute, by refreshing and by signing in again.
	w.Pass(10 * time.Minute)
	if status, _ := c.refresh(t, tokens["refresh_token"].(string)); status != 200 {
		t.Fatalf("refresh: %d", status)
	}
	first := back.list(t, "GET "+all)[0]
	if first["last_used_at"] == first["created_at"] || first["client_id"] != "demo-web" {
		t.Errorf("last used: %v", first)
	}
	w.Pass(time.Minute)
	_, short := c.redeem(t, q.open(c.request(url.Values{"scope": {"openid"}})).came(c).Get("code"))
	if status, _ := c.userinfo(t, short["access_token"].(string)); status != 200 {
		t.Fatalf("userinfo: %d", status)
	}
	if second := back.list(t, "GET "+all)[0]; second["id"] == first["id"] || second["last_used_at"] == second["created_at"] {
		t.Errorf("used by single sign-on: %v", second)
	}

	// One of somebody else's is nobody's.
	w.registered(t, "grace@example.org", 0)
	grace, err := directory.Lookup(t.Context(), w.Kit.DB, "default", "grace@example.org")
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range []string{"DELETE /v1/users/" + string(grace.ID) + "/sessions/" + first["id"].(string), "DELETE /v1/users/me/sessions/nothing", "DELETE " + all + "/nothing"} {
		who := back
		if route == "DELETE /v1/users/me/sessions/nothing" {
			who = me
		}
		if status, out := who.do(t, route, nil); status != 404 || out["ts_error_code"] != "session_not_found" {
			t.Errorf("%s: %d %v", route, status, out)
		}
	}
	if status, _ := (rest{w, ""}).do(t, "GET "+all, nil); status != 401 {
		t.Errorf("for anybody: %d", status)
	}
	narrow := rest{w, w.token(t, "demo-backend", w.Dev.Facts.Clients["backend"].Secret, "users:read")["access_token"].(string)}
	if status, _ := narrow.do(t, "GET "+all, nil); status != 403 {
		t.Errorf("without the permission: %d", status)
	}
	if status, _ := me.do(t, "GET "+all, nil); status != 403 {
		t.Errorf("a user, about a user by id: %d", status)
	}

	// Ending one leaves the others, and what was to outlive it.
	second := back.list(t, "GET "+all)[0]
	me.want(t, 204, "DELETE /v1/users/me/sessions/"+second["id"].(string), nil)
	if status, _ := c.userinfo(t, short["access_token"].(string)); status != 401 {
		t.Errorf("a token of the session that ended: %d", status)
	}
	if q.open(c.request(url.Values{"prompt": {"none"}})); q.came(c).Get("error") != "login_required" {
		t.Errorf("its browser: %v", q.came(c))
	}
	if list := me.list(t, "GET /v1/users/me/sessions"); len(list) != 2 {
		t.Errorf("left: %v", list)
	}

	// The others, with everything that outlives them, and not the one that asks.
	if out := me.want(t, 200, "DELETE /v1/users/me/sessions", nil); out["sessions_count"] != 1.0 {
		t.Errorf("others: %v", out)
	}
	if status, _ := c.refresh(t, tokens["refresh_token"].(string)); status != 400 {
		t.Errorf("what was to outlive: %d", status)
	}
	if list := me.list(t, "GET /v1/users/me/sessions"); len(list) != 1 || list[0]["current"] != true {
		t.Errorf("mine: %v", list)
	}
	if out := back.want(t, 200, "DELETE "+all, nil); out["sessions_count"] != 1.0 {
		t.Errorf("all: %v", out)
	}
	if status, _ := me.do(t, "GET /v1/users/me/sessions", nil); status != 401 {
		t.Errorf("after the end of all: %d", status)
	}
}

// TestConsents: what was let in is listed, and taken back with all that came of
// it, by its user and by nobody of another application.
func TestConsents(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "partner", "")
	w.client(t, apps.Client{ID: "partner", Name: "Partner", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, ThirdParty: true}}, "")
	p := w.person(t).open(c.request(nil)).passes(w).post("", nil)
	_, tokens := c.redeem(t, p.came(c).Get("code"))
	own := w.party(t, "demo-web", "")
	p.open(own.request(url.Values{"scope": {"openid"}})).came(own)
	me, _ := w.user(t, nil)
	list := me.list(t, "GET /v1/users/me/consents")
	if len(list) != 1 || list[0]["client_name"] != "Partner" || list[0]["offline"] != true || list[0]["given_at"] == nil || len(list[0]["scope"].([]any)) != 4 {
		t.Fatalf("let in: %v", list)
	}
	all := "/v1/users/" + string(w.ada(t).ID) + "/consents"
	if got := w.rest(t).list(t, "GET "+all); len(got) != 1 {
		t.Errorf("for a back end: %v", got)
	}
	me.want(t, 204, "DELETE /v1/users/me/consents/partner", nil)
	if status, _ := c.refresh(t, tokens["refresh_token"].(string)); status != 400 {
		t.Errorf("refresh after it was taken back: %d", status)
	}
	if status, _ := c.userinfo(t, tokens["access_token"].(string)); status != 401 {
		t.Errorf("userinfo after it was taken back: %d", status)
	}
	if list := me.list(t, "GET /v1/users/me/consents"); len(list) != 0 {
		t.Errorf("after: %v", list)
	}
	if status, _ := me.do(t, "DELETE /v1/users/me/consents/partner", nil); status != 404 {
		t.Errorf("again: %d", status)
	}
	p.open(c.request(nil)).sees("wants to know")
}

// TestUnfinished: a sign-in that was proven and not finished when every session
// ended opens none afterwards.
func TestUnfinished(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	tv := w.party(t, "tv", "")
	w.client(t, apps.Client{ID: "tv", Kind: apps.Native, Settings: apps.ClientSettings{Grants: []string{apps.GrantDevice}}}, "")
	p := w.person(t).open(c.request(nil)).post("", url.Values{"username": {"ada"}})
	at := p.at.String()
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.post("password", url.Values{"password": {w.Dev.Facts.User.Password}})
	if p.status != http.StatusSeeOther {
		t.Fatalf("%d %s", p.status, p.page)
	}
	p.client.CheckRedirect = nil
	_, d := tv.post(t, "/oidc/device_authorization", url.Values{"scope": {"openid"}})
	w.person(t).open(d["verification_uri_complete"].(string)).post("", nil).passes(w).sees("Your device is signed in")

	w.rest(t).want(t, 200, "DELETE /v1/users/"+string(w.ada(t).ID)+"/sessions", nil)
	if q := p.open(at).came(c); q.Get("error") != "login_required" || q.Get("code") != "" {
		t.Errorf("finished afterwards: %v", q)
	}
	if status, out := tv.token(t, url.Values{"grant_type": {apps.GrantDevice}, "device_code": {d["device_code"].(string)}}); status != 400 || out["error"] != "access_denied" {
		t.Errorf("a device: %d %v", status, out)
	}
	if list := w.rest(t).list(t, "GET /v1/users/"+string(w.ada(t).ID)+"/sessions"); len(list) != 0 {
		t.Errorf("sessions: %v", list)
	}
	w.person(t).open(c.request(nil)).passes(w).came(c) // and anew
}

// TestHalfDone: a sign-in that stood half-way when somebody signed out everywhere,
// or changed the password that it began with, gets nowhere; one that changes the
// password itself goes on, and so does one of a session that stays (R50).
func TestHalfDone(t *testing.T) {
	w := newWorld(t)
	back := w.rest(t)
	back.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false})
	w.publish(t, `{"id": "terms", "name": "Terms", "kind": "client", "start": "pass", "nodes": {
		"pass": {"kind": "password.authenticate", "config": {"user": "ada@example.org"}, "next": {"success": "say", "failure": "no", "password_expired": "no"}},
		"say": {"kind": "information", "config": {"text": "New terms"}, "next": {"success": "end"}},
		"end": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	w.publish(t, `{"id": "renew", "name": "Renew", "kind": "client", "start": "pass", "nodes": {
		"pass": {"kind": "password.authenticate", "config": {"user": "ada@example.org"}, "next": {"success": "new", "failure": "no", "password_expired": "no"}},
		"new": {"kind": "password.register", "next": {"success": "say", "failure": "no"}},
		"say": {"kind": "information", "config": {"text": "Done"}, "next": {"success": "end"}},
		"end": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	password := w.Dev.Facts.User.Password
	begin := func(journey string) *simulator.Browser {
		t.Helper()
		b := w.browser(t)
		if _, err := b.Start(t.Context(), journey, nil); err != nil {
			t.Fatal(err)
		}
		if r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"password": password}); err != nil || r.Type != simulator.InputRequired || r.ErrorCode != "" {
			t.Fatalf("%s: %+v, %v", journey, r, err)
		}
		return b
	}
	on := func(b *simulator.Browser, data map[string]any) simulator.Response {
		t.Helper()
		w.Pass(time.Second)
		r, err := b.Submit(t.Context(), simulator.ClientInput, data)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	user := string(w.ada(t).ID)
	if r := on(begin("terms"), nil); r.Type != simulator.Success {
		t.Fatalf("undisturbed: %+v", r)
	}
	for how, do := range map[string]func(){
		"signed out everywhere": func() { back.want(t, 200, "DELETE /v1/users/"+user+"/sessions", nil) },
		"another password": func() {
			password = "wide-badger-under-7-bridges"
			back.want(t, 201, "PUT /v1/users/"+user+"/password", map[string]any{"password": password, "force_replace": false})
		},
	} {
		ends, binds := begin("terms"), begin("renew")
		w.Pass(time.Second)
		do()
		if r := on(ends, nil); r.Type != simulator.Rejection {
			t.Errorf("%s, and finished: %+v", how, r)
		}
		if r := on(binds, map[string]any{"new_password": "what-the-thief-wants-1"}); r.Type != simulator.Rejection {
			t.Errorf("%s, and enrolled: %+v", how, r)
		}
		if r := on(begin("terms"), nil); r.Type != simulator.Success {
			t.Errorf("%s, and anew: %+v", how, r)
		}
	}
	b := begin("renew")
	if r := on(b, map[string]any{"new_password": "small-heron-beside-9-lakes"}); r.Type != simulator.InputRequired {
		t.Fatalf("%+v", r)
	}
	if r := on(b, nil); r.Type != simulator.Success {
		t.Errorf("who changed their own password does not go on: %+v", r)
	}
}

// TestCidaasHalfDone is TestHalfDone at the cidaas door.
func TestCidaasHalfDone(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	mails := 0
	finish := func(between func()) map[string]any {
		t.Helper()
		mails++
		request := v.wants(authn.AAL2)
		_, half := v.finish(request, "PASSWORD", v.byPassword(request))
		w.Pass(time.Minute)
		between()
		b := v.begin("EMAIL", request, map[string]any{"sub": half["sub"]})
		v.want("POST", "/verification-srv/v2/authenticate/authenticate/EMAIL", map[string]any{"exchange_id": exchangeOf(b), "pass_code": w.sentCode(t, "mail", "ada@example.org", mails)})
		_, out := v.do("POST", "/login-srv/precheck/continue/sdk/"+half["track_id"].(string), map[string]any{"track_id": half["track_id"]})
		data, _ := out["data"].(map[string]any)
		return data
	}
	if data := finish(func() {}); data["code"] == nil {
		t.Errorf("undisturbed: %v", data)
	}
	w.Pass(time.Minute)
	if data := finish(func() { w.rest(t).want(t, 200, "DELETE /v1/users/"+string(w.ada(t).ID)+"/sessions", nil) }); data["code"] != nil {
		t.Errorf("finished after signing out everywhere: %v", data)
	}
}
