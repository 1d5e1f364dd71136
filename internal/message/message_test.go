package message

import (
	"strings"
	"testing"
)

// TestTexts: everything is said in every language, with what it must say.
func TestTexts(t *testing.T) {
	must := map[string][]string{LoginCode: {"{code}", "{app}", "{minutes}"}, SignupCode: {"{code}", "{app}", "{minutes}"}, VerifyCode: {"{code}", "{app}", "{minutes}"}, MagicLink: {"{link}", "{app}", "{minutes}"},
		ResetCode: {"{code}", "{app}", "{minutes}"}, ResetLink: {"{link}", "{app}", "{minutes}"}, Changed: {"{app}"}, Added: {"{method}", "{label}", "{app}"}, Removed: {"{method}", "{label}", "{app}"}, RecoveryUsed: {"{left}", "{app}"}, Locked: {"{method}", "{app}"}}
	for name, all := range texts {
		if len(all) != len(Languages()) || must[name] == nil {
			t.Errorf("%s is said in %d languages", name, len(all))
		}
		for language, said := range all {
			for _, m := range must[name] {
				if !strings.Contains(said[1], m) {
					t.Errorf("%s in %s does not say %s", name, language, m)
				}
			}
			if said[0] == "" || strings.Contains(said[0], "{code}") || strings.ContainsAny(said[0]+said[1], "!\n") {
				t.Errorf("%s in %s: %q", name, language, said)
			}
		}
	}
}

// TestSay: languages fall back, values begin no line of their own, and a mail is
// not a page that somebody else writes.
func TestSay(t *testing.T) {
	d := Data{Values: map[string]string{"code": "123456", "minutes": "5"}, Language: "de-AT"}
	if _, text, err := Say("Shop", LoginCode, d); err != nil || !strings.Contains(text, "Ihr Code für Shop") {
		t.Errorf("%q, %v", text, err)
	}
	for language, want := range map[string]string{"en": "good for 1 minute.", "de": "gilt 1 Minute.", "es": "1 minuto.", "fr": "1 minute.", "pt": "1 minuto.", "ja": "1 分"} {
		one := Data{Values: map[string]string{"code": "123456", "minutes": "1"}, Language: language}
		if _, text, err := Say("Shop", LoginCode, one); err != nil || !strings.Contains(text, want) || strings.ContainsAny(text, "{|}") {
			t.Errorf("%s: %q, %v", language, text, err)
		}
	}
	d.Language = "xx"
	if _, text, _ := Say("Shop\r\nBcc: x@example.org", LoginCode, d); !strings.Contains(text, "Nobody from Shop Bcc:") || strings.Contains(text, "\n") {
		t.Errorf("%q", text)
	}
	if _, _, err := Say("Shop", "nothing", d); err == nil {
		t.Error("an unknown message was said")
	}
	html, err := page("<script>", "s", "t", Data{Values: map[string]string{"code": "<b>", "link": "javascript:alert(1)"}, Style: Style{Colour: "red;}"}})
	if err != nil || strings.Contains(html, "<script>") || strings.Contains(html, "<b>") || strings.Contains(html, `href="javascript:`) || strings.Contains(html, "red;}") || !strings.Contains(html, defaultColour) {
		t.Errorf("%v\n%s", err, html)
	}
}

// TestColours: whatever colour an application has, its code and its button can be
// read.
func TestColours(t *testing.T) {
	for colour, want := range map[string][]string{
		"#0a7d4f": {"color:#0a7d4f", "background:#0a7d4f;color:#ffffff"}, "#ffee00": {"color:#14171f", "background:#ffee00;color:#101218"}, "": {"color:" + defaultColour, "background:" + defaultColour + ";color:#ffffff"},
	} {
		html, err := page("Shop", "s", "t", Data{Values: map[string]string{"code": "123456", "link": "https://example.org"}, Style: Style{Colour: colour}})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(html, w) {
				t.Errorf("%q: no %s in %s", colour, w, html)
			}
		}
	}
}
