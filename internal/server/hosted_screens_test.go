package server_test

import (
	"slices"
	"testing"

	"github.com/watchword-auth/watchword/internal/hosted"
	"github.com/watchword-auth/watchword/internal/journey"
)

// TestEveryPromptHasAScreen: whatever a step that people without an SDK may come to
// can ask them, the pages know how it is answered; and they know nothing else.
func TestEveryPromptHasAScreen(t *testing.T) {
	asked := map[string]bool{}
	for _, s := range journey.Steps() {
		if len(s.In) > 0 && !slices.ContainsFunc(s.In, func(k journey.Kind) bool {
			return k == journey.KindClient || k == journey.KindSub || k == journey.KindSSO
		}) {
			continue
		}
		for _, kind := range s.Asks {
			asked[kind] = true
			if _, known := hosted.Screens[kind]; !known {
				t.Errorf("%s asks %s, which no page knows: add it to hosted.Screens, and to a browser test", s.Kind, kind)
			}
		}
	}
	for kind := range hosted.Screens {
		if !asked[kind] {
			t.Errorf("the pages know %s, which no step asks", kind)
		}
	}
	if len(asked) < 30 {
		t.Errorf("only %d kinds of prompts", len(asked))
	}
}
