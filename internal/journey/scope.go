package journey

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/expr"
	"github.com/watchword-auth/watchword/internal/fault"
)

// scope is what the expressions of a node may see: the variables of the
// journey, and the functions of the seeds. No secret and no other run is in it.
func (x *Exec) scope(ctx context.Context) expr.Scope {
	r := x.run
	return expr.Scope{
		Vars: r.frame().Vars,
		Functions: map[string]func([]any) (any, error){
			"policy.request":                    value(func() (any, error) { return map[string]any{"params": filled(r.Params), "locale": r.Caller.Locale}, nil }),
			"policy.sdkSavedData":               value(func() (any, error) { return filled(r.Saved), nil }),
			"policy.getMobileApproveParameters": value(func() (any, error) { return filled(r.Trusted), nil }),
			"policy.isUserAuthenticated":        value(func() (any, error) { return len(r.Proofs) > 0, nil }),
			"policy.isLevelReached":             value(func() (any, error) { return authn.Reaches(authn.ACR(r.Proofs), r.Levels), nil }),
			"policy.userContext":                value(func() (any, error) { return x.userContext(ctx) }),
			"policy.userTokens": value(func() (any, error) {
				return map[string]any{"amr": authn.AMR(r.Proofs), "acr": authn.ACR(r.Proofs)}, nil
			}),
			"time.now":    value(func() (any, error) { return float64(x.Now().UnixMilli()), nil }),
			"time.nowISO": value(func() (any, error) { return x.Now().Format(time.RFC3339Nano), nil }),
		},
	}
}

func value(fn func() (any, error)) func([]any) (any, error) {
	return func([]any) (any, error) { return fn() }
}

func filled(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// userContext is the user of the run as expressions see them. Before a proof it
// says only that there is none.
func (x *Exec) userContext(ctx context.Context) (any, error) {
	id := x.Proven()
	if id == "" {
		return map[string]any{"authenticated": false}, nil
	}
	u, err := directory.Find(ctx, x.Q, x.run.Tenant, id)
	if fault.Is(err, fault.NotFound) {
		return map[string]any{"authenticated": false}, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string]any{
		"authenticated": true, "user_id": string(u.ID), "userid": string(u.ID), "external_user_id": u.ExternalID, "status": string(u.Status), "custom_data": filled(u.Custom),
		"amr": authn.AMR(x.run.Proofs), "acr": authn.ACR(x.run.Proofs),
	}
	names, err := directory.Identifiers(ctx, x.Q, id)
	for _, n := range names {
		if _, has := out[wireName(n.Kind)]; !has {
			out[wireName(n.Kind)] = n.Value
		}
	}
	return out, err
}

func wireName(k directory.IdentifierKind) string {
	if k == directory.Phone {
		return "phone_number"
	}
	return string(k)
}
