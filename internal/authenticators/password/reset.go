package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/limit"
	"github.com/watchword-auth/watchword/internal/message"
	"github.com/watchword-auth/watchword/internal/notify"
)

// reset is what lets a user choose another password: a code that was sent, or
// the token that it was exchanged for. It lies with the password, so that a new
// password ends it and a user without one has nothing to reset.
type reset struct {
	Hash  string                   `json:"hash"`
	To    string                   `json:"to"`
	Via   directory.IdentifierKind `json:"via"`
	Until time.Time                `json:"until"`
}

// The key spaces of what is kept of a reset: a code is no token (security R05).
const (
	byCode  = "password reset code"
	byToken = "password reset token"
)

func resetHash(q db.Q, space string, u directory.UserID, secret string) string {
	return q.Vault().Hash(space, string(u)+"/"+secret)
}

// Asked is a wish for a reset.
type Asked struct {
	App      apps.App
	Typed    string // the name by which the user was looked for
	Via      directory.IdentifierKind
	Language string
	Base     string // by a link instead of a code, to a page of this server
	Return   string // or to this page of the application's, checked by the caller, with reset_token
}

// SendReset sends a user a code, or a link, that lets them choose another
// password; err is
// what finding them said. Somebody unknown, without a password or without such
// an address, gets nothing, and the caller is told the same: nil, or
// fault.Limited after five in a quarter of an hour. A code ends the one before,
// and forgives no failure.
func SendReset(ctx context.Context, tx *db.Tx, u directory.User, err error, a Asked) error {
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	var set settings
	if err := authn.Settings(ctx, tx, a.App.ID, Kind, &set); err != nil {
		return err
	}
	who := "user/" + string(u.ID)
	if u.ID == "" {
		who = "name/" + directory.NameKey(a.Typed)
	}
	if err := limit.Take(ctx, tx, "password/reset/"+string(a.App.Tenant)+"/"+string(a.App.ID)+"/"+who, 5, 15*time.Minute); err != nil {
		return err
	}
	s := authn.Subject{Kind: Kind, Tenant: a.App.Tenant, App: a.App.ID, User: u.ID}
	creds, err := authn.Credentials[kept](ctx, tx, s)
	if err != nil {
		return err
	}
	to, err := address(ctx, tx, u.ID, a.Via)
	if err != nil {
		return err
	}
	if to != "" && a.Via == directory.Phone {
		if to, err = affordable(ctx, tx, s, to); err != nil {
			return err
		}
	}
	if to == "" || len(creds) == 0 {
		return sendNobody(ctx, tx, s, set, a)
	}
	if a.Language == "" {
		a.Language = directory.Language(ctx, tx, u.Tenant, u.ID)
	}
	return sendReset(ctx, tx, creds[0], set, to, a)
}

// affordable is a number that a text message may go to, or "" if the bounds of
// those that carry codes keep it from there: whoever asked is told the same.
func affordable(ctx context.Context, tx *db.Tx, s authn.Subject, to string) (string, error) {
	var set struct {
		Countries []string `json:"countries"`
	}
	for _, m := range authn.Methods() {
		if m.Reaches != directory.Phone {
			continue
		}
		if err := authn.Settings(ctx, tx, s.App, m.Kind, &set); err != nil && !errors.Is(err, authn.Disabled) {
			return "", err
		}
	}
	err := notify.Toll(ctx, tx, string(s.Tenant), to, set.Countries)
	if fault.Is(err, fault.Invalid) || fault.Is(err, fault.Limited) {
		return "", nil
	}
	return to, err
}

// sendNobody takes as long as sendReset and sends nothing.
func sendNobody(ctx context.Context, tx *db.Tx, s authn.Subject, set settings, a Asked) error {
	s.User = authn.NobodyID(tx, a.Typed)
	code := rand.Text()
	r := reset{Hash: resetHash(tx, byCode, s.User, code), To: a.Typed, Via: a.Via, Until: tx.Now().Add(time.Hour)}
	if _, _, err := authn.Pose(ctx, tx, authn.Opening{Subject: s, Once: "reset/" + code, Slot: "reset/" + string(s.App) + "/" + string(s.User), Life: time.Minute}, r); err != nil {
		return err
	}
	d := message.Data{Values: map[string]string{"code": code}, Language: directory.Language(ctx, tx, s.Tenant, s.User), Style: set.Style, Nobody: true}
	if a.Via == directory.Phone {
		return message.SMS(ctx, tx, a.App, a.Typed, message.ResetCode, d)
	}
	return message.Mail(ctx, tx, a.App, a.Typed, message.ResetCode, d)
}

