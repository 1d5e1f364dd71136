package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// TestRefusedCallsAreInTheRecord: whoever builds a client and gets something wrong is
// found in the record with what was asked for and what was said; nobody who signs in is.
func TestRefusedCallsAreInTheRecord(t *testing.T) {
	w := newWorld(t)
	a := w.owner(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path string, q url.Values, headers ...string) {
		t.Helper()
		body, at := "", w.URL+path
		if method == "POST" {
			body = q.Encode()
		} else if len(q) > 0 {
			at += "?" + q.Encode()
		}
		r, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	kept := func() []map[string]any { return rowsOf(a.must(t, "GET /audit?type=client.refused&limit=100", nil)) }
	good := url.Values{"client_id": {"demo-web"}, "response_type": {"code"}, "redirect_uri": {"http://localhost:3000/callback"}, "scope": {"openid"}, "code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}}
	with := func(name, value string) url.Values {
		q := url.Values{}
		for k, v := range good {
			q[k] = v
		}
		q.Set(name, value)
		return q
	}
	const secret = "wws_THISISNOTTHESECRET"
	ask("GET", "/authorize", good)
	ask("GET", "/login/demo-web/sign_in", nil)
	if rows := kept(); len(rows) != 0 {
		t.Errorf("nothing was refused: %v", rows)
	}
	for _, c := range []struct {
		method, path   string
		q              url.Values
		headers        []string
		reason, client string
		asked          string
	}{
		{"GET", "/authorize", with("redirect_uri", "http://localhost:3000/cb"), nil, "redirect_uri", "demo-web", "http://localhost:3000/cb"},
		{"GET", "/authorize", with("client_id", "demo-wep"), nil, "unknown_client", "", "demo-wep"},
		{"GET", "/authorize", with("code_challenge_method", "plain"), nil, "invalid_request", "demo-web", ""},
		{"POST", "/oidc/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"demo-backend"}, "client_secret": {secret}}, nil, "invalid_client", "demo-backend", "client_credentials"},
		{"POST", "/oidc/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"demo-web"}}, nil, "unauthorized_client", "demo-web", "client_credentials"},
		{"POST", "/oidc/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {"demo-web"}, "code": {"abc"}, "code_verifier": {"x"}}, nil, "invalid_grant", "demo-web", "authorization_code"},
		{"GET", "/login/demo-web/sign_inn", nil, nil, "no_journey", "demo-web", "sign_inn"},
		{"OPTIONS", "/ido/api/v2/auth/anonymous_invoke?clientId=demo-web", nil, []string{"Origin", "https://shop.example", "Access-Control-Request-Method", "POST"}, "origin", "demo-web", "https://shop.example"},
	} {
		before := len(kept())
		ask(c.method, c.path, c.q, c.headers...)
		rows := kept()
		if len(rows) != before+1 {
			t.Errorf("%s: %d entries, want one more than %d", c.reason, len(rows), before)
			continue
		}
		e := rows[before]
		data, _ := e["data"].(map[string]any)
		if e["reason"] != c.reason || e["client"] != c.client || data["asked"] != c.asked || data["told"] == "" || e["address"] != "127.0.0.1" {
			t.Errorf("%s: %v", c.reason, e)
		}
	}
	b := w.browser(t)
	if r, err := b.Start(t.Context(), "nothing_here", nil); err != nil || r.Type != simulator.Rejection {
		t.Errorf("a journey that is not there: %+v, %v", r, err)
	}
	if rows := kept(); rows[len(rows)-1]["reason"] != "no_journey" || rows[len(rows)-1]["data"].(map[string]any)["asked"] != "nothing_here" {
		t.Errorf("a journey that is not there: %v", rows[len(rows)-1])
	}
	if r := a.must(t, "GET /audit?limit=100", nil); strings.Contains(r.Raw, secret) {
		t.Error("the secret that was tried stands in the record")
	}
	before := len(kept())
	for range 50 {
		ask("GET", "/authorize", with("redirect_uri", "http://localhost:3000/cb"))
	}
	if n := len(kept()) - before; n < 1 || n > 3 {
		t.Errorf("50 of the same left %d entries", n)
	}
	w.Pass(time.Minute)
	ask("GET", "/authorize", with("redirect_uri", "http://localhost:3000/cb"))
	if n := len(kept()) - before; n > 4 {
		t.Errorf("a minute later: %d entries", n)
	}
}
