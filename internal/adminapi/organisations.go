package adminapi

import (
	"context"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Organisation is a customer of a B2B application.
type Organisation struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Domains   []string `json:"domains"`
	Members   int      `json:"members"`
	CreatedAt Stamp    `json:"created_at"`
}

func organisationOf(o directory.Organisation) Organisation {
	return Organisation{string(o.ID), o.Name, append([]string{}, o.Domains...), o.Members, Stamp(o.CreatedAt)}
}

// steady is what the tag is of: members come and go by themselves.
func (o Organisation) steady() Organisation { o.Members = 0; return o }

type organisationsIn struct {
	InApp
	Page
}

func listOrganisations(ctx context.Context, c *Call, in *organisationsIn) (*list[Organisation], error) {
	a, err := c.app(ctx, c.Kit.DB, in.App)
	if err != nil {
		return nil, err
	}
	var after directory.OrgID
	if err := c.opened(in.Cursor, &after); err != nil {
		return nil, err
	}
	all, err := directory.Organisations(ctx, c.Kit.DB, a.ID, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := items([]Organisation{})
	if len(all) > in.Limit {
		all = all[:in.Limit]
		out.Body.Next = c.seal(all[in.Limit-1].ID)
	}
	for _, o := range all {
		out.Body.Items = append(out.Body.Items, organisationOf(o))
	}
	return out, nil
}

type organisationBody struct {
	Name    string   `json:"name" minLength:"1" maxLength:"100"`
	Domains []string `json:"domains,omitempty" maxItems:"50"`
}

type newOrganisation struct {
	InApp
	Body organisationBody
}

func createOrganisation(ctx context.Context, c *Call, in *newOrganisation) (*tagged[Organisation], error) {
	o := directory.Organisation{Name: in.Body.Name, Domains: in.Body.Domains}
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		a, err := c.app(ctx, tx, in.App)
		if err != nil {
			return "", err
		}
		o.ID, o.App = "", a.ID
		err = directory.SaveOrganisation(ctx, tx, &o)
		return string(o.ID), err
	})
	out := organisationOf(o)
	return &tagged[Organisation]{tagOf(out.steady()), out}, err
}

// InOrganisation names one of an application.
type InOrganisation struct {
	InApp
	Org string `path:"org" maxLength:"100"`
}

func (c *Call) organisation(ctx context.Context, q db.Q, in InOrganisation) (directory.Organisation, error) {
	a, err := c.app(ctx, q, in.App)
	if err != nil {
		return directory.Organisation{}, err
	}
	return directory.FindOrganisation(ctx, q, a.ID, directory.OrgID(in.Org))
}

func getOrganisation(ctx context.Context, c *Call, in *InOrganisation) (*tagged[Organisation], error) {
	o, err := c.organisation(ctx, c.Kit.DB, *in)
	out := organisationOf(o)
	return &tagged[Organisation]{tagOf(out.steady()), out}, err
}

type organisationPatch struct {
	InOrganisation
	IfMatch
	Body struct {
		Name    string   `json:"name,omitempty" maxLength:"100"`
		Domains []string `json:"domains,omitempty" maxItems:"50"`
	}
}

func changeOrganisation(ctx context.Context, c *Call, in *organisationPatch) (*tagged[Organisation], error) {
	var out Organisation
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		now, err := c.organisation(ctx, tx, in.InOrganisation)
		if err != nil {
			return "", err
		}
		if err := in.unchanged(organisationOf(now).steady()); err != nil {
			return "", err
		}
		if in.Body.Name != "" {
			now.Name = in.Body.Name
		}
		if in.Body.Domains != nil {
			now.Domains = in.Body.Domains
		}
		err = directory.SaveOrganisation(ctx, tx, &now)
		out = organisationOf(now)
		return in.Org, err
	})
	return &tagged[Organisation]{tagOf(out.steady()), out}, err
}

type organisationGone struct {
	InOrganisation
	IfMatch
}

