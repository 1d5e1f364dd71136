package server_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/watchword-auth/watchword/internal/apps"
)

// signer is a relying party that shows keys where others show a secret.
type signer struct {
	party
	key  *ecdsa.PrivateKey
	dpop *ecdsa.PrivateKey // what its tokens are bound to; nil: nothing
	cert []byte            // what a proxy says that it showed; nil: nothing
	with func() any        // the nonce of its proofs; nil: the newest
	more map[string]any    // of its proofs
	gave *http.Response    // if there, the last answer
}

func (w *world) signer(t *testing.T, id string, s apps.ClientSettings) signer {
	t.Helper()
	key, set := newKey(t)
	c := signer{party: w.party(t, id, ""), key: key}
	if s.Auth == "" {
		s.Auth, s.JWKS = "private_key_jwt", set
	}
	s.RedirectURIs = []string{c.back}
	w.client(t, apps.Client{ID: apps.ClientID(id), Name: "Bank", Kind: apps.Web, Settings: s}, "")
	return c
}

// claims are those that everything it signs has, with changes; nil takes one away.
func (c signer) claims(more map[string]any) map[string]any {
	now := c.w.Now()
	out := map[string]any{"iss": c.id, "aud": c.w.URL, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": rand.Text()}
	maps.Copy(out, more)
	maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
	return out
}

// post asks an endpoint, saying who it is by an assertion.
func (c signer) post(t testing.TB, path string, form url.Values) (int, map[string]any) {
	t.Helper()
	form = maps.Clone(form)
	if c.cert != nil {
		form.Set("client_id", c.id)
		return c.send(t, "POST", path, "", form)
	}
	if form.Get("client_assertion") == "" {
		form.Set("client_assertion", signs(t, c.key, nil, false, c.claims(map[string]any{"sub": c.id})))
	}
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	return c.send(t, "POST", path, "", form)
}

// send is a request with a proof of possession, if the party has a key for it.
func (c signer) send(t testing.TB, method, path, authorization string, form url.Values) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(method, c.w.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	if c.cert != nil {
		r.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(c.cert)+":")
	}
	if c.dpop != nil {
		claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": c.w.URL + path, "iat": c.w.Now().Unix()}
		if _, access, ok := strings.Cut(authorization, " "); ok {
			claims["ath"] = challenge(access)
		}
		claims["nonce"] = c.w.OIDC.Nonce()
		maps.Copy(claims, c.more)
		if c.with != nil {
			if claims["nonce"] = c.with(); claims["nonce"] == nil {
				delete(claims, "nonce")
			}
		}
		r.Header.Set("DPoP", signs(t, c.dpop, map[jose.HeaderKey]any{"typ": "dpop+jwt"}, true, claims))
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if c.gave != nil {
		*c.gave = *resp
	}
	return decoded(t, resp)
}

// table runs conformance modules of which each has a world of its own.
func table(t *testing.T, list []struct {
	name, skip string
	check      func(t *testing.T)
}) {
	for _, m := range list {
		t.Run(m.name, func(t *testing.T) {
			if m.skip != "" {
				t.Skip(m.skip)
			}
			m.check(t)
		})
	}
}

type row = struct {
	name, skip string
	check      func(t *testing.T)
}

// weakened gives the client an RSA key beside its own, with which nothing is signed as
// it has to be.
func (c signer) weakened(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: c.key.Public()}, {Key: weak.Public()}}})
	if err != nil {
		t.Fatal(err)
	}
	known, _, err := apps.FindClient(t.Context(), c.w.Kit.DB, apps.ClientID(c.id))
	if err != nil {
		t.Fatal(err)
	}
	known.Settings.JWKS = string(set)
	c.w.client(t, known, "")
	return weak
}

func wants(t *testing.T, status int, out map[string]any, words ...string) {
	t.Helper()
	got, _ := out["error"].(string)
	want := 400
	if got == "invalid_client" {
		want = 401
	}
	if status != want || !slices.Contains(words, got) {
		t.Errorf("%d %v, want %v", status, out, words)
	}
}

