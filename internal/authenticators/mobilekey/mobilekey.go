// Package mobilekey is the method of a key that a phone keeps for its owner and
// that signs a challenge. It has two kinds, which are one implementation:
// biometrics, where the system opens the key after a finger or a face, and the
// PIN, where the app derives the key from what was typed. The server never sees
// a finger or a PIN.
//
// A wrong PIN makes a key, too, only another one: the phone cannot tell, and
// neither can whoever stole it. The server is the only judge, and its lockout the
// only thing between a thief and ten thousand tries (authenticators.md 7).
//
// A credential belongs to a user, an application and one phone; the phone is
// named by the hash of its device key, because the seeds register these keys
// before the device itself.
package mobilekey

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// The kinds.
const (
	Biometric authn.Kind = "biometric"
	PIN       authn.Kind = "pin"
)

func init() {
	most := form.Number("max_keys", "Phones per user", form.Default(10), form.Between(1, 50))
	authn.Register(authn.Method{
		Kind: Biometric, Title: "Mobile biometrics", Lives: authn.PerApp, Counts: authn.PerDevice, Unlock: authn.PerApp, Tells: true,
		AMR: []string{"hwk", "user", "mfa"}, MultiFactor: true, Lint: lintAttestation, OnPhone: onPhone(Biometric),
		Config: append(append(form.New(most), attestationFields()...),
			lockout.Fields(100, lockout.Tier{Failures: 5, Minutes: 1}, lockout.Tier{Failures: 8, Minutes: 15}, lockout.Tier{Failures: 10, Minutes: 60})...),
	})
	authn.Register(authn.Method{
		Kind: PIN, Title: "Mobile PIN", Lives: authn.PerApp, Counts: authn.PerDevice, Unlock: authn.PerApp, Tells: true,
		AMR: []string{"swk", "pin", "mfa"}, MultiFactor: true, Lint: lintPIN, OnPhone: onPhone(PIN),
		Config: append(form.New(most,
			form.Number("min_length", "Digits at least", form.Default(6), form.Between(4, 12), form.Help("The app keeps to it: no PIN leaves the phone.")),
		), lockout.Fields(10, lockout.Tier{Failures: 3, Minutes: 1}, lockout.Tier{Failures: 5, Minutes: 15}, lockout.Tier{Failures: 8, Minutes: 60})...),
	})
}

type settings struct {
	MaxKeys   int `json:"max_keys"`
	MinLength int `json:"min_length"` // of PINs
	attestation
}

func lintPIN(doc map[string]any) []authn.Note {
	if n, _ := strconv.Atoi(fmt.Sprint(doc["min_length"])); n < 6 {
		return []authn.Note{{Code: "pin_short", Severity: authn.Warning, Field: "min_length", Message: "A PIN should have at least six digits.", Ref: "NIST SP 800-63B-4 3.2.10"}}
	}
	return nil
}

// key is what the server keeps of a phone's key.
type key struct {
	SPKI      []byte  `json:"spki"`
	DeviceKey string  `json:"device_key"` // hex SHA-256 of the phone's device key, or what else names the phone
	OS        string  `json:"os"`
	Attested  string  `json:"attested,omitempty"` // what vouched for the key: "android-key", "apple-appattest"
	Web       *webKey `json:"web,omitempty"`      // it signs as WebAuthn does
}

// signed reports whether signature is this key's over text.
func (k key) signed(text, signature string) (bool, error) {
	if k.Web != nil {
		return k.Web.signed(k.SPKI, text, signature), nil
	}
	pub, err := directory.ParseKeyDER(k.SPKI)
	return err == nil && pub.Verify([]byte(text), signature), err
}

// NewKey is what a phone says of the key that it made.
type NewKey struct {
	ID, Public, OS, Label string
	Type                  string // begins with "rsa" or "ec"; empty: not said
	Vouched               Vouched
	Format, Origin        string // "webauthn" and the page that made it, or empty
	Base                  string // where this server is reached; for WebAuthn
}

// The answers to a key that cannot be.
var (
	NoName   = fault.New(fault.Invalid, "The phone did not say which key this is.")
	OtherKey = fault.New(fault.Invalid, "The key is not of the type that was said.")
	TooMany  = fault.New(fault.Limited, "No more phones can be added.")
)

