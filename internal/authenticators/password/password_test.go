package password

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/secret"
)

const otter = "tall-otter-crosses-4-rivers"

// TestImports: hashes of other systems, made by other programs, verify.
func TestImports(t *testing.T) {
	v, err := secret.NewVault(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ hash, password string }{
		"bcrypt": {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"}, // crypt_blowfish's vectors
		// The reference implementation's own test (argon2, src/test.c, version 19).
		"argon2id": {"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password"},
		// The others were made by Python's hashlib.
		"SSHA":          {"{SSHA}1G904nLkTkGWjKNnQuB/hpWXC/hzYWx0c2FsdA==", "secret"},
		"scrypt":        {"$scrypt$ln=10,r=8,p=1$TmFDbA$J7QYxnTHadElAfux9TusMt9lFMDyjQQ4crFIs0iWGnkFemhhzDVTJGqg3bY7wHRFC5JAIlR6eZU41gM5aDXdYg", "password"},
		"pbkdf2-sha256": {"$pbkdf2-sha256$i=4096$c2FsdA$xeR41ZKIyEGqUw22hFxMjZYok6ABzk4RpJY4c6qYE0o", "password"},
		"pbkdf2-sha512": {"$pbkdf2-sha512$i=4096$c2FsdA$0Zexsz2wFD4BixLz0dFHnmzevcyXxcD4f2kC4HL0V7UUPzBgJkGz1VzTNZiMs2uEN2Bg7NUy4Dm3QqI5Q0ry1Q", "password"},
	} {
		h, err := parse(c.hash)
		if err != nil || !h.fits(c.password) {
			t.Errorf("%s: %v", name, err)
		}
		if h.fits(c.password + "x") {
			t.Errorf("%s fits another password", name)
		}
		if !compare(v, c.hash, c.password) {
			t.Errorf("%s does not compare", name)
		}
	}
	for _, bad := range []string{"", "plain", "$1$abc$def", "$argon2id$v=19$m=999999999,t=1,p=1$YWFhYWFhYWE$YWFhYWFhYWFhYWFhYWFhYQ", "$scrypt$ln=10,r=8,p=16$TmFDbA$YWFhYWFhYWFhYWFhYWFhYQ", "$pbkdf2-sha256$i=0$YQ$YWFhYWFhYWFhYWFhYWFhYQ", "{SSHA}YQ=="} {
		if _, err := Imported(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestImportedCosts: whoever brings hashes along cannot keep the server from
// everybody else. What one costs is bounded in every direction, and of those that
// cost much one is judged at a time.
func TestImportedCosts(t *testing.T) {
	b := func(n int) string { return b64(make([]byte, n)) }
	for name, hash := range map[string]string{
		"pbkdf2 that derives kilobytes":      "$pbkdf2-sha512$i=2000000$c2FsdA$" + b(600),
		"pbkdf2 that derives two blocks":     "$pbkdf2-sha256$i=2000000$c2FsdA$" + b(64),
		"pbkdf2 with a sum of 40 kilobytes":  "$pbkdf2-sha256$i=1000$c2FsdA$" + b(40<<10),
		"scrypt that takes half a gigabyte":  "$scrypt$ln=18,r=16,p=1$TmFDbA$" + b(32),
		"argon2id that goes over four":       "$argon2id$v=19$m=262144,t=16,p=1$c29tZXNhbHQ$" + b(32),
		"argon2id with a salt of a megabyte": "$argon2id$v=19$m=65536,t=2,p=1$" + b(1<<20) + "$" + b(32),
	} {
		if _, err := Imported(hash); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for hash, slow := range map[string]bool{
		"$argon2id$v=19$m=262144,t=3,p=1$c29tZXNhbHQ$" + b(32):         true, // libsodium's moderate
		"$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$" + b(32):          false,
		"$scrypt$ln=17,r=8,p=1$TmFDbA$" + b(32):                        true,
		"$pbkdf2-sha512$i=210000$c2FsdA$" + b(64):                      false,
		"$2b$14$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW": true,
		"$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW": false,
	} {
		if h, err := parse(hash); err != nil || h.heavy != slow {
			t.Errorf("%s: heavy %v, %v", hash, h.heavy, err)
		}
	}
	inside, most := 0, 0
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			err := slow(t.Context(), func() {
				mu.Lock()
				inside++
				most = max(most, inside)
				mu.Unlock()
				runtime.Gosched()
				mu.Lock()
				inside--
				mu.Unlock()
			}, heavy)
			if err != nil {
				t.Error(err)
			}
		})
	}
	if all.Wait(); most != 1 {
		t.Errorf("%d costly ones at a time", most)
	}
}

// TestBreachedFileIsAFile: a path that leads to something else than a list of
// hashes costs neither memory nor anybody's sign-in.
func TestBreachedFileIsAFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, []byte(strings.Repeat("A", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, dir, "/dev/null", long} {
		said := make(chan error, 1)
		go func() { _, err := inFile(path, strings.Repeat("A", 40)); said <- err }()
		select {
		case err := <-said:
			if err == nil {
				t.Errorf("%s was read", path)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s keeps everybody waiting", path)
		}
	}
}

// TestNoTruncation: passwords that differ in their last byte never fit one
// another (security R33).
func TestNoTruncation(t *testing.T) {
	v, err := secret.NewVault(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{71, 72, 73, 128, 255} {
		p := strings.Repeat("a", n-1)
		hash, err := newHash(t.Context(), v, p+"b")
		if err != nil {
			t.Fatal(err)
		}
		if compare(v, hash, p+"c") || compare(v, hash, p) || !compare(v, hash, p+"b") {
			t.Errorf("%d bytes", n)
		}
	}
}

func TestShape(t *testing.T) {
	for _, c := range []struct {
		min, complexity int
		password        string
		good            bool
	}{
		{15, 0, otter, true}, {15, 0, "short-otter", false}, {8, 0, "ünïcödé✓", true}, {9, 0, "ünïcödé✓", false},
		{8, 3, "abcdEFG1", true}, {8, 4, "abcdEFG1", false}, {8, 4, "abcdEF1!", true}, {8, 5, "abcdEF1!", false}, {8, 5, "acegEG1!", true}, {8, 5, "aaacEG1!", false},
		{5, 0, "tab\there", false}, {5, 0, strings.Repeat("x", 256), true}, {5, 0, strings.Repeat("x", 257), false},
	} {
		if err := shape(settings{MinLength: c.min, Complexity: c.complexity}, c.password); (err == nil) != c.good {
			t.Errorf("%d/%d %q: %v", c.min, c.complexity, c.password, err)
		}
	}
}

type house struct {
	*kittest.World
	app  apps.App
	user directory.User
	s    authn.Subject
}

func newHouse(t testing.TB, doc map[string]any) *house {
	t.Helper()
	h := &house{World: kittest.New(t), app: apps.App{ID: "shop", Tenant: "t1", Name: "Corner Shop", Audience: apps.B2C}}
	h.Do(t, func(tx *db.Tx) (err error) {
		if err := apps.CreateTenant(t.Context(), tx, apps.Tenant{ID: "t1", Name: "T"}); err != nil {
			return err
		}
		if err := apps.Save(t.Context(), tx, h.app); err != nil {
			return err
		}
		h.user.Tenant = "t1"
		h.user.ID, err = directory.Create(t.Context(), tx, "t1", directory.NewUser{Email: "penelope@example.org"})
		return err
	})
	h.s = authn.Subject{Kind: Kind, Tenant: "t1", App: "shop", User: h.user.ID}
	h.configure(t, doc)
	return h
}

func (h *house) configure(t testing.TB, doc map[string]any) {
	t.Helper()
	all := map[string]any{"hibp": false}
	for k, v := range doc {
		all[k] = v
	}
	h.Do(t, func(tx *db.Tx) error { return authn.Configure(t.Context(), tx, "shop", Kind, all) })
}

func (h *house) set(t testing.TB, password string, temporary bool) error {
	t.Helper()
	f, err := Prepare(t.Context(), h.Kit.DB, h.app, h.user, password, temporary)
	if err != nil {
		return err
	}
	return h.Kit.DB.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := Set(t.Context(), tx, h.s, f, temporary, false)
		return err
	})
}

func (h *house) try(password string) (State, error) {
	ctx := context.Background()
	c, err := Check(ctx, h.Kit.DB, h.s, nil, "penelope@example.org", password)
	if err != nil {
		return "", err
	}
	return h.settle(c)
}

func (h *house) settle(c Checked) (state State, said error) {
	ctx := context.Background()
	err := h.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		var p authn.Proof
		p, state, said = c.Settle(ctx, tx)
		if said == nil && (state == Good) != (p.User() == h.user.ID) {
			return fmt.Errorf("%s with a proof of %q", state, p.User())
		}
		if fault.Is(said, fault.Wrong) {
			return nil
		}
		return said
	})
	if said == nil {
		said = err
	}
	return state, said
}

