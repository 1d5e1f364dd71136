package oidc

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/message"
	"github.com/watchword-auth/watchword/internal/session"
)

// WaiterKind marks runs whose end an authorization waits for.
const WaiterKind = "oidc"

// Held is the session that a browser holds.
type Held struct {
	Session session.Session
	At      time.Time // of its newest proof
}

// Visitor is a browser that comes back: the session that it had, nil if none, and
// by what its user will know the one it gets.
type Visitor struct {
	Held           *Held
	Address, Agent string
}

// HeldBy returns the session of a bearer in an application, nil if there is none.
func (p *Provider) HeldBy(ctx context.Context, app apps.App, bearer string) (*Held, error) {
	if bearer == "" {
		return nil, nil
	}
	s, err := session.Held(ctx, p.Kit.DB, app, bearer)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return &Held{s, session.AuthTime(s.Proofs)}, err
}

// Reply is an answer to an authorization request, for the client's address.
type Reply struct {
	To     string
	Mode   string // query, fragment, form_post
	Values url.Values
	// Session is the bearer of a session that was opened; the browser keeps it.
	Session string
	App     apps.ID
}

// Address is the reply as an address, for the modes query and fragment.
func (r Reply) Address() string {
	mark := "?"
	if r.Mode == "fragment" {
		mark = "#"
	} else if strings.Contains(r.To, "?") {
		mark = "&"
	}
	return r.To + mark + r.Values.Encode()
}

// Refused is the reply of a refusal.
func (p *Provider) Refused(a Ask, e *Error) Reply {
	v := url.Values{"error": {e.Word}, "error_description": {e.Text}, "iss": {p.Kit.URL}}
	return p.reply(a.Params, v)
}

func (p *Provider) reply(m Params, v url.Values) Reply {
	if m.State != "" {
		v.Set("state", m.State)
	}
	mode := m.Mode
	if mode == "" {
		mode = "query"
	}
	return Reply{To: m.RedirectURI, Mode: mode, Values: v}
}

// Grant answers a request on a session that already stands.
func (p *Provider) Grant(ctx context.Context, a Ask, h Held) (Reply, error) {
	var r Reply
	err := p.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		s, err := session.Named(ctx, tx, a.App, h.Session.ID)
		if err != nil {
			return refused(err, refuse("login_required", "The session has ended."))
		}
		if err := session.Touch(ctx, tx, s); err != nil {
			return err
		}
		r, err = p.grant(ctx, tx, a, s)
		return err
	})
	return p.implicit(ctx, a, r, err)
}

// grant makes the grant and its code, in tx.
func (p *Provider) grant(ctx context.Context, tx *db.Tx, a Ask, s session.Session) (Reply, error) {
	g := newGrant(s, a.Client, a.Params)
	state, life := codeState, CodeLife
	if a.Params.Type != "code" {
		state, life = activeState, TokenLife
	}
	if err := g.put(ctx, tx, state, life); err != nil {
		return Reply{}, err
	}
	r := p.reply(a.Params, url.Values{"iss": {p.Kit.URL}})
	if state == codeState {
		r.Values.Set("code", artefact(tx, codeMark, g.ID, 0))
	} else {
		r.Values.Set("grant", g.ID) // implicit makes tokens of it
	}
	if a.Params.Vendor {
		r.Values.Del("iss") // its SDKs know no such parameter
	}
	return r, g.record(ctx, tx, "grant.made", "")
}

// implicit puts tokens into a reply without a code, for the cidaas clients that
// may ask for that.
func (p *Provider) implicit(ctx context.Context, a Ask, r Reply, err error) (Reply, error) {
	id := r.Values.Get("grant")
	if err != nil || id == "" {
		return r, err
	}
	r.Values.Del("grant")
	g, err := findGrant(ctx, p.Kit.DB, id)
	if err != nil {
		return r, err
	}
	t, err := p.issue(ctx, g, a.Client, nil, false)
	if err != nil {
		return r, err
	}
	if strings.Contains(" "+a.Params.Type, " token") {
		r.Values.Set("access_token", t.Access)
		r.Values.Set("token_type", t.Type)
		r.Values.Set("expires_in", "600")
	}
	if strings.Contains(a.Params.Type, "id_token") && t.ID != "" {
		r.Values.Set("id_token", t.ID)
	}
	return r, nil
}

