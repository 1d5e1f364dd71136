package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/journey"
)

// appPhone is the phone app in Go: what it says over /device/v1, by docs/phone.md.
type appPhone struct {
	w      *world
	client string
	device *ecdsa.PrivateKey
	pinID  string
	pin    *ecdsa.PrivateKey // made of the right PIN
	user   string
}

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func spkiOf(t testing.TB, k *ecdsa.PrivateKey) (id, spki string) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.Sum256(der)
	return hex.EncodeToString(h[:]), base64.StdEncoding.EncodeToString(der)
}

func signedBy(t testing.TB, k *ecdsa.PrivateKey, text string) string {
	t.Helper()
	h := sha256.Sum256([]byte(text))
	sig, err := ecdsa.SignASN1(rand.Reader, k, h[:])
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sig)
}

func (w *world) app(t testing.TB) *appPhone {
	return &appPhone{w: w, client: "demo-native", device: ecKey(t), pinID: "pin_" + rand.Text(), pin: ecKey(t)}
}

// envelope is a call, signed; owner adds its owner's confirmation.
func (p *appPhone) envelope(t testing.TB, verb string, body any, owner *ecdsa.PrivateKey) map[string]any {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	id, spki := spkiOf(t, p.device)
	h := sha256.Sum256(raw)
	now, nonce := p.w.Now().UnixMilli(), rand.Text()
	text := fmt.Sprintf("watchword/device/v1\n%s\n%s\n%s\n%d\n%s\n%x", verb, p.client, id, now, nonce, h)
	e := map[string]any{"client_id": p.client, "device_key_id": id, "timestamp": now, "nonce": nonce, "body": string(raw), "signature": signedBy(t, p.device, text)}
	if verb == "methods" || verb == "enrol" || verb == "begin" || verb == "continue" {
		e["public_key"] = spki
	}
	if owner != nil {
		confirm := sha256.Sum256([]byte("watchword/owner/v1\n" + text))
		e["owner"] = map[string]any{"kind": "pin", "id": p.pinID, "signature": signedBy(t, owner, hex.EncodeToString(confirm[:]))}
	}
	return e
}

