package hosted

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/oidc"
	"github.com/watchword-auth/watchword/internal/session"
	"github.com/watchword-auth/watchword/internal/web"
)

// accountView is what users see of their account.
type accountView struct {
	Home     string
	Client   string
	Names    []row // by which they are known
	Ways     []item
	Devices  []item
	Sessions []item
	Others   bool // there are sessions besides this one
	Clients  []item
	Activity []item
	Add      []act // ways that can be added
	Tongues  []choice
}

// item is a row of a list, with what can be done to it.
type item struct {
	Title, Note string
	At          *moment
	Told        string // what At is, with {time} in it
	Mark        string // this one, locked, …
	Bad         bool
	Acts        []act
}

// act is a link to the page of an act.
type act struct{ Name, Href, What string }

func (o owner) overview(ctx context.Context, q db.Q) (*accountView, error) {
	v := &accountView{Home: o.home(), Client: string(o.client.ID)}
	ids, err := directory.Identifiers(ctx, q, o.session.User)
	if err != nil {
		return nil, err
	}
	for _, i := range ids {
		v.Names = append(v.Names, row{o.l.T(names[i.Kind]), i.Shown})
	}
	for _, fill := range []func(context.Context, db.Q, *accountView) error{o.ways, o.devices, o.sessions, o.clients, o.activity} {
		if err := fill(ctx, q, v); err != nil {
			return nil, err
		}
	}
	for _, l := range languages {
		if len(o.offered.tags) > 1 && slices.Contains(o.offered.tags, l.Tag) {
			v.Tongues = append(v.Tongues, choice{l.Tag, l.Name, "", l.Tag == string(o.l)})
		}
	}
	return v, nil
}

var names = map[directory.IdentifierKind]string{directory.Email: "E-mail address", directory.Phone: "Phone number", directory.Username: "Username", directory.External: "Number of the customer"}

// link leads to the page of an act; what says to whom listens what it is done to.
func (o owner) link(name, page, id, what string) act {
	href := o.home() + "/" + page
	if id != "" {
		href += "?" + url.Values{"id": {id}}.Encode()
	}
	return act{o.l.T(name), href, what}
}

// ways are the user's authenticators, and what could be added.
func (o owner) ways(ctx context.Context, q db.Q, v *accountView) error {
	list, err := authn.Authenticators(ctx, q, o.app.Tenant, o.app.ID, o.session.User)
	if err != nil {
		return err
	}
	have := map[authn.Kind]bool{}
	for _, a := range list {
		have[a.Kind] = have[a.Kind] || a.ID != string(a.Kind)
		v.Ways = append(v.Ways, o.way(a))
	}
	for _, add := range adding {
		on, err := add.possible(ctx, q, o)
		if err != nil {
			return err
		}
		if !on || have[add.kind] && add.once {
			continue
		}
		name := add.name
		if have[add.kind] && add.again != "" {
			name = add.again
		}
		v.Add = append(v.Add, o.link(name, add.act, "", ""))
	}
	return nil
}

func (o owner) way(a authn.Authenticator) item {
	title := o.l.T(titleOf(a.Kind))
	i := item{Title: title, At: o.l.when(a.CreatedAt), Told: o.l.T("since {time}")}
	if a.Label != titleOf(a.Kind) { // which says nothing more
		i.Note = a.Label
	}
	if !a.UsedAt.IsZero() {
		i.At, i.Told = o.l.when(a.UsedAt), o.l.T("last used {time}")
	}
	switch a.Status {
	case authn.LockedNow:
		i.Mark, i.At, i.Told, i.Bad = o.l.T("locked"), o.l.when(a.Until), o.l.T("until {time}"), true
	case authn.LockedHard, authn.Deactivated:
		i.Mark, i.Bad = o.l.T("locked"), true
	case authn.SwitchedOff:
		i.Mark = o.l.T("switched off")
	}
	if a.ID == string(a.Kind) {
		return i // it comes with an address
	}
	what := strings.TrimSpace(title + " " + i.Note)
	if a.Kind != "password" && a.Kind != "recovery" {
		i.Acts = append(i.Acts, o.link("Rename", "rename", a.ID, what))
	}
	if a.Kind == "password" {
		i.Acts = append(i.Acts, o.link("Change", "password", "", what))
	}
	i.Acts = append(i.Acts, o.link("Remove", "remove", a.ID, what))
	return i
}

