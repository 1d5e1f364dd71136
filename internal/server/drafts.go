package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"go.yaml.in/yaml/v3"

	"github.com/watchword-auth/watchword/internal/adminapi"
	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/hosted"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/web"
	"github.com/watchword-auth/watchword/internal/wire/mosaic"
)

// What the console needs of other doors to draw and try journeys.

// samples is client code for a journey.
func samples(g journey.Graph, client apps.ClientID, base string) ([]adminapi.CodeSample, error) {
	all, err := mosaic.Samples(g, client, base)
	out := []adminapi.CodeSample{}
	for _, s := range all {
		out = append(out, adminapi.CodeSample(s))
	}
	return out, err
}

// journeyFiles reads and writes single journeys as Apply does.
var journeyFiles = adminapi.Files{
	Read: func(b []byte) (journey.Graph, error) {
		g, err := parseJourney(b)
		if err != nil {
			return g, fault.New(fault.Invalid, "This is not a journey: %s", err)
		}
		return g, nil
	},
	Write: func(g journey.Graph, format string) ([]byte, error) {
		if format == "json" {
			return json.MarshalIndent(g, "", "  ")
		}
		var b bytes.Buffer
		enc := yaml.NewEncoder(&b)
		enc.SetIndent(2)
		err := enc.Encode(g)
		return b.Bytes(), err
	},
}

// testLink starts the run of a draft for whoever has its address. It signs
// nobody in: no session and no code comes of such a run.
func (s *Server) testLink(people hosted.Door) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start, err := s.tested(r)
		if err == nil {
			err = people.Begin(w, r, start, hosted.Return{})
		}
		if err != nil {
			f := web.Report(r, err)
			people.Page(w, r, web.Status(f.Code), backend.Page{App: "Watchword", Title: "This draft cannot be tried", Text: f.Message, Verdict: "no"})
		}
	}
}

// tested is what a test link starts.
func (s *Server) tested(r *http.Request) (journey.StartRequest, error) {
	gone := fault.New(fault.NotFound, "This test link has run out. Make a new one in the console.")
	var link adminapi.TestLink
	b, err := base64.RawURLEncoding.Strict().DecodeString(r.PathValue("link"))
	if err == nil {
		b, err = s.Kit.DB.Vault().Open(adminapi.TestLinkPlace, b)
	}
	if err == nil {
		err = json.Unmarshal(b, &link)
	}
	if err != nil || !s.Kit.DB.Now().Before(link.Expires) || link.Version >= 0 {
		return journey.StartRequest{}, gone
	}
	client, app, err := apps.FindClient(r.Context(), s.Kit.DB, link.Client)
	if fault.Is(err, fault.NotFound) || err == nil && app.Tenant != link.Tenant {
		return journey.StartRequest{}, gone
	}
	return journey.StartRequest{App: app, Client: client, Journey: link.Journey, Kind: link.Kind, Version: link.Version}, err
}
