package blackbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// wiretap keeps what clients and server say to each other.
type wiretap struct {
	next http.RoundTripper
	mu   sync.Mutex
	said bytes.Buffer
}

func (w *wiretap) RoundTrip(r *http.Request) (*http.Response, error) {
	out, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	sent, err := io.ReadAll(out)
	if err != nil {
		return nil, err
	}
	res, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(res.Body)
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(got))
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(&w.said, "%s\n%s\n%s\n", r.URL.RawQuery, sent, got)
	return res, err
}

// secrets are the values in what was said that nobody who reads logs may learn:
// session ids, turns, tokens, signatures, keys, addresses to push to.
var secretMembers = regexp.MustCompile(`"(?:session_id|challenge|fch|token|signature|request_id_signature|device_token|signedChallenge|biometrics_challenge|platform_device_key|nonce)":"([^"]{12,})"`)

// TestLogsAndMetrics runs sign-ins, refusals and rubbish with the log at its
// most talkative. Nothing secret is in the log, every line is JSON, each request
// is there once, and the metrics say what happened without naming anybody.
func TestLogsAndMetrics(t *testing.T) {
	p := place{Listen: address(t), Data: t.TempDir(), Extra: []string{"--log-level", "debug"}}
	n := start(t, p)
	tap := &wiretap{next: &http.Transport{}}
	via := &http.Client{Timeout: 40 * time.Second, Transport: tap}
	ph, err := simulator.New(simulator.Options{Server: p.URL(), Client: "demo-native", Email: "grace.hopper@example.org", Keys: someKeys(t, 1)[0], Now: time.Now, HTTP: via})
	if err != nil {
		t.Fatal(err)
	}
	if err := ph.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := signIn(t, p, ph, "grace.hopper@example.org", via); err != nil {
		t.Fatal(err)
	}
	b, err := simulator.NewBrowser(simulator.BrowserOptions{Server: p.URL(), Client: "demo-web", Now: time.Now, HTTP: via})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Start(t.Context(), "web_login", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Submit(t.Context(), "web_to_mobile", map[string]any{"email": "grace.hopper@example.org"}); err != nil {
		t.Fatal(err)
	}
	list, err := ph.Pending(t.Context(), 5*time.Second)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if err := ph.Approve(t.Context(), list[0].ID, "00"); err == nil {
		t.Error("a wrong number was accepted")
	}
	for _, path := range []string{"/ido/api/v2/auth/assert?sid=ses_SECRETSECRETSECRET", "/nowhere/SECRETSECRETSECRET", "/ido/api/v2/token/introspect"} {
		status(t, "POST", p.URL()+path, `{"token":"SECRETSECRETSECRET"}`)
	}

	if v := metric(t, p, `watchword_events_total{outcome="success",type="push.approved"}`); v != 1 {
		t.Errorf("approved: %v", v)
	}
	if v := metric(t, p, `watchword_events_total{outcome="failure",type="auth.push.failed"}`); v != 1 {
		t.Errorf("wrong numbers: %v", v)
	}
	if v := metric(t, p, `watchword_events_total{outcome="success",type="journey.completed"}`); v != 2 { // the phone's and the browser's
		t.Errorf("completed journeys: %v", v)
	}
	until(t, 30*time.Second, "two messages are captured", func() bool { // they go out beside what was answered
		return metric(t, p, `watchword_messages_total{channel="none",outcome="captured"}`) == 2
	})
	for _, name := range []string{"watchword_held_requests", "watchword_jobs{", "watchword_jobs_oldest_seconds", "watchword_db_transactions_total", "watchword_http_request_seconds_count"} {
		until(t, 30*time.Second, "the metric "+name, func() bool { return metric(t, p, name) >= 0 }) // what the database cannot say at once is left out
	}
	page := body(t, p.URL()+"/metrics")
	series := 0
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "watchword_") {
			series++
		}
	}
	for i := range 300 { // what clients make up makes no series
		status(t, "POST", fmt.Sprintf("%s/made/up/%d", p.URL(), i), "{}")
		status(t, "POST", fmt.Sprintf("%s/ido/api/v2/auth/assert?sid=%d", p.URL(), i), fmt.Sprintf(`{"data":{"assert":"kind%d"}}`, i))
	}
	after := 0
	for line := range strings.Lines(body(t, p.URL()+"/metrics")) {
		if strings.HasPrefix(line, "watchword_") {
			after++
		}
	}
	if after > series+30 { // a route and class that was not met before has ten
		t.Errorf("%d series became %d", series, after)
	}

	if code, _ := n.stop(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
	said, log := tap.said.String(), n.log.String()
	values := map[string]bool{"SECRETSECRETSECRET": true, "grace.hopper@example.org": true}
	for _, m := range secretMembers.FindAllStringSubmatch(said, -1) {
		values[m[1]] = true
	}
	if len(values) < 15 {
		t.Errorf("only %d secrets to look for", len(values))
	}
	for v := range values {
		if strings.Contains(log, v) || strings.Contains(page, v) {
			t.Errorf("in the log or the metrics: %s", v)
		}
	}
	requests := 0
	for line := range strings.Lines(log) {
		var doc map[string]any
		if err := json.Unmarshal([]byte(line), &doc); err != nil || doc["time"] == nil || doc["level"] == nil || doc["msg"] == nil {
			t.Fatalf("not a line of a structured log: %s", line)
		}
		if doc["msg"] == "request" {
			requests++
			if doc["id"] == "" || doc["route"] == "" || doc["status"] == nil {
				t.Errorf("a request without id, route or status: %s", line)
			}
		}
	}
	if requests < 620 {
		t.Errorf("%d requests in the log", requests)
	}
}

func body(t testing.TB, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
