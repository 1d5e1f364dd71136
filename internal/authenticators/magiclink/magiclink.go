// Package magiclink is the method of a link that is mailed. Following it changes
// nothing: mail scanners follow links, too. The page behind it has a button, and
// what pressing it yields depends on where it must count:
//
//   - in the browser that pressed it (the default): the browser goes back to the
//     page that it came from with a code, which that page hands in. Somebody who
//     had a link sent to another person gets nothing, for they have not the code;
//   - or in the page that waits, on whatever device: then the button asks for the
//     two digits that the waiting page shows, and a wrong number ends the link;
//   - or at a page of the client's, whose browser brings a code of the provider's for
//     the client to trade: then the button itself proves the user, or makes one.
//
// A link is good once and for minutes; a new one ends the one before.
package magiclink

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
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/limit"
	"github.com/watchword-auth/watchword/internal/lockout"
	"github.com/watchword-auth/watchword/internal/message"
)

// Kind names the method.
const Kind authn.Kind = "magic_link"

func init() {
	authn.Register(authn.Method{
		Kind: Kind, Title: "Link by mail", Lives: authn.PerTenant, Counts: authn.PerTenant, Unlock: authn.PerTenant,
		Reaches: directory.Email, AMR: []string{"email"}, Lint: lint,
		Config: append(form.New(
			form.Number("expires_minutes", "Minutes that a link is good for", form.Default(10), form.Between(1, 60)),
			form.Number("per_minute", "Links to a user per minute", form.Default(3), form.Between(1, 20)),
			form.Boolean("same_browser", "Only in the browser that began", form.Default(true), form.Help("Otherwise it may be opened anywhere, and asks for the number that the waiting page shows.")),
		), append(message.Fields(message.MagicLink), lockout.Fields(100, lockout.Tier{Failures: 5, Minutes: 15})...)...),
		Check: message.CheckSettings, Messages: []string{message.MagicLink},
	})
}

// perHour is how many links are mailed to a user in an hour.
const perHour = 20

type settings struct {
	Minutes     int  `json:"expires_minutes"`
	PerMinute   int  `json:"per_minute"`
	SameBrowser bool `json:"same_browser"`
	message.Style
}

func lint(doc map[string]any) []authn.Note {
	out := []authn.Note{{Code: "link_mail", Severity: authn.Advice, Message: "Mail is no out-of-band authenticator: use it for recovery and to confirm addresses.", Ref: "NIST SP 800-63B-4 3.1.3.1, OWASP ASVS 5.0 6.3.6"}}
	if n, _ := strconv.Atoi(fmt.Sprint(doc["expires_minutes"])); n > 10 {
		out = append(out, authn.Note{Code: "link_long", Severity: authn.Warning, Field: "expires_minutes", Message: "A link should run out after ten minutes.", Ref: "OWASP ASVS 5.0 6.5.5"})
	}
	return out
}

// link is what a challenge remembers of a link.
type link struct {
	Hash    string `json:"hash"` // of the secret in the link
	To      string `json:"to"`
	Return  string `json:"return,omitempty"`  // where the browser goes with a code; empty: the number counts
	Member  string `json:"member,omitempty"`  // the parameter that holds the code there
	State   string `json:"state,omitempty"`   // and what else it is told
	Number  string `json:"number,omitempty"`  // what the waiting page shows
	Request string `json:"request,omitempty"` // hash of the id that whoever had it sent must show
	Code    string `json:"code,omitempty"`    // hash of the code, once the button was pressed
	App     string `json:"app"`               // what users know the application by

	// Of a link whose button proves its user there and then, and whose code is the
	// provider's:
	Client apps.ClientID `json:"client,omitempty"` // that had it sent, and alone may trade the code
	New    bool          `json:"new,omitempty"`    // whoever presses it becomes a user
}

func hash(q db.Q, space, secret string) string { return q.Vault().Hash("magic link "+space, secret) }

func slot(s authn.Subject) string {
	return "magiclink/" + string(s.Tenant) + "/" + string(s.App) + "/" + string(s.User)
}

