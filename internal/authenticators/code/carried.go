package code

import (
	"cmp"
	"context"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/message"
)

// The pairs of calls by which a back end sends a code, and has the browser of who
// handed it in go to a page with a code for /v1/token (authenticators.md 3, 4).
func init() {
	for channel, kind := range map[string]authn.Kind{"email": Email, "sms": SMS} {
		backend.Register(backend.Call[carriedBody]{Route: "POST /v1/auth/otp/" + channel, Title: "Send a code whose owner goes to your page", Needs: "auth:execute", Run: sendCarried(kind)})
		backend.Register(backend.Call[validateBody]{Route: "POST /v1/auth/otp/" + channel + "/validation", Title: "Take it, and say where the browser goes with a code for /v1/token", Needs: "auth:execute", Run: validate(kind)})
	}
}

// who names whose code it is, by the address alone.
type who struct {
	Email string `json:"email,omitempty"`
	Phone string `json:"phone_number,omitempty"`
}

func (w who) common(kind authn.Kind) backend.Common {
	if kind == SMS {
		return backend.Common{Identifier: w.Phone, IdentifierType: "phone_number"}
	}
	return backend.Common{Identifier: w.Email, IdentifierType: "email"}
}

type carriedBody struct {
	who
	backend.Returning
	New      bool            `json:"create_new_user,omitempty"`
	Minutes  int             `json:"expires_in,omitempty"`
	Language string          `json:"language,omitempty"`
	Mail     message.Content `json:"email_content,omitzero"`
	textBody
}

func (in carriedBody) note(x *backend.Exec, kind authn.Kind) (Note, error) {
	n, err := sendBody{Minutes: in.Minutes, Language: in.Language, Mail: in.Mail, Text: in.textBody}.note(x, kind)
	if err == nil && kind != SMS && in.textBody != (textBody{}) {
		err = fault.New(fault.Invalid, "A text message is worded by custom_message, a mail by email_content.")
	}
	n.Return = in.Redirect
	return n, backend.Code(err, "system_invalid_input")
}

// sendCarried tells its caller what sendCall does, unless whoever reads the code
// shall be a user if they are none.
func sendCarried(kind authn.Kind) func(ctx context.Context, x *backend.Exec, in carriedBody) (backend.Out, error) {
	return func(ctx context.Context, x *backend.Exec, in carriedBody) (backend.Out, error) {
		n, err := in.note(x, kind)
		for _, also := range []func() error{func() error { return in.Check(ctx, x, false) }, func() error { return x.MayAdmit(in.New) }} {
			if err == nil {
				err = also()
			}
		}
		if err != nil {
			return backend.Out{}, err
		}
		err = x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
			u, err := x.Find(ctx, tx, in.common(kind))
			if in.New && fault.Is(err, fault.NotFound) {
				return sendNew(ctx, tx, x.Subject(kind, ""), in.common(kind).Identifier, n)
			}
			if err != nil {
				return err
			}
			return sendTo(ctx, tx, x.Subject(kind, u.ID), n)
		})
		return backend.Out{Body: map[string]any{"message": "The code was sent."}}, err
	}
}

func sendTo(ctx context.Context, tx *db.Tx, s authn.Subject, n Note) error {
	if err := directory.MaySignIn(ctx, tx, s.Tenant, s.User); err != nil {
		return backend.Code(err, "user_not_active")
	}
	var err error
	if n.To, err = address(ctx, tx, s.User, s.Kind); err != nil {
		return err
	}
	_, err = Send(ctx, tx, s, n)
	return err
}

// sendNew sends a code to an address that is nobody's, which makes a user of
// whoever hands it in.
func sendNew(ctx context.Context, tx *db.Tx, s authn.Subject, typed string, n Note) error {
	kind := reaches(s.Kind)
	var err error
	if n.To, err = directory.Normalise(kind, typed); err != nil {
		return backend.Code(err, "system_invalid_input")
	}
	s.User, n.New, n.Name = authn.NobodyID(tx, typed), true, message.SignupCode
	_, err = Send(ctx, tx, s, n)
	return err
}

type validateBody struct {
	who
	backend.Returning
	Code  string `json:"passcode"`
	Type  string `json:"response_type,omitempty"` // code
	Nonce string `json:"nonce,omitempty"`
}

// validate refuses to put an identity token into an address, where histories and
// logs keep it: the code is traded for it.
func validate(kind authn.Kind) func(ctx context.Context, x *backend.Exec, in validateBody) (backend.Out, error) {
	return func(ctx context.Context, x *backend.Exec, in validateBody) (backend.Out, error) {
		if in.Type != "" && in.Type != "code" {
			return backend.Out{}, backend.Code(fault.New(fault.Invalid, "The response_type is code: no token stands in an address. Trade the code at /v1/token for it."), "unsupported_response_type")
		}
		if len(in.Nonce) > 512 {
			return backend.Out{}, backend.Code(fault.New(fault.Invalid, "A nonce has up to 512 characters."), "system_invalid_input")
		}
		if err := in.Check(ctx, x, false); err != nil {
			return backend.Out{}, err
		}
		var d sent
		p, err := x.Attempt(ctx, func(tx *db.Tx) (p authn.Proof, err error) {
			typed := Typed{Code: in.Code, Client: x.Client, Return: in.Redirect}
			u, err := x.Find(ctx, tx, in.common(kind))
			switch {
			case fault.Is(err, fault.NotFound):
				p, d, err = admit(ctx, tx, x.Subject(kind, authn.NobodyID(tx, in.common(kind).Identifier)), typed)
			case err == nil:
				if p, d, err = verify(ctx, tx, x.Subject(kind, u.ID), typed); err == nil {
					err = reached(ctx, tx, x.Subject(kind, u.ID), d.To)
				}
			}
			if err == nil && in.Redirect == "" && d.Return == "" {
				err = backend.Code(fault.New(fault.Invalid, "The redirect_uri is missing."), "system_invalid_input")
			}
			return p, err
		})
		if fault.Is(err, fault.Expired) {
			err = backend.Code(err, "auth_otp_passcode_expired")
		}
		return backend.Out{Proof: p, Back: &backend.Back{To: cmp.Or(in.Redirect, d.Return), State: in.State, Nonce: in.Nonce, New: d.New, From: x.From()}}, err
	}
}
