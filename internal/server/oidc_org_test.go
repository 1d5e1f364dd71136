package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
)

// organisation is one of the demo application, or of another, with ada in it or not.
func (w *world) organisation(t testing.TB, app apps.ID, member bool) string {
	t.Helper()
	o := directory.Organisation{App: app, Name: "ACME"}
	if err := w.Kit.DB.Move(t.Context(), func(tx *db.Tx) error {
		o.ID = ""
		if err := directory.SaveOrganisation(t.Context(), tx, &o); err != nil || !member {
			return err
		}
		return directory.SetMember(t.Context(), tx, o.ID, directory.Member{User: w.ada(t).ID, Role: directory.OrgMember})
	}); err != nil {
		t.Fatal(err)
	}
	return string(o.ID)
}

// leaves takes ada out of an organisation.
func (w *world) leaves(t testing.TB, org string) {
	t.Helper()
	ada := w.ada(t).ID
	if err := w.Kit.DB.Move(t.Context(), func(tx *db.Tx) error {
		return directory.RemoveMember(t.Context(), tx, directory.OrgID(org), ada)
	}); err != nil {
		t.Fatal(err)
	}
}

// foreign is an organisation that ada is a member of in another application.
func (w *world) foreign(t testing.TB) string {
	t.Helper()
	if err := w.Kit.DB.Move(t.Context(), func(tx *db.Tx) error {
		return apps.Save(t.Context(), tx, apps.App{ID: "other", Tenant: "default", Name: "Other", Audience: apps.B2B})
	}); err != nil {
		t.Fatal(err)
	}
	return w.organisation(t, "other", true)
}

// nowhere are organisations that nobody is a member of.
var nowhere = []string{"org_nobody", "ORG_X", "x", "org_\x00", "org_' OR 1=1", strings.Repeat("org_", 200)}

// TestOrganisation: whoever signs in for an organisation is a member of it, the
// tokens say so, and they end with the membership.
func TestOrganisation(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "conf", confSecret)
	w.client(t, apps.Client{ID: "conf", Kind: apps.Backend, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, Claims: map[string]string{"org_id": "boss", "plan": "boss"}}}, confSecret)
	w.rest(t).want(t, 200, "PUT /v1/users/"+string(w.ada(t).ID), map[string]any{"custom_data": map[string]any{"boss": "evil"}})
	mine, others, foreign := w.organisation(t, "demo", true), w.organisation(t, "demo", false), w.foreign(t)

	p := w.person(t)
	for _, org := range append([]string{others, foreign}, nowhere...) {
		q := w.person(t).open(c.request(url.Values{"org_id": {org}})).passes(w).came(c)
		if q.Get("error") != "access_denied" || q.Has("code") || !strings.Contains(q.Get("error_description"), "no member") {
			t.Errorf("%.30q: %v", org, q)
		}
	}
	_, tokens := c.redeem(t, p.open(c.request(url.Values{"org_id": {mine}})).passes(w).came(c).Get("code"))
	id, access := claimsOf(t, tokens["id_token"].(string)), claimsOf(t, tokens["access_token"].(string))
	status, info := c.userinfo(t, tokens["access_token"].(string))
	if id["org_id"] != mine || access["org_id"] != mine || info["org_id"] != mine || id["plan"] != "evil" {
		t.Errorf("for an organisation: %v %v %d %v", id, access, status, info)
	}

	// On the session that stands: for the same one at once, for another by somebody
	// else, and for none nothing is said of any.
	if q := p.open(c.request(url.Values{"org_id": {mine}, "prompt": {"none"}})).came(c); q.Get("code") == "" {
		t.Errorf("a member, silently: %v", q)
	}
	if q := p.open(c.request(url.Values{"org_id": {others}, "prompt": {"none"}})).came(c); q.Get("error") != "login_required" {
		t.Errorf("no member, silently: %v", q)
	}
	p.open(c.request(url.Values{"org_id": {others}})).sees("E-mail address or username")
	_, plain := c.redeem(t, p.open(c.request(nil)).came(c).Get("code"))
	if id, access := claimsOf(t, plain["id_token"].(string)), claimsOf(t, plain["access_token"].(string)); id["org_id"] != nil || access["org_id"] != nil || id["plan"] != "evil" {
		t.Errorf("for none: %v %v", id, access)
	}

	status, fresh := c.refresh(t, tokens["refresh_token"].(string))
	if status != 200 || claimsOf(t, fresh["id_token"].(string))["org_id"] != mine {
		t.Errorf("refreshed: %d %v", status, fresh)
	}
	late := p.open(c.request(url.Values{"org_id": {mine}})).came(c).Get("code")
	w.leaves(t, mine)
	if status, _ := c.userinfo(t, fresh["access_token"].(string)); status != 401 {
		t.Errorf("userinfo after they left: %d", status)
	}
	if status, out := c.refresh(t, fresh["refresh_token"].(string)); status != 400 || out["error"] != "invalid_grant" {
		t.Errorf("refresh after they left: %d %v", status, out)
	}
	if status, out := c.redeem(t, late); status != 400 || out["error"] != "invalid_grant" {
		t.Errorf("a code after they left: %d %v", status, out)
	}
	for _, token := range []any{fresh["access_token"], fresh["refresh_token"]} {
		if _, out := c.post(t, "/oidc/introspect", url.Values{"token": {token.(string)}}); out["active"] != false {
			t.Errorf("introspection after they left: %v", out)
		}
	}
	if status, _ := c.userinfo(t, plain["access_token"].(string)); status != 200 {
		t.Errorf("what was for no organisation: %d", status)
	}
}

