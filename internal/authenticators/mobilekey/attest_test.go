package mobilekey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/web"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// maker is a manufacturer: a root, and a certificate under it that signs for
// phones.
type maker struct {
	root, batch       *x509.Certificate
	rootKey, batchKey *ecdsa.PrivateKey
	serial            int64
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newMaker(t testing.TB) *maker {
	t.Helper()
	m := &maker{rootKey: newKey(t), batchKey: newKey(t)}
	m.root = m.sign(t, "root", nil, m.rootKey, &m.rootKey.PublicKey, true)
	m.batch = m.sign(t, "batch", m.root, m.rootKey, &m.batchKey.PublicKey, true)
	return m
}

func (m *maker) sign(t testing.TB, name string, by *x509.Certificate, key *ecdsa.PrivateKey, pub *ecdsa.PublicKey, ca bool, ext ...pkix.Extension) *x509.Certificate {
	t.Helper()
	m.serial++
	c := &x509.Certificate{SerialNumber: big.NewInt(m.serial + 0xabc0), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: ca, BasicConstraintsValid: true, ExtraExtensions: ext}
	if by == nil {
		by = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (m *maker) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.root.Raw}))
}

// member is one member of an authorization list.
func member(t testing.TB, tag int, v any, params string) []byte {
	t.Helper()
	inner, err := asn1.MarshalWithParams(v, params)
	if err != nil {
		t.Fatal(err)
	}
	out, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: inner})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

type rootOfTrust struct {
	Key    []byte
	Locked bool
	State  asn1.Enumerated
	Hash   []byte
}

type packageInfo struct {
	Name    []byte
	Version int64
}

type applicationID struct {
	Packages []packageInfo `asn1:"set"`
	Signers  [][]byte      `asn1:"set"`
}

// phone is what a test may change of an attested key.
type phone struct {
	level     asn1.Enumerated
	challenge string
	purposes  []int
	auth      int64
	origin    int64
	noAuth    bool
	locked    bool
	state     asn1.Enumerated
	patch     int64
	pkg       string
	signer    []byte
	twice     bool
}

var signer = bytes.Repeat([]byte{7}, 32)

func goodPhone() phone {
	return phone{level: 1, challenge: "the challenge", purposes: []int{2, 3}, auth: 2, locked: true, patch: 202611, pkg: "org.example.app", signer: signer}
}

func (p phone) extension(t testing.TB) pkix.Extension {
	t.Helper()
	id, err := asn1.Marshal(applicationID{[]packageInfo{{[]byte(p.pkg), 1}}, [][]byte{p.signer}})
	if err != nil {
		t.Fatal(err)
	}
	list := func(parts ...[]byte) asn1.RawValue {
		return asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: bytes.Join(parts, nil)}
	}
	hardware := [][]byte{member(t, tagPurpose, p.purposes, "set"), member(t, tagUserAuth, p.auth, ""), member(t, tagOrigin, p.origin, ""),
		member(t, tagRootOfTrust, rootOfTrust{[]byte("k"), p.locked, p.state, []byte("h")}, ""), member(t, tagPatchLevel, p.patch, "")}
	if p.noAuth {
		hardware = append(hardware, member(t, tagNoAuth, asn1.NullRawValue, ""))
	}
	if p.twice {
		hardware = append(hardware, member(t, tagUserAuth, 2, ""))
	}
	software := list(member(t, tagApplicationID, id, ""))
	d := keyDescription{Version: 300, Level: p.level, KeyMint: 300, KeyMintLevel: p.level, Challenge: []byte(p.challenge), UniqueID: []byte{}, Software: software, Hardware: list(hardware...)}
	b, err := asn1.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: keyDescriptionID, Value: b}
}

