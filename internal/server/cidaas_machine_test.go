package server_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// events are the calls of the machine, each at both of its addresses.
var events = []struct {
	name string
	at   [2]string
}{
	{"acknowledge", [2]string{"/verification-srv/v2/authenticate/push_acknowledge/PUSH", "/verification-srv/authentication/push/push/acknowledge"}},
	{"allow", [2]string{"/verification-srv/v2/authenticate/allow/push", "/verification-srv/authentication/PUSH/allow/"}},
	{"deny", [2]string{"/verification-srv/v2/authenticate/reject/PUSH", "/verification-srv/authentication/push/deny"}},
	{"right number", [2]string{"/verification-srv/v2/authenticate/authenticate/PUSH", "/verification-srv/authentication/push/verification"}},
	{"wrong number", [2]string{"/verification-srv/v2/authenticate/authenticate/PUSH", "/verification-srv/authentication/push/verification"}},
	{"cancel", [2]string{"/verification-srv/v2/authenticate/cancel/PUSH", "/verification-srv/authentication/push/cancel"}},
}

// moves is what the phone that was asked may do by the exchange id of the moment,
// and where that leads; a wrong number leads somewhere and is refused.
var moves = map[string]map[string]string{
	"INITIATED":         {"acknowledge": "PUSH_ACKNOWLEDGED", "deny": "DENIED"},
	"PUSH_ACKNOWLEDGED": {"allow": "ALLOWED", "deny": "DENIED"},
	"ALLOWED":           {"deny": "DENIED", "right number": "AUTHENTICATED", "wrong number": "DENIED"},
}

// stand is a flow in a state, with every exchange id that it had, the newest last.
type stand struct {
	v                      vendor
	status, number, others string
	ids                    []string
}

