package server

import (
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // of a random secret, once
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/web"
	"github.com/watchword-auth/watchword/ui"
)

// Dev is what `watchword dev` adds: a seeded application, an inbox that
// captures messages, and the playground (DESIGN 2.13, 2.21).
type Dev struct {
	Inbox *notify.Capture
	Facts DevFacts
	s     *Server
}

// DevFacts are what `watchword dev --json` prints.
type DevFacts struct {
	Base         string               `json:"base"`
	Console      string               `json:"console"`
	Playground   string               `json:"playground"`
	Auth         string               `json:"authenticator"`
	Inbox        string               `json:"inbox"`
	Issuer       string               `json:"issuer"`
	Clients      map[string]DevClient `json:"clients"`
	RedirectURIs []string             `json:"redirect_uris"`
	User         DevUser              `json:"user"`
	Journeys     []string             `json:"journeys"`
}

// DevClient is a seeded client.
type DevClient struct {
	ID     string `json:"id"`
	Secret string `json:"secret,omitempty"`
}

// DevUser is the seeded user.
type DevUser struct {
	Email    string `json:"email"`
	Password string `json:"password,omitempty"`
}

const demo apps.ID = "demo"

func newDev(s *Server) *Dev { return &Dev{Inbox: &notify.Capture{}, s: s} }

// devSecrets are made once for each data folder.
type devSecrets struct {
	Backend  string `json:"backend"`
	Password string `json:"password"`
}

// Seed installs the demo application, its clients, user and journeys, and
// changes nothing that an operator changed since. pushLimit replaces the limit of
// requests per user.
func (d *Dev) Seed(ctx context.Context, dataDir string, pushLimit int) error {
	secrets, err := readDevSecrets(filepath.Join(dataDir, "dev.json"))
	if err != nil {
		return err
	}
	base := d.s.config.URL
	redirects := []string{"http://127.0.0.1:*/callback", "http://localhost:*/callback"}
	if apps.Returnable(base + "/playground/") {
		redirects = append(redirects, base+"/playground/")
	}
	err = d.s.Kit.DB.Tx(ctx, func(tx *db.Tx) error {
		if err := seedApp(ctx, tx, redirects, secrets, pushLimit); err != nil {
			return err
		}
		if _, err := notify.EnsureVAPID(ctx, tx, string(tenant)); err != nil {
			return err
		}
		if err := seedUser(ctx, tx); err != nil {
			return err
		}
		return seedJourneys(ctx, tx)
	})
	if err == nil {
		err = d.seedPassword(ctx, secrets.Password)
	}
	var link string
	if err == nil {
		link, err = d.s.consoleLink(ctx)
	}
	if err != nil {
		return err
	}
	d.Facts = DevFacts{
		Base: base, Console: link, Playground: base + "/playground/", Auth: base + "/authenticator/", Inbox: base + "/dev/inbox", Issuer: base,
		Clients:      map[string]DevClient{"web": {ID: "demo-web"}, "native": {ID: "demo-native"}, "backend": {ID: "demo-backend", Secret: secrets.Backend}},
		RedirectURIs: redirects, User: DevUser{Email: demoEmail, Password: secrets.Password},
	}
	list, err := journey.List(ctx, d.s.Kit.DB, tenant)
	for _, j := range list {
		d.Facts.Journeys = append(d.Facts.Journeys, j.ID)
	}
	return err
}

const (
	tenant    apps.TenantID = "default"
	demoEmail string        = "ada@example.org"
	demoName  string        = "Northwind Coffee"
)

