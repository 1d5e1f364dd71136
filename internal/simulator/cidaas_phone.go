package simulator

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// CidaasState is a phone of the cidaas protocol as it is kept in a file. It has no
// key: what it is known by is a secret.
type CidaasState struct {
	Client string `json:"client_id"`
	Sub    string `json:"sub,omitempty"`
	Device string `json:"device_id"`
	PushID string `json:"push_token"`
}

// CidaasPhone is a phone whose app embeds the mobile SDK of cidaas
// (cidaas-protocol 1, 2.4 to 2.14).
type CidaasPhone struct {
	o     Options
	state CidaasState
}

// NewCidaasPhone makes a phone that is not enrolled yet. The client of o is the
// one that its user signs in at, where it enrols itself.
func NewCidaasPhone(o Options) (*CidaasPhone, error) {
	var err error
	if o.Server, err = base(o.Server); err != nil {
		return nil, err
	}
	if o.DeviceName == "" {
		o.DeviceName = "Phone"
	}
	return &CidaasPhone{o, CidaasState{Device: rand.Text(), PushID: rand.Text() + rand.Text()}}, nil
}

// LoadCidaasPhone makes the phone of a file again: one that was enrolled through
// this protocol or, where a development server takes its word, one of the other.
// ErrNoPhone if there is none.
func LoadCidaasPhone(path string, o Options) (*CidaasPhone, error) {
	s, err := readState(path)
	if err != nil {
		return nil, err
	}
	state := CidaasState{Client: s.Client, Device: s.DeviceID, PushID: s.PushToken}
	if s.Cidaas != nil {
		state = *s.Cidaas
	}
	if state.Device == "" {
		return nil, fmt.Errorf("%s: %w", path, ErrNoPhone)
	}
	o.Client = "" // the file has the phone's, which need not be the one that enrolled it
	if err := s.fill(&o); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &CidaasPhone{o, state}, nil
}

// Save writes the phone to a file as Phone.Save does, beside what else is there.
func (p *CidaasPhone) Save(path string) error {
	s, err := readState(path)
	if err != nil {
		return err
	}
	if s.DeviceKey == "" { // it is the only phone of the file
		s.Client, s.DeviceID, s.PushToken, s.DeviceName = p.state.Client, p.state.Device, p.state.PushID, p.o.DeviceName
		s.Email = p.o.Email
	}
	s.Format, s.Server, s.Cidaas = stateFormat, p.o.Server, &p.state
	return s.write(path)
}

// State is what the phone is known by.
func (p *CidaasPhone) State() CidaasState { return p.state }

// Server is where the phone is enrolled, DeviceName what it is called.
func (p *CidaasPhone) Server() string { return p.o.Server }

// DeviceName is what the phone is called.
func (p *CidaasPhone) DeviceName() string { return p.o.DeviceName }

// HasCidaas reports whether a state file holds a phone of this protocol only.
func HasCidaas(path string) bool {
	s, err := readState(path)
	return err == nil && s.Cidaas != nil && s.DeviceKey == ""
}

// Scan enrols the phone by the code that a page shows, and the number beside it.
func (p *CidaasPhone) Scan(ctx context.Context, qr, number string) error {
	var code struct {
		Exchange string `json:"exchange_id"`
		Sub      string `json:"sub"`
		Client   string `json:"authenticator_client_id"`
		Base     string `json:"baseurl"`
	}
	if err := json.Unmarshal([]byte(qr), &code); err != nil || code.Exchange == "" || code.Client == "" {
		return errNoEnrolment
	}
	if p.state.Sub != "" {
		return errors.New("this phone is enrolled already")
	}
	p.state.Client = code.Client
	var scanned, done cidaasStep
	if err := p.call(ctx, "/verification-srv/v2/setup/scan/PUSH", map[string]any{"exchange_id": code.Exchange, "sub": code.Sub, "verificationType": "PUSH"}, &scanned); err != nil {
		return fmt.Errorf("enrolling: %w", err)
	}
	err := p.call(ctx, "/verification-srv/v2/setup/enroll/PUSH", map[string]any{"exchange_id": scanned.Exchange.ID, "pass_code": number}, &done)
	if err == nil && !done.Enrols {
		err = &ProtocolError{"setup/enroll", http.StatusOK, "it is not enrolled"}
	}
	if err != nil {
		return fmt.Errorf("enrolling: %w", err)
	}
	p.state.Sub = scanned.Sub
	return nil
}

// Enrol enrols the phone by itself, with an access token of its user.
func (p *CidaasPhone) Enrol(ctx context.Context, token string) error {
	var begun cidaasStep
	in := map[string]any{"verificationType": "PUSH", "source": "MOBILE"}
	err := cidaasCall(ctx, p.o.HTTP, http.MethodPost, p.o.Server+"/verification-srv/v2/setup/initiate/PUSH", in, p.head(map[string]string{"access_token": token}), &begun)
	if err != nil {
		return fmt.Errorf("enrolling: %w", err)
	}
	qr, err := json.Marshal(map[string]any{"exchange_id": begun.Exchange.ID, "sub": begun.Sub, "authenticator_client_id": begun.Client})
	if err != nil {
		return err
	}
	return p.Scan(ctx, string(qr), begun.Number)
}

