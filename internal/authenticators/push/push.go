// Package push asks a user's phone to approve what a browser started. A request
// is posed, the phone is told, joins with its device key, runs the mobile
// journey that authenticates its owner, and only an approval paired with that
// authentication lets the browser go on (seed 000, security P1-P16). The package
// moves requests; which protocol the phone speaks is a door's business.
package push

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/limit"
	"github.com/watchword-auth/watchword/internal/lockout"
	"github.com/watchword-auth/watchword/internal/notify"
)

// Kind names the method.
const Kind authn.Kind = "push"

// The number modes (DESIGN 2.20.3): how the browser's number gets to the phone.
const (
	Off     = "off"      // not at all: the phone's authentication alone decides
	Type2   = "type-2"   // two digits are typed on the phone
	Type6   = "type-6"   // six digits are typed on the phone (NIST SP 800-63B-4 3.1.3)
	Choose4 = "choose-4" // one of four two-digit numbers is chosen
)

var modes = []string{Off, Type2, Type6, Choose4}

var readModes = form.Read(Off, "None", Type2, "Two digits are typed", Type6, "Six digits are typed", Choose4, "One of four is chosen")

func init() {
	authn.Register(authn.Method{
		Kind: Kind, Title: "Push approval", Lives: authn.PerApp, Counts: authn.PerApp, Unlock: authn.PerApp,
		AMR: []string{"mca"}, Pairs: true, Lint: lint,
		Config: append(form.New(
			form.Choice("number_mode", "Number to match", modes, form.Default(Type2), form.Named, readModes, form.Help("How the number that the browser shows gets to the phone.")),
			form.Duration("life", "Time to answer", form.Default(120), form.Between(30, 600)),
			form.Number("resends", "Times it may be sent again", form.Default(3), form.Between(0, 10)),
			form.Duration("cooldown", "Seconds between two sendings", form.Default(15), form.Between(0, 120)),
			form.Number("limit", "Requests per user in 10 minutes", form.Default(5), form.Between(1, 1000)),
			form.Number("backoff_after", "Denials in 10 minutes before requests slow down", form.Default(3), form.Between(0, 100), form.Help("0: never.")),
			form.Number("not_me_minutes", "Minutes without requests after \"not me\"", form.Default(60), form.Between(0, 525600), form.Help("0: until an administrator unlocks.")),
			form.Boolean("needs_proof", "Only after another proof", form.Default(false), form.Help("When on, nobody's phone rings before another method has proven them.")),
			form.Boolean("unsigned_phones", "Ask phones that sign nothing", form.Default(false), form.Help("In every journey of the application, not only where a step says so: phones of the cidaas SDKs, whose approval is one factor.")),
			form.Boolean("show_devices", "Show device names before a proof", form.Default(false), form.Help("Tells anybody who knows an e-mail address which phones belong to it.")),
			form.Text("title", "Title", form.Default("Sign in?"), form.MaxLen(100)),
			form.Text("body", "Text", form.Default("Open to answer."), form.MaxLen(200)),
		), lockout.Fields(100, lockout.Tier{Failures: 5, Minutes: 1}, lockout.Tier{Failures: 8, Minutes: 15}, lockout.Tier{Failures: 10, Minutes: 60})...),
	})
}

type settings struct {
	NumberMode   string `json:"number_mode"`
	Life         int    `json:"life"`
	Resends      int    `json:"resends"`
	Cooldown     int    `json:"cooldown"`
	Limit        int    `json:"limit"`
	BackoffAfter int    `json:"backoff_after"`
	NotMeMinutes int    `json:"not_me_minutes"`
	NeedsProof   bool   `json:"needs_proof"`
	Unsigned     bool   `json:"unsigned_phones"`
	ShowDevices  bool   `json:"show_devices"`
	Title        string `json:"title"`
	Body         string `json:"body"`
}

