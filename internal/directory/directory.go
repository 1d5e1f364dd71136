// Package directory knows users, their identifiers and their devices. It proves
// nothing: finding a user by what somebody typed makes nobody that user.
package directory

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// UserID names a user; it is never given to another one.
type UserID string

// Status says whether a user may sign in.
type Status string

const (
	Active    Status = "active"
	Suspended Status = "suspended"
	Deleted   Status = "deleted" // a tombstone: the id is never reused, the identifiers are free again
)

// User is a person of a tenant.
type User struct {
	ID         UserID
	Tenant     apps.TenantID
	Status     Status
	ExternalID string
	Custom     map[string]any
	CreatedAt  time.Time
	rev        int64
}

// NewUser is what Create needs: at least one identifier.
type NewUser struct {
	Email, Phone, Username, ExternalID string
	Custom                             map[string]any
}

// Create stores a user with their identifiers, all unverified. It returns
// fault.Conflict if any identifier is taken in the tenant and fault.Invalid if
// one cannot be; nothing is stored then, provided the caller rolls back.
func Create(ctx context.Context, tx *db.Tx, tenant apps.TenantID, n NewUser) (UserID, error) {
	id := UserID(db.NewID("usr_"))
	custom, err := customText(n.Custom)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `INSERT INTO users (id, tenant_id, status, external_id, custom, rev, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, 1, $6, $6)`,
		id, tenant, Active, n.ExternalID, custom, tx.Now())
	if err != nil {
		return "", err
	}
	count := 0
	for _, i := range n.given() {
		if err := AddIdentifier(ctx, tx, tenant, id, i.kind, i.shown); err != nil {
			return "", fault.At(err, i.member)
		}
		count++
	}
	if count == 0 {
		return "", fault.New(fault.Invalid, "A user needs an e-mail address, a phone number, a username or an external id.")
	}
	return id, nil
}

// Find returns a user of a tenant by id; fault.NotFound if there is none or it
// was deleted.
func Find(ctx context.Context, q db.Q, tenant apps.TenantID, id UserID) (User, error) {
	u := User{ID: id, Tenant: tenant}
	err := q.QueryRow(ctx, `SELECT status, external_id, custom, created_at, rev FROM users WHERE id = $1 AND tenant_id = $2 AND status <> 'deleted'`, id, tenant).
		Scan(&u.Status, &u.ExternalID, db.JSON(&u.Custom), db.Time(&u.CreatedAt), &u.rev)
	return u, db.None(err, "user")
}

// MaySignIn returns nil if the user exists and is active, and fault.Denied
// otherwise. Every proof is judged by it again when it is used (security R25).
func MaySignIn(ctx context.Context, q db.Q, tenant apps.TenantID, id UserID) error {
	var s Status
	err := q.QueryRow(ctx, `SELECT status FROM users WHERE id = $1 AND tenant_id = $2`, id, tenant).Scan(&s)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if s != Active {
		return fault.New(fault.Denied, "That did not match. Try again or use another way.")
	}
	return nil
}

// SetStatus suspends, revives or deletes a user. Deleting frees the identifiers
// and keeps a tombstone; a deleted user does not come back (fault.NotFound).
func SetStatus(ctx context.Context, tx *db.Tx, tenant apps.TenantID, id UserID, s Status) error {
	n, err := tx.Exec(ctx, `UPDATE users SET status = $1, updated_at = $2, rev = rev + 1 WHERE id = $3 AND tenant_id = $4 AND status <> 'deleted'`, s, tx.Now(), id, tenant)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.New(fault.NotFound, "no such user")
	}
	if s != Deleted {
		return nil
	}
	if _, err := tx.Exec(ctx, `DELETE FROM identifiers WHERE user_id = $1`, id); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE users SET custom = '{}', external_id = '' WHERE id = $1`, id)
	return err
}

// Language is what a user's custom data say under "language"; empty: nothing.
func Language(ctx context.Context, q db.Q, tenant apps.TenantID, id UserID) string {
	u, err := Find(ctx, q, tenant, id)
	if err != nil {
		return ""
	}
	s, _ := u.Custom["language"].(string)
	return s
}

// Touch writes a user's row and changes nothing a client can see. Of two
// transactions that touch the same user one waits for the other, or runs again
// after it: what both decide from the user's credentials is decided in turn.
func Touch(ctx context.Context, tx *db.Tx, id UserID) error {
	_, err := tx.Exec(ctx, `UPDATE users SET rev = rev + 1 WHERE id = $1`, id)
	return err
}

// MergeCustom sets top-level keys of a user's custom data; a nil value removes
// its key. The whole is at most 16 KiB of JSON.
func MergeCustom(ctx context.Context, tx *db.Tx, tenant apps.TenantID, id UserID, data map[string]any) error {
	u, err := Find(ctx, tx, tenant, id)
	if err != nil {
		return err
	}
	if u.Custom == nil {
		u.Custom = map[string]any{}
	}
	for k, v := range data {
		if v == nil {
			delete(u.Custom, k)
		} else {
			u.Custom[k] = v
		}
	}
	custom, err := customText(u.Custom)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE users SET custom = $1, rev = rev + 1, updated_at = $2 WHERE id = $3 AND rev = $4`, custom, tx.Now(), id, u.rev)
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "The user was changed a moment ago.")
	}
	return err
}

func customText(data map[string]any) (string, error) {
	if data == nil {
		return "{}", nil
	}
	b, err := json.Marshal(data)
	if err != nil || len(b) > 16<<10 {
		return "", fault.New(fault.Invalid, "Custom data must be JSON of at most 16 KiB.").Because(err)
	}
	return string(b), nil
}

// Label is how a user is called on screens and in keys: the primary e-mail
// address, else another identifier, else the id.
func Label(ctx context.Context, q db.Q, id UserID) (string, error) {
	ids, err := Identifiers(ctx, q, id)
	if err != nil {
		return "", err
	}
	for _, kind := range []IdentifierKind{Email, Username, Phone, External} {
		for _, i := range ids {
			if i.Kind == kind {
				return i.Shown, nil
			}
		}
	}
	return strings.TrimPrefix(string(id), "usr_"), nil
}

// given is a name that a new user is to have, and the member of a request that
// says it.
type given struct {
	kind          IdentifierKind
	member, shown string
}

func (n NewUser) given() []given {
	all := []given{{Email, "email", n.Email}, {Phone, "phone_number", n.Phone}, {Username, "username", n.Username}, {External, "external_user_id", n.ExternalID}}
	return slices.DeleteFunc(all, func(g given) bool { return g.shown == "" })
}

// Taken returns the member of n that belongs to somebody of the tenant, so that it
// can be said without spoiling the transaction; "" if none does. fault.Invalid,
// naming the member, if a name cannot be one.
func Taken(ctx context.Context, q db.Q, tenant apps.TenantID, n NewUser) (member string, err error) {
	for _, g := range n.given() {
		if _, err := Normalise(g.kind, g.shown); err != nil {
			return "", fault.At(err, g.member)
		}
		_, err := LookupKind(ctx, q, tenant, g.kind, g.shown)
		if err == nil {
			return g.member, nil
		}
		if !fault.Is(err, fault.NotFound) {
			return "", err
		}
	}
	return "", nil
}
