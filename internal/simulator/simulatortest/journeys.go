package simulatortest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"reflect"
	"slices"
)

// session is one journey: a list of steps and where it stands.
type session struct {
	id, challenge, uid, did string
	steps                   []step
	at                      int
	saved                   phone // what a registration gathers
	start                   message
}

// step is what a client is asked, and what its answer leads to.
type step struct {
	flow   map[string]any // control_flow[0] without its assertion_id
	assert string         // how client input must come: "action" or "data"
	take   func(s *Server, n *session, a answer) verdict
}

// answer is one assert: option is "" for client input.
type answer struct {
	message
	option string
	input  map[string]any // nil if the key was missing
}

// verdict is what the server says to an answer; the zero value is "next step".
type verdict struct {
	again  bool // the same step
	bare   bool // as an update, without control_flow
	still  bool // a poll found nothing new: the challenge stays, for whoever left before the answer came
	code   int  // assertion_error_code
	reject string
}

func next(*Server, *session, answer) verdict { return verdict{} }

var cancelEscape = map[string]any{"id": "cancel", "display_name": "Cancel", "presentation": "Cancel"}

// journey returns the steps of a client journey.
func (s *Server) journey(id string) []step {
	switch id {
	case "mobile_app_registration":
		return []step{{flow: map[string]any{"type": "form", "form_id": "account", "app_data": map[string]any{}}, assert: "action", take: takeAccount}}
	case "web_login":
		return []step{{flow: map[string]any{"type": "login_form", "form_id": "login", "app_data": map[string]any{}, "escapes": []any{
			map[string]any{"id": "web_to_mobile", "display_name": "Approve on your phone", "presentation": "Action",
				"schema": []any{map[string]any{"type": "input", "name": "email", "label": "E-mail", "dataType": "string", "required": true}}},
		}}, assert: "action", take: takeLogin}}
	case "tour":
		return tour()
	}
	return nil
}

// tour visits what the two other journeys do not.
func tour() []step {
	return []step{
		{flow: map[string]any{"type": "form", "form_id": "ask_name", "app_data": map[string]any{"hint": "short"}}, assert: "action", take: func(_ *Server, _ *session, a answer) verdict {
			switch a.input["name"] {
			case "bare":
				return verdict{again: true, bare: true, code: 28}
			case "full":
				return verdict{again: true, code: 18}
			}
			return verdict{}
		}},
		{flow: map[string]any{"type": "information", "title": "Hello", "text": "Ann", "button_text": "Go on"}, assert: "action", take: func(s *Server, _ *session, a answer) verdict {
			if a.input != nil {
				s.problem("information was answered with data")
			}
			return verdict{}
		}},
		{flow: map[string]any{"type": "transmit_platform_email_otp_authentication", "code_length": 6}, assert: "data", take: func(s *Server, _ *session, a answer) verdict {
			switch {
			case a.option == "resend":
				s.resends++
				return verdict{again: true}
			case a.input["passcode"] != "123456":
				return verdict{again: true, code: 29}
			}
			return verdict{}
		}},
		{flow: map[string]any{"type": "transmit_platform_totp_registration", "payload": map[string]any{"secret": "GEZDGNBVGY3TQOJQ"}}, assert: "data", take: func(s *Server, _ *session, a answer) verdict {
			if a.input == nil || len(a.input) > 0 {
				s.problem("TOTP registration was answered with %v", a.input)
			}
			return verdict{}
		}},
		{flow: map[string]any{"type": "wait_for_ticket", "ticket_id": map[string]any{"value": "1"}, "raw_ticket_id": "t-1", "polling_timeout": 0.01, "polling_interval": 0.01}, assert: "action", take: next},
		{flow: map[string]any{"type": "transmit_platform_device_validation", "device_challenge": "c0ffee"}, assert: "action", take: takeValidation},
	}
}

