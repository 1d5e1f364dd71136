package server_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// TestConsoleApps: applications and clients live and die by the console, secrets
// are shown once, and nobody overwrites what somebody else changed.
func TestConsoleApps(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	made := a.must(t, "POST /apps", map[string]any{"name": "Büro Ünited", "audience": "b2b"})
	id, _ := made.Doc["id"].(string)
	if id != "buro-united" {
		t.Errorf("id: %q", id)
	}
	if r := a.do(t, "POST /apps", map[string]any{"id": "demo", "name": "Mine", "audience": "b2c"}); r.Status != 409 {
		t.Errorf("an id twice: %d", r.Status)
	}
	tag := a.must(t, "GET /apps/"+id, nil).Header.Get("ETag")
	if r := a.do(t, "PATCH /apps/"+id, map[string]any{"name": "Bureau"}); r.Status != 428 || r.Doc["code"] != "precondition_failed" {
		t.Errorf("without If-Match: %d %s", r.Status, r.Raw)
	}
	a.must(t, "PATCH /apps/"+id, map[string]any{"name": "Bureau"}, "If-Match", tag)
	if r := a.do(t, "PATCH /apps/"+id, map[string]any{"name": "Bureau 2"}, "If-Match", tag); r.Status != 412 || r.Doc["code"] != "precondition_failed" {
		t.Errorf("with an old tag: %d %s", r.Status, r.Raw)
	}
	client := a.must(t, "POST /apps/"+id+"/clients", map[string]any{"name": "Robot", "kind": "backend", "settings": map[string]any{"permissions": []string{"users:read"}}})
	secret, _ := client.Doc["secret"].(string)
	if len(secret) < 20 {
		t.Fatalf("secret: %s", client.Raw)
	}
	at := "/apps/" + id + "/clients/robot"
	got := a.must(t, "GET "+at, nil)
	if strings.Contains(got.Raw, secret) || got.Doc["has_secret"] != true {
		t.Errorf("the client: %s", got.Raw)
	}
	if r := a.do(t, "PUT "+at, map[string]any{"name": "Robot", "settings": map[string]any{"redirect_uris": []string{"javascript:alert(1)"}}}, "If-Match", got.Header.Get("ETag")); r.Status != 400 {
		t.Errorf("a bad redirect: %d", r.Status)
	}
	if r := a.do(t, "PUT "+at, map[string]any{"name": "Robot", "settings": map[string]any{"nonsense": 1}}, "If-Match", got.Header.Get("ETag")); r.Status != 400 || !strings.Contains(r.Raw, "body.settings") {
		t.Errorf("an unknown setting: %d %s", r.Status, r.Raw)
	}
	a.must(t, "POST "+at+"/secret", nil)
	got = a.must(t, "GET "+at, nil)
	a.must(t, "DELETE "+at, nil, "If-Match", got.Header.Get("ETag"))
	a.must(t, "DELETE /apps/"+id, nil, "If-Match", "*")
	if r := a.do(t, "GET /apps/"+id, nil); r.Status != 404 {
		t.Errorf("deleted, and there: %d", r.Status)
	}
}

// TestDeletedAppsStayDeleted: whoever makes an application, or a client, by the id
// of one that was deleted gets nobody's sessions and tokens with it (R87).
func TestDeletedAppsStayDeleted(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	client := map[string]any{"id": "door", "name": "Door", "kind": "web", "settings": map[string]any{"redirect_uris": []string{"http://127.0.0.1:*/callback"}}}
	a.must(t, "POST /apps/demo/clients", client)
	c := w.party(t, "door", "")
	p := w.person(t).open(c.request(nil)).passes(w)
	_, tokens := c.redeem(t, p.came(c).Get("code"))
	works := func() (refresh, access bool) {
		status, _ := c.userinfo(t, tokens["access_token"].(string))
		again, out := c.refresh(t, tokens["refresh_token"].(string))
		if again == 200 {
			tokens = out
		}
		return again == 200, status == 200
	}
	if refresh, access := works(); !refresh || !access {
		t.Fatalf("%v %v", refresh, access)
	}
	a.must(t, "DELETE /apps/demo/clients/door", nil, "If-Match", "*")
	a.must(t, "POST /apps/demo/clients", client)
	if refresh, access := works(); refresh || access {
		t.Errorf("another client of the same id: refresh %v, access %v", refresh, access)
	}
	if q := p.open(c.request(url.Values{"prompt": {"none"}})).came(c); q.Get("code") == "" {
		t.Errorf("the session is of the application: %v", q)
	}
	p.open(c.request(url.Values{"prompt": {"none"}}))
	_, tokens = c.redeem(t, p.came(c).Get("code"))
	a.must(t, "DELETE /apps/demo", nil, "If-Match", "*")
	a.must(t, "POST /apps", map[string]any{"id": "demo", "name": "Demo", "audience": "b2c"})
	a.must(t, "POST /apps/demo/clients", client)
	if refresh, access := works(); refresh || access {
		t.Errorf("another application of the same id: refresh %v, access %v", refresh, access)
	}
	if q := p.open(c.request(url.Values{"prompt": {"none"}})).came(c); q.Get("error") != "login_required" {
		t.Errorf("another application of the same id: %v", q)
	}
}

