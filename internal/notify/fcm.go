package notify

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

const (
	fcmScope   = "https://www.googleapis.com/auth/firebase.messaging"
	fcmGrant   = "urn:ietf:params:oauth:grant-type:jwt-bearer" // RFC 7523 2.1
	fcmMargin  = time.Minute                                   // an access token is left alone so long before it ends
	fcmMaxLife = time.Hour
)

// fcm is Firebase Cloud Messaging, HTTP v1, with a service account.
type fcm struct {
	client         *http.Client
	now            func() time.Time
	base, tokenURL string

	mu    sync.Mutex
	grant map[string]*fcmGrantState
}

// fcmGrantState is the access token of one service account. Whoever holds turn
// may read and replace it; others wait, so that one of them asks Google.
type fcmGrantState struct {
	turn    chan struct{}
	token   string
	expires time.Time
}

type fcmConfig struct {
	ServiceAccount string `json:"service_account"`
	AppIdentifier  string `json:"app_identifier"`
}

// serviceAccount is the file that Google hands out. Its token_uri is not
// followed: where we present a signed assertion is ours to know.
type serviceAccount struct {
	Type         string `json:"type"`
	ProjectID    string `json:"project_id"`
	PrivateKeyID string `json:"private_key_id"`
	PrivateKey   string `json:"private_key"`
	ClientEmail  string `json:"client_email"`
}

var fcmProject = regexp.MustCompile(`^[a-z0-9][a-z0-9.:-]{0,99}$`)

func checkFCM(doc map[string]any) error {
	s, err := parseServiceAccount(text(doc, "service_account"))
	if err == nil {
		_, err = s.key()
	}
	if err != nil {
		return fault.At(fault.New(fault.Invalid, "The service account is not a file that Google hands out: %v.", err), "service_account")
	}
	return nil
}

// parseServiceAccount never quotes the file in an error.
func parseServiceAccount(file string) (serviceAccount, error) {
	var s serviceAccount
	if err := json.Unmarshal([]byte(file), &s); err != nil {
		return s, errors.New("it is not JSON")
	}
	switch {
	case s.Type != "service_account":
		return s, errors.New("its type is not service_account")
	case !fcmProject.MatchString(s.ProjectID):
		return s, errors.New("it has no project id")
	case s.ClientEmail == "":
		return s, errors.New("it has no client e-mail")
	}
	return s, nil
}

// key is read only to sign: checking an RSA key takes its time.
func (s serviceAccount) key() (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(s.PrivateKey))
	if block == nil {
		return nil, errors.New("it has no private key")
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("its private key is not PKCS #8")
	}
	key, ok := any.(*rsa.PrivateKey)
	if !ok || key.N.BitLen() < 2048 {
		return nil, errors.New("its private key is not RSA of 2048 bits")
	}
	return key, nil
}

// route is the service: what fails for one account fails for all.
func (f *fcm) route([]Provider, Message) string { return FCM }

func (f *fcm) send(ctx context.Context, ps []Provider, m Message) answer {
	p, ok := chooseFCM(ps, m.Target.AppIdentifier)
	if !ok {
		return answer{verdict: misconfigured, said: "no configuration for the package " + strconv.Quote(m.Target.AppIdentifier)}
	}
	return f.post(ctx, p, m, false)
}

// test has Google check a message for a token that no device has. A complaint
// about the token is a good sign: credentials and project were judged before.
func (f *fcm) test(ctx context.Context, p Provider) answer {
	m := Message{RequestID: "test", Title: "Test", Body: "Test", Expires: f.now().Add(time.Second), Target: Target{Kind: FCM, Address: "test"}}
	out := f.post(ctx, p, m, true)
	if out.verdict == gone {
		out.verdict = delivered
	}
	return out
}

// chooseFCM prefers the configuration made for a package over one for all.
func chooseFCM(ps []Provider, pkg string) (Provider, bool) {
	for _, want := range []string{pkg, ""} {
		i := slices.IndexFunc(ps, func(p Provider) bool {
			var c fcmConfig
			return p.Into(&c) == nil && c.AppIdentifier == want
		})
		if i >= 0 {
			return ps[i], true
		}
	}
	return Provider{}, false
}

// post sends m, or has Google only validate it.
func (f *fcm) post(ctx context.Context, p Provider, m Message, validate bool) answer {
	var c fcmConfig
	if err := p.Into(&c); err != nil {
		return answer{verdict: misconfigured, said: err.Error()}
	}
	account, err := parseServiceAccount(c.ServiceAccount)
	if err != nil {
		return answer{verdict: misconfigured, said: err.Error()}
	}
	message := map[string]any{
		"token":   m.Target.Address,
		"data":    m.data(),
		"android": map[string]any{"priority": "HIGH", "ttl": strconv.Itoa(m.ttl(f.now())) + "s", "collapse_key": collapse(m.RequestID)},
	}
	if m.Vendor != nil { // its apps do not draw the message themselves
		message["notification"] = map[string]string{"title": clip(m.Title, maxTitle), "body": clip(m.Body, maxBody)}
		message["apns"] = map[string]any{"payload": map[string]any{"aps": map[string]any{"content-available": 1, "mutable-content": 1}}}
	}
	body := db.Text(map[string]any{"validate_only": validate, "message": message})
	token, fresh, bad := f.token(ctx, p, account, "")
	if bad != nil {
		return *bad
	}
	out, status := f.once(ctx, account, token, body, m)
	if status == http.StatusUnauthorized && !fresh {
		// A token that was good when we got it was revoked since.
		if token, _, bad = f.token(ctx, p, account, token); bad != nil {
			return *bad
		}
		out, _ = f.once(ctx, account, token, body, m)
	}
	return out
}