// Request is what an approval keeps besides its challenge.
type Request struct {
	Decoy     bool               `json:"decoy,omitempty"` // nobody is asked; it waits and runs out like any other
	Device    directory.DeviceID `json:"device,omitempty"`
	DeviceKey string             `json:"device_key,omitempty"`
	Mode      string             `json:"mode"`
	Number    string             `json:"number,omitempty"`  // what the browser shows; never leaves for the phone
	Choices   []string           `json:"choices,omitempty"` // what the phone offers in choose-4
	Passed    bool               `json:"passed,omitempty"`  // the number was right
	Journey   string             `json:"journey"`           // runs on the phone; the web side chose it
	Version   int64              `json:"version"`
	AppName   string             `json:"app_name"`
	Client    apps.ClientID      `json:"client"`
	ClientAs  string             `json:"client_name"`
	Place     string             `json:"place,omitempty"`
	Browser   string             `json:"browser,omitempty"`
	Web       string             `json:"web"`               // the journey that asks
	Purpose   string             `json:"purpose,omitempty"` // what an approval without data is for; empty: ForLogin
	Approval  map[string]any     `json:"approval_data,omitempty"`
	Evidence  map[string]any     `json:"evidence,omitempty"` // what the phone signed
	Extra     map[string]any     `json:"additional_data,omitempty"`
	Reason    string             `json:"reason,omitempty"`  // why it was denied
	Trouble   bool               `json:"trouble,omitempty"` // the push channel failed
	Here      bool               `json:"here,omitempty"`    // the phone itself asked: it need not be told
	Party     string             `json:"party,omitempty"`   // the authorization request that it was asked for
	Masked    string             `json:"masked,omitempty"`  // how that request calls the user
	As        string             `json:"as,omitempty"`      // what the asking protocol calls the method
	Answer    *Given             `json:"answer,omitempty"`  // of our own phone app
	Signs     bool               `json:"signs,omitempty"`   // a phone without a key answers by a signature of its owner's, too
}

// Challenge is an approval request in flight.
type Challenge = authn.Challenge[Request]

// Asked is what Begin needs to know besides who is asked.
type Asked struct {
	Subject authn.Subject // Kind is set by Begin; User empty: a decoy
	To      Medium        // whom to ask; nobody's for a decoy
	Once    string        // the visit that asks
	Name    string        // under which a decoy is limited and slotted
	Proven  bool          // the user was proven by something else, or a client that said who it is vouches for the asking
	Mode    string        // empty: the application's setting
	Title   string
	Body    string
	Life    time.Duration // shorter than the application's setting; 0: that
	Echo    bool          // show the message to a capture even if no channel carries it
	Request Request       // app, client, place, browser, journey, approval data
}

// Begin poses a request and tells the phone, both or neither. Whatever open
// request the user had in the application is cancelled by it (P8). It returns
// fault.Limited if the user was asked too often, a decoy alike, or denied several
// a moment ago. Where the application wants another proof first, whoever was not
// proven is asked like anybody, and no phone rings.
func Begin(ctx context.Context, tx *db.Tx, a Asked) (Challenge, error) {
	var set settings
	if err := authn.Settings(ctx, tx, a.Subject.App, Kind, &set); err != nil {
		return Challenge{}, err
	}
	if set.NeedsProof && !a.Proven && !a.Request.Here { // a phone that asks by itself is not made to ring
		a.Subject.User, a.To = "", Medium{}
	}
	a.Subject.Kind, a.Subject.Device = Kind, directory.DeviceID(a.To.ID)
	if err := set.slow(ctx, tx, a.Subject); err != nil {
		return Challenge{}, err
	}
	who := string(a.Subject.User)
	if who == "" {
		who = "?" + a.Name
	}
	slot := "push/" + string(a.Subject.App) + "/" + slotOf(tx, who)
	if err := limit.Take(ctx, tx, slot, set.Limit, 10*time.Minute); err != nil {
		return Challenge{}, err
	}
	req := a.Request
	req.Decoy, req.Device, req.DeviceKey, req.Mode = a.Subject.User == "", a.Subject.Device, a.To.device.KeyID, a.Mode
	if req.Mode == "" {
		req.Mode = set.NumberMode
	}
	if err := req.draw(); err != nil {
		return Challenge{}, err
	}
	life := time.Duration(set.Life) * time.Second
	if a.Life > 0 && a.Life < life {
		life = a.Life
	}
	c, fresh, was, err := authn.Displace(ctx, tx, authn.Opening{Subject: a.Subject, Once: a.Once, Slot: slot, Life: life}, req)
	if err != nil || !fresh {
		return c, err
	}
	if was.ID != "" && was.Subject.Device != a.Subject.Device { // on the same phone the new message takes the old one's place
		if err := recallFrom(ctx, tx, was.ID); err != nil {
			return c, err
		}
	}
	if req.Here {
		return c, nil
	}
	return c, tell(ctx, tx, c, a, cmp.Or(a.Title, set.Title), cmp.Or(a.Body, set.Body))
}

