// Package server puts the parts together. It is the only package that knows
// them all: configuration in, a running server out.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/watchword-auth/watchword/internal/adminapi"
	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/deviceapi"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/hosted"
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/limit"
	"github.com/watchword-auth/watchword/internal/notice"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/oidc"
	"github.com/watchword-auth/watchword/internal/refusal"
	"github.com/watchword-auth/watchword/internal/secret"
	"github.com/watchword-auth/watchword/internal/session"
	"github.com/watchword-auth/watchword/internal/token"
	"github.com/watchword-auth/watchword/internal/web"
	"github.com/watchword-auth/watchword/internal/webhook"
	"github.com/watchword-auth/watchword/internal/wire/cidaas"
	"github.com/watchword-auth/watchword/internal/wire/identity"
	"github.com/watchword-auth/watchword/internal/wire/mosaic"
	"github.com/watchword-auth/watchword/internal/wire/oauth"
	"github.com/watchword-auth/watchword/ui"

	// Crafts: one import a method, one for the steps.
	_ "github.com/watchword-auth/watchword/internal/authenticators/code"
	_ "github.com/watchword-auth/watchword/internal/authenticators/face"
	_ "github.com/watchword-auth/watchword/internal/authenticators/magiclink"
	_ "github.com/watchword-auth/watchword/internal/authenticators/mobilekey"
	_ "github.com/watchword-auth/watchword/internal/authenticators/passkey"
	_ "github.com/watchword-auth/watchword/internal/authenticators/password"
	_ "github.com/watchword-auth/watchword/internal/authenticators/recovery"
	_ "github.com/watchword-auth/watchword/internal/authenticators/totp"
	_ "github.com/watchword-auth/watchword/internal/authenticators/trusted"
	_ "github.com/watchword-auth/watchword/internal/journey/steps"
)

// Config is what the process needs; everything of the product stands in the
// database. Listen, URL, Database, MasterKey, Log and Now must be set; the zero
// value of any other field is its default.
type Config struct {
	Listen    string         // address to serve on
	URL       string         // where the world reaches this server, without a trailing slash: the issuer
	Database  string         // "sqlite:PATH" or "postgres://…"
	MasterKey []byte         // 32 bytes
	Trusted   []netip.Prefix // proxies whose X-Forwarded-For counts
	Dev       bool           // capture messages, serve the playground
	Live      string         // in development: host:port of a push service that is called nevertheless
	Log       *slog.Logger
	Now       func() time.Time

	HeldPerAddress int     // waiting requests one address may hold; 0: 500
	RatePerAddress float64 // requests a second of one address; 0: 50, negative: no limit

	Linger time.Duration // goes on serving so long after it was told to stop, not ready any more

	Outgoing  *http.Client     // instead of the guarded client; for tests, no flag sets it
	Providers notify.Endpoints // instead of the real ones; for tests, no flag sets it
}

// Server is a server that is ready to serve. Close it.
type Server struct {
	Kit    *kit.Kit
	Engine *journey.Engine
	Keys   *token.Keys
	OIDC   *oidc.Provider
	Dev    *Dev // nil outside development

	config   Config
	notifier *notify.Notifier
	handler  http.Handler
	meters   meters
	draining chan struct{}
	once     sync.Once
	work     sync.WaitGroup
	stop     context.CancelFunc
}

