package mobilekey

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
)

// The vendor documents the calls for biometrics; those for the PIN are ours and
// mirror them (authenticators.md 7, 8).
func init() {
	calls(Biometric, "/v1/auth/mobile-biometrics/", "mobile biometrics")
	calls(PIN, "/v1/auth/pin/", "a mobile PIN")
}

func calls(kind authn.Kind, base, thing string) {
	a := api{kind}
	backend.Register(backend.Call[struct{}]{Route: "POST " + base + "register/start", Title: "Begin to register " + thing + " of your own", Who: backend.User, Run: a.beginRegistration})
	backend.Register(backend.Call[registerBody]{Route: "POST " + base + "register", Title: "Register " + thing + " of your own", Who: backend.User, Run: a.register})
	backend.Register(backend.Call[startBody]{Route: "POST " + base + "start", Title: "Begin to authenticate by " + thing, Needs: "auth:execute", Run: a.start})
	backend.Register(backend.Call[signedBody]{Route: "POST " + base + "authenticate", Title: "Authenticate by " + thing, Needs: "auth:execute", Run: a.authenticate})
}

type api struct{ kind authn.Kind }

// posed is what a challenge remembers until it is answered.
type posed struct {
	Challenge string         `json:"challenge"`
	Data      map[string]any `json:"data,omitempty"`   // approved
	Enrols    bool           `json:"enrols,omitempty"` // it is for an attestation and proves nobody
	Phone     string         `json:"phone,omitempty"`  // the only one that may answer
}

// life is how long a challenge waits: 120 s, or what a caller asks for between
// 30 s and 5 min.
func life(seconds int) time.Duration {
	if seconds == 0 {
		return 2 * time.Minute
	}
	return min(max(time.Duration(seconds)*time.Second, 30*time.Second), 5*time.Minute)
}

func (a api) pose(ctx context.Context, tx *db.Tx, s authn.Subject, p posed, life time.Duration) error {
	slot := string(s.Kind) + "/" + string(s.Tenant) + "/" + string(s.App) + "/" + string(s.User) + "/" + p.Phone
	if p.Enrols {
		slot += "/enrols"
	}
	_, _, err := authn.Pose(ctx, tx, authn.Opening{Subject: s, Once: string(s.Kind) + "/" + db.NewID("chg_"), Slot: slot, Life: life}, p)
	return err
}

// beginRegistration hands out a challenge for what vouches for the key. Who asks
// for no attestation does without.
func (a api) beginRegistration(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	p := posed{Challenge: rand.Text(), Enrols: true}
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		return a.pose(ctx, tx, x.Subject(a.kind, x.User), p, 5*time.Minute)
	})
	return backend.Out{Body: map[string]any{"challenge": p.Challenge, "expires_in": 300}}, err
}

type registerBody struct {
	Public      string `json:"publicKey"`
	ID          string `json:"publicKeyId"`
	OS          string `json:"os,omitempty"`
	Type        string `json:"encryptionType,omitempty"`
	KeyType     string `json:"keyType,omitempty"` // the same, as PINs call it
	Challenge   string `json:"challenge,omitempty"`
	Attestation string `json:"attestation_encoded_result,omitempty"`
	Name        string `json:"displayName,omitempty"`
	DeviceID    string `json:"device_id,omitempty"`
}

