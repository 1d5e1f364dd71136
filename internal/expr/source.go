package expr

import "strings"

// scanner walks over the characters of an expression and knows which of them
// are code. It exists because two things are rewritten before CEL reads the
// text, and because errors have to find where something stands.
type scanner struct {
	text []rune
	i    int
}

// skip moves past a string literal or a comment that begins here and reports
// whether there was one.
func (s *scanner) skip() bool {
	switch c := s.text[s.i]; {
	case c == '"' || c == '\'':
		s.literal(c, s.i > 0 && (s.text[s.i-1] == 'r' || s.text[s.i-1] == 'R') && !s.word(s.i-2))
		return true
	case c == '/' && s.peek(1) == '/':
		for s.i < len(s.text) && s.text[s.i] != '\n' {
			s.i++
		}
		return true
	}
	return false
}

func (s *scanner) peek(n int) rune {
	if s.i+n < len(s.text) {
		return s.text[s.i+n]
	}
	return 0
}

// word reports whether the character at i can be part of a name.
func (s *scanner) word(i int) bool {
	if i < 0 || i >= len(s.text) {
		return false
	}
	c := s.text[i]
	return c == '_' || c >= '0' && c <= '9' || letter(c)
}

func letter(c rune) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func (s *scanner) literal(quote rune, raw bool) {
	triple := s.peek(1) == quote && s.peek(2) == quote
	if s.i++; triple {
		s.i += 2
	}
	for ; s.i < len(s.text); s.i++ {
		switch c := s.text[s.i]; {
		case c == '\\' && !raw:
			s.i++
		case c == quote && triple && s.peek(1) == quote && s.peek(2) == quote:
			s.i += 3
			return
		case c == quote && !triple:
			s.i++
			return
		}
	}
	s.i = len(s.text)
}

// logic remembers which operators stood side by side at one level.
type logic struct{ coalesce, logical bool }

// prepare makes CEL of src without moving a character, so that columns stay
// true: the @ before a name becomes a space, and ?? becomes ||, whose places
// are returned so that the rewriter finds them again.
func prepare(src string) (text string, coalesce map[int32]bool, err error) {
	s := scanner{text: []rune(src)}
	coalesce = map[int32]bool{}
	levels := []logic{{}}
	for s.i < len(s.text) {
		if s.skip() {
			continue
		}
		top := &levels[len(levels)-1]
		switch c := s.text[s.i]; {
		case c == '@' && (letter(s.peek(1)) || s.peek(1) == '_'):
			s.text[s.i] = ' '
		case c == '?' && s.peek(1) == '?':
			s.text[s.i], s.text[s.i+1] = '|', '|'
			coalesce[int32(s.i)] = true
			top.coalesce = true
			s.i++
		case c == '|' && s.peek(1) == '|', c == '&' && s.peek(1) == '&':
			top.logical = true
			s.i++
		case c == '(' || c == '[' || c == '{':
			levels = append(levels, logic{})
		case c == ')' || c == ']' || c == '}':
			if len(levels) > 1 {
				levels = levels[:len(levels)-1]
			}
		case c == ',' || c == ':' || c == '?' && s.i > 0 && !strings.ContainsRune(".[{,", s.text[s.i-1]):
			*top = logic{}
		}
		if top.coalesce && top.logical {
			return "", nil, s.here("Put parentheses around one of ?? and || or &&.")
		}
		s.i++
	}
	return string(s.text), coalesce, nil
}

// here is an error at the character that is read.
func (s *scanner) here(message string) *Error {
	line, column := 1, 1
	for _, c := range s.text[:min(s.i, len(s.text))] {
		if column++; c == '\n' {
			line, column = line+1, 1
		}
	}
	return &Error{line, column, message}
}