func word(err error) string {
	if c, ok := errors.AsType[*backend.Coded](err); ok {
		return c.Word
	}
	return ""
}

func TestLife(t *testing.T) {
	h := newHouse(t, map[string]any{"history": 2, "never_expires": false, "expires_days": 30, "temporary_hours": 2})
	if _, err := h.try(otter); !fault.Is(err, fault.Wrong) {
		t.Errorf("a password of somebody who has none: %v", err)
	}
	if err := h.set(t, otter, false); err != nil {
		t.Fatal(err)
	}
	if s, err := h.try(otter); err != nil || s != Good {
		t.Errorf("%v, %v", s, err)
	}
	if _, err := h.try(otter + " "); !fault.Is(err, fault.Wrong) {
		t.Errorf("with a space: %v", err)
	}
	if err := h.set(t, otter, false); word(err) != "auth_password_recently_used" {
		t.Errorf("the present one again: %v", err)
	}
	for _, next := range []string{"second-wombat-of-4-rivers", "third-penguin-over-9-hills"} {
		if err := h.set(t, next, false); err != nil {
			t.Errorf("%s: %v", next, err)
		}
	}
	if err := h.set(t, otter, false); err != nil {
		t.Errorf("one that is old enough: %v", err)
	}
	h.Pass(30 * 24 * time.Hour)
	if s, err := h.try(otter); err != nil || s != Expired {
		t.Errorf("after 30 days: %v, %v", s, err)
	}
	if err := h.set(t, "x", true); err != nil {
		t.Fatalf("a temporary one: %v", err)
	}
	if s, err := h.try("x"); err != nil || s != Temporary {
		t.Errorf("temporary: %v, %v", s, err)
	}
	h.Pass(2 * time.Hour)
	if _, err := h.try("x"); !fault.Is(err, fault.Wrong) {
		t.Errorf("a temporary one that ran out: %v", err)
	}
}

