package db

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/secret"
)

func openTest(t testing.TB, path string) *DB {
	t.Helper()
	vault, err := secret.NewVault(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), "sqlite:"+path, vault, func() time.Time { return time.UnixMilli(1_800_000_000_000) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func insert(tx *Tx, key string) error {
	_, err := tx.Exec(context.Background(), `INSERT INTO lockouts (subject, state, updated_at) VALUES ($1, '', 0)`, key)
	return err
}

func count(t testing.TB, d *DB) int {
	t.Helper()
	var n int
	if err := d.QueryRow(t.Context(), `SELECT COUNT(*) FROM lockouts`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// hold takes the baton, starts n callers, and returns when all of them queue.
func hold(t *testing.T, d *DB, n int, call func(i int)) (wait func()) {
	t.Helper()
	if err := d.writer.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { call(i) })
		queued(d, i+1)
	}
	return all.Wait
}

func queued(d *DB, n int) {
	for {
		d.writer.mu.Lock()
		have := len(d.writer.queue)
		d.writer.mu.Unlock()
		if have == n {
			return
		}
		runtime.Gosched()
	}
}

// In one batch: three succeed, one fails, one panics, one breaks a constraint.
// Nobody is answered before the last of the batch has run, and exactly those
// who were told so are stored.
func TestABatchSharesOneCommitAndNothingElse(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "db"))
	var answered, early atomic.Int64
	results := make([]error, 6)
	wait := hold(t, d, 6, func(i int) {
		defer func() {
			if p := recover(); p != nil {
				results[i] = fmt.Errorf("panic: %v", p)
			}
		}()
		results[i] = d.Tx(t.Context(), func(tx *Tx) error {
			early.Add(answered.Load())
			if err := insert(tx, fmt.Sprint(i)); err != nil {
				return err
			}
			switch i {
			case 1:
				return errors.New("no")
			case 3:
				panic("oh")
			case 4:
				return insert(tx, "0") // taken in this very batch
			}
			return nil
		})
		if results[i] == nil {
			answered.Add(1)
		}
	})
	d.writer.pass(false)
	wait()
	if early.Load() != 0 {
		t.Error("a member of the batch was answered before the commit")
	}
	for i, err := range results {
		good := i == 0 || i == 2 || i == 5
		if good != (err == nil) {
			t.Errorf("caller %d got %v", i, err)
		}
	}
	if !Taken(results[4]) || results[3].Error() != "panic: oh" {
		t.Errorf("errors went astray: %v", results)
	}
	if n := count(t, d); n != 3 {
		t.Errorf("%d rows, not 3", n)
	}
}

func TestABatchIsBounded(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "db"))
	var answered atomic.Int64
	var before [maxBatch + 2]int64
	wait := hold(t, d, maxBatch+2, func(i int) {
		if err := d.Tx(t.Context(), func(tx *Tx) error { before[i] = int64(count(t, d)); return insert(tx, fmt.Sprint(i)) }); err != nil {
			t.Error(err)
		}
		answered.Add(1)
	})
	d.writer.pass(false)
	wait()
	if before[maxBatch-1] != 0 || before[maxBatch] != maxBatch {
		t.Errorf("the last of the first batch saw %d committed, the first of the next %d", before[maxBatch-1], before[maxBatch])
	}
}

// When the engine drops the whole transaction because of one function, its
// neighbours run again and lose nothing.
func TestABrokenBatchRunsAgain(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "db"))
	results := make([]error, 5)
	var runs [5]int
	wait := hold(t, d, 5, func(i int) {
		results[i] = d.Tx(t.Context(), func(tx *Tx) error {
			runs[i]++
			if i == 2 {
				tx.Exec(t.Context(), `ROLLBACK`) // as the engine itself does when the disk is full
			}
			return insert(tx, fmt.Sprint(i))
		})
	})
	d.writer.pass(false)
	wait()
	for i, err := range results {
		if i != 2 && err != nil {
			t.Errorf("caller %d got %v after %d runs", i, err, runs[i])
		}
	}
	if runs[0] != 2 || runs[1] != 2 {
		t.Errorf("runs: %v", runs)
	}
	for i := range results {
		var n int
		if err := d.QueryRow(t.Context(), `SELECT COUNT(*) FROM lockouts WHERE subject = $1`, fmt.Sprint(i)).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if i != 2 && n != 1 {
			t.Errorf("caller %d was told success and has %d rows", i, n)
		}
	}
}

