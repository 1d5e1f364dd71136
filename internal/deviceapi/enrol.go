package deviceapi

import (
	"context"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

type none struct{}

// methods says how a phone may prove its owner here, before it makes a key.
func (d Door) methods(ctx context.Context, c *call, _ none) (map[string]any, error) {
	owners, err := authn.OwnersOnPhone(ctx, d.Kit.DB, authn.Subject{Tenant: c.app.Tenant, App: c.app.ID})
	return map[string]any{"app": c.app.Name, "owners": owners}, err
}

// owner is what a phone made for its owner.
type owner struct {
	Kind   authn.Kind `json:"kind"`
	ID     string     `json:"id"`
	Public string     `json:"public_key"`
	Origin string     `json:"origin,omitempty"` // of the page, where the key is the platform's
}

// phone is what a phone says of itself.
type phone struct {
	Name     string `json:"name"`
	Platform string `json:"platform"`
}

func (p phone) check() error {
	if len(p.Name) > 100 || len(p.Platform) > 64 {
		return fault.New(fault.Invalid, "The phone's name or platform is too long.")
	}
	return nil
}

type enrolIn struct {
	Invite string `json:"invite"`
	Phone  phone  `json:"phone"`
	Owner  owner  `json:"owner"`
}

// enrol spends an invitation for this phone: its device key and what proves its
// owner are kept together, or nothing is. The envelope shows that the phone holds
// the key.
func (d Door) enrol(ctx context.Context, c *call, in enrolIn) (accountOut, error) {
	var out accountOut
	if err := in.Phone.check(); err != nil {
		return out, err
	}
	err := d.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		i, err := directory.AcceptInvitation(ctx, tx, c.client.ID, in.Invite)
		if err != nil {
			return err
		}
		s := authn.Subject{Tenant: i.Tenant, App: i.App, User: i.User, Device: directory.DeviceID(c.key.ID())}
		id, err := directory.BindDevice(ctx, tx, directory.Device{Tenant: i.Tenant, App: i.App, User: i.User, Key: c.key, Name: in.Phone.Name, Platform: in.Phone.Platform, Model: in.Phone.Name, OS: "web", AppIdentifier: "watchword"})
		if err != nil {
			return err
		}
		if _, err := authn.EnrolOnPhone(ctx, tx, s, in.Owner.Kind, d.Kit.URL, authn.PhoneKey{ID: in.Owner.ID, Public: in.Owner.Public, Origin: in.Owner.Origin, Label: in.Phone.Name}); err != nil {
			return err
		}
		if c.device, err = directory.FindDevice(ctx, tx, id); err != nil {
			return err
		}
		if err := d.record(ctx, tx, c, "device.registered", map[string]any{"name": in.Phone.Name, "by": "invitation"}); err != nil {
			return err
		}
		out, err = d.describe(ctx, tx, c)
		return err
	})
	return out, err
}

func (d Door) record(ctx context.Context, tx *db.Tx, c *call, what string, data map[string]any) error {
	return audit.Record(ctx, tx, audit.Event{Tenant: string(c.app.Tenant), App: string(c.app.ID), Client: string(c.client.ID), Type: what, Outcome: "success",
		Actor: string(c.device.User), Target: string(c.device.User), Device: string(c.device.ID), IP: c.caller.Address, UserAgent: c.caller.UserAgent, Data: data})
}
