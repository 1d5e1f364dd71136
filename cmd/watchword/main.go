// Command watchword is the server, its development mode and its tools.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/server"
)

type cli struct {
	Serve   serveCmd   `cmd:"" help:"Run the server."`
	Dev     devCmd     `cmd:"" help:"Run a server to develop against: a demo application, a playground, an inbox that captures messages. Loopback only."`
	Phone   PhoneCmd   `cmd:"" help:"Be a phone: register, see what waits, approve or deny."`
	Apply   applyCmd   `cmd:"" help:"Make the configuration what a folder of files says."`
	Export  exportCmd  `cmd:"" help:"Write the configuration as a folder of files, without secrets."`
	Doctor  doctorCmd  `cmd:"" help:"Look at the configuration and say what to mend. It changes nothing, and needs no server to be stopped."`
	Health  healthCmd  `cmd:"" help:"Ask the server on this machine whether it is ready; the exit status says so."`
	Lint    lintCmd    `cmd:"" help:"Say what a standard wants otherwise, and what is wrong with journeys: of a folder of files, or of the database."`
	Test    testCmd    `cmd:"" help:"Run the tests of journeys that lie beside them as files."`
	Backup  backupCmd  `cmd:"" help:"Write everything into one sealed file, while the server goes on."`
	Restore restoreCmd `cmd:"" help:"Fill an empty database, SQLite or PostgreSQL, from a backup of either."`
	Verify  verifyCmd  `cmd:"" help:"Check that a backup is whole and opens."`
	Admin   adminCmd   `cmd:"" help:"Invite who administrates this server."`
	Audit   auditCmd   `cmd:"" help:"Check the audit record."`
	Keys    keysCmd    `cmd:"" help:"Make a master key, rotate signing keys."`

	Version versionCmd `cmd:"" help:"Say which version this is."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	parser := kong.Must(&c, kong.Name("watchword"), kong.Description("Sign in on the web by approving on the phone. Self-hosted."),
		kong.DefaultEnvars("WATCHWORD"), kong.BindTo(ctx, (*context.Context)(nil)))
	k, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "watchword: %v; see `watchword --help`\n", err)
		stop()
		os.Exit(2)
	}
	if err := k.Run(); err != nil {
		if msg := strings.Join(strings.Fields(err.Error()), " "); msg != "" { // a driver's error may have lines
			fmt.Fprintln(os.Stderr, "watchword: "+msg)
		}
		stop()
		os.Exit(1)
	}
}

type versionCmd struct{}

// Run prints the version, the revision it was built from, and the fingerprint of
// the database schema it expects.
func (versionCmd) Run() error {
	version, revision := "(devel)", ""
	if b, ok := debug.ReadBuildInfo(); ok {
		version = b.Main.Version
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	fmt.Printf("watchword %s%s, schema %s, %s\n", version, revision, db.Schema(), runtime.Version())
	return nil
}

// storage is where a server keeps its data.
type storage struct {
	Data          string `help:"Folder of the embedded database and generated keys." default:"./watchword-data" type:"path" env:"WATCHWORD_DATA"`
	Database      string `help:"postgres://… or sqlite:PATH; empty: a SQLite file in --data." env:"WATCHWORD_DATABASE"`
	DatabaseFile  string `help:"File that holds --database, for URLs with a password." env:"WATCHWORD_DATABASE_FILE" type:"path"`
	MasterKey     string `help:"32 bytes in base64; every stored secret is sealed with it." env:"WATCHWORD_MASTER_KEY" placeholder:"BASE64"`
	MasterKeyFile string `help:"File that holds the master key." env:"WATCHWORD_MASTER_KEY_FILE" type:"path"`
}

type logging struct {
	LogFormat string `help:"text or json." enum:"text,json" default:"text" env:"WATCHWORD_LOG_FORMAT"`
	LogLevel  string `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"WATCHWORD_LOG_LEVEL"`
}

func (l logging) logger() *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if l.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

// database returns the URL of the database and makes the data folder if it is
// needed.
func (s storage) database() (string, error) {
	url, err := orFile(s.Database, s.DatabaseFile)
	if err != nil || url != "" {
		return url, err
	}
	if err := s.folder(); err != nil {
		return "", err
	}
	return "sqlite:" + filepath.Join(s.Data, "watchword.db"), nil
}

func (s storage) folder() error {
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return fmt.Errorf("the data folder cannot be made: %w; choose another with --data", err)
	}
	probe := filepath.Join(s.Data, ".write-test")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		return fmt.Errorf("the data folder is not writable: %w; choose another with --data", err)
	}
	return os.Remove(probe)
}

func orFile(value, file string) (string, error) {
	if value != "" || file == "" {
		return value, nil
	}
	b, err := os.ReadFile(file)
	return strings.TrimSpace(string(b)), err
}

// master returns the master key. generate makes one in the data folder where
// there is none.
func (s storage) master(generate bool) ([]byte, error) {
	text, err := orFile(s.MasterKey, s.MasterKeyFile)
	if err != nil {
		return nil, fmt.Errorf("the master key cannot be read: %w", err)
	}
	path := filepath.Join(s.Data, "master.key")
	if text == "" {
		b, err := os.ReadFile(path)
		switch {
		case err == nil:
			text = strings.TrimSpace(string(b))
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("the master key cannot be read: %w", err)
		case !generate:
			return nil, fmt.Errorf("there is no master key: make one with `watchword keys generate --out %s`, or give it with --master-key-file or WATCHWORD_MASTER_KEY", path)
		default:
			if text, err = writeMasterKey(path); err != nil {
				return nil, err
			}
		}
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != 32 {
		return nil, errors.New("the master key must be 32 bytes in base64")
	}
	return key, nil
}

// config is what every command needs that opens the database.
func (s storage) config(log *slog.Logger, generate bool) (server.Config, error) {
	url, err := s.database()
	if err != nil {
		return server.Config{}, err
	}
	key, err := s.master(generate)
	return server.Config{Database: url, MasterKey: key, Log: log, Now: time.Now, URL: "http://localhost"}, err
}

type serving struct {
	storage
	logging
	Listen         string   `help:"Address to serve on." default:"127.0.0.1:8080" env:"WATCHWORD_LISTEN"`
	URL            string   `help:"Where the world reaches this server; the issuer of its tokens. Default: http:// and --listen, by the name localhost where that is a loopback address: browsers give passkeys to names only." env:"WATCHWORD_URL"`
	TrustedProxies []string `help:"Addresses or networks of proxies whose X-Forwarded-For counts." env:"WATCHWORD_TRUSTED_PROXIES"`
	HeldPerAddress int      `help:"Waiting requests that one address may hold open." default:"500" env:"WATCHWORD_HELD_PER_ADDRESS"`
	RatePerAddress float64  `help:"Requests a second from one address, in bursts of four times that; negative: no limit." default:"50" env:"WATCHWORD_RATE_PER_ADDRESS"`
}

func (s serving) serverConfig(generate bool) (server.Config, error) {
	c, err := s.config(s.logger(), generate)
	if err != nil {
		return c, err
	}
	c.Listen, c.URL, c.HeldPerAddress, c.RatePerAddress = s.Listen, strings.TrimRight(s.URL, "/"), s.HeldPerAddress, s.RatePerAddress
	if c.URL == "" {
		c.URL = "http://" + named(s.Listen)
	}
	for _, text := range s.TrustedProxies {
		p, err := prefix(text)
		if err != nil {
			return c, fmt.Errorf("--trusted-proxies %s: %w", text, err)
		}
		c.Trusted = append(c.Trusted, p)
	}
	return c, nil
}

// named is an address to serve on as a browser is to open it.
func named(listen string) string {
	if a, err := netip.ParseAddrPort(listen); err == nil && a.Addr().IsLoopback() {
		return fmt.Sprintf("localhost:%d", a.Port())
	}
	return listen
}

func prefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return a.Prefix(a.BitLen())
}

type serveCmd struct {
	serving
	Linger time.Duration `help:"How long to go on serving after the signal to stop, while /readyz says no and a load balancer turns elsewhere." default:"2s" env:"WATCHWORD_LINGER"`
}

// Run serves until it is told to stop.
func (c *serveCmd) Run(ctx context.Context) error {
	cfg, err := c.serverConfig(false)
	if err != nil {
		return err
	}
	cfg.Linger = c.Linger
	s, err := server.New(ctx, cfg)
	if err != nil {
		return err
	}
	link, err := s.FirstLink(ctx)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return s.Serve(ctx, func(string) {
		if link != "" { // on the terminal, never in a log
			fmt.Println("console, for whoever owns this server, once and within 24 hours: " + link)
		}
		fmt.Println("watchword: ready on " + cfg.URL)
	})
}

type devCmd struct {
	serving
	JSON      bool `name:"json" help:"Print the facts as one JSON object."`
	PushLimit int  `help:"Push requests per user in 10 minutes." default:"30" env:"WATCHWORD_PUSH_LIMIT"`

	PushService string `help:"A push service whose Web Push is sent and not captured, as host:port; it may be on this machine." placeholder:"HOST:PORT" env:"WATCHWORD_PUSH_SERVICE"`
}

// Run serves a development server on loopback, and on nothing else.
func (c *devCmd) Run(ctx context.Context) error {
	if err := loopback(c.Listen); err != nil {
		return err
	}
	cfg, err := c.serverConfig(true)
	if err != nil {
		return err
	}
	cfg.Dev, cfg.Live, cfg.RatePerAddress, cfg.HeldPerAddress = true, c.PushService, -1, 20_000 // everybody is loopback here
	s, err := server.New(ctx, cfg)
	if err != nil {
		return err
	}
	if err := s.Dev.Seed(ctx, c.Data, c.PushLimit); err != nil {
		return errors.Join(err, s.Close())
	}
	return s.Serve(ctx, func(string) {
		c.print(s.Dev.Facts)
		fmt.Println("watchword: ready on " + cfg.URL)
	})
}

func loopback(listen string) error {
	a, err := netip.ParseAddrPort(strings.Replace(listen, "localhost:", "127.0.0.1:", 1))
	if err != nil {
		return fmt.Errorf("--listen %s: %w", listen, err)
	}
	if !a.Addr().IsLoopback() {
		return fmt.Errorf("--listen %s: dev serves on loopback only; use `watchword serve` for the world", listen)
	}
	return nil
}

func (c *devCmd) print(f server.DevFacts) {
	if c.JSON {
		b, err := json.Marshal(f)
		if err == nil {
			fmt.Println(string(b))
		}
		return
	}
	for _, line := range [][2]string{{"console", f.Console}, {"playground", f.Playground}, {"authenticator", f.Auth}, {"inbox", f.Inbox}, {"issuer", f.Issuer},
		{"demo-backend secret", f.Clients["backend"].Secret}, {"demo user", f.User.Email + " password: " + f.User.Password}} {
		fmt.Printf("%s: %s\n", line[0], line[1])
	}
}
