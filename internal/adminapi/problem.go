package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/web"
)

// Problem is an error as RFC 9457 has it. Code is for programs.
type Problem struct {
	Type   string  `json:"type"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Code   string  `json:"code"`
	Errors []Issue `json:"errors"`

	retry int // seconds
}

// Issue is what is wrong at one place. It never holds a secret that was there, and
// nothing of another place.
type Issue struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

func (p *Problem) Error() string             { return p.Detail }
func (p *Problem) GetStatus() int            { return p.Status }
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders is when to come back.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retry))
	}
	return h
}

// NewProblem makes a problem of a status, a word for programs and a sentence.
func NewProblem(status int, code, detail string, issues ...Issue) *Problem {
	if issues == nil {
		issues = []Issue{}
	}
	return &Problem{Type: "urn:watchword:problem:" + code, Title: http.StatusText(status), Status: status, Detail: detail, Code: code, Errors: issues}
}

var (
	signedOut            = NewProblem(http.StatusUnauthorized, "signed_out", "Sign in first.")
	stepUpRequired       = NewProblem(http.StatusForbidden, "step_up_required", "Confirm with your passkey first.")
	passkeyRequired      = NewProblem(http.StatusForbidden, "passkey_required", "Add a passkey first.")
	preconditionFailed   = NewProblem(http.StatusPreconditionFailed, "precondition_failed", "Somebody changed this meanwhile. Look at it again.")
	preconditionRequired = NewProblem(http.StatusPreconditionRequired, "precondition_failed", "Say which version you change: If-Match is missing.")
)

// What is said of a member that is not there, or empty; the library names it.
const (
	missing = "This is required."
	absent  = "%s is required."
)

// The library makes its own errors, for requests that do not fit their
// description, by this function. They lose the value that it would echo, and are
// said in our words, which the console knows in its languages.
func init() {
	huma.DefaultArrayNullable = false
	validation.MsgUnexpectedProperty = "There is no such field."
	validation.MsgExpectedBoolean = "This must be true or false."
	validation.MsgExpectedNumber = "This must be a number."
	validation.MsgExpectedInteger = "This must be a whole number."
	validation.MsgExpectedString = "This must be text."
	validation.MsgExpectedArray = "This must be a list."
	validation.MsgExpectedObject = "This must be an object."
	validation.MsgExpectedOneOf = "This must be one of %s."
	validation.MsgExpectedMinimumNumber = "This must be at least %v."
	validation.MsgExpectedMaximumNumber = "This must be at most %v."
	validation.MsgExpectedMinLength = "This needs at least %d characters."
	validation.MsgExpectedMaxLength = "This has at most %d characters."
	validation.MsgExpectedBePattern = "%s"
	validation.MsgExpectedMinItems = "This needs at least %d rows."
	validation.MsgExpectedMaxItems = "This has at most %d rows."
	validation.MsgExpectedRequiredProperty = absent
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		var issues []Issue
		for _, err := range errs {
			if d, ok := err.(huma.ErrorDetailer); ok {
				issues = append(issues, issueOf(d.ErrorDetail()))
			}
		}
		switch {
		case status >= 500:
			return NewProblem(status, string(fault.Internal), "internal error")
		case status == http.StatusUnprocessableEntity || status == http.StatusUnsupportedMediaType || status == http.StatusRequestEntityTooLarge:
			status = http.StatusBadRequest
		}
		if len(issues) > 0 {
			msg = strings.TrimPrefix(issues[0].Location, "body.") + ": " + issues[0].Message
		}
		return NewProblem(status, string(fault.Invalid), msg, issues...)
	}
}

// issueOf is what the library found, at the member that it is about: it says of an
// object that a member is missing.
func issueOf(d *huma.ErrorDetail) Issue {
	switch name, found := strings.CutSuffix(d.Message, strings.TrimPrefix(absent, "%s")); {
	case found && name != "This":
		return Issue{d.Location + "." + name, missing}
	case d.Message == fmt.Sprintf(validation.MsgExpectedMinLength, 1), d.Message == fmt.Sprintf(validation.MsgExpectedMinItems, 1):
		return Issue{d.Location, missing}
	}
	return Issue{d.Location, d.Message}
}

// refusedAt is a refusal of what stands outside the body: path.name.
func refusedAt(place string, err error) *Problem {
	f := fault.Of(err)
	return NewProblem(web.Status(f.Code), string(f.Code), f.Message, Issue{place, f.Message})
}

// problem is an error as the client sees it.
func (c *Call) problem(ctx context.Context, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	f := web.Note(ctx, err)
	code, status := f.Code, web.Status(f.Code)
	if code == fault.Wrong {
		code, status = fault.Denied, http.StatusForbidden
	}
	p := NewProblem(status, string(code), f.Message)
	if f.Place != "" {
		p.Errors = append(p.Errors, Issue{"body." + f.Place, f.Message})
	}
	p.retry = int(math.Ceil(f.RetryAfter.Seconds()))
	return p
}

func (p *Problem) write(w http.ResponseWriter) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

// misfits is what a form refuses, place by place; nil if it refuses nothing.
func misfits(at string, found []form.Problem) error {
	if len(found) == 0 {
		return nil
	}
	return NewProblem(http.StatusBadRequest, string(fault.Invalid), found[0].Text, issues(at, found)...)
}

func issues(at string, found []form.Problem) []Issue {
	out := []Issue{}
	for _, p := range found {
		out = append(out, Issue{at + p.Path, p.Text})
	}
	return out
}

var (
	misread   = fault.New(fault.Invalid, "The cursor is not one of ours.")
	nameTaken = fault.New(fault.Conflict, "Somebody already goes by that name.")
)
