package directory

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// OrgID names an organisation.
type OrgID string

// Organisation is a customer of a B2B application.
type Organisation struct {
	ID        OrgID
	App       apps.ID
	Name      string
	Domains   []string // of its members' addresses; knowing one proves nothing
	Members   int
	CreatedAt time.Time
}

// Roles of members.
const (
	OrgMember = "member"
	OrgAdmin  = "admin"
)

func (o Organisation) check() error {
	if o.Name == "" || len([]rune(o.Name)) > 100 {
		return fault.At(fault.New(fault.Invalid, "An organisation has a name of 1 to 100 characters."), "name")
	}
	if len(o.Domains) > 50 {
		return fault.At(fault.New(fault.Invalid, "An organisation has at most 50 domains."), "domains")
	}
	for _, d := range o.Domains {
		if v, err := Normalise(Email, "x@"+d); err != nil || v != "x@"+d || !strings.Contains(d, ".") {
			return fault.At(fault.New(fault.Invalid, "A domain is like example.org, in lower case."), "domains")
		}
	}
	return nil
}

// orderly returns the domains as they are kept.
func (o Organisation) orderly() []string {
	return append([]string{}, slices.Compact(slices.Sorted(slices.Values(o.Domains)))...)
}

// Same reports whether two organisations are called the same and have the same
// domains.
func (o Organisation) Same(other Organisation) bool {
	return o.Name == other.Name && slices.Equal(o.orderly(), other.orderly())
}

var orgID = regexp.MustCompile(`^org_[a-z0-9_-]{1,60}$`)

// PutOrganisation makes an organisation that has its id already what o says, and
// creates it if there is none such. An id that another application uses is
// fault.Conflict.
func PutOrganisation(ctx context.Context, tx *db.Tx, o Organisation) error {
	if !orgID.MatchString(string(o.ID)) {
		return fault.At(fault.New(fault.Invalid, "An organisation's id is org_ and 1 to 60 small letters, digits, dashes and underscores."), "id")
	}
	if err := o.check(); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `INSERT INTO organisations (id, app_id, name, domains, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, domains = excluded.domains, updated_at = excluded.updated_at WHERE organisations.app_id = excluded.app_id`,
		o.ID, o.App, o.Name, db.Text(o.orderly()), tx.Now())
	if err == nil && n == 0 {
		return fault.At(fault.New(fault.Conflict, "Another application has an organisation with this id."), "id")
	}
	return err
}

// SaveOrganisation creates an organisation, which gets an id, or changes the name
// and domains of one. fault.NotFound if the application has none such.
func SaveOrganisation(ctx context.Context, tx *db.Tx, o *Organisation) error {
	o.Domains = o.orderly()
	if err := o.check(); err != nil {
		return err
	}
	if o.ID == "" {
		o.ID, o.CreatedAt = OrgID(db.NewID("org_")), tx.Now()
		_, err := tx.Exec(ctx, `INSERT INTO organisations (id, app_id, name, domains, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)`, o.ID, o.App, o.Name, db.Text(o.Domains), o.CreatedAt)
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE organisations SET name = $1, domains = $2, updated_at = $3 WHERE id = $4 AND app_id = $5`, o.Name, db.Text(o.Domains), tx.Now(), o.ID, o.App)
	if err == nil && n == 0 {
		return noOrganisation
	}
	return err
}

var noOrganisation = fault.New(fault.NotFound, "no such organisation")

const organisationColumns = `o.id, o.app_id, o.name, o.domains, o.created_at, (SELECT COUNT(*) FROM organisation_members m WHERE m.org_id = o.id)`

// Organisations returns those of an application that follow after, by id: those
// that were made here are by age then.
func Organisations(ctx context.Context, q db.Q, app apps.ID, after OrgID, limit int) ([]Organisation, error) {
	return organisations(ctx, q, `SELECT `+organisationColumns+` FROM organisations o WHERE o.app_id = $1 AND o.id > $2 ORDER BY o.id LIMIT $3`, app, after, limit)
}

// FindOrganisation returns one of an application; fault.NotFound if there is none.
func FindOrganisation(ctx context.Context, q db.Q, app apps.ID, id OrgID) (Organisation, error) {
	all, err := organisations(ctx, q, `SELECT `+organisationColumns+` FROM organisations o WHERE o.app_id = $1 AND o.id = $2`, app, id)
	if err == nil && len(all) == 0 {
		err = noOrganisation
	}
	if err != nil {
		return Organisation{}, err
	}
	return all[0], nil
}

func organisations(ctx context.Context, q db.Q, query string, args ...any) ([]Organisation, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Organisation
	for rows.Next() {
		var o Organisation
		if err := rows.Scan(&o.ID, &o.App, &o.Name, db.JSON(&o.Domains), db.Time(&o.CreatedAt), &o.Members); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, rows.Err()
}

// DeleteOrganisation removes one with its memberships; users stay.
func DeleteOrganisation(ctx context.Context, tx *db.Tx, app apps.ID, id OrgID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM organisation_members WHERE org_id = $1`, id); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `DELETE FROM organisations WHERE id = $1 AND app_id = $2`, id, app)
	if err == nil && n == 0 {
		return noOrganisation
	}
	return err
}

