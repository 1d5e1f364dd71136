package cidaas

import (
	"context"
	"net/http"
	"strconv"
	"strings"
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
func (d Door) owner(ctx context.Context, t push.Triple, sub string) (authn.Subject, push.Medium, error) {
	client, app, err := apps.FindClient(ctx, d.Kit.DB, t.Client)
	if err == nil && sub == "" && d.Kit.Dev {
		sub, err = d.holder(ctx, client.App, t)
	}
	if err != nil || sub == "" || t.Device == "" || t.PushID == "" {
		if err == nil || fault.Is(err, fault.NotFound) {
			err = missing
		}
		return authn.Subject{}, push.Medium{}, err
	}
	s := authn.Subject{Kind: push.Kind, Tenant: app.Tenant, App: client.App, User: directory.UserID(sub)}
	media, err := push.Media(ctx, d.Kit.DB, s)
	if err != nil {
		return s, push.Medium{}, err
	}
	for _, m := range media {
		ok, err := m.Is(ctx, d.Kit.DB, t, d.Kit.Dev)
		if ok || err != nil {
			return s, m, err
		}
	}
	return s, push.Medium{}, wrongDevice
}

// holder is whose a phone of ours is: it does not know the name that this protocol
// has for users, and only a development server takes its word here.
func (d Door) holder(ctx context.Context, app apps.ID, t push.Triple) (string, error) {
	list, err := directory.DevicesByKey(ctx, d.Kit.DB, app, strings.ToLower(t.Device))
	if err != nil || len(list) == 0 {
		return "", err
	}
	return string(list[0].User), nil
}

// shower is what a phone shows in calls whose body does not name it, or names
// another: its SDK names it in a header of every call.
func shower(r *http.Request, in body) push.Triple {
	t := tripleOf(in)
	t.Device = first(r.Header.Get("Deviceid"), t.Device)
	return t
}

// pending are the requests that wait for a phone. The list is the authority; a
// push is a hint to ask for it.
func (d Door) pending(r *http.Request, in body) (any, error) {
	s, _, err := d.owner(r.Context(), tripleOf(in), in.get("sub"))
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
			"exchange_id": push.Exchange(d.Kit.DB, ch.ID, ch.Turn), "expires_at": ch.Expires.UTC().Format(time.RFC3339Nano), "sub": string(s.User), "verification_type": first(ch.Data.As, "PUSH"), "verificationType": first(ch.Data.As, "PUSH"),
			"tenant_name": tenant, "tenant_key": string(s.Tenant), "baseurl": d.Kit.URL, "client_id": in.get("client_id"), "client_name": ch.Data.ClientAs, "message": approvalText(ch),
			"request_time": strconv.FormatInt(ch.Created.UnixMilli(), 10), "requested_types": []string{first(ch.Data.As, "PUSH")},
			"address": place(ch.Data.Place), "device_info": browser(ch.Data.Browser),
		})
	}
	return out, nil
}

// onDevice are the methods that a phone carries for a user.
func (d Door) onDevice(r *http.Request, in body) (any, error) {
	s, mine, err := d.owner(r.Context(), tripleOf(in), in.get("sub"))
	if err != nil {
		return nil, err
	}
	all, err := authn.Authenticators(r.Context(), d.Kit.DB, s.Tenant, s.App, s.User)
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
	for _, m := range methods {
		if m.way == byPhone && len(m.on([]push.Medium{mine}, all)) > 0 {
			list = append(list, map[string]any{"_id": mediumID(d.Kit.DB, s.App, mine.ID), "verification_type": m.Type, "configured_at": configuredAt(all, m, mine), "totp_secret": "", "sub": string(s.User)})
		}
	}
	return map[string]any{"tenant_name": tenant, "tenant_key": string(s.Tenant), "user_info": info, "configured_list": list}, nil
}

// configuredAt is when a method was set up on a phone; "" for a phone of ours.
func configuredAt(all []authn.Authenticator, m method, phone push.Medium) string {
	for _, a := range all {
		if a.Kind == m.Kind && (a.ID == phone.ID || phone.Holds(a.Device)) {
			return a.CreatedAt.UTC().Format(time.RFC3339)
		}
	}
	return ""
}

