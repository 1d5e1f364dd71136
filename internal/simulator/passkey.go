package simulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Flags of authenticator data (WebAuthn Level 3 6.1).
const (
	FlagUP = 1 << 0 // somebody was there
	FlagUV = 1 << 2 // it was the owner
	FlagBE = 1 << 3 // the key may be synced
	FlagBS = 1 << 4 // and is
	flagAT = 1 << 6
)

// Passkey is an authenticator with one key, in software, behind a browser that
// speaks as the vendor's SDK does. Its fields may be changed between ceremonies,
// to try what must be refused.
type Passkey struct {
	Origin     string
	RPID       string // empty: what the options say
	Flags      byte
	Count      uint32
	AAGUID     [16]byte
	ID         []byte
	UserHandle []byte
	Agent      string
	Attachment string
	Type       string         // of the client data; empty: that of the ceremony
	Extra      map[string]any // members of the client data that are added or replaced
	key        *ecdsa.PrivateKey
}

// NewPasskey returns an authenticator for a page: it verifies its owner and its
// key may be synced.
func NewPasskey(origin string) *Passkey {
	p := &Passkey{Origin: origin, Flags: FlagUP | FlagUV | FlagBE | FlagBS, ID: make([]byte, 32), Agent: "simulator", Attachment: "platform"}
	rand.Read(p.ID)
	p.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return p
}

// Create answers what register/start said.
func (p *Passkey) Create(started map[string]any) (string, error) {
	options, _ := started["credential_creation_options"].(map[string]any)
	user, _ := options["user"].(map[string]any)
	rp, _ := options["rp"].(map[string]any)
	id, _ := rp["id"].(string)
	handle, err := member(user, "id")
	if err != nil {
		return "", err
	}
	p.UserHandle = handle
	client, err := p.clientData("webauthn.create", options)
	if err != nil {
		return "", err
	}
	return p.encode(started, map[string]any{"clientDataJSON": std(client), "attestationObject": std(p.attestation(id)), "transports": []string{"internal", "hybrid"}})
}

// Get answers what authenticate/start said.
func (p *Passkey) Get(started map[string]any) (string, error) {
	options, _ := started["credential_request_options"].(map[string]any)
	id, _ := options["rpId"].(string)
	client, err := p.clientData("webauthn.get", options)
	if err != nil {
		return "", err
	}
	data := p.authenticatorData(id, 0)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(data[:len(data):len(data)], hash[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, p.key, digest[:])
	if err != nil {
		return "", err
	}
	return p.encode(started, map[string]any{"clientDataJSON": std(client), "authenticatorData": std(data), "signature": std(sig), "userHandle": std(p.UserHandle)})
}

func std(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func member(m map[string]any, name string) ([]byte, error) {
	s, _ := m[name].(string)
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("%s is not standard base64: %q", name, s)
	}
	return b, nil
}

func (p *Passkey) clientData(kind string, options map[string]any) ([]byte, error) {
	challenge, err := member(options, "challenge")
	if err != nil {
		return nil, err
	}
	if timeout, _ := options["timeout"].(float64); timeout < 1 {
		return nil, fmt.Errorf("no timeout: the SDK would give up at once")
	}
	if p.Type != "" {
		kind = p.Type
	}
	m := map[string]any{"type": kind, "challenge": base64.RawURLEncoding.EncodeToString(challenge), "origin": p.Origin, "crossOrigin": false}
	for k, v := range p.Extra {
		m[k] = v
	}
	return json.Marshal(m)
}

func (p *Passkey) authenticatorData(rpID string, more byte) []byte {
	if p.RPID != "" {
		rpID = p.RPID
	}
	hash := sha256.Sum256([]byte(rpID))
	return binary.BigEndian.AppendUint32(append(hash[:], p.Flags|more), p.Count)
}

// attestation is an attestation object of format "none" in CBOR (WebAuthn Level
// 3 6.5.4, 8.7).
func (p *Passkey) attestation(rpID string) []byte {
	data := append(p.authenticatorData(rpID, flagAT), p.AAGUID[:]...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(p.ID)))
	data = append(append(data, p.ID...), p.cose()...)
	out := append([]byte{0xa3}, "\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"...)
	return append(binary.BigEndian.AppendUint16(out, uint16(len(data))), data...)
}

// cose is the public key as a COSE_Key (RFC 9053 7.1.1).
func (p *Passkey) cose() []byte {
	point, _ := p.key.PublicKey.Bytes() // 4, x, y
	out := append([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, point[1:33]...)
	return append(append(out, 0x22, 0x58, 32), point[33:]...)
}

func (p *Passkey) encode(started, response map[string]any) (string, error) {
	b, err := json.Marshal(map[string]any{
		"webauthnSessionId": started["webauthn_session_id"],
		"publicKeyCredential": map[string]any{"id": base64.RawURLEncoding.EncodeToString(p.ID), "rawId": std(p.ID), "response": response,
			"authenticatorAttachment": p.Attachment, "type": "public-key"},
		"userAgent": p.Agent,
	})
	return std(b), err
}
