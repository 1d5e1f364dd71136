package server_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
)

// sixteen does one thing sixteen times at once, and returns how often it worked.
func sixteen(do func(n int) bool) int {
	var mu sync.Mutex
	var group sync.WaitGroup
	good := 0
	for n := range 16 {
		group.Go(func() {
			if do(n) {
				mu.Lock()
				good++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return good
}

// TestUsedOnce: of sixteen at once one gets what may be had once: a pushed
// request, the tokens of a device, the tokens of a backchannel request; and a
// device is signed in by one of those who type its code.
func TestUsedOnce(t *testing.T) {
	w := newWorld(t)
	phone := w.registered(t, "grace@example.org", 0)
	c := w.party(t, "pusher", "")
	w.client(t, apps.Client{ID: "pusher", Kind: apps.Web, Settings: apps.ClientSettings{RedirectURIs: []string{"http://127.0.0.1:*/callback"}, PAR: true}}, "")
	for round := range 3 {
		u, err := url.Parse(c.request(nil))
		if err != nil {
			t.Fatal(err)
		}
		status, out := c.post(t, "/oidc/par", u.Query())
		if status != 201 {
			t.Fatalf("pushing: %d %v", status, out)
		}
		at := w.URL + "/authorize?" + url.Values{"client_id": {"pusher"}, "request_uri": {out["request_uri"].(string)}}.Encode()
		people := make([]*person, 16)
		for n := range people {
			people[n] = w.person(t)
		}
		if good := sixteen(func(n int) bool { return people[n].open(at).status == 200 }); good != 1 {
			t.Errorf("round %d: %d of 16 used a pushed request", round, good)
		}
	}

	tv := w.party(t, "tv", "")
	w.client(t, apps.Client{ID: "tv", Name: "Television", Kind: apps.Native, Settings: apps.ClientSettings{Grants: []string{apps.GrantDevice}}}, "")
	begin := func() (code, user string) {
		t.Helper()
		status, out := tv.post(t, "/oidc/device_authorization", url.Values{"scope": {"openid"}})
		if status != 200 {
			t.Fatalf("device: %d %v", status, out)
		}
		return out["device_code"].(string), out["user_code"].(string)
	}
	collect := func(code string) (int, map[string]any) {
		return tv.token(t, url.Values{"grant_type": {apps.GrantDevice}, "device_code": {code}})
	}
	code, typed := begin()
	// Sixteen browsers come as far as the password, and all give it at once.
	people := make([]*person, 16)
	for n := range people {
		people[n] = w.person(t).open(w.URL+"/device?user_code="+typed).post("", nil).post("", url.Values{"username": {"ada"}})
	}
	approved := sixteen(func(n int) bool {
		people[n].post("password", url.Values{"password": {w.Dev.Facts.User.Password}})
		return people[n].status == 200 && strings.Contains(people[n].page, "Your device is signed in")
	})
	if approved != 1 {
		t.Errorf("%d of 16 signed one device in", approved)
	}
	w.Pass(10 * time.Second)
	tokens := 0
	for range 4 { // the pace lets one of sixteen ask; whoever asks again waits
		tokens += sixteen(func(int) bool { status, _ := collect(code); return status == 200 })
		w.Pass(2 * time.Minute)
	}
	if tokens != 1 {
		t.Errorf("a device got tokens %d times", tokens)
	}

	bank := w.bank(t, "", "")
	id := bank.asks(t, nil)
	if err := phone.Approve(t.Context(), pending(t, phone).ID, ""); err != nil {
		t.Fatal(err)
	}
	w.Pass(10 * time.Second)
	tokens = 0
	for range 4 {
		tokens += sixteen(func(int) bool {
			status, _ := bank.token(t, url.Values{"grant_type": {apps.GrantCIBA}, "auth_req_id": {id}})
			return status == 200
		})
		w.Pass(10 * time.Second)
	}
	if tokens != 1 {
		t.Errorf("a backchannel request gave tokens %d times", tokens)
	}
}

// TestCollectedOnce takes the pace away that would let only one of sixteen come
// so far: each asks as if it were the first.
func TestCollectedOnce(t *testing.T) {
	w := newWorld(t)
	phone := w.registered(t, "grace@example.org", 0)
	bank := w.bank(t, "", "")
	for round := range 5 {
		id := bank.asks(t, nil)
		if err := phone.Approve(t.Context(), pending(t, phone).ID, ""); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		words := map[string]int{}
		for range 5 {
			sixteen(func(n int) bool {
				w.Pass(time.Minute / 16)
				status, out := bank.token(t, url.Values{"grant_type": {apps.GrantCIBA}, "auth_req_id": {id}})
				mu.Lock()
				defer mu.Unlock()
				words[fmt.Sprint(status, out["error"])]++
				return status == 200
			})
		}
		if words["200 <nil>"] != 1 {
			t.Errorf("round %d: %v", round, words)
		}
	}
}
