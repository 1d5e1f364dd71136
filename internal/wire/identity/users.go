package identity

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/session"
)

func init() {
	call("POST /v1/users", "Create a user", "users:create", createUser)
	call("GET /v1/users", "List users", "users:list", listUsers)
	call("GET /v1/users/{user_id}", "Get a user", "users:read", getUser)
	call("GET /v1/users/identifier", "Get a user by a name", "users:read", findUser)
	call("PUT /v1/users/{user_id}", "Change a user's custom data", "users:edit", changeUser)
	call("DELETE /v1/users/{user_id}", "Delete a user", "users:delete", setStatus(directory.Deleted))
	call("DELETE /v1/manage/users/{user_id}", "Delete a user", "users:delete", setStatus(directory.Deleted))
	call("GET /v1/users/count", "Count users", "users:list", countUsers)
	call("POST /v1/users/{user_id}/activate", "Let a user sign in again", "users:edit", setStatus(directory.Active))
	call("POST /v1/users/{user_id}/suspend", "Keep a user from signing in", "users:edit", setStatus(directory.Suspended))
	for path, kind := range map[string]directory.IdentifierKind{"emails": directory.Email, "phone-numbers": directory.Phone, "usernames": directory.Username} {
		call("POST /v1/users/{user_id}/"+path, "Add a name", "users:edit", addName(kind))
		call("DELETE /v1/users/{user_id}/"+path+"/{value}", "Remove a name", "users:edit", removeName(kind))
		call("POST /v1/users/{user_id}/"+path+"/{value}/verify", "Take a name for verified", "users:edit", verifyName(kind))
	}
	backend.Asks("GET /v1/users", "limit", "cursor")
	backend.Asks("GET /v1/users/identifier", "identifier_name", "identifier_value")
	backend.Register(backend.Call[none]{Route: "GET /v1/users/me", Title: "Get the user of the token", Who: backend.User, Run: me})
	own("DELETE /v1/users/me", "Delete your account", recent(setStatus(directory.Deleted)))
}

type none struct{}

// call registers a call of a client.
func call[In any](route, title, needs string, run func(ctx context.Context, x *backend.Exec, in In) (backend.Out, error)) {
	backend.Register(backend.Call[In]{Route: route, Title: title, Needs: needs, Run: run})
}

func result(v any) backend.Out { return backend.Out{Body: map[string]any{"result": v}} }

func done(err error) (backend.Out, error) { return backend.Out{Status: http.StatusNoContent}, err }

type newUser struct {
	Email       string          `json:"email,omitempty"`
	Phone       string          `json:"phone_number,omitempty"`
	Username    string          `json:"username,omitempty"`
	ExternalID  string          `json:"external_user_id,omitempty"`
	Custom      map[string]any  `json:"custom_data,omitempty"`
	Credentials json.RawMessage `json:"credentials,omitempty"`
}

func createUser(ctx context.Context, x *backend.Exec, in newUser) (backend.Out, error) {
	bind, err := backend.Credentials(ctx, x, in.Credentials)
	if err != nil {
		return backend.Out{}, err
	}
	n := directory.NewUser{Email: in.Email, Phone: in.Phone, Username: in.Username, ExternalID: in.ExternalID, Custom: in.Custom}
	var shown any
	err = x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		taken, err := directory.Taken(ctx, tx, x.App.Tenant, n)
		if err != nil {
			return err
		}
		if taken != "" {
			return fault.New(fault.Conflict, "Somebody already goes by that name.")
		}
		id, err := directory.Create(ctx, tx, x.App.Tenant, n)
		if err != nil {
			return err
		}
		u, err := directory.Find(ctx, tx, x.App.Tenant, id)
		if err != nil {
			return err
		}
		if err := bind(ctx, tx, u); err != nil {
			return err
		}
		if shown, err = render(ctx, tx, u); err != nil {
			return err
		}
		return record(ctx, tx, x, "user.created", u.ID)
	})
	return backend.Out{Status: http.StatusCreated, Body: map[string]any{"result": shown}}, err
}

