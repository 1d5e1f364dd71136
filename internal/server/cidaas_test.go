package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
)

// vendor speaks the cidaas protocol, as its SDKs and the seed's guide do.
type vendor struct {
	w *world
	t testing.TB
	c party
}

func (w *world) vendor(t testing.TB) vendor { return vendor{w, t, w.party(t, "demo-web", "")} }

// do sends a request; the body is JSON, the answer the envelope.
func (v vendor) do(method, path string, in map[string]any, header ...string) (int, map[string]any) {
	v.t.Helper()
	var b []byte
	if in != nil {
		b, _ = json.Marshal(in)
	}
	r, err := http.NewRequest(method, v.w.URL+path, bytes.NewReader(b))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	return decoded(v.t, resp)
}

// want sends a request that must succeed, and returns its data.
func (v vendor) want(method, path string, in map[string]any, header ...string) map[string]any {
	v.t.Helper()
	status, out := v.do(method, path, in, header...)
	if status != 200 || out["success"] != true {
		v.t.Fatalf("%s %s: %d %v", method, path, status, out)
	}
	data, _ := out["data"].(map[string]any)
	return data
}

// refused sends a request that must be refused with a code.
func (v vendor) refused(what, code, path string, in map[string]any) {
	v.t.Helper()
	if status, out := v.do("POST", path, in); status < 400 || status >= 500 || out["code"] != code {
		v.t.Errorf("%s: %d %v, want %s", what, status, out, code)
	}
}

func (v vendor) request() string {
	v.t.Helper()
	return v.want("POST", "/authz-srv/authrequest/authz/generate", map[string]any{"client_id": v.c.id, "redirect_uri": v.c.back, "response_type": "code", "response_mode": "fragment", "scope": "openid email", "nonce": "n1"})["requestId"].(string)
}

func exchangeOf(data map[string]any) string {
	e, _ := data["exchange_id"].(map[string]any)
	s, _ := e["exchange_id"].(string)
	return s
}

// phoneOf is what a phone without a key shows.
type phoneOf map[string]any

