package code

import (
	"context"

	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/message"
)

func init() {
	backend.Offer(backend.Act{ID: "code.direct", Title: "Code to read out", Text: "Makes a code that the user enters once. Make sure that you speak to them.", Method: Direct, Danger: true, Run: giveCode})
}

func giveCode(ctx context.Context, x *backend.Exec, u directory.User, _ map[string]any) (backend.Done, error) {
	var made Sent
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		if err = directory.MaySignIn(ctx, tx, x.App.Tenant, u.ID); err != nil {
			return err
		}
		made, err = Send(ctx, tx, x.Subject(Direct, u.ID), Note{App: x.App, Name: message.LoginCode})
		return err
	})
	return backend.Done{Text: "It is good once, for a few minutes.", Shown: []backend.Shown{{Label: "Code", Value: made.Code, Secret: true}}}, err
}
