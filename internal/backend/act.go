package backend

import (
	"context"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
)

// Act is something that support does for a user: a temporary password, a code to
// read out, a link that adds a phone. A method declares its acts in its own
// folder; whoever offers them knows no method.
type Act struct {
	ID     string // "password.temporary"
	Title  string
	Text   string // what it does, in a sentence
	Method authn.Kind
	Form   form.Form // what is asked first; nil: nothing
	Danger bool      // it takes something away or lets somebody in
	// Run does it, in transactions of its own. in fits Form.
	Run func(ctx context.Context, x *Exec, u directory.User, in map[string]any) (Done, error)
}

// Done is what an act led to.
type Done struct {
	Text  string
	Shown []Shown
}

// Shown is something to be told the user. A secret is shown this once.
type Shown struct {
	Label, Value string
	Secret       bool
	QR           string // Value as a picture, SVG; empty: it is to be read
}

var acts = map[string]Act{}

// Offer makes an act known. It panics if the id is taken.
func Offer(a Act) {
	if _, taken := acts[a.ID]; taken || a.ID == "" || a.Title == "" || a.Run == nil {
		panic("backend: an act cannot be " + a.ID)
	}
	acts[a.ID] = a
}

// Acts returns every act, by id.
func Acts() []Act {
	out := make([]Act, 0, len(acts))
	for _, a := range acts {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Act) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// FindAct returns an act; fault.NotFound if there is none.
func FindAct(id string) (Act, error) {
	a, ok := acts[id]
	if !ok {
		return a, fault.New(fault.NotFound, "no such action")
	}
	return a, nil
}
