package identity

import (
	"context"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/message"
)

func init() {
	const one = "/v1/applications/{app_id}/auth-methods/{method}"
	call("GET /v1/applications/{app_id}/auth-methods", "List the settings of every method", "apps:read", listMethods)
	call("GET "+one, "Get the settings of a method", "apps:read", getMethod)
	call("PUT "+one, "Replace the settings of a method", "apps:edit", setMethod(false))
	call("PATCH "+one, "Change settings of a method", "apps:edit", setMethod(true))
	call("GET "+one+"/messages", "List what a method says to people", "apps:read", listMessages)
	call("GET "+one+"/messages/{message}", "Preview what a method says to people", "apps:read", previewMessage)
	backend.Asks("GET "+one+"/messages/{message}", "language")
	call("GET "+one+"/lint", "Compare the settings of a method with today's standards", "apps:read", lintMethod)
}

// words are the vendor's names of settings (authenticators.md, "Settings" of each
// method); what has no entry goes by our own name, and a dot leads into an object.
// "" is for every method.
var words = map[authn.Kind]map[string]string{
	"": {"window_minutes": "failuresExpireIn", "tiers": "lockoutTiers"},
	"password": {"min_length": "passwordMinLength", "complexity": "passwordComplexity", "history": "blockPreviousPasswords", "hibp": "checkHibp", "dictionary": "checkDictionary",
		"expires_days": "passwordExpiresIn", "never_expires": "ignoreExpiration", "reset_minutes": "resetValidityMinutes", "reset_code_length": "codeLength", "reset_mfa": "requireMFA",
		"notify": "notifyOnPasswordUpdate", "temporary_hours": "tempPasswordValidityHours", "sharing_group": "password_sharing_group_id", "colour": "message.primaryColor"},
	"totp":       {"max_per_user": "maxTotpPerUser"},
	"magic_link": {"expires_minutes": "expiresIn", "per_minute": "linksPerUser", "colour": "message.primaryColor"},
	"email_otp":  {"expires_minutes": "expiresIn", "length": "codeLength", "cross_clients": "crossClientsAllowed", "colour": "message.primaryColor"},
	"sms_otp":    {"expires_minutes": "expiresIn", "length": "codeLength", "cross_clients": "crossClientsAllowed"},
	"direct_otp": {"expires_minutes": "expiresIn", "length": "codeLength", "cross_clients": "crossClientsAllowed"},
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
		object, member, within := strings.Cut(translated(k, name, false), ".")
		if !within {
			out[object] = v
			continue
		}
		inner, ok := out[object].(map[string]any)
		if !ok {
			inner = map[string]any{}
			out[object] = inner
		}
		inner[member] = v
	}
	return out
}

func inward(k authn.Kind, doc map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range opened(k, doc) {
		ours := translated(k, name, true)
		if ours == "tiers" {
			v = retiered(v, "attempts", "failures", "duration", "minutes")
		}
		out[ours] = v
	}
	return out
}

// opened is a document without the objects that the vendor has and we have not:
// {"message": {"primaryColor": …}} is "message.primaryColor".
func opened(k authn.Kind, doc map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range doc {
		inner, ok := v.(map[string]any)
		if !ok || !within(k, name) {
			out[name] = v
			continue
		}
		for member, v := range inner {
			out[name+"."+member] = v
		}
	}
	return out
}

// within reports whether settings of a method stand in an object of this name.
func within(k authn.Kind, object string) bool {
	for _, theirs := range words[k] {
		if strings.HasPrefix(theirs, object+".") {
			return true
		}
	}
	return false
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

func listMessages(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	m, _, err := styled(ctx, x)
	return backend.Out{Body: map[string]any{"result": m.Messages, "languages": message.Languages()}}, err
}

// styled is the method of the route, and how its messages look and read.
func styled(ctx context.Context, x *backend.Exec) (m authn.Method, s message.Style, err error) {
	if err := appIn(x); err != nil {
		return m, s, err
	}
	if m, err = authn.Find(kindOfMethod(x.Path("method"))); err != nil {
		return m, s, err
	}
	doc, err := authn.Configured(ctx, x.Kit.DB, x.App.ID, m.Kind)
	if err != nil {
		return m, s, err
	}
	s, err = message.StyleOf(doc)
	return m, s, err
}

func previewMessage(ctx context.Context, x *backend.Exec, _ none) (backend.Out, error) {
	m, s, err := styled(ctx, x)
	if err != nil {
		return backend.Out{}, err
	}
	name := x.Path("message")
	if !slices.Contains(m.Messages, name) {
		return backend.Out{}, fault.New(fault.NotFound, "The method has no such message.")
	}
	p, err := message.Preview(x.App, name, x.Path("language"), s)
	return result(map[string]any{"subject": p.Subject, "text": p.Text, "html": p.HTML, "sms": p.SMS}), err
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
