package server_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// unreadable are the types that no reading of the source tells, because they are
// computed, each with all that it may be.
var unreadable = map[string][]string{
	"adminapi: c.Route.Event":  nil, // stands in the table of calls
	"identity: user.string()":  {"user.active", "user.suspended"},
	"push: push.string()":      {"push.acknowledged", "push.allowed"},
	"steps: strings.Replace()": {"device.block", "device.delete"},
}

// unreadableReasons are the same for reasons.
var unreadableReasons = map[string][]string{
	"adminapi: in.Body.Reason":    {"console"}, // what the console says when somebody locks; anybody else says their own
	"authn: string()":             {"any", "manual", "automatic"},
	"cidaas: clip()":              nil, // the words of an app
	"hosted: refusal.Journey":     {"no_journey"},
	"mosaic: refusal.Journey":     {"no_journey"},
	"mosaic: refusal.Origin":      {"origin"},
	"identity: in.Reason":         nil,                                                                                                                                                                                                                  // a back end's own words
	"journey: string()":           nil,                                                                                                                                                                                                                  // a fault's code
	"mobilekey: v.why.Error()":    nil,                                                                                                                                                                                                                  // sentences, which TestCatalogTexts reads
	"oauth: e.Word":               {"redirect_uri", "invalid_client", "unauthorized_client", "invalid_request", "invalid_scope", "invalid_target", "invalid_grant", "unsupported_grant_type", "unsupported_response_type", "request_uri_not_supported"}, // the mistakes
	"oidc: r.Kind":                {"device"},
	"password: password_string()": {"password_temporary", "password_expired", "password_breached"},
	"push: ch.Data.Reason":        nil, // read where it is set
	"push: end.Reason":            nil, // read where ends are made
	"push: string()":              {"denied", "expired", "consumed"},
	"steps: c.Reason":             {"access_rejected"}, // its default; and what templates say
}

// recorder is a function that records an event whose type is one of its parameters,
// with what stands before and behind that.
type recorder struct {
	param         int
	before, after string
}

// recorders finds what every package of the server records, by reading how a member of
// an event is made, through the functions that take it as a parameter.
type recorders struct {
	member string   // that is meant
	of     []string // the literals that have it
	pkgs   map[string][]*ast.FuncDecl
	consts map[string]map[string]string
	found  map[string]recorder // by package and name; by name alone what others call as a method
	types  map[string]bool
	opaque map[string]bool
}

func readRecorders(t *testing.T, r *recorders) *recorders {
	t.Helper()
	r.pkgs, r.consts = map[string][]*ast.FuncDecl{}, map[string]map[string]string{}
	if r.found == nil {
		r.found = map[string]recorder{}
	}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "kittest") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err == nil {
			r.keep(file.Name.Name, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for before := -1; before != len(r.found); {
		before = len(r.found)
		r.types, r.opaque = map[string]bool{}, map[string]bool{}
		for pkg, funcs := range r.pkgs {
			for _, f := range funcs {
				r.read(pkg, f)
			}
		}
	}
	return r
}

func (r *recorders) keep(pkg string, file *ast.File) {
	if r.consts[pkg] == nil {
		r.consts[pkg] = map[string]string{}
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Body != nil {
				r.pkgs[pkg] = append(r.pkgs[pkg], d)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.CONST && len(v.Values) == len(v.Names) {
					for i, id := range v.Names {
						if text, ok := unquoted(v.Values[i]); ok {
							r.consts[pkg][id.Name] = text
						}
					}
				}
			}
		}
	}
}

func unquoted(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

func (r *recorders) read(pkg string, f *ast.FuncDecl) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if typ := name(n.Type); slices.Contains(r.of, typ) || slices.Contains(r.of, pkg+"."+typ) {
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok && name(kv.Key) == r.member {
						r.made(pkg, f, "", kv.Value, "")
					}
				}
			}
		case *ast.CallExpr:
			if rec, ok := r.called(pkg, n.Fun); ok && rec.param < len(n.Args) {
				r.made(pkg, f, rec.before, n.Args[rec.param], rec.after)
			}
		}
		return true
	})
}

