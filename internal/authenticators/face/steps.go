package face

import (
	"context"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	whom := form.Text("user", "User", form.Help("Empty: whom the journey is about."))
	photo := form.Boolean("photo", "A photo may be chosen instead", form.Default(false), form.Help("For whoever has no camera. Nobody can tell when it was taken, or of whom."))
	user, camera := form.New(whom), form.New(whom, photo)
	out := []journey.Outcome{journey.Success, journey.Failure}
	journey.Register(journey.Step[cameraConfig]{
		Kind: "face.register", Title: "Register face", Category: "Enrol",
		Asks:  []string{"face.register"},
		Words: []string{"selfie", "liveness", "camera", "photo", "biometric"}, Config: camera, Outcomes: out, Role: journey.Enrols,
		Doc: "Has the client take a picture and keeps its numbers, with the user's consent. The user must have been proven in this run.",
		Run: register,
	})
	journey.Register(journey.Step[cameraConfig]{ // it proves nobody by itself, so a journey needs another step that does
		Kind: "face.authenticate", Title: "Face authentication", Category: "Authenticate",
		Asks:  []string{"face.authenticate"},
		Words: []string{"selfie", "liveness", "camera", "photo", "biometric"}, Config: camera, Outcomes: out,
		Doc:     "Has the client take a picture and compares it. It counts beside another proof of the same user only, which must come first.",
		Prepare: compare, Run: authenticate,
	})
	journey.Register(journey.Step[config]{
		Kind: "face.delete", Title: "Delete face", Category: "Enrol", Config: user, Outcomes: out,
		Doc: "Forgets the user's face. The user must have been proven in this run.",
		Run: remove,
	})
}

type config struct {
	User string `json:"user"`
}

type cameraConfig struct {
	User  string `json:"user"`
	Photo bool   `json:"photo"`
}

func (c cameraConfig) whom() config { return config{c.User} }

type memo struct {
	Capture authn.ChallengeID `json:"capture"`
}

var failure = []journey.Option{{ID: "failure", Label: "It did not work"}}

func gaveUp(x *journey.Exec) bool { return x.Answer != nil && x.Answer.Option == "failure" }

// proven is the user of the step, who must have been proven in this run.
func proven(ctx context.Context, x *journey.Exec, c config) (authn.Subject, error) {
	u, err := x.User(ctx, c.User)
	if err == nil && x.Proven() != u.ID {
		err = fault.New(fault.Denied, "Prove who you are in another way first.")
	}
	return subject(x.Tenant(), x.App(), u.ID), err
}

// ask opens a capture and tells the client where its pictures go. One that ran out
// is opened anew when the client asks for it (resend).
func ask(ctx context.Context, x *journey.Exec, s authn.Subject, photo bool, kind, purpose string, more ...form.Field) (journey.Next, error) {
	c, err := Begin(ctx, x.Tx, s, purpose)
	if err != nil {
		return journey.Judge(x, err)
	}
	return journey.Ask(journey.Prompt{
		Kind: kind, Title: "Look at the camera", Options: failure, Resend: true, Until: x.Now().Add(c.Life), Fields: append(form.New(form.Text("face_session_id", "Capture", form.Required, form.MaxLen(64))), more...),
		Data: map[string]any{"face_session_id": string(c.ID), "start_token": c.Token, "capture_url": x.URL + "/v1/face/sessions/" + string(c.ID) + "/capture", "moves": c.Moves, "expires_in": int(c.Life.Seconds()), "photo": photo},
	}, memo{c.ID}), nil
}

// taken is the capture of this visit that the client says is done.
func taken(x *journey.Exec) (authn.ChallengeID, error) {
	var m memo
	if _, err := x.Memo(&m); err != nil {
		return "", err
	}
	if said, _ := x.Answer.Data["face_session_id"].(string); said != string(m.Capture) {
		return "", nil // nobody's
	}
	return m.Capture, nil
}

// begins reports whether a step has to open a capture.
func begins(x *journey.Exec) bool { return x.Answer == nil || x.Answer.Option == "resend" }

func register(ctx context.Context, x *journey.Exec, c cameraConfig) (journey.Next, error) {
	if gaveUp(x) {
		x.FailAs("cancelled", "No picture was taken.")
		return journey.Go(journey.Failure), nil
	}
	s, err := proven(ctx, x, c.whom())
	if err != nil {
		return journey.Judge(x, err)
	}
	if begins(x) {
		return ask(ctx, x, s, c.Photo, "face.register", toRegister, form.Boolean("consent", "I agree that numbers that describe my face are kept, to recognise me", form.Required))
	}
	id, err := taken(x)
	if err != nil {
		return journey.Next{}, err
	}
	consent := ""
	if yes, _ := x.Answer.Data["consent"].(bool); yes {
		consent = "journey " + x.Journey()
	}
	made, err := Enrol(ctx, x.Tx, s, id, consent, x.Dev())
	if err != nil {
		return journey.Judge(x, err)
	}
	x.Enrolled(string(made))
	return journey.Go(journey.Success), x.Audit(ctx, "authenticator.registered", "", map[string]any{"kind": string(Kind)})
}

// compare does the slow part: the engine's.
func compare(ctx context.Context, x *journey.Exec, c cameraConfig) (any, error) {
	if begins(x) || gaveUp(x) {
		return nil, nil
	}
	s, err := proven(ctx, x, c.whom())
	if err != nil {
		return nil, nil // Run says so
	}
	id, err := taken(x)
	if err != nil {
		return nil, err
	}
	return Judge(ctx, x.DB(), s, id, x.Dev()), nil
}

func authenticate(ctx context.Context, x *journey.Exec, c cameraConfig) (journey.Next, error) {
	if gaveUp(x) {
		x.FailAs("cancelled", "No picture was taken.")
		return journey.Go(journey.Failure), nil
	}
	s, err := proven(ctx, x, c.whom())
	if err != nil {
		return journey.Judge(x, err)
	}
	if begins(x) {
		return ask(ctx, x, s, c.Photo, "face.authenticate", toAuthenticate)
	}
	v, _ := x.Prepared.(authn.Verdict)
	p, err := v.Settle(ctx, x.Tx)
	if err == nil {
		err = x.Prove(p)
	}
	return journey.Judge(x, err)
}

func remove(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
	s, err := proven(ctx, x, c)
	if err == nil {
		err = Delete(ctx, x.Tx, s)
	}
	if err != nil {
		return journey.Judge(x, err)
	}
	return journey.Go(journey.Success), x.Audit(ctx, "authenticator.revoked", "", map[string]any{"kind": string(Kind)})
}
