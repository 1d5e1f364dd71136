package server_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the golden transcripts anew")

// post sends a body to an operation of the Mosaic door and returns the answer.
func (w *world) post(t testing.TB, op, query string, body any, head ...string) (*http.Response, map[string]any) {
	t.Helper()
	var raw []byte
	switch b := body.(type) {
	case string:
		raw = []byte(b)
	default:
		var err error
		if raw, err = json.Marshal(b); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", w.URL+"/ido/api/v2/"+op+"?aid=default_application&locale=en-US&"+query, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil && len(b) > 0 {
		t.Fatalf("%s: not JSON: %q", op, b)
	}
	return res, out
}

func obj(v any, path ...string) map[string]any {
	m, _ := v.(map[string]any)
	for _, p := range path {
		m, _ = m[p].(map[string]any)
	}
	return m
}

// begun is a run that waits at its login form: its session, visit and turn.
func (w *world) begun(t testing.TB) (sid, visit, turn string) {
	t.Helper()
	_, out := w.post(t, "auth/anonymous_invoke", "clientId=demo-web", map[string]any{"headers": []any{}, "data": map[string]any{"policy_request_id": "web_login"}})
	for _, h := range out["headers"].([]any) {
		if s, ok := obj(h)["session_id"].(string); ok {
			sid = s
		}
	}
	flow := obj(obj(out, "data")["control_flow"].([]any)[0])
	return sid, flow["assertion_id"].(string), obj(out, "data")["challenge"].(string)
}

// shaped checks what every answer of the door has, for the strictest of its
// clients (mosaic-protocol 2.3).
func shaped(t *testing.T, name string, out map[string]any) {
	t.Helper()
	if _, ok := out["headers"].([]any); !ok {
		t.Errorf("%s: headers is no array: %v", name, out)
	}
	if _, ok := out["error_code"].(float64); !ok {
		t.Errorf("%s: no error_code: %v", name, out)
	}
	data, ok := out["data"].(map[string]any)
	if !ok {
		t.Errorf("%s: no data: %v", name, out)
		return
	}
	if _, has := data["state"]; has {
		if _, ok := data["assertions_complete"].(bool); !ok {
			t.Errorf("%s: assertions_complete is no boolean: %v", name, data)
		}
	}
	if flow, has := data["control_flow"]; has {
		list, ok := flow.([]any)
		if !ok || len(list) != 1 {
			t.Errorf("%s: control_flow %v", name, flow)
			return
		}
		for _, e := range obj(list[0])["escapes"].([]any) {
			_, id := obj(e)["id"].(string)
			_, label := obj(e)["display_name"].(string)
			_, how := obj(e)["presentation"].(string)
			_, schema := obj(e)["schema"].([]any)
			if !id || !label || !how || !schema {
				t.Errorf("%s: escape %v", name, e)
			}
		}
	}
}

