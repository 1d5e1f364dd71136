package adminapi

import (
	"context"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/message"
)

// Message is what a method says to people, as somebody would get it.
type Message struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html" doc:"Of mail."`
	SMS     string `json:"sms" doc:"Of a text message."`
}

type messagesBody struct {
	Settings map[string]any `json:"settings" doc:"What is set here, stored or not."`
	Language string         `json:"language" maxLength:"16"`
}

type appMessages struct {
	InAppMethod
	Body messagesBody
}

// previewMessages shows what a method would say with settings that need not be
// stored. Nothing is sent.
func previewMessages(ctx context.Context, c *Call, in *appMessages) (*list[Message], error) {
	a, err := c.app(ctx, c.Kit.DB, in.App)
	if err != nil {
		return nil, err
	}
	m, err := authn.Find(authn.Kind(in.Kind))
	if err != nil {
		return nil, err
	}
	whole, wrong, err := authn.Try(ctx, c.Kit.DB, authn.Place{Tenant: c.tenant(), App: a.ID}, m.Kind, in.Body.Settings)
	if err != nil {
		return nil, err
	}
	if err := misfits("body.settings.", wrong); err != nil {
		return nil, err
	}
	style, err := message.StyleOf(whole)
	if err != nil {
		return nil, err
	}
	var out []Message
	for _, name := range m.Messages {
		s, err := message.Preview(a, name, in.Body.Language, style)
		if err != nil {
			return nil, err
		}
		out = append(out, Message{name, s.Subject, s.Text, s.HTML, s.SMS})
	}
	return items(out), nil
}
