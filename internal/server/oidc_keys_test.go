package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/token"
)

// keyring is a relying party that keeps the key set as long as it may, and asks
// for it again before when it does not know a key.
type keyring struct {
	w     *world
	set   jose.JSONWebKeySet
	at    time.Time
	asked int
}

func (k *keyring) fetch(t testing.TB) {
	t.Helper()
	r, err := http.Get(k.w.URL + "/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if got := r.Header.Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("cached for %q", got)
	}
	k.set = jose.JSONWebKeySet{}
	if err := json.NewDecoder(r.Body).Decode(&k.set); err != nil {
		t.Fatal(err)
	}
	for _, key := range k.set.Keys {
		if !key.IsPublic() || key.Use != "sig" || key.KeyID == "" || key.Algorithm == "" {
			t.Errorf("published: %+v", key)
		}
	}
	k.at = k.w.Now()
	k.asked++
}

// accepts reports whether the party takes a token, and by which key.
func (k *keyring) accepts(t testing.TB, jwt string) (kid string, ok bool) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(jwt, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	kid = signed.Signatures[0].Header.KeyID
	if k.w.Now().Sub(k.at) >= 5*time.Minute {
		k.fetch(t)
	}
	for _, again := range []bool{false, true} {
		if again {
			k.fetch(t)
		}
		if keys := k.set.Key(kid); len(keys) == 1 {
			_, err := signed.Verify(keys[0])
			return kid, err == nil
		}
	}
	return kid, false
}

func (k *keyring) has(kid string) bool { return len(k.set.Key(kid)) == 1 }

// TestKeyRotation: whoever keeps the key set for as long as it says never meets a
// key that it does not know; what was signed before goes on until it has run out,
// and then the old key is gone.
func TestKeyRotation(t *testing.T) {
	w := newWorld(t)
	c := w.party(t, "rp", "")
	w.client(t, apps.Client{ID: "rp", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}}}, "")
	p := w.person(t).open(c.request(nil)).passes(w)
	signIn := func() map[string]any {
		t.Helper()
		if p.open(c.request(nil)); p.at.Path != "/callback" {
			p.passes(w)
		}
		status, tokens := c.redeem(t, p.came(c).Get("code"))
		if status != 200 {
			t.Fatalf("%d %v", status, tokens)
		}
		return tokens
	}
	patient, hasty := &keyring{w: w}, &keyring{w: w}
	before := signIn()
	old, ok := patient.accepts(t, before["id_token"].(string))
	if !ok {
		t.Fatal("the first token does not verify")
	}
	w.do(t, func(tx *db.Tx) error { return w.Keys.Rotate(t.Context(), tx, "ES256") })

	// The new key is published before it signs.
	if kid, ok := patient.accepts(t, signIn()["id_token"].(string)); !ok || kid != old {
		t.Errorf("signs at once with %s, old %s, %v", kid, old, ok)
	}
	hasty.fetch(t)
	if len(hasty.set.Keys) != 3 || !hasty.has(old) {
		t.Errorf("published during the overlap: %d keys", len(hasty.set.Keys))
	}
	for range 4 { // every five minutes, as the set says
		w.Pass(token.Overlap / 3)
		if _, ok := patient.accepts(t, signIn()["id_token"].(string)); !ok {
			t.Error("a token that does not verify")
		}
	}
	hasty.fetch(t)
	asked := hasty.asked
	after := signIn()
	kid, ok := hasty.accepts(t, after["id_token"].(string))
	if !ok || kid == old || hasty.asked != asked {
		t.Errorf("after the overlap: %s (old %s) %v, asked %d times", kid, old, ok, hasty.asked-asked)
	}

	// What the old key signed goes on.
	if _, ok := hasty.accepts(t, before["id_token"].(string)); !ok {
		t.Error("an identity token of before")
	}
	if q := p.open(c.request(url.Values{"id_token_hint": {before["id_token"].(string)}, "prompt": {"none"}})).came(c); q.Get("code") == "" {
		t.Errorf("as a hint: %v", q)
	}
	if status, _ := c.refresh(t, before["refresh_token"].(string)); status != 200 {
		t.Errorf("a refresh token of before: %d", status)
	}

	// And then it is gone.
	w.Pass(token.Keep)
	hasty.fetch(t)
	if hasty.has(old) || !hasty.has(kid) || len(hasty.set.Keys) != 2 {
		t.Errorf("published a day later: old %v, new %v, %d keys", hasty.has(old), hasty.has(kid), len(hasty.set.Keys))
	}
	if q := p.open(c.request(url.Values{"id_token_hint": {before["id_token"].(string)}, "prompt": {"none"}})); q.came(c).Get("error") != "invalid_request" {
		t.Errorf("a hint that the old key signed: %v", q.came(c))
	}
	w.do(t, func(tx *db.Tx) error { return token.Sweep(t.Context(), tx) })
	if _, ok := hasty.accepts(t, signIn()["id_token"].(string)); !ok {
		t.Error("after the sweep")
	}

	// A key that somebody else may have is gone at once.
	last := signIn()
	w.do(t, func(tx *db.Tx) error { return w.Keys.Revoke(t.Context(), tx, "ES256") })
	if status, _ := c.userinfo(t, last["access_token"].(string)); status != 401 {
		t.Errorf("signed by a key that was revoked: %d", status)
	}
	if _, ok := patient.accepts(t, signIn()["id_token"].(string)); !ok {
		t.Error("after a key was revoked")
	}
}
