package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/session"
)

// grant is what a user granted to a client: one family of tokens. Its tokens
// carry its id and a keyed hash, so that they are found and judged by one row and
// nothing that is stored could be used as one.
type grant struct {
	ID         string
	Tenant     apps.TenantID
	App        apps.ID
	Client     apps.ClientID
	User       directory.UserID
	Session    string
	State      string // code, active, revoked
	Generation int64  // of the refresh token that is good
	Rotated    time.Time
	Created    time.Time
	Expires    time.Time
	terms

	pushed string // the auth_req_id whose tokens are brought to the client
}

// terms are what was granted, sealed in the row.
type terms struct {
	Scope       []string        `json:"scope,omitempty"`
	RedirectURI string          `json:"redirect_uri,omitempty"`
	Challenge   string          `json:"code_challenge,omitempty"`
	Nonce       string          `json:"nonce,omitempty"`
	Resource    []string        `json:"resource,omitempty"`
	Details     json.RawMessage `json:"authorization_details,omitempty"`
	JKT         string          `json:"jkt,omitempty"`
	X5T         string          `json:"x5t,omitempty"`
	AMR         []string        `json:"amr,omitempty"`
	ACR         string          `json:"acr,omitempty"`
	AuthTime    int64           `json:"auth_time,omitempty"`
	Offline     bool            `json:"offline,omitempty"` // outlives its session
	Claims      map[string]any  `json:"claims,omitempty"`  // of the journey
	Receipt     string          `json:"receipt,omitempty"` // of what was approved
	Wish        Wish            `json:"wish,omitzero"`     // claims that were asked for by name
	Vendor      bool            `json:"vendor,omitempty"`  // asked for through the cidaas door
	Org         directory.OrgID `json:"org_id,omitempty"`  // that the user acts for
}

const (
	codeState   = "code"
	activeState = "active" // until it is 'revoked'
)

func grantPlace(id string) string { return "grants/" + id }

// newGrant is what a session grants to a client by a request.
func newGrant(s session.Session, c apps.Client, m Params) grant {
	return grant{
		ID: rand.Text(), Tenant: s.Tenant, App: s.App, Client: c.ID, User: s.User, Session: s.ID,
		terms: terms{Scope: m.Scope, RedirectURI: m.RedirectURI, Challenge: m.Challenge, Nonce: m.Nonce, Resource: m.Resource, Details: m.Details, JKT: m.JKT,
			AMR: authn.AMR(s.Proofs), ACR: authn.ACR(s.Proofs), AuthTime: session.AuthTime(s.Proofs).Unix(), Offline: slices.Contains(m.Scope, "offline_access"), Vendor: m.Vendor, Claims: m.Claims, Org: m.Org, Wish: m.Wish},
	}
}

// outsider is the answer to who asks for an organisation that the user is no
// member of, or that is not there.
var outsider = refuse("access_denied", "The user is no member of the organisation that was asked for.")

// put stores a new grant, for as long.
func (g *grant) put(ctx context.Context, tx *db.Tx, state string, life time.Duration) error {
	if err := directory.ActsFor(ctx, tx, g.App, g.Org, g.User); err != nil {
		return refused(err, outsider)
	}
	g.State, g.Created, g.Expires = state, tx.Now(), tx.Now().Add(life)
	_, err := tx.Exec(ctx, `INSERT INTO grants (id, tenant_id, app_id, client_id, user_id, session_id, state, generation, body, rotated_at, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0, $9, $10)`,
		g.ID, g.Tenant, g.App, g.Client, g.User, g.Session, g.State, tx.Vault().Seal(grantPlace(g.ID), []byte(db.Text(g.terms))), g.Created, g.Expires)
	return err
}

