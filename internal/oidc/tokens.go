package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/session"
	"github.com/watchword-auth/watchword/internal/token"
)

// Tokens is the answer of the token endpoint (RFC 6749 5.1).
type Tokens struct {
	Access    string          `json:"access_token,omitempty"`
	Type      string          `json:"token_type,omitempty"` // Bearer, DPoP or, of an exchange, N_A
	ExpiresIn int             `json:"expires_in,omitempty"` // seconds
	Refresh   string          `json:"refresh_token,omitempty"`
	ID        string          `json:"id_token,omitempty"`
	Scope     string          `json:"scope"`
	Sub       string          `json:"sub,omitempty"`
	IDExpires int             `json:"id_token_expires_in,omitempty"`
	Issued    string          `json:"issued_token_type,omitempty"` // RFC 8693
	Details   json.RawMessage `json:"authorization_details,omitempty"`
	Receipt   string          `json:"approval_receipt,omitempty"` // signed: what the user was shown and approved
	AuthReq   string          `json:"auth_req_id,omitempty"`      // pushed tokens of CIBA
}

// issue signs the tokens of a grant.
func (p *Provider) issue(ctx context.Context, g grant, c apps.Client, resource []string, refresh bool) (Tokens, error) {
	now := p.Kit.DB.Now()
	t := Tokens{Type: "Bearer", ExpiresIn: int(TokenLife / time.Second), Scope: strings.Join(g.Scope, " "), Details: g.Details, Receipt: g.Receipt}
	if g.JKT != "" {
		t.Type = "DPoP"
	}
	if g.Vendor {
		t.Sub = string(g.User)
	}
	var err error
	if t.Access, err = p.access(ctx, g, c, resource, now); err != nil {
		return t, err
	}
	if refresh && c.MayGrant(apps.GrantRefresh) {
		t.Refresh = artefact(p.Kit.DB, refreshMark, g.ID, g.Generation)
	}
	if slices.Contains(g.Scope, "openid") {
		if t.ID, err = p.identity(ctx, g, c, t, now); err != nil {
			return t, err
		}
		t.IDExpires = t.ExpiresIn
	}
	return t, nil
}

// access signs an access token (RFC 9068). It is for the resources asked for,
// else for this server's userinfo and no other part of it.
func (p *Provider) access(ctx context.Context, g grant, c apps.Client, resource []string, now time.Time) (string, error) {
	if len(resource) == 0 {
		resource = g.Resource
	}
	claims := map[string]any{
		"iss": p.Kit.URL, "sub": string(g.User), "aud": audience(resource, string(c.ID)), "client_id": string(c.ID), "scope": strings.Join(g.Scope, " "), "jti": "jti_" + rand.Text(),
		"iat": now.Unix(), "exp": now.Add(TokenLife).Unix(), "auth_time": g.AuthTime, "acr": g.ACR, "amr": g.AMR, "gid": g.ID, "sid": g.Session, "tid": string(g.Tenant), "app_id": string(g.App),
	}
	if g.Org != "" {
		claims["org_id"] = string(g.Org)
	}
	if len(g.Details) > 0 {
		claims["authorization_details"] = g.Details
	}
	if cnf := g.confirmation(); cnf != nil {
		claims["cnf"] = cnf
	}
	alg := "ES256"
	if c.Settings.Cidaas {
		alg = c.IDAlg()
		maps.Copy(claims, map[string]any{"scopes": g.Scope, "roles": []string{}, "groups": []any{}, "isub": string(g.User)})
	}
	return p.Keys.Sign(ctx, alg, session.AccessType, claims)
}

// confirmation is the key that a token is bound to.
func (t terms) confirmation() map[string]any {
	switch {
	case t.JKT != "":
		return map[string]any{"jkt": t.JKT}
	case t.X5T != "":
		return map[string]any{"x5t#S256": t.X5T}
	}
	return nil
}

func audience(list []string, otherwise string) any {
	switch len(list) {
	case 0:
		return otherwise
	case 1:
		return list[0]
	}
	return list
}

// identity signs an identity token (OpenID Connect Core 2) beside other tokens.
// One that is pushed vouches for all that comes with it (CIBA 10.3.1).
func (p *Provider) identity(ctx context.Context, g grant, c apps.Client, beside Tokens, now time.Time) (string, error) {
	claims := map[string]any{}
	for name, v := range g.Claims {
		if !session.Reserved(name) {
			claims[name] = v
		}
	}
	if len(c.Settings.Claims)+len(g.Wish.ID) > 0 {
		u, err := directory.Find(ctx, p.Kit.DB, g.Tenant, g.User)
		if err != nil {
			return "", refused(err, errGrant)
		}
		custom(claims, c, u)
		if err := wished(ctx, p.Kit.DB, claims, u, g.Wish.ID); err != nil {
			return "", err
		}
	}
	maps.Copy(claims, map[string]any{
		"iss": p.Kit.URL, "sub": string(g.User), "aud": string(c.ID), "azp": string(c.ID), "iat": now.Unix(), "exp": now.Add(TokenLife).Unix(), "auth_time": g.AuthTime,
		"acr": g.ACR, "amr": g.AMR, "sid": g.Session,
	})
	if g.Org != "" {
		claims["org_id"] = string(g.Org)
	}
	if g.Nonce != "" {
		claims["nonce"] = g.Nonce
	}
	if beside.Access != "" {
		claims["at_hash"] = halfHash(beside.Access)
	}
	if g.pushed != "" {
		claims["urn:openid:params:jwt:claim:auth_req_id"] = g.pushed
		if beside.Refresh != "" {
			claims["urn:openid:params:jwt:claim:rt_hash"] = halfHash(beside.Refresh)
		}
	}
	return p.Keys.Sign(ctx, c.IDAlg(), session.IDType, claims)
}

