package authn

import (
	"context"
	"errors"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/jobs"
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

// LockedJob tells a user that failures locked a method of theirs. It is queued for
// names that belong to nobody, too, so that the time of a lock tells nothing.
const LockedJob = "authn.locked"

// LockedNotice is what LockedJob is about.
type LockedNotice struct{ Subject Subject }

// Told reports whether an application wants its users told of changes of a method,
// and what the method is called.
func (n LockedNotice) Told(ctx context.Context, q db.Q) (title string, told bool, err error) {
	m := methods[n.Subject.Kind]
	set := struct {
		Notify bool `json:"notify"`
	}{}
	if m.Tells {
		err = Settings(ctx, q, n.Subject.App, n.Subject.Kind, &set)
	}
	return m.Title, set.Notify && err == nil, err
}

func announce(ctx context.Context, tx *db.Tx, s Subject) error {
	return jobs.Enqueue(ctx, tx, LockedJob, LockedNotice{s}, tx.Now().Add(time.Hour))
}
