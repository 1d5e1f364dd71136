// Package code is the method of a code that is sent: by mail, by text message, or
// handed out by support. The three are one implementation. A code is good once,
// for minutes, in every application of the tenant, and so is its lock; sending
// another one supersedes it and forgives nothing.
package code

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
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
			form.Text("colour", "Colour of mail", form.MaxLen(7)),
			form.Text("domain", "Domain of your page", form.Help("Browsers then fill a code from a text message in there and nowhere else.")),
			form.List("countries", "Calling codes that are sent to", form.New(form.Text("", "Such as +49")), form.Between(0, 250), form.Help("Empty: every country.")),
		), simple(lockout.Fields(100, lockout.Tier{Failures: 5, Minutes: 15}))...)
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
	Colour        string   `json:"colour"`
	Domain        string   `json:"domain"`
	Countries     []string `json:"countries"`
}

func lint(kind authn.Kind) func(doc map[string]any) []authn.Note {
	return func(doc map[string]any) []authn.Note {
		var out []authn.Note
		if n, _ := strconv.Atoi(fmt.Sprint(doc["length"])); n < 6 {
			out = append(out, authn.Note{Code: "code_short", Severity: authn.Warning, Field: "length", Message: "A code has at least six digits.", Ref: "NIST SP 800-63B-4 3.1.3.2"})
		}
		switch kind {
		case Email:
			out = append(out, authn.Note{Code: "code_mail", Severity: authn.Advice, Message: "Mail is no out-of-band authenticator: use it for recovery and to confirm addresses.", Ref: "NIST SP 800-63B-4 3.1.3.1, ASVS 5.0 6.3.5"})
		case SMS:
			out = append(out, authn.Note{Code: "code_sms", Severity: authn.Advice, Message: "Text messages are restricted: offer another way beside them.", Ref: "NIST SP 800-63B-4 3.1.3.3, ASVS 5.0 6.6.1"})
		}
		return out
	}
}

// sent is what a challenge remembers of a code.
type sent struct {
	Hash string `json:"hash"`
	To   string `json:"to"`
}

func hash(q db.Q, s authn.Subject, code string) string {
	return q.Vault().Hash("code", string(s.Kind)+"/"+string(s.User)+"/"+code)
}

// slot is one open code of a kind and a user in the tenant.
func slot(s authn.Subject) string {
	return "code/" + string(s.Kind) + "/" + string(s.Tenant) + "/" + string(s.User)
}

// Note is how a code is sent.
type Note struct {
	App      apps.App
	Name     string // of the message
	To       string // address or number; empty for Direct
	Language string
	Life     time.Duration // instead of the setting
}

// Send makes a code for s, ends the one before, and queues the message that
// carries it. It returns the code, which is for Direct only to hand on. Too many
// codes to a user or a number are fault.Limited, a number of a country that is
// not sent to is fault.Invalid. The count of failures stays as it is.
func Send(ctx context.Context, tx *db.Tx, s authn.Subject, n Note) (code string, err error) {
	var set settings
	if err := authn.Settings(ctx, tx, s.App, s.Kind, &set); err != nil {
		return "", err
	}
	if err := toll(ctx, tx, s, set, n.To); err != nil {
		return "", err
	}
	top := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(set.Length)), nil)
	r, err := rand.Int(rand.Reader, top)
	if err != nil {
		return "", err
	}
	code = fmt.Sprintf("%0*d", set.Length, r)
	life := time.Duration(set.Minutes) * time.Minute
	if n.Life > 0 {
		life = min(n.Life, life)
	}
	_, _, err = authn.Pose(ctx, tx, authn.Opening{Subject: s, Once: "code/" + db.NewID("otp_"), Slot: slot(s), Life: life}, sent{hash(tx, s, code), n.To})
	if err != nil || s.Kind == Direct {
		return code, err
	}
	d := message.Data{Values: map[string]string{"code": code, "minutes": strconv.Itoa(int(life.Minutes()))}, Language: n.Language, Colour: set.Colour, Domain: set.Domain, Life: life}
	if s.Kind == SMS {
		return code, message.SMS(ctx, tx, n.App, n.To, n.Name, d)
	}
	return code, message.Mail(ctx, tx, n.App, n.To, n.Name, d)
}

// toll bounds what is sent: five codes to a user in a quarter of an hour, twenty
// to an address in an hour, and of text messages, two hundred to numbers that
// begin alike, which is how a fraud calls its own.
func toll(ctx context.Context, tx *db.Tx, s authn.Subject, set settings, to string) error {
	if s.Kind == Direct {
		return nil
	}
	if s.Kind == SMS && len(set.Countries) > 0 {
		ok := false
		for _, c := range set.Countries {
			ok = ok || c != "" && strings.HasPrefix(to, c)
		}
		if !ok {
			return fault.New(fault.Invalid, "Text messages are not sent to this country.")
		}
	}
	if err := limit.Take(ctx, tx, slot(s), 5, 15*time.Minute); err != nil {
		return err
	}
	if err := limit.Take(ctx, tx, "code/to/"+string(s.Tenant)+"/"+to, 20, time.Hour); err != nil {
		return err
	}
	if s.Kind == SMS && len(to) > 7 {
		return limit.Take(ctx, tx, "code/prefix/"+string(s.Tenant)+"/"+to[:7], 200, time.Hour)
	}
	return nil
}

// Expired is the answer to a right code that came too late. It is not charged.
var Expired = fault.New(fault.Expired, "This code has run out. Have another one sent.")

// Verify proves a user by the code that was sent last, which is then spent. Wrong
// is charged and must be committed; a right code that has run out is Expired and
// is not.
func Verify(ctx context.Context, tx *db.Tx, s authn.Subject, typed string) (authn.Proof, error) {
	typed = strings.ReplaceAll(strings.TrimSpace(typed), " ", "")
	var open *authn.Challenge[sent]
	p, err := authn.Attempt(ctx, tx, s, func() (authn.CredentialID, error) {
		c, err := authn.LastFor[sent](ctx, tx, s, slot(s))
		if fault.Is(err, fault.NotFound) {
			return "", authn.Wrong
		}
		if err != nil {
			return "", err
		}
		if subtle.ConstantTimeCompare([]byte(c.Data.Hash), []byte(hash(tx, s, typed))) != 1 {
			return "", authn.Wrong
		}
		if c.State == authn.Expired {
			return "", Expired
		}
		if !c.State.Open() {
			return "", authn.Wrong
		}
		open = &c
		return "", nil
	})
	if err != nil {
		return authn.Proof{}, err
	}
	return p, authn.Approve(ctx, tx, open, p)
}
