// Package backend is the table of calls that a customer's own back end makes: a
// method declares its calls here beside its journey steps, and the identity door
// serves whatever is declared. The package knows no method, and a method knows
// nothing of HTTP, tokens or error shapes.
package backend

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/session"
)

// Who says whose access token a call takes.
type Who int

const (
	Client Who = iota // a confidential client's own (RFC 6749 4.4)
	User              // that of a user who signed in
	Public            // none: the call is made by an SDK in a browser or by a person
	Inside            // none: only another door makes it (Do); it has no address
)

// Common holds the members that every authenticate call accepts
// (authenticators.md 0.1). Embed it.
type Common struct {
	Identifier       string         `json:"identifier,omitempty"`
	IdentifierType   string         `json:"identifier_type,omitempty"` // email (default), phone_number, user_id, username, external_user_id
	SessionID        string         `json:"session_id,omitempty"`
	DeviceID         string         `json:"device_id,omitempty"`
	OrgID            string         `json:"org_id,omitempty"`
	Resource         string         `json:"resource,omitempty"`
	Claims           map[string]any `json:"claims,omitempty"`
	ClientAttributes map[string]any `json:"client_attributes,omitempty"`
}

// Attributes is what a back end says of its user's browser.
func (c Common) Attributes() map[string]any { return c.ClientAttributes }

// Organisation is the one that the user signs in for; "" for none.
func (c Common) Organisation() directory.OrgID { return directory.OrgID(c.OrgID) }

// Call is one operation.
type Call[In any] struct {
	Route string // method and path as net/http has them: "POST /v1/users/{user_id}/password"
	Title string
	Who   Who
	Needs string // the permission a client must have: "auth:execute", "users:edit"
	Page  bool   // people use it in a browser: it answers with a Page, and no other site may post to it
	// Run does it. It opens its own transactions (x.Kit.DB). A *fault.Error is
	// the caller's answer; anything else is an outage.
	Run func(ctx context.Context, x *Exec, in In) (Out, error)
}

// Exec is what a call may see and touch.
type Exec struct {
	Kit     *kit.Kit
	App     apps.App
	Client  apps.ClientID
	User    directory.UserID // of a user's token
	Scope   []string         // what a client's own token permits
	Session string           // that it belongs to, by its id
	Proofs  []authn.Proof    // of that session
	Address string           // of the caller
	Agent   string
	Origin  string // of the page that calls, for public calls
	Vouched bool   // the door has judged itself that the user may change what they sign in with
	Values  func(name string) string

	attributes   map[string]any  // client_attributes of the call
	organisation directory.OrgID // that it signs its user in for
}

// From is where a session begins that this call opens: the browser that called,
// or what a back end says of its user's ("ip_address", "user_agent"). The back
// end's own address is nobody's.
func (x *Exec) From() session.From {
	if x.Origin != "" {
		return session.From{Client: x.Client, Address: x.Address, Agent: x.Agent}
	}
	text := func(name string) string { s, _ := x.attributes[name].(string); return s }
	return session.From{Client: x.Client, Address: text("ip_address"), Agent: text("user_agent")}
}

// May reports whether the caller's token permits something, by itself or by its
// resource: "users:create".
func (x *Exec) May(permission string) bool {
	resource, _, _ := strings.Cut(permission, ":")
	return slices.Contains(x.Scope, permission) || slices.Contains(x.Scope, resource+":*")
}

// For is the organisation that the call signs a user in for, "" for none. A user
// who is no member of it is fault.Denied, and so is one that the application does
// not have.
func (x *Exec) For(ctx context.Context, q db.Q, user directory.UserID) (directory.OrgID, error) {
	return x.organisation, Code(directory.ActsFor(ctx, q, x.App.ID, x.organisation, user), "user_not_member")
}

// Out is the answer of a call.
type Out struct {
	Status    int // 0: 200
	Body      any
	Proof     authn.Proof // if somebody was authenticated: the door answers with their tokens
	SessionID string      // the session that this proof adds a factor to; empty: a new one
	Resume    bool        // answer with the tokens of SessionID as it is
	Back      *Back       // instead: the browser of who was authenticated goes to a page with a code
}

// Statuses of an Out that are not the usual one.
const (
	Created   = 201
	Accepted  = 202
	NoContent = 204
)

// Page is a Body for a person: the server draws it like its other pages.
type Page struct {
	AppID            apps.ID // whose page it is: it looks like that application's
	App, Title, Text string
	More             string      // a second paragraph
	Locales          string      // languages that a relying party asked for
	Button           string      // posts Fields back to where the page is, or leads to Next
	Post             string      // where it posts instead
	Rows             [][2]string // what is agreed to: a name and a value each
	Refuse           string      // a second button, which posts option=refuse
	Leads            string      // an origin outside, to which a button may lead
	Fields           form.Form
	Next             string // where the browser goes by itself; http or https
	Problem          string
	Verdict          string // "yes" or "no" when it is over
}

