package authn

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// ChallengeID names a challenge. It is opaque; knowing it moves nothing.
type ChallengeID string

// State is where a challenge stands. It moves down this list and never back;
// from Approved on only to Consumed (DESIGN 2.20.15).
type State string

const (
	Created      State = "created"
	Acknowledged State = "acknowledged"
	Allowed      State = "allowed"
	Approved     State = "approved"
	Denied       State = "denied"
	Cancelled    State = "cancelled"
	Consumed     State = "consumed"
	Expired      State = "expired" // never stored: what an open challenge becomes in time
)

// Open reports whether an answer may still change the state.
func (s State) Open() bool { return s == Created || s == Acknowledged || s == Allowed }

var rank = map[State]int{Created: 0, Acknowledged: 1, Allowed: 2, Approved: 3, Denied: 3, Cancelled: 3}

// Challenge is a question put to a user that waits for its answer: a code sent,
// a number shown, a key to sign with. T is what its method keeps about it,
// sealed at rest.
type Challenge[T any] struct {
	ID      ChallengeID
	Subject Subject
	State   State
	Turn    string // changes at every move; whoever moves next must know it
	Created time.Time
	Expires time.Time
	Data    T
}

// Opening is what Pose needs.
type Opening struct {
	Subject Subject
	Once    string        // posing again under the same name returns the first challenge
	Slot    string        // at most one open challenge holds a slot; a new one cancels the old. Empty: no slot
	Life    time.Duration // at most MaxLife; 10 minutes is what the standards let a code live
}

// MaxLife is how long a challenge waits at most: a mailed link may, as an operator
// chooses. Every other method keeps to ten minutes by its own settings.
const MaxLife = time.Hour

// Gone is the answer to a move of a challenge that is not open any more.
var Gone = fault.New(fault.Expired, "This request was answered or has run out. Start again in the browser.")

// Topic is what is signalled (db.Tx.Signal) at every move of a challenge.
func (id ChallengeID) Topic() string { return "challenge/" + string(id) }

// Pose opens a challenge. It reports false, and the first challenge, if one was
// posed under the same Once before. The slot is enforced by a unique column, so
// two at once end with one open.
func Pose[T any](ctx context.Context, tx *db.Tx, o Opening, data T) (Challenge[T], bool, error) {
	c, fresh, _, err := Displace(ctx, tx, o, data)
	return c, fresh, err
}

// Displaced is an open challenge that lost its slot.
type Displaced struct {
	ID      ChallengeID // empty: there was none
	Subject Subject
}

// Displace is Pose for whoever has to undo what the last holder of the slot did. Of
// many at once, each challenge that is displaced is told to one.
func Displace[T any](ctx context.Context, tx *db.Tx, o Opening, data T) (Challenge[T], bool, Displaced, error) {
	var was Displaced
	if o.Slot != "" {
		var err error
		if was, err = vacate(ctx, tx, o.Slot); err != nil {
			return Challenge[T]{}, false, was, err
		}
	}
	c, fresh, err := pose(ctx, tx, o, data)
	return c, fresh, was, err
}

func pose[T any](ctx context.Context, tx *db.Tx, o Opening, data T) (Challenge[T], bool, error) {
	id := ChallengeID("chl_" + rand.Text())
	c := Challenge[T]{id, o.Subject, Created, rand.Text(), tx.Now(), tx.Now().Add(min(o.Life, MaxLife)), data}
	var slot any
	if o.Slot != "" {
		slot = o.Slot
	}
	n, err := tx.Exec(ctx, `INSERT INTO challenges (id, kind, tenant_id, app_id, user_id, subject, state, turn, once, slot, data, proof, created_at, moved_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, $12, $12, $13) ON CONFLICT (once) DO NOTHING`,
		c.ID, o.Subject.Kind, o.Subject.Tenant, o.Subject.App, o.Subject.User, db.Text(o.Subject), c.State, c.Turn, o.Once, slot, sealData(tx, c), c.Created, c.Expires)
	if err != nil {
		return c, false, err
	}
	if n == 1 {
		return c, true, nil
	}
	var first ChallengeID
	if err := tx.QueryRow(ctx, `SELECT id FROM challenges WHERE once = $1`, o.Once).Scan(&first); err != nil {
		return c, false, err
	}
	c, err = Recall[T](ctx, tx, first)
	return c, false, err
}

