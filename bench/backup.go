package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// backups measures the commands that keep the crowd and bring it back: how long
// each takes, how much memory it needs at most, and how large the file is. The
// server is down, so that nothing else is in the figures.
func (s *store) backups(ctx context.Context, t *table, o options) (err error) {
	note("%s: backup, verify, restore", s.name)
	file, into := filepath.Join(s.dir, "bench.backup"), &store{dir: filepath.Join(s.dir, "restored")}
	if s.database != "" {
		drop, err := into.create(ctx, o.Postgres, "restored")
		if err != nil {
			return err
		}
		defer drop()
	}
	defer func() { err = errors.Join(err, os.RemoveAll(into.dir), os.RemoveAll(file)) }()
	for _, c := range []struct {
		verb string
		at   *store
	}{{"backup", s}, {"verify", s}, {"restore", into}} {
		took, peak, err := c.at.command(ctx, s.binary, c.verb, file, "--master-key-file", filepath.Join(s.dir, "master.key"))
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s of %d users", c.verb, o.Crowd)
		t.add(name, s.name, "s", took.Seconds())
		t.add(name+": most memory", s.name, "MB", float64(peak)/1e6)
		if c.verb == "backup" {
			if err := t.size(name+": size of the file", s.name, file); err != nil {
				return err
			}
		}
	}
	return nil
}

// command runs one command of the binary on this store to its end.
func (s *store) command(ctx context.Context, binary, verb string, args ...string) (took time.Duration, peak int64, err error) {
	args = append([]string{verb, "--data", s.dir}, args...)
	if s.database != "" {
		args = append(args, "--database", s.database)
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("%s: %w: %s", verb, err, out)
	}
	took = time.Since(began)
	return took, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss * 1024, nil // Linux counts in KiB
}
