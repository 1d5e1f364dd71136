package steps

import (
	"cmp"
	"context"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[subJourney]{
		Kind: "sub_journey", Title: "Sub-journey", Category: "Flow",
		Words: []string{"call", "reuse", "fragment", "block"},
		Doc:   "Runs another journey and comes back. It sees the input as \"input\"; what it sets as \"output\" is kept.",
		Config: form.New(
			form.Journey("journey", "Journey", string(journey.KindSub), form.Required),
			form.Object("input", "Input"),
			form.Text("output", "Keep the output as"),
		),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run: func(_ context.Context, x *journey.Exec, c subJourney) (journey.Next, error) {
			o, reason, done := x.Returned()
			if !done {
				return journey.Call(c.Journey, c.Input, c.Output), nil
			}
			if o != journey.Success {
				x.Fail(fault.New(fault.Denied, "%s", cmp.Or(reason, "rejected")))
			}
			return journey.Go(o), nil
		},
	})
}

type subJourney struct {
	Journey string         `json:"journey"`
	Input   map[string]any `json:"input"`
	Output  string         `json:"output"`
}
