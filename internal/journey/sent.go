package journey

import (
	"slices"

	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/form"
)

// Sent is where a message of a prompt went, as much of it as whoever answers the
// prompt may see.
type Sent struct {
	To   string `json:"to"`             // masked
	Sure bool   `json:"sure,omitempty"` // it is an address of somebody proven; otherwise of whoever it may belong to
}

// maxSaid is how many addresses of its forms a run remembers: the last ones.
const maxSaid = 8

// SentTo is what a prompt may say of where a message went, so that nobody learns
// from it who exists (security R30): of somebody whom this run has proven, the
// address to which it went; otherwise the address by which the step was told whom to
// reach, and that only if the client itself gave it in a form of this run, whether or
// not it is anybody's. nil: nothing may be said.
func (x *Exec) SentTo(kind directory.IdentifierKind, user directory.UserID, address, named string) *Sent {
	if user != "" && user == x.Proven() && address != "" {
		return &Sent{To: masked(kind, address), Sure: true}
	}
	value, err := directory.Normalise(kind, named)
	if err != nil || !slices.Contains(x.run.Said, value) {
		return nil
	}
	return &Sent{To: masked(kind, value)}
}

func masked(kind directory.IdentifierKind, address string) string {
	return directory.Masked(directory.Identifier{Kind: kind, Shown: address, Value: address})
}

// hear remembers the addresses that an answer to a form gives. It is called before
// the answer moves the run.
func (r *run) hear(a *Answer) {
	if a == nil || r.Prompt == nil || r.Prompt.Kind != "form" && r.Prompt.Kind != "login_form" {
		return
	}
	for _, f := range r.Prompt.fields(a.Option) {
		said, _ := a.Data[f.Name].(string)
		if said == "" || !slices.Contains([]string{"text", "email", "phone"}, f.Type) {
			continue
		}
		for _, kind := range []directory.IdentifierKind{directory.Email, directory.Phone} {
			if value, err := directory.Normalise(kind, said); err == nil && !slices.Contains(r.Said, value) {
				r.Said = append(r.Said, value)
			}
		}
	}
	r.Said = r.Said[max(0, len(r.Said)-maxSaid):]
}

// fields are those that an answer by this option has.
func (p *Prompt) fields(option string) form.Form {
	if option == "" {
		return p.Fields
	}
	for _, o := range p.Options {
		if o.ID == option {
			return o.Fields
		}
	}
	return nil
}
