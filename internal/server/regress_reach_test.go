package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// neighbour is the back end of an application of another tenant, or of this one,
// with every permission there is.
func (w *world) neighbour(t testing.TB, tenant apps.TenantID, app apps.ID) rest {
	t.Helper()
	client := apps.ClientID(app) + "-backend"
	var secret string
	w.do(t, func(tx *db.Tx) (err error) {
		if tenant != "default" {
			if err := apps.CreateTenant(t.Context(), tx, apps.Tenant{ID: tenant, Name: string(tenant)}); err != nil {
				return err
			}
		}
		if err := apps.Save(t.Context(), tx, apps.App{ID: app, Tenant: tenant, Name: string(app), Audience: apps.B2C}); err != nil {
			return err
		}
		if err := apps.SaveClient(t.Context(), tx, apps.Client{ID: client, App: app, Name: "x", Kind: apps.Backend, Settings: apps.ClientSettings{Permissions: []string{"apps:*", "auth:*", "authenticators:*", "devices:*", "users:*"}}}); err != nil {
			return err
		}
		secret, err = apps.RotateSecret(t.Context(), tx, client)
		return err
	})
	return rest{w, w.token(t, string(client), secret, "")["access_token"].(string)}
}

// R32: lists show what their reader may see, and count nothing else; no call about
// a user answers another tenant's client; a cursor leads nowhere else.
func TestReg_R32_ListsShowTheirOwn(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	for _, name := range []string{"ana", "bob", "eve"} {
		c.equipped(t, name)
	}
	ana := c.want(t, 200, "GET /v1/users/identifier?identifier_name=email&identifier_value=ana@example.org", nil)["user_id"].(string)
	far, near := w.neighbour(t, "t2", "far"), w.neighbour(t, "default", "near")
	far.want(t, 201, "POST /v1/users", map[string]any{"email": "zoe@example.org"})
	far.want(t, 201, "POST /v1/users", map[string]any{"email": "zed@example.org"})
	_, list := far.do(t, "GET /v1/users?limit=1", nil)
	if all := list["result"].([]any); len(all) != 1 || len(list) != 2 {
		t.Errorf("of two users the first page holds %v", list)
	}
	if got, _ := c.do(t, "GET /v1/users?cursor="+list["next_cursor"].(string), nil); got != 400 {
		t.Errorf("a cursor of another tenant: %d", got)
	}
	_, list = far.do(t, "GET /v1/users?limit=1&cursor="+list["next_cursor"].(string), nil)
	if all := list["result"].([]any); len(all) != 1 || list["next_cursor"] != nil {
		t.Errorf("the second page holds %v", list)
	}
	before := w.settled(t)
	calls := 0
	for _, call := range backend.Calls() {
		if call.Who != backend.Client || !strings.Contains(call.Route, "{user_id}") {
			continue
		}
		calls++
		_, creds := c.do(t, "GET /v1/users/"+ana+"/authenticators", nil)
		of := creds["result"].([]any)[0].(map[string]any)["id"].(string)
		route := strings.NewReplacer("{user_id}", ana, "{authenticator_id}", of, "{authenticator_type}", "totp", "{value}", "ana@example.org").Replace(call.Route)
		got, body := far.do(t, route, map[string]any{})
		if text := fmt.Sprint(body); got < 400 || got >= 500 || strings.Contains(text, "ana@") || strings.Contains(text, of) {
			t.Errorf("%s: %d %v", route, got, body)
		}
	}
	if now := w.settled(t); now != before || calls < 20 {
		t.Errorf("%d calls of another tenant changed something", calls)
	}
	_, theirs := near.do(t, "GET /v1/users/"+ana+"/authenticators", nil)
	for _, a := range theirs["result"].([]any) {
		if a := a.(map[string]any); a["scope"] != "global" {
			t.Errorf("another application's authenticator is listed: %v", a)
		}
	}
	narrow := rest{w, w.token(t, "demo-backend", w.Dev.Facts.Clients["backend"].Secret, "users:read")["access_token"].(string)}
	for _, route := range []string{"GET /v1/users", "GET /v1/users/" + ana + "/authenticators", "GET /v1/users/" + ana + "/device-keys"} {
		if got, body := narrow.do(t, route, nil); got != 403 || body["result"] != nil {
			t.Errorf("%s with a token for reading users: %d %v", route, got, body)
		}
	}
}

