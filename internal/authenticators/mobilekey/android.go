package mobilekey

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/web"
)

// keyDescription is the extension of an attested key's certificate. What follows
// the members that are read here differs between versions.
var keyDescriptionID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 1, 17}

type keyDescription struct {
	Version      int
	Level        asn1.Enumerated
	KeyMint      int
	KeyMintLevel asn1.Enumerated
	Challenge    []byte
	UniqueID     []byte
	Software     asn1.RawValue
	Hardware     asn1.RawValue
}

// The tags of an authorization list that are judged.
const (
	tagPurpose       = 1
	tagNoAuth        = 503
	tagUserAuth      = 504
	tagOrigin        = 702
	tagRootOfTrust   = 704
	tagPatchLevel    = 706
	tagApplicationID = 709
)

const (
	purposeSign   = 2
	purposeVerify = 3
	authBiometric = 2 // of HardwareAuthenticatorType, a bit set
	levelSoftware = 0
)

var levels = map[string]asn1.Enumerated{"software": levelSoftware, "tee": 1, "strongbox": 2}

// authorizations are the members of an authorization list by their tags.
type authorizations map[int][]byte

func readAuthorizations(raw asn1.RawValue) (authorizations, error) {
	out := authorizations{}
	for rest := raw.Bytes; len(rest) > 0; {
		var v asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &v); err != nil || v.Class != asn1.ClassContextSpecific {
			return nil, errors.New("what the key may do cannot be read")
		}
		if _, twice := out[v.Tag]; twice {
			return nil, errors.New("what the key may do is said twice")
		}
		out[v.Tag] = v.Bytes
	}
	return out, nil
}

// number reads an integer member; ok is false if there is none.
func (a authorizations) number(tag int) (n int64, ok bool) {
	raw, has := a[tag]
	if !has {
		return 0, false
	}
	rest, err := asn1.Unmarshal(raw, &n)
	return n, err == nil && len(rest) == 0
}

// android judges an Android Key Attestation.
func (a attestation) android(ctx context.Context, ders [][]byte, challenge string, pub directory.Key, now time.Time) error {
	certs, err := a.chain(ders, googleRoots, now)
	if err != nil {
		return err
	}
	if !bytes.Equal(certs[0].RawSubjectPublicKeyInfo, pub.SPKI()) {
		return errors.New("it vouches for another key")
	}
	d, err := description(certs)
	if err != nil {
		return err
	}
	if string(d.Challenge) != challenge {
		return errors.New("it is for another challenge")
	}
	least := levels[a.Level]
	if d.Level < least || d.KeyMintLevel < least {
		return errors.New("the key is not in hardware that is safe enough")
	}
	if err := a.allowed(d); err != nil {
		return err
	}
	return a.revoked(ctx, certs, now)
}

// description is what the key's own certificate says. A certificate further up
// that says so, too, would be an attested key that signs for others.
func description(certs []*x509.Certificate) (keyDescription, error) {
	var d keyDescription
	found := false
	for i, c := range certs {
		for _, e := range c.Extensions {
			if !e.Id.Equal(keyDescriptionID) {
				continue
			}
			if i > 0 {
				return d, errors.New("a key in the phone signed it")
			}
			if rest, err := asn1.Unmarshal(e.Value, &d); err != nil || len(rest) > 0 {
				return d, errors.New("its description of the key cannot be read")
			}
			found = true
		}
	}
	if !found {
		return d, errors.New("it does not describe the key")
	}
	return d, nil
}

func (a attestation) allowed(d keyDescription) error {
	software, err := readAuthorizations(d.Software)
	if err != nil {
		return err
	}
	hardware, err := readAuthorizations(d.Hardware)
	if err != nil {
		return err
	}
	by := hardware
	if d.KeyMintLevel == levelSoftware { // where the operator takes that
		by = software
	}
	if err := a.owner(by, software, hardware); err != nil {
		return err
	}
	if d.KeyMintLevel != levelSoftware {
		if err := booted(hardware[tagRootOfTrust]); err != nil {
			return err
		}
	}
	if patch, _ := hardware.number(tagPatchLevel); a.MinPatch > 0 && patch/pow100(patch) < int64(a.MinPatch) {
		return errors.New("the phone's system is too old")
	}
	return a.app(software[tagApplicationID])
}

// pow100 brings a patch level of YYYYMMDD to YYYYMM.
func pow100(patch int64) int64 {
	if patch > 999999 {
		return 100
	}
	return 1
}

