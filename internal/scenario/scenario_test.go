package scenario_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/scenario"
	"github.com/watchword-auth/watchword/internal/server"
)

const shop = "../../examples/shop"

func read(t testing.TB, text string) scenario.File {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "t.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := scenario.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

func run(t testing.TB, f scenario.File, walked scenario.Walked) (out []scenario.Result) {
	t.Helper()
	config, err := server.ReadFiles(shop)
	if err != nil {
		t.Fatal(err)
	}
	if err := scenario.Run(t.Context(), config, shop, f, "", time.Now, walked, func(r scenario.Result) { out = append(out, r) }); err != nil {
		t.Fatal(err)
	}
	return out
}

// The example's own tests pass, and walk what they say.
func TestShop(t *testing.T) {
	files, err := scenario.Read(filepath.Join(shop, "tests"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	walked := scenario.Walked{}
	for _, f := range files {
		for _, r := range run(t, f, walked) {
			if r.Err != nil {
				t.Errorf("%s: %s: line %d: %v", r.File, r.Case, r.Line, r.Err)
			}
		}
	}
	config, err := server.ReadFiles(shop)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	walked.Print(&b, config.Journeys)
	for _, want := range []string{"web_login: 4 of 7 ways\n", "not walked: push: another_way\n", "mobile_app_registration: no case goes there\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "not walked: push: success") {
		t.Error("a way that was walked is missed")
	}
}

// Whatever is not as a case says fails it, at its line, in words that help.
func TestFailures(t *testing.T) {
	text := "people:\n  ada: {email: ada@example.org, phone: store-phone}\n  bob: {email: bob@example.org, totp: true}\ncases:\n"
	before := strings.Count(text, "\n") + 4 // with the lines of a case before its first move
	var wants, stories []string
	const asked = "\n  - takes: web_to_mobile\n    with: {email: ada@example.org}"
	for moves, want := range map[string]string{
		"\n  - sees: elsewhere":                                                                       "line 1: the page sees login",
		asked + "\n  - ends: success":                                                                 "line 3: the page sees mobile_approve_authentication",
		asked + "\n  - phone: deny\n    who: ada\n  - ends: success":                                  "line 5: the page sees the end: rejection",
		asked + "\n  - phone: approve\n    who: ada\n    number: wrong":                               "line 3: it was refused",
		asked + "\n  - phone: approve\n    who: ada\n    refused: \"*\"":                              "line 3: it was not refused",
		asked + "\n  - phone: nothing\n    who: ada":                                                  "line 3: 1 requests wait on the phone",
		asked + "\n  - phone: approve\n    who: bob":                                                  "line 3: they have no phone",
		asked + "\n  - phone: approve":                                                                "line 3: there are several people: say who",
		asked + "\n  - phone: approve\n    who: ada\n  - ends: success\n    as: bob":                  "line 5: it is not bob who is signed in",
		asked + "\n  - phone: approve\n    who: ada\n  - ends: success\n    claims: {nothing: \"*\"}": "line 5: the token says nothing: null",
		asked + "\n  - sees: mobile_approve_authentication\n    shows: {number: \"00x\"}":             "line 3: the step says number: \"",
		"\n  - takes: teleport":                                                                       "line 1: the page offers no \"teleport\", but cancel, web_to_mobile",
		"\n  - phone: deny\n    who: ada":                                                             "line 1: nothing waits on the phone",
		"\n  - takes: web_to_mobile\n    with: {email: $mail}\n    who: ada":                          "line 1: no code was sent to ada@example.org by mail",
		"\n  - takes: web_to_mobile\n    with: {email: $totp}\n    who: ada":                          "line 1: $totp: nobody can look that up",
		"\n  - takes: cancel\n  - ends: rejection\n    reason: something else":                        "line 2: the reason is ",
	} {
		text += "- name: a\n  start: web_login\n  client: store-web\n  moves:" + moves + "\n"
		wants, stories = append(wants, want), append(stories, moves)
	}
	results := run(t, read(t, text), scenario.Walked{})
	for i, r := range results {
		r.Line -= before
		before += 4 + strings.Count(stories[i], "\n")
		var b strings.Builder
		r.Print(&b)
		if r.Err == nil || !strings.Contains(b.String(), wants[i]) {
			t.Errorf("%s\n%s\nwant %s", stories[i], &b, wants[i])
		}
	}
	if len(results) != len(stories) {
		t.Errorf("%d of %d cases ran", len(results), len(stories))
	}
}

// A case leaves nothing behind for the next, and time stands at its beginning again.
func TestCasesAreStrangers(t *testing.T) {
	const wrong = "\n  - takes: totp\n    with: {username: bob@example.org, totp_code: '000000'}\n  - ends: rejection"
	const right = "\n  - takes: totp\n    with: {username: bob@example.org, totp_code: $totp}\n  - ends: success\n    claims: {auth_time: 1767603600}"
	text := "people:\n  bob: {email: bob@example.org, totp: true}\ncases:\n"
	for range 6 { // more than the first lock allows
		text += "- name: wrong\n  start: totp_login\n  moves:" + wrong + "\n  - later: 24h\n"
	}
	for range 2 { // a code counts once, and each case is its first
		text += "- name: right\n  start: totp_login\n  moves:" + right + "\n"
	}
	for _, r := range run(t, read(t, text), scenario.Walked{}) {
		if r.Err != nil {
			t.Errorf("%s: line %d: %v", r.Case, r.Line, r.Err)
		}
	}
}

// A file with a mistake in it is refused, at its line.
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"people: {a: {email: a@example.org, pasword: x}}":                            "pasword",
		"people: {a: {password: x}}":                                                 "a needs an email",
		"cases:\n- start: web_login\n  moves: [{sees: a}]":                           "line 2: a case needs a name",
		"cases:\n- name: a\n  start: b\n  moves:\n  - sees: a\n    ends: success":    "line 5: a move says exactly one of",
		"cases:\n- name: a\n  start: b\n  moves:\n  - {}":                            "line 5: a move says exactly one of",
		"cases:\n- name: a\n  start: b\n  moves:\n  - sees: a\n    number: wrong":    "line 5: number does not go with sees",
		"cases:\n- name: a\n  start: b\n  moves:\n  - see: a":                        "line 5: ",
		"cases:\n- name: a\n  start: b\n  moves:\n  - phone: explode":                "line 5: a phone can",
		"cases:\n- name: a\n  start: b\n  moves:\n  - ends: well":                    "line 5: a journey ends in",
		"cases:\n- name: a\n  start: b\n  moves:\n  - later: soon":                   "is no time such as",
		"cases:\n- name: a\n  start: b\n  moves:\n  - ends: success\n    as: nobody": "line 5: nobody is none of the people",
		"cases: []\n---\ncases: []":                                                  "something after the document",
		"people: {a: {username: a, phone: x}}":                                       "a needs an email",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "t.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := scenario.Read(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v\nwant %s", text, err, want)
		}
	}
}
