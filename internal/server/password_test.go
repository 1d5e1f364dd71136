package server_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// TestPasswordWithTOTP: two factors in one journey are AAL2, and a password alone
// is not enough.
func TestPasswordWithTOTP(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false})
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "username": "ana", "credentials": map[string]any{"password": "tall-otter-crosses-4-rivers", "force_replace": false}})
	app, err := simulator.ParseToken(c.want(t, 201, "POST /v1/users/"+u["user_id"].(string)+"/totp", nil)["uri"].(string))
	if err != nil {
		t.Fatal(err)
	}
	login := func(password string) (*simulator.Browser, simulator.Response) {
		t.Helper()
		b := w.browser(t)
		if _, err := b.Start(t.Context(), "password_with_totp", nil); err != nil {
			t.Fatal(err)
		}
		r, err := b.Submit(t.Context(), "password", map[string]any{"username": "ana", "password": password})
		if err != nil {
			t.Fatal(err)
		}
		return b, r
	}
	if _, r := login("wrong"); r.Type != simulator.Rejection {
		t.Errorf("a wrong password: %+v", r)
	}
	b, r := login("tall-otter-crosses-4-rivers")
	if r.Step != "second_factor" {
		t.Fatalf("a right password: %+v", r)
	}
	code, err := app.Code(w.Now())
	if err != nil {
		t.Fatal(err)
	}
	if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"totp_code": code}); err != nil || r.Type != simulator.Success {
		t.Fatalf("both: %+v, %v", r, err)
	}
	if claims := claimsOf(t, r.Token); claims["acr"] != "urn:watchword:aal2" {
		t.Errorf("claims %v", claims)
	}
}

// TestPasswordAPI: temporary passwords must be replaced, and a session grows by a
// second factor.
func TestPasswordAPI(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false})
	for body, word := range map[string]string{"short": "auth_password_weak", "northwindcoffee1": "auth_password_weak"} {
		if got, out := c.do(t, "POST /v1/users", map[string]any{"email": "x@example.org", "credentials": map[string]any{"password": body, "force_replace": false}}); got != 400 || out["ts_error_code"] != word {
			t.Errorf("%s: %d %v", body, got, out)
		}
	}
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "credentials": map[string]any{"password": "first-password-of-ana-42"}})
	auth := map[string]any{"identifier": "ana@example.org", "password": "first-password-of-ana-42"}
	if got, out := c.do(t, "POST /cis/v1/auth/password/authenticate", auth); got != 403 || out["error_code"] != "auth_password_temporary" {
		t.Errorf("a temporary password: %d %v", got, out)
	}
	out := c.want(t, 200, "POST /v1/auth/password/replace", map[string]any{"identifier": "ana@example.org", "password": "first-password-of-ana-42", "new_password": "tall-otter-crosses-4-rivers"})
	if out["access_token"] == nil {
		t.Errorf("replaced: %v", out)
	}
	auth["password"] = "tall-otter-crosses-4-rivers"
	out = c.want(t, 200, "POST /v1/auth/password/authenticate", auth)
	if id := w.offline(t, out["id_token"].(string)); id["acr"] != "urn:watchword:aal1" {
		t.Errorf("one factor: %v", id)
	}
	for _, who := range []string{"ana@example.org", "nobody@example.org"} {
		for try := range 6 {
			want, word := 400, "auth_invalid_credentials"
			if try == 5 {
				want, word = 403, "auth_locked"
			}
			if got, out := c.do(t, "POST /v1/auth/password/authenticate", map[string]any{"identifier": who, "password": "wrong"}); got != want || out["error_code"] != word {
				t.Errorf("%s, try %d: %d %v", who, try, got, out)
			}
		}
	}
	c.want(t, 204, "PUT /v1/password-dictionary", map[string]any{"words": []string{"wombat", "penguin"}})
	c.want(t, 204, "POST /v1/password-dictionary/words", map[string]any{"add": []string{"Otter"}, "remove": []string{"penguin"}})
	if _, out := c.do(t, "GET /v1/password-dictionary", nil); len(out["result"].([]any)) != 2 {
		t.Errorf("dictionary %v", out)
	}
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkDictionary": true, "passwordMinLength": 8})
	if out := c.want(t, 200, "POST /v1/password-dictionary/check", map[string]any{"password": "0tter!123"}); out["allowed"] != false {
		t.Errorf("checked: %v", out)
	}
}

