// Package recovery is the method of codes on paper: ten of them, for the day when
// everything else is lost. Each is good once, and new ones end the old ones.
package recovery

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/lockout"
	"github.com/watchword-auth/watchword/internal/message"
	"github.com/watchword-auth/watchword/internal/notice"
)

// Kind names the method.
const Kind authn.Kind = "recovery"

func init() {
	authn.Register(authn.Method{
		Kind: Kind, Title: "Recovery codes", Lives: authn.PerApp, Counts: authn.PerApp, Unlock: authn.PerApp, Tells: true, AMR: []string{"otp"},
		Config: append(form.New(
			form.Number("count", "Codes", form.Default(10), form.Between(4, 20)),
		), lockout.Fields(100, lockout.Tier{Failures: 5, Minutes: 1}, lockout.Tier{Failures: 8, Minutes: 15}, lockout.Tier{Failures: 10, Minutes: 60})...),
	})
}

type settings struct {
	Count  int  `json:"count"`
	Notify bool `json:"notify"`
}

// codes is what the server keeps: keyed hashes. 80 random bits need no slow one.
type codes struct {
	Hashes []string `json:"hashes"`
}

// shape is 16 characters of base32 without look-alikes, in groups of four.
var shape = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

func hash(q db.Q, s authn.Subject, code string) string {
	return q.Vault().Hash("recovery", string(s.App)+"/"+string(s.User)+"/"+code)
}

// clean is a code as it was handed out, whatever people put between its groups.
func clean(typed string) string {
	return strings.NewReplacer(" ", "", "-", "", "–", "").Replace(strings.ToLower(strings.TrimSpace(typed)))
}

// Generate makes new codes for a user and ends the old ones. They are told once.
func Generate(ctx context.Context, tx *db.Tx, s authn.Subject) (authn.CredentialID, []string, error) {
	s.Kind = Kind
	var set settings
	if err := authn.Settings(ctx, tx, s.App, Kind, &set); err != nil {
		return "", nil, err
	}
	if err := directory.Touch(ctx, tx, s.User); err != nil {
		return "", nil, err
	}
	old, err := authn.Credentials[codes](ctx, tx, s)
	if err != nil {
		return "", nil, err
	}
	for _, c := range old {
		if err := authn.Remove(ctx, tx, s, c.ID); err != nil {
			return "", nil, err
		}
	}
	var shown []string
	var kept codes
	for range set.Count {
		b := make([]byte, 10)
		rand.Read(b)
		code := shape.EncodeToString(b)
		kept.Hashes = append(kept.Hashes, hash(tx, s, code))
		shown = append(shown, code[:4]+"-"+code[4:8]+"-"+code[8:12]+"-"+code[12:])
	}
	id, err := authn.Enroll(ctx, tx, s, "user/"+string(s.User), "", kept)
	return id, shown, err
}

// Verify proves a user by one of their codes, which is then spent. It says how
// many are left. Wrong is charged and must be committed.
func Verify(ctx context.Context, tx *db.Tx, s authn.Subject, typed string) (p authn.Proof, left int, err error) {
	s.Kind = Kind
	var set settings
	if err := authn.Settings(ctx, tx, s.App, Kind, &set); err != nil {
		return p, 0, err
	}
	p, err = authn.Attempt(ctx, tx, s, func() (authn.CredentialID, error) {
		creds, err := authn.Credentials[codes](ctx, tx, s)
		if err != nil {
			return "", err
		}
		want := hash(tx, s, clean(typed))
		for _, c := range creds {
			at := -1
			for i, h := range c.Data.Hashes {
				if subtle.ConstantTimeCompare([]byte(h), []byte(want)) == 1 {
					at = i
				}
			}
			if at < 0 {
				continue
			}
			c.Data.Hashes = append(c.Data.Hashes[:at:at], c.Data.Hashes[at+1:]...)
			left = len(c.Data.Hashes)
			return c.ID, authn.Use(ctx, tx, c)
		}
		return "", authn.Wrong
	})
	if err == nil && set.Notify {
		err = notice.Tell(ctx, tx, s, message.RecoveryUsed, map[string]string{"left": strconv.Itoa(left)})
	}
	return p, left, err
}
