package authn

import (
	"context"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// ByHandle returns the usable credential that goes by a handle where s says,
// whoever's it is; the user of s does not matter. fault.NotFound if there is
// none.
func ByHandle[T any](ctx context.Context, q db.Q, s Subject, handle string) (Credential[T], error) {
	scope, err := s.lives(ctx, q)
	if err != nil {
		return Credential[T]{}, err
	}
	found, err := credentials[T](ctx, q, `SELECT `+credentialColumns+` FROM credentials
		WHERE kind = $1 AND scope = $2 AND handle = $3 AND tenant_id = $4 AND app_id = $5 AND status = 'active'`, s.Kind, scope, handle, s.Tenant, s.App)
	if err == nil && len(found) == 0 {
		err = fault.New(fault.NotFound, "no such credential")
	}
	if err != nil {
		return Credential[T]{}, err
	}
	return found[0], nil
}

// AppsWith names the applications for which somebody stored settings of a method,
// or for whose tenant.
func AppsWith(ctx context.Context, q db.Q, kind Kind) ([]apps.ID, error) {
	return db.Column[apps.ID](ctx, q, `SELECT app_id FROM method_configs WHERE kind = $1
		UNION SELECT a.id FROM apps a JOIN tenant_methods t ON t.tenant_id = a.tenant_id WHERE t.kind = $1 ORDER BY 1`, kind)
}
