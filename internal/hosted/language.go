package hosted

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/message"
	"github.com/watchword-auth/watchword/internal/web"
)

// languages are what the pages speak, each by its own name.
var languages = []struct{ Tag, Name string }{{"de", "Deutsch"}, {"en", "English"}, {"es", "Español"}, {"fr", "Français"}, {"pt", "Português"}, {"ja", "日本語"}}

const languageCookie = "ww-lang"

// tongue says things in one language.
type tongue string

// T translates a text of ours.
func (l tongue) T(english string, pairs ...string) string {
	return message.Translate(string(l), english, pairs...)
}

// direction of writing; none of ours goes from right to left yet, but the pages
// are ready for it.
func (l tongue) direction() string {
	if slices.Contains([]string{"ar", "fa", "he", "ur"}, string(l)) {
		return "rtl"
	}
	return "ltr"
}

// moment is a point in time as a <time> holds it; Words are for who has no
// script, which knows the reader's own zone.
type moment struct{ ISO, Words string }

// layouts of a date and a time of day, where they are not 2026-01-31 14:05.
var layouts = map[tongue]string{"de": "02.01.2006 15:04", "es": "02/01/2006 15:04", "fr": "02/01/2006 15:04", "pt": "02/01/2006 15:04", "ja": "2006/01/02 15:04", "en": "2 Jan 2006 15:04"}

func (l tongue) when(at time.Time) *moment {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &moment{at.Format(time.RFC3339), at.Format(cmp.Or(layouts[l], "2006-01-02 15:04")) + " UTC"}
}

// clock is a number of seconds as "1:58".
func clock(seconds int) string {
	return strconv.Itoa(seconds/60) + ":" + strconv.Itoa(100 + seconds%60)[1:]
}

// offer is what the pages of an application may be said in, and the language for
// who wants none of it.
type offer struct {
	tags     []string
	fallback string
}

// offered is what an application's tenant has set; everything, and English, where
// nothing is set or no application is known.
func (d Door) offered(r *http.Request, app apps.ID) offer {
	if app == "" {
		return offerOf(apps.TenantSettings{})
	}
	s, err := apps.SettingsOf(r.Context(), d.Kit.DB, app)
	if err != nil { // a setting that cannot be read costs nobody a page
		web.Report(r, err)
	}
	return offerOf(s)
}

func offerOf(s apps.TenantSettings) offer {
	o := offer{s.Languages, s.Default}
	if len(o.tags) == 0 {
		o.tags = message.Languages()
	}
	if o.fallback == "" {
		o.fallback = "en"
	}
	if !slices.Contains(o.tags, o.fallback) {
		o.fallback = o.tags[0]
	}
	return o
}

// spoken finds the language for a request: what the user has just chosen or chose
// before, then what the relying party asked for, then what the browser says; of
// what is offered.
func (o offer) spoken(r *http.Request, locales string) tongue {
	before := ""
	if c, err := r.Cookie(languageCookie); err == nil {
		before = c.Value
	}
	return tongue(message.ChooseOf(o.tags, o.fallback, r.URL.Query().Get("lang"), before, locales, r.Header.Get("Accept-Language")))
}

// speak keeps a language that was chosen, if it is offered.
func (d Door) speak(w http.ResponseWriter, chosen string, o offer) {
	if slices.Contains(o.tags, chosen) {
		http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: chosen, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, Secure: d.secure(), SameSite: http.SameSiteLaxMode})
	}
}

// choice is a link that has the page say everything in another language.
type choice struct {
	Tag, Name, Href string
	Current         bool
}

// choicesOf are the languages that are offered; none if there is but one.
func choicesOf(r *http.Request, now tongue, o offer) []choice {
	if len(o.tags) < 2 {
		return nil
	}
	q := url.Values{}
	if r.Method == http.MethodGet {
		q = r.URL.Query()
	}
	q.Del("wait")
	var out []choice
	for _, l := range languages {
		if !slices.Contains(o.tags, l.Tag) {
			continue
		}
		q.Set("lang", l.Tag)
		out = append(out, choice{l.Tag, l.Name, r.URL.Path + "?" + q.Encode(), l.Tag == string(now)})
	}
	return out
}

// sets are the pages' templates, once for each language.
var sets = func() map[tongue]*template.Template {
	base := template.New("").Funcs(template.FuncMap{"t": tongue("en").T, "tag": tongue("en").tag, "told": told})
	base = template.Must(base.ParseFS(pages, "pages/*.html"))
	out := map[tongue]*template.Template{}
	for _, l := range message.Languages() {
		out[tongue(l)] = template.Must(base.Clone()).Funcs(template.FuncMap{"t": tongue(l).T, "tag": tongue(l).tag, "told": told})
	}
	return out
}()

// told is a text with {time} in it where a script may write the reader's own time.
func told(said string, at *moment) template.HTML {
	before, after, _ := strings.Cut(said, "{time}")
	esc := template.HTMLEscapeString
	return template.HTML(esc(before) + `<time datetime="` + esc(at.ISO) + `">` + esc(at.Words) + "</time>" + esc(after)) //nolint:gosec // every part is escaped
}

// tag is a text with one of its words in braces made <strong>, for templates.
func (l tongue) tag(english, word, value string) template.HTML {
	before, after, _ := strings.Cut(l.T(english), "{"+word+"}")
	esc := template.HTMLEscapeString
	return template.HTML(esc(before) + "<strong>" + esc(value) + "</strong>" + esc(after)) //nolint:gosec // every part is escaped
}
