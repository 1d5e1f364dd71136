package password

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

const badger = "wide-badger-under-7-bridges"

// waiting puts a reset of a known code beside the password, as SendReset does of
// one that nobody but its reader knows.
func (h *house) waiting(t testing.TB, code string) {
	t.Helper()
	h.Do(t, func(tx *db.Tx) error {
		creds, err := authn.Credentials[kept](t.Context(), tx, h.s)
		if err != nil {
			return err
		}
		c := creds[0]
		c.Data.Reset = &reset{Hash: resetHash(tx, byCode, h.user.ID, code), To: "penelope@example.org", Via: directory.Email, Until: tx.Now().Add(5 * time.Minute)}
		return authn.Use(t.Context(), tx, c)
	})
}

func (h *house) exchange(code string) (token string, said error) {
	err := h.Kit.DB.Move(context.Background(), func(tx *db.Tx) error {
		if token, said = Exchange(context.Background(), tx, h.s, code); fault.Is(said, fault.Wrong) {
			return nil
		}
		return said
	})
	if said == nil {
		said = err
	}
	return token, said
}

func (h *house) redeem(g Given) (said error) {
	ctx := context.Background()
	r, err := Redeem(ctx, h.Kit.DB, h.app, h.user, nil, g)
	if err != nil {
		return err
	}
	err = h.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		if _, said = r.Settle(ctx, tx); fault.Is(said, fault.Wrong) {
			return nil
		}
		return said
	})
	if said == nil {
		said = err
	}
	return said
}

// TestReset: a code is a token's price and no token itself, a weak password
// spends nothing, a token is good once and for minutes.
func TestReset(t *testing.T) {
	h := newHouse(t, nil)
	if err := h.set(t, otter, false); err != nil {
		t.Fatal(err)
	}
	if _, err := h.exchange("123456"); !fault.Is(err, fault.Wrong) {
		t.Errorf("without a code: %v", err)
	}
	h.waiting(t, "123456")
	if g, _ := (Given{Password: badger}).WithToken("prt_" + string(h.user.ID) + ".123456"); !fault.Is(h.redeem(g), fault.Wrong) {
		t.Error("a code was taken for a token")
	}
	token, err := h.exchange(" 123 456 ")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.exchange("123456"); !fault.Is(err, fault.Wrong) {
		t.Errorf("the code again: %v", err)
	}
	weak, id := Given{Password: "short"}.WithToken(token)
	if err := h.redeem(weak); word(err) != "auth_password_weak" || id != h.user.ID {
		t.Errorf("a weak password for %s: %v", id, err)
	}
	good, _ := Given{Password: badger}.WithToken(token)
	if err := h.redeem(good); err != nil {
		t.Errorf("the token: %v", err)
	}
	if s, err := h.try(badger); err != nil || s != Good {
		t.Errorf("the new password: %v, %v", s, err)
	}
	if err := h.redeem(good); !fault.Is(err, fault.Wrong) {
		t.Errorf("the token again: %v", err)
	}
	h.waiting(t, "654321")
	h.Pass(5 * time.Minute)
	if _, err := h.exchange("654321"); !fault.Is(err, fault.Expired) {
		t.Errorf("a late code: %v", err)
	}
}

