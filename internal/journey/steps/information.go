package steps

import (
	"context"

	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[information]{
		Kind: "information", Title: "Display information", Category: "Ask",
		Asks:  []string{"information"},
		Words: []string{"message", "text", "notice", "show"},
		Doc:   "Shows a text and goes on when it was read.",
		Config: form.New(
			form.Text("title", "Title"),
			form.Text("text", "Text", form.Required, form.Lines),
			form.Text("button", "Button", form.Default("Continue")),
		),
		Outcomes: []journey.Outcome{journey.Success},
		Run: func(_ context.Context, x *journey.Exec, c information) (journey.Next, error) {
			if x.Answer != nil {
				return journey.Go(journey.Success), nil
			}
			return journey.Ask(journey.Prompt{
				Kind: "information", Title: c.Title, Text: c.Text, Button: c.Button, Empty: true,
				Data: map[string]any{"title": c.Title, "text": c.Text, "button_text": c.Button},
			}, nil), nil
		},
	})
}

type information struct {
	Title  string `json:"title"`
	Text   string `json:"text"`
	Button string `json:"button"`
}
