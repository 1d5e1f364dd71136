package adminapi

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// The ceremonies are those of the table of back-end calls, as anybody's are.
const ceremonies = "POST /v1/auth/webauthn/"

// Ceremony is what a browser needs for one: the options as WebAuthn Level 3 has
// them in JSON, and what names the ceremony afterwards.
type Ceremony struct {
	Options map[string]any `json:"options"`
	Ticket  string         `json:"ticket"`
}

type ceremonyIn struct {
	Body struct {
		Ticket     string         `json:"ticket" maxLength:"200"`
		Credential map[string]any `json:"credential" doc:"PublicKeyCredential.toJSON()"`
	}
}

// exec is the console as a caller of the table.
func (c *Call) exec() *backend.Exec {
	return &backend.Exec{Kit: c.Kit, App: administrator.Application(), Client: administrator.Client, User: c.Who.User, Proofs: c.Who.Proofs,
		Address: c.address(), Agent: c.r.UserAgent(), Origin: c.r.Header.Get("Origin")}
}

// ceremony begins one and returns its options with binary members as browsers'
// parse…FromJSON wants them.
func (c *Call) ceremony(ctx context.Context, call, member string, in map[string]any) (*body[Ceremony], error) {
	in["client_id"] = string(administrator.Client)
	out, err := backend.Do(ctx, ceremonies+call, c.exec(), in)
	if err != nil {
		return nil, err
	}
	var made map[string]any
	if err := json.Unmarshal([]byte(db.Text(out.Body)), &made); err != nil {
		return nil, err
	}
	options, _ := made[member].(map[string]any)
	ticket, _ := made["webauthn_session_id"].(string)
	urlSafe(options, "challenge")
	if user, ok := options["user"].(map[string]any); ok {
		urlSafe(user, "id")
	}
	for _, name := range []string{"allowCredentials", "excludeCredentials"} {
		rows, _ := options[name].([]any)
		for _, row := range rows {
			if d, ok := row.(map[string]any); ok {
				urlSafe(d, "id")
			}
		}
	}
	if selection, ok := options["authenticatorSelection"].(map[string]any); ok { // nobody types a name at the console
		selection["residentKey"], selection["requireResidentKey"] = "required", true
	}
	return answer(Ceremony{options, ticket}), nil
}

func urlSafe(doc map[string]any, name string) {
	text, _ := doc[name].(string)
	if b, err := base64.StdEncoding.DecodeString(text); err == nil {
		doc[name] = base64.RawURLEncoding.EncodeToString(b)
	}
}

// encoded is the answer of a ceremony as the table takes it.
func (in *ceremonyIn) encoded() string {
	return base64.StdEncoding.EncodeToString([]byte(db.Text(map[string]any{"webauthnSessionId": in.Body.Ticket, "publicKeyCredential": in.Body.Credential})))
}

func startPasskey(ctx context.Context, c *Call, _ *empty) (*body[Ceremony], error) {
	return c.ceremony(ctx, "authenticate/start", "credential_request_options", map[string]any{})
}

// proved judges the answer of a ceremony.
func (c *Call) proved(ctx context.Context, in *ceremonyIn) (authn.Proof, error) {
	out, err := backend.Do(ctx, ceremonies+"authenticate", c.exec(), map[string]any{"webauthn_encoded_result": in.encoded()})
	if err == nil && out.Proof.User() == "" {
		err = fault.New(fault.Denied, "The passkey proved nobody.")
	}
	return out.Proof, err
}

func signInByPasskey(ctx context.Context, c *Call, in *ceremonyIn) (*body[Session], error) {
	p, err := c.proved(ctx, in)
	if err != nil {
		return nil, err
	}
	return c.signIn(ctx, func(tx *db.Tx) (authn.Proof, error) { return p, administrator.Confirm(ctx, tx, p.User()) })
}

func stepUp(ctx context.Context, c *Call, in *ceremonyIn) (*body[Session], error) {
	p, err := c.proved(ctx, in)
	if err != nil {
		return nil, err
	}
	err = c.write(ctx, func(tx *db.Tx) (string, error) {
		if err := administrator.StepUp(ctx, tx, c.Who, p); err != nil {
			return "", err
		}
		if err := administrator.Confirm(ctx, tx, c.Who.User); err != nil {
			return "", err
		}
		return string(c.Who.User), nil
	})
	if err != nil {
		return nil, err
	}
	if c.Who, err = administrator.Recall(ctx, c.Kit.DB, c.Who.Bearer); err != nil {
		return nil, err
	}
	return getSession(ctx, c, nil)
}

