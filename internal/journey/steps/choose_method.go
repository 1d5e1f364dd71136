package steps

import (
	"context"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[chooseMethod]{
		Kind: "choose_method", Title: "Choose a method", Category: "Ask",
		Asks:  []string{"login_form"},
		Words: []string{"mfa", "2fa", "another way", "options"},
		Doc:   "Offers somebody the methods they have, of those drawn here. Somebody unknown is offered what somebody known might have, always the same. A second choice offers only what adds to what was proven.",
		Config: form.New(
			userField(),
			form.Text("title", "Title", form.Default("How do you want to sign in?")),
			form.Choices("methods", "Methods", choiceNames(), form.Named, says(choices), form.Help("Each becomes an outcome.")),
			form.Boolean("second", "Only what adds to what was proven", form.Default(false), form.Help("Adds the outcome none, for somebody who has nothing more.")),
			form.Text("output", "Keep the answer as", form.Default("how")),
		),
		Outcomes: []journey.Outcome{"back", journey.Cancel},
		Role:     journey.Identifies,
		More: func(doc map[string]any) []journey.Outcome {
			var out []journey.Outcome
			for _, name := range choiceNames() {
				if chosen(doc["methods"], name) {
					out = append(out, journey.Outcome(name))
				}
			}
			if on, _ := doc["second"].(bool); on {
				out = append(out, none)
			}
			return out
		},
		Run: runChooseMethod,
	})
}

const none journey.Outcome = "none"

type chooseMethod struct {
	User    string   `json:"user"`
	Title   string   `json:"title"`
	Methods []string `json:"methods"`
	Second  bool     `json:"second"`
	Output  string   `json:"output"`
}

// choices are the methods that can be offered, in the order of their strength,
// with what each asks for at once.
var choices = []journey.Option{
	{ID: "push", Label: "Approve on your phone"},
	{ID: "password", Label: "Password", Fields: form.New(form.Secret("password", "Password", form.Required))},
	{ID: "totp", Label: "Authenticator app", Fields: form.New(form.Text("totp_code", "Code from your authenticator app", form.Required, form.MaxLen(16)))},
	{ID: "email_otp", Label: "Code by e-mail"},
	{ID: "sms_otp", Label: "Code by text message"},
}

func choiceNames() []string {
	var out []string
	for _, c := range choices {
		out = append(out, c.ID)
	}
	return out
}

// says are what people read of options.
func says(options []journey.Option) form.Option {
	var pairs []string
	for _, o := range options {
		pairs = append(pairs, o.ID, o.Label)
	}
	return form.Read(pairs...)
}

func runChooseMethod(ctx context.Context, x *journey.Exec, c chooseMethod) (journey.Next, error) {
	have, err := c.have(ctx, x)
	if err != nil {
		return journey.Next{}, err
	}
	if x.Answer == nil {
		var options []journey.Option
		for _, o := range choices {
			if slices.Contains(c.Methods, o.ID) && slices.Contains(have, o.ID) && (!c.Second || authn.Adds(x.Proofs(), authn.Kind(o.ID))) {
				options = append(options, o)
			}
		}
		if c.Second && len(options) == 0 {
			return journey.Go(none), nil
		}
		if !c.Second {
			options = append(options, journey.Option{ID: "back", Label: "Somebody else"})
		}
		options = append(options, journey.Option{ID: "cancel", Label: "Cancel"})
		shown, err := c.shown(ctx, x)
		return asked(x, journey.Prompt{Kind: "login_form", Form: "choose_method", Title: c.Title, Text: shown, Options: options, Data: map[string]any{"username": shown}}, c.Output), err
	}
	x.Set(c.Output, said(x.Answer))
	return journey.Go(journey.Outcome(x.Answer.Option)), nil
}

// shown is whom somebody signs in as: what they typed or, once they are proven,
// what they go by.
func (c chooseMethod) shown(ctx context.Context, x *journey.Exec) (string, error) {
	if c.User != "" || x.Proven() == "" {
		return c.User, nil
	}
	ids, err := directory.Identifiers(ctx, x.Q, x.Proven())
	for _, i := range ids {
		if i.Kind != directory.External {
			return i.Shown, err
		}
	}
	return "", err
}

// have are the methods that a user can be offered.
func (c chooseMethod) have(ctx context.Context, x *journey.Exec) ([]string, error) {
	u, err := x.User(ctx, c.User)
	nobody := fault.Is(err, fault.NotFound) || err == nil && u.Status != directory.Active
	if nobody { // what is read for somebody is read
		u.ID, err = authn.NobodyID(x.Q, c.User), nil
	}
	if err != nil {
		return nil, err
	}
	list, err := authn.Authenticators(ctx, x.Q, x.Tenant(), x.App(), u.ID)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, a := range list {
		if a.Status != authn.SwitchedOff && a.Status != authn.Deactivated {
			out = append(out, string(a.Kind))
		}
	}
	phones, err := directory.Devices(ctx, x.Q, x.App(), u.ID)
	if len(phones) > 0 {
		out = append(out, "push")
	}
	if nobody {
		return decoys(x, c.User), err
	}
	return out, err
}

// decoys are what somebody unknown is offered: by a keyed hash of the name, so
// that it never changes and nobody can tell (security R31).
func decoys(x *journey.Exec, typed string) []string {
	h := x.Q.Vault().Hash("decoy_methods", string(x.App())+"/"+directory.NameKey(typed))
	var out []string
	if strings.Contains(typed, "@") {
		out = append(out, "email_otp")
	}
	if h[0]%4 != 0 || len(out) == 0 {
		out = append(out, "password")
	}
	if h[1]%2 == 0 {
		out = append(out, "push")
	}
	if h[2]%8 == 0 {
		out = append(out, "totp")
	}
	return out
}
