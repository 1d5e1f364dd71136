package adminapi

import (
	"context"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/message"
	"github.com/watchword-auth/watchword/internal/notify"
)

// Catalog is what can be configured, as data: whoever draws it knows no method,
// step or provider by name.
type Catalog struct {
	Methods      []MethodInfo   `json:"methods"`
	Steps        []StepInfo     `json:"steps"`
	Providers    []ProviderInfo `json:"providers"`
	Client       form.Form      `json:"client"`
	Permissions  []string       `json:"permissions"`
	Roles        []RoleInfo     `json:"roles"`
	JourneyKinds []KindInfo     `json:"journey_kinds"`
	EventTypes   []string       `json:"event_types"`
	Events       []EventInfo    `json:"events"`
	Reasons      []ReasonInfo   `json:"reasons"`
	Languages    []string       `json:"languages"`
}

// MethodInfo describes a method.
type MethodInfo struct {
	Kind    string    `json:"kind"`
	Title   string    `json:"title"`
	Lives   string    `json:"lives" enum:"device,application,tenant"`
	Counts  string    `json:"counts" enum:"device,application,tenant"`
	Unlock  string    `json:"unlock" enum:"device,application,tenant"`
	Beside  bool      `json:"beside" doc:"Counts beside another method only."`
	Lockout bool      `json:"lockout"`
	Form    form.Form `json:"form"`
}

// StepInfo describes a step.
type StepInfo struct {
	Kind     string    `json:"kind"`
	Title    string    `json:"title"`
	Category string    `json:"category"`
	Doc      string    `json:"doc"`
	Form     form.Form `json:"form"`
	Outcomes []string  `json:"outcomes"`
	Roles    []string  `json:"roles"`
	In       []string  `json:"in" doc:"Kinds of journey where it may stand; empty: all."`
	Face     []string  `json:"face" doc:"The settings that matter most."`
	Words    []string  `json:"words" doc:"What else people call it."`
}

// ProviderInfo describes a kind of provider.
type ProviderInfo struct {
	Kind    string    `json:"kind"`
	Title   string    `json:"title"`
	Per     string    `json:"per" enum:"tenant,application"`
	Several bool      `json:"several"`
	Form    form.Form `json:"form"`
	Test    form.Form `json:"test"`
}

// RoleInfo describes a role of administrators.
type RoleInfo struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	May   string `json:"may"`
}

// KindInfo describes a kind of journey.
type KindInfo struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Doc   string `json:"doc"`
}

func getCatalog(context.Context, *Call, *empty) (*body[Catalog], error) {
	out := Catalog{Client: apps.ClientForm(), Permissions: permissions(), JourneyKinds: journeyKinds, EventTypes: eventTypes(), Events: eventInfos, Reasons: reasonInfos, Languages: message.Languages(),
		Methods: []MethodInfo{}, Steps: []StepInfo{}, Providers: []ProviderInfo{}}
	for _, m := range authn.Methods() {
		out.Methods = append(out.Methods, MethodInfo{string(m.Kind), m.Title, scopeName(m.Lives), scopeName(m.Counts), scopeName(m.Unlock), m.Beside, hasField(m.Config, "tiers"), m.Config})
	}
	for _, s := range journey.Steps() {
		out.Steps = append(out.Steps, StepInfo{s.Kind, s.Title, s.Category, s.Doc, orEmpty(s.Config), texts(s.Outcomes), stepRoles(s.Role), texts(s.In), append([]string{}, s.Face...), append([]string{}, s.Words...)})
	}
	for _, p := range notify.Kinds() {
		out.Providers = append(out.Providers, ProviderInfo{p.Kind, p.Title, map[bool]string{true: "tenant", false: "application"}[p.Tenant], p.Several, p.Form, orEmpty(p.Test)})
	}
	for _, r := range administrator.Roles {
		out.Roles = append(out.Roles, RoleInfo{string(r), roleTexts[r][0], roleTexts[r][1]})
	}
	return answer(out), nil
}

func orEmpty(f form.Form) form.Form {
	if f == nil {
		return form.Form{}
	}
	return f
}

func scopeName(s authn.Scope) string {
	return map[authn.Scope]string{authn.PerDevice: "device", authn.PerApp: "application", authn.PerTenant: "tenant"}[s]
}

func hasField(f form.Form, name string) bool {
	return slices.ContainsFunc(f, func(x form.Field) bool { return x.Name == name })
}

func stepRoles(r journey.Role) []string {
	out := []string{}
	for _, one := range []struct {
		role journey.Role
		name string
	}{{journey.Proves, "proves"}, {journey.Enrols, "enrols"}, {journey.Identifies, "identifies"}, {journey.Terminal, "terminal"}, {journey.Accepts, "accepts"}} {
		if r&one.role != 0 {
			out = append(out, one.name)
		}
	}
	return out
}

// permissions are those that a call of the table wants, and each resource whole.
func permissions() []string {
	var out []string
	for _, call := range backend.Calls() {
		if resource, _, ok := strings.Cut(call.Needs, ":"); ok {
			out = append(out, call.Needs, resource+":*")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var journeyKinds = []KindInfo{
	{string(journey.KindClient), "Sign-in", "An app or page of yours runs it by its SDK."},
	{string(journey.KindMobileApprove), "Approval on a phone", "A phone runs it to approve a request."},
	{string(journey.KindSub), "Part", "Other journeys run it as one of their nodes."},
	{string(journey.KindSSO), "Single sign-on", "An authorization request of OpenID Connect runs it."},
}