// TestDoorBadInput: every malformed, oversized, nested, duplicated, wrongly typed,
// stale, replayed or foreign request gets a clear error in the door's own shape,
// and the run goes on afterwards as if it had never come.
func TestDoorBadInput(t *testing.T) {
	w := newWorld(t)
	sid, visit, turn := w.begun(t)
	q := "clientId=demo-web&sid=" + sid
	good := func(change map[string]any) map[string]any {
		data := map[string]any{"assertion_id": visit, "fch": turn, "action": "login_form", "assert": "escape", "data": map[string]any{"escape_id": "web_to_mobile", "escape_params": map[string]any{"email": "a@x.example"}}}
		for k, v := range change {
			data[k] = v
		}
		return map[string]any{"headers": []any{}, "data": data}
	}
	params := func(v any) map[string]any {
		return good(map[string]any{"data": map[string]any{"escape_id": "web_to_mobile", "escape_params": v}})
	}
	for name, c := range map[string]struct {
		query string
		body  any
	}{
		"nothing": {q, ""}, "text": {q, "hello"}, "a list": {q, "[]"}, "null": {q, "null"}, "half": {q, `{"data":{`}, "two values": {q, `{"data":{}} {}`},
		"no data": {q, `{"headers":[]}`}, "data as text": {q, `{"headers":[],"data":"x"}`}, "headers as object": {q, `{"headers":{},"data":{}}`},
		"header as text": {q, `{"headers":["x"],"data":{}}`}, "device as list": {q, `{"headers":[{"type":"device","device":[]}],"data":{}}`},
		"a key twice": {q, `{"headers":[],"data":{"assertion_id":"a","assertion_id":"b"}}`}, "not UTF-8": {q, "{\"data\":{\"fch\":\"\xff\"}}"},
		"deep": {q, `{"headers":[],"data":{"input":` + strings.Repeat(`{"a":`, 60) + `1` + strings.Repeat(`}`, 60) + `}}`}, "large": {q, `{"data":{"fch":"` + strings.Repeat("x", 70<<10) + `"}}`},
		"many headers":  {q, `{"headers":[` + strings.TrimSuffix(strings.Repeat(`{"type":"x"},`, 100), ",") + `],"data":{}}`},
		"input as list": {q, good(map[string]any{"assert": "action", "input": []any{}, "data": nil})}, "turn as number": {q, good(map[string]any{"fch": 7})},
		"no turn": {q, good(map[string]any{"fch": ""})}, "another turn": {q, good(map[string]any{"fch": "trn_x"})}, "another visit": {q, good(map[string]any{"assertion_id": "vis_x"})},
		"no option": {q, good(map[string]any{"data": map[string]any{}})}, "unknown option": {q, good(map[string]any{"data": map[string]any{"escape_id": "admin"}})},
		"resend here": {q, good(map[string]any{"assert": "resend"})}, "no fields": {q, params(nil)}, "a list for text": {q, params(map[string]any{"email": []any{"a@x", "b@x"}})},
		"an object for text": {q, params(map[string]any{"email": map[string]any{"expr": "1"}})}, "null for text": {q, params(map[string]any{"email": nil})},
		"an extra field": {q, params(map[string]any{"email": "a@x", "is_admin": true})}, "a long text": {q, params(map[string]any{"email": strings.Repeat("a", 5000)})},
		"empty": {q, good(map[string]any{"assert": "action", "data": nil})}, "no client": {"sid=" + sid, good(nil)}, "another client": {"clientId=demo-native&sid=" + sid, good(nil)},
		"backend client": {"clientId=demo-backend&sid=" + sid, good(nil)}, "unknown client": {"clientId=x&sid=" + sid, good(nil)}, "no session": {"clientId=demo-web", good(nil)},
		"another session": {"clientId=demo-web&sid=ses_x", good(nil)}, "a shorter session": {"clientId=demo-web&sid=" + sid[:len(sid)-1], good(nil)},
	} {
		res, out := w.post(t, "auth/assert", c.query, c.body)
		shaped(t, name, out)
		data := obj(out, "data")
		refused := out["error_code"] != 0.0 && res.StatusCode >= 400 && out["error_message"] != ""
		again := out["error_code"] == 0.0 && data["assertion_error_code"] == 28.0 && data["control_flow"] != nil
		if !refused && !again {
			t.Errorf("%s: %d %v", name, res.StatusCode, out)
		}
		if res.StatusCode >= 500 || data["token"] != nil {
			t.Errorf("%s: %d %v", name, res.StatusCode, out)
		}
	}
	_, out := w.post(t, "auth/assert", q, good(nil))
	if flow := obj(out, "data")["control_flow"]; flow == nil || obj(flow.([]any)[0])["type"] != waitStep {
		t.Errorf("the right answer afterwards: %v", out)
	}
}

