// Package expr evaluates the expressions of a journey: CEL with the spelling
// that journey authors know (`@policy.userContext().email`), over the variables
// of a run.
//
// An expression computes and nothing else: it has no I/O, no reflection, no
// loops that its input does not bound, and it sees only what its Scope holds.
// Work, memory and time of one evaluation are limited (security J7). What an
// expression cannot compute is an error with a line and a column; it is never
// silently nothing.
//
// Differences from plain CEL, all of them so that an expression over JSON means
// what its author reads:
//
//   - There is one type of number, JSON's. 1 and 1.0 are the same, 5/2 is 2.5.
//   - A bare name is a variable of the run. A variable that was never set is
//     null; a missing field of a value is an error. `has(a.b)`, `a.?b.orValue(x)`
//     and `a.b ?? x` ask for what may be missing.
//   - && and || read from left to right; an error on the left is an error.
//   - The two sides of `? :` may differ in type.
//   - `@` before a name is decoration.
//   - std.map(list, x, f), std.filter(list, x, p), std.find(list, x, p),
//     std.reduce(list, start, acc, x, f) and std.let(x, value, f) bind x (and
//     acc) in their last argument, as CEL's own list.map(x, f) does.
//   - Unsigned numbers, bytes, messages, types, durations and timestamps do not
//     exist. Times are milliseconds since 1970.
package expr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/interpreter"
)

const (
	maxSource = 8 << 10 // bytes of an expression
	maxResult = 1 << 20 // bytes of a result
	maxDepth  = 32      // nesting of values

	// maxWork is what one evaluation may do: values touched, 16 bytes of text
	// each one. It comes to less than 10 ms of CPU, on every machine at the same
	// step; maxTime only guards against what nobody thought of, and is so long
	// that a busy machine does not fail a login that is in order.
	maxWork = 60_000
	maxTime = time.Second
)

// Error says what is wrong with an expression, and where. Line and Column count
// from 1, columns in characters. The message holds names and no values.
type Error struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// Scope is all that an expression can see.
type Scope struct {
	// Vars are the variables by name: what encoding/json decodes into an any,
	// or what it could encode. They are not changed.
	Vars map[string]any
	// Functions implement those of Functions() whose Scoped is true, by name.
	// A function that is not there fails where it is called.
	Functions map[string]func(args []any) (any, error)
}

// Program is a compiled expression. It never changes and may be evaluated by
// many at once.
type Program struct {
	src       string
	names     []string
	functions []string
	info      *ast.SourceInfo
	program   cel.Program
	loops     bool
}

// Compile checks and prepares src, which has at most 8 KiB. The error is an
// *Error.
func Compile(src string) (*Program, error) {
	if len(src) > maxSource {
		return nil, &Error{1, 1, fmt.Sprintf("The expression is longer than %d bytes.", maxSource)}
	}
	text, coalesce, err := prepare(src)
	if err != nil {
		return nil, err
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("preparing expressions: %w", err)
	}
	parsed, issues := env.Parse(text)
	if issues.Err() != nil {
		return nil, firstIssue(src, issues)
	}
	rw := newRewriter(src, parsed.NativeRep(), coalesce)
	if err := rw.run(); err != nil {
		return nil, err
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, firstIssue(src, issues)
	}
	return plan(env, checked, rw)
}

func plan(env *cel.Env, checked *cel.Ast, rw *rewriter) (*Program, error) {
	var opts []cel.ProgramOption
	if rw.loops {
		opts = append(opts, cel.CostLimit(maxWork), cel.InterruptCheckFrequency(16))
	}
	program, err := env.Program(checked, opts...)
	if err != nil {
		return nil, &Error{1, 1, "The expression cannot be prepared."}
	}
	tree := checked.NativeRep()
	return &Program{rw.src, rw.freeNames(), calledFunctions(tree), tree.SourceInfo(), program, rw.loops}, nil
}

// Names returns the variables that the expression reads, sorted.
func (p *Program) Names() []string { return slices.Clone(p.names) }

// Functions returns the functions of Functions() that the expression calls,
// sorted.
func (p *Program) Functions() []string { return slices.Clone(p.functions) }

// Eval computes the expression. The result is what encoding/json decodes into
// an any: nil, bool, float64, string, []any or map[string]any; whole numbers
// are float64 too. It shares nothing with the scope. An expression that fails
// is an *Error; the error of a function of the scope, or of ctx, is in the
// chain.
func (p *Program) Eval(ctx context.Context, scope Scope) (any, error) {
	s := acquire(ctx, scope)
	defer s.release()
	out, err := s.run(p)
	if s.cause != nil {
		return nil, s.cause // whatever && and || made of it
	}
	if err != nil {
		return nil, s.explain(p, err)
	}
	v, err := s.result(out)
	if err != nil {
		return nil, &Error{1, 1, computing(err)}
	}
	return v, nil
}

// explain turns the failure of an evaluation into what Eval promises.
func (s *state) explain(p *Program, err error) error {
	if caller := s.ctx.Err(); caller != nil {
		return fmt.Errorf("evaluating an expression: %w", caller)
	}
	if cancelled(err) {
		return &Error{1, 1, tooMuch}
	}
	return p.at(err)
}

const tooMuch = "The expression does too much work."

func cancelled(err error) bool {
	var c interpreter.EvalCancelledError
	return errors.As(err, &c) || errors.Is(err, interpreter.InterruptError{}) || errors.Is(err, context.DeadlineExceeded)
}

func scalar(v any) bool {
	switch v.(type) {
	case nil, bool, float64, string:
		return true
	}
	return false
}
