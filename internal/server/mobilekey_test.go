package server_test

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// pinned runs mobile_pin on a phone up to the PIN's step.
func pinned(t testing.TB, p *simulator.Phone, email, action string) (*simulator.Browser, simulator.Response) {
	t.Helper()
	app := p.App()
	if _, err := app.Start(t.Context(), "mobile_pin", nil); err != nil {
		t.Fatal(err)
	}
	r, err := app.Submit(t.Context(), simulator.ClientInput, map[string]any{"email": email, "action": action})
	if err != nil {
		t.Fatal(err)
	}
	return app, r
}

// setPIN has a phone register a PIN; the phone must have nothing to prove first.
func setPIN(t testing.TB, p *simulator.Phone, email, digits string) (*simulator.PIN, simulator.Response) {
	t.Helper()
	app, r := pinned(t, p, email, "set_up")
	if r.Wire == "transmit_platform_mobile_biometrics_authentication" {
		id, signed, err := p.SignBiometric(r.Text("biometrics_challenge"))
		if err != nil {
			t.Fatal(err)
		}
		if r, err = app.Submit(t.Context(), simulator.ClientInput, map[string]any{"publicKeyId": id, "userIdentifier": r.Text("user_identifier"), "signedChallenge": signed}); err != nil {
			t.Fatal(err)
		}
	}
	if r.Wire != "transmit_platform_mobile_pin_registration" {
		t.Fatalf("before the PIN: %+v", r)
	}
	if policy, _ := r.Data["pin_policy"].(map[string]any); policy["min_length"] != 6.0 {
		t.Errorf("the app is told %v", r.Data)
	}
	k := simulator.NewPIN()
	public, err := k.Public(digits)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = app.Submit(t.Context(), simulator.ClientInput, map[string]any{"publicKeyId": k.ID, "publicKey": public, "keyType": "ec"}); err != nil {
		t.Fatal(err)
	}
	return k, r
}

func instruction(r simulator.Response) string {
	nested, _ := r.Data["data"].(map[string]any)
	list, _ := nested["sdk_instructions"].([]any)
	if len(list) != 1 {
		return ""
	}
	one, _ := list[0].(map[string]any)
	if one["data"] == nil || !strings.HasPrefix(one["step_id"].(string), "vis_") {
		return ""
	}
	kind, _ := one["type"].(string)
	return kind
}

// usePIN answers the PIN's step with what was typed.
func usePIN(t testing.TB, p *simulator.Phone, k *simulator.PIN, email, action, digits string) simulator.Response {
	t.Helper()
	app, r := pinned(t, p, email, action)
	if r.Wire != "transmit_platform_mobile_pin_authentication" {
		return r
	}
	challenge := r.Text("pin_challenge")
	signed, err := k.Sign(digits, challenge)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = app.Submit(t.Context(), simulator.ClientInput, map[string]any{"publicKeyId": k.ID, "signature": signed, "challenge": challenge}); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPINJourney: a phone sets up a PIN, signs in with it, is locked by wrong
// ones, which only the server can tell, and removes it.
func TestPINJourney(t *testing.T) {
	w := newWorld(t)
	p := w.phone(t, "pia@example.org", 0)
	k, r := setPIN(t, p, "pia@example.org", "271828")
	if r.Type != simulator.Success || instruction(r) != "mobile_pin_commit_key_creation" {
		t.Fatalf("setting up: %+v", r)
	}
	r = usePIN(t, p, k, "pia@example.org", "sign_in", "271828")
	if claims := claimsOf(t, r.Token); r.Type != simulator.Success || claims["acr"] != "urn:watchword:aal2" || instruction(r) != "" {
		t.Fatalf("signing in: %+v", r)
	}
	for range 3 {
		if r := usePIN(t, p, k, "pia@example.org", "sign_in", "000000"); r.Type != simulator.Rejection {
			t.Fatalf("a wrong PIN: %+v", r)
		}
	}
	if r := usePIN(t, p, k, "pia@example.org", "sign_in", "271828"); r.Type != simulator.Rejection {
		t.Fatalf("the right one while locked: %+v", r)
	}
	w.Pass(61 * time.Second)
	if r := usePIN(t, p, k, "pia@example.org", "remove", "271828"); r.Type != simulator.Success || instruction(r) != "mobile_pin_commit_key_deletion" {
		t.Fatalf("removing: %+v", r)
	}
	if r := usePIN(t, p, k, "pia@example.org", "sign_in", "271828"); r.Type != simulator.Rejection {
		t.Fatalf("after it was removed: %+v", r)
	}
}

// TestPINBeside: a phone with biometrics adds a PIN after its owner proved
// themselves; another phone with the same ids is nobody.
func TestPINBeside(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "grace@example.org", 0)
	k, r := setPIN(t, p, "grace@example.org", "314159")
	if r.Type != simulator.Success {
		t.Fatalf("setting up: %+v", r)
	}
	if r := usePIN(t, w.phone(t, "grace@example.org", 1), k, "grace@example.org", "sign_in", "314159"); r.Type != simulator.Rejection {
		t.Errorf("from another phone: %+v", r)
	}
	if r := usePIN(t, p, k, "grace@example.org", "sign_in", "314159"); r.Type != simulator.Success {
		t.Errorf("from this one: %+v", r)
	}
	if r := usePIN(t, p, k, "nobody@example.org", "sign_in", "314159"); r.Type != simulator.Rejection {
		t.Errorf("for nobody: %+v", r)
	}
}

