package server_test

import (
	"net/http"
	"net/url"
	"os"
	"testing"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
)

// R09: a code with any byte turned, or made of the parts of two clients' codes, is
// nobody's.
func TestReg_R09_EditedCodes(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	other := c
	other.id = "other-web"
	w.client(t, apps.Client{ID: "other-web", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{c.back}}}, "")
	p := w.person(t).open(c.request(nil)).passes(w)
	mine, theirs := p.open(c.request(nil)).came(c).Get("code"), p.open(other.request(nil)).came(other).Get("code")
	if mine == "" || theirs == "" {
		t.Fatal("no codes")
	}
	var edited []string
	for i := range mine {
		b := []byte(mine)
		if b[i] ^= 1; b[i] < '!' || b[i] > '~' {
			b[i] = 'x'
		}
		edited = append(edited, string(b))
	}
	for at := 1; at < min(len(mine), len(theirs)); at += 3 {
		edited = append(edited, mine[:at]+theirs[at:], theirs[:at]+mine[at:])
	}
	for _, code := range edited {
		if code == mine || code == theirs {
			continue
		}
		for _, by := range []party{c, other} {
			if status, out := by.redeem(t, code); status != http.StatusBadRequest || out["error"] != "invalid_grant" {
				t.Errorf("%s of %s: %d %v", code, by.id, status, out)
			}
		}
	}
}

// R12: a revocation that could not be stored is not confirmed, and the token is
// what the answer says.
func TestReg_R12_RevocationsThatFail(t *testing.T) {
	if os.Getenv("TEST_POSTGRES") != "" {
		t.Skip("the trigger that fails is written for SQLite")
	}
	w := newWorld(t)
	c := w.party(t, "demo-web", "")
	p := w.person(t).open(c.request(nil)).passes(w)
	_, tokens := c.redeem(t, p.open(c.request(nil)).came(c).Get("code"))
	access, refresh := tokens["access_token"].(string), tokens["refresh_token"].(string)
	fault := func(sql string) {
		w.do(t, func(tx *db.Tx) error { _, err := tx.Exec(t.Context(), sql); return err })
	}
	fault(`CREATE TRIGGER broken BEFORE UPDATE ON grants BEGIN SELECT RAISE(ABORT, 'broken'); END`)
	if status, out := c.post(t, "/oidc/revoke", url.Values{"token": {refresh}}); status < 500 {
		t.Errorf("revoked without being: %d %v", status, out)
	}
	if status, _ := c.userinfo(t, access); status != http.StatusOK {
		t.Errorf("the access token after a revocation that failed: %d", status)
	}
	fault(`DROP TRIGGER broken`)
	if status, out := c.post(t, "/oidc/revoke", url.Values{"token": {refresh}}); status != http.StatusOK {
		t.Errorf("revoking: %d %v", status, out)
	}
	if status, _ := c.userinfo(t, access); status != http.StatusUnauthorized {
		t.Errorf("the access token after its revocation: %d", status)
	}
}

// R17: a link and the code it leads to count in the application that sent it, and
// in no other of the tenant.
func TestReg_R17_LinksOfAnotherApplication(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})
	near := w.neighbour(t, "default", "near")
	link := c.want(t, 200, "POST /v1/auth/link/email/send", map[string]any{"identifier": "ana@example.org", "redirect_uri": w.URL + "/playground/", "channel": "direct"})["link"].(string)
	back, err := url.Parse(w.person(t).open(link).post("", nil).next())
	if err != nil {
		t.Fatal(err)
	}
	code := map[string]any{"code": back.Query().Get("code")}
	if got, out := near.do(t, "POST /v1/auth/link/email/authenticate", code); got == http.StatusOK {
		t.Errorf("at another application: %v", out)
	}
	c.want(t, 200, "POST /v1/auth/link/email/authenticate", code)
}
