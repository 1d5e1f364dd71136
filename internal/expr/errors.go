package expr

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/types"
)

// problem is a message of ours: it holds no value of the run.
type problem string

func (p problem) Error() string { return string(p) }

// wording turns a message of CEL into one about what was written.
type wording struct {
	pattern *regexp.Regexp
	say     string
}

var (
	syntaxWordings = []wording{
		{regexp.MustCompile(`^(?:Syntax error: )?(?:mismatched|extraneous|no viable alternative at) input '<EOF>'.*`), endsEarly},
		{regexp.MustCompile(`^(?:Syntax error: )?(?:mismatched|extraneous|no viable alternative at) input '(.*?)'(?: expecting .*)?$`), "This is not expected here: $1"},
		{regexp.MustCompile(`^(?:Syntax error: )?token recognition error at: '(.*)'$`), "This cannot stand here: $1"},
		{regexp.MustCompile(`^undeclared reference to '([^']*)'(?: \(in container ''\))?`), "There is no function $1."},
		{regexp.MustCompile(`.*(?:recursion|lookahead|node count).* limit.*|.*recursion depth exceeded.*`), "The expression is too large or nested too deeply."},
		{regexp.MustCompile(`^Syntax error: `), ""},
	}
	overload = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '([^']*)'`)

	// computeWordings are all that CEL may say while it computes; anything else
	// could hold a value.
	computeWordings = []wording{
		{regexp.MustCompile(`^no such overload: @bool`), "This must be true or false."},
		{regexp.MustCompile(`^no such overload$`), "This must be true or false."},
		{regexp.MustCompile(`^no such key: `), noKey},
		{regexp.MustCompile(`^index out of bounds: `), "There is no such element."},
		{regexp.MustCompile(`^(?:unsupported|invalid) index `), "A list is read at a whole number."},
		{regexp.MustCompile(`^cannot initialize optional `), "What follows a ? here must be optional, such as a.?b."},
	}
	typeNames = strings.NewReplacer("double", "number", "bool", "boolean", "string", "text", "dyn", "any", "map(", "object(")
)

// gaveUp is what the parser says of itself, beside what it found.
const gaveUp = "error recovery attempt limit exceeded"

const endsEarly = "The expression ends too early."

// atEnd reports whether nothing of src stands at a place or behind it.
func atEnd(src string, at common.Location) bool {
	lines := strings.Split(src, "\n")
	return at.Line() == len(lines) && at.Column() >= len([]rune(lines[len(lines)-1]))
}

// firstIssue is the first thing that CEL found when it read src.
func firstIssue(src string, issues *cel.Issues) *Error {
	at, message := common.Location(common.NoLocation), issues.Err().Error()
	all := slices.DeleteFunc(issues.Errors(), func(e *common.Error) bool { return strings.Contains(e.Message, gaveUp) })
	if len(all) > 0 {
		at, message = all[0].Location, all[0].Message
	}
	if strings.HasPrefix(message, "Syntax error: ") && atEnd(src, at) {
		return point(src, at, endsEarly)
	}
	if m := overload.FindStringSubmatch(message); m != nil {
		return point(src, at, written(m[1])+" does not take "+typeNames.Replace(m[2])+".")
	}
	for _, w := range syntaxWordings {
		message = w.pattern.ReplaceAllString(message, w.say)
	}
	return point(src, at, message)
}

// at is what went wrong when p was computed, and where.
func (p *Program) at(err error) *Error {
	at := common.Location(common.NoLocation)
	if failure, ok := errors.AsType[*types.Err](err); ok {
		at = p.info.GetStartLocation(failure.NodeID())
	}
	out := point(p.src, at, computing(err))
	if name, ok := strings.CutPrefix(err.Error(), "no such key: "); ok && out.Message == noKey {
		p.name(out, name)
	}
	return out
}

const noKey = "There is no such key."

// name tells which field of a.b.c is missing, and points at it: CEL points at
// the last. A name that is not in the text was computed and is not told.
func (p *Program) name(e *Error, name string) {
	lines := strings.Split(p.src, "\n")
	for n := min(e.Line, len(lines)); n > 0; n-- {
		s := scanner{text: []rune(lines[n-1])}
		to := len(s.text)
		if n == e.Line {
			to = min(to, e.Column-1+len(name))
		}
		if at := s.lastField(name, to); at >= 0 {
			*e = Error{n, at + 1, "There is no " + name + "."}
			return
		}
	}
}

// lastField finds name as a field before the character at to.
func (s *scanner) lastField(name string, to int) int {
	want := []rune(name)
	for i := to - len(want); i > 0 && len(want) > 0; i-- {
		if s.word(i-1) || s.word(i+len(want)) || !strings.ContainsRune(".?", s.text[i-1]) {
			continue
		}
		if slices.Equal(s.text[i:i+len(want)], want) {
			return i
		}
	}
	return -1
}

// nth is a line of src, counted from 1.
func nth(src string, n int) string {
	for range n - 1 {
		_, src, _ = strings.Cut(src, "\n")
	}
	line, _, _ := strings.Cut(src, "\n")
	return line
}

func computing(err error) string {
	if ours, ok := errors.AsType[problem](err); ok {
		return string(ours)
	}
	message := err.Error()
	for _, w := range computeWordings {
		if w.pattern.MatchString(message) {
			return w.say
		}
	}
	if name, ok := strings.CutPrefix(message, "no such overload: "); ok {
		return written(name) + " does not take these values."
	}
	return "This cannot be computed."
}

// written is how an author writes a function or an operator.
func written(name string) string {
	if op := operatorNames[name]; op != "" {
		return op
	}
	return name
}

// point is an error at a place of src. CEL places a call at its parenthesis and
// a field at its dot; a person looks for the name.
func point(src string, at common.Location, message string) *Error {
	if len(message) > 300 {
		message = strings.ToValidUTF8(message[:300], "")
	}
	if at.Line() < 1 {
		return &Error{1, 1, message}
	}
	s := scanner{text: []rune(nth(src, at.Line()))}
	i := min(max(at.Column(), 0), len(s.text))
	if i < len(s.text) && s.text[i] == '(' {
		for i > 0 && (s.word(i-1) || s.text[i-1] == '.') {
			i--
		}
	}
	if i < len(s.text)-1 && s.text[i] == '.' && s.word(i+1) {
		i++
	}
	return &Error{at.Line(), i + 1, message}
}
