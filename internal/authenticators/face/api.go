package face

import (
	"context"
	"encoding/json"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/session"
)

// These paths are ours: the vendor documents none but its hosted face sessions.
func init() {
	backend.Register(backend.Call[beginBody]{Route: "POST /v1/face/sessions", Title: "Begin to take a face", Needs: "auth:execute", Run: begin})
	backend.Register(backend.Call[backend.Raw]{Route: "POST /v1/face/sessions/{session_id}/capture", Title: "Hand in pictures", Who: backend.Public, Run: take})
	backend.Register(backend.Call[registerBody]{Route: "POST /v1/users/{user_id}/face/register", Title: "Keep a face", Needs: "authenticators:create", Run: registerCall})
	backend.Register(backend.Call[struct{}]{Route: "DELETE /v1/users/{user_id}/face", Title: "Forget a face", Needs: "authenticators:delete", Run: deleteCall})
	backend.Register(backend.Call[authenticateBody]{Route: "POST /inside/face/authenticate", Title: "Judge a face for another door", Who: backend.Inside, Run: judgeCall})
	backend.Register(backend.Call[authenticateBody]{Route: "POST /v1/auth/face/authenticate", Title: "Authenticate by a face, beside another factor", Needs: "auth:execute", Run: authenticateCall})
}

type beginBody struct {
	backend.Common
	Purpose string `json:"purpose"`
}

func begin(ctx context.Context, x *backend.Exec, in beginBody) (backend.Out, error) {
	if in.Purpose != toRegister && in.Purpose != toAuthenticate {
		return backend.Out{}, backend.Code(fault.New(fault.Invalid, "A face is taken to register or to authenticate."), "system_invalid_input")
	}
	var c Capture
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.Find(ctx, tx, in.Common)
		if err != nil {
			return err
		}
		c, err = Begin(ctx, tx, x.Subject(Kind, u.ID), in.Purpose)
		return err
	})
	return backend.Out{Status: backend.Created, Body: map[string]any{"face_session_id": string(c.ID), "start_token": c.Token, "moves": c.Moves, "expires_in": int(c.Life.Seconds())}}, err
}

// take hands pictures to the engine. The token of the capture is what allows it.
func take(ctx context.Context, x *backend.Exec, raw backend.Raw) (backend.Out, error) {
	var in struct {
		Token  string   `json:"start_token"`
		Image  []byte   `json:"image"`
		Images [][]byte `json:"images"`
	}
	if err := json.Unmarshal(raw.Body, &in); err != nil {
		return backend.Out{}, backend.Code(fault.New(fault.Invalid, "Pictures are base64 in JSON, a megabyte in all.").Because(err), "system_invalid_input")
	}
	if len(in.Image) > 0 {
		in.Images = append([][]byte{in.Image}, in.Images...)
	}
	if len(in.Images) == 0 || len(in.Images) > maxImages || len(in.Images[0]) == 0 {
		return backend.Out{}, backend.Code(fault.New(fault.Invalid, "There are one to five pictures."), "system_invalid_input")
	}
	err := Take(ctx, x.Kit.DB, authn.ChallengeID(x.Path("session_id")), in.Token, in.Images, x.Kit.Dev)
	return backend.Out{Status: backend.Accepted, Body: map[string]any{"status": "captured"}}, backend.Code(err, "auth_face_not_configured")
}

type registerBody struct {
	Session string `json:"face_session_id"`
	Consent string `json:"consent_id"`
}

func registerCall(ctx context.Context, x *backend.Exec, in registerBody) (backend.Out, error) {
	var id authn.CredentialID
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.UserIn(ctx, tx, "user_id")
		if err != nil {
			return err
		}
		if id, err = Enrol(ctx, tx, x.Subject(Kind, u.ID), authn.ChallengeID(in.Session), in.Consent, x.Kit.Dev); err != nil {
			return err
		}
		return record(ctx, tx, x, u.ID, "authenticator.registered")
	})
	return backend.Out{Status: backend.Created, Body: map[string]any{"id": string(id), "status": "active"}}, err
}

func deleteCall(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	return backend.Out{Status: backend.NoContent}, x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.UserIn(ctx, tx, "user_id")
		if err != nil {
			return err
		}
		if err := Delete(ctx, tx, x.Subject(Kind, u.ID)); err != nil {
			return err
		}
		return record(ctx, tx, x, u.ID, "authenticator.revoked")
	})
}

func record(ctx context.Context, tx *db.Tx, x *backend.Exec, user directory.UserID, what string) error {
	return audit.Record(ctx, tx, audit.Event{Tenant: string(x.App.Tenant), App: string(x.App.ID), Client: string(x.Client), Type: what, Actor: string(x.Client), Target: string(user),
		IP: x.Address, UserAgent: x.Agent, Outcome: "success", Data: map[string]any{"kind": string(Kind)}})
}

type authenticateBody struct {
	backend.Common
	Face string `json:"face_session_id"`
}

// authenticateCall adds a face to a session that another factor opened.
func authenticateCall(ctx context.Context, x *backend.Exec, in authenticateBody) (backend.Out, error) {
	var held session.Session
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		held, err = session.Held(ctx, tx, x.App, in.SessionID)
		return err
	})
	if err != nil {
		return backend.Out{}, backend.Code(err, "session_not_found")
	}
	v := Judge(ctx, x.Kit.DB, x.Subject(Kind, held.User), authn.ChallengeID(in.Face), x.Kit.Dev)
	p, err := x.Attempt(ctx, func(tx *db.Tx) (authn.Proof, error) { return v.Settle(ctx, tx) })
	return backend.Out{Proof: p, SessionID: in.SessionID}, err
}

// judgeCall judges a face for a door that has another proof of the user, or that
// asks about nobody: a stranger is charged like anybody.
func judgeCall(ctx context.Context, x *backend.Exec, in authenticateBody) (backend.Out, error) {
	var s authn.Subject
	_, err := x.Attempt(ctx, func(tx *db.Tx) (authn.Proof, error) {
		u, err := x.Find(ctx, tx, in.Common)
		s = x.Subject(Kind, u.ID)
		return authn.Proof{}, authn.Unknown(ctx, tx, err, Kind, x.App.Tenant, x.App.ID, in.Identifier)
	})
	if err != nil {
		return backend.Out{}, err
	}
	v := Judge(ctx, x.Kit.DB, s, authn.ChallengeID(in.Face), x.Kit.Dev)
	p, err := x.Attempt(ctx, func(tx *db.Tx) (authn.Proof, error) { return v.Settle(ctx, tx) })
	return backend.Out{Proof: p}, err
}
