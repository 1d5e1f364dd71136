// Package web is the little that every HTTP door shares: strict JSON in and out,
// who speaks, what every response carries, and the one guarded client for what
// the server itself calls out to. It knows no protocol and no product.
package web

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"strings"

	"github.com/watchword-auth/watchword/internal/fault"
)

type logKey struct{}

// line is what one request leaves in the log.
type line struct {
	id  string
	err error
}

// Wrap puts around a server what every door wants: paths normalised before any
// routing, headers that no page does without, an id for each request, one log
// line for each failure, and no panic that reaches a client.
func Wrap(h http.Handler, log *slog.Logger, trusted []netip.Prefix) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := &line{id: rand.Text()[:16]}
		r = r.WithContext(context.WithValue(r.Context(), logKey{}, l))
		r.URL.Path, r.URL.RawPath = Normalise(r.URL.Path), ""
		head := w.Header()
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("X-Frame-Options", "DENY")
		head.Set("X-Request-Id", l.id)
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				log.ErrorContext(r.Context(), "panic", "id", l.id, "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				Write(w, http.StatusInternalServerError, map[string]any{"error": "internal", "error_code": 5000, "error_message": "internal error", "headers": []any{}, "data": map[string]any{}}, 0)
				return
			}
			if l.err != nil {
				log.WarnContext(r.Context(), "request failed", "id", l.id, "method", r.Method, "path", r.URL.Path, "from", Address(r, trusted), "err", l.err)
			}
		}()
		h.ServeHTTP(w, r)
	})
}

// Report returns err as a client error and, unless it is the client's own
// doing, notes it for the log: once, with its cause.
func Report(r *http.Request, err error) *fault.Error { return Note(r.Context(), err) }

// Note is Report for who has the request's context only.
func Note(ctx context.Context, err error) *fault.Error {
	f := fault.Of(err)
	if l, ok := ctx.Value(logKey{}).(*line); ok && (f.Code == fault.Internal || f.Code == fault.Unavailable) {
		l.err = err
	}
	return f
}

// Normalise cleans a path: doubled slashes and one at the end go, dots are
// resolved. A folder of pages keeps its slash: "/playground/" stays.
func Normalise(p string) string {
	clean := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && clean != "/" && !strings.Contains(clean, "-srv/") && !strings.HasPrefix(clean, "/ido/") && !strings.HasPrefix(clean, "/device/") && !strings.HasPrefix(clean, "/cis/") && !strings.HasPrefix(clean, "/.well-known/") {
		return clean + "/"
	}
	return clean
}

// Address is who speaks: the peer of the connection or, if that is a trusted
// proxy, the right-most address of X-Forwarded-For that is not one. Forwarded,
// X-Real-Ip and spellings with underscores are never read (security R58, R59).
func Address(r *http.Request, trusted []netip.Prefix) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	peer := ap.Addr().Unmap()
	if !contains(trusted, peer) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		a, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return peer
		}
		if peer = a.Unmap().WithZone(""); !contains(trusted, peer) {
			return peer
		}
	}
	return peer
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
