package steps

import (
	"context"

	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	changeName("email.register", "Register e-mail address", directory.Email, addContact)
	changeName("email.deregister", "Deregister e-mail address", directory.Email, removeContact)
	changeName("phone.register", "Register phone number", directory.Phone, addContact)
	changeName("phone.deregister", "Deregister phone number", directory.Phone, removeContact)
	listNames("user.emails", "Get user e-mail addresses", directory.Email)
	listNames("user.phones", "Get user phone numbers", directory.Phone)
	listNames("user.identifiers", "Get user identifiers", "")
	journey.Register(journey.Step[read]{
		Kind: "user.custom_data", Title: "Read custom user data", Category: "Users",
		Doc:      "Reads the custom data of the user for later nodes.",
		Config:   form.New(userField(), form.Text("output", "Keep it as", form.Default("custom_data"))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run: func(ctx context.Context, x *journey.Exec, c read) (journey.Next, error) {
			u, err := x.User(ctx, c.User)
			if err == nil {
				x.Set(c.Output, u.Custom)
			}
			return journey.Judge(x, err)
		},
	})
	journey.Register(journey.Step[writeCustom]{
		Kind: "user.set_custom_data", Title: "Write custom user data", Category: "Users",
		Doc:      "Sets top-level members of the user's custom data. The user must have been proven in this run, or created by it.",
		Config:   form.New(userField(), form.Object("data", "Data", form.Required)),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run: func(ctx context.Context, x *journey.Exec, c writeCustom) (journey.Next, error) {
			u, err := x.User(ctx, c.User)
			if err == nil {
				err = x.MayEnrol(ctx, u.ID)
			}
			if err == nil {
				err = directory.MergeCustom(ctx, x.Tx, x.Tenant(), u.ID, c.Data)
			}
			return journey.Judge(x, err)
		},
	})
}

type contact struct {
	User  string `json:"user"`
	Value string `json:"value"`
}

type read struct {
	User   string `json:"user"`
	Output string `json:"output"`
}

type writeCustom struct {
	User string         `json:"user"`
	Data map[string]any `json:"data"`
}

// listNames registers a step that reads the names of one kind, or all where of is
// empty.
func listNames(kind, title string, of directory.IdentifierKind) {
	journey.Register(journey.Step[read]{
		Kind: kind, Title: title, Category: "Users",
		Doc:      "Reads the names of the user for later nodes. Show them to nobody who has not proven to be this user.",
		Config:   form.New(userField(), form.Text("output", "Keep them as", form.Default("identifiers"))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run: func(ctx context.Context, x *journey.Exec, c read) (journey.Next, error) {
			return readNames(ctx, x, c, of)
		},
	})
}

// changeName registers a step that gives a proven user a name of one kind, or takes
// one.
func changeName(kind, title string, of directory.IdentifierKind, run func(ctx context.Context, x *journey.Exec, u directory.UserID, of directory.IdentifierKind, value string) error) {
	journey.Register(journey.Step[contact]{
		Kind: kind, Title: title, Category: "Users",
		Doc:      "Changes how the user is reached and found. The user must have been proven in this run. A new name is unverified until a code that was sent to it comes back.",
		Config:   form.New(userField(), form.Text("value", "Address or number", form.Required)),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run: func(ctx context.Context, x *journey.Exec, c contact) (journey.Next, error) {
			s, err := own(ctx, x, c.User)
			if err == nil {
				err = run(ctx, x, s.User, of, c.Value)
			}
			if err != nil {
				return journey.Judge(x, err)
			}
			return journey.Go(journey.Success), x.Audit(ctx, "user.contact_changed", "", map[string]any{"step": kind})
		},
	})
}

func addContact(ctx context.Context, x *journey.Exec, u directory.UserID, of directory.IdentifierKind, value string) error {
	n := directory.NewUser{Email: value}
	if of == directory.Phone {
		n = directory.NewUser{Phone: value}
	}
	taken, err := directory.Taken(ctx, x.Tx, x.Tenant(), n)
	if err == nil && taken != "" {
		err = fault.New(fault.Conflict, "Somebody already goes by that name.")
	}
	if err != nil {
		return err
	}
	return directory.AddIdentifier(ctx, x.Tx, x.Tenant(), u, of, value)
}

func removeContact(ctx context.Context, x *journey.Exec, u directory.UserID, of directory.IdentifierKind, value string) error {
	return directory.RemoveIdentifier(ctx, x.Tx, x.Tenant(), u, of, value)
}

func readNames(ctx context.Context, x *journey.Exec, c read, kind directory.IdentifierKind) (journey.Next, error) {
	u, err := x.User(ctx, c.User)
	if err != nil {
		return journey.Judge(x, err)
	}
	ids, err := directory.Identifiers(ctx, x.Q, u.ID)
	if err != nil {
		return journey.Next{}, err
	}
	out := []any{map[string]any{"type": "user_id", "value": string(u.ID), "verified": true, "primary": true}}
	if kind != "" {
		out = nil
	}
	for _, i := range ids {
		if kind == "" || kind == i.Kind {
			out = append(out, map[string]any{"type": string(i.Kind), "value": i.Shown, "verified": !i.VerifiedAt.IsZero(), "primary": i.Primary})
		}
	}
	x.Set(c.Output, out)
	return journey.Go(journey.Success), nil
}
