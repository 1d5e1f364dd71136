package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
)

const (
	lease       = time.Minute        // a claimed job belongs to its worker for so long
	grace       = 10 * time.Second   // what a running job gets when the worker is told to stop
	poll        = time.Second        // how often a worker looks for jobs that other nodes enqueued
	width       = 8                  // jobs one worker runs at once
	maxAttempts = 12                 // then a job is parked
	maxBackoff  = time.Hour          // between two attempts
	keepParked  = 7 * 24 * time.Hour // a parked job after its expiry
)

// Worker runs jobs and timers. Register all kinds and timers before Run.
type Worker struct {
	db     *db.DB
	log    *slog.Logger
	kinds  map[string]func(context.Context, []byte) error
	timers []*timer
}

// NewWorker returns a worker that knows no kinds yet. It also keeps the tables of
// jobs and signals clean.
func NewWorker(d *db.DB, log *slog.Logger) *Worker {
	w := &Worker{db: d, log: log, kinds: map[string]func(context.Context, []byte) error{}}
	w.Every("jobs.sweep", time.Minute, func(ctx context.Context) error {
		return d.Tx(ctx, func(tx *db.Tx) error { return errors.Join(Sweep(ctx, tx), db.Sweep(ctx, tx)) })
	})
	return w
}

// Handle says how to run jobs of kind. fn may be called twice for one job and
// must make the second call harmless. Its context ends when the job expires or
// its claim does. A plain error puts the job off, longer each time; see also
// Retry and Drop. A worker leaves jobs of kinds it does not know to others.
func Handle[T any](w *Worker, kind string, fn func(context.Context, T) error) {
	if _, taken := w.kinds[kind]; taken {
		panic("jobs: two handlers for " + kind)
	}
	w.kinds[kind] = func(ctx context.Context, b []byte) error {
		var v T
		if err := json.Unmarshal(b, &v); err != nil {
			return errors.New("the payload is not what this version expects") // another version may be there, too
		}
		return fn(ctx, v)
	}
}

// RunOne claims one due job and runs it to its end; it reports whether there
// was one. A job that fails is put off and is no error of RunOne.
func (w *Worker) RunOne(ctx context.Context) (bool, error) {
	claimed, err := w.turn(ctx, nil, 1)
	if err != nil || len(claimed) == 0 {
		return false, err
	}
	_, err = w.turn(ctx, []result{w.run(ctx, claimed[0])}, 0)
	return true, err
}

// Run runs jobs and timers until ctx ends, then waits for the jobs that run. After
// 10 seconds their contexts end; what they leave undone comes back elsewhere
// when its lease is over. One node runs one Run.
func (w *Worker) Run(ctx context.Context) {
	var timers sync.WaitGroup
	for _, t := range w.timers {
		timers.Go(func() { w.tick(ctx, t) })
	}
	defer timers.Wait()

	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	watch := w.db.Watch(topic)
	defer watch.Close()
	var (
		results = make(chan result, width)
		busy    int
		done    []result
		stopped = ctx.Done()
		patient <-chan time.Time // ends the grace
	)
	for {
		want := width - busy
		if ctx.Err() != nil {
			want = 0
		}
		claimed, err := w.timely(ctx, done, want)
		if err != nil {
			w.log.WarnContext(ctx, "the queue is out of reach", "err", err)
		} else {
			done = nil
		}
		for _, j := range claimed {
			busy++
			go func() { results <- w.run(running, j) }()
		}
		if ctx.Err() != nil && busy == 0 && (len(done) == 0 || running.Err() != nil) {
			return
		}
		pause := time.NewTimer(poll)
		select {
		case r := <-results:
			busy--
			done = append(done, r)
			for len(results) > 0 {
				busy--
				done = append(done, <-results)
			}
		case <-watch.C:
		case <-pause.C:
		case <-stopped:
			stopped = nil
			end := time.NewTimer(grace)
			defer end.Stop()
			patient = end.C
		case <-patient:
			stop()
		}
		pause.Stop()
	}
}

type job struct {
	id, kind string
	payload  []byte
	attempts int
	expires  time.Time
}

type result struct {
	job
	err error
}

// timely is turn for a worker that may be stopping: what is done is written down
// all the same, and a database that hangs does not hold the worker for ever.
func (w *Worker) timely(ctx context.Context, done []result, want int) ([]job, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease/3)
	defer cancel()
	return w.turn(ctx, done, want)
}

