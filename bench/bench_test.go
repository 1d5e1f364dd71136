package main

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const line = "4711 (post) gres: a b) S 42 4711 4711 0 -1 4194560 1 2 3 4 150 25 7 3 20 0 1 0 5 6 7"
	s, err := parseStat(line)
	if err != nil {
		t.Fatal(err)
	}
	if want := (stat{"post) gres: a b", 42, 1750 * time.Millisecond, 100 * time.Millisecond}); s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
	for _, bad := range []string{"", "1 (a", "1 (a) S 2", strings.Replace(line, " 42 ", " x ", 1)} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if s, err = readStat(os.Getpid()); err != nil || s.parent != os.Getppid() {
		t.Errorf("this process: %+v, %v", s, err)
	}
}

// What a process burns must show in what is read of it.
func TestFamilyCountsThisProcess(t *testing.T) {
	before, err := family(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for began := burned(t); burned(t)-began < 100*time.Millisecond; { // on a busy machine that takes its time
	}
	after, err := family(os.Getpid())
	if used := after - before; err != nil || used < 60*time.Millisecond || used > 5*time.Second {
		t.Errorf("used %v, %v", used, err)
	}
}

// burned is what this process has had of the processor, as the kernel tells it.
func burned(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestMetric(t *testing.T) {
	text := []byte("# HELP watchword_db_transactions_total x\nwatchword_db_transactions_total_more 7\nwatchword_db_transactions_total 1.5e+03\n")
	if n, err := metric(text, transactions); err != nil || n != 1500 {
		t.Errorf("%v, %v", n, err)
	}
	if _, err := metric(text, "other"); err == nil {
		t.Error("a metric that is not there was found")
	}
}

func TestMedianAndPercentile(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.in); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.in, got, c.want)
		}
	}
	var took []time.Duration
	for i := 200; i > 0; i-- {
		took = append(took, time.Duration(i))
	}
	for p, want := range map[int]time.Duration{50: 100, 99: 198, 100: 200, 0: 1} {
		if got := percentile(took, p); got != want {
			t.Errorf("p%d is %d, want %d", p, got, want)
		}
	}
}

func TestEach(t *testing.T) {
	var sum atomic.Int64
	if err := each(3, 100, func(i int) error { sum.Add(int64(i)); return nil }); err != nil || sum.Load() != 4950 {
		t.Errorf("sum %d, %v", sum.Load(), err)
	}
	broken := errors.New("broken")
	if err := each(3, 100, func(i int) error {
		if i%2 == 1 {
			return broken
		}
		return nil
	}); !errors.Is(err, broken) {
		t.Errorf("the error was lost: %v", err)
	}
}

func TestTable(t *testing.T) {
	tab := &table{}
	for _, v := range []float64{120.4, 90, 300} {
		tab.add("sign-ins", "SQLite", "/s", v)
	}
	tab.add("size", machineColumn, "MB", 41.25)
	var b strings.Builder
	tab.print(&b)
	want := `|              |         SQLite | machine |
|--------------|---------------:|--------:|
| sign-ins, /s | 120 (90.0–300) |         |
| size, MB     |                |    41.2 |
`
	if got := b.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-clients", "2,4", "-rounds", "3"})
	if err != nil || len(o.Clients) != 2 || o.Clients[1] != 4 || o.Rounds != 3 || o.Out == "" {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err = parse([]string{"-seconds=7", "-short"}); err != nil || o.Out != "" || o.Rounds != 1 || o.Seconds != 7 {
		t.Errorf("short: %+v, %v", o, err)
	}
	for _, bad := range []string{"-clients=0", "-clients=x", "-clients=500", "-rounds=0", "-seconds=0"} {
		if _, err := parse([]string{bad}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestJudge(t *testing.T) {
	tab := &table{}
	add := func(name, column string, values ...float64) {
		for _, v := range values {
			tab.add(name, column, "", v)
		}
	}
	add(bare, machineColumn, 1000, 2000, 3000)
	add("discovery documents, 32 at a time", sqliteColumn, 1400, 1, 9000)
	add("discovery documents, 32 at a time", postgresColumn, 1398)
	add("refreshes, 32 at a time", sqliteColumn, 600)
	add("TOTP sign-ins over REST, 32 at a time: server CPU", sqliteColumn, 1.51)
	var b strings.Builder
	tab.judge(&b)
	for _, want := range []string{
		"at least 70 % of bare net/http requests, 32 at a time | SQLite | 70.0 % |",
		"| PostgreSQL | 69.9 %, **missed** |",
		"at least 600/s | SQLite | 600 |",
		"at most 1.5 ms | SQLite | 1.51, **missed** |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if n := strings.Count(b.String(), "\n| ") - 1; n != 4 {
		t.Errorf("%d rows were judged", n)
	}
}
