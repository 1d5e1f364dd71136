package server

import (
	"context"
	"slices"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/webhook"
)

// webhookFile is a webhook in its file. A secret that it does not name stays as it
// is stored.
type webhookFile struct {
	ID         string   `yaml:"id"`
	URL        string   `yaml:"url"`
	Events     []string `yaml:"events"`
	Enabled    *bool    `yaml:"enabled,omitempty"` // nil: it is
	SecretFile string   `yaml:"secret_file,omitempty"`
	SecretEnv  string   `yaml:"secret_env,omitempty"`

	hidden []string // only of what stands, to be written
}

// MarshalYAML says beside a webhook that its secret is not in the file.
func (w webhookFile) MarshalYAML() (any, error) {
	type plain webhookFile
	return remarked(plain(w), w.hidden)
}

func (w webhookFile) hook(tenant apps.TenantID) webhook.Hook {
	return webhook.Hook{ID: w.ID, Tenant: string(tenant), URL: w.URL, Events: w.Events, Enabled: w.Enabled == nil || *w.Enabled}
}

func (w webhookFile) same(other webhookFile) bool {
	a, b := w.hook(""), other.hook("")
	return a.URL == b.URL && a.Enabled == b.Enabled && slices.Equal(a.Events, b.Events)
}

// secret is what the file names; empty if it names none.
func (w webhookFile) secret(dir string) (string, error) {
	if w.SecretFile == "" && w.SecretEnv == "" {
		return "", nil
	}
	return readSecret(dir, w.SecretFile, w.SecretEnv)
}

// currentWebhooks are those of the tenant, by id.
func currentWebhooks(ctx context.Context, q db.Q, tenant apps.TenantID) ([]webhookFile, error) {
	all, err := webhook.List(ctx, q, string(tenant))
	var out []webhookFile
	for _, h := range all {
		out = append(out, webhookFile{ID: h.ID, URL: h.URL, Events: h.Events, Enabled: &h.Enabled, hidden: []string{"secret"}})
	}
	return out, err
}

func planWebhooks(ctx context.Context, q db.Q, have, want []webhookFile, dir string) ([]string, error) {
	var out []string
	for _, w := range want {
		i := slices.IndexFunc(have, func(h webhookFile) bool { return h.ID == w.ID })
		if i < 0 || !have[i].same(w) {
			out = append(out, mark(i < 0)+"webhook "+w.ID)
		}
		secret, err := w.secret(dir)
		if err != nil {
			return nil, wrong(w.ID, err)
		}
		if secret == "" {
			continue
		}
		same, err := webhook.HasSecret(ctx, q, w.ID, secret)
		if err != nil {
			return nil, err
		}
		if !same {
			out = append(out, "~ secret of webhook "+w.ID)
		}
	}
	return out, nil
}

func applyWebhooks(ctx context.Context, tx *db.Tx, tenant apps.TenantID, want []webhookFile, dir string) error {
	if err := once(want, func(w webhookFile) string { return w.ID }); err != nil {
		return err
	}
	for _, w := range want {
		secret, err := w.secret(dir)
		if err == nil {
			err = webhook.Put(ctx, tx, w.hook(tenant), secret)
		}
		if err != nil {
			return wrong(w.ID, err)
		}
	}
	return nil
}