// register needs a proof of the last five minutes.
func (a api) register(ctx context.Context, x *backend.Exec, in registerBody) (backend.Out, error) {
	if err := x.Fresh(ctx); err != nil {
		return backend.Out{}, err
	}
	if len(in.Name) > 100 || len(in.DeviceID) > 128 || len(in.Attestation) > maxStatement || len(in.OS) > 32 {
		return backend.Out{}, backend.Code(fault.New(fault.Invalid, "The name or the device is too long."), "system_invalid_input")
	}
	n := NewKey{ID: in.ID, Public: in.Public, OS: in.OS, Type: in.Type, Label: in.Name}
	if n.Type == "" {
		n.Type = in.KeyType
	}
	var err error
	if n.Vouched, err = Vouch(ctx, x.Kit.DB, x.App.ID, a.kind, in.Challenge, in.Public, in.Attestation); err != nil {
		return backend.Out{}, err
	}
	var id authn.CredentialID
	err = x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		s := x.Subject(a.kind, x.User)
		if in.Challenge != "" {
			if err := a.spend(ctx, tx, s, in.Challenge); err != nil {
				return err
			}
		}
		phone, err := named(ctx, tx, s, in)
		if err != nil {
			return err
		}
		s.Device = phone
		if id, err = Enrol(ctx, tx, s, n); err != nil {
			return coded(err)
		}
		return audit.Record(ctx, tx, audit.Event{Tenant: string(x.App.Tenant), App: string(x.App.ID), Client: string(x.Client), Type: "authenticator.registered", Actor: string(x.User), Target: string(x.User),
			IP: x.Address, UserAgent: x.Agent, Outcome: "success", Data: map[string]any{"kind": string(a.kind)}})
	})
	return backend.Out{Status: backend.Created, Body: map[string]any{"authenticator_id": string(id), "publicKeyId": in.ID}}, err
}

// spend ends the challenge that an attestation answered, so that it is good once.
func (a api) spend(ctx context.Context, tx *db.Tx, s authn.Subject, challenge string) error {
	open, err := authn.OpenFor[posed](ctx, tx, s)
	if err != nil {
		return err
	}
	for i := range open {
		if open[i].Data.Enrols && open[i].Data.Challenge == challenge {
			return authn.Move(ctx, tx, &open[i], authn.Cancelled)
		}
	}
	return backend.Code(authn.Gone, "auth_challenge_expired")
}

// named is the phone of a new key: the device that is known by the id given, or
// whatever else tells the user's phones apart, if need be the key itself.
func named(ctx context.Context, q db.Q, s authn.Subject, in registerBody) (directory.DeviceID, error) {
	have, err := authn.AllCredentials[key](ctx, q, s)
	if err != nil {
		return "", err
	}
	for _, c := range have {
		if c.Handle == handle(s, in.ID) {
			return "", backend.Code(fault.New(fault.Conflict, "This key is registered already."), "auth_duplicate_key")
		}
	}
	if in.DeviceID == "" {
		return directory.DeviceID(in.ID), nil
	}
	d, err := directory.FindDevice(ctx, q, directory.DeviceID(in.DeviceID))
	if err == nil && d.User == s.User && d.App == s.App {
		return directory.DeviceID(d.KeyID), nil
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	return directory.DeviceID(in.DeviceID), nil
}

// coded gives refusals of a key the vendor's words; too many is a 400 there.
func coded(err error) error {
	switch {
	case err == TooMany:
		return backend.Code(fault.New(fault.Invalid, "%s", TooMany.Message), "auth_max_authenticators_count_exceeded")
	case err == OtherKey:
		return backend.Code(err, "auth_invalid_key_type")
	case err == NotVouched:
		return backend.Code(fault.New(fault.Invalid, "%s", NotVouched.Message), "auth_invalid_attestation")
	case fault.Is(err, fault.Invalid):
		return backend.Code(err, "auth_invalid_key_encoding")
	}
	return err
}

type startBody struct {
	backend.Common
	UserID  string         `json:"user_id,omitempty"`
	KeyID   string         `json:"publicKeyId,omitempty"`
	Data    map[string]any `json:"approval_data,omitempty"`
	Timeout int            `json:"timeout,omitempty"` // seconds
}

// start makes a challenge. Somebody unknown gets one that nothing answers.
func (a api) start(ctx context.Context, x *backend.Exec, in startBody) (backend.Out, error) {
	var p posed
	if in.Data != nil {
		data, err := journey.ApprovalData(in.Data)
		if err != nil {
			return backend.Out{}, backend.Code(err, "system_invalid_input")
		}
		p.Data = data
	}
	if in.UserID != "" {
		in.Identifier, in.IdentifierType = in.UserID, "user_id"
	}
	p.Challenge = challenge("", p.Data)
	wait := life(in.Timeout)
	err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		u, err := x.Find(ctx, tx, in.Common)
		if fault.Is(err, fault.NotFound) { // as long as for somebody
			u.ID, err = authn.NobodyID(tx, in.Identifier), nil
		}
		if err != nil {
			return err
		}
		s := x.Subject(a.kind, u.ID)
		if in.KeyID != "" {
			if s, err = at(ctx, tx, s, in.KeyID); err != nil {
				return err
			}
			p.Phone, s.Device = string(s.Device), ""
		}
		return a.pose(ctx, tx, s, p, wait)
	})
	body := map[string]any{"challenge": p.Challenge, "expires_in": int(wait / time.Second)}
	if p.Data != nil {
		body["approval_data"] = p.Data
	}
	return backend.Out{Body: body}, err
}

