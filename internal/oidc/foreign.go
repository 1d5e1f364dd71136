package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/token"
)

const maxForeign = 16 << 10

// foreign is a JWT that somebody else signed, not yet believed.
type foreign struct {
	Alg string           `json:"alg"`
	Typ string           `json:"typ"`
	Kid string           `json:"kid"`
	JWK *jose.JSONWebKey `json:"jwk"`
	raw string
}

// readsOtherwise are members of a header that would change how a JWS is to be read,
// or say where its key comes from. Others are ignored (RFC 7515 4).
var readsOtherwise = []string{"crit", "b64", "jku", "x5u", "x5c", "x5t", "x5t#S256", "enc", "zip", "epk", "p2s", "p2c"}

// parseForeign reads the header of a compact JWS: an algorithm that we know, and
// no member that would change how it is to be read.
func parseForeign(jws string) (foreign, error) {
	f := foreign{raw: jws}
	if len(jws) > maxForeign || strings.Count(jws, ".") != 2 {
		return f, errors.New("not a compact JWS of at most 16 KiB")
	}
	part, _, _ := strings.Cut(jws, ".")
	b, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return f, err
	}
	var names map[string]json.RawMessage
	if err := json.Unmarshal(b, &names); err != nil {
		return f, err
	}
	for _, name := range readsOtherwise {
		if names[name] != nil {
			return f, fmt.Errorf("header member %q", name)
		}
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return f, err
	}
	if !slices.Contains(apps.Algs, f.Alg) {
		return f, fmt.Errorf("algorithm %q", f.Alg)
	}
	return f, nil
}

// claims returns what was signed by key.
func (f foreign) claims(key crypto.PublicKey) (map[string]any, error) {
	if !strong(key) {
		return nil, errors.New("the key is too weak")
	}
	b, err := token.VerifyCompact(f.raw, jose.SignatureAlgorithm(f.Alg), key)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(b, &out)
}

func strong(key crypto.PublicKey) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= 2048 && k.N.BitLen() <= 8192
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}

// byClient returns the claims of a JWT that one of the client's keys signed, by the
// algorithm that it has to be only, if that is said, and by one of its profile's.
func (p *Provider) byClient(ctx context.Context, c apps.Client, jws, only string) (map[string]any, error) {
	f, err := parseForeign(jws)
	switch {
	case err == nil && f.JWK != nil:
		err = errors.New("a key in the header")
	case err == nil && !c.Signs(f.Alg, only):
		err = fmt.Errorf("algorithm %q of this client", f.Alg)
	}
	if err != nil {
		return nil, errUnsigned.because(err)
	}
	for _, again := range []bool{false, true} {
		set, err := p.clientKeys(ctx, c, again)
		if err != nil {
			return nil, err
		}
		for _, key := range set.Keys {
			if f.Kid != "" && key.KeyID != "" && key.KeyID != f.Kid || key.Use != "" && key.Use != "sig" || !key.IsPublic() {
				continue
			}
			if claims, err := f.claims(key.Key); err == nil {
				return claims, nil
			}
		}
		if c.Settings.JWKS != "" {
			break
		}
	}
	return nil, errUnsigned
}

var errUnsigned = refuse("invalid_request", "It is not signed by a key of the client.")

// keyCache holds key sets that were fetched, by client and address: two clients
// never share one (security R88).
type keyCache struct {
	mu   sync.Mutex
	sets map[string]fetched
}

type fetched struct {
	set jose.JSONWebKeySet
	at  time.Time
}

const (
	keysFresh  = 10 * time.Minute
	keysAtMost = 30 * time.Second // between two fetches because a key was not found
)

func (p *Provider) clientKeys(ctx context.Context, c apps.Client, again bool) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	if c.Settings.JWKS != "" {
		return set, json.Unmarshal([]byte(c.Settings.JWKS), &set)
	}
	name, now := string(c.ID)+" "+c.Settings.JWKSURI, p.Kit.DB.Now()
	p.keys.mu.Lock()
	have, ok := p.keys.sets[name]
	p.keys.mu.Unlock()
	if age := now.Sub(have.at); ok && age < keysFresh && (!again || age < keysAtMost) {
		return have.set, nil
	}
	b, err := p.Fetch(ctx, c.Settings.JWKSURI)
	if err == nil {
		err = json.Unmarshal(b, &set)
	}
	if err != nil {
		return set, refuse("invalid_client", "The client's keys could not be read.").because(err)
	}
	p.keys.mu.Lock()
	defer p.keys.mu.Unlock()
	if p.keys.sets == nil || len(p.keys.sets) > 1000 {
		p.keys.sets = map[string]fetched{}
	}
	p.keys.sets[name] = fetched{set, now}
	return set, nil
}

// once takes an id that counts once until it runs out; false if it was taken.
func once(ctx context.Context, tx *db.Tx, kind, id string, until time.Time) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO used_ids (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`, tx.Vault().Hash("used/"+kind, id), until)
	return n == 1, err
}

func text(claims map[string]any, name string) string { s, _ := claims[name].(string); return s }

func seconds(claims map[string]any, name string) (time.Time, bool) {
	f, ok := claims[name].(float64)
	return time.Unix(int64(f), 0), ok
}

// names reports whether an "aud" is, or holds, one of these.
func names(aud any, any_ ...string) bool {
	list, ok := aud.([]any)
	if !ok {
		list = []any{aud}
	}
	return slices.ContainsFunc(list, func(v any) bool { s, ok := v.(string); return ok && slices.Contains(any_, s) })
}

// unverified are the claims of a JWT that nobody has checked.
func (f foreign) unverified() map[string]any {
	parts := strings.Split(f.raw, ".")
	b, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var out map[string]any
	if json.Unmarshal(b, &out) != nil {
		return nil
	}
	return out
}
