package mobilekey

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

// words are what tells the steps of the two kinds apart.
type words struct {
	kind      authn.Kind
	thing     string   // in titles
	names     []string // by which people look for it
	how       string   // what opens the key
	challenge string   // the member of a prompt that holds the challenge
	signature string   // the member of an answer that holds the signature
}

var (
	biometricWords = words{Biometric, "mobile biometrics", []string{"fingerprint", "touch id", "face id", "phone"}, "behind its owner's biometrics", "biometrics_challenge", "signedChallenge"}
	pinWords       = words{PIN, "mobile PIN", []string{"passcode", "digits", "phone"}, "that its owner's PIN makes", "pin_challenge", "signature"}
)

func init() {
	user := form.Text("user", "User", form.Help("Empty: whom the journey is about."))
	orPIN := form.Boolean("or_pin", "Or the PIN", form.Default(false), form.Help("A phone that has no biometrics uses its PIN instead."))
	addKey(biometricWords, form.New(user, orPIN), func(c either) either { return c })
	addKey(pinWords, form.New(user), func(c config) either { return either{User: c.User} })
	add(biometricWords, user)
	add(pinWords, user)
}

type config struct {
	User string `json:"user"`
}

type either struct {
	User  string `json:"user"`
	OrPIN bool   `json:"or_pin"`
}

type signConfig struct {
	User string         `json:"user"`
	Data map[string]any `json:"approval_data"`
}

var outcomes = []journey.Outcome{journey.Success, journey.Failure}

// addKey registers the steps that enrol and use a key.
func addKey[C any](w words, f form.Form, of func(C) either) {
	name := string(w.kind)
	journey.Register(journey.Step[C]{
		Kind: name + ".register", Title: "Register " + w.thing, Category: "Enrol", Config: f, Outcomes: outcomes, Role: journey.Enrols, Words: w.names,
		Doc:  "Has the phone make a key " + w.how + " and keeps the public half. A user who has something to prove with must have proven it in this run.",
		Asks: w.asks("register"), Unhosted: w.unhosted,
		Prepare: func(ctx context.Context, x *journey.Exec, _ C) (any, error) { return w.vouch(ctx, x) },
		Run: func(ctx context.Context, x *journey.Exec, c C) (journey.Next, error) {
			return w.register(ctx, x, of(c))
		},
	})
	journey.Register(journey.Step[C]{
		Kind: name + ".authenticate", Title: strings.ToUpper(w.thing[:1]) + w.thing[1:] + " authentication", Category: "Authenticate", Config: f, Outcomes: outcomes, Role: journey.Proves, Words: w.names,
		Asks: w.asks("authenticate"), Unhosted: w.unhosted,
		Doc: "Has the phone sign a challenge with the key " + w.how + ".",
		Run: func(ctx context.Context, x *journey.Exec, c C) (journey.Next, error) {
			return w.prove(ctx, x, of(c), nil)
		},
	})
}

func add(w words, user form.Field) {
	name := string(w.kind)
	journey.Register(journey.Step[signConfig]{
		Kind: name + ".sign", Title: "Transaction signing with " + w.thing, Category: "Sign", Outcomes: outcomes, Role: journey.Proves, Words: append([]string{"payment", "approve"}, w.names...),
		Asks: []string{name + ".sign"}, Unhosted: w.unhosted,
		Config: form.New(user, form.Object("approval_data", "What is approved", form.Required, form.Help("At most 10 flat members."))),
		Doc:    "Shows what is approved and has the phone sign a challenge that commits to it.",
		Run: func(ctx context.Context, x *journey.Exec, c signConfig) (journey.Next, error) {
			data, err := journey.ApprovalData(c.Data)
			if err != nil {
				return journey.Judge(x, err)
			}
			return w.prove(ctx, x, either{User: c.User}, data)
		},
	})
	journey.Register(journey.Step[config]{
		Kind: name + ".delete", Title: "Delete " + w.thing, Category: "Enrol", Config: form.New(user), Outcomes: outcomes, Words: append([]string{"remove", "revoke"}, w.names...),
		Asks: w.deletes(),
		Doc:  "Forgets the key of this phone. The user must have been proven in this run.",
		Run:  w.remove,
	})
}

var failure = []journey.Option{{ID: "failure", Label: "It did not work"}}

func gaveUp(x *journey.Exec) bool { return x.Answer != nil && x.Answer.Option == "failure" }

