package session

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
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

// From is where a session begins: what its user knows it by in a list. Only the
// client is more than somebody's word.
type From struct {
	Client  apps.ClientID
	Address string // of the browser or device; empty: nobody knows it
	Agent   string // its User-Agent
}

// Session is what a user proved to an application. It exists only by proofs.
type Session struct {
	ID     string // names the session in tokens and lists; it opens nothing
	Bearer string // what the client holds; only Open returns it
	Tenant apps.TenantID
	App    apps.ID
	From
	User    directory.UserID
	Proofs  []authn.Proof
	Created time.Time
	Used    time.Time // to the minute
	Expires time.Time
	// Org is the organisation that the next tokens are for. The caller has checked
	// that the user belongs to it (directory.ActsFor). It is not kept.
	Org directory.OrgID
	rev int64
}

func place(id string) string { return "sessions/" + id }

// Open begins a session on proofs of one user for one application.
func Open(ctx context.Context, tx *db.Tx, app apps.App, from From, ps ...authn.Proof) (Session, error) {
	from.Address, from.Agent = clip(from.Address), clip(from.Agent)
	s := Session{Bearer: "sid_" + rand.Text(), Tenant: app.Tenant, App: app.ID, From: from, Proofs: ps, Created: tx.Now(), Used: tx.Now(), Expires: tx.Now().Add(Life)}
	if len(ps) == 0 || slices.ContainsFunc(ps, func(p authn.Proof) bool { return p.User() == "" || p.User() != ps[0].User() || p.App() != app.ID }) || authn.Alone(ps) {
		return Session{}, fault.New(fault.Denied, "Nobody was authenticated.")
	}
	s.User, s.ID = ps[0].User(), tx.Vault().Hash("session", s.Bearer)
	_, err := tx.Exec(ctx, `INSERT INTO sessions (id, tenant_id, app_id, client_id, address, user_agent, user_id, proofs, rev, created_at, used_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $9, $10)`,
		s.ID, s.Tenant, s.App, s.Client, s.Address, s.Agent, s.User, authn.SealProofs(tx.Vault(), place(s.ID), ps), s.Created, s.Expires)
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
	n, err := tx.Exec(ctx, `UPDATE sessions SET proofs = $1, rev = rev + 1, used_at = $4 WHERE id = $2 AND rev = $3`, authn.SealProofs(tx.Vault(), place(s.ID), s.Proofs), s.ID, s.rev, tx.Now())
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

const columns = `id, tenant_id, app_id, client_id, address, user_agent, user_id, proofs, rev, created_at, used_at, expires_at`

// scan reads the columns of one row.
func scan(q db.Q, row interface{ Scan(...any) error }) (Session, error) {
	var s Session
	var sealed []byte
	err := row.Scan(&s.ID, &s.Tenant, &s.App, &s.Client, &s.Address, &s.Agent, &s.User, &sealed, &s.rev, db.Time(&s.Created), db.Time(&s.Used), db.Time(&s.Expires))
	if err != nil {
		return s, err
	}
	if s.Used.Before(s.Created) {
		s.Used = s.Created
	}
	s.Proofs, err = authn.OpenProofs(q.Vault(), place(s.ID), sealed)
	return s, err
}

// Named is Held by the name of a session, which tokens carry.
func Named(ctx context.Context, q db.Q, app apps.App, id string) (Session, error) {
	s, err := scan(q, q.QueryRow(ctx, `SELECT `+columns+` FROM sessions WHERE id = $1 AND app_id = $2`, id, app.ID))
	if err != nil {
		return s, db.None(err, "session")
	}
	if !q.Now().Before(s.Expires) {
		return s, fault.New(fault.NotFound, "no such session")
	}
	return s, nil
}

// List returns the sessions of a user that have not ended, the one that was used
// last first: in an application, or in the tenant if app is empty.
func List(ctx context.Context, q db.Q, tenant apps.TenantID, app apps.ID, user directory.UserID) ([]Session, error) {
	rows, err := q.Query(ctx, `SELECT `+columns+` FROM sessions WHERE user_id = $1 AND tenant_id = $2 AND (app_id = $3 OR $3 = '') AND expires_at > $4 ORDER BY used_at DESC, id`, user, tenant, app, q.Now())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Session
	for rows.Next() {
		s, err := scan(q, rows)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// Touch notes that a session is in use, once a minute at most.
func Touch(ctx context.Context, tx *db.Tx, s Session) error {
	if tx.Now().Sub(s.Used) < time.Minute {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE sessions SET used_at = $1 WHERE id = $2 AND used_at < $1`, tx.Now(), s.ID)
	return err
}

// End ends one session; fault.NotFound if it is not there. What was told to end
// with it (OnEnd) does.
func End(ctx context.Context, tx *db.Tx, s Session) error {
	if err := s.farewell(ctx, tx); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `DELETE FROM sessions WHERE id = $1 AND app_id = $2`, s.ID, s.App)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such session")
	}
	if err != nil {
		return err
	}
	return s.record(ctx, tx, "session.ended")
}

// EndOne ends the session that a list showed by this id; fault.NotFound if it is
// not the user's, or not of this application if app is not empty.
func EndOne(ctx context.Context, tx *db.Tx, tenant apps.TenantID, app apps.ID, user directory.UserID, id string) error {
	list, err := List(ctx, tx, tenant, app, user)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.ID == id {
			return End(ctx, tx, s)
		}
	}
	return fault.New(fault.NotFound, "no such session")
}

// EndAll ends every session of a user in an application, or in the tenant if app
// is empty, with everything that was to outlive it (OnEndAll) and the sign-ins that
// are not finished, and says how many.
func EndAll(ctx context.Context, tx *db.Tx, tenant apps.TenantID, app apps.ID, user directory.UserID) (int64, error) {
	return endAll(ctx, tx, tenant, app, user, "")
}

// EndOthers is EndAll of a user in an application for all but the session that
// the user keeps.
func EndOthers(ctx context.Context, tx *db.Tx, keep Session) (int64, error) {
	return endAll(ctx, tx, keep.Tenant, keep.App, keep.User, keep.ID)
}

func endAll(ctx context.Context, tx *db.Tx, tenant apps.TenantID, app apps.ID, user directory.UserID, keep string) (int64, error) {
	list, err := List(ctx, tx, tenant, app, user)
	if err != nil {
		return 0, err
	}
	for _, s := range list {
		if s.ID == keep {
			continue
		}
		if err := s.farewell(ctx, tx); err != nil {
			return 0, err
		}
	}
	if err := authn.SessionsEnded(ctx, tx, app, user); err != nil {
		return 0, err
	}
	for _, fn := range enders {
		if err := fn(ctx, tx, tenant, app, user, keep); err != nil {
			return 0, err
		}
	}
	n, err := tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = $1 AND tenant_id = $2 AND (app_id = $3 OR $3 = '') AND id <> $4`, user, tenant, app, keep)
	if err != nil || n == 0 {
		return n, err
	}
	return n, Session{Tenant: tenant, App: app, User: user}.record(ctx, tx, "session.all_ended")
}

func (s Session) farewell(ctx context.Context, tx *db.Tx) error {
	for _, fn := range farewells {
		if err := fn(ctx, tx, s); err != nil {
			return err
		}
	}
	return nil
}

var farewells []func(ctx context.Context, tx *db.Tx, s Session) error

// OnEnd has fn called in the transaction in which somebody ends a session, while
// it still stands. Nobody ends one that runs out. Call it from init.
func OnEnd(fn func(ctx context.Context, tx *db.Tx, s Session) error) {
	farewells = append(farewells, fn)
}

var enders []func(ctx context.Context, tx *db.Tx, tenant apps.TenantID, app apps.ID, user directory.UserID, keep string) error

// OnEndAll has fn end what outlives a session, when every session of a user ends:
// app is empty for all applications, keep is the id of the one that stays, or
// empty. Call it from init.
func OnEndAll(fn func(ctx context.Context, tx *db.Tx, tenant apps.TenantID, app apps.ID, user directory.UserID, keep string) error) {
	enders = append(enders, fn)
}

// Sweep deletes sessions that ran out; jobs calls it.
func Sweep(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM sessions WHERE expires_at < $1`, tx.Now())
	return err
}

func (s Session) record(ctx context.Context, tx *db.Tx, what string) error {
	return audit.Record(ctx, tx, audit.Event{Tenant: string(s.Tenant), App: string(s.App), Client: string(s.Client), Type: what, Actor: string(s.User), Target: string(s.User), Outcome: "success", IP: s.Address, UserAgent: s.Agent})
}

// clip bounds what a browser says of itself, as text that every engine keeps.
func clip(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
	if len(s) > 512 {
		s = strings.ToValidUTF8(s[:512], "")
	}
	return s
}
