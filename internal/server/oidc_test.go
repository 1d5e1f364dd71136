package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
)

// party is a relying party: a client and the address that browsers come back to.
type party struct {
	w      *world
	id     string
	secret string
	back   string
}

const verifier = "a-verifier-of-more-than-forty-three-characters-0123456789"

func challenge(v string) string {
	h := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// party serves /callback and says where; who comes back sees what came along.
func (w *world) party(t testing.TB, id, secret string) party {
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		io.WriteString(rw, "back: "+r.Form.Encode())
	}))
	t.Cleanup(s.Close)
	return party{w, id, secret, s.URL + "/callback"}
}

// client makes a client of the demo application.
func (w *world) client(t testing.TB, c apps.Client, secret string) {
	t.Helper()
	c.App = "demo"
	if c.Name == "" {
		c.Name = "Partner"
	}
	if err := w.Kit.DB.Move(t.Context(), func(tx *db.Tx) error {
		if err := apps.SaveClient(t.Context(), tx, c); err != nil || secret == "" {
			return err
		}
		return apps.SetSecret(t.Context(), tx, c.ID, secret)
	}); err != nil {
		t.Fatal(err)
	}
}

func (c party) request(more url.Values) string {
	q := url.Values{"client_id": {c.id}, "redirect_uri": {c.back}, "response_type": {"code"}, "scope": {"openid profile email offline_access"}, "state": {"st-1"}, "nonce": {"no-1"},
		"code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"}}
	for name, v := range more {
		q[name] = v
		if v == nil {
			q.Del(name)
		}
	}
	return c.w.URL + "/authorize?" + q.Encode()
}

// token asks the token endpoint.
func (c party) token(t testing.TB, form url.Values) (int, map[string]any) {
	t.Helper()
	return c.post(t, "/oidc/token", form)
}

func (c party) post(t testing.TB, path string, form url.Values) (int, map[string]any) {
	t.Helper()
	if form.Get("client_id") == "" {
		form.Set("client_id", c.id)
	}
	if c.secret != "" {
		form.Set("client_secret", c.secret)
	}
	r, err := http.PostForm(c.w.URL+path, form)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, r)
}

func decoded(t testing.TB, r *http.Response) (int, map[string]any) {
	t.Helper()
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	return r.StatusCode, out
}

func (c party) redeem(t testing.TB, code string) (int, map[string]any) {
	t.Helper()
	return c.token(t, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.back}, "code_verifier": {verifier}})
}

func (c party) refresh(t testing.TB, token string) (int, map[string]any) {
	t.Helper()
	return c.token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func (c party) userinfo(t testing.TB, access string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, c.w.URL+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, resp)
}

// passes signs ada in by her password, on the pages, wherever they are.
func (p *person) passes(w *world) *person {
	p.t.Helper()
	p.sees("E-mail address or username").post("", url.Values{"username": {"ada@example.org"}})
	return p.sees("How do you want to sign in").post("password", url.Values{"password": {w.Dev.Facts.User.Password}})
}

// came is what the browser brought back.
func (p *person) came(c party) url.Values {
	p.t.Helper()
	if !strings.HasPrefix(p.at.String(), c.back) {
		p.t.Fatalf("not back: %d %s\n%s", p.status, p.at, p.page)
	}
	return p.at.Query()
}

