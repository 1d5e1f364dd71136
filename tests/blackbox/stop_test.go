package blackbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// exchanges counts requests and what became of them.
type exchanges struct {
	next  http.RoundTripper
	sent  atomic.Int64
	open  atomic.Int64 // connections made
	mu    sync.Mutex
	wrong []string
}

// RoundTrip fails a request only where nobody listens any more: that one never
// reached a server.
func (e *exchanges) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { e.open.Add(1) }}
	res, err := e.next.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	refused := err != nil && strings.Contains(err.Error(), "connection refused")
	if !refused {
		e.sent.Add(1)
	}
	if err != nil && !refused && !errors.Is(err, context.Canceled) || err == nil && res.StatusCode >= 500 && r.URL.Path != "/readyz" {
		e.mu.Lock()
		defer e.mu.Unlock()
		if err == nil {
			err = fmt.Errorf("%s", res.Status)
		}
		e.wrong = append(e.wrong, r.URL.Path+": "+err.Error())
	}
	return res, err
}

// fresh is a transport on which each request has its own connection.
func fresh() http.RoundTripper { return &http.Transport{DisableKeepAlives: true} }

// TestGracefulStop: browsers and a phone wait, and somebody is slow to say what
// they want, when the server is told to stop. All that is held is answered, the
// slow one is cut off, and the exit status is 0 (security K10). Who comes at that
// very moment is TestRollingRestart's.
func TestGracefulStop(t *testing.T) {
	p := place{Listen: address(t), Data: t.TempDir()}
	n := start(t, p)
	e := &exchanges{next: fresh()}
	via := &http.Client{Timeout: 40 * time.Second, Transport: e}
	keys := someKeys(t, 1)[0]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	var waiting sync.WaitGroup
	held := 0
	for i := range 20 {
		email := fmt.Sprintf("stop%d@example.org", i)
		if i < 3 {
			ph, err := simulator.New(simulator.Options{Server: p.URL(), Client: "demo-native", Email: email, Keys: keys, Now: time.Now, HTTP: via})
			if err != nil {
				t.Fatal(err)
			}
			if err := ph.Register(ctx); err != nil {
				t.Fatal(err)
			}
		}
		b, err := simulator.NewBrowser(simulator.BrowserOptions{Server: p.URL(), Client: "demo-web", Now: time.Now, HTTP: via})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Start(ctx, "web_login", nil); err != nil {
			t.Fatal(err)
		}
		if r, err := b.Submit(ctx, "web_to_mobile", map[string]any{"email": email}); err != nil || r.Wire != waitStep {
			t.Fatalf("%+v, %v", r, err)
		}
		held++
		waiting.Go(func() { b.Submit(ctx, simulator.ClientInput, nil) })
	}
	lonely, err := simulator.New(simulator.Options{Server: p.URL(), Client: "demo-native", Email: "lonely@example.org", Keys: someKeys(t, 1)[0], Now: time.Now, HTTP: via})
	if err != nil {
		t.Fatal(err)
	}
	if err := lonely.Register(ctx); err != nil {
		t.Fatal(err)
	}
	before := e.open.Load()
	waiting.Go(func() { lonely.Pending(ctx, 25*time.Second) })
	until(t, 5*time.Second, "the phone is connected", func() bool { return e.open.Load() > before })
	idle := slow(t, p, "POST /ido/api/v2/auth/assert HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	defer idle.Close()
	until(t, 10*time.Second, "all requests are held", func() bool { return metric(t, p, "watchword_held_requests") >= float64(held) })

	// A new connection is accepted after those before it.
	http.DefaultClient.CloseIdleConnections()
	if code, _ := status(t, "GET", p.URL()+"/healthz", ""); code != 200 {
		t.Errorf("healthz: %d", code)
	}
	code, took := n.stop(t)
	waiting.Wait()
	if code != 0 || took > 10*time.Second {
		t.Errorf("exit status %d after %s\n%s", code, took, n.log)
	}
	for _, s := range e.wrong {
		t.Errorf("failed: %s", s)
	}
	t.Logf("stopped within %s; %d requests answered", took.Round(time.Millisecond), e.sent.Load())
}

// slow opens a connection and writes the beginning of a request.
func slow(t testing.TB, p place, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Listen)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// metric is a value without labels, or the sum over the labels that begin with
// the name; -1 if there is none.
func metric(t testing.TB, p place, name string) float64 {
	t.Helper()
	res, err := http.Get(p.URL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	sum, found := 0.0, false
	for s := bufio.NewScanner(res.Body); s.Scan(); {
		if !strings.HasPrefix(s.Text(), name) {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(s.Text()[strings.LastIndexByte(s.Text(), ' ')+1:], &v); err == nil {
			sum, found = sum+v, true
		}
	}
	if !found {
		return -1
	}
	return sum
}

// TestRollingRestart restarts the two nodes of one PostgreSQL in turn behind a
// balancer that asks /readyz, while people sign in, their phones on one node and
// their browsers on the other. No request fails and no journey is lost.
func TestRollingRestart(t *testing.T) {
	if os.Getenv("TEST_POSTGRES") == "" {
		t.Skip("set TEST_POSTGRES to run what needs two nodes")
	}
	key := t.TempDir()
	database := kittest.Address(t)
	front := address(t)
	seed := place{Listen: address(t), Data: key, Database: database}
	if code, _ := start(t, seed).stop(t); code != 0 { // makes the demo application and the key
		t.Fatalf("seeding: %d", code)
	}
	nodes := []place{{Listen: address(t), Data: key, Database: database}, {Listen: address(t), Data: key, Database: database}}
	procs := []*node{serve(t, nodes[0], front), serve(t, nodes[1], front)}
	lb := &balancer{nodes: nodes}
	l, err := net.Listen("tcp", front)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: lb}
	go server.Serve(l)
	defer server.Close()
	checks, stopChecks := context.WithCancel(t.Context())
	defer stopChecks()
	go lb.watch(checks)
	until(t, 10*time.Second, "both nodes are ready", func() bool { return len(lb.ready()) == 2 })

	p := place{Listen: front}
	e := &exchanges{next: &http.Transport{}}
	var people sync.WaitGroup
	stop := make(chan struct{})
	var done atomic.Int64
	for i, k := range someKeys(t, 6) {
		email := fmt.Sprintf("roll%d@example.org", i)
		ph := p.phone(t, email, k)
		people.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := signIn(t, p, ph, email, &http.Client{Timeout: 40 * time.Second, Transport: e}); err != nil {
					t.Errorf("%s: %v", email, err)
					return
				}
				done.Add(1)
			}
		})
	}
	for range 2 {
		for i := range nodes {
			code, took := procs[i].stop(t)
			if code != 0 || took > 10*time.Second {
				t.Errorf("node %d: status %d after %s", i, code, took)
			}
			procs[i] = serve(t, nodes[i], front)
			until(t, 10*time.Second, "both nodes are ready", func() bool { return len(lb.ready()) == 2 })
		}
	}
	close(stop)
	people.Wait()
	for _, s := range append(e.wrong, lb.failed()...) {
		t.Errorf("failed: %s", s)
	}
	t.Logf("%d sign-ins over 4 restarts, %d requests", done.Load(), e.sent.Load())
	if done.Load() < 10 {
		t.Error("too few sign-ins to say anything")
	}
}

