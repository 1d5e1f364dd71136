// Package fault is the one kind of error that may reach a client.
//
// Anything else that comes up the stack is a bug or an outage: it is logged in
// full by the door and the client is told "internal error", nothing more. The
// package knows no protocol; each door translates a Code into its own words.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Code says what went wrong in terms that every protocol can translate.
type Code string

const (
	Invalid     Code = "invalid"     // the request is malformed or fails validation
	Denied      Code = "denied"      // the caller is known and may not
	Wrong       Code = "wrong"       // the presented proof does not verify
	NotFound    Code = "not_found"   // no such thing, or not for this caller
	Conflict    Code = "conflict"    // somebody else moved first
	Locked      Code = "locked"      // the lockout engine refused the attempt
	Limited     Code = "limited"     // too many requests; RetryAfter says when to come back
	Expired     Code = "expired"     // it was right once
	Unavailable Code = "unavailable" // something we need is away; RetryAfter says when to come back
	Internal    Code = "internal"    // not for clients
)

// Error is safe to show to a client: Message never holds a secret, an internal
// name, or another user's data. Error() includes the hidden cause and is for
// logs only; doors show Message.
type Error struct {
	Code       Code
	Message    string
	RetryAfter time.Duration
	// Place is the member of the request that is meant, such as domains.0; empty: no
	// single one. It is a name of ours or an index, never a value.
	Place string
	cause error
}

func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.cause)
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.cause }

// New returns an error for the client.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Because returns a copy that carries the internal cause, which is logged and
// never shown.
func (e *Error) Because(err error) *Error {
	c := *e
	c.cause = err
	return &c
}

// After returns a copy that tells the client when to come back.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// At returns err as one about a member of the request: what was said of a member
// of that member is said of it there. Anything but a client error is returned as
// it is, and so is nil.
func At(err error, place string) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	c := *e
	if c.Place = place; e.Place != "" {
		c.Place += "." + e.Place
	}
	return &c
}

// Of returns err as a client error; an unknown error becomes Internal, and nil
// an empty Error.
func Of(err error) *Error {
	if err == nil {
		return &Error{}
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: Internal, Message: "internal error", cause: err}
}

// Is reports whether err carries code.
func Is(err error, code Code) bool { return err != nil && Of(err).Code == code }
