package hosted

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

//go:embed pages
var pages embed.FS

var templates = template.Must(template.ParseFS(pages, "pages/*.html"))

func encode(t ticket) []byte {
	b, err := json.Marshal(t)
	if err != nil {
		panic("hosted: " + err.Error()) // texts only
	}
	return b
}

func decode(b []byte) (ticket, error) {
	var t ticket
	err := json.Unmarshal(b, &t)
	return t, err
}

// view is what a page shows.
type view struct {
	App, Title, Text string
	Problem          string
	Visit, Turn      string
	Kind             string
	Forms            []formView // what may be answered, the main one first
	Quiet            []formView // cancel, another way, send again
	Waiting          bool
	Number           string
	Device           string
	Seconds          int // left
	Rows             []row
	QR               template.HTML // an SVG that the server drew
	Secret           string
	Codes            []string
	URI              string
	NeedsApp         bool
	Ended            string // "yes", "no", or "" while it goes on
	Again            string
	Next             string // where the browser goes by itself
	Button           string // leads there, too
	Mail             bool   // waits for a link, not for a phone
	Token            string
	Post             string // where forms go; empty: back to the page
	Leads            string // another origin that a form may lead to

	typed url.Values
}

// row is something to approve, or to choose.
type row struct{ Name, Value string }

// formView is one way to answer.
type formView struct {
	Option, Legend, Button string
	Primary                bool
	Inputs                 []input
}

// input is one field.
type input struct {
	ID, Name, Label, Help, Type, Mode, Autocomplete, Value string
	Required, Focus                                        bool
	MaxLen                                                 int
	Choices                                                []row
}

// plain is data as a client would read it from JSON, whether or not the run was
// stored and read meanwhile.
func plain(data map[string]any) map[string]any {
	out := map[string]any{}
	b, err := json.Marshal(data)
	if err != nil || json.Unmarshal(b, &out) != nil {
		return map[string]any{}
	}
	return out
}