// New opens the database, brings it up to date and puts the parts together. It
// listens nowhere yet.
func New(ctx context.Context, c Config) (*Server, error) {
	vault, err := secret.NewVault(c.MasterKey)
	if err != nil {
		return nil, err
	}
	d, err := db.Open(ctx, c.Database, vault, c.Now)
	if err != nil {
		return nil, err
	}
	s := &Server{config: c, draining: make(chan struct{}), meters: newMeters()}
	s.Kit = &kit.Kit{DB: d, Log: c.Log, URL: c.URL, Jobs: jobs.NewWorker(d, c.Log), Dev: c.Dev, Crew: kit.NewCrew(32)}
	s.Engine = journey.NewEngine(s.Kit, journey.Options{HeldPerAddress: c.HeldPerAddress})
	s.Engine.OnEnd(string(push.Kind), push.Settle)
	s.Keys = token.New(d)
	s.provider()
	if err := s.assemble(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return s, nil
}

func (s *Server) assemble(ctx context.Context) error {
	if err := s.Kit.DB.CheckVault(ctx); err != nil {
		return err
	}
	if err := s.Keys.Ensure(ctx); err != nil {
		return fmt.Errorf("signing keys: %w", err)
	}
	if err := s.Kit.DB.Tx(ctx, func(tx *db.Tx) error { return administrator.Ensure(ctx, tx) }); err != nil {
		return fmt.Errorf("the console's own tenant: %w", err)
	}
	if err := s.searchable(ctx); err != nil {
		return fmt.Errorf("names to search: %w", err)
	}
	if s.config.Dev {
		s.Dev = newDev(s)
	}
	s.messages()
	s.housekeeping()
	s.handler = s.routes()
	return nil
}

// outgoing is the client for everything the server calls out to.
func (s *Server) outgoing() *http.Client {
	if s.config.Outgoing != nil {
		return s.config.Outgoing
	}
	return web.Egress(web.EgressOptions{})
}

// provider wires the OpenID provider: what it fetches, whom it tells, and the
// runs that it waits for.
func (s *Server) provider() {
	client := s.outgoing()
	s.OIDC = &oidc.Provider{Kit: s.Kit, Keys: s.Keys, Fetch: func(ctx context.Context, address string) ([]byte, error) { return web.Get(ctx, client, address, nil) }}
	s.Engine.OnEnd(oidc.WaiterKind, s.OIDC.Settle)
	jobs.Handle(s.Kit.Jobs, oidc.LogoutJob, func(ctx context.Context, f oidc.Farewell) error {
		address, jwt, err := s.OIDC.LogoutToken(ctx, f)
		if err != nil || address == "" {
			return err
		}
		return web.PostForm(ctx, client, address, url.Values{"logout_token": {jwt}})
	})
	jobs.Handle(s.Kit.Jobs, oidc.CIBAJob, func(ctx context.Context, d oidc.Decided) error {
		n, err := s.OIDC.Notify(ctx, d)
		if err != nil || n == nil {
			return err
		}
		return web.Post(ctx, client, n.At, map[string]string{"Authorization": "Bearer " + n.Token}, n.Body, nil)
	})
}

// messages wires what carries push messages out.
func (s *Server) messages() {
	o := notify.Options{
		Client: s.outgoing(), Subject: contact(s.config.URL), Base: s.config.URL, Gone: directory.DropTarget, Endpoints: s.config.Providers,
		Sent: func(kind, outcome string) { s.meters.pushes.WithLabelValues(kind, outcome).Inc() },
		Trouble: func(ctx context.Context, request, _ string) error {
			return s.Kit.DB.Tx(ctx, func(tx *db.Tx) error { return push.Fail(ctx, tx, authn.ChallengeID(request)) })
		},
	}
	if s.Dev != nil {
		o.Capture, o.Live = s.Dev.Inbox, s.config.Live
		if o.Live != "" {
			o.Client = web.Egress(web.EgressOptions{Allow: []string{o.Live}})
		}
	}
	s.notifier = notify.New(s.Kit.DB, o)
	s.notifier.Serve(s.Kit.Jobs)
	jobs.Handle(s.Kit.Jobs, push.RunOutJob, func(ctx context.Context, r push.RunOut) error {
		return s.Kit.DB.Tx(ctx, func(tx *db.Tx) error { return push.RanOut(ctx, tx, r) })
	})
	s.hooks().Serve(s.Kit.Jobs)
}

// contact is whom a push service may write to about this server (RFC 8292 2.1).
func contact(url string) string {
	if strings.HasPrefix(url, "https://") {
		return url
	}
	return "mailto:postmaster@localhost" // plain http is spoken in development only
}

// housekeeping deletes what has run out and seals the audit record, on one node
// at a time.
func (s *Server) housekeeping() {
	w := s.Kit.Jobs
	sweep := func(name string, fn func(context.Context, *db.Tx) error) {
		w.Every(name, time.Minute, func(ctx context.Context) error {
			return s.Kit.DB.Tx(ctx, func(tx *db.Tx) error { return fn(ctx, tx) })
		})
	}
	w.Every("sweep.runs", time.Minute, s.sweepRuns)
	sweep("sweep.tries", journey.SweepTries)
	sweep("sweep.challenges", authn.Sweep)
	sweep("sweep.strangers", authn.SweepStrangers)
	sweep("sweep.sessions", session.Sweep)
	sweep("sweep.grants", oidc.Sweep)
	sweep("sweep.administrators", administrator.Sweep)
	sweep("sweep.messages", journey.SweepMessages)
	sweep("sweep.invitations", directory.SweepInvitations)
	sweep("sweep.counters", limit.Sweep)
	sweep("sweep.keys", token.Sweep)
	sweep("sweep.webhooks", webhook.Sweep)
	sweep("sweep.tallies", audit.SweepTallies)
	audit.Serve(w, s.Kit.DB)
	audit.Follow(w, s.Kit.DB, "console", audit.Tally, webhook.Offer)
	w.Every("sweep.audit", time.Hour, s.pruneAudit)
}

// sweepRuns keeps a record of the runs that nobody finished, and forgets the
// records that are old.
func (s *Server) sweepRuns(ctx context.Context) error {
	for more := true; more; {
		err := s.Kit.DB.Tx(ctx, func(tx *db.Tx) (err error) {
			more, err = journey.Sweep(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
	}
	tenants, err := apps.Tenants(ctx, s.Kit.DB)
	if err != nil {
		return err
	}
	return s.Kit.DB.Tx(ctx, func(tx *db.Tx) error {
		for _, t := range tenants {
			set, err := t.Settings(ctx, tx)
			if err != nil {
				return err
			}
			keep := runRecords
			if set.RunDays > 0 {
				keep = time.Duration(set.RunDays) * 24 * time.Hour
			}
			if err := journey.SweepRecords(ctx, tx, t.ID, tx.Now().Add(-keep)); err != nil {
				return err
			}
		}
		return nil
	})
}

// runRecords is how long it is kept how a run went, unless the tenant says.
const runRecords = 7 * 24 * time.Hour

// Serve listens and serves until ctx ends, then drains: it is not ready any
// more, answers held requests, finishes the others and closes. ready is called
// with the address once requests are served.
func (s *Server) Serve(ctx context.Context, ready func(address string)) error {
	l, err := net.Listen("tcp", s.config.Listen)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%s is taken: another program listens there; choose another with --listen", s.config.Listen)
		}
		return fmt.Errorf("listening on %s: %w", s.config.Listen, err)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.work.Go(func() { s.Kit.Jobs.Run(background) })
	s.work.Go(func() { s.collect(background) })
	h := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	s.work.Go(func() { failed <- h.Serve(l) })
	ready(l.Addr().String())
	select {
	case err := <-failed:
		return errors.Join(err, s.Close())
	case <-ctx.Done():
	}
	return s.drain(context.WithoutCancel(ctx), h)
}

// collect trades processor time for memory while many requests wait: they are
// idle, and most of what is allocated then is theirs. At the default, 5,000 of
// them took 400 MB; always collecting more often cost a sign-in 1 ms.
func (s *Server) collect(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	const many, busy, idle = 500, 100, 20
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for now := busy; ; {
		want := busy
		if s.Engine.Held() > many {
			want = idle
		}
		if want != now {
			debug.SetGCPercent(want)
			now = want
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Close stops the background work and closes the database.
func (s *Server) Close() error {
	s.release()
	if s.stop != nil {
		s.stop()
	}
	s.work.Wait()
	return s.Kit.DB.Close() // the crew stays: a late request may still ask it
}

// Handler serves every route.
func (s *Server) Handler() http.Handler { return s.handler }

func (s *Server) journeyToken(ctx context.Context, end journey.End) (string, error) {
	app, err := apps.Find(ctx, s.Kit.DB, end.App)
	if err != nil {
		return "", err
	}
	return session.JourneyToken(ctx, s.Keys, s.config.URL, session.Facts{
		ID: end.Token.ID, At: end.Token.At, Client: end.Client, App: app, Journey: end.Journey, Version: end.Version, Device: end.Device,
		Params: end.Params, Proofs: end.Proofs, Claims: end.Claims, Signed: receipts(end.Approvals),
	})
}

func receipts(as []journey.Approval) []session.Receipt {
	var out []session.Receipt
	for _, a := range as {
		out = append(out, session.Receipt(a))
	}
	return out
}

// routes lists every door, in one place.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	refused := refusal.New(s.Kit.DB, s.Kit.Log)
	door := mosaic.Door{Kit: s.Kit, Refused: refused, Engine: s.Engine, Keys: s.Keys, Token: s.journeyToken, Code: s.OIDC.JourneyCode, Trusted: s.config.Trusted, Onward: s.OIDC.Onward,
		Interaction: func(ctx context.Context, c apps.Client, app apps.App, id string) (journey.StartRequest, error) {
			start, err := s.OIDC.Interaction(ctx, c, app, id)
			if e := oidc.Refusal(err); e != nil {
				err = fault.New(fault.NotFound, "There is no such request.").Because(err)
			}
			return start, err
		}}
	mosaic.Routes(mux, door)
	people := hosted.Door{Kit: s.Kit, Refused: refused, Engine: s.Engine, Trusted: s.config.Trusted, Token: s.journeyToken}
	parties := oauth.Door{Kit: s.Kit, Refused: refused, Provider: s.OIDC, Trusted: s.config.Trusted, Page: people.Page,
		SignIn: func(w http.ResponseWriter, r *http.Request, start journey.StartRequest, back oauth.Return) error {
			return people.Begin(w, r, start, hosted.Return{Handle: back.Handle, Leads: back.Leads, Done: back.Done})
		}}
	people.Back, people.Account = parties.Finish, hosted.Sessions{Bearer: parties.Bearer, Keep: parties.Keep}
	oauth.Routes(mux, parties)
	vendor := cidaas.Door{Kit: s.Kit, Provider: s.OIDC, Trusted: s.config.Trusted, Stop: s.draining, SignIn: parties.Begin, Authorize: parties.Authorize, Old: parties.Visitor, Keep: parties.Keep, Send: parties.Send,
		AskConsent: parties.AskConsent, Fail: parties.Fail}
	jobs.Handle(s.Kit.Jobs, cidaas.SendJob, vendor.Deliver)
	jobs.Handle(s.Kit.Jobs, authn.LockedJob, func(ctx context.Context, n authn.LockedNotice) error { return notice.Locked(ctx, s.Kit.DB, n) })
	cidaas.Routes(mux, vendor)
	hosted.Routes(mux, people)
	mux.HandleFunc("GET /login/test/{link}", s.testLink(people))
	identity.Routes(mux, identity.Door{Kit: s.Kit, Keys: s.Keys, Parties: s.OIDC, Trusted: s.config.Trusted, Page: people.Page})
	adminapi.Routes(mux, s.administration(people.Preview))
	pages(mux, "/login-assets/", ui.Files, "login")
	pages(mux, "/lib/", ui.Files, "lib")
	s.authenticator(mux)
	deviceapi.Routes(mux, deviceapi.Door{Kit: s.Kit, Engine: s.Engine, Keys: s.Keys, Trusted: s.config.Trusted, Stop: s.draining})
	s.keySet(mux)
	s.operations(mux)
	s.console(mux)
	if s.Dev != nil {
		s.Dev.routes(mux)
	}
	var h http.Handler = mux
	if s.Dev != nil {
		h = s.Dev.named(h)
	}
	h = mosaic.CORS(door, h)
	h = s.limited(h)
	h = s.leaving(h)
	h = s.measured(h)
	return web.Wrap(h, s.config.Log, s.config.Trusted)
}

// readable lets the page that asked read a refusal that is the same for
// everybody, so that its SDK says "too many requests" and not "network error".
func readable(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" {
		web.Readable(w, origin, true)
		w.Header().Add("Vary", "Origin")
	}
}

// limited bounds the requests of one address.
func (s *Server) limited(h http.Handler) http.Handler {
	rate := s.config.RatePerAddress
	if rate < 0 {
		return h
	}
	if rate == 0 {
		rate = 50
	}
	buckets := limit.NewBuckets(rate, int(rate)*4, 50_000)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" { // whoever asks this restarts what does not answer
			h.ServeHTTP(w, r)
			return
		}
		if ok, wait := buckets.Allow(limit.Address(web.Address(r, s.config.Trusted).String()), s.Kit.DB.Now()); !ok {
			readable(w, r)
			web.TooMany(w, wait)
			return
		}
		h.ServeHTTP(w, r)
	})
}
