package code

import (
	"cmp"
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/message"
)

func init() {
	ask("code.email", "E-mail OTP authentication", Email, false)
	ask("code.sms", "SMS OTP authentication", SMS, false)
	ask("code.verify_email", "E-mail validation", Email, true)
	ask("code.verify_phone", "Phone validation", SMS, true)
	journey.Register(journey.Step[genericConfig]{
		Kind: "code.generic", Title: "OTP authentication", Category: "Authenticate",
		Asks:     []string{"code.generic"},
		Words:    []string{"one-time code", "passcode", "mfa", "2fa"},
		Doc:      "Sends a code by mail or by text message, as the journey decides, and asks for it. Somebody unknown is asked in the same way and never right.",
		Config:   append(form.New(form.Choice("channel", "Channel", []string{"email", "sms"}, form.Required, form.Read("email", "E-mail", "sms", "Text message"))), asked(signIn)...),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure, journey.Cancel},
		Role:     journey.Proves,
		Run: func(ctx context.Context, x *journey.Exec, c genericConfig) (journey.Next, error) {
			return asking{x, config{c.User, c.To, c.Occasion, c.Language}, channels[c.Channel], "code.generic", false}.run(ctx)
		},
	})
	journey.Register(journey.Step[temporaryConfig]{
		Kind: "code.temporary", Title: "Temporary access code", Category: "Authenticate",
		Words:    []string{"helpdesk", "support", "recover"},
		Doc:      "Takes a code that support handed out.",
		Config:   form.New(userField(), form.Text("code", "Code", form.Required)),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure, "expired"},
		Role:     journey.Proves,
		Run:      temporary,
	})
}

func userField() form.Field {
	return form.Text("user", "User", form.Help("Empty: whom the journey is about."))
}

type config struct {
	User     string `json:"user"`
	To       string `json:"to"`
	Occasion string `json:"occasion"`
	Language string `json:"language"`
}

type genericConfig struct {
	Channel  string `json:"channel"`
	User     string `json:"user"`
	To       string `json:"to"`
	Occasion string `json:"occasion"`
	Language string `json:"language"`
}

// asked are the settings of a step that sends a code, usually for this occasion.
func asked(usual string) form.Form {
	return form.New(userField(),
		form.Text("to", "Address or number", form.Help("One of the user's; empty: their primary one.")),
		form.Choice("occasion", "Occasion", []string{usual, signUp}, form.Default(usual), form.Read(usual, occasionTitles[usual], signUp, occasionTitles[signUp]), form.Help("Which words the message has.")),
		form.Text("language", "Language", form.MaxLen(16), form.Help("Empty: the user's.")))
}

// The occasions of a code, as users know them.
const (
	signIn  = "sign_in"
	signUp  = "sign_up"
	confirm = "confirm"
)

var occasionTitles = map[string]string{signIn: "Signing in", signUp: "Signing up", confirm: "Confirming an address"}

// occasions are the messages by which codes are sent.
var occasions = map[string]string{signIn: message.LoginCode, signUp: message.SignupCode, confirm: message.VerifyCode}

type temporaryConfig struct {
	User string `json:"user"`
	Code string `json:"code"`
}

// ask registers a step that sends a code and asks for it. One that verifies
// proves nobody: it notes that an address of the user is theirs.
func ask(kind, title string, method authn.Kind, verifies bool) {
	usual := signIn
	if verifies {
		usual = confirm
	}
	s := journey.Step[config]{
		Kind: kind, Title: title, Category: "Authenticate",
		Asks:     []string{kind},
		Words:    []string{"one-time code", "passcode", "text message", "mfa", "2fa", "verify"},
		Doc:      "Sends a code and asks for it. Somebody unknown is asked in the same way and never right.",
		Config:   asked(usual),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure, journey.Cancel},
		Role:     journey.Proves,
		Run: func(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
			return asking{x, c, method, kind, verifies}.run(ctx)
		},
	}
	if verifies {
		s.Category, s.Role = "Users", 0
		s.Doc = "Sends a code to an address of the user and notes, when it comes back, that the address is theirs. It proves nobody."
	}
	journey.Register(s)
}

type asking struct {
	*journey.Exec
	c        config
	method   authn.Kind
	kind     string
	verifies bool
}

// memo is what the step remembers while it waits for a code.
type memo struct {
	User    directory.UserID `json:"user,omitempty"` // empty: nobody
	To      string           `json:"to,omitempty"`
	Resends int              `json:"resends"`
	Sent    time.Time        `json:"sent"`
	Length  int              `json:"length"`
	Told    *journey.Sent    `json:"told,omitempty"`
}

func (a asking) subject(u directory.UserID) authn.Subject {
	return authn.Subject{Kind: a.method, Tenant: a.Tenant(), App: a.App(), User: u}
}

func (a asking) prompt(m memo) journey.Prompt {
	return journey.Prompt{
		Kind: a.kind, Fields: form.New(form.Text("passcode", "Code", form.Required, form.MaxLen(16))), Resend: true, Options: []journey.Option{{ID: "cancel", Label: "Cancel"}}, Sent: m.Told,
		Data: map[string]any{"code_length": m.Length, "resend_attempts_left": m.Resends},
	}
}

func (a asking) run(ctx context.Context) (journey.Next, error) {
	var m memo
	if _, err := a.Memo(&m); err != nil {
		return journey.Next{}, err
	}
	switch {
	case a.Answer == nil:
		return a.begin(ctx)
	case a.Answer.Option == "cancel":
		return journey.Go(journey.Cancel), nil
	case a.Answer.Option == "resend":
		return a.resend(ctx, m)
	}
	typed, _ := a.Answer.Data["passcode"].(string)
	return a.judge(ctx, m, typed)
}

