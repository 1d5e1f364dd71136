package passkey

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/google/uuid"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// key is what the server keeps of a passkey (WebAuthn Level 3 4, credential
// record).
type key struct {
	Public     []byte   `json:"public"` // COSE_Key
	UserHandle []byte   `json:"user_handle"`
	Count      uint32   `json:"count"`
	Eligible   bool     `json:"backup_eligible"`
	BackedUp   bool     `json:"backed_up"`
	Verified   bool     `json:"uv_initialized"`
	AAGUID     string   `json:"aaguid"`
	Transports []string `json:"transports,omitempty"`
	Ecosystem  string   `json:"ecosystem,omitempty"`
	Format     string   `json:"format"`
	Attested   bool     `json:"attested,omitempty"` // its certificates lead to a trusted root
}

var (
	unverified = fault.New(fault.Invalid, "The passkey could not be verified.")
	barred     = fault.New(fault.Denied, "This kind of passkey is not allowed here.")
	tooMany    = fault.New(fault.Limited, "No more passkeys can be added.")
)

// device is what the counter of a passkey is kept under, and its scope.
func device(handle string) directory.DeviceID {
	sum := sha256.Sum256([]byte(handle))
	return directory.DeviceID(hex.EncodeToString(sum[:]))
}

// enrol stores the passkey that a result brings for a user. The caller has the
// right to enrol for them; mine says whether the ceremony was begun for them. It
// returns authn.Gone for a ceremony that is over, fault.Invalid for a passkey
// that does not verify, fault.Denied for one that the policy bars,
// fault.Conflict if it is registered already and fault.Limited if the user has
// too many.
func (r relying) enrol(ctx context.Context, tx *db.Tx, user directory.UserID, encoded string, mine func(c ceremony) (bool, error)) (authn.CredentialID, error) {
	res, err := read(encoded)
	if err != nil {
		return "", err
	}
	c, err := r.spend(ctx, tx, res.Session, creates)
	if err != nil {
		return "", err
	}
	ok, err := mine(c)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", backend.Code(unverified, "auth_invalid_attestation")
	}
	k, err := r.attested(c, res)
	if err != nil {
		return "", err
	}
	return r.store(ctx, tx, user, res, k)
}

// named is a mine that wants the ceremony's name to be the user's.
func (r relying) named(ctx context.Context, q db.Q, user directory.UserID) func(c ceremony) (bool, error) {
	return func(c ceremony) (bool, error) {
		err := r.find(ctx, q, &c)
		return c.User == user, err
	}
}

// attested verifies the answer of a registration (WebAuthn Level 3 7.1) and
// judges it by the policy.
func (r relying) attested(c ceremony, res result) (key, error) {
	bad := func(err error) (key, error) {
		return key{}, backend.Code(unverified.Because(err), "auth_invalid_attestation")
	}
	p, err := res.created()
	if err != nil {
		return bad(err)
	}
	if err := r.clientData(p.Response.CollectedClientData, c, protocol.CreateCeremony); err != nil {
		return bad(err)
	}
	a := &p.Response.AttestationObject
	rp := sha256.Sum256([]byte(r.RPID))
	if err := a.AuthData.Verify(rp[:], nil, r.UserVerification == required, true); err != nil {
		return bad(err)
	}
	if string(a.AuthData.AttData.CredentialID) != string(res.Credential.RawID) {
		return bad(errors.New("another credential id was attested"))
	}
	if err := goodKey(a.AuthData.AttData.CredentialPublicKey); err != nil {
		return bad(err)
	}
	k := key{Public: a.AuthData.AttData.CredentialPublicKey, UserHandle: c.UserHandle, Count: a.AuthData.Counter, Eligible: a.AuthData.Flags.HasBackupEligible(),
		BackedUp: a.AuthData.Flags.HasBackupState(), Verified: a.AuthData.Flags.HasUserVerified(), Transports: transports(res.Credential.Response.Transports), Format: a.Format}
	if k.BackedUp && !k.Eligible { // WebAuthn Level 3 7.1 step 17
		return bad(errors.New("backed up, and cannot be"))
	}
	id, err := uuid.FromBytes(a.AuthData.AttData.AAGUID)
	if err != nil {
		return bad(err)
	}
	k.AAGUID = id.String()
	k.Ecosystem = ecosystem(k.AAGUID, res)
	trust, compromised, err := r.vouching(k.AAGUID)
	if err != nil && r.Enforce {
		return key{}, err
	}
	if compromised {
		return key{}, backend.Code(barred, "auth_passkey_not_allowed")
	}
	if r.Attestation != none || r.Enforce {
		data := sha256.Sum256(res.Credential.Response.ClientData)
		if err := a.VerifyAttestation(data[:], nil, protocol.AttestationPolicy{}, protocol.SignaturePolicy{}); err != nil {
			return bad(err)
		}
		k.Attested = trusted(a, pool(trust))
	}
	return k, r.permits(k)
}

