// Package steps holds the kinds of nodes that belong to no method: forms,
// branches, data, users, devices, messages and ends. One file is one kind, or the
// few that belong together (the ends, messages, what is done to authenticators); it
// registers itself, and adding one changes nothing else. A step proves nobody.
package steps

import (
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

// fieldRow is how an author describes a field of a form.
type fieldRow struct {
	Name     string   `json:"name"`
	Label    string   `json:"label"`
	Type     string   `json:"type"`
	Required bool     `json:"required"`
	Choices  []string `json:"choices"`
	Max      int      `json:"max"`
}

// fieldRows is the form of a list of fieldRow.
func fieldRows(name, label string, opts ...form.Option) form.Field {
	return form.List(name, label, form.New(
		form.Text("name", "Name", form.Required),
		form.Text("label", "Label"),
		form.Choice("type", "Type", []string{"text", "email", "phone", "secret", "number", "boolean", "choice", "object"}, form.Default("text"),
			form.Read("text", "Text", "email", "E-mail address", "phone", "Phone number", "secret", "Secret", "number", "Number", "boolean", "Yes or no", "choice", "One of several", "object", "Object")),
		form.Boolean("required", "Required", form.Default(false)),
		form.List("choices", "Choices", form.New(form.Text("", "Choice")), form.Between(0, 100)),
		form.Number("max", "Longest", form.Default(1024), form.Between(1, 4096)),
	), append(opts, form.Between(0, 50))...)
}

// fields makes a form of what an author described.
func fields(rows []fieldRow) form.Form {
	out := form.Form{}
	for _, r := range rows {
		label := r.Label
		if label == "" {
			label = r.Name
		}
		var opts []form.Option
		if r.Required {
			opts = append(opts, form.Required)
		}
		out = append(out, fieldOf(r, label, opts))
	}
	return out
}

func fieldOf(r fieldRow, label string, opts []form.Option) form.Field {
	switch r.Type {
	case "number":
		return form.Number(r.Name, label, opts...)
	case "boolean":
		return form.Boolean(r.Name, label, opts...)
	case "choice":
		return form.Choice(r.Name, label, r.Choices, opts...)
	case "object":
		return form.Object(r.Name, label, opts...)
	case "email":
		return form.Email(r.Name, label, append(opts, form.MaxLen(r.Max))...)
	case "phone":
		return form.Phone(r.Name, label, append(opts, form.MaxLen(r.Max))...)
	case "secret":
		return form.Secret(r.Name, label, append(opts, form.MaxLen(r.Max))...)
	}
	return form.Text(r.Name, label, append(opts, form.MaxLen(r.Max))...)
}

// escapeRow is a branch that an author adds to a step that asks.
type escapeRow struct {
	ID     string     `json:"id"`
	Label  string     `json:"label"`
	Fields []fieldRow `json:"fields"`
}

func escapeRows() form.Field {
	return form.List("escapes", "Other ways out", form.New(
		form.Text("id", "Id", form.Required),
		form.Text("label", "Label"),
		fieldRows("fields", "Fields"),
	), form.Between(0, 20))
}

func prefillField() form.Field {
	return form.Object("prefill", "Filled in already", form.Help("What fields of the form hold before somebody types, by name."))
}

func cancelField() form.Field {
	return form.Boolean("cancel", "May be cancelled", form.Default(false))
}

// options are the escapes of a prompt; cancel comes last.
func options(escapes []escapeRow, cancel bool) []journey.Option {
	var out []journey.Option
	for _, e := range escapes {
		label := e.Label
		if label == "" {
			label = e.ID
		}
		out = append(out, journey.Option{ID: e.ID, Label: label, Fields: fields(e.Fields)})
	}
	if cancel {
		out = append(out, journey.Option{ID: "cancel", Label: "Cancel"})
	}
	return out
}

// drawn returns the outcomes that a drawn configuration adds: its escapes, and
// cancel.
func drawn(doc map[string]any) []journey.Outcome {
	var out []journey.Outcome
	rows, _ := doc["escapes"].([]any)
	for _, row := range rows {
		m, _ := row.(map[string]any)
		if id, _ := m["id"].(string); id != "" {
			out = append(out, journey.Outcome(id))
		}
	}
	if on, _ := doc["cancel"].(bool); on {
		out = append(out, journey.Cancel)
	}
	return out
}

// asked is a prompt of a step that keeps its answer as output. Whoever is led back to
// it because something failed is told what, beside the option they had chosen.
func asked(x *journey.Exec, p journey.Prompt, output string) journey.Next {
	failed := x.Failed()
	if failed == nil {
		return journey.Ask(p, nil)
	}
	last, _ := x.Get(output).(map[string]any)
	p.Refused, _ = last["option"].(string)
	return journey.Ask(p, nil).Because(failed)
}

// said is what an answer leaves in a variable: its fields, and by which option
// it came.
func said(a *journey.Answer) map[string]any {
	out := map[string]any{}
	for k, v := range a.Data {
		out[k] = v
	}
	if a.Option != "" {
		out["option"] = a.Option
	}
	return out
}