func (p *appPhone) post(t testing.TB, verb string, envelope map[string]any) (int, map[string]any) {
	t.Helper()
	b, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(p.w.URL+"/device/v1/"+verb, "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(r.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, out
}

func (p *appPhone) say(t testing.TB, verb string, body any) (int, map[string]any) {
	t.Helper()
	return p.post(t, verb, p.envelope(t, verb, body, nil))
}

func (p *appPhone) confirmed(t testing.TB, verb string, body any) (int, map[string]any) {
	t.Helper()
	return p.post(t, verb, p.envelope(t, verb, body, p.pin))
}

func (p *appPhone) enrolment(t testing.TB, secret string) map[string]any {
	t.Helper()
	_, public := spkiOf(t, p.pin)
	return map[string]any{"invite": secret, "phone": map[string]any{"name": "Test phone", "platform": "Linux"}, "owner": map[string]any{"kind": "pin", "id": p.pinID, "public_key": public}}
}

// invitation is the secret of a link that the back end got for a user.
func (w *world) invitation(t testing.TB, user string) string {
	t.Helper()
	out := w.rest(t).want(t, 201, "POST /cis/v1/users/"+user+"/phones/invitations", map[string]any{})
	link, err := url.Parse(out["link"].(string))
	if err != nil || link.RawQuery != "" || !strings.HasPrefix(link.String(), w.URL+"/authenticator/#") {
		t.Fatalf("the link is %q", out["link"])
	}
	q, err := url.ParseQuery(link.Fragment)
	if err != nil || q.Get("client") != "demo-native" || len(q.Get("invite")) < 22 {
		t.Fatalf("the link is %q", out["link"])
	}
	if !strings.HasPrefix(out["qr"].(string), "<svg ") {
		t.Error("no QR code")
	}
	return q.Get("invite")
}

func (w *world) userOf(t testing.TB, email string) string {
	t.Helper()
	u, err := directory.Lookup(t.Context(), w.Kit.DB, "default", email)
	if err != nil {
		t.Fatal(err)
	}
	return string(u.ID)
}

// enrolled is a phone with the app, set up for the demo user.
func (w *world) enrolled(t testing.TB) *appPhone {
	t.Helper()
	p := w.app(t)
	p.user = w.userOf(t, "ada@example.org")
	if status, out := p.say(t, "enrol", p.enrolment(t, w.invitation(t, p.user))); status != 200 {
		t.Fatalf("enrolling: %d %v", status, out)
	}
	return p
}

// waiting is the one request that waits for the phone.
func (p *appPhone) waiting(t testing.TB) push.Shown {
	t.Helper()
	status, out := p.say(t, "requests", map[string]any{"wait": 0})
	list, _ := out["requests"].([]any)
	if status != 200 || len(list) != 1 {
		t.Fatalf("requests: %d %v", status, out)
	}
	var s push.Shown
	b, _ := json.Marshal(list[0])
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *appPhone) answerTo(t testing.TB, s push.Shown, decision, number string) map[string]any {
	t.Helper()
	id, _ := spkiOf(t, p.device)
	return map[string]any{"request": s.ID, "decision": decision, "number": number, "statement_signature": signedBy(t, p.device, string(s.Statement(id, decision, number)))}
}

// prove answers the PIN prompt of a run.
func (p *appPhone) prove(t testing.TB, request string, run map[string]any, pin *ecdsa.PrivateKey) (int, map[string]any) {
	t.Helper()
	prompt, _ := run["prompt"].(map[string]any)
	data, _ := prompt["data"].(map[string]any)
	challenge, _ := data["pin_challenge"].(string)
	if prompt["kind"] != "pin.authenticate" || challenge == "" {
		t.Fatalf("the phone is asked %v", run)
	}
	return p.say(t, "continue", map[string]any{"session": run["session"], "request": request, "visit": run["visit"], "turn": run["turn"], "phone": map[string]any{"name": "", "platform": ""},
		"data": map[string]any{"publicKeyId": p.pinID, "signature": signedBy(t, pin, challenge)}})
}

func shownNumber(t testing.TB, r map[string]any) string {
	t.Helper()
	n, _ := r["number"].(string)
	if n == "" {
		t.Fatalf("no number in %v", r)
	}
	return n
}

// TestPhoneApproves: from the link to the hello, with a wrong PIN on the way, and the
// receipt says what was signed.
func TestPhoneApproves(t *testing.T) {
	w := newWorld(t)
	p := w.enrolled(t)
	b, waits := w.asked(t, "ada@example.org")
	s := p.waiting(t)
	if s.NumberMode != "type-2" || s.User != p.user || strings.Contains(fmt.Sprint(s), `"`+shownNumber(t, waits.Data)+`"`) {
		t.Errorf("the phone is shown %+v", s)
	}
	answer := p.answerTo(t, s, "approve", shownNumber(t, waits.Data))
	status, run := p.say(t, "answer", answer)
	if status != 200 || run["state"] != "allowed" {
		t.Fatalf("answering: %d %v", status, run)
	}
	status, again := p.prove(t, s.ID, run, ecKey(t))
	if status != 200 || again["problem"] == nil {
		t.Fatalf("a wrong PIN: %d %v", status, again)
	}
	status, repeated := p.say(t, "answer", answer) // its answer was lost
	if status != 200 || repeated["prompt"] == nil {
		t.Fatalf("the same answer again: %d %v", status, repeated)
	}
	status, end := p.prove(t, s.ID, repeated, p.pin)
	if status != 200 || end["state"] != "approved" {
		t.Fatalf("the right PIN: %d %v", status, end)
	}
	if r := ended(t, b); r.Token == "" {
		t.Fatalf("the browser: %+v", r)
	}
	receipt, _ := end["receipt"].(string)
	parts := strings.Split(receipt, ".")
	if len(parts) != 3 {
		t.Fatalf("the receipt is %q", receipt)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Sub      string          `json:"sub"`
		Data     json.RawMessage `json:"approval_data"`
		Hash     string          `json:"approval_hash"`
		Evidence struct {
			Statement string `json:"statement"`
			Signature string `json:"statement_signature"`
			Key       string `json:"device_public_key"`
		} `json:"evidence"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	key, err := directory.ParseKey(claims.Evidence.Key)
	if err != nil || claims.Sub != p.user || !key.Verify([]byte(claims.Evidence.Statement), claims.Evidence.Signature) {
		t.Errorf("the receipt does not hold: %+v", claims)
	}
	none := sha256.Sum256([]byte("{}")) // nothing but a sign-in was approved
	if string(claims.Data) != "{}" || claims.Hash != base64.RawURLEncoding.EncodeToString(none[:]) {
		t.Errorf("the receipt is for %s, %s", claims.Data, claims.Hash)
	}
	status, same := p.say(t, "answer", answer)
	if status != 200 || same["state"] != "consumed" && same["state"] != "approved" {
		t.Errorf("the same answer after the end: %d %v", status, same)
	}
	if status, out := p.say(t, "answer", p.answerTo(t, s, "deny", "")); status != 409 {
		t.Errorf("another answer after the end: %d %v", status, out)
	}
}

// TestPhoneRefuses: deny, not me, and a wrong number end a request; nothing goes on.
func TestPhoneRefuses(t *testing.T) {
	for decision, reason := range map[string]string{"deny": "denied", "not_me": "not_me", "approve": "wrong_number"} {
		t.Run(decision, func(t *testing.T) {
			w := newWorld(t)
			p := w.enrolled(t)
			b, waits := w.asked(t, "ada@example.org")
			s := p.waiting(t)
			typed, want := "", 200
			if decision == "approve" {
				typed, want = "10", 401
				if shownNumber(t, waits.Data) == typed {
					typed = "11"
				}
			}
			status, out := p.say(t, "answer", p.answerTo(t, s, decision, typed))
			if status != want || out["prompt"] != nil {
				t.Errorf("%d %v", status, out)
			}
			r := ended(t, b)
			if r.Token != "" || !strings.Contains(fmt.Sprint(r), reason) {
				t.Errorf("the browser: %+v, want %s", r, reason)
			}
			if status, out := p.say(t, "answer", p.answerTo(t, s, "approve", shownNumber(t, waits.Data))); status != 409 {
				t.Errorf("approving after that: %d %v", status, out)
			}
		})
	}
}

// TestPhoneForgeries: whoever is not the phone that was asked, or says another thing
// than was signed, changes nothing (P2, P3).
func TestPhoneForgeries(t *testing.T) {
	w := newWorld(t)
	p := w.enrolled(t)
	other := w.app(t) // another phone of another user
	bob := w.rest(t).want(t, 201, "POST /cis/v1/users", map[string]any{"email": "bob@example.org"})
	id, _ := bob["user_id"].(string)
	if status, out := other.say(t, "enrol", other.enrolment(t, w.invitation(t, id))); status != 200 {
		t.Fatalf("the other phone: %d %v", status, out)
	}
	_, waits := w.asked(t, "ada@example.org")
	s := p.waiting(t)
	n := shownNumber(t, waits.Data)
	refused := func(name string, status int, out map[string]any) {
		t.Helper()
		if status < 400 || out["prompt"] != nil || out["state"] != nil {
			t.Errorf("%s: %d %v", name, status, out)
		}
	}
	status, out := other.say(t, "answer", other.answerTo(t, s, "approve", n))
	refused("another user's phone", status, out)
	status, out = other.say(t, "requests", map[string]any{"wait": 0})
	if list, _ := out["requests"].([]any); status != 200 || len(list) != 0 {
		t.Errorf("another user's phone sees %v", out)
	}
	stranger := w.app(t)
	status, out = stranger.say(t, "answer", stranger.answerTo(t, s, "approve", n))
	refused("a stranger", status, out)
	for name, change := range map[string]func(s *push.Shown){
		"another amount": func(s *push.Shown) { s.Approval = map[string]any{"amount": "1"} }, "another challenge": func(s *push.Shown) { s.Challenge = rand.Text() },
		"another request": func(s *push.Shown) { s.ID = "chl_x" }, "another place": func(s *push.Shown) { s.Place = "Paris" }, "another user": func(s *push.Shown) { s.User = id },
		"another end": func(s *push.Shown) { s.Expires++ }, "another purpose": func(s *push.Shown) { s.Purpose = "transaction" }, "another app": func(s *push.Shown) { s.App = "x" },
	} {
		forged := s
		change(&forged)
		body := p.answerTo(t, forged, "approve", n)
		body["request"] = s.ID
		status, out = p.say(t, "answer", body)
		refused(name, status, out)
	}
	swapped := p.answerTo(t, s, "deny", n)
	swapped["decision"] = "approve"
	status, out = p.say(t, "answer", swapped)
	refused("a denial sent as an approval", status, out)
	odd := p.answerTo(t, s, "approve", n)
	odd["decision"] = "Approve"
	status, out = p.say(t, "answer", odd)
	refused("an unknown decision", status, out)

	e := p.envelope(t, "answer", p.answerTo(t, s, "deny", ""), nil)
	e["body"] = strings.Replace(e["body"].(string), "deny", "not_me", 1)
	status, out = p.post(t, "answer", e)
	refused("a body that was changed", status, out)
	e = p.envelope(t, "requests", map[string]any{"wait": 0}, nil)
	status, out = p.post(t, "account", e)
	refused("an envelope of another call", status, out)
	w.Pass(3 * time.Minute)
	status, out = p.post(t, "requests", e)
	refused("an envelope of before", status, out)
}

// TestPhoneBlocked: a phone that is blocked while it answers approves nothing, and is
// not known any more.
func TestPhoneBlocked(t *testing.T) {
	w := newWorld(t)
	p := w.enrolled(t)
	b, waits := w.asked(t, "ada@example.org")
	s := p.waiting(t)
	_, run := p.say(t, "answer", p.answerTo(t, s, "approve", shownNumber(t, waits.Data)))
	key, _ := spkiOf(t, p.device)
	w.rest(t).want(t, 204, "PATCH /cis/v1/users/"+p.user+"/device-keys/"+key, map[string]any{"status": "Blocked"})
	if _, out := p.prove(t, s.ID, run, p.pin); out["state"] == "approved" {
		t.Errorf("a blocked phone approved: %v", out)
	}
	if status, _ := p.say(t, "requests", map[string]any{"wait": 0}); status != 403 {
		t.Errorf("a blocked phone is told %d", status)
	}
	_ = b
}

// TestPhoneSessionIsItsOwn: a run that one phone began is closed to another.
func TestPhoneSessionIsItsOwn(t *testing.T) {
	w := newWorld(t)
	p := w.enrolled(t)
	_, waits := w.asked(t, "ada@example.org")
	s := p.waiting(t)
	_, run := p.say(t, "answer", p.answerTo(t, s, "approve", shownNumber(t, waits.Data)))
	thief := w.app(t)
	thief.pin, thief.pinID = p.pin, p.pinID
	if status, out := thief.prove(t, s.ID, run, p.pin); status == 200 {
		t.Errorf("another phone went on: %v", out)
	}
	if status, end := p.prove(t, s.ID, run, p.pin); status != 200 || end["state"] != "approved" {
		t.Errorf("its own phone: %d %v", status, end)
	}
}

// TestPhoneJourney: a phone that nobody invited is set up by the journey that its
// client names, and by the one that comes with the server if it names none.
func TestPhoneJourney(t *testing.T) {
	w := newWorld(t)
	p := w.app(t)
	begin := map[string]any{"phone": map[string]any{"name": "Test phone", "platform": "Linux"}}
	if status, run := p.say(t, "begin", begin); status != 200 || obj(run, "prompt")["title"] != "Set up this phone" {
		t.Fatalf("by the journey of the server: %d %v", status, run)
	}
	w.do(t, func(tx *db.Tx) error {
		ask := journey.Node{Kind: "get_information", Config: map[string]any{"form_id": "hello", "title": "Our own way", "fields": []any{map[string]any{"name": "email", "type": "email"}}}, Next: map[journey.Outcome]string{"success": "no"}}
		_, err := journey.Publish(t.Context(), tx, "default", journey.Graph{ID: "our_way", Name: "Our way", Kind: journey.KindClient, Start: "ask", Nodes: map[string]journey.Node{"ask": ask, "no": {Kind: "reject"}}})
		if err != nil {
			return err
		}
		c, _, err := apps.FindClient(t.Context(), tx, "demo-native")
		if err != nil {
			return err
		}
		c.Settings.PhoneJourney = "our_way"
		return apps.SaveClient(t.Context(), tx, c)
	})
	if status, run := p.say(t, "begin", begin); status != 200 || obj(run, "prompt")["title"] != "Our own way" {
		t.Errorf("by the journey of the client: %d %v", status, run)
	}
}

// TestInvitationOnce: of 16 phones with one link, one is set up.
func TestInvitationOnce(t *testing.T) {
	w := newWorld(t)
	user := w.userOf(t, "ada@example.org")
	secret := w.invitation(t, user)
	var phones []*appPhone
	for range 16 {
		phones = append(phones, w.app(t))
	}
	var good atomic.Int32
	var all sync.WaitGroup
	for _, p := range phones {
		e := p.envelope(t, "enrol", p.enrolment(t, secret), nil)
		all.Go(func() {
			if status, _ := p.post(t, "enrol", e); status == 200 {
				good.Add(1)
			}
		})
	}
	all.Wait()
	if good.Load() != 1 {
		t.Errorf("%d of 16 were set up", good.Load())
	}
	list, err := directory.AllDevices(t.Context(), w.Kit.DB, "demo", directory.UserID(user))
	if err != nil || len(list) != 1 {
		t.Errorf("%d phones, %v", len(list), err)
	}
	creds, err := authn.Authenticators(t.Context(), w.Kit.DB, "default", "demo", directory.UserID(user))
	pins := 0
	for _, c := range creds {
		if c.Kind == "pin" {
			pins++
		}
	}
	if err != nil || pins != 1 {
		t.Errorf("%d PINs, %v", pins, err)
	}
}

// TestInvitationEnds: after ten minutes, when another is made, for another client,
// and when its user may not sign in.
func TestInvitationEnds(t *testing.T) {
	w := newWorld(t)
	user := w.userOf(t, "ada@example.org")
	refused := func(name, secret string, p *appPhone) {
		t.Helper()
		if status, out := p.say(t, "enrol", p.enrolment(t, secret)); status == 200 {
			t.Errorf("%s: %v", name, out)
		}
	}
	first := w.invitation(t, user)
	second := w.invitation(t, user)
	refused("replaced", first, w.app(t))
	web := w.app(t)
	web.client = "demo-web"
	refused("a client that is no phone", second, web)
	w.Pass(10*time.Minute + time.Second)
	refused("run out", second, w.app(t))
	refused("unknown", rand.Text(), w.app(t))
	third := w.invitation(t, user)
	w.rest(t).want(t, 204, "POST /cis/v1/users/"+user+"/suspend", nil)
	refused("a suspended user's", third, w.app(t))
}

// TestPhoneAnswersOnce: 16 times the same approval and 16 times a denial at once end
// in one decision, and the browser goes in only if that was the approval.
func TestPhoneAnswersOnce(t *testing.T) {
	w := newWorld(t)
	p := w.enrolled(t)
	_, waits := w.asked(t, "ada@example.org")
	s := p.waiting(t)
	var envelopes []map[string]any
	for range 16 {
		envelopes = append(envelopes, p.envelope(t, "answer", p.answerTo(t, s, "deny", ""), nil))
	}
	yes := p.answerTo(t, s, "approve", shownNumber(t, waits.Data))
	for range 16 {
		envelopes = append(envelopes, p.envelope(t, "answer", yes, nil))
	}
	var denied atomic.Int32
	var all sync.WaitGroup
	for _, e := range envelopes {
		all.Go(func() {
			if _, out := p.post(t, "answer", e); out["state"] == "denied" {
				denied.Add(1)
			}
		})
	}
	all.Wait()
	if denied.Load() != 1 {
		t.Errorf("%d denials were recorded", denied.Load())
	}
	state, err := authn.StateOf(t.Context(), w.Kit.DB, authn.ChallengeID(s.ID))
	if err != nil || state != authn.Denied {
		t.Errorf("the request is %s, %v", state, err)
	}
}

// TestPhoneLooksAfterItself: new keys, a lost phone, an offline code, and the end.
func TestPhoneLooksAfterItself(t *testing.T) {
	w := newWorld(t)
	lost, p := w.enrolled(t), w.enrolled(t)
	for _, verb := range []string{"rotate", "owner", "revoke", "totp"} {
		if status, out := p.say(t, verb, map[string]any{}); status != 400 {
			t.Errorf("%s without its owner: %d %v", verb, status, out)
		}
		if status, out := p.post(t, verb, p.envelope(t, verb, map[string]any{}, ecKey(t))); status != 401 {
			t.Errorf("%s with a wrong PIN: %d %v", verb, status, out)
		}
		w.Pass(2 * time.Hour) // wrong ones are charged
	}
	next := ecKey(t)
	old, _ := spkiOf(t, p.device)
	id, public := spkiOf(t, next)
	body := map[string]any{"public_key": public, "key_signature": signedBy(t, next, "watchword/rotate/v1\n"+old+"\n"+id)}
	e := p.envelope(t, "rotate", body, p.pin)
	if status, out := p.post(t, "rotate", e); status != 200 {
		t.Fatalf("rotating: %d %v", status, out)
	}
	if status, _ := p.post(t, "rotate", e); status == 200 {
		t.Error("the same rotation again")
	}
	if status, _ := p.say(t, "account", map[string]any{}); status != 403 {
		t.Error("the old key is still known")
	}
	p.device = next
	status, account := p.say(t, "account", map[string]any{})
	if owner, _ := account["owner"].([]any); status != 200 || len(owner) != 1 || owner[0] != "pin" {
		t.Fatalf("after the rotation: %d %v", status, account)
	}
	b, waits := w.asked(t, "ada@example.org")
	if waits.Step != waitStep {
		t.Fatal(waits)
	}
	_ = b
	var other string
	for _, v := range account["phones"].([]any) {
		if v := v.(map[string]any); v["this"] != true {
			other = v["id"].(string)
		}
	}
	if status, out := p.confirmed(t, "revoke", map[string]any{"device_id": other}); status != 200 || len(out["phones"].([]any)) != 1 {
		t.Fatalf("revoking: %d %v", status, out)
	}
	if status, _ := lost.say(t, "account", map[string]any{}); status != 403 {
		t.Error("the lost phone is still known")
	}
	if status, out := p.confirmed(t, "totp", map[string]any{}); status != 200 || !strings.HasPrefix(fmt.Sprint(out["uri"]), "otpauth://totp/") {
		t.Errorf("an offline code: %d %v", status, out)
	}
	if status, out := p.say(t, "forget", map[string]any{}); status != 200 {
		t.Errorf("forgetting: %d %v", status, out)
	}
	if status, _ := p.say(t, "account", map[string]any{}); status != 403 {
		t.Error("a phone that was taken away is still known")
	}
}