func (p phoneOf) with(more map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range []map[string]any{p, more} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// enrolled is a phone of ada's, bound through the door by the number that the web
// shows.
func (v vendor) enrolled() (phone phoneOf, sub string) {
	v.t.Helper()
	p := v.w.person(v.t).open(v.c.request(nil)).passes(v.w)
	_, tokens := v.c.redeem(v.t, p.came(v.c).Get("code"))
	auth := []string{"Authorization", "Bearer " + tokens["access_token"].(string)}
	begun := v.want("POST", "/verification-srv/v2/setup/initiate/push", map[string]any{"verification_type": "push", "deviceInfo": map[string]any{"deviceId": ""}}, auth...)
	status := begun["status_id"].(string)
	if code, _ := v.do("POST", "/verification-srv/v2/notification/status/"+status, nil); code != 204 {
		v.t.Errorf("before the scan: %d", code)
	}
	phone = phoneOf{"client_id": begun["authenticator_client_id"], "device_id": "dev-1", "push_id": "fcm-token-1"}
	sub = begun["sub"].(string)
	scanned := v.want("POST", "/verification-actions-srv/setup/PUSH/scan", phone.with(map[string]any{"exchange_id": exchangeOf(begun), "sub": sub, "verificationType": "PUSH"}))
	if got := v.want("POST", "/verification-srv/v2/notification/status/"+status, nil)["status"]; got != "SCANNED" {
		v.t.Errorf("scanned: %v", got)
	}
	numbers, _ := scanned["push_random_numbers"].([]any)
	if len(numbers) != 4 || !slices.Contains(numbers, begun["push_selected_number"]) {
		v.t.Fatalf("numbers %v, selected %v", numbers, begun["push_selected_number"])
	}
	v.refused("without a code", "VER_0046", "/verification-srv/v2/setup/enroll/PUSH", phone.with(map[string]any{"exchange_id": exchangeOf(scanned)}))
	v.refused("another phone", "VER_0040", "/verification-srv/v2/setup/enroll/PUSH", phoneOf{"client_id": phone["client_id"], "device_id": "dev-2", "push_id": "fcm-token-1"}.with(map[string]any{"exchange_id": exchangeOf(scanned), "pass_code": begun["push_selected_number"]}))
	done := v.want("POST", "/verification-srv/v2/setup/enroll/PUSH", phone.with(map[string]any{"exchange_id": exchangeOf(scanned), "pass_code": begun["push_selected_number"]}), "deviceMake", "Google", "deviceModel", "Pixel 7")
	if done["enrolled"] != true {
		v.t.Fatalf("enrolled: %v", done)
	}
	if got := v.want("GET", "/verification-srv/verificationstatus/"+status, nil)["status"]; got != "ENROLLED" {
		v.t.Errorf("enrolled: %v", got)
	}
	v.want("PUT", "/verification-actions-srv/setup/users/friendlyname/PUSH/"+status, map[string]any{"friendly_name": "Ada's phone"}, auth...)
	return phone, sub
}

func (v vendor) state(status string) string {
	v.t.Helper()
	s, _ := v.want("GET", "/verification-srv/verificationstatus/"+status, nil)["status"].(string)
	return s
}

// TestCidaasSeed is the sequence of the seed's guide, from the first call to the
// code, with a phone that was enrolled through the door.
func TestCidaasSeed(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	phone, _ := v.enrolled()
	request := v.request()
	list := v.want("POST", "/verification-srv/public/graph/user/setup", map[string]any{"request_id": request, "identifier": "ada@example.org"})["configured_list"].([]any)
	first := list[0].(map[string]any)
	medium := first["mediums"].([]any)[0].(map[string]any)
	if first["type"] != "PUSH" || medium["key_name"] != "Ada's phone(Google, Pixel 7)" {
		t.Fatalf("methods: %v", list)
	}
	begun := v.want("POST", "/verification-srv/authentication/push/initiation", map[string]any{"usage_type": "PASSWORDLESS_AUTHENTICATION", "request_id": request, "medium_id": medium["id"], "email": "ada@example.org"})
	status, sub := begun["status_id"].(string), begun["sub"]
	if v.state(status) != "INITIATED" {
		t.Errorf("at first: %s", v.state(status))
	}
	seen := v.want("POST", "/verification-srv/authentication/push/push/acknowledge", phone.with(map[string]any{"exchange_id": exchangeOf(begun)}))
	if v.state(status) != "PUSH_ACKNOWLEDGED" || seen["sub"] != sub || seen["status_id"] != status {
		t.Errorf("acknowledged: %s %v", v.state(status), seen)
	}
	let := v.want("POST", "/verification-srv/authentication/push/allow", phone.with(map[string]any{"exchange_id": exchangeOf(seen)}))
	numbers, _ := let["push_random_numbers"].([]any)
	if v.state(status) != "ALLOWED" || len(numbers) != 4 || !slices.Contains(numbers, begun["push_selected_number"]) {
		t.Errorf("allowed: %s %v", v.state(status), let)
	}
	done := v.want("POST", "/verification-srv/authentication/push/verification", phone.with(map[string]any{"exchange_id": exchangeOf(let), "passcode": begun["push_selected_number"]}))
	if v.state(status) != "AUTHENTICATED" || exchangeOf(done) == exchangeOf(let) {
		t.Errorf("performed: %s %v", v.state(status), done)
	}
	p := w.person(t)
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	form := url.Values{"requestId": {request}, "verificationType": {"PUSH"}, "sub": {sub.(string)}, "status_id": {status}}
	r, err := p.client.PostForm(w.URL+"/login-srv/verification/login", form)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	back, err := r.Location()
	if err != nil || !strings.HasPrefix(back.String(), v.c.back+"#") {
		t.Fatalf("finished: %d %v %v", r.StatusCode, back, err)
	}
	q, _ := url.ParseQuery(back.Fragment)
	codes, tokens := v.do("POST", "/token-srv/token", map[string]any{"grant_type": "authorization_code", "code": q.Get("code"), "client_id": "demo-web", "redirect_uri": v.c.back, "code_verifier": "a stray one that means nothing at all here 0123456789"})
	if codes != 200 || tokens["access_token"] == nil || tokens["id_token"] == nil || tokens["refresh_token"] == nil || tokens["sub"] == nil {
		t.Fatalf("tokens: %d %v", codes, tokens)
	}
	if claims := claimsOf(t, tokens["id_token"].(string)); claims["nonce"] != "n1" || claims["sub"] != tokens["sub"] {
		t.Errorf("identity token: %v", claims)
	}
	if code, info := v.do("GET", "/users-srv/userinfo", nil, "access_token", tokens["access_token"].(string)); code != 200 || info["email"] != "ada@example.org" {
		t.Errorf("userinfo: %d %v", code, info)
	}
	// Once.
	r, err = p.client.PostForm(w.URL+"/login-srv/verification/login", form)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode < 400 {
		t.Errorf("finished twice: %d", r.StatusCode)
	}
}

// TestCidaasEnds: a wrong number and a denial end the request, time does, and none
// of them can be finished.
func TestCidaasEnds(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	phone, _ := v.enrolled()
	begin := func() (request, status, sub, number string, e1 string) {
		request = v.request()
		b := v.want("POST", "/verification-srv/authentication/PUSH/initiation", map[string]any{"usage_type": "PASSWORDLESS_AUTHENTICATION", "request_id": request, "username": "ada"})
		return request, b["status_id"].(string), b["sub"].(string), b["push_selected_number"].(string), exchangeOf(b)
	}
	finish := func(request, status, sub string) int {
		code, _ := v.do("POST", "/login-srv/verification/sdk/login/", map[string]any{"requestId": request, "sub": sub, "status_id": status, "verificationType": "PUSH", "trackId": nil})
		return code
	}
	step := func(path, id string, more map[string]any) map[string]any {
		return v.want("POST", "/verification-srv/authentication/push/"+path, phone.with(map[string]any{"exchange_id": id}), "x", "y")
	}
	request, status, sub, number, e1 := begin()
	if finish(request, status, sub) == 200 {
		t.Error("finished before anybody answered")
	}
	let := step("allow", exchangeOf(step("push/acknowledge", e1, nil)), nil)
	for _, n := range let["push_random_numbers"].([]any) {
		if n != number {
			v.refused("a wrong number", "VER_0041", "/verification-srv/authentication/push/verification", phone.with(map[string]any{"exchange_id": exchangeOf(let), "pass_code": n}))
			break
		}
	}
	if v.state(status) != "DENIED" || finish(request, status, sub) == 200 {
		t.Errorf("after a wrong number: %s", v.state(status))
	}
	v.refused("the right one afterwards", "VER_0033", "/verification-srv/authentication/push/verification", phone.with(map[string]any{"exchange_id": exchangeOf(let), "pass_code": number}))

	request, status, sub, _, e1 = begin()
	step("deny", exchangeOf(step("push/acknowledge", e1, nil)), nil)
	if v.state(status) != "DENIED" || finish(request, status, sub) == 200 {
		t.Errorf("after a denial: %s", v.state(status))
	}
	request, status, sub, _, e1 = begin()
	w.Pass(3 * time.Minute)
	v.refused("too late", "VER_0033", "/verification-srv/authentication/push/push/acknowledge", phone.with(map[string]any{"exchange_id": e1}))
	if v.state(status) != "DENIED" || finish(request, status, sub) == 200 {
		t.Errorf("after its time: %s", v.state(status))
	}

	// What was authenticated is finished once, for its own request, method and user.
	request, status, sub, number, e1 = begin()
	let = step("allow", exchangeOf(step("push/acknowledge", e1, nil)), nil)
	v.want("POST", "/verification-srv/authentication/push/verification", phone.with(map[string]any{"exchange_id": exchangeOf(let), "pass_code": number}))
	if finish(v.request(), status, sub) == 200 || finish(request, status, "11111111-1111-4111-a111-111111111111") == 200 {
		t.Error("finished for another request or user")
	}
	var ok int
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if finish(request, status, sub) == 200 {
				mu.Lock()
				ok++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if ok != 1 {
		t.Errorf("%d of 16 finished one flow", ok)
	}
}

// TestTwoDoors: a request that one door posed is answered through another, with
// one outcome.
func TestTwoDoors(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	ours := w.registered(t, "ada@example.org", 0)
	request := v.request()
	list := v.want("POST", "/verification-srv/v2/setup/public/configured/list", map[string]any{"request_id": request, "email": "ada@example.org"})["configured_list"].([]any)
	medium := list[0].(map[string]any)["mediums"].([]any)[0].(map[string]any)
	if !strings.Contains(medium["key_name"].(string), "Pixel 9") {
		t.Errorf("the phone is called %v", medium)
	}
	b := v.want("POST", "/verification-srv/v2/authenticate/initiate/PUSH", map[string]any{"usage_type": "PASSWORDLESS_AUTHENTICATION", "request_id": request, "medium_id": medium["id"], "email": "ada@example.org"})
	status, sub := b["status_id"].(string), b["sub"].(string)
	if err := ours.Approve(t.Context(), pending(t, ours).ID, b["push_selected_number"].(string)); err != nil {
		t.Fatal(err)
	}
	if v.state(status) != "AUTHENTICATED" {
		t.Errorf("answered by our own phone: %s", v.state(status))
	}
	if code, out := v.do("POST", "/login-srv/verification/sdk/login", map[string]any{"requestId": request, "sub": sub, "status_id": status, "verificationType": "push"}); code != 200 {
		t.Errorf("finished: %d %v", code, out)
	}
}

// TestCidaasOthers: the methods that ask for a code, a level that needs two of
// them, and the list for somebody whom nobody knows.
func TestCidaasOthers(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	request := v.request()
	with := func(kind string, more map[string]any) map[string]any {
		in := map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": request, "identifier": "ada@example.org"}
		for k, x := range more {
			in[k] = x
		}
		return v.want("POST", "/verification-srv/authentication/"+kind+"/initiation", in)
	}
	b := with("password", nil)
	v.refused("a wrong password", "VER_0041", "/verification-srv/authentication/password/verification", map[string]any{"exchange_id": exchangeOf(b), "password": "wrong"})
	v.want("POST", "/verification-srv/authentication/password/verification", map[string]any{"exchange_id": exchangeOf(b), "password": w.Dev.Facts.User.Password})
	if code, out := v.do("POST", "/login-srv/verification/sdk/login", map[string]any{"requestId": request, "sub": b["sub"], "status_id": b["status_id"], "verificationType": "PASSWORD"}); code != 200 || out["data"].(map[string]any)["code"] == nil {
		t.Errorf("by a password: %d %v", code, out)
	}
	request = v.request()
	b = with("email", nil)
	code := w.sentCode(t, "mail", "ada@example.org", 1)
	v.want("POST", "/verification-srv/v2/authenticate/authenticate/EMAIL", map[string]any{"exchange_id": exchangeOf(b), "pass_code": code})
	if code, out := v.do("POST", "/login-srv/verification/sdk/login", map[string]any{"requestId": request, "sub": b["sub"], "status_id": b["status_id"], "verificationType": "email"}); code != 200 {
		t.Errorf("by a mailed code: %d %v", code, out)
	}

	// Two factors where the request wants them.
	request = v.want("POST", "/authz-srv/authrequest/authz/generate", map[string]any{"client_id": v.c.id, "redirect_uri": v.c.back, "scope": "openid", "acr_values": "urn:watchword:aal2"})["requestId"].(string)
	b = with("password", nil)
	v.want("POST", "/verification-srv/authentication/password/verification", map[string]any{"exchange_id": exchangeOf(b), "password": w.Dev.Facts.User.Password})
	half := v.want("POST", "/login-srv/verification/sdk/login", map[string]any{"requestId": request, "sub": b["sub"], "status_id": b["status_id"], "verificationType": "PASSWORD"})
	if half["viewtype"] != "mfa_required" || half["code"] != nil {
		t.Fatalf("after one factor: %v", half)
	}
	list := v.want("POST", "/verification-srv/public/graph/user/setup", map[string]any{"request_id": request, "sub": half["sub"]})["configured_list"].([]any)
	if len(list) < 2 {
		t.Errorf("methods of who is half signed in: %v", list)
	}
	b = v.want("POST", "/verification-srv/authentication/email/initiation", map[string]any{"usage_type": "MULTIFACTOR_AUTHENTICATION", "request_id": request, "sub": half["sub"]})
	code = w.sentCode(t, "mail", "ada@example.org", 2)
	v.want("POST", "/verification-srv/v2/authenticate/authenticate/EMAIL", map[string]any{"exchange_id": exchangeOf(b), "pass_code": code})
	if code, out := v.do("POST", "/login-srv/precheck/continue/sdk/"+half["track_id"].(string), map[string]any{"requestId": request, "sub": b["sub"], "status_id": b["status_id"], "verificationType": "EMAIL"}); code != 200 || out["data"].(map[string]any)["code"] == nil {
		t.Errorf("after two factors: %d %v", code, out)
	}

	// Nobody.
	request = v.request()
	ask := map[string]any{"request_id": request, "email": "nobody@example.org"}
	one, _ := json.Marshal(v.want("POST", "/verification-srv/public/graph/user/setup", ask))
	ask["request_id"] = v.request()
	two, _ := json.Marshal(v.want("POST", "/verification-srv/public/graph/user/setup", ask))
	if string(one) != string(two) || !strings.Contains(string(one), `"EMAIL"`) {
		t.Errorf("the list of nobody: %s, then %s", one, two)
	}
	b = v.want("POST", "/verification-srv/authentication/email/initiation", map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": request, "email": "nobody@example.org"})
	v.refused("nobody's code", "VER_0041", "/verification-srv/authentication/email/verification", map[string]any{"exchange_id": exchangeOf(b), "pass_code": "123456"})
	b = v.want("POST", "/verification-srv/authentication/push/initiation", map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": request, "email": "nobody@example.org"})
	if v.state(b["status_id"].(string)) != "INITIATED" || b["push_selected_number"] == nil {
		t.Errorf("nobody's phone: %v", b)
	}
	for word, code := range map[string]string{"PATTERN": "VER_0028", "voice": "VER_0028", "TELEPATHY": "VER_0030"} {
		v.refused(word, code, "/verification-srv/v2/authenticate/initiate/"+word, map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": request, "email": "ada@example.org"})
	}
	v.refused("no request", "VER_0006", "/verification-srv/public/graph/user/setup", map[string]any{"request_id": "df08cabb-4b8c-4181-9f6f-f6948802ebf7", "email": "ada@example.org"})
	w.client(t, apps.Client{ID: "plain", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{v.c.back}}}, "")
	if code, _ := v.do("POST", "/authz-srv/authrequest/authz/generate", map[string]any{"client_id": "plain", "redirect_uri": v.c.back}); code != 400 {
		t.Errorf("a client that is none of the vendor's: %d", code)
	}
}

// TestCidaasThirdParty: what a user lets a third party know is no leave to bind a
// phone to them.
func TestCidaasThirdParty(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	for id, s := range map[apps.ClientID]apps.ClientSettings{"plain": {}, "guest": {Cidaas: true, ThirdParty: true}} {
		s.RedirectURIs = []string{"http://127.0.0.1:*/callback"}
		w.client(t, apps.Client{ID: id, Kind: apps.Web, Settings: s}, "")
		c := w.party(t, string(id), "")
		p := w.person(t).open(c.request(nil)).passes(w)
		if s.ThirdParty {
			p.post("", nil)
		}
		_, tokens := c.redeem(t, p.came(c).Get("code"))
		if status, out := v.do("POST", "/verification-srv/v2/setup/initiate/PUSH", map[string]any{}, "Authorization", "Bearer "+tokens["access_token"].(string)); status != 401 {
			t.Errorf("%s: %d %v", id, status, out)
		}
	}
}

// TestCidaasForAnother: who was given a token of somebody's to read their orders
// binds no phone to them with it.
func TestCidaasForAnother(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	const api = "https://api.example/"
	w.client(t, apps.Client{ID: "shop", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, Cidaas: true, Resources: []string{api}}}, "")
	c := w.party(t, "shop", "")
	for _, resource := range []string{api, ""} {
		more, want := url.Values{}, 200
		if resource != "" {
			more.Set("resource", resource)
			want = 401
		}
		p := w.person(t).open(c.request(more)).passes(w)
		_, tokens := c.redeem(t, p.came(c).Get("code"))
		for _, path := range []string{"/verification-srv/v2/setup/initiate/PUSH", "/verification-srv/v2/setup/initiate/TOTP"} {
			if status, out := v.do("POST", path, map[string]any{}, "Authorization", "Bearer "+tokens["access_token"].(string)); status != want {
				t.Errorf("a token for %q at %s: %d %v", resource, path, status, out)
			}
		}
	}
}

// TestCidaasStrangers: wrong answers for somebody whom nobody knows are judged,
// counted and told like anybody's (R30, R31).
func TestCidaasStrangers(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	told := func(email string) (list []string) {
		for range 7 {
			b := v.want("POST", "/verification-srv/authentication/password/initiation", map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": v.request(), "email": email})
			status, out := v.do("POST", "/verification-srv/authentication/password/verification", map[string]any{"exchange_id": exchangeOf(b), "password": "wrong"})
			list = append(list, fmt.Sprint(status, out["code"], out["error_description"]))
		}
		return list
	}
	if known, nobody := told("ada@example.org"), told("nobody@example.org"); !slices.Equal(known, nobody) {
		t.Errorf("known: %v\nnobody: %v", known, nobody)
	}
	for _, kind := range []string{"sms", "totp"} { // ada has neither
		for _, email := range []string{"ada@example.org", "nobody@example.org"} {
			b := v.want("POST", "/verification-srv/authentication/"+kind+"/initiation", map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": v.request(), "email": email})
			v.refused(kind+" of "+email, "VER_0041", "/verification-srv/authentication/"+kind+"/verification", map[string]any{"exchange_id": exchangeOf(b), "pass_code": "123456"})
		}
	}
}

// TestCidaasForeignForm: a form that another site posts finishes nothing for the
// browser's session.
func TestCidaasForeignForm(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	for origin, keeps := range map[string]bool{"https://evil.example": false, w.URL: true} {
		request := v.request()
		b := v.want("POST", "/verification-srv/authentication/password/initiation", map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": request, "email": "ada@example.org"})
		v.want("POST", "/verification-srv/authentication/password/verification", map[string]any{"exchange_id": exchangeOf(b), "password": w.Dev.Facts.User.Password})
		form := url.Values{"requestId": {request}, "verificationType": {"PASSWORD"}, "sub": {b["sub"].(string)}, "status_id": {b["status_id"].(string)}}
		r, err := http.NewRequest(http.MethodPost, w.URL+"/login-srv/verification/login", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", origin)
		resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 302 || (len(resp.Cookies()) > 0) != keeps {
			t.Errorf("%s: %d, cookies %v", origin, resp.StatusCode, resp.Cookies())
		}
	}
}
