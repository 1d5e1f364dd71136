package blackbox

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/watchword-auth/watchword/internal/journey"
)

const deploy = "../../deploy/"

func readDeploy(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(deploy + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// variables are those that the program reads, by its documentation, which is made
// of its flags.
func variables(t *testing.T) map[string]bool {
	t.Helper()
	b, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, m := range regexp.MustCompile("`(WATCHWORD_[A-Z_]+)`").FindAllStringSubmatch(string(b), -1) {
		out[m[1]] = true
	}
	return out
}

// image is the last stage of the Dockerfile.
type image struct {
	env        map[string]string
	uid, gid   uint32
	owned      []string // folders beside the root that are copied into it, as the user's
	entry, cmd []string
	health     []string
}

// readImage understands what our Dockerfile says and refuses anything else.
func readImage(t *testing.T) image {
	t.Helper()
	im := image{env: map[string]string{}}
	text := readDeploy(t, "Dockerfile")
	_, last, found := strings.Cut(text, "\nFROM scratch\n")
	if !found {
		t.Fatal("the image is not made from scratch")
	}
	list := func(s string) (out []string) {
		if err := json.Unmarshal([]byte(s), &out); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		return out
	}
	for line := range strings.Lines(last) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "ENV":
			for _, pair := range strings.Fields(rest) {
				name, value, _ := strings.Cut(pair, "=")
				im.env[name] = value
			}
		case "USER":
			if _, err := fmt.Sscanf(rest, "%d:%d", &im.uid, &im.gid); err != nil {
				t.Fatalf("USER %s: %v", rest, err)
			}
		case "COPY":
			if f := strings.Fields(rest); len(f) == 4 && f[0] == "--from=build" && f[1] == fmt.Sprintf("--chown=%d:%d", 65532, 65532) && f[2] == "/image"+f[3] {
				im.owned = append(im.owned, f[3])
			} else if rest != "--from=build /image/root /" {
				t.Fatalf("COPY %s is not understood", rest)
			}
		case "HEALTHCHECK":
			_, command, _ := strings.Cut(rest, " CMD ")
			im.health = list(command)
		case "ENTRYPOINT":
			im.entry = list(rest)
		case "CMD":
			im.cmd = list(rest)
		case "WORKDIR", "VOLUME", "EXPOSE":
		default:
			t.Fatalf("%q is not understood", line)
		}
	}
	return im
}

// static reports whether a program needs no libraries, which the image has not.
func static(t *testing.T, program string) bool {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	return err == nil && len(libraries) == 0
}

