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
	Party  string `json:"party,omitempty"`
	Masked string `json:"masked,omitempty"`
	As     string `json:"as,omitempty"`
	Decoy  bool   `json:"decoy,omitempty"`
	Name   string `json:"name,omitempty"` // of a decoy: what failures are counted under
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
func (d Door) whom(ctx context.Context, a oidc.Ask, request string, in body) (user directory.UserID, typed string, err error) {
	if sub := in.get("sub", "q"); sub != "" {
		half, err := d.Provider.Halfway(ctx, request)
		if err != nil || half == "" || masked(d.Kit.DB, request, string(half)) != sub {
			return "", sub, err
		}
		return half, sub, nil
	}
	typed = in.get("identifier", "email", "mobile_number", "username")
	if typed == "" {
		return "", "", missing
	}
	u, err := directory.Lookup(ctx, d.Kit.DB, a.App.Tenant, typed)
	if fault.Is(err, fault.NotFound) || err == nil && u.Status != directory.Active {
		return "", typed, nil
	}
	return u.ID, typed, err
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
	user, typed, err := d.whom(ctx, a, request, in)
	if err != nil {
		return nil, err
	}
	if user == "" {
		return decoy(d.Kit.DB, a.Client, a.App, typed), nil
	}
	list, err := has(ctx, d.Kit.DB, a.Client, a.App, user)
	if list == nil {
		list = []entry{}
	}
	return list, err
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
	var on struct{}
	if err := authn.Settings(ctx, d.Kit.DB, a.App.ID, m.Kind, &on); fault.Is(err, fault.Denied) {
		return nil, inactive.because(err)
	} else if err != nil {
		return nil, err
	}
	user, typed, err := d.whom(ctx, a, request, in)
	if err != nil {
		return nil, err
	}
	sub := masked(d.Kit.DB, request, string(user))
	if user == "" {
		sub = masked(d.Kit.DB, request, "?"+typed)
	}
	f := flow{Party: d.Provider.Party(request), Masked: sub, As: m.Type}
	if m.Kind == push.Kind {
		return d.initiatePush(r, in, a, user, typed, f)
	}
	return d.initiateOther(r, a, m, user, typed, f)
}

