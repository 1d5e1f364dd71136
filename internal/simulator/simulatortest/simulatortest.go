// Package simulatortest is a small scripted server for tests of the two clients.
// It follows the protocol note and not our server: every message is checked to
// the last field, every signature is verified, and what is wrong fails the test.
// It keeps everything in memory and proves nothing about Watchword itself.
package simulatortest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is the stub.
type Server struct {
	URL string

	tb       testing.TB
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when a request appears or is decided
	sessions map[string]*session
	phones   map[string][]phone // by e-mail address
	requests []*request
	nonces   map[string]bool
	polls    int
	resends  int
}

type phone struct {
	email, client, name, keyID, bioID, pushToken string
	key                                          *rsa.PublicKey
	bio                                          *ecdsa.PublicKey
}

type request struct {
	id, email, number, keyID, state string // state: created, joined, approved, denied, not_me
	at                              time.Time
}

// epoch is when the first request is posed; each further one is a second later.
var epoch = time.UnixMilli(1_790_000_000_000)

// New starts a stub that lives as long as the test.
func New(tb testing.TB) *Server {
	s := &Server{tb: tb, changed: make(chan struct{}), sessions: map[string]*session{}, phones: map[string][]phone{}, nonces: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ido/api/v2/auth/{op}", s.orchestrate)
	mux.HandleFunc("POST /device/v1/pending", s.pending)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.problem("unexpected %s %s", r.Method, r.URL)
		http.NotFound(w, r)
	})
	ts := httptest.NewServer(mux)
	tb.Cleanup(ts.Close)
	s.URL = ts.URL
	return s
}

func (s *Server) problem(format string, args ...any) { s.tb.Errorf("stub: "+format, args...) }

// Ask poses a request to the newest phone of a user; an empty number means that
// there is nothing to match. It returns the request's id.
func (s *Server) Ask(email, number string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.phones[email]
	if len(list) == 0 {
		s.problem("%s has no phone", email)
		return ""
	}
	return s.ask(list[len(list)-1], number).id
}

func (s *Server) ask(p phone, number string) *request {
	q := &request{id: "chl_" + strings.ToLower(rand.Text()), email: p.email, number: number, keyID: p.keyID, state: "created", at: epoch.Add(time.Duration(len(s.requests)) * time.Second)}
	s.requests = append(s.requests, q)
	s.change()
	return q
}

func (s *Server) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// State returns what became of a request.
func (s *Server) State(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.request(id); q != nil {
		return q.state
	}
	return "unknown"
}

// Phones returns the names of a user's phones.
func (s *Server) Phones(email string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, p := range s.phones[email] {
		out = append(out, p.name)
	}
	return out
}

// Polls returns how often a waiting step was asked "is it decided?".
func (s *Server) Polls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.polls
}

// Resends returns how often a message was sent again.
func (s *Server) Resends() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resends
}

func (s *Server) request(id string) *request {
	for _, q := range s.requests {
		if q.id == id {
			return q
		}
	}
	return nil
}

