// Package lockout decides who may try again. It is a pure function of a policy,
// what happened before, and the time; authn stores the state. It never sleeps,
// reads no clock and touches no database.
//
// The algorithm is authenticators.md 11.4 with its two traps closed: the window
// is anchored at the later of the last failure and the end of the last lock, and
// a hard cap on consecutive failures (NIST SP 800-63B-4 3.2.2) never expires.
package lockout

import (
	"strconv"
	"time"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
)

// Policy says when failures lock, and for how long. Its zero value is the
// strictest: the hard cap of one.
type Policy struct {
	// WindowMinutes is how long a failure is remembered after the last one, or
	// after the end of the lock it led to. 1 to 525600.
	WindowMinutes int `json:"window_minutes"`
	// Tiers lock longer as failures accumulate; one more failure after the last
	// tier locks for good. Empty: only the hard cap locks.
	Tiers []Tier `json:"tiers"`
	// Simple makes the first tier the only one: when its lock ends the count
	// starts anew and nothing locks for good but the hard cap.
	Simple bool `json:"simple"`
	// HardCap is how many failures without a success lock for good, whatever
	// the window.
	HardCap int `json:"hard_cap"`
}

// Tier locks for Minutes when Failures consecutive failures have been counted.
type Tier struct {
	Failures int `json:"failures"`
	Minutes  int `json:"minutes"`
}

// Fields are the settings by which every method offers its policy.
func Fields(hardCap int, tiers ...Tier) []form.Field {
	rows := make([]any, 0, len(tiers))
	for _, t := range tiers {
		rows = append(rows, map[string]any{"failures": t.Failures, "minutes": t.Minutes})
	}
	return []form.Field{
		form.Number("window_minutes", "Counting window in minutes", form.Default(15), form.Between(1, 525600),
			form.Help("A failure is forgotten when this long passes without another.")),
		form.List("tiers", "Lockout tiers", form.New(
			form.Number("failures", "Failed attempts", form.Required, form.Between(1, 100)),
			form.Number("minutes", "Lockout in minutes", form.Required, form.Between(1, 525600)),
		), form.Between(0, 10), form.Default(rows), form.Help("Consecutive failures in total; one more after the last tier locks for good.")),
		form.Boolean("simple", "One lockout only", form.Default(false), form.Help("Only the first tier counts, and the count starts anew when its lock ends.")),
		form.Number("hard_cap", "Failures without a success that lock for good", form.Default(hardCap), form.Between(1, hardCap)),
	}
}

// Check returns fault.Invalid if the tiers do not rise.
func (p Policy) Check() error {
	last := Tier{}
	for i, t := range p.Tiers {
		if t.Failures <= last.Failures {
			return fault.At(fault.New(fault.Invalid, "Lockout tiers, row %d: failed attempts must be more than in the row before.", i+1), "tiers."+strconv.Itoa(i)+".failures")
		}
		last = t
	}
	return nil
}

// State is what is remembered of one subject. Its zero value is a subject
// nothing is known against.
type State struct {
	Failures  int       `json:"failures,omitempty"`
	Since     int       `json:"since,omitempty"` // failures since the last success, never forgotten
	Last      time.Time `json:"last,omitzero"`
	Until     time.Time `json:"until,omitzero"`
	Permanent bool      `json:"permanent,omitempty"`
	Manual    bool      `json:"manual,omitempty"`  // locked by a person
	Pending   int       `json:"pending,omitempty"` // charges whose attempts are being judged
}

// judgement is how long an attempt is taken to be judged; after that, whoever
// judged it is gone.
const judgement = 10 * time.Second

// Undecided reports whether a lock is owed to attempts that are still being
// judged: when one of them is right, there is none.
func (s State) Undecided(now time.Time) bool {
	return s.Pending > 0 && !s.Manual && now.Sub(s.Last) < judgement
}

// Begun is the state while one more charged attempt is being judged, Done when
// one was.
func (s State) Begun() State { s.Pending++; return s }
func (s State) Done() State  { s.Pending = max(0, s.Pending-1); return s }

// Locked returns how long nobody may try, as of now; forever is an hour at a
// time, so that clients come back to ask.
func (s State) Locked(now time.Time) (wait time.Duration, locked bool) {
	if s.Manual || s.Permanent {
		return time.Hour, true
	}
	if now.Before(s.Until) {
		return s.Until.Sub(now), true
	}
	return 0, false
}

// Charge counts an attempt as failed before it is made, so that a hundred
// guesses made at once cost a hundred. If the subject is locked it returns the
// state unchanged and the wait: such an attempt must not be judged.
func (p Policy) Charge(s State, now time.Time) (State, time.Duration) {
	if wait, locked := s.Locked(now); locked {
		return s, wait
	}
	s = p.forget(s, now)
	if now.Sub(s.Last) >= judgement { // whoever judged them never said what they found
		s.Pending = 0
	}
	s.Failures++
	s.Since++
	s.Last = now
	s.Until = time.Time{}
	if t, ok := p.tier(s.Failures); ok {
		s.Until = now.Add(time.Duration(t.Minutes) * time.Minute)
	}
	s.Permanent = p.exhausted(s.Failures) || s.Since >= max(p.HardCap, 1)
	return s, 0
}

// Succeed is the state after a right answer. A lock that a person set stays.
func (p Policy) Succeed(s State) State { return State{Manual: s.Manual, Pending: s.Pending} }

// Refund takes back one charge, made at the time at, for an attempt that was
// not judged. A lock that later charges caused stays.
func (p Policy) Refund(s State, at time.Time) State {
	s.Failures = max(0, s.Failures-1)
	s.Since = max(0, s.Since-1)
	if s.Last.Equal(at) { // nobody was charged since: the lock, if any, was this charge's
		s.Until = time.Time{}
		s.Permanent = p.exhausted(s.Failures) || s.Since >= max(p.HardCap, 1)
	}
	return s
}

func (p Policy) forget(s State, now time.Time) State {
	if p.Simple && !s.Until.IsZero() {
		s.Failures, s.Until = 0, time.Time{}
		return s
	}
	anchor := s.Last
	if s.Until.After(anchor) {
		anchor = s.Until
	}
	if w := time.Duration(p.WindowMinutes) * time.Minute; w > 0 && !s.Last.IsZero() && now.Sub(anchor) >= w {
		s.Failures, s.Until = 0, time.Time{}
	}
	return s
}

func (p Policy) tier(failures int) (Tier, bool) {
	for i, t := range p.Tiers {
		if t.Failures == failures && (i == 0 || !p.Simple) {
			return t, true
		}
	}
	return Tier{}, false
}

func (p Policy) exhausted(failures int) bool {
	return !p.Simple && len(p.Tiers) > 0 && failures > p.Tiers[len(p.Tiers)-1].Failures
}
