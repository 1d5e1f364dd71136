package mobilekey

import (
	"bytes"
	"context"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
)

// maxStatement is how long an attestation may be, as base64.
const maxStatement = 24 << 10

// The formats of an attestation.
const (
	androidKey = "android-key"
	appAttest  = "apple-appattest"
)

// attestation is an application's policy on who must vouch for a biometric key.
// PINs have none: their keys live in no hardware that could.
type attestation struct {
	Attestation   string   `json:"attestation"`
	Level         string   `json:"security_level"`
	BiometricOnly bool     `json:"biometric_only"`
	Packages      []string `json:"android_packages"`
	Signers       []string `json:"android_signers"`
	MinPatch      int      `json:"min_patch_level"`
	AppIDs        []string `json:"apple_app_ids"`
	Development   bool     `json:"apple_development"`
	RevocationURL string   `json:"revocation_url"`
	Roots         string   `json:"attestation_roots"`
}

func attestationFields() []form.Field {
	list := func(name, label, example string) form.Field {
		return form.List(name, label, form.New(form.Text("", example, form.MaxLen(255))), form.Between(0, 50))
	}
	return form.New(
		form.Choice("attestation", "Who vouches for new keys", []string{"off", "log", "enforce"}, form.Default("off"), form.Named, form.Read("off", "Nobody", "log", "The maker, if it does", "enforce", "The maker, always"),
			form.Help("Android Key Attestation or Apple App Attest. log: keys without are taken and noted. enforce: they are refused.")),
		form.Choice("security_level", "Android keys live at least in", []string{"software", "tee", "strongbox"}, form.Default("tee"), form.Named, form.Read("software", "Software", "tee", "A trusted environment", "strongbox", "A chip of their own")),
		form.Boolean("biometric_only", "Android keys open for biometrics alone", form.Default(true), form.Help("Otherwise the phone's PIN or pattern will do, too.")),
		list("android_packages", "Android apps", "Package name"),
		list("android_signers", "Certificates that sign them", "SHA-256 as hex"),
		form.Number("min_patch_level", "Oldest Android security patch", form.Default(0), form.Between(0, 299912), form.Help("Such as 202601; 0: any.")),
		list("apple_app_ids", "Apple apps", "TEAMID.bundle.id"),
		form.Boolean("apple_development", "Take Apple's development attestations", form.Default(false)),
		form.Text("revocation_url", "List of revoked Android certificates", form.Default("https://android.googleapis.com/attestation/status"), form.MaxLen(500), form.Help("Empty: none is asked.")),
		form.Text("attestation_roots", "Roots, as PEM", form.Lines, form.MaxLen(64<<10), form.Help("Empty: Google's and Apple's.")),
	)
}

func lintAttestation(doc map[string]any) []authn.Note {
	if doc["attestation"] == "enforce" {
		if rows(doc["android_packages"])+rows(doc["apple_app_ids"]) == 0 {
			return []authn.Note{{Code: "biometric_no_app", Severity: authn.Warning, Field: "android_packages", Message: "No app is named, so no phone can register.", Ref: "DESIGN 2.20"}}
		}
		return nil
	}
	return []authn.Note{{Code: "biometric_unattested", Severity: authn.Advice, Field: "attestation", Message: "Nobody vouches that the key is in hardware and opens for its owner alone.", Ref: "NIST SP 800-63B-4 3.2.3, 3.2.4"}}
}

func rows(v any) int { list, _ := v.([]any); return len(list) }

func (a attestation) wanted() bool { return a.Attestation == "log" || a.Attestation == "enforce" }

// NotVouched is the answer to a key that nobody vouches for, where that is asked
// for.
var NotVouched = fault.New(fault.Denied, "This phone could not show that the key is safe in it.")

// Vouched is what vouches for a key, as Vouch found it. Its zero value: nothing
// does.
type Vouched struct {
	format string
	spki   []byte
	why    error // why it does not
}

// statement is how an app hands over an attestation: as JSON, in base64.
type statement struct {
	Format string   `json:"format"`
	Chain  [][]byte `json:"chain,omitempty"`       // android-key: DER certificates, the key's own first
	Object []byte   `json:"attestation,omitempty"` // apple-appattest: the CBOR object
}

