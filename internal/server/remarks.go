package server

import (
	"cmp"
	"context"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/journey"
)

// Remark is what is to be said of a configuration: of a method's setting in an
// application, or of a journey's node.
type Remark struct {
	Where   string // "apps/store: push" or "journeys/web_login"
	Field   string // a setting, or a node; may be empty
	Text    string
	Ref     string // the standard that says so
	Serious bool   // a standard demands otherwise, or it does not work; else it is advice
}

// Remarks reads a tenant's configuration with the linter's eyes. Nothing of it
// keeps a server from running with it.
func Remarks(ctx context.Context, q db.Q, tenant apps.TenantID) ([]Remark, error) {
	list, err := apps.List(ctx, q, tenant)
	if err != nil {
		return nil, err
	}
	var out []Remark
	for _, a := range list {
		for _, m := range authn.Methods() {
			notes, err := authn.Lint(ctx, q, a.ID, m.Kind)
			if err != nil {
				return nil, err
			}
			for _, n := range notes {
				out = append(out, Remark{"apps/" + string(a.ID) + ": " + string(m.Kind), n.Field, n.Message, n.Ref, n.Severity == authn.Warning})
			}
		}
	}
	js, err := journey.List(ctx, q, tenant)
	if err != nil {
		return nil, err
	}
	for _, j := range js {
		g, _, err := journey.Newest(ctx, q, tenant, j.ID)
		if err != nil {
			return nil, err
		}
		for _, p := range journey.Problems(ctx, q, tenant, g) {
			out = append(out, Remark{"journeys/" + j.ID, cmp.Or(p.Node, p.Path), p.Text, "", true})
		}
	}
	return out, nil
}
