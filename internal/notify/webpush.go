package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

const (
	vapidLife  = 12 * time.Hour // RFC 8292 2: at most 24
	recordSize = 4096           // RFC 8188 2.1; a push service must take a body of 4096 bytes (RFC 8030 7.2)
	bodyHeader = 16 + 4 + 1 + 65
)

// webPush is RFC 8030 with the encryption of RFC 8291 and the identification of
// RFC 8292. UnifiedPush is the same to a sender.
type webPush struct {
	client  *http.Client
	now     func() time.Time
	subject string
}

type vapidConfig struct {
	Subject    string `json:"subject"`
	PrivateKey string `json:"private_key"`
}

// vapidKey is a tenant's pair of keys.
type vapidKey struct{ private *ecdsa.PrivateKey }

// checkVAPID makes a key when doc has none.
func checkVAPID(doc map[string]any) error {
	if s := text(doc, "subject"); s != "" && !contact(s) {
		return fault.At(fault.New(fault.Invalid, "The contact must be a mailto: or https: address."), "subject")
	}
	if text(doc, "private_key") == "" {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return fmt.Errorf("making a Web Push key: %w", err)
		}
		raw, err := key.Bytes()
		if err != nil {
			return fmt.Errorf("encoding a Web Push key: %w", err)
		}
		doc["private_key"] = base64.RawURLEncoding.EncodeToString(raw)
	}
	if _, err := parseVAPID(text(doc, "private_key")); err != nil {
		return fault.At(fault.New(fault.Invalid, "The private key must be 32 bytes in base64url."), "private_key")
	}
	return nil
}

func contact(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" && u.Host != "" || u.Scheme == "mailto" && u.Opaque != "")
}

func parseVAPID(s string) (vapidKey, error) {
	raw, err := unbase64(s)
	if err != nil {
		return vapidKey{}, errors.New("the Web Push key is not base64url")
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		return vapidKey{}, errors.New("the Web Push key is no P-256 key")
	}
	return vapidKey{key}, nil
}

func (p Provider) vapid() (vapidKey, error) {
	var c vapidConfig
	if err := p.Into(&c); err != nil {
		return vapidKey{}, err
	}
	return parseVAPID(c.PrivateKey)
}

