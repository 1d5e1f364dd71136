package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
)

// rest is a back end that holds an access token.
type rest struct {
	w      *world
	bearer string
}

func (w *world) token(t testing.TB, client, secret, scope string) map[string]any {
	t.Helper()
	r, err := http.PostForm(w.URL+"/oidc/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {secret}, "scope": {scope}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(r.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	out["status"] = r.StatusCode
	return out
}

// rest is the demo back end with every permission.
func (w *world) rest(t testing.TB) rest {
	t.Helper()
	c := w.Dev.Facts.Clients["backend"]
	bearer, _ := w.token(t, c.ID, c.Secret, "")["access_token"].(string)
	if bearer == "" {
		t.Fatal("no access token")
	}
	return rest{w, bearer}
}

// do makes a call and returns status and body.
func (c rest) do(t testing.TB, route string, body any) (int, map[string]any) {
	t.Helper()
	method, path, _ := strings.Cut(route, " ")
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, c.w.URL+path, in)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if c.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]any{}
	if resp.StatusCode != http.StatusNoContent {
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil && resp.Header.Get("Content-Type") == "application/json" {
			t.Fatalf("%s: %v", route, err)
		}
	}
	return resp.StatusCode, out
}

// want makes a call that must answer with status, and returns its result.
func (c rest) want(t testing.TB, status int, route string, body any) map[string]any {
	t.Helper()
	got, out := c.do(t, route, body)
	if got != status {
		t.Fatalf("%s: %d %v, want %d", route, got, out, status)
	}
	if r, ok := out["result"].(map[string]any); ok {
		return r
	}
	return out
}

func TestClientToken(t *testing.T) {
	w := newWorld(t)
	c := w.Dev.Facts.Clients["backend"]
	if got := w.token(t, c.ID, "wws_wrong", ""); got["status"] != 401 || got["error"] != "invalid_client" {
		t.Errorf("a wrong secret: %v", got)
	}
	if got := w.token(t, "demo-web", "", ""); got["error"] != "unauthorized_client" {
		t.Errorf("a public client: %v", got)
	}
	if got := w.token(t, c.ID, c.Secret, "users:read orgs:read"); got["scope"] != "users:read" {
		t.Errorf("more was granted than the client has: %v", got)
	}
	narrow := rest{w, w.token(t, c.ID, c.Secret, "users:read")["access_token"].(string)}
	if got, _ := narrow.do(t, "GET /v1/users/me2", nil); got != 404 {
		t.Errorf("reading: %d", got)
	}
	if got, _ := narrow.do(t, "POST /v1/users", map[string]any{"email": "x@example.org"}); got != 403 {
		t.Errorf("creating with a token for reading: %d", got)
	}
	// What is taken from a client is gone from the tokens it has.
	full := w.rest(t)
	w.do(t, func(tx *db.Tx) error {
		return apps.SaveClient(t.Context(), tx, apps.Client{ID: "demo-backend", App: "demo", Name: "x", Kind: apps.Backend, Settings: apps.ClientSettings{Permissions: []string{"apps:read"}}})
	})
	if got, _ := full.do(t, "GET /v1/users", nil); got != 403 {
		t.Errorf("a permission that was taken away: %d", got)
	}
}

