// Package notice tells users by mail what was added to and taken from their
// account (NIST SP 800-63B-4 4.6, OWASP ASVS 5.0 6.3.7), in the transaction that
// does it. It writes to addresses that were verified and to no others: whoever
// registers with somebody else's address does not have mail sent there.
package notice

import (
	"context"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/message"
)

func init() { authn.Watch(mail) }

func mail(ctx context.Context, tx *db.Tx, c authn.Change) error {
	if !c.Tell || c.What == authn.Changed { // what changed a password says so itself
		return nil
	}
	ids, err := directory.Identifiers(ctx, tx, c.Subject.User)
	if err != nil {
		return err
	}
	name := message.Removed
	if c.What == authn.Added {
		name = message.Added
	}
	var app apps.App
	var data message.Data
	for _, i := range ids {
		if i.Kind != directory.Email || i.VerifiedAt.IsZero() {
			continue
		}
		if app.ID == "" {
			if app, err = apps.Find(ctx, tx, c.Subject.App); err != nil {
				return err
			}
			data = message.Data{Values: map[string]string{"method": c.Title, "label": c.Label}, Language: directory.Language(ctx, tx, c.Subject.Tenant, c.Subject.User)}
		}
		if err := message.Mail(ctx, tx, app, i.Value, name, data); err != nil {
			return err
		}
	}
	return nil
}