func readDevSecrets(path string) (devSecrets, error) {
	var s devSecrets
	b, err := os.ReadFile(path)
	if err == nil {
		return s, json.Unmarshal(b, &s)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	s = devSecrets{Backend: "wws_" + rand.Text(), Password: strings.ToLower(rand.Text())}
	b, err = json.Marshal(s)
	if err != nil {
		return s, err
	}
	return s, os.WriteFile(path, b, 0o600)
}

func seedApp(ctx context.Context, tx *db.Tx, redirects []string, s devSecrets, pushLimit int) error {
	if err := apps.CreateTenant(ctx, tx, apps.Tenant{ID: tenant, Name: "Development"}); err != nil {
		return err
	}
	if err := apps.Save(ctx, tx, apps.App{ID: demo, Tenant: tenant, Name: demoName, Audience: apps.B2C}); err != nil {
		return err
	}
	for _, c := range []apps.Client{
		{ID: "demo-web", App: demo, Name: "Northwind web shop", Kind: apps.Web, Settings: apps.ClientSettings{LoopbackOrigins: true, RedirectURIs: redirects, Cidaas: true}},
		{ID: "demo-native", App: demo, Name: "Northwind phone app", Kind: apps.Native, Settings: apps.ClientSettings{LoopbackOrigins: true, RedirectURIs: []string{"http://127.0.0.1/callback", "http://localhost/callback"}, Cidaas: true, Alg: "ES256"}},
		{ID: "demo-backend", App: demo, Name: "Northwind back end", Kind: apps.Backend, Settings: apps.ClientSettings{
			Permissions: []string{"apps:*", "auth:*", "authenticators:*", "consents:*", "devices:*", "sessions:*", "users:*"}}},
	} {
		if err := apps.SaveClient(ctx, tx, c); err != nil {
			return err
		}
	}
	if err := apps.SetSecret(ctx, tx, "demo-backend", s.Backend); err != nil {
		return err
	}
	return authn.Adjust(ctx, tx, authn.Place{Tenant: tenant, App: demo}, push.Kind, map[string]any{"limit": pushLimit, "backoff_after": 0, "not_me_minutes": 1, "show_devices": true})
}

func seedUser(ctx context.Context, tx *db.Tx) error {
	taken, err := directory.Taken(ctx, tx, tenant, directory.NewUser{Email: demoEmail})
	if err != nil || taken != "" {
		return err
	}
	_, err = directory.Create(ctx, tx, tenant, directory.NewUser{Email: demoEmail, Username: "ada"})
	return err
}

// seedPassword gives the demo user a password, unless they have one.
func (d *Dev) seedPassword(ctx context.Context, text string) error {
	q := d.s.Kit.DB
	u, err := directory.Lookup(ctx, q, tenant, demoEmail)
	if err != nil {
		return err
	}
	app := apps.App{ID: demo, Tenant: tenant, Name: demoName, Audience: apps.B2C}
	have, err := authn.Authenticators(ctx, q, tenant, demo, u.ID)
	if err != nil || !authn.Known("password") || slices.ContainsFunc(have, func(a authn.Authenticator) bool { return a.Kind == "password" }) {
		return err
	}
	x := &backend.Exec{Kit: d.s.Kit, App: app}
	set, err := backend.Credentials(ctx, x, json.RawMessage(db.Text(map[string]any{"password": "", "password_hash": ssha(text), "force_replace": false})))
	if err != nil {
		return err
	}
	return q.Tx(ctx, func(tx *db.Tx) error { return set(ctx, tx, u) })
}

// ssha is a salted hash as directories keep it, which is quick to make; the first
// sign-in replaces it. What it is of has 130 random bits.
func ssha(text string) string {
	salt := rand.Text()[:8]
	h := sha1.Sum([]byte(text + salt)) //nolint:gosec // see above
	return "{SSHA}" + base64.StdEncoding.EncodeToString(append(h[:], salt...))
}

func seedJourneys(ctx context.Context, tx *db.Tx) error {
	templates, err := journey.Templates()
	if err != nil {
		return err
	}
	js := map[string]journey.Graph{}
	for _, g := range templates {
		_, _, err := journey.Newest(ctx, tx, tenant, g.ID)
		if fault.Is(err, fault.NotFound) {
			js[g.ID] = g
		} else if err != nil {
			return err
		}
	}
	for _, g := range ordered(js) {
		if _, err := journey.Publish(ctx, tx, tenant, g); err != nil {
			return err
		}
	}
	return nil
}

// routes adds the pages and endpoints of development.
func (d *Dev) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /dev/inbox/messages", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		web.Write(w, http.StatusOK, map[string]any{"messages": d.Inbox.List(q.Get("channel"), q.Get("to"), q.Get("after"))}, 0)
	})
	mux.HandleFunc("GET /dev/config.json", func(w http.ResponseWriter, _ *http.Request) {
		facts := d.Facts
		facts.Clients = map[string]DevClient{"web": {ID: "demo-web"}, "native": {ID: "demo-native"}, "backend": {ID: "demo-backend"}}
		facts.User.Password, facts.Console = "", facts.Base+"/console"
		web.Write(w, http.StatusOK, facts, 0)
	})
	pages(mux, "/playground/", ui.Files, "playground")
	mux.Handle("GET /{$}", http.RedirectHandler("/playground/", http.StatusFound))
	mux.HandleFunc("GET /dev/inbox", d.inboxPage)
}

// named sends whoever opens a page by 127.0.0.1 to localhost, if that is what the
// server is called: browsers give passkeys to names only, and keep what is kept for
// the one from the other. Calls are answered by either.
func (d *Dev) named(h http.Handler) http.Handler {
	here, err := url.Parse(d.s.config.URL)
	if err != nil || here.Hostname() != "localhost" {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Method == http.MethodGet && r.Host == "127.0.0.1:"+here.Port() {
			http.Redirect(w, r, d.s.config.URL+r.URL.RequestURI(), http.StatusTemporaryRedirect)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// pages serves one folder of the embedded files with a strict policy.
func pages(mux *http.ServeMux, prefix string, files fs.FS, folder string) {
	all := map[string]asset{}
	err := fs.WalkDir(files, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, name)
		all[strings.TrimSuffix(prefix+strings.TrimPrefix(name, folder+"/"), "index.html")] = made(name, b)
		return err
	})
	if err != nil {
		panic(err) // the folder is embedded at build time
	}
	mux.HandleFunc("GET "+prefix, func(w http.ResponseWriter, r *http.Request) {
		a, ok := all[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		// The console shows the phone beside the journey that is tried.
		w.Header().Set("X-Frame-Options", "SAMEORIGIN")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "+
			"base-uri 'none'; form-action 'none'; frame-ancestors 'self'; require-trusted-types-for 'script'")
		a.serve(w, r)
	})
}
