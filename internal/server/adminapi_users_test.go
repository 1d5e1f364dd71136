package server_test

import (
	"net/url"
	"strings"
	"testing"
)

// TestConsoleUsers: support finds a user, sees what they have, locks, unlocks and
// helps, and all of it stands in the user's time line.
func TestConsoleUsers(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	found := a.must(t, "GET /users?q=ADA", nil)
	rows, _ := found.Doc["items"].([]any)
	if len(rows) != 1 {
		t.Fatalf("search: %s", found.Raw)
	}
	ada, _ := rows[0].(map[string]any)
	id, _ := ada["id"].(string)
	at := "/users/" + id
	a.must(t, "POST "+at+"/identifiers", map[string]any{"kind": "phone", "value": "+49 170 1234567", "verified": true})
	if r := a.do(t, "POST /users", map[string]any{"phone_number": "+491701234567"}); r.Status != 409 {
		t.Errorf("a number twice: %d", r.Status)
	}
	r := a.must(t, "PUT "+at+"/identifiers/phone/"+url.PathEscape("+491701234567"), map[string]any{"value": "+49 170 7654321"})
	if !strings.Contains(r.Raw, "7654321") || strings.Contains(r.Raw, "1234567") || strings.Contains(r.Raw, `"verified":true`) {
		t.Errorf("another number in its place: %s", r.Raw)
	}
	if r := a.do(t, "PUT "+at+"/identifiers/phone/"+url.PathEscape("+491707654321"), map[string]any{"value": "0171"}); r.Status != 400 || !strings.Contains(r.Raw, "body.value") {
		t.Errorf("no number: %d %s", r.Status, r.Raw)
	}
	if r := a.do(t, "PUT "+at+"/identifiers/email/nobody@example.org", map[string]any{"value": "eve@example.org"}); r.Status != 404 {
		t.Errorf("a name that is not theirs: %d %s", r.Status, r.Raw)
	}
	r = a.must(t, "DELETE "+at+"/identifiers/phone/"+url.PathEscape("+491707654321"), nil)
	if strings.Contains(r.Raw, "7654321") {
		t.Errorf("taken, and there: %s", r.Raw)
	}
	list := a.must(t, "GET "+at+"/authenticators?app=demo", nil)
	aid := ""
	for _, x := range list.Doc["items"].([]any) {
		if m := x.(map[string]any); m["kind"] == "password" {
			aid, _ = m["id"].(string)
		}
	}
	if aid == "" {
		t.Fatalf("no password: %s", list.Raw)
	}
	a.must(t, "POST "+at+"/authenticators/"+aid+"/lock", map[string]any{"reason": "lost"})
	if r := a.must(t, "GET "+at+"/authenticators", nil); !strings.Contains(r.Raw, `"deactivated"`) {
		t.Errorf("locked, and usable: %s", r.Raw)
	}
	a.must(t, "POST "+at+"/authenticators/"+aid+"/unlock", nil)
	a.must(t, "PATCH "+at+"/authenticators/"+aid, map[string]any{"label": "Old password"})
	a.must(t, "POST "+at+"/unlock", map[string]any{"kind": "totp", "type": "any"})
	actions := a.must(t, "GET "+at+"/actions", nil)
	for _, want := range []string{"password.temporary", "code.direct", "push.invite", "totp.register"} {
		if !strings.Contains(actions.Raw, want) {
			t.Errorf("no action %s: %s", want, actions.Raw)
		}
	}
	done := a.must(t, "POST "+at+"/actions/password.temporary?app=demo", map[string]any{})
	shown, _ := done.Doc["shown"].([]any)
	if len(shown) != 1 {
		t.Fatalf("temporary password: %s", done.Raw)
	}
	temporary, _ := shown[0].(map[string]any)["value"].(string)
	a.must(t, "POST "+at+"/actions/totp.register?app=demo", map[string]any{"label": "App"})
	if r := a.do(t, "POST "+at+"/actions/totp.register?app=demo", map[string]any{"nonsense": 1}); r.Status != 400 {
		t.Errorf("an unknown field: %d", r.Status)
	}
	for _, list := range []string{"/devices", "/sessions"} {
		a.must(t, "GET "+at+list, nil)
	}
	tag := a.must(t, "GET "+at, nil).Header.Get("ETag")
	a.must(t, "PATCH "+at, map[string]any{"status": "suspended", "custom": map[string]any{"note": "x"}}, "If-Match", tag)
	if r := a.must(t, "GET /users?status=suspended", nil); !strings.Contains(r.Raw, id) {
		t.Errorf("suspended, and not found: %s", r.Raw)
	}
	seen := ""
	for cursor, pages := "", 0; pages < 20; pages++ {
		r := a.must(t, "GET "+at+"/timeline?limit=3&cursor="+cursor, nil)
		seen += r.Raw
		if cursor, _ = r.Doc["next_cursor"].(string); cursor == "" {
			break
		}
	}
	for _, want := range []string{"admin.authenticator.locked", "admin.user.helped", "admin.user.changed", "admin.user.name_added", `"actor_name":"Grace"`} {
		if !strings.Contains(seen, want) {
			t.Errorf("the time line lacks %s", want)
		}
	}
	if strings.Contains(seen, temporary) {
		t.Error("the temporary password stands in the record")
	}
	tag = a.must(t, "GET "+at, nil).Header.Get("ETag")
	a.must(t, "DELETE "+at, nil, "If-Match", tag)
	if r := a.do(t, "GET "+at, nil); r.Status != 404 {
		t.Errorf("deleted, and there: %d", r.Status)
	}
}

