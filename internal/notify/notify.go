// Package notify carries messages out: pushes to phones and browsers through
// APNs, FCM and Web Push (which is also UnifiedPush), mail through SMTP, and text
// messages through a gateway.
//
// A push is a knock on the door. It carries an opaque id and a generic line of
// text; whoever it wakes comes and asks for the rest over its own channel. So
// the package will not carry a number to match, a user's name, an amount or an
// answer (security P6, R92), and a push that is late or lost costs time, never
// safety. It knows no users, devices or challenges: who must hear that a target
// is gone, or that a push failed, says so in Options.
package notify

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/jobs"
)

// The kinds of push target and, but for None, of provider.
const (
	APNs    = "apns"
	FCM     = "fcm"
	WebPush = "webpush"
	None    = "none" // the device comes and asks by itself
)

// Why a push is in trouble, as Options.Trouble hears it.
const (
	Unavailable  = "unavailable"  // the provider refused, failed or was silent; we try again
	Unconfigured = "unconfigured" // we have no provider for it, or it does not accept us
	Gone         = "gone"         // the device is not reached there any more
)

const (
	jobPush  = "notify.push"
	sendTime = 2 * time.Second // all that one attempt may take: whoever waits hears of it within 3
	maxTitle = 100             // runes
	maxBody  = 200             // runes
	maxData  = 8               // entries; so that any message fits 4096 bytes
)

// Message is one push to one target.
type Message struct {
	Tenant    string `json:"tenant"`
	App       string `json:"app"`
	Device    string `json:"device"`
	RequestID string `json:"request_id"` // what the device asks for; opaque
	Title     string `json:"title"`      // generic; at most 100 runes are sent
	Body      string `json:"body"`       // generic; at most 200 runes are sent
	// Data are at most 8 further opaque ids for the device. A key is a lower-case word; a
	// value has at most 128 letters, digits and "._:-", and at least one letter.
	Data     map[string]string `json:"data,omitempty"`
	Expires  time.Time         `json:"expires"` // nobody wants it afterwards
	Target   Target            `json:"target"`
	TargetID string            `json:"target_id"`
	// Slot, where it is set, names what there is at most one of at a time: in a
	// browser, a later message takes the place of an earlier one. Opaque.
	Slot string `json:"slot,omitempty"`
	// Over says that the request has ended: whatever shows it may stop. For Web Push only.
	Over bool `json:"over,omitempty"`
	// Vendor is set for a phone that reads another protocol's payload.
	Vendor *Vendor `json:"vendor,omitempty"`
	Echo   bool    `json:"echo,omitempty"`   // queued even for a target of kind none: a capture wants to see it
	Nobody bool    `json:"nobody,omitempty"` // it goes nowhere: queueing it takes as long as for somebody
}

// Vendor is what a phone with a cidaas SDK is told (cidaas-protocol 3): ids, all
// of them opaque, and nothing that the protocol would have besides - no name, no
// text, no number.
type Vendor struct {
	Exchange string    `json:"exchange"`
	User     string    `json:"user"`
	Type     string    `json:"type"` // of the method, in that protocol's word
	Tenant   string    `json:"tenant"`
	Client   string    `json:"client"`
	At       time.Time `json:"at"`

	base string // where this server is reached
}

// payload is the value of the one key that those SDKs read.
func (v Vendor) payload(expires time.Time) string {
	return db.Text(map[string]any{
		"exchange_id": v.Exchange, "expires_at": expires.UTC().Format("2006-01-02T15:04:05.000Z"), "sub": v.User, "verification_type": v.Type, "verificationType": v.Type,
		"tenant_name": "", "tenant_key": v.Tenant, "baseurl": v.base, "client_id": v.Client, "client_name": "", "message": "",
		"request_time": v.At.UnixMilli(), "requested_types": []string{v.Type},
	})
}

func (v Vendor) check() error {
	if !opaque(v.Exchange) || !opaque(v.User) || !opaque(v.Type) { // the others are the operator's own
		return errors.New("notify: a message that says more than ids")
	}
	return nil
}

// SendPush queues m; it is sent if and only if tx commits, perhaps twice, until
// m.Expires. A message for a target of kind none is not sent at all. It is a
// bug, and an error, to put into a message what is not an opaque id.
func SendPush(ctx context.Context, tx *db.Tx, m Message) error {
	if m.Target.Kind == None && !m.Echo {
		return nil
	}
	if err := m.check(); err != nil && !m.Nobody {
		return err
	}
	return jobs.Enqueue(ctx, tx, jobPush, queued{m, tx.Now()}, m.Expires)
}

// queued is a message on its way.
type queued struct {
	Message
	At time.Time `json:"queued_at"`
}

// Endpoints are where the providers are. An empty one is the real one; others
// are for tests. Each is a base URL without a slash at the end, but FCMToken is
// the whole URL.
type Endpoints struct {
	APNs, APNsSandbox, FCM, FCMToken string
}

