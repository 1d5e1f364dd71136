package oidc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
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

// carriedMark begins a code that is like it, which a browser carries back to a page
// from what a back end had it do.
const carriedMark = "wwb_"

// journeyCode is what such a code holds.
type journeyCode struct {
	ID      string        `json:"id"`
	At      time.Time     `json:"at"`
	App     apps.ID       `json:"app"`
	Client  apps.ClientID `json:"client"`
	Proofs  []byte        `json:"proofs"`
	Address string        `json:"address,omitempty"`
	Agent   string        `json:"agent,omitempty"`
	Carried carried       `json:"carried,omitzero"`
}

// carried is what a code that a browser carried back holds beside.
type carried struct {
	To    string `json:"to"` // the page that it was given to
	Nonce string `json:"nonce,omitempty"`
	New   bool   `json:"new,omitempty"` // the user was made by it
}

// JourneyCode is what a back end of the same application trades for the tokens of
// whoever a run signed in (mosaic-protocol 2.11), within CodeLife and once; "" for
// a run that signed nobody in, or that a request waits for.
func (p *Provider) JourneyCode(end journey.End) string {
	if !end.OK || len(end.Proofs) == 0 || end.Waiter.Kind != "" {
		return ""
	}
	return journeyCode{ID: end.Token.ID, At: end.Token.At, App: end.App, Client: end.Client, Address: end.Caller.Address, Agent: end.Caller.UserAgent}.sealed(p.Kit.DB, journeyMark, end.Proofs)
}

// sealed is a code that opens by its mark only.
func (j journeyCode) sealed(q db.Q, mark string, ps []authn.Proof) string {
	v := q.Vault()
	j.Proofs = authn.SealProofs(v, places[mark]+"/"+j.ID, ps)
	return mark + base64.RawURLEncoding.EncodeToString(v.Seal(places[mark], []byte(db.Text(j))))
}

// places are what codes are sealed to, by their mark.
var places = map[string]string{journeyMark: "journey_code", carriedMark: "carried_code"}

// IsJourneyCode reports whether a code is to be traded, not redeemed.
func IsJourneyCode(code string) bool { return strings.HasPrefix(code, journeyMark) }

// Trade opens the session of a journey's code and returns its tokens, as a back
// end gets them that authenticated the user itself. The client must be one that
// says who it is, of the application whose client ran the journey.
func (p *Provider) Trade(ctx context.Context, c apps.Client, app apps.App, code string) (session.Tokens, error) {
	if c.AuthMethod() == "none" {
		return session.Tokens{}, refuse("unauthorized_client", "Only a back end may trade the code of a journey.")
	}
	if c.MustBind() {
		return session.Tokens{}, errUnbound
	}
	var s session.Session
	err := p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		j, ps, err := openCode(tx, journeyMark, code)
		if err != nil || j.App != app.ID {
			return refused(err, errGrant)
		}
		if err := j.spend(ctx, tx); err != nil {
			return err
		}
		s, err = j.open(ctx, tx, c, app, ps, "journey")
		return err
	})
	if err != nil {
		return session.Tokens{}, err
	}
	s.Client = c.ID // for whom the tokens are
	return session.UserTokens(ctx, p.Keys, p.Kit.URL, s, p.Kit.DB.Now(), nil)
}

// Carried is whom a browser brings back to a page, and for which client.
type Carried struct {
	Client  apps.ClientID // that had the browser do something, and alone may trade the code
	To      string        // the page
	Nonce   string        // for the identity token
	New     bool          // the user was made by it
	Address string        // of the browser
	Agent   string
	Proof   authn.Proof
}

// CarriedCode is what the browser brings: good for CodeLife, and once.
func (p *Provider) CarriedCode(c Carried) string {
	return journeyCode{ID: rand.Text(), At: p.Kit.DB.Now(), App: c.Proof.App(), Client: c.Client, Address: c.Address, Agent: c.Agent, Carried: carried{c.To, c.Nonce, c.New}}.
		sealed(p.Kit.DB, carriedMark, []authn.Proof{c.Proof})
}

