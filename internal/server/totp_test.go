package server_test

import (
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// TestTOTPJourneys: an authenticator app is registered by one journey and signs
// in by another; a payment is signed by a third (seed 001).
func TestTOTPJourneys(t *testing.T) {
	w := newWorld(t)
	b := w.browser(t)
	if _, err := b.Start(t.Context(), "totp_registration", nil); err != nil {
		t.Fatal(err)
	}
	r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"email": "ana@example.org", "label": "Work phone"})
	if err != nil || r.Step != "transmit_platform_totp_registration" {
		t.Fatalf("after the form: %+v, %v", r, err)
	}
	payload, _ := r.Data["payload"].(map[string]any)
	uri, _ := payload["uri"].(string)
	app, err := simulator.ParseToken(uri)
	if err != nil || app.Issuer != "Northwind Coffee" || app.Label != "Work phone" || payload["secret"] != app.Secret {
		t.Fatalf("%+v, %v", app, err)
	}
	if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{}); err != nil || r.Type != simulator.Success || claimsOf(t, r.Token)["registered"] != true {
		t.Fatalf("the end: %+v, %v", r, err)
	}
	login := func(code string) simulator.Response {
		t.Helper()
		b := w.browser(t)
		if _, err := b.Start(t.Context(), "totp_login", nil); err != nil {
			t.Fatal(err)
		}
		r, err := b.Submit(t.Context(), "totp", map[string]any{"username": "ana@example.org", "totp_code": code})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	code, err := app.Code(w.Now())
	if err != nil {
		t.Fatal(err)
	}
	if r := login(code); r.Type != simulator.Success || claimsOf(t, r.Token)["amr"].([]any)[0] != "otp" {
		t.Errorf("signing in: %+v", r)
	}
	if r := login(code); r.Type != simulator.Rejection {
		t.Errorf("the same code again: %+v", r)
	}
	// A registration that is started for somebody who has one is refused.
	b = w.browser(t)
	if _, err := b.Start(t.Context(), "totp_registration", nil); err != nil {
		t.Fatal(err)
	}
	if r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"email": "ana@example.org"}); err != nil || r.Type != simulator.Rejection {
		t.Errorf("registering for somebody else: %+v, %v", r, err)
	}

	b = w.browser(t)
	if _, err := b.Start(t.Context(), "transaction_totp", nil); err != nil {
		t.Fatal(err)
	}
	r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"email": "ana@example.org", "payee": "ACME", "amount": "12.50", "currency": "EUR"})
	challenge := r.Text("transaction_challenge")
	if err != nil || r.Step != "transmit_platform_transaction_signing_totp" || len(challenge) != 6 {
		t.Fatalf("signing: %+v, %v", r, err)
	}
	if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"totp_code": "000000"}); err != nil || r.ErrorCode != "invalid_credentials" {
		t.Fatalf("a wrong code: %+v, %v", r, err)
	}
	if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"totp_code": app.Sign(challenge, w.Now())}); err != nil || r.Type != simulator.Success {
		t.Fatalf("signed: %+v, %v", r, err)
	}
	receipt := w.offline(t, w.offline(t, r.Token)["approval_receipt"].(string))
	if receipt["method"] != "totp" || receipt["approval_data"].(map[string]any)["payee"] != "ACME" {
		t.Errorf("receipt %v", receipt)
	}
}

