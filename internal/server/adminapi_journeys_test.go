package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
)

// at reads a member of a JSON document by its path.
func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func itemsOf(r reply) []any { all, _ := r.Doc["items"].([]any); return all }

// greeting is a journey that asks for a name and says hello.
func greeting(text string) map[string]any {
	return map[string]any{"id": "hello", "name": "Hello", "kind": "client", "start": "ask", "nodes": map[string]any{
		"ask":   map[string]any{"kind": "get_information", "label": "Who are you?", "config": map[string]any{"form_id": "who", "output": "who", "fields": []any{map[string]any{"name": "name", "label": "Name", "required": true}, map[string]any{"name": "pin", "type": "secret"}}}, "next": map[string]any{"success": "say"}},
		"say":   map[string]any{"kind": "information", "config": map[string]any{"text": text}, "next": map[string]any{"success": "done"}},
		"done":  map[string]any{"kind": "complete"},
		"never": map[string]any{"kind": "reject"}}}
}

// TestManyProblems: a large journey in which much is wrong is answered with all that
// is wrong, and with no more than a few journeys of its size.
func TestManyProblems(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	nodes := map[string]any{}
	for n := range 300 {
		nodes[fmt.Sprint("n", n)] = map[string]any{"kind": "complete", "config": map[string]any{"one": 1, "two": 2}, "next": map[string]any{"three": "n0"}}
	}
	graph := map[string]any{"id": "large", "name": "Large", "kind": "client", "start": "n0", "nodes": nodes}
	size := len(db.Text(graph))
	r := a.must(t, "POST /journeys/check", map[string]any{"graph": graph})
	problems, offered := r.Doc["problems"].([]any), 0
	for _, p := range problems {
		if at(p, "fix") != nil {
			offered++
		}
	}
	if len(problems) < 900 || offered < 3 || len(r.Raw) > 15*size {
		t.Errorf("%d problems, %d mended, %d bytes for a journey of %d", len(problems), offered, len(r.Raw), size)
	}
}

