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
	add := func(code string, s Severity, field, message, ref string) {
		out = append(out, Note{code, s, field, message, ref})
	}
	if len(p.Tiers) == 0 {
		add("lockout_none", Warning, "tiers", "Without tiers only the hard cap stops guessing.", "NIST SP 800-63B-4 3.2.2, OWASP ASVS 5.0 6.3.1")
	} else if p.Tiers[0].Failures > 10 {
		add("lockout_late", Advice, "tiers", "The first lock comes after more than ten failures.", "OWASP ASVS 5.0 6.3.1")
	}
	for i := 1; i < len(p.Tiers); i++ {
		if p.Tiers[i].Minutes < p.Tiers[i-1].Minutes {
			add("lockout_shrinks", Advice, "tiers", "A later lock is shorter than one before.", "NIST SP 800-63B-4 3.2.2")
			break
		}
	}
	m := methods[kind]
	if on, _ := doc["notify"].(bool); m.Tells && !on {
		add("notify_off", Warning, "notify", "Users are told of every change of what proves them.", "NIST SP 800-63B-4 4.6, OWASP ASVS 5.0 6.3.7")
	}
	if m.Lint != nil {
		out = append(out, m.Lint(doc)...)
	}
	return out, nil
}
