package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// seen is what somebody who tries a name sees.
type seen struct {
	status int
	says   string // headers and body without what differs from request to request
	took   time.Duration
}

// fleeting are the names of what differs from request to request, in headers and
// bodies.
var fleeting = []string{"Date", "X-Request-Id", "Set-Cookie", "Content-Length", "request_id", "escapes", "number", "user_identifier", "pin_challenge", "biometrics_challenge", "session_id", "assertion_id", "challenge", "expires_at", "webauthn_session_id", "cross_device_ticket_id", "user_handle", "id", "state", "turn", "visit"}

// passing is what is fleeting in a page.
var passing = regexp.MustCompile(`(run|vis|trn)_[A-Za-z0-9]+|nonce="[^"]*"`)

// steady is a body without what is fleeting.
func steady(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, inner := range v {
			if out[k] = steady(inner); slices.Contains(fleeting, k) {
				out[k] = "fleeting"
			}
		}
		return out
	case []any:
		for i := range v {
			v[i] = steady(v[i])
		}
	}
	return v
}

// sees sends one request as somebody who only knows a name, and notes what is
// to be seen. hide is taken out of the answer: the name itself.
func (w *world) sees(t testing.TB, client *http.Client, at string, body []byte, hide string, head ...string) (seen, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+at, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	began := time.Now()
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	took := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	said := passing.ReplaceAllString(hidden.ReplaceAllString(string(b), ""), "")
	var doc any
	if json.Unmarshal(b, &doc) == nil {
		again, err := json.Marshal(steady(doc))
		if err != nil {
			t.Fatal(err)
		}
		said = string(again)
	}
	var headers []string
	for _, name := range slices.Sorted(maps.Keys(res.Header)) {
		value := strings.Join(res.Header[name], ",")
		if slices.Contains(fleeting, name) || name == "Content-Security-Policy" {
			value = "fleeting"
		}
		headers = append(headers, name+": "+value)
	}
	return seen{res.StatusCode, strings.ReplaceAll(fmt.Sprint(headers, said), hide, "NAME"), took}, b
}

// way is one door to one method, tried with something wrong.
type way struct {
	name  string
	pairs int // 2,000 in all
	try   func(t testing.TB, who string) seen
}

// ways are the doors at which a name is tried together with a secret, or for what
// it leads to.
func (w *world) ways(c rest) []way {
	bearer := []string{"Authorization", "Bearer " + c.bearer}
	call := func(name string, pairs int, route string, body map[string]any) way {
		return way{name, pairs, func(t testing.TB, who string) seen {
			t.Helper()
			with := map[string]any{"identifier": who + "@example.org"}
			for _, of := range []string{"username", "email"} {
				if body[of] == true {
					with = map[string]any{of: who + "@example.org"}
				}
			}
			for k, v := range body {
				if v != true {
					with[k] = v
				}
			}
			b, err := json.Marshal(with)
			if err != nil {
				t.Fatal(err)
			}
			s, _ := w.sees(t, http.DefaultClient, "/v1/auth/"+route, b, who, bearer...)
			return s
		}}
	}
	journey := func(name string, pairs int, id, option string, data func(who string) map[string]any, then map[string]any) way {
		return way{name, pairs, func(t testing.TB, who string) seen {
			t.Helper()
			k := talk{client: "demo-web"}
			_, out := w.post(t, "auth/anonymous_invoke", "clientId=demo-web", map[string]any{"headers": []any{}, "data": map[string]any{"policy_request_id": id}})
			k.read(t, out)
			say := func(option string, data map[string]any) seen {
				in := map[string]any{"assertion_id": k.visit, "fch": k.turn, "assert": "escape", "data": map[string]any{"escape_id": option, "escape_params": data}}
				if option == simulator.ClientInput {
					in = map[string]any{"assertion_id": k.visit, "fch": k.turn, "assert": "action", "input": data}
				}
				b, err := json.Marshal(map[string]any{"headers": []any{}, "data": in})
				if err != nil {
					t.Fatal(err)
				}
				s, answer := w.sees(t, http.DefaultClient, "/ido/api/v2/auth/assert?aid=default_application&locale=en-US&clientId=demo-web&sid="+url.QueryEscape(k.sid), b, who)
				if out = map[string]any{}; then != nil {
					if err := json.Unmarshal(answer, &out); err != nil {
						t.Fatal(err)
					}
				}
				return s
			}
			first := say(option, data(who))
			if then == nil {
				return first
			}
			k.read(t, out)
			second := say(simulator.ClientInput, then)
			return seen{second.status, first.says + second.says, first.took + second.took}
		}}
	}
	named := func(field string, more map[string]any) func(who string) map[string]any {
		return func(who string) map[string]any {
			out := map[string]any{field: who + "@example.org"}
			maps.Copy(out, more)
			return out
		}
	}
	page := way{"password: page", 20, func(t testing.TB, who string) seen {
		t.Helper()
		p := w.person(t).open(w.URL + "/login/demo-web/password_with_totp")
		form := url.Values{"option": {"password"}, "username": {who + "@example.org"}, "password": {"wrong"}}
		for _, m := range hidden.FindAllStringSubmatch(p.page, -1) {
			form.Set(m[1], m[2])
		}
		s, _ := w.sees(t, p.client, p.at.Path, []byte(form.Encode()), who, "Content-Type", "application/x-www-form-urlencoded")
		return s
	}}
	wrong := map[string]any{"totp_code": "000000"}
	return []way{
		call("TOTP: API", 200, "totp/authenticate", wrong),
		call("recovery code: API", 200, "recovery-code/authenticate", map[string]any{"recovery_code": "aaaa-aaaa-aaaa-aaaa"}),
		call("mailed code: API", 200, "otp/authenticate", map[string]any{"channel": "email", "passcode": "000000"}),
		call("mailed code of a page: API", 40, "otp/email/validation", map[string]any{"email": true, "passcode": "000000", "redirect_uri": carriedTo}),
		call("direct code: API", 200, "otp/authenticate", map[string]any{"channel": "direct", "passcode": "000000"}),
		call("reset code: API", 200, "password/reset/email/otp/validate", map[string]any{"email": true, "passcode": "000000"}),
		call("passkey options", 200, "webauthn/authenticate/start", map[string]any{"username": true, "client_id": "demo-web"}),
		call("PIN options", 100, "pin/start", map[string]any{}),
		call("biometrics options", 100, "mobile-biometrics/start", map[string]any{}),
		call("transaction options", 120, "totp/transaction/start", map[string]any{"approval_data": map[string]any{"amount": "1"}}),
		journey("TOTP: journey", 120, "totp_login", "totp", named("username", wrong), nil),
		journey("mailed code: journey", 24, "email_otp_login", "email_otp", named("email", nil), map[string]any{"passcode": "000000"}),
		journey("PIN: journey", 20, "mobile_pin", simulator.ClientInput, named("email", map[string]any{"action": "sign_in"}), nil),
		journey("biometrics: journey", 20, "mobile_pin", "another_way", named("email", nil), nil),
		journey("recovery code: journey", 40, "totp_login", "another_way", named("username", map[string]any{"recovery_code": "aaaa-aaaa-aaaa-aaaa"}), nil),
		journey("reset: journey", 16, "password_reset", simulator.ClientInput, named("email", nil), nil),
		call("passkey on another device", 40, "webauthn/cross-device/authenticate/init", map[string]any{"username": true, "client_id": "demo-web"}),
		journey("link: journey", 24, "magic_link_login", simulator.ClientInput, named("email", nil), nil),
		journey("ways to sign in", 60, "sign_in", simulator.ClientInput, named("username", nil), nil),
		call("reset: asked for", 16, "password/reset/email/otp/send", map[string]any{"email": true}),
		call("password: API", 20, "password/authenticate", map[string]any{"password": "wrong"}),
		journey("password: journey", 20, "password_with_totp", "password", named("username", map[string]any{"password": "wrong"}), nil),
		page,
	}
}

