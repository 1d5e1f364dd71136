package journey

import (
	"embed"
	"encoding/json"
	"slices"
	"strings"
)

//go:embed templates/*.json
var templateFiles embed.FS

// Templates returns the journeys that come with the server, by id. They are
// files; installing one publishes a copy that the operator then owns.
func Templates() ([]Graph, error) {
	entries, err := templateFiles.ReadDir("templates")
	if err != nil {
		return nil, err
	}
	var out []Graph
	for _, e := range entries {
		b, err := templateFiles.ReadFile("templates/" + e.Name())
		if err != nil {
			return nil, err
		}
		var g Graph
		if err := json.Unmarshal(b, &g); err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b Graph) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}
