package notify_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
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
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/notify/notifytest"
)

const (
	tenant = "tnt_hidden"
	app    = "app_hidden"
	device = "dev_hidden"
	number = "47"
	answer = "yes_it_is_me"
)

var (
	token    = strings.Repeat("0a1b2c3d", 8)
	fcmToken = "fcm-registration-token:APA91b"
)

// desk is a notifier with everything that listens to it.
type desk struct {
	*kittest.World
	n    *notify.Notifier
	jobs *jobs.Worker
	log  *lines

	mu      sync.Mutex
	gone    []string // "target address"
	trouble []string // "request reason"
	told    chan string
}

func newDesk(t testing.TB, o notify.Options, peers ...*notifytest.Peer) *desk {
	t.Helper()
	d := &desk{World: kittest.New(t), log: &lines{}, told: make(chan string, 1000)}
	d.jobs = jobs.NewWorker(d.DB, slog.New(slog.NewTextHandler(d.log, nil)))
	o.Client = notifytest.Client(peers...)
	o.Subject = "https://id.example"
	o.Gone = func(_ context.Context, _ *db.Tx, id, address string) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.gone = append(d.gone, id+" "+address)
		return nil
	}
	o.Trouble = func(_ context.Context, id, reason string) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.trouble = append(d.trouble, id+" "+reason)
		d.told <- id
		return nil
	}
	d.n = notify.New(d.DB, o)
	d.n.Serve(d.jobs)
	return d
}

func (d *desk) drain(t testing.TB) {
	t.Helper()
	for {
		more, err := d.jobs.RunOne(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return
		}
	}
}

func (d *desk) save(t testing.TB, app, kind, name string, doc map[string]any) {
	t.Helper()
	d.Do(t, func(tx *db.Tx) error { return notify.SaveProvider(t.Context(), tx, tenant, app, kind, name, doc) })
}

func (d *desk) message(id string, target notify.Target) notify.Message {
	return notify.Message{Tenant: tenant, App: app, Device: device, RequestID: id, Title: "Sign in?", Body: "Tap to approve",
		Data: map[string]string{"kind": "approve"}, Expires: d.Now().Add(2 * time.Minute), Target: target, TargetID: "tgt_1"}
}

func (d *desk) queue(t testing.TB, m notify.Message) {
	t.Helper()
	d.Do(t, func(tx *db.Tx) error { return notify.SendPush(t.Context(), tx, m) })
}

func (d *desk) send(t testing.TB, m notify.Message) { t.Helper(); d.queue(t, m); d.drain(t) }

func (d *desk) waiting(t testing.TB) int {
	t.Helper()
	b, err := jobs.Survey(t.Context(), d.DB)
	if err != nil {
		t.Fatal(err)
	}
	return b.Ready
}

// heard returns what Gone and Trouble heard since the last call.
func (d *desk) heard() (gone, trouble []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	gone, trouble = d.gone, d.trouble
	d.gone, d.trouble = nil, nil
	return gone, trouble
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.Write(b) }
func (l *lines) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.String() }

func apnsDesk(t testing.TB) (*desk, *notifytest.APNs) {
	t.Helper()
	var d *desk
	peer := notifytest.NewAPNs(t, func() time.Time { return d.Now() })
	d = newDesk(t, notify.Options{Endpoints: notify.Endpoints{APNs: peer.URL, APNsSandbox: peer.URL}}, &peer.Peer)
	d.save(t, "", notify.APNs, "main", peer.Config("production"))
	return d, peer
}

func fcmDesk(t testing.TB) (*desk, *notifytest.FCM) {
	t.Helper()
	var d *desk
	peer := notifytest.NewFCM(t, func() time.Time { return d.Now() })
	d = newDesk(t, notify.Options{Endpoints: notify.Endpoints{FCM: peer.URL, FCMToken: peer.TokenURL()}}, &peer.Peer)
	d.save(t, "", notify.FCM, "main", peer.Config())
	return d, peer
}

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

func apnsTarget() notify.Target {
	return notify.Target{Kind: notify.APNs, Address: strings.ToUpper(token), AppIdentifier: "org.example.app"}
}
func fcmTarget() notify.Target {
	return notify.Target{Kind: notify.FCM, Address: fcmToken, AppIdentifier: "org.example.app"}
}
func webTarget(s notifytest.Subscription) notify.Target {
	return notify.Target{Kind: notify.WebPush, Address: s.JSON}
}