// TestDoorSays404InItsShape: also what is not there answers in the envelope.
func TestDoorSays404InItsShape(t *testing.T) {
	w := newWorld(t)
	for _, op := range []string{"auth/nothing", "x", "auth/assert/more"} {
		res, out := w.post(t, op, "clientId=demo-web", "{}")
		if shaped(t, op, out); res.StatusCode != 404 {
			t.Errorf("%s: %d", op, res.StatusCode)
		}
	}
	_, out := w.post(t, "auth/anonymous_invoke", "clientId=demo-web", map[string]any{"headers": []any{}, "data": map[string]any{"policy_request_id": "nothing"}})
	if shaped(t, "unknown journey", out); out["error_code"] != 4004.0 {
		t.Errorf("unknown journey: %v", out)
	}
	_, out = w.post(t, "auth/anonymous_invoke", "clientId=demo-native", map[string]any{"headers": []any{}, "data": map[string]any{"policy_request_id": "mobile_approve"}})
	if out["error_code"] != 4004.0 {
		t.Errorf("a mobile-approve journey was started like a client journey: %v", out)
	}
}

// TestDoorSlashes: doubled and trailing slashes are no redirect.
func TestDoorSlashes(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/ido//api/v2/auth/anonymous_invoke", "//ido/api/v2//auth/anonymous_invoke/", "/ido/api/v2/auth/anonymous_invoke/"} {
		res, err := http.Post(w.URL+path+"?clientId=demo-web", "application/json", strings.NewReader(`{"headers":[],"data":{"policy_request_id":"web_login"}}`))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 200 || res.Request.URL.Path != path {
			t.Errorf("%s: %d at %s", path, res.StatusCode, res.Request.URL.Path)
		}
	}
}

// TestDoorCORS (R80): a client's own origins and no others, named and with
// credentials, also in the preflight.
func TestDoorCORS(t *testing.T) {
	w := newWorld(t)
	preflight := func(client, origin string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), "OPTIONS", w.URL+"/ido//api/v2/auth/assert?clientId="+client, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "content-type")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	for _, origin := range []string{"http://localhost:3000", "http://127.0.0.1:1", "https://localhost", "http://[::1]:8"} {
		res := preflight("demo-web", origin)
		h := res.Header
		if res.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Access-Control-Allow-Headers") != "content-type" {
			t.Errorf("%s: %d %v", origin, res.StatusCode, h)
		}
	}
	for _, origin := range []string{"null", "https://evil.example", "http://localhost.evil.example", "http://evil-localhost", "http://localhost:3000@evil.example", "http://127.0.0.1.evil.example",
		"http://127.0.0.2:3000", "http://0.0.0.0", "file://localhost", "http://localhost:3000/path", "HTTP://LOCALHOST.", "*", "http://", "javascript:alert(1)"} {
		for _, client := range []string{"demo-web", "nobody"} {
			if res := preflight(client, origin); res.Header.Get("Access-Control-Allow-Origin") != "" || res.StatusCode < 400 {
				t.Errorf("%s for %s: %d %v", origin, client, res.StatusCode, res.Header)
			}
			res, out := w.post(t, "auth/anonymous_invoke", "clientId="+client, `{"headers":[],"data":{"policy_request_id":"web_login"}}`, "Origin", origin)
			if shaped(t, origin, out); res.Header.Get("Access-Control-Allow-Origin") != "" || res.StatusCode != 403 || obj(out, "data")["control_flow"] != nil {
				t.Errorf("%s for %s: %d %v", origin, client, res.StatusCode, out)
			}
		}
	}
	if res := preflight("demo-backend", "http://localhost:3000"); res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a client without origins is open")
	}
}

