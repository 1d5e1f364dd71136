package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
)

// TestCidaasRequestIsNoSecret: whoever knows a request id, because they made it or
// saw it, gains nothing by what somebody else does with it (R36, R37, R46).
func TestCidaasRequestIsNoSecret(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)

	// On our own pages: ada signs in where an attacker's link led her. The attacker
	// has a page of the same request and comes back to it at every moment.
	request := v.request()
	attacker := w.person(t)
	attacker.open(w.URL + "/identity/login?requestId=" + request)
	victim := w.person(t).open(w.URL + "/identity/login?requestId=" + request)
	victim.sees("E-mail address or username").post("", url.Values{"username": {"ada@example.org"}})
	victim.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // her browser is slow
	at := *victim.at
	victim.post("password", url.Values{"password": {w.Dev.Facts.User.Password}})
	attacker.post("cancel", nil).open(attacker.at.String())
	if all := attacker.at.String() + attacker.page; strings.Contains(all, "code=") {
		t.Errorf("the attacker came back as ada: %s", all)
	}
	victim.client.CheckRedirect = nil
	if back := victim.open(at.String()).came(v.c); back.Get("code") == "" && !strings.Contains(victim.at.Fragment, "code=") {
		t.Errorf("ada did not get back to the client: %v", victim.at)
	}
	for _, form := range []url.Values{{"requestId": {request}}, {"requestId": {request}, "verificationType": {"PASSWORD"}, "sub": {""}, "status_id": {""}}} {
		if r, err := attacker.client.PostForm(w.URL+"/login-srv/verification/login", form); err != nil || r.StatusCode < 400 {
			t.Errorf("finished by the request id alone: %v %v", r, err)
		}
	}

	// On the client's pages: ada is half signed in. The request id, her name for it
	// and a second factor that the attacker began do not go on for her.
	request = v.wants(authn.AAL2)
	_, half := v.finish(request, "PASSWORD", v.byPassword(request))
	track := half["track_id"].(string)
	if track == request || !strings.HasPrefix(track, request+".") {
		t.Errorf("the track id is %s", track)
	}
	b := v.begin("EMAIL", request, map[string]any{"sub": half["sub"]})
	v.want("POST", "/verification-srv/v2/authenticate/authenticate/EMAIL", map[string]any{"exchange_id": exchangeOf(b), "pass_code": w.sentCode(t, "mail", "ada@example.org", 1)})
	goes := map[string]any{"requestId": request, "sub": b["sub"], "status_id": b["status_id"], "verificationType": "EMAIL"}
	for _, path := range []string{"/login-srv/verification/sdk/login", "/login-srv/precheck/continue/sdk/" + request, "/login-srv/precheck/continue/sdk/" + request + ".x", "/login-srv/precheck/continue/sdk/" + track + "x"} {
		if code, out := v.do("POST", path, goes); code == 200 {
			t.Errorf("%s went on without the track id: %v", path, out)
		}
	}
	// Between the factors nobody is signed in anywhere (R46).
	for _, call := range []string{"GET /users-srv/userinfo", "POST /verification-srv/v2/setup/initiate/PUSH", "POST /verification-actions-srv/setup/push/initiation/" + track, "POST /verification-actions-srv/setup/totp/initiate/" + track,
		"GET /verification-srv/config/list", "GET /verification-actions-srv/users/configurations"} {
		method, path, _ := strings.Cut(call, " ")
		for _, bearer := range []string{"", track, request, b["status_id"].(string)} {
			if code, out := v.do(method, path, nil, "Authorization", "Bearer "+bearer); code < 400 || code >= 500 {
				t.Errorf("%s between two factors: %d %v", call, code, out)
			}
		}
	}
	if tokens := v.goesOn(half); tokens == nil {
		t.Error("who has the track id does not go on")
	}
}

