package adminapi

import (
	"context"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/token"
)

// Key is a signing key of the server.
type Key struct {
	ID          string `json:"id"`
	Alg         string `json:"alg"`
	State       string `json:"state" enum:"next,active,retiring"`
	ActivatesAt Stamp  `json:"activates_at"`
	RetiresAt   Stamp  `json:"retires_at"`
}

func listKeys(ctx context.Context, c *Call, _ *empty) (*list[Key], error) {
	all, err := token.List(ctx, c.Kit.DB)
	if err != nil {
		return nil, err
	}
	var out []Key
	for _, k := range all {
		out = append(out, Key{k.ID, k.Alg, string(k.State), Stamp(k.Activates), Stamp(k.Retires)})
	}
	return items(out), nil
}

type rotateIn struct {
	Body struct {
		Alg string `json:"alg" enum:"ES256,RS256"`
	}
}

func rotateKeys(ctx context.Context, c *Call, in *rotateIn) (*list[Key], error) {
	err := c.write(ctx, func(tx *db.Tx) (string, error) { return in.Body.Alg, c.Keys.Rotate(ctx, tx, in.Body.Alg) })
	if err != nil {
		return nil, err
	}
	return listKeys(ctx, c, nil)
}
