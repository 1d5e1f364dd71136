package simulator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"
)

// maxHold is the longest that a server holds one call for pending requests.
const maxHold = 25 * time.Second

// registrationJourney is the journey that makes a phone somebody's.
const registrationJourney = "mobile_app_registration"

// phoneAgent is the phone's User-Agent.
const phoneAgent = "watchword-phone/1"

// Options say whose phone it is and where it points.
type Options struct {
	Server     string
	Client     string
	Email      string
	DeviceName string       // "Phone" if empty
	HTTP       *http.Client // nil: a client of its own; its timeout must exceed 25 s
	Now        func() time.Time
	Keys       *Keys // nil: made by New

	// Push is where the phone says that it is reached; empty: nowhere, it asks.
	Push PushConfig

	// Notice is told, during Register, that another phone of the user must
	// approve first, and which number to enter there ("" when none is shown).
	Notice func(device, number string)
	// Code reads, during Register, the code that was mailed to the user, who has
	// something enrolled but no phone. nil: from the inbox of a development server.
	Code func(ctx context.Context) (string, error)
}

// PushConfig is the push_config of the device header, and the app that it is for.
type PushConfig struct {
	Type  string // "APN", "Fcm", "webpush"
	Token string
	App   string // bundle id or package
}

// Phone is a phone with an app that embeds the mobile SDK. Pending, Approve and
// Deny may be called at the same time; Register may not.
type Phone struct {
	o         Options
	server    string
	http      *http.Client
	keyID     string // of the device key
	spki      string
	pushToken string
	deviceID  string // as the server named it
	heard     string // the last mail before it began
}

// Request is a question that waits on the phone.
type Request struct {
	ID           string         `json:"id"`
	App          string         `json:"app"`
	Client       string         `json:"client"`
	Place        string         `json:"place"`
	Browser      string         `json:"browser"`
	At           time.Time      `json:"at"`
	ExpiresAt    time.Time      `json:"expires_at"`
	NumberMode   string         `json:"number_mode"`
	Purpose      string         `json:"purpose"` // login, enrolment or transaction
	ApprovalData map[string]any `json:"approval_data"`
}

// New makes a phone that is not registered yet.
func New(o Options) (*Phone, error) {
	var token [32]byte
	_, _ = rand.Read(token[:]) // never fails
	return newPhone(o, hex.EncodeToString(token[:]), "")
}

func newPhone(o Options, pushToken, deviceID string) (*Phone, error) {
	server, err := base(o.Server)
	if err != nil {
		return nil, err
	}
	if o.Client == "" || o.Email == "" || o.Now == nil {
		return nil, errors.New("a phone needs a client, an e-mail address and a clock")
	}
	if o.DeviceName == "" {
		o.DeviceName = "Phone"
	}
	if o.Keys == nil {
		if o.Keys, err = NewKeys(); err != nil {
			return nil, err
		}
	}
	p := &Phone{o: o, server: server, http: o.HTTP, pushToken: pushToken, deviceID: deviceID}
	if p.http == nil {
		p.http = &http.Client{Timeout: clientTimeout}
	}
	p.keyID, p.spki, err = keyID(&o.Keys.Device.PublicKey)
	return p, err
}

// converse opens a conversation with the headers of the mobile SDK
// (mosaic-protocol 2.2).
func (p *Phone) converse() *conversation {
	push := p.o.Push
	if push.Type == "" {
		push = PushConfig{"none", p.pushToken, "dev.watchword.phone"}
	}
	return &conversation{
		server: p.server, client: p.o.Client, locale: "en-US", agent: phoneAgent, http: p.http, now: p.o.Now, key: p.o.Keys.Device, mobile: true, did: p.deviceID,
		headers: []header{
			{"type": "flow_id", "flow_id": ""},
			{"type": "device", "device": map[string]any{
				"device_key_id": p.keyID, "device_public_key": p.spki, "device_type": "mobile", "device_manufacturer": "Watchword",
				"device_model": p.o.DeviceName, "device_name": p.o.DeviceName, "device_os": runtime.GOOS, "device_os_version": "1",
				"app_identifier": push.App, "push_config": map[string]any{"device_token": push.Token, "type": push.Type},
			}},
		},
	}
}

// App is the phone's app with the mobile SDK in it, to run any journey.
func (p *Phone) App() *Browser { return &Browser{p.converse()} }

// SignBiometric signs a challenge as the phone does after a finger or a face; it
// also returns the key's id.
func (p *Phone) SignBiometric(challenge string) (id, signature string, err error) {
	if id, _, err = keyID(&p.o.Keys.Biometric.PublicKey); err != nil {
		return "", "", err
	}
	signature, err = signECDSA(p.o.Keys.Biometric, challenge)
	return id, signature, err
}

