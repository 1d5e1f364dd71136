package server_test

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/server"
	"github.com/watchword-auth/watchword/internal/session"
	"github.com/watchword-auth/watchword/internal/web"
)

// solo makes a user who has a password and nothing else.
func (w *world) solo(t testing.TB) {
	t.Helper()
	w.rest(t).want(t, 201, "POST /v1/users", map[string]any{"username": "solo", "credentials": map[string]any{"password": "wide-badger-under-7-bridges", "force_replace": false}})
}

// passesAsSolo signs solo in.
func (p *person) passesAsSolo() *person {
	p.t.Helper()
	return p.sees(`name="username"`).post("", url.Values{"username": {"solo"}}).post("password", url.Values{"password": {"wide-badger-under-7-bridges"}})
}

// TestReg_R36_HalvesOfASignIn: whoever begins a sign-in and has another finish it
// is not let in, and neither is the other.
func TestReg_R36_HalvesOfASignIn(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	attacker := w.person(t).open(c.request(nil)).sees(`name="username"`)
	victim := w.person(t).open(attacker.at.String())
	if victim.status < 400 {
		t.Errorf("a run of another browser: %d", victim.status)
	}
	if victim.post("", url.Values{"username": {"ada"}}); victim.status < 400 {
		t.Errorf("answering it: %d", victim.status)
	}
	// With a page of the client's own: the request's name travels, and is worth
	// nothing alone.
	s := w.shopper(t)
	attacker = w.person(t).open(s.request(nil))
	k := w.sso(t, "shopper", attacker.at.Query().Get("interaction_id"))
	out := w.tells(t, k, "escape", "data", map[string]any{"escape_id": "password", "escape_params": map[string]any{"username": "ada", "password": w.Dev.Facts.User.Password}})
	for _, p := range []*person{attacker.open(w.URL + "/authorize/continue"), w.person(t).open(redirectOf(out))} {
		if p.status != 400 || strings.Contains(p.at.String(), "code=") {
			t.Errorf("half of it: %d %s", p.status, p.at)
		}
	}
}

