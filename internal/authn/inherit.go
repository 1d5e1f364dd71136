package authn

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// Place is where settings of a method are set: a tenant, for all its
// applications, or one application of it.
type Place struct {
	Tenant apps.TenantID
	App    apps.ID // empty: the whole tenant
}

// Where a value comes from.
const (
	FromDefault     = "default"
	FromTenant      = "tenant"
	FromApplication = "application"
)

// layers is what stands above the defaults: the tenant's settings and the
// application's, as they are stored; "" where nothing is. It is one read.
func layers(ctx context.Context, q db.Q, app apps.ID, kind Kind) (tenant, own string, err error) {
	var t, o sql.NullString
	err = q.QueryRow(ctx, `SELECT (SELECT t.config FROM tenant_methods t JOIN apps a ON a.tenant_id = t.tenant_id WHERE a.id = $1 AND t.kind = $2),
		(SELECT m.config FROM method_configs m WHERE m.app_id = $1 AND m.kind = $2)`, app, kind).Scan(&t, &o)
	return t.String, o.String, err
}

// standing is what lists want of a method's settings in an application.
type standing struct {
	Enabled bool   `json:"enabled"`
	Group   string `json:"sharing_group"`
}

// standings are those of every method, in one read.
func standings(ctx context.Context, q db.Q, app apps.ID) (map[Kind]standing, error) {
	out := map[Kind]standing{}
	for kind := range methods {
		out[kind] = standing{Enabled: true}
	}
	rows, err := q.Query(ctx, `SELECT 0, t.kind, t.config FROM tenant_methods t JOIN apps a ON a.tenant_id = t.tenant_id WHERE a.id = $1
		UNION ALL SELECT 1, m.kind, m.config FROM method_configs m WHERE m.app_id = $1 ORDER BY 1`, app)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var layer int
		var kind Kind
		var text string
		if err := rows.Scan(&layer, &kind, &text); err != nil {
			return nil, err
		}
		st := out[kind]
		if err := json.Unmarshal([]byte(text), &st); err != nil {
			return nil, fmt.Errorf("settings of %s: %w", kind, err)
		}
		out[kind] = st
	}
	return out, rows.Err()
}

func (p Place) layers(ctx context.Context, q db.Q, kind Kind) (tenant, own map[string]any, err error) {
	var t, o string
	if p.App != "" {
		t, o, err = layers(ctx, q, p.App, kind)
	} else if err = q.QueryRow(ctx, `SELECT config FROM tenant_methods WHERE tenant_id = $1 AND kind = $2`, p.Tenant, kind).Scan(&o); errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	if err != nil {
		return nil, nil, err
	}
	tenant, own = map[string]any{}, map[string]any{}
	for text, doc := range map[string]*map[string]any{t: &tenant, o: &own} {
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), doc); err != nil {
			return nil, nil, fmt.Errorf("settings of %s: %w", kind, err)
		}
	}
	return tenant, own, nil
}

// Setting is what is set of a method at a place: the whole as it counts there,
// what is set at this very place, and where each field comes from.
type Setting struct {
	Whole, Own map[string]any
	From       map[string]string
}

// At returns what is set of a method at a place; fault.NotFound if there is no
// such method.
func At(ctx context.Context, q db.Q, p Place, kind Kind) (Setting, error) {
	m, ok := methods[kind]
	if !ok || m.Hidden {
		return Setting{}, unknownMethod(kind)
	}
	tenant, own, err := p.layers(ctx, q, kind)
	if err != nil {
		return Setting{}, err
	}
	s := Setting{Own: own, From: map[string]string{}}
	if s.Whole, err = m.Config.Check(merged(tenant, own)); err != nil {
		return s, fmt.Errorf("settings of %s: %w", kind, err)
	}
	for name := range s.Whole {
		switch _, inherited := tenant[name]; {
		case own[name] != nil && p.App != "":
			s.From[name] = FromApplication
		case own[name] != nil || inherited:
			s.From[name] = FromTenant
		default:
			s.From[name] = FromDefault
		}
	}
	return s, nil
}

func merged(docs ...map[string]any) map[string]any {
	out := map[string]any{}
	for _, doc := range docs {
		maps.Copy(out, doc)
	}
	return out
}

func unknownMethod(kind Kind) error {
	return fault.New(fault.NotFound, "There is no method called %s.", kind)
}

// Try returns what would count at a place if own were set there, and what is
// wrong with it. It stores nothing.
func Try(ctx context.Context, q db.Q, p Place, kind Kind, own map[string]any) (whole map[string]any, wrong []form.Problem, err error) {
	m, ok := methods[kind]
	if !ok || m.Hidden {
		return nil, nil, unknownMethod(kind)
	}
	tenant, _, err := p.layers(ctx, q, kind)
	if err != nil {
		return nil, nil, err
	}
	if p.App == "" {
		tenant = nil
	}
	doc := merged(tenant, own)
	if wrong = m.Config.Problems(doc); len(wrong) > 0 {
		return nil, wrong, nil
	}
	if whole, err = m.Config.Check(doc); err != nil {
		return nil, nil, err
	}
	var policy lockout.Policy
	if err := json.Unmarshal([]byte(db.Text(whole)), &policy); err != nil {
		return nil, nil, fault.New(fault.Invalid, "The settings of %s do not fit.", kind).Because(err)
	}
	if err := policy.Check(); err != nil {
		return nil, []form.Problem{{Path: fault.Of(err).Place, Text: fault.Of(err).Message}}, nil
	}
	if m.Check == nil {
		return whole, nil, nil
	}
	if err := m.Check(whole); err != nil {
		return nil, []form.Problem{{Path: fault.Of(err).Place, Text: fault.Of(err).Message}}, nil
	}
	return whole, nil, nil
}

// Set replaces what is set of a method at a place; what own leaves out is
// inherited. fault.Invalid says what does not fit.
func Set(ctx context.Context, tx *db.Tx, p Place, kind Kind, own map[string]any) error {
	whole, wrong, err := Try(ctx, tx, p, kind, own)
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return wrong[0].Err()
	}
	kept := map[string]any{}
	for name, v := range own {
		if v != nil {
			kept[name] = whole[name] // as it was checked
		}
	}
	if p.App == "" {
		_, err = tx.Exec(ctx, `INSERT INTO tenant_methods (tenant_id, kind, config, updated_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (tenant_id, kind) DO UPDATE SET config = excluded.config, updated_at = excluded.updated_at`, p.Tenant, kind, db.Text(kept), tx.Now())
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO method_configs (app_id, kind, config, updated_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (app_id, kind) DO UPDATE SET config = excluded.config, updated_at = excluded.updated_at`, p.App, kind, db.Text(kept), tx.Now())
	return err
}

// Inherit sets nothing at a place any more.
func Inherit(ctx context.Context, tx *db.Tx, p Place, kind Kind) error {
	if !Known(kind) {
		return unknownMethod(kind)
	}
	if p.App == "" {
		_, err := tx.Exec(ctx, `DELETE FROM tenant_methods WHERE tenant_id = $1 AND kind = $2`, p.Tenant, kind)
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM method_configs WHERE app_id = $1 AND kind = $2`, p.App, kind)
	return err
}

// Adjust sets some fields of a method at a place and leaves the others as they
// are: set there, or inherited.
func Adjust(ctx context.Context, tx *db.Tx, p Place, kind Kind, some map[string]any) error {
	_, own, err := p.layers(ctx, tx, kind)
	if err != nil {
		return err
	}
	return Set(ctx, tx, p, kind, merged(own, some))
}
