package server

import (
	"context"
	"runtime/debug"

	"github.com/watchword-auth/watchword/internal/adminapi"
	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// administration is what the console's API needs.
func (s *Server) administration() adminapi.Door {
	return adminapi.Door{Kit: s.Kit, Keys: s.Keys, Trusted: s.config.Trusted, Version: version(),
		Engine: s.Engine, Samples: samples, Files: journeyFiles}
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
