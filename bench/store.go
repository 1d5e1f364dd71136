package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// transactions is the server's counter of committed write transactions.
const transactions = "watchword_db_transactions_total"

// store is a database under the server.
type store struct {
	name       string
	binary     string
	dir        string
	listen     string
	database   string
	postmaster int // pid; 0: SQLite
	users      []*user
	customers  []*customer // of the cidaas door; enrolled in the first round
	keys       keyring
}

// openStores returns SQLite and, where there is one, PostgreSQL with a fresh
// database, and how to remove that again.
func openStores(ctx context.Context, o options, dir, binary string) ([]*store, func(), error) {
	sqlite := &store{name: sqliteColumn, binary: binary, dir: filepath.Join(dir, "sqlite")}
	stores, cleanUp := []*store{sqlite}, func() {}
	if o.Postgres != "" {
		pg := &store{name: postgresColumn, binary: binary, dir: filepath.Join(dir, "postgres")}
		drop, err := pg.create(ctx, o.Postgres, "bench")
		if err != nil {
			return nil, nil, fmt.Errorf("PostgreSQL: %w", err)
		}
		stores, cleanUp = append(stores, pg), drop
	}
	for _, s := range stores {
		var err error
		if s.listen, err = freeAddress(); err == nil {
			err = os.Mkdir(s.dir, 0o700)
		}
		if err != nil {
			cleanUp()
			return nil, nil, err
		}
	}
	return stores, cleanUp, nil
}

