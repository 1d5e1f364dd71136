package steps

import (
	"context"

	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[setVariables]{
		Kind: "set_variables", Title: "Set variables", Category: "Data",
		Words: []string{"variable", "assign", "remember"},
		Doc:   "Keeps values under names for later nodes.",
		Config: form.New(form.List("variables", "Variables", form.New(
			form.Text("name", "Name", form.Required),
			form.Expr("value", "Value"),
		), form.Required, form.Between(1, 50))),
		Outcomes: []journey.Outcome{journey.Success},
		Run: func(_ context.Context, x *journey.Exec, c setVariables) (journey.Next, error) {
			for _, v := range c.Variables {
				x.Set(v.Name, v.Value)
			}
			return journey.Go(journey.Success), nil
		},
	})
}

type setVariables struct {
	Variables []struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	} `json:"variables"`
}
