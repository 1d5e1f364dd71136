package totp

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/qr"
)

// TestHOTPVectors is RFC 4226 appendix D.
func TestHOTPVectors(t *testing.T) {
	for i, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := hotp([]byte("12345678901234567890"), "sha1", 6, int64(i)); got != want {
			t.Errorf("counter %d: %s, want %s", i, got, want)
		}
	}
}

// TestTOTPVectors is RFC 6238 appendix B.
func TestTOTPVectors(t *testing.T) {
	for at, want := range map[int64][3]string{
		59: {"94287082", "46119246", "90693936"}, 1111111109: {"07081804", "68084774", "25091201"}, 1111111111: {"14050471", "67062674", "99943326"},
		1234567890: {"89005924", "91819424", "93441116"}, 2000000000: {"69279037", "90698825", "38618901"}, 20000000000: {"65353130", "77737706", "47863826"},
	} {
		for i, alg := range []string{"sha1", "sha256", "sha512"} {
			key := []byte(strings.Repeat("1234567890", 7))[:sizes[alg]]
			if got := hotp(key, alg, 8, at/30); got != want[i] {
				t.Errorf("%s at %d: %s, want %s", alg, at, got, want[i])
			}
		}
	}
}

// TestOCRAVectors is RFC 6287 appendix C.
func TestOCRAVectors(t *testing.T) {
	key := []byte("12345678901234567890")
	for q, want := range map[string]string{"00000000": "237653", "11111111": "243178", "22222222": "653583", "33333333": "740991", "99999999": "294470"} {
		if got := ocraCode("OCRA-1:HOTP-SHA1-6:QN08", "sha1", key, 6, q, -1); got != want {
			t.Errorf("%s: %s, want %s", q, got, want)
		}
	}
	long := []byte(strings.Repeat("1234567890", 7))[:64]
	for q, want := range map[string]string{"00000000": "95209754", "11111111": "55907591"} {
		if got := ocraCode("OCRA-1:HOTP-SHA512-8:QN08-T1M", "sha512", long, 8, q, 0x132d0b6); got != want {
			t.Errorf("%s: %s, want %s", q, got, want)
		}
	}
}

