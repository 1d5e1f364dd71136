package password

import (
	"cmp"
	"context"

	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	user := form.Text("user", "User", form.Help("Empty: whom the journey is about."))
	journey.Register(journey.Step[requestConfig]{
		Kind: "password.reset_request", Title: "Send a password reset", Category: "Authenticate",
		Words: []string{"forgot", "recover"},
		Doc:   "Sends a code that lets its reader choose another password. Somebody unknown, or without a password, gets none and the journey goes on all the same.",
		Config: form.New(user,
			form.Choice("channel", "Sent by", []string{"email", "sms", "link"}, form.Default("email"), form.Read("email", "E-mail with a code", "sms", "Text message with a code", "link", "E-mail with a link"), form.Help("link: a mail with a link to a page of this server, where the password is chosen.")),
			form.Text("language", "Language", form.MaxLen(16))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run:      request,
	})
	journey.Register(journey.Step[resetConfig]{
		Kind: "password.reset", Title: "Reset password", Category: "Enrol",
		Asks:     []string{"password.reset"},
		Words:    []string{"forgot", "recover"},
		Doc:      "Takes the code that was sent and a new password. It proves nobody and lets nobody enrol more: who reset a password signs in with it next.",
		Config:   form.New(user, form.Text("code", "Code", form.Help("Empty: the step asks.")), form.Secret("password", "New password", form.Help("Empty: the step asks."))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Enrols,
		Prepare:  prepareReset,
		Run:      resets,
	})
}

type requestConfig struct {
	User     string `json:"user"`
	Channel  string `json:"channel"`
	Language string `json:"language"`
}

type resetConfig struct {
	User     string `json:"user"`
	Code     string `json:"code"`
	Password string `json:"password"`
}

func request(ctx context.Context, x *journey.Exec, c requestConfig) (journey.Next, error) {
	u, err := x.User(ctx, c.User)
	a := Asked{App: appOf(x), Typed: c.User, Via: channels[c.Channel], Language: c.Language}
	if c.Channel == "link" {
		a.Via, a.Base = directory.Email, x.URL
	}
	return journey.Judge(x, SendReset(ctx, x.Tx, u, err, a))
}

// handedIn is the code and the password of this visit, configured or typed.
func handedIn(x *journey.Exec, c resetConfig) (code, password string) {
	code, password = c.Code, c.Password
	if x.Answer != nil && code == "" {
		code = text(x.Answer, "passcode")
	}
	if x.Answer != nil && password == "" {
		password = text(x.Answer, "new_password")
	}
	return code, password
}

func prepareReset(ctx context.Context, x *journey.Exec, c resetConfig) (any, error) {
	code, password := handedIn(x, c)
	if code == "" || password == "" {
		return nil, nil
	}
	u, err := x.User(ctx, c.User)
	return Redeem(ctx, x.DB(), appOf(x), u, err, Given{Typed: c.User, Password: password, Proofs: x.Proofs()}.WithCode(code))
}

func resets(ctx context.Context, x *journey.Exec, c resetConfig) (journey.Next, error) {
	ask := journey.Ask(journey.Prompt{Kind: "password.reset", Title: "Choose a new password", Text: "We have sent you a code.", Fields: resetFields(c),
		Sent: cmp.Or(x.SentTo(directory.Email, "", "", c.User), x.SentTo(directory.Phone, "", "", c.User))}, nil)
	r, ok := x.Prepared.(Redemption)
	if !ok {
		return ask, nil
	}
	_, err := r.Settle(ctx, x.Tx)
	switch {
	case x.Answer != nil && (fault.Is(err, fault.Wrong) || fault.Is(err, fault.Invalid)):
		return ask.Because(err), nil
	case err != nil:
		return journey.Judge(x, err)
	}
	return journey.Go(journey.Success), x.Audit(ctx, "password.reset", "", map[string]any{"user": string(r.subject.User)})
}

// resetFields are what the configuration leaves to ask.
func resetFields(c resetConfig) form.Form {
	var out form.Form
	if c.Code == "" {
		out = append(out, form.Text("passcode", "Code", form.Required, form.MaxLen(16)))
	}
	if c.Password == "" {
		out = append(out, form.Secret("new_password", "New password", form.Required, form.MaxLen(1024)))
	}
	return out
}
