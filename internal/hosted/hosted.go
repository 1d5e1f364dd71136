// Package hosted is the door for people without an SDK: pages that run any
// client journey in a browser, and work without JavaScript. It draws what a
// prompt describes, posts back what was typed, and decides nothing.
//
// A run is bound to the browser that started it by a cookie that holds the run's
// session, sealed (security P7): no page and no address ever shows it.
package hosted

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/kit"
	"github.com/watchword-auth/watchword/internal/refusal"
	"github.com/watchword-auth/watchword/internal/web"
)

// Door is what the pages need.
type Door struct {
	Kit     *kit.Kit
	Engine  *journey.Engine
	Trusted []netip.Prefix // proxies whose X-Forwarded-For counts
	Token   func(ctx context.Context, end journey.End) (string, error)
	// Back answers a browser whose run has ended and that came for something else
	// (Return.Handle). It answers with an address of the client's, or a page.
	Back    func(w http.ResponseWriter, r *http.Request, handle string) error
	Account Sessions
	Refused *refusal.Book // keeps what clients did wrong
}

// Return is what a browser came for before it was to sign in.
type Return struct {
	Handle string // of what waits for the run; nobody but this browser has it
	Leads  string // the origin to which it will lead
	Done   string // what the last page says of a good end, if it leads nowhere
	Home   string // instead: a page of ours, for which a session is opened
}

// Routes adds the pages.
//
//	GET  /login/{client}/{journey}   start a journey; ?ui_locales says in which language
//	GET  /login/run/{run}            where it stands; ?wait holds the answer until something is new
//	POST /login/run/{run}            an answer
func Routes(mux *http.ServeMux, d Door) {
	guard := http.NewCrossOriginProtection()
	mux.HandleFunc("GET /login/{client}/{journey}", d.page(d.start))
	mux.HandleFunc("GET /login/run/{run}", d.page(d.show))
	mux.Handle("POST /login/run/{run}", guard.Handler(d.page(d.answer)))
	accountRoutes(mux, d, guard)
	passkeyRoutes(mux, d, guard)
	mux.HandleFunc("GET "+brandPath+"{file}", d.styled)
	mux.HandleFunc("GET "+brandPath+"{file}/{which}", d.logo)
}

// page renders what went wrong, and nothing else.
func (d Door) page(fn func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := fn(w, r)
		if err == nil {
			return
		}
		f := web.Report(r, err)
		v := view{App: "Watchword", Ended: "no"}
		t, err := d.held(r)
		if err == nil {
			v.App, v.AppID, v.Again = t.App, t.Of, t.Again
		}
		v.Lang = d.offered(r, v.AppID).spoken(r, t.Locales)
		v.Title, v.Text = v.Lang.T("This did not work"), v.Lang.T(f.Message)
		if f.Code == fault.Internal {
			v.Text = v.Lang.T("Something is broken on our side. Try again in a moment.")
		}
		d.render(w, r, web.Status(f.Code), v)
	}
}

func (d Door) caller(r *http.Request) journey.Caller {
	return journey.Caller{Address: web.Address(r, d.Trusted).String(), UserAgent: r.UserAgent(), Hosted: true}
}

// start begins a run and sends the browser to its page.
func (d Door) start(w http.ResponseWriter, r *http.Request) error {
	client, app, err := apps.FindClient(r.Context(), d.Kit.DB, apps.ClientID(r.PathValue("client")))
	if err == nil && client.Kind != apps.Web {
		err = fault.New(fault.NotFound, "no such client")
	}
	if err != nil {
		d.missed(r, err)
		return notHere(err)
	}
	s := journey.StartRequest{App: app, Client: client, Journey: r.PathValue("journey"), Kind: journey.KindClient}
	s.Caller.Locale = r.URL.Query().Get("ui_locales")
	err = d.Begin(w, r, s, Return{})
	d.missed(r, err)
	return err
}

// missed has an address that leads to no sign-in page stand in the record.
func (d Door) missed(r *http.Request, err error) {
	if fault.Is(err, fault.NotFound) {
		d.Refused.Keep(r.Context(), refusal.Call{Client: r.PathValue("client"), Reason: refusal.Journey, Asked: r.PathValue("journey"), Said: fault.Of(err).Message, Address: web.Address(r, d.Trusted).String(), Agent: r.UserAgent()})
	}
}

// Begin starts a run on these pages and sends the browser to them. When it has
// ended, the browser goes on to what it came for. s.Caller.Locale are the languages
// that the relying party asked for, if any.
func (d Door) Begin(w http.ResponseWriter, r *http.Request, s journey.StartRequest, back Return) error {
	locales := s.Caller.Locale
	if s.Caller = d.caller(r); locales != "" {
		s.Caller.Locale = locales // the client asked for it
	} else {
		s.Caller.Locale = string(d.offered(r, s.App.ID).spoken(r, ""))
	}
	s.Caller.Device = d.known(r, s.App.ID)
	reply, err := d.Engine.Start(r.Context(), s)
	if err != nil {
		return notHere(err)
	}
	again := r.URL.Path
	if back.Handle != "" {
		again = ""
	} else if back.Home != "" {
		again = back.Home
	}
	d.keep(w, string(reply.Run), ticket{Session: reply.Session, Client: s.Client.ID, Of: s.App.ID, App: s.App.Name, Again: again, Salt: rand.Text(), Locales: locales, Handle: back.Handle, Leads: back.Leads, Done: back.Done, Home: back.Home})
	http.Redirect(w, r, "/login/run/"+string(reply.Run), http.StatusSeeOther)
	return nil
}

