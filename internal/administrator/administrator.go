// Package administrator knows who runs this server. Administrators are users of a
// tenant of their own, with one application and one client, and sign in with the
// methods that everybody has; what is added here is their role, the one-time link
// by which one becomes an administrator, and the shorter life of their sessions.
// It knows no route and no permission: what a role may do is the console API's
// business.
package administrator

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/session"
)

// Where administrators live.
const (
	App    apps.ID       = "_console"
	Client apps.ClientID = "_console"
)

// Role says what an administrator may do.
type Role string

const (
	Owner            Role = "owner"
	SecurityAdmin    Role = "security_admin"
	ApplicationAdmin Role = "application_admin"
	Helpdesk         Role = "helpdesk"
	Auditor          Role = "auditor"
)

// Roles are all of them.
var Roles = []Role{Owner, SecurityAdmin, ApplicationAdmin, Helpdesk, Auditor}

// Known reports whether there is such a role.
func (r Role) Known() bool {
	for _, known := range Roles {
		if r == known {
			return true
		}
	}
	return false
}

// Status says whether an administrator has ever signed in.
type Status string

const (
	Invited Status = "invited"
	Active  Status = "active"
)

// Administrator is one of those who run this server.
type Administrator struct {
	ID        directory.UserID
	Name      string
	Email     string
	Role      Role
	Status    Status
	SeenAt    time.Time
	CreatedAt time.Time
}

// Ensure makes the tenant, application and client that administrators sign in to.
func Ensure(ctx context.Context, tx *db.Tx) error {
	if err := apps.CreateTenant(ctx, tx, apps.Tenant{ID: apps.ConsoleTenant, Name: "Watchword"}); err != nil {
		return err
	}
	if err := apps.Save(ctx, tx, console); err != nil {
		return err
	}
	return apps.SaveClient(ctx, tx, apps.Client{ID: Client, App: App, Name: "Watchword console", Kind: apps.Web})
}

var console = apps.App{ID: App, Tenant: apps.ConsoleTenant, Name: "Watchword console", Audience: apps.B2B}

// Application is the one that administrators sign in to.
func Application() apps.App { return console }

const columns = `a.user_id, a.name, a.email, a.role, a.status, a.seen_at, a.created_at`

func scan(fn func(...any) error) (Administrator, error) {
	var a Administrator
	err := fn(&a.ID, &a.Name, &a.Email, &a.Role, &a.Status, db.Time(&a.SeenAt), db.Time(&a.CreatedAt))
	return a, err
}

// Find returns an administrator who may sign in; fault.NotFound otherwise.
func Find(ctx context.Context, q db.Q, id directory.UserID) (Administrator, error) {
	a, err := scan(q.QueryRow(ctx, `SELECT `+columns+` FROM administrators a JOIN users u ON u.id = a.user_id WHERE a.user_id = $1 AND u.status = 'active'`, id).Scan)
	return a, db.None(err, "administrator")
}

// ByEmail is Find by the address that was given.
func ByEmail(ctx context.Context, q db.Q, email string) (Administrator, error) {
	u, err := directory.LookupKind(ctx, q, apps.ConsoleTenant, directory.Email, email)
	if err != nil {
		return Administrator{}, err
	}
	return Find(ctx, q, u.ID)
}

