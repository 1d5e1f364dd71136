package notify_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/notify"
)

func apnsDoc(t testing.TB, bundle string) map[string]any {
	return map[string]any{"bundle": bundle, "team_id": "TEAM123456", "key_id": "KEY1234567", "key": p8(t), "environment": "sandbox"}
}

func TestProvidersAreFoundAndSealed(t *testing.T) {
	w := kittest.New(t)
	save := func(app, name, bundle string) {
		t.Helper()
		w.Do(t, func(tx *db.Tx) error {
			return notify.SaveProvider(t.Context(), tx, "t1", app, notify.APNs, name, apnsDoc(t, bundle))
		})
	}
	save("", "main", "org.example.tenant")
	save("", "extra", "org.example.extra")
	save("a1", "main", "org.example.own")
	list := func(tenant, app string) string {
		t.Helper()
		ps, err := notify.Providers(t.Context(), w.DB, tenant, app, notify.APNs)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, p := range ps {
			doc, err := p.Doc()
			if err != nil {
				t.Fatal(err)
			}
			if _, shown := doc["key"]; shown {
				t.Error("Doc shows the key")
			}
			out = append(out, fmt.Sprintf("%s/%s=%s", p.App, p.Name, doc["bundle"]))
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct{ tenant, app, want string }{
		{"t1", "", "/extra=org.example.extra /main=org.example.tenant"},
		{"t1", "a1", "a1/main=org.example.own /extra=org.example.extra"},
		{"t1", "a2", "/extra=org.example.extra /main=org.example.tenant"},
		{"t2", "a1", ""},
	} {
		if got := list(c.tenant, c.app); got != c.want {
			t.Errorf("providers of %s/%s: %s, want %s", c.tenant, c.app, got, c.want)
		}
	}
	var sealed []byte
	if err := w.DB.QueryRow(t.Context(), `SELECT config FROM providers WHERE app_id = 'a1'`).Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("PRIVATE")) || bytes.Contains(sealed, []byte("org.example")) {
		t.Error("a provider can be read in the database")
	}
	// A row that was moved to another place does not open.
	w.Do(t, func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE providers SET app_id = 'a2' WHERE app_id = 'a1'`)
		return err
	})
	if _, err := notify.Providers(t.Context(), w.DB, "t1", "a2", notify.APNs); err == nil {
		t.Error("another application's provider was opened")
	}
	w.Do(t, func(tx *db.Tx) error { return notify.DeleteProvider(t.Context(), tx, "t1", "a2", notify.APNs, "main") })
	if got := list("t1", "a2"); got != "/extra=org.example.extra /main=org.example.tenant" {
		t.Errorf("after deletion: %s", got)
	}
	err := w.DB.Tx(t.Context(), func(tx *db.Tx) error { return notify.DeleteProvider(t.Context(), tx, "t1", "a2", notify.APNs, "main") })
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("deleting twice: %v, want not found", err)
	}
}

// The console never shows a secret, so it saves a form without it.
func TestSavingKeepsSecrets(t *testing.T) {
	d, peer := apnsDesk(t)
	doc := peer.Config("production")
	delete(doc, "key")
	doc["environment"] = "sandbox"
	d.save(t, "", notify.APNs, "main", doc)
	d.send(t, d.message("req-1", apnsTarget()))
	if len(peer.Received()) != 1 {
		t.Errorf("the stored key was lost: %s", d.log)
	}
	if _, there := doc["key"]; there {
		t.Error("the caller's document was changed")
	}
	err := d.DB.Tx(t.Context(), func(tx *db.Tx) error {
		return notify.SaveProvider(t.Context(), tx, tenant, "", notify.APNs, "new", doc)
	})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("a new provider without its key: %v, want invalid", err)
	}
}

func TestSaveProviderChecks(t *testing.T) {
	w := kittest.New(t)
	with := func(doc map[string]any, name string, v any) map[string]any { doc[name] = v; return doc }
	rsaKey := "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"
	for name, c := range map[string]struct {
		app, kind, name string
		doc             map[string]any
	}{
		"kind":             {"", "pigeon", "main", map[string]any{}},
		"name":             {"", notify.APNs, "a/b", apnsDoc(t, "org.example.app")},
		"no name":          {"", notify.APNs, "", apnsDoc(t, "org.example.app")},
		"unknown field":    {"", notify.APNs, "main", with(apnsDoc(t, "org.example.app"), "x", "y")},
		"team":             {"", notify.APNs, "main", with(apnsDoc(t, "org.example.app"), "team_id", "short")},
		"key id":           {"", notify.APNs, "main", with(apnsDoc(t, "org.example.app"), "key_id", "key1234567")},
		"bundle":           {"", notify.APNs, "main", apnsDoc(t, "org/example\r\n")},
		"key":              {"", notify.APNs, "main", with(apnsDoc(t, "org.example.app"), "key", rsaKey)},
		"no PEM":           {"", notify.APNs, "main", with(apnsDoc(t, "org.example.app"), "key", "secret")},
		"environment":      {"", notify.APNs, "main", with(apnsDoc(t, "org.example.app"), "environment", "elsewhere")},
		"no JSON":          {"", notify.FCM, "main", map[string]any{"service_account": "hunter2-hunter2"}},
		"project":          {"", notify.FCM, "main", map[string]any{"service_account": `{"type":"service_account","project_id":"a/../b","client_email":"x","private_key":"x"}`}},
		"account key":      {"", notify.FCM, "main", map[string]any{"service_account": `{"type":"service_account","project_id":"a","client_email":"x","private_key":"hunter2"}`}},
		"app's web push":   {"a1", notify.WebPush, "default", map[string]any{}},
		"web push's name":  {"", notify.WebPush, "other", map[string]any{}},
		"web push contact": {"", notify.WebPush, "default", map[string]any{"subject": "javascript:alert(1)"}},
		"web push key":     {"", notify.WebPush, "default", map[string]any{"private_key": base64.RawURLEncoding.EncodeToString(make([]byte, 32))}},
	} {
		err := w.DB.Tx(t.Context(), func(tx *db.Tx) error {
			return notify.SaveProvider(t.Context(), tx, "t1", c.app, c.kind, c.name, c.doc)
		})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: the error repeats a secret: %v", name, err)
		}
	}
}

func TestFormsDescribeEveryKind(t *testing.T) {
	for _, kind := range []string{notify.APNs, notify.FCM, notify.WebPush, notify.SMTP, notify.SMSWebhook, notify.Twilio} {
		k, known := notify.KindOf(kind)
		secrets := 0
		for _, f := range k.Form {
			if f.Type == "secret" {
				secrets++
			}
		}
		if !known || secrets != 1 {
			t.Errorf("the form of %s has %d secret fields, want 1", kind, secrets)
		}
	}
}

func TestEnsureVAPIDMakesOneKey(t *testing.T) {
	w := kittest.New(t)
	if _, err := notify.VAPID(t.Context(), w.DB, "t1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("before: %v, want not found", err)
	}
	keys := make([]string, 16)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			err := w.DB.Tx(t.Context(), func(tx *db.Tx) (err error) {
				keys[i], err = notify.EnsureVAPID(t.Context(), tx, "t1")
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	stored, err := notify.VAPID(t.Context(), w.DB, "t1")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(stored)
	if err != nil || len(raw) != 65 || raw[0] != 4 {
		t.Errorf("the key is %q, want 65 bytes of an uncompressed point", stored)
	}
	for _, k := range keys {
		if k != stored {
			t.Fatalf("16 at once made different keys: %q and %q", k, stored)
		}
	}
	// Another contact keeps the key; another tenant has another.
	w.Do(t, func(tx *db.Tx) error {
		return notify.SaveProvider(t.Context(), tx, "t1", "", notify.WebPush, "default", map[string]any{"subject": "mailto:ops@example.org"})
	})
	if again, _ := notify.VAPID(t.Context(), w.DB, "t1"); again != stored {
		t.Error("saving a contact replaced the key and ended every subscription")
	}
	w.Do(t, func(tx *db.Tx) error {
		other, err := notify.EnsureVAPID(t.Context(), tx, "t2")
		if other == stored {
			t.Error("two tenants share a key")
		}
		return err
	})
}

func TestCaptureKeepsTheLast(t *testing.T) {
	var c notify.Capture
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for range 50 {
				c.Add(notify.Captured{Channel: []string{"mail", "sms"}[i%2], To: fmt.Sprintf("User%d@example.org", i)})
			}
		})
	}
	all.Wait()
	kept := c.List("", "", "")
	if len(kept) != 500 || kept[0].ID != "cap_301" || kept[499].ID != "cap_800" {
		t.Fatalf("%d kept, from %s to %s; want the last 500 of 800", len(kept), kept[0].ID, kept[len(kept)-1].ID)
	}
	id := c.Add(notify.Captured{Channel: "mail", To: "Ada@example.org"})
	if got := c.List("mail", "ada@EXAMPLE.org", ""); len(got) != 1 || got[0].ID != id {
		t.Errorf("to ada: %+v", got)
	}
	if got := c.List("sms", "Ada@example.org", ""); len(got) != 0 {
		t.Errorf("sms to ada: %+v", got)
	}
	if got := c.List("", "", "cap_800"); len(got) != 1 || got[0].ID != id {
		t.Errorf("after the last but one: %d", len(got))
	}
	if got := c.List("", "", id); got == nil || len(got) != 0 {
		t.Errorf("after the last: %v, want an empty list", got)
	}
}

// TestSecretsStayWhereTheyWere: a secret that is kept goes nowhere but where it
// went before, or whoever may set an address could have it sent to themselves
// (R76).
func TestSecretsStayWhereTheyWere(t *testing.T) {
	w := kittest.New(t)
	save := func(kind string, doc map[string]any) error {
		return w.DB.Tx(t.Context(), func(tx *db.Tx) error { return notify.SaveProvider(t.Context(), tx, "t1", "", kind, "out", doc) })
	}
	for _, c := range []struct {
		kind, secret, where, elsewhere string
		doc                            map[string]any
	}{
		{notify.Twilio, "auth_token", "url", "https://attacker.example", map[string]any{"account_sid": "AC1", "from": "+15005550006"}},
		{notify.SMSWebhook, "secret", "url", "https://attacker.example", map[string]any{"url": "https://sms.example/send"}},
		{notify.SMTP, "password", "host", "mail.attacker.example", map[string]any{"host": "mail.example", "username": "u", "from": "no-reply@example.org"}},
	} {
		with := func(more map[string]any) map[string]any {
			out := maps.Clone(c.doc)
			maps.Copy(out, more)
			return out
		}
		secret := strings.Repeat("s", 40)
		if err := save(c.kind, with(map[string]any{c.secret: secret})); err != nil {
			t.Fatal(err)
		}
		if err := save(c.kind, with(nil)); err != nil {
			t.Errorf("%s, the same again without its secret: %v", c.kind, err)
		}
		if err := save(c.kind, with(map[string]any{c.where: c.elsewhere})); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: its secret goes to another %s: %v", c.kind, c.where, err)
		}
		if err := save(c.kind, with(map[string]any{c.where: c.elsewhere, c.secret: secret})); err != nil {
			t.Errorf("%s, with the secret said again: %v", c.kind, err)
		}
	}
}
