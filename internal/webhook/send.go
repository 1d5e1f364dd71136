package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/notify"
)

const (
	job      = "webhook"
	patience = 24 * time.Hour   // how long somebody is told again
	first    = 10 * time.Second // before the second attempt; then twice as long each time
	longest  = 2 * time.Hour
	bound    = 10 * time.Second // one attempt
)

// testEvent is the type of what Test tells of.
const testEvent = "webhook.test"

// Post carries a document out by the guarded client and returns what was answered:
// a status and the beginning of its text. An error means that nothing was.
type Post func(ctx context.Context, url string, header map[string]string, body json.RawMessage) (status int, text string, err error)

// Sender tells hooks.
type Sender struct {
	DB   *db.DB
	Post Post
}

type message struct {
	Hook    string          `json:"hook"`
	Tenant  string          `json:"tenant"`
	Event   string          `json:"event"`
	Type    string          `json:"type"`
	Attempt int             `json:"attempt"`
	Until   time.Time       `json:"until"`
	Body    json.RawMessage `json:"body"`
}

// Serve makes w tell hooks what Offer queued.
func (s Sender) Serve(w *jobs.Worker) { jobs.Handle(w, job, s.deliver) }

// Offer queues what hooks asked for, as an audit.Follower. A hook hears of
// nothing from before it was made.
func Offer(ctx context.Context, tx *db.Tx, es []audit.Entry) error {
	hooks := map[string][]Hook{}
	for _, e := range es {
		if _, known := hooks[e.Tenant]; !known {
			list, err := List(ctx, tx, e.Tenant)
			if err != nil {
				return err
			}
			hooks[e.Tenant] = list
		}
		for _, h := range hooks[e.Tenant] {
			if !h.Enabled || !h.Wants(e.Type) || e.At.Before(h.Created) {
				continue
			}
			body, err := document(e)
			if err != nil {
				return err
			}
			m := message{h.ID, h.Tenant, e.ID, e.Type, 1, tx.Now().Add(patience), body}
			if err := jobs.Enqueue(ctx, tx, job, m, m.Until); err != nil {
				return err
			}
		}
	}
	return nil
}

// deliver makes one attempt, unless the hook was told by hand meanwhile. What came
// of it and the next attempt are one transaction; a repeat after a crash tells the
// hook the same event again, which it knows by its id.
func (s Sender) deliver(ctx context.Context, m message) error {
	h, err := Find(ctx, s.DB, m.Tenant, m.Hook)
	if fault.Is(err, fault.NotFound) || err == nil && !h.Enabled {
		return nil
	}
	if err != nil {
		return err
	}
	if newest, err := Deliveries(ctx, s.DB, h.ID, Filter{Event: m.Event, Limit: 1}); err != nil || len(newest) > 0 && newest[0].OK {
		return err
	}
	d := s.attempt(ctx, h, m.Body)
	d.Event, d.Type, d.Attempt = m.Event, m.Type, m.Attempt
	return s.DB.Tx(ctx, func(tx *db.Tx) error {
		next := tx.Now().Add(min(first<<min(m.Attempt-1, 20), longest))
		if !d.OK && next.Before(m.Until) {
			d.Next = next
		}
		if err := keep(ctx, tx, h.ID, d); err != nil || d.Next.IsZero() {
			return err
		}
		m.Attempt++
		return jobs.EnqueueAt(ctx, tx, job, m, next, m.Until)
	})
}

// Again tells a hook at once what it was to be told, from the record, and returns
// what came of it. What is planned stays planned until the hook was told;
// fault.NotFound if the attempt or its event is not kept any more.
func (s Sender) Again(ctx context.Context, h Hook, delivery string) (Delivery, error) {
	was, err := findDelivery(ctx, s.DB, h.ID, delivery)
	if err != nil {
		return Delivery{}, err
	}
	if was.Type == testEvent {
		return s.Test(ctx, h)
	}
	e, err := audit.Recall(ctx, s.DB, h.Tenant, was.Event)
	if err != nil {
		return Delivery{}, err
	}
	body, err := document(e)
	if err != nil {
		return Delivery{}, err
	}
	d := s.attempt(ctx, h, body)
	d.Event, d.Type = was.Event, was.Type
	return d, s.DB.Tx(ctx, func(tx *db.Tx) error {
		newest, err := Deliveries(ctx, tx, h.ID, Filter{Event: d.Event, Limit: 1})
		if err != nil {
			return err
		}
		d.Attempt = 1
		for _, n := range newest {
			d.Attempt = n.Attempt + 1
			if !d.OK && n.Next.After(tx.Now()) {
				d.Next = n.Next
			}
		}
		return keep(ctx, tx, h.ID, d)
	})
}

func (s Sender) attempt(ctx context.Context, h Hook, body json.RawMessage) Delivery {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	begun := s.DB.Now()
	var d Delivery
	secret, err := secretOf(ctx, s.DB, h.ID)
	if err == nil {
		d.Status, d.Answer, err = s.Post(ctx, h.URL, map[string]string{"Watchword-Signature": notify.Signature(secret, begun, body), "User-Agent": "Watchword"}, body)
	}
	if d.OK = err == nil && d.Status/100 == 2; err != nil {
		d.Answer = said(err)
	}
	d.Took = s.DB.Now().Sub(begun)
	return d
}

// said is what an operator reads of a failed attempt.
func said(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer within 10 seconds"
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the address stands beside it
	}
	text := []rune(err.Error())
	return string(text[:min(len(text), 500)])
}

func keep(ctx context.Context, tx *db.Tx, hook string, d Delivery) error {
	_, err := tx.Exec(ctx, `INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, attempt, ok, status, answer, took, at, next_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		db.NewID("whd_"), hook, d.Event, d.Type, d.Attempt, d.OK, d.Status, d.Answer, d.Took.Milliseconds(), tx.Now(), d.Next)
	return err
}

// Test tells a hook of nothing, at once, and returns what came of it.
func (s Sender) Test(ctx context.Context, h Hook) (Delivery, error) {
	now := s.DB.Now()
	id := db.NewID("aud_")
	body, err := document(audit.Entry{ID: id, At: now, Event: audit.Event{Tenant: h.Tenant, Type: testEvent, Outcome: "success"}})
	if err != nil {
		return Delivery{}, err
	}
	d := s.attempt(ctx, h, body)
	d.Event, d.Type, d.Attempt = id, testEvent, 1
	return d, s.DB.Tx(ctx, func(tx *db.Tx) error { return keep(ctx, tx, h.ID, d) })
}
