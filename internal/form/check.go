package form

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
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

// Err is the problem as a refusal of the place where it is.
func (p Problem) Err() error {
	return fault.At(fault.New(fault.Invalid, "%s", p.Text), p.Path)
}

// Check validates doc, fills in defaults, and rejects what the form does not
// name. Text is never taken from a list or null (security R57), must be UTF-8
// without NUL and within its length. The result is a new map; numbers in it are
// float64, as JSON gives them. The first problem is fault.Invalid, about its place.
func (fs Form) Check(doc map[string]any) (map[string]any, error) {
	c := checker{}
	out := c.form(fs, doc)
	if len(c.problems) > 0 {
		return nil, c.problems[0].Err()
	}
	return out, nil
}

// CheckConfig returns all that is wrong with a configuration before its
// expressions are evaluated: {"expr": "…"} may stand for any value, at any
// depth.
func (fs Form) CheckConfig(doc map[string]any) []Problem {
	c := checker{drawn: true}
	c.form(fs, doc)
	return c.problems
}

// Problems returns all that Check would refuse, at most 100.
func (fs Form) Problems(doc map[string]any) []Problem {
	c := checker{}
	c.form(fs, doc)
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
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("form: %w", err)
	}
	return nil
}

const maxProblems = 100

// checker walks over a document. Where it stands is kept as a list of places,
// and written out only for a problem.
type checker struct {
	drawn    bool // expressions may stand for values
	depth    int
	at       []place
	problems []Problem
}

// place is a field, or a row of the field before it.
type place struct {
	field *Field
	row   int
}

func (c *checker) enter(p place) { c.at = append(c.at, p) }
func (c *checker) leave()        { c.at = c.at[:len(c.at)-1] }

// path is where the checker stands, for a program: tiers.0.minutes.
func (c *checker) path() string {
	var b strings.Builder
	for _, p := range c.at {
		switch {
		case p.field == nil:
			b.WriteString("." + strconv.Itoa(p.row))
		case p.field.Name != "":
			b.WriteString("." + p.field.Name)
		}
	}
	return strings.TrimPrefix(b.String(), ".")
}

// label is where the checker stands, for a person: Tiers, row 1: Minutes.
func (c *checker) label() string {
	var b strings.Builder
	for _, p := range c.at {
		switch {
		case p.field == nil:
			b.WriteString(", row " + strconv.Itoa(p.row+1))
		case p.field.Name != "" && b.Len() > 0:
			b.WriteString(": " + p.field.title())
		case p.field.Name != "":
			b.WriteString(p.field.title())
		}
	}
	return b.String()
}

// add notes a problem of the value at which the checker stands: "Name must be
// text." It returns nil, the value of what is wrong.
func (c *checker) add(format string, args ...any) any {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, Problem{c.path(), c.label() + " " + fmt.Sprintf(format, args...)})
	}
	return nil
}

// addWithin notes a problem of something inside that value.
func (c *checker) addWithin(path, format string, args ...any) {
	if len(c.problems) >= maxProblems {
		return
	}
	at, label := c.path(), c.label()
	if at != "" && path != "" {
		at += "."
	}
	if label != "" {
		label += ": "
	}
	c.problems = append(c.problems, Problem{at + path, label + fmt.Sprintf(format, args...)})
}

func (c *checker) form(fs Form, doc map[string]any) map[string]any {
	if c.depth++; c.depth > maxDepth {
		c.addWithin("", "This is nested too deeply.")
		return nil
	}
	defer func() { c.depth-- }()
	out := make(map[string]any, len(fs))
	named := 0
	for i := range fs {
		f := &fs[i]
		v, ok := doc[f.Name]
		if ok {
			named++
		}
		if v == nil || v == "" {
			if f.Required {
				c.addWithin(f.Name, "%s is required.", f.title())
			}
			if f.Default != nil {
				out[f.Name] = plain(f.Default)
			}
			continue
		}
		c.enter(place{field: f})
		out[f.Name] = c.value(f, v)
		c.leave()
	}
	if named < len(doc) {
		c.unknown(fs, doc)
	}
	return out
}

func (c *checker) unknown(fs Form, doc map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		if !fs.has(name) {
			c.addWithin(clip(name), "There is no field %q.", clip(name))
		}
	}
}

