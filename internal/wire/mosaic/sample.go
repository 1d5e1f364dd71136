package mosaic

import (
	"embed"
	"maps"
	"slices"
	"strings"
	"text/template"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/journey"
)

// Sample is the client's side of one journey, as code for one platform.
type Sample struct {
	Platform string `json:"platform"` // web, android, ios
	Title    string `json:"title"`
	Language string `json:"language"`
	Text     string `json:"text"`
}

//go:embed samples/*.tmpl
var sampleFiles embed.FS

var sampleTemplates = template.Must(template.New("").Funcs(template.FuncMap{
	"js": quoted, "kotlin": kotlin, "swift": swift, "comment": oneLine, "ways": waysKotlin, "waysSwift": waysSwift,
}).ParseFS(sampleFiles, "samples/*.tmpl"))

// Samples returns the code that a client needs for exactly this journey: one
// case for each step that asks the client something. base is where the server
// is reached, without a trailing slash.
func Samples(g journey.Graph, client apps.ClientID, base string) ([]Sample, error) {
	data := sampleData{Journey: g.ID, Name: g.Name, Client: string(client), Base: base, Approve: g.Kind == journey.KindMobileApprove, Cases: cases(g)}
	out := []Sample{}
	for _, s := range []Sample{
		{"web", "Web, with the Mosaic SDK", "javascript", ""}, {"android", "Android, with the Mosaic SDK", "kotlin", ""}, {"ios", "iOS, with the Mosaic SDK", "swift", ""},
	} {
		if s.Platform == "web" && data.Approve {
			continue // a phone answers these
		}
		var b strings.Builder
		if err := sampleTemplates.ExecuteTemplate(&b, s.Platform+".tmpl", data); err != nil {
			return nil, err
		}
		s.Text = b.String()
		out = append(out, s)
	}
	return out, nil
}

type sampleData struct {
	Journey, Name, Client, Base string
	Approve                     bool
	Cases                       []sampleCase
}

// sampleCase is one journeyStepId that the client must know.
type sampleCase struct {
	Step    string // journeyStepId
	Label   string
	Kind    string   // of our step
	Fields  []string // what client_input sends
	Options []sampleOption
}

type sampleOption struct {
	ID     string
	Fields []string
}

// silent are steps that the SDK answers by itself, or that ask nothing.
var silent = map[string]bool{"device.register": true, "device.validate": true}

// asked are the fields that the answer to a step's own prompt has.
var asked = map[string][]string{
	"information": {}, "totp.register": {}, "push.authenticate": {}, "ticket.wait": {}, "magiclink.authenticate": {},
	"code.email": {"passcode"}, "code.sms": {"passcode"}, "code.generic": {"passcode"}, "code.verify_email": {"passcode"}, "code.verify_phone": {"passcode"}, "push.validate_code": {"passcode"},
	"totp.authenticate": {"totp_code"}, "totp.confirm": {"totp_code"}, "totp.sign": {"totp_code"}, "recovery.authenticate": {"code"}, "recovery.generate": {},
	"password.authenticate": {"password"}, "password.register": {"new_password"},
	"passkey.register": {"webauthn_encoded_result"}, "passkey.authenticate": {"webauthn_encoded_result"}, "passkey.sign": {"webauthn_encoded_result"},
	"biometric.register": {"publicKeyId", "publicKey", "os"}, "biometric.authenticate": {"publicKeyId", "signature"}, "biometric.sign": {"publicKeyId", "signature"},
	"pin.register": {"publicKeyId", "publicKey"}, "pin.authenticate": {"publicKeyId", "signature"}, "pin.sign": {"publicKeyId", "signature"},
}

