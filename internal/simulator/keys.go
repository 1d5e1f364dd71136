package simulator

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// Keys are the two keys of a phone: the device key signs for the app, the
// biometric key only after a finger or a face.
type Keys struct {
	Device    *rsa.PrivateKey   // 2048 bits
	Biometric *ecdsa.PrivateKey // P-256
}

// NewKeys makes both keys; the RSA key takes about 0.1 s.
func NewKeys() (*Keys, error) {
	device, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making the device key: %w", err)
	}
	biometric, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the biometric key: %w", err)
	}
	return &Keys{device, biometric}, nil
}

// keyID returns the hex SHA-256 of a public key's SPKI bytes, which is its name,
// and those bytes in base64.
func keyID(pub crypto.PublicKey) (id, spki string, err error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", "", fmt.Errorf("encoding a public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(der), nil
}

// signPSS signs a text with the device key: RSASSA-PSS, SHA-256, salt of 32
// bytes (mosaic-protocol 1.3).
func signPSS(key *rsa.PrivateKey, text string) (string, error) {
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256})
	if err != nil {
		return "", fmt.Errorf("signing with the device key: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sig), nil
}

// signECDSA signs a text with the biometric key: ECDSA P-256, SHA-256, DER.
func signECDSA(key *ecdsa.PrivateKey, text string) (string, error) {
	sum := sha256.Sum256([]byte(text))
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return "", fmt.Errorf("signing with the biometric key: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sig), nil
}
