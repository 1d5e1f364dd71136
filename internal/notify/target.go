package notify

import (
	"crypto/ecdh"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/watchword-auth/watchword/internal/fault"
)

// Target is where one device is reached.
type Target struct {
	Kind          string `json:"kind"`           // APNs, FCM, WebPush or None
	Address       string `json:"address"`        // device token, registration token, or Web Push subscription as JSON
	AppIdentifier string `json:"app_identifier"` // bundle id or package name; chooses among providers
}

// CheckTarget returns t in the form that is stored and sent: an APNs token in
// lower-case hex. What no provider could ever deliver to is fault.Invalid. Where a
// Web Push endpoint leads is judged at each send.
func CheckTarget(t Target) (Target, error) {
	bad := fault.New(fault.Invalid, "This is not a push target that can be used.")
	if len(t.AppIdentifier) > 255 || len(t.Address) > 4096 {
		return Target{}, bad
	}
	switch t.Kind {
	case None:
		return t, nil // nothing is sent there; it is what the phone is known by elsewhere
	case APNs:
		token, err := apnsToken(t.Address)
		t.Address = token
		if err != nil {
			return Target{}, bad.Because(err)
		}
		return t, nil
	case FCM:
		if t.Address == "" || strings.ContainsFunc(t.Address, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return Target{}, bad
		}
		return t, nil
	case WebPush:
		if _, err := parseSubscription(t.Address); err != nil {
			return Target{}, bad.Because(err)
		}
		return t, nil
	}
	return Target{}, bad
}

// apnsToken returns a device token in lower-case hex (DESIGN 2.20.10).
func apnsToken(s string) (string, error) {
	s = strings.ToLower(s)
	b, err := hex.DecodeString(s)
	if err != nil || len(b) < 8 || len(b) > 100 { // 32 today; Apple says not to count on it
		return "", fault.New(fault.Invalid, "The device token is not hex.")
	}
	return s, nil
}

// subscription is a browser's PushSubscription, read.
type subscription struct {
	endpoint *url.URL
	key      *ecdh.PublicKey // p256dh, RFC 8291 2.1
	auth     []byte          // 16 bytes, RFC 8291 3.2
}

// parseSubscription reads PushSubscription.toJSON(). The endpoint is https
// without credentials or fragment.
func parseSubscription(s string) (subscription, error) {
	var in struct {
		Endpoint string `json:"endpoint"`
		Keys     struct {
			P256dh string `json:"p256dh"`
			Auth   string `json:"auth"`
		} `json:"keys"`
	}
	bad := fault.New(fault.Invalid, "This is not a Web Push subscription.")
	if err := json.Unmarshal([]byte(s), &in); err != nil {
		return subscription{}, bad.Because(err)
	}
	u, err := url.Parse(in.Endpoint)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || len(in.Endpoint) > 2048 {
		return subscription{}, bad // the URL is a secret; its parse error would quote it
	}
	raw, err := unbase64(in.Keys.P256dh)
	if err != nil {
		return subscription{}, bad
	}
	key, err := ecdh.P256().NewPublicKey(raw)
	if err != nil {
		return subscription{}, bad.Because(err)
	}
	auth, err := unbase64(in.Keys.Auth)
	if err != nil || len(auth) != 16 {
		return subscription{}, bad
	}
	return subscription{u, key, auth}, nil
}

// unbase64 reads base64url with or without padding, and what some clients send:
// plain base64.
func unbase64(s string) ([]byte, error) {
	s = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(s, "="))
	return base64.RawURLEncoding.DecodeString(s)
}
