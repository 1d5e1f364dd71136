package server_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/notify/notifytest"
	"github.com/watchword-auth/watchword/internal/server"
	"github.com/watchword-auth/watchword/internal/webhook"
)

// folder is a configuration as files, by their paths.
type folder map[string]string

func (f folder) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range f {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// applied applies the folder, and says what that would have changed.
func (f folder) applied(t *testing.T, d *db.DB) (plan string, err error) {
	t.Helper()
	dir := f.write(t)
	files, err := server.ReadFiles(dir)
	if err != nil {
		return "", err
	}
	lines, err := server.Plan(t.Context(), d, files, dir)
	if err != nil {
		return "", err
	}
	return strings.Join(lines, "\n"), server.Apply(t.Context(), d, files, dir, false)
}

// with returns the folder with a text replaced in one file, which must be there.
func (f folder) with(t *testing.T, path, was, now string) folder {
	t.Helper()
	if !strings.Contains(f[path], was) {
		t.Fatalf("%s has no %q:\n%s", path, was, f[path])
	}
	out := maps.Clone(f)
	out[path] = strings.Replace(f[path], was, now, 1)
	return out
}

// taken is the configuration of a tenant as export writes it.
func taken(t *testing.T, d *db.DB) folder {
	t.Helper()
	f, err := server.Current(t.Context(), d, "shop")
	if err != nil {
		t.Fatal(err)
	}
	dir, out := t.TempDir(), folder{}
	if err := server.WriteFiles(dir, f); err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, path))
		out[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func appleKey(t *testing.T) string {
	t.Helper()
	file, _ := notifytest.P8(t)
	return file
}

// wholeShop has something of everything, and its secrets beside it.
func wholeShop(t *testing.T) (f folder, secrets []string) {
	key, mail, hook, client := appleKey(t), "a-password-of-the-mail-server", "a-secret-that-signs-for-the-hook", "a-secret-of-the-back-end"
	return folder{
		"apple.p8": key, "mail": mail, "hook": hook + "\n", "client": client,
		"tenant.yaml": "id: shop\nname: The Shop\nsettings: {languages: [de, en], default_language: de}\nmethods: {push: {life: 90}}\n",
		"providers.yaml": `
- {kind: smtp, name: default, config: {host: mail.example, port: 2525, username: us, from: shop@mail.example, password_file: mail}}
`,
		"webhooks.yaml": `
- {id: whk_billing, url: "https://billing.example/told", events: [push.*, journey.completed], secret_file: hook}
- {id: whk_archive, url: "https://archive.example/", events: ["*"], enabled: false, secret_file: hook}
`,
		"apps/store.yaml": `
name: Store
audience: b2b
clients:
  - {id: store-web, name: Web, kind: web, origins: ["https://store.example"]}
  - {id: store-back, name: Back, kind: backend, secret_file: client}
organisations:
  - {id: org_wayne, name: "Wayne: Enterprises", domains: [wayne.example, bat.example]}
  - {id: org_acme, name: Acme}
providers:
  - {kind: apns, name: main, config: {bundle: org.example.store, team_id: ABCDE12345, key_id: KEY1234567, key_file: apple.p8, environment: sandbox}}
`,
		"journeys/hello.yaml": "name: Hello\nkind: client\nstart: done\nnodes: {done: {kind: complete}}\n",
	}, []string{key, strings.Split(key, "\n")[1], mail, hook, client}
}

// TestFilesWhole: what export writes is all that apply took but the secrets.
// Applied where it came from it changes nothing, and on an empty database, once
// the secrets are named again, it makes a server that exports the same bytes.
func TestFilesWhole(t *testing.T) {
	here := kittest.New(t).Kit.DB
	shop, secrets := wholeShop(t)
	plan, err := shop.applied(t, here)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"+ provider smtp default", "+ webhook whk_billing", "~ secret of webhook whk_billing", "+ organisation org_acme", "+ provider apns main store"} {
		if !slices.Contains(strings.Split(plan, "\n"), line) {
			t.Errorf("no %q in the plan:\n%s", line, plan)
		}
	}
	if plan, err := shop.applied(t, here); plan != "" || err != nil {
		t.Errorf("a second time: %v\n%s", err, plan)
	}

	out := taken(t, here)
	for path, text := range out {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds a secret:\n%s", path, text)
			}
		}
	}
	if plan, err := out.applied(t, here); plan != "" || err != nil {
		t.Errorf("what was exported differs from what stands: %v\n%s", err, plan)
	}
	for id, secret := range map[string]string{"whk_billing": secrets[3], "whk_archive": secrets[3]} {
		if is, err := webhook.HasSecret(t.Context(), here, id, secret); !is || err != nil {
			t.Errorf("%s has another secret: %v", id, err)
		}
	}

	there := kittest.New(t).Kit.DB
	if _, err := out.applied(t, there); err == nil || !strings.Contains(err.Error(), "apps/store.yaml: apns main: key: ") {
		t.Errorf("without secrets: %v", err)
	}
	for _, name := range []string{"apple.p8", "mail", "hook"} {
		out[name] = shop[name]
	}
	again := out.with(t, "apps/store.yaml", "bundle:", "key_file: apple.p8\n      bundle:")
	if _, err := again.applied(t, there); err == nil || !strings.Contains(err.Error(), "webhooks.yaml: whk_archive: secret: ") {
		t.Errorf("without the webhooks' secrets: %v", err)
	}
	if left := taken(t, there); len(left) != 1 {
		t.Errorf("what was refused left something: %v", left)
	}
	again = again.with(t, "providers.yaml", "from:", "password_file: mail\n    from:").
		with(t, "webhooks.yaml", "- id: whk_billing", "- secret_file: hook\n  id: whk_billing").
		with(t, "webhooks.yaml", "- id: whk_archive", "- secret_file: hook\n  id: whk_archive")
	if _, err := again.applied(t, there); err != nil {
		t.Fatal(err)
	}
	for path, text := range taken(t, there) {
		if text != out[path] {
			t.Errorf("%s is another there:\n%s\nhere:\n%s", path, text, out[path])
		}
	}
	if plan, err := again.applied(t, there); plan != "" || err != nil {
		t.Errorf("again, there: %v\n%s", err, plan)
	}
}

