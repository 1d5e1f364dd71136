package notifytest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// FCM is Firebase Cloud Messaging and Google's token server for one service
// account.
type FCM struct {
	Peer
	Account string // the service account's file

	key    *rsa.PublicKey
	grants map[string]time.Time // access token → when it ends
	dead   map[string]bool
}

const (
	fcmEmail   = "push@demo-project.iam.gserviceaccount.com"
	fcmProject = "demo-project"
	fcmKeyID   = "0123456789abcdef"
)

// NewFCM starts a peer that knows the time by now.
func NewFCM(t testing.TB, now func() time.Time) *FCM {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(map[string]string{"type": "service_account", "project_id": fcmProject, "private_key_id": fcmKeyID,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "client_email": fcmEmail,
		"client_id": "1", "token_uri": "https://elsewhere.example/token"})
	if err != nil {
		t.Fatal(err)
	}
	f := &FCM{Account: string(file), key: &key.PublicKey, grants: map[string]time.Time{}, dead: map[string]bool{}}
	f.start(t, now, f.serve)
	return f
}

// TokenURL is where the peer grants access tokens.
func (f *FCM) TokenURL() string { return f.URL + "/token" }

// Config is the provider's document for notify.SaveProvider.
func (f *FCM) Config() map[string]any { return map[string]any{"service_account": f.Account} }

// Kill unregisters a registration token.
func (f *FCM) Kill(token string) { f.mu.Lock(); defer f.mu.Unlock(); f.dead[token] = true }

// Revoke ends all access tokens at once.
func (f *FCM) Revoke() { f.mu.Lock(); defer f.mu.Unlock(); clear(f.grants) }

// Grants is how many access tokens are known.
func (f *FCM) Grants() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.grants) }

func (f *FCM) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/token":
		f.token(w, r)
	case "/v1/projects/" + fcmProject + "/messages:send":
		if !f.scripted(w, r) {
			f.send(w, r)
		}
	default:
		f.refuse(w, 404, "NOT_A_STATUS", "", "no such path "+r.URL.Path)
	}
}

// token checks an assertion (RFC 7523 3) and grants an access token.
func (f *FCM) token(w http.ResponseWriter, r *http.Request) {
	if why := f.assertion(r); why != "" {
		f.complain("token: %s", why)
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"error":"invalid_grant","error_description":%q}`, why)
		return
	}
	access := "ya29." + rand.Text()
	f.mu.Lock()
	f.grants[access] = f.now().Add(3599 * time.Second)
	f.mu.Unlock()
	fmt.Fprintf(w, `{"access_token":%q,"expires_in":3599,"token_type":"Bearer"}`, access)
}

func (f *FCM) assertion(r *http.Request) string {
	if r.Method != http.MethodPost || r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return "unsupported grant"
	}
	j, err := readJWS(r.PostFormValue("assertion"))
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(j.signed)
	if j.header["alg"] != "RS256" || rsa.VerifyPKCS1v15(f.key, crypto.SHA256, sum[:], j.sig) != nil {
		return "Invalid JWT Signature."
	}
	issued, ok1 := j.seconds("iat")
	expires, ok2 := j.seconds("exp")
	switch {
	case j.header["kid"] != fcmKeyID:
		return "unknown key"
	case j.claims["iss"] != fcmEmail:
		return "wrong issuer"
	case j.claims["aud"] != f.TokenURL():
		return "wrong audience"
	case j.claims["scope"] != "https://www.googleapis.com/auth/firebase.messaging":
		return "wrong scope"
	case !ok1 || !ok2 || issued.After(f.now().Add(time.Minute)) || !expires.After(f.now()) || expires.Sub(issued) > time.Hour:
		return "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
	}
	return ""
}

var (
	fcmTTL      = regexp.MustCompile(`^[1-9][0-9]*s$`)
	fcmToken    = regexp.MustCompile(`^[A-Za-z0-9_:-]{16,}$`)
	fcmReserved = regexp.MustCompile(`^(from|message_type|notification|google.*|gcm.*)$`)
)

// send checks a message as FCM does, and that it is for the app alone to show:
// data only, at once.
func (f *FCM) send(w http.ResponseWriter, r *http.Request) {
	access, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	f.mu.Lock()
	ends, ok := f.grants[access]
	f.mu.Unlock()
	if !ok || !ends.After(f.now()) {
		f.refuse(w, 401, "UNAUTHENTICATED", "", "Request had invalid authentication credentials.")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var in struct {
		ValidateOnly bool `json:"validate_only"`
		Message      struct {
			Token   string            `json:"token"`
			Data    map[string]string `json:"data"`
			Android struct {
				Priority    string `json:"priority"`
				TTL         string `json:"ttl"`
				CollapseKey string `json:"collapse_key"`
			} `json:"android"`
			Notification *struct {
				Title string `json:"title"`
				Body  string `json:"body"`
			} `json:"notification"`
			APNs *struct {
				Headers map[string]string `json:"headers"`
				Payload map[string]any    `json:"payload"`
			} `json:"apns"`
		} `json:"message"`
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		f.refuse(w, 400, "INVALID_ARGUMENT", "", err.Error())
		return
	}
	m := in.Message
	size := 0
	for k, v := range m.Data {
		size += len(k) + len(v)
		if fcmReserved.MatchString(k) {
			f.refuse(w, 400, "INVALID_ARGUMENT", "", "Invalid data payload key: "+k)
			return
		}
	}
	f.mu.Lock()
	dead := f.dead[m.Token]
	f.mu.Unlock()
	switch {
	case m.Android.Priority != "HIGH" || !fcmTTL.MatchString(m.Android.TTL) || size > 4096:
		f.refuse(w, 400, "INVALID_ARGUMENT", "", "Invalid android config or too large.")
	case !fcmToken.MatchString(m.Token):
		f.refuse(w, 400, "INVALID_ARGUMENT", "message.token", "The registration token is not a valid FCM registration token")
	case dead:
		f.refuse(w, 404, "NOT_FOUND", "UNREGISTERED", "Requested entity was not found.")
	default:
		if !in.ValidateOnly {
			f.take(m.Token, r, body)
		}
		fmt.Fprintf(w, `{"name":"projects/%s/messages/1"}`, fcmProject)
	}
}

// refuse answers with a google.rpc.Status. detail is a field's path, or an FCM
// error code.
func (f *FCM) refuse(w http.ResponseWriter, status int, code, detail, message string) {
	f.complain("fcm: %d %s %s", status, code, message)
	details := []any{}
	switch {
	case strings.Contains(detail, "."):
		details = append(details, map[string]any{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": []any{map[string]string{"field": detail, "description": message}}})
	case detail != "":
		details = append(details, map[string]any{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": detail})
	}
	b, _ := json.Marshal(map[string]any{"error": map[string]any{"code": status, "status": code, "message": message, "details": details}})
	w.WriteHeader(status)
	w.Write(b)
}
