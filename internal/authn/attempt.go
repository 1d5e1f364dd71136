package authn

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/lockout"
	"github.com/watchword-auth/watchword/internal/secret"
)

// Proof is the fact that a user proved who they are. Only this package makes
// one, and only after the lockout engine let the attempt through. The zero
// Proof proves nothing.
type Proof struct{ p proof }

type proof struct {
	Tenant     apps.TenantID      `json:"tenant"`
	App        apps.ID            `json:"app"`
	User       directory.UserID   `json:"user"`
	Device     directory.DeviceID `json:"device,omitempty"`
	Kind       Kind               `json:"kind"`
	Credential CredentialID       `json:"credential,omitempty"`
	At         time.Time          `json:"at"`
	With       []Kind             `json:"with,omitempty"` // by what an approval was paired
	Single     bool               `json:"single,omitempty"`
}

// What a proof is of. The zero Proof has the zero value of each; Device and
// Credential are empty where the method has none, At is the time of the transaction
// that judged the answer.
func (p Proof) User() directory.UserID     { return p.p.User }
func (p Proof) App() apps.ID               { return p.p.App }
func (p Proof) Kind() Kind                 { return p.p.Kind }
func (p Proof) Device() directory.DeviceID { return p.p.Device }
func (p Proof) Credential() CredentialID   { return p.p.Credential }
func (p Proof) At() time.Time              { return p.p.At }

// Single is the proof as one factor, where its method is two and this answer was
// not: a key that its owner did not have to unlock.
func (p Proof) Single() Proof {
	p.p.Single = true
	return p
}

// SealProofs packs proofs for storage at a place; OpenProofs is its inverse.
// Proofs cannot be read from anything but what was sealed here, so that no input
// can become one.
func SealProofs(v *secret.Vault, place string, ps []Proof) []byte {
	if len(ps) == 0 {
		return nil
	}
	raw := make([]proof, len(ps))
	for i, p := range ps {
		raw[i] = p.p
	}
	return v.Seal("proofs/"+place, []byte(db.Text(raw)))
}

// OpenProofs unpacks what SealProofs packed for this place; nothing is nothing.
func OpenProofs(v *secret.Vault, place string, sealed []byte) ([]Proof, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	b, err := v.Open("proofs/"+place, sealed)
	if err != nil {
		return nil, err
	}
	var raw []proof
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, err
	}
	out := make([]Proof, len(raw))
	for i, p := range raw {
		out[i] = Proof{p}
	}
	return out, nil
}

