package audit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
)

// Entry is an event as it was recorded.
type Entry struct {
	ID string
	At time.Time
	Event
}

// Filter says which entries Find returns. Empty fields do not restrict, except
// Tenant, which is always meant.
type Filter struct {
	Tenant  string
	App     string
	Type    string // exactly, or everything below it when it ends with a dot
	Outcome string
	Actor   string
	Target  string
	Run     string
	From    time.Time // inclusive
	Until   time.Time // exclusive
	Before  string    // the ID of an entry: only older ones, for the next page
	Limit   int       // 1 to 500; 50 when 0
}

// Find returns the entries that f asks for, newest first.
func Find(ctx context.Context, q db.Q, f Filter) ([]Entry, error) {
	var where []string
	var args []any
	cond := func(text string, arg any) {
		args = append(args, arg)
		where = append(where, fmt.Sprintf(text, len(args)))
	}
	equal := func(column, value string) {
		if value != "" {
			cond(column+" = $%d", value)
		}
	}
	cond("tenant_id = $%d", f.Tenant)
	equal("app_id", f.App)
	equal("outcome", f.Outcome)
	equal("actor", f.Actor)
	equal("target", f.Target)
	equal("run_id", f.Run)
	if strings.HasSuffix(f.Type, ".") {
		// Not a range: PostgreSQL may be set up to order punctuation its own way.
		cond("type LIKE $%d ESCAPE '!'", wildcards.Replace(f.Type)+"%")
	} else {
		equal("type", f.Type)
	}
	if !f.From.IsZero() {
		cond("at >= $%d", f.From)
	}
	if !f.Until.IsZero() {
		cond("at < $%d", f.Until)
	}
	if f.Before != "" {
		cond("id < $%d", f.Before)
	}
	limit := 50
	if f.Limit > 0 {
		limit = min(f.Limit, 500)
	}
	args = append(args, limit)
	rows, err := read(ctx, q, `SELECT `+columns+` FROM audit WHERE `+strings.Join(where, " AND ")+
		fmt.Sprintf(` ORDER BY id DESC LIMIT $%d`, len(args)), args...)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(rows))
	for i, r := range rows {
		entries[i] = r.Entry
	}
	return entries, nil
}

var wildcards = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")
