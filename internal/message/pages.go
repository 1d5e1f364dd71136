package message

import (
	_ "embed"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword/internal/web"
)

//go:embed pages.txt
var pagesText string

// entry is one text of pages.txt in the other languages.
type entry struct {
	said  map[string]string
	holes []string       // the words in braces, in order; {n} is a number, {time} a time, {browser} and {system} names that web knows
	shape *regexp.Regexp // how to recognise the text once they are filled in; nil without any
}

var (
	entries = readPages(pagesText)
	shapes  = shaped(entries)
	hole    = regexp.MustCompile(`\{[a-z]+\}`)
)

// readPages panics if the file is not as it says it is: it is written by
// programmers and read at start-up.
func readPages(text string) map[string]entry {
	out := map[string]entry{}
	for block := range strings.SplitSeq(text, "\n\n") {
		var lines []string
		for line := range strings.SplitSeq(strings.Trim(block, "\n"), "\n") {
			if line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
		if len(lines) == 0 {
			continue
		}
		e := entry{said: map[string]string{}}
		for _, line := range lines[1:] {
			language, said, _ := strings.Cut(line, " ")
			if len(language) != 2 || said == "" || e.said[language] != "" {
				panic("message: pages.txt: " + line)
			}
			e.said[language] = said
		}
		if _, twice := out[lines[0]]; twice {
			panic("message: pages.txt says this twice: " + lines[0])
		}
		out[lines[0]] = e
	}
	return out
}

// shaped are the texts with something to fill in, the longest first: it says
// most about what it is.
func shaped(all map[string]entry) []string {
	var out []string
	for english, e := range all {
		e.holes = hole.FindAllString(english, -1)
		if len(e.holes) == 0 {
			continue
		}
		fixed := hole.Split(english, -1)
		pattern := "^" + regexp.QuoteMeta(fixed[0])
		for i, h := range e.holes {
			switch h {
			case "{n}":
				pattern += "([0-9]{1,9})"
			case "{time}":
				pattern += "([0-9][0-9:.]*)"
			case "{browser}":
				pattern += oneOf(web.Browsers)
			case "{system}":
				pattern += oneOf(web.Systems)
			default:
				pattern += "(.{1,300}?)"
			}
			pattern += regexp.QuoteMeta(fixed[i+1])
		}
		e.shape = regexp.MustCompile(pattern + "$")
		all[english] = e
		out = append(out, english)
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return out
}

// oneOf is a pattern of the names in a list.
func oneOf(names [][2]string) string {
	var all []string
	for _, n := range names {
		all = append(all, regexp.QuoteMeta(n[1]))
	}
	return "(" + strings.Join(all, "|") + ")"
}

// Translate says an English text of ours in another language. What is filled into
// it goes in pairs: a word in braces without these, and what stands for it. A text
// that came with everything filled in is recognised by its shape. What nobody
// translated, such as an operator's own text, is returned as it is.
func Translate(language, english string, pairs ...string) string {
	said := english
	if e, ok := entries[english]; ok {
		if s := e.said[language]; s != "" {
			said = s
		}
	} else if len(pairs) == 0 && language != "en" {
		return recognised(language, english)
	}
	if len(pairs) == 0 {
		return said
	}
	fill, values := make([]string, 0, len(pairs)), map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		fill = append(fill, "{"+pairs[i]+"}", pairs[i+1])
		values[pairs[i]] = pairs[i+1]
	}
	return strings.NewReplacer(fill...).Replace(counted(said, values))
}

// titles are for prompts whose author gave none.
var titles = map[string]string{
	"push.wait": "Approve on your phone", "push.device": "Which phone?", "totp.register": "Set up your authenticator app", "totp.confirm": "Enter the first code",
	"code.email": "Check your mail", "code.sms": "Check your messages", "code.generic": "Check your messages", "magiclink.wait": "Check your mail", "password.replace": "Choose a new password", "form": "Your details",
	"ticket.wait": "One moment", "totp.sign": "Sign this",
	"device.register": "Remember this browser", "device.validate": "One moment",
	"biometric.register": "Set up this browser", "biometric.authenticate": "Confirm that it is you", "biometric.sign": "Sign this", "biometric.delete": "Remove the key from this browser?",
	"pin.register": "Choose a PIN", "pin.authenticate": "Enter your PIN", "pin.sign": "Sign this",
}

// Title is the English title of a prompt of a kind whose author gave it none; "" if it
// has none.
func Title(kind string) string { return titles[kind] }

// Translated reports whether a text, or its shape, is said in every language.
func Translated(english string) bool {
	if e, ok := entries[english]; ok {
		return len(e.said) == len(Languages())-1
	}
	for _, s := range shapes {
		if entries[s].shape.MatchString(english) {
			return true
		}
	}
	return false
}

// recognised translates a text whose shape is known, and what is filled into it
// if that is a text of ours itself.
func recognised(language, english string) string {
	if len(english) > 1000 || !strings.ContainsFunc(english, func(r rune) bool { return r > ' ' }) {
		return english
	}
	for _, s := range shapes {
		e := entries[s]
		m := e.shape.FindStringSubmatch(english)
		if m == nil || e.said[language] == "" {
			continue
		}
		var fill []string
		values := map[string]string{}
		for i, h := range e.holes {
			part := m[i+1]
			values[strings.Trim(h, "{}")] = part
			if inner, ok := entries[part]; ok && inner.said[language] != "" {
				part = inner.said[language]
			}
			fill = append(fill, h, part)
		}
		return strings.NewReplacer(fill...).Replace(counted(e.said[language], values))
	}
	return english
}

// Choose returns the first of the languages somebody wants that we can speak, or
// English. Each of wanted is a list as browsers (RFC 9110 12.5.4) or relying
// parties (ui_locales) write it; an earlier list counts before a later one.
func Choose(wanted ...string) string { return ChooseOf(Languages(), "en", wanted...) }

// ChooseOf is Choose among the languages that somebody offers, or the fallback.
func ChooseOf(offered []string, fallback string, wanted ...string) string {
	for _, list := range wanted {
		best, weight := "", 0.0
		for i, part := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' && !strings.ContainsAny(list, ",;") }) {
			tag, parameter, _ := strings.Cut(strings.TrimSpace(part), ";")
			primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
			q := 1.0
			if s, ok := strings.CutPrefix(strings.TrimSpace(parameter), "q="); ok {
				q, _ = strconv.ParseFloat(s, 64)
			}
			if q > weight && slices.Contains(offered, primary) {
				best, weight = primary, q
			}
			if i > 50 {
				break
			}
		}
		if best != "" {
			return best
		}
	}
	return fallback
}