// TestDoorEncrypted: a journey through the protocol's own encryption, and what
// happens when bytes of it are changed.
func TestDoorEncrypted(t *testing.T) {
	w := newWorld(t)
	priv, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, out := w.post(t, "auth/key_exchange", "clientId=demo-web", map[string]any{
		"headers": []any{map[string]any{"type": "key_exchange", "scheme": 3, "y": base64.StdEncoding.EncodeToString(priv.PublicKey().Bytes())}}, "data": map[string]any{"r": "Hello Encrypted World"}})
	head := obj(out["headers"].([]any)[0])
	if obj(out, "data")["r"] != "Hello Encrypted World" || head["scheme"] != 3.0 {
		t.Fatalf("key exchange: %v", out)
	}
	point, _ := base64.StdEncoding.DecodeString(head["y"].(string))
	theirs, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		t.Fatal(err)
	}
	x, err := priv.ECDH(theirs)
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(x)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	iv := make([]byte, 16)
	rand.Read(iv)
	seal := func(text string) string {
		b := []byte(text)
		pad := 16 - len(b)%16
		b = append(b, bytes.Repeat([]byte{byte(pad)}, pad)...)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(b, b)
		return base64.StdEncoding.EncodeToString(b)
	}
	body := func(data string) map[string]any {
		return map[string]any{"headers": []any{map[string]any{"type": "encryption", "iv": base64.StdEncoding.EncodeToString(iv), "crypto_session_id": head["crypto_session_id"]}},
			"enc_headers": []any{seal(`{"type":"uid","uid":"anon-ünïcode"}`)}, "data": data}
	}
	res, out := w.post(t, "auth/anonymous_invoke", "clientId=demo-web", body(seal(`{"policy_request_id":"web_login","params":{"from":"日本"}}`)))
	if res.StatusCode != 200 {
		t.Fatalf("start: %v", out)
	}
	var answerIV []byte
	uid := ""
	for _, h := range out["headers"].([]any) {
		if obj(h)["type"] == "encryption" {
			answerIV, _ = base64.StdEncoding.DecodeString(obj(h)["iv"].(string))
		}
		if s, ok := obj(h)["uid"].(string); ok {
			uid = s
		}
	}
	sealed, _ := base64.StdEncoding.DecodeString(out["data"].(string))
	if len(answerIV) != 16 || bytes.Equal(answerIV, iv) || len(sealed) == 0 || uid != "anon-ünïcode" {
		t.Fatalf("answer %v", out)
	}
	cipher.NewCBCDecrypter(block, answerIV).CryptBlocks(sealed, sealed)
	if !strings.Contains(string(sealed), `"form_id":"login"`) {
		t.Errorf("decrypted: %q", sealed)
	}
	for name, b := range map[string]any{
		"changed": body(strings.Replace(seal(`{"policy_request_id":"web_login"}`), "A", "B", 1) + "AAAA"), "empty": body(""), "not blocks": body("AAAA"), "not base64": body("%%%"),
		"not JSON": body(seal("hello")), "a key twice": body(seal(`{"a":1,"a":2}`)),
		"another session": map[string]any{"headers": []any{map[string]any{"type": "encryption", "iv": base64.StdEncoding.EncodeToString(iv), "crypto_session_id": "AAAA"}}, "data": "AAAA"},
		"a short iv":      map[string]any{"headers": []any{map[string]any{"type": "encryption", "iv": "AAAA", "crypto_session_id": head["crypto_session_id"]}}, "data": "AAAA"},
	} {
		if res, out := w.post(t, "auth/anonymous_invoke", "clientId=demo-web", b); res.StatusCode != 400 || out["error_message"] != "The body could not be decrypted. Exchange keys again." {
			t.Errorf("%s: %d %v", name, res.StatusCode, out)
		}
	}
}

