package password

import (
	"fmt"
	"strconv"

	"github.com/watchword-auth/watchword/internal/authn"
)

// lint says what contradicts the standards.
func lint(doc map[string]any) []authn.Note {
	n := func(name string) int { i, _ := strconv.Atoi(fmt.Sprint(doc[name])); return i }
	on := func(name string) bool { b, _ := doc[name].(bool); return b }
	var out []authn.Note
	add := func(code string, s authn.Severity, field, message, ref string) {
		out = append(out, authn.Note{Code: code, Severity: s, Field: field, Message: message, Ref: ref})
	}
	switch l := n("min_length"); {
	case l < 8:
		add("password_short", authn.Warning, "min_length", "At least 8 characters are demanded, 15 where the password is the only factor.", "NIST SP 800-63B-4 3.1.1.2, OWASP ASVS 5.0 6.2.1")
	case l < 15:
		add("password_single", authn.Advice, "min_length", "15 characters are demanded where the password is the only factor.", "NIST SP 800-63B-4 3.1.1.2")
	}
	if n("complexity") > 0 {
		add("password_composition", authn.Warning, "complexity", "Rules of composition shall not be imposed.", "NIST SP 800-63B-4 3.1.1.2, OWASP ASVS 5.0 6.2.5")
	}
	if !on("never_expires") {
		add("password_rotation", authn.Warning, "never_expires", "Passwords shall not be changed periodically, only when there is evidence of compromise.", "NIST SP 800-63B-4 3.1.1.2, OWASP ASVS 5.0 6.2.10")
	}
	if !on("hibp") && !on("dictionary") {
		add("password_blocklist", authn.Warning, "hibp", "Passwords shall be compared with a list of common and compromised ones.", "NIST SP 800-63B-4 3.1.1.2, OWASP ASVS 5.0 6.2.4")
	}
	if !on("reset_mfa") {
		add("password_reset_mfa", authn.Advice, "reset_mfa", "A reset must not go around a second factor that the user has.", "OWASP ASVS 5.0 6.4.3")
	}
	if on("hibp") && on("hibp_open") {
		add("password_unchecked", authn.Advice, "hibp_open", "While the service is away, passwords from breaches are let in, until they are looked up at a sign-in.", "OWASP ASVS 5.0 6.2.12")
	}
	if n("reset_code_length") < 6 {
		add("password_reset_short", authn.Warning, "reset_code_length", "A code has at least six digits.", "NIST SP 800-63B-4 3.1.3.2, OWASP ASVS 5.0 6.5.4")
	}
	if n("reset_minutes") > 10 {
		add("password_reset_long", authn.Warning, "reset_minutes", "What is mailed is good for ten minutes at most.", "NIST SP 800-63B-4 3.1.3.2, OWASP ASVS 5.0 6.5.5")
	}
	if n("temporary_hours") > 24 {
		add("password_temporary_long", authn.Advice, "temporary_hours", "A first password is good for a short time only.", "OWASP ASVS 5.0 6.4.1")
	}
	return out
}
