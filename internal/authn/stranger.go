package authn

import (
	"context"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// strangerMark begins the counters of names that belong to nobody.
const strangerMark = "stranger/"

// NobodyID is the id under which something is kept for a name that belongs to
// nobody: no user ever has it. What is posed for it is never answered, but by who
// comes to be a user by it (Newcomer).
func NobodyID(q db.Q, typed string) directory.UserID {
	return directory.UserID(strangerMark + q.Vault().Hash("stranger", directory.NameKey(typed)))
}

// IsNobody reports whether an id is one that NobodyID made.
func IsNobody(id directory.UserID) bool { return strings.HasPrefix(string(id), strangerMark) }

// Stranger is Attempt for a name that belongs to nobody: charged under a keyed hash
// of the name, locked after as many tries as anybody, and never right. It is the
// same code, so that it takes as long (security R30).
func Stranger(ctx context.Context, tx *db.Tx, kind Kind, tenant apps.TenantID, app apps.ID, typed string) error {
	s := Subject{Kind: kind, Tenant: tenant, App: app, User: NobodyID(tx, typed)}
	_, err := Attempt(ctx, tx, s, func() (CredentialID, error) {
		if _, err := Credentials[struct{}](ctx, tx, s); err != nil {
			return "", err
		}
		return "", Wrong
	})
	return err
}

// Newcomer is Attempt for the owner of an address that belongs to nobody yet, to
// whom something was sent there: s is of its NobodyID, which is charged. A right
// answer makes a user, whose address it then is, verified, and proves them.
// fault.Conflict if somebody goes by it meanwhile.
func Newcomer(ctx context.Context, tx *db.Tx, s Subject, to string, judge func() error) (Proof, error) {
	return attempt(ctx, tx, s, func() (Subject, CredentialID, error) {
		err := judge()
		if err == nil {
			s.User, err = admit(ctx, tx, s, to)
		}
		return s, "", err
	})
}

// admit makes the user whom a method has just reached at an address.
func admit(ctx context.Context, tx *db.Tx, s Subject, to string) (directory.UserID, error) {
	kind := methods[s.Kind].Reaches
	n := directory.NewUser{Email: to}
	if kind == directory.Phone {
		n = directory.NewUser{Phone: to}
	}
	taken, err := directory.Taken(ctx, tx, s.Tenant, n)
	if err == nil && taken != "" {
		err = fault.New(fault.Conflict, "Somebody already goes by that name.")
	}
	if err != nil {
		return "", err
	}
	id, err := directory.Create(ctx, tx, s.Tenant, n)
	if err != nil {
		return "", err
	}
	if err := directory.Verify(ctx, tx, s.Tenant, id, kind, to); err != nil {
		return "", err
	}
	return id, audit.Record(ctx, tx, audit.Event{Tenant: string(s.Tenant), App: string(s.App), Type: "user.created", Actor: string(id), Target: string(id), Outcome: "success", Reason: string(s.Kind)})
}

// Unknown makes a journey's or a caller's refusal of a name the same as a wrong
// answer: any NotFound of err becomes what Stranger says.
func Unknown(ctx context.Context, tx *db.Tx, err error, kind Kind, tenant apps.TenantID, app apps.ID, typed string) error {
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	return Stranger(ctx, tx, kind, tenant, app, typed)
}

// SweepStrangers deletes the counters of names that nobody tried for a day; jobs
// calls it.
func SweepStrangers(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM lockouts WHERE stranger AND updated_at < $1`, tx.Now().Add(-24*time.Hour))
	return err
}
