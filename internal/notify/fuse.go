package notify

import (
	"sync"
	"time"
)

const (
	blowsAfter  = 3               // failures in a row
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
// route, sends on it fail at once, so that whoever waits is told at once, and
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
	case s.blows >= blowsAfter:
		if now.Before(s.probe) {
			return false
		}
		s.probe = now.Add(blownFor)
		return true
	case s.mended.IsZero():
		return true
	case !now.Before(s.mended):
		delete(f.routes, route)
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

// report says whether the provider of a route was down.
func (f *fuses) report(route string, down bool, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.routes[route]
	if !down {
		switch {
		case s == nil:
		case s.blows >= blowsAfter:
			*s = fuse{mended: now.Add(mendingFor), fed: now}
		case s.mended.IsZero():
			delete(f.routes, route)
		default:
			s.blows = 0
		}
		return
	}
	if s == nil {
		if len(f.routes) >= maxRoutes {
			clear(f.routes) // routes are partly users' input
		}
		if f.routes == nil {
			f.routes = map[string]*fuse{}
		}
		s = &fuse{}
		f.routes[route] = s
	}
	s.blows++
	s.probe = now.Add(blownFor)
}