func takeValidation(s *Server, n *session, a answer) verdict {
	key, ok := publicKey[*rsa.PublicKey](a.device("device_public_key"))
	device, _ := field(a.data, "data")["ts:idosdk:device"].(map[string]any)
	if !ok || device["platform_device_id"] != a.device("device_key_id") || !verifyPSS(key, "c0ffee", str(device["signature"])) {
		s.problem("device validation: %v", a.data)
	}
	if a.input["device_challenge"] != "c0ffee" {
		s.problem("device validation does not repeat the challenge: %v", a.data)
	}
	return verdict{}
}

func takeAccount(s *Server, n *session, a answer) verdict {
	email := str(a.input["email"])
	if len(a.input) != 1 || email == "" {
		s.problem("account: %v", a.input)
	}
	if email == "nobody@example.org" {
		return verdict{reject: "Registration is closed."}
	}
	n.saved = phone{email: email, client: a.query["clientId"], name: a.device("device_model"), keyID: a.device("device_key_id"), pushToken: n.push(s)}
	enrol := []step{
		{flow: map[string]any{"type": "transmit_platform_mobile_biometrics_registration", "user_identifier": "usr_1", "escapes": []any{
			map[string]any{"id": "failure", "display_name": "Failure", "presentation": "Failure", "schema": []any{}},
		}}, assert: "action", take: takeBiometrics},
		{flow: map[string]any{"type": "transmit_platform_device_registration"}, assert: "action", take: takeDevice},
	}
	if others := s.phones[email]; len(others) > 0 {
		n.steps = append(n.steps, waitFor(s.ask(others[len(others)-1], "42")))
	}
	n.steps = append(n.steps, enrol...)
	return verdict{}
}

// push checks the push target of the mobile device header.
func (n *session) push(s *Server) string {
	device, _ := n.start.headers["device"]["device"].(map[string]any)
	config, _ := device["push_config"].(map[string]any)
	if str(config["device_token"]) == "" || config["type"] != "none" || str(device["app_identifier"]) == "" {
		s.problem("push target: %v", device)
	}
	return str(config["device_token"])
}

// waitFor is a step that waits for a phone.
func waitFor(q *request) step {
	return step{flow: map[string]any{
		"type": "transmit_platform_mobile_approve_authentication", "number": q.number, "number_mode": "type-2", "device_display_name": "your phone",
		"resend_attempts_left": 2, "polling_interval": 0.02, "expires_at": q.at.UnixMilli() + 60000, "escapes": []any{cancelEscape},
	}, assert: "data", take: func(s *Server, _ *session, a answer) verdict {
		switch {
		case a.option == "resend":
			s.resends++
			return verdict{again: true}
		case a.option == "cancel":
			return verdict{reject: "Cancelled."}
		case a.input != nil:
			s.problem("a poll carried data: %v", a.input)
		}
		s.polls++
		switch q.state {
		case "approved":
			return verdict{}
		case "denied", "not_me":
			return verdict{reject: "The request was denied."}
		}
		return verdict{again: true, still: true}
	}}
}

func takeBiometrics(s *Server, n *session, a answer) verdict {
	key, ok := publicKey[*ecdsa.PublicKey](str(a.input["publicKey"]))
	if !ok || str(a.input["publicKeyId"]) == "" || a.input["os"] != "Android" || len(a.input) != 3 {
		s.problem("biometrics: %v", a.input)
	}
	n.saved.bio, n.saved.bioID = key, str(a.input["publicKeyId"])
	return verdict{}
}

func takeDevice(s *Server, n *session, a answer) verdict {
	device, _ := field(a.data, "data")["ts:idosdk:device"].(map[string]any)
	key, ok := publicKey[*rsa.PublicKey](str(device["platform_device_key"]))
	if !ok || key.N.BitLen() != 2048 || device["platform_device_id"] != a.device("device_key_id") || device["platform_device_key"] != a.device("device_public_key") || len(device) != 2 {
		s.problem("device: %v", device)
	}
	n.saved.key = key
	list := slices.DeleteFunc(s.phones[n.saved.email], func(p phone) bool { return p.keyID == n.saved.keyID })
	s.phones[n.saved.email] = append(list, n.saved)
	return verdict{}
}

