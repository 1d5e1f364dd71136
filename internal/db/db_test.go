package db_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
)

// The tests use lockouts, a table of a key and a text.

func put(ctx context.Context, tx *db.Tx, key, text string) error {
	_, err := tx.Exec(ctx, `INSERT INTO lockouts (subject, state, updated_at) VALUES ($1, $2, $3)`, key, text, tx.Now())
	return err
}

func has(t testing.TB, q db.Q, key string) bool {
	t.Helper()
	var n int
	if err := q.QueryRow(context.Background(), `SELECT COUNT(*) FROM lockouts WHERE subject = $1`, key).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n == 1
}

func TestTxKeepsOrLeavesNoTrace(t *testing.T) {
	w := kittest.New(t)
	ctx := t.Context()
	boom := errors.New("boom")

	w.Do(t, func(tx *db.Tx) error { return put(ctx, tx, "kept", "") })
	err := w.DB.Tx(ctx, func(tx *db.Tx) error { return errors.Join(put(ctx, tx, "failed", ""), boom) })
	if !errors.Is(err, boom) {
		t.Errorf("Tx returned %v, not the error of its function", err)
	}
	func() {
		defer func() {
			if recover() != "panic" {
				t.Error("a panic did not reach its caller")
			}
		}()
		w.DB.Tx(ctx, func(tx *db.Tx) error { put(ctx, tx, "panicked", ""); panic("panic") })
	}()
	var gone sync.WaitGroup
	gone.Go(func() {
		w.DB.Tx(ctx, func(tx *db.Tx) error { put(ctx, tx, "exited", ""); runtime.Goexit(); return nil })
	})
	gone.Wait()
	left, cancel := context.WithCancel(ctx)
	cancel()
	if err := w.DB.Tx(left, func(tx *db.Tx) error { return put(ctx, tx, "left", "") }); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who had left got %v", err)
	}

	for key, want := range map[string]bool{"kept": true, "failed": false, "panicked": false, "exited": false, "left": false} {
		if has(t, w.DB, key) != want {
			t.Errorf("%s: kept is %v", key, !want)
		}
	}
	w.Do(t, func(tx *db.Tx) error { return put(ctx, tx, "after all that", "") })
}

func TestACallerWhoLeavesDoesNotBreakItsTransaction(t *testing.T) {
	w := kittest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := w.DB.Tx(ctx, func(tx *db.Tx) error {
		cancel()
		return put(ctx, tx, "begun", "")
	})
	if err != nil || !has(t, w.DB, "begun") {
		t.Errorf("a transaction that had begun was not finished: %v", err)
	}
}

func TestTxSeesItsOwnWritesAndOneTime(t *testing.T) {
	w := kittest.New(t)
	w.Do(t, func(tx *db.Tx) error {
		was := tx.Now()
		if err := put(t.Context(), tx, "mine", ""); err != nil {
			return err
		}
		if !has(t, tx, "mine") || has(t, w.DB, "mine") {
			t.Error("a transaction does not see its own write, or others see it too early")
		}
		w.Pass(time.Hour)
		if !tx.Now().Equal(was) {
			t.Error("the clock of a transaction moved")
		}
		return nil
	})
}

func TestNothingFollowsAFailedStatement(t *testing.T) {
	w := kittest.New(t)
	w.Do(t, func(tx *db.Tx) error { return put(t.Context(), tx, "taken", "") })
	err := w.DB.Tx(t.Context(), func(tx *db.Tx) error {
		if err := put(t.Context(), tx, "taken", ""); !db.Taken(err) {
			t.Errorf("taken twice: %v", err)
		}
		put(t.Context(), tx, "next", "")
		return nil
	})
	if !db.Taken(err) || has(t, w.DB, "next") {
		t.Errorf("a transaction went on after a failed statement: %v", err)
	}
}