// vacate cancels whatever open challenge holds a slot, returns it, and frees the
// slot: one statement, for who reads the holder first may read another than is
// displaced. The new turn tells whether it was open.
func vacate(ctx context.Context, tx *db.Tx, slot string) (Displaced, error) {
	var was Displaced
	var turn string
	open, closed := rand.Text(), rand.Text()
	err := tx.QueryRow(ctx, `UPDATE challenges SET slot = NULL, moved_at = $1,
		turn = CASE WHEN state IN ('created', 'acknowledged', 'allowed') AND expires_at > $1 THEN $2 ELSE $3 END,
		state = CASE WHEN state IN ('created', 'acknowledged', 'allowed') THEN 'cancelled' ELSE state END
		WHERE slot = $4 RETURNING id, subject, turn`, tx.Now(), open, closed, slot).Scan(&was.ID, db.JSON(&was.Subject), &turn)
	if err != nil {
		if fault.Is(db.None(err, "request"), fault.NotFound) {
			err = nil
		}
		return Displaced{}, err
	}
	tx.Signal(was.ID.Topic())
	if turn != open {
		return Displaced{}, nil
	}
	return was, nil
}

// Recall reads a challenge; fault.NotFound if there is none.
func Recall[T any](ctx context.Context, q db.Q, id ChallengeID) (Challenge[T], error) {
	c := Challenge[T]{ID: id}
	var sealed []byte
	err := q.QueryRow(ctx, `SELECT subject, state, turn, data, created_at, expires_at FROM challenges WHERE id = $1`, id).
		Scan(db.JSON(&c.Subject), &c.State, &c.Turn, &sealed, db.Time(&c.Created), db.Time(&c.Expires))
	if err != nil {
		return c, db.None(err, "request")
	}
	if c.State.Open() && !q.Now().Before(c.Expires) {
		c.State = Expired
	}
	b, err := q.Vault().Open(dataPlace(id), sealed)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(b, &c.Data)
}

// StateOf reads only where a challenge stands.
func StateOf(ctx context.Context, q db.Q, id ChallengeID) (State, error) {
	var s State
	var expires time.Time
	err := q.QueryRow(ctx, `SELECT state, expires_at FROM challenges WHERE id = $1`, id).Scan(&s, db.Time(&expires))
	if err != nil {
		return "", db.None(err, "request")
	}
	if s.Open() && !q.Now().Before(expires) {
		s = Expired
	}
	return s, nil
}

// OpenFor returns the open challenges of a kind that wait for a user in an
// application, newest first.
func OpenFor[T any](ctx context.Context, q db.Q, s Subject) ([]Challenge[T], error) {
	ids, err := openIDs(ctx, q, s)
	if err != nil {
		return nil, err
	}
	var out []Challenge[T]
	for _, id := range ids {
		c, err := Recall[T](ctx, q, id)
		if err != nil {
			return nil, err
		}
		if c.State.Open() {
			out = append(out, c)
		}
	}
	return out, nil
}

func openIDs(ctx context.Context, q db.Q, s Subject) ([]ChallengeID, error) {
	return db.Column[ChallengeID](ctx, q, `SELECT id FROM challenges WHERE user_id = $1 AND kind = $2 AND app_id = $3 AND state IN ('created', 'acknowledged', 'allowed') AND expires_at > $4
		ORDER BY created_at DESC, id`, s.User, s.Kind, s.App, q.Now())
}

// Play checks that turn is the turn of an open challenge, so that no message
// counts twice; otherwise it returns Gone.
func (c Challenge[T]) Play(turn string) error {
	if subtle.ConstantTimeCompare([]byte(c.Turn), []byte(turn)) != 1 || !c.State.Open() {
		return Gone
	}
	return nil
}

// Move stores c in its next state and with its data, if nobody moved it since
// it was read and it has not run out; otherwise it returns Gone and changes
// nothing. It never approves: that takes a proof.
func Move[T any](ctx context.Context, tx *db.Tx, c *Challenge[T], to State) error {
	if to == Approved || to == Consumed {
		return fmt.Errorf("authn: a challenge cannot move to %s without a proof", to)
	}
	return move(ctx, tx, c, to, nil)
}

