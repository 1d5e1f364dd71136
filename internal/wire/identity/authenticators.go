package identity

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
)

func init() {
	const one = "/v1/users/{user_id}/authenticators/{authenticator_id}"
	call("GET /v1/users/{user_id}/authenticators", "List a user's authenticators", "authenticators:read", listAuthenticators)
	call("POST "+one+"/lock", "Lock an authenticator", "authenticators:edit", lock)
	call("POST "+one+"/unlock", "Unlock an authenticator", "authenticators:edit", unlock)
	call("POST /v1/users/{user_id}/authenticators/types/{authenticator_type}/unlock", "Unlock a user's authenticators of a type", "authenticators:edit", unlockType)
	call("PATCH "+one, "Rename an authenticator", "authenticators:edit", rename)
	call("DELETE "+one, "Delete an authenticator", "authenticators:delete", remove)
	backend.Asks("DELETE "+one, "force")
	own("GET /v1/users/me/authenticators", "List your authenticators", listAuthenticators)
	own("PATCH /v1/users/me/authenticators/{authenticator_id}", "Rename one of your authenticators", recent(rename))
	own("DELETE /v1/users/me/authenticators/{authenticator_id}", "Delete one of your authenticators", recent(remove))
}

// own registers a call of a user about themselves.
func own[In any](route, title string, run func(ctx context.Context, x *backend.Exec, in In) (backend.Out, error)) {
	backend.Register(backend.Call[In]{Route: route, Title: title, Who: backend.User, Run: run})
}

// about is the user of the route, or of the token.
func about(ctx context.Context, x *backend.Exec, q db.Q) (authn.Subject, error) {
	if x.User != "" {
		return x.Subject("", x.User), nil
	}
	u, err := x.UserIn(ctx, q, "user_id")
	return x.Subject("", u.ID), err
}

// recent lets a user change what proves them only shortly after they proved
// themselves (authenticators.md 17).
func recent[In any](run func(ctx context.Context, x *backend.Exec, in In) (backend.Out, error)) func(ctx context.Context, x *backend.Exec, in In) (backend.Out, error) {
	return func(ctx context.Context, x *backend.Exec, in In) (backend.Out, error) {
		if err := x.Fresh(ctx); err != nil {
			return backend.Out{}, err
		}
		return run(ctx, x, in)
	}
}

func listAuthenticators(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	s, err := about(ctx, x, x.Kit.DB)
	if err != nil {
		return backend.Out{}, err
	}
	list, err := authn.Authenticators(ctx, x.Kit.DB, s.Tenant, s.App, s.User)
	out := make([]any, 0, len(list))
	for _, a := range list {
		out = append(out, rendered(a))
	}
	return result(out), err
}

func rendered(a authn.Authenticator) map[string]any {
	out := map[string]any{"id": a.ID, "type": vendorType(a.Kind), "name": a.Label, "status": a.Word(), "usable": a.Status == authn.Usable, "app_id": string(a.App),
		"scope": map[authn.Scope]string{authn.PerDevice: "device", authn.PerApp: "app", authn.PerTenant: "global"}[a.Scope]}
	if a.Device != "" {
		out["device_key_id"] = string(a.Device)
	}
	for name, t := range map[string]time.Time{"created_at": a.CreatedAt, "last_used_at": a.UsedAt} {
		if !t.IsZero() {
			out[name] = t.UTC().Format(time.RFC3339Nano)
		}
	}
	switch a.Status {
	case authn.LockedNow:
		out["lock"] = map[string]any{"kind": "automatic", "failures": a.Failures, "locked_until": a.Until.UTC().Format(time.RFC3339Nano)}
	case authn.LockedHard:
		out["lock"] = map[string]any{"kind": "automatic", "failures": a.Failures, "permanent": true}
	case authn.Deactivated:
		out["lock"] = map[string]any{"kind": "manual"}
	}
	return out
}

type reason struct {
	Reason string `json:"reason,omitempty"`
}

// lock takes the id of an authenticator, or the type of one that has no id of
// its own.
func lock(ctx context.Context, x *backend.Exec, in reason) (backend.Out, error) {
	return done(edit(ctx, x, func(tx *db.Tx, u directory.User) error {
		id := x.Path("authenticator_id")
		if kind := ourKind(id); authn.Known(kind) {
			return authn.Lock(ctx, tx, x.Subject(kind, u.ID), in.Reason)
		}
		return authn.Deactivate(ctx, tx, x.Subject("", u.ID), authn.CredentialID(id), in.Reason)
	}))
}

type unlocking struct {
	Type string `json:"unlock_type,omitempty"`
}

// unlock answers two paths of one shape: an id, or a type as older callers have
// it.
func unlock(ctx context.Context, x *backend.Exec, in unlocking) (backend.Out, error) {
	return done(edit(ctx, x, func(tx *db.Tx, u directory.User) error {
		id := x.Path("authenticator_id")
		if kind := ourKind(id); authn.Known(kind) {
			return authn.UnlockKind(ctx, tx, x.Subject(kind, u.ID), authn.How(or(in.Type, string(authn.Any))))
		}
		return authn.Reactivate(ctx, tx, x.Subject("", u.ID), authn.CredentialID(id))
	}))
}

func unlockType(ctx context.Context, x *backend.Exec, in unlocking) (backend.Out, error) {
	return done(edit(ctx, x, func(tx *db.Tx, u directory.User) error {
		return authn.UnlockKind(ctx, tx, x.Subject(ourKind(x.Path("authenticator_type")), u.ID), authn.How(or(in.Type, string(authn.Any))))
	}))
}

type label struct {
	Name string `json:"name"`
}

func rename(ctx context.Context, x *backend.Exec, in label) (backend.Out, error) {
	return done(x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		s, err := about(ctx, x, tx)
		if err != nil {
			return err
		}
		return authn.Rename(ctx, tx, s, authn.CredentialID(x.Path("authenticator_id")), in.Name)
	}))
}

// remove keeps the last factor, unless a client says ?force=true.
func remove(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	return done(x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		s, err := about(ctx, x, tx)
		if err != nil {
			return err
		}
		return authn.Delete(ctx, tx, s, authn.CredentialID(x.Path("authenticator_id")), x.User == "" && x.Path("force") == "true")
	}))
}
