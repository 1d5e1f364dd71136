package adminapi

import (
	"context"
	"crypto/rand"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// App is an application of the tenant.
type App struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Audience  string `json:"audience" enum:"b2c,b2b"`
	Clients   int    `json:"clients"`
	CreatedAt Stamp  `json:"created_at"`
}

func appOf(a apps.Described) App {
	return App{string(a.ID), a.Name, string(a.Audience), a.Clients, Stamp(a.CreatedAt)}
}

func listApps(ctx context.Context, c *Call, _ *empty) (*list[App], error) {
	all, err := apps.DescribeAll(ctx, c.Kit.DB, c.tenant())
	if err != nil {
		return nil, err
	}
	var out []App
	for _, a := range all {
		out = append(out, appOf(a))
	}
	return items(out), nil
}

type InApp struct {
	App string `path:"app" maxLength:"100"`
}

func (c *Call) describe(ctx context.Context, q db.Q, id string) (App, error) {
	a, err := apps.Describe(ctx, q, c.tenant(), apps.ID(id))
	return appOf(a), err
}

func getApp(ctx context.Context, c *Call, in *InApp) (*tagged[App], error) {
	a, err := c.describe(ctx, c.Kit.DB, in.App)
	return tag(a), err
}

type newApp struct {
	Body struct {
		ID       string `json:"id,omitempty" pattern:"^[a-z0-9][a-z0-9._-]{0,63}$" patternDescription:"This has 1 to 64 small letters, digits, dots, dashes and underscores."`
		Name     string `json:"name" minLength:"1" maxLength:"100"`
		Audience string `json:"audience" enum:"b2c,b2b"`
	}
}

func createApp(ctx context.Context, c *Call, in *newApp) (*tagged[App], error) {
	var a App
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		id, err := fresherID(in.Body.ID, in.Body.Name, func(id string) error {
			_, err := apps.Find(ctx, tx, apps.ID(id))
			return err
		})
		if err != nil {
			return "", err
		}
		if err := apps.Save(ctx, tx, apps.App{ID: apps.ID(id), Tenant: c.tenant(), Name: in.Body.Name, Audience: apps.Audience(in.Body.Audience)}); err != nil {
			return "", err
		}
		a, err = c.describe(ctx, tx, id)
		return id, err
	})
	return tag(a), err
}

// fresherID is the id that was asked for, or one made of a name, that find does
// not find. fault.Conflict if the one asked for is taken.
func fresherID(asked, name string, find func(id string) error) (string, error) {
	id := asked
	if id == "" {
		id = slug(name)
	}
	switch err := find(id); {
	case fault.Is(err, fault.NotFound):
		return id, nil
	case err != nil:
		return "", err
	case asked != "":
		return "", fault.At(fault.New(fault.Conflict, "This id is taken."), "id")
	}
	return id + "-" + strings.ToLower(rand.Text()[:6]), nil
}

// slug is what of a name can stand in an id.
func slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(norm.NFKD.String(name)) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r):
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := strings.Trim(b.String()[:min(b.Len(), 40)], "-")
	if s == "" {
		return strings.ToLower(rand.Text()[:10])
	}
	return s
}

type appPatch struct {
	InApp
	IfMatch
	Body struct {
		Name     *string `json:"name,omitempty" minLength:"1" maxLength:"100"`
		Audience *string `json:"audience,omitempty" enum:"b2c,b2b"`
	}
}

func changeApp(ctx context.Context, c *Call, in *appPatch) (*tagged[App], error) {
	var a App
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		now, err := c.describe(ctx, tx, in.App)
		if err != nil {
			return "", err
		}
		if err := in.unchanged(now); err != nil {
			return "", err
		}
		if in.Body.Name != nil {
			now.Name = *in.Body.Name
		}
		if in.Body.Audience != nil {
			now.Audience = *in.Body.Audience
		}
		if err := apps.Save(ctx, tx, apps.App{ID: apps.ID(in.App), Tenant: c.tenant(), Name: now.Name, Audience: apps.Audience(now.Audience)}); err != nil {
			return "", err
		}
		a, err = c.describe(ctx, tx, in.App)
		return in.App, err
	})
	return tag(a), err
}

type appGone struct {
	InApp
	IfMatch
}

func deleteApp(ctx context.Context, c *Call, in *appGone) (*empty, error) {
	return nil, c.write(ctx, func(tx *db.Tx) (string, error) {
		now, err := c.describe(ctx, tx, in.App)
		if err != nil {
			return "", err
		}
		if err := in.unchanged(now); err != nil {
			return "", err
		}
		for _, forget := range []func(context.Context, *db.Tx, apps.ID) error{authn.ForgetApp, directory.ForgetApp, apps.Delete} {
			if err := forget(ctx, tx, apps.ID(in.App)); err != nil {
				return "", err
			}
		}
		return in.App, nil
	})
}
