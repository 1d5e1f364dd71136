package server_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// sentCode is the code of the newest message to somebody.
func (w *world) sentCode(t testing.TB, channel, to string, atLeast int) string {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if list := w.Dev.Inbox.List(channel, to, ""); len(list) >= atLeast && len(list) > 0 {
			return list[len(list)-1].Data["code"]
		}
		if _, err := w.Kit.Jobs.RunOne(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("no %s to %s", channel, to)
	return ""
}

func other(code string) string {
	if code[0] == '0' {
		return "1" + code[1:]
	}
	return "0" + code[1:]
}

// TestEmailCode: a code that was mailed signs in, once; a new one ends the old
// one and forgives nothing.
func TestEmailCode(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "phone_number": "+4915112345678"})
	b := w.browser(t)
	if _, err := b.Start(t.Context(), "email_otp_login", nil); err != nil {
		t.Fatal(err)
	}
	r, err := b.Submit(t.Context(), "email_otp", map[string]any{"email": "ana@example.org"})
	if err != nil || r.Step != "transmit_platform_email_otp_authentication" || r.Number("code_length") != 6 {
		t.Fatalf("%+v, %v", r, err)
	}
	first := w.sentCode(t, "mail", "ana@example.org", 1)
	if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"passcode": other(first)}); err != nil || r.ErrorCode != "invalid_credentials" {
		t.Fatalf("a wrong code: %+v, %v", r, err)
	}
	if r, err = b.Submit(t.Context(), simulator.Resend, nil); err != nil || r.ErrorCode == "" {
		t.Fatalf("again at once: %+v, %v", r, err)
	}
	w.Pass(31 * time.Second)
	if _, err = b.Submit(t.Context(), simulator.Resend, nil); err != nil {
		t.Fatal(err)
	}
	second := w.sentCode(t, "mail", "ana@example.org", 2)
	if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"passcode": first}); err != nil || first != second && r.ErrorCode != "invalid_credentials" {
		t.Fatalf("the old code: %+v, %v", r, err)
	}
	if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{"passcode": second}); err != nil || r.Type != simulator.Success {
		t.Fatalf("the new code: %+v, %v", r, err)
	}
	u := c.want(t, 200, "GET /v1/users/identifier?identifier_name=email&identifier_value=ana@example.org", nil)
	if u["email"].(map[string]any)["email_verified"] != true {
		t.Errorf("the address is not verified: %v", u)
	}
}

// TestCodeAPI: once under 16, locked after five over every channel of a kind and
// resend or not, expired when it is, and the same for strangers.
func TestCodeAPI(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "phone_number": "+4915112345678"})
	send := func(channel string) {
		t.Helper()
		c.want(t, 200, "POST /cis/v1/auth/otp/send", map[string]any{"channel": channel, "identifier": "ana@example.org", "identifier_type": "email"})
	}
	use := func(who, code, channel string) (int, any) {
		got, body := c.do(t, "POST /cis/v1/auth/otp/authenticate", map[string]any{"identifier": who, "passcode": code, "channel": channel})
		return got, body["error_code"]
	}
	send("sms")
	code := w.sentCode(t, "sms", "+4915112345678", 1)
	if got, _ := use("ana@example.org", code, "email"); got == 200 {
		t.Error("a code by text message was taken for one by mail")
	}
	c.want(t, 204, "POST /v1/users/"+c.want(t, 200, "GET /v1/users/identifier?identifier_name=email&identifier_value=ana@example.org", nil)["user_id"].(string)+"/authenticators/email_otp/unlock", map[string]any{"unlock_type": "any"})
	var good atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if got, _ := use("ana@example.org", code, "sms"); got == 200 {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 {
		t.Errorf("%d of 16 signed in by one code", good.Load())
	}
	w.Pass(16 * time.Minute)
	send("email")
	code = w.sentCode(t, "mail", "ana@example.org", 1)
	w.Pass(5 * time.Minute)
	if got, word := use("ana@example.org", code, ""); got != 400 || word != "auth_otp_passcode_expired" {
		t.Errorf("late: %d %v", got, word)
	}
	w.Pass(16 * time.Minute)
	send("email")
	code = w.sentCode(t, "mail", "ana@example.org", 2)
	for _, who := range []string{"ana@example.org", "nobody@example.org"} {
		for try := range 6 {
			if try == 3 && who[0] == 'a' {
				send("email")
				code = w.sentCode(t, "mail", "ana@example.org", 3)
			}
			want, word := 400, "auth_invalid_credentials"
			if try == 5 {
				want, word = 403, "auth_locked"
			}
			if got, said := use(who, other(code), ""); got != want || said != word {
				t.Errorf("%s, try %d: %d %v", who, try, got, said)
			}
		}
	}
	if got, said := use("ana@example.org", code, ""); got != 403 || said != "auth_locked" {
		t.Errorf("the right code while locked: %d %v", got, said)
	}
	if out := c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "direct", "identifier": "ana@example.org"}); len(out["code"].(string)) != 6 {
		t.Errorf("direct: %v", out)
	} else if got, _ := use("ana@example.org", out["code"].(string), "direct"); got != 200 {
		t.Errorf("a code from support: %d", got)
	}
	for range 5 {
		c.do(t, "POST /v1/auth/otp/send", map[string]any{"channel": "email", "identifier": "ana@example.org"})
	}
	if got, _ := c.do(t, "POST /v1/auth/otp/send", map[string]any{"channel": "email", "identifier": "ana@example.org"}); got != 429 {
		t.Errorf("too many codes: %d", got)
	}
}

// TestGenericCode: the journey decides by which channel a code goes, and it counts
// for that one.
func TestGenericCode(t *testing.T) {
	w := newWorld(t)
	w.rest(t).want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "phone_number": "+4915112345678"})
	w.publish(t, `{"id": "generic", "name": "Generic", "kind": "client", "start": "who", "nodes": {
		"who": {"kind": "get_information", "config": {"form_id": "who", "output": "who", "fields": [{"name": "email"}, {"name": "by"}]}, "next": {"success": "code"}},
		"code": {"kind": "code.generic", "config": {"channel": {"expr": "who.by"}, "user": {"expr": "who.email"}}, "next": {"success": "done", "failure": "no", "cancel": "no"}},
		"done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	for by, to := range map[string][2]string{"email": {"mail", "ana@example.org"}, "sms": {"sms", "+4915112345678"}} {
		b, r := w.entered(t, "generic", simulator.ClientInput, map[string]any{"email": "ana@example.org", "by": by})
		if r.Step != "transmit_platform_generic_otp_authentication" || r.Number("code_length") != 6 {
			t.Fatalf("%s: %+v", by, r)
		}
		code := w.sentCode(t, to[0], to[1], 1)
		if r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"passcode": other(code)}); err != nil || r.ErrorCode != "invalid_credentials" {
			t.Errorf("%s, a wrong code: %+v, %v", by, r, err)
		}
		if r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"passcode": code}); err != nil || r.Type != simulator.Success {
			t.Errorf("%s: %+v, %v", by, r, err)
		}
	}
	_, r := w.entered(t, "generic", simulator.ClientInput, map[string]any{"email": "ana@example.org", "by": "pigeon"})
	if r.Type == simulator.Success || r.Step == "transmit_platform_generic_otp_authentication" {
		t.Errorf("by pigeon: %+v", r)
	}
}
