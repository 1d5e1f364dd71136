package expr

import (
	"context"
	"fmt"
	"strings"
)

const maxTemplate = 64 << 10

// Template is a text with expressions in ${…}. It never changes.
type Template struct {
	parts []piece
}

// piece is either text or an expression.
type piece struct {
	text    string
	program *Program
}

// CompileTemplate prepares a text of at most 64 KiB. ${…} holds an expression,
// $${ is the text ${. The error is an *Error that counts from the beginning of
// the text.
func CompileTemplate(src string) (*Template, error) {
	if len(src) > maxTemplate {
		return nil, &Error{1, 1, fmt.Sprintf("The text is longer than %d bytes.", maxTemplate)}
	}
	s := scanner{text: []rune(src)}
	var parts []piece
	var b strings.Builder
	for s.i < len(s.text) {
		switch {
		case s.text[s.i] == '$' && s.peek(1) == '$' && s.peek(2) == '{':
			b.WriteString("${")
			s.i += 3
		case s.text[s.i] == '$' && s.peek(1) == '{':
			parts = append(parts, piece{text: b.String()})
			b.Reset()
			p, err := s.embedded()
			if err != nil {
				return nil, err
			}
			parts = append(parts, piece{program: p})
		default:
			b.WriteRune(s.text[s.i])
			s.i++
		}
	}
	return &Template{append(parts, piece{text: b.String()})}, nil
}

// embedded compiles the ${…} that begins here and moves past it.
func (s *scanner) embedded() (*Program, error) {
	open := s.here("This ${ has no }.")
	s.i += 2
	from, depth := s.i, 0
	for s.i < len(s.text) {
		if s.skip() {
			continue
		}
		switch s.text[s.i] {
		case '{':
			depth++
		case '}':
			if depth--; depth < 0 {
				p, err := Compile(string(s.text[from:s.i]))
				s.i++
				return p, shift(err, open.Line, open.Column+2)
			}
		}
		s.i++
	}
	return nil, open
}

// shift moves an error of an expression to its place in the text around it.
func shift(err error, line, column int) error {
	e, ok := err.(*Error)
	if !ok {
		return err
	}
	if e.Line == 1 {
		return &Error{line, column + e.Column - 1, e.Message}
	}
	return &Error{line + e.Line - 1, e.Column, e.Message}
}

// Eval returns the text with the values of its expressions: null is nothing, a
// list or an object is JSON. It is at most 1 MiB long.
func (t *Template) Eval(ctx context.Context, scope Scope) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.program == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := p.program.Eval(ctx, scope)
		if err != nil {
			return "", err
		}
		written, err := text(&state{work: maxWork}, v)
		if err != nil {
			return "", &Error{1, 1, computing(err)}
		}
		if b.WriteString(written); b.Len() > maxResult {
			return "", &Error{1, 1, tooMuch}
		}
	}
	return b.String(), nil
}
