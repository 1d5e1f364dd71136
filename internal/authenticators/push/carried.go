package push

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/notify"
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
		return cmp.Or(c.Name, c.Model, "Phone") + "(" + c.Make + ", " + c.Model + ")"
	}
	return cmp.Or(c.Name, "Phone")
}

// maxSharers is how many users may share one phone.
const maxSharers = 10

// slot is by what the n-th enrolment of a phone is found again, whosever it is.
func slot(q db.Q, t Triple, n int) string {
	return q.Vault().Hash("carried", string(t.Client)+"/"+t.Device) + "/" + strconv.Itoa(n)
}

// carriedBy are the enrolments of a phone in an application, whosever they are,
// and a slot for one more; "" if there is no more.
func carriedBy(ctx context.Context, q db.Q, s authn.Subject, t Triple) (out []authn.Credential[Carried], free string, err error) {
	for n := range maxSharers {
		c, err := authn.ByHandle[Carried](ctx, q, s, slot(q, t, n))
		switch {
		case err == nil:
			out = append(out, c)
		case !fault.Is(err, fault.NotFound):
			return nil, "", err
		case free == "":
			free = slot(q, t, n)
		}
	}
	return out, free, nil
}

// Enrol binds a phone without a key to a user. fault.Conflict if that phone is
// bound to them already, fault.Limited if too many share it.
func Enrol(ctx context.Context, tx *db.Tx, s authn.Subject, c Carried) (authn.CredentialID, error) {
	s.Kind = Kind
	have, free, err := carriedBy(ctx, tx, s, Triple{Client: c.Client, Device: c.Device})
	if err != nil {
		return "", err
	}
	for _, other := range have {
		if other.Subject.User == s.User {
			return "", fault.New(fault.Conflict, "This phone is registered already.")
		}
	}
	if free == "" {
		return "", fault.New(fault.Limited, "Too many people share this phone.")
	}
	return authn.Enroll(ctx, tx, s, free, c.DisplayName(), c)
}

// Medium is a phone that can be asked. The zero Medium is nobody's.
type Medium struct {
	ID     string
	Name   string
	device directory.Device // ours
	phone  *Carried
}

// Own is a phone of ours, which signs.
func Own(d directory.Device) Medium {
	return Medium{ID: string(d.ID), Name: d.DisplayName(), device: d}
}

// Nobody is a phone without a key that nobody has: a decoy's. To ask it is as much
// work as to ask one (security R30). The zero Medium is like that for phones of ours.
func Nobody() Medium { return Medium{phone: &Carried{}} }

// Unsigned reports that the phone has no key: what it says is one factor.
func (m Medium) Unsigned() bool { return m.phone != nil }

// Holds reports whether what was enrolled on a device is on this phone: methods
// name a phone of ours by its key, another by its id.
func (m Medium) Holds(device directory.DeviceID) bool {
	if m.phone != nil {
		return m.ID == string(device)
	}
	return m.device.KeyID != "" && strings.EqualFold(m.device.KeyID, string(device))
}

// Media are the phones of a user that can be asked: those of ours, the one seen
// last first, and then those without a key.
func Media(ctx context.Context, q db.Q, s authn.Subject) ([]Medium, error) {
	out, err := signing(ctx, q, s)
	if err != nil {
		return nil, err
	}
	s.Kind = Kind
	creds, err := authn.Credentials[Carried](ctx, q, s)
	for _, c := range creds {
		out = append(out, Medium{ID: string(c.ID), Name: c.Data.DisplayName(), phone: &c.Data})
	}
	return out, err
}

// signing are the phones of a user that sign. A browser that was bound is none.
func signing(ctx context.Context, q db.Q, s authn.Subject) ([]Medium, error) {
	devices, err := directory.Devices(ctx, q, s.App, s.User)
	var out []Medium
	for _, d := range devices {
		if d.Platform != directory.Browser {
			out = append(out, Own(d))
		}
	}
	return out, err
}

// tell sends a phone without a key what its app reads (cidaas-protocol 3), if a
// provider for it was set up. Its push id is a token of FCM, also on iOS.
func (m Medium) tell(ctx context.Context, tx *db.Tx, c Challenge, n notify.Message) error {
	n.Target = notify.Target{Kind: notify.None, Address: m.phone.PushID}
	providers, err := notify.Providers(ctx, tx, n.Tenant, n.App, notify.FCM)
	if err != nil {
		return err
	}
	if len(providers) > 0 {
		n.Target.Kind = notify.FCM
	}
	n.Vendor = &notify.Vendor{Exchange: Exchange(tx, c.ID, c.Turn), User: string(c.Subject.User), Type: cmp.Or(c.Data.As, "PUSH"), Tenant: n.Tenant, Client: string(m.phone.Client), At: c.Created}
	return notify.SendPush(ctx, tx, n)
}

