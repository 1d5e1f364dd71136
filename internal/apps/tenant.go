package apps

import (
	"context"
	"slices"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// TenantSettings is what an operator sets of a tenant. In its zero value every
// language is offered and everything is kept.
type TenantSettings struct {
	Languages []string `json:"languages,omitempty" yaml:"languages,omitempty"`               // offered; empty: all
	Default   string   `json:"default_language,omitempty" yaml:"default_language,omitempty"` // of who wants none of them; empty: English
	RunDays   int      `json:"run_retention_days,omitempty" yaml:"run_retention_days,omitempty"`
	AuditDays int      `json:"audit_retention_days,omitempty" yaml:"audit_retention_days,omitempty"` // 0: for good
}

// maxDays bounds how long is kept what is not kept for good.
const maxDays = 3650

// Settings returns what is set of a tenant.
func (t Tenant) Settings(ctx context.Context, q db.Q) (TenantSettings, error) {
	var s TenantSettings
	err := q.QueryRow(ctx, `SELECT settings FROM tenants WHERE id = $1`, t.ID).Scan(db.JSON(&s))
	return s, db.None(err, "tenant")
}

// SettingsOf returns what is set of the tenant that an application belongs to; the
// zero value if there is no such application.
func SettingsOf(ctx context.Context, q db.Q, app ID) (TenantSettings, error) {
	var s TenantSettings
	err := q.QueryRow(ctx, `SELECT t.settings FROM apps a JOIN tenants t ON t.id = a.tenant_id WHERE a.id = $1`, app).Scan(db.JSON(&s))
	if fault.Is(db.None(err, "application"), fault.NotFound) {
		return TenantSettings{}, nil
	}
	return s, err
}

// SetTenant changes a tenant's name and settings. known are the languages that
// there are.
func SetTenant(ctx context.Context, tx *db.Tx, t Tenant, s TenantSettings, known []string) error {
	if t.Name == "" || len([]rune(t.Name)) > 100 {
		return fault.At(fault.New(fault.Invalid, "A tenant's name has 1 to 100 characters."), "tenant_name")
	}
	for _, l := range append(slices.Clone(s.Languages), s.Default) {
		if l != "" && !slices.Contains(known, l) {
			return fault.At(fault.New(fault.Invalid, "Nothing is said in this language: %s.", l), "languages")
		}
	}
	if len(s.Languages) > 0 && s.Default != "" && !slices.Contains(s.Languages, s.Default) {
		return fault.At(fault.New(fault.Invalid, "The default language must be one that is offered."), "default_language")
	}
	for _, kept := range []struct {
		place string
		days  int
	}{{"run_retention_days", s.RunDays}, {"audit_retention_days", s.AuditDays}} {
		if kept.days < 0 || kept.days > maxDays {
			return fault.At(fault.New(fault.Invalid, "What is kept is kept for 1 to %d days, or for good.", maxDays), kept.place)
		}
	}
	n, err := tx.Exec(ctx, `UPDATE tenants SET name = $1, settings = $2 WHERE id = $3`, t.Name, db.Text(s), t.ID)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such tenant")
	}
	return err
}
