package journey_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
)

// told is a journey that says something.
func told(id, what string) journey.Graph {
	return graph(id, "i", map[string]journey.Node{"i": node("information", map[string]any{"text": what}, next{"success": "done"}), "done": done})
}

func (h *house) draft(t *testing.T, id string) journey.Draft {
	t.Helper()
	d, err := journey.FindDraft(t.Context(), h.DB, "t1", id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDraft: what is drawn runs for nobody until it is published, whoever saves
// over somebody else's change is told, and publishing ends the draft.
func TestDraft(t *testing.T) {
	h := newHouse(t)
	save := func(g journey.Graph, mark string) (string, error) {
		var got string
		err := h.DB.Tx(t.Context(), func(tx *db.Tx) (err error) {
			got, err = journey.SaveDraft(t.Context(), tx, "t1", g, mark, "adm_1")
			return err
		})
		return got, err
	}
	h.Do(t, func(tx *db.Tx) error { return journey.Draw(t.Context(), tx, "t1", told("hello", "one"), "adm_1") })
	if err := h.DB.Tx(t.Context(), func(tx *db.Tx) error { return journey.Draw(t.Context(), tx, "t1", told("hello", "again"), "adm_1") }); !fault.Is(err, fault.Conflict) {
		t.Errorf("the id was taken twice: %v", err)
	}
	if err := h.DB.Tx(t.Context(), func(tx *db.Tx) error { return journey.Draw(t.Context(), tx, "t1", told("web_login", "x"), "adm_1") }); !fault.Is(err, fault.Conflict) {
		t.Errorf("the id of a published journey was taken: %v", err)
	}
	if _, err := h.try(t.Context(), "hello"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a draft was started: %v", err)
	}
	first := h.draft(t, "hello").Mark
	second, err := save(told("hello", "two"), first)
	if err != nil || second == first {
		t.Fatal(second, err)
	}
	if _, err := save(told("hello", "lost"), first); !journey.IsStale(err) {
		t.Errorf("saved over another's change: %v", err)
	}
	publish := func(mark string) (v int64, err error) {
		return v, h.DB.Tx(t.Context(), func(tx *db.Tx) error {
			v, err = journey.PublishDraft(t.Context(), tx, "t1", "hello", mark, "adm_2", "first")
			return err
		})
	}
	if _, err := publish(first); !journey.IsStale(err) {
		t.Errorf("published what nobody looked at: %v", err)
	}
	if _, err := publish(second); err != nil {
		t.Fatal(err)
	}
	if k := h.start(t, "hello"); k.Prompt.Text != "two" {
		t.Errorf("runs %q", k.Prompt.Text)
	}
	v, err := journey.FindVersion(t.Context(), h.DB, "t1", "hello", 1)
	if err != nil || v.By != "adm_2" || v.Note != "first" || v.State != "production" {
		t.Errorf("%+v, %v", v, err)
	}
	d := h.draft(t, "hello")
	if d.Mark != "v1" || d.Base != 1 {
		t.Errorf("after publishing: %+v", d)
	}
	third, err := save(told("hello", "three"), d.Mark)
	if err != nil {
		t.Fatal(err)
	}
	all, err := journey.Overviews(t.Context(), h.DB, "t1")
	at := slices.IndexFunc(all, func(o journey.Overview) bool { return o.Draft.Graph.ID == "hello" })
	if err != nil || at < 0 || !all[at].Dirty() || all[at].Last.Number != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	h.Do(t, func(tx *db.Tx) error { return journey.DropDraft(t.Context(), tx, "t1", "hello", third) })
	if d := h.draft(t, "hello"); d.Graph.Nodes["i"].Config["text"] != "two" {
		t.Errorf("a dropped draft is there: %+v", d)
	}
}

// TestDraftAtOnce: of 16 who save, and of 16 who publish, at once, one does.
func TestDraftAtOnce(t *testing.T) {
	h := newHouse(t)
	for _, from := range []string{"web_login", "drawn"} {
		if from == "drawn" {
			h.Do(t, func(tx *db.Tx) error { return journey.Draw(t.Context(), tx, "t1", told("drawn", "zero"), "") })
		}
		for round := range 2 { // the first time there is only a version, then a draft
			mark := h.draft(t, from).Mark
			if n := once(t, func(ctx context.Context) error {
				return h.DB.Tx(ctx, func(tx *db.Tx) error {
					_, err := journey.SaveDraft(ctx, tx, "t1", told(from, "x"), mark, "")
					return err
				})
			}); n != 1 {
				t.Errorf("%s, round %d: %d saved", from, round, n)
			}
		}
		mark := h.draft(t, from).Mark
		if n := once(t, func(ctx context.Context) error {
			return h.DB.Tx(ctx, func(tx *db.Tx) error {
				_, err := journey.PublishDraft(ctx, tx, "t1", from, mark, "", "")
				return err
			})
		}); n != 1 {
			t.Errorf("%s: %d published", from, n)
		}
	}
}

// once runs fn 16 times at once and returns how often it did something. Every
// other time it must say that it came too late.
func once(t *testing.T, fn func(ctx context.Context) error) int64 {
	t.Helper()
	var n atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			switch err := fn(context.Background()); {
			case err == nil:
				n.Add(1)
			case !journey.IsStale(err) && !fault.Is(err, fault.Conflict):
				t.Error(err)
			}
		})
	}
	all.Wait()
	return n.Load()
}

