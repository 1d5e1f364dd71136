package server_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

var linkIn = regexp.MustCompile(`https?://\S+/link/\S+`)

// sentLink is the link of the newest mail to somebody.
func (w *world) sentLink(t testing.TB, to string, atLeast int) string {
	t.Helper()
	w.sentCode(t, "mail", to, atLeast)
	list := w.Dev.Inbox.List("mail", to, "")
	link := linkIn.FindString(list[len(list)-1].Text)
	if link == "" {
		t.Fatalf("no link in %q", list[len(list)-1].Text)
	}
	return link
}

// waitsForLink is a person whose browser waits for a mailed link.
func (w *world) waitsForLink(t testing.TB, email string) *person {
	t.Helper()
	return w.person(t).open(w.URL+"/login/demo-web/magic_link_login").post("", url.Values{"email": {email}}).sees("Check your mail")
}

var onwards = regexp.MustCompile(`url=([^"]+)"`)

// next is where a page takes the browser by itself.
func (p *person) next() string {
	p.t.Helper()
	m := onwards.FindStringSubmatch(p.page)
	if m == nil {
		p.t.Fatalf("the page leads nowhere:\n%s", p.page)
	}
	return html.UnescapeString(m[1])
}

// goesOn follows where a page takes the browser by itself.
func (p *person) goesOn() *person {
	p.t.Helper()
	return p.open(p.next())
}

// TestMagicLink: a link signs in the browser that asked for it, after a click,
// once, and nothing else does.
func TestMagicLink(t *testing.T) {
	w := newWorld(t)
	w.rest(t).want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})
	p := w.waitsForLink(t, "ana@example.org")
	waiting := p.at.String()
	link := w.sentLink(t, "ana@example.org", 1)

	scanner := w.person(t)
	for range 3 { // what a mail scanner does
		scanner.open(link).sees("Sign in to")
	}
	r, err := http.NewRequest(http.MethodPost, link, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://evil.example")
	if scanner.read(http.DefaultClient.Do(r)); scanner.status != http.StatusForbidden {
		t.Errorf("pressed by another site: %d", scanner.status)
	}
	if p.open(waiting).sees("Check your mail"); strings.Contains(p.page, "You are signed in") {
		t.Fatal("looking at the link signed in")
	}
	p.open(link).post("", nil).sees("Signing you in")
	back := p.next()
	if elsewhere := w.person(t).open(back); elsewhere.status == http.StatusOK {
		t.Errorf("another browser with the code: %d", elsewhere.status)
	}
	p.goesOn().sees("You are signed in")
	if strings.Contains(p.at.String(), "magic_link_code") {
		t.Error("the code stayed in the address")
	}
	if p.open(link); p.status != http.StatusGone {
		t.Errorf("a used link: %d", p.status)
	}
	if p.read(p.client.PostForm(link, nil)); p.status != http.StatusGone {
		t.Errorf("a used link pressed: %d", p.status)
	}
}

// TestMagicLinkElsewhere: opened in another browser, a link signs nobody in; the
// waiting page says so by waiting.
func TestMagicLinkElsewhere(t *testing.T) {
	w := newWorld(t)
	w.rest(t).want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})
	p := w.waitsForLink(t, "ana@example.org")
	waiting := p.at.String()
	victim := w.person(t).open(w.sentLink(t, "ana@example.org", 1)).post("", nil).goesOn()
	if victim.status == http.StatusOK {
		t.Errorf("the other browser: %d", victim.status)
	}
	p.open(waiting).sees("Check your mail")

	// A new link ends the old one, and runs out by itself.
	q := w.waitsForLink(t, "ana@example.org")
	first := w.sentLink(t, "ana@example.org", 2)
	q.post("resend", nil).sees("Check your mail")
	second := w.sentLink(t, "ana@example.org", 3)
	if q.open(first); q.status != http.StatusGone || first == second {
		t.Errorf("a link that was replaced: %d", q.status)
	}
	if w.waitsForLinkRefused(t, "ana@example.org"); t.Failed() {
		return
	}
	w.Pass(10 * time.Minute)
	if q.open(second); q.status != http.StatusGone {
		t.Errorf("a link that ran out: %d", q.status)
	}
	if q.open(waiting); strings.Contains(q.page, "You are signed in") {
		t.Error("signed in by nothing")
	}
}

