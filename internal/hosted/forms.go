package hosted

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

// input is one field.
type input struct {
	ID, Name, Label, Help, Type, Mode, Autocomplete, Value string
	Required, Focus, Bad                                   bool
	MaxLen                                                 int
	Choices                                                []row
	Tied                                                   string // ids of what is said about it

	english string // its label, by which a refusal names it
}

// passkeyResult is the field that a script fills.
const passkeyResult = "webauthn_encoded_result"

func isKey(fs form.Form) bool {
	return slices.ContainsFunc(fs, func(f form.Field) bool { return f.Name == passkeyResult })
}

// key is the ceremony that a prompt asks for, or offers beside other ways.
func key(p *journey.Prompt) *keyView {
	acts := map[string]keyView{"passkey.authenticate": {Act: "get", Button: "Use your passkey"}, "passkey.register": {Act: "create", Button: "Add a passkey"}, "passkey.sign": {Act: "sign", Button: "Sign"}}
	if k, ok := acts[p.Kind]; ok {
		b, err := json.Marshal(p.Data)
		if err != nil {
			return nil
		}
		k.Data = string(b)
		return &k
	}
	for _, o := range p.Options {
		if isKey(o.Fields) {
			return &keyView{Act: "autofill", Option: o.ID, Button: "Sign in with a passkey", Data: "{}", Beside: len(p.Fields) > 0 || slices.ContainsFunc(p.Options, comesFirst)}
		}
	}
	return nil
}

// comesFirst reports whether a way to answer is one that people begin with, before a
// passkey: it takes something from them that is neither that nor a recovery code.
func comesFirst(o journey.Option) bool {
	has := func(name string) bool {
		return slices.ContainsFunc(o.Fields, func(f form.Field) bool { return f.Name == name })
	}
	return len(o.Fields) > 0 && !has(passkeyResult) && !has("recovery_code")
}

// answers makes a form of each way to answer.
func (v *view) answers(p *journey.Prompt) {
	l := v.Lang
	if (p.Empty || len(p.Fields) > 0) && !v.NeedsApp && v.Proof == nil && !isKey(p.Fields) {
		v.Forms = append(v.Forms, formView{Button: l.T(cmp.Or(p.Button, "Continue")), Inputs: v.inputs(p, "", p.Fields)})
	}
	for _, o := range p.Options {
		label := v.aside(o)
		f := formView{Option: o.ID, Button: label, Inputs: v.inputs(p, o.ID, o.Fields)}
		aside := o.ID == "cancel" || o.ID == "failure" || o.ID == "back"
		switch {
		case isKey(o.Fields): // a script's business
		case p.Kind == "login_form" && !aside && (len(f.Inputs) > 0 || p.Form == "choose_method"):
			if f.Legend = label; len(f.Inputs) > 0 {
				f.Button = l.T("Continue")
			}
			v.Forms = append(v.Forms, f)
		default:
			v.Quiet = append(v.Quiet, f)
		}
	}
	if p.Resend && v.Proof == nil { // a script asks for it when it is time

		label := l.T("Send again")
		if left := text(p.Data, "resend_attempts_left"); left != "" {
			label = l.T("Send again ({n} left)", "n", left)
		}
		v.Quiet = append([]formView{{Option: "resend", Button: label}}, v.Quiet...)
	}
	if len(v.Forms) > 0 {
		v.Forms[0].Primary = !v.KeyFirst()
		v.prefill(p.Values)
		if len(v.Forms[0].Inputs) > 0 && v.Wait == nil && !v.KeyFirst() {
			v.begin(&v.Forms[0].Inputs[0])
		}
	}
}

// begin has the page open in a field. Whoever listens hears it with what stands above it,
// such as where a code went.
func (v *view) begin(i *input) {
	i.Focus = true
	if v.Text != "" {
		i.Tied = strings.TrimSpace("lead " + i.Tied)
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

func (v *view) inputs(p *journey.Prompt, option string, fs form.Form) []input {
	out := make([]input, 0, len(fs))
	for _, f := range fs {
		i := input{ID: strings.Trim(option+"-"+f.Name, "-"), Name: f.Name, Label: cmp.Or(f.Label, f.Name), Help: f.Help, Required: f.Required, MaxLen: f.MaxLen, Type: "text"}
		i.english = i.Label
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
			i.Choices = append(i.Choices, row{v.Lang.T(words(c)), c})
		}
		if f.Name == "selected_device_code" {
			i.Choices = v.devices(p.Data)
		}
		i.hint(p != nil && p.Kind == "login_form", v.Key != nil && v.Key.Act == "autofill")
		v.Lang.field(&i)
		if i.Help != "" {
			i.Tied = i.ID + "-help"
		}
		out = append(out, i)
	}
	return out
}

// words are what people read of a choice that its author wrote as a program would:
// "set_up" is "Set up".
func words(choice string) string {
	if strings.Trim(choice, "abcdefghijklmnopqrstuvwxyz_") != "" || choice == "" {
		return choice
	}
	plain := strings.ReplaceAll(choice, "_", " ")
	return strings.ToUpper(plain[:1]) + plain[1:]
}

func (v *view) devices(data map[string]any) []row {
	list, _ := data["devices"].([]any)
	var out []row
	for _, d := range list {
		m, _ := d.(map[string]any)
		out = append(out, row{v.Lang.T(cmp.Or(text(m, "device_display_name"), text(m, "name"))), text(m, "code")})
	}
	return out
}

// hint lets browsers and password managers fill a field (WHATWG autofill). In a
// login form an address is the name of an account.
func (i *input) hint(login, passkeys bool) {
	switch i.Name {
	case "passcode", "totp_code", "number":
		i.Autocomplete, i.Mode = "one-time-code", "numeric"
	case "code", "recovery_code", "user_code":
		i.Autocomplete = "one-time-code"
	case "password":
		i.Autocomplete, i.Type = "current-password", "password"
	case "new_password":
		i.Autocomplete, i.Type = "new-password", "password"
	case "username":
		i.Autocomplete = "username"
	case "email":
		i.Autocomplete, i.Type = "email", "email"
		if login {
			i.Autocomplete = "username"
		}
	case "phone", "phone_number":
		i.Autocomplete, i.Type = "tel", "tel"
	case "full_name", "name":
		i.Autocomplete = "name"
	}
	if passkeys && (i.Name == "username" || i.Name == "email") {
		i.Autocomplete += " webauthn"
	}
}

// blame marks the fields that a refusal begins with, as form.Check names them, or the
// only one if what was typed was wrong, and puts the cursor there.
func (f *formView) blame(why *fault.Error) {
	at := -1
	for n := range f.Inputs {
		i := &f.Inputs[n]
		i.Bad = strings.HasPrefix(why.Message, i.english+" ") || why.Code == fault.Wrong && len(f.Inputs) == 1
		if i.Bad && at < 0 {
			at = n
		}
	}
	for n := range f.Inputs {
		i := &f.Inputs[n]
		if at >= 0 {
			i.Focus = n == at
		}
		if i.Bad || i.Focus {
			i.Tied = strings.TrimSpace("problem " + i.Tied)
		}
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
// what was left empty is absent, and codes lose the spaces they are shown with.
func typed(in url.Values, fs form.Form) map[string]any {
	out := map[string]any{}
	for _, f := range fs {
		s := in.Get(f.Name)
		if f.Name == "passcode" || f.Name == "totp_code" {
			s = strings.Map(func(r rune) rune {
				if unicode.IsSpace(r) || r == '-' {
					return -1
				}
				return r
			}, s)
		}
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
