package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/notify"
)

type doctorCmd struct {
	storage
	Listen         string   `help:"As serve is told." default:"127.0.0.1:8080" env:"WATCHWORD_LISTEN"`
	URL            string   `help:"As serve is told." env:"WATCHWORD_URL"`
	TrustedProxies []string `help:"As serve is told." env:"WATCHWORD_TRUSTED_PROXIES"`
	Tenant         string   `help:"Whose configuration is looked at." default:"default"`
}

// finding is what the doctor says: "ok", "note" or "mend".
type finding struct{ word, about, text string }

// Run looks at what serve would be given and at what it would find, changes
// nothing, and ends with an error if something must be mended.
func (c *doctorCmd) Run(ctx context.Context) error {
	all := append(c.address(ctx), c.inside(ctx)...)
	mend := 0
	for _, f := range all {
		fmt.Printf("%-4s  %s: %s\n", f.word, f.about, f.text)
		if f.word == "mend" {
			mend++
		}
	}
	if mend > 0 {
		return fmt.Errorf("to be mended: %d", mend)
	}
	return nil
}

func (c *doctorCmd) address(ctx context.Context) []finding {
	if c.URL == "" {
		return []finding{{"note", "url", "not given: http://" + named(c.Listen) + ", which only this machine reaches"}}
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return []finding{{"mend", "url", c.URL + " must be https:// and a name, without a path"}}
	}
	local := u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
	var out []finding
	switch {
	case u.Scheme == "http" && !local:
		out = append(out, finding{"mend", "url", "is http: browsers give passkeys and phones give push to https only, and codes travel in the clear"})
	case net.ParseIP(u.Hostname()) != nil:
		out = append(out, finding{"mend", "url", "is an address: passkeys belong to names"})
	default:
		out = append(out, finding{"ok", "url", c.URL})
	}
	out = append(out, c.proxy(u, local)...)
	return append(out, reaches(ctx, u))
}

// proxy compares who may speak for others with how the server is reached.
func (c *doctorCmd) proxy(u *url.URL, local bool) []finding {
	for _, text := range c.TrustedProxies {
		if _, err := prefix(text); err != nil {
			return []finding{{"mend", "trusted-proxies", text + ": " + err.Error()}}
		}
	}
	if u.Scheme == "https" && !local && len(c.TrustedProxies) == 0 {
		return []finding{{"mend", "trusted-proxies", "nothing is named, and TLS ends somewhere before this server: every visitor has the proxy's address, and they share its limits"}}
	}
	return nil
}

// reaches asks the server through its own name.
func reaches(ctx context.Context, u *url.URL) finding {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath("/healthz").String(), nil)
	if err != nil {
		return finding{"mend", "url", err.Error()}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return finding{"note", "url", "nobody answers there now: " + err.Error()}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(b), "alive") {
		return finding{"mend", "url", fmt.Sprintf("somebody else answers there (%s)", res.Status)}
	}
	return finding{"ok", "url", "this server, or another like it, answers there"}
}

// inside looks at the data folder and the database.
func (c *doctorCmd) inside(ctx context.Context) []finding {
	out := c.folder()
	vault, address, err := c.vault()
	if err != nil {
		return append(out, finding{"mend", "master key", err.Error()})
	}
	d, err := db.OpenToRead(ctx, address, vault, time.Now)
	if errors.Is(err, fs.ErrNotExist) {
		return append(out, finding{"note", "database", "there is none yet: the first start makes it"})
	}
	if err != nil {
		return append(out, finding{"mend", "database", err.Error()})
	}
	defer d.Close()
	out = append(out, opens(ctx, d))
	for _, look := range []func(context.Context, *db.DB) ([]finding, error){owners, waiting, c.mails} {
		found, err := look(ctx, d)
		if err != nil {
			found = append(found, finding{"mend", "database", err.Error()})
		}
		out = append(out, found...)
	}
	return out
}

// folder looks at who else may read what must stay here.
func (c *doctorCmd) folder() []finding {
	key := c.MasterKeyFile
	if key == "" {
		key = filepath.Join(c.Data, "master.key")
	}
	var out []finding
	for _, path := range []string{c.Data, key} {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			out = append(out, finding{"mend", "files", fmt.Sprintf("others may read %s (%o): chmod go= %s", path, info.Mode().Perm(), path)})
		}
	}
	return out
}

// opens says whether the master key is the one that the database was made with.
func opens(ctx context.Context, d *db.DB) finding {
	if err := db.Opens(ctx, d); err != nil {
		return finding{"mend", "master key", err.Error()}
	}
	return finding{"ok", "database", "reachable, with this program's schema, and opened by this master key"}
}

func owners(ctx context.Context, d *db.DB) ([]finding, error) {
	list, err := administrator.List(ctx, d)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, a := range list {
		if a.Role == administrator.Owner && a.Status == administrator.Active {
			n++
		}
	}
	switch n {
	case 0:
		return []finding{{"note", "administrators", "nobody owns this server yet: watchword admin invite prints a link"}}, nil
	case 1:
		return []finding{{"note", "administrators", "there is one owner: who loses the last passkey is let in by watchword admin invite only"}}, nil
	}
	return []finding{{"ok", "administrators", fmt.Sprintf("owners: %d", n)}}, nil
}

func waiting(ctx context.Context, d *db.DB) ([]finding, error) {
	b, err := jobs.Survey(ctx, d)
	if err != nil {
		return nil, err
	}
	var out []finding
	if !b.Oldest.IsZero() && d.Now().Sub(b.Oldest) > time.Minute {
		out = append(out, finding{"mend", "messages", fmt.Sprintf("the oldest has waited for %s: no server runs, or it cannot send", d.Now().Sub(b.Oldest).Round(time.Second))})
	}
	if b.Parked > 0 {
		out = append(out, finding{"note", "messages", fmt.Sprintf("%d were given up in the last week; the log says why", b.Parked)})
	}
	return out, nil
}

// senders are the channels that steps of a kind cannot do without, and channels
// the kinds of providers of which each wants one.
var (
	senders  = map[string]string{"code.email": "mail", "magiclink.authenticate": "mail", "code.sms": "text message"}
	channels = map[string][]string{"mail": {notify.SMTP}, "text message": {notify.SMSWebhook, notify.Twilio}}
)

// mails names the journeys that send what nothing is configured to send.
func (c *doctorCmd) mails(ctx context.Context, d *db.DB) ([]finding, error) {
	tenant := apps.TenantID(c.Tenant)
	js, err := journey.List(ctx, d, tenant)
	if err != nil {
		return nil, err
	}
	var out []finding
	told := map[string]bool{}
	for _, j := range js {
		g, _, err := journey.Newest(ctx, d, tenant, j.ID)
		if err != nil {
			return nil, err
		}
		for _, n := range g.Nodes {
			channel := senders[n.Kind]
			if channel == "" || told[channel] {
				continue
			}
			has, err := configured(ctx, d, c.Tenant, channel)
			if err != nil {
				return nil, err
			}
			if told[channel] = !has; !has {
				out = append(out, finding{"mend", "providers", fmt.Sprintf("the journey %s sends by %s, and nothing is configured that could", j.ID, channel)})
			}
		}
	}
	return out, nil
}

func configured(ctx context.Context, q db.Q, tenant, channel string) (bool, error) {
	for _, kind := range channels[channel] {
		if have, err := notify.Providers(ctx, q, tenant, "", kind); err != nil || len(have) > 0 {
			return err == nil, err
		}
	}
	return false, nil
}
