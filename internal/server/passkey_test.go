package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/simulator"
)

const passkeyPage = "http://localhost:3000"

// passkeys is a world, whose relying party is localhost, its back end, and the
// public calls of the SDK.
func passkeys(t testing.TB) (w *world, c, sdk rest) {
	t.Helper()
	w = newWorld(t)
	return w, w.rest(t), rest{w: w}
}

func (c rest) created(t testing.TB, p *simulator.Passkey, name string) string {
	t.Helper()
	s, err := p.Create(c.want(t, 200, "POST /v1/auth/webauthn/register/start", map[string]any{"client_id": "demo-web", "username": name, "display_name": "Ana"}))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c rest) got(t testing.TB, p *simulator.Passkey, name string, approval map[string]any) string {
	t.Helper()
	body := map[string]any{"client_id": "demo-web"}
	if name != "" {
		body["username"] = name
	}
	if approval != nil {
		body["approval_data"] = approval
	}
	s, err := p.Get(c.want(t, 200, "POST /v1/auth/webauthn/authenticate/start", body))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPasskeyJourneys: an account is made with a passkey, signs in with it and
// signs a payment (seed 003).
func TestPasskeyJourneys(t *testing.T) {
	w, _, sdk := passkeys(t)
	p := simulator.NewPasskey(passkeyPage)
	signUp := func(p *simulator.Passkey, email string) simulator.Response {
		t.Helper()
		b := w.browser(t)
		if _, err := b.Start(t.Context(), "passwordless_passkey", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Submit(t.Context(), "sign_up", nil); err != nil {
			t.Fatal(err)
		}
		r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"email": email})
		if err != nil || r.Wire != "transmit_platform_web_authn_registration" {
			return r
		}
		if r.Text("username") != email || r.Data["register_as_discoverable"] != true || r.Data["allow_cross_platform_authenticators"] != true {
			t.Errorf("asked %v", r.Data)
		}
		if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"webauthn_encoded_result": sdk.created(t, p, email)}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := signUp(p, "ana@example.org"); r.Type != simulator.Success || claimsOf(t, r.Token)["registered"] != true {
		t.Fatalf("signing up: %+v", r)
	}
	if r := signUp(simulator.NewPasskey(passkeyPage), "ana@example.org"); r.Type != simulator.Rejection {
		t.Errorf("somebody else's account: %+v", r)
	}
	login := func(result string) simulator.Response {
		t.Helper()
		b := w.browser(t)
		if _, err := b.Start(t.Context(), "passwordless_passkey", nil); err != nil {
			t.Fatal(err)
		}
		r, err := b.Submit(t.Context(), "passkeys", map[string]any{"webauthn_encoded_result": result})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	result := sdk.got(t, p, "", nil)
	r := login(result)
	if claims := claimsOf(t, r.Token); r.Type != simulator.Success || claims["acr"] != "urn:watchword:aal2" {
		t.Fatalf("signing in: %+v", r)
	}
	for name, result := range map[string]string{"the same result again": result, "no result": "x", "nobody's passkey": sdk.got(t, simulator.NewPasskey(passkeyPage), "", nil)} {
		if r := login(result); r.Type != simulator.Rejection {
			t.Errorf("%s: %+v", name, r)
		}
	}

	b := w.browser(t)
	if _, err := b.Start(t.Context(), "transaction_passkey", nil); err != nil {
		t.Fatal(err)
	}
	r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"email": "ana@example.org", "payee": "ACME", "amount": "12.50", "currency": "EUR"})
	data, _ := r.Data["approval_data"].(map[string]any)
	if err != nil || r.Step != "transmit_platform_transaction_signing_webauthn" || r.Text("user_identifier") != "ana@example.org" || data["payee"] != "ACME" {
		t.Fatalf("signing: %+v, %v", r, err)
	}
	if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"webauthn_encoded_result": sdk.got(t, p, "ana@example.org", data)}); err != nil || r.Type != simulator.Success {
		t.Fatalf("signed: %+v, %v", r, err)
	}
	receipt := w.offline(t, w.offline(t, r.Token)["approval_receipt"].(string))
	if receipt["method"] != "passkey" || receipt["approval_data"].(map[string]any)["payee"] != "ACME" {
		t.Errorf("receipt %v", receipt)
	}
}

