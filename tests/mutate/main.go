// Command mutate breaks the server on purpose, one promise at a time, and runs
// the test that must notice: a test that stays green then proves nothing. The
// breaks stand in mutations.txt. No file of the checkout is changed: the go
// command compiles each broken file in the place of the real one (-overlay).
//
//	go run ./tests/mutate                # all of them
//	go run ./tests/mutate lockout once   # those whose title or test has a word
//	go run ./tests/mutate -write         # and write docs/mutations.md
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// mutation is one break: old becomes new in file, and test must go red.
type mutation struct {
	title, file, old, new string
	pkg, test             string
}

func main() {
	write := flag.Bool("write", false, "write docs/mutations.md; only with all of them")
	flag.Parse()
	if err := run(*write, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutate: "+err.Error())
		os.Exit(1)
	}
}

func run(write bool, words []string) error {
	list, err := read("tests/mutate/mutations.txt")
	if err != nil {
		return err
	}
	var green []string
	for _, m := range list {
		if !m.about(words) {
			continue
		}
		began := time.Now()
		red, said, err := m.bites()
		if err != nil {
			return fmt.Errorf("%s: %w", m.title, err)
		}
		verdict := "red"
		if !red {
			verdict, green = "GREEN", append(green, m.title)
			fmt.Println(said[:min(len(said), 2000)])
		}
		fmt.Printf("%-5s %5.1fs  %s (%s)\n", verdict, time.Since(began).Seconds(), m.title, m.test)
	}
	if len(green) > 0 {
		return fmt.Errorf("%d tests did not notice: %s", len(green), strings.Join(green, "; "))
	}
	if !write || len(words) > 0 {
		return nil
	}
	return os.WriteFile("docs/mutations.md", []byte(page(list)), 0o644)
}

func (m mutation) about(words []string) bool {
	for _, w := range words {
		if !strings.Contains(strings.ToLower(m.title+" "+m.test+" "+m.file), strings.ToLower(w)) {
			return false
		}
	}
	return true
}

// read parses the list. A block begins with "== title"; then "file PATH",
// "test PACKAGE NAME", the lines that go with "-" before them, and those that
// come with "+".
func read(path string) ([]mutation, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []mutation
	for i, line := range strings.Split(string(text), "\n") {
		title, begins := strings.CutPrefix(line, "== ")
		if begins {
			list = append(list, mutation{title: title})
			continue
		}
		if len(list) == 0 || line == "" {
			continue
		}
		m := &list[len(list)-1]
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case strings.HasPrefix(line, "-"):
			m.old += line[1:] + "\n"
		case strings.HasPrefix(line, "+"):
			m.new += line[1:] + "\n"
		case word == "file":
			m.file = rest
		case word == "test":
			m.pkg, m.test, _ = strings.Cut(rest, " ")
		default:
			return nil, fmt.Errorf("%s:%d: %q", path, i+1, line)
		}
	}
	for _, m := range list {
		if m.file == "" || m.old == "" || m.test == "" {
			return nil, fmt.Errorf("%s: %q is not complete", path, m.title)
		}
	}
	return list, nil
}

// broken is the text of the file with the break in it. What is to be broken must
// stand there exactly once.
func (m mutation) broken() (string, error) {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return "", fmt.Errorf("what is to be broken stands in %s %d times", m.file, n)
	}
	return strings.Replace(string(text), m.old, m.new, 1), nil
}

// bites reports whether the test goes red. A break that does not compile breaks
// nothing, and is an error.
func (m mutation) bites() (red bool, said string, err error) {
	text, err := m.broken()
	if err != nil {
		return false, "", err
	}
	if out, err := exec.Command("go", "test", "-short", "-run", "^"+m.test+"$", m.pkg).CombinedOutput(); err != nil {
		return false, "", fmt.Errorf("the test is red without the break: %s", out)
	}
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return false, "", err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(dir, text)
	if err != nil {
		return false, "", err
	}
	defer os.RemoveAll(filepath.Join(m.pkg, "testdata", "rapid")) // what a property test notes of its failure
	out, err := exec.Command("go", "test", "-short", "-count=1", "-timeout", "120s", "-overlay", overlay, "-run", "^"+m.test+"$", m.pkg).CombinedOutput()
	if strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "no tests to run") {
		return false, "", errors.New(string(out))
	}
	return err != nil, string(out), nil
}

func (m mutation) overlay(dir, text string) (string, error) {
	real, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	fake, list := filepath.Join(dir, filepath.Base(m.file)), filepath.Join(dir, "overlay.json")
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{real: fake}})
	if err != nil {
		return "", err
	}
	return list, errors.Join(os.WriteFile(fake, []byte(text), 0o600), os.WriteFile(list, b, 0o600))
}

// page is the table of docs/mutations.md.
func page(list []mutation) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Tests that were seen to fail

Written by `+"`go run ./tests/mutate -write`"+`, which breaks each promise on purpose and runs the test that must notice; do not edit. The breaks
themselves stand in `+"`tests/mutate/mutations.txt`"+`, and CI checks that each still fits the code. All %d went red.

| what is broken | where | the test that notices |
|---|---|---|
`, len(list))
	for _, m := range list {
		fmt.Fprintf(&b, "| %s | `%s` | `%s` |\n", m.title, strings.TrimPrefix(m.file, "internal/"), m.test)
	}
	return b.String()
}
