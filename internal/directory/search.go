package directory

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
)

// Query says which users Search returns. Empty fields do not restrict.
type Query struct {
	Prefix string // of any name, or of an id
	Status Status // Active or Suspended; empty: both
	After  Place  // where the page before ended
	Limit  int
}

// Place is where a page of a search ended. Its zero value is the beginning.
type Place struct {
	Key  []byte `json:"k,omitempty"`
	User UserID `json:"u,omitempty"`
}

// Found is a user with their names.
type Found struct {
	User
	Identifiers []Identifier
	place       Place
}

// Place is where a page that ends with this user ends.
func (f Found) Place() Place { return f.place }

// searchKey is a name as it is searched for: case and width do not matter.
func searchKey(value string) []byte { return []byte(strings.ToLower(norm.NFKC.String(value))) }

// after returns the first key behind all that begin with prefix.
func after(prefix []byte) []byte {
	out := append([]byte{}, prefix...)
	for i := len(out) - 1; i >= 0; i-- {
		if out[i] < 0xff {
			out[i]++
			return out[:i+1]
		}
	}
	return []byte{0xff, 0xff, 0xff, 0xff}
}

// Search returns a page of users: those with a name that begins with the prefix,
// in the order of that name, or all, the newest first. It reads as many rows as it
// returns, and those of other status before them.
func Search(ctx context.Context, q db.Q, tenant apps.TenantID, s Query) ([]Found, error) {
	prefix := strings.TrimSpace(s.Prefix)
	var out []Found
	var err error
	switch {
	case prefix == "":
		out, err = newest(ctx, q, tenant, s, "")
	case strings.HasPrefix(prefix, "usr_"):
		out, err = newest(ctx, q, tenant, s, strings.ToLower(prefix))
	default:
		out, err = named(ctx, q, tenant, s, prefix)
	}
	if err != nil {
		return nil, err
	}
	return out, withNames(ctx, q, out)
}

const userColumns = `u.id, u.status, u.external_id, u.custom, u.created_at, u.rev`

// newest pages through ids, which are in the order in which users were made.
func newest(ctx context.Context, q db.Q, tenant apps.TenantID, s Query, prefix string) ([]Found, error) {
	query, args := `SELECT `+userColumns+`, u.id FROM users u WHERE u.tenant_id = $1`, []any{tenant}
	cond := func(text string, v any) {
		args = append(args, v)
		query += fmt.Sprintf(text, len(args))
	}
	if s.Status != "" {
		cond(` AND u.status = $%d`, s.Status)
	} else {
		query += ` AND u.status <> 'deleted'`
	}
	if s.After.User != "" {
		cond(` AND u.id < $%d`, s.After.User)
	}
	if prefix != "" {
		cond(` AND u.id >= $%d`, prefix)
		cond(` AND u.id < $%d`, prefix+"z") // ids are of digits and letters up to v
	}
	cond(` ORDER BY u.id DESC LIMIT $%d`, s.Limit)
	return found(ctx, q, tenant, query, args, func(f *Found, id []byte) { f.place = Place{User: UserID(id)} })
}

