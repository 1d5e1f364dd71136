package expr

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// state is one evaluation: what it sees and how much work it has left. CEL asks
// it for the variables and for every function.
type state struct {
	ctx    context.Context
	scope  Scope
	work   int
	cause  error // what a function of the scope failed with
	vars   variables
	called map[string]functions.LateBoundOp
}

var states = sync.Pool{New: func() any { return newState() }}

func newState() *state {
	s := &state{called: make(map[string]functions.LateBoundOp, len(table)+len(ours)+1)}
	s.vars.s = s
	for name, op := range operations {
		s.called[name] = func(_ string, args ...ref.Val) ref.Val { return op(s, args) }
	}
	for _, f := range table {
		if !f.macro {
			s.called[f.Name] = func(_ string, args ...ref.Val) ref.Val { return s.call(f, args) }
		}
	}
	return s
}

func acquire(ctx context.Context, scope Scope) *state {
	s := states.Get().(*state)
	s.ctx, s.scope, s.work, s.cause = ctx, scope, maxWork, nil
	return s
}

func (s *state) release() {
	s.ctx, s.scope, s.cause = nil, Scope{}, nil
	states.Put(s)
}

// run evaluates without a clock where nothing can loop: the work that is left
// bounds the rest.
func (s *state) run(p *Program) (ref.Val, error) {
	if !p.loops {
		out, _, err := p.program.Eval(s)
		return out, err
	}
	ctx, cancel := context.WithTimeout(s.ctx, maxTime)
	defer cancel()
	out, _, err := p.program.ContextEval(ctx, s)
	return out, err
}

// ResolveName, Parent and ResolveFunction are what CEL asks for.
func (s *state) ResolveName(name string) (any, bool) { return &s.vars, name == varsName }
func (s *state) Parent() cel.Activation              { return nil }
func (s *state) ResolveFunction(name string) (functions.LateBoundOp, bool) {
	op, ok := s.called[name]
	return op, ok
}

var errWork = problem(tooMuch)

// spend takes n units from the work that is left.
func (s *state) spend(n int) error {
	if s.work -= n; s.work < 0 {
		return errWork
	}
	return nil
}

// call runs a function of the table, or of the scope.
func (s *state) call(f *function, args []ref.Val) ref.Val {
	plain := make([]any, len(args))
	for i, a := range args {
		v, err := s.plain(a, 0)
		if err != nil {
			return failed(f.Name, err)
		}
		plain[i] = v
	}
	if f.Scoped {
		return s.outside(f, plain)
	}
	out, err := f.run(s, plain)
	if err != nil {
		return failed(f.Name, err)
	}
	if text, ok := out.(string); ok {
		if err := s.spend(len(text) / 16); err != nil {
			return failed(f.Name, err)
		}
	}
	return adapter{}.NativeToValue(out)
}

func failed(name string, err error) ref.Val {
	if err == errWork {
		return types.WrapErr(errWork)
	}
	return types.WrapErr(problem(name + ": " + computing(err)))
}

// outside calls a function of the scope. Its error is not part of the
// expression: the caller gets it as it is.
func (s *state) outside(f *function, args []any) ref.Val {
	fn := s.scope.Functions[f.Name]
	if fn == nil {
		return types.WrapErr(problem(f.Name + " is not available here."))
	}
	out, err := fn(args)
	if err != nil {
		s.cause = fmt.Errorf("%s: %w", f.Name, err)
		return types.WrapErr(s.cause)
	}
	return adapter{}.NativeToValue(out)
}

// plain copies a value as JSON would have it.
func (s *state) plain(v ref.Val, depth int) (any, error) {
	if depth > maxDepth {
		return nil, problem("The value is nested too deeply.")
	}
	if err := s.spend(1); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.Double:
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, problem("This is not a number.")
		}
		return float64(v), nil
	case types.Int:
		return float64(v), nil
	case types.String:
		return string(v), s.spend(len(v) / 16)
	case *types.Optional:
		if !v.HasValue() {
			return nil, nil
		}
		return s.plain(v.GetValue(), depth+1)
	case *types.Err:
		return nil, v
	case traits.Mapper:
		return s.plainMap(v, depth)
	case traits.Lister:
		return s.plainList(v, depth)
	}
	return nil, problem("This is not a value that JSON has.")
}