// TestReg_R38_CookiesOfThisHost: over https every cookie is bound to this host and
// unreadable to scripts; one that another host of the domain could set counts for
// nothing.
func TestReg_R38_CookiesOfThisHost(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s, err := server.New(t.Context(), server.Config{URL: "https://id.example", Database: kittest.Address(t), MasterKey: make([]byte, 32), Dev: true,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: func() time.Time { return now }, RatePerAddress: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Dev.Seed(t.Context(), t.TempDir(), 30); err != nil {
		t.Fatal(err)
	}
	const back = "http://127.0.0.1:1/callback"
	request := func(more string) string {
		return "/authorize?" + url.Values{"client_id": {"demo-web"}, "redirect_uri": {back}, "response_type": {"code"}, "scope": {"openid"}, "code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"}}.Encode() + more
	}
	jar := map[string]string{}
	send := func(method, path string, form url.Values) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest(method, "https://id.example"+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for name, v := range jar {
			r.AddCookie(&http.Cookie{Name: name, Value: v})
		}
		rec := httptest.NewRecorder()
		s.Handler().ServeHTTP(rec, r)
		for _, c := range rec.Result().Cookies() {
			if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Domain != "" || c.Path != "/" || c.SameSite != http.SameSiteLaxMode {
				t.Errorf("cookie %+v", c)
			}
			if jar[c.Name] = c.Value; c.MaxAge < 0 {
				delete(jar, c.Name)
			}
		}
		return rec
	}
	at := send("GET", request(""), nil).Header().Get("Location")
	for _, answer := range []url.Values{{"username": {"ada"}}, {"option": {"password"}, "password": {s.Dev.Facts.User.Password}}} {
		for _, m := range hidden.FindAllStringSubmatch(send("GET", at, nil).Body.String(), -1) {
			answer.Set(m[1], m[2])
		}
		send("POST", at, answer)
	}
	if to := send("GET", at, nil).Header().Get("Location"); !strings.HasPrefix(to, back) || !strings.Contains(to, "code=") {
		t.Fatalf("went to %q", to)
	}
	held := jar["__Host-ww-sso-demo"]
	if held == "" {
		t.Fatalf("no session among %v", jar)
	}
	if to := send("GET", request("&prompt=none"), nil).Header().Get("Location"); !strings.Contains(to, "code=") {
		t.Errorf("with its cookie: %s", to)
	}
	for _, name := range []string{"ww-sso-demo", "__Secure-ww-sso-demo", "__host-ww-sso-demo"} {
		jar = map[string]string{name: held}
		if to := send("GET", request("&prompt=none"), nil).Header().Get("Location"); !strings.Contains(to, "error=login_required") {
			t.Errorf("with %s: %s", name, to)
		}
	}
}

// TestReg_R39_OneBrowserTwoPeople: the next person at a browser shares nothing
// with the one before, also when cookies were lost (R71: nor does a new sign-in
// keep or swap anybody).
func TestReg_R39_OneBrowserTwoPeople(t *testing.T) {
	w := newWorld(t)
	w.solo(t)
	c := w.party(t, "demo-web", "")
	for how, leave := range map[string]func(p *person, hint string) url.Values{
		"signed out": func(p *person, hint string) url.Values {
			p.open(w.URL + "/session/end_session?" + url.Values{"id_token_hint": {hint}}.Encode()).sees("Signed out")
			return nil
		},
		"the session's cookie was lost": func(p *person, _ string) url.Values {
			u, err := url.Parse(w.URL)
			if err != nil {
				t.Fatal(err)
			}
			p.client.Jar.SetCookies(u, []*http.Cookie{{Name: "ww-sso-demo", Path: "/", MaxAge: -1}})
			return nil
		},
		"still signed in": func(*person, string) url.Values { return url.Values{"prompt": {"login"}} },
	} {
		p := w.person(t).open(c.request(nil)).passes(w)
		_, first := c.redeem(t, p.came(c).Get("code"))
		more := leave(p, first["id_token"].(string))
		_, second := c.redeem(t, p.open(c.request(more)).passesAsSolo().came(c).Get("code"))
		was, is := claimsOf(t, first["id_token"].(string)), claimsOf(t, second["id_token"].(string))
		if was["sub"] == is["sub"] || was["sid"] == is["sid"] || is["acr"] != was["acr"] {
			t.Errorf("%s: %v, then %v", how, was, is)
		}
		if _, info := c.userinfo(t, second["access_token"].(string)); info["preferred_username"] != "solo" || info["email"] != nil {
			t.Errorf("%s: userinfo %v", how, info)
		}
		if status, out := c.refresh(t, first["refresh_token"].(string)); status == 200 && claimsOf(t, out["id_token"].(string))["sub"] != was["sub"] {
			t.Errorf("%s: the first one's tokens are %v's", how, claimsOf(t, out["id_token"].(string))["sub"])
		}
		if q := p.open(c.request(url.Values{"prompt": {"none"}, "id_token_hint": {first["id_token"].(string)}})).came(c); q.Get("error") != "login_required" {
			t.Errorf("%s: asked for the first one again: %v", how, q)
		}
	}
}

// TestReg_R69_EveryTokenItsOwnPlace: a token is good where it is meant to be, and
// nowhere else; run out, revoked, cut, or made by another server, nowhere at all.
func TestReg_R69_EveryTokenItsOwnPlace(t *testing.T) {
	w, stranger := newWorld(t), newWorld(t)
	backend := w.Dev.Facts.Clients["backend"]
	const api = "https://api.example/"
	w.client(t, apps.Client{ID: "rp", Kind: apps.Backend, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, Resources: []string{api},
		Grants: []string{apps.GrantCode, apps.GrantRefresh, apps.GrantExchange, apps.GrantCIBA}}}, confSecret)
	c := w.party(t, "rp", confSecret)
	signIn := func(w *world, c party, resource ...string) map[string]any {
		p := w.person(t).open(c.request(url.Values{"resource": resource})).passes(w)
		status, out := c.redeem(t, p.came(c).Get("code"))
		if status != 200 {
			t.Fatalf("%d %v", status, out)
		}
		return out
	}
	old := signIn(w, c)
	w.Pass(11 * time.Minute)
	revoked, good := signIn(w, c), signIn(w, c)
	c.post(t, "/oidc/revoke", url.Values{"token": {revoked["refresh_token"].(string)}})
	foreign := signIn(stranger, stranger.party(t, "demo-web", ""))
	me, _ := w.user(t, nil)
	text := func(tokens map[string]any, name string) string { s, _ := tokens[name].(string); return s }
	tokens := map[string]string{
		"access": text(good, "access_token"), "identity": text(good, "id_token"), "refresh": text(good, "refresh_token"),
		"session": me.bearer, "client": text(w.token(t, backend.ID, backend.Secret, ""), "access_token"),
		"old access": text(old, "access_token"), "old identity": text(old, "id_token"), "revoked access": text(revoked, "access_token"),
		"for another": text(signIn(w, c, api), "access_token"), "foreign access": text(foreign, "access_token"), "foreign identity": text(foreign, "id_token"), "cut": text(good, "access_token")[:len(text(good, "access_token"))-2], "nothing": "", "junk": "a.b.c",
	}
	q := func(p *person) url.Values { return p.at.Query() }
	sinks := map[string]struct {
		good []string
		ask  func(token string) bool
	}{
		"userinfo": {[]string{"access"}, func(s string) bool { status, _ := c.userinfo(t, s); return status == 200 }},
		"introspection": {[]string{"access", "for another", "refresh", "session", "client"}, func(s string) bool {
			_, out := c.post(t, "/oidc/introspect", url.Values{"token": {s}})
			return out["active"] == true
		}},
		"exchange": {[]string{"access", "for another"}, func(s string) bool {
			status, _ := c.token(t, url.Values{"grant_type": {apps.GrantExchange}, "subject_token": {s}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "resource": {api}})
			return status == 200
		}},
		"the user's API":   {[]string{"session"}, func(s string) bool { status, _ := (rest{w, s}).do(t, "GET /v1/users/me", nil); return status == 200 }},
		"a back end's API": {[]string{"client"}, func(s string) bool { status, _ := (rest{w, s}).do(t, "GET /v1/users", nil); return status == 200 }},
		"a hint": {[]string{"identity", "old identity", "nothing"}, func(s string) bool {
			return q(w.person(t).open(c.request(url.Values{"prompt": {"none"}, "id_token_hint": {s}}))).Get("error") == "login_required"
		}},
		"a hint to sign out": {[]string{"identity", "old identity"}, func(s string) bool {
			p := w.person(t).open(w.URL + "/session/end_session?" + url.Values{"id_token_hint": {s}, "post_logout_redirect_uri": {c.back}}.Encode())
			return p.at.Path == "/callback"
		}},
		"a backchannel hint": {[]string{"identity", "old identity"}, func(s string) bool {
			_, out := c.post(t, "/oidc/bc-authorize", url.Values{"scope": {"openid"}, "id_token_hint": {s}})
			return out["error_description"] == "The user has no phone to be asked on."
		}},
		"a refresh": {[]string{"refresh"}, func(s string) bool { status, _ := c.refresh(t, s); return status == 200 }},
	}
	for sink, at := range sinks {
		for name, token := range tokens {
			if got, want := at.ask(token), slices.Contains(at.good, name); got != want {
				t.Errorf("%s at %s: taken %v", name, sink, got)
			}
		}
		if status, out := c.refresh(t, tokens["refresh"]); status == 200 { // what comes after uses the newest
			tokens["refresh"] = out["refresh_token"].(string)
		}
	}
}

