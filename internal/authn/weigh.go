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
// judge starts, and judge runs outside any. A verdict that nobody settles stays
// charged. An error of judge other than Wrong is neutral: the charge is taken
// back, and Settle returns the error.
func Weigh(ctx context.Context, d *db.DB, s Subject, judge func() (CredentialID, error)) Verdict {
	var policy lockout.Policy
	var at time.Time
	err := d.Move(ctx, func(tx *db.Tx) (err error) {
		var before, charged lockout.State
		if policy, before, charged, err = weighed(ctx, tx, s); err != nil {
			return err
		}
		at = tx.Now()
		return storeLock(ctx, tx, s, before, charged)
	})
	if err != nil {
		return Verdict{subject: s, err: err}
	}
	cred, err := judge()
	switch {
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
		return storeLock(ctx, tx, s, st, policy.Refund(st, at))
	})
	return Verdict{subject: s, err: errors.Join(err, back)}
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
		return Proof{}, errors.Join(v.err, record(ctx, tx, s, "failed", ""), recordLock(ctx, tx, s, st, st))
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
	if err := storeLock(ctx, tx, s, st, policy.Succeed(st)); err != nil {
		return Proof{}, err
	}
	return Proof{proof{s.Tenant, s.App, s.User, s.Device, s.Kind, v.cred, tx.Now(), nil}}, record(ctx, tx, s, "succeeded", "")
}
