package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/limit"
)

// The kinds of provider that carry text messages.
const (
	SMSWebhook = "sms_webhook" // a gateway of the operator's own
	Twilio     = "twilio"      // Twilio's REST API, and whoever speaks it too
)

const (
	jobSMS  = "notify.sms"
	smsTime = 10 * time.Second
)

func init() {
	forms[SMSWebhook] = kindForm{form.New(
		form.Text("url", "Address", form.Required, form.Help("Gets a POST of {id, to, from, text, at}, signed in the header Watchword-Signature.")),
		form.Secret("secret", "Secret", form.Required, form.Help("At least 32 characters; signs with HMAC-SHA256 over time, a dot, and the body.")),
	), checkWebhook}
	forms[Twilio] = kindForm{form.New(
		form.Text("account_sid", "Account SID", form.Required),
		form.Secret("auth_token", "Auth token", form.Required),
		form.Text("from", "From", form.Help("A number of yours; or a messaging service below.")),
		form.Text("messaging_service_sid", "Messaging service SID"),
		form.Text("url", "Address", form.Default("https://api.twilio.com")),
	), func(doc map[string]any) error {
		if text(doc, "from") == "" && text(doc, "messaging_service_sid") == "" {
			return fault.At(fault.New(fault.Invalid, "Twilio needs a number or a messaging service to send from."), "from")
		}
		return checkGateway(doc)
	}}
}

func checkWebhook(doc map[string]any) error {
	if len(text(doc, "secret")) < 32 {
		return fault.At(fault.New(fault.Invalid, "The secret of an SMS gateway needs at least 32 characters."), "secret")
	}
	return checkGateway(doc)
}

// checkGateway refuses an address that the egress client would not call: a code is
// not sent in the clear.
func checkGateway(doc map[string]any) error {
	u, err := url.Parse(text(doc, "url"))
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return fault.At(fault.New(fault.Invalid, "An SMS gateway has an address: https://, without a name and a fragment in it."), "url")
	}
	return nil
}

// SMS is one text message to one number in E.164. It may carry a code: it is
// sealed while it is queued and kept nowhere else.
type SMS struct {
	Tenant  string            `json:"tenant"`
	App     string            `json:"app"`
	ID      string            `json:"id"` // the same for every attempt, so that a gateway can drop a repeat
	To      string            `json:"to"`
	From    string            `json:"from,omitempty"` // whom it names as its sender, instead of the provider's
	Text    string            `json:"text"`
	Data    map[string]string `json:"data,omitempty"` // what a capture shows beside it
	Expires time.Time         `json:"expires"`
	Nobody  bool              `json:"nobody,omitempty"` // see Mail
}

// Toll bounds what text messages cost: only to countries that are sent to, if any
// are named by their calling codes, twenty to a number in an hour, and two hundred
// to numbers that begin alike, which is how a fraud calls its own. It returns
// fault.Invalid or fault.Limited.
func Toll(ctx context.Context, tx *db.Tx, tenant, to string, countries []string) error {
	if len(countries) > 0 && !slices.ContainsFunc(countries, func(c string) bool { return c != "" && strings.HasPrefix(to, c) }) {
		return fault.New(fault.Invalid, "Text messages are not sent to this country.")
	}
	if err := limit.Take(ctx, tx, "sms/to/"+tenant+"/"+to, 20, time.Hour); err != nil || len(to) <= 7 {
		return err
	}
	return limit.Take(ctx, tx, "sms/prefix/"+tenant+"/"+to[:7], 200, time.Hour)
}

// SendSMS queues m; it is sent if and only if tx commits, until m.Expires.
func SendSMS(ctx context.Context, tx *db.Tx, m SMS) error {
	m.ID = db.NewID("sms_")
	return jobs.Enqueue(ctx, tx, jobSMS, m, m.Expires)
}

func (n *Notifier) deliverSMS(ctx context.Context, m SMS) error {
	if m.Nobody || !m.Expires.After(n.db.Now()) {
		return nil
	}
	if n.opts.Capture != nil {
		n.opts.Capture.Add(Captured{Channel: "sms", To: m.To, Text: m.Text, Data: m.Data, At: n.db.Now()})
		n.told("sms", "captured")
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, smsTime)
	defer cancel()
	for _, kind := range []string{SMSWebhook, Twilio} {
		ps, err := Providers(ctx, n.db, m.Tenant, m.App, kind)
		if err != nil {
			return err
		}
		if len(ps) == 0 {
			continue
		}
		if err := n.sms(ctx, ps[0], m); err != nil {
			n.told(kind, Unavailable)
			return fmt.Errorf("SMS by %s: %w", ps[0].Name, err)
		}
		n.told(kind, "delivered")
		return nil
	}
	n.told("sms", Unconfigured)
	return jobs.Drop(errors.New("SMS: no gateway is configured"))
}

func (n *Notifier) sms(ctx context.Context, p Provider, m SMS) error {
	var c struct {
		URL     string `json:"url"`
		Secret  string `json:"secret"`
		Account string `json:"account_sid"`
		Token   string `json:"auth_token"`
		From    string `json:"from"`
		Service string `json:"messaging_service_sid"`
	}
	if err := p.Into(&c); err != nil {
		return err
	}
	if p.Kind == Twilio {
		q := url.Values{"To": {m.To}, "Body": {m.Text}}
		if c.Service != "" {
			q.Set("MessagingServiceSid", c.Service)
		}
		if from := cmp.Or(m.From, c.From); c.Service == "" || m.From != "" {
			q.Set("From", from)
		}
		at := strings.TrimSuffix(c.URL, "/") + "/2010-04-01/Accounts/" + url.PathEscape(c.Account) + "/Messages.json"
		return n.post(ctx, at, "application/x-www-form-urlencoded", []byte(q.Encode()), func(r *http.Request) { r.SetBasicAuth(c.Account, c.Token) })
	}
	doc := map[string]any{"id": m.ID, "to": m.To, "text": m.Text, "at": n.db.Now().Unix()}
	if m.From != "" {
		doc["from"] = m.From
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return n.post(ctx, c.URL, "application/json", body, func(r *http.Request) { r.Header.Set("Watchword-Signature", Signature(c.Secret, n.db.Now(), body)) })
}

// Signature is how our outgoing calls are signed: "t=UNIX,v1=HEX", where HEX is
// HMAC-SHA256 under the secret of the time, a dot and the body. Refuse what is
// more than five minutes off.
func Signature(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(t + "."))
	h.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(h.Sum(nil))
}

// post makes one call; a refusal for good is dropped, anything else is tried
// again.
func (n *Notifier) post(ctx context.Context, at, kind string, body []byte, sign func(r *http.Request)) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(body))
	if err != nil {
		return jobs.Drop(err)
	}
	r.Header.Set("Content-Type", kind)
	sign(r)
	resp, err := n.opts.Client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
	switch {
	case resp.StatusCode < 300:
		return nil
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return fmt.Errorf("%s: %s", resp.Status, said)
	}
	return jobs.Drop(fmt.Errorf("%s: %s", resp.Status, said))
}
