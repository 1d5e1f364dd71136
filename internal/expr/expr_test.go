package expr_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/expr"
)

var errCause = errors.New("the database is away")

type word string // as ids are

func scope() expr.Scope {
	return expr.Scope{
		Vars: map[string]any{
			"login": map[string]any{"email": "a@x", "tries": 3.0, "tags": []string{"a", "b"}, "count": 7, "kind": word("k")},
			"list":  []any{1.0, 2.0, 3.0}, "twice": []any{1.0, 2.0, 2.0}, "m": map[string]string{"k": "v"},
			"ratio": 1.5, "text": "Text", "empty": "", "yes": true, "code": "493017",
		},
		Functions: map[string]func([]any) (any, error){
			"policy.getMobileApproveParameters": func([]any) (any, error) { return map[string]any{"external_user_id": "u-1"}, nil },
			"policy.isUserAuthenticated":        func([]any) (any, error) { return true, nil },
			"policy.userContext":                func([]any) (any, error) { return nil, errCause },
			"policy.userTokens":                 func([]any) (any, error) { return map[string]any{"amr": []string{"otp"}}, nil },
			"time.now":                          func([]any) (any, error) { return 1000.0, nil },
			"time.nowISO":                       func([]any) (any, error) { return "2026", nil },
		},
	}
}

func eval(t testing.TB, src string) (any, error) {
	t.Helper()
	p, err := expr.Compile(src)
	if err != nil {
		t.Errorf("%s: %v", src, err)
		return nil, err
	}
	return p.Eval(t.Context(), scope())
}

