package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const partyBack = "http://127.0.0.1:1/callback"

// visitor is a browser that signed in by a password on the server's pages.
type visitor struct {
	base    string
	client  *http.Client
	refresh string
}

var posted = regexp.MustCompile(`name="(visit|turn)" value="([^"]*)"`)

func (s *store) visitor(ctx context.Context, p *process, transport http.RoundTripper) (*visitor, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, "dev.json"))
	if err != nil {
		return nil, err
	}
	var secrets struct {
		Password string `json:"password"`
	}
	if err := json.Unmarshal(b, &secrets); err != nil {
		return nil, err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	v := &visitor{base: p.url, client: &http.Client{Transport: transport, Jar: jar, Timeout: time.Minute, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
	verifier := rand.Text() + rand.Text()
	page, at, err := v.get(ctx, v.authorize(verifier))
	for _, answer := range []url.Values{{"username": {"ada@example.org"}}, {"option": {"password"}, "password": {secrets.Password}}} {
		if err != nil {
			return nil, err
		}
		for _, m := range posted.FindAllStringSubmatch(page, -1) {
			answer.Set(m[1], m[2])
		}
		page, at, err = v.post(ctx, at, answer)
	}
	if err != nil {
		return nil, err
	}
	return v, v.redeem(ctx, at, verifier)
}

func (v *visitor) authorize(verifier string) string {
	h := sha256.Sum256([]byte(verifier))
	return v.base + "/authorize?" + url.Values{"client_id": {"demo-native"}, "redirect_uri": {partyBack}, "response_type": {"code"}, "scope": {"openid offline_access"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(h[:])}, "code_challenge_method": {"S256"}}.Encode()
}

// get returns a page and where it is, or where the browser was sent back to.
func (v *visitor) get(ctx context.Context, address string) (page, at string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", "", err
	}
	return v.do(r)
}

func (v *visitor) post(ctx context.Context, address string, form url.Values) (page, at string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(r)
}

func (v *visitor) do(r *http.Request) (page, at string, err error) {
	resp, err := v.client.Do(r)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if to := resp.Header.Get("Location"); to != "" {
		return "", to, err
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		return "", "", errBusy
	}
	return string(b), resp.Request.URL.String(), err
}

func (v *visitor) redeem(ctx context.Context, at, verifier string) error {
	u, err := url.Parse(at)
	if err != nil || u.Query().Get("code") == "" {
		return errors.Join(err, fmt.Errorf("no code came back: %s", at))
	}
	return v.tokens(ctx, url.Values{"grant_type": {"authorization_code"}, "client_id": {"demo-native"}, "code": {u.Query().Get("code")}, "redirect_uri": {partyBack}, "code_verifier": {verifier}})
}

// tokens asks the token endpoint and keeps the refresh token.
func (v *visitor) tokens(ctx context.Context, form url.Values) error {
	page, _, err := v.post(ctx, v.base+"/oidc/token", form)
	if err != nil {
		return err
	}
	var out struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(page), &out); err != nil || out.Access == "" {
		return fmt.Errorf("no tokens: %s", page)
	}
	v.refresh = out.Refresh
	return nil
}

// parties measures what relying parties ask for.
func (s *store) parties(ctx context.Context, p *process, t *table, o options, c rest) error {
	visitors := make([]*visitor, 32)
	if _, err := s.visitor(ctx, p, c.client.Transport); err != nil { // the first sign-in replaces the seeded hash, alone
		return fmt.Errorf("signing in at a relying party: %w", err)
	}
	if err := each(4, len(visitors), func(i int) (err error) {
		visitors[i], err = s.visitor(ctx, p, c.client.Transport)
		return err
	}); err != nil {
		return fmt.Errorf("signing in at a relying party: %w", err)
	}
	free := make(chan *visitor, len(visitors))
	for _, v := range visitors {
		free <- v
	}
	with := func(fn func(v *visitor) error) func(int) error {
		return func(int) error {
			v := <-free
			defer func() { free <- v }()
			return fn(v)
		}
	}
	fetch := func(path string) func(int) error {
		return func(int) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
			if err != nil {
				return err
			}
			return c.read(r, http.StatusOK, nil)
		}
	}
	ask := func(path string, form url.Values) func(int) error {
		return func(int) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+path, strings.NewReader(form.Encode()))
			if err != nil {
				return err
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return c.read(r, http.StatusOK, nil)
		}
	}
	own := url.Values{"client_id": {"demo-backend"}, "client_secret": {c.secret}}
	credentials, introspection := url.Values{"grant_type": {"client_credentials"}}, url.Values{"token": {c.token}}
	for name, v := range own {
		credentials[name], introspection[name] = v, v
	}
	for _, m := range []struct {
		what string
		fn   func(int) error
	}{
		{"discovery documents, 32 at a time", fetch("/.well-known/openid-configuration")},
		{"key sets, 32 at a time", fetch("/.well-known/jwks.json")},
		{"client_credentials tokens, 32 at a time", ask("/oidc/token", credentials)},
		{"introspections, 32 at a time", ask("/oidc/introspect", introspection)},
		{"refreshes, 32 at a time", with(func(v *visitor) error {
			return v.tokens(ctx, url.Values{"grant_type": {"refresh_token"}, "client_id": {"demo-native"}, "refresh_token": {v.refresh}})
		})},
		{"code flows on a session, 32 at a time", with(func(v *visitor) error {
			verifier := rand.Text() + rand.Text()
			_, at, err := v.get(ctx, v.authorize(verifier))
			if err != nil {
				return err
			}
			return v.redeem(ctx, at, verifier)
		})},
	} {
		if err := s.costs(ctx, p, t, m.what, func() ([]time.Duration, error) { return repeat(ctx, 32, seconds(o.Seconds), 1<<30, m.fn) }); err != nil {
			return fmt.Errorf("%s: %w", m.what, err)
		}
	}
	return nil
}
