// Package oauth is the door for relying parties: the HTTP of OAuth 2 and OpenID
// Connect. It reads requests, keeps the cookies of a browser, and renders what
// internal/oidc decided; it decides nothing.
package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/oidc"
	"github.com/watchword-auth/watchword/internal/refusal"
	"github.com/watchword-auth/watchword/internal/web"
)

// Door is what the door needs of the house.
type Door struct {
	Kit      *kit.Kit
	Provider *oidc.Provider
	Trusted  []netip.Prefix // proxies whose Client-Cert and X-Forwarded-For count
	Refused  *refusal.Book  // keeps what clients did wrong
	// SignIn starts a run on the hosted pages.
	SignIn func(w http.ResponseWriter, r *http.Request, s journey.StartRequest, back Return) error
	Page   func(w http.ResponseWriter, r *http.Request, status int, p backend.Page)
}

// Return is what a browser that signs in came for: it comes back with the handle
// and goes to an address of the origin Leads; without one, its last page says Done.
type Return struct{ Handle, Leads, Done string }

// Routes adds the endpoints, each also where the cidaas SDKs expect it.
func Routes(mux *http.ServeMux, d Door) {
	guard := http.NewCrossOriginProtection()
	metadata := d.Provider.Metadata()
	for _, at := range []string{"GET /.well-known/openid-configuration", "GET /.well-known/oauth-authorization-server", "GET /cis/oidc/.well-known/openid-configuration"} {
		mux.HandleFunc(at, func(w http.ResponseWriter, r *http.Request) {
			shared(w, r)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "public, max-age=300")
			w.Write(metadata)
		})
	}
	mux.HandleFunc("GET /authorize", d.page(d.authorize))
	mux.HandleFunc("POST /authorize", d.page(d.authorize))
	mux.HandleFunc("GET /cis/oidc/auth", d.page(d.authorize)) // as the vendor of the journey SDKs has it
	mux.HandleFunc("POST /cis/oidc/auth", d.page(d.authorize))
	mux.HandleFunc("POST /cis/oidc/request", d.serve(d.push))
	mux.HandleFunc("GET /authorize/continue", d.page(d.goOn))
	mux.HandleFunc("GET /authorize/consent", d.page(d.askConsent))
	mux.Handle("POST /authorize/consent", guard.Handler(d.page(d.consent)))
	mux.HandleFunc("GET /device", d.page(d.device))
	mux.Handle("POST /device", guard.Handler(d.page(d.pair)))
	mux.HandleFunc("GET /session/end_session", d.page(d.leave))
	mux.Handle("POST /session/end_session", d.page(d.leave))
	mux.Handle("POST /session/end_session/confirmed", guard.Handler(d.page(d.confirmed)))
	for path, fn := range map[string]endpoint{
		"/oidc/token": d.token, "/cis/oidc/token": d.token, "/token-srv/token": d.token, "/oidc/par": d.push,
	} {
		mux.HandleFunc("POST "+path, d.offering(d.serve(fn)))
		mux.HandleFunc("OPTIONS "+path, preflight)
	}
	for path, fn := range map[string]endpoint{
		"/oidc/device_authorization": d.deviceCode, "/authz-srv/device/authz": d.deviceCode,
		"/oidc/bc-authorize": d.backchannel, "/authz-srv/ciba": d.backchannel, "/oidc/introspect": d.introspect, "/token-srv/introspect": d.introspectVendor,
		"/oidc/revoke": d.revoke, "/token-srv/revoke": d.revoke,
	} {
		mux.HandleFunc("POST "+path, d.serve(fn))
		mux.HandleFunc("OPTIONS "+path, preflight)
	}
	for _, path := range []string{"/userinfo", "/users-srv/userinfo"} {
		mux.HandleFunc("GET "+path, d.offering(d.serve(d.userinfo)))
		mux.HandleFunc("POST "+path, d.offering(d.serve(d.userinfo)))
		mux.HandleFunc("OPTIONS "+path, preflight)
	}
	// What the cidaas SDK asks by GET: a device's code, and the page where it is typed.
	mux.HandleFunc("GET /authz-srv/device/authz", d.serve(func(r *http.Request, in call) (any, error) {
		in.form = url.Values{"client_id": {r.URL.Query().Get("client_id")}, "scope": {r.URL.Query().Get("scope")}}
		in.cred.ID = in.form.Get("client_id")
		return d.deviceCode(r, in)
	}))
	mux.HandleFunc("GET /token-srv/device/verify", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/device?"+url.Values{"user_code": {r.URL.Query().Get("user_code")}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("OPTIONS /.well-known/openid-configuration", preflight)
	mux.HandleFunc("OPTIONS /.well-known/jwks.json", preflight)
}

