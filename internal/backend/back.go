package backend

import (
	"context"
	"net/url"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/session"
)

// Back is where the browser of somebody goes whom a call has authenticated: to a
// page, with a code that the client trades for their tokens (POST /v1/token).
type Back struct {
	To           string // an address that a client may be sent to, checked by the call
	State        string // what the page is told beside the code
	Nonce        string // for the identity token
	New          bool   // the user was made by the call
	session.From        // whose code it is, and what is known of the browser
}

// Address is a page with a code, under the name of a parameter, and a state.
func Address(to, member, code, state string) (string, error) {
	u, err := url.Parse(to)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set(member, code)
	if state != "" {
		q.Set("state", state)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Returning holds the members that the calls accept after which a browser comes
// back to a page of the client's with a code (authenticators.md 2-4). Embed it.
type Returning struct {
	Redirect         string         `json:"redirect_uri"`
	State            string         `json:"state,omitempty"`
	MFA              bool           `json:"require_mfa,omitempty"`
	OrgID            string         `json:"org_id,omitempty"`
	Resource         string         `json:"resource,omitempty"`
	Claims           map[string]any `json:"claims,omitempty"`
	ClientAttributes map[string]any `json:"client_attributes,omitempty"`
}

// Attributes is what a back end says of its user's browser.
func (r Returning) Attributes() map[string]any { return r.ClientAttributes }

// Check returns fault.Invalid for what cannot be: a page that no client of the
// application may be sent to, none where one is needed, or a second factor, which is
// the caller's to ask for.
func (r Returning) Check(ctx context.Context, x *Exec, needed bool) error {
	if r.MFA {
		return Code(fault.New(fault.Invalid, "require_mfa is not done for you: hand the session_id of the tokens to the call of another method."), "system_invalid_input")
	}
	if len(r.State) > 512 {
		return Code(fault.New(fault.Invalid, "A state has up to 512 characters."), "system_invalid_input")
	}
	if r.Redirect == "" && !needed {
		return nil
	}
	ok, err := apps.MayRedirect(ctx, x.Kit.DB, x.App.ID, r.Redirect)
	if err == nil && !ok {
		err = Code(fault.New(fault.Invalid, "No client of this application may be sent to this address."), "system_invalid_input")
	}
	return err
}

// MayAdmit returns fault.Denied if users are to be made, as create_new_user says,
// and the caller may not have them made.
func (x *Exec) MayAdmit(wanted bool) error {
	if wanted && !x.May("users:create") {
		return Code(fault.New(fault.Denied, "The client has no permission %s.", "users:create"), "forbidden")
	}
	return nil
}
