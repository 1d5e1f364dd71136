package passkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// catalogue is the authenticator models that the FIDO Metadata Service knows (FIDO
// MDS 3.1), by AAGUID.
type catalogue struct {
	until time.Time // when the next list was to come
	by    map[string]model
}

type model struct {
	roots []*x509.Certificate
	bad   bool // a status says that its keys are not safe
}

// grace is how long a list counts after the next one was to come.
const grace = 30 * 24 * time.Hour

// unsafe are the statuses of keys that somebody else may have or use (MDS 3.1.4).
var unsafe = []string{"REVOKED", "USER_VERIFICATION_BYPASS", "ATTESTATION_KEY_COMPROMISE", "USER_KEY_REMOTE_COMPROMISE", "USER_KEY_PHYSICAL_COMPROMISE"}

// metadataRoots sign the list: GlobalSign's R46 and R3.
//
//go:embed metadata_roots.pem
var metadataRoots []byte

// metadataHost is whom the signing certificate must be for.
const metadataHost = "mds.fidoalliance.org"

// lists are those that were read, by path. A file that did not change is not read
// again.
var lists = struct {
	sync.Mutex
	by map[string]listed
}{by: map[string]listed{}}

type listed struct {
	at   time.Time
	size int64
	catalogue
	err error
}

// vouchedFor returns what the list at path says of a model; false if it says
// nothing, and an error if there is no list that counts.
func vouchedFor(path, aaguid string, now time.Time) (model, bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return model{}, false, err
	}
	lists.Lock()
	defer lists.Unlock()
	l, have := lists.by[path]
	if !have || !l.at.Equal(info.ModTime()) || l.size != info.Size() {
		l = listed{at: info.ModTime(), size: info.Size()}
		var text []byte
		if text, l.err = readList(path, info); l.err == nil {
			l.catalogue, l.err = readModels(text, metadataRoots, now)
		}
		lists.by[path] = l
	}
	if l.err == nil && now.After(l.until.Add(grace)) {
		return model{}, false, errors.New("the list of authenticator models is older than a month")
	}
	m, ok := l.by[strings.ToLower(aaguid)]
	return m, ok, l.err
}

// maxList is how large a list may be: the service's has some megabytes.
const maxList = 64 << 20

// readList reads a file, and nothing else that has a path: a device or a file of
// /proc would never end, or keep everybody waiting who registers a passkey.
func readList(path string, info os.FileInfo) ([]byte, error) {
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > maxList {
		return nil, errors.New("the list of authenticator models is no file of at most 64 MiB")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, info.Size()))
}

// readModels reads a signed list. Its certificate must lead to one of roots and be
// for the service, for those roots sign much else.
func readModels(text, roots []byte, now time.Time) (catalogue, error) {
	parts := strings.Split(strings.TrimSpace(string(text)), ".")
	if len(parts) != 3 {
		return catalogue{}, errors.New("the list of authenticator models is no JWS")
	}
	var head struct {
		Alg string   `json:"alg"`
		X5C [][]byte `json:"x5c"`
	}
	if err := decodePart(parts[0], &head); err != nil {
		return catalogue{}, err
	}
	leaf, err := signerOf(head.X5C, roots, now)
	if err != nil {
		return catalogue{}, err
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !signedBy(leaf, head.Alg, parts[0]+"."+parts[1], sig) {
		return catalogue{}, errors.New("the list of authenticator models is not signed")
	}
	var list struct {
		Next    string `json:"nextUpdate"`
		Entries []struct {
			AAGUID    string `json:"aaguid"`
			Statement struct {
				Roots [][]byte `json:"attestationRootCertificates"`
			} `json:"metadataStatement"`
			Reports []struct {
				Status string `json:"status"`
				From   string `json:"effectiveDate"`
			} `json:"statusReports"`
		} `json:"entries"`
	}
	if err := decodePart(parts[1], &list); err != nil {
		return catalogue{}, err
	}
	out := catalogue{by: map[string]model{}}
	if out.until, err = time.Parse(time.DateOnly, list.Next); err != nil {
		return catalogue{}, fmt.Errorf("the list of authenticator models has no end: %w", err)
	}
	for _, e := range list.Entries {
		var m model
		for _, der := range e.Statement.Roots {
			if cert, err := x509.ParseCertificate(der); err == nil {
				m.roots = append(m.roots, cert)
			}
		}
		for _, r := range e.Reports {
			from, _ := time.Parse(time.DateOnly, r.From)
			m.bad = m.bad || slices.Contains(unsafe, r.Status) && !now.Before(from)
		}
		if e.AAGUID != "" {
			out.by[strings.ToLower(e.AAGUID)] = m
		}
	}
	return out, nil
}

func decodePart(part string, v any) error {
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return fmt.Errorf("the list of authenticator models cannot be read: %w", err)
	}
	return nil
}

// signerOf is the certificate of a chain that leads to one of roots.
func signerOf(chain [][]byte, roots []byte, now time.Time) (*x509.Certificate, error) {
	var leaf *x509.Certificate
	between := x509.NewCertPool()
	for _, der := range chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		if leaf == nil {
			leaf = cert
		} else {
			between.AddCert(cert)
		}
	}
	if leaf == nil || leaf.VerifyHostname(metadataHost) != nil && leaf.Subject.CommonName != metadataHost {
		return nil, errors.New("the list of authenticator models is signed by somebody else")
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: pool(certificates(roots)), Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return leaf, err
}

func signedBy(cert *x509.Certificate, alg, text string, sig []byte) bool {
	sum := sha256.Sum256([]byte(text))
	switch k := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return alg == "RS256" && rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], sig) == nil
	case *ecdsa.PublicKey:
		return alg == "ES256" && len(sig) == 64 && ecdsa.Verify(k, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	}
	return false
}

// certificates are those of a PEM text.
func certificates(text []byte) []*x509.Certificate {
	var out []*x509.Certificate
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(b.Bytes); err == nil {
			out = append(out, cert)
		}
	}
	return out
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// vouching are whose certificates vouch for a model: those that the operator
// trusts, and those that the list has for it. compromised says that its keys are
// not safe. A list that does not count is an error.
func (r relying) vouching(aaguid string) (trust []*x509.Certificate, compromised bool, err error) {
	trust = certificates([]byte(r.Roots))
	if r.Metadata == "" {
		return trust, false, nil
	}
	m, _, err := vouchedFor(r.Metadata, aaguid, r.now)
	return append(trust, m.roots...), m.bad, err
}