// TestAdminJourneys: draw, check, publish, look back, roll back.
func TestAdminJourneys(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	templates := itemsOf(a.must(t, "GET /journeys/templates", nil))
	if len(templates) < 10 {
		t.Fatalf("%d templates", len(templates))
	}
	for _, one := range templates {
		if at(one, "purpose") == "" || len(at(one, "sees").([]any)) == 0 {
			t.Errorf("a template without a purpose or a screen: %v", at(one, "id"))
		}
	}
	r := a.must(t, "POST /journeys", map[string]any{"id": "hello", "name": "Hello", "template": "web_login"})
	if at(r.Doc, "draft", "graph", "id") != "hello" || r.Doc["published"] != nil || r.Doc["state"] != "draft" || r.Doc["dirty"] != true {
		t.Errorf("%s", r.Raw)
	}
	if r := a.do(t, "POST /journeys", map[string]any{"id": "hello", "name": "Hello"}); r.Status != 409 {
		t.Errorf("twice: %d %s", r.Status, r.Raw)
	}
	tag := r.Header.Get("ETag")
	if r := a.do(t, "PUT /journeys/hello/draft", map[string]any{"graph": greeting("one")}); r.Status != 428 {
		t.Errorf("without a tag: %d", r.Status)
	}
	r = a.must(t, "PUT /journeys/hello/draft", map[string]any{"graph": greeting("one")}, "If-Match", tag)
	if problems := r.Doc["problems"].([]any); len(problems) != 1 || at(problems[0], "warning") != true || at(problems[0], "fix", "title") == "" {
		t.Errorf("%s", r.Raw)
	}
	if got := at(r.Doc, "outcomes", "ask"); !slices.Equal(got.([]any), []any{"success"}) {
		t.Errorf("outcomes: %v", got)
	}
	if r := a.do(t, "PUT /journeys/hello/draft", map[string]any{"graph": greeting("lost")}, "If-Match", tag); r.Status != 412 {
		t.Errorf("over another's change: %d %s", r.Status, r.Raw)
	}
	tag = r.Header.Get("ETag")
	if r := a.must(t, "POST /journeys/hello/publish", map[string]any{"note": "first"}, "If-Match", tag); r.Doc["version"] != 1.0 {
		t.Errorf("%s", r.Raw)
	}
	r = a.must(t, "GET /journeys/hello", nil)
	if at(r.Doc, "published", "by") != "Grace" || at(r.Doc, "published", "note") != "first" || r.Doc["dirty"] != false || r.Doc["state"] != "published" {
		t.Errorf("%s", r.Raw)
	}
	broken := greeting("two")
	broken["nodes"].(map[string]any)["say"].(map[string]any)["next"] = map[string]any{}
	r = a.must(t, "PUT /journeys/hello/draft", map[string]any{"graph": broken}, "If-Match", r.Header.Get("ETag"))
	fixed := at(r.Doc["problems"].([]any)[0], "fix", "graph")
	tag = r.Header.Get("ETag")
	if r := a.do(t, "POST /journeys/hello/publish", map[string]any{"note": ""}, "If-Match", tag); r.Status != 409 || len(r.Doc["errors"].([]any)) == 0 {
		t.Errorf("a broken graph: %d %s", r.Status, r.Raw)
	}
	r = a.must(t, "PUT /journeys/hello/draft", map[string]any{"graph": fixed}, "If-Match", tag)
	a.must(t, "POST /journeys/hello/publish", map[string]any{"note": "second"}, "If-Match", r.Header.Get("ETag"))
	versions := itemsOf(a.must(t, "GET /journeys/hello/versions", nil))
	if len(versions) != 2 || at(versions[0], "state") != "live" || at(versions[1], "state") != "old" {
		t.Errorf("%v", versions)
	}
	if r := a.must(t, "POST /journeys/hello/versions/1/publish", map[string]any{"note": "back"}); r.Doc["version"] != 3.0 {
		t.Errorf("%s", r.Raw)
	}
	if r := a.must(t, "GET /journeys/hello/versions/3", nil); at(r.Doc, "graph", "nodes", "say", "config", "text") != "one" {
		t.Errorf("%s", r.Raw)
	}
	tag = a.must(t, "GET /journeys/hello", nil).Header.Get("ETag")
	r = a.must(t, "POST /journeys/hello/versions/2/restore", nil, "If-Match", tag)
	if at(r.Doc, "dirty") != true {
		t.Errorf("%s", r.Raw)
	}
	a.must(t, "DELETE /journeys/hello/draft", nil, "If-Match", r.Header.Get("ETag"))
	if r := a.do(t, "DELETE /journeys/hello", nil, "If-Match", "x"); r.Status != 409 {
		t.Errorf("what was published was deleted: %d", r.Status)
	}
	a.must(t, "POST /journeys/hello/disable", nil)
	all := itemsOf(a.must(t, "GET /journeys", nil))
	i := slices.IndexFunc(all, func(j any) bool { return at(j, "id") == "hello" })
	if i < 0 || at(all[i], "state") != "disabled" {
		t.Errorf("%v", all)
	}
	if i := slices.IndexFunc(all, func(j any) bool { return at(j, "id") == "mobile_approve" }); i < 0 || len(at(all[i], "used_by").([]any)) == 0 {
		t.Error("nobody uses mobile_approve")
	}
	if i := slices.IndexFunc(all, func(j any) bool { return at(j, "id") == "sign_in" }); i < 0 || !strings.Contains(fmt.Sprint(at(all[i], "used_by")), "client:demo-web") {
		t.Errorf("a client without a journey of its own does not use sign_in: %v", all[i])
	}
}

