// Package trusted is the method of a device that was trusted after a full
// sign-in: a browser or phone that holds a key which cannot leave it. For some
// weeks the key stands for the second factor, so that the first alone is asked
// for. It is possession and nothing more, so it never counts alone
// (authn.Method.Beside).
//
// Clients without a key of their own, such as a browser that keeps none, are
// simply not trusted.
package trusted

import (
	"cmp"
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// Kind names the method.
const Kind authn.Kind = "trusted_device"

func init() {
	authn.Watch(distrust)
	authn.Register(authn.Method{
		Kind: Kind, Title: "Trusted device", Lives: authn.PerApp, Counts: authn.PerDevice, Unlock: authn.PerApp, Tells: true, AMR: []string{"swk"}, Beside: true, Lint: lint,
		Config: append(form.New(
			form.Number("days", "Days that a device is trusted", form.Default(30), form.Between(1, 365)),
			form.Number("max_devices", "Devices per user", form.Default(10), form.Between(1, 50), form.Help("The one trusted longest ago gives way.")),
		), lockout.Fields(100, lockout.Tier{Failures: 5, Minutes: 1}, lockout.Tier{Failures: 8, Minutes: 15}, lockout.Tier{Failures: 10, Minutes: 60})...),
	})
	user := form.Text("user", "User", form.Help("Empty: whom the journey is about."))
	journey.Register(journey.Step[config]{
		Kind: "trusted_device.remember", Title: "Trust this device", Category: "Devices",
		Asks:  []string{"device.register"},
		Words: []string{"remember me", "remember browser"}, Config: form.New(user), Role: journey.Enrols,
		Doc:      "Notes the key of the client's device, which then stands for a second factor. The user must have been proven by two factors in this run.",
		Outcomes: []journey.Outcome{journey.Success, journey.Failure}, Run: remember,
	})
	journey.Register(journey.Step[config]{ // no Role: it proves nobody by itself
		Kind: "trusted_device.check", Title: "Is this device trusted?", Category: "Devices",
		Asks:  []string{"device.validate"},
		Words: []string{"remember me", "remembered browser", "known browser"}, Config: form.New(user),
		Doc:      "Has the client's device sign. A device that the user trusted counts as a second factor beside what was proven before.",
		Outcomes: []journey.Outcome{"trusted", "not_trusted"}, Run: check,
	})
	journey.Register(journey.Step[config]{
		Kind: "trusted_device.forget", Title: "Trust no device", Category: "Devices", Config: form.New(user),
		Doc:      "Ends the trust in every device of the user. The user must have been proven in this run.",
		Outcomes: []journey.Outcome{journey.Success, journey.Failure}, Run: forget,
	})
}

type settings struct {
	Days int `json:"days"`
	Max  int `json:"max_devices"`
}

func lint(doc map[string]any) []authn.Note {
	return []authn.Note{{Code: "trusted_device", Severity: authn.Advice, Message: "A trusted device is a second factor only while nobody else uses it.", Ref: "NIST SP 800-63B-4 3.1.6"}}
}

type config struct {
	User string `json:"user"`
}

// key is what is kept of a trusted device.
type key struct {
	SPKI  []byte    `json:"spki"`
	Until time.Time `json:"until"`
}

// answer is what the SDK sends by itself (mosaic-protocol 2.7).
var answer = form.New(
	form.Text("platform_device_id", "Device key id", form.Required, form.MaxLen(128)),
	form.Text("platform_device_key", "Device key", form.MaxLen(4096)),
	form.Text("signature", "Signature", form.MaxLen(2048)),
)

// failure is the option of a client that finds it has no key after all.
var failure = []journey.Option{{ID: "failure", Label: "It did not work"}}

func gaveUp(x *journey.Exec) bool { return x.Answer != nil && x.Answer.Option == "failure" }

// proven is the user of the step, who must have been proven in this run.
func proven(ctx context.Context, x *journey.Exec, c config) (authn.Subject, error) {
	u, err := x.User(ctx, c.User)
	if err == nil && x.Proven() != u.ID {
		err = fault.New(fault.Denied, "Prove who you are first.")
	}
	return authn.Subject{Kind: Kind, Tenant: x.Tenant(), App: x.App(), User: u.ID}, err
}

func text(x *journey.Exec, name string) string { s, _ := x.Answer.Data[name].(string); return s }

func remember(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
	s, err := proven(ctx, x, c)
	if err == nil && authn.ACR(x.Proofs()) != authn.AAL2 {
		err = fault.New(fault.Denied, "Prove who you are by a second factor first.")
	}
	if err != nil {
		return journey.Judge(x, err)
	}
	if x.Claimed().KeyID == "" && !x.Started().Hosted || gaveUp(x) { // a page of ours makes one when it is asked
		return journey.Judge(x, fault.New(fault.Denied, "This browser keeps no key."))
	}
	if x.Answer == nil {
		return journey.Ask(journey.Prompt{Kind: "device.register", Fields: answer, Options: failure}, nil), nil
	}
	id, err := Remember(ctx, x.Tx, s, text(x, "platform_device_id"), text(x, "platform_device_key"), name(x))
	if err != nil {
		return journey.Judge(x, err)
	}
	x.Enrolled(string(id))
	return journey.Go(journey.Success), x.Audit(ctx, "device.trusted", "", nil)
}

// name is how a trusted device is called in lists.
func name(x *journey.Exec) string {
	d := x.Claimed()
	return cmp.Or(d.Name, d.Model, d.OS, d.Platform, "Browser")
}

// Remember trusts a device for the days that the settings say. Trusting it again
// begins them anew.
func Remember(ctx context.Context, tx *db.Tx, s authn.Subject, keyID, publicKey, label string) (authn.CredentialID, error) {
	var set settings
	if err := authn.Settings(ctx, tx, s.App, Kind, &set); err != nil {
		return "", err
	}
	pub, err := directory.ParseKey(publicKey)
	if err != nil {
		return "", err
	}
	if !strings.EqualFold(keyID, pub.ID()) {
		return "", fault.New(fault.Invalid, "The device key id is not the hash of the device key.")
	}
	s.Device = directory.DeviceID(pub.ID())
	if err := directory.Touch(ctx, tx, s.User); err != nil {
		return "", err
	}
	have, err := authn.AllCredentials[key](ctx, tx, s)
	if err != nil {
		return "", err
	}
	kept := 0
	for i := len(have) - 1; i >= 0; i-- { // the newest first
		if kept++; kept < set.Max && have[i].Subject.Device != s.Device {
			continue
		}
		if err := authn.Remove(ctx, tx, s, have[i].ID); err != nil {
			return "", err
		}
	}
	return authn.Enroll(ctx, tx, s, string(s.User)+"/"+pub.ID(), label, key{pub.SPKI(), tx.Now().AddDate(0, 0, set.Days)})
}

type memo struct {
	Challenge string `json:"challenge"`
}

const (
	yes journey.Outcome = "trusted"
	no  journey.Outcome = "not_trusted"
)

func check(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
	s, err := proven(ctx, x, c)
	if err != nil || x.Claimed().KeyID == "" {
		return otherwise(x, err)
	}
	s.Device = directory.DeviceID(strings.ToLower(x.Claimed().KeyID))
	k, err := trusts(ctx, x.Q, s)
	if err != nil || k == nil { // a device that nobody trusts need not sign
		return otherwise(x, err)
	}
	var m memo
	if asked, err := x.Memo(&m); err != nil {
		return journey.Next{}, err
	} else if !asked || x.Answer == nil {
		m.Challenge = rand.Text()
		return journey.Ask(journey.Prompt{Kind: "device.validate", Fields: answer, Options: failure, Data: map[string]any{"device_challenge": m.Challenge}}, m), nil
	}
	if gaveUp(x) {
		return journey.Go(no), nil
	}
	p, err := Verify(ctx, x.Tx, s, m.Challenge, text(x, "signature"))
	if err == nil {
		err = x.Prove(p)
	}
	if err != nil {
		return otherwise(x, err)
	}
	return journey.Go(yes), nil
}

// otherwise goes on without the device; outages stay errors.
func otherwise(x *journey.Exec, err error) (journey.Next, error) {
	next, err := journey.Judge(x, err)
	if err != nil {
		return next, err
	}
	return journey.Go(no), nil
}

// trusts is the key of a device that the user trusts still, or nil.
func trusts(ctx context.Context, q db.Q, s authn.Subject) (*authn.Credential[key], error) {
	var set settings
	if err := authn.Settings(ctx, q, s.App, Kind, &set); err != nil {
		return nil, err
	}
	all, err := authn.AllCredentials[key](ctx, q, s)
	if err != nil {
		return nil, err
	}
	for i, c := range all {
		if c.Subject.Device == s.Device && q.Now().Before(c.Data.Until) {
			return &all[i], nil
		}
	}
	return nil, nil
}

// Verify proves that a user's trusted device is here: it signed a challenge that
// was made for this visit. Wrong is charged to the device and must be committed.
func Verify(ctx context.Context, tx *db.Tx, s authn.Subject, challenge, signature string) (authn.Proof, error) {
	return authn.Attempt(ctx, tx, s, func() (authn.CredentialID, error) {
		c, err := trusts(ctx, tx, s)
		if err != nil {
			return "", err
		}
		barred, err := directory.Barred(ctx, tx, s.App, s.User, string(s.Device))
		if err != nil {
			return "", err
		}
		if c == nil || barred || challenge == "" {
			return "", authn.Wrong
		}
		pub, err := directory.ParseKeyDER(c.Data.SPKI)
		if err != nil {
			return "", err
		}
		if !pub.Verify([]byte(challenge), signature) {
			return "", authn.Wrong
		}
		return c.ID, authn.Touch(ctx, tx, *c)
	})
}

// distrust ends the trust in every device of a user when anything changes that
// they prove themselves with: another factor, another password, a lock by hand
// (security R54).
func distrust(ctx context.Context, tx *db.Tx, c authn.Change) error {
	if c.Subject.Kind == Kind && c.What != authn.Changed {
		return nil
	}
	s := c.Subject
	s.Kind, s.Device = Kind, ""
	all, err := authn.AllCredentials[key](ctx, tx, s)
	if err != nil {
		return err
	}
	for _, one := range all {
		if err := authn.Remove(ctx, tx, s, one.ID); err != nil {
			return err
		}
	}
	return nil
}

func forget(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
	s, err := proven(ctx, x, c)
	if err != nil {
		return journey.Judge(x, err)
	}
	all, err := authn.AllCredentials[key](ctx, x.Tx, s)
	if err != nil {
		return journey.Next{}, err
	}
	for _, c := range all {
		if err := authn.Revoke(ctx, x.Tx, s, c.ID); err != nil {
			return journey.Judge(x, err)
		}
	}
	return journey.Go(journey.Success), x.Audit(ctx, "device.untrusted", "", map[string]any{"devices": len(all)})
}
