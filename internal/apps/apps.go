// Package apps knows what signs people in: tenants, their applications, and the
// clients (web, native, backend) that speak for an application. It knows no
// users and checks nothing but a client's secret.
package apps

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

type (
	TenantID string
	ID       string
	ClientID string
)

// Audience says whom an application serves.
type Audience string

const (
	B2C Audience = "b2c"
	B2B Audience = "b2b"
)

// Kind says what a client is. A backend client has a secret, the others are
// public.
type Kind string

const (
	Web     Kind = "web"
	Native  Kind = "native"
	Backend Kind = "backend"
)

// Tenant is one customer of the server: users and journeys live in a tenant.
type Tenant struct {
	ID   TenantID
	Name string
}

// App is an application of a tenant. Its name is what users see: the issuer of
// their authenticator entries, the sender of their mail, the title on a phone.
type App struct {
	ID       ID
	Tenant   TenantID
	Name     string
	Audience Audience
}

// Client is a program that speaks for an application.
type Client struct {
	ID       ClientID
	App      ID
	Name     string
	Kind     Kind
	Settings ClientSettings
	secret   string // hash; empty for public clients
}

// CreateTenant stores a tenant. It is idempotent: an existing one is renamed.
func CreateTenant(ctx context.Context, tx *db.Tx, t Tenant) error {
	_, err := tx.Exec(ctx, `INSERT INTO tenants (id, name, created_at) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name`, t.ID, t.Name, tx.Now())
	return err
}

// FindTenant returns a tenant; fault.NotFound if there is none.
func FindTenant(ctx context.Context, q db.Q, id TenantID) (Tenant, error) {
	t := Tenant{ID: id}
	err := q.QueryRow(ctx, `SELECT name FROM tenants WHERE id = $1`, id).Scan(&t.Name)
	return t, db.None(err, "tenant")
}

// ConsoleTenant is where the administrators of this server live. It is nobody's.
const ConsoleTenant TenantID = "_console"

// Tenants returns all tenants but the console's own, by id.
func Tenants(ctx context.Context, q db.Q) ([]Tenant, error) {
	rows, err := q.Query(ctx, `SELECT id, name FROM tenants WHERE id <> $1 ORDER BY id`, ConsoleTenant)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Tenant
	for rows.Next() {
		var t Tenant
		if err := rows.Scan(&t.ID, &t.Name); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// Save creates an application or changes its name and audience. The tenant of
// an existing application never changes; trying to is fault.Conflict.
func Save(ctx context.Context, tx *db.Tx, a App) error {
	if a.ID == "" || a.Name == "" || a.Audience != B2C && a.Audience != B2B {
		return fault.New(fault.Invalid, "An application needs an id, a name, and an audience of b2c or b2b.")
	}
	n, err := tx.Exec(ctx, `INSERT INTO apps (id, tenant_id, name, audience, settings, created_at, updated_at) VALUES ($1, $2, $3, $4, '{}', $5, $5)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, audience = excluded.audience, updated_at = excluded.updated_at WHERE apps.tenant_id = excluded.tenant_id`,
		a.ID, a.Tenant, a.Name, a.Audience, tx.Now())
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "Another tenant has an application with this id.")
	}
	return err
}

// Find returns an application; fault.NotFound if there is none.
func Find(ctx context.Context, q db.Q, id ID) (App, error) {
	a := App{ID: id}
	err := q.QueryRow(ctx, `SELECT tenant_id, name, audience FROM apps WHERE id = $1`, id).Scan(&a.Tenant, &a.Name, &a.Audience)
	return a, db.None(err, "application")
}

