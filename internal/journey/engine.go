package journey

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/limit"
)

// MaxHold is how long an empty answer to a waiting prompt is held at most.
const MaxHold = 25 * time.Second

const (
	maxVisits   = 50     // of one node in one run (security J9)
	maxMoves    = 100    // of one answer
	maxHeldRun  = 4      // waiting requests of one run
	maxHeld     = 20_000 // waiting requests of this node
	runsPerHour = 200    // runs about one user from one address
)

// Engine runs journeys. It is safe for concurrent use; several engines, on
// several nodes, may share a database.
type Engine struct {
	kit     *kit.Kit
	waiters map[string]func(context.Context, *db.Tx, string, End) error
	graphs  graphCache
	turns   keyedMutex
	held    *limit.Slots // by limit.Address
	heldRun *limit.Slots
	stop    chan struct{}
	once    sync.Once
}

// Options bound what an engine holds.
type Options struct {
	// HeldPerAddress is how many waiting requests one address may hold open;
	// more are answered at once. 0 means 500.
	HeldPerAddress int
}

// NewEngine returns an engine on k. Call OnEnd before the first run.
func NewEngine(k *kit.Kit, o Options) *Engine {
	if o.HeldPerAddress == 0 {
		o.HeldPerAddress = 500
	}
	return &Engine{
		kit: k, waiters: map[string]func(context.Context, *db.Tx, string, End) error{},
		held: limit.NewSlots(o.HeldPerAddress, maxHeld), heldRun: limit.NewSlots(maxHeldRun, maxHeld), stop: make(chan struct{}),
	}
}

// OnEnd calls fn in the transaction that ends a run started for a waiter of
// this kind, so that neither happens without the other.
func (e *Engine) OnEnd(kind string, fn func(ctx context.Context, tx *db.Tx, id string, end End) error) {
	e.waiters[kind] = fn
}

// Release answers every held request at once and holds none from now on: the
// server is going down and clients shall ask another node.
func (e *Engine) Release() { e.once.Do(func() { close(e.stop) }) }

// Held is how many requests are held now.
func (e *Engine) Held() int { return e.held.Held() }

// Start begins a run of the newest version of a journey, in a transaction of
// its own.
func (e *Engine) Start(ctx context.Context, s StartRequest) (reply Reply, err error) {
	err = e.kit.DB.Move(ctx, func(tx *db.Tx) error {
		reply, err = e.StartIn(ctx, tx, s)
		return err
	})
	if err == nil && reply.Paused {
		s.Caller.Client = s.Client.ID
		return e.Resume(ctx, reply.Session, s.Caller)
	}
	return reply, err
}

// Resume takes a run on that StartIn left before slow work (Reply.Paused), after
// the caller's transaction was committed.
func (e *Engine) Resume(ctx context.Context, session string, caller Caller) (Reply, error) {
	defer e.turns.lock(e.kit.DB.Vault().Hash("run", session))() // on this node, whoever comes second finds the work done
	r, err := e.load(ctx, &Answer{Session: session, Caller: caller})
	if err != nil {
		return Reply{}, err
	}
	reply, err := e.resume(ctx, r, caller)
	reply.Session = session
	return reply, err
}

func (e *Engine) resumed(ctx context.Context, a Answer) (Reply, error) {
	reply, err := e.Resume(ctx, a.Session, a.Caller)
	reply.Session = ""
	return reply, err
}

// resume does the slow work that a run stands before, outside any transaction,
// and goes on with it; once more if another such node follows.
func (e *Engine) resume(ctx context.Context, r *run, caller Caller) (Reply, error) {
	for r.Paused {
		done, err := e.prepare(ctx, r, nil, caller)
		if err != nil {
			return Reply{}, err
		}
		err = e.kit.DB.Move(ctx, func(tx *db.Tx) error {
			next, err := r.reread(ctx, tx)
			if err != nil {
				return err
			}
			next.Paused = false
			if err := e.advance(ctx, tx, next, nil, caller, done); err != nil {
				return err
			}
			if err := next.store(ctx, tx); err != nil {
				return err
			}
			r = next
			return nil
		})
		if err != nil && err != errMoved {
			return Reply{}, err
		}
		if r, err = loadKey(ctx, e.kit.DB, r.key); err != nil {
			return Reply{}, err
		}
	}
	return r.reply(), nil
}

