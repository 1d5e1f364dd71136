package token

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
)

// State says where a key is in its life.
type State string

const (
	Next     State = "next"     // published, signs later
	Active   State = "active"   // signs
	Retiring State = "retiring" // signs no more, verifies what it signed
)

// Listed is a key as lists show it: nothing of it is secret.
type Listed struct {
	ID, Alg   string
	State     State
	Activates time.Time
	Retires   time.Time // zero: not decided
}

// List returns the keys that verify, by algorithm, the newest first.
func List(ctx context.Context, q db.Q) ([]Listed, error) {
	rows, err := q.Query(ctx, `SELECT id, alg, activates_at, retires_at FROM signing_keys WHERE state = 'active' AND (retires_at = 0 OR retires_at > $1) ORDER BY alg, activates_at DESC, id`, q.Now())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Listed
	signs := map[string]bool{}
	for rows.Next() {
		k := Listed{State: Next}
		if err := rows.Scan(&k.ID, &k.Alg, db.Time(&k.Activates), db.Time(&k.Retires)); err != nil {
			return nil, err
		}
		if !k.Activates.After(q.Now()) {
			k.State = Active
			if signs[k.Alg] {
				k.State = Retiring
			}
			signs[k.Alg] = true
		}
		out = append(out, k)
	}
	return out, rows.Err()
}
