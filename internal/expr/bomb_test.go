package expr_test

import (
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/expr"
)

// limit is what one evaluation may take on a busy machine, under the race
// detector. Alone it is a hundredth.
const limit = 2 * time.Second

func bombScope() expr.Scope {
	s := scope()
	long, wide := []any{}, map[string]any{}
	for i := range 2000 {
		long = append(long, strings.Repeat("x", 100))
		wide[strings.Repeat("k", i%50)+string(rune('a'+i%26))+strings.Repeat("z", i/26)] = float64(i)
	}
	s.Vars["long"], s.Vars["wide"] = long, wide
	s.Vars["text"] = strings.Repeat("ab", 200_000)
	return s
}

// TestBombs (J7): work, memory and time are bounded, whatever is written. None
// of these comes to an end by itself.
func TestBombs(t *testing.T) {
	twin := `std.reduce(std.range(24), [1], a, x, [a, a])`
	for name, src := range map[string]string{
		"text doubles":              `std.reduce(std.range(64), "ab", a, x, a + a)`,
		"text doubles by join":      `std.reduce(std.range(64), "ab", a, x, strings.join([a, a]))`,
		"text doubles by replace":   `std.reduce(std.range(64), "ab", a, x, strings.replace(a, "a", "aa"))`,
		"text doubles in a row":     `["ab"]` + strings.Repeat(`.map(s, s + s + s + s + s + s + s + s)`, 12),
		"list doubles":              `std.reduce(std.range(64), [1], a, x, a + a)`,
		"list of lists as result":   twin,
		"list of lists compared":    twin + ` == ` + twin,
		"list of lists searched":    twin + ` in [` + twin + `]`,
		"list of lists written":     `string(` + twin + `)`,
		"list of lists measured":    `std.len(` + twin + `)`,
		"list of lists sorted out":  `std.distinct(` + twin + `)`,
		"list of lists by map":      `[[1]]` + strings.Repeat(`.map(a, [a, a])`, 30),
		"object doubles":            `std.reduce(std.range(64), {"a": 1}, a, x, {"l": a, "r": a})`,
		"three loops":               `long.map(a, long.map(b, long.map(c, a + b + c)))`,
		"three loops, nothing kept": `long.all(a, long.all(b, long.all(c, a + b != c)))`,
		"three loops of numbers":    `std.range(10000).all(a, std.range(10000).all(b, std.range(10000).all(c, true)))`,
		"loops in the accumulator":  `std.reduce(std.range(9999), 0, a, x, std.reduce(std.range(9999), a, b, y, b + 1))`,
		"sums of sums":              `std.range(5000).map(x, std.sum(std.range(5000)))`,
		"lengths":                   strings.Repeat(`size(long) + size(wide) + `, 100) + `1`,
		"comparisons":               strings.Repeat(`long == long && `, 100) + `true`,
		"keys":                      `wide.map(a, wide.map(b, a + b))`,
		"distinct":                  `std.distinct(std.range(10000).map(x, [x]))`,
		"json":                      `json.parse("` + strings.Repeat("[", 4000) + strings.Repeat("]", 4000) + `")`,
		"json of json":              `std.reduce(std.range(64), "\"", a, x, json.stringify(a + a))`,
		"deep value":                `std.reduce(std.range(64), 1, a, x, [a])`,
		"split to letters":          `std.range(100).map(x, strings.split(text, ""))`,
		"regular expression":        `std.range(10000).all(i, strings.matches(strings.substring(text, 0, 8000), "^(a?b?){300}c$"))`,
		"huge regular expression":   `strings.matches("x", "((a{100}){10}){10}")`,
		"long text":                 `std.range(1000).map(x, strings.upper(text))`,
		"random":                    `std.range(10000).map(x, std.randomBase64(1024))`,
		"range of ranges":           `std.range(10000).map(x, std.range(10000))`,
		"result too large":          `[text, text, text]`,
		"swallowed by or":           `std.range(10000).exists(x, ` + twin + ` == ` + twin + ` || false)`,
		"swallowed by ??":           twin + ` == ` + twin + ` ?? true`,
	} {
		t.Run(name, func(t *testing.T) {
			p, err := expr.Compile(src)
			if err != nil {
				t.Fatalf("%v: it is the evaluation that is to be bounded here", err)
			}
			s := bombScope()
			begun := time.Now()
			v, err := p.Eval(t.Context(), s)
			if took := time.Since(begun); took > limit {
				t.Errorf("it took %s", took)
			} else {
				t.Logf("%s: %v", took, err)
			}
			if err == nil {
				t.Errorf("it came to an end: %.100v", v)
			}
		})
	}
}

// TestCompileIsBounded: what is written cannot keep the compiler busy either.
func TestCompileIsBounded(t *testing.T) {
	for name, src := range map[string]string{
		"parentheses": strings.Repeat("(", 4000) + "1" + strings.Repeat(")", 4000),
		"lists":       strings.Repeat("[", 4000) + strings.Repeat("]", 4000),
		"not":         strings.Repeat("!", 8000) + "true",
		"minus":       strings.Repeat("- ", 4000) + "1",
		"sum":         strings.Repeat("1+", 4000) + "1",
		"and":         strings.Repeat("a&&", 2600) + "a",
		"coalesce":    strings.Repeat("a.b??", 1600) + "1",
		"conditions":  strings.Repeat("a?b:", 2000) + "1",
		"fields":      "a" + strings.Repeat(".b", 4000),
		"optional":    "a" + strings.Repeat(".?b", 2500),
		"macros":      "a" + strings.Repeat(".map(x,x)", 900),
		"nested":      strings.Repeat("a.map(x,", 800) + "x" + strings.Repeat(")", 800),
		"quantifiers": strings.Repeat("a.exists_one(x,", 400) + "x" + strings.Repeat(")", 400),
		"has":         strings.Repeat("has(a.b)&&", 800) + "true",
		"let":         strings.Repeat("std.let(x,x,", 500) + "x" + strings.Repeat(")", 500),
		"errors":      strings.Repeat("] ", 4000),
		"quotes":      strings.Repeat(`"`, 8001),
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			p, err := expr.Compile(src)
			t.Logf("compiled in %s: %v", time.Since(begun), err)
			if err == nil {
				p.Eval(t.Context(), scope())
			}
			if took := time.Since(begun); took > limit {
				t.Errorf("it took %s", took)
			}
		})
	}
}