func TestRehash(t *testing.T) {
	h := newHouse(t, nil)
	f, err := Imported("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
	if err != nil {
		t.Fatal(err)
	}
	h.Do(t, func(tx *db.Tx) error { _, err := Set(t.Context(), tx, h.s, f, false, false); return err })
	for range 2 {
		if s, err := h.try("U*U"); err != nil || s != Good {
			t.Fatalf("%v, %v", s, err)
		}
	}
	creds, err := authn.Credentials[kept](t.Context(), h.Kit.DB, h.s)
	if err != nil || !current(creds[0].Data.Hash) {
		t.Errorf("the old hash was kept: %v", err)
	}
}

// TestRehashAtOnce: of many who show an imported password at once all are right,
// and none of them is once the password is another.
func TestRehashAtOnce(t *testing.T) {
	h := newHouse(t, nil)
	f, err := Imported("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
	if err != nil {
		t.Fatal(err)
	}
	h.Do(t, func(tx *db.Tx) error { _, err := Set(t.Context(), tx, h.s, f, false, false); return err })
	stale, err := Check(t.Context(), h.Kit.DB, h.s, nil, "penelope@example.org", "U*U")
	if err != nil {
		t.Fatal(err)
	}
	var good atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if s, err := h.try("U*U"); err == nil && s == Good {
				good.Add(1)
			} else {
				t.Log(s, err)
			}
		})
	}
	wg.Wait()
	if good.Load() != 16 {
		t.Errorf("%d of 16 signed in", good.Load())
	}
	creds, err := authn.Credentials[kept](t.Context(), h.Kit.DB, h.s)
	if err != nil || !current(creds[0].Data.Hash) {
		t.Errorf("the old hash was kept: %v", err)
	}
	if err := h.set(t, otter, false); err != nil {
		t.Fatal(err)
	}
	if s, err := h.settle(stale); !fault.Is(err, fault.Conflict) {
		t.Errorf("judged by a password that is another now: %v, %v", s, err)
	}
}