func signIn(t *testing.T, p place, ph *simulator.Phone, email string, via *http.Client) error {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	b, err := simulator.NewBrowser(simulator.BrowserOptions{Server: p.URL(), Client: "demo-web", Now: time.Now, HTTP: via})
	if err != nil {
		return err
	}
	if _, err := b.Start(ctx, "web_login", nil); err != nil {
		return err
	}
	r, err := b.Submit(ctx, "web_to_mobile", map[string]any{"email": email})
	if err != nil || r.Wire != waitStep {
		return fmt.Errorf("after the form: %+v, %v", r, err)
	}
	ends := make(chan error, 1)
	go func() {
		r, err := b.Wait(ctx)
		if err == nil && r.Type != simulator.Success {
			err = fmt.Errorf("%s %s", r.Type, r.Reason)
		}
		ends <- err
	}()
	list, err := ph.Pending(ctx, 5*time.Second)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("%d requests wait", len(list))
	}
	if err == nil {
		err = ph.Approve(ctx, list[0].ID, r.Text("number"))
	}
	if err != nil {
		cancel()
		<-ends
		return err
	}
	return <-ends
}

// serve starts `watchword serve` as production does. It lingers for longer than a
// balancer's round of checks takes, which was seen to be 1.1 s on a busy machine.
func serve(t testing.TB, p place, front string) *node {
	t.Helper()
	n, err := launchArgs("serve", "--listen", p.Listen, "--data", p.Data, "--database", p.Database, "--url", "http://"+front, "--rate-per-address=-1",
		"--log-format", "json", "--linger", "3s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.kill(); keep(t, n) })
	return n
}

// balancer sends requests in turn to the nodes that say that they are ready, as
// load balancers do; it never sends one twice.
type balancer struct {
	nodes []place
	mu    sync.Mutex
	up    []place
	turn  int
	wrong []string
}

func (b *balancer) watch(ctx context.Context) {
	for ctx.Err() == nil {
		var up []place
		for _, n := range b.nodes {
			if res, err := http.Get(n.URL() + "/readyz"); err == nil {
				res.Body.Close()
				if res.StatusCode == http.StatusOK {
					up = append(up, n)
				}
			}
		}
		b.mu.Lock()
		b.up = up
		b.mu.Unlock()
		<-time.After(100 * time.Millisecond)
	}
}

func (b *balancer) ready() []place { b.mu.Lock(); defer b.mu.Unlock(); return b.up }

func (b *balancer) failed() []string { b.mu.Lock(); defer b.mu.Unlock(); return b.wrong }

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	up := b.up
	b.turn++
	turn := b.turn
	b.mu.Unlock()
	if len(up) == 0 {
		http.Error(w, "no node", http.StatusBadGateway)
		return
	}
	to, err := url.Parse(up[turn%len(up)].URL())
	if err != nil {
		panic(err)
	}
	proxy := httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) { pr.SetURL(to) }, ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
		if r.Context().Err() == nil {
			b.mu.Lock()
			b.wrong = append(b.wrong, to.Host+r.URL.Path+": "+err.Error())
			b.mu.Unlock()
		}
		w.WriteHeader(http.StatusBadGateway)
	}}
	proxy.ServeHTTP(w, r)
}