// TestPasskeyAPI: a back end registers, authenticates and signs, and each result
// counts once.
func TestPasskeyAPI(t *testing.T) {
	w, c, sdk := passkeys(t)
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "external_user_id": "ext-1"})
	c.want(t, 202, "POST /v1/users/"+u["user_id"].(string)+"/emails/ana@example.org/verify", nil)
	p := simulator.NewPasskey(passkeyPage)
	made := sdk.created(t, p, "ana@example.org")
	first := c.want(t, 201, "POST /v1/auth/webauthn/external/register", map[string]any{"external_user_id": "ext-1", "webauthn_encoded_result": made})
	if got, body := c.do(t, "POST /v1/auth/webauthn/external/register", map[string]any{"external_user_id": "ext-1", "webauthn_encoded_result": made}); got != 400 || body["error_code"] != "auth_challenge_expired" {
		t.Errorf("again: %d %v", got, body)
	}
	result := sdk.got(t, p, "ana@example.org", nil)
	tokens := c.want(t, 200, "POST /cis/v1/auth/webauthn/authenticate", map[string]any{"webauthn_encoded_result": result, "identifier": "ana@example.org"})
	if id := w.offline(t, tokens["id_token"].(string)); id["sub"] != u["user_id"] || id["acr"] != "urn:watchword:aal2" {
		t.Errorf("identity token %v", id)
	}
	if got, body := c.do(t, "POST /v1/auth/webauthn/authenticate", map[string]any{"webauthn_encoded_result": result}); got != 400 || body["error_code"] != "auth_challenge_expired" {
		t.Errorf("again: %d %v", got, body)
	}
	if got, body := c.do(t, "POST /v1/auth/webauthn/authenticate", map[string]any{"webauthn_encoded_result": sdk.got(t, p, "", nil), "identifier": "ada@example.org"}); got != 400 || body["error_code"] != "auth_invalid_credentials" {
		t.Errorf("as somebody else: %d %v", got, body)
	}
	approval := map[string]any{"amount": "5"}
	signed := c.want(t, 200, "POST /v1/auth/webauthn/authenticate", map[string]any{"webauthn_encoded_result": sdk.got(t, p, "ana@example.org", approval)})
	if id := w.offline(t, signed["id_token"].(string)); id["approval_data"] == nil {
		t.Errorf("the identity token does not say what was approved: %v", id)
	}

	mine := rest{w, tokens["access_token"].(string)}
	second := simulator.NewPasskey(passkeyPage)
	mine.want(t, 201, "POST /v1/auth/webauthn/register", map[string]any{"webauthn_encoded_result": sdk.created(t, second, "ana@example.org")})
	if got, body := mine.do(t, "POST /v1/auth/webauthn/register", map[string]any{"webauthn_encoded_result": sdk.created(t, simulator.NewPasskey(passkeyPage), "ada@example.org")}); got != 400 || body["error_code"] != "auth_invalid_attestation" {
		t.Errorf("for somebody else: %d %v", got, body)
	}
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/webauthn_api", map[string]any{"allowSyncedPasskeys": false})
	if got, body := mine.do(t, "POST /v1/auth/webauthn/register", map[string]any{"webauthn_encoded_result": sdk.created(t, simulator.NewPasskey(passkeyPage), "ana@example.org")}); got != 403 || body["error_code"] != "auth_passkey_not_allowed" {
		t.Errorf("a synced one: %d %v", got, body)
	}
	w.Pass(6 * 60e9)
	if got, body := mine.do(t, "POST /v1/auth/webauthn/register", map[string]any{"webauthn_encoded_result": "x"}); got != 403 || body["error_code"] != "reauthentication_required" {
		t.Errorf("long after the proof: %d %v", got, body)
	}
	at := "/v1/users/" + u["user_id"].(string) + "/authenticators"
	_, body := c.do(t, "GET "+at, nil)
	if list := body["result"].([]any); len(list) != 4 || list[0].(map[string]any)["type"] != "webauthn" {
		t.Errorf("listed: %v", body)
	}
	w.sentCode(t, "", "ana@example.org", 2) // each new passkey is told by mail
	c.want(t, 204, "DELETE "+at+"/"+first["authenticator_id"].(string), nil)
	if got, body := c.do(t, "POST /v1/auth/webauthn/authenticate", map[string]any{"webauthn_encoded_result": sdk.got(t, p, "", nil)}); got != 400 || body["error_code"] != "auth_invalid_credentials" {
		t.Errorf("a deleted passkey: %d %v", got, body)
	}
	if got, body := sdk.do(t, "POST /v1/auth/webauthn/authenticate/start", map[string]any{"client_id": "nobody"}); got != 404 || body["error_code"] != "client_not_exist" {
		t.Errorf("an unknown client: %d %v", got, body)
	}
}

