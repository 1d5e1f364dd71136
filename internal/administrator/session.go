package administrator

import (
	"context"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/session"
)

// How long an administrator stays signed in: when nothing is done, and at most.
// Fresh is how long a proof covers dangerous acts.
const (
	Idle  = 30 * time.Minute
	Life  = 12 * time.Hour
	Fresh = 5 * time.Minute

	seenEvery = time.Minute // so that reading writes seldom
)

// Session is an administrator's. It rests on proofs like any other.
type Session struct {
	session.Session
	Who     Administrator
	Manages apps.TenantID // empty: this server has no tenant yet
	SeenAt  time.Time
	Ends    time.Time // if something is done until then
}

// Open begins a session. What proves somebody who is no administrator opens
// none: fault.Denied.
func Open(ctx context.Context, tx *db.Tx, p authn.Proof) (Session, error) {
	a, err := Find(ctx, tx, p.User())
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.Denied, "You do not administrate this server.")
	}
	if err != nil {
		return Session{}, err
	}
	s, err := session.Open(ctx, tx, console, session.From{Client: Client}, p)
	if err != nil {
		return Session{}, err
	}
	list, err := tenants(ctx, tx)
	if err != nil {
		return Session{}, err
	}
	out := Session{Session: s, Who: a, SeenAt: tx.Now(), Ends: tx.Now().Add(Life)}
	if len(list) > 0 {
		out.Manages = list[0].ID
	}
	if _, err := tx.Exec(ctx, `INSERT INTO console_sessions (id, user_id, tenant_id, seen_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
		s.ID, a.ID, out.Manages, out.SeenAt, out.Ends); err != nil {
		return Session{}, err
	}
	_, err = tx.Exec(ctx, `UPDATE administrators SET seen_at = $1 WHERE user_id = $2`, tx.Now(), a.ID)
	return out, err
}

// tenants are all there are. A new server that was given none gets one, so that
// its first administrator has something to manage.
func tenants(ctx context.Context, tx *db.Tx) ([]apps.Tenant, error) {
	list, err := apps.Tenants(ctx, tx)
	if err != nil || len(list) > 0 {
		return list, err
	}
	t := apps.Tenant{ID: "default", Name: "Default"}
	if err := apps.CreateTenant(ctx, tx, t); err != nil {
		return nil, err
	}
	_, err = notify.EnsureVAPID(ctx, tx, string(t.ID))
	return []apps.Tenant{t}, err
}

// Recall returns the session that somebody holds; fault.NotFound if it is
// unknown, has ended by itself or by anybody, or its administrator is gone.
func Recall(ctx context.Context, q db.Q, bearer string) (Session, error) {
	s := Session{}
	var err error
	if s.Session, err = session.Held(ctx, q, console, bearer); err != nil {
		return s, err
	}
	s.Bearer = bearer
	err = q.QueryRow(ctx, `SELECT tenant_id, seen_at, expires_at FROM console_sessions WHERE id = $1`, s.ID).Scan(&s.Manages, db.Time(&s.SeenAt), db.Time(&s.Ends))
	if err != nil {
		return s, db.None(err, "session")
	}
	if now := q.Now(); !now.Before(s.Ends) || now.Sub(s.SeenAt) >= Idle {
		return s, fault.New(fault.NotFound, "no such session")
	}
	s.Who, err = Find(ctx, q, s.User)
	return s, err
}

// Seen notes that something was done, at most once a minute.
func Seen(ctx context.Context, d *db.DB, s Session) error {
	if d.Now().Sub(s.SeenAt) < seenEvery {
		return nil
	}
	return d.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE console_sessions SET seen_at = $1 WHERE id = $2`, tx.Now(), s.ID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE administrators SET seen_at = $1 WHERE user_id = $2`, tx.Now(), s.User)
		return err
	})
}

// End ends a session.
func End(ctx context.Context, tx *db.Tx, s Session) error {
	if _, err := tx.Exec(ctx, `DELETE FROM console_sessions WHERE id = $1`, s.ID); err != nil {
		return err
	}
	return session.End(ctx, tx, s.Session)
}

// Manage makes a session manage another tenant; fault.NotFound if there is none.
func Manage(ctx context.Context, tx *db.Tx, s Session, tenant apps.TenantID) error {
	if _, err := apps.FindTenant(ctx, tx, tenant); err != nil || tenant == apps.ConsoleTenant {
		return fault.New(fault.NotFound, "no such tenant")
	}
	_, err := tx.Exec(ctx, `UPDATE console_sessions SET tenant_id = $1 WHERE id = $2`, tenant, s.ID)
	return err
}

// StepUp adds a proof to a session; fault.Denied if it is somebody else's.
func StepUp(ctx context.Context, tx *db.Tx, s Session, p authn.Proof) error {
	_, err := session.Attach(ctx, tx, console, s.Bearer, p)
	return err
}

// FreshUntil is until when the session covers dangerous acts: Fresh after the
// last proof that is two factors, or zero if it has none that is recent.
func (s Session) FreshUntil(now time.Time) time.Time {
	var last time.Time
	for _, p := range s.Proofs {
		if authn.ACR([]authn.Proof{p}) == authn.AAL2 && p.At().After(last) {
			last = p.At()
		}
	}
	if until := last.Add(Fresh); now.Before(until) {
		return until
	}
	return time.Time{}
}

// ByLink reports whether nothing but a one-time link stands behind the session.
func (s Session) ByLink() bool {
	return !slices.ContainsFunc(s.Proofs, func(p authn.Proof) bool { return p.Kind() != Kind })
}

// EndOthers ends every session of an administrator but the one that they keep.
func EndOthers(ctx context.Context, tx *db.Tx, keep Session) error {
	if _, err := tx.Exec(ctx, `DELETE FROM console_sessions WHERE user_id = $1 AND id <> $2`, keep.User, keep.ID); err != nil {
		return err
	}
	_, err := session.EndOthers(ctx, tx, keep.Session)
	return err
}

// Sweep deletes what has run out; jobs calls it.
func Sweep(ctx context.Context, tx *db.Tx) error {
	if _, err := tx.Exec(ctx, `DELETE FROM console_sessions WHERE expires_at < $1`, tx.Now()); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM invitations WHERE expires_at < $1`, tx.Now())
	return err
}
