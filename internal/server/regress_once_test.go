package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// tries is how often something is tried at once: a thousand times, or a hundred
// with -short.
func tries() int {
	if testing.Short() {
		return 100
	}
	return 1000
}

// atOnce runs fn n times, up to 200 of them at a time, and counts how often it
// said yes.
func atOnce(n int, fn func(i int) bool) int {
	var yes atomic.Int32
	var all sync.WaitGroup
	slots := make(chan struct{}, 200)
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if fn(i) {
				yes.Add(1)
			}
		})
	}
	all.Wait()
	return int(yes.Load())
}

// nodes are servers on one database: three where it can be shared.
func nodes(t *testing.T) (first *world, all []rest) {
	t.Helper()
	at := kittest.Address(t)
	first = openWorld(t, at)
	worlds := []*world{first}
	if os.Getenv("TEST_POSTGRES") != "" {
		worlds = append(worlds, openWorld(t, at), openWorld(t, at))
	}
	backend := worlds[len(worlds)-1].Dev.Facts.Clients["backend"] // each start gives it another secret
	for _, w := range worlds {
		bearer, _ := w.token(t, backend.ID, backend.Secret, "")["access_token"].(string)
		if bearer == "" {
			t.Fatal("no access token")
		}
		all = append(all, rest{w, bearer})
	}
	return first, all
}

