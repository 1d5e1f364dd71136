package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
)

// probeTime is all that one probe may take.
const probeTime = 20 * time.Second

// Probe asks a provider whether it would do its work, and returns what it said:
// push services judge our credentials without reaching anybody, the others carry
// a test message to whom in names, which fits the test form of the kind.
func (n *Notifier) Probe(ctx context.Context, p Provider, in map[string]any) Result {
	if _, push := n.drivers[p.Kind]; push {
		return n.Test(ctx, p)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	to := text(in, "to")
	const said = "This is a test of Watchword. It works."
	var err error
	switch {
	case len(kinds[p.Kind].Test) == 0:
		return Result{Said: "Providers of this kind cannot be tested here."}
	case n.opts.Capture != nil:
		channel := map[bool]string{true: "mail", false: "sms"}[p.Kind == SMTP]
		n.opts.Capture.Add(Captured{Channel: channel, To: to, Subject: "Test", Text: said, At: n.db.Now()})
		return Result{OK: true, Said: "Captured in the inbox of development; the provider was not asked."}
	case p.Kind == SMTP:
		err = n.mail(ctx, p, Mail{To: to, From: "Watchword", Subject: "Test", Text: said})
	default:
		err = n.sms(ctx, p, SMS{ID: db.NewID("sms_"), To: to, Text: said})
	}
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return Result{Said: fmt.Sprintf("No answer within %d seconds.", int(probeTime/time.Second))}
		}
		return Result{Said: p.without(err.Error())}
	}
	return Result{OK: true, Said: "Accepted."}
}

// without takes the provider's secrets out of what was said.
func (p Provider) without(said string) string {
	doc := map[string]any{}
	if json.Unmarshal(p.config, &doc) != nil {
		return "The answer could not be read."
	}
	var secrets []string
	for _, f := range forms[p.Kind].form {
		if f.Type == "secret" {
			secrets = append(secrets, text(doc, f.Name))
		}
	}
	return words(said, secrets...)
}

// Shown is Doc with {"set": true} in the place of each secret that there is.
func (p Provider) Shown() (map[string]any, error) {
	stored := map[string]any{}
	if err := json.Unmarshal(p.config, &stored); err != nil {
		return nil, fmt.Errorf("reading provider %s: %w", p.Name, err)
	}
	doc, err := p.Doc()
	if err != nil {
		return nil, err
	}
	for _, f := range forms[p.Kind].form {
		if f.Type == "secret" && text(stored, f.Name) != "" {
			doc[f.Name] = map[string]any{"set": true}
		}
	}
	return doc, nil
}

// KindOf describes a kind of provider; false if there is no such kind.
func KindOf(kind string) (Kind, bool) {
	for _, k := range Kinds() {
		if k.Kind == kind {
			return k, true
		}
	}
	return Kind{}, false
}
