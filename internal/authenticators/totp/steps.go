package totp

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math/big"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/qr"
)

func init() {
	user := form.Text("user", "User", form.Help("Empty: whom the journey is about."))
	code := form.Text("code", "Code", form.Required, form.Help("What was typed, such as login.totp_code."))
	journey.Register(journey.Step[registerConfig]{
		Kind: "totp.register", Title: "Register TOTP", Category: "Enrol",
		Asks:  []string{"totp.register"},
		Words: []string{"authenticator app", "qr", "google authenticator", "otp"},
		Doc:   "Makes a secret for an authenticator app and shows it. It counts from then on, whether or not it is scanned. A user who has something to prove with must have proven it in this run.",
		Config: form.New(user,
			form.Text("label", "Label", form.Help("Tells authenticators of one user apart; empty: the user's address.")),
			form.Boolean("override", "Replace an existing one", form.Default(false), form.Help("Only where one authenticator is allowed.")),
			form.Text("output", "Keep the authenticator's id as", form.Default("totp_id"))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Enrols,
		Run:      register,
	})
	journey.Register(journey.Step[confirmConfig]{
		Kind: "totp.confirm", Title: "Confirm TOTP", Category: "Enrol",
		Asks:     []string{"totp.confirm"},
		Doc:      "Asks for a first code, so that nobody relies on an app that was never set up. It proves nobody.",
		Config:   form.New(user, form.Number("tries", "Tries", form.Default(3), form.Between(1, 10))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run:      confirm,
	})
	journey.Register(journey.Step[authenticateConfig]{
		Kind: "totp.authenticate", Title: "TOTP authentication", Category: "Authenticate",
		Words:    []string{"authenticator app", "otp", "code", "mfa", "2fa"},
		Doc:      "Tries a code against every authenticator app of the user. It is good once.",
		Config:   form.New(user, code),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Proves,
		Run: func(ctx context.Context, x *journey.Exec, c authenticateConfig) (journey.Next, error) {
			p, err := verify(ctx, x, c.User, func(s authn.Subject) (authn.Proof, error) { return Verify(ctx, x.Tx, s, c.Code) })
			if err == nil {
				err = x.Prove(p)
			}
			return journey.Judge(x, err)
		},
	})
	journey.Register(journey.Step[revokeConfig]{
		Kind: "totp.revoke", Title: "Revoke my TOTP", Category: "Enrol",
		Doc:      "Takes an authenticator app from the user, by its id from the list of authenticators. The last thing that the user could sign in with stays. The user must have been proven in this run.",
		Config:   form.New(user, form.Text("id", "Authenticator", form.Help("Empty: the only one."))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run:      revoke,
	})
	journey.Register(journey.Step[signConfig]{
		Kind: "totp.sign", Title: "Transaction signing with TOTP", Category: "Sign",
		Asks:  []string{"totp.sign"},
		Words: []string{"payment", "transaction", "otp"},
		Doc:   "Shows what is approved and a challenge, and asks for the code that an app makes of the challenge. Public apps cannot; ours and those with the vendor's SDK can.",
		Config: form.New(user,
			form.Object("approval_data", "What is approved", form.Required, form.Help("At most 10 flat members.")),
			form.Number("tries", "Tries", form.Default(3), form.Between(1, 10))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure, journey.Cancel},
		Role:     journey.Proves,
		Run:      sign,
	})
}

type (
	registerConfig struct {
		User     string `json:"user"`
		Label    string `json:"label"`
		Override bool   `json:"override"`
		Output   string `json:"output"`
	}
	confirmConfig struct {
		User  string `json:"user"`
		Tries int    `json:"tries"`
	}
	authenticateConfig struct {
		User string `json:"user"`
		Code string `json:"code"`
	}
	revokeConfig struct {
		User string `json:"user"`
		ID   string `json:"id"`
	}
	signConfig struct {
		User  string         `json:"user"`
		Data  map[string]any `json:"approval_data"`
		Tries int            `json:"tries"`
	}
)

// codeField is what a client is asked for.
var codeField = form.Text("totp_code", "Code", form.Required, form.MaxLen(16))

// verify judges for the user whom a setting names. A name that belongs to nobody
// is refused like a wrong code.
func verify(ctx context.Context, x *journey.Exec, typed string, judge func(s authn.Subject) (authn.Proof, error)) (authn.Proof, error) {
	u, err := x.User(ctx, typed)
	if err != nil {
		return authn.Proof{}, authn.Unknown(ctx, x.Tx, err, Kind, x.Tenant(), x.App(), typed)
	}
	return judge(authn.Subject{Kind: Kind, Tenant: x.Tenant(), App: x.App(), User: u.ID})
}

func register(ctx context.Context, x *journey.Exec, c registerConfig) (journey.Next, error) {
	if x.Answer != nil {
		return journey.Go(journey.Success), nil
	}
	u, err := x.User(ctx, c.User)
	if err == nil {
		err = x.MayEnrol(ctx, u.ID)
	}
	if err != nil {
		return journey.Judge(x, err)
	}
	made, err := Enrol(ctx, x.Tx, authn.Subject{Tenant: x.Tenant(), App: x.App(), User: u.ID}, x.AppName(), c.Label, c.Override)
	if err != nil {
		return journey.Judge(x, err)
	}
	svg, err := qr.SVG(made.URI, qrLabel)
	if err != nil {
		return journey.Next{}, err
	}
	x.Enrolled(string(made.ID))
	x.Set(c.Output, string(made.ID))
	return journey.Ask(journey.Prompt{
		Kind: "totp.register", Empty: true, Button: "Done",
		Data: map[string]any{"payload": map[string]any{"secret": made.Secret, "uri": made.URI, "qr": svg}},
	}, nil), x.Audit(ctx, "authenticator.registered", "", map[string]any{"kind": string(Kind), "label": made.Label})
}

// tries is what a step that asks again remembers.
type tries struct {
	Failed    int    `json:"failed"`
	Challenge string `json:"challenge,omitempty"`
}

func confirm(ctx context.Context, x *journey.Exec, c confirmConfig) (journey.Next, error) {
	ask := journey.Prompt{Kind: "totp.confirm", Fields: form.New(codeField)}
	if x.Answer == nil {
		return journey.Ask(ask, tries{}), nil
	}
	_, err := verify(ctx, x, c.User, func(s authn.Subject) (authn.Proof, error) { return Verify(ctx, x.Tx, s, answered(x)) })
	return again(x, err, c.Tries, ask)
}

func answered(x *journey.Exec) string { s, _ := x.Answer.Data["totp_code"].(string); return s }

// again asks once more after a wrong code, as often as the author allows.
func again(x *journey.Exec, err error, allowed int, ask journey.Prompt) (journey.Next, error) {
	var m tries
	if _, bad := x.Memo(&m); bad != nil {
		return journey.Next{}, bad
	}
	if m.Failed++; fault.Is(err, fault.Wrong) && m.Failed < allowed {
		return journey.Ask(ask, m).Because(err), nil
	}
	return journey.Judge(x, err)
}

func revoke(ctx context.Context, x *journey.Exec, c revokeConfig) (journey.Next, error) {
	u, err := x.User(ctx, c.User)
	if err == nil && x.Proven() != u.ID {
		err = fault.New(fault.Denied, "Prove who you are first, then remove this.")
	}
	if err == nil {
		err = Revoke(ctx, x.Tx, authn.Subject{Tenant: x.Tenant(), App: x.App(), User: u.ID}, authn.CredentialID(c.ID), false)
	}
	return journey.Judge(x, err)
}

func sign(ctx context.Context, x *journey.Exec, c signConfig) (journey.Next, error) {
	data, err := journey.ApprovalData(c.Data)
	if err != nil {
		return journey.Judge(x, err)
	}
	if x.Answer == nil {
		m := tries{Challenge: challengeOf(x.Tx.Vault().Hash, data)}
		return journey.Ask(signing(m, data), m), nil
	}
	if x.Answer.Option == "cancel" {
		return journey.Go(journey.Cancel), nil
	}
	var m tries
	if _, err := x.Memo(&m); err != nil {
		return journey.Next{}, err
	}
	p, err := verify(ctx, x, c.User, func(s authn.Subject) (authn.Proof, error) { return Sign(ctx, x.Tx, s, m.Challenge, answered(x)) })
	if err == nil {
		if err = x.Prove(p); err == nil {
			x.Approve(p, data, map[string]any{"challenge": m.Challenge})
		}
	}
	return again(x, err, c.Tries, signing(m, data))
}

func signing(m tries, data map[string]any) journey.Prompt {
	return journey.Prompt{
		Kind: "totp.sign", Title: "Sign this", Fields: form.New(codeField), Options: []journey.Option{{ID: "cancel", Label: "Cancel"}},
		Data: map[string]any{"transaction_challenge": m.Challenge, "approval_data": data},
	}
}

// challengeOf makes six digits of what is approved and of chance: a hash under
// the server's key of both, so that nobody can look for data that fits a
// challenge.
func challengeOf(keyed func(purpose, text string) string, data map[string]any) string {
	h := keyed("totp/challenge", journey.ApprovalHash(data)+rand.Text())
	b, err := base64.RawURLEncoding.DecodeString(h)
	if err != nil || len(b) < 8 {
		b = []byte(h)
	}
	n := new(big.Int).SetBytes(b)
	return fmt.Sprintf("%06d", n.Mod(n, big.NewInt(1_000_000)).Int64())
}
