package push_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	_ "github.com/watchword-auth/watchword/internal/authenticators/code"
	_ "github.com/watchword-auth/watchword/internal/authenticators/mobilekey"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	_ "github.com/watchword-auth/watchword/internal/journey/steps"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
)

// house is an application with the template journeys, below any door.
type house struct {
	*kittest.World
	engine *journey.Engine
	app    apps.App
	web    apps.Client
	native apps.Client
}

func newHouse(t *testing.T) *house {
	h := &house{World: kittest.New(t)}
	h.engine = journey.NewEngine(h.Kit, journey.Options{})
	h.engine.OnEnd(string(push.Kind), push.Settle)
	h.app = apps.App{ID: "shop", Tenant: "t1", Name: "Shop", Audience: apps.B2C}
	h.web = apps.Client{ID: "web", App: "shop", Name: "Web shop", Kind: apps.Web}
	h.native = apps.Client{ID: "native", App: "shop", Name: "Phone app", Kind: apps.Native}
	h.Do(t, func(tx *db.Tx) error {
		if err := apps.CreateTenant(t.Context(), tx, apps.Tenant{ID: "t1", Name: "T"}); err != nil {
			return err
		}
		if err := apps.Save(t.Context(), tx, h.app); err != nil {
			return err
		}
		for _, c := range []apps.Client{h.web, h.native} {
			if err := apps.SaveClient(t.Context(), tx, c); err != nil {
				return err
			}
		}
		templates, err := journey.Templates()
		if err != nil {
			return err
		}
		for _, id := range []string{"mobile_approve", "mobile_app_registration", "web_login"} {
			for _, g := range templates {
				if g.ID == id {
					if _, err := journey.Publish(t.Context(), tx, "t1", g); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
	return h
}

// configure changes settings of push for the application.
func (h *house) configure(t *testing.T, changes map[string]any) {
	t.Helper()
	h.Do(t, func(tx *db.Tx) error {
		doc, err := authn.Configured(t.Context(), tx, h.app.ID, push.Kind)
		if err != nil {
			return err
		}
		for k, v := range changes {
			doc[k] = v
		}
		return authn.Configure(t.Context(), tx, h.app.ID, push.Kind, doc)
	})
}

// handset is the phone's side: two keys.
type handset struct {
	device *rsa.PrivateKey
	bio    *ecdsa.PrivateKey
	key    directory.Key
	spki   string
}

var rsaKeys = sync.OnceValue(func() (out []*rsa.PrivateKey) {
	for range 3 {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		out = append(out, k)
	}
	return out
})

func newHandset(t *testing.T, i int) *handset {
	t.Helper()
	p := &handset{device: rsaKeys()[i]}
	var err error
	if p.bio, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&p.device.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	p.spki = base64.StdEncoding.EncodeToString(der)
	if p.key, err = directory.ParseKeyDER(der); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *handset) caller() journey.Caller {
	return journey.Caller{Client: "native", Address: "203.0.113.7", Device: journey.Device{KeyID: p.key.ID(), PublicKey: p.spki, Name: "Pixel 9", Model: "Pixel 9"}}
}

func (p *handset) sign(t *testing.T, text string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPSS(rand.Reader, p.device, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sig)
}

func (p *handset) signBio(t *testing.T, text string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	sig, err := ecdsa.SignASN1(rand.Reader, p.bio, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sig)
}

func (p *handset) bioKey(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&p.bio.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// talk is one run from a client's side.
type talk struct {
	h       *house
	session string
	from    journey.Caller
	journey.Reply
}

func (k *talk) say(t *testing.T, option string, data map[string]any) *talk {
	t.Helper()
	r, err := k.try(t.Context(), option, data)
	if err != nil {
		t.Fatalf("answer %q: %v", option, err)
	}
	k.Reply = r
	return k
}

func (k *talk) try(ctx context.Context, option string, data map[string]any) (journey.Reply, error) {
	return k.h.engine.Answer(ctx, journey.Answer{Session: k.session, Visit: k.Visit, Turn: k.Turn, Option: option, Data: data, Caller: k.from})
}

func (k *talk) kind() string {
	if k.Prompt == nil {
		return "end"
	}
	return k.Prompt.Kind
}

func (k *talk) want(t *testing.T, kind string) *talk {
	t.Helper()
	if k.kind() != kind {
		t.Fatalf("got %s (end %+v, problem %v), want %s", k.kind(), k.End, k.Problem, kind)
	}
	return k
}

func (h *house) start(t *testing.T, id string, c apps.Client, from journey.Caller) *talk {
	t.Helper()
	from.Client = c.ID
	r, err := h.engine.Start(t.Context(), journey.StartRequest{App: h.app, Client: c, Journey: id, Caller: from})
	if err != nil {
		t.Fatalf("starting %s: %v", id, err)
	}
	return &talk{h, r.Session, from, r}
}

// register sets a phone up for somebody who has none.
func (h *house) register(t *testing.T, p *handset, email string) {
	t.Helper()
	k := h.start(t, "mobile_app_registration", h.native, p.caller()).want(t, "form")
	k.say(t, "", map[string]any{"email": email}).want(t, "biometric.register")
	h.finishRegistration(t, k, p)
}

func (h *house) finishRegistration(t *testing.T, k *talk, p *handset) {
	t.Helper()
	k.say(t, "", map[string]any{"publicKeyId": "bio-1", "publicKey": p.bioKey(t), "os": "Android"}).want(t, "device.register")
	k.say(t, "", map[string]any{"platform_device_id": p.key.ID(), "platform_device_key": p.spki}).want(t, "end")
	if !k.End.OK || !k.End.Registered && len(k.End.Proofs) == 0 {
		t.Fatalf("registration ended %+v", k.End)
	}
}

var browser = journey.Caller{Client: "web", Address: "198.51.100.9", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0"}

// ask is a browser that waits.
func (h *house) ask(t *testing.T, email string) *talk {
	t.Helper()
	return h.start(t, "web_login", h.web, browser).want(t, "login_form").say(t, "web_to_mobile", map[string]any{"email": email})
}

func (h *house) pending(t *testing.T, p *handset) []push.Waiting {
	t.Helper()
	list, err := push.Pending(t.Context(), h.DB, h.app.ID, p.key.ID(), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (h *house) join(t *testing.T, p *handset, id string) (*talk, error) {
	t.Helper()
	r, err := push.Join(t.Context(), h.Kit, h.engine, push.JoinRequest{Request: id, Signature: p.sign(t, id), App: h.app, Client: h.native, Caller: p.caller()})
	return &talk{h, r.Session, p.caller(), r}, err
}

// approve answers the one open request.
func (h *house) approve(t *testing.T, p *handset, number string) *talk {
	t.Helper()
	list := h.pending(t, p)
	if len(list) != 1 {
		t.Fatalf("pending: %+v", list)
	}
	k, err := h.join(t, p, list[0].ID)
	if err != nil {
		t.Fatalf("join: %v", err)
	}
	if k.kind() == "push.validate_code" {
		k.say(t, "", map[string]any{"passcode": number})
	}
	if k.kind() == "biometric.authenticate" {
		h.bio(t, k, p)
	}
	return k
}

func (h *house) bio(t *testing.T, k *talk, p *handset) {
	t.Helper()
	challenge, _ := k.Prompt.Data["biometrics_challenge"].(string)
	k.say(t, "", map[string]any{"publicKeyId": "bio-1", "signedChallenge": p.signBio(t, challenge), "userIdentifier": "whoever"})
}

func number(k *talk) string { s, _ := k.Prompt.Data["number"].(string); return s }

const grace = "grace@example.org"

func TestApprovedSignIn(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	for _, mode := range []string{push.Off, push.Type2, push.Type6, push.Choose4} {
		h.configure(t, map[string]any{"number_mode": mode})
		b := h.ask(t, grace).want(t, "push.wait")
		if k := h.approve(t, p, number(b)).want(t, "end"); !k.End.OK {
			t.Fatalf("%s: the phone's end %+v", mode, k.End)
		}
		if b.say(t, "", nil).want(t, "end"); !b.End.OK || len(b.End.Proofs) != 1 || b.End.Proofs[0].Kind() != push.Kind {
			t.Fatalf("%s: the browser's end %+v", mode, b.End)
		}
		if acr := authn.ACR(b.End.Proofs); acr != authn.AAL2 {
			t.Errorf("%s: acr %s", mode, acr)
		}
	}
}

// TestP1OneDecisionOneGrant: approvals, denials and cancellations at once end
// in one of them, and of 16 polls at once one is granted.
func TestP1OneDecisionOneGrant(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	h.configure(t, map[string]any{"number_mode": push.Off, "limit": 1000, "backoff_after": 0})
	for range 8 {
		b := h.ask(t, grace).want(t, "push.wait")
		k, err := h.join(t, p, h.pending(t, p)[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		challenge, _ := k.Prompt.Data["biometrics_challenge"].(string)
		good := map[string]any{"publicKeyId": "bio-1", "signedChallenge": p.signBio(t, challenge)}
		var wg sync.WaitGroup
		ends := make(chan *journey.End, 32)
		for i := range 16 {
			wg.Go(func() {
				var r journey.Reply
				switch i % 4 {
				case 0, 1:
					r, _ = k.try(t.Context(), "", good)
				case 2:
					r, _ = k.try(t.Context(), "failure", nil)
				default:
					b2 := *b
					r, _ = b2.try(t.Context(), "cancel", nil)
					r.End = nil
				}
				if r.End != nil {
					ends <- r.End
				}
			})
		}
		wg.Wait()
		close(ends)
		ok := map[bool]bool{}
		for e := range ends {
			ok[e.OK] = true
		}
		if len(ok) > 1 {
			t.Fatal("the phone was told both that it approved and that it did not")
		}
		grants := h.pollAtOnce(t, b)
		if grants > 0 && !ok[true] {
			t.Fatal("a request that nobody approved was granted")
		}
	}
}

// pollAtOnce polls a run 16 times and counts the tokens that were granted.
func (h *house) pollAtOnce(t *testing.T, b *talk) int {
	t.Helper()
	var mu sync.Mutex
	ids := map[string]bool{}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			r, err := b.try(ctx, "", nil)
			if err == nil && r.End != nil && r.End.OK {
				mu.Lock()
				ids[r.End.Token.ID] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(ids) > 1 {
		t.Fatalf("%d tokens for one approval", len(ids))
	}
	return len(ids)
}

// TestP1JoinedOnce: of 16 phones' requests to join at once, one runs.
func TestP1JoinedOnce(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	h.ask(t, grace)
	id := h.pending(t, p)[0].ID
	sig := p.sign(t, id)
	var wg sync.WaitGroup
	var mu sync.Mutex
	joined := 0
	for range 16 {
		wg.Go(func() {
			_, err := push.Join(t.Context(), h.Kit, h.engine, push.JoinRequest{Request: id, Signature: sig, App: h.app, Client: h.native, Caller: p.caller()})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				joined++
			} else if !fault.Is(err, fault.Expired) {
				t.Errorf("join: %v", err)
			}
		})
	}
	wg.Wait()
	if joined != 1 {
		t.Errorf("joined %d times", joined)
	}
}

// TestP2OnlyTheAskedDevice: another device, another key, a blocked device, a
// signature over something else: all the same refusal, and the request stays.
func TestP2OnlyTheAskedDevice(t *testing.T) {
	h := newHouse(t)
	p, thief := newHandset(t, 0), newHandset(t, 1)
	h.register(t, p, grace)
	h.register(t, thief, "mallory@example.org")
	h.ask(t, grace)
	id := h.pending(t, p)[0].ID
	other := apps.App{ID: "other", Tenant: "t1", Name: "Other", Audience: apps.B2C}
	for name, j := range map[string]push.JoinRequest{
		"another device":       {Request: id, Signature: thief.sign(t, id), App: h.app, Caller: thief.caller()},
		"another key's hand":   {Request: id, Signature: thief.sign(t, id), App: h.app, Caller: p.caller()},
		"another text":         {Request: id, Signature: p.sign(t, id+"x"), App: h.app, Caller: p.caller()},
		"no signature":         {Request: id, App: h.app, Caller: p.caller()},
		"another application":  {Request: id, Signature: p.sign(t, id), App: other, Caller: p.caller()},
		"no such request":      {Request: "chl_X", Signature: p.sign(t, "chl_X"), App: h.app, Caller: p.caller()},
		"prefix of the id":     {Request: id[:len(id)-1], Signature: p.sign(t, id[:len(id)-1]), App: h.app, Caller: p.caller()},
		"id in another letter": {Request: strings.ToLower(id), Signature: p.sign(t, strings.ToLower(id)), App: h.app, Caller: p.caller()},
	} {
		j.Client = h.native
		_, err := push.Join(t.Context(), h.Kit, h.engine, j)
		if f := fault.Of(err); f.Code != fault.Expired || f.Message != authn.Gone.Message {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list := h.pending(t, p); len(list) != 1 {
		t.Errorf("the request did not stay: %v", list)
	}
	h.Do(t, func(tx *db.Tx) error {
		devices, err := directory.DevicesByKey(t.Context(), tx, h.app.ID, p.key.ID())
		if err != nil {
			return err
		}
		return directory.SetDeviceStatus(t.Context(), tx, devices[0].ID, directory.DeviceBlocked)
	})
	if _, err := h.join(t, p, id); !fault.Is(err, fault.Expired) {
		t.Errorf("blocked device: %v", err)
	}
}

// TestP5WrongNumber: the first wrong number denies for good and counts; neither
// resending nor a new request resets the count.
func TestP5WrongNumber(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	h.configure(t, map[string]any{"limit": 1000, "backoff_after": 0})
	for try := range 5 {
		b := h.ask(t, grace).want(t, "push.wait")
		if k := h.approve(t, p, "99x").want(t, "end"); k.End.OK {
			t.Fatal("approved by a wrong number")
		}
		if b.say(t, "", nil).want(t, "end"); b.End.OK {
			t.Fatalf("try %d: signed in", try)
		}
	}
	h.ask(t, grace).want(t, "push.wait") // locked: it looks the same
	if list := h.pending(t, p); len(list) != 0 {
		t.Errorf("a locked user is asked: %v", list)
	}
	h.Pass(61 * time.Second)
	b := h.ask(t, grace)
	if h.approve(t, p, number(b)); !b.say(t, "", nil).End.OK {
		t.Error("not signed in after the lock ended")
	}
}

// TestP6NumberStaysInTheBrowser: nothing that the phone gets before it answers
// holds the number.
func TestP6NumberStaysInTheBrowser(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	h.configure(t, map[string]any{"number_mode": push.Type6, "limit": 1000})
	for range 20 {
		b := h.ask(t, grace)
		list := h.pending(t, p)
		k, err := h.join(t, p, list[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if seen := db.Text(list) + db.Text(k.Reply); strings.Contains(seen, `"`+number(b)+`"`) {
			t.Fatalf("the phone could read %s in %s", number(b), seen)
		}
	}
}

// TestP7OnlyTheStartingClient: the session's holder must be the client that
// started, and a stale turn moves nothing.
func TestP7OnlyTheStartingClient(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	b := h.ask(t, grace)
	for name, a := range map[string]journey.Answer{
		"another client":   {Session: b.session, Visit: b.Visit, Turn: b.Turn, Option: "cancel", Caller: journey.Caller{Client: "native"}},
		"the run's name":   {Session: string(b.Run), Visit: b.Visit, Turn: b.Turn, Option: "cancel", Caller: b.from},
		"a shorter secret": {Session: b.session[:len(b.session)-1], Visit: b.Visit, Turn: b.Turn, Option: "cancel", Caller: b.from},
	} {
		if _, err := h.engine.Answer(t.Context(), a); !fault.Is(err, fault.Expired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	stale := journey.Answer{Session: b.session, Visit: b.Visit, Turn: "trn_guess", Option: "cancel", Caller: b.from}
	if r, err := h.engine.Answer(t.Context(), stale); err != nil || r.Problem == nil || r.End != nil {
		t.Errorf("a guessed turn: %+v, %v", r, err)
	}
	if len(h.pending(t, p)) != 1 {
		t.Error("the request is gone")
	}
}

// TestP8Bombing: one open request, five in ten minutes, for any spelling of the
// address, and the same for nobody.
func TestP8Bombing(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	for _, who := range []string{grace, "nobody@example.org"} {
		spellings := []string{who, strings.ToUpper(who), " " + who + " ", who, who}
		for _, s := range spellings {
			h.ask(t, s).want(t, "push.wait")
		}
		if who == grace && len(h.pending(t, p)) != 1 {
			t.Errorf("%d open requests", len(h.pending(t, p)))
		}
		if k := h.ask(t, who).want(t, "end"); k.End.OK || k.End.Reason != string(fault.Limited) {
			t.Errorf("%s: the sixth request: %+v", who, k.End)
		}
	}
	h.Pass(10*time.Minute + time.Second)
	h.ask(t, grace).want(t, "push.wait")
}

// TestP9ApproveNeedsAuthentication: a phone that matches the number and proves
// nothing approves nothing, and no such journey can be published.
func TestP9ApproveNeedsAuthentication(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	g := journey.Graph{ID: "mobile_approve", Name: "x", Kind: journey.KindMobileApprove, Start: "n", Nodes: map[string]journey.Node{
		"n":  {Kind: "push.validate_code", Next: map[journey.Outcome]string{"success": "ok", "failure": "no", "cancel": "no", "not_me": "no"}},
		"ok": {Kind: "complete"},
		"no": {Kind: "reject"},
	}}
	if journey.Refused(g.Check(nil)) == nil {
		t.Fatal("a mobile-approve journey without authentication passes the check")
	}
	b := h.ask(t, grace)
	h.Do(t, func(tx *db.Tx) error { // as if it had been published before the check existed
		_, err := tx.Exec(t.Context(), `UPDATE journeys SET graph = $1 WHERE id = 'mobile_approve'`, db.Text(g))
		return err
	})
	k := h.approve(t, p, number(b)).want(t, "end")
	if b.say(t, "", nil).want(t, "end"); b.End.OK || k.End.OK && k.End.User != "" {
		t.Errorf("phone %+v, browser %+v", k.End, b.End)
	}
}

// TestP11Expiry: judged when it is decided, and again when it is used.
func TestP11Expiry(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	b := h.ask(t, grace)
	k, err := h.join(t, p, h.pending(t, p)[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	k.say(t, "", map[string]any{"passcode": number(b)}).want(t, "biometric.authenticate")
	h.Pass(120 * time.Second)
	if h.bio(t, k, p); k.End == nil || k.End.OK {
		t.Errorf("decided at 120 s: %+v", k.Reply)
	}
	if b.say(t, "", nil).want(t, "end"); b.End.OK {
		t.Error("signed in after it ran out")
	}
	b = h.ask(t, grace)
	h.approve(t, p, number(b))
	h.Pass(120 * time.Second)
	if b.say(t, "", nil).want(t, "end"); b.End.OK {
		t.Error("an approval was used after it ran out")
	}
}

// TestP12NothingIsDeny: a decision that is missing, unknown or comes after a
// denial never approves.
func TestP12NothingIsDeny(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	b := h.ask(t, grace)
	k, err := h.join(t, p, h.pending(t, p)[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []map[string]any{nil, {}, {"passcode": nil}, {"passcode": []any{number(b)}}, {"passcode": 42.0}, {"decision": "approve"}} {
		if r, err := k.try(t.Context(), "", data); err != nil || r.Problem == nil || r.Prompt == nil || r.Prompt.Kind != "push.validate_code" {
			t.Errorf("%v: %+v, %v", data, r, err)
		}
	}
	if r, err := k.try(t.Context(), "approve", nil); err != nil || r.Problem == nil {
		t.Errorf("an unknown option: %+v, %v", r, err)
	}
	k.say(t, "cancel", nil).want(t, "end")
	if r, err := k.try(t.Context(), "", map[string]any{"passcode": number(b)}); err == nil && r.End != nil && r.End.OK {
		t.Error("approved after a denial")
	}
	if b.say(t, "", nil).want(t, "end"); b.End.OK {
		t.Error("signed in after a denial")
	}
}

// TestP14AndR25: the user is suspended, or push locked, or the device blocked,
// before the push, after it, and after the approval: no sign-in in any case.
func TestP14ChangesInvalidate(t *testing.T) {
	ctx := context.Background()
	for name, change := range map[string]func(h *house, p *handset, tx *db.Tx) error{
		"suspended": func(h *house, p *handset, tx *db.Tx) error {
			u, err := directory.Lookup(ctx, tx, "t1", grace)
			if err != nil {
				return err
			}
			return directory.SetStatus(ctx, tx, "t1", u.ID, directory.Suspended)
		},
		"deleted": func(h *house, p *handset, tx *db.Tx) error {
			u, err := directory.Lookup(ctx, tx, "t1", grace)
			if err != nil {
				return err
			}
			return directory.SetStatus(ctx, tx, "t1", u.ID, directory.Deleted)
		},
		"locked": func(h *house, p *handset, tx *db.Tx) error {
			u, err := directory.Lookup(ctx, tx, "t1", grace)
			if err != nil {
				return err
			}
			return authn.Lock(ctx, tx, authn.Subject{Kind: push.Kind, Tenant: "t1", App: "shop", User: u.ID}, "test")
		},
		"device blocked": func(h *house, p *handset, tx *db.Tx) error {
			ds, err := directory.DevicesByKey(ctx, tx, "shop", p.key.ID())
			if err != nil || len(ds) == 0 {
				return err
			}
			return directory.SetDeviceStatus(ctx, tx, ds[0].ID, directory.DeviceBlocked)
		},
		"method off": func(h *house, p *handset, tx *db.Tx) error {
			return authn.Configure(ctx, tx, "shop", push.Kind, map[string]any{"enabled": false})
		},
	} {
		for stage := range 3 {
			h := newHouse(t)
			p := newHandset(t, 0)
			h.register(t, p, grace)
			step := func(n int) {
				if n == stage {
					h.Do(t, func(tx *db.Tx) error { return change(h, p, tx) })
				}
			}
			step(0)
			b := h.ask(t, grace)
			step(1)
			if b.Prompt != nil {
				if list := h.pending(t, p); len(list) == 1 {
					if k, err := h.join(t, p, list[0].ID); err == nil {
						if k.kind() == "push.validate_code" {
							k.say(t, "", map[string]any{"passcode": number(b)})
						}
						if k.kind() == "biometric.authenticate" {
							h.bio(t, k, p)
						}
					}
				}
			}
			step(2)
			if b.Prompt != nil {
				short := shortly(t)
				r, err := b.try(short, "", nil)
				b.Reply = r
				if err != nil && short.Err() == nil && r.Prompt == nil {
					t.Errorf("%s at %d: %v", name, stage, err)
				}
			}
			if b.End != nil && b.End.OK {
				t.Errorf("%s at stage %d: signed in", name, stage)
			}
		}
	}
}

func shortly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// TestP16RepeatedAnswer: the answer that was taken last may come again and hears
// the same; another one in its place is not taken.
func TestP16RepeatedAnswer(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	b := h.ask(t, grace)
	k, err := h.join(t, p, h.pending(t, p)[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	k.say(t, "", map[string]any{"passcode": number(b)}).want(t, "biometric.authenticate")
	challenge, _ := k.Prompt.Data["biometrics_challenge"].(string)
	good := map[string]any{"publicKeyId": "bio-1", "signedChallenge": p.signBio(t, challenge)}
	first, err := k.try(t.Context(), "", good)
	if err != nil || first.End == nil || !first.End.OK {
		t.Fatalf("approve: %+v, %v", first, err)
	}
	again, err := k.try(t.Context(), "", good)
	if err != nil || again.End == nil || again.End.Token.ID != first.End.Token.ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	if r, err := k.try(t.Context(), "failure", nil); err == nil && (r.End == nil || !r.End.OK) {
		t.Errorf("a denial after the approval changed it: %+v", r)
	}
	end := b.say(t, "", nil).want(t, "end").End
	if !end.OK {
		t.Errorf("browser %+v", end)
	}
}

// TestUnknownUserLooksTheSame (J10): the wait of nobody has the same keys.
func TestUnknownUserLooksTheSame(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	known, unknown := h.ask(t, grace).want(t, "push.wait"), h.ask(t, "nobody@example.org").want(t, "push.wait")
	for name, v := range known.Prompt.Data {
		w, ok := unknown.Prompt.Data[name]
		if !ok || name != "number" && name != "expires_at" && db.Text(v) != db.Text(w) {
			t.Errorf("%s: %v for a user, %v for nobody", name, v, w)
		}
	}
	if len(known.Prompt.Data) != len(unknown.Prompt.Data) || len(known.Prompt.Options) != len(unknown.Prompt.Options) {
		t.Errorf("%v\n%v", known.Prompt, unknown.Prompt)
	}
	h.Pass(121 * time.Second)
	for _, b := range []*talk{known, unknown} {
		if b.say(t, "", nil).want(t, "end"); b.End.OK || b.End.Reason != "expired" {
			t.Errorf("end %+v", b.End)
		}
	}
}
