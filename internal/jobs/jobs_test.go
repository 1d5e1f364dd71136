package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
)

func enqueue(t testing.TB, w *kittest.World, kind string, payload any, ttl time.Duration) {
	t.Helper()
	w.Do(t, func(tx *db.Tx) error { return jobs.Enqueue(t.Context(), tx, kind, payload, tx.Now().Add(ttl)) })
}

func backlog(t testing.TB, w *kittest.World) jobs.Backlog {
	t.Helper()
	b, err := jobs.Survey(t.Context(), w.DB)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAJobFollowsItsTransaction(t *testing.T) {
	w := kittest.New(t)
	var got []string
	jobs.Handle(w.Jobs, "say", func(_ context.Context, s string) error { got = append(got, s); return nil })
	w.DB.Tx(t.Context(), func(tx *db.Tx) error {
		return errors.Join(jobs.Enqueue(t.Context(), tx, "say", "undone", tx.Now().Add(time.Hour)), errors.New("no"))
	})
	enqueue(t, w, "say", "done", time.Hour)
	w.Drain(t)
	if !slices.Equal(got, []string{"done"}) || backlog(t, w).Ready != 0 {
		t.Errorf("%v, %+v", got, backlog(t, w))
	}
}

func TestPayloadsAreSealed(t *testing.T) {
	w := kittest.New(t)
	enqueue(t, w, "mail", "ada@example.org", time.Hour)
	var b []byte
	if err := w.DB.QueryRow(t.Context(), `SELECT payload FROM jobs`).Scan(&b); err != nil || strings.Contains(string(b), "ada") {
		t.Errorf("stored as %q (%v)", b, err)
	}
}

func TestEnqueueAt(t *testing.T) {
	w := kittest.New(t)
	ran := 0
	jobs.Handle(w.Jobs, "k", func(context.Context, int) error { ran++; return nil })
	w.Do(t, func(tx *db.Tx) error {
		return jobs.EnqueueAt(t.Context(), tx, "k", 0, tx.Now().Add(time.Minute), tx.Now().Add(time.Hour))
	})
	w.Pass(time.Minute - time.Millisecond)
	w.Drain(t)
	if ran != 0 {
		t.Error("ran too early")
	}
	w.Pass(time.Millisecond)
	w.Drain(t)
	if ran != 1 {
		t.Error("did not run when due")
	}
	for _, c := range []struct {
		kind    string
		expires time.Duration
	}{{"k", 0}, {"k", -time.Second}, {"", time.Hour}} {
		err := w.DB.Tx(t.Context(), func(tx *db.Tx) error { return jobs.Enqueue(t.Context(), tx, c.kind, 0, tx.Now().Add(c.expires)) })
		if err == nil {
			t.Errorf("%+v: a job that can never run was stored", c)
		}
	}
}

func TestBackoff(t *testing.T) {
	w := kittest.New(t)
	ran := 0
	jobs.Handle(w.Jobs, "k", func(context.Context, int) error { ran++; return errors.New("no") })
	enqueue(t, w, "k", 0, 30*24*time.Hour)
	w.Drain(t)
	for n := 1; n < 12; n++ {
		base := min(time.Hour, time.Second<<(n-1))
		w.Pass(base - time.Millisecond)
		w.Drain(t)
		if ran != n {
			t.Fatalf("attempt %d came before %s", n+1, base)
		}
		w.Pass(base/4 + time.Millisecond)
		w.Drain(t)
		if ran != n+1 {
			t.Fatalf("attempt %d did not come after %s", n+1, base*5/4)
		}
	}
	w.Pass(24 * time.Hour)
	w.Drain(t)
	if b := backlog(t, w); ran != 12 || b.Parked != 1 || b.Ready != 0 {
		t.Errorf("%d attempts, %+v", ran, b)
	}
	var kept string
	if err := w.DB.QueryRow(t.Context(), `SELECT last_error FROM jobs`).Scan(&kept); err != nil || kept != "no" {
		t.Errorf("kept %q (%v)", kept, err)
	}
}

func TestRetryDropAndPanic(t *testing.T) {
	w := kittest.New(t)
	ran := map[string]int{}
	handle := func(kind string, err func() error) {
		jobs.Handle(w.Jobs, kind, func(context.Context, int) error { ran[kind]++; return err() })
		enqueue(t, w, kind, 0, time.Hour)
	}
	handle("retry", func() error { return fmt.Errorf("sending: %w", jobs.Retry(10*time.Minute, errors.New("slow down"))) })
	handle("drop", func() error { return jobs.Drop(errors.New("gone")) })
	handle("panic", func() error { panic("oh") })
	w.Drain(t)
	w.Pass(5 * time.Minute)
	w.Drain(t)
	if want := map[string]int{"retry": 1, "drop": 1, "panic": 2}; !maps.Equal(ran, want) {
		t.Errorf("%v, want %v", ran, want)
	}
	w.Pass(5 * time.Minute)
	w.Drain(t)
	if ran["retry"] != 2 {
		t.Error("did not come back when asked to")
	}
	if b := backlog(t, w); b.Ready != 2 {
		t.Errorf("%+v", b)
	}
}

func TestExpiry(t *testing.T) {
	w := kittest.New(t)
	ran := 0
	jobs.Handle(w.Jobs, "k", func(context.Context, int) error { ran++; return errors.New("no") })
	enqueue(t, w, "k", 0, time.Minute)
	w.Pass(time.Minute)
	w.Drain(t)
	if ran != 0 {
		t.Error("a job ran after it had expired")
	}
	if err := w.Jobs.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b := backlog(t, w); b.Ready != 0 {
		t.Errorf("an expired job is kept: %+v", b)
	}
	// One that would come again only after it expires is dropped at once.
	enqueue(t, w, "k", 0, 500*time.Millisecond)
	w.Drain(t)
	if b := backlog(t, w); ran != 1 || b.Ready != 0 {
		t.Errorf("%d, %+v", ran, b)
	}
}

func TestADeadWorkerGivesItsJobBack(t *testing.T) {
	w := kittest.New(t)
	dying := jobs.NewWorker(w.DB, w.Log)
	ctx, die := context.WithCancel(t.Context())
	jobs.Handle(dying, "k", func(context.Context, int) error { die(); runtime.Goexit(); return nil })
	var ran int
	jobs.Handle(w.Jobs, "k", func(context.Context, int) error { ran++; return nil })
	enqueue(t, w, "k", 0, time.Hour)
	var dead sync.WaitGroup
	dead.Go(func() { dying.RunOne(ctx) })
	dead.Wait()
	w.Drain(t)
	if ran != 0 {
		t.Fatal("a claimed job was run by another")
	}
	w.Pass(time.Minute)
	w.Drain(t)
	if b := backlog(t, w); ran != 1 || b.Ready != 0 {
		t.Errorf("%d, %+v", ran, b)
	}
}

// A worker that was believed dead finishes late: the job is another's now.
func TestALateFinishChangesNothing(t *testing.T) {
	w := kittest.New(t)
	slow := jobs.NewWorker(w.DB, w.Log)
	jobs.Handle(slow, "k", func(context.Context, int) error {
		w.Pass(2 * time.Minute) // the lease is over
		w.Drain(t)              // the other claims it, fails and puts it off
		return nil
	})
	jobs.Handle(w.Jobs, "k", func(context.Context, int) error { return errors.New("not yet") })
	enqueue(t, w, "k", 0, time.Hour)
	if _, err := slow.RunOne(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b := backlog(t, w); b.Ready != 1 {
		t.Errorf("who lost the lease deleted the job: %+v", b)
	}
}

func TestUnknownKindsAreLeftAlone(t *testing.T) {
	w := kittest.New(t)
	jobs.Handle(w.Jobs, "old", func(context.Context, int) error { return nil })
	enqueue(t, w, "new", 0, time.Hour)
	w.Drain(t)
	var attempts int
	if err := w.DB.QueryRow(t.Context(), `SELECT attempts FROM jobs`).Scan(&attempts); err != nil || attempts != 0 {
		t.Errorf("%d attempts at a job of a kind from the future (%v)", attempts, err)
	}
}

func TestAPayloadOfAnotherVersion(t *testing.T) {
	w := kittest.New(t)
	jobs.Handle(w.Jobs, "k", func(context.Context, struct{ N int }) error { t.Error("ran"); return nil })
	enqueue(t, w, "k", "hunter2", time.Hour)
	w.Drain(t)
	var kept string
	if err := w.DB.QueryRow(t.Context(), `SELECT last_error FROM jobs`).Scan(&kept); err != nil || kept == "" || strings.Contains(kept, "hunter2") {
		t.Errorf("kept %q (%v)", kept, err)
	}
}

// Sixteen workers, each claiming for itself: every job runs once.
func TestClaimSixteenAtOnce(t *testing.T) {
	w := kittest.New(t)
	const n = 40
	var ran [n]atomic.Int64
	for i := range n {
		enqueue(t, w, "k", i, time.Hour)
	}
	var all sync.WaitGroup
	for range 16 {
		worker := jobs.NewWorker(w.DB, w.Log)
		jobs.Handle(worker, "k", func(_ context.Context, i int) error { ran[i].Add(1); return nil })
		all.Go(func() {
			for backlog(t, w).Ready > 0 {
				if _, err := worker.RunOne(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	for i := range n {
		if got := ran[i].Load(); got != 1 {
			t.Errorf("job %d ran %d times", i, got)
		}
	}
}

// run starts a worker and returns a function that stops it and waits.
func run(t *testing.T, worker *jobs.Worker) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var gone sync.WaitGroup
	gone.Go(func() { worker.Run(ctx) })
	return func() { cancel(); gone.Wait() }
}

func TestRun(t *testing.T) {
	w := kittest.New(t)
	const n = 100
	var ran [n]atomic.Int64
	var left sync.WaitGroup
	left.Add(n)
	jobs.Handle(w.Jobs, "k", func(_ context.Context, i int) error {
		if ran[i].Add(1) == 1 {
			left.Done()
		}
		return nil
	})
	stop := run(t, w.Jobs)
	for i := range n {
		enqueue(t, w, "k", i, time.Hour)
	}
	left.Wait()
	stop()
	for i := range n {
		if got := ran[i].Load(); got != 1 {
			t.Errorf("job %d ran %d times", i, got)
		}
	}
	if b := backlog(t, w); b.Ready != 0 {
		t.Errorf("Run returned and left %+v", b)
	}
}

func TestRunWakesAtOnce(t *testing.T) {
	w := kittest.New(t)
	ran := make(chan struct{})
	jobs.Handle(w.Jobs, "k", func(context.Context, int) error { ran <- struct{}{}; return nil })
	defer run(t, w.Jobs)()
	least := time.Hour
	for range 5 { // by polling alone each would take a second
		for backlog(t, w).Ready > 0 { // else the worker could meet the job when it has written down the one before
			<-time.After(time.Millisecond)
		}
		begun := time.Now()
		enqueue(t, w, "k", 0, time.Hour)
		<-ran
		least = min(least, time.Since(begun))
	}
	if least > 500*time.Millisecond {
		t.Errorf("no job of five ran before %s: they wait for the next poll", least)
	}
}

func TestRunSeesJobsOfOtherNodes(t *testing.T) {
	w := kittest.New(t)
	other := w.Node(t)
	ran := make(chan struct{})
	jobs.Handle(w.Jobs, "k", func(context.Context, int) error { ran <- struct{}{}; return nil })
	defer run(t, w.Jobs)()
	if err := other.Tx(t.Context(), func(tx *db.Tx) error { return jobs.Enqueue(t.Context(), tx, "k", 0, tx.Now().Add(time.Hour)) }); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ran:
	case <-time.After(time.Minute): // whatever else the machine does
		t.Error("a job of another node was not seen")
	}
}

func TestStopLetsRunningJobsFinish(t *testing.T) {
	w := kittest.New(t)
	started, finish := make(chan struct{}), make(chan struct{})
	jobs.Handle(w.Jobs, "k", func(ctx context.Context, _ int) error {
		close(started)
		<-finish
		return ctx.Err()
	})
	stop := run(t, w.Jobs)
	enqueue(t, w, "k", 0, time.Hour)
	<-started
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	select {
	case <-stopped:
		t.Error("Run returned while a job was running")
	case <-time.After(50 * time.Millisecond):
	}
	close(finish)
	<-stopped
	if b := backlog(t, w); b.Ready != 0 {
		t.Errorf("the job that finished while stopping was not written down: %+v", b)
	}
}

func TestRunLeavesNothingBehind(t *testing.T) {
	w := kittest.New(t)
	w.Jobs.Every("short", time.Second, func(context.Context) error { return nil })
	w.Jobs.Every("long", time.Hour, func(context.Context) error { return nil })
	run(t, w.Jobs)()
	buf := make([]byte, 1<<20)
	if s := string(buf[:runtime.Stack(buf, true)]); strings.Contains(s, "jobs.(*Worker)") {
		t.Errorf("still running:\n%s", s)
	}
	var held int
	if err := w.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM job_leases WHERE holder <> '' AND until > $1`, w.DB.Now()).Scan(&held); err != nil || held != 0 {
		t.Errorf("%d leases were not given back (%v)", held, err)
	}
}

func TestEvery(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, time.Hour} {
		t.Run(interval.String(), func(t *testing.T) {
			w := kittest.New(t)
			a, b := w.Jobs, jobs.NewWorker(w.DB, w.Log)
			if w.Shared() {
				b = jobs.NewWorker(w.Node(t), w.Log)
			}
			var ran int
			var fail error
			for _, worker := range []*jobs.Worker{a, b} {
				worker.Every("x", interval, func(context.Context) error { ran++; return fail })
			}
			tick := func(worker *jobs.Worker) error { return worker.Tick(t.Context()) }
			turns := func() int {
				ran = 0
				if err := errors.Join(tick(a), tick(b)); err != nil {
					t.Fatal(err)
				}
				return ran
			}
			if !w.Shared() && interval == time.Second {
				b = a // one node: both are the holder
				if err := tick(a); err != nil || ran != 1 {
					t.Fatalf("%d, %v", ran, err)
				}
				return
			}
			for n := range 200 {
				if got := turns(); got != 1 {
					t.Fatalf("turn %d ran on %d nodes", n, got)
				}
				w.Pass(interval)
			}
			// An error comes out, and the next turn comes within a minute.
			fail = errors.New("no")
			ran = 0
			if err := errors.Join(tick(a), tick(b)); !errors.Is(err, fail) || ran != 1 {
				t.Fatalf("%d, %v", ran, err)
			}
			fail = nil
			w.Pass(time.Minute)
			if got := turns(); got != 1 {
				t.Errorf("%d turns a minute after an error", got)
			}
			if interval == time.Hour {
				w.Pass(time.Minute)
				if got := turns(); got != 0 {
					t.Errorf("%d turns a minute after a success", got)
				}
			}
		})
	}
}

func TestAShortTimerMovesWhenItsNodeDies(t *testing.T) {
	w := kittest.New(t)
	other := jobs.NewWorker(w.Node(t), w.Log)
	var here, there int
	w.Jobs.Every("x", time.Second, func(context.Context) error { here++; return nil })
	other.Every("x", time.Second, func(context.Context) error { there++; return nil })
	tick := func(worker *jobs.Worker) {
		if err := worker.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	tick(w.Jobs)
	for range 59 { // it says nothing any more
		w.Pass(time.Second)
		tick(other)
	}
	if here != 1 || there != 0 {
		t.Fatalf("%d and %d", here, there)
	}
	w.Pass(time.Second)
	tick(other)
	if there != 1 {
		t.Error("nobody took over")
	}
	tick(w.Jobs) // it was only slow, and comes back
	if here != 1 {
		t.Error("two nodes hold one timer")
	}
}

func TestRegisteringTwicePanics(t *testing.T) {
	w := jobs.NewWorker(nil, slog.New(slog.DiscardHandler))
	jobs.Handle(w, "k", func(context.Context, int) error { return nil })
	w.Every("t", time.Second, nil)
	for _, f := range []func(){
		func() { jobs.Handle(w, "k", func(context.Context, int) error { return nil }) },
		func() { w.Every("t", time.Hour, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		}()
	}
}

func BenchmarkEnqueueAndRun(b *testing.B) {
	w := kittest.New(b)
	var left sync.WaitGroup
	jobs.Handle(w.Jobs, "k", func(context.Context, int) error { left.Done(); return nil })
	ctx, stop := context.WithCancel(b.Context())
	var gone sync.WaitGroup
	gone.Go(func() { w.Jobs.Run(ctx) })
	for b.Loop() {
		left.Add(1)
		enqueue(b, w, "k", 0, time.Hour)
	}
	left.Wait()
	stop()
	gone.Wait()
}
