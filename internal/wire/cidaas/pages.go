package cidaas

import (
	"context"
	"net/http"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/oidc"
	"github.com/watchword-auth/watchword/internal/web"
)

// admit lets a page read the answer of a call if every client that the call names
// admits the page's origin (security R80), and refuses the call otherwise. A call
// that names no client of ours gets a refusal, or what anybody may know: that any
// page may read. No cookie travels with these calls, and who sends no origin is no
// browser.
func (d Door) admit(w http.ResponseWriter, r *http.Request, in body) error {
	origin := r.Header.Get("Origin")
	if origin == "" || origin == d.Kit.URL {
		return nil
	}
	w.Header().Add("Vary", "Origin")
	for _, find := range []func(context.Context, *http.Request, body) (apps.ClientID, error){d.ofToken, d.ofRequest, d.ofFlow, itself} {
		id, err := find(r.Context(), r, in)
		if err != nil {
			return err
		}
		if id == "" {
			continue
		}
		c, _, err := apps.FindClient(r.Context(), d.Kit.DB, id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err == nil && !c.Admits(origin) {
			return foreignPage
		}
	}
	web.Readable(w, origin, false)
	return nil
}

// ofToken is the client that the access token of a call was given to; "" for none.
func (d Door) ofToken(ctx context.Context, r *http.Request, _ body) (apps.ClientID, error) {
	access := bearer(r)
	if access == "" {
		return "", nil
	}
	b, err := d.Provider.Check(ctx, access, oidc.Key{})
	if oidc.Refusal(err) != nil {
		return "", nil
	}
	return b.Client, err
}

// ofRequest is the client of the authorization request that a call is for.
func (d Door) ofRequest(ctx context.Context, r *http.Request, in body) (apps.ClientID, error) {
	track, _, _ := strings.Cut(first(r.PathValue("track"), in.get("track_id", "trackId")), ".")
	id := first(in.get("request_id", "requestId"), r.PathValue("request"), track)
	if id == "" {
		return "", nil
	}
	a, err := d.Provider.Find(ctx, id)
	if oidc.Refusal(err) != nil {
		return "", nil
	}
	return a.Client.ID, err
}

// ofFlow is the client that began the flow which a call goes on with.
func (d Door) ofFlow(ctx context.Context, r *http.Request, in body) (apps.ClientID, error) {
	id := authn.ChallengeID(first(r.PathValue("status"), in.get("status_id", "statusId"), r.PathValue("track")))
	if exchange, _, err := parted(d.Kit.DB, in.get("exchange_id")); err == nil {
		id = exchange
	}
	if !plain(string(id)) {
		return "", nil
	}
	ch, err := authn.Recall[map[string]any](ctx, d.Kit.DB, id) // of whatever method
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	page, _ := ch.Data["page"].(string)
	client, _ := ch.Data["client"].(string)
	return apps.ClientID(first(page, client)), err
}

// itself is the client that a call says it is of.
func itself(_ context.Context, _ *http.Request, in body) (apps.ClientID, error) {
	return apps.ClientID(in.get("client_id")), nil
}

// bearer is the access token of a call, in either of the headers that SDKs send it
// in; "" for none.
func bearer(r *http.Request) string {
	kind, access, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "Bearer") {
		access = r.Header.Get("Access_token")
	}
	return strings.TrimSpace(access)
}

// preflight answers any page, since a preflight names no client, and allows
// whatever headers an SDK has: it sends many of its own. Whether the page may read
// what it then asks for, admit decides.
func preflight(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" {
		web.Readable(w, origin, false)
		w.Header().Add("Vary", "Origin")
	}
	headers := r.Header.Get("Access-Control-Request-Headers")
	if len(headers) >= 1000 {
		headers = ""
	}
	web.Preflight(w, "GET, POST, PUT, DELETE", headers)
}