func TestWords(t *testing.T) {
	h := newHouse(t, map[string]any{"dictionary": true, "min_length": 8})
	h.Do(t, func(tx *db.Tx) error { return authn.AddWords(t.Context(), tx, "shop", []string{"wombat"}) })
	for p, want := range map[string]string{
		"W0mb4t2024": "auth_password_in_dictionary", "my wombat 1": "auth_password_in_dictionary", "wombats cross many rivers": "",
		"penelope1!": "auth_password_weak", "C0rner Shop 9": "auth_password_weak", otter: "",
	} {
		if _, err := Prepare(t.Context(), h.Kit.DB, h.app, h.user, p, false); word(err) != want || (err == nil) != (want == "") {
			t.Errorf("%q: %v, want %q", p, err, want)
		}
	}
}

// TestBreached: the service learns five digits of a hash, asks for padding, and
// a count of 0 is padding; a file does as well; and an outage does what was
// chosen.
func TestBreached(t *testing.T) {
	hash := func(p string) string { s := sha1.Sum([]byte(p)); return strings.ToUpper(hex.EncodeToString(s[:])) }
	const leaked, padded = "correct horse battery", "another horse battery"
	var asked []string
	down := false
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		if down {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		if r.Header.Get("Add-Padding") != "true" {
			t.Error("no padding was asked for")
		}
		for _, c := range []struct {
			p string
			n int
		}{{leaked, 3}, {padded, 0}} {
			if strings.HasSuffix(r.URL.Path, hash(c.p)[:5]) {
				fmt.Fprintf(w, "%s:%d\r\n", hash(c.p)[5:], c.n)
			}
		}
	}))
	defer peer.Close()
	defer func(c *http.Client) { outgoing = c }(outgoing)
	outgoing = peer.Client()
	h := newHouse(t, map[string]any{"hibp": true, "hibp_url": peer.URL})
	check := func(p string) error {
		_, err := Prepare(t.Context(), h.Kit.DB, h.app, h.user, p, false)
		return err
	}
	if err := check(leaked); word(err) != "auth_password_breached" {
		t.Errorf("leaked: %v", err)
	}
	if err := errors.Join(check(padded), check(otter)); err != nil {
		t.Errorf("not leaked: %v", err)
	}
	for _, path := range asked {
		if len(path) != len("/range/12345") {
			t.Errorf("the service was told %s", path)
		}
	}
	down = true
	if err := check(otter); err != nil {
		t.Errorf("an outage that is passed: %v", err)
	}
	h.configure(t, map[string]any{"hibp": true, "hibp_url": peer.URL, "hibp_open": false})
	if err := check(otter); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an outage that is not passed: %v", err)
	}

	var lines []string
	for i := range 500 {
		lines = append(lines, hash(fmt.Sprint("filler ", i))+":1")
	}
	lines = append(lines, hash(leaked)+":9")
	slices.Sort(lines)
	file := filepath.Join(t.TempDir(), "hashes")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\r\n")+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		if seen, err := inFile(file, hash(fmt.Sprint("filler ", i))); err != nil || !seen {
			t.Fatalf("line %d is not found: %v", i, err)
		}
	}
	h.configure(t, map[string]any{"hibp": true, "hibp_file": file})
	if err := check(leaked); word(err) != "auth_password_breached" {
		t.Errorf("leaked, by the file: %v", err)
	}
	if err := check(otter); err != nil {
		t.Errorf("not leaked, by the file: %v", err)
	}
}

