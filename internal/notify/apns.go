package notify

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Apple takes a provider token for an hour after its iat, and refuses more than
// one new token each 20 minutes (TooManyProviderTokenUpdates).
const (
	apnsTokenLife = 50 * time.Minute
	apnsTokenMin  = 20 * time.Minute
)

// apns is Apple's push service with token authentication ("Sending notification
// requests to APNs", "Establishing a token-based connection to APNs").
type apns struct {
	client              *http.Client
	now                 func() time.Time
	production, sandbox string

	mu     sync.Mutex
	tokens map[string]apnsMinted // by team, key id and key: that is whom Apple counts
}

type apnsMinted struct {
	token string
	at    time.Time
}

type apnsConfig struct {
	Bundle      string `json:"bundle"`
	TeamID      string `json:"team_id"`
	KeyID       string `json:"key_id"`
	Key         string `json:"key"`
	Environment string `json:"environment"`
}

var (
	apnsID     = regexp.MustCompile(`^[A-Z0-9]{10}$`)
	apnsBundle = regexp.MustCompile(`^[A-Za-z0-9.-]{1,155}$`)
)

func checkAPNs(doc map[string]any) error {
	for _, name := range []string{"team_id", "key_id"} {
		if !apnsID.MatchString(text(doc, name)) {
			return fault.At(fault.New(fault.Invalid, "%s must be ten capital letters and digits.", name), name)
		}
	}
	if !apnsBundle.MatchString(text(doc, "bundle")) {
		return fault.At(fault.New(fault.Invalid, "The bundle id has letters, digits, dots and dashes."), "bundle")
	}
	if _, err := apnsKey(text(doc, "key")); err != nil {
		return fault.At(fault.New(fault.Invalid, "The key is not the content of a .p8 file."), "key")
	}
	return nil
}

// apnsKey reads a .p8 file: a P-256 key as PKCS #8 in PEM.
func apnsKey(p8 string) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(p8))
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("no PKCS #8 key")
	}
	key, ok := any.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("no P-256 key")
	}
	return key, nil
}

// route is the first configuration that send would use.
func (a *apns) route(ps []Provider, m Message) string {
	if cs := choose(ps, m.Target.AppIdentifier); len(cs) > 0 {
		return APNs + "/" + cs[0].Environment + "/" + cs[0].KeyID
	}
	return APNs
}

// send tries the configurations of the app's bundle: a token belongs to one of
// production and sandbox and does not say which.
func (a *apns) send(ctx context.Context, ps []Provider, m Message) answer {
	token, err := apnsToken(m.Target.Address)
	if err != nil {
		return answer{verdict: gone, said: "the device token is not hex"}
	}
	out := answer{verdict: misconfigured, said: "no configuration for the bundle id " + strconv.Quote(m.Target.AppIdentifier)}
	for _, c := range choose(ps, m.Target.AppIdentifier) {
		out, _ = a.post(ctx, c, token, m)
		if out.verdict != gone {
			return out
		}
	}
	return out
}

// test sends to a token that no device has. Apple checks our credentials first:
// a complaint about the token is a good sign.
func (a *apns) test(ctx context.Context, p Provider) answer {
	var c apnsConfig
	if err := p.Into(&c); err != nil {
		return answer{verdict: misconfigured, said: err.Error()}
	}
	m := Message{RequestID: "test", Title: "Test", Body: "Test", Expires: a.now().Add(time.Second)}
	out, reason := a.post(ctx, c, strings.Repeat("0", 64), m)
	if reason == "BadDeviceToken" || reason == "Unregistered" {
		out.verdict = delivered
	}
	return out
}

// choose returns the configurations of a bundle, production first. Without a
// bundle id it returns those of the only bundle there is, if there is one.
func choose(ps []Provider, bundle string) []apnsConfig {
	var all []apnsConfig
	for _, p := range ps {
		var c apnsConfig
		if p.Into(&c) == nil {
			all = append(all, c)
		}
	}
	if bundle == "" && len(all) > 0 && !slices.ContainsFunc(all, func(c apnsConfig) bool { return c.Bundle != all[0].Bundle }) {
		bundle = all[0].Bundle
	}
	all = slices.DeleteFunc(all, func(c apnsConfig) bool { return c.Bundle != bundle })
	slices.SortStableFunc(all, func(a, b apnsConfig) int { return strings.Compare(a.Environment, b.Environment) })
	return all
}

