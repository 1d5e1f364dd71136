package message

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPages: everything on pages is said in every language, holds what it is to
// be filled with, and shouts at nobody.
func TestPages(t *testing.T) {
	for english, e := range entries {
		if len(e.said) != len(Languages())-1 {
			t.Errorf("%q is said in %d other languages", english, len(e.said))
		}
		for language, said := range e.said {
			for _, h := range hole.FindAllString(english, -1) {
				if !strings.Contains(said, h) {
					t.Errorf("%s: %q has no %s", language, said, h)
				}
			}
			for _, h := range hole.FindAllString(said, -1) {
				if !strings.Contains(english, h) {
					t.Errorf("%s: %q fills in %s, which nobody gives", language, said, h)
				}
			}
			if strings.ContainsAny(said, "!！<>") || strings.TrimSpace(said) != said {
				t.Errorf("%s: %q", language, said)
			}
		}
	}
	if len(entries) < 200 {
		t.Errorf("only %d texts", len(entries))
	}
}

// TestOneTranslation: what stands here and in the catalog of the console, too, is said
// alike in both. The words in their braces may be others.
func TestOneTranslation(t *testing.T) {
	same := map[string]string{}
	for english := range entries {
		same[nameless(english, english)] = english
	}
	both := 0
	for _, language := range Languages() {
		if language == "en" {
			continue
		}
		b, err := os.ReadFile("../../ui/console/src/words/catalog/" + language + ".json")
		if err != nil {
			t.Fatal(err)
		}
		console := map[string]string{}
		if err := json.Unmarshal(b, &console); err != nil {
			t.Fatal(err)
		}
		for text, said := range console {
			english, ok := same[nameless(text, text)]
			if !ok {
				continue
			}
			both++
			if got, want := nameless(english, entries[english].said[language]), nameless(text, said); got != want {
				t.Errorf("%s: %q is %q in pages.txt and %q in the console's catalog", language, text, got, want)
			}
		}
	}
	if both < 500 {
		t.Errorf("%d texts stand in both: they are read wrongly", both)
	}
}

// braces are those of either catalog.
var braces = regexp.MustCompile(`\{[a-z]+[0-9]*\}`)

// nameless is a translation whose braces hold the place that their word has in the
// English text.
func nameless(english, said string) string {
	var fill []string
	for i, word := range braces.FindAllString(english, -1) {
		fill = append(fill, word, fmt.Sprintf("{%d}", i))
	}
	return strings.NewReplacer(fill...).Replace(said)
}

// TestTitles: so is what a prompt is called whose author did not say.
func TestTitles(t *testing.T) {
	for kind, title := range titles {
		if !Translated(title) || Title(kind) != title {
			t.Errorf("%s: %q is not translated", kind, title)
		}
	}
	if got := Title("none"); got != "" {
		t.Errorf("%q", got)
	}
}

func TestTranslate(t *testing.T) {
	for _, c := range []struct{ language, english, want string }{
		{"de", "Sign in", "Anmelden"},
		{"en", "Sign in", "Sign in"},
		{"xx", "Sign in", "Sign in"},
		{"de", "Order 17 of Ada", "Order 17 of Ada"},
		{"de", "Phone 2", "Telefon 2"},
		{"de", "Firefox on Linux", "Firefox auf Linux"},
		{"ja", "Node.js on macOS", "macOS の Node.js"},
		{"de", "Approve on the phone", "Approve on the phone"}, // an operator's
		{"de", "Log on Windows", "Log on Windows"},
		{"fr", "The password needs at least 15 characters.", "Le mot de passe doit avoir au moins 15 caractères."},
		{"de", "E-mail address is required.", "E-Mail-Adresse fehlt."},
		{"es", "<b>x</b> is required.", "Falta: <b>x</b>."},
		{"de", "Sign in to {app}?", "Bei {app} anmelden?"},
		{"de", "Sign in to Northwind?", "Bei Northwind anmelden?"},
		{"de", strings.Repeat("x", 2000) + " is required.", strings.Repeat("x", 2000) + " is required."},
		{"ja", "", ""},
	} {
		if got := Translate(c.language, c.english); got != c.want {
			t.Errorf("%s %q: %q", c.language, c.english, got)
		}
	}
	for n, want := range map[string]string{"0": "Enviar de novo (restam 0)", "1": "Enviar de novo (resta 1)", "2": "Enviar de novo (restam 2)"} {
		if got := Translate("pt", "Send again ({n} left)", "n", n); got != want {
			t.Errorf("%q", got)
		}
		if got := Translate("pt", "Send again ("+n+" left)"); got != want {
			t.Errorf("recognised: %q", got)
		}
	}
	if got := Translate("en", "Send again ({n} left)", "n", "2"); got != "Send again (2 left)" {
		t.Errorf("%q", got)
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		wanted []string
		want   string
	}{
		{[]string{"de-AT,de;q=0.9,en;q=0.8"}, "de"},
		{[]string{"xx, pt-BR;q=0.3, ja;q=0.7"}, "ja"},
		{[]string{"", "fr"}, "fr"},
		{[]string{"nl es", "fr"}, "es"},
		{[]string{"ar", "*"}, "en"},
		{[]string{"de;q=0, fr;q=x", ""}, "en"},
		{[]string{strings.Repeat("a,", 5000) + "de"}, "en"},
		{nil, "en"},
	} {
		if got := Choose(c.wanted...); got != c.want {
			t.Errorf("%.40q: %s", c.wanted, got)
		}
	}
}

func FuzzChoose(f *testing.F) {
	f.Add("de-AT,de;q=0.9")
	f.Fuzz(func(t *testing.T, s string) {
		if got := Choose(s); len(got) != 2 {
			t.Errorf("%q: %q", s, got)
		}
	})
}
