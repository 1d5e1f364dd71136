package deviceapi

import (
	"context"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// This file is how a phone's owner looks after it: new keys, and phones that are
// lost.

type rotateIn struct {
	Public    string `json:"public_key"`
	Signature string `json:"key_signature"` // by the new key, over rotation
}

// rotation is what the new key of a phone signs.
func rotation(old, new string) []byte {
	return []byte("watchword/rotate/v1\n" + old + "\n" + new)
}

// rotate gives the phone another device key. The old one signed the call, the owner
// confirmed it, and the new one shows that the phone holds it.
func (d Door) rotate(ctx context.Context, c *call, _ authn.Proof, in rotateIn) (accountOut, error) {
	var out accountOut
	key, err := directory.ParseKey(in.Public)
	if err != nil {
		return out, err
	}
	if !key.Verify(rotation(c.key.ID(), key.ID()), in.Signature) {
		return out, fault.New(fault.Invalid, "The new key did not sign.")
	}
	err = d.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		if err := directory.ReplaceKey(ctx, tx, c.device, key); err != nil {
			return err
		}
		if err := authn.MoveOnPhone(ctx, tx, c.subject(), directory.DeviceID(key.ID())); err != nil {
			return err
		}
		now := *c
		if now.device, err = directory.FindDevice(ctx, tx, c.device.ID); err != nil {
			return err
		}
		if err := d.record(ctx, tx, c, "device.key_rotated", nil); err != nil {
			return err
		}
		out, err = d.describe(ctx, tx, &now)
		return err
	})
	return out, err
}

type replaceIn struct {
	Owner owner `json:"owner"`
}

// replaceOwner keeps another key for the phone's owner: a new PIN, or the
// platform's key instead of a PIN. The old one confirmed it.
func (d Door) replaceOwner(ctx context.Context, c *call, _ authn.Proof, in replaceIn) (accountOut, error) {
	var out accountOut
	err := d.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		k := authn.PhoneKey{ID: in.Owner.ID, Public: in.Owner.Public, Origin: in.Owner.Origin, Label: c.device.DisplayName()}
		if _, err := authn.EnrolOnPhone(ctx, tx, c.subject(), in.Owner.Kind, d.Kit.URL, k); err != nil {
			return err
		}
		if err := d.record(ctx, tx, c, "device.owner_changed", map[string]any{"kind": string(in.Owner.Kind)}); err != nil {
			return err
		}
		out, err = d.describe(ctx, tx, c)
		return err
	})
	return out, err
}

type revokeIn struct {
	Device directory.DeviceID `json:"device_id"`
}

// revoke takes another phone of the same user away: the one that was lost.
func (d Door) revoke(ctx context.Context, c *call, p authn.Proof, in revokeIn) (accountOut, error) {
	var out accountOut
	s := c.subject()
	if err := authn.StepUp(ctx, d.Kit.DB, s.Tenant, s.App, s.User, []authn.Proof{p}); err != nil {
		return out, err
	}
	err := d.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		lost, err := directory.FindDevice(ctx, tx, in.Device)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err != nil || lost.User != s.User || lost.App != s.App || lost.ID == c.device.ID {
			return fault.New(fault.NotFound, "There is no such phone.")
		}
		if err := d.remove(ctx, tx, c, lost); err != nil {
			return err
		}
		out, err = d.describe(ctx, tx, c)
		return err
	})
	return out, err
}

// forget takes this phone away from its account.
func (d Door) forget(ctx context.Context, c *call, _ none) (none, error) {
	return none{}, d.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		if err := c.once(ctx, tx); err != nil {
			return err
		}
		return d.remove(ctx, tx, c, c.device)
	})
}

func (d Door) remove(ctx context.Context, tx *db.Tx, c *call, lost directory.Device) error {
	s := c.subject()
	s.Device = ""
	if err := authn.ForgetDevice(ctx, tx, s, lost); err != nil {
		return err
	}
	if err := directory.RemoveDevice(ctx, tx, lost.ID); err != nil {
		return err
	}
	return d.record(ctx, tx, c, "device.removed", map[string]any{"device": string(lost.ID)})
}

// totp is an authenticator of the account for this phone: the codes that it shows
// when it has no network. Which method makes it, the table of calls knows.
func (d Door) totp(ctx context.Context, c *call, p authn.Proof, _ none) (map[string]any, error) {
	x := &backend.Exec{Kit: d.Kit, App: c.app, Client: c.client.ID, User: c.device.User, Proofs: []authn.Proof{p}, Address: c.caller.Address, Agent: c.caller.UserAgent}
	out, err := backend.Do(ctx, "POST /v1/users/me/totp", x, map[string]any{"label": c.device.DisplayName()})
	if err != nil {
		return nil, err
	}
	body, _ := out.Body.(map[string]any)
	return map[string]any{"uri": body["uri"]}, nil
}
