package form_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
)

var sample = form.New(
	form.Text("name", "Name", form.Required, form.MaxLen(10)),
	form.Number("age", "Age", form.Between(0, 150)),
	form.Boolean("on", "On", form.Default(true)),
	form.Choice("colour", "Colour", []string{"red", "blue"}),
	form.Choices("days", "Days", []string{"mon", "tue"}),
	form.Duration("life", "Life", form.Default(60), form.Between(10, 600)),
	form.List("tiers", "Tiers", form.New(form.Number("failures", "Failures", form.Required, form.Between(1, 9))), form.Between(0, 3)),
	form.List("words", "Words", form.New(form.Text("", "Word"))),
	form.Object("data", "Data"),
	form.Expr("any", "Any"),
	form.Number("rate", "Rate", form.Decimal, form.Between(0, 1)),
	form.Field{Name: "low", Type: "number", Label: "Low", Min: new(int)},
	form.Field{Name: "high", Type: "number", Label: "High", Max: new(int)},
	form.Colour("paint", "Paint"),
	form.Object("person", "Person", form.Of(form.Email("email", "E-mail", form.Required), form.List("phones", "Phones", form.New(form.Phone("number", "Number"))))),
	form.Journey("journey", "Journey", "sub"),
	form.Client("client", "Client"), form.Attribute("attribute", "Attribute"), form.Secret("secret", "Secret"),
)

