package journey

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/audit"
)

// What happened at a node, as an Event says it.
const (
	Entered  = "entered"
	Asked    = "asked"
	Answered = "answered" // by the client; woken when what it waited for came
	Woken    = "woken"
	Repeated = "refused" // the answer, and the same is asked again
	Left     = "left"
	Over     = "ended"
)

// Event is one thing that happened in a run. In and Out of a run that an
// operator tries hold values, without secrets; of any other run they are absent,
// and nothing that a person typed is in its trace.
type Event struct {
	Seq     int            `json:"seq"`
	At      time.Time      `json:"at"`
	Journey string         `json:"journey,omitempty"` // of a sub-journey
	Node    string         `json:"node"`
	Kind    string         `json:"kind"`
	What    string         `json:"what"`
	Outcome string         `json:"outcome,omitempty"` // of an edge; the option of an answer; the kind of a prompt
	In      map[string]any `json:"in,omitempty"`
	Out     map[string]any `json:"out,omitempty"`
	Problem string         `json:"problem,omitempty"` // the fault's word, or the reason of an end
}

// maxEvents bounds what a run remembers; its end is always among it.
const maxEvents = 300

// noted appends an event at the node where the run stands.
func (r *run) noted(x *Exec, what, outcome, problem string) *Event {
	if len(r.Trace) >= maxEvents && what != Over {
		return &Event{}
	}
	e := Event{Seq: r.Seq, At: x.Now(), Node: r.frame().Node, Kind: x.node.Kind, What: what, Outcome: outcome, Problem: problem}
	if len(r.Frames) > 1 {
		e.Journey = r.frame().Journey
	}
	r.Seq++
	r.Trace = append(r.Trace, e)
	return &r.Trace[len(r.Trace)-1]
}

// called notes how the step of a node was called: entered, or with an answer.
func (r *run) called(x *Exec, a *Answer) {
	switch {
	case a == nil:
		r.noted(x, Entered, "", "")
	case a.Option == "" && len(a.Data) == 0 && r.Prompt != nil && r.Prompt.Poll:
		r.noted(x, Woken, "", "")
	default:
		e := r.noted(x, Answered, a.Option, "")
		if r.Test {
			e.In = shown(a.Data)
		}
	}
}

// decided notes what the step decided. before are the variables as they were.
func (r *run) decided(x *Exec, next Next, before map[string]any) {
	switch {
	case next.prompt != nil && next.problem != nil && x.Answer != nil:
		r.noted(x, Repeated, next.prompt.Kind, string(next.problem.Code))
	case next.prompt != nil:
		r.noted(x, Asked, next.prompt.Kind, "")
	case next.sub != nil:
		r.noted(x, Left, "", "")
	case next.end == nil && !next.pause:
		e := r.noted(x, Left, string(next.outcome), "")
		if r.Test {
			e.Out = shown(changed(before, r.frame().Vars))
		}
	}
}

// variables is a copy of what the run's expressions see, if somebody will want
// to know what changed.
func (r *run) variables() map[string]any {
	if !r.Test {
		return nil
	}
	return maps.Clone(r.frame().Vars)
}

func changed(before, after map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range after {
		if old, had := before[name]; !had || !reflect.DeepEqual(old, v) {
			out[name] = v
		}
	}
	return out
}

const hidden = "•••"

// shown is data without what may be secret, and cut to what a person reads.
func shown(data map[string]any) map[string]any {
	if len(data) == 0 {
		return nil
	}
	out, _ := veiled(plainly(data), 0).(map[string]any)
	return out
}

// plainly is a value as JSON has it.
func plainly(v any) any {
	var out any
	b, err := json.Marshal(v)
	if err != nil || len(b) > 64<<10 || json.Unmarshal(b, &out) != nil {
		return map[string]any{}
	}
	return out
}

func veiled(v any, depth int) any {
	switch v := v.(type) {
	case map[string]any:
		if depth > 6 {
			return hidden
		}
		out := make(map[string]any, len(v))
		for name, inner := range v {
			if audit.Secretive(name) {
				out[name] = hidden
				continue
			}
			out[name] = veiled(inner, depth+1)
		}
		return out
	case []any:
		out := []any{}
		for _, inner := range v[:min(len(v), 20)] {
			out = append(out, veiled(inner, depth+1))
		}
		return out
	case string:
		if cut := []rune(v); len(cut) > 200 {
			return string(cut[:200]) + "…"
		}
	}
	return v
}

// since is what happened in a run from an event on.
func (r *run) since(seq int) []Event {
	at := slices.IndexFunc(r.Trace, func(e Event) bool { return e.Seq >= seq })
	if at < 0 {
		return []Event{}
	}
	return slices.Clone(r.Trace[at:])
}
