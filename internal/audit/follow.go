package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/jobs"
)

// followBatch is how many entries a follower takes at a time.
const followBatch = 1000

// Follower is handed entries in the order in which they were sealed, each once.
type Follower func(ctx context.Context, tx *db.Tx, es []Entry) error

// Follow makes w hand every entry, a second or two after it was sealed, to the
// followers, in one transaction for a batch. So what is made of the record costs
// nothing where it is written. name remembers how far they have come.
func Follow(w *jobs.Worker, d *db.DB, name string, followers ...Follower) {
	w.Every("audit.follow."+name, time.Second, func(ctx context.Context) error { return Catch(ctx, d, name, followers...) })
}

// Catch hands on all that was sealed since; Follow calls it. Two at once do no
// harm: one of them gives way.
func Catch(ctx context.Context, d *db.DB, name string, followers ...Follower) error {
	for {
		n, err := follow(ctx, d, name, followers)
		if errors.Is(err, errMoved) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("following the record: %w", err)
		}
		if n < followBatch {
			return nil
		}
	}
}

func follow(ctx context.Context, d *db.DB, name string, followers []Follower) (int, error) {
	var seq int64
	err := d.QueryRow(ctx, `SELECT seq FROM audit_followers WHERE name = $1`, name).Scan(&seq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	rows, err := read(ctx, d, `SELECT `+columns+` FROM audit WHERE seq > $1 AND seq > 0 ORDER BY seq LIMIT $2`, seq, followBatch)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	es := make([]Entry, len(rows))
	for i, r := range rows {
		es[i] = r.Entry
	}
	return len(rows), d.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `INSERT INTO audit_followers (name, seq) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET seq = excluded.seq WHERE audit_followers.seq = $3`, name, rows[len(rows)-1].seq, seq)
		if err != nil {
			return err
		}
		if n == 0 {
			return errMoved
		}
		for _, fn := range followers {
			if err := fn(ctx, tx, es); err != nil {
				return err
			}
		}
		return nil
	})
}

// keepTallies is how long hours are counted.
const keepTallies = 90 * 24 * time.Hour

// Tally counts entries by hour, as a Follower.
func Tally(ctx context.Context, tx *db.Tx, es []Entry) error {
	type cell struct {
		tenant string
		hour   int64
		name   string
	}
	counts := map[cell]int{}
	var order []cell
	for _, e := range es {
		c := cell{e.Tenant, e.At.Truncate(time.Hour).UnixMilli(), e.Type + " " + e.Outcome}
		if counts[c]++; counts[c] == 1 {
			order = append(order, c)
		}
	}
	for _, c := range order {
		if _, err := tx.Exec(ctx, `INSERT INTO audit_tallies (tenant_id, hour, name, n) VALUES ($1, $2, $3, $4)
			ON CONFLICT (tenant_id, hour, name) DO UPDATE SET n = audit_tallies.n + excluded.n`, c.tenant, c.hour, c.name, counts[c]); err != nil {
			return err
		}
	}
	return nil
}

// SweepTallies forgets hours of long ago; jobs calls it.
func SweepTallies(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM audit_tallies WHERE hour < $1`, tx.Now().Add(-keepTallies))
	return err
}

// Count is how often something happened in an hour.
type Count struct {
	Hour          time.Time
	Type, Outcome string
	N             int64
}

// Counts returns what was counted in a tenant since an hour, in order.
func Counts(ctx context.Context, q db.Q, tenant string, since time.Time) ([]Count, error) {
	rows, err := q.Query(ctx, `SELECT hour, name, n FROM audit_tallies WHERE tenant_id = $1 AND hour >= $2 ORDER BY hour, name`, tenant, since)
	if err != nil {
		return nil, fmt.Errorf("reading tallies: %w", err)
	}
	defer rows.Close()
	var out []Count
	for rows.Next() {
		var c Count
		var name string
		if err := rows.Scan(db.Time(&c.Hour), &name, &c.N); err != nil {
			return nil, fmt.Errorf("reading tallies: %w", err)
		}
		for i := len(name) - 1; i >= 0; i-- {
			if name[i] == ' ' {
				c.Type, c.Outcome = name[:i], name[i+1:]
				break
			}
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
