package audit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
)

func record(t testing.TB, w *kittest.World, e audit.Event) {
	t.Helper()
	w.Do(t, func(tx *db.Tx) error { return audit.Record(t.Context(), tx, e) })
}

func fill(t testing.TB, w *kittest.World, n int) {
	t.Helper()
	w.Do(t, func(tx *db.Tx) error {
		for i := range n {
			if err := audit.Record(t.Context(), tx, audit.Event{Tenant: "t", Type: "test", Outcome: "success", Data: map[string]any{"i": i}}); err != nil {
				return err
			}
		}
		return nil
	})
}

func verify(t testing.TB, w *kittest.World) audit.Verdict {
	t.Helper()
	v, err := audit.Verify(t.Context(), w.DB)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func exec(t testing.TB, w *kittest.World, query string, args ...any) {
	t.Helper()
	w.Do(t, func(tx *db.Tx) error {
		n, err := tx.Exec(t.Context(), query, args...)
		if err == nil && n == 0 {
			err = errors.New("the test changed nothing")
		}
		return err
	})
}

func TestRecordFollowsItsTransaction(t *testing.T) {
	w := kittest.New(t)
	w.DB.Tx(t.Context(), func(tx *db.Tx) error {
		if err := audit.Record(t.Context(), tx, audit.Event{Tenant: "t", Type: "undone"}); err != nil {
			t.Error(err)
		}
		return errors.New("no")
	})
	full := audit.Event{
		Tenant: "t", App: "a", Client: "c", Type: "auth.totp.verified", Outcome: "failure", Reason: "wrong", Actor: "usr_1", Target: "usr_2",
		Run: "run_1", Device: "dev_1", IP: "192.0.2.1", UserAgent: "curl", Data: map[string]any{"n": 1.0},
	}
	record(t, w, full)
	got, err := audit.Find(t.Context(), w.DB, audit.Filter{Tenant: "t"})
	if err != nil || len(got) != 1 {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	e := got[0]
	if fmt.Sprint(e.Event) != fmt.Sprint(full) || !e.At.Equal(w.Now()) || !strings.HasPrefix(e.ID, "aud_") {
		t.Errorf("recorded %+v", e)
	}
}

func TestSecretsAreRefused(t *testing.T) {
	w := kittest.New(t)
	try := func(data map[string]any) error {
		return w.DB.Tx(t.Context(), func(tx *db.Tx) error {
			return audit.Record(t.Context(), tx, audit.Event{Type: "test", Data: data})
		})
	}
	for _, key := range []string{"password", "newPassword", "client_secret", "access_token", "code", "otp", "totp_code", "PIN", "user-pin", "cookie", "recoveryCodes", "accessToken", "private_key"} {
		for _, data := range []map[string]any{{key: "x"}, {"deep": map[string]any{key: 1}}, {"list": []any{map[string]any{key: 1}}}} {
			err := try(data)
			if err == nil || strings.Contains(err.Error(), `"x"`) {
				t.Errorf("%v was recorded, or its value is in the error: %v", data, err)
			}
		}
	}
	for _, key := range []string{"email", "error_code", "status_code", "opinion", "spinner", "number_mode", "codec", "keyboard", "attempts_left"} {
		if err := try(map[string]any{key: "x"}); err != nil {
			t.Errorf("%s was refused: %v", key, err)
		}
	}
	if err := w.DB.Tx(t.Context(), func(tx *db.Tx) error { return audit.Record(t.Context(), tx, audit.Event{}) }); err == nil {
		t.Error("an event without a type was recorded")
	}
}

func TestTextsOfClientsAreBounded(t *testing.T) {
	w := kittest.New(t)
	record(t, w, audit.Event{Tenant: "t", Type: "test", UserAgent: strings.Repeat("ü", 9000), Reason: "a\x00b\xff"})
	got, err := audit.Find(t.Context(), w.DB, audit.Filter{Tenant: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got[0].UserAgent); n > 520 || n < 500 {
		t.Errorf("%d bytes of user agent", n)
	}
	if got[0].Reason != "ab�" {
		t.Errorf("reason %q", got[0].Reason)
	}
}

func TestFind(t *testing.T) {
	w := kittest.New(t)
	for i, typ := range []string{"auth.totp.verified", "auth.totp.refused", "authx", "admin.login", "auth_x.y"} {
		record(t, w, audit.Event{Tenant: "t", Type: typ, Actor: fmt.Sprintf("usr_%d", i%2), Outcome: "success"})
		record(t, w, audit.Event{Tenant: "other", Type: typ})
		w.Pass(time.Minute)
	}
	types := func(f audit.Filter) string {
		f.Tenant = "t"
		es, err := audit.Find(t.Context(), w.DB, f)
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, e := range es {
			s = append(s, e.Type)
		}
		return strings.Join(s, " ")
	}
	start := w.Now().Add(-5 * time.Minute)
	for _, c := range []struct {
		f    audit.Filter
		want string
	}{
		{audit.Filter{}, "auth_x.y admin.login authx auth.totp.refused auth.totp.verified"},
		{audit.Filter{Type: "auth."}, "auth.totp.refused auth.totp.verified"},
		{audit.Filter{Type: "auth_x."}, "auth_x.y"},
		{audit.Filter{Type: "%."}, ""},
		{audit.Filter{Type: "authx"}, "authx"},
		{audit.Filter{Actor: "usr_1"}, "admin.login auth.totp.refused"},
		{audit.Filter{Outcome: "failure"}, ""},
		{audit.Filter{From: start.Add(time.Minute), Until: start.Add(3 * time.Minute)}, "authx auth.totp.refused"},
		{audit.Filter{Limit: 2}, "auth_x.y admin.login"},
	} {
		if got := types(c.f); got != c.want {
			t.Errorf("%+v: %s\nwant %s", c.f, got, c.want)
		}
	}
	first, err := audit.Find(t.Context(), w.DB, audit.Filter{Tenant: "t", Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got := types(audit.Filter{Before: first[1].ID}); got != "authx auth.totp.refused auth.totp.verified" {
		t.Errorf("the next page: %s", got)
	}
}

func TestChain(t *testing.T) {
	w := kittest.New(t)
	if v := verify(t, w); !v.Intact {
		t.Errorf("empty: %+v", v)
	}
	fill(t, w, 450) // more than one batch
	if v := verify(t, w); !v.Intact || v.Waiting != 450 {
		t.Errorf("unsealed: %+v", v)
	}
	audit.Serve(w.Jobs, w.DB)
	if err := w.Jobs.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := verify(t, w); !v.Intact || v.Waiting != 0 || v.Checked != 450 {
		t.Errorf("sealed: %+v", v)
	}
	fill(t, w, 3)
	if err := audit.Seal(t.Context(), w.DB); err != nil {
		t.Fatal(err)
	}
	if v := verify(t, w); !v.Intact || v.Checked != 453 {
		t.Errorf("sealed again: %+v", v)
	}
}

func TestTampering(t *testing.T) {
	for name, c := range map[string]struct {
		seq    int64
		tamper func(t *testing.T, w *kittest.World)
	}{
		"altered": {4, func(t *testing.T, w *kittest.World) {
			exec(t, w, `UPDATE audit SET actor = 'mallory' WHERE seq = 4`)
		}},
		"backdated": {4, func(t *testing.T, w *kittest.World) { exec(t, w, `UPDATE audit SET at = at - 1 WHERE seq = 4`) }},
		"deleted":   {4, func(t *testing.T, w *kittest.World) { exec(t, w, `DELETE FROM audit WHERE seq = 4`) }},
		"last deleted": {9, func(t *testing.T, w *kittest.World) {
			exec(t, w, `DELETE FROM audit WHERE seq = 9`)
		}},
		"all deleted": {1, func(t *testing.T, w *kittest.World) { exec(t, w, `DELETE FROM audit`) }},
		"renumbered": {4, func(t *testing.T, w *kittest.World) {
			exec(t, w, `DELETE FROM audit WHERE seq = 4`)
			for seq := 5; seq <= 9; seq++ {
				exec(t, w, `UPDATE audit SET seq = $1 WHERE seq = $2`, seq-1, seq)
			}
		}},
		"swapped": {4, func(t *testing.T, w *kittest.World) {
			exec(t, w, `UPDATE audit SET seq = 100 WHERE seq = 4`)
			exec(t, w, `UPDATE audit SET seq = 4 WHERE seq = 5`)
			exec(t, w, `UPDATE audit SET seq = 5 WHERE seq = 100`)
		}},
		"head set back": {0, func(t *testing.T, w *kittest.World) {
			exec(t, w, `DELETE FROM audit WHERE seq = 9`)
			exec(t, w, `UPDATE audit_head SET seq = 8, hash = (SELECT hash FROM audit WHERE seq = 8)`)
		}},
		"head removed": {0, func(t *testing.T, w *kittest.World) { exec(t, w, `DELETE FROM audit_head`) }},
		"base forged": {0, func(t *testing.T, w *kittest.World) {
			exec(t, w, `DELETE FROM audit WHERE seq <= 4`)
			exec(t, w, `UPDATE audit_head SET base_seq = 4, base_hash = 'x'`)
		}},
		"data that is no JSON": {4, func(t *testing.T, w *kittest.World) { exec(t, w, `UPDATE audit SET data = 'x' WHERE seq = 4`) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := kittest.New(t)
			fill(t, w, 9)
			if err := audit.Seal(t.Context(), w.DB); err != nil {
				t.Fatal(err)
			}
			if v := verify(t, w); !v.Intact {
				t.Fatalf("before: %+v", v)
			}
			c.tamper(t, w)
			if v := verify(t, w); v.Intact || v.Problem == "" || v.Seq != c.seq {
				t.Errorf("%+v, want row %d", v, c.seq)
			}
			fill(t, w, 1)
			audit.Seal(t.Context(), w.DB)
			if v := verify(t, w); v.Intact {
				t.Errorf("sealing another row hid it: %+v", v)
			}
		})
	}
}

func TestSealersAtOnce(t *testing.T) {
	w := kittest.New(t)
	var all sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 4 {
		all.Go(func() {
			for range 10 {
				fill(t, w, 5)
			}
		})
	}
	var sealers sync.WaitGroup
	for range 4 {
		sealers.Go(func() {
			for ctx.Err() == nil {
				if err := audit.Seal(t.Context(), w.DB); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	stop()
	sealers.Wait()
	if err := audit.Seal(t.Context(), w.DB); err != nil {
		t.Fatal(err)
	}
	if v := verify(t, w); !v.Intact || v.Checked != 200 {
		t.Errorf("%+v", v)
	}
}

func TestPrune(t *testing.T) {
	w := kittest.New(t)
	fill(t, w, 300)
	w.Pass(time.Hour)
	fill(t, w, 10)
	if err := audit.Seal(t.Context(), w.DB); err != nil {
		t.Fatal(err)
	}
	var gone int64
	for {
		var n int64
		w.Do(t, func(tx *db.Tx) error {
			var err error
			n, err = audit.Prune(t.Context(), tx, w.Now())
			return err
		})
		if gone += n; n == 0 {
			break
		}
	}
	if v := verify(t, w); gone != 300 || !v.Intact || v.Checked != 10 {
		t.Errorf("%d gone, %+v", gone, v)
	}
	fill(t, w, 1)
	if err := audit.Seal(t.Context(), w.DB); err != nil {
		t.Fatal(err)
	}
	if v := verify(t, w); !v.Intact || v.Checked != 11 {
		t.Errorf("after more: %+v", v)
	}
	exec(t, w, `DELETE FROM audit WHERE seq = 301`)
	if v := verify(t, w); v.Intact || v.Seq != 301 {
		t.Errorf("the first that is left was deleted: %+v", v)
	}
}

func BenchmarkRecord(b *testing.B) {
	w := kittest.New(b)
	for b.Loop() {
		fill(b, w, 1)
	}
}
