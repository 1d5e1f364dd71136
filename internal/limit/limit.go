// Package limit bounds how often and how much: durable counters that hold for
// all nodes together, token buckets in memory for addresses, and slots for what
// may be held at once.
//
// It knows no policy; callers say what is counted and how much is too much. The
// lockout of accounts is another thing and lives elsewhere.
package limit

import (
	"context"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Take counts one use of key and refuses it, with fault.Limited and the time
// until the window ends, when max uses were taken already. The window begins
// with its first use. One conditional statement counts and judges, so it is
// exact for any number of nodes; a refused use is not counted, and neither is
// one whose transaction does not commit. The key is stored as a keyed hash.
func Take(ctx context.Context, tx *db.Tx, key string, max int, window time.Duration) error {
	id, now := counter(tx, key), tx.Now()
	if max < 1 {
		return refusal(window)
	}
	n, err := tx.Exec(ctx, `INSERT INTO counters (id, taken, ends_at) VALUES ($1, 1, $2)
		ON CONFLICT (id) DO UPDATE SET
			taken = CASE WHEN counters.ends_at <= $3 THEN 1 ELSE counters.taken + 1 END,
			ends_at = CASE WHEN counters.ends_at <= $3 THEN excluded.ends_at ELSE counters.ends_at END
		WHERE counters.ends_at <= $3 OR counters.taken < $4`, id, now.Add(window), now, max)
	if err != nil {
		return fmt.Errorf("counting: %w", err)
	}
	if n == 1 {
		return nil
	}
	var ends time.Time
	if err := tx.QueryRow(ctx, `SELECT ends_at FROM counters WHERE id = $1`, id).Scan(db.Time(&ends)); err != nil {
		return fmt.Errorf("counting: %w", err)
	}
	return refusal(ends.Sub(now))
}

// Sweep deletes the counters whose window is over.
func Sweep(ctx context.Context, tx *db.Tx) error {
	if _, err := tx.Exec(ctx, `DELETE FROM counters WHERE ends_at <= $1`, tx.Now()); err != nil {
		return fmt.Errorf("sweeping counters: %w", err)
	}
	return nil
}

func counter(q db.Q, key string) string { return q.Vault().Hash("limit", key) }

func refusal(wait time.Duration) error {
	return fault.New(fault.Limited, "Too many requests. Wait and try again.").After(wait)
}
