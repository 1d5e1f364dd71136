// Package authn is where identity is proven. Every method of the server, from a
// password to a push, passes through the same three things: credentials that a
// user enrolled, challenges that wait for an answer, and attempts that the
// lockout engine charges before they are judged. What comes out is a Proof, and
// there is no other way to get one. The package knows no protocol, no journey
// and no method by name.
package authn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
)

// Kind names a method: "totp".
type Kind string

// Scope says how far something of a method reaches.
type Scope int

const (
	PerDevice Scope = iota // one device of one application: passkey, PIN, biometrics
	PerApp                 // one application: password, TOTP, face, push
	PerTenant              // everywhere: e-mail and SMS codes
)

// Factor is what somebody proves themselves by.
type Factor int

const (
	Has   Factor = iota // something that is theirs: a phone, an address, a sheet of paper
	Knows               // something they remember
	Is                  // themselves
)

// Method describes one way of proving who one is. Its package registers it.
type Method struct {
	Kind   Kind
	Title  string
	Lives  Scope // where its credentials live
	Counts Scope // where its failures are counted
	Unlock Scope // how far an unlock reaches
	// AMR are the values of RFC 8176 that a proof by this method stands for.
	AMR []string
	// Factor is what a proof by this method rests on.
	Factor Factor
	// Reaches is the kind of identifier that a method without credentials sends
	// to; every user who has one has the method. Empty: it is enrolled.
	Reaches directory.IdentifierKind
	// MultiFactor says that one proof by this method is two factors, such as a
	// device key that only opens for its owner.
	MultiFactor bool
	// Pairs says that a proof by this method may come paired with another method's,
	// such as an approval with what unlocked the phone.
	Pairs bool
	// Beside says that a proof by this method counts beside another's only: a face,
	// a device that was trusted. Alone it opens nothing and is nobody's last
	// factor.
	Beside bool
	// Tells adds the setting by which users are told of what was added to or taken
	// from their account.
	Tells bool
	// Shares adds the setting by which applications of a tenant share what users
	// enrolled, and with it the count of failures.
	Shares bool
	// Untried says that what is enrolled may never have been set up where it is
	// used, so that it is unconfirmed until it was right once.
	Untried bool
	// Hidden keeps the method out of every list: nobody sets or enrols it.
	Hidden bool
	// OnPhone is how the phone app of our own proves its owner by this method; nil:
	// it does not.
	OnPhone *OnPhone
	// Config is what an administrator sets, per application. Register adds
	// "enabled".
	Config form.Form
	// Check returns fault.Invalid if settings that fit the form one by one do not
	// fit together; nil: they always do.
	Check func(doc map[string]any) error
	// Lint says what in the settings contradicts a standard; nil: nothing can.
	Lint func(doc map[string]any) []Note
	// Messages are the names of what the method says to people.
	Messages []string

	defaults []byte // of Config, as JSON
}

var methods = map[Kind]Method{}

// Register makes a method known. It panics if the kind is taken.
func Register(m Method) {
	if _, ok := methods[m.Kind]; ok {
		panic("authn: two methods are called " + m.Kind)
	}
	enabled := form.Boolean("enabled", "Enabled", form.Default(true),
		form.Help("When off, nobody enrols or uses this method. What users enrolled stays and comes back when it is on again."))
	m.Config = append(form.New(enabled), m.Config...)
	if m.Tells {
		m.Config = append(m.Config, form.Boolean("notify", "Tell users when this changes", form.Default(true), form.Help("By mail, at every address that was verified.")))
	}
	if m.Shares {
		m.Config = append(m.Config, form.Text("sharing_group", "Sharing group", form.MaxLen(64), form.Help("Applications that name the same group share it. Whoever joins one leaves behind what users enrolled here.")))
	}
	doc, err := m.Config.Check(nil)
	if err != nil {
		panic("authn: " + string(m.Kind) + " has settings without a default: " + err.Error())
	}
	m.defaults = []byte(db.Text(doc))
	methods[m.Kind] = m
}

// Alone reports whether nothing but methods that count beside others stands
// behind proofs.
func Alone(ps []Proof) bool {
	return !slices.ContainsFunc(ps, func(p Proof) bool { return !methods[p.p.Kind].Beside })
}

