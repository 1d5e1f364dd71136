package scenario

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/server"
	"github.com/watchword-auth/watchword/internal/simulator"
)

// patience is how long, in real time, a case waits for the server to say what it
// must say.
const patience = 5 * time.Second

// Result is how one case went.
type Result struct {
	File, Case string
	Line       int   // of the move that failed
	Err        error // nil: passed
	Took       time.Duration
}

// story is a case under way.
type story struct {
	*stage
	srv     *server.Server
	page    *simulator.Browser
	stirred bool // something happened elsewhere since the page last asked
	here    simulator.Response
}

// Run runs the cases of a file against a configuration (read from dir) whose names
// contain only, and hands each result to report. The error is of what is not a
// case: the configuration, or the people.
func Run(ctx context.Context, config server.Files, dir string, f File, only string, now func() time.Time, walked Walked, report func(Result)) error {
	s, err := prepare(ctx, config, dir, f)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	for i, c := range f.Cases {
		if !strings.Contains(strings.ToLower(c.Name), strings.ToLower(only)) {
			continue
		}
		begun := now()
		line, err := s.play(ctx, fmt.Sprintf("case%d.db", i), c, walked)
		report(Result{f.Name, c.Name, line, err, now().Sub(begun)})
	}
	return s.close()
}

// play runs one case on a copy of the stage and returns the line where it failed.
func (s *stage) play(ctx context.Context, name string, c Case, walked Walked) (line int, err error) {
	path := filepath.Join(s.dir, name)
	if err := copyFile(s.first(), path); err != nil {
		return c.Line, err
	}
	s.clock.set(begins)
	srv, err := s.open(ctx, path)
	if err != nil {
		return c.Line, err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	st := &story{stage: s, srv: srv}
	if err := st.start(ctx, c); err != nil {
		return c.Line, err
	}
	for _, m := range c.Moves {
		if err := st.move(ctx, m); err != nil {
			return m.Line, err
		}
	}
	return 0, walked.add(ctx, srv.Kit.DB, s.tenant)
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

func (s *story) start(ctx context.Context, c Case) (err error) {
	client := c.Client
	if client == "" {
		if client, err = s.webClient(ctx); err != nil {
			return err
		}
	}
	s.page, err = simulator.NewBrowser(simulator.BrowserOptions{Server: s.url, Client: client, Now: s.clock.Now})
	if err != nil {
		return err
	}
	s.here, err = s.page.Start(ctx, c.Start, c.Params)
	return err
}

// webClient is the only web client of the tenant.
func (s *story) webClient(ctx context.Context) (string, error) {
	list, err := apps.List(ctx, s.srv.Kit.DB, s.tenant)
	if err != nil {
		return "", err
	}
	var found []string
	for _, a := range list {
		clients, err := apps.Clients(ctx, s.srv.Kit.DB, a.ID)
		if err != nil {
			return "", err
		}
		for _, c := range clients {
			if c.Kind == apps.Web {
				found = append(found, string(c.ID))
			}
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("there are %d web clients: say which with client", len(found))
	}
	return found[0], nil
}

func (s *story) move(ctx context.Context, m Move) error {
	ctx, cancel := context.WithTimeout(ctx, 6*patience)
	defer cancel()
	switch {
	case m.Sees != "":
		return s.sees(ctx, m)
	case m.Gives != nil:
		return s.submit(ctx, simulator.ClientInput, m.Gives, m)
	case m.Takes != "":
		if m.Takes != simulator.Resend && !s.here.Offers(m.Takes) {
			return fmt.Errorf("the page offers no %q, but %s", m.Takes, strings.Join(offered(s.here), ", "))
		}
		return s.submit(ctx, m.Takes, m.With, m)
	case m.Phone != "":
		return s.phones(ctx, m)
	case m.Later != 0:
		s.clock.pass(time.Duration(m.Later))
		s.stirred = true
		return deliver(ctx, s.srv)
	}
	return s.ends(ctx, m)
}

func offered(r simulator.Response) []string {
	var out []string
	for id := range r.Options {
		if id != simulator.ClientInput {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// step is where the page stands, as a file says it.
func step(r simulator.Response) string { return strings.TrimPrefix(r.Step, "transmit_platform_") }

// look lets the page hear what happened elsewhere, until done says that it stands
// where it should, or nothing comes any more.
func (s *story) look(ctx context.Context, done func() bool) error {
	if !s.stirred || done() {
		return nil
	}
	s.stirred = false
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := s.page.Wait(ctx)
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		s.here = s.page.Last()
		return nil
	}
	s.here = r
	return err
}

func (s *story) sees(ctx context.Context, m Move) error {
	want := strings.TrimPrefix(m.Sees, "transmit_platform_")
	if err := s.look(ctx, func() bool { return step(s.here) == want }); err != nil {
		return err
	}
	if step(s.here) != want {
		return fmt.Errorf("the page sees %s", where(s.here))
	}
	return partOf("the step", m.Shows, s.here.Data)
}

// where says where a page stands, for whoever reads why a case failed.
func where(r simulator.Response) string {
	switch {
	case r.Type == simulator.Success:
		return "the end: success"
	case r.Type == simulator.Rejection && r.Reason != "":
		return "the end: rejection, " + r.Reason
	case r.Type == simulator.Rejection:
		return "the end: rejection"
	case r.ErrorCode != "":
		return fmt.Sprintf("%s, and is told %s: %s", step(r), r.ErrorCode, r.ErrorText)
	}
	return step(r)
}

func (s *story) submit(ctx context.Context, option string, data map[string]any, m Move) error {
	filled, err := s.fill(ctx, data, m.Who)
	if err != nil {
		return err
	}
	in, _ := filled.(map[string]any)
	s.here, err = s.page.Submit(ctx, option, in)
	if err != nil {
		return err
	}
	s.stirred = false
	if err := deliver(ctx, s.srv); err != nil {
		return err
	}
	return refusal(m.Refused, s.here.ErrorCode, s.here.ErrorText)
}

// refusal compares what was refused with what should have been.
func refusal(want, code, text string) error {
	switch {
	case want == "" && code != "":
		return fmt.Errorf("it was refused: %s: %s", code, text)
	case want != "" && code == "":
		return errors.New("it was not refused")
	case want != "" && want != "*" && want != code && !strings.Contains(text, want):
		return fmt.Errorf("it was refused, but so: %s: %s", code, text)
	}
	return nil
}

// fill puts in what a person would look up: $mail and $sms, the code in the newest
// message to them, $totp, what their app shows now, and $password.
func (s *story) fill(ctx context.Context, v any, who string) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if v == nil {
			return v, nil
		}
		out := map[string]any{}
		for name, inner := range v {
			var err error
			if out[name], err = s.fill(ctx, inner, who); err != nil {
				return nil, err
			}
		}
		return out, nil
	case string:
		if strings.HasPrefix(v, "$") {
			return s.lookUp(ctx, v[1:], who)
		}
	}
	return v, nil
}

func (s *story) lookUp(ctx context.Context, what, who string) (string, error) {
	p, err := s.someone(who)
	if err != nil {
		return "", err
	}
	switch {
	case what == "mail":
		return newest(ctx, s.srv, "mail", p.Email)
	case what == "sms":
		return newest(ctx, s.srv, "sms", p.Number)
	case what == "totp" && p.TOTP:
		return p.token.Code(s.clock.Now())
	case what == "password" && p.Password != "":
		return p.Password, nil
	}
	return "", fmt.Errorf("$%s: nobody can look that up; there are $mail, $sms, $totp (with totp: true) and $password", what)
}

// someone is the person of a name, or the only one.
func (s *story) someone(name string) (*person, error) {
	if name != "" {
		return s.people[name], nil // that there is one was checked when the file was read
	}
	if len(s.people) != 1 {
		return nil, errors.New("there are several people: say who")
	}
	for _, p := range s.people {
		return p, nil
	}
	return nil, nil
}

func (s *story) phones(ctx context.Context, m Move) error {
	p, err := s.someone(m.Who)
	if err != nil {
		return err
	}
	if p.phone == nil {
		return errors.New("they have no phone: give them one under people")
	}
	list, err := p.phone.Pending(ctx, 0)
	if err != nil {
		return err
	}
	if m.Phone == "nothing" {
		if len(list) > 0 {
			return fmt.Errorf("%d requests wait on the phone", len(list))
		}
		return nil
	}
	if len(list) == 0 {
		return errors.New("nothing waits on the phone")
	}
	s.stirred = true
	if m.Phone == "approve" {
		err = p.phone.Approve(ctx, list[0].ID, s.typed(m.Number))
	} else {
		err = p.phone.Deny(ctx, list[0].ID, m.Phone == "not_me")
	}
	if no, refused := errors.AsType[*simulator.Refusal](err); refused {
		return refusal(m.Refused, cmpOr(no.Code, "refused"), no.Message)
	}
	if err != nil {
		return err
	}
	return refusal(m.Refused, "", "")
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// typed is the number that is entered on the phone.
func (s *story) typed(number string) string {
	shown := s.page.Last().Text("number")
	switch number {
	case "", "right":
		return shown
	case "wrong":
		if shown == "11" {
			return "12"
		}
		return "11"
	}
	return number
}

func (s *story) ends(ctx context.Context, m Move) error {
	over := func() bool { return s.here.Type == simulator.Success || s.here.Type == simulator.Rejection }
	if err := s.look(ctx, over); err != nil {
		return err
	}
	got := "rejection"
	if s.here.Type == simulator.Success {
		got = "success"
	}
	if !over() || got != m.Ends {
		return fmt.Errorf("the page sees %s", where(s.here))
	}
	if m.Reason != "" && !strings.Contains(s.here.Reason, m.Reason) {
		return fmt.Errorf("the reason is %q", s.here.Reason)
	}
	if m.As == "" && m.Claims == nil {
		return nil
	}
	claims, err := payload(s.here.Token)
	if err != nil {
		return err
	}
	if m.As != "" && claims["sub"] != string(s.people[m.As].id) {
		return fmt.Errorf("it is not %s who is signed in", m.As)
	}
	return partOf("the token", m.Claims, claims)
}

// payload reads what a token says; that it verifies is the business of others.
func payload(token string) (map[string]any, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("there is no token")
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	var claims map[string]any
	return claims, json.Unmarshal(b, &claims)
}

// partOf reports the first of want that have does not say.
func partOf(what string, want, have map[string]any) error {
	for name, w := range want {
		got, there := have[name]
		if !there || w != "*" && !same(w, got) {
			return fmt.Errorf("%s says %s: %s", what, name, db.Text(got))
		}
	}
	return nil
}

// same compares as JSON does: a file's 3 is a token's 3.0.
func same(a, b any) bool {
	var x, y any
	if json.Unmarshal([]byte(db.Text(a)), &x) != nil || json.Unmarshal([]byte(db.Text(b)), &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

// Print writes a result in a line.
func (r Result) Print(w io.Writer) {
	if r.Err == nil {
		fmt.Fprintf(w, "ok    %s: %s (%d ms)\n", r.File, r.Case, r.Took.Milliseconds())
		return
	}
	fmt.Fprintf(w, "FAIL  %s: %s\n      line %d: %s\n", r.File, r.Case, r.Line, strings.ReplaceAll(r.Err.Error(), "\n", "; "))
}
