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

// Preview draws a page as an application's users see it, for a frame of the
// console: "sign_in", "waiting" or "error". Nothing on it leads anywhere.
func (d Door) Preview(w http.ResponseWriter, r *http.Request, app apps.App, page string) {
	reply := journey.Reply{Visit: "preview", Turn: "preview", Prompt: &journey.Prompt{Kind: "login_form", Title: "Sign in", Button: "Continue",
		Fields: form.New(form.Email("email", "E-mail address", form.Required))}}
	switch page {
	case "waiting":
		reply.Prompt = &journey.Prompt{Kind: "push.wait", Poll: true, Resend: true, Until: d.Kit.DB.Now().Add(time.Minute),
			Data: map[string]any{"number": "42", "number_mode": "type-2", "device_display_name": "Pixel 9", "resend_attempts_left": 2, "polling_interval": 3600, "expires_in": 60}}
	case "error":
		reply.Problem = fault.New(fault.Wrong, "That did not match. Try again or use another way.")
	}
	v := describe(d.offered(r, app.ID).spoken(r, ""), ticket{Of: app.ID, App: app.Name}, reply, d.Kit.DB.Now())
	v.Still = true
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
