package oidc

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
)

// Key is what a caller showed that it holds: the key of a proof of possession, and
// the certificate that a proxy saw. Tokens are bound to it.
type Key struct {
	JKT string // thumbprint of the proof's key (RFC 7638); "" without a proof
	X5T string // SHA-256 of the certificate, base64url; "" without one
	alg string // that signed the proof

	fresh bool // the proof has a nonce of ours that is still good
}

// binds returns nil if the tokens of a client may be bound to what it showed, or to
// nothing if it showed nothing.
func (k Key) binds(c apps.Client) error {
	switch {
	case c.Settings.DPoP && k.JKT == "", c.MustBind() && k.JKT == "" && k.X5T == "":
		return refuse("invalid_dpop_proof", "This client must bind its tokens to a key.")
	}
	return k.proves(c)
}

// proves returns nil if the proof that a client showed, if it did, is one that it
// may show.
func (k Key) proves(c apps.Client) error {
	switch {
	case k.JKT != "" && !c.Signs(k.alg, ""):
		return refuse("invalid_dpop_proof", "This client may not sign by %s.", k.alg)
	case k.JKT != "" && c.MustBeFresh() && !k.fresh:
		return errNonce
	}
	return nil
}

// errNonce asks for another proof, with the nonce that comes along (RFC 9449 8, 9).
var errNonce = refuse("use_dpop_nonce", "The DPoP proof needs the nonce that came with this answer.")

// nonceLife is for how long one nonce is handed out. It is good for as long again.
const nonceLife = time.Minute

// Nonce is what DPoP proofs carry from now on, so that they were not made before. No
// node keeps it: all make the same of the time and their key.
func (p *Provider) Nonce() string { return p.nonce(0) }

// nonce is the one of so many turns from now.
func (p *Provider) nonce(turns int64) string {
	slot := p.Kit.DB.Now().UnixMilli()/nonceLife.Milliseconds() + turns
	return p.Kit.DB.Vault().Hash("dpop_nonce", strconv.FormatInt(slot, 10))[:32]
}

// current reports whether a nonce is that of now, of the turn before, or of the next
// one, which a node whose clock is ahead hands out already.
func (p *Provider) current(nonce string) bool {
	good := 0
	for turn := int64(-1); turn <= 1; turn++ {
		good |= subtle.ConstantTimeCompare([]byte(nonce), []byte(p.nonce(turn)))
	}
	return good == 1
}

// errUnbound is the answer to a client whose tokens must be bound to a key, where
// none are.
var errUnbound = refuse("unauthorized_client", "Tokens of this kind are bound to no key, and this client's must be.")

// Proven checks a proof of possession (RFC 9449 4.3) for one request and returns
// its key. access is the token that came with it, if one did. A proof counts once. A
// nonce that it carries must be one of ours, and good, whether one is wanted or not.
func (p *Provider) Proven(ctx context.Context, proof, method, address, access string) (Key, error) {
	bad := refuse("invalid_dpop_proof", "The DPoP proof is missing, not for this request, too old, or was used.")
	f, err := parseForeign(proof)
	if err != nil {
		return Key{}, bad.because(err)
	}
	if f.Typ != "dpop+jwt" || f.JWK == nil || !f.JWK.IsPublic() || !f.JWK.Valid() {
		return Key{}, bad
	}
	claims, err := f.claims(f.JWK.Key)
	if err != nil {
		return Key{}, bad.because(err)
	}
	now := p.Kit.DB.Now()
	at, ok := seconds(claims, "iat")
	jti := text(claims, "jti")
	if !ok || at.After(now.Add(proofAge)) || now.Sub(at) > proofAge || jti == "" || len(jti) > 256 || text(claims, "htm") != method || !sameAddress(text(claims, "htu"), address) {
		return Key{}, bad
	}
	if access != "" {
		h := sha256.Sum256([]byte(access))
		if text(claims, "ath") != base64.RawURLEncoding.EncodeToString(h[:]) {
			return Key{}, bad
		}
	}
	nonce, has := claims["nonce"]
	if said, _ := nonce.(string); has && !p.current(said) {
		return Key{}, errNonce
	}
	thumb, err := f.JWK.Thumbprint(crypto.SHA256)
	if err != nil {
		return Key{}, bad.because(err)
	}
	jkt := base64.RawURLEncoding.EncodeToString(thumb)
	err = p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		fresh, err := once(ctx, tx, "dpop/"+jkt, jti, at.Add(2*proofAge))
		if err == nil && !fresh {
			return bad
		}
		return err
	})
	return Key{JKT: jkt, alg: f.Alg, fresh: has}, err
}

// sameAddress reports whether an address is ours, in whatever spelling, leaving out
// query and fragment (RFC 9449 4.3, RFC 3986 6.2.2, 6.2.3).
func sameAddress(said, ours string) bool {
	s, err := url.Parse(said)
	if err != nil || s.User != nil || s.Host == "" || s.Opaque != "" {
		return false
	}
	o, err := url.Parse(ours)
	return err == nil && s.Scheme == o.Scheme && hostOf(s) == hostOf(o) && cmp.Or(s.Path, "/") == cmp.Or(o.Path, "/")
}

// hostOf is the host of an address in lower case, without the port that its scheme
// has anyway.
func hostOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}

// proofAge is how far the clock of who made a proof may be off.
const proofAge = time.Minute