func doc(t testing.TB, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCheck(t *testing.T) {
	for in, want := range map[string]string{
		`{"name":"a"}`:                      "",
		`{}`:                                "Name is required.",
		`{"name":""}`:                       "Name is required.",
		`{"name":null}`:                     "Name is required.",
		`{"name":["a"]}`:                    "Name must be text.",
		`{"name":{"expr":"x"}}`:             "Name must be text.",
		`{"name":"12345678901"}`:            "Name must have at most 10 bytes.",
		`{"name":"a\u0000"}`:                "Name contains characters that are not allowed.",
		`{"name":"a","age":1.5}`:            "Age must be a whole number.",
		`{"name":"a","age":"1"}`:            "Age must be a whole number.",
		`{"name":"a","age":151}`:            "Age must be between 0 and 150.",
		`{"name":"a","on":"true"}`:          "On must be true or false.",
		`{"name":"a","colour":"green"}`:     "Colour must be one of red, blue.",
		`{"name":"a","days":["mon","mon"]}`: "Days must be a list of mon, tue, each once.",
		`{"name":"a","life":"2m"}`:          "",
		`{"name":"a","life":5}`:             "Life must be between 10 and 600.",
		`{"name":"a","tiers":[{"failures":3},{"failures":0}]}`:                       "Tiers, row 2: Failures must be between 1 and 9.",
		`{"name":"a","tiers":[3]}`:                                                   "Tiers, row 1: It must be an object.",
		`{"name":"a","words":["x","y"],"data":{"a":{"b":[1]}},"any":[null]}`:         "",
		`{"name":"a","words":[1]}`:                                                   "Words, row 1 must be text.",
		`{"name":"a","other":1}`:                                                     `There is no field "other".`,
		`{"name":"a","rate":0.5,"low":0,"high":-1.0,"paint":"#00ff7F"}`:              "",
		`{"name":"a","rate":"0.5"}`:                                                  "Rate must be a number.",
		`{"name":"a","rate":1.5}`:                                                    "Rate must be between 0 and 1.",
		`{"name":"a","low":-1}`:                                                      "Low must be at least 0.",
		`{"name":"a","high":1}`:                                                      "High must be at most 0.",
		`{"name":"a","low":1e300}`:                                                   "Low must be a whole number.",
		`{"name":"a","paint":"red"}`:                                                 "Paint must be a colour such as #3a4fd0.",
		`{"name":"a","life":"soon"}`:                                                 "Life must be a time in whole seconds.",
		`{"name":"a","life":"1500ms"}`:                                               "Life must be a time in whole seconds.",
		`{"name":"a","person":{"email":"x"}}`:                                        "",
		`{"name":"a","person":{}}`:                                                   "Person: E-mail is required.",
		`{"name":"a","person":[]}`:                                                   "Person must be an object.",
		`{"name":"a","person":{"email":"x","phones":[{"number":"1"},{"number":2}]}}`: "Person: Phones, row 2: Number must be text.",
		`{"name":"a","person":{"email":"x","a":1}}`:                                  `Person: There is no field "a".`,
		`{"name":"a","journey":{"id":"x"}}`:                                          "Journey must be text.",
		`{"name":"a","secret":7}`:                                                    "Secret must be text.",
		`{"name":"a","tiers":[{"failures":1},{"failures":1},{"failures":1},{"failures":1}]}`: "Tiers must be a list of 0 to 3 rows.",
		`{"name":"a","tiers":{"failures":1}}`:                                                "Tiers must be a list of 0 to 3 rows.",
		`{"name":"a","data":{"\u0000":1}}`:                                                   "Data contains characters that are not allowed.",
	} {
		_, err := sample.Check(doc(t, in))
		if got := fault.Of(err).Message; got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	out, err := sample.Check(doc(t, `{"name":"a","life":"2m"}`))
	if err != nil || out["on"] != true || out["life"] != 120.0 {
		t.Errorf("%v, %v", out, err)
	}
}

func TestCheckConfigTakesExpressionsAnywhere(t *testing.T) {
	problems := sample.CheckConfig(doc(t, `{"name":{"expr":"a.b"},"age":{"expr":"1"},"tiers":[{"failures":{"expr":"2"}},{"expr":"row"}],"on":{"expr":1}}`))
	if len(problems) != 1 || problems[0].Path != "on" {
		t.Errorf("%v", problems)
	}
}

func TestProblems(t *testing.T) {
	got := sample.Problems(doc(t, `{"age":-1,"tiers":[{"failures":1},{"failures":"x","more":1}],"person":{"phones":[{"number":{}}]},"zz":1}`))
	want := []form.Problem{
		{Path: "name", Text: "Name is required."},
		{Path: "age", Text: "Age must be between 0 and 150."},
		{Path: "tiers.1.failures", Text: "Tiers, row 2: Failures must be a whole number."},
		{Path: "tiers.1.more", Text: `Tiers, row 2: There is no field "more".`},
		{Path: "person.email", Text: "Person: E-mail is required."},
		{Path: "person.phones.0.number", Text: "Person: Phones, row 1: Number must be text."},
		{Path: "zz", Text: `There is no field "zz".`},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	many := map[string]any{}
	for i := range 1000 {
		many[strings.Repeat("x", i)] = i
	}
	if got := sample.Problems(many); len(got) != 100 || len(got[99].Path) > 64 {
		t.Errorf("%d problems", len(got))
	}
}

// TestNumbers: decoders and Go code have numbers of many types; Check gives one.
func TestNumbers(t *testing.T) {
	for _, n := range []any{7, int64(7), 7.0, json.Number("7"), json.Number("7e0")} {
		out, err := sample.Check(map[string]any{"name": "a", "age": n, "data": map[string]any{"n": n}, "any": []any{n}})
		if err != nil || out["age"] != 7.0 || out["data"].(map[string]any)["n"] != 7.0 || out["any"].([]any)[0] != 7.0 {
			t.Errorf("%T: %v, %v", n, out, err)
		}
	}
	for _, n := range []any{math.NaN(), math.Inf(1), json.Number("x"), json.Number("1e999"), uint8(7)} {
		if _, err := sample.Check(map[string]any{"name": "a", "age": n}); err == nil {
			t.Errorf("%T %v is accepted", n, n)
		}
	}
	if _, err := sample.Check(map[string]any{"name": "a", "data": map[string]any{"c": make(chan int)}}); err == nil {
		t.Error("a channel is accepted")
	}
}

// TestCheckCopies: what was given is not changed, and what comes out may be.
func TestCheckCopies(t *testing.T) {
	in := doc(t, `{"name":"a","tiers":[{"failures":3}],"data":{"a":[1]}}`)
	out, err := sample.Check(in)
	if err != nil {
		t.Fatal(err)
	}
	out["tiers"].([]any)[0].(map[string]any)["failures"] = 9.0
	out["data"].(map[string]any)["a"].([]any)[0] = 9.0
	if !reflect.DeepEqual(in, doc(t, `{"name":"a","tiers":[{"failures":3}],"data":{"a":[1]}}`)) {
		t.Errorf("%v", in)
	}
}

func TestNewPanics(t *testing.T) {
	for name, build := range map[string]func(){
		"two of a name": func() { form.New(form.Text("a", "A"), form.Text("a", "B")) },
		"wrong type":    func() { form.New(form.Number("a", "A", form.Default("x"))) },
		"out of bounds": func() { form.New(form.Number("a", "A", form.Default(5), form.Between(0, 3))) },
		"not a choice":  func() { form.New(form.Choice("a", "A", []string{"x"}, form.Default("y"))) },
		"row of a list": func() {
			form.New(form.List("a", "A", form.New(form.Text("b", "B")), form.Default([]any{map[string]any{"c": 1}})))
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			build()
		})
	}
}

func TestNestingIsBounded(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40)
	if _, err := sample.Check(doc(t, `{"name":"a","data":`+deep+`}`)); !fault.Is(err, fault.Invalid) {
		t.Errorf("40 levels: %v", err)
	}
}

func TestInto(t *testing.T) {
	var v struct {
		Name string `json:"name"`
		Life int    `json:"life"`
	}
	if err := sample.Into(doc(t, `{"name":"a"}`), &v); err != nil || v.Name != "a" || v.Life != 60 {
		t.Errorf("%+v, %v", v, err)
	}
}

// FuzzCheck: what Check accepts, it accepts again unchanged.
func FuzzCheck(f *testing.F) {
	f.Add(`{"name":"a","tiers":[{"failures":3}],"data":{"a":[1,"b",null]}}`)
	f.Add(`{"name":"a","life":"90s","days":["tue"],"rate":0.25,"paint":"#000000","words":["a","b"],"on":false}`)
	f.Add(`{"name":"a","person":{"email":"a@x","phones":[{"number":"+1"}]},"any":{"expr":"x"},"journey":"j","client":"c","attribute":"d","secret":"s"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var m map[string]any
		if json.Unmarshal([]byte(text), &m) != nil {
			return
		}
		once, err := sample.Check(m)
		if (err == nil) != (len(sample.Problems(m)) == 0) || err == nil && len(sample.CheckConfig(m)) > 0 {
			t.Errorf("the checks disagree: %v", err)
		}
		if err != nil {
			return
		}
		twice, err := sample.Check(once)
		if err != nil || !reflect.DeepEqual(once, twice) {
			t.Errorf("once %v, twice %v, %v", once, twice, err)
		}
	})
}

func BenchmarkInto(b *testing.B) {
	m := doc(b, `{"name":"a","age":3,"tiers":[{"failures":3}]}`)
	var v struct {
		Name string `json:"name"`
		Age  int    `json:"age"`
	}
	for b.Loop() {
		if err := sample.Into(m, &v); err != nil {
			b.Fatal(err)
		}
	}
}