// AMR returns the authentication method references (RFC 8176) of proofs, sorted.
func AMR(ps []Proof) []string {
	var out []string
	for _, k := range kindsOf(ps) {
		out = append(out, methods[k].AMR...)
	}
	if len(factorsOf(kindsOf(ps))) > 1 {
		out = append(out, "mfa")
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// kindsOf are the methods that stand behind proofs, also those that an approval
// was paired with.
func kindsOf(ps []Proof) []Kind {
	var out []Kind
	for _, p := range ps {
		out = append(append(out, p.p.Kind), p.p.With...)
	}
	return out
}

// factorsOf are the different factors among methods.
func factorsOf(kinds []Kind) map[Factor]bool {
	out := map[Factor]bool{}
	for _, k := range kinds {
		out[methods[k].Factor] = true
	}
	return out
}

// Levels of assurance, as NIST SP 800-63B-4 counts them.
const (
	AAL1 = "urn:watchword:aal1"
	AAL2 = "urn:watchword:aal2"
)

// ACR returns the level of assurance of proofs. One method that is two factors is
// AAL2, and so are methods of two different factors; two methods of one factor,
// such as two codes that were sent, are not.
func ACR(ps []Proof) string {
	two := func(k Kind) bool { return methods[k].MultiFactor }
	switch {
	case len(ps) == 0:
		return ""
	case len(factorsOf(kindsOf(ps))) > 1,
		slices.ContainsFunc(ps, func(p Proof) bool { return !p.p.Single && (two(p.p.Kind) || slices.ContainsFunc(p.p.With, two)) }):
		return AAL2
	}
	return AAL1
}

// Reaches reports whether a level is at least one of those wanted; what we do
// not know is nothing that could be reached. None wanted is any.
func Reaches(have string, want []string) bool {
	if len(want) == 0 {
		return true
	}
	return slices.Contains(want, have) || have == AAL2 && slices.Contains(want, AAL1)
}

// Adds reports whether a proof by a method would add a factor to what was proven:
// another one, or a method that is two or may be paired with one.
func Adds(ps []Proof, kind Kind) bool {
	kinds, m := kindsOf(ps), methods[kind]
	return !slices.Contains(kinds, kind) && (m.MultiFactor || m.Pairs || !factorsOf(kinds)[m.Factor])
}

// Wrong is the answer to a wrong answer. It says nothing about why.
var Wrong = fault.New(fault.Wrong, "That did not match. Try again or use another way.")

// Attempt lets judge decide on an answer, in the caller's transaction. The
// attempt is charged before judge runs. A right answer clears the count; Wrong
// leaves it charged, and the caller must commit all the same; any other error is
// the caller's reason to roll back, which takes the charge back with everything
// else. judge must be quick: no password hash and no network.
//
// It returns fault.Locked, with the wait, if the subject is locked; judge has
// not run then. A user who may not sign in is Wrong, whatever the answer, for who
// guesses must not learn of them.
func Attempt(ctx context.Context, tx *db.Tx, s Subject, judge func() (CredentialID, error)) (Proof, error) {
	return attempt(ctx, tx, s, func() (Subject, CredentialID, error) {
		out, err := barred(ctx, tx, s)
		if err != nil {
			return s, "", err
		}
		if out { // judge might spend something; what it would read is read
			if IsNobody(s.User) { // has nothing to spend, so that all of it is read
				_, err = judge()
			} else {
				_, err = Credentials[struct{}](ctx, tx, s)
			}
			if fault.Is(err, fault.Internal) || fault.Is(err, fault.Unavailable) {
				return s, "", err
			}
			return s, "", Wrong
		}
		cred, err := judge()
		return s, cred, err
	})
}

// attempt charges s, and proves whom judge names.
func attempt(ctx context.Context, tx *db.Tx, s Subject, judge func() (Subject, CredentialID, error)) (Proof, error) {
	policy, before, charged, err := weighed(ctx, tx, s)
	if err != nil {
		return Proof{}, err
	}
	who, cred, err := judge()
	switch {
	case err == nil:
		if err := storeLock(ctx, tx, s, before, policy.Succeed(charged)); err != nil {
			return Proof{}, err
		}
		return Proof{proof{who.Tenant, who.App, who.User, who.Device, who.Kind, cred, tx.Now(), nil, false}}, record(ctx, tx, who, "succeeded", "")
	case fault.Is(err, fault.Wrong):
		return Proof{}, errors.Join(err, storeLock(ctx, tx, s, before, charged), record(ctx, tx, s, "failed", ""), recordLock(ctx, tx, s, charged))
	}
	return Proof{}, err
}

// barred reports whether the user of s may not sign in.
func barred(ctx context.Context, q db.Q, s Subject) (bool, error) {
	err := directory.MaySignIn(ctx, q, s.Tenant, s.User)
	if fault.Is(err, fault.Denied) {
		return true, nil
	}
	return false, err
}

// weighed returns what a charge now would make of the count of s. It returns
// fault.Locked if the subject is locked.
func weighed(ctx context.Context, tx *db.Tx, s Subject) (policy lockout.Policy, before, charged lockout.State, err error) {
	if err := Settings(ctx, tx, s.App, s.Kind, &policy); err != nil {
		return policy, before, charged, err
	}
	if before, err = recallLock(ctx, tx, s); err != nil {
		return policy, before, charged, err
	}
	charged, wait := policy.Charge(before, tx.Now())
	if wait > 0 {
		return policy, before, charged, locked(wait)
	}
	return policy, before, charged, nil
}

// Locked returns fault.Locked, with the wait, if no attempt of the subject
// would be judged now.
func Locked(ctx context.Context, q db.Q, s Subject) error {
	st, err := recallLock(ctx, q, s)
	if err != nil {
		return err
	}
	if wait, is := st.Locked(q.Now()); is {
		return locked(wait)
	}
	return nil
}

// Lock locks a subject by hand until Unlock.
func Lock(ctx context.Context, tx *db.Tx, s Subject, reason string) error {
	st, err := recallLock(ctx, tx, s)
	if err != nil {
		return err
	}
	next := st
	next.Manual = true
	return errors.Join(storeLock(ctx, tx, s, st, next), record(ctx, tx, s, "locked", reason), s.changed(ctx, tx, "", Changed))
}

// LockFor locks a subject until it has passed, or by hand if it is 0.
func LockFor(ctx context.Context, tx *db.Tx, s Subject, life time.Duration, reason string) error {
	if life == 0 {
		return Lock(ctx, tx, s, reason)
	}
	st, err := recallLock(ctx, tx, s)
	if err != nil {
		return err
	}
	next := st
	if until := tx.Now().Add(life); until.After(st.Until) {
		next.Until = until
	}
	return errors.Join(storeLock(ctx, tx, s, st, next), record(ctx, tx, s, "locked", reason))
}

func locked(wait time.Duration) error {
	return fault.New(fault.Locked, "Too many tries. Wait and try again.").After(wait)
}

func recallLock(ctx context.Context, q db.Q, s Subject) (lockout.State, error) {
	var st lockout.State
	name, err := s.counter(ctx, q)
	if err != nil {
		return st, err
	}
	err = q.QueryRow(ctx, `SELECT state FROM lockouts WHERE subject = $1`, name).Scan(db.JSON(&st))
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return st, err
}

// storeLock replaces the state that was read in the same transaction. The
// condition on the old text makes that exact at any isolation level.
func storeLock(ctx context.Context, tx *db.Tx, s Subject, was, st lockout.State) error {
	if was == st {
		return nil
	}
	name, err := s.counter(ctx, tx)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `INSERT INTO lockouts (subject, state, updated_at, stranger) VALUES ($1, $2, $3, $5)
		ON CONFLICT (subject) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at WHERE lockouts.state = $4`,
		name, db.Text(st), tx.Now(), db.Text(was), strings.HasPrefix(string(s.User), strangerMark))
	if err == nil && n == 0 {
		return fmt.Errorf("counter of %s moved inside a transaction", s.Kind)
	}
	return err
}

func record(ctx context.Context, tx *db.Tx, s Subject, what, reason string) error {
	if strings.HasPrefix(string(s.User), strangerMark) {
		s.User, reason = "", "nobody"
	}
	return audit.Record(ctx, tx, audit.Event{Tenant: string(s.Tenant), App: string(s.App), Type: "auth." + string(s.Kind) + "." + what,
		Actor: string(s.User), Target: string(s.User), Device: string(s.Device), Reason: reason, Outcome: outcomeOf(what)})
}

// recordLock records that a failure locked a subject, and has its user told; if
// st is no lock it does nothing.
func recordLock(ctx context.Context, tx *db.Tx, s Subject, st lockout.State) error {
	if _, now := st.Locked(tx.Now()); !now {
		return nil
	}
	if err := announce(ctx, tx, s); err != nil {
		return err
	}
	what := "tier"
	if st.Permanent {
		what = "permanent"
	}
	return record(ctx, tx, s, "locked", what)
}

func outcomeOf(what string) string {
	if what == "succeeded" || what == "unlocked" {
		return "success"
	}
	return "failure"
}