// waitsForLinkRefused: a fourth link within the minute is refused, for a user and
// for a name of nobody's alike.
func (w *world) waitsForLinkRefused(t *testing.T, email string) {
	t.Helper()
	var pages []string
	for range 3 {
		w.waitsForLink(t, "nobody@example.org")
	}
	for _, name := range []string{email, "nobody@example.org"} {
		p := w.person(t).open(w.URL+"/login/demo-web/magic_link_login").post("", url.Values{"email": {name}}).sees("Not signed in")
		pages = append(pages, regexp.MustCompile(`(run_|vis_|visit" value="|turn" value=")\S+`).ReplaceAllString(p.page, ""))
	}
	if pages[0] != pages[1] {
		t.Errorf("a user and nobody differ:\n%s\n%s", pages[0], pages[1])
	}
}

// TestMagicLinksPerHour: nobody has somebody's mailbox filled, however patient they
// are, and a name of nobody's is refused as soon.
func TestMagicLinksPerHour(t *testing.T) {
	w := newWorld(t)
	w.rest(t).want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})
	for _, email := range []string{"ana@example.org", "nobody@example.org"} {
		for n := range 25 {
			p := w.person(t).open(w.URL+"/login/demo-web/magic_link_login").post("", url.Values{"email": {email}})
			if want := map[bool]string{true: "Check your mail", false: "Not signed in"}[n < 20]; !strings.Contains(p.page, want) {
				t.Fatalf("%s, %d: %s", email, n, p.page)
			}
			w.Pass(time.Minute)
		}
	}
	w.drain(t)
	if n := len(w.Dev.Inbox.List("mail", "ana@example.org", "")); n > 20 {
		t.Errorf("%d mails", n)
	}
	w.Pass(time.Hour)
	w.waitsForLink(t, "ana@example.org")
}

// TestMagicLinkAnywhere: where a link may be opened anywhere, its page asks for
// the number of the page that waits; the wrong one ends it.
func TestMagicLinkAnywhere(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/email", map[string]any{"same_browser": false, "linksPerUser": 20})
	begin := func(i int) (*person, string, string) {
		t.Helper()
		p := w.waitsForLink(t, "ana@example.org")
		return p, number.FindStringSubmatch(p.page)[1], w.sentLink(t, "ana@example.org", i)
	}
	p, shown, link := begin(1)
	w.person(t).open(link).sees("Enter the number").post("", url.Values{"number": {shown}}).sees("Go back to the page")
	p.open(p.at.String()).sees("You are signed in")

	p, shown, link = begin(2)
	phone := w.person(t).open(link).post("", url.Values{"number": {other(shown)}}).sees("not the number")
	if phone.open(link); phone.status != http.StatusGone {
		t.Errorf("a second guess: %d", phone.status)
	}
	p.open(p.at.String()).sees("Not signed in")

	w.waitsForLink(t, "nobody@example.org").sees("data-number")

	// Sixteen at once press the right button: one run, one proof.
	p, shown, link = begin(3)
	var all sync.WaitGroup
	var done atomic.Int32
	for range 16 {
		all.Go(func() {
			if r, err := http.PostForm(link, url.Values{"number": {shown}}); err == nil {
				if r.Body.Close(); r.StatusCode == http.StatusOK {
					done.Add(1)
				}
			}
		})
	}
	all.Wait()
	if done.Load() != 1 {
		t.Errorf("%d of 16 pressed it", done.Load())
	}
	p.open(p.at.String()).sees("You are signed in")
}

