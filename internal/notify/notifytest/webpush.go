package notifytest

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// WebPush is a push service such as browsers have (RFC 8030, RFC 8292). It is
// UnifiedPush as well.
type WebPush struct {
	Peer
	keys map[string]string // subscription id → the server key it was made for
	dead map[string]int    // subscription id → status
}

// Subscription is a browser's, with what only the browser knows.
type Subscription struct {
	ID      string
	JSON    string // PushSubscription.toJSON()
	Private *ecdh.PrivateKey
	Auth    []byte
}

// NewWebPush starts a peer that knows the time by now.
func NewWebPush(t testing.TB, now func() time.Time) *WebPush {
	t.Helper()
	w := &WebPush{keys: map[string]string{}, dead: map[string]int{}}
	w.start(t, now, w.serve)
	return w
}

// Subscribe makes a subscription for the server key, in base64url.
func (w *WebPush) Subscribe(t testing.TB, serverKey string) Subscription {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := Subscription{ID: rand.Text(), Private: key, Auth: make([]byte, 16)}
	rand.Read(s.Auth)
	b, err := json.Marshal(map[string]any{"endpoint": w.URL + "/push/" + s.ID, "expirationTime": nil, "keys": map[string]string{
		"p256dh": base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes()), "auth": base64.RawURLEncoding.EncodeToString(s.Auth)}})
	if err != nil {
		t.Fatal(err)
	}
	s.JSON = string(b)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[s.ID] = serverKey
	return s
}

// Kill makes a subscription answer with status, 404 or 410.
func (w *WebPush) Kill(id string, status int) { w.mu.Lock(); defer w.mu.Unlock(); w.dead[id] = status }

var (
	vapidHeader = regexp.MustCompile(`^vapid t=([A-Za-z0-9._-]+), ?k=([A-Za-z0-9_-]+)$`)
	topic       = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
)

func (w *WebPush) serve(rw http.ResponseWriter, r *http.Request) {
	if w.scripted(rw, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id := strings.TrimPrefix(r.URL.Path, "/push/")
	if status, why := w.check(id, r, body); status != 0 {
		w.complain("webpush: %d %s", status, why)
		rw.WriteHeader(status)
		fmt.Fprintf(rw, "%s\n", why)
		return
	}
	w.take(id, r, body)
	rw.Header().Set("Location", w.URL+"/message/1")
	rw.WriteHeader(http.StatusCreated)
}

func (w *WebPush) check(id string, r *http.Request, body []byte) (int, string) {
	w.mu.Lock()
	key, known := w.keys[id]
	dead := w.dead[id]
	w.mu.Unlock()
	ttl, err := strconv.Atoi(r.Header.Get("TTL"))
	switch {
	case !known:
		return 404, "no such subscription"
	case dead != 0:
		return dead, "push subscription has unsubscribed or expired"
	case r.Method != http.MethodPost:
		return 405, "method"
	case err != nil || ttl < 0:
		return 400, "Missing TTL header"
	case r.Header.Get("Urgency") != "high":
		return 400, "Urgency"
	case !topic.MatchString(r.Header.Get("Topic")):
		return 400, "Topic"
	case r.Header.Get("Content-Encoding") != "aes128gcm":
		return 400, "Content-Encoding"
	case len(body) > 4096:
		return 413, "Payload too large"
	case len(body) < 86+17 || body[20] != 65:
		return 400, "not an aes128gcm body with a P-256 key"
	}
	if why := w.identify(r.Header.Get("Authorization"), key); why != "" {
		return 403, why
	}
	return 0, ""
}

// identify checks the sender against the key of the subscription (RFC 8292 2, 3
// and 4).
func (w *WebPush) identify(header, serverKey string) string {
	m := vapidHeader.FindStringSubmatch(header)
	if m == nil {
		return "no vapid credentials"
	}
	if m[2] != serverKey {
		return "the VAPID credentials do not correspond to the credentials used to create the subscription"
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(m[2])
	if err != nil {
		return "k is not base64url"
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		return "k is no P-256 point"
	}
	j, err := readJWS(m[1])
	if err != nil || !j.es256(key) {
		return "invalid signature"
	}
	expires, ok := j.seconds("exp")
	sub, _ := j.claims["sub"].(string)
	contact, err := url.Parse(sub)
	switch {
	case !ok || !expires.After(w.now()) || expires.Sub(w.now()) > 24*time.Hour:
		return "exp"
	case j.claims["aud"] != w.URL:
		return "aud"
	case err != nil || contact.Scheme != "mailto" && contact.Scheme != "https":
		return "sub"
	}
	return ""
}