// TestUnlockReach: a lock and its end reach as far as the method does (seed 003):
// codes everywhere in the tenant, authenticator apps in one application, PINs all
// of a user's in it.
func TestUnlockReach(t *testing.T) {
	w := newWorld(t)
	here := w.rest(t)
	near := w.neighbour(t, "default", "near")
	mine, id := w.own(t, here, "ana@example.org")
	for _, at := range []rest{here, near} {
		at.want(t, 201, "POST /v1/users/"+id+"/totp", nil)
	}
	locked := func(at rest, route string, body map[string]any) bool {
		t.Helper()
		body["identifier"] = "ana@example.org"
		_, out := at.do(t, "POST /v1/auth/"+route+"/authenticate", body)
		return out["error_code"] == "auth_locked"
	}
	fail := func(at rest, route string, body map[string]any) {
		t.Helper()
		for range 5 {
			locked(at, route, body)
		}
		if !locked(at, route, body) {
			t.Fatalf("%s is not locked", route)
		}
	}
	unlock := func(at rest, kind string) {
		t.Helper()
		at.want(t, 204, "POST /v1/users/"+id+"/authenticators/types/"+kind+"/unlock", map[string]any{"unlock_type": "automatic"})
	}
	code, app := map[string]any{"channel": "email", "passcode": "000000"}, map[string]any{"totp_code": "000000"}
	fail(here, "otp", code)
	if !locked(near, "otp", code) {
		t.Error("a lock of codes is not the tenant's")
	}
	if unlock(near, "email_otp"); locked(here, "otp", code) {
		t.Error("codes were unlocked in one application only")
	}
	fail(here, "totp", app)
	if locked(near, "totp", app) {
		t.Error("a lock of one application's authenticator apps reaches another's")
	}
	fail(near, "totp", app)
	if unlock(here, "totp"); locked(here, "totp", app) || !locked(near, "totp", app) {
		t.Error("an unlock of one application's authenticator apps does not end there")
	}
	var keys []*simulator.PIN
	for _, phone := range []string{"one", "two"} {
		k := simulator.NewPIN()
		public, err := k.Public("271828")
		if err != nil {
			t.Fatal(err)
		}
		mine.want(t, 201, "POST /v1/auth/pin/register", map[string]any{"publicKey": public, "publicKeyId": k.ID, "device_id": phone})
		mine = here.by(t, "/v1/auth/pin/", "ana@example.org", k, "271828")
		keys = append(keys, k)
	}
	wrong := func(k *simulator.PIN) map[string]any {
		posed := here.want(t, 200, "POST /v1/auth/pin/start", map[string]any{"identifier": "ana@example.org"})["challenge"].(string)
		s, err := k.Sign("000000", posed)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"publicKeyId": k.ID, "signature": s}
	}
	fail(here, "pin", wrong(keys[0]))
	if locked(here, "pin", wrong(keys[1])) {
		t.Error("a lock of one phone's PIN reaches the other's")
	}
	fail(here, "pin", wrong(keys[1]))
	if unlock(here, "pin_authenticator"); locked(here, "pin", wrong(keys[0])) || locked(here, "pin", wrong(keys[1])) {
		t.Error("an unlock of PINs does not reach all of the user's")
	}
}

