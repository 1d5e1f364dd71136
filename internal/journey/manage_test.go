package journey_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// A method of the test's own: whoever is asked for is right.
const testKind authn.Kind = "test"

func init() {
	authn.Register(authn.Method{Kind: testKind, Title: "Test", Lives: authn.PerApp, Counts: authn.PerApp, Unlock: authn.PerApp, AMR: []string{"test"},
		Config: form.New(lockout.Fields(100, lockout.Tier{Failures: 3, Minutes: 1})...)})
	type config struct {
		User string `json:"user"`
	}
	journey.Register(journey.Step[config]{
		Kind: "test.prove", Title: "Prove", Category: "Test", Doc: "For tests.", Config: form.New(form.Text("user", "User")), Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Role: journey.Proves,
		Run: func(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
			u, err := x.User(ctx, c.User)
			if err != nil {
				return journey.Judge(x, err)
			}
			p, err := authn.Attempt(ctx, x.Tx, authn.Subject{Kind: testKind, Tenant: x.Tenant(), App: x.App(), User: u.ID}, func() (authn.CredentialID, error) { return "", nil })
			if err == nil {
				err = x.Prove(p)
			}
			return journey.Judge(x, err)
		},
	})
}

// TestManage: the steps that manage a user's names and authenticators do so for
// a user who was proven in the run, and for nobody else.
func TestManage(t *testing.T) {
	steps := map[string]map[string]any{
		"email.register":             {"value": "new@example.org"},
		"email.deregister":           {"value": "old@example.org"},
		"phone.register":             {"value": "+4915112345678"},
		"authenticators.lock":        {"id": "ID"},
		"authenticators.unlock":      {"id": "ID"},
		"authenticators.revoke":      {"id": "ID"},
		"authenticators.rename":      {"id": "ID", "label": "Work phone"},
		"authenticators.unlock_type": {"type": "test", "unlock_type": "any"},
		"user.set_custom_data":       {"data": map[string]any{"a": 1}},
	}
	for kind, config := range steps {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t)
			var user directory.UserID
			var ids []authn.CredentialID
			h.Do(t, func(tx *db.Tx) (err error) {
				if user, err = directory.Create(t.Context(), tx, "t1", directory.NewUser{Email: "eve@example.org", Username: "eve"}); err != nil {
					return err
				}
				if err = directory.AddIdentifier(t.Context(), tx, "t1", user, directory.Email, "old@example.org"); err != nil {
					return err
				}
				for _, handle := range []string{"a", "b"} {
					id, err := authn.Enroll(t.Context(), tx, authn.Subject{Kind: testKind, Tenant: "t1", App: "shop", User: user}, handle, handle, struct{}{})
					if err != nil {
						return err
					}
					ids = append(ids, id)
				}
				return nil
			})
			if config["id"] != nil {
				config["id"] = string(ids[0])
			}
			config["user"] = "eve"
			for _, proven := range []bool{false, true} {
				nodes := map[string]journey.Node{"p": node("test.prove", map[string]any{"user": "eve"}, next{"success": "x", "failure": "no"}),
					"f": node("find_user", map[string]any{"user": "eve"}, next{"success": "x", "failure": "no"}),
					"x": node(kind, config, next{"success": "i", "failure": "no"}), "i": node("information", map[string]any{"text": "done"}, next{"success": "no"}), "no": no, "done": done}
				start := "f"
				if proven {
					start = "p"
				}
				id := map[bool]string{false: "anyone", true: "proven"}[proven]
				h.publish(t, graph(id, start, nodes))
				r, err := h.engine.Start(t.Context(), journey.StartRequest{App: h.app, Client: h.web, Journey: id})
				if err != nil {
					t.Fatal(err)
				}
				if did := r.Prompt != nil; did != proven {
					t.Errorf("proven %v: done %v (%+v)", proven, did, r.End)
				}
			}
		})
	}
}

