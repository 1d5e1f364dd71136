package journey

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/limit"
)

// advance is the whole engine: run the node, follow the edge, until a node asks
// or the run ends.
func (e *Engine) advance(ctx context.Context, tx *db.Tx, r *run, a *Answer, caller Caller, done *prepared) error {
	r.Turn = "trn_" + rand.Text()
	ctx = audit.From(ctx, audit.Origin{Client: string(r.Client), Run: string(r.ID), IP: caller.Address, UserAgent: caller.UserAgent})
	if out, err := r.signedOut(ctx, tx); err != nil {
		return err
	} else if out {
		return e.end(ctx, tx, r, End{Reason: "denied", Message: "This sign-in does not count any more. Start again."}, &Exec{Tx: tx, Q: tx, Caller: caller, run: r, engine: e})
	}
	before := r.Subject
	for range maxMoves {
		next, x, err := e.visit(ctx, tx, r, a, caller, done)
		if err != nil {
			return err
		}
		a, done = nil, nil
		switch {
		case next.pause:
			r.Paused = true
			return r.attend(ctx, tx)
		case next.prompt != nil:
			r.Prompt, r.Problem = next.prompt, next.problem
			if next.memo != nil {
				r.Memo = []byte(db.Text(next.memo))
			}
			if err := r.attend(ctx, tx); err != nil {
				return err
			}
			return e.bound(ctx, tx, r, before, caller)
		case next.sub != nil:
			if err := e.call(ctx, tx, r, *next.sub); err != nil {
				return err
			}
		case next.end != nil:
			if len(r.Frames) == 1 {
				return e.end(ctx, tx, r, *next.end, x)
			}
			e.back(r, *next.end)
		default:
			if err := r.follow(x.node, next.outcome); err != nil {
				return err
			}
		}
		node := r.place()
		if r.Counts[node]++; r.Counts[node] > maxVisits {
			return e.end(ctx, tx, r, End{Reason: "loop", Message: "This journey goes in circles."}, x)
		}
	}
	return e.end(ctx, tx, r, End{Reason: "loop", Message: "This journey goes in circles."}, &Exec{Tx: tx, Q: tx, Caller: caller, run: r, engine: e})
}

// attend notes when the sessions of whom the run has proven were last ended: also
// by this very move, which may have changed a password.
func (r *run) attend(ctx context.Context, q db.Q) (err error) {
	if len(r.Proofs) > 0 {
		r.SignedOut, err = authn.Ended(ctx, q, r.App, r.Proofs[0].User())
	}
	return err
}

// signedOut reports whether that happened since: what was proven before counts no
// more, for it may be what somebody else knew (security R50).
func (r *run) signedOut(ctx context.Context, q db.Q) (bool, error) {
	if len(r.Proofs) == 0 {
		return false, nil
	}
	at, err := authn.Ended(ctx, q, r.App, r.Proofs[0].User())
	return at.After(r.SignedOut), err
}

// bound limits the runs about one user from one address (J9).
func (e *Engine) bound(ctx context.Context, tx *db.Tx, r *run, before directory.UserID, caller Caller) error {
	if r.Subject == "" || r.Subject == before {
		return nil
	}
	return limit.Take(ctx, tx, "runs/"+string(r.App)+"/"+string(r.Subject)+"/"+limit.Address(caller.Address), runsPerHour, time.Hour)
}

// visit runs the step of the current node.
func (e *Engine) visit(ctx context.Context, tx *db.Tx, r *run, a *Answer, caller Caller, done *prepared) (Next, *Exec, error) {
	g, err := e.graphs.get(ctx, tx, r.Tenant, r.frame().Journey, r.frame().Version)
	if err != nil {
		return Next{}, nil, err
	}
	x, doc, err := e.exec(ctx, tx, g, r, caller)
	if err != nil {
		return Next{}, nil, err
	}
	x.Tx, x.Answer = tx, a
	if steps[x.node.Kind].slow != nil {
		if done == nil {
			return Next{pause: true}, x, nil
		}
		x.Prepared = done.value
	}
	r.hear(a)
	r.called(x, a)
	before := r.variables()
	next, err := steps[x.node.Kind].run(ctx, x, doc)
	if err != nil {
		return next, x, fmt.Errorf("journey %s node %s: %w", r.frame().Journey, r.frame().Node, err)
	}
	if p := next.prompt; p != nil && !slices.Contains(steps[x.node.Kind].Asks, p.Kind) {
		return next, x, fmt.Errorf("step %s asks %q, which it does not declare", x.node.Kind, p.Kind)
	}
	r.decided(x, next, before)
	return next, x, nil
}