// halfHash is how an identity token names what comes with it (OpenID Connect Core
// 3.1.3.6).
func halfHash(s string) string {
	h := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(h[:16])
}

// custom adds the client's own claims, of which none may be one of ours (R82).
func custom(claims map[string]any, c apps.Client, u directory.User) {
	for name, datum := range c.Settings.Claims {
		if v, has := u.Custom[datum]; has && !session.Reserved(name) {
			claims[name] = v
		}
	}
}

// Bearer is whom an access token of a user speaks for.
type Bearer struct {
	grant
	Claims map[string]any
	key    Key // that came with it
}

// Check returns whom an access token of ours speaks for, now: its grant lives.
// A token that is bound to a key is good with that only. invalid_token otherwise.
func (p *Provider) Check(ctx context.Context, jwt string, k Key) (Bearer, error) {
	bad := refuse("invalid_token", "The access token is missing or not valid.")
	claims, err := p.Keys.Verify(ctx, jwt, token.Want{Issuer: p.Kit.URL, Typ: session.AccessType})
	if err != nil {
		return Bearer{}, refused(err, bad)
	}
	g, err := findGrant(ctx, p.Kit.DB, text(claims, "gid"))
	if err != nil {
		return Bearer{}, refused(err, bad)
	}
	if err := g.alive(ctx, p.Kit.DB); err != nil {
		return Bearer{}, refused(err, bad)
	}
	cnf, _ := claims["cnf"].(map[string]any)
	if want := text(cnf, "jkt"); want != k.JKT {
		return Bearer{}, bad
	}
	if want := text(cnf, "x5t#S256"); want != "" && want != k.X5T {
		return Bearer{}, bad
	}
	g.Scope = strings.Fields(text(claims, "scope"))
	return Bearer{g, claims, k}, nil
}

// Here reports whether the token was made for this server. One for another
// resource is in that one's hands too, and says nothing here.
func (b Bearer) Here() bool { return names(b.Claims["aud"], string(b.Client)) }

// UserInfo is what the scopes of a token, and the claims that were asked for with it,
// let its holder know (OpenID Connect Core 5.4, 5.5).
func (p *Provider) UserInfo(ctx context.Context, b Bearer) (map[string]any, error) {
	if !b.Here() {
		return nil, refuse("invalid_token", "The access token is for somebody else.")
	}
	if !slices.Contains(b.Scope, "openid") {
		return nil, refuse("insufficient_scope", "The token was not issued for openid.")
	}
	c, _, err := apps.FindClient(ctx, p.Kit.DB, b.Client)
	if err != nil {
		return nil, refused(err, refuse("invalid_token", "The client is gone."))
	}
	if err := b.key.proves(c); err != nil {
		return nil, err
	}
	u, err := directory.Find(ctx, p.Kit.DB, b.Tenant, b.User)
	if err != nil {
		return nil, refused(err, refuse("invalid_token", "The user is gone."))
	}
	out := map[string]any{}
	custom(out, c, u)
	about, err := facts(ctx, p.Kit.DB, u, b.Scope, b.Wish.Info)
	if err != nil {
		return nil, err
	}
	maps.Copy(out, about)
	out["sub"] = string(b.User)
	if b.Org != "" {
		out["org_id"] = string(b.Org)
	}
	return out, nil
}

// ForClient signs a token of a client itself (RFC 6749 4.4).
func (p *Provider) ForClient(ctx context.Context, c apps.Client, app apps.App, scope string, resource []string, k Key) (Tokens, error) {
	if !c.MayGrant(apps.GrantClient) || c.AuthMethod() == "none" {
		return Tokens{}, refuse("unauthorized_client", "This client may not ask for tokens of its own.")
	}
	if err := resources(c, resource); err != nil {
		return Tokens{}, err
	}
	if err := k.binds(c); err != nil {
		return Tokens{}, err
	}
	extra := map[string]any{}
	if len(resource) > 0 {
		extra["aud"] = audience(resource, "")
	}
	if cnf := (terms{JKT: k.JKT, X5T: k.X5T}).confirmation(); cnf != nil {
		extra["cnf"] = cnf
	}
	s, err := session.ClientToken(ctx, p.Keys, p.Kit.URL, c, app, p.Kit.DB.Now(), scope, extra)
	t := Tokens{Access: s.Access, Type: s.Type, ExpiresIn: s.ExpiresIn, Scope: s.Scope}
	if k.JKT != "" {
		t.Type = "DPoP"
	}
	return t, err
}

// issued notes in the audit record that a grant gave tokens.
func (g grant) issued(ctx context.Context, tx *db.Tx, how string) error {
	return g.record(ctx, tx, "token.issued", how)
}
