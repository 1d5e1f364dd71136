package mobilekey

import (
	"context"
	"crypto/rand"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

// words are what tells the steps of the two kinds apart.
type words struct {
	kind      authn.Kind
	thing     string // in titles
	how       string // what opens the key
	challenge string // the member of a prompt that holds the challenge
	signature string // the member of an answer that holds the signature
}

func init() {
	add(words{Biometric, "mobile biometrics", "behind its owner's biometrics", "biometrics_challenge", "signedChallenge"})
	add(words{PIN, "mobile PIN", "that its owner's PIN makes", "pin_challenge", "signature"})
}

type config struct {
	User string `json:"user"`
}

type signConfig struct {
	User string         `json:"user"`
	Data map[string]any `json:"approval_data"`
}

func add(w words) {
	user := form.Text("user", "User", form.Help("Empty: whom the journey is about."))
	out := []journey.Outcome{journey.Success, journey.Failure}
	name := string(w.kind)
	journey.Register(journey.Step[config]{
		Kind: name + ".register", Title: "Register " + w.thing, Category: "Enrol", Config: form.New(user), Outcomes: out, Role: journey.Enrols,
		Doc:     "Has the phone make a key " + w.how + " and keeps the public half. A user who has something to prove with must have proven it in this run.",
		Prepare: w.vouch, Run: w.register,
	})
	journey.Register(journey.Step[config]{
		Kind: name + ".authenticate", Title: "Authenticate with " + w.thing, Category: "Authenticate", Config: form.New(user), Outcomes: out, Role: journey.Proves,
		Doc: "Has the phone sign a challenge with the key " + w.how + ".",
		Run: func(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
			return w.prove(ctx, x, c.User, nil)
		},
	})
	journey.Register(journey.Step[signConfig]{
		Kind: name + ".sign", Title: "Transaction signing with " + w.thing, Category: "Sign", Outcomes: out, Role: journey.Proves,
		Config: form.New(user, form.Object("approval_data", "What is approved", form.Required, form.Help("At most 10 flat members."))),
		Doc:    "Shows what is approved and has the phone sign a challenge that commits to it.",
		Run: func(ctx context.Context, x *journey.Exec, c signConfig) (journey.Next, error) {
			data, err := journey.ApprovalData(c.Data)
			if err != nil {
				return journey.Judge(x, err)
			}
			return w.prove(ctx, x, c.User, data)
		},
	})
	journey.Register(journey.Step[config]{
		Kind: name + ".delete", Title: "Delete " + w.thing, Category: "Enrol", Config: form.New(user), Outcomes: out,
		Doc: "Forgets the key of this phone. The user must have been proven in this run.",
		Run: w.remove,
	})
}

var failure = []journey.Option{{ID: "failure", Label: "It did not work"}}

func gaveUp(x *journey.Exec) bool { return x.Answer != nil && x.Answer.Option == "failure" }

// subject is whom an answer is about, and on which phone.
func (w words) subject(ctx context.Context, x *journey.Exec, typed string) (authn.Subject, error) {
	u, err := x.User(ctx, typed)
	if err != nil {
		return authn.Subject{}, err
	}
	s := authn.Subject{Kind: w.kind, Tenant: x.Tenant(), App: x.App(), User: u.ID}
	if id := x.Device(); id != "" {
		d, err := directory.FindDevice(ctx, x.Q, id)
		s.Device = directory.DeviceID(d.KeyID)
		return s, err
	}
	s.Device = directory.DeviceID(x.Claimed().KeyID)
	return s, nil
}

func text(a *journey.Answer, name string) string {
	s, _ := a.Data[name].(string)
	return s
}

// vouch judges what vouches for a new key, which may need a list from outside.
func (w words) vouch(ctx context.Context, x *journey.Exec, _ config) (any, error) {
	var m memo
	if _, err := x.Memo(&m); err != nil || x.Answer == nil || gaveUp(x) {
		return nil, err
	}
	return Vouch(ctx, x.Q, x.App(), w.kind, m.Challenge, text(x.Answer, "publicKey"), text(x.Answer, "attestation"))
}

func (w words) register(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
	if gaveUp(x) {
		x.FailAs("cancelled", "The phone did not register.")
		return journey.Go(journey.Failure), nil
	}
	s, err := w.subject(ctx, x, c.User)
	if err == nil {
		err = x.MayEnrol(ctx, s.User)
	}
	if err != nil {
		return journey.Judge(x, err)
	}
	if x.Answer == nil {
		return w.offer(ctx, x, s)
	}
	n := NewKey{ID: text(x.Answer, "publicKeyId"), Public: text(x.Answer, "publicKey"), OS: text(x.Answer, "os"), Type: text(x.Answer, "keyType"), Label: x.Claimed().Model}
	if name := text(x.Answer, "aliasDeviceName"); name != "" {
		n.Label = name
	}
	n.Vouched, _ = x.Prepared.(Vouched)
	id, err := Enrol(ctx, x.Tx, s, n)
	if err != nil {
		return journey.Judge(x, err)
	}
	x.Enrolled(string(id))
	if w.kind == PIN { // until then the app keeps the key aside
		x.Instruct("mobile_pin_commit_key_creation", nil)
	}
	return journey.Go(journey.Success), x.Audit(ctx, "authenticator.registered", "", map[string]any{"kind": string(w.kind)})
}

func (w words) offer(ctx context.Context, x *journey.Exec, s authn.Subject) (journey.Next, error) {
	var set settings
	if err := authn.Settings(ctx, x.Q, s.App, w.kind, &set); err != nil {
		return journey.Judge(x, err)
	}
	data := map[string]any{"user_identifier": string(s.User)}
	m := memo{}
	if set.wanted() {
		m.Challenge = rand.Text()
		data["attestation_challenge"] = m.Challenge
	}
	if w.kind == PIN {
		data["pin_policy"] = map[string]any{"min_length": set.MinLength}
	}
	return journey.Ask(journey.Prompt{
		Kind: string(w.kind) + ".register", Options: failure, Data: data,
		Fields: form.New(
			form.Text("publicKeyId", "Key id", form.Required, form.MaxLen(256)),
			form.Text("publicKey", "Public key", form.Required, form.MaxLen(4096)),
			form.Text("os", "System", form.MaxLen(32)),
			form.Text("keyType", "Key type", form.MaxLen(32)),
			form.Text("aliasDeviceName", "Name of the phone", form.MaxLen(100)),
			form.Text("attestation", "Attestation", form.MaxLen(maxStatement)),
		),
	}, m), nil
}

type memo struct {
	Challenge string `json:"challenge"`
}

// prove has a challenge signed; with data it commits to what is approved.
func (w words) prove(ctx context.Context, x *journey.Exec, typed string, data map[string]any) (journey.Next, error) {
	if gaveUp(x) {
		x.FailAs("cancelled", "The phone did not confirm its owner.")
		return journey.Go(journey.Failure), nil
	}
	s, err := w.subject(ctx, x, typed)
	if err != nil {
		return journey.Judge(x, err)
	}
	if x.Answer == nil {
		return w.ask(x, s, data), nil
	}
	var m memo
	if _, err := x.Memo(&m); err != nil {
		return journey.Next{}, err
	}
	signature := text(x.Answer, w.signature)
	proof, _, err := Verify(ctx, x.Tx, s, text(x.Answer, "publicKeyId"), signature, m.Challenge)
	shown := map[string]any{"challenge": m.Challenge, "signature": signature, "public_key_id": text(x.Answer, "publicKeyId")}
	if err == nil {
		x.Evidence(shown)
		err = x.Prove(proof)
	}
	if err == nil && data != nil {
		x.Approve(proof, data, shown)
	}
	return journey.Judge(x, err)
}

func (w words) ask(x *journey.Exec, s authn.Subject, data map[string]any) journey.Next {
	m := memo{challenge(x.Commit(), data)}
	p := journey.Prompt{
		Kind: string(w.kind) + ".authenticate", Options: failure,
		Data: map[string]any{"user_identifier": string(s.User), w.challenge: m.Challenge},
		Fields: form.New(
			form.Text("publicKeyId", "Key id", form.Required, form.MaxLen(256)),
			form.Text(w.signature, "Signature", form.Required, form.MaxLen(2048)),
			form.Text("userIdentifier", "User", form.MaxLen(320)),
			form.Text("challenge", "Challenge", form.MaxLen(512)), // said again by the SDK; ours counts
		),
	}
	if w.kind == PIN { // the mobile SDKs read this name; the web SDK hides it from the page
		p.Data["challenge"] = m.Challenge
	}
	if data != nil {
		p.Kind, p.Data["approval_data"] = string(w.kind)+".sign", data
	}
	return journey.Ask(p, m)
}

// challenge is fresh for each visit, and commits to what is approved: the record
// of the web journey, or the data of this step.
func challenge(commit string, data map[string]any) string {
	if data != nil {
		commit = journey.ApprovalHash(data)
	}
	if commit == "" {
		return rand.Text()
	}
	return rand.Text() + "." + commit
}

func (w words) remove(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
	s, err := w.subject(ctx, x, c.User)
	if err == nil && x.Proven() != s.User {
		err = fault.New(fault.Denied, "Prove who you are first, then remove this.")
	}
	if err != nil {
		return journey.Judge(x, err)
	}
	if x.Answer == nil && w.kind == Biometric { // the app drops its key first; for a PIN it is told afterwards
		return journey.Ask(journey.Prompt{Kind: "biometric.delete", Empty: true, Options: failure, Data: map[string]any{"user_identifier": string(s.User)}}, nil), nil
	}
	if gaveUp(x) {
		return journey.Go(journey.Failure), nil
	}
	if err := Delete(ctx, x.Tx, s); err != nil {
		return journey.Judge(x, err)
	}
	if w.kind == PIN {
		x.Instruct("mobile_pin_commit_key_deletion", nil)
	}
	return journey.Go(journey.Success), x.Audit(ctx, "authenticator.revoked", "", map[string]any{"kind": string(w.kind)})
}