// slow makes who denied several requests wait before the next one (P8): 30
// seconds at first, then twice as long with each further denial.
func (set settings) slow(ctx context.Context, q db.Q, s authn.Subject) error {
	if s.User == "" || set.BackoffAfter == 0 {
		return nil
	}
	n, last, err := authn.DeniedSince(ctx, q, s, q.Now().Add(-10*time.Minute))
	if err != nil || n < set.BackoffAfter {
		return err
	}
	pause := 30 * time.Second << min(n-set.BackoffAfter, 4)
	if left := last.Add(pause).Sub(q.Now()); left > 0 {
		return fault.New(fault.Limited, "Too many requests. Wait and try again.").After(left)
	}
	return nil
}

// tell sends the message: an opaque id and words that name nobody (P6, R92). That of
// a decoy goes nowhere, and is as much work (security R30).
func tell(ctx context.Context, tx *db.Tx, c Challenge, a Asked, title, body string) error {
	m := message(tx, c)
	m.Title, m.Body, m.Echo = title, body, a.Echo
	if a.To.Unsigned() {
		return a.To.tell(ctx, tx, c, m)
	}
	targets, err := directory.Targets(ctx, tx, a.To.device.ID)
	if err != nil {
		return err
	}
	if c.Data.Decoy {
		m.Target.Kind = notify.WebPush // most phones of ours have one
		if err := notify.SendPush(ctx, tx, m); err != nil {
			return err
		}
		return watch(ctx, tx, c)
	}
	tx.Signal(deviceTopic(a.To.device.KeyID))
	if slices.ContainsFunc(targets, browses) {
		if err := watch(ctx, tx, c); err != nil {
			return err
		}
	}
	for _, t := range targets {
		m.TargetID, m.Target = t.ID, notify.Target{Kind: t.Kind, Address: t.Address, AppIdentifier: t.AppIdentifier}
		if err := notify.SendPush(ctx, tx, m); err != nil {
			return err
		}
	}
	return nil
}

// message is what every message about a request has in common.
func message(q db.Q, c Challenge) notify.Message {
	return notify.Message{Tenant: string(c.Subject.Tenant), App: string(c.Subject.App), Device: string(c.Data.Device), RequestID: string(c.ID), Expires: c.Expires, Nobody: c.Data.Decoy,
		Slot: slotOf(q, string(c.Subject.App)+"/"+string(c.Subject.User))}
}

func slotOf(q db.Q, who string) string { return q.Vault().Hash("push_slot", who) }

// RunOutJob is the kind of the job that tells browsers of a request that nobody
// answered. A worker cannot wake by itself: without a message, what it shows stays.
const RunOutJob = "push.runout"

// RunOut is what RunOutJob is about.
type RunOut struct {
	Request authn.ChallengeID `json:"request"`
}

// endLife is how long a browser that is out of reach is still told that a request
// has ended.
const endLife = time.Hour

// browses reports whether a phone is reached in a browser.
func browses(t directory.Target) bool { return t.Kind == notify.WebPush }

// watch has RanOut called when a request runs out.
func watch(ctx context.Context, tx *db.Tx, c Challenge) error {
	return jobs.EnqueueAt(ctx, tx, RunOutJob, RunOut{c.ID}, c.Expires, c.Expires.Add(endLife))
}

// RanOut does RunOutJob: nothing if the request was decided or called off in time.
func RanOut(ctx context.Context, tx *db.Tx, r RunOut) error {
	c, err := authn.Recall[Request](ctx, tx, r.Request)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil || c.State != authn.Expired {
		return err
	}
	return withdraw(ctx, tx, c)
}

// recallFrom takes a request from the phone that showed it, for another is asked now.
func recallFrom(ctx context.Context, tx *db.Tx, id authn.ChallengeID) error {
	c, err := authn.Recall[Request](ctx, tx, id)
	if err != nil || c.Data.Here {
		return err
	}
	return withdraw(ctx, tx, c)
}

