package hosted

import (
	"cmp"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/web"
)

// The page on which somebody makes a passkey whom a back end vouches for. The back
// end's token stands in the address that the browser comes with, and nowhere after
// that: it moves into a cookie, sealed, and no page and no address of ours shows it.
const (
	passkeyPage  = "/hosted/passkey/"
	passkeyEntry = passkeyPage + "passkey-registration"
	passkeyToken = "register_webauthn_cred_token"
	passkeyTime  = 600 // seconds that its cookie lives; the token itself says how long it is good
)

// passkeyRoutes adds it.
//
//	GET  /hosted/passkey/passkey-registration?register_webauthn_cred_token=…
//	GET  /hosted/passkey/{run}
//	POST /hosted/passkey/{run}   makes the passkey or, with option=cancel, none
func passkeyRoutes(mux *http.ServeMux, d Door, guard *http.CrossOriginProtection) {
	mux.HandleFunc("GET "+passkeyEntry, d.page(d.takeToken))
	mux.HandleFunc("GET /cis"+passkeyEntry, d.page(d.takeToken))
	mux.HandleFunc("GET "+passkeyPage+"{run}", d.page(d.askForPasskey))
	mux.Handle("POST "+passkeyPage+"{run}", guard.Handler(d.page(d.makePasskey)))
}

// takeToken moves the token out of the address.
func (d Door) takeToken(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get(passkeyToken)
	if about, err := d.passkeyCall(r, "", token, nil); err != nil {
		return d.noPasskey(w, r, about, err)
	}
	run, _, _ := strings.Cut(token, ".")
	sealed := d.Kit.DB.Vault().Seal("hosted/passkey/"+run, []byte(token))
	http.SetCookie(w, &http.Cookie{Name: d.cookie(run), Value: base64.RawURLEncoding.EncodeToString(sealed), Path: "/", MaxAge: passkeyTime, HttpOnly: true, Secure: d.secure(), SameSite: http.SameSiteLaxMode})
	to := passkeyPage + url.PathEscape(run)
	if lang := r.URL.Query().Get("lang"); lang != "" {
		to += "?" + url.Values{"lang": {lang}}.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// tokenHeld is the token that this browser brought; "" if it brought none.
func (d Door) tokenHeld(r *http.Request) string {
	run := r.PathValue("run")
	c, err := r.Cookie(d.cookie(run))
	if err != nil {
		return ""
	}
	sealed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return ""
	}
	b, err := d.Kit.DB.Vault().Open("hosted/passkey/"+run, sealed)
	if err != nil {
		return ""
	}
	return string(b)
}

// passkeyCall makes one of the page's calls: what it shows, or what a button does.
func (d Door) passkeyCall(r *http.Request, act, token string, more map[string]any) (map[string]any, error) {
	in := map[string]any{"token": token}
	for name, v := range more {
		in[name] = v
	}
	x := &backend.Exec{Kit: d.Kit, Address: web.Address(r, d.Trusted).String(), Agent: r.UserAgent()}
	out, err := backend.Do(r.Context(), "POST /inside/passkey/page"+act, x, in)
	body, _ := out.Body.(map[string]any)
	return body, err
}

// passkeyView is the page for what a token is about.
func (d Door) passkeyView(r *http.Request, about map[string]any) view {
	app := text(about, "app_name")
	l := d.offered(r, apps.ID(text(about, "app_id"))).spoken(r, "")
	v := view{Lang: l, AppID: apps.ID(text(about, "app_id")), App: app, Client: apps.ClientID(text(about, "client_id")), Title: l.T("Add a passkey")}
	v.Name = cmp.Or(text(about, "display_name"), text(about, "username"))
	v.Text = l.T("It signs you in to {app} under this name.", "app", app)
	v.Key = &keyView{Act: "create", Data: db.Text(map[string]any{"username": text(about, "username"), "display_name": text(about, "display_name")}), Button: l.T("Add a passkey")}
	v.Quiet = []formView{{Option: "cancel", Button: l.T("Cancel")}}
	return v
}

func (d Door) askForPasskey(w http.ResponseWriter, r *http.Request) error {
	about, err := d.passkeyCall(r, "", d.tokenHeld(r), nil)
	if err != nil {
		return d.noPasskey(w, r, about, err)
	}
	d.render(w, r, http.StatusOK, d.passkeyView(r, about))
	return nil
}

// makePasskey ends on the client's page either way. What was refused, and may be
// tried again, is said on this one.
func (d Door) makePasskey(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		return fault.New(fault.Invalid, "The form could not be read.").Because(err)
	}
	token := d.tokenHeld(r)
	if r.PostForm.Get("option") == "cancel" {
		about, err := d.passkeyCall(r, "/cancel", token, nil)
		if err != nil {
			return d.noPasskey(w, r, nil, err)
		}
		return d.leadBack(w, r, about, "No passkey was added", "access_denied")
	}
	about, err := d.passkeyCall(r, "/register", token, map[string]any{passkeyResult: r.PostForm.Get(passkeyResult)})
	if err == nil {
		return d.leadBack(w, r, about, "The passkey was added", "")
	}
	shown, gone := d.passkeyCall(r, "", token, nil)
	f := fault.Of(err)
	if gone != nil || f.Code == fault.Internal || f.Code == fault.Unavailable {
		return d.noPasskey(w, r, shown, errors.Join(gone, err))
	}
	v := d.passkeyView(r, shown)
	v.refuse(f, "", d.Kit.DB.Now())
	d.render(w, r, http.StatusUnprocessableEntity, v)
	return nil
}

// leadBack sends the browser to where it came from, with an error if there is one.
func (d Door) leadBack(w http.ResponseWriter, r *http.Request, about map[string]any, title, problem string) error {
	to, err := url.Parse(text(about, "redirect_uri"))
	if err != nil {
		return err
	}
	if problem != "" {
		q := to.Query()
		q.Set("error", problem)
		to.RawQuery = q.Encode()
	}
	http.SetCookie(w, &http.Cookie{Name: d.cookie(r.PathValue("run")), Path: "/", MaxAge: -1, HttpOnly: true, Secure: d.secure(), SameSite: http.SameSiteLaxMode})
	d.Page(w, r, http.StatusOK, backend.Page{AppID: apps.ID(text(about, "app_id")), App: text(about, "app_name"), Title: title, Text: "You are taken back to where you began.", Next: to.String(), Button: "Go on"})
	return nil
}

// noPasskey is the page of a token that is not, or not any more, good; anything else
// stays an error.
func (d Door) noPasskey(w http.ResponseWriter, r *http.Request, about map[string]any, err error) error {
	if !fault.Is(err, fault.Expired) {
		return err
	}
	d.Page(w, r, http.StatusGone, backend.Page{AppID: apps.ID(text(about, "app_id")), App: cmp.Or(text(about, "app_name"), "Watchword"), Title: "This did not work", Text: fault.Of(err).Message, Verdict: "no"})
	return nil
}
