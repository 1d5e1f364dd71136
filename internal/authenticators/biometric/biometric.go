// Package biometric is the method of a key that a phone keeps behind its
// owner's finger or face: the phone signs a challenge, and that it could is the
// proof. The server never sees a biometric. A credential belongs to a user, an
// application and one phone; the phone is named by the hash of its device key,
// because the seeds register the biometric key before the device itself.
package biometric

import (
	"context"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// Kind names the method.
const Kind authn.Kind = "biometric"

func init() {
	authn.Register(authn.Method{
		Kind: Kind, Title: "Mobile biometrics", Lives: authn.PerApp, Counts: authn.PerDevice, Unlock: authn.PerApp,
		AMR: []string{"hwk", "user"}, MultiFactor: true,
		Config: append(form.New(
			form.Number("max_keys", "Phones per user", form.Default(10), form.Between(1, 50)),
		), lockout.Fields(100, lockout.Tier{Failures: 5, Minutes: 1}, lockout.Tier{Failures: 8, Minutes: 15}, lockout.Tier{Failures: 10, Minutes: 60})...),
	})
}

type settings struct {
	MaxKeys int `json:"max_keys"`
}

// key is what the server keeps of a biometric key.
type key struct {
	SPKI      []byte `json:"spki"`
	DeviceKey string `json:"device_key"` // hex SHA-256 of the phone's device key
	OS        string `json:"os"`
}

// Enrol stores a phone's biometric key for a user. s.Device must name the phone
// by its device key's hash. A phone that enrols again replaces its old key. It
// returns fault.Invalid for a bad key, fault.Conflict if the key id is taken and
// fault.Limited if the user has too many phones.
func Enrol(ctx context.Context, tx *db.Tx, s authn.Subject, keyID, publicKey, os, label string) (authn.CredentialID, error) {
	s.Kind = Kind
	var set settings
	if err := authn.Settings(ctx, tx, s.App, Kind, &set); err != nil {
		return "", err
	}
	if s.Device == "" || keyID == "" || len(keyID) > 256 {
		return "", fault.New(fault.Invalid, "The phone did not say which key this is.")
	}
	pub, err := directory.ParseKey(publicKey)
	if err != nil {
		return "", err
	}
	have, err := authn.AllCredentials[key](ctx, tx, s)
	if err != nil {
		return "", err
	}
	kept := 0
	for _, c := range have {
		if c.Data.DeviceKey != string(s.Device) {
			kept++
		} else if err := authn.Remove(ctx, tx, s, c.ID); err != nil {
			return "", err
		}
	}
	if kept >= set.MaxKeys {
		return "", fault.New(fault.Limited, "No more phones can be added.")
	}
	return authn.Enroll(ctx, tx, s, string(s.User)+"/"+keyID, label, key{pub.SPKI(), string(s.Device), os})
}

// Verify proves a user by their phone's signature over a challenge that was
// made for this visit. s.Device names the phone. Wrong is charged to the phone's
// counter and must be committed.
func Verify(ctx context.Context, tx *db.Tx, s authn.Subject, keyID, challenge, signature string) (authn.Proof, error) {
	s.Kind = Kind
	return authn.Attempt(ctx, tx, s, func() (authn.CredentialID, error) {
		if barred, err := directory.Barred(ctx, tx, s.App, s.User, string(s.Device)); err != nil || barred {
			return "", wrongOr(err)
		}
		creds, err := authn.AllCredentials[key](ctx, tx, s)
		if err != nil {
			return "", err
		}
		for _, c := range creds {
			if c.Handle != string(s.User)+"/"+keyID || c.Data.DeviceKey != string(s.Device) {
				continue
			}
			pub, err := directory.ParseKeyDER(c.Data.SPKI)
			if err != nil {
				return "", err
			}
			if pub.Verify([]byte(challenge), signature) {
				return c.ID, authn.Use(ctx, tx, c)
			}
		}
		return "", authn.Wrong
	})
}

// Delete removes the biometric key of one phone, or does nothing if it has
// none.
func Delete(ctx context.Context, tx *db.Tx, s authn.Subject) error {
	s.Kind = Kind
	creds, err := authn.AllCredentials[key](ctx, tx, s)
	if err != nil {
		return err
	}
	for _, c := range creds {
		if c.Data.DeviceKey != string(s.Device) {
			continue
		}
		if err := authn.Remove(ctx, tx, s, c.ID); err != nil {
			return err
		}
	}
	return nil
}

func wrongOr(err error) error {
	if err != nil {
		return err
	}
	return authn.Wrong
}
