package form_test

import (
	"encoding/json"
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
		`{"name":"12345678901"}`:            "Name must have at most 10 characters.",
		`{"name":"a\u0000"}`:                "Name contains characters that are not allowed.",
		`{"name":"a","age":1.5}`:            "Age must be a whole number.",
		`{"name":"a","age":"1"}`:            "Age must be a whole number.",
		`{"name":"a","age":151}`:            "Age must be between 0 and 150.",
		`{"name":"a","on":"true"}`:          "On must be true or false.",
		`{"name":"a","colour":"green"}`:     "Colour must be one of red, blue.",
		`{"name":"a","days":["mon","mon"]}`: "Days must be a list of mon, tue, each once.",
		`{"name":"a","life":"2m"}`:          "",
		`{"name":"a","life":5}`:             "Life must be between 10 and 600.",
		`{"name":"a","tiers":[{"failures":3},{"failures":0}]}`:               "Tiers, row 2: Failures must be between 1 and 9.",
		`{"name":"a","tiers":[3]}`:                                           "Tiers, row 1: It must be an object.",
		`{"name":"a","words":["x","y"],"data":{"a":{"b":[1]}},"any":[null]}`: "",
		`{"name":"a","words":[1]}`:                                           "Words, row 1 must be text.",
		`{"name":"a","other":1}`:                                             `There is no field "other".`,
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
	f.Fuzz(func(t *testing.T, text string) {
		var m map[string]any
		if json.Unmarshal([]byte(text), &m) != nil {
			return
		}
		once, err := sample.Check(m)
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
