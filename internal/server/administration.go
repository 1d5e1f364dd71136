package server

import (
	"context"
	"encoding/json"
	"net/http"
	"runtime/debug"

	"github.com/watchword-auth/watchword/internal/adminapi"
	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/web"
	"github.com/watchword-auth/watchword/internal/webhook"
)

// administration is what the console's API needs; preview draws pages as users
// see them.
func (s *Server) administration(preview func(w http.ResponseWriter, r *http.Request, app apps.App, b apps.Branding, page, style string)) adminapi.Door {
	return adminapi.Door{Kit: s.Kit, Keys: s.Keys, Trusted: s.config.Trusted, Version: version(),
		Notifier: s.notifier, Hooks: s.hooks(), Preview: preview, Engine: s.Engine, Samples: samples, Files: journeyFiles}
}

// hooks tells others what happened, by the guarded client.
func (s *Server) hooks() webhook.Sender {
	client := s.outgoing()
	return webhook.Sender{DB: s.Kit.DB, Post: func(ctx context.Context, url string, header map[string]string, body json.RawMessage) (int, string, error) {
		told, err := web.Tell(ctx, client, url, header, body)
		return told.Status, told.Text, err
	}}
}

// pruneAudit forgets what no tenant wants to be kept any longer. The record is one
// for all of them: one that keeps it for good keeps all of it.
func (s *Server) pruneAudit(ctx context.Context) error {
	list, err := apps.Tenants(ctx, s.Kit.DB)
	if err != nil || len(list) == 0 {
		return err
	}
	days := 0
	for _, t := range list {
		set, err := t.Settings(ctx, s.Kit.DB)
		if err != nil || set.AuditDays == 0 {
			return err
		}
		days = max(days, set.AuditDays)
	}
	for n := int64(1); n > 0; {
		err := s.Kit.DB.Tx(ctx, func(tx *db.Tx) (err error) {
			n, err = audit.Prune(ctx, tx, tx.Now().AddDate(0, 0, -days))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func version() string {
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return b.Main.Version
	}
	return "(devel)"
}

// FirstLink is the link by which somebody becomes the first owner of this
// server; empty once there is an administrator. Links printed before stop
// working.
func (s *Server) FirstLink(ctx context.Context) (string, error) {
	some, err := administrator.Any(ctx, s.Kit.DB)
	if err != nil || some {
		return "", err
	}
	return s.link(ctx, administrator.InviteFirst)
}

// consoleLink is a new link of the owner, or of whoever becomes the first one.
func (s *Server) consoleLink(ctx context.Context) (string, error) {
	return s.link(ctx, func(ctx context.Context, tx *db.Tx) (string, error) {
		id, err := administrator.FirstOwner(ctx, tx)
		if fault.Is(err, fault.NotFound) {
			return administrator.InviteFirst(ctx, tx)
		}
		if err != nil {
			return "", err
		}
		return administrator.Invite(ctx, tx, id)
	})
}

// InviteAdministrator is a new link of the administrator with this address, who
// is added in this role if there is none.
func (s *Server) InviteAdministrator(ctx context.Context, name, email string, role administrator.Role) (string, error) {
	return s.link(ctx, func(ctx context.Context, tx *db.Tx) (string, error) {
		a, err := administrator.ByEmail(ctx, tx, email)
		if fault.Is(err, fault.NotFound) {
			a, err = administrator.Create(ctx, tx, name, email, role)
		}
		if err != nil {
			return "", err
		}
		return administrator.Invite(ctx, tx, a.ID)
	})
}

func (s *Server) link(ctx context.Context, invite func(ctx context.Context, tx *db.Tx) (string, error)) (string, error) {
	var secret string
	err := s.Kit.DB.Tx(ctx, func(tx *db.Tx) (err error) {
		secret, err = invite(ctx, tx)
		return err
	})
	return adminapi.ConsoleLink(s.config.URL, secret), err
}

// searchable makes names findable that an older version stored.
func (s *Server) searchable(ctx context.Context) error {
	for more := 1; more > 0; {
		err := s.Kit.DB.Tx(ctx, func(tx *db.Tx) (err error) {
			more, err = directory.IndexNames(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
