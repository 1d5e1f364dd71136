package adminapi

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
)

// journeyRoutes are drawing, publishing and the files of journeys.
func journeyRoutes() []Route {
	draw := applicationAdmin
	return []Route{
		{"GET /journeys", "List journeys", readers, "", serve(listJourneys)},
		{"GET /journeys/templates", "List templates", readers, "", serve(listTemplates)},
		{"POST /journeys", "Draw a new journey", draw | large, "admin.journey.created", serve(createJourney)},
		{"POST /journeys/check", "Check a graph", readers | large, "", serve(checkGraph)},
		{"POST /journeys/import", "Read a journey from a file", readers | large, "", serve(importGraph)},
		{"POST /journeys/expression", "Check an expression", readers | large, "", serve(checkExpression)},
		{"POST /journeys/completions", "How an expression can go on", readers | large, "", serve(completeExpression)},
		{"GET /journeys/{id}", "Get a journey", readers, "", serve(getJourney)},
		{"PUT /journeys/{id}/draft", "Save a draft", draw | large, "admin.journey.drawn", serve(saveDraft)},
		{"DELETE /journeys/{id}/draft", "Drop a draft", draw, "admin.journey.draft_dropped", serve(dropDraft)},
		{"POST /journeys/{id}/publish", "Publish a draft", draw, "admin.journey.published", serve(publishDraft)},
		{"GET /journeys/{id}/versions", "List versions", readers, "", serve(listVersions)},
		{"GET /journeys/{id}/versions/{version}", "Get a version", readers, "", serve(getVersion)},
		{"POST /journeys/{id}/versions/{version}/restore", "Make a version the draft", draw, "admin.journey.restored", serve(restoreVersion)},
		{"POST /journeys/{id}/versions/{version}/publish", "Roll back to a version", draw, "admin.journey.rolled_back", serve(rollBack)},
		{"POST /journeys/{id}/disable", "Disable a journey", draw | fresh, "admin.journey.disabled", serve(disableJourney)},
		{"DELETE /journeys/{id}", "Delete a journey that was never published", draw | fresh, "admin.journey.deleted", serve(deleteJourney)},
		{"GET /journeys/{id}/export", "A journey as a file", readers, "", serve(exportJourney)},
		{"GET /journeys/{id}/code", "Client code for a journey", readers, "", serve(journeyCode)},
		{"GET /journeys/{id}/stats", "How its runs went", readers, "", serve(journeyStats)},
	}
}

// JourneyAt names a journey in a path.
type JourneyAt struct {
	ID string `path:"id" maxLength:"64"`
}

// GraphIn is a graph in a body. It is decoded by this package, not described
// member by member: the step catalogue describes it.
type GraphIn struct {
	Body struct {
		Graph journey.Graph `json:"graph"`
	}
}

// problemOut is what is wrong in a graph, and what would mend it.
type problemOut struct {
	Node    string `json:"node"`
	Path    string `json:"path"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Text    string `json:"text"`
	Warning bool   `json:"warning"`
	Fix     *fix   `json:"fix"`
}

type fix struct {
	Title string        `json:"title"`
	Graph journey.Graph `json:"graph"`
}

// CheckedOut is what an editor shows beside a graph.
type CheckedOut struct {
	Problems []problemOut                 `json:"problems"`
	Outcomes map[string][]journey.Outcome `json:"outcomes"`
}

// mendedSteps is how many steps all the graphs that are offered have together: each
// is the whole journey, so that a large one with much wrong would be answered with a
// multiple of itself. What is left out is offered when something else is mended.
const mendedSteps = 2000

func (c *Call) checked(ctx context.Context, q db.Q, g journey.Graph) CheckedOut {
	out := CheckedOut{Problems: []problemOut{}, Outcomes: g.Outcomes()}
	left := mendedSteps
	for _, p := range journey.Problems(ctx, q, c.tenant(), g) {
		o := problemOut{p.Node, p.Path, p.Line, p.Column, p.Text, p.Warning, nil}
		if left >= len(g.Nodes) {
			if mended, how := g.Mend(p); how != "" {
				o.Fix, left = &fix{how, mended}, left-len(g.Nodes)
			}
		}
		out.Problems = append(out.Problems, o)
	}
	return out
}

func markTag(mark string) string { return `"` + mark + `"` }

// mark is the state of a draft that a change is made to.
func (m IfMatch) mark() (string, error) {
	if m.IfMatch == "" {
		return "", preconditionRequired
	}
	return strings.Trim(m.IfMatch, `"`), nil
}

