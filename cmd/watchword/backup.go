package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/secret"
)

// vault returns what opens and seals, and the address of the database.
func (s storage) vault() (*secret.Vault, string, error) {
	key, err := s.master(false)
	if err != nil {
		return nil, "", err
	}
	url, err := s.database()
	if err != nil {
		return nil, "", err
	}
	v, err := secret.NewVault(key)
	return v, url, err
}

type backupCmd struct {
	storage
	File string `arg:"" help:"File to write; it must not exist." type:"path"`
}

// Run writes a backup while the server goes on, and reads it back.
func (c *backupCmd) Run(ctx context.Context) error {
	vault, url, err := c.vault()
	if err != nil {
		return err
	}
	d, err := db.OpenToRead(ctx, url, vault, time.Now)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := os.Lstat(c.File); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already: a backup is never overwritten", c.File)
	}
	if err := writeBackup(ctx, d, c.File+".part"); err != nil {
		return errors.Join(err, os.Remove(c.File+".part"))
	}
	held, err := checkFile(c.File+".part", vault)
	if err != nil {
		return errors.Join(fmt.Errorf("the backup was written and cannot be read back: %w", err), os.Remove(c.File+".part"))
	}
	if err := os.Rename(c.File+".part", c.File); err != nil {
		return err
	}
	fmt.Println("Written and read back: " + held)
	return nil
}

// writeBackup writes a backup for its owner only, down to the disk.
func writeBackup(ctx context.Context, d *db.DB, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = d.Backup(ctx, f)
	return errors.Join(err, f.Sync(), f.Close())
}

// checkFile reads a backup to its end and says in a line what it holds.
func checkFile(path string, vault *secret.Vault) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	c, err := db.CheckBackup(f, vault)
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s; %s.", holds(c), size(info.Size())), nil
}

// holds says what a backup holds, in the words of whoever keeps it.
func holds(c db.Contents) string {
	return fmt.Sprintf("%s, users: %d, authenticators: %d, devices: %d, applications: %d, versions of journeys: %d, rows of the audit record: %d",
		c.At.Format(time.RFC3339), c.Rows["users"], c.Rows["credentials"], c.Rows["devices"], c.Rows["apps"], c.Rows["journeys"], c.Rows["audit"])
}

func size(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%d kB", (n+999)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

type verifyCmd struct {
	storage
	File string `arg:"" help:"A backup." type:"existingfile"`
}

// Run reads a backup to its end, as a restore would.
func (c *verifyCmd) Run() error {
	vault, _, err := c.vault()
	if err != nil {
		return err
	}
	held, err := checkFile(c.File, vault)
	if err != nil {
		return err
	}
	fmt.Println("The backup is whole: " + held)
	return nil
}

type restoreCmd struct {
	storage
	File  string `arg:"" help:"A backup." type:"existingfile"`
	Whole bool   `help:"Bring back sessions, tokens and requests as well. For a move to another database, with the server stopped before the backup; after a loss it would bring back what was ended since."`
}

// Run fills an empty database from a backup and checks what it made.
func (c *restoreCmd) Run(ctx context.Context) error {
	vault, url, err := c.vault()
	if err != nil {
		return err
	}
	if _, err := checkFile(c.File, vault); err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	held, err := db.Restore(ctx, url, vault, time.Now, f, c.Whole)
	if err != nil {
		return err
	}
	fmt.Println("Restored: " + holds(held) + ".")
	if !c.Whole {
		fmt.Println("Everybody signs in again: sessions and tokens were left out.")
	}
	return checkRestored(ctx, url, vault)
}

// checkRestored opens the database as a server does, which brings an older schema
// up to date, and checks its record.
func checkRestored(ctx context.Context, url string, vault *secret.Vault) error {
	d, err := db.Open(ctx, url, vault, time.Now)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.CheckVault(ctx); err != nil {
		return err
	}
	return sayRecord(ctx, d)
}

// sayRecord says whether the audit record is whole.
func sayRecord(ctx context.Context, d *db.DB) error {
	v, err := audit.Verify(ctx, d)
	if err != nil {
		return err
	}
	if !v.Intact {
		return fmt.Errorf("row %d of the audit record (%s): %s", v.Seq, v.ID, v.Problem)
	}
	fmt.Printf("The audit record is whole: %d rows checked, %d not sealed yet.\n", v.Checked, v.Waiting)
	return nil
}