func text(data map[string]any, name string) string {
	switch v := data[name].(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// describe makes the page of a reply.
func describe(t ticket, r journey.Reply, now time.Time) view {
	v := view{App: t.App, Visit: r.Visit, Turn: r.Turn, Again: t.Again, Leads: t.Leads}
	if r.Problem != nil {
		v.Problem = r.Problem.Message
	}
	if r.End != nil {
		return v.ended(*r.End)
	}
	p := *r.Prompt
	p.Data = plain(p.Data)
	v.Kind, v.Title, v.Text = p.Kind, p.Title, p.Text
	switch {
	case p.Kind == "push.wait":
		v.push(&p, now)
	case p.Kind == "magiclink.wait":
		v.push(&p, now)
		v.Mail, p.Fields = true, nil // the link brings it
	case p.Kind == "totp.register":
		v.totp(&p)
	case p.Kind == "recovery.show":
		list, _ := p.Data["codes"].([]any)
		for _, c := range list {
			code, _ := c.(string)
			v.Codes = append(v.Codes, code)
		}
	case needsApp(p.Kind):
		v.NeedsApp = true
	}
	v.Rows = append(v.Rows, approvals(p.Data)...)
	v.answers(&p)
	if v.Title == "" {
		v.Title = titles[p.Kind]
	}
	if v.Title == "" {
		v.Title = "Sign in"
	}
	return v
}

// titles are for prompts whose author gave none.
var titles = map[string]string{
	"push.wait": "Approve on your phone", "push.device": "Which phone?", "totp.register": "Set up your authenticator app", "totp.confirm": "Enter the first code",
	"code.email": "Check your mail", "code.sms": "Check your messages", "magiclink.wait": "Check your mail", "password.replace": "Choose a new password", "form": "One more thing",
}

// needsApp are the prompts that only an SDK can answer.
func needsApp(kind string) bool {
	for _, prefix := range []string{"biometric.", "pin.", "device.", "face."} {
		if strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
}

func (v view) ended(e journey.End) view {
	v.Ended, v.Title, v.Text = "no", "Not signed in", e.Message
	switch {
	case e.OK && e.Registered:
		v.Ended, v.Title, v.Text = "yes", "All set", "You can close this page."
	case e.OK:
		v.Ended, v.Title, v.Text = "yes", "You are signed in", "You can close this page."
	case v.Text == "":
		v.Text = "Start again, or use another way."
	}
	return v
}

func (v *view) push(p *journey.Prompt, now time.Time) {
	v.Waiting, v.Number, v.Device = true, text(p.Data, "number"), text(p.Data, "device_display_name")
	v.Seconds = max(0, int(p.Until.Sub(now).Seconds()))
}

func (v *view) totp(p *journey.Prompt) {
	payload, _ := p.Data["payload"].(map[string]any)
	v.Secret, v.URI = text(payload, "secret"), text(payload, "uri")
	if svg := text(payload, "qr"); strings.HasPrefix(svg, "<svg ") && !strings.Contains(svg, "<script") {
		v.QR = template.HTML(svg) //nolint:gosec // drawn by our own server from a URI, not from input
	}
}

// approvals are what is about to be signed, in a steady order.
func approvals(data map[string]any) []row {
	m, _ := data["approval_data"].(map[string]any)
	var out []row
	for name := range m {
		out = append(out, row{strings.ReplaceAll(name, "_", " "), text(m, name)})
	}
	slices.SortFunc(out, func(a, b row) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// answers makes a form of each way to answer.
func (v *view) answers(p *journey.Prompt) {
	button := p.Button
	if button == "" {
		button = "Continue"
	}
	if (p.Empty || len(p.Fields) > 0) && !v.NeedsApp {
		v.Forms = append(v.Forms, formView{Button: button, Inputs: inputs("", p.Fields, p.Data)})
	}
	for _, o := range p.Options {
		f := formView{Option: o.ID, Button: o.Label, Inputs: inputs(o.ID, o.Fields, nil)}
		switch {
		case slices.ContainsFunc(o.Fields, func(f form.Field) bool { return f.Name == "webauthn_encoded_result" }):
			continue // a script's business
		case p.Kind == "login_form" && o.ID != "cancel" && len(f.Inputs) > 0:
			f.Legend, f.Button = o.Label, "Continue"
			v.Forms = append(v.Forms, f)
		default:
			v.Quiet = append(v.Quiet, f)
		}
	}
	if p.Resend {
		label := "Send again"
		if left := text(p.Data, "resend_attempts_left"); left != "" {
			label = fmt.Sprintf("Send again (%s left)", left)
		}
		v.Quiet = append(v.Quiet, formView{Option: "resend", Button: label})
	}
	if len(v.Forms) > 0 {
		v.Forms[0].Primary = true
		v.prefill(p.Values)
		if len(v.Forms[0].Inputs) > 0 {
			v.Forms[0].Inputs[0].Focus = true
		}
	}
}

// prefill shows what the journey knows already.
func (v *view) prefill(values map[string]any) {
	for _, f := range v.Forms {
		for i := range f.Inputs {
			if f.Inputs[i].Type != "password" {
				f.Inputs[i].Value = text(values, f.Inputs[i].Name)
			}
		}
	}
}

func inputs(option string, fs form.Form, data map[string]any) []input {
	out := make([]input, 0, len(fs))
	for _, f := range fs {
		i := input{ID: strings.Trim(option+"-"+f.Name, "-"), Name: f.Name, Label: f.Label, Help: f.Help, Required: f.Required, MaxLen: f.MaxLen, Type: "text"}
		switch f.Type {
		case "secret":
			i.Type = "password"
		case "email", "number":
			i.Type = f.Type
		case "phone":
			i.Type = "tel"
		case "boolean":
			i.Type = "checkbox"
		}
		for _, c := range f.Choices {
			i.Choices = append(i.Choices, row{c, c})
		}
		if f.Name == "selected_device_code" {
			i.Choices = devices(data)
		}
		i.hint()
		out = append(out, i)
	}
	return out
}

func devices(data map[string]any) []row {
	list, _ := data["devices"].([]any)
	var out []row
	for _, d := range list {
		m, _ := d.(map[string]any)
		name := text(m, "device_display_name")
		if name == "" {
			name = text(m, "name")
		}
		out = append(out, row{name, text(m, "code")})
	}
	return out
}

// hint lets browsers and password managers fill a field (WHATWG autofill).
func (i *input) hint() {
	switch i.Name {
	case "passcode", "totp_code", "code":
		i.Autocomplete, i.Mode = "one-time-code", "numeric"
	case "password":
		i.Autocomplete = "current-password"
	case "new_password":
		i.Autocomplete, i.Type = "new-password", "password"
	case "username":
		i.Autocomplete = "username"
	case "email":
		i.Autocomplete, i.Type = "email", "email"
	case "phone", "phone_number":
		i.Autocomplete, i.Type = "tel", "tel"
	}
}

// fieldsOf are the fields that an answer by this option has.
func fieldsOf(p *journey.Prompt, option string) form.Form {
	if option == "" {
		return p.Fields
	}
	for _, o := range p.Options {
		if o.ID == option {
			return o.Fields
		}
	}
	return nil
}

// typed makes the values of a form what a client of the protocol would send:
// what was left empty is absent.
func typed(in url.Values, fs form.Form) map[string]any {
	out := map[string]any{}
	for _, f := range fs {
		s := in.Get(f.Name)
		switch {
		case f.Type == "boolean":
			out[f.Name] = s != ""
		case s == "":
		case f.Type == "number":
			if n, err := strconv.ParseFloat(s, 64); err == nil {
				out[f.Name] = n
			} else {
				out[f.Name] = s
			}
		case f.Type == "choices":
			list := []any{}
			for _, v := range in[f.Name] {
				list = append(list, v)
			}
			out[f.Name] = list
		default:
			out[f.Name] = s
		}
	}
	return out
}

// Typed is what was typed into a field when the answer was refused; secrets and
// codes are typed again.
func (v view) Typed(i input) string {
	if i.Type == "password" || i.Autocomplete == "one-time-code" {
		return ""
	}
	if v.typed == nil {
		return i.Value
	}
	return v.typed.Get(i.Name)
}

// With is one form of a page, for its template.
func (v view) With(f formView) struct {
	View view
	Form formView
} {
	return struct {
		View view
		Form formView
	}{v, f}
}

// SafeURI is the address of an authenticator entry, which html/template would
// otherwise take for a script's.
func (v view) SafeURI() template.URL {
	if !strings.HasPrefix(v.URI, "otpauth://totp/") {
		return ""
	}
	return template.URL(v.URI) //nolint:gosec // made by our own server
}
