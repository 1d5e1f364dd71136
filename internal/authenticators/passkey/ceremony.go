package passkey

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
)

// How long the answer of a ceremony counts (WebAuthn Level 3 15.1), and that of
// a signature for an approval (mosaic-protocol 3.1).
const (
	ceremonyLife = 5 * time.Minute
	approvalLife = time.Minute
)

// The ceremonies of WebAuthn.
const (
	creates = "create"
	gets    = "get"
)

// ceremony is what a challenge remembers until it is answered.
type ceremony struct {
	Type       string            `json:"type"`
	Challenge  []byte            `json:"challenge"`
	Name       string            `json:"name,omitempty"` // as typed; empty: whoever has a passkey here
	User       directory.UserID  `json:"user,omitempty"` // whose name it is, if anybody's
	UserHandle []byte            `json:"user_handle,omitempty"`
	Approval   map[string]any    `json:"approval,omitempty"`
	Commit     string            `json:"commit,omitempty"`
	Ticket     authn.ChallengeID `json:"ticket,omitempty"`
}

// begin poses the challenge of a ceremony and returns the name it is found by.
// 32 random bytes are followed, if something is approved, by its hash, so that
// the signature commits to it.
func (r relying) begin(ctx context.Context, tx *db.Tx, c *ceremony) (authn.ChallengeID, error) {
	life := ceremonyLife
	c.Challenge = make([]byte, 32)
	rand.Read(c.Challenge)
	switch {
	case c.Approval != nil:
		c.Challenge = append(c.Challenge, digest(journey.ApprovalHash(c.Approval))...)
		life = approvalLife
	case c.Commit != "":
		c.Challenge = append(c.Challenge, digest(c.Commit)...)
	}
	made, _, err := authn.Pose(ctx, tx, authn.Opening{Subject: r.subject(), Once: "passkey/" + rand.Text(), Life: life}, *c)
	return made.ID, err
}

// digest is the 32 bytes of a hash in base64url, or the hash of anything else.
func digest(hash string) []byte {
	if b, err := base64.RawURLEncoding.DecodeString(hash); err == nil && len(b) == sha256.Size {
		return b
	}
	sum := sha256.Sum256([]byte(hash))
	return sum[:]
}

// spend ends the ceremony that a result names, before anything in the result is
// believed, so that no challenge is answered twice (WebAuthn Level 3 13.4.3). It
// returns authn.Gone if it is not open, or not of this application and type.
func (r relying) spend(ctx context.Context, tx *db.Tx, id authn.ChallengeID, kind string) (ceremony, error) {
	c, err := recalled[ceremony](ctx, tx, id, r.subject())
	if err != nil {
		return ceremony{}, err
	}
	if c.Data.Type != kind {
		return ceremony{}, authn.Gone
	}
	return c.Data, authn.Move(ctx, tx, &c, authn.Cancelled)
}

// recalled reads a challenge of this method, and of the application that s is in
// unless that is empty; authn.Gone if there is none. Whose it is is checked
// before what it says is read, for others keep other things in theirs.
func recalled[T any](ctx context.Context, q db.Q, id authn.ChallengeID, s authn.Subject) (authn.Challenge[T], error) {
	raw, err := authn.Recall[json.RawMessage](ctx, q, id)
	if fault.Is(err, fault.NotFound) || err == nil && (raw.Subject.Kind != Kind || s.App != "" && raw.Subject != s) {
		return authn.Challenge[T]{}, authn.Gone
	}
	if err != nil {
		return authn.Challenge[T]{}, err
	}
	c := authn.Challenge[T]{ID: raw.ID, Subject: raw.Subject, State: raw.State, Turn: raw.Turn, Created: raw.Created, Expires: raw.Expires}
	return c, json.Unmarshal(raw.Data, &c.Data)
}

// find looks up whose name a ceremony is about; a name of nobody's is no error.
func (r relying) find(ctx context.Context, q db.Q, c *ceremony) error {
	if c.Name == "" {
		return nil
	}
	u, err := directory.Lookup(ctx, q, r.app.Tenant, c.Name)
	c.User = u.ID
	if fault.Is(err, fault.NotFound) {
		c.User, err = "", nil
	}
	return err
}

// userHandle is the user.id of a name: the same for the same name, of a user's
// or of nobody's, and no way back from it.
func (r relying) userHandle(q db.Q, name string) []byte {
	b, _ := hex.DecodeString(q.Vault().Hash("passkey/user", string(r.app.ID)+"/"+directory.NameKey(name)))
	return b
}