// stands brings a flow of ada's to a state. "EXPIRED" is what time leads to.
func (v vendor) stands(phone phoneOf, state string) stand {
	v.t.Helper()
	v.w.Pass(11 * time.Minute) // limits of requests are another test's
	b := v.want("POST", "/verification-srv/v2/authenticate/initiate/PUSH", map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": v.request(), "email": "ada@example.org", "type": "PUSH"})
	s := stand{v: v, status: b["status_id"].(string), number: b["push_selected_number"].(string), ids: []string{exchangeOf(b)}}
	for n := 10; s.others == ""; n++ {
		if text := fmt.Sprint(n); text != s.number {
			s.others = text
		}
	}
	way := map[string][]int{"INITIATED": {}, "PUSH_ACKNOWLEDGED": {0}, "ALLOWED": {0, 1}, "AUTHENTICATED": {0, 1, 3}, "DENIED": {0, 2}, "CANCELLED": {0, 5}, "EXPIRED": {0}}[state]
	for _, e := range way {
		code, out := s.send(e, 0, phone, s.ids[len(s.ids)-1])
		if code != 200 {
			v.t.Fatalf("on the way to %s: %s: %d %v", state, events[e].name, code, out)
		}
		s.ids = append(s.ids, exchangeOf(out["data"].(map[string]any)))
	}
	if state == "EXPIRED" {
		v.w.Pass(3 * time.Minute)
	}
	return s
}

func (s stand) send(event, family int, who phoneOf, exchange string) (int, map[string]any) {
	s.v.t.Helper()
	in := who.with(map[string]any{"exchange_id": exchange})
	switch events[event].name {
	case "right number":
		in["pass_code"] = s.number
	case "wrong number":
		in["passcode"] = s.others
	}
	return s.v.do("POST", events[event].at[family], in)
}

// TestCidaasMachine is the whole table: every call in every state, by the phone
// that was asked, by another and by the browser, with every exchange id that the
// flow ever had, and with those of nothing. What is not a move of the table is
// refused with the code that says why, and changes nothing.
func TestCidaasMachine(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	phone, _ := v.enrolled()
	callers := map[string]phoneOf{"the phone": phone, "another phone": {"client_id": phone["client_id"], "device_id": "dev-1", "push_id": "another"},
		"another device": {"client_id": phone["client_id"], "device_id": "dev-2", "push_id": phone["push_id"]}, "another app": {"client_id": "demo-web", "device_id": "dev-1", "push_id": phone["push_id"]}, "the browser": {}}
	cells := 0
	for _, state := range []string{"INITIATED", "PUSH_ACKNOWLEDGED", "ALLOWED", "AUTHENTICATED", "DENIED", "CANCELLED", "EXPIRED"} {
		shown := strings.Replace(state, "EXPIRED", "DENIED", 1)
		open := moves[state] != nil
		s := v.stands(phone, state)
		for e, event := range events {
			for caller, who := range callers {
				for i, id := range append(slices.Clone(s.ids), "chl_x.y.z", s.ids[0]+"x", strings.ToLower(s.ids[0]), "") {
					current, issued := i == len(s.ids)-1, i < len(s.ids)
					to := moves[state][event.name]
					want := ""
					switch {
					case event.name == "cancel" && id == "":
						want = "VER_0005"
					case event.name == "cancel" && !issued:
						want = "VER_0032"
					case event.name == "cancel" && open:
						to, want = "CANCELLED", "moves"
					case event.name == "cancel":
						want = "VER_0033"
					case id == "":
						want = "VER_0005"
					case !issued && (caller != "the browser" || strings.Contains(event.name, "number")):
						want = "VER_0032"
					case caller == "the browser": // it shows nothing that a phone has
						want = "VER_0005"
					case !open:
						want = "VER_0033"
					case !current:
						want = "VER_0032"
					case caller != "the phone":
						want = "VER_0040"
					case to == "":
						want = "VER_0003"
					case event.name == "wrong number":
						want = "moves VER_0041"
					default:
						want = "moves"
					}
					cells++
					at := s
					if issued {
						id = s.ids[i]
					}
					code, out := at.send(e, cells%2, who, id)
					got := fmt.Sprint(out["code"])
					switch {
					case want == "moves":
						if data, _ := out["data"].(map[string]any); code != 200 || exchangeOf(data) == "" || slices.Contains(at.ids, exchangeOf(data)) || data["status_id"] != at.status {
							t.Errorf("%s: %s by %s with id %d of %d: %d %v", state, event.name, caller, i, len(s.ids), code, out)
						}
					case code < 400 || code >= 500 || out["success"] != false || got != strings.TrimPrefix(want, "moves "):
						t.Errorf("%s: %s by %s with id %d of %d: %d %s, want %s", state, event.name, caller, i, len(s.ids), code, got, want)
					}
					end := shown
					if strings.HasPrefix(want, "moves") {
						end = to
					}
					if now := v.state(at.status); now != end {
						t.Fatalf("%s: %s by %s with id %d of %d led to %s, want %s", state, event.name, caller, i, len(s.ids), now, end)
					}
					if strings.HasPrefix(want, "moves") {
						s = v.stands(phone, state) // a user has one open request: the other's beginning ended this
					}
				}
			}
		}
	}
	t.Logf("%d cells", cells)
}

// TestCidaasAtOnce: of sixteen who take the same step with the same exchange id,
// one does (P4, security J9). A wrong number beside the right one never wins twice.
func TestCidaasAtOnce(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	phone, _ := v.enrolled()
	sixteen := func(fn func(i int) bool) int32 {
		var ok atomic.Int32
		var group sync.WaitGroup
		for i := range 16 {
			group.Go(func() {
				if fn(i) {
					ok.Add(1)
				}
			})
		}
		group.Wait()
		return ok.Load()
	}
	for _, c := range []struct {
		state string
		event int
		end   string
	}{{"INITIATED", 0, "PUSH_ACKNOWLEDGED"}, {"PUSH_ACKNOWLEDGED", 1, "ALLOWED"}, {"ALLOWED", 3, "AUTHENTICATED"}, {"ALLOWED", 2, "DENIED"}, {"ALLOWED", 5, "CANCELLED"}} {
		s := v.stands(phone, c.state)
		id := s.ids[len(s.ids)-1]
		if n := sixteen(func(i int) bool { code, _ := s.send(c.event, i%2, phone, id); return code == 200 }); n != 1 {
			t.Errorf("%s of %s: %d of 16", events[c.event].name, c.state, n)
		}
		if got := v.state(s.status); got != c.end {
			t.Errorf("%s of %s led to %s", events[c.event].name, c.state, got)
		}
	}
	// Guesses at once are one guess.
	for range 3 {
		s := v.stands(phone, "ALLOWED")
		id := s.ids[len(s.ids)-1]
		judged := sixteen(func(i int) bool {
			code, out := s.send(3+i%2, 0, phone, id)
			return code == 200 || out["code"] == "VER_0041"
		})
		if got := v.state(s.status); judged != 1 || got != "AUTHENTICATED" && got != "DENIED" {
			t.Errorf("%d of 16 guesses were judged; it is %s", judged, got)
		}
	}
	// Enrolments at once bind one phone once.
	request := v.wants("urn:watchword:aal2")
	_, half := v.finish(request, "PASSWORD", v.byPassword(request))
	b := v.begin("PUSH", request, map[string]any{"sub": half["sub"]})
	v.answers(phone, exchangeOf(b), b["push_selected_number"])
	tokens := make([]map[string]any, 16)
	if n := sixteen(func(i int) bool {
		code, out := v.do("POST", "/login-srv/precheck/continue/sdk/"+half["track_id"].(string), map[string]any{})
		if code != 200 || out["data"].(map[string]any)["code"] == nil {
			return false
		}
		tokens[i] = out["data"].(map[string]any)
		return true
	}); n != 1 {
		t.Errorf("%d of 16 went on with one second factor", n)
	}
	for _, data := range tokens {
		if data != nil {
			auth := bearer(v.tokens(data))
			begun := v.want("POST", "/verification-srv/v2/setup/initiate/push", map[string]any{}, auth...)
			second := phoneOf{"client_id": begun["authenticator_client_id"], "device_id": "dev-9", "push_id": "token-9"}
			scanned := v.want("POST", "/verification-srv/v2/setup/scan/push", second.with(map[string]any{"exchange_id": exchangeOf(begun)}))
			if n := sixteen(func(int) bool {
				code, _ := v.do("POST", "/verification-srv/v2/setup/enroll/push", second.with(map[string]any{"exchange_id": exchangeOf(scanned), "pass_code": begun["push_selected_number"]}))
				return code == 200
			}); n != 1 {
				t.Errorf("%d of 16 enrolled one phone", n)
			}
		}
	}
	if n := sixteen(func(i int) bool {
		code, _ := v.do("POST", "/verification-srv/v2/setup/device/update/pushid", map[string]any{"client_id": phone["client_id"], "device_id": "dev-1", "old_push_id": phone["push_id"], "push_id": fmt.Sprint("new-", i)})
		return code == 200
	}); n != 1 {
		t.Errorf("%d of 16 gave one phone another push id", n)
	}
}