func TestEval(t *testing.T) {
	for src, want := range map[string]string{
		// the seeds
		`login.email`: `"a@x"`,
		`@policy.getMobileApproveParameters().external_user_id`:          `"u-1"`,
		`@policy.getMobileApproveParameters().external_user_id == "u-1"`: `true`,
		`@policy.isUserAuthenticated`:                                    `true`,
		`@policy.isUserAuthenticated() ? "in" : "out"`:                   `"in"`,
		`policy.isUserAuthenticated()`:                                   `true`,
		`@policy.userTokens().amr[0]`:                                    `"otp"`,
		`@time.now() + 1`:                                                `1001`,
		`@time().nowISO`:                                                 `"2026"`,
		`@time.nowISO()`:                                                 `"2026"`,
		`"@policy.userContext()"`:                                        `"@policy.userContext()"`,
		`'@a' + r"\@" + """@"b"""`:                                       `"@a\\@@\"b"`,
		`"a@b.c" // @x`:                                                  `"a@b.c"`,

		// numbers are JSON's
		`5 / 2`:                    `2.5`,
		`7.5 % 2`:                  `1.5`,
		`login.tries + 1`:          `4`,
		`login.count - 1`:          `6`,
		`ratio * 2`:                `3`,
		`-list[0]`:                 `-1`,
		`0x10`:                     `16`,
		`1 == 1.0`:                 `true`,
		`login.tries >= 3`:         `true`,
		`[1, 2, 3][size(list)-1]`:  `3`,
		`list[size(list) - 1]`:     `3`,
		`string(1700000000000)`:    `"1700000000000"`,
		`string(1.5)`:              `"1.5"`,
		`int("4") + int(4.9)`:      `8`,
		`double("4.5")`:            `4.5`,
		`std.avg(list)`:            `2`,
		`math.round(2.5)`:          `3`,
		`[1, 1.5] + [2]`:           `[1,1.5,2]`,
		`yes ? 1 : "different"`:    `1`,
		`{"a": [login.tries, {}]}`: `{"a":[3,{}]}`,

		// what may be missing
		`nobody`:                            `null`,
		`nobody == null`:                    `true`,
		`has(login.email)`:                  `true`,
		`has(login.phone)`:                  `false`,
		`has(nobody.a.b.c)`:                 `false`,
		`login.?phone`:                      `null`,
		`login.?phone.orValue("none")`:      `"none"`,
		`nobody.?phone.orValue("none")`:     `"none"`,
		`login[?"email"].orValue("z")`:      `"a@x"`,
		`nobody ?? "d"`:                     `"d"`,
		`login.phone ?? "d"`:                `"d"`,
		`login.phone.number ?? "d"`:         `"d"`,
		`login["phone"] ?? "d"`:             `"d"`,
		`list[9] ?? "d"`:                    `"d"`,
		`login.email ?? nobody.x`:           `"a@x"`,
		`nobody.a ?? login.phone ?? "e"`:    `"e"`,
		`nobody.?x ?? 4`:                    `4`,
		`empty ?? 4`:                        `""`,
		`false ?? true`:                     `false`,
		`yes ? nobody ?? 1 : 2`:             `1`,
		`[nobody ?? 1, nobody ?? 2]`:        `[1,2]`,
		`"??" + "||" // a ?? b || c`:        `"??||"`,
		`(nobody ?? false) || yes`:          `true`,
		`{?"a": nobody.?x, "b": 1}`:         `{"b":1}`,
		`true || login.phone == "not read"`: `true`,
		`false && login.phone == "x"`:       `false`,

		// equality is JSON's
		`"a" == 1`:               `false`,
		`login == login`:         `true`,
		`list == [1, 2, 3]`:      `true`,
		`{"a": [1]} != {"a": 1}`: `true`,
		`login.tags == ["a"]`:    `false`,
		`null == 0`:              `false`,
		`2 in list`:              `true`,
		`[1] in [[1], [2]]`:      `true`,
		`"email" in login`:       `true`,
		`"b" in login.tags`:      `true`,
		`login.kind == "k"`:      `true`,
		`m.k`:                    `"v"`,
		`"b" < "c"`:              `true`,

		// loops
		`list.map(x, x * 10)`:                                   `[10,20,30]`,
		`list.map(x, x > 1, x * 2)`:                             `[4,6]`,
		`list.filter(x, x > 1)`:                                 `[2,3]`,
		`@std.map(list, x, x * 10)`:                             `[10,20,30]`,
		`@std.filter(list, x, x < 3)`:                           `[1,2]`,
		`@std.find(list, x, x > 1)`:                             `2`,
		`@std.find(list, x, x > 9)`:                             `null`,
		`@std.findFirst(list, x, x > 1)`:                        `2`,
		`@std.reduce(list, 0, sum, x, sum + x)`:                 `6`,
		`@std.reduce(list, [], l, x, l + [x, [l]])`:             `[1,[[]],2,[[1,[[]]]],3,[[1,[[]],2,[[1,[[]]]]]]]`,
		`@std.let(y, login, y.email)`:                           `"a@x"`,
		`list.exists(x, x == 2)`:                                `true`,
		`list.all(x, x > 1)`:                                    `false`,
		`list.exists_one(x, x == 2)`:                            `true`,
		`twice.existsOne(x, x == 2)`:                            `false`,
		`list.map(x, list.map(y, x * y))`:                       `[[1,2,3],[2,4,6],[3,6,9]]`,
		`std.sort(login.map(k, k))`:                             `["count","email","kind","tags","tries"]`,
		`list.map(login, login + 1)`:                            `[2,3,4]`,
		`list.map(std, std + 1)`:                                `[2,3,4]`,
		`list.map(x, list.filter(y, y > x)).map(l, std.len(l))`: `[2,1,0]`,
		`std.let(f, 2, std.reduce(list, 1, a, x, a * f))`:       `8`,

		// the library
		`@std.len(list) + @len("äö") + size({"a": 1})`: `6`,
		`text.size()`:                                      `4`,
		`@std.distinct(twice)`:                             `[1,2]`,
		`@std.sum(twice) + std.sum([])`:                    `5`,
		`std.min([3, 2]) + std.max([3, 9])`:                `11`,
		`@std.contains(login, "email")`:                    `true`,
		`std.contains(list, 2)`:                            `true`,
		`std.contains(text, "ex")`:                         `true`,
		`std.keys({"b": 1, "a": 2})`:                       `["a","b"]`,
		`std.values({"b": 1, "a": 2})`:                     `[2,1]`,
		`std.kv({"b": 1, "a": 2})`:                         `[{"key":"a","value":2},{"key":"b","value":1}]`,
		`std.reverse(list) + "abc".reverse().split("")`:    `[3,2,1,"c","b","a"]`,
		`std.sort(["b", "a"]) + [3, 1].sort()`:             `["a","b",1,3]`,
		`std.slice(list, -2)`:                              `[2,3]`,
		`std.slice("hello", 1, -1)`:                        `"ell"`,
		`std.slice("hello", 9, 2)`:                         `""`,
		`std.range(3) + std.range(5, 7)`:                   `[0,1,2,5,6]`,
		`std.range(3, 1)`:                                  `[]`,
		`std.strToInt(" 12 ") + std.strToDouble("1.5")`:    `13.5`,
		`std.typeOf(null) + std.typeOf(list)`:              `"nullarray"`,
		`std.jsonPath({"a": [{"b-c": 1}]}, "$.a[0].b-c")`:  `1`,
		`std.jsonPath(login, "tags[7].x")`:                 `null`,
		`std.find("hello", "l") + std.rfind("hello", "l")`: `5`,
		`@std.isValidE164Number("+41446681800")`:           `true`,
		`@std.isValidE164Number("0446681800")`:             `false`,
		`std.getE164Number("044 668 18 00", "ch")`:         `"+41446681800"`,
		`std.getE164Number("x")`:                           `null`,
		`std.len(std.uuid())`:                              `36`,
		`std.uuid() == std.uuid()`:                         `false`,
		`std.len(std.randomBase64(32))`:                    `43`,
		`@strings.upper(text) + text.lower()`:              `"TEXTtext"`,
		`strings.split("a,b", ",")`:                        `["a","b"]`,
		`["a", 1, null].join("-")`:                         `"a-1-"`,
		`strings.replace("aXbX", "X", "")`:                 `"ab"`,
		`text.startsWith("T") && text.endsWith("t") && text.contains("ex") && text.matches("^T.*t$")`: `true`,
		`" a ".trim() + "äbc".substring(1, 2)`:                                                        `"ab"`,
		`"äbc".indexOf("b") + "abc".indexOf("z")`:                                                     `0`,
		`@json.parse("{\"a\":[1]}").a[0]`:                                                             `1`,
		`json.stringify({"b": 1, "a": "<"})`:                                                          `"{\"a\":\"<\",\"b\":1}"`,
		`string(list) + string(null) + string(yes)`:                                                   `"[1,2,3]true"`,
		`crypto.sha256("abc")`:                                                                        `"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"`,
		`time.iso(0)`:                                                                                 `"1970-01-01T00:00:00Z"`,
		`time.parse("1970-01-01T00:00:01Z")`:                                                          `1000`,
	} {
		got, err := eval(t, src)
		b, _ := json.Marshal(got)
		var plain any
		if err == nil && json.Unmarshal([]byte(want), &plain) != nil {
			t.Fatalf("%s is no JSON", want)
		}
		if err != nil || !reflect.DeepEqual(got, plain) {
			t.Errorf("%s: %s (%v), want %s", src, b, err, want)
		}
	}
}

