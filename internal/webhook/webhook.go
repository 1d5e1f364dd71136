// Package webhook tells others what happened: it follows the record and posts
// what they asked for, signed, again and again for a day. It decides nothing, and
// what it tells holds nothing that the record does not.
package webhook

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// maxHooks bounds how many a tenant has, and so what one event costs.
const maxHooks = 20

// Hook is somebody who is told.
type Hook struct {
	ID      string
	Tenant  string
	URL     string
	Events  []string // exactly, or a family: "push.*"; "*" is everything
	Enabled bool
	Created time.Time
	Last    *Delivery // the newest; nil: never told
}

// Wants reports whether the hook asked for events of a type.
func (h Hook) Wants(kind string) bool {
	return slices.ContainsFunc(h.Events, func(e string) bool {
		family, open := strings.CutSuffix(e, "*")
		return e == kind || open && strings.HasPrefix(kind, family)
	})
}

func (h Hook) check() error {
	u, err := url.Parse(h.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || len(h.URL) > 2000 {
		return fault.At(fault.New(fault.Invalid, "A webhook has an address: https://, without a name and a fragment in it."), "url")
	}
	if len(h.Events) == 0 || len(h.Events) > 50 {
		return fault.At(fault.New(fault.Invalid, "A webhook asks for 1 to 50 types of events."), "events")
	}
	for _, e := range h.Events {
		if len(e) > 100 || strings.Trim(strings.TrimSuffix(e, "*"), "abcdefghijklmnopqrstuvwxyz0123456789._") != "" || e == "" {
			return fault.At(fault.New(fault.Invalid, "Events are like push.approved, push.* or *."), "events")
		}
	}
	return nil
}

func place(id string) string { return "webhooks/secret/" + id }

// Create adds a hook and returns the secret that signs what it gets, which is
// shown this once.
func Create(ctx context.Context, tx *db.Tx, h Hook) (Hook, string, error) {
	secret := "whs_" + rand.Text() + rand.Text()
	h.ID, h.Created = db.NewID("whk_"), tx.Now()
	return h, secret, insert(ctx, tx, h, secret)
}

func insert(ctx context.Context, tx *db.Tx, h Hook, secret string) error {
	if err := h.check(); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM webhooks WHERE tenant_id = $1`, h.Tenant).Scan(&n); err != nil {
		return err
	}
	if n >= maxHooks {
		return fault.New(fault.Limited, "A tenant has at most %d webhooks.", maxHooks)
	}
	added, err := tx.Exec(ctx, `INSERT INTO webhooks (id, tenant_id, url, events, enabled, secret, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
		ON CONFLICT (id) DO NOTHING`,
		h.ID, h.Tenant, h.URL, db.Text(h.Events), h.Enabled, tx.Vault().Seal(place(h.ID), []byte(secret)), h.Created)
	if err == nil && added == 0 {
		return fault.At(fault.New(fault.Conflict, "Another tenant has a webhook with this id."), "id")
	}
	return err
}

var named = regexp.MustCompile(`^whk_[a-z0-9_-]{1,60}$`)

// Put makes a hook that has its id already what h says, and creates it if the
// tenant has none such. secret signs what it gets from now on; an empty one leaves
// what is kept, and is fault.Invalid for a hook that is new. An id that another
// tenant uses is fault.Conflict.
func Put(ctx context.Context, tx *db.Tx, h Hook, secret string) error {
	if !named.MatchString(h.ID) {
		return fault.At(fault.New(fault.Invalid, "A webhook's id is whk_ and 1 to 60 small letters, digits, dashes and underscores."), "id")
	}
	err := Update(ctx, tx, h)
	fresh := fault.Is(err, fault.NotFound)
	switch {
	case err != nil && !fresh:
		return err
	case secret == "" && !fresh:
		return nil
	case len(secret) < 20 || len(secret) > 500:
		return fault.At(fault.New(fault.Invalid, "A webhook has a secret of 20 to 500 characters, which signs what it gets."), "secret")
	case fresh:
		h.Created = tx.Now()
		return insert(ctx, tx, h, secret)
	}
	_, err = tx.Exec(ctx, `UPDATE webhooks SET secret = $1 WHERE id = $2`, tx.Vault().Seal(place(h.ID), []byte(secret)), h.ID)
	return err
}

// HasSecret reports whether secret signs what a hook gets.
func HasSecret(ctx context.Context, q db.Q, id, secret string) (bool, error) {
	have, err := secretOf(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && subtle.ConstantTimeCompare([]byte(have), []byte(secret)) == 1, err
}

// Update changes where a hook is, what it asks for and whether it is on;
// fault.NotFound if the tenant has none such.
func Update(ctx context.Context, tx *db.Tx, h Hook) error {
	if err := h.check(); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE webhooks SET url = $1, events = $2, enabled = $3, updated_at = $4 WHERE id = $5 AND tenant_id = $6`, h.URL, db.Text(h.Events), h.Enabled, tx.Now(), h.ID, h.Tenant)
	if err == nil && n == 0 {
		return none
	}
	return err
}

// Delete removes a hook; what waits for it is not sent any more.
func Delete(ctx context.Context, tx *db.Tx, tenant, id string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM webhook_deliveries WHERE webhook_id = $1`, id); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `DELETE FROM webhooks WHERE id = $1 AND tenant_id = $2`, id, tenant)
	if err == nil && n == 0 {
		return none
	}
	return err
}

var none = fault.New(fault.NotFound, "no such webhook")

// List returns the hooks of a tenant, the oldest first.
func List(ctx context.Context, q db.Q, tenant string) ([]Hook, error) {
	rows, err := q.Query(ctx, `SELECT id, url, events, enabled, created_at FROM webhooks WHERE tenant_id = $1 ORDER BY id`, tenant)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Hook
	for rows.Next() {
		h := Hook{Tenant: tenant}
		if err := rows.Scan(&h.ID, &h.URL, db.JSON(&h.Events), &h.Enabled, db.Time(&h.Created)); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, rows.Err()
}

// WithLast fills in what each was told last.
func WithLast(ctx context.Context, q db.Q, all []Hook) error {
	for i := range all {
		last, err := Deliveries(ctx, q, all[i].ID, Filter{Limit: 1})
		if err != nil {
			return err
		}
		if len(last) > 0 {
			all[i].Last = &last[0]
		}
	}
	return nil
}

// Find returns a hook of a tenant; fault.NotFound if there is none.
func Find(ctx context.Context, q db.Q, tenant, id string) (Hook, error) {
	h := Hook{ID: id, Tenant: tenant}
	err := q.QueryRow(ctx, `SELECT url, events, enabled, created_at FROM webhooks WHERE id = $1 AND tenant_id = $2`, id, tenant).
		Scan(&h.URL, db.JSON(&h.Events), &h.Enabled, db.Time(&h.Created))
	return h, db.None(err, "webhook")
}

func secretOf(ctx context.Context, q db.Q, id string) (string, error) {
	var sealed []byte
	if err := q.QueryRow(ctx, `SELECT secret FROM webhooks WHERE id = $1`, id).Scan(&sealed); err != nil {
		return "", db.None(err, "webhook")
	}
	b, err := q.Vault().Open(place(id), sealed)
	return string(b), err
}

// Delivery is one attempt to tell a hook.
type Delivery struct {
	ID, Event, Type string
	Attempt         int
	OK              bool
	Status          int    // as HTTP has it; 0: nothing was answered
	Answer          string // the beginning of it, or why there was none
	Took            time.Duration
	At              time.Time
	Next            time.Time // when it is tried again; zero: it is not
}

// Filter says which attempts Deliveries returns. Its zero value is all of them.
type Filter struct {
	Event  string // an event's id
	Type   string // exactly, or a family: "push.*"
	State  State
	Newest bool   // only the newest attempt of each event
	Before string // the id of an attempt: only older ones, for the next page
	Limit  int    // 50 when 0
}

// State is how an attempt left things.
type State string

// States.
const (
	Told    State = "told"     // the hook took it
	Waiting State = "waiting"  // it will be tried again
	GivenUp State = "given_up" // it did not take it, and will not be asked again
)

// State is how the attempt left things.
func (d Delivery) State() State {
	switch {
	case d.OK:
		return Told
	case !d.Next.IsZero():
		return Waiting
	}
	return GivenUp
}

var states = map[State]string{Told: " AND ok = TRUE", Waiting: " AND ok = FALSE AND next_at > 0", GivenUp: " AND ok = FALSE AND next_at = 0"}

const deliveryColumns = `id, event_id, event_type, attempt, ok, status, answer, took, at, next_at`

var wildcards = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

func (f Filter) where(hook string) (string, []any) {
	text, args := `d.webhook_id = $1`, []any{hook}
	cond := func(column string, v any) {
		args = append(args, v)
		text += " AND " + strings.Replace(column, "?", "$"+strconv.Itoa(len(args)), 1)
	}
	if f.Event != "" {
		cond("event_id = ?", f.Event)
	}
	if family, open := strings.CutSuffix(f.Type, "*"); open {
		cond("event_type LIKE ? ESCAPE '!'", wildcards.Replace(family)+"%")
	} else if f.Type != "" {
		cond("event_type = ?", f.Type)
	}
	if f.Before != "" {
		cond("d.id < ?", f.Before)
	}
	text += states[f.State]
	if f.Newest {
		text += ` AND NOT EXISTS (SELECT 1 FROM webhook_deliveries n WHERE n.webhook_id = d.webhook_id AND n.event_id = d.event_id AND n.id > d.id)`
	}
	return text, args
}

// Deliveries returns attempts to tell a hook, the newest first.
func Deliveries(ctx context.Context, q db.Q, hook string, f Filter) ([]Delivery, error) {
	where, args := f.where(hook)
	args = append(args, cmp.Or(f.Limit, 50))
	return deliveries(ctx, q, where+` ORDER BY id DESC LIMIT $`+strconv.Itoa(len(args)), args...)
}

func findDelivery(ctx context.Context, q db.Q, hook, id string) (Delivery, error) {
	found, err := deliveries(ctx, q, `d.webhook_id = $1 AND d.id = $2`, hook, id)
	if err == nil && len(found) == 0 {
		err = fault.New(fault.NotFound, "This attempt is not kept any more.")
	}
	if err != nil {
		return Delivery{}, err
	}
	return found[0], nil
}

func deliveries(ctx context.Context, q db.Q, where string, args ...any) ([]Delivery, error) {
	rows, err := q.Query(ctx, `SELECT `+deliveryColumns+` FROM webhook_deliveries d WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Delivery
	for rows.Next() {
		var d Delivery
		var took int64
		if err := rows.Scan(&d.ID, &d.Event, &d.Type, &d.Attempt, &d.OK, &d.Status, &d.Answer, &took, db.Time(&d.At), db.Time(&d.Next)); err != nil {
			return nil, err
		}
		d.Took = time.Duration(took) * time.Millisecond
		out = append(out, d)
	}
	return out, rows.Err()
}

// keepDeliveries is how long attempts can be looked at.
const keepDeliveries = 7 * 24 * time.Hour

// Sweep forgets attempts of long ago; jobs calls it.
func Sweep(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM webhook_deliveries WHERE at < $1`, tx.Now().Add(-keepDeliveries))
	return err
}

// document is an entry as it is told: what the console's API shows of it.
func document(e audit.Entry) ([]byte, error) {
	if e.Data == nil {
		e.Data = map[string]any{}
	}
	return json.Marshal(map[string]any{"id": e.ID, "at": e.At.UTC().Format("2006-01-02T15:04:05.000Z"), "type": e.Type, "outcome": e.Outcome, "reason": e.Reason, "actor": e.Actor, "target": e.Target,
		"tenant": e.Tenant, "app": e.App, "client": e.Client, "run": e.Run, "device": e.Device, "address": e.IP, "user_agent": e.UserAgent, "data": e.Data})
}
