package expr

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/nyaruka/phonenumbers"
)

// Function is one entry of an editor's completion.
type Function struct {
	Name      string `json:"name"`      // "std.len"; of a method only "trim"
	Signature string `json:"signature"` // "std.len(value any) number"
	Doc       string `json:"doc"`
	Scoped    bool   `json:"scoped,omitempty"` // the caller of Eval gives it, in Scope.Functions
	Method    bool   `json:"method,omitempty"` // called on its first argument: text.trim()
}

type function struct {
	Function
	macro bool // it binds names; see macros
	run   func(s *state, a []any) (any, error)
}

// Functions returns all that an expression may call, by name.
func Functions() []Function {
	var out []Function
	for _, f := range table {
		if !strings.HasPrefix(f.Name, "@") {
			out = append(out, f.Function)
		}
	}
	slices.SortStableFunc(out, func(a, b Function) int { return strings.Compare(a.Name, b.Name) })
	return out
}

type body = func(s *state, a []any) (any, error)

func def(signature, doc string, run body) *function {
	name, _, _ := strings.Cut(signature, "(")
	return &function{Function: Function{Name: name, Signature: signature, Doc: doc}, run: run}
}

func scoped(signature, doc string) *function {
	f := def(signature, doc, nil)
	f.Scoped = true
	return f
}

func method(signature, doc string, run body) *function {
	f := def(signature, doc, run)
	f.Method = true
	return f
}

func macro(signature, doc string) *function {
	f := def(signature, doc, nil)
	f.macro = true
	return f
}

var (
	table   []*function
	known   = map[string]bool{} // the names of functions, methods excepted
	nullary = map[string]bool{} // those that need no argument

	namespaces = map[string]bool{} // std, strings, …
	onValues   = map[string]bool{} // the names of methods
)

func init() {
	table = slices.Concat(scopedFunctions(), stdFunctions(), textFunctions(), otherFunctions(), methods())
	for _, f := range table {
		space, _, spaced := strings.Cut(f.Name, ".")
		namespaces[space] = namespaces[space] || spaced
		switch {
		case f.Method:
			onValues[f.Name] = true
		case !f.macro && !strings.HasPrefix(f.Name, "@"):
			known[f.Name], nullary[f.Name] = true, len(f.params()) == 0
		}
	}
	for _, name := range []string{"or", "orValue", "hasValue", "value", "optMap", "optFlatMap"} {
		onValues[name] = true // of CEL's optional values
	}
}

func scopedFunctions() []*function {
	return []*function{
		scoped("policy.userContext() any", "The user of this run, once proven."),
		scoped("policy.isUserAuthenticated() boolean", "Whether this run has proven who the user is."),
		scoped("policy.isLevelReached() boolean", "Whether what was proven is the level of assurance that the client asks for, if it asks for one."),
		scoped("policy.getMobileApproveParameters() any", "What the web journey handed to the phone that approves."),
		scoped("policy.request() any", "How the journey was started: its params."),
		scoped("policy.sdkSavedData() any", "What earlier journeys left with the client's SDK."),
		scoped("policy.userTokens() any", "What the proofs of this run are worth: amr and acr."),
		scoped("time.now() number", "Now, in milliseconds since 1970."),
		scoped("time.nowISO() text", "Now, as 2006-01-02T15:04:05Z."),
	}
}

