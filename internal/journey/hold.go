package journey

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/limit"
)

// held is what a waiting request remembers of its run.
type held struct {
	key    string
	rev    int64
	topics []string
	until  time.Time
}

func (r *run) held() *held {
	return &held{r.key, r.rev, append([]string{"run/" + r.key}, r.Prompt.Watch...), r.Prompt.Until}
}

// hold waits until a run that waits has news - its step is ready, or another
// answer moved it - the limit passes or the caller goes.
func (e *Engine) hold(ctx context.Context, h *held, address string, limit time.Duration) (news bool, err error) {
	w := e.kit.DB.Watch(h.topics...)
	defer w.Close()
	if !h.until.IsZero() {
		limit = min(limit, h.until.Sub(e.kit.DB.Now())+time.Millisecond)
	}
	release, ok := e.slot(h.key, address)
	defer release()
	if !ok {
		limit = 0
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for last := limit <= 0; ; {
		e.kit.Crew.Do(func() { news, err = e.look(ctx, h) })
		if err != nil || news || last {
			return news, err
		}
		select {
		case <-w.C:
		case <-timer.C:
			last = true
		case <-e.stop:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// slot takes the right to hold a request of a run and an address. One household
// is one address, however many its provider gave it.
func (e *Engine) slot(key, address string) (release func(), ok bool) {
	one, ok := e.heldRun.Acquire(key)
	if !ok {
		return one, false
	}
	two, ok := e.held.Acquire(limit.Address(address))
	return func() { one(); two() }, ok
}

// look reads whether a run that waits has news.
func (e *Engine) look(ctx context.Context, h *held) (bool, error) {
	r, err := loadKey(ctx, e.kit.DB, h.key)
	if err != nil {
		return false, err
	}
	if r.rev != h.rev {
		return true, nil
	}
	g, err := e.graphs.get(ctx, e.kit.DB, r.Tenant, r.frame().Journey, r.frame().Version)
	if err != nil {
		return false, err
	}
	x, doc, err := e.exec(ctx, e.kit.DB, g, r, r.Caller)
	if err != nil {
		return false, err
	}
	if steps[x.node.Kind].ready == nil {
		return true, nil
	}
	return steps[x.node.Kind].ready(ctx, x, doc)
}

// PollTicket waits until the cross-session message that a run waits for has
// changed; it reports whether it has. Asking for another ticket than the one
// shown is fault.NotFound.
func (e *Engine) PollTicket(ctx context.Context, a Answer, ticket string, wait time.Duration) (bool, error) {
	r, err := e.load(ctx, &a)
	if err != nil {
		return false, err
	}
	if r.End != nil || r.Prompt == nil || r.Prompt.Ticket == nil {
		return true, nil // there is something new: the answer will say what
	}
	if r.Prompt.Ticket.ID != ticket {
		return false, fault.New(fault.NotFound, "no such ticket")
	}
	return e.hold(ctx, r.held(), a.Caller.Address, min(max(wait, 0), MaxHold))
}
