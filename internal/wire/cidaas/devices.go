package cidaas

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// owner is a user that a phone says it belongs to, after the phone showed what it
// was enrolled with (cidaas-protocol 2.14).
func (d Door) owner(ctx context.Context, in body, sub string) (authn.Subject, []push.Medium, error) {
	client, app, err := apps.FindClient(ctx, d.Kit.DB, apps.ClientID(in.get("client_id")))
	if err != nil || sub == "" || in.get("device_id") == "" || in.get("push_id") == "" {
		if err == nil || fault.Is(err, fault.NotFound) {
			err = missing
		}
		return authn.Subject{}, nil, err
	}
	s := authn.Subject{Kind: push.Kind, Tenant: app.Tenant, App: client.App, User: directory.UserID(sub)}
	media, err := push.Media(ctx, d.Kit.DB, s)
	if err != nil {
		return s, nil, err
	}
	var mine []push.Medium
	for _, m := range media {
		ok, err := m.Is(ctx, d.Kit.DB, tripleOf(in), d.Kit.Dev)
		if err != nil {
			return s, nil, err
		}
		if ok {
			mine = append(mine, m)
		}
	}
	if len(mine) == 0 {
		return s, nil, wrongDevice
	}
	return s, mine, nil
}

// pending are the requests that wait for a phone. The list is the authority; a
// push is a hint to ask for it.
func (d Door) pending(r *http.Request, in body) (any, error) {
	s, _, err := d.owner(r.Context(), in, in.get("sub"))
	if err != nil {
		return nil, err
	}
	open, err := push.OpenOn(r.Context(), d.Kit.DB, s, tripleOf(in), d.Kit.Dev)
	if err != nil || len(open) == 0 {
		return nil, err
	}
	tenant, err := d.tenantName(r.Context(), s.Tenant)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, ch := range open {
		out = append(out, map[string]any{
			"exchange_id": exchange(d.Kit.DB, ch.ID, ch.Turn), "expires_at": ch.Expires.UTC().Format(time.RFC3339Nano), "sub": string(s.User), "verification_type": "PUSH", "verificationType": "PUSH",
			"tenant_name": tenant, "tenant_key": string(s.Tenant), "baseurl": d.Kit.URL, "client_id": in.get("client_id"), "client_name": ch.Data.ClientAs, "message": approvalText(ch),
			"request_time": strconv.FormatInt(ch.Created.UnixMilli(), 10), "requested_types": []string{"PUSH"},
			"address": place(ch.Data.Place), "device_info": browser(ch.Data.Browser),
		})
	}
	return out, nil
}

// onDevice are the methods that a phone carries for a user.
func (d Door) onDevice(r *http.Request, in body) (any, error) {
	s, mine, err := d.owner(r.Context(), in, in.get("sub"))
	if err != nil {
		return nil, err
	}
	info, err := d.userInfo(r.Context(), s)
	if err != nil {
		return nil, err
	}
	tenant, err := d.tenantName(r.Context(), s.Tenant)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, m := range mine {
		list = append(list, map[string]any{"_id": m.ID, "verification_type": "PUSH", "configured_at": "", "totp_secret": "", "sub": string(s.User)})
	}
	return map[string]any{"tenant_name": tenant, "tenant_key": string(s.Tenant), "user_info": info, "configured_list": list}, nil
}