// TestCodeFlow: somebody signs in at a relying party, and the next party does not
// ask again.
func TestCodeFlow(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	p := w.person(t).open(c.request(nil)).passes(w)
	q := p.came(c)
	if q.Get("state") != "st-1" || q.Get("iss") != w.URL {
		t.Errorf("came back with %v", q)
	}
	status, tokens := c.redeem(t, q.Get("code"))
	if status != 200 || tokens["token_type"] != "Bearer" {
		t.Fatalf("%d %v", status, tokens)
	}
	id := claimsOf(t, tokens["id_token"].(string))
	if id["nonce"] != "no-1" || id["aud"] != "demo-web" || id["iss"] != w.URL || id["sub"] == "" || id["acr"] != authn.AAL1 || id["auth_time"] == nil {
		t.Errorf("identity token: %v", id)
	}
	if status, info := c.userinfo(t, tokens["access_token"].(string)); status != 200 || info["email"] != "ada@example.org" || info["sub"] != id["sub"] || info["preferred_username"] != "ada" {
		t.Errorf("userinfo: %d %v", status, info)
	}

	again := p.open(c.request(nil)).came(c)
	if status, tokens := c.redeem(t, again.Get("code")); status != 200 || claimsOf(t, tokens["id_token"].(string))["auth_time"] != id["auth_time"] {
		t.Errorf("on the session: %d %v", status, tokens)
	}
	if q := w.person(t).open(c.request(url.Values{"prompt": {"none"}})).came(c); q.Get("error") != "login_required" {
		t.Errorf("nobody is signed in: %v", q)
	}
	if q := p.open(c.request(url.Values{"prompt": {"none"}})).came(c); q.Get("code") == "" {
		t.Errorf("somebody is signed in: %v", q)
	}
	p.open(c.request(url.Values{"prompt": {"login"}})).sees("E-mail address or username")
	w.Pass(10 * time.Second)
	p.open(c.request(url.Values{"max_age": {"5"}})).passes(w)
	if status, tokens := c.redeem(t, p.came(c).Get("code")); status != 200 || claimsOf(t, tokens["id_token"].(string))["auth_time"].(float64) <= id["auth_time"].(float64) {
		t.Errorf("a new sign-in: %d %v", status, tokens)
	}
	if q := p.open(c.request(url.Values{"acr_values": {authn.AAL2}, "prompt": {"none"}})).came(c); q.Get("error") != "login_required" {
		t.Errorf("a level that was not reached: %v", q)
	}
}

