package notify

import (
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword/internal/fault"
)

func raw(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The example of RFC 8291 5, byte for byte.
func TestRFC8291(t *testing.T) {
	v := map[string]string{
		"plaintext":   "V2hlbiBJIGdyb3cgdXAsIEkgd2FudCB0byBiZSBhIHdhdGVybWVsb24",
		"as_private":  "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw",
		"ua_public":   "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
		"salt":        "DGv6ra1nlYgDCS1FRnbzlw",
		"auth_secret": "BTBZMqHH6r4Tts7J_aSIgg",
		"body": "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT" +
			"pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
	}
	if dir := os.Getenv("WATCHWORD_VECTORS"); dir != "" {
		b, err := os.ReadFile(filepath.Join(dir, "rfc-vectors.json"))
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			RFC8291 map[string]string `json:"rfc8291"`
		}
		if err := json.Unmarshal(b, &file); err != nil || file.RFC8291["body"] == "" {
			t.Fatalf("no RFC 8291 vector in the file: %v", err)
		}
		for name, want := range v {
			if file.RFC8291[name] != want {
				t.Errorf("%s is not what the vectors say", name)
			}
		}
	}
	own, err := ecdh.P256().NewPrivateKey(raw(t, v["as_private"]))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ecdh.P256().NewPublicKey(raw(t, v["ua_public"]))
	if err != nil {
		t.Fatal(err)
	}
	got, err := seal(subscription{key: theirs, auth: raw(t, v["auth_secret"])}, own, raw(t, v["salt"]), raw(t, v["plaintext"]))
	if err != nil {
		t.Fatal(err)
	}
	if s := base64.RawURLEncoding.EncodeToString(got); s != v["body"] {
		t.Errorf("sealed\n%s\nwant\n%s", s, v["body"])
	}
}

func TestSealBoundsItsMessage(t *testing.T) {
	key, err := ecdh.P256().NewPrivateKey(raw(t, "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
	if err != nil {
		t.Fatal(err)
	}
	sub := subscription{key: key.PublicKey(), auth: make([]byte, 16)}
	if b, err := encrypt(sub, make([]byte, 3993)); err != nil || len(b) != 4096 {
		t.Errorf("3993 bytes became %d, %v; want 4096", len(b), err)
	}
	if _, err := encrypt(sub, make([]byte, 3994)); err == nil {
		t.Error("3994 bytes fit")
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "soon": 0, "30": 30 * time.Second, "0": time.Second, "-5": time.Second, "86400": time.Hour, "99999999999999999999": 0, "9223372036854775807": time.Hour,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2026 03:00:00 GMT": time.Second, "Fri, 02 Jan 2099 03:00:00 GMT": time.Hour,
	} {
		r := reply{header: http.Header{"Retry-After": {header}}}
		if got := r.retryAfter(now); got != want {
			t.Errorf("Retry-After %q: %s, want %s", header, got, want)
		}
	}
}

func TestWordsAreFitToShow(t *testing.T) {
	for _, c := range []struct{ said, want string }{
		{"plain", "plain"},
		{"two\nlines\r\n\tand\u2028more", "two lines and more"},
		{"\x1b[31mred\x00\u202e", "[31mred"},
		{"the token s3cr3t-token is bad", "the token [secret] is bad"},
		{"ok", "ok"}, // "ok" is among the secrets, and too short to hide
		{strings.Repeat("é", 1000), strings.Repeat("é", 300)},
		{"a\xffb", "ab"},
	} {
		if got := words(c.said, "s3cr3t-token", "ok", ""); got != c.want {
			t.Errorf("words(%q) = %q, want %q", c.said, got, c.want)
		}
	}
}

func TestFuse(t *testing.T) {
	var f fuses
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	old := now.Add(-time.Minute)
	for i := range blowsAfter {
		if !f.allow("r", now, now) {
			t.Fatalf("blown after %d failures", i)
		}
		f.begin("r")(true, now)
	}
	if f.allow("r", now, now) {
		t.Error("not blown after three failures")
	}
	if !f.allow("other", now, now) {
		t.Error("another route is blown too")
	}
	now = now.Add(blownFor)
	if !f.allow("r", old, now) || f.allow("r", old, now) {
		t.Error("want one probe after five seconds, and only one")
	}
	f.begin("r")(false, now)
	allowed := 0
	for range 20 {
		if !f.allow("r", now, now) {
			t.Error("a new message is held back after the provider is back")
		}
		if f.allow("r", old, now) {
			allowed++
		}
	}
	if allowed != 11 && allowed != 12 {
		t.Errorf("%d retries beside 20 new messages, want three fifths", allowed)
	}
	now = now.Add(mendingFor)
	for range 20 {
		if !f.allow("r", old, now) {
			t.Fatal("retries are held back for ever")
		}
	}
	if len(f.routes) != 0 {
		t.Errorf("%d routes are remembered, want none", len(f.routes))
	}
	for i := range 3 * maxRoutes {
		f.begin(string(rune(i)))(true, now)
	}
	if len(f.routes) > maxRoutes {
		t.Errorf("%d routes are remembered", len(f.routes))
	}
}

// Sends that hang hold others back before they have failed, and no longer than
// they last.
func TestFuseSeesHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fuses
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		var ends []func(bool, time.Time)
		for range 8 {
			ends = append(ends, f.begin("r"))
		}
		if !f.allow("r", now, now) {
			t.Error("held back before anything is slow")
		}
		<-time.After(slowAfter) // virtual
		synctest.Wait()
		for i, end := range ends {
			if f.allow("r", now, now) {
				t.Errorf("let through while %d hang and %d failed", len(ends)-i, i)
			}
			end(true, now)
		}
		if f.allow("r", now, now) {
			t.Error("let through after eight failures")
		}
		slow := []func(bool, time.Time){f.begin("s"), f.begin("s"), f.begin("s")}
		<-time.After(slowAfter)
		synctest.Wait()
		for _, end := range slow {
			end(false, now)
		}
		if !f.allow("s", now, now) || f.routes["s"] != nil {
			t.Errorf("a slow provider that worked is held back: %+v", f.routes["s"])
		}
	})
}

