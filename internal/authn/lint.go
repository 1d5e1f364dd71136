package authn

import (
	"context"
	"encoding/json"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// Severity says how far a setting is from what a standard asks.
type Severity string

const (
	Advice  Severity = "advice"  // a standard recommends something else
	Warning Severity = "warning" // a standard demands something else
)

// Note is what the linter says about a setting: what a standard wants instead,
// and which. It never blocks: the operator decides.
type Note struct {
	Code     string
	Severity Severity
	Field    string
	Message  string
	Ref      string
}

// Lint compares an application's settings of a method with NIST SP 800-63B-4 and
// OWASP ASVS 5.0: what is true of every method, and what the method itself says
// (Method.Lint).
func Lint(ctx context.Context, q db.Q, app apps.ID, kind Kind) ([]Note, error) {
	doc, err := Configured(ctx, q, app, kind)
	if err != nil {
		return nil, err
	}
	return LintOf(kind, doc)
}

// LintOf is Lint of settings that need not be stored, whole.
func LintOf(kind Kind, doc map[string]any) ([]Note, error) {
	var p lockout.Policy
	if err := json.Unmarshal([]byte(db.Text(doc)), &p); err != nil {
		return nil, err
	}
	var out []Note
	if len(p.Tiers) == 0 {
		out = append(out, Note{"lockout_none", Warning, "tiers", "Without tiers only the hard cap stops guessing.", "NIST SP 800-63B-4 3.2.2"})
	} else if p.Tiers[0].Failures > 10 {
		out = append(out, Note{"lockout_late", Advice, "tiers", "The first lock comes after more than ten failures.", "OWASP ASVS 5.0 6.3.1"})
	}
	if p.HardCap > 100 {
		out = append(out, Note{"lockout_cap", Warning, "hard_cap", "No account may fail more than 100 times in a row.", "NIST SP 800-63B-4 3.2.2"})
	}
	if m := methods[kind]; m.Lint != nil {
		out = append(out, m.Lint(doc)...)
	}
	return out, nil
}
