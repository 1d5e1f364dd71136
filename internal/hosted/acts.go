package hosted

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
)

// deed is something that users do to their account: a page that asks for it, and
// what its button does.
type deed struct {
	title, text, button string
	fields              form.Form
	bare                bool // needs no fresh proof: it takes nothing from anybody's safety
	danger              bool // takes something away for good
	ask                 func(ctx context.Context, d Door, o owner, id string, v *view) error
	do                  func(ctx context.Context, d Door, o owner, id string, in url.Values) (*view, error)
}

// doneSaid is what the account page says after an act.
var doneSaid = map[string]string{"passkey": "The passkey was added.", "totp": "The authenticator app was added.", "rename": "It has a new name.", "remove": "It was removed.", "forget": "The device was removed.", "phone": "The phone was added.",
	"end": "That session was ended.", "others": "All other sessions were ended.", "withdraw": "That app may do nothing for you any more.", "password": "The password was changed.", "language": "The language was changed."}

var deeds map[string]deed

func init() { // the table and its functions know each other
	deeds = map[string]deed{
		"passkey": {title: "Add a passkey", ask: askPasskey, do: doPasskey},
		"totp":    {title: "Add an authenticator app", text: "You get a code to scan with the app.", button: "Continue", do: doTOTP},
		"phone":   {title: "Add a phone", text: "You get a code to scan with the phone, good once.", button: "Continue", do: doPhone},
		"codes":   {title: "Make recovery codes", text: "New codes replace those you have.", button: "Continue", do: doCodes},
		"password": {title: "Choose a new password", text: "You will be signed out everywhere, and sign in with the new password.", button: "Change password",
			fields: form.New(form.Secret("new_password", "New password", form.Required, form.MaxLen(1024))), do: doPassword},
		"rename": {title: "Rename", button: "Rename", fields: form.New(form.Text("label", "Name", form.Required, form.MaxLen(100))), ask: askWay,
			do: called("PATCH /v1/users/me/authenticators/{authenticator_id}", "authenticator_id", "label")},
		"remove": {title: "Remove this way to sign in?", text: "You cannot sign in with it any more.", button: "Remove", danger: true, ask: askWay,
			do: called("DELETE /v1/users/me/authenticators/{authenticator_id}", "authenticator_id", "")},
		"forget": {title: "Remove this device?", text: "It cannot approve anything for you any more.", button: "Remove", danger: true, ask: askDevice,
			do: called("DELETE /v1/users/me/device-keys/{key_id}", "key_id", "")},
		"end": {title: "Sign out there?", text: "Whoever uses that browser or app has to sign in again.", button: "Sign out", bare: true,
			do: called("DELETE /v1/users/me/sessions/{session_id}", "session_id", "")},
		"others": {title: "Sign out everywhere else?", text: "Only this browser stays signed in.", button: "Sign out", bare: true,
			do: called("DELETE /v1/users/me/sessions", "", "")},
		"withdraw": {title: "Withdraw what this app may do?", text: "It has to ask you again.", button: "Withdraw", bare: true,
			do: called("DELETE /v1/users/me/consents/{client_id}", "client_id", "")},
		"data":     {title: "Download your data", text: "A file with everything that is kept about you.", button: "Download"},
		"delete":   {title: "Delete your account?", text: "Everything that belongs to it goes, and nobody can bring it back.", button: "Delete for good", danger: true, fields: form.New(form.Boolean("sure", "Yes, delete my account", form.Required)), do: doDelete},
		"language": {title: "Language", bare: true, do: doLanguage},
	}
}

// called is a deed that one call of the back-end table does: id stands in its
// route under a name, and a field of the form, if any, in its body as "name".
func called(route, name, field string) func(ctx context.Context, d Door, o owner, id string, in url.Values) (*view, error) {
	return func(ctx context.Context, _ Door, o owner, id string, in url.Values) (*view, error) {
		body := map[string]any{}
		if field != "" {
			body["name"] = in.Get(field)
		}
		_, err := o.do(ctx, route, map[string]string{name: id}, body)
		return nil, err
	}
}

