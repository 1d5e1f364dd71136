package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
)

// carriedTo is a page of the demo application's.
const carriedTo = "http://localhost:4711/callback"

// carried is what a browser brings to a page: it stands in an address that leads
// exactly there.
func carried(t testing.TB, address, to, state string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	code := q.Get("code")
	if u.RawQuery = ""; u.String() != to || q.Get("state") != state || !strings.HasPrefix(code, "wwb_") || len(q) > 2 {
		t.Fatalf("the browser goes to %s", address)
	}
	return code
}

// pressed has the newest link to somebody pressed, and returns the code that the
// browser takes to the page.
func (w *world) pressed(t testing.TB, to string, atLeast int, state string) string {
	t.Helper()
	return carried(t, w.person(t).open(w.sentLink(t, to, atLeast)).post("", nil).sees("Signing you in").next(), carriedTo, state)
}

// trades is a client that trades codes, without any access token.
func (w *world) trades(t testing.TB, id, secret, code string) (int, map[string]any) {
	t.Helper()
	return rest{w: w}.do(t, "POST /cis/v1/token", map[string]any{"code": code, "client_id": id, "client_secret": secret})
}

func (w *world) backend() (id, secret string) {
	c := w.Dev.Facts.Clients["backend"]
	return c.ID, c.Secret
}

