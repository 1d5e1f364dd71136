package push

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/web"
)

func init() {
	journey.Register(journey.Step[authenticateConfig]{
		Kind: "push.authenticate", Title: "Web to mobile authentication", Category: "Authenticate",
		Asks:  []string{"push.device", "push.wait"},
		Words: []string{"web to mobile", "approve", "phone", "notification", "number matching", "mfa", "2fa", "ciba"},
		Doc:   "Asks the user's phone and waits. Succeeds only if the phone's journey authenticated the same user.",
		Config: form.New(
			form.Text("user", "User", form.Help("Empty: whom the journey is about.")),
			form.Journey("journey", "Mobile journey", string(journey.KindMobileApprove), form.Required),
			form.Choice("number_mode", "Number to match", modes, form.Named, readModes, form.Help("Empty: as the application says.")),
			form.Number("polling_interval", "Seconds between polls", form.Default(3), form.Between(2, 5)),
			form.Text("title", "Title of the message", form.MaxLen(100)),
			form.Text("body", "Text of the message", form.MaxLen(200)),
			form.Choice("purpose", "What it is for", []string{ForLogin, ForEnrolment}, form.Default(ForLogin), form.Read(ForLogin, "Signing in", ForEnrolment, "Adding to the account"), form.Help("Said on the phone and signed by it. With something to approve it is a transaction.")),
			form.Object("approval_data", "What is approved", form.Help("At most 10 keys; shown on the phone.")),
			form.Object("additional_data", "Data for the mobile journey"),
			form.Boolean("unsigned_phones", "Ask phones that sign nothing", form.Default(false), form.Help("Phones of the cidaas SDKs. Their approval is one factor, and they choose one of four numbers whatever else is set.")),
			form.Boolean("another_way", "Offer another way", form.Default(false)),
		),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure, journey.Cancel, noDevices},
		More: func(doc map[string]any) []journey.Outcome {
			if on, _ := doc["another_way"].(bool); on {
				return []journey.Outcome{anotherWay}
			}
			return nil
		},
		Role:  journey.Proves,
		Run:   authenticate,
		Ready: decided,
	})
}

const (
	noDevices  journey.Outcome = "no_devices"
	anotherWay journey.Outcome = "another_way"
)

type authenticateConfig struct {
	User            string         `json:"user"`
	Journey         string         `json:"journey"`
	NumberMode      string         `json:"number_mode"`
	PollingInterval int            `json:"polling_interval"`
	Title           string         `json:"title"`
	Body            string         `json:"body"`
	Purpose         string         `json:"purpose"`
	ApprovalData    map[string]any `json:"approval_data"`
	AdditionalData  map[string]any `json:"additional_data"`
	Unsigned        bool           `json:"unsigned_phones"`
	AnotherWay      bool           `json:"another_way"`
}

type memo struct {
	Request  authn.ChallengeID  `json:"request,omitempty"`
	Device   directory.DeviceID `json:"device,omitempty"`
	Codes    []string           `json:"codes,omitempty"` // device ids by the code that was offered
	Resends  int                `json:"resends"`         // left
	ResentAt time.Time          `json:"resent_at,omitzero"`
	Sent     int                `json:"sent"`
	Trouble  bool               `json:"trouble,omitempty"` // the client knows
}

func authenticate(ctx context.Context, x *journey.Exec, c authenticateConfig) (journey.Next, error) {
	s := asking{Exec: x, c: c}
	if err := authn.Settings(ctx, x.Q, x.App(), Kind, &s.set); err != nil {
		return journey.Judge(x, err)
	}
	begun, err := x.Memo(&s.m)
	if err != nil {
		return journey.Next{}, err
	}
	if x.Answer != nil {
		switch x.Answer.Option {
		case "cancel":
			return s.leave(ctx, journey.Cancel)
		case string(anotherWay):
			return s.leave(ctx, anotherWay)
		}
	}
	switch {
	case !begun:
		s.m.Resends = s.set.Resends
		return s.begin(ctx)
	case s.m.Request == "":
		return s.choose(ctx)
	case x.Answer != nil && x.Answer.Option == "resend":
		return s.resend(ctx)
	}
	return s.outcome(ctx)
}

// asking is one visit of the step.
type asking struct {
	*journey.Exec
	c   authenticateConfig
	set settings
	m   memo
}

// begin finds whom to ask. Somebody whom nobody knows, who may not sign in, is
// locked or has no phone is asked like anybody else and never answers (J10),
// unless the journey knows the user by other means.
func (s asking) begin(ctx context.Context) (journey.Next, error) {
	user, phones, err := s.whom(ctx)
	if err != nil {
		return journey.Judge(s.Exec, err)
	}
	known := user != "" && user == s.Subject()
	if known && len(phones) == 0 {
		s.FailAs("no_devices", "No phone is registered.")
		return journey.Go(noDevices), nil
	}
	if len(phones) == 0 || s.set.NeedsProof && s.Proven() != user {
		return s.ask(ctx, "", Medium{})
	}
	if len(phones) > 1 {
		return s.offer(user, phones), nil
	}
	return s.ask(ctx, user, phones[0])
}

