package hosted

import (
	"cmp"
	"embed"
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/message"
)

//go:embed pages
var pages embed.FS

// view is what a page shows. Texts in it are said in its language already.
type view struct {
	Still bool // a picture of the page: nothing in it moves

	Lang     tongue
	Choices  []choice
	AppID    apps.ID
	App      string
	Look     look
	Dress    *look // what it wears instead of what is stored: a preview
	Client   apps.ClientID
	Title    string
	Text     string
	Welcome  bool   // says the application's own words under the title
	More     string // a second paragraph
	Problem  string
	Later    *moment // when whoever was locked out may try again
	Visit    string
	Turn     string
	Kind     string
	Name     string     // who signs in, as typed
	Forms    []formView // what may be answered, the main one first
	Quiet    []formView // cancel, another way, send again
	Wait     *waitView
	Rows     []row
	Enrol    *enrolView
	Codes    []string
	Key      *keyView
	Proof    *proofView
	NeedsApp bool
	Ended    string // "yes", "no", "wait", or "" while it goes on
	Again    string
	Next     string // where the browser goes by itself
	Button   string // leads there, too
	Token    string
	Post     string // where forms go; empty: back to the page
	Home     string // where a link leads back to
	Leads    string // another origin that a form may lead to
	Until    *moment
	Said     string // what has just been done
	Account  *accountView

	typed url.Values
}

// row is something to approve, or to choose.
type row struct{ Name, Value string }

// formView is one way to answer.
type formView struct {
	Option, Legend, Button string
	Primary, Danger        bool // Danger: what it does cannot be taken back
	Open                   bool // although it stands below others
	Inputs                 []input
}

// waitView is a page that waits for something.
type waitView struct {
	Number  string
	Long    bool // more than two digits
	Choose  bool // the phone offers several numbers
	Device  string
	Seconds int // left
	Life    int // of all that it began with, as far as one can tell
	Offset  int // of the rim: the part that is gone, in hundredths
	Clock   string
	For     string // "phone", "link", "setup" of a phone, "other"; "app": nothing is waited for
	Failed  bool   // the message could not be delivered
	Status  string
}

// Digits is the number as whoever listens has to hear it: 4 2, and not forty-two.
func (w waitView) Digits() string { return strings.Join(strings.Split(w.Number, ""), " ") }

// enrolView is a secret for an authenticator app.
type enrolView struct {
	QR     template.HTML // an SVG that the server drew
	Secret string
	URI    template.URL
	Watch  string // where a script asks whether the phone has come; empty: it comes by what is typed
}

// keyView is a ceremony of a passkey, which a script performs.
type keyView struct {
	Act    string // "get", "create", "sign", or "autofill" beside other ways
	Option string // by which the result is handed in
	Data   string // of the prompt, JSON
	Button string
	Beside bool // other ways come first
}

func (l tongue) field(i *input) {
	i.Label, i.Help = l.T(i.Label), l.T(i.Help)
}

// describe makes the page of a reply.
func describe(l tongue, t ticket, r journey.Reply, now time.Time) view {
	v := view{Lang: l, AppID: t.Of, App: t.App, Client: t.Client, Visit: r.Visit, Turn: r.Turn, Again: t.Again, Leads: t.Leads}
	if r.End != nil {
		if v = v.ended(*r.End); r.End.OK && t.Done != "" {
			v.Title = l.T(t.Done)
		}
		return v
	}
	p := *r.Prompt
	p.Data = plain(p.Data)
	v.Kind, v.Title, v.Text = p.Kind, l.T(cmp.Or(p.Title, message.Title(p.Kind), "Sign in")), l.T(p.Text)
	v.Text = unrepeated(v.Title, v.Text)
	v.draw(&p, now)
	v.whither(&p)
	v.Rows = v.approvals(p.Data)
	v.answers(&p)
	v.refuse(r.Problem, p.Refused, now)
	return v
}

// unrepeated is a text without the sentence that stands above it as the title.
func unrepeated(title, text string) string {
	if rest, ok := strings.CutPrefix(text, title); ok {
		if rest = strings.TrimLeft(rest, ".。 "); rest != "" {
			return rest
		}
	}
	return text
}