// Member is a user in an organisation.
type Member struct {
	User UserID
	Role string
}

// Members returns those of an organisation that follow after, by id.
func Members(ctx context.Context, q db.Q, id OrgID, after UserID, limit int) ([]Member, error) {
	rows, err := q.Query(ctx, `SELECT m.user_id, m.role FROM organisation_members m JOIN users u ON u.id = m.user_id
		WHERE m.org_id = $1 AND m.user_id > $2 AND u.status <> 'deleted' ORDER BY m.user_id LIMIT $3`, id, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Member
	for rows.Next() {
		var m Member
		if err := rows.Scan(&m.User, &m.Role); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

// SetMember makes a user a member, or changes their role. The caller has checked
// that user and organisation are of one tenant.
func SetMember(ctx context.Context, tx *db.Tx, id OrgID, m Member) error {
	if m.Role != OrgMember && m.Role != OrgAdmin {
		return fault.New(fault.Invalid, "Somebody is a member or an admin.")
	}
	_, err := tx.Exec(ctx, `INSERT INTO organisation_members (org_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (org_id, user_id) DO UPDATE SET role = excluded.role`, id, m.User, m.Role, tx.Now())
	return err
}

// RemoveMember ends a membership; fault.NotFound if there is none.
func RemoveMember(ctx context.Context, tx *db.Tx, id OrgID, user UserID) error {
	n, err := tx.Exec(ctx, `DELETE FROM organisation_members WHERE org_id = $1 AND user_id = $2`, id, user)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such member")
	}
	return err
}

// Membership returns the role of a user in an organisation of an application;
// fault.NotFound if they are no member.
func Membership(ctx context.Context, q db.Q, app apps.ID, id OrgID, user UserID) (string, error) {
	var role string
	err := q.QueryRow(ctx, `SELECT m.role FROM organisation_members m JOIN organisations o ON o.id = m.org_id WHERE m.org_id = $1 AND m.user_id = $2 AND o.app_id = $3`, id, user, app).Scan(&role)
	return role, db.None(err, "member")
}

// ActsFor returns nil if a user is a member of an organisation of an application,
// or if none is named. fault.Denied otherwise: an organisation that is not there is
// one that nobody is a member of.
func ActsFor(ctx context.Context, q db.Q, app apps.ID, id OrgID, user UserID) error {
	if id == "" {
		return nil
	}
	outsider := fault.New(fault.Denied, "The user is no member of this organisation.")
	if !orgID.MatchString(string(id)) {
		return outsider
	}
	_, err := Membership(ctx, q, app, id, user)
	if fault.Is(err, fault.NotFound) {
		return outsider.Because(err)
	}
	return err
}
