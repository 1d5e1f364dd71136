package code

import (
	"fmt"
	"strconv"

	"github.com/watchword-auth/watchword/internal/authn"
)

// lint says what contradicts the standards.
func lint(kind authn.Kind) func(doc map[string]any) []authn.Note {
	return func(doc map[string]any) []authn.Note {
		var out []authn.Note
		if n, _ := strconv.Atoi(fmt.Sprint(doc["length"])); n < 6 {
			out = append(out, authn.Note{Code: "code_short", Severity: authn.Warning, Field: "length", Message: "A code has at least six digits.", Ref: "NIST SP 800-63B-4 3.1.3.2, OWASP ASVS 5.0 6.5.4"})
		}
		if on, _ := doc["cross_clients"].(bool); on {
			out = append(out, authn.Note{Code: "code_anywhere", Severity: authn.Warning, Field: "cross_clients", Message: "A code is bound to the request that it was sent for.", Ref: "OWASP ASVS 5.0 6.6.2"})
		}
		switch kind {
		case Email:
			out = append(out, authn.Note{Code: "code_mail", Severity: authn.Advice, Message: "Mail is no out-of-band authenticator: use it for recovery and to confirm addresses.", Ref: "NIST SP 800-63B-4 3.1.3.1, OWASP ASVS 5.0 6.3.6"})
		case SMS:
			out = append(out, authn.Note{Code: "code_sms", Severity: authn.Advice, Message: "Text messages are restricted: offer another way beside them.", Ref: "NIST SP 800-63B-4 3.1.3.3, OWASP ASVS 5.0 6.6.1"})
		}
		return out
	}
}