func TestRowsLeftOpen(t *testing.T) {
	w := kittest.New(t)
	for range 3 { // the second time uses the statement again
		w.Do(t, func(tx *db.Tx) error {
			for i := range 2 {
				rows, err := tx.Query(t.Context(), `INSERT INTO lockouts (subject, state, updated_at) VALUES ($1, '', 0), ($2, '', 0) RETURNING subject`, db.NewID("a"), db.NewID("b"))
				if err != nil {
					return err
				}
				rows.Next()
				if i == 1 { // left open; PostgreSQL cannot have two open at once
					return nil
				}
				rows.Close()
			}
			return nil
		})
	}
	w.Do(t, func(tx *db.Tx) error {
		tx.QueryRow(t.Context(), `SELECT subject FROM lockouts`) // never scanned
		return nil
	})
	var n int
	if err := w.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM lockouts`).Scan(&n); err != nil || n != 12 {
		t.Errorf("%d rows, not 12 (%v)", n, err)
	}
}

func TestNestedQueryOfTheSameText(t *testing.T) {
	w := kittest.New(t)
	w.Do(t, func(tx *db.Tx) error {
		return errors.Join(put(t.Context(), tx, "1", ""), put(t.Context(), tx, "2", ""))
	})
	const all = `SELECT subject FROM lockouts ORDER BY subject`
	outer, err := w.DB.Query(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	defer outer.Close()
	var seen []string
	for outer.Next() {
		var a, b string
		if err := outer.Scan(&a); err != nil {
			t.Fatal(err)
		}
		inner, err := w.DB.Query(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		for inner.Next() {
			if err := inner.Scan(&b); err != nil {
				t.Fatal(err)
			}
			seen = append(seen, a+b)
		}
		inner.Close()
	}
	if want := []string{"11", "12", "21", "22"}; !slices.Equal(seen, want) {
		t.Errorf("%v, not %v", seen, want)
	}
}

func TestSpendOnceSixteenTimes(t *testing.T) {
	w := kittest.New(t)
	w.Do(t, func(tx *db.Tx) error { return put(t.Context(), tx, "code", "fresh") })
	var won atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			err := w.DB.Tx(t.Context(), func(tx *db.Tx) error {
				n, err := tx.Exec(t.Context(), `UPDATE lockouts SET state = 'spent' WHERE subject = 'code' AND state = 'fresh'`)
				if err == nil && n != 1 {
					return fault.New(fault.Conflict, "spent")
				}
				return err
			})
			if err == nil {
				won.Add(1)
			} else if !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("spent %d times", won.Load())
	}
}

// A read and a write that depends on it, without a condition: only
// serializability and its retries make this right.
func TestNoUpdateIsLost(t *testing.T) {
	w := kittest.New(t)
	w.Do(t, func(tx *db.Tx) error { return put(t.Context(), tx, "sum", "0") })
	var all sync.WaitGroup
	var done atomic.Int64
	for range 8 {
		all.Go(func() {
			for range 5 {
				err := w.DB.Tx(t.Context(), func(tx *db.Tx) error {
					var n int
					if err := tx.QueryRow(t.Context(), `SELECT state FROM lockouts WHERE subject = 'sum'`).Scan(&n); err != nil {
						return err
					}
					_, err := tx.Exec(t.Context(), `UPDATE lockouts SET state = $1 WHERE subject = 'sum'`, fmt.Sprint(n+1))
					return err
				})
				switch {
				case err == nil:
					done.Add(1)
				case !fault.Is(err, fault.Unavailable): // so busy that it gave up is an answer
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	var n int64
	if err := w.DB.QueryRow(t.Context(), `SELECT state FROM lockouts WHERE subject = 'sum'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != done.Load() || n < 20 {
		t.Errorf("the sum is %d after %d acknowledged increments", n, done.Load())
	}
}

