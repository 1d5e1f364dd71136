package authn

import (
	"context"
	"errors"

	"github.com/watchword-auth/watchword/internal/db"
)

// Change is something that was added to or taken from a user's account.
type Change struct {
	Subject Subject
	Title   string // of the method
	Label   string // what the user calls it
	Added   bool
}

var watchers []func(ctx context.Context, tx *db.Tx, c Change) error

// Watch has fn told of every change, in the transaction that makes it. Call it
// from init.
func Watch(fn func(ctx context.Context, tx *db.Tx, c Change) error) {
	watchers = append(watchers, fn)
}

// tell makes a change known, unless the application has switched that off.
func (s Subject) tell(ctx context.Context, tx *db.Tx, label string, added bool) error {
	m := methods[s.Kind]
	if !m.Tells {
		return nil
	}
	var set struct {
		Notify bool `json:"notify"`
	}
	if err := Settings(ctx, tx, s.App, s.Kind, &set); err != nil && !errors.Is(err, Disabled) || !set.Notify {
		return err
	}
	if label == "" {
		label = m.Title
	}
	for _, fn := range watchers {
		if err := fn(ctx, tx, Change{s, m.Title, label, added}); err != nil {
			return err
		}
	}
	return nil
}
