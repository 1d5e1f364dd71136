package steps

import (
	"context"

	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[provideData]{
		Kind: "json_data", Title: "Provide JSON data", Category: "Data",
		Words:    []string{"output", "data", "return"},
		Doc:      "Hands data to the client with the next reply.",
		Config:   form.New(form.Object("data", "Data", form.Required)),
		Outcomes: []journey.Outcome{journey.Success},
		Run: func(_ context.Context, x *journey.Exec, c provideData) (journey.Next, error) {
			x.Output(c.Data)
			return journey.Go(journey.Success), nil
		},
	})
	journey.Register(journey.Step[provideData]{
		Kind: "sdk_data", Title: "Save data in SDK", Category: "Data",
		Words:    []string{"remember", "local storage", "cookie"},
		Doc:      "Has the client keep data for later journeys. The client holds it: never trust what comes back.",
		Config:   form.New(form.Object("data", "Data", form.Required)),
		Outcomes: []journey.Outcome{journey.Success},
		Run: func(_ context.Context, x *journey.Exec, c provideData) (journey.Next, error) {
			x.Save(c.Data)
			return journey.Go(journey.Success), nil
		},
	})
}

type provideData struct {
	Data map[string]any `json:"data"`
}
