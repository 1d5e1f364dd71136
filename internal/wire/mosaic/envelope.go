package mosaic

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/web"
)

// envelope is a request body, decrypted if it was encrypted.
type envelope struct {
	headers headers
	data    data
	crypto  *cryptoSession
}

// headers are the typed header objects that mean something here; of two of a
// type the first counts, and unknown ones are ignored.
type headers struct {
	UID         string
	Correlation string
	Device      deviceHeader
	Approve     struct {
		Request   string `json:"request_id"`
		Signature string `json:"request_id_signature"`
	}
}

type deviceHeader struct {
	KeyID         string `json:"device_key_id"`
	PublicKey     string `json:"device_public_key"`
	Name          string `json:"device_name"`
	Type          string `json:"device_type"`
	Platform      string `json:"device_platform"`
	Manufacturer  string `json:"device_manufacturer"`
	Model         string `json:"device_model"`
	OS            string `json:"device_os"`
	OSVersion     string `json:"device_os_version"`
	AppIdentifier string `json:"app_identifier"`
	Push          struct {
		Address string `json:"device_token"`
		Kind    string `json:"type"`
	} `json:"push_config"`
}

func (h headers) device() journey.Device {
	d := h.Device
	return journey.Device{
		KeyID: clip(d.KeyID, 128), PublicKey: clip(d.PublicKey, 4096), Name: clip(d.Name, 100), Type: clip(d.Type, 64), Platform: clip(d.Platform, 64),
		Manufacturer: clip(d.Manufacturer, 64), Model: clip(d.Model, 100), OS: clip(d.OS, 64), OSVersion: clip(d.OSVersion, 64),
		AppIdentifier: clip(d.AppIdentifier, 255), PushKind: clip(d.Push.Kind, 32), PushAddress: clip(d.Push.Address, 4096),
	}
}

func readHeaders(list []json.RawMessage) (headers, error) {
	var h headers
	seen := map[string]bool{}
	for _, raw := range list {
		var one struct {
			Type        string          `json:"type"`
			UID         string          `json:"uid"`
			Correlation string          `json:"correlation_id"`
			Device      json.RawMessage `json:"device"`
			Approve     json.RawMessage `json:"mobile_approve"`
		}
		if err := json.Unmarshal(raw, &one); err != nil {
			return h, fault.New(fault.Invalid, "A header is not an object of the expected shape.").Because(err)
		}
		if seen[one.Type] {
			continue
		}
		seen[one.Type] = true
		var err error
		switch one.Type {
		case "uid":
			h.UID = clip(one.UID, 128)
		case "correlation_id":
			h.Correlation = clip(one.Correlation, 128)
		case "device":
			err = inner(one.Device, &h.Device)
		case "mobile_approve":
			err = inner(one.Approve, &h.Approve)
		}
		if err != nil {
			return h, err
		}
	}
	return h, nil
}

func inner(raw json.RawMessage, v any) error {
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fault.New(fault.Invalid, "A header is not an object of the expected shape.").Because(err)
	}
	return nil
}

// data is the body proper, of any operation.
type data struct {
	Journey string         `json:"policy_request_id"`
	Params  map[string]any `json:"params"`
	Saved   map[string]any `json:"sdk_data"`

	Visit  string         `json:"assertion_id"`
	Assert string         `json:"assert"`
	Turn   string         `json:"fch"`
	Input  map[string]any `json:"input"`
	Data   map[string]any `json:"data"`

	Ticket  string  `json:"ticket_id"`
	Timeout float64 `json:"polling_timeout"` // seconds
}

// deviceObject is where the SDK puts what it answers by itself.
const deviceObject = "ts:idosdk:device"

// answer is which option was chosen and what was said (mosaic-protocol 2.6).
func (d data) answer() (option string, said map[string]any) {
	switch d.Assert {
	case "escape":
		option, _ = d.Data["escape_id"].(string)
		if option == "" {
			option = "unknown"
		}
		said, _ = d.Data["escape_params"].(map[string]any)
		return option, said
	case "resend":
		return "resend", nil
	}
	for _, from := range []map[string]any{d.Data, d.Input} {
		if device, ok := from[deviceObject].(map[string]any); ok {
			return "", device
		}
	}
	said = maps.Clone(d.Input)
	if said == nil {
		said = map[string]any{}
	}
	maps.Copy(said, d.Data)
	return "", passcode(said)
}

