package push

import (
	"context"
	"crypto/subtle"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/notify"
)

// JoinRequest is a phone that comes to answer.
type JoinRequest struct {
	Request   string // the id that the message carried
	Signature string // base64, by the device key over the text of Request
	App       apps.App
	Client    apps.Client
	Caller    journey.Caller
	Params    map[string]any
}

// Join starts the journey that a request wants run on the phone, once: the
// request moves on and the run exists, or neither. The phone proves that it is
// the device that was asked by its signature; which journey runs, for which user
// and on what terms stands in the request (P2, P10). Whatever is wrong - unknown
// request, another device, a bad signature, an answered or expired request - is
// the same authn.Gone.
func Join(ctx context.Context, k *kit.Kit, e *journey.Engine, j JoinRequest) (reply journey.Reply, err error) {
	err = k.DB.Move(ctx, func(tx *db.Tx) error {
		c, d, err := asked(ctx, tx, j)
		if err != nil {
			return err
		}
		if err := authn.Move(ctx, tx, &c, authn.Acknowledged); err != nil {
			return err
		}
		if err := greet(ctx, tx, d, j.Caller.Device); err != nil {
			return err
		}
		if err := recordEnd(ctx, tx, c, "acknowledged", ""); err != nil {
			return err
		}
		reply, err = e.StartIn(ctx, tx, journey.StartRequest{
			App: j.App, Client: j.Client, Journey: c.Data.Journey, Version: c.Data.Version, Kind: journey.KindMobileApprove, Params: j.Params, Caller: j.Caller,
			Waiter: journey.Waiter{Kind: string(Kind), ID: string(c.ID)}, Subject: c.Subject.User, Device: d.ID, Commit: record(c), Trusted: parameters(c),
		})
		return err
	})
	if err == nil && reply.Paused {
		j.Caller.Client = j.Client.ID
		return e.Resume(ctx, reply.Session, j.Caller)
	}
	return reply, err
}

func asked(ctx context.Context, q db.Q, j JoinRequest) (Challenge, directory.Device, error) {
	c, err := authn.Recall[Request](ctx, q, authn.ChallengeID(j.Request))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return c, directory.Device{}, err
	}
	if err != nil || c.Data.Decoy || c.State != authn.Created || c.Subject.App != j.App.ID || c.Subject.Kind != Kind {
		return c, directory.Device{}, authn.Gone.Because(err)
	}
	d, err := directory.FindDevice(ctx, q, c.Data.Device)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return c, d, err
	}
	if err != nil || d.Status != directory.DeviceActive || d.User != c.Subject.User || !strings.EqualFold(j.Caller.Device.KeyID, d.KeyID) ||
		!d.Key.Verify([]byte(j.Request), j.Signature) {
		return c, d, authn.Gone.Because(err)
	}
	if err := directory.MaySignIn(ctx, q, c.Subject.Tenant, c.Subject.User); err != nil {
		return c, d, gone(err)
	}
	return c, d, gone(authn.Locked(ctx, q, c.Subject))
}

// gone hides why from who may not know, and nothing from the log.
func gone(err error) error {
	if err == nil || fault.Is(err, fault.Internal) || fault.Is(err, fault.Unavailable) {
		return err
	}
	return authn.Gone.Because(err)
}

// greet notes that a device just proved to be alive, and where it is reached.
func greet(ctx context.Context, tx *db.Tx, d directory.Device, said journey.Device) error {
	if err := directory.Seen(ctx, tx, d.ID); err != nil {
		return err
	}
	t := journey.TargetOf(said)
	if t.Kind == notify.None {
		return nil
	}
	return directory.SetTarget(ctx, tx, d.ID, t)
}

// parameters is what @policy.getMobileApproveParameters() returns, all of it
// from the request itself (mosaic-protocol 5.3, DESIGN 2.20.6).
func parameters(c Challenge) map[string]any {
	return map[string]any{
		"approval_data": filled(c.Data.Approval), "additional_data": filled(c.Data.Extra), "correlation_id": string(c.ID), "device_id": string(c.Data.Device),
		"external_user_id": string(c.Subject.User), "user_id": string(c.Subject.User), "journey_id": c.Data.Web,
	}
}

// Waiting is a request as the phone's owner sees it. The number is not in it.
type Waiting struct {
	ID         string         `json:"id"`
	App        string         `json:"app"`
	Client     string         `json:"client"`
	Place      string         `json:"place"`
	Browser    string         `json:"browser"`
	At         time.Time      `json:"at"`
	ExpiresAt  time.Time      `json:"expires_at"`
	NumberMode string         `json:"number_mode"`
	Purpose    string         `json:"purpose"` // ForLogin, ForEnrolment or ForDeal
	Approval   map[string]any `json:"approval_data"`
}

// Pending returns what waits for the phone with this device key in an
// application. With nothing waiting it holds until something does, wait passes,
// or ctx or stop ends. The caller has checked that the phone itself asks.
func Pending(ctx context.Context, d *db.DB, app apps.ID, keyID string, wait time.Duration, stop <-chan struct{}) ([]Waiting, error) {
	w := d.Watch(deviceTopic(keyID))
	defer w.Close()
	timer := time.NewTimer(min(wait, journey.MaxHold))
	defer timer.Stop()
	for last := wait <= 0; ; {
		out, err := pending(ctx, d, app, keyID)
		if err != nil || len(out) > 0 || last {
			return out, err
		}
		select {
		case <-w.C:
		case <-timer.C:
			last = true
		case <-stop:
			last = true
		case <-ctx.Done():
			return out, nil
		}
	}
}

func pending(ctx context.Context, q db.Q, app apps.ID, keyID string) ([]Waiting, error) {
	open, err := openOn(ctx, q, app, keyID)
	out := []Waiting{}
	for _, c := range open {
		if c.State == authn.Created {
			out = append(out, waiting(c))
		}
	}
	return out, err
}

// openOn are the open requests for the phone with this device key, of whichever
// users it serves.
func openOn(ctx context.Context, q db.Q, app apps.ID, keyID string) ([]Challenge, error) {
	devices, err := directory.DevicesByKey(ctx, q, app, keyID)
	if err != nil {
		return nil, err
	}
	var out []Challenge
	for _, d := range devices {
		open, err := authn.OpenFor[Request](ctx, q, authn.Subject{Kind: Kind, App: app, User: d.User})
		if err != nil {
			return nil, err
		}
		for _, c := range open {
			if c.Data.Device == d.ID {
				out = append(out, c)
			}
		}
	}
	return out, nil
}

func waiting(c Challenge) Waiting {
	return Waiting{string(c.ID), c.Data.AppName, c.Data.ClientAs, c.Data.Place, c.Data.Browser, c.Created, c.Expires, c.Data.Mode, purpose(c.Data), filled(c.Data.Approval)}
}

func filled(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func equal(typed, number string) bool {
	return number != "" && subtle.ConstantTimeCompare([]byte(strings.TrimSpace(typed)), []byte(number)) == 1
}

func recordEnd(ctx context.Context, tx *db.Tx, c Challenge, what, reason string) error {
	outcome := "success"
	if reason != "" {
		outcome = "failure"
	}
	return audit.Record(ctx, tx, audit.Event{Tenant: string(c.Subject.Tenant), App: string(c.Subject.App), Client: string(c.Data.Client), Type: "push." + what,
		Outcome: outcome, Reason: reason, Actor: string(c.Subject.User), Target: string(c.Subject.User), Device: string(c.Data.Device),
		Data: map[string]any{"request": string(c.ID), "mode": c.Data.Mode}})
}