// TestCodesAndRefreshTokens: each is good once, for one client, whole, and in its
// time; using one twice ends what came of it.
func TestCodesAndRefreshTokens(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	other := c
	other.id = "other-web"
	w.client(t, apps.Client{ID: "other-web", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{c.back}}}, "")
	p := w.person(t).open(c.request(nil)).passes(w)
	code := func() string { return p.open(c.request(nil)).came(c).Get("code") }
	bad := func(what string, status int, out map[string]any) {
		t.Helper()
		if status != 400 || out["error"] != "invalid_grant" {
			t.Errorf("%s: %d %v", what, status, out)
		}
	}

	// At once: one of 16.
	one := code()
	var mu sync.Mutex
	var good []map[string]any
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if status, out := c.redeem(t, one); status == 200 {
				mu.Lock()
				good = append(good, out)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(good) != 1 {
		t.Fatalf("%d of 16 redeemed one code", len(good))
	}
	if status, _ := c.userinfo(t, good[0]["access_token"].(string)); status != 401 {
		t.Errorf("what came of a code that was used twice is still good: %d", status)
	}
	_, out := c.refresh(t, good[0]["refresh_token"].(string))
	bad("its refresh token", 400, out)

	// Parts and others.
	whole := code()
	for _, s := range []string{whole[1:], whole[:len(whole)-1], strings.ToLower(whole), whole + "x", ""} {
		status, out := c.redeem(t, s)
		bad("part of a code", status, out)
	}
	status, out := other.token(t, url.Values{"grant_type": {"authorization_code"}, "code": {whole}, "redirect_uri": {c.back}, "code_verifier": {verifier}})
	bad("another client's code", status, out)
	status, out = c.redeem(t, whole)
	bad("a code that another client brought before", status, out)
	for what, form := range map[string]url.Values{
		"no verifier":      {"redirect_uri": {c.back}},
		"another verifier": {"redirect_uri": {c.back}, "code_verifier": {strings.Repeat("x", 50)}},
		"the challenge":    {"redirect_uri": {c.back}, "code_verifier": {challenge(verifier)}},
		"no address":       {"code_verifier": {verifier}},
		"another address":  {"redirect_uri": {"http://127.0.0.1:1/callback"}, "code_verifier": {verifier}},
	} {
		form.Set("grant_type", "authorization_code")
		form.Set("code", code())
		status, out := c.token(t, form)
		bad(what, status, out)
	}
	late := code()
	w.Pass(time.Minute)
	status, out = c.redeem(t, late)
	bad("a code of a minute ago", status, out)

	// Refresh tokens: one family, one at a time.
	_, first := c.redeem(t, code())
	r1 := first["refresh_token"].(string)
	status, second := c.refresh(t, r1)
	if status != 200 || second["refresh_token"] == r1 {
		t.Fatalf("refresh: %d %v", status, second)
	}
	if status, same := c.refresh(t, r1); status != 200 || same["refresh_token"] != second["refresh_token"] {
		t.Errorf("the same again within the grace: %d %v", status, same)
	}
	r2 := second["refresh_token"].(string)
	status, out = other.refresh(t, r2)
	bad("another client's refresh token", status, out)
	status, out = c.refresh(t, r2[:len(r2)-1])
	bad("part of one", status, out)
	w.Pass(11 * time.Second)
	status, out = c.refresh(t, r1)
	bad("an old one", status, out)
	status, out = c.refresh(t, r2)
	bad("the family of one that was used twice", status, out)
	if status, _ := c.userinfo(t, second["access_token"].(string)); status != 401 {
		t.Errorf("its access token: %d", status)
	}

	// 16 at once get one new token among them, and the family lives.
	_, third := c.redeem(t, code())
	seen := map[any]bool{}
	for range 16 {
		group.Go(func() {
			status, out := c.refresh(t, third["refresh_token"].(string))
			mu.Lock()
			defer mu.Unlock()
			if status == 200 {
				seen[out["refresh_token"]] = true
			} else if status != 503 {
				t.Errorf("at once: %d %v", status, out)
			}
		})
	}
	group.Wait()
	if len(seen) != 1 {
		t.Errorf("%d new tokens of one", len(seen))
	}
	for next := range seen {
		third["refresh_token"] = next
	}
	if status, out := c.token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {third["refresh_token"].(string)}, "scope": {"openid phone"}}); status != 400 || out["error"] != "invalid_scope" {
		t.Errorf("more than was granted: %d %v", status, out)
	}
	w.Pass(31 * 24 * time.Hour)
	status, out = c.refresh(t, third["refresh_token"].(string))
	bad("after a month", status, out)
}

// TestDisabledUsers: whoever may not sign in has nothing left, at once (R49, R50).
func TestDisabledUsers(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	p := w.person(t).open(c.request(nil)).passes(w)
	_, tokens := c.redeem(t, p.came(c).Get("code"))
	pending := p.open(c.request(nil)).came(c).Get("code")
	u, err := directory.Lookup(t.Context(), w.Kit.DB, "default", "ada@example.org")
	if err != nil {
		t.Fatal(err)
	}
	set := func(s directory.Status) {
		t.Helper()
		if err := w.Kit.DB.Move(t.Context(), func(tx *db.Tx) error { return directory.SetStatus(t.Context(), tx, "default", u.ID, s) }); err != nil {
			t.Fatal(err)
		}
	}
	set(directory.Suspended)
	if status, _ := c.userinfo(t, tokens["access_token"].(string)); status != 401 {
		t.Errorf("userinfo: %d", status)
	}
	if status, _ := c.refresh(t, tokens["refresh_token"].(string)); status != 400 {
		t.Errorf("refresh: %d", status)
	}
	if status, _ := c.redeem(t, pending); status != 400 {
		t.Errorf("a code: %d", status)
	}
	if q := p.open(c.request(url.Values{"prompt": {"none"}})).came(c); q.Get("error") != "login_required" {
		t.Errorf("the session: %v", q)
	}
}