// Note is how a link is sent.
type Note struct {
	App      apps.App
	Base     string // the server's own address
	To       string
	Language string // empty: the user's
	Content  message.Content
	Return   string // an address that the client may be sent to, checked by the caller
	Member   string
	State    string
	Life     time.Duration // instead of the setting, if shorter
	Hand     bool          // the caller hands the link over itself
	Number   string        // what its page asks for, if it was shown already; empty: another one
	Client   apps.ClientID // whose code it shall be that the button yields; empty: one for Exchange
	New      bool          // To belongs to nobody yet, and the subject is of its NobodyID
}

// Sent is a link that was made.
type Sent struct {
	Challenge authn.Challenge[link]
	Address   string // of the link: a secret
	Request   string // what Exchange must be shown, if it was asked for
}

// Send makes a link for s, ends the one before, and queues the mail that carries
// it. It returns fault.Limited beyond the links per minute, and beyond twenty
// mails an hour.
func Send(ctx context.Context, tx *db.Tx, s authn.Subject, n Note, request bool) (Sent, error) {
	return send(ctx, tx, s, n, request, false)
}

// Nobody does for a name that belongs to nobody what Send does: it counts,
// refuses and takes as long, so that neither tells who exists (security R30).
// Nothing is sent.
func Nobody(ctx context.Context, tx *db.Tx, s authn.Subject, typed string, n Note) error {
	s.User, n.To = authn.NobodyID(tx, typed), typed
	_, err := send(ctx, tx, s, n, false, true)
	return err
}

func send(ctx context.Context, tx *db.Tx, s authn.Subject, n Note, request, nobody bool) (Sent, error) {
	var set settings
	if err := authn.Settings(ctx, tx, s.App, Kind, &set); err != nil {
		return Sent{}, err
	}
	if err := limit.Take(ctx, tx, "magiclink/"+string(s.Tenant)+"/"+string(s.User), set.PerMinute, time.Minute); err != nil {
		return Sent{}, err
	}
	if !n.Hand { // a pause between two links alone would let 180 mails an hour go to whoever somebody dislikes
		if err := limit.Take(ctx, tx, "magiclink/hour/"+string(s.Tenant)+"/"+string(s.User), perHour, time.Hour); err != nil {
			return Sent{}, err
		}
	}
	secret := rand.Text()
	data := link{Hash: hash(tx, "link", secret), To: n.To, Return: n.Return, Member: n.Member, State: n.State, App: n.App.Name, Client: n.Client, New: n.New}
	out := Sent{}
	if request {
		out.Request = "mlr_" + rand.Text()
		data.Request = hash(tx, "request", out.Request)
	}
	if data.Number = n.Number; n.Return == "" && n.Number == "" {
		d, err := rand.Int(rand.Reader, big.NewInt(90))
		if err != nil {
			return Sent{}, err
		}
		data.Number = strconv.FormatInt(d.Int64()+10, 10)
	}
	life := time.Duration(set.Minutes) * time.Minute
	if n.Life > 0 {
		life = min(life, n.Life)
	}
	var err error
	out.Challenge, _, err = authn.Pose(ctx, tx, authn.Opening{Subject: s, Once: "magiclink/" + db.NewID("lnk_"), Slot: slot(s), Life: life}, data)
	if err != nil {
		return Sent{}, err
	}
	out.Address = n.Base + "/link/" + string(out.Challenge.ID) + "." + secret
	if n.Hand {
		return out, nil
	}
	if n.Language == "" {
		n.Language = directory.Language(ctx, tx, s.Tenant, s.User)
	}
	minutes := strconv.Itoa(int(out.Challenge.Expires.Sub(tx.Now()).Minutes()))
	return out, message.Mail(ctx, tx, n.App, n.To, message.MagicLink, message.Data{Values: map[string]string{"link": out.Address, "minutes": minutes}, Language: n.Language, Style: set.Style, Content: n.Content, Life: life, Nobody: nobody})
}

// Used is the answer to a link that is not, or not any more, good.
var Used = fault.New(fault.Expired, "This link was used or has run out. Have another one sent.")