func titleOf(kind authn.Kind) string {
	for _, m := range authn.Methods() {
		if m.Kind == kind {
			return m.Title
		}
	}
	return string(kind)
}

// adding are the ways that users can add by themselves, each by a call of its
// method's; where the method is not there or switched off, so is the button.
var adding = []addable{
	{"passkey", "passkey", "Add a passkey", "", "POST /v1/auth/webauthn/register", false},
	{"push", "phone", "Add a phone", "", "POST /v1/users/me/phones/invitations", false},
	{"totp", "totp", "Add an authenticator app", "", "POST /v1/users/me/totp", false},
	{"recovery", "codes", "Make recovery codes", "Make new recovery codes", "POST /v1/users/me/recovery-codes", false},
	{"password", "password", "Set a password", "", "PUT /v1/users/me/password-credentials", true},
}

type addable struct {
	kind             authn.Kind
	act, name, again string // again is its name if the user has one
	route            string
	once             bool // is changed where it stands, not added again
}

// possible reports whether the user may have one.
func (a addable) possible(ctx context.Context, q db.Q, o owner) (bool, error) {
	if !backend.Offers(a.route) {
		return false, nil
	}
	var on struct{}
	err := authn.Settings(ctx, q, o.app.ID, a.kind, &on)
	if f := fault.Of(err); err != nil && (f.Code == fault.Denied || f.Code == fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

func (o owner) devices(ctx context.Context, q db.Q, v *accountView) error {
	list, err := directory.AllDevices(ctx, q, o.app.ID, o.session.User)
	for _, d := range list {
		i := item{Title: d.DisplayName(), Note: strings.TrimSpace(d.OS + " " + d.OSVersion), At: o.l.when(d.LastSeenAt), Told: o.l.T("last seen {time}")}
		if i.At == nil {
			i.At, i.Told = o.l.when(d.CreatedAt), o.l.T("since {time}")
		}
		if d.Status != directory.DeviceActive {
			i.Mark, i.Bad = o.l.T("blocked"), true
		}
		i.Acts = []act{o.link("Remove", "forget", string(d.ID), d.DisplayName())}
		v.Devices = append(v.Devices, i)
	}
	return err
}

func (o owner) sessions(ctx context.Context, q db.Q, v *accountView) error {
	list, err := session.List(ctx, q, o.app.Tenant, o.app.ID, o.session.User)
	for _, s := range list {
		i := item{Title: o.l.T(web.Browser(s.Agent)), Note: o.l.T(web.Place(s.Address)), At: o.l.when(s.Used), Told: o.l.T("last used {time}")}
		if s.ID == o.session.ID {
			i.Mark = o.l.T("this browser")
		} else {
			v.Others = true
			i.Acts = []act{o.link("Sign out", "end", s.ID, i.Title)}
		}
		v.Sessions = append(v.Sessions, i)
	}
	return err
}

func (o owner) clients(ctx context.Context, q db.Q, v *accountView) error {
	list, err := oidc.Consents(ctx, q, o.app.Tenant, o.app.ID, o.session.User)
	for _, c := range list {
		i := item{Title: c.Name, Note: strings.Join(c.Scope, ", "), At: o.l.when(c.Given), Told: o.l.T("since {time}"), Acts: []act{o.link("Withdraw", "withdraw", string(c.Client), c.Name)}}
		v.Clients = append(v.Clients, i)
	}
	return err
}

// happened are the events that users are told of, in plain words. What is not
// here says nothing to them.
var happened = map[string]string{
	"session.started": "You signed in", "session.ended": "You signed out", "session.all_ended": "All sessions were ended",
	"authenticator.registered": "A way to sign in was added", "authenticator.revoked": "A way to sign in was removed", "authenticator.renamed": "A way to sign in was renamed",
	"authenticator.locked": "A way to sign in was locked", "authenticator.unlocked": "A way to sign in was unlocked",
	"device.registered": "A device was added", "device.removed": "A device was removed", "device.trusted": "A device was trusted", "phone.invited": "A link to add a phone was made",
	"password.changed": "The password was changed", "password.reset": "The password was reset", "password.set": "A password was set", "recovery.used": "A recovery code was used",
	"push.requested": "Your phone was asked", "push.expired": "A request to your phone ran out", "push.cancelled": "A request to your phone was cancelled", "push.denied": "A request to your phone was denied",
	"consent.given": "You let an app in", "consent.withdrawn": "You withdrew what an app may do", "user.created": "Your account was made", "user.changed": "Your account was changed",
	"user.address_verified": "An address was confirmed", "user.contact_changed": "An address was changed",
}

// tells is an event in plain words; "" for one that says nothing to users.
func (o owner) tells(e audit.Entry) (said string, bad bool) {
	kind, what, ok := strings.Cut(strings.TrimPrefix(e.Type, "auth."), ".")
	if ok && strings.HasPrefix(e.Type, "auth.") {
		way := o.l.T(titleOf(authn.Kind(kind)))
		switch what {
		case "succeeded":
			return o.l.T("{way} was right", "way", way), false
		case "failed":
			return o.l.T("{way} was wrong", "way", way), true
		case "locked":
			return o.l.T("{way} was locked", "way", way), true
		case "unlocked":
			return o.l.T("{way} was unlocked", "way", way), false
		}
		return "", false
	}
	if said := happened[e.Type]; said != "" {
		return o.l.T(said), e.Outcome == "failure"
	}
	return "", false
}

const recent = 20

func (o owner) activity(ctx context.Context, q db.Q, v *accountView) error {
	list, err := audit.Find(ctx, q, audit.Filter{Tenant: string(o.app.Tenant), App: string(o.app.ID), Target: string(o.session.User), Limit: 5 * recent})
	for _, e := range list {
		said, bad := o.tells(e)
		if said == "" || len(v.Activity) >= recent {
			continue
		}
		i := item{Title: said, At: o.l.when(e.At), Told: "{time}", Bad: bad}
		if e.UserAgent != "" && (e.Actor == "" || e.Actor == string(o.session.User)) {
			i.Note = o.l.T(web.Browser(e.UserAgent)) + ", " + o.l.T(web.Place(e.IP))
		}
		v.Activity = append(v.Activity, i)
	}
	return err
}

// data is everything that is kept about a user and is theirs to have: no secret,
// and nothing of anybody else.
func (o owner) data(ctx context.Context, q db.Q) (map[string]any, error) {
	u, err := directory.Find(ctx, q, o.app.Tenant, o.session.User)
	if err != nil {
		return nil, err
	}
	ids, err := directory.Identifiers(ctx, q, u.ID)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"made_at": stamp(q.Now()), "application": o.app.Name, "user": map[string]any{"id": string(u.ID), "created_at": stamp(u.CreatedAt), "custom_data": u.Custom}}
	var list []any
	for _, i := range ids {
		list = append(list, map[string]any{"kind": string(i.Kind), "value": i.Shown, "primary": i.Primary, "verified_at": stamp(i.VerifiedAt)})
	}
	out["names"] = list
	for name, route := range map[string]string{"authenticators": "GET /v1/users/me/authenticators", "devices": "GET /v1/users/me/device-keys", "sessions": "GET /v1/users/me/sessions", "consents": "GET /v1/users/me/consents"} {
		body, err := o.do(ctx, route, nil, nil)
		if err != nil {
			return nil, err
		}
		out[name] = body["result"]
	}
	events, err := audit.Find(ctx, q, audit.Filter{Tenant: string(o.app.Tenant), Target: string(u.ID), Limit: 500})
	var done []any
	for _, e := range events {
		event := map[string]any{"at": stamp(e.At), "event": e.Type, "outcome": e.Outcome}
		if e.Actor == "" || e.Actor == string(u.ID) { // from where somebody else did it is theirs
			event["ip"], event["user_agent"] = e.IP, e.UserAgent
		}
		done = append(done, event)
	}
	slices.Reverse(done)
	out["events"] = done
	return out, err
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// overview draws the account.
func (d Door) overview(w http.ResponseWriter, r *http.Request, o owner) error {
	a, err := o.overview(r.Context(), d.Kit.DB)
	if err != nil {
		return err
	}
	v := view{Lang: o.l, AppID: o.app.ID, App: o.app.Name, Client: o.client.ID, Title: o.l.T("Your account"), Account: a}
	v.Said = o.l.T(doneSaid[r.URL.Query().Get("done")])
	d.render(w, r, http.StatusOK, v)
	return nil
}
