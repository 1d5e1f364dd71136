package passkey

import (
	"context"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/fault"
)

// parties are the relying parties that a well-known file speaks of: that of the
// client named in the query, so that a proxy of a domain can ask for its own, or
// those whose domain is this server's.
func parties(ctx context.Context, x *backend.Exec) ([]relying, error) {
	if id := x.Path("client_id"); id != "" {
		r, err := ofClient(ctx, x, apps.ClientID(id))
		return []relying{r}, err
	}
	ids, err := authn.AppsWith(ctx, x.Kit.DB, Kind)
	if err != nil {
		return nil, err
	}
	here, err := party(ctx, x.Kit.DB, apps.App{}, x.Kit.URL)
	if err != nil {
		return nil, err
	}
	var out []relying
	for _, id := range ids {
		app, err := apps.Find(ctx, x.Kit.DB, id)
		if err != nil {
			return nil, err
		}
		r, err := party(ctx, x.Kit.DB, app, x.Kit.URL)
		if fault.Is(err, fault.Denied) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.RPID == here.RPID {
			out = append(out, r)
		}
	}
	return out, nil
}

// relatedOrigins is WebAuthn Level 3 5.11.
func relatedOrigins(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	list, err := parties(ctx, x)
	origins := []string{}
	for _, r := range list {
		origins = append(origins, r.related()...)
	}
	return backend.Out{Body: map[string]any{"origins": origins}}, err
}

func appleApps(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	list, err := parties(ctx, x)
	ids := []string{}
	for _, r := range list {
		ids = append(ids, r.AppleApps...)
	}
	return backend.Out{Body: map[string]any{"webcredentials": map[string]any{"apps": ids}}}, err
}

func androidApps(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	list, err := parties(ctx, x)
	links := []any{}
	for _, r := range list {
		links = append(links, r.assetLinks()...)
	}
	return backend.Out{Body: links}, err
}

// endpoints are the pages where people make and look after their passkeys, for
// password managers to lead to (W3C, A Well-Known URL for Relying Party Passkey
// Endpoints). Of several clients it is the first with pages; without any, none is
// named.
func endpoints(ctx context.Context, x *backend.Exec, _ struct{}) (backend.Out, error) {
	list, err := parties(ctx, x)
	if err != nil {
		return backend.Out{}, err
	}
	body := map[string]any{}
	for _, r := range list {
		clients, err := apps.Clients(ctx, x.Kit.DB, r.app.ID)
		if err != nil {
			return backend.Out{}, err
		}
		for _, c := range clients {
			if asked := x.Path("client_id"); len(body) == 0 && c.Kind == apps.Web && (asked == "" || asked == string(c.ID)) {
				at := x.Kit.URL + "/account/" + string(c.ID)
				body["enroll"], body["manage"] = at+"/passkey", at
			}
		}
	}
	return backend.Out{Body: body}, nil
}