func notHere(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "There is no such sign-in page. Check the address.")
	}
	return err
}

// ticket is what the cookie of a run holds.
type ticket struct {
	Session string        `json:"s"`
	Client  apps.ClientID `json:"c"`
	Of      apps.ID       `json:"o"`
	App     string        `json:"a"`
	Again   string        `json:"g"` // where to start anew
	Salt    string        `json:"n"`
	Locales string        `json:"u,omitempty"` // that the relying party asked for
	Handle  string        `json:"h,omitempty"`
	Leads   string        `json:"l,omitempty"`
	Done    string        `json:"d,omitempty"`
	Home    string        `json:"m,omitempty"`
}

// cookie is the name of a run's cookie. Over https it is bound to this host and
// path "/" by its prefix.
func (d Door) cookie(run string) string {
	if d.secure() {
		return "__Host-ww-" + run
	}
	return "ww-" + run
}

func (d Door) keep(w http.ResponseWriter, run string, t ticket) {
	sealed := d.Kit.DB.Vault().Seal("hosted/"+run, encode(t))
	http.SetCookie(w, &http.Cookie{Name: d.cookie(run), Value: base64.RawURLEncoding.EncodeToString(sealed), Path: "/", MaxAge: int(journey.Life / time.Second),
		HttpOnly: true, Secure: d.secure(), SameSite: http.SameSiteLaxMode})
}

// held is the ticket of the run in the address, if this browser has it.
func (d Door) held(r *http.Request) (ticket, error) {
	run := r.PathValue("run")
	c, err := r.Cookie(d.cookie(run))
	if err != nil {
		return ticket{}, journey.Ended
	}
	sealed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return ticket{}, journey.Ended
	}
	b, err := d.Kit.DB.Vault().Open("hosted/"+run, sealed)
	if err != nil {
		return ticket{}, journey.Ended
	}
	return decode(b)
}

// show draws where the run stands. With ?wait it answers a page's script, as
// soon as there is something else to draw.
func (d Door) show(w http.ResponseWriter, r *http.Request) error {
	t, err := d.held(r)
	if err != nil {
		return err
	}
	caller := d.caller(r)
	caller.Client = t.Client
	before, err := d.Engine.Current(r.Context(), t.Session, caller)
	if err != nil {
		return err
	}
	if done, err := d.cameBack(w, r, t, caller, before); done || err != nil {
		return err
	}
	now := before
	if before.End == nil && before.Prompt != nil && before.Prompt.Poll {
		if now, err = d.poll(r, t, caller, before); err != nil {
			return err
		}
	}
	if now.End != nil && t.Handle != "" && !r.URL.Query().Has("wait") {
		return d.Back(w, r, t.Handle)
	}
	if now.End != nil && now.End.OK && len(now.End.Proofs) > 0 && t.Home != "" && !r.URL.Query().Has("wait") {
		return d.enter(w, r, t, *now.End)
	}
	if r.URL.Query().Has("wait") {
		web.Write(w, http.StatusOK, map[string]any{"new": now.Visit != before.Visit || now.Turn != before.Turn || now.End != nil}, 0)
		return nil
	}
	return d.draw(w, r, t, now)
}

// cameBack hands in the code with which a browser comes back from a mailed link:
// what the prompt asks for stands in the address, which then loses it.
func (d Door) cameBack(w http.ResponseWriter, r *http.Request, t ticket, caller journey.Caller, at journey.Reply) (bool, error) {
	code := r.URL.Query().Get(linkCode)
	if code == "" || at.Prompt == nil || at.Prompt.Kind != "magiclink.wait" {
		return false, nil
	}
	reply, err := d.Engine.Answer(r.Context(), journey.Answer{Session: t.Session, Visit: at.Visit, Turn: at.Turn, Data: map[string]any{linkCode: code}, Caller: caller})
	if err != nil {
		return true, err
	}
	if reply.Problem != nil {
		return true, d.draw(w, r, t, reply)
	}
	http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
	return true, nil
}

// linkCode is the field of a prompt that a mailed link fills.
const linkCode = "magic_link_code"

