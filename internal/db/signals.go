package db

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	round    = 300 * time.Millisecond // between two looks at the signals of other nodes
	lookBack = maxSkew + 3*time.Second
	keep     = time.Minute // a signal's row
	perQuery = 200         // topics asked for at once
)

// courier carries signals between nodes, as rows: a signal is written in the
// transaction that it tells of, and every node that somebody waits on looks for
// the topics that are waited for. (pg_notify was measured to cost two thirds of
// the throughput.)
//
// Rows become visible in another order than their times, and clocks differ. So
// each look goes back over the last seconds, and what was seen is remembered.
type courier struct {
	d    *DB
	stop context.CancelFunc
	gone sync.WaitGroup
	seen map[string]time.Time // signal → its time; the goroutine's own
}

func newCourier(d *DB) *courier {
	ctx, stop := context.WithCancel(context.Background())
	c := &courier{d: d, stop: stop, seen: map[string]time.Time{}}
	c.gone.Go(func() { c.run(ctx) })
	return c
}

func (c *courier) Close() error {
	c.stop()
	c.gone.Wait()
	return nil
}

// post writes t's signals, which the other nodes find once t has committed.
func (c *courier) post(t *Tx) error {
	if len(t.topics) == 0 {
		return nil
	}
	slices.Sort(t.topics)
	t.topics = slices.Compact(t.topics)
	now := c.d.Now() // not t's: from here to the commit it is not far
	var values []string
	var args []any
	for _, topic := range t.topics {
		n := len(args)
		values = append(values, fmt.Sprintf("($%d, $%d, $%d, $%d)", n+1, n+2, n+3, n+4))
		args = append(args, NewID("sig_"), c.d.node, topic, now)
	}
	if _, err := t.Exec(t.ctx, `INSERT INTO signals (id, node, topic, at) VALUES `+strings.Join(values, ", "), args...); err != nil {
		return fmt.Errorf("signalling: %w", err)
	}
	return nil
}

func (c *courier) run(ctx context.Context) {
	ticks := time.NewTicker(round)
	defer ticks.Stop()
	blind := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		topics := c.d.hub.topics()
		fresh, err := c.look(ctx, topics)
		if err != nil {
			blind = true // an outage; those who wait go on waiting
			continue
		}
		if blind {
			blind = false
			fresh = topics // whatever came meanwhile may be too old to be found
		}
		c.d.hub.wake(fresh)
	}
}

// look returns those of topics that another node signalled since the last look.
func (c *courier) look(ctx context.Context, topics []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	since := c.d.Now().Add(-lookBack)
	for id, at := range c.seen {
		if at.Before(since) {
			delete(c.seen, id)
		}
	}
	var fresh []string
	for some := range slices.Chunk(topics, perQuery) {
		found, err := c.ask(ctx, some, since)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, found...)
	}
	return fresh, nil
}

func (c *courier) ask(ctx context.Context, topics []string, since time.Time) ([]string, error) {
	args := []any{since, c.d.node}
	var in []string
	for _, topic := range topics {
		args = append(args, topic)
		in = append(in, "$"+strconv.Itoa(len(args)))
	}
	rows, err := c.d.Query(ctx, `SELECT id, topic, at FROM signals WHERE at >= $1 AND node <> $2 AND topic IN (`+strings.Join(in, ", ")+`)`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var fresh []string
	for rows.Next() {
		var id, topic string
		var at time.Time
		if err := rows.Scan(&id, &topic, Time(&at)); err != nil {
			return nil, err
		}
		if _, old := c.seen[id]; !old {
			c.seen[id] = at
			fresh = append(fresh, topic)
		}
	}
	return fresh, rows.Err()
}

// Sweep deletes what the database keeps for itself and needs no longer. Some
// node calls it every minute or so.
func Sweep(ctx context.Context, tx *Tx) error {
	if _, err := tx.Exec(ctx, `DELETE FROM signals WHERE at < $1`, tx.Now().Add(-keep)); err != nil {
		return fmt.Errorf("sweeping signals: %w", err)
	}
	return nil
}
