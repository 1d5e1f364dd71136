package db

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLease is how long one node may migrate without a sign of life.
const migrationLease = time.Minute

// migrate brings the schema up to date. Of many nodes that start together one
// does it and the others wait. It refuses a schema that is newer than this
// program: an old node must not write what a new one will misread.
func (d *DB) migrate(ctx context.Context, dialect goose.Dialect) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, d.write, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	have, want, err := d.versions(ctx, p)
	if err != nil || have == want {
		return err
	}
	if dialect == goose.DialectSQLite3 { // the lock file is held
		return up(ctx, p, want)
	}
	release, err := d.lease(ctx)
	if err != nil {
		return err
	}
	defer release()
	if have, want, err = d.versions(ctx, p); err != nil || have == want {
		return err // somebody else did it
	}
	return up(ctx, p, want)
}

func up(ctx context.Context, p *goose.Provider, version int64) error {
	if _, err := p.UpTo(ctx, version); err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	return nil
}

// versions returns the version of the schema and the one it should have: the
// newest this program knows, unless a certain one is wanted.
func (d *DB) versions(ctx context.Context, p *goose.Provider) (have, want int64, err error) {
	have, want, err = p.GetVersions(ctx)
	if err != nil {
		// Two nodes that start on an empty database both create goose's table.
		if have, want, err = p.GetVersions(ctx); err != nil {
			return 0, 0, fmt.Errorf("reading the version of the database: %w", err)
		}
	}
	if d.target != 0 {
		want = d.target
	}
	if have > want {
		return 0, 0, fmt.Errorf("the database has schema version %d and this program knows only %d: run a newer program", have, want)
	}
	return have, want, nil
}

// migrated reports an error unless the schema is at least ours.
func (d *DB) migrated(ctx context.Context) error {
	have, want, err := d.schema(ctx)
	if err == nil && have < want {
		err = fmt.Errorf("the database has schema version %d and this program needs %d", have, want)
	}
	return err
}

// sameSchema reports an error unless the schema is ours.
func (d *DB) sameSchema(ctx context.Context) error {
	have, want, err := d.schema(ctx)
	if err == nil && have != want {
		err = fmt.Errorf("the database has schema version %d and this program has %d: use the program of the version that serves it", have, want)
	}
	return err
}

// schema returns the version of the schema and the newest of this program.
func (d *DB) schema(ctx context.Context) (have, want int64, err error) {
	if want, err = newest(); err != nil {
		return 0, 0, err
	}
	err = d.QueryRow(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&have)
	if err != nil {
		err = fmt.Errorf("reading the version of the database: %w", err)
	}
	return have, want, err
}

// newest returns the version of the last migration file.
var newest = sync.OnceValues(func() (int64, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(names) == 0 {
		return 0, errors.Join(errors.New("no migrations in this program"), err)
	}
	return goose.NumericComponent(names[len(names)-1]) // Glob sorts
})

// Schema is a fingerprint of all migrations in this program.
func Schema() string {
	sum := sha256.New()
	names, _ := fs.Glob(migrations, "migrations/*.sql") // the pattern is right
	for _, name := range names {
		b, err := migrations.ReadFile(name)
		if err != nil {
			panic("db: " + err.Error()) // it is part of the program
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(b), b)
	}
	return hex.EncodeToString(sum.Sum(nil)[:10])
}

// lease makes this node the one that migrates: a row, because advisory locks
// exist neither everywhere nor behind every pooler.
func (d *DB) lease(ctx context.Context) (release func(), err error) {
	const create = `CREATE TABLE IF NOT EXISTS migration_lease (id TEXT PRIMARY KEY, holder TEXT NOT NULL, until BIGINT NOT NULL)`
	if _, err := d.write.ExecContext(ctx, create); err != nil {
		// IF NOT EXISTS is not safe against another node that does the same.
		if _, err := d.write.ExecContext(ctx, create); err != nil {
			return nil, fmt.Errorf("preparing to migrate: %w", err)
		}
	}
	for {
		ours, err := d.holdLease(ctx)
		if err != nil {
			return nil, err
		}
		if ours {
			break
		}
		wait := time.NewTimer(200 * time.Millisecond)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil, fmt.Errorf("waiting for another node to migrate the database: %w", ctx.Err())
		}
	}
	renew, stop := context.WithCancel(ctx)
	var gone sync.WaitGroup
	gone.Go(func() {
		ticks := time.NewTicker(migrationLease / 4)
		defer ticks.Stop()
		for {
			select {
			case <-renew.Done():
				return
			case <-ticks.C:
				d.holdLease(renew) // if it fails the lease runs on for a while
			}
		}
	})
	return func() {
		stop()
		gone.Wait()
		// If this fails the lease runs out by itself.
		d.write.ExecContext(context.WithoutCancel(ctx), `UPDATE migration_lease SET until = 0 WHERE holder = $1`, d.node)
	}, nil
}

func (d *DB) holdLease(ctx context.Context) (bool, error) {
	res, err := d.write.ExecContext(ctx, `INSERT INTO migration_lease (id, holder, until) VALUES ('migrate', $1, $2)
		ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, until = excluded.until
		WHERE migration_lease.until <= $3 OR migration_lease.holder = excluded.holder`,
		d.node, millis(d.Now().Add(migrationLease)), millis(d.Now()))
	if err != nil {
		return false, fmt.Errorf("taking the lease to migrate: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}
