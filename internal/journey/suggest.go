package journey

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword/internal/expr"
)

// What an editor asks about a graph that is being drawn: nothing here decides
// anything.

// Outcomes returns the ways out of every node, those that its configuration adds
// among them.
func (g Graph) Outcomes() map[string][]Outcome {
	out := map[string][]Outcome{}
	for id, n := range g.Nodes {
		out[id] = []Outcome{}
		if s, ok := steps[n.Kind]; ok {
			out[id] = append(out[id], s.outcomes(n.Config)...)
		}
	}
	return out
}

// Mend returns what the graph would be without a problem, and says what was
// done; "" if nobody can tell.
func (g Graph) Mend(p Problem) (Graph, string) {
	out := g
	out.Nodes = maps.Clone(g.Nodes)
	n := out.Nodes[p.Node]
	n.Next = maps.Clone(n.Next)
	switch p.Code {
	case OpenOutcome:
		id := out.aReject(n.At)
		if n.Next == nil {
			n.Next = map[Outcome]string{}
		}
		n.Next[Outcome(p.Outcome)] = id
		out.Nodes[p.Node] = n
		return out, "Lead it to an end that rejects"
	case UnknownOutcome:
		delete(n.Next, Outcome(p.Outcome))
		out.Nodes[p.Node] = n
		return out, "Remove this way out"
	case Unreachable:
		delete(out.Nodes, p.Node)
		return out, "Remove this step"
	case UnknownSetting:
		n.Config = maps.Clone(n.Config)
		delete(n.Config, p.Path)
		out.Nodes[p.Node] = n
		return out, "Remove this setting"
	}
	return g, ""
}

// aReject returns a node that ends the journey badly: one that is there, or a
// new one near a place.
func (g *Graph) aReject(near []float64) string {
	for _, id := range slices.Sorted(maps.Keys(g.Nodes)) {
		if g.Nodes[id].Kind == "reject" && len(g.Nodes[id].Config) == 0 {
			return id
		}
	}
	id := "rejected"
	for i := 2; ; i++ {
		if _, taken := g.Nodes[id]; !taken {
			break
		}
		id = "rejected" + strconv.Itoa(i)
	}
	at := []float64{260, 140}
	if len(near) == 2 {
		at = []float64{near[0] + 260, near[1] + 140}
	}
	g.Nodes[id] = Node{Kind: "reject", At: at}
	return id
}

// Calls are the other journeys that a graph names in its settings, each once.
func (g Graph) Calls() []string {
	out := map[string]bool{}
	for _, n := range g.Nodes {
		for _, f := range steps[n.Kind].Config {
			if id, ok := n.Config[f.Name].(string); ok && id != "" && f.Type == "journey" {
				out[id] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(out))
}

// seen are the categories of steps that people meet; the others work unseen.
var seen = []string{"Ask", "Authenticate", "Enrol", "Sign"}

// Screens are what people see on the way through a graph, in the order in which
// they may come to it.
func (g Graph) Screens() []string {
	out := []string{}
	been := map[string]bool{}
	for queue := []string{g.Start}; len(queue) > 0; queue = queue[1:] {
		id := queue[0]
		n, ok := g.Nodes[id]
		if !ok || been[id] {
			continue
		}
		been[id] = true
		if s := steps[n.Kind]; slices.Contains(seen, s.Category) {
			label := n.Label
			if label == "" {
				label = s.Title
			}
			out = append(out, label)
		}
		for _, o := range slices.Sorted(maps.Keys(n.Next)) {
			queue = append(queue, n.Next[o])
		}
	}
	return out
}

// Suggestion is one way to go on with an expression.
type Suggestion struct {
	Label  string `json:"label"`
	Insert string `json:"insert"` // in the place of the word before the cursor
	Kind   string `json:"kind"`   // variable, function, field
	Doc    string `json:"doc"`
}

// Suggest returns how the expression text could go on at offset (in bytes), at a
// node of the graph.
func (g Graph) Suggest(node, text string, offset int) []Suggestion {
	word := lastWord(text[:max(0, min(offset, len(text)))])
	out := []Suggestion{}
	add := func(s Suggestion) {
		if strings.HasPrefix(strings.ToLower(s.Insert), strings.ToLower(word)) && len(out) < 100 {
			out = append(out, s)
		}
	}
	vars := g.variables(node)
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		add(Suggestion{name, name, "variable", vars[name].doc})
		for _, f := range vars[name].fields {
			if strings.Contains(word, ".") {
				add(Suggestion{f, name + "." + f, "field", "of " + name})
			}
		}
	}
	for _, f := range expr.Functions() {
		insert := f.Name + "("
		if f.Method {
			base, _, dotted := cutLast(word)
			if !dotted {
				continue
			}
			insert = base + "." + insert
		}
		if strings.Contains(f.Signature, "()") {
			insert += ")"
		}
		if strings.HasPrefix(word, "@") {
			insert = "@" + insert
		}
		add(Suggestion{f.Signature, insert, "function", f.Doc})
	}
	slices.SortStableFunc(out, func(a, b Suggestion) int { return cmp.Compare(rank(a.Kind), rank(b.Kind)) })
	return out
}

func rank(kind string) int { return slices.Index([]string{"field", "variable", "function"}, kind) }

func cutLast(word string) (before, after string, dotted bool) {
	i := strings.LastIndexByte(word, '.')
	if i < 0 {
		return "", word, false
	}
	return word[:i], word[i+1:], true
}

// lastWord is the name that is being typed at the end of a text.
func lastWord(text string) string {
	i := strings.LastIndexFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '@')
	})
	return text[i+1:]
}