// pending is the device API.
func (s *Server) pending(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Client    string `json:"client_id"`
		KeyID     string `json:"device_key_id"`
		Timestamp int64  `json:"timestamp"`
		Nonce     string `json:"nonce"`
		Wait      int    `json:"wait"`
		Signature string `json:"signature"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil || in.Wait < 0 || in.Wait > 25 || len(in.Nonce) < 16 {
		s.problem("pending: malformed (%v): %+v", err, in)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nonces[in.Nonce] {
		s.problem("pending: a nonce was used twice")
	}
	s.nonces[in.Nonce] = true
	p, ok := s.phoneOf(in.KeyID)
	if !ok || p.client != in.Client {
		reply(w, 403, map[string]any{"error": "denied", "message": "This phone is not known here. Set it up again."})
		return
	}
	text := fmt.Sprintf("watchword/device/v1\npending\n%s\n%s\n%d\n%s", in.Client, in.KeyID, in.Timestamp, in.Nonce)
	if !verifyPSS(p.key, text, in.Signature) {
		s.problem("pending: the signature does not verify")
	}
	deadline := time.After(time.Duration(in.Wait) * time.Second)
	for list := s.open(in.KeyID); ; list = s.open(in.KeyID) {
		if len(list) > 0 || in.Wait == 0 {
			reply(w, 200, map[string]any{"requests": list})
			return
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-deadline:
			in.Wait = 0
		case <-r.Context().Done():
			in.Wait = 0
		}
		s.mu.Lock()
	}
}

func (s *Server) open(keyID string) []map[string]any {
	out := []map[string]any{}
	for _, q := range s.requests {
		if q.keyID != keyID || q.state != "created" {
			continue
		}
		mode := "type-2"
		if q.number == "" {
			mode = "off"
		}
		out = append(out, map[string]any{
			"id": q.id, "app": "Northwind Coffee", "client": "demo-web", "place": "127.0.0.1", "browser": "Firefox on Linux", "at": q.at,
			"expires_at": q.at.Add(time.Minute), "number_mode": mode, "approval_data": map[string]any{},
		})
	}
	return out
}

func (s *Server) phoneOf(keyID string) (phone, bool) {
	for _, list := range s.phones {
		for _, p := range list {
			if p.keyID == keyID {
				return p, true
			}
		}
	}
	return phone{}, false
}

// message is one request of the orchestration API, as it came.
type message struct {
	op      string
	query   map[string]string
	headers map[string]map[string]any // by type
	data    map[string]any
}

// read checks everything that every message has in common (mosaic-protocol 2.1,
// 2.2).
func (s *Server) read(r *http.Request) message {
	m := message{op: r.PathValue("op"), query: map[string]string{}, headers: map[string]map[string]any{}}
	if got := r.Header.Get("Content-Type"); got != "application/json;charset=UTF-8" {
		s.problem("%s: content type %q", m.op, got)
	}
	if got := r.Header.Get("Authorization") + r.Header.Get("Cookie"); got != "" {
		s.problem("%s: sent credentials", m.op)
	}
	for name, v := range r.URL.Query() {
		m.query[name] = v[0]
		if !slices.Contains([]string{"aid", "clientId", "locale", "did", "sid", "resource"}, name) {
			s.problem("%s: query has %q", m.op, name)
		}
	}
	if m.query["aid"] != "default_application" || m.query["clientId"] == "" || m.query["locale"] == "" {
		s.problem("%s: query %v", m.op, m.query)
	}
	var body struct {
		Headers []map[string]any `json:"headers"`
		Data    map[string]any   `json:"data"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil || body.Headers == nil || body.Data == nil {
		s.problem("%s: envelope: %v", m.op, err)
	}
	m.data = body.Data
	for _, h := range body.Headers {
		kind, _ := h["type"].(string)
		_, same := h[kind]
		if len(h) != 2 || !same || m.headers[kind] != nil {
			s.problem("%s: header %v", m.op, h)
		}
		m.headers[kind] = h
	}
	if device, ok := m.headers["device"]["device"].(map[string]any); ok {
		s.checkDevice(m.op, device)
	}
	return m
}

func (s *Server) checkDevice(op string, device map[string]any) {
	der, err := base64.StdEncoding.DecodeString(str(device["device_public_key"]))
	sum := sha256.Sum256(der)
	if err != nil || hex.EncodeToString(sum[:]) != device["device_key_id"] {
		s.problem("%s: the device key id is not the hash of the key", op)
	}
	for _, name := range []string{"device_type", "device_os", "device_os_version", "device_manufacturer", "device_model"} {
		if str(device[name]) == "" {
			s.problem("%s: device header lacks %s", op, name)
		}
	}
}

func (m message) device(name string) string {
	device, _ := m.headers["device"]["device"].(map[string]any)
	return str(device[name])
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func verifyPSS(key *rsa.PublicKey, text, signature string) bool {
	sum := sha256.Sum256([]byte(text))
	sig, err := base64.StdEncoding.DecodeString(signature)
	return err == nil && rsa.VerifyPSS(key, crypto.SHA256, sum[:], sig, &rsa.PSSOptions{SaltLength: 32}) == nil
}

func verifyECDSA(key *ecdsa.PublicKey, text, signature string) bool {
	sum := sha256.Sum256([]byte(text))
	sig, err := base64.StdEncoding.DecodeString(signature)
	return err == nil && ecdsa.VerifyASN1(key, sum[:], sig)
}

func publicKey[K any](text string) (K, bool) {
	var none K
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return none, false
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return none, false
	}
	out, ok := key.(K)
	return out, ok
}

func merge(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
