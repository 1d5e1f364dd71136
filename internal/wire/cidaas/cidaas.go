// Package cidaas is the door that the cidaas SDKs knock at: their verification
// API in both its URL families, over the one machine of a challenge
// (cidaas-protocol 0, 1.2). An exchange id is a challenge and its turn, a status
// id the challenge, a request id an authorization request. The door translates
// and decides nothing.
//
// Its SDKs sign nothing (DESIGN 2.20.4): a phone is known by what it was enrolled
// with through this door. Our own phones, which sign, are asked through it and
// answer through theirs.
package cidaas

import (
	"encoding/json"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/oidc"
	"github.com/watchword-auth/watchword/internal/web"
)

// Door is what the door needs of the house.
type Door struct {
	Kit      *kit.Kit
	Provider *oidc.Provider
	Trusted  []netip.Prefix
	Stop     <-chan struct{} // closed when the server goes down: what is held is answered
	// SignIn starts a run on the hosted pages that answers the request of a handle.
	SignIn func(w http.ResponseWriter, r *http.Request, a oidc.Ask, handle string) error
	// Authorize answers an authorization request of a browser.
	Authorize func(w http.ResponseWriter, r *http.Request, q url.Values, how oidc.How) error
	// Old returns the browser that asks, with the session it has; Keep gives it
	// another.
	Old  func(r *http.Request, app apps.App) (oidc.Visitor, error)
	Keep func(w http.ResponseWriter, app apps.ID, bearer string)
	// AskConsent asks a browser whether the client of a request may know what it
	// wants to.
	AskConsent func(w http.ResponseWriter, r *http.Request, handle string) error
	// Send answers the browser with a reply for the client, Fail with what went wrong.
	Send func(w http.ResponseWriter, r *http.Request, reply oidc.Reply) error
	Fail func(w http.ResponseWriter, r *http.Request, err error)
}

// handler answers one request; nil data is 204.
type handler func(r *http.Request, in body) (data any, err error)

