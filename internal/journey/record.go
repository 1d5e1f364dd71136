package journey

import (
	"context"
	"encoding/json"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// How a run went, as its record says it.
const (
	Completed = "completed"
	Rejected  = "rejected"
	Abandoned = "abandoned" // nobody answered until it ran out
	Open      = "open"      // it goes on
)

// Record is what is kept of a run: where it went and how it ended, and nothing
// that anybody typed.
type Record struct {
	ID      RunID
	Tenant  apps.TenantID
	App     apps.ID
	Client  apps.ClientID
	Journey string
	Version int64
	User    directory.UserID // proven, or whom the run was about
	Outcome string
	Reason  string
	Node    string // where it ended or stands
	Steps   int
	Started time.Time
	Ended   time.Time // zero: not yet
	Trace   []Event   // only of one record that is read by its id
}

const recordColumns = `id, tenant_id, app_id, client_id, journey, version, user_id, outcome, reason, node, steps, started_at, ended_at`

func tracePlace(id RunID) string { return "run_records/trace/" + string(id) }

// record is what is kept of r, as it stands.
func (r *run) record() Record {
	top := r.Frames[0]
	rec := Record{ID: r.ID, Tenant: r.Tenant, App: r.App, Client: r.Client, Journey: top.Journey, Version: top.Version, User: r.Subject, Outcome: Open,
		Node: top.Node, Steps: r.Visits, Started: r.Started, Ended: r.EndedAt, Trace: r.Trace}
	if r.End != nil {
		rec.Outcome, rec.Reason = Rejected, r.End.Reason
		if r.End.OK {
			rec.Outcome = Completed
		}
	}
	return rec
}

// keep stores a record, once. Whoever calls it has seen that no operator tried the
// run: such a run is no visitor.
func (rec Record) keep(ctx context.Context, tx *db.Tx) error {
	trace := tx.Vault().Seal(tracePlace(rec.ID), []byte(db.Text(rec.Trace)))
	_, err := tx.Exec(ctx, `INSERT INTO run_records (`+recordColumns+`, trace) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (id) DO NOTHING`,
		rec.ID, rec.Tenant, rec.App, rec.Client, rec.Journey, rec.Version, rec.User, rec.Outcome, rec.Reason, rec.Node, rec.Steps, rec.Started, rec.Ended, trace)
	return err
}

func (rec *Record) scan(scan func(...any) error, more ...any) error {
	return scan(append([]any{&rec.ID, &rec.Tenant, &rec.App, &rec.Client, &rec.Journey, &rec.Version, &rec.User, &rec.Outcome, &rec.Reason, &rec.Node, &rec.Steps,
		db.Time(&rec.Started), db.Time(&rec.Ended)}, more...)...)
}

// Filter narrows a list of records; what is empty narrows nothing.
type Filter struct {
	Journey string
	App     apps.ID
	Outcome string
	User    directory.UserID
	Node    string
	Before  RunID // newest first: only older ones than this
	Limit   int
}

// Records returns the records of a tenant's runs, newest first.
func Records(ctx context.Context, q db.Q, tenant apps.TenantID, f Filter) ([]Record, error) {
	rows, err := q.Query(ctx, `SELECT `+recordColumns+` FROM run_records WHERE tenant_id = $1 AND (journey = $2 OR $2 = '') AND (app_id = $3 OR $3 = '')
		AND (outcome = $4 OR $4 = '') AND (user_id = $5 OR $5 = '') AND (node = $6 OR $6 = '') AND (id < $7 OR $7 = '') ORDER BY id DESC LIMIT $8`,
		tenant, f.Journey, f.App, f.Outcome, f.User, f.Node, f.Before, f.Limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []Record{}
	for rows.Next() {
		var rec Record
		if err := rec.scan(rows.Scan); err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, rows.Err()
}

// FindRecord returns one record with its trace; fault.NotFound if there is none.
func FindRecord(ctx context.Context, q db.Q, tenant apps.TenantID, id RunID) (rec Record, err error) {
	var sealed []byte
	err = rec.scan(q.QueryRow(ctx, `SELECT `+recordColumns+`, trace FROM run_records WHERE id = $1 AND tenant_id = $2`, id, tenant).Scan, &sealed)
	if err != nil {
		return rec, db.None(err, "run")
	}
	rec.Trace, err = openTrace(q, id, sealed)
	return rec, err
}

func openTrace(q db.Q, id RunID, sealed []byte) (trace []Event, err error) {
	b, err := q.Vault().Open(tracePlace(id), sealed)
	if err != nil {
		return nil, err
	}
	return trace, json.Unmarshal(b, &trace)
}

// OpenRuns returns runs of a tenant that go on, newest first and at most limit.
func OpenRuns(ctx context.Context, q db.Q, tenant apps.TenantID, limit int) ([]Record, error) {
	keys, err := db.Column[string](ctx, q, `SELECT id FROM runs WHERE tenant_id = $1 AND state = 'running' AND expires_at > $2 ORDER BY created_at DESC LIMIT $3`, tenant, q.Now(), limit)
	if err != nil {
		return nil, err
	}
	out := []Record{}
	for _, key := range keys {
		r, err := loadKey(ctx, q, key)
		if fault.Is(err, fault.Expired) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !r.Test {
			out = append(out, r.record())
		}
	}
	return out, nil
}

// NodeStats is how often runs came to a node, and by which way they left it.
type NodeStats struct {
	Entered int            `json:"entered"`
	Left    map[string]int `json:"left"`
}

// Stats is how the newest runs of a journey went.
type Stats struct {
	Runs, Completed, Rejected, Abandoned int
	Nodes                                map[string]NodeStats
	Capped                               bool // there were more: these are the newest
}

const maxStats = 2000

// Measure counts how the runs of a journey went that started after a time; of
// very many, the newest.
func Measure(ctx context.Context, q db.Q, tenant apps.TenantID, journey string, after time.Time) (Stats, error) {
	s := Stats{Nodes: map[string]NodeStats{}}
	rows, err := q.Query(ctx, `SELECT `+recordColumns+`, trace FROM run_records WHERE tenant_id = $1 AND journey = $2 AND started_at > $3 ORDER BY id DESC LIMIT $4`, tenant, journey, after, maxStats)
	if err != nil {
		return s, err
	}
	defer rows.Close()
	for rows.Next() {
		var rec Record
		var sealed []byte
		if err := rec.scan(rows.Scan, &sealed); err != nil {
			return s, err
		}
		if rec.Trace, err = openTrace(q, rec.ID, sealed); err != nil {
			return s, err
		}
		s.add(rec)
	}
	s.Capped = s.Runs == maxStats
	return s, rows.Err()
}

func (s *Stats) add(rec Record) {
	s.Runs++
	switch rec.Outcome {
	case Completed:
		s.Completed++
	case Rejected:
		s.Rejected++
	case Abandoned:
		s.Abandoned++
	}
	for _, e := range rec.Trace {
		if e.Journey != "" {
			continue
		}
		n := s.Nodes[e.Node]
		switch e.What {
		case Entered:
			n.Entered++
		case Left:
			if n.Left == nil {
				n.Left = map[string]int{}
			}
			n.Left[e.Outcome]++
		}
		s.Nodes[e.Node] = n
	}
}

const sweepBatch = 200

// Sweep deletes runs that ran out and keeps a record of those that nobody
// finished; jobs calls it. It does some hundred at a time and reports whether
// there may be more.
func Sweep(ctx context.Context, tx *db.Tx) (more bool, err error) {
	keys, err := db.Column[string](ctx, tx, `SELECT id FROM runs WHERE expires_at < $1 AND state = 'running' LIMIT $2`, tx.Now(), sweepBatch)
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		if err := abandon(ctx, tx, key); err != nil {
			return false, err
		}
	}
	if len(keys) == sweepBatch {
		return true, nil
	}
	_, err = tx.Exec(ctx, `DELETE FROM runs WHERE expires_at < $1 AND state <> 'running'`, tx.Now())
	return false, err
}

// abandon turns a run that ran out into its record.
func abandon(ctx context.Context, tx *db.Tx, key string) error {
	r, err := readRow(ctx, tx, key)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `DELETE FROM runs WHERE id = $1 AND rev = $2`, key, r.rev)
	if err != nil || n == 0 || r.Test {
		return err
	}
	rec := r.record()
	rec.Outcome, rec.Ended = Abandoned, r.Started.Add(Life)
	return rec.keep(ctx, tx)
}

// SweepRecords deletes the records of a tenant's runs that ended before a time.
func SweepRecords(ctx context.Context, tx *db.Tx, tenant apps.TenantID, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM run_records WHERE ended_at < $1 AND tenant_id = $2`, before, tenant)
	return err
}