// Enrol stores a phone's key for a user. s.Device must name the phone. A phone
// that enrols again replaces its old key. It returns fault.Invalid for a bad key,
// fault.Conflict if the key id is taken, TooMany if the user has too many phones,
// and NotVouched if the application wants keys that somebody vouches for.
func Enrol(ctx context.Context, tx *db.Tx, s authn.Subject, n NewKey) (authn.CredentialID, error) {
	var set settings
	if err := authn.Settings(ctx, tx, s.App, s.Kind, &set); err != nil {
		return "", err
	}
	if s.Device == "" || n.ID == "" || len(n.ID) > 256 {
		return "", NoName
	}
	pub, err := directory.ParseKey(n.Public)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(strings.ToLower(n.Type), pub.Type()) && n.Type != "" { // "ec", "EC", "ecdsa"
		return "", OtherKey
	}
	vouched, err := set.accept(ctx, tx, s, n.Vouched, pub)
	if err != nil {
		return "", err
	}
	k := key{SPKI: pub.SPKI(), DeviceKey: string(s.Device), OS: n.OS, Attested: vouched}
	switch n.Format {
	case "":
	case webauthn:
		if k.Web, err = webKeyAt(n.Base, n.Origin); err != nil {
			return "", err
		}
	default:
		return "", OtherKey
	}
	if err := set.makeRoom(ctx, tx, s); err != nil {
		return "", err
	}
	return authn.Enroll(ctx, tx, s, handle(s, n.ID), n.Label, k)
}

// makeRoom removes the key that the phone of s had before, or returns TooMany if
// it would be one phone too many.
func (set settings) makeRoom(ctx context.Context, tx *db.Tx, s authn.Subject) error {
	have, err := authn.AllCredentials[key](ctx, tx, s)
	if err != nil {
		return err
	}
	kept := 0
	for _, c := range have {
		if c.Data.DeviceKey != string(s.Device) {
			kept++
		} else if err := authn.Remove(ctx, tx, s, c.ID); err != nil {
			return err
		}
	}
	if kept >= set.MaxKeys {
		return TooMany
	}
	return nil
}

// handle is by what a key is found again: two users of one phone may have a key
// of the same name.
func handle(s authn.Subject, keyID string) string { return string(s.User) + "/" + keyID }

// Verify proves a user by their phone's signature over one of the challenges that
// were made for them, and tells over which. s.Device names the phone. Wrong is
// charged to the phone's counter and must be committed.
func Verify(ctx context.Context, tx *db.Tx, s authn.Subject, keyID, signature string, challenges ...string) (p authn.Proof, over int, err error) {
	p, err = authn.Attempt(ctx, tx, s, func() (authn.CredentialID, error) {
		if barred, err := directory.Barred(ctx, tx, s.App, s.User, string(s.Device)); err != nil || barred {
			return "", wrongOr(err)
		}
		creds, err := authn.AllCredentials[key](ctx, tx, s)
		if err != nil {
			return "", err
		}
		for _, c := range creds {
			if c.Handle != handle(s, keyID) || c.Data.DeviceKey != string(s.Device) {
				continue
			}
			for i, text := range challenges {
				if text == "" {
					continue
				}
				ok, err := c.Data.signed(text, signature)
				if err != nil {
					return "", err
				}
				if ok {
					over = i
					return c.ID, authn.Use(ctx, tx, c)
				}
			}
		}
		return "", authn.Wrong
	})
	return p, over, err
}

// Delete removes the key of one phone, or does nothing if it has none.
func Delete(ctx context.Context, tx *db.Tx, s authn.Subject) error {
	creds, err := authn.AllCredentials[key](ctx, tx, s)
	if err != nil {
		return err
	}
	for _, c := range creds {
		if c.Data.DeviceKey != string(s.Device) {
			continue
		}
		if err := authn.Revoke(ctx, tx, s, c.ID); err != nil {
			return err
		}
	}
	return nil
}

// nowhere is the phone that wrong names of keys are charged to.
const nowhere directory.DeviceID = "unknown"

// at is s on the phone that has a key of this name. A name that no phone has is
// charged like a wrong signature.
func at(ctx context.Context, q db.Q, s authn.Subject, keyID string) (authn.Subject, error) {
	creds, err := authn.AllCredentials[key](ctx, q, s)
	s.Device = nowhere
	for _, c := range creds {
		if c.Handle == handle(s, keyID) {
			s.Device = directory.DeviceID(c.Data.DeviceKey)
		}
	}
	return s, err
}

func wrongOr(err error) error {
	if err != nil {
		return err
	}
	return authn.Wrong
}