// Routes adds the door. Methods stand in paths in any case.
func Routes(mux *http.ServeMux, d Door) {
	add := func(fn handler, patterns ...string) {
		for _, p := range patterns {
			mux.HandleFunc(p, d.serve(fn))
		}
	}
	const v2, g3, actions = "/verification-srv/v2", "/verification-srv/authentication", "/verification-actions-srv"
	add(d.generate, "POST /authz-srv/authrequest/authz/generate")
	add(d.list, "POST "+v2+"/setup/public/configured/list", "POST /verification-srv/public/graph/user/setup")
	add(d.check, "POST "+v2+"/setup/public/configured/check/{method}")
	add(d.initiate, "POST "+v2+"/authenticate/initiate/{method}", "POST "+g3+"/{method}/initiation")
	add(d.take(authn.Created, authn.Acknowledged), "POST "+v2+"/authenticate/push_acknowledge/{method}", "POST "+g3+"/{method}/push/acknowledge")
	add(d.take(authn.Acknowledged, authn.Allowed), "POST "+v2+"/authenticate/allow/{method}", "POST "+g3+"/{method}/allow")
	add(d.deny, "POST "+v2+"/authenticate/reject/{method}", "POST "+g3+"/{method}/deny", "POST "+g3+"/{method}/reject")
	add(d.cancel, "POST "+v2+"/authenticate/cancel/{method}", "POST "+g3+"/{method}/cancel", "POST "+v2+"/setup/cancel/{method}", "POST "+actions+"/setup/{method}/cancellation")
	add(d.perform, "POST "+v2+"/authenticate/authenticate/{method}", "POST "+g3+"/{method}/verification")
	add(d.status, "POST "+v2+"/notification/status/{status}", "GET /verification-srv/verificationstatus/{status}")
	add(d.beginSetup, "POST "+v2+"/setup/initiate/{method}", "POST "+actions+"/setup/{method}/initiation", "POST "+actions+"/setup/{method}/initiate",
		"POST "+actions+"/setup/{method}/initiation/{track}", "POST "+actions+"/setup/{method}/initiate/{track}")
	add(d.scan, "POST "+v2+"/setup/scan/{method}", "POST "+actions+"/setup/{method}/scan")
	add(d.enrol, "POST "+v2+"/setup/enroll/{method}", "POST "+actions+"/setup/{method}/verification")
	add(d.pending, "POST "+v2+"/setup/device/pending/auth/list", "POST "+actions+"/setup/devices/notifications", "POST "+actions+"/setup/device/notification/list")
	add(d.onDevice, "POST "+v2+"/setup/device/configured/list", "POST "+actions+"/setup/devices", "POST "+actions+"/setup/device/list")
	add(d.rebind, "POST "+v2+"/setup/device/update/pushid", "PUT "+actions+"/setup/devices", "POST "+actions+"/setup/device/pushid", "PUT "+actions+"/setup/device/pushid")
	add(d.release, "DELETE "+v2+"/setup/device/configured/remove/{method}/{sub}", "DELETE "+actions+"/setup/devices/{method}/{sub}", "DELETE "+actions+"/setup/device/{method}/{sub}",
		"DELETE "+v2+"/setup/device/configured/removeallbydeviceid/{device}", "DELETE "+actions+"/setup/devices/{device}")
	add(d.unlink, "POST "+v2+"/manage/mfa/device/unlink", "DELETE "+actions+"/devices", "POST "+actions+"/device/unlink", "DELETE "+actions+"/device/unlink")
	add(d.linked, "POST "+v2+"/manage/mfa/device/list", "POST "+actions+"/devices", "POST "+actions+"/device/list")
	add(d.history, "POST "+v2+"/device/mfa/history", "POST "+actions+"/mfa/history", "POST "+v2+"/setup/device/authenticated/list")
	add(d.timeline, "POST "+v2+"/device/mfa/timeline", "POST "+actions+"/mfa/timeline")
	add(d.catalogue, "GET /verification-srv/config/list", "GET "+actions+"/config")
	add(d.mine, "POST "+v2+"/setup/admin/configured/list/{sub}", "GET "+actions+"/users/configurations", "GET "+actions+"/configurations/{sub}")
	add(d.befriend, "PUT "+actions+"/setup/users/friendlyname/{method}/{track}")
	add(d.tenant, "GET /public-srv/tenantinfo/basic")
	add(d.public, "GET /public-srv/public/{request}")
	add(d.nativeLogin, "POST /login-srv/verification/sdk/login", "POST /login-srv/precheck/continue/sdk/{track}")
	mux.HandleFunc("GET /authz-srv/authz", d.page(d.authorize))
	mux.HandleFunc("GET /identity/login", d.page(d.signInPage))
	mux.HandleFunc("POST /login-srv/verification/login", d.page(d.login))
	mux.HandleFunc("POST /login-srv/precheck/continue/{track}", d.page(d.login))
	mux.HandleFunc("POST /login-srv/login", d.page(d.passwordLogin))
	for _, prefix := range []string{"/verification-srv/", actions + "/", "/public-srv/", "/authz-srv/", "/login-srv/"} {
		mux.HandleFunc("OPTIONS "+prefix, preflight)
	}
}

// body is what came in: flat members as text, whatever type they had, empty ones
// absent (cidaas-protocol 2).
type body struct {
	text   map[string]string
	list   map[string][]string
	object map[string]json.RawMessage
	photo  []byte
}

// get returns the first of these members that is there.
func (b body) get(names ...string) string {
	for _, name := range names {
		if s := b.text[name]; s != "" {
			return s
		}
	}
	return ""
}

func (d Door) serve(fn handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in, err := read(w, r)
		if page := d.admit(w, r, in); page != nil {
			err = page
		}
		var data any
		if err == nil {
			data, err = fn(r, in)
		}
		switch {
		case err != nil:
			refuse(w, r, err)
		case data == nil:
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusNoContent)
		default:
			web.Write(w, http.StatusOK, map[string]any{"success": true, "status": http.StatusOK, "data": data}, 0)
		}
	}
}