// rebind gives a phone another push id, for all who share it: it shows the old one.
func (d Door) rebind(r *http.Request, in body) (any, error) {
	t := push.Triple{Client: apps.ClientID(in.get("client_id")), Device: in.get("device_id"), PushID: in.get("old_push_id")}
	client, app, err := apps.FindClient(r.Context(), d.Kit.DB, t.Client)
	if fault.Is(err, fault.NotFound) || err == nil && (in.get("push_id") == "" || len(in.get("push_id")) > maxPushID || t.PushID == "" || t.Device == "") {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	var found bool
	err = d.Kit.DB.Move(r.Context(), func(tx *db.Tx) (err error) {
		found, err = push.Rebind(r.Context(), tx, authn.Subject{Tenant: app.Tenant, App: client.App}, t, in.get("push_id"))
		return err
	})
	if err == nil && !found {
		err = wrongDevice
	}
	return true, err
}

// release takes a phone away from a user: by the phone itself.
func (d Door) release(r *http.Request, in body) (any, error) {
	if m := r.PathValue("method"); m != "" && !strings.EqualFold(m, "PUSH") {
		return d.disarm(r, in, m)
	}
	s, _, err := d.owner(r.Context(), tripleOf(in), first(in.get("sub"), r.PathValue("sub")))
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

// disarm takes a method off a phone that stays enrolled.
func (d Door) disarm(r *http.Request, in body, word string) (any, error) {
	m, err := methodOf(word, apps.Client{})
	if err != nil {
		return nil, err
	}
	s, phone, err := d.owner(r.Context(), tripleOf(in), first(in.get("sub"), r.PathValue("sub")))
	if err != nil {
		return nil, err
	}
	all, err := authn.Authenticators(r.Context(), d.Kit.DB, s.Tenant, s.App, s.User)
	if err != nil {
		return nil, err
	}
	s.Kind = m.Kind
	for _, a := range all {
		if m.way == byPhone && a.Kind == m.Kind && phone.Holds(a.Device) {
			return true, d.Kit.DB.Move(r.Context(), func(tx *db.Tx) error { return authn.Revoke(r.Context(), tx, s, authn.CredentialID(a.ID)) })
		}
	}
	return nil, wrongDevice
}

// unlink takes another phone away from a user. That is not for a phone to say:
// its owner signed in a moment ago.
func (d Door) unlink(r *http.Request, in body) (any, error) {
	s, mine, err := d.owner(r.Context(), shower(r, in), in.sub())
	if err != nil {
		return nil, err
	}
	other := in.get("device_id")
	media, err := push.Media(r.Context(), d.Kit.DB, s)
	if err != nil {
		return nil, err
	}
	for _, m := range media {
		if mediumID(d.Kit.DB, s.App, m.ID) != other && (m.ID != mine.ID || other != shower(r, in).Device) {
			continue
		}
		if m.ID != mine.ID {
			if err := d.signedIn(r, s); err != nil {
				return nil, err
			}
		}
		var found bool
		err := d.Kit.DB.Move(r.Context(), func(tx *db.Tx) (err error) {
			found, err = push.Drop(r.Context(), tx, s, m)
			return err
		})
		if err == nil && !found {
			err = wrongDevice
		}
		return true, err
	}
	return nil, wrongDevice
}

// signedIn checks that a call carries a token of the very user, from a sign-in that
// is fresh enough to change how they sign in.
func (d Door) signedIn(r *http.Request, s authn.Subject) error {
	b, err := d.user(r)
	if err != nil {
		return err
	}
	if b.User != s.User {
		return notSignedIn
	}
	app, err := apps.Find(r.Context(), d.Kit.DB, s.App)
	if err == nil {
		_, err = d.fresh(r.Context(), b.Session, app)
	}
	return err
}

// sub is the user that a call is about; some name several.
func (b body) sub() string {
	if sub := b.get("sub"); sub != "" || len(b.list["sub"]) == 0 {
		return sub
	}
	return b.list["sub"][0]
}

// linked are the phones of the users who share a phone, seen from it.
func (d Door) linked(r *http.Request, in body) (any, error) {
	subs := in.list["sub"]
	if len(subs) == 0 {
		subs = []string{in.get("sub")}
	}
	out := []any{}
	for _, sub := range subs[:min(len(subs), 10)] {
		s, _, err := d.owner(r.Context(), shower(r, in), sub)
		if err != nil {
			return nil, err
		}
		tenant, err := d.tenantName(r.Context(), s.Tenant)
		if err != nil {
			return nil, err
		}
		media, err := push.Media(r.Context(), d.Kit.DB, s)
		if err != nil {
			return nil, err
		}
		for _, m := range media {
			id := mediumID(d.Kit.DB, s.App, m.ID)
			out = append(out, map[string]any{"device_id": id, "client_id": in.get("client_id"), "device_make": "", "device_model": m.Name, "device_type": "", "sub": string(s.User), "last_used_time": "",
				"last_used_location": "", "user_device_id": id, "tenantId": string(s.Tenant), "tenantName": tenant})
		}
	}
	return out, nil
}

// history is what a user's phones were asked, from the audit record.
func (d Door) history(r *http.Request, in body) (any, error) {
	s, _, err := d.owner(r.Context(), tripleOf(in), in.get("sub"))
	if err != nil {
		return nil, err
	}
	entries, err := d.recorded(r.Context(), s)
	if err != nil {
		return nil, err
	}
	from, until := in.time("start_time"), in.time("end_time")
	list, counts := []any{}, map[string]int{}
	for _, e := range entries {
		word, ok := ends[e.Type]
		late := !until.IsZero() && e.At.After(until)
		if !ok || late || e.At.Before(from) || in.get("status") != "" && !strings.EqualFold(in.get("status"), word) {
			continue
		}
		counts[word]++
		list = append(list, map[string]any{"_id": e.ID, "auth_time": e.At.UTC().Format(time.RFC3339), "initial_status": "INITIATED", "final_status": word, "authenticated": word == "AUTHENTICATED",
			"address": place(""), "device_info": browser(""), "location_details": place("")})
	}
	skip, take := number(in.get("skip"), 0), number(in.get("take"), 20)
	page := list[min(skip, len(list)):]
	return map[string]any{"initiated": len(list), "authenticated": counts["AUTHENTICATED"], "failed": counts["DENIED"], "data": page[:min(take, 100, len(page))]}, nil
}

// time is a member that is a time, in text or in milliseconds; zero for none.
func (b body) time(name string) time.Time {
	if ms, err := strconv.ParseInt(b.get(name), 10, 64); err == nil {
		return time.UnixMilli(ms)
	}
	t, _ := time.Parse(time.RFC3339, b.get(name))
	return t
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
	sub := in.get("sub")
	if sub == "" { // this call names neither the user nor the phone, only the request
		ch, err := authn.Recall[flow](r.Context(), d.Kit.DB, authn.ChallengeID(in.get("status_id")))
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		sub = string(ch.Subject.User)
	}
	s, _, err := d.owner(r.Context(), shower(r, in), sub)
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