// called is the recorder that is called: one of the same package or of the one that is
// named, or a method that any may call.
func (r *recorders) called(pkg string, fun ast.Expr) (recorder, bool) {
	id, ok := fun.(*ast.Ident)
	if sel, method := fun.(*ast.SelectorExpr); method {
		id, ok = sel.Sel, true
		if rec, ok := r.found[exprText(sel)]; ok {
			return rec, true
		}
	}
	if !ok {
		return recorder{}, false
	}
	if rec, ok := r.found[pkg+"."+id.Name]; ok {
		return rec, true
	}
	rec, ok := r.found[id.Name]
	return rec, ok && id.IsExported()
}

// made notes a type, or that f records what a parameter says.
func (r *recorders) made(pkg string, f *ast.FuncDecl, before string, e ast.Expr, after string) {
	if sum, ok := e.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
		if text, ok := unquoted(sum.X); ok {
			r.made(pkg, f, before+text, sum.Y, after)
			return
		}
		if text, ok := unquoted(sum.Y); ok {
			r.made(pkg, f, before, sum.X, text+after)
			return
		}
		if left, ok := sum.X.(*ast.BinaryExpr); ok { // "auth." + kind + "." + what
			if text, ok := unquoted(left.Y); ok {
				if first, ok := left.X.(*ast.BinaryExpr); ok {
					if head, ok := unquoted(first.X); ok {
						r.made(pkg, f, before+head+"*"+text, sum.Y, after)
						return
					}
				}
			}
		}
	}
	if text, ok := unquoted(e); ok {
		r.types[before+text+after] = true
		return
	}
	if several := oneOf(e); several != nil {
		for _, e := range several {
			r.made(pkg, f, before, e, after)
		}
		return
	}
	id, ok := e.(*ast.Ident)
	if !ok {
		settings := r.set(pkg, e)
		for _, v := range settings {
			r.made(pkg, v.by, before, v.value, after)
		}
		if settings != nil {
			return
		}
		r.opaque[fmt.Sprintf("%s: %s%s%s", pkg, before, exprText(e), after)] = true
		return
	}
	if text, ok := r.consts[pkg][id.Name]; ok {
		r.types[before+text+after] = true
		return
	}
	if i := parameter(f, id.Name); i >= 0 {
		rec := recorder{i, before, after}
		if was, ok := r.found[pkg+"."+f.Name.Name]; ok && was != rec {
			r.opaque[fmt.Sprintf("%s: two functions called %s", pkg, f.Name.Name)] = true
		}
		r.found[pkg+"."+f.Name.Name] = rec
		if f.Recv != nil && f.Name.IsExported() {
			r.found[f.Name.Name] = rec
		}
	}
	values := assigned(f, id.Name)
	if len(values) == 0 && parameter(f, id.Name) < 0 {
		r.opaque[fmt.Sprintf("%s: %s%s%s", pkg, before, id.Name, after)] = true
	}
	for _, v := range values {
		r.made(pkg, f, before, v, after)
	}
}

// set are the values that a package gives to a member, as end.Reason, and where.
func (r *recorders) set(pkg string, e ast.Expr) []setting {
	if _, ok := e.(*ast.SelectorExpr); !ok {
		return nil
	}
	var out []setting
	for _, f := range r.pkgs[pkg] {
		for _, v := range assigned(f, exprText(e)) {
			out = append(out, setting{f, v})
		}
	}
	return out
}

type setting struct {
	by    *ast.FuncDecl
	value ast.Expr
}

// oneOf are the values that an expression chooses from; nil: it is no choice that
// can be read.
func oneOf(e ast.Expr) []ast.Expr {
	switch e := e.(type) {
	case *ast.CallExpr:
		if called(e.Fun) == "cmp.Or" {
			return e.Args
		}
	case *ast.IndexExpr:
		if lit, ok := e.X.(*ast.CompositeLit); ok {
			var out []ast.Expr
			for _, e := range lit.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					out = append(out, kv.Value)
				}
			}
			return out
		}
	}
	return nil
}

// parameter is the place of a parameter of f; -1: none is called so.
func parameter(f *ast.FuncDecl, name string) int {
	i := 0
	for _, field := range f.Type.Params.List {
		for _, id := range field.Names {
			if id.Name == name {
				return i
			}
			i++
		}
	}
	return -1
}

// assigned are the values that f gives to a variable of its own, or to a member.
func assigned(f *ast.FuncDecl, name string) []ast.Expr {
	var out []ast.Expr
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
			for i, to := range a.Lhs {
				if exprText(to) == name {
					out = append(out, a.Rhs[i])
				}
			}
		}
		return true
	})
	return out
}

