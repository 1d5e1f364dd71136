package cidaas

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/oidc"
	"github.com/watchword-auth/watchword/internal/web"
)

// flow is what a challenge keeps for this door: a part of what a push request
// keeps, and all that the other methods need.
type flow struct {
	Client apps.ClientID `json:"client,omitempty"` // that began
	Party  string        `json:"party,omitempty"`
	Masked string        `json:"masked,omitempty"`
	As     string        `json:"as,omitempty"`
	Decoy  bool          `json:"decoy,omitempty"`
	Name   string        `json:"name,omitempty"`   // of a decoy: what failures are counted under
	Ref    string        `json:"ref,omitempty"`    // what was begun elsewhere: a ceremony, a picture, a link
	Token  string        `json:"token,omitempty"`  // of the picture
	Number string        `json:"number,omitempty"` // what the page of a mailed link asks for
}

const flowLife = 5 * time.Minute

// asked reads the request that a call names.
func (d Door) asked(ctx context.Context, in body) (oidc.Ask, string, error) {
	id := in.get("request_id", "requestId")
	if id == "" {
		return oidc.Ask{}, "", missing
	}
	a, err := d.Provider.Find(ctx, id)
	if err == nil && !a.Client.Settings.Cidaas {
		err = badRequest
	}
	if oidc.Refusal(err) != nil {
		err = badRequest.because(err)
	}
	return a, id, err
}

// whom finds the user of a call: by any identifier, or by the name that the
// request has for who is half signed in. "" for nobody; typed is what the answer
// about nobody depends on.
func (d Door) whom(ctx context.Context, a oidc.Ask, request string, in body) (user directory.UserID, typed string, half bool, err error) {
	if sub := in.get("sub", "q"); sub != "" {
		h, err := d.Provider.Halfway(ctx, request)
		if err != nil || h.User == "" || masked(d.Kit.DB, request, string(h.User)) != sub {
			return "", sub, false, err
		}
		return h.User, sub, true, nil
	}
	typed = in.get("identifier", "email", "mobile_number", "username")
	if typed == "" {
		return "", "", false, missing
	}
	u, err := directory.Lookup(ctx, d.Kit.DB, a.App.Tenant, typed)
	if fault.Is(err, fault.NotFound) || err == nil && u.Status != directory.Active {
		return "", typed, false, nil
	}
	return u.ID, typed, false, err
}

func (d Door) list(r *http.Request, in body) (any, error) {
	list, err := d.entries(r.Context(), in)
	return map[string]any{"configured_list": list}, err
}

func (d Door) entries(ctx context.Context, in body) ([]entry, error) {
	a, request, err := d.asked(ctx, in)
	if err != nil {
		return nil, err
	}
	user, typed, _, err := d.whom(ctx, a, request, in)
	if err != nil {
		return nil, err
	}
	if user == "" {
		return d.nobodys(ctx, a, typed)
	}
	list, err := has(ctx, d.Kit.DB, a.Client, a.App, user)
	if list == nil {
		list = []entry{}
	}
	return list, err
}

// nobodys is the list of somebody unknown. It reads what is read for somebody, so that
// it takes as long (security R30).
func (d Door) nobodys(ctx context.Context, a oidc.Ask, typed string) ([]entry, error) {
	if _, err := has(ctx, d.Kit.DB, a.Client, a.App, directory.UserID(stranger(typed))); err != nil {
		return nil, err
	}
	return decoy(d.Kit.DB, a.Client, a.App, typed), nil
}

func (d Door) check(r *http.Request, in body) (any, error) {
	list, err := d.entries(r.Context(), in)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if strings.EqualFold(e.Type, r.PathValue("method")) {
			return e, nil
		}
	}
	return nil, nil
}

