package adminapi

import (
	"context"
	"maps"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/notify"
)

// Provider is a way out: a push service, a mail server, a gateway.
type Provider struct {
	Kind      string         `json:"kind"`
	Name      string         `json:"name"`
	App       string         `json:"app" doc:"Empty: of the whole tenant."`
	Config    map[string]any `json:"config" doc:"A secret that is set shows as {\"set\": true}."`
	ETag      string         `json:"etag"`
	UpdatedAt Stamp          `json:"updated_at"`
}

func providerOf(p notify.Provider) (Provider, error) {
	doc, err := p.Shown()
	out := Provider{Kind: p.Kind, Name: p.Name, App: p.App, Config: doc, UpdatedAt: Stamp(p.Updated)}
	out.ETag = tagOf(out)
	return out, err
}

type providersIn struct {
	App string `query:"app" maxLength:"100" doc:"Those that apply to this application; empty: those of the tenant."`
}

func listProviders(ctx context.Context, c *Call, in *providersIn) (*list[Provider], error) {
	if _, err := c.place(ctx, c.Kit.DB, in.App); err != nil {
		return nil, err
	}
	var out []Provider
	for _, kind := range notify.Kinds() {
		all, err := notify.Providers(ctx, c.Kit.DB, string(c.tenant()), in.App, kind.Kind)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			one, err := providerOf(p)
			if err != nil {
				return nil, err
			}
			out = append(out, one)
		}
	}
	return items(out), nil
}

// InProvider names a provider.
type InProvider struct {
	Kind string `path:"kind" maxLength:"64"`
	Name string `path:"name" maxLength:"64"`
	App  string `query:"app" maxLength:"100"`
}

func (c *Call) provider(ctx context.Context, q db.Q, in InProvider) (notify.Provider, error) {
	if _, err := c.place(ctx, q, in.App); err != nil {
		return notify.Provider{}, err
	}
	return notify.FindProvider(ctx, q, string(c.tenant()), in.App, in.Kind, in.Name)
}

// unchangedProvider judges If-Match; what is new has no state to match.
func (c *Call) unchangedProvider(ctx context.Context, tx *db.Tx, in InProvider, m IfMatch, mayBeNew bool) error {
	now, err := c.provider(ctx, tx, in)
	if fault.Is(err, fault.NotFound) && mayBeNew {
		if m.IfMatch != "" {
			return preconditionFailed
		}
		_, err = c.place(ctx, tx, in.App)
		return err
	}
	if err != nil {
		return err
	}
	shown, err := providerOf(now)
	if err != nil || m.IfMatch == shown.ETag {
		return err
	}
	return m.unchanged(shown)
}

type providerPut struct {
	InProvider
	IfMatch
	Body struct {
		Config map[string]any `json:"config" doc:"A secret that is left out keeps what is stored."`
	}
}

func putProvider(ctx context.Context, c *Call, in *providerPut) (*tagged[Provider], error) {
	kind, known := notify.KindOf(in.Kind)
	if !known {
		return nil, fault.New(fault.NotFound, "There is no such kind of provider.")
	}
	if kind.Tenant && in.App != "" {
		return nil, fault.New(fault.Invalid, "Providers of this kind belong to the whole tenant.")
	}
	if err := notify.CheckName(in.App, in.Kind, in.Name); err != nil {
		return nil, refusedAt("path.name", err)
	}
	doc := maps.Clone(in.Body.Config)
	for _, f := range kind.Form {
		if _, shown := doc[f.Name].(map[string]any); shown && f.Type == "secret" {
			delete(doc, f.Name) // as it was read: it stays
		}
	}
	delete(doc, "public_key") // is shown, not set
	var out Provider
	err := c.writeWith(ctx, func(tx *db.Tx) (string, map[string]any, error) {
		if err := c.unchangedProvider(ctx, tx, in.InProvider, in.IfMatch, true); err != nil {
			return "", nil, err
		}
		if err := notify.SaveProvider(ctx, tx, string(c.tenant()), in.App, in.Kind, in.Name, doc); err != nil {
			return "", nil, fault.At(err, "config")
		}
		p, err := c.provider(ctx, tx, in.InProvider)
		if err == nil {
			out, err = providerOf(p)
		}
		return in.Kind + "/" + in.Name, nil, err
	})
	return &tagged[Provider]{out.ETag, out}, err
}

type providerGone struct {
	InProvider
	IfMatch
}

func deleteProvider(ctx context.Context, c *Call, in *providerGone) (*empty, error) {
	return nil, c.write(ctx, func(tx *db.Tx) (string, error) {
		if err := c.unchangedProvider(ctx, tx, in.InProvider, in.IfMatch, false); err != nil {
			return "", err
		}
		return in.Kind + "/" + in.Name, notify.DeleteProvider(ctx, tx, string(c.tenant()), in.App, in.Kind, in.Name)
	})
}

// Tested is what somebody answered to a test.
type Tested struct {
	OK     bool   `json:"ok"`
	Answer string `json:"answer"`
	MS     int64  `json:"ms"`
}

type providerTest struct {
	InProvider
	Body map[string]any
}

func testProvider(ctx context.Context, c *Call, in *providerTest) (*body[Tested], error) {
	p, err := c.provider(ctx, c.Kit.DB, in.InProvider)
	if err != nil {
		return nil, err
	}
	kind, _ := notify.KindOf(in.Kind)
	if err := misfits("body.", kind.Test.Problems(in.Body)); err != nil {
		return nil, err
	}
	// A test may cost money and reach people: it is recorded first.
	if err := c.write(ctx, func(*db.Tx) (string, error) { return in.Kind + "/" + in.Name, nil }); err != nil {
		return nil, err
	}
	begun := c.Kit.DB.Now()
	r := c.Notifier.Probe(ctx, p, in.Body)
	return answer(Tested{r.OK, r.Said, c.Kit.DB.Now().Sub(begun).Milliseconds()}), nil
}
