package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// PhoneCmd is a phone on the command line, for tests, demos and scripts. It
// speaks the mobile SDK's side of a protocol to a server and keeps its keys in a
// state file, which may hold a phone of each. A subcommand ends with status 0 only
// when the server accepted.
type PhoneCmd struct {
	Register phoneRegister `cmd:"" help:"Make keys and register this phone for a user."`
	Pending  phonePending  `cmd:"" help:"List the requests that wait on this phone."`
	Approve  phoneApprove  `cmd:"" help:"Approve a request."`
	Deny     phoneDeny     `cmd:"" help:"Deny a request."`
	TOTP     phoneTOTP     `cmd:"" name:"totp" help:"An authenticator app: one-time codes."`
}

// phoneFlags are what every subcommand takes.
type phoneFlags struct {
	Protocol string `help:"What the phone speaks: mosaic, or cidaas, whose phones have no key. Once registered: what the state file has." enum:"mosaic,cidaas," default:"" placeholder:"NAME"`

	Server string `help:"URL of the server. Once registered: the one in the state file." placeholder:"URL"`
	Client string `help:"Client id of the app. Once registered: the one in the state file." placeholder:"ID"`
	Email  string `help:"E-mail address of the user. Once registered: the one in the state file." placeholder:"ADDRESS"`
	State  string `help:"File that holds the phone, private keys included." default:"watchword-phone.json" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

var errNothingPending = errors.New("nothing is pending")

func (f phoneFlags) options() simulator.Options {
	return simulator.Options{Server: f.Server, Client: f.Client, Email: f.Email, Now: time.Now}
}

// phone is a registered phone of either protocol.
type phone interface {
	Pending(ctx context.Context, wait time.Duration) ([]simulator.Request, error)
	Approve(ctx context.Context, id, number string) error
	Deny(ctx context.Context, id string, notMe bool) error
}

// cidaas reports whether the phone speaks that protocol.
func (f phoneFlags) cidaas() bool {
	return f.Protocol == "cidaas" || f.Protocol == "" && simulator.HasCidaas(f.State)
}

// load returns the registered phone.
func (f phoneFlags) load() (phone, error) {
	var p phone
	var err error
	if f.cidaas() {
		p, err = simulator.LoadCidaasPhone(f.State, f.options())
	} else {
		p, err = simulator.Load(f.State, f.options())
	}
	if errors.Is(err, simulator.ErrNoPhone) {
		return nil, fmt.Errorf("%w: run \"phone register\" first", err)
	}
	return p, err
}

// print writes v as JSON, or else the line for people.
func (f phoneFlags) print(v any, format string, args ...any) error {
	if !f.JSON {
		_, err := fmt.Printf(format+"\n", args...)
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(v)
}

type phoneRegister struct {
	phoneFlags
	Device string `help:"Name of the device." placeholder:"NAME"`
	QR     string `name:"qr" help:"cidaas: what the code that the page shows says." placeholder:"JSON"`
	Number string `help:"cidaas: the number that the page shows beside it." placeholder:"NN"`
	Token  string `help:"cidaas: an access token of the user, to enrol without a page. Without it, the user is signed in by a mailed code, on a development server." placeholder:"TOKEN"`
}

// Run registers the phone of the state file, or a new one. A phone that the
// server knows already is left as it is.
func (c *phoneRegister) Run(ctx context.Context) error {
	if c.cidaas() {
		return c.enrol(ctx)
	}
	p, known, err := c.phone(ctx)
	if err != nil {
		return err
	}
	if !known {
		err = p.Register(ctx)
	}
	if err != nil {
		return err
	}
	if err := p.Save(c.State); err != nil {
		return err
	}
	s, err := p.State()
	if err != nil {
		return err
	}
	return c.print(map[string]any{
		"server": s.Server, "client_id": s.Client, "email": s.Email, "device_name": s.DeviceName, "device_id": s.DeviceID, "device_key_id": s.DeviceKeyID, "state": c.State,
	}, "Registered %q for %s.", s.DeviceName, s.Email)
}

// phone returns the phone and whether the server knows it.
func (c *phoneRegister) phone(ctx context.Context) (p *simulator.Phone, known bool, err error) {
	o := c.options()
	o.DeviceName = c.Device
	o.Notice = func(_, number string) {
		if number == "" {
			fmt.Fprintln(os.Stderr, "Approve on your other phone.")
			return
		}
		fmt.Fprintf(os.Stderr, "Approve on your other phone, number %s\n", number)
	}
	p, err = simulator.Load(c.State, o)
	if err == nil {
		known, err = p.Known(ctx)
	}
	if !errors.Is(err, simulator.ErrNoPhone) {
		return p, known, err
	}
	if o.Server == "" || o.Client == "" || o.Email == "" {
		return nil, false, errors.New("a new phone needs --server, --client and --email")
	}
	p, err = simulator.New(o)
	return p, false, err
}

type phonePending struct {
	phoneFlags
	Wait int `help:"Wait up to this many seconds for a request." default:"0" placeholder:"SECONDS"`
}

// Run lists what waits; nothing is an error.
func (c *phonePending) Run(ctx context.Context) error {
	p, err := c.load()
	if err != nil {
		return err
	}
	list, err := p.Pending(ctx, time.Duration(c.Wait)*time.Second)
	if err != nil {
		return err
	}
	if c.JSON {
		if err := json.NewEncoder(os.Stdout).Encode(pendingJSON(list)); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return errNothingPending
	}
	for _, r := range list {
		if !c.JSON {
			fmt.Println(describe(r))
		}
	}
	return nil
}

// pendingJSON is the documented shape of a request, and no more.
func pendingJSON(list []simulator.Request) []map[string]any {
	out := make([]map[string]any, len(list))
	for i, r := range list {
		out[i] = map[string]any{
			"id": r.ID, "app": r.App, "client": r.Client, "place": r.Place, "browser": r.Browser, "at": r.At, "number_mode": r.NumberMode, "approval_data": r.ApprovalData,
		}
	}
	return out
}

// describe says who asks, in one line.
func describe(r simulator.Request) string {
	line := fmt.Sprintf("%s  %s", r.ID, r.App)
	for _, s := range []string{r.Client, r.Browser, r.Place} {
		if s != "" && s != r.App {
			line += ", " + s
		}
	}
	if r.Purpose == "enrolment" {
		line += ", to add something to the account"
	}
	line += ", " + r.At.Local().Format("15:04:05")
	if r.NumberMode != "" && r.NumberMode != "off" {
		line += "  (needs the number from the browser)"
	}
	return line
}

// pick returns the request named id, or the newest one; errNothingPending if
// there is none. What is not in the list is left to the server to refuse.
func pick(ctx context.Context, p phone, id string, wait int) (simulator.Request, error) {
	if id != "" {
		wait = 0
	}
	list, err := p.Pending(ctx, time.Duration(wait)*time.Second)
	if err != nil {
		return simulator.Request{}, err
	}
	newest := simulator.Request{ID: id}
	for _, r := range list {
		if r.ID == id {
			return r, nil
		}
		if id == "" && (newest.ID == "" || r.At.After(newest.At)) {
			newest = r
		}
	}
	if newest.ID == "" {
		return newest, errNothingPending
	}
	return newest, nil
}

type phoneApprove struct {
	phoneFlags
	Number string `help:"The number that the browser shows. A wrong one is sent, too." placeholder:"NN"`
	ID     string `help:"The request; the newest one if not given." placeholder:"ID"`
	Wait   int    `help:"Wait up to this many seconds for a request." default:"0" placeholder:"SECONDS"`
}

// Run approves one request.
func (c *phoneApprove) Run(ctx context.Context) error {
	return c.decide(ctx, "approved", c.ID, c.Wait, func(ctx context.Context, p phone, r simulator.Request) error {
		if c.Number == "" && r.NumberMode != "" && r.NumberMode != "off" {
			return errors.New("the browser shows a number: give it with --number")
		}
		return p.Approve(ctx, r.ID, c.Number)
	}, "Approved.")
}

type phoneDeny struct {
	phoneFlags
	NotMe bool   `help:"Say that somebody else asked."`
	ID    string `help:"The request; the newest one if not given." placeholder:"ID"`
}

// Run denies one request.
func (c *phoneDeny) Run(ctx context.Context) error {
	decision := "denied"
	if c.NotMe {
		decision = "not_me"
	}
	return c.decide(ctx, decision, c.ID, 0, func(ctx context.Context, p phone, r simulator.Request) error {
		return p.Deny(ctx, r.ID, c.NotMe)
	}, "Denied.")
}

// decide answers one request and prints what became of it; what the server
// refused is printed as JSON too, and is still an error.
func (f phoneFlags) decide(ctx context.Context, decision, id string, wait int, answer func(context.Context, phone, simulator.Request) error, line string) error {
	p, err := f.load()
	if err != nil {
		return err
	}
	r, err := pick(ctx, p, id, wait)
	if err != nil {
		return err
	}
	err = answer(ctx, p, r)
	out := map[string]any{"id": r.ID, "decision": decision, "accepted": err == nil}
	if err == nil {
		return f.print(out, "%s", line)
	}
	if f.JSON {
		out["message"] = err.Error()
		return errors.Join(err, json.NewEncoder(os.Stdout).Encode(out))
	}
	return err
}