// withdraw tells browsers that a request they show has ended. Other phones hear it
// when they come to answer.
func withdraw(ctx context.Context, tx *db.Tx, c Challenge) error {
	targets, err := directory.Targets(ctx, tx, c.Data.Device)
	if err != nil {
		return err
	}
	m := message(tx, c)
	m.Title, m.Over, m.Expires = "This request has ended.", true, tx.Now().Add(endLife)
	if c.Data.Decoy {
		m.Target.Kind = notify.WebPush // as much work as for somebody
		return notify.SendPush(ctx, tx, m)
	}
	for _, t := range targets {
		if !browses(t) {
			continue
		}
		m.TargetID, m.Target = t.ID, notify.Target{Kind: t.Kind, Address: t.Address, AppIdentifier: t.AppIdentifier}
		if err := notify.SendPush(ctx, tx, m); err != nil {
			return err
		}
	}
	return nil
}

func deviceTopic(keyID string) string { return "device/" + keyID }

// draw makes the number, and in choose-4 the other three.
func (r *Request) draw() error {
	low, span := 10, 90
	switch r.Mode {
	case Off:
		return nil
	case Type6:
		low, span = 0, 1_000_000
	case Type2, Choose4:
	default:
		return fmt.Errorf("push: no number mode %q", r.Mode)
	}
	var err error
	if r.Number, err = number(r.Mode, low, span); err != nil || r.Mode != Choose4 {
		return err
	}
	r.Choices = []string{r.Number}
	for len(r.Choices) < 4 {
		n, err := number(r.Mode, low, span)
		if err != nil {
			return err
		}
		if !slices.Contains(r.Choices, n) {
			r.Choices = append(r.Choices, n)
		}
	}
	slices.Sort(r.Choices) // the order must not give it away
	return nil
}

func number(mode string, low, span int) (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(span)))
	if err != nil {
		return "", err
	}
	if mode == Type6 {
		return fmt.Sprintf("%06d", n.Int64()), nil
	}
	return fmt.Sprintf("%02d", n.Int64()+int64(low)), nil
}