// batch tries a known and an unknown name in turn, now the one first and now the
// other, and returns how long each took.
func (g way) batch(t testing.TB, known, unknown []string) [2][]time.Duration {
	t.Helper()
	var took [2][]time.Duration
	for i := range g.pairs {
		who := [2]string{known[i%len(known)], unknown[i%len(unknown)]}
		var s [2]seen
		for _, k := range [2]int{i % 2, 1 - i%2} {
			s[k] = g.try(t, who[k])
			took[k] = append(took[k], s[k].took)
		}
		if s[0].status != s[1].status || s[0].says != s[1].says {
			t.Fatalf("%s: try %d: a user is told %d %s\na stranger %d %s", g.name, i, s[0].status, s[0].says, s[1].status, s[1].says)
		}
	}
	return took
}

// R30: somebody unknown, or suspended, cannot be told from somebody known: by
// status, headers or body, nor by time, in interleaved pairs.
func TestReg_R30_StrangersLookTheSame(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	for _, m := range []string{"totp", "password", "recovery", "email_otp", "direct_otp"} {
		c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/"+m, map[string]any{"lockoutTiers": []any{}})
	}
	var known, unknown []string
	for i := range 8 {
		known, unknown = append(known, fmt.Sprintf("known%d", i)), append(unknown, fmt.Sprintf("other%d", i))
		c.equipped(t, known[i])
	}
	gone, _ := c.equipped(t, "gone0")
	c.want(t, 204, "POST /v1/users/"+gone.id+"/suspend", nil)
	total := 0
	for _, g := range w.ways(c) {
		if a, b := g.try(t, "gone0"), g.try(t, "never0"); a.status != b.status || a.says != b.says {
			t.Errorf("%s: somebody suspended is told %d %s\na stranger %d %s", g.name, a.status, a.says, b.status, b.says)
		}
		total += g.pairs
		kittest.Alike(t, tellable, g.name+": a user and a stranger", func() [2][]time.Duration {
			w.Pass(16 * time.Minute) // what is limited by the quarter of an hour is free again
			return g.batch(t, known, unknown)
		})
	}
	if total != 2000 {
		t.Errorf("%d pairs", total)
	}
}

// tellable is how many times longer the one must take than the other to be told
// from it.
const tellable = 1.2
