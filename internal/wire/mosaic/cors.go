package mosaic

import (
	"net/http"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/refusal"
	"github.com/watchword-auth/watchword/internal/web"
)

// CORS lets a client's own web origins call this door from a browser, and no
// others (security R80). It stands before the routes, so that a preflight never
// meets a redirect. The SDK sends credentials, so the origin is named and never
// "*". A request without an Origin is no browser's.
func CORS(d Door, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if !strings.HasPrefix(r.URL.Path, prefix) || origin == "" || origin == d.Kit.URL {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Add("Vary", "Origin")
		var ok bool
		var err error
		d.Kit.Crew.Do(func() { ok, err = d.allowed(r, origin) })
		if err != nil || !ok {
			if err == nil {
				err = errOrigin
				d.Refused.Keep(r.Context(), refusal.Call{Client: r.URL.Query().Get("clientId"), Reason: refusal.Origin, Asked: origin, Said: errOrigin.Message, Address: web.Address(r, d.Trusted).String(), Agent: r.UserAgent()})
			}
			refuse(w, r, err, nil)
			return
		}
		web.Readable(w, origin, true)
		if r.Method != http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		web.Preflight(w, "POST", "content-type")
	})
}

var errOrigin = fault.New(fault.Denied, "This origin may not speak for the client.")

func (d Door) allowed(r *http.Request, origin string) (bool, error) {
	c, _, err := apps.FindClient(r.Context(), d.Kit.DB, apps.ClientID(r.URL.Query().Get("clientId")))
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return c.Admits(origin), nil
}
