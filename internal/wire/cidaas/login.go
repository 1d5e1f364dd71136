package cidaas

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/oidc"
	"github.com/watchword-auth/watchword/internal/web"
)

// page draws what went wrong for a person.
func (d Door) page(fn func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := fn(w, r)
		if v, ok := err.(*ver); ok {
			err = fault.New(fault.Denied, "%s", v.text).Because(err)
		}
		if err != nil {
			d.Fail(w, r, err)
		}
	}
}

// generate begins an authorization without a browser (cidaas-protocol 2.1).
func (d Door) generate(r *http.Request, in body) (any, error) {
	q := url.Values{}
	for _, name := range []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "nonce", "state", "ui_locales", "code_challenge", "code_challenge_method", "acr_values", "max_age"} {
		if v := in.get(name); v != "" {
			q.Set(name, v)
		}
	}
	if q.Get("response_type") == "" {
		q.Set("response_type", "code")
	}
	id, err := d.hold(r.Context(), q)
	if err != nil {
		return nil, err
	}
	return map[string]any{"requestId": id, "groupname": "default", "lang": first(in.get("ui_locales"), "en-US"), "view_type": first(in.get("view_type"), "login")}, nil
}

func (d Door) hold(ctx context.Context, q url.Values) (string, error) {
	a, err := d.Provider.Read(ctx, q, oidc.Vendor)
	if err != nil {
		return "", err
	}
	id := uuid.NewString()
	return id, d.Provider.Hold(ctx, a, id)
}

// authorize begins an authorization in a browser: it is answered on the session
// that stands, or sends the browser to the page that signs in - the client's own,
// or ours.
func (d Door) authorize(w http.ResponseWriter, r *http.Request) error {
	return d.Authorize(w, r, r.URL.Query(), oidc.Vendor)
}

// signInPage signs somebody in on our own pages. It is for a request of its own
// that asks the same: whoever made the browser come here may know the handle in
// the address, and gains nothing by what is done here (security R36).
func (d Door) signInPage(w http.ResponseWriter, r *http.Request) error {
	a, err := d.Provider.Find(r.Context(), r.URL.Query().Get("requestId"))
	if err != nil {
		return err
	}
	handle := d.Provider.NewHandle()
	if err := d.Provider.Hold(r.Context(), a, handle); err != nil {
		return err
	}
	return d.SignIn(w, r, a, handle)
}

// finished are the fields of a finished flow (cidaas-protocol 2.10).
type finished struct {
	request, track  string
	status, as, sub string
}

// finished reads them. A track id is the request's and what whoever is half signed
// in shows to go on.
func (in body) finished(track string) finished {
	f := finished{in.get("requestId", "request_id"), "", in.get("status_id", "statusId"), in.get("verificationType", "verification_type"), in.get("sub", "q")}
	if request, shown, ok := strings.Cut(first(track, in.get("track_id", "trackId")), "."); ok {
		f.request, f.track = request, shown
	}
	return f
}

// prove spends the flow that was authenticated for this very request.
func (d Door) prove(f finished) func(ctx context.Context, tx *db.Tx) ([]authn.Proof, error) {
	return func(ctx context.Context, tx *db.Tx) ([]authn.Proof, error) {
		id := authn.ChallengeID(f.status)
		ch, err := authn.Recall[flow](ctx, tx, id)
		if fault.Is(err, fault.NotFound) {
			return nil, notFinished
		}
		if err != nil {
			return nil, err
		}
		if f.track != "" && f.as == "" && f.sub == "" { // who goes on by a track id alone goes on with what was begun last
			f.as, f.sub = ch.Data.As, ch.Data.Masked
		}
		if ch.Data.Party == "" || ch.Data.Party != d.Provider.Party(f.request) || ch.Data.Masked != f.sub || !strings.EqualFold(ch.Data.As, f.as) {
			return nil, notFinished
		}
		if ch.Subject.Kind == mailedLink.Kind {
			if !ch.State.Open() { // cancelled here, whatever became of the link
				return nil, notFinished
			}
			id = authn.ChallengeID(ch.Data.Ref)
		}
		p, err := authn.Redeem(ctx, tx, id)
		if err != nil {
			return nil, notFinished.because(err)
		}
		return []authn.Proof{p}, nil
	}
}

var notFinished = &ver{400, "VER_0003", "invalid_action", "Nobody was authenticated for this request, or it was used.", nil}

// login finishes in a browser: it goes back to the client with a code, or to the
// page that asks for another factor.
func (d Door) login(w http.ResponseWriter, r *http.Request) error {
	in, err := read(w, r)
	if err != nil {
		return err
	}
	f := in.finished(r.PathValue("track"))
	a, err := d.Provider.Find(r.Context(), f.request)
	if err == nil {
		f.status, err = d.latest(r.Context(), f)
	}
	if err != nil {
		return err
	}
	old, err := d.Old(r, a.App)
	if err != nil {
		return err
	}
	reply, a, need, err := d.Provider.FinishBy(r.Context(), f.request, f.track, old, oidc.NotAsked, d.prove(f))
	if err != nil {
		return err
	}
	switch need {
	case oidc.Login:
		return d.precheck(w, r, a, f.request)
	case oidc.Consent:
		return d.AskConsent(w, r, f.request)
	}
	return d.done(w, r, a, reply)
}

// latest is the flow that is finished: the one named, or the one that was begun
// last for the next factor.
func (d Door) latest(ctx context.Context, f finished) (string, error) {
	if f.status != "" || f.track == "" {
		return f.status, nil
	}
	half, err := d.Provider.Halfway(ctx, f.request)
	return string(half.Second), err
}