// Approve closes a challenge with the proof that answered it. The proof must be
// of the challenge's own user in its application, or it is fault.Denied.
func Approve[T any](ctx context.Context, tx *db.Tx, c *Challenge[T], p Proof) error {
	if p.p.User == "" || p.p.User != c.Subject.User || p.p.App != c.Subject.App || p.p.Tenant != c.Subject.Tenant {
		return fault.New(fault.Denied, "The approval was proven by somebody else.")
	}
	w := Proof{proof{c.Subject.Tenant, c.Subject.App, c.Subject.User, c.Subject.Device, c.Subject.Kind, p.p.Credential, tx.Now(), append(slices.Clone(p.p.With), p.p.Kind), p.p.Single}}
	return move(ctx, tx, c, Approved, SealProofs(tx.Vault(), proofPlace(c.ID), []Proof{w}))
}

func move[T any](ctx context.Context, tx *db.Tx, c *Challenge[T], to State, proof []byte) error {
	if !c.State.Open() || rank[to] < rank[c.State] {
		return Gone
	}
	was := c.Turn
	c.State, c.Turn = to, rand.Text()
	n, err := tx.Exec(ctx, `UPDATE challenges SET state = $1, turn = $2, data = $3, proof = $4, moved_at = $5
		WHERE id = $6 AND turn = $7 AND state IN ('created', 'acknowledged', 'allowed') AND expires_at > $5`,
		c.State, c.Turn, sealData(tx, *c), proof, tx.Now(), c.ID, was)
	if err != nil {
		return err
	}
	if n == 0 {
		return Gone
	}
	tx.Signal(c.ID.Topic())
	if c.State.Open() {
		return nil
	}
	for _, fn := range deciders {
		if err := fn(ctx, tx, c.ID); err != nil {
			return err
		}
	}
	return nil
}

var deciders []func(ctx context.Context, tx *db.Tx, id ChallengeID) error

// OnDecided has fn hear of every challenge that was approved, denied or
// cancelled by a move, in the transaction that does it. Call it from init.
func OnDecided(fn func(ctx context.Context, tx *db.Tx, id ChallengeID) error) {
	deciders = append(deciders, fn)
}

// Redeem spends an approved challenge and returns the proof it holds, once and
// never again, in the transaction of what relies on it. It is judged again now:
// the challenge has not run out, the user may sign in, is not locked for this
// method, the device is active and the credential is still there (security P11,
// P14, R25). fault.Conflict if it was spent or never approved, fault.Denied if
// it may not count any more.
func Redeem(ctx context.Context, tx *db.Tx, id ChallengeID) (Proof, error) {
	var sealed []byte
	var s Subject
	err := tx.QueryRow(ctx, `UPDATE challenges SET state = 'consumed', slot = NULL, moved_at = $1 WHERE id = $2 AND state = 'approved' AND expires_at > $1
		RETURNING subject, proof`, tx.Now(), id).Scan(db.JSON(&s), &sealed)
	if err != nil {
		if fault.Is(db.None(err, "approval"), fault.NotFound) {
			return Proof{}, fault.New(fault.Conflict, "This approval was used or has run out.")
		}
		return Proof{}, err
	}
	ps, err := OpenProofs(tx.Vault(), proofPlace(id), sealed)
	if err != nil || len(ps) != 1 {
		return Proof{}, fmt.Errorf("proof of %s: %w", id, err)
	}
	return ps[0], stillGood(ctx, tx, ps[0])
}

func stillGood(ctx context.Context, q db.Q, p Proof) error {
	if err := Recheck(ctx, q, p); err != nil {
		return err
	}
	ok, err := alive(ctx, q, p.p.Credential)
	if err == nil && !ok {
		return fault.New(fault.Denied, "This approval does not count any more.")
	}
	return err
}

