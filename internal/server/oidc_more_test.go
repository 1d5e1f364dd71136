package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
)

// signs makes a JWT by a client's key.
func signs(t testing.TB, key *ecdsa.PrivateKey, header map[jose.HeaderKey]any, embed bool, claims map[string]any) string {
	t.Helper()
	return signsBy(t, jose.ES256, key, header, embed, claims)
}

// signsBy is signs by another algorithm.
func signsBy(t testing.TB, alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any, embed bool, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, &jose.SignerOptions{EmbedJWK: embed, ExtraHeaders: header})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := o.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func newKey(t testing.TB) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return key, string(set)
}

// TestClientAssertions: a key in the place of a secret, for this server, in its
// time, once on every node (R11).
func TestClientAssertions(t *testing.T) {
	w := newWorld(t)
	key, set := newKey(t)
	other, _ := newKey(t)
	w.client(t, apps.Client{ID: "signer", Kind: apps.Web, Settings: apps.ClientSettings{Auth: "private_key_jwt", JWKS: set, Grants: []string{apps.GrantClient}}}, "")
	c := w.party(t, "signer", "")
	ask := func(assertion string) (int, map[string]any) {
		return c.token(t, url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion}})
	}
	claims := func(more map[string]any) map[string]any {
		out := map[string]any{"iss": "signer", "sub": "signer", "aud": w.URL, "jti": rand.Text(), "iat": w.Now().Unix(), "exp": w.Now().Add(time.Minute).Unix()}
		for k, v := range more {
			if out[k] = v; v == nil {
				delete(out, k)
			}
		}
		return out
	}
	good := signs(t, key, nil, false, claims(nil))
	var ok int
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if status, _ := ask(good); status == 200 {
				mu.Lock()
				ok++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if ok != 1 {
		t.Errorf("%d of 16 used one assertion", ok)
	}
	for what, jwt := range map[string]string{
		"another key":       signs(t, other, nil, false, claims(nil)),
		"its own key":       signs(t, other, nil, true, claims(nil)),
		"another audience":  signs(t, key, nil, false, claims(map[string]any{"aud": "https://evil.example"})),
		"no audience":       signs(t, key, nil, false, claims(map[string]any{"aud": nil})),
		"an empty audience": signs(t, key, nil, false, claims(map[string]any{"aud": []string{}})),
		"another issuer":    signs(t, key, nil, false, claims(map[string]any{"iss": "demo-backend"})),
		"another subject":   signs(t, key, nil, false, claims(map[string]any{"sub": "demo-backend"})),
		"run out":           signs(t, key, nil, false, claims(map[string]any{"exp": w.Now().Unix()})),
		"for an hour":       signs(t, key, nil, false, claims(map[string]any{"exp": w.Now().Add(time.Hour).Unix()})),
		"without an end":    signs(t, key, nil, false, claims(map[string]any{"exp": nil})),
		"without a name":    signs(t, key, nil, false, claims(map[string]any{"jti": nil})),
		"from the future":   signs(t, key, nil, false, claims(map[string]any{"iat": w.Now().Add(5 * time.Minute).Unix()})),
		"a strange header":  signs(t, key, map[jose.HeaderKey]any{"jku": "https://evil.example"}, false, claims(nil)),
		"unsigned":          "eyJhbGciOiJub25lIn0.eyJpc3MiOiJzaWduZXIifQ.",
		"no JWT":            strings.Repeat(".", 100_000)[:60_000],
	} {
		if status, out := ask(jwt); status != 401 || out["error"] != "invalid_client" {
			t.Errorf("%s: %d %v", what, status, out)
		}
	}
	if status, _ := c.token(t, url.Values{"grant_type": {"client_credentials"}}); status != 401 {
		t.Errorf("without any: %d", status)
	}
}