// TestLimit: of 1,000 wrong tries at once five are judged (security R01).
func TestLimit(t *testing.T) {
	h := newHouse(t, nil)
	if err := h.set(t, otter, false); err != nil {
		t.Fatal(err)
	}
	var judged, locked atomic.Int64
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			switch _, err := h.try(fmt.Sprint("wrong ", i)); {
			case fault.Is(err, fault.Wrong):
				judged.Add(1)
			case fault.Is(err, fault.Locked):
				locked.Add(1)
			case !fault.Is(err, fault.Unavailable):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if judged.Load() != 5 || locked.Load() == 0 {
		t.Errorf("%d were judged, want 5; %d locked", judged.Load(), locked.Load())
	}
	if _, err := h.try(otter); !fault.Is(err, fault.Locked) {
		t.Errorf("the right one while locked: %v", err)
	}
}

// TestRightAtOnce: 50 right answers at once all count, though five wrong ones
// would lock, and leave no count (security R27).
func TestRightAtOnce(t *testing.T) {
	h := newHouse(t, nil)
	if err := h.set(t, otter, false); err != nil {
		t.Fatal(err)
	}
	var good atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if s, err := h.try(otter); err == nil && s == Good {
				good.Add(1)
			} else if err != nil {
				t.Log(err)
			}
		})
	}
	wg.Wait()
	if good.Load() != 50 {
		t.Errorf("%d of 50 signed in", good.Load())
	}
	var state string
	if err := h.Kit.DB.QueryRow(t.Context(), `SELECT state FROM lockouts`).Scan(&state); err != nil || state != "{}" {
		t.Errorf("a count is left: %s, %v", state, err)
	}
}

// TestGate: a flood makes no more hashes at a time than there are processors.
func TestGate(t *testing.T) {
	var now, most atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			err := slow(context.Background(), func() {
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(time.Millisecond)
				now.Add(-1)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() > int64(runtime.NumCPU()) {
		t.Errorf("%d at a time", most.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range cap(gate) {
		gate <- struct{}{}
	}
	if err := slow(ctx, func() {}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a caller who left: %v", err)
	}
	for range cap(gate) {
		<-gate
	}
}

// TestLockedStranger: who is locked is refused without a hash, a user and a
// stranger alike.
func TestLockedStranger(t *testing.T) {
	h := newHouse(t, nil)
	if err := h.set(t, otter, false); err != nil {
		t.Fatal(err)
	}
	try := func(known bool) error {
		if known {
			_, err := h.try("wrong")
			return err
		}
		c, err := Check(t.Context(), h.Kit.DB, authn.Subject{Tenant: "t1", App: "shop"}, fault.New(fault.NotFound, "no such user"), "nobody@example.org", "wrong")
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.settle(c)
		return err
	}
	for range 5 {
		if a, b := try(true), try(false); !fault.Is(a, fault.Wrong) || !fault.Is(b, fault.Wrong) {
			t.Fatalf("%v and %v", a, b)
		}
	}
	for range cap(gate) { // whoever hashes now waits for good
		gate <- struct{}{}
	}
	defer func() {
		for range cap(gate) {
			<-gate
		}
	}()
	if a, b := try(true), try(false); !fault.Is(a, fault.Locked) || !fault.Is(b, fault.Locked) || fault.Of(a).Message != fault.Of(b).Message {
		t.Errorf("%v and %v", a, b)
	}
}

// TestStranger: somebody unknown is told the same, in about the same time.
func TestStranger(t *testing.T) {
	h := newHouse(t, map[string]any{"tiers": []any{}})
	if err := h.set(t, otter, false); err != nil {
		t.Fatal(err)
	}
	kittest.Alike(t, 2, "a user and a stranger", func() (took [2][]time.Duration) {
		for range 15 {
			began := time.Now()
			_, err1 := h.try("wrong")
			took[0] = append(took[0], time.Since(began))
			began = time.Now()
			c, err := Check(t.Context(), h.Kit.DB, authn.Subject{Tenant: "t1", App: "shop"}, fault.New(fault.NotFound, "no such user"), "nobody@example.org", "wrong")
			if err != nil {
				t.Fatal(err)
			}
			_, err2 := h.settle(c)
			took[1] = append(took[1], time.Since(began))
			if fault.Of(err1).Code != fault.Of(err2).Code || fault.Of(err1).Message != fault.Of(err2).Message {
				t.Fatalf("%v and %v", err1, err2)
			}
		}
		return took
	})
}
