package server_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
)

// TestDoorOriginsOfAClient (R80): outside development an origin must be on the
// client's list, letter by letter; a client without a list serves only pages of
// the server itself, and native applications, which send no origin.
func TestDoorOriginsOfAClient(t *testing.T) {
	w := newWorld(t)
	demo, app, err := apps.FindClient(t.Context(), w.Kit.DB, "demo-web")
	if err != nil {
		t.Fatal(err)
	}
	err = w.Kit.DB.Tx(t.Context(), func(tx *db.Tx) error {
		for id, s := range map[apps.ClientID]apps.ClientSettings{"shop": {Origins: []string{"https://shop.example", "https://shop.example:8443"}}, "bare": {}} {
			if err := apps.SaveClient(t.Context(), tx, apps.Client{ID: id, App: app.ID, Name: "Shop", Kind: demo.Kind, Settings: s}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	start := func(client, origin string) (*http.Response, map[string]any) {
		var head []string
		if origin != "" {
			head = []string{"Origin", origin}
		}
		return w.post(t, "auth/anonymous_invoke", "clientId="+client, `{"headers":[],"data":{"policy_request_id":"web_login"}}`, head...)
	}
	for _, c := range [][2]string{{"shop", "https://shop.example"}, {"shop", "https://shop.example:8443"}, {"shop", ""}, {"shop", w.URL}, {"bare", ""}, {"bare", w.URL}} {
		res, out := start(c[0], c[1])
		if res.StatusCode != 200 || obj(out, "data")["control_flow"] == nil {
			t.Errorf("%s from %q: %d %v", c[0], c[1], res.StatusCode, out)
		}
		if want := c[1]; want != w.URL && res.Header.Get("Access-Control-Allow-Origin") != want {
			t.Errorf("%s from %q: %v", c[0], c[1], res.Header)
		}
	}
	for _, origin := range []string{
		"null", "http://shop.example", "https://shop.example:443", "https://shop.example:444", "https://shop.example/", "https://SHOP.example", "https://shop.example.", "https://shop.example.evil.example",
		"https://evilshop.example", "https://www.shop.example", "https://shop.example@evil.example", "https://evil.example#https://shop.example", "https://shop.example https://evil.example",
		"https://shop.example,https://evil.example", "https://shop.exam", "http://localhost:3000", "http://127.0.0.1", "*", "https://shop\u2024example", "https://shop.example%00.evil.example",
	} {
		for _, client := range []string{"shop", "bare"} {
			res, out := start(client, origin)
			if shaped(t, origin, out); res.StatusCode != 403 || res.Header.Get("Access-Control-Allow-Origin") != "" || res.Header.Get("Access-Control-Allow-Credentials") != "" || obj(out, "data")["control_flow"] != nil {
				t.Errorf("%s from %q: %d %v", client, origin, res.StatusCode, res.Header)
			}
		}
	}
}

// agreed is the id of a key that was agreed on.
func (w *world) agreed(t testing.TB) string {
	t.Helper()
	priv, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, out := w.post(t, "auth/key_exchange", "clientId=demo-web", map[string]any{"data": map[string]any{"r": "x"},
		"headers": []any{map[string]any{"type": "key_exchange", "scheme": 3, "y": base64.StdEncoding.EncodeToString(priv.PublicKey().Bytes())}}})
	return obj(out["headers"].([]any)[0])["crypto_session_id"].(string)
}

// mutilated are all strict prefixes and suffixes of a token, and its other cases.
func mutilated(token string) []string {
	list := []string{"", token + "A", " " + token, token + " ", token + token}
	for i := 1; i < len(token); i++ {
		list = append(list, token[:i], token[i:])
	}
	for _, folded := range []string{strings.ToLower(token), strings.ToUpper(token)} {
		if folded != token {
			list = append(list, folded)
		}
	}
	return list
}

// TestDoorTokensAreWhole (R15): no part and no other spelling of a session, a
// visit, a turn or an agreed key stands for it.
func TestDoorTokensAreWhole(t *testing.T) {
	w := newWorld(t)
	sid, visit, turn := w.begun(t)
	say := func(sid, visit, turn string) (int, map[string]any) {
		res, out := w.post(t, "auth/assert", "clientId=demo-web&sid="+url.QueryEscape(sid), map[string]any{"headers": []any{}, "data": map[string]any{
			"assertion_id": visit, "fch": turn, "assert": "escape", "data": map[string]any{"escape_id": "web_to_mobile", "escape_params": map[string]any{"email": "a@x.example"}}}})
		return res.StatusCode, out
	}
	for _, s := range mutilated(sid) {
		if status, out := say(s, visit, turn); status != 401 || out["error_code"] != 4001.0 || obj(out, "data")["control_flow"] != nil {
			t.Errorf("session %q: %d %v", s, status, out)
		}
	}
	stale := func(name string, out map[string]any) {
		t.Helper()
		if d := obj(out, "data"); d["assertion_error_code"] != 28.0 || d["challenge"] != turn {
			t.Errorf("%s: %v", name, out)
		}
	}
	for _, s := range mutilated(visit) {
		_, out := say(sid, s, turn)
		stale("visit "+s, out)
	}
	for _, s := range mutilated(turn) {
		_, out := say(sid, visit, s)
		stale("turn "+s, out)
	}
	id := w.agreed(t)
	for _, s := range mutilated(id) {
		if s == "" || s == id+" " || s == " "+id {
			continue // none: the body would be in clear
		}
		res, out := w.post(t, "auth/anonymous_invoke", "clientId=demo-web", map[string]any{"data": "AAAAAAAAAAAAAAAAAAAAAA==",
			"headers": []any{map[string]any{"type": "encryption", "iv": "AAAAAAAAAAAAAAAAAAAAAA==", "crypto_session_id": s}}})
		if res.StatusCode != 400 || obj(out, "data")["control_flow"] != nil {
			t.Errorf("agreed key %q: %d %v", s, res.StatusCode, out)
		}
	}
	if status, out := say(sid, visit, turn); status != 200 || obj(obj(out, "data")["control_flow"].([]any)[0])["type"] != waitStep {
		t.Errorf("the whole ones afterwards: %d %v", status, out)
	}
}

// TestDoorTokensOfOtherKinds (R05): a secret of one kind opens nothing of another.
func TestDoorTokensOfOtherKinds(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "grace@example.org", 0)
	b, r := w.asked(t, "grace@example.org")
	q := pending(t, p)
	sid, visit, turn := w.begun(t)
	kinds := map[string]string{"session": sid, "visit": visit, "turn": turn, "request": q.ID, "number": r.Text("number"), "agreed key": w.agreed(t), "client": "demo-web", "e-mail": "grace@example.org"}
	for name, v := range kinds {
		post := func(as, op, client, session string, data map[string]any, headers ...any) {
			t.Helper()
			res, out := w.post(t, op, "clientId="+client+"&sid="+url.QueryEscape(session), map[string]any{"headers": append([]any{}, headers...), "data": data})
			d := obj(out, "data")
			if res.StatusCode >= 500 || d["token"] != nil || d["debug_pin"] != nil || out["error_code"] == 0.0 && d["assertion_error_code"] != 28.0 {
				t.Errorf("%s as %s: %d %v", name, as, res.StatusCode, out)
			}
		}
		post("request", "auth/mobile_approve", "demo-native", "", map[string]any{}, map[string]any{"type": "mobile_approve", "mobile_approve": map[string]any{"request_id": v, "request_id_signature": v}})
		post("journey", "auth/anonymous_invoke", "demo-web", "", map[string]any{"policy_request_id": v})
		if name != "session" {
			post("session", "auth/assert", "demo-web", v, map[string]any{"assertion_id": visit, "fch": turn, "assert": "action"})
			post("session of the debugger", "auth/create_debug_token", "demo-web", v, map[string]any{})
		}
		if name != "turn" {
			post("turn", "auth/assert", "demo-web", sid, map[string]any{"assertion_id": visit, "fch": v, "assert": "escape", "data": map[string]any{"escape_id": "cancel"}})
		}
		if name != "visit" {
			post("visit", "auth/assert", "demo-web", sid, map[string]any{"assertion_id": v, "fch": turn, "assert": "escape", "data": map[string]any{"escape_id": "cancel"}})
		}
	}
	if err := p.Approve(t.Context(), q.ID, r.Text("number")); err != nil {
		t.Fatal(err)
	}
	if end := ended(t, b); end.Token == "" {
		t.Errorf("end %+v", end)
	}
}

// FuzzDoor sends any body to any operation, as if from within a run. Whatever it
// says, the answer has the door's shape and is not the server's failure, and the
// run stays where it is: nobody can guess its turn.
func FuzzDoor(f *testing.F) {
	w := newWorld(f)
	sid, _, turn := w.begun(f)
	ops := []string{"auth/assert", "auth/anonymous_invoke", "auth/mobile_approve", "auth/poll", "auth/create_debug_token", "auth/key_exchange"}
	send := func(t testing.TB, op string, body []byte) (int, map[string]any) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/ido/api/v2/"+op+"?clientId=demo-web&sid="+sid, strings.NewReader(string(body)))
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, r)
		var out map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
			t.Fatalf("not JSON: %q", rec.Body)
		}
		return rec.Code, out
	}
	for i, body := range []string{
		`{"headers":[],"data":{"assertion_id":"vis_a","fch":"trn_a","assert":"escape","data":{"escape_id":"web_to_mobile","escape_params":{"email":"a@x.example"}}}}`,
		`{"headers":[{"type":"device","device":{"device_key_id":"ab","push_config":{"device_token":"x","type":"APN"}}}],"data":{"policy_request_id":"web_login","params":{"a":[1,{"b":null}]}}}`,
		`{"headers":[{"type":"mobile_approve","mobile_approve":{"request_id":"chl_a","request_id_signature":"AA=="}}],"data":{}}`,
		`{"headers":[],"data":{"ticket_id":"tkt_a","polling_timeout":-1e300}}`, `{"headers":[],"data":{}}`,
		`{"headers":[{"type":"key_exchange","scheme":3,"y":"BAAA"}],"data":{"r":"x"}}`,
		`{"headers":[{"type":"encryption","iv":"AAAAAAAAAAAAAAAAAAAAAA==","crypto_session_id":"AAAA"}],"enc_headers":["AAAA"],"data":"AAAA"}`,
		`{"data":{"assert":"action","input":{"ts:idosdk:device":{"signature":1}}}}`, `{"headers":[null],"data":null}`,
	} {
		f.Add(uint8(i), []byte(body))
	}
	f.Fuzz(func(t *testing.T, op uint8, body []byte) {
		status, out := send(t, ops[int(op)%len(ops)], body)
		if int(op)%len(ops) == 5 && status == http.StatusOK {
			return // a key exchange gives back what it was sent
		}
		shaped(t, "answer", out)
		if status >= 500 || obj(out, "data")["token"] != nil || status >= 400 != (out["error_code"] != 0.0) {
			t.Errorf("%d %v", status, out)
		}
		_, out = send(t, "auth/assert", []byte(`{"headers":[],"data":{"assertion_id":"x","fch":"x","assert":"action"}}`))
		if obj(out, "data")["challenge"] != turn {
			t.Errorf("the run moved: %v", out)
		}
	})
}
