package oidc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// The kinds of request, which are the uses of a handle.
const (
	kindAuthorize = "authorize"
	kindPushed    = "pushed"
	kindDevice    = "device"
	kindCIBA      = "ciba"
)

// The states of a request. It is open, then granted or denied, then spent.
const (
	open    = "open"
	granted = "granted"
	denied  = "denied"
	spent   = "spent"
)

// record is a stored request.
type record struct {
	ID      string // names it; not what its client holds
	Kind    string
	Client  apps.ClientID
	State   string
	Body    body
	Proofs  []authn.Proof
	Code    string            // the user's, of the device grant
	Waits   authn.ChallengeID // of a backchannel request
	Created time.Time
	Expires time.Time
	pace    time.Duration // between two polls
}

// body is what a request keeps, sealed.
type body struct {
	Params  Params           `json:"params,omitzero"`
	Form    url.Values       `json:"form,omitempty"` // of a pushed request, as it came
	JKT     string           `json:"jkt,omitempty"`  // of the key that was shown with it
	User    directory.UserID `json:"user,omitempty"`
	Session string           `json:"session,omitempty"` // that granted it
	Before  string           `json:"before,omitempty"`  // the session that steps up
	Ticket  string           `json:"ticket,omitempty"`  // of the run that granted it (Entitled)
	Reason  string           `json:"reason,omitempty"`  // why it was denied
	Token   string           `json:"token,omitempty"`   // client_notification_token
	Handle  string           `json:"handle,omitempty"`  // of a backchannel request that the client is told of
	// Track is what whoever proved something for the request shows to go on: others
	// may know the request (security R36, R46). Second is what was begun for the
	// next factor.
	Track  string            `json:"track,omitempty"`
	Second authn.ChallengeID `json:"second,omitempty"`
	Ended  time.Time         `json:"ended,omitzero"` // when the user's sessions were last ended, before that proof
}

// gone is the answer to a handle that opens nothing, late to one whose time is
// over.
var (
	gone = refuse("invalid_request", "This took too long, was answered, or never was. Start again.")
	late = refuse(gone.Word, "%s", gone.Text)
)

func named(q db.Q, handle string) string {
	return q.Vault().Hash("request", handle)
}

func requestPlace(id string) string { return "requests/" + id }

// newHandle is what the holder of a request shows.
func newHandle() string { return "wwq_" + rand.Text() }

// put stores a request under a handle.
func (r *record) put(ctx context.Context, tx *db.Tx, handle string, life time.Duration) error {
	r.ID, r.State, r.Created, r.Expires = named(tx, handle), open, tx.Now(), tx.Now().Add(life)
	var code any
	if r.Code != "" {
		code = tx.Vault().Hash("user_code", r.Code)
	}
	n, err := tx.Exec(ctx, `INSERT INTO requests (id, kind, client_id, state, body, outcome, user_code, challenge, polled_at, pace, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, NULL, $6, $7, 0, $8, $9, $10) ON CONFLICT DO NOTHING`,
		r.ID, r.Kind, r.Client, r.State, r.sealed(tx), code, string(r.Waits), r.pace.Milliseconds(), r.Created, r.Expires)
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "Try again.")
	}
	return err
}

func (r *record) sealed(tx *db.Tx) []byte {
	return tx.Vault().Seal(requestPlace(r.ID), []byte(db.Text(r.Body)))
}

// find reads a request that has not run out; gone if there is none.
func find(ctx context.Context, q db.Q, where string, arg any) (record, error) {
	var r record
	var sealed, proofs []byte
	var code *string
	var pace int64
	var waits *string
	err := q.QueryRow(ctx, `SELECT id, kind, client_id, state, body, outcome, user_code, challenge, pace, created_at, expires_at FROM requests WHERE `+where+` = $1`, arg).
		Scan(&r.ID, &r.Kind, &r.Client, &r.State, &sealed, &proofs, &code, &waits, &pace, db.Time(&r.Created), db.Time(&r.Expires))
	if err != nil {
		return r, refused(db.None(err, "request"), gone)
	}
	if waits != nil {
		r.Waits = authn.ChallengeID(*waits)
	}
	r.pace = time.Duration(pace) * time.Millisecond
	if !q.Now().Before(r.Expires) {
		return r, late
	}
	b, err := q.Vault().Open(requestPlace(r.ID), sealed)
	if err == nil {
		err = json.Unmarshal(b, &r.Body)
	}
	if err != nil {
		return r, err
	}
	r.Proofs, err = authn.OpenProofs(q.Vault(), requestPlace(r.ID), proofs)
	return r, err
}

// heldBy finds a request by its handle, of one kind.
func heldBy(ctx context.Context, q db.Q, kind, handle string) (record, error) {
	if len(handle) > 100 {
		return record{}, gone
	}
	r, err := find(ctx, q, "id", named(q, handle))
	if err == nil && r.Kind != kind {
		err = gone
	}
	return r, err
}

// move takes a request from one state to another, if it stands there and has
// time; errMoved otherwise.
func (r *record) move(ctx context.Context, tx *db.Tx, to string) error {
	n, err := tx.Exec(ctx, `UPDATE requests SET state = $1, body = $2, outcome = $3 WHERE id = $4 AND state = $5 AND expires_at > $6`,
		to, r.sealed(tx), authn.SealProofs(tx.Vault(), requestPlace(r.ID), r.Proofs), r.ID, r.State, tx.Now())
	if err == nil && n == 0 {
		return errMoved
	}
	if err == nil {
		r.State = to
		tx.Signal(r.topic())
	}
	return err
}

// topic is signalled whenever the request moves.
func (r *record) topic() string { return "request/" + r.ID }

var errMoved = errors.New("the request was moved")

// Sweep deletes what has run out; jobs calls it. Requests stay ten minutes longer,
// so that who asks is told that they have run out; grants a day, so that the use
// of an old token is still noticed.
func Sweep(ctx context.Context, tx *db.Tx) error {
	now := tx.Now()
	_, err := tx.Exec(ctx, `DELETE FROM requests WHERE expires_at < $1`, now.Add(-10*time.Minute))
	if err == nil {
		_, err = tx.Exec(ctx, `DELETE FROM used_ids WHERE expires_at < $1`, now)
	}
	if err == nil {
		_, err = tx.Exec(ctx, `DELETE FROM grants WHERE expires_at < $1`, now.Add(-24*time.Hour))
	}
	return err
}

func seconds64(n int64) time.Duration { return time.Duration(min(n, 1<<32)) * time.Second }
