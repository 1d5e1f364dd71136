package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// desk is somebody at a browser, with a phone, in one application.
type desk struct {
	name, app, email string
	keys             int // of the phone
	web, phone       talk
	request, number  string
}

// talk is a run from its client's side, with the answer that would move it.
type talk struct {
	client, sid, visit, turn string
	flow                     map[string]any
	says                     map[string]any
}

// read takes from an answer of the door where a run stands now.
func (k *talk) read(t testing.TB, out map[string]any) {
	t.Helper()
	headers, _ := out["headers"].([]any)
	for _, h := range headers {
		if s, ok := obj(h)["session_id"].(string); ok {
			k.sid = s
		}
	}
	flow, _ := obj(out, "data")["control_flow"].([]any)
	if len(flow) != 1 {
		t.Fatalf("no step: %v", out)
	}
	k.flow = obj(flow[0])
	k.visit, k.turn = k.flow["assertion_id"].(string), obj(out, "data")["challenge"].(string)
}

// say sends the answer of a run, under whatever names.
func (w *world) say(t testing.TB, client, sid, visit, turn string, says map[string]any) (int, map[string]any) {
	t.Helper()
	data := map[string]any{"assertion_id": visit, "fch": turn}
	for k, v := range says {
		data[k] = v
	}
	res, out := w.post(t, "auth/assert", "clientId="+client+"&sid="+sid, map[string]any{"headers": []any{}, "data": data})
	return res.StatusCode, out
}

func (w *world) next(t testing.TB, k *talk, says map[string]any) {
	t.Helper()
	_, out := w.say(t, k.client, k.sid, k.visit, k.turn, says)
	k.read(t, out)
}

func spki(t testing.TB, public any) (id, text string) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(der)
}

// join sends what a phone sends to answer a request, under whatever names.
func (w *world) join(t testing.TB, client string, device int, request, signature string) (int, map[string]any) {
	t.Helper()
	id, public := spki(t, &keys()[device].Device.PublicKey)
	res, out := w.post(t, "auth/mobile_approve", "clientId="+client, map[string]any{"data": map[string]any{"params": map[string]any{}}, "headers": []any{
		map[string]any{"type": "device", "device": map[string]any{"device_key_id": id, "device_public_key": public, "device_platform": "android"}},
		map[string]any{"type": "mobile_approve", "mobile_approve": map[string]any{"request_id": request, "request_id_signature": signature}}}})
	return res.StatusCode, out
}

func signed(t testing.TB, key int, text string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPSS(rand.Reader, keys()[key].Device, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sig)
}

