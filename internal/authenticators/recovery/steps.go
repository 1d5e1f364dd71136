package recovery

import (
	"context"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	user := form.Text("user", "User", form.Help("Empty: whom the journey is about."))
	journey.Register(journey.Step[generateConfig]{
		Kind: "recovery.generate", Title: "Make recovery codes", Category: "Enrol",
		Asks:     []string{"recovery.show"},
		Words:    []string{"backup codes"},
		Doc:      "Makes new recovery codes and shows them once; the old ones end. A user who has something to prove with must have proven it in this run.",
		Config:   form.New(user),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Enrols,
		Run:      generate,
	})
	journey.Register(journey.Step[authenticateConfig]{
		Kind: "recovery.authenticate", Title: "Recovery code", Category: "Authenticate",
		Words:    []string{"backup code", "lost phone"},
		Doc:      "Takes a recovery code, which is good once.",
		Config:   form.New(user, form.Text("code", "Code", form.Required)),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role:     journey.Proves,
		Run:      authenticate,
	})
	backend.Register(backend.Call[struct{}]{Route: "POST /v1/users/{user_id}/recovery-codes", Title: "Make recovery codes for a user", Needs: "authenticators:create", Run: generateFor})
	backend.Register(backend.Call[struct{}]{Route: "POST /v1/users/me/recovery-codes", Title: "Make recovery codes of your own", Who: backend.User, Run: generateOwn})
	backend.Register(backend.Call[codeBody]{Route: "POST /v1/auth/recovery-code/authenticate", Title: "Authenticate by a recovery code", Needs: "auth:execute", Run: authenticateCall})
}

type generateConfig struct {
	User string `json:"user"`
}

type authenticateConfig struct {
	User string `json:"user"`
	Code string `json:"code"`
}

func generate(ctx context.Context, x *journey.Exec, c generateConfig) (journey.Next, error) {
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
	id, shown, err := Generate(ctx, x.Tx, authn.Subject{Tenant: x.Tenant(), App: x.App(), User: u.ID})
	if err != nil {
		return journey.Judge(x, err)
	}
	x.Enrolled(string(id))
	ask := journey.Prompt{Kind: "recovery.show", Title: "Your recovery codes", Text: "Each is good once, when you have lost everything else. Keep them on paper.", Button: "I have kept them", Empty: true,
		Data: map[string]any{"codes": shown}}
	return journey.Ask(ask, nil), x.Audit(ctx, "authenticator.registered", "", map[string]any{"kind": string(Kind)})
}

func authenticate(ctx context.Context, x *journey.Exec, c authenticateConfig) (journey.Next, error) {
	u, err := x.User(ctx, c.User)
	if err != nil {
		return journey.Judge(x, authn.Unknown(ctx, x.Tx, err, Kind, x.Tenant(), x.App(), c.User))
	}
	p, left, err := Verify(ctx, x.Tx, authn.Subject{Tenant: x.Tenant(), App: x.App(), User: u.ID}, c.Code)
	if err == nil {
		err = x.Prove(p)
	}
	if err != nil {
		return journey.Judge(x, err)
	}
	return journey.Go(journey.Success), x.Audit(ctx, "recovery.used", "", map[string]any{"left": left})
}

func generateFor(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	var shown []string
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.UserIn(ctx, tx, "user_id")
		if err == nil {
			_, shown, err = Generate(ctx, tx, x.Subject(Kind, u.ID))
		}
		return err
	})
	return backend.Out{Status: backend.Created, Body: map[string]any{"codes": shown}}, err
}

// generateOwn needs proofs of the last five minutes.
func generateOwn(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	if err := x.Fresh(ctx); err != nil {
		return backend.Out{}, err
	}
	var shown []string
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		_, shown, err = Generate(ctx, tx, x.Subject(Kind, x.User))
		return err
	})
	return backend.Out{Status: backend.Created, Body: map[string]any{"codes": shown}}, err
}

type codeBody struct {
	backend.Common
	Code string `json:"recovery_code"`
}

func authenticateCall(ctx context.Context, x *backend.Exec, in codeBody) (backend.Out, error) {
	left := 0
	p, err := x.Attempt(ctx, func(tx *db.Tx) (p authn.Proof, err error) {
		u, err := x.Find(ctx, tx, in.Common)
		if fault.Is(err, fault.NotFound) { // who has nothing: judged by the same code (security R30)
			u.ID, err = authn.NobodyID(tx, in.Identifier), nil
		}
		if err != nil {
			return p, err
		}
		p, left, err = Verify(ctx, tx, x.Subject(Kind, u.ID), in.Code)
		return p, err
	})
	return backend.Out{Proof: p, SessionID: in.SessionID, Body: map[string]any{"recovery_codes_left": left}}, err
}
