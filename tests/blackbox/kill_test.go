package blackbox

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// ledger is what clients were told.
type ledger struct {
	mu       sync.Mutex
	approved map[string]bool   // request: the phone heard "accepted"
	denied   map[string]bool   // request: the phone heard that its no was taken
	guessed  map[string]bool   // request: the phone heard that its number was wrong
	tokens   map[string]string // jti → request
	lost     []string
	unclear  int           // requests of which the phone heard nothing
	news     chan struct{} // of one: something was noted
}

// note writes something down, and wakes who waits for it.
func (l *ledger) note(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
	select {
	case l.news <- struct{}{}:
	default: // it is awake already
	}
}

func (l *ledger) lose(format string, args ...any) {
	l.note(func() { l.lost = append(l.lost, fmt.Sprintf(format, args...)) })
}

// await returns when enough was acknowledged to say something about so many kills,
// or something is lost already. However busy the machine is, nothing at all must
// not happen for a minute.
func (l *ledger) await(kills int) {
	for !l.enough(kills) {
		select {
		case <-l.news:
		case <-time.After(time.Minute):
			l.lose("nothing was acknowledged within a minute, before kill %d", kills)
		}
	}
}

func (l *ledger) enough(kills int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lost) > 0 || len(l.approved) >= 2*kills && len(l.denied) > 0 && len(l.guessed) > 0
}

// TestKill9 kills the server again and again while 16 people sign in. What a
// client was told stays true: who heard "accepted" gets in, once; who heard that
// a no was taken does not; every decision stands in the audit record exactly
// once, and the record and the database are whole (security K1, Q1, P15).
func TestKill9(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	p := place{Listen: address(t), Data: t.TempDir()}
	kills := 100
	if os.Getenv("TEST_POSTGRES") != "" {
		p.Database, kills = kittest.Address(t), 15
	}
	if s := os.Getenv("WATCHWORD_KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		kills = n
	}
	n := start(t, p)
	l := &ledger{approved: map[string]bool{}, denied: map[string]bool{}, guessed: map[string]bool{}, tokens: map[string]string{}, news: make(chan struct{}, 1)}
	stop := make(chan struct{})
	var workers sync.WaitGroup
	keys := someKeys(t, 17)
	workers.Go(func() { l.guess(t, p, keys[16], stop) })
	for i, k := range keys[:16] {
		ph := p.phone(t, fmt.Sprintf("user%d@example.org", i), k)
		workers.Go(func() { l.work(t, p, ph, i, stop) })
	}
	for i := range kills {
		l.await(i + 1)
		<-time.After(moment(t, 30, 300))
		n.kill()
		n = start(t, p)
	}
	close(stop)
	workers.Wait()
	if status, _ := n.stop(t); status != 0 {
		t.Errorf("the last server ended with status %d", status)
	}
	for _, s := range l.lost {
		t.Error(s)
	}
	t.Logf("%d kills: %d approvals, %d denials and %d wrong numbers acknowledged, %d unclear, %d tokens", kills, len(l.approved), len(l.denied), len(l.guessed), l.unclear, len(l.tokens))
	l.compare(t, p)
	if out, errs, status := tool(t, p.args("audit", "verify")...); status != 0 || !strings.Contains(out, "whole") {
		t.Errorf("audit verify: %d %s %s", status, out, errs)
	}
}

func (p place) args(command ...string) []string {
	args := append(command, "--data", p.Data)
	if p.Database != "" {
		args = append(args, "--database", p.Database)
	}
	return args
}

// moment is a random time between low and high milliseconds.
func moment(t testing.TB, low, high int64) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(high-low))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(low+n.Int64()) * time.Millisecond
}

// work signs in again and again; every fourth time the phone says no.
func (l *ledger) work(t *testing.T, p place, ph *simulator.Phone, i int, stop <-chan struct{}) {
	for turn := i; ; turn++ {
		select {
		case <-stop:
			return
		default:
		}
		if err := l.once(t, p, ph, fmt.Sprintf("user%d@example.org", i), turn%4 != 0); err != nil && !down(err) {
			l.lose("user%d: %v", i, err)
			return
		}
	}
}

