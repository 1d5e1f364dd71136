package server

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// brandingFile is the branding of an application in its file: all of it, so what
// it leaves out is taken away. A file without one leaves the branding as it is.
type brandingFile struct {
	Signal     string               `yaml:"signal,omitempty"`
	SignalDark string               `yaml:"signal_dark,omitempty"`
	Logo       string               `yaml:"logo,omitempty"` // a picture: its path, from the folder on
	LogoDark   string               `yaml:"logo_dark,omitempty"`
	Texts      map[string]wordsFile `yaml:"texts,omitempty"` // by language
	Privacy    string               `yaml:"privacy,omitempty"`
	Terms      string               `yaml:"terms,omitempty"`
	Support    string               `yaml:"support,omitempty"`

	pictures map[string][]byte // by path; only of what stands, to be written
}

type wordsFile struct {
	Welcome string `yaml:"welcome,omitempty"`
	Foot    string `yaml:"foot,omitempty"`
}

// currentBranding is what stands; nil for our own look.
func currentBranding(ctx context.Context, q db.Q, app apps.ID) (*brandingFile, error) {
	b, err := apps.FindBranding(ctx, q, app)
	if err != nil || b.Hash() == "" {
		return nil, err
	}
	out := &brandingFile{Signal: b.Signal, SignalDark: b.SignalDark, Privacy: b.Privacy, Terms: b.Terms, Support: b.Support, pictures: map[string][]byte{}}
	for language, w := range b.Texts {
		if out.Texts == nil {
			out.Texts = map[string]wordsFile{}
		}
		out.Texts[language] = wordsFile(w)
	}
	keep := func(name string, picture []byte) string {
		if len(picture) == 0 {
			return ""
		}
		path := "apps/" + string(app) + "-" + name + ".png"
		out.pictures[path] = picture
		return path
	}
	out.Logo, out.LogoDark = keep("logo", b.Logo), keep("logo-dark", b.LogoDark)
	return out, nil
}

// write writes the pictures.
func (f *brandingFile) write(dir string) error {
	if f == nil {
		return nil
	}
	for path, picture := range f.pictures {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, picture, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// resolved is the branding with its pictures, as it would be kept.
func (f *brandingFile) resolved(dir string) (apps.Branding, error) {
	b := apps.Branding{Signal: f.Signal, SignalDark: f.SignalDark, Privacy: f.Privacy, Terms: f.Terms, Support: f.Support}
	for language, w := range f.Texts {
		if b.Texts == nil {
			b.Texts = map[string]apps.Words{}
		}
		b.Texts[language] = apps.Words(w)
	}
	var err error
	if b.Logo, err = picture(dir, f.Logo); err == nil {
		b.LogoDark, err = picture(dir, f.LogoDark)
	}
	return b, err
}

// picture reads a picture and draws it anew; nothing for no path.
func picture(dir, path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, filepath.FromSlash(path))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, apps.MaxLogo+1))
	if err == nil && len(b) == 0 {
		err = fault.New(fault.Invalid, "The picture is missing.")
	}
	if err == nil {
		b, err = apps.Redraw(b)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// rebranded is the branding that a file wants, the one that stands, and whether
// they differ.
func (a appFile) rebranded(ctx context.Context, q db.Q, dir string) (want, have apps.Branding, differs bool, err error) {
	if a.Branding == nil {
		return want, have, false, nil
	}
	want, err = a.Branding.resolved(dir)
	if err == nil {
		have, err = apps.FindBranding(ctx, q, apps.ID(a.ID))
	}
	if err != nil {
		return want, have, false, fmt.Errorf("branding: %w", err)
	}
	return want, have, want.Hash() != have.Hash(), nil
}

func planBranding(ctx context.Context, q db.Q, a appFile, dir string) ([]string, error) {
	_, have, differs, err := a.rebranded(ctx, q, dir)
	if err != nil || !differs {
		return nil, err
	}
	return []string{mark(have.Hash() == "") + "branding of " + a.ID}, nil
}

func applyBranding(ctx context.Context, tx *db.Tx, a appFile, dir string) error {
	want, _, differs, err := a.rebranded(ctx, tx, dir)
	if err != nil || !differs {
		return err
	}
	if err := apps.SetBranding(ctx, tx, apps.ID(a.ID), want); err != nil {
		return fmt.Errorf("branding: %w", err)
	}
	return nil
}
