package oidc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/message"
	"github.com/watchword-auth/watchword/internal/session"
	"github.com/watchword-auth/watchword/internal/token"
)

// Introspect says what a token is to a client of the same application (RFC 7662);
// false for one that is not good, is another application's, or that is bound to
// a key which the caller has to check by cnf.
func (p *Provider) Introspect(ctx context.Context, caller apps.App, s string) (map[string]any, bool, error) {
	if strings.HasPrefix(s, refreshMark+"_") {
		return p.introspectRefresh(ctx, caller, s)
	}
	claims, err := p.Keys.Verify(ctx, s, token.Want{Issuer: p.Kit.URL, Typ: session.AccessType})
	if err != nil {
		return nil, false, ignorable(err)
	}
	if text(claims, "app_id") != string(caller.ID) || text(claims, "tid") != string(caller.Tenant) {
		return nil, false, nil
	}
	switch {
	case text(claims, "gid") != "":
		g, err := findGrant(ctx, p.Kit.DB, text(claims, "gid"))
		if err == nil {
			err = g.alive(ctx, p.Kit.DB)
		}
		if err != nil {
			return nil, false, outage(err)
		}
	case text(claims, "sid") != "":
		s, err := session.Named(ctx, p.Kit.DB, caller, text(claims, "sid"))
		if err == nil {
			err = directory.MaySignIn(ctx, p.Kit.DB, s.Tenant, s.User)
		}
		if err == nil {
			err = directory.ActsFor(ctx, p.Kit.DB, caller.ID, directory.OrgID(text(claims, "org_id")), s.User)
		}
		if err != nil {
			return nil, false, ignorable(err)
		}
	default:
		if _, _, err := apps.FindClient(ctx, p.Kit.DB, apps.ClientID(text(claims, "client_id"))); err != nil {
			return nil, false, ignorable(err)
		}
	}
	claims["active"], claims["token_type"] = true, "Bearer"
	if cnf, _ := claims["cnf"].(map[string]any); cnf["jkt"] != nil {
		claims["token_type"] = "DPoP"
	}
	delete(claims, "gid")
	return claims, true, nil
}

func (p *Provider) introspectRefresh(ctx context.Context, caller apps.App, s string) (map[string]any, bool, error) {
	id, generation, ok := dissect(p.Kit.DB, refreshMark, s)
	if !ok {
		return nil, false, nil
	}
	g, err := findGrant(ctx, p.Kit.DB, id)
	if err == nil {
		err = g.alive(ctx, p.Kit.DB)
	}
	if err != nil || g.Generation != generation || g.App != caller.ID {
		return nil, false, outage(err)
	}
	return map[string]any{"active": true, "token_type": "refresh_token", "client_id": string(g.Client), "sub": string(g.User), "scope": strings.Join(g.Scope, " "),
		"iat": g.Created.Unix(), "exp": g.Expires.Unix(), "iss": p.Kit.URL}, true, nil
}

// outage is err if it is no refusal.
func outage(err error) error {
	if err == nil || Refusal(err) != nil {
		return nil
	}
	return err
}

// Revoke ends the grant that a token of the client came of (RFC 7009). A token
// that is not there, or not the client's, is no error.
func (p *Provider) Revoke(ctx context.Context, c apps.Client, s string) error {
	id := ""
	if strings.HasPrefix(s, refreshMark+"_") {
		id, _, _ = dissect(p.Kit.DB, refreshMark, s)
	} else if claims, err := p.Keys.Verify(ctx, s, token.Want{Issuer: p.Kit.URL, Typ: session.AccessType, Late: true}); err == nil {
		id = text(claims, "gid")
	} else if e := ignorable(err); e != nil {
		return e
	}
	if id == "" {
		return nil
	}
	return p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		g, err := findGrant(ctx, tx, id)
		if err != nil || g.Client != c.ID {
			return outage(err)
		}
		return g.revoke(ctx, tx, "asked")
	})
}

