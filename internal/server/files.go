package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/message"
	"github.com/watchword-auth/watchword/internal/notify"
)

// Files is the configuration of one tenant as a folder of files (DESIGN
// 2.20.21):
//
//	tenant.yaml          id, name, methods for all applications
//	providers.yaml       push channels, mail, text messages and engines of the tenant
//	webhooks.yaml        who is told what happens
//	apps/ID.yaml         an application: clients, methods, branding, organisations, its own providers
//	journeys/ID.yaml     a journey (or ID.json)
//
// A key that is not known is refused. A secret is never in a file of these: a
// key ending in _file names the file that holds it, one ending in _env the
// environment variable.
type Files struct {
	Tenant    tenantFile
	Providers []providerFile
	Webhooks  []webhookFile
	Apps      map[string]appFile
	Journeys  map[string]journey.Graph
}

type tenantFile struct {
	ID   string `yaml:"id"`
	Name string `yaml:"name"`
	// Settings, where they are given, are all of them: what they leave out is as
	// for a new tenant.
	Settings *apps.TenantSettings `yaml:"settings,omitempty"`
	// Methods are settings for all applications, which each may set differently.
	Methods map[string]map[string]any `yaml:"methods,omitempty"`
}

type appFile struct {
	ID            string                    `yaml:"id"`
	Name          string                    `yaml:"name"`
	Audience      string                    `yaml:"audience"`
	Clients       []clientFile              `yaml:"clients"`
	Methods       map[string]map[string]any `yaml:"methods,omitempty"`
	Branding      *brandingFile             `yaml:"branding,omitempty"`
	Organisations []organisationFile        `yaml:"organisations,omitempty"`
	Providers     []providerFile            `yaml:"providers,omitempty"`
}

type clientFile struct {
	ID         string              `yaml:"id"`
	Name       string              `yaml:"name"`
	Kind       string              `yaml:"kind"`
	Settings   apps.ClientSettings `yaml:",inline"`
	SecretFile string              `yaml:"secret_file,omitempty"`
	SecretEnv  string              `yaml:"secret_env,omitempty"`
}

// ReadFiles reads a folder. Errors name the file and what is wrong in it.
func ReadFiles(dir string) (Files, error) {
	f := Files{Apps: map[string]appFile{}, Journeys: map[string]journey.Graph{}}
	if err := readYAML(filepath.Join(dir, "tenant.yaml"), &f.Tenant); err != nil {
		return f, err
	}
	if err := readYAML(filepath.Join(dir, "providers.yaml"), &f.Providers); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := readYAML(filepath.Join(dir, "webhooks.yaml"), &f.Webhooks); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	err := eachFile(filepath.Join(dir, "apps"), func(path, id string) error {
		var a appFile
		if err := readYAML(path, &a); err != nil {
			return err
		}
		if a.ID == "" {
			a.ID = id
		}
		f.Apps[a.ID] = a
		return nil
	})
	if err != nil {
		return f, err
	}
	return f, eachFile(filepath.Join(dir, "journeys"), func(path, id string) error {
		g, err := readJourney(path)
		if err != nil {
			return err
		}
		if g.ID == "" {
			g.ID = id
		}
		f.Journeys[g.ID] = g
		return nil
	})
}

func eachFile(dir string, fn func(path, id string) error) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if e.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, ext) {
			continue
		}
		if err := fn(filepath.Join(dir, e.Name()), strings.TrimSuffix(e.Name(), ext)); err != nil {
			return err
		}
	}
	return nil
}

