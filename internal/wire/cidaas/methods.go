package cidaas

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/web"
)

// method is a type of the protocol and what it is here (cidaas-protocol 6).
type method struct {
	Type   string
	Kind   authn.Kind
	way    way
	judge  string // the call that judges an answer
	code   string // the member of judge that holds the answer
	extra  map[string]any
	begin  string // the call that sends, or that begins a ceremony
	nobody string // the call that does as much for nobody
	setup  string // the call that enrols
	always bool   // needs no enrolment
}

// way is how a method is answered.
type way int

const (
	byCode    way = iota // what somebody knows or reads off
	byMessage            // a code or a link that is sent first
	byPhone              // on a phone that is asked
	byKey                // a ceremony of WebAuthn
	byPicture            // beside another factor only
)

// methods are those that we have, in the order in which they are offered. What is
// not here answers VER_0028.
var methods = []method{
	{Type: "PUSH", Kind: push.Kind, way: byPhone},
	{Type: "TOUCHID", Kind: "biometric", way: byPhone, begin: "POST /v1/auth/mobile-biometrics/start", judge: "POST /v1/auth/mobile-biometrics/authenticate", setup: "POST /v1/auth/mobile-biometrics/register"},
	{Type: "FIDO2", Kind: "passkey", way: byKey, begin: "POST /v1/auth/webauthn/authenticate/start", judge: "POST /v1/auth/webauthn/authenticate", code: "webauthn_encoded_result", setup: "POST /v1/auth/webauthn/register"},
	{Type: "TOTP", Kind: "totp", judge: "POST /v1/auth/totp/authenticate", code: "totp_code", setup: "POST /v1/users/me/totp"},
	{Type: "EMAIL", Kind: "email_otp", way: byMessage, begin: "POST /v1/auth/otp/send", nobody: "POST /inside/otp/nobody", judge: "POST /v1/auth/otp/authenticate", code: "passcode", extra: map[string]any{"channel": "email"}, always: true},
	{Type: "SMS", Kind: "sms_otp", way: byMessage, begin: "POST /v1/auth/otp/send", nobody: "POST /inside/otp/nobody", judge: "POST /v1/auth/otp/authenticate", code: "passcode", extra: map[string]any{"channel": "sms"}, always: true},
	{Type: "FACE", Kind: "face", way: byPicture, begin: "POST /v1/face/sessions", judge: "POST /inside/face/authenticate", code: "face_session_id", setup: "POST /v1/users/{user_id}/face/register"},
	{Type: "BACKUPCODE", Kind: "recovery", judge: "POST /v1/auth/recovery-code/authenticate", code: "recovery_code", setup: "POST /v1/users/{user_id}/recovery-codes"},
	{Type: "PASSWORD", Kind: "password", judge: "POST /v1/auth/password/authenticate", code: "password"},
}

// mailedLink is what EMAIL is when a link is asked for instead of a code.
var mailedLink = method{Type: "EMAIL", Kind: "magic_link", way: byMessage, begin: "POST /inside/link/email", nobody: "POST /inside/link/nobody", always: true}

// foreign are types of the protocol that we know of and do not have.
var foreign = []string{"PATTERN", "VOICE", "FIDOU2F", "IVR", "IRIS", "SECURITY_QUESTION", "CHAT"}

// methodOf finds the method of a path, in any case, that a client may use.
func methodOf(word string, c apps.Client) (method, error) {
	word = strings.ToUpper(word)
	for _, m := range methods {
		if m.Type == word {
			if !allowed(c, m) {
				return m, inactive
			}
			return m, nil
		}
	}
	if slices.Contains(foreign, word) {
		return method{}, inactive
	}
	return method{}, badMethod
}

// ofKind is the method by which a flow of a kind is judged.
func ofKind(kind authn.Kind) method {
	for _, m := range methods {
		if m.Kind == kind {
			return m
		}
	}
	return method{}
}

// ofType is the method of a type that was accepted before.
func ofType(word string) method {
	m, _ := methodOf(word, apps.Client{})
	return m
}

func allowed(c apps.Client, m method) bool {
	return authn.Known(m.Kind) && (len(c.Settings.Methods) == 0 || slices.ContainsFunc(c.Settings.Methods, func(s string) bool { return strings.EqualFold(s, m.Type) }))
}

// medium is one thing to use a method with.
type medium struct {
	ID   string `json:"id"`
	Name string `json:"key_name"`
}

// entry is a method that a user has.
type entry struct {
	Type    string   `json:"type"`
	Mediums []medium `json:"mediums"`
}

