package adminapi

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/notify"
)

// Overview is what happened lately. It is counted from the record a second or two
// after things happened; nothing is scanned to show it.
type Overview struct {
	SignIns   []MethodCount    `json:"sign_ins"`
	Approvals map[string]int64 `json:"approvals"`
	Lockouts  int64            `json:"lockouts"`
	Journeys  map[string]int64 `json:"journeys"`
	Series    []HourCount      `json:"series"`
	Health    []Health         `json:"health"`
	NextSteps []NextStep       `json:"next_steps"`
	Snippet   Snippet          `json:"snippet"`
}

// MethodCount is how a method went.
type MethodCount struct {
	Method    string `json:"method"`
	Succeeded int64  `json:"succeeded"`
	Failed    int64  `json:"failed"`
}

// HourCount is how an hour went.
type HourCount struct {
	At        Stamp `json:"at"`
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
}

// Health is whether a part of the server does its work.
type Health struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// NextStep is something that a new operator does.
type NextStep struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Text  string `json:"text"`
	Href  string `json:"href"`
	Done  bool   `json:"done"`
}

// Snippet are the real ids for a first sign-in.
type Snippet struct {
	Issuer      string `json:"issuer"`
	ClientID    string `json:"client_id"`
	Journey     string `json:"journey"`
	RedirectURI string `json:"redirect_uri"`
}

type overviewIn struct {
	Hours int `query:"hours" minimum:"1" maximum:"168" default:"24"`
}

func getOverview(ctx context.Context, c *Call, in *overviewIn) (*body[Overview], error) {
	since := c.Kit.DB.Now().Truncate(time.Hour).Add(-time.Duration(in.Hours-1) * time.Hour)
	counts, err := audit.Counts(ctx, c.Kit.DB, string(c.tenant()), since)
	if err != nil {
		return nil, err
	}
	out := Overview{SignIns: []MethodCount{}, Approvals: map[string]int64{"approved": 0, "denied": 0, "expired": 0, "cancelled": 0}, Journeys: map[string]int64{"completed": 0, "rejected": 0},
		Series: make([]HourCount, in.Hours)}
	for i := range out.Series {
		out.Series[i].At = Stamp(since.Add(time.Duration(i) * time.Hour))
	}
	for _, n := range counts {
		out.add(n, int(n.Hour.Sub(since)/time.Hour))
	}
	if out.Health, err = c.health(ctx); err != nil {
		return nil, err
	}
	if out.Snippet, err = c.snippet(ctx); err != nil {
		return nil, err
	}
	out.NextSteps, err = c.nextSteps(ctx, out.Snippet)
	return answer(out), err
}

// add counts something of the hour-th hour.
func (o *Overview) add(n audit.Count, hour int) {
	family, what, _ := strings.Cut(n.Type, ".")
	switch family {
	case "push":
		if _, known := o.Approvals[what]; known {
			o.Approvals[what] += n.N
		}
	case "journey":
		if _, known := o.Journeys[what]; known {
			o.Journeys[what] += n.N
		}
	case "auth":
		dot := strings.LastIndexByte(what, '.')
		if dot < 0 {
			return
		}
		method, end := what[:dot], what[dot+1:]
		if end == "locked" {
			o.Lockouts += n.N
		}
		if end != "succeeded" && end != "failed" {
			return
		}
		i := slices.IndexFunc(o.SignIns, func(m MethodCount) bool { return m.Method == method })
		if i < 0 {
			i, o.SignIns = len(o.SignIns), append(o.SignIns, MethodCount{Method: method})
		}
		for _, cell := range []struct{ succeeded, failed *int64 }{{&o.SignIns[i].Succeeded, &o.SignIns[i].Failed}, {&o.Series[hour].Succeeded, &o.Series[hour].Failed}} {
			if end == "succeeded" {
				*cell.succeeded += n.N
			} else {
				*cell.failed += n.N
			}
		}
	}
}

func (c *Call) health(ctx context.Context) ([]Health, error) {
	base := Health{"Database", true, "Reachable, up to date, and its clock agrees."}
	if err := c.Kit.DB.Ping(ctx); err != nil {
		base.OK, base.Detail = false, fault.Of(err).Message
	}
	b, err := jobs.Survey(ctx, c.Kit.DB)
	if err != nil {
		return nil, err
	}
	queue := Health{"Messages and jobs", true, "Nothing is held up."}
	switch {
	case b.Parked > 0:
		queue.OK, queue.Detail = false, "Some were given up after many tries. The log says which and why."
	case !b.Oldest.IsZero() && c.Kit.DB.Now().Sub(b.Oldest) > time.Minute:
		queue.OK, queue.Detail = false, "Some have waited for more than a minute."
	}
	return []Health{base, queue}, nil
}

// snippet is of the first web client of the tenant that a browser can return to.
func (c *Call) snippet(ctx context.Context) (Snippet, error) {
	out := Snippet{Issuer: c.Kit.URL, Journey: "sign_in"}
	all, err := apps.List(ctx, c.Kit.DB, c.tenant())
	if err != nil {
		return out, err
	}
	for _, a := range all {
		clients, err := apps.Clients(ctx, c.Kit.DB, a.ID)
		if err != nil {
			return out, err
		}
		for _, x := range clients {
			if x.Kind != apps.Web {
				continue
			}
			if out.ClientID = string(x.ID); x.Settings.Journey != "" {
				out.Journey = x.Settings.Journey
			}
			if len(x.Settings.RedirectURIs) > 0 {
				out.RedirectURI = x.Settings.RedirectURIs[0]
			}
			return out, nil
		}
	}
	return out, nil
}

func (c *Call) nextSteps(ctx context.Context, s Snippet) ([]NextStep, error) {
	keys, err := myPasskeys(ctx, c, nil)
	if err != nil {
		return nil, err
	}
	js, err := journey.List(ctx, c.Kit.DB, c.tenant())
	if err != nil {
		return nil, err
	}
	mail, err := notify.Providers(ctx, c.Kit.DB, string(c.tenant()), "", notify.SMTP)
	if err != nil {
		return nil, err
	}
	admins, err := administrator.List(ctx, c.Kit.DB)
	if err != nil {
		return nil, err
	}
	out := []NextStep{}
	for _, step := range []struct {
		needs string // a route without which the step is not theirs
		NextStep
	}{
		{"POST /me/passkeys", NextStep{"passkey", "Add a passkey", "The link that let you in works once. A passkey lets you in from now on.", "/console/operate/passkeys", len(keys.Body.Items) > 0}},
		{"POST /apps", NextStep{"client", "Add an application with a web client", "A client is what your pages sign people in with.", "/console/apps", s.ClientID != ""}},
		{"POST /apps", NextStep{"redirect", "Say where sign-ins return to", "A browser returns only to addresses that a client names.", "/console/apps", s.RedirectURI != ""}},
		{"POST /journeys", NextStep{"journey", "Publish a journey", "It says who may sign in, and how.", "/console/journeys", len(js) > 0}},
		{"PUT /providers/{kind}/{name}", NextStep{"mail", "Connect a mail server", "Codes and links are mailed by it.", "/console/operate/providers", len(mail) > 0 || c.Kit.Dev}},
		{"POST /administrators", NextStep{"second", "Invite a second owner", "So that a lost passkey locks nobody out.", "/console/operate/administrators", slices.ContainsFunc(admins, func(a administrator.Administrator) bool {
			return a.Role == administrator.Owner && a.ID != c.Who.User
		})}},
	} {
		if slices.Contains(mayCall(c.Who.Who.Role), step.needs) {
			out = append(out, step.NextStep)
		}
	}
	return out, nil
}