func (d Door) initiatePush(r *http.Request, in body, a oidc.Ask, user directory.UserID, typed string, f flow) (any, error) {
	ctx := r.Context()
	m, here, err := d.medium(ctx, in, a, user)
	if err != nil {
		return nil, err
	}
	var ch push.Challenge
	err = d.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		subject := authn.Subject{Tenant: a.App.Tenant, App: a.App.ID, User: user}
		ask := push.Asked{Subject: subject, Once: "cidaas/" + rand.Text(), Name: directory.NameKey(typed), Mode: push.Choose4, Echo: d.Kit.Dev,
			Request: push.Request{AppName: a.App.Name, Client: a.Client.ID, ClientAs: a.Client.Name, Place: web.Address(r, d.Trusted).String(), Browser: clip(r.UserAgent()), Web: "cidaas", Here: here,
				Party: f.Party, Masked: f.Masked, As: f.As}}
		locked := user != "" && fault.Is(authn.Locked(ctx, tx, authn.Subject{Kind: push.Kind, Tenant: a.App.Tenant, App: a.App.ID, User: user}), fault.Locked)
		if user == "" || m.ID == "" || locked {
			ask.Subject.User = "" // waits like any other, and nobody answers
		} else {
			ask.Device = m.Device()
			_, version, err := journey.Newest(ctx, tx, a.App.Tenant, mobileJourney)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			ask.Request.Journey, ask.Request.Version = mobileJourney, version
		}
		var err error
		ch, err = push.Begin(ctx, tx, ask)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := map[string]any{"exchange_id": held(d.Kit.DB, ch.ID, ch.Turn, ch.Expires), "sub": f.Masked, "status_id": string(ch.ID)}
	if strict(r) {
		return out, nil
	}
	out["medium_text"], out["push_selected_number"] = mask(typed), ch.Data.Number
	return out, nil
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
func (d Door) medium(ctx context.Context, in body, a oidc.Ask, user directory.UserID) (m push.Medium, here bool, err error) {
	if user == "" {
		return m, false, nil
	}
	media, err := push.Media(ctx, d.Kit.DB, authn.Subject{Tenant: a.App.Tenant, App: a.App.ID, User: user})
	if err != nil || len(media) == 0 {
		return m, false, err
	}
	t := push.Triple{Client: a.Client.ID, Device: in.get("device_id"), PushID: in.get("push_id")}
	want := in.get("medium_id")
	for _, each := range media {
		same, err := each.Is(ctx, d.Kit.DB, t, d.Kit.Dev)
		if err != nil {
			return m, false, err
		}
		if same && t.Device != "" {
			return each, true, nil
		}
		if each.ID == want || want == "" && m.ID == "" {
			m = each
		}
	}
	return m, false, nil
}

func (d Door) initiateOther(r *http.Request, a oidc.Ask, m method, user directory.UserID, typed string, f flow) (any, error) {
	ctx := r.Context()
	if user != "" && m.begin != "" {
		_, err := m.call(ctx, d.exec(r, a.Client, a.App), m.begin, user, nil)
		if v, ok := err.(*ver); ok && v.code == insufficient.code {
			user, err = "", nil // who has no such address looks like nobody
		}
		if err != nil {
			return nil, err
		}
	}
	f.Decoy, f.Name = user == "", stranger(typed)
	var ch authn.Challenge[flow]
	err := d.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		ch, _, err = authn.Pose(ctx, tx, authn.Opening{Subject: authn.Subject{Kind: m.Kind, Tenant: a.App.Tenant, App: a.App.ID, User: user}, Once: "cidaas/" + rand.Text(), Life: flowLife}, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := map[string]any{"exchange_id": held(d.Kit.DB, ch.ID, ch.Turn, ch.Expires), "sub": f.Masked, "status_id": string(ch.ID)}
	if !strict(r) {
		out["medium_text"] = mask(typed)
	}
	return out, nil
}

// reply is what a phone's call says.
func (d Door) reply(in body) (push.Reply, error) {
	if in.get("exchange_id") == "" || in.get("device_id") == "" || in.get("push_id") == "" || in.get("client_id") == "" {
		return push.Reply{}, missing
	}
	id, turn, err := parted(d.Kit.DB, in.get("exchange_id"))
	return push.Reply{ID: id, Turn: turn, Unsigned: d.Kit.Dev,
		Triple: push.Triple{Client: apps.ClientID(in.get("client_id")), Device: in.get("device_id"), PushID: in.get("push_id")}}, err
}

// said translates a refusal of a phone's answer.
func said(err error) error {
	switch {
	case err == nil:
		return nil
	case fault.Of(err) == push.NotOpen:
		return lateExchange
	case fault.Of(err) == push.NotItsTurn, fault.Of(err) == authn.Gone:
		return badExchange
	case fault.Of(err) == push.NotThis:
		return wrongDevice
	case fault.Of(err) == push.NotYet:
		return wrongStage
	case fault.Is(err, fault.Locked):
		return wrongCode.because(err)
	}
	return err
}

// take is acknowledge and allow.
func (d Door) take(from, to authn.State) handler {
	return func(r *http.Request, in body) (any, error) {
		reply, err := d.reply(in)
		if err != nil {
			return nil, err
		}
		var ch push.Challenge
		err = d.Kit.DB.Move(r.Context(), func(tx *db.Tx) (err error) {
			ch, err = reply.Take(r.Context(), tx, from, to)
			return err
		})
		if err != nil {
			return nil, said(err)
		}
		out := d.stood(ch)
		if to == authn.Allowed {
			out["push_random_numbers"] = ch.Data.Choices
			return out, nil
		}
		for name, v := range map[string]any{"push_id": in.get("push_id"), "device_id": in.get("device_id"), "client_id": in.get("client_id"), "client_name": ch.Data.ClientAs, "message": approvalText(ch),
			"address": place(ch.Data.Place), "device_info": browser(ch.Data.Browser)} {
			out[name] = v
		}
		return out, nil
	}
}

// approvalText is what is approved, in one line.
func approvalText(ch push.Challenge) string {
	if s, ok := ch.Data.Approval["message"].(string); ok {
		return s
	}
	var parts []string
	for _, name := range sorted(ch.Data.Approval) {
		if s, ok := ch.Data.Approval[name].(string); ok {
			parts = append(parts, name+": "+s)
		}
	}
	return strings.Join(parts, ", ")
}

func browser(agent string) map[string]any {
	return map[string]any{"user_device_id": "", "device_info": map[string]any{"os": map[string]any{"name": "", "version": ""}, "browser": map[string]any{"name": "", "version": "", "major": ""},
		"engine": map[string]any{"name": "", "version": ""}, "deviceMake": "", "deviceModel": "", "userAgent": agent}}
}

// stood is where a flow stands, with the exchange id of the next step.
func (d Door) stood(ch push.Challenge) map[string]any {
	return map[string]any{"exchange_id": held(d.Kit.DB, ch.ID, ch.Turn, ch.Expires), "sub": ch.Data.Masked, "status_id": string(ch.ID)}
}

func (d Door) deny(r *http.Request, in body) (any, error) {
	reply, err := d.reply(in)
	if err != nil {
		return nil, err
	}
	var ch push.Challenge
	err = d.Kit.DB.Move(r.Context(), func(tx *db.Tx) (err error) {
		ch, err = reply.Refuse(r.Context(), tx, clip(in.get("reason")))
		return err
	})
	return d.stood(ch), said(err)
}

// cancel ends an open flow, of authentication or of enrolment, by any exchange id
// that was ever issued for it (cidaas-protocol 1.2, trap 1).
func (d Door) cancel(r *http.Request, in body) (any, error) {
	if in.get("exchange_id") == "" {
		return nil, missing
	}
	id, _, err := parted(d.Kit.DB, in.get("exchange_id"))
	if err != nil {
		return nil, err
	}
	var ch push.Challenge
	err = d.Kit.DB.Move(r.Context(), func(tx *db.Tx) (err error) {
		if ch, err = authn.Recall[push.Request](r.Context(), tx, id); err != nil {
			return err
		}
		if !ch.State.Open() {
			return lateExchange
		}
		ch.Data.Reason = "cancelled"
		return authn.Move(r.Context(), tx, &ch, authn.Cancelled)
	})
	if fault.Is(err, fault.NotFound) {
		err = badExchange
	}
	return d.stood(ch), err
}

// perform judges an answer (cidaas-protocol 2.8).
func (d Door) perform(r *http.Request, in body) (any, error) {
	ctx := r.Context()
	if in.get("exchange_id") == "" {
		return nil, missing
	}
	id, turn, err := parted(d.Kit.DB, in.get("exchange_id"))
	if err != nil {
		return nil, err
	}
	code := in.get("pass_code", "passcode", "password")
	ch, err := authn.Recall[flow](ctx, d.Kit.DB, id)
	if err != nil {
		return nil, badExchange.because(err)
	}
	if !strings.EqualFold(ch.Data.As, r.PathValue("method")) && !(ch.Data.As == "" && strings.EqualFold("push", r.PathValue("method"))) {
		return nil, badExchange
	}
	if code == "" {
		return nil, missingCode
	}
	if ch.Subject.Kind == push.Kind {
		return d.performPush(r, in, code)
	}
	switch {
	case !ch.State.Open():
		return nil, lateExchange
	case ch.Play(turn) != nil:
		return nil, badExchange
	}
	return d.performOther(r, ch, code)
}

func (d Door) performPush(r *http.Request, in body, code string) (any, error) {
	reply, err := d.reply(in)
	if err != nil {
		return nil, err
	}
	var ch push.Challenge
	var wrong error
	err = d.Kit.DB.Move(r.Context(), func(tx *db.Tx) (err error) {
		wrong = nil
		ch, err = reply.Perform(r.Context(), tx, code)
		if f := fault.Of(err); f == push.NotOpen || f == push.NotItsTurn || f == push.NotThis || f == push.NotYet {
			return err
		}
		if fault.Is(err, fault.Wrong) || fault.Is(err, fault.Locked) || fault.Is(err, fault.Denied) {
			wrong, err = err, nil
		}
		return err
	})
	switch {
	case err != nil:
		return nil, said(err)
	case wrong != nil:
		return nil, wrongCode.because(wrong)
	}
	return d.stood(ch), nil
}

// performOther lets the method's own call judge, and keeps its proof in the flow.
func (d Door) performOther(r *http.Request, ch authn.Challenge[flow], code string) (any, error) {
	ctx := r.Context()
	var m method
	for _, each := range methods {
		if each.Kind == ch.Subject.Kind {
			m = each
		}
	}
	app, err := apps.Find(ctx, d.Kit.DB, ch.Subject.App)
	if err != nil {
		return nil, err
	}
	user := ch.Subject.User
	if ch.Data.Decoy { // judged like anybody's, which costs the same and counts the same
		user = directory.UserID(ch.Data.Name)
	}
	out, err := m.call(ctx, d.exec(r, apps.Client{}, app), m.judge, user, map[string]any{m.code: code})
	if err != nil {
		return nil, err
	}
	next := ch
	err = d.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		next = ch
		return authn.Approve(ctx, tx, &next, out.Proof)
	})
	if err != nil {
		return nil, said(err)
	}
	return map[string]any{"exchange_id": held(d.Kit.DB, next.ID, next.Turn, next.Expires), "sub": next.Data.Masked, "status_id": string(next.ID)}, nil
}