// exec prepares a step: its node, and its configuration with the expressions
// evaluated.
func (e *Engine) exec(ctx context.Context, q db.Q, g *graph, r *run, caller Caller) (*Exec, map[string]any, error) {
	n, ok := g.Nodes[r.frame().Node]
	if _, known := steps[n.Kind]; !ok || !known {
		return nil, nil, fmt.Errorf("journey %s: no node %s that can run", r.frame().Journey, r.frame().Node)
	}
	x := &Exec{Q: q, Caller: caller, Log: e.kit.Log, URL: e.kit.URL, run: r, engine: e, node: n}
	doc, err := g.configs[r.frame().Node].Eval(ctx, x.scope(ctx))
	if err != nil {
		return nil, nil, fmt.Errorf("journey %s node %s: %w", r.frame().Journey, r.frame().Node, err)
	}
	return x, doc, nil
}

func (r *run) follow(n Node, o Outcome) error {
	next, ok := n.Next[o]
	if !ok {
		return fmt.Errorf("journey %s node %s: outcome %q leads nowhere", r.frame().Journey, r.frame().Node, o)
	}
	r.enter(next)
	return nil
}

// end closes a run. Only now is it known whether somebody was authenticated.
func (e *Engine) end(ctx context.Context, tx *db.Tx, r *run, end End, x *Exec) error {
	end.App, end.Client, end.Params, end.Claims, end.Device = r.App, r.Client, r.Params, r.Claims, string(r.Device)
	end.Journey, end.Version = r.Frames[0].Journey, r.Frames[0].Version
	end.Tenant, end.Waiter, end.Caller = r.Tenant, r.Waiter, r.Caller
	if end.OK && len(r.Proofs) > 0 {
		err := r.recheck(ctx, tx)
		switch fault.Of(err).Code {
		case "":
			end.User, end.Proofs, end.Approvals, end.Evidence = r.Proofs[0].User(), r.Proofs, r.Approvals, r.Evidence
		case fault.Denied, fault.Locked:
			end.OK, end.Reason, end.Message = false, "denied", fault.Of(err).Message
		default:
			return err
		}
	}
	end.Registered = end.OK && end.User == ""
	end.Subject = r.Subject
	if end.OK {
		end.Token = TokenFacts{ID: "jti_" + rand.Text(), At: tx.Now()}
	}
	r.Prompt, r.Memo, r.Problem, r.End, r.EndedAt = nil, nil, nil, &end, tx.Now()
	if err := e.tell(ctx, tx, r.Waiter, &end); err != nil {
		return err
	}
	if err := r.over(ctx, tx, x); err != nil {
		return err
	}
	what, outcome := "journey.completed", "success"
	if !end.OK {
		what, outcome = "journey.rejected", "failure"
	} else if end.Registered {
		what = "journey.registered"
	}
	return audit.Record(ctx, tx, audit.Event{Tenant: string(r.Tenant), App: string(r.App), Client: string(r.Client), Type: what, Outcome: outcome, Reason: end.Reason,
		Actor: string(end.User), Target: string(end.Subject), Run: string(r.ID), Device: string(r.Device), IP: x.Caller.Address, UserAgent: x.Caller.UserAgent,
		Data: map[string]any{"journey": end.Journey, "version": end.Version}})
}

// over notes the end of a run and keeps its record; a run that an operator tries
// leaves none, for it is no visitor.
func (r *run) over(ctx context.Context, tx *db.Tx, x *Exec) error {
	outcome := Rejected
	if r.End.OK {
		outcome = Completed
	}
	r.noted(x, Over, outcome, r.End.Reason)
	if r.Test {
		return nil
	}
	return r.record().keep(ctx, tx)
}

// recheck judges the proofs of a run again at its end. Those of this very move
// were judged a moment ago, in the same transaction (security R25, R49).
func (r *run) recheck(ctx context.Context, q db.Q) error {
	if err := directory.MaySignIn(ctx, q, r.Tenant, r.Proofs[0].User()); err != nil {
		return err
	}
	for _, p := range r.Proofs[:len(r.Proofs)-r.fresh] {
		if err := authn.Recheck(ctx, q, p); err != nil {
			return err
		}
	}
	return nil
}

// tell hands the end to whoever waits for it. A waiter that refuses a good end,
// because it came too late or is not enough, makes it a bad one.
func (e *Engine) tell(ctx context.Context, tx *db.Tx, w Waiter, end *End) error {
	fn := e.waiters[w.Kind]
	if fn == nil {
		return nil
	}
	err := fn(ctx, tx, w.ID, *end)
	if err == nil || !end.OK {
		return err
	}
	f := fault.Of(err)
	if f.Code == fault.Internal || f.Code == fault.Unavailable {
		return err
	}
	end.OK, end.Registered, end.User, end.Proofs, end.Token = false, false, "", nil, TokenFacts{}
	end.Reason, end.Message = string(f.Code), f.Message
	return nil
}
