// Package face is the method of a face: a picture taken now is compared with what
// is kept of an earlier one. What is kept are numbers, sealed, with the model that
// made them; no picture is ever stored, and none is sent anywhere but to the
// engine that the operator chose.
//
// A face is no secret and its comparison only likely, so it never counts alone
// (authn.Method.Beside), and an engine that cannot tell a person from a
// photograph does not count at all unless the operator insists.
package face

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"math/big"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/limit"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// Kind names the method.
const Kind authn.Kind = "face"

func init() {
	authn.Register(authn.Method{
		Kind: Kind, Title: "Face", Lives: authn.PerApp, Counts: authn.PerApp, Unlock: authn.PerApp, Tells: true, AMR: []string{"face"}, Factor: authn.Is, Beside: true, Lint: lint,
		Config: append(form.New(
			form.Boolean("save_reference", "Keep a reference of new faces", form.Default(true), form.Help("Numbers, never a picture. Off: nobody can register.")),
			form.Number("threshold", "Likeness that counts, in thousandths", form.Default(0), form.Between(0, 1000), form.Help("0: as the engine recommends. Choose it for one false match in 10,000 or fewer.")),
			form.Boolean("without_liveness", "Trust an engine that cannot tell a person from a photograph", form.Default(false)),
		), lockout.Fields(50, lockout.Tier{Failures: 5, Minutes: 5}, lockout.Tier{Failures: 10, Minutes: 60})...),
	})
}

type settings struct {
	Save            bool    `json:"save_reference"`
	Threshold       float64 `json:"threshold"`
	WithoutLiveness bool    `json:"without_liveness"`
}

func lint(doc map[string]any) []authn.Note {
	if on, _ := doc["without_liveness"].(bool); on {
		return []authn.Note{{Code: "face_liveness", Severity: authn.Warning, Field: "without_liveness", Message: "A photograph passes for its owner.", Ref: "NIST SP 800-63B-4 3.2.3, ISO/IEC 30107-3"}}
	}
	return nil
}

// reference is what is kept of a face.
type reference struct {
	Print   print     `json:"print"`
	Consent string    `json:"consent"` // what the user agreed to, in the application's words
	At      time.Time `json:"at"`
}

// The purposes of a capture.
const (
	toRegister     = "register"
	toAuthenticate = "authenticate"
)

const (
	captureLife = 2 * time.Minute
	maxTries    = 5
	maxImages   = 5
)

// capture is what a challenge remembers of a face that is being taken. The print
// is dropped when it was judged.
type capture struct {
	Purpose string   `json:"purpose"`
	Token   string   `json:"token"` // hash
	Moves   []string `json:"moves"`
	Tries   int      `json:"tries"`
	Seen    *seen    `json:"seen,omitempty"`
}

// moves are what a person may be asked to do before the camera.
var moves = []string{"look_left", "look_right", "look_up", "blink", "smile"}

// Capture is the right to take one picture of somebody.
type Capture struct {
	ID    authn.ChallengeID
	Token string // shown by whoever takes it
	Moves []string
	Life  time.Duration
}

// Begin opens a capture, and ends the one before. fault.Limited after ten in ten
// minutes.
func Begin(ctx context.Context, tx *db.Tx, s authn.Subject, purpose string) (Capture, error) {
	s.Kind = Kind
	var set settings
	if err := authn.Settings(ctx, tx, s.App, Kind, &set); err != nil {
		return Capture{}, err
	}
	key := "face/" + string(s.Tenant) + "/" + string(s.App) + "/" + string(s.User)
	if err := limit.Take(ctx, tx, key, 10, 10*time.Minute); err != nil {
		return Capture{}, err
	}
	c := Capture{Token: rand.Text(), Life: captureLife}
	for len(c.Moves) < 2 {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(moves))))
		if err != nil {
			return Capture{}, err
		}
		if m := moves[n.Int64()]; len(c.Moves) == 0 || c.Moves[0] != m {
			c.Moves = append(c.Moves, m)
		}
	}
	ch, _, err := authn.Pose(ctx, tx, authn.Opening{Subject: s, Once: "face/" + db.NewID("cap_"), Slot: key + "/" + purpose, Life: captureLife},
		capture{Purpose: purpose, Token: hash(tx, c.Token), Moves: c.Moves})
	c.ID = ch.ID
	return c, err
}

