package journey

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/secret"
)

// Life is how long a run may take (security J9).
const Life = 15 * time.Minute

// run is one execution of a journey, as it is stored: one sealed row, found by
// the hash of its session.
type run struct {
	ID         RunID           `json:"id"`
	Tenant     apps.TenantID   `json:"tenant"`
	App        apps.ID         `json:"app"`
	AppName    string          `json:"app_name"`
	Client     apps.ClientID   `json:"client"`
	ClientName string          `json:"client_name"`
	Frames     []frame         `json:"frames"`           // the journey, and the sub-journeys it is in
	Visits     int             `json:"visits"`           // moves from node to node so far
	Visit      string          `json:"visit"`            // this visit of this node, unguessable
	Turn       string          `json:"turn"`             // the next answer must carry it
	Prev       string          `json:"prev"`             // the turn of the last answer that moved the run
	Paused     bool            `json:"paused,omitempty"` // stands before slow work of its node
	Memo       json.RawMessage `json:"memo,omitempty"`
	Prompt     *Prompt         `json:"prompt,omitempty"`
	Problem    *fault.Error    `json:"problem,omitempty"`

	Params       map[string]any     `json:"params,omitempty"`
	Saved        map[string]any     `json:"saved,omitempty"`
	Said         []string           `json:"said,omitempty"` // addresses that its client gave in forms, normalised
	Trusted      map[string]any     `json:"trusted,omitempty"`
	Caller       Caller             `json:"caller"`
	Subject      directory.UserID   `json:"subject,omitempty"`
	Mine         []string           `json:"mine,omitempty"` // ids of what this run bound
	Commit       string             `json:"commit,omitempty"`
	Bound        directory.UserID   `json:"bound,omitempty"`
	Device       directory.DeviceID `json:"device,omitempty"`
	Levels       []string           `json:"levels,omitempty"`
	Proofs       []authn.Proof      `json:"-"`
	Sealed       []byte             `json:"proofs,omitempty"`    // Proofs, as authn packs them
	SignedOut    time.Time          `json:"signed_out,omitzero"` // when the sessions of whom they prove were last ended
	Claims       map[string]any     `json:"claims,omitempty"`
	Approvals    []Approval         `json:"approvals,omitempty"`
	Evidence     map[string]any     `json:"evidence,omitempty"`
	Output       map[string]any     `json:"output,omitempty"`       // for the next reply
	Save         map[string]any     `json:"save,omitempty"`         // for the next reply
	Instructions []Instruction      `json:"instructions,omitempty"` // for the next reply
	Pin          string             `json:"pin,omitempty"`          // attaches a debugger
	Counts       map[string]int     `json:"counts,omitempty"`       // visits of each node
	Waiter       Waiter             `json:"waiter,omitzero"`
	End          *End               `json:"end,omitempty"`
	EndedAt      time.Time          `json:"ended_at,omitzero"`
	Started      time.Time          `json:"started"`
	Test         bool               `json:"test,omitempty"`  // an operator tries a draft
	Trace        []Event            `json:"trace,omitempty"` // what happened so far
	Seq          int                `json:"seq,omitempty"`   // of the next event

	fresh  int          // proofs of this move: nothing can have changed since
	failed *fault.Error // in this move: of the last node that made a refusal known
	key    string       // hash of the session: the row
	rev    int64        // 0: not stored yet
	saved  []byte       // as it was read
}

// frame is one journey on the stack of a run.
type frame struct {
	Journey string         `json:"journey"`
	Version int64          `json:"version"`
	Node    string         `json:"node"`
	Vars    map[string]any `json:"vars"`
	Output  string         `json:"output,omitempty"` // the caller's variable for the result
}

func (r *run) frame() *frame { return &r.Frames[len(r.Frames)-1] }

func (r *run) proofPlace() string { return "runs/" + string(r.ID) }

// place names the node where the run stands, in Counts.
func (r *run) place() string { return r.frame().Journey + "/" + r.frame().Node }

// enter moves the run to a node.
func (r *run) enter(node string) {
	r.frame().Node = node
	r.Memo, r.Prompt, r.Problem = nil, nil, nil
	r.Visit = "vis_" + rand.Text()
	r.Visits++
}

// introduce notes the device that a page of the server's own says it runs on: such
// a page has a key only once a step wants one.
func (r *run) introduce(c Caller) {
	if r.Caller.Hosted && c.Hosted && c.Device.KeyID != "" {
		r.Caller.Device = c.Device
	}
}

