package blackbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// postgres is a PostgreSQL of this test alone, which may be stopped.
type postgres struct {
	url string
	env []string
}

func ownPostgres(t *testing.T) postgres {
	t.Helper()
	if os.Getenv("TEST_POSTGRES") == "" {
		t.Skip("set TEST_POSTGRES to run what needs a PostgreSQL of its own")
	}
	_, port, err := net.SplitHostPort(address(t))
	if err != nil {
		t.Fatal(err)
	}
	p := postgres{env: append(os.Environ(), "POSTGRES_PORT="+port, "POSTGRES_DIR=/tmp/watchword-blackbox-"+port)}
	t.Cleanup(func() { p.script(t, "stop") })
	base := strings.TrimSpace(p.script(t, "start"))
	admin, err := sql.Open("pgx", base+"/postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.Exec(`CREATE DATABASE watchword`); err != nil {
		t.Fatal(err)
	}
	p.url = base + "/watchword"
	return p
}

func (p postgres) script(t *testing.T, verb string) string {
	t.Helper()
	cmd := exec.Command("../../scripts/postgres.sh", verb)
	cmd.Env = p.env
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("postgres.sh %s: %v", verb, err)
	}
	return string(out)
}

// errAway is what a well-made app makes of 503 with Retry-After: not an answer,
// but the word to ask again.
var errAway = errors.New("503: come back")

// witness is a transport that notes what a client would not tell.
type witness struct {
	next http.RoundTripper
	mu   sync.Mutex
	away int      // 503 with Retry-After
	bad  []string // any other failure of the server
}

func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := w.next.RoundTrip(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if r.Context().Err() == nil {
			w.bad = append(w.bad, fmt.Sprintf("%s: %v", r.URL.Path, err))
		}
		return nil, err
	}
	if res.StatusCode < 500 {
		return res, nil
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, 2000))
	res.Body.Close()
	if res.StatusCode == 503 && res.Header.Get("Retry-After") != "" && res.Header.Get("Content-Type") == "application/json" {
		w.away++
		return nil, errAway
	}
	w.bad = append(w.bad, fmt.Sprintf("%s: %d %v %s", r.URL.Path, res.StatusCode, res.Header, body))
	return nil, fmt.Errorf("HTTP %d", res.StatusCode)
}

func (w *witness) client() *http.Client {
	return &http.Client{Timeout: 40 * time.Second, Transport: w}
}