// R01: a thousand wrong tries at once, at every server, are judged as often as the
// limit says and not once more; and then what is right is refused.
func TestReg_R01_ThousandGuesses(t *testing.T) {
	w, all := nodes(t)
	c := all[0]
	m, recovery := c.equipped(t, "ana")
	mine, _ := w.own(t, c, "pia@example.org")
	k := simulator.NewPIN()
	public, err := k.Public("271828")
	if err != nil {
		t.Fatal(err)
	}
	mine.want(t, 201, "POST /v1/auth/pin/register", map[string]any{"publicKey": public, "publicKeyId": k.ID})
	posed := c.want(t, 200, "POST /v1/auth/pin/start", map[string]any{"identifier": "pia@example.org"})["challenge"].(string)
	pin := func(digits string) map[string]any {
		s, err := k.Sign(digits, posed)
		if err != nil {
			t.Error(err)
		}
		return map[string]any{"identifier": "pia@example.org", "publicKeyId": k.ID, "signature": s}
	}
	theirs, _ := w.own(t, c, "tom@example.org")
	finger := simulator.NewPIN()
	if public, err = finger.Public("271828"); err != nil {
		t.Fatal(err)
	}
	theirs.want(t, 201, "POST /v1/auth/mobile-biometrics/register", map[string]any{"publicKey": public, "publicKeyId": finger.ID})
	touched := c.want(t, 200, "POST /v1/auth/mobile-biometrics/start", map[string]any{"identifier": "tom@example.org"})["challenge"].(string)
	touch := func(digits string) map[string]any {
		s, err := finger.Sign(digits, touched)
		if err != nil {
			t.Error(err)
		}
		return map[string]any{"identifier": "tom@example.org", "publicKeyId": finger.ID, "signature": s}
	}
	c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "email", "identifier": m.email})
	mailed := w.sentCode(t, "mail", m.email, 1)
	direct := c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "direct", "identifier": m.email})["code"].(string)
	c.want(t, 201, "POST /v1/users/"+m.id+"/phone-numbers", map[string]any{"phone_number": "+4915112345678"})
	c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "sms", "identifier": m.email})
	texted := w.sentCode(t, "sms", "+4915112345678", 1)
	bob, _ := c.equipped(t, "bob")
	c.want(t, 200, "POST /v1/auth/password/reset/email/otp/send", map[string]any{"email": bob.email})
	resets := w.sentCode(t, "mail", bob.email, 1)
	eve, _ := c.equipped(t, "eve")
	pay := c.want(t, 200, "POST /v1/auth/totp/transaction/start", map[string]any{"identifier": eve.email, "approval_data": map[string]any{"amount": "1"}})["challenge"].(string)
	signs := func(code string) map[string]any {
		return map[string]any{"identifier": eve.email, "challenge": pay, "totp_code": code}
	}
	with := func(more map[string]any) map[string]any {
		more["identifier"] = m.email
		return more
	}
	for name, g := range map[string]struct {
		route        string
		wrong, right map[string]any
		most         int
	}{
		"totp":          {"totp", with(map[string]any{"totp_code": m.bad(t, w)}), with(map[string]any{"totp_code": m.code(t, w)}), 5},
		"password":      {"password", with(map[string]any{"password": "wrong"}), with(map[string]any{"password": password}), 5},
		"recovery code": {"recovery-code", with(map[string]any{"recovery_code": "aaaa-aaaa-aaaa-aaaa"}), with(map[string]any{"recovery_code": recovery}), 5},
		"mailed code":   {"otp", with(map[string]any{"passcode": other(mailed), "channel": "email"}), with(map[string]any{"passcode": mailed, "channel": "email"}), 5},
		"direct code":   {"otp", with(map[string]any{"passcode": other(direct), "channel": "direct"}), with(map[string]any{"passcode": direct, "channel": "direct"}), 5},
		"texted code":   {"otp", with(map[string]any{"passcode": other(texted), "channel": "sms"}), with(map[string]any{"passcode": texted, "channel": "sms"}), 5},
		"reset code":    {"password/reset/email/otp/validate", map[string]any{"email": bob.email, "passcode": other(resets)}, map[string]any{"email": bob.email, "passcode": resets}, 5},
		"signing code":  {"totp/transaction", signs(other(eve.app.Sign(pay, w.Now()))), signs(eve.app.Sign(pay, w.Now())), 5},
		"PIN":           {"pin", pin("000000"), pin("271828"), 3},
		"biometrics":    {"mobile-biometrics", touch("000000"), touch("271828"), 5},
	} {
		if !strings.HasSuffix(g.route, "validate") {
			g.route += "/authenticate"
		}
		judged := atOnce(tries(), func(i int) bool {
			got, body := all[i%len(all)].do(t, "POST /v1/auth/"+g.route, g.wrong)
			if got == http.StatusOK {
				t.Errorf("%s: something wrong was taken", name)
			}
			return body["error_code"] == "auth_invalid_credentials"
		})
		if judged > g.most || judged == 0 {
			t.Errorf("%s: %d of %d were judged, the limit is %d", name, judged, tries(), g.most)
		}
		for _, back := range all {
			if got, body := back.do(t, "POST /v1/auth/"+g.route, g.right); got != 403 || body["error_code"] != "auth_locked" {
				t.Errorf("%s: the right one afterwards: %d %v", name, got, body)
			}
		}
	}
}