// owner checks that the key was made in the phone, only signs, and opens for its
// owner.
func (a attestation) owner(by, software, hardware authorizations) error {
	if origin, ok := by.number(tagOrigin); !ok || origin != 0 {
		return errors.New("the key was not made in the phone")
	}
	var purposes []int
	if rest, err := asn1.UnmarshalWithParams(by[tagPurpose], &purposes, "set"); err != nil || len(rest) > 0 || !slices.Contains(purposes, purposeSign) {
		return errors.New("the key is not for signing")
	}
	if slices.ContainsFunc(purposes, func(p int) bool { return p != purposeSign && p != purposeVerify }) {
		return errors.New("the key is for more than signing")
	}
	_, soft := software[tagNoAuth]
	_, hard := hardware[tagNoAuth]
	auth, ok := by.number(tagUserAuth)
	switch {
	case soft || hard || !ok || auth&authBiometric == 0:
		return errors.New("the key does not ask for its owner")
	case a.BiometricOnly && auth != authBiometric:
		return errors.New("the key opens for more than biometrics")
	}
	return nil
}

// booted checks that the phone runs a system its maker signed.
func booted(raw []byte) error {
	var root struct {
		Key    []byte
		Locked bool
		State  asn1.Enumerated
		Hash   []byte `asn1:"optional"`
	}
	if rest, err := asn1.Unmarshal(raw, &root); err != nil || len(rest) > 0 || !root.Locked || root.State != 0 {
		return errors.New("the phone does not run a verified system")
	}
	return nil
}

// app checks which app made the key. Any app can make an attested key, so an
// application that names none of its own gets none.
func (a attestation) app(raw []byte) error {
	var octets []byte
	var id struct {
		Packages []struct {
			Name    []byte
			Version int64
		} `asn1:"set"`
		Signers [][]byte `asn1:"set"`
	}
	if _, err := asn1.Unmarshal(raw, &octets); err != nil {
		return errors.New("it does not say which app made the key")
	}
	if rest, err := asn1.Unmarshal(octets, &id); err != nil || len(rest) > 0 || len(id.Packages) == 0 || len(id.Signers) == 0 {
		return errors.New("it does not say which app made the key")
	}
	for _, p := range id.Packages {
		if !oneOf(a.Packages, string(p.Name)) {
			return errors.New("another app made the key")
		}
	}
	for _, s := range id.Signers {
		plain := hex.EncodeToString(s)
		if !slices.ContainsFunc(a.Signers, func(want string) bool {
			return strings.EqualFold(strings.ReplaceAll(want, ":", ""), plain)
		}) {
			return errors.New("another certificate signed the app")
		}
	}
	return nil
}

// outgoing is the guarded client that fetches the list of revoked certificates.
var outgoing = web.Egress(web.EgressOptions{})

// lists keeps what was fetched for a day.
var lists = struct {
	sync.Mutex
	at  map[string]time.Time
	bad map[string]map[string]bool // by address: serial numbers as lower-case hex
}{at: map[string]time.Time{}, bad: map[string]map[string]bool{}}

// revoked checks the chain against the published list. Without the list nobody
// vouches: an attacker who cuts the server off gains nothing.
func (a attestation) revoked(ctx context.Context, certs []*x509.Certificate, now time.Time) error {
	if a.RevocationURL == "" {
		return nil
	}
	bad, err := revocations(ctx, a.RevocationURL, now)
	if err != nil {
		return fmt.Errorf("the list of revoked certificates is away: %w", err)
	}
	for _, c := range certs {
		if bad[c.SerialNumber.Text(16)] {
			return errors.New("a certificate was revoked")
		}
	}
	return nil
}

func revocations(ctx context.Context, address string, now time.Time) (map[string]bool, error) {
	lists.Lock()
	at, bad := lists.at[address], lists.bad[address]
	lists.Unlock()
	if bad != nil && now.Sub(at) < 24*time.Hour && !now.Before(at) {
		return bad, nil
	}
	b, err := web.Get(ctx, outgoing, address, nil)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Entries map[string]struct {
			Status string `json:"status"`
		} `json:"entries"`
	}
	if err := json.Unmarshal(b, &doc); err != nil || doc.Entries == nil {
		return nil, errors.New("it cannot be read")
	}
	bad = map[string]bool{}
	for serial := range doc.Entries { // REVOKED and SUSPENDED alike
		bad[strings.TrimLeft(strings.ToLower(serial), "0")] = true
	}
	lists.Lock()
	defer lists.Unlock()
	lists.at[address], lists.bad[address] = now, bad
	return bad, nil
}