// List returns the applications of a tenant by name.
func List(ctx context.Context, q db.Q, tenant TenantID) ([]App, error) {
	rows, err := q.Query(ctx, `SELECT id, name, audience FROM apps WHERE tenant_id = $1 ORDER BY name, id`, tenant)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []App
	for rows.Next() {
		a := App{Tenant: tenant}
		if err := rows.Scan(&a.ID, &a.Name, &a.Audience); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// Described is an application with what a list shows beside it.
type Described struct {
	App
	Clients   int
	CreatedAt time.Time
}

// Describe returns an application of a tenant as lists show it; fault.NotFound if
// there is none.
func Describe(ctx context.Context, q db.Q, tenant TenantID, id ID) (Described, error) {
	all, err := described(ctx, q, `AND a.id = $2`, tenant, id)
	if err == nil && len(all) == 0 {
		return Described{}, fault.New(fault.NotFound, "no such application")
	}
	if err != nil {
		return Described{}, err
	}
	return all[0], nil
}

// DescribeAll returns every application of a tenant by name.
func DescribeAll(ctx context.Context, q db.Q, tenant TenantID) ([]Described, error) {
	return described(ctx, q, ``, tenant)
}

func described(ctx context.Context, q db.Q, more string, args ...any) ([]Described, error) {
	rows, err := q.Query(ctx, `SELECT a.id, a.tenant_id, a.name, a.audience, a.created_at, (SELECT COUNT(*) FROM clients c WHERE c.app_id = a.id)
		FROM apps a WHERE a.tenant_id = $1 `+more+` ORDER BY a.name, a.id`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Described
	for rows.Next() {
		var d Described
		if err := rows.Scan(&d.ID, &d.Tenant, &d.Name, &d.Audience, db.Time(&d.CreatedAt), &d.Clients); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// Delete removes an application with its clients, settings and providers, and
// whatever of its sign-ins could still be shown to whoever takes the id next:
// it may be another tenant (security R87). What users enrolled there is the
// business of the packages that keep it.
func Delete(ctx context.Context, tx *db.Tx, id ID) error {
	for _, query := range []string{
		`DELETE FROM consents WHERE client_id IN (SELECT id FROM clients WHERE app_id = $1)`,
		`DELETE FROM requests WHERE client_id IN (SELECT id FROM clients WHERE app_id = $1)`,
		`DELETE FROM grants WHERE app_id = $1`, `DELETE FROM sessions WHERE app_id = $1`, `DELETE FROM runs WHERE app_id = $1`,
		`DELETE FROM challenges WHERE app_id = $1`, `DELETE FROM tickets WHERE app_id = $1`, `DELETE FROM phone_invitations WHERE app_id = $1`,
		`DELETE FROM clients WHERE app_id = $1`, `DELETE FROM method_configs WHERE app_id = $1`,
		`DELETE FROM words WHERE app_id = $1`, `DELETE FROM providers WHERE app_id = $1`} {
		if _, err := tx.Exec(ctx, query, id); err != nil {
			return err
		}
	}
	n, err := tx.Exec(ctx, `DELETE FROM apps WHERE id = $1`, id)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such application")
	}
	return err
}

// DeleteClient removes a client of an application with what it was granted: its
// tokens stop working at once, and a later client of this id starts with none.
func DeleteClient(ctx context.Context, tx *db.Tx, app ID, id ClientID) error {
	n, err := tx.Exec(ctx, `DELETE FROM clients WHERE id = $1 AND app_id = $2`, id, app)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such client")
	}
	for _, query := range []string{`DELETE FROM consents WHERE client_id = $1`, `DELETE FROM requests WHERE client_id = $1`, `DELETE FROM grants WHERE client_id = $1`} {
		if err == nil {
			_, err = tx.Exec(ctx, query, id)
		}
	}
	return err
}

// Confidential reports whether the client has a secret.
func (c Client) Confidential() bool { return c.secret != "" }

// SaveClient creates a client or changes its name and settings. Its application
// and kind never change; trying to is fault.Conflict. The secret is left alone.
func SaveClient(ctx context.Context, tx *db.Tx, c Client) error {
	if c.ID == "" || c.App == "" || !slices.Contains([]Kind{Web, Native, Backend}, c.Kind) {
		return fault.New(fault.Invalid, "A client needs an id, an application, and a kind of web, native or backend.")
	}
	if err := c.check(); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `INSERT INTO clients (id, app_id, name, kind, secret_hash, settings, created_at, updated_at) VALUES ($1, $2, $3, $4, '', $5, $6, $6)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, settings = excluded.settings, updated_at = excluded.updated_at
		WHERE clients.app_id = excluded.app_id AND clients.kind = excluded.kind`,
		c.ID, c.App, c.Name, c.Kind, db.Text(c.Settings), tx.Now())
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "A client with this id exists and belongs elsewhere.")
	}
	return err
}