// render is a user as the vendor's API shows one.
func render(ctx context.Context, q db.Q, u directory.User) (map[string]any, error) {
	ids, err := directory.Identifiers(ctx, q, u.ID)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"user_id": string(u.ID), "status": map[directory.Status]string{directory.Active: "Active", directory.Suspended: "Disabled"}[u.Status],
		"custom_data": u.Custom, "created_at": u.CreatedAt.UnixMilli()}
	names := map[directory.IdentifierKind]string{directory.Email: "email", directory.Phone: "phone_number"}
	for _, i := range ids {
		full := map[string]any{"value": i.Shown, verifiedField(i.Kind): !i.VerifiedAt.IsZero()}
		switch {
		case i.Kind == directory.Username:
			out["username"] = i.Shown
		case i.Kind == directory.External:
			out["external_user_id"] = i.Shown
		case i.Primary:
			out[names[i.Kind]] = full
		default:
			more, _ := out["secondary_"+names[i.Kind]+"s"].([]any)
			out["secondary_"+names[i.Kind]+"s"] = append(more, full)
		}
	}
	return out, nil
}

func getUser(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	u, err := x.UserIn(ctx, x.Kit.DB, "user_id")
	return shown(ctx, x, u, err)
}

func me(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	u, err := directory.Find(ctx, x.Kit.DB, x.App.Tenant, x.User)
	return shown(ctx, x, u, err)
}

func findUser(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	kind := map[string]string{"phoneNumber": "phone_number", "externalUserId": "external_user_id"}[x.Path("identifier_name")]
	if kind == "" {
		kind = x.Path("identifier_name")
	}
	u, err := x.Find(ctx, x.Kit.DB, backend.Common{Identifier: x.Path("identifier_value"), IdentifierType: kind})
	return shown(ctx, x, u, err)
}

func shown(ctx context.Context, x *backend.Exec, u directory.User, err error) (backend.Out, error) {
	if err != nil {
		return backend.Out{}, err
	}
	r, err := render(ctx, x.Kit.DB, u)
	return result(r), err
}

// listUsers pages by an opaque cursor.
func listUsers(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	limit, err := strconv.Atoi(or(x.Path("limit"), "100"))
	if err != nil || limit < 1 || limit > 1000 {
		return backend.Out{}, fault.New(fault.Invalid, "limit is a number from 1 to 1000.")
	}
	after, err := x.After("users")
	if err != nil {
		return backend.Out{}, err
	}
	users, err := directory.Page(ctx, x.Kit.DB, x.App.Tenant, directory.UserID(after), limit+1)
	if err != nil {
		return backend.Out{}, err
	}
	body := map[string]any{}
	if len(users) > limit {
		users = users[:limit]
		body["next_cursor"] = x.Cursor("users", string(users[limit-1].ID))
	}
	list := make([]any, 0, len(users))
	for _, u := range users {
		r, err := render(ctx, x.Kit.DB, u)
		if err != nil {
			return backend.Out{}, err
		}
		list = append(list, r)
	}
	body["result"] = list
	return backend.Out{Body: body}, nil
}

// countUsers counts those of the tenant, suspended ones too.
func countUsers(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	n, err := directory.Count(ctx, x.Kit.DB, x.App.Tenant)
	return result(map[string]any{"count": n}), err
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

type change struct {
	Custom map[string]any `json:"custom_data"`
}

func changeUser(ctx context.Context, x *backend.Exec, in change) (backend.Out, error) {
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.UserIn(ctx, tx, "user_id")
		if err != nil {
			return err
		}
		if err := directory.MergeCustom(ctx, tx, x.App.Tenant, u.ID, in.Custom); err != nil {
			return err
		}
		return record(ctx, tx, x, "user.changed", u.ID)
	})
	if err != nil {
		return backend.Out{}, err
	}
	return getUser(ctx, x, none{})
}

