// Command bench measures the real server: it builds the binary, starts it,
// drives whole sign-ins against it over HTTP from this process, with a browser
// and a phone for each, and writes what it saw to a table and to
// docs/performance.md. The same run measures what the machine gives to a bare
// net/http server, so that figures of two machines can be compared at all.
//
// It measures and judges nothing: there is no limit here that could fail. A
// sign-in that does not succeed ends the run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	Rounds   int
	Seconds  float64 // of each measurement of throughput
	Clients  []int
	Users    int // with a phone that answers
	Watchers int // browsers that wait while latency is measured
	Samples  int // approvals for each measurement of latency
	TOTP     int // users with an authenticator app
	Waiting  int // browsers that wait while memory is measured
	Crowd    int // users among whom some sign in; 0: not measured
	Hold     float64
	Postgres string
	Binary   string
	Out      string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "hello" {
		exit(hello())
	}
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		exit(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// shortRun is what -short sets of the flags that are not given.
var shortRun = map[string]string{
	"rounds": "1", "seconds": "2", "users": "40", "watchers": "50", "samples": "40", "waiting": "500", "totp": "300", "hold": "5", "out": "",
}

func parse(args []string) (options, error) {
	var o options
	var clients string
	var short bool
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.Rounds, "rounds", 5, "rounds; the table shows medians; 0 with -crowd: nothing but the crowd")
	f.Float64Var(&o.Seconds, "seconds", 5, "seconds of each measurement of throughput")
	f.StringVar(&clients, "clients", "1,8,32", "sign-ins at a time")
	f.IntVar(&o.Users, "users", 200, "users with a phone that answers")
	f.IntVar(&o.Watchers, "watchers", 200, "browsers that wait while latency is measured")
	f.IntVar(&o.Samples, "samples", 200, "approvals for each measurement of latency")
	f.IntVar(&o.Crowd, "crowd", 0, "users among whom a thousand sign in, such as 1000000; 0: not measured, for it takes minutes")
	f.IntVar(&o.TOTP, "totp", 2000, "users with an authenticator app, whose codes are used up while single methods are measured")
	f.IntVar(&o.Waiting, "waiting", 5000, "browsers that wait while memory is measured; 0 leaves it out")
	f.Float64Var(&o.Hold, "hold", 30, "seconds for which they are watched")
	f.StringVar(&o.Postgres, "postgres", os.Getenv("BENCH_POSTGRES"), "URL of a PostgreSQL server on this machine, without a database; empty: SQLite only")
	f.StringVar(&o.Binary, "binary", "", "server binary; empty: build one")
	f.StringVar(&o.Out, "out", "docs/performance.md", "file for the report; empty: none")
	f.BoolVar(&short, "short", false, "one short round, for a look; writes no report")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if short {
		for name, value := range shortRun {
			if !given(f, name) {
				if err := f.Set(name, value); err != nil {
					return o, err
				}
			}
		}
	}
	for _, text := range strings.Split(clients, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > o.Users {
			return o, fmt.Errorf("-clients %s: numbers from 1 to -users", clients)
		}
		o.Clients = append(o.Clients, n)
	}
	if o.Crowd != 0 && o.Crowd <= 2*few {
		return o, fmt.Errorf("-crowd: more than %d, or 0", 2*few)
	}
	if o.onlyCrowd() && !given(f, "out") {
		o.Out = "docs/crowd.md"
	}
	if o.Rounds < 0 || o.Rounds == 0 && o.Crowd == 0 || o.Seconds <= 0 || o.Hold <= 0 || o.Samples < 1 || o.Watchers < 0 || o.Waiting < 0 {
		return o, errors.New("a flag is out of range")
	}
	return o, nil
}

// given reports whether a flag stands on the command line.
func given(f *flag.FlagSet, name string) (is bool) {
	f.Visit(func(fl *flag.Flag) { is = is || fl.Name == name })
	return is
}

// onlyCrowd reports whether nothing but the crowd is measured.
func (o options) onlyCrowd() bool { return o.Rounds == 0 }

// run measures every store in every round, so that a noisy minute falls on all
// of them alike.
func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "watchword-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := build(ctx, o.Binary, dir)
	if err != nil {
		return err
	}
	stores, cleanUp, err := openStores(ctx, o, dir, binary)
	if err != nil {
		return err
	}
	defer cleanUp()
	t := &table{}
	if o.onlyCrowd() {
		return t.report(ctx, o, crowds(ctx, t, stores, o))
	}
	if err := t.size("size of the binary", machineColumn, binary); err != nil {
		return err
	}
	keys, err := makeKeys(o)
	if err != nil {
		return err
	}
	for _, s := range stores {
		note("%s: registering %d users", s.name, len(keys.users)+keys.crowd)
		if err := s.populate(ctx, t, keys); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return t.report(ctx, o, rounds(ctx, t, stores, o))
}

// rounds measures until it is done or something fails. What was measured until
// then stays in the table.
func rounds(ctx context.Context, t *table, stores []*store, o options) error {
	for round := range o.Rounds {
		note("round %d of %d", round+1, o.Rounds)
		if err := t.machine(ctx, o); err != nil {
			return err
		}
		for _, s := range stores {
			if err := s.measure(ctx, t, o); err != nil {
				return fmt.Errorf("round %d: %s: %w", round+1, s.name, err)
			}
		}
	}
	return crowds(ctx, t, stores, o)
}

// crowds measures every store with a crowd in it, if there is to be one.
func crowds(ctx context.Context, t *table, stores []*store, o options) error {
	if o.Crowd == 0 {
		return nil
	}
	for _, s := range stores {
		if err := s.crowd(ctx, t, o); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// build makes the binary as a release is made.
func build(ctx context.Context, given, dir string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	note("building the server")
	path := filepath.Join(dir, "watchword")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./cmd/watchword")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("building the server: %w", err)
	}
	return path, nil
}

func note(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05")}, args...)...)
}