// passcode is the one name of what a validation step asks for, however a client
// calls it (mosaic-protocol 8.4).
func passcode(said map[string]any) map[string]any {
	if _, has := said["passcode"]; has || len(said) != 1 {
		return said
	}
	for _, name := range []string{"otp", "code"} {
		if v, ok := said[name]; ok {
			return map[string]any{"passcode": v}
		}
	}
	return said
}

// envelope reads a body of at most 64 KiB.
func (d Door) envelope(w http.ResponseWriter, r *http.Request) (envelope, error) {
	var body struct {
		Headers   []json.RawMessage `json:"headers"`
		Encrypted []string          `json:"enc_headers"`
		Data      json.RawMessage   `json:"data"`
	}
	var env envelope
	if err := web.DecodeLoose(w, r, &body); err != nil {
		return env, err
	}
	if len(body.Headers) > 32 || len(body.Encrypted) > 32 {
		return env, fault.New(fault.Invalid, "There are too many headers.")
	}
	var err error
	if env.crypto, err = d.decrypt(&body.Headers, body.Encrypted, &body.Data); err != nil {
		return env, err
	}
	if env.headers, err = readHeaders(body.Headers); err != nil {
		return env, err
	}
	if len(body.Data) == 0 {
		return env, fault.New(fault.Invalid, "The request has no data.")
	}
	if err := json.Unmarshal(body.Data, &env.data); err != nil {
		return env, fault.New(fault.Invalid, "The data is not of the expected shape.").Because(err)
	}
	return env, nil
}

// response is an answer. Every one has a headers array, and data in which
// assertions_complete is a boolean: the SDKs read no other.
type response struct {
	Code    int              `json:"error_code"`
	Message string           `json:"error_message"`
	Headers []map[string]any `json:"headers"`
	Data    any              `json:"data"`
	status  int
	after   *fault.Error
}

func (r response) write(w http.ResponseWriter, c *cryptoSession) {
	if r.Headers == nil {
		r.Headers = []map[string]any{}
	}
	if r.Data == nil {
		r.Data = map[string]any{}
	}
	if c != nil {
		c.encrypt(&r)
	}
	status := r.status
	if status == 0 {
		status = http.StatusOK
	}
	wait := fault.Of(nil).RetryAfter
	if r.after != nil {
		wait = r.after.RetryAfter
	}
	web.Write(w, status, r, wait)
}

// refuse answers with an error, always as JSON in the envelope.
func refuse(w http.ResponseWriter, r *http.Request, err error, c *cryptoSession) {
	f := web.Report(r, err)
	out := response{Message: f.Message, status: web.Status(f.Code), after: f}
	switch f.Code {
	case fault.Invalid, fault.Wrong, fault.Conflict:
		out.Code = badRequest
	case fault.Expired:
		out.Code, out.status = sessionUnknown, http.StatusUnauthorized
	case fault.Denied:
		out.Code = forbidden
	case fault.NotFound:
		out.Code = notFound
	case fault.Locked, fault.Limited:
		out.Code = tooMany
	case fault.Unavailable:
		out.Code = unavailable
	default:
		out.Code = serverError
	}
	out.write(w, c)
}

// reply puts a run's reply into the protocol's words.
func (d Door) reply(ctx context.Context, r journey.Reply) (response, error) {
	if r.Told {
		return unchanged(), nil
	}
	body := map[string]any{"assertions_complete": false, "assertion_error_code": 0, "assertion_error_message": "", "challenge": r.Turn}
	if r.Problem != nil {
		body["assertion_error_code"], body["assertion_error_message"] = assertionError(r.Problem), r.Problem.Message
	}
	if kept := delivered(r); len(kept) > 0 {
		body["data"] = kept
	}
	if r.End != nil {
		return d.ended(ctx, r, body)
	}
	body["state"] = "pending"
	body["control_flow"] = []any{flow(r)}
	return response{Data: body}, nil
}

