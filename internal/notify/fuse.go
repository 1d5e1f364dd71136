package notify

import (
	"sync"
	"time"
)

const (
	blowsAfter  = 3               // failures in a row
	slowAfter   = time.Second     // a send that takes longer is held against the provider while it lasts
	blownFor    = 5 * time.Second // then one send is let through to see
	mendingFor  = time.Minute     // after the first that worked
	retryShare  = 0.6             // retries let through for each new message while mending
	retryFloor  = 0.1             // and each second
	retrySaved  = 2.0             // at most so many saved up: they go at once
	youngerThan = time.Second     // a message's first attempt; the queue waits at least so long between two
	maxRoutes   = 1000
)

// fuses keep a dead provider from holding up the queue, and us from trampling
// one that gets up again (security K8). After three failures in a row on a
// route, or while three sends hang on it, sends on it fail at once, so that whoever waits is told at once, and
// one each five seconds is tried. When one works, new messages go out as they
// come, and those that were put off only within a budget that keeps the whole
// below twice the usual rate. The zero value is ready. It lives in memory; each
// node learns by itself.
type fuses struct {
	mu     sync.Mutex
	routes map[string]*fuse
}

type fuse struct {
	blows  int
	slow   int       // sends that hang now
	probe  time.Time // blown: when the next send is let through
	mended time.Time // mending: until when
	budget float64   // mending: retries that may go
	fed    time.Time // mending: when budget was last fed
}

// allow reports whether a message may be sent on route now.
func (f *fuses) allow(route string, queued, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.routes[route]
	switch {
	case s == nil:
		return true
	case s.slow >= blowsAfter:
		return false
	case s.blows >= blowsAfter:
		if now.Before(s.probe) {
			return false
		}
		s.probe = now.Add(blownFor)
		return true
	case s.mended.IsZero():
		return true
	case !now.Before(s.mended):
		f.forget(route, s)
		return true
	}
	s.budget = min(s.budget+retryFloor*now.Sub(s.fed).Seconds(), retrySaved)
	s.fed = now
	if now.Sub(queued) < youngerThan {
		s.budget = min(s.budget+retryShare, retrySaved)
		return true
	}
	if s.budget < 1 {
		return false
	}
	s.budget--
	return true
}

// begin is called before a send on route, and what it returns after it, with
// whether the provider was down.
func (f *fuses) begin(route string) (end func(down bool, now time.Time)) {
	var counted, ended bool // f.mu is held
	timer := time.AfterFunc(slowAfter, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !ended {
			counted = true
			f.at(route).slow++
		}
	})
	return func(down bool, now time.Time) {
		timer.Stop()
		f.mu.Lock()
		defer f.mu.Unlock()
		ended = true
		f.report(route, down, now)
		s := f.routes[route]
		if s == nil || !counted {
			return
		}
		// In the same breath as the report: in between, nobody slips through.
		if s.slow = max(0, s.slow-1); *s == (fuse{}) {
			delete(f.routes, route)
		}
	}
}

// report counts the end of a send. f.mu is held.
func (f *fuses) report(route string, down bool, now time.Time) {
	if down {
		s := f.at(route)
		s.blows++
		s.probe = now.Add(blownFor)
		return
	}
	s := f.routes[route]
	switch {
	case s == nil:
	case s.blows >= blowsAfter:
		*s = fuse{slow: s.slow, mended: now.Add(mendingFor), fed: now}
	case s.mended.IsZero():
		f.forget(route, s)
	default:
		s.blows = 0
	}
}

// at returns the fuse of a route. f.mu is held.
func (f *fuses) at(route string) *fuse {
	if s := f.routes[route]; s != nil {
		return s
	}
	if f.routes == nil || len(f.routes) >= maxRoutes {
		f.routes = map[string]*fuse{} // routes are partly users' input
	}
	f.routes[route] = &fuse{}
	return f.routes[route]
}

// forget makes a fuse as new. f.mu is held.
func (f *fuses) forget(route string, s *fuse) {
	if s.slow > 0 {
		*s = fuse{slow: s.slow}
		return
	}
	delete(f.routes, route)
}
