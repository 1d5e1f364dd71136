package password

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/session"
)

func init() {
	backend.Credential("password", prepareCredential)
	call("POST /v1/users/{user_id}/password", "Give a user a first password", "users:edit", setPassword(true))
	call("PUT /v1/users/{user_id}/password", "Replace a user's password", "users:edit", setPassword(false))
	call("POST /v1/auth/password/authenticate", "Authenticate by a password", "auth:execute", authenticateCall)
	call("POST /v1/auth/password/replace", "Replace a temporary or expired password", "auth:execute", replaceCall)
	call("POST /v1/auth/password/reset/{channel}/otp/send", "Send a code to reset a password", "auth:execute", sendResetCall)
	call("POST /v1/auth/password/reset/email/link/send", "Mail a link to reset a password", "auth:execute", sendLinkCall)
	call("POST /v1/auth/password/reset/{channel}/otp/validate", "Exchange a code for a reset token", "auth:execute", exchangeCall)
	call("POST /v1/auth/password/reset", "Reset a password by a token", "auth:execute", resetCall)
	call("PUT /v1/password-dictionary", "Replace the dictionary", "apps:edit", replaceWords)
	call("POST /v1/password-dictionary/words", "Add and remove words", "apps:edit", editWords)
	call("GET /v1/password-dictionary", "List the dictionary", "apps:read", listWords)
	backend.Asks("GET /v1/password-dictionary", "cursor")
	call("POST /v1/password-dictionary/check", "Say whether a password would be accepted", "apps:read", checkPassword)
	backend.Register(backend.Call[ownBody]{Route: "POST /v1/users/me/password-credentials", Title: "Set your first password", Who: backend.User, Run: setOwn(true)})
	backend.Register(backend.Call[ownBody]{Route: "PUT /v1/users/me/password-credentials", Title: "Choose another password", Who: backend.User, Run: setOwn(false)})
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

// setOwn needs proofs of the last five minutes and, for a first password, that
// there is none. Another one ends the user's sessions in the application.
func setOwn(only bool) func(ctx context.Context, x *backend.Exec, in ownBody) (backend.Out, error) {
	return func(ctx context.Context, x *backend.Exec, in ownBody) (backend.Out, error) {
		if err := x.Fresh(ctx); err != nil {
			return backend.Out{}, err
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
			_, err := Set(ctx, tx, x.Subject(Kind, u.ID), f, false, only)
			if fault.Is(err, fault.Conflict) && only {
				err = backend.Code(fault.New(fault.Denied, "There is a password already."), "auth_password_already_configured")
			}
			return err
		})
	}
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
func judge(ctx context.Context, x *backend.Exec, in authBody) (p authn.Proof, c Checked, user directory.User, err error) {
	in.settle()
	var state State
	user, err = x.Find(ctx, x.Kit.DB, in.Common)
	if c, err = Check(ctx, x.Kit.DB, x.Subject(Kind, user.ID), err, in.Identifier, in.Password); err != nil {
		return p, c, user, err
	}
	p, err = x.Attempt(ctx, func(tx *db.Tx) (p authn.Proof, err error) {
		p, state, err = c.Settle(ctx, tx) // not into c: this may run again
		return p, err
	})
	c.state = state
	return p, c, user, err
}

func mustReplace(s State) error {
	return backend.Code(fault.New(fault.Denied, "The password must be replaced."), "auth_password_"+string(s))
}

func authenticateCall(ctx context.Context, x *backend.Exec, in authBody) (backend.Out, error) {
	p, c, _, err := judge(ctx, x, in)
	if err == nil && c.state != Good {
		err = mustReplace(c.state)
	}
	return backend.Out{Proof: p, SessionID: in.SessionID}, err
}

type replaceBody struct {
	authBody
	New string `json:"new_password"`
}

// replaceCall takes the old password, whatever its state, for a new one.
func replaceCall(ctx context.Context, x *backend.Exec, in replaceBody) (backend.Out, error) {
	_, c, u, err := judge(ctx, x, in.authBody)
	if err != nil {
		return backend.Out{}, err
	}
	f, err := Prepare(ctx, x.Kit.DB, x.App, u, in.New, false)
	if err != nil {
		return backend.Out{}, err
	}
	p, err := x.Attempt(ctx, func(tx *db.Tx) (authn.Proof, error) {
		s := x.Subject(Kind, u.ID)
		id, err := c.Renew(ctx, tx, f)
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

// channels are the vendor's words for where a reset is sent.
var channels = map[string]directory.IdentifierKind{"email": directory.Email, "sms": directory.Phone}

// resetBody names whose password it is; the vendor has the address alone.
type resetBody struct {
	backend.Common
	Email    string `json:"email,omitempty"`
	Phone    string `json:"phone_number,omitempty"`
	Passcode string `json:"passcode,omitempty"`
	Language string `json:"language,omitempty"`
}

func (b *resetBody) settle(x *backend.Exec) (directory.IdentifierKind, error) {
	via, ok := channels[x.Path("channel")]
	if !ok {
		return "", fault.New(fault.NotFound, "A reset goes by email or sms.")
	}
	switch {
	case b.Identifier != "":
	case via == directory.Phone:
		b.Identifier, b.IdentifierType = b.Phone, "phone_number"
	default:
		b.Identifier, b.IdentifierType = b.Email, "email"
	}
	return via, nil
}

// sendResetCall says the same of everybody, also of who does not exist.
func sendResetCall(ctx context.Context, x *backend.Exec, in resetBody) (backend.Out, error) {
	via, err := in.settle(x)
	if err != nil {
		return backend.Out{}, err
	}
	err = x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.Find(ctx, tx, in.Common)
		return SendReset(ctx, tx, u, err, Asked{App: x.App, Typed: in.Identifier, Via: via, Language: in.Language})
	})
	return backend.Out{Body: map[string]any{"message": "If there is such a user, a code is on its way."}}, err
}

type linkBody struct {
	resetBody
	Redirect string `json:"redirect_uri,omitempty"` // the page that asks for the new password; empty: this server's
}

// sendLinkCall says the same of everybody, also of who does not exist.
func sendLinkCall(ctx context.Context, x *backend.Exec, in linkBody) (backend.Out, error) {
	if in.Identifier == "" {
		in.Identifier, in.IdentifierType = in.Email, "email"
	}
	if in.Redirect != "" {
		if ok, err := apps.MayRedirect(ctx, x.Kit.DB, x.App.ID, in.Redirect); err != nil {
			return backend.Out{}, err
		} else if !ok {
			return backend.Out{}, backend.Code(fault.New(fault.Invalid, "No client of this application may be sent to this address."), "system_invalid_input")
		}
	}
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.Find(ctx, tx, in.Common)
		return SendReset(ctx, tx, u, err, Asked{App: x.App, Typed: in.Identifier, Via: directory.Email, Language: in.Language, Base: x.Kit.URL, Return: in.Redirect})
	})
	return backend.Out{Body: map[string]any{"message": "If there is such a user, a link is on its way."}}, err
}

