package server_test

import (
	"testing"
	"time"
)

// TestDoorHeldAndCancelled: of a held poll and the cancelling that ends its run
// only the latter says so, because the web SDK throws at a second end. Whoever
// polls once more is told.
func TestDoorHeldAndCancelled(t *testing.T) {
	w := newWorld(t)
	sid, visit, turn := w.begun(t)
	query := "clientId=demo-web&sid=" + sid
	say := func(assert string, data map[string]any) map[string]any {
		body := map[string]any{"assertion_id": visit, "fch": turn, "assert": assert, "data": data}
		_, out := w.post(t, "auth/assert", query, map[string]any{"headers": []any{}, "data": body})
		shaped(t, assert, out)
		return obj(out, "data")
	}
	asked := say("escape", map[string]any{"escape_id": "web_to_mobile", "escape_params": map[string]any{"email": "nobody@example.org"}})
	visit, turn = obj(asked["control_flow"].([]any)[0])["assertion_id"].(string), asked["challenge"].(string)

	held := make(chan map[string]any, 1)
	go func() { held <- say("data", nil) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for w.Server.Engine.Held() == 0 {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the poll was never held")
		}
	}
	if end := say("escape", map[string]any{"escape_id": "cancel"}); end["state"] != "rejected" {
		t.Errorf("cancelling: %v", end)
	}
	if got := <-held; got["state"] != "pending" || got["control_flow"] != nil || got["assertions_complete"] != false || got["assertion_error_code"] != 0.0 {
		t.Errorf("the held poll: %v", got)
	}
	if again := say("data", nil); again["state"] != "rejected" {
		t.Errorf("polling again: %v", again)
	}
}