// stale makes the refusal of an outdated change that of the API.
func stale(err error) error {
	if journey.IsStale(err) {
		return preconditionFailed
	}
	return err
}

type journeyItem struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Kind      journey.Kind `json:"kind"`
	Version   int64        `json:"version"`
	State     string       `json:"state" enum:"published,draft,disabled"`
	Dirty     bool         `json:"dirty"`
	UpdatedAt Stamp        `json:"updated_at"`
	UpdatedBy string       `json:"updated_by"`
	Problems  int          `json:"problems"`
	UsedBy    []usedBy     `json:"used_by"`
}

type usedBy struct {
	App    string `json:"app"`
	Client string `json:"client"`
	As     string `json:"as"`
}

func listJourneys(ctx context.Context, c *Call, _ *struct{}) (*list[journeyItem], error) {
	all, err := journey.Overviews(ctx, c.Kit.DB, c.tenant())
	if err != nil {
		return nil, err
	}
	users, err := c.journeyUsers(ctx, all)
	if err != nil {
		return nil, err
	}
	names, err := c.administrators(ctx)
	if err != nil {
		return nil, err
	}
	out := []journeyItem{}
	for _, o := range all {
		g := o.Draft.Graph
		item := journeyItem{ID: g.ID, Name: g.Name, Kind: g.Kind, Version: o.Last.Number, State: stateOf(o.Last), Dirty: o.Dirty(), UpdatedAt: Stamp(o.Draft.UpdatedAt),
			UpdatedBy: names[o.Draft.UpdatedBy], UsedBy: append([]usedBy{}, users[g.ID]...)}
		for _, p := range journey.Problems(ctx, c.Kit.DB, c.tenant(), g) {
			if !p.Warning {
				item.Problems++
			}
		}
		out = append(out, item)
	}
	return items(out), nil
}

func stateOf(v journey.Version) string {
	switch {
	case v.Number == 0:
		return "draft"
	case v.State == "disabled":
		return "disabled"
	}
	return "published"
}

// administrators are their names by id, for who did something.
func (c *Call) administrators(ctx context.Context) (map[string]string, error) {
	all, err := administrator.List(ctx, c.Kit.DB)
	out := map[string]string{}
	for _, a := range all {
		out[string(a.ID)] = a.Name
	}
	return out, err
}

// journeyUsers is what starts or calls each journey.
func (c *Call) journeyUsers(ctx context.Context, all []journey.Overview) (map[string][]usedBy, error) {
	out := map[string][]usedBy{}
	list, err := apps.List(ctx, c.Kit.DB, c.tenant())
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		clients, err := apps.Clients(ctx, c.Kit.DB, a.ID)
		if err != nil {
			return nil, err
		}
		for _, cl := range clients {
			if id := cl.Settings.Journey; id != "" || cl.Kind == apps.Web || len(cl.Settings.RedirectURIs) > 0 {
				id = cmp.Or(id, "sign_in")
				out[id] = append(out[id], usedBy{string(a.ID), string(cl.ID), "sign-in"})
			}
			if id := cl.Settings.PhoneJourney; id != "" {
				out[id] = append(out[id], usedBy{string(a.ID), string(cl.ID), "phone"})
			}
			for _, acr := range slices.Sorted(maps.Keys(cl.Settings.Journeys)) {
				id := cl.Settings.Journeys[acr]
				out[id] = append(out[id], usedBy{string(a.ID), string(cl.ID), acr})
			}
		}
	}
	for _, o := range all {
		for _, id := range o.Draft.Graph.Calls() {
			out[id] = append(out[id], usedBy{"", "", o.Draft.Graph.ID})
		}
	}
	return out, nil
}

