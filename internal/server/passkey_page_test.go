package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

const passkeyEntry = "/hosted/passkey/passkey-registration?register_webauthn_cred_token="

// TestPasskeyPage: a back end leaves the registration of a passkey to a page: its
// token is good for ten minutes and one passkey, of exactly the user it named, and
// leaves the address at once.
func TestPasskeyPage(t *testing.T) {
	w, c, sdk := passkeys(t)
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "external_user_id": "ext-1"})["user_id"].(string)
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "bob@example.org", "external_user_id": "ext-2"})
	in := map[string]any{"external_user_id": "ext-1", "webauthn_identifier": "ana@shop", "display_name": "Ana Lima", "redirect_uri": carriedTo + "?keep=1&x=y z"}
	hint := func(more map[string]any) (int, map[string]any) {
		t.Helper()
		return c.do(t, "POST /cis/v1/auth/webauthn/external/register/hosted/hint", joined(in, more))
	}
	for name, bad := range map[string]struct {
		more   map[string]any
		status int
		word   string
	}{
		"another page": {nil, 400, "system_invalid_input"}, "nobody": {map[string]any{"redirect_uri": carriedTo, "external_user_id": "ext-9"}, 404, "user_not_found"},
		"no name":         {map[string]any{"redirect_uri": carriedTo, "webauthn_identifier": ""}, 400, "system_invalid_input"},
		"somebody's name": {map[string]any{"redirect_uri": carriedTo, "webauthn_identifier": "bob@example.org"}, 409, "conflict"},
		"a long name":     {map[string]any{"redirect_uri": carriedTo, "webauthn_identifier": strings.Repeat("n", 321)}, 400, "system_invalid_input"},
	} {
		if got, body := hint(bad.more); got != bad.status || body["error_code"] != bad.word {
			t.Errorf("%s: %d %v", name, got, body)
		}
	}
	in["redirect_uri"] = carriedTo
	token := func() string {
		t.Helper()
		got, body := hint(nil)
		if s, _ := body["register_webauthn_cred_token"].(string); got == 200 && s != "" {
			return s
		}
		t.Fatalf("%d %v", got, body)
		return ""
	}
	for _, none := range []string{"", "x", "chl_x.y", token() + "x", token()[:20]} {
		if p := w.person(t).open(w.URL + passkeyEntry + url.QueryEscape(none)); p.status != http.StatusGone {
			t.Errorf("with the token %q: %d", none, p.status)
		}
	}

	// The page says for whom and where, and its address tells nothing.
	first := token()
	p := w.person(t).open(w.URL + "/cis" + passkeyEntry + first).sees("Ana Lima").sees("Northwind").sees("Add a passkey")
	if secret := strings.Split(first, ".")[1]; strings.Contains(p.at.String(), secret) || strings.Contains(p.page, secret) {
		t.Errorf("the token stays: %s", p.at)
	}
	page := p.at.String()
	if q := w.person(t).open(page); q.status != http.StatusGone {
		t.Errorf("another browser at that address: %d", q.status)
	}
	post := func(p *person, at string, form url.Values) *person {
		t.Helper()
		return p.read(p.client.PostForm(at, form))
	}
	if q := post(w.person(t), page, url.Values{"webauthn_encoded_result": {sdk.created(t, simulator.NewPasskey(passkeyPage), "ana@shop")}}); q.status != http.StatusGone {
		t.Errorf("another browser posts to it: %d", q.status)
	}
	for name, result := range map[string]string{"no result": "", "nonsense": "x", "a passkey of another name": sdk.created(t, simulator.NewPasskey(passkeyPage), "bob@example.org"), "of no name of ours": sdk.created(t, simulator.NewPasskey(passkeyPage), "eve@shop")} {
		if post(p, page, url.Values{"webauthn_encoded_result": {result}}); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.page, "Ana Lima") || !strings.Contains(p.page, `role="alert"`) {
			t.Errorf("%s: %d\n%s", name, p.status, p.page)
		}
	}
	r, err := http.NewRequest(http.MethodPost, page, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://evil.example")
	if q := w.person(t).read(http.DefaultClient.Do(r)); q.status != http.StatusForbidden {
		t.Errorf("posted by another site: %d", q.status)
	}
	key := simulator.NewPasskey(passkeyPage)
	made := sdk.created(t, key, "ana@shop")
	if post(p, page, url.Values{"webauthn_encoded_result": {made}}).sees("The passkey was added"); p.status != 200 || p.next() != carriedTo {
		t.Errorf("made: %d, and on to %s", p.status, p.next())
	}
	for _, at := range []string{page, w.URL + passkeyEntry + first} {
		if p.open(at); p.status != http.StatusGone || at != page && !strings.Contains(p.page, "Northwind") || strings.Contains(p.page, "Ana Lima") {
			t.Errorf("%s afterwards: %d", at, p.status)
		}
	}
	if post(p, page, url.Values{"webauthn_encoded_result": {sdk.created(t, simulator.NewPasskey(passkeyPage), "ana@shop")}}); p.status != http.StatusGone {
		t.Errorf("a second passkey by one token: %d", p.status)
	}
	tokens := c.want(t, 200, "POST /v1/auth/webauthn/authenticate", map[string]any{"webauthn_encoded_result": sdk.got(t, key, "", nil)})
	if id := w.offline(t, tokens["id_token"].(string)); id["sub"] != u {
		t.Errorf("whose passkey it is: %v", id)
	}

	// Cancelled, it leads back and says so; in ten minutes it runs out.
	second := token()
	p.open(w.URL + passkeyEntry + second)
	page = p.at.String()
	if post(p, page, url.Values{"option": {"cancel"}}).sees("No passkey was added"); p.next() != carriedTo+"?error=access_denied" {
		t.Errorf("cancelled, and on to %s", p.next())
	}
	if p.open(w.URL + passkeyEntry + second); p.status != http.StatusGone {
		t.Errorf("after it was cancelled: %d", p.status)
	}
	third := token()
	p.open(w.URL + passkeyEntry + third).sees("Add a passkey")
	page = p.at.String()
	w.Pass(10 * time.Minute)
	if post(p, page, url.Values{"webauthn_encoded_result": {sdk.created(t, simulator.NewPasskey(passkeyPage), "ana@shop")}}); p.status != http.StatusGone {
		t.Errorf("after ten minutes: %d", p.status)
	}

	// Sixteen at once make one passkey.
	p.open(w.URL + passkeyEntry + token())
	page = p.at.String()
	var results []string
	for range 16 {
		results = append(results, sdk.created(t, simulator.NewPasskey(passkeyPage), "ana@shop"))
	}
	if n := atOnce(16, func(i int) bool {
		r, err := p.client.PostForm(page, url.Values{"webauthn_encoded_result": {results[i]}})
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	}); n != 1 {
		t.Errorf("%d of 16 made a passkey by one token", n)
	}
	if list := c.list(t, "GET /v1/users/"+u+"/authenticators"); count(list, "webauthn") != 2 {
		t.Errorf("passkeys: %v", list)
	}
	p.open(w.URL + passkeyEntry + token())
	page = p.at.String()
	c.want(t, 204, "POST /v1/users/"+u+"/suspend", nil)
	if post(p, page, url.Values{"webauthn_encoded_result": {sdk.created(t, simulator.NewPasskey(passkeyPage), "ana@shop")}}); p.status != http.StatusGone {
		t.Errorf("for somebody suspended meanwhile: %d", p.status)
	}
	if got, body := hint(nil); got != 403 || body["error_code"] != "user_not_active" {
		t.Errorf("for somebody suspended: %d %v", got, body)
	}
}

