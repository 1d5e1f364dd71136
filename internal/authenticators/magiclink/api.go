package magiclink

import (
	"context"
	"errors"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/message"
)

func init() {
	backend.Register(backend.Call[sendBody]{Route: "POST /v1/auth/link/email/send", Title: "Send a link", Needs: "auth:execute", Run: sendCall})
	backend.Register(backend.Call[carriedBody]{Route: "POST /v1/auth/links/email", Title: "Send a link that leads to your page, with a code for /v1/token", Needs: "auth:execute", Run: sendCarried})
	backend.Register(backend.Call[insideBody]{Route: "POST /inside/link/email", Title: "Send a link that asks for a number", Who: backend.Inside, Run: sendInside})
	backend.Register(backend.Call[nobodyBody]{Route: "POST /inside/link/nobody", Title: "Send nobody a link that asks for a number", Who: backend.Inside, Run: sendNobody})
	backend.Register(backend.Call[authenticateBody]{Route: "POST /v1/auth/link/email/authenticate", Title: "Authenticate by a link", Needs: "auth:execute", Run: authenticate})
}

type sendBody struct {
	backend.Common
	Redirect string          `json:"redirect_uri"`
	State    string          `json:"state,omitempty"`
	Minutes  int             `json:"email_expiration,omitempty"`
	Channel  string          `json:"channel,omitempty"` // email (default), or direct: the caller hands the link over
	Request  bool            `json:"generate_request_id,omitempty"`
	Language string          `json:"language,omitempty"`
	Mail     message.Content `json:"email_content,omitzero"`
}

// sendCall tells its caller, a back end of the application's own, whether there is
// such a user; whoever asks that back end must not be told.
func sendCall(ctx context.Context, x *backend.Exec, in sendBody) (backend.Out, error) {
	if in.Channel != "" && in.Channel != "email" && in.Channel != "direct" || in.Minutes < 0 || len(in.State) > 512 {
		return backend.Out{}, backend.Code(fault.New(fault.Invalid, "The channel is email or direct, a link lives for minutes, and a state has up to 512 characters."), "system_invalid_input")
	}
	if err := in.Mail.Check(); err != nil {
		return backend.Out{}, backend.Code(err, "system_invalid_input")
	}
	if ok, err := apps.MayRedirect(ctx, x.Kit.DB, x.App.ID, in.Redirect); err != nil || !ok {
		return backend.Out{}, orElse(err, backend.Code(fault.New(fault.Invalid, "No client of this application may be sent to this address."), "system_invalid_input"))
	}
	var sent Sent
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.Find(ctx, tx, in.Common)
		if err != nil {
			return err
		}
		if err := directory.MaySignIn(ctx, tx, x.App.Tenant, u.ID); err != nil {
			return backend.Code(err, "user_not_active")
		}
		to, err := address(ctx, tx, u.ID)
		if err != nil {
			return backend.Code(err, "user_email_address_missing")
		}
		sent, err = Send(ctx, tx, x.Subject(Kind, u.ID), Note{App: x.App, Base: x.Kit.URL, To: to, Language: in.Language, Content: in.Mail, Return: in.Redirect, Member: "code", State: in.State,
			Life: time.Duration(in.Minutes) * time.Minute, Hand: in.Channel == "direct"}, in.Request)
		return err
	})
	body := map[string]any{"message": "The link was sent."}
	if sent.Request != "" {
		body["request_id"] = sent.Request
	}
	if in.Channel == "direct" {
		body["message"], body["link"] = "The link was made.", sent.Address
	}
	return backend.Out{Body: body}, err
}

type carriedBody struct {
	backend.Returning
	Email    string          `json:"email"`
	New      bool            `json:"create_new_user,omitempty"`
	Language string          `json:"language,omitempty"`
	Mail     message.Content `json:"email_content,omitzero"`
}

