// Package form describes input as data. The same description checks what comes
// in, draws the administrator's forms, and draws a login page. It decides only
// about shape; what a value means is its caller's business.
package form

import (
	"fmt"
	"slices"
)

// Field is one input. Its JSON is what an editor draws.
type Field struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"` // text, secret, email, phone, number, boolean, choice, choices, duration, colour, list, object, expr, journey, client, attribute
	Label    string   `json:"label"`
	Help     string   `json:"help,omitempty"`
	Group    string   `json:"group,omitempty"` // what it is drawn under, with the others of that name
	Required bool     `json:"required,omitempty"`
	Default  any      `json:"default,omitempty"`
	Min      *int     `json:"min,omitempty"` // of a number or duration; of the rows of a list
	Max      *int     `json:"max,omitempty"`
	Decimal  bool     `json:"decimal,omitempty"` // a number that need not be whole
	MaxLen   int      `json:"max_len,omitempty"` // of a text, in bytes of UTF-8; 0: 4096
	Lines    bool     `json:"lines,omitempty"`   // a text or secret of several lines, such as a file
	Choices  []string `json:"choices,omitempty"`
	Says     []Saying `json:"says,omitempty"`   // what people read in place of choices
	Named    bool     `json:"named,omitempty"`  // people know the choices by their values, too
	Kinds    []string `json:"kinds,omitempty"`  // of a journey: the kinds it may have
	Fields   Form     `json:"fields,omitempty"` // of one row of a list, or of an object; a single field without a name: rows are plain values
}

// Saying is a choice in words.
type Saying struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// Form is an ordered set of fields. The zero Form accepts nothing.
type Form []Field

// New returns a form. It panics, as forms are written by programmers and made at
// start-up, if two fields have one name, a default is not a value of its field, or
// there are words for something that is no choice.
func New(fields ...Field) Form {
	for i, f := range fields {
		if slices.ContainsFunc(fields[:i], func(g Field) bool { return g.Name == f.Name }) {
			panic(fmt.Sprintf("form: two fields are called %q", f.Name))
		}
		for _, s := range f.Says {
			if !slices.Contains(f.Choices, s.Value) {
				panic(fmt.Sprintf("form: %q is no choice of %q", s.Value, f.Name))
			}
		}
		if f.Default == nil {
			continue
		}
		if problems := (Form{f}).Problems(map[string]any{f.Name: plain(f.Default)}); len(problems) > 0 {
			panic(fmt.Sprintf("form: the default of %q: %s", f.Name, problems[0].Text))
		}
	}
	return fields
}

// Under puts fields of a long form into a group that whoever draws it may close.
func Under(group string, fields ...Field) []Field {
	for i := range fields {
		fields[i].Group = group
	}
	return fields
}

// Option adjusts a field.
type Option func(*Field)

func field(typ, name, label string, opts []Option) Field {
	f := Field{Name: name, Type: typ, Label: label}
	for _, o := range opts {
		o(&f)
	}
	return f
}

// Text is a line of text; Secret is one that is never shown again.
func Text(name, label string, opts ...Option) Field   { return field("text", name, label, opts) }
func Secret(name, label string, opts ...Option) Field { return field("secret", name, label, opts) }

// Email and Phone are texts that are typed on other keyboards. Whether they are
// an address or a number is not checked here.
func Email(name, label string, opts ...Option) Field { return field("email", name, label, opts) }
func Phone(name, label string, opts ...Option) Field { return field("phone", name, label, opts) }

// Number is a whole number, unless Decimal.
func Number(name, label string, opts ...Option) Field { return field("number", name, label, opts) }

// Boolean is true or false.
func Boolean(name, label string, opts ...Option) Field { return field("boolean", name, label, opts) }

// Choice is one of choices, Choices any number of them, each once.
func Choice(name, label string, choices []string, opts ...Option) Field {
	f := field("choice", name, label, opts)
	f.Choices = choices
	return f
}
func Choices(name, label string, choices []string, opts ...Option) Field {
	f := field("choices", name, label, opts)
	f.Choices = choices
	return f
}

// Duration is a time in seconds; "90s" and "2m" are understood.
func Duration(name, label string, opts ...Option) Field { return field("duration", name, label, opts) }

// Colour is #rrggbb.
func Colour(name, label string, opts ...Option) Field { return field("colour", name, label, opts) }

// List is a list of rows.
func List(name, label string, row Form, opts ...Option) Field {
	f := field("list", name, label, opts)
	f.Fields = row
	return f
}

// Object is a map, free or with Fields.
func Object(name, label string, opts ...Option) Field { return field("object", name, label, opts) }

// Expr is any JSON value: the place of an expression whose type is open.
func Expr(name, label string, opts ...Option) Field { return field("expr", name, label, opts) }

// Journey is the id of a journey of one kind, or of another that Or adds.
func Journey(name, label, kind string, opts ...Option) Field {
	f := field("journey", name, label, opts)
	f.Kinds = append([]string{kind}, f.Kinds...)
	return f
}

// Or lets a journey be of another kind as well.
func Or(kind string) Option { return func(f *Field) { f.Kinds = append(f.Kinds, kind) } }

// Client is the id of a client, Attribute the name of a user attribute.
func Client(name, label string, opts ...Option) Field { return field("client", name, label, opts) }
func Attribute(name, label string, opts ...Option) Field {
	return field("attribute", name, label, opts)
}

// Required means that an absent or empty value is refused.
func Required(f *Field) { f.Required = true }

// Default is what an absent or empty value becomes.
func Default(v any) Option { return func(f *Field) { f.Default = v } }

// Between bounds a number, a duration in seconds, or how many rows a list has.
func Between(lo, hi int) Option { return func(f *Field) { f.Min, f.Max = &lo, &hi } }

// Decimal lets a number have a fraction.
func Decimal(f *Field) { f.Decimal = true }

// MaxLen bounds a text in bytes.
func MaxLen(n int) Option { return func(f *Field) { f.MaxLen = n } }

// Lines means that a text or secret has several lines, such as what stands in a file.
func Lines(f *Field) { f.Lines = true }

// Read gives choices words, in pairs: a value, and what people read in its place.
func Read(pairs ...string) Option {
	return func(f *Field) {
		for pair := range slices.Chunk(pairs, 2) {
			f.Says = append(f.Says, Saying{pair[0], pair[1]})
		}
	}
}

// Named means that the values of choices are shown beside their words: they are
// those of a protocol, of a program, or of what else an operator writes.
func Named(f *Field) { f.Named = true }

// Help is the sentence under the field.
func Help(text string) Option { return func(f *Field) { f.Help = text } }

// Of gives an object its fields.
func Of(fields ...Field) Option { return func(f *Field) { f.Fields = fields } }

func (fs Form) has(name string) bool {
	return slices.ContainsFunc(fs, func(f Field) bool { return f.Name == name })
}
