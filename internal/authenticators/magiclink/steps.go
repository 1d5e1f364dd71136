package magiclink

import (
	"cmp"
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[config]{
		Kind: "magiclink.authenticate", Title: "Link by mail", Category: "Authenticate",
		Asks:  []string{"magiclink.wait"},
		Words: []string{"email link", "magic link", "mail"},
		Doc:   "Mails a link and waits. The browser that presses the button behind it comes back with a code; or, if the application lets links be opened anywhere, the button asks for the number that the waiting page shows. Somebody unknown is asked in the same way and never right.",
		Config: form.New(
			form.Text("user", "User", form.Help("Empty: whom the journey is about.")),
			form.Text("redirect_uri", "Page that runs this journey", form.MaxLen(2048), form.Help("One of the client's redirect addresses; the browser comes back there with magic_link_code, for the page to submit. Empty: the server's own page, or a number.")),
			form.Text("language", "Language", form.MaxLen(16))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure, journey.Cancel, "expired"},
		Role:     journey.Proves,
		Run:      run,
		Ready:    decided,
	})
}

type config struct {
	User     string `json:"user"`
	Redirect string `json:"redirect_uri"`
	Language string `json:"language"`
}

// codeField is what a browser comes back with.
const codeField = "magic_link_code"

// memo is what the step remembers while it waits.
type memo struct {
	Link   authn.ChallengeID `json:"link,omitempty"` // empty: nobody's
	Number string            `json:"number,omitempty"`
	Until  time.Time         `json:"until"`
	Told   *journey.Sent     `json:"told,omitempty"`
}

func run(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
	var m memo
	begun, err := x.Memo(&m)
	if err != nil {
		return journey.Next{}, err
	}
	switch {
	case !begun:
		return begin(ctx, x, c)
	case x.Answer != nil && x.Answer.Option == "cancel":
		return journey.Go(journey.Cancel), nil
	case x.Answer != nil && x.Answer.Option == "resend":
		return begin(ctx, x, c)
	}
	if code := answered(x); code != "" {
		return judge(ctx, x, m, code)
	}
	return wait(ctx, x, m)
}

func answered(x *journey.Exec) string {
	if x.Answer == nil {
		return ""
	}
	s, _ := x.Answer.Data[codeField].(string)
	return s
}

// begin sends a link, or only seems to.
func begin(ctx context.Context, x *journey.Exec, c config) (journey.Next, error) {
	var set settings
	if err := authn.Settings(ctx, x.Q, x.App(), Kind, &set); err != nil {
		return journey.Judge(x, err)
	}
	app := apps.App{ID: x.App(), Tenant: x.Tenant(), Name: x.AppName()}
	n := Note{App: app, Base: x.URL, Language: c.Language, Member: codeField}
	var err error
	if n.Return, err = returns(ctx, x, c, set); err != nil {
		return journey.Next{}, err
	}
	u, err := x.User(ctx, c.User)
	if err == nil {
		if n.To, err = address(ctx, x.Q, u.ID); err == nil {
			err = directory.MaySignIn(ctx, x.Q, x.Tenant(), u.ID)
		}
	}
	if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Denied) {
		return journey.Next{}, err
	}
	m := memo{Until: x.Now().Add(time.Duration(set.Minutes) * time.Minute), Told: x.SentTo(directory.Email, u.ID, n.To, c.User)}
	if err != nil {
		err = Nobody(ctx, x.Tx, authn.Subject{Kind: Kind, Tenant: x.Tenant(), App: x.App()}, cmp.Or(c.User, string(x.Run())), n)
		if n.Return == "" {
			m.Number = decoy(x)
		}
	} else {
		var s Sent
		s, err = Send(ctx, x.Tx, authn.Subject{Kind: Kind, Tenant: x.Tenant(), App: x.App(), User: u.ID}, n, false)
		m.Link, m.Number, m.Until = s.Challenge.ID, s.Challenge.Data.Number, s.Challenge.Expires
	}
	if err != nil {
		return again(x, err)
	}
	return ask(m), nil
}

