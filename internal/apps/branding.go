package apps

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"image"
	_ "image/gif"  // a logo may come as GIF,
	_ "image/jpeg" // as JPEG,
	"image/png"    // or as PNG; it leaves as PNG
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
)

// Branding is how the pages that an application's users see look and what they
// say. Its zero value is Watchword's own look.
type Branding struct {
	// Signal is the one accent colour, #rrggbb, on light and on dark paper. An
	// empty one is ours. It is refused where people could not read it.
	Signal     string `json:"signal,omitempty"`
	SignalDark string `json:"signal_dark,omitempty"`
	// Texts are by language: "en", "de", …
	Texts map[string]Words `json:"texts,omitempty"`
	// Links of the page's foot, https.
	Privacy string `json:"privacy,omitempty"`
	Terms   string `json:"terms,omitempty"`
	Support string `json:"support,omitempty"`
	// Logo is a picture as it was uploaded (PNG, JPEG or GIF) or as it is kept,
	// which is always a PNG that we drew; LogoDark, if any, stands on dark paper.
	Logo     []byte `json:"-"`
	LogoDark []byte `json:"-"`
}

// Words are what an operator says on the pages in one language.
type Words struct {
	Welcome string `json:"welcome,omitempty"` // under the title of a sign-in page
	Foot    string `json:"foot,omitempty"`    // at the end of every page
}

// Bounds of what an operator may set.
const (
	MaxLogo       = 256 << 10 // bytes of an upload
	MaxLogoPixels = 1024      // of either edge
	maxWords      = 300       // characters
)

// Hash names this state of the branding, so that what is served of it may be
// cached for good; "" for our own look.
func (b Branding) Hash() string {
	body := db.Text(b)
	if body == "{}" && len(b.Logo) == 0 && len(b.LogoDark) == 0 {
		return ""
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(body), b.Logo, b.LogoDark} {
		h.Write([]byte(strconv.Itoa(len(part)) + ":"))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// FindBranding returns the branding of an application; our own look if it has none.
func FindBranding(ctx context.Context, q db.Q, app ID) (Branding, error) {
	var b Branding
	err := q.QueryRow(ctx, `SELECT body, logo, logo_dark FROM brandings WHERE app_id = $1`, app).Scan(db.JSON(&b), &b.Logo, &b.LogoDark)
	if fault.Is(db.None(err, "branding"), fault.NotFound) {
		return Branding{}, nil
	}
	return b, err
}

// SetBranding replaces the branding of an application. Logos are drawn anew, so
// that nothing but a picture is kept; pass those that FindBranding returned to keep
// them. fault.Invalid says what cannot be: a colour that is hard to read, a
// picture that is none, a text that is too long.
func SetBranding(ctx context.Context, tx *db.Tx, app ID, b Branding) error {
	if err := b.Check(); err != nil {
		return err
	}
	var err error
	if b.Logo, err = Redraw(b.Logo); err != nil {
		return err
	}
	if b.LogoDark, err = Redraw(b.LogoDark); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO brandings (app_id, body, logo, logo_dark, updated_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (app_id) DO UPDATE SET body = excluded.body, logo = excluded.logo, logo_dark = excluded.logo_dark, updated_at = excluded.updated_at`,
		app, db.Text(b), b.Logo, b.LogoDark, tx.Now())
	return err
}

// Check is nil if the branding can be set; pictures are judged when they are drawn.
func (b Branding) Check() error {
	hard := func(contrast float64) *fault.Error {
		return fault.New(fault.Invalid, "The colour on light paper is hard to read: its contrast is %.1f, and 4.5 is needed.", contrast)
	}
	if err := readable("signal", b.Signal, "#fbfaf8", hard); err != nil {
		return err
	}
	hard = func(contrast float64) *fault.Error {
		return fault.New(fault.Invalid, "The colour on dark paper is hard to read: its contrast is %.1f, and 4.5 is needed.", contrast)
	}
	if err := readable("signal_dark", b.SignalDark, "#181b23", hard); err != nil {
		return err
	}
	for _, link := range [][2]string{{"privacy", b.Privacy}, {"terms", b.Terms}, {"support", b.Support}} {
		address := link[1]
		if u, err := url.Parse(address); address != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(address) > 500) {
			return fault.At(fault.New(fault.Invalid, "A link of the foot is an https address of at most 500 characters."), link[0])
		}
	}
	for _, language := range slices.Sorted(maps.Keys(b.Texts)) {
		w := b.Texts[language]
		if strings.Trim(language, "abcdefghijklmnopqrstuvwxyz") != "" || len(language) < 2 || len(language) > 3 {
			return fault.At(fault.New(fault.Invalid, "%q is no language: write en, de, ja.", language), "texts")
		}
		for _, text := range [][2]string{{"welcome", w.Welcome}, {"foot", w.Foot}} {
			if len([]rune(text[1])) > maxWords {
				return fault.At(fault.New(fault.Invalid, "A text has at most %d characters.", maxWords), "texts."+language+"."+text[0])
			}
		}
	}
	return nil
}

// readable refuses a colour that is none or that does not stand out from its
// paper: it is the ink of links, and the ground of buttons, whose type is white
// or near black, whichever is easier to read (WCAG 2.2, 1.4.3).
func readable(name, colour, paper string, hard func(contrast float64) *fault.Error) error {
	if colour == "" {
		return nil
	}
	if !form.IsColour(colour) {
		return fault.At(fault.New(fault.Invalid, "%s is not a colour: write #rrggbb.", name), name)
	}
	if c := Contrast(colour, paper); c < 4.5 {
		return fault.At(hard(math.Floor(c*10)/10), name)
	}
	return nil
}

// OnSignal is the colour of type on a ground of this colour: white or near black.
func OnSignal(colour string) string {
	const white, black = "#ffffff", "#101218"
	if Contrast(colour, white) >= Contrast(colour, black) {
		return white
	}
	return black
}

// Contrast is the contrast ratio of two colours, 1 to 21 (WCAG 2.2). Both are
// #rrggbb.
func Contrast(a, b string) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(colour string) float64 {
	n, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil {
		return 0
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v := float64(n>>(16-8*i)&0xff) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}

// Redraw returns a picture as a PNG that holds its pixels and nothing else of
// what was uploaded; nothing for nothing. Its size is bounded before it is read.
func Redraw(upload []byte) ([]byte, error) {
	if len(upload) == 0 {
		return []byte{}, nil
	}
	if len(upload) > MaxLogo {
		return nil, fault.New(fault.Invalid, "A logo has at most %d kB.", MaxLogo>>10)
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(upload))
	if err != nil {
		return nil, fault.New(fault.Invalid, "A logo is a PNG, a JPEG or a GIF.").Because(err)
	}
	if c.Width < 1 || c.Height < 1 || c.Width > MaxLogoPixels || c.Height > MaxLogoPixels {
		return nil, fault.New(fault.Invalid, "A logo has at most %d by %d pixels; this one has %d by %d.", MaxLogoPixels, MaxLogoPixels, c.Width, c.Height)
	}
	picture, _, err := image.Decode(bytes.NewReader(upload))
	if err != nil {
		return nil, fault.New(fault.Invalid, "This picture is damaged.").Because(err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
