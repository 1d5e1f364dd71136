package deviceapi

import (
	"cmp"
	"context"
	"encoding/base64"

	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/session"
)

type requestsIn struct {
	Wait int `json:"wait"` // seconds, 0 to 25
}

type requestsOut struct {
	Requests []push.Shown `json:"requests"`
	Now      int64        `json:"now"` // ms: by which the phone counts down
}

func (d Door) requests(ctx context.Context, c *call, in requestsIn) (requestsOut, error) {
	wait, err := seconds(in.Wait)
	if err != nil {
		return requestsOut{}, err
	}
	list, err := push.ShownOn(ctx, d.Kit.DB, c.app.ID, c.device.KeyID, wait, d.Stop)
	return requestsOut{list, d.Kit.DB.Now().UnixMilli()}, err
}

type answerIn struct {
	Request   string `json:"request"`
	Decision  string `json:"decision"` // "approve", "deny" or "not_me"
	Number    string `json:"number"`
	Signature string `json:"statement_signature"` // by the device key, over the statement
}

// runOut is where a journey on the phone stands. Session is sealed to this phone's
// key: nobody else can go on with it.
type runOut struct {
	State   authn.State `json:"state,omitempty"` // of the request that it answers
	Session string      `json:"session,omitempty"`
	Visit   string      `json:"visit,omitempty"`
	Turn    string      `json:"turn,omitempty"`
	Prompt  *promptOut  `json:"prompt,omitempty"`
	Problem *problemOut `json:"problem,omitempty"`
	End     *endOut     `json:"end,omitempty"`
	Receipt string      `json:"receipt,omitempty"` // of an approval: a signed statement to keep
}

type promptOut struct {
	Kind    string           `json:"kind"`
	Title   string           `json:"title,omitempty"`
	Text    string           `json:"text,omitempty"`
	Button  string           `json:"button,omitempty"`
	Fields  form.Form        `json:"fields,omitempty"`
	Data    map[string]any   `json:"data,omitempty"`
	Options []journey.Option `json:"options,omitempty"`
	Poll    bool             `json:"poll,omitempty"`
	Empty   bool             `json:"empty,omitempty"`
	Resend  bool             `json:"resend,omitempty"`
	Sent    *journey.Sent    `json:"sent,omitempty"` // where a code of it went
}

type problemOut struct {
	Code    fault.Code `json:"error"`
	Message string     `json:"message"`
}

type endOut struct {
	OK      bool   `json:"ok"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// answer decides a request. An approval goes on in the journey that proves the
// phone's owner.
func (d Door) answer(ctx context.Context, c *call, in answerIn) (runOut, error) {
	out, err := push.Decide(ctx, d.Kit, d.Engine, push.Spoken{
		Request: in.Request, Decision: in.Decision, Number: in.Number, Signature: in.Signature, DeviceKey: c.device.KeyID, App: c.app, Client: c.client, Caller: c.caller,
	})
	if err != nil {
		return runOut{}, err
	}
	reply, err := d.told(ctx, c, in.Request, out.Run)
	if reply.State == "" {
		reply.State = out.State
	}
	return reply, err
}

type beginIn struct {
	Phone phone `json:"phone"`
}

// registration is the journey by which a phone is set up without an invitation,
// unless its client names another.
const registration = "mobile_app_registration"

// begin starts setting up a phone that nobody invited.
func (d Door) begin(ctx context.Context, c *call, in beginIn) (runOut, error) {
	if err := in.Phone.check(); err != nil {
		return runOut{}, err
	}
	c.says(in.Phone)
	reply, err := d.Engine.Start(ctx, journey.StartRequest{App: c.app, Client: c.client, Journey: cmp.Or(c.client.Settings.PhoneJourney, registration), Kind: journey.KindClient, Caller: c.caller})
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "Phones are added here by a link only. Sign in in a browser to get one.")
	}
	if err != nil {
		return runOut{}, err
	}
	return d.told(ctx, c, "", reply)
}

func (c *call) says(p phone) {
	d := &c.caller.Device
	d.Name, d.Model, d.Platform, d.OS, d.AppIdentifier, d.Type = p.Name, p.Name, p.Platform, "web", "watchword", "mobile"
}

type proceedIn struct {
	Session string         `json:"session"`
	Request string         `json:"request,omitempty"` // that the run answers
	Visit   string         `json:"visit"`
	Turn    string         `json:"turn"`
	Option  string         `json:"option,omitempty"`
	Data    map[string]any `json:"data,omitempty"`
	Phone   phone          `json:"phone"`
}

// proceed answers the prompt of a run that this phone began.
func (d Door) proceed(ctx context.Context, c *call, in proceedIn) (runOut, error) {
	if err := in.Phone.check(); err != nil {
		return runOut{}, err
	}
	session, err := d.unsealed(c, in.Session)
	if err != nil {
		return runOut{}, err
	}
	c.says(in.Phone)
	reply, err := d.Engine.Answer(ctx, journey.Answer{Session: session, Visit: in.Visit, Turn: in.Turn, Option: in.Option, Data: in.Data, Caller: c.caller})
	if err != nil {
		return runOut{}, err
	}
	reply.Session = session
	return d.told(ctx, c, in.Request, reply)
}

func place(c *call) string { return "device/run/" + c.key.ID() }

func (d Door) unsealed(c *call, session string) (string, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(session)
	if err != nil {
		return "", journey.Ended
	}
	b, err := d.Kit.DB.Vault().Open(place(c), sealed)
	if err != nil {
		return "", journey.Ended
	}
	return string(b), nil
}

// told puts a reply into this door's words.
func (d Door) told(ctx context.Context, c *call, request string, r journey.Reply) (runOut, error) {
	out := runOut{Visit: r.Visit, Turn: r.Turn}
	if r.Session != "" {
		out.Session = base64.RawURLEncoding.EncodeToString(d.Kit.DB.Vault().Seal(place(c), []byte(r.Session)))
	}
	if p := r.Prompt; p != nil && r.End == nil {
		out.Prompt = &promptOut{p.Kind, p.Title, p.Text, p.Button, p.Fields, p.Data, p.Options, p.Poll, p.Empty, p.Resend, p.Sent}
	}
	if r.Problem != nil {
		out.Problem = &problemOut{r.Problem.Code, r.Problem.Message}
	}
	if r.End == nil {
		return out, nil
	}
	out.End = &endOut{r.End.OK, r.End.Reason, r.End.Message}
	if request == "" {
		return out, nil
	}
	ch, err := push.Standing(ctx, d.Kit.DB, c.app.ID, request, c.key.ID())
	if err != nil {
		return out, err
	}
	out.State = ch.State
	if r.End.OK && len(r.End.Proofs) > 0 {
		out.Receipt, err = d.receipt(ctx, c, ch, *r.End)
	}
	return out, err
}

// receipt is what the phone keeps of an approval: what was approved, and what can be
// shown for it, signed by this server.
func (d Door) receipt(ctx context.Context, c *call, ch push.Challenge, end journey.End) (string, error) {
	approved := session.Receipt{ID: string(ch.ID), Data: ch.Data.Approval, Hash: journey.ApprovalHash(ch.Data.Approval), Method: push.Kind, At: end.Proofs[0].At(), Evidence: push.Evidence(ch)}
	return approved.Sign(ctx, d.Keys, d.Kit.URL, c.client.ID, c.app, end.Proofs)
}
