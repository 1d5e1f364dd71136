package directory_test

import (
	"sync"
	"testing"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
)

// TestChangeIdentifier: another name takes the place of one, unverified and primary as
// that was, but never before a verified one; of many who want the same, one gets it.
func TestChangeIdentifier(t *testing.T) {
	w := kittest.New(t)
	var users []directory.UserID
	w.Do(t, func(tx *db.Tx) error {
		users = nil
		for _, email := range []string{"ada@exmaple.org", "eve@example.org"} {
			id, err := directory.Create(t.Context(), tx, "one", directory.NewUser{Email: email})
			if err != nil {
				return err
			}
			users = append(users, id)
		}
		return nil
	})
	ada := users[0]
	change := func(user directory.UserID, old, instead string) error {
		return w.DB.Move(t.Context(), func(tx *db.Tx) error {
			return directory.ChangeIdentifier(t.Context(), tx, "one", user, directory.Email, old, instead)
		})
	}
	names := func() map[string]directory.Identifier {
		t.Helper()
		list, err := directory.Identifiers(t.Context(), w.DB, ada)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]directory.Identifier{}
		for _, i := range list {
			out[i.Shown] = i
		}
		return out
	}
	verify := func(name string) {
		t.Helper()
		w.Do(t, func(tx *db.Tx) error {
			return directory.Verify(t.Context(), tx, "one", ada, directory.Email, name)
		})
	}
	verify("ada@exmaple.org")
	for _, c := range []struct {
		old, instead string
		want         fault.Code
	}{
		{"ada@exmaple.org", "eve@example.org", fault.Conflict},
		{"nobody@example.org", "ada@example.org", fault.NotFound},
		{"eve@example.org", "ada@example.org", fault.NotFound}, // somebody else's
		{"ada@exmaple.org", "no address", fault.Invalid},
	} {
		if err := change(ada, c.old, c.instead); !fault.Is(err, c.want) {
			t.Errorf("%s instead of %s: %v, want %s", c.instead, c.old, err, c.want)
		}
	}
	if err := change(ada, "ada@exmaple.org", "Ada@Exmaple.org"); err != nil || names()["ada@exmaple.org"].VerifiedAt.IsZero() {
		t.Errorf("the same name: %v %+v", err, names())
	}
	if err := change(ada, "ada@exmaple.org", "Ada@example.org"); err != nil {
		t.Fatal(err)
	}
	if now := names(); len(now) != 1 || !now["Ada@example.org"].VerifiedAt.IsZero() || !now["Ada@example.org"].Primary {
		t.Errorf("changed: %+v", now)
	}
	if u, err := directory.LookupKind(t.Context(), w.DB, "one", directory.Email, "ada@example.org"); err != nil || u.ID != ada {
		t.Errorf("found by the new name: %v %v", u.ID, err)
	}

	// What is primary and verified makes room for another that is verified, once it is neither.
	w.Do(t, func(tx *db.Tx) error {
		return directory.AddIdentifier(t.Context(), tx, "one", ada, directory.Email, "ada@home.example")
	})
	verify("ada@example.org")
	verify("ada@home.example")
	if err := change(ada, "ada@example.org", "ada@work.example"); err != nil {
		t.Fatal(err)
	}
	if now := names(); len(now) != 2 || now["ada@work.example"].Primary || !now["ada@home.example"].Primary {
		t.Errorf("one of two changed: %+v", now)
	}

	var all sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for n := range 16 {
		all.Go(func() {
			user, old := ada, "ada@work.example"
			if n%2 == 1 {
				user, old = users[1], "eve@example.org"
			}
			if err := change(user, old, "wanted@example.org"); err == nil {
				mu.Lock()
				got++
				mu.Unlock()
			} else if !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got != 1 {
		t.Errorf("%d got the same name", got)
	}
}