// TestReg_R70_EveryGrantOnItsOwn: a client that was given one grant gets tokens by
// no other.
func TestReg_R70_EveryGrantOnItsOwn(t *testing.T) {
	w := newWorld(t)
	for n, only := range apps.Grants {
		id := fmt.Sprintf("only-%d", n)
		w.client(t, apps.Client{ID: apps.ClientID(id), Kind: apps.Backend, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, Grants: []string{only}, Permissions: []string{"users:read"}}}, confSecret)
		c := w.party(t, id, confSecret)
		for _, grant := range apps.Grants {
			status, out := c.token(t, url.Values{"grant_type": {grant}, "code": {"x"}, "refresh_token": {"x"}, "device_code": {"x"}, "auth_req_id": {"x"}, "subject_token": {"x"}})
			if refused := out["error"] == "unauthorized_client"; refused == (grant == only) || status == 200 && grant != apps.GrantClient {
				t.Errorf("%s may ask by %s: %d %v", only, grant, status, out)
			}
		}
		for path, needs := range map[string]string{"/oidc/device_authorization": apps.GrantDevice, "/oidc/bc-authorize": apps.GrantCIBA} {
			_, out := c.post(t, path, url.Values{"scope": {"openid"}})
			if refused := out["error"] == "unauthorized_client"; refused == (needs == only) {
				t.Errorf("%s at %s: %v", only, path, out)
			}
		}
		u, err := url.Parse(c.request(nil))
		if err != nil {
			t.Fatal(err)
		}
		_, out := c.post(t, "/oidc/par", u.Query())
		if refused := out["error"] == "unauthorized_client"; refused == (only == apps.GrantCode) {
			t.Errorf("%s pushing: %v", only, out)
		}
		for _, grant := range []string{"password", "implicit", "", "urn:ietf:params:oauth:grant-type:jwt-bearer"} {
			if _, out := c.token(t, url.Values{"grant_type": {grant}, "username": {"ada"}, "password": {w.Dev.Facts.User.Password}}); out["error"] != "unsupported_grant_type" {
				t.Errorf("%q: %v", grant, out)
			}
		}
	}
}