// turn writes down what became of done and claims up to want due jobs, in one
// transaction. It opens none when there is nothing to do.
func (w *Worker) turn(ctx context.Context, done []result, want int) ([]job, error) {
	var due []string
	var err error
	if want > 0 {
		// Looking first costs no write, and the claim below then touches nothing
		// but its own rows: two nodes conflict only over the same job.
		if due, err = w.due(ctx, want); err != nil {
			return nil, err
		}
	}
	if len(done) == 0 && len(due) == 0 {
		return nil, nil
	}
	var claimed []job
	err = w.db.Tx(ctx, func(tx *db.Tx) error {
		claimed = nil
		for _, r := range done {
			if err := w.finish(ctx, tx, r); err != nil {
				return fmt.Errorf("finishing job %s: %w", r.id, err)
			}
		}
		for _, id := range due {
			j, ok, err := claim(ctx, tx, id)
			if err != nil {
				return fmt.Errorf("claiming job %s: %w", id, err)
			}
			if ok {
				claimed = append(claimed, j)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

func (w *Worker) due(ctx context.Context, want int) ([]string, error) {
	if len(w.kinds) == 0 {
		return nil, nil
	}
	args := []any{w.db.Now(), want}
	var in []string
	for _, kind := range slices.Sorted(maps.Keys(w.kinds)) {
		args = append(args, kind)
		in = append(in, "$"+strconv.Itoa(len(args)))
	}
	ids, err := db.Column[string](ctx, w.db, `SELECT id FROM jobs WHERE state = 'ready' AND run_at <= $1 AND expires_at > $1
		AND kind IN (`+strings.Join(in, ", ")+`) ORDER BY run_at, id LIMIT $2`, args...)
	if err != nil {
		return nil, fmt.Errorf("looking for jobs: %w", err)
	}
	return ids, nil
}

// claim makes job id ours for the time of a lease, unless somebody was faster.
func claim(ctx context.Context, tx *db.Tx, id string) (job, bool, error) {
	rows, err := tx.Query(ctx, `UPDATE jobs SET run_at = $1, attempts = attempts + 1
		WHERE id = $2 AND state = 'ready' AND run_at <= $3 AND expires_at > $3
		RETURNING kind, payload, attempts, expires_at`, tx.Now().Add(lease), id, tx.Now())
	if err != nil {
		return job{}, false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return job{}, false, rows.Err()
	}
	j := job{id: id}
	if err := rows.Scan(&j.kind, &j.payload, &j.attempts, db.Time(&j.expires)); err != nil {
		return job{}, false, err
	}
	return j, true, rows.Err()
}

// run calls the handler. It never panics.
func (w *Worker) run(ctx context.Context, j job) (r result) {
	r.job = j
	defer func() {
		if p := recover(); p != nil {
			w.log.ErrorContext(ctx, "a job panicked", "id", j.id, "kind", j.kind, "panic", p, "stack", string(debug.Stack()))
			r.err = fmt.Errorf("panic: %v", p)
		}
	}()
	payload, err := w.db.Vault().Open(place(j.id), j.payload)
	if err != nil {
		r.err = err
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, min(j.expires.Sub(w.db.Now()), lease-5*time.Second))
	defer cancel()
	r.err = w.kinds[j.kind](ctx, payload)
	return r
}

// finish deletes a job that succeeded or cannot, and puts off any other. The
// attempt number is the claim: who lost the lease changes nothing.
func (w *Worker) finish(ctx context.Context, tx *db.Tx, r result) error {
	if r.err == nil {
		_, err := tx.Exec(ctx, `DELETE FROM jobs WHERE id = $1 AND attempts = $2`, r.id, r.attempts)
		return err
	}
	wait := backoff(r.attempts)
	v, ruled := asVerdict(r.err)
	if ruled {
		wait = v.after
	}
	next := tx.Now().Add(wait)
	log := w.log.With("id", r.id, "kind", r.kind, "attempt", r.attempts, "err", r.err)
	if ruled && v.drop || !next.Before(r.expires) {
		log.WarnContext(ctx, "a job is dropped")
		_, err := tx.Exec(ctx, `DELETE FROM jobs WHERE id = $1 AND attempts = $2`, r.id, r.attempts)
		return err
	}
	state := "ready"
	if r.attempts >= maxAttempts {
		state = "parked"
		log.ErrorContext(ctx, "a job is parked")
	} else {
		log.WarnContext(ctx, "a job failed and is put off", "until", next)
	}
	_, err := tx.Exec(ctx, `UPDATE jobs SET state = $1, run_at = $2, last_error = $3 WHERE id = $4 AND attempts = $5`,
		state, next, clip(r.err.Error()), r.id, r.attempts)
	return err
}

// backoff is 1 s, 2 s, 4 s … 1 h, each up to a quarter longer, so that what
// failed together does not come back together.
func backoff(attempt int) time.Duration {
	wait := maxBackoff
	if attempt < 13 {
		wait = min(maxBackoff, time.Second<<max(attempt-1, 0))
	}
	return wait + db.Jitter(wait/4)
}

func clip(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
	for i := range s {
		if i >= 500 {
			return s[:i]
		}
	}
	return s
}

// timer is a function that one node at a time runs again and again.
type timer struct {
	name     string
	interval time.Duration
	fn       func(context.Context) error
	until    time.Time // when our lease ends; only the timer's own goroutine touches it
}

// Every makes one node of all run fn each interval. fn must bear to be run
// twice: if it takes longer than its lease (the interval, at least a minute),
// another node may begin. An error is logged and fn comes again after at most a
// minute.
func (w *Worker) Every(name string, interval time.Duration, fn func(context.Context) error) {
	if slices.ContainsFunc(w.timers, func(t *timer) bool { return t.name == name }) {
		panic("jobs: two timers named " + name)
	}
	w.timers = append(w.timers, &timer{name: name, interval: interval, fn: fn})
}

// Tick runs every timer that is due on this node, once and in order of their
// names: what Run does each interval, for tests and for one-off commands.
func (w *Worker) Tick(ctx context.Context) error {
	var errs []error
	for _, t := range slices.SortedFunc(slices.Values(w.timers), func(a, b *timer) int { return cmp.Compare(a.name, b.name) }) {
		errs = append(errs, w.once(ctx, t))
	}
	return errors.Join(errs...)
}

func (w *Worker) tick(ctx context.Context, t *timer) {
	for ctx.Err() == nil {
		if err := w.once(ctx, t); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "a timer failed", "timer", t.name, "err", err)
		}
		pause := time.NewTimer(min(t.interval, time.Minute))
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if t.short() && t.until.After(w.db.Now()) {
		if err := w.release(ctx, t, w.db.Now()); err != nil {
			w.log.WarnContext(ctx, "a timer's lease was not given back", "timer", t.name, "err", err)
		}
	}
}

func (w *Worker) once(ctx context.Context, t *timer) error {
	ours, err := w.hold(ctx, t)
	if err != nil || !ours {
		return err
	}
	run, cancel := context.WithTimeout(ctx, max(t.interval, lease))
	defer cancel()
	err = t.fn(run)
	if err != nil {
		err = fmt.Errorf("timer %s: %w", t.name, err)
		if !t.short() {
			return errors.Join(err, w.release(ctx, t, w.db.Now().Add(min(t.interval, lease))))
		}
	}
	return err
}

// short tells the two ways of holding a lease apart. A timer of less than half
// a minute is held by one node, which renews the lease when half of it is gone:
// no write for each turn. Any other is taken for each turn, and its lease row is
// what remembers, over restarts, when it is due.
func (t *timer) short() bool { return t.interval < lease/2 }

func (w *Worker) hold(ctx context.Context, t *timer) (bool, error) {
	now := w.db.Now()
	if t.short() && t.until.After(now.Add(lease/2)) {
		return true, nil
	}
	until, holder := now.Add(t.interval), ""
	if t.short() {
		until, holder = now.Add(lease), w.db.Node()
	}
	var free int
	err := w.db.QueryRow(ctx, `SELECT COUNT(*) FROM job_leases WHERE name = $1 AND until > $2 AND (holder = '' OR holder <> $3)`,
		t.name, now, holder).Scan(&free)
	if err != nil {
		return false, fmt.Errorf("timer %s: %w", t.name, err)
	}
	if free > 0 {
		return false, nil
	}
	var n int64
	err = w.db.Tx(ctx, func(tx *db.Tx) error {
		var err error
		n, err = tx.Exec(ctx, `INSERT INTO job_leases (name, holder, until) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
			WHERE job_leases.until <= $4 OR (job_leases.holder = $2 AND job_leases.holder <> '')`, t.name, holder, until, now)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("timer %s: %w", t.name, err)
	}
	if n == 0 {
		return false, nil
	}
	t.until = until
	return true, nil
}

// release ends our lease at until.
func (w *Worker) release(ctx context.Context, t *timer, until time.Time) error {
	holder := ""
	if t.short() {
		holder = w.db.Node()
	}
	t.until = time.Time{}
	return w.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE job_leases SET until = $1 WHERE name = $2 AND holder = $3`, until, t.name, holder)
		return err
	})
}
