package server_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// faces is a world whose faces are read by the fake engine.
func faces(t *testing.T) (*world, rest) {
	t.Helper()
	w := newWorld(t)
	if err := w.Kit.DB.Move(t.Context(), func(tx *db.Tx) error {
		return notify.SaveProvider(t.Context(), tx, "default", "", "face", "engine", map[string]any{"driver": "fake"})
	}); err != nil {
		t.Fatal(err)
	}
	return w, w.rest(t)
}

// session is an authentication session of a user by a code.
func (c rest) session(t testing.TB, email string) string {
	t.Helper()
	code := c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "direct", "identifier": email})["code"]
	return c.want(t, 200, "POST /v1/auth/otp/authenticate", map[string]any{"channel": "direct", "identifier": email, "passcode": code})["session_id"].(string)
}

// took is a capture of somebody's picture.
func (c rest) took(t testing.TB, email, purpose, picture string) string {
	t.Helper()
	s := c.want(t, 201, "POST /v1/face/sessions", map[string]any{"identifier": email, "purpose": purpose})
	id := s["face_session_id"].(string)
	rest{c.w, ""}.want(t, 202, "POST /v1/face/sessions/"+id+"/capture", map[string]any{"start_token": s["start_token"], "image": []byte(picture)})
	return id
}