// Register runs mobile_app_registration: it binds the device key, the biometric
// key and the push target to the user. Where the user has a phone already, that
// one must approve first; Register waits for it as long as ctx allows. A
// *Refusal is the server's no.
func (p *Phone) Register(ctx context.Context) error {
	c := p.converse()
	r, err := c.start(ctx, "auth/anonymous_invoke", map[string]any{"policy_request_id": registrationJourney})
	for asked := ""; ; {
		if err != nil {
			return fmt.Errorf("registering: %w", err)
		}
		switch {
		case r.Type == Success:
			p.deviceID = c.did
			return nil
		case r.Type != InputRequired, r.ErrorCode != "", r.Wire == asked && asked == stepForm:
			return r.refusal()
		}
		asked = r.Wire
		r, err = p.enrol(ctx, c, r)
	}
}

// enrol answers one step of the registration.
func (p *Phone) enrol(ctx context.Context, c *conversation, r Response) (Response, error) {
	switch r.Wire {
	case stepForm, stepLoginForm:
		return c.submit(ctx, ClientInput, map[string]any{"email": p.o.Email})
	case stepInformation:
		return c.submit(ctx, ClientInput, nil)
	case stepMobileApprove:
		return p.askOther(ctx, c, r)
	case stepMailCode:
		code, err := p.mailed(ctx)
		if err != nil {
			return r, err
		}
		return c.submit(ctx, ClientInput, map[string]any{"passcode": code})
	case stepRegisterBio:
		id, spki, err := keyID(&p.o.Keys.Biometric.PublicKey)
		if err != nil {
			return r, err
		}
		return c.submit(ctx, ClientInput, map[string]any{"publicKeyId": id, "publicKey": spki, "os": "Android"})
	}
	return r, fmt.Errorf("this phone does not know the step %q", r.Step)
}

// askOther has another phone of the user approve: the one seen last, if there
// are several.
func (p *Phone) askOther(ctx context.Context, c *conversation, r Response) (Response, error) {
	if list, _ := r.Data["devices"].([]any); len(list) > 0 {
		device, _ := list[0].(map[string]any)
		return c.submit(ctx, ClientInput, map[string]any{"selected_device_code": device["code"]})
	}
	if p.o.Notice != nil {
		p.o.Notice(r.Text("device_display_name"), r.Text("number"))
	}
	return c.await(ctx)
}

