package oidc

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/token"
)

// Params are the parameters of an authorization request, checked.
type Params struct {
	RedirectURI string          `json:"redirect_uri,omitempty"`
	Type        string          `json:"response_type"`
	Mode        string          `json:"response_mode,omitempty"` // query, fragment, form_post
	State       string          `json:"state,omitempty"`
	Nonce       string          `json:"nonce,omitempty"`
	Challenge   string          `json:"code_challenge,omitempty"` // S256
	Scope       []string        `json:"scope,omitempty"`
	Prompt      []string        `json:"prompt,omitempty"`
	ACR         []string        `json:"acr_values,omitempty"`
	Resource    []string        `json:"resource,omitempty"`
	MaxAge      *int64          `json:"max_age,omitempty"` // seconds
	LoginHint   string          `json:"login_hint,omitempty"`
	User        string          `json:"user,omitempty"`  // of id_token_hint
	Users       []string        `json:"users,omitempty"` // that claims names
	Wish        Wish            `json:"wish,omitzero"`
	Locales     string          `json:"ui_locales,omitempty"`
	Org         directory.OrgID `json:"org_id,omitempty"` // that somebody signs in for
	Details     json.RawMessage `json:"authorization_details,omitempty"`
	JKT         string          `json:"dpop_jkt,omitempty"`
	// Claims are what the journey that signed in adds to the identity token.
	Claims map[string]any `json:"claims,omitempty"`
	// Vendor says that it came through the cidaas door, where what its SDKs leave
	// out is optional.
	Vendor bool `json:"vendor,omitempty"`
}

// Ask is an authorization request of a client.
type Ask struct {
	Client apps.Client
	App    apps.App
	Params Params
	// Before is the session that steps up, if one does.
	Before string
	// Returnable says that the redirect address is the client's, so that a refusal
	// may be told there.
	Returnable bool
}

// How is the way on which an authorization request came.
type How int

const (
	Direct How = iota // in an address or a form of a browser
	Pushed            // from the client itself, which authenticated
	Vendor            // through the cidaas door
)

// repeated are the parameters that may stand more than once (RFC 6749 3.1).
var repeated = []string{"resource", "audience"}

// Read checks an authorization request that came in an address or a form. With
// an error, Ask.Returnable says where the error may be told.
func (p *Provider) Read(ctx context.Context, q url.Values, how How) (Ask, error) {
	return p.read(ctx, q, how, "")
}

// read is Read for a request with which a key was shown.
func (p *Provider) read(ctx context.Context, q url.Values, how How, jkt string) (Ask, error) {
	var a Ask
	pushed := how == Pushed
	for name, list := range q {
		if len(list) > 1 && !slices.Contains(repeated, name) {
			return a, refuse("invalid_request", "The parameter %s stands more than once.", clip(name))
		}
	}
	var err error
	if a.Client, a.App, err = apps.FindClient(ctx, p.Kit.DB, apps.ClientID(q.Get("client_id"))); err != nil {
		return a, refused(err, refuse("invalid_request", "The client is not known here."))
	}
	plain := q // where a refusal of what stands in it may be told
	if at := q.Get("request_uri"); at != "" && !pushed {
		if !strings.HasPrefix(at, pushedURN) {
			return a.from(plain), refuse("request_uri_not_supported", "A request stands in a request, or is pushed; none is fetched.")
		}
		if q, jkt, err = p.pushed(ctx, a.Client, at); err != nil {
			return a, err
		}
		pushed = true
	} else if a.Client.MustPush() && !pushed {
		return a, refuse("invalid_request", "This client must push its requests.")
	}
	if jws := q.Get("request"); jws != "" {
		if q, err = p.signed(ctx, a.Client, jws); err != nil {
			return a.from(plain), err
		}
	} else if a.Client.Settings.SignedRequest {
		return a, refuse("invalid_request", "This client must sign its requests.")
	}
	if how == Vendor && !a.Client.Settings.Cidaas {
		return a, refuse("unauthorized_client", "This client is not one of that vendor's SDKs.")
	}
	a.Params = Params{RedirectURI: q.Get("redirect_uri"), Type: q.Get("response_type"), Mode: q.Get("response_mode"), State: q.Get("state"), Vendor: how == Vendor}
	if a.Params.RedirectURI == "" && len(a.Client.Settings.RedirectURIs) == 1 && !a.Client.FAPI() && !strings.Contains(q.Get("scope"), "openid") {
		a.Params.RedirectURI = a.Client.Settings.RedirectURIs[0]
	}
	if !a.Client.Redirects(a.Params.RedirectURI) {
		return a, BadReturn
	}
	a.Returnable = true
	if err := p.fill(ctx, &a, q); err != nil {
		return a, err
	}
	return a, a.Params.bind(jkt)
}