func exchangeCall(ctx context.Context, x *backend.Exec, in resetBody) (backend.Out, error) {
	if _, err := in.settle(x); err != nil {
		return backend.Out{}, err
	}
	var token string
	_, err := x.Attempt(ctx, func(tx *db.Tx) (_ authn.Proof, err error) {
		u, err := x.Find(ctx, tx, in.Common)
		if err != nil {
			return authn.Proof{}, authn.Unknown(ctx, tx, err, Kind, x.App.Tenant, x.App.ID, in.Identifier)
		}
		token, err = Exchange(ctx, tx, x.Subject(Kind, u.ID), in.Passcode)
		return authn.Proof{}, err
	})
	return backend.Out{Body: map[string]any{"result": token}}, tooLate(err)
}

func tooLate(err error) error {
	if fault.Is(err, fault.Expired) {
		return backend.Code(err, "auth_otp_passcode_expired")
	}
	return err
}

type redeemBody struct {
	Token     string `json:"reset_token"`
	New       string `json:"new_password"`
	SessionID string `json:"session_id,omitempty"` // of another factor, where the settings demand one
}

// resetCall signs nobody in.
func resetCall(ctx context.Context, x *backend.Exec, in redeemBody) (backend.Out, error) {
	given, id := Given{Password: in.New}.WithToken(in.Token)
	if in.SessionID != "" {
		s, err := session.Held(ctx, x.Kit.DB, x.App, in.SessionID)
		if err != nil {
			return backend.Out{}, err
		}
		given.Proofs = s.Proofs
	}
	u, err := directory.Find(ctx, x.Kit.DB, x.App.Tenant, id)
	r, err := Redeem(ctx, x.Kit.DB, x.App, u, err, given)
	if err != nil {
		return backend.Out{}, err
	}
	_, err = x.Attempt(ctx, func(tx *db.Tx) (authn.Proof, error) {
		if _, err := r.Settle(ctx, tx); err != nil {
			return authn.Proof{}, err
		}
		return authn.Proof{}, record(ctx, tx, x, "password.reset", u.ID)
	})
	return backend.Out{Status: backend.NoContent}, tooLate(err)
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
	after, err := x.After("words")
	if err != nil {
		return backend.Out{}, err
	}
	list, err := authn.Words(ctx, x.Kit.DB, x.App.ID, after, page+1)
	body := map[string]any{"result": list[:min(len(list), page)]}
	if len(list) > page {
		body["next_cursor"] = x.Cursor("words", list[page-1])
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