// TestHostedPassword: a temporary password is replaced on the hosted page, by
// somebody without JavaScript.
func TestHostedPassword(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false})
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "username": "ana", "credentials": map[string]any{"password": "first-password-of-ana-42"}})
	p := w.person(t).open(w.URL + "/login/demo-web/password_with_totp").sees(`autocomplete="current-password"`)
	p.post("password", url.Values{"username": {"ana"}, "password": {"first-password-of-ana-42"}}).sees("Choose a new password").sees(`autocomplete="new-password"`)
	p.post("", url.Values{"new_password": {"short"}}).sees("at least 15 characters")
	p.post("", url.Values{"new_password": {"tall-otter-crosses-4-rivers"}}).sees("Code of your authenticator app")
}

// TestPasswordReset: by mail through the journey; nobody learns who exists, a
// wrong code and a weak password are asked for again, and the reset signs nobody
// in, ends sessions and tells the user.
func TestPasswordReset(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false})
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "username": "ana", "credentials": map[string]any{"password": "tall-otter-crosses-4-rivers", "force_replace": false}})
	auth := map[string]any{"identifier": "ana@example.org", "password": "tall-otter-crosses-4-rivers"}
	session := c.want(t, 200, "POST /v1/auth/password/authenticate", auth)["session_id"]
	asked := map[string]simulator.Response{}
	for _, who := range []string{"nobody@example.org", "ana@example.org"} {
		b := w.browser(t)
		if _, err := b.Start(t.Context(), "password_reset", nil); err != nil {
			t.Fatal(err)
		}
		r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"email": who})
		if err != nil || r.Step != "password.reset" {
			t.Fatalf("%s: %+v, %v", who, r, err)
		}
		asked[who] = r
		if who == "nobody@example.org" {
			if list := w.Dev.Inbox.List("mail", who, ""); len(list) != 0 {
				t.Errorf("mail to nobody: %v", list)
			}
			if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"passcode": "123456", "new_password": "wide-badger-under-7-bridges"}); err != nil || r.ErrorCode != "invalid_credentials" {
				t.Errorf("nobody: %+v, %v", r, err)
			}
			continue
		}
		code := w.sentCode(t, "mail", who, 1)
		if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"passcode": other(code), "new_password": "wide-badger-under-7-bridges"}); err != nil || r.ErrorCode != "invalid_credentials" {
			t.Errorf("a wrong code: %+v, %v", r, err)
		}
		if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"passcode": code, "new_password": "short"}); err != nil || r.Step != "password.reset" {
			t.Fatalf("a weak password: %+v, %v", r, err)
		}
		if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"passcode": code, "new_password": "wide-badger-under-7-bridges"}); err != nil || r.Type != simulator.Success {
			t.Fatalf("a right code: %+v, %v", r, err)
		}
		if claims := claimsOf(t, r.Token); claims["acr"] != nil {
			t.Errorf("a reset signed in: %v", claims)
		}
	}
	if a, b := asked["ana@example.org"], asked["nobody@example.org"]; len(a.Data) != len(b.Data) {
		t.Errorf("a user is asked %+v, nobody %+v", a, b)
	}
	if got, _ := c.do(t, "POST /v1/auth/password/authenticate", auth); got != 400 {
		t.Errorf("the old password: %d", got)
	}
	auth["password"] = "wide-badger-under-7-bridges"
	auth["session_id"] = session
	if got, out := c.do(t, "POST /v1/auth/password/authenticate", auth); got == 200 {
		t.Errorf("the session outlived the reset: %v", out)
	}
	delete(auth, "session_id")
	c.want(t, 200, "POST /v1/auth/password/authenticate", auth)
	w.sentCode(t, "mail", "ana@example.org", 2)
	if list := w.Dev.Inbox.List("mail", "ana@example.org", ""); list[1].Subject != "Your password was changed" {
		t.Errorf("the second mail is %q", list[1].Subject)
	}
}

