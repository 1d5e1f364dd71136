package expr

import (
	"maps"
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// varsName is the one variable that CEL knows: the map of the run's variables.
// The @ keeps it out of reach of an author.
const varsName = "@vars"

// ours are the operators whose meaning is replaced: one type of number, and
// comparisons that cannot run away over values that share their parts.
var ours = map[string]string{
	operators.Add: "@add", operators.Subtract: "@sub", operators.Multiply: "@mul", operators.Divide: "@div",
	operators.Modulo: "@mod", operators.Negate: "@neg", operators.Less: "@lt", operators.LessEquals: "@le",
	operators.Greater: "@gt", operators.GreaterEquals: "@ge", operators.Equals: "@eq", operators.NotEquals: "@ne",
	operators.In: "@isin", operators.OldIn: "@isin",
}

var operatorNames = func() map[string]string {
	out := map[string]string{"@coalesce": "??"}
	for op, name := range ours {
		out[name], _ = operators.FindReverse(op)
	}
	out["@isin"] = "in"
	out["@neg"] = "-"
	return out
}()

// rewriter turns a parsed expression into the one that is run.
type rewriter struct {
	src      string
	tree     *ast.AST
	fac      ast.ExprFactory
	next     int64
	coalesce map[int32]bool
	free     map[string]bool
	loops    bool
	err      *Error
}

func newRewriter(src string, tree *ast.AST, coalesce map[int32]bool) *rewriter {
	return &rewriter{src: src, tree: tree, fac: ast.NewExprFactory(), next: ast.MaxID(tree), coalesce: coalesce, free: map[string]bool{}}
}

func (r *rewriter) run() error {
	r.expr(r.tree.Expr(), nil)
	if r.err != nil {
		return r.err
	}
	return nil
}

func (r *rewriter) freeNames() []string { return slices.Sorted(maps.Keys(r.free)) }

func (r *rewriter) fail(e ast.Expr, message string) {
	if r.err == nil {
		r.err = point(r.src, r.tree.SourceInfo().GetStartLocation(e.ID()), message)
	}
}

// id is a new node's, in the place of an old one.
func (r *rewriter) id(like ast.Expr) int64 {
	r.next++
	if at, ok := r.tree.SourceInfo().GetOffsetRange(like.ID()); ok {
		r.tree.SourceInfo().SetOffsetRange(r.next, at)
	}
	return r.next
}

// bound is the list of names that enclosing loops bind.
type bound struct {
	names []string
	outer *bound
}

func (b *bound) has(name string) bool {
	for ; b != nil; b = b.outer {
		if slices.Contains(b.names, name) {
			return true
		}
	}
	return false
}

func (r *rewriter) expr(e ast.Expr, b *bound) {
	switch e.Kind() {
	case ast.LiteralKind:
		r.literal(e)
	case ast.IdentKind:
		r.ident(e, b)
	case ast.SelectKind:
		r.field(e, b)
	case ast.CallKind:
		r.call(e, b)
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			r.expr(x, b)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			r.expr(entry.AsMapEntry().Key(), b)
			r.expr(entry.AsMapEntry().Value(), b)
		}
	case ast.ComprehensionKind:
		r.comprehension(e, b)
	default:
		r.fail(e, "This is not available here.")
	}
}

func (r *rewriter) literal(e ast.Expr) {
	switch v := e.AsLiteral().(type) {
	case types.Int:
		e.SetKindCase(r.fac.NewLiteral(e.ID(), types.Double(v)))
	case types.Uint, types.Bytes:
		r.fail(e, "Only numbers, text, true, false and null can be written.")
	}
}

// ident makes a free name a field of the variables.
func (r *rewriter) ident(e ast.Expr, b *bound) {
	name := e.AsIdent()
	if name == r.fac.AccuIdentName() || name == varsName || b.has(name) {
		return
	}
	r.free[name] = true
	e.SetKindCase(r.fac.NewSelect(e.ID(), r.fac.NewIdent(r.id(e), varsName), name))
}

// field lets a function without arguments be written without parentheses, as
// in policy.isUserAuthenticated, and after an empty pair, as in time().nowISO.
func (r *rewriter) field(e ast.Expr, b *bound) {
	sel := e.AsSelect()
	if space := namespace(sel.Operand()); space != "" && !sel.IsTestOnly() && !b.has(space) && nullary[space+"."+sel.FieldName()] {
		e.SetKindCase(r.fac.NewCall(e.ID(), space+"."+sel.FieldName()))
		return
	}
	r.expr(sel.Operand(), b)
	if sel.IsTestOnly() {
		r.optional(sel.Operand()) // has(a.b.c) asks for b as well
	}
}

