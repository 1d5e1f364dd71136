package adminapi

import (
	"context"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/webhook"
)

// Webhook is somebody who is told what happens.
type Webhook struct {
	ID        string    `json:"id"`
	URL       string    `json:"url"`
	Events    []string  `json:"events"`
	Enabled   bool      `json:"enabled"`
	CreatedAt Stamp     `json:"created_at"`
	Last      *LastTold `json:"last"`
}

// LastTold is the newest attempt.
type LastTold struct {
	At     Stamp  `json:"at"`
	Status string `json:"status"`
	OK     bool   `json:"ok"`
}

// NewWebhook is one with its secret, which is shown this once.
type NewWebhook struct {
	Webhook
	Secret string `json:"secret"`
}

func webhookOf(h webhook.Hook) Webhook {
	out := Webhook{ID: h.ID, URL: h.URL, Events: append([]string{}, h.Events...), Enabled: h.Enabled, CreatedAt: Stamp(h.Created)}
	if h.Last != nil {
		out.Last = &LastTold{Stamp(h.Last.At), h.Last.Answer, h.Last.OK}
	}
	return out
}

// steady is a webhook without what changes by itself: what its tag is of.
func (h Webhook) steady() Webhook { h.Last = nil; return h }

func (c *Call) webhook(ctx context.Context, q db.Q, id string) (Webhook, error) {
	h, err := webhook.Find(ctx, q, string(c.tenant()), id)
	one := []webhook.Hook{h}
	if err == nil {
		err = webhook.WithLast(ctx, q, one)
	}
	return webhookOf(one[0]), err
}

func tagWebhook(h Webhook) *tagged[Webhook] { return &tagged[Webhook]{tagOf(h.steady()), h} }

func listWebhooks(ctx context.Context, c *Call, _ *empty) (*list[Webhook], error) {
	all, err := webhook.List(ctx, c.Kit.DB, string(c.tenant()))
	if err == nil {
		err = webhook.WithLast(ctx, c.Kit.DB, all)
	}
	var out []Webhook
	for _, h := range all {
		out = append(out, webhookOf(h))
	}
	return items(out), err
}

type newWebhook struct {
	Body struct {
		URL     string   `json:"url" minLength:"1" maxLength:"2000"`
		Events  []string `json:"events" minItems:"1" maxItems:"50"`
		Enabled *bool    `json:"enabled,omitempty"`
	}
}

func createWebhook(ctx context.Context, c *Call, in *newWebhook) (*body[NewWebhook], error) {
	var out NewWebhook
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		h, secret, err := webhook.Create(ctx, tx, webhook.Hook{Tenant: string(c.tenant()), URL: in.Body.URL, Events: in.Body.Events, Enabled: in.Body.Enabled == nil || *in.Body.Enabled})
		out = NewWebhook{webhookOf(h), secret}
		return h.ID, err
	})
	return answer(out), err
}

// InWebhook names one.
type InWebhook struct {
	ID string `path:"id" maxLength:"100"`
}

func getWebhook(ctx context.Context, c *Call, in *InWebhook) (*tagged[Webhook], error) {
	h, err := c.webhook(ctx, c.Kit.DB, in.ID)
	return tagWebhook(h), err
}

type webhookPatch struct {
	InWebhook
	IfMatch
	Body struct {
		URL     *string  `json:"url,omitempty" minLength:"1" maxLength:"2000"`
		Events  []string `json:"events,omitempty" maxItems:"50"`
		Enabled *bool    `json:"enabled,omitempty"`
	}
}

func changeWebhook(ctx context.Context, c *Call, in *webhookPatch) (*tagged[Webhook], error) {
	var out Webhook
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		now, err := c.webhook(ctx, tx, in.ID)
		if err != nil {
			return "", err
		}
		if err := in.unchanged(now.steady()); err != nil {
			return "", err
		}
		h := webhook.Hook{ID: now.ID, Tenant: string(c.tenant()), URL: now.URL, Events: now.Events, Enabled: now.Enabled}
		if in.Body.URL != nil {
			h.URL = *in.Body.URL
		}
		if in.Body.Events != nil {
			h.Events = in.Body.Events
		}
		if in.Body.Enabled != nil {
			h.Enabled = *in.Body.Enabled
		}
		if err := webhook.Update(ctx, tx, h); err != nil {
			return "", err
		}
		out, err = c.webhook(ctx, tx, in.ID)
		return in.ID, err
	})
	return tagWebhook(out), err
}

type webhookGone struct {
	InWebhook
	IfMatch
}

func deleteWebhook(ctx context.Context, c *Call, in *webhookGone) (*empty, error) {
	return nil, c.write(ctx, func(tx *db.Tx) (string, error) {
		now, err := c.webhook(ctx, tx, in.ID)
		if err != nil {
			return "", err
		}
		if err := in.unchanged(now.steady()); err != nil {
			return "", err
		}
		return in.ID, webhook.Delete(ctx, tx, string(c.tenant()), in.ID)
	})
}

func testWebhook(ctx context.Context, c *Call, in *InWebhook) (*body[Tested], error) {
	h, err := webhook.Find(ctx, c.Kit.DB, string(c.tenant()), in.ID)
	if err != nil {
		return nil, err
	}
	if err := c.write(ctx, func(*db.Tx) (string, error) { return in.ID, nil }); err != nil {
		return nil, err
	}
	d, err := c.Hooks.Test(ctx, h)
	return answer(Tested{d.OK, d.Answer, d.Took.Milliseconds()}), err
}

// WebhookDelivery is one attempt to tell a webhook.
type WebhookDelivery struct {
	ID      string `json:"id"`
	At      Stamp  `json:"at"`
	Event   string `json:"event"`
	Type    string `json:"type"`
	Attempt int    `json:"attempt"`
	OK      bool   `json:"ok"`
	Answer  string `json:"answer"`
	MS      int64  `json:"ms"`
}

func listDeliveries(ctx context.Context, c *Call, in *InWebhook) (*list[WebhookDelivery], error) {
	h, err := webhook.Find(ctx, c.Kit.DB, string(c.tenant()), in.ID)
	if err != nil {
		return nil, err
	}
	all, err := webhook.Deliveries(ctx, c.Kit.DB, h.ID, 200)
	var out []WebhookDelivery
	for _, d := range all {
		out = append(out, WebhookDelivery{d.ID, Stamp(d.At), d.Event, d.Type, d.Attempt, d.OK, d.Answer, d.Took.Milliseconds()})
	}
	return items(out), err
}