func (f *fcm) once(ctx context.Context, s serviceAccount, token, body string, m Message) (answer, int) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.base+"/v1/projects/"+s.ProjectID+"/messages:send", strings.NewReader(body))
	if err != nil {
		return answer{verdict: misconfigured, said: "the server's address is no URL"}, 0
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	r, err := do(f.client, req)
	if err != nil {
		return failed(err), 0
	}
	e := readFCMError(r.body)
	out := r.judge(f.now(), words(e.words(), token, m.Target.Address))
	if e.gone() && r.status >= 400 && r.status < 500 {
		out.verdict = gone
	}
	return out, r.status
}

// fcmError is google.rpc.Status with the details that FCM adds.
type fcmError struct {
	Status  string `json:"status"`
	Message string `json:"message"`
	Details []struct {
		ErrorCode       string `json:"errorCode"`
		FieldViolations []struct {
			Field string `json:"field"`
		} `json:"fieldViolations"`
	} `json:"details"`
}

func readFCMError(body []byte) fcmError {
	var in struct {
		Error fcmError `json:"error"`
	}
	_ = json.Unmarshal(body, &in) // an answer that is no JSON is judged by its status
	return in.Error
}

func (e fcmError) words() string {
	out := e.Status
	for _, d := range e.Details {
		if d.ErrorCode != "" {
			out += " " + d.ErrorCode
		}
	}
	if e.Message != "" {
		out += ": " + e.Message
	}
	return out
}

// gone reports whether the error is about the registration token: it was
// unregistered, is unknown, or never was one. A 404 of something that is not FCM
// has no such status and is not about a token.
func (e fcmError) gone() bool {
	if e.Status == "NOT_FOUND" {
		return true
	}
	for _, d := range e.Details {
		if d.ErrorCode == "UNREGISTERED" {
			return true
		}
		for _, v := range d.FieldViolations {
			if v.Field == "message.token" {
				return true
			}
		}
	}
	return false
}

// token returns an access token of the account, and whether it was just made. A
// kept token that equals stale is replaced.
func (f *fcm) token(ctx context.Context, p Provider, s serviceAccount, stale string) (string, bool, *answer) {
	g := f.state(p.fingerprint())
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		a := failed(ctx.Err())
		return "", false, &a
	}
	if g.token != "" && g.token != stale && f.now().Before(g.expires) {
		return g.token, false, nil
	}
	token, life, bad := f.ask(ctx, s)
	if bad != nil {
		return "", false, bad
	}
	g.token, g.expires = token, f.now().Add(life-fcmMargin)
	return token, true, nil
}

func (f *fcm) state(name string) *fcmGrantState {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.grant == nil {
		f.grant = map[string]*fcmGrantState{}
	}
	g, ok := f.grant[name]
	if !ok {
		g = &fcmGrantState{turn: make(chan struct{}, 1)}
		f.grant[name] = g
	}
	return g
}

// ask trades a signed assertion for an access token (RFC 7523).
func (f *fcm) ask(ctx context.Context, s serviceAccount) (string, time.Duration, *answer) {
	fail := func(a answer) (string, time.Duration, *answer) { return "", 0, &a }
	now := f.now()
	key, err := s.key()
	if err != nil {
		return fail(answer{verdict: misconfigured, said: err.Error()})
	}
	assertion, err := signJWT(jose.RS256, key, map[jose.HeaderKey]any{"kid": s.PrivateKeyID, jose.HeaderType: "JWT"}, map[string]any{
		"iss": s.ClientEmail, "scope": fcmScope, "aud": f.tokenURL, "iat": now.Unix(), "exp": now.Add(fcmMaxLife).Unix(),
	})
	if err != nil {
		return fail(answer{verdict: misconfigured, said: err.Error()})
	}
	form := url.Values{"grant_type": {fcmGrant}, "assertion": {assertion}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.tokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return fail(answer{verdict: misconfigured, said: "the token server's address is no URL"})
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r, err := do(f.client, req)
	if err != nil {
		return fail(failed(err))
	}
	var out struct {
		AccessToken      string `json:"access_token"`
		ExpiresIn        int    `json:"expires_in"`
		Error            string `json:"error"`
		ErrorDescription string `json:"error_description"`
	}
	err = json.Unmarshal(r.body, &out)
	if r.status == http.StatusOK && err == nil && out.AccessToken != "" {
		return out.AccessToken, min(max(time.Duration(out.ExpiresIn)*time.Second, 2*fcmMargin), fcmMaxLife), nil
	}
	a := r.judge(now, "from the token server: "+words(fmt.Sprintf("%s %s", out.Error, out.ErrorDescription), assertion))
	if a.verdict == delivered {
		a.verdict, a.down = retry, true // 200 without a token
	}
	return fail(a)
}