// Hold stores a request under a new handle until somebody signed in for it.
func (p *Provider) Hold(ctx context.Context, a Ask, handle string) error {
	return p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		r := record{Kind: kindAuthorize, Client: a.Client.ID, Body: body{Params: a.Params, Before: a.Before}}
		return r.put(ctx, tx, handle, RequestLife)
	})
}

// NewHandle names a request that will be held.
func (p *Provider) NewHandle() string { return newHandle() }

// SignIn is the journey that signs users in for a request.
func (a Ask) SignIn() string {
	for _, acr := range a.Params.ACR {
		if j := a.Client.Settings.Journeys[acr]; j != "" {
			return j
		}
	}
	if a.Client.Settings.Journey != "" {
		return a.Client.Settings.Journey
	}
	return "sign_in"
}

// LoginPage is where a browser goes to sign in for a request of a client of the
// cidaas SDKs: the client's own page, or ours.
func (a Ask) LoginPage(handle, view string, more url.Values) string {
	to := cmp.Or(a.Client.Settings.LoginURI, "/identity/login")
	q := url.Values{"requestId": {handle}, "view_type": {cmp.Or(view, "login")}}
	for name, list := range more {
		q[name] = list
	}
	if strings.Contains(to, "?") {
		return to + "&" + q.Encode()
	}
	return to + "?" + q.Encode()
}

// Locale is the first language of those that the client wants for its user which
// we speak, else the first; "" if it does not say.
func (a Ask) Locale() string {
	list := strings.Fields(a.Params.Locales)
	for _, tag := range list {
		if primary, _, _ := strings.Cut(strings.ToLower(tag), "-"); len(tag) <= 35 && message.Choose(tag) == primary {
			return tag
		}
	}
	if len(list) == 0 || len(list[0]) > 35 {
		return ""
	}
	return list[0]
}

// SecondPage is LoginPage for who is half signed in: with the name that the request
// has for them, and what they show to go on.
func (p *Provider) SecondPage(a Ask, handle string, half Half) string {
	return a.LoginPage(handle, "mfa_required", url.Values{"track_id": {handle + "." + half.Track}, "sub": {Masked(p.Kit.DB, handle, string(half.User))}})
}

// Masked calls a user by a name that is good for one request: a UUID.
func Masked(q db.Q, request, user string) string {
	h := q.Vault().Hash("cidaas_sub", request+"/"+user)
	return h[0:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:32]
}

// Find returns the request of a handle that is still open or granted.
func (p *Provider) Find(ctx context.Context, handle string) (Ask, error) {
	_, a, err := p.find(ctx, p.Kit.DB, handle)
	return a, err
}

func (p *Provider) find(ctx context.Context, q db.Q, handle string) (record, Ask, error) {
	r, err := heldBy(ctx, q, kindAuthorize, handle)
	if err != nil {
		return r, Ask{}, err
	}
	a := Ask{Params: r.Body.Params, Returnable: true}
	if r.State == spent {
		return r, a, gone
	}
	if a.Client, a.App, err = apps.FindClient(ctx, q, r.Client); err == nil && !a.Client.Redirects(a.Params.RedirectURI) {
		err = gone // it was taken from the client meanwhile
	}
	if err != nil {
		return r, a, refused(err, gone)
	}
	return r, a, nil
}

// Settle grants or denies what waited for a run, in the transaction that ends
// it. It is granted by proofs only.
func (p *Provider) Settle(ctx context.Context, tx *db.Tx, id string, end journey.End) error {
	r, err := find(ctx, tx, "id", id)
	if err == nil && r.State == open && (r.Kind == kindAuthorize || r.Kind == kindDevice) {
		return p.decide(ctx, tx, &r, end.Proofs, end)
	}
	if err == nil {
		err = gone // somebody else was faster
	}
	if e := Refusal(err); e != nil {
		return fault.New(fault.Expired, "%s", e.Text).Because(err)
	}
	return err
}

// unmet is what a client hears whose user cannot prove as much as it asks for
// (RFC 9470); a journey that ends for this reason says so, too.
const unmet = "unmet_authentication_requirements"

