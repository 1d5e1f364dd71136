package passkey

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/session"
)

// A ceremony across devices begins with a ticket on one device, which another
// device takes up, typically from a QR code (mosaic-protocol 6). Whoever has the
// ticket can see how it goes; the session that it ends with gives tokens only to
// a client of the application.

const across = base + "cross-device/"

func init() {
	call("POST "+across+"register/init", "Begin to register a passkey on another device", "authenticators:create", initRegistration)
	call("POST "+across+"external/register/init", "Begin to register a passkey on another device for a user you authenticated", "authenticators:create", initRegistration)
	call("POST "+across+"register", "Register the passkey of another device", "authenticators:create", registerAcross)
	public("POST "+across+"authenticate/init", "Begin to authenticate on another device", initAuthentication)
	public("POST "+across+"authenticate/start", "Begin the ceremony of a ticket", startTicket(gets))
	public("POST "+across+"register/start", "Begin the registration of a ticket", startTicket(creates))
	public("POST "+across+"attach-device", "Take up a ticket", attachDevice)
	public("GET "+across+"status", "See how a ticket is doing", ticketStatus)
	backend.Asks("GET "+across+"status", "cross_device_ticket_id")
}

// crossing is a ceremony's type that no result can answer.
const crossing = "cross-device/"

// ticket is what a challenge remembers between two devices. Type keeps it from
// being taken for a ceremony.
type ticket struct {
	Type     string           `json:"type"`
	Client   apps.ClientID    `json:"client"`
	Name     string           `json:"name,omitempty"`
	Shown    string           `json:"shown,omitempty"`
	User     directory.UserID `json:"user,omitempty"` // of a registration
	Approval map[string]any   `json:"approval,omitempty"`
	Done     bool             `json:"done,omitempty"`
	Session  string           `json:"session,omitempty"` // that a success ended in
	Hash     string           `json:"hash,omitempty"`    // of the secret of a page's token
	Return   string           `json:"return,omitempty"`  // where that page leads to
}

type initBody struct {
	backend.Common
	External string `json:"external_user_id,omitempty"`
	Name     string `json:"username,omitempty"`
	Shown    string `json:"display_name,omitempty"`
}

// initRegistration relies on the caller's word that the user is there.
func initRegistration(ctx context.Context, x *backend.Exec, in initBody) (backend.Out, error) {
	if in.External != "" {
		in.Identifier, in.IdentifierType = in.External, "external_user_id"
	}
	if in.Name == "" {
		in.Name = in.Identifier
	}
	if err := fits(in.Name, in.Shown); err != nil || in.Name == "" {
		return backend.Out{}, badName
	}
	r, err := party(ctx, x.Kit.DB, x.App, x.Kit.URL)
	if err != nil {
		return backend.Out{}, err
	}
	return move(ctx, x, func(tx *db.Tx) (map[string]any, error) {
		u, err := x.Find(ctx, tx, in.Common)
		if err != nil {
			return nil, err
		}
		return r.issue(ctx, tx, ticket{Type: crossing + creates, Client: x.Client, Name: in.Name, Shown: in.Shown, User: u.ID})
	})
}

func initAuthentication(ctx context.Context, x *backend.Exec, in authenticateStart) (backend.Out, error) {
	if in.Name == "" {
		in.Name = in.Identifier
	}
	if err := fits(in.Name, ""); err != nil {
		return backend.Out{}, err
	}
	t := ticket{Type: crossing + gets, Client: in.Client, Name: in.Name}
	if in.Approval != nil {
		data, err := journey.ApprovalData(in.Approval)
		if err != nil {
			return backend.Out{}, backend.Code(err, "system_invalid_input")
		}
		t.Approval = data
	}
	r, err := ofClient(ctx, x, in.Client)
	if err != nil {
		return backend.Out{}, err
	}
	return move(ctx, x, func(tx *db.Tx) (map[string]any, error) { return r.issue(ctx, tx, t) })
}

func (r relying) issue(ctx context.Context, tx *db.Tx, t ticket) (map[string]any, error) {
	id, err := r.pose(ctx, tx, t, ceremonyLife)
	return map[string]any{"cross_device_ticket_id": string(id)}, err
}

func (r relying) pose(ctx context.Context, tx *db.Tx, t ticket, life time.Duration) (authn.ChallengeID, error) {
	made, _, err := authn.Pose(ctx, tx, authn.Opening{Subject: r.subject(), Once: "passkey/ticket/" + rand.Text(), Life: life}, t)
	return made.ID, err
}

var noTicket = backend.Code(fault.New(fault.NotFound, "There is no such ticket."), "not_found")

// recall reads a ticket and whose relying party it is of.
func recall(ctx context.Context, x *backend.Exec, q db.Q, id authn.ChallengeID) (authn.Challenge[ticket], relying, error) {
	t, err := recalled[ticket](ctx, q, id, authn.Subject{})
	if fault.Is(err, fault.Expired) || err == nil && t.Data.Type != crossing+creates && t.Data.Type != crossing+gets {
		return t, relying{}, noTicket
	}
	if err != nil {
		return t, relying{}, err
	}
	r, err := whose(ctx, x, q, t)
	return t, r, err
}