// page is the page that asks for a deed.
func (o owner) page(name string, what deed) view {
	v := view{Lang: o.l, AppID: o.app.ID, App: o.app.Name, Client: o.client.ID, Title: o.l.T(what.title), Text: o.l.T(what.text), Home: o.home()}
	if what.button != "" {
		v.Forms = []formView{{Button: o.l.T(what.button), Primary: true, Danger: what.danger}}
		v.Forms[0].Inputs = v.inputs(nil, "", what.fields)
		if len(v.Forms[0].Inputs) > 0 {
			v.begin(&v.Forms[0].Inputs[0])
		}
	}
	return v
}

func (d Door) deed(w http.ResponseWriter, r *http.Request, o owner) (deed, view, bool, error) {
	what, ok := deeds[r.PathValue("act")]
	if !ok {
		return what, view{}, false, fault.New(fault.NotFound, "There is no such page. Check the address.")
	}
	if !what.bare {
		if away, err := d.stepUp(w, r, o); away || err != nil {
			return what, view{}, false, err
		}
	}
	v := o.page(r.PathValue("act"), what)
	if what.ask != nil {
		if err := what.ask(r.Context(), d, o, r.URL.Query().Get("id"), &v); err != nil {
			return what, v, false, err
		}
	}
	return what, v, true, nil
}

// asks draws the page of a deed.
func (d Door) asks(w http.ResponseWriter, r *http.Request, o owner) error {
	if r.URL.Query().Has("beside") {
		return d.joined(w, r, o)
	}
	what, v, ok, err := d.deed(w, r, o)
	if !ok {
		return err
	}
	if what.button == "" && v.Key == nil {
		http.Redirect(w, r, o.home(), http.StatusSeeOther)
		return nil
	}
	d.render(w, r, http.StatusOK, v)
	return nil
}

// joined tells the script of a page that adds a phone whether the user has others
// than the number that it names.
func (d Door) joined(w http.ResponseWriter, r *http.Request, o owner) error {
	list, err := directory.AllDevices(r.Context(), d.Kit.DB, o.app.ID, o.session.User)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]bool{"new": strconv.Itoa(len(list)) != r.URL.Query().Get("beside")}) // whoever left does not read it
	return nil
}

// acts does what a page asked for.
func (d Door) acts(w http.ResponseWriter, r *http.Request, o owner) error {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		return fault.New(fault.Invalid, "The form could not be read.").Because(err)
	}
	what, v, ok, err := d.deed(w, r, o)
	if !ok {
		return err
	}
	if what.do == nil {
		return d.download(w, r, o)
	}
	doc := typed(r.PostForm, what.fields)
	if _, err = what.fields.Check(doc); err == nil {
		var shown *view
		shown, err = what.do(r.Context(), d, o, r.URL.Query().Get("id"), r.PostForm)
		if err == nil && shown != nil {
			d.render(w, r, http.StatusOK, *shown)
			return nil
		}
	}
	if f := fault.Of(err); err != nil && f.Code != fault.Internal && f.Code != fault.Unavailable {
		v.refuse(f, "", d.Kit.DB.Now())
		v.typed = r.PostForm
		d.render(w, r, http.StatusUnprocessableEntity, v)
		return nil
	}
	if err != nil {
		return err
	}
	if r.PathValue("act") == "language" {
		d.speak(w, r.PostForm.Get("language"), o.offered)
	}
	http.Redirect(w, r, o.home()+"?done="+r.PathValue("act"), http.StatusSeeOther)
	return nil
}

