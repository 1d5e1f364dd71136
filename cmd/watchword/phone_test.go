package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/watchword-auth/watchword/internal/simulator/simulatortest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"phone": runPhone})
}

// runPhone is a program that has the phone's commands and no others.
func runPhone() {
	var cli struct {
		Phone PhoneCmd `cmd:""`
	}
	parser := kong.Must(&cli, kong.Name("watchword"), kong.UsageOnError())
	ctx, err := parser.Parse(append([]string{"phone"}, os.Args[1:]...))
	parser.FatalIfErrorf(err)
	ctx.BindTo(context.Background(), (*context.Context)(nil))
	parser.FatalIfErrorf(ctx.Run())
}

// TestPhoneCommands runs the phone's commands as processes against the scripted
// server. In a script, "ask NUMBER" poses a request ("" has no number) and keeps
// its id in $ID, and "state WANT" compares what became of it.
func TestPhoneCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "phone"),
		Setup: func(e *testscript.Env) error {
			s := simulatortest.New(t)
			e.Setenv("SERVER", s.URL)
			e.Values["server"] = s
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ask": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Setenv("ID", ts.Value("server").(*simulatortest.Server).Ask("ada@example.org", args[0]))
			},
			"state": func(ts *testscript.TestScript, _ bool, args []string) {
				if got := ts.Value("server").(*simulatortest.Server).State(ts.Getenv("ID")); got != args[0] {
					ts.Fatalf("the request is %s, want %s", got, args[0])
				}
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