// Recheck judges a proof again when it is relied on: the user may sign in, none
// of the methods that proved them is locked or switched off, and the device is
// not blocked (security R25). fault.Denied or fault.Locked otherwise. It does not
// ask whether the credential is still there, since the run that proved may have
// replaced it.
func Recheck(ctx context.Context, q db.Q, p Proof) error {
	s := Subject{Kind: p.p.Kind, Tenant: p.p.Tenant, App: p.p.App, User: p.p.User, Device: p.p.Device}
	if err := directory.MaySignIn(ctx, q, s.Tenant, s.User); err != nil {
		return err
	}
	if err := Locked(ctx, q, s); err != nil {
		return err
	}
	var on struct{}
	if err := Settings(ctx, q, s.App, s.Kind, &on); err != nil {
		return err
	}
	for _, kind := range p.p.With {
		with := s
		with.Kind = kind
		if err := Locked(ctx, q, with); err != nil {
			return err
		}
		if err := Settings(ctx, q, s.App, kind, &on); err != nil {
			return err
		}
	}
	return usable(ctx, q, s)
}

// endedLife is how long the end of a user's sessions is remembered: longer than
// any sign-in takes that had begun before.
const endedLife = 30 * time.Minute

// SessionsEnded notes that the sessions of a user were ended, in an application
// or, if app is empty, in all: a sign-in that was not finished by then is none.
func SessionsEnded(ctx context.Context, tx *db.Tx, app apps.ID, user directory.UserID) error {
	_, err := tx.Exec(ctx, `INSERT INTO used_ids (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at`, endedName(tx, app, user), tx.Now().Add(endedLife))
	return err
}

// Ended is when the sessions of a user were last ended, as far as that matters to
// a sign-in that is not finished; zero if they were not.
func Ended(ctx context.Context, q db.Q, app apps.ID, user directory.UserID) (time.Time, error) {
	var until time.Time
	err := q.QueryRow(ctx, `SELECT COALESCE(MAX(expires_at), 0) FROM used_ids WHERE id IN ($1, $2)`, endedName(q, app, user), endedName(q, "", user)).Scan(db.Time(&until))
	if err != nil || until.IsZero() {
		return time.Time{}, err
	}
	return until.Add(-endedLife), nil
}

func endedName(q db.Q, app apps.ID, user directory.UserID) string {
	return q.Vault().Hash("used/ended", string(app)+"/"+string(user))
}

// usable returns fault.Denied if the device of s may not act for its user any
// more. Methods name it by its id or, if it may not be bound yet, by its key's.
func usable(ctx context.Context, q db.Q, s Subject) error {
	if s.Device == "" {
		return nil
	}
	barred, err := directory.Barred(ctx, q, s.App, s.User, string(s.Device))
	if strings.HasPrefix(string(s.Device), "dev_") {
		d, e := directory.FindDevice(ctx, q, s.Device)
		if fault.Is(e, fault.NotFound) {
			e = nil
		}
		barred, err = d.Status != directory.DeviceActive, e
	}
	if err == nil && barred {
		return fault.New(fault.Denied, "This device may not approve any more.")
	}
	return err
}

// Sweep deletes challenges that ran out more than a day ago; jobs calls it.
func Sweep(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM challenges WHERE expires_at < $1`, tx.Now().Add(-24*time.Hour))
	return err
}

func dataPlace(id ChallengeID) string  { return "challenges/data/" + string(id) }
func proofPlace(id ChallengeID) string { return "challenges/proof/" + string(id) }

func sealData[T any](tx *db.Tx, c Challenge[T]) []byte {
	return tx.Vault().Seal(dataPlace(c.ID), []byte(db.Text(c.Data)))
}

// DeniedSince counts the challenges of a kind that the user of s denied in the
// application since a time, and tells when the last was.
func DeniedSince(ctx context.Context, q db.Q, s Subject, since time.Time) (n int, last time.Time, err error) {
	err = q.QueryRow(ctx, `SELECT COUNT(*), COALESCE(MAX(moved_at), 0) FROM challenges WHERE user_id = $1 AND kind = $2 AND app_id = $3 AND state = 'denied' AND moved_at > $4`,
		s.User, s.Kind, s.App, since).Scan(&n, db.Time(&last))
	return n, last, err
}

// LastFor returns the challenge that was posed last in a slot, whatever became
// of it; fault.NotFound if there is none. s must be whom it is for.
func LastFor[T any](ctx context.Context, q db.Q, s Subject, slot string) (Challenge[T], error) {
	var id ChallengeID
	if err := q.QueryRow(ctx, `SELECT id FROM challenges WHERE slot = $1 AND user_id = $2`, slot, s.User).Scan(&id); err != nil {
		return Challenge[T]{}, db.None(err, "request")
	}
	return Recall[T](ctx, q, id)
}
