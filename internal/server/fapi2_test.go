package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/server"
)

// The rules of the FAPI 2.0 Security Profile (final) for authorization servers, by
// their numbers, each tried on a client of the profile fapi2.

// saved says what becomes of a client of the demo application with these settings.
func (w *world) saved(t testing.TB, kind apps.Kind, s apps.ClientSettings) error {
	t.Helper()
	return w.Kit.DB.Move(t.Context(), func(tx *db.Tx) error {
		return apps.SaveClient(t.Context(), tx, apps.Client{ID: "tried", App: "demo", Name: "Tried", Kind: kind, Settings: s})
	})
}

// code signs ada in for a client of the profile.
func (c signer) code(t testing.TB, more url.Values) string {
	t.Helper()
	status, out := c.post(t, "/oidc/par", c.form(more))
	if status != 201 {
		t.Fatalf("pushing: %d %v", status, out)
	}
	at := c.w.URL + "/authorize?" + url.Values{"client_id": {c.id}, "request_uri": {out["request_uri"].(string)}}.Encode()
	return c.w.person(t).open(at).passes(c.w).came(c.party).Get("code")
}

// asserted pushes a request with an assertion of these claims.
func (c signer) asserted(t testing.TB, more map[string]any) (int, map[string]any) {
	t.Helper()
	form := c.form(nil)
	claims := c.claims(map[string]any{"sub": c.id})
	for name, v := range more {
		claims[name] = v
	}
	form.Set("client_assertion", signs(t, c.key, nil, false, claims))
	return c.post(t, "/oidc/par", form)
}