// TestAdminJourneyFiles: what is exported can be imported, in both formats, and
// what is no journey is refused with a reason.
func TestAdminJourneyFiles(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	for _, format := range []string{"yaml", "json"} {
		text := a.must(t, "GET /journeys/web_login/export?format="+format, nil).Raw
		r := a.must(t, "POST /journeys/import", map[string]any{"text": text})
		if at(r.Doc, "graph", "nodes", "push", "kind") != "push.authenticate" || len(r.Doc["problems"].([]any)) != 0 {
			t.Errorf("%s: %s", format, r.Raw)
		}
	}
	for _, text := range []string{"", "nonsense", "id: x\ncolour: red", "[1,2]"} {
		if r := a.do(t, "POST /journeys/import", map[string]any{"text": text}); r.Status != 400 {
			t.Errorf("%q: %d %s", text, r.Status, r.Raw)
		}
	}
	r := a.must(t, "POST /journeys/expression", map[string]any{"text": "1 +"})
	if len(r.Doc["errors"].([]any)) != 1 {
		t.Errorf("%s", r.Raw)
	}
	graph := at(a.must(t, "GET /journeys/web_login", nil).Doc, "draft", "graph")
	if all := itemsOf(a.must(t, "POST /journeys/completions", map[string]any{"text": "login.e", "offset": 7, "graph": graph, "node": "push"})); len(all) == 0 || at(all[0], "insert") != "login.email" {
		t.Errorf("%v", all)
	}
	all := itemsOf(a.must(t, "GET /journeys/web_login/code?client=demo-web", nil))
	const ways = "        const ways = {\n          'cancel': [],\n          'web_to_mobile': ['email'],\n        };\n"
	if web, _ := at(all[0], "text").(string); !strings.Contains(web, ways) {
		t.Errorf("the code for pages is not as somebody would write it: %s", web)
	}
	if len(all) != 3 || !strings.Contains(at(all[0], "text").(string), "'demo-web'") || !strings.Contains(at(all[0], "text").(string), "case 'login':") {
		t.Errorf("%v", all)
	}
}

// TestAdminTry: an administrator runs a draft node by node.
func TestAdminTry(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	a.must(t, "POST /journeys", map[string]any{"id": "hello", "name": "Hello", "graph": greeting("one")})
	r := a.must(t, "POST /journeys/hello/try", map[string]any{"app": "demo", "client": "demo-web"})
	id, _ := r.Doc["id"].(string)
	if at(r.Doc, "prompt", "form") != "who" || len(r.Doc["trace"].([]any)) != 2 {
		t.Fatalf("%s", r.Raw)
	}
	if got := at(r.Doc, "prompt", "title"); got != "Your details" {
		t.Errorf("it is called %v", got)
	}
	for path, title := range map[string]string{"?wait=0": "Your details", "?wait=0&lang=de": "Ihre Angaben", "?wait=0&lang=ja": "情報の入力", "?wait=0&lang=xx": "Your details"} {
		if got := at(a.must(t, "GET /tries/"+id+path, nil).Doc, "prompt", "title"); got != title {
			t.Errorf("%s: it is called %v", path, got)
		}
	}
	r = a.must(t, "POST /tries/"+id+"?lang=de", map[string]any{"data": map[string]any{}})
	if got := at(r.Doc, "problem", "message"); got != "Name fehlt." {
		t.Errorf("it says %v: %s", got, r.Raw)
	}
	r = a.must(t, "POST /tries/"+id+"?after=2", map[string]any{"data": map[string]any{"name": "Ada", "pin": "canary-4711"}})
	if at(r.Doc, "prompt", "kind") != "information" || strings.Contains(r.Raw, "canary-4711") || !strings.Contains(r.Raw, "Ada") {
		t.Errorf("%s", r.Raw)
	}
	r = a.must(t, "POST /tries/"+id, map[string]any{})
	if at(r.Doc, "end", "ok") != true {
		t.Errorf("%s", r.Raw)
	}
	a.must(t, "DELETE /tries/"+id, nil)
	if r := a.do(t, "GET /tries/"+id, nil); r.Status != 404 {
		t.Errorf("after its end: %d", r.Status)
	}
	if r := a.do(t, "POST /journeys/mobile_approve/try", map[string]any{"app": "demo", "client": "demo-web"}); r.Status != 400 {
		t.Errorf("a phone's journey: %d %s", r.Status, r.Raw)
	}
	if r := a.do(t, "POST /journeys/hello/try", map[string]any{"app": "other", "client": "demo-web"}); r.Status != 404 {
		t.Errorf("another application's client: %d", r.Status)
	}
	if n := len(itemsOf(a.must(t, "GET /runs?journey=hello", nil))); n != 0 {
		t.Errorf("%d records of a try", n)
	}
}