// findGrant reads a grant; errGrant if there is none.
func findGrant(ctx context.Context, q db.Q, id string) (grant, error) {
	g := grant{ID: id}
	var sealed []byte
	err := q.QueryRow(ctx, `SELECT tenant_id, app_id, client_id, user_id, session_id, state, generation, body, rotated_at, created_at, expires_at FROM grants WHERE id = $1`, id).
		Scan(&g.Tenant, &g.App, &g.Client, &g.User, &g.Session, &g.State, &g.Generation, &sealed, db.Time(&g.Rotated), db.Time(&g.Created), db.Time(&g.Expires))
	if err != nil {
		return g, refused(db.None(err, "grant"), errGrant)
	}
	b, err := q.Vault().Open(grantPlace(id), sealed)
	if err != nil {
		return g, err
	}
	return g, json.Unmarshal(b, &g.terms)
}

// alive returns errGrant if nothing may follow from the grant any more: it was
// revoked or has run out, its user may not sign in or has left the organisation it
// is for, or its session has ended and it was not made to outlive it (security R49,
// R50).
func (g grant) alive(ctx context.Context, q db.Q) error {
	if g.State != activeState || !q.Now().Before(g.Expires) {
		return errGrant
	}
	if err := directory.MaySignIn(ctx, q, g.Tenant, g.User); err != nil {
		return refused(err, errGrant)
	}
	if err := directory.ActsFor(ctx, q, g.App, g.Org, g.User); err != nil {
		return refused(err, errGrant)
	}
	if g.Offline {
		return nil
	}
	_, err := g.session(ctx, q)
	return err
}

// session is the one that the grant was made in; errGrant if it has ended.
func (g grant) session(ctx context.Context, q db.Q) (session.Session, error) {
	s, err := session.Named(ctx, q, apps.App{ID: g.App, Tenant: g.Tenant}, g.Session)
	if err != nil {
		return s, refused(err, errGrant)
	}
	return s, nil
}

// revoke ends a grant and everything that came of it.
func (g grant) revoke(ctx context.Context, tx *db.Tx, why string) error {
	n, err := tx.Exec(ctx, `UPDATE grants SET state = 'revoked' WHERE id = $1 AND state <> 'revoked'`, g.ID)
	if err != nil || n == 0 {
		return err
	}
	return g.record(ctx, tx, "grant.revoked", why)
}

func (g grant) record(ctx context.Context, tx *db.Tx, what, reason string) error {
	outcome := "success"
	if reason == "reuse" || reason == "another client" {
		outcome = "failure"
	}
	return audit.Record(ctx, tx, audit.Event{Tenant: string(g.Tenant), App: string(g.App), Client: string(g.Client), Type: what, Outcome: outcome, Reason: reason,
		Actor: string(g.User), Target: string(g.User), Data: map[string]any{"grant": g.ID}})
}

// A code or a refresh token is a mark, the id of its grant, a generation, and a
// keyed hash of these.
const (
	codeMark    = "wwc"
	refreshMark = "wwt"
)

func artefact(q db.Q, mark, id string, generation int64) string {
	head := mark + "_" + id + "." + strconv.FormatInt(generation, 36)
	return head + "." + q.Vault().Hash("artefact", head)[:48]
}

// dissect is the inverse; false for anything that is not, letter by letter, what
// artefact made (security R15).
func dissect(q db.Q, mark, s string) (id string, generation int64, ok bool) {
	if len(s) > 200 {
		return "", 0, false
	}
	head, ok := strings.CutPrefix(s, mark+"_")
	parts := strings.Split(head, ".")
	if !ok || len(parts) != 3 {
		return "", 0, false
	}
	generation, err := strconv.ParseInt(parts[1], 36, 64)
	if err != nil || subtle.ConstantTimeCompare([]byte(artefact(q, mark, parts[0], generation)), []byte(s)) != 1 {
		return "", 0, false
	}
	return parts[0], generation, true
}

// Redemption is a code that a client brings.
type Redemption struct {
	Code, RedirectURI, Verifier string
	Client                      apps.Client
	Resource                    []string
	Key                         Key // what the tokens shall be bound to
}

