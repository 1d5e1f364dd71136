// Package oidc is the OpenID provider without its HTTP: what a client may ask,
// what a user granted it, and the tokens that follow. It authenticates no user:
// every grant is made of proofs that a journey, a session or an approval left.
//
// The provider is our own and not a library's, because three things had to be
// exact that a store behind a library's interface cannot make so: a code, a
// refresh and a request are spent by one conditional UPDATE in the transaction
// that uses them; a refresh that is repeated within its grace answers the same;
// and what is stored opens with what the client holds, and with nothing else.
package oidc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/token"
)

// How long things live (security 3.1).
const (
	CodeLife    = time.Minute
	RequestLife = 30 * time.Minute // an authorization that waits for somebody to sign in
	PushedLife  = 90 * time.Second
	TokenLife   = 10 * time.Minute
	RefreshLife = 30 * 24 * time.Hour // a family of refresh tokens, altogether
	Grace       = 10 * time.Second    // in which the same refresh token answers the same again
)

// Provider issues tokens. It is safe for concurrent use.
type Provider struct {
	Kit  *kit.Kit
	Keys *token.Keys
	// Fetch reads a document from an address that a client registered, guarded.
	Fetch func(ctx context.Context, address string) ([]byte, error)

	keys keyCache
}

// Error is a refusal in the words of OAuth (RFC 6749 4.1.2.1, 5.2).
type Error struct {
	Word  string // "invalid_grant"
	Text  string
	Wait  time.Duration // before the next try
	cause error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Word, e.Text) }
func (e *Error) Unwrap() error { return e.cause }

func refuse(word, format string, args ...any) *Error {
	return &Error{Word: word, Text: fmt.Sprintf(format, args...)}
}

func (e *Error) because(err error) *Error {
	c := *e
	c.cause = err
	return &c
}

// Refusal returns err as a refusal, or nil if it is an outage.
func Refusal(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	switch f := fault.Of(err); f.Code {
	case fault.Internal, fault.Unavailable, "":
		return nil
	case fault.Invalid:
		return &Error{Word: "invalid_request", Text: f.Message, cause: err}
	case fault.Limited:
		return &Error{Word: "slow_down", Text: f.Message, Wait: f.RetryAfter, cause: err}
	default:
		return &Error{Word: "access_denied", Text: f.Message, cause: err}
	}
}

// BadReturn refuses an address to return to that the client does not name.
var BadReturn = refuse("invalid_request", "The address to return to is not one of this client's.")

// The refusals that must not say more.
var (
	errClient = refuse("invalid_client", "The client is unknown, or did not show that it is who it says.")
	errGrant  = refuse("invalid_grant", "It is unknown, was used, has run out, or was given to somebody else.")
)

// refused is r instead of any refusal, and err itself if it is an outage.
func refused(err error, r *Error) error {
	if err != nil && Refusal(err) == nil {
		return err
	}
	return r.because(err)
}
