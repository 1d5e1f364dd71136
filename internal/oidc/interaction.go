package oidc

import (
	"context"
	"crypto/subtle"
	"net/url"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/session"
)

// An interaction is an authorization request that a page of the client's own
// answers, by running a journey with the SDK. The page learns the request's name,
// which opens nothing; the browser keeps its handle. To go on takes both: the
// handle, and the ticket that only whoever ran the journey was told. So neither
// somebody who began a request and had it answered by another (security R36), nor
// that other, gets anywhere with their half.

// Interaction is the run that answers the request of this name, which must be the
// client's and still open.
func (p *Provider) Interaction(ctx context.Context, c apps.Client, app apps.App, id string) (journey.StartRequest, error) {
	r, err := find(ctx, p.Kit.DB, "id", id)
	if err == nil && (r.Kind != kindAuthorize || r.State != open || r.Client != c.ID) {
		err = gone
	}
	if err != nil {
		return journey.StartRequest{}, refused(err, gone)
	}
	a := Ask{Client: c, App: app, Params: r.Body.Params}
	s := p.Run(a, r.ID)
	s.Kind = journey.KindSSO
	if r.Body.Before != "" {
		before, err := session.Named(ctx, p.Kit.DB, app, r.Body.Before)
		if err != nil {
			return s, refused(err, gone)
		}
		s.Proofs = before.Proofs
	}
	return s, nil
}

// Run is the run that answers a request, by the name that its waiter has.
func (p *Provider) Run(a Ask, name string) journey.StartRequest {
	hint := map[string]any{}
	if a.Params.LoginHint != "" {
		hint["login_hint"] = a.Params.LoginHint
	}
	return journey.StartRequest{App: a.App, Client: a.Client, Journey: a.SignIn(), Kind: journey.KindSSO, Params: hint, Levels: a.Params.ACR,
		Waiter: journey.Waiter{Kind: WaiterKind, ID: name}, Caller: journey.Caller{Locale: a.Locale()}}
}

// Onward is where the browser goes whose page ran the journey of an interaction;
// "" if no request waited for it.
func (p *Provider) Onward(end journey.End) string {
	if end.Waiter.Kind != WaiterKind {
		return ""
	}
	to := p.Kit.URL + "/authorize/continue"
	if end.OK {
		to += "?" + url.Values{"ticket": {ticket(p.Kit.DB, end.Waiter.ID, end.Token.ID)}}.Encode()
	}
	return to
}

func ticket(q db.Q, request, end string) string {
	return q.Vault().Hash("onward", request+"/"+end)
}

// Entitled returns nil if a browser that holds the handle of an interaction may go
// on: nobody is signed in by it, or the browser shows the ticket of who is.
func (p *Provider) Entitled(ctx context.Context, handle, shown string) error {
	r, _, err := p.find(ctx, p.Kit.DB, handle)
	if err != nil {
		return err
	}
	want := ticket(p.Kit.DB, r.ID, r.Body.Ticket)
	if r.State == denied || r.State == granted && r.Body.Ticket != "" && subtle.ConstantTimeCompare([]byte(want), []byte(shown)) == 1 {
		return nil
	}
	return gone
}
