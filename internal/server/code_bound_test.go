package server_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// TestCodeIsBound: a code counts at the client that had it sent, with the id it
// was sent with, and not after a lock; and nobody has more codes sent than
// anybody.
func TestCodeIsBound(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	id := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "phone_number": "+4915112345678"})["user_id"].(string)
	use := func(c rest, more map[string]any) (int, map[string]any) {
		t.Helper()
		body := map[string]any{"channel": "email", "identifier": "ana@example.org"}
		for k, v := range more {
			body[k] = v
		}
		return c.do(t, "POST /v1/auth/otp/authenticate", body)
	}
	sent := 0
	send := func(more map[string]any) (string, map[string]any) {
		t.Helper()
		body := map[string]any{"channel": "email", "identifier": "ana@example.org"}
		for k, v := range more {
			body[k] = v
		}
		out := c.want(t, 200, "POST /v1/auth/otp/send", body)
		sent++
		return w.sentCode(t, "mail", "ana@example.org", sent), out
	}
	var secret string
	w.do(t, func(tx *db.Tx) (err error) {
		if err := apps.SaveClient(t.Context(), tx, apps.Client{ID: "other-backend", App: "demo", Name: "x", Kind: apps.Backend, Settings: apps.ClientSettings{Permissions: []string{"auth:*"}}}); err != nil {
			return err
		}
		secret, err = apps.RotateSecret(t.Context(), tx, "other-backend")
		return err
	})
	beside := rest{w, w.token(t, "other-backend", secret, "")["access_token"].(string)}
	code, _ := send(nil)
	if got, body := use(beside, map[string]any{"passcode": code}); got != 400 || body["error_code"] != "auth_invalid_credentials" {
		t.Errorf("at another client: %d %v", got, body)
	}
	if got, body := use(c, map[string]any{"passcode": code}); got != 200 {
		t.Errorf("at the client that had it sent: %d %v", got, body)
	}
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/email_otp", map[string]any{"crossClientsAllowed": true})
	code, _ = send(nil)
	if got, body := use(beside, map[string]any{"passcode": code}); got != 200 {
		t.Errorf("at another client, where that is allowed: %d %v", got, body)
	}

	code, out := send(map[string]any{"generate_request_id": true, "approval_data": map[string]any{"amount": "12.50", "payee": "Bob"}})
	if got, _ := use(c, map[string]any{"passcode": code}); got == 200 {
		t.Error("without the id of its request")
	}
	got, body := use(c, map[string]any{"passcode": code, "request_id": out["request_id"]})
	if got != 200 {
		t.Fatalf("with the id of its request: %d %v", got, body)
	}
	if claims := claimsOf(t, body["id_token"].(string)); obj(claims, "approval_data")["amount"] != "12.50" || claims["approval_hash"] == nil {
		t.Errorf("what was approved is not in the token: %v", claims)
	}
	if list := w.Dev.Inbox.List("mail", "ana@example.org", ""); !strings.Contains(list[len(list)-1].Text, "amount: 12.50.") {
		t.Errorf("who approves is not told what: %+v", list[len(list)-1])
	}

	code, _ = send(nil)
	for range 5 {
		use(c, map[string]any{"passcode": other(code)})
	}
	c.unlock(t, id, "email_otp")
	if got, body := use(c, map[string]any{"passcode": code}); got != 400 || body["error_code"] != "auth_invalid_credentials" {
		t.Errorf("a code that locked, after the lock: %d %v", got, body)
	}
	w.Pass(16 * time.Minute)
	for _, who := range []string{"ana@example.org", "nobody@example.org"} {
		for try := range 6 {
			_, r := w.entered(t, "email_otp_login", "email_otp", map[string]any{"email": who})
			if refused := r.Type == simulator.Rejection; refused != (try == 5) {
				t.Errorf("%s, code %d: %+v", who, try+1, r)
			}
		}
	}
}

