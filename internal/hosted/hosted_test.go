package hosted

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/message"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// hostile is what somebody could write wherever a page shows a text.
var hostile = []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'-alert(1)-'`, `{{.}}`, "javascript:alert(1)", `</title><svg onload=alert(1)>`, "&lt;b&gt;", "\u202Eevil\u2066", `%22%3E`, "${alert(1)}"}

// TestHostileTexts: whatever anybody writes into a text that a page shows, the
// page's own elements and attributes stay what they are.
func TestHostileTexts(t *testing.T) {
	plain := elements(draw(t, everything("text")))
	for _, s := range hostile {
		page := draw(t, everything(s))
		if got := elements(page); got != plain {
			t.Errorf("%q changes the page:\n%s\n%s", s, got, plain)
		}
	}
}

// everything is a page that shows s wherever it can.
func everything(s string) view {
	r := journey.Reply{Visit: s, Turn: s, Problem: fault.New(fault.Locked, "%s", s).After(time.Minute), Prompt: &journey.Prompt{
		Kind: "push.wait", Title: s, Text: s, Button: s, Until: now.Add(time.Minute), Resend: true, Poll: true,
		Fields:  form.New(form.Text("a", s, form.Help(s)), form.Choice("b", s, []string{s, "x"}), form.Secret("password", s), form.Boolean("c", s)),
		Data:    map[string]any{"number": s, "device_display_name": s, "approval_data": map[string]any{s: s}, "resend_attempts_left": s},
		Options: []journey.Option{{ID: s, Label: s, Fields: form.New(form.Text("d", s))}, {ID: "cancel", Label: s}},
	}}
	v := describe("en", ticket{App: s, Of: apps.ID(s), Client: apps.ClientID(s), Again: "/x"}, r, now)
	v.Name, v.Codes, v.Welcome = s, []string{s}, true
	v.Look = look{Welcome: s, Foot: s, Privacy: "https://x.example"}
	v.Enrol = enrolment(s, "otpauth://totp/"+url.PathEscape(s), "")
	v.Key = &keyView{Act: "get", Data: s, Button: s, Option: s}
	v.Ended, v.Token, v.Wait.Long = "no", s, true
	v.Proof = &proofView{Script: "face", Act: s, Data: s, Posts: []string{s}, Photo: true, Anew: true, Agree: &input{ID: s, Name: s, Label: s}}
	v.typed = url.Values{"a": {s}, "d": {s}}
	return v
}

func draw(t *testing.T, v view) string {
	t.Helper()
	var b bytes.Buffer
	if err := sets[v.Lang].ExecuteTemplate(&b, "page", v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// elements are the tags of a page with the names of their attributes.
func elements(page string) string {
	var out strings.Builder
	for rest := page; ; {
		_, after, ok := strings.Cut(rest, "<")
		if !ok {
			return out.String()
		}
		end, quoted := 0, byte(0)
		for end < len(after) && (quoted != 0 || after[end] != '>') {
			switch c := after[end]; {
			case quoted == c:
				quoted = 0
			case quoted == 0 && (c == '"' || c == '\''):
				quoted = c
			case quoted == 0:
				out.WriteByte(c)
			}
			end++
		}
		out.WriteByte('\n')
		rest = after[end:]
	}
}

// TestRefusedField: a refusal of the form's check is tied to its field, and the
// field is where the cursor is.
func TestRefusedField(t *testing.T) {
	p := &journey.Prompt{Kind: "form", Fields: form.New(form.Text("name", "Name", form.Required), form.Email("email", "E-mail address", form.Required))}
	_, err := p.Fields.Check(map[string]any{"name": "Ada"})
	v := describe("de", ticket{App: "Shop"}, journey.Reply{Prompt: p, Problem: fault.Of(err)}, now)
	if v.Problem != "E-Mail-Adresse fehlt." || v.Forms[0].Inputs[0].Bad || v.Forms[0].Inputs[0].Focus || !v.Forms[0].Inputs[1].Bad {
		t.Errorf("%q %+v", v.Problem, v.Forms[0].Inputs)
	}
	page := draw(t, v)
	if !strings.Contains(page, `aria-invalid="true" aria-describedby="problem"`) || !strings.Contains(page, `lang="de" dir="ltr"`) {
		t.Errorf("the page does not say which field:\n%s", page)
	}
}

// TestHeard: whoever listens hears the field in which a page opens with where the code
// went, and the number to match digit by digit.
func TestHeard(t *testing.T) {
	p := &journey.Prompt{Kind: "code.email", Text: "We have sent you a code.", Sent: &journey.Sent{To: "a•••@example.org"}, Fields: form.New(form.Text("passcode", "Code", form.Required, form.Help("Six digits.")))}
	page := draw(t, describe("en", ticket{App: "Shop"}, journey.Reply{Prompt: p}, now))
	if !strings.Contains(page, `<p class="lead" id="lead">If there is an account for a•••@example.org`) || !strings.Contains(page, `autofocus aria-describedby="lead passcode-help"`) {
		t.Errorf("the field is not tied to what stands above it:\n%s", page)
	}
	page = draw(t, describe("en", ticket{App: "Shop"}, journey.Reply{Prompt: &journey.Prompt{Kind: "push.wait", Data: map[string]any{"number": "482913"}}}, now))
	if !strings.Contains(page, ">The number is 4 8 2 9 1 3.</p>") || !strings.Contains(page, `data-number="482913"`) {
		t.Errorf("the number is not said in digits:\n%s", page)
	}
}

// TestTyped: codes may be pasted as they are shown; what is no code stays.
func TestTyped(t *testing.T) {
	fs := form.New(form.Text("passcode", "Code"), form.Text("name", "Name"), form.Boolean("yes", "Yes"), form.Number("age", "Age"), form.Choices("many", "Many", []string{"a", "b"}))
	got := typed(url.Values{"passcode": {" 123 456-7\u00a0"}, "name": {"a b-c"}, "age": {"7"}, "many": {"a", "b"}, "other": {"x"}}, fs)
	if got["passcode"] != "1234567" || got["name"] != "a b-c" || got["yes"] != false || got["age"] != 7.0 || len(got["many"].([]any)) != 2 || len(got) != 5 {
		t.Errorf("%v", got)
	}
}

// TestNobodysBusiness: that somebody does not exist is no text of a page.
func TestNobodysBusiness(t *testing.T) {
	v := describe("en", ticket{}, journey.Reply{End: &journey.End{Message: "no such user"}}, now)
	if strings.Contains(v.Text, "such") {
		t.Error(v.Text)
	}
}

func TestSpoken(t *testing.T) {
	all, two, one := apps.TenantSettings{}, apps.TenantSettings{Languages: []string{"fr", "de"}, Default: "de"}, apps.TenantSettings{Languages: []string{"ja"}}
	for _, c := range []struct {
		set                                  apps.TenantSettings
		query, cookie, locales, accept, want string
	}{
		{all, "", "", "", "de-AT,en;q=0.5", "de"},
		{all, "", "", "ja fr", "de", "ja"},
		{all, "", "es", "ja", "de", "es"},
		{all, "?lang=fr", "es", "ja", "de", "fr"},
		{all, "?lang=xx", "es", "", "", "es"},
		{all, "?lang=xx", "", "", "", "en"},
		{apps.TenantSettings{Default: "pt"}, "", "", "", "nl", "pt"},
		{two, "", "", "", "en,ja;q=0.9", "de"},
		{two, "", "", "", "en,fr;q=0.1", "fr"},
		{two, "?lang=ja", "en", "es fr", "de", "fr"}, // what was chosen is not offered here
		{one, "?lang=de", "de", "de", "de", "ja"},
	} {
		r := httptest.NewRequest("GET", "/login/run/x"+c.query, nil)
		r.Header.Set("Accept-Language", c.accept)
		if c.cookie != "" {
			r.Header.Set("Cookie", languageCookie+"="+c.cookie)
		}
		if got := offerOf(c.set).spoken(r, c.locales); string(got) != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestFirstPaint: script and style that the sign-in page needs before it is
// drawn stay below 15 kB gzipped.
func TestFirstPaint(t *testing.T) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	ui := os.DirFS("../../ui")
	for _, name := range []string{"lib/watchword.css", "login/login.css", "login/login.js", "login/passkey.js"} {
		file, err := fs.ReadFile(ui, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", b.Len())
	if b.Len() > 15_000 {
		t.Errorf("%d bytes gzipped", b.Len())
	}
}

func FuzzPage(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" || strings.HasPrefix(s, "no such ") {
			return
		}
		if got, want := elements(draw(t, everything(s))), elements(draw(t, everything("text"))); got != want {
			t.Errorf("%q changes the page:\n%s\n%s", s, got, want)
		}
	})
}

// TestOwnTextsAreTranslated: so is what the pages say by themselves.
func TestOwnTextsAreTranslated(t *testing.T) {
	said := map[string]bool{}
	for _, m := range []map[string]string{happened, doneSaid} {
		for _, s := range m {
			said[s] = true
		}
	}
	for _, s := range names {
		said[s] = true
	}
	for _, d := range deeds {
		said[d.title], said[d.text], said[d.button] = true, true, true
		for _, f := range d.fields {
			said[f.Label] = true
		}
	}
	for _, a := range adding {
		said[a.name], said[a.again] = true, true
	}
	files := os.DirFS(".")
	for _, pattern := range []string{"*.go", "pages/*.html"} {
		list, err := fs.Glob(files, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range list {
			b, err := fs.ReadFile(files, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?:\.T\(|[({ ]t |tag )"([^"]+)"`).FindAllStringSubmatch(string(b), -1) {
				if !strings.HasSuffix(name, "_test.go") {
					said[m[1]] = true
				}
			}
		}
	}
	if len(said) < 150 {
		t.Errorf("only %d texts were found", len(said))
	}
	for s := range said {
		if s != "" && !message.Translated(s) {
			t.Errorf("%q is not translated: say it in every language in internal/message/pages.txt", s)
		}
	}
}