// unchanged is an update that updates nothing. It goes to a poll whose run was
// ended by another request, as when somebody cancels: that one is told the end,
// and the web SDK throws when it hears of an end twice (mosaic-protocol 2.6).
// Whoever polls again is told it, too.
func unchanged() response {
	return response{Data: map[string]any{"state": "pending", "assertions_complete": false, "assertion_error_code": 0, "assertion_error_message": ""}}
}

func delivered(r journey.Reply) map[string]any {
	out := map[string]any{}
	if len(r.Output) > 0 {
		out["json_data"] = r.Output
	}
	if len(r.Save) > 0 {
		out["sdk_data"] = r.Save
	}
	if len(r.Instructions) > 0 {
		out["sdk_instructions"] = instructions(r.Instructions)
	}
	return out
}

// instructions are what the SDK does by itself; data is never absent there.
func instructions(list []journey.Instruction) []any {
	out := make([]any, len(list))
	for i, in := range list {
		data := in.Data
		if data == nil {
			data = map[string]any{}
		}
		out[i] = map[string]any{"type": in.Kind, "step_id": in.Visit, "data": data}
	}
	return out
}

func assertionError(f *fault.Error) int {
	switch f.Code {
	case fault.Wrong:
		return wrong
	case fault.Locked:
		return lockedOut
	case fault.Expired:
		return expired
	case fault.Limited:
		return resendSpent
	}
	return notValid
}

func (d Door) ended(ctx context.Context, r journey.Reply, body map[string]any) (response, error) {
	to := d.Onward(*r.End)
	if to != "" {
		kept, _ := body["data"].(map[string]any)
		if kept == nil {
			kept = map[string]any{}
		}
		kept["url"], body["data"] = to, kept
	}
	if !r.End.OK {
		body["state"] = "rejected"
		failure := r.End.Failure
		if failure == nil {
			failure = map[string]any{"reason": map[string]any{"type": r.End.Reason, "data": map[string]any{}}}
		}
		body["failure_data"] = failure
		return response{Message: r.End.Message, Data: body}, nil
	}
	body["state"], body["assertions_complete"] = "completed", true
	if to != "" {
		// The run may rest on what a session proved, and whoever knows the request's
		// name may have run it: what it is worth, only the browser of the request gets.
		return response{Data: body}, nil
	}
	token, err := d.Token(ctx, *r.End)
	if err != nil {
		return response{}, err
	}
	body["token"] = token
	if code := d.Code(*r.End); code != "" {
		body["code"] = code
	}
	return response{Data: body}, nil
}

// flow is a prompt as the one element of control_flow: the step's data lies flat
// in it, and nothing of the step's data may pass for a word of the protocol.
func flow(r journey.Reply) map[string]any {
	p := r.Prompt
	out := map[string]any{}
	for name, v := range p.Data {
		if m, is := v.(map[string]any); v != nil && v != "" && (!is || m != nil) {
			out[name] = v
		}
	}
	out["assertion_id"], out["type"], out["escapes"] = r.Visit, wireType(p.Kind), escapes(p.Options)
	if p.Form != "" {
		out["form_id"] = p.Form
		if len(p.Fields) > 0 {
			out["form_schema"] = prefilled(schema(p.Fields), p.Values)
		}
	}
	if _, has := out["app_data"]; !has {
		out["app_data"] = map[string]any{}
	}
	if p.Ticket != nil {
		out["ticket_id"] = map[string]any{"value": p.Ticket.Value, "format": p.Ticket.Format, "alt": ""}
		out["raw_ticket_id"] = p.Ticket.ID
	}
	return out
}

// escapes has all that iOS insists on: id, display_name, presentation as text,
// schema as an array.
func escapes(options []journey.Option) []any {
	out := []any{}
	for _, o := range options {
		out = append(out, map[string]any{"id": o.ID, "display_name": o.Label, "presentation": "", "schema": schema(o.Fields)})
	}
	return out
}

// prefilled adds to a schema what its fields hold already.
func prefilled(list []any, values map[string]any) []any {
	for _, each := range list {
		field := each.(map[string]any)
		if v, has := values[field["name"].(string)]; has && v != "" && v != nil {
			field["default"] = v
		}
	}
	return list
}

func schema(f form.Form) []any {
	out := []any{}
	for _, field := range f {
		out = append(out, map[string]any{"name": field.Name, "type": field.Type, "label": field.Label, "required": field.Required})
	}
	return out
}
