package oauth

import (
	"cmp"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/oidc"
	"github.com/watchword-auth/watchword/internal/web"
)

// page draws what went wrong for a person.
func (d Door) page(fn func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := fn(w, r); err != nil {
			d.Fail(w, r, err)
		}
	}
}

// Fail draws what went wrong for a person.
func (d Door) Fail(w http.ResponseWriter, r *http.Request, err error) {
	p := backend.Page{App: "Watchword", Title: "This did not work", Text: "Something is broken on our side. Try again in a moment.", Verdict: "no"}
	if e := oidc.Refusal(err); e != nil {
		p.Text = e.Text
		d.Page(w, r, http.StatusBadRequest, p)
		return
	}
	d.Page(w, r, web.Status(web.Report(r, err).Code), p)
}

// authorize answers an authorization request (RFC 6749 4.1.1): at once on the
// session that the browser has, or after somebody signed in.
func (d Door) authorize(w http.ResponseWriter, r *http.Request) error {
	q, err := parameters(w, r)
	if err != nil {
		return err
	}
	return d.Authorize(w, r, q, oidc.Direct)
}

// Authorize answers an authorization request that came that way.
func (d Door) Authorize(w http.ResponseWriter, r *http.Request, q url.Values, how oidc.How) error {
	a, err := d.Provider.Read(r.Context(), q, how)
	if err != nil {
		d.kept(r, q.Get("client_id"), q, err)
		return d.told(w, r, a, err)
	}
	held, err := d.Held(r, a.App)
	if err != nil {
		return err
	}
	need, err := d.Provider.Needs(r.Context(), d.Kit.DB, a, held)
	if err != nil {
		return err
	}
	silent := len(a.Params.Prompt) == 1 && a.Params.Prompt[0] == "none"
	switch {
	case need == oidc.Nothing:
		reply, err := d.Provider.Grant(r.Context(), a, *held)
		if err != nil {
			return d.told(w, r, a, err)
		}
		return d.Send(w, r, reply)
	case silent && need == oidc.Consent:
		return d.Send(w, r, d.Provider.Refused(a, &oidc.Error{Word: "consent_required", Text: "The user has to be asked."}))
	case silent:
		return d.Send(w, r, d.Provider.Refused(a, &oidc.Error{Word: "login_required", Text: "Nobody is signed in."}))
	case need == oidc.Consent:
		handle := d.Provider.NewHandle()
		if err := d.Provider.GrantHeld(r.Context(), a, *held, handle); err != nil {
			return err
		}
		return d.AskConsent(w, r, handle)
	}
	page := how == oidc.Vendor || a.Client.Settings.Cidaas && a.Client.Settings.LoginURI != ""
	handle := d.Provider.NewHandle()
	if page {
		handle = uuid.NewString() // as those pages know it
	}
	if page && held != nil && a.Client.Settings.LoginURI != "" { // our own pages ask for both factors
		half, ok, err := d.Provider.HoldHalf(r.Context(), a, held, handle)
		if err != nil {
			return err
		}
		if ok {
			http.Redirect(w, r, d.Provider.SecondPage(a, handle, half), http.StatusFound)
			return nil
		}
	}
	if need == oidc.StepUp {
		a.Before = held.Session.ID
	}
	if err := d.Provider.Hold(r.Context(), a, handle); err != nil {
		return err
	}
	if page {
		http.Redirect(w, r, a.LoginPage(handle, q.Get("view_type"), nil), http.StatusFound)
		return nil
	}
	if at := a.Client.Settings.LoginURI; at != "" && !a.Client.Settings.Cidaas {
		return d.interact(w, r, at, handle)
	}
	start := d.Provider.Run(a, d.Provider.Party(handle))
	if need == oidc.StepUp {
		start.Proofs = held.Session.Proofs
	}
	return d.SignIn(w, r, start, Return{Handle: handle, Leads: origin(a.Params.RedirectURI)})
}

// interact has a page of the client's own run the journey of a request.
func (d Door) interact(w http.ResponseWriter, r *http.Request, at, handle string) error {
	d.remember(w, interactionCookie, handle, int(oidc.RequestLife.Seconds()))
	reply := oidc.Reply{To: at, Values: url.Values{"interaction_id": {d.Provider.Party(handle)}}}
	http.Redirect(w, r, reply.Address(), http.StatusSeeOther)
	return nil
}

