package simulator

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// CidaasPage is a page with the JavaScript SDK of cidaas in it, and the back end
// of its client: it makes their calls and reads their answers
// (cidaas-protocol 2, 4). The zero HTTP client is one of its own.
type CidaasPage struct {
	Server   string
	Client   string
	Redirect string // where the authorization returns to; nothing listens there
	HTTP     *http.Client
}

// CidaasAsk is an authentication that a page has begun.
type CidaasAsk struct {
	Request, Method       string
	Status, Sub, Exchange string
	Number                string // what the page shows; may be empty
	verifier, redirect    string
}

// CidaasTokens are those of an authorization.
type CidaasTokens struct {
	Access string `json:"access_token"`
	ID     string `json:"id_token"`
	Sub    string `json:"sub"`
}

// redirect is an address at which nothing listens.
const redirect = "http://127.0.0.1:1/callback"

// Initiate begins to authenticate somebody, for a request of its own.
func (p CidaasPage) Initiate(ctx context.Context, method, identifier string) (CidaasAsk, error) {
	a := CidaasAsk{Method: method, verifier: rand.Text() + rand.Text(), redirect: p.Redirect}
	if a.redirect == "" {
		a.redirect = redirect
	}
	h := sha256.Sum256([]byte(a.verifier))
	var asked struct {
		Request string `json:"requestId"`
	}
	err := p.call(ctx, http.MethodPost, "/authz-srv/authrequest/authz/generate", map[string]any{
		"client_id": p.Client, "redirect_uri": a.redirect, "response_type": "code", "scope": "openid profile email",
		"code_challenge": base64.RawURLEncoding.EncodeToString(h[:]), "code_challenge_method": "S256",
	}, &asked)
	if err != nil {
		return a, err
	}
	a.Request = asked.Request
	var begun cidaasStep
	err = p.call(ctx, http.MethodPost, "/verification-srv/v2/authenticate/initiate/"+method, map[string]any{
		"usage_type": "INITIAL_AUTHENTICATION", "request_id": a.Request, "identifier": identifier, "type": method,
	}, &begun)
	a.Status, a.Sub, a.Exchange, a.Number = begun.Status, begun.Sub, begun.Exchange.ID, begun.Number
	return a, err
}

// Names are what somebody's phones are called in the list of their methods.
func (p CidaasPage) Names(ctx context.Context, request, identifier string) ([]string, error) {
	var out struct {
		List []struct {
			Type    string `json:"type"`
			Mediums []struct {
				Name string `json:"key_name"`
			} `json:"mediums"`
		} `json:"configured_list"`
	}
	err := p.call(ctx, http.MethodPost, "/verification-srv/v2/setup/public/configured/list", map[string]any{"request_id": request, "identifier": identifier}, &out)
	var names []string
	for _, m := range out.List {
		for _, phone := range m.Mediums {
			if m.Type == "PUSH" {
				names = append(names, phone.Name)
			}
		}
	}
	return names, err
}

// Perform answers with a code.
func (p CidaasPage) Perform(ctx context.Context, a CidaasAsk, code string) error {
	return p.call(ctx, http.MethodPost, "/verification-srv/v2/authenticate/authenticate/"+a.Method, map[string]any{"exchange_id": a.Exchange, "pass_code": code}, nil)
}

// State is where an authentication stands, in the protocol's words.
func (p CidaasPage) State(ctx context.Context, a CidaasAsk) (string, error) {
	var out struct {
		Status string `json:"status"`
	}
	err := p.call(ctx, http.MethodPost, "/verification-srv/v2/notification/status/"+a.Status, nil, &out)
	return out.Status, err
}

