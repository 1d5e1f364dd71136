package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// asking publishes a journey that asks a phone, with more settings of that step.
func (w *world) asking(t testing.TB, id, more string) {
	t.Helper()
	w.publish(t, `{"id":"`+id+`","name":"Asks","kind":"client","start":"login","nodes":{
		"login":{"kind":"login_form","config":{"form_id":"login","title":"Sign in","methods":["web_to_mobile"],"output":"login"},"next":{"web_to_mobile":"push"},"at":[0,0]},
		"push":{"kind":"push.authenticate","config":{"user":{"expr":"login.email"},"journey":"mobile_approve"`+more+`},"next":{"success":"done","failure":"no","cancel":"no","no_devices":"no"},"error":"no","at":[1,0]},
		"done":{"kind":"complete","at":[2,0]},"no":{"kind":"reject","config":{"reason":"no","message":"No."},"at":[2,1]}}}`)
}

// begins is a browser in such a journey, which waits.
func (w *world) begins(t testing.TB, journey string) (*simulator.Browser, simulator.Response) {
	t.Helper()
	b := w.browser(t)
	if _, err := b.Start(t.Context(), journey, nil); err != nil {
		t.Fatal(err)
	}
	r, err := b.Submit(t.Context(), "web_to_mobile", map[string]any{"email": "ada@example.org"})
	if err != nil || r.Step != waitStep {
		t.Fatalf("%s: %+v, %v", journey, r, err)
	}
	return b, r
}

// waiting is the exchange id of the one request that a phone is told of; "" for
// none.
func (v vendor) waiting(phone phoneOf, sub any) (id string, about map[string]any) {
	v.t.Helper()
	more := map[string]any{}
	if sub != nil {
		more["sub"] = sub
	}
	status, out := v.do("POST", "/verification-srv/v2/setup/device/pending/auth/list", phone.with(more))
	if status == http.StatusNoContent {
		return "", nil
	}
	list, _ := out["data"].([]any)
	if status != 200 || len(list) != 1 {
		v.t.Fatalf("pending: %d %v", status, out)
	}
	about, _ = list[0].(map[string]any)
	return about["exchange_id"].(string), about
}

// answers has a phone go through its steps to the number.
func (v vendor) answers(phone phoneOf, exchange string, number any) (status int, out map[string]any) {
	v.t.Helper()
	const at = "/verification-srv/authentication/push"
	seen := v.want("POST", at+"/push/acknowledge", phone.with(map[string]any{"exchange_id": exchange}))
	let := v.want("POST", at+"/allow", phone.with(map[string]any{"exchange_id": exchangeOf(seen)}))
	if choices, _ := let["push_random_numbers"].([]any); len(choices) > 0 && number != wrongNumber && !slices.Contains(choices, number) {
		v.t.Errorf("the phone offers %v, and the browser shows %v", choices, number)
	}
	return v.do("POST", at+"/verification", phone.with(map[string]any{"exchange_id": exchangeOf(let), "pass_code": number}))
}

const wrongNumber = "1x"