// TestFilesChanged: what differs is said and done; what is not mentioned stays.
func TestFilesChanged(t *testing.T) {
	d := kittest.New(t).Kit.DB
	shop, _ := wholeShop(t)
	if _, err := shop.applied(t, d); err != nil {
		t.Fatal(err)
	}
	var ana directory.UserID
	err := d.Tx(t.Context(), func(tx *db.Tx) (err error) {
		if ana, err = directory.Create(t.Context(), tx, "shop", directory.NewUser{Email: "ana@acme.example"}); err != nil {
			return err
		}
		return directory.SetMember(t.Context(), tx, "org_acme", directory.Member{User: ana, Role: directory.OrgAdmin})
	})
	if err != nil {
		t.Fatal(err)
	}
	shop["hook2"] = "another-secret-for-the-hook"
	now := shop.with(t, "webhooks.yaml", "push.*, ", "").
		with(t, "webhooks.yaml", `"*"], enabled: false, secret_file: hook`, `"*"], secret_file: hook2`).
		with(t, "apps/store.yaml", "wayne.example, bat.example", "bat.example, wayne.example, robin.example").
		with(t, "apps/store.yaml", "  - {id: org_acme, name: Acme}\n", "").
		with(t, "providers.yaml", "2525", "2526")
	plan, err := now.applied(t, d)
	const want = `~ provider smtp default
~ webhook whk_billing
~ webhook whk_archive
~ secret of webhook whk_archive
~ organisation org_wayne`
	if err != nil || plan != want {
		t.Errorf("%v\n%s", err, plan)
	}
	if plan, err := now.applied(t, d); plan != "" || err != nil {
		t.Errorf("still to do: %v\n%s", err, plan)
	}
	if is, err := webhook.HasSecret(t.Context(), d, "whk_archive", shop["hook2"]); !is || err != nil {
		t.Errorf("the new secret: %v", err)
	}
	if role, err := directory.Membership(t.Context(), d, "store", "org_acme", ana); role != directory.OrgAdmin || err != nil {
		t.Errorf("a member of what is not mentioned: %q, %v", role, err)
	}
	for _, e := range []struct {
		org  directory.OrgID
		want bool
	}{{"org_acme", true}, {"org_wayne", false}} {
		if err := directory.ActsFor(t.Context(), d, "store", e.org, ana); (err == nil) != e.want {
			t.Errorf("acting for %s: %v", e.org, err)
		}
	}
}

