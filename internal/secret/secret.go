// Package secret derives every key of the server from one master key, seals
// values so that the database alone gives nothing away, and hashes the tokens
// that clients carry. It stores nothing and logs nothing.
package secret

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"
)

// Vault holds the keys derived from one master key. It is safe for concurrent
// use. Its zero value is not usable; call NewVault.
type Vault struct {
	aead   cipher.AEAD
	lookup []byte
}

// NewVault derives the keys from master, which must be 32 random bytes
// (HKDF-SHA-256, RFC 5869, one label a purpose).
func NewVault(master []byte) (*Vault, error) {
	if len(master) != 32 {
		return nil, errors.New("secret: the master key must be 32 bytes")
	}
	key, err := hkdf.Key(sha256.New, master, nil, "watchword/v1/seal", 32)
	if err != nil {
		return nil, err
	}
	lookup, err := hkdf.Key(sha256.New, master, nil, "watchword/v1/lookup", 32)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	return &Vault{aead, lookup}, nil
}

// Seal encrypts b for one place ("table/column/row") with XChaCha20-Poly1305
// and a random nonce: a value moved to another row does not open.
func (v *Vault) Seal(place string, b []byte) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(b)+chacha20poly1305.Overhead)
	rand.Read(nonce)
	return v.aead.Seal(nonce, nonce, b, []byte(place))
}

// Open is the inverse of Seal. It fails if the value was sealed for another
// place, under another master key, or was changed.
func (v *Vault) Open(place string, b []byte) ([]byte, error) {
	if len(b) < chacha20poly1305.NonceSizeX {
		return nil, errors.New("secret: sealed value too short")
	}
	out, err := v.aead.Open(nil, b[:chacha20poly1305.NonceSizeX], b[chacha20poly1305.NonceSizeX:], []byte(place))
	if err != nil {
		return nil, errors.New("secret: a value does not open at " + place)
	}
	return out, nil
}

// Hash is how a bearer token is stored and looked up: HMAC-SHA-256 under a key
// of the vault, as hex, so that a database dump holds no usable token. kind
// keeps the key spaces of different artefacts apart (security R05).
func (v *Vault) Hash(kind, token string) string {
	m := hmac.New(sha256.New, v.lookup)
	m.Write([]byte(kind))
	m.Write([]byte{0})
	m.Write([]byte(token))
	return hex.EncodeToString(m.Sum(nil))
}
