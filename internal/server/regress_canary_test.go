package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/server"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// ledger keeps what a log says.
type ledger struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *ledger) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// mine is a server with a log that says everything, and the secrets that went in
// or came out, by what they are.
type mine struct {
	*world
	database string
	log      *ledger
	bearer   string
	secrets  map[string]string
	answers  strings.Builder // to requests with secrets that are ours
}

func newMine(t *testing.T) *mine {
	m := &mine{database: kittest.Address(t), log: &ledger{}, secrets: map[string]string{}}
	m.world = openLogged(t, m.database, slog.New(slog.NewJSONHandler(m.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	m.bearer = m.rest(t).bearer
	m.secrets["access token"], m.secrets["client secret"] = m.bearer, m.Dev.Facts.Clients["backend"].Secret
	return m
}

// plant is a new secret of the caller's.
func (m *mine) plant(what string) string {
	m.secrets[what] = "Canary-" + rand.Text()
	return m.secrets[what]
}

// send makes a request, keeps what it was answered and returns the status.
func (m *mine) send(t *testing.T, route string, body any, head ...string) int {
	t.Helper()
	method, path, _ := strings.Cut(route, " ")
	text, plain := body.(string)
	if !plain {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, m.URL+path, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&m.answers, "%v %s\n", res.Header, b)
	return res.StatusCode
}

// wrong sends secrets that are not right to everything that takes one.
func (m *mine) wrong(t *testing.T) {
	t.Helper()
	back := []string{"Authorization", "Bearer " + m.bearer}
	for route, body := range map[string]map[string]any{
		"POST /v1/auth/password/authenticate":      {"identifier": "ana@example.org", "password": m.plant("wrong password")},
		"POST /v1/auth/password/replace":           {"identifier": "ana@example.org", "password": m.plant("wrong old password"), "new_password": m.plant("wanted password")},
		"POST /v1/auth/totp/authenticate":          {"identifier": "ana@example.org", "totp_code": m.plant("totp code")},
		"POST /v1/auth/otp/authenticate":           {"identifier": "ana@example.org", "passcode": m.plant("passcode")},
		"POST /v1/auth/recovery-code/authenticate": {"identifier": "ana@example.org", "recovery_code": m.plant("recovery code")},
		"POST /v1/auth/session/authenticate":       {"session_id": m.plant("session id")},
		"POST /v1/password-dictionary/check":       {"password": m.plant("checked password")},
		"POST /v1/users/nobody/totp/import":        {"uri": "otpauth-migration://offline?data=" + m.plant("seeds")},
		"POST /v1/users":                           {"email": "not an address", "credentials": map[string]any{"password": m.plant("password of nobody")}},
	} {
		m.send(t, route, body, back...)
		m.send(t, route, db.Text(body)[:len(db.Text(body))-2], back...) // cut: the text ends within the secret
		m.send(t, route, body, "Authorization", "Bearer "+m.plant("bearer of "+route))
	}
	basic := func(secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("demo-backend:"+secret))
	}
	m.send(t, "POST /oidc/token", "grant_type=client_credentials&client_id=demo-backend&client_secret="+m.plant("form secret"), "Content-Type", "application/x-www-form-urlencoded")
	m.send(t, "POST /oidc/token", "grant_type=client_credentials", "Content-Type", "application/x-www-form-urlencoded", "Authorization", basic(m.plant("basic secret")))
	m.send(t, "POST /ido/api/v2/token/introspect", map[string]any{"token": m.plant("journey token")}, "Authorization", basic(m.secrets["client secret"]))
	m.send(t, "GET /nowhere/"+m.plant("path")+"?code="+m.plant("query"), "", "Cookie", "__Host-run="+m.plant("cookie"), "X-Api-Key", m.plant("header"))
	for _, op := range []string{"assert", "poll", "create_debug_token", "anonymous_invoke", "mobile_approve", "key_exchange"} {
		m.send(t, "POST /ido/api/v2/auth/"+op+"?clientId=demo-web&sid="+m.plant("sid at "+op), map[string]any{
			"headers": []any{map[string]any{"type": "device", "device": map[string]any{"device_key_id": "ab", "push_config": map[string]any{"device_token": m.plant("push token at " + op), "type": "Fcm"}}},
				map[string]any{"type": "mobile_approve", "mobile_approve": map[string]any{"request_id": "x", "request_id_signature": m.plant("signature at " + op)}}},
			"data": map[string]any{"assertion_id": m.plant("visit at " + op), "fch": m.plant("turn at " + op), "input": map[string]any{"passcode": m.plant("input at " + op)}}})
	}
	m.send(t, "POST /ido/api/v2/auth/assert?clientId=demo-web", `{"data":{"fch":"`+m.plant("half a body"))
}

// right lets everything that is secret come into being, and uses it.
func (m *mine) right(t *testing.T) {
	t.Helper()
	c := rest{m.world, m.bearer}
	c.want(t, 200, "PATCH /v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false})
	id := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org", "username": "ana", "credentials": map[string]any{"password": m.plant("password"), "force_replace": false}})["user_id"].(string)
	out := c.want(t, 200, "POST /v1/auth/password/authenticate", map[string]any{"identifier": "ana@example.org", "password": m.secrets["password"]})
	for _, name := range []string{"session_id", "access_token", "id_token"} {
		m.secrets["issued "+name] = out[name].(string)
	}
	app, err := simulator.ParseToken(c.want(t, 201, "POST /v1/users/"+id+"/totp", nil)["uri"].(string))
	if err != nil {
		t.Fatal(err)
	}
	m.secrets["seed"] = app.Secret
	for i, code := range c.want(t, 201, "POST /v1/users/"+id+"/recovery-codes", nil)["codes"].([]any) {
		m.secrets[fmt.Sprint("recovery code ", i)] = code.(string)
	}
	b := m.browser(t)
	if _, err := b.Start(t.Context(), "password_with_totp", nil); err != nil {
		t.Fatal(err)
	}
	if r, err := b.Submit(t.Context(), "password", map[string]any{"username": "ana", "password": m.secrets["password"]}); err != nil || r.Step != "second_factor" {
		t.Fatalf("%+v, %v", r, err)
	}
	m.phoned(t)
}

// phoned is a sign-in with a phone that is reached by a push provider.
func (m *mine) phoned(t *testing.T) {
	t.Helper()
	p, err := simulator.New(simulator.Options{Server: m.URL, Client: "demo-native", Email: "grace@example.org", Keys: keys()[0], Now: m.Now,
		Push: simulator.PushConfig{Type: "Fcm", Token: m.plant("push token"), App: "org.example.app"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, r := m.asked(t, "grace@example.org")
	if err := p.Approve(t.Context(), pending(t, p).ID, r.Text("number")); err != nil {
		t.Fatal(err)
	}
	m.secrets["token of the journey"] = ended(t, b).Token
}

// provider stores a password of the operator's.
func (m *mine) provider(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"tenant.yaml":    "id: default\nname: Development\n",
		"providers.yaml": "- {kind: smtp, name: default, config: {host: mail.example, port: 587, username: us, from: a@mail.example, password_file: password}}\n",
		"password":       m.plant("password of the mail server"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := server.ReadFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Apply(t.Context(), m.Kit.DB, f, dir, false); err != nil {
		t.Fatal(err)
	}
}

// stored is every byte that the database keeps.
func (m *mine) stored(t *testing.T) string {
	t.Helper()
	if path, ok := strings.CutPrefix(m.database, "sqlite:"); ok {
		var all []byte
		for _, suffix := range []string{"", "-wal"} {
			b, err := os.ReadFile(path + suffix)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		return string(all)
	}
	var out strings.Builder
	for _, table := range texts(t, m.Kit.DB, `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`) {
		out.WriteString(strings.Join(texts(t, m.Kit.DB, `SELECT x::text FROM "`+table+`" x`), "\n"))
	}
	return out.String()
}

func texts(t *testing.T, q db.Q, query string) []string {
	t.Helper()
	rows, err := q.Query(context.WithoutCancel(t.Context()), query)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	return out
}

// Bar S1, R83: what is secret is in no log, no audit row, no metric, no answer
// to whoever sent it, and in the database only hashed or sealed; also when a
// body is malformed and when the database fails.
func TestReg_S1_Canaries(t *testing.T) {
	m := newMine(t)
	m.right(t)
	m.provider(t)
	m.wrong(t)
	m.do(t, func(tx *db.Tx) error { _, err := tx.Exec(t.Context(), `DROP TABLE lockouts`); return err })
	failed := m.send(t, "POST /v1/auth/password/authenticate", map[string]any{"identifier": "ana@example.org", "password": m.plant("password at a failing database")}, "Authorization", "Bearer "+m.bearer)
	if failed < 500 || !strings.Contains(m.log.String(), "lockouts") {
		t.Errorf("the failing database: %d", failed)
	}
	m.send(t, "GET /metrics", "")
	if n := strings.Count(m.answers.String(), "404 page not found"); n != 1 {
		t.Errorf("%d routes are not there, not the one that is made up", n)
	}

	places := map[string]string{"the log": m.log.String(), "an answer": m.answers.String(), "the database": m.stored(t)}
	if len(m.secrets) < 60 || !strings.Contains(places["the database"], "ana@example.org") || !strings.Contains(places["an answer"], "watchword_http_request") {
		t.Fatalf("%d secrets; the search would not find", len(m.secrets))
	}
	for what, secret := range m.secrets {
		for place, text := range places {
			for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))} {
				if at := strings.Index(text, form); at >= 0 {
					t.Errorf("%s is in %s: …%q…", what, place, text[max(0, at-120):min(len(text), at+len(form)+40)])
				}
			}
		}
	}
}