// create makes the database and finds the process whose children serve it.
func (s *store) create(ctx context.Context, server, what string) (drop func(), err error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("watchword_%s_%d", what, os.Getpid())
	admin := *u
	admin.Path = "/postgres"
	exec := func(ctx context.Context, sql string) error {
		c, err := pgx.Connect(ctx, admin.String())
		if err != nil {
			return err
		}
		defer c.Close(ctx)
		if st, err := readStat(int(c.PgConn().PID())); err == nil && strings.HasPrefix(st.name, "postgres") {
			s.postmaster = st.parent
		}
		_, err = c.Exec(ctx, sql)
		return err
	}
	if err := exec(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	if s.postmaster == 0 {
		return nil, errors.New("the server does not run on this machine, so its CPU time cannot be seen")
	}
	u.Path = "/" + name
	s.database = u.String()
	return func() {
		if err := exec(context.WithoutCancel(ctx), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			note("dropping %s: %v", name, err)
		}
	}, nil
}

// start starts the server on this store, without limits that are meant for the
// world: everything comes from one address here.
func (s *store) start(ctx context.Context) (*process, error) {
	args := []string{"dev", "--listen", s.listen, "--url", "http://" + s.listen, "--data", s.dir, "--rate-per-address=-1", "--held-per-address=100000", "--push-limit=1000", "--log-level=warn"}
	if s.database != "" {
		args = append(args, "--database", s.database)
	}
	return start(ctx, "watchword: ready on ", s.binary, args...)
}

// populate registers everybody, on a database that the server has just made.
func (s *store) populate(ctx context.Context, t *table, k keyring) error {
	p, err := s.start(ctx)
	if err != nil {
		return err
	}
	t.add("cold start, new database", s.name, "ms", ms(p.ready))
	s.keys = k
	h := client()
	defer h.CloseIdleConnections()
	s.users = make([]*user, len(k.users))
	err = each(8, len(k.users), func(i int) (err error) {
		if s.users[i], err = newUser(p.url, fmt.Sprintf("user%04d@example.org", i), k.users[i], h); err != nil {
			return err
		}
		return register(ctx, s.users[i].phone)
	})
	if err == nil {
		err = each(8, k.crowd, func(i int) error {
			u, err := newUser(p.url, crowdEmail(i), k.some[i%len(k.some)], h)
			if err != nil {
				return err
			}
			return register(ctx, u.phone)
		})
	}
	if err != nil {
		err = fmt.Errorf("registering: %w: %s", err, p.log)
	}
	return errors.Join(err, p.stop())
}

// register registers a phone, and tries again when the server is too busy: it is
// not what is measured.
func register(ctx context.Context, p *simulator.Phone) error {
	for try := 0; ; try++ {
		err := busy(p.Register(ctx))
		if !errors.Is(err, errBusy) || try == 10 {
			return err
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}

// measure is one round on this store.
func (s *store) measure(ctx context.Context, t *table, o options) error {
	p, err := s.start(ctx)
	if err != nil {
		return err
	}
	t.add("cold start", s.name, "ms", ms(p.ready))
	for _, fn := range []func(context.Context, *process, *table, options) error{s.idle, s.signIns, s.methods, s.latency, s.waiting} {
		if err = fn(ctx, p, t, o); err != nil {
			err = fmt.Errorf("%w: %s", err, p.log)
			break
		}
	}
	return errors.Join(err, p.stop())
}

// idle is the memory of a server that was only started.
func (s *store) idle(ctx context.Context, p *process, t *table, _ options) error {
	if err := sleep(ctx, 2*time.Second); err != nil {
		return err
	}
	rss, err := p.rss()
	t.add("memory, idle", s.name, "MB", rss/1e6)
	return err
}

// usage is what was consumed up to now.
type usage struct {
	at             time.Time
	server, engine time.Duration // CPU; engine is PostgreSQL's
	commits        float64
}

func (s *store) usage(ctx context.Context, p *process) (u usage, err error) {
	u.at = time.Now()
	if u.server, err = p.cpu(); err != nil {
		return u, err
	}
	if s.postmaster != 0 {
		if u.engine, err = family(s.postmaster); err != nil {
			return u, err
		}
	}
	u.commits, err = p.counter(ctx, transactions)
	return u, err
}

// signIns is throughput and cost of whole sign-ins.
func (s *store) signIns(ctx context.Context, p *process, t *table, o options) error {
	if _, err := drive(ctx, p.url, s.users, 4, time.Second); err != nil { // warm up
		return err
	}
	for _, width := range o.Clients {
		before, err := s.usage(ctx, p)
		if err != nil {
			return err
		}
		got, err := drive(ctx, p.url, s.users, width, seconds(o.Seconds))
		if err != nil {
			return err
		}
		if len(got.took) == 0 {
			return errors.New("no sign-in succeeded")
		}
		after, err := s.usage(ctx, p)
		if err != nil {
			return err
		}
		n := float64(len(got.took))
		row := func(what string) string { return fmt.Sprintf("%s, %d at a time", what, width) }
		t.add(row("whole sign-ins"), s.name, "/s", n/after.at.Sub(before.at).Seconds())
		t.add(row("time of a sign-in, p50"), s.name, "ms", ms(percentile(got.took, 50)))
		t.add(row("server CPU of a sign-in"), s.name, "ms", ms(after.server-before.server)/n)
		if s.postmaster != 0 {
			t.add(row("database CPU of a sign-in"), s.name, "ms", ms(after.engine-before.engine)/n)
		}
		t.add(row("write transactions of a sign-in"), s.name, "", (after.commits-before.commits)/n)
		t.add(row("refused as too busy"), s.name, "%", 100*float64(got.busy)/(n+float64(got.busy)))
	}
	return nil
}

// latency is how soon a browser knows, with many waiting.
func (s *store) latency(ctx context.Context, p *process, t *table, o options) error {
	c, err := gather(ctx, p.url, s.keys.some[0], o.Watchers)
	if err != nil {
		return err
	}
	took, err := s.sample(ctx, p, o.Samples)
	if err = errors.Join(err, c.leave()); err != nil {
		return err
	}
	t.add(fmt.Sprintf("approval to browser, %d waiting, p50", o.Watchers), s.name, "ms", ms(percentile(took, 50)))
	t.add(fmt.Sprintf("approval to browser, %d waiting, p99", o.Watchers), s.name, "ms", ms(percentile(took, 99)))
	return nil
}

func (s *store) sample(ctx context.Context, p *process, n int) ([]time.Duration, error) {
	h := client()
	defer h.CloseIdleConnections()
	b, err := newBrowser(p.url, s.keys.some[0], h)
	if err != nil {
		return nil, err
	}
	var out []time.Duration
	for i := range n {
		took, err := signIn(ctx, b, s.users[i%len(s.users)])
		if errors.Is(err, errBusy) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, took)
	}
	return out, nil
}

// waiting is what many waiting browsers cost.
func (s *store) waiting(ctx context.Context, p *process, t *table, o options) error {
	if o.Waiting == 0 {
		return nil
	}
	c, err := gather(ctx, p.url, s.keys.some[0], o.Waiting)
	if err != nil {
		return err
	}
	err = s.watch(ctx, p, t, o)
	return errors.Join(err, c.leave())
}

func (s *store) watch(ctx context.Context, p *process, t *table, o options) error {
	if err := sleep(ctx, 2*time.Second); err != nil {
		return err
	}
	before, err := s.usage(ctx, p)
	if err != nil {
		return err
	}
	if err := sleep(ctx, seconds(o.Hold)); err != nil {
		return err
	}
	rss, err := p.rss()
	if err != nil {
		return err
	}
	after, err := s.usage(ctx, p)
	if err != nil {
		return err
	}
	passed := after.at.Sub(before.at)
	t.add(fmt.Sprintf("memory, %d waiting", o.Waiting), s.name, "MB", rss/1e6)
	t.add(fmt.Sprintf("server CPU, %d waiting", o.Waiting), s.name, "% of a core", 100*float64(after.server-before.server)/float64(passed))
	if s.postmaster != 0 {
		t.add(fmt.Sprintf("database CPU, %d waiting", o.Waiting), s.name, "% of a core", 100*float64(after.engine-before.engine)/float64(passed))
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