// whose is the relying party that a ticket is of.
func whose(ctx context.Context, x *backend.Exec, q db.Q, t authn.Challenge[ticket]) (relying, error) {
	app, err := apps.Find(ctx, q, t.Subject.App)
	if err != nil {
		return relying{}, err
	}
	return party(ctx, q, app, x.Kit.URL)
}

type ticketBody struct {
	Ticket authn.ChallengeID `json:"cross_device_ticket_id"`
}

// attachDevice says that another device took the ticket up, and shows it what is
// to be approved.
func attachDevice(ctx context.Context, x *backend.Exec, in ticketBody) (backend.Out, error) {
	return move(ctx, x, func(tx *db.Tx) (map[string]any, error) {
		t, _, err := recall(ctx, x, tx, in.Ticket)
		if err != nil {
			return nil, err
		}
		if t.State != authn.Created {
			return nil, backend.Code(authn.Gone, "auth_challenge_expired")
		}
		out := map[string]any{"status": "scanned", "started_at": t.Created.UTC().Format(time.RFC3339Nano)}
		if t.Data.Approval != nil {
			out["approval_data"] = t.Data.Approval
		}
		return out, authn.Move(ctx, tx, &t, authn.Acknowledged)
	})
}

// startTicket begins the ceremony of a ticket that is open.
func startTicket(kind string) func(ctx context.Context, x *backend.Exec, in ticketBody) (backend.Out, error) {
	return func(ctx context.Context, x *backend.Exec, in ticketBody) (backend.Out, error) {
		return move(ctx, x, func(tx *db.Tx) (map[string]any, error) {
			t, r, err := recall(ctx, x, tx, in.Ticket)
			if err != nil {
				return nil, err
			}
			if !t.State.Open() || t.Data.Type != crossing+kind {
				return nil, backend.Code(authn.Gone, "auth_challenge_expired")
			}
			c := ceremony{Name: t.Data.Name, Approval: t.Data.Approval, Ticket: t.ID}
			if kind == creates {
				return r.creation(ctx, tx, c, t.Data.Shown, 0, false)
			}
			return r.request(ctx, tx, c, 0)
		})
	}
}

// words of a ticket's state are the SDK's.
func ticketStatus(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	t, _, err := recall(ctx, x, x.Kit.DB, authn.ChallengeID(x.Path("cross_device_ticket_id")))
	if err != nil {
		return backend.Out{}, err
	}
	out := map[string]any{"status": "error"}
	switch {
	case t.Data.Done:
		out["status"] = "success"
		if t.Data.Session != "" {
			out["session_id"] = t.Data.Session
		}
	case t.State == authn.Created:
		out["status"] = "pending"
	case t.State == authn.Acknowledged:
		out["status"] = "scanned"
	case t.State == authn.Expired:
		out["status"] = "timeout"
	case t.State == authn.Cancelled:
		out["status"] = "aborted"
	}
	return backend.Out{Body: out}, nil
}

// finish opens the session that a ticket waits for, if the ceremony was one's.
// It returns what the client holds it by.
func (r relying) finish(ctx context.Context, x *backend.Exec, tx *db.Tx, done signed, attach string) (string, error) {
	if done.Ticket == "" {
		return "", nil
	}
	t, _, err := recall(ctx, x, tx, done.Ticket)
	if err != nil {
		return "", err
	}
	t.Data.Done, t.Data.Session = true, attach
	if attach == "" {
		s, err := session.Open(ctx, tx, x.App, x.From(), done.Proof)
		if err != nil {
			return "", err
		}
		t.Data.Session = s.Bearer
	}
	if err := authn.Move(ctx, tx, &t, authn.Cancelled); err != nil {
		return "", err
	}
	if attach != "" {
		return "", nil
	}
	return t.Data.Session, nil
}

type acrossBody struct {
	Result string `json:"webauthn_encoded_result"`
}

// registerAcross enrols for the user whom the ticket was begun for.
func registerAcross(ctx context.Context, x *backend.Exec, in acrossBody) (backend.Out, error) {
	return registered(ctx, x, in.Result, func(tx *db.Tx, r relying) (directory.UserID, func(c ceremony) (bool, error), error) {
		res, err := read(in.Result)
		if err != nil {
			return "", nil, err
		}
		c, err := recalled[ceremony](ctx, tx, res.Session, r.subject())
		if err != nil {
			return "", nil, err
		}
		t, _, err := recall(ctx, x, tx, c.Data.Ticket)
		if err != nil {
			return "", nil, err
		}
		if t.Subject != r.subject() || t.Data.Type != crossing+creates {
			return "", nil, noTicket
		}
		t.Data.Done = true
		return t.Data.User, func(ceremony) (bool, error) { return true, nil }, authn.Move(ctx, tx, &t, authn.Cancelled)
	})
}
