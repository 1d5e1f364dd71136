package journey_test

import (
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
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
