package deviceapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/limit"
	"github.com/watchword-auth/watchword/internal/web"
)

// envelope is how the phone app says anything: a body as text, signed with the
// call's name, its time and a nonce, so that nothing said for one call counts for
// another.
type envelope struct {
	Client    apps.ClientID `json:"client_id"`
	DeviceKey string        `json:"device_key_id"`        // hex SHA-256 of the key's SPKI bytes
	Public    string        `json:"public_key,omitempty"` // the key, of a phone that is not known yet
	Timestamp int64         `json:"timestamp"`            // ms
	Nonce     string        `json:"nonce"`
	Body      string        `json:"body"` // JSON
	Signature string        `json:"signature"`
	Owner     *ownerSays    `json:"owner,omitempty"` // for calls that only the phone's owner may make
}

// ownerSays is the signature of what proves the phone's owner, over the hash of
// what the envelope signs: it confirms this call and no other.
type ownerSays struct {
	Kind      authn.Kind `json:"kind"`
	ID        string     `json:"id"`
	Signature string     `json:"signature"`
}

// text is what the phone signs.
func (e envelope) text(verb string) []byte {
	h := sha256.Sum256([]byte(e.Body))
	return fmt.Appendf(nil, "watchword/device/v1\n%s\n%s\n%s\n%d\n%s\n%s", verb, e.Client, e.DeviceKey, e.Timestamp, e.Nonce, hex.EncodeToString(h[:]))
}

// call is an opened envelope: who speaks, and as what.
type call struct {
	client  apps.Client
	app     apps.App
	key     directory.Key
	device  directory.Device // of a phone that is known
	nonce   string
	caller  journey.Caller
	owner   *ownerSays
	confirm string // what the phone's owner signs to confirm this very call
}

// open reads who speaks. The key is the phone's own: of the device that is known by
// it or, of a phone that is not known yet, the one it shows.
func (d Door) open(r *http.Request, verb string, e envelope, known bool) (*call, error) {
	if len(e.Nonce) < 16 || len(e.Nonce) > 128 || len(e.DeviceKey) != 64 || strings.ToLower(e.DeviceKey) != e.DeviceKey || strings.Contains(e.Nonce, "\n") {
		return nil, fault.New(fault.Invalid, "nonce is 16 to 128 characters, device_key_id is a hash in lower-case hex.")
	}
	if err := fresh(d.Kit.DB, e.Timestamp); err != nil {
		return nil, err
	}
	c := &call{nonce: e.Nonce, owner: e.Owner, caller: journey.Caller{Client: e.Client, Address: web.Address(r, d.Trusted).String(), UserAgent: r.UserAgent(), Device: journey.Device{KeyID: e.DeviceKey, PublicKey: e.Public}}}
	var err error
	if c.client, c.app, err = apps.FindClient(r.Context(), d.Kit.DB, e.Client); err != nil {
		if fault.Is(err, fault.NotFound) {
			err = unknown
		}
		return nil, err
	}
	if err := c.whose(r.Context(), d.Kit.DB, e, known); err != nil {
		return nil, err
	}
	text := e.text(verb)
	if c.client.Kind != apps.Native || !c.key.Verify(text, e.Signature) {
		return nil, unknown
	}
	h := sha256.Sum256(append([]byte("watchword/owner/v1\n"), text...))
	c.confirm = hex.EncodeToString(h[:])
	return c, nil
}

func (c *call) whose(ctx context.Context, q db.Q, e envelope, known bool) error {
	if !known {
		key, err := directory.ParseKey(e.Public)
		if err == nil && key.ID() != e.DeviceKey {
			err = fault.New(fault.Invalid, "device_key_id is not the hash of public_key.")
		}
		c.key = key
		return err
	}
	devices, err := directory.DevicesByKey(ctx, q, c.app.ID, e.DeviceKey)
	if err == nil && len(devices) != 1 { // each account of the app has a key of its own
		err = unknown
	}
	if err == nil {
		c.device, c.key = devices[0], devices[0].Key
	}
	return err
}

// once spends the call's nonce: a call that changes something is good once.
func (c *call) once(ctx context.Context, tx *db.Tx) error {
	err := limit.Take(ctx, tx, "device/nonce/"+c.key.ID()+"/"+c.nonce, 1, 3*freshness)
	if fault.Is(err, fault.Limited) {
		return fault.New(fault.Conflict, "This was said already.")
	}
	return err
}

func known[In, Out any](mux *http.ServeMux, d Door, verb string, fn func(ctx context.Context, c *call, in In) (Out, error)) {
	handle(mux, d, verb, true, fn)
}

// stranger is known for a phone that may not be known yet.
func stranger[In, Out any](mux *http.ServeMux, d Door, verb string, fn func(ctx context.Context, c *call, in In) (Out, error)) {
	handle(mux, d, verb, false, fn)
}

func handle[In, Out any](mux *http.ServeMux, d Door, verb string, known bool, fn func(ctx context.Context, c *call, in In) (Out, error)) {
	mux.Handle("POST /device/v1/"+verb, web.JSON(render, func(r *http.Request, e envelope) (out Out, err error) {
		c, err := d.open(r, verb, e, known)
		if err != nil {
			return out, err
		}
		var in In
		if err := web.Parse([]byte(e.Body), &in, true); err != nil {
			return out, err
		}
		return fn(audit.From(r.Context(), audit.Origin{Client: string(c.client.ID), IP: c.caller.Address, UserAgent: c.caller.UserAgent}), c, in)
	}))
}

// confirmed is known for what only the phone's owner may do: what proves them signs
// the call. A wrong signature is charged.
func confirmed[In, Out any](mux *http.ServeMux, d Door, verb string, fn func(ctx context.Context, c *call, p authn.Proof, in In) (Out, error)) {
	known(mux, d, verb, func(ctx context.Context, c *call, in In) (out Out, err error) {
		if c.owner == nil {
			return out, fault.New(fault.Invalid, "This needs the phone's owner.")
		}
		var p authn.Proof
		var wrong error
		err = d.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
			wrong = nil
			if err = c.once(ctx, tx); err != nil {
				return err
			}
			p, err = authn.ConfirmOnPhone(ctx, tx, c.subject(), c.owner.Kind, c.owner.ID, c.owner.Signature, c.confirm)
			if fault.Is(err, fault.Wrong) {
				wrong, err = err, nil
			}
			return err
		})
		if err = errors.Join(err, wrong); err != nil {
			return out, err
		}
		return fn(ctx, c, p, in)
	})
}

// seconds is a wait that a phone asks for.
func seconds(n int) (time.Duration, error) {
	if n < 0 || n > 25 {
		return 0, fault.New(fault.Invalid, "wait is 0 to 25 seconds.")
	}
	return time.Duration(n) * time.Second, nil
}