// initiate begins to authenticate somebody for a request (cidaas-protocol 2.3).
func (d Door) initiate(r *http.Request, in body) (any, error) {
	ctx := r.Context()
	switch in.get("usage_type", "usageType") {
	case "PASSWORDLESS_AUTHENTICATION", "INITIAL_AUTHENTICATION", "MULTIFACTOR_AUTHENTICATION":
	case "":
		return nil, noSuchPayload
	default:
		return nil, badUsage
	}
	a, request, err := d.asked(ctx, in)
	if err != nil {
		return nil, err
	}
	m, err := methodOf(r.PathValue("method"), a.Client)
	if err != nil {
		return nil, err
	}
	if m.Type == "EMAIL" && strings.EqualFold(in.get("processingType"), "LINK") {
		m = mailedLink
	}
	var on struct{}
	if err := authn.Settings(ctx, d.Kit.DB, a.App.ID, m.Kind, &on); fault.Is(err, fault.Denied) {
		return nil, inactive.because(err)
	} else if err != nil {
		return nil, err
	}
	user, typed, half, err := d.whom(ctx, a, request, in)
	if err != nil {
		return nil, err
	}
	b := begun{ask: a, request: request, m: m, user: user, typed: typed, half: half, from: web.Address(r, d.Trusted).String(), agent: clip(r.UserAgent()),
		flow: flow{Party: d.Provider.Party(request), Masked: masked(d.Kit.DB, request, string(user)), As: m.Type}}
	if user == "" {
		b.flow.Masked = masked(d.Kit.DB, request, "?"+typed)
	}
	if m.way == byPhone {
		return d.initiatePhone(r, in, b)
	}
	return d.initiateOther(r, b)
}

// initiatePhone asks a phone. Somebody whom nobody knows, who is locked or has
// none waits like anybody else, and nobody answers.
func (d Door) initiatePhone(r *http.Request, in body, b begun) (any, error) {
	ctx := r.Context()
	phone, here, err := d.medium(ctx, in, b)
	if err != nil {
		return nil, err
	}
	ask := push.Asked{Subject: authn.Subject{Tenant: b.ask.App.Tenant, App: b.ask.App.ID, User: b.user}, To: phone, Once: "cidaas/" + rand.Text(), Name: directory.NameKey(b.typed), Proven: b.half, Mode: push.Choose4, Echo: d.Kit.Dev,
		Request: push.Request{AppName: b.ask.App.Name, Client: b.ask.Client.ID, ClientAs: b.ask.Client.Name, Place: b.from, Browser: b.agent, Web: "cidaas", Here: here,
			Party: b.flow.Party, Masked: b.flow.Masked, As: b.flow.As}}
	if b.m.Kind != push.Kind {
		ask.Mode, ask.Request.Signs = push.Off, true
	}
	var ch push.Challenge
	err = d.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		locked := authn.Locked(ctx, tx, authn.Subject{Kind: push.Kind, Tenant: b.ask.App.Tenant, App: b.ask.App.ID, User: directory.UserID(b.name())})
		if b.user == "" || phone.ID == "" || fault.Is(locked, fault.Locked) {
			ask.Subject.User, ask.To = "", push.Nobody()
		}
		_, version, err := journey.Newest(ctx, tx, b.ask.App.Tenant, mobileJourney)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		ask.Request.Journey, ask.Request.Version = mobileJourney, version
		if ch, err = push.Begin(ctx, tx, ask); err != nil {
			return err
		}
		return d.Provider.Begun(ctx, tx, b.request, ch.ID)
	})
	if err != nil {
		return nil, err
	}
	out := map[string]any{"exchange_id": held(d.Kit.DB, ch.ID, ch.Turn, ch.Expires), "sub": b.flow.Masked, "status_id": string(ch.ID)}
	if strict(r) {
		return out, nil
	}
	out["medium_text"] = mask(b.typed)
	if ch.Data.Number != "" {
		out["push_selected_number"] = ch.Data.Number
	}
	if here && ch.Data.Signs {
		out["signed_challenge"], err = d.challenge(r, ch)
	}
	return out, err
}

// mobileJourney is what a phone of ours runs when this door asks it.
const mobileJourney = "mobile_approve"

// strict reports an SDK that cannot read more than it knows (Android up to
// 3.2.12, cidaas-protocol 2.3).
func strict(r *http.Request) bool {
	ua := r.UserAgent()
	return strings.HasPrefix(ua, "Cidaas-") && (strings.Contains(ua, "Dalvik") || strings.Contains(ua, "Android")) && strings.Contains(r.URL.Path, "/v2/")
}

