package adminapi

import (
	"context"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/message"
)

// Settings are those of the tenant.
type Settings struct {
	TenantName string   `json:"tenant_name" minLength:"1" maxLength:"100"`
	Languages  []string `json:"languages" doc:"Offered; empty: all."`
	Default    string   `json:"default_language"`
	RunDays    int      `json:"run_retention_days" minimum:"0" maximum:"3650" doc:"0: as long as this server keeps them by itself."`
	AuditDays  int      `json:"audit_retention_days" minimum:"0" maximum:"3650" doc:"0: for good. The record is one for all tenants; it is kept as long as the one that keeps it longest wants."`
}

func (c *Call) settings(ctx context.Context, q db.Q) (Settings, error) {
	t, err := apps.FindTenant(ctx, q, c.tenant())
	if err != nil {
		return Settings{}, err
	}
	s, err := t.Settings(ctx, q)
	return Settings{t.Name, append([]string{}, s.Languages...), s.Default, s.RunDays, s.AuditDays}, err
}

func getSettings(ctx context.Context, c *Call, _ *empty) (*tagged[Settings], error) {
	s, err := c.settings(ctx, c.Kit.DB)
	return tag(s), err
}

type settingsPut struct {
	IfMatch
	Body Settings
}

func putSettings(ctx context.Context, c *Call, in *settingsPut) (*tagged[Settings], error) {
	var out Settings
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		now, err := c.settings(ctx, tx)
		if err != nil {
			return "", err
		}
		if err := in.unchanged(now); err != nil {
			return "", err
		}
		b := in.Body
		err = apps.SetTenant(ctx, tx, apps.Tenant{ID: c.tenant(), Name: b.TenantName}, apps.TenantSettings{Languages: b.Languages, Default: b.Default, RunDays: b.RunDays, AuditDays: b.AuditDays}, message.Languages())
		if err != nil {
			return "", err
		}
		out, err = c.settings(ctx, tx)
		return string(c.tenant()), err
	})
	return tag(out), err
}