func count(list []map[string]any, kind string) int {
	n := 0
	for _, a := range list {
		if a["type"] == kind {
			n++
		}
	}
	return n
}

// TestPasskeyExternalNewcomer: user_email makes the user whom a back end vouches for,
// if the back end may make users.
func TestPasskeyExternalNewcomer(t *testing.T) {
	w, c, sdk := passkeys(t)
	id, secret := w.backend()
	in := func() map[string]any {
		return map[string]any{"external_user_id": "ext-7", "user_email": "ivo@example.org", "webauthn_encoded_result": sdk.created(t, simulator.NewPasskey(passkeyPage), "ivo")}
	}
	narrow := rest{w, w.token(t, id, secret, "authenticators:create")["access_token"].(string)}
	if got, _ := narrow.do(t, "POST /v1/auth/webauthn/external/register", in()); got != 404 {
		t.Errorf("without users:create: %d", got)
	}
	made := c.want(t, 201, "POST /v1/auth/webauthn/external/register", in())
	u := c.want(t, 200, "GET /v1/users/"+made["user_id"].(string), nil)
	if u["external_user_id"] != "ext-7" || obj(u, "email")["value"] != "ivo@example.org" || obj(u, "email")["email_verified"] != false {
		t.Errorf("the user: %v", u)
	}
	if again := c.want(t, 201, "POST /v1/auth/webauthn/external/register", in()); again["user_id"] != made["user_id"] {
		t.Errorf("a second passkey made another user: %v", again)
	}
}