func (d Door) download(w http.ResponseWriter, r *http.Request, o owner) error {
	data, err := o.data(r.Context(), d.Kit.DB)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(data, "", "  ")
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="my-data.json"`)
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(b) // whoever left does not read it
	return nil
}

// askPasskey lets the script make a passkey under a name by which the ceremony
// finds the user.
func askPasskey(ctx context.Context, d Door, o owner, _ string, v *view) error {
	label, err := directory.Label(ctx, d.Kit.DB, o.session.User)
	if err != nil {
		return err
	}
	name := label
	if u, err := directory.Lookup(ctx, d.Kit.DB, o.app.Tenant, label); fault.Is(err, fault.NotFound) || err == nil && u.ID != o.session.User {
		name = string(o.session.User)
	} else if err != nil {
		return err
	}
	v.Key = &keyView{Act: "create", Data: db.Text(map[string]any{"username": name, "display_name": label}), Button: o.l.T("Add a passkey")}
	return nil
}

func doPasskey(ctx context.Context, _ Door, o owner, _ string, in url.Values) (*view, error) {
	_, err := o.do(ctx, "POST /v1/auth/webauthn/register", nil, map[string]any{passkeyResult: in.Get(passkeyResult)})
	return nil, err
}

func doTOTP(ctx context.Context, _ Door, o owner, _ string, _ url.Values) (*view, error) {
	body, err := o.do(ctx, "POST /v1/users/me/totp", nil, map[string]any{})
	if err != nil {
		return nil, err
	}
	v := o.page("totp", deed{title: "Set up your authenticator app"})
	v.Enrol = enrolment(text(body, "secret"), cmp.Or(text(body, "uri"), text(body, "totp_uri")), text(body, "qr"))
	return &v, nil
}

func doPhone(ctx context.Context, d Door, o owner, _ string, _ url.Values) (*view, error) {
	list, err := directory.AllDevices(ctx, d.Kit.DB, o.app.ID, o.session.User)
	if err != nil {
		return nil, err
	}
	body, err := o.do(ctx, "POST /v1/users/me/phones/invitations", nil, map[string]any{})
	if err != nil {
		return nil, err
	}
	v := o.page("phone", deed{title: "Add a phone", text: "Scan this with the phone's camera, or open the link on the phone."})
	v.Enrol = enrolment("", text(body, "link"), text(body, "qr"))
	v.Enrol.Watch = "?beside=" + strconv.Itoa(len(list))
	if until, ok := body["expires_at"].(time.Time); ok {
		v.Until = o.l.when(until)
	}
	return &v, nil
}

func doCodes(ctx context.Context, _ Door, o owner, _ string, _ url.Values) (*view, error) {
	body, err := o.do(ctx, "POST /v1/users/me/recovery-codes", nil, map[string]any{})
	if err != nil {
		return nil, err
	}
	v := o.page("codes", deed{title: "Your recovery codes", text: "Each is good once, when you have lost everything else. Keep them on paper."})
	v.Codes, _ = body["codes"].([]string)
	return &v, nil
}

func doPassword(ctx context.Context, _ Door, o owner, _ string, in url.Values) (*view, error) {
	_, err := o.do(ctx, "PUT /v1/users/me/password-credentials", nil, map[string]any{"password": in.Get("new_password")})
	return nil, err
}

// doDelete ends with a page, for there is nobody any more to go on.
func doDelete(ctx context.Context, _ Door, o owner, _ string, in url.Values) (*view, error) {
	if in.Get("sure") == "" {
		return nil, fault.New(fault.Invalid, "Say that you are sure.")
	}
	if _, err := o.do(ctx, "DELETE /v1/users/me", nil, nil); err != nil {
		return nil, err
	}
	v := o.page("delete", deed{title: "Your account is deleted", text: "You can close this page."})
	v.Ended, v.Home = "yes", ""
	return &v, nil
}

// doLanguage keeps the language for what is mailed to the user, too.
func doLanguage(ctx context.Context, d Door, o owner, _ string, in url.Values) (*view, error) {
	language := in.Get("language")
	if !slices.Contains(o.offered.tags, language) {
		return nil, fault.New(fault.Invalid, "Choose one of the ways offered.")
	}
	return nil, d.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		return directory.MergeCustom(ctx, tx, o.app.Tenant, o.session.User, map[string]any{"language": language})
	})
}

// askWay names the authenticator that a page is about; fault.NotFound if it is
// not the user's.
func askWay(ctx context.Context, d Door, o owner, id string, v *view) error {
	list, err := authn.Authenticators(ctx, d.Kit.DB, o.app.Tenant, o.app.ID, o.session.User)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(a authn.Authenticator) bool { return a.ID == id && id != string(a.Kind) })
	if i < 0 {
		return fault.New(fault.NotFound, "There is no such page. Check the address.")
	}
	v.Name = o.l.T(titleOf(list[i].Kind))
	if list[i].Label != "" {
		v.Name += " · " + list[i].Label
	}
	v.prefill(map[string]any{"label": list[i].Label})
	return nil
}

func askDevice(ctx context.Context, d Door, o owner, id string, v *view) error {
	list, err := directory.AllDevices(ctx, d.Kit.DB, o.app.ID, o.session.User)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(d directory.Device) bool { return string(d.ID) == id })
	if i < 0 {
		return fault.New(fault.NotFound, "There is no such page. Check the address.")
	}
	v.Name = list[i].DisplayName()
	return nil
}
