package journey

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Draft is a journey as it is being drawn. It may have any problem but an
// impossible id; nobody runs it but who tries it.
type Draft struct {
	Graph     Graph
	Mark      string // of its state: whoever saves says which state they changed
	Base      int64  // the version that it began with; 0: none
	UpdatedAt time.Time
	UpdatedBy string // an administrator's user id
}

// errStale is the refusal of a change to a draft that is not as it was.
var idTaken = fault.At(fault.New(fault.Conflict, "There is a journey with this id."), "id")

var errStale = fault.New(fault.Conflict, "Somebody else changed this journey meanwhile.")

// IsStale reports whether err says that a draft was changed meanwhile.
func IsStale(err error) bool { return errors.Is(err, errStale) }

func markOfDraft(rev int64) string       { return fmt.Sprintf("d%d", rev) }
func markOfVersion(version int64) string { return fmt.Sprintf("v%d", version) }

// revOf is the revision that a draft's mark names; 0 is none.
func revOf(mark string) int64 {
	n, err := strconv.ParseInt(strings.TrimPrefix(mark, "d"), 10, 64)
	if err != nil || markOfDraft(n) != mark {
		return 0
	}
	return n
}

// FindDraft returns what is being drawn: the draft, or the newest version where
// there is none. fault.NotFound if there is no such journey.
func FindDraft(ctx context.Context, q db.Q, tenant apps.TenantID, id string) (Draft, error) {
	var d Draft
	var rev int64
	err := q.QueryRow(ctx, `SELECT graph, base, rev, updated_at, updated_by FROM drafts WHERE tenant_id = $1 AND id = $2`, tenant, id).
		Scan(db.JSON(&d.Graph), &d.Base, &rev, db.Time(&d.UpdatedAt), &d.UpdatedBy)
	if err == nil {
		d.Mark = markOfDraft(rev)
		return d, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return d, err
	}
	v, err := lastVersion(ctx, q, tenant, id)
	return Draft{Graph: v.Graph, Mark: markOfVersion(v.Number), Base: v.Number, UpdatedAt: v.At, UpdatedBy: v.By}, err
}

// Draw creates the draft of a new journey. fault.Conflict if the id is taken,
// fault.Invalid if it cannot be an id.
func Draw(ctx context.Context, tx *db.Tx, tenant apps.TenantID, g Graph, by string) error {
	if !validID(g.ID) {
		return fault.At(fault.New(fault.Invalid, "The id must be 1 to 64 letters, digits, '-', '_' or '.'."), "id")
	}
	if _, err := lastVersion(ctx, tx, tenant, g.ID); !fault.Is(err, fault.NotFound) {
		return errors.Join(err, idTaken)
	}
	n, err := insertDraft(ctx, tx, tenant, g, 0, by)
	if err == nil && n == 0 {
		return idTaken
	}
	return err
}

func insertDraft(ctx context.Context, tx *db.Tx, tenant apps.TenantID, g Graph, base int64, by string) (int64, error) {
	return tx.Exec(ctx, `INSERT INTO drafts (tenant_id, id, kind, name, graph, base, rev, updated_at, updated_by) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8)
		ON CONFLICT (tenant_id, id) DO NOTHING`, tenant, g.ID, g.Kind, g.Name, db.Text(g), base, tx.Now(), by)
}

// SaveDraft stores a draft over the state that mark names and returns the mark
// of the new one. If the draft is in another state by now nothing changes and
// IsStale tells; fault.NotFound if there is no such journey.
func SaveDraft(ctx context.Context, tx *db.Tx, tenant apps.TenantID, g Graph, mark, by string) (string, error) {
	now, err := FindDraft(ctx, tx, tenant, g.ID)
	if err != nil {
		return "", err
	}
	if now.Mark != mark {
		return "", errStale
	}
	if now.Mark == markOfVersion(now.Base) {
		n, err := insertDraft(ctx, tx, tenant, g, now.Base, by)
		if err == nil && n == 0 {
			err = errStale
		}
		return markOfDraft(1), err
	}
	var rev int64
	err = tx.QueryRow(ctx, `UPDATE drafts SET kind = $1, name = $2, graph = $3, rev = rev + 1, updated_at = $4, updated_by = $5
		WHERE tenant_id = $6 AND id = $7 AND rev = $8 RETURNING rev`, g.Kind, g.Name, db.Text(g), tx.Now(), by, tenant, g.ID, revOf(mark)).Scan(&rev)
	if errors.Is(err, sql.ErrNoRows) {
		err = errStale
	}
	return markOfDraft(rev), err
}

