package journey

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Message is a cross-session message: one journey creates it, others read,
// change and consume it, and a run may wait for that. Its id is a bearer secret
// that one journey hands to the other.
type Message struct {
	ID    string
	Kind  string // what it is for; a message of one kind is none of another
	Value string // a short code for people, unique among the open ones of the application
	State string // "open", "updated", "consumed"
	Data  map[string]any
}

// CreateMessage makes a cross-session message. life is at most an hour.
func CreateMessage(ctx context.Context, tx *db.Tx, tenant apps.TenantID, app apps.ID, kind string, data map[string]any, life time.Duration) (Message, error) {
	m := Message{ID: "tkt_" + rand.Text(), Kind: kind, State: "open", Data: filled(data)}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return m, err
	}
	m.Value = fmt.Sprintf("%06d", n.Int64())
	key := tx.Vault().Hash("ticket", m.ID)
	_, err = tx.Exec(ctx, `INSERT INTO tickets (id, tenant_id, app_id, kind, value, state, data, expires_at, created_at, rev) VALUES ($1, $2, $3, $4, $5, 'open', $6, $7, $8, 1)`,
		key, tenant, app, kind, m.Value, tx.Vault().Seal("tickets/data/"+key, []byte(db.Text(m.Data))), tx.Now().Add(min(life, time.Hour)), tx.Now())
	return m, err
}

// ReadMessage returns a message of an application; fault.NotFound if there is
// none, it has run out or was consumed.
func ReadMessage(ctx context.Context, q db.Q, app apps.ID, id string) (Message, error) {
	m := Message{ID: id}
	key := q.Vault().Hash("ticket", id)
	var sealed []byte
	err := q.QueryRow(ctx, `SELECT kind, value, state, data FROM tickets WHERE id = $1 AND app_id = $2 AND state <> 'consumed' AND expires_at > $3`, key, app, q.Now()).
		Scan(&m.Kind, &m.Value, &m.State, &sealed)
	if err != nil {
		return m, db.None(err, "message")
	}
	b, err := q.Vault().Open("tickets/data/"+key, sealed)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(b, &m.Data)
}

// UpdateMessage replaces the data of a message that was not consumed and wakes who
// waits for it; fault.NotFound as ReadMessage has it.
func UpdateMessage(ctx context.Context, tx *db.Tx, app apps.ID, id string, data map[string]any) error {
	key := tx.Vault().Hash("ticket", id)
	n, err := tx.Exec(ctx, `UPDATE tickets SET state = 'updated', data = $1, rev = rev + 1 WHERE id = $2 AND app_id = $3 AND state <> 'consumed' AND expires_at > $4`,
		tx.Vault().Seal("tickets/data/"+key, []byte(db.Text(filled(data)))), key, app, tx.Now())
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such message")
	}
	tx.Signal(MessageTopic(id))
	return err
}

// ConsumeMessage takes a message, once and never again: of many at once, one
// gets it and the others fault.Conflict. Who waits for it is woken.
func ConsumeMessage(ctx context.Context, tx *db.Tx, app apps.ID, id string) (Message, error) {
	m, err := ReadMessage(ctx, tx, app, id)
	if err != nil {
		return m, err
	}
	n, err := tx.Exec(ctx, `UPDATE tickets SET state = 'consumed', rev = rev + 1 WHERE id = $1 AND app_id = $2 AND state <> 'consumed' AND expires_at > $3`,
		tx.Vault().Hash("ticket", id), app, tx.Now())
	if err == nil && n == 0 {
		return m, fault.New(fault.Conflict, "This message was consumed a moment ago.")
	}
	tx.Signal(MessageTopic(id))
	return m, err
}

// MessageTopic is what is signalled when a message changes.
func MessageTopic(id string) string { return "ticket/" + id }

// SweepMessages deletes messages that ran out; jobs calls it.
func SweepMessages(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM tickets WHERE expires_at < $1`, tx.Now().Add(-time.Hour))
	return err
}