// TestUnrepeated: a title is not said a second time by the text below it.
func TestUnrepeated(t *testing.T) {
	for _, c := range []struct{ title, text, want string }{
		{"That did not match", "That did not match. Try again or use another way.", "Try again or use another way."},
		{"一致しませんでした", "一致しませんでした。もう一度試してください。", "もう一度試してください。"},
		{"That did not match", "Too many tries.", "Too many tries."},
		{"Stopped", "Stopped.", "Stopped."},
	} {
		if got := unrepeated(c.title, c.text); got != c.want {
			t.Errorf("%q under %q is %q, want %q", c.text, c.title, got, c.want)
		}
	}
}

// TestKeyAlone: in a browser without passkeys people are sent to another way only
// where there is one.
func TestKeyAlone(t *testing.T) {
	fields := form.New(form.Text(passkeyResult, "Result"))
	for _, c := range []struct {
		kind    string
		options []journey.Option
		alone   bool
	}{
		{"passkey.register", []journey.Option{{ID: "failure", Label: "It did not work"}}, false},
		{"passkey.register", []journey.Option{{ID: "cancel", Label: "Cancel"}}, true},
		{"passkey.authenticate", nil, true},
		{"login_form", []journey.Option{{ID: "passkeys", Fields: fields}, {ID: "cancel", Label: "Cancel"}}, true},
		{"login_form", []journey.Option{{ID: "passkeys", Fields: fields}, {ID: "sign_up", Label: "Create an account"}}, false},
	} {
		v := describe("en", ticket{}, journey.Reply{Prompt: &journey.Prompt{Kind: c.kind, Fields: fields, Options: c.options}}, now)
		page := draw(t, v)
		if v.KeyAlone() != c.alone || strings.Contains(page, "Use another way, or begin again in") == c.alone || strings.Contains(page, "It did not work") {
			t.Errorf("%s with %v: alone %v\n%s", c.kind, c.options, v.KeyAlone(), page)
		}
	}
}