// Exchange makes an access token for another audience of one that a user gave to
// a client of the same application (RFC 8693). The new one says who acts, never
// lives longer, and is gone with the grant.
func (p *Provider) Exchange(ctx context.Context, c apps.Client, app apps.App, q url.Values) (Tokens, error) {
	const access = "urn:ietf:params:oauth:token-type:access_token"
	if q.Get("subject_token_type") != access || q.Get("actor_token") != "" || q.Get("requested_token_type") != "" && q.Get("requested_token_type") != access {
		return Tokens{}, refuse("invalid_request", "An access token is exchanged for an access token.")
	}
	if c.MustBind() {
		return Tokens{}, errUnbound
	}
	b, err := p.Check(ctx, q.Get("subject_token"), Key{})
	if err != nil || b.App != app.ID {
		return Tokens{}, refused(err, refuse("invalid_request", "The subject token is not valid here."))
	}
	if b.Claims["act"] != nil {
		return Tokens{}, refuse("invalid_request", "A token is exchanged once.")
	}
	target := append(slices.Clone(q["resource"]), q["audience"]...)
	if len(target) == 0 {
		return Tokens{}, refuse("invalid_target", "Say for whom the new token is.")
	}
	if err := resources(c, target); err != nil {
		return Tokens{}, err
	}
	scope := b.Scope
	if s := q.Get("scope"); s != "" {
		if scope, err = narrowed(b.Scope, s); err != nil {
			return Tokens{}, err
		}
	}
	claims := b.Claims
	now := p.Kit.DB.Now()
	exp, _ := seconds(claims, "exp")
	if limit := now.Add(TokenLife); exp.After(limit) {
		exp = limit
	}
	for name, v := range map[string]any{"aud": audience(target, ""), "client_id": string(c.ID), "scope": strings.Join(scope, " "), "jti": "jti_" + rand.Text(), "iat": now.Unix(),
		"exp": exp.Unix(), "act": map[string]any{"sub": string(c.ID)}} {
		claims[name] = v
	}
	jwt, err := p.Keys.Sign(ctx, "ES256", session.AccessType, claims)
	return Tokens{Access: jwt, Type: "Bearer", ExpiresIn: int(exp.Sub(now) / time.Second), Scope: strings.Join(scope, " "), Issued: access}, err
}

// LogoutJob is the kind of the job that tells a client that a session has ended.
const LogoutJob = "oidc.logout"

// Farewell is a logout token on its way (OpenID Connect Back-Channel Logout 2.5).
type Farewell struct {
	Client  apps.ClientID    `json:"client"`
	User    directory.UserID `json:"user"`
	Session string           `json:"session"`
}

// SignOut ends a session; every client that it granted something to is told.
// Grants that may outlive it stay.
func (p *Provider) SignOut(ctx context.Context, s session.Session) error {
	return p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		err := session.End(ctx, tx, s)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	})
}

// farewells queues what the clients of a session that ends are told.
func farewells(ctx context.Context, tx *db.Tx, s session.Session) error {
	list, err := inSession(ctx, tx, s.ID)
	if err != nil {
		return err
	}
	told := map[apps.ClientID]bool{}
	for _, g := range list {
		c, _, err := apps.FindClient(ctx, tx, g.Client)
		if err != nil || c.Settings.LogoutURI == "" || told[c.ID] {
			if e := ignorable(err); e != nil {
				return e
			}
			continue
		}
		told[c.ID] = true
		if err := jobs.Enqueue(ctx, tx, LogoutJob, Farewell{c.ID, g.User, s.ID}, tx.Now().Add(10*time.Minute)); err != nil {
			return err
		}
	}
	return nil
}

// LogoutToken signs what a client is told, and says where.
func (p *Provider) LogoutToken(ctx context.Context, f Farewell) (address, jwt string, err error) {
	c, _, err := apps.FindClient(ctx, p.Kit.DB, f.Client)
	if err != nil || c.Settings.LogoutURI == "" {
		return "", "", ignorable(err)
	}
	now := p.Kit.DB.Now()
	jwt, err = p.Keys.Sign(ctx, c.IDAlg(), "logout+jwt", map[string]any{
		"iss": p.Kit.URL, "aud": string(c.ID), "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": "jti_" + rand.Text(), "sub": string(f.User), "sid": f.Session,
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	})
	return c.Settings.LogoutURI, jwt, err
}

// Leaving is who wants to sign out, and where the browser goes then.
type Leaving struct {
	Client apps.Client
	App    apps.App
	User   string // of the hint; empty: nobody said who it is
	Known  bool   // the request itself says which client asks, so that To counts
	To     string
}

