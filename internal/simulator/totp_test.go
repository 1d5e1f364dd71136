package simulator

import (
	"encoding/hex"
	"path/filepath"
	"testing"
	"time"
)

// TestTOTPVectors: RFC 6238 appendix B, and the challenge of mosaic-protocol 3.4.
func TestTOTPVectors(t *testing.T) {
	const uri = "otpauth://totp/Corp%20App:Ana?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Corp%20App&algorithm=SHA1&digits=8&period=30"
	tok, err := ParseToken(uri)
	if err != nil {
		t.Fatal(err)
	}
	if tok.Issuer != "Corp App" || tok.Label != "Ana" {
		t.Errorf("%+v", tok)
	}
	for at, want := range map[int64]string{59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130"} {
		if got, err := tok.Code(time.Unix(at, 0)); err != nil || got != want {
			t.Errorf("at %d: %s, want %s (%v)", at, got, want, err)
		}
	}
	tok.Digits = 6
	if got := hex.EncodeToString(tok.derived("123456")); got != "b880d5ce2047d66bf5c9d22e20d0df021b0dcd5ec5887d5b048090577b40f793" {
		t.Errorf("derived key %s", got)
	}
	for at, want := range map[int64]string{59: "361776", 1111111109: "054370"} {
		if got := tok.Sign("123456", time.Unix(at, 0)); got != want {
			t.Errorf("signed at %d: %s, want %s", at, got, want)
		}
	}
	if tok.Algorithm = "sha256"; tok.Sign("123456", time.Unix(59, 0)) != "638479" {
		t.Error("signed with SHA-256")
	}
}

func TestParseTokenIsStrict(t *testing.T) {
	for name, uri := range map[string]string{
		"no algorithm":  "otpauth://totp/a?secret=GEZDGNBVGY3TQOJQ&digits=6&period=30",
		"no digits":     "otpauth://totp/a?secret=GEZDGNBVGY3TQOJQ&algorithm=SHA1&period=30",
		"no period":     "otpauth://totp/a?secret=GEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6",
		"no secret":     "otpauth://totp/a?algorithm=SHA1&digits=6&period=30",
		"not base32":    "otpauth://totp/a?secret=1&algorithm=SHA1&digits=6&period=30",
		"two issuers":   "otpauth://totp/A:a?secret=GEZDGNBVGY3TQOJQ&issuer=B&algorithm=SHA1&digits=6&period=30",
		"hotp":          "otpauth://hotp/a?secret=GEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&counter=1",
		"another thing": "https://example.org",
	} {
		if _, err := ParseToken(uri); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// TestTokensShareTheFile: entries survive a registration, and need none.
func TestTokensShareTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "phone.json")
	tok := Token{Issuer: "A", Label: "a", Secret: "GEZDGNBVGY3TQOJQ", Algorithm: "sha1", Digits: 6, Period: 30}
	if err := AddToken(path, tok); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, Options{}); err == nil {
		t.Error("a file of entries was taken for a phone")
	}
	p, err := New(Options{Server: "http://127.0.0.1:1", Client: "c", Email: "a@example.org", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Save(path); err != nil {
		t.Fatal(err)
	}
	if err := AddToken(path, tok); err != nil {
		t.Fatal(err)
	}
	if got, err := Tokens(path); err != nil || len(got) != 1 || got[0] != tok {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Load(path, Options{Now: time.Now}); err != nil {
		t.Errorf("the phone: %v", err)
	}
}