func stdFunctions() []*function {
	return []*function{
		macro("std.map(list list, x name, value any) list", "The list of value for every x of list."),
		macro("std.filter(list list, x name, test boolean) list", "Those x of list for which test is true."),
		macro("std.find(list list, x name, test boolean) any", "The first x of list for which test is true, or null."),
		macro("std.findFirst(list list, x name, test boolean) any", "The first x of list for which test is true, or null."),
		macro("std.reduce(list list, start any, acc name, x name, value any) any", "acc after it became value for every x of list."),
		macro("std.let(x name, value any, result any) any", "result, in which x is value."),
		def("@first(list list) any", "", func(_ *state, a []any) (any, error) { return first(a[0].([]any)), nil }),
		def("size(value any) number", "How many characters, elements or keys it has.", length),
		def("len(value any) number", "How many characters, elements or keys it has.", length),
		def("std.len(value any) number", "How many characters, elements or keys it has.", length),
		def("std.contains(value any, part any) boolean", "Whether a text has the part, a list the element, an object the key.", contains),
		def("std.keys(object object) list", "The keys, sorted.", func(_ *state, a []any) (any, error) { return keys(a[0]), nil }),
		def("std.values(object object) list", "The values, in the order of the keys.", values),
		def("std.kv(object object) list", "A list of {key, value}, in the order of the keys.", pairs),
		def("std.distinct(list list) list", "Each element once.", distinct),
		def("std.reverse(value any) any", "A text or a list back to front.", reverse),
		def("std.sort(list list) list", "Numbers or texts in rising order.", sorted),
		def("std.slice(value any, from number, to? number) any", "Part of a text or a list; numbers below 0 count from the end.", slice),
		def("std.sum(list list) number", "The sum of numbers.", fold(func(sum, n float64) float64 { return sum + n }, false)),
		def("std.min(list list) number", "The smallest number.", fold(math.Min, true)),
		def("std.max(list list) number", "The largest number.", fold(math.Max, true)),
		def("std.avg(list list) number", "The mean of numbers.", average),
		def("std.range(from number, to? number) list", "The whole numbers from (0) up to, not including, to. At most 10000.", span),
		def("std.strToInt(value text) number", "The whole number that the text is.", strToInt),
		def("std.strToDouble(value text) number", "The number that the text is.", strToDouble),
		def("std.uuid() text", "A random UUID.", func(*state, []any) (any, error) { return uuid.NewString(), nil }),
		def("std.randomBase64(bytes number) text", "Random bytes (1 to 1024) as base64url.", randomBase64),
		def("std.typeOf(value any) text", "null, boolean, number, string, array or object.", func(_ *state, a []any) (any, error) { return typeOf(a[0]), nil }),
		def("std.jsonPath(value any, path text) any", "What the path ($.a.b[0]) leads to, or null.", jsonPath),
		def("std.isValidE164Number(number text) boolean", "Whether it is a telephone number such as +4930123456.", isE164),
		def("std.getE164Number(number text, region? text) any", "The telephone number as +4930123456, or null. The region (DE) is for numbers without a country code.", toE164),
		def("string(value any) text", "The value as text; a list or an object as JSON.", func(s *state, a []any) (any, error) { return text(s, a[0]) }),
		def("double(value any) number", "The number that a text is.", toNumber),
		def("int(value any) number", "A number without its fraction.", func(s *state, a []any) (any, error) {
			n, err := toNumber(s, a)
			if err != nil {
				return nil, err
			}
			return math.Trunc(n.(float64)), nil
		}),
	}
}

func textFunctions() []*function {
	var out []*function
	for _, f := range textBodies {
		out = append(out, def("strings."+f.signature, f.doc, f.run))
	}
	return append(out,
		def("std.find(value text, part text) number", "Where the part begins, counted from 0, or -1.", indexOf),
		def("std.rfind(value text, part text) number", "Where the part begins for the last time, or -1.", lastIndexOf))
}

// methods are what may be called on a value.
func methods() []*function {
	out := []*function{
		method("contains(value any, part any) boolean", "Whether a text has the part, a list the element, an object the key.", contains),
		method("size(value any) number", "How many characters, elements or keys it has.", length),
		method("reverse(value any) any", "A text or a list back to front.", reverse),
		method("sort(list list) list", "Numbers or texts in rising order.", sorted),
		method("distinct(list list) list", "Each element once.", distinct),
	}
	for _, f := range textBodies {
		if f.signature != "contains(value text, part text) boolean" {
			out = append(out, method(f.signature, f.doc, f.run))
		}
	}
	return out
}

var textBodies = []struct {
	signature, doc string
	run            body
}{
	{"lower(value text) text", "In lower case.", onText(strings.ToLower)},
	{"upper(value text) text", "In upper case.", onText(strings.ToUpper)},
	{"trim(value text) text", "Without blanks at both ends.", onText(strings.TrimSpace)},
	{"contains(value text, part text) boolean", "Whether the text has the part.", onTexts(strings.Contains)},
	{"startsWith(value text, part text) boolean", "Whether the text begins so.", onTexts(strings.HasPrefix)},
	{"endsWith(value text, part text) boolean", "Whether the text ends so.", onTexts(strings.HasSuffix)},
	{"indexOf(value text, part text) number", "Where the part begins, counted from 0, or -1.", indexOf},
	{"substring(value text, from number, to? number) text", "Part of the text; numbers below 0 count from the end.", slice},
	{"split(value text, separator text) list", "The parts between the separators.", split},
	{"join(list list, separator? text) text", "The texts in one.", join},
	{"replace(value text, old text, new text) text", "With every old replaced by new.", replace},
	{"matches(value text, pattern text) boolean", "Whether the regular expression (RE2) matches somewhere. The text has at most 8192 bytes.", matches},
}

