// Package refusal keeps in the record what programs of others were refused: an address
// to return to that is not listed, a wrong secret, an origin, a journey that is not
// published. They are told little; whoever runs the server finds what they asked for.
//
// It refuses nothing and judges nothing. What is repeated is kept a few times a minute
// only, because strangers can repeat it as often as they like.
package refusal

import (
	"context"
	"log/slog"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/limit"
)

// Reasons that have no word in OAuth.
const (
	Unknown = "unknown_client" // nobody goes by the id of the client
	Return  = "redirect_uri"   // the address to return to is not one of the client's
	Origin  = "origin"         // pages of that origin may not speak for the client
	Journey = "no_journey"     // there is none by that name, or it is not published
)

// Book keeps them. It counts in memory, so each node counts for itself. Nil keeps
// nothing.
type Book struct {
	db   *db.DB
	log  *slog.Logger
	seen *limit.Buckets
}

// perMinute is how often one reason is kept of one client.
const perMinute = 3

// New returns a book that writes to the record.
func New(db *db.DB, log *slog.Logger) *Book {
	return &Book{db: db, log: log, seen: limit.NewBuckets(perMinute/60.0, perMinute, 1000)}
}

// Call is what was refused. Whatever a stranger wrote of it is cut to what is worth
// reading.
type Call struct {
	Client  string // the id that it came with
	Reason  string
	Asked   string // what was wrong with it: an address, an origin, the name of a journey
	Said    string // what it was told
	Address string
	Agent   string
}

// Keep writes it down in a transaction of its own. Nothing depends on it: where it cannot
// be written, the log says so.
func (b *Book) Keep(ctx context.Context, c Call) {
	if b == nil || c.Client == "" {
		return
	}
	if err := b.keep(context.WithoutCancel(ctx), c); err != nil {
		b.log.WarnContext(ctx, "a refused call is not in the record", "reason", c.Reason, "cause", err)
	}
}

func (b *Book) keep(ctx context.Context, c Call) error {
	client, app, err := apps.FindClient(ctx, b.db, apps.ClientID(c.Client))
	if fault.Is(err, fault.NotFound) {
		return b.unknown(ctx, c)
	}
	if err != nil {
		return err
	}
	return b.write(ctx, c, app.Tenant, app.ID, client.ID)
}

// unknown keeps a call of a client that is not there. It stands with the first tenant,
// because it is nobody's; all of them count as one.
func (b *Book) unknown(ctx context.Context, c Call) error {
	tenants, err := apps.Tenants(ctx, b.db)
	if err != nil || len(tenants) == 0 {
		return err
	}
	c.Reason, c.Asked = Unknown, c.Client
	return b.write(ctx, c, tenants[0].ID, "", "")
}

func (b *Book) write(ctx context.Context, c Call, tenant apps.TenantID, app apps.ID, client apps.ClientID) error {
	if ok, _ := b.seen.Allow(string(client)+" "+c.Reason, b.db.Now()); !ok {
		return nil
	}
	return b.db.Tx(ctx, func(tx *db.Tx) error {
		return audit.Record(ctx, tx, audit.Event{
			Tenant: string(tenant), App: string(app), Client: string(client), Type: "client.refused", Outcome: "failure", Reason: c.Reason,
			IP: c.Address, UserAgent: c.Agent, Data: map[string]any{"asked": clip(c.Asked), "told": c.Said},
		})
	})
}

// clip is s as text of at most 200 characters.
func clip(s string) string {
	runes := []rune(s)
	return string(runes[:min(len(runes), 200)])
}
