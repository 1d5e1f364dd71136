package form

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchword-auth/watchword/internal/fault"
)

const (
	maxText  = 4096
	maxRows  = 100
	maxDepth = 16
	maxKeys  = 256
)

// Problem is what is wrong with a value, and where: "tiers.0.minutes".
type Problem struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// Check validates doc, fills in defaults, and rejects what the form does not
// name. Text is never taken from a list or null (security R57), must be UTF-8
// without NUL and within its length. The result is a new map; numbers in it are
// float64, as JSON gives them. The first problem is fault.Invalid.
func (fs Form) Check(doc map[string]any) (map[string]any, error) {
	c := checker{}
	out := c.form("", "", fs, doc)
	if len(c.problems) > 0 {
		return nil, fault.New(fault.Invalid, "%s", c.problems[0].Text)
	}
	return out, nil
}

// CheckConfig returns all that is wrong with a configuration before its
// expressions are evaluated: {"expr": "…"} may stand for any value, at any
// depth.
func (fs Form) CheckConfig(doc map[string]any) []Problem {
	c := checker{drawn: true}
	c.form("", "", fs, doc)
	return c.problems
}

// Into checks doc and decodes it into v, whose JSON tags are the fields' names.
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

type checker struct {
	drawn    bool // expressions may stand for values
	depth    int
	problems []Problem
}

func (c *checker) add(path, format string, args ...any) any {
	c.problems = append(c.problems, Problem{strings.TrimPrefix(path, "."), fmt.Sprintf(format, args...)})
	return nil
}

func (c *checker) form(path, label string, fs Form, doc map[string]any) map[string]any {
	if c.depth++; c.depth > maxDepth {
		c.add(path, "This is nested too deeply.")
		return nil
	}
	defer func() { c.depth-- }()
	out := make(map[string]any, len(fs))
	for _, f := range fs {
		v, ok := doc[f.Name]
		if !ok || v == nil || v == "" {
			if f.Required {
				c.add(path+"."+f.Name, "%s%s is required.", label, f.title())
			}
			if f.Default != nil {
				out[f.Name] = plain(f.Default)
			}
			continue
		}
		out[f.Name] = c.value(path+"."+f.Name, label+f.title(), f, v)
	}
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		if _, ok := fs.find(name); !ok {
			c.add(path+"."+clip(name), "%sThere is no field %q.", label, clip(name))
		}
	}
	return out
}

func (f Field) title() string {
	if f.Label != "" {
		return f.Label
	}
	return f.Name
}

func clip(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	return strings.ToValidUTF8(s, "")
}

// isExpr reports a value that an expression stands for.
func isExpr(v any) bool {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return false
	}
	_, ok = m["expr"].(string)
	return ok
}

func (c *checker) value(path, label string, f Field, v any) any {
	if c.drawn && isExpr(v) {
		return v
	}
	switch f.Type {
	case "number":
		return c.number(path, label, f, v)
	case "duration":
		return c.duration(path, label, f, v)
	case "boolean":
		if b, ok := v.(bool); ok {
			return b
		}
		return c.add(path, "%s must be true or false.", label)
	case "choice":
		if s, _ := v.(string); slices.Contains(f.Choices, s) {
			return s
		}
		return c.add(path, "%s must be one of %s.", label, strings.Join(f.Choices, ", "))
	case "choices":
		return c.choices(path, label, f, v)
	case "list":
		return c.list(path, label, f, v)
	case "object":
		return c.object(path, label, f, v)
	case "expr":
		return c.any(path, label, v, 0)
	case "colour":
		if s, _ := v.(string); colour.MatchString(s) {
			return s
		}
		return c.add(path, "%s must be a colour such as #3a4fd0.", label)
	}
	return c.text(path, label, f, v)
}

var colour = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

func (c *checker) text(path, label string, f Field, v any) any {
	s, ok := v.(string)
	limit := f.MaxLen
	if limit == 0 {
		limit = maxText
	}
	switch {
	case !ok:
		return c.add(path, "%s must be text.", label)
	case len(s) > limit:
		return c.add(path, "%s must have at most %d characters.", label, limit)
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		return c.add(path, "%s contains characters that are not allowed.", label)
	}
	return s
}

// float reads a number in any of the types that decoders and Go code use.
func float(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, !math.IsNaN(n) && !math.IsInf(n, 0)
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case json.Number:
		x, err := n.Float64()
		return x, err == nil
	}
	return 0, false
}

func (c *checker) number(path, label string, f Field, v any) any {
	n, ok := float(v)
	if !ok || !f.Decimal && (n != math.Trunc(n) || math.Abs(n) > 1<<53) {
		return c.add(path, "%s must be a whole number.", label)
	}
	return c.within(path, label, f, n)
}