// rebind gives a phone another push id: it shows the old one.
func (d Door) rebind(r *http.Request, in body) (any, error) {
	client, app, err := apps.FindClient(r.Context(), d.Kit.DB, apps.ClientID(in.get("client_id")))
	if fault.Is(err, fault.NotFound) || err == nil && (in.get("push_id") == "" || in.get("old_push_id") == "" || in.get("sub") == "") {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	t := push.Triple{Client: client.ID, Device: in.get("device_id"), PushID: in.get("old_push_id")}
	var found bool
	err = d.Kit.DB.Move(r.Context(), func(tx *db.Tx) (err error) {
		found, err = push.Rebind(r.Context(), tx, authn.Subject{Tenant: app.Tenant, App: app.ID, User: directory.UserID(in.get("sub"))}, t, in.get("push_id"))
		return err
	})
	if err == nil && !found {
		err = wrongDevice
	}
	return true, err
}

// release takes a phone away from a user: by the phone itself.
func (d Door) release(r *http.Request, in body) (any, error) {
	s, _, err := d.owner(r.Context(), in, first(in.get("sub"), r.PathValue("sub")))
	if err != nil {
		return nil, err
	}
	var found bool
	err = d.Kit.DB.Move(r.Context(), func(tx *db.Tx) (err error) {
		found, err = push.Release(r.Context(), tx, s, tripleOf(in))
		return err
	})
	if err == nil && !found {
		err = wrongDevice // a phone of ours is removed by its own app
	}
	return true, err
}

// linked are the phones of a user, seen from one of them.
func (d Door) linked(r *http.Request, in body) (any, error) {
	sub := in.get("sub")
	if list := in.list["sub"]; sub == "" && len(list) > 0 {
		sub = list[0]
	}
	s, _, err := d.owner(r.Context(), in, sub)
	if err != nil {
		return nil, err
	}
	tenant, err := d.tenantName(r.Context(), s.Tenant)
	if err != nil {
		return nil, err
	}
	media, err := push.Media(r.Context(), d.Kit.DB, s)
	out := []any{}
	for _, m := range media {
		out = append(out, map[string]any{"device_id": m.ID, "client_id": in.get("client_id"), "device_make": "", "device_model": m.Name, "device_type": "", "sub": string(s.User), "last_used_time": "",
			"last_used_location": "", "user_device_id": m.ID, "tenantId": string(s.Tenant), "tenantName": tenant})
	}
	return out, err
}

// history is what a user's phones were asked, from the audit record.
func (d Door) history(r *http.Request, in body) (any, error) {
	s, _, err := d.owner(r.Context(), in, in.get("sub"))
	if err != nil {
		return nil, err
	}
	entries, err := d.recorded(r.Context(), s)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	list, counts := []any{}, map[string]int{}
	for _, e := range entries {
		counts[e.Type]++
		if word, ok := ends[e.Type]; ok {
			list = append(list, map[string]any{"_id": e.ID, "auth_time": e.At.UTC().Format(time.RFC3339), "initial_status": "INITIATED", "final_status": word, "authenticated": word == "AUTHENTICATED",
				"address": place(""), "device_info": browser(""), "location_details": place("")})
		}
	}
	skip, take := number(in.get("skip"), 0), number(in.get("take"), 20)
	out["initiated"], out["authenticated"], out["failed"] = len(list), counts["push.approved"], counts["push.denied"]
	out["data"] = list[min(skip, len(list)):min(skip+min(take, 100), len(list))]
	return out, nil
}

var ends = map[string]string{"push.approved": "AUTHENTICATED", "push.denied": "DENIED", "push.cancelled": "CANCELLED", "push.expired": "DENIED"}

func number(s string, otherwise int) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return otherwise
	}
	return n
}

// recorded is what the audit record says of a user's phones, newest first.
func (d Door) recorded(ctx context.Context, s authn.Subject) ([]audit.Entry, error) {
	return audit.Find(ctx, d.Kit.DB, audit.Filter{Tenant: string(s.Tenant), Target: string(s.User), Type: "push.", Limit: 200})
}

// timeline is one request, step by step.
func (d Door) timeline(r *http.Request, in body) (any, error) {
	s, _, err := d.owner(r.Context(), in, in.get("sub"))
	if err != nil {
		return nil, err
	}
	entries, err := d.recorded(r.Context(), s)
	if err != nil {
		return nil, err
	}
	words := map[string]string{"push.requested": "INITIATED", "push.acknowledged": "PUSH_ACKNOWLEDGED", "push.allowed": "ALLOWED"}
	out := []any{}
	for _, e := range entries {
		if e.Data["request"] != in.get("status_id") {
			continue
		}
		out = append(out, map[string]any{"status": first(words[e.Type], ends[e.Type]), "status_id": in.get("status_id"), "verification_type": "PUSH", "usage_type": "", "medium_id": e.Device, "client_id": e.Client,
			"rejected_reason": e.Reason, "createdTime": e.At.UTC().Format(time.RFC3339)})
	}
	return out, nil
}

// catalogue are the methods of this server.
func (d Door) catalogue(r *http.Request, _ body) (any, error) {
	if _, err := d.user(r); err != nil {
		return nil, err
	}
	out := []any{}
	for _, m := range methods {
		if authn.Known(m.Kind) {
			out = append(out, map[string]any{"verificationType": m.Type, "active": true})
		}
	}
	return out, nil
}

// mine are the methods of the user of a token.
func (d Door) mine(r *http.Request, _ body) (any, error) {
	b, err := d.user(r)
	if err != nil {
		return nil, err
	}
	client, app, err := apps.FindClient(r.Context(), d.Kit.DB, b.Client)
	if err != nil {
		return nil, err
	}
	list, err := has(r.Context(), d.Kit.DB, client, app, b.User)
	return map[string]any{"configured_list": list}, err
}

// befriend gives a phone the name that its owner calls it. It is named by the
// status id of its enrolment, with the token of its owner.
func (d Door) befriend(r *http.Request, in body) (any, error) {
	b, err := d.user(r)
	if err != nil {
		return nil, err
	}
	name := clip(in.get("friendly_name", "friendlyName"))
	if name == "" {
		return nil, missing
	}
	ch, err := authn.Recall[enrolment](r.Context(), d.Kit.DB, authn.ChallengeID(r.PathValue("track")))
	if err != nil || !ch.Data.Setup || ch.Subject.User != b.User {
		return nil, badStatus
	}
	err = d.Kit.DB.Move(r.Context(), func(tx *db.Tx) error {
		return push.Befriend(r.Context(), tx, ch.Subject, push.Triple{Client: ch.Data.Client, Device: ch.Data.Device, PushID: ch.Data.PushID}, name)
	})
	return true, err
}
