package directory

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// IdentifierKind says what an identifier is.
type IdentifierKind string

const (
	Email    IdentifierKind = "email"
	Phone    IdentifierKind = "phone"
	Username IdentifierKind = "username"
	External IdentifierKind = "external"
)

// Identifier is one name a user goes by.
type Identifier struct {
	Kind       IdentifierKind
	Value      string // normalised: equal names have equal values
	Shown      string // as it was entered
	VerifiedAt time.Time
	Primary    bool
}

// Normalise returns the one spelling of an identifier under which it is stored,
// found, counted and limited, so that no variant escapes a lock (security R22).
// E-mail addresses and usernames are NFKC and case-folded, phone numbers E.164,
// external ids are kept as they are. fault.Invalid if it cannot be one.
func Normalise(kind IdentifierKind, s string) (string, error) {
	once, err := spell(kind, s)
	if err != nil {
		return "", err
	}
	// A spelling that would change again is no name: two people could share it.
	if twice, err := spell(kind, once); err != nil || twice != once {
		return "", invalid(kind)
	}
	return once, nil
}

func spell(kind IdentifierKind, s string) (string, error) {
	if !utf8.ValidString(s) || len(s) > 320 || hasHidden(s) {
		return "", invalid(kind)
	}
	switch kind {
	case Email:
		return normaliseEmail(s)
	case Phone:
		if strings.Trim(s, "+0123456789 -().\u00a0") != "" {
			return "", invalid(kind)
		}
		n, err := phonenumbers.Parse(strings.TrimSpace(s), "ZZ")
		if err != nil || !phonenumbers.IsPossibleNumber(n) {
			return "", invalid(kind)
		}
		return phonenumbers.Format(n, phonenumbers.E164), nil
	case Username:
		v, err := precis.UsernameCaseMapped.String(norm.NFKC.String(strings.TrimSpace(s)))
		if err != nil || v == "" || strings.ContainsAny(v, "@ ") {
			return "", invalid(kind)
		}
		return v, nil
	case External:
		if s == "" || strings.TrimSpace(s) != s {
			return "", invalid(kind)
		}
		return s, nil
	}
	return "", fault.New(fault.Invalid, "There is no identifier called %s.", kind)
}

func normaliseEmail(s string) (string, error) {
	s = norm.NFKC.String(strings.ToLower(norm.NFKC.String(strings.TrimSpace(s))))
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || strings.ContainsAny(s, " ,;<>()[]\\\"\t") || strings.Contains(domain, "@") {
		return "", invalid(Email)
	}
	domain = strings.TrimSuffix(domain, ".")
	if domain == "" || strings.HasPrefix(domain, ".") || strings.Contains(domain, "..") {
		return "", invalid(Email)
	}
	return local + "@" + domain, nil
}

// hasHidden reports characters that are not seen: control, format (zero width,
// bidirectional marks) and surrogates.
func hasHidden(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) }) >= 0
}

func invalid(kind IdentifierKind) error {
	names := map[IdentifierKind]string{Email: "an e-mail address", Phone: "a phone number with its country code", Username: "a username", External: "an external id"}
	return fault.New(fault.Invalid, "That is not %s.", names[kind])
}

// AddIdentifier gives a user another name, unverified; the first of its kind is
// primary. fault.Conflict if somebody of the tenant has it.
func AddIdentifier(ctx context.Context, tx *db.Tx, tenant apps.TenantID, user UserID, kind IdentifierKind, shown string) error {
	value, err := Normalise(kind, shown)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `INSERT INTO identifiers (tenant_id, kind, value, shown, user_id, verified_at, is_primary, created_at, search)
		VALUES ($1, $2, $3, $4, $5, 0, NOT EXISTS (SELECT 1 FROM identifiers WHERE user_id = $5 AND kind = $2), $6, $7)
		ON CONFLICT (tenant_id, kind, value) DO NOTHING`,
		tenant, kind, value, strings.TrimSpace(shown), user, tx.Now(), searchKey(value))
	if err == nil && n == 0 {
		return errTaken
	}
	return err
}

var errTaken = fault.New(fault.Conflict, "Somebody already goes by that name.")

