package server_test

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/server"
)

// picture is a small one with a hole in it.
func smallPicture() image.Image {
	p := image.NewPaletted(image.Rect(0, 0, 9, 5), color.Palette{color.RGBA{20, 80, 200, 255}, color.Transparent})
	p.SetColorIndex(3, 2, 1)
	return p
}

// exported writes the configuration of a world as files, and reads them.
func exported(t *testing.T, w *world) (server.Files, string) {
	t.Helper()
	dir := t.TempDir()
	now, err := server.Current(t.Context(), w.Kit.DB, "default")
	if err == nil {
		err = server.WriteFiles(dir, now)
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := server.ReadFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f, dir
}

func planned(t *testing.T, w *world, f server.Files, dir string) string {
	t.Helper()
	lines, err := server.Plan(t.Context(), w.Kit.DB, f, dir)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// TestFilesBranding: how an application looks is exported with its pictures;
// applying that changes nothing here, and makes the same elsewhere.
func TestFilesBranding(t *testing.T) {
	w := newWorld(t)
	var light, dark bytes.Buffer
	if err := jpeg.Encode(&light, smallPicture(), nil); err != nil {
		t.Fatal(err)
	}
	if err := gif.Encode(&dark, smallPicture(), nil); err != nil {
		t.Fatal(err)
	}
	look := apps.Branding{Signal: "#1a1a80", SignalDark: "#93a3ff", Privacy: "https://shop.example/privacy", Logo: light.Bytes(), LogoDark: dark.Bytes(),
		Texts: map[string]apps.Words{"en": {Welcome: "Hello: world"}, "de": {Welcome: "Hallo", Foot: "Öde #1"}}}
	if err := w.Kit.DB.Tx(t.Context(), func(tx *db.Tx) error { return apps.SetBranding(t.Context(), tx, "demo", look) }); err != nil {
		t.Fatal(err)
	}
	f, dir := exported(t, w)
	if plan := planned(t, w, f, dir); plan != "" {
		t.Errorf("what was exported differs from what stands:\n%s", plan)
	}
	have, err := apps.FindBranding(t.Context(), w.Kit.DB, "demo")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "apps", "demo-logo-dark.png")); err != nil || !bytes.Equal(b, have.LogoDark) {
		t.Errorf("the picture: %d bytes, %v", len(b), err)
	}

	other := newWorld(t)
	if plan := planned(t, other, f, dir); !strings.Contains(plan, "+ branding of demo") {
		t.Errorf("the plan elsewhere: %s", plan)
	}
	if err := server.Apply(t.Context(), other.Kit.DB, f, dir, true); err != nil {
		t.Fatal(err)
	}
	if got, err := apps.FindBranding(t.Context(), other.Kit.DB, "demo"); err != nil || got.Hash() != "" {
		t.Errorf("a dry run left %+v, %v", got, err)
	}
	if err := server.Apply(t.Context(), other.Kit.DB, f, dir, false); err != nil {
		t.Fatal(err)
	}
	if got, err := apps.FindBranding(t.Context(), other.Kit.DB, "demo"); err != nil || got.Hash() != have.Hash() {
		t.Errorf("elsewhere: %+v, %v", got, err)
	}
	if plan := planned(t, other, f, dir); plan != "" {
		t.Errorf("applied, and still to do:\n%s", plan)
	}
}

// TestFilesBrandingRefused: a branding that cannot be is refused with its place,
// one that is not mentioned stays, and what one leaves out goes.
func TestFilesBrandingRefused(t *testing.T) {
	w := newWorld(t)
	f, dir := exported(t, w)
	path := filepath.Join(dir, "apps", "demo.yaml")
	plain, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(section string) error {
		if err := os.WriteFile(path, append(bytes.Clone(plain), section...), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := server.ReadFiles(dir)
		if err != nil {
			return err
		}
		return server.Apply(t.Context(), w.Kit.DB, f, dir, false)
	}
	if err := os.WriteFile(filepath.Join(dir, "bad.png"), []byte("<svg onload=alert(1)>"), 0o600); err != nil {
		t.Fatal(err)
	}
	for section, want := range map[string]string{
		"branding: {signal: '#ffee00'}":           "hard to read",
		"branding: {logo: bad.png}":               "bad.png",
		"branding: {logo: nothing.png}":           "nothing.png",
		"branding: {terms: 'javascript:void'}":    "https",
		"branding: {texts: {klingon: {foot: x}}}": "language",
		"branding: {colour: '#000000'}":           "colour",
	} {
		if err := try(section); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "demo.yaml") {
			t.Errorf("%s: %v", section, err)
		}
	}
	if err := try("branding: {signal: '#1a1a80', support: 'https://shop.example/help'}"); err != nil {
		t.Fatal(err)
	}
	if err := server.Apply(t.Context(), w.Kit.DB, f, dir, false); err != nil { // says nothing of it
		t.Fatal(err)
	}
	if b, err := apps.FindBranding(t.Context(), w.Kit.DB, "demo"); err != nil || b.Signal != "#1a1a80" {
		t.Errorf("what is not mentioned: %+v, %v", b, err)
	}
	if err := try("branding: {signal: '#1a1a80'}"); err != nil {
		t.Fatal(err)
	}
	if b, err := apps.FindBranding(t.Context(), w.Kit.DB, "demo"); err != nil || b.Support != "" || b.Signal == "" {
		t.Errorf("what is left out: %+v, %v", b, err)
	}
}
