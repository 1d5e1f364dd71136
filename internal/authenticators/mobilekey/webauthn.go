package mobilekey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/watchword-auth/watchword/internal/fault"
)

// A phone in a browser has no key that the system opens after a finger, but its
// platform authenticator does, and says in what it signs that it saw its owner
// (user verification). So the biometric key of such a phone is a credential of
// WebAuthn, bound to this server's own host, and its signature an assertion over
// the challenge. It signs nobody in elsewhere: it is the key of one phone, and
// passkeys for signing in are another method.

// webKey is what makes a key one of a platform authenticator.
type webKey struct {
	RPID   string `json:"rp_id"`
	Origin string `json:"origin"` // of the page that made it, and the only one it signs for
}

// NotHere is the answer to a key that was made on a page of another host.
var NotHere = fault.New(fault.Invalid, "This key was made on a page of another site.")

// webKeyAt is what a key made by the page at origin signs for; NotHere unless that
// page is this server's own. A server on the loopback address is also reached as
// localhost, which is where browsers let it have such keys.
func webKeyAt(base, origin string) (*webKey, error) {
	b, err := url.Parse(base)
	if err != nil {
		return nil, NotHere.Because(err)
	}
	own := []string{b.Scheme + "://" + b.Host}
	if h := b.Hostname(); h == "127.0.0.1" || h == "::1" {
		own = append(own, b.Scheme+"://localhost:"+b.Port())
	}
	for _, o := range own {
		if o != origin {
			continue
		}
		u, err := url.Parse(origin)
		if err == nil && (u.Scheme == "https" || u.Hostname() == "localhost") {
			return &webKey{u.Hostname(), origin}, nil
		}
	}
	return nil, NotHere
}

// The flags of authenticator data (WebAuthn Level 3 6.1).
const (
	userPresent  = 1 << 0
	userVerified = 1 << 2
)

// signed reports whether signature is an assertion over challenge in which the
// platform saw its owner (WebAuthn Level 3 7.2): authenticator data, client data
// and signature, each in base64url, with dots between.
func (w webKey) signed(spki []byte, challenge, signature string) bool {
	parts := strings.Split(signature, ".")
	if len(parts) != 3 || len(signature) > maxAssertion {
		return false
	}
	var raw [3][]byte
	for i, p := range parts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(p)
		if err != nil {
			return false
		}
		raw[i] = b
	}
	data, client := raw[0], raw[1]
	if len(data) < 37 || data[32]&userPresent == 0 || data[32]&userVerified == 0 {
		return false
	}
	rp := sha256.Sum256([]byte(w.RPID))
	if subtle.ConstantTimeCompare(data[:32], rp[:]) != 1 || !w.collected(client, challenge) {
		return false
	}
	h := sha256.Sum256(client)
	return verifyAny(spki, sha256.Sum256(append(data[:len(data):len(data)], h[:]...)), raw[2])
}

// maxAssertion bounds what is read of an assertion.
const maxAssertion = 2048

// collected checks what the browser says: a use of the key, for this challenge, on
// the page that made it and not in a frame of another.
func (w webKey) collected(client []byte, challenge string) bool {
	var c struct {
		Type        string `json:"type"`
		Challenge   string `json:"challenge"`
		Origin      string `json:"origin"`
		CrossOrigin bool   `json:"crossOrigin"`
		TopOrigin   string `json:"topOrigin"`
	}
	if err := json.Unmarshal(client, &c); err != nil {
		return false
	}
	want := base64.RawURLEncoding.EncodeToString([]byte(challenge))
	return c.Type == "webauthn.get" && subtle.ConstantTimeCompare([]byte(c.Challenge), []byte(want)) == 1 && c.Origin == w.Origin && !c.CrossOrigin && c.TopOrigin == ""
}

// verifyAny checks a signature of WebAuthn: ES256, or RS256, which is not the RSA
// of the mobile SDKs.
func verifyAny(spki []byte, digest [sha256.Size]byte, signature []byte) bool {
	pub, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return false
	}
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(pub, digest[:], signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], signature) == nil
	}
	return false
}