// TestDPoP: a token is good with the key it was made for, a proof once and for its
// own request.
func TestDPoP(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	key, _ := newKey(t)
	other, _ := newKey(t)
	proof := func(k *ecdsa.PrivateKey, method, path string, more map[string]any) string {
		claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": w.URL + path, "iat": w.Now().Unix()}
		for n, v := range more {
			claims[n] = v
		}
		return signs(t, k, map[jose.HeaderKey]any{"typ": "dpop+jwt"}, true, claims)
	}
	send := func(method, path, authorization string, form url.Values, proofs ...string) (int, map[string]any) {
		r, err := http.NewRequest(method, w.URL+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		for _, p := range proofs {
			r.Header.Add("DPoP", p)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return decoded(t, resp)
	}
	p := w.person(t).open(c.request(nil)).passes(w)
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {c.id}, "code": {p.came(c).Get("code")}, "redirect_uri": {c.back}, "code_verifier": {verifier}}
	once := proof(key, "POST", "/oidc/token", nil)
	status, tokens := send("POST", "/oidc/token", "", form, once)
	if status != 200 || tokens["token_type"] != "DPoP" {
		t.Fatalf("%d %v", status, tokens)
	}
	refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {c.id}, "refresh_token": {tokens["refresh_token"].(string)}}
	port := strings.TrimPrefix(w.URL, "http://127.0.0.1")
	for htu, want := range map[string]int{
		w.URL + "/userinfo?a=1#b": 200, "HTTP://127.0.0.1" + port + "/userinfo": 200, w.URL + "/userinfo?": 200,
		w.URL + "/userinfo/": 401, "http://127.0.0.1/userinfo": 401, "http://127.0.0.1:80/userinfo": 401, "https://127.0.0.1" + port + "/userinfo": 401, "http://x@127.0.0.1" + port + "/userinfo": 401,
		"http://127.0.0.1.evil.example" + port + "/userinfo": 401, w.URL + "/USERINFO": 401, w.URL: 401, "/userinfo": 401, "": 401, "http:": 401,
	} {
		access := tokens["access_token"].(string)
		if status, _ := send("GET", "/userinfo", "DPoP "+access, nil, proof(key, "GET", "/userinfo", map[string]any{"htu": htu, "ath": challenge(access)})); status != want {
			t.Errorf("for %q: %d", htu, status)
		}
	}
	for what, header := range map[string]map[jose.HeaderKey]any{"more in the header": {"tx_id": 7}, "where its key is": {"jku": "https://evil.example"}, "a certificate": {"x5c": []string{"x"}}} {
		header["typ"] = "dpop+jwt"
		access := tokens["access_token"].(string)
		claims := map[string]any{"jti": rand.Text(), "htm": "GET", "htu": w.URL + "/userinfo", "iat": w.Now().Unix(), "ath": challenge(access), "more": true}
		if status, _ := send("GET", "/userinfo", "DPoP "+access, nil, signs(t, key, header, true, claims)); (status == 200) != (what == "more in the header") {
			t.Errorf("%s: %d", what, status)
		}
	}
	for what, list := range map[string][]string{
		"a proof that was used": {once}, "another key": {proof(other, "POST", "/oidc/token", nil)}, "another address": {proof(key, "POST", "/userinfo", nil)}, "another method": {proof(key, "GET", "/oidc/token", nil)},
		"an old one": {proof(key, "POST", "/oidc/token", map[string]any{"iat": w.Now().Add(-2 * time.Minute).Unix()})}, "two": {proof(key, "POST", "/oidc/token", nil), proof(key, "POST", "/oidc/token", nil)}, "none": nil,
	} {
		if status, out := send("POST", "/oidc/token", "", refresh, list...); status != 400 {
			t.Errorf("%s: %d %v", what, status, out)
		}
	}
	access := tokens["access_token"].(string)
	ath := challenge(access) // the same function: base64url(SHA-256)
	if status, out := send("GET", "/userinfo", "DPoP "+access, nil, proof(key, "GET", "/userinfo", map[string]any{"ath": ath})); status != 200 {
		t.Errorf("with its key: %d %v", status, out)
	}
	for what, try := range map[string]func() int{
		"as a bearer": func() int { s, _ := send("GET", "/userinfo", "Bearer "+access, nil); return s },
		"another key": func() int {
			s, _ := send("GET", "/userinfo", "DPoP "+access, nil, proof(other, "GET", "/userinfo", map[string]any{"ath": ath}))
			return s
		},
		"no hash": func() int {
			s, _ := send("GET", "/userinfo", "DPoP "+access, nil, proof(key, "GET", "/userinfo", nil))
			return s
		},
		"another token": func() int {
			s, _ := send("GET", "/userinfo", "DPoP "+access, nil, proof(key, "GET", "/userinfo", map[string]any{"ath": challenge("x")}))
			return s
		},
	} {
		if status := try(); status != 401 {
			t.Errorf("%s: %d", what, status)
		}
	}
}