// Is reports whether a phone shows what this one is known by. One of ours is known
// by its key, and by less only where unsigned is allowed: in development.
func (m Medium) Is(ctx context.Context, q db.Q, t Triple, unsigned bool) (bool, error) {
	if m.phone != nil {
		return m.phone.is(t), nil
	}
	if !unsigned || t.Device != m.ID && !strings.EqualFold(t.Device, m.device.KeyID) { // its SDK knows it by its key
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

// Exchange is what a phone without a key shows as its turn of a request: the
// request, the turn, and a keyed hash by which one that was issued is known when
// its turn is over.
func Exchange(q db.Q, id authn.ChallengeID, turn string) string {
	head := string(id) + "." + turn
	return head + "." + q.Vault().Hash("cidaas_exchange", head)[:32]
}

// Parted is the inverse of Exchange; false for anything that was never issued.
func Parted(q db.Q, s string) (id authn.ChallengeID, turn string, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(s) > 200 || !same(Exchange(q, authn.ChallengeID(parts[0]), parts[1]), s) {
		return "", "", false
	}
	return authn.ChallengeID(parts[0]), parts[1], true
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
	As       string // what the phone takes the method for; in any case of letters
	Unsigned bool   // phones of ours may answer so, too
}

// answering reads the request that a phone answers, and checks that it is the
// phone that was asked and its turn.
func (r Reply) answering(ctx context.Context, q db.Q, states ...authn.State) (Challenge, error) {
	c, _, err := r.asked(ctx, q, states...)
	return c, err
}

// asked is answering with the phone that answers.
func (r Reply) asked(ctx context.Context, q db.Q, states ...authn.State) (Challenge, Medium, error) {
	c, err := authn.Recall[Request](ctx, q, r.ID)
	if err != nil || c.Subject.Kind != Kind || c.Data.Decoy || !strings.EqualFold(cmp.Or(c.Data.As, "PUSH"), cmp.Or(r.As, "PUSH")) {
		if err == nil || fault.Is(err, fault.NotFound) {
			err = NotItsTurn
		}
		return c, Medium{}, err
	}
	if !c.State.Open() {
		return c, Medium{}, NotOpen
	}
	if err := c.Play(r.Turn); err != nil {
		return c, Medium{}, NotItsTurn
	}
	media, err := Media(ctx, q, c.Subject)
	if err != nil {
		return c, Medium{}, err
	}
	for _, m := range media {
		if m.ID != string(c.Data.Device) {
			continue
		}
		if ok, err := m.Is(ctx, q, r.Triple, r.Unsigned); err != nil || !ok {
			return c, m, errors.Join(err, NotThis)
		}
		for _, s := range states {
			if c.State == s {
				return c, m, nil
			}
		}
		return c, m, NotYet
	}
	return c, Medium{}, NotThis
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
	c.Data.Reason = cmp.Or(reason, "denied")
	if err := authn.Move(ctx, tx, &c, authn.Denied); err != nil {
		return c, err
	}
	return c, recordEnd(ctx, tx, c, "denied", "denied")
}

// Perform judges the number that was chosen on the phone. The right one approves;
// a wrong one ends the request as denied, is charged, and must be committed.
func (r Reply) Perform(ctx context.Context, tx *db.Tx, typed string) (Challenge, error) {
	c, err := r.answering(ctx, tx, authn.Allowed, authn.Created)
	if err == nil && (c.State == authn.Created && !c.Data.Here || c.Data.Signs) {
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

// Ready reports whether a phone may confirm a request that wants its owner's
// signature, and returns that request.
func (r Reply) Ready(ctx context.Context, q db.Q) (Challenge, error) {
	c, err := r.answering(ctx, q, authn.Allowed, authn.Created)
	if err == nil && (c.State == authn.Created && !c.Data.Here || !c.Data.Signs) {
		err = NotYet
	}
	return c, err
}

// Confirm approves a request by what its owner proved on the very phone that was
// asked: such an approval is more than one factor.
func (r Reply) Confirm(ctx context.Context, tx *db.Tx, p authn.Proof) (Challenge, error) {
	c, err := r.Ready(ctx, tx)
	if err != nil {
		return c, err
	}
	_, m, err := r.asked(ctx, tx, c.State)
	if err == nil && !m.Holds(p.Device()) {
		err = NotThis
	}
	if err == nil {
		c.Data.Passed = true
		err = authn.Approve(ctx, tx, &c, p)
	}
	if err != nil {
		return c, err
	}
	return c, recordEnd(ctx, tx, c, "approved", "")
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

// Rebind gives a phone without a key another push id, for all who share it. It
// reports whether there is such a phone.
func Rebind(ctx context.Context, tx *db.Tx, s authn.Subject, t Triple, pushID string) (found bool, err error) {
	s.Kind = Kind
	all, _, err := carriedBy(ctx, tx, s, t)
	for _, c := range all {
		if err == nil && c.Data.is(t) {
			c.Data.PushID = pushID
			found, err = true, authn.Use(ctx, tx, c)
		}
	}
	return found, err
}

// Release unbinds a phone without a key from a user, and takes what its owner
// enrolled on it.
func Release(ctx context.Context, tx *db.Tx, s authn.Subject, t Triple) (bool, error) {
	return each(ctx, tx, s, t, func(c authn.Credential[Carried]) error { return drop(ctx, tx, s, c.ID) })
}

// Drop is Release of a phone that another showed; false for a phone of ours.
func Drop(ctx context.Context, tx *db.Tx, s authn.Subject, m Medium) (bool, error) {
	if m.phone == nil {
		return false, nil
	}
	return true, drop(ctx, tx, s, authn.CredentialID(m.ID))
}

func drop(ctx context.Context, tx *db.Tx, s authn.Subject, id authn.CredentialID) error {
	s.Kind = Kind
	if err := authn.Revoke(ctx, tx, s, id); err != nil {
		return err
	}
	return authn.ForgetDevice(ctx, tx, s, directory.Device{ID: directory.DeviceID(id), KeyID: string(id)})
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
