package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/web"
)

// operations adds what operators and their tools ask.
func (s *Server) operations(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		web.Write(w, http.StatusOK, map[string]any{"status": "alive"}, 0)
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry(), promhttp.HandlerOpts{}))
}

// readyz says whether requests should come here: the database is reachable and
// up to date, the clock agrees with it, and the server is not going down.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.goingDown() {
		web.Write(w, http.StatusServiceUnavailable, map[string]any{"status": "draining"}, time.Second)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.Kit.DB.Ping(ctx); err != nil {
		s.config.Log.WarnContext(ctx, "not ready", "err", err)
		web.Write(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "reason": fault.Of(err).Message}, 5*time.Second)
		return
	}
	web.Write(w, http.StatusOK, map[string]any{"status": "ready"}, 0)
}

// measured counts and times requests by route. Routes are few; paths are not.
func (s *Server) measured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := s.config.Now()
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(rec, r)
		took := s.config.Now().Sub(begun)
		s.meters.http.WithLabelValues(route(r), string('0'+byte(rec.status/100))+"xx").Observe(took.Seconds())
		s.config.Log.DebugContext(r.Context(), "request", "id", w.Header().Get("X-Request-Id"), "method", r.Method, "route", route(r), "status", rec.status, "took", took)
	})
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) { r.status = status; r.ResponseWriter.WriteHeader(status) }

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// route is the label of a request: the path of the pattern that it matched, of
// which there are few, or "other".
func route(r *http.Request) string {
	_, path, ok := strings.Cut(r.Pattern, " ")
	if !ok {
		path = r.Pattern
	}
	path = strings.TrimPrefix(path, "/cis")
	if path == "" || path == "/" {
		return "other"
	}
	return path
}

// keySet adds the public keys of all that this server signs, where OpenID and the
// SDKs of cidaas look for them.
func (s *Server) keySet(mux *http.ServeMux) {
	keys := func(w http.ResponseWriter, r *http.Request) {
		set, err := s.Keys.JWKS(r.Context())
		if err != nil {
			web.Write(w, web.Status(fault.Of(err).Code), map[string]any{"error": "unavailable"}, time.Second)
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "public, max-age=300")
		w.Write(set)
	}
	mux.HandleFunc("GET /.well-known/jwks.json", keys)
	mux.HandleFunc("GET /cis/oidc/jwks", keys)
}