// Passkey is one of the administrator's own.
type Passkey struct {
	ID        string `json:"id"`
	Label     string `json:"label"`
	CreatedAt Stamp  `json:"created_at"`
	UsedAt    Stamp  `json:"used_at"`
}

func (c *Call) subject() authn.Subject {
	return authn.Subject{Tenant: apps.ConsoleTenant, App: administrator.App, User: c.Who.User}
}

func myPasskeys(ctx context.Context, c *Call, _ *empty) (*list[Passkey], error) {
	have, err := authn.Authenticators(ctx, c.Kit.DB, apps.ConsoleTenant, administrator.App, c.Who.User)
	if err != nil {
		return nil, err
	}
	var out []Passkey
	for _, a := range have {
		if a.ID != string(a.Kind) { // what needs no enrolment is none
			out = append(out, Passkey{a.ID, a.Label, Stamp(a.CreatedAt), Stamp(a.UsedAt)})
		}
	}
	return items(out), nil
}

// mayEnrol lets an administrator add a passkey who proved themselves a moment
// ago, or who came by a one-time link and has nothing else yet.
func (c *Call) mayEnrol() error {
	if c.freshUntil().IsZero() && !c.needsPasskey() {
		return stepUpRequired
	}
	return nil
}

func startMyPasskey(ctx context.Context, c *Call, _ *empty) (*body[Ceremony], error) {
	if err := c.mayEnrol(); err != nil {
		return nil, err
	}
	name, err := directory.Label(ctx, c.Kit.DB, c.Who.User)
	if err != nil {
		return nil, err
	}
	shown := []rune(c.Who.Who.Name)
	return c.ceremony(ctx, "register/start", "credential_creation_options", map[string]any{
		"username": name, "display_name": string(shown[:min(len(shown), 64)]), "limit_single_credential_to_device": true})
}

type enrolIn struct {
	Body struct {
		Ticket     string         `json:"ticket" maxLength:"200"`
		Credential map[string]any `json:"credential" doc:"PublicKeyCredential.toJSON()"`
		Label      string         `json:"label,omitempty" maxLength:"100"`
	}
}

func addMyPasskey(ctx context.Context, c *Call, in *enrolIn) (*body[Passkey], error) {
	if err := c.mayEnrol(); err != nil {
		return nil, err
	}
	x := c.exec()
	x.Vouched = true // by mayEnrol
	answered := ceremonyIn{}
	answered.Body.Ticket, answered.Body.Credential = in.Body.Ticket, in.Body.Credential
	made, err := backend.Do(ctx, ceremonies+"register", x, map[string]any{"webauthn_encoded_result": answered.encoded()})
	if err != nil {
		return nil, err
	}
	doc, _ := made.Body.(map[string]any)
	id, _ := doc["authenticator_id"].(string)
	err = c.write(ctx, func(tx *db.Tx) (string, error) {
		if in.Body.Label == "" {
			return id, nil
		}
		return id, authn.Rename(ctx, tx, c.subject(), authn.CredentialID(id), in.Body.Label)
	})
	if err != nil {
		return nil, err
	}
	all, err := myPasskeys(ctx, c, nil)
	if err != nil {
		return nil, err
	}
	for _, p := range all.Body.Items {
		if p.ID == id {
			return answer(p), nil
		}
	}
	return nil, fault.New(fault.NotFound, "no such passkey")
}

type passkeyIn struct {
	ID string `path:"id"`
}

func removeMyPasskey(ctx context.Context, c *Call, in *passkeyIn) (*empty, error) {
	return nil, c.write(ctx, func(tx *db.Tx) (string, error) {
		if err := authn.Delete(ctx, tx, c.subject(), authn.CredentialID(in.ID), false); err != nil {
			return "", err
		}
		return in.ID, administrator.EndOthers(ctx, tx, c.Who)
	})
}
