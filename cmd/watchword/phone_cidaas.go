package main

import (
	"context"
	"errors"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// enrol is registering in the protocol of cidaas: by a code that a page shows, by
// an access token, or by signing the user in.
func (c *phoneRegister) enrol(ctx context.Context) error {
	o := c.options()
	o.DeviceName = c.Device
	p, err := simulator.LoadCidaasPhone(c.State, o)
	known := false
	switch {
	case errors.Is(err, simulator.ErrNoPhone):
		err = nil
	case err == nil && p.State().Sub != "": // not one that only the other protocol registered
		known, err = p.Known(ctx)
	}
	if err == nil && !known {
		p, err = c.enrolled(ctx, o)
	}
	if err != nil {
		return err
	}
	if !known {
		if err := p.Save(c.State); err != nil {
			return err
		}
	}
	s := p.State()
	return c.print(map[string]any{"protocol": "cidaas", "server": p.Server(), "client_id": s.Client, "sub": s.Sub, "device_name": p.DeviceName(), "device_id": s.Device, "state": c.State}, "Enrolled %q.", p.DeviceName())
}

// enrolled is a new phone that the server took.
func (c *phoneRegister) enrolled(ctx context.Context, o simulator.Options) (*simulator.CidaasPhone, error) {
	switch {
	case o.Server == "":
		return nil, errors.New("a new phone needs --server")
	case c.QR != "" && c.Number == "":
		return nil, errors.New("the page shows a number beside the code: give it with --number")
	case c.QR == "" && c.Token == "" && (o.Client == "" || o.Email == ""):
		return nil, errors.New("a new phone needs --qr and --number, or --token, or --client and --email")
	}
	p, err := simulator.NewCidaasPhone(o)
	switch {
	case err != nil:
		return nil, err
	case c.QR != "":
		return p, p.Scan(ctx, c.QR, c.Number)
	case c.Token == "":
		if c.Token, err = p.SignIn(ctx); err != nil {
			return nil, err
		}
	}
	return p, p.Enrol(ctx, c.Token)
}