// own is a user who signed in by a code a moment ago.
func (w *world) own(t testing.TB, c rest, email string) (rest, string) {
	t.Helper()
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": email})
	code := c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "direct", "identifier": email})["code"]
	tokens := c.want(t, 200, "POST /v1/auth/otp/authenticate", map[string]any{"channel": "direct", "identifier": email, "passcode": code})
	return rest{w, tokens["access_token"].(string)}, u["user_id"].(string)
}

// TestMobileKeyAPI: both kinds through a back end: registration, a challenge that
// is good once, signing, wrong signatures, locks and limits.
func TestMobileKeyAPI(t *testing.T) {
	for name, base := range map[string]string{"biometrics": "/v1/auth/mobile-biometrics/", "PIN": "/v1/auth/pin/"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.rest(t)
			mine, id := w.own(t, c, "ana@example.org")
			k := simulator.NewPIN()
			public, err := k.Public("123123")
			if err != nil {
				t.Fatal(err)
			}
			key := map[string]any{"publicKey": public, "publicKeyId": k.ID, "os": "ios", "displayName": "Ana's iPhone"}
			with := func(name string, v any) map[string]any {
				out := maps.Clone(key)
				out[name] = v
				return out
			}
			for _, bad := range []struct {
				body map[string]any
				word string
			}{{with("publicKey", "AAAA"), "auth_invalid_key_encoding"}, {with("encryptionType", "rsa"), "auth_invalid_key_type"}, {with("publicKeyId", ""), "auth_invalid_key_encoding"}, {with("challenge", "never said"), "auth_challenge_expired"}} {
				if got, body := mine.do(t, "POST "+base+"register", bad.body); got != 400 || body["error_code"] != bad.word {
					t.Errorf("%v: %d %v", bad.word, got, body)
				}
			}
			begun := mine.want(t, 200, "POST "+base+"register/start", map[string]any{})
			mine.want(t, 201, "POST "+base+"register", with("challenge", begun["challenge"]))
			if got, body := mine.do(t, "POST "+base+"register", key); got != 403 {
				t.Errorf("a second one, by the code that was proven before there was a first: %d %v", got, body)
			}

			start := func(extra map[string]any) string {
				t.Helper()
				in := map[string]any{"identifier": "ana@example.org", "publicKeyId": k.ID}
				maps.Copy(in, extra)
				return c.want(t, 200, "POST "+base+"start", in)["challenge"].(string)
			}
			sign := func(digits, challenge string) map[string]any {
				t.Helper()
				s, err := k.Sign(digits, challenge)
				if err != nil {
					t.Fatal(err)
				}
				return map[string]any{"publicKeyId": k.ID, "signature": s, "challenge": challenge, "identifier": "ana@example.org"}
			}
			challenge := start(nil)
			right := sign("123123", challenge)
			tokens := c.want(t, 200, "POST "+base+"authenticate", right)
			if claims := w.offline(t, tokens["id_token"].(string)); claims["sub"] != id || claims["acr"] != "urn:watchword:aal2" {
				t.Errorf("identity token %v", claims)
			}
			if got, body := (rest{w, tokens["access_token"].(string)}).do(t, "POST "+base+"register", key); got != 409 {
				t.Errorf("the same key again: %d %v", got, body)
			}
			if got, body := c.do(t, "POST "+base+"authenticate", right); got != 400 || body["error_code"] != "auth_challenge_expired" {
				t.Errorf("the same again: %d %v", got, body)
			}
			old := start(nil)
			start(nil)
			if got, body := c.do(t, "POST "+base+"authenticate", sign("123123", old)); got != 400 || body["error_code"] != "auth_challenge_expired" {
				t.Errorf("a challenge that was replaced: %d %v", got, body)
			}
			late := start(map[string]any{"timeout": 30})
			w.Pass(31 * time.Second)
			if got, body := c.do(t, "POST "+base+"authenticate", sign("123123", late)); got != 400 || body["error_code"] != "auth_challenge_expired" {
				t.Errorf("too late: %d %v", got, body)
			}

			pay := map[string]any{"payee": "ACME", "amount": "12.50"}
			in := sign("123123", start(map[string]any{"approval_data": pay}))
			delete(in, "challenge") // as biometrics do
			in["signedChallenge"], in["userIdentifier"] = in["signature"], "ana@example.org"
			delete(in, "identifier")
			delete(in, "signature")
			signed := c.want(t, 200, "POST "+base+"authenticate", in)
			if claims := w.offline(t, signed["id_token"].(string)); claims["approval_data"].(map[string]any)["payee"] != "ACME" {
				t.Errorf("signed %v", claims)
			}

			// Sixteen at once with one right signature: one is in.
			once := sign("123123", start(nil))
			var in1, locked atomic.Int32
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					if got, _ := c.do(t, "POST "+base+"authenticate", once); got == 200 {
						in1.Add(1)
					}
				})
			}
			all.Wait()
			if in1.Load() != 1 {
				t.Errorf("%d of 16 were let in", in1.Load())
			}

			// A hundred wrong ones at once, under names of other phones, too.
			wrong := sign("000000", start(nil))
			var judged atomic.Int32
			for i := range 100 {
				all.Go(func() {
					in := maps.Clone(wrong)
					if i%2 == 0 {
						in["device_id"] = "another"
					}
					switch got, body := c.do(t, "POST "+base+"authenticate", in); {
					case got == 403 && body["error_code"] == "auth_locked":
						locked.Add(1)
					case body["error_code"] == "auth_invalid_credentials":
						judged.Add(1)
					}
				})
			}
			all.Wait()
			most := int32(5)
			if name == "PIN" {
				most = 3
			}
			if judged.Load() > most || locked.Load() < 50 {
				t.Errorf("%d judged, %d locked", judged.Load(), locked.Load())
			}
			if got, body := c.do(t, "POST "+base+"authenticate", sign("123123", start(nil))); got != 403 || body["error_code"] != "auth_locked" {
				t.Errorf("the right one while locked: %d %v", got, body)
			}
			if got, body := c.do(t, "POST "+base+"authenticate", map[string]any{"publicKeyId": "none", "signature": "AAAA", "identifier": "nobody@example.org"}); got != 400 || body["error_code"] != "auth_invalid_credentials" {
				t.Errorf("nobody: %d %v", got, body)
			}

			w.Pass(6 * time.Minute)
			if got, body := mine.do(t, "POST "+base+"register", with("publicKeyId", "second")); got != 403 || body["error_code"] != "reauthentication_required" {
				t.Errorf("long after the proof: %d %v", got, body)
			}
		})
	}
}

