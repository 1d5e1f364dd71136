// Package notice tells users by mail what was added to and taken from their
// account (NIST SP 800-63B-4 4.6, OWASP ASVS 5.0 6.3.7), in the transaction that
// does it, and what others fail at (6.3.5). It writes to addresses that were verified and to no others: whoever
// registers with somebody else's address does not have mail sent there.
package notice

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/limit"
	"github.com/watchword-auth/watchword/internal/message"
)

func init() { authn.Watch(mail) }

func mail(ctx context.Context, tx *db.Tx, c authn.Change) error {
	if !c.Tell || c.What == authn.Changed { // what changed a password says so itself
		return nil
	}
	name := message.Removed
	if c.What == authn.Added {
		name = message.Added
	}
	return Tell(ctx, tx, c.Subject, name, map[string]string{"method": c.Title, "label": c.Label})
}

// Tell mails something to every address of a user that was verified.
func Tell(ctx context.Context, tx *db.Tx, s authn.Subject, name string, values map[string]string) error {
	ids, err := directory.Identifiers(ctx, tx, s.User)
	if err != nil {
		return err
	}
	var app apps.App
	var data message.Data
	for _, i := range ids {
		if i.Kind != directory.Email || i.VerifiedAt.IsZero() {
			continue
		}
		if app.ID == "" {
			if app, err = apps.Find(ctx, tx, s.App); err != nil {
				return err
			}
			data = message.Data{Values: values, Language: directory.Language(ctx, tx, s.Tenant, s.User)}
		}
		if err := message.Mail(ctx, tx, app, i.Value, name, data); err != nil {
			return err
		}
	}
	return nil
}

// Locked does authn.LockedJob: at most one mail an hour to a user about a method,
// so that whoever fails on purpose floods nobody.
func Locked(ctx context.Context, d *db.DB, n authn.LockedNotice) error {
	return d.Move(ctx, func(tx *db.Tx) error {
		title, told, err := n.Told(ctx, tx)
		if err != nil || !told {
			return err
		}
		s := n.Subject
		err = limit.Take(ctx, tx, "notice/locked/"+string(s.Tenant)+"/"+string(s.User)+"/"+string(s.Kind), 1, time.Hour)
		if fault.Is(err, fault.Limited) {
			return nil
		}
		if err != nil {
			return err
		}
		return Tell(ctx, tx, s, message.Locked, map[string]string{"method": title})
	})
}
