package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/simulator"
)

const password = "tall-otter-crosses-4-rivers"

// equipped is a member with a password, an authenticator app and recovery codes.
func (c rest) equipped(t testing.TB, name string) (m member, recovery string) {
	t.Helper()
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false})
	m = member{email: name + "@example.org"}
	m.id = c.want(t, 201, "POST /v1/users", map[string]any{"email": m.email, "username": name, "credentials": map[string]any{"password": password, "force_replace": false}})["user_id"].(string)
	var err error
	if m.app, err = simulator.ParseToken(c.want(t, 201, "POST /v1/users/"+m.id+"/totp", nil)["uri"].(string)); err != nil {
		t.Fatal(err)
	}
	return m, c.want(t, 201, "POST /v1/users/"+m.id+"/recovery-codes", nil)["codes"].([]any)[0].(string)
}

// entered answers the first step of a journey.
func (w *world) entered(t testing.TB, journey, option string, data map[string]any) (*simulator.Browser, simulator.Response) {
	t.Helper()
	b := w.browser(t)
	if _, err := b.Start(t.Context(), journey, nil); err != nil {
		t.Fatal(err)
	}
	r, err := b.Submit(t.Context(), option, data)
	if err != nil {
		t.Fatal(err)
	}
	return b, r
}

// R22: sixty-four ways to write a name lead to one counter or to nobody.
func TestReg_R22_SpellingsShareOneCounter(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m := c.member(t, "ana")
	spellings := []string{"\uff41na@example.org", "an\u200ba@example.org", "ana\u00ad@example.org", "ana@example.org\x00", "ana@example.org.", "\u202eana@example.org", "ana@example\u3002org", "ana+x@example.org"}
	for _, before := range []string{"", " ", "\t", "\u00a0", "\u2003", "\ufeff", "\n"} {
		for _, after := range []string{"", " ", "\r\n", "\u3000"} {
			for _, name := range []string{"ANA@example.org", "Ana@EXAMPLE.org"} {
				spellings = append(spellings, before+name+after)
			}
		}
	}
	if len(spellings) < 64 {
		t.Fatalf("%d spellings", len(spellings))
	}
	for range 2 {
		for _, s := range spellings {
			c.do(t, "POST /v1/auth/totp/authenticate", map[string]any{"identifier": s, "totp_code": m.bad(t, w)})
		}
	}
	if users, _ := w.counters(t); users != 1 {
		t.Errorf("%d counters of users", users)
	}
	for _, s := range append(spellings, m.email) {
		if got, out := c.do(t, "POST /v1/auth/totp/authenticate", map[string]any{"identifier": s, "totp_code": m.code(t, w)}); got < 400 || got >= 500 {
			t.Errorf("%q after the lock: %d %v", s, got, out)
		}
		if r := w.totp(t, s, m.code(t, w)); r.Type == simulator.Success {
			t.Errorf("%q after the lock, by a journey: %+v", s, r)
		}
	}
}

// entry is a way to try a method.
type entry struct {
	kind authn.Kind
	name string
	try  func(t *testing.T, right bool) bool // reports whether it signed in, or went on
}

// entries are all ways to answer the methods that have a counter by what is
// typed. The last one changes the password.
func entries(w *world, c rest, m member, recovery string, mailed *string) []entry {
	pick := func(right bool, good, bad string) string {
		if right {
			return good
		}
		return bad
	}
	call := func(t *testing.T, route, field, value string) bool {
		got, _ := c.do(t, "POST /v1/auth/"+route+"/authenticate", map[string]any{"identifier": m.email, field: value})
		return got == http.StatusOK
	}
	return []entry{
		{"totp", "API", func(t *testing.T, right bool) bool {
			return call(t, "totp", "totp_code", pick(right, m.code(t, w), m.bad(t, w)))
		}},
		{"totp", "journey", func(t *testing.T, right bool) bool {
			return w.totp(t, m.email, pick(right, m.code(t, w), m.bad(t, w))).Type == simulator.Success
		}},
		{"password", "API", func(t *testing.T, right bool) bool {
			return call(t, "password", "password", pick(right, password, "wrong"))
		}},
		{"password", "journey", func(t *testing.T, right bool) bool {
			_, r := w.entered(t, "password_with_totp", "password", map[string]any{"username": "ana", "password": pick(right, password, "wrong")})
			return r.Type == simulator.InputRequired
		}},
		{"password", "page", func(t *testing.T, right bool) bool {
			p := w.person(t).open(w.URL + "/login/demo-web/password_with_totp")
			p.post("password", url.Values{"username": {"ana"}, "password": {pick(right, password, "wrong")}})
			return strings.Contains(p.page, "Code of your authenticator app")
		}},
		{"recovery", "API", func(t *testing.T, right bool) bool {
			return call(t, "recovery-code", "recovery_code", pick(right, recovery, "aaaa-aaaa-aaaa-aaaa"))
		}},
		{"email_otp", "API", func(t *testing.T, right bool) bool {
			return call(t, "otp", "passcode", pick(right, *mailed, other(*mailed)))
		}},
		{"password", "replacing", func(t *testing.T, right bool) bool {
			got, _ := c.do(t, "POST /v1/auth/password/replace", map[string]any{"identifier": m.email, "password": pick(right, password, "wrong"), "new_password": "a-quiet-heron-eats-9-figs"})
			return got == http.StatusOK
		}},
	}
}

