package journey_test

import (
	"testing"

	"github.com/watchword-auth/watchword/internal/journey"
)

// BenchmarkRun is a whole run of two questions: three moves, each a transaction.
func BenchmarkRun(b *testing.B) {
	h := newHouse(b, graph("two", "f", map[string]journey.Node{"f": formOf("f", "g"), "g": formOf("g", "done"), "done": done}))
	b.ReportAllocs()
	for b.Loop() {
		k := h.start(b, "two")
		k.say(b, "", text("one"))
		k.say(b, "", text("two"))
		if k.End == nil || !k.End.OK {
			b.Fatal(k.Problem)
		}
	}
}
