package expr

import (
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	celenv "cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/parser"
)

// environment is built when the first expression is compiled and shared by all:
// every program points into it and none extends it.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	opts := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(kept())),
		cel.OptionalTypes(),
		cel.CustomTypeAdapter(adapter{}),
		cel.EnableHiddenAccumulatorName(true),
		cel.ParserErrorRecoveryLimit(1),
		cel.ParserExpressionSizeLimit(maxSource),
		cel.ExpressionNodeLimit(10_000),
		cel.Macros(macros()...),
		cel.Variable(varsName, cel.MapType(cel.StringType, cel.DynType)),
		index(),
		conditional(),
		coalesce(),
		identity("@bool", cel.BoolType),
		identity("@any", cel.DynType),
	}
	return cel.NewCustomEnv(append(opts, declarations()...)...)
})

// kept is what remains of CEL's own functions. Everything that computes is
// ours, see ours and table.
func kept() *celenv.LibrarySubset {
	s := &celenv.LibrarySubset{ExcludeMacros: []string{operators.Map, operators.Filter}}
	for _, name := range []string{operators.LogicalNot, operators.NotStrictlyFalse, operators.Add} {
		s.IncludeFunctions = append(s.IncludeFunctions, &celenv.Function{Name: name})
	}
	return s
}

// index lets a list be read at any number: CEL would insist on its own integer.
func index() cel.EnvOption {
	a, b := cel.TypeParamType("A"), cel.TypeParamType("B")
	return cel.Function(operators.Index,
		cel.Overload("list_at", []*cel.Type{cel.ListType(a), cel.DoubleType}, a),
		cel.Overload("list_at_int", []*cel.Type{cel.ListType(a), cel.IntType}, a),
		cel.Overload("map_at", []*cel.Type{cel.MapType(a, b), a}, b),
		cel.SingletonBinaryBinding(func(x, _ ref.Val) ref.Val { return types.MaybeNoSuchOverloadErr(x) }))
}

// conditional lets the two sides of ? : differ in type.
func conditional() cel.EnvOption {
	return cel.Function(operators.Conditional,
		cel.Overload("if_else", []*cel.Type{cel.BoolType, cel.DynType, cel.DynType}, cel.DynType, cel.OverloadIsNonStrict()),
		cel.SingletonFunctionBinding(func(args ...ref.Val) ref.Val { return types.NoSuchOverloadErr() }))
}

func coalesce() cel.EnvOption {
	return cel.Function("@coalesce",
		cel.Overload("coalesce", []*cel.Type{cel.DynType, cel.DynType}, cel.DynType, cel.OverloadIsNonStrict(),
			cel.BinaryBinding(func(x, other ref.Val) ref.Val {
				if o, ok := x.(*types.Optional); ok {
					if !o.HasValue() {
						return other
					}
					x = o.GetValue()
				}
				if x == types.NullValue {
					return other
				}
				return x
			})))
}

// identity is its argument, of which it demands, or forgets, the type.
func identity(name string, t *cel.Type) cel.EnvOption {
	return cel.Function(name, cel.Overload(name+"_identity", []*cel.Type{t}, t, cel.UnaryBinding(func(v ref.Val) ref.Val { return v })))
}

// declarations of the operators and of the function table. All are bound late,
// to the state of one evaluation, which counts their work.
func declarations() []cel.EnvOption {
	var out []cel.EnvOption
	two := func(t, result *cel.Type, id string) cel.FunctionOpt {
		return cel.Overload(id, []*cel.Type{t, t}, result, cel.LateFunctionBinding())
	}
	list := cel.ListType(cel.TypeParamType("A"))
	out = append(out, cel.Function("@add", two(cel.DoubleType, cel.DoubleType, "add_numbers"), two(cel.StringType, cel.StringType, "add_texts"), two(list, list, "add_lists")))
	for _, name := range []string{"@sub", "@mul", "@div", "@mod"} {
		out = append(out, cel.Function(name, two(cel.DoubleType, cel.DoubleType, name[1:]+"_numbers")))
	}
	out = append(out, cel.Function("@neg", cel.Overload("neg_number", []*cel.Type{cel.DoubleType}, cel.DoubleType, cel.LateFunctionBinding())))
	for _, name := range []string{"@lt", "@le", "@gt", "@ge"} {
		out = append(out, cel.Function(name, two(cel.DoubleType, cel.BoolType, name[1:]+"_numbers"), two(cel.StringType, cel.BoolType, name[1:]+"_texts")))
	}
	for _, name := range []string{"@eq", "@ne", "@isin"} {
		out = append(out, cel.Function(name, two(cel.DynType, cel.BoolType, name[1:]+"_any")))
	}
	for _, f := range table {
		if !f.macro {
			out = append(out, f.declare())
		}
	}
	return out
}

