package mosaic

// types is the word table: our prompt kinds and the step types on the wire
// (mosaic-protocol 2.4, 3.1). A kind without an entry goes by its own name, so a
// new step needs no change here.
var types = map[string]string{
	"form":                   "form",
	"login_form":             "login_form",
	"information":            "information",
	"debug_break":            "debug_break",
	"ticket.wait":            "wait_for_ticket",
	"push.device":            "transmit_platform_mobile_approve_authentication",
	"push.wait":              "transmit_platform_mobile_approve_authentication",
	"push.validate_code":     "transmit_platform_validate_otp",
	"biometric.register":     "transmit_platform_mobile_biometrics_registration",
	"biometric.authenticate": "transmit_platform_mobile_biometrics_authentication",
	"biometric.delete":       "transmit_platform_delete_mobile_biometrics",
	"biometric.sign":         "transmit_platform_mobile_biometrics_transaction_signing",
	"pin.register":           "transmit_platform_mobile_pin_registration",
	"pin.authenticate":       "transmit_platform_mobile_pin_authentication",
	"pin.sign":               "transmit_platform_mobile_pin_transaction_signing",
	"code.email":             "transmit_platform_email_otp_authentication",
	"code.sms":               "transmit_platform_sms_otp_authentication",
	"code.generic":           "transmit_platform_generic_otp_authentication",
	"code.verify_email":      "transmit_platform_email_validation",
	"code.verify_phone":      "transmit_platform_sms_validation",
	"passkey.register":       "transmit_platform_web_authn_registration",
	"passkey.sign":           "transmit_platform_transaction_signing_webauthn",
	"totp.register":          "transmit_platform_totp_registration",
	"totp.sign":              "transmit_platform_transaction_signing_totp",
	"device.register":        "transmit_platform_device_registration",
	"device.validate":        "transmit_platform_device_validation",
}

func wireType(kind string) string {
	if t, ok := types[kind]; ok {
		return t
	}
	return kind
}

// The numbers of assertion_error_code (mosaic-protocol 2.3).
const (
	notValid    = 28 // client_response_not_valid
	wrong       = 29 // invalid_credentials
	expired     = 30 // expired_otp_passcode
	lockedOut   = 31 // invalid_credentials
	resendSpent = 33 // MaxResendReached
)

// The numbers of error_code. 0 and 4001 are the vendor's, the others ours.
const (
	badRequest     = 4000
	sessionUnknown = 4001
	forbidden      = 4003
	notFound       = 4004
	tooMany        = 4029
	serverError    = 5000
	unavailable    = 5003
)
