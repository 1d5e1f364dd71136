package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// person is a browser without JavaScript.
type person struct {
	t      testing.TB
	client *http.Client
	at     *url.URL
	status int
	page   string
}

func (w *world) person(t testing.TB) *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, client: &http.Client{Jar: jar}}
}

func (p *person) read(r *http.Response, err error) *person {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.at, p.status, p.page = r.Request.URL, r.StatusCode, string(b)
	return p
}

func (p *person) open(address string) *person { p.t.Helper(); return p.read(p.client.Get(address)) }

var hidden = regexp.MustCompile(`name="(visit|turn)" value="([^"]*)"`)

// post answers the page as its form would.
func (p *person) post(option string, fields url.Values) *person {
	p.t.Helper()
	form := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(p.page, -1) {
		form.Set(m[1], m[2])
	}
	if option != "" {
		form.Set("option", option)
	}
	for name, v := range fields {
		form[name] = v
	}
	return p.read(p.client.PostForm(p.at.String(), form))
}

func (p *person) sees(text string) *person {
	p.t.Helper()
	if !strings.Contains(p.page, text) {
		p.t.Fatalf("%d %s does not show %q:\n%s", p.status, p.at, text, p.page)
	}
	return p
}

func (p *person) lacks(text string) *person {
	p.t.Helper()
	if strings.Contains(p.page, text) {
		p.t.Fatalf("%d %s shows %q:\n%s", p.status, p.at, text, p.page)
	}
	return p
}

var number = regexp.MustCompile(`data-number="([0-9]+)"`)

// TestHostedSignIn: somebody without JavaScript signs in by approving on the
// phone.
func TestHostedSignIn(t *testing.T) {
	w := newWorld(t)
	phone := w.registered(t, "grace@example.org", 0)
	p := w.person(t).open(w.URL + "/login/demo-web/web_login").sees("Sign in").sees(`name="email"`)
	if strings.Contains(p.page, "ses_") || strings.Contains(p.at.String(), "ses_") {
		t.Error("the session of the run is shown")
	}
	p.post("web_to_mobile", url.Values{"email": {"grace@example.org"}}).sees("Pixel 9").sees(`http-equiv="refresh"`)
	m := number.FindStringSubmatch(p.page)
	if m == nil {
		t.Fatalf("no number on the page:\n%s", p.page)
	}
	p.sees("The number is " + strings.Join(strings.Split(m[1], ""), " ") + ".")
	if p.open(p.at.String()); number.FindStringSubmatch(p.page)[1] != m[1] {
		t.Error("a look at the waiting page changed the number")
	}
	if err := phone.Approve(t.Context(), pending(t, phone).ID, m[1]); err != nil {
		t.Fatal(err)
	}
	p.open(p.at.String()).sees("You are signed in")
}

// TestAskedAgain: who typed something wrong is asked again where they typed it, and is
// told so there until they answer. Somebody unknown is asked again alike.
func TestAskedAgain(t *testing.T) {
	w := newWorld(t)
	w.authenticator(t)
	alert := regexp.MustCompile(`<p class="problem".*</p>`)
	p := w.person(t).open(w.URL+"/login/demo-web/sign_in").post("", url.Values{"username": {"ada@example.org"}})
	p.sees("How do you want to sign in?").lacks(`role="alert"`).post("totp", url.Values{"totp_code": {"000000"}}).sees("How do you want to sign in?")
	p.sees(`<details class="way" open><summary>Authenticator app`).sees(`maxlength="16" required autofocus aria-invalid="true" aria-describedby="problem"`)
	if n := strings.Count(p.page, " autofocus"); n != 1 || p.status != http.StatusOK {
		t.Errorf("%d fields have the cursor, status %d", n, p.status)
	}
	known := alert.FindString(p.page)
	if p.open(p.at.String()); alert.FindString(p.page) != known { // where the run stands
		t.Errorf("looked at once more: %q, was %q", alert.FindString(p.page), known)
	}
	p.post("back", nil).sees(`name="username"`).lacks(`role="alert"`)
	p.post("", url.Values{"username": {"ada@example.org"}}).sees("How do you want to sign in?").lacks(`role="alert"`)

	q := w.person(t)
	for n := 0; n == 0 || n < 50 && !strings.Contains(q.page, `name="password"`); n++ { // somebody unknown is offered what they might have
		q.open(w.URL+"/login/demo-web/sign_in").post("", url.Values{"username": {fmt.Sprintf("nobody%d@example.org", n)}})
	}
	for _, p := range []*person{p, q} {
		p.post("password", url.Values{"password": {"not this one"}}).sees(`required autofocus aria-invalid="true" aria-describedby="problem"`)
		if got := alert.FindString(p.page); got != known || known == "" {
			t.Errorf("a wrong password: %q, a wrong code %q", got, known)
		}
	}
}

