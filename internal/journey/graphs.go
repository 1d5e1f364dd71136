package journey

import (
	"context"
	"fmt"
	"sync"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/expr"
)

// graph is a published version, ready to run. It never changes.
type graph struct {
	Graph
	version int64
	configs map[string]*expr.Config
}

func compile(g Graph, version int64) (*graph, error) {
	out := &graph{g, version, make(map[string]*expr.Config, len(g.Nodes))}
	for id, n := range g.Nodes {
		c, problems := expr.CompileConfig(n.Config)
		if len(problems) > 0 {
			return nil, fmt.Errorf("journey %s node %s: %s", g.ID, id, problems[0].Err.Message)
		}
		out.configs[id] = c
	}
	return out, nil
}

// graphCache keeps the versions that run. A version never changes, so nothing
// in it is ever stale.
type graphCache struct {
	mu sync.Mutex
	m  map[string]*graph
}

const maxGraphs = 1000

func (c *graphCache) get(ctx context.Context, q db.Q, tenant apps.TenantID, id string, version int64) (*graph, error) {
	key := fmt.Sprintf("%s/%s/%d", tenant, id, version)
	c.mu.Lock()
	g := c.m[key]
	c.mu.Unlock()
	if g != nil {
		return g, nil
	}
	var drawn Graph
	query := `SELECT graph FROM journeys WHERE tenant_id = $1 AND id = $2 AND version = $3`
	if version < 0 {
		query = `SELECT graph FROM snapshots WHERE tenant_id = $1 AND id = $2 AND version = $3`
	}
	err := q.QueryRow(ctx, query, tenant, id, version).Scan(db.JSON(&drawn))
	if err != nil {
		return nil, db.None(err, "journey")
	}
	if g, err = compile(drawn, version); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= maxGraphs {
		c.m = map[string]*graph{}
	}
	c.m[key] = g
	return g, nil
}

func (e *Engine) version(ctx context.Context, q db.Q, s StartRequest) (*graph, error) {
	if s.Version != 0 {
		return e.graphs.get(ctx, q, s.App.Tenant, s.Journey, s.Version)
	}
	return e.newest(ctx, q, s.App.Tenant, s.Journey)
}

func (e *Engine) newest(ctx context.Context, q db.Q, tenant apps.TenantID, id string) (*graph, error) {
	var version int64
	err := q.QueryRow(ctx, `SELECT version FROM journeys WHERE tenant_id = $1 AND id = $2 AND state = 'production' ORDER BY version DESC LIMIT 1`, tenant, id).Scan(&version)
	if err != nil {
		return nil, db.None(err, "journey")
	}
	return e.graphs.get(ctx, q, tenant, id, version)
}
