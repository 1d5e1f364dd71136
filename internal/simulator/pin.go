package simulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math/big"

	"golang.org/x/crypto/argon2"
)

// PIN is a key that a phone makes anew from what its owner types. What is stored
// is a random seed, enciphered under the PIN without any check value: a wrong PIN
// deciphers it to another seed, and makes another key, and nothing in the phone
// tells which is right (authenticators.md 7).
type PIN struct {
	ID     string // publicKeyId
	salt   [16]byte
	sealed [32]byte
}

// NewPIN makes a seed. What its ciphertext deciphers to under the PIN that the
// owner chooses is the seed: so it needs not know which that is.
func NewPIN() *PIN {
	p := &PIN{ID: "pin_" + rand.Text()}
	_, _ = rand.Read(p.salt[:]) // never fails
	_, _ = rand.Read(p.sealed[:])
	return p
}

// key is the key that a PIN makes: right or wrong, there always is one.
func (p *PIN) key(pin string) (*ecdsa.PrivateKey, error) {
	pad := argon2.IDKey([]byte(pin), p.salt[:], 1, 8<<10, 1, 32) // a phone would take its time; a test would not
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = p.sealed[i] ^ pad[i]
	}
	wide, err := hkdf.Key(sha256.New, seed, nil, "watchword pin v1", 48)
	if err != nil {
		return nil, fmt.Errorf("deriving the PIN's key: %w", err)
	}
	n := new(big.Int).Sub(elliptic.P256().Params().N, big.NewInt(1))
	d := new(big.Int).Mod(new(big.Int).SetBytes(wide), n)
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.Add(d, big.NewInt(1)).FillBytes(make([]byte, 32)))
	if err != nil {
		return nil, fmt.Errorf("deriving the PIN's key: %w", err)
	}
	return key, nil
}

// Public is the public key of a PIN, as base64 of SPKI DER.
func (p *PIN) Public(pin string) (string, error) {
	key, err := p.key(pin)
	if err != nil {
		return "", err
	}
	_, spki, err := keyID(&key.PublicKey)
	return spki, err
}

// Sign signs a challenge with the key that a PIN makes.
func (p *PIN) Sign(pin, challenge string) (string, error) {
	key, err := p.key(pin)
	if err != nil {
		return "", err
	}
	return signECDSA(key, challenge)
}
