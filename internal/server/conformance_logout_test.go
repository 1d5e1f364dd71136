package server_test

import (
	"net/url"
	"testing"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
)

// TestConformanceBackchannelLogout runs the two modules of that plan.
func TestConformanceBackchannelLogout(t *testing.T) {
	table(t, []row{
		{name: "oidcc-backchannel-logout-discovery-endpoint-verification", check: func(t *testing.T) {
			if m := newWorld(t).metadata(t); m["backchannel_logout_supported"] != true || m["backchannel_logout_session_supported"] != true {
				t.Errorf("metadata: %v", m)
			}
		}},
		{name: "oidcc-backchannel-rp-initiated-logout", check: func(t *testing.T) {
			w, shop := listening(t)
			c := w.party(t, "told", "")
			w.client(t, apps.Client{ID: "told", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, LogoutURI: shop.URL + "/logout"}}, "")
			p := w.person(t).open(c.request(nil)).passes(w)
			_, tokens := c.redeem(t, p.came(c).Get("code"))
			id := claimsOf(t, tokens["id_token"].(string))
			p.open(w.URL + "/session/end_session?" + url.Values{"id_token_hint": {tokens["id_token"].(string)}, "post_logout_redirect_uri": {c.back}, "state": {"bye"}}.Encode())
			w.drain(t)
			told := shop.took()
			if len(told) != 1 {
				t.Fatalf("told %d times", len(told))
			}
			checkLogoutToken(t, w, told[0], "told", id)
			if q := p.open(c.request(url.Values{"prompt": {"none"}, "acr_values": {authn.AAL1}})).came(c); q.Get("error") != "login_required" {
				t.Errorf("afterwards: %v", q)
			}
		}},
	})
}