// TestCidaasStepUp: a level of assurance is reached by the factors that make it,
// not by any sign-in twice (R47).
func TestCidaasStepUp(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	request := v.wants(authn.AAL2)
	_, half := v.finish(request, "PASSWORD", v.byPassword(request))
	b := v.begin("PASSWORD", request, map[string]any{"sub": half["sub"]})
	v.want("POST", "/verification-srv/v2/authenticate/authenticate/PASSWORD", map[string]any{"exchange_id": exchangeOf(b), "password": w.Dev.Facts.User.Password})
	out := v.want("POST", "/login-srv/precheck/continue/sdk/"+half["track_id"].(string), map[string]any{})
	if out["viewtype"] != "mfa_required" || out["code"] != nil {
		t.Errorf("a password twice: %v", out)
	}
	// Enrolling another factor takes the second one that is there.
	phone, _ := v.enrolled()
	request = v.request()
	tokens, _ := v.finish(request, "PASSWORD", v.byPassword(request))
	if code, out := v.do("POST", "/verification-srv/v2/setup/initiate/FIDO2", map[string]any{}, bearer(tokens)...); code != 403 || out["code"] != "VER_0002" {
		t.Errorf("a passkey after a password, beside a phone: %d %v", code, out)
	}
	// And so does taking another phone away.
	unlink := func(header ...string) (int, map[string]any) {
		return v.do("POST", "/verification-srv/v2/manage/mfa/device/unlink", map[string]any{"client_id": phone["client_id"], "push_id": phone["push_id"], "sub": v.sub(tokens), "device_id": v.otherDevice(phone, tokens)}, header...)
	}
	w.registered(t, "ada@example.org", 0)
	if code, out := unlink("deviceId", "dev-1"); code != 401 {
		t.Errorf("another phone, by a phone: %d %v", code, out)
	}
	if code, out := unlink(append(bearer(tokens), "deviceId", "dev-1")...); code != 403 {
		t.Errorf("another phone, after one factor: %d %v", code, out)
	}
}

func (v vendor) sub(tokens map[string]any) any { return tokens["sub"] }

// otherDevice is the id of a phone beside this one, as its app lists it.
func (v vendor) otherDevice(phone phoneOf, tokens map[string]any) any {
	v.t.Helper()
	status, out := v.do("POST", "/verification-srv/v2/manage/mfa/device/list", map[string]any{"client_id": phone["client_id"], "push_id": phone["push_id"], "sub": []any{tokens["sub"]}}, "deviceId", "dev-1")
	list, _ := out["data"].([]any)
	if status != 200 || len(list) == 0 {
		v.t.Fatalf("linked phones: %d %v", status, out)
	}
	return list[0].(map[string]any)["device_id"]
}

