package apps_test

import (
	"testing"

	"github.com/watchword-auth/watchword/internal/apps"
)

// TestAdmits (R80): pages that are listed, that authorizations return to or, where
// that is set, of this very machine speak for a client; no others do, however alike.
func TestAdmits(t *testing.T) {
	c := apps.Client{Kind: apps.Web, Settings: apps.ClientSettings{
		Origins:      []string{"https://shop.example", "capacitor://localhost"},
		RedirectURIs: []string{"https://app.example:8443/back?x=1", "http://127.0.0.1:*/callback", "http://localhost:3000/callback", "com.example.app:/back"},
	}}
	for origin, want := range map[string]bool{
		"https://shop.example": true, "capacitor://localhost": true, "https://app.example:8443": true, "http://127.0.0.1:4711": true, "http://127.0.0.1": true, "http://localhost:3000": true,
		"https://app.example": false, "http://app.example:8443": false, "https://app.example:8443/": false, "https://APP.example:8443": false, "https://app.example:84433": false, "https://app.example:8443.evil.example": false,
		"http://localhost": false, "http://localhost:3001": false, "https://127.0.0.1:4711": false, "http://127.0.0.1.evil.example": false, "http://127.0.0.1:4711@evil.example": false, "http://127.0.0.1:x": false,
		"http://127.0.0.2:4711": false, "http://[::1]:4711": false, "com.example.app:": false, "com.example.app://": false, "null": false, "": false, "*": false, "file://": false, "https://shop.example.evil.example": false,
	} {
		if got := c.Admits(origin); got != want {
			t.Errorf("%q: %v", origin, got)
		}
	}
	if (apps.Client{}).Admits("https://shop.example") {
		t.Error("a client without addresses admits a page")
	}
	c.Settings = apps.ClientSettings{LoopbackOrigins: true}
	for origin, want := range map[string]bool{"http://localhost:1": true, "https://[::1]:8": true, "http://127.0.0.1": true, "http://evil-localhost": false, "file://localhost": false} {
		if got := c.Admits(origin); got != want {
			t.Errorf("on this machine, %q: %v", origin, got)
		}
	}
}
