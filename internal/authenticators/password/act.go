package password

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
)

func init() {
	backend.Offer(backend.Act{ID: "password.temporary", Title: "Temporary password", Text: "Replaces the user's password by one that they must change when they sign in.", Method: Kind, Danger: true, Run: giveTemporary})
	backend.Offer(backend.Act{ID: "password.reset_link", Title: "Mail a reset link", Text: "Mails a link to the user by which they choose a new password.", Method: Kind, Run: mailLink})
}

func mailLink(ctx context.Context, x *backend.Exec, u directory.User, _ map[string]any) (backend.Done, error) {
	_, err := sendLinkCall(ctx, x, linkBody{resetBody: resetBody{Common: backend.Common{Identifier: string(u.ID), IdentifierType: "user_id"}}})
	return backend.Done{Text: "If the user has a password and an address, the link is on its way."}, err
}

// giveTemporary makes up a password, for nobody should.
func giveTemporary(ctx context.Context, x *backend.Exec, u directory.User, _ map[string]any) (backend.Done, error) {
	text := readable()
	f, err := Prepare(ctx, x.Kit.DB, x.App, u, text, true)
	if err != nil {
		return backend.Done{}, err
	}
	err = x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		_, err := Set(ctx, tx, x.Subject(Kind, u.ID), f, true, false)
		if err != nil {
			return err
		}
		return record(ctx, tx, x, "password.set", u.ID)
	})
	return backend.Done{Text: "The user chooses a new password when they sign in with this one.", Shown: []backend.Shown{{Label: "Temporary password", Value: text, Secret: true}}}, err
}

// readable is 80 random bits as somebody can read them out.
func readable() string {
	s := strings.ToLower(rand.Text())
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:16]
}