// TestSlotsChangeHandsOnce: of many that take a slot at once, each is displaced by one
// other, but for the last, and all but that are cancelled; what was closed or has run out
// before is displaced by nobody.
func TestSlotsChangeHandsOnce(t *testing.T) {
	h := newHouse(t)
	s := authn.Subject{Kind: testKind, Tenant: "t1", App: "shop"}
	ctx := context.Background()
	take := func(n int) (c authn.Challenge[int], was authn.Displaced) {
		if err := h.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
			mine := s
			mine.Device = directory.DeviceID(fmt.Sprint("dev_", n))
			c, _, was, err = authn.Displace(ctx, tx, authn.Opening{Subject: mine, Once: fmt.Sprint("take/", n), Slot: "slot", Life: time.Minute}, n)
			return err
		}); err != nil {
			t.Error(err)
		}
		return c, was
	}
	var mu sync.Mutex
	posed, displaced := map[authn.ChallengeID]authn.Challenge[int]{}, map[authn.ChallengeID]int{}
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			c, was := take(n)
			mu.Lock()
			defer mu.Unlock()
			posed[c.ID] = c
			displaced[was.ID]++
			if was.ID != "" && was.Subject.Device == "" {
				t.Error("it is not said whom it was for")
			}
		})
	}
	wg.Wait()
	var last authn.Challenge[int]
	for id, c := range posed {
		state, err := authn.StateOf(ctx, h.Kit.DB, id)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case displaced[id] == 1 && state == authn.Cancelled:
		case displaced[id] == 0 && state == authn.Created && last.ID == "":
			last = c
		default:
			t.Errorf("one that %d displaced is %s", displaced[id], state)
		}
	}
	if len(posed) != 16 || displaced[""] != 1 || last.ID == "" {
		t.Fatalf("%d were posed, %d found the slot empty", len(posed), displaced[""])
	}
	h.Do(t, func(tx *db.Tx) error { return authn.Move(t.Context(), tx, &last, authn.Denied) })
	if _, was := take(16); was.ID != "" {
		t.Errorf("a denied one was displaced: %+v", was)
	}
	h.Pass(2 * time.Minute)
	if _, was := take(17); was.ID != "" {
		t.Errorf("one that had run out was displaced: %+v", was)
	}
	if c, was := take(18); was.ID == "" || was.Subject.Device != "dev_17" || c.Data != 18 {
		t.Errorf("the open one was not: %+v", was)
	}
}

// TestChallengesMoveOnce: of many who know a turn one moves, and of many who
// redeem an approval one has its proof.
func TestChallengesMoveOnce(t *testing.T) {
	h := newHouse(t)
	s := authn.Subject{Kind: testKind, Tenant: "t1", App: "shop"}
	var c authn.Challenge[int]
	h.Do(t, func(tx *db.Tx) (err error) {
		if s.User, err = directory.Create(t.Context(), tx, "t1", directory.NewUser{Username: "eve"}); err != nil {
			return err
		}
		c, _, err = authn.Pose(t.Context(), tx, authn.Opening{Subject: s, Once: "once", Life: time.Minute}, 0)
		return err
	})
	ctx := context.Background()
	once := func(what string, refused fault.Code, fn func(tx *db.Tx) error) {
		t.Helper()
		var did atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if err := h.Kit.DB.Move(ctx, fn); err == nil {
					did.Add(1)
				} else if !fault.Is(err, refused) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if did.Load() != 1 {
			t.Errorf("%s: %d of 16", what, did.Load())
		}
	}
	once("a move", fault.Expired, func(tx *db.Tx) error {
		mine := c
		return authn.Move(ctx, tx, &mine, authn.Acknowledged)
	})
	h.Do(t, func(tx *db.Tx) error {
		now, err := authn.Recall[int](t.Context(), tx, c.ID)
		if err != nil {
			return err
		}
		p, err := authn.Attempt(t.Context(), tx, s, func() (authn.CredentialID, error) { return "", nil })
		if err != nil {
			return err
		}
		return authn.Approve(t.Context(), tx, &now, p)
	})
	once("a redemption", fault.Conflict, func(tx *db.Tx) error { _, err := authn.Redeem(ctx, tx, c.ID); return err })
}

