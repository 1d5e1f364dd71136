package password

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
	"golang.org/x/text/unicode/norm"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/secret"
)

// What every new hash costs: OWASP's first choice for argon2id, 19 MiB.
const (
	memory = 19 << 10 // KiB
	rounds = 2
	lanes  = 1
)

// gate bounds how many hashes are made at a time, so that a flood of sign-ins
// takes memory for a few and not for all; heavy lets one through to it of those
// that others made much slower than ours; waiters bounds who queues.
var (
	gate    = make(chan struct{}, runtime.NumCPU())
	heavy   = make(chan struct{}, 1)
	waiters atomic.Int64
)

const maxWaiters = 1000

// slow runs one hash within the gates. It returns fault.Unavailable if too many
// wait already or ctx ends.
func slow(ctx context.Context, fn func(), gates ...chan struct{}) error {
	busy := fault.New(fault.Unavailable, "Too many people are signing in. Try again in a moment.").After(time.Second)
	if waiters.Add(1) > maxWaiters {
		waiters.Add(-1)
		return busy
	}
	defer waiters.Add(-1)
	for _, g := range append(gates, gate) {
		select {
		case g <- struct{}{}:
			defer func() { <-g }()
		case <-ctx.Done():
			return busy.Because(ctx.Err())
		}
	}
	fn()
	return nil
}

// normal is the one spelling of a password (NIST SP 800-63B-4 3.1.1.2).
func normal(password string) string { return norm.NFKC.String(password) }

// newHash is what is kept of a password: argon2id of its keyed hash, so that a
// stolen database alone cannot be guessed at (the pepper is the server's master
// key).
func newHash(ctx context.Context, v *secret.Vault, password string) (string, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	var sum []byte
	err := slow(ctx, func() { sum = argon2.IDKey([]byte(peppered(v, password)), salt, rounds, memory, lanes, 32) })
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d,k=1$%s$%s", memory, rounds, lanes, b64(salt), b64(sum)), err
}

func peppered(v *secret.Vault, password string) string { return v.Hash("password", normal(password)) }

