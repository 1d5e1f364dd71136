package oidc

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/limit"
	"github.com/watchword-auth/watchword/internal/session"
)

// Backchannel is the answer to a backchannel authentication request (CIBA 7.3).
type Backchannel struct {
	ID        string `json:"auth_req_id"`
	ExpiresIn int    `json:"expires_in"`
	Interval  int    `json:"interval,omitempty"`
}

// CIBAJob is the kind of the job that tells a client that a request was decided.
const CIBAJob = "oidc.ciba"

// Decided is a backchannel request whose client is told, by its stored name.
type Decided struct {
	Request string `json:"request"`
	Grant   string `json:"grant,omitempty"` // that came of it: its tokens are pushed
	Late    bool   `json:"late,omitempty"`  // its time is over: if nobody decided, the client is told that
}

// told is how long a client is told again that does not answer.
const told = 10 * time.Minute

func init() {
	authn.OnDecided(func(ctx context.Context, tx *db.Tx, id authn.ChallengeID) error {
		var request string
		err := tx.QueryRow(ctx, `SELECT id FROM requests WHERE challenge = $1`, string(id)).Scan(&request)
		if err != nil {
			if fault.Is(db.None(err, "request"), fault.NotFound) {
				return nil
			}
			return err
		}
		return jobs.Enqueue(ctx, tx, CIBAJob, Decided{Request: request}, tx.Now().Add(told))
	})
}

// Ask asks a user's phone to approve what a client wants (CIBA 7.1): the phone
// shows the binding message and what authorization_details say, and its owner
// authenticates there. Echo shows the message to a capture.
func (p *Provider) Ask(ctx context.Context, c apps.Client, app apps.App, q url.Values) (Backchannel, error) {
	if !c.MayGrant(apps.GrantCIBA) {
		return Backchannel{}, refuse("unauthorized_client", "This client may not ask users in the background.")
	}
	q, err := p.backchannelParams(ctx, c, q)
	if err != nil {
		return Backchannel{}, err
	}
	b, err := p.wanted(ctx, c, app, q)
	if err != nil {
		return Backchannel{}, err
	}
	return b.pose(ctx, p)
}

func (p *Provider) backchannelParams(ctx context.Context, c apps.Client, q url.Values) (url.Values, error) {
	for name, list := range q {
		if len(list) > 1 {
			return nil, refuse("invalid_request", "The parameter %s stands more than once.", clip(name))
		}
	}
	jws := q.Get("request")
	if jws == "" {
		if c.Settings.SignedRequest {
			return nil, refuse("invalid_request", "This client must sign its requests.")
		}
		return q, nil
	}
	return p.signedBackchannel(ctx, c, jws)
}

// signedBackchannel reads a signed request (CIBA 7.1.1): every claim about itself
// is there, it is for an hour at most, and it counts once.
func (p *Provider) signedBackchannel(ctx context.Context, c apps.Client, jws string) (url.Values, error) {
	bad := refuse("invalid_request", "The signed request is not signed by this client, not for this server, not in its time, or was used.")
	claims, err := p.byClient(ctx, c, jws, c.Settings.RequestAlg)
	if err != nil {
		return nil, refused(err, bad)
	}
	now, jti := p.Kit.DB.Now(), text(claims, "jti")
	exp, ends := seconds(claims, "exp")
	nbf, begins := seconds(claims, "nbf")
	_, made := seconds(claims, "iat")
	if !ends || !begins || !made || jti == "" || text(claims, "iss") != string(c.ID) || !p.forUs(claims["aud"]) || !now.Before(exp) || nbf.After(now.Add(time.Minute)) || exp.Sub(nbf) > time.Hour {
		return nil, bad
	}
	if id := text(claims, "client_id"); id != "" && id != string(c.ID) {
		return nil, bad
	}
	return parameters(claims), p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		fresh, err := once(ctx, tx, "ciba/"+string(c.ID), jti, exp.Add(time.Minute))
		if err == nil && !fresh {
			return bad
		}
		return err
	})
}

// backchannel is a request that was checked.
type backchannel struct {
	client  apps.Client
	app     apps.App
	user    directory.User
	device  directory.Device
	params  Params
	shown   map[string]any
	message string
	life    time.Duration
	token   string
}