// bind has the code be good with the key that was shown with the request only, which
// is the one that the request names, if it names one (RFC 9449 10.1).
func (m *Params) bind(jkt string) error {
	if m.JKT != "" && jkt != "" && m.JKT != jkt {
		return refuse("invalid_dpop_proof", "The proof is of another key than dpop_jkt.")
	}
	if jkt != "" {
		m.JKT = jkt
	}
	return nil
}

// from is a with the address of plain parameters to return to, if it is one of the
// client's: for a refusal only.
func (a Ask) from(q url.Values) Ask {
	a.Params = Params{RedirectURI: q.Get("redirect_uri"), State: q.Get("state")}
	a.Returnable = a.Client.Redirects(a.Params.RedirectURI)
	return a
}

// fill checks everything after which a refusal may be told to the client.
func (p *Provider) fill(ctx context.Context, a *Ask, q url.Values) error {
	m := &a.Params
	if err := m.types(a.Client, q); err != nil {
		return err
	}
	if m.Nonce = q.Get("nonce"); len(m.Nonce) > 512 { // it has to come back as it is
		return refuse("invalid_request", "A nonce has at most 512 characters.")
	}
	m.LoginHint, m.Locales = clip(q.Get("login_hint")), clip(q.Get("ui_locales"))
	m.Org = directory.OrgID(clip(q.Get("org_id")))
	m.Prompt, m.ACR, m.Resource, m.JKT = strings.Fields(q.Get("prompt")), strings.Fields(q.Get("acr_values")), q["resource"], q.Get("dpop_jkt")
	var err error
	if m.Scope, err = scopes(a.Client, q.Get("scope")); err != nil {
		return err
	}
	if err := resources(a.Client, m.Resource); err != nil {
		return err
	}
	for _, word := range m.Prompt {
		if !slices.Contains([]string{"none", "login", "consent", "select_account", "create"}, word) || word == "none" && len(m.Prompt) > 1 {
			return refuse("invalid_request", "prompt is none, or some of login, consent and select_account.")
		}
	}
	if s := q.Get("max_age"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return refuse("invalid_request", "max_age is a number of seconds.")
		}
		m.MaxAge = &n
	}
	if s := q.Get("authorization_details"); s != "" {
		if err := details(a.Client, s); err != nil {
			return err
		}
		m.Details = json.RawMessage(s)
	}
	if s := q.Get("id_token_hint"); s != "" {
		if m.User, err = p.hinted(ctx, a.Client, s); err != nil {
			return err
		}
	}
	if s := q.Get("claims"); s != "" {
		return m.wish(a.Client, s)
	}
	return nil
}

