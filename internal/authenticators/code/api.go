package code

import (
	"cmp"
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/message"
)

func init() {
	backend.Register(backend.Call[sendBody]{Route: "POST /v1/auth/otp/send", Title: "Send a code", Needs: "auth:execute", Run: sendCall})
	backend.Register(backend.Call[nobodyBody]{Route: "POST /inside/otp/nobody", Title: "Send nobody a code", Who: backend.Inside, Run: sendNobody})
	backend.Register(backend.Call[authBody]{Route: "POST /v1/auth/otp/authenticate", Title: "Authenticate by a code", Needs: "auth:execute", Run: authCall})
}

// channels are the vendor's words for the kinds.
var channels = map[string]authn.Kind{"email": Email, "sms": SMS, "direct": Direct}

type sendBody struct {
	backend.Common
	Channel  string          `json:"channel"`
	Minutes  int             `json:"expires_in,omitempty"`
	Language string          `json:"language,omitempty"`
	Occasion string          `json:"occasion,omitempty"` // sign_in (default), sign_up or confirm
	Mail     message.Content `json:"email_content,omitzero"`
	Text     textBody        `json:"custom_sms_input,omitzero"`
	Data     map[string]any  `json:"approval_data,omitempty"`
	Request  bool            `json:"generate_request_id,omitempty"`
}

// textBody is a text message in the caller's words.
type textBody struct {
	Message string `json:"custom_message,omitempty"` // with {otp}, and perhaps {app}
	Sender  string `json:"sender_id,omitempty"`      // up to 11 letters and digits, instead of the gateway's
}

// senders are what networks take for the name of a sender.
var senders = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ]{0,10}$`)

// note is how the code of a request is sent; fault.Invalid if it cannot be so.
func (in sendBody) note(x *backend.Exec, kind authn.Kind) (Note, error) {
	n := Note{App: x.App, Client: x.Client, Name: occasions[cmp.Or(in.Occasion, signIn)], Language: in.Language, Life: time.Duration(in.Minutes) * time.Minute, Request: in.Request, Content: in.Mail}
	if n.Name == "" || in.Minutes < 0 {
		return n, fault.New(fault.Invalid, "The occasion is sign_in, sign_up or confirm, and a code lives for minutes.")
	}
	if kind == SMS {
		if m := in.Text.Message; m != "" && (!strings.Contains(m, "{otp}") || len([]rune(m)) > 140) {
			return n, fault.New(fault.Invalid, "A text message has {otp} in it and at most 140 characters.")
		}
		if n.Sender = in.Text.Sender; n.Sender != "" && !senders.MatchString(n.Sender) {
			return n, fault.New(fault.Invalid, "A sender has up to 11 letters and digits.")
		}
		n.Content = message.Content{Body: strings.ReplaceAll(in.Text.Message, "{otp}", "{code}")}
	}
	if in.Data != nil {
		var err error
		if n.Approval, err = journey.ApprovalData(in.Data); err != nil {
			return n, err
		}
	}
	return n, n.Content.Check()
}

// sendCall tells its caller, a back end of the application's own, whether there
// is such a user; whoever asks that back end must not be told.
func sendCall(ctx context.Context, x *backend.Exec, in sendBody) (backend.Out, error) {
	kind, ok := channels[in.Channel]
	if !ok {
		return backend.Out{}, fault.New(fault.Invalid, "The channel is email, sms or direct.")
	}
	n, err := in.note(x, kind)
	if err != nil {
		return backend.Out{}, backend.Code(err, "system_invalid_input")
	}
	body := map[string]any{"message": "The code was sent."}
	err = x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.Find(ctx, tx, in.Common)
		if err != nil {
			return err
		}
		if err := directory.MaySignIn(ctx, tx, x.App.Tenant, u.ID); err != nil {
			return backend.Code(err, "user_not_active")
		}
		if n.To, err = address(ctx, tx, u.ID, kind); err != nil {
			return err
		}
		out, err := Send(ctx, tx, x.Subject(kind, u.ID), n)
		if kind == Direct {
			body["code"] = out.Code
		}
		if n.Request {
			body["request_id"] = out.Request
		}
		if n.Approval != nil {
			body["approval_data"] = n.Approval
		}
		return err
	})
	return backend.Out{Body: body}, err
}

type nobodyBody struct {
	Channel string `json:"channel"`
	Name    string `json:"name"` // that is nobody's
}

// sendNobody does for a name that is nobody's what sendCall does for a user, for
// another door that must not tell (security R30). Nothing is sent.
func sendNobody(ctx context.Context, x *backend.Exec, in nobodyBody) (backend.Out, error) {
	kind, ok := channels[in.Channel]
	if !ok {
		return backend.Out{}, fault.New(fault.Invalid, "The channel is email, sms or direct.")
	}
	return backend.Out{}, x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		if err := x.Nobody(ctx, tx, in.Name); err != nil {
			return err
		}
		return Nobody(ctx, tx, x.Subject(kind, ""), in.Name, Note{App: x.App, Client: x.Client, Name: message.LoginCode})
	})
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

// reached notes that who has read a code there has shown that an address is theirs.
// It is Wrong if it is not the user's any more.
func reached(ctx context.Context, tx *db.Tx, s authn.Subject, to string) error {
	kind := reaches(s.Kind)
	if s.Kind == Direct {
		return nil
	}
	err := directory.Verify(ctx, tx, s.Tenant, s.User, kind, to)
	if fault.Is(err, fault.NotFound) {
		return authn.Wrong
	}
	return err
}

type authBody struct {
	backend.Common
	Code    string `json:"passcode"`
	Channel string `json:"channel,omitempty"` // which code it is; empty: by the type of the identifier
	Request string `json:"request_id,omitempty"`
}

func authCall(ctx context.Context, x *backend.Exec, in authBody) (backend.Out, error) {
	kind, ok := channels[in.Channel]
	if !ok {
		kind = map[bool]authn.Kind{true: SMS, false: Email}[in.IdentifierType == "phone_number"]
	}
	var approved map[string]any
	p, err := x.Attempt(ctx, func(tx *db.Tx) (p authn.Proof, err error) {
		u, err := x.Find(ctx, tx, in.Common)
		if fault.Is(err, fault.NotFound) { // judged like anybody's, and never right (security R30)
			u.ID, err = authn.NobodyID(tx, in.Identifier), nil
		}
		if err != nil {
			return authn.Proof{}, err
		}
		p, d, err := verify(ctx, tx, x.Subject(kind, u.ID), Typed{Code: in.Code, Client: x.Client, Request: in.Request})
		if approved = d.Approval; err == nil {
			err = reached(ctx, tx, x.Subject(kind, u.ID), d.To)
		}
		return p, err
	})
	if fault.Is(err, fault.Expired) {
		err = backend.Code(err, "auth_otp_passcode_expired")
	}
	out := backend.Out{Proof: p, SessionID: in.SessionID}
	if approved != nil {
		out.Body = map[string]any{"approval_data": approved, "approval_hash": journey.ApprovalHash(approved)}
	}
	return out, err
}