// mailed is the code that the user got by mail.
func (p *Phone) mailed(ctx context.Context) (string, error) {
	if p.o.Code != nil {
		return p.o.Code(ctx)
	}
	for range 50 {
		_, code, err := p.newestMail(ctx, p.heard)
		if code != "" || err != nil {
			return code, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return "", errors.New("no mail with a code came")
}

// newestMail looks into the inbox of a development server: the newest code that
// came after a mail, and the mail it is in.
func (p *Phone) newestMail(ctx context.Context, after string) (id, code string, err error) {
	q := url.Values{"channel": {"mail"}, "to": {p.o.Email}, "after": {after}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.server+"/dev/inbox/messages?"+q.Encode(), nil)
	if err != nil {
		return "", "", err
	}
	resp, err := p.http.Do(r)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	var inbox struct {
		Messages []struct {
			ID   string            `json:"id"`
			Data map[string]string `json:"data"`
		} `json:"messages"`
	}
	if resp.StatusCode != http.StatusOK {
		return "", "", errors.New("a code was mailed to the user, and this phone cannot read it")
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&inbox); err != nil {
		return "", "", err
	}
	for _, m := range slices.Backward(inbox.Messages) {
		if m.Data["code"] != "" {
			return m.ID, m.Data["code"], nil
		}
	}
	return after, "", nil
}

// Pending returns what waits on this phone, and waits for it up to wait; 0
// answers at once. An empty list is no error.
func (p *Phone) Pending(ctx context.Context, wait time.Duration) ([]Request, error) {
	for {
		hold := max(0, min(wait, maxHold)).Truncate(time.Second)
		wait -= hold
		list, err := p.pending(ctx, hold)
		if err != nil || len(list) > 0 || wait < time.Second {
			return list, err
		}
	}
}

// Known says whether the server has this phone on record, for this client.
func (p *Phone) Known(ctx context.Context) (bool, error) {
	_, err := p.pending(ctx, 0)
	if refused, ok := errors.AsType[*Refusal](err); ok && refused.Status == http.StatusForbidden {
		return false, nil
	}
	return err == nil, err
}

func (p *Phone) pending(ctx context.Context, hold time.Duration) ([]Request, error) {
	at, nonce := p.o.Now().UnixMilli(), rand.Text()
	signature, err := signPSS(p.o.Keys.Device, fmt.Sprintf("watchword/device/v1\npending\n%s\n%s\n%d\n%s", p.o.Client, p.keyID, at, nonce))
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{
		"client_id": p.o.Client, "device_key_id": p.keyID, "timestamp": at, "nonce": nonce, "wait": int(hold / time.Second), "signature": signature,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	status, answer, err := post(ctx, p.http, p.server+"/device/v1/pending", phoneAgent, body)
	if err != nil {
		return nil, fmt.Errorf("asking what is pending: %w", err)
	}
	if status != http.StatusOK {
		return nil, &Refusal{Status: status, Message: words(answer)}
	}
	var out struct {
		Requests []Request `json:"requests"`
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return nil, &ProtocolError{"device/v1/pending", status, err.Error()}
	}
	return out.Requests, nil
}

// Approve answers a request with yes: it starts the phone's journey, enters
// number where the journey asks for it, whether it is right or not, and signs
// with the biometric key. nil means that the server accepted; a *Refusal is its
// no.
func (p *Phone) Approve(ctx context.Context, id, number string) error {
	c := p.converse()
	r, err := p.join(ctx, c, id)
	for {
		if err != nil {
			return fmt.Errorf("approving: %w", err)
		}
		switch {
		case r.Type == Success:
			return nil
		case r.Type != InputRequired, r.ErrorCode != "":
			return r.refusal()
		}
		r, err = p.allow(ctx, c, r, number)
	}
}

// join starts the phone's side of a request (mosaic-protocol 5.3).
func (p *Phone) join(ctx context.Context, c *conversation, id string) (Response, error) {
	signature, err := signPSS(p.o.Keys.Device, id)
	if err != nil {
		return Response{}, err
	}
	approve := map[string]any{"request_id": id, "request_id_signature": signature}
	return c.start(ctx, "auth/mobile_approve", map[string]any{"params": map[string]any{}}, header{"type": "mobile_approve", "mobile_approve": approve})
}

// allow answers one step of the phone's journey.
func (p *Phone) allow(ctx context.Context, c *conversation, r Response, number string) (Response, error) {
	switch r.Wire {
	case stepInformation:
		return c.submit(ctx, ClientInput, nil)
	case stepValidateOTP:
		if number == "" {
			return r, ErrNumberNeeded
		}
		return c.submit(ctx, ClientInput, map[string]any{"passcode": number})
	case stepBio:
		id, signed, err := p.SignBiometric(r.Text("biometrics_challenge"))
		if err != nil {
			return r, err
		}
		return c.submit(ctx, ClientInput, map[string]any{"publicKeyId": id, "userIdentifier": r.Text("user_identifier"), "signedChallenge": signed})
	}
	return r, fmt.Errorf("this phone does not know the step %q", r.Step)
}

// Deny answers a request with no; with notMe it also says that somebody else
// asked, where the journey offers that. nil means that the server took the no.
func (p *Phone) Deny(ctx context.Context, id string, notMe bool) error {
	c := p.converse()
	r, err := p.join(ctx, c, id)
	if err != nil {
		return fmt.Errorf("denying: %w", err)
	}
	if r.Type != InputRequired {
		return r.refusal()
	}
	for r.Type == InputRequired {
		if r.ErrorCode != "" {
			return r.refusal()
		}
		if r.Wire == stepInformation {
			r, err = c.submit(ctx, ClientInput, nil)
		} else {
			r, err = c.submit(ctx, way(r, notMe), nil)
		}
		if err != nil {
			return fmt.Errorf("denying: %w", err)
		}
	}
	if r.refused {
		return r.refusal()
	}
	return nil
}

// way is the option that says no on this step.
func way(r Response, notMe bool) string {
	switch {
	case notMe && r.Offers(NotMe):
		return NotMe
	case r.Offers(Cancel):
		return Cancel
	}
	return Failure
}

// words finds what a server says in the JSON of an error.
func words(body []byte) string {
	var doc map[string]any
	if err := json.Unmarshal(body, &doc); err == nil {
		for _, name := range []string{"message", "error_message", "error_description", "detail", "error"} {
			switch v := doc[name].(type) {
			case string:
				return v
			case map[string]any:
				if s, _ := v["message"].(string); s != "" {
					return s
				}
			}
		}
	}
	return "The server refused: " + strings.TrimSpace(string(body[:min(len(body), 200)]))
}