func (f *Field) title() string {
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

func (c *checker) value(f *Field, v any) any {
	if c.drawn && isExpr(v) {
		return v
	}
	switch f.Type {
	case "number":
		return c.number(f, v)
	case "duration":
		return c.duration(f, v)
	case "boolean":
		if b, ok := v.(bool); ok {
			return b
		}
		return c.add("must be true or false.")
	case "choice":
		if s, _ := v.(string); slices.Contains(f.Choices, s) {
			return s
		}
		return c.add("must be one of %s.", strings.Join(f.Choices, ", "))
	case "choices":
		return c.choices(f, v)
	case "list":
		return c.list(f, v)
	case "object":
		return c.object(f, v)
	case "expr":
		return c.any(v, 0)
	case "colour":
		if s, _ := v.(string); IsColour(s) {
			return s
		}
		return c.add("must be a colour such as #3a4fd0.")
	}
	return c.text(f, v)
}

var colour = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// IsColour reports whether a text is a colour: #rrggbb.
func IsColour(s string) bool { return colour.MatchString(s) }

func (c *checker) text(f *Field, v any) any {
	s, ok := v.(string)
	limit := f.MaxLen
	if limit == 0 {
		limit = maxText
	}
	switch {
	case !ok:
		return c.add("must be text.")
	case len(s) > limit:
		return c.add("must have at most %d bytes.", limit)
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		return c.add("contains characters that are not allowed.")
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

func (c *checker) number(f *Field, v any) any {
	n, ok := float(v)
	switch {
	case f.Decimal && !ok:
		return c.add("must be a number.")
	case !f.Decimal && (!ok || n != math.Trunc(n) || math.Abs(n) > 1<<53):
		return c.add("must be a whole number.")
	}
	return c.within(f, n)
}

func (c *checker) within(f *Field, n float64) any {
	if f.Min != nil && n < float64(*f.Min) || f.Max != nil && n > float64(*f.Max) {
		return c.add("must be %s.", f.bounds())
	}
	return n
}

// bounds are Min and Max in words.
func (f *Field) bounds() string {
	switch {
	case f.Min == nil:
		return fmt.Sprintf("at most %d", *f.Max)
	case f.Max == nil:
		return fmt.Sprintf("at least %d", *f.Min)
	}
	return fmt.Sprintf("between %d and %d", *f.Min, *f.Max)
}

func (c *checker) duration(f *Field, v any) any {
	n, ok := float(v)
	if s, is := v.(string); is {
		d, err := time.ParseDuration(s)
		n, ok = d.Seconds(), err == nil
	}
	if !ok || n != math.Trunc(n) || n < 0 || n > 1e10 {
		return c.add("must be a time in whole seconds.")
	}
	return c.within(f, n)
}

func (c *checker) choices(f *Field, v any) any {
	rows, ok := rowsOf(v)
	if !ok || len(rows) > len(f.Choices) {
		return c.add("must be a list of %s.", strings.Join(f.Choices, ", "))
	}
	out := []any{}
	for _, row := range rows {
		s, _ := row.(string)
		if !slices.Contains(f.Choices, s) || slices.Contains(out, any(s)) {
			return c.add("must be a list of %s, each once.", strings.Join(f.Choices, ", "))
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

func (c *checker) list(f *Field, v any) any {
	rows, ok := rowsOf(v)
	lo, hi := 0, maxRows
	if f.Min != nil {
		lo = *f.Min
	}
	if f.Max != nil {
		hi = *f.Max
	}
	if !ok || len(rows) < lo || len(rows) > hi {
		return c.add("must be a list of %d to %d rows.", lo, hi)
	}
	out := make([]any, len(rows))
	for i, row := range rows {
		c.enter(place{row: i})
		out[i] = c.row(f, row)
		c.leave()
	}
	return out
}

func (c *checker) row(f *Field, row any) any {
	if len(f.Fields) == 1 && f.Fields[0].Name == "" {
		return c.value(&f.Fields[0], row)
	}
	if c.drawn && isExpr(row) {
		return row
	}
	m, ok := row.(map[string]any)
	if !ok {
		c.addWithin("", "It must be an object.")
		return nil
	}
	return c.form(f.Fields, m)
}

func (c *checker) object(f *Field, v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return c.add("must be an object.")
	}
	if len(f.Fields) > 0 {
		return c.form(f.Fields, m)
	}
	return c.any(m, 0)
}

var freeText, freeKey = Field{MaxLen: 64 << 10}, Field{MaxLen: 256}

// any bounds a free value. Numbers become float64.
func (c *checker) any(v any, depth int) any {
	if depth > maxDepth {
		return c.add("is nested too deeply.")
	}
	switch v := v.(type) {
	case nil, bool:
		return v
	case string:
		return c.text(&freeText, v)
	case map[string]any:
		if len(v) > maxKeys {
			return c.add("has more than %d keys.", maxKeys)
		}
		out := make(map[string]any, len(v))
		for k, x := range v {
			c.text(&freeKey, k)
			out[k] = c.any(x, depth+1)
		}
		return out
	}
	if n, ok := float(v); ok {
		return n
	}
	rows, ok := rowsOf(v)
	if !ok || len(rows) > 1000 {
		return c.add("holds something that is not JSON, or too much of it.")
	}
	out := make([]any, len(rows))
	for i, x := range rows {
		out[i] = c.any(x, depth+1)
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
