package administrator

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// Kind names the method of the one-time link. It is for administrators alone and
// stands in no list of methods.
const Kind authn.Kind = "invitation"

// InvitationLife is how long a link waits to be followed.
const InvitationLife = 24 * time.Hour

func init() {
	authn.Register(authn.Method{Kind: Kind, Title: "One-time link", Hidden: true, Lives: authn.PerApp, Counts: authn.PerApp, Unlock: authn.PerApp,
		AMR: []string{"otp"}, Config: form.New(lockout.Fields(100)...)})
}

// spent is the answer to a link that opens nothing, whatever the reason.
var spent = fault.New(fault.Denied, "This link was used already or has run out. Ask for a new one.")

// Invite makes the link's secret of an administrator. Links that they had before
// stop working.
func Invite(ctx context.Context, tx *db.Tx, id directory.UserID) (string, error) {
	if _, err := Find(ctx, tx, id); err != nil {
		return "", err
	}
	return invite(ctx, tx, id)
}

// InviteFirst makes the secret of the link by which somebody becomes the first
// owner. Links made before stop working. fault.Conflict once there is an
// administrator (security R91).
func InviteFirst(ctx context.Context, tx *db.Tx) (string, error) {
	if any, err := Any(ctx, tx); err != nil {
		return "", err
	} else if any {
		return "", fault.New(fault.Conflict, "This server has administrators already. Say whom to invite.")
	}
	return invite(ctx, tx, "")
}

func invite(ctx context.Context, tx *db.Tx, id directory.UserID) (string, error) {
	if _, err := tx.Exec(ctx, `DELETE FROM invitations WHERE user_id = $1`, id); err != nil {
		return "", err
	}
	secret := "inv_" + rand.Text()
	_, err := tx.Exec(ctx, `INSERT INTO invitations (id, user_id, used_at, created_at, expires_at) VALUES ($1, $2, 0, $3, $4)`,
		tx.Vault().Hash("invitation", secret), id, tx.Now(), tx.Now().Add(InvitationLife))
	return secret, err
}

// Redeem spends a link and returns the proof that it is. name and email are those
// of whoever becomes the first owner; they change nobody else's. A link that was
// used, ran out or never was is fault.Denied, the same for all.
func Redeem(ctx context.Context, tx *db.Tx, secret, name, email string) (authn.Proof, error) {
	if len(secret) > 100 {
		return authn.Proof{}, spent
	}
	id := tx.Vault().Hash("invitation", secret)
	var user directory.UserID
	err := tx.QueryRow(ctx, `SELECT user_id FROM invitations WHERE id = $1 AND used_at = 0 AND expires_at > $2`, id, tx.Now()).Scan(&user)
	if err = db.None(err, "invitation"); fault.Is(err, fault.NotFound) {
		return authn.Proof{}, spent
	}
	if err != nil {
		return authn.Proof{}, err
	}
	if user == "" {
		if user, err = first(ctx, tx, name, email); err != nil {
			return authn.Proof{}, err
		}
	}
	s := authn.Subject{Kind: Kind, Tenant: apps.ConsoleTenant, App: App, User: user}
	return authn.Attempt(ctx, tx, s, func() (authn.CredentialID, error) {
		n, err := tx.Exec(ctx, `UPDATE invitations SET used_at = $1 WHERE id = $2 AND used_at = 0 AND expires_at > $1`, tx.Now(), id)
		if err == nil && n == 0 {
			err = spent
		}
		return "", err
	})
}

// first is whoever becomes the first owner: who began to before and never could
// sign in by themselves, or somebody new. Once there is an administrator it is
// nobody.
func first(ctx context.Context, tx *db.Tx, name, email string) (directory.UserID, error) {
	if err := alone(ctx, tx); err != nil {
		return "", err
	}
	if any, err := Any(ctx, tx); err != nil {
		return "", err
	} else if any {
		return "", spent
	}
	var id directory.UserID
	err := tx.QueryRow(ctx, `SELECT user_id FROM administrators WHERE first = 'first'`).Scan(&id)
	if err = db.None(err, "administrator"); !fault.Is(err, fault.NotFound) {
		return id, err
	}
	a, err := insert(ctx, tx, name, email, Owner, "first")
	return a.ID, err
}

// FirstOwner returns the id of the owner who has been one for longest;
// fault.NotFound if there is none.
func FirstOwner(ctx context.Context, q db.Q) (directory.UserID, error) {
	var id directory.UserID
	err := q.QueryRow(ctx, `SELECT a.user_id FROM administrators a JOIN users u ON u.id = a.user_id WHERE a.role = 'owner' AND u.status = 'active' ORDER BY a.created_at, a.user_id LIMIT 1`).Scan(&id)
	return id, db.None(err, "administrator")
}