func (p *Provider) decide(ctx context.Context, tx *db.Tx, r *record, ps []authn.Proof, end journey.End) error {
	m := r.Body.Params
	switch {
	case !end.OK || len(ps) == 0:
		r.Body.Reason = "access_denied"
		if end.OK {
			r.Body.Reason = "login_required" // a registration signs nobody in
		} else if end.Reason == unmet {
			r.Body.Reason = unmet
		}
		return r.move(ctx, tx, denied)
	case !m.admits(ps[0].User()):
		r.Body.Reason = "login_required"
		return r.move(ctx, tx, denied)
	case !authn.Reaches(authn.ACR(ps), m.ACR):
		r.Body.Reason = unmet
		return r.move(ctx, tx, denied)
	}
	r.Proofs, r.Body.User, r.Body.Ticket, r.Body.Params.Claims = ps, ps[0].User(), end.Token.ID, end.Claims
	return r.move(ctx, tx, granted)
}

// Consented is what a user said to the question what a client may know.
type Consented int

const (
	NotAsked Consented = iota
	Agreed
	Declined
)

// Finish answers a request that was decided, once. The session that the browser
// had ends, and what it granted goes on in the new one if it is the same user's.
// need is Consent if that has to be asked first.
func (p *Provider) Finish(ctx context.Context, handle string, v Visitor, c Consented) (reply Reply, ask Ask, need Need, err error) {
	return p.FinishBy(ctx, handle, "", v, c, nil)
}

// FinishBy is Finish for a request that is granted now, by the proofs that prove
// returns: nobody has them unless the request is answered. track is what Halfway
// returned if something was proven for the request before.
func (p *Provider) FinishBy(ctx context.Context, handle, track string, v Visitor, c Consented, prove func(ctx context.Context, tx *db.Tx) ([]authn.Proof, error)) (reply Reply, ask Ask, need Need, err error) {
	err = p.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		reply, need = Reply{}, Nothing
		var r record
		if r, ask, err = p.find(ctx, tx, handle); err != nil {
			return err
		}
		if prove != nil {
			if need, err = p.prove(ctx, tx, &r, track, prove); err != nil || need != Nothing {
				return err
			}
		}
		if r.State == denied || c == Declined {
			reply = p.Refused(ask, &Error{Word: cmp.Or(r.Body.Reason, "access_denied"), Text: why[r.Body.Reason]})
			return spend(ctx, tx, &r)
		}
		if r.State != granted {
			return gone
		}
		if c == NotAsked {
			if need, err = p.consent(ctx, tx, ask, r.Body.User); err != nil || need == Consent {
				return err
			}
		}
		s, err := p.open(ctx, tx, ask, &r, v)
		if err != nil {
			return err
		}
		if c == Agreed {
			if err := agree(ctx, tx, s.User, ask); err != nil {
				return err
			}
		}
		if err := spend(ctx, tx, &r); err != nil {
			return err
		}
		if reply, err = p.grant(ctx, tx, ask, s); err != nil {
			return err
		}
		reply.Session, reply.App = s.Bearer, ask.App.ID
		return nil
	})
	if need == Nothing {
		reply, err = p.implicit(ctx, ask, reply, err)
	}
	return reply, ask, need, err
}

// why is what a refusal says in words.
var why = map[string]string{
	"":               "The user did not agree.",
	"access_denied":  "Nobody signed in.",
	"login_required": "Nobody signed in, or somebody else did.",
	unmet:            "The user has not proven as much as was asked for.",
}

func spend(ctx context.Context, tx *db.Tx, r *record) error {
	err := r.move(ctx, tx, spent)
	if errors.Is(err, errMoved) {
		return gone
	}
	return err
}

// open opens the session of whom a request was granted by, and ends the one that
// the browser had before. Every proof is judged again (security R25).
func (p *Provider) open(ctx context.Context, tx *db.Tx, a Ask, r *record, v Visitor) (session.Session, error) {
	if r.Body.Session != "" {
		return session.Named(ctx, tx, a.App, r.Body.Session)
	}
	if err := recheck(ctx, tx, r.Proofs); err != nil {
		return session.Session{}, err
	}
	s, err := session.Open(ctx, tx, a.App, session.From{Client: a.Client.ID, Address: v.Address, Agent: v.Agent}, r.Proofs...)
	if err != nil || v.Held == nil {
		return s, err
	}
	old := v.Held.Session
	if old.User == s.User {
		if _, err := tx.Exec(ctx, `UPDATE grants SET session_id = $1 WHERE session_id = $2`, s.ID, old.ID); err != nil {
			return s, err
		}
	}
	if err := session.End(ctx, tx, old); err != nil && !fault.Is(err, fault.NotFound) {
		return s, err
	}
	return s, nil
}

