package server_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// TestDoorOddText: text that a database may not take - NUL, half a character, a
// lone surrogate, very much of it - is refused or kept, on both engines, and is
// never the server's failure.
func TestDoorOddText(t *testing.T) {
	w := newWorld(t)
	odd := map[string]string{"NUL": "a\x00b", "half a character": "a\xe6\x97", "surrogate": `a\ud800`, "long": strings.Repeat("é", 700), "cut in the middle": strings.Repeat("a", 99) + "é" + strings.Repeat("é", 500), "controls": "a\r\n\x1b[2J\u202eb"}
	device := func(text string) map[string]any {
		d := map[string]any{"push_config": map[string]any{"device_token": text, "type": text}}
		for _, name := range []string{"device_key_id", "device_public_key", "device_name", "device_type", "device_platform", "device_manufacturer", "device_model", "device_os", "device_os_version", "app_identifier"} {
			d[name] = text
		}
		return map[string]any{"type": "device", "device": d}
	}
	for name, text := range odd {
		fine := func(where string, status int, out map[string]any) {
			t.Helper()
			if shaped(t, name+" in "+where, out); status >= 500 {
				t.Errorf("%s in %s: %d %v", name, where, status, out)
			}
		}
		start := func(client, journey string, headers, params any, head ...string) (int, map[string]any) {
			res, out := w.post(t, "auth/anonymous_invoke", "clientId="+url.QueryEscape(client), map[string]any{"headers": headers, "data": map[string]any{"policy_request_id": journey, "params": params, "sdk_data": params}}, head...)
			return res.StatusCode, out
		}
		status, out := start(text, "web_login", []any{}, nil)
		fine("the client", status, out)
		status, out = start("demo-web", text, []any{}, nil)
		fine("the journey", status, out)
		status, out = start("demo-web", "web_login", []any{map[string]any{"type": text}, map[string]any{"type": "uid", "uid": text}, map[string]any{"type": "correlation_id", "correlation_id": text}, device(text)}, map[string]any{text: text})
		fine("the headers", status, out)
		if !strings.ContainsAny(text, "\x00\r\n\x1b") {
			status, out = start("demo-web", "web_login", []any{}, nil, "User-Agent", text)
			fine("the user agent", status, out)
		}
		res, out := w.post(t, "auth/anonymous_invoke", "clientId=demo-web&did="+url.QueryEscape(text)+"&resource="+url.QueryEscape(text)+"&locale="+url.QueryEscape(text), map[string]any{"headers": []any{}, "data": map[string]any{"policy_request_id": "web_login"}})
		fine("the query", res.StatusCode, out)
		res, out = w.post(t, "auth/mobile_approve", "clientId=demo-native", map[string]any{"headers": []any{device(text), map[string]any{"type": "mobile_approve", "mobile_approve": map[string]any{"request_id": text, "request_id_signature": text}}}, "data": map[string]any{}})
		fine("an approval", res.StatusCode, out)
		res, out = w.post(t, "auth/key_exchange", "clientId=demo-web", map[string]any{"headers": []any{map[string]any{"type": "key_exchange", "scheme": 3, "y": text}}, "data": map[string]any{"r": text}})
		fine("a key exchange", res.StatusCode, out)
		sid, visit, turn := w.begun(t)
		for _, email := range []string{text, text + "@example.org", "a@" + text} {
			res, out = w.post(t, "auth/assert", "clientId=demo-web&sid="+sid, map[string]any{"headers": []any{device(text)}, "data": map[string]any{"assertion_id": visit, "fch": turn, "assert": "escape", "data": map[string]any{"escape_id": "web_to_mobile", "escape_params": map[string]any{"email": email}}}}, "User-Agent", "é\xff")
			fine("an address", res.StatusCode, out)
		}
		res, out = w.post(t, "auth/poll", "clientId=demo-web&sid="+sid, map[string]any{"headers": []any{}, "data": map[string]any{"ticket_id": text, "polling_timeout": -1}})
		fine("a ticket", res.StatusCode, out)
		res, out = w.post(t, "auth/assert", "clientId=demo-web&sid="+url.QueryEscape(text), map[string]any{"headers": []any{}, "data": map[string]any{"assertion_id": text, "fch": text, "assert": text, "input": map[string]any{text: text}}})
		fine("a session", res.StatusCode, out)
		// A phone that registers keeps what it says of itself.
		status, out = start("demo-native", "mobile_app_registration", []any{device(text)}, nil)
		fine("a registration", status, out)
	}
}

// TestDoorLongNames: what is too long is cut between two characters, so that it
// can be kept: a phone with a long name in another script signs people in, and so
// does a browser with an odd name for itself.
func TestDoorLongNames(t *testing.T) {
	w := newWorld(t)
	name := "aa" + strings.Repeat("日", 60) // 100 bytes end within a character
	p, err := simulator.New(simulator.Options{Server: w.URL, Client: "demo-native", Email: "grace@example.org", DeviceName: name, Keys: keys()[0], Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Register(t.Context()); err != nil {
		t.Fatalf("registering: %v", err)
	}
	for _, agent := range []string{"\xff\xfe", "é" + strings.Repeat("日", 300), "half \xe6\x97"} {
		sid, visit, turn := w.begun(t)
		_, out := w.post(t, "auth/assert", "clientId=demo-web&locale=%ff%00&sid="+sid, map[string]any{"headers": []any{}, "data": map[string]any{"assertion_id": visit, "fch": turn, "assert": "escape",
			"data": map[string]any{"escape_id": "web_to_mobile", "escape_params": map[string]any{"email": "grace@example.org"}}}}, "User-Agent", agent)
		list, _ := obj(out, "data")["control_flow"].([]any)
		if len(list) != 1 || obj(list[0])["type"] != waitStep {
			t.Fatalf("%q: %v", agent, out)
		}
		shown, _ := obj(list[0])["device_display_name"].(string)
		if !strings.HasPrefix(name, shown) || len(shown) < 90 {
			t.Errorf("the phone is called %q", shown)
		}
		if err := p.Approve(t.Context(), pending(t, p).ID, obj(list[0])["number"].(string)); err != nil {
			t.Errorf("%q: %v", agent, err)
		}
	}
}
