package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/secret"
	"github.com/watchword-auth/watchword/internal/server"
)

type lintCmd struct {
	storage
	Dir    string `arg:"" optional:"" help:"Folder of files, as for apply; empty: what the database holds." type:"existingdir"`
	Tenant string `help:"Which tenant of the database." default:"default"`
	Strict bool   `help:"End with an error if a standard demands otherwise."`
}

// Run prints what the linter says, the serious first word "warning".
func (c *lintCmd) Run(ctx context.Context) error {
	remarks, err := c.remarks(ctx)
	if err != nil {
		return err
	}
	serious := 0
	for _, r := range remarks {
		word := "advice "
		if r.Serious {
			word = "warning"
			serious++
		}
		where := r.Where
		if r.Field != "" {
			where += ", " + r.Field
		}
		fmt.Printf("%s %s: %s", word, where, r.Text)
		if r.Ref != "" {
			fmt.Printf(" [%s]", r.Ref)
		}
		fmt.Println()
	}
	if len(remarks) == 0 {
		fmt.Println("Nothing to say.")
	}
	if c.Strict && serious > 0 {
		return fmt.Errorf("warnings: %d", serious)
	}
	return nil
}

func (c *lintCmd) remarks(ctx context.Context) ([]server.Remark, error) {
	if c.Dir != "" {
		return ofFiles(ctx, c.Dir)
	}
	vault, url, err := c.vault()
	if err != nil {
		return nil, err
	}
	d, err := db.OpenToRead(ctx, url, vault, time.Now)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return server.Remarks(ctx, d, apps.TenantID(c.Tenant))
}

// ofFiles applies the files to a database that is thrown away, so that what would
// be refused is refused here. Secrets need not be at hand.
func ofFiles(ctx context.Context, dir string) (out []server.Remark, err error) {
	files, err := server.ReadFiles(dir)
	if err != nil {
		return nil, err
	}
	place, err := os.MkdirTemp("", "watchword-lint-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(place)) }()
	key := make([]byte, 32)
	rand.Read(key)
	vault, err := secret.NewVault(key)
	if err != nil {
		return nil, err
	}
	d, err := db.Open(ctx, "sqlite:"+filepath.Join(place, "db"), vault, time.Now)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if err := server.Apply(ctx, d, files.WithoutSecrets(), dir, false); err != nil {
		return nil, err
	}
	return server.Remarks(ctx, d, apps.TenantID(files.Tenant.ID))
}
