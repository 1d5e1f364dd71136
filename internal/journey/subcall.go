package journey

import (
	"context"
	"fmt"
	"strings"

	"github.com/watchword-auth/watchword/internal/db"
)

// subCall asks the engine to run another journey and come back.
type subCall struct {
	journey string
	input   map[string]any
	output  string
}

// Call runs another journey of kind sub: its good end is Success, any other
// Failure. It sees input under the name "input" and none of the caller's
// variables; what it sets under "output" the caller finds under the name given.
func Call(journey string, input map[string]any, output string) Next {
	return Next{sub: &subCall{journey, input, output}}
}

const maxDepth = 8

func (e *Engine) call(ctx context.Context, tx *db.Tx, r *run, c subCall) error {
	if len(r.Frames) >= maxDepth {
		return fmt.Errorf("journey %s: sub-journeys deeper than %d", r.frame().Journey, maxDepth)
	}
	g, err := e.newest(ctx, tx, r.Tenant, c.journey)
	if err != nil {
		return fmt.Errorf("sub-journey %s: %w", c.journey, err)
	}
	if g.Kind != KindSub {
		return fmt.Errorf("sub-journey %s: is of kind %s", c.journey, g.Kind)
	}
	r.Frames = append(r.Frames, frame{Journey: c.journey, Version: g.version, Vars: map[string]any{"input": c.input}, Output: c.output})
	r.enter(g.Start)
	return nil
}

// back leaves a sub-journey.
func (e *Engine) back(r *run, end End) {
	sub := r.frame()
	r.Frames = r.Frames[:len(r.Frames)-1]
	caller := r.frame()
	outcome := Failure
	if end.OK {
		outcome = Success
		if sub.Output != "" {
			caller.Vars[sub.Output] = sub.Vars["output"]
		}
	}
	r.Memo, r.Prompt = []byte(db.Text(returned{outcome, end.Reason})), nil
	r.Visits++
}

// returned is the memo of a sub-journey node whose journey has ended.
type returned struct {
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
}

// Returned reports how the journey that Call ran has ended, once it has.
func (x *Exec) Returned() (o Outcome, reason string, ok bool) {
	var m returned
	ok, err := x.Memo(&m)
	return m.Outcome, m.Reason, ok && err == nil && strings.TrimSpace(string(m.Outcome)) != ""
}
