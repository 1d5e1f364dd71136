package notify

import (
	"maps"
	"slices"

	"github.com/watchword-auth/watchword/internal/form"
)

// Kind describes a kind of provider to whoever draws it.
type Kind struct {
	Kind, Title string
	Tenant      bool // belongs to the whole tenant, not to an application
	Several     bool // there may be more than one
	Form        form.Form
	Test        form.Form // what a test needs to be told
}

// kinds are titles and scopes of the kinds of this package and of those offered.
var kinds = map[string]Kind{
	APNs:       {Title: "Apple push (APNs)", Several: true},
	FCM:        {Title: "Google push (FCM)", Several: true},
	WebPush:    {Title: "Web push", Tenant: true},
	SMTP:       {Title: "Mail (SMTP)", Tenant: true, Test: form.New(form.Email("to", "Send to", form.Required, form.Help("Gets a test mail.")))},
	SMSWebhook: {Title: "Text messages (own gateway)", Tenant: true, Test: form.New(form.Phone("to", "Send to", form.Required, form.Help("Gets a test message.")))},
	Twilio:     {Title: "Text messages (Twilio)", Tenant: true, Test: form.New(form.Phone("to", "Send to", form.Required, form.Help("Gets a test message.")))},
}

// Kinds returns every kind of provider, by name.
func Kinds() []Kind {
	var out []Kind
	for _, kind := range slices.Sorted(maps.Keys(forms)) {
		k := kinds[kind]
		k.Kind, k.Form = kind, forms[kind].form
		out = append(out, k)
	}
	return out
}