// TestFaceAPI: a face is kept with consent, counts beside another factor, is
// judged once, locks, and is forgotten.
func TestFaceAPI(t *testing.T) {
	w, c := faces(t)
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})["user_id"].(string)
	at := "POST /v1/users/" + u + "/face/register"
	if got, _ := c.do(t, at, map[string]any{"face_session_id": c.took(t, "ana@example.org", "register", "face:ana")}); got != 403 {
		t.Errorf("without consent: %d", got)
	}
	if got, body := c.do(t, at, map[string]any{"face_session_id": c.took(t, "ana@example.org", "register", "face:ana:photo"), "consent_id": "c1"}); got != 400 || body["ts_error_code"] != "auth_face_liveness_failed" {
		t.Errorf("a photograph: %d %v", got, body)
	}
	if got, _ := c.do(t, at, map[string]any{"face_session_id": c.took(t, "ana@example.org", "authenticate", "face:ana"), "consent_id": "c1"}); got == 201 {
		t.Error("a picture for another purpose was kept")
	}
	c.want(t, 201, at, map[string]any{"face_session_id": c.took(t, "ana@example.org", "register", "face:ana"), "consent_id": "c1"})

	if got, body := c.do(t, "POST /v1/auth/face/authenticate", map[string]any{"face_session_id": c.took(t, "ana@example.org", "authenticate", "face:ana")}); got != 404 || body["error_code"] != "session_not_found" {
		t.Errorf("alone: %d %v", got, body)
	}
	sid := c.session(t, "ana@example.org")
	once := map[string]any{"session_id": sid, "face_session_id": c.took(t, "ana@example.org", "authenticate", "face:ana")}
	tokens := c.want(t, 200, "POST /v1/auth/face/authenticate", once)
	if id := w.offline(t, tokens["id_token"].(string)); id["sub"] != u || id["acr"] != "urn:watchword:aal2" {
		t.Errorf("identity token %v", id)
	}
	if got, body := c.do(t, "POST /v1/auth/face/authenticate", once); got != 400 || body["error_code"] != "auth_challenge_expired" {
		t.Errorf("again: %d %v", got, body)
	}
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "eve@example.org"})
	w.Pass(11 * time.Minute) // captures are few per ten minutes
	sid, eve := c.session(t, "ana@example.org"), c.session(t, "eve@example.org")
	if got, body := c.do(t, "POST /v1/auth/face/authenticate", map[string]any{"session_id": eve, "face_session_id": c.took(t, "ana@example.org", "authenticate", "face:ana")}); got != 400 {
		t.Errorf("somebody else's session: %d %v", got, body)
	}
	for picture, word := range map[string]string{"face:eve": "auth_face_no_match", "face:ana:photo": "auth_face_liveness_failed", "face:ana:blurred": "auth_face_no_match"} {
		if got, body := c.do(t, "POST /v1/auth/face/authenticate", map[string]any{"session_id": sid, "face_session_id": c.took(t, "ana@example.org", "authenticate", picture)}); got != 400 || body["error_code"] != word {
			t.Errorf("%s: %d %v", picture, got, body)
		}
	}
	for range 2 {
		c.do(t, "POST /v1/auth/face/authenticate", map[string]any{"session_id": sid, "face_session_id": c.took(t, "ana@example.org", "authenticate", "face:eve")})
	}
	if got, body := c.do(t, "POST /v1/auth/face/authenticate", map[string]any{"session_id": sid, "face_session_id": c.took(t, "ana@example.org", "authenticate", "face:ana")}); got != 403 || body["error_code"] != "auth_locked" {
		t.Errorf("locked: %d %v", got, body)
	}
	w.Pass(11 * time.Minute)
	sid = c.session(t, "ana@example.org")
	right := map[string]any{"session_id": sid, "face_session_id": c.took(t, "ana@example.org", "authenticate", "face:ana")}
	var all sync.WaitGroup
	var in atomic.Int32
	for range 16 {
		all.Go(func() {
			if got, _ := c.do(t, "POST /v1/auth/face/authenticate", right); got == 200 {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if in.Load() != 1 {
		t.Errorf("%d of 16 were let in", in.Load())
	}
	if got, _ := c.do(t, "POST /v1/users/"+u+"/face/register", map[string]any{"face_session_id": "chl_x", "consent_id": "c"}); got == 201 {
		t.Error("nothing was kept")
	}
	c.want(t, 204, "DELETE /v1/users/"+u+"/face", nil)
	_, body := c.do(t, "GET /v1/users/"+u+"/authenticators", nil)
	for _, a := range body["result"].([]any) {
		if a.(map[string]any)["type"] == "face" {
			t.Error("the face is still listed")
		}
	}
}

// TestFaceCapture: pictures go where the token says, a few times, and nowhere
// else; none is stored.
func TestFaceCapture(t *testing.T) {
	w, c := faces(t)
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})
	s := c.want(t, 201, "POST /v1/face/sessions", map[string]any{"identifier": "ana@example.org", "purpose": "register"})
	at := "POST /v1/face/sessions/" + s["face_session_id"].(string) + "/capture"
	client := rest{w, ""}
	for _, bad := range []struct {
		in     map[string]any
		status int
	}{
		{map[string]any{"start_token": "x", "image": []byte("face:ana")}, 404}, {map[string]any{"start_token": s["start_token"]}, 400},
		{map[string]any{"start_token": s["start_token"], "image": "not base64"}, 400}, {map[string]any{"start_token": s["start_token"], "image": []byte("a landscape")}, 400},
	} {
		if got, body := client.do(t, at, bad.in); got != bad.status {
			t.Errorf("%v: %d %v", bad.in, got, body)
		}
	}
	for range 4 {
		client.do(t, at, map[string]any{"start_token": s["start_token"], "image": []byte("a landscape")})
	}
	if got, body := client.do(t, at, map[string]any{"start_token": s["start_token"], "image": []byte("face:ana")}); got != 400 || body["ts_error_code"] != "auth_challenge_expired" {
		t.Errorf("after too many tries: %d %v", got, body)
	}
	for i := range 10 {
		if got, _ := c.do(t, "POST /v1/face/sessions", map[string]any{"identifier": "ana@example.org", "purpose": "register"}); got == 429 {
			break
		} else if i == 9 {
			t.Error("any number of captures")
		}
	}
}

// TestFaceJourney: a face is registered and asked for in journeys, never first.
func TestFaceJourney(t *testing.T) {
	w, c := faces(t)
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})
	const code = `"who": {"kind": "get_information", "config": {"form_id": "who", "output": "who", "fields": [{"name": "given"}]}, "next": {"success": "code"}},
		"code": {"kind": "code.temporary", "config": {"user": "ana@example.org", "code": {"expr": "who.given"}}, "next": {"success": "face", "failure": "no", "expired": "no"}},`
	w.publish(t, `{"id": "keep", "name": "Keep", "kind": "client", "start": "who", "nodes": {`+code+`
		"face": {"kind": "face.register", "next": {"success": "done", "failure": "no"}}, "done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	w.publish(t, `{"id": "look", "name": "Look", "kind": "client", "start": "who", "nodes": {`+code+`
		"face": {"kind": "face.authenticate", "next": {"success": "done", "failure": "no"}}, "done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	run := func(id, picture string, more map[string]any) simulator.Response {
		t.Helper()
		b := w.browser(t)
		if _, err := b.Start(t.Context(), id, nil); err != nil {
			t.Fatal(err)
		}
		code := c.want(t, 200, "POST /v1/auth/otp/send", map[string]any{"channel": "direct", "identifier": "ana@example.org"})["code"]
		r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"given": code})
		if err != nil || !strings.HasPrefix(r.Step, "face.") {
			t.Fatalf("%s: %+v, %v", id, r, err)
		}
		rest{w, ""}.want(t, 202, "POST "+strings.TrimPrefix(r.Text("capture_url"), w.URL), map[string]any{"start_token": r.Data["start_token"], "image": []byte(picture)})
		in := map[string]any{"face_session_id": r.Data["face_session_id"]}
		for k, v := range more {
			in[k] = v
		}
		if r, err = b.Submit(t.Context(), simulator.ClientInput, in); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := run("keep", "face:ana", map[string]any{"consent": false}); r.Type != simulator.Rejection {
		t.Errorf("without consent: %+v", r)
	}
	if r := run("keep", "face:ana", map[string]any{"consent": true}); r.Type != simulator.Success {
		t.Fatalf("keeping: %+v", r)
	}
	if r := run("look", "face:eve", nil); r.Type != simulator.Rejection {
		t.Errorf("somebody else: %+v", r)
	}
	if r := run("look", "face:ana", nil); r.Type != simulator.Success || claimsOf(t, r.Token)["acr"] != "urn:watchword:aal2" {
		t.Errorf("the right face: %+v", r)
	}
}