// TestOrganisationWithoutBrowser: the same at the device and the backchannel
// endpoint.
func TestOrganisationWithoutBrowser(t *testing.T) {
	w := newWorld(t)
	mine, others := w.organisation(t, "demo", true), w.organisation(t, "demo", false)
	w.client(t, apps.Client{ID: "tv", Kind: apps.Native, Settings: apps.ClientSettings{Grants: []string{apps.GrantDevice}}}, "")
	tv := party{w: w, id: "tv"}
	for org, want := range map[string]int{mine: 200, others: 400} {
		_, begun := tv.post(t, "/oidc/device_authorization", url.Values{"scope": {"openid"}, "org_id": {org}})
		w.person(t).open(begun["verification_uri_complete"].(string)).post("", nil).passes(w)
		w.Pass(6 * time.Second)
		status, out := tv.token(t, url.Values{"grant_type": {apps.GrantDevice}, "device_code": {begun["device_code"].(string)}})
		if status != want || want == 200 && claimsOf(t, out["id_token"].(string))["org_id"] != org || want != 200 && out["error"] != "access_denied" {
			t.Errorf("a device: %d %v", status, out)
		}
	}
	w.client(t, apps.Client{ID: "bank", Kind: apps.Backend, Settings: apps.ClientSettings{Grants: []string{apps.GrantCIBA}}}, confSecret)
	bank := party{w: w, id: "bank", secret: confSecret}
	phone := w.registered(t, "ada@example.org", 0)
	if status, out := bank.post(t, "/oidc/bc-authorize", url.Values{"scope": {"openid"}, "login_hint": {"ada@example.org"}, "org_id": {others}}); status != 400 || out["error"] != "access_denied" {
		t.Errorf("backchannel for another's: %d %v", status, out)
	}
	_, begun := bank.post(t, "/oidc/bc-authorize", url.Values{"scope": {"openid"}, "login_hint": {"ada@example.org"}, "org_id": {mine}})
	if err := phone.Approve(t.Context(), pending(t, phone).ID, ""); err != nil {
		t.Fatal(err)
	}
	w.Pass(6 * time.Second)
	if status, out := bank.token(t, url.Values{"grant_type": {apps.GrantCIBA}, "auth_req_id": {begun["auth_req_id"].(string)}}); status != 200 || claimsOf(t, out["id_token"].(string))["org_id"] != mine {
		t.Errorf("backchannel: %d %v", status, out)
	}
}

// TestOrganisationOfABackEnd: the calls of the identity API that accept an
// organisation check the membership, say it in both tokens, and keep nothing.
func TestOrganisationOfABackEnd(t *testing.T) {
	w := newWorld(t)
	api := w.rest(t)
	mine, others, foreign := w.organisation(t, "demo", true), w.organisation(t, "demo", false), w.foreign(t)
	sign := func(org string) (int, map[string]any) {
		return api.do(t, "POST /v1/auth/password/authenticate", map[string]any{"identifier": "ada@example.org", "password": w.Dev.Facts.User.Password, "org_id": org})
	}
	for _, org := range append([]string{others, foreign}, nowhere...) {
		if status, out := sign(org); status != 403 || out["error_code"] != "user_not_member" || out["access_token"] != nil {
			t.Errorf("%.30q: %d %v", org, status, out)
		}
	}
	says := func(what string, status int, out map[string]any, want any) {
		t.Helper()
		if status != 200 {
			t.Fatalf("%s: %d %v", what, status, out)
		}
		for _, name := range []string{"access_token", "id_token"} {
			if got := claimsOf(t, out[name].(string))["org_id"]; got != want {
				t.Errorf("%s: %s has %v", what, name, got)
			}
		}
	}
	status, out := sign(mine)
	says("for an organisation", status, out, mine)
	session := out["session_id"]
	user := rest{w, out["access_token"].(string)}
	user.want(t, 200, "GET /v1/users/me/sessions", nil)
	status, out = api.do(t, "POST /v1/auth/session/authenticate", map[string]any{"session_id": session})
	says("resumed for none", status, out, nil)
	plain := rest{w, out["access_token"].(string)}
	status, out = api.do(t, "POST /v1/auth/session/authenticate", map[string]any{"session_id": session, "org_id": mine})
	says("resumed for an organisation", status, out, mine)
	if status, out := api.do(t, "POST /v1/auth/session/authenticate", map[string]any{"session_id": session, "org_id": others}); status != 403 || out["error_code"] != "user_not_member" {
		t.Errorf("resumed for another's: %d %v", status, out)
	}
	w.leaves(t, mine)
	if status, out := user.do(t, "GET /v1/users/me/sessions", nil); status != 401 {
		t.Errorf("after they left: %d %v", status, out)
	}
	plain.want(t, 200, "GET /v1/users/me/sessions", nil)
}
