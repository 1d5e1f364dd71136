// Package token keeps the signing keys and makes and checks what they sign:
// JSON Web Tokens. It knows no user and no session; what a token says is its
// caller's business.
package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

const (
	// Overlap is how long a new key is published before it signs, so that who
	// caches the key set knows it in time.
	Overlap = 10 * time.Minute
	// Keep is how long an old key goes on verifying after the last signature it
	// could have made: longer than any token lives.
	Keep = 25 * time.Hour

	maxToken = 8 << 10
	fresh    = time.Minute // a node rereads the keys at least this often
)

// Algorithms that sign. ES256 is the default, RS256 for clients that ask.
var Algorithms = []string{"ES256", "RS256"}

// Keys is the key set of the server. It is safe for concurrent use.
type Keys struct {
	db   *db.DB
	news *db.Watch // of changes that have committed, on any node
	seen seen

	mu     sync.Mutex
	loaded []key
	at     time.Time
	set    []byte
}

type key struct {
	id        string // RFC 7638 thumbprint
	alg       string
	public    crypto.PublicKey
	private   crypto.Signer
	activates time.Time
	retires   time.Time // zero: not decided yet
}

const topic = "signing_keys"

// New returns the keys that d holds. It lives as long as d.
func New(d *db.DB) *Keys { return &Keys{db: d, news: d.Watch(topic)} }

// Ensure makes a key of each algorithm that has none, signing at once.
func (k *Keys) Ensure(ctx context.Context) error {
	return k.db.Tx(ctx, func(tx *db.Tx) error {
		for _, alg := range Algorithms {
			var n int
			if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM signing_keys WHERE alg = $1 AND state = 'active'`, alg).Scan(&n); err != nil {
				return err
			}
			if n == 0 {
				if err := insert(ctx, tx, alg, tx.Now()); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Rotate adds a key of an algorithm that signs from Overlap on, and retires the
// others Keep after that. Nothing that was signed stops verifying before it runs
// out.
func (k *Keys) Rotate(ctx context.Context, tx *db.Tx, alg string) error {
	from := tx.Now().Add(Overlap)
	if _, err := tx.Exec(ctx, `UPDATE signing_keys SET retires_at = $1 WHERE alg = $2 AND state = 'active' AND retires_at = 0`, from.Add(Keep), alg); err != nil {
		return err
	}
	return insert(ctx, tx, alg, from)
}

// Revoke takes every key of an algorithm out of use at once and makes a new one
// that signs at once: for keys that somebody else may have. All that they signed
// stops verifying when tx commits, on other nodes a second later.
func (k *Keys) Revoke(ctx context.Context, tx *db.Tx, alg string) error {
	if _, err := tx.Exec(ctx, `UPDATE signing_keys SET state = 'revoked', retires_at = $1 WHERE alg = $2`, tx.Now(), alg); err != nil {
		return err
	}
	return insert(ctx, tx, alg, tx.Now())
}

// Sweep deletes keys that were retired; jobs calls it.
func Sweep(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM signing_keys WHERE retires_at > 0 AND retires_at < $1`, tx.Now())
	return err
}

func insert(ctx context.Context, tx *db.Tx, alg string, activates time.Time) error {
	signer, err := generate(alg)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return err
	}
	jwk := jose.JSONWebKey{Key: signer.Public(), Algorithm: alg, Use: "sig"}
	print, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return err
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(print)
	public, err := jwk.MarshalJSON()
	if err != nil {
		return err
	}
	tx.Signal(topic)
	_, err = tx.Exec(ctx, `INSERT INTO signing_keys (id, tenant_id, alg, public, private, state, activates_at, retires_at, created_at) VALUES ($1, '', $2, $3, $4, 'active', $5, 0, $6)`,
		jwk.KeyID, alg, string(public), tx.Vault().Seal(place(jwk.KeyID), der), activates, tx.Now())
	return err
}

func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256":
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, fmt.Errorf("token: no algorithm %q", alg)
}

func place(id string) string { return "signing_keys/private/" + id }

