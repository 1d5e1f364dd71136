// Package deviceapi is the door for phones of our own making: the phone app in the
// browser, and any phone that asks whether something waits for it. Every call is
// signed by the phone's device key over the call itself; docs/phone.md is the
// protocol. The door translates and decides nothing: who may answer a request is
// judged by push, what proves a phone's owner by the method that keeps it, and
// which journey runs stands in the request.
package deviceapi

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/token"
	"github.com/watchword-auth/watchword/internal/web"
)

// Door is what the door needs of the house.
type Door struct {
	Kit     *kit.Kit
	Engine  *journey.Engine
	Keys    *token.Keys
	Trusted []netip.Prefix  // proxies whose X-Forwarded-For counts
	Stop    <-chan struct{} // what is held is answered when it is closed: the server goes down
}

// Routes adds the door's routes to mux. All are POST, under one prefix.
func Routes(mux *http.ServeMux, d Door) {
	mux.Handle("POST /device/v1/pending", web.JSON(render, func(r *http.Request, in pendingIn) (pendingOut, error) {
		out, err := pending(r.Context(), d.Kit.DB, in, d.Stop)
		return pendingOut{out}, err
	}))
	stranger(mux, d, "methods", d.methods)
	stranger(mux, d, "enrol", d.enrol)
	stranger(mux, d, "begin", d.begin)
	stranger(mux, d, "continue", d.proceed)
	known(mux, d, "account", d.account)
	known(mux, d, "requests", d.requests)
	known(mux, d, "answer", d.answer)
	known(mux, d, "subscribe", d.subscribe)
	known(mux, d, "forget", d.forget)
	confirmed(mux, d, "rotate", d.rotate)
	confirmed(mux, d, "owner", d.replaceOwner)
	confirmed(mux, d, "revoke", d.revoke)
	confirmed(mux, d, "totp", d.totp)
}

type pendingIn struct {
	Client    apps.ClientID `json:"client_id"`
	DeviceKey string        `json:"device_key_id"`
	Timestamp int64         `json:"timestamp"` // ms
	Nonce     string        `json:"nonce"`
	Wait      int           `json:"wait"` // seconds, 0 to 25
	Signature string        `json:"signature"`
}

type pendingOut struct {
	Requests []push.Waiting `json:"requests"`
}

// freshness is how far a phone's clock may be off.
const freshness = 2 * time.Minute

// signed is what the phone signs.
func (in pendingIn) signed() []byte {
	return fmt.Appendf(nil, "watchword/device/v1\npending\n%s\n%s\n%d\n%s", in.Client, in.DeviceKey, in.Timestamp, in.Nonce)
}

// unknown is the answer to anybody who is not a phone of ours, whatever the
// reason.
var unknown = fault.New(fault.Denied, "This phone is not known here. Set it up again.")

func pending(ctx context.Context, d *db.DB, in pendingIn, stop <-chan struct{}) ([]push.Waiting, error) {
	if in.Wait < 0 || in.Wait > 25 || len(in.Nonce) < 8 || len(in.Nonce) > 128 || len(in.DeviceKey) > 128 {
		return nil, fault.New(fault.Invalid, "wait is 0 to 25 seconds, nonce 8 to 128 characters.")
	}
	if err := fresh(d, in.Timestamp); err != nil {
		return nil, err
	}
	_, app, err := apps.FindClient(ctx, d, in.Client)
	if fault.Is(err, fault.NotFound) {
		return nil, unknown
	} else if err != nil {
		return nil, err
	}
	devices, err := directory.DevicesByKey(ctx, d, app.ID, in.DeviceKey)
	if err != nil {
		return nil, err
	}
	if len(devices) == 0 || !devices[0].Key.Verify(in.signed(), in.Signature) {
		return nil, unknown
	}
	return push.Pending(ctx, d, app.ID, in.DeviceKey, time.Duration(in.Wait)*time.Second, stop)
}

func fresh(q db.Q, timestamp int64) error {
	if off := q.Now().Sub(time.UnixMilli(timestamp)).Abs(); off > freshness {
		return fault.New(fault.Denied, "The phone's clock is wrong. Set the time and try again.")
	}
	return nil
}

func render(w http.ResponseWriter, _ *http.Request, e *fault.Error) {
	web.Write(w, web.Status(e.Code), map[string]any{"error": e.Code, "message": e.Message}, e.RetryAfter)
}