// descriptors are the passkeys of a name as browsers want them. A name without
// any gets one that does not exist, always the same, so that nobody can ask
// whether a user exists or has a passkey (security B5).
func (r relying) descriptors(ctx context.Context, q db.Q, c ceremony) ([]any, error) {
	s := r.subject()
	s.User = c.User
	have, err := authn.AllCredentials[key](ctx, q, s)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, k := range have {
		if id, err := base64.RawURLEncoding.DecodeString(k.Handle); err == nil {
			out = append(out, descriptor(id, k.Data.Transports))
		}
	}
	if len(out) == 0 {
		seed, _ := hex.DecodeString(q.Vault().Hash("passkey/decoy", string(r.app.ID)+"/"+directory.NameKey(c.Name)))
		out = append(out, descriptor(seed[:[]int{16, 20, 32}[int(seed[31])%3]], []string{"internal", "hybrid"}))
	}
	return out, nil
}

func descriptor(id []byte, transports []string) map[string]any {
	if len(transports) == 0 {
		transports = []string{"internal", "hybrid"}
	}
	return map[string]any{"type": "public-key", "id": std(id), "transports": transports}
}

// std is how the SDK wants binary members: standard base64 (mosaic-protocol 6).
func std(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// algorithms are the signatures that are good, the most common first (RFC 9053):
// ES256, RS256, EdDSA, ES384, ES512.
var algorithms = []int64{-7, -257, -8, -35, -36}

// patience is how long, in milliseconds, a browser waits for the user. Callers
// say it in seconds or milliseconds.
func patience(asked int, life time.Duration) int {
	if asked > 0 && asked < 1000 {
		asked *= 1000
	}
	longest := int(life.Milliseconds())
	if asked < 10_000 {
		return longest
	}
	return min(asked, longest)
}

// creation begins a registration. It changes nothing and says nothing about the
// name: what is created counts only where somebody has the right to enrol it.
func (r relying) creation(ctx context.Context, tx *db.Tx, c ceremony, shown string, timeout int, exclude bool) (map[string]any, error) {
	c.Type, c.UserHandle = creates, r.userHandle(tx, c.Name)
	excluded := []any{}
	if exclude {
		if err := r.find(ctx, tx, &c); err != nil {
			return nil, err
		}
		var err error
		if excluded, err = r.descriptors(ctx, tx, c); err != nil {
			return nil, err
		}
	}
	id, err := r.begin(ctx, tx, &c)
	if err != nil {
		return nil, err
	}
	if shown == "" {
		shown = c.Name
	}
	var params []any
	for _, alg := range algorithms {
		params = append(params, map[string]any{"type": "public-key", "alg": alg})
	}
	conveyance := r.Attestation
	if r.Enforce {
		conveyance = direct
	}
	return map[string]any{"webauthn_session_id": string(id), "credential_creation_options": map[string]any{
		"rp":        map[string]any{"id": r.RPID, "name": r.RPName},
		"user":      map[string]any{"id": std(c.UserHandle), "name": c.Name, "displayName": shown},
		"challenge": std(c.Challenge), "pubKeyCredParams": params, "timeout": patience(timeout, ceremonyLife),
		"authenticatorSelection": map[string]any{"userVerification": r.UserVerification, "residentKey": "preferred", "requireResidentKey": false},
		"excludeCredentials":     excluded, "attestation": conveyance,
	}}, nil
}

// request begins an authentication, or a signature if c approves something.
func (r relying) request(ctx context.Context, tx *db.Tx, c ceremony, timeout int) (map[string]any, error) {
	c.Type = gets
	allowed := []any{}
	if c.Name != "" {
		if err := r.find(ctx, tx, &c); err != nil {
			return nil, err
		}
		var err error
		if allowed, err = r.descriptors(ctx, tx, c); err != nil {
			return nil, err
		}
	}
	id, err := r.begin(ctx, tx, &c)
	if err != nil {
		return nil, err
	}
	life := ceremonyLife
	if c.Approval != nil {
		life = approvalLife
	}
	return map[string]any{"webauthn_session_id": string(id), "credential_request_options": map[string]any{
		"challenge": std(c.Challenge), "rpId": r.RPID, "timeout": patience(timeout, life), "userVerification": r.UserVerification, "allowCredentials": allowed,
	}}, nil
}