// medium is the phone that is asked: the one named, else the first. here says that
// the phone itself began this. Nothing for somebody who has none.
func (d Door) medium(ctx context.Context, in body, b begun) (m push.Medium, here bool, err error) {
	app, user := b.ask.App, directory.UserID(b.name())
	media, err := push.Media(ctx, d.Kit.DB, authn.Subject{Tenant: app.Tenant, App: app.ID, User: user})
	if err == nil && b.m.Kind != push.Kind {
		var all []authn.Authenticator
		all, err = authn.Authenticators(ctx, d.Kit.DB, app.Tenant, app.ID, user)
		media = b.m.on(media, all)
	}
	if err != nil {
		return m, false, err
	}
	t := push.Triple{Client: b.ask.Client.ID, Device: in.get("device_id"), PushID: in.get("push_id")}
	want := in.get("medium_id")
	for _, each := range media {
		same, err := each.Is(ctx, d.Kit.DB, t, d.Kit.Dev)
		if err != nil {
			return m, false, err
		}
		if same && t.Device != "" {
			return each, true, nil
		}
		if want == each.ID || want == mediumID(d.Kit.DB, app.ID, each.ID) || want == "" && m.ID == "" {
			m = each
		}
	}
	return m, false, nil
}

// statusWords are the states of the protocol (DESIGN 2.20.15).
var statusWords = map[authn.State]string{authn.Created: "INITIATED", authn.Acknowledged: "PUSH_ACKNOWLEDGED", authn.Allowed: "ALLOWED", authn.Approved: "AUTHENTICATED", authn.Consumed: "AUTHENTICATED",
	authn.Denied: "DENIED", authn.Cancelled: "CANCELLED", authn.Expired: "DENIED"}

// status says where a flow stands, at once; "Prefer: wait=N" holds the answer
// until it moves, N seconds at most (RFC 7240 4.3).
func (d Door) status(r *http.Request, in body) (any, error) {
	id := authn.ChallengeID(r.PathValue("status"))
	if !plain(string(id)) {
		return nil, badStatus
	}
	w := d.Kit.DB.Watch(id.Topic())
	defer w.Close()
	ch, err := d.stands(r.Context(), id)
	if wait := waiting(r); err == nil && wait > 0 && ch.State.Open() {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-w.C:
			ch, err = d.stands(r.Context(), id)
		case <-timer.C:
		case <-d.Stop:
		case <-r.Context().Done():
		}
	}
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	word := statusWords[ch.State]
	if ch.Data.Setup {
		if word = setupWords[ch.State]; word == "" {
			return nil, nil
		}
	}
	return map[string]any{"status": word, "sub": ch.Data.Masked, "type": first(ch.Data.As, "PUSH")}, nil
}

// stands is a flow in the state that it is in, or that what it waits for is in.
// fault.NotFound for what is no flow of this door.
func (d Door) stands(ctx context.Context, id authn.ChallengeID) (authn.Challenge[enrolment], error) {
	ch, err := authn.Recall[enrolment](ctx, d.Kit.DB, id)
	if err != nil {
		return ch, err
	}
	if ch.Data.As == "" && ch.Subject.Kind != push.Kind {
		return ch, fault.New(fault.NotFound, "no such flow")
	}
	if ch.Subject.Kind == mailedLink.Kind && ch.State.Open() && ch.Data.Ref != "" {
		state, err := authn.StateOf(ctx, d.Kit.DB, authn.ChallengeID(ch.Data.Ref))
		if err != nil || state.Open() {
			return ch, err
		}
		ch.State = state
	}
	return ch, nil
}

// plain reports whether a text could be an id of ours, or of another server's.
func plain(id string) bool {
	return len(id) >= 8 && len(id) <= 64 && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
	})
}

func waiting(r *http.Request) time.Duration {
	text, ok := strings.CutPrefix(strings.ReplaceAll(r.Header.Get("Prefer"), " ", ""), "wait=")
	if !ok {
		return 0
	}
	wait, err := time.ParseDuration(text + "s")
	if err != nil || wait < 0 {
		return 0
	}
	return min(wait, journey.MaxHold)
}
