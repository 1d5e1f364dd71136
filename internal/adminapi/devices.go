package adminapi

import (
	"context"
	"slices"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/session"
)

// Device is a phone or browser of a user.
type Device struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Platform   string   `json:"platform"`
	OSVersion  string   `json:"os_version"`
	App        string   `json:"app"`
	Status     string   `json:"status" enum:"active,blocked,suspended"`
	Push       []string `json:"push"`
	LastSeenAt Stamp    `json:"last_seen_at"`
	CreatedAt  Stamp    `json:"created_at"`
}

func listDevices(ctx context.Context, c *Call, in *InUser) (*list[Device], error) {
	u, err := c.user(ctx, c.Kit.DB, in.User)
	if err != nil {
		return nil, err
	}
	all, err := directory.DevicesOf(ctx, c.Kit.DB, c.tenant(), u.ID)
	if err != nil {
		return nil, err
	}
	reached, err := directory.TargetKinds(ctx, c.Kit.DB, u.ID)
	if err != nil {
		return nil, err
	}
	var out []Device
	for _, d := range all {
		out = append(out, Device{string(d.ID), d.DisplayName(), d.Platform, d.OSVersion, string(d.App), string(d.Status), append([]string{}, reached[d.ID]...), Stamp(d.LastSeenAt), Stamp(d.CreatedAt)})
	}
	return items(out), nil
}

// InDevice names a device of a user.
type InDevice struct {
	InUser
	Device string `path:"did" maxLength:"100"`
}

func (c *Call) onDevice(ctx context.Context, in InDevice, fn func(tx *db.Tx, d directory.Device) error) error {
	return c.writeWith(ctx, func(tx *db.Tx) (string, map[string]any, error) {
		u, err := c.user(ctx, tx, in.User)
		if err != nil {
			return "", nil, err
		}
		all, err := directory.DevicesOf(ctx, tx, c.tenant(), u.ID)
		if err != nil {
			return "", nil, err
		}
		i := slices.IndexFunc(all, func(d directory.Device) bool { return string(d.ID) == in.Device })
		if i < 0 {
			return "", nil, fault.New(fault.NotFound, "no such device")
		}
		return in.User, map[string]any{"device": in.Device}, fn(tx, all[i])
	})
}

func setDevice(to directory.DeviceStatus) func(ctx context.Context, c *Call, in *InDevice) (*empty, error) {
	return func(ctx context.Context, c *Call, in *InDevice) (*empty, error) {
		return nil, c.onDevice(ctx, *in, func(tx *db.Tx, d directory.Device) error { return directory.SetDeviceStatus(ctx, tx, d.ID, to) })
	}
}

func removeDevice(ctx context.Context, c *Call, in *InDevice) (*empty, error) {
	return nil, c.onDevice(ctx, *in, func(tx *db.Tx, d directory.Device) error {
		if err := authn.ForgetDevice(ctx, tx, authn.Subject{Tenant: c.tenant(), App: d.App, User: d.User}, d); err != nil {
			return err
		}
		return directory.RemoveDevice(ctx, tx, d.ID)
	})
}

// UserSession is one of a user's.
type UserSession struct {
	ID        string   `json:"id"`
	App       string   `json:"app"`
	Client    string   `json:"client"`
	Methods   []string `json:"methods"`
	ACR       string   `json:"acr"`
	CreatedAt Stamp    `json:"created_at"`
	UsedAt    Stamp    `json:"used_at"`
	ExpiresAt Stamp    `json:"expires_at"`
	Address   string   `json:"address"`
	UserAgent string   `json:"user_agent"`
}

func listSessions(ctx context.Context, c *Call, in *InUser) (*list[UserSession], error) {
	u, err := c.user(ctx, c.Kit.DB, in.User)
	if err != nil {
		return nil, err
	}
	all, err := session.List(ctx, c.Kit.DB, c.tenant(), "", u.ID)
	if err != nil {
		return nil, err
	}
	var out []UserSession
	for _, s := range all {
		kinds := []string{}
		for _, p := range s.Proofs {
			kinds = append(kinds, string(p.Kind()))
		}
		slices.Sort(kinds)
		out = append(out, UserSession{s.ID, string(s.App), string(s.Client), slices.Compact(kinds), authn.ACR(s.Proofs), Stamp(s.Created), Stamp(s.Used), Stamp(s.Expires), s.Address, s.Agent})
	}
	return items(out), nil
}

type sessionIn struct {
	InUser
	Session string `path:"sid" maxLength:"200"`
}

func endSession(ctx context.Context, c *Call, in *sessionIn) (*empty, error) {
	return nil, c.write(ctx, func(tx *db.Tx) (string, error) {
		u, err := c.user(ctx, tx, in.User)
		if err != nil {
			return "", err
		}
		return in.User, session.EndOne(ctx, tx, c.tenant(), "", u.ID, in.Session)
	})
}

func endSessions(ctx context.Context, c *Call, in *InUser) (*empty, error) {
	return nil, c.write(ctx, func(tx *db.Tx) (string, error) {
		u, err := c.user(ctx, tx, in.User)
		if err != nil {
			return "", err
		}
		_, err = session.EndAll(ctx, tx, c.tenant(), "", u.ID)
		return in.User, err
	})
}
