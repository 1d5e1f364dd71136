// Package form describes input as data. The same description checks what comes
// in, draws the admin console's forms, and draws a login page.
package form

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/watchword-auth/watchword/internal/fault"
)

// Field is one input.
type Field struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"` // text, secret, int, bool, choice, list, expr
	Label    string   `json:"label"`
	Help     string   `json:"help,omitempty"`
	Required bool     `json:"required,omitempty"`
	Default  any      `json:"default,omitempty"`
	Min      *int     `json:"min,omitempty"`
	Max      *int     `json:"max,omitempty"`
	Choices  []string `json:"choices,omitempty"`
	Fields   Form     `json:"fields,omitempty"` // of one row of a list
}

// Form is an ordered set of fields.
type Form []Field

// New returns a form.
func New(fields ...Field) Form { return fields }

// Option adjusts a field.
type Option func(*Field)

func field(typ, name, label string, opts []Option) Field {
	f := Field{Name: name, Type: typ, Label: label}
	for _, o := range opts {
		o(&f)
	}
	return f
}

func Text(name, label string, opts ...Option) Field   { return field("text", name, label, opts) }
func Secret(name, label string, opts ...Option) Field { return field("secret", name, label, opts) }
func Expr(name, label string, opts ...Option) Field   { return field("expr", name, label, opts) }
func Int(name, label string, opts ...Option) Field    { return field("int", name, label, opts) }
func Choice(name, label string, choices []string, opts ...Option) Field {
	f := field("choice", name, label, opts)
	f.Choices = choices
	return f
}
func List(name, label string, row Form, opts ...Option) Field {
	f := field("list", name, label, opts)
	f.Fields = row
	return f
}

func Required(f *Field)         { f.Required = true }
func Default(v any) Option      { return func(f *Field) { f.Default = v } }
func Between(lo, hi int) Option { return func(f *Field) { f.Min, f.Max = &lo, &hi } }
func Help(text string) Option   { return func(f *Field) { f.Help = text } }

// Check validates doc, fills in defaults, and rejects what the form does not
// name. The error names the field.
func (fs Form) Check(doc map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(fs))
	for _, f := range fs {
		v, ok := doc[f.Name]
		if !ok || v == nil || v == "" {
			if f.Required {
				return nil, fault.New(fault.Invalid, "%s is required", f.Label)
			}
			if f.Default != nil {
				out[f.Name] = f.Default
			}
			continue
		}
		v, err := f.check(v)
		if err != nil {
			return nil, err
		}
		out[f.Name] = v
	}
	for name := range doc {
		if !slices.ContainsFunc(fs, func(f Field) bool { return f.Name == name }) {
			return nil, fault.New(fault.Invalid, "unknown field %q", name)
		}
	}
	return out, nil
}

func (f Field) check(v any) (any, error) {
	switch f.Type {
	case "int":
		n, ok := v.(float64)
		if !ok || n != float64(int(n)) {
			return nil, fault.New(fault.Invalid, "%s must be a whole number", f.Label)
		}
		if f.Min != nil && int(n) < *f.Min || f.Max != nil && int(n) > *f.Max {
			return nil, fault.New(fault.Invalid, "%s must be between %d and %d", f.Label, *f.Min, *f.Max)
		}
	case "choice":
		if s, _ := v.(string); !slices.Contains(f.Choices, s) {
			return nil, fault.New(fault.Invalid, "%s must be one of %v", f.Label, f.Choices)
		}
	case "list":
		rows, ok := v.([]any)
		if !ok || f.Max != nil && len(rows) > *f.Max {
			return nil, fault.New(fault.Invalid, "%s must be a list of at most %d rows", f.Label, *f.Max)
		}
		for i, row := range rows {
			m, _ := row.(map[string]any)
			m, err := f.Fields.Check(m)
			if err != nil {
				return nil, fault.New(fault.Invalid, "%s, row %d: %v", f.Label, i+1, err)
			}
			rows[i] = m
		}
	default:
		if _, ok := v.(string); !ok {
			return nil, fault.New(fault.Invalid, "%s must be text", f.Label)
		}
	}
	return v, nil
}

// Into checks doc and decodes it into v.
func (fs Form) Into(doc map[string]any, v any) error {
	doc, err := fs.Check(doc)
	if err != nil {
		return err
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("form: %w", err)
	}
	return json.Unmarshal(b, v)
}
