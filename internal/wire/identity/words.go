package identity

import "github.com/watchword-auth/watchword/internal/authn"

// types is the word table: our kinds and the vendor's authenticator types
// (authenticators.md 0.3). A kind without an entry goes by its own name.
var types = map[authn.Kind]string{
	"passkey":    "webauthn",
	"biometric":  "mobile_biometric",
	"pin":        "pin_authenticator",
	"magic_link": "email_magic_link",
}

func vendorType(k authn.Kind) string {
	if t, ok := types[k]; ok {
		return t
	}
	return string(k)
}

func ourKind(word string) authn.Kind {
	for k, t := range types {
		if t == word {
			return k
		}
	}
	return authn.Kind(word)
}
