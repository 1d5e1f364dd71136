package simulator

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// browserAgent is the User-Agent of the browser that the device header names.
const browserAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"

// BrowserOptions say where a page's SDK points.
type BrowserOptions struct {
	Server string           // URL of the server; the SDK's serverPath is this and "/ido"
	Client string           // client id
	Locale string           // "en-US" if empty
	Key    *rsa.PrivateKey  // of the browser; nil: a browser without key storage sends no device header
	HTTP   *http.Client     // nil: a client of its own
	Now    func() time.Time // the clock of the page
}

// Browser is a page with the web SDK in it. It runs one journey at a time, in
// one goroutine; what a journey saved in the client goes with the next.
type Browser struct{ c *conversation }

// NewBrowser opens a page. It does not speak to the server yet.
func NewBrowser(o BrowserOptions) (*Browser, error) {
	server, err := base(o.Server)
	if err != nil {
		return nil, err
	}
	c := &conversation{server: server, client: o.Client, locale: o.Locale, agent: browserAgent, http: o.HTTP, now: o.Now, key: o.Key}
	if c.locale == "" {
		c.locale = "en-US"
	}
	if c.http == nil {
		c.http = &http.Client{Timeout: clientTimeout}
	}
	if o.Key != nil {
		id, spki, err := keyID(&o.Key.PublicKey)
		if err != nil {
			return nil, err
		}
		c.headers = append(c.headers, header{"type": "device", "device": map[string]any{
			"device_key_id": id, "device_public_key": spki, "device_type": "desktop", "device_os": "linux x86_64", "device_os_version": "156.0",
			"device_manufacturer": "Google Inc.", "device_model": "Linux x86_64", "device_platform": "web",
		}})
	}
	c.headers = append(c.headers, header{"type": "sdk_versions", "sdk_versions": map[string]any{
		"unified-platform": "2.1.1", "identity-orchestration": "1.0.1", "webauthn": "5.0.0",
	}})
	return &Browser{c}, nil
}

// Start begins a journey, as startJourney does. A rejection is a Response, not
// an error.
func (b *Browser) Start(ctx context.Context, journey string, params map[string]any) (Response, error) {
	data := map[string]any{"policy_request_id": journey}
	if len(params) > 0 {
		data["params"] = params
	}
	b.c.correlate()
	return b.c.start(ctx, "auth/anonymous_invoke", data)
}

// Submit answers the current step, as submitClientResponse does: option is
// ClientInput, Resend or the id of an option. nil sends no data at all.
func (b *Browser) Submit(ctx context.Context, option string, data map[string]any) (Response, error) {
	return b.c.submit(ctx, option, data)
}

// Wait polls a waiting step, at most once per polling interval, until it is
// decided, and returns what came then. It returns at once when the current step
// is not one that waits.
func (b *Browser) Wait(ctx context.Context) (Response, error) { return b.c.await(ctx) }

// Last returns the newest response of the journey.
func (b *Browser) Last() Response { return b.c.last }

// Saved returns what journeys saved in this client.
func (b *Browser) Saved() map[string]any { return b.c.saved }

// correlate gives the journey that is about to start a new correlation id.
func (c *conversation) correlate() {
	kept := c.headers[:0:0]
	for _, h := range c.headers {
		if h["type"] != "correlation_id" {
			kept = append(kept, h)
		}
	}
	c.headers = append(kept, header{"type": "correlation_id", "correlation_id": uuid.Must(uuid.NewRandomFromReader(rand.Reader)).String()})
}
