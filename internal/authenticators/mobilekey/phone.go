package mobilekey

import (
	"context"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// format of a key that is an assertion of WebAuthn.
const webauthn = "webauthn"

// onPhone is how keys of a kind live on the phone app of our own: biometrics as a
// credential of the platform authenticator, the PIN as a key that is made of what
// was typed.
func onPhone(kind authn.Kind) *authn.OnPhone {
	return &authn.OnPhone{
		Enrol: func(ctx context.Context, tx *db.Tx, s authn.Subject, base string, k authn.PhoneKey) (authn.CredentialID, error) {
			s.Kind = kind
			n := NewKey{ID: k.ID, Public: k.Public, OS: "web", Label: k.Label, Base: base}
			if kind == Biometric { // a bare key of a browser is behind nobody's finger
				n.Format, n.Origin = webauthn, k.Origin
			}
			return Enrol(ctx, tx, s, n)
		},
		Confirm: func(ctx context.Context, tx *db.Tx, s authn.Subject, id, signature, challenge string) (authn.Proof, error) {
			s.Kind = kind
			p, _, err := Verify(ctx, tx, s, id, signature, challenge)
			return p, err
		},
		Move: func(ctx context.Context, tx *db.Tx, s authn.Subject, to directory.DeviceID) error {
			s.Kind = kind
			return relocate(ctx, tx, s, to)
		},
		Policy: func(ctx context.Context, q db.Q, s authn.Subject) (map[string]any, error) {
			var set settings
			err := authn.Settings(ctx, q, s.App, kind, &set)
			if fault.Is(err, fault.Denied) || err == nil && set.Attestation == "enforce" {
				return nil, nil // off, or only for phones that somebody vouches for
			}
			return map[string]any{"min_length": set.MinLength}, err
		},
	}
}

// relocate gives the keys of a phone to its new device key.
func relocate(ctx context.Context, tx *db.Tx, s authn.Subject, to directory.DeviceID) error {
	have, err := authn.AllCredentials[key](ctx, tx, s)
	if err != nil {
		return err
	}
	for _, c := range have {
		if c.Data.DeviceKey != string(s.Device) {
			continue
		}
		c.Data.DeviceKey = string(to)
		if err := authn.Relocate(ctx, tx, c, to); err != nil {
			return err
		}
	}
	return nil
}
