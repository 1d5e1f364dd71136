package push

import (
	"context"
	"crypto/subtle"
	"errors"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Carried is a phone whose app keeps no key: it is known by three things that it
// was enrolled with, and shows them with every answer instead of a signature
// (DESIGN 2.20.4). It is a credential of the user, of this method.
type Carried struct {
	Client apps.ClientID `json:"client"`
	Device string        `json:"device"`
	PushID string        `json:"push_id"`
	Name   string        `json:"name,omitempty"` // as its owner calls it
	Make   string        `json:"make,omitempty"`
	Model  string        `json:"model,omitempty"`
}

// Triple is what a phone without a key shows.
type Triple struct {
	Client apps.ClientID
	Device string
	PushID string
}

func (c Carried) is(t Triple) bool {
	return c.Client == t.Client && same(c.Device, t.Device) && same(c.PushID, t.PushID)
}

func same(a, b string) bool { return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// DisplayName is how the phone is called in lists.
func (c Carried) DisplayName() string {
	switch {
	case c.Make != "" || c.Model != "":
		return first(c.Name, c.Model, "Phone") + "(" + c.Make + ", " + c.Model + ")"
	}
	return first(c.Name, "Phone")
}

// Enrol binds a phone without a key to a user. fault.Conflict if that phone is
// bound to them already.
func Enrol(ctx context.Context, tx *db.Tx, s authn.Subject, c Carried) (authn.CredentialID, error) {
	s.Kind = Kind
	handle := tx.Vault().Hash("carried", string(s.User)+"/"+string(c.Client)+"/"+c.Device)
	return authn.Enroll(ctx, tx, s, handle, c.DisplayName(), c)
}

// Medium is a phone that can be asked.
type Medium struct {
	ID     string
	Name   string
	device directory.Device // ours
	phone  *Carried
}

// Media are the phones of a user that can be asked, the one seen last first.
func Media(ctx context.Context, q db.Q, s authn.Subject) ([]Medium, error) {
	s.Kind = Kind
	devices, err := directory.Devices(ctx, q, s.App, s.User)
	if err != nil {
		return nil, err
	}
	var out []Medium
	for _, d := range devices {
		out = append(out, Medium{ID: string(d.ID), Name: d.DisplayName(), device: d})
	}
	creds, err := authn.Credentials[Carried](ctx, q, s)
	for _, c := range creds {
		out = append(out, Medium{ID: string(c.ID), Name: c.Data.DisplayName(), phone: &c.Data})
	}
	return out, err
}

// Device is the phone as Asked wants it.
func (m Medium) Device() directory.Device {
	if m.phone == nil {
		return m.device
	}
	return directory.Device{ID: directory.DeviceID(m.ID), Name: m.phone.Name}
}

// Is reports whether a phone shows what this one is known by. One of ours is known
// by its key, and by less only where unsigned is allowed: in development.
func (m Medium) Is(ctx context.Context, q db.Q, t Triple, unsigned bool) (bool, error) {
	if m.phone != nil {
		return m.phone.is(t), nil
	}
	if !unsigned || t.Device != m.ID {
		return false, nil
	}
	targets, err := directory.Targets(ctx, q, m.device.ID)
	for _, target := range targets {
		if same(target.Address, t.PushID) {
			return true, err
		}
	}
	return false, err
}

// The refusals of a phone's answer. None of them changes anything.
var (
	NotOpen    = fault.New(fault.Expired, "This request was answered or has run out.")
	NotItsTurn = fault.New(fault.Conflict, "This was answered a moment ago.")
	NotThis    = fault.New(fault.Denied, "Another phone was asked.")
	NotYet     = fault.New(fault.Invalid, "The request does not stand there.")
)

// Reply is an answer of a phone that signs nothing.
type Reply struct {
	ID       authn.ChallengeID
	Turn     string
	Triple   Triple
	Unsigned bool // phones of ours may answer so, too
}

// answering reads the request that a phone answers, and checks that it is the
// phone that was asked and its turn.
func (r Reply) answering(ctx context.Context, q db.Q, states ...authn.State) (Challenge, error) {
	c, err := authn.Recall[Request](ctx, q, r.ID)
	if err != nil || c.Subject.Kind != Kind || c.Data.Decoy {
		if err == nil || fault.Is(err, fault.NotFound) {
			err = NotItsTurn
		}
		return c, err
	}
	if !c.State.Open() {
		return c, NotOpen
	}
	if err := c.Play(r.Turn); err != nil {
		return c, NotItsTurn
	}
	media, err := Media(ctx, q, c.Subject)
	if err != nil {
		return c, err
	}
	for _, m := range media {
		if m.ID != string(c.Data.Device) {
			continue
		}
		if ok, err := m.Is(ctx, q, r.Triple, r.Unsigned); err != nil || !ok {
			return c, errors.Join(err, NotThis)
		}
		for _, s := range states {
			if c.State == s {
				return c, nil
			}
		}
		return c, NotYet
	}
	return c, NotThis
}

// Take moves a request one step: acknowledged, then allowed. Whether the user may
// sign in is judged at each step.
func (r Reply) Take(ctx context.Context, tx *db.Tx, from, to authn.State) (Challenge, error) {
	c, err := r.answering(ctx, tx, from)
	if err == nil {
		err = directory.MaySignIn(ctx, tx, c.Subject.Tenant, c.Subject.User)
	}
	if err == nil {
		err = authn.Locked(ctx, tx, c.Subject)
	}
	if err == nil {
		err = authn.Move(ctx, tx, &c, to)
	}
	if err != nil {
		return c, err
	}
	return c, recordEnd(ctx, tx, c, string(to), "")
}

// Refuse denies a request, for a reason in the user's words.
func (r Reply) Refuse(ctx context.Context, tx *db.Tx, reason string) (Challenge, error) {
	c, err := r.answering(ctx, tx, authn.Created, authn.Acknowledged, authn.Allowed)
	if err != nil {
		return c, err
	}
	c.Data.Reason = first(reason, "denied")
	if err := authn.Move(ctx, tx, &c, authn.Denied); err != nil {
		return c, err
	}
	return c, recordEnd(ctx, tx, c, "denied", "denied")
}

// Perform judges the number that was chosen on the phone. The right one approves;
// a wrong one ends the request as denied, is charged, and must be committed.
func (r Reply) Perform(ctx context.Context, tx *db.Tx, typed string) (Challenge, error) {
	c, err := r.answering(ctx, tx, authn.Allowed, authn.Created)
	if err == nil && c.State == authn.Created && !c.Data.Here {
		err = NotYet
	}
	if err != nil {
		return c, err
	}
	proof, err := authn.Attempt(ctx, tx, c.Subject, func() (authn.CredentialID, error) {
		if c.Data.Mode != Off && !equal(typed, c.Data.Number) {
			return "", authn.Wrong
		}
		return authn.CredentialID(c.Data.Device), nil
	})
	switch fault.Of(err).Code {
	case "":
		c.Data.Passed = true
		if err := authn.Approve(ctx, tx, &c, proof); err != nil {
			return c, err
		}
		return c, recordEnd(ctx, tx, c, "approved", "")
	case fault.Wrong, fault.Locked, fault.Denied:
		c.Data.Reason = "wrong_number"
		if e := authn.Move(ctx, tx, &c, authn.Denied); e != nil {
			return c, e
		}
		if e := recordEnd(ctx, tx, c, "denied", "wrong_number"); e != nil {
			return c, e
		}
	}
	return c, err
}

// OpenOn are the requests that wait for a phone without a key, of whichever of
// these users it is enrolled for.
func OpenOn(ctx context.Context, q db.Q, s authn.Subject, t Triple, unsigned bool) ([]Challenge, error) {
	s.Kind = Kind
	media, err := Media(ctx, q, s)
	if err != nil {
		return nil, err
	}
	mine := map[string]bool{}
	for _, m := range media {
		ok, err := m.Is(ctx, q, t, unsigned)
		if err != nil {
			return nil, err
		}
		mine[m.ID] = ok
	}
	open, err := authn.OpenFor[Request](ctx, q, s)
	var out []Challenge
	for _, c := range open {
		if mine[string(c.Data.Device)] && c.State == authn.Created {
			out = append(out, c)
		}
	}
	return out, err
}

// Rebind gives a phone without a key another push id.
func Rebind(ctx context.Context, tx *db.Tx, s authn.Subject, t Triple, pushID string) (bool, error) {
	return each(ctx, tx, s, t, func(c authn.Credential[Carried]) error {
		c.Data.PushID = pushID
		return authn.Use(ctx, tx, c)
	})
}

// Release unbinds a phone without a key from a user.
func Release(ctx context.Context, tx *db.Tx, s authn.Subject, t Triple) (bool, error) {
	s.Kind = Kind
	return each(ctx, tx, s, t, func(c authn.Credential[Carried]) error { return authn.Revoke(ctx, tx, s, c.ID) })
}

func each(ctx context.Context, tx *db.Tx, s authn.Subject, t Triple, fn func(authn.Credential[Carried]) error) (found bool, err error) {
	s.Kind = Kind
	creds, err := authn.Credentials[Carried](ctx, tx, s)
	for _, c := range creds {
		if err == nil && c.Data.is(t) {
			found, err = true, fn(c)
		}
	}
	return found, err
}

// Befriend gives a phone without a key the name that its owner calls it.
func Befriend(ctx context.Context, tx *db.Tx, s authn.Subject, t Triple, name string) error {
	found, err := each(ctx, tx, s, t, func(c authn.Credential[Carried]) error {
		c.Data.Name = name
		return authn.Use(ctx, tx, c)
	})
	if err == nil && !found {
		return fault.New(fault.NotFound, "no such phone")
	}
	return err
}
