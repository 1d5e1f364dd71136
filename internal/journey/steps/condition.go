package steps

import (
	"context"

	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[condition]{
		Kind: "condition", Title: "Condition", Category: "Flow",
		Words:    []string{"if", "else", "branch", "decide", "switch", "rule"},
		Doc:      "Goes one of two ways. Anything but a plain true or false is an error, never a way.",
		Config:   form.New(form.Boolean("if", "If", form.Required)),
		Outcomes: []journey.Outcome{"true", "false"},
		Run: func(_ context.Context, _ *journey.Exec, c condition) (journey.Next, error) {
			if c.If {
				return journey.Go("true"), nil
			}
			return journey.Go("false"), nil
		},
	})
}

type condition struct {
	If bool `json:"if"`
}
