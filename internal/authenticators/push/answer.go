package push

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/kit"
)

// This file is how the phone app of our own answers. What it says is one
// statement, signed by its device key: everything that the request is about, what
// its owner was shown, what they decided and which number they entered. The
// server makes the statement anew from its own record and never from what the
// phone sent (security P3, P13).

// The decisions. Anything else is none.
const (
	Approve = "approve"
	Deny    = "deny"
)

// maxStarts is how often the journey of one approval may begin: again after a
// lost answer, and not for ever.
const maxStarts = 5

// Shown is a request as the phone app draws it, and all that its statement is
// made of. The number is not in it; in choose-4 it is one of Choices.
type Shown struct {
	ID         string         `json:"id"`
	State      authn.State    `json:"state"`
	Tenant     string         `json:"tenant"`
	App        string         `json:"app"`
	User       string         `json:"user"`
	Purpose    string         `json:"purpose"` // ForLogin, ForEnrolment or ForDeal
	AppName    string         `json:"app_name"`
	ClientName string         `json:"client_name"`
	Place      string         `json:"place"`
	Browser    string         `json:"browser"`
	At         int64          `json:"at"`         // ms
	Expires    int64          `json:"expires_at"` // ms
	NumberMode string         `json:"number_mode"`
	Choices    []string       `json:"choices,omitempty"`
	Approval   map[string]any `json:"approval_data"`
	Challenge  string         `json:"challenge"`
}

func shown(q db.Q, c Challenge) Shown {
	return Shown{
		ID: string(c.ID), State: c.State, Tenant: string(c.Subject.Tenant), App: string(c.Subject.App), User: string(c.Subject.User), Purpose: purpose(c.Data),
		AppName: c.Data.AppName, ClientName: c.Data.ClientAs, Place: c.Data.Place, Browser: c.Data.Browser, At: c.Created.UnixMilli(), Expires: c.Expires.UnixMilli(),
		NumberMode: c.Data.Mode, Choices: c.Data.Choices, Approval: filled(c.Data.Approval), Challenge: q.Vault().Hash("push_answer", string(c.ID)),
	}
}

// Statement is what the phone signs to decide a request: a JSON object with sorted
// members and no spaces (RFC 8785).
func (s Shown) Statement(deviceKey, decision, number string) []byte {
	screen := canonical(map[string]any{"app_name": s.AppName, "client_name": s.ClientName, "place": s.Place, "browser": s.Browser, "at": s.At, "number_mode": s.NumberMode})
	return canonical(map[string]any{
		"domain": "watchword/answer", "version": 1, "purpose": s.Purpose, "tenant": s.Tenant, "app": s.App, "request": s.ID, "challenge": s.Challenge, "user": s.User,
		"device_key": deviceKey, "decision": decision, "number": number, "approval_data": hash(canonical(s.Approval)), "shown": hash(screen), "expires": s.Expires,
	})
}

// canonical is the form of RFC 8785 for texts, whole numbers and objects of them.
func canonical(v map[string]any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("push: " + err.Error()) // texts and numbers are all JSON
	}
	text := strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(b.String()) // Go escapes these two, RFC 8785 does not
	return []byte(strings.TrimSuffix(text, "\n"))
}

func hash(b []byte) string {
	h := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// ShownOn are the open requests that wait for the phone with this device key,
// among them those that it began to answer, newest first. The caller has checked
// that the phone itself asks. It holds like Pending.
func ShownOn(ctx context.Context, d *db.DB, app apps.ID, keyID string, wait time.Duration, stop <-chan struct{}) ([]Shown, error) {
	if _, err := Pending(ctx, d, app, keyID, wait, stop); err != nil {
		return nil, err
	}
	open, err := openOn(ctx, d, app, keyID)
	out := []Shown{}
	for _, c := range open {
		if c.State == authn.Created || c.Data.Answer != nil {
			out = append(out, shown(d, c))
		}
	}
	return out, err
}

// Spoken is an answer of the phone app.
type Spoken struct {
	Request   string
	Decision  string // Approve, Deny or NotMe
	Number    string
	Signature string // base64, by the device key over Shown.Statement
	DeviceKey string // id of the key that signs
	App       apps.App
	Client    apps.Client
	Caller    journey.Caller
}

// Decided is what became of an answer.
type Decided struct {
	State authn.State
	Run   journey.Reply // of the journey that authenticates the phone's owner; unset once the request is decided
}

// Given is what a request keeps of the phone app's answer.
type Given struct {
	Statement string `json:"statement"` // what the phone signed
	Signature string `json:"signature"`
	Public    string `json:"public_key"` // base64 SPKI of the key that did
	Starts    int    `json:"starts,omitempty"`
}

// Decide takes the answer of the phone app. Deny and NotMe end the request. Approve
// is judged by its number and begins the journey that the request wants run on the
// phone, which alone can approve (P9, P10). The same answer again has the same
// effect (P16); another one, once a request is decided, is fault.Conflict. Whatever
// is wrong with who answers - another phone, a bad signature, a request of somebody
// else - is the same authn.Gone. A wrong number is fault.Wrong, charged, and the end
// of the request.
func Decide(ctx context.Context, k *kit.Kit, e *journey.Engine, s Spoken) (out Decided, err error) {
	var wrong error
	err = k.DB.Move(ctx, func(tx *db.Tx) error {
		wrong = nil
		c, d, err := s.signed(ctx, tx)
		if err != nil {
			return err
		}
		if !c.State.Open() {
			out.State, err = s.repeated(c)
			return err
		}
		if err := directory.Seen(ctx, tx, d.ID); err != nil {
			return err
		}
		if s.Decision != Approve {
			s.keep(tx, &c, d)
			out.State = authn.Denied
			return deny(ctx, tx, &c, journey.End{Reason: map[string]string{Deny: "denied", NotMe: NotMe}[s.Decision]})
		}
		if err := s.compare(ctx, tx, &c, d); err != nil {
			if c.State == authn.Denied { // that must be committed
				wrong, err = err, nil
			}
			return err
		}
		out.State = c.State
		out.Run, err = s.begin(ctx, tx, e, c, d)
		return err
	})
	if err == nil && out.Run.Paused {
		s.Caller.Client = s.Client.ID
		session := out.Run.Session
		out.Run, err = e.Resume(ctx, session, s.Caller)
		out.Run.Session = session
	}
	if err == nil {
		err = wrong
	}
	return out, err
}

// signed reads the request and judges who answers it.
func (s Spoken) signed(ctx context.Context, q db.Q) (Challenge, directory.Device, error) {
	c, err := authn.Recall[Request](ctx, q, authn.ChallengeID(s.Request))
	if err != nil || c.Data.Decoy || c.Subject.App != s.App.ID || c.Subject.Kind != Kind {
		if err == nil || fault.Is(err, fault.NotFound) {
			err = authn.Gone.Because(err)
		}
		return c, directory.Device{}, err
	}
	d, err := directory.FindDevice(ctx, q, c.Data.Device)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return c, d, err
	}
	known := map[string]bool{Approve: true, Deny: true, NotMe: true}[s.Decision]
	if err != nil || !known || d.Status != directory.DeviceActive || d.User != c.Subject.User || !strings.EqualFold(s.DeviceKey, d.KeyID) ||
		!d.Key.Verify(shown(q, c).Statement(d.KeyID, s.Decision, s.Number), s.Signature) {
		return c, d, authn.Gone.Because(err)
	}
	return c, d, nil
}