// R06: whatever is good once is good once, of a thousand who show it at the same
// time, at every server.
func TestReg_R06_GoodOnce(t *testing.T) {
	w, all := nodes(t)
	c := all[0]
	once := func(name, route string, want int, in map[string]any) {
		t.Helper()
		if n := atOnce(tries(), func(i int) bool {
			got, _ := all[i%len(all)].do(t, "POST /v1/auth/"+route, in)
			return got == want
		}); n != 1 {
			t.Errorf("%s: %d of %d succeeded", name, n, tries())
		}
	}
	m, recovery := c.equipped(t, "ana")
	once("TOTP code", "totp/authenticate", 200, map[string]any{"identifier": m.email, "totp_code": m.code(t, w)})
	once("recovery code", "recovery-code/authenticate", 200, map[string]any{"identifier": m.email, "recovery_code": recovery})
	c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "email", "identifier": m.email})
	once("mailed code", "otp/authenticate", 200, map[string]any{"identifier": m.email, "channel": "email", "passcode": w.sentCode(t, "mail", m.email, 1)})
	code := c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "direct", "identifier": m.email})["code"]
	once("direct code", "otp/authenticate", 200, map[string]any{"identifier": m.email, "channel": "direct", "passcode": code})

	page := all[len(all)-1].w.URL + "/playground/" // the last start wrote where the client may be sent
	link := c.want(t, 200, "POST /v1/auth/link/email/send", map[string]any{"identifier": m.email, "redirect_uri": page, "channel": "direct"})["link"].(string)
	if n := atOnce(tries(), func(int) bool {
		r, err := http.Post(link, "application/x-www-form-urlencoded", nil)
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	}); n != 1 {
		t.Errorf("a link: %d pressed it", n)
	}
	link = c.want(t, 200, "POST /v1/auth/link/email/send", map[string]any{"identifier": m.email, "redirect_uri": page, "channel": "direct"})["link"].(string)
	back, err := url.Parse(w.person(t).open(link).post("", nil).next())
	if err != nil {
		t.Fatal(err)
	}
	once("code of a link", "link/email/authenticate", 200, map[string]any{"code": back.Query().Get("code")})

	c.want(t, 200, "POST /v1/auth/otp/email", map[string]any{"email": "tia@example.org", "create_new_user": true})
	_, out := c.do(t, "POST /v1/auth/otp/email/validation", map[string]any{"email": "tia@example.org", "passcode": w.sentCode(t, "mail", "tia@example.org", 1), "redirect_uri": carriedTo})
	id, secret := all[len(all)-1].w.backend()
	brought := carried(t, out["result"].(string), carriedTo, "")
	if n := atOnce(tries(), func(i int) bool {
		got, _ := all[i%len(all)].w.trades(t, id, secret, brought)
		return got == http.StatusOK
	}); n != 1 {
		t.Errorf("a code of a page: %d traded it", n)
	}

	mine, _ := w.own(t, c, "pia@example.org")
	for _, base := range []string{"pin", "mobile-biometrics"} {
		k := simulator.NewPIN()
		public, err := k.Public("1")
		if err != nil {
			t.Fatal(err)
		}
		mine.want(t, 201, "POST /v1/auth/"+base+"/register", map[string]any{"publicKey": public, "publicKeyId": k.ID})
		s, err := k.Sign("1", c.want(t, 200, "POST /v1/auth/"+base+"/start", map[string]any{"identifier": "pia@example.org"})["challenge"].(string))
		if err != nil {
			t.Fatal(err)
		}
		once(base+" signature", base+"/authenticate", 200, map[string]any{"identifier": "pia@example.org", "publicKeyId": k.ID, "signature": s})
		mine = c.by(t, "/v1/auth/"+base+"/", "pia@example.org", k, "1")
	}
	pay := c.want(t, 200, "POST /v1/auth/totp/transaction/start", map[string]any{"identifier": m.email, "approval_data": map[string]any{"amount": "1"}})
	w.Pass(time.Minute)
	signed := m.app.Sign(pay["challenge"].(string), w.Now())
	once("signed transaction", "totp/transaction/authenticate", 200, map[string]any{"identifier": m.email, "challenge": pay["challenge"], "totp_code": signed})
}

// R27: right passwords at once, at every server, all sign in, though the limit is
// five; and leave no count.
func TestReg_R27_RightAtOnce(t *testing.T) {
	w, all := nodes(t)
	m, _ := all[0].equipped(t, "ana")
	if n := atOnce(30, func(i int) bool {
		got, body := all[i%len(all)].do(t, "POST /v1/auth/password/authenticate", map[string]any{"identifier": m.email, "password": password})
		if got != http.StatusOK {
			t.Logf("%d %v", got, body)
		}
		return got == http.StatusOK
	}); n != 30 {
		t.Errorf("%d of 30 signed in", n)
	}
	var state string
	if err := w.Kit.DB.QueryRow(t.Context(), `SELECT state FROM lockouts`).Scan(&state); err != nil || state != "{}" {
		t.Errorf("a count is left: %s, %v", state, err)
	}
}

