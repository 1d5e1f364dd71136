package server_test

import (
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// BenchmarkSignIn is a whole approved sign-in, both clients in the process. For
// figures of the server alone run `make bench`; this one is for profiles.
func BenchmarkSignIn(b *testing.B) {
	w := newWorld(b)
	p := w.registered(b, "grace@example.org", 0)
	for i := 0; b.Loop(); i++ {
		w.Pass(11 * time.Minute)
		br, r := w.asked(b, "grace@example.org")
		q := pending(b, p)
		if err := p.Approve(b.Context(), q.ID, r.Text("number")); err != nil {
			b.Fatal(err)
		}
		if end := ended(b, br); end.Type != simulator.Success {
			b.Fatalf("%+v", end)
		}
	}
}