// badRequestObject is a request of which one claim is not as it has to be.
func badRequestObject(more map[string]any) func(t *testing.T) {
	return func(t *testing.T) {
		c := newCIBA(t)
		status, out := c.asks(t, more)
		wants(t, status, out, "invalid_request")
	}
}

// fapi2 is a client of the FAPI 2.0 security profile: pushed requests, a key
// instead of a secret, tokens bound to a key.
func fapi2(t *testing.T) signer {
	w := newWorld(t)
	c := w.signer(t, "fapi2", apps.ClientSettings{Profile: apps.FAPI2})
	c.dpop, _ = newKey(t)
	return c
}

func (c signer) form(more url.Values) url.Values {
	u, err := url.Parse(c.request(more))
	if err != nil {
		panic(err)
	}
	return u.Query()
}

// pushed is the address of a request that was pushed.
func (c signer) pushed(t *testing.T, more url.Values) string {
	t.Helper()
	status, out := c.post(t, "/oidc/par", c.form(more))
	if status != 201 || out["expires_in"].(float64) <= 0 {
		t.Fatalf("pushing: %d %v", status, out)
	}
	return c.w.URL + "/authorize?" + url.Values{"client_id": {c.id}, "request_uri": {out["request_uri"].(string)}}.Encode()
}

func (c signer) redeems(t *testing.T, code string, more url.Values) (int, map[string]any) {
	t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.back}, "code_verifier": {verifier}}
	maps.Copy(form, more)
	return c.post(t, "/oidc/token", form)
}

// refusedPush is a pushed request that has to be refused.
func refusedPush(more url.Values, words ...string) func(t *testing.T) {
	return func(t *testing.T) {
		c := fapi2(t)
		status, out := c.post(t, "/oidc/par", c.form(more))
		wants(t, status, out, words...)
	}
}

// nonced signs in with a nonce, which comes back as it was.
func nonced(t *testing.T, nonce string) {
	t.Helper()
	c := fapi2(t)
	more := url.Values{"nonce": nil}
	if nonce != "" {
		more = url.Values{"nonce": {nonce}}
	}
	status, out := c.redeems(t, c.code(t, more), nil)
	if status != 200 {
		t.Fatalf("%d %v", status, out)
	}
	if got, _ := claimsOf(t, out["id_token"].(string))["nonce"].(string); got != nonce {
		t.Errorf("a nonce of %d came back", len(got))
	}
}

// outside signs in with more parameters beside a pushed request, which do not count.
func outside(t *testing.T, more url.Values) {
	t.Helper()
	c := fapi2(t)
	q := c.w.person(t).open(c.pushed(t, nil) + "&" + more.Encode()).passes(c.w).came(c.party)
	status, out := c.redeems(t, q.Get("code"), nil)
	if status != 200 || q.Get("state") != "st-1" || claimsOf(t, out["id_token"].(string))["nonce"] != "no-1" {
		t.Errorf("%v: %d %v", q, status, out)
	}
}

// proofAt redeems a code with a proof of another time.
func proofAt(t *testing.T, d time.Duration) {
	t.Helper()
	c := fapi2(t)
	c.more = map[string]any{"iat": c.w.Now().Add(d).Unix()}
	if status, out := c.redeems(t, c.code(t, nil), nil); status != 200 {
		t.Errorf("%d %v", status, out)
	}
}

// audience is an assertion for an address of this server, or a list of them, instead
// of for the issuer.
func audience(of any) func(t *testing.T) {
	return func(t *testing.T) {
		c := fapi2(t)
		var aud any = []string{c.w.URL}
		if path, ok := of.(string); ok {
			aud = c.w.URL + path
		}
		status, out := c.asserted(t, map[string]any{"aud": aud})
		wants(t, status, out, "invalid_client")
	}
}
