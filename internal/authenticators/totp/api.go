package totp

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/qr"
)

func init() {
	backend.Register(backend.Call[registerBody]{Route: "POST /v1/auth/totp/register", Title: "Register an authenticator app of your own", Who: backend.User, Run: registerOwn})
	backend.Register(backend.Call[registerBody]{Route: "POST /v1/users/me/totp", Title: "Register an authenticator app of your own", Who: backend.User, Run: registerOwn})
	backend.Register(backend.Call[registerBody]{Route: "POST /v1/users/{user_id}/totp", Title: "Register an authenticator app for a user", Needs: "authenticators:create", Run: registerFor})
	backend.Register(backend.Call[importBody]{Route: "POST /v1/users/{user_id}/totp/import", Title: "Bring authenticators of another system", Needs: "authenticators:create", Run: importFor})
	backend.Register(backend.Call[revokeBody]{Route: "POST /v1/users/{user_id}/totp/revoke", Title: "Revoke an authenticator app", Needs: "authenticators:delete", Run: revokeFor})
	backend.Register(backend.Call[codeBody]{Route: "POST /v1/auth/totp/authenticate", Title: "Authenticate by a code", Needs: "auth:execute", Run: authenticate})
	backend.Register(backend.Call[startBody]{Route: "POST /v1/auth/totp/transaction/start", Title: "Begin to sign a transaction", Needs: "auth:execute", Run: startSigning})
	backend.Register(backend.Call[signBody]{Route: "POST /v1/auth/totp/transaction/authenticate", Title: "Sign a transaction by a code", Needs: "auth:execute", Run: finishSigning})
}

type registerBody struct {
	Label    string `json:"label,omitempty"`
	Override bool   `json:"allow_override,omitempty"`
	DeviceID string `json:"device_id,omitempty"`
}

// registerOwn needs a proof of the last five minutes.
func registerOwn(ctx context.Context, x *backend.Exec, in registerBody) (backend.Out, error) {
	if err := x.Fresh(ctx); err != nil {
		return backend.Out{}, err
	}
	return enrolFor(ctx, x, in, func(*db.Tx) (directory.UserID, error) { return x.User, nil })
}

func registerFor(ctx context.Context, x *backend.Exec, in registerBody) (backend.Out, error) {
	return enrolFor(ctx, x, in, func(tx *db.Tx) (directory.UserID, error) {
		u, err := x.UserIn(ctx, tx, "user_id")
		return u.ID, err
	})
}

func enrolFor(ctx context.Context, x *backend.Exec, in registerBody, whom func(tx *db.Tx) (directory.UserID, error)) (backend.Out, error) {
	var made Enrolment
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		user, err := whom(tx)
		if err != nil {
			return err
		}
		made, err = Enrol(ctx, tx, x.Subject(Kind, user), x.App.Name, in.Label, in.Override)
		switch err {
		case Registered:
			return backend.Code(err, "auth_totp_already_registered")
		case TooMany: // the vendor answers 400 here, not 429
			return backend.Code(fault.New(fault.Invalid, "%s", TooMany.Message), "auth_max_authenticators_count_exceeded")
		}
		return err
	})
	if err != nil {
		return backend.Out{}, err
	}
	svg, err := qr.SVG(made.URI, qrLabel)
	return backend.Out{Status: backend.Created, Body: map[string]any{"authenticator_id": string(made.ID), "secret": made.Secret, "uri": made.URI, "label": made.Label,
		"issuer": made.Issuer, "algorithm": made.Algorithm, "digits": made.Digits, "period": made.Period, "qr": svg}}, err
}

type importBody struct {
	URI string `json:"uri"` // otpauth-migration://offline?data=…
}

func importFor(ctx context.Context, x *backend.Exec, in importBody) (backend.Out, error) {
	var list []any
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.UserIn(ctx, tx, "user_id")
		if err != nil {
			return err
		}
		made, err := Import(ctx, tx, x.Subject(Kind, u.ID), x.App.Name, in.URI)
		list = nil
		for _, m := range made {
			list = append(list, map[string]any{"authenticator_id": string(m.ID), "label": m.Label})
		}
		return err
	})
	return backend.Out{Status: backend.Created, Body: map[string]any{"result": list}}, err
}

type revokeBody struct {
	ID string `json:"authenticator_id,omitempty"`
}