// Initial is the letter on the mark of an application that has no logo: never a
// digit, which could be taken for a number to match.
func (v view) Initial() string {
	for _, r := range v.App {
		if unicode.IsLetter(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return ""
}

// refuse says why the same is asked again, and of which field it is said: one of the
// option that was answered.
func (v *view) refuse(f *fault.Error, option string, now time.Time) {
	if f == nil {
		return
	}
	v.Problem = v.Lang.T(f.Message)
	if f.Code == fault.Locked && f.RetryAfter > 0 {
		v.Later = v.Lang.when(now.Add(f.RetryAfter))
	}
	at := slices.IndexFunc(v.Forms, func(f formView) bool { return option == "" || f.Option == option })
	if at < 0 || len(v.Forms[at].Inputs) == 0 {
		return
	}
	for n := range v.Forms[0].Inputs {
		v.Forms[0].Inputs[n].Focus = v.Forms[0].Inputs[n].Focus && at == 0
	}
	v.Forms[at].Open = true
	v.Forms[at].blame(f)
}

// draw is what a kind of prompt shows beside its fields.
func (v *view) draw(p *journey.Prompt, now time.Time) {
	switch {
	case p.Kind == "push.wait":
		v.wait(p, now, "phone")
	case p.Kind == "magiclink.wait":
		v.wait(p, now, "link")
		p.Fields = nil // the link brings it
	case p.Kind == "push.invite":
		v.wait(p, now, "setup")
		v.Enrol = enrolment("", text(p.Data, "link"), text(p.Data, "qr"))
	case p.Poll:
		v.wait(p, now, "other")
	case p.Kind == "totp.register":
		v.enrol(p.Data)
	case p.Kind == "totp.sign":
		v.Text = v.Lang.T("Type this into your authenticator app, and the code it shows here.")
		v.Wait = &waitView{Number: text(p.Data, "transaction_challenge"), Long: true, For: "app"}
	case p.Kind == "recovery.show":
		list, _ := p.Data["codes"].([]any)
		for _, c := range list {
			code, _ := c.(string)
			v.Codes = append(v.Codes, code)
		}
	case p.Kind == "login_form" && p.Form == "choose_method":
		v.Name, v.Text = text(p.Data, "username"), ""
	case p.Kind == "form" && len(p.Fields) == 0 || p.Kind == "login_form":
		v.Welcome = true
	}
	v.prove(p, now)
	v.Key = key(p)
	if v.Key != nil {
		v.Key.Button = v.Lang.T(v.Key.Button)
	}
}

// whither says where a message went. Of what may be nobody's address, that is all: the
// page for somebody and for nobody is the same.
func (v *view) whither(p *journey.Prompt) {
	said := p.Text
	if said == "" && strings.HasPrefix(p.Kind, "code.") {
		said = "We have sent you a code."
		v.Text = v.Lang.T(said)
	}
	if to, ok := sentTo[said]; ok && p.Sent != nil {
		with := to.perhaps
		if p.Sent.Sure {
			with = to.sure
		}
		v.Text = v.Lang.T(with, "address", p.Sent.To)
	}
}

// sentTo are the words of steps that sent something, with where it went.
var sentTo = map[string]struct{ sure, perhaps string }{
	"We have sent you a code.":                          {"We have sent a code to {address}.", "If there is an account for {address}, we have sent it a code."},
	"We have sent you a link. Open it in this browser.": {"We have sent a link to {address}. Open it in this browser.", "If there is an account for {address}, we have sent it a link. Open it in this browser."},
	"We have sent you a link. It asks for this number.": {"We have sent a link to {address}. It asks for this number.", "If there is an account for {address}, we have sent it a link. It asks for this number."},
}

func (v view) ended(e journey.End) view {
	l := v.Lang
	v.Ended, v.Title, v.Text = "no", l.T("Not signed in"), l.T(e.Message)
	switch {
	case e.OK && e.Registered:
		v.Ended, v.Title, v.Text = "yes", l.T("All set"), l.T("You can close this page.")
	case e.OK:
		v.Ended, v.Title, v.Text = "yes", l.T("You are signed in"), l.T("You can close this page.")
	case e.Reason == "expired" || e.Reason == "locked" || e.Reason == "limited":
		v.Ended = "wait"
	}
	if v.Text == "" || strings.HasPrefix(v.Text, "no such ") { // what is not there is nobody's business
		v.Text = l.T("Start again, or use another way.")
	}
	return v
}

// usual is how long most things are waited for; what began is not said.
const usual = 120

func (v *view) wait(p *journey.Prompt, now time.Time, what string) {
	w := &waitView{Number: text(p.Data, "number"), For: what, Choose: text(p.Data, "number_mode") == "choose-4", Failed: text(p.Data, "delivery") == "failed"}
	w.Device = v.Lang.T(cmp.Or(text(p.Data, "device_display_name"), "your phone"))
	w.Status = v.Lang.T(map[string]string{"phone": "Waiting for your phone.", "link": "Waiting for you to open the link.", "setup": "Waiting for your phone.", "other": "Waiting for the other side."}[what])
	if p.Ticket != nil && w.Number == "" {
		w.Number = p.Ticket.Value
	}
	w.Seconds = max(0, int(p.Until.Sub(now).Seconds()))
	w.Life = max(usual, w.Seconds)
	w.Offset = 100 - 100*w.Seconds/w.Life
	w.Long, w.Clock = len(w.Number) > 2, clock(w.Seconds)
	v.Wait = w
}

func (v *view) enrol(data map[string]any) {
	payload, _ := data["payload"].(map[string]any)
	v.Enrol = enrolment(text(payload, "secret"), text(payload, "uri"), text(payload, "qr"))
}

func enrolment(secret, uri, svg string) *enrolView {
	e := &enrolView{Secret: secret}
	if strings.HasPrefix(uri, "otpauth://totp/") || strings.HasPrefix(uri, "https://") || strings.HasPrefix(uri, "http://") {
		e.URI = template.URL(uri) //nolint:gosec // made by our own server
	}
	if strings.HasPrefix(svg, "<svg ") && !strings.Contains(svg, "<script") {
		e.QR = template.HTML(svg) //nolint:gosec // drawn by our own server from a URI, not from input
	}
	return e
}

// approvals are what is about to be signed, in a steady order.
// approvals is everything that is approved, what counts most first. A currency stands
// behind its amount; the values are what is signed, and are not written anew.
func (v *view) approvals(data map[string]any) []row {
	m, _ := data["approval_data"].(map[string]any)
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(weight(a), weight(b)), strings.Compare(a, b))
	})
	var out []row
	for _, name := range names {
		value := text(m, name)
		if unit := text(m, "currency"); name == "amount" && unit != "" {
			value += " " + unit
		} else if name == "currency" && text(m, "amount") != "" {
			continue
		}
		name = strings.ReplaceAll(name, "_", " ")
		out = append(out, row{v.Lang.T(strings.ToUpper(name[:1]) + name[1:]), value})
	}
	return out
}

// first is what counts most of what is approved, in order.
var first = []string{"amount", "sum", "total", "payee", "recipient", "beneficiary", "to", "iban"}

func weight(name string) int {
	if n := slices.Index(first, strings.ToLower(name)); n >= 0 {
		return n
	}
	return len(first)
}

// KeyFirst reports whether a passkey is what people begin with, and what else they
// may type stands folded below.
func (v view) KeyFirst() bool { return v.Key != nil && v.Key.Act == "autofill" && !v.Key.Beside }

// KeyAlone reports whether a page whose passkey cannot be used offers nothing else
// that goes on.
func (v view) KeyAlone() bool {
	return len(v.Forms) == 0 && !slices.ContainsFunc(v.Quiet, func(f formView) bool {
		return f.Option != "cancel" && f.Option != "back" && f.Option != "resend"
	})
}

// Dir is the direction of writing.
func (v view) Dir() string { return v.Lang.direction() }

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
