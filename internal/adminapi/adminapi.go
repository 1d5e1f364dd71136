// Package adminapi is the door of the console: everything that an administrator
// does, as JSON under /admin/v1, described by /admin/v1/openapi.json. It decides
// who may call what and records every write; what a call means is decided below.
//
// To add a route, write one function and one line. The function takes what was
// decoded and returns what is encoded:
//
//	func getThing(ctx context.Context, c *Call, in *thingIn) (*tagged[thing], error)
//
// The line goes into a table (table.go, or a function of your own file that routes
// concatenates): method and path, title, who may call it, what a write is recorded as,
// and the function:
//
//	{"GET /things/{id}", "Get a thing", readers, "", serve(getThing)},
//	{"PUT /things/{id}", "Change a thing", applicationAdmin | fresh, "admin.thing.changed", serve(putThing)},
//
// A function writes through c.write, which is one transaction with its audit row;
// it reads through c.Kit.DB, of the tenant c.tenant() and of no other. A list
// takes a Page and returns items; a thing is returned by tag and changed after
// c.unchanged. Refusals are fault.Error, or a *Problem that names places.
package adminapi

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/token"
	"github.com/watchword-auth/watchword/internal/web"
	"github.com/watchword-auth/watchword/internal/webhook"
)

// Base is where the API stands.
const Base = "/admin/v1"

// Door is what the API needs.
type Door struct {
	Kit     *kit.Kit
	Keys    *token.Keys
	Trusted []netip.Prefix // proxies whose X-Forwarded-For counts
	Version string

	Notifier *notify.Notifier
	Hooks    webhook.Sender
	// Preview draws a page as an application's users would see it with a branding,
	// whose style sheet stands at an address; nil: there is none.
	Preview func(w http.ResponseWriter, r *http.Request, app apps.App, b apps.Branding, page, style string)

	Engine  *journey.Engine
	Samples func(g journey.Graph, client apps.ClientID, base string) ([]CodeSample, error)
	Files   Files
}

// Routes adds the API.
func Routes(mux *http.ServeMux, d Door) {
	config := huma.DefaultConfig("Watchword administration", "1")
	config.OpenAPIPath, config.DocsPath, config.SchemasPath, config.CreateHooks = Base+"/openapi", "", "", nil
	config.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	api := humago.New(mux, config)
	guard := http.NewCrossOriginProtection()
	for _, r := range routes() {
		r.serve(api, r.operation(d, guard))
	}
}

// operation is a route as the library has it.
func (r Route) operation(d Door, guard *http.CrossOriginProtection) huma.Operation {
	method, path, _ := strings.Cut(r.Name, " ")
	id := strings.ToLower(method) + strings.NewReplacer("/", "_", "{", "", "}", "", "-", "_").Replace(path)
	return huma.Operation{OperationID: id, Method: method, Path: Base + path, Summary: r.Title, Description: r.Who.String(), MaxBodyBytes: r.maxBody(), Middlewares: huma.Middlewares{
		func(ctx huma.Context, next func(huma.Context)) {
			req, w := humago.Unwrap(ctx)
			w.Header().Set("Cache-Control", "no-store")
			c, err := d.admit(req, w, r, guard)
			if err != nil {
				c.problem(req.Context(), err).write(w)
				return
			}
			next(huma.WithValue(ctx, callKey{}, c))
		},
	}}
}

// Call is one request of somebody who may make it.
type Call struct {
	Door
	Who   administrator.Session // whose; zero on open routes when nobody is signed in
	Route Route

	r *http.Request
	w http.ResponseWriter
}

type callKey struct{}

// binder tells the library of a function.
type binder func(api huma.API, op huma.Operation)

// serve makes a function a route's.
func serve[In, Out any](fn func(ctx context.Context, c *Call, in *In) (*Out, error)) binder {
	return func(api huma.API, op huma.Operation) {
		huma.Register(api, op, func(ctx context.Context, in *In) (*Out, error) {
			c := ctx.Value(callKey{}).(*Call)
			out, err := fn(ctx, c, in)
			if err != nil {
				return nil, c.problem(ctx, err)
			}
			return out, nil
		})
	}
}