// TestRedirects: a browser goes to an address of the client's and nowhere else,
// and no refusal is told to another (R60, R61, R63).
func TestRedirects(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "shop", "")
	const good = "https://shop.example/cb?x=1"
	w.client(t, apps.Client{ID: "shop", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{good, "http://127.0.0.1:*/callback", "http://127.0.0.1/fixed"}}}, "")
	for _, at := range redirectTricks {
		p := w.person(t)
		p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		p.open(c.request(url.Values{"redirect_uri": {at}, "prompt": {"none"}}))
		if p.status != 400 {
			t.Errorf("%s: %d", at, p.status)
		}
	}
	for _, at := range []string{good, "http://127.0.0.1:1234/callback", "http://127.0.0.1/callback"} {
		p := w.person(t)
		p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if p.open(c.request(url.Values{"redirect_uri": {at}, "prompt": {"none"}})); p.status != 303 {
			t.Errorf("%s: %d", at, p.status)
		}
	}
	for _, at := range []string{"javascript:alert(1)", "data:text/html,x", "http://shop.example/", "https://user@shop.example/", "https://shop.example/#x", "myapp:/cb", "//shop.example/", "JaVaScRiPt:alert(1)", "file:///etc/passwd"} {
		err := w.Kit.DB.Move(t.Context(), func(tx *db.Tx) error {
			return apps.SaveClient(t.Context(), tx, apps.Client{ID: "bad", App: "demo", Name: "x", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{at}}})
		})
		if err == nil {
			t.Errorf("%s was stored", at)
		}
	}
}

// redirectTricks are addresses that look like the client's and are not.
var redirectTricks = []string{
	"", "https://shop.example", "https://shop.example/", "https://shop.example/cb", "https://shop.example/cb?x=1&y=2", "https://shop.example/cb?x=1#f", "https://shop.example/cb/?x=1",
	"https://shop.example/cb%3fx=1", "https://shop.example/./cb?x=1", "https://shop.example/a/../cb?x=1", "https://shop.example/..;/cb?x=1", "https://SHOP.example/cb?x=1", "HTTPS://shop.example/cb?x=1",
	"http://shop.example/cb?x=1", "https://shop.example:443/cb?x=1", "https://shop.example:8443/cb?x=1", "https://shop.example./cb?x=1", "https://user@shop.example/cb?x=1", "https://shop.example@evil.example/cb?x=1",
	"https://evil.example/cb?x=1", "https://evil.example/https://shop.example/cb?x=1", "https://shop.example.evil.example/cb?x=1", "https://shopxexample/cb?x=1", "https://shop.example\\@evil.example/cb?x=1",
	"https://shop.example/cb?x=1 ", " https://shop.example/cb?x=1", "https://shop.example/cb?x=1\t", "https://shop.example/cb?x=1\n", "https://shop.example/cb?x=1%0a", "//shop.example/cb?x=1", "/cb?x=1",
	"javascript:alert(1)//https://shop.example/cb?x=1", "JaVaScRiPt:alert(1)", "data:text/html,x", "https://shop.example/CB?x=1", "https://shop.example/cb?X=1", "https://shop.example/cb?x=1&", "https://shop.example//cb?x=1",
	"https://ѕhop.example/cb?x=1", "https://xn--hop-8cd.example/cb?x=1", "http://127.0.0.1:1234/callback/", "http://127.0.0.1:1234/callback?x", "http://127.0.0.1:1234/other", "https://127.0.0.1:1234/callback",
	"http://127.0.0.2:1234/callback", "http://localhost:1234/callback", "http://127.0.0.1:1234/fixed", "http://127.0.0.1:*/callback", "http://127.0.0.1:12a/callback", "http://127.0.0.1.evil.example/callback",
	"http://127.0.0.1:1234@evil.example/callback", "http://0x7f000001:1234/callback", "http://2130706433/callback", "http://[::1]:1234/callback", "http://127.1:1234/callback",
}