const goodSubscription = `{"endpoint":"https://push.example/x","expirationTime":null,"keys":{"p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4","auth":"BTBZMqHH6r4Tts7J_aSIgg"}}`

func TestCheckTarget(t *testing.T) {
	hex64 := strings.Repeat("0A1b", 16)
	for _, c := range []struct {
		name, kind, address, want string
		ok                        bool
	}{
		{"apns", APNs, hex64, strings.ToLower(hex64), true},
		{"apns odd", APNs, hex64 + "0", "", false},
		{"apns short", APNs, "00", "", false},
		{"apns long", APNs, strings.Repeat("00", 101), "", false},
		{"apns path", APNs, "../" + hex64, "", false},
		{"fcm", FCM, "abc:APA91b-_x", "abc:APA91b-_x", true},
		{"fcm empty", FCM, "", "", false},
		{"fcm space", FCM, "a b", "", false},
		{"fcm NUL", FCM, "a\x00b", "", false},
		{"fcm huge", FCM, strings.Repeat("x", 4097), "", false},
		{"none", None, "whatever", "whatever", true},
		{"kind", "pigeon", "x", "", false},
		{"web", WebPush, goodSubscription, goodSubscription, true},
		{"web base64", WebPush, strings.Replace(goodSubscription, "tJ_aSIgg", "tJ/aSIgg==", 1), strings.Replace(goodSubscription, "tJ_aSIgg", "tJ/aSIgg==", 1), true},
		{"web http", WebPush, strings.Replace(goodSubscription, "https", "http", 1), "", false},
		{"web credentials", WebPush, strings.Replace(goodSubscription, "push.example", "a:b@push.example", 1), "", false},
		{"web fragment", WebPush, strings.Replace(goodSubscription, "/x", "/x#y", 1), "", false},
		{"web off the curve", WebPush, strings.Replace(goodSubscription, "BCVx", "BCVy", 1), "", false},
		{"web auth", WebPush, strings.Replace(goodSubscription, "BTBZ", "BT", 1), "", false},
		{"web no JSON", WebPush, "https://push.example/x", "", false},
	} {
		got, err := CheckTarget(Target{Kind: c.kind, Address: c.address})
		if c.ok && (err != nil || got.Address != c.want) {
			t.Errorf("%s: %q, %v; want %q", c.name, got.Address, err, c.want)
		}
		if !c.ok && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want invalid", c.name, err)
		}
	}
}

// What CheckTarget takes is one of our kinds, goes to https, and is taken again.
func FuzzCheckTarget(f *testing.F) {
	f.Add(APNs, strings.Repeat("0A1b", 16))
	f.Add(FCM, "abc:APA91b-_x")
	f.Add(WebPush, goodSubscription)
	f.Add(None, "")
	f.Fuzz(func(t *testing.T, kind, address string) {
		got, err := CheckTarget(Target{Kind: kind, Address: address})
		if err != nil {
			if fault.Of(err).Code != fault.Invalid {
				t.Errorf("%v is not for the client", err)
			}
			return
		}
		again, err := CheckTarget(got)
		if err != nil || again != got {
			t.Errorf("%+v becomes %+v, %v", got, again, err)
		}
		if kind == WebPush {
			sub, err := parseSubscription(got.Address)
			if err != nil || sub.endpoint.Scheme != "https" || sub.endpoint.User != nil || sub.endpoint.Hostname() == "" || len(sub.auth) != 16 {
				t.Errorf("taken: %q", got.Address)
			}
			if _, err := http.NewRequest(http.MethodPost, sub.endpoint.String(), nil); err != nil {
				t.Errorf("no request can be made to what was taken: %v", err)
			}
		}
	})
}
