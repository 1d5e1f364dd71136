package journey_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword/internal/apps"
	_ "github.com/watchword-auth/watchword/internal/authenticators/code"
	_ "github.com/watchword-auth/watchword/internal/authenticators/face"
	_ "github.com/watchword-auth/watchword/internal/authenticators/magiclink"
	_ "github.com/watchword-auth/watchword/internal/authenticators/mobilekey"
	_ "github.com/watchword-auth/watchword/internal/authenticators/passkey"
	_ "github.com/watchword-auth/watchword/internal/authenticators/password"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	_ "github.com/watchword-auth/watchword/internal/authenticators/recovery"
	_ "github.com/watchword-auth/watchword/internal/authenticators/totp"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	_ "github.com/watchword-auth/watchword/internal/journey/steps"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
)

type next = map[journey.Outcome]string

func node(kind string, config map[string]any, n next) journey.Node {
	return journey.Node{Kind: kind, Config: config, Next: n, Error: "error"}
}

func expr(src string) map[string]any { return map[string]any{"expr": src} }

func graph(id, start string, nodes map[string]journey.Node) journey.Graph {
	return journey.Graph{ID: id, Name: id, Kind: journey.KindClient, Start: start, Nodes: nodes}
}

// formOf asks for a text and goes on.
func formOf(id, to string) journey.Node {
	return node("get_information", map[string]any{"form_id": id, "output": id, "fields": []any{map[string]any{"name": "text", "required": true}}}, next{"success": to})
}

var (
	done = node("complete", nil, nil)
	no   = node("reject", nil, nil)
)

func TestCheck(t *testing.T) {
	pushTo := func(success string) journey.Node {
		return node("push.authenticate", map[string]any{"user": expr("login.email"), "journey": "mobile_approve"}, next{"success": success, "failure": "no", "cancel": "no", "no_devices": "no"})
	}
	login := node("login_form", map[string]any{"methods": []any{"web_to_mobile"}}, next{"web_to_mobile": "push"})
	for name, c := range map[string]struct {
		g    journey.Graph
		want string
	}{
		"sound":                  {graph("a", "login", map[string]journey.Node{"login": login, "push": pushTo("done"), "done": done, "no": no}), ""},
		"only information":       {graph("a", "i", map[string]journey.Node{"i": node("information", map[string]any{"text": "x"}, next{"success": "done"}), "done": done}), ""},
		"a registration":         {graph("a", "f", map[string]journey.Node{"f": formOf("f", "c"), "c": node("create_user", map[string]any{"email": expr("f.text")}, next{"success": "done", "failure": "no", "exists": "no"}), "done": done, "no": no}), ""},
		"starts nowhere":         {graph("a", "x", map[string]journey.Node{"done": done}), "The journey starts nowhere."},
		"unknown step":           {graph("a", "x", map[string]journey.Node{"x": node("teleport", nil, nil)}), `There is no step called "teleport".`},
		"dead end":               {graph("a", "f", map[string]journey.Node{"f": formOf("f", "")}), `The outcome "success" leads nowhere.`},
		"unknown outcome":        {graph("a", "f", map[string]journey.Node{"f": node("information", map[string]any{"text": "x"}, next{"success": "done", "maybe": "done"}), "done": done}), `There is no outcome called "maybe".`},
		"circle without end":     {graph("a", "f", map[string]journey.Node{"f": formOf("f", "g"), "g": formOf("g", "f"), "done": done}), "No end can be reached from here."},
		"bad expression":         {graph("a", "f", map[string]journey.Node{"f": node("information", map[string]any{"text": expr("1 +")}, next{"success": "done"}), "done": done}), "ends too early"},
		"unknown setting":        {graph("a", "f", map[string]journey.Node{"f": node("information", map[string]any{"text": "x", "colour": "red"}, next{"success": "done"}), "done": done}), `colour`},
		"login without a proof":  {graph("a", "login", map[string]journey.Node{"login": node("login_form", map[string]any{"methods": []any{"web_to_mobile"}}, next{"web_to_mobile": "done"}), "done": done}), "without a proof"},
		"found is not proven":    {graph("a", "f", map[string]journey.Node{"f": formOf("f", "find"), "find": node("find_user", map[string]any{"user": expr("f.text")}, next{"success": "done", "failure": "no"}), "done": done, "no": no}), "without a proof"},
		"a proof on one way":     {graph("a", "login", map[string]journey.Node{"login": node("login_form", map[string]any{"methods": []any{"web_to_mobile", "totp"}}, next{"web_to_mobile": "push", "totp": "done"}), "push": pushTo("done"), "done": done, "no": no}), "without a proof"},
		"failure is not a proof": {graph("a", "login", map[string]journey.Node{"login": login, "push": node("push.authenticate", map[string]any{"journey": "m"}, next{"success": "done", "failure": "done", "cancel": "no", "no_devices": "no"}), "done": done, "no": no}), "without a proof"},
		"approve unproven": {journey.Graph{ID: "m", Kind: journey.KindMobileApprove, Start: "n", Nodes: map[string]journey.Node{
			"n": node("push.validate_code", nil, next{"success": "done", "failure": "no", "cancel": "no", "not_me": "no"}), "done": done, "no": no}}, "without an authentication step"},
		"number on the web": {graph("a", "n", map[string]journey.Node{"n": node("push.validate_code", nil, next{"success": "done", "failure": "no", "cancel": "no", "not_me": "no"}), "done": done, "no": no}), "cannot stand in a journey of this kind"},
	} {
		err := journey.Refused(c.g.Check(nil))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.want))) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	templates, err := journey.Templates()
	if err != nil || len(templates) < 3 {
		t.Fatal(err)
	}
	for _, g := range templates {
		if ps := g.Check(nil); len(ps) > 0 {
			t.Errorf("%s: %v", g.ID, ps)
		}
	}
}

