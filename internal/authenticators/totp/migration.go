package totp

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"net/url"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// moved is an entry of an export of an authenticator app.
type moved struct {
	secret
	name string
}

var notAnExport = fault.New(fault.Invalid, "This is not the export of an authenticator app.")

// Import takes over the time-based entries of an export (the address that an
// authenticator app shows as a QR code for another phone). Counter-based ones
// are refused, as is more than the user may have.
func Import(ctx context.Context, tx *db.Tx, s authn.Subject, issuer, address string) ([]Enrolment, error) {
	s.Kind = Kind
	entries, err := parseExport(address)
	if err != nil {
		return nil, err
	}
	set, have, err := enrolled(ctx, tx, s)
	if err != nil {
		return nil, err
	}
	if len(have)+len(entries) > set.Max {
		return nil, TooMany
	}
	var out []Enrolment
	for _, e := range entries {
		made, err := store(ctx, tx, s, e.secret, issuer, e.name)
		if err != nil {
			return nil, err
		}
		out = append(out, made)
	}
	return out, nil
}

// parseExport reads otpauth-migration://offline?data=…: base64 of a protobuf
// message with the entries in field 1.
func parseExport(address string) ([]moved, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "otpauth-migration" || u.Host != "offline" || len(address) > 16<<10 {
		return nil, notAnExport
	}
	raw := strings.ReplaceAll(u.Query().Get("data"), " ", "+") // what a form made of a plus
	b, err := base64.StdEncoding.DecodeString(raw)
	if err != nil {
		return nil, notAnExport
	}
	var out []moved
	err = fields(b, func(n protowire.Number, value []byte, _ uint64) error {
		if n != 1 || value == nil {
			return nil
		}
		m, err := parseEntry(value)
		out = append(out, m)
		return err
	})
	if err == nil && len(out) == 0 {
		err = notAnExport
	}
	return out, err
}

// fields walks a protobuf message; value is nil for numbers.
func fields(b []byte, fn func(n protowire.Number, value []byte, number uint64) error) error {
	for len(b) > 0 {
		n, t, size := protowire.ConsumeTag(b)
		if size < 0 {
			return notAnExport
		}
		b = b[size:]
		var value []byte
		var number uint64
		switch t {
		case protowire.BytesType:
			value, size = protowire.ConsumeBytes(b)
			if value == nil {
				value = []byte{}
			}
		case protowire.VarintType:
			number, size = protowire.ConsumeVarint(b)
		default:
			size = protowire.ConsumeFieldValue(n, t, b)
		}
		if size < 0 {
			return notAnExport
		}
		b = b[size:]
		if err := fn(n, value, number); err != nil {
			return err
		}
	}
	return nil
}

func parseEntry(b []byte) (moved, error) {
	m := moved{secret: secret{Algorithm: "sha1", Digits: 6, Period: 30, Confirmed: true}}
	kind := uint64(2)
	err := fields(b, func(n protowire.Number, value []byte, number uint64) error {
		switch n {
		case 1:
			m.Text = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(value)
		case 2:
			m.name = strings.ToValidUTF8(string(value), "")
		case 4:
			m.Algorithm = map[uint64]string{0: "sha1", 1: "sha1", 2: "sha256", 3: "sha512"}[number]
		case 5:
			m.Digits = map[uint64]int{0: 6, 1: 6, 2: 8}[number]
		case 6:
			kind = number
		}
		return nil
	})
	switch {
	case err != nil:
		return m, err
	case kind != 2 && kind != 0:
		return m, fault.New(fault.Invalid, "The export holds counter-based codes, which cannot be taken over.")
	case len(m.Text) < 16 || m.Algorithm == "" || m.Digits == 0: // 80 bits: what apps have exported
		return m, notAnExport
	}
	return m, nil
}
