package oidc

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Allowed is a client that a user let in: a third party that was allowed to know
// something, or any client that holds tokens which outlive the session.
type Allowed struct {
	Client  apps.ClientID
	Name    string
	App     apps.ID
	Scope   []string
	Given   time.Time // zero: it is not one that asks
	Used    time.Time // when its tokens were last made new
	Offline bool      // it holds tokens that outlive the session
}

// Consents returns the clients that a user let in, by name: of an application, or
// of the tenant if app is empty.
func Consents(ctx context.Context, q db.Q, tenant apps.TenantID, app apps.ID, user directory.UserID) ([]Allowed, error) {
	found := map[apps.ClientID]*Allowed{}
	if err := asked(ctx, q, user, found); err != nil {
		return nil, err
	}
	if err := outliving(ctx, q, user, found); err != nil {
		return nil, err
	}
	var out []Allowed
	for id, c := range found {
		client, its, err := apps.FindClient(ctx, q, id)
		if fault.Is(err, fault.NotFound) || err == nil && (its.Tenant != tenant || app != "" && its.ID != app) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c.Client, c.Name, c.App = id, client.Name, its.ID
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Allowed) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.Client), string(b.Client)))
	})
	return out, nil
}

func asked(ctx context.Context, q db.Q, user directory.UserID, found map[apps.ClientID]*Allowed) error {
	rows, err := q.Query(ctx, `SELECT client_id, scopes, created_at FROM consents WHERE user_id = $1`, user)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id apps.ClientID
		var scopes string
		c := &Allowed{}
		if err := rows.Scan(&id, &scopes, db.Time(&c.Given)); err != nil {
			return err
		}
		c.Scope, found[id] = strings.Fields(scopes), c
	}
	return rows.Err()
}

// outliving adds the clients whose grants do not end with a session.
func outliving(ctx context.Context, q db.Q, user directory.UserID, found map[apps.ClientID]*Allowed) error {
	rows, err := q.Query(ctx, `SELECT id, client_id, body, rotated_at, created_at FROM grants WHERE user_id = $1 AND state = 'active' AND expires_at > $2`, user, q.Now())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var g grant
		var sealed []byte
		if err := rows.Scan(&g.ID, &g.Client, &sealed, db.Time(&g.Rotated), db.Time(&g.Created)); err != nil {
			return err
		}
		b, err := q.Vault().Open(grantPlace(g.ID), sealed)
		if err == nil {
			err = json.Unmarshal(b, &g.terms)
		}
		if err != nil {
			return err
		}
		c := found[g.Client]
		if !g.Offline && c == nil {
			continue
		}
		if c == nil {
			c = &Allowed{}
			found[g.Client] = c
		}
		c.Offline = c.Offline || g.Offline
		c.Scope = slices.Compact(slices.Sorted(slices.Values(slices.Concat(c.Scope, g.Scope))))
		for _, t := range []time.Time{g.Created, g.Rotated} {
			if t.After(c.Used) {
				c.Used = t
			}
		}
	}
	return rows.Err()
}

// Withdraw takes from a client what a user let it do, and everything that came of
// it; fault.NotFound if that is nothing, or the client is not of the application,
// or of the tenant if app is empty.
func Withdraw(ctx context.Context, tx *db.Tx, tenant apps.TenantID, app apps.ID, user directory.UserID, client apps.ClientID) error {
	none := fault.New(fault.NotFound, "no such consent")
	_, its, err := apps.FindClient(ctx, tx, client)
	if fault.Is(err, fault.NotFound) || err == nil && (its.Tenant != tenant || app != "" && its.ID != app) {
		return none
	}
	if err != nil {
		return err
	}
	given, err := tx.Exec(ctx, `DELETE FROM consents WHERE user_id = $1 AND client_id = $2`, user, client)
	if err != nil {
		return err
	}
	live, err := tx.Exec(ctx, `UPDATE grants SET state = 'revoked' WHERE user_id = $1 AND client_id = $2 AND state <> 'revoked'`, user, client)
	if err != nil {
		return err
	}
	if given+live == 0 {
		return none
	}
	return audit.Record(ctx, tx, audit.Event{Tenant: string(tenant), App: string(its.ID), Client: string(client), Type: "consent.withdrawn", Outcome: "success",
		Actor: string(user), Target: string(user)})
}