// TestCheckSubJourneys: what every good end of a sub-journey has done counts,
// and what only one of them has done does not.
func TestCheckSubJourneys(t *testing.T) {
	sub := journey.Graph{ID: "s", Kind: journey.KindSub, Start: "p", Nodes: map[string]journey.Node{
		"p": node("push.authenticate", map[string]any{"journey": "m"}, next{"success": "done", "failure": "no", "cancel": "no", "no_devices": "no"}), "done": done, "no": no}}
	outer := graph("o", "login", map[string]journey.Node{
		"login": node("login_form", map[string]any{"methods": []any{"web_to_mobile"}}, next{"web_to_mobile": "sub"}),
		"sub":   node("sub_journey", map[string]any{"journey": "s"}, next{"success": "done", "failure": "no"}), "done": done, "no": no})
	refs := func(g journey.Graph) journey.Refs {
		return func(id string) (journey.Graph, bool) { return g, id == "s" }
	}
	if err := journey.Refused(outer.Check(refs(sub))); err != nil {
		t.Errorf("a sub-journey that proves: %v", err)
	}
	lax := sub
	lax.Nodes = map[string]journey.Node{"p": sub.Nodes["p"], "done": done, "no": done}
	if journey.Refused(outer.Check(refs(lax))) == nil {
		t.Error("a sub-journey that also ends well without a proof was taken for one")
	}
}

// house is an application with journeys, below any door.
type house struct {
	*kittest.World
	engine *journey.Engine
	app    apps.App
	web    apps.Client
}

func newHouse(t testing.TB, graphs ...journey.Graph) *house {
	t.Helper()
	h := &house{World: kittest.New(t), app: apps.App{ID: "shop", Tenant: "t1", Name: "Shop", Audience: apps.B2C}}
	h.web = apps.Client{ID: "web", App: "shop", Name: "Web", Kind: apps.Web}
	h.engine = journey.NewEngine(h.Kit, journey.Options{})
	h.engine.OnEnd(string(push.Kind), push.Settle)
	templates, err := journey.Templates()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(templates, func(a, b journey.Graph) int { return strings.Compare(string(b.Kind), string(a.Kind)) }) // mobile_approve first
	h.Do(t, func(tx *db.Tx) error {
		if err := apps.CreateTenant(t.Context(), tx, apps.Tenant{ID: "t1", Name: "T"}); err != nil {
			return err
		}
		if err := apps.Save(t.Context(), tx, h.app); err != nil {
			return err
		}
		if err := apps.SaveClient(t.Context(), tx, h.web); err != nil {
			return err
		}
		for _, g := range append(templates, graphs...) {
			if _, err := journey.Publish(t.Context(), tx, "t1", g); err != nil {
				return fmt.Errorf("%s: %w", g.ID, err)
			}
		}
		return nil
	})
	return h
}

func (h *house) publish(t *testing.T, g journey.Graph) {
	t.Helper()
	h.Do(t, func(tx *db.Tx) error { _, err := journey.Publish(t.Context(), tx, "t1", g); return err })
}

type talk struct {
	h       *house
	session string
	journey.Reply
}

func (h *house) try(ctx context.Context, id string) (*talk, error) {
	r, err := h.engine.Start(ctx, journey.StartRequest{App: h.app, Client: h.web, Journey: id, Caller: journey.Caller{Address: "198.51.100.1"}})
	return &talk{h, r.Session, r}, err
}

