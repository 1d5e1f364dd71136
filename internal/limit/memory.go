package limit

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Buckets are token buckets of one shape, one for each key. They live in
// memory: each node counts for itself. At most size keys are kept; the one
// unused for longest gives way, and would begin full again. Safe for concurrent
// use.
type Buckets struct {
	rate  float64 // tokens a second
	burst float64
	size  int

	mu   sync.Mutex
	keys map[string]*list.Element
	used *list.List // of *bucket, last used in front
}

type bucket struct {
	key    string
	tokens float64
	at     time.Time
}

// NewBuckets returns buckets that hold burst tokens and gain perSecond, for at
// most size keys.
func NewBuckets(perSecond float64, burst, size int) *Buckets {
	if perSecond <= 0 || burst < 1 || size < 1 {
		panic("limit: buckets that never allow anything")
	}
	return &Buckets{rate: perSecond, burst: float64(burst), size: size, keys: map[string]*list.Element{}, used: list.New()}
}

// Allow takes a token of key. If there is none it reports false and how long
// until there is one. A clock that goes back gives no tokens.
func (b *Buckets) Allow(key string, now time.Time) (bool, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.find(key, now)
	if gone := now.Sub(k.at); gone > 0 {
		k.tokens = min(b.burst, k.tokens+gone.Seconds()*b.rate)
		k.at = now
	}
	if k.tokens >= 1 {
		k.tokens--
		return true, 0
	}
	// A nanosecond more, so that coming back then is surely late enough.
	return false, time.Duration((1-k.tokens)/b.rate*float64(time.Second)) + 1
}

func (b *Buckets) find(key string, now time.Time) *bucket {
	if e, ok := b.keys[key]; ok {
		b.used.MoveToFront(e)
		return e.Value.(*bucket)
	}
	if b.used.Len() >= b.size {
		last := b.used.Back()
		delete(b.keys, last.Value.(*bucket).key)
		b.used.Remove(last)
	}
	k := &bucket{key: key, tokens: b.burst, at: now}
	b.keys[key] = b.used.PushFront(k)
	return k
}

// Address returns what to count an address under: an IPv4 address itself, an
// IPv6 address by its /64, which is what one household gets. Anything else is
// counted together.
func Address(s string) string {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return "unknown"
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return "unknown"
	}
	return p.String()
}

// Slots bound how many holds a key, and all keys together, may have at once.
// Safe for concurrent use.
type Slots struct {
	perKey, total int

	mu   sync.Mutex
	held map[string]int
	all  int
}

// NewSlots returns slots for perKey holds of one key and total of all.
func NewSlots(perKey, total int) *Slots {
	return &Slots{perKey: perKey, total: total, held: map[string]int{}}
}

// Acquire takes a slot of key, or reports false at once when none is free. The
// holder calls release when done; calling it again does nothing.
func (s *Slots) Acquire(key string) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[key] >= s.perKey || s.all >= s.total {
		return func() {}, false
	}
	s.held[key]++
	s.all++
	return sync.OnceFunc(func() { s.release(key) }), true
}

// Held is how many holds there are now.
func (s *Slots) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

func (s *Slots) release(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.held[key]--; s.held[key] == 0 {
		delete(s.held, key)
	}
}
