package notify

import (
	"sync"
	"time"
)

const (
	blowsAfter = 3               // failures in a row
	blownFor   = 5 * time.Second // then one send is let through to see
	maxRoutes  = 1000
)

// fuses keep a dead provider from holding up the queue: after three failures in
// a row on a route, sends on it fail at once, so that people waiting are told at
// once, and one each five seconds is tried. The zero value is ready. It lives in
// memory; each node learns by itself.
type fuses struct {
	mu     sync.Mutex
	routes map[string]*fuse
}

type fuse struct {
	blows int
	until time.Time
}

// wait is how long a send on route must be put off; 0 lets it through.
func (f *fuses) wait(route string, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.routes[route]
	if s == nil || s.blows < blowsAfter {
		return 0
	}
	if left := s.until.Sub(now); left > 0 {
		return left
	}
	s.until = now.Add(blownFor) // this one is the probe
	return 0
}

// report says whether the provider of a route was down.
func (f *fuses) report(route string, down bool, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !down {
		delete(f.routes, route)
		return
	}
	s := f.routes[route]
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
	s.until = now.Add(blownFor)
}