// guess enters a wrong number, once for each user, all on one phone.
func (l *ledger) guess(t *testing.T, p place, k *simulator.Keys, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		if err := l.wrong(t, p, fmt.Sprintf("guess%d@example.org", n), k); err != nil && !down(err) {
			l.lose("guess%d: %v", n, err)
			return
		}
	}
}

func (l *ledger) wrong(t *testing.T, p place, email string, k *simulator.Keys) error {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	ph, err := simulator.New(simulator.Options{Server: p.URL(), Client: "demo-native", Email: email, Keys: k, Now: time.Now, HTTP: client()})
	if err != nil {
		return err
	}
	if err := ph.Register(ctx); err != nil {
		return pause(err)
	}
	b := p.browser(t)
	if _, err := b.Start(ctx, "web_login", nil); err != nil {
		return pause(err)
	}
	if _, err := b.Submit(ctx, "web_to_mobile", map[string]any{"email": email}); err != nil {
		return pause(err)
	}
	list, err := ph.Pending(ctx, 0)
	if err != nil || len(list) == 0 {
		return err
	}
	id := list[len(list)-1].ID // older ones belong to users before
	err = ph.Approve(ctx, id, "00")
	if _, refused := errors.AsType[*simulator.Refusal](err); !refused || down(err) {
		if err == nil {
			return fmt.Errorf("a wrong number was accepted")
		}
		return pause(err)
	}
	l.note(func() { l.guessed[id] = true })
	return l.end(ctx, b, id, false)
}

// once is one sign-in. An error that is no outage is a finding.
func (l *ledger) once(t *testing.T, p place, ph *simulator.Phone, email string, yes bool) error {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	b := p.browser(t)
	r, err := b.Start(ctx, "web_login", nil)
	if err != nil {
		return pause(err)
	}
	if r, err = b.Submit(ctx, "web_to_mobile", map[string]any{"email": email}); err != nil {
		return pause(err)
	}
	if r.Wire != waitStep {
		return fmt.Errorf("after the form: %+v", r)
	}
	list, err := ph.Pending(ctx, time.Second)
	if err != nil {
		return pause(err)
	}
	if len(list) != 1 {
		return fmt.Errorf("%d requests wait for the phone", len(list))
	}
	id := list[0].ID
	if yes {
		err = ph.Approve(ctx, id, r.Text("number"))
	} else {
		err = ph.Deny(ctx, id, false)
	}
	l.note(func() {
		switch {
		case err != nil:
			l.unclear++
		case yes:
			l.approved[id] = true
		default:
			l.denied[id] = true
		}
	})
	if err != nil {
		return pause(err)
	}
	return l.end(ctx, b, id, yes)
}

// end waits for what the browser hears of a decision that was acknowledged,
// however often the server goes away meanwhile.
func (l *ledger) end(ctx context.Context, b *simulator.Browser, id string, yes bool) error {
	for {
		r, err := b.Wait(ctx)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("request %s (approved: %v) was decided and the browser still waits: %v", id, yes, err)
		case err != nil && down(err):
			pause(err)
			continue
		case err != nil:
			return err
		case yes && r.Type != simulator.Success:
			return fmt.Errorf("request %s was approved and the browser heard %s %s %s", id, r.Type, r.ErrorCode, r.Reason)
		case !yes && r.Type == simulator.Success:
			return fmt.Errorf("request %s was denied and the browser is in", id)
		case !yes:
			return nil
		}
		return l.token(r.Token, id)
	}
}

func (l *ledger) token(token, id string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return fmt.Errorf("request %s: no token", id)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	var claims struct {
		JTI string `json:"jti"`
		Sub string `json:"sub"`
	}
	if err := json.Unmarshal(b, &claims); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if other, taken := l.tokens[claims.JTI]; taken || claims.JTI == "" || claims.Sub == "" {
		return fmt.Errorf("requests %s and %s: one token %q", id, other, claims.JTI)
	}
	l.tokens[claims.JTI] = id
	return nil
}