// statusWords are the states of the protocol (DESIGN 2.20.15).
var statusWords = map[authn.State]string{authn.Created: "INITIATED", authn.Acknowledged: "PUSH_ACKNOWLEDGED", authn.Allowed: "ALLOWED", authn.Approved: "AUTHENTICATED", authn.Consumed: "AUTHENTICATED",
	authn.Denied: "DENIED", authn.Cancelled: "CANCELLED", authn.Expired: "DENIED"}

// status says where a flow stands, at once; "Prefer: wait=N" holds the answer
// until it moves, N seconds at most (RFC 7240 4.3).
func (d Door) status(r *http.Request, in body) (any, error) {
	id := authn.ChallengeID(r.PathValue("status"))
	if !strings.HasPrefix(string(id), "chl_") || len(id) > 64 {
		return nil, badStatus
	}
	w := d.Kit.DB.Watch(id.Topic())
	defer w.Close()
	ch, err := authn.Recall[enrolment](r.Context(), d.Kit.DB, id)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if wait := waiting(r); err == nil && wait > 0 && ch.State.Open() {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-w.C:
			ch, err = authn.Recall[enrolment](r.Context(), d.Kit.DB, id)
		case <-timer.C:
		case <-d.Stop:
		case <-r.Context().Done():
		}
	}
	if err != nil {
		return nil, err
	}
	word, as := statusWords[ch.State], ch.Data.As
	if ch.Data.Setup {
		if word = setupWords[ch.State]; word == "" {
			return nil, nil
		}
	}
	if as == "" {
		as = "PUSH"
	}
	return map[string]any{"status": word, "sub": ch.Data.Masked, "type": as}, nil
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
