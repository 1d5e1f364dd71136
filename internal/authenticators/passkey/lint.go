package passkey

import "github.com/watchword-auth/watchword/internal/authn"

// lint compares settings with NIST SP 800-63B-4 and WebAuthn Level 3.
func lint(doc map[string]any) []authn.Note {
	var out []authn.Note
	set := func(name string) bool { v, _ := doc[name].(bool); return v }
	text := func(name string) string { v, _ := doc[name].(string); return v }
	rows := func(name string) int { v, _ := doc[name].([]any); return len(v) }
	if text("user_verification") != required {
		out = append(out, authn.Note{Code: "passkey_uv", Severity: authn.Warning, Field: "user_verification",
			Message: "Without user verification a passkey is one factor, and counts beside another only.", Ref: "NIST SP 800-63B-4 3.1.7"})
	}
	if set("enforce_attestation") && text("attestation_roots")+text("metadata_file") == "" {
		out = append(out, authn.Note{Code: "passkey_roots", Severity: authn.Warning, Field: "attestation_roots",
			Message: "Attestation is enforced and no root is trusted: no key that stays on its device can be registered.", Ref: "WebAuthn Level 3 7.1"})
	}
	if !set("enforce_attestation") && rows("aaguid_allow")+rows("aaguid_block") > 0 {
		out = append(out, authn.Note{Code: "passkey_aaguid", Severity: authn.Advice, Field: "aaguid_allow",
			Message: "Without enforced attestation anybody can claim to be any model.", Ref: "WebAuthn Level 3 6.5.1"})
	}
	if rows("aaguid_allow") > 0 && rows("aaguid_block") > 0 {
		out = append(out, authn.Note{Code: "passkey_lists", Severity: authn.Advice, Field: "aaguid_block",
			Message: "With a list of allowed models the list of blocked ones only takes away from it.", Ref: "WebAuthn Level 3 7.1"})
	}
	if set("allow_cross_origin") {
		out = append(out, authn.Note{Code: "passkey_framed", Severity: authn.Warning, Field: "allow_cross_origin",
			Message: "Any site can show your page in a frame and have the passkey used there: name the sites instead.", Ref: "WebAuthn Level 3 13.4.9"})
	}
	return out
}