// Identifiers returns the names of a user.
func Identifiers(ctx context.Context, q db.Q, user UserID) ([]Identifier, error) {
	rows, err := q.Query(ctx, `SELECT kind, value, shown, verified_at, is_primary FROM identifiers WHERE user_id = $1 ORDER BY kind, is_primary DESC, created_at, value`, user)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Identifier
	for rows.Next() {
		var i Identifier
		if err := rows.Scan(&i.Kind, &i.Value, &i.Shown, db.Time(&i.VerifiedAt), &i.Primary); err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, rows.Err()
}

// lookups are what something typed may be, in the order in which it is tried.
var lookups = []IdentifierKind{Email, Phone, Username, External}

// Lookup returns the user of a tenant who goes by what somebody typed, trying
// it as a user id, an e-mail address, a phone number, a username and an external
// id, in that order. fault.NotFound if nobody does; what cannot be a name of
// any kind is nobody's. It reads the same, however it is found and if it is not
// (security R30).
func Lookup(ctx context.Context, q db.Q, tenant apps.TenantID, typed string) (User, error) {
	none := fault.New(fault.NotFound, "no such user")
	found := User{}
	if strings.HasPrefix(typed, "usr_") {
		u, err := Find(ctx, q, tenant, UserID(typed))
		if err != nil && !fault.Is(err, fault.NotFound) {
			return User{}, err
		}
		if err == nil {
			found = u
		}
	}
	var or []string
	args := []any{tenant}
	for _, kind := range lookups {
		if value, err := Normalise(kind, typed); err == nil {
			args = append(args, kind, value)
			or = append(or, "i.kind = $"+strconv.Itoa(len(args)-1)+" AND i.value = $"+strconv.Itoa(len(args)))
		}
	}
	if len(or) == 0 {
		return found, orNone(found, none)
	}
	all, err := byNames(ctx, q, tenant, strings.Join(or, " OR "), args)
	if err != nil {
		return User{}, err
	}
	for _, kind := range lookups {
		if u, has := all[kind]; has && found.ID == "" {
			found = u
		}
	}
	return found, orNone(found, none)
}

func orNone(u User, none *fault.Error) error {
	if u.ID == "" {
		return none
	}
	return nil
}

// byNames reads the users of a tenant who have one of these names, by its kind.
func byNames(ctx context.Context, q db.Q, tenant apps.TenantID, or string, args []any) (map[IdentifierKind]User, error) {
	rows, err := q.Query(ctx, `SELECT i.kind, u.id, u.status, u.external_id, u.custom, u.created_at, u.rev FROM identifiers i JOIN users u ON u.id = i.user_id
		WHERE i.tenant_id = $1 AND (`+or+`)`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[IdentifierKind]User{}
	for rows.Next() {
		var kind IdentifierKind
		u := User{Tenant: tenant}
		if err := rows.Scan(&kind, &u.ID, &u.Status, &u.ExternalID, db.JSON(&u.Custom), db.Time(&u.CreatedAt), &u.rev); err != nil {
			return nil, err
		}
		out[kind] = u
	}
	return out, rows.Err()
}

// LookupKind is Lookup for one kind; value is normalised first.
func LookupKind(ctx context.Context, q db.Q, tenant apps.TenantID, kind IdentifierKind, value string) (User, error) {
	value, err := Normalise(kind, value)
	if err != nil {
		return User{}, fault.New(fault.NotFound, "no such user").Because(err)
	}
	u := User{Tenant: tenant}
	err = q.QueryRow(ctx, `SELECT u.id, u.status, u.external_id, u.custom, u.created_at, u.rev FROM identifiers i JOIN users u ON u.id = i.user_id
		WHERE i.tenant_id = $1 AND i.kind = $2 AND i.value = $3`, tenant, kind, value).
		Scan(&u.ID, &u.Status, &u.ExternalID, db.JSON(&u.Custom), db.Time(&u.CreatedAt), &u.rev)
	return u, db.None(err, "user")
}

// NameKey is under which name something typed is limited and remembered when it
// belongs to nobody: its normalised spelling, or what is left of it when it has
// none. Equal spellings of any kind have equal keys.
func NameKey(typed string) string {
	for _, kind := range []IdentifierKind{Email, Phone, Username} {
		if v, err := Normalise(kind, typed); err == nil {
			return v
		}
	}
	s := strings.ToLower(norm.NFKC.String(strings.ToValidUTF8(typed, "")))
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) }), " ")
}
