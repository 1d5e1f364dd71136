package code

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/message"
)

func init() {
	backend.Register(backend.Call[sendBody]{Route: "POST /v1/auth/otp/send", Title: "Send a code", Needs: "auth:execute", Run: sendCall})
	backend.Register(backend.Call[authBody]{Route: "POST /v1/auth/otp/authenticate", Title: "Authenticate by a code", Needs: "auth:execute", Run: authCall})
}

// channels are the vendor's words for the kinds.
var channels = map[string]authn.Kind{"email": Email, "sms": SMS, "direct": Direct}

type sendBody struct {
	backend.Common
	Channel  string `json:"channel"`
	Minutes  int    `json:"expires_in,omitempty"`
	Language string `json:"language,omitempty"`
}

// sendCall tells its caller, a back end of the application's own, whether there
// is such a user; whoever asks that back end must not be told.
func sendCall(ctx context.Context, x *backend.Exec, in sendBody) (backend.Out, error) {
	kind, ok := channels[in.Channel]
	if !ok || in.Minutes < 0 {
		return backend.Out{}, fault.New(fault.Invalid, "The channel is email, sms or direct, and a code lives for minutes.")
	}
	body := map[string]any{"message": "The code was sent."}
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.Find(ctx, tx, in.Common)
		if err != nil {
			return err
		}
		if err := directory.MaySignIn(ctx, tx, x.App.Tenant, u.ID); err != nil {
			return backend.Code(err, "user_not_active")
		}
		to, err := address(ctx, tx, u.ID, kind)
		if err != nil {
			return err
		}
		code, err := Send(ctx, tx, x.Subject(kind, u.ID), Note{App: x.App, Name: message.LoginCode, To: to, Language: in.Language, Life: time.Duration(in.Minutes) * time.Minute})
		if kind == Direct {
			body["code"] = code
		}
		return err
	})
	return backend.Out{Body: body}, err
}

func address(ctx context.Context, q db.Q, u directory.UserID, kind authn.Kind) (string, error) {
	want, word := directory.Email, "user_email_address_missing"
	if kind == SMS {
		want, word = directory.Phone, "user_phone_number_missing"
	}
	ids, err := directory.Identifiers(ctx, q, u)
	if err != nil || kind == Direct {
		return "", err
	}
	for _, i := range ids {
		if i.Kind == want && i.Primary {
			return i.Value, nil
		}
	}
	return "", backend.Code(fault.New(fault.NotFound, "The user has no such address."), word)
}

type authBody struct {
	backend.Common
	Code    string `json:"passcode"`
	Channel string `json:"channel,omitempty"` // which code it is; empty: by the type of the identifier
}

func authCall(ctx context.Context, x *backend.Exec, in authBody) (backend.Out, error) {
	kind, ok := channels[in.Channel]
	if !ok {
		kind = map[bool]authn.Kind{true: SMS, false: Email}[in.IdentifierType == "phone_number"]
	}
	p, err := x.Attempt(ctx, func(tx *db.Tx) (authn.Proof, error) {
		u, err := x.Find(ctx, tx, in.Common)
		if err != nil {
			return authn.Proof{}, authn.Unknown(ctx, tx, err, kind, x.App.Tenant, x.App.ID, in.Identifier)
		}
		return Verify(ctx, tx, x.Subject(kind, u.ID), in.Code)
	})
	if fault.Is(err, fault.Expired) {
		err = backend.Code(err, "auth_otp_passcode_expired")
	}
	return backend.Out{Proof: p, SessionID: in.SessionID}, err
}
