package journey

import (
	"context"
	"errors"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// An operator tries a draft before it is published. The draft is kept as it was
// at that moment (a snapshot, with a version below zero). A run of it is real in
// every effect - it sends, registers and locks - but its trace shows values, it is
// in no statistics, and no session or code comes of it.

// Snapshot keeps a graph to be tried and returns its version, which is used for
// nothing else ever. A graph that could not be published is fault.Invalid.
func Snapshot(ctx context.Context, tx *db.Tx, tenant apps.TenantID, g Graph) (version int64, err error) {
	if err := Refused(g.Check(refsIn(ctx, tx, tenant))); err != nil {
		return 0, err
	}
	version = -tx.Now().UnixMilli()
	n, err := tx.Exec(ctx, `INSERT INTO snapshots (tenant_id, id, version, graph, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (tenant_id, id, version) DO NOTHING`, tenant, g.ID, version, db.Text(g), tx.Now())
	if err == nil && n == 0 {
		return 0, fault.New(fault.Conflict, "Somebody tried this journey in this moment. Try again.")
	}
	return version, err
}

// Try is a run that an operator steers.
type Try struct {
	ID      string
	Tenant  apps.TenantID
	Journey string
	session string
	caller  Caller
}

func tryPlace(id string) string { return "tries/session/" + id }

// Begin starts a run of a snapshot (s.Version) for an operator, who steers it by
// the try's id.
func (e *Engine) Begin(ctx context.Context, s StartRequest, owner string) (Try, error) {
	reply, err := e.Start(ctx, s)
	if err != nil {
		return Try{}, err
	}
	s.Caller.Client = s.Client.ID
	t := Try{ID: db.NewID("try_"), Tenant: s.App.Tenant, Journey: s.Journey, session: reply.Session, caller: s.Caller}
	return t, e.kit.DB.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO tries (id, tenant_id, owner, journey, client_id, session, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			t.ID, t.Tenant, owner, t.Journey, t.caller.Client, tx.Vault().Seal(tryPlace(t.ID), []byte(t.session)), tx.Now().Add(Life))
		return err
	})
}

// FindTry returns the try that an operator began, to be steered by caller;
// fault.NotFound if it is not theirs or has run out.
func (e *Engine) FindTry(ctx context.Context, tenant apps.TenantID, owner, id string, caller Caller) (Try, error) {
	t := Try{ID: id, Tenant: tenant, caller: caller}
	var sealed []byte
	err := e.kit.DB.QueryRow(ctx, `SELECT journey, client_id, session FROM tries WHERE id = $1 AND tenant_id = $2 AND owner = $3 AND expires_at > $4`, id, tenant, owner, e.kit.DB.Now()).
		Scan(&t.Journey, &t.caller.Client, &sealed)
	if err != nil {
		return t, db.None(err, "try")
	}
	b, err := e.kit.DB.Vault().Open(tryPlace(id), sealed)
	t.session = string(b)
	return t, err
}

// Stand is where a try stands.
type Stand struct {
	Run     RunID
	Reply   Reply
	Trace   []Event // from the event asked for on
	Visit   string
	Started time.Time
}

// Look returns where a try stands, with its events from one on. If nothing is
// new since and the run waits for something, it is held until there is, for at
// most wait.
func (e *Engine) Look(ctx context.Context, t Try, after int, wait time.Duration) (Stand, error) {
	now, err := e.stand(ctx, t, after)
	if err != nil || len(now.Trace) > 0 || now.Reply.Prompt == nil || !now.Reply.Prompt.Poll || wait <= 0 {
		return now, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	_, err = e.Answer(ctx, Answer{Session: t.session, Caller: t.caller})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return Stand{}, err
	}
	return e.stand(context.WithoutCancel(ctx), t, after)
}

// Steer answers the prompt of a try.
func (e *Engine) Steer(ctx context.Context, t Try, option string, data map[string]any, after int) (Stand, error) {
	now, err := e.stand(ctx, t, after)
	if err != nil || now.Reply.End != nil {
		return now, err
	}
	reply, err := e.Answer(ctx, Answer{Session: t.session, Visit: now.Reply.Visit, Turn: now.Reply.Turn, Option: option, Data: data, Caller: t.caller})
	if err != nil {
		return Stand{}, err
	}
	now, err = e.stand(ctx, t, after)
	now.Reply.Problem = reply.Problem
	return now, err
}

func (e *Engine) stand(ctx context.Context, t Try, after int) (Stand, error) {
	r, err := e.load(ctx, &Answer{Session: t.session, Caller: t.caller})
	if err != nil {
		return Stand{}, err
	}
	if r.Paused {
		if _, err := e.resumed(ctx, Answer{Session: t.session, Caller: t.caller}); err != nil {
			return Stand{}, err
		}
		if r, err = loadKey(ctx, e.kit.DB, r.key); err != nil {
			return Stand{}, err
		}
	}
	return Stand{Run: r.ID, Reply: r.reply(), Trace: r.since(after), Visit: r.Visit, Started: r.Started}, nil
}

// EndTry forgets a try; its run runs out by itself.
func EndTry(ctx context.Context, tx *db.Tx, t Try) error {
	_, err := tx.Exec(ctx, `DELETE FROM tries WHERE id = $1`, t.ID)
	return err
}

// SweepTries deletes what was tried long ago; jobs calls it.
func SweepTries(ctx context.Context, tx *db.Tx) error {
	if _, err := tx.Exec(ctx, `DELETE FROM tries WHERE expires_at < $1`, tx.Now()); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM snapshots WHERE created_at < $1`, tx.Now().Add(-48*time.Hour))
	return err
}