// RotateSecret gives a backend client a new secret and returns it; only its
// hash is kept. The old one stops working at once.
func RotateSecret(ctx context.Context, tx *db.Tx, id ClientID) (string, error) {
	secret := "wws_" + rand.Text()
	return secret, SetSecret(ctx, tx, id, secret)
}

// SetSecret gives a backend client the secret that an operator chose. It must
// have at least 20 characters.
func SetSecret(ctx context.Context, tx *db.Tx, id ClientID, secret string) error {
	if len(secret) < 20 {
		return fault.New(fault.Invalid, "A client secret needs at least 20 characters.")
	}
	n, err := tx.Exec(ctx, `UPDATE clients SET secret_hash = $1, updated_at = $2 WHERE id = $3 AND kind = 'backend'`,
		tx.Vault().Hash("client_secret", secret), tx.Now(), id)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such backend client")
	}
	return err
}

// FindClient returns a client and its application; fault.NotFound if there is
// none.
func FindClient(ctx context.Context, q db.Q, id ClientID) (Client, App, error) {
	c, a := Client{ID: id}, App{}
	var settings string
	err := q.QueryRow(ctx, `SELECT c.app_id, c.name, c.kind, c.secret_hash, c.settings, a.tenant_id, a.name, a.audience
		FROM clients c JOIN apps a ON a.id = c.app_id WHERE c.id = $1`, id).
		Scan(&c.App, &c.Name, &c.Kind, &c.secret, &settings, &a.Tenant, &a.Name, &a.Audience)
	if err != nil {
		return c, a, db.None(err, "client")
	}
	a.ID = c.App
	if err := json.Unmarshal([]byte(settings), &c.Settings); err != nil {
		return c, a, fmt.Errorf("settings of client %s: %w", id, err)
	}
	return c, a, nil
}

// Clients returns the clients of an application by name.
func Clients(ctx context.Context, q db.Q, app ID) ([]Client, error) {
	rows, err := q.Query(ctx, `SELECT id, name, kind, secret_hash, settings FROM clients WHERE app_id = $1 ORDER BY name, id`, app)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Client
	for rows.Next() {
		c := Client{App: app}
		if err := rows.Scan(&c.ID, &c.Name, &c.Kind, &c.secret, db.JSON(&c.Settings)); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// HasSecret reports whether a backend client has this secret.
func HasSecret(ctx context.Context, q db.Q, id ClientID, secret string) (bool, error) {
	_, _, err := Authenticate(ctx, q, id, secret)
	if fault.Is(err, fault.Denied) {
		return false, nil
	}
	return err == nil, err
}

// Authenticate returns the backend client with this id and secret. Unknown
// client and wrong secret are the same fault.Denied and take the same path.
func Authenticate(ctx context.Context, q db.Q, id ClientID, secret string) (Client, App, error) {
	c, a, err := FindClient(ctx, q, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Client{}, App{}, err
	}
	want, got := c.secret, q.Vault().Hash("client_secret", secret)
	if want == "" { // public or unknown: compare with something that never matches
		want = q.Vault().Hash("no_client", string(id))
	}
	if subtle.ConstantTimeCompare([]byte(want), []byte(got)) != 1 || c.Kind != Backend {
		return Client{}, App{}, fault.New(fault.Denied, "The client is unknown or its secret is wrong.")
	}
	return c, a, nil
}

// TokenLife is how long a journey token is valid (DESIGN 2.20.14).
const TokenLife = 10 * time.Minute
