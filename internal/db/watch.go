package db

import "sync"

// Watch is a subscription to topics. C carries one token after any of them was
// signalled, however often that happened; what changed must be read from the
// database. Close it when done.
type Watch struct {
	C      <-chan struct{}
	c      chan struct{}
	hub    *hub
	topics []string
}

// Watch subscribes to topics. Subscribe first, then read, then wait on C: so no
// change is missed. A signal from another node arrives within one second.
func (d *DB) Watch(topics ...string) *Watch { return d.hub.watch(topics) }

// Close ends the subscription.
func (w *Watch) Close() { w.hub.drop(w) }

type hub struct {
	mu      sync.Mutex
	waiters map[string]map[*Watch]struct{}
}

func (h *hub) watch(topics []string) *Watch {
	c := make(chan struct{}, 1)
	w := &Watch{C: c, c: c, hub: h, topics: topics}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiters == nil {
		h.waiters = map[string]map[*Watch]struct{}{}
	}
	for _, t := range topics {
		if h.waiters[t] == nil {
			h.waiters[t] = map[*Watch]struct{}{}
		}
		h.waiters[t][w] = struct{}{}
	}
	return w
}

// topics returns what is waited for.
func (h *hub) topics() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	topics := make([]string, 0, len(h.waiters))
	for t := range h.waiters {
		topics = append(topics, t)
	}
	return topics
}

func (h *hub) drop(w *Watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range w.topics {
		delete(h.waiters[t], w)
		if len(h.waiters[t]) == 0 {
			delete(h.waiters, t)
		}
	}
}

func (h *hub) wake(topics []string) {
	if len(topics) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range topics {
		for w := range h.waiters[t] {
			select {
			case w.c <- struct{}{}:
			default: // it has a token already
			}
		}
	}
}