// TestErrors: what cannot be computed is an error at its place, never a value,
// and tells nothing of what it computed with.
func TestErrors(t *testing.T) {
	for src, want := range map[string]string{
		`login.phone`:           "line 1, column 7: There is no phone.",
		`nobody.email`:          "line 1, column 8: There is no email.",
		"login\n  .phone\n  .x": "line 2, column 4: There is no phone.",
		"yes &&\n  login.count +\n  text == text": "line 2, column 15: + does not take these values.",
		`login[code]`:                      "line 1, column 6: There is no such key.",
		`list[7]`:                          "line 1, column 5: There is no such element.",
		`list[1.5]`:                        "line 1, column 5: A list is read at a whole number.",
		`login.phone == "x" || true`:       "line 1, column 7: There is no phone.",
		`list.exists(x, x.y == 1 || true)`: "line 1, column 18: There is no y.",
		`list.all(x, x.y)`:                 "line 1, column 15: There is no y.",

		`nobody ? 1 : 2`:           "line 1, column 8: This must be true or false.",
		`nobody && true`:           "line 1, column 1: This must be true or false.",
		`true && code`:             "line 1, column 9: This must be true or false.",
		`1 / 0`:                    "line 1, column 3: The result is not a number.",
		`nobody < 1`:               "line 1, column 8: < does not take these values.",
		`"x" in code`:              "line 1, column 5: The right side of in must be a list or an object.",
		`{1: 2}`:                   "line 1, column 1: The keys of an object must be text.",
		`strings.lower(nobody)`:    "line 1, column 1: strings.lower does not take these values.",
		`1 + std.len(5)`:           "line 1, column 5: std.len: it takes a text, a list or an object, not number",
		`std.strToInt("12x")`:      "line 1, column 1: std.strToInt: the text is not a whole number",
		`std.sort([1, "a"])`:       "line 1, column 1: std.sort: it takes only numbers or only texts",
		`std.min([])`:              "line 1, column 1: std.min: the list is empty",
		`json.parse(code + "{")`:   "line 1, column 1: json.parse: the text is not JSON",
		`code.matches("(")`:        "line 1, column 1: matches: the pattern is not a regular expression",
		`@policy.sdkSavedData().x`: "line 1, column 2: policy.sdkSavedData is not available here.",
	} {
		v, err := eval(t, src)
		if err == nil || v != nil || err.Error() != want {
			t.Errorf("%s: %v, %v, want %s", src, v, err, want)
			continue
		}
		if _, ok := errors.AsType[*expr.Error](err); !ok || strings.Contains(err.Error(), "493017") {
			t.Errorf("%s: %T %v", src, err, err)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for src, want := range map[string]string{
		``:                            "line 1, column 1: The expression ends too early.",
		`login.email ==`:              "line 1, column 15: The expression ends too early.",
		`size(login.`:                 "line 1, column 12: The expression ends too early.",
		`size(login. + 1)`:            "line 1, column 13: This is not expected here: . +",
		`(a`:                          "line 1, column 3: The expression ends too early.",
		"1 +\n  nothing(1)":           "line 2, column 3: There is no function nothing.",
		`@std.nothing(login)`:         "line 1, column 2: There is no function std.nothing.",
		`@policy.userContext(1)`:      "line 1, column 2: policy.userContext does not take (number).",
		`login.email.shout()`:         "line 1, column 1: There is no function shout.",
		`1 + "a"`:                     "line 1, column 3: + does not take (number, text).",
		`"ä" + 1`:                     "line 1, column 5: + does not take (text, number).",
		`std.len()`:                   "line 1, column 1: std.len does not take ().",
		`a ?? b || c`:                 "line 1, column 9: Put parentheses around one of ?? and || or &&.",
		"a &&\n b ?? c":               "line 2, column 5: Put parentheses around one of ?? and || or &&.",
		`a @ b`:                       "line 1, column 3: This cannot stand here: @",
		`a ? b`:                       "line 1, column 6: The expression ends too early.",
		`1u`:                          "line 1, column 1: Only numbers, text, true, false and null can be written.",
		`b"x"`:                        "line 1, column 1: Only numbers, text, true, false and null can be written.",
		`google.protobuf.Any{}`:       "line 1, column 20: This is not available here.",
		`type(1)`:                     "line 1, column 1: There is no function type.",
		`timestamp("x")`:              "line 1, column 1: There is no function timestamp.",
		`[1].map(a.b, 1)`:             "line 1, column 11: argument is not an identifier",
		`std.reduce([1], 0, x, x, 1)`: "line 1, column 23: the two names must differ",
		strings.Repeat("x", 9e3):      "line 1, column 1: The expression is longer than 8192 bytes.",
	} {
		_, err := expr.Compile(src)
		if err == nil || err.Error() != want {
			t.Errorf("%.40q: %v, want %s", src, err, want)
		}
	}
}

// TestCauseIsKept: what a function of the scope fails with is not lost, and is
// not swallowed by what surrounds it.
func TestCauseIsKept(t *testing.T) {
	for _, src := range []string{`@policy.userContext().email`, `@policy.userContext().email ?? "x"`, `[1].exists(x, policy.userContext() == 1)`, `policy.userContext() == null`} {
		if v, err := eval(t, src); !errors.Is(err, errCause) {
			t.Errorf("%s: %v, %v", src, v, err)
		}
	}
}

func TestContextIsKept(t *testing.T) {
	p, err := expr.Compile(`std.range(5000).map(x, x * 2)`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := p.Eval(ctx, scope()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", v, err)
	}
}

func TestNamesAndFunctions(t *testing.T) {
	p, err := expr.Compile(`list.map(x, x + login.a + b[x]) == @policy.userContext().c ? std.len(d.trim()) : std.let(e, f, e)`)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Names(); !slices.Equal(got, []string{"b", "d", "f", "list", "login"}) {
		t.Errorf("names %v", got)
	}
	if got := p.Functions(); !slices.Equal(got, []string{"policy.userContext", "std.len"}) {
		t.Errorf("functions %v", got)
	}
}

// TestResultIsACopy: what an expression gives cannot be used to change the
// variables it was read from.
func TestResultIsACopy(t *testing.T) {
	s := scope()
	p, err := expr.Compile(`[login, std.reverse(list)]`)
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Eval(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	v.([]any)[0].(map[string]any)["email"] = "changed"
	if want := scope(); !reflect.DeepEqual(s.Vars, want.Vars) {
		t.Errorf("%v", s.Vars)
	}
}

// TestMany: one program, sixteen at once, each with its own scope.
func TestMany(t *testing.T) {
	p, err := expr.Compile(`std.range(50).map(x, x + n).filter(x, x == n)[0] + policy.request().n`)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			n := float64(i)
			s := expr.Scope{Vars: map[string]any{"n": n}, Functions: map[string]func([]any) (any, error){
				"policy.request": func([]any) (any, error) { return map[string]any{"n": n}, nil },
			}}
			for range 50 {
				if v, err := p.Eval(t.Context(), s); err != nil || v != 2*n {
					t.Errorf("%v, %v, want %v", v, err, 2*n)
				}
			}
		})
	}
	wg.Wait()
}

// TestFunctionsAreDescribed: an editor completes only what exists, and each has
// a sentence.
func TestFunctionsAreDescribed(t *testing.T) {
	seen := map[expr.Function]bool{}
	for _, f := range expr.Functions() {
		if f.Doc == "" || !strings.HasPrefix(f.Signature, f.Name+"(") || seen[f] {
			t.Errorf("%+v", f)
		}
		seen[f] = true
	}
	if len(seen) < 60 {
		t.Errorf("%d functions", len(seen))
	}
}

func TestConfig(t *testing.T) {
	doc := map[string]any{
		"plain": "x", "user": map[string]any{"expr": "login.email"}, "free": map[string]any{"a": 1.0},
		"rows":  []any{map[string]any{"value": map[string]any{"expr": "login.tries"}}, "untouched"},
		"other": map[string]any{"expr": "login.email", "more": 1.0}, "odd": map[string]any{"expr": 1.0},
	}
	before, _ := json.Marshal(doc)
	c, problems := expr.CompileConfig(doc)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got, err := c.Eval(t.Context(), scope())
	want := map[string]any{
		"plain": "x", "user": "a@x", "free": map[string]any{"a": 1.0},
		"rows":  []any{map[string]any{"value": 3.0}, "untouched"},
		"other": doc["other"], "odd": doc["odd"],
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if after, _ := json.Marshal(doc); string(before) != string(after) {
		t.Errorf("the document became %s", after)
	}
	_, err = c.Eval(t.Context(), expr.Scope{Vars: map[string]any{"login": map[string]any{"tries": 3.0}}})
	if err == nil || err.Error() != "user: line 1, column 7: There is no email." {
		t.Errorf("%v", err)
	}
}

func TestConfigProblems(t *testing.T) {
	_, problems := expr.CompileConfig(map[string]any{
		"b": []any{map[string]any{"value": map[string]any{"expr": "1 +"}}},
		"a": map[string]any{"expr": "nothing()"}, "c": map[string]any{"expr": "fine"},
	})
	if len(problems) != 2 || problems[0].Path != "a" || problems[1].Path != "b.0.value" || problems[1].Err.Column != 4 {
		t.Errorf("%v", problems)
	}
	many := []any{}
	for range 300 {
		many = append(many, map[string]any{"expr": "1"})
	}
	if _, problems = expr.CompileConfig(map[string]any{"a": many}); len(problems) != 1 {
		t.Errorf("%d problems", len(problems))
	}
	var deep any = "x"
	for range 100 {
		deep = []any{deep}
	}
	if _, problems = expr.CompileConfig(map[string]any{"a": deep}); len(problems) != 1 {
		t.Errorf("%d problems", len(problems))
	}
}

// FuzzEval: whatever is written, it comes to an end in time, its error has a
// place in the text, and its value is JSON that evaluates to itself.
func FuzzEval(f *testing.F) {
	for _, s := range []string{`login.email`, `@policy.userContext().a`, `"@" + '\''`, `@time().nowISO`, `[1].map(x, x)`, `"""a@"""`, `a ?? b.c ?? 1`, `std.reduce(list, [], a, x, [a, a])`,
		`has(a.b.c) && !yes`, `{"a": 1}.?a[0]`, `std.let(x, 1, x) % 2`, `text.matches("(a|b)*")`, "a\n.b", `-list[0] in list`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		begun := time.Now()
		p, err := expr.Compile(src)
		if err == nil {
			var v any
			if v, err = p.Eval(t.Context(), scope()); err == nil {
				if b, err := json.Marshal(v); err != nil {
					t.Errorf("%q: %s, %v", src, b, err)
				}
			}
		}
		if took := time.Since(begun); took > limit {
			t.Errorf("%q took %s", src, took)
		}
		if e, ok := errors.AsType[*expr.Error](err); err != nil && !errors.Is(err, errCause) && (!ok || e.Line < 1 || e.Column < 1 || e.Line > 1+strings.Count(src, "\n")) {
			t.Errorf("%q: %v", src, err)
		}
	})
}

func BenchmarkEval(b *testing.B) {
	for name, src := range map[string]string{
		"condition": `@policy.getMobileApproveParameters().external_user_id == "u-1" && login.tries >= 2`,
		"field":     `login.email`,
		"loop":      `list.filter(x, x > 1).map(x, x * 2)`,
	} {
		b.Run(name, func(b *testing.B) {
			p, err := expr.Compile(src)
			if err != nil {
				b.Fatal(err)
			}
			s := scope()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Eval(b.Context(), s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := expr.Compile(`@policy.getMobileApproveParameters().external_user_id == "u-1" && login.tries >= 2`); err != nil {
			b.Fatal(err)
		}
	}
}
