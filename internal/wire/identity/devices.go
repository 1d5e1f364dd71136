package identity

import (
	"context"
	"net/http"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

func init() {
	const one = "/v1/users/{user_id}/device-keys/{key_id}"
	call("GET /v1/users/{user_id}/device-keys", "List a user's device keys", "devices:read", listDevices)
	call("POST /v1/users/{user_id}/device-keys", "Bind a device key to a user", "devices:create", bindDevice)
	call("PATCH "+one, "Rename, block, suspend or revive a device", "devices:edit", setDevice)
	call("DELETE "+one, "Forget a device", "devices:delete", forgetDevice)
	own("GET /v1/users/me/device-keys", "List your devices", listDevices)
	own("DELETE /v1/users/me/device-keys/{key_id}", "Forget one of your devices", recent(forgetDevice))
}

func listDevices(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	s, err := about(ctx, x, x.Kit.DB)
	if err != nil {
		return backend.Out{}, err
	}
	list, err := directory.AllDevices(ctx, x.Kit.DB, x.App.ID, s.User)
	out := make([]any, 0, len(list))
	for _, d := range list {
		out = append(out, device(d))
	}
	return result(out), err
}

func device(d directory.Device) map[string]any {
	status := map[directory.DeviceStatus]string{directory.DeviceActive: "Active", directory.DeviceBlocked: "Blocked", directory.DeviceSuspended: "Suspended"}
	return map[string]any{"id": string(d.ID), "key_id": d.KeyID, "display_name": d.DisplayName(), "status": status[d.Status], "platform": d.Platform, "created_at": d.CreatedAt.UnixMilli(), "last_seen_at": d.LastSeenAt.UnixMilli()}
}

type newDevice struct {
	KeyID     string         `json:"key_id"`
	PublicKey string         `json:"public_key"`
	Name      string         `json:"display_name,omitempty"`
	Custom    map[string]any `json:"custom_data,omitempty"`
	Push      *struct {
		Token  string `json:"device_token"`
		Type   string `json:"type"`
		Bundle string `json:"bundle_id,omitempty"`
	} `json:"push_config,omitempty"`
}

// bindDevice relies on the caller's word that the key is the user's: that is
// what its permission means.
func bindDevice(ctx context.Context, x *backend.Exec, in newDevice) (backend.Out, error) {
	key, err := directory.ParseKey(in.PublicKey)
	if err != nil {
		return backend.Out{}, backend.Code(err, "auth_invalid_key_encoding")
	}
	if len(in.Custom) > 0 {
		return backend.Out{}, fault.New(fault.Invalid, "Devices keep no custom_data: keep it with the user.")
	}
	if key.ID() != in.KeyID && in.KeyID != "" {
		return backend.Out{}, fault.New(fault.Invalid, "key_id is not the hash of this key.")
	}
	var shown map[string]any
	err = edit(ctx, x, func(tx *db.Tx, u directory.User) error {
		id, err := directory.BindDevice(ctx, tx, directory.Device{Tenant: x.App.Tenant, App: x.App.ID, User: u.ID, KeyID: key.ID(), Key: key, Name: in.Name})
		if err != nil {
			return err
		}
		if in.Push != nil {
			target := directory.Target{Kind: directory.TargetKind(in.Push.Type), Address: in.Push.Token, AppIdentifier: in.Push.Bundle}
			if err := directory.SetTarget(ctx, tx, id, target); err != nil {
				return err
			}
		}
		d, err := directory.FindDevice(ctx, tx, id)
		shown = device(d)
		return err
	})
	return backend.Out{Status: http.StatusCreated, Body: map[string]any{"result": shown}}, err
}

type deviceChange struct {
	Status string `json:"status,omitempty"`
	Name   string `json:"display_name,omitempty"`
}

func setDevice(ctx context.Context, x *backend.Exec, in deviceChange) (backend.Out, error) {
	to, ok := map[string]directory.DeviceStatus{"Active": directory.DeviceActive, "Blocked": directory.DeviceBlocked, "Suspended": directory.DeviceSuspended}[in.Status]
	if !ok && (in.Status != "" || in.Name == "") {
		return backend.Out{}, fault.New(fault.Invalid, "A device is Active, Blocked or Suspended.")
	}
	return done(editDevice(ctx, x, func(tx *db.Tx, d directory.Device) error {
		if in.Name != "" {
			if err := directory.RenameDevice(ctx, tx, d.ID, in.Name); err != nil || in.Status == "" {
				return err
			}
		}
		return directory.SetDeviceStatus(ctx, tx, d.ID, to)
	}))
}

func forgetDevice(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	return done(editDevice(ctx, x, func(tx *db.Tx, d directory.Device) error {
		if x.User != "" {
			if err := authn.Remains(ctx, tx, x.Subject("", d.User), d); err != nil {
				return err
			}
		}
		if err := authn.ForgetDevice(ctx, tx, x.Subject("", d.User), d); err != nil {
			return err
		}
		return directory.RemoveDevice(ctx, tx, d.ID)
	}))
}

// editDevice changes a device of the user of the route, or of the token.
func editDevice(ctx context.Context, x *backend.Exec, fn func(tx *db.Tx, d directory.Device) error) error {
	return edit(ctx, x, func(tx *db.Tx, u directory.User) error {
		list, err := directory.AllDevices(ctx, tx, x.App.ID, u.ID)
		if err != nil {
			return err
		}
		for _, d := range list {
			if d.KeyID == x.Path("key_id") || string(d.ID) == x.Path("key_id") {
				return fn(tx, d)
			}
		}
		return backend.Code(fault.New(fault.NotFound, "no such device"), "auth_device_not_found")
	})
}