// setStatus also ends the user's sessions, unless it lets them in.
func setStatus(to directory.Status) func(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	return func(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
		return done(x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
			u, err := whom(ctx, x, tx)
			if err != nil {
				return err
			}
			if err := directory.SetStatus(ctx, tx, x.App.Tenant, u.ID, to); err != nil {
				return err
			}
			if to != directory.Active {
				if _, err := session.EndAll(ctx, tx, x.App.Tenant, "", u.ID); err != nil {
					return err
				}
			}
			return record(ctx, tx, x, "user."+string(to), u.ID)
		}))
	}
}

type name struct {
	Value string `json:"value,omitempty"`
	Email string `json:"email,omitempty"`
	Phone string `json:"phone_number,omitempty"`
}

func addName(kind directory.IdentifierKind) func(ctx context.Context, x *backend.Exec, in name) (backend.Out, error) {
	return func(ctx context.Context, x *backend.Exec, in name) (backend.Out, error) {
		out, err := done(edit(ctx, x, func(tx *db.Tx, u directory.User) error {
			value := slices.Max([]string{in.Value, in.Email, in.Phone}) // the one that was given
			if taken, err := directory.Taken(ctx, tx, x.App.Tenant, named(kind, value)); err != nil || taken != "" {
				return orConflict(err)
			}
			return directory.AddIdentifier(ctx, tx, x.App.Tenant, u.ID, kind, value)
		}))
		out.Status = http.StatusCreated
		return out, err
	}
}

func named(kind directory.IdentifierKind, value string) directory.NewUser {
	switch kind {
	case directory.Email:
		return directory.NewUser{Email: value}
	case directory.Phone:
		return directory.NewUser{Phone: value}
	}
	return directory.NewUser{Username: value}
}

func orConflict(err error) error {
	if err != nil {
		return err
	}
	return fault.New(fault.Conflict, "Somebody already goes by that name.")
}

func removeName(kind directory.IdentifierKind) func(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	return func(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
		return done(edit(ctx, x, func(tx *db.Tx, u directory.User) error {
			return directory.RemoveIdentifier(ctx, tx, x.App.Tenant, u.ID, kind, x.Path("value"))
		}))
	}
}

type verification struct {
	Primary bool `json:"change_to_primary,omitempty"`
}

func verifyName(kind directory.IdentifierKind) func(ctx context.Context, x *backend.Exec, in verification) (backend.Out, error) {
	return func(ctx context.Context, x *backend.Exec, in verification) (backend.Out, error) {
		err := edit(ctx, x, func(tx *db.Tx, u directory.User) error {
			if err := directory.Verify(ctx, tx, x.App.Tenant, u.ID, kind, x.Path("value")); err != nil || !in.Primary {
				return err
			}
			return directory.MakePrimary(ctx, tx, x.App.Tenant, u.ID, kind, x.Path("value"))
		})
		return backend.Out{Status: http.StatusAccepted}, err
	}
}

// whom is the user of the token or, for a client, of the route.
func whom(ctx context.Context, x *backend.Exec, q db.Q) (directory.User, error) {
	if x.User != "" {
		return directory.Find(ctx, q, x.App.Tenant, x.User)
	}
	return x.UserIn(ctx, q, "user_id")
}

// edit changes that user, and records it.
func edit(ctx context.Context, x *backend.Exec, fn func(tx *db.Tx, u directory.User) error) error {
	return x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := whom(ctx, x, tx)
		if err != nil {
			return err
		}
		if err := fn(tx, u); err != nil {
			return err
		}
		return record(ctx, tx, x, "user.changed", u.ID)
	})
}

func record(ctx context.Context, tx *db.Tx, x *backend.Exec, what string, user directory.UserID) error {
	return audit.Record(ctx, tx, audit.Event{Tenant: string(x.App.Tenant), App: string(x.App.ID), Client: string(x.Client), Type: what, Actor: string(x.Client), Target: string(user),
		IP: x.Address, UserAgent: x.Agent, Outcome: "success"})
}

func verifiedField(k directory.IdentifierKind) string {
	if k == directory.Phone {
		return "phone_number_verified"
	}
	return "email_verified"
}
