package server_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/adminapi"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/webhook"
)

// caught hands on what was sealed, as the server does every second.
func (w *world) caught(t testing.TB) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if err := audit.Seal(ctx, w.Kit.DB); err != nil {
		t.Fatal(err)
	}
	if err := audit.Catch(ctx, w.Kit.DB, "console", audit.Tally, webhook.Offer); err != nil {
		t.Fatal(err)
	}
}

// TestConsoleWebhooks: who asked is told, signed, again until they take it, and
// never anybody inside.
func TestConsoleWebhooks(t *testing.T) {
	var mu sync.Mutex
	var got []string
	secret, status := "", http.StatusInternalServerError
	peer := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		b, _ := io.ReadAll(r.Body)
		stamp, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Watchword-Signature"), "t="), ",")
		at, _ := strconv.ParseInt(stamp, 10, 64)
		if r.Header.Get("Watchword-Signature") != notify.Signature(secret, time.Unix(at, 0), b) {
			t.Errorf("signature %s of %s", r.Header.Get("Watchword-Signature"), b)
		}
		got = append(got, string(b))
		rw.WriteHeader(status)
	}))
	defer peer.Close()
	w := openWith(t, kittest.Address(t), slog.New(slog.DiscardHandler), peer.Client())
	a := w.owner(t)
	if r := a.do(t, "POST /webhooks", map[string]any{"url": "http://shop.example/hook", "events": []string{"*"}}); r.Status != http.StatusBadRequest {
		t.Errorf("told in the clear: %d %s", r.Status, r.Raw)
	}
	made := a.must(t, "POST /webhooks", map[string]any{"url": peer.URL + "/hook", "events": []string{"admin.app.*"}})
	mu.Lock()
	secret, _ = made.Doc["secret"].(string)
	mu.Unlock()
	id, _ := made.Doc["id"].(string)
	if r := a.must(t, "GET /webhooks/"+id, nil); strings.Contains(r.Raw, secret) || secret == "" {
		t.Errorf("the secret is shown again: %s", r.Raw)
	}
	a.must(t, "POST /apps", map[string]any{"name": "Told", "audience": "b2c"})
	w.caught(t)
	w.drain(t)
	mu.Lock()
	if len(got) != 1 || !strings.Contains(got[0], `"type":"admin.app.created"`) {
		t.Fatalf("told: %v", got)
	}
	status = http.StatusNoContent
	mu.Unlock()
	w.drain(t)
	w.Pass(time.Minute)
	w.drain(t)
	w.Pass(time.Hour)
	w.drain(t)
	mu.Lock()
	if len(got) != 2 || got[0] != got[1] {
		t.Errorf("told again: %v", got)
	}
	mu.Unlock()
	again := w.owner2(t)
	r := again.must(t, "GET /webhooks/"+id+"/deliveries", nil)
	if list, _ := r.Doc["items"].([]any); len(list) != 2 || !strings.Contains(r.Raw, `"attempt":2`) {
		t.Errorf("deliveries: %s", r.Raw)
	}
	if r := again.must(t, "POST /webhooks/"+id+"/test", nil); r.Doc["ok"] != true {
		t.Errorf("test: %s", r.Raw)
	}
	tag := again.must(t, "GET /webhooks/"+id, nil).Header.Get("ETag")
	again.must(t, "PATCH /webhooks/"+id, map[string]any{"enabled": false}, "If-Match", tag)
	again.must(t, "DELETE /webhooks/"+id, nil, "If-Match", "*")

	inside := newWorld(t)
	b := inside.owner(t)
	made = b.must(t, "POST /webhooks", map[string]any{"url": "https://127.0.0.1:9/", "events": []string{"*"}})
	id, _ = made.Doc["id"].(string)
	if r := b.must(t, "POST /webhooks/"+id+"/test", nil); r.Doc["ok"] != false || !strings.Contains(r.Raw, "may call") {
		t.Errorf("an address inside: %s", r.Raw)
	}
	for _, bad := range []string{"ftp://x", "https://user:pass@x.example", "nonsense"} {
		if r := b.do(t, "POST /webhooks", map[string]any{"url": bad, "events": []string{"*"}}); r.Status != 400 {
			t.Errorf("%s: %d", bad, r.Status)
		}
	}
}

