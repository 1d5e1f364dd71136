package server_test

import (
	"regexp"
	"slices"
	"testing"
)

// TestChoicesAreSaid holds every choice that the catalog offers to words: people
// read them in its place. A choice with a capital letter in it, such as ES256, is a
// name that people know already.
func TestChoicesAreSaid(t *testing.T) {
	w := newWorld(t)
	name := regexp.MustCompile(`[A-Z]`)
	seen := 0
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			said := []string{}
			for _, s := range orNone(v["says"]) {
				s := s.(map[string]any)
				if s["label"] == "" {
					t.Errorf("%s: %s: no words for %s", at, v["name"], s["value"])
				}
				said = append(said, s["value"].(string))
			}
			if v["type"] == "choice" || v["type"] == "choices" {
				for _, c := range orNone(v["choices"]) {
					seen++
					if c := c.(string); !name.MatchString(c) && !slices.Contains(said, c) {
						t.Errorf("%s: %s: nobody says what %q is", at, v["name"], c)
					}
				}
			}
			for key, v := range v {
				walk(at+"/"+key, v)
			}
		case []any:
			for _, v := range v {
				walk(at, v)
			}
		}
	}
	walk("", w.owner(t).must(t, "GET /catalog", nil).Doc)
	if seen < 80 {
		t.Errorf("%d choices were seen", seen)
	}
}

func orNone(v any) []any {
	list, _ := v.([]any)
	return list
}
