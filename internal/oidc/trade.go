package oidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/session"
)

// journeyMark begins the opaque code of a journey. It is sealed and stands in no
// table until it is used, so that a run that ends costs no write for it.
const journeyMark = "wwj_"

// journeyCode is what such a code holds.
type journeyCode struct {
	ID      string        `json:"id"`
	At      time.Time     `json:"at"`
	App     apps.ID       `json:"app"`
	Client  apps.ClientID `json:"client"`
	Proofs  []byte        `json:"proofs"`
	Address string        `json:"address,omitempty"`
	Agent   string        `json:"agent,omitempty"`
}

// JourneyCode is what a back end of the same application trades for the tokens of
// whoever a run signed in (mosaic-protocol 2.11), within CodeLife and once; "" for
// a run that signed nobody in, or that a request waits for.
func (p *Provider) JourneyCode(end journey.End) string {
	if !end.OK || len(end.Proofs) == 0 || end.Waiter.Kind != "" {
		return ""
	}
	v := p.Kit.DB.Vault()
	b := v.Seal("journey_code", []byte(db.Text(journeyCode{end.Token.ID, end.Token.At, end.App, end.Client, authn.SealProofs(v, "journey_code/"+end.Token.ID, end.Proofs), end.Caller.Address, end.Caller.UserAgent})))
	return journeyMark + base64.RawURLEncoding.EncodeToString(b)
}

// IsJourneyCode reports whether a code is to be traded, not redeemed.
func IsJourneyCode(code string) bool { return strings.HasPrefix(code, journeyMark) }

// Trade opens the session of a journey's code and returns its tokens, as a back
// end gets them that authenticated the user itself. The client must be one that
// says who it is, of the application whose client ran the journey.
func (p *Provider) Trade(ctx context.Context, c apps.Client, app apps.App, code string) (session.Tokens, error) {
	if c.AuthMethod() == "none" {
		return session.Tokens{}, refuse("unauthorized_client", "Only a back end may trade the code of a journey.")
	}
	var s session.Session
	err := p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		j, ps, err := openJourneyCode(tx, code)
		if err != nil || j.App != app.ID || !tx.Now().Before(j.At.Add(CodeLife)) {
			return refused(err, errGrant)
		}
		fresh, err := once(ctx, tx, "journey", j.ID, j.At.Add(CodeLife))
		if err != nil {
			return err
		}
		if !fresh {
			return errGrant
		}
		if err := recheck(ctx, tx, ps); err != nil {
			return refused(err, errGrant)
		}
		if err := j.stands(ctx, tx, ps[0].User()); err != nil {
			return err
		}
		if s, err = session.Open(ctx, tx, app, session.From{Client: j.Client, Address: j.Address, Agent: j.Agent}, ps...); err != nil {
			return refused(err, errGrant)
		}
		return audit.Record(ctx, tx, audit.Event{Tenant: string(app.Tenant), App: string(app.ID), Client: string(c.ID), Type: "token.issued", Outcome: "success", Reason: "journey",
			Actor: string(s.User), Target: string(s.User)})
	})
	if err != nil {
		return session.Tokens{}, err
	}
	s.Client = c.ID // for whom the tokens are
	return session.UserTokens(ctx, p.Keys, p.Kit.URL, s, p.Kit.DB.Now(), nil)
}

// stands returns errGrant if all sessions of the user were ended after the journey.
func (j journeyCode) stands(ctx context.Context, q db.Q, user directory.UserID) error {
	at, err := authn.Ended(ctx, q, j.App, user)
	if err == nil && j.At.Before(at) {
		return errGrant
	}
	return err
}

func openJourneyCode(q db.Q, code string) (journeyCode, []authn.Proof, error) {
	var j journeyCode
	text, ok := strings.CutPrefix(code, journeyMark)
	if !ok || len(text) > 8<<10 {
		return j, nil, errGrant
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return j, nil, errGrant.because(err)
	}
	if b, err = q.Vault().Open("journey_code", b); err != nil {
		return j, nil, errGrant.because(err)
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return j, nil, err
	}
	ps, err := authn.OpenProofs(q.Vault(), "journey_code/"+j.ID, j.Proofs)
	return j, ps, err
}
