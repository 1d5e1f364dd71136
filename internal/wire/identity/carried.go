package identity

import (
	"context"

	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/oidc"
	"github.com/watchword-auth/watchword/internal/session"
)

func init() {
	backend.Register(backend.Call[trade]{Route: "POST /v1/token", Title: "Trade the code that a browser brought to your page for its user's tokens", Who: backend.Public, Run: handedIn})
}

// trade is a code, and how the client whose code it is says who it is: by its
// secret, or by an assertion (RFC 7523).
type trade struct {
	Code          string `json:"code"`
	Redirect      string `json:"redirect_uri,omitempty"`
	Client        string `json:"client_id"`
	Secret        string `json:"client_secret,omitempty"`
	AssertionType string `json:"client_assertion_type,omitempty"`
	Assertion     string `json:"client_assertion,omitempty"`
}

// handedIn leaves it to the door, which holds the keys.
func handedIn(_ context.Context, _ *backend.Exec, in trade) (backend.Out, error) {
	if in.AssertionType != "" && in.AssertionType != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return backend.Out{}, backend.Code(fault.New(fault.Invalid, "There is no such client_assertion_type."), "system_invalid_input")
	}
	return backend.Out{Body: in}, nil
}

// traded are tokens, and whether their user is new.
type traded struct {
	session.Tokens
	New bool `json:"is_user_created"`
}

func (d Door) trade(ctx context.Context, in trade) (any, error) {
	t, made, err := d.Parties.TradeCarried(ctx, oidc.Credentials{ID: in.Client, Secret: in.Secret, Assertion: in.Assertion}, in.Code, in.Redirect)
	switch e := oidc.Refusal(err); {
	case err == nil:
		return traded{t, made}, nil
	case e == nil: // an outage
		return nil, err
	case e.Word == "invalid_client":
		return nil, errNoClient
	case e.Word == "unauthorized_client":
		return nil, backend.Code(fault.New(fault.Denied, "%s", e.Text), "forbidden")
	}
	return nil, backend.Code(fault.New(fault.Wrong, "The code is unknown, was used, has run out, or was given to somebody else.").Because(err), "auth_invalid_credentials")
}

// carry is where the browser of who was authenticated goes: on the page that says
// so, or as the caller is told.
func (d Door) carry(out backend.Out) (any, error) {
	b := out.Back
	code := d.Parties.CarriedCode(oidc.Carried{Client: b.Client, To: b.To, Nonce: b.Nonce, New: b.New, Address: b.From.Address, Agent: b.Agent, Proof: out.Proof})
	to, err := backend.Address(b.To, "code", code, b.State)
	if page, ok := out.Body.(backend.Page); ok {
		page.Next = to
		return page, err
	}
	return map[string]any{"result": to}, err
}