// types checks how the answer comes and that it is protected: a code with PKCE
// (RFC 9700 2.1.1), or what is left open to cidaas clients.
func (m *Params) types(c apps.Client, q url.Values) error {
	words := strings.Fields(m.Type)
	slices.Sort(words)
	m.Type = strings.Join(words, " ")
	implicit := m.Vendor && c.Settings.Implicit && slices.Contains([]string{"token", "id_token", "id_token token"}, m.Type)
	if m.Type != "code" && !implicit {
		return refuse("unsupported_response_type", "response_type is code.")
	}
	if !c.MayGrant(apps.GrantCode) {
		return refuse("unauthorized_client", "This client may not sign users in.")
	}
	switch m.Mode {
	case "":
		m.Mode = "query"
		if implicit {
			m.Mode = "fragment"
		}
	case "query", "fragment", "form_post":
	default:
		m.Mode = ""
		return refuse("invalid_request", "response_mode is query, fragment or form_post.")
	}
	if implicit && m.Mode == "query" {
		return refuse("invalid_request", "A token never comes in a query.")
	}
	m.Challenge = q.Get("code_challenge")
	method := q.Get("code_challenge_method")
	switch {
	case m.Challenge == "" && method == "" && m.Vendor:
	case len(m.Challenge) < 43 || len(m.Challenge) > 128 || method != "S256":
		return refuse("invalid_request", "A code_challenge of the method S256 is needed.")
	}
	return nil
}

