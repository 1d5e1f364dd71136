package adminapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Session is who is signed in, and what of.
type Session struct {
	Administrator *Me      `json:"administrator" doc:"null: nobody is signed in."`
	NeedsPasskey  bool     `json:"needs_passkey" doc:"Nothing may be done but add a passkey, and then confirm with it."`
	FreshUntil    Stamp    `json:"fresh_until"`
	ExpiresAt     Stamp    `json:"expires_at"`
	Tenant        *Tenant  `json:"tenant"`
	Tenants       []Tenant `json:"tenants"`
	Dev           bool     `json:"dev"`
	Version       string   `json:"version"`
	Base          string   `json:"base"`
	FirstRun      bool     `json:"first_run" doc:"Nobody administrates this server yet."`
	May           []string `json:"may" doc:"The routes that the role may call, as \"PUT /settings\": what else is offered would be refused."`
}

// Me is the administrator who asks.
type Me struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
	Role  string `json:"role"`
}

// Tenant is one that can be managed.
type Tenant struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// cookieName is that of the session: bound to this very host where there is TLS.
func (d Door) cookieName() string {
	if strings.HasPrefix(d.Kit.URL, "https://") {
		return "__Host-ww-admin"
	}
	return "ww-admin"
}

// hand gives the browser a session, or takes it away if bearer is empty.
func (c *Call) hand(bearer string) {
	k := &http.Cookie{Name: c.cookieName(), Value: bearer, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: strings.HasPrefix(c.Kit.URL, "https://"), MaxAge: int(administrator.Life / time.Second)}
	if bearer == "" {
		k.MaxAge = -1
	}
	http.SetCookie(c.w, k)
}

// needsPasskey reports whether the session rests on a one-time link alone, which
// is enough in development only.
func (c *Call) needsPasskey() bool { return c.Who.ByLink() && !c.Kit.Dev }

// freshUntil is until when dangerous acts are covered.
func (c *Call) freshUntil() time.Time {
	if c.Kit.Dev && c.Who.ByLink() {
		return c.Who.Ends
	}
	return c.Who.FreshUntil(c.Kit.DB.Now())
}

func getSession(ctx context.Context, c *Call, _ *empty) (*body[Session], error) {
	out := Session{Tenants: []Tenant{}, May: []string{}, Dev: c.Kit.Dev, Version: c.Version, Base: c.Kit.URL}
	some, err := administrator.Any(ctx, c.Kit.DB)
	if err != nil {
		return nil, err
	}
	out.FirstRun = !some
	if c.Who.User == "" {
		return answer(out), nil
	}
	a := c.Who.Who
	out.Administrator = &Me{string(a.ID), a.Name, a.Email, string(a.Role)}
	out.May = mayCall(a.Role)
	out.NeedsPasskey, out.FreshUntil, out.ExpiresAt = c.needsPasskey(), Stamp(c.freshUntil()), Stamp(c.Who.Ends)
	list, err := apps.Tenants(ctx, c.Kit.DB)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		out.Tenants = append(out.Tenants, Tenant{string(t.ID), t.Name})
		if t.ID == c.Who.Manages {
			out.Tenant = &Tenant{string(t.ID), t.Name}
		}
	}
	return answer(out), nil
}

type invitationIn struct {
	Body struct {
		Secret string `json:"secret" minLength:"1" maxLength:"100"`
		Name   string `json:"name,omitempty" maxLength:"100"`
		Email  string `json:"email,omitempty" maxLength:"320"`
	}
}

func redeemInvitation(ctx context.Context, c *Call, in *invitationIn) (*body[Session], error) {
	return c.signIn(ctx, func(tx *db.Tx) (authn.Proof, error) {
		p, err := administrator.Redeem(ctx, tx, in.Body.Secret, in.Body.Name, in.Body.Email)
		if err == nil && c.Kit.Dev {
			err = administrator.Confirm(ctx, tx, p.User())
		}
		return p, err
	})
}

// signIn opens a session on a proof, in place of the one that the browser held.
func (c *Call) signIn(ctx context.Context, prove func(tx *db.Tx) (authn.Proof, error)) (*body[Session], error) {
	before := c.Who
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		p, err := prove(tx)
		if err != nil {
			return "", err
		}
		if before.User != "" {
			if err := administrator.End(ctx, tx, before); err != nil && !fault.Is(err, fault.NotFound) {
				return "", err
			}
		}
		c.Who, err = administrator.Open(ctx, tx, p)
		return string(c.Who.User), err
	})
	if err != nil {
		return nil, err
	}
	c.hand(c.Who.Bearer)
	return getSession(ctx, c, nil)
}

func signOut(ctx context.Context, c *Call, _ *empty) (*empty, error) {
	if c.Who.User != "" {
		err := c.write(ctx, func(tx *db.Tx) (string, error) {
			return string(c.Who.User), administrator.End(ctx, tx, c.Who)
		})
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	c.hand("")
	return nil, nil
}

type tenantIn struct {
	Body struct {
		ID string `json:"id"`
	}
}

func manageTenant(ctx context.Context, c *Call, in *tenantIn) (*body[Session], error) {
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		return in.Body.ID, administrator.Manage(ctx, tx, c.Who, apps.TenantID(in.Body.ID))
	})
	if err != nil {
		return nil, err
	}
	c.Who.Manages = apps.TenantID(in.Body.ID)
	return getSession(ctx, c, nil)
}
