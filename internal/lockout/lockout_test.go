package lockout_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword/internal/lockout"
)

var start = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }

// fail charges a failure at a minute and returns the wait that refused it, in
// minutes, or 0 if it was judged.
func fail(p lockout.Policy, s *lockout.State, minute int) int {
	next, wait := p.Charge(*s, at(minute))
	*s = next
	return int(wait / time.Minute)
}

// TestWorkedExample is the example of authenticators.md 11.4.
func TestWorkedExample(t *testing.T) {
	p := lockout.Policy{WindowMinutes: 15, HardCap: 100, Tiers: []lockout.Tier{{3, 5}, {5, 30}, {8, 120}}}
	var s lockout.State
	for _, m := range []int{0, 1, 2} {
		if w := fail(p, &s, m); w != 0 {
			t.Fatalf("minute %d: refused for %d", m, w)
		}
	}
	for _, step := range []struct{ minute, wait int }{{3, 4}, {7, 0}, {8, 0}, {9, 29}, {38, 0}, {39, 0}, {40, 0}, {41, 119}, {160, 0}, {161, 60}, {9999, 60}} {
		if w := fail(p, &s, step.minute); w != step.wait {
			t.Fatalf("minute %d: wait %d, want %d (%+v)", step.minute, w, step.wait, s)
		}
	}
	if !s.Permanent {
		t.Error("the failure after the last tier did not lock for good")
	}
}

// TestWindowDoesNotRunOutWhileLocked is the first trap of 11.2: a lock longer
// than the window must not wipe the count.
func TestWindowDoesNotRunOutWhileLocked(t *testing.T) {
	p := lockout.Policy{WindowMinutes: 15, HardCap: 100, Tiers: []lockout.Tier{{2, 30}, {4, 60}}}
	var s lockout.State
	fail(p, &s, 0)
	fail(p, &s, 1)
	if fail(p, &s, 32); s.Failures != 3 {
		t.Errorf("failures %d after a lock longer than the window, want 3", s.Failures)
	}
}

// TestHardCapOutlivesTheWindow is the second trap: two guesses a window, for
// ever, end at the cap.
func TestHardCapOutlivesTheWindow(t *testing.T) {
	p := lockout.Policy{WindowMinutes: 15, HardCap: 20, Tiers: []lockout.Tier{{3, 5}}}
	var s lockout.State
	judged := 0
	for m := 0; m < 10_000; m += 16 {
		for range 2 {
			if fail(p, &s, m) == 0 {
				judged++
			}
		}
	}
	if judged != 20 {
		t.Errorf("%d guesses were judged, want 20", judged)
	}
}

func TestSimpleStartsAnew(t *testing.T) {
	p := lockout.Policy{WindowMinutes: 60, HardCap: 100, Simple: true, Tiers: []lockout.Tier{{2, 15}, {3, 600}}}
	var s lockout.State
	fail(p, &s, 0)
	fail(p, &s, 1)
	if w := fail(p, &s, 2); w != 14 {
		t.Fatalf("wait %d, want 14", w)
	}
	if fail(p, &s, 16); s.Failures != 1 || s.Permanent {
		t.Errorf("after the lock: %+v, want a fresh count", s)
	}
}

func TestSuccessKeepsAManualLock(t *testing.T) {
	p := lockout.Policy{HardCap: 5}
	if s := p.Succeed(lockout.State{Failures: 3, Manual: true}); !s.Manual || s.Failures != 0 {
		t.Errorf("%+v", s)
	}
}

func TestZeroPolicyIsStrict(t *testing.T) {
	var p lockout.Policy
	var s lockout.State
	if fail(p, &s, 0); fail(p, &s, 1) == 0 {
		t.Error("the zero policy judged a second failure")
	}
}

// TestAgainstModel compares with a model that keeps the whole history.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := lockout.Policy{WindowMinutes: rapid.IntRange(1, 40).Draw(t, "window"), HardCap: rapid.IntRange(1, 30).Draw(t, "cap")}
		for n, f := rapid.IntRange(0, 4).Draw(t, "tiers"), 0; n > 0; n-- {
			f += rapid.IntRange(1, 3).Draw(t, "step")
			p.Tiers = append(p.Tiers, lockout.Tier{Failures: f, Minutes: rapid.IntRange(1, 60).Draw(t, "minutes")})
		}
		var s lockout.State
		m := model{p: p}
		for minute := 0; minute < 2000; minute += rapid.IntRange(0, 50).Draw(t, "gap") {
			right := rapid.IntRange(0, 9).Draw(t, "right") == 0
			next, wait := p.Charge(s, at(minute))
			if judged := m.try(minute, right); judged != (wait == 0) {
				t.Fatalf("minute %d: judged %v, model says %v (%+v)", minute, wait == 0, judged, s)
			}
			if s = next; wait == 0 && right {
				s = p.Succeed(next)
			}
			if minute > 1990 || len(m.tries) > 200 {
				return
			}
		}
	})
}

// model decides from the history of tries since the last success alone.
type model struct {
	p     lockout.Policy
	tries []int // minutes of judged failures since the last success
}

func (m *model) try(minute int, right bool) bool {
	_, until := m.replay()
	if until < 0 || minute < until || len(m.tries) >= m.p.HardCap && len(m.tries) > 0 {
		return false
	}
	if right {
		m.tries = nil
		return true
	}
	m.tries = append(m.tries, minute)
	return true
}

// replay walks the history: how many consecutive failures count at its end, and
// until when the last lock holds (-1: for good).
func (m *model) replay() (count, until int) {
	last := 0
	for i, at := range m.tries {
		anchor := max(last, until)
		if i > 0 && at-anchor >= m.p.WindowMinutes {
			count = 0
		}
		count++
		last, until = at, 0
		for j, tier := range m.p.Tiers {
			if tier.Failures == count {
				until = at + tier.Minutes
			}
			if j == len(m.p.Tiers)-1 && count > tier.Failures {
				return count, -1
			}
		}
	}
	return count, until
}

// TestUndecided: a lock is undecided while attempts are being judged that may turn
// out right, and no longer: not once they were judged, nor when nobody judges any
// more, nor when a person locked.
func TestUndecided(t *testing.T) {
	p := lockout.Policy{WindowMinutes: 15, HardCap: 100, Tiers: []lockout.Tier{{Failures: 2, Minutes: 1}}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	charge := func(s lockout.State) lockout.State {
		t.Helper()
		next, wait := p.Charge(s, now)
		if wait > 0 {
			t.Fatalf("locked: %+v", s)
		}
		return next.Begun()
	}
	s := charge(charge(lockout.State{}))
	if _, locked := s.Locked(now); !locked || !s.Undecided(now) {
		t.Errorf("two of two are being judged: %+v", s)
	}
	if manual := s; true {
		manual.Manual = true
		if manual.Undecided(now) {
			t.Error("what a person locked is undecided")
		}
	}
	if s.Undecided(now.Add(10 * time.Second)) {
		t.Error("undecided after whoever judged is gone")
	}
	if one := s.Done(); !one.Undecided(now) || one.Done().Undecided(now) {
		t.Errorf("one, and none, is being judged: %+v", one)
	}
	if right := p.Succeed(s).Done(); right != (lockout.State{Pending: 1}) {
		t.Errorf("one was right: %+v", right)
	}
	now = now.Add(2 * time.Minute)
	if s = charge(s.Done()); s.Pending != 1 {
		t.Errorf("one that nobody judges any more is counted: %+v", s)
	}
}