// TestPushedRequests: what was pushed is used once, by its own client, in its time.
func TestPushedRequests(t *testing.T) {
	w := newWorld(t)
	w.client(t, apps.Client{ID: "bank", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, PAR: true}}, "")
	c := w.party(t, "bank", "")
	form := func() url.Values {
		u, _ := url.Parse(c.request(nil))
		return u.Query()
	}
	push := func() string {
		status, out := c.post(t, "/oidc/par", form())
		if status != 201 {
			t.Fatalf("pushing: %d %v", status, out)
		}
		return out["request_uri"].(string)
	}
	at := func(id, uri string) string {
		return w.URL + "/authorize?" + url.Values{"client_id": {id}, "request_uri": {uri}}.Encode()
	}
	uri := push()
	if p := w.person(t).open(at("demo-web", uri)); p.status != 400 {
		t.Errorf("another client's: %d", p.status)
	}
	w.person(t).open(at("bank", uri)).passes(w).came(c)
	if p := w.person(t).open(at("bank", uri)); p.status != 400 {
		t.Errorf("again: %d", p.status)
	}
	uri = push()
	w.Pass(2 * time.Minute)
	if p := w.person(t).open(at("bank", uri)); p.status != 400 {
		t.Errorf("too late: %d", p.status)
	}
	if p := w.person(t).open(c.request(nil)); p.status != 400 {
		t.Errorf("not pushed: %d", p.status)
	}
	for _, uri := range []string{"https://evil.example/request", "http://127.0.0.1/", "urn:ietf:params:oauth:request_uri:wwq_x"} {
		if p := w.person(t).open(at("bank", uri)); p.status != 400 {
			t.Errorf("%s: %d", uri, p.status)
		}
	}
}

