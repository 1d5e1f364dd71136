package server_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// rowsOf are those of a list of the record, oldest first.
func rowsOf(r reply) []map[string]any {
	list, _ := r.Doc["items"].([]any)
	out := make([]map[string]any, 0, len(list))
	for _, e := range list {
		out = append(out, e.(map[string]any))
	}
	slices.Reverse(out)
	return out
}

// TestTimelineSaysFromWhere: what happened to a user says from where and in which
// run, a failure as well, and so does that their phone was asked.
func TestTimelineSaysFromWhere(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	p := w.registered(t, "ada@example.org", 0)
	for _, number := range []string{"00", ""} {
		b, r := w.asked(t, "ada@example.org")
		if number == "" {
			number, _ = r.Data["number"].(string)
		}
		_ = p.Approve(t.Context(), pending(t, p).ID, number)
		ended(t, b)
	}
	q := w.person(t).open(w.URL + "/account/demo-web").sees("Sign in")
	q.post("", url.Values{"username": {"ada"}}).post("password", url.Values{"password": {"not this one"}}).sees("That did not match")

	found := a.must(t, "GET /users?q=ada", nil)
	id := rowsOf(found)[0]["id"].(string)
	missing := []string{"push.requested", "push.approved", "auth.push.failed", "auth.push.succeeded", "auth.biometric.succeeded", "auth.password.failed"}
	for _, e := range rowsOf(a.must(t, "GET /users/"+id+"/timeline?limit=100", nil)) {
		what := e["type"].(string)
		missing = slices.DeleteFunc(missing, func(m string) bool { return m == what })
		if strings.HasPrefix(what, "auth.") || what == "push.requested" {
			if e["address"] != "127.0.0.1" || e["client"] == "" || !strings.HasPrefix(e["run"].(string), "run_") {
				t.Errorf("%s: address %q, client %q, run %q", what, e["address"], e["client"], e["run"])
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("not in the time line: %v", missing)
	}
}

// TestRecordByName: the record and the runs are asked by the name of a person, of
// one who administrates as well; a name of nobody finds nothing.
func TestRecordByName(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	w.registered(t, "ada@example.org", 0)
	for query, some := range map[string]bool{
		"/audit?target=ada": true, "/audit?actor=ADA@example.org": true, "/audit?actor=grace": true, "/audit?target=nobody@example.org": false,
		"/runs?user=ada@example.org": true, "/runs?user=nobody@example.org": false,
	} {
		if n := len(rowsOf(a.must(t, "GET "+query, nil))); (n > 0) != some {
			t.Errorf("%s: %d", query, n)
		}
	}
}
