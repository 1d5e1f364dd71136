package journey

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/expr"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Graph is a journey as drawn (DESIGN 2.20.20).
type Graph struct {
	ID    string          `json:"id" yaml:"id"`
	Name  string          `json:"name" yaml:"name"`
	Doc   string          `json:"doc,omitempty" yaml:"doc,omitempty"` // what it is for, in a sentence
	Kind  Kind            `json:"kind" yaml:"kind"`
	Start string          `json:"start" yaml:"start"`
	Nodes map[string]Node `json:"nodes" yaml:"nodes"`
}

// Node is a step placed in a graph. A configuration value is a literal or
// {"expr": "…"}, at any depth.
type Node struct {
	Kind   string             `json:"kind" yaml:"kind"`
	Label  string             `json:"label,omitempty" yaml:"label,omitempty"`
	Config map[string]any     `json:"config,omitempty" yaml:"config,omitempty"`
	Next   map[Outcome]string `json:"next,omitempty" yaml:"next,omitempty"`
	Error  string             `json:"error,omitempty" yaml:"error,omitempty"` // the variable that holds why it failed
	At     []float64          `json:"at,omitempty" yaml:"at,omitempty,flow"`
}

// Problem is what is wrong with a graph, and where. A warning does not keep it
// from being published.
type Problem struct {
	Code    Code   `json:"code,omitempty"`
	Outcome string `json:"outcome,omitempty"` // that the code is about
	Node    string `json:"node,omitempty"`
	Path    string `json:"path,omitempty"` // in the node's configuration
	Line    int    `json:"line,omitempty"` // in an expression
	Column  int    `json:"column,omitempty"`
	Text    string `json:"text"`
	Warning bool   `json:"warning,omitempty"`
}

// Code names a kind of problem that something can be done about (see Mend).
type Code string

const (
	OpenOutcome    Code = "open_outcome"    // an outcome leads nowhere
	UnknownOutcome Code = "unknown_outcome" // an edge whose outcome is none of the step's
	Unreachable    Code = "unreachable"     // nothing leads to a node
	UnknownSetting Code = "unknown_setting" // the step has no setting of that name
)

func (p Problem) String() string {
	if p.Node == "" {
		return p.Text
	}
	return fmt.Sprintf("%s: %s", p.Node, p.Text)
}

// Refs returns another journey of the tenant, as new runs get it; false if there is
// none.
type Refs func(id string) (g Graph, ok bool)

// Check finds what would fail when the journey runs, and what must never be
// published: dead ends, a login without a proof, and a mobile-approve journey
// without an authentication step (DESIGN 2.20.1). refs may be nil; then
// references to other journeys are not followed.
func (g Graph) Check(refs Refs) []Problem {
	c := checker{g: g, refs: refs}
	c.head()
	for _, id := range slices.Sorted(maps.Keys(g.Nodes)) {
		c.node(id, g.Nodes[id])
	}
	if len(c.out) == 0 { // paths make sense only in a sound graph
		c.paths()
	}
	slices.SortStableFunc(c.out, func(a, b Problem) int { return cmp.Compare(a.Node, b.Node) })
	return c.out
}

type checker struct {
	g    Graph
	refs Refs
	out  []Problem
}

func (c *checker) add(node, format string, args ...any) {
	c.out = append(c.out, Problem{Node: node, Text: fmt.Sprintf(format, args...)})
}

// code names the kind of the problem that was added last.
func (c *checker) code(code Code, o Outcome) {
	last := &c.out[len(c.out)-1]
	last.Code, last.Outcome = code, string(o)
}

func (c *checker) head() {
	if !validID(c.g.ID) {
		c.add("", "The journey's id must be 1 to 64 letters, digits, '-', '_' or '.'.")
	}
	if !slices.Contains([]Kind{KindClient, KindMobileApprove, KindSub, KindSSO}, c.g.Kind) {
		c.add("", "There is no kind of journey called %q.", c.g.Kind)
	}
	if len(c.g.Nodes) > 500 {
		c.add("", "A journey has at most 500 nodes.")
	}
	if _, ok := c.g.Nodes[c.g.Start]; !ok {
		c.add("", "The journey starts nowhere.")
	}
}

