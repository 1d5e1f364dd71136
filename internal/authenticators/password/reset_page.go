package password

import (
	"context"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
)

func init() {
	const page = "/password/reset/{app_id}/{token}"
	backend.Register(backend.Call[struct{}]{Route: "GET " + page, Title: "The page behind a link that resets a password", Who: backend.Public, Page: true, Run: showReset})
	backend.Register(backend.Call[backend.Raw]{Route: "POST " + page, Title: "Its button", Who: backend.Public, Page: true, Run: pushReset})
}

// resetPage is the page; following a link changes nothing.
func resetPage(app apps.App, problem string) backend.Page {
	return backend.Page{AppID: app.ID, App: app.Name, Title: "Choose a new password", Text: "If you did not ask for this, close the page: nothing has happened.", Button: "Change password", Problem: problem,
		Fields: form.New(form.Secret("new_password", "New password", form.Required, form.MaxLen(1024)))}
}

// overdue is the page of a link that is not, or not any more, good.
func overdue(err error) (backend.Out, error) {
	f := fault.Of(err)
	status := map[fault.Code]int{fault.Wrong: 410, fault.Expired: 410, fault.NotFound: 410, fault.Conflict: 410, fault.Locked: 429, fault.Denied: 403}[f.Code]
	if status == 0 {
		return backend.Out{}, err
	}
	text := f.Message
	if status == 410 {
		text = "This link was used or has run out. Have another one sent."
	}
	return backend.Out{Status: status, Body: backend.Page{App: "Watchword", Title: "The password was not changed", Text: text, Verdict: "no"}}, nil
}

func showReset(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	app, err := apps.Find(ctx, x.Kit.DB, apps.ID(x.Path("app_id")))
	if err != nil {
		return overdue(err)
	}
	given, user := Given{}.WithToken(x.Path("token"))
	if _, err := find(ctx, x.Kit.DB, authn.Subject{Kind: Kind, Tenant: app.Tenant, App: app.ID, User: user}, byToken, given.secret); err != nil {
		return overdue(err)
	}
	return backend.Out{Body: resetPage(app, "")}, nil
}

// pushReset sets the new password. It signs nobody in.
func pushReset(ctx context.Context, x *backend.Exec, in backend.Raw) (backend.Out, error) {
	var err error
	if x.App, err = apps.Find(ctx, x.Kit.DB, apps.ID(x.Path("app_id"))); err != nil {
		return overdue(err)
	}
	given, user := Given{Password: in.Form.Get("new_password")}.WithToken(x.Path("token"))
	u, err := directory.Find(ctx, x.Kit.DB, x.App.Tenant, user)
	r, err := Redeem(ctx, x.Kit.DB, x.App, u, err, given)
	if err != nil {
		return backend.Out{}, err
	}
	_, err = x.Attempt(ctx, func(tx *db.Tx) (authn.Proof, error) {
		if _, err := r.Settle(ctx, tx); err != nil {
			return authn.Proof{}, err
		}
		return authn.Proof{}, record(ctx, tx, x, "password.reset", u.ID)
	})
	if fault.Is(err, fault.Invalid) {
		return backend.Out{Status: 422, Body: resetPage(x.App, fault.Of(err).Message)}, nil
	}
	if err != nil {
		return overdue(err)
	}
	return backend.Out{Body: backend.Page{AppID: x.App.ID, App: x.App.Name, Title: "Your password is changed", Text: "Sign in with it from now on. You can close this page.", Verdict: "yes"}}, nil
}
