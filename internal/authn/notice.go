package authn

import (
	"context"
	"errors"

	"github.com/watchword-auth/watchword/internal/db"
)

// What says what became of an authenticator.
type What int

const (
	Added   What = iota + 1
	Removed      // for good
	Changed      // replaced, or locked by a person
)

// Change is something that happened to what a user proves themselves with.
type Change struct {
	Subject Subject
	What    What
	Title   string // of the method
	Label   string // what the user calls it
	Tell    bool   // the application wants its users told
}

var watchers []func(ctx context.Context, tx *db.Tx, c Change) error

// Watch has fn hear of every change, in the transaction that makes it. Call it
// from init.
func Watch(fn func(ctx context.Context, tx *db.Tx, c Change) error) {
	watchers = append(watchers, fn)
}

// Replaced makes known that what a user enrolled was changed by its method: a
// password that is another now.
func Replaced(ctx context.Context, tx *db.Tx, s Subject) error {
	return s.changed(ctx, tx, "", Changed)
}

func (s Subject) changed(ctx context.Context, tx *db.Tx, label string, what What) error {
	m := methods[s.Kind]
	var set struct {
		Notify bool `json:"notify"`
	}
	if m.Tells {
		if err := Settings(ctx, tx, s.App, s.Kind, &set); err != nil && !errors.Is(err, Disabled) {
			return err
		}
	}
	if label == "" {
		label = m.Title
	}
	for _, fn := range watchers {
		if err := fn(ctx, tx, Change{s, what, m.Title, label, set.Notify}); err != nil {
			return err
		}
	}
	return nil
}
