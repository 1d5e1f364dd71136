package oidc

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
)

// scopeOf is the scope that a claim about a user belongs to (OpenID Connect Core
// 5.4). There are no other claims that can be asked for.
var scopeOf = map[string]string{
	"name": "profile", "given_name": "profile", "family_name": "profile", "middle_name": "profile", "nickname": "profile", "preferred_username": "profile", "picture": "profile",
	"website": "profile", "gender": "profile", "birthdate": "profile", "zoneinfo": "profile", "locale": "profile",
	"email": "email", "email_verified": "email", "phone_number": "phone", "phone_number_verified": "phone", "address": "address",
}

// Wish are the claims that a request asks for one by one (OpenID Connect Core 5.5):
// those that we know and the client may ask for.
type Wish struct {
	ID   []string `json:"id_token,omitempty"`
	Info []string `json:"userinfo,omitempty"`
}

// demand is how one claim is asked for.
type demand struct {
	Essential bool  `json:"essential"`
	Value     any   `json:"value"`
	Values    []any `json:"values"`
}

// texts are the values that would do; none for any.
func (d *demand) texts() (out []string, err error) {
	if d == nil {
		return nil, nil
	}
	all := d.Values
	if d.Value != nil {
		all = append(all, d.Value)
	}
	for _, v := range all {
		s, ok := v.(string)
		if !ok || len(s) > 256 {
			return nil, refuse("invalid_request", "sub and acr are asked for by text.")
		}
		out = append(out, s)
	}
	return out, nil
}

// wish reads the claims parameter. A claim that we do not know is ignored, as Core
// 5.5 has it. Of values, those of sub and of an essential acr count: only those
// users may sign in, and only at such a level. An acr that is not essential changes
// nothing: the identity token says it anyway.
func (m *Params) wish(c apps.Client, text string) error {
	var doc struct {
		Info map[string]*demand `json:"userinfo"`
		ID   map[string]*demand `json:"id_token"`
	}
	if len(text) > 4<<10 || json.Unmarshal([]byte(text), &doc) != nil || len(doc.Info)+len(doc.ID) > 100 {
		return refuse("invalid_request", "claims has the members userinfo and id_token, with at most 100 claims of which each is null or an object, in 4 KiB.")
	}
	for _, member := range []map[string]*demand{doc.Info, doc.ID} {
		subs, err := member["sub"].texts()
		if err != nil {
			return err
		}
		if len(subs) > 0 && m.Users != nil {
			return refuse("invalid_request", "claims asks for sub twice.")
		}
		if len(subs) > 0 {
			m.Users = subs
		}
	}
	if acr := doc.ID["acr"]; acr != nil && acr.Essential {
		levels, err := acr.texts()
		if err != nil {
			return err
		}
		if !authn.Reaches(authn.AAL2, levels) {
			return refuse(unmet, "Nobody can prove as much as claims asks for.")
		}
		if len(levels) > 0 {
			m.ACR = levels
		}
	}
	m.Wish = Wish{known(c, doc.ID), known(c, doc.Info)}
	return nil
}

// known are the claims that a client may ask for of those it does, in order.
func known(c apps.Client, list map[string]*demand) (out []string) {
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if scope := scopeOf[name]; scope != "" && c.MayScope(scope) {
			out = append(out, name)
		}
	}
	return out
}

// admits reports whether a user is one of those that a request is for.
func (m Params) admits(user directory.UserID) bool {
	return (m.User == "" || m.User == string(user)) && (m.Users == nil || slices.Contains(m.Users, string(user)))
}

// Wanted are the scopes of what a request would let its client know, once each:
// those it asks for, and those of the claims it asks for.
func (a Ask) Wanted() []string {
	out := slices.Clone(a.Params.Scope)
	for _, name := range slices.Concat(a.Params.Wish.ID, a.Params.Wish.Info) {
		if !slices.Contains(out, scopeOf[name]) {
			out = append(out, scopeOf[name])
		}
	}
	return out
}

// facts are the claims about a user that scopes give, or that are named.
func facts(ctx context.Context, q db.Q, u directory.User, scope, names []string) (map[string]any, error) {
	ids, err := directory.Identifiers(ctx, q, u.ID)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for name, of := range scopeOf {
		if s, ok := u.Custom[name].(string); ok && of == "profile" && name != "preferred_username" {
			out[name] = s
		}
	}
	if m, ok := u.Custom["address"].(map[string]any); ok {
		out["address"] = m
	}
	for _, i := range ids {
		contact(out, i)
	}
	maps.DeleteFunc(out, func(name string, _ any) bool {
		return !slices.Contains(scope, scopeOf[name]) && !slices.Contains(names, name)
	})
	return out, nil
}

// wished adds the claims that were asked for by name.
func wished(ctx context.Context, q db.Q, claims map[string]any, u directory.User, names []string) error {
	if len(names) == 0 {
		return nil
	}
	about, err := facts(ctx, q, u, nil, names)
	maps.Copy(claims, about)
	return err
}

// contact adds one identifier, the primary before others.
func contact(out map[string]any, i directory.Identifier) {
	name := map[directory.IdentifierKind]string{directory.Email: "email", directory.Phone: "phone_number", directory.Username: "preferred_username"}[i.Kind]
	if _, has := out[name]; name == "" || has && !i.Primary {
		return
	}
	out[name] = i.Shown
	if i.Kind != directory.Username {
		out[name+"_verified"] = !i.VerifiedAt.IsZero()
	}
}
