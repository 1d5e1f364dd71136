package password

import (
	"context"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	user := form.Text("user", "User", form.Help("Empty: whom the journey is about."))
	given := form.Secret("password", "Password", form.Help("What was typed, such as login.password; empty: the step asks."))
	journey.Register(journey.Step[config]{
		Kind: "password.authenticate", Title: "Password authentication", Category: "Authenticate",
		Asks:  []string{"password", "password.replace"},
		Words: []string{"pwd", "secret"},
		Doc:   "Judges a password. One that is temporary or has expired proves nobody until it was replaced, which this step asks for.",
		Config: form.New(user, given,
			form.Boolean("replace", "Have it replaced when it must be", form.Default(true), form.Help("When off, such a password leads to password_expired."))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure, "password_expired"},
		Role:     journey.Proves,
		Prepare:  prepareAuthenticate,
		Run:      authenticate,
	})
	journey.Register(journey.Step[registerConfig]{
		Kind: "password.register", Title: "Register password", Category: "Enrol",
		Asks:     []string{"password.register"},
		Words:    []string{"pwd", "new password"},
		Doc:      "Sets a password for the user, or another one. A user who has something to prove with must have proven it in this run.",
		Config:   form.New(user, given),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Enrols,
		Prepare:  prepareRegister,
		Run: func(ctx context.Context, x *journey.Exec, c registerConfig) (journey.Next, error) {
			return register(ctx, x, c, false)
		},
	})
	journey.Register(journey.Step[registerConfig]{
		Kind: "password.temporary", Title: "Register temporary password", Category: "Enrol",
		Asks:     []string{"password.register"},
		Doc:      "Sets a password that somebody else chose: it is good for the hours that the settings say, and only to be replaced.",
		Config:   form.New(user, form.Secret("password", "Password", form.Required)),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Enrols,
		Prepare:  prepareRegister,
		Run: func(ctx context.Context, x *journey.Exec, c registerConfig) (journey.Next, error) {
			return register(ctx, x, c, true)
		},
	})
}

type config struct {
	User     string `json:"user"`
	Password string `json:"password"`
	Replace  bool   `json:"replace"`
}

type registerConfig struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// memo is what the step remembers while a password is replaced: whose old
// password was found right in this visit.
type memo struct {
	Replacing directory.UserID `json:"replacing,omitempty"`
	Was       string           `json:"was,omitempty"` // the hash of that password: no other may be replaced
}

var (
	asks     = form.New(form.Secret("password", "Password", form.Required, form.MaxLen(1024)))
	replaces = form.New(form.Secret("new_password", "New password", form.Required, form.MaxLen(1024)))
)

func text(a *journey.Answer, name string) string { s, _ := a.Data[name].(string); return s }

func appOf(x *journey.Exec) apps.App {
	return apps.App{ID: x.App(), Tenant: x.Tenant(), Name: x.AppName()}
}

// fresh is a new password that was prepared, or why it may not be set.
type fresh struct {
	Fresh
	refused error
}

// prepareFresh keeps a refusal for Run and returns an outage.
func prepareFresh(ctx context.Context, x *journey.Exec, u directory.User, password string) (any, error) {
	f, err := Prepare(ctx, x.DB(), appOf(x), u, password, false)
	if outage(err) {
		return nil, err
	}
	return fresh{f, err}, nil
}

func prepareAuthenticate(ctx context.Context, x *journey.Exec, c config) (any, error) {
	var m memo
	if _, err := x.Memo(&m); err != nil {
		return nil, err
	}
	if m.Replacing != "" && x.Answer != nil {
		u, err := directory.Find(ctx, x.Q, x.Tenant(), m.Replacing)
		if err != nil {
			return fresh{refused: err}, nil
		}
		return prepareFresh(ctx, x, u, text(x.Answer, "new_password"))
	}
	password := c.Password
	if x.Answer != nil {
		password = text(x.Answer, "password")
	}
	if password == "" {
		return nil, nil
	}
	u, err := x.User(ctx, c.User)
	return Check(ctx, x.DB(), authn.Subject{Tenant: x.Tenant(), App: x.App(), User: u.ID}, err, c.User, password)
}

