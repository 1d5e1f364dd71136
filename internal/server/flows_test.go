package server_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// TestSignIn is the main job: a browser signs in because a phone approved.
func TestSignIn(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "grace@example.org", 0)
	b, r := w.asked(t, "grace@example.org")
	number := r.Text("number")
	if len(number) != 2 || r.Text("number_mode") != "type-2" {
		t.Fatalf("number %q, mode %q", number, r.Text("number_mode"))
	}
	q := pending(t, p)
	if q.App != "Northwind Coffee" || q.Client != "Northwind web shop" || q.NumberMode != "type-2" {
		t.Errorf("the phone sees %+v", q)
	}
	if err := p.Approve(t.Context(), q.ID, number); err != nil {
		t.Fatalf("approve: %v", err)
	}
	end := ended(t, b)
	if end.Type != simulator.Success || end.Token == "" {
		t.Fatalf("end %+v", end)
	}
	claims := claimsOf(t, end.Token)
	if claims["aud"] != "demo-web" || claims["iss"] != w.URL || claims["sub"] == nil || claims["acr"] != "urn:watchword:aal2" {
		t.Errorf("claims %v", claims)
	}
}

func TestWrongNumberEndsTheRequest(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "grace@example.org", 0)
	b, r := w.asked(t, "grace@example.org")
	q := pending(t, p)
	wrong := "10"
	if r.Text("number") == wrong {
		wrong = "11"
	}
	if err := p.Approve(t.Context(), q.ID, wrong); err == nil {
		t.Fatal("a wrong number was accepted")
	}
	if end := ended(t, b); end.Type != simulator.Rejection || end.Token != "" {
		t.Errorf("end %+v", end)
	}
	if err := p.Approve(t.Context(), q.ID, r.Text("number")); err == nil {
		t.Error("the right number after a wrong one was accepted")
	}
}

func TestDenyAndNotMe(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "grace@example.org", 0)
	for _, notMe := range []bool{false, true} {
		b, _ := w.asked(t, "grace@example.org")
		if err := p.Deny(t.Context(), pending(t, p).ID, notMe); err != nil {
			t.Fatalf("deny (not me: %v): %v", notMe, err)
		}
		if end := ended(t, b); end.Type != simulator.Rejection {
			t.Errorf("not me %v: end %+v", notMe, end)
		}
	}
	w.asked(t, "grace@example.org") // looks the same, and rings nobody
	if list, err := p.Pending(t.Context(), 0); err != nil || len(list) != 0 {
		t.Errorf("after \"not me\": pending %v, %v", list, err)
	}
	w.Pass(time.Hour + time.Second)
	w.asked(t, "grace@example.org")
	if list, err := p.Pending(t.Context(), 0); err != nil || len(list) != 1 {
		t.Errorf("an hour after \"not me\": pending %v, %v", list, err)
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "grace@example.org", 0)
	b, r := w.asked(t, "grace@example.org")
	q := pending(t, p)
	end, err := b.Submit(t.Context(), "cancel", nil)
	if err != nil || end.Type != simulator.Rejection {
		t.Fatalf("cancel: %+v, %v", end, err)
	}
	if err := p.Approve(t.Context(), q.ID, r.Text("number")); err == nil {
		t.Error("a cancelled request was approved")
	}
}

func TestResend(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "grace@example.org", 0)
	b, first := w.asked(t, "grace@example.org")
	old := pending(t, p)
	r, err := b.Submit(t.Context(), "resend", nil)
	if err != nil || r.Number("resend_attempts_left") != 2 {
		t.Fatalf("resend: %+v, %v", r, err)
	}
	if r, err = b.Submit(t.Context(), "resend", nil); err != nil || r.ErrorCode == "" || r.Number("resend_attempts_left") != 2 {
		t.Errorf("resend within the cooldown: %+v, %v", r, err)
	}
	if err := p.Approve(t.Context(), old.ID, first.Text("number")); err == nil {
		t.Error("the request before the resend was approved")
	}
	w.Pass(16 * time.Second)
	for left := 1; left >= 0; left-- {
		if r, err = b.Submit(t.Context(), "resend", nil); err != nil || int(r.Number("resend_attempts_left")) != left {
			t.Fatalf("resend to %d left: %+v, %v", left, r, err)
		}
		w.Pass(16 * time.Second)
	}
	if r, err = b.Submit(t.Context(), "resend", nil); err != nil || r.ErrorCode == "" || r.Step != waitStep {
		t.Errorf("resend with none left: %+v, %v", r, err)
	}
	if err := p.Approve(t.Context(), pending(t, p).ID, r.Text("number")); err != nil {
		t.Fatal(err)
	}
	if end := ended(t, b); end.Type != simulator.Success {
		t.Errorf("end %+v", end)
	}
}

func TestTwoDevices(t *testing.T) {
	w := newWorld(t)
	one := w.registered(t, "grace@example.org", 0)
	shown := make(chan string, 1)
	two, err := simulator.New(simulator.Options{Server: w.URL, Client: "demo-native", Email: "grace@example.org", DeviceName: "iPad", Keys: keys()[1], Now: w.Now,
		Notice: func(_, number string) { shown <- number }})
	if err != nil {
		t.Fatal(err)
	}
	added := make(chan error, 1)
	go func() { added <- two.Register(t.Context()) }()
	q := pending(t, one)
	if q.Purpose != "enrolment" {
		t.Errorf("a phone that is added is asked for as a %s", q.Purpose)
	}
	if err := one.Approve(t.Context(), q.ID, <-shown); err != nil {
		t.Fatalf("approving the second phone: %v", err)
	}
	if err := <-added; err != nil {
		t.Fatalf("second phone: %v", err)
	}
	b := w.browser(t)
	if _, err := b.Start(t.Context(), "web_login", nil); err != nil {
		t.Fatal(err)
	}
	r, err := b.Submit(t.Context(), "web_to_mobile", map[string]any{"email": "grace@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	devices, _ := r.Data["devices"].([]any)
	if len(devices) != 2 {
		t.Fatalf("devices %v", r.Data)
	}
	if r, err = b.Submit(t.Context(), "client_input", map[string]any{"selected_device_code": "9"}); err != nil || r.ErrorCode == "" {
		t.Errorf("a device nobody offered: %+v, %v", r, err)
	}
	if r, err = b.Submit(t.Context(), "client_input", map[string]any{"selected_device_code": "1"}); err != nil || r.Text("number") == "" {
		t.Fatalf("choosing: %+v, %v", r, err)
	}
	asked := one
	if list, _ := two.Pending(t.Context(), 0); len(list) == 1 {
		asked = two
	}
	if err := asked.Approve(t.Context(), pending(t, asked).ID, r.Text("number")); err != nil {
		t.Fatal(err)
	}
	if end := ended(t, b); end.Type != simulator.Success {
		t.Errorf("end %+v", end)
	}
}

func TestExpiry(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "grace@example.org", 0)
	b, r := w.asked(t, "grace@example.org")
	q := pending(t, p)
	w.Pass(121 * time.Second)
	if err := p.Approve(t.Context(), q.ID, r.Text("number")); err == nil {
		t.Error("approved after it ran out")
	}
	if end := ended(t, b); end.Type != simulator.Rejection {
		t.Errorf("end %+v", end)
	}
}

func claimsOf(t *testing.T, jwt string) map[string]any {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %q", jwt)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(b, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
