package adminapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"image/png"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Branding is how the pages of an application look and what they say.
type Branding struct {
	Signal     string                `json:"signal" doc:"#rrggbb; empty: ours."`
	SignalDark string                `json:"signal_dark"`
	Logo       *Logo                 `json:"logo"`
	LogoDark   *Logo                 `json:"logo_dark"`
	Texts      map[string]apps.Words `json:"texts"`
	Privacy    string                `json:"privacy"`
	Terms      string                `json:"terms"`
	Support    string                `json:"support"`
}

// Logo is a picture as the server drew it.
type Logo struct {
	URL    string `json:"url"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

func logoOf(picture []byte, url string) *Logo {
	size, err := png.DecodeConfig(bytes.NewReader(picture))
	if len(picture) == 0 || err != nil {
		return nil
	}
	return &Logo{url, size.Width, size.Height}
}

func brandingOf(app string, b apps.Branding) Branding {
	at := "/login-assets/brand/" + app
	out := Branding{Signal: b.Signal, SignalDark: b.SignalDark, Texts: b.Texts, Privacy: b.Privacy, Terms: b.Terms, Support: b.Support,
		Logo: logoOf(b.Logo, at+"/logo?v="+b.Hash()), LogoDark: logoOf(b.LogoDark, at+"/logo-dark?v="+b.Hash())}
	if out.Texts == nil {
		out.Texts = map[string]apps.Words{}
	}
	return out
}

func getBranding(ctx context.Context, c *Call, in *InApp) (*tagged[Branding], error) {
	if _, err := c.app(ctx, c.Kit.DB, in.App); err != nil {
		return nil, err
	}
	b, err := apps.FindBranding(ctx, c.Kit.DB, apps.ID(in.App))
	return tag(brandingOf(in.App, b)), err
}

// rebrand changes the branding of an application.
func (c *Call) rebrand(ctx context.Context, app string, m IfMatch, change func(b *apps.Branding)) (*tagged[Branding], error) {
	var out Branding
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		a, err := c.app(ctx, tx, app)
		if err != nil {
			return "", err
		}
		b, err := apps.FindBranding(ctx, tx, a.ID)
		if err != nil {
			return "", err
		}
		if err := m.unchanged(brandingOf(app, b)); err != nil {
			return "", err
		}
		change(&b)
		if err := apps.SetBranding(ctx, tx, a.ID, b); err != nil {
			return "", err
		}
		b, err = apps.FindBranding(ctx, tx, a.ID)
		out = brandingOf(app, b)
		return app, err
	})
	return tag(out), err
}

type brandingPut struct {
	InApp
	IfMatch
	Body struct {
		Signal     string                `json:"signal,omitempty"`
		SignalDark string                `json:"signal_dark,omitempty"`
		Logo       any                   `json:"logo,omitempty" doc:"Ignored: pictures have their own call."`
		LogoDark   any                   `json:"logo_dark,omitempty" doc:"Ignored."`
		Texts      map[string]apps.Words `json:"texts,omitempty"`
		Privacy    string                `json:"privacy,omitempty"`
		Terms      string                `json:"terms,omitempty"`
		Support    string                `json:"support,omitempty"`
	}
}

func putBranding(ctx context.Context, c *Call, in *brandingPut) (*tagged[Branding], error) {
	return c.rebrand(ctx, in.App, in.IfMatch, func(b *apps.Branding) {
		b.Signal, b.SignalDark, b.Texts = in.Body.Signal, in.Body.SignalDark, in.Body.Texts
		b.Privacy, b.Terms, b.Support = in.Body.Privacy, in.Body.Terms, in.Body.Support
	})
}

type logoIn struct {
	InApp
	IfMatch
	Dark    bool   `query:"dark" doc:"The one on dark paper."`
	RawBody []byte `contentType:"image/*"`
}

func putLogo(ctx context.Context, c *Call, in *logoIn) (*tagged[Branding], error) {
	if len(in.RawBody) == 0 {
		return nil, fault.New(fault.Invalid, "The picture is missing.")
	}
	return c.setLogo(ctx, in.App, in.IfMatch, in.Dark, in.RawBody)
}

type logoGone struct {
	InApp
	IfMatch
	Dark bool `query:"dark"`
}

func removeLogo(ctx context.Context, c *Call, in *logoGone) (*tagged[Branding], error) {
	return c.setLogo(ctx, in.App, in.IfMatch, in.Dark, nil)
}

func (c *Call) setLogo(ctx context.Context, app string, m IfMatch, dark bool, picture []byte) (*tagged[Branding], error) {
	return c.rebrand(ctx, app, m, func(b *apps.Branding) {
		if dark {
			b.LogoDark = picture
		} else {
			b.Logo = picture
		}
	})
}

type previewIn struct {
	InApp
	Page  string `query:"page" enum:"sign_in,waiting,error,style" default:"sign_in"`
	Lang  string `query:"lang" maxLength:"10"`
	Draft string `query:"draft" maxLength:"8000" doc:"What is not stored yet: a branding without pictures, as JSON in base64url. What of it cannot be set is not shown."`
}

// over lays a draft over what is stored. What of it could not be set stays as it
// was: half a colour is typed before a whole one.
func over(b apps.Branding, draft string) (apps.Branding, error) {
	if draft == "" {
		return b, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(draft)
	var d apps.Branding
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		return b, fault.New(fault.Invalid, "The draft cannot be read.").Because(err)
	}
	for _, lay := range []func(b *apps.Branding){
		func(b *apps.Branding) { b.Signal = d.Signal },
		func(b *apps.Branding) { b.SignalDark = d.SignalDark },
		func(b *apps.Branding) { b.Texts = d.Texts },
		func(b *apps.Branding) { b.Privacy = d.Privacy },
		func(b *apps.Branding) { b.Terms = d.Terms },
		func(b *apps.Branding) { b.Support = d.Support },
	} {
		next := b
		if lay(&next); next.Check() == nil {
			b = next
		}
	}
	return b, nil
}

// previewBranding is the real hosted page, for a frame of the console, and the
// style sheet that it asks for while its colours are not stored.
func previewBranding(ctx context.Context, c *Call, in *previewIn) (*huma.StreamResponse, error) {
	a, err := c.app(ctx, c.Kit.DB, in.App)
	if err != nil {
		return nil, err
	}
	if c.Preview == nil {
		return nil, fault.New(fault.NotFound, "There is no preview.")
	}
	b, err := apps.FindBranding(ctx, c.Kit.DB, a.ID)
	if err == nil {
		b, err = over(b, in.Draft)
	}
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		r, w := humago.Unwrap(h)
		style := url.Values{"page": {"style"}, "draft": {in.Draft}}
		c.Preview(w, r, a, b, in.Page, r.URL.Path+"?"+style.Encode())
	}}, nil
}
