package server

import (
	"context"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
)

// organisationFile is a customer of an application in its file. Who is a member is
// no configuration, and stays.
type organisationFile struct {
	ID      string   `yaml:"id"`
	Name    string   `yaml:"name"`
	Domains []string `yaml:"domains,omitempty"`
}

func (o organisationFile) organisation(app apps.ID) directory.Organisation {
	return directory.Organisation{ID: directory.OrgID(o.ID), App: app, Name: o.Name, Domains: o.Domains}
}

// currentOrganisations are all of an application, by id.
func currentOrganisations(ctx context.Context, q db.Q, app apps.ID) ([]organisationFile, error) {
	const page = 500
	var out []organisationFile
	for after := directory.OrgID(""); ; {
		all, err := directory.Organisations(ctx, q, app, after, page)
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			out = append(out, organisationFile{string(o.ID), o.Name, o.Domains})
			after = o.ID
		}
		if len(all) < page {
			return out, nil
		}
	}
}

func diffOrganisations(have, want []organisationFile) []string {
	known := map[string]organisationFile{}
	for _, o := range have {
		known[o.ID] = o
	}
	var out []string
	for _, o := range want {
		old, is := known[o.ID]
		if !is || !old.organisation("").Same(o.organisation("")) {
			out = append(out, mark(!is)+"organisation "+o.ID)
		}
	}
	return out
}

func applyOrganisations(ctx context.Context, tx *db.Tx, app apps.ID, want []organisationFile) error {
	if err := once(want, func(o organisationFile) string { return o.ID }); err != nil {
		return err
	}
	for _, o := range want {
		if err := directory.PutOrganisation(ctx, tx, o.organisation(app)); err != nil {
			return wrong("organisation "+o.ID, err)
		}
	}
	return nil
}