// TestPasskeyAcrossDevices: a ticket of one page is taken up by another device,
// and ends in a session that a back end redeems.
func TestPasskeyAcrossDevices(t *testing.T) {
	w, c, sdk := passkeys(t)
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "external_user_id": "ext-1"})
	const across = "/v1/auth/webauthn/cross-device/"
	status := func(id string) map[string]any {
		t.Helper()
		return sdk.want(t, 200, "GET "+across+"status?cross_device_ticket_id="+id, nil)
	}
	ticket := c.want(t, 200, "POST "+across+"external/register/init", map[string]any{"external_user_id": "ext-1", "username": "ana@example.org"})
	id := ticket["cross_device_ticket_id"].(string)
	if got := status(id); got["status"] != "pending" {
		t.Errorf("%v", got)
	}
	if got := sdk.want(t, 200, "POST "+across+"attach-device", ticket); got["status"] != "scanned" || got["started_at"] == nil {
		t.Errorf("%v", got)
	}
	if got := status(id); got["status"] != "scanned" {
		t.Errorf("%v", got)
	}
	if got, _ := sdk.do(t, "POST "+across+"attach-device", ticket); got != 400 {
		t.Errorf("a second device: %d", got)
	}
	if got, _ := sdk.do(t, "POST "+across+"authenticate/start", ticket); got != 400 {
		t.Errorf("a registration as authentication: %d", got)
	}
	p := simulator.NewPasskey(passkeyPage)
	made, err := p.Create(sdk.want(t, 200, "POST "+across+"register/start", ticket))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := c.do(t, "POST /v1/auth/webauthn/external/register", map[string]any{"external_user_id": "ext-1", "webauthn_encoded_result": made}); got != 400 {
		t.Errorf("by another call: %d", got)
	}
	c.want(t, 201, "POST "+across+"register", map[string]any{"webauthn_encoded_result": made})
	if got := status(id); got["status"] != "success" || got["session_id"] != nil {
		t.Errorf("%v", got)
	}

	ticket = sdk.want(t, 200, "POST "+across+"authenticate/init", map[string]any{"client_id": "demo-web", "username": "ana@example.org", "approval_data": map[string]any{"amount": "5"}})
	id = ticket["cross_device_ticket_id"].(string)
	if got := sdk.want(t, 200, "POST "+across+"attach-device", ticket); got["approval_data"].(map[string]any)["amount"] != "5" {
		t.Errorf("%v", got)
	}
	result, err := p.Get(sdk.want(t, 200, "POST "+across+"authenticate/start", ticket))
	if err != nil {
		t.Fatal(err)
	}
	phone := c.want(t, 200, "POST /v1/auth/webauthn/authenticate", map[string]any{"webauthn_encoded_result": result})
	got := status(id)
	if got["status"] != "success" || got["session_id"] != phone["session_id"] {
		t.Fatalf("%v, %v", got, phone)
	}
	tokens := c.want(t, 200, "POST /v1/auth/session/authenticate", map[string]any{"session_id": got["session_id"]})
	if id := w.offline(t, tokens["id_token"].(string)); id["sub"] != u["user_id"] {
		t.Errorf("%v", id)
	}
	if got, _ := sdk.do(t, "POST "+across+"authenticate/start", ticket); got != 400 {
		t.Errorf("a ticket that is over: %d", got)
	}
	late := sdk.want(t, 200, "POST "+across+"authenticate/init", map[string]any{"client_id": "demo-web"})["cross_device_ticket_id"].(string)
	w.Pass(301e9)
	if got := status(late); got["status"] != "timeout" {
		t.Errorf("%v", got)
	}
	if got, _ := sdk.do(t, "GET "+across+"status?cross_device_ticket_id=chl_x", nil); got != 404 {
		t.Errorf("an unknown ticket: %d", got)
	}
}

// TestPasskeyWellKnown: what browsers and phones ask a domain for.
func TestPasskeyWellKnown(t *testing.T) {
	_, c, sdk := passkeys(t)
	hash := strings.Repeat("A", 43)
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/webauthn_api", map[string]any{"rpWebOrigins": []any{"https://other.example"},
		"rpMobileOrigins": []any{"android:apk-key-hash:" + hash}, "apple_app_ids": []any{"TEAM.org.example"}, "android_packages": []any{"org.example"}})
	for _, query := range []string{"", "?client_id=demo-web"} {
		if got := sdk.want(t, 200, "GET /.well-known/webauthn"+query, nil); got["origins"].([]any)[0] != "https://other.example" {
			t.Errorf("%v", got)
		}
		if got := sdk.want(t, 200, "GET /.well-known/apple-app-site-association"+query, nil); got["webcredentials"].(map[string]any)["apps"].([]any)[0] != "TEAM.org.example" {
			t.Errorf("%v", got)
		}
		if got := sdk.want(t, 200, "GET /.well-known/passkey-endpoints"+query, nil); got["enroll"] != sdk.w.URL+"/account/demo-web/passkey" || got["manage"] != sdk.w.URL+"/account/demo-web" {
			t.Errorf("%v", got)
		}
		r, err := http.Get(sdk.w.URL + "/.well-known/assetlinks.json" + query)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d %s", r.StatusCode, r.Header.Get("Content-Type"))
		}
	}
}
