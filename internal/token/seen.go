package token

import (
	"crypto/sha256"
	"sync"
)

// seen remembers which tokens had a good signature, because the same one is shown
// again and again and checking costs more than all the rest of a request. It
// holds fingerprints only, of the exact bytes under the exact key; what a token
// says, and whether its key still counts, is judged every time. The zero value is
// empty; it is safe for concurrent use.
type seen struct {
	mu         sync.Mutex
	young, old map[fingerprint]struct{}
}

type fingerprint [sha256.Size]byte

// maxSeen is how many fingerprints a generation holds; there are two.
const maxSeen = 1 << 14

func mark(keyID, jwt string) fingerprint { return sha256.Sum256([]byte(keyID + "\x00" + jwt)) }

func (s *seen) has(f fingerprint) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.young[f]; ok {
		return true
	}
	_, ok := s.old[f]
	return ok
}

func (s *seen) add(f fingerprint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= maxSeen {
		s.young, s.old = map[fingerprint]struct{}{}, s.young
	}
	s.young[f] = struct{}{}
}
