// Package simulator holds the two clients of the Mosaic protocol as a library:
// Browser does what the web SDK does in a page, Phone does what the mobile SDK
// and the app around it do in a pocket. Both speak to a server over HTTP and to
// nothing else; the command line's phone, the end-to-end tests, the crash tests
// and the benchmark are made of them.
//
// It is strict where the real SDKs are: an answer that would make one of them
// throw is an error here. It imports nothing of the server, so that a mistake
// on one side cannot hide on the other; it decides nothing for a server, and no
// part of a server may import it.
package simulator

import (
	"errors"
	"fmt"
)

// The kinds of Response, in the SDKs' words.
const (
	InputRequired  = "client_input_required"
	UpdateRequired = "client_input_update_required"
	Success        = "journey_success"
	Rejection      = "journey_rejection"
)

// The options that have a meaning of their own; any other id is an escape.
const (
	ClientInput = "client_input"
	Resend      = "resend"
	Cancel      = "cancel"
	Failure     = "failure"
	NotMe       = "not_me"
)

// The wire types of the steps that the two clients know.
const (
	stepForm           = "form"
	stepLoginForm      = "login_form"
	stepInformation    = "information"
	stepTicket         = "wait_for_ticket"
	stepMobileApprove  = "transmit_platform_mobile_approve_authentication"
	stepRegisterDevice = "transmit_platform_device_registration"
	stepValidateDevice = "transmit_platform_device_validation"
	stepRegisterBio    = "transmit_platform_mobile_biometrics_registration"
	stepBio            = "transmit_platform_mobile_biometrics_authentication"
	stepValidateOTP    = "transmit_platform_validate_otp"
	stepMailCode       = "transmit_platform_email_otp_authentication"
	stepRegisterTOTP   = "transmit_platform_totp_registration"
)

// ErrNumberNeeded is returned by Phone.Approve when the request shows a number
// in the browser and none was given. Nothing has been answered then, but the
// request was joined, and a request is joined once: look at its NumberMode first.
var ErrNumberNeeded = errors.New("this request shows a number in the browser, and none was given")

// ErrNoJourney is returned for an answer when no journey is open.
var ErrNoJourney = errors.New("no journey is open")

// Refusal is a server's no, in its own words. Everything else that goes wrong
// (no network, an answer that is not of the protocol) is another error.
type Refusal struct {
	Step    string // where it happened, as the SDK names it; empty when no step was reached
	Code    string // the SDK's error code, such as "invalid_credentials"; may be empty
	Status  int    // of the HTTP answer
	Message string // never empty
}

// Error returns the server's words.
func (r *Refusal) Error() string { return r.Message }

// ProtocolError is an answer that a real SDK cannot read.
type ProtocolError struct {
	Op     string // such as "auth/assert"
	Status int    // of the HTTP answer
	Reason string
}

// Error says which call and why.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("%s: HTTP %d: %s", e.Op, e.Status, e.Reason)
}
