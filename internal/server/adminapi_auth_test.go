package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/adminapi"
	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/server"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// production is a server that is not in development, with a tenant, reached at
// localhost, so that passkeys work.
func production(t testing.TB) (*world, string) {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	h := httptest.NewUnstartedServer(nil)
	w.URL = strings.Replace("http://"+h.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	s, err := server.New(t.Context(), server.Config{URL: w.URL, Database: kittest.Address(t), MasterKey: make([]byte, 32), Log: slog.New(slog.DiscardHandler), Now: w.Now, RatePerAddress: -1})
	if err != nil {
		t.Fatal(err)
	}
	w.Server = s
	h.Config.Handler = s.Handler()
	h.Start()
	t.Cleanup(func() { s.Close(); h.Close() })
	if err := s.Kit.DB.Tx(t.Context(), func(tx *db.Tx) error {
		for _, id := range []apps.TenantID{"one", "two"} {
			if err := apps.CreateTenant(t.Context(), tx, apps.Tenant{ID: id, Name: string(id)}); err != nil {
				return err
			}
			if err := apps.Save(t.Context(), tx, apps.App{ID: apps.ID(id) + "-app", Tenant: id, Name: "App", Audience: apps.B2C}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	link, err := s.FirstLink(t.Context())
	if err != nil || link == "" {
		t.Fatalf("first link: %q, %v", link, err)
	}
	_, secret, _ := strings.Cut(link, "#invite=")
	return w, secret
}

// ceremony answers one by a passkey: calls begin, then end.
func (a *admin) ceremony(t testing.TB, p *simulator.Passkey, begin, end string) reply {
	t.Helper()
	r := a.must(t, "POST "+begin, map[string]any{})
	options, _ := r.Doc["options"].(map[string]any)
	reencode(options, "challenge")
	member, answer := "credential_request_options", p.Get
	if user, ok := options["user"].(map[string]any); ok {
		reencode(user, "id")
		member, answer = "credential_creation_options", p.Create
	}
	encoded, err := answer(map[string]any{"webauthn_session_id": r.Doc["ticket"], member: options})
	if err != nil {
		t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Credential map[string]any `json:"publicKeyCredential"`
	}
	if err := json.Unmarshal(b, &result); err != nil {
		t.Fatal(err)
	}
	return a.do(t, "POST "+end, map[string]any{"ticket": r.Doc["ticket"], "credential": result.Credential})
}

// reencode turns the base64url of browsers into what the simulated SDK reads.
func reencode(doc map[string]any, name string) {
	text, _ := doc[name].(string)
	if b, err := base64.RawURLEncoding.DecodeString(text); err == nil {
		doc[name] = base64.StdEncoding.EncodeToString(b)
	}
}

// TestReg_R91_FirstOwner: the first link makes the first owner, who may do nothing
// before they have a passkey and confirmed with it; then no first link is good.
func TestReg_R91_FirstOwner(t *testing.T) {
	w, secret := production(t)
	a := w.admin(t)
	r := a.must(t, "POST /session/invitation", map[string]any{"secret": secret, "name": "Grace", "email": "grace@example.org"})
	if r.Doc["needs_passkey"] != true || r.Doc["fresh_until"] != nil {
		t.Errorf("by the link: %s", r.Raw)
	}
	if r := a.do(t, "GET /apps", nil); r.Status != 403 || r.Doc["code"] != "passkey_required" {
		t.Errorf("without a passkey: %d %s", r.Status, r.Raw)
	}
	p := simulator.NewPasskey(w.URL)
	if r := a.ceremony(t, p, "/me/passkeys/start", "/me/passkeys"); r.Status != 200 {
		t.Fatalf("registering: %d %s", r.Status, r.Raw)
	}
	if r := a.do(t, "GET /apps", nil); r.Status != 403 {
		t.Errorf("registered, not confirmed: %d", r.Status)
	}
	if r := a.ceremony(t, p, "/session/step-up/start", "/session/step-up"); r.Status != 200 || r.Doc["needs_passkey"] != false || r.Doc["fresh_until"] == nil {
		t.Fatalf("confirming: %d %s", r.Status, r.Raw)
	}
	a.must(t, "GET /apps", nil)
	if link, err := w.FirstLink(t.Context()); err != nil || link != "" {
		t.Errorf("another first link: %q, %v", link, err)
	}

	w.Pass(6 * time.Minute)
	if r := a.do(t, "POST /keys/rotate", map[string]any{"alg": "ES256"}); r.Status != 403 || r.Doc["code"] != "step_up_required" {
		t.Errorf("a dangerous act, late: %d %s", r.Status, r.Raw)
	}
	if r := a.ceremony(t, p, "/session/step-up/start", "/session/step-up"); r.Status != 200 {
		t.Fatalf("confirming again: %s", r.Raw)
	}
	a.must(t, "POST /keys/rotate", map[string]any{"alg": "ES256"})

	fresh := w.admin(t)
	if r := fresh.ceremony(t, simulator.NewPasskey(w.URL), "/session/passkey/start", "/session/passkey"); r.Status < 400 {
		t.Errorf("a stranger's passkey signs in: %s", r.Raw)
	}
	if r := fresh.ceremony(t, p, "/session/passkey/start", "/session/passkey"); r.Status != 200 {
		t.Errorf("signing in: %d %s", r.Status, r.Raw)
	}
	mine := fresh.must(t, "GET /me/passkeys", nil)
	id, _ := mine.Doc["items"].([]any)[0].(map[string]any)["id"].(string)
	if r := fresh.do(t, "DELETE /me/passkeys/"+id, nil); r.Status != 409 {
		t.Errorf("the last passkey goes: %d", r.Status)
	}
	w.Pass(31 * time.Minute)
	if r := fresh.do(t, "GET /apps", nil); r.Status != 401 {
		t.Errorf("idle, and signed in: %d", r.Status)
	}
}

// TestConsoleOnNothing: a server that was given nothing has a tenant for its first
// administrator.
func TestConsoleOnNothing(t *testing.T) {
	w := &world{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	s, err := server.New(t.Context(), server.Config{URL: "http://localhost", Database: kittest.Address(t), MasterKey: make([]byte, 32), Log: slog.New(slog.DiscardHandler), Now: w.Now, RatePerAddress: -1})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() { s.Close(); h.Close() })
	w.Server, w.URL = s, h.URL
	link, err := s.FirstLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(link, "#invite=")
	r := w.admin(t).must(t, "POST /session/invitation", map[string]any{"secret": secret})
	if at(r.Doc, "tenant", "id") != "default" {
		t.Errorf("tenant: %s", r.Raw)
	}
}

// TestConsoleLinkOnce: of sixteen at once one is let in, by the first link of all as
// by any other.
func TestConsoleLinkOnce(t *testing.T) {
	w, secret := production(t)
	once := func(secret string) {
		t.Helper()
		var wg sync.WaitGroup
		var mu sync.Mutex
		in := 0
		for range 16 {
			a := w.admin(t)
			wg.Go(func() {
				if r := a.do(t, "POST /session/invitation", map[string]any{"secret": secret}); r.Status == 200 {
					mu.Lock()
					in++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if in != 1 {
			t.Errorf("%d were let in", in)
		}
	}
	once(secret)
	owner, err := administrator.FirstOwner(t.Context(), w.Kit.DB)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Kit.DB.Tx(t.Context(), func(tx *db.Tx) (err error) {
		secret, err = administrator.Invite(t.Context(), tx, owner)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	once(secret)
	w.Pass(25 * time.Hour)
	if r := w.admin(t).do(t, "POST /session/invitation", map[string]any{"secret": "inv_nonsense"}); r.Status != 403 {
		t.Errorf("no link at all: %d", r.Status)
	}
}

// as is a browser of a new administrator in a role, let in by their link.
func (w *world) as(t testing.TB, role administrator.Role) *admin {
	t.Helper()
	var secret string
	if err := w.Kit.DB.Tx(t.Context(), func(tx *db.Tx) error {
		n, err := administrator.List(t.Context(), tx)
		if err != nil {
			return err
		}
		made, err := administrator.Create(t.Context(), tx, string(role), fmt.Sprintf("%s-%d@example.org", role, len(n)), role)
		if err == nil {
			secret, err = administrator.Invite(t.Context(), tx, made.ID)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	a := w.admin(t)
	a.must(t, "POST /session/invitation", map[string]any{"secret": secret})
	return a
}

// foreign is a path whose wildcards name things that do not exist, or an
// application of another tenant.
func foreign(path string) string {
	for _, wild := range [][2]string{{"{app}", "foreign"}, {"{kind}", "email"}, {"{value}", "x"}} {
		path = strings.ReplaceAll(path, wild[0], wild[1])
	}
	for strings.Contains(path, "{") {
		before, rest, _ := strings.Cut(path, "{")
		_, after, _ := strings.Cut(rest, "}")
		path = before + "nothing" + after
	}
	return path
}

// TestReg_R75_Matrix walks every route as everybody: nobody but who stands in the
// table gets past the door, nobody reaches another tenant's, no other site is
// heard, and the description names every route.
func TestReg_R75_Matrix(t *testing.T) {
	w := newWorld(t)
	owner := w.owner(t)
	people := map[administrator.Role]*admin{administrator.Owner: owner}
	for _, r := range administrator.Roles[1:] {
		people[r] = w.as(t, r)
	}
	if err := w.Kit.DB.Tx(t.Context(), func(tx *db.Tx) error {
		if err := apps.CreateTenant(t.Context(), tx, apps.Tenant{ID: "other", Name: "Other"}); err != nil {
			return err
		}
		return apps.Save(t.Context(), tx, apps.App{ID: "foreign", Tenant: "other", Name: "Foreign", Audience: apps.B2C})
	}); err != nil {
		t.Fatal(err)
	}
	spec := owner.must(t, "GET /openapi.json", nil)
	paths, _ := spec.Doc["paths"].(map[string]any)
	described := 0
	for _, methods := range paths {
		described += len(methods.(map[string]any))
	}
	table := adminapi.Table()
	if described != len(table) {
		t.Errorf("%d routes are described, %d are in the table", described, len(table))
	}
	stranger := w.admin(t)
	for _, r := range table {
		method, path, _ := strings.Cut(r.Name, " ")
		if operation, ok := paths[adminapi.Base+path].(map[string]any); !ok || operation[strings.ToLower(method)] == nil {
			t.Errorf("%s is not described", r.Name)
		}
		if method != "GET" && r.Event == "" && !slices.ContainsFunc([]string{"/start", "/check", "/messages", "/simulate", "/import", "/expression", "/completions", "/try", "/tries/{try}"}, func(end string) bool { return strings.HasSuffix(path, end) }) {
			t.Errorf("%s writes and is not recorded", r.Name)
		}
		call := method + " " + foreign(path)
		var in any
		if method == "POST" || method == "PUT" || method == "PATCH" {
			in = map[string]any{}
		}
		if method != "GET" {
			if got := owner.do(t, call, in, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); got.Status != 403 {
				t.Errorf("%s from another site: %d", r.Name, got.Status)
			}
		}
		if r.Who.Open() {
			continue
		}
		if got := stranger.do(t, call, in); got.Status != 401 || got.Doc["code"] != "signed_out" {
			t.Errorf("%s for a stranger: %d %s", r.Name, got.Status, got.Raw)
		}
		for role, a := range people {
			got := a.do(t, call, in)
			denied := got.Status == 403 && got.Doc["code"] == "denied"
			if r.Who.May(role) == denied {
				t.Errorf("%s for %s: %d %s", r.Name, role, got.Status, got.Raw)
			}
			if strings.Contains(path, "{app}") && r.Who.May(role) && got.Status != 404 && got.Status != 400 {
				t.Errorf("%s for %s reaches another tenant's application: %d %s", r.Name, role, got.Status, got.Raw)
			}
			if got.Status >= 500 {
				t.Errorf("%s for %s: %d %s", r.Name, role, got.Status, got.Raw)
			}
		}
	}
}

// TestStepUpMatrix: every dangerous act wants a recent proof, from every role that
// may do it, and no other act does.
func TestStepUpMatrix(t *testing.T) {
	w, secret := production(t)
	a := w.admin(t)
	a.must(t, "POST /session/invitation", map[string]any{"secret": secret, "name": "Grace", "email": "grace@example.org"})
	p := simulator.NewPasskey(w.URL)
	for _, pair := range [][2]string{{"/me/passkeys/start", "/me/passkeys"}, {"/session/step-up/start", "/session/step-up"}} {
		if r := a.ceremony(t, p, pair[0], pair[1]); r.Status != 200 {
			t.Fatalf("%s: %s", pair[1], r.Raw)
		}
	}
	bare := w.as(t, administrator.Owner)
	w.Pass(10 * time.Minute)
	// What outlives the session that did it: a secret, where codes go, by what a user gets back in.
	lasting := []string{"POST /apps/{app}/clients", "PUT /apps/{app}/clients/{client}", "POST /users/{id}/identifiers", "PUT /users/{id}/identifiers/{kind}/{value}",
		"POST /users/{id}/identifiers/{kind}/{value}/verify", "POST /users/{id}/identifiers/{kind}/{value}/primary"}
	for _, r := range adminapi.Table() {
		if slices.Contains(lasting, r.Name) && !r.Who.Fresh() {
			t.Errorf("%s needs no recent proof", r.Name)
		}
		if r.Who.Open() {
			continue
		}
		method, path, _ := strings.Cut(r.Name, " ")
		call := method + " " + foreign(path)
		var in any
		if method == "POST" || method == "PUT" || method == "PATCH" {
			in = map[string]any{}
		}
		wanted := strings.HasPrefix(r.Name, "POST /me/passkeys") // judged by what else the session rests on
		if got := a.do(t, call, in); !wanted && (got.Doc["code"] == "step_up_required") != r.Who.Fresh() {
			t.Errorf("%s, late: %d %s", r.Name, got.Status, got.Raw)
		}
		if got := bare.do(t, call, in); (got.Doc["code"] == "passkey_required") == r.Who.Bare() {
			t.Errorf("%s by a link alone: %d %s", r.Name, got.Status, got.Raw)
		}
	}
}

// TestLastOwner: somebody owns this server, whatever two owners do to each other
// at once.
func TestLastOwner(t *testing.T) {
	w := newWorld(t)
	one := w.owner(t)
	two := w.as(t, administrator.Owner)
	id := func(a *admin) string {
		me, _ := a.must(t, "GET /session", nil).Doc["administrator"].(map[string]any)
		s, _ := me["id"].(string)
		return s
	}
	first, second := id(one), id(two)
	var wg sync.WaitGroup
	wg.Go(func() { one.do(t, "PATCH /administrators/"+second, map[string]any{"role": "auditor"}) })
	wg.Go(func() { two.do(t, "PATCH /administrators/"+first, map[string]any{"role": "auditor"}) })
	wg.Wait()
	owners := 0
	all, err := administrator.List(t.Context(), w.Kit.DB)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.Role == administrator.Owner {
			owners++
		}
	}
	if owners != 1 {
		t.Errorf("%d owners are left", owners)
	}
	last, lastID := one, first
	if s := one.must(t, "GET /session", nil); s.Doc["administrator"].(map[string]any)["role"] != "owner" {
		last, lastID = two, second
	}
	for _, call := range []string{"PATCH", "DELETE"} {
		var in any
		if call == "PATCH" {
			in = map[string]any{"role": "auditor"}
		}
		if r := last.do(t, call+" /administrators/"+lastID, in); r.Status != 409 {
			t.Errorf("%s of the last owner: %d %s", call, r.Status, r.Raw)
		}
	}
	link := last.must(t, "POST /administrators", map[string]any{"name": "Linus", "email": "linus@example.org", "role": "helpdesk"})
	if s, _ := link.Doc["link"].(string); !strings.Contains(s, "/console#invite=inv_") {
		t.Errorf("link: %s", link.Raw)
	}
	other := second
	if lastID == second {
		other = first
	}
	last.must(t, "DELETE /administrators/"+other, nil)
	gone := one
	if last == one {
		gone = two
	}
	if r := gone.do(t, "GET /apps", nil); r.Status != 401 {
		t.Errorf("removed, and signed in: %d", r.Status)
	}
}

// TestConsoleDescription holds what the console is built against still.
func TestConsoleDescription(t *testing.T) {
	w := newWorld(t)
	r := w.admin(t).must(t, "GET /openapi.json", nil)
	var lines []string
	for path, methods := range r.Doc["paths"].(map[string]any) {
		for method, op := range methods.(map[string]any) {
			lines = append(lines, strings.ToUpper(method)+" "+path+" "+fmt.Sprint(op.(map[string]any)["description"]))
		}
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	const golden = "testdata/adminapi.txt"
	want, err := os.ReadFile(golden)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err != nil || got != string(want) {
		t.Errorf("the console's API changed (UPDATE_GOLDEN=1 writes it anew): %v", err)
	}
}

// TestConsoleCookie: the session's cookie reaches no script and no other site.
func TestConsoleCookie(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	at, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.client.Jar.Cookies(at)) != 1 {
		t.Error("no cookie")
	}
	fresh := w.owner2(t)
	r := fresh.must(t, "PUT /session/tenant", map[string]any{"id": "default"})
	if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("headers: %v", r.Header)
	}
	if got := fresh.do(t, "GET /session", nil, "Origin", "https://evil.example"); got.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("another origin reads: %v", got.Header)
	}
	resp, err := http.Post(w.URL+adminapi.Base+"/session/invitation", "text/plain", strings.NewReader(`{"secret":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("a body that is no JSON: %d", resp.StatusCode)
	}
}
