package token

import (
	"fmt"
	"sync"
	"testing"
)

func TestSeenIsBounded(t *testing.T) {
	var s seen
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			for i := range maxSeen / 4 {
				s.add(mark("key", fmt.Sprint(n, "/", i)))
			}
		})
	}
	all.Wait()
	last := mark("key", "last")
	s.add(last)
	if !s.has(last) || s.has(mark("other", "last")) {
		t.Error("the last is not there, or is there under another key")
	}
	if len(s.young)+len(s.old) > 2*maxSeen {
		t.Errorf("%d and %d are held", len(s.young), len(s.old))
	}
}
