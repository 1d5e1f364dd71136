package server_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/db"
)

// anyPage is a page without what is another one each time.
func anyPage(p *person) string {
	return number.ReplaceAllString(passing.ReplaceAllString(hidden.ReplaceAllString(p.page, ""), ""), "")
}

// TestSentTo: a page that waits for a code or a link says where it was sent, and to
// nobody more than they have typed: the page for somebody, for nobody, for somebody
// suspended and for somebody's other address is the same (R30).
func TestSentTo(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false})
	made := func(email, phone string) string {
		return c.want(t, 201, "POST /v1/users", map[string]any{"email": email, "phone_number": phone, "credentials": map[string]any{"password": password, "force_replace": false}})["user_id"].(string)
	}
	made("ana@shop.example", "+4915112345678")
	c.want(t, 204, "POST /v1/users/"+made("amy@shop.example", "+4915187654378")+"/suspend", nil)
	c.want(t, 201, "POST /v1/users/"+made("x@home.example", "+33612345678")+"/emails", map[string]any{"email": "alf@shop.example"})
	w.publish(t, `{"id": "text_me", "name": "Text", "kind": "client", "start": "who", "nodes": {
		"who": {"kind": "get_information", "config": {"form_id": "who", "fields": [{"name": "phone", "label": "Phone number", "type": "phone", "required": true}], "output": "who"}, "next": {"success": "code"}},
		"code": {"kind": "code.sms", "config": {"user": {"expr": "who.phone"}}, "next": {"success": "done", "failure": "no", "cancel": "no"}},
		"done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	mails := []string{"ana@shop.example", "amy@shop.example", "alf@shop.example", "Ann@SHOP.example", "ann@shop.example"}
	for _, way := range []struct {
		journey, option, field string
		names                  []string
		says                   string
	}{
		{"email_otp_login", "email_otp", "email", mails, "If there is an account for a•••@shop.example, we have sent it a code."},
		{"magic_link_login", "", "email", mails, "If there is an account for a•••@shop.example, we have sent it a link."},
		{"password_reset", "", "email", mails, "If there is an account for a•••@shop.example, we have sent it a code."},
		{"text_me", "", "phone", []string{"+4915112345678", "+4915187654378", "+49 151 9999 9978"}, "If there is an account for &#43;49•••••78, we have sent it a code."},
	} {
		first := ""
		for _, name := range way.names {
			p := w.person(t).open(w.URL+"/login/demo-web/"+way.journey).post(way.option, url.Values{way.field: {name}})
			p.sees(way.says).lacks("home.example").lacks(strings.TrimLeft(name, "+"))
			if got := anyPage(p); first == "" {
				first = got
			} else if got != first {
				t.Errorf("%s: %s sees\n%s\nand %s\n%s", way.journey, way.names[0], first, name, got)
			}
		}
	}
}

// TestSentToNobodyKnows: where no address was typed none is shown, neither one that a
// name leads to nor one that the journey has from elsewhere; and no foreign client is
// told of any.
func TestSentToNobodyKnows(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@shop.example", "username": "ana"})
	w.publish(t, `{"id": "by_name", "name": "Name", "kind": "client", "start": "who", "nodes": {
		"who": {"kind": "get_information", "config": {"form_id": "who", "fields": [{"name": "name", "label": "Name", "required": true}], "output": "who"}, "next": {"success": "code"}},
		"code": {"kind": "code.email", "config": {"user": {"expr": "who.name"}}, "next": {"success": "done", "failure": "no", "cancel": "no"}},
		"done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	w.publish(t, `{"id": "elsewhere", "name": "Elsewhere", "kind": "client", "start": "who", "nodes": {
		"who": {"kind": "get_information", "config": {"form_id": "who", "fields": [{"name": "name", "label": "Name", "required": true}], "output": "who"}, "next": {"success": "code"}},
		"code": {"kind": "code.email", "config": {"user": {"expr": "who.name + '@shop.example'"}}, "next": {"success": "done", "failure": "no", "cancel": "no"}},
		"done": {"kind": "complete"}, "no": {"kind": "reject"}}}`)
	for _, journey := range []string{"by_name", "elsewhere"} {
		known := w.person(t).open(w.URL+"/login/demo-web/"+journey).post("", url.Values{"name": {"ana"}}).sees("We have sent you a code.").sees(`aria-describedby="lead"`).lacks("•••").lacks("shop.example")
		stranger := w.person(t).open(w.URL+"/login/demo-web/"+journey).post("", url.Values{"name": {"eve"}})
		if anyPage(known) != anyPage(stranger) {
			t.Errorf("%s: ana sees\n%s\nand eve\n%s", journey, known.page, stranger.page)
		}
	}
	k := talk{client: "demo-web"}
	_, out := w.post(t, "auth/anonymous_invoke", "clientId=demo-web", map[string]any{"headers": []any{}, "data": map[string]any{"policy_request_id": "email_otp_login"}})
	k.read(t, out)
	_, out = w.post(t, "auth/assert", "clientId=demo-web&sid="+url.QueryEscape(k.sid), map[string]any{"headers": []any{}, "data": map[string]any{
		"assertion_id": k.visit, "fch": k.turn, "assert": "escape", "data": map[string]any{"escape_id": "email_otp", "escape_params": map[string]any{"email": "ana@shop.example"}}}})
	if told := db.Text(out); !strings.Contains(told, "code_length") || strings.Contains(told, "•••") {
		t.Errorf("the SDK is told %s", told)
	}
}

// TestSentToTheProven: who has proven who they are sees which of their addresses it is.
func TestSentToTheProven(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false})
	c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@shop.example", "phone_number": "+4915112345678", "username": "ana", "credentials": map[string]any{"password": password, "force_replace": false}})
	next := func(kind string) string {
		return `{"id": "second", "name": "Second", "kind": "client", "start": "who", "nodes": {
			"who": {"kind": "get_information", "config": {"form_id": "who", "fields": [{"name": "name", "label": "Name", "required": true}, {"name": "password", "label": "Password", "type": "secret", "required": true}], "output": "who"}, "next": {"success": "first"}},
			"first": {"kind": "password.authenticate", "config": {"user": {"expr": "who.name"}, "password": {"expr": "who.password"}}, "next": {"success": "second", "failure": "no", "password_expired": "no"}},
			"second": {"kind": "` + kind + `", "next": {"success": "done", "failure": "no", "cancel": "no"` + map[bool]string{true: `, "expired": "no"`}[kind == "magiclink.authenticate"] + `}},
			"done": {"kind": "complete"}, "no": {"kind": "reject"}}}`
	}
	for kind, says := range map[string]string{
		"code.email": "We have sent a code to a•••@shop.example.", "code.sms": "We have sent a code to &#43;49•••••78.", "magiclink.authenticate": "We have sent a link to a•••@shop.example. Open it in this browser.",
	} {
		w.publish(t, next(kind))
		w.person(t).open(w.URL+"/login/demo-web/second").post("", url.Values{"name": {"ana"}, "password": {password}}).sees(says).lacks("ana@shop.example")
	}
}
