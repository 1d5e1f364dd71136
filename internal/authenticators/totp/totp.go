// Package totp is the method of an authenticator app: a secret that the server
// and the app share, and codes of the time (RFC 6238, seed 001). A user may have
// several in an application, a code is tried against all of them, and no code of
// any is good twice.
package totp

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// Kind names the method.
const Kind authn.Kind = "totp"

// How the code of a challenge is made.
const (
	derivedKey = "derived-key" // as the vendor's generator does (mosaic-protocol 3.4)
	ocra       = "ocra"        // RFC 6287
)

// qrLabel says what the code is to those who listen.
const qrLabel = "QR code for your authenticator app"

func init() {
	authn.Register(authn.Method{
		Kind: Kind, Title: "Authenticator app", Lives: authn.PerApp, Counts: authn.PerApp, Unlock: authn.PerApp, Tells: true, Untried: true, AMR: []string{"otp"},
		Config: append(form.New(
			form.Number("max_per_user", "Authenticators per user", form.Default(1), form.Between(1, 50), form.Help("When the limit is reached, new registrations are blocked.")),
			form.Choice("algorithm", "Hash algorithm", []string{"sha1", "sha256", "sha512"}, form.Default("sha1"), form.Named, form.Read("sha1", "SHA-1", "sha256", "SHA-256", "sha512", "SHA-512"), form.Help("Many public apps know SHA-1 only.")),
			form.Number("digits", "Digits", form.Default(6), form.Between(6, 8)),
			form.Number("period", "Seconds that a code is shown", form.Default(30), form.Between(15, 120)),
			form.Number("window", "Codes before and after the current one that are good", form.Default(1), form.Between(0, 5)),
			form.Choice("signing", "How transactions are signed", []string{derivedKey, ocra}, form.Default(derivedKey), form.Named, form.Read(derivedKey, "With a key made of the transaction", ocra, "OCRA, RFC 6287")),
		), lockout.Fields(100, lockout.Tier{Failures: 5, Minutes: 1}, lockout.Tier{Failures: 8, Minutes: 15}, lockout.Tier{Failures: 10, Minutes: 60})...),
		Lint: lint,
	})
}

type settings struct {
	Max       int    `json:"max_per_user"`
	Algorithm string `json:"algorithm"`
	Digits    int    `json:"digits"`
	Period    int    `json:"period"`
	Window    int    `json:"window"`
	Signing   string `json:"signing"`
}

// secret is what the server keeps of an authenticator. The code's shape is that
// of its registration: later settings do not change what an app shows.
type secret struct {
	Text      string `json:"text"` // base32, exactly as it was handed out
	Algorithm string `json:"algorithm"`
	Digits    int    `json:"digits"`
	Period    int    `json:"period"` // seconds
	Last      int64  `json:"last"`   // the newest step that was used
	Confirmed bool   `json:"confirmed"`
	Signed    string `json:"signed,omitempty"` // the newest challenge and step that were used to sign
}

// Enrolment is a new authenticator, with what the app needs to know. It is told
// once.
type Enrolment struct {
	ID        authn.CredentialID
	Secret    string // base32 without padding
	URI       string // otpauth
	Label     string
	Issuer    string
	Algorithm string
	Digits    int
	Period    int
}

// Refusals of an enrolment (seed 001).
var (
	Registered = fault.New(fault.Conflict, "There is an authenticator app already.")
	TooMany    = fault.New(fault.Limited, "No more authenticator apps can be added.")
)

// Enrol makes a new authenticator for s, named label, of an issuer. Where one is
// allowed and there is one, it is Registered, unless override, which replaces it;
// where several are allowed the limit is TooMany, with or without override. The
// authenticator counts from now on, whether or not an app ever has it.
func Enrol(ctx context.Context, tx *db.Tx, s authn.Subject, issuer, label string, override bool) (Enrolment, error) {
	s.Kind = Kind
	var set settings
	if err := authn.Settings(ctx, tx, s.App, Kind, &set); err != nil {
		return Enrolment{}, err
	}
	if err := directory.Touch(ctx, tx, s.User); err != nil { // of two at once the second sees the first
		return Enrolment{}, err
	}
	have, err := authn.Credentials[secret](ctx, tx, s)
	if err != nil {
		return Enrolment{}, err
	}
	switch {
	case len(have) < set.Max:
	case set.Max > 1:
		return Enrolment{}, TooMany
	case !override:
		return Enrolment{}, Registered
	default:
		for _, c := range have {
			if err := authn.Remove(ctx, tx, s, c.ID); err != nil {
				return Enrolment{}, err
			}
		}
	}
	if label == "" {
		if label, err = directory.Label(ctx, tx, s.User); err != nil {
			return Enrolment{}, err
		}
	}
	return enrol(ctx, tx, s, set, issuer, label)
}

