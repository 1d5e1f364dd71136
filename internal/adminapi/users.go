package adminapi

import (
	"context"
	"slices"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/session"
)

// User is a person of the tenant.
type User struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Identifiers []Identifier `json:"identifiers"`
	Status      string       `json:"status" enum:"active,suspended"`
	CreatedAt   Stamp        `json:"created_at"`
}

// FullUser is a user with what a list leaves out.
type FullUser struct {
	User
	Custom map[string]any `json:"custom"`
}

// Identifier is one name of a user.
type Identifier struct {
	Kind     string `json:"kind" enum:"email,phone,username,external"`
	Value    string `json:"value"`
	Verified bool   `json:"verified"`
	Primary  bool   `json:"primary"`
}

func userOf(u directory.User, ids []directory.Identifier) User {
	out := User{ID: string(u.ID), Name: string(u.ID), Identifiers: []Identifier{}, Status: string(u.Status), CreatedAt: Stamp(u.CreatedAt)}
	best := -1
	for _, i := range ids {
		out.Identifiers = append(out.Identifiers, Identifier{string(i.Kind), i.Shown, !i.VerifiedAt.IsZero(), i.Primary})
		if rank := slices.Index([]directory.IdentifierKind{directory.External, directory.Phone, directory.Username, directory.Email}, i.Kind); rank > best {
			best, out.Name = rank, i.Shown
		}
	}
	return out
}

type usersIn struct {
	Page
	Q      string `query:"q" maxLength:"320" doc:"The beginning of a name or id."`
	Status string `query:"status" enum:"active,suspended"`
}

func listUsers(ctx context.Context, c *Call, in *usersIn) (*list[User], error) {
	q := directory.Query{Prefix: in.Q, Status: directory.Status(in.Status), Limit: in.Limit + 1}
	at := struct {
		For   string          `json:"f"` // the question that the page is of
		Place directory.Place `json:"p"`
	}{}
	if err := c.opened(in.Cursor, &at); err != nil {
		return nil, err
	}
	if question := in.Status + " " + in.Q; at.For == question || in.Cursor == "" {
		q.After, at.For = at.Place, question
	} else {
		return nil, misread
	}
	found, err := directory.Search(ctx, c.Kit.DB, c.tenant(), q)
	if err != nil {
		return nil, err
	}
	out := items([]User{})
	if len(found) > in.Limit {
		found = found[:in.Limit]
		at.Place = found[in.Limit-1].Place()
		out.Body.Next = c.seal(at)
	}
	for _, f := range found {
		out.Body.Items = append(out.Body.Items, userOf(f.User, f.Identifiers))
	}
	return out, nil
}

// InUser names a user of the tenant.
type InUser struct {
	User string `path:"id" maxLength:"100"`
}

// user returns a user of the tenant; fault.NotFound for any other.
func (c *Call) user(ctx context.Context, q db.Q, id string) (directory.User, error) {
	return directory.Find(ctx, q, c.tenant(), directory.UserID(id))
}

func (c *Call) fullUser(ctx context.Context, q db.Q, id string) (FullUser, error) {
	u, err := c.user(ctx, q, id)
	if err != nil {
		return FullUser{}, err
	}
	ids, err := directory.Identifiers(ctx, q, u.ID)
	if u.Custom == nil {
		u.Custom = map[string]any{}
	}
	return FullUser{userOf(u, ids), u.Custom}, err
}

func getUser(ctx context.Context, c *Call, in *InUser) (*tagged[FullUser], error) {
	u, err := c.fullUser(ctx, c.Kit.DB, in.User)
	return tag(u), err
}

type newUser struct {
	Body struct {
		Email    string `json:"email,omitempty" maxLength:"320"`
		Phone    string `json:"phone_number,omitempty" maxLength:"40"`
		Username string `json:"username,omitempty" maxLength:"320"`
		External string `json:"external_user_id,omitempty" maxLength:"320"`
	}
}

func createUser(ctx context.Context, c *Call, in *newUser) (*tagged[FullUser], error) {
	n := directory.NewUser{Email: in.Body.Email, Phone: in.Body.Phone, Username: in.Body.Username, ExternalID: in.Body.External}
	var out FullUser
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		if taken, err := directory.Taken(ctx, tx, c.tenant(), n); err != nil {
			return "", err
		} else if taken != "" {
			return "", fault.At(nameTaken, taken)
		}
		id, err := directory.Create(ctx, tx, c.tenant(), n)
		if err != nil {
			return "", err
		}
		out, err = c.fullUser(ctx, tx, string(id))
		return string(id), err
	})
	return tag(out), err
}

type userPatch struct {
	InUser
	IfMatch
	Body struct {
		Status string         `json:"status,omitempty" enum:"active,suspended"`
		Custom map[string]any `json:"custom,omitempty" doc:"null removes a key."`
	}
}

