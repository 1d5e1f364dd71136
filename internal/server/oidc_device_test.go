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

// TestDeviceGrant: somebody who types the code of a device is shown what it is
// and what it wants, and nothing happens by following a link (R51); the device
// hears when, and whoever may not sign in any more gives it nothing (R25).
func TestDeviceGrant(t *testing.T) {
	w := newWorld(t)
	tv := w.party(t, "tv", "")
	other := w.party(t, "radio", "")
	for id, name := range map[apps.ClientID]string{"tv": "Television", "radio": "Radio"} {
		w.client(t, apps.Client{ID: id, Name: name, Kind: apps.Native, Settings: apps.ClientSettings{Grants: []string{apps.GrantDevice, apps.GrantRefresh}}}, "")
	}
	begin := func() map[string]any {
		t.Helper()
		status, out := tv.post(t, "/oidc/device_authorization", url.Values{"scope": {"openid offline_access"}})
		if status != 200 || out["interval"] != 5.0 || out["expires_in"] != 600.0 || out["verification_uri"] != w.URL+"/device" {
			t.Fatalf("device: %d %v", status, out)
		}
		return out
	}
	poll := func(c party, d map[string]any, want string) map[string]any {
		t.Helper()
		status, out := c.token(t, url.Values{"grant_type": {apps.GrantDevice}, "device_code": {d["device_code"].(string)}})
		if got, _ := out["error"].(string); got != want || want == "" && status != 200 || want != "" && status != 400 {
			t.Errorf("wanted %q: %d %v", want, status, out)
		}
		return out
	}
	d := begin()
	poll(tv, d, "authorization_pending")
	poll(tv, d, "slow_down")
	w.Pass(6 * time.Second)
	poll(tv, d, "slow_down") // it is ten seconds now, and more
	w.Pass(time.Minute)
	poll(other, d, "invalid_grant")
	poll(tv, d, "authorization_pending")

	// The link that the device shows asks first, and says who wants what.
	p := w.person(t).open(d["verification_uri_complete"].(string)).sees("Television shows the code " + d["user_code"].(string))
	w.Pass(time.Minute)
	poll(tv, d, "authorization_pending")
	q := w.person(t).open(w.URL+"/device").sees(`name="user_code"`).post("", url.Values{"user_code": {"XXXX-XXXX"}}).sees("No device shows this code").sees(`name="user_code"`)
	q.post("", url.Values{"user_code": {strings.ToLower(strings.ReplaceAll(d["user_code"].(string), "-", " "))}}).sees("Television shows the code")
	p.post("", nil).passes(w).sees("Your device is signed in")
	w.Pass(time.Minute)
	tokens := poll(tv, d, "")
	if id := claimsOf(t, tokens["id_token"].(string)); id["aud"] != "tv" || id["sub"] != string(w.ada(t).ID) || tokens["refresh_token"] == nil {
		t.Errorf("tokens: %v", tokens)
	}
	w.Pass(time.Minute)
	poll(tv, d, "invalid_grant")
	w.person(t).open(d["verification_uri_complete"].(string)).sees("No device shows this code")
	if s := w.rest(t).list(t, "GET /v1/users/"+string(w.ada(t).ID)+"/sessions"); len(s) != 1 || s[0]["client_name"] != "Television" {
		t.Errorf("its session: %v", s)
	}

	d = begin()
	w.person(t).open(d["verification_uri_complete"].(string)).post("", nil).post("cancel", nil)
	w.Pass(time.Minute)
	poll(tv, d, "access_denied")
	d = begin()
	w.person(t).open(d["verification_uri_complete"].(string)+"%20aei%20!").lacks(" aei").sees("That is not my device").post("refuse", nil).sees("Not signed in")
	w.Pass(time.Minute)
	poll(tv, d, "access_denied")
	d = begin()
	w.Pass(10 * time.Minute)
	poll(tv, d, "expired_token")
	d = begin()
	w.person(t).open(d["verification_uri_complete"].(string)).post("", nil).passes(w).sees("Your device is signed in")
	w.do(t, func(tx *db.Tx) error {
		return directory.SetStatus(t.Context(), tx, "default", w.ada(t).ID, directory.Suspended)
	})
	w.Pass(time.Minute)
	poll(tv, d, "access_denied")

	// A third party says what it wants to know, and can be turned away later.
	w.client(t, apps.Client{ID: "radio", Name: "Radio", Kind: apps.Native, Settings: apps.ClientSettings{ThirdParty: true, Scopes: []string{"openid", "email", "offline_access"}, Grants: []string{apps.GrantDevice, apps.GrantRefresh}}}, "")
	w.do(t, func(tx *db.Tx) error {
		return directory.SetStatus(t.Context(), tx, "default", w.ada(t).ID, directory.Active)
	})
	_, d = other.post(t, "/oidc/device_authorization", url.Values{"scope": {"openid email offline_access"}})
	w.person(t).open(d["verification_uri_complete"].(string)).sees("Radio wants to know that it is you, your e-mail address, this also when you are away.").post("", nil).passes(w)
	at := "/v1/users/" + string(w.ada(t).ID) + "/consents"
	if list := w.rest(t).list(t, "GET "+at); len(list) != 1 || list[0]["client_id"] != "tv" {
		t.Errorf("before the device came for it: %v", list)
	}
	tokens = poll(other, d, "")
	if list := w.rest(t).list(t, "GET "+at); len(list) != 2 || list[0]["client_id"] != "radio" || list[0]["given_at"] == nil {
		t.Errorf("what was allowed: %v", list)
	}
	w.rest(t).want(t, 204, "DELETE "+at+"/radio", nil)
	if status, out := other.token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}}); status != 400 {
		t.Errorf("turned away, it refreshes: %d %v", status, out)
	}

	// Codes are not guessed: twenty tries in ten minutes, whatever the browser.
	for range 20 {
		q = w.person(t).open(w.URL + "/device?user_code=BBBB-BBBB")
	}
	q.sees("Too many codes were tried").lacks("Television")
}
