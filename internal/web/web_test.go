package web_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/web"
)

func TestParseIsStrict(t *testing.T) {
	type in struct {
		A any `json:"a"`
	}
	for body, ok := range map[string]bool{
		`{"a":1}`: true, `{}`: true, `{"a":{"b":[1,{"c":null}]}}`: true, " {\"a\":\"x\"}\n": true,
		`{"a":1,"a":2}`: false, `{"a":{"b":1,"b":2}}`: false, `{"b":1}`: false, `{"a":1} {}`: false, `{"a":1}x`: false, ``: false, `{`: false, `null x`: false,
		"{\"a\":\"\xff\"}": false, `{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`: false,
		`{"a":{` + strings.TrimSuffix(strings.Repeat(`"k":1,`, 3), ",") + `}}`: false,
	} {
		var v in
		if err := web.Parse([]byte(body), &v, true); (err == nil) != ok {
			t.Errorf("%q: %v", body, err)
		} else if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: not a client error: %v", body, err)
		}
	}
	var v in
	if err := web.Parse([]byte(`{"b":1,"a":2}`), &v, false); err != nil {
		t.Errorf("a foreign SDK's extra field: %v", err)
	}
}

func TestBodySize(t *testing.T) {
	h := web.JSON(func(w http.ResponseWriter, _ *http.Request, e *fault.Error) {
		web.Write(w, web.Status(e.Code), e.Message, 0)
	},
		func(*http.Request, struct {
			A string `json:"a"`
		}) (string, error) {
			return "ok", nil
		})
	for size, want := range map[int]int{1000: 200, web.MaxBody: 400} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(`{"a":"`+strings.Repeat("x", size)+`"}`)))
		if w.Code != want {
			t.Errorf("%d bytes: %d", size, w.Code)
		}
	}
}

// TestAddress: R58 and R59.
func TestAddress(t *testing.T) {
	proxy := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		peer string
		head map[string]string
		want string
	}{
		{"203.0.113.1:5", map[string]string{"X-Forwarded-For": "1.2.3.4", "Forwarded": "for=1.2.3.4", "X-Real-Ip": "1.2.3.4", "X_Forwarded_For": "1.2.3.4"}, "203.0.113.1"},
		{"10.0.0.1:5", map[string]string{"X-Forwarded-For": "1.2.3.4"}, "1.2.3.4"},
		{"10.0.0.1:5", map[string]string{"X-Forwarded-For": "6.6.6.6, 1.2.3.4, 10.0.0.2"}, "1.2.3.4"},
		{"10.0.0.1:5", map[string]string{"X-Forwarded-For": "junk"}, "10.0.0.1"},
		{"10.0.0.1:5", map[string]string{"X_Forwarded_For": "1.2.3.4"}, "10.0.0.1"},
		{"[::ffff:10.0.0.1]:5", map[string]string{"X-Forwarded-For": "::ffff:1.2.3.4"}, "1.2.3.4"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		for k, v := range c.head {
			r.Header[k] = []string{v}
		}
		if got := web.Address(r, proxy).String(); got != c.want {
			t.Errorf("%s %v: %s, want %s", c.peer, c.head, got, c.want)
		}
	}
}

