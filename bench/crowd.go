package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/secret"
	_ "github.com/watchword-auth/watchword/internal/server" // knows every method
)

const (
	few   = 1000 // users who sign in, and all there are of the small crowd
	batch = 500  // users in one transaction
)

// crowd measures the same sign-ins among a thousand users and among many, each
// with three authenticators, how large the database is then, and what it takes to
// back it up. Who does not sign in is put into the database directly, with the
// server down.
func (s *store) crowd(ctx context.Context, t *table, o options) error {
	p, err := s.start(ctx) // makes the database, if there is none
	if err == nil {
		err = p.stop()
	}
	if err != nil {
		return err
	}
	if err := s.among(ctx, t, o, few); err != nil {
		return err
	}
	add := o.Crowd - 2*few // besides those who signed in, and those who are going to
	note("%s: %d users", s.name, o.Crowd)
	began := time.Now()
	if err := s.fill(ctx, add); err != nil {
		return err
	}
	t.add("users put into the database", s.name, "/s", float64(add)/time.Since(began).Seconds())
	if err := s.among(ctx, t, o, o.Crowd); err != nil {
		return err
	}
	if err := s.weigh(ctx, t, o); err != nil {
		return err
	}
	return s.backups(ctx, t, o)
}

// weigh measures how large the database is.
func (s *store) weigh(ctx context.Context, t *table, o options) error {
	d, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	bytes, err := d.Size(ctx)
	t.add(fmt.Sprintf("database, %d users with 3 authenticators: per user", o.Crowd), s.name, "bytes", float64(bytes)/float64(o.Crowd))
	return err
}

// among measures sign-ins of a few of n users, who enrol now.
func (s *store) among(ctx context.Context, t *table, o options, n int) error {
	p, err := s.start(ctx)
	if err != nil {
		return err
	}
	h := client()
	defer h.CloseIdleConnections()
	c, err := s.backend(ctx, p, h)
	var users []totpUser
	if err == nil {
		users, err = c.enrolTOTP(ctx, few)
	}
	if err == nil {
		err = s.codes(ctx, p, t, o, c, users, fmt.Sprintf("TOTP sign-ins among %d users, 32 at a time", n))
	}
	return errors.Join(err, p.stop())
}

// fill makes n users.
func (s *store) fill(ctx context.Context, n int) error {
	d, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	width := 1 // SQLite has one writer
	if s.database != "" {
		width = 4
	}
	return each(width, (n+batch-1)/batch, func(i int) error {
		return d.Move(ctx, func(tx *db.Tx) error {
			for at := i * batch; at < min((i+1)*batch, n); at++ {
				if err := resident(ctx, tx, fmt.Sprintf("resident-%07d@example.org", at)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// stored is what a credential of nobody who signs in holds: about as much as a
// real one.
type stored struct {
	Bytes []byte `json:"bytes"`
}

// resident is a user with an authenticator app, recovery codes and biometrics.
func resident(ctx context.Context, tx *db.Tx, email string) error {
	id, err := directory.Create(ctx, tx, "default", directory.NewUser{Email: email})
	if err != nil {
		return err
	}
	for kind, size := range map[authn.Kind]int{"totp": 60, "recovery": 500, "biometric": 170} {
		s := authn.Subject{Kind: kind, Tenant: "default", App: "demo", User: id}
		if _, err := authn.Enroll(ctx, tx, s, string(kind)+"/"+string(id), "", stored{make([]byte, size)}); err != nil {
			return err
		}
	}
	return nil
}

// open opens the database beside the server, which must be down.
func (s *store) open(ctx context.Context) (*db.DB, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "master.key"))
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, err
	}
	vault, err := secret.NewVault(key)
	if err != nil {
		return nil, err
	}
	at := s.database
	if at == "" {
		at = "sqlite:" + filepath.Join(s.dir, "watchword.db")
	}
	return db.Open(ctx, at, vault, time.Now)
}
