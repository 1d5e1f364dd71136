package main

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/authenticators/mobilekey"
	"github.com/watchword-auth/watchword/internal/authenticators/recovery"
	"github.com/watchword-auth/watchword/internal/authenticators/totp"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/secret"
)

const (
	few   = 1000 // users of the small crowd, and those of the large one who sign in
	batch = 500  // users in one transaction
)

// crowd measures the same sign-ins among a thousand users and among many, each
// with three authenticators, and how large the database is then. Everybody is put
// into the database directly, with the server down.
func (s *store) crowd(ctx context.Context, t *table, o options) error {
	if o.Crowd == 0 {
		return nil
	}
	var sample []totpUser
	for _, n := range []int{few, o.Crowd} {
		note("%s: %d users", s.name, n)
		more, err := s.fill(ctx, len(sample), n)
		if err != nil {
			return err
		}
		sample = append(sample, more...)
		if err := s.among(ctx, t, o, sample[len(sample)-few:], n); err != nil {
			return err
		}
	}
	d, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	bytes, err := d.Size(ctx)
	t.add(fmt.Sprintf("database, %d users with 3 authenticators: per user", o.Crowd), s.name, "bytes", float64(bytes)/float64(o.Crowd))
	return err
}

// among measures sign-ins of some of n users.
func (s *store) among(ctx context.Context, t *table, o options, users []totpUser, n int) error {
	p, err := s.start(ctx)
	if err != nil {
		return err
	}
	h := client()
	defer h.CloseIdleConnections()
	c, err := s.backend(ctx, p, h)
	if err == nil {
		var none map[string]any
		err = c.call(ctx, http.MethodPatch, "/cis/v1/applications/demo/auth-methods/totp", map[string]any{"window": totpWindow}, http.StatusOK, &none)
	}
	if err == nil {
		err = s.codes(ctx, p, t, o, c, users, fmt.Sprintf("TOTP sign-ins among %d users, 32 at a time", n))
	}
	return errors.Join(err, p.stop())
}

// fill makes users until there are n; it returns the few of them who can sign in.
func (s *store) fill(ctx context.Context, have, n int) ([]totpUser, error) {
	d, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var out []totpUser
	every := max(1, (n-have)/few)
	for at := have; at < n; at += batch {
		var made []totpUser
		err := d.Move(ctx, func(tx *db.Tx) error {
			made = nil
			for i := at; i < min(at+batch, n); i++ {
				u, err := resident(ctx, tx, fmt.Sprintf("resident-%d-%07d@example.org", n, i), (i-have)%every == 0 && len(out)+len(made) < few)
				if err != nil {
					return err
				}
				if u.secret != nil {
					made = append(made, u)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		out = append(out, made...)
	}
	return out, nil
}

// stored is what a credential of nobody who signs in holds: about as much as a
// real one.
type stored struct {
	Bytes []byte `json:"bytes"`
}

// resident is a user with an authenticator app, recovery codes and biometrics.
func resident(ctx context.Context, tx *db.Tx, email string, signsIn bool) (totpUser, error) {
	id, err := directory.Create(ctx, tx, "default", directory.NewUser{Email: email})
	if err != nil {
		return totpUser{}, err
	}
	u := totpUser{email: email}
	s := authn.Subject{Tenant: "default", App: "demo", User: id}
	if signsIn {
		made, err := totp.Enrol(ctx, tx, s, "Demo", "", false)
		if err != nil {
			return u, err
		}
		if u.secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(made.Secret, "=")); err != nil {
			return u, err
		}
	}
	for kind, size := range map[authn.Kind]int{totp.Kind: 60, recovery.Kind: 500, mobilekey.Biometric: 170} {
		if kind == totp.Kind && signsIn {
			continue
		}
		s.Kind = kind
		if _, err := authn.Enroll(ctx, tx, s, string(kind)+"/"+string(id), "", stored{make([]byte, size)}); err != nil {
			return u, err
		}
	}
	return u, nil
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
