package simulator

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody bounds what is read of an answer.
const maxBody = 1 << 20

// clientTimeout is longer than a server may hold a poll (25 s).
const clientTimeout = 40 * time.Second

type header = map[string]any

// conversation is one journey seen from a client: it keeps what must be echoed
// and answers the device steps, which never reach the app. One goroutine at a
// time.
type conversation struct {
	server, client, locale string
	agent                  string // User-Agent
	http                   *http.Client
	now                    func() time.Time
	key                    *rsa.PrivateKey // nil: a client without key storage
	headers                []header        // sent with every call
	mobile                 bool            // decodes as strictly as iOS
	saved                  map[string]any  // sdk_data, kept across journeys

	uid, sid, did string
	fch           string
	flow          map[string]any
	last          Response
	open          bool
}

// start begins a journey; op is the operation, extra goes with this call only.
func (c *conversation) start(ctx context.Context, op string, data map[string]any, extra ...header) (Response, error) {
	c.sid, c.fch, c.flow, c.last, c.open = "", "", nil, Response{}, true
	data["collection_result"] = map[string]any{"metadata": map[string]any{"timestamp": c.now().UnixMilli()}, "content": map[string]any{}}
	if len(c.saved) > 0 {
		data["sdk_data"] = c.saved
	}
	e, err := c.call(ctx, op, data, extra...)
	if err != nil {
		c.open = false
		return Response{}, err
	}
	if e.Headers == nil {
		c.open = false
		return Response{}, &ProtocolError{op, e.status, "the answer to a start has no array of headers"}
	}
	c.adopt(e)
	return c.take(ctx, e)
}

// adopt keeps the names that the server gave at the start.
func (c *conversation) adopt(e envelope) {
	if s := e.header("uid"); s != "" {
		c.uid = s
	}
	if s := e.header("session_id"); s != "" {
		c.sid = s
	}
	if s := e.header("device_id"); s != "" {
		c.did = s
	}
}

// submit answers the current step as the SDK does (mosaic-protocol 2.6).
func (c *conversation) submit(ctx context.Context, option string, data map[string]any) (Response, error) {
	if !c.open {
		return Response{}, ErrNoJourney
	}
	wire := c.last.Wire
	switch {
	case option == ClientInput && wire == stepTicket:
		return c.pollTicket(ctx)
	case option == ClientInput && wire == stepRegisterTOTP:
		return c.assert(ctx, "data", map[string]any{"data": map[string]any{}})
	case option == ClientInput && sendsData(wire):
		return c.assert(ctx, "data", answer("data", data))
	case option == ClientInput:
		return c.assert(ctx, "action", answer("input", data))
	case option == Resend && !resends(wire):
		return Response{}, fmt.Errorf("step %q cannot be sent again", c.last.Step)
	case option == Resend:
		return c.assert(ctx, "resend", map[string]any{})
	}
	escape := map[string]any{"escape_id": option}
	if data != nil {
		escape["escape_params"] = data
	}
	return c.assert(ctx, "escape", map[string]any{"data": escape})
}

// answer is a body with what the app said under name; the key is missing when
// it said nothing.
func answer(name string, data map[string]any) map[string]any {
	if data == nil {
		return map[string]any{}
	}
	return map[string]any{name: data}
}

// sendsData are the steps whose input travels as "data" with assert "data".
func sendsData(wire string) bool {
	switch wire {
	case "transmit_acp", "kyc", "transmit_platform_web_authn_registration", "transmit_platform_transaction_signing_webauthn",
		"transmit_platform_select_organization", "invoke_idp":
		return true
	}
	return resends(wire)
}

// resends are the steps on which "send again" is legal.
func resends(wire string) bool {
	switch wire {
	case "transmit_platform_email_otp_authentication", "transmit_platform_sms_otp_authentication", "transmit_platform_generic_otp_authentication",
		"transmit_platform_email_validation", "transmit_platform_sms_validation", stepMobileApprove:
		return true
	}
	return false
}

func (c *conversation) assert(ctx context.Context, kind string, body map[string]any) (Response, error) {
	body["assertion_id"], body["action"], body["assert"] = c.flow["assertion_id"], c.last.Wire, kind
	if !echoes(body) {
		body["fch"] = c.fch
	}
	e, err := c.call(ctx, "auth/assert", body)
	if err != nil {
		return Response{}, err
	}
	return c.take(ctx, e)
}

// echoes says whether the app's own data holds an fch: the SDK then leaves its
// own out.
func echoes(body map[string]any) bool {
	for _, name := range []string{"input", "data"} {
		data, _ := body[name].(map[string]any)
		if _, ok := data["fch"]; ok {
			return true
		}
	}
	return false
}