func quiet(t testing.TB, p *notifytest.Peer) {
	t.Helper()
	for _, c := range p.Complaints() {
		t.Error("the provider complains:", c)
	}
}

func equal(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestAPNsDelivers(t *testing.T) {
	d, peer := apnsDesk(t)
	d.send(t, d.message("req-51b7", apnsTarget()))
	quiet(t, &peer.Peer)
	got := peer.Received()
	if len(got) != 1 {
		t.Fatalf("%d messages arrived, want 1; log: %s", len(got), d.log)
	}
	if got[0].To != token {
		t.Errorf("the token is %q, want lower-case hex", got[0].To)
	}
	want := `{"aps":{"alert":{"body":"Tap to approve","title":"Sign in?"},"mutable-content":1,"sound":"default"},"data":{"kind":"approve","payload":{"auth_req_id":"req-51b7"}}}`
	if string(got[0].Body) != want {
		t.Errorf("payload\n%s\nwant\n%s", got[0].Body, want)
	}
	if want := fmt.Sprint(d.Now().Add(2 * time.Minute).Unix()); got[0].Header.Get("Apns-Expiration") != want {
		t.Errorf("it expires at %s, want %s", got[0].Header.Get("Apns-Expiration"), want)
	}
	if n := d.waiting(t); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
	if gone, trouble := d.heard(); gone != nil || trouble != nil {
		t.Errorf("gone %q, trouble %q after a delivery", gone, trouble)
	}
}

// Apple refuses tokens older than an hour, and more than one in 20 minutes; the
// peer does too.
func TestAPNsProviderTokenLife(t *testing.T) {
	d, peer := apnsDesk(t)
	for range 5 * 60 / 4 {
		d.send(t, d.message("req-1", apnsTarget()))
		d.Pass(4 * time.Minute)
	}
	quiet(t, &peer.Peer)
	if n := len(peer.Received()); n != 75 {
		t.Errorf("%d of 75 messages arrived", n)
	}
	if n := peer.Tokens(); n < 5 || n > 8 {
		t.Errorf("%d provider tokens in five hours, want one each 50 minutes", n)
	}
}

func TestAPNsExpiredProviderToken(t *testing.T) {
	d, peer := apnsDesk(t)
	expired := notifytest.Reply{Status: 403, Body: `{"reason":"ExpiredProviderToken"}`}
	d.send(t, d.message("req-1", apnsTarget()))
	d.Pass(5 * time.Minute)
	peer.Next(expired)
	d.send(t, d.message("req-2", apnsTarget()))
	if n := peer.Tokens(); n != 1 {
		t.Errorf("a token of five minutes was replaced (%d tokens)", n)
	}
	d.Pass(20 * time.Minute)
	peer.Next(expired)
	d.send(t, d.message("req-3", apnsTarget()))
	if n := len(peer.Received()); n != 2 || peer.Tokens() != 2 {
		t.Errorf("%d messages with %d tokens, want 2 with 2", n, peer.Tokens())
	}
	quiet(t, &peer.Peer)
}

func TestAPNsChoosesConfiguration(t *testing.T) {
	var d *desk
	now := func() time.Time { return d.Now() }
	production, sandbox := notifytest.NewAPNs(t, now), notifytest.NewAPNs(t, now)
	d = newDesk(t, notify.Options{Endpoints: notify.Endpoints{APNs: production.URL, APNsSandbox: sandbox.URL}}, &production.Peer, &sandbox.Peer)
	other := notifytest.NewAPNs(t, now).Config("production")
	other["bundle"] = "org.example.other"
	d.save(t, "", notify.APNs, "other", other)
	d.save(t, "", notify.APNs, "sandbox", sandbox.Config("sandbox"))
	d.save(t, "", notify.APNs, "production", production.Config("production"))

	d.send(t, d.message("req-1", apnsTarget()))
	if len(production.Received()) != 1 || sandbox.Asked() != 0 {
		t.Errorf("production took %d, sandbox was asked %d times; want 1 and 0", len(production.Received()), sandbox.Asked())
	}
	// A token does not say which of the two it belongs to.
	production.Kill(token, "BadDeviceToken")
	d.send(t, d.message("req-2", apnsTarget()))
	if len(sandbox.Received()) != 1 {
		t.Error("a token of the sandbox was not tried there")
	}
	if gone, trouble := d.heard(); gone != nil || trouble != nil {
		t.Errorf("gone %q, trouble %q", gone, trouble)
	}
	unknown := apnsTarget()
	unknown.AppIdentifier = "org.example.third"
	d.send(t, d.message("req-3", unknown))
	_, trouble := d.heard()
	equal(t, "trouble", trouble, []string{"req-3 unconfigured"})
	if !strings.Contains(d.log.String(), "org.example.third") {
		t.Error("the log does not name the bundle that has no configuration")
	}
}

func TestGoneTargetsAreDropped(t *testing.T) {
	check := func(t *testing.T, d *desk, m notify.Message) {
		t.Helper()
		d.send(t, m)
		gone, trouble := d.heard()
		equal(t, "gone", gone, []string{"tgt_1 " + m.Target.Address})
		equal(t, "trouble", trouble, []string{m.RequestID + " gone"})
		if n := d.waiting(t); n != 0 {
			t.Errorf("%d jobs are left", n)
		}
	}
	t.Run("apns", func(t *testing.T) {
		d, peer := apnsDesk(t)
		for i, reason := range []string{"Unregistered", "ExpiredToken", "BadDeviceToken"} {
			peer.Kill(token, reason)
			check(t, d, d.message(fmt.Sprint("req-", i), apnsTarget()))
		}
		broken := apnsTarget()
		broken.Address = "../../etc/passwd"
		check(t, d, d.message("req-9", broken))
		if peer.Asked() != 3 {
			t.Errorf("the peer was asked %d times, want 3: what is not hex is not sent", peer.Asked())
		}
	})
	t.Run("fcm", func(t *testing.T) {
		d, peer := fcmDesk(t)
		peer.Kill(fcmToken)
		check(t, d, d.message("req-1", fcmTarget()))
		never := fcmTarget()
		never.Address = "short"
		check(t, d, d.message("req-2", never))
	})
	t.Run("webpush", func(t *testing.T) {
		d, peer, sub := webDesk(t)
		for i, status := range []int{404, 410} {
			peer.Kill(sub.ID, status)
			check(t, d, d.message(fmt.Sprint("req-", i), webTarget(sub)))
		}
		check(t, d, d.message("req-9", notify.Target{Kind: notify.WebPush, Address: `{"endpoint":"x"}`}))
	})
}

func TestFCMDelivers(t *testing.T) {
	d, peer := fcmDesk(t)
	for range 3 {
		d.send(t, d.message("req-51b7", fcmTarget()))
	}
	quiet(t, &peer.Peer)
	got := peer.Received()
	if len(got) != 3 || got[0].To != fcmToken {
		t.Fatalf("%d messages arrived, want 3; log: %s", len(got), d.log)
	}
	var body struct {
		Message struct {
			Data    map[string]string
			Android struct{ Priority, TTL string }
		}
	}
	if err := json.Unmarshal(got[0].Body, &body); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"payload": `{"auth_req_id":"req-51b7"}`, "auth_req_id": "req-51b7", "requestId": "req-51b7",
		"title": "Sign in?", "body": "Tap to approve", "kind": "approve"}
	if fmt.Sprint(body.Message.Data) != fmt.Sprint(want) {
		t.Errorf("data %v, want %v", body.Message.Data, want)
	}
	if body.Message.Android.TTL != "120s" {
		t.Errorf("ttl %s, want 120s", body.Message.Android.TTL)
	}
	if n := peer.Grants(); n != 1 {
		t.Errorf("%d access tokens for three messages, want 1", n)
	}
}

