package authn

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// CredentialID names a credential; it is never reused.
type CredentialID string

// Credential is something a user enrolled. T is what its method keeps about
// it; at rest that is sealed to the row.
type Credential[T any] struct {
	ID        CredentialID
	Subject   Subject
	Handle    string
	Label     string
	Data      T
	CreatedAt time.Time
	UsedAt    time.Time
	rev       int64
}

// Enroll stores a credential. handle is by what the method finds it again (a key
// id), unique per kind and scope; empty if it needs none. fault.Conflict if the
// handle is taken.
func Enroll[T any](ctx context.Context, tx *db.Tx, s Subject, handle, label string, data T) (CredentialID, error) {
	id := CredentialID(db.NewID("crd_"))
	b, err := json.Marshal(data)
	if err != nil {
		return "", err
	}
	var h any
	if handle != "" {
		h = handle
	}
	scope, err := s.lives(ctx, tx)
	if err != nil {
		return "", err
	}
	n, err := tx.Exec(ctx, `INSERT INTO credentials (id, kind, tenant_id, user_id, app_id, device_id, scope, handle, label, status, rev, data, created_at, used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'active', 1, $10, $11, 0) ON CONFLICT (kind, scope, handle) DO NOTHING`,
		id, s.Kind, s.Tenant, s.User, s.App, s.Device, scope, h, label, tx.Vault().Seal(credentialPlace(id), b), tx.Now())
	if err == nil && n == 0 {
		return "", fault.New(fault.Conflict, "This key is registered already.")
	}
	if err != nil {
		return "", err
	}
	return id, s.changed(ctx, tx, label, Added)
}

func credentialPlace(id CredentialID) string { return "credentials/data/" + string(id) }

const credentialColumns = `id, kind, tenant_id, app_id, user_id, device_id, handle, label, data, created_at, used_at, rev`

// Credentials returns what a subject has enrolled and may use, oldest first.
func Credentials[T any](ctx context.Context, q db.Q, s Subject) ([]Credential[T], error) {
	scope, err := s.lives(ctx, q)
	if err != nil {
		return nil, err
	}
	return credentials[T](ctx, q, `SELECT `+credentialColumns+` FROM credentials
		WHERE user_id = $1 AND kind = $2 AND scope = $3 AND status = 'active' ORDER BY created_at, id`, s.User, s.Kind, scope)
}

// AllCredentials returns what a user has enrolled of a kind in an application,
// on any device, oldest first.
func AllCredentials[T any](ctx context.Context, q db.Q, s Subject) ([]Credential[T], error) {
	return credentials[T](ctx, q, `SELECT `+credentialColumns+` FROM credentials
		WHERE user_id = $1 AND kind = $2 AND app_id = $3 AND status = 'active' ORDER BY created_at, id`, s.User, s.Kind, s.App)
}

func credentials[T any](ctx context.Context, q db.Q, query string, args ...any) ([]Credential[T], error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Credential[T]
	for rows.Next() {
		var c Credential[T]
		var handle *string
		var sealed []byte
		err := rows.Scan(&c.ID, &c.Subject.Kind, &c.Subject.Tenant, &c.Subject.App, &c.Subject.User, &c.Subject.Device,
			&handle, &c.Label, &sealed, db.Time(&c.CreatedAt), db.Time(&c.UsedAt), &c.rev)
		if err != nil {
			return nil, err
		}
		if handle != nil {
			c.Handle = *handle
		}
		b, err := q.Vault().Open(credentialPlace(c.ID), sealed)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, &c.Data); err != nil {
			return nil, fmt.Errorf("credential %s: %w", c.ID, err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Use stores what changed in a credential by its use: a counter, a spent code.
// It fails with Conflict if the credential was used meanwhile, and that is what
// makes a code good for one login.
func Use[T any](ctx context.Context, tx *db.Tx, c Credential[T]) error {
	b, err := json.Marshal(c.Data)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE credentials SET data = $1, rev = rev + 1, used_at = $2 WHERE id = $3 AND rev = $4 AND status = 'active'`,
		tx.Vault().Seal(credentialPlace(c.ID), b), tx.Now(), c.ID, c.rev)
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "This was used a moment ago.")
	}
	return err
}

// Touch is Use for a credential that may be used by many at once, such as a
// password: it stores what changed, and what others read meanwhile stays good.
// It fails with Conflict if the credential was replaced since it was read.
func Touch[T any](ctx context.Context, tx *db.Tx, c Credential[T]) error {
	b, err := json.Marshal(c.Data)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE credentials SET data = $1, used_at = $2 WHERE id = $3 AND rev = $4 AND status = 'active'`,
		tx.Vault().Seal(credentialPlace(c.ID), b), tx.Now(), c.ID, c.rev)
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "This was changed a moment ago. Try again.")
	}
	return err
}

// Remove deletes one credential of a subject; fault.NotFound if it has none
// such.
func Remove(ctx context.Context, tx *db.Tx, s Subject, id CredentialID) error {
	n, err := tx.Exec(ctx, `DELETE FROM credentials WHERE id = $1 AND user_id = $2 AND kind = $3 AND app_id = $4`, id, s.User, s.Kind, s.App)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such credential")
	}
	return err
}

// Revoke is Remove by somebody who means it: the user is told.
func Revoke(ctx context.Context, tx *db.Tx, s Subject, id CredentialID) error {
	var label string
	err := tx.QueryRow(ctx, `SELECT label FROM credentials WHERE id = $1`, id).Scan(&label)
	if err != nil {
		return db.None(err, "credential")
	}
	if err := Remove(ctx, tx, s, id); err != nil {
		return err
	}
	return s.changed(ctx, tx, label, Removed)
}

// Enrolled names what binds a user: the ids of credentials of any method and of
// devices, also of those that are locked, for a lock must not open a way around
// it, and the addresses that were verified (AddressID), for a code that is sent
// there proves them. Enrolling more for a user who has any needs a proof of theirs
// (DESIGN 2.20.1, security R40).
func Enrolled(ctx context.Context, q db.Q, user directory.UserID) ([]string, error) {
	return db.Column[string](ctx, q, `SELECT id FROM credentials WHERE user_id = $1
		UNION ALL SELECT id FROM devices WHERE user_id = $1
		UNION ALL SELECT 'address/' || kind || '/' || value FROM identifiers WHERE user_id = $1 AND verified_at > 0 AND kind IN ('email', 'phone')`, user)
}

// AddressID is how Enrolled names an address, in its normalised spelling.
func AddressID(kind directory.IdentifierKind, value string) string {
	return "address/" + string(kind) + "/" + value
}

// alive reports whether the credential that a proof rests on may still be used.
// Proofs of methods that keep no credential name none.
func alive(ctx context.Context, q db.Q, id CredentialID) (bool, error) {
	if !strings.HasPrefix(string(id), "crd_") {
		return true, nil
	}
	var n int
	err := q.QueryRow(ctx, `SELECT COUNT(*) FROM credentials WHERE id = $1 AND status = 'active'`, id).Scan(&n)
	return n > 0, err
}

// ForgetApp removes what users enrolled in an application alone.
func ForgetApp(ctx context.Context, tx *db.Tx, app apps.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM credentials WHERE app_id = $1 AND scope <> 'tenant'`, app)
	return err
}
