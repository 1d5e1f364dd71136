package simulator_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
	"github.com/watchword-auth/watchword/internal/simulator/simulatortest"
)

// noon is the clock of the clients: it stands still.
func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

// keys are made once: an RSA key takes its time.
var keys = func() *simulator.Keys {
	k, err := simulator.NewKeys()
	if err != nil {
		panic(err)
	}
	return k
}()

func newBrowser(t *testing.T, s *simulatortest.Server) *simulator.Browser {
	t.Helper()
	b, err := simulator.NewBrowser(simulator.BrowserOptions{Server: s.URL + "/", Client: "demo-web", Key: keys.Device, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// must returns a function that fails the test on an error or another step than
// wanted.
func must(t *testing.T, want string) func(simulator.Response, error) simulator.Response {
	return func(r simulator.Response, err error) simulator.Response {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if r.Step != want {
			t.Fatalf("step %q, want %q (%+v)", r.Step, want, r)
		}
		return r
	}
}

func TestBrowserTour(t *testing.T) {
	s := simulatortest.New(t)
	b := newBrowser(t, s)
	ctx := t.Context()
	input := func(data map[string]any) (simulator.Response, error) {
		return b.Submit(ctx, simulator.ClientInput, data)
	}

	r := must(t, "ask_name")(b.Start(ctx, "tour", map[string]any{"from": "checkout"}))
	if app, _ := r.Data["app_data"].(map[string]any); app["hint"] != "short" || r.Data["assertion_id"] != nil || r.Data["state"] != nil {
		t.Errorf("data of the form: %v", r.Data)
	}
	// An update keeps the data and costs a form its id; control_flow keeps both.
	r = must(t, "form")(input(map[string]any{"name": "bare"}))
	if r.ErrorCode != "client_response_not_valid" || r.Data["app_data"] == nil || !r.Offers(simulator.ClientInput) {
		t.Errorf("update: %+v", r)
	}
	if r = must(t, "ask_name")(input(map[string]any{"name": "full"})); r.ErrorCode != "server_error" || r.ErrorText == "" {
		t.Errorf("retry: %+v", r)
	}
	if _, err := b.Submit(ctx, simulator.Resend, nil); err == nil {
		t.Error("a form was sent again")
	}
	r = must(t, "action:information")(input(map[string]any{"name": "ann"}))
	if r.Text("title") != "Hello" || r.ErrorCode != "" {
		t.Errorf("information: %+v", r)
	}
	r = must(t, "transmit_platform_email_otp_authentication")(input(nil))
	if r.Number("code_length") != 6 {
		t.Errorf("code: %+v", r)
	}
	if r = must(t, r.Step)(input(map[string]any{"passcode": "000000"})); r.ErrorCode != "invalid_credentials" {
		t.Errorf("wrong code: %+v", r)
	}
	must(t, r.Step)(b.Submit(ctx, simulator.Resend, nil))
	must(t, "transmit_platform_totp_registration")(input(map[string]any{"passcode": "123456"}))
	must(t, "action:wait_for_another_device")(input(map[string]any{"ignored": true}))
	// The third poll sees the change; device validation follows without the app.
	r = must(t, "action:success")(b.Wait(ctx))
	if r.Type != simulator.Success || r.Token == "" || s.Polls() != 3 || s.Resends() != 1 {
		t.Errorf("end: %+v after %d polls, %d resends", r, s.Polls(), s.Resends())
	}
	points, _ := r.Data["json_data"].(map[string]any)
	rest, _ := r.Data["data"].(map[string]any)
	if points["points"] != 3.0 || rest["more"] != 1.0 || rest["sdk_data"] != nil || b.Saved()["last_user"] != "ann" {
		t.Errorf("data of the end: %v, saved %v", r.Data, b.Saved())
	}
	if _, err := input(nil); !errors.Is(err, simulator.ErrNoJourney) {
		t.Errorf("an answer after the end: %v", err)
	}
}

func TestBrowserMeetsAnUnknownJourney(t *testing.T) {
	s := simulatortest.New(t)
	b := newBrowser(t, s)
	r := must(t, "action:rejection")(b.Start(t.Context(), "nonsense", nil))
	if r.Type != simulator.Rejection || r.Reason != "There is no such journey." || r.Status != 404 {
		t.Errorf("%+v", r)
	}
	_, err := b.Start(t.Context(), "not_json", nil)
	if _, ok := errors.AsType[*simulator.ProtocolError](err); !ok {
		t.Errorf("HTML was read: %v", err)
	}
}

func TestBrowserWithoutServer(t *testing.T) {
	for _, server := range []string{"", "example.org", "ftp://example.org", "http://"} {
		if _, err := simulator.NewBrowser(simulator.BrowserOptions{Server: server}); err == nil {
			t.Errorf("%q is a server", server)
		}
	}
}

func TestSignIn(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(context.Context, *simulator.Phone, string, string) error
		want   string
		state  string
	}{
		{"approved", func(ctx context.Context, p *simulator.Phone, id, number string) error {
			return p.Approve(ctx, id, number)
		}, "action:success", "approved"},
		{"denied", func(ctx context.Context, p *simulator.Phone, id, _ string) error { return p.Deny(ctx, id, false) }, "action:rejection", "denied"},
		{"not me", func(ctx context.Context, p *simulator.Phone, id, _ string) error { return p.Deny(ctx, id, true) }, "action:rejection", "not_me"},
		{"wrong number", func(ctx context.Context, p *simulator.Phone, id, _ string) error {
			err := p.Approve(ctx, id, "11")
			if refused, ok := errors.AsType[*simulator.Refusal](err); !ok || refused.Message != "That did not match." {
				return errors.New("the wrong number was taken")
			}
			return nil
		}, "action:rejection", "denied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := simulatortest.New(t)
			p := registered(t, s, "ada@example.org")
			b := newBrowser(t, s)
			ctx := t.Context()
			must(t, "login")(b.Start(ctx, "web_login", nil))
			r := must(t, "transmit_platform_mobile_approve_authentication")(b.Submit(ctx, "web_to_mobile", map[string]any{"email": "ada@example.org"}))
			done := make(chan error, 1)
			go func() { done <- answerNext(ctx, p, r.Text("number"), c.answer) }()
			must(t, c.want)(b.Wait(ctx))
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// answerNext waits for a request on the phone and answers it.
func answerNext(ctx context.Context, p *simulator.Phone, number string, answer func(context.Context, *simulator.Phone, string, string) error) error {
	list, err := p.Pending(ctx, 20*time.Second)
	if err != nil {
		return err
	}
	if len(list) != 1 {
		return errors.New("not one request is pending")
	}
	return answer(ctx, p, list[0].ID, number)
}

// approve is answerNext's yes.
var approve = func(ctx context.Context, p *simulator.Phone, id, number string) error {
	return p.Approve(ctx, id, number)
}

func TestWaitEndsWithItsContext(t *testing.T) {
	s := simulatortest.New(t)
	registered(t, s, "ada@example.org")
	b := newBrowser(t, s)
	must(t, "login")(b.Start(t.Context(), "web_login", nil))
	must(t, "transmit_platform_mobile_approve_authentication")(b.Submit(t.Context(), "web_to_mobile", map[string]any{"email": "ada@example.org"}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun, ended := time.Now(), make(chan error, 1)
	go func() { _, err := b.Wait(ctx); ended <- err }()
	for tick := time.Tick(time.Millisecond); s.Polls() < 4; {
		select {
		case <-tick:
		case err := <-ended:
			t.Fatalf("waiting ended by itself with %v", err)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("waiting ended with %v", err)
	}
	if n, took := s.Polls(), time.Since(begun); took < time.Duration(n-1)*20*time.Millisecond {
		t.Errorf("%d polls in %s at an interval of 20 ms", n, took)
	}
	must(t, "action:rejection")(b.Submit(t.Context(), simulator.Cancel, nil))
}
