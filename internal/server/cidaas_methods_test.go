package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// begin begins a flow of a method.
func (v vendor) begin(method, request string, more map[string]any) map[string]any {
	v.t.Helper()
	in := map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": request, "identifier": "ada@example.org"}
	for k, x := range more {
		in[k] = x
	}
	if in["sub"] != nil {
		delete(in, "identifier")
		in["usage_type"] = "MULTIFACTOR_AUTHENTICATION"
	}
	return v.want("POST", "/verification-srv/v2/authenticate/initiate/"+method, in)
}

// finish redeems a flow for tokens; nil for more that is wanted, which is returned
// as it was told.
func (v vendor) finish(request, method string, begun map[string]any) (tokens, half map[string]any) {
	v.t.Helper()
	data := v.want("POST", "/login-srv/verification/sdk/login", map[string]any{"requestId": request, "sub": begun["sub"], "status_id": begun["status_id"], "verificationType": method})
	return v.tokens(data), data
}

func (v vendor) tokens(data map[string]any) map[string]any {
	v.t.Helper()
	if data["code"] == nil {
		return nil
	}
	status, out := v.do("POST", "/token-srv/token", map[string]any{"grant_type": "authorization_code", "code": data["code"], "client_id": v.c.id, "redirect_uri": v.c.back})
	if status != 200 {
		v.t.Fatalf("tokens: %d %v", status, out)
	}
	return out
}

// wants is a request for a level of assurance.
func (v vendor) wants(acr string) string {
	v.t.Helper()
	return v.want("POST", "/authz-srv/authrequest/authz/generate", map[string]any{"client_id": v.c.id, "redirect_uri": v.c.back, "scope": "openid", "acr_values": acr})["requestId"].(string)
}

// byPassword is ada after her password.
func (v vendor) byPassword(request string) map[string]any {
	v.t.Helper()
	b := v.begin("PASSWORD", request, nil)
	v.want("POST", "/verification-srv/v2/authenticate/authenticate/PASSWORD", map[string]any{"exchange_id": exchangeOf(b), "password": v.w.Dev.Facts.User.Password})
	return b
}

// goesOn is ada, half signed in, with a second flow that was answered.
func (v vendor) goesOn(half map[string]any) map[string]any {
	v.t.Helper()
	return v.tokens(v.want("POST", "/login-srv/precheck/continue/sdk/"+half["track_id"].(string), map[string]any{"track_id": half["track_id"]}))
}

func bearer(tokens map[string]any) []string {
	return []string{"Authorization", "Bearer " + tokens["access_token"].(string)}
}

// started is what a passkey of the simulator reads of a ceremony
// that this protocol shows.
func started(entity any, member string) map[string]any {
	e, _ := entity.(map[string]any)
	standard(e["publicKey"])
	return map[string]any{"webauthn_session_id": e["fidoRequestId"], member: e["publicKey"]}
}

// standard turns the binary members of options into standard base64.
func standard(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{"challenge", "id"} {
			s, _ := v[name].(string)
			if b, err := base64.RawURLEncoding.DecodeString(s); err == nil && len(b) >= 16 {
				v[name] = base64.StdEncoding.EncodeToString(b)
			}
		}
		for _, inner := range v {
			standard(inner)
		}
	case []any:
		for _, inner := range v {
			standard(inner)
		}
	}
}

