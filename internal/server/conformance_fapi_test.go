package server_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/watchword-auth/watchword/internal/apps"
)

func TestConformanceFAPI2(t *testing.T) {
	const name = "fapi2-security-profile-final-"
	code := func(t *testing.T, c signer) string {
		t.Helper()
		return c.w.person(t).open(c.pushed(t, nil)).passes(c.w).came(c.party).Get("code")
	}
	table(t, []row{
		{name: name + "discovery-end-point-verification", check: func(t *testing.T) {
			m := newWorld(t).metadata(t)
			if m["authorization_response_iss_parameter_supported"] != true || m["pushed_authorization_request_endpoint"] == nil || !has(m, "dpop_signing_alg_values_supported", "ES256") || !has(m, "token_endpoint_auth_methods_supported", "private_key_jwt") || !has(m, "code_challenge_methods_supported", "S256") {
				t.Errorf("metadata: %v", m)
			}
		}},
		{name: name + "happy-flow", check: func(t *testing.T) {
			c := fapi2(t)
			p := c.w.person(t).open(c.pushed(t, nil)).passes(c.w)
			if q := p.came(c.party); q.Get("iss") != c.w.URL || q.Get("state") != "st-1" {
				t.Errorf("came back with %v", q)
			}
			status, out := c.redeems(t, p.came(c.party).Get("code"), nil)
			if status != 200 || out["token_type"] != "DPoP" {
				t.Fatalf("%d %v", status, out)
			}
			if status, info := c.send(t, "GET", "/userinfo", "DPoP "+out["access_token"].(string), nil); status != 200 || info["sub"] == nil {
				t.Errorf("userinfo: %d %v", status, info)
			}
		}},
		{name: name + "user-rejects-authentication", check: func(t *testing.T) {
			c := fapi2(t)
			q := c.w.person(t).open(c.pushed(t, nil)).post("cancel", nil).came(c.party)
			if q.Get("error") != "access_denied" || q.Get("iss") != c.w.URL || q.Get("state") != "st-1" {
				t.Errorf("came back with %v", q)
			}
		}},
		{name: name + "ensure-authorization-request-without-state-success", check: func(t *testing.T) {
			c := fapi2(t)
			if q := c.w.person(t).open(c.pushed(t, url.Values{"state": nil})).passes(c.w).came(c.party); q.Get("code") == "" || q.Has("state") {
				t.Errorf("came back with %v", q)
			}
		}},
		{name: name + "ensure-unsigned-authorization-request-without-using-par-fails", check: func(t *testing.T) {
			c := fapi2(t)
			refusedHere(t, c.w.person(t).open(c.request(nil)))
		}},
		{name: name + "par-attempt-reuse-request_uri", check: func(t *testing.T) {
			c := fapi2(t)
			at := c.pushed(t, nil)
			c.w.person(t).open(at).passes(c.w).came(c.party)
			refusedHere(t, c.w.person(t).open(at))
		}},
		{name: name + "par-attempt-to-use-expired-request_uri", check: func(t *testing.T) {
			c := fapi2(t)
			at := c.pushed(t, nil)
			c.w.Pass(10 * time.Minute)
			refusedHere(t, c.w.person(t).open(at))
		}},
		{name: name + "par-attempt-to-use-request_uri-for-different-client", check: func(t *testing.T) {
			c := fapi2(t)
			c.w.signer(t, "fapi2-2", apps.ClientSettings{Profile: apps.FAPI2})
			refusedHere(t, c.w.person(t).open(strings.Replace(c.pushed(t, nil), "client_id=fapi2&", "client_id=fapi2-2&", 1)))
		}},
		{name: name + "par-authorization-request-containing-request_uri-form-param", check: refusedPush(url.Values{"request_uri": {"urn:ietf:params:oauth:request_uri:x"}}, "invalid_request")},
		{name: name + "par-ensure-pkce-required", check: refusedPush(url.Values{"code_challenge": nil, "code_challenge_method": nil}, "invalid_request")},
		{name: name + "par-plain-pkce-rejected", check: refusedPush(url.Values{"code_challenge": {verifier}, "code_challenge_method": {"plain"}}, "invalid_request")},
		{name: name + "ensure-redirect-uri-in-authorization-request", check: refusedPush(url.Values{"redirect_uri": nil}, "invalid_request")},
		{name: name + "ensure-registered-redirect-uri", check: refusedPush(url.Values{"redirect_uri": {"https://elsewhere.example/"}}, "invalid_request")},
		{name: name + "ensure-response-type-code-idtoken-fails", check: refusedPush(url.Values{"response_type": {"code id_token"}}, "unsupported_response_type")},
		{name: name + "ensure-response-type-token-fails", check: refusedPush(url.Values{"response_type": {"token"}}, "unsupported_response_type")},
		{name: name + "plain-fapi-tolerate-unregistered-redirect-uri", check: refusedPush(url.Values{"redirect_uri": {"https://elsewhere.example/"}}, "invalid_request")},
		{name: name + "ensure-authorization-request-without-nonce-success", check: func(t *testing.T) { nonced(t, "") }},
		{name: name + "ensure-authorization-request-with-64-char-nonce-success", check: func(t *testing.T) { nonced(t, strings.Repeat("n", 64)) }},
		{name: name + "ensure-authorization-request-with-long-nonce", check: func(t *testing.T) {
			nonced(t, strings.Repeat("n", 384))
			refusedPush(url.Values{"nonce": {strings.Repeat("n", 1000)}}, "invalid_request")(t)
		}},
		{name: name + "ensure-authorization-request-with-long-state", check: func(t *testing.T) {
			c := fapi2(t)
			state := strings.Repeat("s", 1000)
			if q := c.w.person(t).open(c.pushed(t, url.Values{"state": {state}})).passes(c.w).came(c.party); q.Get("state") != state {
				t.Errorf("a state of %d came back", len(q.Get("state")))
			}
		}},
		{name: name + "ensure-other-scope-order-succeeds", check: func(t *testing.T) {
			c := fapi2(t)
			if status, out := c.redeems(t, c.code(t, url.Values{"scope": {"offline_access email profile openid"}}), nil); status != 200 || out["id_token"] == nil {
				t.Errorf("%d %v", status, out)
			}
		}},
		{name: name + "ensure-different-nonce-inside-and-outside-request-object", check: func(t *testing.T) { outside(t, url.Values{"nonce": {"other"}}) }},
		{name: name + "ensure-different-state-inside-and-outside-request-object", check: func(t *testing.T) { outside(t, url.Values{"state": {"other"}}) }},
		{name: name + "state-only-outside-request-object-not-used", check: func(t *testing.T) {
			c := fapi2(t)
			if q := c.w.person(t).open(c.pushed(t, url.Values{"state": nil}) + "&state=outside").passes(c.w).came(c.party); q.Get("code") == "" || q.Has("state") {
				t.Errorf("came back with %v", q)
			}
		}},
		{name: name + "par-ensure-reused-request-uri-prior-to-auth-completion-succeeds", skip: "a recommendation (5.3.2.2, note 3): what was pushed is spent by the first visit; whoever reloads the sign-in page does not visit the endpoint again"},
		{name: name + "par-without-duplicate-parameters", check: func(t *testing.T) {
			c := fapi2(t)
			at, err := url.Parse(c.pushed(t, nil))
			if err != nil || len(at.Query()) != 2 {
				t.Fatal(at, err)
			}
			c.w.person(t).open(at.String()).passes(c.w).came(c.party)
		}},
		{name: name + "par-attempt-invalid-http-method", check: func(t *testing.T) {
			c := fapi2(t)
			for _, method := range []string{http.MethodGet, http.MethodPut} {
				r, err := http.NewRequest(method, c.w.URL+"/oidc/par", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusMethodNotAllowed {
					t.Errorf("%s: %d", method, resp.StatusCode)
				}
			}
		}},
		{name: name + "check-dpop-proof-nbf-exp", check: func(t *testing.T) {
			c := fapi2(t)
			now := c.w.Now()
			c.more = map[string]any{"nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
			if status, out := c.redeems(t, c.code(t, nil), nil); status != 200 {
				t.Errorf("%d %v", status, out)
			}
		}},
		{name: name + "ensure-dpopproof-with-iat-10seconds-before-succeeds", check: func(t *testing.T) { proofAt(t, -10*time.Second) }},
		{name: name + "ensure-dpopproof-with-iat-10seconds-after-succeeds", check: func(t *testing.T) { proofAt(t, 10*time.Second) }},
		{name: name + "ensure-mismatched-dpop-jkt-fails", check: func(t *testing.T) {
			c := fapi2(t)
			other, _ := newKey(t)
			status, out := c.post(t, "/oidc/par", c.form(url.Values{"dpop_jkt": {thumbprint(t, &other.PublicKey)}}))
			wants(t, status, out, "invalid_request", "invalid_dpop_proof")
		}},
		{name: name + "ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt", check: func(t *testing.T) {
			c := fapi2(t)
			one := c.code(t, nil)
			c.dpop, _ = newKey(t)
			status, out := c.redeems(t, one, nil)
			wants(t, status, out, "invalid_request", "invalid_grant", "invalid_dpop_proof")
		}},
		{name: name + "ensure-token-endpoint-fails-with-mismatched-dpop-jkt", check: func(t *testing.T) {
			c := fapi2(t)
			other, _ := newKey(t)
			bare := c
			bare.dpop = nil
			status, out := c.redeems(t, bare.code(t, url.Values{"dpop_jkt": {thumbprint(t, &other.PublicKey)}}), nil)
			wants(t, status, out, "invalid_request", "invalid_grant", "invalid_dpop_proof")
		}},
		{name: name + "ensure-dpopproof-at-par-endpoint-binding-success", check: func(t *testing.T) {
			c := fapi2(t)
			if status, out := c.redeems(t, c.code(t, nil), nil); status != 200 {
				t.Errorf("%d %v", status, out)
			}
		}},
		{name: name + "ensure-dpop-auth-code-binding-success", check: func(t *testing.T) {
			c := fapi2(t)
			bare := c
			bare.dpop = nil
			if status, out := c.redeems(t, bare.code(t, url.Values{"dpop_jkt": {thumbprint(t, &c.dpop.PublicKey)}}), nil); status != 200 {
				t.Errorf("%d %v", status, out)
			}
		}},
		{name: name + "ensure-pkce-code-verifier-required", check: func(t *testing.T) {
			c := fapi2(t)
			status, out := c.redeems(t, code(t, c), url.Values{"code_verifier": nil})
			wants(t, status, out, "invalid_grant")
		}},
		{name: name + "incorrect-pkce-code-verifier-rejected", check: func(t *testing.T) {
			c := fapi2(t)
			status, out := c.redeems(t, code(t, c), url.Values{"code_verifier": {strings.Repeat("x", 64)}})
			wants(t, status, out, "invalid_grant")
		}},
		{name: name + "ensure-authorization-code-is-bound-to-client", check: func(t *testing.T) {
			c := fapi2(t)
			other := c.w.signer(t, "fapi2-2", apps.ClientSettings{Profile: apps.FAPI2})
			other.dpop, other.back = c.dpop, c.back
			status, out := other.redeems(t, code(t, c), nil)
			wants(t, status, out, "invalid_grant")
		}},
		{name: name + "attempt-reuse-authorization-code-after-one-second", check: func(t *testing.T) {
			c := fapi2(t)
			one := code(t, c)
			_, tokens := c.redeems(t, one, nil)
			c.w.Pass(time.Second)
			status, out := c.redeems(t, one, nil)
			wants(t, status, out, "invalid_grant")
			if status, _ := c.send(t, "GET", "/userinfo", "DPoP "+tokens["access_token"].(string), nil); status != 401 {
				t.Errorf("the first access token: %d", status)
			}
		}},
		{name: name + "ensure-token-endpoint-fails-with-expired-auth-code", check: func(t *testing.T) {
			c := fapi2(t)
			one := code(t, c)
			c.w.Pass(time.Minute)
			status, out := c.redeems(t, one, nil)
			wants(t, status, out, "invalid_grant")
		}},
		{name: name + "refresh-token", check: func(t *testing.T) {
			c := fapi2(t)
			_, out := c.redeems(t, code(t, c), nil)
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {out["refresh_token"].(string)}}
			thief := c
			thief.dpop, _ = newKey(t)
			status, refused := thief.post(t, "/oidc/token", form)
			wants(t, status, refused, "invalid_grant")
			if status, out := c.post(t, "/oidc/token", form); status != 200 {
				t.Errorf("%d %v", status, out)
			}
		}},
		{name: name + "ensure-holder-of-key-required", check: func(t *testing.T) {
			c := fapi2(t)
			one := code(t, c)
			bare := c
			bare.dpop = nil
			status, out := bare.redeems(t, one, nil)
			wants(t, status, out, "invalid_dpop_proof")
		}},
		{name: name + "dpop-negative-tests", skip: "TestDPoP: wrong key, address, method, time, hash and reuse"},
		{name: name + "access-token-type-header-case-sensitivity", check: func(t *testing.T) {
			c := fapi2(t)
			_, out := c.redeems(t, code(t, c), nil)
			for _, scheme := range []string{"DPoP", "dpop", "DPOP"} {
				if status, _ := c.send(t, "GET", "/userinfo", scheme+" "+out["access_token"].(string), nil); status != 200 {
					t.Errorf("%s: %d", scheme, status)
				}
			}
		}},
		{name: name + "par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted", check: func(t *testing.T) {
			c := fapi2(t)
			soon := c.w.Now().Add(8 * time.Second).Unix()
			form := c.form(nil)
			form.Set("client_assertion", signs(t, c.key, nil, false, c.claims(map[string]any{"sub": c.id, "nbf": soon, "iat": soon})))
			if status, out := c.post(t, "/oidc/par", form); status != 201 {
				t.Errorf("%d %v", status, out)
			}
		}},
		{name: name + "ensure-client-assertion-with-wrong-aud-fails", check: func(t *testing.T) {
			c := fapi2(t)
			form := c.form(nil)
			form.Set("client_assertion", signs(t, c.key, nil, false, c.claims(map[string]any{"sub": c.id, "aud": "https://elsewhere.example"})))
			status, out := c.post(t, "/oidc/par", form)
			wants(t, status, out, "invalid_client")
		}},
		{name: name + "ensure-client-assertion-in-token-endpoint", check: func(t *testing.T) {
			c := fapi2(t)
			status, out := c.send(t, "POST", "/oidc/token", "", url.Values{"client_id": {c.id}, "grant_type": {"authorization_code"}, "code": {c.code(t, nil)}, "redirect_uri": {c.back}, "code_verifier": {verifier}})
			wants(t, status, out, "invalid_client")
		}},
		{name: name + "ensure-client-id-in-token-endpoint", check: func(t *testing.T) { // the other client's name, our key
			c := fapi2(t)
			c.w.signer(t, "fapi2-2", apps.ClientSettings{Profile: apps.FAPI2})
			status, out := c.redeems(t, c.code(t, nil), url.Values{"client_id": {"fapi2-2"}, "client_assertion": {signs(t, c.key, nil, false, c.claims(map[string]any{"iss": "fapi2-2", "sub": "fapi2-2"}))}})
			wants(t, status, out, "invalid_client")
		}},
		{name: name + "ensure-client-assertion-with-exp-is-5-minutes-in-past-fails", check: func(t *testing.T) {
			c := fapi2(t)
			status, out := c.asserted(t, map[string]any{"exp": c.w.Now().Add(-5 * time.Minute).Unix()})
			wants(t, status, out, "invalid_client")
		}},
		{name: name + "ensure-client-assertion-with-no-sub-fails", check: func(t *testing.T) {
			c := fapi2(t)
			status, out := c.asserted(t, map[string]any{"sub": nil})
			wants(t, status, out, "invalid_client")
		}},
		{name: name + "par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails", check: func(t *testing.T) {
			c := fapi2(t)
			late := c.w.Now().Add(65 * time.Second).Unix()
			status, out := c.asserted(t, map[string]any{"nbf": late, "iat": late})
			wants(t, status, out, "invalid_client")
		}},
		{name: name + "par-test-array-as-audience-fails", check: audience([]string{"/"})},
		{name: name + "par-test-par-endpoint-url-as-audience-fails", check: audience("/oidc/par")},
		{name: name + "par-test-token-endpoint-url-as-audience-fails", check: audience("/oidc/token")},
		{name: name + "ensure-invalid-client-assertions-fail", check: func(t *testing.T) {
			c := fapi2(t)
			other, _ := newKey(t)
			good := signs(t, c.key, nil, false, c.claims(map[string]any{"sub": c.id}))
			_, rest, _ := strings.Cut(good, ".")
			for what, jwt := range map[string]string{
				"another key": signs(t, other, nil, false, c.claims(map[string]any{"sub": c.id})), "no signature": "eyJhbGciOiJub25lIn0." + strings.Split(rest, ".")[0] + ".", "half a signature": good[:len(good)-20],
				"a key of its own": signs(t, other, nil, true, c.claims(map[string]any{"sub": c.id})), "another issuer": signs(t, c.key, nil, false, c.claims(map[string]any{"sub": c.id, "iss": "demo-web"})),
				"no id": signs(t, c.key, nil, false, c.claims(map[string]any{"sub": c.id, "jti": nil})), "no end": signs(t, c.key, nil, false, c.claims(map[string]any{"sub": c.id, "exp": nil})),
			} {
				form := c.form(nil)
				form.Set("client_assertion", jwt)
				status, out := c.post(t, "/oidc/par", form)
				if status != 401 || out["error"] != "invalid_client" {
					t.Errorf("%s: %d %v", what, status, out)
				}
			}
		}},
		{name: name + "ensure-signed-client-assertion-with-RS256-fails", check: func(t *testing.T) {
			c := fapi2(t)
			form := c.form(nil)
			form.Set("client_assertion", signsBy(t, jose.RS256, c.weakened(t), nil, false, c.claims(map[string]any{"sub": c.id})))
			status, out := c.post(t, "/oidc/par", form)
			wants(t, status, out, "invalid_client")
		}},
		{name: name + "test-claims-parameter-identity-claims", check: func(t *testing.T) {
			c := fapi2(t)
			c.w.suite(t) // ada has them all
			names := `"name":null,"given_name":{"essential":true},"email":{"essential":false},"phone_number":{"value":"x"},"address":null,"` + rand.Text() + `":{"essential":true}`
			status, out := c.redeems(t, c.code(t, url.Values{"scope": {"openid"}, "claims": {`{"id_token":{` + names + `},"userinfo":{` + names + `}}`}}), nil)
			if status != 200 {
				t.Fatalf("%d %v", status, out)
			}
			_, info := c.send(t, "GET", "/userinfo", "DPoP "+out["access_token"].(string), nil)
			for what, doc := range map[string]map[string]any{"identity token": claimsOf(t, out["id_token"].(string)), "userinfo": info} {
				for _, name := range []string{"name", "given_name", "email", "phone_number", "address"} {
					if doc[name] == nil {
						t.Errorf("%s has no %s", what, name)
					}
				}
			}
		}},
	})
}