func (p *Provider) wanted(ctx context.Context, c apps.Client, app apps.App, q url.Values) (backchannel, error) {
	b := backchannel{client: c, app: app, life: 2 * time.Minute, message: q.Get("binding_message"), token: q.Get("client_notification_token")}
	var err error
	if b.params.Scope, err = scopes(c, q.Get("scope")); err != nil {
		return b, err
	}
	if !slices.Contains(b.params.Scope, "openid") {
		return b, refuse("invalid_scope", "scope must hold openid.")
	}
	b.params.Type, b.params.ACR = "code", strings.Fields(q.Get("acr_values"))
	if s := q.Get("requested_expiry"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return b, refuse("invalid_request", "requested_expiry is a number of seconds.")
		}
		b.life = time.Duration(min(max(n, 30), 600)) * time.Second
	}
	if pushes(c) && (b.token == "" || len(b.token) > 1024) {
		return b, refuse("invalid_request", "client_notification_token is missing.")
	}
	if err := b.show(q.Get("authorization_details")); err != nil {
		return b, err
	}
	if b.user, err = p.whom(ctx, c, app, q); err != nil {
		return b, err
	}
	b.params.Org = directory.OrgID(clip(q.Get("org_id")))
	if err := directory.ActsFor(ctx, p.Kit.DB, app.ID, b.params.Org, b.user.ID); err != nil {
		return b, refused(err, outsider)
	}
	if err := p.userCode(ctx, b, q.Get("user_code")); err != nil {
		return b, err
	}
	devices, err := directory.Devices(ctx, p.Kit.DB, app.ID, b.user.ID)
	if err != nil {
		return b, err
	}
	if len(devices) == 0 {
		return b, refuse("access_denied", "The user has no phone to be asked on.")
	}
	b.device = devices[0]
	return b, nil
}

// pushes reports whether the client is called, rather than asking.
func pushes(c apps.Client) bool { return c.Settings.CIBA == "ping" || c.Settings.CIBA == "push" }

// show makes what the phone shows, which the approval is bound to: the binding
// message and the members of authorization_details.
func (b *backchannel) show(list string) error {
	shown := map[string]any{}
	if b.message != "" {
		shown["message"] = b.message
		if _, err := journey.ApprovalData(shown); err != nil {
			return refuse("invalid_binding_message", "A binding message has at most 256 letters, digits, spaces and - _ . :")
		}
	}
	if list != "" {
		if err := details(b.client, list); err != nil {
			return err
		}
		b.params.Details = json.RawMessage(list)
		var objects []map[string]any
		if err := json.Unmarshal(b.params.Details, &objects); err != nil {
			return err
		}
		for i, o := range objects {
			flatten(shown, strings.TrimSuffix(fmt.Sprintf("%d.", i+1), map[bool]string{true: "1."}[len(objects) == 1]), o)
		}
	}
	if len(shown) == 0 {
		return nil
	}
	var err error
	if b.shown, err = journey.ApprovalData(shown); err != nil {
		return refuse("invalid_authorization_details", "The phone can show at most 10 members, of letters, digits, spaces and - _ . :").because(err)
	}
	return nil
}

// flatten names nested members by their path.
func flatten(out map[string]any, prefix string, o map[string]any) {
	for name, v := range o {
		if inner, ok := v.(map[string]any); ok {
			flatten(out, prefix+name+".", inner)
			continue
		}
		out[prefix+name] = v
	}
}

// whom is the user that exactly one hint names.
func (p *Provider) whom(ctx context.Context, c apps.Client, app apps.App, q url.Values) (directory.User, error) {
	unknown := refuse("unknown_user_id", "There is no such user.")
	hint, names := "", 0
	for _, name := range []string{"login_hint", "id_token_hint", "login_hint_token"} {
		if q.Get(name) != "" {
			hint, names = name, names+1
		}
	}
	if names != 1 {
		return directory.User{}, refuse("invalid_request", "Exactly one of login_hint, id_token_hint and login_hint_token says who is asked.")
	}
	var u directory.User
	var err error
	switch hint {
	case "login_hint":
		u, err = directory.Lookup(ctx, p.Kit.DB, app.Tenant, q.Get(hint))
	case "id_token_hint":
		var sub string
		if sub, err = p.hinted(ctx, c, q.Get(hint)); err == nil {
			u, err = directory.Find(ctx, p.Kit.DB, app.Tenant, directory.UserID(sub))
		}
	default:
		u, err = p.byHintToken(ctx, c, app, q.Get(hint))
	}
	if fault.Is(err, fault.NotFound) || err == nil && u.Status != directory.Active {
		return u, unknown
	}
	return u, err
}