// namespace returns the name of e if it is a bare name, or a call of one
// without arguments.
func namespace(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent()
	case ast.CallKind:
		if c := e.AsCall(); !c.IsMemberFunction() && len(c.Args()) == 0 {
			return c.FunctionName()
		}
	}
	return ""
}

func (r *rewriter) call(e ast.Expr, b *bound) {
	c := e.AsCall()
	for _, x := range c.Args() {
		r.expr(x, b)
	}
	name := c.FunctionName()
	if c.IsMemberFunction() {
		space := namespace(c.Target())
		switch full := space + "." + name; {
		case space == "" || b.has(space):
		case known[full]:
			e.SetKindCase(r.fac.NewCall(e.ID(), full, c.Args()...))
			return
		case namespaces[space] && !onValues[name]:
			r.fail(e, "There is no function "+full+".")
			return
		}
		r.expr(c.Target(), b)
		return
	}
	switch inner, ok := ours[name]; {
	case name == operators.LogicalOr && r.isCoalesce(e):
		r.optional(c.Args()[0])
		e.SetKindCase(r.fac.NewCall(e.ID(), "@coalesce", c.Args()...))
	case name == operators.LogicalOr:
		r.choose(e, c.Args()[0], r.truth(e, true), c.Args()[1])
	case name == operators.LogicalAnd:
		r.choose(e, c.Args()[0], c.Args()[1], r.truth(e, false))
	case name == operators.Add && r.isAccumulator(c.Args()[0]):
		// CEL's own loops append to a list that only they hold.
	case ok:
		e.SetKindCase(r.fac.NewCall(e.ID(), inner, c.Args()...))
	}
}

// choose makes && and || read from left to right: CEL's own forgive an error on
// the left if the right side decides, and an error must never decide anything.
func (r *rewriter) choose(e, test, yes, no ast.Expr) {
	e.SetKindCase(r.fac.NewCall(e.ID(), operators.Conditional, r.strict(test), r.strict(yes), r.strict(no)))
}

func (r *rewriter) truth(like ast.Expr, v bool) ast.Expr {
	return r.fac.NewLiteral(r.id(like), types.Bool(v))
}

// strict is e, which must be true or false.
func (r *rewriter) strict(e ast.Expr) ast.Expr {
	if e.Kind() == ast.LiteralKind || r.isAccumulator(e) {
		return e
	}
	return r.fac.NewCall(r.id(e), "@bool", e)
}

func (r *rewriter) isAccumulator(e ast.Expr) bool {
	return e.Kind() == ast.IdentKind && e.AsIdent() == r.fac.AccuIdentName()
}

func (r *rewriter) isCoalesce(e ast.Expr) bool {
	at, ok := r.tree.SourceInfo().GetOffsetRange(e.ID())
	return ok && r.coalesce[at.Start]
}

// optional lets the fields and indices by which e is reached be missing.
func (r *rewriter) optional(e ast.Expr) {
	switch e.Kind() {
	case ast.SelectKind:
		sel := e.AsSelect()
		if sel.IsTestOnly() || sel.Operand().Kind() == ast.IdentKind && sel.Operand().AsIdent() == varsName {
			return
		}
		r.optional(sel.Operand())
		field := r.fac.NewLiteral(r.id(e), types.String(sel.FieldName()))
		e.SetKindCase(r.fac.NewCall(e.ID(), operators.OptSelect, sel.Operand(), field))
	case ast.CallKind:
		switch c := e.AsCall(); c.FunctionName() {
		case operators.Index:
			r.optional(c.Args()[0])
			e.SetKindCase(r.fac.NewCall(e.ID(), operators.OptIndex, c.Args()...))
		case "@coalesce":
			r.optional(c.Args()[1]) // a ?? b ?? c forgives b too
		}
	}
}

func (r *rewriter) comprehension(e ast.Expr, b *bound) {
	r.loops = true
	c := e.AsComprehension()
	r.expr(c.IterRange(), b)
	r.expr(c.AccuInit(), b)
	result := &bound{[]string{c.AccuVar()}, b}
	inner := &bound{[]string{c.IterVar()}, result}
	r.expr(c.LoopCondition(), inner)
	r.expr(c.LoopStep(), inner)
	r.expr(c.Result(), result)
}

// calledFunctions are the functions of the table that a checked tree calls.
func calledFunctions(tree *ast.AST) []string {
	seen := map[string]bool{}
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.CallKind && known[e.AsCall().FunctionName()] {
			seen[e.AsCall().FunctionName()] = true
		}
	}))
	return slices.Sorted(maps.Keys(seen))
}
