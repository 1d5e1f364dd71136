package steps

import (
	"cmp"
	"context"
	"crypto/rand"
	"strings"

	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

// noDevice is the option of a client that finds it has no key after all.
var noDevice = []journey.Option{{ID: "failure", Label: "It did not work"}}

func noKey(x *journey.Exec) (journey.Next, error) {
	x.FailAs("cancelled", "The device showed no key.")
	return journey.Go(journey.Failure), nil
}

// deviceAnswer is what the SDK sends by itself (mosaic-protocol 2.7).
var deviceAnswer = form.New(
	form.Text("platform_device_id", "Device key id", form.Required, form.MaxLen(128)),
	form.Text("platform_device_key", "Device key", form.MaxLen(4096)),
	form.Text("signature", "Signature", form.MaxLen(2048)),
)

func init() {
	journey.Register(journey.Step[registerDevice]{
		Kind: "device.register", Title: "Register device", Category: "Devices",
		Asks:  []string{"device.register", "device.validate"},
		Words: []string{"bind", "phone", "key"},
		Doc:   "Binds the key of the client's device to the user, and where the device is reached. A user who has something to prove with must have proven it in this run. A key that somebody else has here must sign for it first.",
		Config: form.New(
			form.Text("user", "User", form.Help("Empty: whom the journey is about.")),
			form.Text("name", "Device name"),
			form.Text("output", "Keep the device's key id as", form.Default("device_key_id")),
		),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Enrols,
		Run:      runRegisterDevice,
	})
	journey.Register(journey.Step[validateDevice]{
		Kind: "device.validate", Title: "Validate device", Category: "Devices",
		Asks:  []string{"device.validate"},
		Words: []string{"known device", "phone", "key"},
		Doc:   "Asks the client's device to sign. Success means that it holds a key registered for the user; it is no proof of the user.",
		Config: form.New(
			form.Text("user", "User", form.Help("Empty: whom the journey is about.")),
		),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run:      runValidateDevice,
	})
}

type registerDevice struct {
	User   string `json:"user"`
	Name   string `json:"name"`
	Output string `json:"output"`
}

func runRegisterDevice(ctx context.Context, x *journey.Exec, c registerDevice) (journey.Next, error) {
	if x.Answer == nil {
		return journey.Ask(journey.Prompt{Kind: "device.register", Fields: deviceAnswer, Options: noDevice}, nil), nil
	}
	if x.Answer.Option == "failure" {
		return noKey(x)
	}
	u, err := x.User(ctx, c.User)
	if err != nil {
		return journey.Judge(x, err)
	}
	if err := x.MayEnrol(ctx, u.ID); err != nil {
		return journey.Judge(x, err)
	}
	var m offered
	if _, err := x.Memo(&m); err != nil {
		return journey.Next{}, err
	}
	key, err := m.key(x)
	if err != nil {
		return journey.Judge(x, err)
	}
	if m.Challenge == "" {
		if shared, err := directory.KeyOfOthers(ctx, x.Tx, x.App(), u.ID, key.ID()); err != nil {
			return journey.Next{}, err
		} else if shared {
			text, _ := x.Answer.Data["platform_device_key"].(string)
			return challenge(offered{Key: text, deviceMemo: deviceMemo{rand.Text()}}), nil
		}
	}
	return bind(ctx, x, c, u, key)
}

// offered is a key that was offered and must sign before it is bound. The protocol
// signs nothing when it registers; but a key is no secret, and whoever bound
// somebody else's to themselves would take its owner's phone out of service, which
// is known by its key.
type offered struct {
	deviceMemo
	Key string `json:"key,omitempty"`
}

// key is the key of this visit: the one answered, or the one that was challenged if
// it has signed.
func (m offered) key(x *journey.Exec) (directory.Key, error) {
	if m.Challenge == "" {
		return answeredKey(x)
	}
	key, err := directory.ParseKey(m.Key)
	if err != nil {
		return key, err
	}
	id, _ := x.Answer.Data["platform_device_id"].(string)
	signature, _ := x.Answer.Data["signature"].(string)
	if !strings.EqualFold(id, key.ID()) || !key.Verify([]byte(m.Challenge), signature) {
		return key, fault.New(fault.Wrong, "This device is not known.")
	}
	return key, nil
}

// bind binds a key to a user who may have it.
func bind(ctx context.Context, x *journey.Exec, c registerDevice, u directory.User, key directory.Key) (journey.Next, error) {
	said := x.Answer.Caller.Device
	id, err := directory.BindDevice(ctx, x.Tx, directory.Device{
		Tenant: x.Tenant(), App: x.App(), User: u.ID, Key: key, Name: cmp.Or(c.Name, said.Name), Platform: said.Platform, OS: said.OS, OSVersion: said.OSVersion,
		Model: said.Model, Manufacturer: said.Manufacturer, AppIdentifier: said.AppIdentifier,
	})
	if err != nil {
		return journey.Judge(x, err)
	}
	if err := directory.SetTarget(ctx, x.Tx, id, journey.TargetOf(said)); err != nil {
		return journey.Judge(x, err)
	}
	x.UseDevice(id)
	x.Enrolled(string(id))
	x.Set(c.Output, key.ID())
	return journey.Go(journey.Success), x.Audit(ctx, "device.registered", "", map[string]any{"name": cmp.Or(c.Name, said.Name)})
}

// answeredKey is the key that the client registers: its id is its hash.
func answeredKey(x *journey.Exec) (directory.Key, error) {
	text, _ := x.Answer.Data["platform_device_key"].(string)
	key, err := directory.ParseKey(text)
	if err != nil {
		return key, err
	}
	if id, _ := x.Answer.Data["platform_device_id"].(string); !strings.EqualFold(id, key.ID()) {
		return key, fault.New(fault.Invalid, "The device key id is not the hash of the device key.")
	}
	return key, nil
}

type validateDevice struct {
	User string `json:"user"`
}

type deviceMemo struct {
	Challenge string `json:"challenge"`
}

// challenge has the client's device sign.
func challenge(m offered) journey.Next {
	return journey.Ask(journey.Prompt{Kind: "device.validate", Fields: deviceAnswer, Options: noDevice, Data: map[string]any{"device_challenge": m.Challenge}}, m)
}

func runValidateDevice(ctx context.Context, x *journey.Exec, c validateDevice) (journey.Next, error) {
	var m deviceMemo
	if asked, err := x.Memo(&m); err != nil {
		return journey.Next{}, err
	} else if !asked || x.Answer == nil {
		return challenge(offered{deviceMemo: deviceMemo{rand.Text()}}), nil
	}
	if x.Answer.Option == "failure" {
		return noKey(x)
	}
	u, err := x.User(ctx, c.User)
	if err != nil {
		return journey.Judge(x, err)
	}
	devices, err := directory.Devices(ctx, x.Tx, x.App(), u.ID)
	if err != nil {
		return journey.Next{}, err
	}
	id, _ := x.Answer.Data["platform_device_id"].(string)
	signature, _ := x.Answer.Data["signature"].(string)
	for _, d := range devices {
		if strings.EqualFold(d.KeyID, id) && d.Key.Verify([]byte(m.Challenge), signature) {
			x.UseDevice(d.ID)
			return journey.Go(journey.Success), seen(ctx, x, d.ID)
		}
	}
	x.Fail(fault.New(fault.Wrong, "This device is not known."))
	return journey.Go(journey.Failure), nil
}

// seen notes that a device that just signed is alive, and where it is reached
// now.
func seen(ctx context.Context, x *journey.Exec, id directory.DeviceID) error {
	if err := directory.Seen(ctx, x.Tx, id); err != nil {
		return err
	}
	if t := journey.TargetOf(x.Answer.Caller.Device); t.Kind != "none" {
		return directory.SetTarget(ctx, x.Tx, id, t)
	}
	return nil
}
