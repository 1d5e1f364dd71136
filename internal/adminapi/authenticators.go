package adminapi

import (
	"context"
	"errors"
	"slices"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
)

// Authenticator is something that can prove a user.
type Authenticator struct {
	ID        string `json:"id"`
	Kind      string `json:"kind"`
	Title     string `json:"title"`
	Label     string `json:"label"`
	Status    string `json:"status" enum:"active,locked,permanently_locked,deactivated,disabled"`
	Until     Stamp  `json:"until"`
	Failures  int    `json:"failures"`
	App       string `json:"app"`
	DeviceID  string `json:"device_id"`
	CreatedAt Stamp  `json:"created_at"`
	UsedAt    Stamp  `json:"used_at"`
}

type InUserApp struct {
	InUser
	App string `query:"app" maxLength:"100" doc:"Only of this application."`
}

// inApps are the applications that a request is about: the one it names, which
// must be the tenant's, or all of the tenant.
func (c *Call) inApps(ctx context.Context, q db.Q, app string) ([]apps.App, error) {
	if app == "" {
		return apps.List(ctx, q, c.tenant())
	}
	a, err := c.app(ctx, q, app)
	return []apps.App{a}, err
}

// authenticators are those of a user and what they are asked by, each once, with the
// application in which it was found.
func (c *Call) authenticators(ctx context.Context, q db.Q, user directory.UserID, app string) ([]authn.Authenticator, error) {
	in, err := c.inApps(ctx, q, app)
	if err != nil {
		return nil, err
	}
	var out []authn.Authenticator
	seen := map[string]bool{}
	for _, a := range in {
		have, err := authn.Authenticators(ctx, q, c.tenant(), a.ID, user)
		if err != nil {
			return nil, err
		}
		asked, err := authn.Asked(ctx, q, c.tenant(), a.ID, user)
		if err != nil {
			return nil, err
		}
		out = append(out, asked...) // of each application its own
		for _, x := range have {
			if !seen[x.ID] {
				seen[x.ID] = true
				out = append(out, x)
			}
		}
	}
	return out, nil
}

// titleOf is what a method is called; its kind, where it is not built in any more.
func titleOf(kind authn.Kind) string {
	m, err := authn.Find(kind)
	if err != nil {
		return string(kind)
	}
	return m.Title
}

func listAuthenticators(ctx context.Context, c *Call, in *InUserApp) (*list[Authenticator], error) {
	u, err := c.user(ctx, c.Kit.DB, in.User)
	if err != nil {
		return nil, err
	}
	have, err := c.authenticators(ctx, c.Kit.DB, u.ID, in.App)
	if err != nil {
		return nil, err
	}
	var out []Authenticator
	for _, a := range have {
		out = append(out, Authenticator{a.ID, string(a.Kind), titleOf(a.Kind), a.Label, string(a.Status), Stamp(a.Until), a.Failures, string(a.App), string(a.Device), Stamp(a.CreatedAt), Stamp(a.UsedAt)})
	}
	return items(out), nil
}

type InAuthenticator struct {
	InUser
	Authenticator string `path:"aid" maxLength:"100"`
	App           string `query:"app" maxLength:"100"`
}

// on does something to one authenticator of a user of the tenant. What needs no
// enrolment goes by its kind.
func (c *Call) on(ctx context.Context, in InAuthenticator, fn func(tx *db.Tx, s authn.Subject, a authn.Authenticator) error) error {
	return c.writeWith(ctx, func(tx *db.Tx) (string, map[string]any, error) {
		u, err := c.user(ctx, tx, in.User)
		if err != nil {
			return "", nil, err
		}
		have, err := c.authenticators(ctx, tx, u.ID, in.App)
		if err != nil {
			return "", nil, err
		}
		i := slices.IndexFunc(have, func(a authn.Authenticator) bool { return a.ID == in.Authenticator })
		if i < 0 {
			return "", nil, fault.New(fault.NotFound, "no such authenticator")
		}
		a := have[i]
		s := authn.Subject{Tenant: c.tenant(), App: a.App, User: u.ID}
		return in.User, map[string]any{"authenticator": a.ID, "kind": string(a.Kind)}, fn(tx, s, a)
	})
}

// enrolled reports whether a user enrolled it, rather than having it by an address.
func enrolled(a authn.Authenticator) bool { return a.ID != string(a.Kind) }

