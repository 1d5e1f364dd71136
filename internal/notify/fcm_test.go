package notify_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/notify/notifytest"
)

func fcmDesk(t testing.TB) (*desk, *notifytest.FCM) {
	t.Helper()
	var d *desk
	peer := notifytest.NewFCM(t, func() time.Time { return d.Now() })
	d = newDesk(t, notify.Options{Endpoints: notify.Endpoints{FCM: peer.URL, FCMToken: peer.TokenURL()}}, &peer.Peer)
	d.save(t, "", notify.FCM, "main", peer.Config())
	return d, peer
}
func fcmTarget() notify.Target {
	return notify.Target{Kind: notify.FCM, Address: fcmToken, AppIdentifier: "org.example.app"}
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
