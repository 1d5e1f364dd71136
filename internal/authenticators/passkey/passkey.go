// Package passkey is the method of WebAuthn credentials (W3C WebAuthn Level 3,
// seed 003): a key pair that an authenticator keeps for one site and uses only
// after its owner unlocked it. A ceremony begins with a challenge that is good
// once, from anybody who asks; what comes back counts only in a journey step or
// a call that has the right to enrol or to sign in.
package passkey

import (
	"context"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// Kind names the method.
const Kind authn.Kind = "passkey"

// Words of the settings, as WebAuthn has them.
const (
	required  = "required"
	preferred = "preferred"
	none      = "none"
	direct    = "direct"
)

func init() {
	plain := func(label string) form.Form { return form.New(form.Text("", label, form.MaxLen(300))) }
	authn.Register(authn.Method{
		Kind: Kind, Title: "Passkey", Lives: authn.PerDevice, Counts: authn.PerDevice, Unlock: authn.PerApp, Tells: true,
		AMR: []string{"hwk", "user"}, MultiFactor: true,
		Config: append(form.New(
			form.Text("rp_id", "Relying party id", form.MaxLen(253), form.Help("The domain that passkeys are for. Empty: the host of this server. Whoever changes it makes all passkeys useless.")),
			form.Text("rp_name", "Relying party name", form.MaxLen(64), form.Help("Empty: the application's name.")),
			form.List("web_origins", "Web origins", plain("Origin"), form.Between(0, 50), form.Help("Exact origins, such as https://shop.example.org:8443. Empty: the domain of the relying party and everything below it, over https.")),
			form.List("mobile_origins", "Mobile origins", plain("Origin"), form.Between(0, 50), form.Help("ios:bundle-id:… and android:apk-key-hash:…, the hash in base64 or base64url.")),
			form.List("top_origins", "Pages that may embed yours", plain("Origin"), form.Between(0, 50), form.Help("Exact origins of other sites that show a page with a passkey in a frame.")),
			form.Boolean("allow_cross_origin", "Accept frames that name no embedding page"),
			form.List("apple_app_ids", "Apple apps", plain("App id"), form.Between(0, 50), form.Help("TEAMID.bundle-id, for apple-app-site-association.")),
			form.List("android_packages", "Android apps", plain("Package"), form.Between(0, 50), form.Help("Package names, for assetlinks.json.")),
			form.Boolean("one_per_ecosystem", "One passkey per ecosystem", form.Help("A new passkey of Apple or Google replaces the user's old one of the same.")),
			form.Boolean("allow_synced", "Allow synced passkeys", form.Default(true), form.Help("When off, only keys that cannot leave their device are registered.")),
			form.Choice("attestation", "Attestation", []string{none, "indirect", direct}, form.Default(none), form.Named, form.Read(none, "Not asked for", "indirect", "As the browser passes it on", direct, "As the authenticator made it")),
			form.Boolean("enforce_attestation", "Enforce attestation", form.Help("Keys that cannot leave their device are registered only with a certificate that leads to one of the roots below. Synced passkeys have none and are exempt.")),
			form.Text("attestation_roots", "Attestation roots", form.Lines, form.MaxLen(128<<10), form.Help("Certificates in PEM.")),
			form.Text("metadata_file", "FIDO metadata", form.MaxLen(1024), form.Help("The list of the FIDO Metadata Service, as a file on the server that is renewed each month: whose roots vouch for which model, and which models are not safe.")),
			form.List("aaguid_allow", "Only these authenticator models", plain("AAGUID"), form.Between(0, 500)),
			form.List("aaguid_block", "Not these authenticator models", plain("AAGUID"), form.Between(0, 500)),
			form.Choice("user_verification", "User verification", []string{required, preferred, "discouraged"}, form.Default(required), form.Named, form.Read(required, "Always", preferred, "If the authenticator can", "discouraged", "Only if it must"), form.Help("A passkey that did not verify its user counts beside another factor only.")),
			form.Number("max_per_user", "Passkeys per user", form.Default(20), form.Between(1, 100)),
		), lockout.Fields(100, lockout.Tier{Failures: 5, Minutes: 1}, lockout.Tier{Failures: 8, Minutes: 15}, lockout.Tier{Failures: 10, Minutes: 60})...),
		Lint: lint,
	})
}

type settings struct {
	RPID             string   `json:"rp_id"`
	RPName           string   `json:"rp_name"`
	WebOrigins       []string `json:"web_origins"`
	MobileOrigins    []string `json:"mobile_origins"`
	TopOrigins       []string `json:"top_origins"`
	AllowCrossOrigin bool     `json:"allow_cross_origin"`
	AppleApps        []string `json:"apple_app_ids"`
	AndroidPackages  []string `json:"android_packages"`
	OnePerEcosystem  bool     `json:"one_per_ecosystem"`
	AllowSynced      bool     `json:"allow_synced"`
	Attestation      string   `json:"attestation"`
	Enforce          bool     `json:"enforce_attestation"`
	Roots            string   `json:"attestation_roots"`
	Metadata         string   `json:"metadata_file"`
	AAGUIDAllow      []string `json:"aaguid_allow"`
	AAGUIDBlock      []string `json:"aaguid_block"`
	UserVerification string   `json:"user_verification"`
	Max              int      `json:"max_per_user"`
}

// relying is the relying party that an application is.
type relying struct {
	settings
	app apps.App
	now time.Time
}

// party reads an application's settings. at is where the world reaches this
// server: its host is the relying party id unless another was set; an address of
// this machine cannot be one and stands for localhost. It returns authn.Disabled
// if the method is switched off.
func party(ctx context.Context, q db.Q, app apps.App, at string) (relying, error) {
	r := relying{app: app, now: q.Now()}
	if err := authn.Settings(ctx, q, app.ID, Kind, &r.settings); err != nil {
		return r, err
	}
	if r.RPID == "" {
		if u, err := url.Parse(at); err == nil {
			r.RPID = u.Hostname()
		}
		if ip, err := netip.ParseAddr(r.RPID); err == nil && ip.IsLoopback() {
			r.RPID = "localhost"
		}
	}
	r.RPID = strings.ToLower(r.RPID)
	if r.RPName == "" {
		r.RPName = app.Name
	}
	return r, nil
}

func (r relying) subject() authn.Subject {
	return authn.Subject{Kind: Kind, Tenant: r.app.Tenant, App: r.app.ID}
}