// Info is what the door and its description know of a call.
type Info struct {
	Route, Title, Needs string
	Who                 Who
	Page                bool
	Query               []string // parameters that it reads
	In                  reflect.Type
	Run                 func(ctx context.Context, x *Exec, decode func(v any) error) (Out, error)
}

var calls = map[string]Info{}

// Register makes a call known. It panics if the route is taken or cannot be.
func Register[In any](c Call[In]) {
	method, path, ok := strings.Cut(c.Route, " ")
	if _, taken := calls[c.Route]; taken || !ok || method == "" || !strings.HasPrefix(path, "/") || c.Title == "" || c.Who == Client && c.Needs == "" {
		panic("backend: a call cannot be " + c.Route)
	}
	calls[c.Route] = Info{c.Route, c.Title, c.Needs, c.Who, c.Page, nil, reflect.TypeFor[In](), func(ctx context.Context, x *Exec, decode func(v any) error) (Out, error) {
		var in In
		if err := decode(&in); err != nil {
			return Out{}, err
		}
		if said, ok := any(in).(interface{ Attributes() map[string]any }); ok {
			x.attributes = said.Attributes()
		}
		if said, ok := any(in).(interface{ Organisation() directory.OrgID }); ok {
			x.organisation = said.Organisation()
		}
		from := x.From()
		return c.Run(audit.From(ctx, audit.Origin{Client: string(from.Client), IP: from.Address, UserAgent: from.Agent}), x, in)
	}}
}

// Asks names the parameters of the query that a registered call reads; it is given
// no others.
func Asks(route string, names ...string) {
	c, ok := calls[route]
	if !ok {
		panic("backend: there is no call " + route)
	}
	c.Query = names
	calls[route] = c
}

// Calls returns every call that has an address, by route.
func Calls() []Info {
	out := make([]Info, 0, len(calls))
	for _, route := range slices.Sorted(maps.Keys(calls)) {
		if calls[route].Who != Inside {
			out = append(out, calls[route])
		}
	}
	return out
}

// Offers reports whether there is a call of this route.
func Offers(route string) bool { _, ok := calls[route]; return ok }

// Do runs the call of a route for another door, as if in had come in its body.
// fault.NotFound if there is no such call.
func Do(ctx context.Context, route string, x *Exec, in map[string]any) (Out, error) {
	c, ok := calls[route]
	if !ok {
		return Out{}, fault.New(fault.NotFound, "There is no such method.")
	}
	if x.Values == nil {
		x.Values = func(string) string { return "" }
	}
	return c.Run(ctx, x, func(v any) error { return json.Unmarshal([]byte(db.Text(in)), v) })
}

// Path returns what stood in the place of a {wildcard} of the route, or a query
// parameter of that name.
func (x *Exec) Path(name string) string { return x.Values(name) }

// After is where a list goes on: what the cursor of the request holds, or "". The
// cursor is sealed to the list and the application that it was given to;
// fault.Invalid for any other.
func (x *Exec) After(list string) (string, error) {
	text := x.Path("cursor")
	if text == "" {
		return "", nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		sealed, err = x.Kit.DB.Vault().Open(x.cursor(list), sealed)
	}
	if err != nil {
		return "", fault.New(fault.Invalid, "The cursor is not one of ours.")
	}
	return string(sealed), nil
}

// Cursor is what After reads back.
func (x *Exec) Cursor(list, after string) string {
	return base64.RawURLEncoding.EncodeToString(x.Kit.DB.Vault().Seal(x.cursor(list), []byte(after)))
}

func (x *Exec) cursor(list string) string {
	return "cursor/" + list + "/" + string(x.App.Tenant) + "/" + string(x.App.ID)
}

// Find returns the user whom a call names; fault.NotFound if nobody of the
// tenant goes by that name, fault.Invalid for a type that does not exist.
func (x *Exec) Find(ctx context.Context, q db.Q, c Common) (directory.User, error) {
	kinds := map[string]directory.IdentifierKind{"": directory.Email, "email": directory.Email, "phone_number": directory.Phone, "phoneNumber": directory.Phone,
		"username": directory.Username, "external_user_id": directory.External, "externalUserId": directory.External}
	if c.Identifier == "" {
		return directory.User{}, Code(fault.New(fault.Invalid, "The identifier is missing."), "system_invalid_input")
	}
	if c.IdentifierType == "user_id" {
		u, err := directory.Find(ctx, q, x.App.Tenant, directory.UserID(c.Identifier))
		return u, Code(err, "user_not_found")
	}
	kind, ok := kinds[c.IdentifierType]
	if !ok {
		return directory.User{}, Code(fault.New(fault.Invalid, "There is no identifier of this type."), "user_unknown_identifier_type")
	}
	u, err := directory.LookupKind(ctx, q, x.App.Tenant, kind, c.Identifier)
	return u, Code(err, "user_not_found")
}