// TradeCarried opens the session of a carried code and returns its tokens, and
// whether its user is new. The client shows that it is the one whose code it is; to
// is the page that got it, or empty. With another client or page the code is spent
// all the same: somebody has it who should not.
func (p *Provider) TradeCarried(ctx context.Context, as Credentials, code, to string) (session.Tokens, bool, error) {
	c, app, err := p.Authenticate(ctx, as)
	if err == nil && c.AuthMethod() == "none" {
		err = refuse("unauthorized_client", "Only a back end may trade the code of a page.")
	}
	if err != nil {
		return session.Tokens{}, false, err
	}
	var s session.Session
	var j journeyCode
	var bad error
	err = p.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		bad = nil
		var ps []authn.Proof
		if j, ps, err = openCode(tx, carriedMark, code); err != nil {
			return err
		}
		if err := j.spend(ctx, tx); err != nil {
			return err
		}
		mine, err := apps.MayRedirect(ctx, tx, app.ID, j.Carried.To)
		if err != nil {
			return err
		}
		if j.App != app.ID || j.Client != c.ID || !mine || to != "" && to != j.Carried.To {
			bad = errGrant
			return nil
		}
		s, err = j.open(ctx, tx, c, app, ps, "carried")
		return err
	})
	if err = errors.Join(err, bad); err != nil {
		return session.Tokens{}, false, err
	}
	extra := map[string]any{}
	if j.Carried.Nonce != "" {
		extra["nonce"] = j.Carried.Nonce
	}
	t, err := session.UserTokens(ctx, p.Keys, p.Kit.URL, s, p.Kit.DB.Now(), extra)
	return t, j.Carried.New, err
}

// spend takes a code that has time; errGrant if it was taken.
func (j journeyCode) spend(ctx context.Context, tx *db.Tx) error {
	if !tx.Now().Before(j.At.Add(CodeLife)) {
		return errGrant
	}
	fresh, err := once(ctx, tx, "journey", j.ID, j.At.Add(CodeLife))
	if err == nil && !fresh {
		err = errGrant
	}
	return err
}

// open begins the session of a code that was spent, for whom may still sign in.
func (j journeyCode) open(ctx context.Context, tx *db.Tx, c apps.Client, app apps.App, ps []authn.Proof, why string) (session.Session, error) {
	if err := recheck(ctx, tx, ps); err != nil {
		return session.Session{}, refused(err, errGrant)
	}
	if err := j.stands(ctx, tx, ps[0].User()); err != nil {
		return session.Session{}, err
	}
	s, err := session.Open(ctx, tx, app, session.From{Client: j.Client, Address: j.Address, Agent: j.Agent}, ps...)
	if err != nil {
		return s, refused(err, errGrant)
	}
	return s, audit.Record(ctx, tx, audit.Event{Tenant: string(app.Tenant), App: string(app.ID), Client: string(c.ID), Type: "token.issued", Outcome: "success", Reason: why,
		Actor: string(s.User), Target: string(s.User)})
}

// stands returns errGrant if all sessions of the user were ended after the journey.
func (j journeyCode) stands(ctx context.Context, q db.Q, user directory.UserID) error {
	at, err := authn.Ended(ctx, q, j.App, user)
	if err == nil && j.At.Before(at) {
		return errGrant
	}
	return err
}

// openCode reads a code of a mark; errGrant if it is none of ours.
func openCode(q db.Q, mark, code string) (journeyCode, []authn.Proof, error) {
	var j journeyCode
	text, ok := strings.CutPrefix(code, mark)
	if !ok || len(text) > 8<<10 {
		return j, nil, errGrant
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return j, nil, errGrant.because(err)
	}
	if b, err = q.Vault().Open(places[mark], b); err != nil {
		return j, nil, errGrant.because(err)
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return j, nil, err
	}
	ps, err := authn.OpenProofs(q.Vault(), places[mark]+"/"+j.ID, j.Proofs)
	return j, ps, err
}
