package steps

import (
	"context"

	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[hasValidSession]{
		Kind: "sso.has_valid_session", Title: "SSO: has valid session", Category: "Flow",
		Doc:      "Asks whether the browser that was sent here is signed in, and only has to prove more. Whoever has to prove nothing more is never sent here.",
		Config:   form.New(),
		Outcomes: []journey.Outcome{"yes", "no"},
		In:       []journey.Kind{journey.KindSSO, journey.KindClient},
		Run: func(_ context.Context, x *journey.Exec, _ hasValidSession) (journey.Next, error) {
			if x.Proven() != "" {
				return journey.Go("yes"), nil
			}
			return journey.Go("no"), nil
		},
	})
}

type hasValidSession struct{}
