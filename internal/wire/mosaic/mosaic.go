// Package mosaic is the door that the published Mosaic SDKs knock at: their
// orchestration protocol, as the unmodified web SDK 2.1.1 and the mobile SDKs
// speak it (mosaic-protocol 2). The door has words and envelopes and decides
// nothing: every request starts or answers a journey run, or joins an approval.
package mosaic

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/refusal"
	"github.com/watchword-auth/watchword/internal/token"
	"github.com/watchword-auth/watchword/internal/web"
)

// Door is what the door needs of the house.
type Door struct {
	Kit    *kit.Kit
	Engine *journey.Engine
	Keys   *token.Keys
	Token  func(ctx context.Context, end journey.End) (string, error) // signs the proof of completion
	Code   func(end journey.End) string                               // what a back end trades for tokens; "": nothing
	// Interaction is the run that answers an authorization request, by its name;
	// Onward is where the browser goes then, "" if no request waited.
	Interaction func(ctx context.Context, c apps.Client, app apps.App, id string) (journey.StartRequest, error)
	Onward      func(end journey.End) string
	Trusted     []netip.Prefix
	Refused     *refusal.Book // keeps what clients did wrong
}

// Routes adds the door's routes to mux. All are POST, under one prefix.
func Routes(mux *http.ServeMux, d Door) {
	for op, fn := range map[string]operation{
		"auth/anonymous_invoke":   d.start,
		"auth/sso":                d.sso,
		"auth/mobile_approve":     d.approve,
		"auth/assert":             d.answer,
		"auth/poll":               d.poll,
		"auth/create_debug_token": d.debug,
	} {
		mux.Handle("POST "+prefix+op, d.handle(fn))
	}
	mux.HandleFunc("POST "+prefix+"auth/key_exchange", d.exchange)
	mux.HandleFunc("POST "+prefix+"token/introspect", d.introspect)
	mux.HandleFunc(prefix, func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, fault.New(fault.NotFound, "There is no such operation."), nil)
	})
}

const prefix = "/ido/api/v2/"

// operation answers one opened request.
type operation func(ctx context.Context, in *request) (response, error)

// request is an opened request: what the query and the typed headers say.
type request struct {
	client  apps.Client
	app     apps.App
	caller  journey.Caller
	session string
	request string // an authorization request, by its name
	headers headers
	data    data
	crypto  *cryptoSession
}

func (d Door) handle(fn operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in request
		var err error
		d.Kit.Crew.Do(func() { in, err = d.open(w, r) })
		if err != nil {
			refuse(w, r, err, in.crypto)
			return
		}
		out, err := fn(r.Context(), &in)
		if err != nil {
			refuse(w, r, err, in.crypto)
			return
		}
		out.write(w, in.crypto)
	})
}

// open reads a request. An unknown client is refused like a wrong session, by
// every operation alike.
func (d Door) open(w http.ResponseWriter, r *http.Request) (request, error) {
	var in request
	q := r.URL.Query()
	env, err := d.envelope(w, r)
	if err != nil {
		return in, err
	}
	in.crypto = env.crypto
	if in.client, in.app, err = apps.FindClient(r.Context(), d.Kit.DB, apps.ClientID(q.Get("clientId"))); err != nil {
		if fault.Is(err, fault.NotFound) {
			return in, fault.New(fault.Denied, "The client is not known here.").Because(err)
		}
		return in, err
	}
	if in.client.Kind == apps.Backend {
		return in, fault.New(fault.Denied, "The client is not known here.")
	}
	in.session, in.request, in.headers, in.data = q.Get("sid"), clip(q.Get("ssoInteractionId"), 128), env.headers, env.data
	in.caller = journey.Caller{
		Client: in.client.ID, Address: web.Address(r, d.Trusted).String(), UserAgent: clip(r.UserAgent(), 512), Locale: clip(q.Get("locale"), 35), Device: in.headers.device(),
	}
	return in, nil
}