func changeUser(ctx context.Context, c *Call, in *userPatch) (*tagged[FullUser], error) {
	var out FullUser
	err := c.writeWith(ctx, func(tx *db.Tx) (string, map[string]any, error) {
		now, err := c.fullUser(ctx, tx, in.User)
		if err != nil {
			return "", nil, err
		}
		if err := in.unchanged(now); err != nil {
			return "", nil, err
		}
		if in.Body.Status != "" && in.Body.Status != now.Status {
			if err := c.setStatus(ctx, tx, in.User, directory.Status(in.Body.Status)); err != nil {
				return "", nil, err
			}
		}
		if in.Body.Custom != nil {
			if err := directory.MergeCustom(ctx, tx, c.tenant(), directory.UserID(in.User), in.Body.Custom); err != nil {
				return "", nil, err
			}
		}
		out, err = c.fullUser(ctx, tx, in.User)
		return in.User, map[string]any{"status": out.Status}, err
	})
	return tag(out), err
}

// setStatus also ends the user's sessions, unless it lets them in.
func (c *Call) setStatus(ctx context.Context, tx *db.Tx, user string, to directory.Status) error {
	id := directory.UserID(user)
	if err := directory.SetStatus(ctx, tx, c.tenant(), id, to); err != nil || to == directory.Active {
		return err
	}
	_, err := session.EndAll(ctx, tx, c.tenant(), "", id)
	return err
}

type userGone struct {
	InUser
	IfMatch
}

func deleteUser(ctx context.Context, c *Call, in *userGone) (*empty, error) {
	return nil, c.write(ctx, func(tx *db.Tx) (string, error) {
		now, err := c.fullUser(ctx, tx, in.User)
		if err != nil {
			return "", err
		}
		if err := in.unchanged(now); err != nil {
			return "", err
		}
		return in.User, c.setStatus(ctx, tx, in.User, directory.Deleted)
	})
}

// edit changes something of a user of the tenant and returns how they are then.
func (c *Call) edit(ctx context.Context, id string, fn func(tx *db.Tx, u directory.User) error) (*tagged[FullUser], error) {
	var out FullUser
	err := c.write(ctx, func(tx *db.Tx) (string, error) {
		u, err := c.user(ctx, tx, id)
		if err != nil {
			return "", err
		}
		if err := fn(tx, u); err != nil {
			return "", err
		}
		out, err = c.fullUser(ctx, tx, id)
		return id, err
	})
	return tag(out), err
}

type newIdentifier struct {
	InUser
	Body struct {
		Kind     string `json:"kind" enum:"email,phone,username,external"`
		Value    string `json:"value" minLength:"1" maxLength:"320"`
		Verified bool   `json:"verified,omitempty"`
	}
}

func addIdentifier(ctx context.Context, c *Call, in *newIdentifier) (*tagged[FullUser], error) {
	kind := directory.IdentifierKind(in.Body.Kind)
	return c.edit(ctx, in.User, func(tx *db.Tx, u directory.User) error {
		if _, err := directory.Normalise(kind, in.Body.Value); err != nil {
			return fault.At(err, "value")
		}
		if _, err := directory.LookupKind(ctx, tx, c.tenant(), kind, in.Body.Value); err == nil {
			return fault.At(nameTaken, "value")
		}
		if err := directory.AddIdentifier(ctx, tx, c.tenant(), u.ID, kind, in.Body.Value); err != nil || !in.Body.Verified {
			return fault.At(err, "value")
		}
		return directory.Verify(ctx, tx, c.tenant(), u.ID, kind, in.Body.Value)
	})
}

type InIdentifier struct {
	InUser
	Kind  string `path:"kind" enum:"email,phone,username,external"`
	Value string `path:"value" maxLength:"320"`
}

func removeIdentifier(ctx context.Context, c *Call, in *InIdentifier) (*tagged[FullUser], error) {
	return c.edit(ctx, in.User, func(tx *db.Tx, u directory.User) error {
		return directory.RemoveIdentifier(ctx, tx, c.tenant(), u.ID, directory.IdentifierKind(in.Kind), in.Value)
	})
}

type otherIdentifier struct {
	InIdentifier
	Body struct {
		Value string `json:"value" minLength:"1" maxLength:"320"`
	}
}

func changeIdentifier(ctx context.Context, c *Call, in *otherIdentifier) (*tagged[FullUser], error) {
	return c.edit(ctx, in.User, func(tx *db.Tx, u directory.User) error {
		err := directory.ChangeIdentifier(ctx, tx, c.tenant(), u.ID, directory.IdentifierKind(in.Kind), in.Value, in.Body.Value)
		if fault.Is(err, fault.Conflict) {
			err = nameTaken
		}
		if fault.Is(err, fault.NotFound) {
			return err
		}
		return fault.At(err, "value")
	})
}

func verifyIdentifier(ctx context.Context, c *Call, in *InIdentifier) (*tagged[FullUser], error) {
	return c.edit(ctx, in.User, func(tx *db.Tx, u directory.User) error {
		return directory.Verify(ctx, tx, c.tenant(), u.ID, directory.IdentifierKind(in.Kind), in.Value)
	})
}

func promoteIdentifier(ctx context.Context, c *Call, in *InIdentifier) (*tagged[FullUser], error) {
	return c.edit(ctx, in.User, func(tx *db.Tx, u directory.User) error {
		return directory.MakePrimary(ctx, tx, c.tenant(), u.ID, directory.IdentifierKind(in.Kind), in.Value)
	})
}