func otherFunctions() []*function {
	return []*function{
		def("json.parse(value text) any", "What the JSON says.", parseJSON),
		def("json.stringify(value any) text", "The value as JSON.", func(s *state, a []any) (any, error) { return stringify(s, a[0]) }),
		def("crypto.sha256(value text) text", "The SHA-256 of the text, in hexadecimal.", func(_ *state, a []any) (any, error) {
			sum := sha256.Sum256([]byte(a[0].(string)))
			return hex.EncodeToString(sum[:]), nil
		}),
		def("math.abs(value number) number", "Without its sign.", onNumber(math.Abs)),
		def("math.floor(value number) number", "The next whole number below.", onNumber(math.Floor)),
		def("math.ceil(value number) number", "The next whole number above.", onNumber(math.Ceil)),
		def("math.round(value number) number", "The nearest whole number.", onNumber(math.Round)),
		def("time.iso(at number) text", "Milliseconds since 1970 as 2006-01-02T15:04:05Z.", iso),
		def("time.parse(value text) number", "2006-01-02T15:04:05Z as milliseconds since 1970.", parseTime),
	}
}

func onText(fn func(string) string) body {
	return func(_ *state, a []any) (any, error) { return fn(a[0].(string)), nil }
}

func onTexts(fn func(x, y string) bool) body {
	return func(_ *state, a []any) (any, error) { return fn(a[0].(string), a[1].(string)), nil }
}

func onNumber(fn func(float64) float64) body {
	return func(_ *state, a []any) (any, error) { return fn(a[0].(float64)), nil }
}

func first(list []any) any {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func length(_ *state, a []any) (any, error) {
	switch v := a[0].(type) {
	case string:
		return utf8.RuneCountInString(v), nil
	case []any:
		return len(v), nil
	case map[string]any:
		return len(v), nil
	}
	return nil, wrongType(a[0], "a text, a list or an object")
}

func wrongType(v any, want string) error {
	return problem("it takes " + want + ", not " + typeOf(v))
}

func contains(_ *state, a []any) (any, error) {
	switch v := a[0].(type) {
	case string:
		part, ok := a[1].(string)
		if !ok {
			return nil, wrongType(a[1], "a text")
		}
		return strings.Contains(v, part), nil
	case []any:
		return slices.ContainsFunc(v, func(x any) bool { return same(x, a[1]) }), nil
	case map[string]any:
		key, _ := a[1].(string)
		_, ok := v[key]
		return ok, nil
	}
	return nil, wrongType(a[0], "a text, a list or an object")
}

func keys(v any) []any {
	out := []any{}
	for _, k := range slices.Sorted(maps.Keys(v.(map[string]any))) {
		out = append(out, k)
	}
	return out
}

func values(_ *state, a []any) (any, error) {
	out := keys(a[0])
	for i, k := range out {
		out[i] = a[0].(map[string]any)[k.(string)]
	}
	return out, nil
}

func pairs(_ *state, a []any) (any, error) {
	out := keys(a[0])
	for i, k := range out {
		out[i] = map[string]any{"key": k, "value": a[0].(map[string]any)[k.(string)]}
	}
	return out, nil
}

func distinct(s *state, a []any) (any, error) {
	out := []any{}
	for _, x := range a[0].([]any) {
		if err := s.spend(len(out)); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(y any) bool { return same(x, y) }) {
			out = append(out, x)
		}
	}
	return out, nil
}

func reverse(_ *state, a []any) (any, error) {
	switch v := a[0].(type) {
	case string:
		runes := []rune(v)
		slices.Reverse(runes)
		return string(runes), nil
	case []any:
		slices.Reverse(v) // ours: arguments are copies
		return v, nil
	}
	return nil, wrongType(a[0], "a text or a list")
}