// declare gives CEL one overload for each number of arguments.
func (f *function) declare() cel.EnvOption {
	params, result := f.types()
	var opts []cel.FunctionOpt
	for n := f.required(); n <= len(params); n++ {
		id := fmt.Sprintf("%s/%d", f.Name, n)
		if f.Method {
			opts = append(opts, cel.MemberOverload("."+id, params[:n], result, cel.LateFunctionBinding()))
			continue
		}
		opts = append(opts, cel.Overload(id, params[:n], result, cel.LateFunctionBinding()))
	}
	return cel.Function(f.Name, opts...)
}

func (f *function) params() []string {
	_, rest, _ := strings.Cut(f.Signature, "(")
	list, _, _ := strings.Cut(rest, ")")
	if list == "" {
		return nil
	}
	return strings.Split(list, ", ")
}

// required is how many arguments a call must have.
func (f *function) required() int {
	n := 0
	for _, p := range f.params() {
		if !strings.Contains(p, "?") {
			n++
		}
	}
	return n
}

func (f *function) types() (params []*cel.Type, result *cel.Type) {
	for _, p := range f.params() {
		params = append(params, celType(p[strings.LastIndexByte(p, ' ')+1:]))
	}
	return params, celType(f.Signature[strings.LastIndexByte(f.Signature, ' ')+1:])
}

func celType(name string) *cel.Type {
	switch name {
	case "text":
		return cel.StringType
	case "number":
		return cel.DoubleType
	case "boolean":
		return cel.BoolType
	case "list":
		return cel.ListType(cel.DynType)
	case "object":
		return cel.MapType(cel.DynType, cel.DynType)
	case "any":
		return cel.DynType
	}
	panic("expr: no such type in a signature: " + name)
}

// macros are CEL's own and those of std that bind a name.
func macros() []cel.Macro {
	return []cel.Macro{
		cel.ReceiverMacro("existsOne", 2, parser.MakeExistsOne),
		cel.ReceiverMacro("map", 2, parser.MakeMap),
		cel.ReceiverMacro("map", 3, ofStd(parser.MakeMap, parser.MakeMap)),
		cel.ReceiverMacro("filter", 2, parser.MakeFilter),
		cel.ReceiverMacro("filter", 3, ofStd(parser.MakeFilter, nil)),
		cel.ReceiverMacro("find", 3, ofStd(makeFind, nil)),
		cel.ReceiverMacro("findFirst", 3, ofStd(makeFind, nil)),
		cel.ReceiverMacro("reduce", 5, makeReduce),
		cel.ReceiverMacro("let", 3, makeLet),
	}
}

// ofStd expands std.name(list, x, body) as list.name(x, body), and calls other
// for any other receiver.
func ofStd(expand, other cel.MacroFactory) cel.MacroFactory {
	return func(h cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
		if isStd(target) {
			return expand(h, args[0], args[1:])
		}
		if other == nil {
			return nil, nil
		}
		return other(h, target, args)
	}
}

func isStd(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == "std" }

// makeFind is the first element that fits, or null.
func makeFind(h cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	list, err := parser.MakeFilter(h, target, args)
	if err != nil {
		return nil, err
	}
	return h.NewCall("@first", list), nil
}

// makeReduce is std.reduce(list, start, acc, x, step).
func makeReduce(h cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	if !isStd(target) {
		return nil, nil
	}
	acc, err := name(h, args[2])
	if err != nil {
		return nil, err
	}
	x, err := name(h, args[3])
	if err != nil {
		return nil, err
	}
	if acc == x {
		return nil, h.NewError(args[3].ID(), "the two names must differ")
	}
	return h.NewComprehension(args[0], x, acc, h.NewCall("@any", args[1]), h.NewLiteral(types.True), args[4], h.NewIdent(acc)), nil
}

// makeLet is std.let(x, value, body).
func makeLet(h cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	if !isStd(target) {
		return nil, nil
	}
	x, err := name(h, args[0])
	if err != nil {
		return nil, err
	}
	return h.NewComprehension(h.NewList(), "@none", x, args[1], h.NewLiteral(types.False), h.NewIdent(x), args[2]), nil
}

func name(h cel.MacroExprFactory, e ast.Expr) (string, *common.Error) {
	if e.Kind() != ast.IdentKind {
		return "", h.NewError(e.ID(), "this must be a name")
	}
	return e.AsIdent(), nil
}
