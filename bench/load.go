package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// client speaks to the server over connections that stay open.
func client() *http.Client {
	return &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConns: 0, MaxIdleConnsPerHost: 100_000, IdleConnTimeout: time.Minute}}
}

// keyring holds keys that are made before anything is measured.
type keyring struct {
	users []*simulator.Keys // one for each user who answers
	some  []*simulator.Keys // shared by the users who only wait
	crowd int               // how many those are
}

func makeKeys(o options) (keyring, error) {
	k := keyring{users: make([]*simulator.Keys, o.Users), some: make([]*simulator.Keys, 10), crowd: max(o.Watchers, o.Waiting)}
	note("making %d keys", len(k.users)+len(k.some))
	err := each(runtime.NumCPU(), len(k.users)+len(k.some), func(i int) (err error) {
		if i < len(k.users) {
			k.users[i], err = simulator.NewKeys()
		} else {
			k.some[i-len(k.users)], err = simulator.NewKeys()
		}
		return err
	})
	return k, err
}

// each calls fn for 0 to n-1, width at a time, and returns the first error.
func each(width, n int, fn func(i int) error) error {
	var next atomic.Int64
	var work sync.WaitGroup
	errs := make(chan error, width)
	for range width {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := fn(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	work.Wait()
	close(errs)
	return <-errs
}

// user is somebody with a phone at hand.
type user struct {
	email string
	keys  *simulator.Keys
	phone *simulator.Phone
	last  atomic.Int64 // when the phone sent its newest request, ns since 1970
}

// stamp notes when a phone sends.
type stamp struct {
	u    *user
	next http.RoundTripper
}

// RoundTrip notes the time and sends.
func (s stamp) RoundTrip(r *http.Request) (*http.Response, error) {
	s.u.last.Store(time.Now().UnixNano())
	return s.next.RoundTrip(r)
}

func newUser(server, email string, keys *simulator.Keys, h *http.Client) (*user, error) {
	u := &user{email: email, keys: keys}
	var err error
	u.phone, err = simulator.New(simulator.Options{
		Server: server, Client: "demo-native", Email: email, Now: time.Now, Keys: keys, HTTP: &http.Client{Timeout: h.Timeout, Transport: stamp{u, h.Transport}},
	})
	return u, err
}

// errBusy is a server that says, with status 503, that it is too busy now. It is
// counted; every other failure ends the run.
var errBusy = errors.New("the server was too busy")

// busy turns a refusal with status 503 into errBusy.
func busy(err error) error {
	if refused, ok := errors.AsType[*simulator.Refusal](err); ok && refused.Status == http.StatusServiceUnavailable {
		return fmt.Errorf("%w: %w", errBusy, err)
	}
	return err
}

// ask brings a browser to the step that waits for the phone, and returns the
// number that it shows.
func ask(ctx context.Context, b *simulator.Browser, email string) (string, error) {
	r, err := b.Start(ctx, "web_login", nil)
	if err == nil && r.Type == simulator.InputRequired {
		r, err = b.Submit(ctx, "web_to_mobile", map[string]any{"email": email})
	}
	switch {
	case err != nil:
		return "", err
	case r.Status == http.StatusServiceUnavailable:
		return "", errBusy
	case r.Type != simulator.InputRequired || r.Text("number") == "":
		return "", fmt.Errorf("no number to match, but %s %s: %s %s", r.Type, r.Step, r.Reason, r.ErrorText)
	}
	return r.Text("number"), nil
}

// wait is the browser's half from the number to the token; it returns when that
// was.
func wait(ctx context.Context, b *simulator.Browser) (time.Time, error) {
	r, err := b.Wait(ctx)
	at := time.Now()
	switch {
	case err != nil:
		return at, err
	case r.Status == http.StatusServiceUnavailable:
		return at, errBusy
	case r.Type != simulator.Success || r.Token == "":
		return at, fmt.Errorf("the browser ended with %s: %s %s", r.Type, r.Reason, r.ErrorText)
	}
	return at, nil
}

// approve is the phone's half.
func approve(ctx context.Context, u *user, number string) error {
	list, err := u.phone.Pending(ctx, 20*time.Second)
	if err != nil {
		return busy(err)
	}
	if len(list) != 1 {
		return fmt.Errorf("%d requests wait on the phone", len(list))
	}
	return busy(u.phone.Approve(ctx, list[0].ID, number))
}

// signIn is one whole sign-in: the browser asks and waits, the phone sees the
// request, enters the number and approves, the browser gets its token. It
// returns how long the browser took to have it from when the phone sent its last
// answer.
func signIn(ctx context.Context, b *simulator.Browser, u *user) (time.Duration, error) {
	number, err := ask(ctx, b, u.email)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type end struct {
		at  time.Time
		err error
	}
	done := make(chan end, 1)
	go func() {
		at, err := wait(ctx, b)
		done <- end{at, err}
	}()
	if err = approve(ctx, u, number); err != nil {
		cancel() // nobody will approve
	}
	e := <-done
	if err == nil {
		err = e.err
	}
	return e.at.Sub(time.Unix(0, u.last.Load())), err
}

func newBrowser(server string, keys *simulator.Keys, h *http.Client) (*simulator.Browser, error) {
	return simulator.NewBrowser(simulator.BrowserOptions{Server: server, Client: "demo-web", Key: keys.Device, HTTP: h, Now: time.Now})
}

// driven is what came of a while of sign-ins.
type driven struct {
	took []time.Duration // of each that succeeded
	busy int             // sign-ins that the server was too busy for
}

// drive runs whole sign-ins, width at a time, until d is over.
func drive(ctx context.Context, server string, users []*user, width int, d time.Duration) (out driven, err error) {
	h := client()
	defer h.CloseIdleConnections()
	pool := make(chan *user, len(users))
	for _, u := range users {
		pool <- u
	}
	until := time.Now().Add(d)
	var mu sync.Mutex
	count := func(err error, took time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case errors.Is(err, errBusy):
			out.busy++
			return nil
		case err == nil:
			out.took = append(out.took, took)
		}
		return err
	}
	err = each(width, width, func(int) error {
		b, err := newBrowser(server, users[0].keys, h)
		for err == nil && time.Now().Before(until) && ctx.Err() == nil {
			u, began := <-pool, time.Now()
			_, err = signIn(ctx, b, u)
			pool <- u
			err = count(err, time.Since(began))
		}
		return err
	})
	return out, errors.Join(err, ctx.Err())
}

// crowd is browsers that wait for phones that do not answer.
type crowd struct {
	cancel context.CancelFunc
	work   sync.WaitGroup
	failed atomic.Pointer[error]
	client *http.Client
}

// gather makes n browsers wait, each for a user of its own. When it returns all
// of them do.
func gather(ctx context.Context, server string, keys *simulator.Keys, n int) (*crowd, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &crowd{cancel: cancel, client: client()}
	err := each(32, n, func(i int) error {
		b, err := newBrowser(server, keys, c.client)
		if err != nil {
			return err
		}
		if err := insist(ctx, b, crowdEmail(i)); err != nil {
			return err
		}
		c.work.Go(func() { c.wait(ctx, b, crowdEmail(i)) })
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, c.leave())
	}
	return c, nil
}

// insist is ask until the server is not too busy, for ten seconds.
func insist(ctx context.Context, b *simulator.Browser, email string) error {
	for try := 0; ; try++ {
		_, err := ask(ctx, b, email)
		if !errors.Is(err, errBusy) || try == 10 {
			return err
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}

// wait keeps one browser waiting: when its request has run out it asks again, as
// a person would.
func (c *crowd) wait(ctx context.Context, b *simulator.Browser, email string) {
	for {
		r, err := b.Wait(ctx)
		if err == nil && r.Type != simulator.Rejection {
			err = fmt.Errorf("a request that nobody answered ended with %s", r.Type)
		}
		if err == nil {
			err = insist(ctx, b, email)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.failed.Store(&err)
			return
		}
	}
}

// leave ends the waiting; an error if any browser had stopped before.
func (c *crowd) leave() error {
	c.cancel()
	c.work.Wait()
	c.client.CloseIdleConnections()
	if err := c.failed.Load(); err != nil {
		return fmt.Errorf("waiting: %w", *err)
	}
	return nil
}

func crowdEmail(i int) string { return fmt.Sprintf("crowd%05d@example.org", i) }

// greet counts how many bare requests a second the machine makes of width
// clients.
func greet(ctx context.Context, url string, width int, d time.Duration) (float64, error) {
	h := client()
	defer h.CloseIdleConnections()
	var count atomic.Int64
	began := time.Now()
	err := each(width, width, func(int) error {
		for time.Since(began) < d {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return err
			}
			res, err := h.Do(req)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, res.Body)
			if err = errors.Join(err, res.Body.Close()); err != nil {
				return err
			}
			count.Add(1)
		}
		return nil
	})
	return float64(count.Load()) / time.Since(began).Seconds(), err
}
