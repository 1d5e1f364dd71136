package session

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/token"
)

const (
	// AccessType is the "typ" of an access token (RFC 9068 2.1).
	AccessType = "at+jwt"
	// IDType is the "typ" of an identity token.
	IDType = "JWT"
	// AccessLife is how long an access token is valid.
	AccessLife = time.Hour
)

// Tokens is what a back end gets for somebody it authenticated
// (authenticators.md 0.1).
type Tokens struct {
	Access    string `json:"access_token"`
	ID        string `json:"id_token,omitempty"`
	Type      string `json:"token_type"`
	ExpiresIn int    `json:"expires_in"` // seconds
	Session   string `json:"session_id,omitempty"`
	Scope     string `json:"scope,omitempty"`
}

// UserTokens signs the tokens of a session: an access token whose session is
// looked up at each use, and an identity token for the client. extra are claims
// that the call adds to the identity token; they displace none.
func UserTokens(ctx context.Context, keys *token.Keys, issuer string, s Session, now time.Time, extra map[string]any) (Tokens, error) {
	who := map[string]any{
		"iss": issuer, "sub": string(s.User), "iat": now.Unix(), "exp": now.Add(AccessLife).Unix(), "tid": string(s.Tenant), "app_id": string(s.App), "sid": s.ID,
		"amr": authn.AMR(s.Proofs), "acr": authn.ACR(s.Proofs), "auth_time": AuthTime(s.Proofs).Unix(),
	}
	if s.Org != "" {
		who["org_id"] = string(s.Org)
	}
	access := merged(who, map[string]any{"aud": issuer, "client_id": string(s.Client), "jti": "jti_" + rand.Text()})
	id := merged(extra, merged(who, map[string]any{"aud": string(s.Client), "azp": string(s.Client)}))
	t := Tokens{Type: "Bearer", ExpiresIn: int(AccessLife / time.Second), Session: s.Bearer}
	var err error
	if t.Access, err = keys.Sign(ctx, "ES256", AccessType, access); err != nil {
		return Tokens{}, err
	}
	t.ID, err = keys.Sign(ctx, "ES256", IDType, id)
	return t, err
}

// ClientToken signs an access token of a client itself (RFC 6749 4.4) for the
// permissions it has of those it asks for; none asked means all it has. extra are
// its audience and the key it is bound to, if other than none.
func ClientToken(ctx context.Context, keys *token.Keys, issuer string, c apps.Client, app apps.App, now time.Time, scope string, extra map[string]any) (Tokens, error) {
	granted := c.Settings.Permissions
	if scope != "" {
		granted = nil
		for _, want := range strings.Fields(scope) {
			if c.Settings.May(want) {
				granted = append(granted, want)
			}
		}
	}
	t := Tokens{Type: "Bearer", ExpiresIn: int(AccessLife / time.Second), Scope: strings.Join(granted, " ")}
	var err error
	t.Access, err = keys.Sign(ctx, "ES256", AccessType, merged(map[string]any{
		"iss": issuer, "aud": issuer, "sub": string(c.ID), "client_id": string(c.ID), "app_id": string(app.ID), "tid": string(app.Tenant), "scope": t.Scope,
		"iat": now.Unix(), "exp": now.Add(AccessLife).Unix(), "jti": "jti_" + rand.Text(),
	}, extra))
	return t, err
}

// Caller is whom an access token speaks for.
type Caller struct {
	App    apps.App
	Client apps.ClientID
	Scope  []string // of a client's own token
	User   directory.UserID
	// Session is the id of the user's session, Proofs are what it is made of.
	Session string
	Proofs  []authn.Proof
}

// Authorize returns whom an access token speaks for. fault.Denied, without a
// reason, for one that does not verify, whose session has ended, whose user may
// not sign in or has left the organisation it is for, or whose client is gone.
func Authorize(ctx context.Context, q db.Q, keys *token.Keys, issuer, jwt string) (Caller, error) {
	refused := fault.New(fault.Denied, "The access token is missing or not valid.")
	claims, err := keys.Verify(ctx, jwt, token.Want{Issuer: issuer, Typ: AccessType, Audience: issuer})
	if err != nil {
		return Caller{}, hidden(err, refused)
	}
	if claims["cnf"] != nil { // bound to a key that nobody showed here
		return Caller{}, refused
	}
	text := func(name string) string { s, _ := claims[name].(string); return s }
	client, app, err := apps.FindClient(ctx, q, apps.ClientID(text("client_id")))
	if err != nil {
		return Caller{}, hidden(err, refused)
	}
	if string(app.ID) != text("app_id") || string(app.Tenant) != text("tid") {
		return Caller{}, refused
	}
	c := Caller{App: app, Client: client.ID}
	if text("sid") == "" {
		for _, granted := range strings.Fields(text("scope")) {
			if client.Settings.May(granted) { // what was taken from the client since is gone at once
				c.Scope = append(c.Scope, granted)
			}
		}
		return c, nil
	}
	s, err := Named(ctx, q, app, text("sid"))
	if err != nil {
		return Caller{}, hidden(err, refused)
	}
	if err := directory.MaySignIn(ctx, q, app.Tenant, s.User); err != nil {
		return Caller{}, hidden(err, refused)
	}
	if err := directory.ActsFor(ctx, q, app.ID, directory.OrgID(text("org_id")), s.User); err != nil {
		return Caller{}, hidden(err, refused)
	}
	c.User, c.Session, c.Proofs = s.User, s.ID, s.Proofs
	return c, nil
}

// hidden is refused instead of any refusal, and err itself if it is an outage.
func hidden(err error, refused *fault.Error) error {
	if fault.Is(err, fault.Internal) || fault.Is(err, fault.Unavailable) {
		return err
	}
	return refused.Because(err)
}

func merged(a, b map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range []map[string]any{a, b} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

func dropped(extra map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range extra {
		if !Reserved(name) {
			out[name] = v
		}
	}
	return out
}