func clientResponse(t testing.TB, encoded string, err error) map[string]any {
	t.Helper()
	var doc map[string]any
	b, e := base64.StdEncoding.DecodeString(encoded)
	if err == nil {
		err = e
	}
	if err == nil {
		err = json.Unmarshal(b, &doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"fidoRequestId": doc["webauthnSessionId"], "client_response": doc["publicKeyCredential"]}
}

// TestCidaasFIDO2: a passkey is made by a signed-in user, and signs in as two
// factors; nobody's looks like somebody's, and an answer is good once and for its
// own flow.
func TestCidaasFIDO2(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	request := v.request()
	tokens, _ := v.finish(request, "PASSWORD", v.byPassword(request))
	auth := bearer(tokens)
	key := simulator.NewPasskey(passkeyPage)
	begun := v.want("POST", "/verification-actions-srv/setup/fido2/initiation", map[string]any{"verification_type": "fido2"}, auth...)
	made, err := key.Create(started(begun["fido2_entity"], "credential_creation_options"))
	const finish = "/verification-actions-srv/setup/FIDO2/verification"
	v.refused("an enrolment without an answer", "VER_0046", finish, map[string]any{"exchange_id": exchangeOf(begun)})
	done := v.want("POST", finish, map[string]any{"exchange_id": exchangeOf(begun), "fido2_client_response": clientResponse(t, made, err)})
	if done["enrolled"] != true {
		t.Fatalf("enrolled: %v", done)
	}
	v.refused("an enrolment twice", "VER_0032", finish, map[string]any{"exchange_id": exchangeOf(begun), "fido2_client_response": clientResponse(t, made, nil)})

	request = v.wants(authn.AAL2)
	list := fmt.Sprint(v.want("POST", "/verification-srv/public/graph/user/setup", map[string]any{"request_id": request, "identifier": "ada@example.org"}))
	if !strings.Contains(list, "FIDO2") {
		t.Errorf("methods: %s", list)
	}
	b, other := v.begin("FIDO2", request, nil), v.begin("FIDO2", request, nil)
	said, err := key.Get(started(b["fido2_entity"], "credential_request_options"))
	answer := clientResponse(t, said, err)
	const perform = "/verification-srv/authentication/fido2/verification"
	v.refused("an answer for another flow", "VER_0035", perform, map[string]any{"exchange_id": exchangeOf(other), "fido2_client_response": answer})
	v.want("POST", perform, map[string]any{"exchange_id": exchangeOf(b), "fido2_client_response": answer})
	v.refused("an answer twice", "VER_0033", perform, map[string]any{"exchange_id": exchangeOf(b), "fido2_client_response": answer})
	if tokens, half := v.finish(request, "fido2", b); tokens == nil || claimsOf(t, tokens["id_token"].(string))["acr"] != authn.AAL2 {
		t.Errorf("finished: %v %v", tokens, half)
	}

	// Nobody's ceremony has the same shape, and a key of another is no use there.
	request = v.request()
	n := v.want("POST", "/verification-srv/v2/authenticate/initiate/FIDO2", map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": request, "identifier": "nobody@example.org"})
	if a, b := shape(b), shape(n); a != b {
		t.Errorf("ada's ceremony is %s, nobody's %s", a, b)
	}
	said, err = key.Get(started(n["fido2_entity"], "credential_request_options"))
	v.refused("a key of another", "VER_0041", perform, map[string]any{"exchange_id": exchangeOf(n), "fido2_client_response": clientResponse(t, said, err)})
}

// shape is the names and types of an answer.
func shape(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var out []string
		for name, inner := range v {
			out = append(out, name+":"+shape(inner))
		}
		slices.Sort(out)
		return fmt.Sprint(out)
	case []any:
		if len(v) == 0 {
			return "[]"
		}
		return "[" + shape(v[0]) + "]"
	}
	return fmt.Sprintf("%T", v)
}

// TestCidaasTouchID: the owner of a phone confirms by a key that only they open.
// That approval is two factors; without the signature there is none.
func TestCidaasTouchID(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	phone, sub := v.enrolled()
	request := v.wants(authn.AAL2)
	_, half := v.finish(request, "PASSWORD", v.byPassword(request))
	b := v.begin("PUSH", request, map[string]any{"sub": half["sub"]})
	if code, out := v.answers(phone, exchangeOf(b), b["push_selected_number"]); code != 200 {
		t.Fatalf("by the phone: %d %v", code, out)
	}
	tokens := v.goesOn(half)
	if tokens == nil || claimsOf(t, tokens["id_token"].(string))["acr"] != authn.AAL2 {
		t.Fatalf("a password and a phone: %v", tokens)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	const setup = "/verification-srv/v2/setup/"
	begun := v.want("POST", setup+"initiate/touchid", map[string]any{"verification_type": "touchid"}, bearer(tokens)...)
	v.refused("a phone that is not enrolled", "VER_0040", setup+"scan/TOUCHID", phoneOf{"client_id": phone["client_id"], "device_id": "dev-2", "push_id": "p"}.with(map[string]any{"exchange_id": exchangeOf(begun)}))
	scanned := v.want("POST", setup+"scan/TOUCHID", phone.with(map[string]any{"exchange_id": exchangeOf(begun), "sub": sub}))
	v.refused("without a key", "VER_0005", setup+"enroll/TOUCHID", phone.with(map[string]any{"exchange_id": exchangeOf(scanned)}))
	v.want("POST", setup+"enroll/TOUCHID", phone.with(map[string]any{"exchange_id": exchangeOf(scanned), "public_key": base64.StdEncoding.EncodeToString(der), "public_key_id": "k1"}))

	sign := func(text any) string {
		h := sha256.Sum256([]byte(fmt.Sprint(text)))
		sig, err := ecdsa.SignASN1(rand.Reader, key, h[:])
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(sig)
	}
	const auth = "/verification-srv/authentication/touchid"
	request = v.wants(authn.AAL2)
	if list := fmt.Sprint(v.want("POST", "/verification-srv/public/graph/user/setup", map[string]any{"request_id": request, "identifier": "ada@example.org"})); !strings.Contains(list, "TOUCHID") {
		t.Errorf("methods: %s", list)
	}
	b = v.begin("TOUCHID", request, nil)
	if b["push_selected_number"] != nil {
		t.Errorf("a number is shown: %v", b)
	}
	id, about := v.waiting(phone, sub)
	if about["verification_type"] != "TOUCHID" || id != exchangeOf(b) {
		t.Errorf("the phone is told %v", about)
	}
	seen := v.want("POST", auth+"/push/acknowledge", phone.with(map[string]any{"exchange_id": id}))
	let := v.want("POST", auth+"/allow", phone.with(map[string]any{"exchange_id": exchangeOf(seen)}))
	at := func(signature string) map[string]any {
		return phone.with(map[string]any{"exchange_id": exchangeOf(let), "public_key_id": "k1", "signature": signature, "pass_code": "55"})
	}
	v.refused("without a signature", "VER_0046", auth+"/verification", at(""))
	v.refused("as another method", "VER_0032", "/verification-srv/authentication/push/verification", at(""))
	v.refused("a signature of something else", "VER_0041", auth+"/verification", at(sign("something else")))
	v.refused("another phone", "VER_0040", auth+"/verification", phoneOf{"client_id": phone["client_id"], "device_id": "dev-1", "push_id": "other"}.with(map[string]any{"exchange_id": exchangeOf(let), "public_key_id": "k1", "signature": sign(let["signed_challenge"])}))
	v.want("POST", auth+"/verification", at(sign(let["signed_challenge"])))
	if tokens, _ := v.finish(request, "TOUCHID", b); tokens == nil || claimsOf(t, tokens["id_token"].(string))["acr"] != authn.AAL2 {
		t.Errorf("by its owner: %v", tokens)
	}

	// A phone of ours answers the same question through its own journey.
	ours := w.registeredBeside(t, phone, v)
	request = v.wants(authn.AAL2)
	for _, e := range v.want("POST", "/verification-srv/public/graph/user/setup", map[string]any{"request_id": request, "identifier": "ada@example.org"})["configured_list"].([]any) {
		for _, m := range e.(map[string]any)["mediums"].([]any) {
			if e.(map[string]any)["type"] == "TOUCHID" && strings.Contains(fmt.Sprint(m), "Pixel 9") {
				b = v.begin("TOUCHID", request, map[string]any{"medium_id": m.(map[string]any)["id"]})
			}
		}
	}
	if err := ours.Approve(t.Context(), pending(t, ours).ID, ""); err != nil {
		t.Fatal(err)
	}
	if tokens, _ := v.finish(request, "TOUCHID", b); tokens == nil || claimsOf(t, tokens["id_token"].(string))["acr"] != authn.AAL2 {
		t.Errorf("by a phone of ours: %v", tokens)
	}

	// The key goes with its phone.
	v.want("DELETE", "/verification-srv/v2/setup/device/configured/removeallbydeviceid/dev-1", phone.with(map[string]any{"sub": sub}))
	left := fmt.Sprint(v.want("POST", "/verification-srv/public/graph/user/setup", map[string]any{"request_id": v.request(), "identifier": "ada@example.org"}))
	if strings.Contains(left, "Pixel 7") || strings.Count(left, "TOUCHID") != 1 {
		t.Errorf("left: %s", left)
	}
}

// registeredBeside is a phone of ours that ada registers although she has another
// of the other kind.
func (w *world) registeredBeside(t testing.TB, _ phoneOf, _ vendor) *simulator.Phone {
	t.Helper()
	return w.registered(t, "ada@example.org", 0)
}

// TestCidaasFace: a face is kept with its owner's consent and counts beside another
// factor only.
func TestCidaasFace(t *testing.T) {
	w := newWorld(t)
	if err := w.Kit.DB.Move(t.Context(), func(tx *db.Tx) error {
		return notify.SaveProvider(t.Context(), tx, "default", "", "face", "engine", map[string]any{"driver": "fake"})
	}); err != nil {
		t.Fatal(err)
	}
	v := w.vendor(t)
	request := v.request()
	tokens, _ := v.finish(request, "PASSWORD", v.byPassword(request))
	if code, out := v.do("POST", "/verification-srv/v2/setup/initiate/FACE", map[string]any{}, bearer(tokens)...); code != 417 {
		t.Errorf("without consent: %d %v", code, out)
	}
	begun := v.want("POST", "/verification-srv/v2/setup/initiate/FACE", map[string]any{"consent_id": "terms-7"}, bearer(tokens)...)
	if code, out := v.photo("/verification-srv/v2/setup/enroll/FACE", exchangeOf(begun), "face:ada"); code != 200 || out["data"].(map[string]any)["enrolled"] != true {
		t.Fatalf("enrolled: %d %v", code, out)
	}
	request = v.wants(authn.AAL2)
	v.refused("as the first factor", "VER_0026", "/verification-srv/v2/authenticate/initiate/FACE", map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": request, "identifier": "ada@example.org"})
	_, half := v.finish(request, "PASSWORD", v.byPassword(request))
	const perform = "/verification-srv/authentication/face/verification"
	b := v.begin("FACE", request, map[string]any{"sub": half["sub"]})
	v.refused("without a picture", "VER_0046", perform, map[string]any{"exchange_id": exchangeOf(b)})
	if code, out := v.photo(perform, exchangeOf(b), "face:eve"); code != 400 || out["code"] != "VER_0041" {
		t.Errorf("another face: %d %v", code, out)
	}
	b = v.begin("FACE", request, map[string]any{"sub": half["sub"]})
	if code, out := v.photo(perform, exchangeOf(b), "face:ada"); code != 200 {
		t.Fatalf("her face: %d %v", code, out)
	}
	if tokens := v.goesOn(half); tokens == nil || claimsOf(t, tokens["id_token"].(string))["acr"] != authn.AAL2 {
		t.Errorf("a password and a face: %v", tokens)
	}
}

// photo hands a picture in, as the mobile SDKs do.
func (v vendor) photo(path, exchange, picture string) (int, map[string]any) {
	v.t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for name, value := range map[string]string{"exchange_id": exchange, "attempt": "1"} {
		if err := m.WriteField(name, value); err != nil {
			v.t.Fatal(err)
		}
	}
	part, err := m.CreateFormFile("photo", "photo.jpg")
	if err == nil {
		_, err = part.Write([]byte(picture))
	}
	if err == nil {
		err = m.Close()
	}
	if err != nil {
		v.t.Fatal(err)
	}
	r, err := http.Post(v.w.URL+path, m.FormDataContentType(), &b)
	if err != nil {
		v.t.Fatal(err)
	}
	return decoded(v.t, r)
}

// TestCidaasLink: a link that was mailed signs in where it was asked for, and asks
// for the number that this page shows.
func TestCidaasLink(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	mailed := func(n int) string {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
			if list := w.Dev.Inbox.List("mail", "ada@example.org", ""); len(list) >= n {
				return list[len(list)-1].Data["link"]
			}
			if _, err := w.Kit.Jobs.RunOne(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		t.Fatal("no link came")
		return ""
	}
	link := func(who string) (string, map[string]any) {
		request := v.request()
		return request, v.want("POST", "/verification-srv/v2/authenticate/initiate/EMAIL", map[string]any{"usage_type": "INITIAL_AUTHENTICATION", "request_id": request, "identifier": who, "processingType": "LINK"})
	}
	request, b := link("ada@example.org")
	at := mailed(1)
	if v.state(b["status_id"].(string)) != "INITIATED" {
		t.Errorf("at first: %s", v.state(b["status_id"].(string)))
	}
	v.refused("a code instead", "VER_0032", "/verification-srv/v2/authenticate/authenticate/EMAIL", map[string]any{"exchange_id": exchangeOf(b), "pass_code": b["push_selected_number"]})
	if p := w.person(t).open(at); p.status != 200 {
		t.Fatalf("the page of the link: %d", p.status)
	}
	press := func(at, number string) int {
		r, err := http.PostForm(at, url.Values{"number": {number}})
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	if got := press(at, b["push_selected_number"].(string)); got != 200 || v.state(b["status_id"].(string)) != "AUTHENTICATED" {
		t.Errorf("pressed: %d, %s", got, v.state(b["status_id"].(string)))
	}
	if tokens, _ := v.finish(request, "EMAIL", b); tokens == nil || fmt.Sprint(claimsOf(t, tokens["id_token"].(string))["amr"]) != "[email]" {
		t.Errorf("finished: %v", tokens)
	}
	if code, _ := v.do("POST", "/login-srv/verification/sdk/login", map[string]any{"requestId": request, "sub": b["sub"], "status_id": b["status_id"], "verificationType": "EMAIL"}); code == 200 {
		t.Error("finished twice")
	}
	_, b = link("ada@example.org")
	number := b["push_selected_number"].(string)
	if got := press(mailed(2), other(number[:1])+number[1:]); got == 200 || v.state(b["status_id"].(string)) != "DENIED" {
		t.Errorf("another number: %d, %s", got, v.state(b["status_id"].(string)))
	}
	_, n := link("nobody@example.org")
	if a, b := shape(b), shape(n); a != b || v.state(n["status_id"].(string)) != "INITIATED" {
		t.Errorf("ada is told %s, nobody %s", a, b)
	}
}
