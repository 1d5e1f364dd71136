package audit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
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
	var c conditions
	c.add("tenant_id = $%d", f.Tenant)
	c.given("target = $%d", f.Target)
	c.given("id < $%d", f.Before)
	f.narrow(&c)
	limit := 50
	if f.Limit > 0 {
		limit = min(f.Limit, 500)
	}
	return newest(ctx, q, ` FROM audit`, c, limit)
}

// conditions are what entries must fulfil, with the arguments of the query so far.
type conditions struct {
	texts []string
	args  []any
}

// add is one more; text has %d for the number of its argument.
func (c *conditions) add(text string, arg any) {
	c.args = append(c.args, arg)
	c.texts = append(c.texts, fmt.Sprintf(text, len(c.args)))
}

// given is add, unless value is empty.
func (c *conditions) given(text, value string) {
	if value != "" {
		c.add(text, value)
	}
}

// narrow adds what f asks for besides the tenant, the target and the place: what
// there is no index for.
func (f Filter) narrow(c *conditions) {
	c.given("app_id = $%d", f.App)
	c.given("outcome = $%d", f.Outcome)
	c.given("actor = $%d", f.Actor)
	c.given("run_id = $%d", f.Run)
	if strings.HasSuffix(f.Type, ".") {
		// Not a range: PostgreSQL may be set up to order punctuation its own way.
		c.add("type LIKE $%d ESCAPE '!'", wildcards.Replace(f.Type)+"%")
	} else {
		c.given("type = $%d", f.Type)
	}
	if !f.From.IsZero() {
		c.add("at >= $%d", f.From)
	}
	if !f.Until.IsZero() {
		c.add("at < $%d", f.Until)
	}
}

// newest reads the newest entries of a source that fulfil conditions.
func newest(ctx context.Context, q db.Q, from string, c conditions, limit int) ([]Entry, error) {
	query := `SELECT ` + columns + from
	if len(c.texts) > 0 {
		query += ` WHERE ` + strings.Join(c.texts, " AND ")
	}
	rows, err := read(ctx, q, query+fmt.Sprintf(` ORDER BY id DESC LIMIT $%d`, len(c.args)+1), append(c.args, limit)...)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(rows))
	for i, r := range rows {
		entries[i] = r.Entry
	}
	return entries, nil
}

// Recall returns an entry of a tenant; fault.NotFound if there is none such, or
// none any more.
func Recall(ctx context.Context, q db.Q, tenant, id string) (Entry, error) {
	rows, err := read(ctx, q, `SELECT `+columns+` FROM audit WHERE id = $1 AND tenant_id = $2`, id, tenant)
	if err == nil && len(rows) == 0 {
		err = fault.New(fault.NotFound, "This event is not in the record any more.")
	}
	if err != nil {
		return Entry{}, err
	}
	return rows[0].Entry, nil
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
	var c conditions
	c.add("tenant_id = $%d", f.Tenant)
	c.given("target = $%d", f.Target)
	c.given("id < $%d", before)
	return ` FROM audit WHERE ` + strings.Join(c.texts, " AND ") + fmt.Sprintf(` ORDER BY id DESC LIMIT %d`, window), c.args
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

// window returns what f asks for of the window behind an entry.
func (f Filter) window(ctx context.Context, q db.Q, before string, limit int) ([]Entry, error) {
	inner, args := f.inner(before)
	c := conditions{args: args}
	f.narrow(&c)
	return newest(ctx, q, ` FROM (SELECT `+columns+inner+`) w`, c, limit)
}