func authenticate(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
	switch done := x.Prepared.(type) {
	case fresh:
		return replaced(ctx, x, done)
	case Checked:
		p, state, err := done.Settle(ctx, x.Tx)
		switch {
		case err == nil && state == Good:
			return journey.Judge(x, x.Prove(p))
		case err == nil && !c.Replace:
			x.FailAs("password_"+string(state), "The password must be replaced.")
			return journey.Go("password_expired"), nil
		case err == nil:
			why := fault.New(fault.Expired, "This password must be replaced. Choose a new one.")
			return journey.Ask(journey.Prompt{Kind: "password.replace", Title: "Choose a new password", Fields: replaces}, memo{done.cred.Subject.User, done.cred.Data.Hash}).Because(why), nil
		case fault.Is(err, fault.Wrong) && x.Answer != nil:
			return journey.Ask(journey.Prompt{Kind: "password", Title: "Password", Fields: asks}, nil).Because(err), nil
		}
		return journey.Judge(x, err)
	}
	return journey.Ask(journey.Prompt{Kind: "password", Title: "Password", Fields: asks}, nil), nil
}

// replaced sets the new password of somebody whose old one was right.
func replaced(ctx context.Context, x *journey.Exec, f fresh) (journey.Next, error) {
	var m memo
	if _, err := x.Memo(&m); err != nil {
		return journey.Next{}, err
	}
	ask := journey.Prompt{Kind: "password.replace", Title: "Choose a new password", Fields: replaces}
	if fault.Is(f.refused, fault.Invalid) {
		return journey.Ask(ask, m).Because(f.refused), nil
	}
	if f.refused != nil {
		return journey.Judge(x, f.refused)
	}
	s := authn.Subject{Kind: Kind, Tenant: x.Tenant(), App: x.App(), User: m.Replacing}
	id, err := renew(ctx, x.Tx, s, m.Was, f.Fresh)
	if err != nil {
		return journey.Judge(x, err)
	}
	p, err := proven(ctx, x.Tx, s, id)
	if err == nil {
		err = x.Prove(p)
	}
	if err != nil {
		return journey.Judge(x, err)
	}
	return journey.Go(journey.Success), x.Audit(ctx, "password.changed", "", nil)
}

func prepareRegister(ctx context.Context, x *journey.Exec, c registerConfig) (any, error) {
	password := c.Password
	if x.Answer != nil {
		password = text(x.Answer, "new_password")
	}
	if password == "" {
		return nil, nil
	}
	u, err := x.User(ctx, c.User)
	if err != nil {
		return fresh{refused: err}, nil
	}
	return prepareFresh(ctx, x, u, password)
}

func register(ctx context.Context, x *journey.Exec, c registerConfig, temporary bool) (journey.Next, error) {
	ask := journey.Prompt{Kind: "password.register", Title: "Choose a password", Fields: replaces}
	f, ok := x.Prepared.(fresh)
	if !ok {
		return journey.Ask(ask, nil), nil
	}
	if fault.Is(f.refused, fault.Invalid) && x.Answer != nil {
		return journey.Ask(ask, nil).Because(f.refused), nil
	}
	u, err := x.User(ctx, c.User)
	if err == nil {
		err = f.refused
	}
	if err == nil {
		err = x.MayEnrol(ctx, u.ID)
	}
	if err != nil {
		return journey.Judge(x, err)
	}
	s := authn.Subject{Kind: Kind, Tenant: x.Tenant(), App: x.App(), User: u.ID}
	id, err := Set(ctx, x.Tx, s, f.Fresh, temporary, false)
	if err != nil {
		return journey.Judge(x, err)
	}
	x.Enrolled(string(id))
	return journey.Go(journey.Success), x.Audit(ctx, "authenticator.registered", "", map[string]any{"kind": string(Kind), "temporary": temporary})
}