// TestDeviceSteps: in a journey, who has proven to be a device's owner lists,
// renames, blocks and deletes it, and nobody else does.
func TestDeviceSteps(t *testing.T) {
	w := newWorld(t)
	w.registered(t, "amy@example.org", 0)
	c := w.rest(t)
	id := c.want(t, 200, "GET /v1/users/identifier?identifier_name=email&identifier_value=amy@example.org", nil)["user_id"].(string)
	device := func() map[string]any {
		t.Helper()
		_, out := c.do(t, "GET /v1/users/"+id+"/device-keys", nil)
		list := out["result"].([]any)
		if len(list) == 0 {
			return nil
		}
		return list[0].(map[string]any)
	}
	try := func(step, more string, proven bool) simulator.Response {
		t.Helper()
		first, code := "list", ""
		if proven {
			first = "prove"
			code = c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "direct", "identifier": "amy@example.org"})["code"].(string)
		}
		w.publish(t, `{"id": "devices", "name": "Devices", "kind": "client", "start": "who", "nodes": {
			"who": {"kind": "get_information", "config": {"form_id": "who", "output": "who", "fields": [{"name": "email"}, {"name": "code"}]}, "next": {"success": "`+first+`"}},
			"prove": {"kind": "code.temporary", "config": {"user": {"expr": "who.email"}, "code": {"expr": "who.code"}}, "next": {"success": "list", "failure": "no", "expired": "no"}},
			"list": {"kind": "devices.list", "config": {"user": {"expr": "who.email"}, "output": "mine"}, "next": {"success": "do", "failure": "no"}},
			"do": {"kind": "`+step+`", "config": {"user": {"expr": "who.email"}, "key_id": {"expr": "mine[0].key_id"}`+more+`}, "next": {"success": "done", "failure": "no"}},
			"done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
		_, r := w.entered(t, "devices", simulator.ClientInput, map[string]any{"email": "amy@example.org", "code": code})
		return r
	}
	for _, s := range []struct {
		step, more string
		did        func(d map[string]any) bool
	}{
		{"devices.rename", `, "name": "Amy's phone"`, func(d map[string]any) bool { return d != nil && d["display_name"] == "Amy's phone" }},
		{"devices.block", "", func(d map[string]any) bool { return d != nil && d["status"] == "Blocked" }},
		{"devices.delete", "", func(d map[string]any) bool { return d == nil }},
	} {
		if r := try(s.step, s.more, false); r.Type != simulator.Rejection || s.did(device()) {
			t.Errorf("%s by anybody: %+v %v", s.step, r, device())
		}
		if r := try(s.step, s.more, true); r.Type != simulator.Success || !s.did(device()) {
			t.Errorf("%s by its owner: %+v %v", s.step, r, device())
		}
	}
}

// R40: whoever only knows a name binds nothing to its user, replaces nothing, and
// with a proof does.
func TestReg_R40_NoProofNoEnrolment(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m, _ := c.equipped(t, "ana")
	steps := map[string]string{
		"totp.register": `{"user": {"expr": "who.email"}, "override": true}`, "password.register": `{"user": {"expr": "who.email"}}`,
		"password.temporary": `{"user": {"expr": "who.email"}, "password": "a-quiet-heron-eats-9-figs"}`, "recovery.generate": `{"user": {"expr": "who.email"}}`,
	}
	run := func(kind, config, proof string) simulator.Response {
		t.Helper()
		first := "enrol"
		if proof != "" {
			first = "prove"
		}
		w.publish(t, `{"id": "enrol", "name": "Enrol", "kind": "client", "start": "who", "nodes": {
			"who": {"kind": "get_information", "config": {"form_id": "who", "output": "who", "fields": [{"name": "email"}, {"name": "code"}]}, "next": {"success": "`+first+`"}},
			"prove": {"kind": "totp.authenticate", "config": {"user": {"expr": "who.email"}, "code": {"expr": "who.code"}}, "next": {"success": "enrol", "failure": "no"}},
			"enrol": {"kind": "`+kind+`", "config": `+config+`, "next": {"success": "done", "failure": "no"}},
			"done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
		b, r := w.entered(t, "enrol", simulator.ClientInput, map[string]any{"email": m.email, "code": proof})
		for range 2 {
			if r.Type != simulator.InputRequired {
				break
			}
			says := map[string]any{}
			if kind == "password.register" {
				says["new_password"] = "a-quiet-heron-eats-9-figs"
			}
			next, err := b.Submit(t.Context(), simulator.ClientInput, says)
			if err != nil {
				t.Fatal(err)
			}
			r = next
		}
		return r
	}
	before := w.settled(t)
	for kind, config := range steps {
		if r := run(kind, config, ""); r.Type != simulator.Rejection {
			t.Errorf("%s without a proof: %+v", kind, r)
		}
	}
	held := func(all string) string { // what is bound, without the runs
		var out []string
		for _, line := range strings.Split(all, "\n") {
			if strings.HasPrefix(line, "crd_") {
				out = append(out, line)
			}
		}
		return strings.Join(out, "\n")
	}
	if now := w.settled(t); held(now) != held(before) {
		t.Errorf("without a proof something was bound:\n%s\n%s", held(before), held(now))
	}
	for _, kind := range []string{"recovery.generate", "password.register"} {
		w.Pass(31 * time.Second)
		if r := run(kind, steps[kind], m.code(t, w)); r.Type != simulator.Success {
			t.Errorf("%s with a proof: %+v", kind, r)
		}
	}
}

// R44: nobody says of themselves that an address is theirs, that they are let in,
// or who they are: every call that a user may make, and every call that makes or
// changes a user, with every such member.
func TestReg_R44_NobodyWritesTheirOwnStanding(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	mine, id := w.own(t, c, "ana@example.org")
	standing := func() string {
		t.Helper()
		var out string
		if err := w.Kit.DB.QueryRow(t.Context(), `SELECT u.status || '/' || u.tenant_id || '/' || u.custom || '/' || i.value || '/' || i.verified_at || '/' || i.is_primary
			FROM users u JOIN identifiers i ON i.user_id = u.id WHERE u.id = $1 AND i.kind = 'email'`, id).Scan(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	forged := map[string]any{"email_verified": true, "phone_verified": true, "phone_number_verified": true, "verified": true, "verified_at": 1, "locked": false, "status": "Active", "roles": []string{"owner"},
		"role": "owner", "permissions": []string{"users:*"}, "tenant": "t2", "tenant_id": "t2", "user_id": "usr_1", "id": "usr_1", "is_primary": true, "acr": authn.AAL2, "amr": []string{"mfa"}, "scope": "users:*", "admin": true,
		"email": map[string]any{"value": "ana@example.org", "email_verified": true}}
	before, tried := standing(), 0
	for _, call := range backend.Calls() {
		if call.Who == backend.Client && !strings.HasPrefix(call.Route, "POST /v1/users") && !strings.HasPrefix(call.Route, "PUT /v1/users") || call.Who == backend.Public || strings.HasPrefix(call.Route, "GET") ||
			strings.Contains(call.Route, "logout") {
			continue
		}
		caller, in := mine, call.In
		if call.Who == backend.Client {
			caller = c
		}
		route := strings.NewReplacer("{user_id}", id, "{authenticator_id}", "crd_1", "{authenticator_type}", "totp", "{value}", "ana@example.org").Replace(call.Route)
		if strings.HasSuffix(route, "/verify") || strings.HasSuffix(route, "/suspend") || strings.HasSuffix(route, "/activate") { // what they are for
			continue
		}
		known := map[string]bool{}
		for i := range in.NumField() {
			name, _, _ := strings.Cut(in.Field(i).Tag.Get("json"), ",")
			known[name] = true
		}
		for name, v := range forged {
			if known[name] || strings.HasPrefix(call.Route, "DELETE") {
				continue
			}
			tried++
			if got, body := caller.do(t, route, map[string]any{name: v}); got < 400 || got >= 500 {
				t.Errorf("%s with %s: %d %v", route, name, got, body)
			}
		}
		if now := standing(); now != before {
			t.Errorf("%s changed who ana is: %s", route, now)
		}
	}
	if tried < 300 {
		t.Errorf("%d tries", tried)
	}
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "bob@example.org", "custom_data": map[string]any{"email_verified": true, "roles": []string{"owner"}, "status": "Active"}})
	if e := u["email"].(map[string]any); e["email_verified"] != false || u["roles"] != nil {
		t.Errorf("custom data became more than that: %v", u)
	}
}

// R45: whoever has two factors and proves one is proven by one: whatever the
// method, the door and the name, what they get says so, opens nothing that wants
// two, and does not become two by the same factor again.
func TestReg_R45_OneFactorIsNeverTwo(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m, recovery := c.equipped(t, "ana")
	send := func() string {
		t.Helper()
		return c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "direct", "identifier": m.email})["code"].(string)
	}
	low := func(what, token string) {
		t.Helper()
		claims := claimsOf(t, token)
		if amr, _ := claims["amr"].([]any); claims["acr"] != authn.AAL1 || slices.Contains(amr, any("mfa")) {
			t.Errorf("%s: %v %v", what, claims["acr"], amr)
		}
		if got, body := (rest{w, token}).do(t, "POST /v1/auth/pin/register", map[string]any{}); got != 403 && got != 401 {
			t.Errorf("%s opened what wants two: %d %v", what, got, body)
		}
	}
	one := map[string]map[string]any{"password": {"password": password}, "totp": {"totp_code": m.code(t, w)}, "recovery-code": {"recovery_code": recovery}, "otp": {"channel": "direct", "passcode": send()}}
	sessions := map[string]string{}
	for route, body := range one {
		for _, name := range []map[string]any{{"identifier": m.email}, {"identifier": "ana", "identifier_type": "username"}, {"identifier": m.id, "identifier_type": "user_id"}} {
			maps.Copy(name, body)
			got, out := c.do(t, "POST /v1/auth/"+route+"/authenticate", name)
			if got != http.StatusOK {
				continue // a code is good once
			}
			sessions[route] = out["session_id"].(string)
			low(fmt.Sprint(route, " by ", name["identifier"]), out["access_token"].(string))
		}
	}
	if len(sessions) != len(one) {
		t.Fatalf("only %v signed in", sessions)
	}
	again := func(session, route string, body map[string]any) map[string]any {
		t.Helper()
		body = maps.Clone(body)
		body["identifier"], body["session_id"] = m.email, session
		return c.want(t, 200, "POST /v1/auth/"+route+"/authenticate", body)
	}
	low("a password twice", again(sessions["password"], "password", one["password"])["access_token"].(string))
	w.Pass(31 * time.Second)
	low("something they have, and something else they have", again(sessions["otp"], "totp", map[string]any{"totp_code": m.code(t, w)})["access_token"].(string))
	w.Pass(31 * time.Second)
	bob, _ := c.equipped(t, "bob")
	if got, out := c.do(t, "POST /v1/auth/totp/authenticate", map[string]any{"identifier": bob.email, "totp_code": bob.code(t, w), "session_id": sessions["password"]}); got == http.StatusOK {
		t.Errorf("somebody else's factor joined her session: %v", out)
	}
	if claims := claimsOf(t, again(sessions["password"], "totp", map[string]any{"totp_code": m.code(t, w)})["access_token"].(string)); claims["acr"] != authn.AAL2 {
		t.Errorf("a password and a code: %v", claims["acr"])
	}
	w.Pass(31 * time.Second)
	r := w.totp(t, m.email, m.code(t, w))
	if claims := claimsOf(t, r.Token); r.Type != simulator.Success || claims["acr"] != authn.AAL1 {
		t.Errorf("a journey: %+v %v", r, claims["acr"])
	}
	w.halfWay(t, m)
}

