package notify_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/notify/notifytest"
)

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
			kittest.Prompt(t, 3*time.Second, "until 16 requests were told of", func() time.Duration {
				d, peer := apnsDesk(t)
				if reply == nil {
					peer.Close()
				} else {
					peer.Fail(*reply)
				}
				return d.allTold(t, 16)
			})
		})
	}
}

// allTold runs so many messages and returns how long it takes until whoever waits
// for each is told of its trouble.
func (d *desk) allTold(t *testing.T, waiting int) time.Duration {
	t.Helper()
	for i := range waiting {
		d.queue(t, d.message(fmt.Sprint("req-", i), apnsTarget()))
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	begun := time.Now()
	running.Go(func() { d.jobs.Run(ctx) })
	told := map[string]bool{}
	for never := time.After(time.Minute); len(told) < waiting; {
		select {
		case id := <-d.told:
			told[id] = true
		case <-never:
			t.Fatalf("%d of %d requests were told of within a minute", len(told), waiting)
		}
	}
	return time.Since(begun)
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
