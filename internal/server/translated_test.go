package server_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/message"
)

// TestTemplatesAreTranslated: what a journey of ours says is said in every
// language.
func TestTemplatesAreTranslated(t *testing.T) {
	graphs, err := journey.Templates()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range graphs {
		for id, n := range g.Nodes {
			each(n.Config, func(key, said string) {
				if slices.Contains([]string{"title", "description", "text", "button", "message", "label"}, key) && !message.Translated(said) {
					t.Errorf("%s/%s: %q is not translated: say it in every language in internal/message/pages.txt", g.ID, id, said)
				}
			})
		}
	}
	for _, m := range authn.Methods() {
		if !message.Translated(m.Title) {
			t.Errorf("method %s: %q is not translated", m.Kind, m.Title)
		}
	}
}

// each calls fn for the texts of a configuration, but not for expressions.
func each(v any, fn func(key, said string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if s, ok := inner.(string); ok {
				fn(key, s)
			} else {
				each(inner, fn)
			}
		}
	case []any:
		for _, inner := range v {
			each(inner, fn)
		}
	}
}

// program are refusals that only a program gets to read: what an SDK or a back
// end sent was not what it must be.
var program = []string{
	"device key", "The key is", "Keys must be", "EC keys", "RSA keys", "The public key", "which key this is", "needs an id", "There is no identifier", "There is no method", "There is no such kind", "is no identifier",
	"The access token", "This session is", "session was changed", "Nobody was authenticated", "A username has 1 to 320", "face engine", "face is taken to", "one to five pictures", "Pictures are base64", "The channel is", "What is approved",
	"A user needs", "The user has no such address", "This name is needed", "This message was consumed", "is primary", "Custom data", "The user was changed", "The credentials are", "There are several authenticator apps", "not the export", "counter-based",
	"The settings of", "The words are not", "A word has", "The dictionary holds", "The password is locked", "password hash of a known kind", "A reset goes by", "No client of this application", "The request does not stand", "There is no such ticket", "The push address",
	"This proof is not for", "The approval was proven", "The journey cannot", "Somebody published", "The name or the device", "This phone could not show", "%s", "away", "A name has 1 to 100", "Register your face", "That was no live face", "A face is only kept", "There must be one face", "Faces cannot be",
	"The number has two digits", "page of another site", "no client of the kind native", "journey meanwhile", "The id must be", "There is a journey with", "Somebody tried this journey", "The occasion is", "A text message has", "A text message is worded", "A sender has up to", "The response_type is", "A nonce has", "The redirect_uri is missing", "An organisation has", "A domain is like", "Somebody is a member or", "An organisation's id", "has an organisation with",
}

// filled are the labels of fields that an SDK or a script fills in.
var filled = []string{"Key id", "Public key", "System", "Key type", "Name of the phone", "Attestation", "Signature", "User", "How it signs", "Page that made it", "Challenge", "Passkey result",
	"Temporary password", "Link", "Setup link", "Secret"} // and what support is shown in the console

// TestRefusalsAreTranslated: so is every refusal that a step can make, and every
// text that a step or a page of a method shows.
func TestRefusalsAreTranslated(t *testing.T) {
	for _, root := range []string{"../authenticators", "../journey", "../authn", "../directory", "../limit", "../wire/oauth", "../hosted"} {
		err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, 0)
			if err != nil {
				return err
			}
			for _, said := range shown(file) {
				if !known(said) {
					t.Errorf("%s: %q is not translated: say it in every language in internal/message/pages.txt or, if only programs read it, add it to the list above", filepath.Join(root, path), said)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func known(said string) bool {
	example := strings.NewReplacer("%d", "7", "%s", "x").Replace(said)
	return strings.HasPrefix(said, "no such ") || slices.Contains(filled, said) || message.Translated(example) || slices.ContainsFunc(program, func(p string) bool { return strings.Contains(said, p) })
}

// shown are the texts that a file refuses with, or has a prompt, an option or a
// page show.
func shown(file *ast.File) []string {
	var out []string
	add := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil && s != "" {
				out = append(out, s)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			name := called(n.Fun)
			if (name == "fault.New" && called(n.Args[0]) != "fault.Internal" || strings.HasSuffix(name, ".FailAs")) && len(n.Args) > 1 {
				add(n.Args[1])
			}
		case *ast.CompositeLit:
			if n.Type != nil && !slices.Contains([]string{"journey.Prompt", "journey.Option", "backend.Page"}, called(n.Type)) {
				return true
			}
			for _, e := range n.Elts {
				kv, ok := e.(*ast.KeyValueExpr)
				if !ok {
					return true
				}
				key, _ := kv.Key.(*ast.Ident)
				switch {
				case key == nil:
				case slices.Contains([]string{"Title", "Text", "Button", "Refuse", "Label"}, key.Name):
					add(kv.Value)
				case key.Name == "Fields":
					ast.Inspect(kv.Value, func(n ast.Node) bool {
						if c, ok := n.(*ast.CallExpr); ok && strings.HasPrefix(called(c.Fun), "form.") && len(c.Args) > 1 {
							add(c.Args[1])
						}
						return true
					})
				}
			}
		}
		return true
	})
	return out
}

// called is an expression such as fault.New as it is written.
func called(e ast.Expr) string {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := s.X.(*ast.Ident); ok {
		return x.Name + "." + s.Sel.Name
	}
	return ""
}