func TestFAPI2(t *testing.T) {
	table(t, []row{
		{name: "5.3.2.1-2 no password grant", check: func(t *testing.T) {
			c := fapi2(t)
			status, out := c.post(t, "/oidc/token", url.Values{"grant_type": {"password"}, "username": {"ada@example.org"}, "password": {c.w.Dev.Facts.User.Password}})
			wants(t, status, out, "unsupported_grant_type")
		}},
		{name: "5.3.2.1-3 confidential clients only", check: func(t *testing.T) {
			w := newWorld(t)
			_, set := newKey(t)
			for what, s := range map[string]apps.ClientSettings{
				"public": {}, "a secret": {Auth: "client_secret"}, "of the cidaas SDKs": {Auth: "private_key_jwt", JWKS: set, Cidaas: true}, "unknown": {Auth: "private_key_jwt", JWKS: set, Profile: "fapi3"},
				"pushed tokens":    {Auth: "private_key_jwt", JWKS: set, Grants: []string{apps.GrantCIBA}, CIBA: "push", Notification: "https://bank.example/told"},
				"exchanged tokens": {Auth: "private_key_jwt", JWKS: set, Grants: []string{apps.GrantExchange}},
			} {
				if s.Profile == "" {
					s.Profile = apps.FAPI2
				}
				if err := w.saved(t, apps.Backend, s); !fault.Is(err, fault.Invalid) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if err := w.saved(t, apps.Backend, apps.ClientSettings{Profile: apps.FAPI2, Auth: "private_key_jwt", JWKS: set}); err != nil {
				t.Error(err)
			}
		}},
		{name: "5.3.2.1-4 sender-constrained tokens only", check: func(t *testing.T) {
			c := fapi2(t)
			bare := c
			bare.dpop = nil
			one := c.code(t, nil)
			status, out := bare.redeems(t, one, nil)
			wants(t, status, out, "invalid_dpop_proof")
			status, out = c.redeems(t, one, nil) // nothing was spent
			if status != 200 || out["token_type"] != "DPoP" || claimsOf(t, out["access_token"].(string))["cnf"] == nil {
				t.Fatalf("%d %v", status, out)
			}
			status, out = bare.post(t, "/oidc/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {out["refresh_token"].(string)}})
			wants(t, status, out, "invalid_grant")
			status, out = bare.post(t, "/oidc/token", url.Values{"grant_type": {"client_credentials"}})
			wants(t, status, out, "invalid_dpop_proof", "unauthorized_client")
		}},
		{name: "5.3.2.1-5 bound by a certificate, 5.3.2.1-6 and known by it", check: func(t *testing.T) {
			w := openConfigured(t, server.Config{Database: kittest.Address(t), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
			cert := []byte("a certificate, as a proxy hands it over")
			sum := sha256.Sum256(cert)
			c := w.signer(t, "fapi2", apps.ClientSettings{Profile: apps.FAPI2, Auth: "self_signed_tls_client_auth", Certificates: []string{base64.RawURLEncoding.EncodeToString(sum[:])}})
			c.cert = cert
			status, out := c.redeems(t, c.code(t, nil), nil)
			if status != 200 || out["token_type"] != "Bearer" {
				t.Fatalf("%d %v", status, out)
			}
			cnf, _ := claimsOf(t, out["access_token"].(string))["cnf"].(map[string]any)
			if cnf["x5t#S256"] != base64.RawURLEncoding.EncodeToString(sum[:]) {
				t.Errorf("bound to %v", cnf)
			}
			access := "Bearer " + out["access_token"].(string)
			if status, _ := c.send(t, "GET", "/userinfo", access, nil); status != 200 {
				t.Errorf("with its certificate: %d", status)
			}
			for what, thief := range map[string]signer{"none": {party: c.party}, "another": {party: c.party, cert: []byte("another")}} {
				if status, _ := thief.send(t, "GET", "/userinfo", access, nil); status != 401 {
					t.Errorf("with %s: %d", what, status)
				}
				if thief.cert != nil {
					status, out := thief.post(t, "/oidc/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {out["refresh_token"].(string)}})
					wants(t, status, out, "invalid_client")
				}
			}
		}},
		{name: "5.3.2.1-6 known by a key", check: func(t *testing.T) {
			c := fapi2(t)
			for what, form := range map[string]url.Values{"nothing": {"client_id": {c.id}}, "a secret": {"client_id": {c.id}, "client_secret": {confSecret}}} {
				for name, list := range c.form(nil) {
					form[name] = list
				}
				status, out := c.send(t, "POST", "/oidc/par", "", form)
				if status != 401 || out["error"] != "invalid_client" {
					t.Errorf("%s: %d %v", what, status, out)
				}
			}
		}},
		{name: "5.3.2.1-8 the issuer alone, as a string, in aud", check: func(t *testing.T) {
			c := fapi2(t)
			for _, aud := range []any{[]string{c.w.URL}, c.w.URL + "/oidc/par", c.w.URL + "/oidc/token", []string{c.w.URL, "https://elsewhere.example"}, c.w.URL + "/", "", nil} {
				status, out := c.asserted(t, map[string]any{"aud": aud})
				wants(t, status, out, "invalid_client")
			}
			if status, out := c.asserted(t, map[string]any{"aud": c.w.URL}); status != 201 {
				t.Errorf("%d %v", status, out)
			}
			// Others may name what they ask.
			other := c.w.signer(t, "other", apps.ClientSettings{})
			if status, out := other.asserted(t, map[string]any{"aud": c.w.URL + "/oidc/par"}); status != 201 {
				t.Errorf("another client: %d %v", status, out)
			}
		}},
		{name: "5.3.2.1-9 no rotation of refresh tokens", check: func(t *testing.T) {
			c := fapi2(t)
			_, out := c.redeems(t, c.code(t, nil), nil)
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {out["refresh_token"].(string)}}
			seen := map[any]bool{}
			for range 3 {
				c.w.Pass(time.Hour)
				status, fresh := c.post(t, "/oidc/token", form)
				if status != 200 || fresh["refresh_token"] != out["refresh_token"] || seen[fresh["access_token"]] {
					t.Fatalf("%d %v", status, fresh)
				}
				seen[fresh["access_token"]] = true
			}
			if good := sixteen(func(int) bool { status, _ := c.post(t, "/oidc/token", form); return status == 200 }); good != 16 {
				t.Errorf("%d of 16 at once", good)
			}
			other := c.w.signer(t, "fapi2-2", apps.ClientSettings{Profile: apps.FAPI2})
			other.dpop = c.dpop
			status, refused := other.post(t, "/oidc/token", form)
			wants(t, status, refused, "invalid_grant")
		}},
		{name: "5.3.2.1-11 a code lives for 60 seconds at most", check: func(t *testing.T) {
			c := fapi2(t)
			one := c.code(t, nil)
			c.w.Pass(time.Minute)
			status, out := c.redeems(t, one, nil)
			wants(t, status, out, "invalid_grant")
		}},
		{name: "5.3.2.1-12 a code bound to a DPoP key", check: func(t *testing.T) {
			c := fapi2(t)
			other := c
			other.dpop, _ = newKey(t)
			one := c.code(t, nil) // by the proof at the pushing
			status, out := other.redeems(t, one, nil)
			wants(t, status, out, "invalid_dpop_proof")
			jkt := thumbprint(t, &c.dpop.PublicKey)
			status, out = other.post(t, "/oidc/par", c.form(url.Values{"dpop_jkt": {jkt}}))
			wants(t, status, out, "invalid_dpop_proof")
			bare := c
			bare.dpop = nil // by the parameter alone
			one = bare.code(t, url.Values{"dpop_jkt": {jkt}})
			status, out = other.redeems(t, one, nil)
			wants(t, status, out, "invalid_dpop_proof")
			// What a signed request leaves out, the proof beside it still binds.
			claims := c.claims(map[string]any{"client_id": c.id})
			for name, list := range c.form(nil) {
				claims[name] = list[0]
			}
			status, out = c.post(t, "/oidc/par", url.Values{"request": {signs(t, c.key, nil, false, claims)}})
			if status != 201 {
				t.Fatalf("pushing a signed request: %d %v", status, out)
			}
			one = c.w.person(t).open(c.w.URL + "/authorize?" + url.Values{"client_id": {c.id}, "request_uri": {out["request_uri"].(string)}}.Encode()).passes(c.w).came(c.party).Get("code")
			status, out = other.redeems(t, one, nil)
			wants(t, status, out, "invalid_dpop_proof")
		}},
		{name: "5.3.2.1-13 clocks that are ahead", check: func(t *testing.T) {
			c := fapi2(t)
			at := func(d time.Duration) map[string]any {
				n := c.w.Now().Add(d).Unix()
				return map[string]any{"iat": n, "nbf": n}
			}
			if status, out := c.asserted(t, at(10*time.Second)); status != 201 {
				t.Errorf("10 s: %d %v", status, out)
			}
			status, out := c.asserted(t, at(61*time.Second))
			wants(t, status, out, "invalid_client")
		}},
		{name: "5.3.2.2-1 only codes", check: refusedPush(url.Values{"response_type": {"token"}}, "unsupported_response_type")},
		{name: "5.3.2.2-3 only pushed requests", check: func(t *testing.T) {
			c := fapi2(t)
			refusedHere(t, c.w.person(t).open(c.request(nil)))
		}},
		{name: "5.3.2.2-5 PKCE with S256", check: func(t *testing.T) {
			c := fapi2(t)
			for _, more := range []url.Values{{"code_challenge": nil, "code_challenge_method": nil}, {"code_challenge": {verifier}, "code_challenge_method": {"plain"}}} {
				status, out := c.post(t, "/oidc/par", c.form(more))
				wants(t, status, out, "invalid_request")
			}
		}},
		{name: "5.3.2.2-6 redirect_uri is in the request, exactly", check: func(t *testing.T) {
			c := fapi2(t)
			port := strings.TrimSuffix(strings.TrimPrefix(c.back, "http://127.0.0.1:"), "/callback")
			for _, back := range []string{"", c.back + "/", c.back + "?x=1", strings.Replace(c.back, port, "1", 1), strings.Replace(c.back, "127.0.0.1", "localhost", 1)} {
				status, out := c.post(t, "/oidc/par", c.form(url.Values{"redirect_uri": {back}}))
				wants(t, status, out, "invalid_request")
			}
			status, out := c.post(t, "/oidc/par", c.form(url.Values{"redirect_uri": nil, "scope": {"profile"}}))
			wants(t, status, out, "invalid_request")
			_, set := newKey(t)
			for _, address := range []string{"http://127.0.0.1:*/callback", "com.example.app:/back", "http://shop.example/back"} {
				if err := c.w.saved(t, apps.Backend, apps.ClientSettings{Profile: apps.FAPI2, Auth: "private_key_jwt", JWKS: set, RedirectURIs: []string{address}}); !fault.Is(err, fault.Invalid) {
					t.Errorf("%s: %v", address, err)
				}
			}
			if err := c.w.saved(t, apps.Backend, apps.ClientSettings{Profile: apps.FAPI2, Auth: "private_key_jwt", JWKS: set, RedirectURIs: []string{"https://bank.example/back", "https://bank.example/other"}}); err != nil {
				t.Error(err)
			}
		}},
		{name: "5.3.2.2-7 iss in the answer", check: func(t *testing.T) {
			c := fapi2(t)
			p := c.w.person(t).open(c.pushed(t, nil)).passes(c.w)
			if got := p.came(c.party)["iss"]; len(got) != 1 || got[0] != c.w.URL {
				t.Errorf("iss: %v", got)
			}
		}},
		{name: "5.3.2.2-9 a code is used once", check: func(t *testing.T) {
			c := fapi2(t)
			one := c.code(t, nil)
			if good := sixteen(func(int) bool { status, _ := c.redeems(t, one, nil); return status == 200 }); good != 1 {
				t.Errorf("%d of 16", good)
			}
		}},
		{name: "5.3.2.2-10 no redirect by 307", check: func(t *testing.T) {
			c := fapi2(t)
			at := c.pushed(t, url.Values{"prompt": {"none"}})
			browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			r, err := browser.Get(at)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			if r.StatusCode != http.StatusSeeOther {
				t.Errorf("%d", r.StatusCode)
			}
		}},
		{name: "5.3.2.2-12 a request_uri lives for less than 600 seconds", check: func(t *testing.T) {
			c := fapi2(t)
			if _, out := c.post(t, "/oidc/par", c.form(nil)); out["expires_in"].(float64) >= 600 {
				t.Errorf("%v", out)
			}
		}},
		{name: "5.4.1-1 PS256, ES256 and EdDSA alone", check: algorithms},
	})
}

func thumbprint(t testing.TB, key *ecdsa.PublicKey) string {
	t.Helper()
	jwk := jose.JSONWebKey{Key: key}
	b, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// algorithms tries what a client of the profile signs, and others, by each.
func algorithms(t *testing.T) {
	c := fapi2(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	bigKey, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	keys := map[jose.SignatureAlgorithm]any{jose.ES256: c.key, jose.ES384: bigKey, jose.EdDSA: edKey, jose.PS256: rsaKey, jose.RS256: rsaKey}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: c.key.Public()}, {Key: bigKey.Public()}, {Key: edKey.Public()}, {Key: rsaKey.Public()}}})
	if err != nil {
		t.Fatal(err)
	}
	save := func(s apps.ClientSettings) {
		t.Helper()
		s.Auth, s.JWKS, s.RedirectURIs = "private_key_jwt", string(set), []string{c.back}
		c.w.client(t, apps.Client{ID: "fapi2", Name: "Bank", Kind: apps.Web, Settings: s}, "")
	}
	assertion := func(alg jose.SignatureAlgorithm) int {
		form := c.form(nil)
		form.Set("client_assertion", signsBy(t, alg, keys[alg], nil, false, c.claims(map[string]any{"sub": c.id})))
		status, _ := c.post(t, "/oidc/par", form)
		return status
	}
	request := func(alg jose.SignatureAlgorithm) int {
		claims := c.claims(map[string]any{"client_id": c.id})
		for name, list := range c.form(nil) {
			claims[name] = list[0]
		}
		status, _ := c.post(t, "/oidc/par", url.Values{"request": {signsBy(t, alg, keys[alg], nil, false, claims)}})
		return status
	}
	proof := func(alg jose.SignatureAlgorithm) int {
		r, err := http.NewRequest("POST", c.w.URL+"/oidc/par", strings.NewReader(func() string {
			form := c.form(nil)
			form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
			form.Set("client_assertion", signs(t, c.key, nil, false, c.claims(map[string]any{"sub": c.id})))
			return form.Encode()
		}()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("DPoP", signsBy(t, alg, keys[alg], map[jose.HeaderKey]any{"typ": "dpop+jwt"}, true, map[string]any{"jti": rand.Text(), "htm": "POST", "htu": c.w.URL + "/oidc/par", "iat": c.w.Now().Unix(), "nonce": c.w.OIDC.Nonce()}))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	try := func(what string, fn func(jose.SignatureAlgorithm) int, good ...jose.SignatureAlgorithm) {
		t.Helper()
		for alg := range keys {
			ok := false
			for _, g := range good {
				ok = ok || g == alg
			}
			if status := fn(alg); (status == 201) != ok {
				t.Errorf("%s by %s: %d", what, alg, status)
			}
		}
	}
	save(apps.ClientSettings{Profile: apps.FAPI2})
	for what, fn := range map[string]func(jose.SignatureAlgorithm) int{"an assertion": assertion, "a request": request, "a proof": proof} {
		try(what, fn, jose.ES256, jose.EdDSA, jose.PS256)
	}
	// One algorithm for each, of any client.
	save(apps.ClientSettings{AssertionAlg: "ES256", RequestAlg: "PS256"})
	try("an assertion that has to be ES256", assertion, jose.ES256)
	try("a request that has to be PS256", request, jose.PS256)
	save(apps.ClientSettings{})
	try("an assertion of any client", assertion, jose.ES256, jose.ES384, jose.EdDSA, jose.PS256, jose.RS256)
	for what, s := range map[string]apps.ClientSettings{
		"RS256 for identity tokens": {Profile: apps.FAPI2, Alg: "RS256"}, "RS256 for requests": {Profile: apps.FAPI2, RequestAlg: "RS256"}, "ES384 for assertions": {Profile: apps.FAPI2, AssertionAlg: "ES384"},
		"none": {RequestAlg: "none"}, "HS256": {AssertionAlg: "HS256"},
	} {
		s.Auth, s.JWKS = "private_key_jwt", string(set)
		if err := c.w.saved(t, apps.Backend, s); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
