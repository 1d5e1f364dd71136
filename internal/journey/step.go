// Package journey runs login flows that are drawn as graphs. A journey is data;
// what its nodes do is code, one file a kind, registered here. The package
// knows no protocol and no method: a door starts and answers runs, a step
// returns where to go, and every move of a run is one transaction.
package journey

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
)

// Kind is what a journey is for.
type Kind string

const (
	KindClient        Kind = "client"         // a client SDK runs it
	KindMobileApprove Kind = "mobile_approve" // a phone runs it to approve a request
	KindSub           Kind = "sub"            // another journey runs it
	KindSSO           Kind = "sso"            // an authorization request runs it, and nobody else; it may run client journeys, too
)

// Outcome is a way out of a step: the name of an edge in the graph.
type Outcome string

const (
	Success Outcome = "success"
	Failure Outcome = "failure"
	Cancel  Outcome = "cancel"
)

// Role is what passing a step by one of its outcomes means for the check of a
// graph: does a path prove, enrol, or only name somebody?
type Role int

const (
	Proves     Role = 1 << iota // its success leaves a proof
	Enrols                      // its success creates a user or binds something to one
	Identifies                  // its success takes somebody's word for who they are
	Terminal                    // it ends the run; it has no outcomes
	Accepts                     // it is terminal and ends the run well
)

// Step is a kind of node. The file that declares one holds all there is to
// know about it: what the editor shows, what it accepts, and what it does.
type Step[C any] struct {
	Kind     string // "login_form", "push.authenticate"; a changed meaning is a new kind ("…/2")
	Title    string
	Category string
	Doc      string
	Config   form.Form
	Outcomes []Outcome
	// Face are the settings that an editor shows on the node itself, at most two
	// that matter; empty: the first two. Words are other names by which people look
	// for the step.
	Face  []string
	Words []string
	// More returns the outcomes that a node adds by its configuration, such as
	// the escapes of a login form. doc is as it was drawn, not evaluated.
	More func(doc map[string]any) []Outcome
	Role Role
	In   []Kind   // where it may stand; empty: everywhere
	Asks []string // the kinds of prompts that it can put, and no others (Prompt.Kind)
	// Unhosted tells why nobody can answer the step on the pages of this server, with
	// what an application has set and the node's configuration as it was drawn; "" if
	// they can. nil: everybody can.
	Unhosted func(ctx context.Context, q db.Q, app apps.ID, doc map[string]any) (why string, err error)

	// Run is called when the node is entered and again for each answer, until
	// it returns a way out. It runs in the transaction of the move: it writes
	// through x.Tx, hashes no password and calls nobody. C arrives with its
	// expressions evaluated. A returned error undoes the whole move; a refusal
	// that must be remembered is an outcome (see Judge), not an error.
	Run func(ctx context.Context, x *Exec, config C) (Next, error)

	// Prepare does the slow part of what Run is about to do, outside any
	// transaction: a password hash, a call to somebody. It is called before every
	// Run, also when the node is entered; what it returns Run finds in x.Prepared.
	// x.Tx is nil; x.DB opens transactions, for authn.Weigh. A returned error is
	// an outage; a refusal belongs into the value.
	Prepare func(ctx context.Context, x *Exec, config C) (any, error)

	// Ready reports whether Run would now do something else than ask the same
	// again. Only a step that asks with Prompt.Poll has one. x has no
	// transaction: it reads through x.Q.
	Ready func(ctx context.Context, x *Exec, config C) (bool, error)
}

// Info is what the editor knows of a step.
type Info struct {
	Kind     string    `json:"kind"`
	Title    string    `json:"title"`
	Category string    `json:"category"`
	Doc      string    `json:"doc"`
	Config   form.Form `json:"config"`
	Outcomes []Outcome `json:"outcomes"`
	Role     Role      `json:"role"`
	In       []Kind    `json:"in,omitempty"`
	Face     []string  `json:"face,omitempty"`
	Words    []string  `json:"words,omitempty"`
	Asks     []string  `json:"-"` // for whoever draws prompts
}

type entry struct {
	Info
	more  func(doc map[string]any) []Outcome
	run   func(ctx context.Context, x *Exec, doc map[string]any) (Next, error)
	ready func(ctx context.Context, x *Exec, doc map[string]any) (bool, error)
	slow  func(ctx context.Context, x *Exec, doc map[string]any) (any, error)

	unhosted func(ctx context.Context, q db.Q, app apps.ID, doc map[string]any) (string, error)
}

var steps = map[string]entry{}