// TestReg_R72_NothingIsReflected: whatever stands in a parameter, a page shows it
// as text, and no page lets a script in.
func TestReg_R72_NothingIsReflected(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	corpus := []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'-alert(1)-'`, `javascript:alert(1)`, `</title><svg onload=alert(1)>`, "\"\r\nSet-Cookie: x=y", `{{.App}}`}
	look := func(where string, p *person, header http.Header, payload string) {
		if strings.ContainsAny(payload, `<>"`) && strings.Contains(p.page, payload) {
			t.Errorf("%s shows %q as it is", where, payload)
		}
		if strings.Contains(p.page, "<script>alert") || strings.Contains(p.page, "onerror=alert(1)>") && !strings.Contains(p.page, html.EscapeString("onerror=alert(1)>")) || strings.Contains(p.page, `href="javascript:`) {
			t.Errorf("%s with %q:\n%s", where, payload, p.page)
		}
		policy := header.Get("Content-Security-Policy")
		if strings.Contains(header.Get("Content-Type"), "html") && header.Get("Location") == "" && (!strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, " :") || !strings.Contains(policy, "frame-ancestors 'none'")) {
			t.Errorf("%s: policy %q", where, policy)
		}
		if header.Get("Set-Cookie") == "x=y" || strings.Contains(policy, "alert") {
			t.Errorf("%s: headers %v", where, header)
		}
	}
	ask := func(where, address, payload string) {
		t.Helper()
		p := w.person(t)
		p.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if !strings.HasPrefix(r.URL.String(), w.URL) {
				return http.ErrUseLastResponse
			}
			return nil
		}
		r, err := p.client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		header := r.Header
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		p.page = string(b)
		if to := header.Get("Location"); to != "" && !strings.HasPrefix(to, c.back) && !strings.HasPrefix(to, "/") {
			t.Errorf("%s leads to %s", where, to)
		}
		look(where, p, header, payload)
	}
	for _, payload := range corpus {
		for _, name := range []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "prompt", "max_age", "acr_values", "login_hint", "ui_locales", "id_token_hint", "request", "request_uri", "code_challenge", "code_challenge_method", "authorization_details", "resource", "dpop_jkt", "display", payload} {
			ask("authorize "+name, c.request(url.Values{name: {payload}}), payload)
		}
		ask("state by form_post", c.request(url.Values{"prompt": {"none"}, "response_mode": {"form_post"}, "state": {payload}}), payload)
		for _, path := range []string{"/device?user_code=", "/session/end_session?client_id=", "/session/end_session?id_token_hint=", "/session/end_session?client_id=demo-web&post_logout_redirect_uri=", "/session/end_session?client_id=demo-web&state=", "/login/demo-web/sign_in?ui_locales=", "/authorize/continue?ticket=", "/login/run/"} {
			ask(path, w.URL+path+url.QueryEscape(payload), payload)
		}
	}
}