func (c *checker) within(path, label string, f Field, n float64) any {
	if f.Min != nil && n < float64(*f.Min) || f.Max != nil && n > float64(*f.Max) {
		return c.add(path, "%s must be between %d and %d.", label, *f.Min, *f.Max)
	}
	return n
}

func (c *checker) duration(path, label string, f Field, v any) any {
	n, ok := float(v)
	if s, is := v.(string); is {
		d, err := time.ParseDuration(s)
		n, ok = d.Seconds(), err == nil
	}
	if !ok || n != math.Trunc(n) || n < 0 || n > 1e10 {
		return c.add(path, "%s must be a time in whole seconds.", label)
	}
	return c.within(path, label, f, n)
}

func (c *checker) choices(path, label string, f Field, v any) any {
	rows, ok := rowsOf(v)
	if !ok || len(rows) > len(f.Choices) {
		return c.add(path, "%s must be a list of %s.", label, strings.Join(f.Choices, ", "))
	}
	out := []any{}
	for _, row := range rows {
		s, _ := row.(string)
		if !slices.Contains(f.Choices, s) || slices.Contains(out, any(s)) {
			return c.add(path, "%s must be a list of %s, each once.", label, strings.Join(f.Choices, ", "))
		}
		out = append(out, s)
	}
	return out
}

func rowsOf(v any) ([]any, bool) {
	switch rows := v.(type) {
	case []any:
		return rows, true
	case []string:
		out := make([]any, len(rows))
		for i, s := range rows {
			out[i] = s
		}
		return out, true
	case []map[string]any:
		out := make([]any, len(rows))
		for i, m := range rows {
			out[i] = m
		}
		return out, true
	}
	return nil, false
}

func (c *checker) list(path, label string, f Field, v any) any {
	rows, ok := rowsOf(v)
	lo, hi := 0, maxRows
	if f.Min != nil {
		lo = *f.Min
	}
	if f.Max != nil {
		hi = *f.Max
	}
	if !ok || len(rows) < lo || len(rows) > hi {
		return c.add(path, "%s must be a list of %d to %d rows.", label, lo, hi)
	}
	if c.depth > maxDepth {
		return c.add(path, "This is nested too deeply.")
	}
	out := make([]any, len(rows))
	for i, row := range rows {
		at, name := fmt.Sprintf("%s.%d", path, i), fmt.Sprintf("%s, row %d: ", label, i+1)
		if len(f.Fields) == 1 && f.Fields[0].Name == "" {
			out[i] = c.value(at, strings.TrimSuffix(name, ": "), f.Fields[0], row)
			continue
		}
		m, ok := row.(map[string]any)
		switch {
		case c.drawn && isExpr(row):
			out[i] = row
		case !ok:
			c.add(at, "%sIt must be an object.", name)
		default:
			out[i] = c.form(at, name, f.Fields, m)
		}
	}
	return out
}

func (c *checker) object(path, label string, f Field, v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return c.add(path, "%s must be an object.", label)
	}
	if len(f.Fields) > 0 {
		return c.form(path, label+": ", f.Fields, m)
	}
	return c.any(path, label, m, 0)
}

// any bounds a free value. Numbers become float64.
func (c *checker) any(path, label string, v any, depth int) any {
	if depth > maxDepth {
		return c.add(path, "%s is nested too deeply.", label)
	}
	switch v := v.(type) {
	case nil, bool:
		return v
	case string:
		return c.text(path, label, Field{MaxLen: 64 << 10}, v)
	case map[string]any:
		if len(v) > maxKeys {
			return c.add(path, "%s has more than %d keys.", label, maxKeys)
		}
		out := make(map[string]any, len(v))
		for k, x := range v {
			c.text(path, label, Field{MaxLen: 256}, k)
			out[k] = c.any(path, label, x, depth+1)
		}
		return out
	}
	if n, ok := float(v); ok {
		return n
	}
	rows, ok := rowsOf(v)
	if !ok || len(rows) > 1000 {
		return c.add(path, "%s holds something that is not JSON, or too much of it.", label)
	}
	out := make([]any, len(rows))
	for i, x := range rows {
		out[i] = c.any(path, label, x, depth+1)
	}
	return out
}

// plain is a default as JSON would give it.
func plain(v any) any {
	if n, ok := float(v); ok {
		return n
	}
	if rows, ok := rowsOf(v); ok {
		out := make([]any, len(rows))
		for i, x := range rows {
			out[i] = plain(x)
		}
		return out
	}
	if m, ok := v.(map[string]any); ok {
		out := make(map[string]any, len(m))
		for k, x := range m {
			out[k] = plain(x)
		}
		return out
	}
	return v
}