// post makes one exchange. reason is Apple's, empty when it took the message.
func (a *apns) post(ctx context.Context, c apnsConfig, token string, m Message) (out answer, reason string) {
	jwt, age, err := a.token(c, 0)
	if err != nil {
		return answer{verdict: misconfigured, said: err.Error()}, ""
	}
	out, reason = a.once(ctx, c, jwt, token, m)
	if reason == "ExpiredProviderToken" && age >= apnsTokenMin {
		// Our clock and Apple's differ. A younger token must not be replaced.
		if jwt, _, err = a.token(c, apnsTokenMin); err == nil {
			out, reason = a.once(ctx, c, jwt, token, m)
		}
	}
	return out, reason
}

func (a *apns) once(ctx context.Context, c apnsConfig, jwt, token string, m Message) (answer, string) {
	base := a.production
	if c.Environment == "sandbox" {
		base = a.sandbox
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/3/device/"+token, bytes.NewReader(apnsPayload(m)))
	if err != nil {
		return answer{verdict: misconfigured, said: "the server's address is no URL"}, ""
	}
	req.Header.Set("Authorization", "bearer "+jwt)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Apns-Topic", c.Bundle)
	req.Header.Set("Apns-Push-Type", "alert")
	req.Header.Set("Apns-Priority", "10")
	req.Header.Set("Apns-Expiration", strconv.FormatInt(m.Expires.Unix(), 10))
	req.Header.Set("Apns-Collapse-Id", collapse(m.RequestID)) // a second delivery replaces the first
	r, err := do(a.client, req)
	if err != nil {
		return failed(err), ""
	}
	if r.proto != 2 {
		return answer{verdict: retry, down: true, said: "the server does not speak HTTP/2"}, ""
	}
	var body struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(r.body, &body) // an answer without a reason is judged by its status
	out := r.judge(a.now(), words(body.Reason, jwt, token))
	if r.status == http.StatusGone || r.status == http.StatusBadRequest && body.Reason == "BadDeviceToken" {
		out.verdict = gone
	}
	if body.Reason == "TooManyRequests" {
		out.down = false // for this one device
	}
	return out, body.Reason
}

// token returns the provider token of c and its age, minting one when there is
// none younger than its life, or than replace if that is set. Never is a token
// replaced that is younger than 20 minutes.
func (a *apns) token(c apnsConfig, replace time.Duration) (string, time.Duration, error) {
	sum := sha256.Sum256([]byte(c.Key))
	name := c.TeamID + "/" + c.KeyID + "/" + hex.EncodeToString(sum[:])
	life := apnsTokenLife
	if replace > 0 {
		life = max(replace, apnsTokenMin)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if have, ok := a.tokens[name]; ok && now.Sub(have.at) < life {
		return have.token, now.Sub(have.at), nil
	}
	key, err := apnsKey(c.Key)
	if err != nil {
		return "", 0, err
	}
	token, err := signJWT(jose.ES256, key, map[jose.HeaderKey]any{"kid": c.KeyID}, map[string]any{"iss": c.TeamID, "iat": now.Unix()})
	if err != nil {
		return "", 0, err
	}
	if a.tokens == nil {
		a.tokens = map[string]apnsMinted{}
	}
	a.tokens[name] = apnsMinted{token, now}
	return token, 0, nil
}

// apnsPayload is what the mobile SDK hands to the app as userInfo
// (mosaic-protocol 5.1).
func apnsPayload(m Message) []byte {
	data := map[string]any{}
	for k, v := range m.Data {
		data[k] = v
	}
	data["payload"] = map[string]string{"auth_req_id": m.RequestID}
	return []byte(db.Text(map[string]any{
		"aps": map[string]any{
			"alert":           map[string]string{"title": clip(m.Title, maxTitle), "body": clip(m.Body, maxBody)},
			"sound":           "default",
			"mutable-content": 1,
		},
		"data": data,
	}))
}

// collapse makes a name of at most 64 bytes under which a provider replaces one
// delivery of a request by another.
func collapse(requestID string) string {
	sum := sha256.Sum256([]byte(requestID))
	return hex.EncodeToString(sum[:16])
}