// Register makes a step known. It panics if the kind is taken, or if the form
// and the fields of C do not name the same things.
func Register[C any](s Step[C]) {
	if _, ok := steps[s.Kind]; ok {
		panic("journey: two steps are called " + s.Kind)
	}
	if want, have := fieldNames(reflect.TypeFor[C]()), formNames(s.Config); !slices.Equal(want, have) {
		panic(fmt.Sprintf("journey: step %s: form has %v, config has %v", s.Kind, have, want))
	}
	e := entry{Info: Info{s.Kind, s.Title, s.Category, s.Doc, s.Config, s.Outcomes, s.Role, s.In, faceOf(s.Kind, s.Config, s.Face), s.Words, s.Asks}, more: s.More, unhosted: s.Unhosted}
	e.run = func(ctx context.Context, x *Exec, doc map[string]any) (Next, error) {
		var c C
		if err := s.Config.Into(doc, &c); err != nil {
			return Next{}, misfit(err)
		}
		return s.Run(ctx, x, c)
	}
	if s.Prepare != nil {
		e.slow = func(ctx context.Context, x *Exec, doc map[string]any) (any, error) {
			var c C
			if err := s.Config.Into(doc, &c); err != nil {
				return nil, misfit(err)
			}
			return s.Prepare(ctx, x, c)
		}
	}
	if s.Ready != nil {
		e.ready = func(ctx context.Context, x *Exec, doc map[string]any) (bool, error) {
			var c C
			if err := s.Config.Into(doc, &c); err != nil {
				return false, misfit(err)
			}
			return s.Ready(ctx, x, c)
		}
	}
	steps[s.Kind] = e
}

// faceOf returns the settings that stand for a node. It panics if there is no
// setting of a name.
func faceOf(kind string, f form.Form, face []string) []string {
	for _, name := range face {
		if !slices.Contains(formNames(f), name) {
			panic(fmt.Sprintf("journey: step %s has no setting %q to show", kind, name))
		}
	}
	for _, field := range f {
		if len(face) < 2 && !slices.Contains(face, field.Name) && (field.Type == "text" || field.Type == "choice" || field.Type == "choices" || field.Type == "journey" || field.Type == "number") {
			face = append(face, field.Name)
		}
	}
	return face
}

// misfit is the error of a node whose evaluated configuration does not fit its
// form. It is the author's mistake and no business of the client.
func misfit(err error) error { return fmt.Errorf("configuration: %s", fault.Of(err).Message) }

func fieldNames(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func formNames(f form.Form) []string {
	var out []string
	for _, field := range f {
		out = append(out, field.Name)
	}
	slices.Sort(out)
	return out
}

// Steps returns every step, by kind: the editor's palette.
func Steps() []Info {
	out := make([]Info, 0, len(steps))
	for _, kind := range slices.Sorted(maps.Keys(steps)) {
		out = append(out, steps[kind].Info)
	}
	return out
}

// Next is what a step decided.
type Next struct {
	outcome Outcome
	prompt  *Prompt
	memo    any
	problem *fault.Error
	end     *End
	sub     *subCall
	pause   bool // the node has slow work that was not done yet
}

// Go leaves the step.
func Go(o Outcome) Next { return Next{outcome: o} }

// Ask puts a question to the client and calls Run again with the answer. memo
// is what the step wants to find again then; nil keeps what is there.
func Ask(p Prompt, memo any) Next { return Next{prompt: &p, memo: memo} }

// Because says why the question is asked (again).
func (n Next) Because(err error) Next {
	n.problem = fault.Of(err)
	return n
}

// Accept ends the journey well. Whether somebody was authenticated the engine
// decides, by the proofs of the run.
func Accept() Next { return Next{end: &End{OK: true}} }

// Reject ends the journey. reason is a word for programs, failure is handed to
// the client.
func Reject(reason, message string, failure map[string]any) Next {
	return Next{end: &End{Reason: reason, Message: message, Failure: failure}}
}

// Judge turns what an authenticator said into the next move: no error is
// Success, a refusal is Failure, and anything else stays an error.
func Judge(x *Exec, err error) (Next, error) {
	switch fault.Of(err).Code {
	case "":
		return Go(Success), nil
	case fault.Wrong, fault.Locked, fault.Denied, fault.NotFound, fault.Expired, fault.Conflict, fault.Limited, fault.Invalid:
		x.Fail(err)
		return Go(Failure), nil
	}
	return Next{}, err
}

func decode(raw json.RawMessage, v any) (bool, error) {
	if len(raw) == 0 {
		return false, nil
	}
	return true, json.Unmarshal(raw, v)
}
