package steps

import (
	"context"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[findUser]{
		Kind: "find_user", Title: "Find user", Category: "Users",
		Words: []string{"lookup", "search", "exists"},
		Doc:   "Finds the user who goes by a name. It proves nothing: the run is about that user, who is not signed in.",
		Config: form.New(
			form.Text("user", "User", form.Help("E-mail address, phone number, username, external id or user id.")),
			form.Text("output", "Keep the user's id as", form.Default("user_id")),
		),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Identifies,
		Run: func(ctx context.Context, x *journey.Exec, c findUser) (journey.Next, error) {
			if c.User == "" {
				return journey.Judge(x, fault.New(fault.NotFound, "no such user"))
			}
			u, err := x.User(ctx, c.User)
			if err != nil {
				return journey.Judge(x, err)
			}
			if err := x.About(u.ID); err != nil {
				return journey.Judge(x, err)
			}
			x.Set(c.Output, string(u.ID))
			return journey.Go(journey.Success), nil
		},
	})
}

type findUser struct {
	User   string `json:"user"`
	Output string `json:"output"`
}