func takeLogin(s *Server, n *session, a answer) verdict {
	if a.option != "web_to_mobile" {
		s.problem("login: option %q", a.option)
	}
	list := s.phones[str(a.input["email"])]
	if len(list) == 0 {
		return verdict{reject: "No phone is registered."}
	}
	n.steps = append(n.steps, waitFor(s.ask(list[len(list)-1], "27")))
	return verdict{}
}

// join is the phone's journey for a request.
func (s *Server) join(m message) ([]step, string) {
	approve, _ := m.headers["mobile_approve"]["mobile_approve"].(map[string]any)
	if len(approve) != 2 || m.headers["flow_id"] == nil || m.data["policy_request_id"] != nil {
		s.problem("mobile_approve: %v %v", m.headers, m.data)
	}
	q := s.request(str(approve["request_id"]))
	if q == nil || q.state != "created" || q.keyID != m.device("device_key_id") {
		return nil, "This request was answered or has run out. Start again in the browser."
	}
	p, _ := s.phoneOf(q.keyID)
	if !verifyPSS(p.key, q.id, str(approve["request_id_signature"])) {
		s.problem("mobile_approve: the signature does not verify")
	}
	q.state = "joined"
	var steps []step
	if q.number != "" {
		steps = append(steps, validate(q))
	}
	return append(steps, biometrics(q, p)), ""
}

func validate(q *request) step {
	return step{flow: map[string]any{"type": "transmit_platform_validate_otp", "app_name": "Northwind Coffee", "number_mode": "type-2", "escapes": []any{
		cancelEscape, map[string]any{"id": "not_me", "display_name": "Not me", "presentation": "Custom"},
	}}, assert: "action", take: func(_ *Server, _ *session, a answer) verdict {
		switch {
		case a.option == "cancel":
			q.state = "denied"
			return verdict{reject: "Denied."}
		case a.option == "not_me":
			q.state = "not_me"
			return verdict{reject: "Denied."}
		case a.input["passcode"] == "99": // retry allowed
			return verdict{again: true, code: 29}
		case a.input["passcode"] != q.number:
			q.state = "denied"
			return verdict{reject: "That did not match."}
		}
		return verdict{}
	}}
}

func biometrics(q *request, p phone) step {
	challenge := rand.Text()
	return step{flow: map[string]any{"type": "transmit_platform_mobile_biometrics_authentication", "user_identifier": "usr_1", "biometrics_challenge": challenge, "escapes": []any{
		map[string]any{"id": "failure", "display_name": "Failure", "presentation": "Failure"},
	}}, assert: "action", take: func(s *Server, _ *session, a answer) verdict {
		if a.option == "failure" {
			q.state = "denied"
			return verdict{reject: "Denied."}
		}
		if len(a.input) != 3 || a.input["publicKeyId"] != p.bioID || a.input["userIdentifier"] != "usr_1" || !verifyECDSA(p.bio, challenge, str(a.input["signedChallenge"])) {
			s.problem("biometrics: the signature does not verify: %v", a.input)
		}
		q.state = "approved"
		s.change()
		return verdict{}
	}}
}

