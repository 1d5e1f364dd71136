package hosted

import (
	"net/http"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

// Preview draws a page as an application's users would see it with a branding,
// stored or not, for a frame of the console: "sign_in", "waiting" or "error".
// Nothing on it leads anywhere. The colours come from the address style, where
// "style" is drawn.
func (d Door) Preview(w http.ResponseWriter, r *http.Request, app apps.App, b apps.Branding, page, style string) {
	if page == "style" {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(sheet(b)) // whoever left does not read it
		return
	}
	reply := journey.Reply{Visit: "preview", Turn: "preview", Prompt: &journey.Prompt{Kind: "login_form", Title: "Sign in", Button: "Continue",
		Fields: form.New(form.Email("email", "E-mail address", form.Required))}}
	switch page {
	case "waiting":
		reply.Prompt = &journey.Prompt{Kind: "push.wait", Poll: true, Resend: true, Until: d.Kit.DB.Now().Add(time.Minute),
			Data: map[string]any{"number": "42", "number_mode": "type-2", "device_display_name": "Pixel 9", "resend_attempts_left": 2, "polling_interval": 3600, "expires_in": 60}}
	case "error":
		reply.Problem = fault.New(fault.Wrong, "That did not match. Try again or use another way.")
	}
	offered := d.offered(r, app.ID)
	v := describe(offered.spoken(r, ""), ticket{Of: app.ID, App: app.Name}, reply, d.Kit.DB.Now())
	v.Still = true
	for _, f := range v.Forms { // the console keeps the focus
		for i := range f.Inputs {
			f.Inputs[i].Focus = false
		}
	}
	look := lookOf(app.ID, b, v.Lang, offered)
	if look.CSS != "" {
		look.CSS = style
	}
	v.Dress = &look
	d.render(&framed{ResponseWriter: w}, r, http.StatusOK, v)
}

// framed lets pages of this server, and no others, show the page in a frame, and
// takes its forms and scripts away.
type framed struct{ http.ResponseWriter }

func (f *framed) WriteHeader(status int) {
	h := f.Header()
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Content-Security-Policy", strings.NewReplacer("frame-ancestors 'none'", "frame-ancestors 'self'", "form-action 'self'", "form-action 'none'", "script-src 'self'", "script-src 'none'",
		"connect-src 'self'", "connect-src 'none'").Replace(h.Get("Content-Security-Policy")))
	f.ResponseWriter.WriteHeader(status)
}
