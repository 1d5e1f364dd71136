package apps

import (
	"context"
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// ClientSettings is what an operator sets of a client. Its zero value is the
// strictest: no origin but the server's own, no redirect, no grant beyond those
// of its kind.
type ClientSettings struct {
	// Origins are the exact web origins (scheme://host[:port]) that may call
	// the SDK doors from a browser, beside those of RedirectURIs.
	Origins []string `json:"origins,omitempty" yaml:"origins,omitempty"`
	// LoopbackOrigins lets any port of 127.0.0.1, [::1] and localhost call,
	// over http or https. For development.
	LoopbackOrigins bool `json:"loopback_origins,omitempty" yaml:"loopback_origins,omitempty"`
	// RedirectURIs are where an authorization may return to, matched exactly. The
	// port of a loopback address may be "*"; a native client's loopback address
	// without a port stands for any (RFC 8252 7.3).
	RedirectURIs []string `json:"redirect_uris,omitempty" yaml:"redirect_uris,omitempty"`
	// PostLogoutURIs are where a browser may go after it was signed out.
	PostLogoutURIs []string `json:"post_logout_redirect_uris,omitempty" yaml:"post_logout_redirect_uris,omitempty"`
	// LogoutURI is told when a session ends (OpenID Connect Back-Channel Logout).
	LogoutURI string `json:"backchannel_logout_uri,omitempty" yaml:"backchannel_logout_uri,omitempty"`
	// Permissions are what a backend client may do through the identity API:
	// "resource:verb", or "resource:*".
	Permissions []string `json:"permissions,omitempty" yaml:"permissions,omitempty"`
	// Grants are what a client may ask tokens by; empty means those of its kind:
	// authorization_code and refresh_token and, for a backend client,
	// client_credentials.
	Grants []string `json:"grants,omitempty" yaml:"grants,omitempty"`
	// Scopes are what may be asked for; empty: openid, profile, email, address,
	// phone and offline_access.
	Scopes []string `json:"scopes,omitempty" yaml:"scopes,omitempty"`
	// Resources are the audiences that a client may ask tokens for (RFC 8707).
	Resources []string `json:"resources,omitempty" yaml:"resources,omitempty"`
	// DetailTypes are the types of authorization_details it may ask for (RFC 9396).
	DetailTypes []string `json:"authorization_details_types,omitempty" yaml:"authorization_details_types,omitempty"`
	// Auth is how a client says who it is at the token endpoint; empty: by its
	// secret if it is a backend, else not at all.
	Auth string `json:"token_endpoint_auth_method,omitempty" yaml:"token_endpoint_auth_method,omitempty"`
	// JWKS is the client's key set, JWKSURI where it is fetched from.
	JWKS    string `json:"jwks,omitempty" yaml:"jwks,omitempty"`
	JWKSURI string `json:"jwks_uri,omitempty" yaml:"jwks_uri,omitempty"`
	// Certificates are the SHA-256 thumbprints (base64url) of the certificates of
	// a client that shows one (RFC 8705).
	Certificates []string `json:"certificates,omitempty" yaml:"certificates,omitempty"`
	// Alg signs this client's identity tokens; empty: ES256, or RS256 for cidaas.
	Alg string `json:"id_token_signed_response_alg,omitempty" yaml:"id_token_signed_response_alg,omitempty"`
	// RequestAlg signs the requests that this client signs, AssertionAlg its
	// assertions of who it is; empty: any of Algs.
	RequestAlg   string `json:"request_object_signing_alg,omitempty" yaml:"request_object_signing_alg,omitempty"`
	AssertionAlg string `json:"token_endpoint_auth_signing_alg,omitempty" yaml:"token_endpoint_auth_signing_alg,omitempty"`
	// Profile is what the client keeps to as a whole: FAPI2, or nothing.
	Profile string `json:"profile,omitempty" yaml:"profile,omitempty"`
	// PAR, SignedRequest and DPoP refuse requests that were not pushed, not signed
	// and tokens that are not bound to a key.
	// DPoPNonce wants a nonce of ours in every proof.
	PAR           bool `json:"require_pushed_authorization_requests,omitempty" yaml:"require_pushed_authorization_requests,omitempty"`
	SignedRequest bool `json:"require_signed_request_object,omitempty" yaml:"require_signed_request_object,omitempty"`
	DPoP          bool `json:"dpop_bound_access_tokens,omitempty" yaml:"dpop_bound_access_tokens,omitempty"`
	DPoPNonce     bool `json:"require_dpop_nonce,omitempty" yaml:"require_dpop_nonce,omitempty"`
	// ThirdParty asks every user for consent.
	ThirdParty bool `json:"third_party,omitempty" yaml:"third_party,omitempty"`
	// Journey signs users in at the authorization endpoint; empty: sign_in.
	// Journeys replace it for an acr that is asked for.
	Journey  string            `json:"journey,omitempty" yaml:"journey,omitempty"`
	Journeys map[string]string `json:"acr_journeys,omitempty" yaml:"acr_journeys,omitempty"`
	// PhoneJourney sets up a phone that nobody invited, as which a native client
	// speaks; empty: mobile_app_registration.
	PhoneJourney string `json:"phone_journey,omitempty" yaml:"phone_journey,omitempty"`
	// Claims are more members of the identity token and userinfo: a name, and the
	// custom datum of the user that it shows. Reserved names are dropped.
	Claims map[string]string `json:"claims,omitempty" yaml:"claims,omitempty"`
	// CIBA is how the client learns of a backchannel request's end: poll, ping or
	// push, the latter two at Notification.
	CIBA         string `json:"backchannel_token_delivery_mode,omitempty" yaml:"backchannel_token_delivery_mode,omitempty"`
	Notification string `json:"backchannel_client_notification_endpoint,omitempty" yaml:"backchannel_client_notification_endpoint,omitempty"`
	// UserCode makes backchannel requests carry the user's own code, which is the
	// custom datum ciba_user_code.
	UserCode bool `json:"backchannel_user_code,omitempty" yaml:"backchannel_user_code,omitempty"`
	// Cidaas is set for clients that the SDKs of that vendor speak for (DESIGN
	// 2.20.7): PKCE is optional, codes may be asked for without it.
	Cidaas bool `json:"cidaas,omitempty" yaml:"cidaas,omitempty"`
	// Methods are what users of a cidaas client may sign in with there, in the
	// words of that protocol; empty: all.
	Methods []string `json:"allowed_methods,omitempty" yaml:"allowed_methods,omitempty"`
	// LoginURI is a page of the client's own that signs users in: it gets
	// interaction_id, with which the SDK starts an SSO journey, or requestId if the
	// client is a cidaas one. Empty: ours.
	LoginURI string `json:"login_uri,omitempty" yaml:"login_uri,omitempty"`
	// Implicit allows response_type=token to a cidaas client. It is what OAuth 2.1
	// took away, and the linter says so.
	Implicit bool `json:"implicit,omitempty" yaml:"implicit,omitempty"`
}

// The grants that a client may be given.
const (
	GrantCode     = "authorization_code"
	GrantRefresh  = "refresh_token"
	GrantClient   = "client_credentials"
	GrantDevice   = "urn:ietf:params:oauth:grant-type:device_code"
	GrantCIBA     = "urn:openid:params:grant-type:ciba"
	GrantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// Grants are all of them.
var Grants = []string{GrantCode, GrantRefresh, GrantClient, GrantDevice, GrantCIBA, GrantExchange}

// FAPI2 is the profile of clients of the FAPI 2.0 Security Profile: they push their
// requests, show a key instead of a secret, get tokens that are bound to a key, sign
// with nothing weaker than the profile names, and return to exactly what is
// registered.
const FAPI2 = "fapi2"

// Algs sign what clients send. None of them shares a secret. FAPIAlgs are those that
// FAPI 2.0 leaves of them (5.4.1).
var (
	Algs     = []string{"ES256", "ES384", "EdDSA", "PS256", "RS256"}
	FAPIAlgs = []string{"ES256", "EdDSA", "PS256"}
)

// FAPI reports whether the client keeps to the FAPI 2.0 Security Profile.
func (c Client) FAPI() bool { return c.Settings.Profile == FAPI2 }

// Signs reports whether the client may sign by an algorithm what it was given only
// for; empty: no one in particular.
func (c Client) Signs(alg, only string) bool {
	known := Algs
	if c.FAPI() {
		known = FAPIAlgs
	}
	return slices.Contains(known, alg) && (only == "" || only == alg)
}

// MustPush reports whether the client's authorization requests have to be pushed
// (RFC 9126).
func (c Client) MustPush() bool { return c.Settings.PAR || c.FAPI() }

// MustBind reports whether the client's tokens have to be bound to a key.
func (c Client) MustBind() bool { return c.Settings.DPoP || c.FAPI() }

// MustBeFresh reports whether the client's DPoP proofs need a nonce of ours (RFC
// 9449 8), so that none was made before.
func (c Client) MustBeFresh() bool { return c.Settings.DPoPNonce || c.FAPI() }

// MayGrant reports whether the client may ask for tokens that way.
func (c Client) MayGrant(grant string) bool {
	if len(c.Settings.Grants) > 0 {
		return slices.Contains(c.Settings.Grants, grant)
	}
	return grant == GrantCode || grant == GrantRefresh || grant == GrantClient && c.Kind == Backend
}

// AuthMethod is how the client says who it is.
func (c Client) AuthMethod() string {
	switch {
	case c.Settings.Auth != "":
		return c.Settings.Auth
	case c.Kind == Backend:
		return "client_secret"
	}
	return "none"
}

// MayScope reports whether a scope may be asked for.
func (c Client) MayScope(scope string) bool {
	if len(c.Settings.Scopes) > 0 {
		return slices.Contains(c.Settings.Scopes, scope)
	}
	return slices.Contains([]string{"openid", "profile", "email", "address", "phone", "offline_access"}, scope) || c.Settings.Cidaas && strings.HasPrefix(scope, "cidaas:")
}

// IDAlg signs the client's identity tokens.
func (c Client) IDAlg() string {
	switch {
	case c.Settings.Alg != "":
		return c.Settings.Alg
	case c.Settings.Cidaas:
		return "RS256"
	}
	return "ES256"
}

// May reports whether a permission was given, by itself or by its resource.
func (s ClientSettings) May(permission string) bool {
	resource, _, _ := strings.Cut(permission, ":")
	return slices.Contains(s.Permissions, permission) || slices.Contains(s.Permissions, resource+":*")
}

// Redirects reports whether an authorization of the client may return to an
// address: exactly one that is registered, but for the port of a loopback one.
func (c Client) Redirects(address string) bool {
	return Returnable(address) && !strings.Contains(address, ":*") && slices.ContainsFunc(c.Settings.RedirectURIs, func(have string) bool {
		return have == address || !c.FAPI() && sameLoopback(have, address, c.Kind == Native)
	})
}

// sameLoopback reports whether address is have with another port, which have
// leaves open by "*", or by none if a native client registered it.
func sameLoopback(have, address string, native bool) bool {
	open := strings.Replace(have, ":*/", "/", 1)
	if open == have && !native {
		return false
	}
	h, err := url.Parse(open)
	if err != nil || h.Scheme != "http" || h.Port() != "" || !isLoopback(h.Hostname()) {
		return false
	}
	a, err := url.Parse(address)
	if err != nil || a.Hostname() != h.Hostname() {
		return false
	}
	port := a.Port()
	if port != "" {
		port = ":" + port
	}
	host := h.Host
	return address == "http://"+host+port+strings.TrimPrefix(open, "http://"+host)
}

// Admits reports whether pages of an origin may speak for the client (security
// R80): one that is listed, or that its authorizations return to, since those
// pages are handed its codes. An origin is what browsers send, letter by letter.
func (c Client) Admits(origin string) bool {
	if slices.Contains(c.Settings.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || origin != u.Scheme+"://"+u.Host {
		return false
	}
	return c.Settings.LoopbackOrigins && isLoopback(u.Hostname()) || slices.ContainsFunc(c.Settings.RedirectURIs, func(have string) bool { return comesFrom(origin, have) })
}

// comesFrom reports whether a page at an address that an authorization returns to
// is of an origin; "*" stands for any port of this very machine.
func comesFrom(origin, address string) bool {
	open := strings.Replace(address, ":*/", "/", 1)
	u, err := url.Parse(open)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	of := u.Scheme + "://" + u.Host
	if open == address {
		return of == origin
	}
	port, ok := strings.CutPrefix(origin, of)
	return ok && (port == "" || strings.HasPrefix(port, ":"))
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && (a == netip.MustParseAddr("127.0.0.1") || a == netip.IPv6Loopback())
}

// Returnable reports whether a browser may be sent to an address at all: https,
// http on this very machine, or a private scheme of a native app, which has a dot
// in its name (RFC 8252 7.1); no fragment, no userinfo (security R60, R61).
func Returnable(address string) bool {
	if strings.ContainsAny(address, " \\\t\r\n#") {
		return false
	}
	u, err := url.Parse(strings.Replace(address, ":*/", "/", 1))
	if err != nil || u.User != nil || !u.IsAbs() {
		return false
	}
	switch u.Scheme {
	case "https":
		return u.Host != ""
	case "http":
		return isLoopback(u.Hostname())
	}
	return strings.Contains(u.Scheme, ".") && u.Scheme == strings.ToLower(u.Scheme)
}

// web reports whether an address is one that is asked over https or, on this very
// machine, http.
func web(address string) bool {
	return Returnable(address) && (strings.HasPrefix(address, "https:") || strings.HasPrefix(address, "http:")) && !strings.Contains(address, ":*")
}

// check returns fault.Invalid, naming the setting, for settings that no client may
// have.
func (c Client) check() error {
	s := c.Settings
	if err := returnable("redirect_uris", s.RedirectURIs); err != nil {
		return err
	}
	if err := returnable("post_logout_redirect_uris", s.PostLogoutURIs); err != nil {
		return err
	}
	for _, g := range s.Grants {
		if !slices.Contains(Grants, g) {
			return unset("grants", "There is no grant called %q.", g)
		}
		if (g == GrantClient || g == GrantCIBA || g == GrantExchange) && c.AuthMethod() == "none" {
			return unset("grants", "A client that cannot say who it is may not have the grant %s.", g)
		}
	}
	if !slices.Contains([]string{"none", "client_secret", "private_key_jwt", "self_signed_tls_client_auth"}, c.AuthMethod()) || c.AuthMethod() == "client_secret" && c.Kind != Backend {
		return unset("token_endpoint_auth_method", "A client cannot say who it is by %q.", c.AuthMethod())
	}
	if c.AuthMethod() == "private_key_jwt" && s.JWKS == "" && s.JWKSURI == "" {
		return unset("jwks", "private_key_jwt needs jwks or jwks_uri.")
	}
	if s.JWKS != "" && !json.Valid([]byte(s.JWKS)) {
		return unset("jwks", "jwks is not JSON.")
	}
	if !slices.Contains([]string{"", "ES256", "RS256"}, s.Alg) {
		return unset("id_token_signed_response_alg", "Identity tokens are signed by ES256 or RS256.")
	}
	if !slices.Contains([]string{"", "poll", "ping", "push"}, s.CIBA) || (s.CIBA == "ping" || s.CIBA == "push") && s.Notification == "" {
		return unset("backchannel_token_delivery_mode", "backchannel_token_delivery_mode is poll, or ping or push with a backchannel_client_notification_endpoint.")
	}
	for name, address := range map[string]string{"login_uri": s.LoginURI, "backchannel_logout_uri": s.LogoutURI, "jwks_uri": s.JWKSURI, "backchannel_client_notification_endpoint": s.Notification} {
		if address != "" && !web(address) {
			return unset(name, "%s must be https, or http on this very machine, without a fragment.", name)
		}
	}
	if s.Implicit && !s.Cidaas {
		return unset("implicit", "Tokens in an address are for cidaas clients only.")
	}
	for name, alg := range map[string]string{"request_object_signing_alg": s.RequestAlg, "token_endpoint_auth_signing_alg": s.AssertionAlg} {
		if alg != "" && !slices.Contains(Algs, alg) {
			return unset(name, "%s is one of %s.", name, strings.Join(Algs, ", "))
		}
	}
	return c.checkProfile()
}

// returnable refuses the first address of a setting to which no browser may be sent.
func returnable(name string, addresses []string) error {
	i := slices.IndexFunc(addresses, func(address string) bool { return !Returnable(address) })
	if i < 0 {
		return nil
	}
	return unset(name+"."+strconv.Itoa(i), "A browser cannot return to %q: https, or http on this very machine, without a fragment.", addresses[i])
}

// unset refuses a setting.
func unset(name, format string, args ...any) error {
	return fault.At(fault.New(fault.Invalid, format, args...), "settings."+name)
}

// checkProfile returns fault.Invalid, naming the setting, for settings that
// contradict the client's profile.
func (c Client) checkProfile() error {
	s := c.Settings
	unsafe := func(alg string) bool { return alg != "" && !slices.Contains(FAPIAlgs, alg) }
	signs := "FAPI 2.0 signs with %s."
	switch {
	case s.Profile == "":
		return nil
	case s.Profile != FAPI2:
		return unset("profile", "There is no profile called %q.", s.Profile)
	case c.AuthMethod() != "private_key_jwt" && c.AuthMethod() != "self_signed_tls_client_auth":
		return unset("token_endpoint_auth_method", "A client of FAPI 2.0 says who it is by private_key_jwt or self_signed_tls_client_auth.")
	case c.IDAlg() == "RS256":
		return unset("id_token_signed_response_alg", signs, strings.Join(FAPIAlgs, ", "))
	case unsafe(s.RequestAlg):
		return unset("request_object_signing_alg", signs, strings.Join(FAPIAlgs, ", "))
	case unsafe(s.AssertionAlg):
		return unset("token_endpoint_auth_signing_alg", signs, strings.Join(FAPIAlgs, ", "))
	case s.Cidaas:
		return unset("cidaas", "The cidaas SDKs do not keep to FAPI 2.0.")
	case s.CIBA == "push":
		return unset("backchannel_token_delivery_mode", "Tokens that are pushed are bound to no key, which FAPI 2.0 wants.")
	case slices.Contains(s.Grants, GrantExchange):
		return unset("grants", "Tokens that are exchanged are bound to no key, which FAPI 2.0 wants.")
	}
	for i, address := range s.RedirectURIs {
		if !web(address) {
			return unset("redirect_uris."+strconv.Itoa(i), "FAPI 2.0 returns to exactly one https address each, or http on this very machine: not to %q.", address)
		}
	}
	return nil
}

// MayRedirect reports whether a client of the application may be sent to an
// address.
func MayRedirect(ctx context.Context, q db.Q, app ID, address string) (bool, error) {
	list, err := Clients(ctx, q, app)
	return slices.ContainsFunc(list, func(c Client) bool { return c.Redirects(address) }), err
}
