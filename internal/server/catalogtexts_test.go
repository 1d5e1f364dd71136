package server_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// catalogTexts are the words of the catalog that people read, wherever they stand.
func catalogTexts(v any) []string {
	seen := map[string]bool{}
	var walk func(name string, v any)
	walk = func(name string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, v := range v {
				walk(name, v)
			}
		case []any:
			for _, v := range v {
				walk(name, v)
			}
		case string:
			if slices.Contains([]string{"title", "doc", "label", "help", "group", "may", "category", "words"}, name) && v != "" {
				seen[v] = true
			}
		}
	}
	walk("", v)
	out := []string{}
	for text := range seen {
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// TestCatalogTexts holds the list that the console's languages are checked against
// to what the catalog says, and to all that the server can say by itself.
func TestCatalogTexts(t *testing.T) {
	const path = "../../ui/console/src/words/catalog/texts.json"
	w := newWorld(t)
	a := w.owner(t)
	templates := a.must(t, "GET /journeys/templates", nil).Doc
	code := a.must(t, "GET /journeys/web_login/code", nil).Doc
	texts := append(computedTexts(t), catalogTexts(map[string]any{"catalog": a.must(t, "GET /catalog", nil).Doc, "templates": templates, "code": code})...)
	for _, one := range templates["items"].([]any) {
		texts = append(texts, one.(map[string]any)["name"].(string))
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(texts); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got.Bytes()) {
		t.Errorf("%s is not what the server says (UPDATE_GOLDEN=1 writes it anew; then translate what is new beside it)", path)
	}
}