// scopes returns what is asked for of what the client may ask for; what nobody
// knows is left out, as RFC 6749 3.3 allows, and told in the answer.
func scopes(c apps.Client, s string) ([]string, error) {
	var out []string
	for _, word := range strings.Fields(s) {
		if len(word) > 100 || len(out) >= 50 {
			return nil, refuse("invalid_scope", "That is too much.")
		}
		if c.MayScope(word) && !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return out, nil
}

func resources(c apps.Client, list []string) error {
	for _, r := range list {
		if !slices.Contains(c.Settings.Resources, r) {
			return refuse("invalid_target", "This client may ask no tokens for that resource.")
		}
	}
	return nil
}

// details checks authorization_details (RFC 9396 2): a list of objects, each of
// a type that the client may ask for.
func details(c apps.Client, s string) error {
	var list []map[string]any
	if len(s) > 4<<10 || json.Unmarshal([]byte(s), &list) != nil || len(list) == 0 || len(list) > 10 {
		return refuse("invalid_authorization_details", "authorization_details is a list of one to ten objects, of at most 4 KiB.")
	}
	for _, d := range list {
		if kind, _ := d["type"].(string); !slices.Contains(c.Settings.DetailTypes, kind) {
			return refuse("invalid_authorization_details", "This client may not ask for that type.")
		}
	}
	return nil
}

// Details are what stands in authorization_details, as rows for a page.
func (a Ask) Details() [][2]string {
	var list []map[string]any
	if len(a.Params.Details) == 0 || json.Unmarshal(a.Params.Details, &list) != nil {
		return nil
	}
	var out [][2]string
	for _, object := range list {
		flat := map[string]any{}
		flatten(flat, "", object)
		for _, name := range slices.Sorted(maps.Keys(flat)) {
			value, ok := flat[name].(string)
			if !ok {
				value = db.Text(flat[name])
			}
			out = append(out, [2]string{strings.ReplaceAll(name, "_", " "), value})
		}
	}
	return out
}

// hinted is whom an identity token of ours was about, run out or not.
func (p *Provider) hinted(ctx context.Context, c apps.Client, jwt string) (string, error) {
	claims, err := p.Keys.Verify(ctx, jwt, token.Want{Issuer: p.Kit.URL, Typ: "JWT", Audience: string(c.ID), Late: true})
	if err != nil {
		return "", refused(err, refuse("invalid_request", "id_token_hint is not an identity token of ours for this client."))
	}
	return text(claims, "sub"), nil
}

// signed reads a request object (RFC 9101 6): signed by the client, from it, for
// us. What stands outside it does not count.
func (p *Provider) signed(ctx context.Context, c apps.Client, jws string) (url.Values, error) {
	bad := refuse("invalid_request_object", "The request object is not signed by this client, or not for this server.")
	claims, err := p.byClient(ctx, c, jws, c.Settings.RequestAlg)
	if err != nil {
		return nil, refused(err, bad)
	}
	exp, ok := seconds(claims, "exp")
	if ok && !p.Kit.DB.Now().Before(exp) || !ok && c.Settings.SignedRequest || text(claims, "client_id") != string(c.ID) || text(claims, "iss") != string(c.ID) || !p.forUs(claims["aud"]) ||
		text(claims, "request") != "" || text(claims, "request_uri") != "" {
		return nil, bad
	}
	return parameters(claims), nil
}

// parameters are claims as a form would carry them.
func parameters(claims map[string]any) url.Values {
	q := url.Values{}
	for name, v := range claims {
		switch v := v.(type) {
		case string:
			q.Set(name, v)
		case float64:
			q.Set(name, strconv.FormatFloat(v, 'f', -1, 64))
		case []any, map[string]any:
			q.Set(name, db.Text(v))
		}
	}
	return q
}

// clip cuts what is only kept and shown.
func clip(s string) string {
	if len(s) > 512 {
		return s[:512]
	}
	return s
}

// Need is why an authorization cannot be answered at once.
type Need int

const (
	Nothing Need = iota
	Login        // nobody is signed in who would do
	StepUp       // who is signed in has to prove more (RFC 9470)
	Consent
)

// Needs says what has to happen before the request can be granted on a session;
// held is nil if the browser has none. An outage is an error.
func (p *Provider) Needs(ctx context.Context, q db.Q, a Ask, held *Held) (Need, error) {
	if held == nil || slices.Contains(a.Params.Prompt, "login") || slices.Contains(a.Params.Prompt, "select_account") || slices.Contains(a.Params.Prompt, "create") {
		return Login, nil
	}
	m := a.Params
	s := held.Session
	if !m.admits(s.User) || m.MaxAge != nil && q.Now().Sub(held.At) > seconds64(*m.MaxAge) {
		return Login, nil
	}
	if err := directory.MaySignIn(ctx, q, s.Tenant, s.User); err != nil {
		return Login, ignorable(err)
	}
	if err := directory.ActsFor(ctx, q, a.App.ID, m.Org, s.User); err != nil {
		return Login, ignorable(err) // somebody else may be a member
	}
	if m.LoginHint != "" {
		u, err := directory.Lookup(ctx, q, s.Tenant, m.LoginHint)
		if err != nil || u.ID != s.User {
			return Login, ignorable(err)
		}
	}
	if !authn.Reaches(authn.ACR(s.Proofs), m.ACR) {
		return StepUp, nil
	}
	return p.consent(ctx, q, a, s.User)
}

// ignorable is nil for a refusal, which leads to a login, and err for an outage.
func ignorable(err error) error {
	if f := fault.Of(err); f.Code == fault.Internal || f.Code == fault.Unavailable {
		return err
	}
	return nil
}

// consent says whether a user must still agree: that a third party learns what it
// asks for, to what stands in authorization_details, or because the client wants
// the user to be asked.
func (p *Provider) consent(ctx context.Context, q db.Q, a Ask, user directory.UserID) (Need, error) {
	if slices.Contains(a.Params.Prompt, "consent") || len(a.Params.Details) > 0 {
		return Consent, nil
	}
	if !a.Client.Settings.ThirdParty {
		return Nothing, nil
	}
	var given string
	err := q.QueryRow(ctx, `SELECT scopes FROM consents WHERE user_id = $1 AND client_id = $2`, user, a.Client.ID).Scan(&given)
	if err != nil {
		if fault.Is(db.None(err, "consent"), fault.NotFound) {
			return Consent, nil
		}
		return Consent, err
	}
	for _, s := range a.Wanted() {
		if !slices.Contains(strings.Fields(given), s) {
			return Consent, nil
		}
	}
	return Nothing, nil
}