func exprText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.CallExpr:
		return exprText(e.Fun) + "()"
	case *ast.SelectorExpr:
		return exprText(e.X) + "." + e.Sel.Name
	case *ast.Ident:
		return e.Name
	case *ast.IndexExpr:
		return exprText(e.X) + "[]"
	}
	return fmt.Sprintf("%T", e)
}

// routed are the types in the admin API's table of calls.
func routed(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../adminapi/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, path := range files {
		if filepath.Base(path) == "events.go" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.CompositeLit); ok && len(lit.Elts) == 5 {
				route, _ := unquoted(lit.Elts[0])
				if text, ok := unquoted(lit.Elts[3]); ok && text != "" && strings.Contains(route, " /") {
					out = append(out, text)
				}
			}
			return true
		})
	}
	return out
}

// told adds what cannot be read and is known.
func (r *recorders) told(t *testing.T, known map[string][]string) {
	t.Helper()
	for _, how := range slices.Sorted(maps.Keys(r.opaque)) {
		all, ok := known[how]
		if !ok {
			t.Errorf("%s: what this records cannot be read; say what it may be", how)
		}
		for _, one := range all {
			r.types[one] = true
		}
	}
	for how := range known {
		if !r.opaque[how] {
			t.Errorf("%s: nothing records this any more", how)
		}
	}
}

// TestEventWords holds the words for types of events to the types that the server
// records: each has words (TestCatalogTexts and the words check see to the other
// languages), and none are kept for what is never recorded.
func TestEventWords(t *testing.T) {
	r := readRecorders(t, &recorders{member: "Type", of: []string{"audit.Event"}})
	r.told(t, unreadable)
	admin := routed(t)
	if len(r.types) < 50 || len(admin) < 60 {
		t.Fatalf("%d types and %d of the admin API: the source is read wrongly", len(r.types), len(admin))
	}
	for _, typ := range admin {
		r.types[typ] = true
	}
	w := newWorld(t)
	said := map[string]bool{}
	for _, e := range w.owner(t).must(t, "GET /catalog", nil).Doc["events"].([]any) {
		typ := e.(map[string]any)["type"].(string)
		said[typ] = true
		if !r.types[typ] {
			t.Errorf("%s has words and is never recorded", typ)
		}
	}
	for _, typ := range slices.Sorted(maps.Keys(r.types)) {
		if !said[typ] {
			t.Errorf("%s is recorded and has no words: add them to eventInfos", typ)
		}
	}
}

// TestReasonWords does so for reasons: of events, of the ends of runs, and the errors
// that journeys make reasons of.
func TestReasonWords(t *testing.T) {
	r := readRecorders(t, &recorders{member: "Reason", of: []string{"audit.Event", "journey.End", "refusal.Call"}, found: map[string]recorder{"FailAs": {}, "Reject": {}}})
	r.told(t, unreadableReasons)
	for id, code := range r.consts["fault"] {
		if id != "Internal" { // no client, and no run, is told this
			r.types[code] = true
		}
	}
	w := newWorld(t)
	a := w.owner(t)
	templates := a.must(t, "GET /journeys/templates", nil).Doc
	for _, reason := range said(templates, "reason") {
		r.types[reason] = true
	}
	delete(r.types, "")
	if len(r.types) < 40 {
		t.Fatalf("%d reasons: the source is read wrongly", len(r.types))
	}
	has := map[string]bool{}
	for _, e := range a.must(t, "GET /catalog", nil).Doc["reasons"].([]any) {
		reason := e.(map[string]any)["reason"].(string)
		has[reason] = true
		if !r.types[reason] {
			t.Errorf("%q has words and is no reason", reason)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(r.types)) {
		if !has[reason] {
			t.Errorf("%q is recorded as a reason and has no words: add them to reasonInfos", reason)
		}
	}
}

// said are the texts of a document that are called so, at any depth.
func said(v any, called string) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if text, ok := inner.(string); ok && name == called {
				out = append(out, text)
			}
			out = append(out, said(inner, called)...)
		}
	case []any:
		for _, inner := range v {
			out = append(out, said(inner, called)...)
		}
	}
	return out
}
