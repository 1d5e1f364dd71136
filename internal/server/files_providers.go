package server

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/notify"
)

// providerFile is a provider in its file. A secret that it does not name stays as
// it is stored.
type providerFile struct {
	Kind   string         `yaml:"kind"`
	Name   string         `yaml:"name"`
	Config map[string]any `yaml:"config"`

	hidden []string // secrets that are set; only of what stands, to be written
}

// MarshalYAML says beside a provider which of its secrets are not in the file.
func (p providerFile) MarshalYAML() (any, error) {
	type plain providerFile
	return remarked(plain(p), p.hidden)
}

// remarked is a value with a remark on the secrets that it does not have.
func remarked(v any, hidden []string) (*yaml.Node, error) {
	var n yaml.Node
	err := n.Encode(v)
	if len(hidden) > 0 {
		n.HeadComment = "Not in this file: " + strings.Join(hidden, ", ") + ". What is stored stays; a new server is told by …_file or …_env."
	}
	return &n, err
}

// currentProviders are those of the tenant, or of an application alone, by kind
// and name.
func currentProviders(ctx context.Context, q db.Q, tenant apps.TenantID, app apps.ID) ([]providerFile, error) {
	var out []providerFile
	for _, kind := range notify.Kinds() {
		all, err := notify.Providers(ctx, q, string(tenant), string(app), kind.Kind)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			if p.App != string(app) { // the tenant's, which apply here as well
				continue
			}
			doc, err := p.Shown()
			if err != nil {
				return nil, err
			}
			out = append(out, openly(kind, p.Name, doc))
		}
	}
	return out, nil
}

// openly is a provider without its secrets, and without what is shown and not set.
func openly(kind notify.Kind, name string, doc map[string]any) providerFile {
	f := providerFile{Kind: kind.Kind, Name: name, Config: map[string]any{}}
	for _, field := range kind.Form {
		v, is := doc[field.Name]
		switch {
		case !is:
		case field.Type == "secret":
			f.hidden = append(f.hidden, field.Name)
		default:
			f.Config[field.Name] = v
		}
	}
	return f
}

// twice returns a name that stands more than once; empty if none does.
func twice(names []string) string {
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return name
		}
	}
	return ""
}

// once refuses a list in which something stands twice: the second would win, and
// never be done.
func once[T any](all []T, name func(T) string) error {
	var names []string
	for _, one := range all {
		names = append(names, name(one))
	}
	if name := twice(names); name != "" {
		return fault.New(fault.Invalid, "%s is there twice.", name)
	}
	return nil
}

// wrong says of which thing and of which member of it err is.
func wrong(thing string, err error) error {
	if place := fault.Of(err).Place; place != "" {
		thing += ": " + place
	}
	return fmt.Errorf("%s: %w", thing, err)
}

func (p providerFile) title() string { return p.Kind + " " + p.Name }

func planProviders(ctx context.Context, q db.Q, tenant, app string, ps []providerFile, dir string) ([]string, error) {
	var out []string
	for _, p := range ps {
		doc, err := resolved(p.Config, dir)
		if err != nil {
			return nil, wrong(p.title(), err)
		}
		differs, err := notify.Differs(ctx, q, tenant, app, p.Kind, p.Name, doc)
		if err != nil {
			return nil, wrong(p.title(), err)
		}
		if !differs {
			continue
		}
		_, err = notify.FindProvider(ctx, q, tenant, app, p.Kind, p.Name)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		out = append(out, strings.TrimSpace(mark(err != nil)+"provider "+p.title()+" "+app))
	}
	return out, nil
}

func applyProviders(ctx context.Context, tx *db.Tx, tenant apps.TenantID, app apps.ID, ps []providerFile, dir string) error {
	if err := once(ps, providerFile.title); err != nil {
		return err
	}
	for _, p := range ps {
		doc, err := resolved(p.Config, dir)
		if err == nil {
			err = notify.SaveProvider(ctx, tx, string(tenant), string(app), p.Kind, p.Name, doc)
		}
		if err != nil {
			return wrong(p.title(), err)
		}
	}
	return nil
}

// resolved replaces x_file and x_env by x.
func resolved(doc map[string]any, dir string) (map[string]any, error) {
	out := map[string]any{}
	for name, v := range doc {
		text, _ := v.(string)
		plain, isFile := strings.CutSuffix(name, "_file")
		fromEnv, isEnv := strings.CutSuffix(name, "_env")
		switch {
		case isFile:
			secret, err := readSecret(dir, text, "")
			if err != nil {
				return nil, err
			}
			out[plain] = secret
		case isEnv:
			secret, err := readSecret(dir, "", text)
			if err != nil {
				return nil, err
			}
			out[fromEnv] = secret
		default:
			out[name] = v
		}
	}
	return out, nil
}
