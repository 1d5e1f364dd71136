package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
)

// A mirror of the modules of the OpenID Foundation's conformance suite, by their
// names, each doing what its module checks. It is no certification: the suite was
// not run here. The names were compared with the suite's sources (the test plans and
// @PublishTestModule of a mirror, November 2026). Its clients send PKCE throughout,
// which this provider always wants.

// conformance is one of the suite's.
type conformance struct {
	name string
	// skip says why the module has nothing to test here; the suite skips it, too.
	skip  string
	check func(t *testing.T, s *suite)
}

// suite is a relying party as the suite plays it: a confidential client with
// RS256, beside a second one.
type suite struct {
	*world
	party
	second party
}

const confSecret = "conformance-secret-of-many-characters"

func newSuite(t *testing.T) *suite {
	w := newWorld(t)
	return w.suite(t)
}

func (w *world) suite(t *testing.T) *suite {
	s := &suite{world: w, party: w.party(t, "conf", confSecret), second: w.party(t, "conf-2", confSecret)}
	for _, id := range []apps.ClientID{"conf", "conf-2"} {
		w.client(t, apps.Client{ID: id, Name: "Conformance", Kind: apps.Backend, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, PostLogoutURIs: []string{s.back + "/bye", s.back + "/bye?kept=1"}, Alg: "RS256"}}, confSecret)
	}
	w.rest(t).want(t, 200, "PUT /v1/users/"+string(w.ada(t).ID), map[string]any{"custom_data": map[string]any{"name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "address": map[string]any{"locality": "London", "country": "GB"}}})
	w.rest(t).want(t, 201, "POST /v1/users/"+string(w.ada(t).ID)+"/phone-numbers", map[string]any{"value": "+441632960001"})
	return s
}

// signIn is a whole flow with a fresh browser.
func (s *suite) signIn(t *testing.T, more url.Values) (*person, map[string]any) {
	t.Helper()
	p := s.person(t).open(s.request(more)).passes(s.world)
	return p, s.tokens(t, p)
}

// tokens redeems what a browser brought back.
func (s *suite) tokens(t *testing.T, p *person) map[string]any {
	t.Helper()
	q := p.came(s.party)
	if q.Get("state") != "st-1" || q.Get("iss") != s.URL {
		t.Errorf("came back with %v", q)
	}
	status, out := s.redeem(t, q.Get("code"))
	if status != 200 || out["id_token"] == nil {
		t.Fatalf("redeeming: %d %v", status, out)
	}
	s.idToken(t, out["id_token"].(string), out["access_token"].(string))
	return out
}

// idToken checks an identity token against nothing but the published keys.
func (s *suite) idToken(t *testing.T, jwt, access string) map[string]any {
	t.Helper()
	signed, err := jose.ParseSignedCompact(jwt, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	k := &keyring{w: s.world}
	k.fetch(t)
	keys := k.set.Key(signed.Signatures[0].Header.KeyID)
	if len(keys) != 1 {
		t.Fatalf("no key %q is published", signed.Signatures[0].Header.KeyID)
	}
	b, err := signed.Verify(keys[0])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(b, &claims); err != nil {
		t.Fatal(err)
	}
	iat, exp := claims["iat"].(float64), claims["exp"].(float64)
	if now := float64(s.Now().Unix()); claims["iss"] != s.URL || claims["aud"] != "conf" || claims["sub"] == "" || len(claims["sub"].(string)) > 255 || exp <= now || iat > now {
		t.Errorf("identity token: %v", claims)
	}
	if full := challenge(access); claims["at_hash"] == nil || len(claims["at_hash"].(string)) != 22 || !strings.HasPrefix(full, claims["at_hash"].(string)[:20]) {
		t.Errorf("at_hash %v of %s", claims["at_hash"], full)
	}
	return claims
}

// refusedHere is an error page, and no redirect.
func refusedHere(t *testing.T, p *person) {
	t.Helper()
	if p.status != 400 || p.at.Path == "/callback" {
		t.Errorf("%d %s", p.status, p.at)
	}
}

// with is a flow with more parameters, which succeeds.
func with(more url.Values) func(t *testing.T, s *suite) {
	return func(t *testing.T, s *suite) { s.signIn(t, more) }
}

// scoped checks that a scope gives its claims, and the others none.
func scoped(scope string, want ...string) func(t *testing.T, s *suite) {
	return func(t *testing.T, s *suite) {
		_, out := s.signIn(t, url.Values{"scope": {"openid " + scope}})
		status, info := s.userinfo(t, out["access_token"].(string))
		have := []string{}
		for name := range info {
			if name != "sub" {
				have = append(have, name)
			}
		}
		slices.Sort(have)
		slices.Sort(want)
		if status != 200 || !slices.Equal(have, want) {
			t.Errorf("%d %v, want %v", status, have, want)
		}
	}
}

func (s *suite) info(t *testing.T, method, where, access string) (int, map[string]any) {
	t.Helper()
	form := url.Values{}
	if where == "body" {
		form.Set("access_token", access)
	}
	r, err := http.NewRequest(method, s.URL+"/userinfo", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if where == "header" {
		r.Header.Set("Authorization", "Bearer "+access)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		t.Errorf("content type %s", resp.Header.Get("Content-Type"))
	}
	return decoded(t, resp)
}

func userinfoBy(method, where string) func(t *testing.T, s *suite) {
	return func(t *testing.T, s *suite) {
		_, out := s.signIn(t, nil)
		status, info := s.info(t, method, where, out["access_token"].(string))
		if status != 200 || info["sub"] != claimsOf(t, out["id_token"].(string))["sub"] {
			t.Errorf("%d %v", status, info)
		}
	}
}

func authTime(t *testing.T, out map[string]any) float64 {
	t.Helper()
	v, _ := claimsOf(t, out["id_token"].(string))["auth_time"].(float64)
	return v
}

var basicModules = []conformance{
	{name: "oidcc-server", check: func(t *testing.T, s *suite) {
		_, out := s.signIn(t, nil)
		if claimsOf(t, out["id_token"].(string))["nonce"] != "no-1" || out["token_type"] != "Bearer" || out["expires_in"].(float64) <= 0 {
			t.Errorf("tokens: %v", out)
		}
		r, err := http.PostForm(s.URL+"/oidc/token", url.Values{})
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			t.Errorf("headers: %v", r.Header)
		}
	}},
	{name: "oidcc-response-type-missing", check: func(t *testing.T, s *suite) {
		q := s.person(t).open(s.request(url.Values{"response_type": nil})).came(s.party)
		if e := q.Get("error"); e != "unsupported_response_type" && e != "invalid_request" || q.Get("state") != "st-1" {
			t.Errorf("came back with %v", q)
		}
	}},
	{name: "oidcc-idtoken-signature", check: with(nil)}, // idToken does it, for every flow
	{name: "oidcc-idtoken-unsigned", skip: "identity tokens are always signed: none is not in id_token_signing_alg_values_supported"},
	{name: "oidcc-userinfo-get", check: userinfoBy("GET", "header")},
	{name: "oidcc-userinfo-post-header", check: userinfoBy("POST", "header")},
	{name: "oidcc-userinfo-post-body", check: userinfoBy("POST", "body")},
	{name: "oidcc-ensure-request-without-nonce-succeeds-for-code-flow", check: func(t *testing.T, s *suite) {
		if _, out := s.signIn(t, url.Values{"nonce": nil}); claimsOf(t, out["id_token"].(string))["nonce"] != nil {
			t.Error("a nonce from nowhere")
		}
	}},
	{name: "oidcc-scope-profile", check: scoped("profile", "name", "given_name", "family_name", "preferred_username")},
	{name: "oidcc-scope-email", check: scoped("email", "email", "email_verified")},
	{name: "oidcc-scope-address", check: scoped("address", "address")},
	{name: "oidcc-scope-phone", check: scoped("phone", "phone_number", "phone_number_verified")},
	{name: "oidcc-scope-all", check: scoped("profile email address phone", "name", "given_name", "family_name", "preferred_username", "email", "email_verified", "address", "phone_number", "phone_number_verified")},
	{name: "oidcc-alternate-happy-flow", check: func(t *testing.T, s *suite) {
		long := strings.Repeat("-._~Az09 +/=?&%#\"<>", 12)
		p := s.person(t).open(s.request(url.Values{"state": {long}, "nonce": {long}})).passes(s.world)
		if got := p.came(s.party).Get("state"); got != long {
			t.Errorf("state %q", got)
		}
		_, out := s.redeem(t, p.came(s.party).Get("code"))
		if got := claimsOf(t, out["id_token"].(string))["nonce"]; got != long {
			t.Errorf("nonce %q", got)
		}
	}},
	{name: "oidcc-display-page", check: with(url.Values{"display": {"page"}})},
	{name: "oidcc-display-popup", check: with(url.Values{"display": {"popup"}})},
	{name: "oidcc-prompt-login", check: func(t *testing.T, s *suite) {
		p, first := s.signIn(t, nil)
		s.Pass(2 * time.Second)
		second := s.tokens(t, p.open(s.request(url.Values{"prompt": {"login"}})).passes(s.world))
		if authTime(t, second) <= authTime(t, first) || claimsOf(t, second["id_token"].(string))["sub"] != claimsOf(t, first["id_token"].(string))["sub"] {
			t.Errorf("auth_time %v, then %v", authTime(t, first), authTime(t, second))
		}
	}},
	{name: "oidcc-prompt-none-not-logged-in", check: func(t *testing.T, s *suite) {
		q := s.person(t).open(s.request(url.Values{"prompt": {"none"}})).came(s.party)
		if q.Get("error") != "login_required" || q.Get("code") != "" || q.Get("state") != "st-1" {
			t.Errorf("came back with %v", q)
		}
	}},
	{name: "oidcc-prompt-none-logged-in", check: func(t *testing.T, s *suite) {
		p, first := s.signIn(t, nil)
		second := s.tokens(t, p.open(s.request(url.Values{"prompt": {"none"}})))
		if authTime(t, second) != authTime(t, first) {
			t.Error("signed in anew")
		}
	}},
	{name: "oidcc-max-age-1", check: func(t *testing.T, s *suite) {
		p, first := s.signIn(t, nil)
		s.Pass(2 * time.Second)
		second := s.tokens(t, p.open(s.request(url.Values{"max_age": {"1"}})).passes(s.world))
		if authTime(t, second) <= authTime(t, first) || authTime(t, second) < float64(s.Now().Unix()-1) {
			t.Errorf("auth_time %v, then %v", authTime(t, first), authTime(t, second))
		}
	}},
	{name: "oidcc-max-age-10000", check: func(t *testing.T, s *suite) {
		p, first := s.signIn(t, url.Values{"max_age": {"15000"}})
		s.Pass(2 * time.Second)
		second := s.tokens(t, p.open(s.request(url.Values{"max_age": {"10000"}})))
		if authTime(t, first) == 0 || authTime(t, second) != authTime(t, first) {
			t.Errorf("auth_time %v, then %v", authTime(t, first), authTime(t, second))
		}
	}},
	{name: "oidcc-ensure-request-with-unknown-parameter-succeeds", check: with(url.Values{"extra": {"foobar"}})},
	{name: "oidcc-id-token-hint", check: func(t *testing.T, s *suite) {
		p, first := s.signIn(t, nil)
		second := s.tokens(t, p.open(s.request(url.Values{"prompt": {"none"}, "id_token_hint": {first["id_token"].(string)}})))
		if claimsOf(t, second["id_token"].(string))["sub"] != claimsOf(t, first["id_token"].(string))["sub"] {
			t.Error("another subject")
		}
	}},
	{name: "oidcc-login-hint", check: with(url.Values{"login_hint": {"ada@example.org"}})},
	{name: "oidcc-ui-locales", check: with(url.Values{"ui_locales": {"se"}})},
	{name: "oidcc-claims-locales", check: with(url.Values{"claims_locales": {"se"}})},
	{name: "oidcc-ensure-request-with-acr-values-succeeds", check: func(t *testing.T, s *suite) {
		_, out := s.signIn(t, url.Values{"acr_values": {"urn:watchword:aal1 urn:watchword:aal2"}})
		if claimsOf(t, out["id_token"].(string))["acr"] != authn.AAL1 {
			t.Error("no acr that was asked for")
		}
	}},
	{name: "oidcc-codereuse", check: reused(0)},
	{name: "oidcc-codereuse-30seconds", check: reused(30 * time.Second)},
	{name: "oidcc-ensure-registered-redirect-uri", check: func(t *testing.T, s *suite) {
		refusedHere(t, s.person(t).open(s.request(url.Values{"redirect_uri": {s.back + "/other"}})))
	}},
	{name: "oidcc-ensure-post-request-succeeds", check: func(t *testing.T, s *suite) {
		u, err := url.Parse(s.request(nil))
		if err != nil {
			t.Fatal(err)
		}
		p := s.person(t)
		p.read(p.client.PostForm(s.URL+"/authorize", u.Query())).passes(s.world)
		s.tokens(t, p)
	}},
	{name: "oidcc-server-client-secret-post", check: with(nil)}, // all of these post it
	{name: "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", check: func(t *testing.T, s *suite) {
		q := s.person(t).open(s.request(url.Values{"request_uri": {"https://www.certification.openid.net/request.jwt"}})).came(s.party)
		if q.Get("error") != "request_uri_not_supported" || q.Get("state") != "st-1" {
			t.Errorf("came back with %v", q)
		}
	}},
	{name: "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", check: func(t *testing.T, s *suite) {
		q := s.person(t).open(s.request(url.Values{"request": {"eyJhbGciOiJub25lIn0.eyJjbGllbnRfaWQiOiJjb25mIn0."}})).came(s.party)
		if q.Get("error") != "invalid_request_object" && q.Get("error") != "request_not_supported" {
			t.Errorf("came back with %v", q)
		}
	}},
	{name: "oidcc-claims-essential", check: func(t *testing.T, s *suite) {
		_, out := s.signIn(t, url.Values{"scope": {"openid"}, "claims": {`{"userinfo":{"name":{"essential":true}}}`}})
		if _, info := s.userinfo(t, out["access_token"].(string)); info["name"] != "Ada Lovelace" {
			t.Errorf("userinfo: %v", info)
		}
	}},
	{name: "oidcc-ensure-request-object-with-redirect-uri", check: func(t *testing.T, s *suite) {
		key, set := newKey(t)
		s.client(t, apps.Client{ID: "conf-jar", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{s.back}, JWKS: set}}, "")
		c := party{s.world, "conf-jar", "", s.back}
		u, err := url.Parse(c.request(nil))
		if err != nil {
			t.Fatal(err)
		}
		claims := map[string]any{"iss": "conf-jar", "aud": s.URL, "exp": s.Now().Add(time.Minute).Unix(), "nbf": s.Now().Unix(), "iat": s.Now().Unix()}
		for name := range u.Query() {
			claims[name] = u.Query().Get(name)
		}
		jwt := signs(t, key, nil, false, claims)
		p := s.person(t).open(s.URL + "/authorize?" + url.Values{"client_id": {"conf-jar"}, "response_type": {"code"}, "scope": {"openid"}, "redirect_uri": {"https://elsewhere.example/"}, "request": {jwt}}.Encode()).passes(s.world)
		if status, out := c.redeem(t, p.came(c).Get("code")); status != 200 {
			t.Errorf("%d %v", status, out)
		}
		claims["redirect_uri"] = "https://elsewhere.example/"
		refusedHere(t, s.person(t).open(c.request(url.Values{"request": {signs(t, key, nil, false, claims)}})))
	}},
	{name: "oidcc-refresh-token", check: func(t *testing.T, s *suite) {
		_, first := s.signIn(t, nil)
		s.Pass(2 * time.Second)
		status, second := s.refresh(t, first["refresh_token"].(string))
		if status != 200 || second["access_token"] == first["access_token"] {
			t.Fatalf("%d %v", status, second)
		}
		was, is := claimsOf(t, first["id_token"].(string)), s.idToken(t, second["id_token"].(string), second["access_token"].(string))
		for _, name := range []string{"iss", "sub", "aud", "azp", "auth_time"} {
			if was[name] != is[name] {
				t.Errorf("%s %v, then %v", name, was[name], is[name])
			}
		}
		if is["nonce"] != nil && is["nonce"] != was["nonce"] || is["iat"].(float64) <= was["iat"].(float64) {
			t.Errorf("refreshed: %v", is)
		}
		if status, out := s.second.refresh(t, second["refresh_token"].(string)); status != 400 || out["error"] != "invalid_grant" {
			t.Errorf("by the second client: %d %v", status, out)
		}
	}},
	{name: "oidcc-ensure-request-with-valid-pkce-succeeds", check: with(nil)},
}

func reused(after time.Duration) func(t *testing.T, s *suite) {
	return func(t *testing.T, s *suite) {
		p, first := s.signIn(t, nil)
		s.Pass(after)
		if status, out := s.redeem(t, p.came(s.party).Get("code")); status != 400 || out["error"] != "invalid_grant" {
			t.Errorf("again: %d %v", status, out)
		}
		if status, _ := s.userinfo(t, first["access_token"].(string)); status != 401 {
			t.Errorf("the first access token: %d", status)
		}
	}
}

func (w *world) metadata(t *testing.T) map[string]any {
	t.Helper()
	r, err := http.Get(w.URL + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil || r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", r.StatusCode, err)
	}
	return out
}

func has(meta map[string]any, name string, want ...string) bool {
	list := words(meta[name])
	for _, w := range want {
		if !slices.Contains(list, w) {
			return false
		}
	}
	return true
}

var configModules = []conformance{
	{name: "oidcc-discovery-endpoint-verification", check: func(t *testing.T, s *suite) {
		m := s.metadata(t)
		if m["issuer"] != s.URL || !has(m, "response_types_supported", "code") || !has(m, "subject_types_supported", "public") || !has(m, "id_token_signing_alg_values_supported", "RS256", "ES256") ||
			!has(m, "scopes_supported", "openid") || !has(m, "claims_supported", "sub", "iss", "auth_time", "acr", "name", "email") || !has(m, "token_endpoint_auth_methods_supported", "client_secret_basic", "private_key_jwt") ||
			!has(m, "grant_types_supported", "authorization_code") || !has(m, "code_challenge_methods_supported", "S256") || m["request_uri_parameter_supported"] != false || m["claims_parameter_supported"] != true {
			t.Errorf("metadata: %v", m)
		}
		for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint", "revocation_endpoint", "introspection_endpoint", "pushed_authorization_request_endpoint", "backchannel_authentication_endpoint", "device_authorization_endpoint"} {
			if at, _ := m[name].(string); !strings.HasPrefix(at, s.URL+"/") {
				t.Errorf("%s is %v", name, m[name])
			}
		}
		if has(m, "id_token_signing_alg_values_supported", "none") || has(m, "code_challenge_methods_supported", "plain") || has(m, "response_types_supported", "token") || has(m, "grant_types_supported", "password") || has(m, "grant_types_supported", "implicit") {
			t.Errorf("metadata: %v", m)
		}
		k := &keyring{w: s.world}
		if k.fetch(t); len(k.set.Keys) < 2 {
			t.Errorf("%d keys", len(k.set.Keys))
		}
	}},
}

// ends asks to sign out as a browser.
func (s *suite) ends(p *person, q url.Values) *person {
	return p.open(s.URL + "/session/end_session?" + q.Encode())
}

// out checks whether a browser is signed out.
func (s *suite) out(t *testing.T, p *person, want bool) {
	t.Helper()
	q := p.open(s.request(url.Values{"prompt": {"none"}})).came(s.party)
	if got := q.Get("error") == "login_required"; got != want {
		t.Errorf("signed out: %v", q)
	}
}

// confirms presses the button of the page that asks.
func (p *person) confirms(w *world) *person {
	p.t.Helper()
	p.sees("Sign out?")
	return p.read(p.client.PostForm(w.URL+"/session/end_session/confirmed", url.Values{}))
}

// badHint is a sign-out with a hint that is none: refused, and still signed in.
func badHint(change func(hint string) string) func(t *testing.T, s *suite) {
	return func(t *testing.T, s *suite) {
		p, out := s.signIn(t, nil)
		refusedHere(t, s.ends(p, url.Values{"id_token_hint": {change(out["id_token"].(string))}, "post_logout_redirect_uri": {s.back + "/bye"}, "state": {"bye"}}))
		s.out(t, p, false)
	}
}

var logoutModules = []conformance{
	{name: "oidcc-rp-initiated-logout-discovery-endpoint-verification", check: func(t *testing.T, s *suite) {
		if m := s.metadata(t); m["end_session_endpoint"] != s.URL+"/session/end_session" {
			t.Errorf("%v", m["end_session_endpoint"])
		}
	}},
	{name: "oidcc-rp-initiated-logout", check: func(t *testing.T, s *suite) {
		p, out := s.signIn(t, nil)
		s.ends(p, url.Values{"id_token_hint": {out["id_token"].(string)}, "post_logout_redirect_uri": {s.back + "/bye"}, "state": {"bye"}})
		if p.at.Path != "/callback/bye" || p.at.RawQuery != "state=bye" {
			t.Errorf("went to %s", p.at)
		}
		s.out(t, p, true)
	}},
	{name: "oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", check: func(t *testing.T, s *suite) {
		p, out := s.signIn(t, nil)
		refusedHere(t, s.ends(p, url.Values{"id_token_hint": {out["id_token"].(string)}, "post_logout_redirect_uri": {s.back + "/elsewhere"}}))
	}},
	{name: "oidcc-rp-initiated-logout-modified-id-token-hint", check: badHint(func(hint string) string { return hint[:len(hint)-9] + "AAAA" + hint[len(hint)-5:] })},
	{name: "oidcc-rp-initiated-logout-bad-id-token-hint", check: badHint(func(string) string { return "a.bad.hint" })},
	{name: "oidcc-rp-initiated-logout-no-id-token-hint", check: func(t *testing.T, s *suite) {
		p, _ := s.signIn(t, nil)
		s.ends(p, url.Values{"client_id": {"conf"}, "post_logout_redirect_uri": {s.back + "/bye"}, "state": {"bye"}})
		if p.confirms(s.world); p.at.Path != "/callback/bye" || p.at.RawQuery != "state=bye" {
			t.Errorf("went to %s", p.at)
		}
		s.out(t, p, true)
	}},
	{name: "oidcc-rp-initiated-logout-no-params", check: func(t *testing.T, s *suite) {
		p, _ := s.signIn(t, nil)
		s.ends(p, nil).confirms(s.world).sees("Signed out")
		s.out(t, p, true)
	}},
	{name: "oidcc-rp-initiated-logout-no-post-logout-redirect-uri", check: func(t *testing.T, s *suite) {
		p, out := s.signIn(t, nil)
		s.ends(p, url.Values{"id_token_hint": {out["id_token"].(string)}, "state": {"bye"}}).sees("Signed out")
		s.out(t, p, true)
	}},
	{name: "oidcc-rp-initiated-logout-no-state", check: func(t *testing.T, s *suite) {
		p, out := s.signIn(t, nil)
		s.ends(p, url.Values{"id_token_hint": {out["id_token"].(string)}, "post_logout_redirect_uri": {s.back + "/bye"}})
		if p.at.Path != "/callback/bye" || p.at.RawQuery != "" {
			t.Errorf("went to %s", p.at)
		}
		s.out(t, p, true)
	}},
	{name: "oidcc-rp-initiated-logout-only-state", check: func(t *testing.T, s *suite) {
		p, _ := s.signIn(t, nil)
		s.ends(p, url.Values{"state": {"bye"}}).confirms(s.world).sees("Signed out")
		s.out(t, p, true)
	}},
	{name: "oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", check: func(t *testing.T, s *suite) {
		p, out := s.signIn(t, nil)
		refusedHere(t, s.ends(p, url.Values{"id_token_hint": {out["id_token"].(string)}, "post_logout_redirect_uri": {s.back + "/bye?added=1"}}))
		s.ends(p, url.Values{"id_token_hint": {out["id_token"].(string)}, "post_logout_redirect_uri": {s.back + "/bye?kept=1"}, "state": {"bye"}})
		if p.at.RawQuery != "kept=1&state=bye" {
			t.Errorf("went to %s", p.at)
		}
	}},
}

// TestConformance runs the modules of Basic OP, Config OP and RP-initiated logout.
func TestConformance(t *testing.T) {
	s := newSuite(t)
	for _, m := range slices.Concat(basicModules, configModules, logoutModules) {
		t.Run(m.name, func(t *testing.T) {
			if m.skip != "" {
				t.Skip(m.skip)
			}
			m.check(t, s)
		})
	}
}
