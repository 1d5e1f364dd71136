package simulator

import "testing"

// The decision and the words of mosaic-protocol 2.3.
func TestResponse(t *testing.T) {
	const form = `"control_flow":[{"type":"form","form_id":"ask","assertion_id":"a-1","hint":"x"}]`
	for _, c := range []struct {
		name, body              string
		kind, step, code, words string
	}{
		{"next step", `{"data":{"state":"pending","assertions_complete":false,` + form + `}}`, InputRequired, "ask", "", ""},
		{"wrong", `{"data":{"state":"pending","assertion_error_code":31,"assertion_error_message":"No.",` + form + `}}`, InputRequired, "ask", "invalid_credentials", "No."},
		{"expired", `{"data":{"state":"pending","assertion_error_code":30,` + form + `}}`, InputRequired, "ask", "expired_otp_passcode", "The server refused."},
		{"no resends left", `{"data":{"state":"pending","assertion_error_code":33,` + form + `}}`, InputRequired, "ask", "expired_otp_passcode", "The server refused."},
		{"validation expired", `{"data":{"state":"pending","assertion_error_code":32,` + form + `}}`, InputRequired, "ask", "expired_validation_passcode", "The server refused."},
		{"success", `{"data":{"state":"completed","assertions_complete":true,"token":"t"}}`, Success, "action:success", "", ""},
		{"completed only", `{"data":{"state":"completed","assertions_complete":false}}`, Rejection, "action:rejection", "", "The server refused."},
		{"complete only", `{"data":{"state":"odd","assertions_complete":true}}`, Rejection, "action:rejection", "", "The server refused."},
		{"no state", `{"data":{}}`, Rejection, "action:rejection", "", "The server refused."},
		{"update required", `{"data":{"assertion_error_code":16,` + form + `}}`, UpdateRequired, "ask", "server_error", "The server refused."},
		{"session gone", `{"error_code":4001,"error_message":"Session rejected","data":{},"headers":[]}`, Rejection, "action:rejection", "", "Session rejected"},
		{"failure data", `{"data":{"state":"rejected","failure_data":{"reason":{"type":"access_rejected","data":{"why":"risk"}}}}}`, Rejection, "action:rejection", "", "risk"},
	} {
		e, err := decode([]byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		r := e.response(Response{})
		if r.Type != c.kind || r.Step != c.step || r.ErrorCode != c.code {
			t.Errorf("%s: %s %s %s, want %s %s %s", c.name, r.Type, r.Step, r.ErrorCode, c.kind, c.step, c.code)
		}
		if got := r.refusal().Message; c.words != "" && got != c.words {
			t.Errorf("%s: refused with %q, want %q", c.name, got, c.words)
		}
		if !r.Offers(ClientInput) {
			t.Errorf("%s: client input is not offered", c.name)
		}
	}
}

// What any server may send must not make a client panic.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"error_code":0,"headers":[{"type":"uid","uid":"a"}],"data":{"state":"pending","control_flow":[{"type":"form","escapes":[{"id":"a"},3]}]}}`))
	f.Add([]byte(`{"headers":null,"data":{"data":{"json_data":1,"sdk_data":[],"url":2}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := decode(body)
		if err != nil {
			return
		}
		_ = e.strict()
		r := e.response(Response{})
		if len(r.Options) == 0 && r.Type != InputRequired {
			t.Errorf("no options: %+v", r)
		}
		if r.refusal().Message == "" {
			t.Errorf("a refusal without words: %+v", r)
		}
	})
}