// goodKey returns nil for a public key of an algorithm that was offered.
func goodKey(cose []byte) error {
	var head webauthncose.PublicKeyData
	if err := webauthncbor.Unmarshal(cose, &head); err != nil {
		return err
	}
	if !slices.Contains(algorithms, head.Algorithm) {
		return errors.New("the algorithm was not offered")
	}
	_, err := webauthncose.ParsePublicKey(cose)
	return err
}

// permits judges a new passkey by the application's policy.
func (r relying) permits(k key) error {
	switch is := func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), k.AAGUID) }; {
	case k.Eligible && !r.AllowSynced,
		!k.Eligible && r.Enforce && !k.Attested,
		len(r.AAGUIDAllow) > 0 && !slices.ContainsFunc(r.AAGUIDAllow, is),
		slices.ContainsFunc(r.AAGUIDBlock, is):
		return backend.Code(barred, "auth_passkey_not_allowed")
	}
	return nil
}

// trusted reports whether the certificates of a statement that was verified
// lead to one of the roots (WebAuthn Level 3 7.1 step 24).
func trusted(a *protocol.AttestationObject, pool *x509.CertPool) bool {
	for _, s := range append([]protocol.NonCompoundAttestationObject{{AttStatement: a.AttStatement}}, a.SubStatements...) {
		chain, _ := s.AttStatement["x5c"].([]any)
		if leads(chain, pool) {
			return true
		}
	}
	return false
}

func leads(chain []any, roots *x509.CertPool) bool {
	var leaf *x509.Certificate
	between := x509.NewCertPool()
	for _, c := range chain {
		der, _ := c.([]byte)
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return false
		}
		if leaf == nil {
			leaf = cert
			continue
		}
		between.AddCert(cert)
	}
	if leaf == nil {
		return false
	}
	// A TPM's certificate has no subject and names its maker in a critical
	// alternative name that crypto/x509 does not know; the statement's
	// verification has read it.
	leaf.UnhandledCriticalExtensions = slices.DeleteFunc(leaf.UnhandledCriticalExtensions, func(id asn1.ObjectIdentifier) bool { return id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) })
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

// store keeps a new passkey, in place of the user's of the same ecosystem if the
// application wants one of each.
func (r relying) store(ctx context.Context, tx *db.Tx, user directory.UserID, res result, k key) (authn.CredentialID, error) {
	if err := directory.Touch(ctx, tx, user); err != nil { // of two at once the second counts the first
		return "", err
	}
	s := r.subject()
	s.User, s.Device = user, device(res.handle())
	have, err := authn.AllCredentials[key](ctx, tx, s)
	if err != nil {
		return "", err
	}
	kept := len(have)
	for _, old := range have {
		if !r.OnePerEcosystem || k.Ecosystem == "" || old.Data.Ecosystem != k.Ecosystem || old.Handle == res.handle() {
			continue
		}
		if err := authn.Revoke(ctx, tx, s, old.ID); err != nil {
			return "", err
		}
		kept--
	}
	if kept >= r.Max {
		return "", backend.Code(tooMany, "auth_max_authenticators_count_exceeded")
	}
	return authn.Enroll(ctx, tx, s, res.handle(), modelName(k.AAGUID), k)
}
