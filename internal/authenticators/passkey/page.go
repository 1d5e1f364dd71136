package passkey

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// A back end may leave the whole registration to a page of this server
// (authenticators.md 6.3): it asks for a token, sends its user's browser there with
// it, and gets the browser back. The calls of the page have no address; the door
// that draws it makes them.

// pageLife is how long somebody may take from the token to the passkey.
const pageLife = 10 * time.Minute

// paging is the type of such a ticket, which no result and no other call answers.
const paging = "page/" + creates

func init() {
	call("POST "+base+"external/register/hosted/hint", "Get a token for the page that registers a passkey", "authenticators:create", hint)
	inside("POST /inside/passkey/page", "What that page shows", showPage)
	inside("POST /inside/passkey/page/register", "Its button", registerOnPage)
	inside("POST /inside/passkey/page/cancel", "Its way back", cancelPage)
}

func inside(route, title string, run func(ctx context.Context, x *backend.Exec, in pageBody) (backend.Out, error)) {
	backend.Register(backend.Call[pageBody]{Route: route, Title: title, Who: backend.Inside, Run: run})
}

type hintBody struct {
	External string `json:"external_user_id"`
	Name     string `json:"webauthn_identifier"` // what the passkey is called
	Shown    string `json:"display_name,omitempty"`
	Redirect string `json:"redirect_uri"`
}

// hint relies on the caller's word that the user is there, as registerExternal does.
func hint(ctx context.Context, x *backend.Exec, in hintBody) (backend.Out, error) {
	if err := fits(in.Name, in.Shown); err != nil || in.Name == "" {
		return backend.Out{}, badName
	}
	if err := (backend.Returning{Redirect: in.Redirect}).Check(ctx, x, true); err != nil {
		return backend.Out{}, err
	}
	r, err := party(ctx, x.Kit.DB, x.App, x.Kit.URL)
	if err != nil {
		return backend.Out{}, err
	}
	return move(ctx, x, func(tx *db.Tx) (map[string]any, error) {
		u, err := x.Find(ctx, tx, external(in.External))
		if err != nil {
			return nil, err
		}
		if err := directory.MaySignIn(ctx, tx, x.App.Tenant, u.ID); err != nil {
			return nil, backend.Code(err, "user_not_active")
		}
		c := ceremony{Name: in.Name}
		if err := r.find(ctx, tx, &c); err != nil {
			return nil, err
		}
		if c.User != "" && c.User != u.ID {
			return nil, fault.New(fault.Conflict, "Somebody already goes by that name.")
		}
		secret := rand.Text()
		id, err := r.pose(ctx, tx, ticket{Type: paging, Client: x.Client, Name: in.Name, Shown: in.Shown, User: u.ID, Hash: pageHash(tx, secret), Return: in.Redirect}, pageLife)
		return map[string]any{"register_webauthn_cred_token": string(id) + "." + secret}, err
	})
}

func pageHash(q db.Q, secret string) string { return q.Vault().Hash("passkey page", secret) }

// pageBody is what the page's door hands in.
type pageBody struct {
	Token  string `json:"token"`
	Result string `json:"webauthn_encoded_result,omitempty"`
}

// overdue is the answer to a token that is not, or not any more, good.
var overdue = fault.New(fault.Expired, "This page was used or has run out. Go back to where you came from.")

// opened is the ticket of a token, and whose relying party it is of. It is overdue,
// and these are returned all the same, if it is not open or its user may not sign in
// any more.
func opened(ctx context.Context, x *backend.Exec, q db.Q, token string) (authn.Challenge[ticket], relying, error) {
	id, secret, _ := strings.Cut(token, ".")
	t, err := recalled[ticket](ctx, q, authn.ChallengeID(id), authn.Subject{})
	if fault.Is(err, fault.Expired) || err == nil && (t.Data.Type != paging || subtle.ConstantTimeCompare([]byte(t.Data.Hash), []byte(pageHash(q, secret))) != 1) {
		return t, relying{}, overdue
	}
	if err != nil {
		return t, relying{}, err
	}
	r, err := whose(ctx, x, q, t)
	if err != nil {
		return t, r, err
	}
	err = directory.MaySignIn(ctx, q, r.app.Tenant, t.Data.User)
	if fault.Is(err, fault.Denied) || err == nil && t.State != authn.Created {
		err = overdue
	}
	return t, r, err
}

// about is what the page shows, and where it leads.
func about(t authn.Challenge[ticket], r relying) map[string]any {
	return map[string]any{"app_id": string(r.app.ID), "app_name": r.app.Name, "client_id": string(t.Data.Client), "username": t.Data.Name, "display_name": t.Data.Shown, "redirect_uri": t.Data.Return}
}

func showPage(ctx context.Context, x *backend.Exec, in pageBody) (backend.Out, error) {
	t, r, err := opened(ctx, x, x.Kit.DB, in.Token)
	return backend.Out{Body: about(t, r)}, err
}

// registerOnPage enrols for the user whom the back end named, and spends the token
// with it.
func registerOnPage(ctx context.Context, x *backend.Exec, in pageBody) (backend.Out, error) {
	return move(ctx, x, func(tx *db.Tx) (map[string]any, error) {
		t, r, err := opened(ctx, x, tx, in.Token)
		if err != nil {
			return nil, err
		}
		theirs := r.loosely(ctx, tx, t.Data.User)
		mine := func(c ceremony) (bool, error) {
			ok, err := theirs(c)
			return ok && c.Name == t.Data.Name, err
		}
		if _, err := r.enrol(ctx, tx, t.Data.User, in.Result, mine); err != nil {
			return nil, err
		}
		t.Data.Done = true
		if err := authn.Move(ctx, tx, &t, authn.Cancelled); err != nil {
			return nil, overdue.Because(err)
		}
		x.App, x.Client = r.app, t.Data.Client
		return about(t, r), record(ctx, tx, x, t.Data.User)
	})
}

// cancelPage ends a token without a passkey.
func cancelPage(ctx context.Context, x *backend.Exec, in pageBody) (backend.Out, error) {
	return move(ctx, x, func(tx *db.Tx) (map[string]any, error) {
		t, r, err := opened(ctx, x, tx, in.Token)
		if err != nil {
			return nil, err
		}
		return about(t, r), authn.Move(ctx, tx, &t, authn.Cancelled)
	})
}
