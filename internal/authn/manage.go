package authn

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// Authenticator is what lists show of something that can prove a user.
type Authenticator struct {
	ID        string
	Kind      Kind
	Label     string
	Status    AuthenticatorStatus
	App       apps.ID
	Scope     Scope
	Device    directory.DeviceID
	CreatedAt time.Time
	UsedAt    time.Time // zero: never
	Untried   bool      // nobody knows yet whether it works
	Failures  int
	Until     time.Time // end of an automatic lock
}

// AuthenticatorStatus says whether an authenticator may be used.
type AuthenticatorStatus string

const (
	Usable      AuthenticatorStatus = "active"
	LockedNow   AuthenticatorStatus = "locked"
	LockedHard  AuthenticatorStatus = "permanently_locked"
	Deactivated AuthenticatorStatus = "deactivated" // locked by a person
	SwitchedOff AuthenticatorStatus = "disabled"    // the method is off in this application
)

// Word is the status as lists say it: unconfirmed is active, and counts.
func (a Authenticator) Word() string {
	if a.Untried && a.Status == Usable {
		return "unconfirmed"
	}
	return string(a.Status)
}

// Authenticators lists what can prove a user in an application: what was
// enrolled, oldest first, and what needs no enrolment because the user has an
// address for it. The id of the latter is the kind.
func Authenticators(ctx context.Context, q db.Q, tenant apps.TenantID, app apps.ID, user directory.UserID) ([]Authenticator, error) {
	out, err := enrolled(ctx, q, user, app)
	if err != nil {
		return nil, err
	}
	ids, err := directory.Identifiers(ctx, q, user)
	if err != nil {
		return nil, err
	}
	for _, m := range Methods() {
		for _, i := range ids {
			if m.Reaches != "" && m.Reaches == i.Kind && i.Primary {
				out = append(out, Authenticator{ID: string(m.Kind), Kind: m.Kind, Label: directory.Masked(i), App: app, Scope: PerTenant, Status: Usable})
			}
		}
	}
	return out, judged(ctx, q, tenant, app, user, out)
}

// Asked lists what a user is asked by through something else than what they enrolled
// for it: an approval, through their phones. It stands there while a phone of theirs in
// the application can be reached, and as long as it is locked, so that whoever helps
// them sees the lock. The id is the kind.
func Asked(ctx context.Context, q db.Q, tenant apps.TenantID, app apps.ID, user directory.UserID) ([]Authenticator, error) {
	phones, err := directory.Devices(ctx, q, app, user)
	if err != nil {
		return nil, err
	}
	reached, err := directory.TargetKinds(ctx, q, user)
	if err != nil {
		return nil, err
	}
	rings := slices.ContainsFunc(phones, func(d directory.Device) bool { return len(reached[d.ID]) > 0 })
	var out []Authenticator
	for _, m := range Methods() {
		if m.Pairs {
			out = append(out, Authenticator{ID: string(m.Kind), Kind: m.Kind, App: app, Scope: m.Lives, Status: Usable})
		}
	}
	err = judged(ctx, q, tenant, app, user, out)
	return slices.DeleteFunc(out, func(a Authenticator) bool { return !rings && (a.Status == Usable || a.Status == SwitchedOff) }), err
}

func enrolled(ctx context.Context, q db.Q, user directory.UserID, app apps.ID) ([]Authenticator, error) {
	group, err := groupOf(ctx, q, app)
	if err != nil {
		return nil, err
	}
	rows, err := q.Query(ctx, `SELECT id, kind, label, status, app_id, device_id, created_at, used_at FROM credentials
		WHERE user_id = $1 AND (app_id = $2 OR scope IN ('tenant', $3)) ORDER BY created_at, id`, user, app, group)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Authenticator
	for rows.Next() {
		var a Authenticator
		if err := rows.Scan(&a.ID, &a.Kind, &a.Label, &a.Status, &a.App, &a.Device, db.Time(&a.CreatedAt), db.Time(&a.UsedAt)); err != nil {
			return nil, err
		}
		a.Scope = methods[a.Kind].Lives
		a.Untried = methods[a.Kind].Untried && a.UsedAt.IsZero()
		out = append(out, a)
	}
	return out, rows.Err()
}

