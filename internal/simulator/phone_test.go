package simulator_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/simulator"
	"github.com/watchword-auth/watchword/internal/simulator/simulatortest"
)

func options(s *simulatortest.Server, email string) simulator.Options {
	return simulator.Options{Server: s.URL, Client: "demo-native", Email: email, DeviceName: "Pixel 9", Now: noon, Keys: keys}
}

func registered(t *testing.T, s *simulatortest.Server, email string) *simulator.Phone {
	t.Helper()
	p, err := simulator.New(options(s, email))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRegister(t *testing.T) {
	s := simulatortest.New(t)
	p := registered(t, s, "ada@example.org")
	if got := s.Phones("ada@example.org"); len(got) != 1 || got[0] != "Pixel 9" {
		t.Errorf("phones: %v", got)
	}
	if known, err := p.Known(t.Context()); err != nil || !known {
		t.Errorf("known: %v, %v", known, err)
	}
	state, err := p.State()
	if err != nil || state.DeviceID == "" || len(state.DeviceKeyID) != 64 || state.PushToken == "" {
		t.Errorf("state: %+v, %v", state, err)
	}
}

func TestRegisterAsksTheOtherPhone(t *testing.T) {
	s := simulatortest.New(t)
	first := registered(t, s, "ada@example.org")
	o := options(s, "ada@example.org")
	o.Keys, o.DeviceName = nil, "iPad"
	done := make(chan error, 1)
	o.Notice = func(device, number string) {
		if device != "your phone" {
			t.Errorf("notice about %q", device)
		}
		go func() { done <- answerNext(t.Context(), first, number, approve) }()
	}
	second, err := simulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := strings.Join(s.Phones("ada@example.org"), ","); got != "Pixel 9,iPad" {
		t.Errorf("phones: %s", got)
	}
}

func TestRegisterRefused(t *testing.T) {
	s := simulatortest.New(t)
	p, err := simulator.New(options(s, "nobody@example.org"))
	if err != nil {
		t.Fatal(err)
	}
	refused, ok := errors.AsType[*simulator.Refusal](p.Register(t.Context()))
	if !ok || refused.Message != "Registration is closed." {
		t.Errorf("refused: %v", refused)
	}
	if known, err := p.Known(t.Context()); err != nil || known {
		t.Errorf("known: %v, %v", known, err)
	}
	_, err = p.Pending(t.Context(), 0)
	if refused, ok = errors.AsType[*simulator.Refusal](err); !ok || refused.Status != 403 || refused.Message != "This phone is not known here. Set it up again." {
		t.Errorf("an unknown phone: %v", err)
	}
}

func TestApproveAndDeny(t *testing.T) {
	s := simulatortest.New(t)
	p := registered(t, s, "ada@example.org")
	ctx := t.Context()
	refusal := func(err error) string {
		r, ok := errors.AsType[*simulator.Refusal](err)
		if !ok {
			t.Errorf("no refusal: %v", err)
			return ""
		}
		return r.Message
	}
	state := func(id, want string) {
		t.Helper()
		if got := s.State(id); got != want {
			t.Errorf("request is %s, want %s", got, want)
		}
	}
	const gone = "This request was answered or has run out. Start again in the browser."

	id := s.Ask("ada@example.org", "")
	if err := p.Approve(ctx, id, ""); err != nil {
		t.Error(err)
	}
	state(id, "approved")
	if got := refusal(p.Approve(ctx, id, "")); got != gone {
		t.Errorf("approved twice: %q", got)
	}
	if got := refusal(p.Deny(ctx, id, false)); got != gone {
		t.Errorf("denied after all: %q", got)
	}

	id = s.Ask("ada@example.org", "")
	if err := p.Deny(ctx, id, true); err != nil { // neither cancel nor not_me: failure
		t.Error(err)
	}
	state(id, "denied")

	id = s.Ask("ada@example.org", "31")
	if err := p.Approve(ctx, id, ""); !errors.Is(err, simulator.ErrNumberNeeded) {
		t.Errorf("no number: %v", err)
	}
	state(id, "joined")

	id = s.Ask("ada@example.org", "31")
	if got := refusal(p.Approve(ctx, id, "99")); got != "That did not match." { // may be tried again, and is not
		t.Errorf("a number that may be tried again: %q", got)
	}
	state(id, "joined")

	if list, err := p.Pending(ctx, 0); err != nil || len(list) != 0 {
		t.Errorf("pending: %v, %v", list, err)
	}
	if got := refusal(p.Approve(ctx, "chl_unknown", "")); got != gone {
		t.Errorf("unknown request: %q", got)
	}
}

func TestSaveAndLoad(t *testing.T) {
	s := simulatortest.New(t)
	p := registered(t, s, "ada@example.org")
	path := filepath.Join(t.TempDir(), "phone.json")
	if err := os.WriteFile(path, []byte(`{"watchword_phone":1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.Save(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	again, err := simulator.Load(path, simulator.Options{Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := p.State()
	b, _ := again.State()
	if !reflect.DeepEqual(a, b) {
		t.Errorf("state changed: %v, %v", a.DeviceKeyID, b.DeviceKeyID)
	}
	id := s.Ask("ada@example.org", "31")
	if err := again.Approve(t.Context(), id, "31"); err != nil {
		t.Error(err)
	}
	if got := s.State(id); got != "approved" {
		t.Errorf("request is %s", got)
	}
}

func TestLoadRefusesForeignState(t *testing.T) {
	s := simulatortest.New(t)
	p := registered(t, s, "ada@example.org")
	dir := t.TempDir()
	path := filepath.Join(dir, "phone.json")
	if err := p.Save(path); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		o    simulator.Options
		want string
	}{
		{"another server", simulator.Options{Server: "https://example.org"}, "belongs to the server"},
		{"another client", simulator.Options{Client: "other"}, "belongs to the client"},
		{"another user", simulator.Options{Email: "eve@example.org"}, "belongs to the e-mail address"},
	} {
		c.o.Now = noon
		if _, err := simulator.Load(path, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	state, _ := p.State()
	edit := func(change func(*simulator.State)) []byte {
		other := state
		change(&other)
		text, _ := json.Marshal(other)
		return text
	}
	for name, text := range map[string][]byte{
		"another tool's":   []byte(`{"registry":"npm","token":"x"}`),
		"no JSON":          []byte("hello"),
		"empty":            {},
		"another format":   edit(func(s *simulator.State) { s.Format = 2 }),
		"a swapped key":    edit(func(s *simulator.State) { s.DeviceKey = s.BiometricKey }),
		"a key id too few": edit(func(s *simulator.State) { s.DeviceKeyID = "00" }),
		"half a key":       edit(func(s *simulator.State) { s.BiometricKey = s.BiometricKey[:40] }),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := simulator.Load(path, simulator.Options{Now: noon})
		if err == nil {
			t.Errorf("%s was loaded", name)
		} else if strings.Contains(err.Error(), state.BiometricKey[:40]) {
			t.Errorf("%s: the error holds a key", name)
		}
	}
	if _, err := simulator.Load(filepath.Join(dir, "none.json"), simulator.Options{Now: noon}); !errors.Is(err, simulator.ErrNoPhone) {
		t.Errorf("no file: %v", err)
	}
}

// What iOS cannot decode is an error for the phone.
func TestPhoneIsStrict(t *testing.T) {
	for name, data := range map[string]string{
		"assertions_complete missing": `{"state":"pending","control_flow":[{"type":"form","form_id":"account"}]}`,
		"assertions_complete text":    `{"state":"pending","assertions_complete":"no","control_flow":[{"type":"form","form_id":"account"}]}`,
		"escape without presentation": `{"state":"pending","assertions_complete":false,"control_flow":[{"type":"form","escapes":[{"id":"a","display_name":"A"}]}]}`,
		"schema is an object":         `{"state":"pending","assertions_complete":false,"control_flow":[{"type":"form","escapes":[{"id":"a","display_name":"A","presentation":"x","schema":{}}]}]}`,
		"control_flow empty":          `{"state":"pending","assertions_complete":false,"control_flow":[]}`,
	} {
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"error_code":0,"error_message":"","headers":[],"data":` + data + `}`))
		}))
		p, err := simulator.New(simulator.Options{Server: ts.URL, Client: "c", Email: "e", Now: noon, Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := errors.AsType[*simulator.ProtocolError](p.Register(t.Context())); !ok {
			t.Errorf("%s was accepted", name)
		}
		ts.Close()
	}
}