func (s *state) plainMap(m traits.Mapper, depth int) (any, error) {
	n, _ := m.Size().(types.Int)
	if err := s.spend(int(n)); err != nil {
		return nil, err
	}
	out := make(map[string]any, n)
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, problem("The keys of an object must be text.")
		}
		v, err := s.plain(m.Get(key), depth+1)
		if err != nil {
			return nil, err
		}
		if err := s.spend(len(name) / 16); err != nil {
			return nil, err
		}
		out[string(name)] = v
	}
	return out, nil
}

func (s *state) plainList(l traits.Lister, depth int) (any, error) {
	n, _ := l.Size().(types.Int)
	if err := s.spend(int(n)); err != nil {
		return nil, err
	}
	out := make([]any, 0, n)
	for i := types.Int(0); i < n; i++ {
		v, err := s.plain(l.Get(i), depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// result is the value of the whole expression.
func (s *state) result(out ref.Val) (any, error) {
	s.work = maxResult / 8 // its size is bounded below
	v, err := s.plain(out, 0)
	if err != nil {
		return nil, err
	}
	if size(v, 0) > maxResult {
		return nil, problem("The result is larger than 1 MiB.")
	}
	return v, nil
}

// size is sum and about how many bytes v has as JSON.
func size(v any, sum int) int {
	switch v := v.(type) {
	case string:
		return sum + len(v)
	case []any:
		for _, x := range v {
			sum = size(x, sum+1)
		}
	case map[string]any:
		for k, x := range v {
			sum = size(x, sum+len(k)+4)
		}
	default:
		return sum + 8
	}
	return sum + 2
}

// variables is the map of the run's variables. What was never set is null.
type variables struct{ s *state }

func (v *variables) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.WrapErr(problem("no such variable")), false
	}
	return adapter{}.NativeToValue(v.s.scope.Vars[string(name)]), true
}

func (v *variables) Get(key ref.Val) ref.Val  { x, _ := v.Find(key); return x }
func (v *variables) Contains(ref.Val) ref.Val { return types.True }
func (v *variables) Size() ref.Val            { return types.IntZero }
func (v *variables) Iterator() traits.Iterator {
	return types.NewDynamicList(adapter{}, []any{}).Iterator()
}
func (v *variables) ConvertToNative(reflect.Type) (any, error) {
	return nil, problem("This is not a value.")
}
func (v *variables) ConvertToType(ref.Type) ref.Val {
	return types.WrapErr(problem("This is not a value."))
}
func (v *variables) Equal(ref.Val) ref.Val { return types.False }
func (v *variables) Type() ref.Type        { return types.MapType }
func (v *variables) Value() any            { return v }

// adapter shows Go values to CEL. Every number is a double.
type adapter struct{}

func (a adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case nil:
		return types.NullValue
	case ref.Val:
		return v
	case bool:
		return types.Bool(v)
	case string:
		return types.String(v)
	case float64:
		return types.Double(v)
	case int:
		return types.Double(v)
	case int64:
		return types.Double(v)
	case json.Number:
		n, err := v.Float64()
		if err != nil {
			return types.WrapErr(problem("a number is out of range"))
		}
		return types.Double(n)
	case map[string]any:
		if v == nil {
			return types.NullValue
		}
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	case []string:
		return types.NewStringList(a, v)
	case []ref.Val:
		return types.NewRefValList(a, v)
	case map[ref.Val]ref.Val:
		return types.NewRefValMap(a, v)
	}
	return a.encoded(value)
}

// encoded shows any other Go value as its JSON.
func (a adapter) encoded(value any) ref.Val {
	b, err := json.Marshal(value)
	if err != nil {
		return types.WrapErr(problem("a value cannot be shown to expressions"))
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return types.WrapErr(problem("a value cannot be shown to expressions"))
	}
	return a.NativeToValue(v)
}

// operation is an operator on values as CEL has them.
type operation func(s *state, args []ref.Val) ref.Val

var operations map[string]operation

