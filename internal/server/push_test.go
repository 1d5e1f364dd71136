package server_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/notify/notifytest"
	"github.com/watchword-auth/watchword/internal/server"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// shop is a server as it runs in production, configured from files, whose push
// providers are peers on this machine.
type shop struct {
	*server.Server
	url  string
	apns *notifytest.APNs
	fcm  *notifytest.FCM
	web  *notifytest.WebPush
}

func newShop(t *testing.T) *shop {
	t.Helper()
	address := kittest.FreeAddress(t)
	s := &shop{url: "http://" + address, apns: notifytest.NewAPNs(t, time.Now), fcm: notifytest.NewFCM(t, time.Now), web: notifytest.NewWebPush(t, time.Now)}
	var err error
	s.Server, err = server.New(t.Context(), server.Config{
		Listen: address, URL: s.url, Database: kittest.Address(t), MasterKey: make([]byte, 32), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now,
		RatePerAddress: -1, Outgoing: notifytest.Client(&s.apns.Peer, &s.fcm.Peer, &s.web.Peer),
		Providers: notify.Endpoints{APNs: s.apns.URL, APNsSandbox: s.apns.URL, FCM: s.fcm.URL, FCMToken: s.fcm.TokenURL()},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.configure(t)
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- s.Serve(ctx, func(string) { close(ready) }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case <-time.After(10 * time.Second):
		t.Fatal("not ready")
	}
	return s
}

// configure applies a folder such as an operator keeps, with its secrets beside
// it.
func (s *shop) configure(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"tenant.yaml": "id: default\nname: Shop\n",
		"providers.yaml": "- {kind: apns, name: ios, config: {bundle: " + s.apns.Bundle + ", team_id: " + s.apns.TeamID + ", key_id: " + s.apns.KeyID + ", key_file: key.p8}}\n" +
			"- {kind: fcm, name: android, config: {service_account_file: account.json}}\n" +
			"- {kind: webpush, name: default, config: {subject: 'mailto:push@shop.example'}}\n",
		"key.p8": s.apns.P8, "account.json": s.fcm.Account,
		"apps/shop.yaml": "name: Shop\naudience: b2c\nclients:\n  - {id: demo-web, name: Shop, kind: web, loopback_origins: true}\n  - {id: demo-native, name: Shop, kind: native}\n",
	}
	templates, err := filepath.Glob("../journey/templates/*.json")
	if err != nil || len(templates) == 0 {
		t.Fatalf("no templates: %v", err)
	}
	for _, path := range templates {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files["journeys/"+filepath.Base(path)] = string(b)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := server.ReadFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Apply(t.Context(), s.Kit.DB, f, dir, false); err != nil {
		t.Fatal(err)
	}
}

func (s *shop) phone(t *testing.T, email string, push simulator.PushConfig) *simulator.Phone {
	t.Helper()
	p, err := simulator.New(simulator.Options{Server: s.url, Client: "demo-native", Email: email, Keys: keys()[0], Now: time.Now, Push: push})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *shop) ask(t *testing.T, email string) (*simulator.Browser, simulator.Response) {
	t.Helper()
	b, err := simulator.NewBrowser(simulator.BrowserOptions{Server: s.url, Client: "demo-web", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Start(t.Context(), "web_login", nil); err != nil {
		t.Fatal(err)
	}
	r, err := b.Submit(t.Context(), "web_to_mobile", map[string]any{"email": email})
	if err != nil || r.Step != waitStep {
		t.Fatalf("after the form: %+v, %v", r, err)
	}
	return b, r
}

// received waits for the n-th message that a peer took.
func received(t *testing.T, p *notifytest.Peer, n int) notifytest.Received {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < 15*time.Second; <-time.After(10 * time.Millisecond) {
		if list := p.Received(); len(list) >= n {
			return list[n-1]
		}
	}
	t.Fatalf("no message came; complaints: %v", p.Complaints())
	return notifytest.Received{}
}

// TestPushChannels: a phone registers with what its SDK knows, the message that
// comes in has the shape that its app looks for, and the id in it is all that
// the phone needs to approve (mosaic-protocol 5).
func TestPushChannels(t *testing.T) {
	s := newShop(t)
	vapid, err := notify.VAPID(t.Context(), s.Kit.DB, "default")
	if err != nil {
		t.Fatal(err)
	}
	sub := s.web.Subscribe(t, vapid)
	for _, c := range []struct {
		name string
		push simulator.PushConfig
		peer *notifytest.Peer
		id   func(t *testing.T, m notifytest.Received) string
	}{
		{"APNs", simulator.PushConfig{Type: "APN", Token: strings.ToUpper(strings.Repeat("ab12cd34", 8)), App: s.apns.Bundle}, &s.apns.Peer, apnsID},
		{"FCM", simulator.PushConfig{Type: "Fcm", Token: "fcm-registration-token:APA91b", App: "org.example.android"}, &s.fcm.Peer, fcmID},
		{"Web Push", simulator.PushConfig{Type: "webpush", Token: sub.JSON, App: "https://shop.example"}, &s.web.Peer, func(t *testing.T, m notifytest.Received) string {
			return dataID(t, decrypted(t, sub, m.Body))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			email := strings.ReplaceAll(strings.ToLower(c.name), " ", "") + "@example.org"
			p := s.phone(t, email, c.push)
			b, r := s.ask(t, email)
			m := received(t, c.peer, 1)
			id := c.id(t, m)
			for _, secret := range []string{email, `"` + r.Text("number") + `"`, "number"} {
				if strings.Contains(string(m.Body), secret) {
					t.Errorf("the message carries %q: %s", secret, m.Body)
				}
			}
			if err := p.Approve(t.Context(), id, r.Text("number")); err != nil {
				t.Fatal(err)
			}
			if end := ended(t, b); end.Type != simulator.Success || end.Token == "" {
				t.Errorf("%+v", end)
			}
			if list := c.peer.Complaints(); len(list) > 0 {
				t.Errorf("the provider complains: %v", list)
			}
		})
	}
}

// TestCalledOffEndsInBrowsers: a browser that shows a request hears that it was
// called off, and the next one takes its place; the apps of other SDKs hear nothing
// that they would not understand.
func TestCalledOffEndsInBrowsers(t *testing.T) {
	s := newShop(t)
	vapid, err := notify.VAPID(t.Context(), s.Kit.DB, "default")
	if err != nil {
		t.Fatal(err)
	}
	sub := s.web.Subscribe(t, vapid)
	s.phone(t, "browser@example.org", simulator.PushConfig{Type: "webpush", Token: sub.JSON, App: "https://shop.example"})
	s.phone(t, "android@example.org", simulator.PushConfig{Type: "Fcm", Token: "fcm-registration-token:APA91b", App: "org.example.android"})
	cancel := func(email string, peer *notifytest.Peer, n int) {
		b, _ := s.ask(t, email)
		received(t, peer, n)
		if _, err := b.Submit(t.Context(), "cancel", nil); err != nil {
			t.Fatal(err)
		}
	}
	cancel("android@example.org", &s.fcm.Peer, 1)
	cancel("browser@example.org", &s.web.Peer, 1)
	received(t, &s.web.Peer, 2)
	cancel("android@example.org", &s.fcm.Peer, 2)
	cancel("browser@example.org", &s.web.Peer, 3)
	received(t, &s.web.Peer, 4)
	var said []struct{ RequestID, Slot, Over string }
	for _, m := range s.web.Received() {
		var one struct{ RequestID, Slot, Over string }
		if err := json.Unmarshal(decrypted(t, sub, m.Body), &one); err != nil {
			t.Fatal(err)
		}
		said = append(said, one)
	}
	if len(said) != 4 || said[0].Over+said[2].Over != "" || said[1].Over != "yes" || said[3].Over != "yes" {
		t.Fatalf("the browser heard %+v", said)
	}
	if said[0].RequestID != said[1].RequestID || said[2].RequestID != said[3].RequestID || said[0].RequestID == said[2].RequestID {
		t.Errorf("the ends are not of their requests: %+v", said)
	}
	for _, one := range said {
		if one.Slot == "" || one.Slot != said[0].Slot {
			t.Errorf("the next does not take the place of the last: %+v", said)
		}
	}
	if n := len(s.fcm.Received()); n != 2 {
		t.Errorf("Android heard %d messages, want 2", n)
	}
}

func apnsID(t *testing.T, m notifytest.Received) string {
	t.Helper()
	var doc struct {
		APS struct {
			Alert struct{ Title, Body string }
		}
		Data struct {
			Payload struct {
				ID string `json:"auth_req_id"`
			} `json:"payload"`
		} `json:"data"`
	}
	if err := json.Unmarshal(m.Body, &doc); err != nil || doc.Data.Payload.ID == "" || doc.APS.Alert.Title == "" {
		t.Fatalf("%v: %s", err, m.Body)
	}
	if want := strings.Repeat("ab12cd34", 8); m.To != want {
		t.Errorf("sent to %s, want lower case", m.To)
	}
	return doc.Data.Payload.ID
}

func fcmID(t *testing.T, m notifytest.Received) string {
	t.Helper()
	var doc struct {
		Message struct {
			Data         json.RawMessage
			Notification json.RawMessage
			Android      struct{ Priority string }
		}
	}
	if err := json.Unmarshal(m.Body, &doc); err != nil || doc.Message.Notification != nil || !strings.EqualFold(doc.Message.Android.Priority, "high") {
		t.Fatalf("%v: %s", err, m.Body)
	}
	return dataID(t, doc.Message.Data)
}

// dataID reads the id under each of the names that apps look for.
func dataID(t *testing.T, data []byte) string {
	t.Helper()
	var doc struct {
		Payload   string `json:"payload"`
		AuthReqID string `json:"auth_req_id"`
		RequestID string `json:"requestId"`
		Title     string `json:"title"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	var payload struct {
		ID string `json:"auth_req_id"`
	}
	if err := json.Unmarshal([]byte(doc.Payload), &payload); err != nil || payload.ID == "" || payload.ID != doc.AuthReqID || payload.ID != doc.RequestID || doc.Title == "" {
		t.Fatalf("%v: %s", err, data)
	}
	return payload.ID
}

// decrypted is what a browser makes of a message (RFC 8291 3.4, RFC 8188 2).
func decrypted(t *testing.T, s notifytest.Subscription, body []byte) []byte {
	t.Helper()
	salt, n := body[:16], int(body[20])
	public, sealed := body[21:21+n], body[21+n:]
	sender, err := ecdh.P256().NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := s.Private.ECDH(sender)
	if err != nil {
		t.Fatal(err)
	}
	derive := func(secret, salt []byte, info string, size int) []byte {
		out, err := hkdf.Key(sha256.New, secret, salt, info, size)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	ikm := derive(shared, s.Auth, "WebPush: info\x00"+string(s.Private.PublicKey().Bytes())+string(public), 32)
	block, err := aes.NewCipher(derive(ikm, salt, "Content-Encoding: aes128gcm\x00", 16))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gcm.Open(nil, derive(ikm, salt, "Content-Encoding: nonce\x00", 12), sealed, nil)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.TrimRight(string(plain), "\x00")[:strings.LastIndexByte(string(plain), 2)])
}

// failed waits for the browser to hear that the phone could not be told, and
// returns how long that took from begun.
func failed(t *testing.T, b *simulator.Browser, begun time.Time) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for b.Last().Text("delivery") != "failed" {
		if _, err := b.Submit(ctx, simulator.ClientInput, nil); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(begun)
}

// TestPushOutage: whether a provider is silent, refuses or is not there at all,
// the waiting browser hears of it within 3 s, the request stays open, and the
// phone that asks by itself can approve (security K8, Q6).
func TestPushOutage(t *testing.T) {
	for _, c := range []struct {
		name string
		take func(s *shop)
	}{
		{"silent", func(s *shop) { s.apns.Fail(notifytest.Reply{Hang: true}) }},
		{"failing", func(s *shop) { s.apns.Fail(notifytest.Reply{Status: http.StatusServiceUnavailable}) }},
		{"gone", func(s *shop) { s.apns.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p *simulator.Phone
			var b *simulator.Browser
			var r simulator.Response
			kittest.Prompt(t, 3*time.Second, "until the browser heard of it", func() time.Duration {
				s := newShop(t)
				p = s.phone(t, "grace@example.org", simulator.PushConfig{Type: "APN", Token: strings.Repeat("ab12cd34", 8), App: s.apns.Bundle})
				c.take(s)
				begun := time.Now()
				b, r = s.ask(t, "grace@example.org")
				return failed(t, b, begun)
			})
			q := pending(t, p)
			if err := p.Approve(t.Context(), q.ID, r.Text("number")); err != nil {
				t.Fatal(err)
			}
			if end := ended(t, b); end.Type != simulator.Success {
				t.Errorf("%+v", end)
			}
		})
	}
}

// TestPushComesBack: a provider that was busy is asked again while the request
// lives, and the message arrives.
func TestPushComesBack(t *testing.T) {
	s := newShop(t)
	p := s.phone(t, "grace@example.org", simulator.PushConfig{Type: "Fcm", Token: "fcm-registration-token:APA91b", App: "org.example.android"})
	s.fcm.Next(notifytest.Reply{Status: http.StatusTooManyRequests, RetryAfter: "1"}, notifytest.Reply{Status: http.StatusInternalServerError})
	b, r := s.ask(t, "grace@example.org")
	id := fcmID(t, received(t, &s.fcm.Peer, 1))
	if err := p.Approve(t.Context(), id, r.Text("number")); err != nil {
		t.Fatal(err)
	}
	if end := ended(t, b); end.Type != simulator.Success {
		t.Errorf("%+v", end)
	}
}

// TestPushTargetGone: a target that its provider calls gone is used no more; the
// phone still asks by itself, and is reached again once it says where.
func TestPushTargetGone(t *testing.T) {
	s := newShop(t)
	old, fresh := strings.Repeat("ab12cd34", 8), strings.Repeat("0123abcd", 8)
	p := s.phone(t, "grace@example.org", simulator.PushConfig{Type: "APN", Token: old, App: s.apns.Bundle})
	s.apns.Kill(old, "Unregistered")
	b, r := s.ask(t, "grace@example.org")
	failed(t, b, time.Now())
	waitFor(t, "the target is dropped", func() bool { return targets(t, s.Kit.DB) == 0 })
	asked := s.apns.Asked()

	q := pending(t, p)
	moved, err := simulator.New(simulator.Options{Server: s.url, Client: "demo-native", Email: "grace@example.org", Keys: keys()[0], Now: time.Now,
		Push: simulator.PushConfig{Type: "APN", Token: fresh, App: s.apns.Bundle}})
	if err != nil {
		t.Fatal(err)
	}
	if err := moved.Approve(t.Context(), q.ID, r.Text("number")); err != nil { // with its new token in the header
		t.Fatal(err)
	}
	if end := ended(t, b); end.Type != simulator.Success {
		t.Fatalf("%+v", end)
	}
	if s.apns.Asked() != asked {
		t.Error("the provider was asked again about a target that is gone")
	}
	s.ask(t, "grace@example.org")
	if m := received(t, &s.apns.Peer, 1); m.To != fresh {
		t.Errorf("sent to %s", m.To)
	}
}

// TestPushTargetRefused: what no provider could deliver to is not kept.
func TestPushTargetRefused(t *testing.T) {
	s := newShop(t)
	for i, push := range []simulator.PushConfig{
		{Type: "APN", Token: "no hex at all", App: s.apns.Bundle}, {Type: "APN", Token: "../../x", App: s.apns.Bundle},
		{Type: "Fcm", Token: "with a space\n", App: "a"}, {Type: "webpush", Token: `{"endpoint":"http://127.0.0.1/x"}`, App: "a"}, {Type: "webpush", Token: "x", App: "a"},
	} {
		p := s.phone(t, "odd"+string(rune('a'+i))+"@example.org", push)
		if n := targets(t, s.Kit.DB); n != 0 {
			t.Errorf("%+v: %d targets", push, n)
		}
		b, r := s.ask(t, "odd"+string(rune('a'+i))+"@example.org")
		q, err := p.Pending(t.Context(), 5*time.Second)
		if err != nil || len(q) == 0 {
			t.Fatalf("%v, %v", q, err)
		}
		if err := p.Approve(t.Context(), q[len(q)-1].ID, r.Text("number")); err != nil {
			t.Fatal(err)
		}
		if end := ended(t, b); end.Type != simulator.Success {
			t.Errorf("%+v", end)
		}
	}
}

// targets is how many targets are in use that a provider would be asked about.
func targets(t *testing.T, q db.Q) int {
	t.Helper()
	var n int
	if err := q.QueryRow(t.Context(), `SELECT COUNT(*) FROM push_targets WHERE status = 'active' AND kind <> 'none'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func waitFor(t *testing.T, what string, fn func() bool) {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < 10*time.Second; <-time.After(10 * time.Millisecond) {
		if fn() {
			return
		}
	}
	t.Fatalf("%s: not within 10 s", what)
}
