package identity

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/oidc"
	"github.com/watchword-auth/watchword/internal/session"
	"github.com/watchword-auth/watchword/internal/web"
)

func init() {
	call("GET /v1/users/{user_id}/sessions", "List a user's sessions", "sessions:read", listSessions)
	call("DELETE /v1/users/{user_id}/sessions", "End all of a user's sessions", "sessions:edit", endSessions)
	call("DELETE /v1/users/{user_id}/sessions/{session_id}", "End one of a user's sessions", "sessions:edit", endSession)
	call("GET /v1/users/{user_id}/consents", "List the clients that a user let in", "consents:read", listConsents)
	call("DELETE /v1/users/{user_id}/consents/{client_id}", "Take from a client what a user let it do", "consents:edit", withdraw)
	own("GET /v1/users/me/sessions", "List your sessions", listSessions)
	own("DELETE /v1/users/me/sessions", "End your other sessions", endOthers)
	own("DELETE /v1/users/me/sessions/{session_id}", "End one of your sessions", endSession)
	own("GET /v1/users/me/consents", "List the clients that you let in", listConsents)
	own("DELETE /v1/users/me/consents/{client_id}", "Take from a client what you let it do", withdraw)
	call("POST /v1/auth/session/authenticate", "Get tokens for a session", "auth:execute", resume)
	own("POST /v1/auth/session/logout", "End your session", logout)
	own("POST /v1/auth/logout", "End all your sessions", logoutAll)
}

func listSessions(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	s, err := about(ctx, x, x.Kit.DB)
	if err != nil {
		return backend.Out{}, err
	}
	list, err := session.List(ctx, x.Kit.DB, s.Tenant, s.App, s.User)
	if err != nil {
		return backend.Out{}, err
	}
	out := make([]any, 0, len(list))
	for _, each := range list {
		shown, err := renderSession(ctx, x.Kit.DB, each)
		if err != nil {
			return backend.Out{}, err
		}
		if x.Session != "" {
			shown["current"] = each.ID == x.Session
		}
		out = append(out, shown)
	}
	return result(out), nil
}

func renderSession(ctx context.Context, q db.Q, s session.Session) (map[string]any, error) {
	out := map[string]any{"id": s.ID, "app_id": string(s.App), "client_id": string(s.Client), "created_at": stamp(s.Created), "last_used_at": stamp(s.Used), "expires_at": stamp(s.Expires),
		"amr": authn.AMR(s.Proofs), "acr": authn.ACR(s.Proofs)}
	if s.Address != "" {
		out["address"], out["place"] = s.Address, web.Place(s.Address)
	}
	if s.Agent != "" {
		out["user_agent"], out["browser"] = s.Agent, web.Browser(s.Agent)
	}
	c, _, err := apps.FindClient(ctx, q, s.Client)
	if err == nil {
		out["client_name"] = c.Name
	} else if !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	return out, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func endSession(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	return done(x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		s, err := about(ctx, x, tx)
		if err != nil {
			return err
		}
		return backend.Code(session.EndOne(ctx, tx, s.Tenant, s.App, s.User, x.Path("session_id")), "session_not_found")
	}))
}

// counted is the answer to what ends several sessions.
func counted(ctx context.Context, x *backend.Exec, end func(tx *db.Tx) (int64, error)) (backend.Out, error) {
	var n int64
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		n, err = end(tx)
		return err
	})
	return backend.Out{Body: map[string]any{"sessions_count": n}}, err
}

// endSessions also ends what was to outlive them.
func endSessions(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	return counted(ctx, x, func(tx *db.Tx) (int64, error) {
		s, err := about(ctx, x, tx)
		if err != nil {
			return 0, err
		}
		return session.EndAll(ctx, tx, s.Tenant, s.App, s.User)
	})
}

// endOthers leaves the session of the token that asks.
func endOthers(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	return counted(ctx, x, func(tx *db.Tx) (int64, error) {
		s, err := session.Named(ctx, tx, x.App, x.Session)
		if err != nil {
			return 0, err
		}
		return session.EndOthers(ctx, tx, s)
	})
}

func listConsents(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	s, err := about(ctx, x, x.Kit.DB)
	if err != nil {
		return backend.Out{}, err
	}
	list, err := oidc.Consents(ctx, x.Kit.DB, s.Tenant, s.App, s.User)
	out := make([]any, 0, len(list))
	for _, c := range list {
		shown := map[string]any{"client_id": string(c.Client), "client_name": c.Name, "app_id": string(c.App), "scope": c.Scope, "offline": c.Offline}
		for name, t := range map[string]time.Time{"given_at": c.Given, "last_used_at": c.Used} {
			if !t.IsZero() {
				shown[name] = stamp(t)
			}
		}
		out = append(out, shown)
	}
	return result(out), err
}

func withdraw(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	return done(x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		s, err := about(ctx, x, tx)
		if err != nil {
			return err
		}
		return oidc.Withdraw(ctx, tx, s.Tenant, s.App, s.User, apps.ClientID(x.Path("client_id")))
	}))
}

type held struct {
	SessionID string `json:"session_id"`
}

type resumed struct {
	SessionID string `json:"session_id"`
	OrgID     string `json:"org_id,omitempty"`
}

// Organisation is the one that the tokens are for.
func (r resumed) Organisation() directory.OrgID { return directory.OrgID(r.OrgID) }

// resume gives tokens for a session that is still alive.
func resume(_ context.Context, _ *backend.Exec, in resumed) (backend.Out, error) {
	return backend.Out{SessionID: in.SessionID, Resume: true}, nil
}

func logout(ctx context.Context, x *backend.Exec, in held) (backend.Out, error) {
	return done(x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		s, err := session.Held(ctx, tx, x.App, in.SessionID)
		if err == nil && s.User != x.User {
			err = fault.New(fault.NotFound, "no such session")
		}
		if err != nil {
			return err
		}
		return session.End(ctx, tx, s)
	}))
}

func logoutAll(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	return counted(ctx, x, func(tx *db.Tx) (int64, error) {
		return session.EndAll(ctx, tx, x.App.Tenant, x.App.ID, x.User)
	})
}