// prepared is the slow work of a node, done.
type prepared struct{ value any }

// prepare does the slow work of the node that a run stands on; nil if it has
// none.
func (e *Engine) prepare(ctx context.Context, r *run, a *Answer, caller Caller) (*prepared, error) {
	g, err := e.graphs.get(ctx, e.kit.DB, r.Tenant, r.frame().Journey, r.frame().Version)
	if err != nil {
		return nil, err
	}
	slow := steps[g.Nodes[r.frame().Node].Kind].slow
	if slow == nil {
		return nil, nil
	}
	x, doc, err := e.exec(ctx, e.kit.DB, g, r, caller)
	if err != nil {
		return nil, err
	}
	x.Answer = a
	v, err := slow(ctx, x, doc)
	return &prepared{v}, err
}

// StartIn is Start in the caller's transaction: the run exists if and only if
// that commits. A journey of another kind than asked for is fault.NotFound, as
// is an unknown or disabled one.
func (e *Engine) StartIn(ctx context.Context, tx *db.Tx, s StartRequest) (Reply, error) {
	if s.Kind == "" {
		s.Kind = KindClient
	}
	g, err := e.version(ctx, tx, s)
	if err != nil {
		return Reply{}, err
	}
	if g.Kind != s.Kind && !(s.Kind == KindSSO && g.Kind == KindClient) {
		return Reply{}, fault.New(fault.NotFound, "no such journey")
	}
	session := "ses_" + rand.Text()
	s.Caller.Client = s.Client.ID
	r := &run{
		ID: RunID(db.NewID("run_")), Tenant: s.App.Tenant, App: s.App.ID, AppName: s.App.Name, Client: s.Client.ID, ClientName: s.Client.Name,
		Frames: []frame{{Journey: s.Journey, Version: g.version, Vars: map[string]any{}}},
		Params: s.Params, Saved: s.Saved, Trusted: s.Trusted, Commit: s.Commit, Device: s.Device, Caller: s.Caller, Waiter: s.Waiter, Bound: s.Subject, Subject: s.Subject,
		Levels: s.Levels, Counts: map[string]int{}, Started: tx.Now(), key: tx.Vault().Hash("run", session),
	}
	if err := r.carry(s.Proofs); err != nil {
		return Reply{}, err
	}
	if err := r.attend(ctx, tx); err != nil {
		return Reply{}, err
	}
	r.Test = g.version < 0
	r.enter(g.Start)
	r.Counts[r.place()] = 1
	if err := e.advance(ctx, tx, r, nil, s.Caller, nil); err != nil {
		return Reply{}, err
	}
	if err := r.store(ctx, tx); err != nil {
		return Reply{}, err
	}
	reply := r.reply()
	reply.Session = session
	return reply, nil
}

// carry begins a run on what was proven before it.
func (r *run) carry(ps []authn.Proof) error {
	for _, p := range ps {
		if p.App() != r.App || p.User() == "" || r.Bound != "" && p.User() != r.Bound {
			return fault.New(fault.Denied, "Somebody else is signed in here.")
		}
		r.Bound, r.Subject = p.User(), p.User()
	}
	r.Proofs = slices.Clone(ps)
	return nil
}

// Current is where a run stands, as its client was last told; nothing moves.
func (e *Engine) Current(ctx context.Context, session string, caller Caller) (Reply, error) {
	r, err := e.load(ctx, &Answer{Session: session, Caller: caller})
	if err != nil {
		return Reply{}, err
	}
	if r.Paused {
		return e.resumed(ctx, Answer{Session: session, Caller: caller})
	}
	return r.reply(), nil
}