func recheck(ctx context.Context, q db.Q, ps []authn.Proof) error {
	for _, proof := range ps {
		if err := authn.Recheck(ctx, q, proof); err != nil {
			return refused(err, refuse("access_denied", "This sign-in does not count any more. Start again."))
		}
	}
	return nil
}

// GrantHeld marks a held request as granted by a session that stands, so that
// consent can be asked for it.
func (p *Provider) GrantHeld(ctx context.Context, a Ask, h Held, handle string) error {
	return p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		r := record{Kind: kindAuthorize, Client: a.Client.ID, Body: body{Params: a.Params}}
		if err := r.put(ctx, tx, handle, RequestLife); err != nil {
			return err
		}
		r.Body.Session, r.Body.User = h.Session.ID, h.Session.User
		return r.move(ctx, tx, granted)
	})
}

// prove adds proofs to an open request. Login is what is still needed if they do
// not reach what was asked for; the request keeps them.
func (p *Provider) prove(ctx context.Context, tx *db.Tx, r *record, track string, fn func(ctx context.Context, tx *db.Tx) ([]authn.Proof, error)) (Need, error) {
	if r.State != open || subtle.ConstantTimeCompare([]byte(r.Body.Track), []byte(track)) != 1 {
		return Nothing, gone
	}
	if err := r.stands(ctx, tx); err != nil {
		return Nothing, err
	}
	ps, err := fn(ctx, tx)
	if err != nil {
		return Nothing, err
	}
	if r.Body.User != "" && r.Body.User != ps[0].User() {
		return Nothing, refuse("access_denied", "Somebody else began to sign in here.")
	}
	all := append(slices.Clone(r.Proofs), ps...)
	if !authn.Reaches(authn.ACR(all), r.Body.Params.ACR) {
		r.Proofs, r.Body.User, r.Body.Second = all, ps[0].User(), ""
		if r.Body.Ended, err = authn.Ended(ctx, tx, ps[0].App(), ps[0].User()); err != nil {
			return Nothing, err
		}
		if r.Body.Track == "" {
			r.Body.Track = rand.Text()
		}
		return Login, r.move(ctx, tx, open)
	}
	return Nothing, p.decide(ctx, tx, r, all, journey.End{OK: true})
}

// stands refuses what is left to prove once the user's sessions were ended: what
// the request keeps was proven before (security R50).
func (r *record) stands(ctx context.Context, q db.Q) error {
	if len(r.Proofs) == 0 {
		return nil
	}
	at, err := authn.Ended(ctx, q, r.Proofs[0].App(), r.Proofs[0].User())
	if err == nil && at.After(r.Body.Ended) {
		err = refuse("access_denied", "This sign-in does not count any more. Start again.")
	}
	return err
}

// Half is who has proven something for a request that needs more.
type Half struct {
	User   directory.UserID // "" for nobody
	Track  string           // what they show to go on
	Second authn.ChallengeID
}

// Halfway is how far a request has come.
func (p *Provider) Halfway(ctx context.Context, handle string) (Half, error) {
	r, _, err := p.find(ctx, p.Kit.DB, handle)
	return Half{r.Body.User, r.Body.Track, r.Body.Second}, err
}

// HoldHalf stores a request that a session answers in part: what it proved counts,
// judged again now, and another factor is wanted. It reports false for a session
// that would have to be another, or newer.
func (p *Provider) HoldHalf(ctx context.Context, a Ask, h *Held, handle string) (half Half, ok bool, err error) {
	rest := a
	rest.Params.ACR = nil
	if need, err := p.Needs(ctx, p.Kit.DB, rest, h); err != nil || need == Login {
		return half, false, err
	}
	r := record{Kind: kindAuthorize, Client: a.Client.ID, Body: body{Params: a.Params, User: h.Session.User, Track: rand.Text()}, Proofs: h.Session.Proofs}
	err = p.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		if err := recheck(ctx, tx, r.Proofs); err != nil {
			return err
		}
		if r.Body.Ended, err = authn.Ended(ctx, tx, a.App.ID, h.Session.User); err != nil {
			return err
		}
		if err := r.put(ctx, tx, handle, RequestLife); err != nil {
			return err
		}
		return r.move(ctx, tx, open)
	})
	if Refusal(err) != nil {
		return half, false, nil
	}
	return Half{r.Body.User, r.Body.Track, ""}, err == nil, err
}