// done sends a browser back to its client. It keeps the session only if a page of
// the client's, or of ours, posted: no other site signs a browser in as somebody.
func (d Door) done(w http.ResponseWriter, r *http.Request, a oidc.Ask, reply oidc.Reply) error {
	origin := r.Header.Get("Origin")
	if reply.Session != "" && (origin == "" || origin == d.Kit.URL || a.Client.Admits(origin)) {
		d.Keep(w, a.App.ID, reply.Session)
	}
	if reply.Mode == "form_post" {
		return d.Send(w, r, reply)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, reply.Address(), http.StatusFound) // where we say 303 elsewhere
	return nil
}

// precheck sends a browser to the page that asks for another factor.
func (d Door) precheck(w http.ResponseWriter, r *http.Request, a oidc.Ask, request string) error {
	half, err := d.Provider.Halfway(r.Context(), request)
	if err != nil {
		return err
	}
	http.Redirect(w, r, d.Provider.SecondPage(a, request, half), http.StatusFound)
	return nil
}

// track is the track id of a request that is halfway.
func track(request string, half oidc.Half) string { return request + "." + half.Track }

// nativeLogin finishes for an app, which redeems the code itself.
func (d Door) nativeLogin(r *http.Request, in body) (any, error) {
	f := in.finished(r.PathValue("track"))
	var err error
	if f.status, err = d.latest(r.Context(), f); oidc.Refusal(err) != nil {
		err = badRequest.because(err)
	}
	if err == nil && (f.request == "" || f.status == "") {
		err = missing
	}
	if err != nil {
		return nil, err
	}
	reply, _, need, err := d.Provider.FinishBy(r.Context(), f.request, f.track, d.app(r), oidc.NotAsked, d.prove(f))
	if oidc.Refusal(err) != nil {
		if v, ok := err.(*ver); ok {
			return nil, v
		}
		return nil, badRequest.because(err)
	}
	if err != nil {
		return nil, err
	}
	if need == oidc.Login {
		half, err := d.Provider.Halfway(r.Context(), f.request)
		return map[string]any{"viewtype": "mfa_required", "track_id": track(f.request, half), "requestId": f.request, "sub": masked(d.Kit.DB, f.request, string(half.User))}, err
	}
	if need == oidc.Consent {
		return map[string]any{"viewtype": "consent", "track_id": f.request, "requestId": f.request}, nil
	}
	if word := reply.Values.Get("error"); word != "" {
		return nil, &oidc.Error{Word: word, Text: reply.Values.Get("error_description")}
	}
	return map[string]any{"code": reply.Values.Get("code"), "viewtype": "login", "grant_type": "login"}, nil
}

// app is an app that calls: it keeps no session.
func (d Door) app(r *http.Request) oidc.Visitor {
	return oidc.Visitor{Address: web.Address(r, d.Trusted).String(), Agent: r.UserAgent()}
}

// passwordLogin signs in by a password that a page of the client's posts.
func (d Door) passwordLogin(w http.ResponseWriter, r *http.Request) error {
	in, err := read(w, r)
	if err != nil {
		return err
	}
	request := in.get("requestId", "request_id")
	a, err := d.Provider.Find(r.Context(), request)
	if err != nil {
		return err
	}
	m, err := methodOf("PASSWORD", a.Client)
	if err != nil {
		return err
	}
	x := d.exec(r, a.Client, a.App)
	user := directory.UserID(stranger(in.get("username")))
	if u, err := directory.Lookup(r.Context(), d.Kit.DB, a.App.Tenant, in.get("username")); err == nil {
		user = u.ID
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	out, err := m.call(r.Context(), x, m.judge, user, map[string]any{m.code: in.get("password")})
	if f := fault.Of(err); err != nil && f.Code != fault.Internal && f.Code != fault.Unavailable {
		return fault.New(fault.Wrong, "That did not match. Go back and try again.").Because(err)
	}
	if err != nil {
		return err
	}
	old, err := d.Old(r, a.App)
	if err != nil {
		return err
	}
	reply, a, need, err := d.Provider.FinishBy(r.Context(), request, "", old, oidc.NotAsked, func(context.Context, *db.Tx) ([]authn.Proof, error) { return []authn.Proof{out.Proof}, nil })
	if err != nil {
		return err
	}
	if need == oidc.Login {
		return d.precheck(w, r, a, request)
	}
	if need == oidc.Consent {
		return d.AskConsent(w, r, request)
	}
	return d.done(w, r, a, reply)
}

// tenant is what a page of a client's shows of us: the first tenant, since
// the SDKs do not say which they mean.
func (d Door) tenant(r *http.Request, _ body) (any, error) {
	list, err := apps.Tenants(r.Context(), d.Kit.DB)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return map[string]any{"tenant_name": list[0].Name, "tenant_key": string(list[0].ID), "allowLoginWith": []string{"EMAIL", "MOBILE", "USER_NAME"}}, nil
}

// tenantName is how a tenant is called.
func (d Door) tenantName(ctx context.Context, id apps.TenantID) (string, error) {
	t, err := apps.FindTenant(ctx, d.Kit.DB, id)
	return t.Name, err
}

// public is what a page of a client's shows of the client.
func (d Door) public(r *http.Request, _ body) (any, error) {
	a, err := d.Provider.Find(r.Context(), r.PathValue("request"))
	if oidc.Refusal(err) != nil {
		return nil, badRequest.because(err)
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{"client_id": string(a.Client.ID), "client_name": a.Client.Name, "app_name": a.App.Name, "logo_uri": "", "passwordless_enabled": true, "login_providers": []any{}, "policy_uri": "", "tos_uri": "",
		"allow_login_with": []string{"EMAIL", "MOBILE", "USER_NAME"}}, nil
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
