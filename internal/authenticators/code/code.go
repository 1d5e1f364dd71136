// Package code is the method of a code that is sent: by mail, by text message, or
// handed out by support. The three are one implementation. A code is good once,
// for minutes, in every application of the tenant, and so is its lock; sending
// another one supersedes it and forgives nothing.
package code

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/limit"
	"github.com/watchword-auth/watchword/internal/lockout"
	"github.com/watchword-auth/watchword/internal/message"
	"github.com/watchword-auth/watchword/internal/notify"
)

// The kinds.
const (
	Email  authn.Kind = "email_otp"
	SMS    authn.Kind = "sms_otp"
	Direct authn.Kind = "direct_otp"
)

func init() {
	for kind, m := range map[authn.Kind]authn.Method{
		Email:  {Title: "Code by mail", Reaches: directory.Email, AMR: []string{"otp"}},
		SMS:    {Title: "Code by text message", Reaches: directory.Phone, AMR: []string{"sms", "otp"}},
		Direct: {Title: "Code from support", AMR: []string{"otp"}},
	} {
		m.Kind, m.Lives, m.Counts, m.Unlock, m.Lint = kind, authn.PerTenant, authn.PerTenant, authn.PerTenant, lint(kind)
		m.Config = append(form.New(
			form.Number("expires_minutes", "Minutes that a code is good for", form.Default(5), form.Between(1, 10)),
			form.Number("length", "Digits", form.Default(6), form.Between(4, 8)),
			form.Number("resend_max", "Codes that may be sent again", form.Default(3), form.Between(0, 10)),
			form.Number("resend_seconds", "Seconds between two codes", form.Default(30), form.Between(0, 300)),
			form.Boolean("cross_clients", "Codes count at every client of the application", form.Default(false), form.Help("Otherwise only at the client that had them sent.")),
			form.Text("domain", "Domain of your page", form.Help("Browsers then fill a code from a text message in there and nowhere else.")),
			form.List("countries", "Calling codes that are sent to", form.New(form.Text("", "Such as +49")), form.Between(0, 250), form.Help("Empty: every country.")),
		), message.Fields(message.LoginCode, message.SignupCode, message.VerifyCode)...)
		m.Config = append(m.Config, simple(lockout.Fields(100, lockout.Tier{Failures: 5, Minutes: 15}))...)
		m.Check, m.Messages = message.CheckSettings, []string{message.LoginCode, message.SignupCode, message.VerifyCode}
		authn.Register(m)
	}
}

// simple makes one lockout, after which the count begins anew, the default: it is
// all that these methods have (seed 003).
func simple(fs []form.Field) []form.Field {
	for i := range fs {
		if fs[i].Name == "simple" {
			fs[i].Default = true
		}
	}
	return fs
}

type settings struct {
	Minutes       int      `json:"expires_minutes"`
	Length        int      `json:"length"`
	ResendMax     int      `json:"resend_max"`
	ResendSeconds int      `json:"resend_seconds"`
	CrossClients  bool     `json:"cross_clients"`
	Countries     []string `json:"countries"`
	message.Style
}

// sent is what a challenge remembers of a code.
type sent struct {
	Hash     string         `json:"hash"`
	To       string         `json:"to"`
	Client   apps.ClientID  `json:"client,omitempty"`  // that had it sent
	Request  string         `json:"request,omitempty"` // hash of the id that must be shown with it
	Approval map[string]any `json:"approval,omitempty"`
	Return   string         `json:"return,omitempty"` // the only page that whoever hands it in goes to; empty: any
	New      bool           `json:"new,omitempty"`    // whoever hands it in becomes a user
}

func hash(q db.Q, s authn.Subject, code string) string {
	return q.Vault().Hash("code", string(s.Kind)+"/"+string(s.User)+"/"+code)
}

func requestHash(q db.Q, request string) string { return q.Vault().Hash("code request", request) }

// slot is one open code of a kind and a user in the tenant.
func slot(s authn.Subject) string {
	return "code/" + string(s.Kind) + "/" + string(s.Tenant) + "/" + string(s.User)
}

// Note is how a code is sent.
type Note struct {
	App      apps.App
	Client   apps.ClientID // that has it sent
	Name     string        // of the message
	To       string        // address or number; empty for Direct
	Language string        // empty: the user's
	Life     time.Duration // instead of the setting
	Request  bool          // it must come back with an id that the caller gets
	Approval map[string]any
	Content  message.Content
	Sender   string // of a text message, instead of the gateway's
	Return   string // the only page that whoever hands it in goes to; empty: any
	New      bool   // To belongs to nobody yet, and the subject is of its NobodyID
}