// TestResetOnce: of 16 that use one token at once with different passwords, one
// sets its own (security R03).
func TestResetOnce(t *testing.T) {
	h := newHouse(t, map[string]any{"tiers": []any{map[string]any{"failures": 100, "minutes": 1}}})
	if err := h.set(t, otter, false); err != nil {
		t.Fatal(err)
	}
	h.waiting(t, "123456")
	token, err := h.exchange("123456")
	if err != nil {
		t.Fatal(err)
	}
	var done atomic.Int64
	var wg sync.WaitGroup
	won := make([]bool, 16)
	for i := range won {
		wg.Go(func() {
			g, _ := Given{Password: fmt.Sprint(badger, "-", i)}.WithToken(token)
			if err := h.redeem(g); err == nil {
				won[i] = true
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if done.Load() != 1 {
		t.Errorf("%d of 16 reset the password", done.Load())
	}
	for i, w := range won {
		if s, err := h.try(fmt.Sprint(badger, "-", i)); (err == nil && s == Good) != w {
			t.Errorf("password %d: %v, %v; it won: %v", i, s, err, w)
		}
	}
}

// TestResetGuess: wrong codes are charged, another code forgives nothing, and a
// right one is not judged while locked (security R19, R20).
func TestResetGuess(t *testing.T) {
	h := newHouse(t, nil)
	if err := h.set(t, otter, false); err != nil {
		t.Fatal(err)
	}
	h.waiting(t, "123456")
	for i := range 5 {
		if i == 3 {
			h.waiting(t, "123456")
		}
		g := Given{Password: "short"}.WithCode("000000") // a weak password must not tell whether the code is right
		if err := h.redeem(g); !fault.Is(err, fault.Wrong) {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	if err := h.redeem(Given{Password: badger}.WithCode("123456")); !fault.Is(err, fault.Locked) {
		t.Errorf("the right code while locked: %v", err)
	}
	if _, err := h.exchange("123456"); !fault.Is(err, fault.Locked) {
		t.Errorf("exchanged while locked: %v", err)
	}
}

// TestResetFactor: where another factor is demanded, a code alone, and one with
// the proof of somebody who reads the same mail, resets nothing.
func TestResetFactor(t *testing.T) {
	h := newHouse(t, map[string]any{"reset_mfa": true})
	if err := h.set(t, otter, false); err != nil {
		t.Fatal(err)
	}
	h.waiting(t, "123456")
	var p authn.Proof
	h.Do(t, func(tx *db.Tx) (err error) {
		p, err = authn.Attempt(t.Context(), tx, h.s, func() (authn.CredentialID, error) { return "", nil })
		return err
	})
	for name, ps := range map[string][]authn.Proof{"nothing": nil, "the password": {p}, "nobody": {{}}} {
		if err := h.redeem(Given{Password: badger, Proofs: ps}.WithCode("123456")); word(err) != "auth_password_reset_mfa" {
			t.Errorf("with %s: %v", name, err)
		}
	}
	if s, err := h.try(otter); err != nil || s != Good {
		t.Errorf("the old password: %v, %v", s, err)
	}
}

// TestStaleReplacement: who found a password right may replace that one, not
// one that was set after it.
func TestStaleReplacement(t *testing.T) {
	h := newHouse(t, nil)
	if err := h.set(t, "known-to-somebody-else", true); err != nil {
		t.Fatal(err)
	}
	c, err := Check(t.Context(), h.Kit.DB, h.s, nil, "", "known-to-somebody-else")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := h.settle(c); err != nil || s != Temporary {
		t.Fatalf("%v, %v", s, err)
	}
	if err := h.set(t, otter, false); err != nil {
		t.Fatal(err)
	}
	f, err := Prepare(t.Context(), h.Kit.DB, h.app, h.user, badger, false)
	if err != nil {
		t.Fatal(err)
	}
	err = h.Kit.DB.Tx(t.Context(), func(tx *db.Tx) error { _, err := c.Renew(t.Context(), tx, f); return err })
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("a password that was set meanwhile was replaced: %v", err)
	}
	if s, err := h.try(otter); err != nil || s != Good {
		t.Errorf("%v, %v", s, err)
	}
}

// TestLeakedLater: a password is looked up once a week at sign-in; one that has
// leaked must be replaced, and a service that is away keeps nobody out.
func TestLeakedLater(t *testing.T) {
	sum := sha1.Sum([]byte(otter))
	hash := strings.ToUpper(hex.EncodeToString(sum[:]))
	var asked atomic.Int64
	var leak, down atomic.Bool
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if down.Load() {
			http.Error(w, "away", http.StatusServiceUnavailable)
		} else if leak.Load() {
			fmt.Fprintf(w, "%s:7\r\n", hash[5:])
		}
	}))
	defer peer.Close()
	defer func(c *http.Client) { outgoing = c }(outgoing)
	outgoing = peer.Client()
	h := newHouse(t, map[string]any{"hibp": true, "hibp_url": peer.URL, "hibp_open": false})
	if err := h.set(t, otter, false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		after      time.Duration
		leak, down bool
		want       State
		asked      int64
	}{
		{"at once", 0, true, false, Good, 0},
		{"six days later", 6 * 24 * time.Hour, true, false, Good, 0},
		{"a week later, away", 24 * time.Hour, true, true, Good, 1},
		{"a moment later", time.Minute, true, false, Good, 0},
		{"a day later, not leaked", 24 * time.Hour, false, false, Good, 1},
		{"a week later, leaked", 7 * 24 * time.Hour, true, false, Breached, 1},
		{"and again", 0, true, false, Breached, 1},
	} {
		h.Pass(c.after)
		leak.Store(c.leak)
		down.Store(c.down)
		asked.Store(0)
		if s, err := h.try(otter); err != nil || s != c.want || asked.Load() != c.asked {
			t.Errorf("%s: %v, %v, asked %d times; want %v, %d", c.name, s, err, asked.Load(), c.want, c.asked)
		}
	}
}