// clip is s as text that can be kept anywhere: at most n bytes, cut between two
// characters, valid UTF-8 and without NUL.
func clip(s string, n int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// noJourney is one answer to a name that is none's and to what is not published.
var noJourney = fault.New(fault.NotFound, "There is no such journey.")

func (d Door) start(ctx context.Context, in *request) (response, error) {
	reply, err := d.Engine.Start(ctx, journey.StartRequest{
		App: in.app, Client: in.client, Journey: in.data.Journey, Params: in.data.Params, Saved: in.data.Saved, Caller: in.caller,
	})
	if fault.Is(err, fault.NotFound) {
		d.Refused.Keep(ctx, refusal.Call{Client: string(in.client.ID), Reason: refusal.Journey, Asked: in.data.Journey, Said: noJourney.Message, Address: in.caller.Address, Agent: in.caller.UserAgent})
		return response{}, noJourney.Because(err)
	}
	if err != nil {
		return response{}, err
	}
	return d.started(ctx, in, reply)
}

// sso runs the journey of an authorization request. Which one, for whom and with
// what stands in the request; the SDK sends along what it knows of other journeys.
func (d Door) sso(ctx context.Context, in *request) (response, error) {
	s, err := d.Interaction(ctx, in.client, in.app, in.request)
	if err != nil {
		return response{}, err
	}
	if locale := s.Caller.Locale; locale != "" {
		in.caller.Locale = locale
	}
	s.Caller, s.Saved = in.caller, in.data.Saved
	reply, err := d.Engine.Start(ctx, s)
	if err != nil {
		return response{}, err
	}
	return d.started(ctx, in, reply)
}

func (d Door) approve(ctx context.Context, in *request) (response, error) {
	a := in.headers.Approve
	reply, err := push.Join(ctx, d.Kit, d.Engine, push.JoinRequest{
		Request: a.Request, Signature: a.Signature, App: in.app, Client: in.client, Caller: in.caller, Params: in.data.Params,
	})
	if err != nil {
		return response{}, err
	}
	return d.started(ctx, in, reply)
}

// started is the first response of a run: it names the session, the device and
// the anonymous user, which the SDK takes from nowhere else.
func (d Door) started(ctx context.Context, in *request, reply journey.Reply) (response, error) {
	out, err := d.reply(ctx, reply)
	device := in.headers.Device.KeyID
	if device == "" {
		device = "d-" + rand.Text()
	}
	uid := in.headers.UID
	if uid == "" {
		uid = "anon-" + rand.Text()
	}
	out.Headers = append(out.Headers, map[string]any{"type": "ephemeral_uid", "uid": uid}, map[string]any{"type": "device_id", "device_id": device},
		map[string]any{"type": "session_id", "session_id": reply.Session})
	return out, err
}

func (d Door) answer(ctx context.Context, in *request) (response, error) {
	option, said := in.data.answer()
	reply, err := d.Engine.Answer(ctx, journey.Answer{
		Session: in.session, Visit: in.data.Visit, Turn: in.data.Turn, Option: option, Data: said, Caller: in.caller,
	})
	if err != nil {
		return response{}, err
	}
	return d.reply(ctx, reply)
}

func (d Door) poll(ctx context.Context, in *request) (response, error) {
	wait := min(max(in.data.Timeout, 0), 25)
	changed, err := d.Engine.PollTicket(ctx, journey.Answer{Session: in.session, Caller: in.caller}, in.data.Ticket, time.Duration(wait*float64(time.Second)))
	if err != nil {
		return response{}, err
	}
	return response{Data: map[string]any{"change_detected": changed, "assertions_complete": false, "state": "pending"}}, nil
}

func (d Door) debug(ctx context.Context, in *request) (response, error) {
	pin, err := d.Engine.DebugPin(ctx, journey.Answer{Session: in.session, Caller: in.caller})
	return response{Data: map[string]any{"debug_pin": pin, "assertions_complete": false, "state": "pending"}}, err
}