func cases(g journey.Graph) []sampleCase {
	var out []sampleCase
	seen := map[string]bool{}
	for _, id := range inOrder(g) {
		n := g.Nodes[id]
		c := sampleCase{Step: wireType(n.Kind), Label: n.Label, Kind: n.Kind}
		fields, known := asked[n.Kind]
		switch {
		case n.Kind == "login_form" || n.Kind == "get_information" || n.Kind == "choose_method":
			c.Step = text(n.Config["form_id"])
			if c.Step == "" {
				c.Step = map[string]string{"login_form": "login"}[n.Kind]
			}
			fields = names(n.Config["fields"])
		case n.Kind == "push.authenticate":
			c.Step = wireType("push.wait")
		case !known || silent[n.Kind]:
			continue
		}
		c.Fields = fields
		c.Options = optionsOf(g, id)
		if c.Step == "" || seen[c.Step] {
			continue
		}
		seen[c.Step] = true
		out = append(out, c)
	}
	return out
}

// optionsOf are the other answers that lead somewhere: what an author drew as a
// way out and the step itself does not decide.
func optionsOf(g journey.Graph, id string) []sampleOption {
	n := g.Nodes[id]
	var out []sampleOption
	methods := map[string]bool{}
	list, _ := n.Config["methods"].([]any)
	for _, m := range list {
		methods[text(m)] = true
	}
	escapes := map[string][]string{}
	rows, _ := n.Config["escapes"].([]any)
	for _, row := range rows {
		m, _ := row.(map[string]any)
		escapes[text(m["id"])] = names(m["fields"])
	}
	for _, o := range slices.Sorted(maps.Keys(n.Next)) {
		name := string(o)
		fields, drawn := escapes[name]
		switch {
		case methods[name]:
			out = append(out, sampleOption{name, journey.Brought(name)})
		case drawn, o == journey.Cancel, name == "another_way":
			out = append(out, sampleOption{name, fields})
		}
	}
	return out
}

func names(rows any) []string {
	var out []string
	list, _ := rows.([]any)
	for _, row := range list {
		if m, _ := row.(map[string]any); text(m["name"]) != "" {
			out = append(out, text(m["name"]))
		}
	}
	return out
}

func text(v any) string { s, _ := v.(string); return s }

// inOrder are the nodes as somebody comes to them from the start.
func inOrder(g journey.Graph) []string {
	var out []string
	for queue := []string{g.Start}; len(queue) > 0; queue = queue[1:] {
		id := queue[0]
		if _, ok := g.Nodes[id]; !ok || slices.Contains(out, id) {
			continue
		}
		out = append(out, id)
		for _, o := range slices.Sorted(maps.Keys(g.Nodes[id].Next)) {
			queue = append(queue, g.Nodes[id].Next[o])
		}
	}
	return out
}

// quoted is a text between single quotes, for JavaScript; what an author typed
// cannot end it.
func quoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\u2028", `\u2028`, "\u2029", `\u2029`, "<", `\u003c`).Replace(s) + "'"
}

// kotlin and swift are texts between double quotes of those languages, in which
// nothing is interpolated.
func kotlin(s string) string { return doubled(s, "$", `\$`) }
func swift(s string) string  { return doubled(s) }

func doubled(s string, more ...string) string {
	return `"` + strings.NewReplacer(append([]string{`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`}, more...)...).Replace(s) + `"`
}

// ways are the answers that a step takes, by option, as a map of the language.
func (c sampleCase) ways(quote func(string) string, pair, list, open, end string) string {
	var out []string
	add := func(id string, fields []string) {
		var names []string
		for _, f := range fields {
			names = append(names, quote(f))
		}
		out = append(out, quote(id)+pair+list+strings.Join(names, ", ")+end)
	}
	if len(c.Fields) > 0 || len(c.Options) == 0 {
		add("client_input", c.Fields)
	}
	for _, o := range c.Options {
		add(o.ID, o.Fields)
	}
	return open + strings.Join(out, ", ")
}

func waysKotlin(c sampleCase) string { return c.ways(kotlin, " to ", "listOf(", "mapOf(", ")") + ")" }
func waysSwift(c sampleCase) string  { return c.ways(swift, ": ", "[", "[", "]") + "]" }

// oneLine is a text that cannot leave a comment.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ReplaceAll(s, "*/", "* /"))
}
