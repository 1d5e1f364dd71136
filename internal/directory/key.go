package directory

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"

	"github.com/watchword-auth/watchword/internal/fault"
)

// Key is a public key of a phone or browser. It is never usable for encryption,
// and only two kinds are accepted: RSA of 2048 to 4096 bits, and EC P-256.
type Key struct {
	pub  crypto.PublicKey
	spki []byte
}

// ParseKey reads a public key as the mobile and web SDKs send it: base64 (any
// flavour) or PEM of SPKI DER, of PKCS#1 DER, or of the 65 bytes of an X9.63
// point on P-256 (mosaic-protocol 1.3). fault.Invalid for anything else.
func ParseKey(text string) (Key, error) {
	if len(text) > 4096 {
		return Key{}, fault.New(fault.Invalid, "The public key is too long.")
	}
	der, ok := keyBytes(strings.TrimSpace(text))
	if !ok {
		return Key{}, fault.New(fault.Invalid, "The public key is neither base64 nor PEM.")
	}
	return ParseKeyDER(der)
}

// ParseKeyDER is ParseKey for bytes.
func ParseKeyDER(der []byte) (Key, error) {
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		if r, e := x509.ParsePKCS1PublicKey(der); e == nil {
			pub, err = r, nil
		} else if len(der) == 65 {
			pub, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), der)
		}
	}
	if err != nil {
		return Key{}, fault.New(fault.Invalid, "The public key is in no known form.").Because(err)
	}
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < 2048 || n > 4096 || k.E < 3 {
			return Key{}, fault.New(fault.Invalid, "RSA keys must have 2048 to 4096 bits.")
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return Key{}, fault.New(fault.Invalid, "EC keys must be on P-256.")
		}
	default:
		return Key{}, fault.New(fault.Invalid, "Keys must be RSA or EC P-256.")
	}
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return Key{}, fault.New(fault.Invalid, "The public key is in no known form.").Because(err)
	}
	return Key{pub, spki}, nil
}

// ID is the hex SHA-256 of the SPKI bytes, as the SDKs compute device_key_id.
func (k Key) ID() string {
	h := sha256.Sum256(k.spki)
	return hex.EncodeToString(h[:])
}

// SPKI returns the key as SubjectPublicKeyInfo DER.
func (k Key) SPKI() []byte { return k.spki }

// Type is "rsa" or "ec".
func (k Key) Type() string {
	if _, ok := k.pub.(*rsa.PublicKey); ok {
		return "rsa"
	}
	return "ec"
}

// Verify reports whether signature, in any base64, is this key's over message.
// The algorithm follows from the key alone: RSASSA-PSS with SHA-256 and a salt
// of exactly 32 bytes (RFC 8017 8.1), or ECDSA with SHA-256 in DER
// (mosaic-protocol 1.3).
func (k Key) Verify(message []byte, signature string) bool {
	if len(signature) > 2048 {
		return false
	}
	sig, ok := decodeBase64(signature)
	if !ok {
		return false
	}
	h := sha256.Sum256(message)
	switch pub := k.pub.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPSS(pub, crypto.SHA256, h[:], sig, &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(pub, h[:], sig)
	}
	return false
}

func keyBytes(text string) ([]byte, bool) {
	if block, rest := pem.Decode([]byte(text)); block != nil {
		return block.Bytes, len(strings.TrimSpace(string(rest))) == 0
	}
	return decodeBase64(text)
}

// decodeBase64 takes the standard and the URL alphabet, with or without
// padding and line breaks, and nothing that is not canonical.
func decodeBase64(s string) ([]byte, bool) {
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/", "\n", "", "\r", "").Replace(s), "=")
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	return b, err == nil && len(b) > 0
}
