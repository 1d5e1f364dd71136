package scenario

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/server"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// begins is when every case begins: a Monday, at nine.
var begins = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// clock is the one that the server, the pages and the phones go by.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time       { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) set(t time.Time)      { c.mu.Lock(); defer c.mu.Unlock(); c.now = t }
func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// stage is what the cases of a file share: the address, and the database as it is
// before each.
type stage struct {
	dir     string // of files; deleted by close
	url     string
	clock   clock
	master  []byte
	tenant  apps.TenantID
	people  map[string]*person
	handler atomic.Pointer[http.Handler]
	http    *http.Server
}

// person is somebody with what they carry.
type person struct {
	Person
	id    directory.UserID
	phone *simulator.Phone
	token simulator.Token
}

// open starts a server on the database file at path, to be closed.
func (s *stage) open(ctx context.Context, path string) (*server.Server, error) {
	srv, err := server.New(ctx, server.Config{Listen: "127.0.0.1:0", URL: s.url, Database: "sqlite:" + path, MasterKey: s.master, Dev: true,
		Log: slog.New(slog.DiscardHandler), Now: s.clock.Now, RatePerAddress: -1, HeldPerAddress: 1000})
	if err != nil {
		return nil, err
	}
	h := srv.Handler()
	s.handler.Store(&h)
	return srv, nil
}

// prepare applies the configuration and makes the people.
func prepare(ctx context.Context, config server.Files, dir string, f File) (s *stage, err error) {
	s = &stage{master: make([]byte, 32), tenant: apps.TenantID(config.Tenant.ID), people: map[string]*person{}}
	rand.Read(s.master)
	s.clock.set(begins.Add(-time.Hour))
	if s.dir, err = os.MkdirTemp("", "watchword-test-"); err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := s.populate(ctx, config, dir, f); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) listen() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.url = "http://" + l.Addr().String()
	s.http = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := s.handler.Load()
		if h == nil {
			http.Error(w, "there is no server", http.StatusServiceUnavailable)
			return
		}
		(*h).ServeHTTP(w, r)
	})}
	go s.http.Serve(l)
	return nil
}

func (s *stage) close() error {
	var err error
	if s.http != nil {
		err = s.http.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func (s *stage) first() string { return filepath.Join(s.dir, "first.db") }

func (s *stage) populate(ctx context.Context, config server.Files, dir string, f File) error {
	srv, err := s.open(ctx, s.first())
	if err != nil {
		return err
	}
	err = server.Apply(ctx, srv.Kit.DB, config.WithoutSecrets(), dir, false)
	for name, p := range f.People {
		if err == nil {
			s.people[name], err = s.make(ctx, srv, p)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			break
		}
	}
	return errors.Join(err, srv.Close())
}

// make makes a person with all that they have.
func (s *stage) make(ctx context.Context, srv *server.Server, p Person) (*person, error) {
	app, err := s.appOf(ctx, srv.Kit.DB, p)
	if err != nil {
		return nil, err
	}
	out := &person{Person: p}
	x := &backend.Exec{Kit: srv.Kit, App: app}
	bind, err := backend.Credentials(ctx, x, credentials(p))
	if err != nil {
		return nil, err
	}
	err = srv.Kit.DB.Tx(ctx, func(tx *db.Tx) error {
		var err error
		if out.id, err = directory.Create(ctx, tx, app.Tenant, directory.NewUser{Email: p.Email, Phone: p.Number, Username: p.Username}); err != nil {
			return err
		}
		for kind, shown := range map[directory.IdentifierKind]string{directory.Email: p.Email, directory.Phone: p.Number} {
			if shown != "" {
				if err := directory.Verify(ctx, tx, app.Tenant, out.id, kind, shown); err != nil {
					return err
				}
			}
		}
		u, err := directory.Find(ctx, tx, app.Tenant, out.id)
		if err != nil {
			return err
		}
		return bind(ctx, tx, u)
	})
	if err == nil && p.TOTP {
		err = s.addTOTP(ctx, x, srv.Kit.DB, out)
	}
	if err == nil && p.Phone != "" {
		err = s.addPhone(ctx, srv, out)
	}
	if err == nil {
		err = deliver(ctx, srv) // what tells them of it
	}
	return out, err
}

func credentials(p Person) json.RawMessage {
	if p.Password == "" {
		return nil
	}
	return json.RawMessage(db.Text(map[string]any{"password": p.Password, "password_hash": "", "force_replace": false}))
}

// addTOTP does what support does for somebody who has a new authenticator app, and
// keeps what the app would.
func (s *stage) addTOTP(ctx context.Context, x *backend.Exec, q db.Q, p *person) error {
	act, err := backend.FindAct("totp.register")
	if err != nil {
		return err
	}
	u, err := directory.Find(ctx, q, x.App.Tenant, p.id)
	if err != nil {
		return err
	}
	done, err := act.Run(ctx, x, u, nil)
	if err != nil {
		return err
	}
	for _, shown := range done.Shown {
		if strings.HasPrefix(shown.Value, "otpauth://") {
			p.token, err = simulator.ParseToken(shown.Value)
			return err
		}
	}
	return errors.New("there is no setup link")
}

func (s *stage) addPhone(ctx context.Context, srv *server.Server, p *person) (err error) {
	p.phone, err = simulator.New(simulator.Options{Server: s.url, Client: p.Person.Phone, Email: p.Email, DeviceName: "Phone", Now: s.clock.Now,
		Code: func(ctx context.Context) (string, error) { return newest(ctx, srv, "mail", p.Email) }})
	if err != nil {
		return err
	}
	if err := p.phone.Register(ctx); err != nil {
		return fmt.Errorf("the phone could not be registered: %w", err)
	}
	return nil
}

// appOf is the application of a person: the one they name, or that of their phone's
// client, or the only one.
func (s *stage) appOf(ctx context.Context, q db.Q, p Person) (apps.App, error) {
	switch {
	case p.App != "":
		return apps.Find(ctx, q, apps.ID(p.App))
	case p.Phone != "":
		_, app, err := apps.FindClient(ctx, q, apps.ClientID(p.Phone))
		return app, err
	}
	list, err := apps.List(ctx, q, s.tenant)
	if err == nil && len(list) != 1 {
		err = errors.New("there are several applications: say which with app")
	}
	if err != nil {
		return apps.App{}, err
	}
	return list[0], nil
}

// deliver lets the server send what it has to send.
func deliver(ctx context.Context, srv *server.Server) error {
	for {
		did, err := srv.Kit.Jobs.RunOne(ctx)
		if err != nil || !did {
			return err
		}
	}
}

// newest returns the code in the newest message to somebody that has one.
func newest(ctx context.Context, srv *server.Server, channel, to string) (string, error) {
	if err := deliver(ctx, srv); err != nil {
		return "", err
	}
	for _, m := range slices.Backward(srv.Dev.Inbox.List(channel, to, "")) {
		if code := m.Data["code"]; code != "" {
			return code, nil
		}
	}
	return "", fmt.Errorf("no code was sent to %s by %s", to, channel)
}