// Answer answers the prompt of a run (see Answer, the type). Of several answers
// at once one moves the run; the others hear where it got. Every effect of an
// answer and the move itself are one transaction.
func (e *Engine) Answer(ctx context.Context, a Answer) (Reply, error) {
	a.Option = option(a.Option)
	var r *run
	var h *held
	var err error
	e.kit.Crew.Do(func() {
		if r, err = e.load(ctx, &a); err == nil && r.isPoll(&a) {
			h, r = r.held(), nil // while it is held, a request keeps no run in memory
		}
	})
	if err != nil {
		return Reply{}, err
	}
	if r != nil && r.Paused { // somebody else's move stopped there, or its server died
		return e.resumed(ctx, a)
	}
	if h != nil {
		var reply Reply
		r, reply, err = e.await(ctx, h, &a, MaxHold)
		switch {
		case err == nil && reply.Paused:
			return e.resumed(ctx, a)
		case err != nil || r == nil:
			return reply, err
		}
		a.Turn, a.Visit = r.Turn, r.Visit
	}
	return e.move(ctx, r, a)
}

// await holds a poll. It returns the run if its step has something new to do,
// and otherwise the reply.
func (e *Engine) await(ctx context.Context, h *held, a *Answer, limit time.Duration) (ready *run, reply Reply, err error) {
	news, err := e.hold(ctx, h, a.Caller.Address, limit)
	if err != nil {
		return nil, Reply{}, err
	}
	e.kit.Crew.Do(func() {
		var r *run
		if r, err = loadKey(ctx, e.kit.DB, h.key); err != nil {
			return
		}
		switch {
		case r.rev != h.rev:
			reply = r.reply()
			reply.Told = reply.End != nil
		case news:
			ready = r
		default:
			reply = r.unchanged()
		}
	})
	return ready, reply, err
}

// option is the one name of an option that SDKs call differently (DESIGN 2.20.10).
func option(id string) string {
	switch id {
	case "fail", "action_failure":
		return "failure"
	}
	return id
}

func (r *run) isPoll(a *Answer) bool {
	return r.End == nil && r.Prompt != nil && r.Prompt.Poll && a.Option == "" && len(a.Data) == 0 && (a.Visit == "" || a.Visit == r.Visit)
}

func (e *Engine) load(ctx context.Context, a *Answer) (*run, error) {
	r, err := load(ctx, e.kit.DB, a.Session)
	if err != nil {
		return nil, err
	}
	if a.Caller.Client != r.Client { // knowing the session is not enough (P7)
		return nil, Ended
	}
	return r, nil
}

// move takes one answer to a run, in one transaction.
func (e *Engine) move(ctx context.Context, r *run, a Answer) (Reply, error) {
	unlock := e.turns.lock(r.key) // on this node, the second click waits for the first
	defer unlock()
	var reply Reply
	done, err := e.prepareAnswer(ctx, r, a)
	if err != nil {
		return Reply{}, err
	}
	changed := false
	err = e.kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		if changed { // an earlier try of this transaction: begin with what was read
			if r, err = r.copied(tx.Vault()); err != nil {
				return err
			}
		}
		if err := r.same(ctx, tx); err != nil {
			return err
		}
		if r.End != nil || a.Turn != r.Turn || a.Visit != r.Visit {
			reply = r.stale(a, tx.Now())
			return nil
		}
		if problem := r.Prompt.check(&a); problem != nil {
			reply = r.reply()
			reply.Problem = problem
			return nil
		}
		changed = true
		r.introduce(a.Caller)
		r.Prev, r.Problem, r.Output, r.Save, r.Instructions = r.Turn, nil, nil, nil, nil
		if err := e.advance(ctx, tx, r, &a, a.Caller, done); err != nil {
			return err
		}
		if err := r.store(ctx, tx); err != nil {
			return err
		}
		reply = r.reply()
		return nil
	})
	if err == errMoved {
		return e.follow(ctx, a)
	}
	if err == nil && changed && r.Paused {
		if r, err = loadKey(ctx, e.kit.DB, r.key); err != nil {
			return Reply{}, err
		}
		return e.resume(ctx, r, a.Caller)
	}
	if err == nil && reply.Turn == "" && reply.End == nil {
		return Reply{}, Ended
	}
	return reply, err
}