// deletes are the prompts of taking a key away: a phone is told of a PIN afterwards.
func (w words) deletes() []string {
	if w.kind == PIN {
		return nil
	}
	return []string{"biometric.delete"}
}

// asks are the prompts of a step that a PIN may answer instead of biometrics.
func (w words) asks(verb string) []string {
	if w.kind == PIN {
		return []string{"pin." + verb}
	}
	return []string{"biometric." + verb, "pin." + verb}
}

// unhosted: a page of the server makes keys, too, but nobody vouches for one.
func (w words) unhosted(ctx context.Context, q db.Q, app apps.ID, doc map[string]any) (string, error) {
	var set settings
	err := authn.Settings(ctx, q, app, w.kind, &set)
	if fault.Is(err, fault.Denied) || set.Attestation != "enforce" || doc["or_pin"] == true {
		return "", nil
	}
	return "somebody has to vouch for its keys, and nobody does for those of a browser.", err
}

// subject is whom an answer is about, and on which phone.
func (w words) subject(ctx context.Context, x *journey.Exec, typed string) (authn.Subject, error) {
	u, err := x.User(ctx, typed)
	if err != nil {
		return authn.Subject{}, err
	}
	return w.onPhone(ctx, x, u.ID)
}

// asked is subject for a step that anybody may begin: a name that belongs to
// nobody is asked like anybody's, and nobody says so.
func (w words) asked(ctx context.Context, x *journey.Exec, typed string) (s authn.Subject, nobody bool, err error) {
	u, err := x.User(ctx, typed)
	if nobody = fault.Is(err, fault.NotFound) && typed != ""; nobody {
		u.ID, err = authn.NobodyID(x.Q, typed), nil
	}
	if err != nil {
		return authn.Subject{}, false, err
	}
	s, err = w.onPhone(ctx, x, u.ID)
	return s, nobody, err
}

// nick is what a phone calls the user of s: it tells neither an id nor whether
// there is one.
func nick(q db.Q, s authn.Subject) string {
	return q.Vault().Hash("phone user", string(s.App)+"/"+string(s.User))
}