// byHintToken reads a login_hint_token: a JWT that the client signed, for us, with
// the user in "sub_id" (RFC 9493: email, phone_number, or opaque for our own id)
// or in "login_hint".
func (p *Provider) byHintToken(ctx context.Context, c apps.Client, app apps.App, jws string) (directory.User, error) {
	claims, err := p.byClient(ctx, c, jws, "")
	exp, ok := seconds(claims, "exp")
	if err != nil || !p.forUs(claims["aud"]) {
		return directory.User{}, refused(err, refuse("invalid_request", "login_hint_token is not signed by this client, or not for this server."))
	}
	if !ok || !p.Kit.DB.Now().Before(exp) {
		return directory.User{}, refuse("expired_login_hint_token", "login_hint_token has run out.")
	}
	id, _ := claims["sub_id"].(map[string]any)
	switch text(id, "format") {
	case "email":
		return directory.LookupKind(ctx, p.Kit.DB, app.Tenant, directory.Email, text(id, "email"))
	case "phone_number":
		return directory.LookupKind(ctx, p.Kit.DB, app.Tenant, directory.Phone, text(id, "phone_number"))
	case "opaque":
		return directory.Find(ctx, p.Kit.DB, app.Tenant, directory.UserID(text(id, "id")))
	}
	return directory.Lookup(ctx, p.Kit.DB, app.Tenant, text(claims, "login_hint"))
}

// userCode checks the code that users protect themselves with from being asked
// by anybody (CIBA 7.1). Tries are counted before they are judged.
func (p *Provider) userCode(ctx context.Context, b backchannel, code string) error {
	want, _ := b.user.Custom["ciba_user_code"].(string)
	switch {
	case code == "" && (b.client.Settings.UserCode || want != ""):
		return refuse("missing_user_code", "The user's code is missing.")
	case code == "":
		return nil
	}
	err := p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		return limit.Take(ctx, tx, "ciba_code/"+string(b.user.ID), 5, 10*time.Minute)
	})
	if err != nil {
		return err
	}
	if want == "" || subtle.ConstantTimeCompare([]byte(want), []byte(code)) != 1 {
		return refuse("invalid_user_code", "That is not the user's code.")
	}
	return nil
}

// pose asks the phone and stores the request, both or neither. There is no
// browser whose number could be matched: what binds is the message.
func (b backchannel) pose(ctx context.Context, p *Provider) (Backchannel, error) {
	handle := newHandle()
	err := p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		subject := authn.Subject{Kind: push.Kind, Tenant: b.app.Tenant, App: b.app.ID, User: b.user.ID}
		if err := authn.Locked(ctx, tx, subject); err != nil {
			return refused(err, refuse("access_denied", "The user cannot be asked now."))
		}
		name := cmp.Or(b.client.Settings.Journeys["ciba"], "mobile_approve")
		_, version, err := journey.Newest(ctx, tx, b.app.Tenant, name)
		if err != nil {
			return fmt.Errorf("mobile journey %s: %w", name, err)
		}
		ch, err := push.Begin(ctx, tx, push.Asked{
			Subject: subject, To: push.Own(b.device), Once: "ciba/" + named(tx, handle), Proven: true, Mode: push.Off, Body: b.message, Life: b.life, Echo: p.Kit.Dev,
			Request: push.Request{Journey: name, Version: version, AppName: b.app.Name, Client: b.client.ID, ClientAs: b.client.Name, Place: "a request of " + b.client.Name, Browser: "no browser", Web: "ciba", Approval: b.shown},
		})
		if err != nil {
			return err
		}
		r := record{Kind: kindCIBA, Client: b.client.ID, Waits: ch.ID, pace: pollPace,
			Body: body{Params: b.params, User: b.user.ID, Token: b.token, Handle: handle}}
		b.life = ch.Expires.Sub(tx.Now())
		if err := r.put(ctx, tx, handle, b.life+told); err != nil || !pushes(b.client) {
			return err
		}
		return jobs.EnqueueAt(ctx, tx, CIBAJob, Decided{Request: r.ID, Late: true}, ch.Expires, ch.Expires.Add(told))
	})
	out := Backchannel{ID: handle, ExpiresIn: int(b.life / time.Second)}
	if b.client.Settings.CIBA != "push" {
		out.Interval = int(pollPace / time.Second)
	}
	return out, err
}

// CollectCIBA gives a client the tokens of a backchannel request, once. What the
// user approved is judged again now (security R25).
func (p *Provider) CollectCIBA(ctx context.Context, c apps.Client, app apps.App, handle string, k Key) (Tokens, error) {
	if c.Settings.CIBA == "push" {
		return Tokens{}, refuse("unauthorized_client", "The tokens are pushed to this client.")
	}
	r, err := p.polled(ctx, kindCIBA, c, handle)
	if err != nil {
		return Tokens{}, err
	}
	g, err := p.harvest(ctx, r, c, app, k, func(*db.Tx, grant) error { return nil })
	if err != nil {
		return Tokens{}, err
	}
	return p.issue(ctx, g, c, nil, g.Offline)
}

