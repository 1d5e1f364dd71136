package server_test

import (
	"fmt"
	"strings"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/journey"
)

// kinds lists every method and every kind of step with its outcomes.
func kinds() string {
	var b strings.Builder
	for _, m := range authn.Methods() {
		fmt.Fprintf(&b, "method %s\n", m.Kind)
	}
	for _, s := range journey.Steps() {
		fmt.Fprintf(&b, "step %s %v\n", s.Kind, s.Outcomes)
	}
	return b.String()
}
