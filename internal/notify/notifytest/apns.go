package notifytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// APNs is Apple's push service for one bundle and one key.
type APNs struct {
	Peer
	Bundle, TeamID, KeyID string
	P8                    string // the key file

	key    *ecdsa.PublicKey
	minted map[string]time.Time // provider tokens by when they were first seen
	last   time.Time
	dead   map[string]string // device token → reason
}

// P8 is a new key file, as Apple hands them out, and the public half of its key.
func P8(t testing.TB) (string, *ecdsa.PublicKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), &key.PublicKey
}

// NewAPNs starts a peer that knows the time by now.
func NewAPNs(t testing.TB, now func() time.Time) *APNs {
	t.Helper()
	file, key := P8(t)
	a := &APNs{Bundle: "org.example.app", TeamID: "TEAM123456", KeyID: "KEY1234567", P8: file, key: key,
		minted: map[string]time.Time{}, dead: map[string]string{}}
	a.start(t, now, a.serve)
	return a
}

// Config is the provider's document for notify.SaveProvider.
func (a *APNs) Config(environment string) map[string]any {
	return map[string]any{"bundle": a.Bundle, "team_id": a.TeamID, "key_id": a.KeyID, "key": a.P8, "environment": environment}
}

// Kill makes a device token answer with reason: Unregistered and ExpiredToken
// with 410, BadDeviceToken with 400.
func (a *APNs) Kill(token, reason string) { a.mu.Lock(); defer a.mu.Unlock(); a.dead[token] = reason }

var (
	apnsPath   = regexp.MustCompile(`^/3/device/([0-9a-f]{64})$`)
	apnsStatus = map[string]int{"Unregistered": 410, "ExpiredToken": 410, "BadDeviceToken": 400, "InvalidProviderToken": 403, "MissingProviderToken": 403,
		"ExpiredProviderToken": 403, "TooManyProviderTokenUpdates": 429, "PayloadTooLarge": 413, "MethodNotAllowed": 405, "BadPath": 404}
)

func (a *APNs) serve(w http.ResponseWriter, r *http.Request) {
	if a.scripted(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	token := strings.TrimPrefix(r.URL.Path, "/3/device/")
	reason := a.check(r, body)
	if reason == "" {
		a.take(token, r, body)
		return
	}
	status, ok := apnsStatus[reason]
	if !ok {
		status = http.StatusBadRequest
	}
	a.complain("apns: %d %s", status, reason)
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"reason":%q}`, reason)
}

// check returns the reason for which Apple would refuse a request.
func (a *APNs) check(r *http.Request, body []byte) string {
	if r.ProtoMajor != 2 {
		return "HTTP2Required"
	}
	if r.Method != http.MethodPost {
		return "MethodNotAllowed"
	}
	if reason := a.authenticate(r.Header.Get("Authorization")); reason != "" {
		return reason
	}
	path := apnsPath.FindStringSubmatch(r.URL.Path)
	h := r.Header
	expires, err := strconv.ParseInt(h.Get("Apns-Expiration"), 10, 64)
	var payload struct {
		APS  map[string]any `json:"aps"`
		Data map[string]any `json:"data"`
	}
	switch {
	case path == nil:
		return "BadDeviceToken"
	case h.Get("Apns-Topic") != a.Bundle:
		return "DeviceTokenNotForTopic"
	case h.Get("Apns-Push-Type") != "alert":
		return "InvalidPushType"
	case h.Get("Apns-Priority") != "10":
		return "BadPriority"
	case err != nil || !time.Unix(expires, 0).After(a.now()):
		return "BadExpirationDate"
	case len(h.Get("Apns-Collapse-Id")) > 64:
		return "BadCollapseId"
	case len(body) > 4096:
		return "PayloadTooLarge"
	case json.Unmarshal(body, &payload) != nil || payload.APS["alert"] == nil:
		return "PayloadEmpty"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dead[path[1]]
}

// authenticate checks a provider token: signature, key, team, an age of at most
// an hour, and no more than one new token in 20 minutes.
func (a *APNs) authenticate(header string) string {
	token, ok := strings.CutPrefix(header, "bearer ")
	if !ok {
		return "MissingProviderToken"
	}
	j, err := readJWS(token)
	if err != nil || !j.es256(a.key) || j.header["kid"] != a.KeyID || j.claims["iss"] != a.TeamID {
		return "InvalidProviderToken"
	}
	issued, ok := j.seconds("iat")
	if !ok || issued.After(a.now().Add(time.Minute)) || a.now().Sub(issued) > time.Hour {
		return "ExpiredProviderToken"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, seen := a.minted[token]; seen {
		return ""
	}
	if !a.last.IsZero() && a.now().Sub(a.last) < 20*time.Minute {
		return "TooManyProviderTokenUpdates"
	}
	a.minted[token], a.last = a.now(), a.now()
	return ""
}

// Tokens is how many provider tokens were used.
func (a *APNs) Tokens() int { a.mu.Lock(); defer a.mu.Unlock(); return len(a.minted) }
