package steps

import (
	"context"

	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[complete]{
		Kind: "complete", Title: "Complete journey", Category: "End",
		Words:  []string{"success", "finish", "end", "allow", "token"},
		Doc:    "Ends the journey well. Whoever was proven is signed in; if nobody was, the end is a registration and signs nobody in.",
		Config: form.New(form.Object("claims", "Claims for the token")),
		Role:   journey.Terminal | journey.Accepts,
		Run: func(_ context.Context, x *journey.Exec, c complete) (journey.Next, error) {
			for name, v := range c.Claims {
				x.Claim(name, v)
			}
			return journey.Accept(), nil
		},
	})
	journey.Register(journey.Step[reject]{
		Kind: "reject", Title: "Reject access", Category: "End",
		Words: []string{"deny", "fail", "end", "stop", "refuse"},
		Doc:   "Ends the journey without access.",
		Config: form.New(
			form.Text("reason", "Reason", form.Default("access_rejected"), form.Help("A word for programs.")),
			form.Text("message", "Message", form.Default("Access was not granted.")),
			form.Object("failure_data", "Data for the client"),
		),
		Role: journey.Terminal,
		Run: func(_ context.Context, _ *journey.Exec, c reject) (journey.Next, error) {
			return journey.Reject(c.Reason, c.Message, c.Failure), nil
		},
	})
}

type complete struct {
	Claims map[string]any `json:"claims"`
}

type reject struct {
	Reason  string         `json:"reason"`
	Message string         `json:"message"`
	Failure map[string]any `json:"failure_data"`
}
