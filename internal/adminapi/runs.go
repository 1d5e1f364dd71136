package adminapi

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/message"
)

// runRoutes are trying drafts and watching runs.
func runRoutes() []Route {
	draw := applicationAdmin
	watch := readers | helpdesk
	return []Route{
		{"POST /journeys/{id}/test-link", "An address that runs the draft", draw, "admin.journey.test_link", serve(testLink)},
		{"POST /journeys/{id}/try", "Try the draft", draw, "admin.journey.tried", serve(beginTry)},
		{"GET /tries/{try}", "Where a try stands", draw, "", serve(lookTry)},
		{"POST /tries/{try}", "Answer what a try asks", draw, "admin.journey.try_answered", serve(answerTry)},
		{"DELETE /tries/{try}", "End a try", draw, "admin.journey.try_ended", serve(endTry)},
		{"GET /runs", "List runs", watch, "", serve(listRuns)},
		{"GET /runs/{run}", "Get a run", watch, "", serve(getRun)},
	}
}

// TryIn says what is tried and as which client. It is embedded.
type TryIn struct {
	JourneyAt
	Body struct {
		App    string         `json:"app" maxLength:"100"`
		Client string         `json:"client" maxLength:"100"`
		Params map[string]any `json:"params,omitempty"`
	}
}

// snapshot keeps the draft as it is and returns what starts it.
func (c *Call) snapshot(ctx context.Context, tx *db.Tx, in *TryIn) (journey.StartRequest, error) {
	client, app, err := apps.FindClient(ctx, tx, apps.ClientID(in.Body.Client))
	if err != nil || app.Tenant != c.tenant() || app.ID != apps.ID(in.Body.App) {
		return journey.StartRequest{}, cmp.Or[error](outageOnly(err), fault.New(fault.NotFound, "no such client"))
	}
	d, err := journey.FindDraft(ctx, tx, c.tenant(), in.ID)
	if err != nil {
		return journey.StartRequest{}, err
	}
	if d.Graph.Kind == journey.KindMobileApprove {
		return journey.StartRequest{}, fault.New(fault.Invalid, "A phone runs this journey when it is asked. Try the journey that asks it.")
	}
	version, err := journey.Snapshot(ctx, tx, c.tenant(), d.Graph)
	return journey.StartRequest{App: app, Client: client, Journey: in.ID, Kind: d.Graph.Kind, Params: in.Body.Params, Version: version, Caller: c.caller()}, err
}

