package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/watchword-auth/watchword/internal/audit"
)

// drainTime bounds what a server that goes down waits for its last requests.
const drainTime = 8 * time.Second

// drain goes down without failing anybody: it is not ready any more and answers
// what is held; it goes on serving for Config.Linger, in which a load balancer
// notices; then it takes nothing new, finishes what it has, and closes. Whoever
// has not sent a whole request by then is cut off.
func (s *Server) drain(ctx context.Context, h *http.Server) error {
	s.release()
	linger := time.NewTimer(s.config.Linger)
	<-linger.C
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	err := h.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.config.Log.Warn("requests were cut off at shutdown")
		err = h.Close()
	}
	s.stop()
	s.work.Wait() // the background sealer must not be in the way
	s.seal(ctx)
	return errors.Join(err, s.Close())
}

// seal chains what the last requests recorded, so that a server at rest leaves
// nothing that could be changed unseen. Another node, or the next start, does it
// if the database is away.
func (s *Server) seal(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := audit.Seal(ctx, s.Kit.DB); err != nil {
		s.config.Log.WarnContext(ctx, "the audit record was not sealed at shutdown", "err", err)
	}
}

// release answers what is held and makes the server not ready.
func (s *Server) release() {
	s.once.Do(func() { close(s.draining) })
	s.Engine.Release()
}

func (s *Server) goingDown() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// leaving tells clients of a server that goes down to connect anew: to another.
func (s *Server) leaving(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.goingDown() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