func read(w http.ResponseWriter, r *http.Request) (body, error) {
	in := body{text: map[string]string{}, list: map[string][]string{}, object: map[string]json.RawMessage{}}
	kind := r.Header.Get("Content-Type")
	switch {
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded"):
		r.Body = http.MaxBytesReader(w, r.Body, web.MaxBody)
		if err := r.ParseForm(); err != nil {
			return in, malformed.because(err)
		}
		for name := range r.PostForm {
			in.text[name] = r.PostForm.Get(name)
		}
		return in, nil
	case strings.HasPrefix(kind, "multipart/form-data"):
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		return in.parts(r)
	case r.Method == http.MethodGet:
		for name := range r.URL.Query() {
			in.text[name] = r.URL.Query().Get(name)
		}
		return in, nil
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, web.MaxBody))
	if err != nil {
		return in, malformed.because(err)
	}
	if len(strings.TrimSpace(string(b))) == 0 {
		return in, nil
	}
	var doc map[string]json.RawMessage
	if err := web.Parse(b, &doc, false); err != nil {
		return in, malformed.because(err)
	}
	for name, raw := range doc {
		in.put(name, raw)
	}
	return in, nil
}

func (b body) put(name string, raw json.RawMessage) {
	var s string
	var n json.Number
	var list []string
	switch {
	case json.Unmarshal(raw, &s) == nil:
		b.text[name] = s
	case json.Unmarshal(raw, &n) == nil:
		b.text[name] = n.String()
	case json.Unmarshal(raw, &list) == nil:
		b.list[name] = list
	case len(raw) > 0 && raw[0] == '{':
		b.object[name] = raw
	}
}

// parts reads the text parts of a multipart body, and one picture.
func (b body) parts(r *http.Request) (body, error) {
	m, err := r.MultipartReader()
	if err != nil {
		return b, malformed.because(err)
	}
	for range 50 {
		var p *multipart.Part
		if p, err = m.NextPart(); err != nil {
			break
		}
		most := int64(4 << 10)
		if p.FileName() != "" {
			most = 1 << 20
		}
		content, err := io.ReadAll(io.LimitReader(p, most))
		switch {
		case err != nil:
			return b, malformed.because(err)
		case p.FileName() == "":
			b.text[p.FormName()] = string(content)
		case p.FormName() == "photo":
			b.photo = content
		}
	}
	if err != nil && err != io.EOF {
		return b, malformed.because(err)
	}
	return b, nil
}

// ver is a refusal in the words of the protocol (cidaas-protocol 2).
type ver struct {
	status           int
	code, word, text string
	cause            error
}

func (e *ver) Error() string { return e.code + ": " + e.text }
func (e *ver) Unwrap() error { return e.cause }

func (e *ver) because(err error) *ver {
	c := *e
	c.cause = err
	return &c
}