// A disk that is full refuses who needs more of it, and nobody else.
func TestFullDisk(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "db"))
	if err := d.Tx(t.Context(), func(tx *Tx) error {
		var pages, limit int
		if err := tx.QueryRow(t.Context(), `PRAGMA page_count`).Scan(&pages); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+4)).Scan(&limit)
	}); err != nil {
		t.Fatal(err)
	}
	results := make([]error, 6)
	wait := hold(t, d, 6, func(i int) {
		results[i] = d.Tx(t.Context(), func(tx *Tx) error {
			if i == 3 {
				for j := range 2000 {
					if err := insert(tx, fmt.Sprintf("%0500d", j)); err != nil {
						return fault.New(fault.Wrong, "a careless function's own idea")
					}
				}
			}
			return insert(tx, fmt.Sprint(i))
		})
	})
	d.writer.pass(false)
	wait()
	for i, err := range results {
		if i == 3 && !fault.Is(err, fault.Unavailable) {
			t.Errorf("the disk is full, and the caller got %v", err)
		}
		if i != 3 && err != nil {
			t.Errorf("caller %d got %v", i, err)
		}
	}
	if n := count(t, d); n != 5 {
		t.Errorf("%d rows, not 5", n)
	}
}

func TestALeaverInTheQueue(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "db"))
	ctx, cancel := context.WithCancel(t.Context())
	results := make([]error, 3)
	wait := hold(t, d, 3, func(i int) {
		c := t.Context()
		if i == 1 {
			c = ctx
		}
		results[i] = d.Tx(c, func(tx *Tx) error { return insert(tx, fmt.Sprint(i)) })
	})
	cancel()
	queued(d, 2)
	d.writer.pass(false)
	wait()
	if results[0] != nil || !errors.Is(results[1], context.Canceled) || results[2] != nil {
		t.Errorf("%v", results)
	}
	if n := count(t, d); n != 2 {
		t.Errorf("%d rows, not 2", n)
	}
}

// Callers come, leave and fail at random moments; afterwards the writer still
// works, and what was acknowledged, and only that, is there after reopening.
func TestCrowd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	d := openTest(t, path)
	var acknowledged sync.Map
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := range 100 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%5 == 0 {
					go cancel()
				}
				key := fmt.Sprintf("%d/%d", g, i)
				err := d.Tx(ctx, func(tx *Tx) error {
					if err := insert(tx, key); err != nil {
						return err
					}
					if i%7 == 0 {
						return errors.New("no")
					}
					return nil
				})
				if err == nil {
					acknowledged.Store(key, true)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = openTest(t, path)
	n := 0
	acknowledged.Range(func(key, _ any) bool {
		n++
		var have int
		if err := d.QueryRow(t.Context(), `SELECT COUNT(*) FROM lockouts WHERE subject = $1`, key).Scan(&have); err != nil || have != 1 {
			t.Errorf("%v was acknowledged and is gone (%v)", key, err)
		}
		return true
	})
	if have := count(t, d); have != n || n < 1000 {
		t.Errorf("%d acknowledged, %d stored", n, have)
	}
}

func TestCloseWhileCallersQueue(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "db"))
	results := make([]error, 4)
	wait := hold(t, d, 4, func(i int) {
		results[i] = d.Tx(t.Context(), func(tx *Tx) error { return insert(tx, fmt.Sprint(i)) })
	})
	var closing sync.WaitGroup
	closing.Go(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	queued(d, 5)
	d.writer.pass(false)
	wait()
	closing.Wait()
	for i, err := range results {
		if err != nil {
			t.Errorf("caller %d, who came before Close, got %v", i, err)
		}
	}
	if err := d.Tx(t.Context(), func(*Tx) error { return nil }); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after Close: %v", err)
	}
}