func (s asking) whom(ctx context.Context) (directory.UserID, []Medium, error) {
	u, err := s.User(ctx, s.c.User)
	if fault.Is(err, fault.NotFound) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	sub := authn.Subject{Kind: Kind, Tenant: s.Tenant(), App: s.App(), User: u.ID}
	if err := authn.Locked(ctx, s.Q, sub); fault.Is(err, fault.Locked) || u.Status != directory.Active {
		return "", nil, nil
	} else if err != nil {
		return "", nil, err
	}
	phones, err := s.phones(ctx, u.ID)
	return u.ID, phones, err
}

// phones are those that this journey may ask: not those that sign nothing, unless
// the step or the application says so, for what they approve is one factor.
func (s asking) phones(ctx context.Context, user directory.UserID) ([]Medium, error) {
	sub := authn.Subject{Tenant: s.Tenant(), App: s.App(), User: user}
	if s.c.Unsigned || s.set.Unsigned {
		return Media(ctx, s.Q, sub)
	}
	return signing(ctx, s.Q, sub)
}

// offer asks which of several phones.
func (s asking) offer(user directory.UserID, phones []Medium) journey.Next {
	rows := make([]any, len(phones))
	s.m.Codes = make([]string, len(phones))
	for i, m := range phones {
		s.m.Codes[i] = m.ID
		rows[i] = map[string]any{"code": fmt.Sprint(i + 1), "name": s.name(user, m, i+1)}
	}
	return journey.Ask(journey.Prompt{
		Kind: "push.device", Title: "Which phone?", Data: map[string]any{"devices": rows}, Options: s.options(),
		Fields: form.New(form.Text("selected_device_code", "Phone", form.Required, form.MaxLen(8))),
	}, s.m)
}

// name is how a phone is called before anybody was proven: not by what its
// owner calls it, unless the application says so (R31).
func (s asking) name(user directory.UserID, m Medium, i int) string {
	if m.ID != "" && (s.set.ShowDevices || s.Proven() == user) {
		return m.Name
	}
	if i == 0 {
		return "your phone"
	}
	return fmt.Sprintf("Phone %d", i)
}

func (s asking) choose(ctx context.Context) (journey.Next, error) {
	code, _ := s.Answer.Data["selected_device_code"].(string)
	user, phones, err := s.whom(ctx)
	if err != nil {
		return journey.Judge(s.Exec, err)
	}
	for i, id := range s.m.Codes {
		if code != fmt.Sprint(i+1) {
			continue
		}
		for _, m := range phones {
			if m.ID == id {
				return s.ask(ctx, user, m)
			}
		}
	}
	if len(phones) == 0 {
		return s.ask(ctx, "", Medium{})
	}
	return s.offer(user, phones).Because(fault.New(fault.Invalid, "Choose one of the phones offered.")), nil
}

// ask poses the request.
func (s asking) ask(ctx context.Context, user directory.UserID, to Medium) (journey.Next, error) {
	version := int64(0)
	if user != "" {
		_, v, err := journey.Newest(ctx, s.Q, s.Tenant(), s.c.Journey)
		if err != nil {
			return journey.Next{}, fmt.Errorf("mobile journey %s: %w", s.c.Journey, err)
		}
		version = v
	}
	if len(s.c.ApprovalData) > 0 {
		data, err := journey.ApprovalData(s.c.ApprovalData)
		if err != nil {
			return journey.Judge(s.Exec, err)
		}
		s.c.ApprovalData = data
	}
	mode := s.c.NumberMode
	if to.Unsigned() {
		mode = Choose4 // what its app can show; a tap alone would prove next to nothing
	}
	from := s.Started()
	ch, err := Begin(ctx, s.Tx, Asked{
		Subject: authn.Subject{Tenant: s.Tenant(), App: s.App(), User: user}, To: to, Once: fmt.Sprintf("push/%s/%d", s.Once(), s.m.Sent),
		Name: directory.NameKey(s.c.User), Proven: user != "" && s.Proven() == user, Mode: mode, Title: s.c.Title, Body: s.c.Body, Echo: s.Dev(),
		Request: Request{
			Journey: s.c.Journey, Version: version, AppName: s.AppName(), Client: s.Client(), ClientAs: s.ClientName(), Place: web.Place(from.Address),
			Browser: web.Browser(from.UserAgent), Web: s.Journey(), Purpose: s.c.Purpose, Approval: s.c.ApprovalData, Extra: s.c.AdditionalData,
		},
	})
	if err != nil {
		return journey.Judge(s.Exec, err)
	}
	s.m.Request, s.m.Device, s.m.Trouble = ch.ID, directory.DeviceID(to.ID), false
	s.m.Sent++
	return s.wait(ch, to), s.AuditFor(ctx, user, "push.requested", "", map[string]any{"request": string(ch.ID), "mode": ch.Data.Mode})
}

