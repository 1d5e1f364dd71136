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