// Redeem makes tokens of a code, once. A code that was used, or that another
// client brings, takes the whole grant with it (RFC 6749 4.1.2, security R10).
func (p *Provider) Redeem(ctx context.Context, r Redemption) (Tokens, error) {
	if err := r.Key.binds(r.Client); err != nil {
		return Tokens{}, err // before the code is spent: the client may come again
	}
	id, _, ok := dissect(p.Kit.DB, codeMark, r.Code)
	if !ok {
		return Tokens{}, errGrant
	}
	var g grant
	var bad error
	err := p.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		bad = nil
		if g, err = findGrant(ctx, tx, id); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `UPDATE grants SET state = 'active', expires_at = $1, body = $2 WHERE id = $3 AND state = 'code' AND expires_at > $4`,
			g.Created.Add(RefreshLife), tx.Vault().Seal(grantPlace(id), []byte(db.Text(g.bound(r)))), id, tx.Now())
		switch {
		case err != nil:
			return err
		case n == 0 && g.State == codeState:
			return errGrant // it ran out
		case n == 0:
			bad = errGrant
			return g.revoke(ctx, tx, "reuse")
		case g.Client != r.Client.ID:
			bad = errGrant
			return g.revoke(ctx, tx, "another client")
		}
		if bad = g.fits(r); bad != nil {
			return g.revoke(ctx, tx, "code refused")
		}
		g.State, g.Expires, g.terms = activeState, g.Created.Add(RefreshLife), g.bound(r)
		if err := g.alive(ctx, tx); err != nil {
			return err
		}
		return g.record(ctx, tx, "token.issued", "authorization_code")
	})
	if err = errors.Join(err, bad); err != nil {
		return Tokens{}, err
	}
	return p.issue(ctx, g, r.Client, r.Resource, g.Offline || g.Vendor)
}

// bound are the terms, with what the tokens are bound to.
func (g grant) bound(r Redemption) terms {
	t := g.terms
	t.JKT, t.X5T = r.Key.JKT, r.Key.X5T
	return t
}

// fits checks what a code was bound to (RFC 7636 4.6, RFC 9449 10). Without a
// challenge a verifier means nothing to cidaas clients, and is refused from any
// other (RFC 9700 2.1.1; R62).
func (g grant) fits(r Redemption) error {
	if g.RedirectURI != r.RedirectURI && (r.RedirectURI != "" || !g.Vendor) {
		return errGrant
	}
	switch {
	case g.Challenge != "":
		h := sha256.Sum256([]byte(r.Verifier))
		if len(r.Verifier) < 43 || len(r.Verifier) > 128 || subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(h[:])), []byte(g.Challenge)) != 1 {
			return errGrant
		}
	case !g.Vendor:
		return errGrant
	}
	if g.JKT != "" && g.JKT != r.Key.JKT {
		return refuse("invalid_dpop_proof", "The code is bound to another key.")
	}
	return resources(r.Client, r.Resource)
}

// Refreshing is a refresh token that a client brings.
type Refreshing struct {
	Token, Scope string
	Client       apps.Client
	Resource     []string
	Key          Key
}

