// Package message is what the server says to people by mail and text message: a
// template for each occasion in each language, the application's name as the
// sender. It carries nothing and decides nothing; notify carries.
package message

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"html/template"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/notify"
)

// Names of what is said. What each is filled with stands in its texts, in braces;
// {app} is filled in by itself.
const (
	LoginCode     = "login_code"
	SignupCode    = "signup_code"
	VerifyCode    = "verify_code"
	MagicLink     = "magic_link"
	ResetCode     = "password_reset_code"
	ResetLink     = "password_reset_link"
	Changed       = "password_changed"
	Added         = "authenticator_added"
	Removed       = "authenticator_removed"
	RecoveryUsed  = "recovery_used"
	Locked        = "authenticator_locked"
	defaultColour = "#3a4fd0"
)

// Data is what a template is filled with. Language ("de", "pt-BR") and style
// choose how it is said; life is how long it is worth sending.
type Data struct {
	Values   map[string]string
	Language string
	Style    Style
	Content  Content
	Sender   string         // of a text message, instead of the gateway's
	Shown    map[string]any // what a code approves, for the reader to compare
	Life     time.Duration
	Nobody   bool // it is made and goes nowhere, so that time does not tell who exists
}

func (d Data) expires(now time.Time) time.Time {
	if d.Life == 0 {
		d.Life = 24 * time.Hour
	}
	return now.Add(d.Life)
}

// Mail queues a mail in tx. An unknown name is a bug, and an error.
func Mail(ctx context.Context, tx *db.Tx, app apps.App, to, name string, d Data) error {
	subject, text, err := Say(app.Name, name, d)
	if err != nil {
		return err
	}
	html, err := page(app.Name, subject, text, d)
	if err != nil {
		return err
	}
	return notify.SendMail(ctx, tx, notify.Mail{Tenant: string(app.Tenant), App: string(app.ID), To: to, From: app.Name, Subject: subject, Text: text, HTML: html,
		Data: d.Values, Expires: d.expires(tx.Now()), Nobody: d.Nobody})
}

// SMS queues a text message in tx, with the line that lets a browser fill in a
// code on the page it is for and on no other (WebOTP, origin-bound codes).
func SMS(ctx context.Context, tx *db.Tx, app apps.App, to, name string, d Data) error {
	_, text, err := Say(app.Name, name, d)
	if err != nil {
		return err
	}
	return notify.SendSMS(ctx, tx, notify.SMS{Tenant: string(app.Tenant), App: string(app.ID), To: to, From: d.Sender, Text: text + filling(d), Data: d.Values, Expires: d.expires(tx.Now()), Nobody: d.Nobody})
}

// filling is the line that a browser or phone reads a code from.
func filling(d Data) string {
	if code := d.Values["code"]; code != "" && d.Style.Domain != "" {
		return "\n\n@" + d.Style.Domain + " #" + code
	}
	return ""
}

// Languages are those that everything can be said in.
func Languages() []string { return slices.Sorted(maps.Keys(texts[LoginCode])) }

// Say returns subject and text of a message: as the application says it in the
// language asked for, else as we do, in that language or in English.
func Say(app, name string, d Data) (subject, text string, err error) {
	all, ok := texts[name]
	if !ok {
		return "", "", fmt.Errorf("message: there is none called %q", name)
	}
	language, _, _ := strings.Cut(strings.ToLower(d.Language), "-")
	t, ok := all[language]
	if !ok {
		language, t = "en", all["en"]
	}
	t = d.Style.own(name, language, [2]string{counted(t[0], d.Values), counted(t[1], d.Values)})
	t[0], t[1] = d.Content.onto(name, t[0], t[1])
	pairs := []string{"{app}", oneLine(app)}
	for k, v := range d.Values {
		pairs = append(pairs, "{"+k+"}", oneLine(v))
	}
	fill := strings.NewReplacer(pairs...)
	return fill.Replace(t[0]), strings.Join(append([]string{fill.Replace(t[1])}, shown(d.Shown)...), " "), nil
}

// numbered is a word that goes by a number: {minutes|minute|minutes}.
var numbered = regexp.MustCompile(`\{([a-z]+)\|([^{|}]*)\|([^{|}]*)\}`)

// counted is a text of ours with the words in it that go by a number: the first for
// one, the second for any other.
func counted(said string, values map[string]string) string {
	if !strings.Contains(said, "|") {
		return said
	}
	return numbered.ReplaceAllStringFunc(said, func(s string) string {
		m := numbered.FindStringSubmatch(s)
		if values[m[1]] == "1" {
			return m[2]
		}
		return m[3]
	})
}

// shown are the members of what is approved, in order.
func shown(data map[string]any) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(data)) {
		out = append(out, oneLine(fmt.Sprintf("%s: %v.", k, data[k])))
	}
	return out
}

// oneLine keeps a value from beginning a line, or a header, of its own.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

var pageTemplate = template.Must(template.New("mail").Parse(`<!doctype html><html><head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>{{.Subject}}</title></head>
<body style="margin:0;padding:24px;background:#fbfaf8;color:#14171f;font:16px/1.5 system-ui,'Segoe UI',Roboto,'Helvetica Neue',sans-serif">
<div style="max-width:480px;margin:0 auto;padding:32px;background:#fff;border:1px solid #e3e0da;border-radius:10px">
<p style="margin:0 0 16px;color:#4b5263;font-size:14px">{{.App}}</p>
<p style="margin:0 0 16px">{{.Text}}</p>
{{with .Code}}<p style="margin:0 0 16px;font-size:40px;font-weight:600;letter-spacing:.08em;color:{{$.Legible}}">{{.}}</p>{{end}}
{{with .Link}}<p style="margin:0 0 16px"><a href="{{.}}" style="display:inline-block;padding:12px 20px;border-radius:8px;background:{{$.Colour}};color:{{$.Ink}};text-decoration:none;font-weight:600">{{$.Button}}</a></p>{{end}}
</div></body></html>`))

func page(app, subject, text string, d Data) (string, error) {
	colour := css(cmp.Or(d.Content.Colour, d.Style.Colour))
	legible := colour
	if apps.Contrast("#ffffff", colour) < 3 { // in large letters, on white (WCAG 2.2, 1.4.3)
		legible = "#14171f"
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, map[string]any{"App": app, "Subject": subject, "Text": text, "Code": d.Values["code"], "Link": d.Values["link"], "Button": cmp.Or(oneLine(d.Content.Link), subject),
		"Colour": template.CSS(colour), "Ink": template.CSS(apps.OnSignal(colour)), "Legible": template.CSS(legible)})
	return b.String(), err
}

// css lets a colour through and nothing else.
func css(colour string) string {
	if !form.IsColour(colour) {
		return defaultColour
	}
	return colour
}