func readYAML(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := decodeYAML(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// decodeYAML reads one document, in which nothing is unknown.
func decodeYAML(b []byte, v any) error {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(v); errors.Is(err, io.EOF) {
		return errors.New("it is empty")
	} else if err != nil {
		return err
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the document")
	}
	return nil
}

func readJourney(path string) (journey.Graph, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return journey.Graph{}, err
	}
	g, err := parseJourney(b)
	if err != nil {
		return g, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

// parseJourney reads a journey from YAML or JSON; JSON is YAML.
func parseJourney(b []byte) (journey.Graph, error) {
	var g journey.Graph
	var doc any
	if err := decodeYAML(b, &doc); err != nil {
		return g, err
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return g, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return g, dec.Decode(&g)
}

// Current returns the configuration of a tenant as it stands, without secrets.
func Current(ctx context.Context, q db.Q, tenant apps.TenantID) (Files, error) {
	f := Files{Tenant: tenantFile{ID: string(tenant)}, Apps: map[string]appFile{}, Journeys: map[string]journey.Graph{}}
	t, err := apps.FindTenant(ctx, q, tenant)
	if fault.Is(err, fault.NotFound) {
		return f, nil
	} else if err != nil {
		return f, err
	}
	f.Tenant.Name = t.Name
	if f.Tenant.Settings, err = currentSettings(ctx, q, t); err != nil {
		return f, err
	}
	if f.Tenant.Methods, err = ownMethods(ctx, q, authn.Place{Tenant: tenant}); err != nil {
		return f, err
	}
	if f.Providers, err = currentProviders(ctx, q, tenant, ""); err != nil {
		return f, err
	}
	if f.Webhooks, err = currentWebhooks(ctx, q, tenant); err != nil {
		return f, err
	}
	list, err := apps.List(ctx, q, tenant)
	if err != nil {
		return f, err
	}
	for _, a := range list {
		if f.Apps[string(a.ID)], err = currentApp(ctx, q, a); err != nil {
			return f, err
		}
	}
	js, err := journey.List(ctx, q, tenant)
	if err != nil {
		return f, err
	}
	for _, s := range js {
		if f.Journeys[s.ID], _, err = journey.Newest(ctx, q, tenant, s.ID); err != nil {
			return f, err
		}
	}
	return f, nil
}

// currentSettings is what is set of a tenant; nil if it is as new.
func currentSettings(ctx context.Context, q db.Q, t apps.Tenant) (*apps.TenantSettings, error) {
	s, err := t.Settings(ctx, q)
	if err != nil || flat(s) == flat(apps.TenantSettings{}) {
		return nil, err
	}
	return &s, nil
}

func currentApp(ctx context.Context, q db.Q, a apps.App) (appFile, error) {
	out := appFile{ID: string(a.ID), Name: a.Name, Audience: string(a.Audience), Methods: map[string]map[string]any{}}
	clients, err := apps.Clients(ctx, q, a.ID)
	if err != nil {
		return out, err
	}
	for _, c := range clients {
		out.Clients = append(out.Clients, clientFile{ID: string(c.ID), Name: c.Name, Kind: string(c.Kind), Settings: c.Settings})
	}
	if out.Methods, err = ownMethods(ctx, q, authn.Place{Tenant: a.Tenant, App: a.ID}); err != nil {
		return out, err
	}
	if out.Branding, err = currentBranding(ctx, q, a.ID); err != nil {
		return out, err
	}
	if out.Organisations, err = currentOrganisations(ctx, q, a.ID); err != nil {
		return out, err
	}
	out.Providers, err = currentProviders(ctx, q, a.Tenant, a.ID)
	return out, err
}

// ownMethods is what is set of each method at a place.
func ownMethods(ctx context.Context, q db.Q, p authn.Place) (map[string]map[string]any, error) {
	out := map[string]map[string]any{}
	for _, m := range authn.Methods() {
		set, err := authn.At(ctx, q, p, m.Kind)
		if err != nil {
			return out, err
		}
		if len(set.Own) > 0 {
			out[string(m.Kind)] = set.Own
		}
	}
	return out, nil
}

// Plan says, line by line, what Apply would change: "+" is new, "~" differs.
// Nothing that the files do not mention is removed by applying, so it is not
// listed. What a secret is never shows; that it differs does.
func Plan(ctx context.Context, q db.Q, want Files, dir string) ([]string, error) {
	have, err := Current(ctx, q, apps.TenantID(want.Tenant.ID))
	if err != nil {
		return nil, err
	}
	var out []string
	if have.Tenant.Name != want.Tenant.Name {
		out = append(out, mark(have.Tenant.Name == "")+"tenant "+want.Tenant.ID)
	}
	if s := want.Tenant.Settings; s != nil && flat(s) != flat(cmp.Or(have.Tenant.Settings, &apps.TenantSettings{})) {
		out = append(out, "~ settings of "+want.Tenant.ID)
	}
	out = append(out, diffMethods("tenant "+want.Tenant.ID, have.Tenant.Methods, want.Tenant.Methods)...)
	lines, err := planProviders(ctx, q, want.Tenant.ID, "", want.Providers, dir)
	if err != nil {
		return nil, fmt.Errorf("providers.yaml: %w", err)
	}
	out = append(out, lines...)
	if lines, err = planWebhooks(ctx, q, have.Webhooks, want.Webhooks, dir); err != nil {
		return nil, fmt.Errorf("webhooks.yaml: %w", err)
	}
	out = append(out, lines...)
	for _, id := range slices.Sorted(maps.Keys(want.Apps)) {
		if lines, err = planApp(ctx, q, want.Tenant.ID, have.Apps[id], want.Apps[id], dir); err != nil {
			return nil, fmt.Errorf("apps/%s.yaml: %w", id, err)
		}
		out = append(out, lines...)
	}
	for _, id := range slices.Sorted(maps.Keys(want.Journeys)) {
		old, known := have.Journeys[id]
		if !known || flat(old) != flat(want.Journeys[id]) {
			out = append(out, mark(!known)+"journey "+id)
		}
	}
	return out, nil
}

func mark(fresh bool) string {
	if fresh {
		return "+ "
	}
	return "~ "
}

func planApp(ctx context.Context, q db.Q, tenant string, have, want appFile, dir string) ([]string, error) {
	out := diffApp(have, want)
	lines, err := planSecrets(ctx, q, want, dir)
	if err != nil {
		return nil, err
	}
	out = append(out, lines...)
	if lines, err = planBranding(ctx, q, want, dir); err != nil {
		return nil, err
	}
	out = append(append(out, lines...), diffOrganisations(have.Organisations, want.Organisations)...)
	lines, err = planProviders(ctx, q, tenant, want.ID, want.Providers, dir)
	return append(out, lines...), err
}

func planSecrets(ctx context.Context, q db.Q, a appFile, dir string) ([]string, error) {
	var out []string
	for _, c := range a.Clients {
		if c.SecretFile == "" && c.SecretEnv == "" {
			continue
		}
		secret, err := readSecret(dir, c.SecretFile, c.SecretEnv)
		if err != nil {
			return nil, fmt.Errorf("client %s: %w", c.ID, err)
		}
		same, err := apps.HasSecret(ctx, q, apps.ClientID(c.ID), secret)
		if err != nil {
			return nil, err
		}
		if !same {
			out = append(out, "~ secret of client "+c.ID)
		}
	}
	return out, nil
}

func diffApp(have, want appFile) []string {
	var out []string
	if have.ID == "" {
		out = append(out, "+ application "+want.ID)
	} else if have.Name != want.Name || have.Audience != want.Audience {
		out = append(out, "~ application "+want.ID)
	}
	for _, c := range want.Clients {
		i := slices.IndexFunc(have.Clients, func(o clientFile) bool { return o.ID == c.ID })
		plain := c
		plain.SecretEnv, plain.SecretFile = "", ""
		switch {
		case i < 0:
			out = append(out, "+ client "+c.ID)
		case flat(have.Clients[i]) != flat(plain):
			out = append(out, "~ client "+c.ID)
		}
	}
	return append(out, diffMethods(want.ID, have.Methods, want.Methods)...)
}

func diffMethods(of string, have, want map[string]map[string]any) []string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(want)) {
		merged := maps.Clone(have[kind])
		if merged == nil {
			merged = map[string]any{}
		}
		maps.Copy(merged, want[kind])
		if flat(merged) != flat(have[kind]) {
			out = append(out, "~ method "+kind+" of "+of)
		}
	}
	return out
}

func flat(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// WithoutSecrets is the configuration without what has a secret in it, providers,
// webhooks and the secrets of clients: for where it is judged or tried and no secret is at
// hand.
func (f Files) WithoutSecrets() Files {
	out := f
	out.Providers, out.Webhooks, out.Apps = nil, nil, map[string]appFile{}
	for id, a := range f.Apps {
		a.Providers, a.Clients = nil, slices.Clone(a.Clients)
		for i := range a.Clients {
			a.Clients[i].SecretFile, a.Clients[i].SecretEnv = "", ""
		}
		out.Apps[id] = a
	}
	return out
}

// Apply makes the configuration what the files say, in one transaction; what
// they do not mention stays. A journey is published as a new version only if it
// differs. dir is where _file paths are relative to. dry checks all of it and
// changes nothing.
func Apply(ctx context.Context, d *db.DB, f Files, dir string, dry bool) error {
	err := d.Tx(ctx, func(tx *db.Tx) error {
		if err := apply(ctx, tx, f, dir); err != nil {
			return err
		}
		if dry {
			return errDry
		}
		return nil
	})
	if errors.Is(err, errDry) {
		return nil
	}
	return err
}

var errDry = errors.New("dry run")

func apply(ctx context.Context, tx *db.Tx, f Files, dir string) error {
	if f.Tenant.ID == "" || f.Tenant.Name == "" {
		return fault.New(fault.Invalid, "tenant.yaml needs an id and a name.")
	}
	tenant := apps.TenantID(f.Tenant.ID)
	if err := apps.CreateTenant(ctx, tx, apps.Tenant{ID: tenant, Name: f.Tenant.Name}); err != nil {
		return err
	}
	if s := f.Tenant.Settings; s != nil {
		if err := apps.SetTenant(ctx, tx, apps.Tenant{ID: tenant, Name: f.Tenant.Name}, *s, message.Languages()); err != nil {
			return fmt.Errorf("tenant.yaml: %w", err)
		}
	}
	if _, err := notify.EnsureVAPID(ctx, tx, f.Tenant.ID); err != nil {
		return err
	}
	if err := applyMethods(ctx, tx, authn.Place{Tenant: tenant}, f.Tenant.Methods); err != nil {
		return fmt.Errorf("tenant.yaml: %w", err)
	}
	if err := applyProviders(ctx, tx, tenant, "", f.Providers, dir); err != nil {
		return fmt.Errorf("providers.yaml: %w", err)
	}
	if err := applyWebhooks(ctx, tx, tenant, f.Webhooks, dir); err != nil {
		return fmt.Errorf("webhooks.yaml: %w", err)
	}
	for _, id := range slices.Sorted(maps.Keys(f.Apps)) {
		if err := applyApp(ctx, tx, tenant, f.Apps[id], dir); err != nil {
			return fmt.Errorf("apps/%s.yaml: %w", id, err)
		}
	}
	for _, g := range ordered(f.Journeys) {
		if err := applyJourney(ctx, tx, tenant, g); err != nil {
			return fmt.Errorf("journeys/%s.yaml: %w", g.ID, err)
		}
	}
	return audit.Record(ctx, tx, audit.Event{Tenant: f.Tenant.ID, Type: "config.applied", Outcome: "success", Actor: "operator"})
}

// ordered puts journeys that others refer to first.
func ordered(js map[string]journey.Graph) []journey.Graph {
	first := []journey.Kind{journey.KindMobileApprove, journey.KindSub}
	rank := func(k journey.Kind) int { return -slices.Index(first, k) }
	out := slices.Collect(maps.Values(js))
	slices.SortFunc(out, func(a, b journey.Graph) int {
		if d := rank(a.Kind) - rank(b.Kind); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

func applyJourney(ctx context.Context, tx *db.Tx, tenant apps.TenantID, g journey.Graph) error {
	have, _, err := journey.Newest(ctx, tx, tenant, g.ID)
	if err == nil && flat(have) == flat(g) {
		return nil
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	_, err = journey.Publish(ctx, tx, tenant, g)
	return err
}

func applyApp(ctx context.Context, tx *db.Tx, tenant apps.TenantID, a appFile, dir string) error {
	app := apps.ID(a.ID)
	if err := apps.Save(ctx, tx, apps.App{ID: app, Tenant: tenant, Name: a.Name, Audience: apps.Audience(a.Audience)}); err != nil {
		return err
	}
	for _, c := range a.Clients {
		if err := applyClient(ctx, tx, app, c, dir); err != nil {
			return fmt.Errorf("client %s: %w", c.ID, err)
		}
	}
	if err := applyMethods(ctx, tx, authn.Place{Tenant: tenant, App: app}, a.Methods); err != nil {
		return err
	}
	if err := applyBranding(ctx, tx, a, dir); err != nil {
		return err
	}
	if err := applyOrganisations(ctx, tx, app, a.Organisations); err != nil {
		return err
	}
	return applyProviders(ctx, tx, tenant, app, a.Providers, dir)
}

// applyMethods sets what the files say and leaves what they do not mention.
func applyMethods(ctx context.Context, tx *db.Tx, p authn.Place, methods map[string]map[string]any) error {
	for _, kind := range slices.Sorted(maps.Keys(methods)) {
		var plain map[string]any
		if err := json.Unmarshal([]byte(flat(methods[kind])), &plain); err != nil {
			return err
		}
		if err := authn.Adjust(ctx, tx, p, authn.Kind(kind), plain); err != nil {
			return fmt.Errorf("method %s: %w", kind, err)
		}
	}
	return nil
}

func applyClient(ctx context.Context, tx *db.Tx, app apps.ID, c clientFile, dir string) error {
	err := apps.SaveClient(ctx, tx, apps.Client{ID: apps.ClientID(c.ID), App: app, Name: c.Name, Kind: apps.Kind(c.Kind),
		Settings: c.Settings})
	if err != nil || c.SecretFile == "" && c.SecretEnv == "" {
		return err
	}
	secret, err := readSecret(dir, c.SecretFile, c.SecretEnv)
	if err != nil {
		return err
	}
	return apps.SetSecret(ctx, tx, apps.ClientID(c.ID), secret)
}

func readSecret(dir, file, env string) (string, error) {
	if env != "" {
		v, ok := os.LookupEnv(env)
		if !ok {
			return "", fault.New(fault.Invalid, "the environment variable %s is not set", env)
		}
		return v, nil
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	b, err := os.ReadFile(file)
	return strings.TrimRight(string(b), "\r\n"), err
}

// WriteFiles writes a configuration as a folder of files.
func WriteFiles(dir string, f Files) error {
	if err := writeYAML(filepath.Join(dir, "tenant.yaml"), f.Tenant); err != nil {
		return err
	}
	if len(f.Providers) > 0 {
		if err := writeYAML(filepath.Join(dir, "providers.yaml"), f.Providers); err != nil {
			return err
		}
	}
	if len(f.Webhooks) > 0 {
		if err := writeYAML(filepath.Join(dir, "webhooks.yaml"), f.Webhooks); err != nil {
			return err
		}
	}
	for id, a := range f.Apps {
		if strings.ContainsAny(id, `/\`) {
			return fmt.Errorf("the application %q cannot be a file", id)
		}
		if err := a.Branding.write(dir); err != nil {
			return err
		}
		if err := writeYAML(filepath.Join(dir, "apps", id+".yaml"), a); err != nil {
			return err
		}
	}
	for id, g := range f.Journeys {
		if strings.ContainsAny(id, `/\`) {
			return fmt.Errorf("the journey %q cannot be a file", id)
		}
		if err := writeYAML(filepath.Join(dir, "journeys", id+".yaml"), g); err != nil {
			return err
		}
	}
	return nil
}

func writeYAML(path string, v any) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}
