package notify

import (
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// signJWT returns claims as a compact JWS. header are its fields besides alg.
func signJWT(alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any, claims any) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, &jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		return "", fmt.Errorf("making a signer: %w", err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding claims: %w", err)
	}
	jws, err := signer.Sign(body)
	if err != nil {
		return "", fmt.Errorf("signing claims: %w", err)
	}
	return jws.CompactSerialize()
}
