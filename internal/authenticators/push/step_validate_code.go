package push

import (
	"context"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[struct{}]{
		Kind: "push.validate_code", Title: "Validate the web code", Category: "Authenticate",
		Asks:     []string{"push.validate_code"},
		Words:    []string{"number matching", "validate otp", "match"},
		Doc:      "Shows on the phone who asks, and asks for the number that the browser shows. A wrong one ends the request. Without a number to match it passes at once.",
		Outcomes: []journey.Outcome{journey.Success, journey.Failure, journey.Cancel, NotMe},
		In:       []journey.Kind{journey.KindMobileApprove, journey.KindSub},
		Run:      validateCode,
	})
}

func validateCode(ctx context.Context, x *journey.Exec, _ struct{}) (journey.Next, error) {
	if x.Waiter().Kind != string(Kind) {
		x.FailAs("not_found", "There is no request to answer.")
		return journey.Go(journey.Failure), nil
	}
	id := authn.ChallengeID(x.Waiter().ID)
	c, err := authn.Recall[Request](ctx, x.Tx, id)
	if err != nil {
		return journey.Judge(x, err)
	}
	if c.Data.Mode == Off || c.Data.Passed {
		return journey.Go(journey.Success), nil
	}
	if x.Answer == nil {
		return journey.Ask(codePrompt(c), nil), nil
	}
	switch x.Answer.Option {
	case "cancel":
		return journey.Go(journey.Cancel), nil
	case NotMe:
		return journey.Go(NotMe), nil
	}
	typed, _ := x.Answer.Data["passcode"].(string)
	return journey.Judge(x, Enter(ctx, x.Tx, id, typed))
}

func codePrompt(c Challenge) journey.Prompt {
	data := map[string]any{
		"app_name": c.Data.AppName, "client_name": c.Data.ClientAs, "place": c.Data.Place, "browser": c.Data.Browser, "at": c.Created.UnixMilli(),
		"number_mode": c.Data.Mode, "expires_at": c.Expires.UnixMilli(), "approval_data": filled(c.Data.Approval), "code_length": len(c.Data.Number),
	}
	if len(c.Data.Choices) > 0 {
		data["choices"] = c.Data.Choices
	}
	return journey.Prompt{
		Kind: "push.validate_code", Title: "Enter the number from the browser", Data: data,
		Fields:  form.New(form.Text("passcode", "Number", form.Required, form.MaxLen(16))),
		Options: []journey.Option{{ID: "cancel", Label: "Deny"}, {ID: NotMe, Label: "Not me"}},
	}
}
