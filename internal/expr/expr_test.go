package expr_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/expr"
)

func scope() expr.Scope {
	return expr.Scope{
		Vars: map[string]any{"login": map[string]any{"email": "a@x", "tries": 3.0}, "items": []any{1.0, 2.0, 2.0}, "ratio": 1.5},
		Functions: map[string]func([]any) (any, error){
			"policy.getMobileApproveParameters": func([]any) (any, error) { return map[string]any{"external_user_id": "u-1"}, nil },
			"policy.isUserAuthenticated":        func([]any) (any, error) { return true, nil },
			"policy.userContext":                func([]any) (any, error) { return nil, errors.New("secret detail") },
			"time.now":                          func([]any) (any, error) { return 1000.0, nil },
			"time.nowISO":                       func([]any) (any, error) { return "2026", nil },
		},
	}
}

func TestEval(t *testing.T) {
	for src, want := range map[string]any{
		`login.email`: "a@x",
		`@policy.getMobileApproveParameters().external_user_id`:          "u-1",
		`@policy.getMobileApproveParameters().external_user_id == "u-1"`: true,
		`@policy.isUserAuthenticated`:                                    true,
		`@policy.isUserAuthenticated() ? "in" : "out"`:                   "in",
		`@time.now() + 1`:                        1001.0,
		`@time().nowISO`:                         "2026",
		`login.tries + 1`:                        4.0,
		`ratio * 2.0`:                            3.0,
		`nobody == null`:                         true,
		`has(login.phone)`:                       false,
		`login.?phone.orValue("none")`:           "none",
		`"@policy.userContext()"`:                "@policy.userContext()",
		`{"a": [login.tries, {"b": true}]}`:      map[string]any{"a": []any{3.0, map[string]any{"b": true}}},
		`@std.len(items)`:                         3.0,
		`@std.distinct(items)`:                    []any{1.0, 2.0},
		`@std.sum(items) > 4`:                     true,
		`@strings.upper(login.email)`:            "A@X",
		`@std.contains(login, "email")`:          true,
		`items.map(x, x * 2).filter(y, y > 2)`:    []any{4.0, 4.0},
		`@std.isValidE164Number("+41446681800")`: true,
		`@std.typeOf(null)`:                      "null",
		`@json.parse("{\"a\":1}").a`:             1.0,
		`@std.max(@std.range(0, 5))`:             4.0,
	} {
		p, err := expr.Compile(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		got, err := p.Eval(t.Context(), scope())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v (%v), want %#v", src, got, err, want)
		}
	}
}

func TestCompileErrorsSayWhere(t *testing.T) {
	for src, want := range map[string][2]int{
		`login.email ==`:         {1, 0},
		"1 +\n  nothing(1)":      {2, 10},
		`@std.nothing(login)`:    {1, 0},
		`"a" + 1`:                {1, 5},
		strings.Repeat("x", 9e3): {1, 1},
		strings.Repeat("(", 200): {1, 1},
	} {
		_, err := expr.Compile(src)
		e, ok := errors.AsType[*expr.Error](err)
		if !ok || e.Line != want[0] || want[1] != 0 && e.Column != want[1] {
			t.Errorf("%.30q: %v (%+v)", src, err, e)
		}
	}
}

// TestErrorsNeverSkip: what is missing or fails is an error, and never a value.
func TestErrorsNeverSkip(t *testing.T) {
	for _, src := range []string{`login.phone`, `nobody.email`, `login.email + 1`, `1 / 0`, `@policy.userContext().email`, `@policy.sdkSavedData().x`} {
		p, err := expr.Compile(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if v, err := p.Eval(t.Context(), scope()); err == nil || v != nil {
			t.Errorf("%s: %v, %v", src, v, err)
		}
	}
}

// TestBombs (J7): cost, time and size are bounded.
func TestBombs(t *testing.T) {
	s := scope()
	long := []any{}
	for range 300 {
		long = append(long, strings.Repeat("x", 100))
	}
	s.Vars["long"] = long
	for _, src := range []string{
		`long.map(a, long.map(b, long.map(c, a + b + c)))`,
		`long.all(a, long.all(b, long.all(c, a + b != c)))`,
		`[long, long, long, long].map(l, @strings.join(l, "")).map(s, s + s + s + s + s + s + s + s)` + strings.Repeat(`.map(s, s + s + s + s + s + s + s + s)`, 8),
		strings.Repeat(`cel.bind(a, [long, long, long, long], `, 1) + strings.Repeat(`cel.bind(a, [a, a, a, a, a, a, a, a], `, 12) + `a` + strings.Repeat(`)`, 13),
		`[1].map(x, [long, long])` + strings.Repeat(`.map(l, l + l)`, 30),
	} {
		p, err := expr.Compile(src)
		if err != nil {
			continue // refused even earlier
		}
		begun := time.Now()
		if _, err := p.Eval(t.Context(), s); err == nil {
			t.Errorf("%.40s: no bound", src)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%.40s: %s", src, took)
		}
	}
}

func TestConfig(t *testing.T) {
	doc := map[string]any{"plain": "x", "user": map[string]any{"expr": "login.email"}, "rows": []any{map[string]any{"value": map[string]any{"expr": "login.tries"}}}, "free": map[string]any{"a": 1.0}}
	c, problems := expr.CompileConfig(doc)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got, err := c.Eval(t.Context(), scope())
	want := map[string]any{"plain": "x", "user": "a@x", "rows": []any{map[string]any{"value": 3.0}}, "free": map[string]any{"a": 1.0}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	_, problems = expr.CompileConfig(map[string]any{"rows": []any{map[string]any{"value": map[string]any{"expr": "1 +"}}}})
	if len(problems) != 1 || problems[0].Path != "rows.0.value" {
		t.Errorf("%v", problems)
	}
}

// FuzzCompile: nothing panics or hangs, whatever is written.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{`login.email`, `@policy.userContext().a`, `"@" + '\''`, `@time().nowISO`, `[1].map(x, x)`, `"""a@"""`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		p, err := expr.Compile(src)
		if err != nil {
			return
		}
		begun := time.Now()
		p.Eval(t.Context(), scope())
		if took := time.Since(begun); took > time.Second {
			t.Errorf("%q took %s", src, took)
		}
	})
}

func BenchmarkEval(b *testing.B) {
	p, err := expr.Compile(`@policy.getMobileApproveParameters().external_user_id == "u-1" && login.tries >= 2`)
	if err != nil {
		b.Fatal(err)
	}
	s := scope()
	for b.Loop() {
		if _, err := p.Eval(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
}