// Methods returns every method that is not hidden, by kind.
func Methods() []Method {
	out := make([]Method, 0, len(methods))
	for _, m := range methods {
		if !m.Hidden {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b Method) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
	return out
}

// Disabled is the answer to any use of a method that is switched off for the
// application (DESIGN 2.20.16).
var Disabled = fault.New(fault.Denied, "This way of signing in is switched off.")

// Settings reads an application's settings of a method into v, over those of its
// tenant, over the defaults. It returns Disabled if the method is switched off, and
// fault.NotFound if there is no such method. What is stored was checked when it was
// stored (Set) and is not checked again.
func Settings(ctx context.Context, q db.Q, app apps.ID, kind Kind, v any) error {
	m, ok := methods[kind]
	if !ok {
		return unknownMethod(kind)
	}
	tenant, own, err := layers(ctx, q, app, kind)
	if err != nil {
		return err
	}
	var switched struct {
		Enabled bool `json:"enabled"`
	}
	for _, doc := range [][]byte{m.defaults, []byte(tenant), []byte(own)} {
		if len(doc) == 0 {
			continue
		}
		if err := errors.Join(json.Unmarshal(doc, &switched), json.Unmarshal(doc, v)); err != nil {
			return fmt.Errorf("settings of %s: %w", kind, err)
		}
	}
	if !switched.Enabled {
		return Disabled
	}
	return nil
}

// Configured returns an application's settings of a method with all defaults
// filled in; fault.NotFound if there is no such method.
func Configured(ctx context.Context, q db.Q, app apps.ID, kind Kind) (map[string]any, error) {
	m, ok := methods[kind]
	if !ok {
		return nil, unknownMethod(kind)
	}
	tenant, own, err := Place{App: app}.layers(ctx, q, kind)
	if err != nil {
		return nil, err
	}
	doc, err := m.Config.Check(merged(tenant, own))
	if err != nil {
		return nil, fmt.Errorf("settings of %s: %w", kind, err)
	}
	return doc, nil
}

// Configure stores an application's settings of a method, whole: nothing of it is
// inherited any more. It returns fault.Invalid, naming the field, if they do not
// fit.
func Configure(ctx context.Context, tx *db.Tx, app apps.ID, kind Kind, doc map[string]any) error {
	m, ok := methods[kind]
	if !ok {
		return unknownMethod(kind)
	}
	doc, err := m.Config.Check(doc)
	if err != nil {
		return err
	}
	return Set(ctx, tx, Place{App: app}, kind, doc)
}

// Find returns a method by its kind; fault.NotFound if there is none.
func Find(kind Kind) (Method, error) {
	m, ok := methods[kind]
	if !ok || m.Hidden {
		return m, unknownMethod(kind)
	}
	return m, nil
}

// Subject is whose credential, challenge or attempt it is.
type Subject struct {
	Kind   Kind               `json:"kind"`
	Tenant apps.TenantID      `json:"tenant"`
	App    apps.ID            `json:"app"`
	User   directory.UserID   `json:"user"`
	Device directory.DeviceID `json:"device,omitempty"`

	group string // that shares what users enrolled; empty: none, or not asked yet
}

// shared returns s in the group that its application shares the method with, if
// it does.
func (s Subject) shared(ctx context.Context, q db.Q) (Subject, error) {
	if !methods[s.Kind].Shares || s.group != "" {
		return s, nil
	}
	var set struct {
		Group string `json:"sharing_group"`
	}
	if err := Settings(ctx, q, s.App, s.Kind, &set); err != nil && !errors.Is(err, Disabled) {
		return s, err
	}
	s.group = set.Group
	return s, nil
}

// place names what of a subject falls under one scope.
func (s Subject) place(scope Scope) string {
	switch scope {
	case PerTenant:
		return "tenant"
	case PerApp:
		if s.group != "" {
			return "group/" + s.group
		}
		return "app/" + string(s.App)
	}
	return "app/" + string(s.App) + "/device/" + string(s.Device)
}

func (s Subject) lives(ctx context.Context, q db.Q) (string, error) {
	s, err := s.shared(ctx, q)
	return s.place(methods[s.Kind].Lives), err
}

// counter is the name of the lockout counter that an attempt of s is charged to.
func (s Subject) counter(ctx context.Context, q db.Q) (string, error) {
	s, err := s.shared(ctx, q)
	return s.name(), err
}

// name is counter, of a subject whose group is known.
func (s Subject) name() string {
	return string(s.Tenant) + "/" + string(s.User) + "/" + string(s.Kind) + "/" + s.place(methods[s.Kind].Counts)
}