var (
	malformed     = &ver{400, "VER_0004", "invalid_payload", "The request cannot be read.", nil}
	missing       = &ver{417, "VER_0005", "data_missing", "A field that is needed is missing.", nil}
	badRequest    = &ver{400, "VER_0006", "invalid_request_id", "The request id is not known, was used, or has run out.", nil}
	insufficient  = &ver{400, "VER_0026", "insufficient_data", "The method cannot be used by this user.", nil}
	inactive      = &ver{400, "VER_0028", "method_not_active", "This method is not active here.", nil}
	configured    = &ver{409, "VER_0029", "already_configured", "The method is configured already.", nil}
	badMethod     = &ver{400, "VER_0030", "invalid_method", "There is no such method.", nil}
	badExchange   = &ver{400, "VER_0032", "invalid_exchange_id", "exchange_id is not valid, or not any more.", nil}
	lateExchange  = &ver{400, "VER_0033", "expired_exchange_id", "The request was answered or has run out.", nil}
	sameDevice    = &ver{409, "VER_0034", "device_already_configured", "This device is configured already.", nil}
	wrongDevice   = &ver{400, "VER_0040", "invalid_device", "Another device was asked.", nil}
	wrongStage    = &ver{400, "VER_0003", "invalid_action", "The request does not stand there.", nil}
	wrongCode     = &ver{400, "VER_0041", "invalid_pass_code", "That did not match.", nil}
	missingCode   = &ver{400, "VER_0046", "missing_pass_code", "The pass code is missing.", nil}
	badKey        = &ver{400, "VER_0035", "invalid_fido2_response", "That is not the answer of the ceremony that was begun.", nil}
	badStatus     = &ver{400, "VER1075", "invalid_status_id", "That is no status id.", nil}
	notSignedIn   = &ver{401, "VER_0001", "unauthorized", "The access token is missing or not valid.", nil}
	signInAgain   = &ver{403, "VER_0002", "reauthentication_required", "Sign in again first.", nil}
	badUsage      = &ver{400, "VER1004", "invalid_usage_type", "usage_type is PASSWORDLESS_AUTHENTICATION, INITIAL_AUTHENTICATION or MULTIFACTOR_AUTHENTICATION.", nil}
	noSuchPayload = &ver{400, "VER1004", "required_field_missing", "A field that is needed is missing.", nil}
	foreignPage   = &ver{403, "VER_0001", "unauthorized", "This origin may not speak for the client.", nil}
)

// refuse renders an error, flat, as every SDK reads it.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	var e *ver
	wait := time.Duration(0)
	switch v := err.(type) {
	case *ver:
		e = v
	case *oidc.Error:
		e = &ver{400, "AUTH_0001", v.Word, v.Text, nil}
	default:
		f := web.Report(r, err)
		wait = f.RetryAfter
		e = &ver{web.Status(f.Code), "VER_0000", string(f.Code), f.Message, nil}
		switch f.Code {
		case fault.Wrong, fault.Expired, fault.Denied, fault.NotFound:
			e = wrongCode.because(err)
		case fault.Internal:
			e.text = "Something is broken on our side. Try again in a moment."
		}
	}
	web.Write(w, e.status, map[string]any{"success": false, "status": e.status, "code": e.code, "error": e.word, "error_description": e.text,
		"referenceNumber": w.Header().Get("X-Request-Id")}, wait)
}

// parted is the challenge and the turn of an exchange id; badExchange for anything
// that was never issued.
func parted(q db.Q, s string) (authn.ChallengeID, string, error) {
	id, turn, ok := push.Parted(q, s)
	if !ok {
		return "", "", badExchange
	}
	return id, turn, nil
}

// held is what an exchange id looks like in answers.
func held(q db.Q, id authn.ChallengeID, turn string, until time.Time) map[string]any {
	return map[string]any{"exchange_id": push.Exchange(q, id, turn), "expires_at": until.UTC().Format("2006-01-02T15:04:05.000Z")}
}

// masked calls a user by a name that is good for one request: a UUID.
func masked(q db.Q, request, typed string) string { return oidc.Masked(q, request, typed) }

// place says where a web request came from, as far as its address tells.
func place(address string) map[string]any {
	return map[string]any{"country_short": "", "country_long": "", "region": "", "city": "", "zipcode": "", "street": "", "houseNo": "", "formattedAddress": "", "latitude": 0, "longitude": 0,
		"ip": address, "ip_no": "", "resolver": "", "status": "", "elevation": 0}
}

// maxPushID bounds what a phone calls itself: tokens of FCM have some 200 bytes.
const maxPushID = 4096

func sorted(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// mask shows enough of an address for its owner to know it.
func mask(typed string) string {
	kind := directory.Username
	if strings.Contains(typed, "@") {
		kind = directory.Email
	}
	return directory.Masked(directory.Identifier{Kind: kind, Shown: typed, Value: typed})
}

// clip cuts what is only kept and shown.
func clip(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
	if len(s) > 256 {
		return strings.ToValidUTF8(s[:256], "")
	}
	return s
}
