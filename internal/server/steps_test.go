package server_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

// TestStepsPage holds docs/steps.md to what the steps say of themselves.
func TestStepsPage(t *testing.T) {
	const path = "../../docs/steps.md"
	got := stepsPage()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("docs/steps.md is not what the steps say (UPDATE_GOLDEN=1 writes it anew):\n%s", got)
	}
}

func stepsPage() string {
	var b strings.Builder
	b.WriteString(`# Steps

Written by ` + "`UPDATE_GOLDEN=1 go test ./internal/server -run TestStepsPage`" + ` from what the steps say of themselves; do not edit.

A node of a [journey](journeys.md) is a step with its settings: ` + "`{kind, config, next}`" + `, where ` + "`next`" + ` leads each way out to another node. Any setting may be an
expression, ` + "`{expr: …}`" + `. A journey with a way out that leads nowhere is not published. Some settings add ways out of their own: each method, each other
way that is drawn, and cancelling where it is allowed.
`)
	all := journey.Steps()
	slices.SortStableFunc(all, func(a, b journey.Info) int { return strings.Compare(a.Category, b.Category) })
	category := ""
	for _, s := range all {
		if s.Category != category {
			category = s.Category
			fmt.Fprintf(&b, "\n## %s\n", category)
		}
		stepOnPage(&b, s)
	}
	return b.String()
}

func stepOnPage(b *strings.Builder, s journey.Info) {
	fmt.Fprintf(b, "\n### %s (`%s`)\n\n%s", s.Title, s.Kind, s.Doc)
	if s.Role&journey.Proves != 0 {
		b.WriteString(" Its success leaves a proof.")
	}
	if s.Role&journey.Identifies != 0 {
		b.WriteString(" It takes somebody's word for who they are.")
	}
	if len(s.In) > 0 {
		fmt.Fprintf(b, " Only in journeys of the kind %s.", inCode(s.In, " or "))
	}
	if len(s.Outcomes) > 0 {
		fmt.Fprintf(b, " Ways out: %s.", inCode(s.Outcomes, ", "))
	}
	b.WriteString("\n")
	if len(s.Config) == 0 {
		return
	}
	b.WriteString("\n| setting | | default |\n|---|---|---|\n")
	for _, f := range s.Config {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", f.Name, strings.ReplaceAll(fieldSays(f), "|", `\|`), defaultOf(f))
	}
}

// inCode are names in code quotes.
func inCode[T ~string](names []T, between string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "`" + string(n) + "`"
	}
	return strings.Join(out, between)
}

// fieldSays is what a field is: its label, what it may be, and its help.
func fieldSays(f form.Field) string {
	out := f.Label + " (" + f.Type
	switch {
	case len(f.Choices) > 0:
		out += ": " + strings.Join(f.Choices, ", ")
	case f.Min != nil && f.Max != nil:
		out += fmt.Sprintf(", %d to %d", *f.Min, *f.Max)
	}
	if f.Type == "duration" {
		out += " s"
	}
	if len(f.Fields) > 0 && f.Fields[0].Name != "" {
		var members []string
		for _, m := range f.Fields {
			members = append(members, m.Name)
		}
		out += ", each with " + strings.Join(members, ", ")
	}
	if f.Required {
		out += ", required"
	}
	return strings.TrimSpace(out + "). " + f.Help)
}

func defaultOf(f form.Field) string {
	if f.Default == nil {
		return ""
	}
	return "`" + db.Text(f.Default) + "`"
}

// TestStepsByOtherNames: the palette finds a step by what people call it.
func TestStepsByOtherNames(t *testing.T) {
	for name, kind := range map[string]string{
		"fingerprint": "biometric.authenticate", "face id": "biometric.register", "passcode": "pin.authenticate", "selfie": "face.authenticate", "windows hello": "passkey.authenticate",
		"text message": "code.sms", "2fa": "code.email", "helpdesk": "code.temporary", "number matching": "push.authenticate", "google authenticator": "totp.register", "else": "condition",
		"forgot": "password.reset", "backup code": "recovery.authenticate", "sign up": "create_user",
	} {
		if !slices.ContainsFunc(journey.Steps(), func(s journey.Info) bool { return s.Kind == kind && slices.Contains(s.Words, name) }) {
			t.Errorf("%q does not find %s", name, kind)
		}
	}
}
