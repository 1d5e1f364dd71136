package passkey

import (
	"context"
	"slices"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

type (
	registerConfig struct {
		User          string `json:"user"`
		Shown         string `json:"display_name"`
		Discoverable  bool   `json:"register_as_discoverable"`
		CrossPlatform bool   `json:"allow_cross_platform_authenticators"`
	}
	authenticateConfig struct {
		User   string `json:"user"`
		Result string `json:"result"`
	}
	signConfig struct {
		User string         `json:"user"`
		Data map[string]any `json:"approval_data"`
	}
)

func init() {
	user := form.Text("user", "User", form.Help("Empty: whom the journey is about."))
	journey.Register(journey.Step[registerConfig]{
		Kind: "passkey.register", Title: "Register passkey", Category: "Enrol",
		Asks:  []string{"passkey.register"},
		Words: []string{"webauthn", "fido", "fido2", "security key", "fingerprint", "touch id", "windows hello"},
		Doc:   "Has the browser or phone make a passkey and keeps its public half. A user who has something to prove with must have proven it in this run.",
		Config: form.New(user,
			form.Text("display_name", "Shown name", form.MaxLen(64), form.Help("What the passkey is listed under; empty: the user's name.")),
			form.Boolean("register_as_discoverable", "Usable without typing a name", form.Default(true)),
			form.Boolean("allow_cross_platform_authenticators", "Allow security keys and other devices", form.Default(true))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Enrols,
		Run:      register,
	})
	journey.Register(journey.Step[authenticateConfig]{
		Kind: "passkey.authenticate", Title: "Passkey authentication", Category: "Authenticate",
		Asks:  []string{"passkey.authenticate"},
		Words: []string{"webauthn", "fido", "fido2", "security key", "fingerprint", "touch id", "windows hello", "passwordless"},
		Doc:   "Judges the result of a passkey, and asks for one if there is none yet. Without a user it proves whoever the passkey is of.",
		Config: form.New(form.Text("user", "User", form.Help("Empty: whom the journey is about, or whoever the passkey proves.")),
			form.Text("result", "Passkey result", form.MaxLen(maxResult), form.Help("Such as login.webauthn_encoded_result; empty: the step asks."))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Proves,
		Run:      authenticate,
	})
	journey.Register(journey.Step[signConfig]{
		Kind: "passkey.sign", Title: "Transaction signing with a passkey", Category: "Sign",
		Asks:     []string{"passkey.sign"},
		Words:    []string{"webauthn", "payment", "transaction"},
		Doc:      "Shows what is approved and has a passkey sign a challenge that commits to it, within a minute.",
		Config:   form.New(user, form.Object("approval_data", "What is approved", form.Required, form.Help("At most 10 flat members."))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Proves,
		Run:      sign,
	})
}

var (
	failure = []journey.Option{{ID: "failure", Label: "It did not work"}}
	answer  = form.New(form.Text("webauthn_encoded_result", "Passkey result", form.Required, form.MaxLen(maxResult)))
)

func answered(x *journey.Exec) string {
	s, _ := x.Answer.Data["webauthn_encoded_result"].(string)
	return s
}

// gaveUp reports whether the client said that its user or its browser would not.
func gaveUp(x *journey.Exec) bool { return x.Answer != nil && x.Answer.Option == "failure" }

func refused(x *journey.Exec) journey.Next {
	x.FailAs("cancelled", "The passkey was not used.")
	return journey.Go(journey.Failure)
}

func partyOf(ctx context.Context, x *journey.Exec) (relying, error) {
	return party(ctx, x.Q, apps.App{ID: x.App(), Tenant: x.Tenant(), Name: x.AppName()}, x.URL)
}

// nameOf is a name by which the SDK's call finds the user again.
func nameOf(ctx context.Context, x *journey.Exec, typed string, u directory.User) (string, error) {
	if typed != "" {
		return typed, nil
	}
	label, err := directory.Label(ctx, x.Q, u.ID)
	if err != nil {
		return "", err
	}
	found, err := directory.Lookup(ctx, x.Q, x.Tenant(), label)
	if fault.Is(err, fault.NotFound) || err == nil && found.ID != u.ID {
		return string(u.ID), nil
	}
	return label, err
}

func register(ctx context.Context, x *journey.Exec, c registerConfig) (journey.Next, error) {
	if gaveUp(x) {
		return refused(x), nil
	}
	u, err := x.User(ctx, c.User)
	if err == nil {
		err = x.MayEnrol(ctx, u.ID)
	}
	if err != nil {
		return journey.Judge(x, err)
	}
	r, err := partyOf(ctx, x)
	if err != nil {
		return journey.Judge(x, err)
	}
	if x.Answer == nil {
		return offer(ctx, x, c, u)
	}
	id, err := r.enrol(ctx, x.Tx, u.ID, answered(x), r.named(ctx, x.Tx, u.ID))
	if err != nil {
		return journey.Judge(x, err)
	}
	x.Enrolled(string(id))
	return journey.Go(journey.Success), x.Audit(ctx, "authenticator.registered", "", map[string]any{"kind": string(Kind)})
}

func offer(ctx context.Context, x *journey.Exec, c registerConfig, u directory.User) (journey.Next, error) {
	name, err := nameOf(ctx, x, c.User, u)
	if err != nil {
		return journey.Next{}, err
	}
	if c.Shown == "" {
		c.Shown = name
	}
	return journey.Ask(journey.Prompt{
		Kind: "passkey.register", Title: "Add a passkey", Options: failure, Fields: answer,
		Data: map[string]any{"username": name, "display_name": c.Shown, "register_as_discoverable": c.Discoverable, "allow_cross_platform_authenticators": c.CrossPlatform},
	}, nil), nil
}

// whom says what a result must prove in this run.
func whom(ctx context.Context, x *journey.Exec, typed string) (wanted, error) {
	w := wanted{commit: x.Commit(), beside: slices.ContainsFunc(x.Proofs(), func(p authn.Proof) bool { return p.Kind() != Kind })}
	u, err := x.User(ctx, typed)
	if fault.Is(err, fault.NotFound) {
		w.stranger, err = typed != "", nil
	}
	w.user = u.ID
	return w, err
}

func authenticate(ctx context.Context, x *journey.Exec, c authenticateConfig) (journey.Next, error) {
	if gaveUp(x) {
		return refused(x), nil
	}
	r, err := partyOf(ctx, x)
	if err != nil {
		return journey.Judge(x, err)
	}
	if x.Answer == nil && c.Result == "" {
		return ask(ctx, x, r, c.User)
	}
	result := c.Result
	if x.Answer != nil {
		result = answered(x)
	}
	w, err := whom(ctx, x, c.User)
	if err != nil {
		return journey.Judge(x, err)
	}
	p, err := r.verify(ctx, x.Tx, result, w)
	if err == nil {
		x.Evidence(p.evidence)
		err = x.Prove(p.Proof)
	}
	return journey.Judge(x, err)
}

// ask begins a ceremony of the step's own, which commits to what the run
// approves.
func ask(ctx context.Context, x *journey.Exec, r relying, typed string) (journey.Next, error) {
	u, err := x.User(ctx, typed)
	name := typed
	if err == nil {
		name, err = nameOf(ctx, x, typed, u)
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return journey.Judge(x, err)
	}
	data, err := r.request(ctx, x.Tx, ceremony{Name: name, Commit: x.Commit()}, 0)
	if err != nil {
		return journey.Next{}, err
	}
	data["user_identifier"] = name
	return journey.Ask(journey.Prompt{Kind: "passkey.authenticate", Title: "Use your passkey", Options: failure, Fields: answer, Data: data}, nil), nil
}

func sign(ctx context.Context, x *journey.Exec, c signConfig) (journey.Next, error) {
	if gaveUp(x) {
		return refused(x), nil
	}
	data, err := journey.ApprovalData(c.Data)
	if err != nil {
		return journey.Judge(x, err)
	}
	u, err := x.User(ctx, c.User)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return journey.Judge(x, err)
	}
	if x.Answer == nil {
		name := c.User // a name of nobody's is asked like any other
		if err == nil {
			name, err = nameOf(ctx, x, c.User, u)
		}
		if name == "" {
			return journey.Judge(x, err)
		}
		return journey.Ask(journey.Prompt{
			Kind: "passkey.sign", Title: "Sign this", Options: failure, Fields: answer, Data: map[string]any{"user_identifier": name, "approval_data": data},
		}, nil), nil
	}
	r, err := partyOf(ctx, x)
	if err != nil {
		return journey.Judge(x, err)
	}
	w, err := whom(ctx, x, c.User)
	if err != nil {
		return journey.Judge(x, err)
	}
	w.approval, w.commit = data, ""
	p, err := r.verify(ctx, x.Tx, answered(x), w)
	if err == nil {
		if err = x.Prove(p.Proof); err == nil {
			x.Approve(p.Proof, data, p.evidence)
		}
	}
	return journey.Judge(x, err)
}
