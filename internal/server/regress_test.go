package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// The tests of this file are named after what broke elsewhere; the list with its
// sources stands in docs/threats.md.

// member is a user with an authenticator app.
type member struct {
	id, email string
	app       simulator.Token
}

func (c rest) member(t testing.TB, name string) member {
	t.Helper()
	email := name + "@example.org"
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": email, "username": name, "phone_number": "", "external_user_id": "ext-" + name})
	m := member{id: u["user_id"].(string), email: email}
	var err error
	if m.app, err = simulator.ParseToken(c.want(t, 201, "POST /v1/users/"+m.id+"/totp", nil)["uri"].(string)); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m member) code(t testing.TB, w *world) string {
	t.Helper()
	code, err := m.app.Code(w.Now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// bad is a code that is not good now, nor in the periods beside it.
func (m member) bad(t testing.TB, w *world) string {
	t.Helper()
	var near []string
	for _, d := range []time.Duration{-30, 0, 30} {
		code, err := m.app.Code(w.Now().Add(d * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		near = append(near, code)
	}
	for i := 0; ; i++ {
		if code := fmt.Sprintf("%06d", i); !slices.Contains(near, code) {
			return code
		}
	}
}

// totp signs in by a journey.
func (w *world) totp(t testing.TB, who, code string) simulator.Response {
	t.Helper()
	b := w.browser(t)
	if _, err := b.Start(t.Context(), "totp_login", nil); err != nil {
		t.Fatal(err)
	}
	r, err := b.Submit(t.Context(), "totp", map[string]any{"username": who, "totp_code": code})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// counters is how many users, and how many strangers, something is counted
// against.
func (w *world) counters(t testing.TB) (users, strangers int) {
	t.Helper()
	for _, c := range []struct {
		n        *int
		stranger bool
	}{{&users, false}, {&strangers, true}} {
		if err := w.Kit.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM lockouts WHERE stranger = $1`, c.stranger).Scan(c.n); err != nil {
			t.Fatal(err)
		}
	}
	return users, strangers
}

// R07: what is tried through one door counts at every other.
func TestReg_R07_OneCounterForEveryDoor(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m := c.member(t, "ana")
	for i := range 5 {
		if i%2 == 0 {
			w.totp(t, m.email, m.bad(t, w))
		} else {
			c.do(t, "POST /v1/auth/totp/authenticate", map[string]any{"identifier": m.email, "totp_code": m.bad(t, w)})
		}
	}
	if r := w.totp(t, m.email, m.code(t, w)); r.Type != simulator.Rejection {
		t.Errorf("the journey: %+v", r)
	}
	if got, body := c.do(t, "POST /v1/auth/totp/authenticate", map[string]any{"identifier": m.email, "totp_code": m.code(t, w)}); got != 403 || body["error_code"] != "auth_locked" {
		t.Errorf("the API: %d %v", got, body)
	}
}

// R15: parts of opaque tokens, and tokens in other letters, are none.
func TestReg_R15_PartsOfTokens(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m := c.member(t, "ana")
	out := c.want(t, 200, "POST /v1/auth/totp/authenticate", map[string]any{"identifier": m.email, "totp_code": m.code(t, w)})
	whole := out["session_id"].(string)
	for _, part := range []string{whole[:len(whole)-1], whole[1:], strings.ToLower(whole), whole + "A", " " + whole, whole[:4], ""} {
		if got, _ := c.do(t, "POST /v1/auth/session/authenticate", map[string]any{"session_id": part}); got == 200 {
			t.Errorf("%q is good", part)
		}
	}
	access := out["access_token"].(string)
	for _, part := range []string{access[:len(access)-2], access[1:], strings.TrimSuffix(access, access[strings.LastIndex(access, "."):]), out["id_token"].(string)} {
		if got, _ := (rest{w, part}).do(t, "GET /v1/users/me", nil); got != 401 {
			t.Errorf("a part of an access token: %d", got)
		}
	}
	c.want(t, 200, "POST /v1/auth/session/authenticate", map[string]any{"session_id": whole})
}

// R19, R20: a charge outlives the sign-in that failed.
func TestReg_R19_ChargesOutliveTheFailure(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m := c.member(t, "ana")
	for i := 1; i <= 5; i++ {
		w.totp(t, m.email, m.bad(t, w))
		var state string
		if err := w.Kit.DB.QueryRow(t.Context(), `SELECT state FROM lockouts`).Scan(&state); err != nil || !strings.Contains(state, fmt.Sprintf(`"failures":%d`, i)) {
			t.Errorf("after %d failures: %s (%v)", i, state, err)
		}
	}
}

// R21: every name of a user leads to one counter.
func TestReg_R21_EveryNameOneCounter(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m := c.member(t, "ana")
	names := []map[string]any{{"identifier": "ANA@Example.org"}, {"identifier": "ana", "identifier_type": "username"}, {"identifier": "ext-ana", "identifier_type": "external_user_id"},
		{"identifier": m.id, "identifier_type": "user_id"}, {"identifier": "Ana", "identifier_type": "username"}}
	for _, n := range names {
		n["totp_code"] = m.bad(t, w)
		c.do(t, "POST /v1/auth/totp/authenticate", n)
	}
	for _, n := range names {
		n["totp_code"] = m.code(t, w)
		if got, body := c.do(t, "POST /v1/auth/totp/authenticate", n); got != 403 {
			t.Errorf("%v: %d %v", n, got, body)
		}
	}
	if users, strangers := w.counters(t); users != 1 || strangers != 0 {
		t.Errorf("%d counters of users, %d of strangers", users, strangers)
	}
}

// R24: a hundred fresh journeys at once are judged as often as one.
func TestReg_R24_FreshJourneysShareTheLimit(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m := c.member(t, "ana")
	var refused atomic.Int64
	var wg sync.WaitGroup
	browsers := make([]*simulator.Browser, 100)
	for i := range browsers {
		browsers[i] = w.browser(t)
		if _, err := browsers[i].Start(t.Context(), "totp_login", nil); err != nil {
			t.Fatal(err)
		}
	}
	wrong := m.bad(t, w)
	for _, b := range browsers {
		wg.Go(func() {
			if r, err := b.Submit(t.Context(), "totp", map[string]any{"username": m.email, "totp_code": wrong}); err == nil && r.Type == simulator.Rejection {
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	var state string // every judgement is charged, and nothing is charged that is not judged
	if err := w.Kit.DB.QueryRow(t.Context(), `SELECT state FROM lockouts`).Scan(&state); err != nil || !strings.Contains(state, `"failures":5,`) || refused.Load() == 0 {
		t.Errorf("%d were refused, and what is charged is %s (%v)", refused.Load(), state, err)
	}
	if r := w.totp(t, m.email, m.code(t, w)); r.Type == simulator.Success {
		t.Error("the right code was accepted while locked")
	}
}

// R26: nobody can take a name that another user goes by, of whatever kind.
func TestReg_R26_NamesOfOthers(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m := c.member(t, "ana")
	for _, body := range []map[string]any{{"username": m.email}, {"username": "ANA"}, {"email": "Ana@EXAMPLE.org"}, {"external_user_id": "ext-ana"}} {
		if got, out := c.do(t, "POST /v1/users", body); got != 409 && got != 400 {
			t.Errorf("%v: %d %v", body, got, out)
		}
	}
}

// R28: a blank or odd name moves nobody's counter.
func TestReg_R28_BlankNames(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.member(t, "ana")
	for _, name := range []string{" ", "%", "*", "_", "ana\x00", "ana%", "' OR 1=1 --", strings.Repeat("a", 300)} {
		w.totp(t, name, "000000")
		c.do(t, "POST /v1/auth/totp/authenticate", map[string]any{"identifier": name, "totp_code": "000000"})
	}
	c.do(t, "POST /v1/auth/totp/authenticate", map[string]any{"identifier": "", "totp_code": "000000"})
	if users, _ := w.counters(t); users != 0 {
		t.Errorf("%d counters of users moved", users)
	}
}

// R48: what is switched off is off at every door.
func TestReg_R48_SwitchedOff(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m := c.member(t, "ana")
	off := map[string]any{"enabled": false}
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/totp", off)
	if r := w.totp(t, m.email, m.code(t, w)); r.Type != simulator.Rejection {
		t.Errorf("the journey: %+v", r)
	}
	for route, body := range map[string]any{"POST /v1/auth/totp/authenticate": map[string]any{"identifier": m.email, "totp_code": m.code(t, w)}, "POST /v1/users/" + m.id + "/totp": nil} {
		if got, out := c.do(t, route, body); got < 400 || got >= 500 {
			t.Errorf("%s: %d %v", route, got, out)
		}
	}
	off["enabled"] = true
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/totp", off)
	if r := w.totp(t, m.email, m.code(t, w)); r.Type != simulator.Success {
		t.Errorf("on again: %+v", r)
	}
}

// R49: whoever may not sign in any more is out at once, with the tokens they
// have.
func TestReg_R49_OutAtOnce(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m := c.member(t, "ana")
	out := c.want(t, 200, "POST /v1/auth/totp/authenticate", map[string]any{"identifier": m.email, "totp_code": m.code(t, w)})
	mine := rest{w, out["access_token"].(string)}
	mine.want(t, 200, "GET /v1/users/me", nil)
	c.want(t, 204, "POST /v1/users/"+m.id+"/suspend", nil)
	if got, _ := mine.do(t, "GET /v1/users/me", nil); got != 401 {
		t.Errorf("the access token: %d", got)
	}
	if got, _ := c.do(t, "POST /v1/auth/session/authenticate", map[string]any{"session_id": out["session_id"]}); got == 200 {
		t.Error("the session is alive")
	}
	w.Pass(30 * time.Second)
	if r := w.totp(t, m.email, m.code(t, w)); r.Type != simulator.Rejection {
		t.Errorf("a sign-in: %+v", r)
	}
}

// R53: five hundred people at once, and nobody gets what is another's.
func TestReg_R53_NobodyGetsAnothers(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	const people = 500
	members := make([]member, people)
	var wg sync.WaitGroup
	turn := make(chan struct{}, 16)
	each := func(fn func(i int)) {
		for i := range people {
			turn <- struct{}{}
			wg.Go(func() { defer func() { <-turn }(); fn(i) })
		}
		wg.Wait()
	}
	each(func(i int) { members[i] = c.member(t, fmt.Sprintf("person%03d", i)) })
	var crossed, good atomic.Int64
	each(func(i int) {
		m := members[i]
		b := w.browser(t)
		if _, err := b.Start(t.Context(), "totp_login", map[string]any{"marker": m.email}); err != nil {
			t.Error(err)
			return
		}
		r, err := b.Submit(t.Context(), "totp", map[string]any{"username": m.email, "totp_code": m.code(t, w)})
		if err != nil || r.Type != simulator.Success {
			return // too busy
		}
		claims := claimsOf(t, r.Token)
		params, _ := claims["params"].(map[string]any)
		if good.Add(1); claims["sub"] != m.id || params["marker"] != m.email {
			crossed.Add(1)
		}
	})
	if crossed.Load() != 0 || good.Load() < people*9/10 {
		t.Errorf("%d signed in, %d of them as somebody else", good.Load(), crossed.Load())
	}
}

// R57: several people in the place of one are nobody.
func TestReg_R57_SeveralInPlaceOfOne(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m := c.member(t, "ana")
	for _, who := range []any{[]string{m.email, "evil@example.org"}, m.email + ",evil@example.org", m.email + ";evil@example.org", map[string]any{"0": m.email}, m.email + "\nevil@example.org"} {
		if got, body := c.do(t, "POST /v1/auth/otp/send", map[string]any{"channel": "email", "identifier": who}); got == 200 {
			t.Errorf("%v: %v", who, body)
		}
	}
	r, err := http.NewRequest(http.MethodPost, w.URL+"/v1/auth/otp/send", strings.NewReader(`{"channel":"email","identifier":"`+m.email+`","identifier":"evil@example.org"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.bearer)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("one key twice: %d", resp.StatusCode)
	}
	if list := w.Dev.Inbox.List("mail", "", ""); len(list) != 0 {
		t.Errorf("%d mails were sent", len(list))
	}
}
