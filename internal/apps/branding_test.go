package apps_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
)

func picture(t *testing.T, width, height int) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	m.Set(0, 0, color.NRGBA{200, 30, 30, 255})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestBranding: what was set is found again, logos without what came with their
// pixels; each state has a name of its own.
func TestBranding(t *testing.T) {
	w := kittest.New(t)
	ctx := t.Context()
	app := apps.ID("brand")
	set := func(b apps.Branding) error {
		return w.DB.Tx(ctx, func(tx *db.Tx) error { return apps.SetBranding(ctx, tx, app, b) })
	}
	if err := w.DB.Tx(ctx, func(tx *db.Tx) error {
		if err := apps.CreateTenant(ctx, tx, apps.Tenant{ID: "acme", Name: "Acme"}); err != nil {
			return err
		}
		return apps.Save(ctx, tx, apps.App{ID: app, Tenant: "acme", Name: "Acme", Audience: apps.B2C})
	}); err != nil {
		t.Fatal(err)
	}
	if b, err := apps.FindBranding(ctx, w.DB, app); err != nil || b.Hash() != "" {
		t.Errorf("no branding: %v %+v", err, b)
	}
	hidden := append(picture(t, 4, 4), "<script>alert(1)</script>"...)
	want := apps.Branding{Signal: "#0a6640", SignalDark: "#8de0b4", Texts: map[string]apps.Words{"de": {Welcome: "Willkommen"}}, Privacy: "https://acme.example/privacy", Logo: hidden}
	if err := set(want); err != nil {
		t.Fatal(err)
	}
	got, err := apps.FindBranding(ctx, w.DB, app)
	if err != nil || got.Signal != want.Signal || got.SignalDark != want.SignalDark || got.Texts["de"].Welcome != "Willkommen" || got.Privacy != want.Privacy {
		t.Errorf("%v %+v", err, got)
	}
	if bytes.Contains(got.Logo, []byte("script")) || !bytes.HasPrefix(got.Logo, []byte("\x89PNG")) {
		t.Error("the logo kept more than its pixels")
	}
	first := got.Hash()
	if err := set(got); err != nil {
		t.Fatal(err)
	}
	if same, err := apps.FindBranding(ctx, w.DB, app); err != nil || same.Hash() != first {
		t.Errorf("setting what was there changed it: %v", err)
	}
	got.Logo = nil
	if err := set(got); err != nil {
		t.Fatal(err)
	}
	if other, err := apps.FindBranding(ctx, w.DB, app); err != nil || other.Hash() == first || len(other.Logo) != 0 {
		t.Errorf("the logo stayed: %v", err)
	}
}

func TestBrandingRefusals(t *testing.T) {
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	w := kittest.New(t)
	ctx := t.Context()
	cut := picture(t, 32, 32)
	for name, c := range map[string]struct {
		b  apps.Branding
		ok bool
	}{
		"ours":                {apps.Branding{Signal: "#3a4fd0", SignalDark: "#93a3ff"}, true},
		"yellow on white":     {apps.Branding{Signal: "#ffd400"}, false},
		"navy on black":       {apps.Branding{SignalDark: "#00205b"}, false},
		"a name":              {apps.Branding{Signal: "red"}, false},
		"a style sheet":       {apps.Branding{Signal: "#0;}*{}"}, false},
		"a photo":             {apps.Branding{Logo: photo.Bytes()}, true},
		"a drawing":           {apps.Branding{Logo: []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`)}, false},
		"half a picture":      {apps.Branding{Logo: cut[:len(cut)-20]}, false},
		"a huge picture":      {apps.Branding{LogoDark: picture(t, apps.MaxLogoPixels+1, 1)}, false},
		"a long upload":       {apps.Branding{Logo: append(picture(t, 1, 1), make([]byte, apps.MaxLogo)...)}, false},
		"a script as a link":  {apps.Branding{Privacy: "javascript:alert(1)"}, false},
		"a plain link":        {apps.Branding{Terms: "http://acme.example"}, false},
		"somebody in a link":  {apps.Branding{Support: "https://acme.example@evil.example"}, false},
		"no language":         {apps.Branding{Texts: map[string]apps.Words{"../de": {}}}, false},
		"a novel":             {apps.Branding{Texts: map[string]apps.Words{"en": {Foot: strings.Repeat("x", 301)}}}, false},
		"markup, as any text": {apps.Branding{Texts: map[string]apps.Words{"en": {Welcome: "<b>"}}}, true},
	} {
		err := w.DB.Tx(ctx, func(tx *db.Tx) error { return apps.SetBranding(ctx, tx, "nobody", c.b) })
		if refused := fault.Is(err, fault.Invalid); refused == c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestContrast(t *testing.T) {
	for _, c := range []struct {
		a, b   string
		lo, hi float64
	}{{"#000000", "#ffffff", 21, 21}, {"#777777", "#ffffff", 4.47, 4.49}, {"#3a4fd0", "#3a4fd0", 1, 1}} {
		if got := apps.Contrast(c.a, c.b); got < c.lo-0.001 || got > c.hi+0.001 {
			t.Errorf("%s on %s: %f", c.a, c.b, got)
		}
	}
	if apps.OnSignal("#3a4fd0") != "#ffffff" || apps.OnSignal("#93a3ff") != "#101218" {
		t.Error("type on the signal colour")
	}
}