// keys returns what may verify now, reading it again when it has changed, is a
// minute old or again is set. A failing database is an error, never an empty set.
func (k *Keys) keys(ctx context.Context, again bool) ([]key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.news.C: // before reading: what changes from here on is news again
		k.at = time.Time{}
	default:
	}
	now := k.db.Now()
	age := now.Sub(k.at)
	if len(k.loaded) > 0 && age < fresh && age >= 0 && !(again && age > time.Second) {
		return k.valid(now), nil
	}
	list, err := k.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading signing keys: %w", err)
	}
	k.loaded, k.at, k.set = list, now, nil
	return k.valid(now), nil
}

func (k *Keys) valid(now time.Time) []key {
	var out []key
	for _, key := range k.loaded {
		if key.retires.IsZero() || now.Before(key.retires) {
			out = append(out, key)
		}
	}
	return out
}

func (k *Keys) read(ctx context.Context) ([]key, error) {
	rows, err := k.db.Query(ctx, `SELECT id, alg, private, activates_at, retires_at FROM signing_keys WHERE state = 'active' ORDER BY activates_at, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []key
	for rows.Next() {
		var one key
		var sealed []byte
		if err := rows.Scan(&one.id, &one.alg, &sealed, db.Time(&one.activates), db.Time(&one.retires)); err != nil {
			return nil, err
		}
		if err := one.open(k.db, sealed); err != nil {
			return nil, fmt.Errorf("key %s: %w", one.id, err)
		}
		out = append(out, one)
	}
	return out, rows.Err()
}

func (k *key) open(d *db.DB, sealed []byte) error {
	der, err := d.Vault().Open(place(k.id), sealed)
	if err != nil {
		return err
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return err
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return errors.New("not a signing key")
	}
	k.private, k.public = signer, signer.Public()
	return nil
}

// Sign returns claims as a JWT in compact form, of the type given ("at+jwt"),
// by the newest key of alg that signs already.
func (k *Keys) Sign(ctx context.Context, alg, typ string, claims any) (string, error) {
	list, err := k.keys(ctx, false)
	if err != nil {
		return "", err
	}
	now := k.db.Now()
	for _, key := range slices.Backward(list) {
		if key.alg != alg || key.activates.After(now) {
			continue
		}
		payload, err := json.Marshal(claims)
		if err != nil {
			return "", err
		}
		o := (&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("kid", key.id)
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key.private}, o)
		if err != nil {
			return "", err
		}
		jws, err := s.Sign(payload)
		if err != nil {
			return "", err
		}
		return jws.CompactSerialize()
	}
	return "", fmt.Errorf("token: no key of %s signs", alg)
}

// JWKS returns the key set (RFC 7517 5) of everything that may have signed or
// soon will.
func (k *Keys) JWKS(ctx context.Context) ([]byte, error) {
	if _, err := k.keys(ctx, false); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.set != nil {
		return k.set, nil
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, key := range k.valid(k.db.Now()) {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.public, KeyID: key.id, Algorithm: key.alg, Use: "sig"})
	}
	b, err := json.Marshal(set)
	k.set = b
	return b, err
}

// Want is what a token must be. An empty field is not checked, but Issuer and
// Typ never may be empty.
type Want struct {
	Issuer   string
	Audience string
	Typ      string
	Late     bool // it may have run out: for hints only
}

// Bad is the answer to a token that does not verify. It says nothing about why.
var Bad = fault.New(fault.Denied, "The token is not valid.")

// Verify returns the claims of a JWT that one of our keys signed, that is of the
// wanted issuer, audience and type, and that has not run out: exp is required,
// nbf and iat are checked when they are there. The algorithm follows from the
// key, never from the token (RFC 8725 3.1). Anything else is Bad.
func (k *Keys) Verify(ctx context.Context, jwt string, want Want) (map[string]any, error) {
	if want.Issuer == "" || want.Typ == "" {
		return nil, errors.New("token: Verify needs an issuer and a type")
	}
	h, err := header(jwt)
	if err != nil {
		return nil, Bad.Because(err)
	}
	if !strings.EqualFold(h.Typ, want.Typ) {
		return nil, Bad.Because(errors.New("another type"))
	}
	key, err := k.find(ctx, h.Kid)
	if err != nil {
		return nil, err
	}
	if key.id == "" || key.alg != h.Alg {
		return nil, Bad.Because(errors.New("no such key"))
	}
	payload, err := k.payload(jwt, key)
	if err != nil {
		return nil, Bad.Because(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, Bad.Because(err)
	}
	if err := judge(claims, want, k.db.Now()); err != nil {
		return nil, Bad.Because(err)
	}
	return claims, nil
}

// payload is what a token of ours says, if the key signed it.
func (k *Keys) payload(jwt string, key key) ([]byte, error) {
	m := mark(key.id, jwt)
	if k.seen.has(m) {
		return base64.RawURLEncoding.DecodeString(strings.Split(jwt, ".")[1])
	}
	payload, err := VerifyCompact(jwt, jose.SignatureAlgorithm(key.alg), key.public)
	if err == nil {
		k.seen.add(m)
	}
	return payload, err
}

func (k *Keys) find(ctx context.Context, kid string) (key, error) {
	for _, again := range []bool{false, true} {
		list, err := k.keys(ctx, again)
		if err != nil {
			return key{}, err
		}
		for _, key := range list {
			if key.id == kid {
				return key, nil
			}
		}
	}
	return key{}, nil
}

type joseHeader struct {
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	Typ string `json:"typ"`
}

// allowed are the header parameters that a token of ours has. Others - jwk, jku,
// x5u, crit - are refused before anything is believed.
var allowed = map[string]bool{"alg": true, "kid": true, "typ": true}

func header(jwt string) (joseHeader, error) {
	var h joseHeader
	if len(jwt) > maxToken || strings.Count(jwt, ".") != 2 {
		return h, errors.New("not a compact JWS of at most 8 KiB")
	}
	part, _, _ := strings.Cut(jwt, ".")
	b, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return h, err
	}
	var names map[string]json.RawMessage
	if err := json.Unmarshal(b, &names); err != nil {
		return h, err
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !allowed[name] {
			return h, fmt.Errorf("header parameter %q", name)
		}
	}
	return h, json.Unmarshal(b, &h)
}

// VerifyCompact returns the payload of a compact JWS signed by pub with exactly
// this algorithm. Base64url must be canonical and, for PS256, the salt as long
// as the hash (RFC 7518 3.5): what go-jose is lenient about.
func VerifyCompact(jws string, alg jose.SignatureAlgorithm, pub crypto.PublicKey) ([]byte, error) {
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a compact JWS")
	}
	raw := make([][]byte, 3)
	for i, p := range parts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(p)
		if err != nil || strings.ContainsAny(p, "\r\n") {
			return nil, errors.New("not canonical base64url")
		}
		raw[i] = b
	}
	if err := strictSalt(alg, pub, []byte(parts[0]+"."+parts[1]), raw[2]); err != nil {
		return nil, err
	}
	parsed, err := jose.ParseSignedCompact(jws, []jose.SignatureAlgorithm{alg})
	if err != nil {
		return nil, err
	}
	return parsed.Verify(pub)
}

func strictSalt(alg jose.SignatureAlgorithm, pub crypto.PublicKey, signed, sig []byte) error {
	hashes := map[jose.SignatureAlgorithm]crypto.Hash{jose.PS256: crypto.SHA256, jose.PS384: crypto.SHA384, jose.PS512: crypto.SHA512}
	hash, ok := hashes[alg]
	if !ok {
		return nil
	}
	key, ok := pub.(*rsa.PublicKey)
	if !ok {
		return errors.New("not an RSA key")
	}
	h := hash.New()
	h.Write(signed)
	return rsa.VerifyPSS(key, hash, h.Sum(nil), sig, &rsa.PSSOptions{SaltLength: hash.Size(), Hash: hash})
}

func judge(claims map[string]any, want Want, now time.Time) error {
	if claims["iss"] != want.Issuer {
		return errors.New("another issuer")
	}
	if want.Audience != "" && !audience(claims["aud"], want.Audience) {
		return errors.New("another audience")
	}
	exp, ok := claims["exp"].(float64)
	if !ok || now.Unix() >= int64(exp) && !want.Late {
		return errors.New("run out")
	}
	for _, name := range []string{"nbf", "iat"} {
		if at, has := claims[name]; has {
			if f, ok := at.(float64); !ok || int64(f) > now.Add(time.Minute).Unix() {
				return errors.New(name + " lies ahead")
			}
		}
	}
	return nil
}

func audience(aud any, want string) bool {
	switch aud := aud.(type) {
	case string:
		return aud == want
	case []any:
		return slices.Contains(aud, any(want))
	}
	return false
}