// outageOnly is err unless it says that something is not there.
func outageOnly(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func (c *Call) caller() journey.Caller {
	return journey.Caller{Address: c.address(), UserAgent: c.r.UserAgent()}
}

type tryOut struct {
	ID      string          `json:"id"`
	Run     string          `json:"run"`
	Prompt  *promptOut      `json:"prompt"`
	Problem *problemSaid    `json:"problem"`
	End     *endOut         `json:"end"`
	Output  map[string]any  `json:"output"`
	Trace   []journey.Event `json:"trace"`
}

type problemSaid struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type endOut struct {
	OK         bool           `json:"ok"`
	Registered bool           `json:"registered"`
	Reason     string         `json:"reason"`
	Message    string         `json:"message"`
	User       string         `json:"user"`
	Claims     map[string]any `json:"token_claims"`
}

// Spoken is a language in which what people read on the way is said, as on the pages
// of this server. It is embedded.
type Spoken struct {
	Lang string `query:"lang" maxLength:"10" doc:"The language of what people read; empty: English."`
}

func (l Spoken) say(english string) string { return message.Translate(l.Lang, english) }

func (l Spoken) form(f form.Form) form.Form {
	out := form.Form{}
	for _, x := range f {
		x.Label, x.Help = l.say(x.Label), l.say(x.Help)
		if len(x.Fields) > 0 {
			x.Fields = l.form(x.Fields)
		}
		out = append(out, x)
	}
	return out
}

func (l Spoken) try(id string, s journey.Stand) *body[tryOut] {
	out := tryOut{ID: id, Run: string(s.Run), Output: map[string]any{}, Trace: s.Trace}
	maps.Copy(out.Output, s.Reply.Output)
	if p := s.Reply.Problem; p != nil {
		out.Problem = &problemSaid{string(p.Code), l.say(p.Message)}
	}
	if e := s.Reply.End; e != nil {
		out.End = &endOut{e.OK, e.Registered, e.Reason, l.say(e.Message), string(e.User), map[string]any{}}
		maps.Copy(out.End.Claims, e.Claims)
	}
	if p := s.Reply.Prompt; p != nil {
		out.Prompt = l.prompt(*p)
	}
	return answer(out)
}

// promptOut is what a try asks.
type promptOut struct {
	Kind    string         `json:"kind"`
	Form    string         `json:"form"`
	Title   string         `json:"title"`
	Text    string         `json:"text"`
	Button  string         `json:"button"`
	Fields  form.Form      `json:"fields"`
	Data    map[string]any `json:"data"`
	Options []optionOut    `json:"options"`
	Resend  bool           `json:"resend"`
	Poll    bool           `json:"poll"`
	Empty   bool           `json:"empty"`
}

type optionOut struct {
	ID     string    `json:"id"`
	Label  string    `json:"label"`
	Fields form.Form `json:"fields"`
}

func (l Spoken) prompt(p journey.Prompt) *promptOut {
	title := cmp.Or(p.Title, message.Title(p.Kind))
	out := &promptOut{p.Kind, p.Form, l.say(title), l.say(p.Text), l.say(p.Button), l.form(p.Fields), map[string]any{}, []optionOut{}, p.Resend, p.Poll, p.Empty}
	maps.Copy(out.Data, p.Data)
	for _, o := range p.Options {
		out.Options = append(out.Options, optionOut{o.ID, l.say(o.Label), l.form(o.Fields)})
	}
	return out
}

type beginIn struct {
	TryIn
	Spoken
}

func beginTry(ctx context.Context, c *Call, in *beginIn) (*body[tryOut], error) {
	var s journey.StartRequest
	err := c.write(ctx, func(tx *db.Tx) (_ string, err error) {
		s, err = c.snapshot(ctx, tx, &in.TryIn)
		return in.ID, err
	})
	if err != nil {
		return nil, err
	}
	t, err := c.Engine.Begin(ctx, s, string(c.Who.User))
	if err != nil {
		return nil, err
	}
	at, err := c.Engine.Look(ctx, t, 0, 0)
	return in.try(t.ID, at), err
}

type TryAt struct {
	Try   string `path:"try" maxLength:"64"`
	After int    `query:"after" minimum:"0" doc:"Events from this one on."`
}

type lookIn struct {
	TryAt
	Spoken
	Wait int `query:"wait" minimum:"0" maximum:"25" default:"25" doc:"Seconds to wait for something new."`
}

func lookTry(ctx context.Context, c *Call, in *lookIn) (*body[tryOut], error) {
	t, err := c.Engine.FindTry(ctx, c.tenant(), string(c.Who.User), in.Try, c.caller())
	if err != nil {
		return nil, err
	}
	at, err := c.Engine.Look(ctx, t, in.After, time.Duration(in.Wait)*time.Second)
	return in.try(t.ID, at), err
}

type steerIn struct {
	TryAt
	Spoken
	Body struct {
		Option string         `json:"option,omitempty" maxLength:"100"`
		Data   map[string]any `json:"data,omitempty"`
	}
}

func answerTry(ctx context.Context, c *Call, in *steerIn) (*body[tryOut], error) {
	t, err := c.Engine.FindTry(ctx, c.tenant(), string(c.Who.User), in.Try, c.caller())
	if err != nil {
		return nil, err
	}
	if err := c.write(ctx, func(*db.Tx) (string, error) { return t.Journey, nil }); err != nil {
		return nil, err
	}
	at, err := c.Engine.Steer(ctx, t, in.Body.Option, in.Body.Data, in.After)
	return in.try(t.ID, at), err
}

func endTry(ctx context.Context, c *Call, in *TryAt) (*empty, error) {
	t, err := c.Engine.FindTry(ctx, c.tenant(), string(c.Who.User), in.Try, c.caller())
	if err != nil {
		return nil, err
	}
	return nil, c.write(ctx, func(tx *db.Tx) (string, error) { return t.Journey, journey.EndTry(ctx, tx, t) })
}

type testLinkOut struct {
	URL     string `json:"url"`
	Expires Stamp  `json:"expires_at"`
}

// TestLink is what an address to a draft holds.
type TestLink struct {
	Tenant  apps.TenantID `json:"t"`
	Client  apps.ClientID `json:"c"`
	Journey string        `json:"j"`
	Kind    journey.Kind  `json:"k"`
	Version int64         `json:"v"`
	Expires time.Time     `json:"e"`
}

// TestLinkPlace is where a test link is sealed to.
const TestLinkPlace = "journey/test-link"

const testLinkLife = 24 * time.Hour

func testLink(ctx context.Context, c *Call, in *TryIn) (*body[testLinkOut], error) {
	var s journey.StartRequest
	err := c.write(ctx, func(tx *db.Tx) (_ string, err error) {
		s, err = c.snapshot(ctx, tx, in)
		return in.ID, err
	})
	if err != nil {
		return nil, err
	}
	until := c.Kit.DB.Now().Add(testLinkLife)
	b, err := json.Marshal(TestLink{s.App.Tenant, s.Client.ID, in.ID, s.Kind, s.Version, until})
	if err != nil {
		return nil, err
	}
	sealed := base64.RawURLEncoding.EncodeToString(c.Kit.DB.Vault().Seal(TestLinkPlace, b))
	return answer(testLinkOut{c.Kit.URL + "/login/test/" + sealed, Stamp(until)}), nil
}

type runsIn struct {
	Page
	Journey string `query:"journey" maxLength:"64"`
	App     string `query:"app" maxLength:"100"`
	Outcome string `query:"outcome" enum:"completed,rejected,abandoned,open"`
	User    string `query:"user" maxLength:"320" doc:"An id or a name."`
	Node    string `query:"node" maxLength:"100"`
}

type RunItem struct {
	ID       string `json:"id"`
	Journey  string `json:"journey"`
	Version  int64  `json:"version"`
	App      string `json:"app"`
	Client   string `json:"client"`
	Outcome  string `json:"outcome"`
	Reason   string `json:"reason"`
	Node     string `json:"node"`
	User     string `json:"user"`
	UserName string `json:"user_name"`
	Steps    int    `json:"steps"`
	Started  Stamp  `json:"started_at"`
	Ended    Stamp  `json:"ended_at"`
	Millis   int64  `json:"ms"`
}

// runItems are runs with the names of who they were about; "" if they are gone.
func (c *Call) runItems(ctx context.Context, recs ...journey.Record) ([]RunItem, error) {
	var ids []directory.UserID
	for _, rec := range recs {
		if rec.User != "" {
			ids = append(ids, rec.User)
		}
	}
	slices.Sort(ids)
	names, err := directory.Labels(ctx, c.Kit.DB, slices.Compact(ids))
	out := []RunItem{}
	for _, rec := range recs {
		item := RunItem{string(rec.ID), rec.Journey, rec.Version, string(rec.App), string(rec.Client), rec.Outcome, rec.Reason, rec.Node, string(rec.User), names[rec.User],
			rec.Steps, Stamp(rec.Started), Stamp(rec.Ended), 0}
		if !rec.Ended.IsZero() {
			item.Millis = rec.Ended.Sub(rec.Started).Milliseconds()
		}
		out = append(out, item)
	}
	return out, err
}

func listRuns(ctx context.Context, c *Call, in *runsIn) (*list[RunItem], error) {
	user, err := c.whose(ctx, in.User)
	if err != nil {
		return nil, err
	}
	f := journey.Filter{Journey: in.Journey, App: apps.ID(in.App), Outcome: in.Outcome, User: directory.UserID(user), Node: in.Node, Limit: in.Limit + 1}
	if err := c.opened(in.Cursor, &f.Before); err != nil {
		return nil, err
	}
	var recs []journey.Record
	if in.Outcome == journey.Open {
		recs, err = c.openRuns(ctx, f, 200)
	} else {
		recs, err = journey.Records(ctx, c.Kit.DB, c.tenant(), f)
	}
	if err != nil {
		return nil, err
	}
	next := ""
	if len(recs) > in.Limit {
		recs = recs[:in.Limit]
		next = c.seal(recs[in.Limit-1].ID)
	}
	if in.Outcome == "" && f.Before == "" { // what goes on stands before what has ended
		open, err := c.openRuns(ctx, f, 20)
		if err != nil {
			return nil, err
		}
		recs = append(open, recs...)
	}
	all, err := c.runItems(ctx, recs...)
	out := items(all)
	out.Body.Next = next
	return out, err
}

// openRuns are those of the newest that go on, at most limit, that fit a filter.
func (c *Call) openRuns(ctx context.Context, f journey.Filter, limit int) ([]journey.Record, error) {
	recs, err := journey.OpenRuns(ctx, c.Kit.DB, c.tenant(), limit)
	return slices.DeleteFunc(recs, func(rec journey.Record) bool {
		return f.Journey != "" && rec.Journey != f.Journey || f.App != "" && rec.App != f.App || f.User != "" && rec.User != f.User || f.Node != "" && rec.Node != f.Node ||
			f.Before != "" && rec.ID >= f.Before
	}), err
}

type runAt struct {
	Run string `path:"run" maxLength:"64"`
}

type runOut struct {
	RunItem
	Trace []journey.Event `json:"trace"`
	Graph journey.Graph   `json:"graph"`
}

func getRun(ctx context.Context, c *Call, in *runAt) (*body[runOut], error) {
	rec, err := journey.FindRecord(ctx, c.Kit.DB, c.tenant(), journey.RunID(in.Run))
	if fault.Is(err, fault.NotFound) {
		open, problem := journey.OpenRuns(ctx, c.Kit.DB, c.tenant(), 200)
		if problem != nil {
			return nil, problem
		}
		if at := slices.IndexFunc(open, func(r journey.Record) bool { return string(r.ID) == in.Run }); at >= 0 {
			rec, err = open[at], nil
		}
	}
	if err != nil {
		return nil, err
	}
	v, err := journey.FindVersion(ctx, c.Kit.DB, c.tenant(), rec.Journey, rec.Version)
	if err != nil {
		return nil, err
	}
	one, err := c.runItems(ctx, rec)
	if err != nil {
		return nil, err
	}
	return answer(runOut{one[0], rec.Trace, v.Graph}), nil
}
