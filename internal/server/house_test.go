package server_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/watchword-auth/watchword/"

// floors is the order of the house, bottom up: a package imports only from lower
// floors, and packages that share a floor do not know each other.
var floors = [][]string{
	{"internal/fault", "internal/secret", "internal/expr", "internal/qr"},
	{"internal/db", "internal/form"},
	{"internal/jobs", "internal/limit", "internal/token"},
	{"internal/apps", "internal/audit", "internal/web"},
	{"internal/directory", "internal/lockout", "internal/notify", "internal/kit", "internal/refusal"},
	{"internal/authn", "internal/message"},
	{"internal/session", "internal/notice", "internal/webhook"},
	{"internal/journey", "internal/backend", "internal/administrator"},
	{"internal/authenticators/code", "internal/authenticators/face", "internal/authenticators/magiclink", "internal/authenticators/mobilekey", "internal/authenticators/passkey", "internal/authenticators/password", "internal/authenticators/push", "internal/authenticators/recovery", "internal/authenticators/totp", "internal/authenticators/trusted", "internal/journey/steps"},
	{"internal/oidc"},
	{"internal/wire/mosaic", "internal/wire/identity", "internal/wire/oauth", "internal/wire/cidaas", "internal/deviceapi", "internal/hosted", "internal/adminapi"},
	{"ui"},
	{"internal/server"},
	{"internal/simulator"}, // a client: it imports nothing of the house
	{"internal/scenario"},
	{"cmd/watchword", "bench"},
}

type listed struct {
	ImportPath string
	Imports    []string
	GoFiles    []string
	Dir        string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,GoFiles,Dir", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		if !strings.HasSuffix(p.ImportPath, "test") && !strings.HasPrefix(p.ImportPath, "tests") {
			list = append(list, p)
		}
	}
	return list
}

func TestHouse(t *testing.T) {
	floor := map[string]int{}
	for i, f := range floors {
		for _, p := range f {
			floor[p] = i
		}
	}
	for _, p := range packages(t) {
		mine, ok := floor[p.ImportPath]
		if !ok {
			t.Errorf("%s has no floor", p.ImportPath)
		}
		for _, im := range p.Imports {
			to, ours := strings.CutPrefix(im, module)
			if ours && floor[to] >= mine {
				t.Errorf("%s (floor %d) must not import %s (floor %d)", p.ImportPath, mine, to, floor[to])
			}
		}
	}
}

// TestNevers are the rules that floors cannot say, each with its reason.
func TestNevers(t *testing.T) {
	below := map[string]int{}
	for i, f := range floors {
		for _, p := range f {
			below[p] = i
		}
	}
	doors := below["internal/wire/mosaic"]
	for _, p := range packages(t) {
		for _, im := range p.Imports {
			switch {
			case im == "math/rand" || im == "math/rand/v2":
				t.Errorf("%s imports %s: only crypto/rand is random enough", p.ImportPath, im)
			case im == "net/http" && below[p.ImportPath] < doors && p.ImportPath != "internal/web" && p.ImportPath != "internal/notify":
				t.Errorf("%s imports net/http: the core has no protocol", p.ImportPath)
			case strings.Contains(im, "testing") && strings.HasPrefix(p.ImportPath, "internal/"):
				t.Errorf("%s imports %s", p.ImportPath, im)
			}
		}
		for _, f := range p.GoFiles {
			nevers(t, p, filepath.Join(p.Dir, f))
		}
	}
}

// nevers looks into one file.
func nevers(t *testing.T, p listed, path string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	sql := slices.ContainsFunc([]string{"internal/authenticators/", "internal/journey/steps", "internal/wire/", "internal/deviceapi", "internal/hosted", "internal/adminapi", "internal/server", "cmd/", "bench"},
		func(prefix string) bool { return strings.HasPrefix(p.ImportPath, prefix) })
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && (n.Sel.Name == "Now" || n.Sel.Name == "Since") && strings.HasPrefix(p.ImportPath, "internal/") && p.ImportPath != "internal/simulator" {
				t.Errorf("%s: time.%s: tests own the time; ask q.Now()", set.Position(n.Pos()), n.Sel.Name)
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); sql && err == nil && isSQL(text) {
				t.Errorf("%s: SQL belongs to the core, not to crafts and doors", set.Position(n.Pos()))
			}
		}
		return true
	})
}

func isSQL(s string) bool {
	s = strings.TrimSpace(s)
	return slices.ContainsFunc([]string{"SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "}, func(verb string) bool { return strings.HasPrefix(s, verb) })
}

// TestPackagesSayWhatTheyAreFor: each opens with a comment.
func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	for _, p := range packages(t) {
		said := false
		for _, f := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, f), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			said = said || file.Doc != nil
		}
		if !said {
			t.Errorf("%s does not say what it is for", p.ImportPath)
		}
	}
}

// TestRemovable: a method is a folder and an import; nothing else knows it. The
// doors and the provider may know push, for a phone joins an approval through them
// and CIBA asks one.
func TestRemovable(t *testing.T) {
	for _, p := range packages(t) {
		for _, im := range p.Imports {
			name, ours := strings.CutPrefix(im, module+"internal/authenticators/")
			if ours && name != "push" && p.ImportPath != "internal/server" {
				t.Errorf("%s knows the method %s", p.ImportPath, name)
			}
		}
	}
}

// TestDeletingAMethodCompiles takes away each method's folder and its import, in
// turn; all but push, see TestRemovable.
func TestDeletingAMethodCompiles(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the server once for each method")
	}
	source, err := os.ReadFile("server.go")
	if err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs("server.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages(t) {
		name, ok := strings.CutPrefix(p.ImportPath, "internal/authenticators/")
		if !ok || name == "push" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			without := strings.Replace(string(source), "\t_ \""+module+p.ImportPath+"\"\n", "", 1)
			if without == string(source) {
				t.Fatal("the server does not import it")
			}
			changed := filepath.Join(t.TempDir(), "server.go")
			overlay := map[string]string{here: changed}
			for _, f := range p.GoFiles {
				overlay[filepath.Join(p.Dir, f)] = ""
			}
			doc, err := json.Marshal(map[string]any{"Replace": overlay})
			if err != nil {
				t.Fatal(err)
			}
			list := filepath.Join(t.TempDir(), "overlay.json")
			if err := errors.Join(os.WriteFile(changed, []byte(without), 0o600), os.WriteFile(list, doc, 0o600)); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("go", "build", "-overlay", list, "-o", os.DevNull, ".").CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestKinds holds the list of step kinds and methods still: a new one is seen in
// review, and a stored one is never lost.
func TestKinds(t *testing.T) {
	want, err := os.ReadFile("testdata/kinds.txt")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if got := kinds(); got != string(want) {
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.MkdirAll("testdata", fs.ModePerm); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile("testdata/kinds.txt", []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("step kinds and methods changed (UPDATE_GOLDEN=1 writes them anew):\n%s", got)
	}
}