// TestConsoleOverview: what happened is counted from the record.
func TestConsoleOverview(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	phone := w.registered(t, "grace@example.org", 0)
	b, _ := w.asked(t, "grace@example.org")
	if err := phone.Deny(t.Context(), pending(t, phone).ID, false); err != nil {
		t.Fatal(err)
	}
	ended(t, b)
	w.caught(t)
	r := a.must(t, "GET /overview", nil)
	if approvals, _ := r.Doc["approvals"].(map[string]any); approvals["denied"] != 1.0 {
		t.Errorf("approvals: %s", r.Raw)
	}
	if s, _ := r.Doc["snippet"].(map[string]any); s["client_id"] != "demo-web" || s["issuer"] != w.URL {
		t.Errorf("snippet: %v", r.Doc["snippet"])
	}
	if series, _ := r.Doc["series"].([]any); len(series) != 24 {
		t.Errorf("series: %d", len(series))
	}
	if steps, _ := r.Doc["next_steps"].([]any); len(steps) < 4 {
		t.Errorf("next steps: %v", steps)
	}
}

// TestConsoleThings: settings, organisations, providers and branding are read,
// changed and kept apart from secrets.
func TestConsoleThings(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	set := a.must(t, "GET /settings", nil)
	a.must(t, "PUT /settings", map[string]any{"tenant_name": "Northwind", "languages": []string{"en", "de"}, "default_language": "de", "run_retention_days": 30, "audit_retention_days": 0}, "If-Match", set.Header.Get("ETag"))
	if r := a.do(t, "PUT /settings", map[string]any{"tenant_name": "x", "languages": []string{"xx"}, "default_language": "", "run_retention_days": 0, "audit_retention_days": 0}, "If-Match", "*"); r.Status != 400 {
		t.Errorf("a language that is none: %d", r.Status)
	}

	org := a.must(t, "POST /apps/demo/organisations", map[string]any{"name": "ACME", "domains": []string{"acme.example"}})
	oid, _ := org.Doc["id"].(string)
	user := a.must(t, "POST /users", map[string]any{"email": "wile@acme.example"})
	uid, _ := user.Doc["id"].(string)
	a.must(t, "PUT /apps/demo/organisations/"+oid+"/members/"+uid, map[string]any{"role": "admin"})
	if r := a.must(t, "GET /apps/demo/organisations/"+oid+"/members", nil); !strings.Contains(r.Raw, "wile@acme.example") {
		t.Errorf("members: %s", r.Raw)
	}
	if r := a.do(t, "PUT /apps/demo/organisations/"+oid+"/members/usr_nobody", map[string]any{"role": "admin"}); r.Status != 404 {
		t.Errorf("nobody is a member: %d", r.Status)
	}
	a.must(t, "DELETE /apps/demo/organisations/"+oid+"/members/"+uid, nil)
	a.must(t, "DELETE /apps/demo/organisations/"+oid, nil, "If-Match", org.Header.Get("ETag"))

	p := a.must(t, "PUT /providers/smtp/main", map[string]any{"config": map[string]any{"host": "mail.example.org", "from": "x@example.org", "username": "u", "password": "hunter2hunter2"}})
	if strings.Contains(p.Raw, "hunter2") || !strings.Contains(p.Raw, `"set":true`) {
		t.Errorf("the provider: %s", p.Raw)
	}
	config, _ := p.Doc["config"].(map[string]any)
	config["port"] = 2525
	if r := a.do(t, "PUT /providers/smtp/main", map[string]any{"config": config}); r.Status != 428 {
		t.Errorf("without If-Match: %d", r.Status)
	}
	a.must(t, "PUT /providers/smtp/main", map[string]any{"config": config}, "If-Match", p.Header.Get("ETag"))
	if r := a.must(t, "GET /providers", nil); strings.Contains(r.Raw, "hunter2") || !strings.Contains(r.Raw, "2525") || !strings.Contains(r.Raw, `"set":true`) {
		t.Errorf("providers: %s", r.Raw)
	}
	if r := a.must(t, "POST /providers/smtp/main/test", map[string]any{"to": "me@example.org"}); r.Doc["ok"] != true {
		t.Errorf("test: %s", r.Raw)
	}
	a.must(t, "DELETE /providers/smtp/main", nil, "If-Match", "*")

	b := a.must(t, "GET /apps/demo/branding", nil)
	b = a.must(t, "PUT /apps/demo/branding", map[string]any{"signal": "#1a1a80", "texts": map[string]any{"en": map[string]any{"welcome": "Hello <script>"}}}, "If-Match", b.Header.Get("ETag"))
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 20, 10))); err != nil {
		t.Fatal(err)
	}
	upload := func(kind string, body []byte) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.URL+adminapi.Base+"/apps/demo/branding/logo", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		r.Header.Set("If-Match", "*")
		resp, err := a.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	if r := upload("image/png", picture.Bytes()); r.StatusCode != 200 {
		t.Errorf("logo: %d", r.StatusCode)
	}
	if r := upload("image/svg+xml", []byte("<svg onload=alert(1)>")); r.StatusCode != 400 {
		t.Errorf("a logo that is none: %d", r.StatusCode)
	}
	logo, _ := a.must(t, "GET /apps/demo/branding", nil).Doc["logo"].(map[string]any)
	if logo["width"] != 20.0 {
		t.Errorf("logo: %v", logo)
	}
	for _, page := range []string{"sign_in", "waiting", "error"} {
		r := a.must(t, "GET /apps/demo/branding/preview?page="+page+"&lang=de", nil)
		if !strings.Contains(r.Header.Get("Content-Security-Policy"), "frame-ancestors 'self'") || strings.Contains(r.Raw, "Hello <script>") || !strings.Contains(r.Raw, `lang="de"`) {
			t.Errorf("%s: %s", page, r.Header.Get("Content-Security-Policy"))
		}
	}
}