// TestSlowClients: whoever does not finish a request in time is cut off, and is
// in nobody's way meanwhile (slowloris).
func TestSlowClients(t *testing.T) {
	p := place{Listen: address(t), Data: t.TempDir()}
	start(t, p)
	var slows []net.Conn
	var begun time.Time
	kittest.Prompt(t, time.Second, "an answer beside slow clients", func() time.Duration {
		slows = nil
		for range 200 {
			c := slow(t, p, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ")
			t.Cleanup(func() { c.Close() })
			slows = append(slows, c)
		}
		begun = time.Now()
		if code, _ := status(t, "GET", p.URL()+"/healthz", ""); code != 200 {
			t.Errorf("beside slow clients: %d", code)
		}
		return time.Since(begun)
	})
	for _, c := range slows {
		c.SetReadDeadline(begun.Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a request head was still waited for after %s", time.Since(begun))
		}
	}
}

// TestRateOfOneAddress: beyond its rate an address hears 429, when to come back,
// and words in the shape of the door it spoke to.
func TestRateOfOneAddress(t *testing.T) {
	p := place{Listen: address(t), Data: t.TempDir()}
	if _, errs, code := tool(t, "keys", "generate", "--out", p.Data+"/master.key"); code != 0 {
		t.Fatal(errs)
	}
	n, err := launchArgs("serve", "--listen", p.Listen, "--data", p.Data, "--rate-per-address", "2", "--linger", "0s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.kill)
	limited := map[string]bool{}
	for range 30 {
		for _, path := range []string{"/ido/api/v2/auth/assert", "/device/v1/pending", "/ido/api/v2/token/introspect"} {
			res, err := http.Post(p.URL()+path, "application/json", strings.NewReader(`{}`))
			if err != nil {
				t.Fatal(err)
			}
			var doc struct {
				Code    int              `json:"error_code"`
				Text    string           `json:"error_message"`
				Headers []map[string]any `json:"headers"`
				Data    map[string]any   `json:"data"`
				Error   string           `json:"error"`
				Message string           `json:"message"`
			}
			bad := json.NewDecoder(res.Body).Decode(&doc)
			res.Body.Close()
			if res.StatusCode != http.StatusTooManyRequests {
				continue
			}
			limited[path] = true
			if bad != nil || res.Header.Get("Retry-After") == "" || doc.Code == 0 || doc.Text == "" || doc.Headers == nil || doc.Data == nil || doc.Error == "" || doc.Message == "" {
				t.Fatalf("%s: %v %+v %v", path, res.Header, doc, bad)
			}
		}
	}
	if len(limited) != 3 {
		t.Errorf("limited: %v", limited)
	}
	if code, _ := status(t, "GET", p.URL()+"/healthz", ""); code != 200 {
		t.Errorf("healthz is limited: %d", code)
	}
}