type signedBody struct {
	backend.Common
	KeyID          string `json:"publicKeyId"`
	Challenge      string `json:"challenge,omitempty"`
	Signature      string `json:"signature,omitempty"`
	Signed         string `json:"signedChallenge,omitempty"` // the same, as biometrics call it
	UserIdentifier string `json:"userIdentifier,omitempty"`
}

// authenticate answers an open challenge of a user. A wrong signature leaves it
// open and is charged to the phone; a right one closes it.
func (a api) authenticate(ctx context.Context, x *backend.Exec, in signedBody) (backend.Out, error) {
	if in.Signature == "" {
		in.Signature = in.Signed
	}
	var signed map[string]any
	p, err := x.Attempt(ctx, func(tx *db.Tx) (authn.Proof, error) {
		u, err := in.user(ctx, x, tx)
		if err != nil {
			return authn.Proof{}, authn.Unknown(ctx, tx, err, a.kind, x.App.Tenant, x.App.ID, in.Identifier+in.UserIdentifier)
		}
		s, err := at(ctx, tx, x.Subject(a.kind, u.ID), in.KeyID)
		if err != nil {
			return authn.Proof{}, err
		}
		open, err := in.open(ctx, tx, s)
		if err != nil {
			return authn.Proof{}, err
		}
		texts := make([]string, len(open))
		for i, c := range open {
			texts[i] = c.Data.Challenge
		}
		p, over, err := Verify(ctx, tx, s, in.KeyID, in.Signature, texts...)
		if err != nil {
			return p, err
		}
		signed = open[over].Data.Data
		return p, authn.Approve(ctx, tx, &open[over], p)
	})
	if err != nil {
		return backend.Out{}, err
	}
	out := backend.Out{Proof: p, SessionID: in.SessionID}
	if signed != nil {
		out.Body = map[string]any{"approval_data": signed, "approval_hash": journey.ApprovalHash(signed)}
	}
	return out, nil
}

func (in signedBody) user(ctx context.Context, x *backend.Exec, q db.Q) (directory.User, error) {
	if in.Identifier == "" && in.UserIdentifier != "" {
		return directory.Lookup(ctx, q, x.App.Tenant, in.UserIdentifier)
	}
	return x.Find(ctx, q, in.Common)
}

// open are the challenges that the phone of s may answer: the one it names, or
// the eight newest. Who has none is told so and not charged, for nothing was
// judged.
func (in signedBody) open(ctx context.Context, q db.Q, s authn.Subject) ([]authn.Challenge[posed], error) {
	all, err := authn.OpenFor[posed](ctx, q, s)
	if err != nil {
		return nil, err
	}
	var out []authn.Challenge[posed]
	for _, c := range all {
		mine := c.Data.Phone == "" || c.Data.Phone == string(s.Device)
		if mine && !c.Data.Enrols && (in.Challenge == "" || in.Challenge == c.Data.Challenge) && len(out) < 8 {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, backend.Code(authn.Gone, "auth_challenge_expired")
	}
	return out, nil
}
