package server_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/simulator"
)

var resetIn = regexp.MustCompile(`https?://\S+/password/reset/\S+`)

// mailOf is the text of the newest mail to somebody, of n or more.
func (w *world) mailOf(t testing.TB, to string, n int) string {
	t.Helper()
	w.sentCode(t, "mail", to, n)
	list := w.Dev.Inbox.List("mail", to, "")
	return list[len(list)-1].Subject + "\n" + list[len(list)-1].Text
}

// mailsOf are the texts of all mails to somebody, of n or more, in any order.
func (w *world) mailsOf(t testing.TB, to string, n int) string {
	t.Helper()
	w.sentCode(t, "mail", to, n)
	var all []string
	for _, m := range w.Dev.Inbox.List("mail", to, "") {
		all = append(all, m.Text)
	}
	return strings.Join(all, "\n")
}

// TestLockNotice: who is locked out by failures is told, once an hour, in their
// language, at addresses that were verified; and so is who used a recovery code.
func TestLockNotice(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m, recovery := c.equipped(t, "ana")
	c.want(t, 202, "POST /v1/users/"+m.id+"/emails/"+m.email+"/verify", map[string]any{})
	c.want(t, 200, "PUT /v1/users/"+m.id, map[string]any{"custom_data": map[string]any{"language": "de"}})
	told := func(subject string) int {
		t.Helper()
		for more := true; more; {
			var err error
			if more, err = w.Kit.Jobs.RunOne(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		for _, mail := range w.Dev.Inbox.List("mail", "", "") {
			if mail.Subject == subject {
				if n++; mail.To != m.email {
					t.Errorf("%s was told: %+v", mail.To, mail)
				}
			}
		}
		return n
	}
	const locked, used = "Eine Anmeldung ist gescheitert", "Ein Wiederherstellungscode wurde verwendet"
	for _, who := range []string{m.email, "nobody@example.org"} {
		for range 7 {
			c.do(t, "POST /v1/auth/totp/authenticate", map[string]any{"identifier": who, "totp_code": m.bad(t, w)})
			c.do(t, "POST /v1/auth/password/authenticate", map[string]any{"identifier": who, "password": "wrong"})
		}
	}
	if n := told(locked); n != 2 {
		t.Errorf("%d mails about two locks", n)
	}
	w.Pass(2 * time.Minute)
	for range 4 { // the next tier
		c.do(t, "POST /v1/auth/totp/authenticate", map[string]any{"identifier": m.email, "totp_code": m.bad(t, w)})
	}
	if n := told(locked); n != 2 {
		t.Errorf("%d mails within the hour", n)
	}
	c.want(t, 200, "POST /v1/auth/recovery-code/authenticate", map[string]any{"identifier": m.email, "recovery_code": recovery})
	if n := told(used); n != 1 {
		t.Errorf("%d mails about a recovery code", n)
	}
}

// TestAnotherWay: whoever has lost what a journey asks for signs in by a recovery
// code, and on the phone by what it has.
func TestAnotherWay(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m, _ := c.equipped(t, "ana")
	codes := c.want(t, 201, "POST /v1/users/"+m.id+"/recovery-codes", nil)["codes"].([]any)
	for i, id := range []string{"totp_login", "email_otp_login", "passwordless_passkey", "magic_link_login"} {
		if _, r := w.entered(t, id, "another_way", map[string]any{"username": "ana", "recovery_code": "aaaa-aaaa-aaaa-aaaa"}); r.Type != simulator.Rejection {
			t.Errorf("%s by a code that is none: %+v", id, r)
		}
		if _, r := w.entered(t, id, "another_way", map[string]any{"username": "ana", "recovery_code": codes[i]}); r.Type != simulator.Success || claimsOf(t, r.Token)["sub"] != m.id {
			t.Errorf("%s: %+v", id, r)
		}
	}
	b, _ := w.entered(t, "password_with_totp", "password", map[string]any{"username": "ana", "password": password})
	if r, err := b.Submit(t.Context(), "another_way", map[string]any{"recovery_code": codes[5]}); err != nil || r.Type != simulator.Success || claimsOf(t, r.Token)["acr"] != authn.AAL2 {
		t.Errorf("after a password: %+v, %v", r, err)
	}
	if _, r := w.entered(t, "mobile_pin", "another_way", map[string]any{"email": m.email}); r.Step != "transmit_platform_mobile_biometrics_authentication" && r.Type != simulator.Rejection {
		t.Errorf("on a phone: %+v", r)
	}
}

// TestResetLink: a mailed link lets its reader choose a password, once; following
// it changes nothing, and nobody learns who exists.
func TestResetLink(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "credentials": map[string]any{"password": "tall-otter-crosses-4-rivers", "force_replace": false}})
	const at = "POST /v1/auth/password/reset/email/link/send"
	known := c.want(t, 200, at, map[string]any{"email": "ana@example.org"})
	if nobody := c.want(t, 200, at, map[string]any{"email": "nobody@example.org"}); nobody["message"] != known["message"] {
		t.Errorf("%v is not %v", nobody, known)
	}
	if got, _ := c.do(t, at, map[string]any{"email": "ana@example.org", "redirect_uri": "https://evil.example/"}); got != 400 {
		t.Errorf("to another page: %d", got)
	}
	link := resetIn.FindString(w.mailOf(t, "ana@example.org", 1))
	p := w.person(t)
	for range 3 {
		p.open(link).sees("Choose a new password")
	}
	p.post("", url.Values{"new_password": {"short"}}).sees(`role="alert"`)
	if p.status != http.StatusUnprocessableEntity {
		t.Errorf("a weak password: %d", p.status)
	}
	r, err := http.NewRequest(http.MethodPost, link, strings.NewReader("new_password=wide-badger-under-7-bridges"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://evil.example")
	if q := w.person(t).read(http.DefaultClient.Do(r)); q.status != http.StatusForbidden {
		t.Errorf("another site: %d", q.status)
	}
	if q := w.person(t).open(link[:len(link)-3]); q.status != http.StatusGone {
		t.Errorf("a shorter link: %d", q.status)
	}
	p.open(link).post("", url.Values{"new_password": {"wide-badger-under-7-bridges"}}).sees("Your password is changed")
	if p.open(link); p.status != http.StatusGone {
		t.Errorf("again: %d", p.status)
	}
	in := map[string]any{"identifier": "ana@example.org", "password": "wide-badger-under-7-bridges"}
	c.want(t, 200, "POST /v1/auth/password/authenticate", in)

	c.want(t, 200, at, map[string]any{"email": "ana@example.org", "redirect_uri": w.URL + "/playground/"})
	if text := w.mailsOf(t, "ana@example.org", 3); !strings.Contains(text, "/playground/?reset_token=prt_") {
		t.Errorf("to the application's page: %s", text)
	}
	w.Pass(6 * time.Minute)
	c.want(t, 200, at, map[string]any{"email": "ana@example.org"})
	late := resetIn.FindString(strings.ReplaceAll(w.mailsOf(t, "ana@example.org", 4), link, ""))
	w.Pass(6 * time.Minute)
	if p.open(late); p.status != http.StatusGone {
		t.Errorf("too late: %d", p.status)
	}
}

// TestNotices: who added or lost a way to sign in is told at the addresses that
// are known to be theirs, in their language, unless the application wants none.
func TestNotices(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "custom_data": map[string]any{"language": "de"}})["user_id"].(string)
	add := func() string {
		t.Helper()
		return c.want(t, 201, "POST /v1/users/"+u+"/totp", map[string]any{"label": "Phone", "allow_override": true})["authenticator_id"].(string)
	}
	add()
	if _, err := w.Kit.Jobs.RunOne(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(w.Dev.Inbox.List("mail", "ana@example.org", "")); n != 0 {
		t.Errorf("%d mails to an address that nobody verified", n)
	}
	c.want(t, 202, "POST /v1/users/"+u+"/emails/ana@example.org/verify", nil)
	id := add()
	if text := w.mailOf(t, "ana@example.org", 1); !strings.Contains(text, "Ein neuer Weg") || !strings.Contains(text, "Phone") {
		t.Errorf("added: %s", text)
	}
	c.want(t, 204, "DELETE /v1/users/"+u+"/authenticators/"+id+"?force=true", nil)
	if text := w.mailOf(t, "ana@example.org", 2); !strings.Contains(text, "entfernt") {
		t.Errorf("removed: %s", text)
	}
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/totp", map[string]any{"notify": false})
	add()
	if _, err := w.Kit.Jobs.RunOne(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(w.Dev.Inbox.List("mail", "ana@example.org", "")); n != 2 {
		t.Errorf("%d mails where none was wanted", n-2)
	}
}

// TestSharedPassword: applications of one group share a password, its lock and
// its list; others do not.
func TestSharedPassword(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	secret := ""
	if err := w.Kit.DB.Move(t.Context(), func(tx *db.Tx) (err error) {
		if err := apps.Save(t.Context(), tx, apps.App{ID: "second", Tenant: "default", Name: "Second", Audience: apps.B2C}); err != nil {
			return err
		}
		if err := apps.SaveClient(t.Context(), tx, apps.Client{ID: "second-backend", App: "second", Name: "x", Kind: apps.Backend, Settings: apps.ClientSettings{Permissions: []string{"auth:*", "users:*", "apps:*", "authenticators:*"}}}); err != nil {
			return err
		}
		secret, err = apps.RotateSecret(t.Context(), tx, "second-backend")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	d := rest{w, w.token(t, "second-backend", secret, "")["access_token"].(string)}
	for app, back := range map[string]rest{"demo": c, "second": d} {
		back.want(t, 200, "PATCH /v1/applications/"+app+"/auth-methods/password", map[string]any{"password_sharing_group_id": "family"})
	}
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "credentials": map[string]any{"password": "tall-otter-crosses-4-rivers", "force_replace": false}})["user_id"].(string)
	right := map[string]any{"identifier": "ana@example.org", "password": "tall-otter-crosses-4-rivers"}
	for _, back := range []rest{c, d} {
		back.want(t, 200, "POST /v1/auth/password/authenticate", right)
	}
	if got, body := d.do(t, "POST /v1/users/"+u+"/password", map[string]any{"password": "wide-badger-under-7-bridges"}); got != 409 {
		t.Errorf("a second one: %d %v", got, body)
	}
	listed := func(back rest) string {
		t.Helper()
		_, body := back.do(t, "GET /v1/users/"+u+"/authenticators", nil)
		for _, a := range body["result"].([]any) {
			if a := a.(map[string]any); a["type"] == "password" {
				return a["status"].(string)
			}
		}
		return "none"
	}
	for i := range 5 { // wrong here and there: one count
		[]rest{c, d}[i%2].do(t, "POST /v1/auth/password/authenticate", map[string]any{"identifier": "ana@example.org", "password": "wrong-wrong-wrong"})
	}
	for _, back := range []rest{c, d} {
		if got, body := back.do(t, "POST /v1/auth/password/authenticate", right); got != 403 || body["error_code"] != "auth_locked" || listed(back) != "locked" {
			t.Errorf("locked in one, and in the other: %d %v, %s", got, body, listed(back))
		}
	}
	d.want(t, 204, "POST /v1/users/"+u+"/authenticators/types/password/unlock", map[string]any{"unlock_type": "any"})
	c.want(t, 200, "POST /v1/auth/password/authenticate", right)
	d.want(t, 200, "PATCH /v1/applications/second/auth-methods/password", map[string]any{"password_sharing_group_id": ""})
	if got, _ := d.do(t, "POST /v1/auth/password/authenticate", right); got != 400 || listed(d) != "none" {
		t.Errorf("outside the group: %d, %s", got, listed(d))
	}
}
