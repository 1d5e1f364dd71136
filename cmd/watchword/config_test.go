package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestConfigPage writes docs/config.md from the flags themselves (UPDATE_GOLDEN=1)
// and holds the page to them.
func TestConfigPage(t *testing.T) {
	var c cli
	parser, err := kong.New(&c, kong.Name("watchword"), kong.DefaultEnvars("WATCHWORD"))
	if err != nil {
		t.Fatal(err)
	}
	got := configPage(parser.Model.Node)
	path := filepath.Join("..", "..", "docs", "config.md")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("docs/config.md is not what the flags say: UPDATE_GOLDEN=1 go test ./cmd/watchword -run TestConfigPage (%v)", err)
	}
}

func configPage(root *kong.Node) string {
	var b strings.Builder
	b.WriteString("# Commands and their configuration\n\nMade from the flags of the program by a test. Each flag has a variable in the environment; a flag that is given wins. " +
		"What has a secret in it can come from a file instead. The configuration of the product - applications, methods, journeys - is in the database: [operations.md](operations.md). `watchword phone` is a phone for tests and scripts: `watchword phone --help`.\n")
	commands := slices.DeleteFunc(leaves(root), func(n *kong.Node) bool { return strings.Contains(n.Path(), " phone ") })
	seen := map[string]int{}
	for _, n := range commands {
		for _, f := range n.Flags {
			seen[row(f)]++
		}
	}
	b.WriteString("\n## Of most commands\n\n" + head)
	written := map[string]bool{}
	for _, n := range commands {
		for _, f := range n.Flags {
			if r := row(f); seen[r] > 4 && !written[r] {
				written[r] = true
				b.WriteString(r)
			}
		}
	}
	for _, n := range commands {
		fmt.Fprintf(&b, "\n## `%s`\n\n%s\n", strings.TrimPrefix(n.Path(), "watchword "), n.Help)
		own := ""
		for _, p := range n.Positional {
			own += fmt.Sprintf("| `<%s>` | | | %s |\n", p.Name, p.Help)
		}
		for _, f := range n.Flags {
			if r := row(f); !written[r] {
				own += r
			}
		}
		if own != "" {
			b.WriteString("\n" + head + own)
		}
	}
	return b.String()
}

const head = "| flag | variable | unless told | |\n|---|---|---|---|\n"

func row(f *kong.Flag) string {
	env, def := "", ""
	if len(f.Envs) > 0 {
		env = "`" + f.Envs[0] + "`"
	}
	if f.Default != "" {
		def = "`" + f.Default + "`"
	}
	return fmt.Sprintf("| `--%s` | %s | %s | %s |\n", f.Name, env, def, f.Help)
}

// leaves are the commands that do something.
func leaves(n *kong.Node) (out []*kong.Node) {
	if n.Type == kong.CommandNode && len(n.Children) == 0 {
		return []*kong.Node{n}
	}
	for _, child := range n.Children {
		out = append(out, leaves(child)...)
	}
	return out
}