// TestTry: an operator runs a draft that nobody else can, sees what happened at
// each node without secrets, and leaves no record.
func TestTry(t *testing.T) {
	h := newHouse(t)
	g := graph("draft", "ask", map[string]journey.Node{
		"ask": node("get_information", map[string]any{"form_id": "who", "output": "said", "fields": []any{
			map[string]any{"name": "name", "required": true}, map[string]any{"name": "password", "type": "secret"}}}, next{"success": "set"}),
		"set":  node("set_variables", map[string]any{"variables": []any{map[string]any{"name": "greeting", "value": expr(`"hi " + said.name`)}}}, next{"success": "done"}),
		"done": done})
	var version int64
	h.Do(t, func(tx *db.Tx) (err error) { version, err = journey.Snapshot(t.Context(), tx, "t1", g); return err })
	if version >= 0 {
		t.Fatalf("version %d", version)
	}
	if _, err := h.try(t.Context(), "draft"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a snapshot was started like a version: %v", err)
	}
	try, err := h.engine.Begin(t.Context(), journey.StartRequest{App: h.app, Client: h.web, Journey: "draft", Version: version}, "adm_1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.engine.FindTry(t.Context(), "t1", "adm_2", try.ID, journey.Caller{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("another operator's try: %v", err)
	}
	if _, err := h.engine.FindTry(t.Context(), "t2", "adm_1", try.ID, journey.Caller{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("another tenant's try: %v", err)
	}
	if try, err = h.engine.FindTry(t.Context(), "t1", "adm_1", try.ID, journey.Caller{}); err != nil {
		t.Fatal(err)
	}
	at, err := h.engine.Look(t.Context(), try, 0, time.Minute)
	if err != nil || at.Reply.Prompt == nil || len(at.Trace) != 2 {
		t.Fatalf("%+v, %v", at, err)
	}
	at, err = h.engine.Steer(t.Context(), try, "", map[string]any{"nonsense": 1}, 2)
	if err != nil || at.Reply.Problem == nil || len(at.Trace) != 0 {
		t.Errorf("nonsense: %+v, %v", at, err)
	}
	at, err = h.engine.Steer(t.Context(), try, "", map[string]any{"name": "Ada", "password": "correct horse"}, 2)
	if err != nil || at.Reply.End == nil || !at.Reply.End.OK {
		t.Fatalf("%+v, %v", at, err)
	}
	var what []string
	for _, e := range at.Trace {
		what = append(what, e.Node+" "+e.What)
	}
	if got := strings.Join(what, ", "); got != "ask answered, ask left, set entered, set left, done entered, done ended" {
		t.Errorf("%s", got)
	}
	if in := at.Trace[0].In; in["name"] != "Ada" || in["password"] == "correct horse" {
		t.Errorf("in: %v", in)
	}
	if out := at.Trace[3].Out; out["greeting"] != "hi Ada" || len(out) != 1 {
		t.Errorf("out: %v", out)
	}
	if strings.Contains(db.Text(at), "correct horse") {
		t.Error("the trace shows a secret")
	}
	if list, err := journey.Records(t.Context(), h.DB, "t1", journey.Filter{Limit: 10}); err != nil || len(list) != 0 {
		t.Errorf("a try left a record: %+v, %v", list, err)
	}
	h.Pass(49 * time.Hour)
	h.Do(t, func(tx *db.Tx) error { return journey.SweepTries(t.Context(), tx) })
	if _, err := h.engine.FindTry(t.Context(), "t1", "adm_1", try.ID, journey.Caller{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("after the sweep: %v", err)
	}
}

// TestRecords: every run leaves where it went and how it ended, also one that
// nobody finished, and nothing that was typed.
func TestRecords(t *testing.T) {
	h := newHouse(t, graph("ask", "f", map[string]journey.Node{
		"f": node("get_information", map[string]any{"form_id": "f", "output": "f", "fields": []any{map[string]any{"name": "text", "required": true}}, "cancel": true}, next{"success": "done", "cancel": "no"}), "done": done, "no": no}))
	h.start(t, "ask").say(t, "", text("the canary"))
	h.start(t, "ask").say(t, "cancel", nil)
	h.start(t, "ask")
	open, err := journey.OpenRuns(t.Context(), h.DB, "t1", 10)
	if err != nil || len(open) != 1 || open[0].Outcome != journey.Open || open[0].Node != "f" {
		t.Errorf("open: %+v, %v", open, err)
	}
	h.Pass(journey.Life + time.Second)
	h.Do(t, func(tx *db.Tx) error { _, err := journey.Sweep(t.Context(), tx); return err })
	list, err := journey.Records(t.Context(), h.DB, "t1", journey.Filter{Journey: "ask", Limit: 10})
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, want := range []string{journey.Abandoned, journey.Rejected, journey.Completed} { // newest first
		if list[i].Outcome != want {
			t.Errorf("run %d: %s, want %s", i, list[i].Outcome, want)
		}
	}
	rest, err := journey.Records(t.Context(), h.DB, "t1", journey.Filter{Before: list[1].ID, Limit: 10})
	if err != nil || len(rest) != 1 || rest[0].ID != list[2].ID {
		t.Errorf("before %s: %+v, %v", list[1].ID, rest, err)
	}
	rec, err := journey.FindRecord(t.Context(), h.DB, "t1", list[2].ID)
	if err != nil || len(rec.Trace) == 0 || strings.Contains(db.Text(rec), "canary") {
		t.Errorf("%+v, %v", rec, err)
	}
	if _, err := journey.FindRecord(t.Context(), h.DB, "t2", list[2].ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("another tenant's: %v", err)
	}
	s, err := journey.Measure(t.Context(), h.DB, "t1", "ask", time.Time{})
	if err != nil || s.Runs != 3 || s.Completed != 1 || s.Rejected != 1 || s.Abandoned != 1 || s.Nodes["f"].Entered != 3 || s.Nodes["f"].Left["cancel"] != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	h.Do(t, func(tx *db.Tx) error { return journey.SweepRecords(t.Context(), tx, "t1", h.Now().Add(time.Second)) })
	if list, err := journey.Records(t.Context(), h.DB, "t1", journey.Filter{Limit: 10}); err != nil || len(list) != 0 {
		t.Errorf("after the sweep: %+v, %v", list, err)
	}
}

// TestMend: what can be mended is, and the mended graph has that problem no more.
func TestMend(t *testing.T) {
	g := graph("m", "i", map[string]journey.Node{
		"i":    node("information", map[string]any{"text": "x", "colour": "red"}, next{"maybe": "done"}),
		"lost": node("information", map[string]any{"text": "x"}, next{"success": "done"}),
		"done": done})
	for range 10 {
		ps := g.Check(nil)
		if len(ps) == 0 {
			break
		}
		mended, how := g.Mend(ps[0])
		if how == "" || db.Text(mended) == db.Text(g) {
			t.Fatalf("nothing mends %v", ps[0])
		}
		g = mended
	}
	if ps := g.Check(nil); len(ps) > 0 || g.Nodes["lost"].Kind != "" || g.Nodes["i"].Next["success"] == "" {
		t.Errorf("%v of %+v", ps, g)
	}
}

// TestSuggest: names that nodes before it have given, their members, and functions.
func TestSuggest(t *testing.T) {
	templates, err := journey.Templates()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(templates, func(g journey.Graph) bool { return g.ID == "web_login" })
	g := templates[at]
	has := func(node, text, insert string) bool {
		return slices.ContainsFunc(g.Suggest(node, text, len(text)), func(s journey.Suggestion) bool { return s.Insert == insert })
	}
	for _, c := range []struct {
		node, text, insert string
		want               bool
	}{
		{"push", "lo", "login", true}, {"push", "1 + login.", "login.email", true}, {"rejected", "err", "error", true}, {"rejected", "error.c", "error.code", true},
		{"login", "lo", "login", true}, // another way leads back
		{"push", "@policy.is", "@policy.isUserAuthenticated()", true}, {"push", "std.l", "std.len(", true}, {"push", "login.email.tri", "login.email.trim(", true},
		{"push", "zzz", "login", false},
	} {
		if has(c.node, c.text, c.insert) != c.want {
			t.Errorf("%s at %s: %s is %v", c.text, c.node, c.insert, !c.want)
		}
	}
}
