package server_test

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/token"
	"github.com/watchword-auth/watchword/internal/web"
)

// ear is an endpoint of a relying party that the server calls, over TLS and
// through the guarded client.
type ear struct {
	*httptest.Server
	mu     sync.Mutex
	heard  []heard
	status int               // what it answers with; 0: 204
	serves map[string]string // documents, by path
}

type heard struct {
	path, bearer, kind string
	form               url.Values
	body               map[string]any
}

// listening is a world whose server may call one relying party on this machine.
func listening(t testing.TB) (*world, *ear) {
	t.Helper()
	e := &ear{}
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(e.hear))
	e.Config.ErrorLog = log.New(io.Discard, "", 0)
	e.StartTLS()
	t.Cleanup(e.Close)
	o := web.EgressOptions{Roots: x509.NewCertPool(), Allow: []string{e.Listener.Addr().String()}}
	o.Roots.AddCert(e.Certificate())
	return openWith(t, kittest.Address(t), slog.New(slog.NewTextHandler(t.Output(), nil)), web.Egress(o)), e
}

func (e *ear) hear(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	h := heard{path: r.URL.Path, bearer: r.Header.Get("Authorization"), kind: r.Header.Get("Content-Type")}
	if h.form, _ = url.ParseQuery(string(b)); h.kind == "application/json" {
		_ = json.Unmarshal(b, &h.body)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if doc, ok := e.serves[r.URL.Path]; ok {
		_, _ = io.WriteString(w, doc)
		return
	}
	if e.status != 0 {
		w.WriteHeader(e.status)
		return
	}
	e.heard = append(e.heard, h)
	w.WriteHeader(http.StatusNoContent)
}

func (e *ear) answers(status int) { e.mu.Lock(); defer e.mu.Unlock(); e.status = status }

// took returns what was heard since the last time.
func (e *ear) took() []heard {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.heard
	e.heard = nil
	return out
}

// drain runs the jobs that are due.
func (w *world) drain(t testing.TB) {
	t.Helper()
	for {
		more, err := w.Kit.Jobs.RunOne(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return
		}
	}
}

const bankSecret = "a-secret-of-more-than-twenty-characters"

func (w *world) bank(t testing.TB, mode, at string) party {
	t.Helper()
	w.client(t, apps.Client{ID: "bank", Name: "Bank", Kind: apps.Backend, Settings: apps.ClientSettings{Grants: []string{apps.GrantCIBA, apps.GrantRefresh}, DetailTypes: []string{"payment"},
		CIBA: mode, Notification: at}}, bankSecret)
	return w.party(t, "bank", bankSecret)
}

func (c party) asks(t testing.TB, more url.Values) string {
	t.Helper()
	form := url.Values{"scope": {"openid"}, "login_hint": {"grace@example.org"}, "client_notification_token": {"the-bank-s-own-word"}}
	for name, v := range more {
		form[name] = v
	}
	status, out := c.post(t, "/oidc/bc-authorize", form)
	if status != 200 {
		t.Fatalf("asking: %d %v", status, out)
	}
	return out["auth_req_id"].(string)
}

func (c party) collects(t testing.TB, id string) (int, map[string]any) {
	t.Helper()
	c.w.Pass(time.Minute)
	return c.token(t, url.Values{"grant_type": {apps.GrantCIBA}, "auth_req_id": {id}})
}

// TestCIBAPing: the client is told that there is something to collect, whatever
// it is, once it is; it proves nothing by itself.
func TestCIBAPing(t *testing.T) {
	w, bank := listening(t)
	c := w.bank(t, "ping", bank.URL+"/ping")
	phone := w.registered(t, "grace@example.org", 0)

	id := c.asks(t, nil)
	if w.drain(t); len(bank.took()) != 0 {
		t.Error("told before anybody answered")
	}
	if err := phone.Approve(t.Context(), pending(t, phone).ID, ""); err != nil {
		t.Fatal(err)
	}
	bank.answers(500)
	w.drain(t)
	bank.answers(0)
	w.Pass(5 * time.Second)
	w.drain(t)
	told := bank.took()
	if len(told) != 1 || told[0].path != "/ping" || told[0].bearer != "Bearer the-bank-s-own-word" || told[0].kind != "application/json" || len(told[0].body) != 1 || told[0].body["auth_req_id"] != id {
		t.Fatalf("told: %+v", told)
	}
	if status, out := c.collects(t, id); status != 200 || out["id_token"] == nil {
		t.Errorf("collected: %d %v", status, out)
	}
	if w.drain(t); len(bank.took()) != 0 {
		t.Error("told once more when its time was over")
	}

	id = c.asks(t, nil)
	if err := phone.Deny(t.Context(), pending(t, phone).ID, false); err != nil {
		t.Fatal(err)
	}
	if w.drain(t); len(bank.took()) != 1 {
		t.Error("not told of the denial")
	}
	if status, out := c.collects(t, id); status != 400 || out["error"] != "access_denied" {
		t.Errorf("denied: %d %v", status, out)
	}

	id = c.asks(t, url.Values{"requested_expiry": {"60"}})
	w.Pass(time.Minute)
	w.drain(t)
	if told := bank.took(); len(told) != 1 || told[0].body["auth_req_id"] != id {
		t.Errorf("told that it ran out: %+v", told)
	}
	if status, out := c.collects(t, id); status != 400 || out["error"] != "expired_token" {
		t.Errorf("run out: %d %v", status, out)
	}
	if status, out := c.post(t, "/oidc/bc-authorize", url.Values{"scope": {"openid"}, "login_hint": {"grace@example.org"}}); status != 400 || out["error"] != "invalid_request" {
		t.Errorf("without a notification token: %d %v", status, out)
	}
}

// TestCIBAPush: the tokens are brought, once, or why there are none; the client
// can collect nothing, and whoever was locked meanwhile gets nothing (R25).
func TestCIBAPush(t *testing.T) {
	w, bank := listening(t)
	c := w.bank(t, "push", bank.URL+"/push")
	phone := w.registered(t, "grace@example.org", 0)
	id := c.asks(t, url.Values{"authorization_details": {`[{"type":"payment","amount":"12.50","payee":"ACME"}]`}})
	r := pending(t, phone)
	if r.ApprovalData["amount"] != "12.50" || r.ApprovalData["payee"] != "ACME" {
		t.Errorf("shown: %v", r.ApprovalData)
	}
	if err := phone.Approve(t.Context(), r.ID, ""); err != nil {
		t.Fatal(err)
	}
	if status, out := c.token(t, url.Values{"grant_type": {apps.GrantCIBA}, "auth_req_id": {id}}); status != 400 || out["error"] != "unauthorized_client" {
		t.Errorf("collected: %d %v", status, out)
	}
	w.drain(t)
	told := bank.took()
	if len(told) != 1 || told[0].bearer != "Bearer the-bank-s-own-word" || told[0].body["auth_req_id"] != id || told[0].body["token_type"] != "Bearer" {
		t.Fatalf("told: %+v", told)
	}
	claims := w.offline(t, told[0].body["id_token"].(string))
	if claims["aud"] != "bank" || claims["acr"] != authn.AAL2 || claims["urn:openid:params:jwt:claim:auth_req_id"] != id {
		t.Errorf("identity token: %v", claims)
	}
	receipt := w.offline(t, told[0].body["approval_receipt"].(string))
	if receipt["aud"] != "bank" || receipt["approval_data"].(map[string]any)["amount"] != "12.50" || receipt["approval_hash"] == "" {
		t.Errorf("receipt: %v", receipt)
	}
	if status, _ := c.userinfo(t, told[0].body["access_token"].(string)); status != 200 {
		t.Errorf("its access token: %d", status)
	}
	w.Pass(5 * time.Minute)
	if w.drain(t); len(bank.took()) != 0 {
		t.Error("brought once more")
	}

	bad := func(what, word string) {
		t.Helper()
		w.drain(t)
		told := bank.took()
		if len(told) != 1 || told[0].body["error"] != word || told[0].body["access_token"] != nil || told[0].body["auth_req_id"] == "" {
			t.Errorf("%s: %+v", what, told)
		}
	}
	c.asks(t, nil)
	if err := phone.Deny(t.Context(), pending(t, phone).ID, false); err != nil {
		t.Fatal(err)
	}
	bad("denied", "access_denied")
	c.asks(t, nil)
	w.Pass(2 * time.Minute)
	bad("run out", "expired_token")
	c.asks(t, nil)
	if err := phone.Approve(t.Context(), pending(t, phone).ID, ""); err != nil {
		t.Fatal(err)
	}
	u, err := directory.Lookup(t.Context(), w.Kit.DB, "default", "grace@example.org")
	if err != nil {
		t.Fatal(err)
	}
	w.do(t, func(tx *db.Tx) error {
		return authn.Lock(t.Context(), tx, authn.Subject{Kind: "push", Tenant: "default", App: "demo", User: u.ID}, "lost")
	})
	bad("locked after the approval", "access_denied")
}

// TestBackChannelLogout: however a session ends, the clients that it granted
// something to are told, once, by a token that is good for nothing else.
func TestBackChannelLogout(t *testing.T) {
	w, shop := listening(t)
	c := w.party(t, "told", "")
	quiet := w.party(t, "demo-web", "")
	w.client(t, apps.Client{ID: "told", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, LogoutURI: shop.URL + "/logout", Alg: "RS256"}}, "")
	w.client(t, apps.Client{ID: "told-2", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, LogoutURI: shop.URL + "/other"}}, "")
	second := c
	second.id = "told-2"
	ends := map[string]func(p *person, id map[string]any, hint string){
		"by the browser": func(p *person, _ map[string]any, hint string) {
			p.open(w.URL + "/session/end_session?" + url.Values{"id_token_hint": {hint}}.Encode()).sees("Signed out")
		},
		"by a back end": func(_ *person, id map[string]any, _ string) {
			w.rest(t).want(t, 204, "DELETE /v1/users/"+id["sub"].(string)+"/sessions/"+id["sid"].(string), nil)
		},
		"all at once": func(_ *person, id map[string]any, _ string) {
			w.rest(t).want(t, 200, "DELETE /v1/users/"+id["sub"].(string)+"/sessions", nil)
		},
		"by another who signs in": func(p *person, _ map[string]any, _ string) {
			w.rest(t).do(t, "POST /v1/users", map[string]any{"username": "solo", "credentials": map[string]any{"password": "wide-badger-under-7-bridges", "force_replace": false}})
			p.open(quiet.request(url.Values{"prompt": {"login"}})).post("", url.Values{"username": {"solo"}}).post("password", url.Values{"password": {"wide-badger-under-7-bridges"}}).came(quiet)
		},
	}
	for how, end := range ends {
		p := w.person(t).open(c.request(url.Values{"scope": {"openid"}})).passes(w)
		_, tokens := c.redeem(t, p.came(c).Get("code"))
		c.redeem(t, p.open(c.request(nil)).came(c).Get("code"))
		second.redeem(t, p.open(second.request(nil)).came(second).Get("code"))
		quiet.redeem(t, p.open(quiet.request(nil)).came(quiet).Get("code"))
		id := claimsOf(t, tokens["id_token"].(string))
		w.drain(t)
		shop.took()
		end(p, id, tokens["id_token"].(string))
		w.drain(t)
		told := shop.took()
		if len(told) != 2 {
			t.Errorf("%s: told %d", how, len(told))
			continue
		}
		for _, h := range told {
			want := map[string]string{"/logout": "told", "/other": "told-2"}[h.path]
			checkLogoutToken(t, w, h, want, id)
		}
	}
}

func checkLogoutToken(t *testing.T, w *world, h heard, client string, id map[string]any) {
	t.Helper()
	jwt := h.form.Get("logout_token")
	claims, err := w.Keys.Verify(t.Context(), jwt, token.Want{Issuer: w.URL, Typ: "logout+jwt", Audience: client})
	if err != nil {
		t.Errorf("logout token: %v", err)
		return
	}
	events, _ := claims["events"].(map[string]any)
	if h.kind != "application/x-www-form-urlencoded" || claims["sid"] != id["sid"] || claims["sub"] != id["sub"] || claims["nonce"] != nil || claims["jti"] == nil || events["http://schemas.openid.net/event/backchannel-logout"] == nil {
		t.Errorf("logout token: %v", claims)
	}
	if wait := claims["exp"].(float64) - claims["iat"].(float64); wait > 120 {
		t.Errorf("it lives for %v seconds", wait)
	}
	// It is no other token.
	if _, err := w.Keys.Verify(t.Context(), jwt, token.Want{Issuer: w.URL, Typ: "JWT"}); err == nil {
		t.Error("it passes for an identity token")
	}
	if status, _ := (party{w: w}).userinfo(t, jwt); status != 401 {
		t.Errorf("userinfo took it: %d", status)
	}
}