// TestMagicLinkSDK: a page with the SDK waits without polling, shows a number, and
// goes on when the link was confirmed.
func TestMagicLinkSDK(t *testing.T) {
	w := newWorld(t)
	w.rest(t).want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})
	b := w.browser(t)
	if _, err := b.Start(t.Context(), "magic_link_login", nil); err != nil {
		t.Fatal(err)
	}
	r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"email": "ana@example.org"})
	if err != nil || r.Step != "magiclink.wait" || len(r.Text("number")) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	shown, link := r.Text("number"), w.sentLink(t, "ana@example.org", 1)
	go func() {
		time.Sleep(50 * time.Millisecond) // so that the question is held by then; it is right either way
		if r, err := http.PostForm(link, url.Values{"number": {shown}}); err == nil {
			r.Body.Close()
		}
	}()
	if r, err = b.Submit(t.Context(), simulator.ClientInput, map[string]any{}); err != nil || r.Type != simulator.Success {
		t.Fatalf("%+v, %v", r, err)
	}
	if claims := claimsOf(t, r.Token); claims["acr"] != "urn:watchword:aal1" {
		t.Errorf("claims %v", claims)
	}
}

// TestMagicLinkAPI: a back end has a link sent, and exchanges the code that the
// browser comes back with.
func TestMagicLinkAPI(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})
	page := w.URL + "/playground/"
	ask := func(extra map[string]any) map[string]any {
		in := map[string]any{"identifier": "ana@example.org", "redirect_uri": page, "state": "s1 &x"}
		for k, v := range extra {
			in[k] = v
		}
		return in
	}
	for _, bad := range []struct {
		in     map[string]any
		status int
		word   string
	}{{ask(map[string]any{"redirect_uri": "https://evil.example/"}), 400, "system_invalid_input"}, {ask(map[string]any{"identifier": "nobody@example.org"}), 404, "user_not_found"}, {ask(map[string]any{"channel": "pigeon"}), 400, "system_invalid_input"}} {
		if got, body := c.do(t, "POST /v1/auth/link/email/send", bad.in); got != bad.status || body["error_code"] != bad.word {
			t.Errorf("%v: %d %v", bad.in, got, body)
		}
	}
	sent := c.want(t, 200, "POST /cis/v1/auth/link/email/send", ask(map[string]any{"channel": "direct", "generate_request_id": true}))
	p := w.person(t).open(sent["link"].(string)).post("", nil)
	back, err := url.Parse(p.next())
	if err != nil || !strings.HasPrefix(back.String(), page) || back.Query().Get("state") != "s1 &x" {
		t.Fatalf("back to %v, %v", back, err)
	}
	code := back.Query().Get("code")
	if got, body := c.do(t, "POST /v1/auth/link/email/authenticate", map[string]any{"code": code}); got != 400 || body["error_code"] != "auth_invalid_credentials" {
		t.Errorf("without the request: %d %v", got, body)
	}
	var all sync.WaitGroup
	var in atomic.Int32
	for range 16 {
		all.Go(func() {
			got, body := c.do(t, "POST /v1/auth/link/email/authenticate", map[string]any{"code": code, "request_id": sent["request_id"]})
			if got == 200 && w.offline(t, body["id_token"].(string))["sub"] == u["user_id"] {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if in.Load() != 1 {
		t.Errorf("%d of 16 were let in", in.Load())
	}
	if got, body := c.do(t, "POST /v1/auth/link/email/authenticate", map[string]any{"code": "chl_x.y", "request_id": sent["request_id"]}); got != 400 || body["error_code"] != "auth_invalid_credentials" {
		t.Errorf("nobody's code: %d %v", got, body)
	}
	for i, want := range []int{200, 200, 429} {
		if got, body := c.do(t, "POST /v1/auth/link/email/send", ask(nil)); got != want || want == 429 && body["retry_after"] == nil {
			t.Errorf("link %d: %d %v", i+2, got, body)
		}
	}
}