type templateItem struct {
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	Kind    journey.Kind  `json:"kind"`
	Purpose string        `json:"purpose"`
	Sees    []string      `json:"sees"`
	Graph   journey.Graph `json:"graph"`
}

func listTemplates(context.Context, *Call, *struct{}) (*list[templateItem], error) {
	all, err := journey.Templates()
	if err != nil {
		return nil, err
	}
	out := []templateItem{}
	for _, g := range all {
		out = append(out, templateItem{g.ID, g.Name, g.Kind, g.Doc, g.Screens(), g})
	}
	return items(out), nil
}

type journeyOut struct {
	ID        string                       `json:"id"`
	Name      string                       `json:"name"`
	Kind      journey.Kind                 `json:"kind"`
	State     string                       `json:"state" enum:"published,draft,disabled"`
	Draft     draftOut                     `json:"draft"`
	Published *versionOut                  `json:"published"`
	Dirty     bool                         `json:"dirty"`
	Problems  []problemOut                 `json:"problems"`
	Outcomes  map[string][]journey.Outcome `json:"outcomes"`
}

type draftOut struct {
	Graph     journey.Graph `json:"graph"`
	UpdatedAt Stamp         `json:"updated_at"`
	UpdatedBy string        `json:"updated_by"`
}

type versionOut struct {
	Version int64          `json:"version"`
	At      Stamp          `json:"at"`
	By      string         `json:"by"`
	Note    string         `json:"note"`
	State   string         `json:"state" enum:"live,old"`
	Graph   *journey.Graph `json:"graph,omitempty"`
}

// journey is one as an editor opens it.
func (c *Call) journey(ctx context.Context, q db.Q, id string) (*tagged[journeyOut], error) {
	d, err := journey.FindDraft(ctx, q, c.tenant(), id)
	if err != nil {
		return nil, err
	}
	names, err := c.administrators(ctx)
	if err != nil {
		return nil, err
	}
	found := c.checked(ctx, q, d.Graph)
	out := journeyOut{ID: d.Graph.ID, Name: d.Graph.Name, Kind: d.Graph.Kind, Draft: draftOut{d.Graph, Stamp(d.UpdatedAt), names[d.UpdatedBy]},
		Problems: found.Problems, Outcomes: found.Outcomes}
	last, err := journey.Versions(ctx, q, c.tenant(), id, 0, 1)
	if err != nil {
		return nil, err
	}
	o := journey.Overview{Draft: d}
	if len(last) > 0 {
		o.Last = last[0]
		v := versionOf(last[0], names, true)
		v.State = "live"
		out.Published = &v
	}
	out.State, out.Dirty = stateOf(o.Last), o.Dirty()
	return &tagged[journeyOut]{markTag(d.Mark), out}, nil
}

func versionOf(v journey.Version, names map[string]string, whole bool) versionOut {
	out := versionOut{v.Number, Stamp(v.At), names[v.By], v.Note, "old", nil}
	if whole {
		out.Graph = &v.Graph
	}
	return out
}

func getJourney(ctx context.Context, c *Call, in *JourneyAt) (*tagged[journeyOut], error) {
	return c.journey(ctx, c.Kit.DB, in.ID)
}

type createJourneyIn struct {
	Body struct {
		ID       string         `json:"id" minLength:"1" maxLength:"64"`
		Name     string         `json:"name" minLength:"1" maxLength:"200"`
		Kind     journey.Kind   `json:"kind,omitempty"`
		Template string         `json:"template,omitempty" doc:"The id of a template to begin with."`
		Graph    *journey.Graph `json:"graph,omitempty"`
	}
}

func createJourney(ctx context.Context, c *Call, in *createJourneyIn) (*tagged[journeyOut], error) {
	g, err := in.begin()
	if err != nil {
		return nil, err
	}
	err = c.write(ctx, func(tx *db.Tx) (string, error) {
		return g.ID, journey.Draw(ctx, tx, c.tenant(), g, string(c.Who.User))
	})
	if err != nil {
		return nil, err
	}
	return c.journey(ctx, c.Kit.DB, g.ID)
}

