package push

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[struct{}]{
		Kind: "push.invite", Title: "Add a phone", Category: "Enrol",
		Asks:     []string{"push.invite"},
		Doc:      "Shows a link, and the same as a QR code, that adds one phone to the account, and waits until that is done. The user must have been proven in this run.",
		Outcomes: []journey.Outcome{journey.Success, journey.Failure, journey.Cancel},
		Role:     journey.Enrols,
		Run:      invite,
		Ready: func(ctx context.Context, x *journey.Exec, _ struct{}) (bool, error) {
			var m inviteMemo
			if _, err := x.Memo(&m); err != nil {
				return false, err
			}
			state, err := directory.InvitationState(ctx, x.Q, m.Secret)
			return state != "open", err
		},
	})
}

type inviteMemo struct {
	Secret string    `json:"secret"`
	Link   string    `json:"link"`
	QR     string    `json:"qr"`
	Until  time.Time `json:"until"`
}

func invite(ctx context.Context, x *journey.Exec, _ struct{}) (journey.Next, error) {
	user := x.Proven()
	if user == "" {
		return journey.Judge(x, fault.New(fault.Denied, "Prove who you are first, then add a phone."))
	}
	var m inviteMemo
	asked, err := x.Memo(&m)
	if err != nil {
		return journey.Next{}, err
	}
	if !asked {
		made, err := Invite(ctx, x.Tx, authn.Subject{Kind: Kind, Tenant: x.Tenant(), App: x.App(), User: user}, x.URL)
		if err != nil {
			return journey.Judge(x, err)
		}
		m = inviteMemo{made.secret, made.Link, made.QR, made.Expires}
		return m.ask(x, user), x.Audit(ctx, "phone.invited", "", nil)
	}
	if x.Answer != nil && x.Answer.Option == "cancel" {
		return journey.Go(journey.Cancel), nil
	}
	switch state, err := directory.InvitationState(ctx, x.Q, m.Secret); {
	case err != nil:
		return journey.Next{}, err
	case state == "used":
		return journey.Go(journey.Success), nil
	case state == "open":
		return m.ask(x, user), nil
	}
	x.Fail(directory.NoInvitation)
	return journey.Go(journey.Failure), nil
}

func (m inviteMemo) ask(x *journey.Exec, user directory.UserID) journey.Next {
	return journey.Ask(journey.Prompt{
		Kind: "push.invite", Title: "Add a phone", Text: "Scan this with the phone's camera, or open the link on the phone.",
		Data: map[string]any{"link": m.Link, "qr": m.QR, "expires_at": m.Until.UnixMilli()}, Options: []journey.Option{{ID: "cancel", Label: "Not now"}},
		Poll: true, Until: m.Until, Watch: []string{directory.InvitedTopic(x.App(), user)},
	}, m)
}