func (w *world) do(t testing.TB, fn func(tx *db.Tx) error) {
	t.Helper()
	if err := w.Kit.DB.Tx(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// TestAuthorisationMatrix: no call answers without the token it wants, and the
// description names every one.
func TestAuthorisationMatrix(t *testing.T) {
	w := newWorld(t)
	c := w.Dev.Facts.Clients["backend"]
	none := rest{w, w.token(t, c.ID, c.Secret, "nothing:at_all")["access_token"].(string)}
	_, doc := rest{w: w}.do(t, "GET /openapi.json", nil)
	paths, _ := doc["paths"].(map[string]any)
	for _, call := range backend.Calls() {
		method, path, _ := strings.Cut(call.Route, " ")
		item, _ := paths[path].(map[string]any)
		if item[strings.ToLower(method)] == nil {
			t.Errorf("%s is not described", call.Route)
		}
		for _, name := range call.Query {
			if b, err := json.Marshal(item[strings.ToLower(method)]); err != nil || !strings.Contains(string(b), `"in":"query","name":"`+name+`"`) {
				t.Errorf("%s reads %s, which is not described", call.Route, name)
			}
		}
		if call.Who == backend.Public {
			continue
		}
		filled := strings.NewReplacer("{", "", "}", "").Replace(call.Route)
		for _, at := range []string{filled, strings.Replace(filled, " /v1", " /cis/v1", 1)} {
			if got, body := (rest{w: w}).do(t, at, nil); got != 401 || body["message"] == nil || body["request_id"] == nil {
				t.Errorf("%s without a token: %d %v", at, got, body)
			}
			if got, _ := (rest{w, "x.y.z"}).do(t, at, nil); got != 401 {
				t.Errorf("%s with a token that is none: %d", at, got)
			}
			if got, body := none.do(t, at, nil); got != 403 {
				t.Errorf("%s without a permission: %d %v", at, got, body)
			}
		}
	}
}

// vendorCalls are the calls of the vendor's back-end API as its pages, samples and SDKs
// name them, with our wildcards.
var vendorCalls = strings.Fields(`
POST:/v1/users GET:/v1/users GET:/v1/users/count GET:/v1/users/identifier GET:/v1/users/{user_id} PUT:/v1/users/{user_id} DELETE:/v1/users/{id}/apps DELETE:/v1/manage/users/{user_id}
POST:/v1/users/{user_id}/emails/{value}/verify POST:/v1/users/{user_id}/phone-numbers/{value}/verify
POST:/v1/users/{user_id}/password PUT:/v1/users/{user_id}/password POST:/v1/users/me/password-credentials POST:/v1/auth/password/login POST:/v1/auth/password/authenticate
POST:/v1/auth/password/reset/{channel}/otp/validate POST:/v1/auth/password/reset
POST:/v1/auth/links/email POST:/v1/token POST:/v1/auth/link/email/send POST:/v1/auth/link/email/authenticate
POST:/v1/auth/otp/send POST:/v1/auth/otp/authenticate POST:/v1/auth/otp/email POST:/v1/auth/otp/email/validation POST:/v1/auth/otp/sms POST:/v1/auth/otp/sms/validation
POST:/v1/auth/totp/register POST:/v1/users/me/totp POST:/v1/auth/totp/authenticate POST:/v1/users/{user_id}/totp/revoke POST:/v1/auth/totp/transaction/start
POST:/v1/auth/webauthn/register/start POST:/v1/auth/webauthn/authenticate/start POST:/v1/auth/webauthn/authenticate POST:/v1/auth/webauthn/register POST:/v1/auth/webauthn/external/register
POST:/v1/auth/webauthn/external/register/hosted/hint POST:/v1/auth-session/start-with-authorization POST:/v1/auth-session/authorize
POST:/v1/auth/webauthn/cross-device/register/init POST:/v1/auth/webauthn/cross-device/external/register/init POST:/v1/auth/webauthn/cross-device/register/start POST:/v1/auth/webauthn/cross-device/register
POST:/v1/auth/webauthn/cross-device/authenticate/init POST:/v1/auth/webauthn/cross-device/authenticate/start GET:/v1/auth/webauthn/cross-device/status POST:/v1/auth/webauthn/cross-device/attach-device
POST:/v1/auth/mobile-biometrics/register POST:/v1/auth/mobile-biometrics/start POST:/v1/auth/mobile-biometrics/authenticate
GET:/v1/users/{user_id}/authenticators POST:/v1/users/{user_id}/authenticators/{authenticator_id}/lock POST:/v1/users/{user_id}/authenticators/{authenticator_id}/unlock
POST:/v1/users/{user_id}/authenticators/types/{authenticator_type}/unlock
POST:/v1/users/{user_id}/device-keys GET:/v1/users/me/device-keys POST:/v1/users/{id}/devices
POST:/v1/auth/session/authenticate POST:/v1/auth/session/logout POST:/v1/auth/token/refresh POST:/v1/auth/logout
GET:/v1/applications POST:/v1/applications POST:/verify/api/v1/face-auth GET:/v1/organizations`)

// TestVendorCalls: every call of the vendor's is described here, or docs/identity.md
// says why it is not.
func TestVendorCalls(t *testing.T) {
	doc, err := os.ReadFile("../../docs/identity.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(doc), "## What the vendor has and this server has not")
	var said []string // the first column
	for _, line := range strings.Split(table, "\n") {
		if cells := strings.Split(line, "|"); len(cells) == 4 {
			said = append(said, strings.FieldsFunc(cells[1], func(r rune) bool { return strings.ContainsRune("` ,…", r) })...)
		}
	}
	for _, call := range vendorCalls {
		method, path, _ := strings.Cut(call, ":")
		here := backend.Offers(method + " " + path)
		told := slices.Contains(said, path) || strings.HasPrefix(path, "/verify/") && slices.Contains(said, "/verify/")
		if here == told {
			t.Errorf("%s %s: served %v, and explained %v", method, path, here, told)
		}
	}
}

func TestUsersAPI(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	u := c.want(t, 201, "POST /cis/v1/users", map[string]any{"email": "Ana@Example.org", "phone_number": "+4915112345678", "username": "ana", "custom_data": map[string]any{"tier": "gold"}})
	id, _ := u["user_id"].(string)
	if email, _ := u["email"].(map[string]any); id == "" || email["value"] != "Ana@Example.org" || email["email_verified"] != false || u["status"] != "Active" {
		t.Fatalf("created: %v", u)
	}
	for _, dup := range []map[string]any{{"email": "ANA@example.org"}, {"phone_number": "+49 151 12345678"}, {"username": "ANA"}} {
		if got, body := c.do(t, "POST /v1/users", dup); got != 409 {
			t.Errorf("%v again: %d %v", dup, got, body)
		}
	}
	if got, body := c.do(t, "POST /v1/users", map[string]any{"email": "not an address"}); got != 400 || body["error_code"] != float64(400) {
		t.Errorf("a malformed address: %d %v", got, body)
	} else if _, ok := body["message"].([]any); !ok {
		t.Errorf("the messages of a malformed request are no list: %v", body)
	}
	if got := c.want(t, 200, "GET /v1/users/identifier?identifier_name=phoneNumber&identifier_value=%2B4915112345678", nil); got["user_id"] != id {
		t.Errorf("by phone number: %v", got)
	}
	c.want(t, 201, "POST /v1/users/"+id+"/emails", map[string]any{"email": "second@example.org"})
	c.want(t, 202, "POST /v1/users/"+id+"/emails/second@example.org/verify", map[string]any{"change_to_primary": true})
	if got := c.want(t, 200, "GET /v1/users/"+id, nil); got["email"].(map[string]any)["value"] != "second@example.org" || len(got["secondary_emails"].([]any)) != 1 {
		t.Errorf("after the second address: %v", got)
	}
	c.want(t, 204, "DELETE /v1/users/"+id+"/emails/ana@example.org", nil)
	if got, _ := c.do(t, "DELETE /v1/users/"+id+"/emails/nobody@example.org", nil); got != 404 {
		t.Errorf("a name that is not theirs: %d", got)
	}
	if got := c.want(t, 200, "PUT /v1/users/"+id, map[string]any{"custom_data": map[string]any{"city": "Bonn"}}); got["custom_data"].(map[string]any)["tier"] != "gold" {
		t.Errorf("custom data was replaced, not merged: %v", got)
	}
	c.want(t, 204, "POST /v1/users/"+id+"/suspend", nil)
	if got := c.want(t, 200, "GET /v1/users/"+id, nil); got["status"] != "Disabled" {
		t.Errorf("suspended: %v", got)
	}
	if got := c.want(t, 200, "GET /v1/users/count", nil); got["count"] != 2.0 { // and ada
		t.Errorf("counted: %v", got)
	}
	c.want(t, 204, "DELETE /v1/manage/users/"+id, nil)
	if got, body := c.do(t, "GET /v1/users/"+id, nil); got != 404 || body["ts_error_code"] != "user_not_found" {
		t.Errorf("deleted: %d %v", got, body)
	}
	if got := c.want(t, 200, "GET /v1/users/count", nil); got["count"] != 1.0 {
		t.Errorf("counted: %v", got)
	}
}

func TestUsersPaging(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	for _, name := range []string{"u1", "u2", "u3", "u4"} {
		c.want(t, 201, "POST /v1/users", map[string]any{"username": name})
	}
	var seen []string
	for next := ""; ; {
		_, body := c.do(t, "GET /v1/users?limit=2&cursor="+next, nil)
		for _, u := range body["result"].([]any) {
			seen = append(seen, u.(map[string]any)["user_id"].(string))
		}
		if next, _ = body["next_cursor"].(string); next == "" {
			break
		}
	}
	if len(seen) != 5 { // and ada
		t.Errorf("paged through %d users", len(seen))
	}
	for _, bad := range []string{"cursor=usr_1", "limit=0", "limit=x", "limit=5000"} {
		if got, _ := c.do(t, "GET /v1/users?"+bad, nil); got != 400 {
			t.Errorf("%s: %d", bad, got)
		}
	}
}

// TestDictionaryPaging: a long dictionary comes in pages, by a cursor that tells no
// word and is good for that list alone.
func TestDictionaryPaging(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	var words []string
	for i := range 2500 {
		words = append(words, fmt.Sprintf("wombat%cx%c%c", 'a'+i/676, 'a'+i/26%26, 'a'+i%26))
	}
	c.want(t, 204, "PUT /v1/password-dictionary", map[string]any{"words": words})
	seen := map[string]bool{}
	pages := 0
	for next := ""; ; pages++ {
		_, body := c.do(t, "GET /v1/password-dictionary?cursor="+next, nil)
		for _, word := range body["result"].([]any) {
			seen[word.(string)] = true
		}
		if next, _ = body["next_cursor"].(string); next == "" {
			break
		}
		if strings.Contains(next, "wombat") {
			t.Errorf("the cursor is %s", next)
		}
		if got, _ := c.do(t, "GET /v1/users?cursor="+next, nil); got != 400 {
			t.Errorf("the cursor of another list: %d", got)
		}
	}
	if len(seen) != len(words) || pages != 2 {
		t.Errorf("%d words on %d pages", len(seen), pages+1)
	}
	if got, _ := c.do(t, "GET /v1/password-dictionary?cursor=wombat", nil); got != 400 {
		t.Errorf("a cursor of somebody's own: %d", got)
	}
}

// TestAuthenticatorsAPI: listing, locking and unlocking what a phone enrolled.
func TestAuthenticatorsAPI(t *testing.T) {
	w := newWorld(t)
	p := w.registered(t, "amy@example.org", 0)
	c := w.rest(t)
	u := c.want(t, 200, "GET /v1/users/identifier?identifier_name=email&identifier_value=amy@example.org", nil)
	at := "/v1/users/" + u["user_id"].(string)
	list := func() []any {
		t.Helper()
		_, body := c.do(t, "GET "+at+"/authenticators", nil)
		l, _ := body["result"].([]any)
		return l
	}
	find := func(kind string) map[string]any {
		t.Helper()
		for _, a := range list() {
			if a := a.(map[string]any); a["type"] == kind {
				return a
			}
		}
		t.Fatalf("no %s in %v", kind, list())
		return nil
	}
	bio := find("mobile_biometric")
	if bio["status"] != "active" || bio["usable"] != true || bio["scope"] != "app" {
		t.Errorf("enrolled: %v", bio)
	}
	one := at + "/authenticators/" + bio["id"].(string)
	c.want(t, 204, "PATCH "+one, map[string]any{"name": "My phone"})
	c.want(t, 204, "POST "+one+"/lock", map[string]any{"reason": "reported lost"})
	if got := find("mobile_biometric"); got["status"] != "deactivated" || got["name"] != "My phone" {
		t.Errorf("locked: %v", got)
	}
	_, shown := w.asked(t, "amy@example.org")
	number := shown.Text("number")
	if err := p.Approve(t.Context(), pending(t, p).ID, number); err == nil {
		t.Error("a locked authenticator approved")
	}
	c.want(t, 204, "POST "+at+"/authenticators/types/mobile_biometric/unlock", map[string]any{"unlock_type": "automatic"})
	if got := find("mobile_biometric"); got["status"] != "deactivated" {
		t.Errorf("an automatic unlock opened a manual lock: %v", got)
	}
	c.want(t, 204, "POST "+one+"/unlock", nil)
	if got := find("mobile_biometric"); got["status"] != "active" {
		t.Errorf("unlocked: %v", got)
	}
	c.want(t, 204, "POST "+at+"/authenticators/push/lock", map[string]any{"reason": "x"})
	c.want(t, 204, "POST "+at+"/authenticators/push/unlock", map[string]any{"unlock_type": "manual"})
	if got, _ := c.do(t, "POST "+at+"/authenticators/crd_nothing/lock", nil); got != 404 {
		t.Errorf("locking what is not there: %d", got)
	}
	if got, _ := c.do(t, "POST "+at+"/authenticators/types/nothing/unlock", nil); got != 400 {
		t.Errorf("unlocking a type that does not exist: %d", got)
	}
	if got, body := c.do(t, "DELETE "+one, nil); got != 409 {
		t.Errorf("deleting the last factor: %d %v", got, body)
	}
	_, devices := c.do(t, "GET "+at+"/device-keys", nil)
	key := devices["result"].([]any)[0].(map[string]any)["key_id"].(string)
	c.want(t, 204, "PATCH "+at+"/device-keys/"+key, map[string]any{"display_name": "Amy's phone"})
	if got, _ := c.do(t, "PATCH "+at+"/device-keys/"+key, map[string]any{"display_name": strings.Repeat("x", 101)}); got != 400 {
		t.Errorf("a name of 101 characters: %d", got)
	}
	if _, body := c.do(t, "GET "+at+"/device-keys", nil); body["result"].([]any)[0].(map[string]any)["display_name"] != "Amy's phone" {
		t.Errorf("renamed: %v", body)
	}
	c.want(t, 204, "PATCH "+at+"/device-keys/"+key, map[string]any{"status": "Blocked"})
	if _, body := c.do(t, "GET "+at+"/device-keys", nil); body["result"].([]any)[0].(map[string]any)["status"] != "Blocked" {
		t.Errorf("blocked: %v", body)
	}
	c.want(t, 204, "DELETE "+at+"/device-keys/"+key, nil)
	for _, a := range list() {
		if a.(map[string]any)["type"] == "mobile_biometric" {
			t.Error("the biometric key outlived its device")
		}
	}
}

func TestMethodsAPI(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	const at = "/v1/applications/demo/auth-methods/"
	tiers := []any{map[string]any{"attempts": 3.0, "duration": 5.0}}
	got := c.want(t, 200, "PATCH "+at+"mobile_biometric", map[string]any{"failuresExpireIn": 30, "lockoutTiers": tiers})
	if got["failuresExpireIn"] != 30.0 || len(got["lockoutTiers"].([]any)) != 1 || got["lockoutTiers"].([]any)[0].(map[string]any)["attempts"] != 3.0 {
		t.Errorf("changed: %v", got)
	}
	if got, body := c.do(t, "PUT "+at+"mobile_biometric", map[string]any{"unknown": 1}); got != 400 {
		t.Errorf("an unknown setting: %d %v", got, body)
	}
	if got, _ := c.do(t, "GET "+at+"nothing", nil); got != 404 {
		t.Errorf("an unknown method: %d", got)
	}
	if got, _ := c.do(t, "GET /v1/applications/other/auth-methods", nil); got != 404 {
		t.Errorf("another application: %d", got)
	}
	c.want(t, 200, "PATCH "+at+"mobile_biometric", map[string]any{"lockoutTiers": []any{}})
	if _, body := c.do(t, "GET "+at+"mobile_biometric/lint", nil); body["result"].([]any)[0].(map[string]any)["code"] != "lockout_none" {
		t.Errorf("a method without tiers: %v", body)
	}
}