// orchestrate is the endpoint of all journeys.
func (s *Server) orchestrate(w http.ResponseWriter, r *http.Request) {
	m := s.read(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.op {
	case "anonymous_invoke":
		id := str(m.data["policy_request_id"])
		if id == "not_json" {
			http.Error(w, "bad gateway", http.StatusBadGateway)
			return
		}
		steps := s.journey(id)
		s.begin(w, m, steps, "There is no such journey.")
	case "mobile_approve":
		steps, why := s.join(m)
		s.begin(w, m, steps, why)
	case "assert":
		s.assert(w, m)
	case "poll":
		if n := s.session(m); n == nil || !reflect.DeepEqual(m.data, map[string]any{"type": "ticket", "ticket_id": "t-1", "polling_timeout": 0.01}) {
			s.problem("poll: %v", m.data)
		}
		s.polls++
		reply(w, 200, map[string]any{"error_code": 0, "headers": []any{}, "data": map[string]any{"change_detected": s.polls >= 3}})
	default:
		s.problem("operation %q", m.op)
	}
}

func (s *Server) begin(w http.ResponseWriter, m message, steps []step, why string) {
	result, _ := m.data["collection_result"].(map[string]any)
	if at, ok := field(result, "metadata")["timestamp"].(float64); !ok || at < 1e12 || m.query["sid"] != "" {
		s.problem("start: %v, query %v", m.data, m.query)
	}
	if steps == nil {
		reply(w, 404, map[string]any{"error_code": 2, "error_message": why, "headers": []any{}, "data": map[string]any{"state": "rejected", "assertions_complete": false}})
		return
	}
	n := &session{id: "s-" + rand.Text(), uid: "anon-" + rand.Text(), did: "d-" + m.device("device_key_id")[:8], steps: steps, start: m}
	s.sessions[n.id] = n
	s.write(w, n, verdict{}, []any{
		map[string]any{"type": "ephemeral_uid", "uid": n.uid}, map[string]any{"type": "device_id", "device_id": n.did}, map[string]any{"type": "session_id", "session_id": n.id},
	})
}

func (s *Server) session(m message) *session {
	n := s.sessions[m.query["sid"]]
	if n == nil || m.query["did"] != n.did || m.headers["uid"]["uid"] != n.uid {
		return nil
	}
	return n
}

func (s *Server) assert(w http.ResponseWriter, m message) {
	n := s.session(m)
	if n == nil {
		s.problem("assert: session: query %v, headers %v", m.query, m.headers)
		reply(w, 401, map[string]any{"error_code": 4001, "error_message": "Session rejected", "data": map[string]any{}, "headers": []any{}})
		return
	}
	now := n.steps[n.at]
	a := s.check(n, now, m)
	v := now.take(s, n, a)
	if !v.again {
		n.at++
	}
	s.write(w, n, v, []any{})
}

// check verifies what every assert repeats and how its input travels
// (mosaic-protocol 2.6).
func (s *Server) check(n *session, now step, m message) answer {
	d := m.data
	if d["assertion_id"] != n.challenge+"-a" || d["action"] != now.flow["type"] || d["fch"] != n.challenge {
		s.problem("assert: %v, want challenge %q of %v", d, n.challenge, now.flow["type"])
	}
	a := answer{message: m}
	switch d["assert"] {
	case "escape":
		escape := field(d, "data")
		a.option = str(escape["escape_id"])
		a.input, _ = escape["escape_params"].(map[string]any)
	case "resend":
		a.option = "resend"
		if d["input"] != nil || d["data"] != nil {
			s.problem("resend carries data: %v", d)
		}
	case now.assert:
		name := map[string]string{"action": "input", "data": "data"}[now.assert]
		a.input, _ = d[name].(map[string]any)
	default:
		s.problem("assert %v of step %v, want %q", d["assert"], now.flow["type"], now.assert)
	}
	return a
}

// write sends where the journey stands now.
func (s *Server) write(w http.ResponseWriter, n *session, v verdict, headers []any) {
	data := map[string]any{"state": "pending", "assertions_complete": false, "assertion_error_code": v.code, "assertion_error_message": ""}
	out := map[string]any{"error_code": 0, "error_message": "", "headers": headers, "data": data}
	if v.code != 0 {
		data["assertion_error_message"] = "That did not match."
	}
	switch {
	case v.reject != "":
		data["state"], out["error_message"] = "rejected", v.reject
	case n.at == len(n.steps):
		data["state"], data["assertions_complete"], data["token"] = "completed", true, "ey.ey.sig"
		data["data"] = map[string]any{"json_data": map[string]any{"points": 3}, "sdk_data": map[string]any{"last_user": "ann"}, "more": 1}
	case v.bare: // the old challenge stays
	default:
		if !v.still {
			n.challenge = rand.Text()
		}
		data["challenge"] = n.challenge
		data["control_flow"] = []any{merge(n.steps[n.at].flow, map[string]any{"assertion_id": n.challenge + "-a"})}
	}
	reply(w, 200, out)
}

func field(m map[string]any, name string) map[string]any {
	out, _ := m[name].(map[string]any)
	return out
}