// TestConsoleRecord: the record is read page by page, by filters, exported and
// checked; a cursor counts in the list that made it and nowhere else.
func TestConsoleRecord(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	for range 5 {
		a.must(t, "POST /apps", map[string]any{"name": "=cmd()", "audience": "b2c"})
	}
	first := a.must(t, "GET /audit?type=admin.&limit=2", nil)
	cursor, _ := first.Doc["next_cursor"].(string)
	if cursor == "" {
		t.Fatalf("one page: %s", first.Raw)
	}
	second := a.must(t, "GET /audit?type=admin.&limit=2&cursor="+cursor, nil)
	if first.Raw == second.Raw || !strings.Contains(second.Raw, "admin.app.created") {
		t.Errorf("the second page: %s", second.Raw)
	}
	for _, bad := range []string{cursor[:len(cursor)-2], cursor + "A", "AAAA", "%00"} {
		if r := a.do(t, "GET /audit?cursor="+bad, nil); r.Status != 400 || r.Doc["code"] != "invalid" {
			t.Errorf("cursor %q: %d %s", bad, r.Status, r.Raw)
		}
	}
	if r := a.do(t, "GET /users?cursor="+cursor, nil); r.Status != 400 {
		t.Errorf("a cursor of another list: %d", r.Status)
	}
	if r := a.must(t, "GET /audit?type=nothing.", nil); r.Doc["next_cursor"] != "" || len(r.Doc["items"].([]any)) != 0 {
		t.Errorf("nothing: %s", r.Raw)
	}
	csv := a.must(t, "GET /audit/export?format=csv&type=admin.app.", nil)
	if strings.Count(csv.Raw, "\n") != 6 || !strings.HasPrefix(csv.Header.Get("Content-Type"), "text/csv") {
		t.Errorf("csv: %s", csv.Raw)
	}
	if lines := a.must(t, "GET /audit/export?type=admin.app.", nil); strings.Count(lines.Raw, "\n") != 5 {
		t.Errorf("jsonl: %s", lines.Raw)
	}
	if r := a.must(t, "GET /audit?type=admin.audit.exported", nil); len(r.Doc["items"].([]any)) != 2 {
		t.Errorf("exports leave no trace: %s", r.Raw)
	}
	if r := a.must(t, "GET /audit/verify", nil); r.Doc["intact"] != true {
		t.Errorf("verify: %s", r.Raw)
	}
	keys := a.must(t, "GET /keys", nil)
	a.must(t, "POST /keys/rotate", map[string]any{"alg": "ES256"})
	if r := a.must(t, "GET /keys", nil); len(r.Doc["items"].([]any)) != len(keys.Doc["items"].([]any))+1 || !strings.Contains(r.Raw, `"next"`) {
		t.Errorf("rotated: %s", r.Raw)
	}
}

// TestConsoleUnlocksApprovals: somebody who said "not me" is asked on no phone for an
// hour; who helps them sees that and ends it, and may stop the requests as well.
func TestConsoleUnlocksApprovals(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	p := w.registered(t, "grace@example.org", 0)
	at := "/users/" + a.must(t, "GET /users?q=grace@", nil).Doc["items"].([]any)[0].(map[string]any)["id"].(string)
	status := func() any {
		t.Helper()
		for _, x := range a.must(t, "GET "+at+"/authenticators?app=demo", nil).Doc["items"].([]any) {
			if m := x.(map[string]any); m["kind"] == "push" {
				return m["status"]
			}
		}
		return nil
	}
	rings := func(want int) {
		t.Helper()
		w.asked(t, "grace@example.org")
		if list, err := p.Pending(t.Context(), 0); err != nil || len(list) != want {
			t.Errorf("pending %v, %v, want %d", list, err, want)
		}
	}
	if got := status(); got != "active" {
		t.Fatalf("with a phone: %v", got)
	}
	w.asked(t, "grace@example.org")
	if err := p.Deny(t.Context(), pending(t, p).ID, true); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != "locked" {
		t.Errorf("after \"not me\": %v", got)
	}
	rings(0)
	a.must(t, "POST "+at+"/unlock", map[string]any{"kind": "push", "type": "any", "app": "demo"})
	if got := status(); got != "active" {
		t.Errorf("unlocked: %v", got)
	}
	rings(1)
	a.must(t, "POST "+at+"/authenticators/push/lock?app=demo", map[string]any{"reason": "asked for"})
	if got := status(); got != "deactivated" {
		t.Errorf("locked by hand: %v", got)
	}
	for _, x := range a.must(t, "GET "+at+"/devices", nil).Doc["items"].([]any) {
		a.must(t, "DELETE "+at+"/devices/"+x.(map[string]any)["id"].(string), nil)
	}
	if got := status(); got != "deactivated" {
		t.Errorf("locked, without a phone: %v", got)
	}
	a.must(t, "POST "+at+"/authenticators/push/unlock?app=demo", nil)
	if got := status(); got != nil {
		t.Errorf("unlocked, without a phone: %v", got)
	}
}