// goOn takes a browser on whose page ran the journey.
func (d Door) goOn(w http.ResponseWriter, r *http.Request) error {
	handle := d.recall(r, interactionCookie)
	if err := d.Provider.Entitled(r.Context(), handle, r.URL.Query().Get("ticket")); err != nil {
		return err
	}
	d.remember(w, interactionCookie, "", -1)
	return d.Finish(w, r, handle)
}

// Begin signs somebody in for a request that is held.
func (d Door) Begin(w http.ResponseWriter, r *http.Request, a oidc.Ask, handle string) error {
	return d.SignIn(w, r, d.Provider.Run(a, d.Provider.Party(handle)), Return{Handle: handle, Leads: origin(a.Params.RedirectURI)})
}

func parameters(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method == http.MethodGet {
		return r.URL.Query(), nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, web.MaxBody)
	if err := r.ParseForm(); err != nil {
		return nil, fault.New(fault.Invalid, "The form cannot be read.").Because(err)
	}
	return r.PostForm, nil
}

// told tells a refusal to the client if the address to return to is its own, and
// to the person otherwise.
func (d Door) told(w http.ResponseWriter, r *http.Request, a oidc.Ask, err error) error {
	e := oidc.Refusal(err)
	if e == nil || !a.Returnable {
		return err
	}
	return d.Send(w, r, d.Provider.Refused(a, e))
}

// Finish answers a browser that was sent away to sign in.
func (d Door) Finish(w http.ResponseWriter, r *http.Request, handle string) error {
	return d.finish(w, r, handle, oidc.NotAsked)
}

func (d Door) finish(w http.ResponseWriter, r *http.Request, handle string, said oidc.Consented) error {
	a, err := d.Provider.Find(r.Context(), handle)
	if err != nil {
		return err
	}
	v, err := d.Visitor(r, a.App)
	if err != nil {
		return err
	}
	reply, a, need, err := d.Provider.Finish(r.Context(), handle, v, said)
	if err != nil {
		return d.told(w, r, a, err)
	}
	if need == oidc.Consent {
		return d.AskConsent(w, r, handle)
	}
	if reply.Session != "" {
		d.Keep(w, a.App.ID, reply.Session)
	}
	return d.Send(w, r, reply)
}

// AskConsent sends a browser to the page that asks for consent to a request.
func (d Door) AskConsent(w http.ResponseWriter, r *http.Request, handle string) error {
	d.remember(w, consentCookie, handle, int(oidc.RequestLife.Seconds()))
	http.Redirect(w, r, "/authorize/consent", http.StatusSeeOther)
	return nil
}

// askConsent asks whether a third party may learn what it wants to.
func (d Door) askConsent(w http.ResponseWriter, r *http.Request) error {
	a, err := d.Provider.Find(r.Context(), d.recall(r, consentCookie))
	if err != nil {
		return err
	}
	d.Page(w, r, http.StatusOK, backend.Page{AppID: a.App.ID, App: a.App.Name, Locales: a.Params.Locales, Title: asks(a), Text: wants(a), Rows: a.Details(), Button: "Allow", Refuse: "Do not allow", Leads: origin(a.Params.RedirectURI)})
	return nil
}

// words for what a scope shows.
var words = map[string]string{"openid": "that it is you", "profile": "your name", "email": "your e-mail address", "phone": "your phone number", "address": "your postal address", "offline_access": "this also when you are away"}

func asks(a oidc.Ask) string {
	if len(a.Params.Details) > 0 {
		return "Let " + a.Client.Name + " do this?"
	}
	return "Let " + a.Client.Name + " in?"
}

