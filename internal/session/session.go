package session

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Life is how long a session lasts after its first proof (NIST SP 800-63B-4
// 2.2.3: at AAL2 no more than a day).
const Life = 24 * time.Hour

// maxProofs bounds what one session remembers; the newest stay.
const maxProofs = 16

// Session is what a user proved to an application. It exists only by proofs.
type Session struct {
	ID      string // names the session in tokens and lists; it opens nothing
	Bearer  string // what the client holds; only Open returns it
	Tenant  apps.TenantID
	App     apps.ID
	Client  apps.ClientID
	User    directory.UserID
	Proofs  []authn.Proof
	Created time.Time
	Expires time.Time
	rev     int64
}

func place(id string) string { return "sessions/" + id }

// Open begins a session on proofs of one user for one application.
func Open(ctx context.Context, tx *db.Tx, app apps.App, client apps.ClientID, ps ...authn.Proof) (Session, error) {
	s := Session{Bearer: "sid_" + rand.Text(), Tenant: app.Tenant, App: app.ID, Client: client, Proofs: ps, Created: tx.Now(), Expires: tx.Now().Add(Life)}
	if len(ps) == 0 || slices.ContainsFunc(ps, func(p authn.Proof) bool { return p.User() == "" || p.User() != ps[0].User() || p.App() != app.ID }) || authn.Alone(ps) {
		return Session{}, fault.New(fault.Denied, "Nobody was authenticated.")
	}
	s.User, s.ID = ps[0].User(), tx.Vault().Hash("session", s.Bearer)
	_, err := tx.Exec(ctx, `INSERT INTO sessions (id, tenant_id, app_id, client_id, user_id, proofs, rev, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8)`,
		s.ID, s.Tenant, s.App, s.Client, s.User, authn.SealProofs(tx.Vault(), place(s.ID), ps), s.Created, s.Expires)
	if err != nil {
		return Session{}, err
	}
	return s, s.record(ctx, tx, "session.started")
}

// Attach adds a factor to a session that a client of the same application
// holds. A proof of somebody else is fault.Denied; an unknown or ended session
// fault.NotFound.
func Attach(ctx context.Context, tx *db.Tx, app apps.App, bearer string, p authn.Proof) (Session, error) {
	s, err := Held(ctx, tx, app, bearer)
	if err != nil {
		return s, err
	}
	if p.User() != s.User || p.App() != s.App {
		return s, fault.New(fault.Denied, "This session is somebody else's.")
	}
	s.Proofs = append(s.Proofs, p)
	if s.Proofs = s.Proofs[max(0, len(s.Proofs)-maxProofs):]; authn.Alone(s.Proofs) {
		return s, fault.New(fault.Denied, "Prove who you are in another way first.")
	}
	n, err := tx.Exec(ctx, `UPDATE sessions SET proofs = $1, rev = rev + 1 WHERE id = $2 AND rev = $3`, authn.SealProofs(tx.Vault(), place(s.ID), s.Proofs), s.ID, s.rev)
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "The session was changed a moment ago.")
	}
	return s, err
}

// Held returns the session that a client of app holds; fault.NotFound if it is
// unknown, has ended, or is of another application.
func Held(ctx context.Context, q db.Q, app apps.App, bearer string) (Session, error) {
	if len(bearer) > 100 {
		return Session{}, fault.New(fault.NotFound, "no such session")
	}
	return Named(ctx, q, app, q.Vault().Hash("session", bearer))
}

// Named is Held by the name of a session, which tokens carry.
func Named(ctx context.Context, q db.Q, app apps.App, id string) (Session, error) {
	s := Session{ID: id, Tenant: app.Tenant, App: app.ID}
	var sealed []byte
	err := q.QueryRow(ctx, `SELECT client_id, user_id, proofs, rev, created_at, expires_at FROM sessions WHERE id = $1 AND app_id = $2`, id, app.ID).
		Scan(&s.Client, &s.User, &sealed, &s.rev, db.Time(&s.Created), db.Time(&s.Expires))
	if err != nil {
		return s, db.None(err, "session")
	}
	if !q.Now().Before(s.Expires) {
		return s, fault.New(fault.NotFound, "no such session")
	}
	s.Proofs, err = authn.OpenProofs(q.Vault(), place(id), sealed)
	return s, err
}

// End ends one session; fault.NotFound if it is not there.
func End(ctx context.Context, tx *db.Tx, s Session) error {
	n, err := tx.Exec(ctx, `DELETE FROM sessions WHERE id = $1 AND app_id = $2`, s.ID, s.App)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such session")
	}
	if err != nil {
		return err
	}
	return s.record(ctx, tx, "session.ended")
}

// EndAll ends every session of a user in an application, or in the tenant if
// app is empty, and says how many.
func EndAll(ctx context.Context, tx *db.Tx, tenant apps.TenantID, app apps.ID, user directory.UserID) (int64, error) {
	for _, fn := range enders {
		if err := fn(ctx, tx, tenant, app, user); err != nil {
			return 0, err
		}
	}
	n, err := tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = $1 AND tenant_id = $2 AND (app_id = $3 OR $3 = '')`, user, tenant, app)
	if err != nil || n == 0 {
		return n, err
	}
	return n, Session{Tenant: tenant, App: app, User: user}.record(ctx, tx, "session.all_ended")
}

var enders []func(ctx context.Context, tx *db.Tx, tenant apps.TenantID, app apps.ID, user directory.UserID) error

// OnEndAll has fn end what outlives a session, when every session of a user ends:
// app is empty for all applications. Call it from init.
func OnEndAll(fn func(ctx context.Context, tx *db.Tx, tenant apps.TenantID, app apps.ID, user directory.UserID) error) {
	enders = append(enders, fn)
}

// Sweep deletes sessions that ran out; jobs calls it.
func Sweep(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM sessions WHERE expires_at < $1`, tx.Now())
	return err
}

func (s Session) record(ctx context.Context, tx *db.Tx, what string) error {
	return audit.Record(ctx, tx, audit.Event{Tenant: string(s.Tenant), App: string(s.App), Client: string(s.Client), Type: what, Actor: string(s.User), Target: string(s.User), Outcome: "success"})
}