// Sent is a code that was made.
type Sent struct {
	Code    string // for Direct only to hand on
	Request string
}

// Send makes a code for s, ends the one before, and queues the message that
// carries it. Too many codes to a user or a number are fault.Limited, a number of
// a country that is not sent to is fault.Invalid. The count of failures stays as
// it is.
func Send(ctx context.Context, tx *db.Tx, s authn.Subject, n Note) (Sent, error) {
	var set settings
	if err := authn.Settings(ctx, tx, s.App, s.Kind, &set); err != nil {
		return Sent{}, err
	}
	if err := toll(ctx, tx, s, set, n.To); err != nil {
		return Sent{}, err
	}
	return send(ctx, tx, s, set, n, false)
}

// Nobody does for a name that belongs to nobody what Send does: it counts,
// refuses and takes as long, so that neither tells who exists (security R30).
// Nothing is sent.
func Nobody(ctx context.Context, tx *db.Tx, s authn.Subject, typed string, n Note) error {
	var set settings
	if err := authn.Settings(ctx, tx, s.App, s.Kind, &set); err != nil {
		return err
	}
	s.User = authn.NobodyID(tx, typed)
	var err error
	if n.To, err = directory.Normalise(directory.Phone, typed); err != nil {
		n.To = directory.NameKey(typed) // a name that is no number: what country it is in nobody knows
	}
	if err := toll(ctx, tx, s, set, n.To); err != nil {
		return err
	}
	_, err = send(ctx, tx, s, set, n, true)
	return err
}

func send(ctx context.Context, tx *db.Tx, s authn.Subject, set settings, n Note, nobody bool) (Sent, error) {
	top := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(set.Length)), nil)
	r, err := rand.Int(rand.Reader, top)
	if err != nil {
		return Sent{}, err
	}
	out := Sent{Code: fmt.Sprintf("%0*d", set.Length, r)}
	data := sent{Hash: hash(tx, s, out.Code), To: n.To, Client: n.Client, Approval: n.Approval, Return: n.Return, New: n.New}
	if n.Request {
		out.Request = "otr_" + rand.Text()
		data.Request = requestHash(tx, out.Request)
	}
	life := time.Duration(set.Minutes) * time.Minute
	if n.Life > 0 {
		life = min(n.Life, life)
	}
	_, _, err = authn.Pose(ctx, tx, authn.Opening{Subject: s, Once: "code/" + db.NewID("otp_"), Slot: slot(s), Life: life}, data)
	if err != nil || s.Kind == Direct {
		return out, err
	}
	d := message.Data{Values: map[string]string{"code": out.Code, "minutes": strconv.Itoa(int(life.Minutes()))}, Language: n.Language, Style: set.Style, Content: n.Content, Sender: n.Sender, Shown: n.Approval, Life: life, Nobody: nobody}
	if d.Language == "" {
		d.Language = directory.Language(ctx, tx, s.Tenant, s.User)
	}
	if s.Kind == SMS {
		return out, message.SMS(ctx, tx, n.App, n.To, n.Name, d)
	}
	return out, message.Mail(ctx, tx, n.App, n.To, n.Name, d)
}

// toll bounds what is sent: five codes to a user in a quarter of an hour, twenty
// to an address in an hour, and what notify.Toll bounds of text messages.
func toll(ctx context.Context, tx *db.Tx, s authn.Subject, set settings, to string) error {
	if s.Kind == Direct {
		return nil
	}
	number := s.Kind == SMS && strings.HasPrefix(to, "+")
	if err := limit.Take(ctx, tx, slot(s), 5, 15*time.Minute); err != nil {
		return err
	}
	if number {
		return notify.Toll(ctx, tx, string(s.Tenant), to, set.Countries)
	}
	if err := limit.Take(ctx, tx, "code/to/"+string(s.Tenant)+"/"+to, 20, time.Hour); err != nil || s.Kind != SMS {
		return err
	}
	return limit.Take(ctx, tx, "code/prefix/"+string(s.Tenant)+"/"+string(s.User), 200, time.Hour) // what is no number costs what one does
}