// judged fills in what the lockout engine and the settings say: one read of each,
// for somebody and for nobody, so that the time tells little of what there is.
func judged(ctx context.Context, q db.Q, tenant apps.TenantID, app apps.ID, user directory.UserID, list []Authenticator) error {
	set, err := standings(ctx, q, app)
	if err != nil {
		return err
	}
	locks, err := counters(ctx, q, string(tenant)+"/"+string(user)+"/")
	if err != nil {
		return err
	}
	for i := range list {
		a := &list[i]
		s := Subject{Kind: a.Kind, Tenant: tenant, App: app, User: user, Device: a.Device, group: set[a.Kind].Group}
		st := locks[s.name()]
		a.Failures = st.Failures
		switch _, locked := st.Locked(q.Now()); {
		case a.Status != Usable:
		case st.Manual:
			a.Status = Deactivated
		case st.Permanent:
			a.Status = LockedHard
		case locked:
			a.Status, a.Until = LockedNow, st.Until
		case !set[a.Kind].Enabled:
			a.Status = SwitchedOff
		}
	}
	return nil
}

// counters reads every lockout counter whose name begins so; first ends in "/".
func counters(ctx context.Context, q db.Q, first string) (map[string]lockout.State, error) {
	rows, err := q.Query(ctx, `SELECT subject, state FROM lockouts WHERE subject > $1 AND subject < $2`, first, first[:len(first)-1]+"0") // '0' follows '/'
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]lockout.State{}
	for rows.Next() {
		var name string
		var st lockout.State
		if err := rows.Scan(&name, db.JSON(&st)); err != nil {
			return nil, err
		}
		out[name] = st
	}
	return out, rows.Err()
}

// Known reports whether there is a method of this kind.
func Known(k Kind) bool { _, ok := methods[k]; return ok }

// Deactivate locks one enrolled authenticator until Reactivate or an unlock of
// its kind. fault.NotFound if the user has no such one in the application.
func Deactivate(ctx context.Context, tx *db.Tx, s Subject, id CredentialID, reason string) error {
	if err := s.setStatus(ctx, tx, id, string(Deactivated), "authenticator.locked", reason); err != nil {
		return err
	}
	var err error
	if s.Kind, _, err = kindOf(ctx, tx, s, id); err != nil {
		return err
	}
	return s.changed(ctx, tx, "", Changed)
}

// Reactivate undoes Deactivate and clears every lock and count that its
// attempts are charged to.
func Reactivate(ctx context.Context, tx *db.Tx, s Subject, id CredentialID) error {
	if err := s.setStatus(ctx, tx, id, string(Usable), "authenticator.unlocked", ""); err != nil {
		return err
	}
	var err error
	if s.Kind, s.Device, err = kindOf(ctx, tx, s, id); err != nil {
		return err
	}
	name, err := s.counter(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM lockouts WHERE subject = $1`, name)
	return err
}

func kindOf(ctx context.Context, q db.Q, s Subject, id CredentialID) (kind Kind, device directory.DeviceID, err error) {
	group, err := groupOf(ctx, q, s.App)
	if err != nil {
		return "", "", err
	}
	err = q.QueryRow(ctx, `SELECT kind, device_id FROM credentials WHERE id = $1 AND user_id = $2 AND (app_id = $3 OR scope IN ('tenant', $4))`, id, s.User, s.App, group).Scan(&kind, &device)
	return kind, device, db.None(err, "authenticator")
}

func (s Subject) setStatus(ctx context.Context, tx *db.Tx, id CredentialID, status, event, reason string) error {
	group, err := groupOf(ctx, tx, s.App)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE credentials SET status = $1, rev = rev + 1 WHERE id = $2 AND user_id = $3 AND tenant_id = $4 AND (app_id = $5 OR scope IN ('tenant', $6))`, status, id, s.User, s.Tenant, s.App, group)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such authenticator")
	}
	return errors.Join(err, s.manage(ctx, tx, event, string(id), reason))
}