func joined(in map[string]any, more map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range []map[string]any{in, more} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// TestCarriedLink: a link of the redirect pair leads to the exact page with a code,
// after a click, and the client that had it sent trades the code, once.
func TestCarriedLink(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	id, secret := w.backend()
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/email", map[string]any{"linksPerUser": 20})
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})["user_id"].(string)
	in := map[string]any{"email": "ana@example.org", "redirect_uri": carriedTo, "state": "s1 &x"}
	for name, bad := range map[string]struct {
		more   map[string]any
		status int
		word   string
	}{
		"another page": {map[string]any{"redirect_uri": carriedTo + "/more"}, 400, "system_invalid_input"}, "no page": {map[string]any{"redirect_uri": ""}, 400, "system_invalid_input"},
		"a wildcard": {map[string]any{"redirect_uri": "http://localhost:*/callback"}, 400, "system_invalid_input"}, "MFA": {map[string]any{"require_mfa": true}, 400, "system_invalid_input"},
		"nobody": {map[string]any{"email": "nobody@example.org"}, 404, "user_not_found"}, "a long state": {map[string]any{"state": strings.Repeat("s", 513)}, 400, "system_invalid_input"},
	} {
		if got, body := c.do(t, "POST /v1/auth/links/email", joined(in, bad.more)); got != bad.status || body["error_code"] != bad.word {
			t.Errorf("%s: %d %v", name, got, body)
		}
	}
	sent := 0
	ask := func() string {
		t.Helper()
		c.want(t, 200, "POST /cis/v1/auth/links/email", joined(in, map[string]any{"claims": map[string]any{}, "resource": "x", "email_content": map[string]any{"subject": "Come in"}}))
		sent++
		return w.pressed(t, "ana@example.org", sent, "s1 &x")
	}

	c.want(t, 200, "POST /v1/auth/links/email", in)
	sent++
	link := w.sentLink(t, "ana@example.org", sent)
	scanner := w.person(t)
	for range 3 {
		scanner.open(link).sees("Sign in to")
	}
	p := w.person(t).open(link).post("", nil).sees("Signing you in")
	code := carried(t, p.next(), carriedTo, "s1 &x")
	if p.open(link); p.status != http.StatusGone {
		t.Errorf("a used link: %d", p.status)
	}
	if p.read(p.client.PostForm(link, nil)); p.status != http.StatusGone {
		t.Errorf("a used link pressed: %d", p.status)
	}
	if got, body := w.trades(t, id, "wws_wrong", code); got != 401 || body["ts_error_code"] != "unauthorized" {
		t.Errorf("a wrong secret: %d %v", got, body)
	}
	for _, part := range []string{"", code[:len(code)-1], code + "A", "wwj_" + code[4:], "wwb_" + strings.Repeat("A", 20_000)} {
		if got, body := w.trades(t, id, secret, part); got != 400 || body["error_code"] != "auth_invalid_credentials" {
			t.Errorf("part of a code: %d %v", got, body)
		}
	}
	if got, out := w.party(t, id, secret).token(t, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {carriedTo}}); got == 200 {
		t.Errorf("as a code of the authorization endpoint: %v", out)
	}
	if got, body := c.do(t, "POST /v1/auth/link/email/authenticate", map[string]any{"code": code}); got != 400 {
		t.Errorf("as a code of the other pair: %d %v", got, body)
	}
	var mu sync.Mutex
	var good []map[string]any
	if n := atOnce(16, func(int) bool {
		got, out := w.trades(t, id, secret, code)
		if got == 200 {
			mu.Lock()
			good = append(good, out)
			mu.Unlock()
		}
		return got == 200
	}); n != 1 {
		t.Fatalf("%d of 16 traded one code", n)
	}
	if claims := w.offline(t, good[0]["id_token"].(string)); claims["sub"] != u || claims["aud"] != id || good[0]["is_user_created"] != false || good[0]["session_id"] == nil || good[0]["token_type"] != "Bearer" {
		t.Errorf("tokens %v of %v", good[0], claims)
	}
	me := rest{w, good[0]["access_token"].(string)}
	if list := me.list(t, "GET /v1/users/me/sessions"); len(list) != 1 || list[0]["client_id"] != id || list[0]["browser"] == nil {
		t.Errorf("the session: %v", list)
	}
	if got := me.want(t, 200, "GET /v1/users/me", nil); obj(got, "email")["email_verified"] != true {
		t.Errorf("who reads the mail has not shown that the address is theirs: %v", got)
	}

	// What is bound: the client, the page, a minute, and that the user may sign in.
	w.client(t, apps.Client{ID: "beside", Kind: apps.Backend, Settings: apps.ClientSettings{Permissions: []string{"auth:*"}}}, "wws_beside-beside-beside-beside-beside")
	code = ask()
	if got, _ := w.trades(t, "beside", "wws_beside-beside-beside-beside-beside", code); got != 400 {
		t.Errorf("by another client of the application: %d", got)
	}
	if got, _ := w.trades(t, id, secret, code); got != 400 {
		t.Errorf("after another client had it: %d", got)
	}
	if got, _ := w.trades(t, "demo-web", "", ask()); got != 403 && got != 401 {
		t.Errorf("by a client without a secret: %d", got)
	}
	code = ask()
	if got, _ := (rest{w: w}).do(t, "POST /v1/token", map[string]any{"code": code, "client_id": id, "client_secret": secret, "redirect_uri": "http://localhost:4712/callback"}); got != 400 {
		t.Errorf("with another page: %d", got)
	}
	code = ask()
	if got, _ := (rest{w: w}).do(t, "POST /v1/token", map[string]any{"code": code, "client_id": id, "client_secret": secret, "redirect_uri": carriedTo}); got != 200 {
		t.Errorf("with its page: %d", got)
	}
	code = ask()
	w.Pass(time.Minute)
	if got, _ := w.trades(t, id, secret, code); got != 400 {
		t.Errorf("after a minute: %d", got)
	}
	code = ask()
	w.Pass(time.Second)
	c.want(t, 200, "DELETE /v1/users/"+u+"/sessions", nil)
	if got, _ := w.trades(t, id, secret, code); got != 400 {
		t.Errorf("after all sessions were ended: %d", got)
	}
	code = ask()
	c.want(t, 204, "POST /v1/users/"+u+"/authenticators/email_magic_link/lock", map[string]any{"reason": "stolen"})
	if got, _ := w.trades(t, id, secret, code); got != 400 {
		t.Errorf("of somebody locked meanwhile: %d", got)
	}
	c.want(t, 204, "POST /v1/users/"+u+"/authenticators/types/email_magic_link/unlock", map[string]any{"unlock_type": "any"})
	code = ask()
	c.want(t, 204, "POST /v1/users/"+u+"/suspend", nil)
	if got, _ := w.trades(t, id, secret, code); got != 400 {
		t.Errorf("of somebody suspended meanwhile: %d", got)
	}
	c.want(t, 204, "POST /v1/users/"+u+"/activate", nil)
	c.want(t, 200, "POST /v1/auth/links/email", in)
	sent++
	link = w.sentLink(t, "ana@example.org", sent)
	c.want(t, 204, "POST /v1/users/"+u+"/suspend", nil)
	if p = w.person(t).open(link).post("", nil); p.status != http.StatusGone || strings.Contains(p.page, "wwb_") {
		t.Errorf("pressed by somebody suspended: %d\n%s", p.status, p.page)
	}
}