// Expired is the answer to a right code that came too late. It is not charged.
var Expired = fault.New(fault.Expired, "This code has run out. Have another one sent.")

// Typed is what somebody hands in.
type Typed struct {
	Code    string
	Client  apps.ClientID
	Request string // the id that the code was sent with, if it was
	Return  string // the page that they go to, if they go to one
}

// Verify proves a user by the code that was sent last, which is then spent, and
// returns what the code approves. Wrong is charged and must be committed, and one
// that locks ends the code; a right code that has run out is Expired and is not
// charged.
func Verify(ctx context.Context, tx *db.Tx, s authn.Subject, typed Typed) (authn.Proof, map[string]any, error) {
	p, d, err := verify(ctx, tx, s, typed)
	return p, d.Approval, err
}

// verify is Verify, and returns what was known of the code.
func verify(ctx context.Context, tx *db.Tx, s authn.Subject, typed Typed) (authn.Proof, sent, error) {
	c, p, err := judge(ctx, tx, s, typed, func(_ sent, judge func() error) (authn.Proof, error) {
		return authn.Attempt(ctx, tx, s, func() (authn.CredentialID, error) { return "", judge() })
	})
	if err != nil {
		return authn.Proof{}, sent{}, err
	}
	return p, c.Data, authn.Approve(ctx, tx, &c, p)
}

// admit is verify for a name that is nobody's: whoever hands in what was sent there
// for a new user is one then. s is of the name's NobodyID; everything else is Wrong
// and charged, as it is of a user's name.
func admit(ctx context.Context, tx *db.Tx, s authn.Subject, typed Typed) (authn.Proof, sent, error) {
	c, p, err := judge(ctx, tx, s, typed, func(d sent, judge func() error) (authn.Proof, error) {
		return authn.Newcomer(ctx, tx, s, d.To, func() error {
			if err := judge(); err != nil || d.New {
				return err
			}
			return authn.Wrong
		})
	})
	if err != nil {
		return authn.Proof{}, sent{}, err
	}
	return p, c.Data, authn.Move(ctx, tx, &c, authn.Cancelled)
}

// judge has attempt charge what was typed and then hold it against the code that was
// sent last.
func judge(ctx context.Context, tx *db.Tx, s authn.Subject, typed Typed, attempt func(d sent, judge func() error) (authn.Proof, error)) (authn.Challenge[sent], authn.Proof, error) {
	var set settings
	if err := authn.Settings(ctx, tx, s.App, s.Kind, &set); err != nil {
		return authn.Challenge[sent]{}, authn.Proof{}, err
	}
	c, err := authn.LastFor[sent](ctx, tx, s, slot(s))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return c, authn.Proof{}, err
	}
	p, err := attempt(c.Data, func() error {
		switch {
		case c.ID == "" || !c.Data.fits(tx, s, set, typed):
			return authn.Wrong
		case c.State == authn.Expired:
			return Expired
		case !c.State.Open():
			return authn.Wrong
		}
		return nil
	})
	if fault.Is(err, fault.Wrong) {
		err = burn(ctx, tx, s, &c, err)
	}
	return c, p, err
}

func (d sent) fits(q db.Q, s authn.Subject, set settings, t Typed) bool {
	code := strings.ReplaceAll(strings.TrimSpace(t.Code), " ", "")
	ok := subtle.ConstantTimeCompare([]byte(d.Hash), []byte(hash(q, s, code)))
	if d.Request != "" {
		ok &= subtle.ConstantTimeCompare([]byte(d.Request), []byte(requestHash(q, t.Request)))
	}
	elsewhere := d.Return != "" && t.Return != "" && d.Return != t.Return
	return ok == 1 && !elsewhere && (set.CrossClients || s.Kind == Direct || d.Client == t.Client)
}

// burn ends the code of somebody whom a wrong one has locked, so that it is not
// good either when the lock ends (authenticators.md 3). wrong is the answer.
func burn(ctx context.Context, tx *db.Tx, s authn.Subject, c *authn.Challenge[sent], wrong error) error {
	if c.ID == "" || !c.State.Open() {
		return wrong
	}
	switch err := authn.Locked(ctx, tx, s); {
	case err == nil:
		return wrong
	case !fault.Is(err, fault.Locked):
		return err
	}
	return errors.Join(wrong, authn.Move(ctx, tx, c, authn.Denied))
}