// down says whether an error is what a server that was killed leaves: no
// connection, a broken one, an answer that says to come back, or, of a request
// whose answer was lost, the word that it is answered already.
func down(err error) bool {
	if r, ok := errors.AsType[*simulator.Refusal](err); ok {
		return r.Status == 503
	}
	if _, ok := errors.AsType[*simulator.ProtocolError](err); ok {
		return false
	}
	for _, text := range []string{"connection refused", "connection reset", "EOF", "broken pipe", "server closed"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// pause lets the server come back.
func pause(err error) error {
	<-time.After(20 * time.Millisecond)
	return err
}

// compare holds what clients were told against the record.
func (l *ledger) compare(t *testing.T, p place) {
	t.Helper()
	d := p.open(t)
	defer d.Close()
	if p.Database == "" {
		var word string
		if err := d.QueryRow(t.Context(), `PRAGMA integrity_check`).Scan(&word); err != nil || word != "ok" {
			t.Errorf("integrity: %q, %v", word, err)
		}
	}
	decided := map[string][]string{}
	for _, e := range entries(t, d, "push.") {
		if e.Type == "push.approved" || e.Type == "push.denied" {
			id, _ := e.Data["request"].(string)
			decided[id] = append(decided[id], e.Type)
		}
	}
	for id, what := range decided {
		if len(what) != 1 {
			t.Errorf("request %s was decided %d times: %v", id, len(what), what)
		}
	}
	for id := range l.approved {
		if fmt.Sprint(decided[id]) != "[push.approved]" {
			t.Errorf("request %s was acknowledged as approved; the record says %v", id, decided[id])
		}
	}
	for id := range l.denied {
		if fmt.Sprint(decided[id]) != "[push.denied]" {
			t.Errorf("request %s was acknowledged as denied; the record says %v", id, decided[id])
		}
	}
	if len(l.tokens) != len(l.approved) && len(l.lost) == 0 {
		t.Errorf("%d approvals were acknowledged and %d tokens given", len(l.approved), len(l.tokens))
	}
	l.compareGuesses(t, d, decided)
	runs := map[string]int{}
	for _, e := range entries(t, d, "journey.") {
		runs[e.Run]++
	}
	for id, n := range runs {
		if n != 1 {
			t.Errorf("run %s ended %d times", id, n)
		}
	}
}

// compareGuesses: each wrong number that was acknowledged is charged, once.
func (l *ledger) compareGuesses(t *testing.T, d *db.DB, decided map[string][]string) {
	t.Helper()
	for id := range l.guessed {
		if len(decided[id]) > 0 && decided[id][0] == "push.approved" {
			t.Errorf("request %s got a wrong number and was approved", id)
		}
	}
	tries := map[string]int{}
	for _, e := range entries(t, d, "auth.push.failed") {
		tries[e.Target]++
	}
	for user, n := range tries {
		if n != 1 {
			t.Errorf("one wrong number of %s was counted %d times", user, n)
		}
	}
	if len(tries) < len(l.guessed) {
		t.Errorf("%d wrong numbers were acknowledged and %d counted", len(l.guessed), len(tries))
	}
	var charged int
	if err := d.QueryRow(t.Context(), `SELECT COUNT(*) FROM lockouts WHERE subject LIKE '%push%'`).Scan(&charged); err != nil || charged < len(tries) {
		t.Errorf("%d wrong numbers in the record and %d counters, %v", len(tries), charged, err)
	}
}

// entries are all of one kind.
func entries(t *testing.T, d *db.DB, kind string) []audit.Entry {
	t.Helper()
	var out []audit.Entry
	f := audit.Filter{Tenant: "default", Type: kind, Limit: 500}
	for {
		page, err := audit.Find(t.Context(), d, f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page...)
		if len(page) < 500 {
			return out
		}
		f.Before = page[len(page)-1].ID
	}
}
