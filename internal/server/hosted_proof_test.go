package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// browserKey is the key of a browser, as its pages make one.
type browserKey struct {
	t       testing.TB
	key     *ecdsa.PrivateKey
	id, pub string
}

func newBrowserKey(t testing.TB) browserKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.Sum256(spki)
	return browserKey{t, key, hex.EncodeToString(h[:]), base64.StdEncoding.EncodeToString(spki)}
}

func (k browserKey) sign(text string) string {
	k.t.Helper()
	h := sha256.Sum256([]byte(text))
	s, err := ecdsa.SignASN1(rand.Reader, k.key, h[:])
	if err != nil {
		k.t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(s)
}

// said is what a page posts of its browser's key.
func (k browserKey) said(more url.Values) url.Values {
	if more == nil {
		more = url.Values{}
	}
	more.Set("device_key_id", k.id)
	more.Set("device_public_key", k.pub)
	return more
}

func (k browserKey) registers() url.Values {
	return k.said(url.Values{"platform_device_id": {k.id}, "platform_device_key": {k.pub}})
}

func (k browserKey) answers(challenge string) url.Values {
	return k.said(url.Values{"platform_device_id": {k.id}, "signature": {k.sign(challenge)}})
}

var promptData = regexp.MustCompile(`data-prompt="([^"]*)"`)

// prompt is the data of the prompt that a script of the page reads.
func (p *person) prompt() map[string]any {
	p.t.Helper()
	m := promptData.FindStringSubmatch(p.page)
	if m == nil {
		p.t.Fatalf("no script is asked:\n%s", p.page)
	}
	out := map[string]any{}
	if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &out); err != nil {
		p.t.Fatal(err)
	}
	return out
}