// TestChallengeVectors is mosaic-protocol 3.4.
func TestChallengeVectors(t *testing.T) {
	s := secret{Text: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", Algorithm: "sha1", Digits: 6, Period: 30}
	if got := fmt.Sprintf("%x", derived(s, "123456")); got != "b880d5ce2047d66bf5c9d22e20d0df021b0dcd5ec5887d5b048090577b40f793" {
		t.Errorf("derived %s", got)
	}
	for at, want := range map[int64]string{59: "361776", 1111111109: "054370"} {
		if step, ok := signed(s, settings{Signing: derivedKey}, "123456", want, time.Unix(at, 0)); !ok || step != at/30 {
			t.Errorf("at %d: %d %v", at, step, ok)
		}
	}
}

// TestAgainstOathtool compares 500 random codes with those of another program.
func TestAgainstOathtool(t *testing.T) {
	tool, err := exec.LookPath("oathtool")
	if err != nil {
		t.Skip("oathtool is not installed")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		alg := []string{"sha1", "sha256", "sha512"}[r.IntN(3)]
		key := make([]byte, sizes[alg])
		for i := range key {
			key[i] = byte(r.IntN(256))
		}
		at, digits, period := int64(r.Uint32()), 6+r.IntN(3), []int{15, 30, 60, 120}[r.IntN(4)]
		out, err := exec.Command(tool, "--totp="+alg, "-b", "-d", fmt.Sprint(digits), "-s", fmt.Sprint(period), "-N", time.Unix(at, 0).UTC().Format("2006-01-02 15:04:05 UTC"),
			base32.StdEncoding.EncodeToString(key)).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := hotp(key, alg, digits, at/int64(period)), strings.TrimSpace(string(out)); got != want {
			t.Fatalf("%s, %d digits, %d s, at %d: %s, oathtool says %s", alg, digits, period, at, got, want)
		}
	}
}

// TestPicture: what is drawn is what was meant, as another program reads it.
func TestPicture(t *testing.T) {
	address := uri("Corp App", "Ana – work phone", secret{Text: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", Algorithm: "sha1", Digits: 6, Period: 30})
	svg, err := qr.SVG(address, qrLabel)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(svg, "<svg ") || strings.Contains(svg, "GEZDG") {
		t.Errorf("%.100s", svg)
	}
	zbar, err1 := exec.LookPath("zbarimg")
	convert, err2 := exec.LookPath("rsvg-convert")
	if err1 != nil || err2 != nil {
		t.Skip("zbarimg or rsvg-convert is not installed")
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "q.svg"), filepath.Join(dir, "q.png")
	if err := os.WriteFile(in, []byte(svg), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command(convert, "-w", "400", "-o", out, in).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	got, err := exec.Command(zbar, "--raw", "-q", out).Output()
	if err != nil || strings.TrimSpace(string(got)) != address {
		t.Errorf("read %q (%v), want %q", got, err, address)
	}
}

func TestURI(t *testing.T) {
	got := uri("Corp: App & Söhne", "a:b c@example.org", secret{Text: "ABC", Algorithm: "sha256", Digits: 8, Period: 60})
	u, err := url.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || strings.Count(u.Path, ":") != 1 || q.Get("issuer") != "Corp  App & Söhne" || q.Get("algorithm") != "SHA256" || q.Get("digits") != "8" || q.Get("period") != "60" || strings.Contains(got, "+") {
		t.Errorf("%s", got)
	}
}

// TestDigits: what is not exactly the digits is no code (security R06).
func TestDigits(t *testing.T) {
	for typed, want := range map[string]string{"123456": "123456", " 123 456 ": "123456", "12345": "", "1234567": "", "１２３４５６": "", "12345a": "", "-12345": "", "+12345": "", "": "", "0x1234": "", "1e5000": ""} {
		if got := digitsOf(typed, 6); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}

// TestWindowEdges: a code is good in exactly 2·window+1 periods (security R14).
func TestWindowEdges(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := secret{Text: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", Algorithm: "sha1", Digits: 8, Period: rapid.IntRange(15, 120).Draw(r, "period")}
		window, step := rapid.IntRange(0, 5).Draw(r, "window"), rapid.Int64Range(1000, 1_000_000).Draw(r, "step")
		code := hotp(s.key(), s.Algorithm, s.Digits, step)
		first, last := (step-int64(window))*int64(s.Period), (step+int64(window)+1)*int64(s.Period)-1
		for at, want := range map[int64]bool{first - 1: false, first: true, last: true, last + 1: false} {
			if got, ok := match(s, s.key(), window, code, time.Unix(at, 0)); ok != want || ok && got != step {
				r.Fatalf("window %d, at %d: %v (step %d), want %v", window, at-step*int64(s.Period), ok, got, want)
			}
		}
	})
}

type house struct {
	*kittest.World
	s authn.Subject
}

func newHouse(t testing.TB, doc map[string]any) *house {
	t.Helper()
	h := &house{World: kittest.New(t), s: authn.Subject{Kind: Kind, Tenant: "t1", App: "shop"}}
	h.Do(t, func(tx *db.Tx) (err error) {
		if err := apps.CreateTenant(t.Context(), tx, apps.Tenant{ID: "t1", Name: "T"}); err != nil {
			return err
		}
		if err := apps.Save(t.Context(), tx, apps.App{ID: "shop", Tenant: "t1", Name: "Shop", Audience: apps.B2C}); err != nil {
			return err
		}
		if err := authn.Configure(t.Context(), tx, "shop", Kind, doc); err != nil {
			return err
		}
		h.s.User, err = directory.Create(t.Context(), tx, "t1", directory.NewUser{Email: "ana@example.org"})
		return err
	})
	return h
}

func (h *house) enrol(t testing.TB, label string, override bool) (e Enrolment, err error) {
	t.Helper()
	err = h.Kit.DB.Tx(t.Context(), func(tx *db.Tx) (err error) {
		e, err = Enrol(t.Context(), tx, h.s, "Shop", label, override)
		return err
	})
	return e, err
}

func (e Enrolment) at(now time.Time, steps int64) string {
	key := secret{Text: e.Secret}.key()
	return hotp(key, e.Algorithm, e.Digits, now.Unix()/int64(e.Period)+steps)
}

// try verifies as a caller does: Wrong is committed.
func (h *house) try(code string) error {
	var said error
	err := h.Kit.DB.Move(context.Background(), func(tx *db.Tx) error {
		var p authn.Proof
		p, said = Verify(context.Background(), tx, h.s, code)
		if said == nil && p.User() != h.s.User {
			return fmt.Errorf("a proof of %q", p.User())
		}
		if fault.Is(said, fault.Wrong) {
			return nil
		}
		return said
	})
	if err != nil {
		return err
	}
	return said
}

func TestEnrolRules(t *testing.T) {
	h := newHouse(t, nil)
	first, err := h.enrol(t, "", false)
	if err != nil || first.Label != "ana@example.org" || len(first.Secret) != 32 {
		t.Fatalf("%+v, %v", first, err)
	}
	if _, err := h.enrol(t, "second", false); err != Registered {
		t.Errorf("a second without override: %v", err)
	}
	second, err := h.enrol(t, "second", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.try(first.at(h.Now(), 0)); !fault.Is(err, fault.Wrong) {
		t.Errorf("the replaced one: %v", err)
	}
	if err := h.try(second.at(h.Now(), 0)); err != nil {
		t.Errorf("the new one: %v", err)
	}
	h.Do(t, func(tx *db.Tx) error {
		return authn.Configure(t.Context(), tx, "shop", Kind, map[string]any{"max_per_user": 3})
	})
	for _, label := range []string{"b", "c"} {
		if _, err := h.enrol(t, label, false); err != nil {
			t.Errorf("%s: %v", label, err)
		}
	}
	if _, err := h.enrol(t, "d", true); err != TooMany {
		t.Errorf("beyond the limit with override: %v", err)
	}
}

// TestEnrolAtOnce: of 16 registrations at once as many succeed as are allowed.
func TestEnrolAtOnce(t *testing.T) {
	h := newHouse(t, map[string]any{"max_per_user": 3})
	var made atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			err := h.Kit.DB.Tx(context.Background(), func(tx *db.Tx) error {
				_, err := Enrol(context.Background(), tx, h.s, "Shop", "x", false)
				return err
			})
			if err == nil {
				made.Add(1)
			} else if err != TooMany && !fault.Is(err, fault.Unavailable) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 3 {
		t.Errorf("%d were made, want 3", made.Load())
	}
}

// TestOnce: of 16 that bring one code at once, one is proven (security R06).
func TestOnce(t *testing.T) {
	h := newHouse(t, map[string]any{"max_per_user": 5, "tiers": []any{}})
	e, err := h.enrol(t, "a", false)
	if err != nil {
		t.Fatal(err)
	}
	code := e.at(h.Now(), 0)
	var good atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if h.try(code) == nil {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 {
		t.Errorf("%d of 16 were proven", good.Load())
	}
	if err := h.try(e.at(h.Now(), -1)); !fault.Is(err, fault.Wrong) {
		t.Errorf("an older code after a newer one: %v", err)
	}
	h.Pass(30 * time.Second)
	if err := h.try(e.at(h.Now(), 0)); err != nil {
		t.Errorf("the next code: %v", err)
	}
}

// TestLimit: of 1,000 wrong tries at once five are judged, the right code is
// refused then, and is good when the lock is over (security R01).
func TestLimit(t *testing.T) {
	h := newHouse(t, map[string]any{"max_per_user": 5})
	e, err := h.enrol(t, "a", false)
	if err != nil {
		t.Fatal(err)
	}
	var judged, locked atomic.Int64
	var wg sync.WaitGroup
	next := make(chan int, 1000)
	for i := range 1000 {
		next <- i
	}
	close(next)
	for range 50 {
		wg.Go(func() {
			for i := range next {
				switch err := h.try(fmt.Sprintf("%06d", i)); {
				case fault.Is(err, fault.Wrong):
					judged.Add(1)
				case fault.Is(err, fault.Locked):
					locked.Add(1)
				case fault.Is(err, fault.Unavailable):
				default:
					t.Errorf("try %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	if judged.Load() != 5 || locked.Load() == 0 {
		t.Errorf("%d were judged, want 5; %d locked", judged.Load(), locked.Load())
	}
	if err := h.try(e.at(h.Now(), 0)); !fault.Is(err, fault.Locked) {
		t.Errorf("the right code while locked: %v", err)
	}
	h.Pass(time.Minute + time.Second)
	if err := h.try(e.at(h.Now(), 0)); err != nil {
		t.Errorf("the right code afterwards: %v", err)
	}
}

// TestSignOnce: a signature is for one challenge, and good once.
func TestSignOnce(t *testing.T) {
	for _, how := range []string{derivedKey, ocra} {
		h := newHouse(t, map[string]any{"signing": how})
		e, err := h.enrol(t, "a", false)
		if err != nil {
			t.Fatal(err)
		}
		s := secret{Text: e.Secret, Algorithm: e.Algorithm, Digits: e.Digits, Period: e.Period}
		step := h.Now().Unix() / 30
		code := hotp(derived(s, "123456"), s.Algorithm, s.Digits, step)
		if how == ocra {
			code = ocraCode("OCRA-1:HOTP-SHA1-6:QN06-T30S", "sha1", s.key(), 6, "123456", step)
		}
		sign := func(challenge, code string) (said error) {
			h.Do(t, func(tx *db.Tx) error {
				if _, said = Sign(t.Context(), tx, h.s, challenge, code); fault.Is(said, fault.Wrong) {
					return nil
				}
				return said
			})
			return said
		}
		if err := sign("654321", code); !fault.Is(err, fault.Wrong) {
			t.Errorf("%s: another challenge: %v", how, err)
		}
		if err := sign("123456", e.at(h.Now(), 0)); !fault.Is(err, fault.Wrong) {
			t.Errorf("%s: a code for signing in: %v", how, err)
		}
		if err := sign("123456", code); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		if err := sign("123456", code); !fault.Is(err, fault.Wrong) {
			t.Errorf("%s: again: %v", how, err)
		}
	}
}

// TestStranger: a name that belongs to nobody is told what a user is told, try
// by try, also when it locks (security R30).
func TestStranger(t *testing.T) {
	h := newHouse(t, nil)
	if _, err := h.enrol(t, "a", false); err != nil {
		t.Fatal(err)
	}
	stranger := func() (said error) {
		err := h.Kit.DB.Move(t.Context(), func(tx *db.Tx) error {
			if said = authn.Stranger(t.Context(), tx, Kind, "t1", "shop", "nobody@example.org"); fault.Is(said, fault.Wrong) {
				return nil
			}
			return said
		})
		if said == nil {
			return err
		}
		return said
	}
	for i := range 8 {
		a, b := fault.Of(h.try("000000")), fault.Of(stranger())
		if a.Code != b.Code || a.Message != b.Message || a.RetryAfter != b.RetryAfter {
			t.Errorf("try %d: a user is told %v, a stranger %v", i, a, b)
		}
	}
	h.Pass(25 * time.Hour)
	h.Do(t, func(tx *db.Tx) error { return authn.SweepStrangers(t.Context(), tx) })
	if err := stranger(); !fault.Is(err, fault.Wrong) {
		t.Errorf("swept: %v", err)
	}
}

func export(entries ...[]byte) string {
	var b []byte
	for _, e := range entries {
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendBytes(b, e)
	}
	b = protowire.AppendTag(b, 2, protowire.VarintType)
	b = protowire.AppendVarint(b, 1)
	return "otpauth-migration://offline?data=" + url.QueryEscape(base64.StdEncoding.EncodeToString(b))
}

func entry(key, name string, alg, digits, kind uint64) []byte {
	b := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte(key))
	b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), []byte(name))
	for i, v := range []uint64{alg, digits, kind} {
		b = protowire.AppendVarint(protowire.AppendTag(b, protowire.Number(4+i), protowire.VarintType), v)
	}
	return b
}

func TestImport(t *testing.T) {
	h := newHouse(t, map[string]any{"max_per_user": 2})
	key := "12345678901234567890"
	bring := func(address string) (made []Enrolment, err error) {
		err = h.Kit.DB.Tx(t.Context(), func(tx *db.Tx) (err error) {
			made, err = Import(t.Context(), tx, h.s, "Shop", address)
			return err
		})
		return made, err
	}
	for name, bad := range map[string]string{
		"counter-based": export(entry(key, "a", 1, 1, 1)), "short key": export(entry("123", "a", 1, 1, 2)), "md5": export(entry(key, "a", 4, 1, 2)),
		"too many": export(entry(key, "a", 1, 1, 2), entry(key, "b", 1, 1, 2), entry(key, "c", 1, 1, 2)), "empty": export(), "another address": "https://example.org",
	} {
		if made, err := bring(bad); err == nil {
			t.Errorf("%s: %v", name, made)
		}
	}
	if made, err := bring(export(entry(key, "old phone", 1, 1, 2), entry(key+key, "other", 2, 2, 2))); err != nil || len(made) != 2 || made[0].Label != "old phone" || made[1].Digits != 8 {
		t.Fatalf("%+v, %v", made, err)
	}
	if err := h.try(hotp([]byte(key), "sha1", 6, h.Now().Unix()/30)); err != nil {
		t.Errorf("a code of the old phone: %v", err)
	}
}

func FuzzParseExport(f *testing.F) {
	f.Add(export(entry("12345678901234567890", "a", 1, 1, 2)))
	f.Add("otpauth-migration://offline?data=CgA%3D")
	f.Fuzz(func(t *testing.T, address string) {
		entries, err := parseExport(address)
		for _, e := range entries {
			if err == nil && (e.key() == nil || hashes[e.Algorithm] == nil || e.Digits < 6) {
				t.Errorf("taken: %+v", e)
			}
		}
	})
}
