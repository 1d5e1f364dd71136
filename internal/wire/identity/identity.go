// Package identity is the door for a customer's own back end: the REST API under
// /v1, and the same under /cis/v1. It serves every call of the backend table,
// checks whose access token it comes with, and renders answers and refusals in
// the vendor's shapes (authenticators.md 0.1). It decides nothing else.
package identity

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/oidc"
	"github.com/watchword-auth/watchword/internal/session"
	"github.com/watchword-auth/watchword/internal/token"
	"github.com/watchword-auth/watchword/internal/web"
)

// Door is what the API needs.
type Door struct {
	Kit     *kit.Kit
	Keys    *token.Keys
	Parties *oidc.Provider
	Trusted []netip.Prefix // proxies whose X-Forwarded-For counts
	Page    func(w http.ResponseWriter, r *http.Request, status int, p backend.Page)
}

// Routes adds every call of the table, and its description.
func Routes(mux *http.ServeMux, d Door) {
	for _, c := range backend.Calls() {
		h := d.serve(c)
		if c.Page {
			guard := http.NewCrossOriginProtection()
			guard.SetDenyHandler(http.HandlerFunc(d.elsewhere))
			h = guard.Handler(h)
		}
		method, path, _ := strings.Cut(c.Route, " ")
		mux.Handle(c.Route, h)
		if strings.HasPrefix(path, "/v1/") {
			mux.Handle(method+" /cis"+path, h)
			mux.Handle(method+" /cis/cis"+path, h) // an SDK whose base URL ends in /cis already
		}
		if c.Who == backend.Public && strings.HasPrefix(path, "/v1/") {
			for _, at := range []string{"", "/cis"} {
				preflight(mux, at+path)
			}
		}
	}
	mux.HandleFunc("GET /openapi.json", openAPI(d.Kit.URL))
}

func (d Door) serve(c backend.Info) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &backend.Exec{Kit: d.Kit, Address: web.Address(r, d.Trusted).String(), Agent: r.UserAgent(), Origin: r.Header.Get("Origin"), Values: values(r, c.Query)}
		if c.Page {
			// nobody else reads it
		} else if c.Who == backend.Public {
			shared(w, x.Origin)
		} else if err := d.admit(r, c, x); err != nil {
			refuse(w, r, err)
			return
		}
		out, err := c.Run(r.Context(), x, func(v any) error { return decode(w, r, v) })
		switch in, trades := out.Body.(trade); {
		case err != nil:
		case trades:
			out.Body, err = d.trade(r.Context(), in)
		case out.Back != nil:
			out.Body, err = d.carry(out)
		case out.Resume || out.Proof.User() != "":
			out.Body, err = d.signIn(r.Context(), x, out)
		}
		if err != nil {
			refuse(w, r, err)
			return
		}
		if page, ok := out.Body.(backend.Page); ok {
			d.Page(w, r, max(out.Status, http.StatusOK), page)
			return
		}
		answer(w, out)
	})
}

// elsewhere is the page for a form that another site posted.
func (d Door) elsewhere(w http.ResponseWriter, r *http.Request) {
	d.Page(w, r, http.StatusForbidden, backend.Page{App: "Watchword", Title: "This did not work", Text: "This has to be pressed on its own page.", Verdict: "no"})
}

// values reads a wildcard of the route, else a parameter of the query that the call
// asks for.
func values(r *http.Request, asks []string) func(string) string {
	query := r.URL.Query()
	return func(name string) string {
		if v := r.PathValue(name); v != "" || !slices.Contains(asks, name) {
			return v
		}
		return query.Get(name)
	}
}

// decode reads a body; none is the empty value.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	if r.Method == http.MethodGet || r.Method == http.MethodDelete || r.ContentLength == 0 {
		return nil
	}
	if raw, ok := v.(*backend.Raw); ok {
		return readRaw(w, r, raw)
	}
	return web.Decode(w, r, v)
}

// admit checks the access token and what it may do.
func (d Door) admit(r *http.Request, c backend.Info, x *backend.Exec) error {
	kind, jwt, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "Bearer") || jwt == "" {
		return errNoToken
	}
	who, err := session.Authorize(r.Context(), d.Kit.DB, d.Keys, d.Kit.URL, strings.TrimSpace(jwt))
	if fault.Is(err, fault.Denied) {
		return errNoToken
	}
	if err != nil {
		return err
	}
	x.App, x.Client, x.Scope, x.User, x.Session, x.Proofs = who.App, who.Client, who.Scope, who.User, who.Session, who.Proofs
	if (c.Who == backend.User) != (who.User != "") {
		return backend.Code(fault.New(fault.Denied, "This needs another kind of access token."), "forbidden")
	}
	if c.Who == backend.Client && !x.May(c.Needs) {
		return backend.Code(fault.New(fault.Denied, "The client has no permission %s.", c.Needs), "forbidden")
	}
	return nil
}

var (
	errNoToken  = errors.New("no access token")
	errNoClient = errors.New("no such client")
)

// signIn opens a session on a proof, or adds it to one, and signs its tokens.
func (d Door) signIn(ctx context.Context, x *backend.Exec, out backend.Out) (any, error) {
	var s session.Session
	err := d.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		switch {
		case out.Resume:
			if s, err = session.Held(ctx, tx, x.App, out.SessionID); err == nil {
				err = session.Touch(ctx, tx, s)
			}
		case out.SessionID != "":
			s, err = session.Attach(ctx, tx, x.App, out.SessionID, out.Proof)
		default:
			s, err = session.Open(ctx, tx, x.App, x.From(), out.Proof)
		}
		if err != nil {
			return backend.Code(err, "session_not_found")
		}
		if s.Org, err = x.For(ctx, tx, s.User); err != nil {
			return err
		}
		return directory.MaySignIn(ctx, tx, s.Tenant, s.User) // and no locks: that somebody else fails to guess ends no session
	})
	if s.Bearer == "" {
		s.Bearer = out.SessionID
	}
	if err != nil {
		return nil, err
	}
	extra, _ := out.Body.(map[string]any)
	return session.UserTokens(ctx, d.Keys, d.Kit.URL, s, d.Kit.DB.Now(), extra)
}
