package steps

import (
	"context"

	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[createUser]{
		Kind: "create_user", Title: "Create user", Category: "Users",
		Words: []string{"sign up", "register", "new account"},
		Doc:   "Creates a user with the names given, none of them verified. The run is about this user from here on.",
		Config: form.New(
			form.Text("email", "E-mail address"),
			form.Text("phone_number", "Phone number"),
			form.Text("username", "Username"),
			form.Text("external_user_id", "External user id"),
			form.Object("custom", "Custom data"),
			form.Text("output", "Keep the user's id as", form.Default("user_id")),
		),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure, "exists"},
		Role:     journey.Enrols,
		Run:      runCreateUser,
	})
}

type createUser struct {
	Email    string         `json:"email"`
	Phone    string         `json:"phone_number"`
	Username string         `json:"username"`
	External string         `json:"external_user_id"`
	Custom   map[string]any `json:"custom"`
	Output   string         `json:"output"`
}

func runCreateUser(ctx context.Context, x *journey.Exec, c createUser) (journey.Next, error) {
	if x.Proven() != "" || x.Bound() != "" { // else somebody would exist whom the run cannot be about
		return journey.Judge(x, fault.New(fault.Denied, "Somebody else is signing in here."))
	}
	n := directory.NewUser{Email: c.Email, Phone: c.Phone, Username: c.Username, ExternalID: c.External, Custom: c.Custom}
	taken, err := directory.Taken(ctx, x.Tx, x.Tenant(), n)
	if err != nil {
		return journey.Judge(x, err)
	}
	if taken != "" {
		x.FailAs("user_already_exists", "Somebody already goes by that name.")
		return journey.Go("exists"), nil
	}
	id, err := directory.Create(ctx, x.Tx, x.Tenant(), n)
	if err != nil {
		return journey.Next{}, err
	}
	if err := x.About(id); err != nil {
		return journey.Judge(x, err)
	}
	x.Set(c.Output, string(id))
	return journey.Go(journey.Success), x.Audit(ctx, "user.created", "", nil)
}