// SignIn signs the phone's user in by a code that is mailed, and returns an access
// token: on a development server, whose inbox can be read, or wherever o.Code
// reads it.
func (p *CidaasPhone) SignIn(ctx context.Context) (string, error) {
	page := CidaasPage{Server: p.o.Server, Client: p.o.Client, HTTP: p.o.HTTP}
	mail := &Phone{o: p.o, server: p.o.Server, http: p.o.HTTP}
	if mail.http == nil {
		mail.http = &http.Client{Timeout: clientTimeout}
	}
	var err error
	if p.o.Code == nil {
		mail.heard, _, err = mail.newestMail(ctx, "")
	}
	if err != nil {
		return "", fmt.Errorf("signing in: %w", err)
	}
	a, err := page.Initiate(ctx, "EMAIL", p.o.Email)
	var code string
	if err == nil {
		code, err = mail.mailed(ctx)
	}
	if err == nil {
		err = page.Perform(ctx, a, code)
	}
	if err != nil {
		return "", fmt.Errorf("signing in: %w", err)
	}
	tokens, err := page.Finish(ctx, a)
	return tokens.Access, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Known says whether the server has this phone on record.
func (p *CidaasPhone) Known(ctx context.Context) (bool, error) {
	err := p.call(ctx, "/verification-srv/v2/setup/device/configured/list", map[string]any{"sub": p.state.Sub}, nil)
	if _, refused := errors.AsType[*Refusal](err); refused {
		return false, nil
	}
	return err == nil, err
}

// Pending returns what waits on this phone, and asks for it again every second up
// to wait. The id of a request is its exchange id.
func (p *CidaasPhone) Pending(ctx context.Context, wait time.Duration) ([]Request, error) {
	for {
		list, err := p.pending(ctx)
		if err != nil || len(list) > 0 || wait < time.Second {
			return list, err
		}
		wait -= time.Second
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

func (p *CidaasPhone) pending(ctx context.Context) ([]Request, error) {
	var list []struct {
		Exchange string    `json:"exchange_id"`
		Expires  time.Time `json:"expires_at"`
		Tenant   string    `json:"tenant_name"`
		Client   string    `json:"client_name"`
		Message  string    `json:"message"`
		At       string    `json:"request_time"` // a text in this list, a number in a push
		Address  struct {
			IP string `json:"ip"`
		} `json:"address"`
		Device struct {
			Info struct {
				Agent string `json:"userAgent"`
			} `json:"device_info"`
		} `json:"device_info"`
	}
	if err := p.call(ctx, "/verification-srv/v2/setup/device/pending/auth/list", map[string]any{"sub": p.state.Sub}, &list); err != nil {
		return nil, fmt.Errorf("asking what is pending: %w", err)
	}
	out := []Request{}
	for _, r := range list {
		ms, err := strconv.ParseInt(r.At, 10, 64)
		if err != nil {
			return nil, &ProtocolError{"pending/auth/list", http.StatusOK, "request_time is no text of milliseconds"}
		}
		one := Request{ID: r.Exchange, App: r.Tenant, Client: r.Client, Place: r.Address.IP, Browser: r.Device.Info.Agent, At: time.UnixMilli(ms), ExpiresAt: r.Expires, NumberMode: "choose-4", ApprovalData: map[string]any{}}
		if r.Message != "" {
			one.ApprovalData["message"] = r.Message
		}
		out = append(out, one)
	}
	return out, nil
}

// Approve acknowledges a request, allows it and chooses a number, whether it is
// one of those offered or not. nil means that the server accepted; a *Refusal is
// its no.
func (p *CidaasPhone) Approve(ctx context.Context, id, number string) error {
	for _, step := range []string{"push_acknowledge", "allow"} {
		var done cidaasStep
		if err := p.step(ctx, step, id, nil, &done); err != nil {
			return fmt.Errorf("approving: %w", err)
		}
		id = done.Exchange.ID
	}
	if err := p.step(ctx, "authenticate", id, map[string]any{"pass_code": number}, nil); err != nil {
		return fmt.Errorf("approving: %w", err)
	}
	return nil
}

// Deny answers a request with no.
func (p *CidaasPhone) Deny(ctx context.Context, id string, notMe bool) error {
	reason := "Denied"
	if notMe {
		reason = "Not initiated by me"
	}
	if err := p.step(ctx, "reject", id, map[string]any{"reason": reason}, nil); err != nil {
		return fmt.Errorf("denying: %w", err)
	}
	return nil
}

func (p *CidaasPhone) step(ctx context.Context, name, exchange string, more map[string]any, out any) error {
	in := map[string]any{"exchange_id": exchange, "verificationType": "PUSH"}
	for k, v := range more {
		in[k] = v
	}
	return p.call(ctx, "/verification-srv/v2/authenticate/"+name+"/PUSH", in, out)
}

// call adds what the phone is known by.
func (p *CidaasPhone) call(ctx context.Context, path string, in map[string]any, out any) error {
	in["client_id"], in["device_id"], in["push_id"] = p.state.Client, p.state.Device, p.state.PushID
	return cidaasCall(ctx, p.o.HTTP, http.MethodPost, p.o.Server+path, in, p.head(nil), out)
}

// head are the headers that the SDK adds to every call.
func (p *CidaasPhone) head(more map[string]string) map[string]string {
	out := map[string]string{"deviceId": p.state.Device, "deviceMake": "Watchword", "deviceModel": p.o.DeviceName, "deviceVersion": "1", "lat": "", "lon": ""}
	for k, v := range more {
		out[k] = v
	}
	return out
}