// take makes a response of an answer and answers device steps by itself.
func (c *conversation) take(ctx context.Context, e envelope) (Response, error) {
	if s := e.text("challenge"); s != "" {
		c.fch = s
	}
	if saved := e.sdkData(); saved != nil {
		if c.saved == nil {
			c.saved = map[string]any{}
		}
		maps.Copy(c.saved, saved)
	}
	r := e.response(c.last)
	automatic := c.last.Wire == stepRegisterDevice || c.last.Wire == stepValidateDevice
	if automatic && r.Type == InputRequired && e.flow() == nil {
		return r, &ProtocolError{"auth/assert", e.status, "a device step was answered with an update"}
	}
	c.last = r
	if flow := e.flow(); flow != nil {
		c.flow = flow
	}
	if r.Type == Success || r.Type == Rejection {
		c.open = false
		return r, nil
	}
	if r.Wire == stepRegisterDevice || r.Wire == stepValidateDevice {
		return c.answerDevice(ctx)
	}
	return r, nil
}

// answerDevice registers or proves the device's key (mosaic-protocol 2.7).
func (c *conversation) answerDevice(ctx context.Context) (Response, error) {
	if c.key == nil {
		return Response{}, errors.New("this client keeps no device key")
	}
	id, spki, err := keyID(&c.key.PublicKey)
	if err != nil {
		return Response{}, err
	}
	device := map[string]any{"platform_device_id": id}
	body := map[string]any{"data": map[string]any{"ts:idosdk:device": device}}
	if c.last.Wire == stepRegisterDevice {
		device["platform_device_key"] = spki
		return c.assert(ctx, "action", body)
	}
	challenge := deviceChallenge(c.flow)
	if device["signature"], err = signPSS(c.key, challenge); err != nil {
		return Response{}, err
	}
	body["input"] = map[string]any{"device_challenge": challenge}
	return c.assert(ctx, "action", body)
}

func deviceChallenge(flow map[string]any) string {
	app, _ := flow["app_data"].(map[string]any)
	if s, _ := app["challenge"].(string); s != "" {
		return s
	}
	s, _ := flow["device_challenge"].(string)
	return s
}

// pollTicket asks once whether the other side has spoken, and goes on if so.
func (c *conversation) pollTicket(ctx context.Context) (Response, error) {
	e, err := c.call(ctx, "auth/poll", map[string]any{"type": "ticket", "ticket_id": c.flow["raw_ticket_id"], "polling_timeout": c.flow["polling_timeout"]})
	if err != nil {
		return Response{}, err
	}
	if changed, _ := e.Data["change_detected"].(bool); !changed {
		return c.last, nil
	}
	return c.assert(ctx, "action", map[string]any{})
}

// call posts one message and reads the envelope of its answer. The HTTP status
// is kept, not judged, as in the SDKs.
func (c *conversation) call(ctx context.Context, op string, data map[string]any, extra ...header) (envelope, error) {
	headers := append([]header{}, c.headers...)
	if c.uid != "" {
		headers = append(headers, header{"type": "uid", "uid": c.uid})
	}
	body, err := json.Marshal(map[string]any{"headers": append(headers, extra...), "data": data})
	if err != nil {
		return envelope{}, fmt.Errorf("encoding %s: %w", op, err)
	}
	status, answer, err := post(ctx, c.http, c.url(op), c.agent, body)
	if err != nil {
		return envelope{}, fmt.Errorf("%s: %w", op, err)
	}
	e, err := decode(answer)
	e.status = status
	if err == nil && c.mobile && op != "auth/poll" {
		err = e.strict()
	}
	if err != nil {
		return envelope{}, &ProtocolError{op, status, err.Error()}
	}
	return e, nil
}

func (c *conversation) url(op string) string {
	q := url.Values{"aid": {"default_application"}, "clientId": {c.client}, "locale": {c.locale}}
	if c.sid != "" {
		q.Set("sid", c.sid)
	}
	if c.did != "" {
		q.Set("did", c.did)
	}
	return c.server + "/ido/api/v2/" + op + "?" + q.Encode()
}

// post sends JSON and returns the status and the body, whatever they are.
func post(ctx context.Context, client *http.Client, url, agent string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json;charset=UTF-8")
	req.Header.Set("User-Agent", agent)
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	return res.StatusCode, answer, err
}

// base is a server's URL as it is kept: http or https, no slash at the end.
func base(server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", errors.New("the server must be an http or https URL")
	}
	return strings.TrimRight(server, "/"), nil
}

// await repeats an empty answer, at most once per polling interval, until the
// waiting step is over or ctx is.
func (c *conversation) await(ctx context.Context) (Response, error) {
	for waiting(c.last) && c.open {
		pause := time.NewTimer(interval(c.last))
		if r, err := c.submit(ctx, ClientInput, nil); err != nil || !waiting(r) {
			pause.Stop()
			return r, err
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return c.last, ctx.Err()
		}
	}
	return c.last, nil
}

// waiting says whether an empty answer asks "is it decided?"; a step that offers
// a choice of devices does not wait yet.
func waiting(r Response) bool {
	_, choice := r.Data["devices"]
	return r.Wire == stepTicket || r.Wire == stepMobileApprove && !choice
}

// interval is how often a page may ask, 2 s if the step does not say.
func interval(r Response) time.Duration {
	if n := r.Number("polling_interval"); n > 0 && n <= 60 {
		return time.Duration(n * float64(time.Second))
	}
	return 2 * time.Second
}
