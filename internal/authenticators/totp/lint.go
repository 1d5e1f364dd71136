package totp

import (
	"fmt"
	"strconv"

	"github.com/watchword-auth/watchword/internal/authn"
)

// lint says what contradicts the standards.
func lint(doc map[string]any) []authn.Note {
	n := func(name string) float64 { f, _ := strconv.ParseFloat(fmt.Sprint(doc[name]), 64); return f }
	var out []authn.Note
	if live := n("max_per_user") * (2*n("window") + 1); live > 22 {
		out = append(out, authn.Note{Code: "totp_many_codes", Severity: authn.Warning, Field: "window",
			Message: fmt.Sprintf("Up to %.0f codes of a user are good at a time: a hundred guesses hit one in %.1f %% of all cases.", live, live/1e4), Ref: "RFC 4226 7.3, RFC 6238 5.2"})
	}
	if n("window") > 1 {
		out = append(out, authn.Note{Code: "totp_window", Severity: authn.Advice, Field: "window", Message: "One code of delay is recommended at most.", Ref: "RFC 6238 5.2"})
	}
	if n("period") > 30 {
		out = append(out, authn.Note{Code: "totp_period", Severity: authn.Warning, Field: "period", Message: "A code is good for thirty seconds at most.", Ref: "OWASP ASVS 5.0 6.5.5"})
	}
	return out
}
