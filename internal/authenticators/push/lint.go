package push

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
	switch doc["number_mode"] {
	case Off:
		add("push_no_number", authn.Warning, "number_mode", "Without a number a tired or hasty user approves what somebody else began.", "NIST SP 800-63B-4 3.1.3, OWASP ASVS 5.0 6.6.4")
	case Choose4:
		add("push_compared", authn.Warning, "number_mode", "One blind tap in four is right: a secret is carried over, not compared.", "NIST SP 800-63B-4 3.1.3")
	case Type2:
		add("push_short_number", authn.Advice, "number_mode", "Two digits bind an approval that the phone's key proves; where the number itself is to be the secret it has six.", "NIST SP 800-63B-4 3.1.3")
	}
	if n("limit") > 5 || n("backoff_after") == 0 {
		add("push_many", authn.Warning, "limit", "How often somebody's phone rings in vain is limited.", "NIST SP 800-63B-4 3.1.3, OWASP ASVS 5.0 6.6.4")
	}
	if !on("needs_proof") {
		add("push_first", authn.Advice, "needs_proof", "Whoever knows a name makes a phone ring.", "NIST SP 800-63B-4 3.1.3")
	}
	if on("show_devices") {
		add("push_devices", authn.Warning, "show_devices", "Whoever knows a name learns that its user exists, and their phones.", "OWASP ASVS 5.0 6.3.8")
	}
	return out
}
