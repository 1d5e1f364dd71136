package adminapi

import (
	"context"

	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
)

// Administrator is one of those who run this server.
type Administrator struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Email      string `json:"email"`
	Role       string `json:"role"`
	Status     string `json:"status" enum:"active,invited"`
	LastSeenAt Stamp  `json:"last_seen_at"`
	CreatedAt  Stamp  `json:"created_at"`
}

// Link is shown once.
type Link struct {
	Link string `json:"link"`
}

// ConsoleLink is where somebody follows an invitation. What follows the # stays
// in the browser.
func ConsoleLink(base, secret string) string { return base + "/console#invite=" + secret }

func listAdministrators(ctx context.Context, c *Call, _ *empty) (*list[Administrator], error) {
	all, err := administrator.List(ctx, c.Kit.DB)
	if err != nil {
		return nil, err
	}
	var out []Administrator
	for _, a := range all {
		out = append(out, Administrator{string(a.ID), a.Name, a.Email, string(a.Role), string(a.Status), Stamp(a.SeenAt), Stamp(a.CreatedAt)})
	}
	return items(out), nil
}

type newAdministrator struct {
	Body struct {
		Name  string `json:"name" minLength:"1" maxLength:"100"`
		Email string `json:"email" minLength:"3" maxLength:"320"`
		Role  string `json:"role" enum:"owner,security_admin,application_admin,helpdesk,auditor"`
	}
}

func inviteAdministrator(ctx context.Context, c *Call, in *newAdministrator) (*body[Link], error) {
	var secret string
	err := c.writeWith(ctx, func(tx *db.Tx) (string, map[string]any, error) {
		a, err := administrator.Create(ctx, tx, in.Body.Name, in.Body.Email, administrator.Role(in.Body.Role))
		if err != nil {
			return "", nil, err
		}
		secret, err = administrator.Invite(ctx, tx, a.ID)
		return string(a.ID), map[string]any{"role": in.Body.Role}, err
	})
	return answer(Link{ConsoleLink(c.Kit.URL, secret)}), err
}

type InAdministrator struct {
	ID string `path:"id"`
}

// inviteAgain is for who lost their link, or every passkey.
func inviteAgain(ctx context.Context, c *Call, in *InAdministrator) (*body[Link], error) {
	var secret string
	err := c.write(ctx, func(tx *db.Tx) (target string, err error) {
		secret, err = administrator.Invite(ctx, tx, directory.UserID(in.ID))
		return in.ID, err
	})
	return answer(Link{ConsoleLink(c.Kit.URL, secret)}), err
}

type roleIn struct {
	InAdministrator
	Body struct {
		Role string `json:"role" enum:"owner,security_admin,application_admin,helpdesk,auditor"`
	}
}

func changeRole(ctx context.Context, c *Call, in *roleIn) (*empty, error) {
	return nil, c.writeWith(ctx, func(tx *db.Tx) (string, map[string]any, error) {
		return in.ID, map[string]any{"role": in.Body.Role}, administrator.SetRole(ctx, tx, directory.UserID(in.ID), administrator.Role(in.Body.Role))
	})
}

func removeAdministrator(ctx context.Context, c *Call, in *InAdministrator) (*empty, error) {
	return nil, c.write(ctx, func(tx *db.Tx) (string, error) {
		return in.ID, administrator.Remove(ctx, tx, directory.UserID(in.ID))
	})
}