// variable is a name that expressions of later nodes can use.
type variable struct {
	doc    string
	fields []string
}

// variables are the names that nodes on some way to node have given.
func (g Graph) variables(node string) map[string]variable {
	out := map[string]variable{}
	if g.Kind == KindSub {
		out["input"] = variable{doc: "what the calling journey handed over"}
	}
	for _, id := range g.before(node) {
		n := g.Nodes[id]
		s, known := steps[n.Kind]
		if !known {
			continue
		}
		if n.Error != "" {
			out[n.Error] = variable{"why " + id + " failed", []string{"code", "message"}}
		}
		for _, f := range s.Config {
			v, set := n.Config[f.Name]
			if !set {
				v = f.Default
			}
			if name, ok := v.(string); ok && name != "" && f.Name == "output" {
				out[name] = variable{"kept by " + id, g.said(n)}
			}
		}
		rows, _ := n.Config["variables"].([]any)
		for _, row := range rows {
			m, _ := row.(map[string]any)
			if name, ok := m["name"].(string); ok && n.Kind == "set_variables" {
				out[name] = variable{doc: "set by " + id}
			}
		}
	}
	return out
}

// said are the members of what the answer to a node's form leaves.
func (g Graph) said(n Node) []string {
	names := map[string]bool{}
	collect := func(rows any) {
		list, _ := rows.([]any)
		for _, row := range list {
			m, _ := row.(map[string]any)
			if name, ok := m["name"].(string); ok {
				names[name] = true
			}
		}
	}
	collect(n.Config["fields"])
	escapes, _ := n.Config["escapes"].([]any)
	for _, row := range escapes {
		if m, ok := row.(map[string]any); ok {
			collect(m["fields"])
		}
	}
	methods, _ := n.Config["methods"].([]any)
	for _, m := range methods {
		for _, f := range answers[text(m)] {
			names[f] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func text(v any) string { s, _ := v.(string); return s }

// answers are the fields that the options of a step's prompt bring, by option.
var answers = map[string][]string{}

// Brings makes known what fields an option that steps offer brings, for editors.
// Call it from init.
func Brings(option string, fields ...string) { answers[option] = fields }

// Brought are the fields that an option brings; none if nobody said.
func Brought(option string) []string { return answers[option] }

// before are the nodes from which a way leads to node, in no order.
func (g Graph) before(node string) []string {
	from := map[string][]string{}
	for id, n := range g.Nodes {
		for _, next := range n.Next {
			from[next] = append(from[next], id)
		}
	}
	seen := map[string]bool{}
	for queue := from[node]; len(queue) > 0; queue = queue[1:] {
		if id := queue[0]; !seen[id] {
			seen[id] = true
			queue = append(queue, from[id]...)
		}
	}
	return slices.Collect(maps.Keys(seen))
}
