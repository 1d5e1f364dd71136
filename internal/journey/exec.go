package journey

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/notify"
)

// Exec is what a step may see and touch.
type Exec struct {
	Tx     *db.Tx  // the transaction of this move; nil in Ready
	Q      db.Q    // Tx, or the database in Ready
	Answer *Answer // nil when the node is entered

	Prepared any // what Prepare returned

	Caller Caller
	Log    *slog.Logger
	URL    string
	run    *run
	engine *Engine
	node   Node
}

// Tenant is whose journey it is.
func (x *Exec) Tenant() apps.TenantID { return x.run.Tenant }

// App is the application whose user this is.
func (x *Exec) App() apps.ID { return x.run.App }

// AppName is what users know the application by.
func (x *Exec) AppName() string { return x.run.AppName }

// Client is the client that started the run.
func (x *Exec) Client() apps.ClientID { return x.run.Client }

// ClientName is what the client is called.
func (x *Exec) ClientName() string { return x.run.ClientName }

// Run names this run to whatever it waits for.
func (x *Exec) Run() RunID { return x.run.ID }

// Journey is the id of the journey that was started.
func (x *Exec) Journey() string { return x.run.Frames[0].Journey }

// Waiter is who else waits for the end of the run.
func (x *Exec) Waiter() Waiter { return x.run.Waiter }

// Once names this visit of this node in this run: what a step poses under this
// name it poses once, however often it is called.
func (x *Exec) Once() string { return fmt.Sprintf("%s/%d", x.run.ID, x.run.Visits) }

// Memo recalls what the step left for itself at this visit; it reports whether
// it did.
func (x *Exec) Memo(v any) (bool, error) { return decode(x.run.Memo, v) }

// Set makes a value known to the expressions of later nodes. An empty name
// drops it.
func (x *Exec) Set(name string, v any) {
	if name != "" {
		x.run.frame().Vars[name] = v
	}
}

// Get is what a variable of the journey holds, or nil.
func (x *Exec) Get(name string) any { return x.run.frame().Vars[name] }

// Fail makes a refusal known: to later nodes under the node's error variable, and to
// the step that asks next, until the client answers (see Failed).
func (x *Exec) Fail(err error) {
	f := fault.Of(err)
	if f.Code == "" {
		return
	}
	x.run.failed = f
	x.Set(x.node.Error, map[string]any{"code": string(f.Code), "ts_error_code": string(f.Code), "message": f.Message})
}

// FailAs is Fail with a word of its own instead of the fault's code.
func (x *Exec) FailAs(code, message string) {
	x.run.failed = fault.New(fault.Denied, "%s", message)
	x.Set(x.node.Error, map[string]any{"code": code, "ts_error_code": code, "message": message})
}

// Failed is what somebody is told who is led back to a step that has asked before: what
// failed since the client's last answer. Nil: nothing did, or it is the first visit of
// this node, which may stand in for another so that nobody learns who is known; and that
// nobody goes by a name is the author's alone to tell (security R30).
func (x *Exec) Failed() error {
	f := x.run.failed
	if f == nil || f.Code == fault.NotFound || x.run.Counts[x.run.place()] < 2 {
		return nil
	}
	return f
}

// Prove adds a proof: the only way a run gains a user. A proof of another user
// than the one already proven, or of another application, is fault.Denied
// (security J4).
func (x *Exec) Prove(p authn.Proof) error {
	if p.User() == "" || p.App() != x.run.App {
		return fault.New(fault.Denied, "This proof is not for this application.")
	}
	if have := x.Proven(); have != "" && have != p.User() {
		return fault.New(fault.Denied, "Somebody else is signing in here.")
	}
	if x.run.Bound != "" && x.run.Bound != p.User() {
		return fault.New(fault.Denied, "Somebody else is asked here.")
	}
	if authn.Alone(append(x.Proofs(), p)) {
		return fault.New(fault.Denied, "Prove who you are in another way first.")
	}
	x.run.Proofs = append(x.run.Proofs, p)
	x.run.fresh++
	x.run.Subject = p.User()
	return nil
}

// Redeem spends an approved challenge and adds its proof, in the transaction of
// this move: neither happens without the other.
func (x *Exec) Redeem(ctx context.Context, id authn.ChallengeID) error {
	p, err := authn.Redeem(ctx, x.Tx, id)
	if err != nil {
		return err
	}
	return x.Prove(p)
}

// Proven returns who has been proven, or "".
func (x *Exec) Proven() directory.UserID {
	if len(x.run.Proofs) == 0 {
		return ""
	}
	return x.run.Proofs[0].User()
}

// Proofs returns what has been proven so far.
func (x *Exec) Proofs() []authn.Proof { return slices.Clone(x.run.Proofs) }

// Bound is the only user whom this run may prove, if the server said so when it
// started it: the user of the approval that a phone answers.
func (x *Exec) Bound() directory.UserID { return x.run.Bound }

// About says whom the run is about without proving anything. It fails with
// fault.Denied if somebody else was proven.
func (x *Exec) About(user directory.UserID) error {
	if have := x.Proven(); have != "" && have != user || x.run.Bound != "" && x.run.Bound != user {
		return fault.New(fault.Denied, "Somebody else is signing in here.")
	}
	x.run.Subject = user
	return nil
}

// Subject is whom the run is about: the proven user, or whom About named.
func (x *Exec) Subject() directory.UserID { return x.run.Subject }