// TestCarriedCode: so does a code by mail or by text message; an identity token
// never stands in an address.
func TestCarriedCode(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	id, secret := w.backend()
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "phone_number": "+4915112345678"})["user_id"].(string)
	for _, via := range []struct{ channel, inbox, member, address, kind string }{{"email", "mail", "email", "ana@example.org", "email_otp"}, {"sms", "sms", "phone_number", "+4915112345678", "sms_otp"}} {
		base, sent := "POST /v1/auth/otp/"+via.channel, 0
		send := func(more map[string]any) string {
			t.Helper()
			w.Pass(10 * time.Minute) // a few are let out in a quarter of an hour
			c = w.rest(t)
			c.want(t, 200, base, joined(map[string]any{via.member: via.address}, more))
			sent++
			return w.sentCode(t, via.inbox, via.address, sent)
		}
		check := func(more map[string]any) (int, map[string]any) {
			t.Helper()
			return c.do(t, base+"/validation", joined(map[string]any{via.member: via.address, "redirect_uri": carriedTo}, more))
		}
		code := send(nil)
		for name, bad := range map[string]struct {
			more map[string]any
			word string
		}{
			"a token in the address": {map[string]any{"response_type": "id_token"}, "unsupported_response_type"}, "another page": {map[string]any{"redirect_uri": "https://evil.example/"}, "system_invalid_input"},
			"no page": {map[string]any{"redirect_uri": ""}, "system_invalid_input"}, "MFA": {map[string]any{"require_mfa": true}, "system_invalid_input"}, "a long nonce": {map[string]any{"nonce": strings.Repeat("n", 513)}, "system_invalid_input"},
		} {
			if got, body := check(joined(map[string]any{"passcode": code}, bad.more)); got != 400 || body["error_code"] != bad.word {
				t.Errorf("%s: %s: %d %v", via.channel, name, got, body)
			}
		}
		if got, body := check(map[string]any{"passcode": other(code)}); got != 400 || body["error_code"] != "auth_invalid_credentials" {
			t.Errorf("%s: a wrong code: %d %v", via.channel, got, body)
		}
		got, body := check(map[string]any{"passcode": code, "response_type": "code", "nonce": "n-1", "state": "s1", "client_attributes": map[string]any{"ip_address": "203.0.113.9", "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}})
		if got != 200 {
			t.Fatalf("%s: %d %v", via.channel, got, body)
		}
		got, tokens := w.trades(t, id, secret, carried(t, body["result"].(string), carriedTo, "s1"))
		if claims := claimsOf(t, tokens["id_token"].(string)); got != 200 || claims["sub"] != u || claims["nonce"] != "n-1" || tokens["is_user_created"] != false {
			t.Errorf("%s: %d %v %v", via.channel, got, tokens, claims)
		}
		if list := (rest{w, tokens["access_token"].(string)}).list(t, "GET /v1/users/me/sessions"); list[0]["address"] != "203.0.113.9" {
			t.Errorf("%s: the session: %v", via.channel, list)
		}
		if got, body := check(map[string]any{"passcode": code}); got != 400 || body["error_code"] != "auth_invalid_credentials" {
			t.Errorf("%s: again: %d %v", via.channel, got, body)
		}

		// Sent for a page, it leads to no other, and the page need not be said again.
		code = send(map[string]any{"redirect_uri": carriedTo})
		if got, _ := check(map[string]any{"passcode": code, "redirect_uri": "http://localhost:4712/callback"}); got != 400 {
			t.Errorf("%s: to another page: %d", via.channel, got)
		}
		got, body = check(map[string]any{"passcode": code, "redirect_uri": ""})
		if got != 200 {
			t.Fatalf("%s: to its page: %d %v", via.channel, got, body)
		}
		carried(t, body["result"].(string), carriedTo, "")

		code = send(nil)
		w.Pass(6 * time.Minute)
		if got, body := check(map[string]any{"passcode": code}); got != 400 || body["error_code"] != "auth_otp_passcode_expired" {
			t.Errorf("%s: too late: %d %v", via.channel, got, body)
		}
		code = send(nil)
		var winner string
		if n := atOnce(16, func(int) bool {
			got, body := check(map[string]any{"passcode": code})
			if got == 200 {
				winner = body["result"].(string)
			}
			return got == 200
		}); n != 1 || winner == "" {
			t.Errorf("%s: %d of 16 handed one code in", via.channel, n)
		}
		c.unlock(t, u, authn.Kind(via.kind))
		code = send(nil)
		for range 5 {
			check(map[string]any{"passcode": other(code)})
		}
		if got, body := check(map[string]any{"passcode": code}); got != 403 || body["error_code"] != "auth_locked" || body["retry_after"] == nil {
			t.Errorf("%s: after five wrong ones: %d %v", via.channel, got, body)
		}
	}
	for _, bad := range []map[string]any{{"custom_message": "no code in it"}, {"sender_id": "far too long a name"}, {"sender_id": "A\nB"}} {
		if got, body := c.do(t, "POST /v1/auth/otp/sms", joined(map[string]any{"phone_number": "+4915112345678"}, bad)); got != 400 || body["error_code"] != "system_invalid_input" {
			t.Errorf("%v: %d %v", bad, got, body)
		}
	}
	if got, body := c.do(t, "POST /v1/auth/otp/email", map[string]any{"email": "ana@example.org", "sender_id": "Northwind"}); got != 400 {
		t.Errorf("a mail in the words of a text message: %d %v", got, body)
	}
	w.Pass(time.Hour)
	c = w.rest(t)
	n := len(w.Dev.Inbox.List("sms", "+4915112345678", ""))
	c.want(t, 200, "POST /v1/auth/otp/sms", map[string]any{"phone_number": "+49 151 12345678", "custom_message": "{app} says {otp}", "sender_id": "Northwind"})
	code := w.sentCode(t, "sms", "+4915112345678", n+1)
	if list := w.Dev.Inbox.List("sms", "+4915112345678", ""); list[n].Text != "Northwind says "+code && !strings.HasPrefix(list[n].Text, "Northwind") {
		t.Errorf("in words of the caller's: %+v", list[n])
	}
}

// TestCarriedNewcomers: create_new_user makes a user of whoever reads what was sent,
// not of whoever's address was named; and its caller must be one that may.
func TestCarriedNewcomers(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	id, secret := w.backend()
	narrow := rest{w, w.token(t, id, secret, "auth:execute")["access_token"].(string)}
	ways := []struct{ name, send, member, address, inbox string }{
		{"link", "POST /v1/auth/links/email", "email", "New.One@example.org", "mail"},
		{"mail", "POST /v1/auth/otp/email", "email", "New.Two@example.org", "mail"},
		{"text message", "POST /v1/auth/otp/sms", "phone_number", "+4915112345679", "sms"},
	}
	find := func(member, address string) (int, map[string]any) {
		t.Helper()
		return c.do(t, "GET /v1/users/identifier?identifier_name="+member+"&identifier_value="+url.QueryEscape(address), nil)
	}
	for _, via := range ways {
		in := map[string]any{via.member: via.address, "redirect_uri": carriedTo, "create_new_user": true}
		to := strings.ToLower(via.address)
		if got, body := narrow.do(t, via.send, in); got != 403 || body["error_code"] != "forbidden" {
			t.Errorf("%s: without users:create: %d %v", via.name, got, body)
		}
		if got, body := c.do(t, via.send, joined(in, map[string]any{via.member: "not an address"})); got != 400 || body["error_code"] != "system_invalid_input" {
			t.Errorf("%s: to no address: %d %v", via.name, got, body)
		}
		c.want(t, 200, via.send, in)
		if got, _ := find(via.member, via.address); got != 404 {
			t.Errorf("%s: a user was made before anybody answered: %d", via.name, got)
		}
		enter := func(atLeast int) string {
			t.Helper()
			if via.name == "link" {
				return w.pressed(t, to, atLeast, "")
			}
			code := w.sentCode(t, via.inbox, to, atLeast)
			if got, body := c.do(t, via.send+"/validation", map[string]any{via.member: via.address, "passcode": other(code)}); got != 400 || body["error_code"] != "auth_invalid_credentials" {
				t.Errorf("%s: a wrong code: %d %v", via.name, got, body)
			}
			got, body := c.do(t, via.send+"/validation", map[string]any{via.member: via.address, "passcode": code})
			if got != 200 {
				t.Fatalf("%s: %d %v", via.name, got, body)
			}
			return carried(t, body["result"].(string), carriedTo, "")
		}
		code := enter(1)
		_, out := find(via.member, via.address)
		u := obj(out, "result")
		if obj(u, via.member)[via.member+"_verified"] != true {
			t.Errorf("%s: the user: %v", via.name, out)
		}
		got, tokens := w.trades(t, id, secret, code)
		if got != 200 || tokens["is_user_created"] != true || claimsOf(t, tokens["id_token"].(string))["sub"] != u["user_id"] {
			t.Errorf("%s: %d %v", via.name, got, tokens)
		}
		w.Pass(10 * time.Minute)
		c.want(t, 200, via.send, in)
		if got, tokens := w.trades(t, id, secret, enter(2)); got != 200 || tokens["is_user_created"] != false {
			t.Errorf("%s: the second time: %d %v", via.name, got, tokens)
		}
	}

	// A name that nobody was sent anything at is as wrong as any, and locks.
	for i := range 6 {
		got, body := c.do(t, "POST /v1/auth/otp/email/validation", map[string]any{"email": "never@example.org", "passcode": "000000", "redirect_uri": carriedTo})
		if want := map[bool]int{true: 403, false: 400}[i == 5]; got != want {
			t.Errorf("try %d at nobody's name: %d %v", i, got, body)
		}
	}
	// Nor does a code that a journey made for a name of nobody's make a user, nor one
	// that was sent for a user who has the address meanwhile.
	w.Pass(time.Hour)
	c = w.rest(t)
	c.want(t, 200, "POST /v1/auth/otp/email", map[string]any{"email": "late@example.org", "redirect_uri": carriedTo, "create_new_user": true})
	code := w.sentCode(t, "mail", "late@example.org", 1)
	c.want(t, 200, "POST /v1/auth/links/email", map[string]any{"email": "late@example.org", "redirect_uri": carriedTo, "create_new_user": true})
	link := w.sentLink(t, "late@example.org", 2)
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "late@example.org"})
	if got, body := c.do(t, "POST /v1/auth/otp/email/validation", map[string]any{"email": "late@example.org", "passcode": code}); got != 400 {
		t.Errorf("a code for a new user at somebody's address: %d %v", got, body)
	}
	if p := w.person(t).open(link).post("", nil); p.status != http.StatusGone || strings.Contains(p.page, "wwb_") {
		t.Errorf("a link for a new user at somebody's address: %d", p.status)
	}
	// Sixteen at once make one user.
	c.want(t, 200, "POST /v1/auth/links/email", map[string]any{"email": "once@example.org", "redirect_uri": carriedTo, "create_new_user": true})
	link = w.sentLink(t, "once@example.org", 1)
	if n := atOnce(16, func(int) bool {
		r, err := http.PostForm(link, nil)
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	}); n != 1 {
		t.Errorf("%d of 16 pressed it", n)
	}
}