func hash(q db.Q, token string) string { return q.Vault().Hash("face capture", token) }

// NoFace is the answer to pictures without exactly one face.
var NoFace = backend.Code(fault.New(fault.Invalid, "There must be one face in the picture."), "auth_face_no_face")

// Take has the engine look at pictures. Whether it is the right face, and a live
// one, is not said here: that is judged, and charged, when somebody relies on it.
func Take(ctx context.Context, d *db.DB, id authn.ChallengeID, token string, images [][]byte, dev bool) error {
	c, err := begun(ctx, d, id, token)
	if err != nil {
		return err
	}
	c.Data.Tries++
	if err := d.Move(ctx, func(tx *db.Tx) error { return authn.Move(ctx, tx, &c, authn.Created) }); err != nil {
		return err // somebody else tries at the same time
	}
	e, err := engineOf(ctx, d, c.Subject.Tenant, c.Subject.App, dev)
	if err != nil {
		return err
	}
	s, err := e.look(ctx, question{images, c.Data.Purpose, c.Data.Moves})
	if err != nil {
		return err
	}
	if s.Faces != 1 || len(s.Print.Vector) == 0 {
		return NoFace
	}
	c.Data.Seen = &s
	return d.Move(ctx, func(tx *db.Tx) error { return authn.Move(ctx, tx, &c, authn.Acknowledged) })
}

// begun is a capture that still waits for its picture.
func begun(ctx context.Context, q db.Q, id authn.ChallengeID, token string) (authn.Challenge[capture], error) {
	c, err := authn.Recall[capture](ctx, q, id)
	if fault.Is(err, fault.NotFound) || err == nil && (c.Subject.Kind != Kind || subtle.ConstantTimeCompare([]byte(c.Data.Token), []byte(hash(q, token))) != 1) {
		return c, backend.Code(fault.New(fault.NotFound, "no such capture"), "face_session_not_found")
	}
	if err == nil && (c.State != authn.Created || c.Data.Tries >= maxTries) {
		err = backend.Code(authn.Gone, "auth_challenge_expired")
	}
	return c, err
}

// spend ends a capture and returns what was seen: once, of however many who ask
// at the same time.
func spend(ctx context.Context, tx *db.Tx, s authn.Subject, id authn.ChallengeID, purpose string) (seen, error) {
	c, err := authn.Recall[capture](ctx, tx, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return seen{}, err
	}
	if err != nil || c.Subject.Kind != Kind || c.Subject.User != s.User || c.Subject.App != s.App || c.Data.Purpose != purpose || c.State != authn.Acknowledged || c.Data.Seen == nil {
		return seen{}, backend.Code(authn.Gone, "auth_challenge_expired")
	}
	out := *c.Data.Seen
	c.Data.Seen = nil
	return out, authn.Move(ctx, tx, &c, authn.Cancelled)
}

// The refusals of a face. Both are charged.
var (
	NoMatch = backend.Code(authn.Wrong, "auth_face_no_match")
	NotLive = backend.Code(authn.Wrong, "auth_face_liveness_failed")
)

// live judges whether somebody was there.
func (set settings) live(s seen, dev bool) error {
	switch {
	case s.Live != nil && *s.Live:
		return nil
	case s.Live != nil:
		return NotLive
	case dev || set.WithoutLiveness:
		return nil
	}
	return backend.Code(NotConfigured, "auth_face_not_configured")
}