// harvest spends a backchannel request whose challenge was approved. What also
// does belongs to the same transaction.
func (p *Provider) harvest(ctx context.Context, r record, c apps.Client, app apps.App, k Key, also func(tx *db.Tx, g grant) error) (g grant, err error) {
	if err := k.binds(c); err != nil {
		return g, err
	}
	err = p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		ch, err := authn.Recall[push.Request](ctx, tx, r.Waits)
		if fault.Is(err, fault.NotFound) {
			ch.State, err = authn.Expired, nil // and swept
		}
		if err != nil {
			return err
		}
		switch ch.State {
		case authn.Approved:
		case authn.Expired:
			return refuse("expired_token", "Nobody answered in time.")
		case authn.Consumed:
			return errGrant
		case authn.Denied, authn.Cancelled:
			return refuse("access_denied", "The user did not approve.")
		default:
			return refuse("authorization_pending", "The user has not answered yet.")
		}
		proof, err := authn.Redeem(ctx, tx, ch.ID)
		if err != nil {
			return refused(err, refuse("access_denied", "The approval does not count any more."))
		}
		if !authn.Reaches(authn.ACR([]authn.Proof{proof}), r.Body.Params.ACR) {
			return refuse("access_denied", "The approval is weaker than what was asked for.")
		}
		try := r
		if err := spend(ctx, tx, &try); err != nil {
			return refused(err, errGrant)
		}
		s, err := session.Open(ctx, tx, app, session.From{Client: c.ID}, proof)
		if err != nil {
			return err
		}
		g = newGrant(s, c, r.Body.Params)
		g.JKT, g.X5T = k.JKT, k.X5T
		if len(ch.Data.Approval) > 0 {
			receipt := session.Receipt{ID: db.NewID("apv_"), Data: ch.Data.Approval, Hash: journey.ApprovalHash(ch.Data.Approval), Method: push.Kind, Credential: string(proof.Credential()), At: proof.At(), Evidence: push.Evidence(ch)}
			if g.Receipt, err = receipt.Sign(ctx, p.Keys, p.Kit.URL, c.ID, app, []authn.Proof{proof}); err != nil {
				return err
			}
		}
		if err := g.put(ctx, tx, activeState, RefreshLife); err != nil {
			return err
		}
		if err := g.issued(ctx, tx, kindCIBA); err != nil {
			return err
		}
		return also(tx, g)
	})
	return g, err
}

// Notice is what a client is told of a request that was decided (CIBA 10.2, 10.3).
type Notice struct {
	At    string
	Token string // the client's own, to be sent as a bearer
	Body  any
}

// Notify returns what the client of a decided request is told, nil if nothing. In
// push mode the tokens are made here, of a grant that is made once, however often
// the message must be sent.
func (p *Provider) Notify(ctx context.Context, d Decided) (*Notice, error) {
	r, err := find(ctx, p.Kit.DB, "id", d.Request)
	if err != nil {
		return nil, outage(err)
	}
	c, app, err := apps.FindClient(ctx, p.Kit.DB, r.Client)
	if err != nil || !pushes(c) {
		return nil, ignorable(err)
	}
	if d.Late {
		state, err := authn.StateOf(ctx, p.Kit.DB, r.Waits)
		if err == nil && state != authn.Expired {
			return nil, nil // it was decided, and told then
		}
		if e := outage(err); e != nil {
			return nil, e
		}
	}
	n := &Notice{At: c.Settings.Notification, Token: r.Body.Token, Body: map[string]any{"auth_req_id": r.Body.Handle}}
	if c.Settings.CIBA == "ping" {
		return n, nil
	}
	var g grant
	if d.Grant == "" { // make it, and with it the job that carries its tokens out
		g, err = p.harvest(ctx, r, c, app, Key{}, func(tx *db.Tx, g grant) error {
			return jobs.Enqueue(ctx, tx, CIBAJob, Decided{Request: d.Request, Grant: g.ID}, tx.Now().Add(told))
		})
	} else {
		g, err = findGrant(ctx, p.Kit.DB, d.Grant)
	}
	if e := Refusal(err); e != nil {
		if e.Word == "authorization_pending" || errors.Is(err, errGrant) {
			return nil, nil
		}
		n.Body = map[string]any{"auth_req_id": r.Body.Handle, "error": e.Word, "error_description": e.Text}
		return n, nil
	}
	if err != nil || d.Grant == "" {
		return nil, err
	}
	g.pushed = r.Body.Handle
	t, err := p.issue(ctx, g, c, nil, g.Offline)
	t.AuthReq = r.Body.Handle
	n.Body = t
	return n, err
}