// Options are what the server gives to New.
type Options struct {
	// Client is the guarded egress client; a Web Push endpoint is a URL that a
	// user chose.
	Client *http.Client
	// Subject is the contact that Web Push services see when a tenant sets none
	// (RFC 8292 2.1): a mailto: or https: URI. Usually the server's own URL.
	Subject string
	// Base is where this server is reached, for phones that know several.
	Base string
	// Capture, when set, takes every message instead of its provider, but for Web
	// Push to Live, a host:port: that is sent. For development.
	Capture *Capture
	Live    string
	// Gone forgets a target that its provider called gone, if address is still
	// what it holds. It may be called twice.
	Gone func(ctx context.Context, tx *db.Tx, targetID, address string) error
	// Trouble hears of every attempt that failed, with one of the reasons above,
	// as soon as it failed: 3 s after the message was queued at the latest. So it
	// may be called many times for one request and must bear it.
	Trouble func(ctx context.Context, requestID, reason string) error
	// Sent hears of every attempt, to push, to mail or to text: by which kind of
	// target or provider ("sms" where no gateway was asked), and what became of it
	// ("delivered", "unavailable", "unconfigured", "gone", or "captured").
	Sent func(kind, outcome string)
	// Roots are whom SMTP servers are trusted by; nil: the system's.
	Roots *x509.CertPool
	// Endpoints are replaced in tests only.
	Endpoints Endpoints
}

// Notifier delivers what was queued. It is safe for concurrent use.
type Notifier struct {
	db      *db.DB
	opts    Options
	drivers map[string]driver
	fuses   fuses
}

// driver speaks one provider's protocol.
type driver interface {
	// send makes one attempt with one of ps, which are all that apply and not
	// none.
	send(ctx context.Context, ps []Provider, m Message) answer
	// test asks the provider what it thinks of p without reaching anybody.
	test(ctx context.Context, p Provider) answer
	// route names what fails together: sends with one route share a fuse.
	route(ps []Provider, m Message) string
}

// New returns a notifier that delivers what is queued in d.
func New(d *db.DB, o Options) *Notifier {
	e := &o.Endpoints
	e.APNs = cmp.Or(e.APNs, "https://api.push.apple.com")
	e.APNsSandbox = cmp.Or(e.APNsSandbox, "https://api.sandbox.push.apple.com")
	e.FCM = cmp.Or(e.FCM, "https://fcm.googleapis.com")
	e.FCMToken = cmp.Or(e.FCMToken, "https://oauth2.googleapis.com/token")
	n := &Notifier{db: d, opts: o}
	n.drivers = map[string]driver{
		APNs:    &apns{client: o.Client, now: d.Now, production: e.APNs, sandbox: e.APNsSandbox},
		FCM:     &fcm{client: o.Client, now: d.Now, base: e.FCM, tokenURL: e.FCMToken},
		WebPush: &webPush{client: o.Client, now: d.Now, subject: o.Subject},
	}
	return n
}

// Serve lets w deliver what is queued through n.
func (n *Notifier) Serve(w *jobs.Worker) {
	jobs.Handle(w, jobPush, n.deliver)
	jobs.Handle(w, jobMail, n.deliverMail)
	jobs.Handle(w, jobSMS, n.deliverSMS)
}

// deliver makes one attempt and tells whoever must know.
func (n *Notifier) deliver(ctx context.Context, q queued) error {
	m := q.Message
	if m.Nobody || !m.Expires.After(n.db.Now()) {
		return nil
	}
	if m.Vendor != nil {
		m.Vendor.base = n.opts.Base
	}
	if n.opts.Capture != nil && !n.live(m) {
		n.opts.Capture.push(m, n.db.Now())
		n.told(m.Target.Kind, "captured")
		return nil
	}
	a := n.attempt(ctx, q)
	n.told(m.Target.Kind, a.reason())
	if a.verdict == delivered {
		return nil
	}
	err := fmt.Errorf("push by %s to device %s: %s", m.Target.Kind, m.Device, a.said)
	if told := n.trouble(ctx, m, a.reason()); told != nil {
		err = errors.Join(err, told)
	}
	switch a.verdict {
	case gone:
		return n.forget(ctx, m)
	case misconfigured:
		return jobs.Drop(err)
	}
	if a.after > 0 {
		return jobs.Retry(a.after+db.Jitter(max(a.after/2, time.Second)), err)
	}
	return err // the queue waits longer each time, with jitter, until m.Expires
}

// live reports whether m goes to the one push service that is called although
// messages are captured.
func (n *Notifier) live(m Message) bool {
	if n.opts.Live == "" || m.Target.Kind != WebPush {
		return false
	}
	sub, err := parseSubscription(m.Target.Address)
	return err == nil && net.JoinHostPort(sub.endpoint.Hostname(), cmp.Or(sub.endpoint.Port(), "443")) == n.opts.Live
}

