package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
)

// vapidName is the one name of a tenant's Web Push keys.
const vapidName = "default"

// Provider is one configured way out, its secrets included. It belongs to an
// application, or to the whole tenant when App is empty.
type Provider struct {
	Tenant, App, Kind, Name string
	Updated                 time.Time
	config                  []byte // JSON that the kind's form accepted
}

// forms describe the configuration of each kind, and check the parts a form
// cannot: that a key is a key.
var forms = map[string]kindForm{
	APNs: {form.New(
		form.Text("bundle", "Bundle id", form.Required, form.Help("The app's bundle identifier, such as org.example.app.")),
		form.Text("team_id", "Team id", form.Required, form.Help("Ten characters, from the Apple developer account.")),
		form.Text("key_id", "Key id", form.Required, form.Help("Ten characters, shown beside the key.")),
		form.Secret("key", "Key", form.Required, form.Lines, form.Help("The content of the .p8 file.")),
		form.Choice("environment", "Environment", []string{"production", "sandbox"}, form.Default("production"), form.Read("production", "Production", "sandbox", "Sandbox"),
			form.Help("Sandbox is for apps that Xcode installed.")),
	), checkAPNs},
	FCM: {form.New(
		form.Secret("service_account", "Service account", form.Required, form.Lines, form.MaxLen(16<<10), form.Help("The JSON file of a service account that may send messages.")),
		form.Text("app_identifier", "Package name", form.Help("Only for this app; empty for all.")),
	), checkFCM},
	WebPush: {form.New(
		form.Text("subject", "Contact", form.Help("A mailto: or https: address for push services; empty for this server's own.")),
		form.Secret("private_key", "Private key", form.Help("Empty to have one made. A new key ends every subscription.")),
	), checkVAPID},
}

type kindForm struct {
	form  form.Form
	check func(doc map[string]any) error
}

// Offer makes another kind of provider known: somebody of the operator's choice
// whom another part of the server calls. Its configuration is sealed like the
// others, and it belongs to the tenant. It panics if the kind is taken. Call it
// from init.
func Offer(kind, title string, f form.Form, check func(doc map[string]any) error) {
	if _, taken := forms[kind]; taken {
		panic("notify: two providers are called " + kind)
	}
	forms[kind] = kindForm{f, check}
	kinds[kind] = Kind{Title: title, Tenant: true}
}

var providerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Differs reports whether SaveProvider with the same arguments would change
// anything. What is wrong with doc is fault.Invalid.
func Differs(ctx context.Context, q db.Q, tenant, app, kind, name string, doc map[string]any) (bool, error) {
	config, have, err := prepared(ctx, q, tenant, app, kind, name, doc)
	return err == nil && config != string(have.config), err
}

// CheckName returns what SaveProvider says of a name that no provider of a kind may have.
func CheckName(app, kind, name string) error {
	if !providerName.MatchString(name) {
		return fault.New(fault.Invalid, "A provider's name has 1 to 64 letters, digits, dots, dashes and underscores.")
	}
	if kind == WebPush && (app != "" || name != vapidName) {
		return fault.New(fault.Invalid, "Web Push keys belong to the whole tenant and are named %q.", vapidName)
	}
	return nil
}

// prepared checks a configuration and returns it as it is stored, and what is
// stored now.
func prepared(ctx context.Context, q db.Q, tenant, app, kind, name string, doc map[string]any) (string, Provider, error) {
	f, ok := forms[kind]
	if !ok {
		return "", Provider{}, fault.New(fault.Invalid, "There is no provider of kind %q.", kind)
	}
	if err := CheckName(app, kind, name); err != nil {
		return "", Provider{}, err
	}
	have, err := FindProvider(ctx, q, tenant, app, kind, name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", have, err
	}
	doc, err = withSecrets(f.form, doc, have)
	if err != nil {
		return "", have, err
	}
	if doc, err = f.form.Check(doc); err != nil {
		return "", have, err
	}
	err = f.check(doc) // may add a key
	return db.Text(doc), have, err
}