// look finds the open link of a token, which says nothing about who follows it.
func look(ctx context.Context, q db.Q, token string) (authn.Challenge[link], error) {
	id, secret, _ := strings.Cut(token, ".")
	c, err := authn.Recall[link](ctx, q, authn.ChallengeID(id))
	if fault.Is(err, fault.NotFound) || err == nil && (c.Subject.Kind != Kind || !same(c.Data.Hash, hash(q, "link", secret)) || c.State != authn.Created) {
		return c, Used
	}
	return c, err
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// press is what the button does. Where the browser goes back, it returns the
// address with a code. Otherwise number must be what the waiting page shows:
// then the link is approved, and a wrong one ends it (authn.Wrong, which must be
// committed).
func press(ctx context.Context, tx *db.Tx, token, number string) (address string, err error) {
	c, err := look(ctx, tx, token)
	if err != nil {
		return "", err
	}
	if c.Data.Return != "" {
		code := string(c.ID) + "." + rand.Text()
		c.Data.Code = hash(tx, "code", code)
		if err := authn.Move(ctx, tx, &c, authn.Acknowledged); err != nil {
			return "", Used
		}
		return backend.Address(c.Data.Return, c.Data.Member, code, c.Data.State)
	}
	p, err := authn.Attempt(ctx, tx, c.Subject, func() (authn.CredentialID, error) {
		if !same(c.Data.Number, strings.TrimSpace(number)) {
			return "", authn.Wrong
		}
		return "", verified(ctx, tx, c)
	})
	if fault.Is(err, fault.Wrong) {
		if e := authn.Move(ctx, tx, &c, authn.Denied); e != nil {
			return "", Used
		}
	}
	if err != nil {
		return "", err
	}
	return "", authn.Approve(ctx, tx, &c, p)
}

// carry is what the button does of a link whose code is the provider's: it proves
// the user, who is made by it if the address was nobody's, and ends the link. Wrong,
// of somebody who may not sign in, must be committed.
func carry(ctx context.Context, tx *db.Tx, c authn.Challenge[link]) (authn.Proof, error) {
	if c.Data.New {
		p, err := authn.Newcomer(ctx, tx, c.Subject, c.Data.To, func() error { return nil })
		if err != nil {
			return p, err
		}
		return p, authn.Move(ctx, tx, &c, authn.Cancelled)
	}
	p, err := authn.Attempt(ctx, tx, c.Subject, func() (authn.CredentialID, error) { return "", verified(ctx, tx, c) })
	if err != nil {
		return p, err
	}
	return p, authn.Approve(ctx, tx, &c, p)
}

// verified notes that the address is the user's, if it still is.
func verified(ctx context.Context, tx *db.Tx, c authn.Challenge[link]) error {
	err := directory.Verify(ctx, tx, c.Subject.Tenant, c.Subject.User, directory.Email, c.Data.To)
	if fault.Is(err, fault.NotFound) {
		return authn.Wrong
	}
	return err
}

// Exchange proves a user by the code that their browser came back with, which is
// then spent. A code of another application, a wrong one, or one whose request is
// not shown is Wrong, which is charged and must be committed.
func Exchange(ctx context.Context, tx *db.Tx, app apps.App, code, request string) (authn.Proof, error) {
	id, _, _ := strings.Cut(code, ".")
	c, err := authn.Recall[link](ctx, tx, authn.ChallengeID(id))
	if fault.Is(err, fault.NotFound) || err == nil && (c.Subject.Kind != Kind || c.Subject.App != app.ID) {
		return authn.Proof{}, authn.Wrong // nobody's: there is nobody to charge
	}
	if err != nil {
		return authn.Proof{}, err
	}
	p, err := authn.Attempt(ctx, tx, c.Subject, func() (authn.CredentialID, error) {
		if c.Data.Code == "" || !same(c.Data.Code, hash(tx, "code", code)) || c.Data.Request != "" && !same(c.Data.Request, hash(tx, "request", request)) {
			return "", authn.Wrong
		}
		if c.State != authn.Acknowledged {
			return "", Used
		}
		return "", verified(ctx, tx, c)
	})
	if err != nil {
		return p, err
	}
	if err := authn.Approve(ctx, tx, &c, p); err != nil {
		return authn.Proof{}, Used
	}
	return p, nil
}
