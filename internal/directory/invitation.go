package directory

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Invitation lets one more phone enrol for a user in an application, once and for
// ten minutes. Whoever makes one has checked that the user may add a phone.
type Invitation struct {
	Tenant  apps.TenantID
	App     apps.ID
	User    UserID
	Client  apps.ClientID // the phone speaks as
	Expires time.Time
}

// InvitationLife is how long an invitation waits.
const InvitationLife = 10 * time.Minute

// NoInvitation is the answer to a secret that invites nobody, whatever the reason.
var NoInvitation = fault.New(fault.Expired, "This link was used or has run out. Get a new one where you got it.")

// Invite makes an invitation and returns its secret, which is kept only as a hash.
// An earlier one of the same user in the application ends.
func Invite(ctx context.Context, tx *db.Tx, i Invitation) (secret string, expires time.Time, err error) {
	_, err = tx.Exec(ctx, `UPDATE phone_invitations SET state = 'replaced' WHERE user_id = $1 AND app_id = $2 AND state = 'open'`, i.User, i.App)
	if err != nil {
		return "", expires, err
	}
	secret, expires = rand.Text(), tx.Now().Add(InvitationLife)
	_, err = tx.Exec(ctx, `INSERT INTO phone_invitations (id, tenant_id, app_id, user_id, client_id, state, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, 'open', $6, $7)`,
		tx.Vault().Hash("invitation", secret), i.Tenant, i.App, i.User, i.Client, tx.Now(), expires)
	return secret, expires, err
}

// AcceptInvitation spends an invitation for a client, once and never again, in the
// transaction of what is enrolled by it. NoInvitation if it was made for another
// client, was spent, replaced or has run out; fault.Denied if its user may not
// sign in any more.
func AcceptInvitation(ctx context.Context, tx *db.Tx, client apps.ClientID, secret string) (Invitation, error) {
	i := Invitation{Client: client}
	err := tx.QueryRow(ctx, `UPDATE phone_invitations SET state = 'used' WHERE id = $1 AND client_id = $2 AND state = 'open' AND expires_at > $3 RETURNING tenant_id, app_id, user_id, expires_at`,
		tx.Vault().Hash("invitation", secret), client, tx.Now()).Scan(&i.Tenant, &i.App, &i.User, db.Time(&i.Expires))
	if fault.Is(db.None(err, "invitation"), fault.NotFound) {
		return i, NoInvitation
	}
	if err != nil {
		return i, err
	}
	tx.Signal(InvitedTopic(i.App, i.User))
	return i, MaySignIn(ctx, tx, i.Tenant, i.User)
}

// InvitationState is "open", "used", "replaced" or "expired" and, of an unknown
// secret, "".
func InvitationState(ctx context.Context, q db.Q, secret string) (state string, err error) {
	var expires time.Time
	err = q.QueryRow(ctx, `SELECT state, expires_at FROM phone_invitations WHERE id = $1`, q.Vault().Hash("invitation", secret)).Scan(&state, db.Time(&expires))
	if fault.Is(db.None(err, "invitation"), fault.NotFound) {
		return "", nil
	}
	if state == "open" && !q.Now().Before(expires) {
		state = "expired"
	}
	return state, err
}

// InvitedTopic is what is signalled when an invitation of a user is used.
func InvitedTopic(app apps.ID, user UserID) string {
	return "invited/" + string(app) + "/" + string(user)
}

// SweepInvitations deletes invitations that ran out; jobs calls it.
func SweepInvitations(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM phone_invitations WHERE expires_at < $1`, tx.Now().Add(-time.Hour))
	return err
}
