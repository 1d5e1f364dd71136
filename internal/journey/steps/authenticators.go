package steps

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[listed]{
		Kind: "authenticators.list", Title: "User authenticators API", Category: "Users",
		Doc: "Lists what can prove a user, for later nodes: id, type, label, status. It is for the author's branches and forms; show it to nobody who has not proven to be this user.",
		Config: form.New(userField(),
			form.Text("type", "Only this type", form.Help("Such as totp or passkey; empty: every type.")),
			form.Text("output", "Keep the list as", form.Default("authenticators"))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run:      runListed,
	})
	change("authenticators.lock", "Lock authenticator", "Locks one authenticator of the user until it is unlocked.",
		func(ctx context.Context, x *journey.Exec, s authn.Subject, c changed) error {
			return authn.Deactivate(ctx, x.Tx, s, authn.CredentialID(c.ID), "journey")
		})
	change("authenticators.unlock", "Unlock authenticator", "Unlocks one authenticator of the user and clears its count.",
		func(ctx context.Context, x *journey.Exec, s authn.Subject, c changed) error {
			return authn.Reactivate(ctx, x.Tx, s, authn.CredentialID(c.ID))
		})
	change("authenticators.revoke", "Revoke authenticator", "Deletes one authenticator of the user. The last one that is left stays.",
		func(ctx context.Context, x *journey.Exec, s authn.Subject, c changed) error {
			return authn.Delete(ctx, x.Tx, s, authn.CredentialID(c.ID), false)
		})
	journey.Register(journey.Step[renamed]{
		Kind: "authenticators.rename", Title: "Rename authenticator", Category: "Users",
		Doc:      "Gives one authenticator of the user another label. The user must have been proven in this run.",
		Config:   form.New(userField(), idField(), form.Text("label", "Label", form.Required, form.MaxLen(400))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run: func(ctx context.Context, x *journey.Exec, c renamed) (journey.Next, error) {
			s, err := own(ctx, x, c.User)
			if err == nil {
				err = authn.Rename(ctx, x.Tx, s, authn.CredentialID(c.ID), c.Label)
			}
			return journey.Judge(x, err)
		},
	})
	journey.Register(journey.Step[unlockedType]{
		Kind: "authenticators.unlock_type", Title: "Unlock authenticators by type", Category: "Users",
		Doc: "Clears the locks of every authenticator of a type, as far as an unlock of that type reaches. The user must have been proven in this run, by something else.",
		Config: form.New(userField(),
			form.Text("type", "Type", form.Required),
			form.Choice("unlock_type", "Locks to clear", []string{"any", "automatic", "manual"}, form.Default("automatic"), form.Read("any", "All of them", "automatic", "Those that failures set", "manual", "Those that people set"))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run: func(ctx context.Context, x *journey.Exec, c unlockedType) (journey.Next, error) {
			s, err := own(ctx, x, c.User)
			if err == nil {
				s.Kind = authn.Kind(c.Type)
				err = authn.UnlockKind(ctx, x.Tx, s, authn.How(c.How))
			}
			return journey.Judge(x, err)
		},
	})
	journey.Register(journey.Step[isAuthenticated]{
		Kind: "is_authenticated", Title: "Is user authenticated", Category: "Users",
		Words:    []string{"signed in", "proven"},
		Doc:      "Goes by yes if this run has a proof of the user.",
		Config:   form.New(userField()),
		Outcomes: []journey.Outcome{"yes", "no"},
		Run: func(ctx context.Context, x *journey.Exec, c isAuthenticated) (journey.Next, error) {
			u, err := x.User(ctx, c.User)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return journey.Next{}, err
			}
			if err == nil && x.Proven() == u.ID {
				return journey.Go("yes"), nil
			}
			return journey.Go("no"), nil
		},
	})
}

func userField() form.Field {
	return form.Text("user", "User", form.Help("Empty: whom the journey is about."))
}

func idField() form.Field {
	return form.Text("id", "Authenticator", form.Required, form.Help("An id from the list of authenticators."))
}

type renamed struct {
	User  string `json:"user"`
	ID    string `json:"id"`
	Label string `json:"label"`
}

type listed struct {
	User   string `json:"user"`
	Type   string `json:"type"`
	Output string `json:"output"`
}

type changed struct {
	User string `json:"user"`
	ID   string `json:"id"`
}

type unlockedType struct {
	User string `json:"user"`
	Type string `json:"type"`
	How  string `json:"unlock_type"`
}

type isAuthenticated struct {
	User string `json:"user"`
}

func runListed(ctx context.Context, x *journey.Exec, c listed) (journey.Next, error) {
	u, err := x.User(ctx, c.User)
	if err != nil {
		return journey.Judge(x, err)
	}
	all, err := authn.Authenticators(ctx, x.Q, x.Tenant(), x.App(), u.ID)
	if err != nil {
		return journey.Next{}, err
	}
	out := []any{}
	for _, a := range all {
		if c.Type == "" || c.Type == string(a.Kind) {
			out = append(out, map[string]any{"id": a.ID, "type": string(a.Kind), "label": a.Label, "status": a.Word(), "usable": a.Status == authn.Usable,
				"created_at": a.CreatedAt.UTC().Format(time.RFC3339)})
		}
	}
	x.Set(c.Output, out)
	return journey.Go(journey.Success), nil
}

// change registers a step that does something to one authenticator of the
// proven user.
func change(kind, title, doc string, fn func(ctx context.Context, x *journey.Exec, s authn.Subject, c changed) error) {
	journey.Register(journey.Step[changed]{
		Kind: kind, Title: title, Category: "Users", Doc: doc + " The user must have been proven in this run.",
		Config:   form.New(userField(), idField()),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run: func(ctx context.Context, x *journey.Exec, c changed) (journey.Next, error) {
			s, err := own(ctx, x, c.User)
			if err == nil {
				err = fn(ctx, x, s, c)
			}
			return journey.Judge(x, err)
		},
	})
}

// own is the subject of a user who was proven in this run; fault.Denied
// otherwise.
func own(ctx context.Context, x *journey.Exec, typed string) (authn.Subject, error) {
	u, err := x.User(ctx, typed)
	if err == nil && x.Proven() != u.ID {
		err = errNotProven
	}
	return authn.Subject{Tenant: x.Tenant(), App: x.App(), User: u.ID}, err
}

var errNotProven = fault.New(fault.Denied, "Prove who you are first.")