func deleteOrganisation(ctx context.Context, c *Call, in *organisationGone) (*empty, error) {
	return nil, c.write(ctx, func(tx *db.Tx) (string, error) {
		now, err := c.organisation(ctx, tx, in.InOrganisation)
		if err != nil {
			return "", err
		}
		if err := in.unchanged(organisationOf(now).steady()); err != nil {
			return "", err
		}
		return in.Org, directory.DeleteOrganisation(ctx, tx, apps.ID(in.App), now.ID)
	})
}

// Member is a user in an organisation.
type Member struct {
	UserID string `json:"user_id"`
	Name   string `json:"name"`
	Role   string `json:"role" enum:"member,admin"`
}

type membersIn struct {
	InOrganisation
	Page
}

func listMembers(ctx context.Context, c *Call, in *membersIn) (*list[Member], error) {
	o, err := c.organisation(ctx, c.Kit.DB, in.InOrganisation)
	if err != nil {
		return nil, err
	}
	var after directory.UserID
	if err := c.opened(in.Cursor, &after); err != nil {
		return nil, err
	}
	all, err := directory.Members(ctx, c.Kit.DB, o.ID, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := items([]Member{})
	if len(all) > in.Limit {
		all = all[:in.Limit]
		out.Body.Next = c.seal(all[in.Limit-1].User)
	}
	var ids []directory.UserID
	for _, m := range all {
		ids = append(ids, m.User)
	}
	names, err := directory.Labels(ctx, c.Kit.DB, ids)
	for _, m := range all {
		out.Body.Items = append(out.Body.Items, Member{string(m.User), names[m.User], m.Role})
	}
	return out, err
}

// Candidate is a user who is, or could be, a member.
type Candidate struct {
	UserID string `json:"user_id"`
	Name   string `json:"name"`
	Role   string `json:"role" enum:",member,admin" doc:"Empty: not a member."`
}

type candidatesIn struct {
	InOrganisation
	Q string `query:"q" required:"true" minLength:"3" maxLength:"320" doc:"The beginning of a name or id: who adds members knows whom they look for."`
}

func listCandidates(ctx context.Context, c *Call, in *candidatesIn) (*list[Candidate], error) {
	o, err := c.organisation(ctx, c.Kit.DB, in.InOrganisation)
	if err != nil {
		return nil, err
	}
	found, err := directory.Search(ctx, c.Kit.DB, c.tenant(), directory.Query{Prefix: in.Q, Limit: 10})
	if err != nil {
		return nil, err
	}
	var out []Candidate
	for _, f := range found {
		u := userOf(f.User, f.Identifiers)
		role, err := directory.Membership(ctx, c.Kit.DB, apps.ID(in.App), o.ID, f.User.ID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		out = append(out, Candidate{u.ID, u.Name, role})
	}
	return items(out), nil
}

// InMember names a member of an organisation.
type InMember struct {
	InOrganisation
	User string `path:"user" maxLength:"100"`
}

type memberPut struct {
	InMember
	Body struct {
		Role string `json:"role" enum:"member,admin"`
	}
}

func putMember(ctx context.Context, c *Call, in *memberPut) (*empty, error) {
	return nil, c.writeWith(ctx, func(tx *db.Tx) (string, map[string]any, error) {
		o, err := c.organisation(ctx, tx, in.InOrganisation)
		if err != nil {
			return "", nil, err
		}
		u, err := c.user(ctx, tx, in.User)
		if err != nil {
			return "", nil, err
		}
		return in.User, map[string]any{"organisation": in.Org, "role": in.Body.Role}, directory.SetMember(ctx, tx, o.ID, directory.Member{User: u.ID, Role: in.Body.Role})
	})
}

func removeMember(ctx context.Context, c *Call, in *InMember) (*empty, error) {
	return nil, c.writeWith(ctx, func(tx *db.Tx) (string, map[string]any, error) {
		o, err := c.organisation(ctx, tx, in.InOrganisation)
		if err != nil {
			return "", nil, err
		}
		return in.User, map[string]any{"organisation": in.Org}, directory.RemoveMember(ctx, tx, o.ID, directory.UserID(in.User))
	})
}
