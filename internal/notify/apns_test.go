package notify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/notify/notifytest"
)

func apnsDesk(t testing.TB) (*desk, *notifytest.APNs) {
	t.Helper()
	var d *desk
	peer := notifytest.NewAPNs(t, func() time.Time { return d.Now() })
	d = newDesk(t, notify.Options{Endpoints: notify.Endpoints{APNs: peer.URL, APNsSandbox: peer.URL}}, &peer.Peer)
	d.save(t, "", notify.APNs, "main", peer.Config("production"))
	return d, peer
}

func apnsTarget() notify.Target {
	return notify.Target{Kind: notify.APNs, Address: strings.ToUpper(token), AppIdentifier: "org.example.app"}
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

func p8(t testing.TB) string {
	t.Helper()
	file, _ := notifytest.P8(t)
	return file
}