// TestCIBA: the phone is shown what is approved, the client gets tokens once and
// hears to slow down, and nothing is handed out for somebody who was locked
// meanwhile (R25).
func TestCIBA(t *testing.T) {
	w := newWorld(t)
	const secret = "a-secret-of-more-than-twenty-characters"
	w.client(t, apps.Client{ID: "bank", Name: "Bank", Kind: apps.Backend, Settings: apps.ClientSettings{Grants: []string{apps.GrantCIBA, apps.GrantRefresh}, DetailTypes: []string{"payment"}}}, secret)
	c := w.party(t, "bank", secret)
	phone := w.registered(t, "grace@example.org", 0)
	begin := func() string {
		t.Helper()
		status, out := c.post(t, "/oidc/bc-authorize", url.Values{"scope": {"openid"}, "login_hint": {"grace@example.org"}, "binding_message": {"Order 4711"}})
		if status != 200 || out["interval"] != 5.0 {
			t.Fatalf("asking: %d %v", status, out)
		}
		return out["auth_req_id"].(string)
	}
	poll := func(id string) (int, map[string]any) {
		t.Helper()
		w.Pass(20 * time.Second)
		return c.token(t, url.Values{"grant_type": {apps.GrantCIBA}, "auth_req_id": {id}})
	}
	approve := func() {
		t.Helper()
		r := pending(t, phone)
		if r.ApprovalData["message"] != "Order 4711" {
			t.Errorf("the phone shows %v", r.ApprovalData)
		}
		if err := phone.Approve(t.Context(), r.ID, ""); err != nil {
			t.Fatal(err)
		}
	}
	id := begin()
	if status, out := poll(id); status != 400 || out["error"] != "authorization_pending" {
		t.Errorf("before: %d %v", status, out)
	}
	if status, out := c.token(t, url.Values{"grant_type": {apps.GrantCIBA}, "auth_req_id": {id}}); status != 400 || out["error"] != "slow_down" {
		t.Errorf("too fast: %d %v", status, out)
	}
	approve()
	w.Pass(6 * time.Second)
	status, tokens := poll(id)
	if status != 200 || tokens["approval_receipt"] == nil || claimsOf(t, tokens["id_token"].(string))["acr"] != authn.AAL2 {
		t.Fatalf("approved: %d %v", status, tokens)
	}
	if status, out := poll(id); status != 400 || out["error"] != "invalid_grant" {
		t.Errorf("again: %d %v", status, out)
	}
	id = begin()
	if err := phone.Deny(t.Context(), pending(t, phone).ID, false); err != nil {
		t.Fatal(err)
	}
	if status, out := poll(id); status != 400 || out["error"] != "access_denied" {
		t.Errorf("denied: %d %v", status, out)
	}
	id = begin()
	approve()
	u, err := directory.Lookup(t.Context(), w.Kit.DB, "default", "grace@example.org")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Kit.DB.Move(t.Context(), func(tx *db.Tx) error {
		return directory.SetStatus(t.Context(), tx, "default", u.ID, directory.Suspended)
	}); err != nil {
		t.Fatal(err)
	}
	if status, out := poll(id); status != 400 || out["error"] != "access_denied" {
		t.Errorf("locked after the approval: %d %v", status, out)
	}
	for what, form := range map[string]url.Values{
		"unknown_user_id":               {"scope": {"openid"}, "login_hint": {"nobody@example.org"}},
		"invalid_request":               {"scope": {"openid"}},
		"invalid_scope":                 {"scope": {"email"}, "login_hint": {"ada@example.org"}},
		"invalid_binding_message":       {"scope": {"openid"}, "login_hint": {"ada@example.org"}, "binding_message": {"<b>"}},
		"invalid_authorization_details": {"scope": {"openid"}, "login_hint": {"ada@example.org"}, "authorization_details": {`[{"type":"other"}]`}},
		"invalid_user_code":             {"scope": {"openid"}, "login_hint": {"ada@example.org"}, "user_code": {"1234"}},
		"access_denied":                 {"scope": {"openid"}, "login_hint": {"ada@example.org"}},
	} {
		if status, out := c.post(t, "/oidc/bc-authorize", form); status != 400 || out["error"] != what {
			t.Errorf("%s: %d %v", what, status, out)
		}
	}
}

// TestLogout: signing out ends the session, and what it granted for as long as it
// lasts; the browser goes to an address of the client's only.
func TestLogout(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	p := w.person(t).open(c.request(url.Values{"scope": {"openid"}})).passes(w)
	_, tokens := c.redeem(t, p.came(c).Get("code"))
	end := func(q url.Values) *person { return p.open(w.URL + "/session/end_session?" + q.Encode()) }
	if end(url.Values{"id_token_hint": {tokens["id_token"].(string)}, "post_logout_redirect_uri": {"https://evil.example/"}}); p.status != 400 {
		t.Errorf("to another site: %d", p.status)
	}
	if status, _ := c.userinfo(t, tokens["access_token"].(string)); status != 200 {
		t.Errorf("still signed in: %d", status)
	}
	end(nil).sees("Sign out?")
	q := end(url.Values{"id_token_hint": {tokens["id_token"].(string)}, "post_logout_redirect_uri": {c.back}, "state": {"bye"}}).came(c)
	if q.Get("state") != "bye" {
		t.Errorf("came back with %v", q)
	}
	if status, _ := c.userinfo(t, tokens["access_token"].(string)); status != 401 {
		t.Errorf("after signing out: %d", status)
	}
	if q := p.open(c.request(url.Values{"prompt": {"none"}})).came(c); q.Get("error") != "login_required" {
		t.Errorf("the session: %v", q)
	}
}