// begin is the first draft of a new journey.
func (in *createJourneyIn) begin() (journey.Graph, error) {
	g := journey.Graph{Kind: in.Body.Kind, Start: "done", Nodes: map[string]journey.Node{"done": {Kind: "complete", At: []float64{0, 0}}}}
	switch {
	case in.Body.Template != "":
		all, err := journey.Templates()
		if err != nil {
			return g, err
		}
		at := slices.IndexFunc(all, func(g journey.Graph) bool { return g.ID == in.Body.Template })
		if at < 0 {
			return g, fault.New(fault.NotFound, "no such template")
		}
		g = all[at]
	case in.Body.Graph != nil:
		g = *in.Body.Graph
		if in.Body.Kind != "" {
			g.Kind = in.Body.Kind
		}
	}
	if g.Kind == "" {
		g.Kind = journey.KindClient
	}
	g.ID, g.Name = in.Body.ID, in.Body.Name
	return g, nil
}

func checkGraph(ctx context.Context, c *Call, in *GraphIn) (*body[CheckedOut], error) {
	return answer(c.checked(ctx, c.Kit.DB, in.Body.Graph)), nil
}

type saveDraftIn struct {
	JourneyAt
	IfMatch
	GraphIn
}

func saveDraft(ctx context.Context, c *Call, in *saveDraftIn) (*tagged[CheckedOut], error) {
	was, err := in.mark()
	if err != nil {
		return nil, err
	}
	g := in.Body.Graph
	g.ID = in.ID
	var now string
	err = c.write(ctx, func(tx *db.Tx) (string, error) {
		var err error
		now, err = journey.SaveDraft(ctx, tx, c.tenant(), g, was, string(c.Who.User))
		return in.ID, err
	})
	if err != nil {
		return nil, stale(err)
	}
	return &tagged[CheckedOut]{markTag(now), c.checked(ctx, c.Kit.DB, g)}, nil
}

type DraftAt struct {
	JourneyAt
	IfMatch
}

func dropDraft(ctx context.Context, c *Call, in *DraftAt) (*tagged[journeyOut], error) {
	mark, err := in.mark()
	if err != nil {
		return nil, err
	}
	err = c.write(ctx, func(tx *db.Tx) (string, error) {
		if v, err := journey.Versions(ctx, tx, c.tenant(), in.ID, 0, 1); err != nil || len(v) == 0 {
			return "", cmp.Or[error](err, fault.New(fault.Conflict, "It was never published: delete the journey instead."))
		}
		return in.ID, journey.DropDraft(ctx, tx, c.tenant(), in.ID, mark)
	})
	if err != nil {
		return nil, stale(err)
	}
	return c.journey(ctx, c.Kit.DB, in.ID)
}

type publishIn struct {
	JourneyAt
	IfMatch
	Body struct {
		Note string `json:"note" maxLength:"1000"`
	}
}

type publishedOut struct {
	Version int64 `json:"version"`
}

// publishDraft answers with the tag of the draft as it is then, so that whoever
// draws on need not read it again.
func publishDraft(ctx context.Context, c *Call, in *publishIn) (*tagged[publishedOut], error) {
	mark, err := in.mark()
	if err != nil {
		return nil, err
	}
	d, err := journey.FindDraft(ctx, c.Kit.DB, c.tenant(), in.ID)
	if err != nil {
		return nil, err
	}
	if d.Mark != mark {
		return nil, preconditionFailed
	}
	if err := c.publishable(ctx, d.Graph); err != nil {
		return nil, err
	}
	var version int64
	err = c.write(ctx, func(tx *db.Tx) (string, error) {
		var err error
		if version, err = journey.PublishDraft(ctx, tx, c.tenant(), in.ID, mark, string(c.Who.User), in.Body.Note); err != nil {
			return "", err
		}
		d, err = journey.FindDraft(ctx, tx, c.tenant(), in.ID)
		return in.ID, err
	})
	return &tagged[publishedOut]{markTag(d.Mark), publishedOut{version}}, stale(err)
}

