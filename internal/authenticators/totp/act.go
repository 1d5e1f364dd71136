package totp

import (
	"context"

	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/qr"
)

func init() {
	backend.Offer(backend.Act{ID: "totp.register", Title: "Add an authenticator app", Text: "Makes a setup link for an app that shows six digits. Whoever has the link is the user's second factor.", Method: Kind, Danger: true,
		Form: form.New(form.Text("label", "Name", form.MaxLen(100))), Run: giveApp})
}

func giveApp(ctx context.Context, x *backend.Exec, u directory.User, in map[string]any) (backend.Done, error) {
	label, _ := in["label"].(string)
	var made Enrolment
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		made, err = Enrol(ctx, tx, x.Subject(Kind, u.ID), x.App.Name, label, false)
		return err
	})
	if err != nil {
		return backend.Done{}, err
	}
	svg, err := qr.SVG(made.URI, qrLabel)
	return backend.Done{Text: "It counts after its first right code.", Shown: []backend.Shown{{Label: "Setup link", Value: made.URI, Secret: true, QR: svg}, {Label: "Secret", Value: made.Secret, Secret: true}}}, err
}
