package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchword-auth/watchword/internal/fault"
)

const (
	// MaxBody is how large a request body may be, in bytes.
	MaxBody  = 64 << 10
	maxDepth = 32
	maxKeys  = 256
)

// Render answers a request with an error in the door's own words.
type Render func(w http.ResponseWriter, r *http.Request, e *fault.Error)

// JSON makes a handler of a function from a decoded body to a response. Unknown
// fields are refused.
func JSON[In, Out any](render Render, fn func(r *http.Request, in In) (Out, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := Decode(w, r, &in); err != nil {
			render(w, r, Report(r, err))
			return
		}
		out, err := fn(r, in)
		if err != nil {
			render(w, r, Report(r, err))
			return
		}
		Write(w, http.StatusOK, out, 0)
	})
}

// Decode reads the body of r, at most MaxBody, as one strict JSON value into v,
// whose fields are all that may be in it. fault.Invalid says what is wrong.
func Decode(w http.ResponseWriter, r *http.Request, v any) error { return read(w, r, v, true) }

// DecodeLoose is Decode for a foreign SDK: unknown fields are ignored, and
// nothing else is looser.
func DecodeLoose(w http.ResponseWriter, r *http.Request, v any) error { return read(w, r, v, false) }

func read(w http.ResponseWriter, r *http.Request, v any, known bool) error {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return fault.New(fault.Invalid, "The request is larger than %d bytes.", MaxBody)
		}
		return fault.New(fault.Invalid, "The request could not be read.").Because(err)
	}
	return Parse(b, v, known)
}

// Parse decodes one JSON value strictly: valid UTF-8, nothing after it, at most
// 32 levels, at most 256 keys in an object, no key twice (RFC 8259 4 leaves it
// open, and two readers may then disagree). Keys that differ in case alone are
// the same key, because encoding/json takes either for a field.
func Parse(b []byte, v any, known bool) error {
	if !utf8.Valid(b) {
		return fault.New(fault.Invalid, "The request is not UTF-8.")
	}
	if err := shape(b); err != nil {
		return fault.New(fault.Invalid, "The request is not the JSON that was expected.").Because(err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if known {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(v); err != nil {
		return fault.New(fault.Invalid, "The request is not the JSON that was expected.").Because(err)
	}
	return nil
}

// shape walks the tokens of one value.
func shape(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	type level struct {
		object bool
		key    bool // the next token is a key
		seen   map[string]bool
	}
	var stack []level
	for {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		if d, ok := t.(json.Delim); ok && (d == '}' || d == ']') {
			stack = stack[:len(stack)-1]
		} else {
			if n := len(stack); n > 0 && stack[n-1].object {
				top := &stack[n-1]
				if top.key = !top.key; !top.key { // t is a key
					k, _ := t.(string)
					k = fold(k)
					if top.seen[k] || len(top.seen) >= maxKeys {
						return fmt.Errorf("a key twice, or more than %d keys", maxKeys)
					}
					top.seen[k] = true
					continue
				}
			}
			if d, ok := t.(json.Delim); ok {
				if stack = append(stack, level{object: d == '{', key: true, seen: map[string]bool{}}); len(stack) > maxDepth {
					return fmt.Errorf("more than %d levels", maxDepth)
				}
			}
		}
		if len(stack) == 0 {
			if _, err := dec.Token(); err != io.EOF {
				return errors.New("something after the value")
			}
			return nil
		}
	}
}

// fold is what all spellings of a key that encoding/json takes for one another
// have in common: with the Kelvin sign and the long s, upper case comes first.
func fold(key string) string { return strings.ToLower(strings.ToUpper(key)) }

// Write answers with v as JSON that nobody stores. retryAfter above 0 adds the
// header, rounded up to seconds.
func Write(w http.ResponseWriter, status int, v any, retryAfter time.Duration) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":"internal"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(retryAfter.Seconds()))))
	}
	w.WriteHeader(status)
	w.Write(b)
}

// TooMany answers a request that came too soon, with the members that every
// door's errors have.
func TooMany(w http.ResponseWriter, wait time.Duration) {
	Write(w, http.StatusTooManyRequests, map[string]any{"error": "too_many_requests", "error_code": 4029, "error_message": "Too many requests. Wait and try again.",
		"message": "Too many requests. Wait and try again.",
		"headers": []any{}, "data": map[string]any{}}, wait)
}

// Status is the HTTP status of a client error.
func Status(c fault.Code) int {
	switch c {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Denied:
		return http.StatusForbidden
	case fault.Wrong:
		return http.StatusUnauthorized
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Locked, fault.Limited:
		return http.StatusTooManyRequests
	case fault.Expired:
		return http.StatusGone
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
