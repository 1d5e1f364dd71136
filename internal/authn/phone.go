package authn

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// OnPhone is how a method proves the owner of a phone to the door that the phone
// app of our own speaks to. The door knows no method; the phone says which of them
// it can do.
type OnPhone struct {
	// Enrol keeps the key that a phone made for its owner, in place of an earlier
	// one of the same phone. s.Device names the phone by its device key; base is
	// where this server is reached.
	Enrol func(ctx context.Context, tx *db.Tx, s Subject, base string, k PhoneKey) (CredentialID, error)
	// Confirm proves the owner by a signature over challenge. Wrong is charged and
	// must be committed.
	Confirm func(ctx context.Context, tx *db.Tx, s Subject, id, signature, challenge string) (Proof, error)
	// Move gives what is enrolled on the phone of s to the device key that replaces
	// the phone's.
	Move func(ctx context.Context, tx *db.Tx, s Subject, to directory.DeviceID) error
	// Policy is what the phone must know before it makes a key; nil if it may make
	// none in this application.
	Policy func(ctx context.Context, q db.Q, s Subject) (map[string]any, error)
}

// PhoneKey is the public half of what a phone made for its owner.
type PhoneKey struct {
	ID, Public, Origin, Label string
}

// NoSuchOwner is the answer to a way of proving a phone's owner that there is not.
var NoSuchOwner = fault.New(fault.Invalid, "A phone cannot prove its owner like this.")

func onPhone(kind Kind) (*OnPhone, error) {
	if p := methods[kind].OnPhone; p != nil {
		return p, nil
	}
	return nil, NoSuchOwner
}

// EnrolOnPhone keeps what proves the owner of the phone of s, of whichever method,
// and drops what other methods kept of it: a phone has one.
func EnrolOnPhone(ctx context.Context, tx *db.Tx, s Subject, kind Kind, base string, k PhoneKey) (CredentialID, error) {
	p, err := onPhone(kind)
	if err != nil {
		return "", err
	}
	var on struct{}
	if err := Settings(ctx, tx, s.App, kind, &on); err != nil {
		return "", err
	}
	kinds := phoneKinds()
	for _, other := range kinds {
		if other == kind {
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM credentials WHERE user_id = $1 AND app_id = $2 AND kind = $3 AND device_id = $4`, s.User, s.App, other, s.Device); err != nil {
			return "", err
		}
	}
	return p.Enrol(ctx, tx, s, base, k)
}

// ConfirmOnPhone proves the owner of the phone of s.
func ConfirmOnPhone(ctx context.Context, tx *db.Tx, s Subject, kind Kind, id, signature, challenge string) (Proof, error) {
	p, err := onPhone(kind)
	if err != nil {
		return Proof{}, err
	}
	return p.Confirm(ctx, tx, s, id, signature, challenge)
}

// MoveOnPhone gives what proves the owner of the phone of s to another device key.
func MoveOnPhone(ctx context.Context, tx *db.Tx, s Subject, to directory.DeviceID) error {
	for _, kind := range phoneKinds() {
		if err := methods[kind].OnPhone.Move(ctx, tx, s, to); err != nil {
			return err
		}
	}
	return nil
}

// OwnersOnPhone are the ways in which a phone may prove its owner in an
// application, each with what the phone must know of it.
func OwnersOnPhone(ctx context.Context, q db.Q, s Subject) (map[Kind]map[string]any, error) {
	out := map[Kind]map[string]any{}
	for _, kind := range phoneKinds() {
		policy, err := methods[kind].OnPhone.Policy(ctx, q, s)
		if err != nil {
			return nil, err
		}
		if policy != nil {
			out[kind] = policy
		}
	}
	return out, nil
}

func phoneKinds() []Kind {
	var out []Kind
	for kind, m := range methods {
		if m.OnPhone != nil {
			out = append(out, kind)
		}
	}
	slices.Sort(out)
	return out
}

// Relocate stores a credential with its data on another device. It fails with
// Conflict if the credential was used meanwhile.
func Relocate[T any](ctx context.Context, tx *db.Tx, c Credential[T], to directory.DeviceID) error {
	b, err := json.Marshal(c.Data)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE credentials SET data = $1, device_id = $2, rev = rev + 1 WHERE id = $3 AND rev = $4 AND status = 'active'`,
		tx.Vault().Seal(credentialPlace(c.ID), b), to, c.ID, c.rev)
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "This was used a moment ago.")
	}
	return err
}