func (a asking) begin(ctx context.Context) (journey.Next, error) {
	var set settings
	if err := authn.Settings(ctx, a.Q, a.App(), a.method, &set); err != nil {
		return journey.Judge(a.Exec, err)
	}
	m := memo{Resends: set.ResendMax, Sent: a.Now(), Length: set.Length}
	u, err := a.User(ctx, a.c.User)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return journey.Judge(a.Exec, err)
	}
	if err == nil {
		if m.To, err = reach(ctx, a.Exec, u.ID, a.method, a.c.To); err == nil {
			m.User = u.ID
		} else if !fault.Is(err, fault.NotFound) {
			return journey.Judge(a.Exec, err)
		}
	}
	m.Told = a.SentTo(reaches(a.method), m.User, m.To, cmp.Or(a.c.To, a.c.User))
	if err := a.send(ctx, m); err != nil {
		return journey.Judge(a.Exec, err)
	}
	return journey.Ask(a.prompt(m), m), nil
}

// reaches is the kind of address that codes of a method go to.
func reaches(method authn.Kind) directory.IdentifierKind {
	if method == SMS {
		return directory.Phone
	}
	return directory.Email
}

// reach is the address of a user that a code goes to: the one named, which must
// be theirs, or the primary one. fault.NotFound if there is none.
func reach(ctx context.Context, x *journey.Exec, u directory.UserID, method authn.Kind, named string) (string, error) {
	want := reaches(method)
	ids, err := directory.Identifiers(ctx, x.Q, u)
	if err != nil {
		return "", err
	}
	value := ""
	if named != "" {
		if value, err = directory.Normalise(want, named); err != nil {
			return "", fault.New(fault.NotFound, "no such address")
		}
	}
	for _, i := range ids {
		if i.Kind == want && (named == "" && i.Primary || named != "" && i.Value == value) {
			return i.Value, nil
		}
	}
	return "", fault.New(fault.NotFound, "no such address")
}

func (a asking) send(ctx context.Context, m memo) error {
	n := Note{App: apps.App{ID: a.App(), Tenant: a.Tenant(), Name: a.AppName()}, Client: a.Client(), Name: occasions[a.c.Occasion], To: m.To, Language: a.c.Language}
	if m.User == "" {
		return Nobody(ctx, a.Tx, a.subject(""), cmp.Or(a.c.User, string(a.Run())), n)
	}
	_, err := Send(ctx, a.Tx, a.subject(m.User), n)
	return err
}

func (a asking) resend(ctx context.Context, m memo) (journey.Next, error) {
	var set settings
	if err := authn.Settings(ctx, a.Q, a.App(), a.method, &set); err != nil {
		return journey.Judge(a.Exec, err)
	}
	wait := m.Sent.Add(time.Duration(set.ResendSeconds) * time.Second).Sub(a.Now())
	switch {
	case m.Resends == 0:
		return journey.Ask(a.prompt(m), nil).Because(fault.New(fault.Limited, "It cannot be sent again.")), nil
	case wait > 0:
		return journey.Ask(a.prompt(m), nil).Because(fault.New(fault.Limited, "Wait a moment before sending it again.").After(wait)), nil
	}
	m.Resends, m.Sent = m.Resends-1, a.Now()
	if err := a.send(ctx, m); err != nil {
		return journey.Judge(a.Exec, err)
	}
	return journey.Ask(a.prompt(m), m), nil
}

func (a asking) judge(ctx context.Context, m memo, typed string) (journey.Next, error) {
	if m.User == "" {
		return a.refused(authn.Stranger(ctx, a.Tx, a.method, a.Tenant(), a.App(), a.c.User), m)
	}
	p, _, err := Verify(ctx, a.Tx, a.subject(m.User), Typed{Code: typed, Client: a.Client()})
	if err != nil {
		return a.refused(err, m)
	}
	kind := reaches(a.method)
	if err := directory.Verify(ctx, a.Tx, a.Tenant(), m.User, kind, m.To); err != nil { // who reads what is sent there has shown that it is theirs
		return journey.Judge(a.Exec, err)
	}
	if a.verifies {
		a.Enrolled(authn.AddressID(kind, m.To))
		return journey.Go(journey.Success), a.Audit(ctx, "user.address_verified", "", map[string]any{"channel": string(a.method)})
	}
	return journey.Judge(a.Exec, a.Prove(p))
}

// refused asks again after a wrong code; the lock bounds how often.
func (a asking) refused(err error, m memo) (journey.Next, error) {
	if fault.Is(err, fault.Wrong) || fault.Is(err, fault.Expired) {
		return journey.Ask(a.prompt(m), nil).Because(err), nil
	}
	return journey.Judge(a.Exec, err)
}

func temporary(ctx context.Context, x *journey.Exec, c temporaryConfig) (journey.Next, error) {
	u, err := x.User(ctx, c.User)
	if err != nil {
		return journey.Judge(x, authn.Unknown(ctx, x.Tx, err, Direct, x.Tenant(), x.App(), c.User))
	}
	p, _, err := Verify(ctx, x.Tx, authn.Subject{Kind: Direct, Tenant: x.Tenant(), App: x.App(), User: u.ID}, Typed{Code: c.Code, Client: x.Client()})
	if fault.Is(err, fault.Expired) {
		x.Fail(err)
		return journey.Go("expired"), nil
	}
	if err == nil {
		err = x.Prove(p)
	}
	return journey.Judge(x, err)
}