func (r *run) reply() Reply {
	return Reply{Run: r.ID, Visit: r.Visit, Turn: r.Turn, Prompt: r.Prompt, Problem: r.Problem, End: r.End, Paused: r.Paused, Output: r.Output, Save: r.Save, Instructions: r.Instructions}
}

// unchanged is the reply to a poll that found nothing new: what was said once
// is not said again.
func (r *run) unchanged() Reply {
	reply := r.reply()
	reply.Problem, reply.Output, reply.Save, reply.Instructions = nil, nil, nil, nil
	return reply
}

// copied returns the run as it was read, to be changed in one try of a
// transaction.
func (r *run) copied(v *secret.Vault) (*run, error) {
	c := &run{key: r.key, rev: r.rev, saved: r.saved}
	if err := json.Unmarshal(r.saved, c); err != nil {
		return nil, fmt.Errorf("reading run %s: %w", r.ID, err)
	}
	c.fill()
	var err error
	c.Proofs, err = authn.OpenProofs(v, c.proofPlace(), c.Sealed) // never those of a try that failed
	return c, err
}

// fill makes the maps that storing left out because they were empty.
func (r *run) fill() {
	if r.Counts == nil {
		r.Counts = map[string]int{}
	}
	for i := range r.Frames {
		if r.Frames[i].Vars == nil {
			r.Frames[i].Vars = map[string]any{}
		}
	}
}

func bodyPlace(key string) string { return "runs/body/" + key }

// Ended is the answer for a run that is over, has run out, or never was.
var Ended = fault.New(fault.Expired, "This took too long or has ended. Start again.")

func load(ctx context.Context, q db.Q, session string) (*run, error) {
	if len(session) > 100 {
		return nil, Ended
	}
	return loadKey(ctx, q, q.Vault().Hash("run", session))
}

func loadKey(ctx context.Context, q db.Q, key string) (*run, error) {
	r, err := readRow(ctx, q, key)
	if fault.Is(err, fault.NotFound) || err == nil && !q.Now().Before(r.Started.Add(Life)) {
		return nil, Ended
	}
	return r, err
}

// readRow is a run as it is stored, whether or not it has run out; fault.NotFound
// if it is not there.
func readRow(ctx context.Context, q db.Q, key string) (*run, error) {
	var sealed []byte
	r := &run{}
	if err := q.QueryRow(ctx, `SELECT rev, body FROM runs WHERE id = $1`, key).Scan(&r.rev, &sealed); err != nil {
		return nil, db.None(err, "run")
	}
	b, err := q.Vault().Open(bodyPlace(key), sealed)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("reading a run: %w", err)
	}
	r.key, r.saved = key, b
	r.fill()
	r.Proofs, err = authn.OpenProofs(q.Vault(), r.proofPlace(), r.Sealed)
	if r.End != nil {
		r.End.Caller = r.Caller
		if r.End.User != "" {
			r.End.Proofs = r.Proofs
		}
	}
	return r, err
}

// errMoved means that another answer moved the run since it was read.
var errMoved = fault.New(fault.Conflict, "This step was answered a moment ago.")

// same returns errMoved if the run was moved since it was read.
func (r *run) same(ctx context.Context, q db.Q) error {
	var rev int64
	if err := q.QueryRow(ctx, `SELECT rev FROM runs WHERE id = $1`, r.key).Scan(&rev); err != nil {
		return db.None(err, "run")
	}
	if rev != r.rev {
		return errMoved
	}
	return nil
}

// reread returns the run as it was read, if nobody moved it since.
func (r *run) reread(ctx context.Context, tx *db.Tx) (*run, error) {
	if err := r.same(ctx, tx); err != nil {
		return nil, err
	}
	return r.copied(tx.Vault())
}

// store writes a run, whole, if nobody moved it since it was read.
func (r *run) store(ctx context.Context, tx *db.Tx) error {
	r.Sealed = authn.SealProofs(tx.Vault(), r.proofPlace(), r.Proofs)
	body := tx.Vault().Seal(bodyPlace(r.key), []byte(db.Text(r)))
	state := "running"
	if r.End != nil {
		state = "ended"
	}
	if r.rev == 0 {
		_, err := tx.Exec(ctx, `INSERT INTO runs (id, tenant_id, app_id, rev, body, state, expires_at, created_at) VALUES ($1, $2, $3, 1, $4, $5, $6, $7)`,
			r.key, r.Tenant, r.App, body, state, r.Started.Add(Life), r.Started)
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE runs SET rev = rev + 1, body = $1, state = $2 WHERE id = $3 AND rev = $4`, body, state, r.key, r.rev)
	if err != nil {
		return err
	}
	if n == 0 {
		return errMoved
	}
	tx.Signal("run/" + r.key)
	return nil
}
