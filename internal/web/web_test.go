package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

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

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v any
		if web.Parse(b, &v, false) == nil && len(b) == 0 {
			t.Error("nothing was accepted")
		}
	})
}