// TestMessages: what a method says can be seen before it is sent, in every
// language, coloured and in the application's own words; and what is sent says it.
func TestMessages(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	const at = "/v1/applications/demo/auth-methods/"
	for method, names := range map[string][]string{"email_otp": {"login_code", "signup_code", "verify_code"}, "sms_otp": {"login_code", "signup_code", "verify_code"}, "email": {"magic_link"},
		"password": {"password_reset_code", "password_reset_link", "password_changed"}, "totp": nil} {
		_, out := c.do(t, "GET "+at+method+"/messages", nil)
		if list, _ := out["result"].([]any); len(list) != len(names) {
			t.Errorf("%s says %v", method, out)
		}
		for _, name := range names {
			for _, language := range []string{"en", "de", "es", "fr", "pt", "ja"} {
				shown := c.want(t, 200, "GET "+at+method+"/messages/"+name+"?language="+language, nil)
				if html := shown["html"].(string); shown["subject"] == "" || strings.Contains(fmt.Sprint(shown), "{") && !strings.Contains(html, "<style") && strings.Contains(shown["text"].(string), "{") || !strings.Contains(html, "Northwind") {
					t.Errorf("%s in %s: %v", name, language, shown)
				}
			}
		}
		if got, _ := c.do(t, "GET "+at+method+"/messages/recovery_used", nil); got != 404 {
			t.Errorf("%s says what is another's: %d", method, got)
		}
	}
	own := []any{map[string]any{"message": "login_code", "language": "de", "subject": "Hallo", "text": "Moin! {code} von {app}."}}
	got := c.want(t, 200, "PATCH "+at+"email_otp", map[string]any{"texts": own, "message": map[string]any{"primaryColor": "#aa0011"}})
	if m, _ := got["message"].(map[string]any); m["primaryColor"] != "#aa0011" {
		t.Errorf("the colour went: %v", got)
	}
	for _, bad := range []map[string]any{
		{"message": map[string]any{"from": "me"}}, {"message": map[string]any{"primaryColor": "red"}}, {"texts": append(own, own[0])},
		{"texts": []any{map[string]any{"message": "login_code", "language": "de", "text": "without it"}}}, {"texts": []any{map[string]any{"message": "login_code", "language": "xx", "text": "{code}"}}},
		{"texts": []any{map[string]any{"message": "login_code", "language": "de", "text": "{code} {password}"}}}, {"texts": []any{map[string]any{"message": "login_code", "language": "de", "subject": "{code}", "text": "{code}"}}},
		{"texts": []any{map[string]any{"message": "magic_link", "language": "de", "text": "{link}"}}},
	} {
		if got, body := c.do(t, "PATCH "+at+"email_otp", bad); got != http.StatusBadRequest {
			t.Errorf("%v: %d %v", bad, got, body)
		}
	}
	shown := c.want(t, 200, "GET "+at+"email_otp/messages/login_code?language=de-AT", nil)
	if shown["subject"] != "Hallo" || !strings.HasPrefix(shown["text"].(string), "Moin! 123456 von ") || !strings.Contains(shown["html"].(string), "#aa0011") {
		t.Errorf("in our own words: %v", shown)
	}
	c.want(t, 200, "PATCH "+at+"sms_otp", map[string]any{"domain": "shop.example.org"})
	if shown = c.want(t, 200, "GET "+at+"sms_otp/messages/login_code", nil); !strings.HasSuffix(shown["sms"].(string), "\n\n@shop.example.org #123456") {
		t.Errorf("a text message: %v", shown)
	}

	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "phone_number": "+4915112345678", "custom_data": map[string]any{"language": "de"}})
	mail := func(more map[string]any, want ...string) {
		t.Helper()
		before := len(w.Dev.Inbox.List("mail", "ana@example.org", ""))
		body := map[string]any{"channel": "email", "identifier": "ana@example.org"}
		for k, v := range more {
			body[k] = v
		}
		c.want(t, 200, "POST /v1/auth/otp/send", body)
		w.sentCode(t, "mail", "ana@example.org", before+1)
		list := w.Dev.Inbox.List("mail", "ana@example.org", "")
		said := list[len(list)-1]
		for _, text := range want {
			if !strings.Contains(said.Subject+"\n"+said.Text+"\n"+said.HTML, text) {
				t.Errorf("%v: no %q in %+v", more, text, said)
			}
		}
	}
	mail(nil, "Hallo", "Moin! ", "#aa0011")
	mail(map[string]any{"occasion": "sign_up"}, "Registrierung")
	mail(map[string]any{"occasion": "confirm", "language": "fr"}, "Confirmez")
	mail(map[string]any{"email_content": map[string]any{"subject": "Only you", "bodyText": "Type this: {code}", "footerText": "Bye from {app}", "primaryColor": "#0a7d4f"}}, "Only you", "Type this: ", "Bye from Northwind", "#0a7d4f")
	if got, _ := c.do(t, "POST /v1/auth/otp/send", map[string]any{"channel": "email", "identifier": "ana@example.org", "email_content": map[string]any{"subject": strings.Repeat("x", 300)}}); got != 400 {
		t.Errorf("a subject of 300 characters: %d", got)
	}
	for text, want := range map[string]int{"{otp} is for {app}": 200, "no code": 400, strings.Repeat("x", 150) + "{otp}": 400} {
		if got, body := c.do(t, "POST /v1/auth/otp/send", map[string]any{"channel": "sms", "identifier": "ana@example.org", "custom_sms_input": map[string]any{"custom_message": text}}); got != want {
			t.Errorf("%q: %d %v", text, got, body)
		}
	}
	w.sentCode(t, "sms", "+4915112345678", 1)
	if list := w.Dev.Inbox.List("sms", "+4915112345678", ""); !strings.Contains(list[0].Text, " is for Northwind") {
		t.Errorf("%+v", list)
	}
}