// TestFCMVendor: a phone that reads the other protocol's payload finds it under
// its one key, with a line that the system draws (cidaas-protocol 3).
func TestFCMVendor(t *testing.T) {
	d, peer := fcmDesk(t)
	m := d.message("req-51b7", fcmTarget())
	m.Data, m.Vendor = nil, &notify.Vendor{Exchange: "chl_A.T.h", User: "usr_1", Type: "PUSH", Tenant: "acme", Client: "phone-app", At: time.UnixMilli(1795336751318)}
	d.send(t, m)
	quiet(t, &peer.Peer)
	var body struct {
		Message struct {
			Data         map[string]string
			Notification struct{ Title, Body string }
			APNs         struct {
				Payload struct{ APS map[string]int }
			}
		}
	}
	if err := json.Unmarshal(peer.Received()[0].Body, &body); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(body.Message.Data["data"]), &got); err != nil || len(body.Message.Data) != 1 {
		t.Fatalf("data %v: %v", body.Message.Data, err)
	}
	for name, want := range map[string]any{"exchange_id": "chl_A.T.h", "sub": "usr_1", "verification_type": "PUSH", "verificationType": "PUSH", "tenant_key": "acme", "client_id": "phone-app", "request_time": 1795336751318.0, "client_name": "", "message": ""} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if n := body.Message.Notification; n.Title != "Sign in?" || n.Body != "Tap to approve" || body.Message.APNs.Payload.APS["content-available"] != 1 {
		t.Errorf("drawn: %+v", body.Message)
	}
	m.Vendor.User = "ada@example.org"
	if err := d.DB.Tx(t.Context(), func(tx *db.Tx) error { return notify.SendPush(t.Context(), tx, m) }); err == nil {
		t.Error("an address was queued as an id")
	}
}

