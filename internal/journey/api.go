package journey

import (
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
)

// This file is what a door needs to know: how a run is started and answered,
// and what comes back.

// RunID names a run in logs and audit. It is no secret and opens nothing.
type RunID string

// Caller is who speaks in a request, as far as the door can tell. Nothing in
// it is proof of anything.
type Caller struct {
	Client    apps.ClientID `json:"client"`
	Address   string        `json:"address,omitempty"` // IP address, from web.Address
	UserAgent string        `json:"user_agent,omitempty"`
	Locale    string        `json:"locale,omitempty"`
	Hosted    bool          `json:"hosted,omitempty"` // a page of the server's own runs the journey, at /login/run/{run}
	Device    Device        `json:"device,omitzero"`
}

// Device is what a client says of the device it runs on.
type Device struct {
	KeyID         string `json:"key_id,omitempty"`     // hex SHA-256 of the SPKI bytes
	PublicKey     string `json:"public_key,omitempty"` // base64 SPKI, or another form that directory.ParseKey accepts
	Name          string `json:"name,omitempty"`
	Type          string `json:"type,omitempty"`
	Platform      string `json:"platform,omitempty"`
	Manufacturer  string `json:"manufacturer,omitempty"`
	Model         string `json:"model,omitempty"`
	OS            string `json:"os,omitempty"`
	OSVersion     string `json:"os_version,omitempty"`
	AppIdentifier string `json:"app_identifier,omitempty"` // bundle id or package: selects the push credentials
	PushKind      string `json:"push_kind,omitempty"`      // as the SDK says: "APN", "Fcm", …; see directory.TargetKind
	PushAddress   string `json:"push_address,omitempty"`
}

// StartRequest begins a run.
type StartRequest struct {
	App     apps.App
	Client  apps.Client
	Journey string
	Kind    Kind           // what may be started through this door; KindClient if empty
	Params  map[string]any // from the client: data, never policy
	Saved   map[string]any // what earlier journeys saved in the client; untrusted
	Caller  Caller
	Waiter  Waiter // who else wants the end: an approval, an authorization
	// Subject is the only user whom the run may prove; empty: anybody.
	Subject directory.UserID
	// Proofs are what the session proved that the run begins on, all of one user,
	// whom alone it may prove then; Levels are what its end should reach, one of
	// them (authn.Reaches).
	Proofs []authn.Proof
	Levels []string
	// Trusted is what the server itself hands to the run, such as the
	// parameters of an approval (@policy.getMobileApproveParameters()).
	Trusted map[string]any
	Version int64              // of the journey; 0: the newest; below: a draft that is tried (Snapshot)
	Device  directory.DeviceID // the client has just shown that it holds the key of this device
	Commit  string             // hash of the record that the run is to approve
}

// Waiter is what waits for a run to end: an approval, an authorization request.
type Waiter struct {
	Kind string `json:"kind,omitempty"`
	ID   string `json:"id,omitempty"`
}

// Answer is what a client says to the prompt of a run.
//
// Session, Visit and Turn are what the last Reply gave. A stale Visit or Turn
// changes nothing: the current prompt comes back, with Reply.Problem unless it
// was the answer just given (a double click). An answer without Option and Data
// to a prompt with Poll is a poll: it is held until something changed, the
// context ends or the server's limit (25 s) passes, any earlier Turn is good
// enough, and it costs no write.
type Answer struct {
	Session string
	Visit   string
	Turn    string
	Option  string         // "" is the prompt's own answer; "resend"; or the ID of one of Prompt.Options
	Data    map[string]any // fields of the prompt or of the option
	Caller  Caller
}

// Reply is what a client gets: a prompt, or an end.
type Reply struct {
	Session      string // the bearer secret of the run; only Start gives it
	Run          RunID
	Visit        string // changes whenever the run moves to another prompt
	Turn         string // changes with every move; the next answer must carry it
	Prompt       *Prompt
	Problem      *fault.Error // why the same prompt comes again; nil if nothing was wrong
	End          *End
	Paused       bool           // StartIn stopped before slow work: call Resume once its transaction is committed
	Told         bool           // this answered an empty answer that was held, and whoever ended the run meanwhile is told of the end too
	Output       map[string]any // "provide JSON data" since the last reply
	Save         map[string]any // "save data in SDK" since the last reply
	Instructions []Instruction  // what the client's SDK shall do, since the last reply
}