// TestTOTPAPI: the same through the back-end API.
func TestTOTPAPI(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})
	at := "/v1/users/" + u["user_id"].(string)
	made := c.want(t, 201, "POST "+at+"/totp", map[string]any{"label": "Work phone"})
	app, err := simulator.ParseToken(made["uri"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if got, body := c.do(t, "POST "+at+"/totp", nil); got != 409 || body["ts_error_code"] != "auth_totp_already_registered" {
		t.Errorf("a second: %d %v", got, body)
	}
	auth := func(who, code, session string) (int, map[string]any) {
		t.Helper()
		return c.do(t, "POST /cis/v1/auth/totp/authenticate", map[string]any{"identifier": who, "identifier_type": "email", "totp_code": code, "session_id": session})
	}
	code, err := app.Code(w.Now())
	if err != nil {
		t.Fatal(err)
	}
	status, tokens := auth("ana@example.org", code, "")
	if status != 200 || tokens["session_id"] == nil || tokens["token_type"] != "Bearer" || tokens["expires_in"] != 3600.0 {
		t.Fatalf("%d %v", status, tokens)
	}
	id := w.offline(t, tokens["id_token"].(string))
	if id["sub"] != u["user_id"] || id["aud"] != "demo-backend" || id["acr"] != "urn:watchword:aal1" {
		t.Errorf("identity token %v", id)
	}
	mine := rest{w, tokens["access_token"].(string)}
	if got := mine.want(t, 200, "GET /v1/users/me", nil); got["user_id"] != u["user_id"] {
		t.Errorf("me: %v", got)
	}
	if got, _ := mine.do(t, "GET /v1/users", nil); got != 403 {
		t.Errorf("a user lists users: %d", got)
	}
	for i, who := range []string{"ana@example.org", "nobody@example.org"} {
		for try := range 6 {
			want, word := 400, "auth_invalid_credentials"
			if try == 5 {
				want, word = 403, "auth_locked"
			}
			if got, body := auth(who, code, ""); got != want || body["error_code"] != word {
				t.Errorf("%d, try %d: %d %v", i, try, got, body)
			}
		}
	}
	_, body := c.do(t, "GET "+at+"/authenticators", nil)
	a := body["result"].([]any)[0].(map[string]any)
	if a["type"] != "totp" || a["status"] != "locked" || a["name"] != "Work phone" {
		t.Errorf("listed: %v", a)
	}
	c.want(t, 204, "POST "+at+"/authenticators/"+a["id"].(string)+"/unlock", nil)
	w.Pass(30e9)
	if code, err = app.Code(w.Now()); err != nil {
		t.Fatal(err)
	}
	if got, body := auth("ana@example.org", code, tokens["session_id"].(string)); got != 200 || body["session_id"] != tokens["session_id"] {
		t.Errorf("unlocked, in the same session: %d %v", got, body)
	}
	start := c.want(t, 200, "POST /v1/auth/totp/transaction/start", map[string]any{"identifier": "ana@example.org", "approval_data": map[string]any{"amount": "5"}})
	sign := map[string]any{"identifier": "ana@example.org", "challenge": start["challenge"], "totp_code": app.Sign(start["challenge"].(string), w.Now())}
	got := c.want(t, 200, "POST /v1/auth/totp/transaction/authenticate", sign)
	if id := w.offline(t, got["id_token"].(string)); id["approval_data"] == nil {
		t.Errorf("the identity token does not say what was approved: %v", id)
	}
	if status, _ := c.do(t, "POST /v1/auth/totp/transaction/authenticate", sign); status == 200 {
		t.Error("signed twice")
	}
	mine.want(t, 204, "POST /v1/auth/session/logout", map[string]any{"session_id": tokens["session_id"]})
	if status, _ := mine.do(t, "GET /v1/users/me", nil); status != 401 {
		t.Errorf("after the logout: %d", status)
	}
	c.want(t, 204, "POST "+at+"/totp/revoke", map[string]any{"authenticator_id": a["id"]})
}

// TestTOTPRevokedByLabel: a user is shown the labels of their authenticator apps
// and chooses which one goes (seed 001); the last one that they could sign in with
// stays.
func TestTOTPRevokedByLabel(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/totp", map[string]any{"maxTotpPerUser": 2})
	id := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})["user_id"].(string)
	apps := map[string]simulator.Token{}
	for _, label := range []string{"Old phone", "New phone"} {
		var err error
		if apps[label], err = simulator.ParseToken(c.want(t, 201, "POST /v1/users/"+id+"/totp", map[string]any{"label": label})["uri"].(string)); err != nil {
			t.Fatal(err)
		}
	}
	if got, body := c.do(t, "POST /v1/users/"+id+"/totp", map[string]any{"label": "A third"}); got != 400 || body["ts_error_code"] != "auth_max_authenticators_count_exceeded" {
		t.Errorf("beyond the limit: %d %v", got, body)
	}
	w.publish(t, `{"id": "revoke", "name": "Revoke", "kind": "client", "start": "login", "nodes": {
		"login": {"kind": "login_form", "config": {"methods": ["totp"], "output": "login"}, "next": {"totp": "proof"}},
		"proof": {"kind": "totp.authenticate", "config": {"user": {"expr": "login.username"}, "code": {"expr": "login.totp_code"}}, "next": {"success": "list", "failure": "no"}},
		"list": {"kind": "authenticators.list", "config": {"type": "totp", "output": "mine"}, "next": {"success": "show", "failure": "no"}},
		"show": {"kind": "json_data", "config": {"data": {"labels": {"expr": "mine.map(a, a.label)"}}}, "next": {"success": "which"}},
		"which": {"kind": "get_information", "config": {"form_id": "which", "output": "which", "fields": [{"name": "label", "required": true}]}, "next": {"success": "gone"}},
		"gone": {"kind": "totp.revoke", "config": {"id": {"expr": "mine.filter(a, a.label == which.label)[0].id"}}, "next": {"success": "done", "failure": "no"}},
		"done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	revoke := func(with, label string) simulator.Response {
		t.Helper()
		code, err := apps[with].Code(w.Now())
		if err != nil {
			t.Fatal(err)
		}
		b, r := w.entered(t, "revoke", "totp", map[string]any{"username": "ana@example.org", "totp_code": code})
		if r.Type != simulator.InputRequired {
			t.Fatalf("%+v", r)
		}
		if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"label": label}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := revoke("New phone", "Old phone"); r.Type != simulator.Success {
		t.Errorf("%+v", r)
	}
	_, left := c.do(t, "GET /v1/users/"+id+"/authenticators", nil)
	for _, a := range left["result"].([]any) {
		if a := a.(map[string]any); a["type"] == "totp" && (a["name"] != "New phone" || a["status"] != "active") {
			t.Errorf("left: %v", a)
		}
	}
	w.Pass(31 * time.Second)
	if r := revoke("New phone", "New phone"); r.Type != simulator.Rejection {
		t.Errorf("the last one went: %+v", r)
	}
	c.want(t, 201, "POST /v1/users/"+id+"/recovery-codes", nil)
	w.Pass(31 * time.Second)
	if r := revoke("New phone", "New phone"); r.Type != simulator.Success {
		t.Errorf("beside recovery codes: %+v", r)
	}
}
