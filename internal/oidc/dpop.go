package oidc

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
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
}

// binds returns nil if the tokens of a client may be bound to what it showed, or to
// nothing if it showed nothing.
func (k Key) binds(c apps.Client) error {
	switch {
	case c.Settings.DPoP && k.JKT == "", c.MustBind() && k.JKT == "" && k.X5T == "":
		return refuse("invalid_dpop_proof", "This client must bind its tokens to a key.")
	case k.JKT != "" && !c.Signs(k.alg, ""):
		return refuse("invalid_dpop_proof", "This client may not sign by %s.", k.alg)
	}
	return nil
}

// errUnbound is the answer to a client whose tokens must be bound to a key, where
// none are.
var errUnbound = refuse("unauthorized_client", "Tokens of this kind are bound to no key, and this client's must be.")

// Proven checks a proof of possession (RFC 9449 4.3) for one request and returns
// its key. access is the token that came with it, if one did. A proof counts once.
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
	if !ok || at.After(now.Add(proofAge)) || now.Sub(at) > proofAge || jti == "" || len(jti) > 256 || text(claims, "htm") != method || text(claims, "htu") != address {
		return Key{}, bad
	}
	if access != "" {
		h := sha256.Sum256([]byte(access))
		if text(claims, "ath") != base64.RawURLEncoding.EncodeToString(h[:]) {
			return Key{}, bad
		}
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
	return Key{JKT: jkt, alg: f.Alg}, err
}

// proofAge is how far the clock of who made a proof may be off.
const proofAge = time.Minute
