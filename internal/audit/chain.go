package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/jobs"
)

// The chain: row n carries HMAC(row n, hash of row n-1) under a key of the
// vault, and the head, authenticated the same way, says where the chain begins
// and ends. Whoever can write to the database but has not the master key can
// neither alter, delete, insert nor reorder a sealed row unnoticed. What a chain
// cannot show: changes within the second before a row is sealed, and a database
// put back as a whole to an earlier state.
//
// Rows are chained after they were written, in one place at a time, because a
// head that every transaction moves was measured at a tenth of the throughput.

const (
	sealEvery = time.Second
	sealBatch = 200 // rows a transaction, so that the one writer of SQLite is free again soon
)

// Serve makes w seal the record, on one node at a time.
func Serve(w *jobs.Worker, d *db.DB) {
	w.Every("audit.seal", sealEvery, func(ctx context.Context) error { return Seal(ctx, d) })
}

// Seal appends every row that is not yet in the chain to it. Two at once do no
// harm: one of them gives way.
func Seal(ctx context.Context, d *db.DB) error {
	for {
		// Rows never change, so they can be read before the transaction, which then
		// depends on nothing that writers of the record touch.
		rows, err := read(ctx, d, `SELECT `+columns+` FROM audit WHERE seq = 0 ORDER BY id LIMIT $1`, sealBatch)
		if err != nil || len(rows) == 0 {
			return err
		}
		err = d.Tx(ctx, func(tx *db.Tx) error { return seal(ctx, tx, rows) })
		if errors.Is(err, errMoved) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("sealing the record: %w", err)
		}
		if len(rows) < sealBatch {
			return nil
		}
	}
}

var errMoved = errors.New("somebody else seals")

func seal(ctx context.Context, tx *db.Tx, rows []row) error {
	h, err := head(ctx, tx)
	if err != nil {
		return err
	}
	was := h.mac
	for i := range rows {
		r := &rows[i]
		r.seq, r.hash = h.Seq+1, r.chainedAt(tx, h.Seq+1, h.Hash)
		h.Seq, h.Hash = r.seq, r.hash
	}
	// The head comes first: it is the one row that every sealer writes, so of two
	// at once the second waits here, and never for a place in the chain.
	if err := move(ctx, tx, h, was); err != nil {
		return err
	}
	for _, r := range rows {
		n, err := tx.Exec(ctx, `UPDATE audit SET seq = $1, hash = $2 WHERE id = $3 AND seq = 0`, r.seq, r.hash, r.ID)
		if err != nil {
			return err
		}
		if n != 1 {
			return errMoved
		}
	}
	return nil
}

// chainHead is where the chain begins and ends. Base is the last row that Prune
// took away.
type chainHead struct {
	BaseSeq  int64
	BaseHash string
	Seq      int64
	Hash     string
	mac      string
}

func (h chainHead) authenticated(q db.Q) string {
	return q.Vault().Hash("audit/head", db.Text([]any{h.BaseSeq, h.BaseHash, h.Seq, h.Hash}))
}

var errHead = errors.New("the head of the record was altered or removed")

func head(ctx context.Context, q db.Q) (chainHead, error) {
	var h chainHead
	err := q.QueryRow(ctx, `SELECT base_seq, base_hash, seq, hash, mac FROM audit_head WHERE id = 'chain'`).
		Scan(&h.BaseSeq, &h.BaseHash, &h.Seq, &h.Hash, &h.mac)
	if errors.Is(err, sql.ErrNoRows) {
		return unbegun(ctx, q)
	}
	if err != nil {
		return chainHead{}, fmt.Errorf("reading the head of the record: %w", err)
	}
	if h.mac != h.authenticated(q) {
		return chainHead{}, errHead
	}
	return h, nil
}

// unbegun returns the head of an empty chain, if it really is empty.
func unbegun(ctx context.Context, q db.Q) (chainHead, error) {
	var sealed int
	if err := q.QueryRow(ctx, `SELECT COUNT(*) FROM audit WHERE seq = 1`).Scan(&sealed); err != nil {
		return chainHead{}, fmt.Errorf("reading the head of the record: %w", err)
	}
	if sealed > 0 {
		return chainHead{}, errHead
	}
	return chainHead{}, nil
}

// move stores h if the head is still the one authenticated by was.
func move(ctx context.Context, tx *db.Tx, h chainHead, was string) error {
	n, err := tx.Exec(ctx, `INSERT INTO audit_head (id, base_seq, base_hash, seq, hash, mac) VALUES ('chain', $1, $2, $3, $4, $5)
		ON CONFLICT (id) DO UPDATE SET base_seq = excluded.base_seq, base_hash = excluded.base_hash,
			seq = excluded.seq, hash = excluded.hash, mac = excluded.mac
		WHERE audit_head.mac = $6`, h.BaseSeq, h.BaseHash, h.Seq, h.Hash, h.authenticated(tx), was)
	if err != nil {
		return err
	}
	if n != 1 {
		return errMoved
	}
	return nil
}

