package totp

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"math/big"
	"strings"
	"time"
)

var hashes = map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}

// key is the shared key itself; nil for a text that is none, which no code fits.
func (s secret) key() []byte {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(s.Text, "="))
	if err != nil {
		return nil
	}
	return key
}

// truncated is the dynamic truncation of RFC 4226 5.3.
func truncated(sum []byte, digits int) string {
	from := sum[len(sum)-1] & 0xf
	n := uint64(binary.BigEndian.Uint32(sum[from:]) & 0x7fffffff)
	mod := uint64(1)
	for range digits {
		mod *= 10
	}
	return fmt.Sprintf("%0*d", digits, n%mod)
}

// hotp is the code of a counter (RFC 4226).
func hotp(key []byte, algorithm string, digits int, counter int64) string {
	var msg [8]byte
	binary.BigEndian.PutUint64(msg[:], uint64(counter))
	h := hmac.New(hashes[algorithm], key)
	h.Write(msg[:])
	return truncated(h.Sum(nil), digits)
}

// digitsOf is what was typed without the spaces that people put between groups;
// "" if it is not made of so many digits.
func digitsOf(typed string, digits int) string {
	typed = strings.ReplaceAll(typed, " ", "")
	if len(typed) != digits || strings.Trim(typed, "0123456789") != "" {
		return ""
	}
	return typed
}

// match finds the step, within window steps of now, whose code was typed; the
// newest if there are several. It looks at all of them.
func match(s secret, key []byte, window int, typed string, now time.Time) (step int64, ok bool) {
	typed = digitsOf(typed, s.Digits)
	if key == nil {
		return 0, false
	}
	at := now.Unix() / int64(s.Period)
	for d := -window; d <= window; d++ {
		if subtle.ConstantTimeCompare([]byte(hotp(key, s.Algorithm, s.Digits, at+int64(d))), []byte(typed)) == 1 {
			step, ok = at+int64(d), true
		}
	}
	return step, ok
}

// derived is the key that the vendor's generator makes of a challenge: an HMAC
// under the text of the secret, not its bytes (mosaic-protocol 3.4).
func derived(s secret, challenge string) []byte {
	h := hmac.New(sha256.New, []byte(s.Text))
	h.Write([]byte(challenge))
	return h.Sum(nil)
}

// signed finds the step at which a challenge was answered with what was typed.
func signed(s secret, set settings, challenge, typed string, now time.Time) (step int64, ok bool) {
	if set.Signing == derivedKey {
		return match(s, derived(s, challenge), set.Window, typed, now)
	}
	typed = digitsOf(typed, s.Digits)
	suite := fmt.Sprintf("OCRA-1:HOTP-%s-%d:QN%02d-T%dS", strings.ToUpper(s.Algorithm), s.Digits, len(challenge), s.Period)
	at := now.Unix() / int64(s.Period)
	for d := -set.Window; d <= set.Window; d++ {
		if subtle.ConstantTimeCompare([]byte(ocraCode(suite, s.Algorithm, s.key(), s.Digits, challenge, at+int64(d))), []byte(typed)) == 1 {
			step, ok = at+int64(d), true
		}
	}
	return step, ok
}

// ocraCode is the response of RFC 6287 to a numeric question, with a time step
// unless that is negative.
func ocraCode(suite, algorithm string, key []byte, digits int, question string, step int64) string {
	n, _ := new(big.Int).SetString(question, 10)
	if n == nil {
		return ""
	}
	q := n.Text(16)
	q += strings.Repeat("0", 256-len(q)) // left-aligned, padded to 128 bytes (5.1)
	msg, err := hex.DecodeString(q)
	if err != nil {
		return ""
	}
	h := hmac.New(hashes[algorithm], key)
	h.Write(append([]byte(suite), 0))
	h.Write(msg)
	if step >= 0 {
		var t [8]byte
		binary.BigEndian.PutUint64(t[:], uint64(step))
		h.Write(t[:])
	}
	return truncated(h.Sum(nil), digits)
}