// TestDoorTranscript holds the door's bytes still: what a browser and a phone
// say, and what they hear, with secrets replaced by their names.
func TestDoorTranscript(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "grace@example.org", 0)
	var got txtar.Archive
	say := func(name, op, query string, body any) map[string]any {
		res, out := w.post(t, op, query, body)
		got.Files = append(got.Files, txtar.File{Name: name + " request", Data: masked(body)}, txtar.File{Name: fmt.Sprintf("%s response %d", name, res.StatusCode), Data: masked(out)})
		return out
	}
	out := say("start", "auth/anonymous_invoke", "clientId=demo-web", map[string]any{"headers": []any{}, "data": map[string]any{"policy_request_id": "web_login", "params": map[string]any{"from": "checkout"}}})
	sid := ""
	for _, h := range out["headers"].([]any) {
		if s, ok := obj(h)["session_id"].(string); ok {
			sid = s
		}
	}
	step := func(name, assert string, data map[string]any) {
		flow := obj(obj(out, "data")["control_flow"].([]any)[0])
		out = say(name, "auth/assert", "clientId=demo-web&sid="+sid, map[string]any{"headers": []any{}, "data": map[string]any{
			"assertion_id": flow["assertion_id"], "fch": obj(out, "data")["challenge"], "action": flow["type"], "assert": assert, "data": data}})
	}
	step("wrong option", "escape", map[string]any{"escape_id": "password", "escape_params": map[string]any{}})
	step("identifier", "escape", map[string]any{"escape_id": "web_to_mobile", "escape_params": map[string]any{"email": "grace@example.org"}})
	step("resend", "resend", nil)
	step("resend too soon", "resend", nil)
	number := obj(obj(out, "data")["control_flow"].([]any)[0])["number"].(string)
	if err := p.Approve(t.Context(), pending(t, p).ID, number); err != nil {
		t.Fatal(err)
	}
	step("poll", "data", nil)
	say("after the end", "auth/assert", "clientId=demo-web&sid="+sid, map[string]any{"headers": []any{}, "data": map[string]any{"assertion_id": "vis_x", "fch": "trn_x", "assert": "data"}})
	text := txtar.Format(&got)
	const path = "testdata/transcript.txtar"
	if *update {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		t.Errorf("the door speaks differently (-update writes it anew):\n%s", text)
	}
}

var secrets = regexp.MustCompile(`"(ses|trn|vis|chl|usr|dev|run|anon|d)[_-][A-Za-z0-9]+"|"wwj_[A-Za-z0-9_-]+"|"eyJ[^"]+"|"number": "[0-9]{2}"`)

// masked is a value as indented JSON with what differs each time replaced.
func masked(v any) []byte {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(secrets.ReplaceAllFunc(b, func(s []byte) []byte {
		switch {
		case bytes.HasPrefix(s, []byte(`"eyJ`)):
			return []byte(`"JWT"`)
		case bytes.HasPrefix(s, []byte(`"number"`)):
			return []byte(`"number": "NN"`)
		}
		name, _, _ := bytes.Cut(s[1:], []byte("_"))
		name, _, _ = bytes.Cut(name, []byte("-"))
		return []byte(`"` + strings.ToUpper(string(name)) + `"`)
	}), '\n')
}

// TestIntrospection: only a backend client of the same application learns
// anything, and a suspended user's token is not active.
func TestIntrospection(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "grace@example.org", 0)
	b, r := w.asked(t, "grace@example.org")
	if err := p.Approve(t.Context(), pending(t, p).ID, r.Text("number")); err != nil {
		t.Fatal(err)
	}
	jwt := ended(t, b).Token
	ask := func(id, secret, token string) (int, map[string]any) {
		q, err := http.NewRequestWithContext(t.Context(), "POST", w.URL+"/ido/api/v2/token/introspect", strings.NewReader(`{"token":"`+token+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		q.SetBasicAuth(id, secret)
		res, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var out map[string]any
		if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, out
	}
	secret := w.Dev.Facts.Clients["backend"].Secret
	if code, out := ask("demo-backend", secret, jwt); code != 200 || out["active"] != true || out["error_code"] != 0.0 || out["aud"] != "demo-web" {
		t.Errorf("%d %v", code, out)
	}
	for name, c := range map[string][2]string{"wrong secret": {"demo-backend", secret + "x"}, "no secret": {"demo-backend", ""}, "public client": {"demo-web", ""}, "nobody": {"x", secret}} {
		if code, out := ask(c[0], c[1], jwt); code != 401 || out["active"] != nil {
			t.Errorf("%s: %d %v", name, code, out)
		}
	}
	if code, out := ask("demo-backend", secret, jwt[:len(jwt)-4]); code != 200 || out["active"] != false || len(out) > 3 {
		t.Errorf("a cut token: %d %v", code, out)
	}
	w.Pass(601 * 1e9)
	if _, out := ask("demo-backend", secret, jwt); out["active"] != false {
		t.Errorf("a token that ran out: %v", out)
	}
}
