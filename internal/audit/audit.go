// Package audit keeps the record of what happened: append-only, written in the
// transaction of what it records, and chained afterwards so that a change to it
// shows.
//
// It decides nothing and alerts nobody, and it refuses to store secrets.
package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/db"
)

// Event is one thing that happened. Type is a dotted lower-case name
// ("auth.totp.verified"); Outcome is "success" or "failure", and Reason says in
// a word why it failed. Actor did it, Target it was done to. Empty fields are
// unknown.
type Event struct {
	Tenant, App, Client   string
	Type, Outcome, Reason string
	Actor, Target         string
	Run, Device           string
	IP, UserAgent         string
	Data                  map[string]any
}

// Record appends e in the caller's transaction: it is kept if and only if that
// commits, and counted as "type outcome" (db.Tx.Count). It fails, and so should the
// transaction, when e has no Type or a key of Data, at any depth, names a secret
// (Secretive). Texts of clients are cut to 512 bytes. What e does not say of where it
// comes from is taken from the context (From).
func Record(ctx context.Context, tx *db.Tx, e Event) error {
	if e.Type == "" {
		return fmt.Errorf("audit: an event without a type")
	}
	e = e.located(ctx)
	if key := forbidden(e.Data); key != "" {
		return fmt.Errorf("audit: %s would record %q, which may be secret", e.Type, key)
	}
	data := "{}"
	if len(e.Data) > 0 {
		data = db.Text(e.Data)
	}
	_, err := tx.Exec(ctx, `INSERT INTO audit (id, tenant_id, app_id, client_id, at, type, outcome, reason, actor, target, run_id, device_id, ip, user_agent, data, seq, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, '')`,
		db.NewID("aud_"), e.Tenant, e.App, e.Client, tx.Now(), e.Type, e.Outcome, cut(e.Reason), e.Actor, cut(e.Target),
		e.Run, e.Device, e.IP, cut(e.UserAgent), data)
	if err != nil {
		return fmt.Errorf("recording %s: %w", e.Type, err)
	}
	tx.Count(e.Type + " " + e.Outcome)
	return nil
}

// secretWords are the words that no key of Data may contain; "code" is one only
// where it ends a key, and not in those of harmless.
var (
	secretWords = []string{"password", "passwords", "passphrase", "secret", "secrets", "token", "tokens", "pin", "pins", "otp", "otps", "cookie", "authorization", "assertion", "seed", "key"}
	harmless    = map[string]bool{"error_code": true, "status_code": true, "country_code": true, "fault_code": true, "reason_code": true}
)

// forbidden returns the first key of v, at any depth, that names a secret.
func forbidden(v any) string {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if Secretive(key) {
				return key
			}
			if bad := forbidden(inner); bad != "" {
				return bad
			}
		}
	case []any:
		for _, inner := range v {
			if bad := forbidden(inner); bad != "" {
				return bad
			}
		}
	}
	return ""
}

// Secretive reports whether something of this name may be a secret.
func Secretive(name string) bool {
	words := split(name)
	if slices.ContainsFunc(words, func(w string) bool { return slices.Contains(secretWords, w) }) {
		return true
	}
	if len(words) == 0 || harmless[strings.Join(words, "_")] {
		return false
	}
	return slices.Contains([]string{"code", "codes", "passcode"}, words[len(words)-1])
}

// split takes a key apart at capitals, dashes, dots, spaces and underscores.
func split(key string) []string {
	var b strings.Builder
	lower := false
	for _, r := range key {
		up := r >= 'A' && r <= 'Z'
		if up && lower {
			b.WriteByte('_')
		}
		lower = !up
		if up {
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return strings.FieldsFunc(b.String(), func(r rune) bool { return strings.ContainsRune("_-. ", r) })
}

// cut bounds a text to 512 bytes of valid UTF-8 without NUL, which PostgreSQL
// does not store.
func cut(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "�")
	for i := range s {
		if i > 512 {
			return s[:i]
		}
	}
	return s
}
