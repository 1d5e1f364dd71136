package server_test

import (
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/notify/notifytest"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// browsing is a phone of a user that is reached in a browser, and what it was told.
func (w *world) browsing(t *testing.T, email string, i int) (p *simulator.Phone, told func() []string) {
	t.Helper()
	vapid, err := notify.VAPID(t.Context(), w.Kit.DB, "default")
	if err != nil {
		t.Fatal(err)
	}
	sub := notifytest.NewWebPush(t, w.Now).Subscribe(t, vapid)
	o := simulator.Options{Server: w.URL, Client: "demo-native", Email: email, DeviceName: "Phone", Keys: keys()[i], Now: w.Now, Push: simulator.PushConfig{Type: "webpush", Token: sub.JSON, App: w.URL}}
	if p, err = simulator.New(o); err != nil {
		t.Fatal(err)
	}
	if err := p.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := ""
	return p, func() (titles []string) {
		w.drain(t)
		for _, m := range w.Dev.Inbox.List("push", "", before) {
			titles, before = append(titles, m.Subject), m.ID
		}
		return titles
	}
}

// TestRunOutEndsInBrowsers: a browser that shows a request hears that it has run
// out, once, and of a request that was answered or called off in time it hears
// nothing more.
func TestRunOutEndsInBrowsers(t *testing.T) {
	w := newWorld(t)
	const asks, ended = "Sign in?", "This request has ended."
	p, told := w.browsing(t, "browser@example.org", 0)
	hears := func(when string, want ...string) {
		t.Helper()
		if got := told(); !slices.Equal(got, want) {
			t.Errorf("%s the browser hears %q, want %q", when, got, want)
		}
	}
	w.asked(t, "browser@example.org")
	hears("asked,", asks)
	w.Pass(2*time.Minute + time.Second)
	hears("when it ran out,", ended)
	w.Pass(2 * time.Hour)
	hears("later,")

	_, r := w.asked(t, "browser@example.org")
	hears("asked again,", asks)
	if err := p.Approve(t.Context(), pending(t, p).ID, r.Text("number")); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Hour)
	hears("after its answer,")

	b, _ := w.asked(t, "browser@example.org")
	hears("asked a third time,", asks)
	if _, err := b.Submit(t.Context(), "cancel", nil); err != nil {
		t.Fatal(err)
	}
	hears("called off,", ended)
	w.Pass(time.Hour)
	hears("an hour after,")
}

// TestOtherPhoneEndsTheFirst: whoever asks another phone of the same user cancels what
// the first one shows, and the first one hears it; the phone that is asked again does
// not, for the new message takes the place of the old.
func TestOtherPhoneEndsTheFirst(t *testing.T) {
	w := newWorld(t)
	_, told := w.browsing(t, "browser@example.org", 0)
	w.browsing(t, "other@example.org", 1)
	told()
	ask := func(once string, d directory.Device) {
		t.Helper()
		w.do(t, func(tx *db.Tx) error {
			s := authn.Subject{Tenant: d.Tenant, App: d.App, User: d.User}
			_, err := push.Begin(t.Context(), tx, push.Asked{Subject: s, To: push.Own(d), Once: once, Title: once})
			return err
		})
	}
	var one, two directory.Device
	w.do(t, func(tx *db.Tx) error {
		var all []directory.Device
		for _, email := range []string{"browser@example.org", "other@example.org"} {
			u, err := directory.Lookup(t.Context(), tx, "default", email)
			if err != nil {
				return err
			}
			list, err := directory.AllDevices(t.Context(), tx, "demo", u.ID)
			if err != nil {
				return err
			}
			all = append(all, list[0])
		}
		one, two = all[0], all[1]
		targets, err := directory.Targets(t.Context(), tx, two.ID)
		if err != nil {
			return err
		}
		if err := directory.RemoveDevice(t.Context(), tx, two.ID); err != nil {
			return err
		}
		two.ID, two.User, two.Targets = "", one.User, nil
		if two.ID, err = directory.BindDevice(t.Context(), tx, two); err != nil {
			return err
		}
		return directory.SetTarget(t.Context(), tx, two.ID, targets[0])
	})
	ask("first", one)
	ask("again", one)
	if got := told(); len(got) != 2 || slices.Contains(got, "This request has ended.") {
		t.Errorf("asked again, the phone hears %q", got)
	}
	ask("other", two)
	w.drain(t)
	list := w.Dev.Inbox.List("push", string(one.ID), "")
	if last := list[len(list)-1]; len(list) != 3 || last.Subject != "This request has ended." || last.Data["requestId"] == "" {
		t.Errorf("the first phone heard %+v", list)
	}
	if got := w.Dev.Inbox.List("push", string(two.ID), ""); len(got) != 1 || got[0].Subject != "other" {
		t.Errorf("the other phone heard %+v", got)
	}
}