// settled is everything that somebody's approval rests on, as text.
func (w *world) settled(t testing.TB) string {
	t.Helper()
	var out strings.Builder
	for _, q := range []string{
		`SELECT id || '/' || state || '/' || turn FROM challenges ORDER BY id`, `SELECT id || '/' || rev || '/' || state FROM runs ORDER BY id`,
		`SELECT subject || '/' || state FROM lockouts ORDER BY subject`, `SELECT id || '/' || rev || '/' || status FROM credentials ORDER BY id`,
		`SELECT id || '/' || rev || '/' || status || '/' || last_seen_at FROM devices ORDER BY id`, `SELECT id || '/' || user_id FROM sessions ORDER BY id`,
	} {
		rows, err := w.Kit.DB.Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			out.WriteString(s + "\n")
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// street adds an application beside the demo one, and one of another tenant,
// and seats somebody in each.
func (w *world) street(t testing.TB) []*desk {
	t.Helper()
	templates, err := journey.Templates()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(templates, func(a, b journey.Graph) int { return strings.Compare(string(b.Kind), string(a.Kind)) }) // mobile_approve first
	w.do(t, func(tx *db.Tx) error {
		if err := apps.CreateTenant(t.Context(), tx, apps.Tenant{ID: "t2", Name: "Elsewhere"}); err != nil {
			return err
		}
		for app, of := range map[apps.ID]apps.TenantID{"beside": "default", "elsewhere": "t2"} {
			if err := apps.Save(t.Context(), tx, apps.App{ID: app, Tenant: of, Name: string(app), Audience: apps.B2C}); err != nil {
				return err
			}
			for suffix, kind := range map[string]apps.Kind{"-web": apps.Web, "-native": apps.Native} {
				if err := apps.SaveClient(t.Context(), tx, apps.Client{ID: apps.ClientID(string(app) + suffix), App: app, Name: "x", Kind: kind}); err != nil {
					return err
				}
			}
		}
		for _, g := range templates {
			if _, err := journey.Publish(t.Context(), tx, "t2", g); err != nil {
				return err
			}
		}
		return nil
	})
	list := []*desk{
		{name: "grace", app: "demo", email: "grace@example.org", keys: 0}, {name: "mallory", app: "demo", email: "mallory@example.org", keys: 1},
		{name: "olga, of another application", app: "beside", email: "olga@example.org", keys: 2},
		{name: "grace, of another tenant, with the same phone", app: "elsewhere", email: "grace@example.org", keys: 0},
	}
	for _, d := range list {
		p, err := simulator.New(simulator.Options{Server: w.URL, Client: d.app + "-native", Email: d.email, Keys: keys()[d.keys], Now: w.Now})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Register(t.Context()); err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
		w.sit(t, d)
		d.request = pending(t, p).ID
	}
	return list
}

// sit lets somebody's browser ask for an approval.
func (w *world) sit(t testing.TB, d *desk) {
	t.Helper()
	d.web = talk{client: d.app + "-web"}
	_, out := w.post(t, "auth/anonymous_invoke", "clientId="+d.web.client, map[string]any{"headers": []any{}, "data": map[string]any{"policy_request_id": "web_login"}})
	d.web.read(t, out)
	w.next(t, &d.web, map[string]any{"assert": "escape", "data": map[string]any{"escape_id": "web_to_mobile", "escape_params": map[string]any{"email": d.email}}})
	d.number, _ = d.web.flow["number"].(string)
	if d.web.flow["type"] != waitStep || d.number == "" {
		t.Fatalf("%s: %v", d.name, d.web.flow)
	}
	d.web.says = map[string]any{"assert": "escape", "data": map[string]any{"escape_id": "cancel"}}
}

// refusal reports whether the door said no, and gave nothing.
func refusal(status int, out map[string]any) bool {
	data := obj(out, "data")
	refused := status >= 400 && status < 500 && out["error_code"] != 0.0 && data["control_flow"] == nil
	stale := out["error_code"] == 0.0 && data["assertion_error_code"] == 28.0
	return (refused || stale) && data["token"] == nil
}

var everyClient = []string{"demo-web", "demo-native", "beside-web", "beside-native", "elsewhere-web", "elsewhere-native"}

// Bar A2: whatever of a request, device, signature, client, application, tenant,
// session, visit and turn is somebody else's, nothing is accepted and nothing
// changes; afterwards everybody is approved by their own.
func TestReg_A2_CrossBinding(t *testing.T) {
	w := newWorld(t)
	desks := w.street(t)
	before, tried := w.settled(t), 0
	check := func(what string, status int, out map[string]any) {
		t.Helper()
		tried++
		if !refusal(status, out) {
			t.Errorf("%s: %d %v", what, status, out)
		}
		if now := w.settled(t); now != before {
			t.Errorf("%s: something changed", what)
			before = now
		}
	}
	w.crossJoin(t, desks, check)
	for _, d := range desks {
		d.phone = talk{client: d.app + "-native", says: map[string]any{"assert": "action", "input": map[string]any{"passcode": d.number}}}
		status, out := w.join(t, d.phone.client, d.keys, d.request, signed(t, d.keys, d.request))
		if status != 200 {
			t.Fatalf("%s: %v", d.name, out)
		}
		d.phone.read(t, out)
	}
	before = w.settled(t)
	w.crossAnswer(t, desks, check)
	t.Logf("%d wrong combinations", tried)
	for _, d := range desks {
		w.approved(t, d)
	}
}

func (w *world) crossJoin(t *testing.T, desks []*desk, check func(string, int, map[string]any)) {
	signature := map[string]string{} // by key and text
	for key := range 3 {
		for _, d := range desks {
			signature[fmt.Sprint(key, d.request)] = signed(t, key, d.request)
		}
	}
	for _, victim := range desks {
		for _, client := range everyClient {
			for device := range 3 {
				for signer := range 3 {
					for _, text := range desks {
						app, _, _ := strings.Cut(client, "-")
						if app == victim.app && device == victim.keys && signer == victim.keys && text == victim {
							continue
						}
						status, out := w.join(t, client, device, victim.request, signature[fmt.Sprint(signer, text.request)])
						check(fmt.Sprintf("joining for %s as %s with the phone %d, signed by %d for %s", victim.name, client, device, signer, text.name), status, out)
					}
				}
			}
		}
	}
}

func (w *world) crossAnswer(t *testing.T, desks []*desk, check func(string, int, map[string]any)) {
	var runs []*talk
	for _, d := range desks {
		runs = append(runs, &d.web, &d.phone)
	}
	for i, victim := range runs {
		for _, client := range everyClient {
			for j, other := range runs {
				for _, with := range [][2]string{{victim.visit, victim.turn}, {other.visit, victim.turn}, {victim.visit, other.turn}, {other.visit, other.turn}} {
					if client == victim.client && with == [2]string{victim.visit, victim.turn} {
						continue
					}
					status, out := w.say(t, client, victim.sid, with[0], with[1], victim.says)
					check(fmt.Sprintf("answering run %d as %s with names of run %d", i, client, j), status, out)
				}
			}
		}
	}
}

// approved finishes what somebody began, the right way.
func (w *world) approved(t *testing.T, d *desk) {
	t.Helper()
	w.next(t, &d.phone, d.phone.says)
	challenge, _ := d.phone.flow["biometrics_challenge"].(string)
	id, _ := spki(t, &keys()[d.keys].Biometric.PublicKey)
	sum := sha256.Sum256([]byte(challenge))
	sig, err := ecdsa.SignASN1(rand.Reader, keys()[d.keys].Biometric, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	_, out := w.say(t, d.phone.client, d.phone.sid, d.phone.visit, d.phone.turn, map[string]any{"assert": "action", "input": map[string]any{
		"publicKeyId": id, "signedChallenge": base64.StdEncoding.EncodeToString(sig), "userIdentifier": d.email}})
	if obj(out, "data")["token"] == nil {
		t.Errorf("%s: the phone: %v", d.name, out)
	}
	_, out = w.say(t, d.web.client, d.web.sid, d.web.visit, d.web.turn, map[string]any{"assert": "data"})
	jwt, _ := obj(out, "data")["token"].(string)
	if jwt == "" {
		t.Fatalf("%s: the browser: %v", d.name, out)
	}
	if claims := claimsOf(t, jwt); claims["aud"] != d.web.client {
		t.Errorf("%s: %v", d.name, claims)
	}
}

// Two nodes on one database: a browser that one of them holds is answered within
// a second of an approval on the other.
func TestReg_TwoNodesWakeEachOther(t *testing.T) {
	if os.Getenv("TEST_POSTGRES") == "" {
		t.Skip("an SQLite database has one node; set TEST_POSTGRES")
	}
	address := kittest.Address(t)
	one, two := openWorld(t, address), openWorld(t, address)
	one.registered(t, "grace@example.org", 0)
	p := two.phone(t, "grace@example.org", 0)
	kittest.Prompt(t, time.Second, "until the browser heard of it", func() time.Duration {
		b, r := one.asked(t, "grace@example.org")
		q := pending(t, p)
		end := make(chan simulator.Response, 1)
		go func() { end <- ended(t, b) }()
		waitFor(t, "the browser is held", func() bool { return one.Engine.Held() == 1 })
		if err := p.Approve(t.Context(), q.ID, r.Text("number")); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if got := <-end; got.Type != simulator.Success {
			t.Fatalf("%+v", got)
		}
		return time.Since(begun)
	})
}