// publishable refuses a graph with problems, each with its place.
func (c *Call) publishable(ctx context.Context, g journey.Graph) error {
	var issues []Issue
	for _, p := range journey.Problems(ctx, c.Kit.DB, c.tenant(), g) {
		if !p.Warning {
			issues = append(issues, Issue{strings.Trim("nodes."+p.Node+"."+p.Path, "."), p.Text})
		}
	}
	if len(issues) == 0 {
		return nil
	}
	return NewProblem(http.StatusConflict, string(fault.Conflict), "The journey cannot be published: "+issues[0].Message, issues...)
}

type versionsIn struct {
	JourneyAt
	Page
}

func listVersions(ctx context.Context, c *Call, in *versionsIn) (*list[versionOut], error) {
	var before int64
	if err := c.opened(in.Cursor, &before); err != nil {
		return nil, err
	}
	all, err := journey.Versions(ctx, c.Kit.DB, c.tenant(), in.ID, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	names, err := c.administrators(ctx)
	if err != nil {
		return nil, err
	}
	out := items[versionOut](nil)
	for i, v := range all {
		if i == in.Limit {
			out.Body.Next = c.seal(all[i-1].Number)
			break
		}
		one := versionOf(v, names, false)
		if before == 0 && i == 0 && v.State == "production" {
			one.State = "live"
		}
		out.Body.Items = append(out.Body.Items, one)
	}
	return out, nil
}

type VersionAt struct {
	JourneyAt
	Version int64 `path:"version" minimum:"1"`
}

func getVersion(ctx context.Context, c *Call, in *VersionAt) (*body[versionOut], error) {
	v, err := journey.FindVersion(ctx, c.Kit.DB, c.tenant(), in.ID, in.Version)
	if err != nil {
		return nil, err
	}
	names, err := c.administrators(ctx)
	return answer(versionOf(v, names, true)), err
}

type restoreIn struct {
	VersionAt
	IfMatch
}

func restoreVersion(ctx context.Context, c *Call, in *restoreIn) (*tagged[journeyOut], error) {
	mark, err := in.mark()
	if err != nil {
		return nil, err
	}
	err = c.write(ctx, func(tx *db.Tx) (string, error) {
		v, err := journey.FindVersion(ctx, tx, c.tenant(), in.ID, in.Version)
		if err != nil {
			return "", err
		}
		_, err = journey.SaveDraft(ctx, tx, c.tenant(), v.Graph, mark, string(c.Who.User))
		return in.ID, err
	})
	if err != nil {
		return nil, stale(err)
	}
	return c.journey(ctx, c.Kit.DB, in.ID)
}

type rollBackIn struct {
	VersionAt
	Body struct {
		Note string `json:"note" maxLength:"1000"`
	}
}

func rollBack(ctx context.Context, c *Call, in *rollBackIn) (*body[publishedOut], error) {
	v, err := journey.FindVersion(ctx, c.Kit.DB, c.tenant(), in.ID, in.Version)
	if err != nil {
		return nil, err
	}
	if err := c.publishable(ctx, v.Graph); err != nil {
		return nil, err
	}
	var version int64
	err = c.write(ctx, func(tx *db.Tx) (string, error) {
		var err error
		version, err = journey.PublishBy(ctx, tx, c.tenant(), v.Graph, string(c.Who.User), in.Body.Note)
		return in.ID, err
	})
	return answer(publishedOut{version}), err
}

func disableJourney(ctx context.Context, c *Call, in *JourneyAt) (*empty, error) {
	return nil, c.write(ctx, func(tx *db.Tx) (string, error) { return in.ID, journey.Disable(ctx, tx, c.tenant(), in.ID) })
}

func deleteJourney(ctx context.Context, c *Call, in *DraftAt) (*empty, error) {
	mark, err := in.mark()
	if err != nil {
		return nil, err
	}
	return nil, stale(c.write(ctx, func(tx *db.Tx) (string, error) {
		if v, err := journey.Versions(ctx, tx, c.tenant(), in.ID, 0, 1); err != nil || len(v) > 0 {
			return "", cmp.Or[error](err, fault.New(fault.Conflict, "It was published: runs and records name it. Disable it instead."))
		}
		return in.ID, journey.DropDraft(ctx, tx, c.tenant(), in.ID, mark)
	}))
}
