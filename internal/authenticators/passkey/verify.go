package passkey

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
)

// wanted is what the place that a result is handed to wants of it.
type wanted struct {
	user     directory.UserID // empty: whoever it proves
	stranger bool             // a user was named who does not exist: nothing will do
	approval map[string]any   // what must have been signed; nil: nothing may have been
	any      bool             // whatever was signed is good, and is returned
	commit   string           // what the challenge must commit to
	beside   bool             // the user was proven by another factor already
}

func (w wanted) fits(c ceremony) bool {
	if w.stranger || w.user != "" && c.Name != "" && c.User != w.user || w.commit != c.Commit {
		return false
	}
	if w.any || w.approval == nil && c.Approval == nil {
		return true
	}
	return w.approval != nil && c.Approval != nil && journey.ApprovalHash(w.approval) == journey.ApprovalHash(c.Approval)
}

// signed is a proof with what can be shown for it.
type signed struct {
	authn.Proof
	Approval map[string]any
	Ticket   authn.ChallengeID
	evidence map[string]any
}

// verify proves somebody by the answer of an authentication. Wrong is charged to
// the counter of the passkey, or of its id if there is no such passkey, and must
// be committed. fault.Invalid and authn.Gone are not charged.
func (r relying) verify(ctx context.Context, tx *db.Tx, encoded string, w wanted) (signed, error) {
	res, err := read(encoded)
	if err != nil {
		return signed{}, err
	}
	c, err := r.spend(ctx, tx, res.Session, gets)
	if err != nil {
		return signed{}, err
	}
	s := r.subject()
	s.Device = device(res.handle())
	cred, err := authn.ByHandle[key](ctx, tx, s, res.handle())
	if err != nil && !fault.Is(err, fault.NotFound) {
		return signed{}, err
	}
	if err != nil || !w.fits(c) || c.Name != "" && c.User != cred.Subject.User || w.user != "" && w.user != cred.Subject.User {
		_, _ = r.asserted(c, &key{Public: nobodys, UserHandle: c.UserHandle}, res, w) // as long as for somebody
		return signed{}, authn.Stranger(ctx, tx, Kind, s.Tenant, s.App, res.handle())
	}
	s.User = cred.Subject.User
	p, err := authn.Attempt(ctx, tx, s, func() (authn.CredentialID, error) { return cred.ID, r.use(ctx, tx, c, cred, res, w) })
	if !unlocked(res) {
		p = p.Single()
	}
	return signed{p, c.Approval, c.Ticket, shown(c, cred.Data, res)}, err
}

// unlocked reports whether the owner had to unlock the key.
func unlocked(res result) bool {
	p, err := res.got()
	return err == nil && p.Response.AuthenticatorData.Flags.HasUserVerified()
}

// nobodys is a COSE_Key for names that belong to nobody. What it verifies counts
// for nothing.
var nobodys, _ = base64.StdEncoding.DecodeString("pQECAyYgASFYIGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWIlggsBy9HAHlgGVxGBS1g/Bh6dQxzKmUzqExNEm/l8hArgo=")

// use judges an answer against its passkey and stores what changed in it.
func (r relying) use(ctx context.Context, tx *db.Tx, c ceremony, cred authn.Credential[key], res result, w wanted) error {
	before := cred.Data
	regressed, err := r.asserted(c, &cred.Data, res, w)
	if err != nil {
		return authn.Wrong.Because(err)
	}
	if regressed {
		if err := flag(ctx, tx, cred); err != nil {
			return err
		}
		if !before.Eligible { // a key that cannot leave its device was copied
			return authn.Wrong
		}
		cred.Data.Count = before.Count
	}
	if cred.Data.Count == 0 {
		return authn.Touch(ctx, tx, cred)
	}
	return authn.Use(ctx, tx, cred)
}

func flag(ctx context.Context, tx *db.Tx, cred authn.Credential[key]) error {
	s := cred.Subject
	return audit.Record(ctx, tx, audit.Event{Tenant: string(s.Tenant), App: string(s.App), Type: "passkey.counter_regressed", Target: string(s.User), Outcome: "failure",
		Data: map[string]any{"authenticator": string(cred.ID)}})
}

// asserted verifies the answer of an authentication (WebAuthn Level 3 7.2) and
// brings the credential record up to date. It reports whether the signature
// counter did not move on, which means that the key may have been copied.
func (r relying) asserted(c ceremony, k *key, res result, w wanted) (regressed bool, err error) {
	p, err := res.got()
	if err != nil {
		return false, err
	}
	data := p.Response.CollectedClientData
	if err := r.clientData(data, c, protocol.AssertCeremony); err != nil {
		return false, err
	}
	if len(p.Response.UserHandle) > 0 && subtle.ConstantTimeCompare(p.Response.UserHandle, k.UserHandle) != 1 {
		return false, errors.New("the user handle is another user's")
	}
	if len(p.Response.UserHandle) == 0 && c.Name == "" {
		return false, errors.New("nobody was named")
	}
	uv := r.UserVerification == required || !w.beside
	if err := p.Verify(data.Challenge, r.RPID, "", nil, []string{data.Origin}, r.TopOrigins, protocol.TopOriginExplicitVerificationMode, r.embeds(data), uv, true, k.Public, protocol.SignaturePolicy{}); err != nil {
		return false, err
	}
	flags, count := p.Response.AuthenticatorData.Flags, p.Response.AuthenticatorData.Counter
	if flags.HasBackupState() && !flags.HasBackupEligible() || flags.HasBackupEligible() != k.Eligible { // steps 18 to 20
		return false, errors.New("the backup flags cannot be")
	}
	regressed = (count != 0 || k.Count != 0) && count <= k.Count
	k.Count, k.BackedUp, k.Verified = count, flags.HasBackupState(), k.Verified || flags.HasUserVerified()
	return regressed, nil
}

// clientData checks what the browser says about a ceremony: its type, challenge
// and origins.
func (r relying) clientData(d protocol.CollectedClientData, c ceremony, kind protocol.CeremonyType) error {
	if !r.accepts(d.Origin) {
		return errors.New("the origin is not accepted")
	}
	want := base64.RawURLEncoding.EncodeToString(c.Challenge)
	return d.Verify(want, kind, nil, []string{d.Origin}, r.TopOrigins, protocol.TopOriginExplicitVerificationMode, r.embeds(d))
}

// embeds reports whether a page in a frame of another site may run a ceremony;
// which site is checked by the list of top origins.
func (r relying) embeds(d protocol.CollectedClientData) bool {
	return r.AllowCrossOrigin || d.TopOrigin != "" && slices.Contains(r.TopOrigins, d.TopOrigin)
}

// shown is what proves a signature to others.
func shown(c ceremony, k key, res result) map[string]any {
	data := sha256.Sum256(res.Credential.Response.ClientData)
	return map[string]any{
		"challenge": base64.RawURLEncoding.EncodeToString(c.Challenge), "client_data": string(res.Credential.Response.ClientData), "client_data_hash": base64.RawURLEncoding.EncodeToString(data[:]),
		"authenticator_data": base64.RawURLEncoding.EncodeToString(res.Credential.Response.AuthenticatorData), "signature": base64.RawURLEncoding.EncodeToString(res.Credential.Response.Signature),
		"public": base64.RawURLEncoding.EncodeToString(k.Public), "credential_id": res.handle(),
	}
}
