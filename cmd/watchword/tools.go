package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/server"
	"github.com/watchword-auth/watchword/internal/token"
)

type applyCmd struct {
	storage
	logging
	Dir    string `arg:"" help:"Folder with tenant.yaml, providers.yaml, webhooks.yaml, apps/ and journeys/." type:"existingdir"`
	DryRun bool   `help:"Say what would change, and change nothing."`
}

// Run applies a folder of files in one transaction.
func (c *applyCmd) Run(ctx context.Context) error {
	files, err := server.ReadFiles(c.Dir)
	if err != nil {
		return err
	}
	return c.open(ctx, c.logging, func(s *server.Server) error {
		plan, err := server.Plan(ctx, s.Kit.DB, files, c.Dir)
		if err != nil {
			return err
		}
		for _, line := range plan {
			fmt.Println(line)
		}
		if len(plan) == 0 {
			fmt.Println("Nothing would change.")
		}
		return server.Apply(ctx, s.Kit.DB, files, c.Dir, c.DryRun)
	})
}

type exportCmd struct {
	storage
	logging
	Dir    string `arg:"" help:"Folder to write." type:"path"`
	Tenant string `help:"Which tenant." default:"default"`
}

// Run writes the configuration of a tenant.
func (c *exportCmd) Run(ctx context.Context) error {
	return c.open(ctx, c.logging, func(s *server.Server) error {
		f, err := server.Current(ctx, s.Kit.DB, apps.TenantID(c.Tenant))
		if err != nil {
			return err
		}
		return server.WriteFiles(c.Dir, f)
	})
}

type adminCmd struct {
	Invite adminInviteCmd `cmd:"" help:"Print a one-time link to the console, good for 24 hours. Who has it and no passkey any more is let in by it again."`
}

type adminInviteCmd struct {
	storage
	logging
	URL   string `help:"Where the world reaches the server." default:"http://localhost:8080" env:"WATCHWORD_URL"`
	Email string `help:"Whom to invite; empty: the first owner of a new server."`
	Name  string `help:"What the administrator is called."`
	Role  string `help:"owner, security_admin, application_admin, helpdesk or auditor." enum:"owner,security_admin,application_admin,helpdesk,auditor" default:"owner"`
}

// Run prints the link. On SQLite the server must not run meanwhile.
func (c *adminInviteCmd) Run(ctx context.Context) error {
	return c.openAt(ctx, c.logging, strings.TrimRight(c.URL, "/"), func(s *server.Server) error {
		var link string
		var err error
		if c.Email == "" {
			link, err = s.FirstLink(ctx)
		} else {
			link, err = s.InviteAdministrator(ctx, c.Name, c.Email, administrator.Role(c.Role))
		}
		if err != nil {
			return err
		}
		if link == "" {
			return errors.New("this server has administrators already: say whom to invite with --email")
		}
		fmt.Println(link)
		return nil
	})
}

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Check that no row of the audit record was changed, removed or moved."`
}

type auditVerifyCmd struct {
	storage
	logging
}

// Run names the first row that does not fit the chain.
func (c *auditVerifyCmd) Run(ctx context.Context) error {
	return c.open(ctx, c.logging, func(s *server.Server) error {
		return sayRecord(ctx, s.Kit.DB)
	})
}

type keysCmd struct {
	Generate keysGenerateCmd `cmd:"" help:"Make a master key."`
	Rotate   keysRotateCmd   `cmd:"" help:"Make new signing keys; the old ones go on verifying until their tokens have run out."`
	Revoke   keysRevokeCmd   `cmd:"" help:"Make new signing keys and stop trusting the old ones at once, for keys that somebody else may have."`
}

type keysGenerateCmd struct {
	Out string `help:"File to write, for its owner only." required:"" type:"path"`
}

// Run writes a new master key, never over an old one.
func (c *keysGenerateCmd) Run() error {
	_, err := writeMasterKey(c.Out)
	return err
}

func writeMasterKey(path string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	key := make([]byte, 32)
	rand.Read(key)
	text := base64.StdEncoding.EncodeToString(key)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%s exists: a master key is never overwritten, for what it has sealed would be lost", path)
	}
	if err != nil {
		return "", err
	}
	if _, err := f.WriteString(text + "\n"); err != nil {
		return "", err
	}
	return text, f.Close()
}

type keysRotateCmd struct {
	storage
	logging
}

// Run rotates the signing keys.
func (c *keysRotateCmd) Run(ctx context.Context) error {
	return c.open(ctx, c.logging, func(s *server.Server) error { return forKeys(ctx, s, s.Keys.Rotate) })
}

type keysRevokeCmd struct {
	storage
	logging
}

// Run revokes the signing keys.
func (c *keysRevokeCmd) Run(ctx context.Context) error {
	return c.open(ctx, c.logging, func(s *server.Server) error { return forKeys(ctx, s, s.Keys.Revoke) })
}

// forKeys does the same to the keys of every algorithm, or to none.
func forKeys(ctx context.Context, s *server.Server, fn func(ctx context.Context, tx *db.Tx, alg string) error) error {
	return s.Kit.DB.Tx(ctx, func(tx *db.Tx) error {
		for _, alg := range token.Algorithms {
			if err := fn(ctx, tx, alg); err != nil {
				return err
			}
		}
		return nil
	})
}

// open hands a server that serves nothing to fn.
func (s storage) open(ctx context.Context, l logging, fn func(*server.Server) error) error {
	return s.openAt(ctx, l, "http://localhost", fn)
}

// openAt is open for a server that the world reaches at url.
func (s storage) openAt(ctx context.Context, l logging, url string, fn func(*server.Server) error) error {
	cfg, err := s.config(l.logger(), false)
	if err != nil {
		return err
	}
	cfg.URL = url
	srv, err := server.New(ctx, cfg)
	if err != nil {
		return err
	}
	err = fn(srv)
	if closing := srv.Close(); err == nil {
		err = closing
	}
	return err
}
