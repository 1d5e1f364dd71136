package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/lockout"
)

// The columns; what has no store stands under the machine.
const (
	machineColumn  = "machine"
	sqliteColumn   = "SQLite"
	postgresColumn = "PostgreSQL"
)

// table collects a value a round for each row and column.
type table struct {
	rows    []*row
	columns []string
	last    int // the row that was added to last: a new one comes after it
}

type row struct {
	name, unit string
	values     map[string][]float64 // by column
}

func (t *table) add(name, column, unit string, value float64) {
	if !slices.Contains(t.columns, column) {
		t.columns = append(t.columns, column)
	}
	i := slices.IndexFunc(t.rows, func(r *row) bool { return r.name == name })
	if i < 0 {
		i = min(t.last+1, len(t.rows))
		t.rows = slices.Insert(t.rows, i, &row{name, unit, map[string][]float64{}})
	}
	t.last = i
	r := t.rows[i]
	r.values[column] = append(r.values[column], value)
}

// size notes how big a file is.
func (t *table) size(name, column, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	t.add(name, column, "MB", float64(info.Size())/1e6)
	return nil
}

// machine measures a bare net/http server in a process of its own.
func (t *table) machine(ctx context.Context, o options) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p, err := start(ctx, "ready on ", self, "hello")
	if err != nil {
		return err
	}
	defer func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}()
	t.add("lockout decision", machineColumn, "ns", decision())
	for _, width := range o.Clients {
		rate, err := greet(ctx, p.url, width, seconds(o.Seconds))
		if err != nil {
			return err
		}
		t.add(fmt.Sprintf("bare net/http requests, %d at a time", width), machineColumn, "/s", rate)
	}
	return nil
}

// decision is what one charge of the lockout engine takes, in nanoseconds: ten
// tiers, and a success after every failure that locks.
func decision() float64 {
	p := lockout.Policy{WindowMinutes: 15, HardCap: 100}
	for i := range 10 {
		p.Tiers = append(p.Tiers, lockout.Tier{Failures: 5 * (i + 1), Minutes: i + 1})
	}
	const n = 1_000_000
	var s lockout.State
	now := time.Now()
	for i := range n {
		var wait time.Duration
		if s, wait = p.Charge(s, now.Add(time.Duration(i)*time.Second)); wait > 0 {
			s = p.Succeed(s)
		}
	}
	return float64(time.Since(now)) / n
}

// median of an odd number of values is the middle one, of an even number the
// mean of the two in the middle.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	if n == 0 {
		return 0
	}
	return (v[(n-1)/2] + v[n/2]) / 2
}

// percentile is the smallest duration that at least p percent do not exceed.
func percentile(took []time.Duration, p int) time.Duration {
	if len(took) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(took))
	return v[max(0, (len(v)*p+99)/100-1)]
}

// cell is a median, with the range where there were several rounds.
func (r *row) cell(column string) string {
	v := r.values[column]
	switch len(v) {
	case 0:
		return ""
	case 1:
		return number(v[0])
	}
	return fmt.Sprintf("%s (%s–%s)", number(median(v)), number(slices.Min(v)), number(slices.Max(v)))
}

func number(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

// print writes the table as Markdown, which reads well on a terminal too.
func (t *table) print(w io.Writer) {
	lines := [][]string{append([]string{""}, t.columns...)}
	for _, r := range t.rows {
		name := r.name
		if r.unit != "" {
			name += ", " + r.unit
		}
		line := []string{name}
		for _, c := range t.columns {
			line = append(line, r.cell(c))
		}
		lines = append(lines, line)
	}
	width := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, text := range line {
			width[i] = max(width[i], len([]rune(text)))
		}
	}
	for n, line := range lines {
		fmt.Fprintf(w, "| %-*s |", width[0], line[0])
		for i := 1; i < len(line); i++ {
			fmt.Fprintf(w, " %*s |", width[i], line[i])
		}
		fmt.Fprintln(w)
		if n == 0 {
			fmt.Fprint(w, "|"+strings.Repeat("-", width[0]+2)+"|")
			for i := 1; i < len(line); i++ {
				fmt.Fprint(w, strings.Repeat("-", width[i]+1)+":|")
			}
			fmt.Fprintln(w)
		}
	}
}

// report prints the table, and writes it where it is wanted, also after something
// failed.
func (t *table) report(ctx context.Context, o options, failed error) error {
	t.print(os.Stdout)
	if o.Out == "" {
		return failed
	}
	return errors.Join(failed, t.write(context.WithoutCancel(ctx), o))
}

