package directory_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
)

// TestWycheproofSignatures (C9) runs the independent vectors of the two
// algorithms that phones sign with through our verifier: no mismatch.
func TestWycheproofSignatures(t *testing.T) {
	dir := os.Getenv("WATCHWORD_VECTORS")
	if dir == "" {
		t.Skip("WATCHWORD_VECTORS is not set: the Wycheproof vectors are not run")
	}
	for _, name := range []string{"ecdsa_secp256r1_sha256_test.json", "rsa_pss_2048_sha256_mgf1_32_test.json", "rsa_pss_3072_sha256_mgf1_32_test.json"} {
		b, err := os.ReadFile(filepath.Join(dir, "wycheproof", name))
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			TestGroups []struct {
				PublicKeyDer string
				Tests        []struct {
					TcID             int
					Msg, Sig, Result string
				}
			}
		}
		if err := json.Unmarshal(b, &file); err != nil {
			t.Fatal(err)
		}
		run := 0
		for _, g := range file.TestGroups {
			der, err := hex.DecodeString(g.PublicKeyDer)
			if err != nil {
				t.Fatal(err)
			}
			key, err := directory.ParseKeyDER(der)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, c := range g.Tests {
				run++
				msg, _ := hex.DecodeString(c.Msg)
				sig, _ := hex.DecodeString(c.Sig)
				ok := key.Verify(msg, base64.StdEncoding.EncodeToString(sig))
				if c.Result != "acceptable" && ok != (c.Result == "valid") {
					t.Errorf("%s %d: %v, want %s", name, c.TcID, ok, c.Result)
				}
			}
		}
		if run < 100 {
			t.Errorf("%s: only %d vectors", name, run)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "words": "not a key", "long": strings.Repeat("A", 5000), "a certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
		"two keys":  "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
		"P-384":     "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE",
		"off curve": base64.StdEncoding.EncodeToString(append([]byte{4}, make([]byte, 64)...)),
	} {
		if _, err := directory.ParseKey(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSpellings (R22): every spelling of one name is one name, and what is not
// one is refused.
func TestSpellings(t *testing.T) {
	for _, s := range []string{"ada@example.org", "ADA@EXAMPLE.ORG", " ada@example.org ", "Ada@Example.Org.", "ａｄａ@example.org"} {
		if v, err := directory.Normalise(directory.Email, s); err != nil || v != "ada@example.org" {
			t.Errorf("%q: %q, %v", s, v, err)
		}
		if k := directory.NameKey(s); k != "ada@example.org" {
			t.Errorf("key of %q: %q", s, k)
		}
	}
	for _, s := range []string{"", "ada", "@x", "a@", "a@b@c", "a b@c.d", "a@b..c", "a@.b", "a\u200b@b.c", "a\x00@b.c", "a@b.c,d@e.f", "a@b.c;d@e.f", "<a@b.c>", "a\u202e@b.c", "\xff@b.c"} {
		if v, err := directory.Normalise(directory.Email, s); err == nil {
			t.Errorf("%q became %q", s, v)
		}
	}
	for in, want := range map[string]string{"+41 44 668 18 00": "+41446681800", "+41-44-668-1800": "+41446681800", "0446681800": "", "+1": "", "phone": ""} {
		if v, err := directory.Normalise(directory.Phone, in); v != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, v, err)
		}
	}
	for _, s := range []string{"a@b", "", " ", "a b", "\u200b"} {
		if v, err := directory.Normalise(directory.Username, s); err == nil {
			t.Errorf("username %q became %q", s, v)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	f.Add("Ada@Example.Org")
	f.Add("+41 44 668 18 00")
	f.Fuzz(func(t *testing.T, s string) {
		for _, kind := range []directory.IdentifierKind{directory.Email, directory.Phone, directory.Username, directory.External} {
			once, err := directory.Normalise(kind, s)
			if err != nil {
				continue
			}
			if twice, err := directory.Normalise(kind, once); err != nil || twice != once {
				t.Errorf("%s %q: %q, then %q, %v", kind, s, once, twice, err)
			}
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := directory.ParseKey(text)
		if err != nil {
			return
		}
		again, err := directory.ParseKeyDER(key.SPKI())
		if err != nil || again.ID() != key.ID() {
			t.Errorf("%q: %v", text, err)
		}
	})
}
