package server_test

import (
	"slices"
	"strings"
	"testing"
)

// TestRefusalsNameTheirPlace: whoever is refused a change is told which member of
// what was sent is meant, whichever part of the server refused it, and never hears
// a value of another member.
func TestRefusalsNameTheirPlace(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	type doc = map[string]any
	put := func(settings doc) doc { return doc{"name": "Web", "settings": settings} }
	web := "PUT /apps/demo/clients/demo-web"
	org, _ := a.must(t, "POST /apps/demo/organisations", doc{"name": "Acme"}).Doc["id"].(string)
	hook, _ := a.must(t, "POST /webhooks", doc{"url": "https://hooks.example/w", "events": []string{"*"}}).Doc["id"].(string)
	grace, _ := a.must(t, "POST /users", doc{"email": "grace@example.org"}).Doc["id"].(string)
	tenant := doc{"tenant_name": "T", "languages": []string{"de"}, "default_language": "fr", "run_retention_days": 0, "audit_retention_days": 0}
	for _, c := range []struct {
		call  string
		body  doc
		place string
		says  string
	}{
		{"POST /apps", doc{"audience": "b2c"}, "name", "This is required."},
		{"POST /apps", doc{"name": "", "audience": "b2c"}, "name", "This is required."},
		{"POST /apps", doc{"name": strings.Repeat("x", 101), "audience": "b2c"}, "name", "This has at most 100 characters."},
		{"POST /apps", doc{"name": "N", "audience": "b3b"}, "audience", "This must be one of b2c, b2b."},
		{"POST /apps", doc{"name": "N", "id": "Äh!", "audience": "b2c"}, "id", "This has 1 to 64 small letters"},
		{"POST /apps", doc{"name": "N", "id": "demo", "audience": "b2c"}, "id", "This id is taken."},
		{web, put(doc{"redirect_uris": []string{"https://ok.example/", "javascript:alert(1)"}}), "settings.redirect_uris.1", "A browser cannot return to"},
		{web, put(doc{"post_logout_redirect_uris": []string{"x"}}), "settings.post_logout_redirect_uris.0", "A browser cannot return to"},
		{web, put(doc{"grants": []string{"magic"}}), "settings.grants", "There is no grant called"},
		{web, put(doc{"login_uri": "ftp://x"}), "settings.login_uri", "login_uri must be https"},
		{web, put(doc{"implicit": true}), "settings.implicit", "cidaas clients only"},
		{web, put(doc{"nonsense": 1}), "settings.nonsense", "There is no such field."},
		{web, put(doc{"require_dpop_nonce": "yes"}), "settings.require_dpop_nonce", "This must be true or false."},
		{"PUT /apps/demo/branding", doc{"signal": "red"}, "signal", "is not a colour"},
		{"PUT /apps/demo/branding", doc{"signal_dark": "#101218"}, "signal_dark", "dark paper is hard to read"},
		{"PUT /apps/demo/branding", doc{"terms": "http://x"}, "terms", "A link of the foot"},
		{"PUT /apps/demo/branding", doc{"texts": doc{"de": doc{"foot": strings.Repeat("x", 5000)}}}, "texts.de.foot", "A text has at most"},
		{"PUT /settings", tenant, "default_language", "must be one that is offered"},
		{"PUT /settings", doc{"tenant_name": "T", "languages": []string{}, "default_language": "", "run_retention_days": 4000, "audit_retention_days": 0}, "run_retention_days", "This must be at most 3650."},
		{"PUT /apps/demo/methods/password", doc{"settings": doc{"tiers": []doc{{"failures": 5, "minutes": 1}, {"failures": 4, "minutes": 2}}}}, "settings.tiers.1.failures", "must be more than in the row before"},
		{"PUT /apps/demo/methods/password", doc{"settings": doc{"min_length": 1000}}, "settings.min_length", "must be between"},
		{"PUT /apps/demo/methods/magic_link", doc{"settings": doc{"texts": []doc{{"message": "magic_link", "language": "de", "text": "Hallo"}}}}, "settings.texts.0.text", "the text must hold"},
		{"PUT /providers/sms_webhook/default", doc{"config": doc{"url": "https://sms.example", "secret": "short"}}, "config.secret", "needs at least 32 characters"},
		{"PUT /providers/sms_webhook/default", doc{"config": doc{"url": "http://sms.example", "secret": strings.Repeat("s", 32)}}, "config.url", "An SMS gateway has an address: https://"},
		{"PUT /providers/sms_webhook/default", doc{"config": doc{"url": "https://ada:lovelace@sms.example", "secret": strings.Repeat("s", 32)}}, "config.url", "An SMS gateway has an address: https://"},
		{"PUT /providers/twilio/default", doc{"config": doc{"url": "http://127.0.0.1:8080", "account_sid": "AC1", "auth_token": "t", "from": "+15550100"}}, "config.url", "An SMS gateway has an address: https://"},
		{"PUT /providers/face/default", doc{"config": doc{"driver": "http", "url": "ftp://faces.example"}}, "config.url", "A face engine has an address"},
		{"PUT /providers/face/default", doc{"config": doc{"driver": "compreface", "url": "http://ada@faces.example"}}, "config.url", "A face engine has an address"},
		{"PUT /providers/apns/-x", doc{"config": doc{}}, "path.name", "A provider's name has 1 to 64 letters"},
		{"PUT /providers/webpush/mine", doc{"config": doc{}}, "path.name", "Web Push keys belong to the whole tenant"},
		{"PUT /providers/apns/default", doc{"config": doc{"bundle": "a.b"}}, "config.team_id", "is required"},
		{"PATCH /apps/demo/organisations/" + org, doc{"domains": []string{"ACME"}}, "domains", "A domain is like example.org"},
		{"PATCH /webhooks/" + hook, doc{"url": "https://ada@hooks.example/"}, "url", "A webhook has an address"},
		{"PATCH /webhooks/" + hook, doc{"events": []string{"Push!"}}, "events", "Events are like"},
		{"POST /users", doc{"phone_number": "0171"}, "phone_number", "That is not a phone number"},
		{"POST /users", doc{"username": "lovelace", "email": "grace@example.org"}, "email", "Somebody already goes by that name."},
		{"POST /users/" + grace + "/identifiers", doc{"kind": "email", "value": "x"}, "value", "That is not an e-mail address."},
		{"POST /administrators", doc{"name": "Ada", "email": "ada@", "role": "owner"}, "email", "That is not an e-mail address."},
		{"POST /journeys", doc{"id": "sign_in", "name": "Again"}, "id", "There is a journey with this id."},
		{"POST /journeys/import", doc{"text": "{"}, "text", "This is not a journey: "},
	} {
		var header []string
		if !strings.HasPrefix(c.call, "POST") && !strings.HasPrefix(c.call, "PUT /providers") {
			header = []string{"If-Match", "*"}
		}
		r := a.do(t, c.call, c.body, header...)
		list, _ := r.Doc["errors"].([]any)
		at := slices.IndexFunc(list, func(e any) bool {
			location, _ := e.(doc)["location"].(string)
			return strings.NewReplacer("[", ".", "]", "").Replace(location) == within(c.place)
		})
		if r.Status < 400 || r.Status > 409 || at < 0 {
			t.Errorf("%s %v: not of %s: %d %s", c.call, c.body, c.place, r.Status, r.Raw)
			continue
		}
		if said, _ := list[at].(doc)["message"].(string); !strings.Contains(said, c.says) {
			t.Errorf("%s %v: %s", c.call, c.body, said)
		}
	}
}

// within is a place of the body, unless it says itself where it is.
func within(place string) string {
	if strings.HasPrefix(place, "path.") {
		return place
	}
	return "body." + place
}