// TestHostedTrustedDevice: a browser without an SDK is trusted after two factors
// and then stands for the second; one that forgot its key goes on as a stranger.
func TestHostedTrustedDevice(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	for _, method := range []string{"trusted_device", "password"} { // so that every mail is a code
		c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/"+method, map[string]any{"notify": false})
	}
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false})
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "credentials": map[string]any{"password": password, "force_replace": false}})
	w.publish(t, `{"id": "login", "name": "Login", "kind": "client", "start": "first", "nodes": {
		"first": {"kind": "password.authenticate", "config": {"user": "ana@example.org"}, "next": {"success": "trusted", "failure": "no", "password_expired": "no"}},
		"trusted": {"kind": "trusted_device.check", "next": {"trusted": "done", "not_trusted": "second"}},
		"second": {"kind": "code.email", "next": {"success": "remember", "failure": "no", "cancel": "no"}},
		"remember": {"kind": "trusted_device.remember", "next": {"success": "done", "failure": "done"}},
		"done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	at := w.URL + "/login/demo-web/login"
	mails := 0
	second := func(p *person) *person {
		t.Helper()
		mails++
		return p.sees(`name="passcode"`).post("", url.Values{"passcode": {w.sentCode(t, "mail", "ana@example.org", mails)}})
	}
	k, p := newBrowserKey(t), w.person(t)
	p.open(at).post("", url.Values{"password": {password}})
	second(p).sees(`data-act="device.register"`).sees(`name="platform_device_key"`).lacks("Device key")
	p.post("", k.registers()).sees("You are signed in")

	p.open(at).post("", url.Values{"password": {password}}).sees(`data-act="device.validate"`)
	p.post("", k.answers(p.prompt()["device_challenge"].(string))).sees("You are signed in")

	w.Pass(time.Minute)
	p.open(at).post("", url.Values{"password": {password}}).sees(`data-act="device.validate"`)
	second(p.post("failure", nil)).sees(`data-act="device.register"`) // it found no key after all
	p.post("failure", nil).sees("You are signed in")

	w.Pass(time.Minute)
	other := newBrowserKey(t)
	p.open(at).post("", url.Values{"password": {password}})
	second(p.post("", other.answers(p.prompt()["device_challenge"].(string)))).sees(`data-act="device.register"`)

	w.Pass(time.Minute)
	stranger := w.person(t).open(at).post("", url.Values{"password": {password}})
	stranger.lacks("data-proof").sees(`name="passcode"`)
}

// TestHostedDevice: a browser is bound by a key that its page shows, is known by it
// later, and is no phone that could be asked.
func TestHostedDevice(t *testing.T) {
	w := newWorld(t)
	w.registered(t, "grace@example.org", 0)
	w.publish(t, `{"id": "bind", "name": "Bind", "kind": "client", "start": "code", "nodes": {
		"code": {"kind": "code.email", "config": {"user": "grace@example.org"}, "next": {"success": "device", "failure": "no", "cancel": "no"}},
		"device": {"kind": "device.register", "next": {"success": "done", "failure": "no"}}, "done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	w.publish(t, `{"id": "known", "name": "Known", "kind": "client", "start": "device", "nodes": {
		"device": {"kind": "device.validate", "config": {"user": "grace@example.org"}, "next": {"success": "yes", "failure": "no"}},
		"yes": {"kind": "information", "config": {"title": "Known here", "text": "It is."}, "next": {"success": "no"}}, "no": {"kind": "reject"}}}`)
	k, p := newBrowserKey(t), w.person(t)
	p.open(w.URL + "/login/demo-web/bind")
	p.post("", url.Values{"passcode": {w.sentCode(t, "mail", "grace@example.org", len(w.Dev.Inbox.List("mail", "grace@example.org", "")))}}).sees(`data-act="device.register"`)
	p.post("", k.registers()).sees("You are signed in")
	p.open(w.URL + "/login/demo-web/known")
	p.post("", k.answers(p.prompt()["device_challenge"].(string))).sees("Known here")
	p.open(w.URL+"/login/demo-web/known").post("", newBrowserKey(t).answers(p.prompt()["device_challenge"].(string))).sees("Not signed in")
	p.open(w.URL+"/login/demo-web/web_login").post("web_to_mobile", url.Values{"email": {"grace@example.org"}}).sees("Pixel 9").lacks("Which phone?")
}

// TestHostedPIN: a browser is what a phone is to a PIN: it is known by its key,
// from the step that makes the PIN on.
func TestHostedPIN(t *testing.T) {
	w := newWorld(t)
	k, pin, p := newBrowserKey(t), newBrowserKey(t), w.person(t)
	at := w.URL + "/login/demo-web/mobile_pin"
	p.open(at).sees("Set up").post("", url.Values{"email": {"eva@example.org"}, "action": {"set_up"}})
	p.sees(`data-act="pin.register"`).sees("At least 6 digits.").lacks(`name="pin"`).lacks("Public key")
	p.post("", k.said(url.Values{"publicKeyId": {"pin_1"}, "publicKey": {pin.pub}, "os": {"web"}})).sees("All set")

	p.open(at).post("", url.Values{"email": {"eva@example.org"}, "action": {"sign_in"}}).sees(`data-act="pin.authenticate"`)
	p.post("", k.said(url.Values{"publicKeyId": {"pin_1"}, "signature": {pin.sign(p.prompt()["pin_challenge"].(string))}})).sees("You are signed in")

	thief := w.person(t).open(at).post("", url.Values{"email": {"eva@example.org"}, "action": {"sign_in"}})
	thief.post("", newBrowserKey(t).said(url.Values{"publicKeyId": {"pin_1"}, "signature": {pin.sign(thief.prompt()["pin_challenge"].(string))}})).sees("Not signed in")
	w.person(t).open(at).post("", url.Values{"email": {"nobody@example.org"}, "action": {"sign_in"}}).sees(`data-act="pin.authenticate"`).post("failure", nil).sees("Not signed in")
}

// TestHostedAttested: where somebody must vouch for keys, no page makes one: it says
// so and offers another way, and the journey's author is warned.
func TestHostedAttested(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	graph := func(orPIN bool) map[string]any {
		return map[string]any{"id": "keyed", "name": "Keyed", "kind": "client", "start": "make", "nodes": map[string]any{
			"make": map[string]any{"kind": "create_user", "config": map[string]any{"email": "kim@example.org"}, "next": map[string]any{"success": "key", "exists": "no", "failure": "no"}},
			"key":  map[string]any{"kind": "biometric.register", "config": map[string]any{"or_pin": orPIN}, "next": map[string]any{"success": "done", "failure": "no"}},
			"done": map[string]any{"kind": "complete"}, "no": map[string]any{"kind": "reject"},
		}}
	}
	a.must(t, "POST /journeys", map[string]any{"id": "keyed", "name": "Keyed", "graph": graph(false)})
	const warning = "Whoever signs in to"
	if r := a.must(t, "GET /journeys/keyed", nil); strings.Contains(r.Raw, warning) {
		t.Errorf("nobody signs in by it: %s", r.Raw)
	}
	client := a.must(t, "GET /apps/demo/clients/demo-web", nil)
	settings, _ := client.Doc["settings"].(map[string]any)
	settings["journey"] = "keyed"
	a.must(t, "PUT /apps/demo/clients/demo-web", map[string]any{"name": client.Doc["name"], "settings": settings}, "If-Match", client.Header.Get("ETag"))
	if r := a.must(t, "GET /journeys/keyed", nil); strings.Contains(r.Raw, warning) {
		t.Errorf("nobody has to vouch: %s", r.Raw)
	}
	set := a.must(t, "GET /apps/demo/methods/biometric", nil)
	a.must(t, "PUT /apps/demo/methods/biometric", map[string]any{"settings": map[string]any{"attestation": "enforce"}}, "If-Match", set.Header.Get("ETag"))
	r := a.must(t, "GET /journeys/keyed", nil)
	if !strings.Contains(r.Raw, warning) || !strings.Contains(r.Raw, `"warning":true`) {
		t.Errorf("no warning: %s", r.Raw)
	}
	b, err := json.Marshal(graph(true))
	if err != nil {
		t.Fatal(err)
	}
	w.publish(t, string(b))
	p := w.person(t).open(w.URL + "/login/demo-web/keyed")
	p.sees("answered by the app on your phone").sees("Another way").sees("Use a PIN").lacks("data-proof").lacks(`name="publicKey"`)
	p.post("pin", nil).sees(`data-act="pin.register"`)
}

// TestHostedFace: the camera may be used where a face is looked for and nowhere
// else, and a picture that took too long is asked for again.
func TestHostedFace(t *testing.T) {
	w, c := faces(t)
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})
	w.publish(t, `{"id": "keep", "name": "Keep", "kind": "client", "start": "code", "nodes": {
		"code": {"kind": "code.email", "config": {"user": "ana@example.org"}, "next": {"success": "face", "failure": "no", "cancel": "no"}},
		"face": {"kind": "face.register", "config": {"photo": true}, "next": {"success": "done", "failure": "no"}}, "done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	p := w.person(t).open(w.URL + "/login/demo-web/keep")
	policy := func() string {
		t.Helper()
		r, err := p.client.Get(p.at.String())
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.Header.Get("Permissions-Policy")
	}
	if got := policy(); !strings.HasPrefix(got, "camera=(),") {
		t.Errorf("a code needs no camera: %s", got)
	}
	p.post("", url.Values{"passcode": {w.sentCode(t, "mail", "ana@example.org", 1)}}).sees(`data-proof="face"`).sees("Choose a photo instead").sees("encrypted template").sees(`data-left="120"`)
	if got := policy(); !strings.HasPrefix(got, "camera=(self),") {
		t.Errorf("a face needs the camera: %s", got)
	}
	old := p.prompt()
	w.Pass(3 * time.Minute)
	p.open(p.at.String()).sees(`data-left="0"`)
	p.post("resend", nil).sees(`data-left="120"`)
	now := p.prompt()
	if now["face_session_id"] == old["face_session_id"] || now["start_token"] == old["start_token"] {
		t.Error("the old capture is asked for again")
	}
	id := now["face_session_id"].(string)
	rest{w, ""}.want(t, 202, "POST /v1/face/sessions/"+id+"/capture", map[string]any{"start_token": now["start_token"], "images": [][]byte{[]byte("face:ana")}})
	if p.post("", url.Values{"face_session_id": {id}}); p.status == http.StatusOK && strings.Contains(p.page, "You are signed in") {
		t.Error("a face is kept without consent")
	}
}
