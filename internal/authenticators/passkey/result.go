package passkey

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/web"
)

// maxResult bounds a result, which is base64: an attestation with its
// certificates is a few thousand bytes.
const maxResult = 48 << 10

// octets are binary members. The SDK sends standard base64, browsers base64url.
type octets []byte

func (o *octets) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil || s == nil {
		return err
	}
	raw, err := lenient(*s)
	*o = raw
	return err
}

// lenient decodes base64 of either alphabet, with padding or without. Bits that
// encode nothing must be zero, so that a value has one spelling in each.
func lenient(s string) ([]byte, error) {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return base64.RawStdEncoding.Strict().DecodeString(s)
}

// result is what an SDK hands over after a ceremony (mosaic-protocol 6).
type result struct {
	Session    authn.ChallengeID `json:"webauthnSessionId"`
	Credential struct {
		ID         string `json:"id"`
		RawID      octets `json:"rawId"`
		Type       string `json:"type"`
		Attachment string `json:"authenticatorAttachment"`
		Response   struct {
			ClientData        octets   `json:"clientDataJSON"`
			Attestation       octets   `json:"attestationObject"`
			AuthenticatorData octets   `json:"authenticatorData"`
			Signature         octets   `json:"signature"`
			UserHandle        octets   `json:"userHandle"`
			Transports        []string `json:"transports"`
		} `json:"response"`
	} `json:"publicKeyCredential"`
	Agent string `json:"userAgent"`
}

var malformed = fault.New(fault.Invalid, "The passkey result cannot be read.")

// read decodes a result; fault.Invalid if it is none.
func read(encoded string) (result, error) {
	var res result
	if encoded == "" || len(encoded) > maxResult {
		return res, malformed
	}
	b, err := lenient(encoded)
	if err != nil {
		return res, malformed.Because(err)
	}
	if err := web.Parse(b, &res, false); err != nil {
		return res, malformed.Because(err)
	}
	if id, err := lenient(res.Credential.ID); err != nil || string(id) != string(res.Credential.RawID) || len(id) == 0 || len(id) > 1023 {
		return res, malformed
	}
	return res, nil
}

// handle is the credential id as credentials are found by it.
func (r result) handle() string { return base64.RawURLEncoding.EncodeToString(r.Credential.RawID) }

func (r result) public() protocol.PublicKeyCredential {
	return protocol.PublicKeyCredential{
		Credential: protocol.Credential{ID: r.handle(), Type: r.Credential.Type}, RawID: protocol.URLEncodedBase64(r.Credential.RawID), AuthenticatorAttachment: r.Credential.Attachment,
	}
}

// created is the result as the answer of a registration.
func (r result) created() (*protocol.ParsedCredentialCreationData, error) {
	ccr := protocol.CredentialCreationResponse{PublicKeyCredential: r.public()}
	ccr.AttestationResponse.ClientDataJSON = protocol.URLEncodedBase64(r.Credential.Response.ClientData)
	ccr.AttestationResponse.AttestationObject = protocol.URLEncodedBase64(r.Credential.Response.Attestation)
	return ccr.Parse()
}

// got is the result as the answer of an authentication.
func (r result) got() (*protocol.ParsedCredentialAssertionData, error) {
	car := protocol.CredentialAssertionResponse{PublicKeyCredential: r.public()}
	car.AssertionResponse.ClientDataJSON = protocol.URLEncodedBase64(r.Credential.Response.ClientData)
	car.AssertionResponse.AuthenticatorData = protocol.URLEncodedBase64(r.Credential.Response.AuthenticatorData)
	car.AssertionResponse.Signature = protocol.URLEncodedBase64(r.Credential.Response.Signature)
	car.AssertionResponse.UserHandle = protocol.URLEncodedBase64(r.Credential.Response.UserHandle)
	return car.Parse()
}

// transports keeps those that WebAuthn names.
func transports(list []string) []string {
	var out []string
	for _, t := range list {
		switch t {
		case "usb", "nfc", "ble", "smart-card", "hybrid", "internal":
			if len(out) < 6 {
				out = append(out, t)
			}
		}
	}
	return out
}
