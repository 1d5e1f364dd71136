package adminapi

import (
	"context"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Client is a program that speaks for an application.
type Client struct {
	ID        string              `json:"id"`
	Name      string              `json:"name"`
	Kind      string              `json:"kind" enum:"web,native,backend"`
	HasSecret bool                `json:"has_secret"`
	Settings  apps.ClientSettings `json:"settings"`
}

func clientOf(c apps.Client) Client {
	return Client{string(c.ID), c.Name, string(c.Kind), c.Confidential(), c.Settings}
}

func listClients(ctx context.Context, c *Call, in *InApp) (*list[Client], error) {
	a, err := c.app(ctx, c.Kit.DB, in.App)
	if err != nil {
		return nil, err
	}
	all, err := apps.Clients(ctx, c.Kit.DB, a.ID)
	if err != nil {
		return nil, err
	}
	var out []Client
	for _, x := range all {
		out = append(out, clientOf(x))
	}
	return items(out), nil
}

type InClient struct {
	InApp
	Client string `path:"client" maxLength:"100"`
}

// client returns a client of an application of the tenant.
func (c *Call) client(ctx context.Context, q db.Q, in InClient) (apps.Client, error) {
	found, a, err := apps.FindClient(ctx, q, apps.ClientID(in.Client))
	if err == nil && (a.Tenant != c.tenant() || string(a.ID) != in.App) {
		return apps.Client{}, fault.New(fault.NotFound, "no such client")
	}
	return found, err
}

func getClient(ctx context.Context, c *Call, in *InClient) (*tagged[Client], error) {
	x, err := c.client(ctx, c.Kit.DB, *in)
	return tag(clientOf(x)), err
}

type newClient struct {
	InApp
	Body struct {
		ID       string              `json:"id,omitempty" pattern:"^[a-z0-9][a-z0-9._-]{0,63}$" patternDescription:"This has 1 to 64 small letters, digits, dots, dashes and underscores."`
		Name     string              `json:"name" minLength:"1" maxLength:"100"`
		Kind     string              `json:"kind" enum:"web,native,backend"`
		Settings apps.ClientSettings `json:"settings,omitempty"`
	}
}

// NewClient is a client with its secret, which is shown this once.
type NewClient struct {
	Client
	Secret string `json:"secret,omitempty"`
}

func createClient(ctx context.Context, c *Call, in *newClient) (*tagged[NewClient], error) {
	var out NewClient
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		a, err := c.app(ctx, tx, in.App)
		if err != nil {
			return "", err
		}
		id, err := fresherID(in.Body.ID, in.Body.Name, func(id string) error {
			_, _, err := apps.FindClient(ctx, tx, apps.ClientID(id))
			return err
		})
		if err != nil {
			return "", err
		}
		made := apps.Client{ID: apps.ClientID(id), App: a.ID, Name: in.Body.Name, Kind: apps.Kind(in.Body.Kind), Settings: in.Body.Settings}
		if err := apps.SaveClient(ctx, tx, made); err != nil {
			return "", err
		}
		if made.Kind == apps.Backend && made.AuthMethod() == "client_secret" {
			if out.Secret, err = apps.RotateSecret(ctx, tx, made.ID); err != nil {
				return "", err
			}
		}
		made, err = c.client(ctx, tx, InClient{in.InApp, id})
		out.Client = clientOf(made)
		return id, err
	})
	return &tagged[NewClient]{ETag: tagOf(out.Client), Body: out}, err
}

type clientPut struct {
	InClient
	IfMatch
	Body struct {
		Name     string              `json:"name" minLength:"1" maxLength:"100"`
		Settings apps.ClientSettings `json:"settings"`
	}
}

func putClient(ctx context.Context, c *Call, in *clientPut) (*tagged[Client], error) {
	var out Client
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		now, err := c.client(ctx, tx, in.InClient)
		if err != nil {
			return "", err
		}
		if err := in.unchanged(clientOf(now)); err != nil {
			return "", err
		}
		now.Name, now.Settings = in.Body.Name, in.Body.Settings
		if err := apps.SaveClient(ctx, tx, now); err != nil {
			return "", err
		}
		now, err = c.client(ctx, tx, in.InClient)
		out = clientOf(now)
		return in.Client, err
	})
	return tag(out), err
}

type clientGone struct {
	InClient
	IfMatch
}

func deleteClient(ctx context.Context, c *Call, in *clientGone) (*empty, error) {
	return nil, c.write(ctx, func(tx *db.Tx) (string, error) {
		now, err := c.client(ctx, tx, in.InClient)
		if err != nil {
			return "", err
		}
		if err := in.unchanged(clientOf(now)); err != nil {
			return "", err
		}
		return in.Client, apps.DeleteClient(ctx, tx, now.App, now.ID)
	})
}

// Secret is shown once.
type Secret struct {
	Secret string `json:"secret"`
}

func rotateSecret(ctx context.Context, c *Call, in *InClient) (*body[Secret], error) {
	var out Secret
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		now, err := c.client(ctx, tx, *in)
		if err != nil {
			return "", err
		}
		out.Secret, err = apps.RotateSecret(ctx, tx, now.ID)
		return in.Client, err
	})
	return answer(out), err
}