func wants(a oidc.Ask) string {
	var list []string
	for _, s := range a.Wanted() {
		if words[s] != "" {
			list = append(list, words[s])
		} else {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return a.Client.Name + " wants to act for you."
	}
	return a.Client.Name + " wants to know " + strings.Join(list, ", ") + "."
}

func (d Door) consent(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(w, r); err != nil {
		return err
	}
	said := oidc.Agreed
	if r.PostForm.Get("option") == "refuse" {
		said = oidc.Declined
	}
	handle := d.recall(r, consentCookie)
	d.remember(w, consentCookie, "", -1)
	return d.finish(w, r, handle, said)
}

// Send answers the browser with a reply for the client.
func (d Door) Send(w http.ResponseWriter, r *http.Request, reply oidc.Reply) error {
	w.Header().Set("Cache-Control", "no-store")
	if reply.Mode != "form_post" {
		http.Redirect(w, r, reply.Address(), http.StatusSeeOther)
		return nil
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; form-action "+origin(reply.To)+"; frame-ancestors 'none'; base-uri 'none'")
	values := map[string]string{}
	for name := range reply.Values {
		values[name] = reply.Values.Get(name)
	}
	return formPost.Execute(w, map[string]any{"To": reply.To, "Values": values})
}

// formPost posts a reply to the client (OAuth 2.0 Form Post Response Mode).
var formPost = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>One moment</title></head>
<body><form method="post" action="{{.To}}">{{range $name, $value := .Values}}<input type="hidden" name="{{$name}}" value="{{$value}}">{{end}}
<noscript><button>Continue</button></noscript></form><script src="/login-assets/post.js"></script></body></html>`))

// origin is the source of an address in a Content-Security-Policy.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "'none'"
	}
	if u.Scheme == "" { // no address: it leads nowhere else
		return ""
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}

// device shows where the code of a device is typed or, with a code, what it asks
// for: nobody signs a device in by following a link (security R51).
func (d Door) device(w http.ResponseWriter, r *http.Request) error {
	code := r.URL.Query().Get("user_code")
	if code == "" {
		d.Page(w, r, http.StatusOK, enterCode(""))
		return nil
	}
	pair, err := d.Provider.Pair(r.Context(), code, web.Address(r, d.Trusted).String())
	if err != nil {
		return d.codeAgain(w, r, err)
	}
	more := ""
	if pair.Client.Settings.ThirdParty {
		more = wants(pair.Ask)
	}
	d.Page(w, r, http.StatusOK, backend.Page{AppID: pair.App.ID, App: pair.App.Name, Title: "Sign in on another device?", More: more,
		Text: pair.Client.Name + " shows the code " + pair.Code + " and wants to be signed in as you. Go on only if that device is in front of you.", Button: "Continue", Refuse: "That is not my device"})
	return nil
}

func enterCode(problem string) backend.Page {
	return backend.Page{App: "Watchword", Title: "Connect a device", Text: "Type the code that the device shows.", Button: "Continue", Problem: problem,
		Fields: form.New(form.Text("user_code", "Code", form.Required, form.MaxLen(20)))}
}

func (d Door) codeAgain(w http.ResponseWriter, r *http.Request, err error) error {
	if f := fault.Of(err); f.Code == fault.Wrong || f.Code == fault.Limited {
		d.Page(w, r, http.StatusUnprocessableEntity, enterCode(f.Message))
		return nil
	}
	return err
}

func (d Door) pair(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(w, r); err != nil {
		return err
	}
	if typed := r.PostForm.Get("user_code"); typed != "" {
		http.Redirect(w, r, "/device?user_code="+url.QueryEscape(typed), http.StatusSeeOther)
		return nil
	}
	pair, err := d.Provider.Pair(r.Context(), r.URL.Query().Get("user_code"), web.Address(r, d.Trusted).String())
	if err != nil {
		return d.codeAgain(w, r, err)
	}
	if r.PostForm.Get("option") == "refuse" {
		if err := d.Provider.Deny(r.Context(), pair); err != nil {
			return err
		}
		d.Page(w, r, http.StatusOK, backend.Page{AppID: pair.App.ID, App: pair.App.Name, Title: "Not signed in", Text: "The device was told so. You can close this page.", Verdict: "no"})
		return nil
	}
	return d.SignIn(w, r, d.Provider.Run(pair.Ask, pair.Run), Return{Done: "Your device is signed in"})
}

// leave signs out (OpenID Connect RP-Initiated Logout): at once when the client
// shows an identity token of whom it is about, after a question otherwise.
func (d Door) leave(w http.ResponseWriter, r *http.Request) error {
	q, err := parameters(w, r)
	if err != nil {
		return err
	}
	l, err := d.Provider.Leave(r.Context(), q)
	if err != nil {
		return err
	}
	if !l.Known || l.User == "" {
		to := ""
		if l.Known {
			to = l.To
		}
		d.remember(w, leaveCookie, string(l.Client.ID)+" "+to, 600)
		d.Page(w, r, http.StatusOK, backend.Page{AppID: l.App.ID, App: cmp.Or(l.App.Name, "Watchword"), Title: "Sign out?", Text: "You will be signed out in this browser.", Button: "Sign out", Post: "/session/end_session/confirmed", Leads: origin(to)})
		return nil
	}
	return d.signOut(w, r, l.App, l.User, l.To)
}

func (d Door) confirmed(w http.ResponseWriter, r *http.Request) error {
	id, to, _ := strings.Cut(d.recall(r, leaveCookie), " ")
	d.remember(w, leaveCookie, "", -1)
	if id != "" {
		_, app, err := apps.FindClient(r.Context(), d.Kit.DB, apps.ClientID(id))
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		return d.signOut(w, r, app, "", to)
	}
	for _, c := range r.Cookies() {
		app, ok := strings.CutPrefix(c.Name, d.name(sessionCookie))
		if !ok {
			continue
		}
		found, err := apps.Find(r.Context(), d.Kit.DB, apps.ID(app))
		if err == nil {
			err = d.end(w, r, found, "")
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return d.signedOut(w, r, apps.App{Name: "Watchword"}, "")
}

func (d Door) signOut(w http.ResponseWriter, r *http.Request, app apps.App, user, to string) error {
	if err := d.end(w, r, app, user); err != nil {
		return err
	}
	return d.signedOut(w, r, app, to)
}

// end ends the session that the browser has in an application; user, if given,
// must be whose it is.
func (d Door) end(w http.ResponseWriter, r *http.Request, app apps.App, user string) error {
	held, err := d.Held(r, app)
	if err != nil || held == nil {
		return err
	}
	if user != "" && user != string(held.Session.User) {
		return nil // the one who was to be signed out is not here any more
	}
	if err := d.Provider.SignOut(r.Context(), held.Session); err != nil {
		return err
	}
	d.forget(w, app.ID)
	return nil
}

func (d Door) signedOut(w http.ResponseWriter, r *http.Request, app apps.App, to string) error {
	if to != "" {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	d.Page(w, r, http.StatusOK, backend.Page{AppID: app.ID, App: cmp.Or(app.Name, "Watchword"), Title: "Signed out", Text: "You can close this page.", Verdict: "yes"})
	return nil
}

// The cookies of a browser, each on this host only.
const (
	sessionCookie = "ww-sso-" // and the application
	consentCookie = "ww-consent"
	leaveCookie   = "ww-leave"

	interactionCookie = "ww-interaction"
)

func (d Door) secure() bool { return strings.HasPrefix(d.Kit.URL, "https:") }

func (d Door) name(cookie string) string {
	if d.secure() {
		return "__Host-" + cookie
	}
	return cookie
}

func (d Door) set(w http.ResponseWriter, name, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{Name: d.name(name), Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: d.secure(), SameSite: http.SameSiteLaxMode})
}

// remember keeps something for the next page, sealed; seconds below 0 forget it.
func (d Door) remember(w http.ResponseWriter, name, value string, seconds int) {
	d.set(w, name, base64.RawURLEncoding.EncodeToString(d.Kit.DB.Vault().Seal("cookie/"+name, []byte(value))), seconds)
}

// recall is the inverse; "" for nothing that we wrote.
func (d Door) recall(r *http.Request, name string) string {
	c, err := r.Cookie(d.name(name))
	if err != nil {
		return ""
	}
	b, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return ""
	}
	if b, err = d.Kit.DB.Vault().Open("cookie/"+name, b); err != nil {
		return ""
	}
	return string(b)
}

// Keep lets the browser have a session: until the browser closes, or the session
// ends.
func (d Door) Keep(w http.ResponseWriter, app apps.ID, bearer string) {
	d.set(w, sessionCookie+string(app), bearer, 0)
}

// Bearer is the bearer of the session that a browser holds in an application; ""
// if it holds none.
func (d Door) Bearer(r *http.Request, app apps.ID) string {
	c, err := r.Cookie(d.name(sessionCookie + string(app)))
	if err != nil {
		return ""
	}
	return c.Value
}

func (d Door) forget(w http.ResponseWriter, app apps.ID) { d.set(w, sessionCookie+string(app), "", -1) }

// visitor is who asks, without a session.
func (d Door) visitor(r *http.Request) oidc.Visitor {
	return oidc.Visitor{Address: web.Address(r, d.Trusted).String(), Agent: r.UserAgent()}
}

// Visitor is the browser that asks, with the session it has in an application.
func (d Door) Visitor(r *http.Request, app apps.App) (oidc.Visitor, error) {
	v := d.visitor(r)
	var err error
	v.Held, err = d.Held(r, app)
	return v, err
}

// Held is the session that a browser has in an application, nil if none.
func (d Door) Held(r *http.Request, app apps.App) (*oidc.Held, error) {
	c, err := r.Cookie(d.name(sessionCookie + string(app.ID)))
	if errors.Is(err, http.ErrNoCookie) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return d.Provider.HeldBy(r.Context(), app, c.Value)
}
