package oidc

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/limit"
)

const (
	deviceLife = 10 * time.Minute
	pollPace   = 5 * time.Second
)

// DeviceCode is the answer to a device that has no browser (RFC 8628 3.2).
type DeviceCode struct {
	Code      string `json:"device_code"`
	UserCode  string `json:"user_code"`
	At        string `json:"verification_uri"`
	Complete  string `json:"verification_uri_complete"`
	ExpiresIn int    `json:"expires_in"`
	Interval  int    `json:"interval"`
}

// letters of a user code: no vowels, so that it spells nothing, and none that
// look alike (RFC 8628 6.1). Eight of twenty are 34 bits, with few tries.
const letters = "BCDFGHJKLMNPQRSTVWXZ"

func userCode() (string, error) {
	var b strings.Builder
	for range 8 {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		if err != nil {
			return "", err
		}
		b.WriteByte(letters[n.Int64()])
	}
	return b.String(), nil
}

// tidied is a user code as it was given, whatever case and dashes it is typed in.
func tidied(code string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(letters, r) {
			return r
		}
		return -1
	}, strings.ToUpper(code))
}

// spelled is a user code as people are shown it.
func spelled(code string) string { return code[:4] + "-" + code[4:] }

// Device begins the device grant.
func (p *Provider) Device(ctx context.Context, c apps.Client, q url.Values) (DeviceCode, error) {
	if !c.MayGrant(apps.GrantDevice) {
		return DeviceCode{}, refuse("unauthorized_client", "This client may not use the device grant.")
	}
	scope, err := scopes(c, q.Get("scope"))
	if err != nil {
		return DeviceCode{}, err
	}
	if err := resources(c, q["resource"]); err != nil {
		return DeviceCode{}, err
	}
	code, err := userCode()
	if err != nil {
		return DeviceCode{}, err
	}
	handle := newHandle()
	err = p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		r := record{Kind: kindDevice, Client: c.ID, Code: code, pace: pollPace, Body: body{Params: Params{Type: "code", Scope: scope, Resource: q["resource"], Org: directory.OrgID(clip(q.Get("org_id")))}}}
		return r.put(ctx, tx, handle, deviceLife)
	})
	shown := spelled(code)
	return DeviceCode{handle, shown, p.Kit.URL + "/device", p.Kit.URL + "/device?user_code=" + shown, int(deviceLife / time.Second), int(pollPace / time.Second)}, err
}

// Pairing is a device that waits for somebody.
type Pairing struct {
	Ask
	Run  string // what a run that grants it waits for
	Code string // as the device shows it
}

// Pair finds the device whose code somebody typed. Tries are limited by address.
func (p *Provider) Pair(ctx context.Context, code, address string) (Pairing, error) {
	unknown := fault.New(fault.Wrong, "No device shows this code. Look again, or start again on the device.")
	err := p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		return limit.Take(ctx, tx, "user_code/"+limit.Address(address), 20, 10*time.Minute)
	})
	if f := fault.Of(err); f.Code == fault.Limited {
		err = fault.New(fault.Limited, "Too many codes were tried from here. Wait ten minutes and try again.").After(f.RetryAfter).Because(err)
	}
	if err != nil {
		return Pairing{}, err
	}
	if code = tidied(code); len(code) != 8 {
		return Pairing{}, unknown
	}
	r, err := find(ctx, p.Kit.DB, "user_code", p.Kit.DB.Vault().Hash("user_code", code))
	if err == nil && (r.Kind != kindDevice || r.State != open) {
		err = gone
	}
	if err != nil {
		if e := outage(err); e != nil {
			return Pairing{}, e
		}
		return Pairing{}, unknown
	}
	out := Pairing{Ask{Params: r.Body.Params}, r.ID, spelled(code)}
	out.Client, out.App, err = apps.FindClient(ctx, p.Kit.DB, r.Client)
	return out, err
}

// Deny tells a device that whoever typed its code does not want it signed in.
func (p *Provider) Deny(ctx context.Context, d Pairing) error {
	return p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		r, err := find(ctx, tx, "id", d.Run)
		if err != nil || r.State != open {
			return outage(err)
		}
		r.Body.Reason = "access_denied"
		if err := r.move(ctx, tx, denied); !errors.Is(err, errMoved) {
			return err
		}
		return nil // somebody else decided
	})
}

// Collect gives a device that asks the tokens that somebody granted it, once.
// Until then it is told to wait, and to slow down if it asks faster than told.
func (p *Provider) Collect(ctx context.Context, c apps.Client, app apps.App, handle string, k Key, v Visitor) (Tokens, error) {
	r, err := p.polled(ctx, kindDevice, c, handle)
	if err != nil {
		return Tokens{}, err
	}
	switch r.State {
	case open:
		return Tokens{}, refuse("authorization_pending", "Nobody has answered yet.")
	case denied:
		return Tokens{}, refuse("access_denied", "It was not allowed.")
	case spent:
		return Tokens{}, errGrant
	}
	return p.collect(ctx, &r, c, app, k, v)
}

// polled reads a request that its client asks about, and takes its turn.
func (p *Provider) polled(ctx context.Context, kind string, c apps.Client, handle string) (record, error) {
	var r record
	var fast bool
	err := p.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		if r, err = heldBy(ctx, tx, kind, handle); err != nil {
			return err
		}
		if r.Client != c.ID {
			return errGrant
		}
		fast = false
		n, err := tx.Exec(ctx, `UPDATE requests SET polled_at = $1 WHERE id = $2 AND polled_at <= $3`, tx.Now(), r.ID, tx.Now().Add(time.Second/2-r.pace))
		if err == nil && n == 0 {
			fast = true
			_, err = tx.Exec(ctx, `UPDATE requests SET pace = pace + 5000 WHERE id = $1 AND pace < 60000`, r.ID)
		}
		return err
	})
	switch {
	case err == late:
		return r, refuse("expired_token", "It has run out.")
	case err != nil:
		return r, refused(err, errGrant)
	case fast:
		return r, refuse("slow_down", "Wait %d seconds between two tries.", int(min(r.pace+pollPace, time.Minute)/time.Second))
	}
	return r, nil
}

// collect spends a granted request and makes its tokens.
func (p *Provider) collect(ctx context.Context, r *record, c apps.Client, app apps.App, k Key, v Visitor) (Tokens, error) {
	if err := k.binds(c); err != nil {
		return Tokens{}, err
	}
	var g grant
	err := p.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		try := *r
		if err := spend(ctx, tx, &try); err != nil {
			return refused(err, errGrant)
		}
		s, err := p.open(ctx, tx, Ask{Client: c, App: app, Params: r.Body.Params}, r, v)
		if err != nil {
			return err
		}
		g = newGrant(s, c, r.Body.Params)
		g.JKT, g.X5T = k.JKT, k.X5T
		if err := g.put(ctx, tx, activeState, RefreshLife); err != nil {
			return err
		}
		if r.Kind == kindDevice && c.Settings.ThirdParty { // which the page said that the device is signed in by
			if err := agree(ctx, tx, s.User, Ask{Client: c, App: app, Params: r.Body.Params}); err != nil {
				return err
			}
		}
		return g.issued(ctx, tx, r.Kind)
	})
	if err != nil {
		return Tokens{}, err
	}
	return p.issue(ctx, g, c, nil, g.Offline)
}
