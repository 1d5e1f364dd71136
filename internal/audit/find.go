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

// window is how many entries Page looks at in one request to the database, and
// windows how many times it does, so that a filter that matches nothing costs no
// more than one that does.
const (
	window  = 20_000
	windows = 10
)

// Page is Find that looks at a bounded number of entries: where the next page
// begins it says even when it found none. next is empty at the end.
func Page(ctx context.Context, q db.Q, f Filter) (found []Entry, next string, err error) {
	limit := min(max(f.Limit, 1), 500)
	before := f.Before
	for range windows {
		rows, err := f.window(ctx, q, before, limit-len(found))
		if err != nil {
			return nil, "", err
		}
		found = append(found, rows...)
		if len(found) == limit {
			return found, found[limit-1].ID, nil
		}
		if before, err = f.end(ctx, q, before); err != nil || before == "" {
			return found, "", err
		}
	}
	return found, before, nil
}

// inner is the window behind an entry, by what there is an index for.
func (f Filter) inner(before string) (string, []any) {
	text, args := ` FROM audit WHERE tenant_id = $1`, []any{f.Tenant}
	for column, v := range map[string]string{" AND target = $%d": f.Target, " AND id < $%d": before} {
		if v != "" {
			args = append(args, v)
			text += fmt.Sprintf(column, len(args))
		}
	}
	return text + fmt.Sprintf(` ORDER BY id DESC LIMIT %d`, window), args
}

// end returns the last entry of the window behind an entry; empty if there is
// nothing behind it.
func (f Filter) end(ctx context.Context, q db.Q, before string) (string, error) {
	inner, args := f.inner(before)
	var last string
	var n int
	err := q.QueryRow(ctx, `SELECT COALESCE(MIN(id), ''), COUNT(*) FROM (SELECT id`+inner+`) w`, args...).Scan(&last, &n)
	if n < window {
		last = ""
	}
	return last, err
}

func (f Filter) window(ctx context.Context, q db.Q, before string, limit int) ([]Entry, error) {
	inner, args := f.inner(before)
	where := []string{"1 = 1"}
	cond := func(text string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(text, len(args)))
	}
	for column, v := range map[string]string{"app_id = $%d": f.App, "outcome = $%d": f.Outcome, "actor = $%d": f.Actor, "run_id = $%d": f.Run} {
		if v != "" {
			cond(column, v)
		}
	}
	switch {
	case strings.HasSuffix(f.Type, "."):
		cond("type LIKE $%d ESCAPE '!'", wildcards.Replace(f.Type)+"%")
	case f.Type != "":
		cond("type = $%d", f.Type)
	}
	if !f.From.IsZero() {
		cond("at >= $%d", f.From)
	}
	if !f.Until.IsZero() {
		cond("at < $%d", f.Until)
	}
	args = append(args, limit)
	rows, err := read(ctx, q, `SELECT `+columns+` FROM (SELECT `+columns+inner+`) w WHERE `+strings.Join(where, " AND ")+fmt.Sprintf(` ORDER BY id DESC LIMIT $%d`, len(args)), args...)
	out := make([]Entry, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Entry)
	}
	return out, err
}