// offering hands out the nonce that DPoP proofs may carry, and those of some clients
// must (RFC 9449 8.1), with whatever is answered.
func (d Door) offering(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("DPoP-Nonce", d.Provider.Nonce())
		h(w, r)
	}
}

// endpoint answers a request of a client; nil is an empty answer.
type endpoint func(r *http.Request, in call) (any, error)

// call is what every endpoint for clients reads first.
type call struct {
	form url.Values
	cred oidc.Credentials
	path string
}

func (d Door) serve(fn endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		shared(w, r)
		in, err := d.read(w, r)
		var out any
		if err == nil {
			out, err = fn(r, in)
		}
		if err != nil {
			d.kept(r, in.cred.ID, in.form, err)
			refuse(w, r, err, in)
			return
		}
		w.Header().Set("Pragma", "no-cache")
		status := http.StatusOK
		if c, ok := out.(created); ok {
			status, out = http.StatusCreated, c.body
		}
		if out == nil {
			out = map[string]any{}
		}
		web.Write(w, status, out, 0)
	}
}

// read takes the parameters of a form or, where SDKs send that, of flat JSON, and
// what the client says of itself. It says so in one way only (RFC 6749 2.3).
func (d Door) read(w http.ResponseWriter, r *http.Request) (call, error) {
	in := call{form: url.Values{}, path: r.URL.Path}
	if r.Method == http.MethodPost {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			var doc map[string]any
			if err := web.DecodeLoose(w, r, &doc); err != nil {
				return in, err
			}
			for name, v := range doc {
				switch v := v.(type) {
				case string:
					in.form.Set(name, v)
				case []any:
					for _, each := range v {
						if s, ok := each.(string); ok {
							in.form.Add(name, s)
						}
					}
				}
			}
		} else {
			r.Body = http.MaxBytesReader(w, r.Body, web.MaxBody)
			if err := r.ParseForm(); err != nil {
				return in, fault.New(fault.Invalid, "The form cannot be read.").Because(err)
			}
			in.form = r.PostForm
		}
	}
	in.cred = oidc.Credentials{ID: in.form.Get("client_id"), Secret: in.form.Get("client_secret"), Certificate: d.certificate(r)}
	if in.cred.Secret != "" && strings.TrimSpace(in.cred.Secret) == "" {
		in.cred.Secret = "" // what a mobile SDK sends of a client that has none
	}
	if in.form.Get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		in.cred.Assertion = in.form.Get("client_assertion")
	}
	if id, secret, ok := r.BasicAuth(); ok {
		if in.cred.Secret != "" || in.cred.Assertion != "" {
			return in, &oidc.Error{Word: "invalid_request", Text: "The client says twice who it is."}
		}
		id, secret = unescaped(id), unescaped(secret)
		if in.cred.ID != "" && in.cred.ID != id {
			return in, &oidc.Error{Word: "invalid_request", Text: "The client says who it is in two ways that differ."}
		}
		in.cred.ID, in.cred.Secret = id, secret
	}
	return in, nil
}

// unescaped undoes the form encoding within Basic (RFC 6749 2.3.1). What is no
// such encoding is taken as it is: many clients leave it out.
func unescaped(s string) string {
	if out, err := url.QueryUnescape(s); err == nil && !strings.Contains(s, "+") {
		return out
	}
	return s
}

