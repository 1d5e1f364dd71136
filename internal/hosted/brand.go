package hosted

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/web"
)

// look is what a page shows of an application's branding.
type look struct {
	CSS, Logo, LogoDark     string // addresses; empty: ours
	Width, Height           int
	Welcome, Foot           string
	Privacy, Terms, Support string
}

// brandPath is where the branding of applications is served.
const brandPath = "/login-assets/brand/"

// lookOf is the branding of an application in a language; what it does not say in
// that one it says in the tenant's own, or in English.
func lookOf(app apps.ID, b apps.Branding, l tongue, o offer) look {
	hash := b.Hash()
	if hash == "" {
		return look{}
	}
	at := brandPath + string(app)
	words := b.Texts[string(l)]
	for _, other := range []string{o.fallback, "en"} {
		if words == (apps.Words{}) {
			words = b.Texts[other]
		}
	}
	out := look{Welcome: words.Welcome, Foot: words.Foot, Privacy: b.Privacy, Terms: b.Terms, Support: b.Support}
	if b.Signal != "" || b.SignalDark != "" {
		out.CSS = at + ".css?v=" + hash
	}
	if len(b.Logo) > 0 {
		out.Logo = at + "/logo?v=" + hash
	}
	if len(b.LogoDark) > 0 {
		out.LogoDark = at + "/logo-dark?v=" + hash
		if out.Logo == "" {
			out.Logo = out.LogoDark
		}
	}
	return out
}

// styled serves the colours of an application as a style sheet, logo its pictures.
func (d Door) styled(w http.ResponseWriter, r *http.Request) {
	app, ok := strings.CutSuffix(r.PathValue("file"), ".css")
	if !ok {
		http.NotFound(w, r)
		return
	}
	d.asset(w, r, app, "text/css; charset=utf-8", func(b apps.Branding) []byte { return sheet(b) })
}

func (d Door) logo(w http.ResponseWriter, r *http.Request) {
	switch r.PathValue("which") {
	case "logo":
		d.asset(w, r, r.PathValue("file"), "image/png", func(b apps.Branding) []byte { return b.Logo })
	case "logo-dark":
		d.asset(w, r, r.PathValue("file"), "image/png", func(b apps.Branding) []byte { return b.LogoDark })
	default:
		http.NotFound(w, r)
	}
}

// sheet is made of colours that were checked when they were set.
func sheet(b apps.Branding) []byte {
	var out strings.Builder
	rule := func(colour string) string {
		return ":root{--signal:" + colour + ";--on-signal:" + apps.OnSignal(colour) + "}"
	}
	if b.Signal != "" {
		out.WriteString("@media (prefers-color-scheme:light){" + rule(b.Signal) + "}")
	}
	if b.SignalDark != "" {
		out.WriteString("@media (prefers-color-scheme:dark){" + rule(b.SignalDark) + "}")
	}
	return []byte(out.String())
}

// asset serves a part of a branding: for good under the name of its state, and to
// be asked for again under any other.
func (d Door) asset(w http.ResponseWriter, r *http.Request, app, kind string, part func(b apps.Branding) []byte) {
	b, err := apps.FindBranding(r.Context(), d.Kit.DB, apps.ID(app))
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), web.Status(web.Report(r, err).Code))
		return
	}
	body := part(b)
	if len(body) == 0 {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	if hash := b.Hash(); r.URL.Query().Get("v") == hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // whoever left does not read it
}

// branded fills in how the page of an application looks. A branding that cannot
// be read costs nobody a sign-in: the page then looks like ours.
func (d Door) branded(r *http.Request, v *view, o offer) {
	if v.Dress != nil {
		v.Look = *v.Dress
		return
	}
	if v.AppID == "" {
		return
	}
	b, err := apps.FindBranding(r.Context(), d.Kit.DB, v.AppID)
	if err != nil {
		if !fault.Is(err, fault.NotFound) {
			web.Report(r, err)
		}
		return
	}
	v.Look = lookOf(v.AppID, b, v.Lang, o)
}
