package passkey

import (
	"context"
	"slices"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/session"
)

const base = "/v1/auth/webauthn/"

func init() {
	public("POST "+base+"register/start", "Begin to register a passkey", startRegistration)
	public("POST "+base+"authenticate/start", "Begin to authenticate by a passkey", startAuthentication)
	call("POST "+base+"authenticate", "Authenticate by a passkey", "auth:execute", authenticateCall)
	call("POST "+base+"external/register", "Register a passkey for a user you authenticated", "authenticators:create", registerExternal)
	backend.Register(backend.Call[resultBody]{Route: "POST " + base + "register", Title: "Register a passkey of your own", Who: backend.User, Run: registerOwn})
	public("GET /.well-known/webauthn", "Origins that share passkeys", relatedOrigins)
	public("GET /.well-known/apple-app-site-association", "Apple apps that share passkeys", appleApps)
	public("GET /.well-known/assetlinks.json", "Android apps that share passkeys", androidApps)
	public("GET /.well-known/passkey-endpoints", "Where people look after their passkeys", endpoints)
	for _, file := range []string{"webauthn", "apple-app-site-association", "assetlinks.json", "passkey-endpoints"} {
		backend.Asks("GET /.well-known/"+file, "client_id")
	}
}

func call[In any](route, title, needs string, run func(ctx context.Context, x *backend.Exec, in In) (backend.Out, error)) {
	backend.Register(backend.Call[In]{Route: route, Title: title, Needs: needs, Run: run})
}

func public[In any](route, title string, run func(ctx context.Context, x *backend.Exec, in In) (backend.Out, error)) {
	backend.Register(backend.Call[In]{Route: route, Title: title, Who: backend.Public, Run: run})
}

// ofClient is the relying party that a client of the SDK speaks for.
func ofClient(ctx context.Context, x *backend.Exec, id apps.ClientID) (relying, error) {
	_, app, err := apps.FindClient(ctx, x.Kit.DB, id)
	if err != nil {
		return relying{}, backend.Code(err, "client_not_exist")
	}
	return party(ctx, x.Kit.DB, app, x.Kit.URL)
}

// move runs a write that answers with a body.
func move(ctx context.Context, x *backend.Exec, fn func(tx *db.Tx) (map[string]any, error)) (backend.Out, error) {
	var body map[string]any
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		body, err = fn(tx)
		return err
	})
	return backend.Out{Body: body}, err
}

type registerStart struct {
	Client  apps.ClientID `json:"client_id"`
	Name    string        `json:"username"`
	Shown   string        `json:"display_name,omitempty"`
	Timeout int           `json:"timeout,omitempty"`
	Limit   bool          `json:"limit_single_credential_to_device,omitempty"`
}

func startRegistration(ctx context.Context, x *backend.Exec, in registerStart) (backend.Out, error) {
	if err := fits(in.Name, in.Shown); err != nil || in.Name == "" {
		return backend.Out{}, badName
	}
	r, err := ofClient(ctx, x, in.Client)
	if err != nil {
		return backend.Out{}, err
	}
	return move(ctx, x, func(tx *db.Tx) (map[string]any, error) {
		return r.creation(ctx, tx, ceremony{Name: in.Name}, in.Shown, in.Timeout, in.Limit)
	})
}

var badName = backend.Code(fault.New(fault.Invalid, "A username has 1 to 320 characters, a shown name up to 64."), "system_invalid_input")

func fits(name, shown string) error {
	if len([]rune(name)) > 320 || len([]rune(shown)) > 64 {
		return badName
	}
	return nil
}

type authenticateStart struct {
	Client     apps.ClientID  `json:"client_id"`
	Name       string         `json:"username,omitempty"`
	Identifier string         `json:"identifier,omitempty"`
	Type       string         `json:"identifier_type,omitempty"` // names are told apart by themselves
	Approval   map[string]any `json:"approval_data,omitempty"`
	Timeout    int            `json:"timeout,omitempty"`
}

func startAuthentication(ctx context.Context, x *backend.Exec, in authenticateStart) (backend.Out, error) {
	if in.Name == "" {
		in.Name = in.Identifier
	}
	if err := fits(in.Name, ""); err != nil {
		return backend.Out{}, err
	}
	c := ceremony{Name: in.Name}
	if in.Approval != nil {
		data, err := journey.ApprovalData(in.Approval)
		if err != nil {
			return backend.Out{}, backend.Code(err, "system_invalid_input")
		}
		c.Approval = data
	}
	r, err := ofClient(ctx, x, in.Client)
	if err != nil {
		return backend.Out{}, err
	}
	return move(ctx, x, func(tx *db.Tx) (map[string]any, error) { return r.request(ctx, tx, c, in.Timeout) })
}

type authenticateBody struct {
	backend.Common
	Result string `json:"webauthn_encoded_result"`
}

