package push

import (
	"context"

	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
)

func init() {
	backend.Offer(backend.Act{ID: "push.invite", Title: "Add a phone", Text: "Makes a link that adds one phone to the user's account. Whoever opens it first has that phone.", Method: Kind, Danger: true, Run: givePhone})
}

func givePhone(ctx context.Context, x *backend.Exec, u directory.User, _ map[string]any) (backend.Done, error) {
	var made Invitation
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		made, err = Invite(ctx, tx, x.Subject(Kind, u.ID), x.Kit.URL)
		return err
	})
	return backend.Done{Text: "Good once, for ten minutes.", Shown: []backend.Shown{{Label: "Link", Value: made.Link, Secret: true, QR: made.QR}}}, err
}
