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

// recorder is a function that records an event whose type is one of its parameters,
// with what stands before and behind that.
type recorder struct {
	param         int
	before, after string
}

// recorders finds what every package of the server records, by reading how the type of
// an audit.Event is made, through the functions that take it as a parameter.
type recorders struct {
	pkgs   map[string][]*ast.FuncDecl
	consts map[string]map[string]string
	found  map[string]recorder // by package and name; by name alone what others call as a method
	types  map[string]bool
	opaque map[string]bool
}

func readRecorders(t *testing.T) *recorders {
	t.Helper()
	r := &recorders{pkgs: map[string][]*ast.FuncDecl{}, consts: map[string]map[string]string{}, found: map[string]recorder{}, types: map[string]bool{}, opaque: map[string]bool{}}
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
			if typ := name(n.Type); typ == "audit.Event" || pkg == "audit" && typ == "Event" {
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok && name(kv.Key) == "Type" {
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

// called is the recorder that is called: one of the same package, or a method that any may call.
func (r *recorders) called(pkg string, fun ast.Expr) (recorder, bool) {
	id, ok := fun.(*ast.Ident)
	if sel, method := fun.(*ast.SelectorExpr); method {
		id, ok = sel.Sel, true
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
	id, ok := e.(*ast.Ident)
	if !ok {
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
		return
	}
	values := assigned(f, id.Name)
	if len(values) == 0 {
		r.opaque[fmt.Sprintf("%s: %s%s%s", pkg, before, id.Name, after)] = true
	}
	for _, v := range values {
		r.made(pkg, f, before, v, after)
	}
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

// assigned are the values that f gives to a variable of its own.
func assigned(f *ast.FuncDecl, name string) []ast.Expr {
	var out []ast.Expr
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
			for i, to := range a.Lhs {
				if id, ok := to.(*ast.Ident); ok && id.Name == name {
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

// TestEventWords holds the words for types of events to the types that the server
// records: each has words (TestCatalogTexts and the words check see to the other
// languages), and none are kept for what is never recorded.
func TestEventWords(t *testing.T) {
	r := readRecorders(t)
	for _, how := range slices.Sorted(maps.Keys(r.opaque)) {
		types, known := unreadable[how]
		if !known {
			t.Errorf("%s: what type of event this records cannot be read; say in unreadable what it may be", how)
		}
		for _, typ := range types {
			r.types[typ] = true
		}
	}
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
