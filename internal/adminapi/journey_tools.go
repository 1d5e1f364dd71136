package adminapi

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/expr"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
)

// What stands beside a drawing: files, expressions, client code, figures.

type exportIn struct {
	JourneyAt
	Format string `query:"format" enum:"yaml,json" default:"yaml"`
	Draft  bool   `query:"draft"`
}

// fileOut is a file to keep.
type fileOut struct {
	Type string `header:"Content-Type"`
	Name string `header:"Content-Disposition"`
	Body []byte
}

func exportJourney(ctx context.Context, c *Call, in *exportIn) (*fileOut, error) {
	d, err := journey.FindDraft(ctx, c.Kit.DB, c.tenant(), in.ID)
	if err != nil {
		return nil, err
	}
	g := d.Graph
	if !in.Draft {
		if g, _, err = journey.Newest(ctx, c.Kit.DB, c.tenant(), in.ID); err != nil {
			return nil, err
		}
	}
	b, err := c.Files.Write(g, in.Format)
	return &fileOut{"text/plain; charset=utf-8", `attachment; filename="` + g.ID + "." + in.Format + `"`, b}, err
}

type importIn struct {
	Body struct {
		Text string `json:"text" maxLength:"1000000"`
	}
}

type importOut struct {
	Graph journey.Graph `json:"graph"`
	CheckedOut
}

func importGraph(ctx context.Context, c *Call, in *importIn) (*body[importOut], error) {
	g, err := c.Files.Read([]byte(in.Body.Text))
	if err != nil {
		return nil, fault.At(err, "text")
	}
	return answer(importOut{g, c.checked(ctx, c.Kit.DB, g)}), nil
}

// Files reads and writes journeys as the files of `watchword apply`.
type Files struct {
	Read  func(b []byte) (journey.Graph, error)
	Write func(g journey.Graph, format string) ([]byte, error)
}

type expressionIn struct {
	Body struct {
		Text   string         `json:"text" maxLength:"20000"`
		Offset int            `json:"offset,omitempty" minimum:"0"`
		Graph  *journey.Graph `json:"graph,omitempty"`
		Node   string         `json:"node,omitempty"`
	}
}

type expressionOut struct {
	Errors []expressionError `json:"errors"`
	Type   string            `json:"type"`
}

type expressionError struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Text   string `json:"text"`
}

func checkExpression(_ context.Context, _ *Call, in *expressionIn) (*body[expressionOut], error) {
	out := expressionOut{Errors: []expressionError{}, Type: "any"}
	_, problems := expr.CompileConfig(map[string]any{"x": map[string]any{"expr": in.Body.Text}})
	for _, p := range problems {
		out.Errors = append(out.Errors, expressionError{p.Err.Line, p.Err.Column, p.Err.Message})
	}
	return answer(out), nil
}

func completeExpression(_ context.Context, _ *Call, in *expressionIn) (*list[journey.Suggestion], error) {
	var g journey.Graph
	if in.Body.Graph != nil {
		g = *in.Body.Graph
	}
	return items(g.Suggest(in.Body.Node, in.Body.Text, in.Body.Offset)), nil
}

type codeIn struct {
	JourneyAt
	Client string `query:"client" maxLength:"100"`
}

// CodeSample is client code for one platform.
type CodeSample struct {
	Platform string `json:"platform"`
	Title    string `json:"title"`
	Language string `json:"language"`
	Text     string `json:"text"`
}

func journeyCode(ctx context.Context, c *Call, in *codeIn) (*list[CodeSample], error) {
	d, err := journey.FindDraft(ctx, c.Kit.DB, c.tenant(), in.ID)
	if err != nil {
		return nil, err
	}
	if in.Client == "" {
		in.Client = "YOUR_CLIENT_ID"
	}
	all, err := c.Samples(d.Graph, apps.ClientID(in.Client), c.Kit.URL)
	return items(all), err
}

type statsIn struct {
	JourneyAt
	Hours int `query:"hours" minimum:"1" maximum:"720" default:"24"`
}

type statsOut struct {
	Runs      int                          `json:"runs"`
	Completed int                          `json:"completed"`
	Rejected  int                          `json:"rejected"`
	Abandoned int                          `json:"abandoned"`
	Capped    bool                         `json:"capped" doc:"There were more: these are the newest."`
	Nodes     map[string]journey.NodeStats `json:"nodes"`
}

func journeyStats(ctx context.Context, c *Call, in *statsIn) (*body[statsOut], error) {
	s, err := journey.Measure(ctx, c.Kit.DB, c.tenant(), in.ID, c.Kit.DB.Now().Add(-time.Duration(in.Hours)*time.Hour))
	return answer(statsOut{s.Runs, s.Completed, s.Rejected, s.Abandoned, s.Capped, s.Nodes}), err
}