func sendReset(ctx context.Context, tx *db.Tx, c authn.Credential[kept], set settings, to string, a Asked) error {
	if a.Base != "" {
		return sendLink(ctx, tx, c, set, to, a)
	}
	n, err := rand.Int(rand.Reader, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(set.ResetLength)), nil))
	if err != nil {
		return err
	}
	code, life := fmt.Sprintf("%0*d", set.ResetLength, n), time.Duration(set.ResetMinutes)*time.Minute
	c.Data.Reset = &reset{Hash: resetHash(tx, byCode, c.Subject.User, code), To: to, Via: a.Via, Until: tx.Now().Add(life)}
	if err := authn.Use(ctx, tx, c); err != nil {
		return err
	}
	d := message.Data{Values: map[string]string{"code": code, "minutes": strconv.Itoa(set.ResetMinutes)}, Language: a.Language, Style: set.Style, Life: life}
	if a.Via == directory.Phone {
		return message.SMS(ctx, tx, a.App, to, message.ResetCode, d)
	}
	return message.Mail(ctx, tx, a.App, to, message.ResetCode, d)
}

// sendLink mails a link that holds the token which a code is exchanged for.
func sendLink(ctx context.Context, tx *db.Tx, c authn.Credential[kept], set settings, to string, a Asked) error {
	secret, life := rand.Text(), time.Duration(set.ResetMinutes)*time.Minute
	c.Data.Reset = &reset{Hash: resetHash(tx, byToken, c.Subject.User, secret), To: to, Via: directory.Email, Until: tx.Now().Add(life)}
	if err := authn.Use(ctx, tx, c); err != nil {
		return err
	}
	token := tokenOf(c.Subject.User, secret)
	link := a.Base + "/password/reset/" + string(a.App.ID) + "/" + token
	if a.Return != "" {
		u, err := url.Parse(a.Return)
		if err != nil {
			return err
		}
		q := u.Query()
		q.Set("reset_token", token)
		u.RawQuery = q.Encode()
		link = u.String()
	}
	return message.Mail(ctx, tx, a.App, to, message.ResetLink, message.Data{Values: map[string]string{"link": link, "minutes": strconv.Itoa(set.ResetMinutes)}, Language: a.Language, Style: set.Style, Life: life})
}

func tokenOf(u directory.UserID, secret string) string { return "prt_" + string(u) + "." + secret }

// late is the answer to a right code or token that came too late. It is not
// charged.
var late = fault.New(fault.Expired, "This has run out. Have another one sent.")

// find is the password of s if secret is what its reset waits for: Wrong if it is
// not, late if it has run out.
func find(ctx context.Context, q db.Q, s authn.Subject, space, secret string) (authn.Credential[kept], error) {
	creds, err := authn.Credentials[kept](ctx, q, s)
	if err != nil {
		return authn.Credential[kept]{}, err
	}
	want := resetHash(q, space, s.User, secret)
	if len(creds) == 0 || creds[0].Data.Reset == nil || subtle.ConstantTimeCompare([]byte(creds[0].Data.Reset.Hash), []byte(want)) != 1 {
		return authn.Credential[kept]{}, authn.Wrong
	}
	if !q.Now().Before(creds[0].Data.Reset.Until) {
		return authn.Credential[kept]{}, late
	}
	return creds[0], nil
}

// trimmed is a code as it was sent.
func trimmed(code string) string { return strings.ReplaceAll(strings.TrimSpace(code), " ", "") }

