package mobilekey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// TestAssertions: only the owner, on the page that made the key, over this very
// challenge.
func TestAssertions(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	w := webKey{"auth.example", "https://auth.example"}
	b64 := base64.RawURLEncoding.EncodeToString
	type said struct {
		rp, kind, challenge, origin, more string
		flags                             byte
		flip                              int // which part is damaged afterwards
	}
	good := said{rp: "auth.example", kind: "webauthn.get", challenge: "chg", origin: "https://auth.example", flags: userPresent | userVerified, flip: -1}
	assertion := func(s said) string {
		rp := sha256.Sum256([]byte(s.rp))
		data := append(rp[:], s.flags, 0, 0, 0, 0)
		client := fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q%s}`, s.kind, b64([]byte(s.challenge)), s.origin, s.more)
		h := sha256.Sum256(client)
		digest := sha256.Sum256(append(append([]byte{}, data...), h[:]...))
		sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		parts := [][]byte{data, client, sig}
		if s.flip >= 0 {
			parts[s.flip][len(parts[s.flip])-1] ^= 1
		}
		return b64(parts[0]) + "." + b64(parts[1]) + "." + b64(parts[2])
	}
	if !w.signed(spki, "chg", assertion(good)) {
		t.Fatal("a good assertion was refused")
	}
	for name, change := range map[string]func(s *said){
		"nobody was verified": func(s *said) { s.flags = userPresent }, "nobody was there": func(s *said) { s.flags = userVerified },
		"another host": func(s *said) { s.rp = "evil.example" }, "another page": func(s *said) { s.origin = "https://auth.example.evil.example" }, "another port": func(s *said) { s.origin += ":8443" },
		"another challenge": func(s *said) { s.challenge = "old" }, "no challenge": func(s *said) { s.challenge = "" }, "a key that is made": func(s *said) { s.kind = "webauthn.create" },
		"in a frame": func(s *said) { s.more = `,"crossOrigin":true` }, "below another page": func(s *said) { s.more = `,"topOrigin":"https://evil.example"` },
		"damaged data": func(s *said) { s.flip = 0 }, "damaged words": func(s *said) { s.flip = 1 }, "damaged signature": func(s *said) { s.flip = 2 },
	} {
		s := good
		change(&s)
		if w.signed(spki, "chg", assertion(s)) {
			t.Errorf("%s: taken", name)
		}
	}
	text := assertion(good)
	for _, bad := range []string{"", ".", "..", text + ".", text + "=", strings.Replace(text, ".", "", 1), strings.Repeat("A", 3000)} {
		if w.signed(spki, "chg", bad) {
			t.Errorf("%.40q was taken", bad)
		}
	}
}

// TestWhereKeysAreMade: on this server's own pages, and on localhost for a server on
// the loopback address.
func TestWhereKeysAreMade(t *testing.T) {
	for _, c := range []struct{ base, origin, rp string }{
		{"https://auth.example", "https://auth.example", "auth.example"}, {"https://auth.example:8443", "https://auth.example:8443", "auth.example"},
		{"http://127.0.0.1:8080", "http://localhost:8080", "localhost"}, {"http://localhost:8080", "http://localhost:8080", "localhost"},
		{"https://auth.example", "http://auth.example", ""}, {"https://auth.example", "https://shop.example", ""}, {"https://auth.example", "https://auth.example.evil.example", ""},
		{"https://auth.example", "https://localhost:443", ""}, {"http://127.0.0.1:8080", "http://127.0.0.1:8080", ""}, {"http://127.0.0.1:8080", "http://localhost:9090", ""},
		{"http://auth.example", "http://auth.example", ""}, {"https://auth.example", "", ""},
	} {
		k, err := webKeyAt(c.base, c.origin)
		if (err == nil) != (c.rp != "") || err == nil && (k.RPID != c.rp || k.Origin != c.origin) {
			t.Errorf("%s at %s: %v, %v", c.origin, c.base, k, err)
		}
	}
}
