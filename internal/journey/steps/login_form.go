package steps

import (
	"context"

	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[loginForm]{
		Kind: "login_form", Title: "Login form", Category: "Ask",
		Asks:  []string{"login_form"},
		Words: []string{"sign in", "log in", "username", "start"},
		Doc:   "Asks how somebody wants to sign in. Each method is a way out; what was typed is kept in a variable.",
		Config: form.New(
			form.Text("form_id", "Form id", form.Default("login")),
			form.Text("title", "Title"),
			form.Text("description", "Description"),
			form.Choices("methods", "Methods", methodNames(), form.Named, says(loginMethods), form.Help("Each becomes an outcome.")),
			escapeRows(), cancelField(), prefillField(),
			form.Object("app_data", "Data for the client"),
			form.Text("output", "Keep the answer as", form.Default("login")),
		),
		Role: journey.Identifies,
		More: func(doc map[string]any) []journey.Outcome {
			var out []journey.Outcome
			for _, m := range loginMethods {
				if chosen(doc["methods"], m.ID) {
					out = append(out, journey.Outcome(m.ID))
				}
			}
			return append(out, drawn(doc)...)
		},
		Run: runLoginForm,
	})
	for _, m := range loginMethods {
		var names []string
		for _, f := range m.Fields {
			names = append(names, f.Name)
		}
		journey.Brings(m.ID, names...)
	}
}

type loginForm struct {
	FormID      string         `json:"form_id"`
	Title       string         `json:"title"`
	Description string         `json:"description"`
	Methods     []string       `json:"methods"`
	Escapes     []escapeRow    `json:"escapes"`
	Cancel      bool           `json:"cancel"`
	Prefill     map[string]any `json:"prefill"`
	AppData     map[string]any `json:"app_data"`
	Output      string         `json:"output"`
}

// loginMethods are the escapes that the protocol names, with what each sends
// (mosaic-protocol 3.1).
var loginMethods = []journey.Option{
	{ID: "password", Label: "Password", Fields: form.New(form.Text("username", "Username", form.Required), form.Secret("password", "Password", form.Required))},
	{ID: "passkeys", Label: "Passkey", Fields: form.New(form.Text("webauthn_encoded_result", "Passkey result", form.Required, form.MaxLen(32<<10)))},
	{ID: "sms_otp", Label: "Text message", Fields: form.New(form.Text("phone", "Phone number", form.Required))},
	{ID: "email_otp", Label: "E-mail code", Fields: form.New(form.Email("email", "E-mail address", form.Required))},
	{ID: "totp", Label: "Authenticator app", Fields: form.New(form.Text("username", "Username", form.Required), form.Text("totp_code", "Code", form.Required))},
	{ID: "native_biometrics", Label: "Biometrics", Fields: form.New(form.Text("username", "Username", form.Required))},
	{ID: "web_to_mobile", Label: "Approve on your phone", Fields: form.New(form.Text("email", "E-mail address", form.Required))},
}

func methodNames() []string {
	var out []string
	for _, m := range loginMethods {
		out = append(out, m.ID)
	}
	return out
}

func chosen(list any, id string) bool {
	rows, _ := list.([]any)
	for _, row := range rows {
		if row == id {
			return true
		}
	}
	return false
}

func runLoginForm(_ context.Context, x *journey.Exec, c loginForm) (journey.Next, error) {
	if x.Answer == nil {
		return asked(x, journey.Prompt{
			Kind: "login_form", Form: c.FormID, Title: c.Title, Text: c.Description, Options: c.options(), Values: c.Prefill,
			Data: map[string]any{"app_data": c.AppData, "form_title": c.Title, "form_description": c.Description},
		}, c.Output), nil
	}
	x.Set(c.Output, said(x.Answer))
	return journey.Go(journey.Outcome(x.Answer.Option)), nil
}

func (c loginForm) options() []journey.Option {
	var out []journey.Option
	for _, m := range loginMethods {
		for _, id := range c.Methods {
			if m.ID == id {
				out = append(out, m)
			}
		}
	}
	return append(out, options(c.Escapes, c.Cancel)...)
}