// Vouch judges an attestation of a key. challenge must be what the server made
// for this registration. It may call out for the list of revoked certificates,
// so it runs outside any transaction. What is wrong with the attestation is in
// the value; an error is an outage.
//
// Android: developer.android.com, "Verify hardware-backed key pairs with key
// attestation"; the challenge is the attestation's own. Apple: "Validating apps
// that connect to your server"; the client data are the challenge, a dot, and the
// hex SHA-256 of the key's SPKI bytes, because App Attest vouches for the app and
// the app for its key.
func Vouch(ctx context.Context, q db.Q, app apps.ID, kind authn.Kind, challenge, publicKey, encoded string) (Vouched, error) {
	var set settings
	if err := authn.Settings(ctx, q, app, kind, &set); err != nil {
		return Vouched{}, outage(err) // whether the method is on is judged when it enrols
	}
	if !set.wanted() || encoded == "" {
		return Vouched{}, nil
	}
	pub, err := directory.ParseKey(publicKey)
	if err != nil {
		return Vouched{why: err}, nil
	}
	var st statement
	if st, err = readStatement(encoded); err == nil && challenge == "" {
		err = errors.New("there was no challenge")
	}
	if err == nil {
		err = set.judge(ctx, st, challenge, pub, q.Now())
	}
	return Vouched{st.Format, pub.SPKI(), err}, nil
}

// outage drops refusals and keeps what is broken.
func outage(err error) error {
	if c := fault.Of(err).Code; c == fault.Internal || c == fault.Unavailable {
		return err
	}
	return nil
}

func readStatement(encoded string) (statement, error) {
	var st statement
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		b, err = base64.RawURLEncoding.DecodeString(encoded)
	}
	if err != nil {
		return st, errors.New("it is not base64")
	}
	if err := json.Unmarshal(b, &st); err != nil {
		return st, errors.New("it is not JSON")
	}
	return st, nil
}

func (a attestation) judge(ctx context.Context, st statement, challenge string, pub directory.Key, now time.Time) error {
	switch st.Format {
	case androidKey:
		return a.android(ctx, st.Chain, challenge, pub, now)
	case appAttest:
		return a.apple(st.Object, challenge, pub, now)
	}
	return errors.New("it is of no known format")
}

// accept decides whether a key may be enrolled with what vouches for it, and
// returns what that is.
func (a attestation) accept(ctx context.Context, tx *db.Tx, s authn.Subject, v Vouched, pub directory.Key) (string, error) {
	if !a.wanted() {
		return "", nil
	}
	why := "missing"
	switch {
	case v.why != nil:
		why = v.why.Error()
	case v.format != "" && bytes.Equal(v.spki, pub.SPKI()):
		return v.format, nil
	}
	err := audit.Record(ctx, tx, audit.Event{Tenant: string(s.Tenant), App: string(s.App), Type: "attestation.failed", Target: string(s.User), Outcome: "failure", Reason: why, Data: map[string]any{"kind": string(s.Kind)}})
	if err == nil && a.Attestation == "enforce" {
		err = NotVouched
	}
	return "", err
}

//go:embed roots/google.pem
var googleRoots []byte

//go:embed roots/apple.pem
var appleRoots []byte

// chain verifies certificates up to the operator's roots, or those that come with
// the server, and returns the first.
func (a attestation) chain(ders [][]byte, builtin []byte, now time.Time) ([]*x509.Certificate, error) {
	if len(ders) == 0 || len(ders) > 8 {
		return nil, errors.New("it has no chain of certificates")
	}
	if a.Roots != "" {
		builtin = []byte(a.Roots)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for rest := builtin; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a root cannot be read: %w", err)
		}
		roots.AddCert(cert)
	}
	var certs []*x509.Certificate
	for _, der := range ders {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, errors.New("a certificate cannot be read")
		}
		if len(certs) > 0 {
			between.AddCert(cert)
		}
		certs = append(certs, cert)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, errors.New("its certificates lead to no root")
	}
	return certs, nil
}

func oneOf(list []string, have ...string) bool {
	return slices.ContainsFunc(have, func(s string) bool { return slices.Contains(list, s) })
}