func parsed(t testing.TB, pub *ecdsa.PublicKey) directory.Key {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	k, err := directory.ParseKeyDER(der)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (m *maker) policy() attestation {
	return attestation{Attestation: "enforce", Level: "tee", BiometricOnly: true, Packages: []string{"org.example.app"}, Signers: []string{strings.ToUpper(hex.EncodeToString(signer))},
		MinPatch: 202601, AppIDs: []string{"TEAM.org.example"}, Roots: m.pem()}
}

// TestAndroid: a good attestation passes, and every single thing that is wrong
// with one is seen.
func TestAndroid(t *testing.T) {
	m := newMaker(t)
	key := newKey(t)
	pub := parsed(t, &key.PublicKey)
	for name, c := range map[string]struct {
		wrong  string // "" if it passes
		phone  func(p *phone)
		policy func(a *attestation)
	}{
		"as it should be":        {},
		"in a secure element":    {phone: func(p *phone) { p.level = 2 }, policy: func(a *attestation) { a.Level = "strongbox" }},
		"by the day":             {phone: func(p *phone) { p.patch = 20260105 }},
		"not in one":             {wrong: "hardware", policy: func(a *attestation) { a.Level = "strongbox" }},
		"in software":            {wrong: "hardware", phone: func(p *phone) { p.level = 0 }},
		"another challenge":      {wrong: "challenge", phone: func(p *phone) { p.challenge = "x" }},
		"imported":               {wrong: "not made in the phone", phone: func(p *phone) { p.origin = 2 }},
		"deciphers":              {wrong: "more than signing", phone: func(p *phone) { p.purposes = []int{1, 2} }},
		"verifies only":          {wrong: "not for signing", phone: func(p *phone) { p.purposes = []int{3} }},
		"opens for anybody":      {wrong: "ask for its owner", phone: func(p *phone) { p.noAuth = true }},
		"opens for a pattern":    {wrong: "ask for its owner", phone: func(p *phone) { p.auth = 1 }},
		"opens for either":       {wrong: "more than biometrics", phone: func(p *phone) { p.auth = 3 }},
		"either, and that is ok": {phone: func(p *phone) { p.auth = 3 }, policy: func(a *attestation) { a.BiometricOnly = false }},
		"unlocked":               {wrong: "verified system", phone: func(p *phone) { p.locked = false }},
		"self-signed system":     {wrong: "verified system", phone: func(p *phone) { p.state = 1 }},
		"an old system":          {wrong: "too old", phone: func(p *phone) { p.patch = 202512 }},
		"another app":            {wrong: "another app", phone: func(p *phone) { p.pkg = "org.evil" }},
		"resigned":               {wrong: "another certificate", phone: func(p *phone) { p.signer = bytes.Repeat([]byte{8}, 32) }},
		"no app is named":        {wrong: "another app", policy: func(a *attestation) { a.Packages = nil }},
		"said twice":             {wrong: "twice", phone: func(p *phone) { p.twice = true }},
	} {
		p, a := goodPhone(), m.policy()
		if c.phone != nil {
			c.phone(&p)
		}
		if c.policy != nil {
			c.policy(&a)
		}
		leaf := m.sign(t, "leaf", m.batch, m.batchKey, &key.PublicKey, false, p.extension(t))
		err := a.android(t.Context(), [][]byte{leaf.Raw, m.batch.Raw, m.root.Raw}, "the challenge", pub, now)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v, want %q", name, err, c.wrong)
		}
	}
}