// Enrol keeps a reference of the face that was taken, instead of the one before.
// Without consent, or where references are not kept, it is fault.Denied.
func Enrol(ctx context.Context, tx *db.Tx, s authn.Subject, id authn.ChallengeID, consent string, dev bool) (authn.CredentialID, error) {
	s.Kind = Kind
	var set settings
	if err := authn.Settings(ctx, tx, s.App, Kind, &set); err != nil {
		return "", err
	}
	if consent == "" || len(consent) > 200 || !set.Save {
		return "", fault.New(fault.Denied, "A face is only kept with its owner's consent.")
	}
	was, err := spend(ctx, tx, s, id, toRegister)
	if err != nil {
		return "", err
	}
	if err := set.live(was, dev); err != nil {
		if fault.Is(err, fault.Wrong) { // nobody is guessed at here: nothing to charge
			err = backend.Code(fault.New(fault.Invalid, "That was no live face. Try again."), "auth_face_liveness_failed")
		}
		return "", err
	}
	if err := directory.Touch(ctx, tx, s.User); err != nil { // of two at once the second replaces the first
		return "", err
	}
	if err := drop(ctx, tx, s, authn.Remove); err != nil {
		return "", err
	}
	return authn.Enroll(ctx, tx, s, "", "Face", reference{was.Print, consent, tx.Now()})
}

// Delete forgets a user's face in the application, if there is one.
func Delete(ctx context.Context, tx *db.Tx, s authn.Subject) error {
	s.Kind = Kind
	return drop(ctx, tx, s, authn.Revoke)
}

func drop(ctx context.Context, tx *db.Tx, s authn.Subject, remove func(ctx context.Context, tx *db.Tx, s authn.Subject, id authn.CredentialID) error) error {
	all, err := authn.AllCredentials[reference](ctx, tx, s)
	if err != nil {
		return err
	}
	for _, c := range all {
		if err := remove(ctx, tx, s, c.ID); err != nil {
			return err
		}
	}
	return nil
}

// Judge compares the face that was taken with the one that is kept, outside any
// transaction. It is charged before it is judged.
func Judge(ctx context.Context, d *db.DB, s authn.Subject, id authn.ChallengeID, dev bool) authn.Verdict {
	s.Kind = Kind
	return authn.Weigh(ctx, d, s, func() (authn.CredentialID, error) {
		var set settings
		if err := authn.Settings(ctx, d, s.App, Kind, &set); err != nil {
			return "", err
		}
		e, err := engineOf(ctx, d, s.Tenant, s.App, dev)
		if err != nil {
			return "", backend.Code(err, "auth_face_not_configured")
		}
		var was seen
		if err := d.Move(ctx, func(tx *db.Tx) (err error) {
			was, err = spend(ctx, tx, s, id, toAuthenticate)
			return err
		}); err != nil {
			return "", err
		}
		if err := set.live(was, dev); err != nil {
			return "", err
		}
		kept, err := authn.Credentials[reference](ctx, d, s)
		if err != nil {
			return "", err
		}
		if len(kept) == 0 {
			return "", NoMatch
		}
		return kept[0].ID, set.alike(ctx, e, kept[0].Data.Print, was.Print)
	})
}

// alike compares two prints of one model.
func (set settings) alike(ctx context.Context, e engine, kept, now print) error {
	if kept.Model != now.Model || len(kept.Vector) != len(now.Vector) {
		return backend.Code(fault.New(fault.Conflict, "Register your face again: it was taken with another engine."), "auth_face_not_configured")
	}
	score, err := e.compare(ctx, kept, now)
	if err != nil {
		return err
	}
	least := now.Threshold
	if set.Threshold > 0 {
		least = set.Threshold / 1000
	}
	if least <= 0 || !(score >= least) { // an engine without a threshold matches nobody
		return NoMatch
	}
	return nil
}

// subject is whose face it is.
func subject(tenant apps.TenantID, app apps.ID, user directory.UserID) authn.Subject {
	return authn.Subject{Kind: Kind, Tenant: tenant, App: app, User: user}
}
