package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
)

// TestDPoPNonce: a client that has to gets a nonce with a refusal, at the token, the
// PAR and the userinfo endpoint, and goes on with it; nothing is spent meanwhile. A
// nonce is good for a while, for everybody and on every node (RFC 9449 8, 9).
func TestDPoPNonce(t *testing.T) {
	w := newWorld(t)
	for name, s := range map[string]apps.ClientSettings{"profile": {Profile: apps.FAPI2}, "setting": {DPoPNonce: true, DPoP: true}} {
		c := w.signer(t, name, s)
		c.dpop, _ = newKey(t)
		c.gave = &http.Response{}
		// asked makes a request twice: without a nonce, and with the one that came back.
		asked := func(status int, send func(c signer) (int, map[string]any)) map[string]any {
			t.Helper()
			c.with = func() any { return nil }
			got, out := send(c)
			nonce := c.gave.Header.Get("DPoP-Nonce")
			if got != status || out["error"] != "use_dpop_nonce" || nonce == "" || c.gave.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%s: without a nonce: %d %v %v", name, got, out, c.gave.Header)
			}
			if mark := c.gave.Header.Get("WWW-Authenticate"); status == 401 && !strings.Contains(mark, `DPoP error="use_dpop_nonce"`) {
				t.Errorf("%s: userinfo says %q", name, mark)
			}
			c.with = func() any { return nonce }
			if got, out = send(c); got >= 300 {
				t.Fatalf("%s: with it: %d %v", name, got, out)
			}
			return out
		}
		pushed := asked(400, func(c signer) (int, map[string]any) { return c.post(t, "/oidc/par", c.form(nil)) })
		at := w.URL + "/authorize?" + url.Values{"client_id": {c.id}, "request_uri": {pushed["request_uri"].(string)}}.Encode()
		code := w.person(t).open(at).passes(w).came(c.party).Get("code")
		tokens := asked(400, func(c signer) (int, map[string]any) { return c.redeems(t, code, nil) })
		asked(401, func(c signer) (int, map[string]any) {
			return c.send(t, "GET", "/userinfo", "DPoP "+tokens["access_token"].(string), nil)
		})
		asked(400, func(c signer) (int, map[string]any) {
			return c.post(t, "/oidc/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}})
		})
	}
}

// TestDPoPNonceOffered: whoever need not send a nonce may, is offered one by every
// answer, and is refused a wrong one all the same.
func TestDPoPNonceOffered(t *testing.T) {
	w := newWorld(t)
	c := w.signer(t, "bank", apps.ClientSettings{})
	c.dpop, _ = newKey(t)
	c.gave = &http.Response{}
	push := func(nonce any) (int, string) {
		t.Helper()
		c.with = func() any { return nonce }
		status, out := c.post(t, "/oidc/par", c.form(nil))
		word, _ := out["error"].(string)
		return status, word
	}
	if status, _ := push(nil); status != 201 {
		t.Errorf("without: %d", status)
	}
	nonce := c.gave.Header.Get("DPoP-Nonce")
	if nonce == "" || nonce != w.OIDC.Nonce() {
		t.Errorf("offered %q", nonce)
	}
	for _, wrong := range []any{"", "x", nonce + "x", nonce[1:], strings.ToUpper(nonce) + " ", 7, []string{nonce}, map[string]any{}, true} {
		if status, word := push(wrong); status != 400 || word != "use_dpop_nonce" {
			t.Errorf("%v: %d %s", wrong, status, word)
		}
	}
	// Handed out for a minute, good for the next one, too.
	for _, step := range []time.Duration{30 * time.Second, 30 * time.Second, 59 * time.Second} {
		if status, word := push(nonce); status != 201 {
			t.Errorf("still: %d %s", status, word)
		}
		w.Pass(step)
	}
	w.Pass(2 * time.Second)
	if status, word := push(nonce); status != 400 || word != "use_dpop_nonce" {
		t.Errorf("after two minutes: %d %s", status, word)
	}
	for _, call := range []string{"POST /oidc/token", "POST /token-srv/token", "POST /cis/oidc/token", "POST /oidc/par", "GET /userinfo", "POST /userinfo", "GET /users-srv/userinfo"} {
		method, path, _ := strings.Cut(call, " ")
		r, err := http.NewRequest(method, w.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://shop.example")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.Header.Get("DPoP-Nonce") == "" || !strings.Contains(resp.Header.Get("Access-Control-Expose-Headers"), "DPoP-Nonce") {
			t.Errorf("%s: %v", call, resp.Header)
		}
	}
}

// TestDPoPNonceOfEveryNode: what one node hands out another takes, also one whose
// clock is a little behind; a server with another key does not.
func TestDPoPNonceOfEveryNode(t *testing.T) {
	address := kittest.Address(t)
	one := openWorld(t, address)
	two := one
	if !strings.HasPrefix(address, "sqlite:") {
		two = openWorld(t, address)
	}
	c := two.signer(t, "bank", apps.ClientSettings{DPoPNonce: true})
	c.dpop, _ = newKey(t)
	for _, ahead := range []time.Duration{0, 5 * time.Second} {
		if two != one {
			one.Pass(ahead)
		}
		for range 60 { // through every second of a minute
			nonce := one.OIDC.Nonce()
			c.with = func() any { return nonce }
			if status, out := c.post(t, "/oidc/par", c.form(nil)); status != 201 {
				t.Fatalf("%v ahead: %d %v", ahead, status, out)
			}
			one.Pass(time.Second)
			if two != one {
				two.Pass(time.Second)
			}
		}
	}
}
