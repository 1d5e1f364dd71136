package adminapi

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/lockout"
)

// Method is what is set of a method at a place.
type Method struct {
	Kind     string            `json:"kind"`
	Title    string            `json:"title"`
	Enabled  bool              `json:"enabled"`
	Settings map[string]any    `json:"settings" doc:"As they count here."`
	Own      map[string]any    `json:"own" doc:"What is set here; the rest is inherited."`
	From     map[string]string `json:"from" doc:"default, tenant or application, for each setting."`
	Lint     []Note            `json:"lint"`
	ETag     string            `json:"etag"`
}

// Note is what the linter says of a setting. It never blocks.
type Note struct {
	Field     string `json:"field,omitempty"`
	Severity  string `json:"severity" enum:"advice,warning"`
	Text      string `json:"text"`
	Reference string `json:"reference"`
}

type InMethod struct {
	Kind string `path:"kind" maxLength:"64"`
}

type InAppMethod struct {
	InApp
	InMethod
}

// place is where a request sets things: at an application of the tenant, or at the
// tenant.
func (c *Call) place(ctx context.Context, q db.Q, app string) (authn.Place, error) {
	p := authn.Place{Tenant: c.tenant()}
	if app == "" {
		return p, nil
	}
	a, err := c.app(ctx, q, app)
	p.App = a.ID
	return p, err
}

func methodAt(ctx context.Context, q db.Q, p authn.Place, kind authn.Kind) (Method, error) {
	set, err := authn.At(ctx, q, p, kind)
	if err != nil {
		return Method{}, err
	}
	m := Method{Kind: string(kind), Title: titleOf(kind), Settings: set.Whole, Own: set.Own, From: set.From}
	m.Enabled, _ = set.Whole["enabled"].(bool)
	if m.Lint, err = lint(kind, set.Whole); err != nil {
		return m, err
	}
	m.ETag = tagOf(m)
	return m, nil
}

func lint(kind authn.Kind, whole map[string]any) ([]Note, error) {
	found, err := authn.LintOf(kind, whole)
	out := []Note{}
	for _, n := range found {
		out = append(out, Note{n.Field, string(n.Severity), n.Message, n.Ref})
	}
	return out, err
}