func (w *witness) page(t testing.TB, p place) *simulator.Browser {
	t.Helper()
	b, err := simulator.NewBrowser(simulator.BrowserOptions{Server: p.URL(), Client: "demo-web", Now: time.Now, HTTP: w.client()})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// patient waits for the end of a journey over 503s.
func patient(ctx context.Context, b *simulator.Browser) (simulator.Response, error) {
	for {
		r, err := b.Wait(ctx)
		if err == nil || !errors.Is(err, errAway) || ctx.Err() != nil {
			return r, err
		}
		<-time.After(200 * time.Millisecond)
	}
}

// status asks for a path and returns the status and Retry-After.
func status(t testing.TB, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("demo-backend", "not-the-secret")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Header.Get("Retry-After")
}

// until asks again until fn says yes.
func until(t testing.TB, limit time.Duration, what string, fn func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for time.Since(begun) < limit {
		if fn() {
			return time.Since(begun)
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatalf("%s: not within %s", what, limit)
	return 0
}

// TestPostgresAway stops PostgreSQL while journeys run. Everything that needs it
// answers 503 with Retry-After, what does not goes on, and when it is back every
// journey goes on where it was, the requests that were held included (security
// K3, Q4).
func TestPostgresAway(t *testing.T) {
	pg := ownPostgres(t)
	p := place{Listen: address(t), Data: t.TempDir(), Database: pg.url}
	start(t, p)
	w := &witness{next: &http.Transport{}}
	keys := someKeys(t, 3)
	waits, types, steps := p.phone(t, "waits@example.org", keys[0]), p.phone(t, "types@example.org", keys[1]), p.phone(t, "steps@example.org", keys[2])

	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	ask := func(b *simulator.Browser, email string) simulator.Response {
		r, err := b.Submit(ctx, "web_to_mobile", map[string]any{"email": email})
		if err != nil || r.Wire != waitStep {
			t.Fatalf("%s: %+v, %v", email, r, err)
		}
		return r
	}
	begin := func() *simulator.Browser {
		b := w.page(t, p)
		if _, err := b.Start(ctx, "web_login", nil); err != nil {
			t.Fatal(err)
		}
		return b
	}
	held, approvedThen, formOnly := begin(), begin(), begin()
	shown := ask(held, "waits@example.org")
	decided := ask(approvedThen, "types@example.org")
	list, err := types.Pending(ctx, 0)
	if err != nil || len(list) != 1 {
		t.Fatalf("pending: %v, %v", list, err)
	}
	if err := types.Approve(ctx, list[0].ID, decided.Text("number")); err != nil {
		t.Fatal(err)
	}
	ends := make(chan simulator.Response, 1)
	go func() { // held over the whole outage
		r, err := patient(ctx, held)
		if err != nil {
			t.Errorf("the held browser: %v", err)
		}
		ends <- r
	}()

	for round := range 3 {
		pg.script(t, "halt")
		if code, again := status(t, "GET", p.URL()+"/readyz", ""); code != 503 || again == "" {
			t.Errorf("readyz without a database: %d, Retry-After %q", code, again)
		}
		for _, path := range []string{"/healthz", "/metrics"} {
			if code, _ := status(t, "GET", p.URL()+path, ""); code != 200 {
				t.Errorf("%s without a database: %d", path, code)
			}
		}
		if code, again := status(t, "POST", p.URL()+"/ido/api/v2/token/introspect", `{"token":"x"}`); code != 503 || again == "" {
			t.Errorf("introspection without a database: %d, Retry-After %q", code, again)
		}
		if _, err := w.page(t, p).Start(ctx, "web_login", nil); !errors.Is(err, errAway) {
			t.Errorf("round %d: a start without a database: %v", round, err)
		}
		if _, err := formOnly.Submit(ctx, "web_to_mobile", map[string]any{"email": "steps@example.org"}); !errors.Is(err, errAway) {
			t.Errorf("round %d: an answer without a database: %v", round, err)
		}
		if _, err := waits.Pending(ctx, 0); !unavailable(err) {
			t.Errorf("round %d: a phone without a database: %v", round, err)
		}
		pg.script(t, "start")
		took := until(t, 10*time.Second, "ready again", func() bool { code, _ := status(t, "GET", p.URL()+"/readyz", ""); return code == 200 })
		t.Logf("round %d: ready %s after the database", round, took.Round(10*time.Millisecond))
	}

	if r, err := patient(ctx, approvedThen); err != nil || r.Type != simulator.Success {
		t.Errorf("approved before the outage, heard after it: %+v, %v", r, err)
	}
	shownLater := ask(formOnly, "steps@example.org")
	approve(t, ctx, steps, shownLater.Text("number"))
	if r, err := patient(ctx, formOnly); err != nil || r.Type != simulator.Success {
		t.Errorf("begun before the outage: %+v, %v", r, err)
	}
	approve(t, ctx, waits, shown.Text("number"))
	if r := <-ends; r.Type != simulator.Success {
		t.Errorf("held over the outage: %+v", r)
	}
	for _, s := range w.bad {
		t.Errorf("neither an answer nor 503 with Retry-After: %s", s)
	}
	if w.away == 0 {
		t.Error("no request met the outage")
	}
}

func unavailable(err error) bool {
	r, ok := errors.AsType[*simulator.Refusal](err)
	return ok && r.Status == 503
}

// approve answers the one request that waits for a phone.
func approve(t *testing.T, ctx context.Context, ph *simulator.Phone, number string) {
	t.Helper()
	list, err := ph.Pending(ctx, 5*time.Second)
	if err != nil || len(list) != 1 {
		t.Errorf("pending: %v, %v", list, err)
		return
	}
	if err := ph.Approve(ctx, list[0].ID, number); err != nil {
		t.Error(err)
	}
}