// TestConsoleMethods: an application inherits from its tenant what it does not
// set itself, and what is set acts.
func TestConsoleMethods(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	set := func(at string, settings map[string]any) reply {
		t.Helper()
		tag, _ := a.must(t, "GET "+at, nil).Doc["etag"].(string)
		return a.must(t, "PUT "+at, map[string]any{"settings": settings}, "If-Match", tag)
	}
	value := func(r reply, name string) (any, any) {
		settings, _ := r.Doc["settings"].(map[string]any)
		from, _ := r.Doc["from"].(map[string]any)
		return settings[name], from[name]
	}
	app := "/apps/demo/methods/totp"
	if v, from := value(a.must(t, "GET "+app, nil), "window_minutes"); v != 15.0 || from != "default" {
		t.Errorf("at first: %v from %v", v, from)
	}
	set("/methods/totp", map[string]any{"window_minutes": 30, "hard_cap": 50})
	if v, from := value(a.must(t, "GET "+app, nil), "window_minutes"); v != 30.0 || from != "tenant" {
		t.Errorf("inherited: %v from %v", v, from)
	}
	set(app, map[string]any{"window_minutes": 5})
	r := a.must(t, "GET "+app, nil)
	if v, from := value(r, "window_minutes"); v != 5.0 || from != "application" {
		t.Errorf("its own: %v from %v", v, from)
	}
	if v, from := value(r, "hard_cap"); v != 50.0 || from != "tenant" {
		t.Errorf("beside it: %v from %v", v, from)
	}
	last := a.must(t, "GET /audit?type=admin.method.changed&limit=1", nil).Doc["items"].([]any)[0].(map[string]any)
	if got, want := fmt.Sprint(last["data"]), `map[settings:[map[is:5 setting:window_minutes was:30]]]`; got != want {
		t.Errorf("the record says %s, want %s", got, want)
	}
	tag, _ := r.Doc["etag"].(string)
	if r := a.do(t, "PUT "+app, map[string]any{"settings": map[string]any{"tiers": []any{map[string]any{"failures": 3, "minutes": 0}}}}, "If-Match", tag); r.Status != 400 || !strings.Contains(r.Raw, "body.settings.tiers.0.minutes") {
		t.Errorf("a bad tier: %d %s", r.Status, r.Raw)
	}
	a.must(t, "DELETE "+app, nil, "If-Match", tag)
	if v, from := value(a.must(t, "GET "+app, nil), "window_minutes"); v != 30.0 || from != "tenant" {
		t.Errorf("inherited again: %v from %v", v, from)
	}
	check := a.must(t, "POST "+app+"/check", map[string]any{"settings": map[string]any{"tiers": []any{}, "nonsense": true}})
	if errs, _ := check.Doc["errors"].([]any); len(errs) != 1 {
		t.Errorf("check: %s", check.Raw)
	}
	if lint, _ := a.must(t, "POST "+app+"/check", map[string]any{"settings": map[string]any{"tiers": []any{}}}).Doc["lint"].([]any); len(lint) == 0 {
		t.Error("no tiers, and the linter is content")
	}
	if r := a.do(t, "GET /methods/invitation", nil); r.Status != 404 {
		t.Errorf("the one-time link can be set: %d", r.Status)
	}
}

// TestConsoleSimulation: what the simulator says is what the engine does.
func TestConsoleSimulation(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	fail := map[string]any{"after_seconds": 1, "outcome": "failure"}
	r := a.must(t, "POST /methods/totp/simulate", map[string]any{
		"settings": map[string]any{"tiers": []any{map[string]any{"failures": 2, "minutes": 1}}},
		"attempts": []any{fail, fail, fail, map[string]any{"after_seconds": 60, "outcome": "success"}, fail}})
	steps, _ := r.Doc["steps"].([]any)
	if len(steps) != 5 {
		t.Fatalf("steps: %s", r.Raw)
	}
	step := func(i int) map[string]any { m, _ := steps[i].(map[string]any); return m }
	if step(1)["tier"] != 0.0 || step(1)["locked_until_seconds"] != 62.0 || step(2)["refused"] != true || step(3)["failures"] != 0.0 || step(4)["failures"] != 1.0 {
		t.Errorf("steps: %s", r.Raw)
	}
}
