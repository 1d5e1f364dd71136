package mobilekey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/watchword-auth/watchword/internal/directory"
)

var appleNonceID = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 8, 2}

// The environments of App Attest, as its authenticator data name them.
const (
	appleProduction  = "appattest\x00\x00\x00\x00\x00\x00\x00"
	appleDevelopment = "appattestdevelop"
)

// apple judges an App Attest attestation of the app that made the key.
func (a attestation) apple(object []byte, challenge string, pub directory.Key, now time.Time) error {
	var o struct {
		Format    string `cbor:"fmt"`
		Statement struct {
			Chain [][]byte `cbor:"x5c"`
		} `cbor:"attStmt"`
		Data []byte `cbor:"authData"`
	}
	if err := cbor.Unmarshal(object, &o); err != nil || o.Format != appAttest {
		return errors.New("the attestation object cannot be read")
	}
	certs, err := a.chain(o.Statement.Chain, appleRoots, now)
	if err != nil {
		return err
	}
	leaf, ok := certs[0].PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return errors.New("its certificate has no key of App Attest")
	}
	client := sha256.Sum256([]byte(challenge + "." + pub.ID()))
	nonce := sha256.Sum256(append(bytes.Clone(o.Data), client[:]...))
	var said struct {
		Nonce []byte `asn1:"tag:1,explicit"`
	}
	for _, e := range certs[0].Extensions {
		if e.Id.Equal(appleNonceID) {
			if _, err := asn1.Unmarshal(e.Value, &said); err != nil {
				return errors.New("its nonce cannot be read")
			}
		}
	}
	if !bytes.Equal(said.Nonce, nonce[:]) {
		return errors.New("it is for another challenge or key")
	}
	point, err := leaf.Bytes()
	if err != nil {
		return errors.New("its certificate has no key of App Attest")
	}
	return a.device(o.Data, sha256.Sum256(point))
}

// device judges the authenticator data (WebAuthn 6.1): whose app, which
// environment, a key that was never used, and the very key of the certificate.
func (a attestation) device(data []byte, keyID [32]byte) error {
	if len(data) < 55 {
		return errors.New("its authenticator data are too short")
	}
	mine := false
	for _, id := range a.AppIDs {
		h := sha256.Sum256([]byte(id))
		mine = mine || bytes.Equal(data[:32], h[:])
	}
	if !mine {
		return errors.New("another app made the key")
	}
	if binary.BigEndian.Uint32(data[33:37]) != 0 {
		return errors.New("its key was used before")
	}
	if where := string(data[37:53]); where != appleProduction && (where != appleDevelopment || !a.Development) {
		return errors.New("it is of another environment")
	}
	n := int(binary.BigEndian.Uint16(data[53:55]))
	if len(data) < 55+n || !bytes.Equal(data[55:55+n], keyID[:]) {
		return errors.New("it names another key")
	}
	return nil
}
