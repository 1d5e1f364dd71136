package biometric

import (
	"context"
	"crypto/rand"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func userField() form.Field {
	return form.Text("user", "User", form.Help("Empty: whom the journey is about."))
}

type config struct {
	User string `json:"user"`
}

func init() {
	journey.Register(journey.Step[config]{
		Kind: "biometric.register", Title: "Register mobile biometrics", Category: "Enrol",
		Doc:      "Has the phone make a key behind its owner's biometrics and keeps the public half. A user who has something to prove with must have proven it in this run.",
		Config:   form.New(userField()),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Enrols,
		Run:      register,
	})
	journey.Register(journey.Step[config]{
		Kind: "biometric.authenticate", Title: "Authenticate with mobile biometrics", Category: "Authenticate",
		Doc:      "Has the phone sign a challenge with the key that only opens for its owner.",
		Config:   form.New(userField()),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Proves,
		Run:      authenticate,
	})
	journey.Register(journey.Step[config]{
		Kind: "biometric.delete", Title: "Delete mobile biometrics", Category: "Enrol",
		Doc:      "Forgets the key of this phone. The user must have been proven in this run.",
		Config:   form.New(userField()),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run:      remove,
	})
}

var failure = []journey.Option{{ID: "failure", Label: "It did not work"}}

// subject is whom an answer is about, and on which phone.
func subject(ctx context.Context, x *journey.Exec, c config) (authn.Subject, error) {
	u, err := x.User(ctx, c.User)
	if err != nil {
		return authn.Subject{}, err
	}
	s := authn.Subject{Kind: Kind, Tenant: x.Tenant(), App: x.App(), User: u.ID}
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

func register(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
	if x.Answer != nil && x.Answer.Option == "failure" {
		x.FailAs("cancelled", "The phone did not register.")
		return journey.Go(journey.Failure), nil
	}
	s, err := subject(ctx, x, c)
	if err == nil {
		err = x.MayEnrol(ctx, s.User)
	}
	if err != nil {
		return journey.Judge(x, err)
	}
	if x.Answer == nil {
		return journey.Ask(journey.Prompt{
			Kind: "biometric.register", Options: failure, Data: map[string]any{"user_identifier": string(s.User)},
			Fields: form.New(
				form.Text("publicKeyId", "Key id", form.Required, form.MaxLen(256)),
				form.Text("publicKey", "Public key", form.Required, form.MaxLen(4096)),
				form.Text("os", "System", form.MaxLen(32)),
				form.Text("keyType", "Key type", form.MaxLen(32)),
				form.Text("attestation", "Attestation", form.MaxLen(16<<10)),
			),
		}, nil), nil
	}
	id, err := Enrol(ctx, x.Tx, s, text(x.Answer, "publicKeyId"), text(x.Answer, "publicKey"), text(x.Answer, "os"), x.Claimed().Model)
	if err != nil {
		return journey.Judge(x, err)
	}
	x.Enrolled(string(id))
	return journey.Go(journey.Success), x.Audit(ctx, "authenticator.registered", "", map[string]any{"kind": string(Kind)})
}

type memo struct {
	Challenge string `json:"challenge"`
}

func authenticate(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
	if x.Answer != nil && x.Answer.Option == "failure" {
		x.FailAs("cancelled", "The phone did not confirm its owner.")
		return journey.Go(journey.Failure), nil
	}
	s, err := subject(ctx, x, c)
	if err != nil {
		return journey.Judge(x, err)
	}
	if x.Answer == nil {
		m := memo{challenge(x)}
		return journey.Ask(journey.Prompt{
			Kind: "biometric.authenticate", Options: failure,
			Data: map[string]any{"user_identifier": string(s.User), "biometrics_challenge": m.Challenge},
			Fields: form.New(
				form.Text("publicKeyId", "Key id", form.Required, form.MaxLen(256)),
				form.Text("signedChallenge", "Signature", form.Required, form.MaxLen(2048)),
				form.Text("userIdentifier", "User", form.MaxLen(320)),
			),
		}, m), nil
	}
	var m memo
	if _, err := x.Memo(&m); err != nil {
		return journey.Next{}, err
	}
	proof, err := Verify(ctx, x.Tx, s, text(x.Answer, "publicKeyId"), m.Challenge, text(x.Answer, "signedChallenge"))
	if err == nil {
		x.Evidence(map[string]any{"challenge": m.Challenge, "signature": text(x.Answer, "signedChallenge"), "public_key_id": text(x.Answer, "publicKeyId")})
		err = x.Prove(proof)
	}
	return journey.Judge(x, err)
}

// challenge is fresh for each visit, and commits to what is approved.
func challenge(x *journey.Exec) string {
	if commit := x.Commit(); commit != "" {
		return rand.Text() + "." + commit
	}
	return rand.Text()
}

func remove(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
	s, err := subject(ctx, x, c)
	if err == nil && x.Proven() != s.User {
		err = fault.New(fault.Denied, "Prove who you are first, then remove this.")
	}
	if err != nil {
		return journey.Judge(x, err)
	}
	if x.Answer == nil {
		return journey.Ask(journey.Prompt{Kind: "biometric.delete", Empty: true, Options: failure, Data: map[string]any{"user_identifier": string(s.User)}}, nil), nil
	}
	if x.Answer.Option == "failure" {
		return journey.Go(journey.Failure), nil
	}
	if err := Delete(ctx, x.Tx, s); err != nil {
		return journey.Judge(x, err)
	}
	return journey.Go(journey.Success), x.Audit(ctx, "authenticator.revoked", "", map[string]any{"kind": string(Kind)})
}
