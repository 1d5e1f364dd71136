// Package notifytest holds push providers to test against: servers on this
// machine that check what Apple, Google and a push service check, answer in
// their words, and can be told to fail. They deliver to nobody. It is for tests
// and benchmarks only.
package notifytest

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"crypto/sha256"

	"github.com/watchword-auth/watchword/internal/web"
)

// Received is a message that a peer was given and found nothing wrong with.
type Received struct {
	To     string // device token, registration token or subscription
	Header http.Header
	Body   []byte
	At     time.Time
}

// Reply is a failure that a peer was told to answer with.
type Reply struct {
	Status     int
	Body       string
	RetryAfter string
	Hang       bool // say nothing until the client leaves
}

// Peer is what all peers have in common.
type Peer struct {
	*httptest.Server
	now func() time.Time

	mu         sync.Mutex
	script     []Reply
	always     *Reply
	asked      int
	received   []Received
	complaints []string
}

func (p *Peer) start(t testing.TB, now func() time.Time, h http.HandlerFunc) {
	t.Helper()
	p.now = now
	p.Server = httptest.NewUnstartedServer(h)
	p.Server.EnableHTTP2 = true
	p.Server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.Server.StartTLS()
	t.Cleanup(p.Server.Close)
}

// Next makes the peer answer with these failures, one a request, before it
// works again.
func (p *Peer) Next(r ...Reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script = append(p.script, r...)
}

// Fail makes the peer answer with r until Recover.
func (p *Peer) Fail(r Reply) { p.mu.Lock(); defer p.mu.Unlock(); p.always = &r }

// Recover ends Fail and forgets what Next was told.
func (p *Peer) Recover() { p.mu.Lock(); defer p.mu.Unlock(); p.always, p.script = nil, nil }

// Asked is how many sends the peer saw, failures included.
func (p *Peer) Asked() int { p.mu.Lock(); defer p.mu.Unlock(); return p.asked }

// Received returns the messages that the peer took.
func (p *Peer) Received() []Received {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Received(nil), p.received...)
}

// Complaints returns what the peer found wrong with requests.
func (p *Peer) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.complaints...)
}

// Client returns the guarded egress client that may call these peers, and
// nothing else on this machine.
func Client(peers ...*Peer) *http.Client {
	o := web.EgressOptions{Roots: x509.NewCertPool()}
	for _, p := range peers {
		o.Allow = append(o.Allow, p.Listener.Addr().String())
		o.Roots.AddCert(p.Certificate())
	}
	return web.Egress(o)
}

// scripted plays a failure if there is one to play. p.mu must not be held.
func (p *Peer) scripted(w http.ResponseWriter, r *http.Request) bool {
	p.mu.Lock()
	p.asked++
	reply := p.always
	if reply == nil && len(p.script) > 0 {
		reply, p.script = &p.script[0], p.script[1:]
	}
	p.mu.Unlock()
	if reply == nil {
		return false
	}
	if reply.Hang {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return true
	}
	if reply.RetryAfter != "" {
		w.Header().Set("Retry-After", reply.RetryAfter)
	}
	w.WriteHeader(reply.Status)
	io.WriteString(w, strings.ReplaceAll(reply.Body, "$AUTHORIZATION", r.Header.Get("Authorization")))
	return true
}

func (p *Peer) take(to string, r *http.Request, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.received = append(p.received, Received{to, maps.Clone(r.Header), body, p.now()})
}

func (p *Peer) complain(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complaints = append(p.complaints, fmt.Sprintf(format, args...))
}

// jws is a compact JWS, taken apart. It is read here without the library that
// made it.
type jws struct {
	header map[string]any
	claims map[string]any
	signed []byte
	sig    []byte
}

func readJWS(s string) (jws, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return jws{}, errors.New("not three parts")
	}
	var raw [3][]byte
	for i, part := range parts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil {
			return jws{}, fmt.Errorf("part %d is not base64url", i)
		}
		raw[i] = b
	}
	out := jws{signed: []byte(parts[0] + "." + parts[1]), sig: raw[2]}
	if err := errors.Join(json.Unmarshal(raw[0], &out.header), json.Unmarshal(raw[1], &out.claims)); err != nil {
		return jws{}, err
	}
	return out, nil
}

// es256 checks an ES256 signature: r and s of 32 bytes each (RFC 7518 3.4).
func (j jws) es256(key *ecdsa.PublicKey) bool {
	if j.header["alg"] != "ES256" || len(j.sig) != 64 {
		return false
	}
	sum := sha256.Sum256(j.signed)
	return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(j.sig[:32]), new(big.Int).SetBytes(j.sig[32:]))
}

// seconds returns a numeric claim as a time.
func (j jws) seconds(name string) (time.Time, bool) {
	n, ok := j.claims[name].(float64)
	return time.Unix(int64(n), 0), ok && n == float64(int64(n))
}
