package password

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

func init() {
	backend.Credential("password", prepareCredential)
	call("POST /v1/users/{user_id}/password", "Give a user a first password", "users:edit", setPassword(true))
	call("PUT /v1/users/{user_id}/password", "Replace a user's password", "users:edit", setPassword(false))
	call("POST /v1/auth/password/authenticate", "Authenticate by a password", "auth:execute", authenticateCall)
	call("POST /v1/auth/password/replace", "Replace a temporary or expired password", "auth:execute", replaceCall)
	call("PUT /v1/password-dictionary", "Replace the dictionary", "apps:edit", replaceWords)
	call("POST /v1/password-dictionary/words", "Add and remove words", "apps:edit", editWords)
	call("GET /v1/password-dictionary", "List the dictionary", "apps:read", listWords)
	call("POST /v1/password-dictionary/check", "Say whether a password would be accepted", "apps:read", checkPassword)
	backend.Register(backend.Call[ownBody]{Route: "POST /v1/users/me/password-credentials", Title: "Set your first password", Who: backend.User, Run: setOwn})
}

func call[In any](route, title, needs string, run func(ctx context.Context, x *backend.Exec, in In) (backend.Out, error)) {
	backend.Register(backend.Call[In]{Route: route, Title: title, Needs: needs, Run: run})
}

// passwordBody is a password that somebody else chooses: temporary unless
// force_replace is false.
type passwordBody struct {
	Password   string `json:"password,omitempty"`
	Hash       string `json:"password_hash,omitempty"` // of another system, instead
	Force      *bool  `json:"force_replace,omitempty"`
	Complexity *bool  `json:"enforce_complexity,omitempty"`
}

func (b passwordBody) temporary() bool { return b.Force == nil || *b.Force }

func (b passwordBody) prepare(ctx context.Context, x *backend.Exec, u directory.User) (Fresh, error) {
	if b.Hash != "" {
		return Imported(b.Hash)
	}
	lax := b.Complexity != nil && !*b.Complexity && b.temporary()
	return Prepare(ctx, x.Kit.DB, x.App, u, b.Password, lax)
}

func prepareCredential(ctx context.Context, x *backend.Exec, raw json.RawMessage) (func(ctx context.Context, tx *db.Tx, u directory.User) error, error) {
	var b passwordBody
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, fault.New(fault.Invalid, "The credentials are not what was expected.").Because(err)
	}
	f, err := b.prepare(ctx, x, directory.User{})
	return func(ctx context.Context, tx *db.Tx, u directory.User) error {
		_, err := Set(ctx, tx, x.Subject(Kind, u.ID), f, b.temporary(), true)
		return err
	}, err
}

func setPassword(first bool) func(ctx context.Context, x *backend.Exec, in passwordBody) (backend.Out, error) {
	return func(ctx context.Context, x *backend.Exec, in passwordBody) (backend.Out, error) {
		u, err := x.UserIn(ctx, x.Kit.DB, "user_id")
		if err != nil {
			return backend.Out{}, err
		}
		f, err := in.prepare(ctx, x, u)
		if err != nil {
			return backend.Out{}, err
		}
		err = x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
			if _, err := Set(ctx, tx, x.Subject(Kind, u.ID), f, in.temporary(), first); err != nil {
				return err
			}
			return record(ctx, tx, x, "password.set", u.ID)
		})
		return backend.Out{Status: backend.Created}, err
	}
}

func record(ctx context.Context, tx *db.Tx, x *backend.Exec, what string, user directory.UserID) error {
	return audit.Record(ctx, tx, audit.Event{Tenant: string(x.App.Tenant), App: string(x.App.ID), Client: string(x.Client), Type: what, Target: string(user), IP: x.Address,
		UserAgent: x.Agent, Outcome: "success"})
}

type ownBody struct {
	Password string `json:"password"`
}

// setOwn needs a proof of the last five minutes, and that there is no password.
func setOwn(ctx context.Context, x *backend.Exec, in ownBody) (backend.Out, error) {
	if !slices.ContainsFunc(x.Proofs, func(p authn.Proof) bool { return x.Kit.DB.Now().Sub(p.At()) <= 5*time.Minute }) {
		return backend.Out{}, backend.Code(fault.New(fault.Denied, "Sign in again first."), "reauthentication_required")
	}
	u, err := directory.Find(ctx, x.Kit.DB, x.App.Tenant, x.User)
	if err != nil {
		return backend.Out{}, err
	}
	f, err := Prepare(ctx, x.Kit.DB, x.App, u, in.Password, false)
	if err != nil {
		return backend.Out{}, err
	}
	return backend.Out{Status: backend.Created}, x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		_, err := Set(ctx, tx, x.Subject(Kind, u.ID), f, false, true)
		if fault.Is(err, fault.Conflict) {
			err = backend.Code(fault.New(fault.Denied, "There is a password already."), "auth_password_already_configured")
		}
		return err
	})
}

type authBody struct {
	backend.Common
	Username string `json:"username,omitempty"` // as older callers name it
	Password string `json:"password"`
}

