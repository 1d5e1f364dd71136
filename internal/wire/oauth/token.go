package oauth

import (
	"net/http"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/oidc"
)

// token answers every grant (RFC 6749 3.2).
func (d Door) token(r *http.Request, in call) (any, error) {
	ctx := r.Context()
	c, app, err := d.client(ctx, in)
	if err != nil {
		return nil, err
	}
	grant := in.form.Get("grant_type")
	if !known(grant) {
		return nil, &oidc.Error{Word: "unsupported_grant_type", Text: "There is no such grant."}
	}
	if !c.MayGrant(grant) {
		return nil, &oidc.Error{Word: "unauthorized_client", Text: "This client may not ask for tokens that way."}
	}
	for name, list := range in.form {
		if len(list) > 1 && name != "resource" && name != "audience" {
			return nil, &oidc.Error{Word: "invalid_request", Text: "A parameter stands more than once."}
		}
	}
	k, err := d.key(r, in, "")
	if err != nil {
		return nil, err
	}
	q := in.form
	switch grant {
	case apps.GrantCode:
		if oidc.IsJourneyCode(q.Get("code")) {
			return d.Provider.Trade(ctx, c, app, q.Get("code"))
		}
		return d.Provider.Redeem(ctx, oidc.Redemption{Code: q.Get("code"), RedirectURI: q.Get("redirect_uri"), Verifier: q.Get("code_verifier"), Client: c, Resource: q["resource"], Key: k})
	case apps.GrantRefresh:
		return d.Provider.Refresh(ctx, oidc.Refreshing{Token: q.Get("refresh_token"), Scope: q.Get("scope"), Client: c, Resource: q["resource"], Key: k})
	case apps.GrantDevice:
		return d.Provider.Collect(ctx, c, app, q.Get("device_code"), k, d.visitor(r))
	case apps.GrantCIBA:
		return d.Provider.CollectCIBA(ctx, c, app, q.Get("auth_req_id"), k)
	case apps.GrantExchange:
		return d.Provider.Exchange(ctx, c, app, q)
	}
	return d.Provider.ForClient(ctx, c, app, q.Get("scope"), q["resource"], k)
}

func known(grant string) bool {
	for _, g := range apps.Grants {
		if g == grant {
			return true
		}
	}
	return false
}

func (d Door) push(r *http.Request, in call) (any, error) {
	c, _, err := d.client(r.Context(), in)
	if err != nil {
		return nil, err
	}
	k, err := d.key(r, in, "")
	if err != nil {
		return nil, err
	}
	at, err := d.Provider.Push(r.Context(), c, in.form, k)
	return created{map[string]any{"request_uri": at, "expires_in": int(oidc.PushedLife.Seconds())}}, err
}

func (d Door) deviceCode(r *http.Request, in call) (any, error) {
	c, _, err := d.client(r.Context(), in)
	if err != nil {
		return nil, err
	}
	return d.Provider.Device(r.Context(), c, in.form)
}

func (d Door) backchannel(r *http.Request, in call) (any, error) {
	c, app, err := d.client(r.Context(), in)
	if err != nil {
		return nil, err
	}
	if c.AuthMethod() == "none" {
		return nil, &oidc.Error{Word: "unauthorized_client", Text: "Only a client that says who it is may ask users in the background."}
	}
	return d.Provider.Ask(r.Context(), c, app, in.form)
}

func (d Door) introspect(r *http.Request, in call) (any, error) {
	c, app, err := d.client(r.Context(), in)
	if err != nil {
		return nil, err
	}
	if c.AuthMethod() == "none" {
		return nil, &oidc.Error{Word: "invalid_client", Text: "Only a client that says who it is may ask what a token is."}
	}
	claims, active, err := d.Provider.Introspect(r.Context(), app, in.form.Get("token"))
	if err != nil || !active {
		return map[string]any{"active": false}, err
	}
	return claims, nil
}

// introspectVendor is introspection as the cidaas interceptors ask for it: without
// a secret of the client, and with the scopes and roles that the token has to
// have. Who holds the token learns what stands in it.
func (d Door) introspectVendor(r *http.Request, in call) (any, error) {
	inactive := map[string]any{"active": false}
	c, app, err := apps.FindClient(r.Context(), d.Kit.DB, apps.ClientID(in.cred.ID))
	if err != nil || !c.Settings.Cidaas {
		return d.introspect(r, in)
	}
	claims, active, err := d.Provider.Introspect(r.Context(), app, in.form.Get("token"))
	if err != nil || !active {
		return inactive, err
	}
	scope, _ := claims["scope"].(string)
	for _, want := range in.form["scopes"] {
		if !strings.Contains(" "+scope+" ", " "+want+" ") {
			return inactive, nil
		}
	}
	if len(in.form["roles"])+len(in.form["groups"]) > 0 {
		return inactive, nil // nobody has any
	}
	return claims, nil
}

func (d Door) revoke(r *http.Request, in call) (any, error) {
	c, _, err := d.client(r.Context(), in)
	if err != nil {
		return nil, err
	}
	return nil, d.Provider.Revoke(r.Context(), c, in.form.Get("token"))
}

// userinfo answers the holder of an access token.
func (d Door) userinfo(r *http.Request, in call) (any, error) {
	kind, access, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(kind, "Bearer"), strings.EqualFold(kind, "DPoP"):
	case kind != "":
		access = ""
	case r.Header.Get("Access_token") != "":
		access = r.Header.Get("Access_token")
	default:
		access = in.form.Get("access_token")
	}
	k := oidc.Key{X5T: in.cred.Certificate}
	if strings.EqualFold(kind, "DPoP") {
		var err error
		if k, err = d.key(r, in, access); err != nil {
			return nil, err
		}
	}
	b, err := d.Provider.Check(r.Context(), strings.TrimSpace(access), k)
	if err != nil {
		return nil, err
	}
	return d.Provider.UserInfo(r.Context(), b)
}

// created is an answer with the status 201.
type created struct{ body any }
