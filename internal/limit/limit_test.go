package limit_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/limit"

	"pgregory.net/rapid"
)

func take(t testing.TB, w *kittest.World, key string, max int, window time.Duration) error {
	t.Helper()
	return w.DB.Tx(t.Context(), func(tx *db.Tx) error { return limit.Take(t.Context(), tx, key, max, window) })
}

func TestTake(t *testing.T) {
	w := kittest.New(t)
	for i := range 3 {
		if err := take(t, w, "k", 3, time.Hour); err != nil {
			t.Fatalf("use %d: %v", i, err)
		}
		w.Pass(time.Minute)
	}
	err := take(t, w, "k", 3, time.Hour)
	if !fault.Is(err, fault.Limited) || fault.Of(err).RetryAfter != 57*time.Minute {
		t.Errorf("the fourth: %v, after %s", err, fault.Of(err).RetryAfter)
	}
	if err := take(t, w, "other", 3, time.Hour); err != nil {
		t.Errorf("another key: %v", err)
	}
	w.Pass(57*time.Minute - time.Millisecond)
	if err := take(t, w, "k", 3, time.Hour); err == nil {
		t.Error("allowed a millisecond too early")
	}
	w.Pass(time.Millisecond)
	for i := range 3 {
		if err := take(t, w, "k", 3, time.Hour); err != nil {
			t.Errorf("use %d of the next window: %v", i, err)
		}
	}
	if err := take(t, w, "k", 3, time.Hour); err == nil {
		t.Error("the next window has no end")
	}
	if err := take(t, w, "k", 0, time.Hour); !fault.Is(err, fault.Limited) {
		t.Errorf("none allowed: %v", err)
	}
}

func TestTakeSixteenAtOnce(t *testing.T) {
	w := kittest.New(t)
	var ok, limited atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for {
				err := take(t, w, "k", 5, time.Hour)
				switch {
				case err == nil:
					ok.Add(1)
				case fault.Is(err, fault.Limited):
					limited.Add(1)
				case fault.Is(err, fault.Unavailable):
					continue // too busy is an answer, and asks to come again
				default:
					t.Error(err)
				}
				return
			}
		})
	}
	all.Wait()
	if ok.Load() != 5 || limited.Load() != 11 {
		t.Errorf("%d allowed, %d refused", ok.Load(), limited.Load())
	}
}

func TestCountersHoldNoKeysAndAreSwept(t *testing.T) {
	w := kittest.New(t)
	if err := take(t, w, "mail/ada@example.org", 5, time.Minute); err != nil {
		t.Fatal(err)
	}
	var id string
	if err := w.DB.QueryRow(t.Context(), `SELECT id FROM counters`).Scan(&id); err != nil || strings.Contains(id, "ada") {
		t.Errorf("stored as %q (%v)", id, err)
	}
	rows := func() (n int) {
		w.Do(t, func(tx *db.Tx) error { return limit.Sweep(t.Context(), tx) })
		if err := w.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM counters`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if rows() != 1 {
		t.Error("a running window was swept")
	}
	w.Pass(time.Minute)
	if rows() != 0 {
		t.Error("a window that is over was kept")
	}
}

func TestBuckets(t *testing.T) {
	b := limit.NewBuckets(2, 3, 10)
	now := time.UnixMilli(0)
	for i := range 3 {
		if ok, _ := b.Allow("a", now); !ok {
			t.Fatalf("token %d of a full bucket", i)
		}
	}
	ok, wait := b.Allow("a", now)
	if ok || wait <= 490*time.Millisecond || wait > 501*time.Millisecond {
		t.Errorf("an empty bucket: %v, %s", ok, wait)
	}
	if ok, _ := b.Allow("b", now); !ok {
		t.Error("another key paid for the first")
	}
	if ok, _ := b.Allow("a", now.Add(-time.Hour)); ok {
		t.Error("a clock that went back gave a token")
	}
	if ok, _ := b.Allow("a", now.Add(wait)); !ok {
		t.Error("who came back when told was refused")
	}
}

func TestBucketsForgetTheLeastUsed(t *testing.T) {
	b := limit.NewBuckets(0.001, 1, 3)
	now := time.UnixMilli(0)
	for _, key := range []string{"a", "b", "c"} {
		b.Allow(key, now)
	}
	b.Allow("a", now) // used; b is now the oldest
	b.Allow("d", now)
	if ok, _ := b.Allow("a", now); ok {
		t.Error("a key in use was forgotten")
	}
	if ok, _ := b.Allow("b", now); !ok {
		t.Error("the least used key was kept")
	}
}

// However the calls fall, no key gets more than its burst and what has flowed
// in since.
func TestBucketsNeverGiveTooMuch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.1, 50).Draw(t, "rate")
		burst := rapid.IntRange(1, 20).Draw(t, "burst")
		b := limit.NewBuckets(rate, burst, 5)
		now := time.UnixMilli(0)
		allowed := 0
		for _, gap := range rapid.SliceOfN(rapid.IntRange(0, 2000), 1, 200).Draw(t, "gaps") {
			now = now.Add(time.Duration(gap) * time.Millisecond)
			if ok, wait := b.Allow("k", now); ok {
				allowed++
			} else if wait <= 0 {
				t.Fatalf("refused, and told to wait %s", wait)
			}
		}
		if most := float64(burst) + now.Sub(time.UnixMilli(0)).Seconds()*rate; float64(allowed) > most+1e-6 {
			t.Fatalf("%d allowed, at most %f", allowed, most)
		}
	})
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7":              "192.0.2.7",
		"::ffff:192.0.2.7":       "192.0.2.7",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::/64",
		"2001:db8:1:2::9":        "2001:db8:1:2::/64",
		"fe80::1%eth0":           "fe80::/64",
		"":                       "unknown",
		"example.org":            "unknown",
		"192.0.2.7:443":          "unknown",
		"192.0.2.7, 198.51.100.": "unknown",
	} {
		if got := limit.Address(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestSlots(t *testing.T) {
	s := limit.NewSlots(2, 3)
	a1, ok1 := s.Acquire("a")
	_, ok2 := s.Acquire("a")
	_, ok3 := s.Acquire("a")
	_, ok4 := s.Acquire("b")
	_, ok5 := s.Acquire("c")
	if !ok1 || !ok2 || ok3 || !ok4 || ok5 {
		t.Errorf("%v %v %v %v %v", ok1, ok2, ok3, ok4, ok5)
	}
	a1()
	a1() // twice is once
	if _, ok := s.Acquire("a"); !ok {
		t.Error("a released slot is not free")
	}
	if release, ok := s.Acquire("c"); ok {
		t.Error("releasing twice made a slot")
	} else {
		release() // does nothing
	}
}

func TestSlotsAtOnce(t *testing.T) {
	s := limit.NewSlots(4, 8)
	var held, most atomic.Int64
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			for range 200 {
				release, ok := s.Acquire(fmt.Sprint(i % 3))
				if !ok {
					continue
				}
				n := held.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				held.Add(-1)
				release()
			}
		})
	}
	all.Wait()
	if most.Load() > 8 || held.Load() != 0 {
		t.Errorf("%d at once, %d still held", most.Load(), held.Load())
	}
	for i := range 8 {
		if _, ok := s.Acquire(fmt.Sprint(i % 2)); !ok {
			t.Errorf("slot %d was lost", i)
		}
	}
}