// write makes the report.
func (t *table) write(ctx context.Context, o options) error {
	title, by, text := "# Performance", "`make bench`; do not edit. Median of "+strconv.Itoa(o.Rounds)+" rounds, smallest and largest in brackets", explanation
	if o.onlyCrowd() {
		title, by, text = "# Performance with a crowd", "`go run ./bench -rounds 0 -crowd "+strconv.Itoa(o.Crowd)+"`; do not edit", crowdExplanation
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nWritten by %s.\n\n- Machine: %s, %s.\n- Software: %s, Watchword %s%s.\n\n", title, by, cpuModel(), cores(), runtime.Version(), commit(ctx), engine(o))
	t.print(&b)
	if !o.onlyCrowd() {
		t.judge(&b)
	}
	b.WriteString(text)
	if err := os.WriteFile(o.Out, []byte(b.String()), 0o644); err != nil {
		return err
	}
	note("wrote %s", o.Out)
	return nil
}

const crowdExplanation = `
The same sign-ins are measured twice, in one run: among a thousand users, and among a crowd of which each has an authenticator app, recovery codes and
biometrics. Those who sign in enrol shortly before; the others are put into the database directly, by the product's own code, with the server down. The
size is that of the whole database, with its indexes and the record of what happened, divided by the users in it. Backup, verify and restore are the
commands, with the server down, on files of this machine; a backup is read back before it is done, and a restore is checked before and after, as ever.
`

const explanation = `
## What is measured

The server is the release binary, in a process of its own, in development mode (so that the demo application is there) with the limits per address off,
because everything comes from one address here. SQLite runs with ` + "`synchronous=FULL`" + `, PostgreSQL with ` + "`fsync`" + ` and ` + "`synchronous_commit`" + ` on: what was
answered survives a power cut. Browser and phone are another process on the same machine and share its cores; their own CPU time (two RSA signatures
for each sign-in among it) is not in the figures, but it takes from what the server could have had. Users are registered and keys are made beforehand.

- **Bare net/http requests**: a server that answers "hello, world", in a process of its own, asked by the same client in the same run. It tells how fast
  the machine is; compare ratios, not absolute figures.
- **Whole sign-in**: the browser starts the journey, names the user and gets a number; the phone asks what waits, starts its journey, enters the number and
  signs with its biometric key; the browser, whose poll is held, gets its signed token. That is seven requests, at least.
- **Discovery documents to code flows**: what relying parties ask for. A code flow is an authorization on a session that stands and the redemption of its code;
  tokens are signed by ES256. The target of a document is the bare server's figure.
- **cidaas Smart PUSH**: what the SDKs of that vendor do, from the request id to the tokens: a request, the number, what waits on the phone, its three answers,
  the status, the end and the redemption of the code. That is nine requests; the identity token is signed by RS256, as those SDKs want it.
- **TOTP, passkey and password sign-ins**: over the back-end API, and TOTP through journeys as a page with the SDK runs them. Passwords are measured against the
  argon2id hashes that this machine makes in the same run.
- **Lockout decision**: one charge of the engine that decides who may try again, without the database around it.
- **Server CPU** is user and system time from ` + "`/proc/PID/stat`" + `, divided by the sign-ins. **Database CPU** is the same of all processes of the PostgreSQL
  server. **Write transactions** are the server's own count (` + "`" + transactions + "`" + `), its background work included.
- **Refused as too busy**: sign-ins that ended with status 503 because a transaction lost too often against others.
- **Approval to browser**: from when the phone sends its last answer until the browser has its token, one sign-in after the other, while other browsers wait
  for phones that do not answer.
- **Waiting**: that many browsers, each with a connection, a user and an open request of its own, polls held by the server.
- **Cold start**: from the start of the process until it serves requests, on a database that is there, and on one that must be made.

## Again

` + "```" + `
make bench                                              # everything, about half an hour
go run ./bench -short                                   # a look, about a minute
go run ./bench -postgres postgres://user@127.0.0.1:5432 # on PostgreSQL as well
go run ./bench -rounds 0 -crowd 1000000                 # sign-ins among a million users, into docs/crowd.md, about five minutes
go run ./bench -h                                       # all flags
` + "```" + `
`

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func cores() string {
	if n := runtime.NumCPU(); n != 1 {
		return fmt.Sprintf("%d cores", n)
	}
	return "1 core"
}

func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "of no known commit"
	}
	return strings.TrimSpace(string(out))
}

func engine(o options) string {
	if o.Postgres == "" {
		return ", SQLite only"
	}
	return ", SQLite and PostgreSQL"
}