// public is the key as a browser wants it: applicationServerKey.
func (k vapidKey) public() string {
	raw, err := k.private.PublicKey.Bytes()
	if err != nil {
		panic("notify: " + err.Error()) // a parsed key has its point
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// EnsureVAPID returns the public key of a tenant's Web Push keys, in base64url
// without padding, and makes the keys if there are none.
func EnsureVAPID(ctx context.Context, tx *db.Tx, tenant string) (string, error) {
	key, err := VAPID(ctx, tx, tenant)
	if !fault.Is(err, fault.NotFound) {
		return key, err
	}
	if err := SaveProvider(ctx, tx, tenant, "", WebPush, vapidName, map[string]any{}); err != nil {
		return "", err
	}
	return VAPID(ctx, tx, tenant)
}

// VAPID is EnsureVAPID that makes nothing: fault.NotFound if there are no keys.
func VAPID(ctx context.Context, q db.Q, tenant string) (string, error) {
	p, err := FindProvider(ctx, q, tenant, "", WebPush, vapidName)
	if err != nil {
		return "", err
	}
	key, err := p.vapid()
	if err != nil {
		return "", err
	}
	return key.public(), nil
}

// route is the push service: users choose it, and one that is dead must not
// stand for the others.
func (w *webPush) route(_ []Provider, m Message) string {
	sub, err := parseSubscription(m.Target.Address)
	if err != nil {
		return WebPush
	}
	return WebPush + "/" + sub.endpoint.Host
}

func (w *webPush) send(ctx context.Context, ps []Provider, m Message) answer {
	sub, err := parseSubscription(m.Target.Address)
	if err != nil {
		return answer{verdict: gone, said: "the subscription cannot be read"}
	}
	jwt, public, err := w.identify(ps[0], sub.endpoint)
	if err != nil {
		return answer{verdict: misconfigured, said: err.Error()}
	}
	body, err := encrypt(sub, []byte(db.Text(m.browsed())))
	if err != nil {
		return answer{verdict: misconfigured, said: err.Error()}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sub.endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return answer{verdict: gone, said: "the endpoint is no URL"}
	}
	req.Header.Set("Authorization", "vapid t="+jwt+", k="+public)
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Content-Encoding", "aes128gcm")
	req.Header.Set("TTL", strconv.Itoa(m.ttl(w.now())))
	req.Header.Set("Urgency", "high")
	req.Header.Set("Topic", collapse(cmp.Or(m.Slot, m.RequestID))) // RFC 8030 5.4: 32 characters of base64url
	r, err := do(w.client, req)
	if err != nil {
		a := failed(err)
		if a.verdict == misconfigured {
			a.verdict = gone // the guard refused the endpoint; no operator did this
		}
		return a
	}
	out := r.judge(w.now(), words(string(r.body), jwt, sub.endpoint.String(), sub.endpoint.RequestURI(), path.Base(sub.endpoint.Path)))
	if r.status == http.StatusNotFound || r.status == http.StatusGone {
		out.verdict = gone
	}
	return out
}

// browsed is data with what a browser needs besides, to show one notification at
// a time and to take it away.
func (m Message) browsed() map[string]string {
	out := m.data()
	if m.Slot != "" {
		out["slot"] = m.Slot
	}
	if m.Over {
		out["over"] = "yes"
	}
	return out
}

// test can ask nobody: a push service answers about subscriptions, not about
// keys. It says whether the keys sign.
func (w *webPush) test(_ context.Context, p Provider) answer {
	endpoint := &url.URL{Scheme: "https", Host: "push.example"}
	if _, _, err := w.identify(p, endpoint); err != nil {
		return answer{verdict: misconfigured, said: err.Error()}
	}
	return answer{verdict: delivered, said: "The keys work. Push services are chosen by browsers and are asked when there is something to send."}
}

// identify returns the two parameters of the vapid scheme for an endpoint: a
// signed token and the key it is signed with (RFC 8292 2 and 3).
func (w *webPush) identify(p Provider, endpoint *url.URL) (jwt, public string, err error) {
	var c vapidConfig
	if err := p.Into(&c); err != nil {
		return "", "", err
	}
	key, err := parseVAPID(c.PrivateKey)
	if err != nil {
		return "", "", err
	}
	claims := map[string]any{"aud": endpoint.Scheme + "://" + endpoint.Host, "exp": w.now().Add(vapidLife).Unix()}
	if c.Subject == "" {
		c.Subject = w.subject
	}
	if c.Subject != "" {
		claims["sub"] = c.Subject
	}
	jwt, err = signJWT(jose.ES256, key.private, map[jose.HeaderKey]any{jose.HeaderType: "JWT"}, claims)
	if err != nil {
		return "", "", err
	}
	return jwt, key.public(), nil
}

// encrypt seals text for a subscription with new keys.
func encrypt(sub subscription, text []byte) ([]byte, error) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a message key: %w", err)
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	return seal(sub, key, salt, text)
}

// seal is RFC 8291 3.4 and RFC 8188 2 with one record. key and salt must be new
// for each message.
func seal(sub subscription, key *ecdh.PrivateKey, salt, text []byte) ([]byte, error) {
	if len(text) > recordSize-bodyHeader-17 {
		return nil, fmt.Errorf("a message of %d bytes does not fit a push", len(text))
	}
	shared, err := key.ECDH(sub.key)
	if err != nil {
		return nil, fmt.Errorf("agreeing on a message key: %w", err)
	}
	own := key.PublicKey().Bytes()
	ikm, err := hkdf.Key(sha256.New, shared, sub.auth, "WebPush: info\x00"+string(sub.key.Bytes())+string(own), 32)
	if err != nil {
		return nil, fmt.Errorf("deriving a message key: %w", err)
	}
	cek, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, fmt.Errorf("deriving a message key: %w", err)
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, fmt.Errorf("deriving a nonce: %w", err)
	}
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, fmt.Errorf("making a cipher: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("making a cipher: %w", err)
	}
	out := bytes.NewBuffer(make([]byte, 0, recordSize))
	out.Write(salt)
	out.Write(binary.BigEndian.AppendUint32(nil, recordSize))
	out.WriteByte(byte(len(own)))
	out.Write(own)
	record := append(bytes.Clone(text), 2) // the delimiter of the last record
	return gcm.Seal(out.Bytes(), nonce, record, nil), nil
}