// TestReg_R82_ReservedClaims: neither what an operator maps nor what a journey adds
// says anything that is ours to say.
func TestReg_R82_ReservedClaims(t *testing.T) {
	w := newWorld(t)
	custom, mapped, drawn := map[string]any{"plan": "gold"}, map[string]string{"plan": "plan"}, map[string]any{"tier": "first"}
	names := []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "azp", "acr", "amr", "auth_time", "sid", "nonce", "at_hash", "c_hash", "cnf", "client_id", "scope", "tid", "act", "authorization_details", "org_id"}
	for _, name := range names {
		if !session.Reserved(name) {
			t.Errorf("%s is not reserved", name)
		}
		custom["evil_"+name], mapped[name], drawn[name] = "evil", "evil_"+name, "evil"
	}
	w.rest(t).want(t, 200, "PUT /v1/users/"+string(w.ada(t).ID), map[string]any{"custom_data": custom})
	claims, err := json.Marshal(drawn)
	if err != nil {
		t.Fatal(err)
	}
	w.publish(t, strings.NewReplacer(`"id": "sso"`, `"id": "drawn"`, `"kind": "sso"`, `"kind": "client"`, `{"shop": "north", "sub": "somebody else"}`, string(claims)).Replace(ssoJourney))
	c := w.party(t, "mapper", "")
	w.client(t, apps.Client{ID: "mapper", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, Claims: mapped, Journey: "drawn"}}, "")
	p := w.person(t).open(c.request(nil)).post("password", url.Values{"username": {"ada"}, "password": {w.Dev.Facts.User.Password}})
	status, tokens := c.redeem(t, p.came(c).Get("code"))
	if status != 200 {
		t.Fatalf("%d %v", status, tokens)
	}
	id := claimsOf(t, tokens["id_token"].(string))
	_, info := c.userinfo(t, tokens["access_token"].(string))
	if id["plan"] != "gold" || id["tier"] != "first" || info["plan"] != "gold" {
		t.Errorf("what may be said: %v %v", id, info)
	}
	for what, doc := range map[string]map[string]any{"identity token": id, "access token": claimsOf(t, tokens["access_token"].(string)), "userinfo": info} {
		for name, v := range doc {
			if v == "evil" {
				t.Errorf("%s: %s is %v", what, name, v)
			}
		}
	}
}