// TestTestLink: whoever has the address runs the draft as it was then, on the
// server's own pages, until it runs out.
func TestTestLink(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	a.must(t, "POST /journeys", map[string]any{"id": "hello", "name": "Hello", "graph": greeting("one")})
	link := a.must(t, "POST /journeys/hello/test-link", map[string]any{"app": "demo", "client": "demo-web"}).Doc["url"].(string)
	look := func(address string) (int, string) {
		p := w.person(t).open(strings.Replace(address, w.Kit.URL, w.URL, 1))
		return p.status, p.page
	}
	if status, page := look(link); status != http.StatusOK || !strings.Contains(page, `name="name"`) {
		t.Errorf("%d %s", status, page)
	}
	if status, _ := look(link + "x"); status != http.StatusNotFound {
		t.Errorf("forged: %d", status)
	}
	w.Pass(25 * time.Hour)
	if status, _ := look(link); status != http.StatusNotFound {
		t.Errorf("run out: %d", status)
	}
}

var anID = regexp.MustCompile(`^run_[0-9a-v]+$`)

// TestAdminRuns: real runs can be found and opened, page by page, and say
// nothing that was typed.
func TestAdminRuns(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	a.must(t, "POST /journeys", map[string]any{"id": "hello", "name": "Hello", "graph": greeting("one")})
	a.must(t, "POST /journeys/hello/publish", map[string]any{"note": ""}, "If-Match", a.must(t, "GET /journeys/hello", nil).Header.Get("ETag"))
	for range 3 {
		w.person(t).open(w.URL+"/login/demo-web/hello").post("", url.Values{"name": {"canary-name"}}).post("", nil)
	}
	r := a.must(t, "GET /runs?journey=hello&limit=2", nil)
	if len(itemsOf(r)) != 2 || r.Doc["next_cursor"] == "" || strings.Contains(r.Raw, "canary") {
		t.Fatalf("%s", r.Raw)
	}
	rest := a.must(t, "GET /runs?journey=hello&limit=2&cursor="+r.Doc["next_cursor"].(string), nil)
	if len(itemsOf(rest)) != 1 || rest.Doc["next_cursor"] != "" {
		t.Errorf("%s", rest.Raw)
	}
	if r := a.do(t, "GET /runs?cursor=forged", nil); r.Status != 400 {
		t.Errorf("a forged cursor: %d", r.Status)
	}
	id, _ := at(itemsOf(r)[0], "id").(string)
	if !anID.MatchString(id) {
		t.Fatalf("id %q", id)
	}
	one := a.must(t, "GET /runs/"+id, nil)
	if at(one.Doc, "outcome") != "completed" || at(one.Doc, "graph", "id") != "hello" || len(one.Doc["trace"].([]any)) < 6 || strings.Contains(one.Raw, "canary") {
		t.Errorf("%s", one.Raw)
	}
	s := a.must(t, "GET /journeys/hello/stats", nil)
	if s.Doc["runs"] != 3.0 || at(s.Doc, "nodes", "ask", "left", "success") != 3.0 {
		t.Errorf("%s", s.Raw)
	}
	w.person(t).open(w.URL + "/login/demo-web/hello")
	if open := itemsOf(a.must(t, "GET /runs?outcome=open", nil)); len(open) != 1 || at(open[0], "node") != "ask" {
		t.Errorf("open: %v", open)
	}
	all := a.must(t, "GET /runs?journey=hello&limit=2", nil)
	if list := itemsOf(all); len(list) != 3 || at(list[0], "outcome") != "open" || at(list[1], "outcome") != "completed" {
		t.Errorf("what goes on does not stand before what ended: %s", all.Raw)
	}
	if list := itemsOf(a.must(t, "GET /runs?journey=hello&limit=2&cursor="+all.Doc["next_cursor"].(string), nil)); len(list) != 1 || at(list[0], "outcome") != "completed" {
		t.Errorf("the next page: %v", list)
	}
}
