package adminapi

import (
	"strings"

	"github.com/watchword-auth/watchword/internal/administrator"
)

// Route is one call of the API: the table of them is the whole of who may do
// what.
type Route struct {
	Name  string // method and path below Base, as net/http has them
	Title string
	Who   Who
	Event string // what a write is recorded as; empty: it stores nothing
	serve binder
}

// Who is the set of roles that may call a route, and on which conditions. The
// owner may call every route. Its zero value is the owner alone.
type Who int

const (
	securityAdmin Who = 1 << iota
	applicationAdmin
	helpdesk
	auditor

	fresh  // only with a proof of the last minutes
	open   // also without a session
	bare   // also in a session that may do nothing yet but register a passkey
	server // not about a tenant
	image  // takes a picture
	large  // takes up to a megabyte
)

const (
	owner    Who = 0
	everyone     = securityAdmin | applicationAdmin | helpdesk | auditor
	readers      = securityAdmin | applicationAdmin | auditor // of configuration
	people       = securityAdmin | helpdesk                   // who may change users
	watchers     = people | auditor                           // who may see users
	security     = securityAdmin
	records      = securityAdmin | auditor // who may read the record
)

var bits = map[administrator.Role]Who{
	administrator.SecurityAdmin: securityAdmin, administrator.ApplicationAdmin: applicationAdmin,
	administrator.Helpdesk: helpdesk, administrator.Auditor: auditor,
}

func (w Who) has(bit Who) bool { return w&bit != 0 }

// May reports whether a role may call the route.
func (w Who) May(r administrator.Role) bool {
	return r == administrator.Owner || bits[r] != 0 && w.has(bits[r])
}

// mayCall are the routes that a role may call, but for those that everybody may.
func mayCall(r administrator.Role) []string {
	out := []string{}
	for _, to := range routes() {
		if !to.Who.Open() && to.Who.May(r) {
			out = append(out, to.Name)
		}
	}
	return out
}

// Fresh reports whether a call needs a recent proof.
func (w Who) Fresh() bool { return w.has(fresh) }

// Open reports whether a call needs no session.
func (w Who) Open() bool { return w.has(open) }

// Bare reports whether a session may call the route that rests on nothing but a
// one-time link.
func (w Who) Bare() bool { return w.has(bare) }

// String says it for the description of the API.
func (w Who) String() string {
	if w.has(open) {
		return "For everybody."
	}
	var roles []string
	for _, r := range administrator.Roles {
		if w.May(r) {
			roles = append(roles, string(r))
		}
	}
	out := "For " + strings.Join(roles, ", ") + "."
	if w.has(fresh) {
		out += " Needs a passkey proof of the last five minutes."
	}
	return out
}

func (r Route) maxBody() int64 {
	switch {
	case r.Who.has(large):
		return 1 << 20
	case r.Who.has(image):
		return 256 << 10
	}
	return 64 << 10
}

// roleTexts say what each role is for.
var roleTexts = map[administrator.Role][2]string{
	administrator.Owner:            {"Owner", "May do everything, and says who administrates this server."},
	administrator.SecurityAdmin:    {"Security administrator", "Sets methods, providers, keys and webhooks, locks and unlocks users, and reads the record."},
	administrator.ApplicationAdmin: {"Application administrator", "Sets up applications, clients, journeys and branding."},
	administrator.Helpdesk:         {"Helpdesk", "Finds users and helps them: unlocks, temporary passwords and codes, devices, sessions."},
	administrator.Auditor:          {"Auditor", "Reads everything and exports the record. Changes nothing."},
}