func (h *house) start(t testing.TB, id string) *talk {
	t.Helper()
	k, err := h.try(t.Context(), id)
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	return k
}

func (k *talk) answer(ctx context.Context, option string, data map[string]any) (journey.Reply, error) {
	return k.h.engine.Answer(ctx, journey.Answer{Session: k.session, Visit: k.Visit, Turn: k.Turn, Option: option, Data: data, Caller: journey.Caller{Client: "web", Address: "198.51.100.1"}})
}

func (k *talk) say(t testing.TB, option string, data map[string]any) *talk {
	t.Helper()
	r, err := k.answer(t.Context(), option, data)
	if err != nil {
		t.Fatalf("answer: %v", err)
	}
	k.Reply = r
	return k
}

func text(s string) map[string]any { return map[string]any{"text": s} }

// TestJ1OneMove: of 16 answers at once one moves the run; an answer to an
// earlier visit, or with another turn, changes nothing.
func TestJ1OneMove(t *testing.T) {
	h := newHouse(t, graph("two", "a", map[string]journey.Node{"a": formOf("a", "c"), "c": node("create_user", map[string]any{"username": expr("a.text")}, next{"success": "b", "failure": "no", "exists": "no"}), "b": formOf("b", "done"), "done": done, "no": no}))
	k := h.start(t, "two")
	first := *k
	var wg sync.WaitGroup
	var mu sync.Mutex
	turns := map[string]int{}
	for range 16 {
		wg.Go(func() {
			r, err := first.answer(t.Context(), "", text("grace"))
			if err != nil {
				t.Errorf("answer: %v", err)
				return
			}
			mu.Lock()
			turns[r.Turn]++
			mu.Unlock()
			if r.Prompt == nil || r.Prompt.Form != "b" || r.Problem != nil {
				t.Errorf("one of 16 heard %+v", r)
			}
		})
	}
	wg.Wait()
	if len(turns) != 1 {
		t.Errorf("the run moved %d times", len(turns))
	}
	k.say(t, "", text("grace")) // repeated: hears where it stands
	for name, a := range map[string]journey.Answer{
		"the earlier visit": {Visit: first.Visit, Turn: k.Turn}, "the earlier turn": {Visit: k.Visit, Turn: "trn_x"}, "neither": {},
	} {
		a.Session, a.Caller, a.Data = k.session, journey.Caller{Client: "web"}, text("x")
		if r, err := h.engine.Answer(t.Context(), a); err != nil || r.End != nil || r.Turn != k.Turn || r.Problem == nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestJ2NothingSucceedsEmpty: no step that asks for something takes nothing, or
// something else, for an answer.
func TestJ2NothingSucceedsEmpty(t *testing.T) {
	steps := map[string]journey.Node{
		"get_information": formOf("f", "done"), "login_form": node("login_form", map[string]any{"methods": []any{"web_to_mobile"}}, next{"web_to_mobile": "bad"}),
		"device.register": node("device.register", nil, next{"success": "bad", "failure": "no"}), "device.validate": node("device.validate", nil, next{"success": "bad", "failure": "no"}),
		"push.authenticate":      node("push.authenticate", map[string]any{"user": "grace@example.org", "journey": "mobile_approve"}, next{"success": "bad", "failure": "no", "cancel": "no", "no_devices": "no"}),
		"biometric.register":     node("biometric.register", map[string]any{"user": "grace@example.org"}, next{"success": "bad", "failure": "no"}),
		"biometric.authenticate": node("biometric.authenticate", map[string]any{"user": "grace@example.org"}, next{"success": "bad", "failure": "no"}),
	}
	for kind, n := range steps {
		g := graph("one", "x", map[string]journey.Node{"x": n, "bad": node("information", map[string]any{"text": "passed"}, next{"success": "done"}), "done": done, "no": no})
		if kind == "get_information" {
			g.Nodes["x"] = formOf("f", "bad")
		}

		h := newHouse(t)
		h.Do(t, func(tx *db.Tx) error {
			_, err := directory.Create(t.Context(), tx, "t1", directory.NewUser{Email: "grace@example.org"})
			return err
		})
		h.publishUnchecked(t, g)
		for _, data := range []map[string]any{nil, {}, {"text": nil}, {"text": []any{"x"}}, {"unknown": true}, {"publicKeyId": "x"}, {"platform_device_id": ""}} {
			k := h.start(t, "one")
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			r, err := k.answer(ctx, "", data)
			cancel()
			if err == nil && (r.Prompt != nil && r.Prompt.Kind == "information" || r.End != nil && r.End.OK) {
				t.Errorf("%s passed with %v", kind, data)
			}
		}
	}
}

// publishUnchecked stores a graph that the check would refuse, as if it had been
// published before the check existed.
func (h *house) publishUnchecked(t *testing.T, g journey.Graph) {
	t.Helper()
	h.Do(t, func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO journeys (tenant_id, id, version, kind, name, graph, state, created_at) VALUES ('t1', $1, 99, $2, $1, $3, 'production', $4)`,
			g.ID, g.Kind, db.Text(g), tx.Now())
		return err
	})
}

// TestJ5TurnsRotate: every move has another turn, and the end is said again only
// to the answer that brought it, for a minute.
func TestJ5TurnsRotate(t *testing.T) {
	h := newHouse(t, graph("two", "a", map[string]journey.Node{"a": formOf("a", "b"), "b": formOf("b", "done"), "done": done}))
	k := h.start(t, "two")
	seen := map[string]bool{k.Turn: true, k.Visit: true}
	k.say(t, "", text("x"))
	if seen[k.Turn] || seen[k.Visit] {
		t.Error("a turn or visit came twice")
	}
	last := *k
	if k.say(t, "", text("y")); k.End == nil || !k.End.OK || !k.End.Registered || k.End.User != "" {
		t.Fatalf("end %+v", k.End)
	}
	if r, err := last.answer(t.Context(), "", text("y")); err != nil || r.End == nil || r.End.Token.ID != k.End.Token.ID {
		t.Errorf("repeated: %+v, %v", r, err)
	}
	if _, err := k.answer(t.Context(), "", text("z")); !fault.Is(err, fault.Expired) {
		t.Errorf("another answer after the end: %v", err)
	}
	h.Pass(time.Minute)
	if _, err := last.answer(t.Context(), "", text("y")); !fault.Is(err, fault.Expired) {
		t.Errorf("repeated after a minute: %v", err)
	}
}

// TestJ6VersionsArePinned: publishing and disabling touch no run under way.
func TestJ6VersionsArePinned(t *testing.T) {
	g := graph("v", "a", map[string]journey.Node{"a": formOf("a", "b"), "b": formOf("old", "done"), "done": done})
	h := newHouse(t, g)
	k := h.start(t, "v")
	g.Nodes["b"] = formOf("new", "done")
	h.publish(t, g)
	if k.say(t, "", text("x")); k.Prompt.Form != "old" {
		t.Errorf("the run went to %q", k.Prompt.Form)
	}
	if fresh := h.start(t, "v").say(t, "", text("x")); fresh.Prompt.Form != "new" {
		t.Errorf("a new run went to %q", fresh.Prompt.Form)
	}
	h.Do(t, func(tx *db.Tx) error { return journey.Disable(t.Context(), tx, "t1", "v") })
	if _, err := h.try(t.Context(), "v"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a disabled journey: %v", err)
	}
	if k.say(t, "", text("y")); k.End == nil || !k.End.OK {
		t.Errorf("the run after disabling: %+v", k.Reply)
	}
}

// TestPublishAtOnce: 16 at once overwrite nothing.
func TestPublishAtOnce(t *testing.T) {
	g := graph("v", "a", map[string]journey.Node{"a": formOf("a", "done"), "done": done})
	h := newHouse(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := h.DB.Move(t.Context(), func(tx *db.Tx) error { _, err := journey.Publish(t.Context(), tx, "t1", g); return err }); err != nil && !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, v, err := journey.Newest(t.Context(), h.DB, "t1", "v"); err != nil || v < 2 {
		t.Errorf("version %d, %v", v, err)
	}
}

// TestJ8NoUserWithoutProof walks every shipped journey by every option, in
// random orders, without a phone: no end ever has a user.
func TestJ8NoUserWithoutProof(t *testing.T) {
	h := newHouse(t)
	h.Do(t, func(tx *db.Tx) error {
		_, err := directory.Create(t.Context(), tx, "t1", directory.NewUser{Email: "grace@example.org"})
		return err
	})
	rapid.Check(t, func(r *rapid.T) {
		id := rapid.SampledFrom([]string{"web_login", "mobile_app_registration"}).Draw(r, "journey")
		k, err := h.try(t.Context(), id)
		if err != nil {
			r.Fatal(err)
		}
		for range 8 {
			if k.End != nil {
				break
			}
			options := []string{"", "resend", "cancel", "failure", "another_way", "nothing"}
			for _, o := range k.Prompt.Options {
				options = append(options, o.ID)
			}
			data := rapid.SampledFrom([]map[string]any{nil, {"email": "grace@example.org"}, {"email": "x@example.org"}, {"passcode": "42"}, {"approved": true}, {"publicKeyId": "a", "signedChallenge": "b"}}).Draw(r, "data")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			reply, err := k.answer(ctx, rapid.SampledFrom(options).Draw(r, "option"), data)
			given := ctx.Err() == nil // else an error may be of anything that did not end in time
			cancel()
			if err == nil {
				k.Reply = reply
			} else if f := fault.Of(err); f.Code == fault.Internal && given {
				r.Fatalf("%v", err)
			}
		}
		if k.End != nil && (k.End.User != "" || len(k.End.Proofs) > 0) {
			r.Fatalf("signed in as %s without a proof", k.End.User)
		}
		h.Pass(10 * time.Minute)
	})
}

// TestJ9Bounds: circles end, runs run out, and what ran out is swept.
func TestJ9Bounds(t *testing.T) {
	h := newHouse(t,
		graph("spin", "a", map[string]journey.Node{"a": node("condition", map[string]any{"if": expr("1 == 1")}, next{"true": "a", "false": "done"}), "done": done}),
		graph("ask", "a", map[string]journey.Node{"a": formOf("a", "c"), "c": node("condition", map[string]any{"if": expr(`a.text == "stop"`)}, next{"true": "done", "false": "a"}), "done": done}))
	if k := h.start(t, "spin"); k.End == nil || k.End.OK || k.End.Reason != "loop" {
		t.Errorf("spinning: %+v", k.Reply)
	}
	k := h.start(t, "ask")
	turns := 0
	for ; k.End == nil && turns < 100; turns++ {
		k.say(t, "", text("again"))
	}
	if k.End == nil || k.End.Reason != "loop" || turns > 51 {
		t.Errorf("asked %d times: %+v", turns, k.End)
	}
	k = h.start(t, "ask")
	h.Pass(journey.Life)
	if _, err := k.answer(t.Context(), "", text("stop")); !fault.Is(err, fault.Expired) {
		t.Errorf("after %s: %v", journey.Life, err)
	}
	h.Pass(time.Second)
	h.Do(t, func(tx *db.Tx) error { _, err := journey.Sweep(t.Context(), tx); return err })
	var n int
	if err := h.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM runs`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d runs after the sweep, %v", n, err)
	}
}

// TestMessageConsumedOnce: of 16 at once, one gets it.
func TestMessageConsumedOnce(t *testing.T) {
	h := newHouse(t)
	var m journey.Message
	h.Do(t, func(tx *db.Tx) (err error) {
		m, err = journey.CreateMessage(t.Context(), tx, "t1", "shop", "k", map[string]any{"a": 1.0}, time.Minute)
		return err
	})
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for range 16 {
		wg.Go(func() {
			err := h.DB.Move(t.Context(), func(tx *db.Tx) error {
				_, err := journey.ConsumeMessage(t.Context(), tx, "shop", m.ID)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				got++
			} else if !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got != 1 {
		t.Errorf("consumed %d times", got)
	}
	if _, err := journey.ReadMessage(t.Context(), h.DB, "other", m.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("another application reads it: %v", err)
	}
}

// TestErrorsNeverSkip: an expression that fails ends nothing well; the run stays
// where it was.
func TestErrorsNeverSkip(t *testing.T) {
	h := newHouse(t, graph("e", "a", map[string]journey.Node{"a": formOf("a", "c"), "c": node("condition", map[string]any{"if": expr("nobody.there == 1")}, next{"true": "done", "false": "done"}), "done": done}))
	k := h.start(t, "e")
	if r, err := k.answer(t.Context(), "", text("x")); fault.Of(err).Code != fault.Internal || r.End != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := k.answer(t.Context(), "nothing", nil); err != nil || r.Prompt == nil || r.Prompt.Form != "a" {
		t.Errorf("afterwards: %+v, %v", r, err)
	}
}

// TestProofsAreSealed: nothing but what authn sealed for this very place becomes
// a proof.
func TestProofsAreSealed(t *testing.T) {
	h := newHouse(t)
	v := h.DB.Vault()
	if ps, err := authn.OpenProofs(v, "runs/x", v.Seal("runs/x", []byte(`[{"user":"usr_1"}]`))); err == nil {
		t.Errorf("%v", ps)
	}
	if ps, err := authn.OpenProofs(v, "runs/x", []byte(`[{"user":"usr_1"}]`)); err == nil {
		t.Errorf("%v", ps)
	}
}