// again keeps a page that wants too many links waiting for the last one.
func again(x *journey.Exec, err error) (journey.Next, error) {
	var m memo
	if begun, bad := x.Memo(&m); bad != nil || !begun || !fault.Is(err, fault.Limited) {
		return journey.Judge(x, err)
	}
	return ask(m).Because(err), nil
}

// returns is where the browser goes with its code; empty: the number counts.
func returns(ctx context.Context, x *journey.Exec, c config, set settings) (string, error) {
	if !set.SameBrowser {
		return "", nil
	}
	if c.Redirect == "" {
		if x.Started().Hosted {
			return x.URL + "/login/run/" + string(x.Run()), nil
		}
		return "", nil
	}
	ok, err := apps.MayRedirect(ctx, x.Q, x.App(), c.Redirect)
	if err == nil && !ok {
		x.Log.WarnContext(ctx, "magiclink.authenticate: no client may be sent to its redirect_uri", "journey", x.Journey())
		err = fault.New(fault.Internal, "redirect_uri is not registered")
	}
	return c.Redirect, err
}

// decoy is the number that a page for nobody shows.
func decoy(x *journey.Exec) string {
	h := x.Q.Vault().Hash("magic link decoy", x.Once())
	n := 0
	for _, c := range h {
		n = (n*31 + int(c)) % 90
	}
	return string([]byte{byte('1' + n/10), byte('0' + n%10)})
}

func ask(m memo) journey.Next {
	p := journey.Prompt{
		Kind: "magiclink.wait", Title: "Check your mail", Text: "We have sent you a link. Open it in this browser.", Resend: true, Poll: true, Until: m.Until, Sent: m.Told,
		Options: []journey.Option{{ID: "cancel", Label: "Cancel"}}, Fields: form.New(form.Text(codeField, "Code", form.MaxLen(128))),
		Data: map[string]any{"expires_at": m.Until.UnixMilli()},
	}
	if m.Number != "" {
		p.Data["number"], p.Text = m.Number, "We have sent you a link. It asks for this number."
		p.Fields = nil
	}
	if m.Link != "" {
		p.Watch = []string{m.Link.Topic()}
	}
	return journey.Ask(p, m)
}

// judge hands a code in. It must be of the link that this run had sent.
func judge(ctx context.Context, x *journey.Exec, m memo, code string) (journey.Next, error) {
	err := error(authn.Wrong)
	if m.Link != "" && len(code) > len(m.Link) && code[:len(m.Link)] == string(m.Link) {
		_, err = Exchange(ctx, x.Tx, apps.App{ID: x.App(), Tenant: x.Tenant()}, code, "")
	}
	if err == nil {
		return journey.Judge(x, x.Redeem(ctx, m.Link))
	}
	if fault.Is(err, fault.Wrong) {
		return ask(m).Because(err), nil
	}
	return journey.Judge(x, err)
}

func wait(ctx context.Context, x *journey.Exec, m memo) (journey.Next, error) {
	state, err := stateOf(ctx, x, m)
	switch {
	case err != nil:
		return journey.Next{}, err
	case state == authn.Approved:
		return journey.Judge(x, x.Redeem(ctx, m.Link))
	case state.Open():
		return ask(m), nil
	case state == authn.Expired:
		x.FailAs("expired", "The link was not opened in time.")
		return journey.Go("expired"), nil
	}
	x.FailAs("denied", "The link was not confirmed.")
	return journey.Go(journey.Failure), nil
}

// stateOf is where the link stands; that of nobody only runs out.
func stateOf(ctx context.Context, x *journey.Exec, m memo) (authn.State, error) {
	if m.Link != "" {
		return authn.StateOf(ctx, x.Q, m.Link)
	}
	if x.Now().Before(m.Until) {
		return authn.Created, nil
	}
	return authn.Expired, nil
}

func decided(ctx context.Context, x *journey.Exec, _ config) (bool, error) {
	var m memo
	if _, err := x.Memo(&m); err != nil {
		return true, err
	}
	state, err := stateOf(ctx, x, m)
	return !state.Open(), err
}
