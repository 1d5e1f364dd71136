package steps

import (
	"context"
	"strings"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[deviceKeys]{
		Kind: "devices.list", Title: "Device keys API: list", Category: "Devices",
		Doc:      "Lists the user's devices for later nodes: key_id, name, platform, status.",
		Config:   form.New(userField(), form.Text("output", "Keep the list as", form.Default("devices"))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run:      runDevices,
	})
	journey.Register(journey.Step[renamedDevice]{
		Kind: "devices.rename", Title: "Device keys API: update", Category: "Devices",
		Doc:      "Gives a device of the user another name. The user must have been proven in this run.",
		Config:   form.New(userField(), form.Text("key_id", "Device key id", form.Required), form.Text("name", "Name", form.Required, form.MaxLen(400))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run: func(ctx context.Context, x *journey.Exec, c renamedDevice) (journey.Next, error) {
			err := withDevice(ctx, x, deviceKey{c.User, c.KeyID}, func(_ authn.Subject, d directory.Device) error {
				return directory.RenameDevice(ctx, x.Tx, d.ID, c.Name)
			})
			if err != nil {
				return journey.Judge(x, err)
			}
			return journey.Go(journey.Success), x.Audit(ctx, "device.renamed", "", nil)
		},
	})
	for kind, title := range map[string]string{"devices.block": "Device keys API: block", "devices.delete": "Device keys API: delete"} {
		journey.Register(journey.Step[deviceKey]{
			Kind: kind, Title: title, Category: "Devices",
			Doc:      "Takes a device of the user out of use; what is enrolled on it goes with it when it is deleted. The user must have been proven in this run.",
			Config:   form.New(userField(), form.Text("key_id", "Device key id", form.Required)),
			Outcomes: []journey.Outcome{journey.Success, journey.Failure},
			Run: func(ctx context.Context, x *journey.Exec, c deviceKey) (journey.Next, error) {
				err := withDevice(ctx, x, c, func(s authn.Subject, d directory.Device) error {
					if kind == "devices.block" {
						return directory.SetDeviceStatus(ctx, x.Tx, d.ID, directory.DeviceBlocked)
					}
					if err := authn.ForgetDevice(ctx, x.Tx, s, d); err != nil {
						return err
					}
					return directory.RemoveDevice(ctx, x.Tx, d.ID)
				})
				if err != nil {
					return journey.Judge(x, err)
				}
				return journey.Go(journey.Success), x.Audit(ctx, strings.Replace(kind, "devices.", "device.", 1), "", nil)
			},
		})
	}
}

type deviceKeys struct {
	User   string `json:"user"`
	Output string `json:"output"`
}

type deviceKey struct {
	User  string `json:"user"`
	KeyID string `json:"key_id"`
}

type renamedDevice struct {
	User  string `json:"user"`
	KeyID string `json:"key_id"`
	Name  string `json:"name"`
}

func runDevices(ctx context.Context, x *journey.Exec, c deviceKeys) (journey.Next, error) {
	u, err := x.User(ctx, c.User)
	if err != nil {
		return journey.Judge(x, err)
	}
	list, err := directory.AllDevices(ctx, x.Q, x.App(), u.ID)
	if err != nil {
		return journey.Next{}, err
	}
	out := []any{}
	for _, d := range list {
		out = append(out, map[string]any{"key_id": d.KeyID, "name": d.DisplayName(), "platform": d.Platform, "status": string(d.Status)})
	}
	x.Set(c.Output, out)
	return journey.Go(journey.Success), nil
}

// withDevice runs fn on a device of a user who was proven in this run.
func withDevice(ctx context.Context, x *journey.Exec, c deviceKey, fn func(s authn.Subject, d directory.Device) error) error {
	s, err := own(ctx, x, c.User)
	if err != nil {
		return err
	}
	list, err := directory.AllDevices(ctx, x.Tx, x.App(), s.User)
	if err != nil {
		return err
	}
	for _, d := range list {
		if strings.EqualFold(d.KeyID, c.KeyID) {
			return fn(s, d)
		}
	}
	return fault.New(fault.NotFound, "no such device")
}
