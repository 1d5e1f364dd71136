package token_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/token"
)

var want = token.Want{Issuer: "https://id.example", Audience: "web", Typ: "journey+jwt"}

func newKeys(t *testing.T) (*kittest.World, *token.Keys) {
	t.Helper()
	w := kittest.New(t)
	k := token.New(w.DB)
	if err := k.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w, k
}

func sign(t *testing.T, w *kittest.World, k *token.Keys, alg string, more map[string]any) string {
	t.Helper()
	claims := map[string]any{"iss": want.Issuer, "aud": want.Audience, "iat": w.Now().Unix(), "exp": w.Now().Add(10 * time.Minute).Unix(), "sub": "usr_1"}
	for name, v := range more {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	jwt, err := k.Sign(t.Context(), alg, want.Typ, claims)
	if err != nil {
		t.Fatal(err)
	}
	return jwt
}

func TestSignAndVerify(t *testing.T) {
	w, k := newKeys(t)
	for _, alg := range token.Algorithms {
		claims, err := k.Verify(t.Context(), sign(t, w, k, alg, nil), want)
		if err != nil || claims["sub"] != "usr_1" {
			t.Errorf("%s: %v, %v", alg, claims, err)
		}
	}
}

// TestPublishedKeysVerify: what the key set says is enough for anybody.
func TestPublishedKeysVerify(t *testing.T) {
	w, k := newKeys(t)
	raw, err := k.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("%s, %v", raw, err)
	}
	if strings.Contains(string(raw), `"d":`) {
		t.Fatal("a private key is published")
	}
	jws, err := jose.ParseSignedCompact(sign(t, w, k, "ES256", nil), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	kid := jws.Signatures[0].Header.KeyID
	if _, err := jws.Verify(set.Key(kid)[0]); err != nil {
		t.Error(err)
	}
}

// TestThumbprints: a key's id is its thumbprint. The thumbprint is taken here
// without go-jose, by RFC 7638 3, and first of that document's own example.
func TestThumbprints(t *testing.T) {
	const example = `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`
	thumbprint := func(raw string) string {
		var all, required map[string]string
		if err := json.Unmarshal([]byte(raw), &all); err != nil {
			t.Fatal(err)
		}
		required = map[string]string{}
		for _, name := range map[string][]string{"RSA": {"e", "kty", "n"}, "EC": {"crv", "kty", "x", "y"}}[all["kty"]] {
			required[name] = all[name]
		}
		b, err := json.Marshal(required) // in the order of the names, without spaces
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if got := thumbprint(example); got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Fatalf("the example: %s", got)
	}
	_, k := newKeys(t)
	raw, err := k.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(raw, &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("%s, %v", raw, err)
	}
	for _, key := range set.Keys {
		var head struct{ Kid string }
		if err := json.Unmarshal(key, &head); err != nil || head.Kid != thumbprint(string(key)) {
			t.Errorf("id %q, %v, of %s", head.Kid, err, key)
		}
	}
}

// TestClaims (R66, R69): every claim that is wrong, missing or of another type is
// refused with one answer.
func TestClaims(t *testing.T) {
	w, k := newKeys(t)
	now := w.Now().Unix()
	for name, more := range map[string]map[string]any{
		"another issuer": {"iss": "https://evil.example"}, "no issuer": {"iss": nil}, "another audience": {"aud": "native"}, "no audience": {"aud": nil},
		"empty audience": {"aud": []string{}}, "audience of others": {"aud": []string{"a", "b"}}, "run out": {"exp": now}, "no expiry": {"exp": nil},
		"expiry as text": {"exp": "9999999999"}, "not yet": {"nbf": now + 120}, "issued tomorrow": {"iat": now + 86400},
	} {
		_, err := k.Verify(t.Context(), sign(t, w, k, "ES256", more), want)
		if f := fault.Of(err); f.Code != fault.Denied || f.Message != token.Bad.Message {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := k.Verify(t.Context(), sign(t, w, k, "ES256", map[string]any{"aud": []string{"x", "web"}}), want); err != nil {
		t.Errorf("one of several audiences: %v", err)
	}
	jwt := sign(t, w, k, "ES256", nil)
	if _, err := k.Verify(t.Context(), jwt, token.Want{Issuer: want.Issuer, Typ: "at+jwt"}); err == nil {
		t.Error("a token of another type was taken")
	}
	if w.Pass(10 * time.Minute); !fault.Is(verify(t, k, jwt), fault.Denied) {
		t.Error("taken after it ran out")
	}
}

func verify(t *testing.T, k *token.Keys, jwt string) error {
	_, err := k.Verify(t.Context(), jwt, want)
	return err
}

// TestForgeries (R15, R67, R68): other headers, other algorithms, other bytes.
func TestForgeries(t *testing.T) {
	w, k := newKeys(t)
	jwt := sign(t, w, k, "ES256", nil)
	parts := strings.Split(jwt, ".")
	var head map[string]any
	b, _ := base64.RawURLEncoding.DecodeString(parts[0])
	if err := json.Unmarshal(b, &head); err != nil {
		t.Fatal(err)
	}
	reheaded := func(changes map[string]any) string {
		h := map[string]any{}
		for n, v := range head {
			h[n] = v
		}
		for n, v := range changes {
			h[n] = v
		}
		return base64.RawURLEncoding.EncodeToString([]byte(db.Text(h))) + "." + parts[1] + "." + parts[2]
	}
	forged := map[string]string{
		"none": reheaded(map[string]any{"alg": "none"}), "HS256": reheaded(map[string]any{"alg": "HS256"}), "RS256": reheaded(map[string]any{"alg": "RS256"}),
		"jwk": reheaded(map[string]any{"jwk": map[string]any{"kty": "oct"}}), "jku": reheaded(map[string]any{"jku": "https://evil.example"}),
		"crit": reheaded(map[string]any{"crit": []string{"exp"}}), "kid path": reheaded(map[string]any{"kid": "../../x"}), "kid SQL": reheaded(map[string]any{"kid": "' OR 1=1 --"}),
		"no signature": parts[0] + "." + parts[1] + ".", "zero signature": parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"padded": jwt + "=", "spaced": jwt + " ", "line break": parts[0] + "." + parts[1] + "\n." + parts[2], "four parts": jwt + ".x", "dots": strings.Repeat(".", 10<<20),
		"huge": strings.Repeat("A", 1<<20) + ".a.b", "empty": "",
	}
	for i := range jwt {
		if i%7 == 0 {
			forged["prefix "+jwt[:i]] = jwt[:i]
			forged["flipped "+jwt[:i]] = jwt[:i] + flip(jwt[i]) + jwt[i+1:]
		}
	}
	for name, f := range forged {
		if err := verify(t, k, f); !fault.Is(err, fault.Denied) {
			t.Errorf("%.40s: %v", name, err)
		}
	}
}

func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func kidOf(t *testing.T, jwt string) string {
	t.Helper()
	jws, err := jose.ParseSignedCompact(jwt, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	return jws.Signatures[0].Header.KeyID
}

func TestRotate(t *testing.T) {
	w, k := newKeys(t)
	old := sign(t, w, k, "ES256", map[string]any{"exp": w.Now().Add(24 * time.Hour).Unix()})
	w.Do(t, func(tx *db.Tx) error { return k.Rotate(t.Context(), tx, "ES256") })
	kid := func(jwt string) string { return kidOf(t, jwt) }
	if set, err := k.JWKS(t.Context()); err != nil || strings.Count(string(set), `"ES256"`) != 2 {
		t.Errorf("the new key is not published: %s, %v", set, err)
	}
	if kid(sign(t, w, k, "ES256", nil)) != kid(old) {
		t.Error("the new key signs before it is known")
	}
	w.Pass(token.Overlap)
	if kid(sign(t, w, k, "ES256", nil)) == kid(old) {
		t.Error("the new key does not sign")
	}
	if w.Pass(23 * time.Hour); verify(t, k, old) != nil {
		t.Error("a token stopped verifying before it ran out")
	}
	w.Pass(token.Keep)
	w.Do(t, func(tx *db.Tx) error { return token.Sweep(t.Context(), tx) })
	if set, err := k.JWKS(t.Context()); err != nil || strings.Count(string(set), `"ES256"`) != 1 {
		t.Errorf("the old key stays: %s, %v", set, err)
	}
}

// TestRevokeAtOnce: from the commit on, and not only from the next reading of the
// keys, what a revoked key signed is nothing. A reading between the revocation and
// its commit must not keep the key alive.
func TestRevokeAtOnce(t *testing.T) {
	w, k := newKeys(t)
	old := sign(t, w, k, "ES256", nil)
	other := token.New(w.DB)
	if err := verify(t, other, old); err != nil {
		t.Fatal(err)
	}
	w.Do(t, func(tx *db.Tx) error {
		if err := k.Revoke(t.Context(), tx, "ES256"); err != nil {
			return err
		}
		for name, k := range map[string]*token.Keys{"this": k, "the other": other} {
			if err := verify(t, k, old); err != nil {
				t.Errorf("%s, before the commit: %v", name, err)
			}
		}
		return nil
	})
	for name, k := range map[string]*token.Keys{"this": k, "the other": other} {
		if !fault.Is(verify(t, k, old), fault.Denied) {
			t.Errorf("%s: a revoked key verifies", name)
		}
		if set, err := k.JWKS(t.Context()); err != nil || strings.Contains(string(set), kidOf(t, old)) {
			t.Errorf("%s: a revoked key is published: %v", name, err)
		}
		if err := verify(t, k, sign(t, w, k, "ES256", nil)); err != nil {
			t.Errorf("%s: the new key: %v", name, err)
		}
	}
}

// TestEnsureAtOnce: 16 nodes that start together make one key of each kind.
func TestEnsureAtOnce(t *testing.T) {
	w := kittest.New(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := token.New(w.DB).Ensure(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	raw, err := token.New(w.DB).JWKS(t.Context())
	var set jose.JSONWebKeySet
	if err != nil || json.Unmarshal(raw, &set) != nil || len(set.Keys) != 2 {
		t.Errorf("%d keys, %v", len(set.Keys), err)
	}
}

// TestWycheproofJWS runs the independent vectors: nothing invalid is accepted,
// with the algorithm pinned from the key.
func TestWycheproofJWS(t *testing.T) {
	dir := os.Getenv("WATCHWORD_VECTORS")
	if dir == "" {
		t.Skip("WATCHWORD_VECTORS is not set: the Wycheproof vectors are not run")
	}
	b, err := os.ReadFile(filepath.Join(dir, "wycheproof", "json_web_signature_test.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		TestGroups []struct {
			Public  json.RawMessage
			Private json.RawMessage
			Tests   []struct {
				TcID    int
				Comment string
				JWS     string
				Result  string
			}
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	run := 0
	for _, g := range file.TestGroups {
		var key jose.JSONWebKey
		if len(g.Public) == 0 || json.Unmarshal(g.Public, &key) != nil || key.Algorithm == "" {
			continue // symmetric keys: we have none
		}
		for _, c := range g.Tests {
			run++
			_, err := token.VerifyCompact(c.JWS, jose.SignatureAlgorithm(key.Algorithm), key.Key)
			if err == nil && c.Result == "invalid" {
				t.Errorf("%d (%s, %s) was accepted", c.TcID, key.Algorithm, c.Comment)
			}
		}
	}
	if run < 100 {
		t.Errorf("only %d vectors were run", run)
	}
}

// TestSeenAgain: a signature that was checked is not checked again, and nothing
// else about a token is taken from the first time: not a byte of it may differ,
// and time, audience and type are judged anew.
func TestSeenAgain(t *testing.T) {
	w, k := newKeys(t)
	for _, alg := range token.Algorithms {
		jwt := sign(t, w, k, alg, nil)
		for range 2 {
			if claims, err := k.Verify(t.Context(), jwt, want); err != nil || claims["sub"] != "usr_1" {
				t.Fatalf("%s: %v, %v", alg, claims, err)
			}
		}
		for i := 0; i < len(jwt); i += 7 {
			b := []byte(jwt)
			if b[i]++; verify(t, k, string(b)) == nil {
				t.Errorf("%s: byte %d may differ", alg, i)
			}
		}
		parts := strings.Split(jwt, ".")
		if verify(t, k, parts[0]+"."+parts[1]+".") == nil || verify(t, k, jwt+"=") == nil {
			t.Errorf("%s: another signature of what was seen", alg)
		}
		for name, want := range map[string]token.Want{
			"audience": {Issuer: want.Issuer, Audience: "other", Typ: want.Typ},
			"issuer":   {Issuer: "https://other.example", Audience: want.Audience, Typ: want.Typ},
			"type":     {Issuer: want.Issuer, Audience: want.Audience, Typ: "at+jwt"},
		} {
			if _, err := k.Verify(t.Context(), jwt, want); err == nil {
				t.Errorf("%s: another %s", alg, name)
			}
		}
		w.Pass(11 * time.Minute)
		if verify(t, k, jwt) == nil {
			t.Errorf("%s: good after its time", alg)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	w := kittest.New(b)
	k := token.New(w.DB)
	if err := k.Ensure(b.Context()); err != nil {
		b.Fatal(err)
	}
	jwt, err := k.Sign(b.Context(), "ES256", want.Typ, map[string]any{"iss": want.Issuer, "aud": want.Audience, "iat": w.Now().Unix(), "exp": w.Now().Add(time.Hour).Unix(), "sub": "usr_1"})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := k.Verify(b.Context(), jwt, want); err != nil {
			b.Fatal(err)
		}
	}
}