// halfWay tries to end a journey of two factors after the first.
func (w *world) halfWay(t *testing.T, m member) {
	t.Helper()
	for _, says := range []map[string]any{{"totp_code": ""}, {}, {"totp_code": "000000"}, {"totp_code": m.bad(t, w)}, {"password": password}, {"username": "ana", "password": password}} {
		b, r := w.entered(t, "password_with_totp", "password", map[string]any{"username": "ana", "password": password})
		if r.Type != simulator.InputRequired {
			t.Fatalf("%+v", r)
		}
		for _, option := range []string{simulator.ClientInput, "password", "success", "cancel", "another_way"} {
			r, err := b.Submit(t.Context(), option, says)
			if err == nil && (r.Type == simulator.Success || r.Token != "") {
				t.Errorf("%v as %s ended it well", says, option)
			}
		}
	}
	p := w.person(t).open(w.URL + "/login/demo-web/password_with_totp")
	p.post("password", url.Values{"username": {"ana"}, "password": {password}})
	if b, err := json.Marshal(p.page); err != nil || strings.Contains(string(b), "code=") {
		t.Errorf("a page after one factor leads on: %s", b)
	}
}

// R40: whoever reads what is sent to an address has something to prove with, though
// nothing is enrolled: knowing the address binds nothing to them, by any of the
// journeys that come with the server, and a code does.
func TestReg_R40_AVerifiedAddressIsSomethingToProveWith(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	const email = "iris@example.org"
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": email})
	c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "email", "identifier": email})
	c.want(t, 202, "POST /v1/users/"+u["user_id"].(string)+"/emails/"+email+"/verify", map[string]any{})
	bound := func() (n int) {
		t.Helper()
		if err := w.Kit.DB.QueryRow(t.Context(), `SELECT (SELECT COUNT(*) FROM credentials WHERE user_id = $1) + (SELECT COUNT(*) FROM devices WHERE user_id = $1)`, u["user_id"]).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if _, r := w.entered(t, "totp_registration", simulator.ClientInput, map[string]any{"email": email}); r.Type != simulator.Rejection || bound() != 0 {
		t.Errorf("an authenticator app by the address alone: %+v, %d bound", r, bound())
	}
	b := w.browser(t)
	if _, err := b.Start(t.Context(), "passwordless_passkey", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Submit(t.Context(), "sign_up", map[string]any{}); err != nil {
		t.Fatal(err)
	}
	if r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"email": email}); err != nil || r.Type != simulator.Rejection || bound() != 0 {
		t.Errorf("a passkey by the address alone: %+v %v, %d bound", r, err, bound())
	}
	phone := func(keys *simulator.Keys, code func() string) error {
		p, err := simulator.New(simulator.Options{Server: w.URL, Client: "demo-native", Email: email, DeviceName: "Pixel 9", Keys: keys, Now: w.Now,
			Code: func(context.Context) (string, error) { return code(), nil }})
		if err != nil {
			t.Fatal(err)
		}
		return p.Register(t.Context())
	}
	if err := phone(keys()[0], func() string { return "000000" }); err == nil || bound() != 0 {
		t.Errorf("a phone by the address alone: %v, %d bound", err, bound())
	}
	w.drain(t)
	mails := len(w.Dev.Inbox.List("mail", email, ""))
	if err := phone(keys()[1], func() string { return w.sentCode(t, "mail", email, mails+1) }); err != nil || bound() == 0 {
		t.Errorf("with the code that was mailed: %v, %d bound", err, bound())
	}
}

// A journey that verifies an address of the user it has just made goes on to bind
// what it will: what this run did does not stand in its way.
func TestVerifiedInTheSameRun(t *testing.T) {
	w := newWorld(t)
	w.publish(t, `{"id": "join", "name": "Join", "kind": "client", "start": "who", "nodes": {
		"who": {"kind": "get_information", "config": {"form_id": "who", "output": "who", "fields": [{"name": "email"}]}, "next": {"success": "make"}},
		"make": {"kind": "create_user", "config": {"email": {"expr": "who.email"}}, "next": {"success": "verify", "exists": "verify", "failure": "no"}},
		"verify": {"kind": "code.verify_email", "config": {"user": {"expr": "who.email"}}, "next": {"success": "app", "failure": "no", "cancel": "no"}},
		"app": {"kind": "totp.register", "config": {"user": {"expr": "who.email"}}, "next": {"success": "done", "failure": "no"}},
		"done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	b, _ := w.entered(t, "join", simulator.ClientInput, map[string]any{"email": "new@example.org"})
	r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"passcode": w.sentCode(t, "mail", "new@example.org", 1)})
	if err != nil || r.Step != "transmit_platform_totp_registration" {
		t.Errorf("after the address was verified: %+v, %v", r, err)
	}
}