// TestImage starts what the image starts in a root as the image has it, as its
// user, and asks it what the image's health check asks.
func TestImage(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may change the root")
	}
	if !static(t, binary) {
		t.Skip("WATCHWORD_BIN needs libraries: build it with CGO_ENABLED=0, as releases are")
	}
	im, dir := readImage(t), t.TempDir()
	if out, err := exec.Command(deploy+"root.sh", binary, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	root := filepath.Join(dir, "root")
	for _, folder := range im.owned { // into a folder that is there already, a copy would leave its owner
		if err := os.Rename(filepath.Join(dir, folder), filepath.Join(root, folder)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(root, folder), int(im.uid), int(im.gid)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"etc/ssl/certs/ca-certificates.crt", "usr/share/zoneinfo/Europe/Berlin"} {
		if info, err := os.Stat(filepath.Join(root, path)); err != nil || info.Size() < 100 {
			t.Errorf("%s: %v", path, err)
		}
	}
	listen := address(t)
	_, port, _ := strings.Cut(listen, ":")
	im.env["WATCHWORD_LISTEN"] = strings.Replace(im.env["WATCHWORD_LISTEN"], "8080", port, 1)
	im.env["WATCHWORD_URL"] = "http://localhost:" + port
	im.env["TZ"], im.env["WATCHWORD_LOG_LEVEL"], im.env["WATCHWORD_LINGER"] = "Asia/Tokyo", "debug", "0s"
	within := func(args ...string) *exec.Cmd {
		cmd := exec.Command(args[0], args[1:]...)
		for name, value := range im.env {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: im.uid, Gid: im.gid}}
		return cmd
	}
	if out, err := within(im.health...).CombinedOutput(); errors.Is(err, syscall.EPERM) {
		t.Skip("this machine lets nobody change the root")
	} else if err == nil {
		t.Errorf("healthy before it runs: %s", out)
	}
	if out, err := within(append(slices.Clone(im.entry), "keys", "generate", "--out", "/data/master.key")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	n, err := launchCommand(within(append(slices.Clone(im.entry), im.cmd...)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.kill(); keep(t, n) })
	if out, err := within(im.health...).CombinedOutput(); err != nil {
		t.Errorf("not healthy: %v\n%s", err, out)
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(n.cmd.Process.Pid) + "/status")
	if err != nil || !strings.Contains(string(status), "\nUid:\t65532\t65532\t65532\t65532\n") {
		t.Errorf("whose process: %v\n%s", err, status)
	}
	if info, err := os.Stat(filepath.Join(root, "data", "watchword.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the database: %v, %v", info, err)
	}
	if status, _ := n.stop(t); status != 0 {
		t.Errorf("it ended with %d", status)
	}
	if log := n.log.String(); !strings.Contains(log, "+09:00") || !strings.HasPrefix(log, "{") {
		t.Errorf("the log is no JSON, or knows no time zones:\n%s", log)
	}
}

// TestImageFiles: the stages before the last find what they copy.
func TestImageFiles(t *testing.T) {
	vars := variables(t)
	im := readImage(t)
	for name := range im.env {
		if !vars[name] {
			t.Errorf("the program reads no %s", name)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^COPY ([^-\n].*) \S+$`).FindAllStringSubmatch(readDeploy(t, "Dockerfile"), -1) {
		for _, path := range strings.Fields(m[1]) {
			if _, err := os.Stat(filepath.Join("../..", path)); err != nil {
				t.Errorf("COPY: %v", err)
			}
		}
	}
	for _, m := range regexp.MustCompile(`WATCHWORD_[A-Z_]+`).FindAllString(readDeploy(t, "Dockerfile"), -1) {
		if !vars[m] {
			t.Errorf("the program reads no %s", m)
		}
	}
}

// composed is what is looked at of a compose file.
type composed struct {
	Services map[string]struct {
		Build       struct{ Context, Dockerfile string }
		DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
		Environment map[string]string
		Secrets     []string
		Volumes     []string
		ReadOnly    bool `yaml:"read_only"`
		Healthcheck any
		Networks    map[string]struct {
			Address string `yaml:"ipv4_address"`
		}
	}
	Networks map[string]struct {
		IPAM struct{ Config []struct{ Subnet string } }
	}
	Volumes map[string]any
	Secrets map[string]struct{ File string }
}

func composeOf(t *testing.T) (c composed) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(readDeploy(t, "compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCompose: what the compose file refers to is there, and the server trusts the
// proxy that stands before it, and nobody else.
func TestCompose(t *testing.T) {
	c, vars := composeOf(t), variables(t)
	for name, s := range c.Services {
		for on, how := range s.DependsOn {
			other, is := c.Services[on]
			if !is || how.Condition != "service_healthy" || other.Healthcheck == nil && other.Build.Dockerfile == "" {
				t.Errorf("%s waits for %s, of whose health nothing is known", name, on)
			}
		}
		for _, secret := range s.Secrets {
			if c.Secrets[secret].File == "" {
				t.Errorf("%s wants the secret %s, which is nowhere", name, secret)
			}
		}
		for variable, value := range s.Environment {
			if strings.HasPrefix(variable, "WATCHWORD_") && !vars[variable] {
				t.Errorf("the program reads no %s", variable)
			}
			if secret, is := strings.CutPrefix(value, "/run/secrets/"); is && !slices.Contains(s.Secrets, secret) {
				t.Errorf("%s is not given %s", name, value)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, named := c.Volumes[from]; named {
				continue
			}
			if _, err := os.Stat(deploy + from); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for network := range s.Networks {
			if _, is := c.Networks[network]; !is {
				t.Errorf("%s is in the network %s, which is nowhere", name, network)
			}
		}
	}
	w, proxy := c.Services["watchword"], c.Services["caddy"].Networks["front"].Address
	if w.Environment["WATCHWORD_TRUSTED_PROXIES"] != proxy || !w.ReadOnly {
		t.Errorf("the proxy is %s, and trusted is %+v", proxy, w.Environment)
	}
	if p, err := netip.ParsePrefix(c.Networks["front"].IPAM.Config[0].Subnet); err != nil || !p.Contains(netip.MustParseAddr(proxy)) {
		t.Errorf("%s is not in %v: %v", proxy, p, err)
	}
	if _, err := os.Stat(filepath.Join(deploy, w.Build.Context, w.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
}

// TestUnit: systemd understands the unit and finds it hardened; what is set of the
// program is something it reads.
func TestUnit(t *testing.T) {
	unit := readDeploy(t, "watchword.service")
	vars, loaded := variables(t), map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#?LoadCredential=([^:]+):/`).FindAllStringSubmatch(unit, -1) {
		loaded[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^#?Environment=([A-Z_]+)=(.+)$`).FindAllStringSubmatch(unit, -1) {
		if !vars[m[1]] {
			t.Errorf("the program reads no %s", m[1])
		}
		if name, is := strings.CutPrefix(m[2], "%d/"); is && !loaded[name] {
			t.Errorf("%s is not loaded", m[2])
		}
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("without systemd-analyze the unit is only read")
	}
	const installed = "/usr/local/bin/watchword"
	if !strings.Contains(unit, "ExecStart="+installed+" serve\n") {
		t.Error("the unit does not start the server")
	}
	path := filepath.Join(t.TempDir(), "watchword.service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(unit, "="+installed, "="+binary)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput(); err != nil || strings.Contains(string(out), "watchword.service") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	if out, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--threshold=15", path).CombinedOutput(); err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
}

// TestProxies: the proxies write who asks anew, let nobody claim a certificate,
// pass on what is held at once, and wait for longer than it is held.
func TestProxies(t *testing.T) {
	nginx := readDeploy(t, "nginx.conf")
	for _, want := range []string{"proxy_set_header X-Forwarded-For $remote_addr;", `proxy_set_header Client-Cert "";`, "proxy_buffering off;", "location ^~ /metrics {"} {
		if !strings.Contains(nginx, want) {
			t.Errorf("nginx.conf: no %s", want)
		}
	}
	var patience float64
	if m := regexp.MustCompile(`proxy_read_timeout (\d+)s;`).FindStringSubmatch(nginx); m != nil {
		patience, _ = strconv.ParseFloat(m[1], 64)
	}
	if patience < journey.MaxHold.Seconds()+5 {
		t.Errorf("nginx waits %v s and a request is held for %v", patience, journey.MaxHold)
	}
	caddy := readDeploy(t, "Caddyfile")
	for _, want := range []string{"reverse_proxy", "header_up -Client-Cert", "flush_interval -1", "path /metrics /metrics/*"} {
		if !strings.Contains(caddy, want) {
			t.Errorf("Caddyfile: no %s", want)
		}
	}
	if strings.Contains(caddy, "trusted_proxies") { // else it writes X-Forwarded-For anew
		t.Error("Caddyfile: visitors may say where they come from")
	}
	given := maps.Keys(composeOf(t).Services["caddy"].Environment)
	for _, m := range regexp.MustCompile(`\{\$([A-Z]+)\}`).FindAllStringSubmatch(caddy, -1) {
		if !slices.Contains(slices.Collect(given), m[1]) {
			t.Errorf("Caddyfile: nobody sets %s", m[1])
		}
	}
}
