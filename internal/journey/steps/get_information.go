package steps

import (
	"context"

	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[getInformation]{
		Kind: "get_information", Title: "Get information from client", Category: "Ask",
		Asks:  []string{"form"},
		Words: []string{"form", "ask", "fields", "input", "collect"},
		Doc:   "Asks the client for the fields of a form and keeps them in a variable.",
		Config: form.New(
			form.Text("form_id", "Form id", form.Required),
			form.Text("title", "Title"),
			form.Text("text", "Text"),
			fieldRows("fields", "Fields", form.Required),
			prefillField(),
			escapeRows(), cancelField(),
			form.Object("app_data", "Data for the client"),
			form.Text("output", "Keep the answer as", form.Default("form")),
		),
		Outcomes: []journey.Outcome{journey.Success},
		More:     drawn,
		Run:      runGetInformation,
	})
}

type getInformation struct {
	FormID  string         `json:"form_id"`
	Title   string         `json:"title"`
	Text    string         `json:"text"`
	Fields  []fieldRow     `json:"fields"`
	Escapes []escapeRow    `json:"escapes"`
	Prefill map[string]any `json:"prefill"`
	Cancel  bool           `json:"cancel"`
	AppData map[string]any `json:"app_data"`
	Output  string         `json:"output"`
}

func runGetInformation(_ context.Context, x *journey.Exec, c getInformation) (journey.Next, error) {
	if x.Answer == nil {
		return asked(x, journey.Prompt{
			Kind: "form", Form: c.FormID, Title: c.Title, Text: c.Text, Fields: fields(c.Fields), Values: c.Prefill, Options: options(c.Escapes, c.Cancel),
			Data: map[string]any{"app_data": c.AppData},
		}, c.Output), nil
	}
	x.Set(c.Output, said(x.Answer))
	if x.Answer.Option != "" {
		return journey.Go(journey.Outcome(x.Answer.Option)), nil
	}
	return journey.Go(journey.Success), nil
}