// record is what an approval is about, in the one form that is hashed: a JSON
// object with sorted keys and no spaces (RFC 8785 for these types), made from
// the server's own knowledge (P3, P13).
func record(c Challenge) string {
	approval := sha256.Sum256([]byte(db.Text(c.Data.Approval)))
	doc := map[string]any{
		"domain": "watchword/approval/v1", "purpose": purpose(c.Data), "tenant": c.Subject.Tenant, "app": c.Subject.App, "request": c.ID, "user": c.Subject.User,
		"device_key": c.Data.DeviceKey, "number_mode": c.Data.Mode, "approval_data": base64.RawURLEncoding.EncodeToString(approval[:]),
		"journey": c.Data.Journey, "version": c.Data.Version, "client": c.Data.Client, "expires": c.Expires.UnixMilli(),
	}
	b, err := json.Marshal(doc) // encoding/json sorts the keys of maps
	if err != nil {
		panic("push: " + err.Error()) // the types above are all JSON
	}
	h := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// Evidence is what an approval can show to others: what its challenge committed
// to, and what the phone signed.
func Evidence(c Challenge) map[string]any {
	out := map[string]any{"request": string(c.ID), "commitment": record(c), "device_key": c.Data.DeviceKey, "phone": filled(c.Data.Evidence)}
	if a := c.Data.Answer; a != nil {
		out["statement"], out["statement_signature"], out["device_public_key"] = a.Statement, a.Signature, a.Public
	}
	return out
}

// What somebody approves. It is said on the phone and stands in what it signs:
// who is asked to let another phone in must not read that they sign in.
const (
	ForLogin     = "login"
	ForEnrolment = "enrolment"   // something is added to the account
	ForDeal      = "transaction" // whatever approval data say
)

func purpose(r Request) string {
	switch {
	case len(r.Approval) > 0:
		return ForDeal
	case r.Purpose != "":
		return r.Purpose
	}
	return ForLogin
}

// Cancel ends an open request from the browser's side, and a phone that shows it in
// a browser stops; one that is decided already stays so.
func Cancel(ctx context.Context, tx *db.Tx, id authn.ChallengeID) error {
	c, err := authn.Recall[Request](ctx, tx, id)
	if err != nil || !c.State.Open() {
		return err
	}
	c.Data.Reason = "cancelled"
	if err := authn.Move(ctx, tx, &c, authn.Cancelled); err != nil || c.Data.Here {
		return err
	}
	return withdraw(ctx, tx, c)
}

// Enter judges the number that was typed or chosen on the phone. The right one
// is remembered, a wrong one ends the request as denied and is charged to the
// user's counter, in the same transaction (P5). The caller must commit a refusal.
func Enter(ctx context.Context, tx *db.Tx, id authn.ChallengeID, typed string) error {
	c, err := authn.Recall[Request](ctx, tx, id)
	if err != nil {
		return err
	}
	if !c.State.Open() || c.Data.Passed {
		return authn.Gone
	}
	_, err = authn.Attempt(ctx, tx, c.Subject, func() (authn.CredentialID, error) {
		if c.Data.Mode == Off || !equal(typed, c.Data.Number) {
			return "", authn.Wrong
		}
		return authn.CredentialID(c.Data.Device), nil
	})
	switch fault.Of(err).Code {
	case "":
		c.Data.Passed = true
		return authn.Move(ctx, tx, &c, authn.Allowed)
	case fault.Wrong, fault.Locked, fault.Denied:
		c.Data.Reason = "wrong_number"
		if e := authn.Move(ctx, tx, &c, authn.Denied); e != nil {
			return e
		}
	}
	return err
}

// Settle decides a request when the phone's journey has ended, in the same
// transaction. It approves only if the journey ended well, authenticated the
// very user who was asked on the very phone that was asked, and the number was
// right; anything else denies (P9, P12). A good end that comes too late or is
// not enough is refused with a fault, and the phone is told.
func Settle(ctx context.Context, tx *db.Tx, id string, end journey.End) error {
	c, err := authn.Recall[Request](ctx, tx, authn.ChallengeID(id))
	if err != nil {
		return err
	}
	if !c.State.Open() {
		if end.OK {
			return authn.Gone
		}
		return nil
	}
	if proof, ok := paired(c, end); ok {
		c.Data.Evidence = end.Evidence
		if err := authn.Approve(ctx, tx, &c, proof); err != nil {
			return err
		}
		return recordEnd(ctx, tx, c, "approved", "")
	}
	return deny(ctx, tx, &c, end)
}

// paired finds the authentication that an approval is paired with.
func paired(c Challenge, end journey.End) (authn.Proof, bool) {
	if !end.OK || c.Data.Mode != Off && !c.Data.Passed {
		return authn.Proof{}, false
	}
	for _, p := range end.Proofs {
		here := p.Device() == "" || string(p.Device()) == c.Data.DeviceKey
		if p.User() == c.Subject.User && p.Kind() != Kind && here {
			return p, true
		}
	}
	return authn.Proof{}, false
}

func deny(ctx context.Context, tx *db.Tx, c *Challenge, end journey.End) error {
	reason := end.Reason
	if end.OK {
		reason = "not_authenticated"
	}
	c.Data.Reason = cmp.Or(reason, "denied")
	if err := authn.Move(ctx, tx, c, authn.Denied); err != nil {
		return err
	}
	if err := recordEnd(ctx, tx, *c, "denied", c.Data.Reason); err != nil {
		return err
	}
	if reason == NotMe {
		if err := report(ctx, tx, *c); err != nil {
			return err
		}
	}
	return nil
}

// NotMe is the reason of a denial by somebody who did not ask.
const NotMe = "not_me"

// report stops requests to a user who did not ask for one, for as long as the
// application says.
func report(ctx context.Context, tx *db.Tx, c Challenge) error {
	var set settings
	if err := authn.Settings(ctx, tx, c.Subject.App, Kind, &set); err != nil {
		return err
	}
	if err := recordEnd(ctx, tx, c, "reported", NotMe); err != nil {
		return err
	}
	return authn.LockFor(ctx, tx, c.Subject, time.Duration(set.NotMeMinutes)*time.Minute, NotMe)
}

// Fail says that the push channel could not be reached, so that the browser can
// offer another way; the request stays open, for the phone may ask by itself.
func Fail(ctx context.Context, tx *db.Tx, id authn.ChallengeID) error {
	c, err := authn.Recall[Request](ctx, tx, id)
	if err != nil || !c.State.Open() || c.Data.Trouble {
		return err
	}
	c.Data.Trouble = true
	return authn.Move(ctx, tx, &c, c.State)
}