// by is who signs in by a key: what adding another takes.
func (c rest) by(t testing.TB, base, email string, k *simulator.PIN, digits string) rest {
	t.Helper()
	challenge := c.want(t, 200, "POST "+base+"start", map[string]any{"identifier": email})["challenge"].(string)
	s, err := k.Sign(digits, challenge)
	if err != nil {
		t.Fatal(err)
	}
	tokens := c.want(t, 200, "POST "+base+"authenticate", map[string]any{"publicKeyId": k.ID, "signature": s, "identifier": email})
	return rest{c.w, tokens["access_token"].(string)}
}

// TestMobileKeyLimit: a user has no more phones than allowed.
func TestMobileKeyLimit(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	mine, _ := w.own(t, c, "ana@example.org")
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/pin_authenticator", map[string]any{"max_keys": 2})
	for i, want := range []int{201, 201, 400} {
		k := simulator.NewPIN()
		public, err := k.Public("1")
		if err != nil {
			t.Fatal(err)
		}
		if got, body := mine.do(t, "POST /v1/auth/pin/register", map[string]any{"publicKey": public, "publicKeyId": k.ID, "keyType": "EC"}); got != want || want == 400 && body["error_code"] != "auth_max_authenticators_count_exceeded" {
			t.Errorf("phone %d: %d %v", i+1, got, body)
		}
		if i == 0 {
			mine = c.by(t, "/v1/auth/pin/", "ana@example.org", k, "1")
		}
	}
}

