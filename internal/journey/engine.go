package journey

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/expr"
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
	held    *limit.Slots // by address
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
	r.Test = g.version < 0
	r.enter(g.Start)
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

// advance is the whole engine: run the node, follow the edge, until a node asks
// or the run ends.
func (e *Engine) advance(ctx context.Context, tx *db.Tx, r *run, a *Answer, caller Caller, done *prepared) error {
	r.Turn = "trn_" + rand.Text()
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
			return nil
		case next.prompt != nil:
			r.Prompt, r.Problem = next.prompt, next.problem
			if next.memo != nil {
				r.Memo = []byte(db.Text(next.memo))
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
		node := r.frame().Journey + "/" + r.frame().Node
		if r.Counts[node]++; r.Counts[node] > maxVisits {
			return e.end(ctx, tx, r, End{Reason: "loop", Message: "This journey goes in circles."}, x)
		}
	}
	return e.end(ctx, tx, r, End{Reason: "loop", Message: "This journey goes in circles."}, &Exec{Tx: tx, Q: tx, Caller: caller, run: r, engine: e})
}

// bound limits the runs about one user from one address (J9).
func (e *Engine) bound(ctx context.Context, tx *db.Tx, r *run, before directory.UserID, caller Caller) error {
	if r.Subject == "" || r.Subject == before {
		return nil
	}
	return limit.Take(ctx, tx, "runs/"+string(r.App)+"/"+string(r.Subject)+"/"+caller.Address, runsPerHour, time.Hour)
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
	r.called(x, a)
	before := r.variables()
	next, err := steps[x.node.Kind].run(ctx, x, doc)
	if err != nil {
		return next, x, fmt.Errorf("journey %s node %s: %w", r.frame().Journey, r.frame().Node, err)
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

// slot takes the right to hold a request of a run and an address.
func (e *Engine) slot(key, address string) (release func(), ok bool) {
	one, ok := e.heldRun.Acquire(key)
	if !ok {
		return one, false
	}
	two, ok := e.held.Acquire(address)
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

// graph is a published version, ready to run. It never changes.
type graph struct {
	Graph
	version int64
	configs map[string]*expr.Config
}

func compile(g Graph, version int64) (*graph, error) {
	out := &graph{g, version, make(map[string]*expr.Config, len(g.Nodes))}
	for id, n := range g.Nodes {
		c, problems := expr.CompileConfig(n.Config)
		if len(problems) > 0 {
			return nil, fmt.Errorf("journey %s node %s: %s", g.ID, id, problems[0].Err.Message)
		}
		out.configs[id] = c
	}
	return out, nil
}

// graphCache keeps the versions that run. A version never changes, so nothing
// in it is ever stale.
type graphCache struct {
	mu sync.Mutex
	m  map[string]*graph
}

const maxGraphs = 1000

func (c *graphCache) get(ctx context.Context, q db.Q, tenant apps.TenantID, id string, version int64) (*graph, error) {
	key := fmt.Sprintf("%s/%s/%d", tenant, id, version)
	c.mu.Lock()
	g := c.m[key]
	c.mu.Unlock()
	if g != nil {
		return g, nil
	}
	var drawn Graph
	query := `SELECT graph FROM journeys WHERE tenant_id = $1 AND id = $2 AND version = $3`
	if version < 0 {
		query = `SELECT graph FROM snapshots WHERE tenant_id = $1 AND id = $2 AND version = $3`
	}
	err := q.QueryRow(ctx, query, tenant, id, version).Scan(db.JSON(&drawn))
	if err != nil {
		return nil, db.None(err, "journey")
	}
	if g, err = compile(drawn, version); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= maxGraphs {
		c.m = map[string]*graph{}
	}
	c.m[key] = g
	return g, nil
}

func (e *Engine) version(ctx context.Context, q db.Q, s StartRequest) (*graph, error) {
	if s.Version != 0 {
		return e.graphs.get(ctx, q, s.App.Tenant, s.Journey, s.Version)
	}
	return e.newest(ctx, q, s.App.Tenant, s.Journey)
}

func (e *Engine) newest(ctx context.Context, q db.Q, tenant apps.TenantID, id string) (*graph, error) {
	var version int64
	err := q.QueryRow(ctx, `SELECT version FROM journeys WHERE tenant_id = $1 AND id = $2 AND state = 'production' ORDER BY version DESC LIMIT 1`, tenant, id).Scan(&version)
	if err != nil {
		return nil, db.None(err, "journey")
	}
	return e.graphs.get(ctx, q, tenant, id, version)
}

// keyedMutex is a mutex for each key in use.
type keyedMutex struct {
	mu sync.Mutex
	m  map[string]*keyedLock
}

type keyedLock struct {
	sync.Mutex
	users int
}

func (k *keyedMutex) lock(key string) (unlock func()) {
	k.mu.Lock()
	if k.m == nil {
		k.m = map[string]*keyedLock{}
	}
	l := k.m[key]
	if l == nil {
		l = &keyedLock{}
		k.m[key] = l
	}
	l.users++
	k.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		k.mu.Lock()
		if l.users--; l.users == 0 {
			delete(k.m, key)
		}
		k.mu.Unlock()
	}
}

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