// List returns every administrator, the oldest first.
func List(ctx context.Context, q db.Q) ([]Administrator, error) {
	rows, err := q.Query(ctx, `SELECT `+columns+` FROM administrators a ORDER BY a.created_at, a.user_id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Administrator
	for rows.Next() {
		a, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// Any reports whether anybody administrates this server yet.
func Any(ctx context.Context, q db.Q) (bool, error) {
	var n int
	err := q.QueryRow(ctx, `SELECT COUNT(*) FROM administrators WHERE status = 'active'`).Scan(&n)
	return n > 0, err
}

// Create adds an administrator who signs in once they followed the link of
// Invite. fault.Conflict if somebody has the address.
func Create(ctx context.Context, tx *db.Tx, name, email string, role Role) (Administrator, error) {
	if !role.Known() {
		return Administrator{}, fault.At(fault.New(fault.Invalid, "There is no role called %q.", role), "role")
	}
	if email == "" {
		return Administrator{}, fault.At(fault.New(fault.Invalid, "An administrator needs an e-mail address."), "email")
	}
	return insert(ctx, tx, name, email, role, nil)
}

func insert(ctx context.Context, tx *db.Tx, name, email string, role Role, first any) (Administrator, error) {
	if name = strings.TrimSpace(name); name == "" {
		name, _, _ = strings.Cut(email, "@")
	}
	if name == "" {
		name = "Owner"
	}
	if len([]rune(name)) > 100 {
		return Administrator{}, fault.At(fault.New(fault.Invalid, "A name has at most 100 characters."), "name")
	}
	n := directory.NewUser{Email: email}
	if email == "" {
		n.Username = "owner-" + strings.ToLower(rand.Text()[:8])
	}
	if taken, err := directory.Taken(ctx, tx, apps.ConsoleTenant, n); err != nil {
		return Administrator{}, err
	} else if taken != "" {
		return Administrator{}, fault.At(fault.New(fault.Conflict, "Somebody already goes by that name."), "email")
	}
	id, err := directory.Create(ctx, tx, apps.ConsoleTenant, n)
	if err != nil {
		return Administrator{}, err
	}
	a := Administrator{ID: id, Name: name, Email: email, Role: role, Status: Invited, CreatedAt: tx.Now()}
	inserted, err := tx.Exec(ctx, `INSERT INTO administrators (user_id, name, email, role, status, first, seen_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, 0, $7)
		ON CONFLICT (first) DO NOTHING`, a.ID, a.Name, a.Email, a.Role, a.Status, first, a.CreatedAt)
	if err == nil && inserted == 0 {
		err = spent
	}
	return a, err
}

// lastOwner is the answer to whoever would leave this server without an owner.
var lastOwner = fault.New(fault.Conflict, "Somebody must own this server. Make another administrator an owner first.")

// alone makes those who change administrators go one after another.
func alone(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE tenants SET name = name WHERE id = $1`, apps.ConsoleTenant)
	return err
}

const another = ` AND (role <> 'owner' OR status <> 'active' OR EXISTS (SELECT 1 FROM administrators o WHERE o.role = 'owner' AND o.status = 'active' AND o.user_id <> $1))`

// SetRole gives an administrator another role. The last owner keeps theirs:
// fault.Conflict.
func SetRole(ctx context.Context, tx *db.Tx, id directory.UserID, role Role) error {
	if !role.Known() {
		return fault.At(fault.New(fault.Invalid, "There is no role called %q.", role), "role")
	}
	if err := alone(ctx, tx); err != nil {
		return err
	}
	if _, err := Find(ctx, tx, id); err != nil {
		return err
	}
	query := `UPDATE administrators SET role = $2 WHERE user_id = $1`
	if role != Owner {
		query += another
	}
	n, err := tx.Exec(ctx, query, id, role)
	if err == nil && n == 0 {
		return lastOwner
	}
	return err
}

// Remove takes an administrator away, with their sessions, links and whatever
// they enrolled. The last owner stays: fault.Conflict.
func Remove(ctx context.Context, tx *db.Tx, id directory.UserID) error {
	if err := alone(ctx, tx); err != nil {
		return err
	}
	if _, err := Find(ctx, tx, id); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `DELETE FROM administrators WHERE user_id = $1`+another, id)
	if err == nil && n == 0 {
		return lastOwner
	}
	if err != nil {
		return err
	}
	for _, query := range []string{`DELETE FROM invitations WHERE user_id = $1`, `DELETE FROM console_sessions WHERE user_id = $1`, `DELETE FROM credentials WHERE user_id = $1`} {
		if _, err := tx.Exec(ctx, query, id); err != nil {
			return err
		}
	}
	if _, err := session.EndAll(ctx, tx, apps.ConsoleTenant, "", id); err != nil {
		return err
	}
	return directory.SetStatus(ctx, tx, apps.ConsoleTenant, id, directory.Deleted)
}

// Confirm notes that an administrator can sign in by themselves from now on.
func Confirm(ctx context.Context, tx *db.Tx, id directory.UserID) error {
	_, err := tx.Exec(ctx, `UPDATE administrators SET status = 'active' WHERE user_id = $1`, id)
	return err
}
