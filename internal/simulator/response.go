package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
)

// Option is one way to answer a step, besides the step's own input.
type Option struct {
	ID    string
	Type  string // client_input, cancel, failure or custom
	Label string
}

// Response is what an SDK hands to its app (mosaic-protocol 1.1).
type Response struct {
	Type    string // InputRequired, UpdateRequired, Success or Rejection
	Step    string // journeyStepId: a form's id, or the step's name
	Wire    string // the step's type on the wire; empty at the end
	Data    map[string]any
	Options map[string]Option // always has ClientInput

	ErrorCode string // the SDK's word for the server's assertion error; empty if there was none
	ErrorText string
	Reason    string // why a journey was rejected; may be empty

	Token    string // of a success
	Code     string
	Redirect string
	Status   int // of the HTTP answer; the SDKs ignore it

	refused bool // the server did not take the message, rather than the journey ending
}

// Offers says whether the step lists this option.
func (r Response) Offers(id string) bool {
	_, ok := r.Options[id]
	return ok
}

// Text returns a text in the step's data, or "".
func (r Response) Text(name string) string {
	s, _ := r.Data[name].(string)
	return s
}

// Number returns a number in the step's data, or 0.
func (r Response) Number(name string) float64 {
	n, _ := r.Data[name].(float64)
	return n
}

// refusal is the server's no in r.
func (r Response) refusal() *Refusal {
	out := &Refusal{Step: r.Step, Code: r.ErrorCode, Status: r.Status}
	for _, text := range []string{r.ErrorText, r.Reason, failureText(r.Data["failure_data"])} {
		if text != "" {
			out.Message = text
			return out
		}
	}
	out.Message = "The server refused."
	return out
}

// failureText finds the words in what a reject step sends.
func failureText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		for _, name := range []string{"message", "text", "why", "reason", "data", "type"} {
			if text := failureText(v[name]); text != "" {
				return text
			}
		}
	}
	return ""
}

// envelope is a response as it comes over the wire (mosaic-protocol 2.3).
type envelope struct {
	ErrorCode    int              `json:"error_code"`
	ErrorMessage string           `json:"error_message"`
	Headers      []map[string]any `json:"headers"`
	Data         map[string]any   `json:"data"`
	status       int
}

func decode(body []byte) (envelope, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return e, err
	}
	if flow, ok := e.Data["control_flow"]; ok {
		list, _ := flow.([]any)
		if len(list) == 0 {
			return e, fmt.Errorf("control_flow must not be empty")
		}
		if _, ok := list[0].(map[string]any); !ok {
			return e, fmt.Errorf("control_flow[0] is no object")
		}
	}
	return e, nil
}

// strict refuses what the iOS SDK cannot decode: assertions_complete must be
// there and boolean, and an escape needs its three texts and, if any, an array
// as schema (mosaic-protocol 2.3).
func (e envelope) strict() error {
	if e.ErrorCode != 0 {
		return nil
	}
	if _, ok := e.Data["assertions_complete"].(bool); !ok {
		return fmt.Errorf("assertions_complete is no boolean")
	}
	escapes, _ := e.flow()["escapes"].([]any)
	for _, item := range escapes {
		escape, _ := item.(map[string]any)
		for _, name := range []string{"id", "display_name", "presentation"} {
			if _, ok := escape[name].(string); !ok {
				return fmt.Errorf("an escape has no text %q", name)
			}
		}
		if schema, ok := escape["schema"]; ok {
			if _, isList := schema.([]any); !isList {
				return fmt.Errorf("the schema of escape %q is no array", escape["id"])
			}
		}
	}
	return nil
}

// flow is control_flow[0], or nil.
func (e envelope) flow() map[string]any {
	list, _ := e.Data["control_flow"].([]any)
	if len(list) == 0 {
		return nil
	}
	out, _ := list[0].(map[string]any)
	return out
}

// header returns the last value of a key in any of the typed headers.
func (e envelope) header(key string) string {
	out := ""
	for _, h := range e.Headers {
		if s, ok := h[key].(string); ok {
			out = s
		}
	}
	return out
}

func (e envelope) text(name string) string {
	s, _ := e.Data[name].(string)
	return s
}

func (e envelope) assertionError() int {
	n, _ := e.Data["assertion_error_code"].(float64)
	return int(n)
}

// kind is the SDK's decision of mosaic-protocol 2.3.
func (e envelope) kind() string {
	done, _ := e.Data["assertions_complete"].(bool)
	switch {
	case done && e.text("state") == "completed":
		return Success
	case e.text("state") == "pending":
		return InputRequired
	case e.assertionError() == 16:
		return UpdateRequired
	}
	return Rejection
}