// TestConsoleLeavesTraces: what the other tests of this file change stands in the
// record with who changed it; nothing that was secret does.
func TestConsoleLeavesTraces(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	client := a.must(t, "POST /apps/demo/clients", map[string]any{"name": "Robot", "kind": "backend"})
	hook := a.must(t, "POST /webhooks", map[string]any{"url": "https://hooks.example.org/", "events": []string{"*"}})
	a.must(t, "PUT /providers/smtp/main", map[string]any{"config": map[string]any{"host": "mail.example.org", "from": "x@example.org", "username": "u", "password": "hunter2hunter2"}})
	org := a.must(t, "POST /apps/demo/organisations", map[string]any{"name": "ACME"})
	a.must(t, "DELETE /apps/demo/organisations/"+org.Doc["id"].(string), nil, "If-Match", "*")
	a.must(t, "PUT /methods/totp", map[string]any{"settings": map[string]any{"hard_cap": 9}}, "If-Match", "*")
	me, _ := a.must(t, "GET /session", nil).Doc["administrator"].(map[string]any)
	all := a.must(t, "GET /audit?type=admin.&limit=200&actor="+me["id"].(string), nil)
	for _, want := range []string{"admin.client.created", "admin.webhook.created", "admin.provider.changed", "admin.organisation.created", "admin.organisation.deleted", "admin.method.changed"} {
		if !strings.Contains(all.Raw, want) {
			t.Errorf("no trace of %s", want)
		}
	}
	for _, secret := range []string{client.Doc["secret"].(string), hook.Doc["secret"].(string), "hunter2"} {
		for _, call := range []string{"GET /audit?limit=200", "GET /audit/export", "GET /apps/demo/clients", "GET /webhooks", "GET /providers", "GET /overview", "GET /catalog"} {
			if strings.Contains(a.must(t, call, nil).Raw, secret) {
				t.Errorf("%s shows a secret", call)
			}
		}
	}
}
