package oidc

import (
	"context"
	"time"

	"slices"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Credentials are how a client says who it is, however they came.
type Credentials struct {
	ID          string
	Secret      string
	Assertion   string // RFC 7523
	Certificate string // base64url SHA-256 of what the proxy saw (RFC 8705)
}

// Authenticate returns the client that credentials are of. Unknown, wrong and
// otherwise are the same refusal. A client authenticates in its one way and in
// no other.
func (p *Provider) Authenticate(ctx context.Context, c Credentials) (apps.Client, apps.App, error) {
	if c.Assertion != "" && c.ID == "" {
		c.ID = issuerOf(c.Assertion)
	}
	client, app, err := apps.FindClient(ctx, p.Kit.DB, apps.ClientID(c.ID))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return client, app, err
	}
	known := err == nil
	switch method := client.AuthMethod(); {
	case c.Assertion != "":
		if !known || method != "private_key_jwt" || c.Secret != "" {
			return client, app, errClient
		}
		return client, app, p.assert(ctx, client, c.Assertion)
	case c.Secret != "":
		if known && method != "client_secret" {
			return client, app, errClient
		}
		client, app, err := apps.Authenticate(ctx, p.Kit.DB, apps.ClientID(c.ID), c.Secret)
		if err != nil {
			return client, app, refused(err, errClient)
		}
		return client, app, nil
	case known && method == "self_signed_tls_client_auth" && c.Certificate != "" && slices.Contains(client.Settings.Certificates, c.Certificate):
		return client, app, nil
	case known && method == "none":
		return client, app, nil
	}
	return client, app, errClient
}

// issuerOf is whom an assertion claims to be from. It is looked up, and believed
// only when its key verifies.
func issuerOf(jws string) string {
	f, err := parseForeign(jws)
	if err != nil {
		return ""
	}
	return text(f.unverified(), "iss")
}

// assert checks a client assertion (RFC 7523 3): signed by the client's key, from
// and about it, for us, for five minutes at most, and used once.
func (p *Provider) assert(ctx context.Context, c apps.Client, jws string) error {
	claims, err := p.byClient(ctx, c, jws, c.Settings.AssertionAlg)
	if err != nil {
		return refused(err, errClient)
	}
	now := p.Kit.DB.Now()
	exp, ok := seconds(claims, "exp")
	jti := text(claims, "jti")
	if !ok || jti == "" || text(claims, "iss") != string(c.ID) || text(claims, "sub") != string(c.ID) || !p.forUs(claims["aud"]) || !timely(claims, exp, now) {
		return errClient
	}
	if c.FAPI() && text(claims, "aud") != p.Kit.URL { // FAPI 2.0 5.3.2.1: the issuer as a string, and no endpoint of it
		return errClient
	}
	return p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		fresh, err := once(ctx, tx, "assertion/"+string(c.ID), jti, exp.Add(time.Minute))
		if err == nil && !fresh {
			return errClient
		}
		return err
	})
}

// forUs reports whether an audience is this server, by its issuer or as an
// endpoint that clients address (RFC 7523 3, OpenID Connect Core 9).
func (p *Provider) forUs(aud any) bool {
	base := p.Kit.URL
	return names(aud, base, base+"/oidc/token", base+"/oidc/par", base+"/oidc/bc-authorize", base+"/token-srv/token")
}

// timely reports whether a signed request is within its time, which is five
// minutes at most, with a minute for clocks.
func timely(claims map[string]any, exp, now time.Time) bool {
	if !now.Before(exp) || exp.Sub(now) > 6*time.Minute {
		return false
	}
	for _, name := range []string{"iat", "nbf"} {
		if at, has := seconds(claims, name); has && (at.After(now.Add(time.Minute)) || now.Sub(at) > time.Hour) {
			return false
		}
	}
	return true
}