// current reports whether a hash is as newHash would make it.
func current(hash string) bool {
	return strings.HasPrefix(hash, fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d,k=1$", memory, rounds, lanes))
}

func b64(b []byte) string { return base64.RawStdEncoding.EncodeToString(b) }

func unb64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

// nobody is a hash that no password fits, of the usual cost.
var nobody = fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d,k=1$%s$%s", memory, rounds, lanes, b64(make([]byte, 16)), b64(make([]byte, 32)))

// matches reports whether a password fits a hash, ours or one that was brought
// along.
func matches(ctx context.Context, v *secret.Vault, hash, password string) (ok bool, err error) {
	var first []chan struct{}
	if h, err := parse(hash); err == nil && h.heavy {
		first = append(first, heavy)
	}
	err = slow(ctx, func() { ok = compare(v, hash, password) }, first...)
	return ok, err
}

func compare(v *secret.Vault, hash, password string) bool {
	h, err := parse(hash)
	if err != nil {
		return false
	}
	if h.pepper {
		return h.fits(peppered(v, password))
	}
	return h.fits(normal(password)) || normal(password) != password && h.fits(password) // as it was typed where it was made
}

// parsed is a hash taken apart.
type parsed struct {
	pepper bool
	heavy  bool
	sum    []byte
	derive func(password string) ([]byte, error)
	bcrypt []byte
}

func (h parsed) fits(password string) bool {
	if h.bcrypt != nil {
		return len(password) <= 72 && bcrypt.CompareHashAndPassword(h.bcrypt, []byte(password)) == nil // longer ones were cut (R33)
	}
	got, err := h.derive(password)
	return err == nil && subtle.ConstantTimeCompare(got, h.sum) == 1
}

var badHash = fault.New(fault.Invalid, "This is not a password hash of a known kind.")

// What the hash of another system may cost at most: whoever brings it along makes
// everybody wait who signs in while it is judged, for the gate is everybody's.
const (
	maxHash   = 1 << 10   // characters of the whole
	maxSum    = 128       // bytes that are derived: pbkdf2 works as often as they need
	maxMemory = 256 << 20 // bytes that a hash takes while it is made
	maxWork   = 1 << 30   // bytes that it goes over
	maxRounds = 2_000_000 // of pbkdf2, for all that is derived
	maxCost   = 15        // of bcrypt
)

// And from where on it is one of those of which only one is judged at a time, so
// that the others stand in nobody's way and take no memory.
const (
	muchMemory = 64 << 20
	muchWork   = 256 << 20
	manyRounds = 500_000
	highCost   = 12
)

// parse reads a hash: $argon2id$, $scrypt$ and $pbkdf2-sha256$ or -sha512$ in the
// PHC string format, bcrypt's own, or {SSHA} of LDAP. Costs that would take the
// server down are refused.
func parse(hash string) (parsed, error) {
	if len(hash) > maxHash {
		return parsed{}, badHash
	}
	if strings.HasPrefix(hash, "$2") {
		cost, err := bcrypt.Cost([]byte(hash))
		if err != nil || cost > maxCost {
			return parsed{}, badHash
		}
		return parsed{bcrypt: []byte(hash), heavy: cost > highCost}, nil
	}
	if rest, ok := strings.CutPrefix(hash, "{SSHA}"); ok {
		b, err := base64.StdEncoding.DecodeString(rest)
		if err != nil || len(b) <= sha1.Size {
			return parsed{}, badHash
		}
		salt := b[sha1.Size:]
		return parsed{sum: b[:sha1.Size], derive: func(p string) ([]byte, error) {
			h := sha1.Sum(append([]byte(p), salt...))
			return h[:], nil
		}}, nil
	}
	return parsePHC(strings.Split(hash, "$"))
}

func parsePHC(parts []string) (parsed, error) {
	if len(parts) < 5 {
		return parsed{}, badHash
	}
	salt, err1 := unb64(parts[len(parts)-2])
	sum, err2 := unb64(parts[len(parts)-1])
	if err1 != nil || err2 != nil || len(sum) < 16 || len(sum) > maxSum {
		return parsed{}, badHash
	}
	n := map[string]int{}
	for _, kv := range strings.Split(parts[len(parts)-3], ",") {
		k, v, _ := strings.Cut(kv, "=")
		n[k], _ = strconv.Atoi(v)
	}
	h := parsed{sum: sum, pepper: n["k"] == 1}
	memory, work, rounds := 0, 0, 0
	switch kind := parts[1]; {
	case kind == "argon2id" && within(n["m"], 8, maxMemory>>10) && within(n["t"], 1, 16) && within(n["p"], 1, 16):
		memory, work = n["m"]<<10, n["m"]<<10*n["t"]
		h.derive = func(p string) ([]byte, error) {
			return argon2.IDKey([]byte(p), salt, uint32(n["t"]), uint32(n["m"]), uint8(n["p"]), uint32(len(sum))), nil
		}
	case kind == "scrypt" && within(n["ln"], 1, 18) && within(n["r"], 1, 16) && within(n["p"], 1, 4):
		memory = 128 * n["r"] << n["ln"]
		work = memory * n["p"]
		h.derive = func(p string) ([]byte, error) {
			return scrypt.Key([]byte(p), salt, 1<<n["ln"], n["r"], n["p"], len(sum))
		}
	case kind == "pbkdf2-sha256" && within(n["i"], 1, maxRounds):
		rounds = n["i"] * blocks(sum, sha256.Size)
		h.derive = func(p string) ([]byte, error) { return pbkdf2.Key(sha256.New, p, salt, n["i"], len(sum)) }
	case kind == "pbkdf2-sha512" && within(n["i"], 1, maxRounds):
		rounds = n["i"] * blocks(sum, sha512.Size)
		h.derive = func(p string) ([]byte, error) { return pbkdf2.Key(sha512.New, p, salt, n["i"], len(sum)) }
	default:
		return parsed{}, badHash
	}
	if memory > maxMemory || work > maxWork || rounds > maxRounds {
		return parsed{}, badHash
	}
	h.heavy = memory > muchMemory || work > muchWork || rounds > manyRounds
	return h, nil
}

// blocks is how many times pbkdf2 does all its rounds.
func blocks(sum []byte, size int) int { return (len(sum) + size - 1) / size }

func within(n, lo, hi int) bool { return n >= lo && n <= hi }