// Refresh makes new tokens of a refresh token, which it replaces. The token that
// was replaced last answers the same once more within Grace, for an answer that
// got lost; later, or one older still, ends the family (RFC 9700 4.14). They are
// for what the client may still ask for: what was taken from it is gone (R50). A
// client of FAPI 2.0 keeps its token, of no use without its key (5.3.2.1).
func (p *Provider) Refresh(ctx context.Context, r Refreshing) (Tokens, error) {
	id, generation, ok := dissect(p.Kit.DB, refreshMark, r.Token)
	if !ok {
		return Tokens{}, errGrant
	}
	if err := resources(r.Client, r.Resource); err != nil {
		return Tokens{}, err
	}
	step := int64(1)
	if r.Client.FAPI() {
		step = 0
	}
	var g grant
	var bad error
	err := p.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		bad = nil
		if g, err = findGrant(ctx, tx, id); err != nil {
			return err
		}
		if g.Client != r.Client.ID || g.JKT != "" && g.JKT != r.Key.JKT || g.X5T != "" && g.X5T != r.Key.X5T {
			return errGrant
		}
		if err := r.Key.binds(r.Client); err != nil {
			return err
		}
		if err := g.alive(ctx, tx); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `UPDATE grants SET generation = generation + $1, rotated_at = $2 WHERE id = $3 AND generation = $4 AND state = 'active'`, step, tx.Now(), id, generation)
		switch {
		case err != nil:
			return err
		case n == 1:
			g.Generation += step
			if tx.Now().Sub(g.Rotated) < time.Minute {
				return nil
			}
			return session.Touch(ctx, tx, session.Session{ID: g.Session})
		case generation == g.Generation-1 && tx.Now().Sub(g.Rotated) < Grace:
			return nil // the same again
		}
		bad = errGrant
		return g.revoke(ctx, tx, "reuse")
	})
	if err = errors.Join(err, bad); err != nil {
		return Tokens{}, err
	}
	g.Scope = slices.DeleteFunc(g.Scope, func(s string) bool { return !r.Client.MayScope(s) })
	if r.Scope != "" {
		if g.Scope, err = narrowed(g.Scope, r.Scope); err != nil {
			return Tokens{}, err
		}
	}
	if err := resources(r.Client, g.Resource); err != nil {
		return Tokens{}, err
	}
	g.Nonce = ""
	return p.issue(ctx, g, r.Client, r.Resource, true)
}

// narrowed are the scopes that are asked for of those granted; more is refused.
func narrowed(have []string, want string) ([]string, error) {
	list := strings.Fields(want)
	for _, s := range list {
		if !slices.Contains(have, s) {
			return nil, refuse("invalid_scope", "More is asked for than was granted.")
		}
	}
	return list, nil
}

func init() {
	session.OnEndAll(revokeAll)
	session.OnEnd(farewells)
}

// revokeAll ends every grant of a user in an application, or in the tenant if app
// is empty, but those of the session that stays: also those that outlive sessions.
func revokeAll(ctx context.Context, tx *db.Tx, tenant apps.TenantID, app apps.ID, user directory.UserID, keep string) error {
	_, err := tx.Exec(ctx, `UPDATE grants SET state = 'revoked' WHERE user_id = $1 AND tenant_id = $2 AND (app_id = $3 OR $3 = '') AND session_id <> $4`, user, tenant, app, keep)
	if err != nil {
		return err
	}
	return takeBack(ctx, tx, app, user, keep)
}

// takeBack denies the requests that a user granted and nobody has finished yet:
// they would open a session after all of them were ended. There are few at a time.
func takeBack(ctx context.Context, tx *db.Tx, app apps.ID, user directory.UserID, keep string) error {
	ids, err := texts(tx.Query(ctx, `SELECT id FROM requests WHERE state = 'granted'`))
	if err != nil {
		return err
	}
	for _, id := range ids {
		r, err := find(ctx, tx, "id", id)
		if Refusal(err) != nil || err == nil && (r.Body.User != user || keep != "" && r.Body.Session == keep) {
			continue
		}
		if err != nil {
			return err
		}
		_, its, err := apps.FindClient(ctx, tx, r.Client)
		if err == nil && app != "" && its.ID != app || fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		r.Body.Reason = "login_required"
		if err := r.move(ctx, tx, denied); err != nil {
			return err
		}
	}
	return nil
}

// texts reads rows of one column.
func texts(rows *sql.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// inSession are the grants of a session that can still be used.
func inSession(ctx context.Context, q db.Q, id string) ([]grant, error) {
	ids, err := texts(q.Query(ctx, `SELECT id FROM grants WHERE session_id = $1 AND state = 'active'`, id))
	if err != nil {
		return nil, err
	}
	var out []grant
	for _, id := range ids {
		g, err := findGrant(ctx, q, id)
		if err != nil {
			return nil, fmt.Errorf("grant %s: %w", id, fault.Of(err))
		}
		out = append(out, g)
	}
	return out, nil
}