// TestTwoDoorsBack: a web journey of the one protocol is answered by a phone of
// the other, where it accepts one that signs nothing, and takes it for one
// factor; with one outcome. Where it does not accept it, that phone is not asked.
func TestTwoDoorsBack(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	phone, sub := v.enrolled()

	b, _ := w.asked(t, "ada@example.org")
	if id, _ := v.waiting(phone, sub); id != "" {
		t.Error("a journey that does not accept it asked a phone that signs nothing")
	}
	if r, err := b.Submit(t.Context(), simulator.Cancel, nil); err != nil || r.Type != simulator.Rejection {
		t.Fatalf("cancelled: %+v %v", r, err)
	}

	w.asking(t, "accepts", `,"unsigned_phones":true,"number_mode":"off"`)
	b, r := w.begins(t, "accepts")
	if r.Text("number_mode") != push.Choose4 || r.Text("number") == "" {
		t.Fatalf("the browser is shown %v", r.Data)
	}
	id, about := v.waiting(phone, sub)
	if about["client_name"] != "Northwind web shop" || about["push_random_numbers"] != nil {
		t.Errorf("the phone is told %v", about)
	}
	if code, out := v.answers(phone, id, r.Text("number")); code != 200 {
		t.Fatalf("answered: %d %v", code, out)
	}
	end := ended(t, b)
	if end.Type != simulator.Success {
		t.Fatalf("the journey ended %+v", end)
	}
	if claims := claimsOf(t, end.Token); claims["acr"] != authn.AAL1 || fmt.Sprint(claims["amr"]) != "[mca]" {
		t.Errorf("an approval without a key is %v %v", claims["acr"], claims["amr"])
	}

	// What a journey asked for is finished by that journey and by nobody else.
	b, r = w.begins(t, "accepts")
	id, _ = v.waiting(phone, sub)
	_, done := v.answers(phone, id, r.Text("number"))
	data := done["data"].(map[string]any)
	if code, out := v.do("POST", "/login-srv/verification/sdk/login", map[string]any{"requestId": v.request(), "sub": data["sub"], "status_id": data["status_id"], "verificationType": "PUSH"}); code == 200 {
		t.Errorf("finished at another door: %v", out)
	}
	if end := ended(t, b); end.Type != simulator.Success {
		t.Errorf("and then: %+v", end)
	}

	// A wrong number, a denial and a cancellation end it on both sides.
	b, _ = w.begins(t, "accepts")
	id, _ = v.waiting(phone, sub)
	if code, out := v.answers(phone, id, wrongNumber); code != 400 || out["code"] != "VER_0041" {
		t.Errorf("a wrong number: %d %v", code, out)
	}
	if end := ended(t, b); end.Type != simulator.Rejection {
		t.Errorf("after a wrong number: %+v", end)
	}
	b, _ = w.begins(t, "accepts")
	id, _ = v.waiting(phone, sub)
	v.want("POST", "/verification-srv/v2/authenticate/reject/push", phone.with(map[string]any{"exchange_id": id, "reason": "not me"}))
	if end := ended(t, b); end.Type != simulator.Rejection {
		t.Errorf("after a denial: %+v", end)
	}
	b, r = w.begins(t, "accepts")
	id, _ = v.waiting(phone, sub)
	if _, err := b.Submit(t.Context(), simulator.Cancel, nil); err != nil {
		t.Fatal(err)
	}
	v.refused("after the browser left", "VER_0033", "/verification-srv/v2/authenticate/push_acknowledge/PUSH", phone.with(map[string]any{"exchange_id": id}))
	_ = r

	// The application may say it for all its journeys.
	if err := w.Kit.DB.Move(t.Context(), func(tx *db.Tx) error {
		doc, err := authn.Configured(t.Context(), tx, "demo", push.Kind)
		if err != nil {
			return err
		}
		doc["unsigned_phones"] = true
		return authn.Configure(t.Context(), tx, "demo", push.Kind, doc)
	}); err != nil {
		t.Fatal(err)
	}
	b, r = w.asked(t, "ada@example.org")
	id, _ = v.waiting(phone, sub)
	if code, out := v.answers(phone, id, r.Text("number")); code != 200 {
		t.Errorf("by the application's setting: %d %v", code, out)
	}
	if end := ended(t, b); end.Type != simulator.Success {
		t.Errorf("by the application's setting: %+v", end)
	}
}

// TestDevPhoneAtBothDoors: in development a phone of ours is a phone of that
// protocol too, for a request of either door; what it says there is one factor.
func TestDevPhoneAtBothDoors(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	ours := w.registered(t, "ada@example.org", 0)
	s, err := ours.State()
	if err != nil {
		t.Fatal(err)
	}
	phone := phoneOf{"client_id": s.Client, "device_id": s.DeviceID, "push_id": s.PushToken}
	b, r := w.asked(t, "ada@example.org")
	id, _ := v.waiting(phone, nil)
	if code, out := v.answers(phone, id, r.Text("number")); code != 200 {
		t.Fatalf("answered: %d %v", code, out)
	}
	end := ended(t, b)
	if end.Type != simulator.Success || claimsOf(t, end.Token)["acr"] != authn.AAL1 {
		t.Errorf("the journey ended %+v", end)
	}
	request := v.request()
	begun := v.want("POST", "/verification-srv/authentication/push/initiation", map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": request, "identifier": "ada@example.org"})
	if id, _ = v.waiting(phone, nil); id != exchangeOf(begun) {
		t.Errorf("the phone is told of %s, the browser of %s", id, exchangeOf(begun))
	}
	if code, out := v.answers(phone, id, begun["push_selected_number"]); code != 200 || v.state(begun["status_id"].(string)) != "AUTHENTICATED" {
		t.Errorf("answered: %d %v", code, out)
	}
}

// TestCidaasPush: a phone without a key is told in the form that its app reads, and
// nothing but ids (P6, R92).
func TestCidaasPush(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	_, sub := v.enrolled()
	begun := v.want("POST", "/verification-srv/authentication/push/initiation", map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": v.request(), "identifier": "ada@example.org"})
	for {
		if more, err := w.Kit.Jobs.RunOne(t.Context()); err != nil || !more {
			break
		}
	}
	list := w.Dev.Inbox.List("push", "", "")
	if len(list) != 1 || len(list[0].Data) != 1 {
		t.Fatalf("sent: %+v", list)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(list[0].Data["data"]), &got); err != nil {
		t.Fatal(err)
	}
	at := w.Now().UnixMilli()
	for name, want := range map[string]any{"exchange_id": exchangeOf(begun), "sub": sub, "verification_type": "PUSH", "verificationType": "PUSH", "tenant_key": "default", "baseurl": w.URL, "client_id": "demo-native",
		"request_time": float64(at), "client_name": "", "message": "", "expires_at": w.Now().Add(2 * time.Minute).UTC().Format("2006-01-02T15:04:05.000Z")} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for name, v := range got {
		if v == begun["push_selected_number"] || v == begun["status_id"] {
			t.Errorf("%s is told to the provider", name)
		}
	}
	all := fmt.Sprint(list[0])
	for _, secret := range []string{"fcm-token-1", "ada@", "Northwind"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is told to the provider: %s", secret, all)
		}
	}
}