// Exchange spends a code for a token that is good for one reset. Wrong is charged
// to the password, whose lock it shares, and must be committed. Whoever read the
// code has shown that the address is theirs.
func Exchange(ctx context.Context, tx *db.Tx, s authn.Subject, code string) (token string, err error) {
	s.Kind = Kind
	_, err = authn.Attempt(ctx, tx, s, func() (authn.CredentialID, error) {
		c, err := find(ctx, tx, s, byCode, trimmed(code))
		if err != nil {
			return "", err
		}
		var set settings
		if err := authn.Settings(ctx, tx, s.App, Kind, &set); err != nil {
			return "", err
		}
		if err := verified(ctx, tx, s, *c.Data.Reset); err != nil {
			return "", err
		}
		secret := rand.Text()
		token = tokenOf(s.User, secret)
		r := *c.Data.Reset
		r.Hash, r.Until = resetHash(tx, byToken, s.User, secret), tx.Now().Add(time.Duration(set.ResetMinutes)*time.Minute)
		c.Data.Reset = &r
		return c.ID, authn.Use(ctx, tx, c)
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// verified notes that the address is the user's, if it still is.
func verified(ctx context.Context, tx *db.Tx, s authn.Subject, r reset) error {
	err := directory.Verify(ctx, tx, s.Tenant, s.User, r.Via, r.To)
	if fault.Is(err, fault.NotFound) {
		return authn.Wrong
	}
	return err
}

// Redemption is a reset that was judged, with the new password, outside any
// transaction. Settle it.
type Redemption struct {
	verdict authn.Verdict
	fresh   Fresh
	subject authn.Subject
	reset   reset
}

// Redeem judges a code, or the token that it was exchanged for, and then a new
// password; err is what finding the user said. The code is charged before it is
// judged; a new password that will not do is fault.Invalid from Settle, spends
// nothing and is not charged, but nobody learns of it without the code.
func Redeem(ctx context.Context, d *db.DB, app apps.App, u directory.User, err error, r Given) (Redemption, error) {
	s := authn.Subject{Kind: Kind, Tenant: app.Tenant, App: app.ID, User: u.ID}
	out := Redemption{subject: s}
	if fault.Is(err, fault.NotFound) {
		s.User, err = authn.NobodyID(d, r.Typed), nil
	}
	if err != nil {
		return out, err
	}
	out.verdict = authn.Weigh(ctx, d, s, func() (authn.CredentialID, error) {
		c, err := find(ctx, d, s, r.space, r.secret)
		if err != nil {
			return "", err
		}
		if err := second(ctx, d, s, c.Data.Reset.Via, r.Proofs); err != nil {
			return "", err
		}
		out.reset = *c.Data.Reset
		out.fresh, err = Prepare(ctx, d, app, u, r.Password, false)
		return c.ID, err
	})
	return out, nil
}

// Given is what somebody hands in to choose a new password.
type Given struct {
	Typed    string // the name by which the user was looked for
	Password string
	Proofs   []authn.Proof // what else was proven
	space    string
	secret   string
}

// WithCode hands in a code that was sent.
func (g Given) WithCode(code string) Given {
	g.space, g.secret = byCode, trimmed(code)
	return g
}

// WithToken hands in a token and returns for whom it is: nobody else can be
// chosen (security R56).
func (g Given) WithToken(token string) (Given, directory.UserID) {
	rest, _ := strings.CutPrefix(token, "prt_")
	user, secret, _ := strings.Cut(rest, ".")
	g.space, g.secret, g.Typed = byToken, secret, user
	return g, directory.UserID(user)
}

// second returns fault.Denied if the settings demand another factor for a reset
// and none of proofs is one: of the same user, by another method than the
// password, and not by what is sent to where the code was sent.
func second(ctx context.Context, q db.Q, s authn.Subject, via directory.IdentifierKind, proofs []authn.Proof) error {
	var set settings
	if err := authn.Settings(ctx, q, s.App, Kind, &set); err != nil || !set.ResetMFA {
		return err
	}
	reaches := map[authn.Kind]directory.IdentifierKind{}
	for _, m := range authn.Methods() {
		reaches[m.Kind] = m.Reaches
	}
	for _, p := range proofs {
		if p.User() == s.User && p.App() == s.App && p.Kind() != Kind && reaches[p.Kind()] != via {
			return authn.Recheck(ctx, q, p)
		}
	}
	return backend.Code(fault.New(fault.Denied, "Prove who you are in another way first."), "auth_password_reset_mfa")
}

// Settle sets the new password, in the transaction that relies on it, and spends
// the reset: of many at once one does. It proves nobody. Wrong must be committed.
func (r Redemption) Settle(ctx context.Context, tx *db.Tx) (authn.CredentialID, error) {
	if _, err := r.verdict.Settle(ctx, tx); err != nil {
		return "", err
	}
	creds, err := authn.Credentials[kept](ctx, tx, r.subject)
	if err != nil {
		return "", err
	}
	if len(creds) == 0 || creds[0].Data.Reset == nil || creds[0].Data.Reset.Hash != r.reset.Hash {
		return "", fault.New(fault.Conflict, "This was used a moment ago.")
	}
	if err := verified(ctx, tx, r.subject, r.reset); err != nil {
		return "", err
	}
	return creds[0].ID, replace(ctx, tx, creds[0], r.fresh, false)
}