// TestConsent: a third party is let in by the user, who is asked once.
func TestConsent(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "partner", "")
	w.client(t, apps.Client{ID: "partner", Name: "Partner & Co", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, ThirdParty: true}}, "")
	p := w.person(t).open(c.request(nil)).passes(w).sees("Partner &amp; Co wants to know").sees("your e-mail address")
	if q := p.post("refuse", nil).came(c); q.Get("error") != "access_denied" || q.Get("code") != "" {
		t.Errorf("refused: %v", q)
	}
	p = w.person(t).open(c.request(nil)).passes(w).sees("wants to know")
	if q := p.post("", nil).came(c); q.Get("code") == "" {
		t.Errorf("allowed: %v", q)
	}
	if q := p.open(c.request(nil)).came(c); q.Get("code") == "" {
		t.Errorf("asked again: %v", q)
	}
	if q := p.open(c.request(url.Values{"prompt": {"none"}, "scope": {"openid phone"}})).came(c); q.Get("error") != "consent_required" {
		t.Errorf("more: %v", q)
	}
	p.open(c.request(url.Values{"prompt": {"consent"}})).sees("wants to know")
}

// TestHints: who signs in is filled in already, and the pages know the language
// that the client asked for.
func TestHints(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	p := w.person(t).open(c.request(url.Values{"login_hint": {"ada@example.org"}})).sees(`name="username"`).sees(`value="ada@example.org"`)
	p.post("", url.Values{"username": {"ada"}}).sees("How do you want to sign in")
	w.person(t).open(c.request(url.Values{"login_hint": {`"><script>alert(1)</script>`}})).sees(`value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"`)
	w.publish(t, `{"id": "tongue", "name": "Tongue", "kind": "client", "start": "say", "nodes": {
		"say": {"kind": "information", "config": {"title": "Locale", "text": {"expr": "@policy.request().locale"}, "button": "Go"}, "next": {"success": "end"}},
		"end": {"kind": "reject"}}}`)
	w.client(t, apps.Client{ID: "speaker", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{c.back}, Journey: "tongue"}}, "")
	c.id = "speaker"
	w.person(t).open(c.request(url.Values{"ui_locales": {"eo pt-BR de"}})).sees("pt-BR</p>")
}

// TestDetails: what a request would do is shown to whom it is done for, also by a
// client of one's own, and stands in the tokens as it was shown (RFC 9396).
func TestDetails(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "bank", "")
	w.client(t, apps.Client{ID: "bank", Name: "Bank", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, DetailTypes: []string{"payment"}}}, "")
	const details = `[{"type":"payment","amount":{"value":"1500.00","currency":"EUR"},"payee":"ACME <b>"}]`
	p := w.person(t).open(c.request(url.Values{"authorization_details": {details}})).passes(w)
	p.sees("Let Bank do this?").sees("1500.00").sees("amount.currency").sees("ACME &lt;b&gt;")
	status, tokens := c.redeem(t, p.post("", nil).came(c).Get("code"))
	want, err := json.Marshal(tokens["authorization_details"])
	if err != nil || status != 200 || !strings.Contains(string(want), `"1500.00"`) || claimsOf(t, tokens["access_token"].(string))["authorization_details"] == nil {
		t.Errorf("%d %v", status, tokens)
	}
	for what, more := range map[string]url.Values{"details": {"authorization_details": {details}}, "asked for": {"prompt": {"consent"}}} {
		if p.open(c.request(more)).sees("Allow"); p.post("refuse", nil).came(c).Get("error") != "access_denied" {
			t.Errorf("%s: %v", what, p.at)
		}
	}
	if q := p.open(c.request(url.Values{"authorization_details": {details}, "prompt": {"none"}})).came(c); q.Get("error") != "consent_required" {
		t.Errorf("without asking: %v", q)
	}
	if q := p.open(c.request(url.Values{"authorization_details": {`[{"type":"other"}]`}})).came(c); q.Get("error") != "invalid_authorization_details" {
		t.Errorf("of another type: %v", q)
	}
}