// keep notes the answer with the request.
func (s Spoken) keep(q db.Q, c *Challenge, d directory.Device) {
	g := Given{string(shown(q, *c).Statement(d.KeyID, s.Decision, s.Number)), s.Signature, base64.StdEncoding.EncodeToString(d.Key.SPKI()), 0}
	if c.Data.Answer != nil {
		g.Starts = c.Data.Answer.Starts
	}
	c.Data.Answer = &g
}

// Answered is the answer to who decides again, and otherwise.
var Answered = fault.New(fault.Conflict, "This request was answered already.")

// repeated is what an answer to a request that is not open any more is told.
func (s Spoken) repeated(c Challenge) (authn.State, error) {
	switch {
	case c.Data.Answer != nil && c.Data.Answer.Signature == s.Signature:
		return c.State, nil
	case c.State == authn.Expired || c.State == authn.Cancelled:
		return c.State, authn.Gone
	}
	return c.State, Answered
}

// compare judges the number of an approval, once. The right one, or none where
// none is asked, leaves the request acknowledged or allowed; a wrong one denies it.
func (s Spoken) compare(ctx context.Context, tx *db.Tx, c *Challenge, d directory.Device) error {
	if err := directory.MaySignIn(ctx, tx, c.Subject.Tenant, c.Subject.User); err != nil {
		return gone(err)
	}
	if err := authn.Locked(ctx, tx, c.Subject); err != nil {
		return gone(err)
	}
	if c.Data.Passed && !equal(s.Number, c.Data.Number) {
		return Answered
	}
	to := authn.Acknowledged
	if c.Data.Mode != Off {
		to = authn.Allowed
		if err := s.enter(ctx, tx, c); err != nil {
			return err
		}
	}
	s.keep(tx, c, d)
	if c.Data.Answer.Starts++; c.Data.Answer.Starts > maxStarts {
		return authn.Gone
	}
	return authn.Move(ctx, tx, c, to)
}

// enter judges the number if no right one was entered before, and reads the
// request anew.
func (s Spoken) enter(ctx context.Context, tx *db.Tx, c *Challenge) error {
	if c.Data.Passed {
		return nil
	}
	wrong := Enter(ctx, tx, c.ID, s.Number)
	now, err := authn.Recall[Request](ctx, tx, c.ID)
	if err != nil {
		return err
	}
	*c = now
	if wrong != nil && c.State == authn.Denied {
		if err := recordEnd(ctx, tx, now, "denied", "wrong_number"); err != nil {
			return err
		}
	}
	return wrong
}

// begin starts the request's journey on the phone.
func (s Spoken) begin(ctx context.Context, tx *db.Tx, e *journey.Engine, c Challenge, d directory.Device) (journey.Reply, error) {
	if c.Data.Answer.Starts == 1 {
		if err := recordEnd(ctx, tx, c, "acknowledged", ""); err != nil {
			return journey.Reply{}, err
		}
	}
	return e.StartIn(ctx, tx, journey.StartRequest{
		App: s.App, Client: s.Client, Journey: c.Data.Journey, Version: c.Data.Version, Kind: journey.KindMobileApprove, Caller: s.Caller,
		Waiter: journey.Waiter{Kind: string(Kind), ID: string(c.ID)}, Subject: c.Subject.User, Device: d.ID, Commit: record(c), Trusted: parameters(c),
	})
}

// Standing is where a request stands that the phone app answered; authn.Gone if
// this phone did not.
func Standing(ctx context.Context, q db.Q, app apps.ID, request, deviceKey string) (Challenge, error) {
	c, err := authn.Recall[Request](ctx, q, authn.ChallengeID(request))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return c, err
	}
	if err != nil || c.Subject.App != app || c.Subject.Kind != Kind || c.Data.Answer == nil || !strings.EqualFold(c.Data.DeviceKey, deviceKey) {
		return c, authn.Gone.Because(err)
	}
	return c, nil
}
