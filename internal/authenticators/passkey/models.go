package passkey

import "strings"

// Ecosystems: where passkeys are synced to each other.
const (
	apple  = "apple"
	google = "google"
)

// models are the well-known authenticators by AAGUID: what people call them, and
// their ecosystem (authenticators.md 6.2).
var models = map[string]struct{ name, ecosystem string }{
	"fbfc3007-154e-4ecc-8c0b-6e020557d7bd": {"iCloud Keychain", apple},
	"dd4ec289-e01d-41c9-bb89-70fa845d4bf2": {"iCloud Keychain", apple},
	"ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4": {"Google Password Manager", google},
	"adce0002-35bc-c60a-648b-0b25f1f05503": {"Chrome on Mac", ""},
	"08987058-cadc-4b81-b6e1-30de50dcbe96": {"Windows Hello", ""},
	"9ddd1817-af5a-4672-a2b9-3e3dd95000a9": {"Windows Hello", ""},
	"6028b017-b1d4-4c02-b4b3-afcdafc96bb2": {"Windows Hello", ""},
	"bada5566-a7aa-401f-bd96-45619a55120d": {"1Password", ""},
	"d548826e-79b4-db40-a3d8-11116f7e8349": {"Bitwarden", ""},
	"531126d6-e717-415c-9320-3d9aa6981239": {"Dashlane", ""},
	"50726f74-6f6e-5061-7373-50726f746f6e": {"Proton Pass", ""},
	"fdb141b2-5d84-443e-8a35-4698c205a502": {"KeePassXC", ""},
}

// modelName is the first label of a passkey.
func modelName(aaguid string) string {
	if m, ok := models[aaguid]; ok {
		return m.name
	}
	return "Passkey"
}

// ecosystem is whose a new passkey is: by its model, else by the system that the
// browser says it runs on if the passkey is the system's own. "" is another.
func ecosystem(aaguid string, res result) string {
	if m, ok := models[aaguid]; ok {
		return m.ecosystem
	}
	if res.Credential.Attachment != "platform" {
		return ""
	}
	for word, whose := range map[string]string{"iPhone": apple, "iPad": apple, "Macintosh": apple, "Android": google} {
		if strings.Contains(res.Agent, word) {
			return whose
		}
	}
	return ""
}