// TestTrustedDevice: after two factors a browser is trusted, and stands for the
// second one; other browsers, and those without a key, are not.
func TestTrustedDevice(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	for _, method := range []string{"trusted_device", "totp", "password"} { // so that every mail is a code
		c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/"+method, map[string]any{"notify": false})
	}
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false})
	remembered := password
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "credentials": map[string]any{"password": remembered, "force_replace": false}})["user_id"].(string)
	w.publish(t, `{"id": "login", "name": "Login", "kind": "client", "start": "who", "nodes": {
		"who": {"kind": "get_information", "config": {"form_id": "who", "output": "who", "fields": [{"name": "given"}]}, "next": {"success": "first"}},
		"first": {"kind": "password.authenticate", "config": {"user": "ana@example.org", "password": {"expr": "who.given"}}, "next": {"success": "trusted", "failure": "no", "password_expired": "no"}},
		"trusted": {"kind": "trusted_device.check", "next": {"trusted": "done", "not_trusted": "second"}},
		"second": {"kind": "code.email", "next": {"success": "remember", "failure": "no", "cancel": "no"}},
		"remember": {"kind": "trusted_device.remember", "next": {"success": "done", "failure": "done"}},
		"done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	page := func(i int) *simulator.Browser {
		t.Helper()
		o := simulator.BrowserOptions{Server: w.URL, Client: "demo-web", Now: w.Now}
		if i >= 0 {
			o.Key = keys()[i].Device
		}
		b, err := simulator.NewBrowser(o)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	mails := 0
	first := func(b *simulator.Browser) simulator.Response {
		t.Helper()
		if _, err := b.Start(t.Context(), "login", nil); err != nil {
			t.Fatal(err)
		}
		r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"given": remembered})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	finish := func(b *simulator.Browser, r simulator.Response) {
		t.Helper()
		if r.Step != "transmit_platform_email_otp_authentication" {
			t.Fatalf("the second factor was not asked for: %+v", r)
		}
		mails++
		r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"passcode": w.sentCode(t, "mail", "ana@example.org", mails)})
		if err != nil || r.Type != simulator.Success {
			t.Fatalf("%+v, %v", r, err)
		}
		w.Pass(time.Minute)
	}
	whole := func(b *simulator.Browser) { t.Helper(); finish(b, first(b)) }
	whole(page(0))
	mails = len(w.Dev.Inbox.List("mail", "ana@example.org", ""))
	if r := first(page(0)); r.Type != simulator.Success || claimsOf(t, r.Token)["acr"] != "urn:watchword:aal2" {
		t.Fatalf("the trusted browser: %+v", r)
	}
	whole(page(1))
	whole(page(-1))
	// Whatever changes how the user signs in ends the trust (security R54).
	mails = len(w.Dev.Inbox.List("mail", "ana@example.org", ""))
	for name, change := range map[string]func(){
		"another factor": func() { c.want(t, 201, "POST /v1/users/"+u+"/totp", map[string]any{"allow_override": true}) },
		"another password": func() {
			remembered = "a-quiet-heron-eats-9-figs"
			c.want(t, 201, "PUT /v1/users/"+u+"/password", map[string]any{"password": remembered, "force_replace": false})
		},
		"a lock by hand": func() {
			c.want(t, 204, "POST /v1/users/"+u+"/authenticators/totp/lock", map[string]any{"reason": "lost"})
		},
	} {
		b := page(0)
		if r := first(b); r.Type != simulator.Success {
			finish(b, r)
		}
		change()
		if r := first(page(0)); r.Type == simulator.Success {
			t.Errorf("after %s the browser is still trusted", name)
		}
		mails++
		w.sentCode(t, "mail", "ana@example.org", mails) // the code that nobody answers
		w.Pass(16 * time.Minute)                        // codes are few in a quarter of an hour
		c = w.rest(t)
	}
	w.Pass(31 * 24 * time.Hour)
	c = w.rest(t)
	mails = len(w.Dev.Inbox.List("mail", "ana@example.org", ""))
	if r := first(page(0)); r.Type == simulator.Success {
		t.Error("trusted for longer than thirty days")
	}
	_, body := c.do(t, "GET /v1/users/"+u+"/authenticators", nil)
	for _, a := range body["result"].([]any) {
		a := a.(map[string]any)
		if a["type"] == "trusted_device" {
			if got, _ := c.do(t, "DELETE /v1/users/"+u+"/authenticators/"+a["id"].(string), nil); got != 204 && got != 409 {
				t.Errorf("removing it: %d", got)
			}
		}
	}
}