// Page draws a page of a method's own, or of the provider's.
func (d Door) Page(w http.ResponseWriter, r *http.Request, status int, p backend.Page) {
	l := d.offered(r, p.AppID).spoken(r, p.Locales)
	v := view{Lang: l, AppID: p.AppID, App: p.App, Title: l.T(p.Title), Text: l.T(p.Text), More: l.T(p.More), Problem: l.T(p.Problem), Ended: p.Verdict, Next: p.Next, Button: l.T(p.Button), Post: p.Post, Leads: p.Leads}
	for _, each := range p.Rows {
		v.Rows = append(v.Rows, row{each[0], each[1]})
	}
	if p.Button != "" && p.Next == "" {
		v.Forms = []formView{{Button: v.Button, Primary: true, Inputs: v.inputs(nil, "", p.Fields)}}
		if len(v.Forms[0].Inputs) > 0 {
			v.begin(&v.Forms[0].Inputs[0])
		}
		if p.Problem != "" {
			v.Forms[0].blame(fault.New(fault.Invalid, "%s", p.Problem))
		}
	}
	if p.Refuse != "" {
		v.Quiet = []formView{{Option: "refuse", Button: l.T(p.Refuse)}}
	}
	d.render(w, r, status, v)
}

// poll asks a run that waits whether there is news: held for a script, for a
// moment otherwise.
func (d Door) poll(r *http.Request, t ticket, caller journey.Caller, at journey.Reply) (journey.Reply, error) {
	ctx, cancel := context.WithTimeout(r.Context(), 250*time.Millisecond)
	defer cancel()
	if r.URL.Query().Has("wait") {
		ctx = r.Context()
	}
	reply, err := d.Engine.Answer(ctx, journey.Answer{Session: t.Session, Visit: at.Visit, Turn: at.Turn, Caller: caller})
	if err != nil && ctx.Err() != nil && r.Context().Err() == nil {
		return at, nil // nothing new within the moment
	}
	return reply, err
}

// answer posts what was typed. What was refused is drawn at once, with what was
// typed; anything else by a redirect, so that going back repeats nothing. What
// answers a page that was left meanwhile changes nothing: the browser is shown
// where the run stands.
func (d Door) answer(w http.ResponseWriter, r *http.Request) error {
	t, err := d.held(r)
	if err != nil {
		return err
	}
	r.Body = http.MaxBytesReader(w, r.Body, web.MaxBody)
	if err := r.ParseForm(); err != nil {
		return fault.New(fault.Invalid, "The form could not be read.").Because(err)
	}
	caller := d.caller(r)
	caller.Client = t.Client
	now, err := d.Engine.Current(r.Context(), t.Session, caller)
	if err != nil {
		return err
	}
	if now.Prompt != nil && r.PostForm.Get("visit") == now.Visit && r.PostForm.Get("turn") == now.Turn {
		option := r.PostForm.Get("option")
		caller.Device = d.introduced(w, r, t.Of, now.Prompt)
		a := journey.Answer{Session: t.Session, Visit: r.PostForm.Get("visit"), Turn: r.PostForm.Get("turn"), Option: option, Data: typed(r.PostForm, fieldsOf(now.Prompt, option)), Caller: caller}
		reply, err := d.Engine.Answer(r.Context(), a)
		if err != nil {
			return err
		}
		if reply.Problem != nil && reply.Visit == now.Visit {
			return d.draw(w, r, t, reply)
		}
	}
	http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
	return nil
}

func (d Door) draw(w http.ResponseWriter, r *http.Request, t ticket, reply journey.Reply) error {
	v := describe(d.offered(r, t.Of).spoken(r, t.Locales), t, reply, d.Kit.DB.Now())
	if reply.End != nil && reply.End.OK && d.Kit.Dev && d.Token != nil {
		jwt, err := d.Token(r.Context(), *reply.End)
		if err != nil {
			return err
		}
		v.Token = jwt
	}
	status := http.StatusOK
	if reply.Problem != nil && r.Method == http.MethodPost {
		status = http.StatusUnprocessableEntity
		v.typed = r.PostForm
	}
	d.render(w, r, status, v)
	return nil
}

func (d Door) render(w http.ResponseWriter, r *http.Request, status int, v view) {
	offered := d.offered(r, v.AppID)
	v.Choices = choicesOf(r, v.Lang, offered)
	d.branded(r, &v, offered)
	d.speak(w, r.URL.Query().Get("lang"), offered)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", string(v.Lang))
	h.Set("Cache-Control", "no-store")
	h.Set("Permissions-Policy", "camera="+v.camera()+", microphone=(), geolocation=()")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'"+leading(v.Leads)+"; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	var page bytes.Buffer
	if err := sets[v.Lang].ExecuteTemplate(&page, "page", v); err != nil {
		d.Kit.Log.ErrorContext(r.Context(), "hosted page", slog.Any("err", err))
		http.Error(w, "Something is broken on our side. Try again in a moment.", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // whoever left does not read it
}

func (d Door) secure() bool { return strings.HasPrefix(d.Kit.URL, "https:") }

// leading lets a form of the page lead to one other origin, which it does by
// redirects: browsers hold these to the page's policy as well.
func leading(origin string) string {
	if origin == "" || strings.ContainsAny(origin, " ;,'\"\r\n") {
		return ""
	}
	return " " + origin
}

func encode(t ticket) []byte {
	b, err := json.Marshal(t)
	if err != nil {
		panic("hosted: " + err.Error()) // texts only
	}
	return b
}

func decode(b []byte) (ticket, error) {
	var t ticket
	err := json.Unmarshal(b, &t)
	return t, err
}
