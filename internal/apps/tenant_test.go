package apps_test

import (
	"testing"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/fault"
)

// TestSetTenantRefusals: what a tenant may not be is said of the member that is meant.
func TestSetTenantRefusals(t *testing.T) {
	for place, s := range map[string]apps.TenantSettings{
		"run_retention_days":   {RunDays: 3651},
		"audit_retention_days": {AuditDays: -1},
		"languages":            {Languages: []string{"xx"}},
		"default_language":     {Languages: []string{"de"}, Default: "en"},
	} {
		err := apps.SetTenant(t.Context(), nil, apps.Tenant{ID: "t", Name: "T"}, s, []string{"de", "en"})
		if f := fault.Of(err); f.Code != fault.Invalid || f.Place != place {
			t.Errorf("%s: %s %q", place, f.Code, f.Place)
		}
	}
}