// admit judges who calls: where the request comes from, whose session it is,
// what the role allows, whether a dangerous act is covered by a recent proof.
func (d Door) admit(r *http.Request, w http.ResponseWriter, to Route, guard *http.CrossOriginProtection) (*Call, error) {
	c := &Call{Door: d, Route: to, r: r, w: w}
	if err := guard.Check(r); err != nil {
		return c, fault.New(fault.Denied, "This request came from another site.").Because(err)
	}
	if err := c.contentType(); err != nil {
		return c, err
	}
	if err := c.recall(r.Context()); err != nil {
		return c, err
	}
	signedIn := c.Who.User != ""
	switch {
	case to.Who.has(open):
		return c, nil
	case !signedIn:
		return c, signedOut
	case c.needsPasskey() && !to.Who.has(bare):
		return c, passkeyRequired
	case !to.Who.May(c.Who.Who.Role):
		return c, fault.New(fault.Denied, "Your role does not allow this.")
	case to.Who.has(fresh) && c.freshUntil().IsZero():
		return c, stepUpRequired
	case c.Who.Manages == "" && !to.Who.has(bare) && !to.Who.has(server):
		return c, fault.New(fault.NotFound, "This server has no tenant yet.")
	}
	return c, administrator.Seen(r.Context(), d.Kit.DB, c.Who)
}

// contentType wants JSON, which no form of another site can send.
func (c *Call) contentType() error {
	kind, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	kind = strings.TrimSpace(kind)
	if c.r.ContentLength == 0 || c.r.Method == http.MethodGet || kind == "application/json" || c.Route.Who.has(image) && strings.HasPrefix(kind, "image/") {
		return nil
	}
	return fault.New(fault.Invalid, "The body must be application/json.")
}

// recall finds the session of the request; none is no error.
func (c *Call) recall(ctx context.Context) error {
	cookie, err := c.r.Cookie(c.cookieName())
	if err != nil {
		return nil
	}
	c.Who, err = administrator.Recall(ctx, c.Kit.DB, cookie.Value)
	if fault.Is(err, fault.NotFound) {
		c.Who, err = administrator.Session{}, nil
	}
	return err
}

// tenant is the one that the administrator manages now.
func (c *Call) tenant() apps.TenantID { return c.Who.Manages }

// app returns an application of the tenant; fault.NotFound for any other.
func (c *Call) app(ctx context.Context, q db.Q, id string) (apps.App, error) {
	a, err := apps.Find(ctx, q, apps.ID(id))
	if err == nil && a.Tenant != c.tenant() {
		return apps.App{}, fault.New(fault.NotFound, "no such application")
	}
	return a, err
}

// write runs a change in one transaction with its audit row. fn returns what was
// changed.
func (c *Call) write(ctx context.Context, fn func(tx *db.Tx) (target string, err error)) error {
	return c.writeWith(ctx, func(tx *db.Tx) (string, map[string]any, error) {
		target, err := fn(tx)
		return target, nil, err
	})
}

// writeWith is write with more to be recorded: names of what changed, never
// values.
func (c *Call) writeWith(ctx context.Context, fn func(tx *db.Tx) (target string, data map[string]any, err error)) error {
	return c.Kit.DB.Tx(ctx, func(tx *db.Tx) error {
		target, data, err := fn(tx)
		if err != nil {
			return err
		}
		return c.record(ctx, tx, target, data)
	})
}

// record writes the audit row of a write.
func (c *Call) record(ctx context.Context, tx *db.Tx, target string, data map[string]any) error {
	e := audit.Event{Tenant: string(c.tenant()), Type: c.Route.Event, Outcome: "success", Actor: string(c.Who.User), Target: target,
		App: c.r.PathValue("app"), IP: c.address(), UserAgent: c.r.UserAgent(), Data: data}
	if e.App == "" {
		e.App = c.r.URL.Query().Get("app")
	}
	if e.Tenant == "" {
		e.Tenant = string(apps.ConsoleTenant)
	}
	return audit.Record(ctx, tx, e)
}

func (c *Call) address() string { return web.Address(c.r, c.Trusted).String() }