// TestNewPassword: whoever got in by the old password is out, with everything that
// was granted to them, also what was to outlive the session (R50).
func TestNewPassword(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	p := w.person(t).open(c.request(nil)).passes(w)
	_, tokens := c.redeem(t, p.came(c).Get("code"))
	waiting := p.open(c.request(nil)).came(c).Get("code")
	back := w.rest(t)
	u := back.want(t, 200, "GET /v1/users/identifier?identifier_name=email&identifier_value=ada@example.org", nil)
	back.want(t, 201, "PUT /v1/users/"+u["user_id"].(string)+"/password", map[string]any{"password": "wide-badger-under-7-bridges", "force_replace": false})
	if status, _ := c.refresh(t, tokens["refresh_token"].(string)); status != 400 {
		t.Errorf("refresh: %d", status)
	}
	if status, _ := c.userinfo(t, tokens["access_token"].(string)); status != 401 {
		t.Errorf("userinfo: %d", status)
	}
	if status, _ := c.redeem(t, waiting); status != 400 {
		t.Errorf("a code: %d", status)
	}
}

// TestTakenFromAClient: what a client may no longer ask for is in none of its new
// tokens, however long ago it was granted (R50).
func TestTakenFromAClient(t *testing.T) {
	w := newWorld(t)
	const api = "https://api.example/"
	settings := apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, Scopes: []string{"openid", "email", "phone", "offline_access"}, Resources: []string{api}}
	w.client(t, apps.Client{ID: "guest", Kind: apps.Web, Settings: settings}, "")
	c := w.party(t, "guest", "")
	p := w.person(t)
	signIn := func(more url.Values) string {
		more.Set("scope", "openid email phone offline_access")
		p.open(c.request(more))
		if p.at.Path != "/callback" {
			p.passes(w)
		}
		_, tokens := c.redeem(t, p.came(c).Get("code"))
		return tokens["refresh_token"].(string)
	}
	plain, bound := signIn(url.Values{}), signIn(url.Values{"resource": {api}})
	settings.Scopes, settings.Resources = []string{"openid", "email", "offline_access"}, nil
	w.client(t, apps.Client{ID: "guest", Kind: apps.Web, Settings: settings}, "")
	status, out := c.refresh(t, plain)
	if status != 200 || out["scope"] != "openid email offline_access" {
		t.Fatalf("%d %v", status, out)
	}
	if _, info := c.userinfo(t, out["access_token"].(string)); info["phone_number"] != nil {
		t.Errorf("it still reads %v", info)
	}
	if status, out := c.refresh(t, bound); status != 400 || out["error"] != "invalid_target" {
		t.Errorf("for a resource that was taken away: %d %v", status, out)
	}
}

// TestResources: no way to a token leads to an audience that the client was not
// given, least of all to this server's own API (RFC 8707).
func TestResources(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	p := w.person(t).open(c.request(nil)).passes(w)
	_, tokens := c.redeem(t, p.came(c).Get("code"))
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}}
	for _, resource := range []string{w.URL, "https://api.example/"} {
		refresh.Set("resource", resource)
		if status, out := c.token(t, refresh); status != 400 || out["error"] != "invalid_target" {
			t.Errorf("by refreshing: %d %v", status, out)
		}
		code := p.open(c.request(nil)).came(c).Get("code")
		if status, out := c.token(t, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.back}, "code_verifier": {verifier}, "resource": {resource}}); status != 400 || out["error"] != "invalid_target" {
			t.Errorf("by a code: %d %v", status, out)
		}
		if q := p.open(c.request(url.Values{"resource": {resource}})).came(c); q.Get("error") != "invalid_target" {
			t.Errorf("by a request: %v", q)
		}
	}
	if status, _ := (rest{w, tokens["access_token"].(string)}).do(t, "GET /v1/users/me", nil); status != 401 {
		t.Errorf("a relying party's token opens the API: %d", status)
	}
}
