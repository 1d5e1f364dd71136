package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// customer is somebody with a phone that was enrolled through the cidaas door, and
// the page that signs them in.
type customer struct {
	email string
	page  simulator.CidaasPage
	phone *simulator.CidaasPhone
}

// customers enrols n phones, each of a new user.
func (c rest) customers(ctx context.Context, n int) ([]*customer, error) {
	out := make([]*customer, n)
	return out, each(4, n, func(i int) error {
		u := &customer{email: fmt.Sprintf("customer%03d@example.org", i), page: simulator.CidaasPage{Server: c.base, Client: "demo-web", HTTP: c.client}}
		var made map[string]any
		err := c.call(ctx, http.MethodPost, "/cis/v1/users", map[string]any{"email": u.email}, http.StatusCreated, &made)
		if err != nil {
			return err
		}
		if u.phone, err = simulator.NewCidaasPhone(simulator.Options{Server: c.base, Client: "demo-web", Email: u.email, Now: time.Now, HTTP: c.client}); err != nil {
			return err
		}
		token, err := u.phone.SignIn(ctx)
		if err == nil {
			err = u.phone.Enrol(ctx, token)
		}
		out[i] = u
		return err
	})
}

// signIn is one whole Smart PUSH: the request, the number, what waits on the phone,
// its three answers, the status, and the tokens.
func (u *customer) signIn(ctx context.Context) error {
	a, err := u.page.Initiate(ctx, "PUSH", u.email)
	if err != nil {
		return busy(err)
	}
	list, err := u.phone.Pending(ctx, 0)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("%d requests wait on the phone", len(list))
	}
	if err == nil {
		err = u.phone.Approve(ctx, list[0].ID, a.Number)
	}
	if err != nil {
		return busy(err)
	}
	state, err := u.page.State(ctx, a)
	if err == nil && state != "AUTHENTICATED" {
		err = errors.New("the page is told " + state)
	}
	if err == nil {
		_, err = u.page.Finish(ctx, a)
	}
	return busy(err)
}

// vendors measures Smart PUSH as the SDKs of cidaas do it.
func (s *store) vendors(ctx context.Context, p *process, t *table, o options, c rest) error {
	if s.customers == nil {
		list, err := c.customers(ctx, 64)
		if err != nil {
			return fmt.Errorf("enrolling phones at the cidaas door: %w", err)
		}
		s.customers = list
	}
	free := make(chan *customer, len(s.customers))
	for _, u := range s.customers {
		free <- u
	}
	for _, width := range o.Clients {
		err := s.costs(ctx, p, t, fmt.Sprintf("cidaas Smart PUSH, whole flows, %d at a time", width), func() ([]time.Duration, error) {
			return repeat(ctx, width, seconds(o.Seconds), 1<<30, func(int) error {
				u := <-free
				defer func() { free <- u }()
				return u.signIn(ctx)
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
