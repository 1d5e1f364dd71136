package server_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// ciba is a client of FAPI-CIBA, with a phone to ask.
type ciba struct {
	signer
	phone *simulator.Phone
}

func newCIBA(t *testing.T) ciba {
	w := newWorld(t)
	c := w.signer(t, "fapi-ciba", apps.ClientSettings{Profile: apps.FAPI2, Grants: []string{apps.GrantCIBA, apps.GrantRefresh}, SignedRequest: true})
	c.dpop, _ = newKey(t)
	return ciba{c, w.registered(t, "grace@example.org", 0)}
}

// asks sends a signed request.
func (c ciba) asks(t *testing.T, more map[string]any) (int, map[string]any) {
	t.Helper()
	claims := c.claims(map[string]any{"scope": "openid offline_access", "login_hint": "grace@example.org", "binding_message": "1234"})
	maps.Copy(claims, more)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return c.post(t, "/oidc/bc-authorize", url.Values{"request": {signs(t, c.key, nil, false, claims)}})
}

func (c ciba) begun(t *testing.T, more map[string]any) string {
	t.Helper()
	status, out := c.asks(t, more)
	if status != 200 || out["auth_req_id"] == nil || out["expires_in"].(float64) <= 0 {
		t.Fatalf("asking: %d %v", status, out)
	}
	return out["auth_req_id"].(string)
}

func (c ciba) collect(t *testing.T, id string) (int, map[string]any) {
	t.Helper()
	return c.post(t, "/oidc/token", url.Values{"grant_type": {apps.GrantCIBA}, "auth_req_id": {id}})
}

func (c ciba) approve(t *testing.T) {
	t.Helper()
	if err := c.phone.Approve(t.Context(), pending(t, c.phone).ID, ""); err != nil {
		t.Fatal(err)
	}
	c.w.Pass(6 * time.Second)
}

