package authn

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// strangerMark begins the counters of names that belong to nobody.
const strangerMark = "stranger/"

// NobodyID is the id under which something is kept for a name that belongs to
// nobody: no user ever has it. What is posed for it is never answered.
func NobodyID(q db.Q, typed string) directory.UserID {
	return directory.UserID(strangerMark + q.Vault().Hash("stranger", directory.NameKey(typed)))
}

// Stranger is Attempt for a name that belongs to nobody. It is charged like a
// user's, under a keyed hash of the name, so that a stranger is told Wrong and,
// after as many tries as anybody, Locked, and takes about the time that a user
// takes (security R30). It never succeeds.
func Stranger(ctx context.Context, tx *db.Tx, kind Kind, tenant apps.TenantID, app apps.ID, typed string) error {
	var policy lockout.Policy
	if err := Settings(ctx, tx, app, kind, &policy); err != nil {
		return err
	}
	s := Subject{Kind: kind, Tenant: tenant, App: app, User: NobodyID(tx, typed)}
	before, err := recallLock(ctx, tx, s)
	if err != nil {
		return err
	}
	if _, err := Credentials[struct{}](ctx, tx, s); err != nil {
		return err
	}
	charged, wait := policy.Charge(before, tx.Now())
	if wait > 0 {
		return locked(wait)
	}
	if err := storeLock(ctx, tx, s, before, charged); err != nil {
		return err
	}
	if _, now := charged.Locked(tx.Now()); now {
		if err := announce(ctx, tx, s); err != nil {
			return err
		}
	}
	s.User = ""
	if err := record(ctx, tx, s, "failed", "nobody"); err != nil {
		return err
	}
	return Wrong
}

// Unknown makes a journey's or a caller's refusal of a name the same as a wrong
// answer: any NotFound of err becomes what Stranger says.
func Unknown(ctx context.Context, tx *db.Tx, err error, kind Kind, tenant apps.TenantID, app apps.ID, typed string) error {
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	return Stranger(ctx, tx, kind, tenant, app, typed)
}

// SweepStrangers deletes the counters of names that nobody tried for a day; jobs
// calls it.
func SweepStrangers(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM lockouts WHERE stranger AND updated_at < $1`, tx.Now().Add(-24*time.Hour))
	return err
}