// Nobody reads, for a name that is nobody's, what is read of a user before something
// is sent to them, so that both take as long (security R30).
func (x *Exec) Nobody(ctx context.Context, q db.Q, typed string) error {
	id := authn.NobodyID(q, typed)
	if _, err := directory.Find(ctx, q, x.App.Tenant, id); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err := directory.MaySignIn(ctx, q, x.App.Tenant, id); err != nil && !fault.Is(err, fault.Denied) {
		return err
	}
	_, err := directory.Identifiers(ctx, q, id)
	return err
}

// UserIn returns the user whom the route names, who must be of the caller's
// tenant; "me" is the user of the token. fault.NotFound otherwise.
func (x *Exec) UserIn(ctx context.Context, q db.Q, wildcard string) (directory.User, error) {
	id := directory.UserID(x.Path(wildcard))
	if id == "me" {
		id = x.User
	}
	u, err := directory.Find(ctx, q, x.App.Tenant, id)
	return u, Code(err, "user_not_found")
}

// Subject is whose credential or attempt it is.
func (x *Exec) Subject(kind authn.Kind, user directory.UserID) authn.Subject {
	return authn.Subject{Kind: kind, Tenant: x.App.Tenant, App: x.App.ID, User: user}
}

// Fresh returns nil if the user of the token may change what they sign in with
// (authn.StepUp), and fault.Denied otherwise.
func (x *Exec) Fresh(ctx context.Context) error {
	if x.Vouched {
		return nil
	}
	return Code(authn.StepUp(ctx, x.Kit.DB, x.App.Tenant, x.App.ID, x.User, x.Proofs), "reauthentication_required")
}

// Attempt runs fn in one transaction, which is committed when fn succeeds and
// also when it says Wrong, for that must be remembered.
func (x *Exec) Attempt(ctx context.Context, fn func(tx *db.Tx) (authn.Proof, error)) (authn.Proof, error) {
	var p authn.Proof
	var wrong error
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		wrong = nil
		if p, err = fn(tx); fault.Is(err, fault.Wrong) {
			p, wrong, err = authn.Proof{}, err, nil
		}
		return err
	})
	return p, errors.Join(err, wrong)
}

// credentials are the kinds of credential that a user can be created with.
var credentials = map[string]Prepare{}

// Prepare reads what a request says about a credential and does the slow part;
// what it returns stores the credential in the transaction that creates the
// user.
type Prepare func(ctx context.Context, x *Exec, raw json.RawMessage) (func(ctx context.Context, tx *db.Tx, u directory.User) error, error)

// Credential makes known how a user is created with a credential: fn is called
// with the "credentials" of the request if they have a member of this kind.
func Credential(kind string, fn Prepare) {
	if credentials[kind] != nil {
		panic("backend: two credentials are called " + kind)
	}
	credentials[kind] = fn
}

// Credentials prepares what a request to create a user says under
// "credentials", which is handed whole to the one kind it names. fault.Invalid
// if it names none that exists.
func Credentials(ctx context.Context, x *Exec, raw json.RawMessage) (func(ctx context.Context, tx *db.Tx, u directory.User) error, error) {
	none := func(context.Context, *db.Tx, directory.User) error { return nil }
	var members map[string]json.RawMessage
	if len(raw) == 0 || string(raw) == "null" {
		return none, nil
	}
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, fault.New(fault.Invalid, "The credentials are not an object.")
	}
	for kind, fn := range credentials {
		if members[kind] != nil {
			return fn(ctx, x, raw)
		}
	}
	return nil, fault.New(fault.Invalid, "There is no credential of this kind.")
}

// Coded is a refusal with the word that the vendor's API has for it
// (authenticators.md 0.2).
type Coded struct {
	Fault *fault.Error
	Word  string
}

func (c *Coded) Error() string { return fmt.Sprintf("%s (%s)", c.Fault.Error(), c.Word) }
func (c *Coded) Unwrap() error { return c.Fault }

// Code gives a refusal the vendor's word. nil, outages and what has a word
// already stay as they are.
func Code(err error, word string) error {
	f, ok := errors.AsType[*fault.Error](err)
	if _, has := errors.AsType[*Coded](err); err == nil || !ok || has || f.Code == fault.Internal || f.Code == fault.Unavailable {
		return err
	}
	return &Coded{f, word}
}

// Raw is a body that is not an object of JSON: a list of words as plain text, or
// the fields of a form.
type Raw struct {
	Type string // media type
	Body []byte
	Form url.Values // of application/x-www-form-urlencoded
}
