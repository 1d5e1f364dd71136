package server_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/server"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// world is a whole server on loopback, with the seeded demo application and a
// clock of the test's own.
type world struct {
	*server.Server
	URL string
	now time.Time
	mu  sync.Mutex
}

func newWorld(t testing.TB) *world { return openWorld(t, kittest.Address(t)) }

// openWorld starts a server on the database at url; two of them on one
// PostgreSQL are two nodes.
func openWorld(t testing.TB, url string) *world {
	t.Helper()
	return openLogged(t, url, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func openLogged(t testing.TB, url string, log *slog.Logger) *world {
	t.Helper()
	return openWith(t, url, log, nil)
}

// openWith starts a server that calls out through outgoing; nil is as the real
// one does.
func openWith(t testing.TB, url string, log *slog.Logger, outgoing *http.Client) *world {
	t.Helper()
	return openConfigured(t, server.Config{Database: url, Log: log, Outgoing: outgoing})
}

// openConfigured starts a server that is told more than where and when it is.
func openConfigured(t testing.TB, c server.Config) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	h := httptest.NewUnstartedServer(nil)
	w.URL = "http://" + h.Listener.Addr().String()
	c.URL, c.MasterKey, c.Dev, c.Now, c.RatePerAddress = w.URL, make([]byte, 32), true, w.Now, -1
	s, err := server.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	w.Server = s
	if err := s.Dev.Seed(t.Context(), t.TempDir(), 30); err != nil {
		t.Fatal(err)
	}
	h.Config.Handler = s.Handler()
	h.Start()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		h.Close()
	})
	return w
}

func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Pass lets time pass.
func (w *world) Pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// keys are made once: RSA keys take a tenth of a second each.
var keys = sync.OnceValue(func() []*simulator.Keys {
	var out []*simulator.Keys
	for range 4 {
		k, err := simulator.NewKeys()
		if err != nil {
			panic(err)
		}
		out = append(out, k)
	}
	return out
})

// phone is an unregistered phone with the i-th keys.
func (w *world) phone(t testing.TB, email string, i int) *simulator.Phone {
	t.Helper()
	p, err := simulator.New(simulator.Options{Server: w.URL, Client: "demo-native", Email: email, DeviceName: "Pixel 9", Keys: keys()[i], Now: w.Now,
		Code: func(context.Context) (string, error) { return w.sentCode(t, "mail", email, 1), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// registered is a phone of a user, set up.
func (w *world) registered(t testing.TB, email string, i int) *simulator.Phone {
	t.Helper()
	p := w.phone(t, email, i)
	if err := p.Register(t.Context()); err != nil {
		t.Fatalf("registering: %v", err)
	}
	return p
}

func (w *world) browser(t testing.TB) *simulator.Browser {
	t.Helper()
	b, err := simulator.NewBrowser(simulator.BrowserOptions{Server: w.URL, Client: "demo-web", Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const waitStep = "transmit_platform_mobile_approve_authentication"

// asked is a browser that waits for the phone.
func (w *world) asked(t testing.TB, email string) (*simulator.Browser, simulator.Response) {
	t.Helper()
	b := w.browser(t)
	if _, err := b.Start(t.Context(), "web_login", nil); err != nil {
		t.Fatal(err)
	}
	r, err := b.Submit(t.Context(), "web_to_mobile", map[string]any{"email": email})
	if err != nil || r.Step != waitStep {
		t.Fatalf("after the form: %+v, %v", r, err)
	}
	return b, r
}

// pending is the one request that waits for a phone.
func pending(t testing.TB, p *simulator.Phone) simulator.Request {
	t.Helper()
	list, err := p.Pending(t.Context(), 5*time.Second)
	if err != nil || len(list) != 1 {
		t.Fatalf("pending: %v, %v", list, err)
	}
	return list[0]
}

func ended(t testing.TB, b *simulator.Browser) simulator.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := b.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// publish makes a journey of the demo tenant from its file.
func (w *world) publish(t testing.TB, text string) {
	t.Helper()
	var g journey.Graph
	if err := json.Unmarshal([]byte(text), &g); err != nil {
		t.Fatal(err)
	}
	if bad := g.Check(nil); journey.Refused(bad) != nil {
		t.Fatal(bad)
	}
	if err := w.Kit.DB.Move(t.Context(), func(tx *db.Tx) error {
		_, err := journey.Publish(t.Context(), tx, "default", g)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