// TestPasskeyFirst: where a passkey stands beside a recovery code, it is what people
// begin with; where an address is asked for as well, that is.
func TestPasskeyFirst(t *testing.T) {
	passkey := journey.Option{ID: "passkeys", Label: "Passkey", Fields: form.New(form.Text(passkeyResult, "Result"))}
	code := journey.Option{ID: "another_way", Label: "Recovery code", Fields: form.New(form.Text("username", "Name"), form.Text("recovery_code", "Recovery code"))}
	address := journey.Option{ID: "email_otp", Label: "Mail", Fields: form.New(form.Text("email", "E-mail address"))}
	for _, c := range []struct {
		more  journey.Option
		first bool
	}{{code, true}, {address, false}} {
		p := &journey.Prompt{Kind: "login_form", Options: []journey.Option{passkey, c.more, {ID: "cancel", Label: "Cancel"}}}
		v := describe("en", ticket{}, journey.Reply{Prompt: p}, now)
		if v.KeyFirst() != c.first || v.Forms[0].Primary == c.first {
			t.Errorf("beside %q: passkey first %v, the form is what to press %v", c.more.ID, v.KeyFirst(), v.Forms[0].Primary)
		}
		folded := strings.Contains(draw(t, v), `<details class="way"><summary>`)
		if folded != c.first {
			t.Errorf("beside %q: folded %v", c.more.ID, folded)
		}
	}
}
