package kittest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
)

func TestWorld(t *testing.T) {
	w := kittest.New(t)
	var ran int
	jobs.Handle(w.Jobs, "count", func(_ context.Context, by int) error {
		if ran += by; ran == 2 {
			return errors.New("again, please")
		}
		return nil
	})
	w.Do(t, func(tx *db.Tx) error { return jobs.Enqueue(t.Context(), tx, "count", 2, tx.Now().Add(time.Hour)) })
	w.Drain(t)
	if ran != 2 {
		t.Fatalf("the job left %d, not 2", ran)
	}
	w.Drain(t)
	if ran != 2 {
		t.Fatal("a job that failed came back before time passed")
	}
	w.Pass(time.Minute)
	w.Drain(t)
	if ran != 4 {
		t.Fatalf("a job that failed did not come back: %d", ran)
	}
	w.Pass(time.Minute)
	w.Drain(t)
	if ran != 4 {
		t.Fatal("a job that succeeded came back")
	}
}

// verdict is what a test would have been told.
type verdict struct {
	testing.TB
	failed bool
}

func (v *verdict) Errorf(string, ...any) { v.failed = true }

// TestPrompt: what is late twice is forgiven, what is late each time is not.
func TestPrompt(t *testing.T) {
	for late, want := range []bool{false, false, false, true} {
		v, tries := &verdict{TB: t}, 0
		kittest.Prompt(v, time.Second, "an answer", func() time.Duration {
			if tries++; tries <= late {
				return time.Minute
			}
			return time.Second
		})
		if v.failed != want || tries != min(late+1, 3) {
			t.Errorf("late %d times: failed %v after %d tries", late, v.failed, tries)
		}
	}
}

// TestAlike: that a machine is busy on one side is no difference, that one side does
// half as much again is one, however busy the machine.
func TestAlike(t *testing.T) {
	for name, c := range map[string]struct {
		more   time.Duration
		failed bool
	}{"the same": {0, false}, "half as much again": {5 * time.Millisecond, true}} {
		v, batches := &verdict{TB: t}, 0
		kittest.Alike(v, 1.2, name, func() (took [2][]time.Duration) {
			batches++
			for n := range time.Duration(20) {
				busy := n % 3 * 20 * time.Millisecond
				took[0] = append(took[0], 10*time.Millisecond+c.more+busy)
				took[1] = append(took[1], 10*time.Millisecond+busy*time.Duration(batches%2))
			}
			return took
		})
		if v.failed != c.failed {
			t.Errorf("%s: failed %v after %d batches", name, v.failed, batches)
		}
	}
}