// Begun notes what was begun for the next factor of a request that is halfway.
func (p *Provider) Begun(ctx context.Context, tx *db.Tx, handle string, id authn.ChallengeID) error {
	r, _, err := p.find(ctx, tx, handle)
	if err != nil || r.State != open || r.Body.User == "" {
		return err
	}
	r.Body.Second = id
	return r.move(ctx, tx, open)
}

// Party names a request in what is asked for it; it opens nothing.
func (p *Provider) Party(handle string) string { return named(p.Kit.DB, handle) }

func agree(ctx context.Context, tx *db.Tx, user directory.UserID, a Ask) error {
	wanted := a.Wanted()
	list := slices.Clone(wanted)
	var before string
	err := tx.QueryRow(ctx, `SELECT scopes FROM consents WHERE user_id = $1 AND client_id = $2`, user, a.Client.ID).Scan(&before)
	if err != nil && !fault.Is(db.None(err, "consent"), fault.NotFound) {
		return err
	}
	list = append(list, strings.Fields(before)...)
	slices.Sort(list)
	_, err = tx.Exec(ctx, `INSERT INTO consents (user_id, client_id, scopes, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (user_id, client_id) DO UPDATE SET scopes = excluded.scopes, created_at = excluded.created_at`, user, a.Client.ID, strings.Join(slices.Compact(list), " "), tx.Now())
	if err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Event{Tenant: string(a.App.Tenant), App: string(a.App.ID), Client: string(a.Client.ID), Type: "consent.given", Outcome: "success",
		Actor: string(user), Target: string(user), Data: map[string]any{"scope": strings.Join(wanted, " ")}})
}

// Push stores a pushed authorization request (RFC 9126) and returns the address
// that stands for it, once. The code that comes of it is bound to the key that the
// client shows now (RFC 9449 10.1).
func (p *Provider) Push(ctx context.Context, c apps.Client, q url.Values, k Key) (string, error) {
	if q.Get("request_uri") != "" {
		return "", refuse("invalid_request", "A pushed request carries no request_uri.")
	}
	if id := q.Get("client_id"); id != "" && id != string(c.ID) {
		return "", refuse("invalid_request", "client_id is another client's.")
	}
	if err := k.proves(c); err != nil {
		return "", err
	}
	q.Set("client_id", string(c.ID))
	if _, err := p.read(ctx, q, Pushed, k.JKT); err != nil {
		return "", err
	}
	handle := newHandle()
	form := url.Values{}
	for name, list := range q {
		if !strings.HasPrefix(name, "client_secret") && !strings.HasPrefix(name, "client_assertion") {
			form[name] = list
		}
	}
	err := p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		r := record{Kind: kindPushed, Client: c.ID, Body: body{Form: form, JKT: k.JKT}}
		return r.put(ctx, tx, handle, PushedLife)
	})
	return pushedURN + handle, err
}

const pushedURN = "urn:ietf:params:oauth:request_uri:"

// pushed takes a pushed request of a client, which is gone then, with the thumbprint
// of the key that was shown with it.
func (p *Provider) pushed(ctx context.Context, c apps.Client, at string) (url.Values, string, error) {
	bad := refuse("invalid_request_uri", "The pushed request was used, has run out, or never was.")
	handle, ok := strings.CutPrefix(at, pushedURN)
	if !ok {
		return nil, "", bad
	}
	var was body
	err := p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		r, err := heldBy(ctx, tx, kindPushed, handle)
		if err == nil && (r.Client != c.ID || r.State != open) {
			err = bad
		}
		if err != nil {
			return err
		}
		was = r.Body
		return spend(ctx, tx, &r)
	})
	if err != nil {
		return nil, "", refused(err, bad)
	}
	return was.Form, was.JKT, nil
}