// named pages through names. A user with several that match stands at the first.
func named(ctx context.Context, q db.Q, tenant apps.TenantID, s Query, prefix string) ([]Found, error) {
	from := searchKey(prefix)
	if strings.HasPrefix(prefix, "+") || strings.Trim(prefix, "0123456789 ") == "" {
		from = []byte(strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", "/", "").Replace(prefix)) // a number as people write it
	}
	args := []any{tenant, from, after(from)}
	query := `SELECT ` + userColumns + `, i.search FROM identifiers i JOIN users u ON u.id = i.user_id
		WHERE i.tenant_id = $1 AND i.search >= $2 AND i.search < $3 AND u.status <> 'deleted'
		AND NOT EXISTS (SELECT 1 FROM identifiers o WHERE o.user_id = i.user_id AND o.search >= $2 AND o.search < $3 AND (o.search < i.search OR (o.search = i.search AND o.kind < i.kind)))`
	if s.Status != "" {
		args = append(args, s.Status)
		query += fmt.Sprintf(` AND u.status = $%d`, len(args))
	}
	if s.After.Key != nil {
		args = append(args, s.After.Key, s.After.User)
		query += fmt.Sprintf(` AND i.search >= $%d AND (i.search > $%d OR u.id > $%d)`, len(args)-1, len(args)-1, len(args))
	}
	args = append(args, s.Limit)
	query += fmt.Sprintf(` ORDER BY i.search, u.id LIMIT $%d`, len(args))
	return found(ctx, q, tenant, query, args, func(f *Found, key []byte) { f.place = Place{Key: key, User: f.ID} })
}

func found(ctx context.Context, q db.Q, tenant apps.TenantID, query string, args []any, put func(f *Found, key []byte)) ([]Found, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Found
	for rows.Next() {
		f := Found{User: User{Tenant: tenant}}
		var key []byte
		if err := rows.Scan(&f.ID, &f.Status, &f.ExternalID, db.JSON(&f.Custom), db.Time(&f.CreatedAt), &f.rev, &key); err != nil {
			return nil, err
		}
		put(&f, key)
		out = append(out, f)
	}
	return out, rows.Err()
}

// withNames reads the names of a page at once.
func withNames(ctx context.Context, q db.Q, page []Found) error {
	if len(page) == 0 {
		return nil
	}
	at := map[UserID]*Found{}
	marks, args := make([]string, len(page)), make([]any, len(page))
	for i := range page {
		at[page[i].ID] = &page[i]
		marks[i], args[i] = fmt.Sprintf("$%d", i+1), page[i].ID
	}
	rows, err := q.Query(ctx, `SELECT user_id, kind, value, shown, verified_at, is_primary FROM identifiers WHERE user_id IN (`+strings.Join(marks, ", ")+`) ORDER BY kind, is_primary DESC, created_at, value`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var user UserID
		var i Identifier
		if err := rows.Scan(&user, &i.Kind, &i.Value, &i.Shown, db.Time(&i.VerifiedAt), &i.Primary); err != nil {
			return err
		}
		at[user].Identifiers = append(at[user].Identifiers, i)
	}
	return rows.Err()
}

// Labels is Label for several users at once; who has no name is not in it.
func Labels(ctx context.Context, q db.Q, users []UserID) (map[UserID]string, error) {
	page := make([]Found, len(users))
	for i, id := range users {
		page[i].ID = id
	}
	if err := withNames(ctx, q, page); err != nil {
		return nil, err
	}
	out := map[UserID]string{}
	for _, f := range page {
		for _, kind := range []IdentifierKind{External, Phone, Username, Email} { // the last counts most
			for _, i := range f.Identifiers {
				if i.Kind == kind && (i.Primary || out[f.ID] == "") {
					out[f.ID] = i.Shown
				}
			}
		}
	}
	return out, nil
}

// IndexNames gives names that were stored before searching existed what they are
// searched by, some hundred at a time. It returns how many; call it until that is
// none.
func IndexNames(ctx context.Context, tx *db.Tx) (int, error) {
	rows, err := tx.Query(ctx, `SELECT tenant_id, kind, value FROM identifiers WHERE search IS NULL LIMIT 500`)
	if err != nil {
		return 0, err
	}
	type name struct{ tenant, kind, value string }
	var all []name
	for rows.Next() {
		var n name
		if err := rows.Scan(&n.tenant, &n.kind, &n.value); err != nil {
			return 0, err
		}
		all = append(all, n)
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	for _, n := range all {
		if _, err := tx.Exec(ctx, `UPDATE identifiers SET search = $1 WHERE tenant_id = $2 AND kind = $3 AND value = $4`, searchKey(n.value), n.tenant, n.kind, n.value); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}