// PublishDraft publishes what is being drawn, if it is in the state that mark
// names (IsStale tells), and returns the version. The draft ends with it. What
// Publish refuses is refused.
func PublishDraft(ctx context.Context, tx *db.Tx, tenant apps.TenantID, id, mark, by, note string) (int64, error) {
	d, err := FindDraft(ctx, tx, tenant, id)
	if err != nil {
		return 0, err
	}
	if d.Mark != mark {
		return 0, errStale
	}
	if d.Mark != markOfVersion(d.Base) {
		n, err := tx.Exec(ctx, `DELETE FROM drafts WHERE tenant_id = $1 AND id = $2 AND rev = $3`, tenant, id, revOf(mark))
		if err != nil {
			return 0, err
		}
		if n == 0 {
			return 0, errStale
		}
	}
	return PublishBy(ctx, tx, tenant, d.Graph, by, note)
}

// DropDraft forgets what is being drawn and was not published. If it is not in the
// state that mark names, or there is none, nothing changes and IsStale tells.
func DropDraft(ctx context.Context, tx *db.Tx, tenant apps.TenantID, id, mark string) error {
	n, err := tx.Exec(ctx, `DELETE FROM drafts WHERE tenant_id = $1 AND id = $2 AND rev = $3`, tenant, id, revOf(mark))
	if err == nil && n == 0 {
		return errStale
	}
	return err
}

// Version is a published state of a journey. It never changes.
type Version struct {
	Number int64
	Graph  Graph
	At     time.Time
	By     string
	Note   string
	State  string // "production" or "disabled"
}

const versionColumns = `version, graph, created_at, published_by, note, state`

func (v *Version) scan(scan func(...any) error) error {
	return scan(&v.Number, db.JSON(&v.Graph), db.Time(&v.At), &v.By, &v.Note, &v.State)
}

func lastVersion(ctx context.Context, q db.Q, tenant apps.TenantID, id string) (v Version, err error) {
	row := q.QueryRow(ctx, `SELECT `+versionColumns+` FROM journeys WHERE tenant_id = $1 AND id = $2 ORDER BY version DESC LIMIT 1`, tenant, id)
	return v, db.None(v.scan(row.Scan), "journey")
}

// FindVersion returns one version; fault.NotFound if there is none.
func FindVersion(ctx context.Context, q db.Q, tenant apps.TenantID, id string, number int64) (v Version, err error) {
	row := q.QueryRow(ctx, `SELECT `+versionColumns+` FROM journeys WHERE tenant_id = $1 AND id = $2 AND version = $3`, tenant, id, number)
	return v, db.None(v.scan(row.Scan), "version")
}

// Versions returns the versions of a journey before a number, newest first and
// at most limit; before 0 is from the newest on.
func Versions(ctx context.Context, q db.Q, tenant apps.TenantID, id string, before int64, limit int) ([]Version, error) {
	rows, err := q.Query(ctx, `SELECT `+versionColumns+` FROM journeys WHERE tenant_id = $1 AND id = $2 AND (version < $3 OR $3 = 0) ORDER BY version DESC LIMIT $4`, tenant, id, before, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []Version{}
	for rows.Next() {
		var v Version
		if err := v.scan(rows.Scan); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Overview is a journey as a list shows it.
type Overview struct {
	Draft Draft
	Last  Version // Number 0: never published
}

// Overviews returns every journey of a tenant, by id: what can be started, what
// is only drawn, and what was disabled.
func Overviews(ctx context.Context, q db.Q, tenant apps.TenantID) ([]Overview, error) {
	ids, err := allIDs(ctx, q, tenant)
	if err != nil {
		return nil, err
	}
	out := []Overview{}
	for _, id := range ids {
		d, err := FindDraft(ctx, q, tenant, id)
		if err != nil {
			return nil, err
		}
		v, err := lastVersion(ctx, q, tenant, id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		out = append(out, Overview{d, v})
	}
	return out, nil
}

func allIDs(ctx context.Context, q db.Q, tenant apps.TenantID) ([]string, error) {
	return db.Column[string](ctx, q, `SELECT id FROM journeys WHERE tenant_id = $1 UNION SELECT id FROM drafts WHERE tenant_id = $1 ORDER BY id LIMIT 2000`, tenant)
}

// Dirty reports whether what is drawn differs from what was published last.
func (o Overview) Dirty() bool {
	return o.Last.Number == 0 || db.Text(o.Draft.Graph) != db.Text(o.Last.Graph)
}
