package oidc

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
)

// Proven checks a proof of possession (RFC 9449 4.3) for one request and returns
// the thumbprint of its key. access is the token that came with it, if one did. A
// proof counts once.
func (p *Provider) Proven(ctx context.Context, proof, method, address, access string) (string, error) {
	bad := refuse("invalid_dpop_proof", "The DPoP proof is missing, not for this request, too old, or was used.")
	f, err := parseForeign(proof)
	if err != nil {
		return "", bad.because(err)
	}
	if f.Typ != "dpop+jwt" || f.JWK == nil || !f.JWK.IsPublic() || !f.JWK.Valid() {
		return "", bad
	}
	claims, err := f.claims(f.JWK.Key)
	if err != nil {
		return "", bad.because(err)
	}
	now := p.Kit.DB.Now()
	at, ok := seconds(claims, "iat")
	jti := text(claims, "jti")
	if !ok || at.After(now.Add(proofAge)) || now.Sub(at) > proofAge || jti == "" || len(jti) > 256 || text(claims, "htm") != method || text(claims, "htu") != address {
		return "", bad
	}
	if access != "" {
		h := sha256.Sum256([]byte(access))
		if text(claims, "ath") != base64.RawURLEncoding.EncodeToString(h[:]) {
			return "", bad
		}
	}
	thumb, err := f.JWK.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", bad.because(err)
	}
	jkt := base64.RawURLEncoding.EncodeToString(thumb)
	err = p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		fresh, err := once(ctx, tx, "dpop/"+jkt, jti, at.Add(2*proofAge))
		if err == nil && !fresh {
			return bad
		}
		return err
	})
	return jkt, err
}

// proofAge is how far the clock of who made a proof may be off.
const proofAge = time.Minute