// TestConsoleMessages: the console shows what a method would say with settings that
// are not stored, and stores nothing.
func TestConsoleMessages(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	const at = "POST /apps/demo/methods/email_otp/messages"
	draft := map[string]any{"colour": "#aa0011", "texts": []any{map[string]any{"message": "signup_code", "language": "fr", "text": "Tapez {code}."}}}
	r := a.must(t, at, map[string]any{"settings": draft, "language": "fr"})
	list, _ := r.Doc["items"].([]any)
	if len(list) != 3 {
		t.Fatalf("%s", r.Raw)
	}
	for _, m := range list {
		m := m.(map[string]any)
		if !strings.Contains(m["html"].(string), "#aa0011") || (m["name"] == "signup_code") != (m["text"] == "Tapez 123456.") {
			t.Errorf("%v", m)
		}
	}
	if r := a.must(t, at, map[string]any{"settings": map[string]any{}, "language": "fr"}); strings.Contains(r.Raw, "#aa0011") {
		t.Error("a draft was stored")
	}
	draft["texts"] = []any{map[string]any{"message": "signup_code", "language": "fr", "text": "Rien."}}
	if r := a.do(t, at, map[string]any{"settings": draft, "language": "fr"}); r.Status < 400 || r.Status >= 500 {
		t.Errorf("a text without its code: %d %s", r.Status, r.Raw)
	}
}