// sendCarried tells its caller what sendCall does, unless whoever reads the mail
// shall be a user if they are none.
func sendCarried(ctx context.Context, x *backend.Exec, in carriedBody) (backend.Out, error) {
	err := errors.Join(backend.Code(in.Mail.Check(), "system_invalid_input"), in.Check(ctx, x, true), x.MayAdmit(in.New))
	if err != nil {
		return backend.Out{}, err
	}
	err = x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		n := Note{App: x.App, Base: x.Kit.URL, Language: in.Language, Content: in.Mail, Return: in.Redirect, Member: "code", State: in.State, Client: x.Client}
		u, err := x.Find(ctx, tx, backend.Common{Identifier: in.Email, IdentifierType: "email"})
		if in.New && fault.Is(err, fault.NotFound) {
			return sendNew(ctx, tx, x, in.Email, n)
		}
		if err != nil {
			return err
		}
		if err := directory.MaySignIn(ctx, tx, x.App.Tenant, u.ID); err != nil {
			return backend.Code(err, "user_not_active")
		}
		if n.To, err = address(ctx, tx, u.ID); err != nil {
			return backend.Code(err, "user_email_address_missing")
		}
		_, err = Send(ctx, tx, x.Subject(Kind, u.ID), n, false)
		return err
	})
	return backend.Out{Body: map[string]any{"message": "The link was sent."}}, err
}

// sendNew sends a link to an address that is nobody's, which makes a user of
// whoever presses its button.
func sendNew(ctx context.Context, tx *db.Tx, x *backend.Exec, typed string, n Note) (err error) {
	n.New = true
	if n.To, err = directory.Normalise(directory.Email, typed); err != nil {
		return backend.Code(err, "system_invalid_input")
	}
	_, err = Send(ctx, tx, x.Subject(Kind, authn.NobodyID(tx, typed)), n, false)
	return err
}

type insideBody struct {
	backend.Common
	Number string `json:"number"` // two digits, which the waiting page shows
}

// sendInside sends a link for another door, which shows the number and asks the
// challenge that is named in the answer what became of it.
func sendInside(ctx context.Context, x *backend.Exec, in insideBody) (backend.Out, error) {
	if len(in.Number) != 2 {
		return backend.Out{}, fault.New(fault.Invalid, "The number has two digits.")
	}
	var sent Sent
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.Find(ctx, tx, in.Common)
		if err == nil {
			err = directory.MaySignIn(ctx, tx, x.App.Tenant, u.ID)
		}
		if err != nil {
			return err
		}
		to, err := address(ctx, tx, u.ID)
		if err != nil {
			return err
		}
		sent, err = Send(ctx, tx, x.Subject(Kind, u.ID), Note{App: x.App, Base: x.Kit.URL, To: to, Number: in.Number}, false)
		return err
	})
	return backend.Out{Body: map[string]any{"challenge": string(sent.Challenge.ID)}}, err
}

type nobodyBody struct {
	Name   string `json:"name"` // that is nobody's
	Number string `json:"number"`
}

// sendNobody does for a name that is nobody's what sendInside does for a user (security
// R30): the challenge that is named in the answer waits, and nobody has its link.
func sendNobody(ctx context.Context, x *backend.Exec, in nobodyBody) (backend.Out, error) {
	var sent Sent
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		err := x.Nobody(ctx, tx, in.Name)
		if err == nil {
			sent, err = send(ctx, tx, x.Subject(Kind, authn.NobodyID(tx, in.Name)), Note{App: x.App, Base: x.Kit.URL, To: in.Name, Number: in.Number}, false, true)
		}
		return err
	})
	return backend.Out{Body: map[string]any{"challenge": string(sent.Challenge.ID)}}, err
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// address is the user's primary mail address; fault.NotFound if they have none.
func address(ctx context.Context, q db.Q, u directory.UserID) (string, error) {
	ids, err := directory.Identifiers(ctx, q, u)
	if err != nil {
		return "", err
	}
	for _, i := range ids {
		if i.Kind == directory.Email && i.Primary {
			return i.Value, nil
		}
	}
	return "", fault.New(fault.NotFound, "The user has no such address.")
}

type authenticateBody struct {
	backend.Common
	Code    string `json:"code"`
	Request string `json:"request_id,omitempty"` // that of the sending, if there was one
}

func authenticate(ctx context.Context, x *backend.Exec, in authenticateBody) (backend.Out, error) {
	p, err := x.Attempt(ctx, func(tx *db.Tx) (authn.Proof, error) { return Exchange(ctx, tx, x.App, in.Code, in.Request) })
	return backend.Out{Proof: p, SessionID: in.SessionID}, err
}
