package journey

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
)

// unhosted warns of steps that people cannot answer who sign in on the pages of
// this server, in each application of which a web client has them do so by g. What
// cannot be read is not warned of.
func unhosted(ctx context.Context, q db.Q, tenant apps.TenantID, g Graph, refs Refs) []Problem {
	if g.Kind != KindClient && g.Kind != KindSSO {
		return nil
	}
	var out []Problem
	list, _ := apps.List(ctx, q, tenant)
	for _, app := range list {
		clients, _ := apps.Clients(ctx, q, app.ID)
		if !slices.ContainsFunc(clients, func(c apps.Client) bool { return signsIn(c, g.ID) }) {
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(g.Nodes)) {
			if why := barrier(ctx, q, app.ID, g.Nodes[id], refs, map[string]bool{g.ID: true}); why != "" {
				out = append(out, Problem{Node: id, Warning: true, Text: fmt.Sprintf("Whoever signs in to %s on the pages of this server cannot answer this: %s", app.Name, why)})
			}
		}
	}
	return out
}

// signsIn reports whether a client has people sign in by a journey on our pages.
func signsIn(c apps.Client, journey string) bool {
	if c.Kind != apps.Web || c.Settings.LoginURI != "" {
		return false
	}
	return cmp.Or(c.Settings.Journey, "sign_in") == journey || slices.Contains(slices.Collect(maps.Values(c.Settings.Journeys)), journey)
}

// barrier is why a node, or one of the journey that it runs, cannot be answered on
// our pages; "" if it can.
func barrier(ctx context.Context, q db.Q, app apps.ID, n Node, refs Refs, seen map[string]bool) string {
	if ask := steps[n.Kind].unhosted; ask != nil {
		why, err := ask(ctx, q, app, n.Config)
		if err == nil {
			return why
		}
	}
	sub, _ := n.Config["journey"].(string)
	if n.Kind != "sub_journey" || seen[sub] {
		return ""
	}
	seen[sub] = true
	g, _ := refs(sub)
	for _, id := range slices.Sorted(maps.Keys(g.Nodes)) {
		if why := barrier(ctx, q, app, g.Nodes[id], refs, seen); why != "" {
			return why
		}
	}
	return ""
}
