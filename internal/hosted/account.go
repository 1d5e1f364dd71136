package hosted

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/limit"
	"github.com/watchword-auth/watchword/internal/session"
	"github.com/watchword-auth/watchword/internal/web"
)

// Sessions are the cookies of browsers that signed in.
type Sessions struct {
	Bearer func(r *http.Request, app apps.ID) string // "" if the browser holds no session
	Keep   func(w http.ResponseWriter, app apps.ID, bearer string)
}

// accountRoutes adds the pages on which users look after their own account. Who
// is not signed in signs in first; who changes something has proven themselves a
// moment ago, as high as they can (authn.StepUp).
//
//	GET  /account/{client}         what there is
//	GET  /account/{client}/{act}   asks for an act; ?beside=N answers a script, whether there are other than N devices
//	POST /account/{client}/{act}   does it
func accountRoutes(mux *http.ServeMux, d Door, guard *http.CrossOriginProtection) {
	mux.HandleFunc("GET /account/{client}", d.page(d.own(d.overview)))
	mux.HandleFunc("GET /account/{client}/{act}", d.page(d.own(d.asks)))
	mux.Handle("POST /account/{client}/{act}", guard.Handler(d.page(d.own(d.acts))))
}

// owner is who looks after their account, and in which session.
type owner struct {
	l       tongue
	offered offer
	client  apps.Client
	app     apps.App
	session session.Session
	call    *backend.Exec
	values  map[string]string // of the routes that are called
}

// cameBack marks the address of somebody who has just proven more.
const cameBack = "back"

func (o owner) home() string { return "/account/" + string(o.client.ID) }

// do runs a call of the back-end table as the user.
func (o owner) do(ctx context.Context, route string, values map[string]string, in map[string]any) (map[string]any, error) {
	for k, v := range values {
		o.values[k] = v
	}
	out, err := backend.Do(ctx, route, o.call, in)
	body, _ := out.Body.(map[string]any)
	return body, err
}

// own lets fn see to the account of whoever is signed in in this browser.
func (d Door) own(fn func(w http.ResponseWriter, r *http.Request, o owner) error) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		client, app, err := apps.FindClient(r.Context(), d.Kit.DB, apps.ClientID(r.PathValue("client")))
		if fault.Is(err, fault.NotFound) || err == nil && client.Kind != apps.Web {
			return fault.New(fault.NotFound, "There is no such page. Check the address.")
		}
		if err != nil {
			return err
		}
		offered := d.offered(r, app.ID)
		o := owner{l: offered.spoken(r, ""), offered: offered, client: client, app: app, values: map[string]string{}}
		o.session, err = d.signedIn(r, app)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
			return d.enterFirst(w, r, o, journey.StartRequest{})
		}
		if err != nil {
			return err
		}
		o.call = &backend.Exec{Kit: d.Kit, App: app, Client: client.ID, User: o.session.User, Session: o.session.ID, Proofs: o.session.Proofs, Address: web.Address(r, d.Trusted).String(), Agent: r.UserAgent(),
			Values: func(name string) string { return o.values[name] }}
		from := audit.Origin{Client: string(client.ID), IP: o.call.Address, UserAgent: o.call.Agent}
		return fn(w, r.WithContext(audit.From(r.Context(), from)), o)
	}
}

// signedIn is the session that the browser holds; fault.NotFound without one.
func (d Door) signedIn(r *http.Request, app apps.App) (session.Session, error) {
	s, err := session.Held(r.Context(), d.Kit.DB, app, d.Account.Bearer(r, app.ID))
	if err == nil {
		err = directory.MaySignIn(r.Context(), d.Kit.DB, app.Tenant, s.User)
	}
	return s, err
}