// TestPasswordResetAPI: by a back end, in the vendor's three calls.
func TestPasswordResetAPI(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false, "codeLength": 8})
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "phone_number": "+4915112345678", "credentials": map[string]any{"password": "tall-otter-crosses-4-rivers", "force_replace": false}})
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "bob@example.org"})
	for _, who := range []string{"nobody@example.org", "bob@example.org", "ana@example.org"} { // unknown, without a password, with one
		for try := range 6 {
			w.Pass(time.Second) // mail goes out in the order of time
			got, out := c.do(t, "POST /cis/v1/auth/password/reset/email/otp/send", map[string]any{"email": who})
			if want := map[bool]int{true: 200, false: 429}[try < 5]; got != want {
				t.Errorf("%s, %d: %d %v", who, try, got, out)
			}
		}
	}
	code := w.sentCode(t, "mail", "ana@example.org", 5)
	if len(code) != 8 || len(w.Dev.Inbox.List("mail", "bob@example.org", "")) != 0 {
		t.Errorf("code %s; mail to bob %v", code, w.Dev.Inbox.List("mail", "bob@example.org", ""))
	}
	for _, who := range []string{"nobody@example.org", "bob@example.org", "ana@example.org"} {
		if got, out := c.do(t, "POST /v1/auth/password/reset/email/otp/validate", map[string]any{"email": who, "passcode": other(code)}); got != 400 || out["error_code"] != "auth_invalid_credentials" {
			t.Errorf("%s: %d %v", who, got, out)
		}
	}
	if got, _ := c.do(t, "POST /v1/auth/password/reset/pigeon/otp/send", map[string]any{"email": "ana@example.org"}); got != 404 {
		t.Errorf("by pigeon: %d", got)
	}
	_, out := c.do(t, "POST /v1/auth/password/reset/email/otp/validate", map[string]any{"email": "ana@example.org", "passcode": code})
	token, _ := out["result"].(string)
	reset := map[string]any{"reset_token": token, "new_password": "short"}
	if got, out := c.do(t, "POST /v1/auth/password/reset", reset); got != 400 || out["ts_error_code"] != "auth_password_weak" {
		t.Errorf("weak: %d %v", got, out)
	}
	reset["new_password"] = "wide-badger-under-7-bridges"
	c.want(t, 204, "POST /v1/auth/password/reset", reset)
	if got, _ := c.do(t, "POST /v1/auth/password/reset", reset); got == 204 {
		t.Error("a token was good twice")
	}
	c.want(t, 200, "POST /v1/auth/password/authenticate", map[string]any{"identifier": "ana@example.org", "password": "wide-badger-under-7-bridges"})
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"requireMFA": true})
	w.Pass(16 * time.Minute)
	c.want(t, 200, "POST /v1/auth/password/reset/sms/otp/send", map[string]any{"phone_number": "+4915112345678"})
	_, out = c.do(t, "POST /v1/auth/password/reset/sms/otp/validate", map[string]any{"phone_number": "+4915112345678", "passcode": w.sentCode(t, "sms", "+4915112345678", 1)})
	reset["reset_token"], reset["new_password"] = out["result"], "small-heron-beside-9-lakes"
	if got, out := c.do(t, "POST /v1/auth/password/reset", reset); got != 403 || out["error_code"] != "auth_password_reset_mfa" {
		t.Errorf("without another factor: %d %v", got, out)
	}
	c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "email", "identifier": "ana@example.org"})
	code = w.sentCode(t, "mail", "ana@example.org", 7)
	reset["session_id"] = c.want(t, 200, "POST /v1/auth/otp/authenticate", map[string]any{"identifier": "ana@example.org", "passcode": code})["session_id"]
	c.want(t, 204, "POST /v1/auth/password/reset", reset)
}

// TestPasswordResetByText: what bounds the text messages that carry codes bounds
// those of a reset too, and who asked is told the same.
func TestPasswordResetByText(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false})
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/sms_otp", map[string]any{"countries": []string{"+49"}})
	const home, costly = "+4915112345678", "+8821612345678"
	for email, number := range map[string]string{"ana@example.org": home, "eve@example.org": costly} {
		c.want(t, 201, "POST /v1/users", map[string]any{"email": email, "phone_number": number, "credentials": map[string]any{"password": "tall-otter-crosses-4-rivers", "force_replace": false}})
	}
	for _, number := range []string{home, costly, "+4915187654321"} {
		c.want(t, 200, "POST /v1/auth/password/reset/sms/otp/send", map[string]any{"phone_number": number})
	}
	w.drain(t)
	if list := w.Dev.Inbox.List("sms", home, ""); len(list) != 1 {
		t.Errorf("%d messages to %s", len(list), home)
	}
	if list := w.Dev.Inbox.List("sms", costly, ""); len(list) != 0 {
		t.Errorf("a message to %s, which is not sent to", costly)
	}
}