func (s asking) resend(ctx context.Context) (journey.Next, error) {
	ch, err := authn.Recall[Request](ctx, s.Tx, s.m.Request)
	if err != nil {
		return journey.Next{}, err
	}
	if ch.State == authn.Approved {
		return s.outcome(ctx)
	}
	d, err := s.phone(ctx, ch)
	if err != nil {
		return journey.Next{}, err
	}
	cooldown := time.Duration(s.set.Cooldown) * time.Second
	switch {
	case s.m.Resends == 0:
		return s.wait(ch, d).Because(fault.New(fault.Limited, "It cannot be sent again.")), nil
	case s.Now().Before(s.m.ResentAt.Add(cooldown)):
		return s.wait(ch, d).Because(fault.New(fault.Limited, "Wait a moment before sending it again.").After(s.m.ResentAt.Add(cooldown).Sub(s.Now()))), nil
	}
	s.m.Resends--
	s.m.ResentAt = s.Now()
	user := ch.Subject.User
	if ch.Data.Decoy || d.ID == "" {
		user = ""
	}
	return s.ask(ctx, user, d)
}

// phone is the one that was asked; nobody's if it is gone.
func (s asking) phone(ctx context.Context, ch Challenge) (Medium, error) {
	if s.m.Device == "" {
		return Medium{}, nil
	}
	all, err := s.phones(ctx, ch.Subject.User)
	for _, m := range all {
		if m.ID == string(s.m.Device) {
			return m, err
		}
	}
	return Medium{}, err
}

// outcome goes on once the request is decided.
func (s asking) outcome(ctx context.Context) (journey.Next, error) {
	ch, err := authn.Recall[Request](ctx, s.Tx, s.m.Request)
	if err != nil {
		return journey.Next{}, err
	}
	switch {
	case ch.State == authn.Approved:
		return s.redeem(ctx, ch)
	case ch.State.Open():
		d, err := s.phone(ctx, ch)
		s.m.Trouble = s.m.Trouble || ch.Data.Trouble
		return s.wait(ch, d), err
	case ch.State == authn.Expired:
		s.FailAs("expired", "Nobody answered in time.")
		return journey.Go(journey.Failure), s.Audit(ctx, "push.expired", "expired", map[string]any{"request": string(ch.ID)})
	}
	s.FailAs(cmp.Or(ch.Data.Reason, string(ch.State)), "The request was not approved.")
	return journey.Go(journey.Failure), nil
}

// leave ends the request and goes another way; nothing of it remains (J3).
func (s asking) leave(ctx context.Context, o journey.Outcome) (journey.Next, error) {
	if s.m.Request == "" {
		return journey.Go(o), nil
	}
	if err := Cancel(ctx, s.Tx, s.m.Request); err != nil {
		return journey.Next{}, err
	}
	return journey.Go(o), s.Audit(ctx, "push.cancelled", "cancelled", map[string]any{"request": string(s.m.Request)})
}

func (s asking) options() []journey.Option {
	out := []journey.Option{}
	if s.c.AnotherWay {
		out = append(out, journey.Option{ID: string(anotherWay), Label: "Another way"})
	}
	return append(out, journey.Option{ID: "cancel", Label: "Cancel"})
}

func (s asking) wait(ch Challenge, m Medium) journey.Next {
	data := map[string]any{
		"device_display_name": s.name(ch.Subject.User, m, 0), "resend_attempts_left": s.m.Resends, "polling_interval": s.c.PollingInterval,
		"number_mode": ch.Data.Mode, "expires_at": ch.Expires.UnixMilli(),
	}
	if ch.Data.Number != "" {
		data["number"] = ch.Data.Number
	}
	if len(ch.Data.Approval) > 0 {
		data["approval_data"] = ch.Data.Approval
	}
	if ch.Data.Trouble {
		data["delivery"] = "failed"
	}
	return journey.Ask(journey.Prompt{
		Kind: "push.wait", Title: "Approve on your phone", Data: data, Options: s.options(), Resend: true,
		Poll: true, Until: ch.Expires, Watch: []string{ch.ID.Topic()},
	}, s.m)
}

// decided reports whether the request has news for the browser.
func decided(ctx context.Context, x *journey.Exec, _ authenticateConfig) (bool, error) {
	var m memo
	if _, err := x.Memo(&m); err != nil || m.Request == "" {
		return true, err
	}
	ch, err := authn.Recall[Request](ctx, x.Q, m.Request)
	return !ch.State.Open() || ch.Data.Trouble && !m.Trouble, err
}

// redeem spends an approved request; a signed transaction leaves its receipt.
func (s asking) redeem(ctx context.Context, ch Challenge) (journey.Next, error) {
	err := s.Redeem(ctx, ch.ID)
	if err == nil && len(ch.Data.Approval) > 0 {
		ps := s.Proofs()
		s.Approve(ps[len(ps)-1], ch.Data.Approval, Evidence(ch))
	}
	return journey.Judge(s.Exec, err)
}
