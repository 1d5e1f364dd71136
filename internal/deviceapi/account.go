package deviceapi

import (
	"context"
	"slices"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/notify"
)

// accountOut is what a phone knows of the account it is set up for.
type accountOut struct {
	User   string                        `json:"user"`
	Label  string                        `json:"label"`
	App    string                        `json:"app"`
	AppID  string                        `json:"app_id"`
	Device string                        `json:"device_id"`
	Name   string                        `json:"device_name"`
	Owner  []authn.Kind                  `json:"owner"`  // what proves this phone's owner
	Owners map[authn.Kind]map[string]any `json:"owners"` // what may
	Push   string                        `json:"push"`   // the key for Web Push; empty: there is none
	Phones []phoneOut                    `json:"phones"` // of the user, this one among them
}

type phoneOut struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Added  int64  `json:"added_at"` // ms
	Seen   int64  `json:"seen_at"`  // ms
	This   bool   `json:"this,omitempty"`
	Status string `json:"status"`
}

// account says what the phone is set up for. A phone that was taken away hears that
// it is not known.
func (d Door) account(ctx context.Context, c *call, _ none) (accountOut, error) {
	return d.describe(ctx, d.Kit.DB, c)
}

func (d Door) describe(ctx context.Context, q db.Q, c *call) (accountOut, error) {
	s := c.subject()
	out := accountOut{User: string(s.User), App: c.app.Name, AppID: string(c.app.ID), Device: string(c.device.ID), Name: c.device.DisplayName(), Owner: []authn.Kind{}, Phones: []phoneOut{}}
	var err error
	if out.Label, err = directory.Label(ctx, q, s.User); err != nil {
		return out, err
	}
	if out.Owners, err = authn.OwnersOnPhone(ctx, q, s); err != nil {
		return out, err
	}
	all, err := authn.Authenticators(ctx, q, s.Tenant, s.App, s.User)
	if err != nil {
		return out, err
	}
	for _, a := range all {
		if _, can := out.Owners[a.Kind]; can && string(a.Device) == c.device.KeyID && !slices.Contains(out.Owner, a.Kind) {
			out.Owner = append(out.Owner, a.Kind)
		}
	}
	phones, err := directory.AllDevices(ctx, q, s.App, s.User)
	if err != nil {
		return out, err
	}
	for _, p := range phones {
		out.Phones = append(out.Phones, phoneOut{string(p.ID), p.DisplayName(), p.CreatedAt.UnixMilli(), p.LastSeenAt.UnixMilli(), p.ID == c.device.ID, string(p.Status)})
	}
	out.Push, err = notify.VAPID(ctx, q, string(s.Tenant))
	if fault.Is(err, fault.NotFound) {
		err = nil
	}
	return out, err
}

func (c *call) subject() authn.Subject {
	return authn.Subject{Tenant: c.app.Tenant, App: c.app.ID, User: c.device.User, Device: directory.DeviceID(c.device.KeyID)}
}

type subscribeIn struct {
	Subscription string `json:"subscription"` // of PushManager, as JSON; empty: no longer
}

// subscribe says where the phone is reached while the app is closed.
func (d Door) subscribe(ctx context.Context, c *call, in subscribeIn) (none, error) {
	t := notify.Target{Kind: notify.WebPush, Address: in.Subscription, AppIdentifier: "watchword"}
	if in.Subscription != "" {
		var err error
		if t, err = notify.CheckTarget(t); err != nil {
			return none{}, err
		}
	}
	return none{}, d.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		if err := c.once(ctx, tx); err != nil {
			return err
		}
		if in.Subscription == "" {
			return directory.ClearTarget(ctx, tx, c.device.ID, notify.WebPush)
		}
		return directory.SetTarget(ctx, tx, c.device.ID, directory.Target{Kind: t.Kind, Address: t.Address, AppIdentifier: t.AppIdentifier})
	})
}
