package adminapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/watchword-auth/watchword/internal/db"
)

// Stamp is a time as the API writes it: UTC with milliseconds; never is null.
type Stamp time.Time

// MarshalJSON writes it.
func (s Stamp) MarshalJSON() ([]byte, error) {
	if time.Time(s).IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(time.Time(s).UTC().Format("2006-01-02T15:04:05.000Z"))
}

// Schema describes it.
func (Stamp) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Nullable: true}
}

// Page is what a list takes.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"2048"`
}

// list is what it answers with.
type list[T any] struct {
	Body struct {
		Items []T    `json:"items"`
		Next  string `json:"next_cursor" doc:"Empty: there is no more."`
	}
}

// items is a list that is whole.
func items[T any](all []T) *list[T] {
	out := &list[T]{}
	out.Body.Items = append([]T{}, all...)
	return out
}

// seal makes a cursor of a place in a list of this route and tenant.
func (c *Call) seal(at any) string {
	return base64.RawURLEncoding.EncodeToString(c.Kit.DB.Vault().Seal(c.cursorPlace(), []byte(db.Text(at))))
}

// opened reads a cursor into at; fault.Invalid if it is not one of this list. No
// cursor is the beginning.
func (c *Call) opened(cursor string, at any) error {
	if cursor == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err == nil {
		b, err = c.Kit.DB.Vault().Open(c.cursorPlace(), b)
	}
	if err == nil {
		err = json.Unmarshal(b, at)
	}
	if err != nil {
		return misread.Because(err)
	}
	return nil
}

func (c *Call) cursorPlace() string {
	return "cursor/" + c.Route.Name + "/" + string(c.tenant()) + "/" + string(c.Who.User)
}

// tagged is one thing with the tag of its state.
type tagged[T any] struct {
	ETag string `header:"ETag"`
	Body T
}

// tag is v with its tag.
func tag[T any](v T) *tagged[T] { return &tagged[T]{ETag: tagOf(v), Body: v} }

// tagOf names a state: equal states have equal tags.
func tagOf(v any) string {
	sum := sha256.Sum256([]byte(db.Text(v)))
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// body is an answer without a tag.
type body[T any] struct{ Body T }

func answer[T any](v T) *body[T] { return &body[T]{v} }

// empty is an answer, or a request, without a body: 204.
type empty struct{}

// IfMatch is what a change of a tagged thing takes.
type IfMatch struct {
	IfMatch string `header:"If-Match" maxLength:"200"`
}

// unchanged returns nil if the caller changes the state that now is. Call it in
// the transaction of the change, with what the GET shows.
func (m IfMatch) unchanged(now any) error {
	switch m.IfMatch {
	case "":
		return preconditionRequired
	case "*", tagOf(now):
		return nil
	}
	return preconditionFailed
}

// texts are strings of any string type; never nil.
func texts[T ~string](all []T) []string {
	out := make([]string, 0, len(all))
	for _, s := range all {
		out = append(out, string(s))
	}
	return out
}