// SaveProvider creates or replaces the provider of this kind and name, sealed.
// app is empty for the whole tenant. A secret that doc leaves out keeps its
// stored value, so a form need never show it, unless it would be shown to somebody
// else than before. Web Push keys belong to the tenant
// alone, under the name "default". What is wrong with doc is fault.Invalid.
func SaveProvider(ctx context.Context, tx *db.Tx, tenant, app, kind, name string, doc map[string]any) error {
	config, have, err := prepared(ctx, tx, tenant, app, kind, name, doc)
	if err != nil || config == string(have.config) {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO providers (tenant_id, app_id, kind, name, config, updated_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (tenant_id, app_id, kind, name) DO UPDATE SET config = excluded.config, updated_at = excluded.updated_at`,
		tenant, app, kind, name, tx.Vault().Seal(providerPlace(tenant, app, kind, name), []byte(config)), tx.Now())
	return err
}

// DeleteProvider forgets a provider; fault.NotFound if there is none.
func DeleteProvider(ctx context.Context, tx *db.Tx, tenant, app, kind, name string) error {
	n, err := tx.Exec(ctx, `DELETE FROM providers WHERE tenant_id = $1 AND app_id = $2 AND kind = $3 AND name = $4`, tenant, app, kind, name)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such provider")
	}
	return err
}

// Providers returns the providers of a kind that apply to an application: its
// own first, then those of its tenant whose name it does not use itself, each by
// name. With an empty app it returns the tenant's.
func Providers(ctx context.Context, q db.Q, tenant, app, kind string) ([]Provider, error) {
	rows, err := q.Query(ctx, `SELECT app_id, name, config, updated_at FROM providers
		WHERE tenant_id = $1 AND kind = $2 AND app_id IN ('', $3) ORDER BY app_id DESC, name`, tenant, kind, app)
	if err != nil {
		return nil, fmt.Errorf("reading providers: %w", err)
	}
	defer rows.Close()
	var out []Provider
	own := map[string]bool{}
	for rows.Next() {
		p := Provider{Tenant: tenant, Kind: kind}
		var sealed []byte
		if err := rows.Scan(&p.App, &p.Name, &sealed, db.Time(&p.Updated)); err != nil {
			return nil, fmt.Errorf("reading providers: %w", err)
		}
		if p.App == "" && own[p.Name] {
			continue
		}
		own[p.Name] = true
		if p.config, err = q.Vault().Open(p.place(), sealed); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// Doc returns the configuration without its secrets, as its form names it. For
// Web Push it adds public_key.
func (p Provider) Doc() (map[string]any, error) {
	doc := map[string]any{}
	if err := json.Unmarshal(p.config, &doc); err != nil {
		return nil, fmt.Errorf("reading provider %s: %w", p.Name, err)
	}
	if p.Kind == WebPush {
		key, err := p.vapid()
		if err != nil {
			return nil, err
		}
		doc["public_key"] = key.public()
	}
	for _, f := range forms[p.Kind].form {
		if f.Type == "secret" {
			delete(doc, f.Name)
		}
	}
	return doc, nil
}

// FindProvider returns a provider of an application, or of the tenant if app is
// empty; fault.NotFound if there is none.
func FindProvider(ctx context.Context, q db.Q, tenant, app, kind, name string) (Provider, error) {
	p := Provider{Tenant: tenant, App: app, Kind: kind, Name: name}
	var sealed []byte
	err := q.QueryRow(ctx, `SELECT config, updated_at FROM providers WHERE tenant_id = $1 AND app_id = $2 AND kind = $3 AND name = $4`,
		tenant, app, kind, name).Scan(&sealed, db.Time(&p.Updated))
	if err != nil {
		return Provider{}, db.None(err, "provider")
	}
	p.config, err = q.Vault().Open(p.place(), sealed)
	return p, err
}

// withSecrets returns doc with the stored secrets that it leaves out.
func withSecrets(f form.Form, doc map[string]any, have Provider) (map[string]any, error) {
	out := map[string]any{}
	maps.Copy(out, doc)
	if have.config == nil {
		return out, nil
	}
	stored := map[string]any{}
	if err := json.Unmarshal(have.config, &stored); err != nil {
		return nil, fmt.Errorf("reading provider %s: %w", have.Name, err)
	}
	for _, field := range f {
		if v := out[field.Name]; field.Type == "secret" && (v == nil || v == "") && text(stored, field.Name) != "" {
			if moved(f, stored, out) {
				return nil, fault.At(fault.New(fault.Invalid, "%s: say it again. It was for another address, and would be shown to this one.", field.Label), field.Name)
			}
			out[field.Name] = stored[field.Name]
		}
	}
	return out, nil
}

// whither are the fields that say to whom a provider's secrets are shown: another
// port of the same host has the same certificate.
var whither = []string{"url", "host"}

// moved reports whether a provider's secrets would go somewhere else: whoever may
// set where must not learn by that what they may not read (security R76).
func moved(f form.Form, was, now map[string]any) bool {
	return slices.ContainsFunc(f, func(field form.Field) bool {
		at := func(doc map[string]any) string {
			v := doc[field.Name]
			if v == nil || v == "" {
				v = field.Default
			}
			return strings.ToLower(strings.TrimSuffix(fmt.Sprint(v), "/"))
		}
		return slices.Contains(whither, field.Name) && at(was) != at(now)
	})
}

func (p Provider) place() string { return providerPlace(p.Tenant, p.App, p.Kind, p.Name) }

func providerPlace(tenant, app, kind, name string) string {
	return "providers/config/" + tenant + "/" + app + "/" + kind + "/" + name
}

// fingerprint names a configuration in memory: a changed key is another one.
func (p Provider) fingerprint() string {
	sum := sha256.Sum256(p.config)
	return p.place() + "/" + hex.EncodeToString(sum[:])
}

// Into reads the configuration, secrets included, into v, which has the form's
// fields.
func (p Provider) Into(v any) error {
	if err := json.Unmarshal(p.config, v); err != nil {
		return fmt.Errorf("reading provider %s: %w", p.Name, err)
	}
	return nil
}

// text returns a field of a checked document; absent is empty.
func text(doc map[string]any, name string) string { s, _ := doc[name].(string); return s }