// attempt sends q once, in at most sendTime.
func (n *Notifier) attempt(ctx context.Context, q queued) answer {
	m := q.Message
	d, ok := n.drivers[m.Target.Kind]
	if !ok {
		return answer{verdict: misconfigured, said: "no such kind of target"}
	}
	ps, err := Providers(ctx, n.db, m.Tenant, m.App, m.Target.Kind)
	if err != nil {
		return answer{verdict: retry, said: err.Error()}
	}
	if len(ps) == 0 {
		return answer{verdict: misconfigured, said: "no provider is configured"}
	}
	route := d.route(ps, m)
	if !n.fuses.allow(route, q.At, n.db.Now()) {
		return answer{verdict: retry, said: "not tried: the provider was down just now"}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	end := n.fuses.begin(route)
	a := d.send(ctx, ps, m)
	end(a.down, n.db.Now())
	return a
}

func (n *Notifier) told(kind, outcome string) {
	if n.opts.Sent != nil {
		n.opts.Sent(kind, outcome)
	}
}

func (n *Notifier) trouble(ctx context.Context, m Message, reason string) error {
	if n.opts.Trouble == nil {
		return nil
	}
	return n.opts.Trouble(ctx, m.RequestID, reason)
}

func (n *Notifier) forget(ctx context.Context, m Message) error {
	if n.opts.Gone == nil {
		return nil
	}
	return n.db.Tx(ctx, func(tx *db.Tx) error { return n.opts.Gone(ctx, tx, m.TargetID, m.Target.Address) })
}

// Result is what a provider answered to Test.
type Result struct {
	OK   bool   // the provider accepted our credentials
	Said string // its own words, for the operator; never a credential
}

// Test asks p's provider what it thinks of our credentials, without reaching
// any device. It takes at most 2 s.
func (n *Notifier) Test(ctx context.Context, p Provider) Result {
	d, ok := n.drivers[p.Kind]
	if !ok {
		return Result{Said: "no such kind of provider"}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	a := d.test(ctx, p)
	return Result{OK: a.verdict == delivered, Said: a.said}
}

func (m Message) check() error {
	switch {
	case m.Target.Kind != APNs && m.Target.Kind != FCM && m.Target.Kind != WebPush && !(m.Target.Kind == None && m.Echo):
		return fmt.Errorf("notify: a message to a target of kind %q", m.Target.Kind)
	case !opaque(m.RequestID) || m.Slot != "" && !opaque(m.Slot):
		return errors.New("notify: a message whose request id is not opaque")
	case m.Over && m.Target.Kind != WebPush:
		return fmt.Errorf("notify: the end of a request to a target of kind %q", m.Target.Kind)
	case len(m.Data) > maxData:
		return errors.New("notify: a message with too much data")
	}
	if m.Vendor != nil {
		if err := m.Vendor.check(); err != nil {
			return err
		}
	}
	for k, v := range m.Data {
		if !word(k) || reserved[k] {
			return fmt.Errorf("notify: a message with data under the key %q", k)
		}
		if !opaque(v) || !strings.ContainsFunc(v, letter) {
			return fmt.Errorf("notify: a message whose %s is not an opaque id", k)
		}
	}
	return nil
}

// reserved are the keys that we, or FCM, use.
var reserved = map[string]bool{"slot": true, "over": true, "payload": true, "auth_req_id": true, "title": true, "body": true, "from": true, "message_type": true,
	"notification": true, "collapse_key": true, "gcm": true, "google": true}

// data is what FCM and Web Push carry. The id comes under every name that a
// client is known to look for (mosaic-protocol 5.2).
func (m Message) data() map[string]string {
	if m.Vendor != nil {
		return map[string]string{"data": m.Vendor.payload(m.Expires)}
	}
	out := map[string]string{}
	for k, v := range m.Data {
		out[k] = v
	}
	out["payload"] = db.Text(map[string]string{"auth_req_id": m.RequestID})
	out["auth_req_id"] = m.RequestID
	out["requestId"] = m.RequestID
	out["title"] = clip(m.Title, maxTitle)
	out["body"] = clip(m.Body, maxBody)
	return out
}

// ttl is how many seconds m is still wanted, at least one.
func (m Message) ttl(now time.Time) int { return max(1, int(m.Expires.Sub(now)/time.Second)) }

// opaque reports whether s can be an id: 1 to 128 letters, digits and "._:-". An
// address has "@", a name or a sentence has spaces.
func opaque(s string) bool {
	return len(s) >= 1 && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return !letter(r) && (r < '0' || r > '9') && !strings.ContainsRune("._:-", r)
	})
}

func word(s string) bool {
	return len(s) >= 1 && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

func letter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// clip cuts s to n runes and replaces what is no text.
func clip(s string, n int) string {
	runes := []rune(strings.ToValidUTF8(s, "�"))
	return string(runes[:min(n, len(runes))])
}
