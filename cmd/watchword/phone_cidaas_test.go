package main

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/server"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// develops is a development server as the command starts it, on loopback.
func develops(t *testing.T) string {
	t.Helper()
	h := httptest.NewUnstartedServer(nil)
	url := "http://" + h.Listener.Addr().String()
	s, err := server.New(t.Context(), server.Config{URL: url, Database: "sqlite:" + filepath.Join(t.TempDir(), "w.db"), MasterKey: make([]byte, 32), Dev: true, Log: slog.New(slog.DiscardHandler), Now: time.Now, RatePerAddress: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Dev.Seed(t.Context(), t.TempDir(), 30); err != nil {
		t.Fatal(err)
	}
	for _, email := range []string{"bob@example.org", "eve@example.org"} {
		if err := s.Kit.DB.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := directory.Create(t.Context(), tx, "default", directory.NewUser{Email: email})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	h.Config.Handler = s.Handler()
	h.Start()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		s.Kit.Jobs.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		h.Close()
		stop()
		<-done
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return url
}

// TestCidaasPhone runs the phone's commands in the protocol of cidaas against a
// real server. In a script, "begin EMAIL" begins to sign somebody in ("begin EMAIL
// NAME" where their phone has that name) and keeps what the page shows in $NUMBER;
// "status WANT" is where that stands, "tokens" finishes it, and "enrolment" shows a
// code for eve to scan in $QR.
func TestCidaasPhone(t *testing.T) {
	type scene struct {
		page simulator.CidaasPage
		ask  simulator.CidaasAsk
	}
	at := func(ts *testscript.TestScript) *scene { return ts.Value("scene").(*scene) }
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "cidaas"),
		Setup: func(e *testscript.Env) error {
			url := develops(t)
			e.Setenv("SERVER", url)
			e.Values["scene"] = &scene{page: simulator.CidaasPage{Server: url, Client: "demo-web"}}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"begin": func(ts *testscript.TestScript, _ bool, args []string) {
				s := at(ts)
				var err error
				s.ask, err = s.page.Initiate(t.Context(), "PUSH", args[0])
				ts.Check(err)
				if len(args) == 2 {
					names, err := s.page.Names(t.Context(), s.ask.Request, args[0])
					ts.Check(err)
					if len(names) != 1 || names[0] != args[1] {
						ts.Fatalf("the phones are called %q, want %q", names, args[1])
					}
				}
				ts.Setenv("NUMBER", s.ask.Number)
			},
			"status": func(ts *testscript.TestScript, _ bool, args []string) {
				got, err := at(ts).page.State(t.Context(), at(ts).ask)
				ts.Check(err)
				if got != args[0] {
					ts.Fatalf("it stands at %s, want %s", got, args[0])
				}
			},
			"tokens": func(ts *testscript.TestScript, _ bool, _ []string) {
				tokens, err := at(ts).page.Finish(t.Context(), at(ts).ask)
				ts.Check(err)
				if tokens.Access == "" || tokens.ID == "" {
					ts.Fatalf("tokens: %+v", tokens)
				}
			},
			"enrolment": func(ts *testscript.TestScript, _ bool, _ []string) {
				s := at(ts)
				p, err := simulator.NewCidaasPhone(simulator.Options{Server: s.page.Server, Client: s.page.Client, Email: "eve@example.org", Now: time.Now})
				ts.Check(err)
				token, err := p.SignIn(t.Context())
				ts.Check(err)
				qr, number, err := s.page.Enrolment(t.Context(), token)
				ts.Check(err)
				ts.Setenv("QR", qr)
				ts.Setenv("NUMBER", number)
			},
			"mode": func(ts *testscript.TestScript, _ bool, args []string) {
				info, err := os.Stat(ts.MkAbs(args[0]))
				ts.Check(err)
				if got := info.Mode().Perm().String(); got != args[1] {
					ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
				}
			},
		},
	})
}
