package notify_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/notify/notifytest"
)

func webDesk(t testing.TB) (*desk, *notifytest.WebPush, notifytest.Subscription) {
	t.Helper()
	var d *desk
	peer := notifytest.NewWebPush(t, func() time.Time { return d.Now() })
	d = newDesk(t, notify.Options{}, &peer.Peer)
	return d, peer, peer.Subscribe(t, d.vapid(t))
}

func (d *desk) vapid(t testing.TB) string {
	t.Helper()
	var key string
	d.Do(t, func(tx *db.Tx) (err error) {
		key, err = notify.EnsureVAPID(t.Context(), tx, tenant)
		return err
	})
	return key
}
func webTarget(s notifytest.Subscription) notify.Target {
	return notify.Target{Kind: notify.WebPush, Address: s.JSON}
}

// received is what Node made of a Web Push message.
type received struct {
	Text   string
	Header map[string]any
	Claims map[string]any
}

// browser reads a message as a browser would, with http_ece and Node.
func browser(t *testing.T, sub notifytest.Subscription, r notifytest.Received) received {
	t.Helper()
	pkg, err := filepath.Abs("../../tests/node/package.json")
	if err != nil {
		t.Fatal(err)
	}
	_, missing := exec.LookPath("node")
	if missing == nil {
		_, missing = os.Stat(filepath.Join(filepath.Dir(pkg), "node_modules", "http_ece"))
	}
	if missing != nil {
		if os.Getenv("WATCHWORD_REQUIRE_ALL") != "" {
			t.Fatal("node and `npm ci` in tests/node are required: ", missing)
		}
		t.Skip("needs node and `npm ci` in tests/node: ", missing)
	}
	in, err := json.Marshal(map[string]string{
		"private": base64.RawURLEncoding.EncodeToString(sub.Private.Bytes()), "auth": base64.RawURLEncoding.EncodeToString(sub.Auth),
		"body": base64.RawURLEncoding.EncodeToString(r.Body), "authorization": r.Header.Get("Authorization")})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "testdata/receive.mjs", pkg)
	cmd.Stdin = bytes.NewReader(in)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got received
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWebPushDelivers(t *testing.T) {
	d, peer, sub := webDesk(t)
	d.send(t, d.message("req-51b7", webTarget(sub)))
	quiet(t, &peer.Peer)
	got := peer.Received()
	if len(got) != 1 {
		t.Fatalf("%d messages arrived, want 1; log: %s", len(got), d.log)
	}
	if ttl := got[0].Header.Get("Ttl"); ttl != "120" {
		t.Errorf("TTL %s, want 120", ttl)
	}
	if bytes.Contains(got[0].Body, []byte("req-51b7")) {
		t.Error("the push service can read the message")
	}
	read := browser(t, sub, got[0])
	want := `{"auth_req_id":"req-51b7","body":"Tap to approve","kind":"approve","payload":"{\"auth_req_id\":\"req-51b7\"}","requestId":"req-51b7","title":"Sign in?"}`
	if read.Text != want {
		t.Errorf("the browser reads\n%s\nwant\n%s", read.Text, want)
	}
	if read.Header["alg"] != "ES256" || read.Claims["aud"] != peer.URL || read.Claims["sub"] != "https://id.example" {
		t.Errorf("vapid token %v %v", read.Header, read.Claims)
	}
}

func TestWebPushNewKeysEachTime(t *testing.T) {
	d, peer, sub := webDesk(t)
	for range 3 {
		d.send(t, d.message("req-1", webTarget(sub)))
	}
	seen := map[string]bool{}
	for _, r := range peer.Received() {
		seen[string(r.Body[:16])] = true   // salt
		seen[string(r.Body[21:86])] = true // message key
	}
	if len(seen) != 6 {
		t.Errorf("%d different salts and keys in three messages, want 6", len(seen))
	}
}

// A Web Push endpoint is what a user says it is (security J14).
func TestWebPushEndpointIsGuarded(t *testing.T) {
	d, _, sub := webDesk(t)
	var hits int
	var mu sync.Mutex
	canary, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer canary.Close()
	go func() {
		for {
			c, err := canary.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			hits++
			mu.Unlock()
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(canary.Addr().String())
	hosts := []string{"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "0", "127.0.0.1."}
	for i, host := range hosts {
		var doc map[string]any
		if err := json.Unmarshal([]byte(sub.JSON), &doc); err != nil {
			t.Fatal(err)
		}
		doc["endpoint"] = "https://" + host + ":" + port + "/push"
		b, _ := json.Marshal(doc)
		id := fmt.Sprint("req-", i)
		d.send(t, d.message(id, notify.Target{Kind: notify.WebPush, Address: string(b)}))
		gone, trouble := d.heard()
		if len(gone) != 1 || !slices.Equal(trouble, []string{id + " gone"}) {
			t.Errorf("%s: gone %q, trouble %q; want the target dropped", host, gone, trouble)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if hits != 0 {
		t.Errorf("%d connections reached this machine", hits)
	}
}

// A browser shows one notification of an account at a time, and takes it away when
// the request ends. The service sees the same topic, and no ids.
func TestWebPushReplacesAndEnds(t *testing.T) {
	d, peer, sub := webDesk(t)
	for _, id := range []string{"req-1", "req-2"} {
		m := d.message(id, webTarget(sub))
		m.Slot = "slot_of_somebody"
		d.send(t, m)
	}
	m := d.message("req-2", webTarget(sub))
	m.Slot, m.Over = "slot_of_somebody", true
	d.send(t, m)
	quiet(t, &peer.Peer)
	got := peer.Received()
	if len(got) != 3 {
		t.Fatalf("%d of 3 messages arrived; log: %s", len(got), d.log)
	}
	for i, r := range got {
		if topic := r.Header.Get("Topic"); topic != got[0].Header.Get("Topic") || strings.Contains(topic, "somebody") {
			t.Errorf("message %d has the topic %q", i, topic)
		}
		var read map[string]string
		if err := json.Unmarshal([]byte(browser(t, sub, r).Text), &read); err != nil {
			t.Fatal(err)
		}
		if read["slot"] != "slot_of_somebody" || (read["over"] == "yes") != (i == 2) {
			t.Errorf("message %d says %v", i, read)
		}
	}
	m.Target = fcmTarget()
	if err := d.DB.Tx(t.Context(), func(tx *db.Tx) error { return notify.SendPush(t.Context(), tx, m) }); err == nil {
		t.Error("a phone that knows no ends was to be told of one")
	}
	m.Target, m.Slot = webTarget(sub), "ada@example.org"
	if err := d.DB.Tx(t.Context(), func(tx *db.Tx) error { return notify.SendPush(t.Context(), tx, m) }); err == nil {
		t.Error("an address was queued as a slot")
	}
}
