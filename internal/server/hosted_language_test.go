package server_test

import (
	"bytes"
	"image/png"
	"net/http"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
)

// TestHostedLanguages: pages speak what the tenant offers and nothing else, its
// own language with who wants none of it, and a switch shows only these.
func TestHostedLanguages(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	offer := func(fallback string, tags ...string) {
		a.must(t, "PUT /settings", map[string]any{"tenant_name": "Northwind", "languages": tags, "default_language": fallback, "run_retention_days": 0, "audit_retention_days": 0}, "If-Match", "*")
	}
	offer("de", "fr", "de")
	at := w.URL + "/login/demo-web/web_login"
	p := w.person(t).open(at).sees(`lang="de"`).sees(`hreflang="fr"`).lacks(`hreflang="ja"`).lacks(`hreflang="en"`)
	p.open(p.at.String() + "?lang=ja").sees(`<html lang="de"`)
	p.open(strings.TrimSuffix(p.at.String(), "?lang=ja") + "?lang=fr").sees(`<html lang="fr"`)
	p.open(at).sees(`<html lang="fr"`) // it was chosen
	p.open(w.URL + "/login/demo-web/nothing").sees(`<html lang="fr"`)
	offer("", "es")
	p.open(at).sees(`<html lang="es"`).lacks("tongues")
	offer("pt", "pt", "ja")
	w.person(t).open(at).sees(`<html lang="pt"`).sees(`hreflang="ja"`).lacks(`hreflang="en"`)
}

// TestHostedDarkLogo: an application's logo on dark paper is another picture.
func TestHostedDarkLogo(t *testing.T) {
	w := newWorld(t)
	var picture bytes.Buffer
	if err := png.Encode(&picture, smallPicture()); err != nil {
		t.Fatal(err)
	}
	set := func(b apps.Branding) {
		t.Helper()
		if err := w.Kit.DB.Tx(t.Context(), func(tx *db.Tx) error { return apps.SetBranding(t.Context(), tx, "demo", b) }); err != nil {
			t.Fatal(err)
		}
	}
	at := w.URL + "/login/demo-web/web_login"
	set(apps.Branding{Logo: picture.Bytes()})
	w.person(t).open(at).sees(`<img class="logo" src="/login-assets/brand/demo/logo?v=`).lacks("<source")
	set(apps.Branding{Logo: picture.Bytes(), LogoDark: picture.Bytes()})
	p := w.person(t).open(at).sees(`media="(prefers-color-scheme: dark)"`)
	_, rest, _ := strings.Cut(p.page, `<source srcset="`)
	dark, _, _ := strings.Cut(rest, `"`)
	r, err := http.Get(w.URL + dark)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "image/png" || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("%s: %d %v", dark, r.StatusCode, r.Header)
	}
}
