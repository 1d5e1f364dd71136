// Package deviceapi is the door for phones of our own making: what the mobile
// SDKs' protocol has no word for. For now that is one question: is anything
// waiting for me? Every question is signed by the device key. The door
// translates and decides nothing.
package deviceapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/web"
)

// Routes adds the door's routes to mux. What is held is answered when stop is
// closed: the server goes down.
func Routes(mux *http.ServeMux, k *kit.Kit, stop <-chan struct{}) {
	mux.Handle("POST /device/v1/pending", web.JSON(render, func(r *http.Request, in pendingIn) (pendingOut, error) {
		out, err := pending(r.Context(), k.DB, in, stop)
		return pendingOut{out}, err
	}))
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
	if off := d.Now().Sub(time.UnixMilli(in.Timestamp)).Abs(); off > freshness {
		return nil, fault.New(fault.Denied, "The phone's clock is wrong. Set the time and try again.")
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

func render(w http.ResponseWriter, _ *http.Request, e *fault.Error) {
	web.Write(w, web.Status(e.Code), map[string]any{"error": e.Code, "message": e.Message}, e.RetryAfter)
}