// TestSettingsAreDocumented: every setting of every method stands in its page,
// and every test that the page names is there.
func TestSettingsAreDocumented(t *testing.T) {
	docs := ""
	for _, name := range []string{"methods", "push", "face", "threats", "identity"} {
		b, err := os.ReadFile("../../docs/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		docs += string(b)
	}
	for _, m := range authn.Methods() {
		for _, f := range m.Config {
			if !strings.Contains(docs, "`"+f.Name+"`") {
				t.Errorf("%s: %s is in no page", m.Kind, f.Name)
			}
		}
	}
	have := ""
	if err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		have += string(b)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile("`(Test[A-Za-z0-9_]+)`").FindAllStringSubmatch(docs, -1) {
		if !strings.Contains(have, "func "+name[1]+"(") {
			t.Errorf("the pages name %s, and there is none", name[1])
		}
	}
}

// TestLint: whatever contradicts NIST SP 800-63B-4, OWASP ASVS 5.0 or the standard
// of a method is named, with where it stands, and may be set all the same.
func TestLint(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	tier := func(n, minutes int) map[string]any { return map[string]any{"attempts": n, "duration": minutes} }
	notes := func(method string) map[string]bool {
		t.Helper()
		_, out := c.do(t, "GET /v1/applications/demo/auth-methods/"+method+"/lint", nil)
		found := map[string]bool{}
		for _, n := range out["result"].([]any) {
			n := n.(map[string]any)
			found[n["code"].(string)] = true
			if ref := n["ref"].(string); !strings.ContainsAny(ref, "0123456789") || n["message"] == "" || n["severity"] != "advice" && n["severity"] != "warning" {
				t.Errorf("%v", n)
			}
		}
		return found
	}
	for _, l := range []struct {
		method, code string
		set          map[string]any
	}{
		{"totp", "lockout_none", map[string]any{"lockoutTiers": []any{}}},
		{"totp", "lockout_late", map[string]any{"lockoutTiers": []any{tier(20, 5)}}},
		{"totp", "lockout_shrinks", map[string]any{"lockoutTiers": []any{tier(3, 5), tier(5, 1)}}},
		{"totp", "notify_off", map[string]any{"notify": false}},
		{"totp", "totp_window", map[string]any{"window": 2}},
		{"totp", "totp_many_codes", map[string]any{"window": 5, "maxTotpPerUser": 10}},
		{"totp", "totp_period", map[string]any{"period": 60}},
		{"password", "password_short", map[string]any{"passwordMinLength": 6}},
		{"password", "password_single", map[string]any{"passwordMinLength": 8}},
		{"password", "password_composition", map[string]any{"passwordComplexity": 3}},
		{"password", "password_rotation", map[string]any{"ignoreExpiration": false}},
		{"password", "password_blocklist", map[string]any{"checkHibp": false}},
		{"password", "password_unchecked", map[string]any{"checkHibp": true, "hibp_open": true}},
		{"password", "password_reset_mfa", map[string]any{"requireMFA": false}},
		{"password", "password_reset_short", map[string]any{"codeLength": 4}},
		{"password", "password_reset_long", map[string]any{"resetValidityMinutes": 60}},
		{"password", "password_temporary_long", map[string]any{"tempPasswordValidityHours": 72}},
		{"password", "notify_off", map[string]any{"notifyOnPasswordUpdate": false}},
		{"email_otp", "code_short", map[string]any{"codeLength": 4}},
		{"email_otp", "code_mail", nil},
		{"email_otp", "code_anywhere", map[string]any{"crossClientsAllowed": true}},
		{"sms_otp", "code_sms", nil},
		{"email", "link_mail", nil},
		{"email", "link_long", map[string]any{"expiresIn": 60}},
		{"webauthn_api", "passkey_uv", map[string]any{"user_verification": "preferred"}},
		{"webauthn_api", "passkey_roots", map[string]any{"enforceAttestation": true}},
		{"webauthn_api", "passkey_aaguid", map[string]any{"aaguidBlockList": []any{"fbfc3007-154e-4ecc-8c0b-6e020557d7bd"}}},
		{"webauthn_api", "passkey_lists", map[string]any{"aaguidBlockList": []any{"fbfc3007-154e-4ecc-8c0b-6e020557d7bd"}, "aaguidAllowList": []any{"ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"}}},
		{"webauthn_api", "passkey_framed", map[string]any{"allow_cross_origin": true}},
		{"pin_authenticator", "pin_short", map[string]any{"min_length": 4}},
		{"mobile_biometric", "biometric_unattested", nil},
		{"mobile_biometric", "biometric_no_app", map[string]any{"attestation": "enforce"}},
		{"push", "push_no_number", map[string]any{"number_mode": "off"}},
		{"push", "push_compared", map[string]any{"number_mode": "choose-4"}},
		{"push", "push_short_number", map[string]any{"number_mode": "type-2"}},
		{"push", "push_many", map[string]any{"limit": 100}},
		{"push", "push_first", map[string]any{"needs_proof": false}},
		{"push", "push_devices", map[string]any{"show_devices": true}},
		{"face", "face_liveness", map[string]any{"without_liveness": true}},
		{"trusted_device", "trusted_device", nil},
	} {
		at := "/v1/applications/demo/auth-methods/" + l.method
		was := c.want(t, 200, "GET "+at, nil)
		c.want(t, 200, "PATCH "+at, l.set) // the linter never blocks
		if found := notes(l.method); !found[l.code] {
			t.Errorf("%s %v: %s is not said, but %v", l.method, l.set, l.code, found)
		}
		c.want(t, 200, "PUT "+at, was)
	}
	c.want(t, 200, "PUT /v1/applications/demo/auth-methods/push", map[string]any{"number_mode": "type-6", "needs_proof": true})
	c.want(t, 200, "PUT /v1/applications/demo/auth-methods/password", map[string]any{"requireMFA": true, "hibp_open": false})
	for _, method := range []string{"push", "password", "totp", "pin_authenticator"} {
		if found := notes(method); len(found) > 0 {
			t.Errorf("%s as the standards want it: %v", method, found)
		}
	}
}
