package notify_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
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