func TestFCMAccessToken(t *testing.T) {
	d, peer := fcmDesk(t)
	d.send(t, d.message("req-1", fcmTarget()))
	d.Pass(58 * time.Minute)
	d.send(t, d.message("req-2", fcmTarget()))
	if n := peer.Grants(); n != 1 {
		t.Errorf("%d access tokens in 58 minutes, want 1", n)
	}
	d.Pass(time.Minute)
	d.send(t, d.message("req-3", fcmTarget()))
	if n := peer.Grants(); n != 2 {
		t.Errorf("%d access tokens in an hour, want 2", n)
	}
	quiet(t, &peer.Peer)
	peer.Revoke()
	d.send(t, d.message("req-4", fcmTarget()))
	if n := len(peer.Received()); n != 4 || peer.Grants() != 1 {
		t.Errorf("%d messages arrived with %d new tokens after the old were revoked, want 4 and 1", n, peer.Grants())
	}
	if _, trouble := d.heard(); trouble != nil {
		t.Errorf("trouble %q", trouble)
	}
}

// Many messages at once ask for one access token.
func TestFCMAsksOnce(t *testing.T) {
	d, peer := fcmDesk(t)
	for i := range 16 {
		d.queue(t, d.message(fmt.Sprint("req-", i), fcmTarget()))
	}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := d.jobs.RunOne(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	d.drain(t)
	if n := len(peer.Received()); n != 16 || peer.Grants() != 1 {
		t.Errorf("%d messages with %d access tokens, want 16 with 1", n, peer.Grants())
	}
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

func TestMisconfiguredIsNotRetried(t *testing.T) {
	check := func(t *testing.T, d *desk, peer *notifytest.Peer, m notify.Message, said string, secrets ...string) {
		t.Helper()
		before := peer.Asked()
		d.send(t, m)
		d.Pass(time.Minute)
		d.drain(t)
		_, trouble := d.heard()
		equal(t, "trouble", trouble, []string{m.RequestID + " unconfigured"})
		if n := peer.Asked() - before; n > 1 {
			t.Errorf("it was tried %d times", n)
		}
		if n := d.waiting(t); n != 0 {
			t.Errorf("%d jobs are left", n)
		}
		log := d.log.String()
		if !strings.Contains(log, said) {
			t.Errorf("the log does not say %q: %s", said, log)
		}
		for _, s := range secrets {
			if strings.Contains(log, s) {
				t.Errorf("the log says %q", s)
			}
		}
	}
	t.Run("apns key", func(t *testing.T) {
		d, peer := apnsDesk(t)
		doc := peer.Config("production")
		doc["key"] = p8(t)
		d.save(t, "", notify.APNs, "main", doc)
		check(t, d, &peer.Peer, d.message("req-1", apnsTarget()), "403 InvalidProviderToken", token, strings.ToUpper(token), "eyJ", "BEGIN")
	})
	t.Run("apns topic", func(t *testing.T) {
		d, peer := apnsDesk(t)
		peer.Next(notifytest.Reply{Status: 400, Body: `{"reason":"DeviceTokenNotForTopic"}`})
		check(t, d, &peer.Peer, d.message("req-1", apnsTarget()), "400 DeviceTokenNotForTopic", token, "eyJ")
	})
	t.Run("fcm account", func(t *testing.T) {
		d, peer := fcmDesk(t)
		doc := notifytest.NewFCM(t, d.Now).Config() // another key
		d.save(t, "", notify.FCM, "main", doc)
		check(t, d, &peer.Peer, d.message("req-1", fcmTarget()), "Invalid JWT Signature.", fcmToken, "eyJ", "BEGIN")
	})
	t.Run("fcm forbidden", func(t *testing.T) {
		d, peer := fcmDesk(t)
		peer.Next(notifytest.Reply{Status: 403, Body: `{"error":{"status":"PERMISSION_DENIED","message":"no permission for $AUTHORIZATION"}}`})
		check(t, d, &peer.Peer, d.message("req-1", fcmTarget()), "403 PERMISSION_DENIED: no permission for Bearer [secret]", "ya29", fcmToken)
	})
	t.Run("fcm elsewhere", func(t *testing.T) {
		d, peer := fcmDesk(t)
		peer.Next(notifytest.Reply{Status: 404, Body: "<html>not found</html>"})
		check(t, d, &peer.Peer, d.message("req-1", fcmTarget()), "404", fcmToken) // not: gone
	})
	t.Run("webpush keys", func(t *testing.T) {
		d, peer, _ := webDesk(t)
		other := peer.Subscribe(t, "another-key")
		check(t, d, &peer.Peer, d.message("req-1", webTarget(other)), "403", other.ID, "eyJ")
	})
	t.Run("webpush repeats", func(t *testing.T) {
		d, peer, sub := webDesk(t)
		peer.Next(notifytest.Reply{Status: 401, Body: "bad: $AUTHORIZATION\nlevel=ERROR msg=forged /push/" + sub.ID})
		check(t, d, &peer.Peer, d.message("req-1", webTarget(sub)), "401 bad: vapid t=[secret]", sub.ID, "eyJ")
	})
	t.Run("redirect", func(t *testing.T) {
		d, peer, sub := webDesk(t)
		peer.Next(notifytest.Reply{Status: 307})
		check(t, d, &peer.Peer, d.message("req-1", webTarget(sub)), "307", sub.ID)
	})
	t.Run("nothing configured", func(t *testing.T) {
		d, peer := apnsDesk(t)
		check(t, d, &peer.Peer, d.message("req-1", fcmTarget()), "no provider is configured", fcmToken)
	})
}

func p8(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestRetryAfter(t *testing.T) {
	for _, status := range []int{429, 503} {
		d, peer := apnsDesk(t)
		peer.Next(notifytest.Reply{Status: status, Body: `{"reason":"TooManyRequests"}`, RetryAfter: "30"})
		d.send(t, d.message("req-1", apnsTarget()))
		for range 29 {
			d.Pass(time.Second)
			d.drain(t)
		}
		if n := peer.Asked(); n != 1 {
			t.Errorf("%d: asked %d times in the 30 s that the provider wanted for itself", status, n)
		}
		d.Pass(17 * time.Second) // 30 s and half as much again
		d.drain(t)
		if n := len(peer.Received()); n != 1 || d.waiting(t) != 0 {
			t.Errorf("%d: %d messages arrived, want 1", status, n)
		}
		_, trouble := d.heard()
		equal(t, "trouble", trouble, []string{"req-1 unavailable"})
	}
}

// A message is tried until it expires, less and less often, and not in step with
// the others.
func TestRetriesUntilExpiry(t *testing.T) {
	for name, c := range map[string]struct {
		reply   notifytest.Reply
		moments int // at least so many different ones
	}{
		"429": {notifytest.Reply{Status: 429, Body: `{"reason":"TooManyRequests"}`}, 12}, // about one device: each goes on by itself
		"500": {notifytest.Reply{Status: 500}, 3},                                        // the fuse lets few through
	} {
		t.Run(name, func(t *testing.T) {
			d, peer := apnsDesk(t)
			peer.Fail(c.reply)
			for i := range 6 {
				m := d.message(fmt.Sprint("req-", i), apnsTarget())
				m.Expires = d.Now().Add(time.Minute)
				d.queue(t, m)
			}
			moments := map[int]bool{}
			for tenth := range 650 {
				before := peer.Asked()
				d.drain(t)
				if peer.Asked() > before {
					moments[tenth] = true
				}
				d.Pass(100 * time.Millisecond)
			}
			if n := d.waiting(t); n != 0 {
				t.Errorf("%d jobs outlived their message", n)
			}
			if n := peer.Asked(); n < 6 || n > 6*6 {
				t.Errorf("6 messages of a minute made %d requests, want at most 6 each", n)
			}
			if len(moments) < c.moments {
				t.Errorf("all requests came at %d moments: they are in step", len(moments))
			}
			asked := peer.Asked()
			d.Pass(time.Hour)
			d.drain(t)
			if peer.Asked() != asked {
				t.Error("a message was sent after it expired")
			}
		})
	}
}

// Whoever waits for a phone must be offered another way within 3 s (security
// K8), however the provider is dead, and also if many wait.
func TestTroubleIsToldInTime(t *testing.T) {
	for name, reply := range map[string]*notifytest.Reply{"silent": {Hang: true}, "failing": {Status: 500}, "refusing": nil} {
		t.Run(name, func(t *testing.T) {
			d, peer := apnsDesk(t)
			if reply == nil {
				peer.Close()
			} else {
				peer.Fail(*reply)
			}
			const waiting = 16
			for i := range waiting {
				d.queue(t, d.message(fmt.Sprint("req-", i), apnsTarget()))
			}
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { d.jobs.Run(ctx) })
			late := time.After(3 * time.Second)
			told := map[string]bool{}
			for len(told) < waiting {
				select {
				case id := <-d.told:
					told[id] = true
				case <-late:
					t.Fatalf("%d of %d requests were told of in 3 s", len(told), waiting)
				}
			}
			stop()
			running.Wait()
		})
	}
}

// Ten minutes of outage, shortened: a dead provider is left alone, and not
// trampled when it is back.
func TestOutageMakesNoStampede(t *testing.T) {
	for name, reply := range map[string]notifytest.Reply{"500": {Status: 500}, "429": {Status: 429, RetryAfter: "10"}} {
		t.Run(name, func(t *testing.T) {
			d, peer := apnsDesk(t)
			second := func() {
				m := d.message("req-1", apnsTarget())
				m.Expires = d.Now().Add(time.Minute)
				d.queue(t, m)
				d.drain(t)
				d.Pass(time.Second)
			}
			span := func(seconds int, name string, most int) {
				t.Helper()
				for done := 0; done < seconds; done += 10 {
					before := peer.Asked()
					for range 10 {
						second()
					}
					if n := peer.Asked() - before; n > most {
						t.Errorf("%s: %d requests in 10 s, want at most %d", name, n, most)
					}
				}
			}
			span(10, "before", 10)
			peer.Fail(reply)
			span(10, "the first seconds", 10)
			span(80, "outage", 3)
			peer.Recover()
			span(70, "after", 20)
			before := len(peer.Received())
			span(10, "long after", 20)
			if n := len(peer.Received()) - before; n < 10 {
				t.Errorf("%d of 10 messages arrive after the outage", n)
			}
			quiet(t, &peer.Peer)
		})
	}
}

// One dead push service does not stand for the others.
func TestPushServicesFailAlone(t *testing.T) {
	d, dead, sub := webDesk(t)
	alive := notifytest.NewWebPush(t, d.Now)
	other := newDesk(t, notify.Options{}, &dead.Peer, &alive.Peer)
	theirs, ours := dead.Subscribe(t, other.vapid(t)), alive.Subscribe(t, other.vapid(t))
	_ = sub
	dead.Fail(notifytest.Reply{Status: 500})
	for i := range 5 {
		other.send(t, other.message(fmt.Sprint("req-", i), webTarget(theirs)))
	}
	if n := dead.Asked(); n != 3 {
		t.Errorf("a dead service was asked %d times, want 3", n)
	}
	other.send(t, other.message("req-9", webTarget(ours)))
	if len(alive.Received()) != 1 {
		t.Error("a service was not used because another is dead")
	}
}

func TestNothingButIDsAndGenericText(t *testing.T) {
	d, peer := apnsDesk(t)
	hidden := []string{tenant, app, device, "tgt_1", "org.example.other"}
	d.send(t, d.message("req-1", apnsTarget()))
	f, google := fcmDesk(t)
	f.send(t, f.message("req-1", fcmTarget()))
	w, service, sub := webDesk(t)
	w.send(t, w.message("req-1", webTarget(sub)))
	for _, r := range slices.Concat(peer.Received(), google.Received(), service.Received()) {
		all := string(r.Body) + fmt.Sprint(r.Header)
		for _, s := range hidden {
			if strings.Contains(all, s) {
				t.Errorf("a provider is told %q: %s", s, all)
			}
		}
	}
	if n := len(peer.Received()) + len(google.Received()) + len(service.Received()); n != 3 {
		t.Fatalf("%d of 3 messages arrived", n)
	}
	for key, value := range map[string]string{"number": number, "code": "123456", "amount": "1500.00", "price": "€20", "user": "ada@example.org", "name": "Ada Lovelace",
		"phone": "+4915112345678", "Answer": answer, "payload": "chl_x", "requestId": "chl_x", "title": "chl_x", "google.x": "chl_x", "long": strings.Repeat("x", 129), "empty": "", "": "x"} {
		m := d.message("req-2", apnsTarget())
		m.Data = map[string]string{key: value}
		err := d.DB.Tx(t.Context(), func(tx *db.Tx) error { return notify.SendPush(t.Context(), tx, m) })
		if err == nil {
			t.Errorf("data %q: %q was queued", key, value)
		} else if value != "" && strings.Contains(err.Error(), value) {
			t.Errorf("the refusal of %q repeats the value", key)
		}
	}
	m := d.message("ada@example.org", apnsTarget())
	if err := d.DB.Tx(t.Context(), func(tx *db.Tx) error { return notify.SendPush(t.Context(), tx, m) }); err == nil {
		t.Error("an address was queued as a request id")
	}
	if n := d.waiting(t); n != 0 {
		t.Errorf("%d jobs were queued", n)
	}
}

func TestSendPushQueues(t *testing.T) {
	d, peer := apnsDesk(t)
	d.send(t, d.message("req-1", notify.Target{Kind: notify.None}))
	if n := d.waiting(t); n != 0 {
		t.Error("a message to nowhere was queued")
	}
	failed := fmt.Errorf("the login failed after all")
	err := d.DB.Tx(t.Context(), func(tx *db.Tx) error {
		if err := notify.SendPush(t.Context(), tx, d.message("req-2", apnsTarget())); err != nil {
			return err
		}
		return failed
	})
	if err != failed {
		t.Fatal(err)
	}
	d.queue(t, d.message("req-3", apnsTarget()))
	d.Pass(2 * time.Minute)
	d.drain(t)
	if peer.Asked() != 0 {
		t.Errorf("%d messages were sent that were rolled back or expired", peer.Asked())
	}
	if err := d.DB.Tx(t.Context(), func(tx *db.Tx) error {
		return notify.SendPush(t.Context(), tx, d.message("req-4", notify.Target{Kind: "pigeon"}))
	}); err == nil {
		t.Error("a message to an unknown kind of target was queued")
	}
}

// The queue keeps tokens sealed.
func TestQueueIsSealed(t *testing.T) {
	d, _ := apnsDesk(t)
	d.queue(t, d.message("req-1", apnsTarget()))
	var payload []byte
	if err := d.DB.QueryRow(t.Context(), `SELECT payload FROM jobs`).Scan(&payload); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(payload, []byte(strings.ToUpper(token))) || bytes.Contains(payload, []byte("req-1")) {
		t.Error("the queue can be read")
	}
}

func TestLongTextIsCut(t *testing.T) {
	d, peer := apnsDesk(t)
	m := d.message("req-1", apnsTarget())
	m.Title, m.Body = strings.Repeat("\U0001F511", 5000), strings.Repeat("\x01", 5000)
	m.Data = map[string]string{}
	for i := range 8 {
		m.Data[strings.Repeat("k", 31)+string(rune('a'+i))] = strings.Repeat("v", 128)
	}
	d.send(t, m)
	quiet(t, &peer.Peer)
	if n := len(peer.Received()); n != 1 {
		t.Fatalf("%d messages arrived, want 1 of at most 4096 bytes; log: %s", n, d.log)
	}
	f, google := fcmDesk(t)
	m.Target, m.Expires = fcmTarget(), f.Now().Add(time.Minute)
	f.send(t, m)
	quiet(t, &google.Peer)
	w, service, sub := webDesk(t)
	m.Target, m.Expires = webTarget(sub), w.Now().Add(time.Minute)
	w.send(t, m)
	quiet(t, &service.Peer)
	if n := len(google.Received()) + len(service.Received()); n != 2 {
		t.Errorf("%d of 2 messages arrived; log: %s%s", n, f.log, w.log)
	}
}

func TestTestSaysWhatTheProviderSays(t *testing.T) {
	first := func(t *testing.T, d *desk, kind string) notify.Provider {
		t.Helper()
		ps, err := notify.Providers(t.Context(), d.DB, tenant, "", kind)
		if err != nil || len(ps) == 0 {
			t.Fatal(ps, err)
		}
		return ps[0]
	}
	check := func(t *testing.T, d *desk, kind string, ok bool, said string) {
		t.Helper()
		got := d.n.Test(t.Context(), first(t, d, kind))
		if got.OK != ok || !strings.Contains(got.Said, said) {
			t.Errorf("%s: %+v, want OK %v and %q", kind, got, ok, said)
		}
	}
	d, apple := apnsDesk(t)
	apple.Kill(strings.Repeat("0", 64), "BadDeviceToken")
	check(t, d, notify.APNs, true, "400 BadDeviceToken")
	doc := apple.Config("production")
	doc["key"] = p8(t)
	d.save(t, "", notify.APNs, "main", doc)
	check(t, d, notify.APNs, false, "403 InvalidProviderToken")

	dead, apple := apnsDesk(t)
	apple.Close() // before anybody is connected
	check(t, dead, notify.APNs, false, "connection refused")

	f, google := fcmDesk(t)
	check(t, f, notify.FCM, true, "400 INVALID_ARGUMENT: The registration token is not a valid FCM registration token")
	google.Next(notifytest.Reply{Status: 403, Body: `{"error":{"status":"PERMISSION_DENIED","message":"API disabled"}}`})
	check(t, f, notify.FCM, false, "403 PERMISSION_DENIED: API disabled")
	f.save(t, "", notify.FCM, "main", notifytest.NewFCM(t, f.Now).Config())
	check(t, f, notify.FCM, false, "invalid_grant Invalid JWT Signature.")
	if len(google.Received()) != 0 {
		t.Error("a test reached a device")
	}

	w, _, _ := webDesk(t)
	check(t, w, notify.WebPush, true, "keys work")
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

// One push service may be called while everything else is captured.
func TestCaptureLeavesOneServiceLive(t *testing.T) {
	capture := &notify.Capture{}
	var d *desk
	now := func() time.Time { return d.Now() }
	peer, other := notifytest.NewWebPush(t, now), notifytest.NewWebPush(t, now)
	d = newDesk(t, notify.Options{Capture: capture, Live: strings.TrimPrefix(peer.URL, "https://")}, &peer.Peer, &other.Peer)
	sub, foreign := peer.Subscribe(t, d.vapid(t)), other.Subscribe(t, d.vapid(t))
	d.send(t, d.message("req-1", webTarget(sub)))
	d.send(t, d.message("req-2", webTarget(foreign)))
	d.send(t, d.message("req-3", apnsTarget()))
	if a, b := len(peer.Received()), len(other.Received()); a != 1 || b != 0 {
		t.Errorf("%d and %d messages were sent, want 1 and 0; log: %s", a, b, d.log)
	}
	var caught []string
	for _, m := range capture.List("push", "", "") {
		caught = append(caught, m.Data["auth_req_id"])
	}
	equal(t, "captured", caught, []string{"req-2", "req-3"})
}

func TestCaptureTakesEverything(t *testing.T) {
	capture := &notify.Capture{}
	d := newDesk(t, notify.Options{Capture: capture})
	d.send(t, d.message("req-1", apnsTarget())) // nothing is configured
	got := capture.List("push", device, "")
	if len(got) != 1 || got[0].Subject != "Sign in?" || got[0].Text != "Tap to approve" || got[0].Data["auth_req_id"] != "req-1" || !got[0].At.Equal(d.Now()) {
		t.Fatalf("captured %+v", got)
	}
	if strings.Contains(strings.ToLower(fmt.Sprint(got)), token) {
		t.Error("the capture shows the device token")
	}
}