// Enrolment begins to enrol a phone of the user of an access token: what the code
// to scan says, and the number beside it.
func (p CidaasPage) Enrolment(ctx context.Context, token string) (qr, number string, err error) {
	var out struct {
		QR     string `json:"qr_code"`
		Number string `json:"push_selected_number"`
	}
	err = cidaasCall(ctx, p.HTTP, http.MethodPost, p.Server+"/verification-srv/v2/setup/initiate/PUSH", map[string]any{"verification_type": "PUSH"}, map[string]string{"Authorization": "Bearer " + token}, &out)
	return out.QR, out.Number, err
}

// Finish redeems an authentication that succeeded for the tokens of its user.
func (p CidaasPage) Finish(ctx context.Context, a CidaasAsk) (CidaasTokens, error) {
	var done struct {
		Code string `json:"code"`
		View string `json:"viewtype"`
	}
	var tokens CidaasTokens
	err := p.call(ctx, http.MethodPost, "/login-srv/verification/sdk/login", map[string]any{"requestId": a.Request, "sub": a.Sub, "status_id": a.Status, "verificationType": a.Method}, &done)
	if err == nil && done.Code == "" {
		err = &Refusal{Code: done.View, Status: http.StatusOK, Message: "More is wanted than one factor: " + done.View + "."}
	}
	if err != nil {
		return tokens, err
	}
	form, err := json.Marshal(map[string]any{"grant_type": "authorization_code", "code": done.Code, "client_id": p.Client, "redirect_uri": a.redirect, "code_verifier": a.verifier})
	if err != nil {
		return tokens, err
	}
	status, answer, err := cidaasSend(ctx, p.HTTP, http.MethodPost, p.Server+"/token-srv/token", form, nil)
	if err != nil {
		return tokens, err
	}
	if status != http.StatusOK {
		return tokens, &Refusal{Status: status, Message: words(answer)}
	}
	return tokens, json.Unmarshal(answer, &tokens)
}

func (p CidaasPage) call(ctx context.Context, method, path string, in map[string]any, out any) error {
	return cidaasCall(ctx, p.HTTP, method, p.Server+path, in, nil, out)
}

// cidaasStep is what the answers of most steps hold.
type cidaasStep struct {
	Exchange struct {
		ID string `json:"exchange_id"`
	} `json:"exchange_id"`
	Status  string   `json:"status_id"`
	Sub     string   `json:"sub"`
	Number  string   `json:"push_selected_number"`
	Numbers []string `json:"push_random_numbers"`
	Client  string   `json:"authenticator_client_id"`
	Enrols  bool     `json:"enrolled"`
}

// cidaasCall makes one call and reads the data of its answer; a *Refusal is the
// server's no. No content leaves out as it is.
func cidaasCall(ctx context.Context, client *http.Client, method, address string, in map[string]any, head map[string]string, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encoding: %w", err)
		}
	}
	status, answer, err := cidaasSend(ctx, client, method, address, body, head)
	if err != nil {
		return err
	}
	if status == http.StatusNoContent {
		return nil
	}
	var doc struct {
		Success bool            `json:"success"`
		Status  int             `json:"status"`
		Code    string          `json:"code"`
		Text    string          `json:"error_description"`
		Data    json.RawMessage `json:"data"`
	}
	op := address
	if u, err := url.Parse(address); err == nil {
		op = strings.TrimPrefix(u.Path, "/")
	}
	if err := json.Unmarshal(answer, &doc); err != nil || doc.Status != status || doc.Success != (status == http.StatusOK) {
		return &ProtocolError{op, status, "the answer is not the envelope of the protocol"}
	}
	if !doc.Success {
		return &Refusal{Code: doc.Code, Status: status, Message: doc.Text}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(doc.Data, out)
}

func cidaasSend(ctx context.Context, client *http.Client, method, address string, body []byte, head map[string]string) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", phoneAgent)
	for name, value := range head {
		r.Header.Set(name, value)
	}
	if client == nil {
		client = &http.Client{Timeout: clientTimeout}
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return resp.StatusCode, answer, err
}

var errNoEnrolment = errors.New("the code to scan is not one of an enrolment")