func (b *authBody) settle() {
	if b.Identifier == "" && b.Username != "" {
		b.Identifier, b.IdentifierType = b.Username, "username"
	}
}

// judge checks a password and settles it, in one go.
func judge(ctx context.Context, x *backend.Exec, in authBody) (p authn.Proof, state State, user directory.User, err error) {
	in.settle()
	user, err = x.Find(ctx, x.Kit.DB, in.Common)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return p, "", user, err
	}
	c, err := Check(ctx, x.Kit.DB, x.Subject(Kind, user.ID), err, in.Identifier, in.Password)
	if err != nil {
		return p, "", user, err
	}
	p, err = x.Attempt(ctx, func(tx *db.Tx) (p authn.Proof, err error) {
		p, state, err = c.Settle(ctx, tx, x.App.Tenant, x.App.ID)
		return p, err
	})
	return p, state, user, err
}

func mustReplace(s State) error {
	return backend.Code(fault.New(fault.Denied, "The password must be replaced."), "auth_password_"+string(s))
}

func authenticateCall(ctx context.Context, x *backend.Exec, in authBody) (backend.Out, error) {
	p, state, _, err := judge(ctx, x, in)
	if err == nil && state != Good {
		err = mustReplace(state)
	}
	return backend.Out{Proof: p, SessionID: in.SessionID}, err
}

type replaceBody struct {
	authBody
	New string `json:"new_password"`
}

// replaceCall takes the old password, whatever its state, for a new one.
func replaceCall(ctx context.Context, x *backend.Exec, in replaceBody) (backend.Out, error) {
	_, _, u, err := judge(ctx, x, in.authBody)
	if err != nil {
		return backend.Out{}, err
	}
	f, err := Prepare(ctx, x.Kit.DB, x.App, u, in.New, false)
	if err != nil {
		return backend.Out{}, err
	}
	p, err := x.Attempt(ctx, func(tx *db.Tx) (authn.Proof, error) {
		s := x.Subject(Kind, u.ID)
		id, err := Set(ctx, tx, s, f, false, false)
		if err != nil {
			return authn.Proof{}, err
		}
		if err := record(ctx, tx, x, "password.changed", u.ID); err != nil {
			return authn.Proof{}, err
		}
		return proven(ctx, tx, s, id)
	})
	return backend.Out{Proof: p, SessionID: in.SessionID}, err
}

type wordsBody struct {
	Words []string `json:"words"`
}

// folded are words as they are compared: 3 to 64 letters and digits.
func folded(words []string) ([]string, error) {
	out := make([]string, 0, len(words))
	for _, w := range words {
		f := fold(w)
		if n := len([]rune(f)); n < 3 || n > 64 {
			return nil, fault.New(fault.Invalid, "A word has 3 to 64 letters and digits.")
		}
		out = append(out, f)
	}
	return out, nil
}

func replaceWords(ctx context.Context, x *backend.Exec, in backend.Raw) (backend.Out, error) {
	words := strings.Fields(string(in.Body))
	if in.Type == "application/json" {
		var b wordsBody
		if err := json.Unmarshal(in.Body, &b); err != nil {
			return backend.Out{}, fault.New(fault.Invalid, "The words are not a list.")
		}
		words = b.Words
	}
	list, err := folded(words)
	if err != nil {
		return backend.Out{}, err
	}
	return backend.Out{Status: backend.NoContent}, x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		if err := authn.RemoveWords(ctx, tx, x.App.ID, nil); err != nil {
			return err
		}
		return authn.AddWords(ctx, tx, x.App.ID, list)
	})
}

type editBody struct {
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

func editWords(ctx context.Context, x *backend.Exec, in editBody) (backend.Out, error) {
	add, err := folded(in.Add)
	if err != nil {
		return backend.Out{}, err
	}
	remove := make([]string, 0, len(in.Remove))
	for _, w := range in.Remove {
		remove = append(remove, fold(w))
	}
	return backend.Out{Status: backend.NoContent}, x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		if err := authn.RemoveWords(ctx, tx, x.App.ID, remove); err != nil {
			return err
		}
		return authn.AddWords(ctx, tx, x.App.ID, add)
	})
}

func listWords(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	const page = 1000
	list, err := authn.Words(ctx, x.Kit.DB, x.App.ID, x.Path("cursor"), page)
	body := map[string]any{"result": list}
	if len(list) == page {
		body["next_cursor"] = list[page-1]
	}
	return backend.Out{Body: body}, err
}

func checkPassword(ctx context.Context, x *backend.Exec, in ownBody) (backend.Out, error) {
	_, err := Prepare(ctx, x.Kit.DB, x.App, directory.User{}, in.Password, false)
	if c, ok := err.(*backend.Coded); ok {
		return backend.Out{Body: map[string]any{"allowed": false, "reasons": []string{c.Word}, "message": c.Fault.Message}}, nil
	}
	return backend.Out{Body: map[string]any{"allowed": true, "reasons": []string{}}}, err
}
