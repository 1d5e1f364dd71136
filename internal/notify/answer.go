package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/watchword-auth/watchword/internal/web"
)

const (
	maxAnswer  = 16 << 10 // bytes of a provider's answer that we read
	maxSaid    = 300      // runes of it that we repeat
	maxPutOff  = time.Hour
	minSecrets = 6 // a shorter text is not looked for in what a provider said
)

// verdict is what became of one attempt. Its zero value is a failure.
type verdict int

const (
	retry         verdict = iota // it may work later
	delivered                    // the provider took it
	gone                         // this target will never work again
	misconfigured                // it will not work before an operator acts
)

// answer is a verdict and what the provider said.
type answer struct {
	verdict verdict
	down    bool          // the provider itself failed, or has enough: not this message, not our configuration
	after   time.Duration // when to try again, if the provider said so
	said    string        // for logs and operators: its words, never a credential
}

func (a answer) reason() string {
	switch a.verdict {
	case delivered:
		return "delivered"
	case gone:
		return Gone
	case misconfigured:
		return Unconfigured
	}
	return Unavailable
}

// reply is a provider's HTTP response.
type reply struct {
	status int
	proto  int // major version
	header http.Header
	body   []byte
}

// do makes an exchange. What it returns as an error names neither the URL nor a
// credential.
func do(client *http.Client, req *http.Request) (reply, error) {
	req.Header.Set("User-Agent", "watchword")
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, anonymous(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return reply{}, anonymous(err)
	}
	return reply{resp.StatusCode, resp.ProtoMajor, resp.Header, body}, nil
}

// anonymous takes the URL off an error of http.Client: a push token or a
// capability URL is a secret.
func anonymous(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// failed is the answer to an exchange that never finished.
func failed(err error) answer {
	switch {
	case errors.Is(err, web.ErrRefused):
		return answer{verdict: misconfigured, said: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return answer{verdict: retry, down: true, said: "no answer in time"}
	}
	return answer{verdict: retry, down: true, said: clip(err.Error(), maxSaid)}
}

// judge is the part of the verdict that all providers have in common; said is
// what this one said.
func (r reply) judge(now time.Time, said string) answer {
	a := answer{verdict: misconfigured, said: strings.TrimSpace(fmt.Sprintf("%d %s", r.status, said))}
	switch {
	case r.status >= 200 && r.status < 300:
		a.verdict = delivered
	case r.status == http.StatusTooManyRequests || r.status >= 500:
		a.verdict, a.down, a.after = retry, true, r.retryAfter(now)
	case r.status == http.StatusRequestTimeout:
		a.verdict = retry
	}
	return a
}

// retryAfter is how long the provider asked us to wait (RFC 9110 10.2.3), at
// least a second and at most an hour; 0 if it did not ask.
func (r reply) retryAfter(now time.Time) time.Duration {
	v := strings.TrimSpace(r.header.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if n, err := strconv.Atoi(v); err == nil {
		return min(max(time.Duration(min(n, 3600))*time.Second, time.Second), maxPutOff)
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), time.Second), maxPutOff)
}

// words makes what a provider said fit to be shown: one line of printable text
// without the secrets that we sent, should it have repeated them.
func words(said string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= minSecrets {
			said = strings.ReplaceAll(said, s, "[secret]")
		}
	}
	said = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, said)
	return clip(strings.Join(strings.Fields(said), " "), maxSaid)
}