// R03, R56: of many who reset a password by one token, one does, and for the user
// whose token it is, whoever else is named.
func TestReg_R03_OneReset(t *testing.T) {
	w, all := nodes(t)
	c := all[0]
	m, _ := c.equipped(t, "ana")
	bob, _ := c.equipped(t, "bob")
	c.want(t, 200, "POST /v1/auth/password/reset/email/otp/send", map[string]any{"email": m.email})
	code := w.sentCode(t, "mail", m.email, 1)
	_, out := c.do(t, "POST /v1/auth/password/reset/email/otp/validate", map[string]any{"email": m.email, "passcode": code})
	for _, more := range []map[string]any{{"email": bob.email}, {"identifier": bob.email, "identifier_type": "email"}, {"user_id": bob.id}} {
		more["reset_token"], more["new_password"] = out["result"], "wide-badger-under-7-bridges"
		if got, _ := c.do(t, "POST /v1/auth/password/reset", more); got == 204 {
			t.Errorf("with somebody else's name: %v", more)
		}
	}
	var winner atomic.Value
	if n := atOnce(100, func(i int) bool {
		p := fmt.Sprintf("wide-badger-under-%d-bridges", i)
		got, _ := all[i%len(all)].do(t, "POST /v1/auth/password/reset", map[string]any{"reset_token": out["result"], "new_password": p})
		if got == 204 {
			winner.Store(p)
		}
		return got == 204
	}); n != 1 {
		t.Fatalf("%d of 100 reset it", n)
	}
	c.unlock(t, m.id, "password")
	c.want(t, 200, "POST /v1/auth/password/authenticate", map[string]any{"identifier": m.email, "password": winner.Load()})
	c.want(t, 200, "POST /v1/auth/password/authenticate", map[string]any{"identifier": bob.email, "password": password})
}

// R41: who proved one factor takes no other from the account, and adds none.
func TestReg_R41_StepUpFirst(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	m, _ := c.equipped(t, "ana")
	tokens := c.want(t, 200, "POST /v1/auth/password/authenticate", map[string]any{"identifier": m.email, "password": password})
	low := rest{w, tokens["access_token"].(string)}
	_, list := low.do(t, "GET /v1/users/me/authenticators", nil)
	at := ""
	for _, a := range list["result"].([]any) {
		if a := a.(map[string]any); a["type"] == "totp" {
			at = "DELETE /v1/users/me/authenticators/" + a["id"].(string)
		}
	}
	for _, route := range []string{at, "POST /v1/users/me/totp", "POST /v1/auth/pin/register"} {
		if got, body := low.do(t, route, map[string]any{}); got != 403 || body["ts_error_code"] != "reauthentication_required" {
			t.Errorf("%s: %d %v", route, got, body)
		}
	}
	w.Pass(31 * time.Second)
	high := c.want(t, 200, "POST /v1/auth/totp/authenticate", map[string]any{"identifier": m.email, "totp_code": m.code(t, w), "session_id": tokens["session_id"]})
	w.Pass(6 * time.Minute)
	if got, _ := (rest{w, high["access_token"].(string)}).do(t, at, nil); got != 403 {
		t.Errorf("long after both: %d", got)
	}
	again := c.want(t, 200, "POST /v1/auth/password/authenticate", map[string]any{"identifier": m.email, "password": password, "session_id": tokens["session_id"]})
	both := c.want(t, 200, "POST /v1/auth/totp/authenticate", map[string]any{"identifier": m.email, "totp_code": m.code(t, w), "session_id": again["session_id"]})
	if got, body := (rest{w, both["access_token"].(string)}).do(t, at, nil); got != 204 {
		t.Errorf("with both: %d %v", got, body)
	}
}
