package server_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/expr"
)

// speakers are the packages whose texts the admin API hands on to who reads the
// console: what is below it, and no other door.
var speakers = []string{"adminapi", "administrator", "apps", "audit", "authn", "authenticators", "backend", "db", "directory", "expr", "form", "journey", "limit", "lockout", "message", "notify", "server", "web", "webhook"}

// unread are texts of these packages that no call of the admin API leads to: an SDK, a
// phone, a back end or the hosted pages get them. A text is found by any part of it.
var unread = []string{
	"device key", "The key is", "which key this is", "The access token", "Nobody was authenticated", "The channel is", "What is approved", "The credentials are", "counter-based", "not the export",
	"A face is only kept", "A face is taken", "A nonce has", "A reset goes by", "A sender has", "A state has up to 512", "A text message has", "A text message is worded", "A part of a message has", "A subject has at most 200",
	"A username has 1 to 320", "A word has 3 to 64", "The words are not", "The dictionary holds", "Faces cannot be", "There are one to five", "There must be one face", "Register your face", "That was no live face", "Pictures are base64",
	"EC keys", "RSA keys", "Keys must be", "The public key", "password hash of a known kind", "The push address", "The device token", "not a Web Push subscription", "not a push target", "The redirect_uri is missing", "The response_type is",
	"require_mfa is not", "The number has two digits", "The occasion is", "The name or the device", "The identifier is missing", "There is no identifier of this type", "There is no credential of this kind", "The client has no permission",
	"The client is unknown", "There is no such ticket", "There are several authenticator apps", "There is no such kind of authenticator", "The request does not stand", "The user has no such address", "This message was consumed",
	"This key was made on a page", "This phone could not show", "This proof is not for", "The approval was proven", "There is no such method", "No client of this application may be sent", "internal error", "tenant.yaml needs", "the environment variable",
}

// says finds the texts in one file: calls and literals by which the server says
// something, and where in them the text stands. What is put together becomes a
// template: {n} is a number, {text} anything else.
type says struct {
	consts map[string]string
	found  map[string]bool
}

// spoken are the functions that are given a text, by how they are called and the place of
// the text among their arguments.
var spoken = map[string]int{
	"fault.New": 1, "NewProblem": 2, "weak": 0, "unset": 1, "c.once": 1, "c.addWithin": 1, "problem": 0, "point": 2, "refuse": 1, ".FailAs": 1,
}

// answering are functions that return why something is so, or what it is called.
var answering = []string{"unhosted", "Mend", "bounds", "invalid", "computing", "said"}

// written are the members of literals that are texts.
var written = []string{"Text", "Message", "Label", "Title", "Said", "doc"}

// verb is a place of a format that is filled in, or of what a pattern finds ($1).
var verb = regexp.MustCompile(`%(?:\.\d)?[a-z%]|\$\d`)

// template is a format as a template.
func template(format string) string {
	numbers, others := 0, 0
	name := func(word string, n *int) string {
		if *n++; *n > 1 {
			return fmt.Sprintf("{%s%d}", word, *n)
		}
		return "{" + word + "}"
	}
	return verb.ReplaceAllStringFunc(format, func(v string) string {
		switch v[len(v)-1] {
		case '%':
			return "%"
		case 'd', 'f':
			return name("n", &numbers)
		case 'q':
			return `"` + name("text", &others) + `"`
		}
		return name("text", &others)
	})
}

// format is an expression of a text as a format; "" if it is none.
func (s *says) format(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		if e.Kind == token.STRING && err == nil {
			return text
		}
	case *ast.Ident:
		if text, ok := s.consts[e.Name]; ok {
			return text
		}
	case *ast.CallExpr:
		if called(e.Fun) == "fmt.Sprintf" {
			return s.format(e.Args[0])
		}
		if name, ok := e.Fun.(*ast.Ident); ok && name.Name == "problem" {
			return s.format(e.Args[0])
		}
	case *ast.BinaryExpr:
		left, right := s.format(e.X), s.format(e.Y)
		if left != "" || right != "" {
			return orAny(left) + orAny(right)
		}
	}
	return ""
}

func orAny(format string) string {
	if format == "" {
		return "%s"
	}
	return format
}

var (
	letters = regexp.MustCompile(`[A-Za-z]{2,}`)
	holes   = regexp.MustCompile(`\{\w+\}`)
)

func (s *says) add(format string) {
	text := template(format)
	plain := holes.ReplaceAllString(text, "")
	if !letters.MatchString(plain) || strings.HasPrefix(text, "no such ") || slices.ContainsFunc(unread, func(part string) bool { return strings.Contains(text, part) }) {
		return
	}
	s.found[text] = true
}