// TestDecoyIsSilent: a form that stands in for another is told nothing of why it is
// shown, and a form that is asked again says nothing of whom nobody knows (R30).
func TestDecoyIsSilent(t *testing.T) {
	w := newWorld(t)
	w.publish(t, `{"id": "quiet", "name": "Quiet", "kind": "client", "start": "who", "nodes": {
		"who": {"kind": "get_information", "config": {"form_id": "who", "title": "Who?", "fields": [{"name": "name", "label": "Name", "required": true}, {"name": "again", "label": "Again"}], "output": "form"}, "next": {"success": "find"}},
		"find": {"kind": "find_user", "config": {"user": {"expr": "form.name"}}, "next": {"success": "real", "failure": "which"}, "error": "error"},
		"which": {"kind": "condition", "config": {"if": {"expr": "(form.again ?? '') == 'yes'"}}, "next": {"true": "who", "false": "decoy"}},
		"real": {"kind": "get_information", "config": {"form_id": "code", "title": "The code", "fields": [{"name": "code", "label": "Code", "required": true}], "output": "form"}, "next": {"success": "done"}},
		"decoy": {"kind": "get_information", "config": {"form_id": "code", "title": "The code", "fields": [{"name": "code", "label": "Code", "required": true}], "output": "form"}, "next": {"success": "done"}},
		"done": {"kind": "reject", "config": {"reason": "over"}}}}`)
	for _, name := range []string{"ada@example.org", "nobody@example.org"} {
		w.person(t).open(w.URL+"/login/demo-web/quiet").post("", url.Values{"name": {name}}).sees("The code").lacks(`role="alert"`)
	}
	w.person(t).open(w.URL+"/login/demo-web/quiet").post("", url.Values{"name": {"nobody@example.org"}, "again": {"yes"}}).sees("Who?").lacks(`role="alert"`)
}

// TestHostedRefusals: a page belongs to the browser that opened it, wrong
// answers are drawn with what was typed, and what is not there is not there.
func TestHostedRefusals(t *testing.T) {
	w := newWorld(t)
	p := w.person(t).open(w.URL + "/login/demo-web/web_login")
	other := w.person(t).open(p.at.String())
	if other.status == http.StatusOK || strings.Contains(other.page, `name="email"`) {
		t.Errorf("another browser sees the run: %d", other.status)
	}
	if other.post("web_to_mobile", url.Values{"email": {"x@example.org"}}); other.status == http.StatusOK {
		t.Errorf("another browser answers the run: %d", other.status)
	}
	if p.post("web_to_mobile", url.Values{"email": {""}}); p.status != http.StatusUnprocessableEntity {
		t.Errorf("an empty field: %d", p.status)
	}
	p.sees(`role="alert"`)
	if p.post("nonsense", nil); p.status != http.StatusUnprocessableEntity {
		t.Errorf("an option that is not there: %d", p.status)
	}
	p.post("cancel", nil).sees("Not signed in").sees("Start again")
	for _, path := range []string{"/login/demo-web/nothing", "/login/nobody/web_login", "/login/demo-native/web_login", "/login/demo-web/mobile_approve", "/login/run/run_nothing"} {
		if p.open(w.URL + path); p.status < 400 || p.status >= 500 {
			t.Errorf("%s: %d", path, p.status)
		}
	}
}

// TestHostedCrossSite: another site cannot answer for a person.
func TestHostedCrossSite(t *testing.T) {
	w := newWorld(t)
	p := w.person(t).open(w.URL + "/login/demo-web/web_login")
	r, err := http.NewRequest(http.MethodPost, p.at.String(), strings.NewReader("option=cancel"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://evil.example")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if p.read(p.client.Do(r)); p.status != http.StatusForbidden {
		t.Errorf("a post of another site: %d", p.status)
	}
	p.open(p.at.String()).sees(`name="email"`)
}