func TestNormalise(t *testing.T) {
	for in, want := range map[string]string{
		"/ido//api/v2/auth/assert": "/ido/api/v2/auth/assert", "//ido/api/v2/auth/assert/": "/ido/api/v2/auth/assert", "/playground/": "/playground/",
		"/": "/", "": "/", "/a/../b": "/b", "/.well-known/jwks.json/": "/.well-known/jwks.json",
	} {
		if got := web.Normalise(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestOneKeyInTwoSpellings: encoding/json would let the second win, and whoever
// looked at the request before may have looked at the first.
func TestOneKeyInTwoSpellings(t *testing.T) {
	for _, body := range []string{`{"escape_id":"cancel","Escape_ID":"password"}`, `{"escape_id":"cancel","e\u017fcape_id":"password"}`, `{"key":1,"\u212aey":2}`, `{"a":[{"x":{"b":1,"B":2}}]}`} {
		for _, known := range []bool{true, false} {
			var v any
			if err := web.Parse([]byte(body), &v, known); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", body, err)
			}
		}
	}
}

func TestLimitsOfShape(t *testing.T) {
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":0`, i)
		}
		return "{" + strings.TrimPrefix(b.String(), ",") + "}"
	}
	for name, c := range map[string]struct {
		body string
		ok   bool
	}{
		"256 keys": {keys(256), true}, "257 keys": {keys(257), false}, "257 keys inside": {`[` + keys(257) + `]`, false}, "many objects of a few": {`[` + strings.Repeat(keys(9)+",", 99) + `0]`, true},
		"32 levels": {strings.Repeat("[", 32) + strings.Repeat("]", 32), true}, "33 levels": {strings.Repeat("[", 33) + strings.Repeat("]", 33), false},
		"33 objects": {strings.Repeat(`{"a":`, 33) + "0" + strings.Repeat("}", 33), false}, "33 of both": {strings.Repeat(`[{"a":`, 17) + "0" + strings.Repeat("}]", 17), false},
	} {
		var v any
		if err := web.Parse([]byte(c.body), &v, false); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestManyHostileBodies (R84): bodies made to cost much are refused before they
// are held in memory.
func TestManyHostileBodies(t *testing.T) {
	bodies := []string{strings.Repeat(`{"a":`, 10_000), strings.Repeat("[", web.MaxBody), `{"a":"` + strings.Repeat("x", 10<<20) + `"}`, `{` + strings.Repeat(`"a":1,`, 10_000)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 250
	for range rounds {
		for i, body := range bodies {
			r := httptest.NewRequest("POST", "/", strings.NewReader(body))
			var v map[string]any
			if err := web.DecodeLoose(httptest.NewRecorder(), r, &v); !fault.Is(err, fault.Invalid) {
				t.Fatalf("body %d: %v", i, err)
			}
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / uint64(rounds*len(bodies)); each > 1<<20 {
		t.Errorf("%d bytes are allocated for each", each)
	}
}

// TestWrap: what every response has, and that neither a panic nor a failure
// tells the client anything.
func TestWrap(t *testing.T) {
	var logged bytes.Buffer
	mux := http.NewServeMux()
	mux.HandleFunc("GET /fine", func(w http.ResponseWriter, r *http.Request) { web.Write(w, http.StatusOK, r.URL.Path, 0) })
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("secret-detail") })
	mux.HandleFunc("GET /fails", func(w http.ResponseWriter, r *http.Request) {
		f := web.Report(r, fmt.Errorf("doing it: %w", errors.New("secret-detail")))
		web.Write(w, web.Status(f.Code), f.Message, 0)
	})
	mux.HandleFunc("GET /refuses", func(w http.ResponseWriter, r *http.Request) {
		f := web.Report(r, fault.New(fault.Wrong, "No."))
		web.Write(w, web.Status(f.Code), f.Message, 0)
	})
	h := web.Wrap(mux, slog.New(slog.NewTextHandler(&logged, nil)), nil)
	ids := map[string]bool{}
	for target, want := range map[string]int{"/fine?token=hidden": 200, "//fine?token=hidden": 200, "/panic?token=hidden": 500, "/fails?token=hidden": 500, "/refuses?token=hidden": 401} {
		logged.Reset()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		id := w.Header().Get("X-Request-Id")
		if w.Code != want || !json.Valid(w.Body.Bytes()) || strings.Contains(w.Body.String(), "secret-detail") || strings.Contains(w.Body.String(), "goroutine") {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
		for name, v := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cache-Control": "no-store"} {
			if w.Header().Get(name) != v {
				t.Errorf("%s: %s is %q", target, name, w.Header().Get(name))
			}
		}
		if id == "" || ids[id] {
			t.Errorf("%s: request id %q", target, id)
		}
		ids[id] = true
		text := logged.String()
		if strings.Contains(text, "hidden") {
			t.Errorf("%s: a query value is logged: %s", target, text)
		}
		if failed := want == 500; failed != (strings.Contains(text, "secret-detail") && strings.Contains(text, id)) {
			t.Errorf("%s: logged %q", target, text)
		}
	}
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	for wait, want := range map[time.Duration]string{0: "", time.Millisecond: "1", time.Second: "1", 61500 * time.Millisecond: "62"} {
		w := httptest.NewRecorder()
		if web.Write(w, 429, nil, wait); w.Header().Get("Retry-After") != want {
			t.Errorf("%v: %q", wait, w.Header().Get("Retry-After"))
		}
	}
}

// FuzzParse: what is taken is what any other reader would read. The members that
// a colon outside of strings announces are all there - so no key was lost to
// another - and the value comes back from its own encoding.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":{"b":[1]}}`, `{"a":1,"a":2}`, `{"a":1,"A":2}`, `{"\u0061":1,"a":2}`, `[{"x":":"},{"x":"\":"}]`, `{"\ud800":1,"\udc00":2}`, ` null`, `1e999`, "{\"a\":\"\xff\"}", `{} {}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v any
		if web.Parse(b, &v, false) != nil {
			return
		}
		if !json.Valid(b) || !utf8.Valid(b) {
			t.Fatal("not JSON")
		}
		if said, kept := colons(b), members(v, 0, t); said != kept {
			t.Errorf("%d members were said and %d kept", said, kept)
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var second any
		if err := web.Parse(again, &second, true); err != nil || !reflect.DeepEqual(v, second) {
			t.Errorf("%s: %v", again, err)
		}
	})
}

func colons(b []byte) int {
	n, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '"':
			quoted = !quoted
		case quoted && b[i] == '\\':
			i++
		case !quoted && b[i] == ':':
			n++
		}
	}
	return n
}

func members(v any, level int, t *testing.T) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		if n = len(v); n > 256 || level >= 32 {
			t.Fatalf("%d keys at level %d", n, level)
		}
		for _, inner := range v {
			n += members(inner, level+1, t)
		}
	case []any:
		if level >= 32 {
			t.Fatalf("a list at level %d", level)
		}
		for _, inner := range v {
			n += members(inner, level+1, t)
		}
	}
	return n
}