// enterFirst has somebody sign in, and come back to where they are. s says who
// alone may, and what they have proven already.
func (d Door) enterFirst(w http.ResponseWriter, r *http.Request, o owner, s journey.StartRequest) error {
	s.App, s.Client, s.Journey, s.Kind = o.app, o.client, cmp.Or(o.client.Settings.Journey, "sign_in"), journey.KindSSO
	home := *r.URL
	q := home.Query()
	q.Del(cameBack)
	home.RawQuery = q.Encode()
	return d.Begin(w, r, s, Return{Home: home.RequestURI()})
}

// stepUp has an owner prove more, or again, if that is needed for a change; done
// says that the browser was sent away for it. Whoever comes back from there and
// still has not proven enough is told so.
func (d Door) stepUp(w http.ResponseWriter, r *http.Request, o owner) (done bool, err error) {
	err = o.call.Fresh(r.Context())
	if err == nil || !fault.Is(err, fault.Denied) {
		return false, err
	}
	if r.URL.Query().Has(cameBack) {
		d.render(w, r, http.StatusForbidden, view{Lang: o.l, AppID: o.app.ID, App: o.app.Name, Title: o.l.T("Confirm that it is you"), Text: o.l.T(fault.Of(err).Message), Home: o.home(), Ended: "no", Again: r.URL.Path})
		return true, nil
	}
	s := journey.StartRequest{Subject: o.session.User}
	for _, p := range o.session.Proofs {
		if d.Kit.DB.Now().Sub(p.At()) < 4*time.Minute {
			s.Proofs, s.Levels = append(s.Proofs, p), []string{authn.AAL2}
		}
	}
	label, err := directory.Label(r.Context(), d.Kit.DB, o.session.User)
	if err != nil {
		return false, err
	}
	s.Params = map[string]any{"login_hint": label}
	return true, d.enterFirst(w, r, o, s)
}

// enter opens a session by the proofs of a run that ended well, once, or adds them
// to the one that the browser has; then the browser goes home.
func (d Door) enter(w http.ResponseWriter, r *http.Request, t ticket, end journey.End) error {
	ctx := r.Context()
	app, err := apps.Find(ctx, d.Kit.DB, end.App)
	if err != nil {
		return err
	}
	held, bearer := d.Account.Bearer(r, app.ID), ""
	err = d.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		bearer = ""
		if err := limit.Take(ctx, tx, "account/"+tx.Vault().Hash("account", t.Session), 1, 2*journey.Life); err != nil {
			return err
		}
		for _, p := range end.Proofs {
			if err := authn.Recheck(ctx, tx, p); err != nil {
				return err
			}
		}
		old, err := session.Held(ctx, tx, app, held)
		if err == nil && old.User == end.User {
			return attach(ctx, tx, app, held, old, end.Proofs)
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err == nil {
			if err := session.End(ctx, tx, old); err != nil {
				return err
			}
		}
		s, err := session.Open(ctx, tx, app, session.From{Client: t.Client, Address: web.Address(r, d.Trusted).String(), Agent: r.UserAgent()}, end.Proofs...)
		bearer = s.Bearer
		return err
	})
	if err != nil && !fault.Is(err, fault.Limited) { // a second look at the end is only sent home
		return err
	}
	if bearer != "" {
		d.Account.Keep(w, app.ID, bearer)
	}
	home, err := url.Parse(t.Home)
	if err != nil {
		return err
	}
	q := home.Query()
	q.Set(cameBack, "1")
	if strings.Count(home.Path, "/") > 2 {
		home.RawQuery = q.Encode()
	}
	http.Redirect(w, r, home.String(), http.StatusSeeOther)
	return nil
}

// attach adds what a run proved to a session that has some of it already.
func attach(ctx context.Context, tx *db.Tx, app apps.App, bearer string, s session.Session, ps []authn.Proof) error {
	for _, p := range ps {
		if slices.ContainsFunc(s.Proofs, func(o authn.Proof) bool { return o.Kind() == p.Kind() && o.At().Equal(p.At()) }) {
			continue
		}
		if _, err := session.Attach(ctx, tx, app, bearer, p); err != nil {
			return err
		}
	}
	return nil
}