// A hundred at once who all want the same row all get it, one after another: who
// loses goes on in single file.
func TestEverybodyGetsTheirTurn(t *testing.T) {
	w := kittest.New(t)
	w.Do(t, func(tx *db.Tx) error { return put(t.Context(), tx, "sum", "0") })
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			err := w.DB.Move(t.Context(), func(tx *db.Tx) error {
				var n int
				if err := tx.QueryRow(t.Context(), `SELECT state FROM lockouts WHERE subject = 'sum'`).Scan(&n); err != nil {
					return err
				}
				_, err := tx.Exec(t.Context(), `UPDATE lockouts SET state = $1 WHERE subject = 'sum'`, fmt.Sprint(n+1))
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var n int
	if err := w.DB.QueryRow(t.Context(), `SELECT state FROM lockouts WHERE subject = 'sum'`).Scan(&n); err != nil || n != 100 {
		t.Errorf("the sum is %d, %v", n, err)
	}
}

// What a function makes of a lost race does not count: it must run again.
func TestASwallowedConflictIsStillRetried(t *testing.T) {
	w := kittest.New(t)
	if !w.Shared() {
		t.Skip("SQLite's writers take turns")
	}
	w.Do(t, func(tx *db.Tx) error { return put(t.Context(), tx, "row", "") })
	runs := 0
	err := w.DB.Tx(t.Context(), func(tx *db.Tx) error {
		var s string
		if err := tx.QueryRow(t.Context(), `SELECT state FROM lockouts WHERE subject = 'row'`).Scan(&s); err != nil {
			return err
		}
		if runs++; runs == 1 {
			w.Do(t, func(other *db.Tx) error {
				_, err := other.Exec(t.Context(), `UPDATE lockouts SET state = 'theirs' WHERE subject = 'row'`)
				return err
			})
		}
		if _, err := tx.Exec(t.Context(), `UPDATE lockouts SET state = 'ours' WHERE subject = 'row'`); err != nil {
			return fault.New(fault.Wrong, "a careless function's own idea")
		}
		return nil
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs, error %v", runs, err)
	}
}

func TestWatch(t *testing.T) {
	w := kittest.New(t)
	watch := w.DB.Watch("a", "b")
	signalled := func() bool {
		select {
		case <-watch.C:
			return true
		default:
			return false
		}
	}
	w.DB.Tx(t.Context(), func(tx *db.Tx) error { tx.Signal("a"); return errors.New("no") })
	w.Do(t, func(tx *db.Tx) error { tx.Signal("c"); return nil })
	if signalled() {
		t.Fatal("woken by what did not happen")
	}
	w.Do(t, func(tx *db.Tx) error { tx.Signal("a"); tx.Signal("a"); tx.SignalHere("b"); return nil })
	if !signalled() || signalled() {
		t.Fatal("not woken exactly once")
	}
	watch.Close()
	w.Do(t, func(tx *db.Tx) error { tx.Signal("a"); return nil })
	if signalled() {
		t.Fatal("woken after Close")
	}
	var n int
	if err := w.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM signals`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if want := map[bool]int{true: 3}[w.Shared()]; n != want {
		t.Errorf("%d signals stored, not %d", n, want)
	}
}

func TestTakenAndNone(t *testing.T) {
	w := kittest.New(t)
	w.Do(t, func(tx *db.Tx) error { return put(t.Context(), tx, "k", "") })
	err := w.DB.Tx(t.Context(), func(tx *db.Tx) error { return put(t.Context(), tx, "k", "") })
	if !db.Taken(err) || db.Taken(nil) || db.Taken(errors.New("other")) {
		t.Errorf("Taken does not tell: %v", err)
	}
	var s string
	err = w.DB.QueryRow(t.Context(), `SELECT state FROM lockouts WHERE subject = 'none'`).Scan(&s)
	if !fault.Is(db.None(err, "lockout"), fault.NotFound) {
		t.Errorf("no row gave %v", err)
	}
	if err := w.DB.QueryRow(t.Context(), `SELECT nothing FROM lockouts`).Scan(&s); err == nil || fault.Of(db.None(err, "x")).Code != fault.Internal {
		t.Errorf("a broken query gave %v", err)
	}
}

func TestScanners(t *testing.T) {
	w := kittest.New(t)
	at := time.Date(2030, 1, 2, 3, 4, 5, 6e6, time.UTC)
	type doc struct{ A []int }
	w.Do(t, func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO lockouts (subject, state, updated_at) VALUES ('t', $1, $2), ('never', '{}', $3)`, db.Text(doc{[]int{1, 2}}), at, time.Time{})
		return err
	})
	var got doc
	var when, never time.Time
	if err := w.DB.QueryRow(t.Context(), `SELECT state, updated_at FROM lockouts WHERE subject = 't'`).Scan(db.JSON(&got), db.Time(&when)); err != nil {
		t.Fatal(err)
	}
	if err := w.DB.QueryRow(t.Context(), `SELECT updated_at FROM lockouts WHERE subject = 'never'`).Scan(db.Time(&never)); err != nil {
		t.Fatal(err)
	}
	if !when.Equal(at) || !never.IsZero() || len(got.A) != 2 {
		t.Errorf("read %v, %v, %v", when, never, got)
	}
}