func revokeFor(ctx context.Context, x *backend.Exec, in revokeBody) (backend.Out, error) {
	return backend.Out{Status: backend.NoContent}, x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.UserIn(ctx, tx, "user_id")
		if err != nil {
			return err
		}
		return Revoke(ctx, tx, x.Subject(Kind, u.ID), authn.CredentialID(in.ID), true)
	})
}

type codeBody struct {
	backend.Common
	Code  string `json:"totp_code,omitempty"`
	Token string `json:"token,omitempty"` // the same, as older callers name it
}

func authenticate(ctx context.Context, x *backend.Exec, in codeBody) (backend.Out, error) {
	code := in.Code
	if code == "" {
		code = in.Token
	}
	p, err := judged(ctx, x, in.Common, func(tx *db.Tx, s authn.Subject) (authn.Proof, error) { return Verify(ctx, tx, s, code) })
	return backend.Out{Proof: p, SessionID: in.SessionID}, err
}

// judged runs judge for the user whom a call names. A name that belongs to
// nobody is refused like a wrong code.
func judged(ctx context.Context, x *backend.Exec, c backend.Common, judge func(tx *db.Tx, s authn.Subject) (authn.Proof, error)) (authn.Proof, error) {
	return x.Attempt(ctx, func(tx *db.Tx) (authn.Proof, error) {
		u, err := x.Find(ctx, tx, c)
		if fault.Is(err, fault.NotFound) { // who has nothing: judged by the same code (security R30)
			u.ID, err = authn.NobodyID(tx, c.Identifier), nil
		}
		if err != nil {
			return authn.Proof{}, err
		}
		return judge(tx, x.Subject(Kind, u.ID))
	})
}

type startBody struct {
	backend.Common
	Data map[string]any `json:"approval_data"`
}

// transaction is what a challenge remembers until it is answered.
type transaction struct {
	Challenge string         `json:"challenge"`
	Data      map[string]any `json:"data"`
}

// slot is of a user and an application: one transaction at a time.
func slot(s authn.Subject) string {
	return "totp/" + string(s.Tenant) + "/" + string(s.App) + "/" + string(s.User)
}

func startSigning(ctx context.Context, x *backend.Exec, in startBody) (backend.Out, error) {
	data, err := journey.ApprovalData(in.Data)
	if err != nil {
		return backend.Out{}, backend.Code(err, "system_invalid_input")
	}
	t := transaction{challengeOf(x.Kit.DB.Vault().Hash, data), data}
	err = x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.Find(ctx, tx, in.Common)
		if fault.Is(err, fault.NotFound) { // a challenge that nothing answers, and as long as for somebody
			u.ID, err = authn.NobodyID(tx, in.Identifier), nil
		}
		if err != nil {
			return err
		}
		s := x.Subject(Kind, u.ID)
		_, _, err = authn.Pose(ctx, tx, authn.Opening{Subject: s, Once: "totp/" + db.NewID("txn_"), Slot: slot(s), Life: 5 * time.Minute}, t)
		return err
	})
	return backend.Out{Body: map[string]any{"challenge": t.Challenge, "approval_data": data, "expires_in": 300}}, err
}

type signBody struct {
	codeBody
	Challenge string `json:"challenge"`
}

// finishSigning answers the open transaction of a user. A wrong code leaves it
// open; a right one closes it.
func finishSigning(ctx context.Context, x *backend.Exec, in signBody) (backend.Out, error) {
	code := in.Code
	if code == "" {
		code = in.Token
	}
	var signed map[string]any
	p, err := judged(ctx, x, in.Common, func(tx *db.Tx, s authn.Subject) (authn.Proof, error) {
		open, err := authn.OpenFor[transaction](ctx, tx, s)
		if err != nil {
			return authn.Proof{}, err
		}
		for i := range open {
			if open[i].Data.Challenge != in.Challenge {
				continue
			}
			p, err := Sign(ctx, tx, s, in.Challenge, code)
			if err != nil {
				return p, err
			}
			signed = open[i].Data.Data
			return p, authn.Approve(ctx, tx, &open[i], p)
		}
		return authn.Proof{}, backend.Code(authn.Gone, "auth_challenge_expired")
	})
	if err != nil {
		return backend.Out{}, err
	}
	return backend.Out{Proof: p, SessionID: in.SessionID, Body: map[string]any{"approval_data": signed, "approval_hash": journey.ApprovalHash(signed)}}, nil
}