// TestCidaasSessionStepUp: a session that does not reach the level is asked for
// another factor only, on the client's own page; a new sign-in is asked for where
// the session would have to be another or newer (R47).
func TestCidaasSessionStepUp(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	w.client(t, apps.Client{ID: "own-page", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{v.c.back}, Cidaas: true, LoginURI: "https://shop.example/login"}}, "")
	v.c.id = "own-page"
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	to := func(path string, more url.Values) url.Values {
		t.Helper()
		q := url.Values{"client_id": {v.c.id}, "redirect_uri": {v.c.back}, "response_type": {"code"}, "scope": {"openid"}, "code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}}
		for name, list := range more {
			q[name] = list
		}
		r, err := browser.Get(w.URL + path + "?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		at, err := r.Location()
		if err != nil || at.Host != "shop.example" {
			t.Fatalf("%s: %d %v", path, r.StatusCode, at)
		}
		return at.Query()
	}
	asked := to("/authorize", nil)
	b := v.byPassword(asked.Get("requestId"))
	if r, err := browser.PostForm(w.URL+"/login-srv/verification/login", url.Values{"requestId": {asked.Get("requestId")}, "verificationType": {"PASSWORD"}, "sub": {b["sub"].(string)}, "status_id": {b["status_id"].(string)}}); err != nil || r.StatusCode != http.StatusFound {
		t.Fatal(r, err)
	}
	for _, more := range []url.Values{{"prompt": {"login"}}, {"max_age": {"0"}}, {"login_hint": {"somebody.else@example.org"}}} {
		w.Pass(time.Second)
		more["acr_values"] = []string{authn.AAL2}
		if asked := to("/authz-srv/authz", more); asked.Get("view_type") != "login" || asked.Has("track_id") || asked.Has("sub") {
			t.Errorf("%v: %v", more, asked)
		}
	}
	asked = to("/authz-srv/authz", url.Values{"acr_values": {authn.AAL2}})
	request := asked.Get("requestId")
	if asked.Get("view_type") != "mfa_required" || asked.Get("sub") == "" || !strings.HasPrefix(asked.Get("track_id"), request+".") {
		t.Fatalf("asked for a second factor: %v", asked)
	}
	b = v.begin("EMAIL", request, map[string]any{"sub": asked.Get("sub")})
	v.want("POST", "/verification-srv/v2/authenticate/authenticate/EMAIL", map[string]any{"exchange_id": exchangeOf(b), "pass_code": w.sentCode(t, "mail", "ada@example.org", 1)})
	finish := func(track string) *url.URL {
		t.Helper()
		r, err := browser.PostForm(w.URL+"/login-srv/precheck/continue/"+track, url.Values{"track_id": {track}})
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		at, _ := r.Location()
		return at
	}
	if at := finish(request); at != nil {
		t.Errorf("without the track id: %v", at)
	}
	if at := finish(asked.Get("track_id")); at == nil || at.Query().Get("code") == "" {
		t.Fatalf("with both: %v", at)
	}
	if at := finish(asked.Get("track_id")); at != nil {
		t.Errorf("twice: %v", at)
	}
	w.Pass(6 * time.Minute) // and the session reaches it from now on
	r, err := browser.Get(w.URL + "/authz-srv/authz?" + url.Values{"client_id": {v.c.id}, "redirect_uri": {v.c.back}, "response_type": {"code"}, "acr_values": {authn.AAL2}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if at, _ := r.Location(); at == nil || at.Query().Get("code") == "" {
		t.Errorf("on the session that reaches it: %v", at)
	}
}

// TestCidaasHostedPage: our own pages offer a phone that signs nothing where the
// application says so, show the number and go back with a code.
func TestCidaasHostedPage(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	phone, sub := v.enrolled()
	if err := w.Kit.DB.Move(t.Context(), func(tx *db.Tx) error {
		doc, err := authn.Configured(t.Context(), tx, "demo", push.Kind)
		if err != nil {
			return err
		}
		doc["unsigned_phones"] = true
		return authn.Configure(t.Context(), tx, "demo", push.Kind, doc)
	}); err != nil {
		t.Fatal(err)
	}
	p := w.person(t).open(w.URL + "/authz-srv/authz?" + url.Values{"client_id": {v.c.id}, "redirect_uri": {v.c.back}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s"}}.Encode())
	p.sees("E-mail address or username").post("", url.Values{"username": {"ada@example.org"}})
	p.sees("How do you want to sign in").post("push", nil)
	number := regexp.MustCompile(`data-number="([0-9]{2})"`).FindStringSubmatch(p.page)
	if number == nil {
		t.Fatalf("no number on %s:\n%s", p.at, p.page)
	}
	id, _ := v.waiting(phone, sub)
	if code, out := v.answers(phone, id, number[1]); code != 200 {
		t.Fatalf("answered: %d %v", code, out)
	}
	if back := p.open(p.at.String()).came(v.c); back.Get("code") == "" || back.Get("state") != "s" {
		t.Errorf("came back with %v", back)
	}
}

// TestCidaasNothing: nothing, and what is none of its words, is never an answer to
// any step (R35).
func TestCidaasNothing(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	request := v.request()
	b := v.begin("PASSWORD", request, nil)
	id := exchangeOf(b)
	bodies := map[string][]string{
		"application/json":                  {"", "{}", "null", "[]", `""`, "0", `{"exchange_id":null}`, `{"exchange_id":""}`, `{"exchange_id":{}}`, `{"exchange_id":[]}`, `{"exchange_id":7}`, `{"exchange_id":"` + id + `"}`, `{"exchange_id":"` + id + `","password":""}`, `{"exchange_id":"` + id + `","password":null}`, `{"exchange_id":"` + id + `","password":{}}`, `{"exchange_id":"` + id + `","password":[]}`, `{"exchange_id":"` + id + `","password":["x"]}`, `{`, strings.Repeat("[", 5000)},
		"application/x-www-form-urlencoded": {"", "exchange_id=", "exchange_id=" + id, "exchange_id=" + id + "&password=", "%zz"},
		"multipart/form-data":               {"", "--"}, "text/plain": {"", "exchange_id=" + id}, "": {"", "{}"},
	}
	for _, path := range []string{"/verification-srv/v2/authenticate/authenticate/PASSWORD", "/verification-srv/authentication/push/verification", "/verification-srv/v2/authenticate/push_acknowledge/PUSH", "/verification-srv/v2/authenticate/allow/PUSH",
		"/verification-srv/v2/authenticate/reject/PUSH", "/verification-srv/v2/setup/scan/PUSH", "/verification-srv/v2/setup/enroll/PUSH", "/verification-srv/v2/setup/enroll/FACE", "/login-srv/verification/sdk/login", "/login-srv/verification/login", "/login-srv/login",
		"/login-srv/precheck/continue/x", "/verification-srv/v2/setup/device/update/pushid", "/verification-srv/v2/authenticate/initiate/PUSH", "/verification-srv/public/graph/user/setup", "/authz-srv/authrequest/authz/generate", "/token-srv/token"} {
		for kind, list := range bodies {
			for _, body := range list {
				r, err := http.NewRequest(http.MethodPost, w.URL+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				if kind != "" {
					r.Header.Set("Content-Type", kind)
				}
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode < 400 || resp.StatusCode >= 500 {
					t.Errorf("%s: %s %.80q: %d", path, kind, body, resp.StatusCode)
				}
			}
		}
	}
	if got := v.state(b["status_id"].(string)); got != "INITIATED" {
		t.Errorf("it stands at %s", got)
	}
}

// TestCidaasSharedBrowser: whoever signs in after somebody in one browser gets
// nothing of theirs, with or without a sign-out between; and who holds a session
// is let through until it is another's (R38, R39).
func TestCidaasSharedBrowser(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	authz := func(more url.Values) *url.URL {
		t.Helper()
		q := url.Values{"client_id": {v.c.id}, "redirect_uri": {v.c.back}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s1"}}
		for name, list := range more {
			q[name] = list
		}
		r, err := browser.Get(w.URL + "/authz-srv/authz?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		to, err := r.Location()
		if err != nil {
			t.Fatalf("authz: %d %v", r.StatusCode, err)
		}
		return to
	}
	login := func() (code string) {
		t.Helper()
		to := authz(nil)
		request := to.Query().Get("requestId")
		if to.Path != "/identity/login" || request == "" {
			t.Fatalf("sent to %v", to)
		}
		b := v.byPassword(request)
		r, err := browser.PostForm(w.URL+"/login-srv/verification/login", url.Values{"requestId": {request}, "verificationType": {"PASSWORD"}, "sub": {b["sub"].(string)}, "status_id": {b["status_id"].(string)}})
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		back, err := r.Location()
		if err != nil || r.StatusCode != http.StatusFound || back.Query().Get("state") != "s1" {
			t.Fatalf("finished: %d %v %v", r.StatusCode, back, err)
		}
		return back.Query().Get("code")
	}
	if to := authz(url.Values{"prompt": {"none"}}); to.Query().Get("error") != "login_required" {
		t.Errorf("silently, before anybody signed in: %v", to)
	}
	one := login()
	home, _ := url.Parse(w.URL)
	first := jar.Cookies(home)
	if to := authz(nil); to.Query().Get("code") == "" || to.Query().Get("code") == one {
		t.Errorf("on the session that stands: %v", to)
	}
	if to := authz(url.Values{"prompt": {"login"}}); to.Query().Get("requestId") == "" {
		t.Errorf("with prompt=login: %v", to)
	}
	if to := authz(url.Values{"acr_values": {authn.AAL2}}); to.Query().Get("requestId") == "" {
		t.Errorf("for a level that the session has not: %v", to)
	}
	// Somebody else signs in by the page's own form, for a request of theirs.
	request := authz(url.Values{"prompt": {"login"}}).Query().Get("requestId")
	b := v.byPassword(request)
	if _, err := browser.PostForm(w.URL+"/login-srv/verification/login", url.Values{"requestId": {request}, "verificationType": {"PASSWORD"}, "sub": {b["sub"].(string)}, "status_id": {b["status_id"].(string)}}); err != nil {
		t.Fatal(err)
	}
	second := jar.Cookies(home)
	for _, c := range first {
		for _, d := range second {
			if c.Name == d.Name && c.Value == d.Value {
				t.Errorf("the cookie %s outlived a sign-in", c.Name)
			}
		}
	}
	jar.SetCookies(home, first)
	if to := authz(nil); to.Query().Get("code") != "" {
		t.Error("the session before is still good")
	}
}

// TestCidaasWire: what SDKs send besides and around, what they are refused by, and
// what they may read.
func TestCidaasWire(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	const list = "/verification-srv/v2/setup/public/configured/list"
	r, err := http.NewRequest(http.MethodOptions, w.URL+list+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "http://localhost:4200")
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", "content-type,authorization,requestid,acceptlanguage,trackid,lat,lon")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 || resp.Header.Get("Access-Control-Allow-Origin") != "http://localhost:4200" || !strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "trackid") || resp.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: %d %v", resp.StatusCode, resp.Header)
	}
	request := v.request()
	for path, in := range map[string]map[string]any{
		list: {"request_id": request, "email": "ada@example.org", "username": "", "sub": nil, "unknown": map[string]any{"a": 1}, "attempt": 0},
		"//verification-srv//public/graph/user/setup/": {"request_id": request, "identifier": "ada@example.org"},
	} {
		if status, out := v.do("POST", path, in, "Origin", "http://localhost:4200", "acceptlanguage", "de", "lat", "", "lon", "", "trackId", "t", "requestId", request); status != 200 {
			t.Errorf("%s: %d %v", path, status, out)
		}
	}
	// Every refusal has the flat shape that each SDK reads.
	status, out := v.do("POST", list, map[string]any{"request_id": "df08cabb-4b8c-4181-9f6f-f6948802ebf7", "email": "ada@example.org"})
	for _, name := range []string{"code", "error", "error_description", "referenceNumber"} {
		if _, ok := out[name].(string); !ok {
			t.Errorf("a refusal without %s: %v", name, out)
		}
	}
	if status != 400 || out["success"] != false || out["status"] != 400.0 {
		t.Errorf("a refusal: %d %v", status, out)
	}
	for id, want := range map[string]int{"710792ba-32f9-4d2d-8584-fefa3a6d94b8": 204, "chl_NOBODY000000": 204, "no%20id": 400, "x": 400, strings.Repeat("a", 65): 400} {
		for _, call := range []string{"GET /verification-srv/verificationstatus/", "POST /verification-srv/v2/notification/status/"} {
			method, path, _ := strings.Cut(call, " ")
			if status, out := v.do(method, path+id, nil); status != want || want == 400 && out["code"] != "VER1075" {
				t.Errorf("%s%s: %d %v, want %d", call, id, status, out, want)
			}
		}
	}
	// Android up to 3.2.12 reads three members and no more.
	in := map[string]any{"usage_type": "PASSWORDLESS_AUTHENTICATION", "request_id": request, "email": "ada@example.org", "device_id": "d", "push_id": "p"}
	if data := v.want("POST", "/verification-srv/v2/authenticate/initiate/push", in, "User-Agent", "Cidaas-Dalvik/2.1.0 (Linux; U; Android 14)"); len(data) != 3 {
		t.Errorf("an old phone is told %v", data)
	}
	// The SDK asks for the code of a device by GET.
	w.client(t, apps.Client{ID: "tv", Kind: apps.Native, Settings: apps.ClientSettings{Cidaas: true, Grants: []string{apps.GrantDevice}}}, "")
	if status, out := v.do("GET", "/authz-srv/device/authz?client_id=tv", nil); status != 200 || out["device_code"] == nil || out["user_code"] == nil {
		t.Errorf("a device's code: %d %v", status, out)
	}
	if p := w.person(t).open(w.URL + "/token-srv/device/verify?user_code="); p.status != 200 || p.at.Path != "/device" {
		t.Errorf("where it is typed: %d %v", p.status, p.at)
	}
	// usage_type is a word of three, in its case.
	for usage, want := range map[string]string{"": "VER1004", "initial_authentication": "VER1004", "OTHER": "VER1004"} {
		v.refused("usage "+usage, want, "/verification-srv/v2/authenticate/initiate/PUSH", map[string]any{"usage_type": usage, "request_id": request, "email": "ada@example.org"})
	}
	// What a client allows is all it is shown, and can begin.
	w.client(t, apps.Client{ID: "narrow", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{v.c.back}, Cidaas: true, Methods: []string{"push", "Password"}}}, "")
	narrow := v.want("POST", "/authz-srv/authrequest/authz/generate", map[string]any{"client_id": "narrow", "redirect_uri": v.c.back})["requestId"]
	for _, who := range []string{"ada@example.org", "nobody@example.org", "nobody2@example.org", "n3@example.org"} {
		if list := fmt.Sprint(v.want("POST", list, map[string]any{"request_id": narrow, "email": who})); strings.Contains(list, "EMAIL") || strings.Contains(list, "TOTP") {
			t.Errorf("%s: %s", who, list)
		}
	}
	v.refused("a method that is not allowed", "VER_0028", "/verification-srv/v2/authenticate/initiate/EMAIL", map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": narrow, "email": "ada@example.org"})
}

// TestCidaasPages (R80): whatever a call of this door names - a client, a request,
// a flow, a token - the pages of that client read its answer and no others, whom it
// is not done for either. A preflight names nobody.
func TestCidaasPages(t *testing.T) {
	const shop, evil = "https://shop.example", "https://evil.example"
	w := newWorld(t)
	v := w.vendor(t)
	w.client(t, apps.Client{ID: "shop", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{v.c.back}, Cidaas: true, Origins: []string{shop}}}, "")
	v.c.id = "shop"
	call := func(method, path, origin string, in map[string]any, header ...string) (int, string, map[string]any) {
		t.Helper()
		b, _ := json.Marshal(in)
		r, err := http.NewRequest(method, w.URL+path, bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", origin)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		allowed := resp.Header.Get("Access-Control-Allow-Origin")
		if resp.Header.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(resp.Header.Get("Vary"), "Origin") {
			t.Errorf("%s %s: %v", method, path, resp.Header)
		}
		status, out := decoded(t, resp)
		return status, allowed, out
	}
	begin := map[string]any{"client_id": "shop", "redirect_uri": v.c.back}
	generate := "/authz-srv/authrequest/authz/generate"
	request := v.want("POST", generate, begin)["requestId"].(string)
	flow := v.byPassword(request)
	tokens, _ := v.finish(request, "PASSWORD", flow)
	request = v.want("POST", generate, begin)["requestId"].(string)
	open := v.begin("EMAIL", request, nil)
	status, exchange := open["status_id"].(string), map[string]any{"exchange_id": exchangeOf(open), "pass_code": "000000"}
	for _, c := range []struct {
		method, path string
		in           map[string]any
		header       []string
	}{
		{"POST", generate, begin, nil},
		{"POST", "/verification-srv/v2/setup/public/configured/list", map[string]any{"request_id": request, "email": "ada@example.org"}, nil},
		{"POST", "/verification-srv/public/graph/user/setup", map[string]any{"request_id": request, "identifier": "nobody@example.org"}, nil},
		{"POST", "/verification-srv/v2/authenticate/initiate/PASSWORD", map[string]any{"request_id": request, "email": "ada@example.org", "usage_type": "INITIAL_AUTHENTICATION"}, nil},
		{"POST", "/verification-srv/v2/notification/status/" + status, nil, nil},
		{"GET", "/verification-srv/verificationstatus/" + status, nil, nil},
		{"POST", "/verification-srv/v2/authenticate/authenticate/EMAIL", exchange, nil},
		{"POST", "/login-srv/verification/sdk/login", map[string]any{"requestId": request, "status_id": status, "sub": open["sub"], "verificationType": "EMAIL"}, nil},
		{"POST", "/login-srv/precheck/continue/sdk/" + request + ".x", map[string]any{}, nil},
		{"GET", "/public-srv/public/" + request, nil, nil},
		{"GET", "/verification-srv/config/list", nil, bearer(tokens)},
		{"GET", "/verification-actions-srv/users/configurations", nil, []string{"access_token", tokens["access_token"].(string)}},
		{"POST", "/verification-srv/v2/setup/initiate/PUSH", map[string]any{}, bearer(tokens)},
		{"POST", "/verification-srv/v2/authenticate/cancel/EMAIL", exchange, nil},
	} {
		status, allowed, out := call(c.method, c.path, evil, c.in, c.header...)
		if status != 403 || allowed != "" || out["data"] != nil {
			t.Errorf("%s %s from elsewhere: %d %q %v", c.method, c.path, status, allowed, out)
		}
		if status, allowed, out := call(c.method, c.path, shop, c.in, c.header...); allowed != shop || status == 403 && out["code"] == "VER_0001" {
			t.Errorf("%s %s from the shop: %d %q %v", c.method, c.path, status, allowed, out)
		}
	}
	// An enrolment is of the client whose page began it, not of the phone's.
	begun := v.want("POST", "/verification-srv/v2/setup/initiate/PUSH", map[string]any{}, bearer(tokens)...)
	if begun["authenticator_client_id"] == "shop" {
		t.Fatal("the phone has the client of the page")
	}
	for origin, want := range map[string]string{evil: "", shop: shop} {
		if _, allowed, _ := call("POST", "/verification-srv/v2/notification/status/"+begun["status_id"].(string), origin, nil); allowed != want {
			t.Errorf("an enrolment's status from %s: %q", origin, allowed)
		}
	}
	// Naming another client, which admits the page, besides does not help.
	w.client(t, apps.Client{ID: "evil", Kind: apps.Web, Settings: apps.ClientSettings{Cidaas: true, Origins: []string{evil}}}, "")
	if status, allowed, out := call("POST", "/verification-srv/v2/setup/public/configured/list", evil, map[string]any{"client_id": "evil", "request_id": request, "email": "ada@example.org"}); status != 403 || allowed != "" {
		t.Errorf("in the name of another client: %d %q %v", status, allowed, out)
	}
	// What names nobody tells nobody anything, and says so to any page.
	for path, in := range map[string]map[string]any{"/verification-srv/v2/setup/public/configured/list": {"request_id": "df08cabb-4b8c-4181-9f6f-f6948802ebf7", "email": "ada@example.org"}, generate: {"client_id": "nobody"}, "/verification-srv/v2/authenticate/cancel/PUSH": {"exchange_id": "x"}} {
		if status, allowed, out := call("POST", path, evil, in); status < 400 || allowed != evil || out["error"] == nil {
			t.Errorf("%s for nobody: %d %q %v", path, status, allowed, out)
		}
	}
}

// TestCidaasDecoys: the list for somebody unknown is stable, and made of what
// somebody's is made of (R31).
func TestCidaasDecoys(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	v.enrolled()
	list := func(who string) string {
		b, err := json.Marshal(v.want("POST", "/verification-srv/public/graph/user/setup", map[string]any{"request_id": v.request(), "identifier": who}))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	types := map[string]bool{}
	for i := range 40 {
		who := fmt.Sprintf("nobody%d@example.org", i)
		text := list(who)
		if text != list(strings.ToUpper(who)) {
			t.Errorf("the list of %s changes with the case of letters", who)
		}
		for _, word := range []string{"PUSH", "PASSWORD", "EMAIL", "TOTP", "FIDO2"} {
			if strings.Contains(text, `"type":"`+word+`"`) {
				types[word] = true
			}
		}
		if strings.Contains(text, "crd_") || strings.Contains(text, "dev_") {
			t.Errorf("an id that ours have: %s", text)
		}
	}
	if len(types) != 5 {
		t.Errorf("decoys have %v only", types)
	}
	if text := list("ada@example.org"); strings.Contains(text, "crd_") || strings.Contains(text, "dev_") || strings.Contains(text, "dev-1") || strings.Contains(text, "fcm-token") {
		t.Errorf("ada's list shows what a phone is known by: %s", text)
	}
}

// TestCidaasTiming compares how long the answers for somebody and for nobody take, in
// interleaved pairs (R30). TestCidaasCosts is the guard that no clock disturbs; this
// one sees what statements do not show. On a quiet machine WATCHWORD_TIMING=1 looks
// closer.
func TestCidaasTiming(t *testing.T) {
	pairs, apart := 40, tellable
	if os.Getenv("WATCHWORD_TIMING") != "" {
		pairs, apart = 400, 1.05
	}
	w := newWorld(t)
	v := w.vendor(t)
	v.enrolled()
	for name, path := range map[string]string{"list": "/verification-srv/public/graph/user/setup", "PUSH": "/verification-srv/v2/authenticate/initiate/PUSH", "EMAIL": "/verification-srv/v2/authenticate/initiate/EMAIL",
		"PASSWORD": "/verification-srv/v2/authenticate/initiate/PASSWORD", "FIDO2": "/verification-srv/v2/authenticate/initiate/FIDO2"} {
		kittest.Alike(t, apart, name+": somebody and nobody", func() [2][]time.Duration { return v.batch(path, pairs) })
	}
}

// TestCidaasPushBombing: what an application sets against phones that ring for
// nothing counts at this door, too (R48): another proof first, and a pause after
// several denials.
func TestCidaasPushBombing(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	phone, sub := v.enrolled()
	set := func(doc map[string]any) {
		t.Helper()
		w.do(t, func(tx *db.Tx) error {
			return authn.Adjust(t.Context(), tx, authn.Place{Tenant: "default", App: "demo"}, "push", doc)
		})
	}
	begin := func(request string, who map[string]any) (int, map[string]any) {
		t.Helper()
		in := map[string]any{"usage_type": "PASSWORDLESS_AUTHENTICATION", "request_id": request}
		for k, x := range who {
			in[k] = x
		}
		return v.do("POST", "/verification-srv/authentication/push/initiation", in)
	}
	rings := func() bool {
		t.Helper()
		code, _ := v.do("POST", "/verification-srv/v2/setup/device/pending/auth/list", phone.with(map[string]any{"sub": sub}))
		return code == 200
	}
	ada := map[string]any{"email": "ada@example.org"}
	set(map[string]any{"needs_proof": true})
	code, said := begin(v.request(), ada)
	nobody, other := begin(v.request(), map[string]any{"email": "nobody@example.org"})
	if rings() || code != nobody || len(said) != len(other) {
		t.Errorf("a name alone: rings %v, %d %v, for nobody %d %v", rings(), code, said, nobody, other)
	}
	request := v.wants(authn.AAL2)
	_, half := v.finish(request, "PASSWORD", v.byPassword(request))
	if begin(request, map[string]any{"sub": half["sub"]}); !rings() {
		t.Error("after a password it does not ring")
	}
	set(map[string]any{"needs_proof": false, "backoff_after": 3})
	for n := range 3 {
		code, out := begin(v.request(), ada)
		if code != 200 {
			t.Fatalf("request %d: %d %v", n, code, out)
		}
		data, _ := out["data"].(map[string]any)
		v.want("POST", "/verification-srv/authentication/push/deny", phone.with(map[string]any{"exchange_id": exchangeOf(data), "reason": "no"}))
	}
	if code, out := begin(v.request(), ada); code != 429 || rings() {
		t.Errorf("at once after three denials: %d %v, rings %v", code, out, rings())
	}
	w.Pass(31 * time.Second)
	if code, out := begin(v.request(), ada); code != 200 || !rings() {
		t.Errorf("after the pause: %d %v", code, out)
	}
}

// batch is how long somebody and nobody take, in so many pairs.
func (v vendor) batch(path string, pairs int) [2][]time.Duration {
	v.t.Helper()
	var took [2][]time.Duration
	var request string
	for i := range pairs - pairs%8 {
		if i%4 == 0 {
			v.w.Pass(16 * time.Minute) // limits count alike, and are no part of this
			request = v.request()
		}
		for side := range 2 {
			at := (side + i + i/4) % 2 // either is as often the first after a pause, a new request, and the jobs
			who := [2]string{"ada@example.org", "nob@example.org"}[at]
			took[at] = append(took[at], v.timed(path, map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": request, "identifier": who}))
		}
		v.w.drained(v.t)
	}
	return took
}