// prepareAnswer does the slow work of an answer that will be taken; nil if there
// is none. What is stale or malformed costs nothing.
func (e *Engine) prepareAnswer(ctx context.Context, r *run, a Answer) (*prepared, error) {
	if r.End != nil || a.Turn != r.Turn || a.Visit != r.Visit || r.same(ctx, e.kit.DB) != nil || r.Prompt.check(&a) != nil {
		return nil, nil
	}
	return e.prepare(ctx, r, &a, a.Caller)
}

// follow tells a second answer where the first one got.
func (e *Engine) follow(ctx context.Context, a Answer) (Reply, error) {
	r, err := e.load(ctx, &a)
	if err != nil {
		return Reply{}, err
	}
	if r.Paused {
		return e.resume(ctx, r, a.Caller)
	}
	reply := r.stale(a, e.kit.DB.Now())
	if reply.Turn == "" && reply.End == nil {
		return Reply{}, Ended
	}
	return reply, nil
}

// Stale is the problem of an answer to a prompt that is not the current one.
var Stale = fault.New(fault.Invalid, "This step was answered already.")

// stale is the reply to an answer that is not for the current prompt. It is the
// current prompt, and for the answer that was taken last, no complaint (P16). A
// run that has ended says so once more for a minute to whoever gave its last
// answer, and to nobody else.
func (r *run) stale(a Answer, now time.Time) Reply {
	repeated := a.Turn != "" && a.Turn == r.Prev
	if r.End != nil {
		if repeated && now.Sub(r.EndedAt) < time.Minute {
			return r.reply()
		}
		return Reply{}
	}
	reply := r.reply()
	if !repeated {
		reply.Problem = Stale
	}
	return reply
}

// check holds an answer against what was asked. Only declared options and
// fields pass; an empty answer passes only where emptiness is the answer (J2).
func (p *Prompt) check(a *Answer) *fault.Error {
	switch {
	case a.Option == "resend":
		if !p.Resend || len(a.Data) > 0 {
			return fault.New(fault.Invalid, "Nothing can be sent again here.")
		}
		return nil
	case a.Option != "":
		for _, o := range p.Options {
			if o.ID == a.Option {
				return checked(o.Fields.Check(a.Data))(a)
			}
		}
		return fault.New(fault.Invalid, "There is no such option here.")
	case p.Empty:
		a.Data = nil
		return nil
	case len(p.Fields) == 0 && !p.Poll:
		return fault.New(fault.Invalid, "Choose one of the ways offered.")
	}
	return checked(p.Fields.Check(a.Data))(a)
}

func checked(data map[string]any, err error) func(a *Answer) *fault.Error {
	return func(a *Answer) *fault.Error {
		if err != nil {
			return fault.Of(err)
		}
		a.Data = data
		return nil
	}
}

// DebugPin gives a run a six-digit pin by which a debugger may attach. The last
// one given counts.
func (e *Engine) DebugPin(ctx context.Context, a Answer) (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", err
	}
	pin := fmt.Sprintf("%06d", n.Int64())
	r, err := e.load(ctx, &a)
	if err != nil {
		return "", err
	}
	if r.End != nil {
		return "", Ended
	}
	err = e.kit.DB.Tx(ctx, func(tx *db.Tx) error {
		c, err := r.copied(tx.Vault())
		if err != nil {
			return err
		}
		c.Pin = pin
		return c.store(ctx, tx)
	})
	return pin, err
}