func TestConformanceCIBA(t *testing.T) {
	at := func(d time.Duration) int64 { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC).Add(d).Unix() }
	list := []row{
		{name: "fapi-ciba-id1-discovery-end-point-verification", check: func(t *testing.T) {
			m := newWorld(t).metadata(t)
			if !has(m, "backchannel_token_delivery_modes_supported", "poll", "ping") || m["backchannel_authentication_endpoint"] == nil || !has(m, "grant_types_supported", apps.GrantCIBA) || !has(m, "backchannel_authentication_request_signing_alg_values_supported", "ES256") {
				t.Errorf("metadata: %v", m)
			}
		}},
		{name: "fapi-ciba-id1", check: func(t *testing.T) {
			c := newCIBA(t)
			id := c.begun(t, nil)
			status, out := c.collect(t, id)
			wants(t, status, out, "authorization_pending")
			c.approve(t)
			if status, out = c.collect(t, id); status != 200 || claimsOf(t, out["id_token"].(string))["aud"] != c.id || out["refresh_token"] == nil {
				t.Fatalf("%d %v", status, out)
			}
			c.w.Pass(time.Minute)
			status, out = c.collect(t, id)
			wants(t, status, out, "invalid_grant")
		}},
		{name: "fapi-ciba-id1-user-rejects-authentication", check: func(t *testing.T) {
			c := newCIBA(t)
			id := c.begun(t, nil)
			if err := c.phone.Deny(t.Context(), pending(t, c.phone).ID, false); err != nil {
				t.Fatal(err)
			}
			status, out := c.collect(t, id)
			wants(t, status, out, "access_denied")
		}},
		{name: "fapi-ciba-id1-multiple-call-to-token-endpoint", check: func(t *testing.T) {
			c := newCIBA(t)
			id := c.begun(t, nil)
			status, out := c.collect(t, id)
			wants(t, status, out, "authorization_pending")
			for range 3 {
				status, out = c.collect(t, id)
				wants(t, status, out, "slow_down")
			}
			c.approve(t)
			c.w.Pass(time.Minute)
			if status, out = c.collect(t, id); status != 200 {
				t.Errorf("slowly: %d %v", status, out)
			}
		}},
		{name: "fapi-ciba-id1-auth-req-id-expired", check: func(t *testing.T) {
			c := newCIBA(t)
			id := c.begun(t, map[string]any{"requested_expiry": 30})
			c.w.Pass(31 * time.Second)
			status, out := c.collect(t, id)
			wants(t, status, out, "expired_token")
			c.w.Pass(time.Hour)
			status, out = c.collect(t, id)
			wants(t, status, out, "expired_token")
		}},
		{name: "fapi-ciba-id1-refresh-token", check: func(t *testing.T) {
			c := newCIBA(t)
			id := c.begun(t, nil)
			c.approve(t)
			_, out := c.collect(t, id)
			status, fresh := c.post(t, "/oidc/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {out["refresh_token"].(string)}})
			if status != 200 || fresh["access_token"] == out["access_token"] {
				t.Errorf("%d %v", status, fresh)
			}
		}},
		{name: "fapi-ciba-id1-ensure-authorization-request-with-multiple-hints-fails", check: badRequestObject(map[string]any{"id_token_hint": "x"})},
		{name: "fapi-ciba-id1-ensure-authorization-request-with-binding-message-succeeds", check: func(t *testing.T) {
			c := newCIBA(t)
			c.begun(t, nil)
			if r := pending(t, c.phone); r.ApprovalData["message"] != "1234" {
				t.Errorf("the phone shows %v", r.ApprovalData)
			}
		}},
		{name: "fapi-ciba-id1-ensure-authorization-request-with-potentially-bad-binding-message", check: func(t *testing.T) {
			c := newCIBA(t)
			status, out := c.asks(t, map[string]any{"binding_message": "1234 \U0001F44D\U0001F3FF 品川 Lor ipsum <b>"})
			wants(t, status, out, "invalid_binding_message")
		}},
		{name: "fapi-ciba-id1-ensure-requested-expiry-as-string-succeeds", check: func(t *testing.T) {
			c := newCIBA(t)
			for _, v := range []any{90, "30"} { // a number, and the text of one; longer than push.life allows is cut, and told
				if status, out := c.asks(t, map[string]any{"requested_expiry": v}); status != 200 || fmt.Sprint(out["expires_in"]) != fmt.Sprint(v) {
					t.Errorf("%v: %d %v", v, status, out)
				}
			}
		}},
		{name: "fapi-ciba-id1-ensure-request-object-missing-aud-fails", check: badRequestObject(map[string]any{"aud": nil})},
		{name: "fapi-ciba-id1-ensure-request-object-bad-aud-fails", check: badRequestObject(map[string]any{"aud": "https://www.other1.com"})},
		{name: "fapi-ciba-id1-ensure-request-object-missing-exp-fails", check: badRequestObject(map[string]any{"exp": nil})},
		{name: "fapi-ciba-id1-ensure-request-object-expired-exp-fails", check: badRequestObject(map[string]any{"exp": at(-time.Minute)})},
		{name: "fapi-ciba-id1-ensure-request-object-exp-is-70-minutes-in-future-fails", check: badRequestObject(map[string]any{"exp": at(70 * time.Minute)})},
		{name: "fapi-ciba-id1-ensure-request-object-missing-iat-fails", check: badRequestObject(map[string]any{"iat": nil})},
		{name: "fapi-ciba-id1-ensure-request-object-missing-iss-fails", check: badRequestObject(map[string]any{"iss": nil})},
		{name: "fapi-ciba-id1-ensure-request-object-bad-iss-fails", check: badRequestObject(map[string]any{"iss": "somebody"})},
		{name: "fapi-ciba-id1-ensure-request-object-missing-jti-fails", check: badRequestObject(map[string]any{"jti": nil})},
		{name: "fapi-ciba-id1-ensure-request-object-missing-nbf-fails", check: badRequestObject(map[string]any{"nbf": nil})},
		{name: "fapi-ciba-id1-ensure-request-object-nbf-is-10-minutes-in-future-fails", check: badRequestObject(map[string]any{"nbf": at(10 * time.Minute), "exp": at(20 * time.Minute)})},
		{name: "fapi-ciba-id1-ensure-request-object-nbf-is-70-minutes-in-past-fails", check: badRequestObject(map[string]any{"nbf": at(-70 * time.Minute)})},
		{name: "fapi-ciba-id1-ensure-request-object-signature-algorithm-is-none-fails", check: func(t *testing.T) {
			c := newCIBA(t)
			status, out := c.post(t, "/oidc/bc-authorize", url.Values{"request": {"eyJhbGciOiJub25lIn0.eyJpc3MiOiJmYXBpLWNpYmEifQ."}})
			wants(t, status, out, "invalid_request")
		}},
		{name: "fapi-ciba-id1-ensure-request-object-signature-algorithm-is-bad-fails", check: func(t *testing.T) {
			c := newCIBA(t)
			header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256K"}`))
			_, rest, _ := strings.Cut(signs(t, c.key, nil, false, c.claims(map[string]any{"scope": "openid", "login_hint": "grace@example.org"})), ".")
			status, out := c.post(t, "/oidc/bc-authorize", url.Values{"request": {header + "." + rest}})
			wants(t, status, out, "invalid_request")
		}},
		{name: "fapi-ciba-id1-ensure-request-object-signature-algorithm-is-RS256-fails", check: func(t *testing.T) {
			c := newCIBA(t)
			weak := c.weakened(t)
			form := url.Values{"request": {signsBy(t, jose.RS256, weak, nil, false, c.claims(map[string]any{"scope": "openid", "login_hint": "grace@example.org"}))}}
			status, out := c.post(t, "/oidc/bc-authorize", form)
			wants(t, status, out, "invalid_request")
		}},
		{name: "fapi-ciba-id1-ensure-client-assertion-signature-algorithm-in-backchannel-authorization-request-is-RS256-fails", check: func(t *testing.T) {
			c := newCIBA(t)
			form := url.Values{"client_assertion": {signsBy(t, jose.RS256, c.weakened(t), nil, false, c.claims(map[string]any{"sub": c.id}))},
				"request": {signs(t, c.key, nil, false, c.claims(map[string]any{"scope": "openid", "login_hint": "grace@example.org"}))}}
			status, out := c.post(t, "/oidc/bc-authorize", form)
			wants(t, status, out, "invalid_client")
		}},
		{name: "fapi-ciba-id1-ensure-client-assertion-signature-algorithm-in-token-endpoint-request-is-RS256-fails", check: func(t *testing.T) {
			c := newCIBA(t)
			id := c.begun(t, nil)
			status, out := c.post(t, "/oidc/token", url.Values{"grant_type": {apps.GrantCIBA}, "auth_req_id": {id}, "client_assertion": {signsBy(t, jose.RS256, c.weakened(t), nil, false, c.claims(map[string]any{"sub": c.id}))}})
			wants(t, status, out, "invalid_client")
		}},
		{name: "fapi-ciba-id1-ensure-client-assertion-with-iss-aud-to-token-endpoint-succeeds", check: func(t *testing.T) {
			c := newCIBA(t)
			status, out := c.collect(t, c.begun(t, nil)) // whose assertions name the issuer
			wants(t, status, out, "authorization_pending")
		}},
		{name: "fapi-ciba-id1-ensure-other-scope-order-succeeds", check: func(t *testing.T) {
			c := newCIBA(t)
			c.begun(t, map[string]any{"scope": "offline_access openid"})
		}},
		{name: "fapi-ciba-id1-ensure-request-object-signed-by-other-client-fails", check: func(t *testing.T) {
			c := newCIBA(t)
			other, _ := newKey(t)
			status, out := c.post(t, "/oidc/bc-authorize", url.Values{"request": {signs(t, other, nil, false, c.claims(map[string]any{"scope": "openid", "login_hint": "grace@example.org"}))}})
			wants(t, status, out, "invalid_request")
		}},
		{name: "fapi-ciba-id1-ensure-unsigned-backchannel-authorization-request-fails", check: func(t *testing.T) {
			c := newCIBA(t)
			status, out := c.post(t, "/oidc/bc-authorize", url.Values{"scope": {"openid"}, "login_hint": {"grace@example.org"}})
			wants(t, status, out, "invalid_request")
		}},
		{name: "our own: a request that was used", check: func(t *testing.T) {
			c := newCIBA(t)
			form := url.Values{"request": {signs(t, c.key, nil, false, c.claims(map[string]any{"scope": "openid", "login_hint": "grace@example.org"}))}}
			if good := sixteen(func(int) bool { status, _ := c.post(t, "/oidc/bc-authorize", form); return status == 200 }); good != 1 {
				t.Errorf("%d of 16", good)
			}
		}},
		{name: "fapi-ciba-id1-ensure-wrong-auth-req-id-in-token-endpoint-request", check: func(t *testing.T) {
			c := newCIBA(t)
			id := c.begun(t, nil)
			c.approve(t)
			other := c.w.signer(t, "fapi-ciba-2", apps.ClientSettings{Profile: apps.FAPI2, Grants: []string{apps.GrantCIBA}})
			other.dpop = c.dpop
			status, out := ciba{other, nil}.collect(t, id)
			wants(t, status, out, "invalid_grant")
			status, out = c.collect(t, id+"x")
			wants(t, status, out, "invalid_grant")
			if status, out := c.collect(t, id); status != 200 {
				t.Errorf("its own, afterwards: %d %v", status, out)
			}
		}},
		{name: "fapi-ciba-id1-ensure-different-client-id-and-issuer-in-backchannel-authorization-request", check: func(t *testing.T) {
			c := newCIBA(t)
			status, out := c.asks(t, map[string]any{"client_id": "demo-web"})
			wants(t, status, out, "invalid_request")
		}},
		{name: "fapi-ciba-id1-ensure-wrong-client-id-in-token-endpoint-request", skip: "for clients that are known by a certificate; TestFAPI2 tries another one's"},
		{name: "fapi-ciba-id1-ensure-wrong-client-id-in-backchannel-authorization-request", skip: "for clients that are known by a certificate; TestFAPI2 tries another one's"},
		{name: "fapi-ciba-id1-ensure-without-client-assertion-in-backchannel-authorization-request", check: func(t *testing.T) {
			c := newCIBA(t)
			status, out := c.send(t, "POST", "/oidc/bc-authorize", "", url.Values{"client_id": {c.id}, "request": {signs(t, c.key, nil, false, c.claims(map[string]any{"scope": "openid", "login_hint": "grace@example.org"}))}})
			wants(t, status, out, "invalid_client")
		}},
		{name: "fapi-ciba-id1-ensure-without-client-assertion-in-token-endpoint-request", check: func(t *testing.T) {
			c := newCIBA(t)
			id := c.begun(t, nil)
			c.approve(t)
			status, out := c.send(t, "POST", "/oidc/token", "", url.Values{"grant_type": {apps.GrantCIBA}, "auth_req_id": {id}, "client_id": {c.id}})
			wants(t, status, out, "invalid_client")
		}},
		{name: "fapi-ciba-id1-ensure-mtls-holder-of-key-required", check: func(t *testing.T) { // here with DPoP; TLS is the proxy's
			c := newCIBA(t)
			id := c.begun(t, nil)
			c.approve(t)
			bare := c
			bare.dpop = nil
			status, out := bare.collect(t, id)
			wants(t, status, out, "invalid_dpop_proof")
			c.w.Pass(6 * time.Second)
			if status, out := c.collect(t, id); status != 200 || out["token_type"] != "DPoP" {
				t.Errorf("with it: %d %v", status, out)
			}
		}},
		{name: "fapi-ciba-id1-ping-with-mtls-ciba-notification-endpoint-response-401-and-require-server-does-not-retry", skip: "what an error means is out of scope (CIBA 10.2); here the client is told again, for ten minutes"},
	}
	for name, reply := range map[string]int{"response-401": 401, "response-403": 403, "return-redirect-request": 302, "response-has-body": 200} {
		list = append(list, row{name: "fapi-ciba-id1-ping-backchannel-notification-endpoint-" + name, check: func(t *testing.T) {
			w, bank := listening(t)
			c := w.bank(t, "ping", bank.URL+"/ping")
			phone := w.registered(t, "grace@example.org", 0)
			id := c.asks(t, nil)
			if err := phone.Approve(t.Context(), pending(t, phone).ID, ""); err != nil {
				t.Fatal(err)
			}
			bank.answers(reply)
			w.drain(t)
			if status, out := c.collects(t, id); status != 200 {
				t.Errorf("whatever the ping was answered with: %d %v", status, out)
			}
		}})
	}
	table(t, list)
}
