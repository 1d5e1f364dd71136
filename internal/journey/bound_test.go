package journey_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
)

// TestJ4NobodyIsReplaced: whoever is proven stays; a proof of somebody else, and
// a step about somebody else, are refused.
func TestJ4NobodyIsReplaced(t *testing.T) {
	prove := func(user, to string) journey.Node {
		return node("test.prove", map[string]any{"user": user}, next{"success": to, "failure": "no"})
	}
	h := newHouse(t,
		graph("two", "a", map[string]journey.Node{"a": prove("eve", "b"), "b": prove("mallory", "done"), "done": done, "no": no}),
		graph("find", "a", map[string]journey.Node{"a": prove("eve", "b"), "b": node("find_user", map[string]any{"user": "mallory"}, next{"success": "done", "failure": "no"}), "done": done, "no": no}),
		graph("same", "a", map[string]journey.Node{"a": prove("eve", "b"), "b": prove("eve", "done"), "done": done, "no": no}))
	var eve directory.UserID
	h.Do(t, func(tx *db.Tx) (err error) {
		if eve, err = directory.Create(t.Context(), tx, "t1", directory.NewUser{Username: "eve"}); err != nil {
			return err
		}
		_, err = directory.Create(t.Context(), tx, "t1", directory.NewUser{Username: "mallory"})
		return err
	})
	for _, id := range []string{"two", "find"} {
		if k := h.start(t, id); k.End == nil || k.End.OK || k.End.User != "" {
			t.Errorf("%s: %+v", id, k.End)
		}
	}
	if k := h.start(t, "same"); k.End == nil || !k.End.OK || k.End.User != eve {
		t.Errorf("the same user twice: %+v", k.End)
	}
}

// TestJ7ExpressionsAreBounded: a journey whose expressions grow without end fails
// at once and takes nothing down.
func TestJ7ExpressionsAreBounded(t *testing.T) {
	set := func(to, src string) journey.Node {
		return node("set_variables", map[string]any{"variables": []any{map[string]any{"name": "a", "value": expr(src)}}}, next{"success": to})
	}
	nodes := map[string]journey.Node{"i": set("g", `"xxxxxxxxxxxxxxxx"`), "g": set("c", "a + a"), "c": node("condition", map[string]any{"if": expr("a.size() > 0")}, next{"true": "g", "false": "e"}),
		"e": node("information", map[string]any{"text": "x"}, next{"success": "done"}), "done": done}
	h := newHouse(t, graph("bomb", "i", nodes))
	began := time.Now()
	k, err := h.try(t.Context(), "bomb")
	if err == nil && (k.End == nil || k.End.OK) {
		t.Errorf("it ended %+v", k.End)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestJ9OneHousehold: the addresses of one /64 are one address, also where runs
// and waiting requests are counted: else whoever has an IPv6 line has no bounds.
func TestJ9OneHousehold(t *testing.T) {
	h := newHouse(t, graph("about", "a", map[string]journey.Node{
		"a": node("find_user", map[string]any{"user": "eve"}, next{"success": "i", "failure": "no"}),
		"i": node("information", map[string]any{"text": "x"}, next{"success": "no"}), "no": no}))
	h.Do(t, func(tx *db.Tx) error {
		_, err := directory.Create(t.Context(), tx, "t1", directory.NewUser{Username: "eve"})
		return err
	})
	start := func(id, address string) (*talk, error) {
		r, err := h.engine.Start(t.Context(), journey.StartRequest{App: h.app, Client: h.web, Journey: id, Caller: journey.Caller{Address: address}})
		return &talk{h, r.Session, r}, err
	}
	begun := 0
	for n := range 210 {
		k, err := start("about", fmt.Sprintf("2001:db8:7:1::%x", n+1))
		if err == nil && k.Prompt != nil {
			begun++
		} else if err != nil && !fault.Is(err, fault.Limited) {
			t.Fatal(err)
		}
	}
	if begun != 200 {
		t.Errorf("one household began %d runs about one user", begun)
	}
	if k, err := start("about", "2001:db8:7:2::1"); err != nil || k.Prompt == nil {
		t.Errorf("its neighbours: %+v, %v", k.Reply, err)
	}

	h.engine = journey.NewEngine(h.Kit, journey.Options{HeldPerAddress: 1})
	ask := func(ctx context.Context, address string) error {
		k := h.start(t, "web_login").say(t, "web_to_mobile", map[string]any{"email": fmt.Sprintf("nobody%x@example.org", address)})
		_, err := h.engine.Answer(ctx, journey.Answer{Session: k.session, Visit: k.Visit, Turn: k.Turn, Caller: journey.Caller{Client: "web", Address: address}})
		return err
	}
	poll := func(address string) context.CancelFunc {
		ctx, cancel := context.WithCancel(t.Context())
		go ask(ctx, address)
		return cancel
	}
	held := func(want int) {
		t.Helper()
		for end := time.Now().Add(time.Minute); h.engine.Held() != want && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
		if got := h.engine.Held(); got != want {
			t.Errorf("%d requests are held, want %d", got, want)
		}
	}
	defer poll("2001:db8:7:1::1")()
	held(1)
	defer poll("2001:db8:7:2::1")()
	held(2)
	soon, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := ask(soon, "2001:db8:7:1::2"); err != nil {
		t.Errorf("the household has one that waits, and another was held: %v", err)
	}
}