// response composes what the app gets; last is what it got before, which an
// update repeats.
func (e envelope) response(last Response) Response {
	out := Response{
		Type: e.kind(), Data: map[string]any{}, Status: e.status, Token: e.text("token"), Code: e.text("code"),
		ErrorCode: errorWord(e.assertionError()), ErrorText: e.text("assertion_error_message"), refused: e.ErrorCode != 0,
	}
	flow := e.flow()
	if out.Type == InputRequired && flow == nil {
		return e.update(last, out)
	}
	out.Data, out.Redirect = e.data(flow)
	out.Wire, _ = flow["type"].(string)
	out.Options = options(flow)
	switch out.Type {
	case Success:
		out.Step = "action:success"
	case Rejection:
		out.Step, out.Reason = "action:rejection", e.ErrorMessage
	default:
		out.Step = stepID(out.Wire, flow)
	}
	return out
}

// update is an answer without a step: what was there stays, only the error is
// new, and a form loses its id.
func (e envelope) update(last, out Response) Response {
	out.Data, out.Options, out.Wire, out.Step = last.Data, last.Options, last.Wire, last.Step
	if last.Wire == stepForm || last.Wire == stepLoginForm {
		out.Step = last.Wire
	}
	return out
}

// hidden is what never reaches the app.
var hidden = []string{
	"assertion_id", "type", "escapes", "form_id", "vendor_name", "challenge", "assertion_error_code", "assertion_error_message",
	"assertions_complete", "state", "control_flow", "rejection_data", "token", "sdk_data",
}

// data puts together, in this order: the answer's own fields, the step's, and
// what nodes provided as json_data or otherwise.
func (e envelope) data(flow map[string]any) (data map[string]any, redirect string) {
	data = map[string]any{}
	maps.Copy(data, e.Data)
	delete(data, "data")
	maps.Copy(data, flow)
	nested, _ := e.Data["data"].(map[string]any)
	rest := map[string]any{}
	for name, v := range nested {
		switch name {
		case "sdk_data":
		case "json_data":
			data["json_data"] = v
		case "url":
			redirect, _ = v.(string)
		default:
			rest[name] = v
		}
	}
	for _, h := range e.Headers {
		if v, ok := h["json_data"]; ok && h["type"] == "json_data" {
			data["json_data"] = v
		}
	}
	if len(rest) > 0 {
		data["data"] = rest
	}
	for _, name := range hidden {
		delete(data, name)
	}
	return data, redirect
}

// sdkData is what a node saved in the client (mosaic-protocol 2.9).
func (e envelope) sdkData() map[string]any {
	nested, _ := e.Data["data"].(map[string]any)
	out, _ := nested["sdk_data"].(map[string]any)
	return out
}

func options(flow map[string]any) map[string]Option {
	out := map[string]Option{ClientInput: {ID: ClientInput, Type: ClientInput, Label: "Client Input"}}
	escapes, _ := flow["escapes"].([]any)
	for _, item := range escapes {
		escape, _ := item.(map[string]any)
		id, _ := escape["id"].(string)
		o := Option{ID: id, Type: "custom", Label: id}
		if id == Cancel || id == Failure {
			o.Type = id
		}
		if label, _ := escape["display_name"].(string); label != "" {
			o.Label = label
		}
		out[id] = o
	}
	return out
}

// stepID turns a type of the wire into what apps compare (mosaic-protocol 2.4).
func stepID(wire string, flow map[string]any) string {
	switch wire {
	case stepForm, stepLoginForm:
		if id, _ := flow["form_id"].(string); id != "" {
			return id
		}
	case stepInformation, "debug_break", "rejection":
		return "action:" + wire
	case stepTicket:
		return "action:wait_for_another_device"
	case "transmit_acp":
		return "action:drs_trigger_action"
	case "kyc":
		return "action:id_verification"
	case "transmit_platform_web_authn_registration":
		return "action:webauthn_registration"
	}
	return wire
}

// errorWord is the SDK's name of an assertion error (mosaic-protocol 2.3).
func errorWord(code int) string {
	switch code {
	case 0:
		return ""
	case 28:
		return "client_response_not_valid"
	case 29, 31, 35:
		return "invalid_credentials"
	case 30, 33: // resend exhausted has the same word
		return "expired_otp_passcode"
	case 32:
		return "expired_validation_passcode"
	}
	return "server_error"
}