// MayEnrol returns nil if this run may bind something to user: it proved the
// user, or nothing could prove them yet but what this run itself bound (DESIGN
// 2.20.1): they have no credential, no device and no address that was verified.
// Otherwise it returns fault.Denied. A run that was left open while
// somebody else enrolled loses the right.
func (x *Exec) MayEnrol(ctx context.Context, user directory.UserID) error {
	if user == "" {
		return fault.New(fault.NotFound, "no such user")
	}
	if x.Proven() == user {
		return nil
	}
	if x.run.Bound != "" {
		return fault.New(fault.Denied, "Prove who you are first, then add this.")
	}
	// Two runs that both see nothing enrolled must not both enrol: whoever writes
	// the user's row second sees what the first did.
	if err := directory.Touch(ctx, x.Tx, user); err != nil {
		return err
	}
	ids, err := authn.Enrolled(ctx, x.Q, user)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !slices.Contains(x.run.Mine, id) {
			return fault.New(fault.Denied, "Prove who you are first, then add this.")
		}
	}
	return nil
}

// Enrolled says that this run bound the credential or device with this id, or
// verified the address (authn.AddressID), so that what it bound first does not
// keep it from binding the rest. It counts for nothing else: not for another user, nor for what somebody else bound.
func (x *Exec) Enrolled(id string) { x.run.Mine = append(x.run.Mine, id) }

// User returns whom a setting means: what it names, or the run's own subject if
// it is empty. fault.NotFound if nobody.
func (x *Exec) User(ctx context.Context, typed string) (directory.User, error) {
	if typed != "" {
		return directory.Lookup(ctx, x.Q, x.run.Tenant, typed)
	}
	if x.run.Subject == "" {
		return directory.User{}, fault.New(fault.NotFound, "no such user")
	}
	return directory.Find(ctx, x.Q, x.run.Tenant, x.run.Subject)
}

// Device is the device of this client that the run has registered or validated,
// or "".
func (x *Exec) Device() directory.DeviceID { return x.run.Device }

// UseDevice says that the client holds the key of this device.
func (x *Exec) UseDevice(id directory.DeviceID) { x.run.Device = id }

// DB opens transactions of its own. Only Prepare may use it: inside a move a
// second transaction would wait for the first.
func (x *Exec) DB() *db.DB {
	if x.Tx != nil {
		panic("journey: a transaction inside a move")
	}
	return x.engine.kit.DB
}

// Dev reports that messages are captured and not sent.
func (x *Exec) Dev() bool { return x.engine.kit.Dev }

// Claimed is the device that the client said it runs on, when it started.
func (x *Exec) Claimed() Device { return x.run.Caller.Device }

// TargetOf is where a client says that its device is reached. What no provider
// could deliver to is none: the phone can still ask by itself.
func TargetOf(d Device) directory.Target {
	t := directory.Target{Kind: directory.TargetKind(d.PushKind), Address: d.PushAddress, AppIdentifier: d.AppIdentifier}
	if t.Kind == notify.None || t.Address == "" {
		t.Kind = notify.None
		return t
	}
	checked, err := notify.CheckTarget(notify.Target{Kind: t.Kind, Address: t.Address, AppIdentifier: t.AppIdentifier})
	if err != nil {
		return directory.Target{Kind: notify.None, AppIdentifier: d.AppIdentifier}
	}
	t.Address = checked.Address
	return t
}

// Started is who started the run.
func (x *Exec) Started() Caller { return x.run.Caller }

// Commit is what a challenge of this run must commit to: the hash of the record
// that the user approves, or "" (DESIGN 2.20.4).
func (x *Exec) Commit() string { return x.run.Commit }

// Output adds data to what the next reply carries.
func (x *Exec) Output(data map[string]any) {
	x.run.Output = merged(x.run.Output, data)
}

// Save adds data to what the client keeps for later journeys.
func (x *Exec) Save(data map[string]any) {
	x.run.Save = merged(x.run.Save, data)
	x.run.Saved = merged(x.run.Saved, data)
}

// Instruct tells the client's SDK to do something, with the next reply.
func (x *Exec) Instruct(kind string, data map[string]any) {
	x.run.Instructions = append(x.run.Instructions, Instruction{kind, x.run.Visit, data})
}

// Claim adds a claim to the journey token.
func (x *Exec) Claim(name string, v any) {
	x.run.Claims = merged(x.run.Claims, map[string]any{name: v})
}

// Audit records what happened in this run to whom it is about, in the transaction of
// this move.
func (x *Exec) Audit(ctx context.Context, what, reason string, data map[string]any) error {
	return x.AuditFor(ctx, x.run.Subject, what, reason, data)
}

// AuditFor is Audit for somebody whom the run is not about, or not yet; "" for nobody.
func (x *Exec) AuditFor(ctx context.Context, user directory.UserID, what, reason string, data map[string]any) error {
	r := x.run
	return audit.Record(ctx, x.Tx, audit.Event{
		Tenant: string(r.Tenant), App: string(r.App), Client: string(r.Client), Type: what, Reason: reason, Outcome: outcomeOf(reason),
		Actor: string(x.Proven()), Target: string(user), Run: string(r.ID), Device: string(r.Device),
		IP: x.Caller.Address, UserAgent: x.Caller.UserAgent, Data: data,
	})
}

func outcomeOf(reason string) string {
	if reason == "" {
		return "success"
	}
	return "failure"
}

// Now is the time of this move.
func (x *Exec) Now() time.Time { return x.Q.Now() }

func merged(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]any{}
	}
	maps.Copy(out, b)
	return out
}