func TestNewIDSorts(t *testing.T) {
	var ids []string
	for range 2000 {
		ids = append(ids, db.NewID("x_"))
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Error("ids do not sort by the time they were made, or repeat")
	}
	if s := ids[0]; len(s) != 28 || strings.ToLower(s) != s {
		t.Errorf("an id looks like %q", s)
	}
}

func TestCloseStopsEverything(t *testing.T) {
	w := kittest.New(t)
	watch := w.DB.Watch("x")
	defer watch.Close()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			err := w.DB.Tx(t.Context(), func(tx *db.Tx) error { return put(t.Context(), tx, fmt.Sprint(i), "") })
			if err != nil && !fault.Is(err, fault.Unavailable) {
				t.Logf("while closing: %v", err)
			}
		})
	}
	all.Wait()
	if err := w.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.DB.Close(); err != nil {
		t.Fatal("closing twice:", err)
	}
	if err := w.DB.Tx(t.Context(), func(*db.Tx) error { return nil }); err == nil {
		t.Error("a closed database took a transaction")
	}
	// database/sql and pgx end their goroutines a moment after Close.
	var stacks string
	for range 100 {
		buf := make([]byte, 1<<20)
		stacks = string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, "internal/db.(*") && !strings.Contains(stacks, "database/sql.(*DB)") && !strings.Contains(stacks, "pgx") {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Errorf("still running:\n%s", stacks)
}

func TestPing(t *testing.T) {
	w := kittest.New(t)
	err := w.DB.Ping(t.Context())
	if !w.Shared() {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("the world's clock is far from the database's, and Ping says %v", err)
	}
	var now int64
	if err := w.DB.QueryRow(t.Context(), `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`).Scan(&now); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.UnixMilli(now).Sub(w.Now()))
	if err := w.DB.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	w.Pass(-6 * time.Second)
	if err := w.DB.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "behind") {
		t.Errorf("six seconds behind, and Ping says %v", err)
	}
	w.Pass(13 * time.Second)
	if err := w.DB.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "ahead") {
		t.Errorf("seven seconds ahead, and Ping says %v", err)
	}
}

func BenchmarkTx(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			w := kittest.New(b)
			b.ResetTimer()
			var next atomic.Int64
			var all sync.WaitGroup
			for range writers {
				all.Go(func() {
					for next.Add(1) <= int64(b.N) {
						err := w.DB.Tx(b.Context(), func(tx *db.Tx) error { return put(b.Context(), tx, db.NewID(""), "{}") })
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	w := kittest.New(b)
	w.Do(b, func(tx *db.Tx) error { return put(b.Context(), tx, "k", "{}") })
	for b.Loop() {
		if !has(b, w.DB, "k") {
			b.Fatal("gone")
		}
	}
}

func TestSize(t *testing.T) {
	w := kittest.New(t)
	size := func() int64 {
		n, err := w.DB.Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := size()
	w.Do(t, func(tx *db.Tx) error { return put(t.Context(), tx, "large", strings.Repeat("x", 1<<20)) })
	if grown := size() - before; before <= 0 || !w.Shared() && grown < 1<<20 {
		t.Errorf("%d bytes, and %d more with a megabyte in it", before, grown)
	}
}
