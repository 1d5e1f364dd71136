package authn

import (
	"context"
	"errors"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// Verdict is what Weigh found. It proves nothing until it is settled; the zero
// Verdict settles as Wrong.
type Verdict struct {
	subject Subject
	cred    CredentialID
	charged bool
	right   bool
	err     error
}

// Weigh is Attempt for a judgement that takes long: a password hash, a call to
// an engine. It charges in a transaction of its own, which is committed before
// judge starts, and judge runs outside any, also for a user who may not sign in:
// they are Wrong, and it takes as long. A verdict that nobody settles stays
// charged. An error of judge other than Wrong is neutral: the charge is taken
// back, and Settle returns the error.
func Weigh(ctx context.Context, d *db.DB, s Subject, judge func() (CredentialID, error)) Verdict {
	policy, at, out, err := reserve(ctx, d, s)
	if err != nil {
		return Verdict{subject: s, err: err}
	}
	cred, err := judge()
	switch {
	case out && (err == nil || fault.Is(err, fault.Wrong)):
		return Verdict{subject: s, charged: true, err: Wrong}
	case err == nil:
		return Verdict{subject: s, cred: cred, charged: true, right: true}
	case fault.Is(err, fault.Wrong):
		return Verdict{subject: s, charged: true, err: err}
	}
	back := d.Move(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		st, err := recallLock(ctx, tx, s)
		if err != nil {
			return err
		}
		return settled(ctx, tx, s, st, policy.Refund(st, at))
	})
	return Verdict{subject: s, err: errors.Join(err, back)}
}

// patience is how long an attempt waits for one of the others of its subject that
// are being judged, glance how often it looks whether another node is done.
const (
	patience = 5 * time.Second
	glance   = 200 * time.Millisecond
)

// reserve charges an attempt before it is judged, and reports whether the user may
// not sign in at all. Attempts that are being judged may together have locked the
// subject for a moment; it waits for them then, so that many who are right at once
// do not lock each other out (security R27).
func reserve(ctx context.Context, d *db.DB, s Subject) (policy lockout.Policy, at time.Time, out bool, err error) {
	undecided := false
	charge := func() error {
		return d.Move(ctx, func(tx *db.Tx) (err error) {
			var before, charged lockout.State
			if policy, before, charged, err = weighed(ctx, tx, s); err != nil {
				undecided = fault.Is(err, fault.Locked) && before.Undecided(tx.Now())
				return err
			}
			undecided, at = false, tx.Now()
			if out, err = barred(ctx, tx, s); err != nil {
				return err
			}
			return storeLock(ctx, tx, s, before, charged.Begun())
		})
	}
	if err = charge(); !undecided {
		return policy, at, out, err
	}
	w := d.Watch(s.topic()) // first, so that nothing is missed
	defer w.Close()
	enough := time.NewTimer(patience)
	defer enough.Stop()
	for {
		if err = charge(); !undecided {
			return policy, at, out, err
		}
		select {
		case <-w.C: // one was judged: those that are left take their time, too
			enough.Reset(patience)
		case <-time.After(glance):
		case <-enough.C:
			return policy, at, out, err
		case <-ctx.Done():
			return policy, at, out, err
		}
	}
}

// topic is what is signalled when an attempt of a subject was judged.
func (s Subject) topic() string {
	return "lockout/" + string(s.Tenant) + "/" + string(s.User) + "/" + string(s.Kind)
}

// settled stores the count of an attempt that was judged, and wakes who waits for
// that.
func settled(ctx context.Context, tx *db.Tx, s Subject, was, st lockout.State) error {
	tx.SignalHere(s.topic())
	return storeLock(ctx, tx, s, was, st.Done())
}

// Settle turns a verdict into its proof, in the transaction that relies on it.
// A right answer clears the count, and counts only if the user may still sign in
// and nobody locked them by hand meanwhile. Wrong must be committed, as with
// Attempt.
func (v Verdict) Settle(ctx context.Context, tx *db.Tx) (Proof, error) {
	s := v.subject
	if !v.charged {
		if v.err == nil {
			return Proof{}, Wrong
		}
		return Proof{}, v.err
	}
	st, err := recallLock(ctx, tx, s)
	if err != nil {
		return Proof{}, err
	}
	if !v.right {
		return Proof{}, errors.Join(v.err, settled(ctx, tx, s, st, st), record(ctx, tx, s, "failed", ""), recordLock(ctx, tx, s, st))
	}
	var policy lockout.Policy
	if err := Settings(ctx, tx, s.App, s.Kind, &policy); err != nil {
		return Proof{}, err
	}
	if err := directory.MaySignIn(ctx, tx, s.Tenant, s.User); err != nil {
		return Proof{}, err
	}
	if st.Manual {
		return Proof{}, locked(time.Hour)
	}
	if ok, err := alive(ctx, tx, v.cred); err != nil || !ok {
		return Proof{}, errors.Join(err, Wrong)
	}
	if err := settled(ctx, tx, s, st, policy.Succeed(st)); err != nil {
		return Proof{}, err
	}
	return Proof{proof{s.Tenant, s.App, s.User, s.Device, s.Kind, v.cred, tx.Now(), nil, false}}, record(ctx, tx, s, "succeeded", "")
}
