package kit_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/watchword-auth/watchword/internal/kit"
)

func TestCrew(t *testing.T) {
	for _, c := range []*kit.Crew{nil, kit.NewCrew(2)} {
		var n atomic.Int64
		var wg sync.WaitGroup
		for range 64 { // more than the crew, and each asks again
			wg.Go(func() { c.Do(func() { c.Do(func() { n.Add(1) }) }) })
		}
		wg.Wait()
		if n.Load() != 64 {
			t.Errorf("%d of 64 ran", n.Load())
		}
		func() {
			defer func() {
				if recover() != "boom" {
					t.Error("the panic did not reach the caller")
				}
			}()
			c.Do(func() { panic("boom") })
		}()
		c.Close()
	}
}
