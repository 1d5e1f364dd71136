package push

import (
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/limit"
	"github.com/watchword-auth/watchword/internal/qr"
)

func init() {
	backend.Register(backend.Call[struct{}]{Route: "POST /v1/users/me/phones/invitations", Title: "Add a phone of your own: a link that is good once", Who: backend.User, Run: inviteOwn})
	backend.Register(backend.Call[struct{}]{Route: "POST /v1/users/{user_id}/phones/invitations", Title: "Let a user add a phone: a link that is good once", Needs: "devices:create", Run: inviteFor})
}

// Invitation is how one more phone comes to a user: a link, and the same as a
// picture. Both hold a secret, the link in its fragment, which no server sees.
type Invitation struct {
	Link    string
	QR      string // SVG
	Expires time.Time
	secret  string
}

// NoPhoneClient is the answer where no client of the application is a phone app.
var NoPhoneClient = fault.New(fault.Conflict, "This application has no client of the kind native. Add one, then phones can be added.")

// Invite lets the user of s add one phone, at the server at base. The caller has
// checked that they may. fault.Limited if it was asked too often.
func Invite(ctx context.Context, tx *db.Tx, s authn.Subject, base string) (Invitation, error) {
	client, err := phoneClient(ctx, tx, s.App)
	if err == nil {
		err = limit.Take(ctx, tx, "invite/"+string(s.App)+"/"+string(s.User), 20, 10*time.Minute)
	}
	var set settings
	if err == nil {
		err = authn.Settings(ctx, tx, s.App, Kind, &set)
	}
	if err != nil {
		return Invitation{}, err
	}
	secret, expires, err := directory.Invite(ctx, tx, directory.Invitation{Tenant: s.Tenant, App: s.App, User: s.User, Client: client})
	if err != nil {
		return Invitation{}, err
	}
	link := base + "/authenticator/#" + url.Values{"client": {string(client)}, "invite": {secret}}.Encode()
	svg, err := qr.SVG(link, "QR code that adds this account to a phone")
	return Invitation{link, svg, expires, secret}, err
}

// phoneClient is the client as which our phone app speaks to an application: its
// first native one.
func phoneClient(ctx context.Context, q db.Q, app apps.ID) (apps.ClientID, error) {
	all, err := apps.Clients(ctx, q, app)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(c apps.Client) bool { return c.Kind == apps.Native })
	if i < 0 {
		return "", NoPhoneClient
	}
	return all[i].ID, nil
}

// inviteOwn needs a proof of the last five minutes.
func inviteOwn(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	if err := x.Fresh(ctx); err != nil {
		return backend.Out{}, err
	}
	return invited(ctx, x, func(*db.Tx) (directory.UserID, error) { return x.User, nil })
}

func inviteFor(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	return invited(ctx, x, func(tx *db.Tx) (directory.UserID, error) {
		u, err := x.UserIn(ctx, tx, "user_id")
		return u.ID, err
	})
}

func invited(ctx context.Context, x *backend.Exec, whom func(tx *db.Tx) (directory.UserID, error)) (backend.Out, error) {
	var made Invitation
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		user, err := whom(tx)
		if err != nil {
			return err
		}
		if made, err = Invite(ctx, tx, x.Subject(Kind, user), x.Kit.URL); err != nil {
			return err
		}
		actor := user
		if x.User == "" {
			actor = ""
		}
		return audit.Record(ctx, tx, audit.Event{Tenant: string(x.App.Tenant), App: string(x.App.ID), Client: string(x.Client), Type: "phone.invited", Outcome: "success",
			Actor: string(actor), Target: string(user), IP: x.Address, UserAgent: x.Agent})
	})
	if err == NoPhoneClient {
		err = backend.Code(err, "no_native_client")
	}
	return backend.Out{Status: backend.Created, Body: map[string]any{"link": made.Link, "qr": made.QR, "expires_at": made.Expires, "expires_in": int(directory.InvitationLife / time.Second)}}, err
}
