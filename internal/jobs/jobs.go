// Package jobs is a durable queue in the database, and the timers beside it.
//
// A job is enqueued in the transaction that makes it necessary, so it exists if
// and only if that commits. A worker claims a job by moving its run_at ahead: a
// worker that dies gives it back. So a job runs at least once, sometimes twice,
// and its handler must make the second time harmless. Payloads are sealed at
// rest.
//
// The package promises no order between jobs, returns no result to who enqueued
// them, and keeps no history of those that succeeded.
package jobs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
)

// topic is signalled, on this node only, when a job that is due was enqueued.
const topic = "jobs"

// Enqueue stores a job of kind to run now, and to be forgotten at expires even
// if it never succeeded: what comes too late is noise. payload must encode to
// JSON. The job exists if and only if tx commits.
func Enqueue(ctx context.Context, tx *db.Tx, kind string, payload any, expires time.Time) error {
	return EnqueueAt(ctx, tx, kind, payload, tx.Now(), expires)
}

// EnqueueAt is Enqueue for a job that is due at runAt.
func EnqueueAt(ctx context.Context, tx *db.Tx, kind string, payload any, runAt, expires time.Time) error {
	if kind == "" || !expires.After(runAt) {
		return fmt.Errorf("jobs: a job of kind %q that expires at %s could never run at %s", kind, expires, runAt)
	}
	b, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encoding a job of kind %s: %w", kind, err)
	}
	id := "job_" + rand.Text()
	_, err = tx.Exec(ctx, `INSERT INTO jobs (id, kind, payload, state, run_at, expires_at, attempts, last_error, created_at)
		VALUES ($1, $2, $3, 'ready', $4, $5, 0, '', $6)`, id, kind, tx.Vault().Seal(place(id), b), runAt, expires, tx.Now())
	if err != nil {
		return fmt.Errorf("enqueueing a job of kind %s: %w", kind, err)
	}
	if !runAt.After(tx.Now()) {
		tx.SignalHere(topic)
	}
	return nil
}

// Retry is what a handler returns to be called again after d, for instance
// because a provider asked for it. The attempt counts like any other.
func Retry(d time.Duration, err error) error { return &verdict{err: err, after: max(d, 0)} }

// Drop is what a handler returns when no further attempt can help: the job is
// deleted and err logged.
func Drop(err error) error { return &verdict{err: err, drop: true} }

type verdict struct {
	err   error
	after time.Duration
	drop  bool
}

func (v *verdict) Error() string { return v.err.Error() }
func (v *verdict) Unwrap() error { return v.err }

// Backlog is the state of the queue.
type Backlog struct {
	Ready  int       // waiting, put off or being run
	Parked int       // given up after too many attempts
	Oldest time.Time // when the oldest job that waits was due; zero when none waits
}

// Survey counts the queue.
func Survey(ctx context.Context, q db.Q) (Backlog, error) {
	var b Backlog
	err := q.QueryRow(ctx, `SELECT
			(SELECT COUNT(*) FROM jobs WHERE state = 'ready'),
			(SELECT COUNT(*) FROM jobs WHERE state = 'parked'),
			(SELECT COALESCE(MIN(run_at), 0) FROM jobs WHERE state = 'ready' AND run_at <= $1)`, q.Now()).
		Scan(&b.Ready, &b.Parked, db.Time(&b.Oldest))
	if err != nil {
		return Backlog{}, fmt.Errorf("counting jobs: %w", err)
	}
	return b, nil
}

// Sweep deletes what has expired: jobs at once, parked ones a week later so
// that somebody can look at them.
func Sweep(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM jobs WHERE expires_at <= $1 AND (state = 'ready' OR expires_at <= $2)`,
		tx.Now(), tx.Now().Add(-keepParked))
	if err != nil {
		return fmt.Errorf("sweeping jobs: %w", err)
	}
	return nil
}

func place(id string) string { return "jobs/payload/" + id }

func asVerdict(err error) (*verdict, bool) { return errors.AsType[*verdict](err) }
