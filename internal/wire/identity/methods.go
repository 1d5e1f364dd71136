package identity

import (
	"context"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

func init() {
	const one = "/v1/applications/{app_id}/auth-methods/{method}"
	call("GET /v1/applications/{app_id}/auth-methods", "List the settings of every method", "apps:read", listMethods)
	call("GET "+one, "Get the settings of a method", "apps:read", getMethod)
	call("PUT "+one, "Replace the settings of a method", "apps:edit", setMethod(false))
	call("PATCH "+one, "Change settings of a method", "apps:edit", setMethod(true))
	call("GET "+one+"/lint", "Compare the settings of a method with today's standards", "apps:read", lintMethod)
}

// words are the vendor's names of settings (authenticators.md, "Settings" of each
// method); what has no entry goes by our own name. "" is for every method.
var words = map[authn.Kind]map[string]string{
	"": {"window_minutes": "failuresExpireIn", "tiers": "lockoutTiers"},
	"password": {"min_length": "passwordMinLength", "complexity": "passwordComplexity", "history": "blockPreviousPasswords", "hibp": "checkHibp", "dictionary": "checkDictionary",
		"expires_days": "passwordExpiresIn", "never_expires": "ignoreExpiration", "reset_minutes": "resetValidityMinutes", "reset_code_length": "codeLength", "reset_mfa": "requireMFA",
		"notify": "notifyOnPasswordUpdate", "temporary_hours": "tempPasswordValidityHours", "sharing_group": "password_sharing_group_id"},
	"totp":       {"max_per_user": "maxTotpPerUser"},
	"magic_link": {"expires_minutes": "expiresIn", "per_minute": "linksPerUser"},
	"email_otp":  {"expires_minutes": "expiresIn", "length": "codeLength"},
	"sms_otp":    {"expires_minutes": "expiresIn", "length": "codeLength"},
	"direct_otp": {"expires_minutes": "expiresIn", "length": "codeLength"},
	"passkey": {"rp_id": "rpId", "web_origins": "rpWebOrigins", "mobile_origins": "rpMobileOrigins", "one_per_ecosystem": "replaceExistingPasskey", "allow_synced": "allowSyncedPasskeys",
		"enforce_attestation": "enforceAttestation", "attestation": "attestationType", "aaguid_allow": "aaguidAllowList", "aaguid_block": "aaguidBlockList"},
	"face": {"save_reference": "saveImageEmbedding"},
}

// vendorMethod names are those of login_preferences.auth_methods.
var vendorMethod = map[string]authn.Kind{"email": "magic_link", "sms": "sms_otp", "webauthn_api": "passkey", "pin_authenticator": "pin"}

func kindOfMethod(word string) authn.Kind {
	if k, ok := vendorMethod[word]; ok {
		return k
	}
	return ourKind(word)
}

func outward(k authn.Kind, doc map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range doc {
		if name == "tiers" {
			v = retiered(v, "failures", "attempts", "minutes", "duration")
		}
		out[translated(k, name, false)] = v
	}
	return out
}

func inward(k authn.Kind, doc map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range doc {
		ours := translated(k, name, true)
		if ours == "tiers" {
			v = retiered(v, "attempts", "failures", "duration", "minutes")
		}
		out[ours] = v
	}
	return out
}

func translated(k authn.Kind, name string, inward bool) string {
	for _, table := range []map[string]string{words[""], words[k]} {
		for ours, theirs := range table {
			if inward && theirs == name {
				return ours
			}
			if !inward && ours == name {
				return theirs
			}
		}
	}
	return name
}

// retiered renames the members of lockout tiers; what is not a list of objects
// stays as it is, for the form to refuse.
func retiered(v any, from1, to1, from2, to2 string) any {
	rows, ok := v.([]any)
	if !ok {
		return v
	}
	out := make([]any, 0, len(rows))
	for _, r := range rows {
		row, ok := r.(map[string]any)
		if !ok {
			return v
		}
		renamed := map[string]any{}
		for name, x := range row {
			switch name {
			case from1:
				name = to1
			case from2:
				name = to2
			}
			renamed[name] = x
		}
		out = append(out, renamed)
	}
	return out
}

// appIn is the caller's own application, the only one that it may name.
func appIn(x *backend.Exec) error {
	if x.Path("app_id") != string(x.App.ID) {
		return backend.Code(fault.New(fault.NotFound, "no such application"), "app_not_exist")
	}
	return nil
}

func listMethods(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	if err := appIn(x); err != nil {
		return backend.Out{}, err
	}
	out := map[string]any{}
	for _, m := range authn.Methods() {
		doc, err := authn.Configured(ctx, x.Kit.DB, x.App.ID, m.Kind)
		if err != nil {
			return backend.Out{}, err
		}
		out[string(m.Kind)] = outward(m.Kind, doc)
	}
	return result(out), nil
}

func getMethod(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	if err := appIn(x); err != nil {
		return backend.Out{}, err
	}
	kind := kindOfMethod(x.Path("method"))
	doc, err := authn.Configured(ctx, x.Kit.DB, x.App.ID, kind)
	return result(outward(kind, doc)), err
}

func setMethod(merge bool) func(ctx context.Context, x *backend.Exec, in map[string]any) (backend.Out, error) {
	return func(ctx context.Context, x *backend.Exec, in map[string]any) (backend.Out, error) {
		if err := appIn(x); err != nil {
			return backend.Out{}, err
		}
		kind := kindOfMethod(x.Path("method"))
		err := x.Kit.DB.Move(ctx, func(tx *db.Tx) error {
			var err error
			if merge {
				err = authn.Adjust(ctx, tx, authn.Place{Tenant: x.App.Tenant, App: x.App.ID}, kind, inward(kind, in))
			} else {
				err = authn.Configure(ctx, tx, x.App.ID, kind, inward(kind, in))
			}
			if err != nil {
				return err
			}
			return audit.Record(ctx, tx, audit.Event{Tenant: string(x.App.Tenant), App: string(x.App.ID), Client: string(x.Client), Type: "config.method", Actor: string(x.Client),
				Target: string(kind), IP: x.Address, UserAgent: x.Agent, Outcome: "success"})
		})
		if err != nil {
			return backend.Out{}, err
		}
		return getMethod(ctx, x, none{})
	}
}

func lintMethod(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	if err := appIn(x); err != nil {
		return backend.Out{}, err
	}
	notes, err := authn.Lint(ctx, x.Kit.DB, x.App.ID, kindOfMethod(x.Path("method")))
	out := make([]any, 0, len(notes))
	for _, n := range notes {
		out = append(out, map[string]any{"code": n.Code, "severity": string(n.Severity), "field": n.Field, "message": n.Message, "ref": n.Ref})
	}
	return result(out), err
}
