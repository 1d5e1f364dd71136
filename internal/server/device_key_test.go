package server_test

import (
	"net/url"
	"testing"

	"github.com/watchword-auth/watchword/internal/directory"
)

// TestNobodysKeyIsTaken: a device key is no secret, and a phone is known by it. Who
// offers somebody else's as their own must sign by it, and the phone goes on; a
// browser that several people use signs, and is bound to each of them.
func TestNobodysKeyIsTaken(t *testing.T) {
	w := newWorld(t)
	w.publish(t, `{"id": "bind", "name": "Bind", "kind": "client", "start": "who", "nodes": {
		"who": {"kind": "get_information", "config": {"form_id": "who", "fields": [{"name": "email", "label": "E-mail", "type": "email", "required": true}], "output": "who"}, "next": {"success": "user"}},
		"user": {"kind": "create_user", "config": {"email": {"expr": "who.email"}}, "next": {"success": "device", "exists": "no", "failure": "no"}},
		"device": {"kind": "device.register", "next": {"success": "done", "failure": "no"}}, "done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	bind := func(email string, k browserKey) *person {
		t.Helper()
		return w.person(t).open(w.URL+"/login/demo-web/bind").post("", url.Values{"email": {email}}).sees(`data-act="device.register"`).post("", k.registers())
	}
	bound := func(key string, want int) {
		t.Helper()
		if list, err := directory.DevicesByKey(t.Context(), w.Kit.DB, "demo", key); err != nil || len(list) != want {
			t.Errorf("%d devices have the key, %v, want %d", len(list), err, want)
		}
	}
	phone := w.enrolled(t)
	id, spki := spkiOf(t, phone.device)
	stolen := newBrowserKey(t)
	stolen.id, stolen.pub = id, spki
	challenge := func(p *person) string {
		t.Helper()
		return p.sees(`data-act="device.validate"`).prompt()["device_challenge"].(string)
	}
	p := bind("eve@example.org", stolen)
	p.post("", stolen.answers(challenge(p))).sees("Not signed in")
	p = bind("mallory@example.org", stolen)
	p.post("", stolen.registers()).sees("Not signed in") // once more instead of signing
	p = bind("trudy@example.org", stolen)
	own := newBrowserKey(t)
	p.post("", own.answers(challenge(p))).sees("Not signed in")
	bound(id, 1)
	if status, out := phone.say(t, "account", map[string]any{}); status != 200 {
		t.Errorf("the phone is told %d %v", status, out)
	}
	bind("ben@example.org", own).sees("All set")
	p = bind("bea@example.org", own)
	p.post("", own.answers(challenge(p))).sees("All set")
	bound(own.id, 2)
	bind("cem@example.org", newBrowserKey(t)).sees("All set")
}
