package db_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
)

func TestASignalReachesTheOtherNode(t *testing.T) {
	w := kittest.New(t)
	other := w.Node(t)
	watch, idle := other.Watch("push/1"), other.Watch("push/2")
	defer watch.Close()
	defer idle.Close()
	for range 3 {
		kittest.Prompt(t, time.Second, "until it woke", func() time.Duration {
			begun := time.Now()
			w.Do(t, func(tx *db.Tx) error { tx.Signal("push/1"); return nil })
			return woken(t, watch, begun)
		})
	}
	w.DB.Tx(t.Context(), func(tx *db.Tx) error { tx.Signal("push/2"); return context.Canceled })
	w.Do(t, func(tx *db.Tx) error { tx.SignalHere("push/2"); return nil })
	select {
	case <-idle.C:
		t.Error("woken by a signal that was undone, or not for this node")
	case <-watch.C:
		t.Error("one signal woke twice")
	case <-time.After(time.Second):
	}
}

// A signal whose transaction commits late, after later ones were seen, or whose
// node has a clock that is four seconds behind, is not missed.
func TestALateSignalIsNotMissed(t *testing.T) {
	w := kittest.New(t)
	other := w.Node(t)
	late, early := other.Watch("late"), other.Watch("early")
	defer late.Close()
	defer early.Close()
	w.Do(t, func(tx *db.Tx) error { tx.Signal("early"); return nil })
	woken(t, early, time.Now())
	w.Do(t, func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO signals (id, node, topic, at) VALUES ('x', 'third', 'late', $1)`, tx.Now().Add(-4*time.Second))
		return err
	})
	woken(t, late, time.Now())
}

// woken waits for watch and returns how long that took from begun.
func woken(t *testing.T, watch *db.Watch, begun time.Time) time.Duration {
	t.Helper()
	select {
	case <-watch.C:
	case <-time.After(time.Minute): // nothing else wakes it, however long it waits
		t.Fatal("the signal was missed")
	}
	return time.Since(begun)
}

func TestSweepSignals(t *testing.T) {
	w := kittest.New(t)
	w.Do(t, func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO signals (id, node, topic, at) VALUES ('old', 'n', 't', $1), ('new', 'n', 't', $2)`,
			tx.Now().Add(-2*time.Minute), tx.Now())
		return err
	})
	w.Do(t, func(tx *db.Tx) error { return db.Sweep(t.Context(), tx) })
	var id string
	if err := w.DB.QueryRow(t.Context(), `SELECT id FROM signals`).Scan(&id); err != nil || id != "new" {
		t.Errorf("left is %q (%v)", id, err)
	}
}

// wire is a TCP connection to the database that the test can cut.
type wire struct {
	listener net.Listener
	target   string
	cut      atomic.Bool
	mute     atomic.Bool // who connects hears nothing
	swallow  atomic.Bool // the answer to the next COMMIT
	mu       sync.Mutex
	open     []net.Conn
}

func newWire(t *testing.T, address string) (*wire, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, target: u.Host}
	t.Cleanup(func() { l.Close(); w.Cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.serve(c)
		}
	}()
	u.Host = l.Addr().String()
	return w, u.String()
}