// StepUp returns nil if proofs of the last five minutes reach as high as the user
// can: who has two factors, or one that is two, proves both before anything is
// added to or taken from the account (security R40, R41). fault.Denied otherwise.
func StepUp(ctx context.Context, q db.Q, tenant apps.TenantID, app apps.ID, user directory.UserID, ps []Proof) error {
	var fresh []Proof
	for _, p := range ps {
		if q.Now().Sub(p.At()) <= 5*time.Minute {
			fresh = append(fresh, p)
		}
	}
	if len(fresh) == 0 || Alone(fresh) {
		return fault.New(fault.Denied, "Sign in again first.")
	}
	all, err := Authenticators(ctx, q, tenant, app, user)
	if err != nil {
		return err
	}
	var kinds []Kind
	both := false
	for _, a := range all {
		if a.ID != string(a.Kind) && !methods[a.Kind].Beside && a.Status != SwitchedOff {
			kinds = append(kinds, a.Kind)
			both = both || methods[a.Kind].MultiFactor
		}
	}
	if (both || len(factorsOf(kinds)) > 1) && ACR(fresh) != AAL2 {
		return fault.New(fault.Denied, "Sign in with a second factor first.")
	}
	return nil
}

// Rename gives an authenticator another label, of at most 100 characters.
func Rename(ctx context.Context, tx *db.Tx, s Subject, id CredentialID, label string) error {
	if label == "" || len([]rune(label)) > 100 {
		return fault.New(fault.Invalid, "A name has 1 to 100 characters.")
	}
	group, err := groupOf(ctx, tx, s.App)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE credentials SET label = $1, rev = rev + 1 WHERE id = $2 AND user_id = $3 AND tenant_id = $4 AND (app_id = $5 OR scope = $6)`, label, id, s.User, s.Tenant, s.App, group)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such authenticator")
	}
	return errors.Join(err, s.manage(ctx, tx, "authenticator.renamed", string(id), ""))
}

// LastFactor is the answer to removing the only thing a user could sign in with.
var LastFactor = fault.New(fault.Conflict, "This is the only way left to sign in. Add another first.")

// Delete removes an authenticator for good. Unless force, the last one that is
// usable stays: LastFactor.
func Delete(ctx context.Context, tx *db.Tx, s Subject, id CredentialID, force bool) error {
	if err := directory.Touch(ctx, tx, s.User); err != nil { // of two that delete at once the second sees what is left
		return err
	}
	all, err := Authenticators(ctx, tx, s.Tenant, s.App, s.User)
	if err != nil {
		return err
	}
	left := 0
	for _, a := range all {
		if a.ID != string(id) && a.ID != string(a.Kind) && !methods[a.Kind].Beside && (a.Status == Usable || a.Status == LockedNow) { // an address alone is no factor
			left++
		}
	}
	if left == 0 && !force {
		return LastFactor
	}
	group, err := groupOf(ctx, tx, s.App)
	if err != nil {
		return err
	}
	gone, err := taken(ctx, tx, s, `id = $1 AND user_id = $2 AND tenant_id = $3 AND (app_id = $4 OR scope = $5)`, id, s.User, s.Tenant, s.App, group)
	if err == nil && gone == 0 {
		return fault.New(fault.NotFound, "no such authenticator")
	}
	return errors.Join(err, s.manage(ctx, tx, "authenticator.revoked", string(id), ""))
}

// taken deletes credentials and makes each known.
func taken(ctx context.Context, tx *db.Tx, s Subject, where string, args ...any) (int, error) {
	rows, err := tx.Query(ctx, `DELETE FROM credentials WHERE `+where+` RETURNING kind, label`, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var gone []Change
	for rows.Next() {
		var c Change
		if err := rows.Scan(&c.Subject.Kind, &c.Label); err != nil {
			return 0, err
		}
		gone = append(gone, c)
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	for _, c := range gone {
		s.Kind = c.Subject.Kind
		if err := s.changed(ctx, tx, c.Label, Removed); err != nil {
			return 0, err
		}
	}
	return len(gone), nil
}

// groupOf is the scope of what an application shares with others, as credentials
// name it; one that no credential has if it shares nothing.
func groupOf(ctx context.Context, q db.Q, app apps.ID) (string, error) {
	for _, m := range Methods() {
		s, err := Subject{Kind: m.Kind, App: app}.shared(ctx, q)
		if err != nil || s.group != "" {
			return s.place(PerApp), err
		}
	}
	return "group/", nil
}

// Remains returns LastFactor if a user could not sign in any more without what is
// enrolled on a device.
func Remains(ctx context.Context, tx *db.Tx, s Subject, device directory.Device) error {
	if err := directory.Touch(ctx, tx, s.User); err != nil { // of two that remove at once the second sees what is left
		return err
	}
	all, err := Authenticators(ctx, tx, s.Tenant, s.App, s.User)
	if err != nil {
		return err
	}
	for _, a := range all {
		there := a.Device != "" && (a.Device == device.ID || string(a.Device) == device.KeyID)
		if !there && a.ID != string(a.Kind) && !methods[a.Kind].Beside && (a.Status == Usable || a.Status == LockedNow) {
			return nil
		}
	}
	return LastFactor
}

// ForgetDevice removes what a user enrolled on one device of the application,
// which methods name by its id or by its key's.
func ForgetDevice(ctx context.Context, tx *db.Tx, s Subject, device directory.Device) error {
	_, err := taken(ctx, tx, s, `user_id = $1 AND app_id = $2 AND device_id IN ($3, $4)`, s.User, s.App, device.ID, device.KeyID)
	return errors.Join(err, s.manage(ctx, tx, "device.removed", string(device.ID), ""))
}

// How says which locks an unlock clears.
type How string

const (
	Any       How = "any"
	Manual    How = "manual"    // those that a person set
	Automatic How = "automatic" // those that failures led to
)

// UnlockKind clears the locks of a kind as far as the method's unlock reaches:
// every device of the user in the application, or the whole tenant (seed 003,
// DESIGN 2.20.19).
func UnlockKind(ctx context.Context, tx *db.Tx, s Subject, how How) error {
	m, ok := methods[s.Kind]
	if !ok || how != Any && how != Manual && how != Automatic {
		return fault.New(fault.Invalid, "There is no such kind of authenticator or of unlock.")
	}
	states, err := s.states(ctx, tx, m)
	if err != nil {
		return err
	}
	for name, was := range states {
		st := was
		if how != Automatic {
			st.Manual = false
		}
		if how != Manual {
			st = lockout.State{Manual: st.Manual}
		}
		if st == was {
			continue
		}
		if _, err := tx.Exec(ctx, `UPDATE lockouts SET state = $1, updated_at = $2 WHERE subject = $3`, db.Text(st), tx.Now(), name); err != nil {
			return err
		}
	}
	if how != Automatic {
		var group string
		if group, err = groupOf(ctx, tx, s.App); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE credentials SET status = 'active', rev = rev + 1 WHERE user_id = $1 AND kind = $2 AND status = 'deactivated' AND (app_id = $3 OR scope IN ('tenant', $4))`, s.User, s.Kind, s.App, group)
	}
	return errors.Join(err, record(ctx, tx, s, "unlocked", string(how)))
}

// states reads every counter that an unlock of s reaches.
func (s Subject) states(ctx context.Context, q db.Q, m Method) (map[string]lockout.State, error) {
	s.Device = ""
	s, err := s.shared(ctx, q)
	if err != nil {
		return nil, err
	}
	place := s.place(m.Unlock)
	if m.Unlock == PerDevice {
		place = s.place(PerApp)
	}
	first := string(s.Tenant) + "/" + string(s.User) + "/" + string(s.Kind) + "/" + place
	out, err := counters(ctx, q, first+"/")
	if err != nil {
		return nil, err
	}
	var st lockout.State
	err = q.QueryRow(ctx, `SELECT state FROM lockouts WHERE subject = $1`, first).Scan(db.JSON(&st))
	if errors.Is(err, sql.ErrNoRows) {
		return out, nil
	}
	out[first] = st
	return out, err
}

func (s Subject) manage(ctx context.Context, tx *db.Tx, what, id, reason string) error {
	return audit.Record(ctx, tx, audit.Event{Tenant: string(s.Tenant), App: string(s.App), Type: what, Target: string(s.User), Device: string(s.Device),
		Reason: reason, Outcome: "success", Data: map[string]any{"authenticator": id}})
}
