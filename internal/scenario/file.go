// Package scenario runs the tests of journeys that lie beside them as files: a
// whole server with a clock of its own, people with phones and authenticator apps,
// and what they do on a page that embeds the web SDK. Nothing is sent anywhere:
// the server's messages are captured, it listens on loopback, and what it stores
// is deleted.
package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// File is one file of tests. Every case begins with the same people, of whom none
// has done anything yet.
type File struct {
	Name   string            `yaml:"-"`
	People map[string]Person `yaml:"people"`
	Cases  []Case            `yaml:"cases"`
}

// Person is somebody who exists before each case.
type Person struct {
	Email    string `yaml:"email"`
	Number   string `yaml:"number"` // of a phone for text messages, +4930123456
	Username string `yaml:"username"`
	Password string `yaml:"password"`
	Phone    string `yaml:"phone"` // the native client of the app on their registered phone; empty: they have none
	TOTP     bool   `yaml:"totp"`  // they have an authenticator app
	App      string `yaml:"app"`   // of which application; empty: the one that the case's client belongs to
}

// Case is one story.
type Case struct {
	Name   string         `yaml:"name"`
	Start  string         `yaml:"start"`  // the journey
	Client string         `yaml:"client"` // that starts it; empty: the only web client there is
	Params map[string]any `yaml:"params"`
	Moves  []Move         `yaml:"moves"`
	Line   int            `yaml:"-"`
}

// Move is one thing that is done or seen; exactly one of its verbs is given.
type Move struct {
	Sees  string         `yaml:"sees"`  // the page is asked this: the SDK's journeyStepId
	Shows map[string]any `yaml:"shows"` // and told this: a part of the step's data; "*" is anything

	Gives map[string]any `yaml:"gives"` // the page answers what it is asked
	Takes string         `yaml:"takes"` // the page takes another way: the id of an option
	With  map[string]any `yaml:"with"`  // and says this

	Phone  string `yaml:"phone"`  // approve, deny, not_me, or nothing: no request waits there
	Who    string `yaml:"who"`    // whose phone, code or password; empty: the only person's
	Number string `yaml:"number"` // approve: right (if empty), wrong, or one to type

	Later Duration `yaml:"later"` // so much time passes

	Ends   string         `yaml:"ends"`   // success or rejection
	As     string         `yaml:"as"`     // who is signed in then
	Reason string         `yaml:"reason"` // of a rejection
	Claims map[string]any `yaml:"claims"` // a part of what the token says; "*" is anything

	// Refused is what is said to the answer or the phone: the SDK's error code
	// ("invalid_credentials"), or a part of the words; "*" is anything.
	Refused string `yaml:"refused"`

	Line int `yaml:"-"`
}

// Duration is a time.Duration as Go writes it ("90s", "15m", "24h").
type Duration time.Duration

// UnmarshalYAML reads it.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v <= 0 {
		return fmt.Errorf("line %d: %q is no time such as 90s, 15m or 24h", n.Line, n.Value)
	}
	*d = Duration(v)
	return nil
}

// UnmarshalYAML reads a case and remembers its line.
func (c *Case) UnmarshalYAML(n *yaml.Node) error {
	type plain Case
	if err := strictly(n, (*plain)(c)); err != nil {
		return err
	}
	c.Line = n.Line
	if c.Name == "" || c.Start == "" || len(c.Moves) == 0 {
		return fmt.Errorf("line %d: a case needs a name, the journey that it starts, and moves", n.Line)
	}
	return nil
}

// UnmarshalYAML reads a move and remembers its line.
func (m *Move) UnmarshalYAML(n *yaml.Node) error {
	type plain Move
	if err := strictly(n, (*plain)(m)); err != nil {
		return err
	}
	m.Line = n.Line
	return m.check()
}

// strictly decodes a node in which nothing is unknown: what decodes itself does
// not inherit that from its decoder.
func strictly(n *yaml.Node, v any) error {
	of := reflect.TypeOf(v).Elem()
	var known []string
	for f := range of.Fields() {
		known = append(known, f.Tag.Get("yaml"))
	}
	if n.Kind == yaml.MappingNode {
		for i := 0; i < len(n.Content); i += 2 {
			if key := n.Content[i]; !slices.Contains(known, key.Value) {
				return fmt.Errorf("line %d: there is no %q here", key.Line, key.Value)
			}
		}
	}
	return n.Decode(v)
}

// modifiers says what goes with which verb.
var modifiers = map[string][]string{
	"sees": {"shows"}, "gives": {"refused", "who"}, "takes": {"with", "refused", "who"}, "phone": {"who", "number", "refused"}, "later": nil, "ends": {"as", "reason", "claims"},
}

// given names what a move says.
func (m Move) given() []string {
	set := map[string]bool{
		"sees": m.Sees != "", "shows": m.Shows != nil, "gives": m.Gives != nil, "takes": m.Takes != "", "with": m.With != nil, "phone": m.Phone != "", "who": m.Who != "",
		"number": m.Number != "", "later": m.Later != 0, "ends": m.Ends != "", "as": m.As != "", "reason": m.Reason != "", "claims": m.Claims != nil, "refused": m.Refused != "",
	}
	maps.DeleteFunc(set, func(_ string, is bool) bool { return !is })
	return slices.Sorted(maps.Keys(set))
}

func (m Move) check() error {
	given := m.given()
	verbs := slices.DeleteFunc(slices.Clone(given), func(name string) bool { _, is := modifiers[name]; return !is })
	if len(verbs) != 1 {
		return fmt.Errorf("line %d: a move says exactly one of %s", m.Line, strings.Join(slices.Sorted(maps.Keys(modifiers)), ", "))
	}
	for _, name := range given {
		if name != verbs[0] && !slices.Contains(modifiers[verbs[0]], name) {
			return fmt.Errorf("line %d: %s does not go with %s", m.Line, name, verbs[0])
		}
	}
	if m.Phone != "" && !slices.Contains([]string{"approve", "deny", "not_me", "nothing"}, m.Phone) {
		return fmt.Errorf("line %d: a phone can approve, deny, not_me or nothing", m.Line)
	}
	if m.Ends != "" && m.Ends != "success" && m.Ends != "rejection" {
		return fmt.Errorf("line %d: a journey ends in success or rejection", m.Line)
	}
	return nil
}

// Read reads the files of tests in a folder, by name.
func Read(dir string) ([]File, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var out []File
	for _, path := range paths { // Glob sorts
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f, err := parse(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		f.Name = strings.TrimSuffix(filepath.Base(path), ".yaml")
		out = append(out, f)
	}
	return out, nil
}

func parse(b []byte) (File, error) {
	var f File
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		return f, err
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return f, errors.New("there is something after the document")
	}
	for name, p := range f.People {
		if p.Email == "" && p.Username == "" && p.Number == "" || p.Phone != "" && p.Email == "" {
			return f, fmt.Errorf("%s needs an email (or, without a phone, a username or a number)", name)
		}
	}
	for _, c := range f.Cases {
		for _, m := range c.Moves {
			for _, name := range []string{m.Who, m.As} {
				if _, known := f.People[name]; name != "" && !known {
					return f, fmt.Errorf("line %d: %s is none of the people", m.Line, name)
				}
			}
		}
	}
	return f, nil
}