// TestAttestationPolicy: off takes any key, log takes it and notes it, enforce
// refuses it, at both doors.
func TestAttestationPolicy(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	mine, _ := w.own(t, c, "ana@example.org")
	var first *simulator.PIN
	register := func() int {
		t.Helper()
		k := simulator.NewPIN()
		if first != nil {
			mine = c.by(t, "/v1/auth/mobile-biometrics/", "ana@example.org", first, "1")
		} else {
			first = k
		}
		public, err := k.Public("1")
		if err != nil {
			t.Fatal(err)
		}
		got, _ := mine.do(t, "POST /v1/auth/mobile-biometrics/register", map[string]any{"publicKey": public, "publicKeyId": k.ID, "attestation_encoded_result": "e30="})
		return got
	}
	at := "PATCH /v1/applications/demo/auth-methods/mobile_biometric"
	for _, step := range []struct {
		policy string
		want   int
	}{{"off", 201}, {"log", 201}, {"enforce", 400}} {
		c.want(t, 200, at, map[string]any{"attestation": step.policy})
		if got := register(); got != step.want {
			t.Errorf("%s: %d", step.policy, got)
		}
	}
	if err := w.phone(t, "new@example.org", 0).Register(t.Context()); err == nil {
		t.Error("a phone without attestation was registered")
	}
	c.want(t, 200, at, map[string]any{"attestation": "log"})
	if err := w.phone(t, "new2@example.org", 0).Register(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestTransactionMobileKey: biometrics and the PIN sign a payment in a journey.
func TestTransactionMobileKey(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "grace@example.org", 0)
	k, _ := setPIN(t, p, "grace@example.org", "314159")
	for kind, member := range map[string][2]string{"biometric": {"biometrics_challenge", "signedChallenge"}, "pin": {"pin_challenge", "signature"}} {
		w.publish(t, `{"id": "pay_`+kind+`", "name": "Pay", "kind": "client", "start": "sign", "nodes": {
			"sign": {"kind": "`+kind+`.sign", "config": {"user": "grace@example.org", "approval_data": {"payee": "ACME"}}, "next": {"success": "done", "failure": "no"}},
			"done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
		app := p.App()
		r, err := app.Start(t.Context(), "pay_"+kind, nil)
		challenge := r.Text(member[0])
		if err != nil || r.Data["approval_data"].(map[string]any)["payee"] != "ACME" || !strings.Contains(challenge, ".") {
			t.Fatalf("%s: %+v, %v", kind, r, err)
		}
		id, signed, err := p.SignBiometric(challenge)
		if kind == "pin" {
			id = k.ID
			signed, err = k.Sign("314159", challenge)
		}
		if err != nil {
			t.Fatal(err)
		}
		if r, err = app.Submit(t.Context(), simulator.ClientInput, map[string]any{"publicKeyId": id, member[1]: signed}); err != nil || r.Type != simulator.Success {
			t.Fatalf("%s: %+v, %v", kind, r, err)
		}
		receipt := w.offline(t, w.offline(t, r.Token)["approval_receipt"].(string))
		if receipt["method"] != kind || receipt["evidence"].(map[string]any)["signature"] != signed || !strings.HasSuffix(challenge, "."+receipt["approval_hash"].(string)) {
			t.Errorf("%s: receipt %v", kind, receipt)
		}
	}
}