func (w *wire) serve(client net.Conn) {
	defer client.Close()
	if w.mute.Load() {
		io.Copy(io.Discard, client)
		return
	}
	server, err := net.Dial("tcp", w.target)
	if err != nil || w.cut.Load() {
		return
	}
	defer server.Close()
	w.mu.Lock()
	w.open = append(w.open, client, server)
	w.mu.Unlock()
	var deaf atomic.Bool
	go func() {
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || deaf.Load() { // the server has answered, the client will not hear
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(bytes.ToLower(buf[:n]), []byte("commit\x00")) && w.swallow.CompareAndSwap(true, false) {
			deaf.Store(true)
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
		if deaf.Load() {
			io.Copy(io.Discard, client)
			return
		}
	}
}

func (w *wire) Cut() {
	w.cut.Store(true)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open {
		c.Close()
	}
	w.open = nil
}

func (w *wire) Mend() { w.cut.Store(false) }

func remote(t *testing.T, w *kittest.World) (*wire, *db.DB) {
	t.Helper()
	if !w.Shared() {
		t.Skip("needs a database behind a network; set TEST_POSTGRES")
	}
	line, address := newWire(t, w.Address)
	d, err := open(t, address)
	if err != nil {
		t.Fatal(err)
	}
	return line, d
}

func TestOutage(t *testing.T) {
	w := kittest.New(t)
	line, d := remote(t, w)
	watch := d.Watch("t")
	defer watch.Close()
	read := func() error {
		var n int
		return d.QueryRow(t.Context(), `SELECT COUNT(*) FROM lockouts`).Scan(&n)
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}

	during := d.Tx(t.Context(), func(tx *db.Tx) error {
		if err := put(t.Context(), tx, "half", ""); err != nil {
			return err
		}
		line.Cut()
		return put(t.Context(), tx, "way", "")
	})
	_, query := d.Query(t.Context(), `SELECT subject FROM lockouts`)
	for what, err := range map[string]error{
		"inside a Tx": during,
		"a Tx":        d.Tx(t.Context(), func(tx *db.Tx) error { return put(t.Context(), tx, "x", "") }),
		"a row":       db.None(read(), "lockout"),
		"a query":     query,
		"a ping":      d.Ping(t.Context()),
	} {
		if f := fault.Of(err); err == nil || f.Code != fault.Unavailable || f.RetryAfter <= 0 {
			t.Errorf("%s during an outage: %v", what, err)
		}
	}
	// Signal the node while it cannot hear, until it has looked in vain.
	w.Do(t, func(tx *db.Tx) error { tx.Signal("t"); return nil })
	for looks := d.Statements() + 2; d.Statements() < looks; { // when it looks again, the look before is over
		<-time.After(10 * time.Millisecond)
	}
	w.Pass(time.Hour) // what was missed is far too old to be found
	line.Mend()
	select {
	case <-watch.C:
	case <-time.After(time.Minute): // nothing else wakes it
		t.Error("who waited through the outage was not woken after it")
	}
	if err := read(); err != nil {
		t.Error("after the outage:", err)
	}
	if has(t, w.DB, "half") || has(t, w.DB, "x") {
		t.Error("half a transaction was kept")
	}
}

// A database that lets one connect and says nothing is away, too.
func TestASilentDatabaseIsAway(t *testing.T) {
	w := kittest.New(t)
	if !w.Shared() {
		t.Skip("needs a database behind a network; set TEST_POSTGRES")
	}
	line, address := newWire(t, w.Address)
	d, err := open(t, address+"?connect_timeout=1")
	if err != nil {
		t.Fatal(err)
	}
	line.mute.Store(true)
	line.Cut()
	line.Mend()
	d.Query(t.Context(), `SELECT subject FROM lockouts`) // by a connection that was cut
	for range 2 {
		if _, err = d.Query(t.Context(), `SELECT subject FROM lockouts`); !fault.Is(err, fault.Unavailable) {
			t.Errorf("nothing is said: %v", err)
		}
	}
}

// The server commits and its answer is lost. Running the transaction again
// would double it; so the caller is told that nobody knows.
func TestALostAcknowledgementIsNotRetried(t *testing.T) {
	w := kittest.New(t)
	line, d := remote(t, w)
	runs := 0
	line.swallow.Store(true)
	err := d.Tx(t.Context(), func(tx *db.Tx) error { runs++; return put(t.Context(), tx, "once", "") })
	if line.swallow.Load() {
		t.Fatal("the test saw no COMMIT")
	}
	if !fault.Is(err, fault.Unavailable) || runs != 1 {
		t.Errorf("%d runs, %v", runs, err)
	}
	if !has(t, w.DB, "once") {
		t.Error("the test lost the COMMIT, not its answer")
	}
}

func TestTextThatCannotBeStored(t *testing.T) {
	w := kittest.New(t)
	if !w.Shared() {
		t.Skip("SQLite stores any text")
	}
	err := w.DB.Tx(t.Context(), func(tx *db.Tx) error { return put(t.Context(), tx, "nul\x00", "") })
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("a text with a NUL: %v", err)
	}
}