func (c *Call) methods(ctx context.Context, app string) (*list[Method], error) {
	p, err := c.place(ctx, c.Kit.DB, app)
	if err != nil {
		return nil, err
	}
	var out []Method
	for _, m := range authn.Methods() {
		one, err := methodAt(ctx, c.Kit.DB, p, m.Kind)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return items(out), nil
}

func listTenantMethods(ctx context.Context, c *Call, _ *empty) (*list[Method], error) {
	return c.methods(ctx, "")
}

func listAppMethods(ctx context.Context, c *Call, in *InApp) (*list[Method], error) {
	return c.methods(ctx, in.App)
}

func (c *Call) method(ctx context.Context, app, kind string) (*tagged[Method], error) {
	p, err := c.place(ctx, c.Kit.DB, app)
	if err != nil {
		return nil, err
	}
	m, err := methodAt(ctx, c.Kit.DB, p, authn.Kind(kind))
	return &tagged[Method]{m.ETag, m}, err
}

func getTenantMethod(ctx context.Context, c *Call, in *InMethod) (*tagged[Method], error) {
	return c.method(ctx, "", in.Kind)
}

func getAppMethod(ctx context.Context, c *Call, in *InAppMethod) (*tagged[Method], error) {
	return c.method(ctx, in.App, in.Kind)
}

type settingsBody struct {
	Settings map[string]any `json:"settings" doc:"What is set here."`
}

type tenantMethodPut struct {
	InMethod
	IfMatch
	Body settingsBody
}

type appMethodPut struct {
	InAppMethod
	IfMatch
	Body settingsBody
}

// setMethod replaces what is set at a place by own; nil inherits everything.
func (c *Call) setMethod(ctx context.Context, app, kind string, m IfMatch, own map[string]any) (*tagged[Method], error) {
	var out Method
	err := c.writeWith(ctx, func(tx *db.Tx) (string, map[string]any, error) {
		p, err := c.place(ctx, tx, app)
		if err != nil {
			return "", nil, err
		}
		now, err := methodAt(ctx, tx, p, authn.Kind(kind))
		if err != nil {
			return "", nil, err
		}
		if m.IfMatch != now.ETag {
			if err := m.unchanged(now); err != nil {
				return "", nil, err
			}
		}
		if own == nil {
			err = authn.Inherit(ctx, tx, p, authn.Kind(kind))
		} else {
			err = setOwn(ctx, tx, p, authn.Kind(kind), own)
		}
		if err != nil {
			return "", nil, err
		}
		if out, err = methodAt(ctx, tx, p, authn.Kind(kind)); err != nil {
			return "", nil, err
		}
		method, err := authn.Find(authn.Kind(kind))
		return kind, map[string]any{"settings": changed(method.Config, now.Settings, out.Settings)}, err
	})
	return &tagged[Method]{out.ETag, out}, err
}

func setOwn(ctx context.Context, tx *db.Tx, p authn.Place, kind authn.Kind, own map[string]any) error {
	_, wrong, err := authn.Try(ctx, tx, p, kind, own)
	if err != nil {
		return err
	}
	if err := misfits("body.settings.", wrong); err != nil {
		return err
	}
	return authn.Set(ctx, tx, p, kind, own)
}

// changed is what differs, for the record: each setting with what it was and what it is,
// as JSON. Of what holds a secret the name alone.
func changed(f form.Form, before, after map[string]any) []any {
	out := []any{}
	for _, field := range f {
		was, is := db.Text(before[field.Name]), db.Text(after[field.Name])
		switch {
		case was == is:
		case secret(field):
			out = append(out, map[string]any{"setting": field.Name})
		default:
			out = append(out, map[string]any{"setting": field.Name, "was": brief(was), "is": brief(is)})
		}
	}
	return out
}

// secret reports whether a field, or anything in it, is a secret.
func secret(f form.Field) bool { return f.Type == "secret" || slices.ContainsFunc(f.Fields, secret) }

// brief is a value as far as it is read in a list; what is longer, such as the words of a
// message, is cut.
func brief(s string) string {
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return s
}

func putTenantMethod(ctx context.Context, c *Call, in *tenantMethodPut) (*tagged[Method], error) {
	return c.setMethod(ctx, "", in.Kind, in.IfMatch, notNil(in.Body.Settings))
}

func putAppMethod(ctx context.Context, c *Call, in *appMethodPut) (*tagged[Method], error) {
	return c.setMethod(ctx, in.App, in.Kind, in.IfMatch, notNil(in.Body.Settings))
}

func notNil(doc map[string]any) map[string]any {
	if doc == nil {
		return map[string]any{}
	}
	return doc
}

type tenantMethodGone struct {
	InMethod
	IfMatch
}

type appMethodGone struct {
	InAppMethod
	IfMatch
}

func inheritTenantMethod(ctx context.Context, c *Call, in *tenantMethodGone) (*tagged[Method], error) {
	return c.setMethod(ctx, "", in.Kind, in.IfMatch, nil)
}

func inheritAppMethod(ctx context.Context, c *Call, in *appMethodGone) (*tagged[Method], error) {
	return c.setMethod(ctx, in.App, in.Kind, in.IfMatch, nil)
}

// Checked is what would be said of settings.
type Checked struct {
	Errors []Issue `json:"errors"`
	Lint   []Note  `json:"lint"`
}

type tenantMethodCheck struct {
	InMethod
	Body settingsBody
}

type appMethodCheck struct {
	InAppMethod
	Body settingsBody
}

func (c *Call) checkMethod(ctx context.Context, app, kind string, own map[string]any) (*body[Checked], error) {
	p, err := c.place(ctx, c.Kit.DB, app)
	if err != nil {
		return nil, err
	}
	out := Checked{Lint: []Note{}}
	whole, wrong, err := authn.Try(ctx, c.Kit.DB, p, authn.Kind(kind), own)
	if err != nil {
		return nil, err
	}
	if out.Errors = issues("settings.", wrong); len(wrong) == 0 {
		out.Lint, err = lint(authn.Kind(kind), whole)
	}
	return answer(out), err
}

func checkTenantMethod(ctx context.Context, c *Call, in *tenantMethodCheck) (*body[Checked], error) {
	return c.checkMethod(ctx, "", in.Kind, in.Body.Settings)
}

func checkAppMethod(ctx context.Context, c *Call, in *appMethodCheck) (*body[Checked], error) {
	return c.checkMethod(ctx, in.App, in.Kind, in.Body.Settings)
}

// Simulated is what a policy makes of attempts.
type Simulated struct {
	Steps []SimulatedStep `json:"steps"`
}

// SimulatedStep is where one attempt leads.
type SimulatedStep struct {
	At          int  `json:"at_seconds"`
	Failures    int  `json:"failures"`
	LockedUntil *int `json:"locked_until_seconds" nullable:"true"`
	Permanent   bool `json:"permanent"`
	Refused     bool `json:"refused" doc:"Not judged, because of a lock."`
	Tier        *int `json:"tier" nullable:"true" doc:"Index of the tier that this attempt reached."`
}

type simulationBody struct {
	Settings map[string]any `json:"settings"`
	Attempts []attempt      `json:"attempts" maxItems:"500"`
}

type attempt struct {
	After   int    `json:"after_seconds" minimum:"0" maximum:"31536000"`
	Outcome string `json:"outcome" enum:"failure,success"`
}

type tenantSimulation struct {
	InMethod
	Body simulationBody
}

type appSimulation struct {
	InAppMethod
	Body simulationBody
}

func (c *Call) simulate(ctx context.Context, app, kind string, in simulationBody) (*body[Simulated], error) {
	p, err := c.place(ctx, c.Kit.DB, app)
	if err != nil {
		return nil, err
	}
	whole, wrong, err := authn.Try(ctx, c.Kit.DB, p, authn.Kind(kind), in.Settings)
	if err != nil {
		return nil, err
	}
	if err := misfits("body.settings.", wrong); err != nil {
		return nil, err
	}
	var policy lockout.Policy
	if err := json.Unmarshal([]byte(db.Text(whole)), &policy); err != nil {
		return nil, err
	}
	return answer(Simulated{played(policy, c.Kit.DB.Now(), in.Attempts)}), nil
}

func played(p lockout.Policy, begin time.Time, attempts []attempt) []SimulatedStep {
	out := []SimulatedStep{}
	st, now := lockout.State{}, begin
	for _, a := range attempts {
		now = now.Add(time.Duration(a.After) * time.Second)
		next, wait := p.Charge(st, now)
		step := SimulatedStep{At: int(now.Sub(begin) / time.Second), Refused: wait > 0}
		switch {
		case step.Refused:
		case a.Outcome == "success":
			st = p.Succeed(next)
		default:
			st = next
			for i, t := range p.Tiers {
				if t.Failures == st.Failures && (i == 0 || !p.Simple) {
					step.Tier = &i
				}
			}
		}
		step.Failures, step.Permanent = st.Failures, st.Permanent
		if now.Before(st.Until) {
			until := int(st.Until.Sub(begin) / time.Second)
			step.LockedUntil = &until
		}
		out = append(out, step)
	}
	return out
}

func simulateTenantMethod(ctx context.Context, c *Call, in *tenantSimulation) (*body[Simulated], error) {
	return c.simulate(ctx, "", in.Kind, in.Body)
}

func simulateAppMethod(ctx context.Context, c *Call, in *appSimulation) (*body[Simulated], error) {
	return c.simulate(ctx, in.App, in.Kind, in.Body)
}