// TestLastFactor: of two authenticators that are deleted at once, one stays.
func TestLastFactor(t *testing.T) {
	h := newHouse(t)
	s := authn.Subject{Kind: testKind, Tenant: "t1", App: "shop"}
	var ids []authn.CredentialID
	h.Do(t, func(tx *db.Tx) (err error) {
		if s.User, err = directory.Create(t.Context(), tx, "t1", directory.NewUser{Username: "eve"}); err != nil {
			return err
		}
		for _, handle := range []string{"a", "b"} {
			id, err := authn.Enroll(t.Context(), tx, s, handle, handle, struct{}{})
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	errs := make(chan error, 2)
	for _, id := range ids {
		go func() {
			errs <- h.Kit.DB.Tx(context.Background(), func(tx *db.Tx) error { return authn.Delete(context.Background(), tx, s, id, false) })
		}()
	}
	refused := 0
	for range ids {
		if err := <-errs; fault.Is(err, fault.Conflict) {
			refused++
		} else if err != nil {
			t.Error(err)
		}
	}
	if refused != 1 {
		t.Errorf("%d of 2 deletions were refused, want 1", refused)
	}
}

// TestUnlockScopes: an unlock clears what its kind means and no more.
func TestUnlockScopes(t *testing.T) {
	h := newHouse(t)
	s := authn.Subject{Kind: testKind, Tenant: "t1", App: "shop"}
	locked := func() bool {
		t.Helper()
		err := authn.Locked(t.Context(), h.Kit.DB, s)
		if err != nil && !fault.Is(err, fault.Locked) {
			t.Fatal(err)
		}
		return err != nil
	}
	unlock := func(how authn.How) {
		t.Helper()
		h.Do(t, func(tx *db.Tx) error { return authn.UnlockKind(t.Context(), tx, s, how) })
	}
	h.Do(t, func(tx *db.Tx) (err error) {
		s.User, err = directory.Create(t.Context(), tx, "t1", directory.NewUser{Username: "eve"})
		return err
	})
	for range 3 {
		if err := h.Kit.DB.Tx(t.Context(), func(tx *db.Tx) error {
			if _, err := authn.Attempt(t.Context(), tx, s, func() (authn.CredentialID, error) { return "", authn.Wrong }); !fault.Is(err, fault.Wrong) {
				return err
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if !locked() {
		t.Fatal("three failures did not lock")
	}
	if unlock(authn.Manual); !locked() {
		t.Error("a manual unlock cleared an automatic lock")
	}
	h.Do(t, func(tx *db.Tx) error { return authn.Lock(t.Context(), tx, s, "test") })
	if unlock(authn.Automatic); !locked() {
		t.Error("an automatic unlock cleared a manual lock")
	}
	if unlock(authn.Any); locked() {
		t.Error("any unlock left a lock")
	}
}

// TestWeigh: a judgement outside the transaction is charged first, whoever comes
// with it; a neutral one is taken back, and one that nobody settles is not.
func TestWeigh(t *testing.T) {
	h := newHouse(t)
	s := authn.Subject{Kind: testKind, Tenant: "t1", App: "shop"}
	h.Do(t, func(tx *db.Tx) (err error) {
		s.User, err = directory.Create(t.Context(), tx, "t1", directory.NewUser{Username: "eve"})
		return err
	})
	settle := func(v authn.Verdict) (p authn.Proof, said error) {
		t.Helper()
		h.Do(t, func(tx *db.Tx) error {
			if p, said = v.Settle(t.Context(), tx); fault.Is(said, fault.Internal) {
				return said
			}
			return nil
		})
		return p, said
	}
	right := func() (authn.CredentialID, error) { return "", nil }
	if _, err := settle(authn.Verdict{}); !fault.Is(err, fault.Wrong) {
		t.Errorf("the zero verdict: %v", err)
	}
	for range 5 {
		away := authn.Weigh(t.Context(), h.Kit.DB, s, func() (authn.CredentialID, error) { return "", fault.New(fault.Unavailable, "away") })
		if _, err := settle(away); !fault.Is(err, fault.Unavailable) {
			t.Errorf("an outage: %v", err)
		}
	}
	judged := make(chan bool, 1000)
	done := make(chan authn.Verdict, 1000)
	for range 200 {
		go func() {
			done <- authn.Weigh(context.Background(), h.Kit.DB, s, func() (authn.CredentialID, error) { judged <- true; return "", authn.Wrong })
		}()
	}
	for range 200 {
		<-done
	}
	if len(judged) != 3 {
		t.Errorf("%d of 200 wrong tries at once were judged, want 3", len(judged))
	}
	if p, err := settle(authn.Weigh(t.Context(), h.Kit.DB, s, right)); !fault.Is(err, fault.Locked) || p.User() != "" {
		t.Errorf("a right answer while locked: %v", err)
	}
	h.Pass(2 * 60 * 1e9)
	v := authn.Weigh(t.Context(), h.Kit.DB, s, right)
	h.Do(t, func(tx *db.Tx) error { return authn.Lock(t.Context(), tx, s, "meanwhile") })
	if p, err := settle(v); !fault.Is(err, fault.Locked) || p.User() != "" {
		t.Errorf("a right answer that was locked by hand meanwhile: %v", err)
	}
	h.Do(t, func(tx *db.Tx) error { return authn.UnlockKind(t.Context(), tx, s, authn.Any) })
	if p, err := settle(authn.Weigh(t.Context(), h.Kit.DB, s, right)); err != nil || p.User() != s.User {
		t.Errorf("a right answer: %v", err)
	}
}

// TestWeighWaitsForMany: whoever is right waits for as long as others of the same
// subject are found right, however slow the machine is: here each takes two seconds,
// and three are judged at a time.
func TestWeighWaitsForMany(t *testing.T) {
	if os.Getenv("TEST_POSTGRES") != "" {
		t.Skip("time that passes by itself needs a database within the process")
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		s := authn.Subject{Kind: testKind, Tenant: "t1", App: "shop"}
		h.Do(t, func(tx *db.Tx) (err error) {
			s.User, err = directory.Create(t.Context(), tx, "t1", directory.NewUser{Username: "eve"})
			return err
		})
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				v := authn.Weigh(t.Context(), h.Kit.DB, s, func() (authn.CredentialID, error) { time.Sleep(2 * time.Second); return "", nil })
				if err := h.Kit.DB.Tx(t.Context(), func(tx *db.Tx) error { _, err := v.Settle(t.Context(), tx); return err }); err != nil {
					t.Errorf("a right answer: %v", err)
				}
			})
		}
		all.Wait()
	})
}
