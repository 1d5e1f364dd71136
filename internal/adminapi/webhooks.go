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
	Status int    `json:"status" doc:"As HTTP has it; 0: nothing was answered."`
	OK     bool   `json:"ok"`
	Answer string `json:"answer"`
}

// NewWebhook is one with its secret, which is shown this once.
type NewWebhook struct {
	Webhook
	Secret string `json:"secret"`
}

func webhookOf(h webhook.Hook) Webhook {
	out := Webhook{ID: h.ID, URL: h.URL, Events: append([]string{}, h.Events...), Enabled: h.Enabled, CreatedAt: Stamp(h.Created)}
	if h.Last != nil {
		out.Last = &LastTold{Stamp(h.Last.At), h.Last.Status, h.Last.OK, h.Last.Answer}
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

func testWebhook(ctx context.Context, c *Call, in *InWebhook) (*body[WebhookDelivery], error) {
	h, err := webhook.Find(ctx, c.Kit.DB, string(c.tenant()), in.ID)
	if err != nil {
		return nil, err
	}
	if err := c.write(ctx, func(*db.Tx) (string, error) { return in.ID, nil }); err != nil {
		return nil, err
	}
	d, err := c.Hooks.Test(ctx, h)
	return answer(deliveryOf(d)), err
}

// WebhookDelivery is one attempt to tell a webhook.
type WebhookDelivery struct {
	ID      string        `json:"id"`
	At      Stamp         `json:"at"`
	Event   string        `json:"event" doc:"The id of the entry of the record."`
	Type    string        `json:"type"`
	Attempt int           `json:"attempt"`
	State   webhook.State `json:"state" enum:"told,waiting,given_up"`
	OK      bool          `json:"ok"`
	Status  int           `json:"status" doc:"As HTTP has it; 0: nothing was answered."`
	Answer  string        `json:"answer" doc:"The beginning of what was answered, or why nothing was."`
	MS      int64         `json:"ms"`
	NextAt  Stamp         `json:"next_at"`
}

func deliveryOf(d webhook.Delivery) WebhookDelivery {
	return WebhookDelivery{d.ID, Stamp(d.At), d.Event, d.Type, d.Attempt, d.State(), d.OK, d.Status, d.Answer, d.Took.Milliseconds(), Stamp(d.Next)}
}

type deliveriesIn struct {
	InWebhook
	Page
	Event  string `query:"event" maxLength:"100" doc:"Attempts to tell of this entry of the record."`
	Type   string `query:"type" maxLength:"100" doc:"push.approved, or a family: push.*"`
	State  string `query:"state" enum:"told,waiting,given_up"`
	Newest bool   `query:"newest" doc:"Only the newest attempt of each event."`
}

func listDeliveries(ctx context.Context, c *Call, in *deliveriesIn) (*list[WebhookDelivery], error) {
	h, err := webhook.Find(ctx, c.Kit.DB, string(c.tenant()), in.ID)
	if err != nil {
		return nil, err
	}
	f := webhook.Filter{Event: in.Event, Type: in.Type, State: webhook.State(in.State), Newest: in.Newest, Limit: in.Limit + 1}
	if err := c.opened(in.Cursor, &f.Before); err != nil {
		return nil, err
	}
	all, err := webhook.Deliveries(ctx, c.Kit.DB, h.ID, f)
	out := items([]WebhookDelivery{})
	if len(all) > in.Limit {
		all = all[:in.Limit]
		out.Body.Next = c.seal(all[in.Limit-1].ID)
	}
	for _, d := range all {
		out.Body.Items = append(out.Body.Items, deliveryOf(d))
	}
	return out, err
}

type deliveryAgain struct {
	InWebhook
	Delivery string `path:"delivery" maxLength:"100"`
}

// tellAgain is for who mended what refused an event: it is recorded first, as a
// test is.
func tellAgain(ctx context.Context, c *Call, in *deliveryAgain) (*body[WebhookDelivery], error) {
	h, err := webhook.Find(ctx, c.Kit.DB, string(c.tenant()), in.ID)
	if err != nil {
		return nil, err
	}
	if err := c.write(ctx, func(*db.Tx) (string, error) { return in.ID, nil }); err != nil {
		return nil, err
	}
	d, err := c.Hooks.Again(ctx, h, in.Delivery)
	return answer(deliveryOf(d)), err
}
