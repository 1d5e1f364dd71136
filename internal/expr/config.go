package expr

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Problem is an expression of a configuration that does not compile.
type Problem struct {
	Path string `json:"path"` // "rows.0.value"
	Err  *Error `json:"error"`
}

// Config is a configuration whose expressions are compiled. It never changes.
type Config struct {
	doc  map[string]any
	root *part
}

// part is where expressions are in a value; nil where there are none.
type part struct {
	program *Program
	object  map[string]*part
	list    map[int]*part
}

// CompileConfig compiles every {"expr": "…"} of doc, at any depth. With
// problems there is no Config. doc must not be changed afterwards.
func CompileConfig(doc map[string]any) (*Config, []Problem) {
	c := compiler{}
	root := c.object("", doc, 0)
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return &Config{doc, root}, nil
}

// Expr returns the source of v if v stands for an expression: an object whose
// only key is expr.
func Expr(v any) (src string, ok bool) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return "", false
	}
	src, ok = m["expr"].(string)
	return src, ok
}

type compiler struct {
	problems []Problem
	count    int
}

func (c *compiler) add(path string, err *Error) {
	c.problems = append(c.problems, Problem{strings.TrimPrefix(path, "."), err})
}

func (c *compiler) value(path string, v any, depth int) *part {
	if src, ok := Expr(v); ok {
		return c.expression(path, src)
	}
	switch v := v.(type) {
	case map[string]any:
		return c.object(path, v, depth)
	case []any:
		return c.list(path, v, depth)
	}
	return nil
}

const maxExpressions = 256 // of one configuration

func (c *compiler) expression(path, src string) *part {
	if c.count++; c.count > maxExpressions {
		if c.count == maxExpressions+1 {
			c.add(path, &Error{1, 1, fmt.Sprintf("There are more than %d expressions.", maxExpressions)})
		}
		return nil
	}
	p, err := Compile(src)
	if err != nil {
		e, ok := err.(*Error)
		if !ok {
			e = &Error{1, 1, "The expression cannot be checked at the moment."}
		}
		c.add(path, e)
		return nil
	}
	return &part{program: p}
}

func (c *compiler) object(path string, m map[string]any, depth int) *part {
	if depth > maxDepth {
		c.add(path, &Error{1, 1, "The configuration is nested too deeply."})
		return nil
	}
	var out *part
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if p := c.value(path+"."+k, m[k], depth+1); p != nil {
			if out == nil {
				out = &part{object: map[string]*part{}}
			}
			out.object[k] = p
		}
	}
	return out
}

func (c *compiler) list(path string, l []any, depth int) *part {
	if depth > maxDepth {
		c.add(path, &Error{1, 1, "The configuration is nested too deeply."})
		return nil
	}
	var out *part
	for i, v := range l {
		if p := c.value(path+"."+strconv.Itoa(i), v, depth+1); p != nil {
			if out == nil {
				out = &part{list: map[int]*part{}}
			}
			out.list[i] = p
		}
	}
	return out
}

// Eval returns the configuration with the values of its expressions. What has
// no expression in it is the very document that was compiled, not a copy: do
// not change the result. An error names the path of its expression.
func (c *Config) Eval(ctx context.Context, scope Scope) (map[string]any, error) {
	if c.root == nil {
		return c.doc, nil
	}
	out, err := c.root.eval(ctx, scope, "", c.doc)
	if err != nil {
		return nil, err
	}
	return out.(map[string]any), nil
}

func (p *part) eval(ctx context.Context, scope Scope, path string, v any) (any, error) {
	if p.program != nil {
		out, err := p.program.Eval(ctx, scope)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.TrimPrefix(path, "."), err)
		}
		return out, nil
	}
	if p.list != nil {
		out := slices.Clone(v.([]any))
		for i, sub := range p.list {
			x, err := sub.eval(ctx, scope, path+"."+strconv.Itoa(i), out[i])
			if err != nil {
				return nil, err
			}
			out[i] = x
		}
		return out, nil
	}
	out := maps.Clone(v.(map[string]any))
	for k, sub := range p.object {
		x, err := sub.eval(ctx, scope, path+"."+k, out[k])
		if err != nil {
			return nil, err
		}
		out[k] = x
	}
	return out, nil
}
