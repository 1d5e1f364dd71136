package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// offline verifies a JWS as a relying party would that knows nothing of us but
// the published key set.
func (w *world) offline(t testing.TB, jws string) map[string]any {
	t.Helper()
	r, err := http.Get(w.URL + "/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(jws, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	keys := set.Key(signed.Signatures[0].Header.KeyID)
	if len(keys) != 1 {
		t.Fatalf("no key %q is published", signed.Signatures[0].Header.KeyID)
	}
	body, err := signed.Verify(keys[0])
	if err != nil {
		t.Fatalf("the signature: %v", err)
	}
	var claims map[string]any
	if err := json.Unmarshal(body, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// TestTransactionPush: a payment is shown on the phone, approved there, and the
// browser's token carries what was shown and a receipt that verifies offline.
func TestTransactionPush(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "grace@example.org", 0)
	pay := map[string]any{"email": "grace@example.org", "payee": "ACME Corp.", "amount": "1500.00", "currency": "EUR"}
	b := w.browser(t)
	if _, err := b.Start(t.Context(), "transaction_push", nil); err != nil {
		t.Fatal(err)
	}
	r, err := b.Submit(t.Context(), simulator.ClientInput, pay)
	if err != nil || r.Step != waitStep {
		t.Fatalf("after the form: %+v, %v", r, err)
	}
	q := pending(t, p)
	if q.ApprovalData["payee"] != "ACME Corp." || q.ApprovalData["amount"] != "1500.00" || len(q.ApprovalData) != 3 {
		t.Fatalf("the phone shows %v", q.ApprovalData)
	}
	if err := p.Approve(t.Context(), q.ID, r.Text("number")); err != nil {
		t.Fatal(err)
	}
	claims := w.offline(t, ended(t, b).Token)
	receipt := w.offline(t, claims["approval_receipt"].(string))
	canonical := sha256.Sum256([]byte(`{"amount":"1500.00","currency":"EUR","payee":"ACME Corp."}`)) // RFC 8785
	if want := base64.RawURLEncoding.EncodeToString(canonical[:]); receipt["approval_hash"] != want || claims["approval_hash"] != want {
		t.Errorf("the hash is %v, want %s", receipt["approval_hash"], want)
	}
	if receipt["sub"] != claims["sub"] || receipt["jti"] != claims["approval_id"] || receipt["exp"] != nil || receipt["method"] != "push" {
		t.Errorf("receipt %v", receipt)
	}
	phone := receipt["evidence"].(map[string]any)["phone"].(map[string]any)
	if s, _ := phone["signature"].(string); s == "" || phone["challenge"] == nil {
		t.Errorf("the receipt does not show what the phone signed: %v", receipt["evidence"])
	}
}

// TestTransactionRefused: what cannot be shown as it is, is not signed.
func TestTransactionRefused(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "grace@example.org", 0)
	b := w.browser(t)
	if _, err := b.Start(t.Context(), "transaction_push", nil); err != nil {
		t.Fatal(err)
	}
	r, err := b.Submit(t.Context(), simulator.ClientInput, map[string]any{"email": "grace@example.org", "payee": "ACME\u202e", "amount": "1", "currency": "EUR"})
	if err != nil || r.Type != simulator.Rejection {
		t.Errorf("hidden characters: %+v, %v", r, err)
	}
	if list, err := p.Pending(t.Context(), 0); err != nil || len(list) != 0 {
		t.Errorf("the phone was asked: %v, %v", list, err)
	}
}