func (w words) onPhone(ctx context.Context, x *journey.Exec, user directory.UserID) (authn.Subject, error) {
	s := authn.Subject{Kind: w.kind, Tenant: x.Tenant(), App: x.App(), User: user}
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

// usePIN is the option of a phone that has no biometrics.
const usePIN = "pin"

// vouch judges what vouches for a new key, which may need a list from outside.
func (w words) vouch(ctx context.Context, x *journey.Exec) (any, error) {
	var m memo
	if _, err := x.Memo(&m); err != nil || x.Answer == nil || x.Answer.Option != "" {
		return nil, err
	}
	return Vouch(ctx, x.Q, x.App(), m.kind(w).kind, m.Challenge, text(x.Answer, "publicKey"), text(x.Answer, "attestation"))
}

func (w words) register(ctx context.Context, x *journey.Exec, c either) (journey.Next, error) {
	if gaveUp(x) {
		x.FailAs("cancelled", "The phone did not register.")
		return journey.Go(journey.Failure), nil
	}
	var m memo
	if _, err := x.Memo(&m); err != nil {
		return journey.Next{}, err
	}
	m.PIN = m.PIN || x.Answer != nil && x.Answer.Option == usePIN && c.OrPIN
	w = m.kind(w)
	s, err := w.subject(ctx, x, c.User)
	if err == nil {
		err = x.MayEnrol(ctx, s.User)
	}
	if err != nil {
		return journey.Judge(x, err)
	}
	if x.Answer == nil || x.Answer.Option == usePIN {
		return w.offer(ctx, x, s, m, c.OrPIN && !m.PIN)
	}
	n := NewKey{ID: text(x.Answer, "publicKeyId"), Public: text(x.Answer, "publicKey"), OS: text(x.Answer, "os"), Type: text(x.Answer, "keyType"), Label: cmp.Or(x.Claimed().Model, x.Claimed().Name)}
	if name := text(x.Answer, "aliasDeviceName"); name != "" {
		n.Label = name
	}
	n.Vouched, _ = x.Prepared.(Vouched)
	n.Format, n.Origin, n.Base = text(x.Answer, "format"), text(x.Answer, "origin"), x.URL
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

func (w words) offer(ctx context.Context, x *journey.Exec, s authn.Subject, m memo, orPIN bool) (journey.Next, error) {
	var set settings
	if err := authn.Settings(ctx, x.Q, s.App, w.kind, &set); err != nil {
		return journey.Judge(x, err)
	}
	data := map[string]any{"user_identifier": nick(x.Q, s)}
	if set.wanted() {
		m.Challenge = rand.Text()
		data["attestation_challenge"] = m.Challenge
		data["attestation_required"] = set.Attestation == "enforce"
	}
	if w.kind == PIN {
		data["pin_policy"] = map[string]any{"min_length": set.MinLength}
	}
	options := failure
	if orPIN {
		options = append([]journey.Option{{ID: usePIN, Label: "Use a PIN"}}, failure...)
	}
	return journey.Ask(journey.Prompt{
		Kind: string(w.kind) + ".register", Options: options, Data: data,
		Fields: form.New(
			form.Text("publicKeyId", "Key id", form.Required, form.MaxLen(256)),
			form.Text("publicKey", "Public key", form.Required, form.MaxLen(4096)),
			form.Text("os", "System", form.MaxLen(32)),
			form.Text("keyType", "Key type", form.MaxLen(32)),
			form.Text("aliasDeviceName", "Name of the phone", form.MaxLen(100)),
			form.Text("attestation", "Attestation", form.MaxLen(maxStatement)),
			form.Choice("format", "How it signs", []string{webauthn}),
			form.Text("origin", "Page that made it", form.MaxLen(320)),
		),
	}, m), nil
}

type memo struct {
	Challenge string `json:"challenge"`
	PIN       bool   `json:"pin,omitempty"` // instead of biometrics
}

// kind is which of the two a step that began as w stands for.
func (m memo) kind(w words) words {
	if m.PIN {
		return pinWords
	}
	return w
}

// instead reports whether the phone of s can use its PIN and has no biometrics.
func instead(ctx context.Context, x *journey.Exec, s authn.Subject) (bool, error) {
	has := func(kind authn.Kind) (bool, error) {
		s.Kind = kind
		have, err := authn.AllCredentials[key](ctx, x.Q, s)
		return slices.ContainsFunc(have, func(c authn.Credential[key]) bool { return c.Data.DeviceKey == string(s.Device) }), err
	}
	if yes, err := has(Biometric); yes || err != nil {
		return false, err
	}
	return has(PIN)
}

// prove has a challenge signed; with data it commits to what is approved.
func (w words) prove(ctx context.Context, x *journey.Exec, c either, data map[string]any) (journey.Next, error) {
	if gaveUp(x) {
		x.FailAs("cancelled", "The phone did not confirm its owner.")
		return journey.Go(journey.Failure), nil
	}
	var m memo
	asked, err := x.Memo(&m)
	if err != nil {
		return journey.Next{}, err
	}
	s, nobody, err := w.asked(ctx, x, c.User)
	if err == nil && !asked && c.OrPIN {
		m.PIN, err = instead(ctx, x, s)
	}
	if err != nil {
		return journey.Judge(x, err)
	}
	w = m.kind(w)
	s.Kind = w.kind
	if x.Answer == nil {
		return w.ask(x, s, data, m), nil
	}
	signature := text(x.Answer, w.signature)
	if nobody {
		return journey.Judge(x, authn.Stranger(ctx, x.Tx, w.kind, s.Tenant, s.App, c.User))
	}
	proof, _, err := Verify(ctx, x.Tx, s, text(x.Answer, "publicKeyId"), signature, m.Challenge)
	shown := map[string]any{"challenge": m.Challenge, "signature": signature, "public_key_id": text(x.Answer, "publicKeyId")}
	if err == nil {
		x.Evidence(shown)
		err = x.Prove(proof)
	}
	if err == nil && data != nil {
		x.Approve(proof, data, shown)
	}
	if m.PIN && fault.Is(err, fault.Wrong) { // people mistype; the lockout counts
		return w.ask(x, s, data, m).Because(fault.Of(err)), nil
	}
	return journey.Judge(x, err)
}

func (w words) ask(x *journey.Exec, s authn.Subject, data map[string]any, m memo) journey.Next {
	m.Challenge = challenge(x.Commit(), data)
	p := journey.Prompt{
		Kind: string(w.kind) + ".authenticate", Options: failure,
		Data: map[string]any{"user_identifier": nick(x.Q, s), w.challenge: m.Challenge},
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
		return journey.Ask(journey.Prompt{Kind: "biometric.delete", Empty: true, Options: failure, Data: map[string]any{"user_identifier": nick(x.Q, s)}}, nil), nil
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
