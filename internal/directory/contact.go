package directory

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Verify notes that a user has shown that an address or number is theirs. It
// returns fault.NotFound if it is not one of the user's names.
func Verify(ctx context.Context, tx *db.Tx, tenant apps.TenantID, user UserID, kind IdentifierKind, shown string) error {
	return change(ctx, tx, tenant, user, kind, shown, `UPDATE identifiers SET verified_at = $5 WHERE tenant_id = $1 AND user_id = $2 AND kind = $3 AND value = $4`, tx.Now())
}

// MakePrimary makes a name the one of its kind that the user is reached by. It
// must be verified unless there is no verified one of its kind.
func MakePrimary(ctx context.Context, tx *db.Tx, tenant apps.TenantID, user UserID, kind IdentifierKind, shown string) error {
	value, err := Normalise(kind, shown)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE identifiers SET is_primary = (value = $4) WHERE tenant_id = $1 AND user_id = $2 AND kind = $3
		AND EXISTS (SELECT 1 FROM identifiers x WHERE x.tenant_id = $1 AND x.user_id = $2 AND x.kind = $3 AND x.value = $4 AND (x.verified_at > 0
			OR NOT EXISTS (SELECT 1 FROM identifiers y WHERE y.user_id = $2 AND y.kind = $3 AND y.verified_at > 0)))`, tenant, user, kind, value)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such verified name")
	}
	return err
}

// RemoveIdentifier takes a name from a user. The last one stays: fault.Conflict.
// The primary name of a kind that has others cannot be taken either.
func RemoveIdentifier(ctx context.Context, tx *db.Tx, tenant apps.TenantID, user UserID, kind IdentifierKind, shown string) error {
	if err := Touch(ctx, tx, user); err != nil {
		return err
	}
	ids, err := Identifiers(ctx, tx, user)
	if err != nil {
		return err
	}
	value, err := Normalise(kind, shown)
	if err != nil {
		return err
	}
	same := 0
	for _, i := range ids {
		if i.Kind == kind {
			same++
		}
	}
	for _, i := range ids {
		if i.Kind == kind && i.Value == value && (len(ids) == 1 || i.Primary && same > 1) {
			return fault.New(fault.Conflict, "This name is needed. Make another one primary first.")
		}
	}
	return change(ctx, tx, tenant, user, kind, shown, `DELETE FROM identifiers WHERE tenant_id = $1 AND user_id = $2 AND kind = $3 AND value = $4`)
}

// ChangeIdentifier puts another name of the same kind in the place of one, unverified.
// The same name spelled in another way changes nothing. What was primary stays so, unless another name of the kind is verified. fault.NotFound
// if the user has no such name, fault.Conflict if somebody has the other one.
func ChangeIdentifier(ctx context.Context, tx *db.Tx, tenant apps.TenantID, user UserID, kind IdentifierKind, shown, instead string) error {
	old, err := Normalise(kind, shown)
	if err != nil {
		return err
	}
	value, err := Normalise(kind, instead)
	if err != nil || value == old {
		return err
	}
	if err := Touch(ctx, tx, user); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE identifiers SET value = $5, shown = $6, search = $7, created_at = $8, verified_at = 0 WHERE tenant_id = $1 AND user_id = $2 AND kind = $3 AND value = $4
		AND NOT EXISTS (SELECT 1 FROM identifiers x WHERE x.tenant_id = $1 AND x.kind = $3 AND x.value = $5)`, tenant, user, kind, old, value, strings.TrimSpace(instead), searchKey(value), tx.Now())
	if err == nil && n == 0 {
		if _, err = LookupKind(ctx, tx, tenant, kind, value); err == nil {
			err = errTaken
		}
		return err // nobody has the other one: the user has not the one
	}
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE identifiers SET is_primary = (value = (SELECT MIN(v.value) FROM identifiers v WHERE v.tenant_id = $1 AND v.user_id = $2 AND v.kind = $3 AND v.verified_at > 0))
		WHERE tenant_id = $1 AND user_id = $2 AND kind = $3
		AND EXISTS (SELECT 1 FROM identifiers p WHERE p.user_id = $2 AND p.kind = $3 AND p.value = $4 AND p.is_primary)
		AND EXISTS (SELECT 1 FROM identifiers w WHERE w.user_id = $2 AND w.kind = $3 AND w.verified_at > 0)`, tenant, user, kind, value)
	return err
}

func change(ctx context.Context, tx *db.Tx, tenant apps.TenantID, user UserID, kind IdentifierKind, shown, query string, more ...any) error {
	value, err := Normalise(kind, shown)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, query, append([]any{tenant, user, kind, value}, more...)...)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such name")
	}
	return err
}

// Page returns up to limit users of a tenant whose ids follow after, in the
// order of their ids, which is the order in which they were created.
func Page(ctx context.Context, q db.Q, tenant apps.TenantID, after UserID, limit int) ([]User, error) {
	rows, err := q.Query(ctx, `SELECT id, status, external_id, custom, created_at, rev FROM users WHERE tenant_id = $1 AND id > $2 AND status <> 'deleted' ORDER BY id LIMIT $3`, tenant, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []User
	for rows.Next() {
		u := User{Tenant: tenant}
		if err := rows.Scan(&u.ID, &u.Status, &u.ExternalID, db.JSON(&u.Custom), db.Time(&u.CreatedAt), &u.rev); err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, rows.Err()
}

// Count counts the users of a tenant who were not deleted.
func Count(ctx context.Context, q db.Q, tenant apps.TenantID) (n int64, err error) {
	err = q.QueryRow(ctx, `SELECT COUNT(*) FROM users WHERE tenant_id = $1 AND status <> 'deleted'`, tenant).Scan(&n)
	return n, err
}

// Masked is a name as it is shown to somebody who has not proven to be its
// owner: the first character of an address and its domain, the last two digits
// of a number.
func Masked(i Identifier) string {
	first, _ := utf8.DecodeRuneInString(i.Shown)
	switch local, domain, ok := strings.Cut(i.Value, "@"); {
	case i.Shown == "":
		return ""
	case i.Kind == Email && ok && local != "":
		return string(first) + "•••@" + domain
	case i.Kind == Phone && len(i.Value) > 4:
		return i.Value[:3] + "•••••" + i.Value[len(i.Value)-2:]
	}
	return string(first) + "•••"
}