func validID(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func (c *checker) node(id string, n Node) {
	s, ok := steps[n.Kind]
	if !ok {
		c.add(id, "There is no step called %q.", n.Kind)
		return
	}
	if len(s.In) > 0 && !slices.Contains(s.In, c.g.Kind) {
		c.add(id, "%s cannot stand in a journey of this kind.", s.Title)
	}
	for _, p := range s.Config.CheckConfig(n.Config) {
		c.out = append(c.out, Problem{Node: id, Path: p.Path, Text: p.Text})
		if _, set := n.Config[p.Path]; set && !slices.Contains(formNames(s.Config), p.Path) {
			c.code(UnknownSetting, "")
		}
	}
	_, problems := expr.CompileConfig(n.Config)
	for _, p := range problems {
		c.out = append(c.out, Problem{Node: id, Path: p.Path, Line: p.Err.Line, Column: p.Err.Column, Text: p.Err.Message})
	}
	want := s.outcomes(n.Config)
	for _, o := range want {
		if _, ok := c.g.Nodes[n.Next[o]]; !ok {
			c.add(id, "The outcome %q leads nowhere.", o)
			c.code(OpenOutcome, o)
		}
	}
	for _, o := range slices.Sorted(maps.Keys(n.Next)) {
		if !slices.Contains(want, o) {
			c.add(id, "There is no outcome called %q.", o)
			c.code(UnknownOutcome, o)
		}
	}
}

func (e entry) outcomes(doc map[string]any) []Outcome {
	out := slices.Clone(e.Outcomes)
	if e.more != nil {
		for _, o := range e.more(doc) {
			if !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	return out
}

// paths walks every way through the graph, carrying what has been done on it.
func (c *checker) paths() {
	seen := map[string][]bool{} // node → set of roles it was entered with
	var walk func(id string, done Role)
	walk = func(id string, done Role) {
		if seen[id] == nil {
			seen[id] = make([]bool, 1<<3) // Proves, Enrols, Identifies: see gains
		}
		if seen[id][done] {
			return
		}
		seen[id][done] = true
		n := c.g.Nodes[id]
		s := steps[n.Kind]
		if s.Role&Accepts != 0 {
			c.end(id, done)
		}
		for o, next := range n.Next {
			walk(next, done|c.gains(n, s, o))
		}
	}
	walk(c.g.Start, 0)
	c.reach(seen)
}

// gains is what leaving node n by outcome o adds to a path.
func (c *checker) gains(n Node, s entry, o Outcome) Role {
	role := s.Role & (Proves | Enrols | Identifies)
	if role&Identifies != 0 && o != Cancel && o != Failure {
		return role & Identifies
	}
	if o != Success {
		return 0
	}
	if n.Kind == "sub_journey" {
		return c.always(n)
	}
	return role
}

// always is what every good end of a sub-journey has done.
func (c *checker) always(n Node) Role {
	id, _ := n.Config["journey"].(string)
	if c.refs == nil || id == "" || id == c.g.ID {
		return 0
	}
	g, ok := c.refs(id)
	if !ok {
		return 0
	}
	return g.always(c.refs, map[string]bool{c.g.ID: true})
}

func (g Graph) always(refs Refs, stack map[string]bool) Role {
	if stack[g.ID] {
		return 0
	}
	stack[g.ID] = true
	defer delete(stack, g.ID)
	all, any := Proves|Enrols|Identifies, false
	sub := checker{g: g, refs: refs}
	seen := map[string]map[Role]bool{}
	var walk func(id string, done Role)
	walk = func(id string, done Role) {
		if seen[id] == nil {
			seen[id] = map[Role]bool{}
		}
		if seen[id][done] {
			return
		}
		seen[id][done] = true
		n, s := g.Nodes[id], steps[g.Nodes[id].Kind]
		if s.Role&Accepts != 0 {
			all, any = all&done, true
		}
		for o, next := range n.Next {
			walk(next, done|sub.gains(n, s, o))
		}
	}
	walk(g.Start, 0)
	if !any {
		return 0
	}
	return all
}

func (c *checker) end(id string, done Role) {
	switch {
	case c.g.Kind == KindMobileApprove && done&Proves == 0:
		c.once(id, "This end can be reached without an authentication step; an approval must be paired with one.")
	case c.g.Kind != KindSub && done&Identifies != 0 && done&(Proves|Enrols) == 0:
		c.once(id, "This end would sign somebody in without a proof: add an authentication step before it.")
	}
}

func (c *checker) once(node, text string) {
	if !slices.ContainsFunc(c.out, func(p Problem) bool { return p.Node == node && p.Text == text }) {
		c.add(node, "%s", text)
	}
}

// reach finds nodes nothing leads to, and nodes from which no end is reached.
func (c *checker) reach(seen map[string][]bool) {
	ends := map[string]bool{}
	for id, n := range c.g.Nodes {
		ends[id] = steps[n.Kind].Role&Terminal != 0
	}
	for changed := true; changed; {
		changed = false
		for id, n := range c.g.Nodes {
			for _, next := range n.Next {
				if !ends[id] && ends[next] {
					ends[id], changed = true, true
				}
			}
		}
	}
	for id := range c.g.Nodes {
		if seen[id] == nil {
			c.out = append(c.out, Problem{Code: Unreachable, Node: id, Text: "Nothing leads here.", Warning: true})
		} else if !ends[id] {
			c.add(id, "No end can be reached from here.")
		}
	}
}

// Refused is the error of a graph that may not be published, or nil.
func Refused(ps []Problem) error {
	for _, p := range ps {
		if !p.Warning {
			return fault.New(fault.Invalid, "The journey cannot be published: %s", p)
		}
	}
	return nil
}

// Publish stores the next version of a journey and makes it the one that new
// runs get. Runs keep the version they started with (security J6). A graph that
// does not pass Check is fault.Invalid; of two at once the second may get
// fault.Conflict, and no version is ever overwritten.
func Publish(ctx context.Context, tx *db.Tx, tenant apps.TenantID, g Graph) (version int64, err error) {
	return PublishBy(ctx, tx, tenant, g, "", "")
}

// PublishBy is Publish by an administrator, with a note on what changed.
func PublishBy(ctx context.Context, tx *db.Tx, tenant apps.TenantID, g Graph, by, note string) (version int64, err error) {
	if err := Refused(g.Check(refsIn(ctx, tx, tenant))); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `INSERT INTO journeys (tenant_id, id, version, kind, name, graph, state, created_at, published_by, note)
		VALUES ($1, $2, (SELECT COALESCE(MAX(version), 0) + 1 FROM journeys WHERE tenant_id = $1 AND id = $2), $3, $4, $5, 'production', $6, $7, $8)
		ON CONFLICT (tenant_id, id, version) DO NOTHING RETURNING version`,
		tenant, g.ID, g.Kind, g.Name, db.Text(g), tx.Now(), by, note).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fault.New(fault.Conflict, "Somebody published this journey a moment ago.")
	}
	return version, err
}

// Problems is Check with the tenant's other journeys as they are now.
func Problems(ctx context.Context, q db.Q, tenant apps.TenantID, g Graph) []Problem {
	refs := refsIn(ctx, q, tenant)
	return append(g.Check(refs), unhosted(ctx, q, tenant, g, refs)...)
}

func refsIn(ctx context.Context, q db.Q, tenant apps.TenantID) Refs {
	return func(id string) (Graph, bool) {
		g, _, err := Newest(ctx, q, tenant, id)
		return g, err == nil
	}
}

// Newest returns the version of a journey that new runs get; fault.NotFound if
// there is none or it was disabled.
func Newest(ctx context.Context, q db.Q, tenant apps.TenantID, id string) (g Graph, version int64, err error) {
	err = q.QueryRow(ctx, `SELECT version, graph FROM journeys WHERE tenant_id = $1 AND id = $2 AND state = 'production' ORDER BY version DESC LIMIT 1`, tenant, id).
		Scan(&version, db.JSON(&g))
	return g, version, db.None(err, "journey")
}

// Disable keeps a journey from being started; runs under way go on (security
// J6). Publishing enables it again.
func Disable(ctx context.Context, tx *db.Tx, tenant apps.TenantID, id string) error {
	n, err := tx.Exec(ctx, `UPDATE journeys SET state = 'disabled' WHERE tenant_id = $1 AND id = $2`, tenant, id)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such journey")
	}
	return err
}

// Summary is one line of a list of journeys.
type Summary struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Kind    Kind   `json:"kind"`
	Version int64  `json:"version"`
}

// List returns the journeys of a tenant that can be started or called.
func List(ctx context.Context, q db.Q, tenant apps.TenantID) ([]Summary, error) {
	rows, err := q.Query(ctx, `SELECT j.id, j.name, j.kind, j.version FROM journeys j WHERE j.tenant_id = $1 AND j.state = 'production'
		AND j.version = (SELECT MAX(k.version) FROM journeys k WHERE k.tenant_id = j.tenant_id AND k.id = j.id AND k.state = 'production') ORDER BY j.id`, tenant)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Summary
	for rows.Next() {
		var s Summary
		if err := rows.Scan(&s.ID, &s.Name, &s.Kind, &s.Version); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}
