package message

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
)

// Style is how an application has a method's messages look and read. Embed it in
// the method's settings; Fields are its form.
type Style struct {
	Colour string `json:"colour"` // of buttons and codes
	Domain string `json:"domain"` // of the page that a texted code is for
	Texts  []Text `json:"texts"`
}

// Text is a message in the application's own words.
type Text struct {
	Message  string `json:"message"`
	Language string `json:"language"`
	Subject  string `json:"subject"` // of mail; empty: ours
	Text     string `json:"text"`
}

// named is what operators call the messages that an application may have in its
// own words.
var named = map[string]string{
	LoginCode: "Code to sign in", SignupCode: "Code to sign up", VerifyCode: "Code to confirm an address", MagicLink: "Link to sign in",
	ResetCode: "Code for a new password", ResetLink: "Link for a new password", Changed: "The password was changed",
}

// says gives messages their titles.
func says(names []string) form.Option {
	var pairs []string
	for _, name := range names {
		pairs = append(pairs, name, named[name])
	}
	return form.Read(pairs...)
}

// Fields are the settings of a style for the messages that a method sends.
func Fields(names ...string) []form.Field {
	return []form.Field{
		form.Colour("colour", "Colour of mail", form.Help("Of buttons and codes. Empty: ours.")),
		form.List("texts", "Your own words", form.New(
			form.Choice("message", "Message", names, form.Required, says(names)),
			form.Choice("language", "Language", Languages(), form.Required, form.Read("de", "German", "en", "English", "es", "Spanish", "fr", "French", "ja", "Japanese", "pt", "Portuguese")),
			form.Text("subject", "Subject", form.MaxLen(200), form.Help("Of mail. Empty: ours.")),
			form.Text("text", "Text", form.Required, form.Lines, form.MaxLen(1000), form.Help("Must hold what it is sent for: {code} or {link}. Also {app} and {minutes}.")),
		), form.Between(0, 60), form.Help("Instead of ours, message by message and language by language.")),
	}
}

// CheckSettings is Check for settings as a document (authn.Method.Check).
func CheckSettings(doc map[string]any) error {
	s, err := StyleOf(doc)
	if err != nil {
		return err
	}
	return s.Check()
}

// StyleOf reads the style from a method's settings.
func StyleOf(doc map[string]any) (Style, error) {
	var s Style
	b, err := json.Marshal(doc)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	return s, err
}

// needs is what a message cannot do without.
func needs(name string) string {
	for _, n := range []string{"{code}", "{link}"} {
		if strings.Contains(texts[name]["en"][1], n) {
			return n
		}
	}
	return ""
}

// Check returns fault.Invalid, naming the row, if a message of the application's
// own could not do what it is sent for, holds a name that nothing fills in, or is
// there twice.
func (s Style) Check() error {
	for i, t := range s.Texts {
		refuse := func(member, what string) error {
			return fault.At(fault.New(fault.Invalid, "Your own words, row %d: %s", i+1, what), "texts."+strconv.Itoa(i)+"."+member)
		}
		if n := needs(t.Message); !strings.Contains(t.Text, n) {
			return refuse("text", "the text must hold "+n+".")
		}
		left := t.Subject + t.Text
		for _, n := range []string{"{app}", "{code}", "{link}", "{minutes}"} {
			left = strings.ReplaceAll(left, n, "")
		}
		if strings.ContainsAny(left, "{}") {
			return refuse("text", "{app}, {minutes} and what it is sent for are filled in, nothing else.")
		}
		if strings.Contains(t.Subject, "{code}") || strings.Contains(t.Subject, "{link}") {
			return refuse("subject", "a subject is shown on locked screens and holds no code.")
		}
		if slices.ContainsFunc(s.Texts[:i], func(u Text) bool { return u.Message == t.Message && u.Language == t.Language }) {
			return refuse("message", "this message is there in this language.")
		}
	}
	return nil
}

// own is what the application says instead of ours.
func (s Style) own(name, language string, ours [2]string) [2]string {
	for _, t := range s.Texts {
		if t.Message == name && t.Language == language {
			if t.Subject == "" {
				t.Subject = ours[0]
			}
			return [2]string{t.Subject, t.Text}
		}
	}
	return ours
}

// Sample is a message as somebody would get it, with values of nobody's.
type Sample struct{ Subject, Text, HTML, SMS string }

// samples fill in what a message needs.
var samples = map[string]map[string]string{
	"{code}": {"code": "123456", "minutes": "5"},
	"{link}": {"link": "https://example.org/link/sample", "minutes": "5"},
	"":       {"method": "Authenticator app", "label": "My phone", "left": "9"},
}

// Preview shows a message without sending it; fault.NotFound if there is none of
// this name.
func Preview(app apps.App, name, language string, s Style) (Sample, error) {
	if texts[name] == nil {
		return Sample{}, fault.New(fault.NotFound, "There is no such message.")
	}
	d := Data{Values: samples[needs(name)], Language: language, Style: s}
	subject, text, err := Say(app.Name, name, d)
	if err != nil {
		return Sample{}, err
	}
	html, err := page(app.Name, subject, text, d)
	return Sample{subject, text, html, text + filling(d)}, err
}
