package passkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/fault"
)

// service signs lists as the FIDO Metadata Service does, under a root of its own.
type service struct {
	root   *x509.Certificate
	ca     *ecdsa.PrivateKey
	signer crypto.Signer
	leaf   *x509.Certificate
}

var then = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func newService(t *testing.T, host string, key crypto.Signer) service {
	t.Helper()
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	make := func(name string, isCA bool, parent *x509.Certificate, public any) *x509.Certificate {
		c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: then.AddDate(-1, 0, 0), NotAfter: then.AddDate(1, 0, 0), IsCA: isCA, BasicConstraintsValid: true}
		if !isCA {
			c.DNSNames = []string{name}
		}
		if parent == nil {
			parent = c
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, public, ca)
		if err != nil {
			t.Fatal(err)
		}
		out, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	root := make("Root", true, nil, &ca.PublicKey)
	return service{root, ca, key, make(host, false, root, key.Public())}
}

func (s service) roots() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.root.Raw})
}

func (s service) list(t *testing.T, next string, entries ...any) string {
	t.Helper()
	alg := "ES256"
	if _, ok := s.signer.(*rsa.PrivateKey); ok {
		alg = "RS256"
	}
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(map[string]any{"alg": alg, "typ": "JWT", "x5c": []any{s.leaf.Raw}}) + "." + part(map[string]any{"no": 1, "nextUpdate": next, "entries": entries})
	sum := sha256.Sum256([]byte(text))
	var sig []byte
	switch k := s.signer.(type) {
	case *rsa.PrivateKey:
		sig, _ = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		r, q, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		sig = append(r.FillBytes(make([]byte, 32)), q.FillBytes(make([]byte, 32))...)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func entry(aaguid string, root []byte, statuses ...string) map[string]any {
	var reports []any
	for _, s := range statuses {
		reports = append(reports, map[string]any{"status": s, "effectiveDate": "2026-01-01"})
	}
	return map[string]any{"aaguid": aaguid, "metadataStatement": map[string]any{"attestationRootCertificates": []any{root}}, "statusReports": reports}
}

// TestMetadataList: a list counts if the service signed it, whole, and not for
// longer than a month after the next was to come.
func TestMetadataList(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const model = "ee882879-721c-4913-9775-3dfcce97072a"
	for _, key := range []crypto.Signer{ec, rsaKey} {
		s := newService(t, metadataHost, key)
		text := s.list(t, "2026-12-01", entry(model, s.root.Raw, "FIDO_CERTIFIED"), entry("00000000-0000-0000-0000-000000000001", s.root.Raw, "FIDO_CERTIFIED", "REVOKED"))
		got, err := readModels([]byte(text), s.roots(), then)
		if err != nil || len(got.by) != 2 || got.by[model].bad || len(got.by[model].roots) != 1 || !got.by["00000000-0000-0000-0000-000000000001"].bad {
			t.Errorf("%+v, %v", got, err)
		}
		parts := strings.Split(text, ".")
		other := newService(t, metadataHost, key)
		elsewhere := newService(t, "shop.example.org", key)
		for what, bad := range map[string]struct {
			text  string
			roots []byte
		}{
			"no signature": {parts[0] + "." + parts[1] + ".", s.roots()}, "another list": {parts[0] + "." + strings.Split(s.list(t, "2027-12-01"), ".")[1] + "." + parts[2], s.roots()},
			"another root": {text, other.roots()}, "somebody else's certificate": {elsewhere.list(t, "2026-12-01"), elsewhere.roots()}, "no list": {"x", s.roots()}, "no end": {s.list(t, ""), s.roots()},
		} {
			if _, err := readModels([]byte(bad.text), bad.roots, then); err == nil {
				t.Errorf("%s counts", what)
			}
		}
	}
	if n := len(certificates(metadataRoots)); n != 2 {
		t.Errorf("%d roots are built in", n)
	}
}

// TestMetadata: whoever the list has a root for is vouched for by it, a model that
// is not safe is refused whatever else is set, and without a list that counts
// nothing is enforced on its word.
func TestMetadata(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t, metadataHost, key)
	defer func(old []byte) { metadataRoots = old }(metadataRoots)
	metadataRoots = s.roots()
	path := filepath.Join(t.TempDir(), "blob")
	stamp := then
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		stamp = stamp.Add(time.Minute)
		if err := os.Chtimes(path, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range vectors(t) {
		name := strings.TrimPrefix(v.ID, "sctn-test-vectors-")
		if v.CA == "" || !strings.HasPrefix(name, "packed-") || name == "packed-ed448" {
			continue
		}
		var res result
		res.Credential.Type = "public-key"
		res.Credential.RawID = unhex(t, v.Registration.CredentialID)
		res.Credential.Response.ClientData = unhex(t, v.Registration.ClientDataJSON)
		res.Credential.Response.Attestation = unhex(t, v.Registration.AttestationObject)
		c := ceremony{Type: creates, Challenge: unhex(t, v.Registration.Challenge), Name: "x"}
		r := relying{settings: settings{RPID: "example.org", AllowSynced: true, Enforce: true, UserVerification: preferred, Metadata: path}, now: then}
		lax := r
		lax.Enforce, lax.Attestation = false, none
		write(s.list(t, "2026-12-01"))
		k, err := r.attested(c, res)
		if k.Attested || err == nil && !k.Eligible {
			t.Errorf("%s, of a model that is not listed: %v", name, err)
		}
		free, err := lax.attested(c, res)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		write(s.list(t, "2026-12-01", entry(free.AAGUID, unhex(t, v.CA), "FIDO_CERTIFIED")))
		if k, err := r.attested(c, res); err != nil || !k.Attested {
			t.Errorf("%s, by the list's root: %v", name, err)
		}
		late := r
		late.now = then.AddDate(0, 2, 0)
		if _, err := late.attested(c, res); err == nil || fault.Is(err, fault.Denied) {
			t.Errorf("%s, by a list of two months ago: %v", name, err)
		}
		write(s.list(t, "2026-12-01", entry(free.AAGUID, unhex(t, v.CA), "FIDO_CERTIFIED", "ATTESTATION_KEY_COMPROMISE")))
		for _, each := range []relying{r, lax} {
			if _, err := each.attested(c, res); err == nil {
				t.Errorf("%s, of a model that is not safe: taken", name)
			}
		}
	}
}

// TestListIsAFile: a path that leads to something else than a file of a size that
// a list has keeps nobody waiting and takes no memory.
func TestListIsAFile(t *testing.T) {
	dir := t.TempDir()
	pipe, huge := filepath.Join(dir, "pipe"), filepath.Join(dir, "huge")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, maxList+1); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, dir, "/dev/null", huge} {
		said := make(chan error, 1)
		go func() { _, _, err := vouchedFor(path, "", then); said <- err }()
		select {
		case err := <-said:
			if err == nil || !strings.Contains(err.Error(), "no file of at most") {
				t.Errorf("%s: %v", path, err)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s keeps everybody waiting", path)
		}
	}
}