func sorted(_ *state, a []any) (any, error) {
	list := a[0].([]any)
	for _, x := range list {
		if t := typeOf(x); t != typeOf(list[0]) || t != "number" && t != "string" {
			return nil, problem("it takes only numbers or only texts")
		}
	}
	slices.SortFunc(list, func(x, y any) int {
		if x, ok := x.(string); ok {
			return strings.Compare(x, y.(string))
		}
		return int(math.Copysign(1, x.(float64)-y.(float64)))
	})
	return list, nil
}

func slice(_ *state, a []any) (any, error) {
	switch v := a[0].(type) {
	case string:
		runes := []rune(v)
		from, to := bounds(a[1:], len(runes))
		return string(runes[from:to]), nil
	case []any:
		from, to := bounds(a[1:], len(v))
		return v[from:to], nil
	}
	return nil, wrongType(a[0], "a text or a list")
}

// bounds turns the numbers of an author into 0 <= from <= to <= n.
func bounds(a []any, n int) (from, to int) {
	at := func(v any) int {
		i := int(max(min(v.(float64), float64(n)), -float64(n)))
		if i < 0 {
			i += n
		}
		return i
	}
	from, to = at(a[0]), n
	if len(a) > 1 {
		to = at(a[1])
	}
	return from, max(from, to)
}

func numbers(v any) ([]float64, error) {
	list := v.([]any)
	out := make([]float64, len(list))
	for i, x := range list {
		n, ok := x.(float64)
		if !ok {
			return nil, wrongType(x, "numbers")
		}
		out[i] = n
	}
	return out, nil
}

func fold(fn func(x, y float64) float64, needs bool) body {
	return func(_ *state, a []any) (any, error) {
		list, err := numbers(a[0])
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			if needs {
				return nil, problem("the list is empty")
			}
			return 0.0, nil
		}
		out := list[0]
		for _, n := range list[1:] {
			out = fn(out, n)
		}
		return out, nil
	}
}

func average(_ *state, a []any) (any, error) {
	list, err := numbers(a[0])
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, problem("the list is empty")
	}
	sum := 0.0
	for _, n := range list {
		sum += n
	}
	return sum / float64(len(list)), nil
}

func span(s *state, a []any) (any, error) {
	from, to := 0.0, a[0].(float64)
	if len(a) > 1 {
		from, to = to, a[1].(float64)
	}
	from, to = math.Trunc(from), math.Trunc(to)
	if to-from > 10000 {
		return nil, problem("the range has more than 10000 numbers")
	}
	if err := s.spend(int(max(to-from, 0))); err != nil {
		return nil, err
	}
	out := []any{}
	for n := from; n < to; n++ {
		out = append(out, n)
	}
	return out, nil
}

func strToInt(_ *state, a []any) (any, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(a[0].(string)), 10, 64)
	if err != nil || n > 1<<53 || n < -1<<53 {
		return nil, problem("the text is not a whole number")
	}
	return n, nil
}

func strToDouble(_ *state, a []any) (any, error) {
	n, err := strconv.ParseFloat(strings.TrimSpace(a[0].(string)), 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return nil, problem("the text is not a number")
	}
	return n, nil
}

func toNumber(s *state, a []any) (any, error) {
	switch v := a[0].(type) {
	case float64:
		return v, nil
	case string:
		return strToDouble(s, a)
	}
	return nil, wrongType(a[0], "a number or a text")
}

func randomBase64(_ *state, a []any) (any, error) {
	n := a[0].(float64)
	if n != math.Trunc(n) || n < 1 || n > 1024 {
		return nil, problem("it gives 1 to 1024 bytes")
	}
	b := make([]byte, int(n))
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b), nil
}

func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

var pathStep = regexp.MustCompile(`^(?:\.([\pL_][\pL\pN_-]*)|\[(\d{1,9})\]|\['([^'\]]*)'\])`)

func jsonPath(_ *state, a []any) (any, error) {
	v, path := a[0], strings.TrimPrefix(a[1].(string), "$")
	if path != "" && path[0] != '.' && path[0] != '[' {
		path = "." + path
	}
	for path != "" {
		m := pathStep.FindStringSubmatch(path)
		if m == nil {
			return nil, problem("the path is not like $.a.b[0]")
		}
		path = path[len(m[0]):]
		if m[2] != "" {
			list, _ := v.([]any)
			i, _ := strconv.Atoi(m[2])
			if v = nil; i < len(list) {
				v = list[i]
			}
			continue
		}
		object, _ := v.(map[string]any)
		v = object[m[1]+m[3]]
	}
	return v, nil
}

