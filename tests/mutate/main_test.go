package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestFit: every break fits the code as it is, its test exists, and the page
// lists it.
func TestFit(t *testing.T) {
	if err := os.Chdir("../.."); err != nil {
		t.Fatal(err)
	}
	list, err := read("tests/mutate/mutations.txt")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("docs/mutations.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(doc) != page(list) {
		t.Error("docs/mutations.md is not what the list says: go run ./tests/mutate -write")
	}
	for _, m := range list {
		if _, err := m.broken(); err != nil {
			t.Errorf("%s: %v", m.title, err)
		}
		if out, err := exec.Command("grep", "-rlE", "func "+m.test+`\(`, m.pkg, "--include=*_test.go").Output(); err != nil || strings.TrimSpace(string(out)) == "" {
			t.Errorf("%s: there is no %s in %s", m.title, m.test, m.pkg)
		}
	}
}
