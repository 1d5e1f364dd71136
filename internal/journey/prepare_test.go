package journey_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

var slowCalls atomic.Int64

func init() {
	type config struct {
		Ask bool `json:"ask"`
	}
	journey.Register(journey.Step[config]{
		Asks: []string{"slow"},
		Kind: "test.slow", Title: "Slow", Category: "Test", Doc: "For tests.",
		Config:   form.New(form.Boolean("ask", "Ask", form.Default(false))),
		Outcomes: []journey.Outcome{journey.Success},
		Prepare: func(ctx context.Context, x *journey.Exec, c config) (any, error) {
			if c.Ask && x.Answer == nil {
				return nil, nil
			}
			n := slowCalls.Add(1)
			return n, x.DB().Tx(ctx, func(*db.Tx) error { return nil })
		},
		Run: func(_ context.Context, x *journey.Exec, c config) (journey.Next, error) {
			if c.Ask && x.Answer == nil {
				return journey.Ask(journey.Prompt{Kind: "slow", Fields: form.New(form.Text("word", "Word", form.Required))}, nil), nil
			}
			if _, ok := x.Prepared.(int64); !ok {
				panic("not prepared")
			}
			x.Output(map[string]any{"slow": true})
			return journey.Go(journey.Success), nil
		},
	})
}

// TestPrepare: slow work is done before each move of its node, outside any
// transaction, and of 16 answers at once to one prompt it is done for one.
func TestPrepare(t *testing.T) {
	slow := func(ask bool, to string) journey.Node {
		return node("test.slow", map[string]any{"ask": ask}, next{"success": to})
	}
	h := newHouse(t,
		graph("entered", "a", map[string]journey.Node{"a": slow(false, "b"), "b": slow(false, "i"), "i": node("information", map[string]any{"text": "x"}, next{"success": "done"}), "done": done}),
		graph("asked", "a", map[string]journey.Node{"a": slow(true, "b"), "b": slow(false, "done"), "done": done}))

	slowCalls.Store(0)
	r, err := h.engine.Start(t.Context(), journey.StartRequest{App: h.app, Client: h.web, Journey: "entered"})
	if err != nil || r.Prompt == nil || r.Prompt.Kind != "information" || slowCalls.Load() != 2 {
		t.Fatalf("entered: %+v %v, %d calls", r.Prompt, err, slowCalls.Load())
	}

	slowCalls.Store(0)
	if r, err = h.engine.Start(t.Context(), journey.StartRequest{App: h.app, Client: h.web, Journey: "asked"}); err != nil || r.Prompt.Kind != "slow" {
		t.Fatal(err)
	}
	bad, err := h.engine.Answer(t.Context(), journey.Answer{Session: r.Session, Turn: r.Turn, Visit: r.Visit, Data: map[string]any{"nonsense": 1}, Caller: journey.Caller{Client: h.web.ID}})
	if err != nil || bad.Problem == nil || slowCalls.Load() != 0 {
		t.Errorf("a malformed answer cost %d calls: %v", slowCalls.Load(), err)
	}
	var ended atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			got, err := h.engine.Answer(context.Background(), journey.Answer{Session: r.Session, Turn: r.Turn, Visit: r.Visit, Data: map[string]any{"word": "x"}, Caller: journey.Caller{Client: h.web.ID}})
			if err == nil && got.End != nil && got.End.OK {
				ended.Add(1)
			}
		})
	}
	wg.Wait()
	if slowCalls.Load() != 2 || ended.Load() == 0 {
		t.Errorf("16 answers: %d slow calls, want 2 (one a node); %d saw the end", slowCalls.Load(), ended.Load())
	}
}