// has are the methods that a user has of those that the client allows.
func has(ctx context.Context, q db.Q, c apps.Client, app apps.App, user directory.UserID) ([]entry, error) {
	media, err := push.Media(ctx, q, authn.Subject{Tenant: app.Tenant, App: app.ID, User: user})
	if err != nil {
		return nil, err
	}
	all, err := authn.Authenticators(ctx, q, app.Tenant, app.ID, user)
	if err != nil {
		return nil, err
	}
	var out []entry
	for _, m := range methods {
		if !allowed(c, m) {
			continue
		}
		e := entry{Type: m.Type}
		if m.way == byPhone {
			for _, phone := range m.on(media, all) {
				e.Mediums = append(e.Mediums, medium{mediumID(q, app.ID, phone.ID), phone.Name})
			}
		} else {
			for _, a := range all {
				if a.Kind == m.Kind && usable(a) {
					e.Mediums = append(e.Mediums, medium{m.medium(q, user, a), nameOf(m, a)})
				}
			}
		}
		if len(e.Mediums) > 0 {
			out = append(out, e)
		}
	}
	return out, nil
}

func usable(a authn.Authenticator) bool {
	return a.Status != authn.SwitchedOff && a.Status != authn.Deactivated
}

// on are the phones on which a method can be used: PUSH on each, TOUCHID where
// something was enrolled.
func (m method) on(media []push.Medium, all []authn.Authenticator) []push.Medium {
	if m.Kind == push.Kind {
		return media
	}
	var out []push.Medium
	for _, phone := range media {
		if slices.ContainsFunc(all, func(a authn.Authenticator) bool { return a.Kind == m.Kind && usable(a) && phone.Holds(a.Device) }) {
			out = append(out, phone)
		}
	}
	return out
}

// mediumID is how a list names what a method is used with: a UUID, of which
// nobody can tell whether it is of something that exists.
func mediumID(q db.Q, app apps.ID, id string) string { return masked(q, "medium/"+string(app), id) }

func (m method) medium(q db.Q, user directory.UserID, a authn.Authenticator) string {
	if m.Type == "PASSWORD" {
		return "PASSWORD"
	}
	return mediumID(q, a.App, string(user)+"/"+a.ID)
}

func nameOf(m method, a authn.Authenticator) string {
	if a.Label == "" || m.Type == "PASSWORD" {
		return m.Type
	}
	return a.Label
}

// decoy is the list of somebody unknown: by a keyed hash of the name, always the
// same (security R31).
func decoy(q db.Q, c apps.Client, app apps.App, typed string) []entry {
	h := q.Vault().Hash("cidaas_decoy", string(app.ID)+"/"+directory.NameKey(typed))
	phones := []string{"Phone", "Pixel 9", "iPhone 16", "Galaxy S25"}
	var out []entry
	for _, m := range methods {
		if !allowed(c, m) {
			continue
		}
		switch {
		case m.Type == "PUSH" && h[0]%2 == 0:
			out = append(out, entry{m.Type, []medium{{mediumID(q, app.ID, h+m.Type), phones[h[1]%4]}}})
		case m.Type == "TOTP" && h[3]%4 == 0, m.Type == "FIDO2" && h[4]%4 == 0:
			out = append(out, entry{m.Type, []medium{{mediumID(q, app.ID, h+m.Type), m.Type}}})
		case m.Type == "EMAIL":
			out = append(out, entry{m.Type, []medium{{mediumID(q, app.ID, h+m.Type), decoyAddress(h, typed)}}})
		case m.Type == "PASSWORD" && h[2]%4 != 0:
			out = append(out, entry{m.Type, []medium{{"PASSWORD", "PASSWORD"}}})
		}
	}
	return out
}

// decoyAddress is the address that somebody unknown might have: the one that was
// typed, as it would be kept, or one of the large mail services.
func decoyAddress(h, typed string) string {
	value, err := directory.Normalise(directory.Email, typed)
	if err != nil {
		services := []string{"gmail.com", "outlook.com", "icloud.com", "gmx.net"}
		value = string('a'+h[5]%26) + "@" + services[h[6]%4]
	}
	return directory.Masked(directory.Identifier{Kind: directory.Email, Shown: value, Value: value})
}

// exec is what the calls of a method run with.
func (d Door) exec(r *http.Request, c apps.Client, app apps.App) *backend.Exec {
	return &backend.Exec{Kit: d.Kit, App: app, Client: c.ID, Address: web.Address(r, d.Trusted).String(), Agent: r.UserAgent()}
}

// stranger stands for somebody whom nobody knows: it is nobody's id, and always
// the same for one name.
func stranger(typed string) string { return "?" + directory.NameKey(typed) }

// call runs a call of a method about a user.
func (m method) call(ctx context.Context, x *backend.Exec, route string, user directory.UserID, more map[string]any) (backend.Out, error) {
	in := map[string]any{"identifier": string(user), "identifier_type": "user_id"}
	for _, add := range []map[string]any{m.extra, more} {
		for name, v := range add {
			in[name] = v
		}
	}
	out, err := backend.Do(ctx, route, x, in)
	if fault.Is(err, fault.NotFound) {
		err = insufficient.because(err)
	}
	return out, err
}
