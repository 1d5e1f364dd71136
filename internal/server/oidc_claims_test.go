package server_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
)

// TestClaimsParameter: single claims come where they were asked for, and nothing
// beside them (OpenID Connect Core 5.5).
func TestClaimsParameter(t *testing.T) {
	w := newWorld(t)
	s := w.suite(t)
	if w.metadata(t)["claims_parameter_supported"] != true {
		t.Error("it is not announced")
	}
	standard := []string{"name", "given_name", "family_name", "preferred_username", "email", "email_verified", "phone_number", "phone_number_verified", "address"}
	has := func(doc map[string]any) (out []string) {
		for _, name := range standard {
			if doc[name] != nil {
				out = append(out, name)
			}
		}
		return out
	}
	for text, want := range map[string][2][]string{
		`{}`: {nil, nil},
		`{"id_token":{"email":null,"given_name":{"essential":true}},"userinfo":{"phone_number":{"essential":true}}}`:                                {{"given_name", "email"}, {"phone_number"}},
		`{"id_token":{"address":{"value":"x"},"email_verified":null},"userinfo":{"address":null,"preferred_username":{"values":["x","y"]}}}`:        {{"email_verified", "address"}, {"preferred_username", "address"}},
		`{"id_token":{"unknown":{"essential":true},"name#de":null,"custom":{"any":{"thing":1}}},"userinfo":{"password":null},"else":{"name":null}}`: {nil, nil},
		`{"id_token":{"iss":{"value":"evil"},"aud":null,"acr":{"values":["urn:nothing"]},"auth_time":{"essential":true}}}`:                          {nil, nil},
	} {
		_, out := s.signIn(t, url.Values{"scope": {"openid offline_access"}, "claims": {text}})
		id := claimsOf(t, out["id_token"].(string))
		_, info := s.userinfo(t, out["access_token"].(string))
		if got := [2][]string{has(id), has(info)}; !slices.Equal(got[0], want[0]) || !slices.Equal(got[1], want[1]) || id["iss"] != w.URL || id["aud"] != "conf" {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		status, fresh := s.refresh(t, out["refresh_token"].(string))
		if status != 200 || !slices.Equal(has(claimsOf(t, fresh["id_token"].(string))), want[0]) {
			t.Errorf("%s, refreshed: %d %v", text, status, fresh)
		}
	}
	// Beside scopes, and within a request that was signed or pushed.
	_, out := s.signIn(t, url.Values{"scope": {"openid email"}, "claims": {`{"userinfo":{"name":null}}`}})
	if _, info := s.userinfo(t, out["access_token"].(string)); !slices.Equal(has(info), []string{"name", "email", "email_verified"}) {
		t.Errorf("beside a scope: %v", info)
	}
	c := w.signer(t, "bank", apps.ClientSettings{SignedRequest: true, Scopes: []string{"openid", "email"}})
	signed := c.claims(map[string]any{"client_id": "bank", "claims": map[string]any{"id_token": map[string]any{"email": nil, "name": nil}}})
	for name, list := range c.form(url.Values{"scope": {"openid"}}) {
		signed[name] = list[0]
	}
	p := w.person(t).open(w.URL + "/authorize?" + url.Values{"client_id": {"bank"}, "request": {signs(t, c.key, nil, false, signed)}}.Encode()).passes(w)
	if status, out := c.redeems(t, p.came(c.party).Get("code"), nil); status != 200 || !slices.Equal(has(claimsOf(t, out["id_token"].(string))), []string{"email"}) {
		t.Errorf("a client that may not ask for the profile: %d %v", status, out)
	}
	for _, bad := range []string{"x", "[]", `""`, `{"id_token":[]}`, `{"id_token":{"name":true}}`, `{"userinfo":{"name":"x"}}`, `{"id_token":{"sub":{"value":7}}}`, `{"id_token":{"acr":{"essential":true,"values":[1]}}}`,
		`{"id_token":{"sub":{"value":"a"}},"userinfo":{"sub":{"value":"b"}}}`, `{"id_token":{"name":{"value":"` + strings.Repeat("x", 5000) + `"}}}`} {
		if q := w.person(t).open(s.request(url.Values{"claims": {bad}})).came(s.party); q.Get("error") != "invalid_request" || q.Get("state") != "st-1" {
			t.Errorf("%.60s: %v", bad, q)
		}
	}
}

// TestClaimsOfSubAndACR: whom a request is for signs in and nobody else, and a level
// that is essential is reached, or refused.
func TestClaimsOfSubAndACR(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	ada := string(w.ada(t).ID)
	sub := func(format string, args ...any) url.Values {
		return url.Values{"claims": {fmt.Sprintf(`{"id_token":{"sub":`+format+`}}`, args...)}}
	}
	for _, more := range []url.Values{sub(`{"value":%q}`, ada), sub(`{"essential":true,"values":["usr_other",%q]}`, ada), sub(`null`), sub(`{"essential":true}`), {"claims": {fmt.Sprintf(`{"userinfo":{"sub":{"value":%q}}}`, ada)}}} {
		if q := w.person(t).open(c.request(more)).passes(w).came(c); q.Get("code") == "" {
			t.Errorf("%v: %v", more, q)
		}
	}
	p := w.person(t).open(c.request(nil)).passes(w)
	_, tokens := c.redeem(t, p.came(c).Get("code"))
	somebody := sub(`{"value":"usr_somebody"}`)
	if q := w.person(t).open(c.request(somebody)).passes(w).came(c); q.Get("error") != "login_required" || q.Has("code") {
		t.Errorf("somebody else signed in: %v", q)
	}
	somebody.Set("prompt", "none")
	if q := p.open(c.request(somebody)).came(c); q.Get("error") != "login_required" {
		t.Errorf("somebody else is signed in: %v", q)
	}
	somebody.Set("id_token_hint", tokens["id_token"].(string)) // which names ada: nobody is both
	if q := p.open(c.request(somebody)).came(c); q.Get("error") != "login_required" {
		t.Errorf("two users at once: %v", q)
	}

	acr := func(format string, args ...any) url.Values {
		return url.Values{"claims": {fmt.Sprintf(`{"id_token":{"acr":`+format+`}}`, args...)}}
	}
	for _, more := range []url.Values{acr(`{"essential":true,"value":%q}`, authn.AAL1), acr(`{"essential":true}`), acr(`{"values":[%q]}`, authn.AAL2), acr(`{"values":["urn:nothing"]}`), acr(`{"essential":true,"values":["urn:nothing",%q]}`, authn.AAL1)} {
		if q := w.person(t).open(c.request(more)).passes(w).came(c); q.Get("code") == "" {
			t.Errorf("%v: %v", more, q)
		}
	}
	if q := w.person(t).open(c.request(acr(`{"essential":true,"values":["urn:nothing"]}`))).came(c); q.Get("error") != "unmet_authentication_requirements" || q.Get("state") != "st-1" {
		t.Errorf("a level that nobody reaches: %v", q)
	}
	two := acr(`{"essential":true,"value":%q}`, authn.AAL2)
	if q := p.open(c.request(url.Values{"claims": two["claims"], "prompt": {"none"}})).came(c); q.Get("error") != "login_required" {
		t.Errorf("on a session that does not reach it: %v", q)
	}
	two.Set("acr_values", authn.AAL1) // the claim says it exactly
	if q := p.open(c.request(url.Values{"claims": two["claims"], "acr_values": two["acr_values"], "prompt": {"none"}})).came(c); q.Get("error") != "login_required" {
		t.Errorf("beside acr_values: %v", q)
	}
}

// TestClaimsNeedConsent: a third party's user is asked for what single claims let it
// know, as for their scopes, and once.
func TestClaimsNeedConsent(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "guest", "")
	w.client(t, apps.Client{ID: "guest", Name: "Guest", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, ThirdParty: true}}, "")
	more := url.Values{"scope": {"openid"}, "claims": {`{"id_token":{"email":null},"userinfo":{"phone_number":null}}`}}
	p := w.person(t).open(c.request(url.Values{"scope": {"openid"}})).passes(w).sees("wants to know that it is you.").post("", nil)
	p.came(c)
	p.open(c.request(more)).sees("wants to know that it is you, your e-mail address, your phone number.").post("", url.Values{"option": {"refuse"}})
	if q := p.came(c); q.Get("error") != "access_denied" {
		t.Errorf("declined: %v", q)
	}
	if q := p.open(c.request(url.Values{"scope": more["scope"], "claims": more["claims"], "prompt": {"none"}})).came(c); q.Get("error") != "consent_required" {
		t.Errorf("silently: %v", q)
	}
	_, out := c.redeem(t, p.open(c.request(more)).sees("Guest").post("", nil).came(c).Get("code"))
	if claimsOf(t, out["id_token"].(string))["email"] != "ada@example.org" {
		t.Errorf("agreed: %v", out)
	}
	if q := p.open(c.request(more)).came(c); q.Get("code") == "" {
		t.Errorf("a second time: %v", q)
	}
	p.open(c.request(url.Values{"scope": {"openid"}, "claims": {`{"userinfo":{"name":null}}`}})).sees("your name")
}