// R23: every method locks after its limit, whichever way it is tried, and is
// then locked every other way.
func TestReg_R23_EveryWayLocks(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m, recovery := c.equipped(t, "ana")
	c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "email", "identifier": m.email})
	code := w.sentCode(t, "mail", m.email, 1)
	mailed := &code
	list := entries(w, c, m, recovery, mailed)
	for _, by := range list {
		for range 5 {
			if by.try(t, false) {
				t.Errorf("%s by %s: something wrong was taken", by.kind, by.name)
			}
		}
		for _, way := range list {
			if way.kind == by.kind && way.try(t, true) {
				t.Errorf("%s locked by %s, and open by %s", by.kind, by.name, way.name)
			}
		}
		c.unlock(t, m.id, by.kind)
		if by.kind == "email_otp" { // the lock ended the code
			c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "email", "identifier": m.email})
			*mailed = w.sentCode(t, "mail", m.email, 2)
		}
		if !by.try(t, true) {
			t.Errorf("%s by %s: unlocked, and what is right is refused", by.kind, by.name)
		}
		w.Pass(31 * time.Second) // the next code of the app
	}
}

// unlock clears what is counted against a user for a method.
func (c rest) unlock(t testing.TB, user string, kind authn.Kind) {
	t.Helper()
	c.want(t, 204, "POST /v1/users/"+user+"/authenticators/"+string(kind)+"/unlock", map[string]any{"unlock_type": "any"})
}

// R26: who locks one method of somebody from outside leaves them the others.
func TestReg_R26_LockingOneLeavesTheOthers(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m, recovery := c.equipped(t, "ana")
	for range 20 {
		c.do(t, "POST /v1/auth/password/authenticate", map[string]any{"identifier": m.email, "password": "wrong"})
	}
	for route, body := range map[string]map[string]any{"totp": {"totp_code": m.code(t, w)}, "recovery-code": {"recovery_code": recovery}} {
		body["identifier"] = m.email
		if got, out := c.do(t, "POST /v1/auth/"+route+"/authenticate", body); got != http.StatusOK {
			t.Errorf("%s: %d %v", route, got, out)
		}
	}
}

// R42: a code proves the user and the address it was sent to, in the run or call
// that it was sent for, and nobody and nothing else.
func TestReg_R42_CodesProveTheirOwner(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	for _, name := range []string{"ana", "bob"} {
		c.want(t, 201, "POST /v1/users", map[string]any{"email": name + "@example.org"})
	}
	asked := func(who string) (*simulator.Browser, string) {
		t.Helper()
		b, r := w.entered(t, "email_otp_login", "email_otp", map[string]any{"email": who})
		if r.Step != "transmit_platform_email_otp_authentication" {
			t.Fatalf("%+v", r)
		}
		return b, w.sentCode(t, "mail", who, 1)
	}
	ana, hers := asked("ana@example.org")
	bob, his := asked("bob@example.org")
	if hers == his {
		t.Skip("one in a million: both got the same code")
	}
	if r, err := bob.Submit(t.Context(), simulator.ClientInput, map[string]any{"passcode": hers}); err != nil || r.Type == simulator.Success {
		t.Errorf("her code in his run: %+v, %v", r, err)
	}
	for who, code := range map[string]string{"bob@example.org": hers, "ana@example.org": his} {
		if got, out := c.do(t, "POST /v1/auth/otp/authenticate", map[string]any{"identifier": who, "passcode": code, "channel": "email"}); got == http.StatusOK {
			t.Errorf("another's code for %s: %v", who, out)
		}
	}
	for b, code := range map[*simulator.Browser]string{ana: hers, bob: his} {
		if r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"passcode": code}); err != nil || r.Type != simulator.Success {
			t.Errorf("their own: %+v, %v", r, err)
		}
	}
}

// R55: what clients say about the time moves no limit and no end.
func TestReg_R55_ClientsSetNoClock(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m := c.member(t, "ana")
	later := w.Now().Add(time.Hour)
	code, err := m.app.Code(later)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"identifier":%q,"totp_code":%q,"claims":{"iat":%d,"exp":%d,"auth_time":%d}}`, m.email, code, later.Unix(), later.Unix(), later.Unix())
	r, err := http.NewRequest(http.MethodPost, w.URL+"/v1/auth/totp/authenticate", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]string{"Authorization": "Bearer " + c.bearer, "Date": later.Format(http.TimeFormat), "X-Timestamp": fmt.Sprint(later.Unix()), "X-Request-Start": fmt.Sprint(later.UnixMilli())} {
		r.Header.Set(name, v)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode < 400 || res.StatusCode >= 500 {
		t.Errorf("a code of an hour later: %d", res.StatusCode)
	}
	w.registered(t, "grace@example.org", 0)
	slow, err := simulator.New(simulator.Options{Server: w.URL, Client: "demo-native", Email: "grace@example.org", Keys: keys()[0], Now: func() time.Time { return w.Now().Add(-time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	b, asked := w.asked(t, "grace@example.org")
	list, err := w.phone(t, "grace@example.org", 0).Pending(t.Context(), 5*time.Second)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	w.Pass(121 * time.Second)
	if err := slow.Approve(t.Context(), list[0].ID, asked.Text("number")); err == nil {
		t.Error("a phone with an early clock approved what had run out")
	}
	if end := ended(t, b); end.Type != simulator.Rejection {
		t.Errorf("%+v", end)
	}
}
