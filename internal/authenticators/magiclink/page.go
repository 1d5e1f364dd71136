package magiclink

import (
	"context"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/session"
)

func init() {
	backend.Register(backend.Call[struct{}]{Route: "GET /link/{token}", Title: "The page behind a mailed link", Who: backend.Public, Page: true, Run: show})
	backend.Register(backend.Call[backend.Raw]{Route: "POST /link/{token}", Title: "Its button", Who: backend.Public, Page: true, Run: push})
}

// show draws the page and changes nothing, however often it is fetched.
func show(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	c, err := look(ctx, x.Kit.DB, x.Path("token"))
	if err != nil {
		return over(err)
	}
	return backend.Out{Body: question(c, "")}, nil
}

func question(c authn.Challenge[link], problem string) backend.Page {
	p := backend.Page{AppID: c.Subject.App, App: c.Data.App, Title: "Sign in to " + c.Data.App + "?", Text: "You asked for this by mail. If you did not, close this page: nothing has happened.", Button: "Sign in", Problem: problem}
	if c.Data.Number != "" {
		p.Text = "Enter the number that the page shows where you are signing in. If no page shows one, close this: somebody else asked."
		p.Fields = form.New(form.Text("number", "Number", form.Required, form.MaxLen(2)))
	}
	return p
}

// push is the button.
func push(ctx context.Context, x *backend.Exec, in backend.Raw) (backend.Out, error) {
	var address string
	var c authn.Challenge[link]
	var p authn.Proof
	var wrong error
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		wrong = nil
		if c, err = look(ctx, tx, x.Path("token")); err != nil {
			return err
		}
		if c.Data.Client != "" {
			p, err = carry(ctx, tx, c)
		} else {
			address, err = press(ctx, tx, x.Path("token"), in.Form.Get("number"))
		}
		if fault.Is(err, fault.Wrong) {
			wrong, err = err, nil
		}
		return err
	})
	app := c.Data.App
	signing := backend.Page{App: app, Title: "Signing you in", Text: "You are taken back to where you began.", Next: address, Button: "Go on"}
	switch {
	case err != nil:
		return over(err)
	case wrong != nil && c.Data.Client != "":
		return over(Used)
	case c.Data.Client != "":
		from := session.From{Client: c.Data.Client, Address: x.Address, Agent: x.Agent}
		return backend.Out{Body: signing, Proof: p, Back: &backend.Back{To: c.Data.Return, State: c.Data.State, New: c.Data.New, From: from}}, nil
	case wrong != nil:
		return over(fault.New(fault.Wrong, "That was not the number. Have another link sent."))
	case address != "":
		return backend.Out{Body: signing}, nil
	}
	return backend.Out{Body: backend.Page{App: app, Title: "Done", Text: "Go back to the page where you are signing in. You can close this one.", Verdict: "yes"}}, nil
}

// over is the page of a refusal; outages stay errors.
func over(err error) (backend.Out, error) {
	f := fault.Of(err)
	status := map[fault.Code]int{fault.Expired: 410, fault.Conflict: 410, fault.Wrong: 422, fault.Locked: 429, fault.Denied: 403}[f.Code]
	if status == 0 {
		return backend.Out{}, err
	}
	if status == 410 {
		f = Used
	}
	return backend.Out{Status: status, Body: backend.Page{App: "Watchword", Title: "This link does not sign in", Text: f.Message, Verdict: "no"}}, nil
}