// sizes are the key sizes in bytes that fit each algorithm (RFC 6238 appendix A).
var sizes = map[string]int{"sha1": 20, "sha256": 32, "sha512": 64}

func enrol(ctx context.Context, tx *db.Tx, s authn.Subject, set settings, issuer, label string) (Enrolment, error) {
	key := make([]byte, sizes[set.Algorithm])
	rand.Read(key)
	sec := secret{Text: base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key), Algorithm: set.Algorithm, Digits: set.Digits, Period: set.Period}
	return store(ctx, tx, s, sec, issuer, label)
}

func store(ctx context.Context, tx *db.Tx, s authn.Subject, sec secret, issuer, label string) (Enrolment, error) {
	if r := []rune(label); len(r) > 100 {
		label = string(r[:100])
	}
	id, err := authn.Enroll(ctx, tx, s, "", label, sec)
	return Enrolment{ID: id, Secret: sec.Text, URI: uri(issuer, label, sec), Label: label, Issuer: issuer, Algorithm: sec.Algorithm, Digits: sec.Digits, Period: sec.Period}, err
}

// uri is the address that an app scans. It names everything, defaults too: some
// apps refuse what is left out (mosaic-protocol 3.3).
func uri(issuer, label string, s secret) string {
	clean := strings.NewReplacer(":", " ").Replace // it parts issuer and label
	return fmt.Sprintf("otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=%s&digits=%d&period=%d",
		url.PathEscape(clean(issuer)), url.PathEscape(clean(label)), s.Text, strings.ReplaceAll(url.QueryEscape(clean(issuer)), "+", "%20"), strings.ToUpper(s.Algorithm), s.Digits, s.Period)
}

// Verify proves a user by a code of any of their authenticators. A code that was
// used before is Wrong, as is one older than a code that was used. Wrong is
// charged and must be committed.
func Verify(ctx context.Context, tx *db.Tx, s authn.Subject, typed string) (authn.Proof, error) {
	s.Kind = Kind
	return authn.Attempt(ctx, tx, s, func() (authn.CredentialID, error) {
		set, creds, err := enrolled(ctx, tx, s)
		if err != nil {
			return "", err
		}
		now := tx.Now()
		var hit *authn.Credential[secret]
		for i := range creds { // all of them, so that the time says nothing
			c := &creds[i]
			step, ok := match(c.Data, c.Data.key(), set.Window, typed, now)
			if ok && step > c.Data.Last && hit == nil {
				c.Data.Last, c.Data.Confirmed = step, true
				hit = c
			}
		}
		if hit == nil {
			return "", authn.Wrong
		}
		return hit.ID, authn.Use(ctx, tx, *hit)
	})
}

// Sign proves that a user answered a challenge with one of their authenticators.
// It is good once.
func Sign(ctx context.Context, tx *db.Tx, s authn.Subject, challenge, typed string) (authn.Proof, error) {
	s.Kind = Kind
	return authn.Attempt(ctx, tx, s, func() (authn.CredentialID, error) {
		set, creds, err := enrolled(ctx, tx, s)
		if err != nil {
			return "", err
		}
		now := tx.Now()
		var hit *authn.Credential[secret]
		for i := range creds {
			c := &creds[i]
			step, ok := signed(c.Data, set, challenge, typed, now)
			used := challenge + "/" + strconv.FormatInt(step, 10)
			if ok && c.Data.Signed != used && hit == nil {
				c.Data.Signed, c.Data.Confirmed = used, true
				hit = c
			}
		}
		if hit == nil {
			return "", authn.Wrong
		}
		return hit.ID, authn.Use(ctx, tx, *hit)
	})
}

func enrolled(ctx context.Context, tx *db.Tx, s authn.Subject) (settings, []authn.Credential[secret], error) {
	var set settings
	if err := authn.Settings(ctx, tx, s.App, Kind, &set); err != nil {
		return set, nil, err
	}
	creds, err := authn.Credentials[secret](ctx, tx, s)
	return set, creds, err
}

// Revoke takes one authenticator from a user; fault.NotFound if it is not one of
// theirs. An empty id means the only one: fault.Invalid if there are several. The
// last thing that a user could sign in with stays (authn.LastFactor) unless force.
func Revoke(ctx context.Context, tx *db.Tx, s authn.Subject, id authn.CredentialID, force bool) error {
	s.Kind = Kind
	creds, err := authn.Credentials[secret](ctx, tx, s)
	if err != nil {
		return err
	}
	if id == "" && len(creds) > 1 {
		return fault.New(fault.Invalid, "There are several authenticator apps: say which one.")
	}
	for _, c := range creds {
		if id == "" || c.ID == id {
			return authn.Delete(ctx, tx, s, c.ID, force)
		}
	}
	return fault.New(fault.NotFound, "no such authenticator")
}