// name is how a function is called: fault.New, c.add, weak.
func name(fun ast.Expr) string {
	if id, ok := fun.(*ast.Ident); ok {
		return id.Name
	}
	return called(fun)
}

func (s *says) file(path string, file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			s.call(path, n)
		case *ast.AssignStmt:
			if to := called(n.Lhs[0]); strings.HasPrefix(to, "validation.Msg") || strings.HasSuffix(to, ".Problem") {
				s.add(s.format(n.Rhs[0]))
			}
		case *ast.ValueSpec:
			if n.Names[0].Name == "errHead" {
				s.add(s.format(n.Values[0].(*ast.CallExpr).Args[0]))
			}
		case *ast.CompositeLit:
			s.literal(n)
		case *ast.FuncDecl:
			if slices.Contains(answering, n.Name.Name) {
				s.literals(n)
			}
		case *ast.Field:
			if n.Tag != nil {
				tag, _ := strconv.Unquote(n.Tag.Value)
				s.add(reflect.StructTag(tag).Get("patternDescription"))
			}
		}
		return true
	})
}

func (s *says) call(path string, n *ast.CallExpr) {
	what := name(n.Fun)
	at, ok := spoken[what]
	switch {
	case what == "fault.New" && called(n.Args[0]) == "fault.Internal":
		return
	case ok && len(n.Args) > at:
		s.add(s.format(n.Args[at]))
	case what == "errors.New" && (strings.HasSuffix(path, "fcm.go") || strings.Contains(path, "mobilekey")):
		s.add(s.format(n.Args[0]))
	case what == "add" && (strings.HasSuffix(path, "lint.go")):
		for _, arg := range n.Args[2:] {
			if text := s.format(arg); strings.Contains(text, " ") && strings.HasSuffix(text, ".") {
				s.add(text)
			}
		}
	case what == "c.add" && strings.HasSuffix(path, "graph.go"):
		s.add(s.format(n.Args[1]))
	case what == "c.add" && strings.HasSuffix(path, "form/check.go"):
		s.add("%s " + s.format(n.Args[0]))
	case strings.HasPrefix(what, "form.") && len(n.Args) > 1 && strings.HasSuffix(path, "act.go"):
		s.add(s.format(n.Args[1]))
	}
}

func (s *says) literal(n *ast.CompositeLit) {
	typ := name(n.Type)
	if id, ok := n.Type.(*ast.Ident); ok {
		typ = id.Name
	}
	if typ == "Error" && len(n.Elts) == 3 {
		s.add(s.format(n.Elts[2]))
	}
	if typ == "Suggestion" {
		s.add(s.format(n.Elts[3]))
	}
	if typ == "" && len(n.Elts) == 2 {
		if _, pattern := n.Elts[0].(*ast.CallExpr); pattern {
			s.add(s.format(n.Elts[1]))
		}
	}
	if !slices.Contains([]string{"Problem", "form.Problem", "authn.Note", "backend.Act", "backend.Done", "backend.Shown", "Shown", "Result", "End", "variable", ""}, typ) {
		return
	}
	for _, e := range n.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && slices.Contains(written, key.Name) && typ != "" || typ == "" && ok && key.Name == "Message" {
				s.add(s.format(kv.Value))
			}
		}
	}
}

// literals are the texts that stand in a function that answers with one.
func (s *says) literals(n *ast.FuncDecl) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ReturnStmt:
			for _, e := range n.Results {
				s.add(s.format(e))
			}
		case *ast.CompositeLit:
			for _, e := range n.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					s.add(s.format(kv.Value))
				}
			}
		}
		return true
	})
}

// computedTexts are the templates of all that the server can say by itself to who
// reads the console: refusals, problems, notes, what support may do.
func computedTexts(t *testing.T) []string {
	t.Helper()
	s := says{found: map[string]bool{}}
	for _, pkg := range speakers {
		err := filepath.WalkDir(filepath.Join("..", pkg), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			return s.dir(path)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range expr.Functions() {
		s.add(f.Doc)
	}
	return slices.Sorted(maps.Keys(s.found))
}

// dir reads the files of one package, whose constants may be texts.
func (s *says) dir(path string) error {
	names, err := filepath.Glob(filepath.Join(path, "*.go"))
	if err != nil {
		return err
	}
	files := map[string]*ast.File{}
	s.consts = map[string]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
		if err != nil {
			return err
		}
		files[name] = file
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				for _, spec := range g.Specs {
					v := spec.(*ast.ValueSpec)
					for i, id := range v.Names {
						if i < len(v.Values) {
							s.consts[id.Name] = s.format(v.Values[i])
						}
					}
				}
			}
		}
	}
	for name, file := range files {
		s.file(name, file)
	}
	return nil
}
