package scenario

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/journey"
)

// way is an edge of a journey.
type way struct {
	Journey, Node, Outcome string
}

// Walked is which ways the cases went.
type Walked map[way]bool

// add notes the ways of all runs since the case began.
func (w Walked) add(ctx context.Context, q db.Q, tenant apps.TenantID) error {
	done, err := journey.Records(ctx, q, tenant, journey.Filter{Limit: 1000})
	if err != nil {
		return err
	}
	for _, rec := range done {
		if rec.Started.Before(begins) {
			continue // of the people, before the case
		}
		full, err := journey.FindRecord(ctx, q, tenant, rec.ID)
		if err != nil {
			return err
		}
		w.note(full)
	}
	open, err := journey.OpenRuns(ctx, q, tenant, 1000)
	for _, rec := range open {
		w.note(rec)
	}
	return err
}

func (w Walked) note(rec journey.Record) {
	for _, e := range rec.Trace {
		if e.What != journey.Left || e.Outcome == "" {
			continue
		}
		in := e.Journey
		if in == "" {
			in = rec.Journey
		}
		w[way{in, e.Node, e.Outcome}] = true
	}
}

// Print says of every journey how many of its ways were walked, and names those
// that were not.
func (w Walked) Print(out io.Writer, js map[string]journey.Graph) {
	for _, id := range slices.Sorted(maps.Keys(js)) {
		var all int
		var missed []string
		g := js[id]
		for _, node := range slices.Sorted(maps.Keys(g.Nodes)) {
			for _, outcome := range slices.Sorted(maps.Keys(g.Nodes[node].Next)) {
				if all++; !w[way{id, node, string(outcome)}] {
					missed = append(missed, fmt.Sprintf("%s: %s", node, outcome))
				}
			}
		}
		if len(missed) == all {
			fmt.Fprintf(out, "%s: no case goes there\n", id)
			continue
		}
		fmt.Fprintf(out, "%s: %d of %d ways\n", id, all-len(missed), all)
		for _, m := range missed {
			fmt.Fprintf(out, "      not walked: %s\n", m)
		}
	}
}