func isE164(_ *state, a []any) (any, error) {
	number := a[0].(string)
	if len(number) > 20 || !strings.HasPrefix(number, "+") {
		return false, nil
	}
	n, err := phonenumbers.Parse(number, "")
	return err == nil && phonenumbers.IsValidNumber(n) && phonenumbers.Format(n, phonenumbers.E164) == number, nil
}

func toE164(_ *state, a []any) (any, error) {
	number, region := a[0].(string), ""
	if len(a) > 1 {
		region = a[1].(string)
	}
	if len(number) > 64 {
		return nil, nil
	}
	n, err := phonenumbers.Parse(number, strings.ToUpper(region))
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return nil, nil
	}
	return phonenumbers.Format(n, phonenumbers.E164), nil
}

func runeIndex(text string, at int) float64 {
	if at < 0 {
		return -1
	}
	return float64(utf8.RuneCountInString(text[:at]))
}

func indexOf(_ *state, a []any) (any, error) {
	v := a[0].(string)
	return runeIndex(v, strings.Index(v, a[1].(string))), nil
}

func lastIndexOf(_ *state, a []any) (any, error) {
	v := a[0].(string)
	return runeIndex(v, strings.LastIndex(v, a[1].(string))), nil
}

func split(s *state, a []any) (any, error) {
	v, sep := a[0].(string), a[1].(string)
	if err := s.spend(len(v)/max(len(sep), 1) + 1); err != nil {
		return nil, err
	}
	return strings.Split(v, sep), nil
}

func join(s *state, a []any) (any, error) {
	sep := ""
	if len(a) > 1 {
		sep = a[1].(string)
	}
	var parts []string
	for _, x := range a[0].([]any) {
		part, err := text(s, x)
		if err != nil {
			return nil, err
		}
		if err := s.spend((len(part) + len(sep)) / 16); err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, sep), nil
}

func replace(s *state, a []any) (any, error) {
	v, old, with := a[0].(string), a[1].(string), a[2].(string)
	if err := s.spend(strings.Count(v, old) * (len(with)/16 + 1)); err != nil {
		return nil, err
	}
	return strings.ReplaceAll(v, old, with), nil
}

// matches bounds text times program, which is what RE2's time grows with.
func matches(s *state, a []any) (any, error) {
	v, pattern := a[0].(string), a[1].(string)
	if len(v) > 8192 || len(pattern) > 512 {
		return nil, problem("the text or the pattern is too long")
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, problem("the pattern is not a regular expression")
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil || len(prog.Inst) > 1000 {
		return nil, problem("the pattern is too large")
	}
	if err := s.spend(100 + len(prog.Inst)*(1+len(v)/64)); err != nil {
		return nil, err
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, problem("the pattern is not a regular expression")
	}
	return re.MatchString(v), nil
}

func parseJSON(s *state, a []any) (any, error) {
	v := a[0].(string)
	if err := s.spend(len(v) / 4); err != nil {
		return nil, err
	}
	var out any
	if err := json.Unmarshal([]byte(v), &out); err != nil {
		return nil, problem("the text is not JSON")
	}
	return out, nil
}

func stringify(s *state, v any) (string, error) {
	if err := s.spend(size(v, 0) / 16); err != nil {
		return "", err
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", problem("this cannot be written as JSON")
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// text is how a value reads in a sentence: null is empty.
func text(s *state, v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	return stringify(s, v)
}

func iso(_ *state, a []any) (any, error) {
	ms := a[0].(float64)
	if math.Abs(ms) > 1e14 {
		return nil, problem("the time is out of range")
	}
	return time.UnixMilli(int64(ms)).UTC().Format(time.RFC3339Nano), nil
}

func parseTime(_ *state, a []any) (any, error) {
	t, err := time.Parse(time.RFC3339, a[0].(string))
	if err != nil {
		return nil, problem("the text is not a time like 2006-01-02T15:04:05Z")
	}
	return t.UnixMilli(), nil
}