// Leave reads a logout request (OpenID Connect RP-Initiated Logout 2). An address
// to return to is one of the client's, or none.
func (p *Provider) Leave(ctx context.Context, q url.Values) (Leaving, error) {
	var l Leaving
	id := q.Get("client_id")
	if hint := q.Get("id_token_hint"); hint != "" {
		claims, err := p.Keys.Verify(ctx, hint, token.Want{Issuer: p.Kit.URL, Typ: session.IDType, Late: true})
		if err != nil {
			return l, refused(err, refuse("invalid_request", "id_token_hint is not an identity token of ours."))
		}
		aud := text(claims, "aud")
		if id != "" && id != aud {
			return l, refuse("invalid_request", "client_id is not the one of id_token_hint.")
		}
		id, l.User = aud, text(claims, "sub")
	} else if hint := q.Get("access_token_hint"); hint != "" {
		if claims, err := p.Keys.Verify(ctx, hint, token.Want{Issuer: p.Kit.URL, Typ: session.AccessType, Late: true}); err == nil {
			id, l.User = text(claims, "client_id"), text(claims, "sub")
		}
	}
	if id == "" {
		return l, nil
	}
	var err error
	if l.Client, l.App, err = apps.FindClient(ctx, p.Kit.DB, apps.ClientID(id)); err != nil {
		return l, refused(err, refuse("invalid_request", "The client is not known here."))
	}
	l.Known = true
	if to := q.Get("post_logout_redirect_uri"); to != "" {
		if !slices.Contains(l.Client.Settings.PostLogoutURIs, to) && !(len(l.Client.Settings.PostLogoutURIs) == 0 && l.Client.Redirects(to)) {
			return l, refuse("invalid_request", "The address to return to is not one of this client's.")
		}
		l.To = to
		if state := q.Get("state"); state != "" {
			l.To = (Reply{To: to, Values: url.Values{"state": {state}}}).Address()
		}
	}
	return l, nil
}

// Metadata is the discovery document (OpenID Connect Discovery 3, RFC 8414).
func (p *Provider) Metadata() []byte {
	base := p.Kit.URL
	auth := []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "self_signed_tls_client_auth", "none"}
	b, err := json.Marshal(map[string]any{
		"issuer": base, "authorization_endpoint": base + "/authorize", "token_endpoint": base + "/oidc/token", "userinfo_endpoint": base + "/userinfo",
		"jwks_uri": base + "/.well-known/jwks.json", "introspection_endpoint": base + "/oidc/introspect", "revocation_endpoint": base + "/oidc/revoke",
		"pushed_authorization_request_endpoint": base + "/oidc/par", "device_authorization_endpoint": base + "/oidc/device_authorization",
		"backchannel_authentication_endpoint": base + "/oidc/bc-authorize", "end_session_endpoint": base + "/session/end_session",
		"response_types_supported": []string{"code"}, "response_modes_supported": []string{"query", "fragment", "form_post"}, "grant_types_supported": apps.Grants,
		"scopes_supported": []string{"openid", "profile", "email", "address", "phone", "offline_access"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": token.Algorithms, "token_endpoint_auth_methods_supported": auth, "token_endpoint_auth_signing_alg_values_supported": apps.Algs,
		"introspection_endpoint_auth_methods_supported": auth, "revocation_endpoint_auth_methods_supported": auth,
		"introspection_endpoint_auth_signing_alg_values_supported": apps.Algs, "revocation_endpoint_auth_signing_alg_values_supported": apps.Algs,
		"code_challenge_methods_supported": []string{"S256"}, "dpop_signing_alg_values_supported": apps.Algs, "authorization_response_iss_parameter_supported": true,
		"request_parameter_supported": true, "request_uri_parameter_supported": false, "request_object_signing_alg_values_supported": apps.Algs, "claims_parameter_supported": true,
		"claims_supported":     append([]string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "sid", "org_id", "at_hash"}, slices.Sorted(maps.Keys(scopeOf))...),
		"acr_values_supported": []string{"urn:watchword:aal1", "urn:watchword:aal2"}, "prompt_values_supported": []string{"none", "login", "consent", "select_account"},
		"ui_locales_supported": message.Languages(), "display_values_supported": []string{"page"}, "claim_types_supported": []string{"normal"},
		"require_pushed_authorization_requests": false, "backchannel_logout_supported": true, "backchannel_logout_session_supported": true, "tls_client_certificate_bound_access_tokens": true,
		"backchannel_token_delivery_modes_supported": []string{"poll", "ping", "push"}, "backchannel_user_code_parameter_supported": true,
		"backchannel_authentication_request_signing_alg_values_supported": apps.Algs,
	})
	if err != nil {
		panic("oidc: " + err.Error()) // texts only
	}
	return b
}