// TestFilesRefused: a refusal names the file, the thing and the member that is
// wrong, and leaves everything as it was.
func TestFilesRefused(t *testing.T) {
	d := kittest.New(t).Kit.DB
	shop, _ := wholeShop(t)
	if _, err := shop.applied(t, d); err != nil {
		t.Fatal(err)
	}
	other := folder{"tenant.yaml": "id: other\nname: Other\n", "apps/annex.yaml": "name: Annex\naudience: b2b\n",
		"webhooks.yaml": "- {id: whk_other, url: 'https://x.example/', events: ['*'], secret_env: A_SECRET_OF_THE_HOOK}\n"}
	t.Setenv("A_SECRET_OF_THE_HOOK", "a-secret-that-signs-for-others")
	if _, err := other.applied(t, d); err != nil {
		t.Fatal(err)
	}
	before := taken(t, d)
	for _, c := range []struct{ path, was, now, want string }{
		{"providers.yaml", "port: 2525", "prot: 2525", "providers.yaml: smtp default: prot: "},
		{"providers.yaml", "port: 2525", "port: 252525", "providers.yaml: smtp default: port: "},
		{"providers.yaml", "kind: smtp", "kind: pigeon", "providers.yaml: pigeon default: "},
		{"providers.yaml", "host: mail.example", "password_env: NOT_SET_ANYWHERE, host: mail.example", "NOT_SET_ANYWHERE"},
		{"providers.yaml", "kind: smtp, name: default", "kind: smtp, naem: default", "providers.yaml: "},
		{"webhooks.yaml", "url: \"https://billing", "url: \"http://billing", "webhooks.yaml: whk_billing: url: "},
		{"webhooks.yaml", "[\"*\"]", "[\"Everything\"]", "webhooks.yaml: whk_archive: events: "},
		{"webhooks.yaml", "enabled: false", "enable: false", "webhooks.yaml: "},
		{"webhooks.yaml", "whk_archive", "whk_billing", "webhooks.yaml: whk_billing is there twice"},
		{"webhooks.yaml", "whk_archive", "archive", "webhooks.yaml: archive: id: "},
		{"webhooks.yaml", "whk_archive", "whk_other", "webhooks.yaml: whk_other: id: Another tenant"},
		{"webhooks.yaml", "secret_file: hook", "secret_file: nothing", "webhooks.yaml: whk_billing: "},
		{"webhooks.yaml", "secret_file: hook", "secret_file: short", "webhooks.yaml: whk_billing: secret: "},
		{"apps/store.yaml", "domains: [wayne", "domains: [Wayne", "apps/store.yaml: organisation org_wayne: domains: "},
		{"apps/store.yaml", "name: Acme", "nmae: Acme", "store.yaml: "},
		{"apps/store.yaml", "name: Acme", "name: ''", "apps/store.yaml: organisation org_acme: name: "},
		{"apps/store.yaml", "org_acme", "acme", "apps/store.yaml: organisation acme: id: "},
		{"apps/store.yaml", "org_acme", "org_wayne", "apps/store.yaml: org_wayne is there twice"},
		{"apps/store.yaml", "team_id: ABCDE12345", "team: ABCDE12345", "apps/store.yaml: apns main: "},
	} {
		bad := shop.with(t, c.path, c.was, c.now)
		bad["short"] = "short"
		if _, err := bad.applied(t, d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %q: %v, want %q", c.path, c.now, err, c.want)
		}
	}
	other["apps/annex.yaml"] += "organisations: [{id: org_wayne, name: Mine}]\n"
	if _, err := other.applied(t, d); err == nil || !strings.Contains(err.Error(), "apps/annex.yaml: organisation org_wayne: id: Another application") {
		t.Errorf("an organisation of another's: %v", err)
	}
	if after := taken(t, d); !maps.Equal(before, after) {
		t.Errorf("what was refused changed something: %v", after)
	}
}
