package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// rest is a back end that calls the identity API.
type rest struct {
	base, token string
	secret      string // of the client
	client      *http.Client
}

// backend signs the seeded back end in; its secret stands in the data folder of
// the development mode.
func (s *store) backend(ctx context.Context, p *process, h *http.Client) (rest, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, "dev.json"))
	if err != nil {
		return rest{}, err
	}
	var secrets struct {
		Backend string `json:"backend"`
	}
	if err := json.Unmarshal(b, &secrets); err != nil {
		return rest{}, err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"demo-backend"}, "client_secret": {secrets.Backend}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/oidc/token", strings.NewReader(form.Encode()))
	if err != nil {
		return rest{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var out struct {
		Token string `json:"access_token"`
	}
	c := rest{base: p.url, client: h, secret: secrets.Backend}
	if err := c.read(r, http.StatusOK, &out); err != nil {
		return c, err
	}
	c.token = out.Token
	return c, nil
}

func (c rest) read(r *http.Request, status int, out any) error {
	resp, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusTooManyRequests {
		return errBusy
	}
	if resp.StatusCode != status {
		return fmt.Errorf("%s: %s: %s", r.URL.Path, resp.Status, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

func (c rest) call(ctx context.Context, method, path string, body any, status int, out any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.token)
	return c.read(r, status, out)
}

// totpUser is somebody with an authenticator app. A code is good once, so a user
// is asked for the codes of one window in turn, the oldest first.
type totpUser struct {
	email  string
	secret []byte
}

const (
	totpWindow = 5
	totpPeriod = 30
)

// code is RFC 6238 with SHA-1 and six digits.
func (u totpUser) code(step int64) string {
	var msg [8]byte
	binary.BigEndian.PutUint64(msg[:], uint64(step))
	h := hmac.New(sha1.New, u.secret)
	h.Write(msg[:])
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1_000_000)
}

// enrolTOTP makes n users with an authenticator app each.
func (c rest) enrolTOTP(ctx context.Context, n int) ([]totpUser, error) {
	var none map[string]any
	err := c.call(ctx, http.MethodPatch, "/cis/v1/applications/demo/auth-methods/totp", map[string]any{"window": totpWindow}, http.StatusOK, &none)
	if err != nil {
		return nil, err
	}
	run := rand.Text()[:8] // each round has users of its own: their codes are unused
	out := make([]totpUser, n)
	return out, each(16, n, func(i int) error {
		email := fmt.Sprintf("totp-%s-%05d@example.org", strings.ToLower(run), i)
		id, err := c.createUser(ctx, email, nil)
		if err != nil {
			return err
		}
		var made struct {
			Secret string `json:"secret"`
		}
		if err := c.call(ctx, http.MethodPost, "/cis/v1/users/"+id+"/totp", map[string]any{"label": "bench"}, http.StatusCreated, &made); err != nil {
			return err
		}
		secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(made.Secret, "="))
		out[i] = totpUser{email, secret}
		return err
	})
}

func (c rest) createUser(ctx context.Context, email string, credentials any) (string, error) {
	var made struct {
		Result struct {
			ID string `json:"user_id"`
		} `json:"result"`
	}
	body := map[string]any{"email": email}
	if credentials != nil {
		body["credentials"] = credentials
	}
	err := c.call(ctx, http.MethodPost, "/cis/v1/users", body, http.StatusCreated, &made)
	return made.Result.ID, err
}

// work hands out what a measurement does: one piece to one caller. It ends when
// there is no more.
type work struct {
	mu   sync.Mutex
	next int
	n    int
}

func (w *work) take() (int, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return w.next - 1, w.next <= w.n
}

// repeat does pieces of work, width at a time, until d is over or none is left.
func repeat(ctx context.Context, width int, d time.Duration, n int, fn func(i int) error) (took []time.Duration, err error) {
	w, until := &work{n: n}, time.Now().Add(d)
	var mu sync.Mutex
	err = each(width, width, func(int) error {
		for time.Now().Before(until) && ctx.Err() == nil {
			i, ok := w.take()
			if !ok {
				return nil
			}
			began := time.Now()
			err := fn(i)
			if errors.Is(err, errBusy) {
				continue
			}
			if err != nil {
				return err
			}
			mu.Lock()
			took = append(took, time.Since(began))
			mu.Unlock()
		}
		return nil
	})
	return took, errors.Join(err, ctx.Err())
}

// methods measures single methods through the back-end API.
func (s *store) methods(ctx context.Context, p *process, t *table, o options) error {
	h := client()
	defer h.CloseIdleConnections()
	c, err := s.backend(ctx, p, h)
	if err != nil {
		return err
	}
	for _, fn := range []func(context.Context, *process, *table, options, rest) error{s.parties, s.vendors, s.totp, s.journeys, s.passkeys, s.passwords} {
		if err := fn(ctx, p, t, o, c); err != nil {
			return err
		}
	}
	return nil
}

// totp is sign-ins with a code of an authenticator app, through the back-end
// API. The codes of the whole window are used, for each is good once.
func (s *store) totp(ctx context.Context, p *process, t *table, o options, c rest) error {
	users, err := c.enrolTOTP(ctx, o.TOTP)
	if err != nil {
		return err
	}
	return s.codes(ctx, p, t, o, c, users, "TOTP sign-ins over REST, 32 at a time")
}

// codes signs users in with one code after the other.
func (s *store) codes(ctx context.Context, p *process, t *table, o options, c rest, users []totpUser, what string) error {
	users = distinct(users)
	codes, now := unusedCodes(len(users))
	return s.costs(ctx, p, t, what, func() ([]time.Duration, error) {
		return repeat(ctx, 32, seconds(o.Seconds), codes, func(i int) error {
			u := users[i%len(users)]
			var out map[string]any
			return c.call(ctx, http.MethodPost, "/cis/v1/auth/totp/authenticate", map[string]any{"identifier": u.email, "totp_code": u.code(now + int64(i/len(users)))}, http.StatusOK, &out)
		})
	})
}

// distinct are the users none of whose next codes are the same: of two equal ones
// the server takes the newer, and the codes between them are used up with it.
func distinct(users []totpUser) []totpUser {
	now := time.Now().Unix() / totpPeriod
	var out []totpUser
	for _, u := range users {
		seen, twice := map[string]bool{}, false
		for step := now - 2*totpWindow; step <= now+4*totpWindow; step++ {
			twice = twice || seen[u.code(step)]
			seen[u.code(step)] = true
		}
		if !twice {
			out = append(out, u)
		}
	}
	return out
}

// unusedCodes is how many sign-ins n users have codes for, and the first step:
// the outermost of the window may run out while we measure.
func unusedCodes(n int) (count int, first int64) {
	return n * (2*totpWindow - 1), time.Now().Unix()/totpPeriod - totpWindow + 2
}

// journeys is the same through journeys, as a page with the SDK runs them.
func (s *store) journeys(ctx context.Context, p *process, t *table, o options, c rest) error {
	users, err := c.enrolTOTP(ctx, o.TOTP)
	if err != nil {
		return err
	}
	users = distinct(users)
	codes, now := unusedCodes(len(users))
	return s.costs(ctx, p, t, "TOTP sign-ins through journeys, 32 at a time", func() ([]time.Duration, error) {
		return repeat(ctx, 32, seconds(o.Seconds), codes, func(i int) error {
			b, err := simulator.NewBrowser(simulator.BrowserOptions{Server: p.url, Client: "demo-web", HTTP: c.client, Now: time.Now})
			if err != nil {
				return err
			}
			if _, err := b.Start(ctx, "totp_login", nil); err != nil {
				return busy(err)
			}
			u := users[i%len(users)]
			r, err := b.Submit(ctx, "totp", map[string]any{"username": u.email, "totp_code": u.code(now + int64(i/len(users)))})
			if err == nil && r.Type != simulator.Success {
				err = fmt.Errorf("a code was refused: %s %s", r.ErrorText, r.Reason)
			}
			return busy(err)
		})
	})
}

// passkeys is sign-ins by a passkey: the challenge and its answer.
func (s *store) passkeys(ctx context.Context, p *process, t *table, o options, c rest) error {
	const base = "/v1/auth/webauthn/"
	run := strings.ToLower(rand.Text()[:8])
	keys := make([]*simulator.Passkey, 64)
	email := func(i int) string { return fmt.Sprintf("key-%s-%02d@example.org", run, i) }
	err := each(8, len(keys), func(i int) error {
		var made, started map[string]any
		if err := c.call(ctx, http.MethodPost, "/v1/users", map[string]any{"email": email(i), "external_user_id": email(i)}, http.StatusCreated, &made); err != nil {
			return err
		}
		if err := c.call(ctx, http.MethodPost, base+"register/start", map[string]any{"client_id": "demo-web", "username": email(i)}, http.StatusOK, &started); err != nil {
			return err
		}
		keys[i] = simulator.NewPasskey("http://localhost:3000")
		result, err := keys[i].Create(started)
		if err != nil {
			return err
		}
		return c.call(ctx, http.MethodPost, base+"external/register", map[string]any{"external_user_id": email(i), "webauthn_encoded_result": result}, http.StatusCreated, &made)
	})
	if err != nil {
		return err
	}
	var turns [64]sync.Mutex // a passkey counts its uses one after the other
	return s.costs(ctx, p, t, "passkey sign-ins over REST, 32 at a time", func() ([]time.Duration, error) {
		return repeat(ctx, 32, seconds(o.Seconds), 1<<30, func(i int) error {
			turns[i%64].Lock()
			defer turns[i%64].Unlock()
			var started, out map[string]any
			if err := c.call(ctx, http.MethodPost, base+"authenticate/start", map[string]any{"client_id": "demo-web", "username": email(i % 64)}, http.StatusOK, &started); err != nil {
				return err
			}
			result, err := keys[i%64].Get(started)
			if err != nil {
				return err
			}
			return c.call(ctx, http.MethodPost, base+"authenticate", map[string]any{"webauthn_encoded_result": result}, http.StatusOK, &out)
		})
	})
}

// passwords is sign-ins with a password, beside what the machine does of nothing
// but the hash.
func (s *store) passwords(ctx context.Context, p *process, t *table, o options, c rest) error {
	emails := make([]string, 64)
	run, password := rand.Text()[:8], "tall-otter-crosses-4-rivers"
	var none map[string]any
	if err := c.call(ctx, http.MethodPatch, "/cis/v1/applications/demo/auth-methods/password", map[string]any{"checkHibp": false}, http.StatusOK, &none); err != nil {
		return err
	}
	err := each(4, len(emails), func(i int) error {
		emails[i] = fmt.Sprintf("pwd-%s-%02d@example.org", strings.ToLower(run), i)
		_, err := c.createUser(ctx, emails[i], map[string]any{"password": password, "force_replace": false})
		return err
	})
	if err != nil {
		return err
	}
	d := seconds(o.Seconds)
	hashes, err := repeat(ctx, runtime.NumCPU(), d, 1<<30, func(int) error {
		argon2.IDKey([]byte(password), []byte("0123456789abcdef"), 2, 19<<10, 1, 32)
		return nil
	})
	if err != nil {
		return err
	}
	t.add("argon2id hashes of the machine", s.name, "/s", float64(len(hashes))/d.Seconds())
	return s.costs(ctx, p, t, "password sign-ins over REST, 32 at a time", func() ([]time.Duration, error) {
		return repeat(ctx, 32, d, 1<<30, func(i int) error {
			var out map[string]any
			return c.call(ctx, http.MethodPost, "/cis/v1/auth/password/authenticate", map[string]any{"identifier": emails[i%len(emails)], "password": password}, http.StatusOK, &out)
		})
	})
}

// costs adds the rows of one kind of work.
func (s *store) costs(ctx context.Context, p *process, t *table, what string, fn func() ([]time.Duration, error)) error {
	before, err := s.usage(ctx, p)
	if err != nil {
		return err
	}
	took, err := fn()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	after, err := s.usage(ctx, p)
	if err != nil {
		return err
	}
	n := float64(len(took))
	if n == 0 {
		return fmt.Errorf("%s: none succeeded", what)
	}
	t.add(what, s.name, "/s", n/after.at.Sub(before.at).Seconds())
	t.add(what+": p50", s.name, "ms", ms(percentile(took, 50)))
	t.add(what+": p99", s.name, "ms", ms(percentile(took, 99)))
	t.add(what+": server CPU", s.name, "ms", ms(after.server-before.server)/n)
	t.add(what+": write transactions", s.name, "", (after.commits-before.commits)/n)
	return nil
}