func init() {
	operations = map[string]operation{
		"@add":  add,
		"@sub":  arithmetic(func(x, y float64) float64 { return x - y }),
		"@mul":  arithmetic(func(x, y float64) float64 { return x * y }),
		"@div":  arithmetic(func(x, y float64) float64 { return x / y }),
		"@mod":  arithmetic(math.Mod),
		"@neg":  func(_ *state, a []ref.Val) ref.Val { return -a[0].(types.Double) },
		"@lt":   compare(func(c int) bool { return c < 0 }),
		"@le":   compare(func(c int) bool { return c <= 0 }),
		"@gt":   compare(func(c int) bool { return c > 0 }),
		"@ge":   compare(func(c int) bool { return c >= 0 }),
		"@eq":   func(s *state, a []ref.Val) ref.Val { return s.equal(a[0], a[1], false) },
		"@ne":   func(s *state, a []ref.Val) ref.Val { return s.equal(a[0], a[1], true) },
		"@isin": isin,
	}
}

func add(s *state, a []ref.Val) ref.Val {
	switch x := a[0].(type) {
	case types.Double:
		return number(float64(x + a[1].(types.Double)))
	case types.String:
		y := a[1].(types.String)
		if err := s.spend((len(x) + len(y)) / 16); err != nil {
			return failed("+", err)
		}
		return x + y
	}
	return s.concat(a[0].(traits.Lister), a[1].(traits.Lister))
}

// concat copies: CEL's own concatenation is a tree whose size takes as long to
// count as it has leaves, however many of them are the same.
func (s *state) concat(x, y traits.Lister) ref.Val {
	n, m := x.Size().(types.Int), y.Size().(types.Int)
	if err := s.spend(int(n + m)); err != nil {
		return failed("+", err)
	}
	out := make([]ref.Val, 0, n+m)
	for i := types.Int(0); i < n; i++ {
		out = append(out, x.Get(i))
	}
	for i := types.Int(0); i < m; i++ {
		out = append(out, y.Get(i))
	}
	return types.NewRefValList(adapter{}, out)
}

func number(n float64) ref.Val {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return types.WrapErr(problem("The result is not a number."))
	}
	return types.Double(n)
}

func arithmetic(fn func(x, y float64) float64) operation {
	return func(_ *state, a []ref.Val) ref.Val {
		return number(fn(float64(a[0].(types.Double)), float64(a[1].(types.Double))))
	}
}

func compare(is func(int) bool) operation {
	return func(s *state, a []ref.Val) ref.Val {
		if x, ok := a[0].(types.String); ok {
			y := a[1].(types.String)
			if err := s.spend(min(len(x), len(y)) / 16); err != nil {
				return failed("comparison", err)
			}
			return types.Bool(is(strings.Compare(string(x), string(y))))
		}
		x, y := a[0].(types.Double), a[1].(types.Double)
		switch {
		case x < y:
			return types.Bool(is(-1))
		case x > y:
			return types.Bool(is(1))
		}
		return types.Bool(is(0))
	}
}

// equal compares what the values are as JSON.
func (s *state) equal(x, y ref.Val, negate bool) ref.Val {
	if same, simple := sameScalar(x, y); simple {
		return types.Bool(same != negate)
	}
	a, err := s.plain(x, 0)
	if err != nil {
		return failed("comparison", err)
	}
	b, err := s.plain(y, 0)
	if err != nil {
		return failed("comparison", err)
	}
	return types.Bool(same(a, b) != negate)
}

func sameScalar(x, y ref.Val) (same, simple bool) {
	switch x.(type) {
	case types.Bool, types.Double, types.String, types.Null:
		switch y.(type) {
		case types.Bool, types.Double, types.String, types.Null:
			return x == y, true
		}
	}
	return false, false
}

// same reports deep equality of plain values.
func same(x, y any) bool {
	switch x := x.(type) {
	case []any:
		y, ok := y.([]any)
		return ok && slices.EqualFunc(x, y, same)
	case map[string]any:
		y, ok := y.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k, v := range x {
			if w, ok := y[k]; !ok || !same(v, w) {
				return false
			}
		}
		return true
	}
	return scalar(y) && x == y
}

func isin(s *state, a []ref.Val) ref.Val {
	x, err := s.plain(a[0], 0)
	if err != nil {
		return failed("in", err)
	}
	in, err := s.plain(a[1], 0)
	if err != nil {
		return failed("in", err)
	}
	switch in := in.(type) {
	case []any:
		return types.Bool(slices.ContainsFunc(in, func(y any) bool { return same(x, y) }))
	case map[string]any:
		key, ok := x.(string)
		_, has := in[key]
		return types.Bool(ok && has)
	}
	return types.WrapErr(problem("The right side of in must be a list or an object."))
}