type lockIn struct {
	InAuthenticator
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"300"`
	}
}

func lockAuthenticator(ctx context.Context, c *Call, in *lockIn) (*empty, error) {
	return nil, c.on(ctx, in.InAuthenticator, func(tx *db.Tx, s authn.Subject, a authn.Authenticator) error {
		if !enrolled(a) {
			s.Kind = a.Kind
			return authn.Lock(ctx, tx, s, in.Body.Reason)
		}
		return authn.Deactivate(ctx, tx, s, authn.CredentialID(a.ID), in.Body.Reason)
	})
}

func unlockAuthenticator(ctx context.Context, c *Call, in *InAuthenticator) (*empty, error) {
	return nil, c.on(ctx, *in, func(tx *db.Tx, s authn.Subject, a authn.Authenticator) error {
		if !enrolled(a) {
			s.Kind = a.Kind
			return authn.UnlockKind(ctx, tx, s, authn.Any)
		}
		return authn.Reactivate(ctx, tx, s, authn.CredentialID(a.ID))
	})
}

type renameIn struct {
	InAuthenticator
	Body struct {
		Label string `json:"label" minLength:"1" maxLength:"100"`
	}
}

func renameAuthenticator(ctx context.Context, c *Call, in *renameIn) (*empty, error) {
	return nil, c.on(ctx, in.InAuthenticator, func(tx *db.Tx, s authn.Subject, a authn.Authenticator) error {
		return authn.Rename(ctx, tx, s, authn.CredentialID(a.ID), in.Body.Label)
	})
}

type removeIn struct {
	InAuthenticator
	Force bool `query:"force" doc:"Also the last one that the user could sign in with."`
}

func removeAuthenticator(ctx context.Context, c *Call, in *removeIn) (*empty, error) {
	return nil, c.on(ctx, in.InAuthenticator, func(tx *db.Tx, s authn.Subject, a authn.Authenticator) error {
		return authn.Delete(ctx, tx, s, authn.CredentialID(a.ID), in.Force)
	})
}

type unlockIn struct {
	InUser
	Body struct {
		Kind string `json:"kind" maxLength:"64"`
		Type string `json:"type,omitempty" enum:"any,automatic,manual" default:"any"`
		App  string `json:"app,omitempty" maxLength:"100" doc:"Empty: in every application."`
	}
}

func unlockUser(ctx context.Context, c *Call, in *unlockIn) (*empty, error) {
	return nil, c.writeWith(ctx, func(tx *db.Tx) (string, map[string]any, error) {
		u, err := c.user(ctx, tx, in.User)
		if err != nil {
			return "", nil, err
		}
		all, err := c.inApps(ctx, tx, in.Body.App)
		for _, a := range all {
			if err == nil {
				err = authn.UnlockKind(ctx, tx, authn.Subject{Kind: authn.Kind(in.Body.Kind), Tenant: c.tenant(), App: a.ID, User: u.ID}, authn.How(in.Body.Type))
			}
		}
		return in.User, map[string]any{"kind": in.Body.Kind, "locks": in.Body.Type}, err
	})
}

// Action is what support can do for a user.
type Action struct {
	ID     string    `json:"id"`
	Title  string    `json:"title"`
	Text   string    `json:"text"`
	Form   form.Form `json:"form"`
	Danger bool      `json:"danger"`
}

// ActionDone is what it led to.
type ActionDone struct {
	Shown []ActionShown `json:"shown"`
	Text  string        `json:"text"`
}

// ActionShown is something to be told the user, shown this once.
type ActionShown struct {
	Label  string `json:"label"`
	Value  string `json:"value"`
	Secret bool   `json:"secret"`
	QR     string `json:"qr,omitempty" doc:"The value as a QR code, SVG."`
}

// oneApp is the application in which an action happens: the one that was named,
// or the tenant's only one.
func (c *Call) oneApp(ctx context.Context, q db.Q, app string) (apps.App, error) {
	all, err := c.inApps(ctx, q, app)
	if err == nil && len(all) != 1 {
		err = fault.New(fault.Invalid, "Say in which application: app is missing.")
	}
	if err != nil {
		return apps.App{}, err
	}
	return all[0], nil
}

// isOn reports whether a method is on in an application.
func isOn(ctx context.Context, q db.Q, app apps.ID, kind authn.Kind) (bool, error) {
	var nothing struct{}
	err := authn.Settings(ctx, q, app, kind, &nothing)
	if errors.Is(err, authn.Disabled) || fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

func listActions(ctx context.Context, c *Call, in *InUserApp) (*list[Action], error) {
	if _, err := c.user(ctx, c.Kit.DB, in.User); err != nil {
		return nil, err
	}
	all, err := c.inApps(ctx, c.Kit.DB, in.App)
	if err != nil {
		return nil, err
	}
	var out []Action
	for _, act := range backend.Acts() {
		for _, a := range all {
			on, err := isOn(ctx, c.Kit.DB, a.ID, act.Method)
			if err != nil {
				return nil, err
			}
			if on {
				out = append(out, Action{act.ID, act.Title, act.Text, orEmpty(act.Form), act.Danger})
				break
			}
		}
	}
	return items(out), nil
}

type actionIn struct {
	InUserApp
	Action string `path:"action" maxLength:"100"`
	Body   map[string]any
}

// act is recorded before it is done: what a method does, it does in transactions
// of its own.
func act(ctx context.Context, c *Call, in *actionIn) (*body[ActionDone], error) {
	what, err := backend.FindAct(in.Action)
	if err != nil {
		return nil, err
	}
	u, err := c.user(ctx, c.Kit.DB, in.User)
	if err != nil {
		return nil, err
	}
	a, err := c.oneApp(ctx, c.Kit.DB, in.App)
	if err != nil {
		return nil, err
	}
	if on, err := isOn(ctx, c.Kit.DB, a.ID, what.Method); err != nil || !on {
		return nil, errors.Join(err, authn.Disabled)
	}
	if err := misfits("body.", what.Form.Problems(in.Body)); err != nil {
		return nil, err
	}
	doc, err := what.Form.Check(in.Body)
	if err != nil {
		return nil, err
	}
	err = c.writeWith(ctx, func(*db.Tx) (string, map[string]any, error) {
		return in.User, map[string]any{"action": what.ID}, nil
	})
	if err != nil {
		return nil, err
	}
	x := &backend.Exec{Kit: c.Kit, App: a, Address: c.address(), Agent: c.r.UserAgent(), Values: func(string) string { return "" }}
	done, err := what.Run(ctx, x, u, doc)
	if err != nil {
		return nil, err
	}
	out := ActionDone{Text: done.Text, Shown: []ActionShown{}}
	for _, s := range done.Shown {
		out.Shown = append(out.Shown, ActionShown{s.Label, s.Value, s.Secret, s.QR})
	}
	return answer(out), nil
}