// chained is the hash of r, where it stands, behind a row whose hash is prev.
func (r row) chained(q db.Q, prev string) string { return r.chainedAt(q, r.seq, prev) }

func (r row) chainedAt(q db.Q, seq int64, prev string) string {
	return q.Vault().Hash("audit/chain", db.Text([]any{prev, seq, r.ID, r.Tenant, r.App, r.Client, r.At.UnixMilli(), r.Type, r.Outcome,
		r.Reason, r.Actor, r.Target, r.Run, r.Device, r.IP, r.UserAgent, r.data}))
}

// Verdict is what Verify found.
type Verdict struct {
	Intact  bool
	Checked int64  // rows that are as they were written
	Waiting int64  // rows not sealed yet, which cannot be checked
	Problem string // of the first row that is wrong; empty when Intact
	Seq     int64  // its place in the chain
	ID      string // its id, where it still has one
}

// Verify walks the whole chain and names the first row that was altered,
// deleted, inserted or moved.
func Verify(ctx context.Context, q db.Q) (Verdict, error) {
	h, err := head(ctx, q)
	if errors.Is(err, errHead) {
		return Verdict{Problem: errHead.Error()}, nil
	}
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{}
	seq, hash := h.BaseSeq, h.BaseHash
	for seq < h.Seq {
		rows, err := read(ctx, q, `SELECT `+columns+` FROM audit WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3`, seq, h.Seq, sealBatch)
		if err != nil {
			return Verdict{}, err
		}
		for _, r := range rows {
			switch {
			case r.seq != seq+1:
				v.Problem, v.Seq = "deleted", seq+1
				return v, nil
			case r.hash != r.chained(q, hash):
				v.Problem, v.Seq, v.ID = "altered", r.seq, r.ID
				return v, nil
			}
			seq, hash = r.seq, r.hash
			v.Checked++
		}
		if len(rows) == 0 {
			v.Problem, v.Seq = "deleted", seq+1
			return v, nil
		}
	}
	if hash != h.Hash {
		v.Problem, v.Seq = "the chain does not end where its head says", h.Seq
		return v, nil
	}
	var early int64
	err = q.QueryRow(ctx, `SELECT COUNT(*), (SELECT COUNT(*) FROM audit WHERE seq < 0 OR (seq > 0 AND seq <= $1)) FROM audit WHERE seq = 0`, h.BaseSeq).
		Scan(&v.Waiting, &early)
	if err != nil {
		return Verdict{}, fmt.Errorf("counting the record: %w", err)
	}
	if early > 0 {
		v.Problem = "inserted before the beginning of the chain"
		return v, nil
	}
	v.Intact = true
	return v, nil
}

// Prune deletes sealed rows from before, oldest first and at most some hundred
// at a time, and moves the beginning of the chain behind them. It returns how
// many it deleted; call it until that is 0.
func Prune(ctx context.Context, tx *db.Tx, before time.Time) (int64, error) {
	h, err := head(ctx, tx)
	if err != nil {
		return 0, err
	}
	was := h.mac
	rows, err := read(ctx, tx, `SELECT `+columns+` FROM audit WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3`, h.BaseSeq, h.Seq, sealBatch)
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		if !r.At.Before(before) {
			break
		}
		h.BaseSeq, h.BaseHash = r.seq, r.hash
	}
	n, err := tx.Exec(ctx, `DELETE FROM audit WHERE seq > 0 AND seq <= $1`, h.BaseSeq)
	if err != nil {
		return 0, fmt.Errorf("pruning the record: %w", err)
	}
	if n == 0 {
		return 0, nil
	}
	if err := move(ctx, tx, h, was); err != nil {
		return 0, fmt.Errorf("pruning the record: %w", err)
	}
	return n, nil
}

const columns = `id, tenant_id, app_id, client_id, at, type, outcome, reason, actor, target, run_id, device_id, ip, user_agent, data, seq, hash`

type row struct {
	Entry
	data string // as it is stored
	seq  int64
	hash string
}

func read(ctx context.Context, q db.Q, query string, args ...any) ([]row, error) {
	found, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the record: %w", err)
	}
	defer found.Close()
	var rows []row
	for found.Next() {
		var r row
		if err := found.Scan(&r.ID, &r.Tenant, &r.App, &r.Client, db.Time(&r.At), &r.Type, &r.Outcome, &r.Reason, &r.Actor, &r.Target,
			&r.Run, &r.Device, &r.IP, &r.UserAgent, &r.data, &r.seq, &r.hash); err != nil {
			return nil, fmt.Errorf("reading the record: %w", err)
		}
		// What is not JSON was altered; Verify says so, and a reader sees no data.
		json.Unmarshal([]byte(r.data), &r.Data)
		rows = append(rows, r)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("reading the record: %w", err)
	}
	return rows, nil
}