// TestAndroidChain: whose word it is.
func TestAndroidChain(t *testing.T) {
	m, other := newMaker(t), newMaker(t)
	key := newKey(t)
	pub := parsed(t, &key.PublicKey)
	leaf := m.sign(t, "leaf", m.batch, m.batchKey, &key.PublicKey, false, goodPhone().extension(t))
	a := m.policy()
	fails := func(name, want string, a attestation, certs ...*x509.Certificate) {
		t.Helper()
		var ders [][]byte
		for _, c := range certs {
			ders = append(ders, c.Raw)
		}
		if err := a.android(t.Context(), ders, "the challenge", pub, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	fails("no chain", "no chain", a)
	fails("a link is missing", "no root", a, leaf)
	fails("another maker", "no root", other.policy(), leaf, m.batch)
	a.Roots = ""
	fails("not Google", "no root", a, leaf, m.batch)
	a.Roots = m.pem()
	plain := m.sign(t, "leaf", m.batch, m.batchKey, &key.PublicKey, false)
	fails("no description", "describe", a, plain, m.batch)
	swapped := newKey(t)
	fails("of another key", "another key", a, m.sign(t, "leaf", m.batch, m.batchKey, &swapped.PublicKey, false, goodPhone().extension(t)), m.batch)
	// An attested key that can sign certificates vouches for nothing, even if
	// somebody made its certificate a CA's.
	attested := newKey(t)
	between := m.sign(t, "attested", m.batch, m.batchKey, &attested.PublicKey, true, goodPhone().extension(t))
	forged := m.sign(t, "forged", between, attested, &key.PublicKey, false, goodPhone().extension(t))
	fails("signed in the phone", "in the phone", a, forged, between, m.batch)

	list := `{"entries":{}}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if list == "" {
			w.WriteHeader(http.StatusBadGateway)
		}
		_, _ = w.Write([]byte(list))
	}))
	defer s.Close()
	was := outgoing
	defer func() { outgoing = was }()
	outgoing = web.Egress(web.EgressOptions{Allow: []string{strings.TrimPrefix(s.URL, "http://")}})
	a.RevocationURL = s.URL + "/1"
	if err := a.android(t.Context(), [][]byte{leaf.Raw, m.batch.Raw}, "the challenge", pub, now); err != nil {
		t.Errorf("nothing revoked: %v", err)
	}
	list = `{"entries":{"` + m.batch.SerialNumber.Text(16) + `":{"status":"REVOKED"}}}`
	a.RevocationURL = s.URL + "/2"
	fails("revoked", "revoked", a, leaf, m.batch)
	list = ""
	a.RevocationURL = s.URL + "/3"
	fails("no list", "away", a, leaf, m.batch)
}

// app is what a test may change of an App Attest object.
type app struct {
	id, environment, challenge string
	count                      uint32
	keyID                      []byte
}

func (m *maker) object(t testing.TB, a app, pub directory.Key) []byte {
	t.Helper()
	key := newKey(t)
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	id := sha256.Sum256(point)
	if a.keyID == nil {
		a.keyID = id[:]
	}
	h := sha256.Sum256([]byte(a.id))
	data := append(h[:], 0x40)
	data = binary.BigEndian.AppendUint32(data, a.count)
	data = append(data, a.environment...)
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(a.keyID))), a.keyID...)
	client := sha256.Sum256([]byte(a.challenge + "." + pub.ID()))
	nonce := sha256.Sum256(append(bytes.Clone(data), client[:]...))
	ext, err := asn1.Marshal(struct {
		Nonce []byte `asn1:"tag:1,explicit"`
	}{nonce[:]})
	if err != nil {
		t.Fatal(err)
	}
	leaf := m.sign(t, "credential", m.batch, m.batchKey, &key.PublicKey, false, pkix.Extension{Id: appleNonceID, Value: ext})
	b, err := cbor.Marshal(map[string]any{"fmt": appAttest, "attStmt": map[string]any{"x5c": [][]byte{leaf.Raw, m.batch.Raw}, "receipt": []byte("r")}, "authData": data})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestApple is the list of checks of Apple's "Validating apps that connect to
// your server", each failed once.
func TestApple(t *testing.T) {
	m, other := newMaker(t), newMaker(t)
	key, second := newKey(t), newKey(t)
	pub := parsed(t, &key.PublicKey)
	good := app{id: "TEAM.org.example", environment: appleProduction, challenge: "the challenge"}
	for name, c := range map[string]struct {
		wrong  string
		app    func(a *app)
		policy func(a *attestation)
		by     *maker
		pub    directory.Key
	}{
		"as it should be":      {},
		"in development":       {wrong: "environment", app: func(a *app) { a.environment = appleDevelopment }},
		"where that is taken":  {app: func(a *app) { a.environment = appleDevelopment }, policy: func(a *attestation) { a.Development = true }},
		"another environment":  {wrong: "environment", app: func(a *app) { a.environment = "somewhere-else-x" }, policy: func(a *attestation) { a.Development = true }},
		"another challenge":    {wrong: "challenge", app: func(a *app) { a.challenge = "x" }},
		"for another key":      {wrong: "challenge or key", pub: parsed(t, &second.PublicKey)},
		"another app":          {wrong: "another app", app: func(a *app) { a.id = "EVIL.org.example" }},
		"no app is named":      {wrong: "another app", policy: func(a *attestation) { a.AppIDs = nil }},
		"used before":          {wrong: "used before", app: func(a *app) { a.count = 1 }},
		"names another key":    {wrong: "names another", app: func(a *app) { a.keyID = make([]byte, 32) }},
		"not Apple":            {wrong: "no root", by: other},
		"not Apple, by itself": {wrong: "no root", policy: func(a *attestation) { a.Roots = "" }},
	} {
		a, p, by, of := good, m.policy(), m, pub
		if c.app != nil {
			c.app(&a)
		}
		if c.policy != nil {
			c.policy(&p)
		}
		if c.by != nil {
			by = c.by
		}
		if c.pub.SPKI() != nil {
			of = c.pub
		}
		err := p.apple(by.object(t, a, of), "the challenge", pub, now)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v, want %q", name, err, c.wrong)
		}
	}
}

// TestBuiltinRoots: the roots that come with the server can be read.
func TestBuiltinRoots(t *testing.T) {
	for name, c := range map[string]struct {
		pem   []byte
		count int
	}{"google": {googleRoots, 5}, "apple": {appleRoots, 1}} {
		n := 0
		for rest := c.pem; ; n++ {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if err := cert.CheckSignatureFrom(cert); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n != c.count {
			t.Errorf("%s: %d roots, want %d", name, n, c.count)
		}
	}
}

// FuzzStatement: whatever an app sends, nothing panics and nothing passes.
func FuzzStatement(f *testing.F) {
	m := newMaker(f)
	key := newKey(f)
	pub := parsed(f, &key.PublicKey)
	leaf := m.sign(f, "leaf", m.batch, m.batchKey, &key.PublicKey, false, goodPhone().extension(f))
	good, err := json.Marshal(statement{Format: androidKey, Chain: [][]byte{leaf.Raw, m.batch.Raw}})
	if err != nil {
		f.Fatal(err)
	}
	apple, err := json.Marshal(statement{Format: appAttest, Object: m.object(f, app{id: "TEAM.org.example", environment: appleProduction, challenge: "c"}, pub)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(base64.StdEncoding.EncodeToString(good))
	f.Add(base64.StdEncoding.EncodeToString(apple))
	f.Add("")
	f.Fuzz(func(t *testing.T, encoded string) {
		st, err := readStatement(encoded)
		if err != nil {
			return
		}
		if m.policy().judge(t.Context(), st, "never said", pub, now) == nil {
			t.Error("it passed")
		}
		for _, der := range st.Chain {
			if c, err := x509.ParseCertificate(der); err == nil {
				if d, err := description([]*x509.Certificate{c}); err == nil {
					_ = m.policy().allowed(d)
				}
			}
		}
	})
}