// Instruction is something that the client's SDK does by itself: a key that it
// made is kept only once the server has it.
type Instruction struct {
	Kind  string         `json:"kind"`
	Visit string         `json:"visit"` // of the step that says so
	Data  map[string]any `json:"data,omitempty"`
}

// Prompt is a question to the client. Kind names a screen that a client may
// draw specially; Fields let any client draw it somehow.
type Prompt struct {
	Kind    string         `json:"kind"`           // "form", "login_form", "information", "push.wait", "push.device", "push.validate_code", "biometric.register", …
	Form    string         `json:"form,omitempty"` // form_id of forms
	Title   string         `json:"title,omitempty"`
	Text    string         `json:"text,omitempty"`
	Button  string         `json:"button,omitempty"`
	Fields  form.Form      `json:"fields,omitempty"`
	Values  map[string]any `json:"values,omitempty"`  // what fields hold before somebody types
	Data    map[string]any `json:"data,omitempty"`    // flat: what the client is told
	Options []Option       `json:"options,omitempty"` // escapes, in order
	Refused string         `json:"refused,omitempty"` // the option whose answer the reply's Problem is about; empty: the fields
	Resend  bool           `json:"resend,omitempty"`
	Poll    bool           `json:"poll,omitempty"`  // an empty answer waits
	Empty   bool           `json:"empty,omitempty"` // an empty answer is the answer (information; never a step that verifies)
	Ticket  *Ticket        `json:"ticket,omitempty"`
	Sent    *Sent          `json:"sent,omitempty"`  // where a message of it went; for pages of ours, not for foreign clients
	Watch   []string       `json:"watch,omitempty"` // topics of db.Signal that end the wait early; not for clients
	Until   time.Time      `json:"until,omitzero"`  // when waiting becomes pointless; not for clients
}

// Option is another answer than the prompt's own: cancel, another method, a
// branch that the journey's author drew.
type Option struct {
	ID     string    `json:"id"` // "cancel" and "failure" have their meaning in every door
	Label  string    `json:"label"`
	Fields form.Form `json:"fields,omitempty"`
}

// Ticket is what a "wait for cross-session message" prompt waits for.
type Ticket struct {
	ID     string `json:"id"`     // raw id, for auth/poll
	Value  string `json:"value"`  // shown
	Format string `json:"format"` // "numeric" …
}

// End is how a run ended. Neither Proofs nor User are set unless a method
// proved the user in this run.
type End struct {
	OK         bool             `json:"ok"`
	Registered bool             `json:"registered,omitempty"` // OK, but nobody was authenticated
	Reason     string           `json:"reason,omitempty"`     // machine word: "access_rejected", "denied", "not_me", "expired" …
	Message    string           `json:"message,omitempty"`    // for people
	Failure    map[string]any   `json:"failure,omitempty"`    // failure data of a reject
	User       directory.UserID `json:"user,omitempty"`
	Subject    directory.UserID `json:"subject,omitempty"` // whom a registration was about, unproven
	Proofs     []authn.Proof    `json:"-"`                 // the run's own, when it is read again
	Claims     map[string]any   `json:"claims,omitempty"`
	Approvals  []Approval       `json:"approvals,omitempty"` // what the user signed
	Evidence   map[string]any   `json:"evidence,omitempty"`  // what the run's method can show for its proof
	Token      TokenFacts       `json:"token,omitzero"`
	Waiter     Waiter           `json:"waiter,omitzero"` // that was told
	Caller     Caller           `json:"-"`               // who started the run
	Tenant     apps.TenantID    `json:"tenant"`
	App        apps.ID          `json:"app"`
	Client     apps.ClientID    `json:"client"`
	Journey    string           `json:"journey"`
	Version    int64            `json:"version"`
	Params     map[string]any   `json:"params,omitempty"`
	Device     string           `json:"device,omitempty"`
}

// TokenFacts fix what the journey token of an end says, so that asking again
// after a lost reply yields the same claims and no second token (P16).
type TokenFacts struct {
	ID string    `json:"id,omitempty"`
	At time.Time `json:"at,omitzero"`
}