// TestReg_R88_KeysOfOneClientOnly: what was fetched for one client is nobody
// else's, whatever the names in it.
func TestReg_R88_KeysOfOneClientOnly(t *testing.T) {
	w, at := listening(t)
	keys := map[string]string{}
	at.serves = keys
	ask := func(c signer, as string) int {
		t.Helper()
		assertion := signs(t, c.key, nil, false, c.claims(map[string]any{"iss": as, "sub": as}))
		status, _ := (party{w: w, id: as}).token(t, url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion}})
		return status
	}
	var list []signer
	for _, id := range []string{"one", "two"} {
		key, set := newKey(t)
		keys["/"+id] = set
		w.client(t, apps.Client{ID: apps.ClientID(id), Kind: apps.Web, Settings: apps.ClientSettings{Auth: "private_key_jwt", JWKSURI: at.URL + "/" + id, Grants: []string{apps.GrantClient}, Permissions: []string{"users:read"}}}, "")
		list = append(list, signer{party: w.party(t, id, ""), key: key})
	}
	for range 2 { // cold, then warm
		for _, c := range list {
			for _, as := range []string{"one", "two"} {
				if got, want := ask(c, as), map[bool]int{true: 200, false: 401}[c.id == as]; got != want {
					t.Errorf("the key of %s as %s: %d", c.id, as, got)
				}
			}
		}
	}
	// A key that was replaced counts once the set is fetched anew.
	list[0].key, keys["/one"] = newKey(t)
	w.Pass(time.Minute)
	if got := ask(list[0], "one"); got != 200 {
		t.Errorf("the new key: %d", got)
	}
}

// TestReg_R89_NothingOutlivesItsLimits: what comes of something never lasts longer
// than that does.
func TestReg_R89_NothingOutlivesItsLimits(t *testing.T) {
	w := newWorld(t)
	const api = "https://api.example/"
	w.client(t, apps.Client{ID: "rp", Kind: apps.Backend, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, Resources: []string{api}, Grants: []string{apps.GrantCode, apps.GrantRefresh, apps.GrantExchange}}}, confSecret)
	c := w.party(t, "rp", confSecret)
	p := w.person(t).open(c.request(nil)).passes(w)
	_, tokens := c.redeem(t, p.came(c).Get("code"))
	access := tokens["access_token"].(string)
	exchange := func() (int, map[string]any) {
		return c.token(t, url.Values{"grant_type": {apps.GrantExchange}, "subject_token": {access}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "resource": {api}})
	}
	for range 3 {
		w.Pass(3 * time.Minute)
		status, out := exchange()
		if status != 200 || claimsOf(t, out["access_token"].(string))["exp"].(float64) > claimsOf(t, access)["exp"].(float64) {
			t.Errorf("exchanged: %d %v", status, out)
		}
	}
	w.Pass(time.Minute)
	if status, _ := exchange(); status != 400 {
		t.Errorf("exchanged after its end: %d", status)
	}
	// A session lasts a day, whatever is done with it; what was to outlive it, a
	// month, however often it was made new.
	refresh := tokens["refresh_token"].(string)
	for day := range 32 {
		w.Pass(24*time.Hour - 20*time.Minute)
		q := p.open(c.request(url.Values{"prompt": {"none"}})).came(c)
		if day == 0 && q.Get("code") == "" || day > 0 && q.Get("error") != "login_required" {
			t.Errorf("day %d: %v", day, q)
		}
		w.Pass(20 * time.Minute)
		status, out := c.refresh(t, refresh)
		if alive := day < 29; alive != (status == 200) {
			t.Fatalf("day %d: %d %v", day, status, out)
		}
		if status == 200 {
			refresh = out["refresh_token"].(string)
		}
	}
}

// TestReg_R90_NobodyIsToldWithoutTLS: whoever cannot show a certificate that
// counts is told nothing.
func TestReg_R90_NobodyIsToldWithoutTLS(t *testing.T) {
	_, shop := listening(t)
	w := openWith(t, kittest.Address(t), slog.New(slog.NewTextHandler(t.Output(), nil)), web.Egress(web.EgressOptions{Allow: []string{shop.Listener.Addr().String()}}))
	c := w.party(t, "told", "")
	w.client(t, apps.Client{ID: "told", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, LogoutURI: shop.URL + "/logout"}}, "")
	p := w.person(t).open(c.request(nil)).passes(w)
	_, tokens := c.redeem(t, p.came(c).Get("code"))
	p.open(w.URL + "/session/end_session?" + url.Values{"id_token_hint": {tokens["id_token"].(string)}}.Encode()).sees("Signed out")
	w.drain(t)
	if told := shop.took(); len(told) != 0 {
		t.Errorf("told: %+v", told)
	}
}