// authenticateCall judges a result. An identifier, if there is one, must be the
// user's. The tokens of a signed approval come with what was signed.
func authenticateCall(ctx context.Context, x *backend.Exec, in authenticateBody) (backend.Out, error) {
	r, err := party(ctx, x.Kit.DB, x.App, x.Kit.URL)
	if err != nil {
		return backend.Out{}, err
	}
	var done signed
	var opened string
	p, err := x.Attempt(ctx, func(tx *db.Tx) (authn.Proof, error) {
		w, err := wantedBy(ctx, x, tx, in)
		if err != nil {
			return authn.Proof{}, err
		}
		if done, err = r.verify(ctx, tx, in.Result, w); err != nil {
			return authn.Proof{}, err
		}
		opened, err = r.finish(ctx, x, tx, done, in.SessionID)
		return done.Proof, err
	})
	if err != nil {
		return backend.Out{}, err
	}
	out := backend.Out{Proof: p, SessionID: in.SessionID}
	if opened != "" {
		out = backend.Out{Resume: true, SessionID: opened}
	}
	if done.Approval != nil {
		out.Body = map[string]any{"approval_data": done.Approval, "approval_hash": journey.ApprovalHash(done.Approval)}
	}
	return out, nil
}

func wantedBy(ctx context.Context, x *backend.Exec, tx *db.Tx, in authenticateBody) (wanted, error) {
	w := wanted{any: true}
	if in.Identifier != "" {
		u, err := x.Find(ctx, tx, in.Common)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return w, err
		}
		w.user, w.stranger = u.ID, err != nil
	}
	if in.SessionID == "" {
		return w, nil
	}
	s, err := session.Held(ctx, tx, x.App, in.SessionID)
	if err != nil {
		return w, backend.Code(err, "session_not_found")
	}
	if w.user != "" && w.user != s.User {
		w.stranger = true
	}
	w.user = s.User
	w.beside = slices.ContainsFunc(s.Proofs, func(p authn.Proof) bool { return p.Kind() != Kind })
	return w, nil
}

type externalBody struct {
	External string `json:"external_user_id"`
	Email    string `json:"user_email,omitempty"` // of a user to be made, if there is none
	Result   string `json:"webauthn_encoded_result"`
}

// registerExternal relies on the caller's word that the user is there: that is
// what its permission means. The ceremony may name the user as the caller does.
func registerExternal(ctx context.Context, x *backend.Exec, in externalBody) (backend.Out, error) {
	return registered(ctx, x, in.Result, func(tx *db.Tx, r relying) (directory.UserID, func(c ceremony) (bool, error), error) {
		u, err := x.Find(ctx, tx, external(in.External))
		if fault.Is(err, fault.NotFound) && in.Email != "" && x.May("users:create") {
			u.ID, err = newcomer(ctx, tx, x, in)
		}
		if err != nil {
			return "", nil, err
		}
		return u.ID, r.loosely(ctx, tx, u.ID), nil
	})
}

// newcomer makes the user whom a back end vouches for.
func newcomer(ctx context.Context, tx *db.Tx, x *backend.Exec, in externalBody) (directory.UserID, error) {
	id, err := directory.Create(ctx, tx, x.App.Tenant, directory.NewUser{Email: in.Email, ExternalID: in.External})
	if err != nil {
		return "", err
	}
	return id, audit.Record(ctx, tx, audit.Event{Tenant: string(x.App.Tenant), App: string(x.App.ID), Client: string(x.Client), Type: "user.created", Actor: string(x.Client), Target: string(id),
		IP: x.Address, UserAgent: x.Agent, Outcome: "success"})
}

// external names a user as a back end does.
func external(id string) backend.Common {
	return backend.Common{Identifier: id, IdentifierType: "external_user_id"}
}

// loosely is a mine for a user whom a back end vouches for: the ceremony's name is
// theirs, or nobody's.
func (r relying) loosely(ctx context.Context, q db.Q, user directory.UserID) func(c ceremony) (bool, error) {
	return func(c ceremony) (bool, error) {
		err := r.find(ctx, q, &c)
		return (c.User == user || c.User == "") && c.Ticket == "", err
	}
}

type resultBody struct {
	Result string `json:"webauthn_encoded_result"`
}

// registerOwn needs a proof of the last five minutes.
func registerOwn(ctx context.Context, x *backend.Exec, in resultBody) (backend.Out, error) {
	if err := x.Fresh(ctx); err != nil {
		return backend.Out{}, err
	}
	return registered(ctx, x, in.Result, func(tx *db.Tx, r relying) (directory.UserID, func(c ceremony) (bool, error), error) {
		return x.User, r.named(ctx, tx, x.User), nil
	})
}

// registered enrols for whom the call may enrol.
func registered(ctx context.Context, x *backend.Exec, encoded string, whom func(tx *db.Tx, r relying) (directory.UserID, func(c ceremony) (bool, error), error)) (backend.Out, error) {
	r, err := party(ctx, x.Kit.DB, x.App, x.Kit.URL)
	if err != nil {
		return backend.Out{}, err
	}
	out, err := move(ctx, x, func(tx *db.Tx) (map[string]any, error) {
		user, mine, err := whom(tx, r)
		if err != nil {
			return nil, err
		}
		id, err := r.enrol(ctx, tx, user, encoded, mine)
		if err != nil {
			return nil, err
		}
		return map[string]any{"authenticator_id": string(id), "user_id": string(user)}, record(ctx, tx, x, user)
	})
	out.Status = backend.Created
	return out, err
}

func record(ctx context.Context, tx *db.Tx, x *backend.Exec, user directory.UserID) error {
	return audit.Record(ctx, tx, audit.Event{Tenant: string(x.App.Tenant), App: string(x.App.ID), Client: string(x.Client), Type: "authenticator.registered", Actor: string(x.User), Target: string(user),
		IP: x.Address, UserAgent: x.Agent, Outcome: "success", Data: map[string]any{"kind": string(Kind)}})
}