// certificate is the thumbprint of the client certificate that a trusted proxy
// verified the possession of (RFC 9440).
func (d Door) certificate(r *http.Request) string {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	list := r.Header.Values("Client-Cert")
	if err != nil || len(list) != 1 {
		return ""
	}
	trusted := false
	for _, p := range d.Trusted {
		trusted = trusted || p.Contains(ap.Addr().Unmap())
	}
	text, ok := strings.CutPrefix(strings.TrimSuffix(list[0], ":"), ":")
	der, err := base64.StdEncoding.DecodeString(text)
	if !trusted || !ok || err != nil {
		return ""
	}
	h := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// key is what a request shows that its sender holds, if it shows anything.
func (d Door) key(r *http.Request, in call, access string) (oidc.Key, error) {
	var k oidc.Key
	var err error
	switch list := r.Header.Values("DPoP"); len(list) {
	case 0:
	case 1:
		k, err = d.Provider.Proven(r.Context(), list[0], r.Method, d.Kit.URL+r.URL.Path, access)
	default:
		err = &oidc.Error{Word: "invalid_dpop_proof", Text: "There is more than one DPoP proof."}
	}
	k.X5T = in.cred.Certificate
	return k, err
}

func (d Door) client(ctx context.Context, in call) (apps.Client, apps.App, error) {
	return d.Provider.Authenticate(ctx, in.cred)
}

// mistakes are the refusals that whoever builds a client mends; what else is refused
// happens in every day's sign-ins.
var mistakes = map[string]bool{
	"invalid_client": true, "unauthorized_client": true, "invalid_request": true, "invalid_scope": true, "invalid_target": true, "invalid_grant": true,
	"unsupported_grant_type": true, "unsupported_response_type": true, "request_uri_not_supported": true,
}

// kept has a mistake of a client stand in the record. A grant that is over is one where
// a code was redeemed: refresh tokens run out.
func (d Door) kept(r *http.Request, client string, q url.Values, err error) {
	e := oidc.Refusal(err)
	if e == nil || !mistakes[e.Word] || e.Word == "invalid_grant" && q.Get("grant_type") != apps.GrantCode {
		return
	}
	c := refusal.Call{Client: client, Reason: e.Word, Said: e.Text, Address: web.Address(r, d.Trusted).String(), Agent: r.UserAgent()}
	switch {
	case errors.Is(err, oidc.BadReturn):
		c.Reason, c.Asked = refusal.Return, q.Get("redirect_uri")
	case e.Word == "invalid_scope":
		c.Asked = q.Get("scope")
	case q.Get("grant_type") != "":
		c.Asked = q.Get("grant_type")
	}
	d.Refused.Keep(r.Context(), c)
}

// refuse renders an error as RFC 6749 5.2 wants it.
func refuse(w http.ResponseWriter, r *http.Request, err error, in call) {
	e := oidc.Refusal(err)
	if e == nil {
		f := web.Report(r, err)
		word := "server_error"
		if f.Code == fault.Unavailable {
			word = "temporarily_unavailable"
		}
		web.Write(w, web.Status(f.Code), map[string]any{"error": word, "error_description": "Something is broken on our side. Try again in a moment."}, f.RetryAfter)
		return
	}
	status := http.StatusBadRequest
	switch e.Word {
	case "invalid_client":
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="watchword"`)
	case "invalid_token":
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token", DPoP error="invalid_token"`)
	case "insufficient_scope", "access_denied":
		if strings.HasSuffix(in.path, "userinfo") {
			status = http.StatusForbidden
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
		}
	case "invalid_dpop_proof", "use_dpop_nonce":
		if strings.HasSuffix(in.path, "userinfo") {
			status = http.StatusUnauthorized
			w.Header().Set("WWW-Authenticate", `DPoP error="`+e.Word+`"`)
		}
	}
	web.Write(w, status, map[string]any{"error": e.Word, "error_description": e.Text}, e.Wait)
}

// shared lets any page read an answer. No cookie counts at these endpoints.
func shared(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" {
		web.Readable(w, "*", false)
		w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, DPoP-Nonce")
	}
}

func preflight(w http.ResponseWriter, r *http.Request) {
	shared(w, r)
	web.Preflight(w, "GET, POST", "authorization, content-type, dpop, access_token")
}
