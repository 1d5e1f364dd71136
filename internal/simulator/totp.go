package simulator

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"math"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Token is an entry of the phone's authenticator app. It holds a secret.
type Token struct {
	Issuer    string `json:"issuer"`
	Label     string `json:"label"`
	Secret    string `json:"secret"` // base32, exactly as the URI has it
	Algorithm string `json:"algorithm"`
	Digits    int    `json:"digits"`
	Period    int    `json:"period"` // seconds
}

// ParseToken reads an otpauth URI as strictly as the vendor's authenticator: the
// secret, algorithm, digits and period must all be there (mosaic-protocol 3.3).
func ParseToken(uri string) (Token, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" {
		return Token{}, errors.New("this is not an otpauth://totp address")
	}
	q := u.Query()
	issuer, label, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), ":")
	if !ok {
		issuer, label = q.Get("issuer"), issuer
	}
	t := Token{Issuer: issuer, Label: strings.TrimSpace(label), Secret: q.Get("secret"), Algorithm: strings.ToLower(q.Get("algorithm"))}
	if have := q.Get("issuer"); have != "" && have != t.Issuer {
		return Token{}, errors.New("the address names two issuers")
	}
	if t.Digits, err = strconv.Atoi(q.Get("digits")); err != nil || t.Digits < 1 || t.Digits > 9 {
		return Token{}, errors.New("the address has no digits from 1 to 9")
	}
	if t.Period, err = strconv.Atoi(q.Get("period")); err != nil || t.Period < 1 {
		return Token{}, errors.New("the address has no period")
	}
	if _, err := t.key(); err != nil {
		return Token{}, err
	}
	if t.hash() == nil {
		return Token{}, errors.New("the address has no algorithm of SHA1, SHA256 or SHA512")
	}
	return t, nil
}

func (t Token) key() ([]byte, error) {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.ToUpper(t.Secret), "="))
	if err != nil || len(key) == 0 {
		return nil, errors.New("the address has no secret in base32")
	}
	return key, nil
}

func (t Token) hash() func() hash.Hash {
	return map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}[t.Algorithm]
}

// Code is the code of a time (RFC 6238).
func (t Token) Code(at time.Time) (string, error) {
	key, err := t.key()
	if err != nil {
		return "", err
	}
	return t.code(key, at), nil
}

// Sign is the code that answers a challenge at a time: that of a key derived
// from the secret's text and the challenge (mosaic-protocol 3.4).
func (t Token) Sign(challenge string, at time.Time) string {
	return t.code(t.derived(challenge), at)
}

func (t Token) derived(challenge string) []byte {
	h := hmac.New(sha256.New, []byte(t.Secret))
	h.Write([]byte(challenge))
	return h.Sum(nil)
}

func (t Token) code(key []byte, at time.Time) string {
	var msg [8]byte
	binary.BigEndian.PutUint64(msg[:], uint64(at.Unix()/int64(t.Period)))
	h := hmac.New(t.hash(), key)
	h.Write(msg[:])
	sum := h.Sum(nil)
	from := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[from:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", t.Digits, uint64(n)%uint64(math.Pow10(t.Digits)))
}

// Tokens returns the authenticator entries of a state file; none if there is no
// file.
func Tokens(path string) ([]Token, error) {
	s, err := readState(path)
	return s.Tokens, err
}

// AddToken adds an entry to a state file, which is made if need be; one with the
// same issuer and label is replaced.
func AddToken(path string, t Token) error {
	s, err := readState(path)
	if err != nil {
		return err
	}
	kept := []Token{t}
	for _, have := range s.Tokens {
		if have.Issuer != t.Issuer || have.Label != t.Label {
			kept = append(kept, have)
		}
	}
	s.Format, s.Tokens = stateFormat, kept
	return s.write(path)
}

func readState(path string) (State, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("reading the phone: %w", err)
	}
	s, err := decodeState(text)
	if err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func decodeState(text []byte) (State, error) {
	var s State
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil || s.Format != stateFormat {
		return s, errors.New("this is not the state of a phone")
	}
	return s, nil
}
